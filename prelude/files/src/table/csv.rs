//! Data frames as comma-separated values.

use std::io::Cursor;

use polars::prelude::{CsvReadOptions, CsvWriter, DataFrame, SerReader, SerWriter};

use super::malformed;
use crate::error::Result;
use crate::kind;

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
///
/// Spreadsheets leave out the last line break, which is the only sign of a text that was cut off between two cells. So
/// a text without one must end with a row that is whole; a number at its very end may still have lost digits.
pub(super) fn decode(bytes: Vec<u8>, text: bool) -> Result<DataFrame> {
    if matches!(kind::of(&bytes[..bytes.len().min(kind::HEAD)]), Some((what, _)) if !what.starts_with("text"))
    {
        return Err(super::other(
            &bytes,
            "lines of cells with commas between them",
        ));
    }
    check_end(&bytes)?;
    let rows = if text { Some(0) } else { None };
    let options = CsvReadOptions::default().with_infer_schema_length(rows);
    Ok(options
        .into_reader_with_file_handle(Cursor::new(bytes))
        .finish()?)
}

/// Refuses a text that ends within a row.
fn check_end(bytes: &[u8]) -> Result<()> {
    let (mut quoted, mut cells, mut rows) = (false, 1usize, 0usize);
    let mut in_header = None;
    for &byte in bytes {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => cells += 1,
            b'\n' if !quoted => {
                in_header.get_or_insert(cells);
                (cells, rows) = (1, rows + 1);
            }
            _ => {}
        }
    }
    if quoted {
        return Err(malformed(
            "it ends within quotes; it is cut off, or a quote is missing",
        ));
    }
    let Some(in_header) = in_header else {
        return Err(malformed(
            "it has no line break, so there is no row below the names of the columns",
        ));
    };
    let whole = bytes.ends_with(b"\n") || cells == in_header;
    match whole {
        true => Ok(()),
        false => Err(malformed(format!(
            "row {} has {cells} of {in_header} cells and is the last, without a line break; the file is cut off",
            rows - 1
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DataFrame> {
        decode(text.as_bytes().to_vec(), false)
    }

    #[test]
    fn the_last_line_break_may_be_missing() {
        for end in ["", "\n", "\r\n", "\r"] {
            let frame = read(&format!("a,b\n1,x\n2,y{end}")).unwrap();
            assert_eq!(frame.height(), 2, "{end:?}");
        }
        let frame = read("\u{feff}a,\"b, c\"\r\n1,\"two\nlines, \"\"quoted\"\"\"").unwrap();
        assert_eq!((frame.height(), frame.width()), (1, 2));
        assert_eq!(read("a\n1\n2").unwrap().height(), 2);
    }

    #[test]
    fn a_row_that_is_cut_off_is_refused() {
        for (text, says) in [
            ("a,b\n1,x\n2", "row 1 has 1 of 2 cells"),
            ("a,b\n1,\"x", "within quotes"),
            ("a,b", "no line break"),
            ("", "is empty"),
            ("<!doctype html>\n<html>", "a web page"),
            (
                "version https://git-lfs.github.com/spec/v1\noid",
                "a Git LFS pointer",
            ),
            ("PK\u{3}\u{4}", "a zip archive"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{says} is not in: {error}");
        }
    }
}
