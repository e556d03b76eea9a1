"""Writes src/data/digits.bin: 1,797 records of one label byte and 64 pixel bytes (0 to 16), row by row.

Source: "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine
Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0; the test part, in the copy that
scikit-learn ships. Changed: the text table was packed into bytes, nothing else.

    python -m venv /tmp/digits && /tmp/digits/bin/pip install scikit-learn
    /tmp/digits/bin/python prelude/scripts/make_digits.py
"""

import zlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
records = np.column_stack([digits.target, digits.data]).astype(np.uint8)
assert records.shape == (1797, 65) and records[:, 1:].max() == 16

path = Path(__file__).parent.parent / "src" / "data" / "digits.bin"
path.write_bytes(records.tobytes())
print(path, path.stat().st_size, "bytes, Adler-32", zlib.adler32(records.tobytes()))
print("per class:", np.bincount(digits.target).tolist())
