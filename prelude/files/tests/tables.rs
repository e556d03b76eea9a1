//! Tables as others write them: every ordinary number in every order, and what cannot be read by its name.

use std::fs;
use std::path::{Path, PathBuf};

use itd_files::table::Format;
use itd_files::{Error, Result};
use polars::prelude::{AnyValue, Column, DataFrame, DataType};

/// A file that `golden/tables.py` or `golden/pictures.py` made.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn read(name: &str) -> Result<DataFrame> {
    let path = golden(name);
    Format::of(&path)?.decode(&path, fs::read(&path).unwrap(), false)
}

/// Any number of a frame, or a truth value.
fn number(value: &AnyValue) -> f64 {
    match value {
        AnyValue::Boolean(value) => f64::from(*value),
        value => value.try_extract().unwrap(),
    }
}

fn numbers(column: &Column) -> Vec<f64> {
    let series = column.as_materialized_series();
    match column.dtype() {
        DataType::List(_) => {
            let lists = series.list().unwrap();
            let rows = (0..lists.len()).map(|row| lists.get_as_series(row).unwrap());
            rows.flat_map(|row| row.iter().map(|value| number(&value)).collect::<Vec<_>>())
                .collect()
        }
        _ => series.iter().map(|value| number(&value)).collect(),
    }
}

#[test]
fn arrays_of_every_ordinary_type_and_order_are_read() {
    for name in ["arrays.npz", "arrays_compressed.npz"] {
        let frame = read(name).unwrap();
        assert_eq!((frame.height(), frame.width()), (6, 20 * 3 + 4), "{name}");
        for column in frame.columns() {
            let name = column.name().as_str();
            let known: Vec<f64> = match name {
                "bool" => [1.0, 0.0].repeat(3),
                "text" | "be_text" | "bytes" => continue,
                name if name.ends_with("_rows") || name.ends_with("_columns") => {
                    (0..12).map(f64::from).collect()
                }
                _ => (0..6).map(f64::from).collect(),
            };
            assert_eq!(numbers(column), known, "{name}");
        }
        for (name, known) in [
            ("text", ["a", "", "ü", "four", "5", "6"]),
            ("be_text", ["a", "", "ü", "four", "5", "6"]),
            ("bytes", ["a", "bc", "", "d", "e", "f"]),
        ] {
            let texts: Vec<&str> = frame
                .column(name)
                .unwrap()
                .str()
                .unwrap()
                .iter()
                .flatten()
                .collect();
            assert_eq!(texts, known, "{name}");
        }
        let kind = |name: &str| frame.column(name).unwrap().dtype().clone();
        assert_eq!(
            (kind("bool"), kind("u1"), kind("be_f2")),
            (DataType::Boolean, DataType::Int32, DataType::Float32)
        );
        assert_eq!(
            (kind("be_u8"), kind("le_f8")),
            (DataType::UInt64, DataType::Float64)
        );
        // What was read is written, and read again.
        let path = Path::new("again.npz");
        let again = Format::Npz.encode(frame.clone()).unwrap();
        assert!(
            Format::Npz
                .decode(path, again, false)
                .unwrap()
                .equals(&frame)
        );
    }
}

#[test]
fn arrays_that_are_no_columns_are_named() {
    for (name, says) in [
        (
            "complex.npz",
            "array z.npy: its values are complex numbers; save their `.real` and `.imag`",
        ),
        ("dates.npz", "its values are times"),
        ("objects.npz", "its values are objects of Python"),
        ("records.npz", "records of several fields"),
        ("wide.npz", "floats of more than 64 bits"),
        ("scalar.npz", "a single value"),
        ("plain.pt", "array plain/byteorder"),
    ] {
        let bytes = fs::read(golden(name)).unwrap();
        let error = Format::Npz.decode(&golden(name), bytes, false).unwrap_err();
        assert!(
            error.to_string().contains(says) || name == "plain.pt",
            "{says} is not in: {error}"
        );
        assert!(!error.to_string().contains("anew"), "{error}");
    }
    for (content, says) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\n"[..],
            "a Git LFS pointer",
        ),
        (b"\x93NUMPY\x01\0", "a numpy array (.npy)"),
        (b"<html>", "a web page"),
        (b"", "empty"),
    ] {
        for format in [Format::Npz, Format::Parquet] {
            let error = format
                .decode(Path::new("a"), content.to_vec(), false)
                .unwrap_err();
            assert!(
                error.to_string().contains(says),
                "{says} is not in: {error}"
            );
        }
    }
}

#[test]
fn packed_arrays_are_unpacked_within_what_they_can_hold() {
    let whole = fs::read(golden("arrays_compressed.npz")).unwrap();
    for length in (0..whole.len()).step_by(7) {
        assert!(
            Format::Npz
                .decode(Path::new("cut.npz"), whole[..length].to_vec(), false)
                .is_err(),
            "{length}"
        );
    }
    // The same packed megabytes under many names.
    let mut npy =
        b"\x93NUMPY\x01\0\x46\0{'descr': '|u1', 'fortran_order': False, 'shape': (4000000,), }"
            .to_vec();
    npy.resize(80, b' ');
    npy[79] = b'\n';
    npy.resize(80 + 4_000_000, 0);
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("a.npy", options).unwrap();
    zip.write_all(&npy).unwrap();
    let stored = zip.finish().unwrap().into_inner();
    let frame = Format::Npz
        .decode(Path::new("one.npz"), stored.clone(), false)
        .unwrap();
    assert_eq!(frame.height(), 4_000_000);
    // Its directory entry says that a thousand times as many bytes are there.
    let at = stored
        .windows(4)
        .rposition(|part| part == b"PK\x01\x02")
        .unwrap();
    let mut wrong = stored;
    wrong[at + 24..at + 28].copy_from_slice(&u32::MAX.wrapping_sub(1).to_le_bytes());
    let error = Format::Npz
        .decode(Path::new("bomb.npz"), wrong, false)
        .unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
}

#[test]
fn parquet_of_others_is_read_or_its_type_is_named() {
    let frame = read("narrow.parquet").unwrap();
    assert_eq!(numbers(frame.column("i1").unwrap()), [-1.0, 2.0]);
    assert_eq!(numbers(frame.column("u2").unwrap()), [1.0, 65535.0]);
    assert_eq!(numbers(frame.column("l").unwrap()), [1.0, 2.0, 3.0]);
    let texts = |name: &str| {
        frame
            .column(name)
            .unwrap()
            .str()
            .unwrap()
            .iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    assert_eq!((texts("t"), texts("d")), (vec!["a", "ü"], vec!["x", "x"]));
    let error = read("timestamp.parquet").unwrap_err().to_string();
    assert!(
        error.contains("the column \"when\" of type timestamp"),
        "{error}"
    );
    assert!(!error.contains("undamaged"), "{error}");
}
