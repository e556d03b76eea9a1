//! Data frames as numpy's `.npz`: an archive with one array for each column.
//!
//! Numbers are arrays of one axis, text is numpy's `<U`, lists of equal length are arrays of two axes. Nothing is
//! allocated on the word of a header: what an array claims to hold must lie in the file.

mod array;

use std::io::{Cursor, Read, Write};

use polars::prelude::{Column, DataFrame};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use self::array::Array;
use super::malformed;
use crate::error::{Error, Result};

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

pub(super) fn decode(bytes: &[u8]) -> Result<DataFrame> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(foreign)?;
    let mut columns: Vec<Column> = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(foreign)?;
        let name = entry.name().map_err(foreign)?.into_owned();
        let of_array = |error: Error| malformed(format!("array {name}: {error}"));
        if entry.compression() != CompressionMethod::Stored {
            return Err(of_array(malformed(
                "it is compressed; write it with `numpy.savez`, not `savez_compressed`",
            )));
        }
        if entry.size() > bytes.len() as u64 {
            return Err(of_array(malformed("it is larger than the file")));
        }
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .map_err(|error| of_array(foreign(error)))?;
        let array = Array::decode(&content).map_err(of_array)?;
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
