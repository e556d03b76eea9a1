"""Writes small checkpoints as PyTorch and safetensors write them, for `tests/checkpoints.rs`.

    python -m venv .venv-golden && .venv-golden/bin/pip install torch numpy safetensors
    .venv-golden/bin/python prelude/tests/golden/state_dicts.py

Every tensor holds numbers by a formula, so that the test needs no second file: `ramp(shape)` counts in
quarters from -1, which every type of eight bits or more of precision holds exactly.
"""

import math
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
FLOATS = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}


def ramp(*shape, dtype=torch.float32):
    return (torch.arange(math.prod(shape), dtype=torch.float32) * 0.25 - 1).reshape(shape).to(dtype)


def plain():
    return {"b": ramp(4), "a.weight": ramp(2, 3)}


def types():
    tensors = {name: ramp(3, 4, dtype=dtype) for name, dtype in FLOATS.items()}
    return tensors | {"i64": torch.arange(3), "u8": torch.arange(3, dtype=torch.uint8), "bool": torch.tensor([True])}


def module():
    """A module's own state dict: ordered, with attributes, and with a counter that is no float."""
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        net[0].weight.copy_(ramp(2, 3))
        net[0].bias.copy_(ramp(2))
    return net.state_dict()


def views():
    whole = ramp(4, 6)
    return {
        "whole": whole,
        "transposed": whole.T,
        "column": whole[:, 2],
        "steps": whole[1::2, 1:5:2],
        "permuted": ramp(2, 3, 4).permute(2, 0, 1),
        "expanded": ramp(3, 1).expand(3, 4),
        "scalar": whole[2, 3],
        "empty": whole[4:],
    }


def shared():
    whole = ramp(3, 2)
    return {"first": whole, "second": whole, "row": whole[1]}


def nested():
    """What training scripts save: the state dict, and what it takes to go on."""
    return {
        "epoch": 3,
        "state_dict": OrderedDict(plain()),
        "optimizer": {"state": {0: {"step": 5, "exp_avg": ramp(4)}}, "param_groups": [{"betas": (0.9, 0.999)}]},
        "note": "a text, ümläuts and all",
        "seed": 2**70,
        "negative": -(2**40),
        "history": [1.5, None, True],
    }


def spoilt():
    tensor = ramp(2, 3)
    tensor[1, 2] = float("nan")
    huge = ramp(2, dtype=torch.float64)
    huge[1] = 1e300
    return {"good": ramp(2), "nan": tensor, "huge": huge}


def save(name, value, **options):
    torch.save(value, HERE / name, **options)


OLD = {"_use_new_zipfile_serialization": False}

save("plain.pt", plain())
save("plain_old.pt", plain(), **OLD)
save("plain_protocol4.pt", plain(), pickle_protocol=4)
save("plain_old_protocol4.pt", plain(), pickle_protocol=4, **OLD)
save("parameters.pt", {name: nn.Parameter(value) for name, value in plain().items()})
save("types.pt", types())
save("types_old.pt", types(), **OLD)
save("module.pt", module())
save("views.pt", views())
save("views_old.pt", views(), **OLD)
save("shared.pt", shared())
save("nested.pt", nested())
save("two.pt", {"model": plain(), "ema": shared()})
save("undecided.pt", {"first": plain(), "ema": shared()})
save("spoilt.pt", spoilt())
save("no_tensor.pt", {"a": 1})
save("object.pt", nn.Linear(2, 2))
torch.serialization.set_crc32_options(False)
save("no_sums.pt", plain())

save_file(plain(), HERE / "plain.safetensors")
save_file(types(), HERE / "types.safetensors", metadata={"format": "pt", "note": "made by state_dicts.py"})
save_file(spoilt(), HERE / "spoilt.safetensors")
