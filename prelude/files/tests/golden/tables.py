"""Writes small archives of arrays as numpy writes them, for `tests/tables.rs`.

    .venv-golden/bin/python prelude/files/tests/golden/tables.py

Each array counts 0, 1, 2, …, those of two axes row by row; truth values take turns, true first.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
KINDS = ["i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8",
         "<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]
NAME = {"<": "le_", ">": "be_", "i": "i", "u": "u"}

arrays = {}
for kind in KINDS:
    name = kind.replace("<", "le_").replace(">", "be_")
    arrays[name] = np.arange(6).astype(kind)
    arrays[name + "_rows"] = np.arange(12).reshape(6, 2).astype(kind)
    arrays[name + "_columns"] = np.asfortranarray(np.arange(12).reshape(6, 2).astype(kind))
arrays["bool"] = np.arange(6) % 2 == 0
arrays["text"] = np.array(["a", "", "ü", "four", "5", "6"])
arrays["be_text"] = arrays["text"].astype(">U4")
arrays["bytes"] = np.array([b"a", b"bc", b"", b"d", b"e", b"f"])

np.savez(HERE / "arrays.npz", **arrays)
np.savez_compressed(HERE / "arrays_compressed.npz", **arrays)
np.savez(HERE / "complex.npz", z=np.ones(2, complex))
np.savez(HERE / "dates.npz", day=np.array(["2020-01-01"], "datetime64[D]"))
np.savez(HERE / "objects.npz", allow_pickle=True, o=np.array([{}, None], object))
np.savez(HERE / "records.npz", r=np.zeros(2, [("a", "f8"), ("b", "i4")]))
np.savez(HERE / "wide.npz", w=np.ones(2, np.longdouble))
np.savez(HERE / "scalar.npz", n=np.float64(3))
