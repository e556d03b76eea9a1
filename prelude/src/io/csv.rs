//! Data frames as comma-separated values.

use std::io::Cursor;

use polars::prelude::{CsvReadOptions, CsvWriter, DataFrame, SerReader, SerWriter};

use super::malformed;
use crate::error::Result;

/// The frame as text, with as many digits as bring each number back.
pub(super) fn encode(mut frame: DataFrame) -> Result<Vec<u8>> {
    if let Some(column) = frame.columns().iter().find(|c| c.dtype().is_nested()) {
        let name = column.name();
        return Err(malformed(format!(
            "CSV cannot hold the lists in column {name}; write a .parquet or .npz file, or leave it out: \
             `value.to_frame()?.drop({name:?})?`"
        )));
    }
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame)?;
    Ok(bytes)
}

/// The frame in a text; all cells as text, or of the type that they look like.
pub(super) fn decode(bytes: Vec<u8>, text: bool) -> Result<DataFrame> {
    if bytes.last() != Some(&b'\n') {
        return Err(malformed(
            "the last line has no end, so the file may be cut off; if it is whole, add a line break",
        ));
    }
    let rows = if text { Some(0) } else { None };
    let options = CsvReadOptions::default().with_infer_schema_length(rows);
    Ok(options
        .into_reader_with_file_handle(Cursor::new(bytes))
        .finish()?)
}
