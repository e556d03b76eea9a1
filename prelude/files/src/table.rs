//! Data frames in files: CSV, Parquet, and numpy's `.npz`.
//!
//! | file | written | read |
//! |---|---|---|
//! | `.csv` | with as many digits as bring each number back | with or without a last line break; rows must be whole |
//! | `.parquet` | with a check sum of its own | numbers, truth values, text, bytes, lists and structs |
//! | `.npz` | one array for each column | any numbers, truth values and text, in any order of bytes and axes, packed or not |

mod csv;
mod npy;
mod npz;
mod parquet;

use std::path::Path;

use polars::prelude::DataFrame;

use crate::error::{Error, Result};
use crate::kind;

/// Kinds of files, by the end of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// Parquet.
    Parquet,
    /// numpy's archive of arrays.
    Npz,
}

impl Format {
    /// The kind of a file.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another ending.
    pub fn of(path: &Path) -> Result<Self> {
        let end = path.extension().unwrap_or_default().to_string_lossy();
        match end.to_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            "npz" => Ok(Self::Npz),
            _ => Err(Error::Parameter {
                name: "the end of the file's name",
                got: format!("{:?} in {}", end, path.display()),
                need: ".csv, .parquet or .npz",
            }),
        }
    }

    /// The bytes of a file with the frame.
    ///
    /// # Errors
    /// [`Error::Table`] when the format cannot hold it.
    pub fn encode(self, frame: DataFrame) -> Result<Vec<u8>> {
        match self {
            Self::Csv => csv::encode(frame),
            Self::Parquet => parquet::encode(frame),
            Self::Npz => npz::encode(&frame),
        }
    }

    /// The frame in the bytes of a file, whose name is for errors. Cells that a file has only as text come as text, or
    /// of the type that they look like.
    ///
    /// # Errors
    /// [`Error::Table`] or [`Error::Format`] when it is of another kind, cut off, damaged, or of types that cannot be
    /// read.
    pub fn decode(self, path: &Path, bytes: Vec<u8>, text: bool) -> Result<DataFrame> {
        match self {
            Self::Csv => csv::decode(bytes, text),
            Self::Parquet => parquet::decode(bytes),
            Self::Npz => npz::decode(path, bytes),
        }
    }
}

/// A table that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Malformed(String);

/// The error about a table that is not what it should be.
pub fn malformed(text: impl Into<String>) -> Error {
    Error::Table(Malformed(text.into()).into())
}

/// The error about a file that is of another kind, by its first bytes.
fn other(bytes: &[u8], need: &str) -> Error {
    let (got, next) = kind::described(&bytes[..bytes.len().min(kind::HEAD)]);
    malformed(kind::with_advice(
        &format!("it is {got}; it must be {need}"),
        next,
    ))
}
