//! Data frames as numpy's `.npz`: an archive with one array for each column.
//!
//! Numbers are arrays of one axis, text is numpy's `<U`, lists of equal length are arrays of two axes. Nothing is
//! allocated on the word of a header: what an array claims to hold must lie in the file, or be what its packed bytes
//! may become.

use std::io::{Cursor, Write};
use std::path::Path;

use polars::prelude::{Column, DataFrame};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::malformed;
use super::npy::Array;
use crate::checkpoint::archive;
use crate::error::{Error, Result};
use crate::random_access::RandomAccessFile;

pub(super) fn encode(frame: &DataFrame) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Sizes beyond 4 GiB need a longer header, which numpy reads too.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    for column in frame.columns() {
        let array = Array::from_column(column)?;
        zip.start_file(format!("{}.npy", column.name()), options)
            .map_err(foreign)?;
        zip.write_all(&array.encode()).map_err(foreign)?;
    }
    Ok(zip.finish().map_err(foreign)?.into_inner())
}

pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<DataFrame> {
    if !bytes.starts_with(archive::MAGIC) {
        return Err(super::other(
            &bytes,
            "an archive of arrays, as `numpy.savez` writes it",
        ));
    }
    let file = RandomAccessFile::of_bytes(path, bytes);
    let mut files: Vec<_> = archive::directory(&file)?.into_iter().collect();
    // In the order in which they were written.
    files.sort_by_key(|(_, stored)| stored.entry);
    // Entries may share their bytes; all of them together must be what the file can become.
    let most = file.length.saturating_mul(archive::BEST_RATIO);
    let mut left = most;
    let mut columns: Vec<Column> = Vec::new();
    for (name, stored) in files {
        let of_array = |error: Error| malformed(format!("array {name}: {error}"));
        left = left.checked_sub(stored.bytes).ok_or_else(|| {
            malformed(format!(
                "its arrays claim more than the {most} bytes that such a file can become"
            ))
        })?;
        let array = Array::decode(&stored.content(&file)?).map_err(of_array)?;
        let short = name.strip_suffix(".npy").unwrap_or(&name);
        columns.push(array.into_column(short).map_err(of_array)?);
    }
    let height = columns.first().map_or(0, Column::len);
    if let Some(other) = columns.iter().find(|column| column.len() != height) {
        return Err(malformed(format!(
            "the arrays {} and {} have {height} and {} rows; a table needs equally many",
            columns[0].name(),
            other.name(),
            other.len()
        )));
    }
    Ok(DataFrame::new(height, columns)?)
}

fn foreign<E: std::error::Error + Send + Sync + 'static>(error: E) -> Error {
    Error::Table(error.into())
}
