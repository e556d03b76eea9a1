"""PyTorch's side of `itd bench compute`: one process, one case, and the lines that worker.rs describes.

The arguments are the number of threads, the layout of pictures (`contiguous` or `channels_last`), and the case.
Instead of `exchange` there is `check FILE`: compute what the other side has computed, and tell how far it is away.

The case `learn FILE RESULT` is that of `examples/learning.rs`: it trains the U-Net of the file and ends.
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

THREADS, LAYOUT, CASE = int(sys.argv[1]), sys.argv[2], sys.argv[3].split()
FORMAT = torch.channels_last if LAYOUT == "channels_last" else torch.contiguous_format
SHORTEST, WARM = 0.02, 0.2  # seconds, as in worker.rs


def laid(t):
    return t.contiguous(memory_format=FORMAT) if t.dim() == 4 else t


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# Operations


class Operation:
    def __init__(self, call, shapes):
        self.call = call
        self.arguments = [laid(torch.randn(shape)) for shape in shapes]
        self.leaves = [t.clone(memory_format=torch.preserve_format).requires_grad_() for t in self.arguments]
        self.ones = None

    def forward(self):
        with torch.inference_mode():
            self.call(*self.arguments)

    def gradients(self):
        y = self.call(*self.leaves)
        if self.ones is None:
            self.ones = torch.ones_like(y)
        torch.autograd.grad(y, self.leaves, self.ones)

    def run(self, row):
        return seconds(self.forward if row == "forward" else self.gradients)

    def compute(self, parameters, _):
        leaves = [laid(p).requires_grad_() for p in parameters]
        y = self.call(*leaves)
        return y, torch.autograd.grad(y.sum(), leaves)


def matmul(n):
    return Operation(torch.matmul, [(n, n), (n, n)])


def conv2d(n, c, o, side, kernel, stride):
    def call(x, w, b):
        return F.conv2d(x, w, b, stride, kernel // 2)

    return Operation(call, [(n, c, side, side), (o, c, kernel, kernel), (o,)])


def group_norm(n, c, side, groups):
    def call(x, w, b):
        return F.silu(F.group_norm(x, groups, w, b))

    return Operation(call, [(n, c, side, side), (c,), (c,)])


def attention(n, heads, tokens, dim):
    return Operation(F.scaled_dot_product_attention, [(n, heads, tokens, dim)] * 3)


# Networks, with their parameters in the other side's order


class Waves(nn.Module):
    def __init__(self, count, lowest, highest):
        super().__init__()
        step = math.log(lowest / highest) / (count - 1)
        self.register_buffer("frequencies", highest * torch.exp(step * torch.arange(count)))

    def forward(self, t):
        phase = t[..., None] * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], -1)


def log_snr_waves():
    return Waves(16, 0.05, 3.0)


class Attention(nn.Module):
    def __init__(self, channels, heads, groups):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        return x + self.out(mixed).transpose(1, 2).reshape(n, c, h, w)


class Block(nn.Module):
    def __init__(self, start, end, embedding, groups, heads=None):
        super().__init__()
        self.norm = nn.GroupNorm(groups, start)
        self.first = nn.Conv2d(start, end, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * end)
        self.plain = nn.GroupNorm(groups, end, affine=False)
        self.second = nn.Conv2d(end, end, 3, padding=1)
        self.skip = nn.Conv2d(start, end, 1) if start != end else nn.Identity()
        self.attention = Attention(end, heads, groups) if heads else nn.Identity()

    def forward(self, x, embedding):
        h = self.first(F.silu(self.norm(x)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = self.second(F.silu(torch.addcmul(shift, self.plain(h), 1 + scale)))
        return self.attention(self.skip(x) + h)


class Encoder(nn.Module):
    def __init__(self, block, down):
        super().__init__()
        self.block, self.down = block, down


class Decoder(nn.Module):
    def __init__(self, block, up):
        super().__init__()
        self.block, self.up = block, up


class UNet(nn.Module):
    """One block at each level."""

    def __init__(self, channels=(32, 64, 64), attention=(1,), heads=4, groups=8, size=64, std=0.5):
        super().__init__()
        self.std = std
        levels = len(channels)
        block = lambda start, level: Block(
            start, channels[level], size, groups, heads if level in attention else None
        )
        self.waves = log_snr_waves()
        self.embedding = nn.Sequential(nn.Linear(32, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU())
        self.stem = nn.Conv2d(1, channels[0], 3, padding=1)
        self.encoder = nn.ModuleList()
        for level, c in enumerate(channels):
            down = nn.Conv2d(c, c, 3, 2, 1) if level + 1 < levels else nn.Identity()
            self.encoder.append(Encoder(block(channels[max(level - 1, 0)], level), down))
        c = channels[-1]
        heads_there = heads if levels - 1 in attention else None
        self.middle = nn.ModuleList([Block(c, c, size, groups, heads_there), Block(c, c, size, groups)])
        self.decoder = nn.ModuleList()
        for level in reversed(range(levels)):
            c = channels[level]
            up = nn.Conv2d(c, channels[level - 1], 1) if level else nn.Identity()
            # What comes from below has this level's channels; what comes from the encoder is laid on top.
            self.decoder.append(Decoder(block(2 * c, level), up))
        self.norm = nn.GroupNorm(groups, channels[0])
        self.out = nn.Conv2d(channels[0], 1, 3, padding=1)

    def body(self, q, log_snr):
        embedding = self.embedding(self.waves(log_snr))
        h, skips = self.stem(q), []
        for level in self.encoder:
            h = level.block(h, embedding)
            skips.append(h)
            h = level.down(h)
        for block in self.middle:
            h = block(h, embedding)
        for level in self.decoder:
            h = level.block(torch.cat([h, skips.pop()], 1), embedding)
            if skips:
                height, width = skips[-1].shape[2:]
                h = F.interpolate(level.up(h), scale_factor=2)[:, :, :height, :width]
        return self.out(F.silu(self.norm(h)))

    def forward(self, z, log_snr):
        alpha = log_snr[:, None, None, None]
        signal, noise = torch.sigmoid(alpha).sqrt() * self.std, torch.sigmoid(-alpha).sqrt()
        spread = torch.rsqrt(signal.square() + noise.square())
        q, linear = z * spread, noise * spread
        return q * linear + self.body(q, log_snr) * (2 * signal * spread * linear)


class Mlp(nn.Module):
    """On top of the denoiser of the standard normal."""

    def __init__(self, width, layers, waves):
        super().__init__()
        self.waves, self.inputs = log_snr_waves(), Waves(waves, 0.3, 10.0)
        sizes = [2 * (1 + 2 * waves) + 32] + [width] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 2)

    def forward(self, z, log_snr):
        h = torch.cat([z, self.waves(log_snr), self.inputs(z).flatten(1)], 1)
        h = F.silu(self.layers[0](h))
        for layer in self.layers[1:]:
            h = F.silu(layer(h)) + h
        signal, noise = torch.sigmoid(log_snr)[:, None].sqrt(), torch.sigmoid(-log_snr)[:, None].sqrt()
        return z * noise + self.out(h) * (2 * signal * noise)


class DdpmBlock(nn.Module):
    def __init__(self, start, end, time, groups=32):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, start, eps=1e-6)
        self.conv1 = nn.Conv2d(start, end, 3, padding=1)
        self.time = nn.Linear(time, end)
        self.norm2 = nn.GroupNorm(groups, end, eps=1e-6)
        self.conv2 = nn.Conv2d(end, end, 3, padding=1)
        self.shortcut = nn.Conv2d(start, end, 1) if start != end else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class DdpmAttention(nn.Module):
    def __init__(self, channels, groups=32):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q, self.k, self.v, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x, _):
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (layer(tokens)[:, None] for layer in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.out(mixed).transpose(1, 2).reshape(n, c, h, w)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2)

    def forward(self, x, _):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, _):
        return self.conv(F.interpolate(x, scale_factor=2))


class Ddpm(nn.Module):
    """diffusers' UNet2DModel with the settings of google/ddpm-cifar10-32."""

    def __init__(self, c, attends=1, layers=2):
        super().__init__()
        time, channels = 4 * c, (c, 2 * c, 2 * c, 2 * c)
        self.register_buffer("frequencies", torch.exp(torch.arange(c // 2) * (-math.log(1e4) / (c // 2 - 1))))
        kept = torch.cumsum(torch.log1p(-torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)), 0)
        self.register_buffer("log_snr", (kept - torch.log(-torch.expm1(kept))).flip(0))
        self.time = nn.ModuleList([nn.Linear(c, time), nn.Linear(time, time)])
        self.input = nn.Conv2d(3, c, 3, padding=1)

        def step(start, end, level):
            attention = [DdpmAttention(end)] if level == attends else []
            return nn.ModuleList([DdpmBlock(start, end, time), *attention])

        self.down, kept, start = nn.ModuleList(), [c], c
        for level, end in enumerate(channels):
            for _ in range(layers):
                self.down.append(step(start, end, level))
                kept.append(end)
                start = end
            if level + 1 < len(channels):
                self.down.append(nn.ModuleList([Down(end)]))
                kept.append(end)
        self.middle = nn.ModuleList(
            [DdpmBlock(start, start, time), DdpmAttention(start), DdpmBlock(start, start, time)]
        )
        self.up = nn.ModuleList()
        for level in reversed(range(len(channels))):
            end = channels[level]
            for _ in range(layers + 1):
                self.up.append(step(start + kept.pop(), end, level))
                start = end
            if level:
                self.up[-1].append(Up(end))
        self.norm = nn.GroupNorm(32, c, eps=1e-6)
        self.out = nn.Conv2d(c, 3, 3, padding=1)

    def clock(self, log_snr):
        """The step of the schedule that has this log-SNR."""
        table = self.log_snr
        alpha = log_snr.double().clamp(table[0], table[-1])
        i = torch.searchsorted(table, alpha).clamp(1, len(table) - 1)
        share = (alpha - table[i - 1]) / (table[i] - table[i - 1])
        return (len(table) - i - share).float()

    def forward(self, z, log_snr):
        phase = self.clock(log_snr)[:, None] * self.frequencies
        time = torch.cat([phase.sin(), phase.cos()], 1)
        for layer in self.time:
            time = F.silu(layer(time))
        x = self.input(z)
        kept = [x]
        for step in self.down:
            for layer in step:
                x = layer(x, time)
            kept.append(x)
        for layer in self.middle:
            x = layer(x, time)
        for step in self.up:
            x = torch.cat([x, kept.pop()], 1)
            for layer in step:
                x = layer(x, time)
        return self.out(F.silu(self.norm(x)))


class Network:
    """What all networks have in common."""

    def __init__(self, net):
        self.net = net.to(memory_format=FORMAT)

    def take(self, parameters):
        mine = list(self.net.parameters())
        if [p.shape for p in mine] != [p.shape for p in parameters]:
            count = [sum(p.numel() for p in list) for list in (mine, parameters)]
            raise ValueError(f"{count[0]} parameters here, {count[1]} there, or of another shape")
        with torch.no_grad():
            for p, new in zip(mine, parameters):
                p.copy_(new)
        return mine

    def compute(self, parameters, inputs):
        mine = self.take(parameters)
        y = self.net(*map(laid, inputs))
        return y, torch.autograd.grad(y.sum(), mine)


def mix(x, eps, log_snr):
    alpha = log_snr.reshape(-1, *[1] * (x.dim() - 1))
    return x * torch.sigmoid(alpha).sqrt() + eps * torch.sigmoid(-alpha).sqrt()


class Training(Network):
    """One epoch of AdamW on the loss of Eq 15, with a moving average of the parameters."""

    def __init__(self, net, data, batch, told, loc, scale, rate=1e-3, decay=0.998, spacing=0.0):
        super().__init__(net)
        self.data = laid(data)
        self.batch, self.steps, self.told = batch, len(data) // batch, told
        self.loc, self.scale, self.clip = loc, scale, 4.0
        self.rate, self.decay, self.spacing = rate, decay, spacing

    def points(self):
        """Log-SNR, one from each of as many equal parts of a truncated logistic, and 1/density."""
        n = self.batch
        share = math.tanh(self.clip / 2)
        p = 1 / (1 + math.exp(self.clip)) + (torch.arange(n) + torch.rand(n)) / n * share
        logit = torch.logit(p)[torch.randperm(n)]
        return self.loc + self.scale * logit, self.scale * share * (2 + 2 * torch.cosh(logit))

    def run(self, _):
        parameters = list(self.net.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        self.average = [p.detach().clone() for p in parameters]
        self.losses = []
        order = torch.randperm(len(self.data))[: self.steps * self.batch].split(self.batch)
        start = time.perf_counter()
        for step, rows in enumerate(order):
            share = min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / self.steps))
            optimizer.param_groups[0]["lr"] = self.rate * share
            x = self.data[rows]
            if self.spacing:
                x = x + (torch.rand_like(x) - 0.5) * self.spacing
            eps = torch.randn_like(x)
            log_snr, weight = self.points()
            miss = eps - self.net(mix(x, eps, log_snr), log_snr)
            loss = 0.5 * (weight * miss.square().flatten(1).sum(1)).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rest = 1 - min(self.decay, (step + 1) / (step + 10))
            torch._foreach_lerp_(self.average, [p.detach() for p in parameters], rest)
            self.losses.append(loss.item())
        return (time.perf_counter() - start) / self.steps * self.told


class FineTuning(Network):
    """An epoch of AdamW on the squared error of the noise at the steps of the schedule."""

    def __init__(self, net, data, batch, rate=1e-3, decay=0.998):
        super().__init__(net)
        self.data, self.batch, self.rate, self.decay = laid(data), batch, rate, decay

    def run(self, _):
        parameters = list(self.net.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        average = [p.detach().clone() for p in parameters]
        steps = torch.randperm(len(self.data)).split(self.batch)
        start = time.perf_counter()
        for step, rows in enumerate(steps):
            x = self.data[rows]
            eps = torch.randn_like(x)
            log_snr = self.net.log_snr[torch.randint(1000, (len(x),))].float()
            loss = F.mse_loss(self.net(mix(x, eps, log_snr), log_snr), eps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rest = 1 - min(self.decay, (step + 1) / (step + 10))
            torch._foreach_lerp_(average, [p.detach() for p in parameters], rest)
            loss.item()
        return (time.perf_counter() - start) / len(steps)


class Curve(Network):
    """The squared error of each picture at each point."""

    BATCH = 64

    def __init__(self, net, n, points, side):
        super().__init__(net)
        self.data = laid(torch.randn(n, 1, side, side))
        self.points = torch.linspace(-7, 9, points)

    def curve(self):
        errors = torch.empty(len(self.points), len(self.data))
        with torch.inference_mode():
            for point, log_snr in enumerate(self.points):
                for start in range(0, len(self.data), self.BATCH):
                    x = self.data[start : start + self.BATCH]
                    eps = torch.randn_like(x)
                    alpha = log_snr.expand(len(x))
                    miss = eps - self.net(mix(x, eps, alpha), alpha)
                    errors[point, start : start + len(x)] = miss.square().flatten(1).sum(1)
        return errors.mean(1), errors.std(1)

    def run(self, _):
        return seconds(self.curve)


class OneBlock(Network):
    def __init__(self, n, channels, side):
        super().__init__(DdpmBlock(channels, channels, 512))
        self.inputs = [laid(torch.randn(n, channels, side, side)), torch.randn(n, 512)]
        self.leaves = [t.clone(memory_format=torch.preserve_format).requires_grad_() for t in self.inputs]
        self.ones = torch.ones_like(self.inputs[0])

    def forward(self):
        with torch.inference_mode():
            self.net(*self.inputs)

    def gradients(self):
        leaves = [*self.net.parameters(), *self.leaves]
        torch.autograd.grad(self.net(*self.leaves), leaves, self.ones)

    def run(self, row):
        return seconds(self.forward if row == "forward" else self.gradients)


def unet(batch, side):
    return Training(UNet(), torch.randn(16 * batch, 1, side, side), batch, 1, 1.0, 2.0)


def mlp(batch, width, layers, waves, steps):
    return Training(Mlp(width, layers, waves), torch.randn(steps * batch, 2), batch, steps, 0.0, 3.0)


def curve(n, points, side):
    return Curve(UNet(), n, points, side)


def ddpm(batch, side, steps, channels):
    return FineTuning(Ddpm(channels), torch.randn(steps * batch, 3, side, side), batch)


ddpm_block = OneBlock

# The process


def memory(field):
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith(field))
    except (OSError, StopIteration):
        return None
    return 1024 * int(line.split()[1])


def forget():
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


def once(work, row):
    first = work.run(row)
    if first >= SHORTEST:
        return first
    times = []
    while sum(times) < SHORTEST:
        times.append(work.run(row))
    return sum(times) / len(times)


def check(work, path):
    tensors = load_file(path)
    of = lambda kind: [t for name, t in sorted(tensors.items()) if name[0] == kind]
    y, gradients = work.compute(of("p"), of("x"))
    size = lambda t: t.abs().max()
    # Some gradients are 0 but for rounding, such as that of the bias of attention's keys.
    least = 1e-4 * max(map(size, of("g")))
    apart = lambda a, b, least: float(size(a - b) / torch.maximum(size(b), least))
    pairs = zip(gradients, of("g"), strict=True)
    return apart(y, tensors["y"], torch.zeros(())), max(apart(a, b, least) for a, b in pairs)


def learn(path, result):
    with safe_open(path, "pt") as file:
        told = {name: json.loads(text) for name, text in file.metadata().items()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    net = UNet(told["channels"], told["attention"])
    settings = [told[name] for name in ("batch", "loc", "scale", "rate", "decay", "spacing")]
    work = Training(net, tensors.pop("data"), settings[0], 1, *settings[1:])
    work.take([t for _, t in sorted(tensors.items())])
    seconds = work.run(None) * work.steps
    save_file({f"p{i:03}": p.contiguous() for i, p in enumerate(work.average)}, result)
    print(json.dumps({"version": torch.__version__, "seconds": seconds, "losses": work.losses}))


def main():
    torch.set_num_threads(THREADS)
    if CASE[0] == "learn":
        return learn(*CASE[1:])
    conv2d(2, 8, 8, 8, 3, 1).gradients()
    base = memory("VmRSS:")
    work, row = globals()[CASE[0]](*map(int, CASE[1:])), "forward"
    print("ready", json.dumps({"version": torch.__version__, "base": base}), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "row":
                row, start = rest, time.perf_counter()
                forget()
                work.run(row)
                while time.perf_counter() - start < WARM:
                    work.run(row)
                answer = "ok"
            elif word == "run":
                answer = f"{1e3 * once(work, row):.6f}"
            elif word == "peak":
                most = memory("VmHWM:")
                answer = "-" if most is None else str(max(0, most - base))
            elif word == "check":
                answer = "%.3e %.3e" % check(work, rest)
            else:
                answer = f"error no such line: {word}"
        except Exception as error:
            answer = "error " + str(error).replace("\n", " ")
        print(answer, flush=True)


main()
