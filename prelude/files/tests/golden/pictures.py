"""Writes small files of pictures as Pillow, numpy and pyarrow write them, for `tests/pictures.rs`.

    python -m venv .venv-golden && .venv-golden/bin/pip install pillow numpy pyarrow
    .venv-golden/bin/python prelude/files/tests/golden/pictures.py

Pixels are by a formula that the test knows: red 16·row, green 16·column, blue 255 in the upper left corner of 4×4 and
0 elsewhere, in pictures of 8 rows and 12 columns.
"""

import io
import pickle
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = Path(__file__).parent
ROWS, COLUMNS = 8, 12


def picture():
    pixels = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    pixels[..., 0] = 16 * np.arange(ROWS)[:, None]
    pixels[..., 1] = 16 * np.arange(COLUMNS)[None]
    pixels[:4, :4, 2] = 255
    return pixels


def turned(orientation):
    """The pixels as a camera stores them that notes this orientation: what undoes it, applied."""
    pixels = picture()
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    return Image.fromarray(np.ascontiguousarray(undo[orientation](pixels)))


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


for orientation in range(1, 9):
    # What Pillow itself makes of the note is the picture.
    from PIL import ImageOps

    file = encoded(turned(orientation), "PNG", exif=exif(orientation))
    assert (np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(file)))) == picture()).all(), orientation
    (HERE / f"turned_{orientation}.png").write_bytes(file)

SHARP = {"quality": 100, "subsampling": 0}
(HERE / "colour.jpg").write_bytes(encoded(Image.fromarray(picture()), "JPEG", **SHARP))
(HERE / "progressive.jpg").write_bytes(encoded(Image.fromarray(picture()), "JPEG", progressive=True, **SHARP))
(HERE / "turned_6.jpg").write_bytes(encoded(turned(6), "JPEG", exif=exif(6), **SHARP))
(HERE / "grey.jpg").write_bytes(encoded(Image.fromarray(picture()[..., 0]), "JPEG", quality=100))
(HERE / "cmyk.jpg").write_bytes(encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=100))


def table(name, images, labels, **more):
    structs = [{"bytes": image, "path": f"{i}.png"} for i, image in enumerate(images)]
    pq.write_table(pa.table({"image": structs, "label": labels, **more}), HERE / name)


png = encoded(Image.fromarray(picture()), "PNG")
jpeg = (HERE / "colour.jpg").read_bytes()
when = pa.array([datetime(2020, 1, 1)] * 2, pa.timestamp("us"))
for kind in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64"]:
    table(f"labels_{kind}.parquet", [png, png], pa.array([7, 3], kind))
table("more_columns.parquet", [png, png], pa.array([7, 3], "int64"), when=when, half=np.zeros(2, np.float16))
table("jpeg.parquet", [jpeg, png], pa.array([7, 3], "int64"))
pq.write_table(pa.table({"image": [png, png], "label": [1, 2]}), HERE / "plain_bytes.parquet")
pq.write_table(pa.table({"a": [1.5, 2.5], "when": when}), HERE / "timestamp.parquet")
pq.write_table(
    pa.table({"i1": pa.array([-1, 2], "int8"), "u2": pa.array([1, 65535], "uint16"), "f": [0.5, 1.5], "t": ["a", "ü"],
              "d": pa.array(["x", "x"]).dictionary_encode(), "l": [[1, 2], [3]]}),
    HERE / "narrow.parquet",
)

# A batch as Python 3 pickles it; that of Python 2 is made by the test.
batch = {b"batch_label": b"training batch 1 of 5", b"labels": [6, 9],
         b"data": (np.arange(2 * 3072) % 251).astype(np.uint8).reshape(2, 3072), b"filenames": [b"a.png", b"b.png"]}
(HERE / "cifar_batch").write_bytes(pickle.dumps(batch, protocol=4))
