"""The twin of `itd reproduce cifar10 --scale smoke`: every number of its tables, by PyTorch and NumPy alone.

    python -m venv .venv-golden && .venv-golden/bin/pip install torch diffusers safetensors
    .venv-golden/bin/python prelude/tests/golden/reproduce.py

writes reproduce.json for pictures and networks by formula; tests/golden.rs runs the same through the prelude.

    reproduce.py inputs FOLDER [--full]      puts those pictures and networks where a run in FOLDER looks for them,
                                             with --full a DDPM of the published size
    reproduce.py check FOLDER [--data DATA]  computes the run in FOLDER again, from its pictures (those in DATA, if
                                             the run had them from there) and networks, and says how far apart it is

Everything is read from files in the formats of those who publish them: CIFAR-10's binary batches, a folder of
diffusers, a state dict with OpenAI's names. The noise is that of the run: ChaCha with 8 rounds, and normal numbers by
the ziggurat. Bounds are computed step by step, as divergences between normals, from cumulative products; areas by the
trapezoid rule. Tuning is not computed again: the tuned networks are read, too.
"""

import argparse
import hashlib
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file, save_file

import numbers_by_formula as formula
from iddpm import CIFAR10 as IDDPM_CIFAR10
from iddpm import UNet

DDPM = dict(
    sample_size=32,
    in_channels=3,
    out_channels=3,
    block_out_channels=(16, 16, 16, 16),
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2,
    norm_num_groups=8,
    norm_eps=1e-6,
    flip_sin_to_cos=False,
    freq_shift=1,
    downsample_padding=0,
    attention_head_dim=None,
)
FULL_DDPM = dict(DDPM, block_out_channels=(128, 256, 256, 256), norm_num_groups=32)
IDDPM = dict(IDDPM_CIFAR10, width=16, blocks=1, groups=8)
# The scale `smoke`: images, points, images and steps of the bounds.
IMAGES, POINTS, BOUND_IMAGES, BOUND_STEPS = 6, 9, 2, 20
# The logistic of the published code: log-SNR lies within four scales of its centre.
LOC, SCALE, CLIP = 6.261363983154297, 3.0976245403289795, 4.0
DIM, SPACING = 3072, 2 / 255
FORMS = ("plain", "rounded", "dequantized")
NETS = ("ddpm", "iddpm")
PUBLISHED_FILE = "diffusion_pytorch_model.safetensors"

# Pictures, in CIFAR-10's binary format.

RECORDS = 640
FILES = [f"data_batch_{i}.bin" for i in range(1, 6)]


def picture_file(name):
    """Slopes of brightness with grain. Each sum is exact in f64, so that every language gets the same bytes."""
    base, right, down = np.moveaxis(formula.uniform(f"{name} slopes", 0, (RECORDS, 3, 3)), -1, 0)[..., None, None]
    grain = formula.uniform(f"{name} grain", 0, (RECORDS, 3, 32, 32))
    u = np.arange(32) / 16 - 1
    value = 128 + 64 * base + 48 * right * u + 48 * down * u[:, None] + 24 * grain
    pixels = np.clip(np.floor(value), 0, 255).astype(np.uint8).reshape(RECORDS, DIM)
    labels = (np.arange(RECORDS) % 10).astype(np.uint8)[:, None]
    return np.concatenate([labels, pixels], axis=1).tobytes()


def read_pictures(path):
    records = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 1 + DIM)
    return (records[:, 1:] / 127.5 - 1).astype(np.float32)


# Networks.


def write_inputs(folder, ddpm):
    data, tuned = folder / "inputs/cifar-10", folder / "tuned"
    data.mkdir(parents=True, exist_ok=True)
    tuned.mkdir(exist_ok=True)
    for name in [*FILES, "test_batch.bin"]:
        (data / name).write_bytes(picture_file(name))
    for net, make in (("ddpm", lambda: UNet2DModel(**ddpm)), ("iddpm", lambda: UNet(**IDDPM))):
        place = folder / "inputs" / net
        place.mkdir(exist_ok=True)
        save_file(formula.fill(make(), 1).state_dict(), place / PUBLISHED_FILE)
    (folder / "inputs/ddpm/config.json").write_text(UNet2DModel(**ddpm).to_json_string())


def network(folder, net, tuned):
    """What the network says of noisy pictures at log-SNRs: the noise and, where it is told, the variance."""
    published = folder / "inputs" / net
    path = folder / "tuned" / f"{net}.safetensors" if tuned else published / PUBLISHED_FILE
    if net == "ddpm":
        # What this version of diffusers adds to a config is not asked for.
        config = json.loads((published / "config.json").read_text())
        model = UNet2DModel(**{name: value for name, value in config.items() if not name.startswith("_")})
    else:
        model = UNet(**IDDPM)
    model.load_state_dict(load_file(path))
    model.eval()
    clock = {"ddpm": ddpm_time, "iddpm": iddpm_time}[net]

    @torch.no_grad()
    def said(z, log_snr):
        time = torch.full((len(z),), clock(float(np.float32(log_snr))), dtype=torch.float32)
        out = model(torch.from_numpy(z.astype(np.float32)).reshape(-1, 3, 32, 32), time)
        out = (out.sample if net == "ddpm" else out).double().numpy()
        return out[:, :3].reshape(-1, DIM), out[:, 3:].reshape(len(z), -1)

    return said


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The clock of the published code for DDPM: the nearest of 10,000 steps, counted in tenths.
FINE = np.cumprod(1 - np.linspace(1e-5, 2e-3, 10_000))


def ddpm_time(log_snr):
    return np.abs(FINE - sigmoid(log_snr)).argmin() / 10


def iddpm_time(log_snr):
    start = math.cos(0.008 / 1.008 * math.pi / 2)
    return 1000 * (2 * 1.008 / math.pi * math.acos(start * math.sqrt(sigmoid(log_snr))) - 0.008)


# Random numbers.


def key(seed, purpose):
    return hashlib.sha256(seed.to_bytes(8, "little") + purpose.encode()).digest()


def chacha8(key, stream, words):
    """The first words of 32 bits of a stream."""
    blocks = -(-words // 16)
    start = np.zeros((16, blocks), dtype=np.uint32)
    start[:4] = np.frombuffer(b"expand 32-byte k", dtype="<u4")[:, None]
    start[4:12] = np.frombuffer(key, dtype="<u4")[:, None]
    start[12] = np.arange(blocks)
    start[14], start[15] = stream & 0xFFFFFFFF, stream >> 32
    x = start.copy()

    def turn(a, bits):
        x[a] = (x[a] << np.uint32(bits)) | (x[a] >> np.uint32(32 - bits))

    def quarter(a, b, c, d):
        for to, by, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] += x[by]
            x[turned] ^= x[to]
            turn(turned, bits)

    for _ in range(4):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return (x + start).T.ravel()[:words]


def ziggurat_tables():
    """256 layers of equal area under exp(-x²/2), the lowest of which has the tail."""
    tail, area = 3.6541528853610087963519472518, 0.00492867323399
    density = lambda x: math.exp(-0.5 * x * x)
    x = [area / density(tail), tail]
    while len(x) < 256:
        x.append(math.sqrt(-2 * math.log(density(x[-1]) + area / x[-1])))
    x.append(0.0)
    return x, [density(value) for value in x]


ZIGGURAT = ziggurat_tables()


def normals(key, stream, count):
    x_tab, f_tab = ZIGGURAT
    words = chacha8(key, stream, 2 * count + count // 2 + 64).astype(np.uint64)
    draws = iter((words[0::2] | words[1::2] << np.uint64(32)).tolist())
    unit = lambda: (next(draws) >> 11) * 2.0**-53
    open_unit = lambda: ((next(draws) >> 12) + 0.5) * 2.0**-52
    found = []
    while len(found) < count:
        bits = next(draws)
        layer, u = bits & 0xFF, (bits >> 12) * 2.0**-51 - 1
        x = u * x_tab[layer]
        if abs(x) >= x_tab[layer + 1]:
            if layer == 0:
                beyond, height = 1.0, 0.0
                while -2 * height < beyond * beyond:
                    beyond, height = math.log(open_unit()) / x_tab[1], math.log(open_unit())
                x = beyond - x_tab[1] if u < 0 else x_tab[1] - beyond
            elif f_tab[layer + 1] + (f_tab[layer] - f_tab[layer + 1]) * unit() >= math.exp(-0.5 * x * x):
                continue
        found.append(x)
    return np.array(found)


def noise(images, point):
    own = key(0, "curve noise")
    return np.stack([normals(own, image << 32 | point, DIM) for image in range(images)])


def dequantized(x):
    words = chacha8(key(0, "dequantize"), 0, x.size)
    uniform = (words >> np.uint32(8)).astype(np.float64).reshape(x.shape) * 2.0**-24
    return (x + (uniform - 0.5) * SPACING).astype(np.float32)


# Curves.


def trapezoid(points):
    gaps = np.diff(points)
    return 0.5 * (np.append(gaps, 0) + np.insert(gaps, 0, 0))


def channel(x, eps, log_snr):
    signal, noise_ = math.sqrt(sigmoid(log_snr)), math.sqrt(sigmoid(-log_snr))
    return signal * x + noise_ * eps, signal, noise_


def rounded(x, log_snr):
    levels = np.arange(256) * SPACING - 1
    result = np.empty_like(x)
    for i, row in enumerate(x):
        weight = -0.5 * (row[:, None] - levels) ** 2 * (1 + math.exp(log_snr))
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        result[i] = weight @ levels / weight.sum(axis=1)
    return result


def squared_errors(said, x, form, points):
    """Of each picture at each point: ‖ε − ε̂‖²."""
    high = 1 + SPACING / 2 if form == "dequantized" else 1.0
    columns = []
    for j, log_snr in enumerate(points):
        eps = noise(len(x), j)
        z, signal, noise_ = channel(x.astype(np.float64), eps, log_snr)
        clean = (z - noise_ * said(z, log_snr)[0]) / signal
        if form == "rounded":
            clean = rounded(clean, log_snr)
        off = (np.clip(clean, -high, high) - x) * signal / noise_
        columns.append((off**2).sum(axis=1))
    return np.stack(columns, axis=1)


class Gaussian:
    """That of the training pictures."""

    def __init__(self, x):
        x = x.astype(np.float64)
        self.mean = x.mean(axis=0)
        centred = x - self.mean
        self.values, self.vectors = np.linalg.eigh(centred.T @ centred / (len(x) - 1))

    def entropy(self):
        return 0.5 * (DIM * math.log(2 * math.pi * math.e) + np.log(self.values).sum())

    def squares(self, x):
        """qᵢ²/λᵢ"""
        return ((x - self.mean) @ self.vectors) ** 2 / self.values

    def nll(self, x):
        return 0.5 * (DIM * math.log(2 * math.pi) + np.log(self.values).sum() + self.squares(x).sum(axis=1))

    def errors(self, x, points):
        """Of each picture at each point, the mean over the noise: bias and variance of (Σ⁻¹ + γ)⁻¹."""
        left = 1 / (1 + np.exp(points)[:, None] * self.values)
        return self.squares(x) @ (left * (1 - left)).T + ((1 - left) ** 2).sum(axis=1)

    def area_below(self, x, log_snr):
        gamma = math.exp(log_snr) * self.values
        return (0.5 * np.log1p(gamma) + 0.5 * (self.squares(x) - 1) * gamma / (1 + gamma)).sum(axis=1)


def lowest(curves):
    """At each point the curve with the smallest mean."""
    best = np.argmin([curve.mean(axis=0) for curve in curves], axis=0)
    return np.stack([curves[c][:, j] for j, c in enumerate(best)], axis=1)


# Variational bounds, step by step.


def schedule(net):
    if net == "ddpm":
        betas = np.linspace(1e-4 / 4, 0.02 / 4, 4000)
    else:
        signal = lambda u: np.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        steps = np.arange(4000)
        betas = np.minimum(1 - signal((steps + 1) / 4000) / signal(steps / 4000), 0.999)
    return np.cumprod(1 - betas)[np.rint(np.arange(BOUND_STEPS) * 3999 / (BOUND_STEPS - 1)).astype(int)]


def divergence(mean, log_variance, other, other_log_variance):
    """Between two normals."""
    ratio = np.exp(log_variance - other_log_variance)
    return 0.5 * (other_log_variance - log_variance + ratio - 1 + (mean - other) ** 2 * np.exp(-other_log_variance))


def log_mass(low, high):
    """ln of the standard normal's mass, in the lower half, where no digits are lost."""
    low, high = np.where(low + high > 0, -high, low), np.where(low + high > 0, -low, high)
    low, high = (torch.special.log_ndtr(torch.from_numpy(side)).numpy() for side in (low, high))
    return high + np.log1p(-np.exp(low - high))


def bounds(said, x, net):
    """The bounds on levels and on the density, in nats, the mean over the pictures."""
    x, kept = x.astype(np.float64), schedule(net)
    before = np.insert(kept[:-1], 0, 1.0)
    betas = 1 - kept / before
    small = betas * (1 - before) / (1 - kept)
    small[0] = small[1]
    total = divergence(math.sqrt(kept[-1]) * x, math.log(1 - kept[-1]), 0.0, 0.0).sum(axis=1)
    last = {}
    for t in range(BOUND_STEPS):
        log_snr = math.log(kept[t] / (1 - kept[t]))
        z, signal, noise_ = channel(x, noise(len(x), t), log_snr)
        eps, told = said(z, log_snr)
        clean = np.clip((z - noise_ * eps) / signal, -1, 1)
        of_x = math.sqrt(before[t]) * betas[t] / (1 - kept[t])
        of_z = math.sqrt(1 - betas[t]) * (1 - before[t]) / (1 - kept[t])
        if net == "iddpm":
            share = (told + 1) / 2
            log_variance = share * math.log(betas[t]) + (1 - share) * math.log(small[t])
        else:
            log_variance = np.full_like(x, math.log(betas[t] if t > 0 else small[0]))
        mean = of_x * clean + of_z * z
        if t > 0:
            total += divergence(of_x * x + of_z * z, math.log(small[t]), mean, log_variance).sum(axis=1)
            continue
        std = np.exp(0.5 * log_variance)
        low = np.where(x < -0.999, -np.inf, (x - SPACING / 2 - mean) / std)
        high = np.where(x > 0.999, np.inf, (x + SPACING / 2 - mean) / std)
        last["levels"] = -log_mass(low, high).sum(axis=1)
        density = 0.5 * (math.log(2 * math.pi) + log_variance + (x - mean) ** 2 / std**2)
        last["density"] = density.sum(axis=1)
    return {name: (total + part).mean() for name, part in last.items()}


# The run.


def run(folder, data):
    train = np.concatenate([read_pictures(data / name) for name in FILES])
    test = read_pictures(data / "test_batch.bin")[:IMAGES]
    noisy = dequantized(test)
    gaussian = Gaussian(train)
    points = np.linspace(LOC - CLIP * SCALE, LOC + CLIP * SCALE, POINTS)
    weights = trapezoid(points)
    print(f"spectrum: {gaussian.entropy():.6f} nats")
    curves, rows = {}, {}
    for tuned in (False, True):
        for net in NETS:
            said = network(folder, net, tuned)
            own = {form: squared_errors(said, noisy if form == "dequantized" else test, form, points) for form in FORMS}
            suffix = "-tuned" if tuned else ""
            curves |= {f"{net}{suffix}-{form}": own[form] for form in FORMS}
            found = bounds(said, test[:BOUND_IMAGES], net)
            name = net.upper() + (" (tune)" if tuned else "")
            rows[name] = {"variational": found["levels"], "variational_density": found["density"], "own": [own]}
    rows["Ensemble"] = {"own": [own for row in rows.values() for own in row["own"]]}

    def density(x, some):
        own = gaussian.errors(x, points)
        return gaussian.nll(x) - 0.5 * (own - lowest([own, *some])) @ weights

    j = np.arange(1, 256)
    fall = np.exp(-((j - 0.5) ** 2) * SPACING**2 * math.exp(points[-1]) / 2)
    right = DIM * (j**2 / (j - 0.5) ** 2 * fall).sum()

    def levels(some):
        area = 0.5 * lowest(some) @ weights
        return area + gaussian.area_below(test, points[0]) + right

    for row in rows.values():
        own = row.pop("own")
        of = lambda *forms: [one[form] for form in forms for one in own]
        row["density"] = density(test, of("plain")).mean()
        row["rounded"] = levels(of("rounded")).mean()
        row["better"] = levels([gaussian.errors(test, points), *of("plain", "rounded")]).mean()
        row["dequantized"] = density(noisy, of("dequantized")).mean() - DIM * math.log(SPACING)
    return {
        "spectrum": gaussian.entropy(),
        "gaussian": gaussian.errors(test, points).mean(axis=0).tolist(),
        "log_snr": points.tolist(),
        "curves": {name: curve.mean(axis=0).tolist() for name, curve in curves.items()},
        "rows": rows,
    }


def compare(found, folder):
    """The largest difference of a run's numbers, relative to their size or, below one nat, as they are."""
    theirs = json.loads((folder / "tables.json").read_text())
    assert theirs["scale"] == "smoke", "only runs at the scale `smoke` are small enough"
    spectrum = json.loads((folder / "spectrum.json").read_text())["entropy_nats"]
    pairs = [("spectrum", spectrum, found["spectrum"])]
    for row in theirs["rows"]:
        for name, value in found["rows"][row["name"]].items():
            pairs.append((f"{row['name']}: {name}", row[name]["nats"], value))
    apart = lambda pair: abs(pair[1] - pair[2]) / max(1, abs(pair[2]))
    for pair in pairs:
        print(f"{pair[0]:32} {pair[1]:18.6f} {pair[2]:18.6f} {apart(pair):.1e}")
    print(f"largest: {max(map(apart, pairs)):.1e} of {len(pairs)}")


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs="?", choices=["golden", "inputs", "check"], default="golden")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    if given.command == "inputs":
        write_inputs(given.folder, FULL_DDPM if given.full else DDPM)
    elif given.command == "check":
        compare(run(given.folder, given.data or given.folder / "inputs/cifar-10"), given.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write_inputs(folder, DDPM)
            for net, make in (("ddpm", lambda: UNet2DModel(**DDPM)), ("iddpm", lambda: UNet(**IDDPM))):
                save_file(formula.fill(make(), 2).state_dict(), folder / "tuned" / f"{net}.safetensors")
            config = json.loads((folder / "inputs/ddpm/config.json").read_text())
            found = run(folder, folder / "inputs/cifar-10")
        for name, row in found["rows"].items():
            print(name, {column: round(value, 3) for column, value in row.items()})
        text = json.dumps({"torch": torch.__version__, "config": config, **found}, indent=1)
        Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
