"""Writes iddpm.safetensors: what the U-Net of OpenAI's improved-diffusion gives for parameters and inputs by
formula.

    python -m venv .venv-golden && .venv-golden/bin/pip install torch diffusers safetensors
    .venv-golden/bin/python prelude/tests/golden/iddpm.py

OpenAI's package is not on PyPI. The network is written anew below, in PyTorch's own modules and with the names
of the published state dict; none of it is OpenAI's code. With `--against MODULE`, a module that has OpenAI's
`UNetModel` (its repository's `improved_diffusion.unet`, say), both must agree on every case.

Tensors: `case/seed` the output, `case/seed/time` the times. The metadata hold each case's shape of the input
and, for the published network, names and shapes of its parameters. The configs stand in tests/golden.rs too.
"""

import importlib
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from numbers_by_formula import fill, layout, picture

torch.set_num_threads(1)


class Residual(nn.Module):
    def __init__(self, before, after, time, groups, scale_shift):
        super().__init__()
        self.scale_shift = scale_shift
        # Numbered as in the state dict: 1 is the SiLU, 2 of out_layers the dropout, off here.
        self.in_layers = nn.ModuleDict(
            {"0": nn.GroupNorm(groups, before), "2": nn.Conv2d(before, after, 3, padding=1)}
        )
        self.emb_layers = nn.ModuleDict({"1": nn.Linear(time, 2 * after if scale_shift else after)})
        self.out_layers = nn.ModuleDict(
            {"0": nn.GroupNorm(groups, after), "3": nn.Conv2d(after, after, 3, padding=1)}
        )
        self.skip_connection = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x, emb):
        h = self.in_layers["2"](F.silu(self.in_layers["0"](x)))
        told = self.emb_layers["1"](F.silu(emb))[:, :, None, None]
        norm, conv = self.out_layers["0"], self.out_layers["3"]
        if self.scale_shift:
            scale, shift = told.tensor_split(2, dim=1)
            h = torch.addcmul(shift, norm(h), scale + 1.0)
        else:
            h = norm(h + told)
        return self.skip_connection(x) + conv(F.silu(h))


class Attention(nn.Module):
    def __init__(self, channels, groups, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x, _):
        n, c = x.shape[:2]
        tokens = self.norm(x).flatten(2)
        # Channels stand head by head; within a head first q, then k, then v.
        q, k, v = self.qkv(tokens).view(n, self.heads, 3, c // self.heads, -1).unbind(2)
        weights = torch.softmax(q.transpose(-1, -2) @ k / math.sqrt(c // self.heads), dim=-1)
        seen = v @ weights.transpose(-1, -2)
        return x + self.proj_out(seen.reshape(n, c, -1)).view_as(x)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x, _):
        return self.op(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, _):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class First(nn.Conv2d):
    def forward(self, x, _):
        return super().forward(x)


class UNet(nn.Module):
    """`attention`: how far the picture is down-sampled where there is attention."""

    def __init__(self, pictures, width, out, blocks, attention, mult, heads, scale_shift, groups):
        super().__init__()
        self.width = width
        time = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        residual = lambda before, after: Residual(before, after, time, groups, scale_shift)
        attend = lambda channels: Attention(channels, groups, heads)

        steps, widths, now, factor = [[First(pictures, width, 3, padding=1)]], [width], width, 1
        for level, m in enumerate(mult):
            for _ in range(blocks):
                step = [residual(now, m * width)]
                now = m * width
                steps.append(step + ([attend(now)] if factor in attention else []))
                widths.append(now)
            if level + 1 < len(mult):
                steps.append([Down(now)])
                widths.append(now)
                factor *= 2
        self.input_blocks = nn.ModuleList(nn.ModuleList(step) for step in steps)
        self.middle_block = nn.ModuleList([residual(now, now), attend(now), residual(now, now)])

        steps = []
        for level in reversed(range(len(mult))):
            for block in range(blocks + 1):
                step = [residual(now + widths.pop(), mult[level] * width)]
                now = mult[level] * width
                if factor in attention:
                    step.append(attend(now))
                if level > 0 and block == blocks:
                    step.append(Up(now))
                    factor //= 2
                steps.append(step)
        self.output_blocks = nn.ModuleList(nn.ModuleList(step) for step in steps)
        self.out = nn.Sequential(nn.GroupNorm(groups, now), nn.SiLU(), nn.Conv2d(now, out, 3, padding=1))

    def forward(self, x, t):
        half = self.width // 2
        phase = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(half) / half)
        emb = self.time_embed(torch.cat([phase.cos(), phase.sin()], dim=1))
        skips = []
        for step in self.input_blocks:
            for layer in step:
                x = layer(x, emb)
            skips.append(x)
        for layer in self.middle_block:
            x = layer(x, emb)
        for step in self.output_blocks:
            x = torch.cat([x, skips.pop()], dim=1)
            for layer in step:
                x = layer(x, emb)
        return self.out(x)


CIFAR10 = dict(
    pictures=3, width=128, out=6, blocks=3, attention=(2, 4), mult=(1, 2, 2, 2), heads=4, scale_shift=True, groups=32
)
SMALL = dict(CIFAR10, width=32, blocks=1, attention=(2,), mult=(1, 2), groups=8)
# Everything that the published network has otherwise.
OTHER = dict(
    pictures=1, width=16, out=1, blocks=2, attention=(1, 4), mult=(1, 2, 3), heads=2, scale_shift=False, groups=4
)
PLAIN = dict(SMALL, attention=(), heads=1)
# case: config, input, times
CASES = {
    "small": (SMALL, [3, 3, 8, 8], [0.0, 37.5, 999.75]),
    "other": (OTHER, [2, 1, 16, 24], [3.25, 500.0]),
    "plain": (PLAIN, [1, 3, 16, 16], [120.75]),
    "cifar10": (CIFAR10, [1, 3, 32, 32], [412.3]),
}


def theirs(module, config):
    """OpenAI's network with the same config. It has 32 groups in each norm; here as many as the config says."""
    model = importlib.import_module(module).UNetModel(
        in_channels=config["pictures"],
        model_channels=32 * config["width"] // config["groups"],
        out_channels=config["out"],
        num_res_blocks=config["blocks"],
        attention_resolutions=config["attention"],
        channel_mult=config["mult"],
        num_heads=config["heads"],
        use_scale_shift_norm=config["scale_shift"],
    )
    return model


def main():
    against = sys.argv[2] if sys.argv[1:2] == ["--against"] else None
    tensors, metadata = {}, {"torch": torch.__version__}
    for case, (config, shape, times) in CASES.items():
        for seed in (1, 2):
            model = fill(UNet(**config), seed)
            time = torch.tensor(times) if seed == 1 else torch.tensor(times[::-1]) * 0.1
            x = picture(seed, shape)
            with torch.no_grad():
                out = model(x, time)
                print(case, seed, tuple(out.shape), f"rms {out.square().mean().sqrt():.3f}")
                if against:
                    wide = dict(config, width=32 * config["width"] // config["groups"], groups=32)
                    ours, other = fill(UNet(**wide), seed), fill(theirs(against, config), seed)
                    print("    against theirs:", (ours(x, time) - other(x, time)).abs().max().item())
            tensors[f"{case}/{seed}"] = out.contiguous()
            tensors[f"{case}/{seed}/time"] = time.contiguous()
        metadata[f"{case}/input"] = json.dumps(shape)
        if case == "cifar10":
            metadata[f"{case}/layout"] = layout(model)
    if not against:
        save_file(tensors, Path(__file__).with_suffix(".safetensors"), metadata)


if __name__ == "__main__":
    main()
