"""Parameters and inputs by formula, so that only outputs need to be stored; tests/golden.rs has its twin.

A number is the n-th output of SplitMix64 (Steele, Lea, Flood 2014) whose state starts at the 64-bit FNV-1a
hash of "seed/name". Its upper 24 bits make a number u in [-1, 1), exactly.
"""

import numpy as np
import torch

GAMMA = np.uint64(0x9E3779B97F4A7C15)
MASK = (1 << 64) - 1


def state(text):
    """The 64-bit FNV-1a hash."""
    hash_ = 0xCBF29CE484222325
    for byte in text.encode():
        hash_ = ((hash_ ^ byte) * 0x100000001B3) & MASK
    return np.uint64(hash_)


def uniform(name, seed, shape):
    """Numbers in [-1, 1), f64."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = state(f"{seed}/{name}") + np.arange(1, count + 1, dtype=np.uint64) * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).reshape(shape)


def parameter(name, seed, shape):
    """Weights of variance 1/inputs, scales near 1, shifts near 0: none is 0, so that each one matters."""
    u = uniform(name, seed, shape)
    if len(shape) > 1:
        u = u * np.sqrt(3.0 / np.prod(shape[1:]))
    elif name.endswith("weight"):
        u = 1.0 + 0.25 * u
    else:
        u = 0.25 * u
    return torch.from_numpy(u.astype(np.float32))


def fill(model, seed):
    """The state that a model has in a test."""
    state_ = {name: parameter(name, seed, tuple(t.shape)) for name, t in model.state_dict().items()}
    model.load_state_dict(state_)
    return model.eval()


def picture(seed, shape):
    """An input."""
    return torch.from_numpy((1.5 * uniform("picture", seed, shape)).astype(np.float32))


def layout(model):
    """Names and shapes of the parameters, as text: `name 1,2,3`, one a line."""
    lines = (f"{name} {','.join(map(str, t.shape))}" for name, t in sorted(model.state_dict().items()))
    return "\n".join(lines)
