"""Writes ddpm.safetensors: what diffusers' UNet2DModel gives for parameters and inputs by formula.

    python -m venv .venv-golden && .venv-golden/bin/pip install torch diffusers safetensors
    .venv-golden/bin/python prelude/tests/golden/ddpm.py

Tensors: `case/seed` the output, `case/seed/time` the times. The metadata hold each case's shape of the input
and its config.json as diffusers writes it, and, for the published network, names and shapes of its parameters.
"""

import json
from pathlib import Path

import diffusers
import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

from numbers_by_formula import fill, layout, picture

torch.set_num_threads(1)

CIFAR10 = dict(
    sample_size=32,
    block_out_channels=(128, 256, 256, 256),
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2,
    norm_num_groups=32,
    norm_eps=1e-6,
    act_fn="silu",
    flip_sin_to_cos=False,
    freq_shift=1,
    downsample_padding=0,
    attention_head_dim=None,
    mid_block_scale_factor=1,
    center_input_sample=False,
    in_channels=3,
    out_channels=3,
    time_embedding_type="positional",
)
SMALL = dict(
    CIFAR10,
    sample_size=8,
    block_out_channels=(32, 64),
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    norm_num_groups=8,
)
# Everything that the published network has otherwise.
OTHER = dict(
    sample_size=(16, 24),
    block_out_channels=(16, 32, 32),
    down_block_types=("AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    norm_num_groups=4,
    norm_eps=1e-3,
    flip_sin_to_cos=True,
    freq_shift=0,
    downsample_padding=1,
    attention_head_dim=8,
    mid_block_scale_factor=1.5,
    center_input_sample=True,
    in_channels=1,
    out_channels=2,
)
PLAIN = dict(
    SMALL,
    down_block_types=("DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D"),
    norm_num_groups=16,
)
# case: config, input, times
CASES = {
    "small": (SMALL, [3, 3, 8, 8], [0.0, 37.5, 999.0]),
    "other": (OTHER, [2, 1, 16, 24], [3.25, 500.0]),
    "plain": (PLAIN, [1, 3, 16, 16], [120.75]),
    "cifar10": (CIFAR10, [1, 3, 32, 32], [412.3]),
}

tensors, metadata = {}, {"diffusers": diffusers.__version__, "torch": torch.__version__}
for case, (config, shape, times) in CASES.items():
    for seed in (1, 2):
        model = fill(UNet2DModel(**config), seed)
        time = torch.tensor(times) if seed == 1 else torch.tensor(times[::-1]) * 0.1
        with torch.no_grad():
            out = model(picture(seed, shape), time.contiguous()).sample
        print(case, seed, tuple(out.shape), f"rms {out.square().mean().sqrt():.3f}")
        tensors[f"{case}/{seed}"] = out.contiguous()
        tensors[f"{case}/{seed}/time"] = time.contiguous()
    metadata[case] = model.to_json_string()
    metadata[f"{case}/input"] = json.dumps(shape)
    if case == "cifar10":
        metadata[f"{case}/layout"] = layout(model)
save_file(tensors, Path(__file__).with_suffix(".safetensors"), metadata)
