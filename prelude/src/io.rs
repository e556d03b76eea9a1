//! Curves, estimates and training logs as tables: polars data frames, and files in CSV, Parquet and numpy's
//! `.npz`.
//!
//! What a frame holds is the value: reading gives back every bit of what was written. A file is written whole or
//! not at all; one that is cut off, altered or of another kind gives an error with the file's name.
//!
//! | value | one row for each | columns |
//! |---|---|---|
//! | [`MseCurve`](crate::mmse::MseCurve) | point | `log_snr`, `weight`, `mse`, `std_err`, `rule`, `low`, `high`, `points`, `n`, `dim`, and `errors` where there are samples |
//! | [`PartialCurve`](crate::mmse::PartialCurve) | point | those of its shard and its run, and the lists `error` and `noise` |
//! | estimates with names | estimate | `name`, `nats`, `std_err`, `n`, `dim`, `bits_per_dim` |
//! | [`Fit`](crate::train::Fit) | step | those of its [history](crate::train::Fit::history), `gaussian`, `planned`, `batch`, `samples`, `objective`, `total_seconds` |
//! | a data frame | row | its own |
//!
//! # Example: estimates to keep
//! ```
//! use itd_prelude::{estimate::Estimate, io};
//!
//! let path = std::env::temp_dir().join(format!("itd-{}.csv", std::process::id()));
//! let nll = Estimate { nats: 1.2185, std_err: 0.0042, n: 400, dim: 2 };
//! io::write(&path, &[("U-Net", nll), ("N(μ, Σ)", Estimate::exact(1.5, 2))])?;
//! let read: Vec<(String, Estimate)> = io::read(&path)?;
//! assert_eq!(read[0], ("U-Net".to_owned(), nll));
//! # let _ = std::fs::remove_file(path);
//! # Ok::<(), itd_prelude::Error>(())
//! ```

mod columns;
mod csv;
mod curve;
mod estimates;
mod log;
mod npz;
mod parquet;
mod shard;

use std::fs;
use std::io::Write;
use std::path::Path;

use polars::prelude::DataFrame;

use crate::error::{Error, Result};
use crate::file;

pub use shard::{merge_files, merge_folder, mse_curve_shard_to};

/// A value that is a table.
pub trait ToFrame {
    /// The value as a data frame.
    ///
    /// # Errors
    /// Whatever keeps the value from being read back: lists of unequal length, NaN.
    fn to_frame(&self) -> Result<DataFrame>;
}

/// A value that a table can be read as.
pub trait FromFrame: Sized {
    /// Whether cells that a file has only as text come as text, for [`Self::from_frame`] to read. Otherwise their
    /// type is guessed.
    const TEXT: bool = true;

    /// The value that a data frame holds.
    ///
    /// # Errors
    /// [`Error::Table`] with the column, row and what is wrong there.
    fn from_frame(frame: &DataFrame) -> Result<Self>;
}

impl ToFrame for DataFrame {
    fn to_frame(&self) -> Result<DataFrame> {
        Ok(self.clone())
    }
}

impl FromFrame for DataFrame {
    const TEXT: bool = false;

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(frame.clone())
    }
}

/// Kinds of files, by the end of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Parquet,
    Npz,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
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

    fn encode(self, frame: DataFrame) -> Result<Vec<u8>> {
        match self {
            Self::Csv => csv::encode(frame),
            Self::Parquet => parquet::encode(frame),
            Self::Npz => npz::encode(&frame),
        }
    }

    fn decode(self, bytes: Vec<u8>, text: bool) -> Result<DataFrame> {
        match self {
            Self::Csv => csv::decode(bytes, text),
            Self::Parquet => parquet::decode(bytes),
            Self::Npz => npz::decode(&bytes),
        }
    }
}

/// Writes a value to a file: `.csv`, `.parquet` or `.npz`, by the end of the name.
///
/// CSV has no lists, so a curve with the errors of single samples goes to the other two; its means alone are
/// `curve.to_frame()?.drop("errors")?`, which is a data frame and can go anywhere.
///
/// # Errors
/// [`Error::Parameter`] for another kind of file; [`Error::File`] when the value does not fit into the file or
/// the system refuses. What was there before is unchanged then.
pub fn write<T: ToFrame + ?Sized>(path: impl AsRef<Path>, value: &T) -> Result<()> {
    let path = path.as_ref();
    let format = Format::of(path)?;
    let bytes = value.to_frame().and_then(|frame| format.encode(frame));
    let bytes = bytes.map_err(|error| of_file(path, error))?;
    file::replace(path, |file| file.write_all(&bytes)).map_err(|error| of_file(path, error))
}

/// Reads a value from a file that [`write()`] wrote, or that has the same columns.
///
/// # Errors
/// [`Error::Parameter`] for another kind of file; [`Error::File`] when it cannot be read or does not hold such
/// a value.
///
/// # Example: a curve, bit for bit
/// ```
/// use itd_prelude::{data::Spectrum, io, logsnr::LogisticLogSnr, mmse::{self, MseCurve}};
///
/// let points = LogisticLogSnr::new(0.0, 1.0, 4.0)?.quadrature(11)?;
/// let curve = mmse::gaussian_curve(&Spectrum::standard(2)?, &points)?;
/// let path = std::env::temp_dir().join(format!("itd-{}.npz", std::process::id()));
/// io::write(&path, &curve)?;
/// let read: MseCurve = io::read(&path)?;
/// assert_eq!(read.mse, curve.mse);
/// # let _ = std::fs::remove_file(path);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn read<T: FromFrame>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let format = Format::of(path)?;
    let bytes = fs::read(path).map_err(|error| of_file(path, error))?;
    let frame = format.decode(bytes, T::TEXT);
    frame
        .and_then(|frame| T::from_frame(&frame))
        .map_err(|error| of_file(path, error))
}

fn of_file<E: std::error::Error + Send + Sync + 'static>(path: &Path, error: E) -> Error {
    Error::File {
        path: path.to_owned(),
        cause: error.into(),
    }
}

/// A table that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Malformed(String);

fn malformed(text: impl Into<String>) -> Error {
    Error::Table(Malformed(text.into()).into())
}

#[cfg(test)]
mod tests;
