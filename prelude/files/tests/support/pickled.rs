//! Checkpoints: those that PyTorch wrote, and pickles made by hand.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use itd_files::candle::{Device, Tensor};
use itd_files::checkpoint::Checkpoint;
use itd_files::{Error, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Folder, named};

/// A file that `golden/state_dicts.py` made.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The file's bytes.
pub fn golden_bytes(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap()
}

/// An archive of any files, stored or compressed as it is said.
pub fn zip_of(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A checkpoint with a pickle and storages by key.
pub fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = storages
        .iter()
        .map(|(key, _)| format!("a/data/{key}"))
        .collect();
    let mut files = vec![("a/data.pkl", pickle)];
    files.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(storages.iter().map(|(_, bytes)| *bytes)),
    );
    zip_of(&files, CompressionMethod::Stored)
}

/// A program of protocol 2.
pub fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

pub fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08", &number.to_le_bytes()[..]].concat()
}

pub fn ints(numbers: &[i64]) -> Vec<u8> {
    let numbers: Vec<_> = numbers.iter().map(|&number| int(number)).collect();
    [b"(", &numbers.concat()[..], b"t"].concat()
}

/// The reference to a storage.
pub fn storage(class: &str, key: &str, count: i64) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n").into_bytes();
    [
        b"(".to_vec(),
        text("storage"),
        class,
        text(key),
        text("cpu"),
        int(count),
        b"tQ".to_vec(),
    ]
    .concat()
}

/// A tensor of a storage.
pub fn tensor(storage: &[u8], offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(",
        storage,
        &int(offset),
        &ints(shape),
        &ints(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A dict of texts and values.
pub fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"}(", &pairs.concat()[..], b"u"].concat()
}

/// A dict of one tensor `w` with two values, in a storage `0`.
pub fn one() -> Vec<u8> {
    pickle(&dict(&[(
        "w",
        tensor(&storage("FloatStorage", "0", 2), 0, &[2], &[1]),
    )]))
}

/// A file in safetensors with any header.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        data,
    ]
    .concat()
}

/// 1 and 2, as `f32`.
pub const TWO: &[u8] = &[0, 0, 128, 63, 0, 0, 0, 64];

/// A state dict of the program `w`, with a storage `0` of two values.
pub fn of(w: Vec<u8>) -> Vec<u8> {
    archive(&pickle(&dict(&[("w", w)])), &[("0", TWO)])
}

/// Opens a file and reads all its floats.
pub fn read(path: &Path) -> Result<Vec<Tensor>> {
    let file = Checkpoint::open(path)?;
    let names = file.entries().iter().map(|entry| &entry.name);
    names.map(|name| file.tensor(name, &Device::Cpu)).collect()
}

/// Writes a file that was not there: some systems wait for the disk when one is written over.
pub fn fresh(folder: &Folder, name: &str, content: &[u8]) -> PathBuf {
    let _ = fs::remove_file(folder.0.join(name));
    folder.write(name, content)
}

/// Asserts that a file is refused, by an error that names it and says where; gives the text.
#[track_caller]
pub fn refused(folder: &Folder, content: &[u8]) -> String {
    let path = fresh(folder, "bad", content);
    let error = read(&path).expect_err("a bad file was read");
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&named(&path)) && text.contains("byte "),
        "{text}"
    );
    text
}

/// As [`refused`], for a reason.
#[track_caller]
pub fn says(folder: &Folder, content: &[u8], part: &str) {
    let text = refused(folder, content);
    assert!(text.contains(part), "{part} is not in: {text}");
}
