//! Curves, estimates and training logs as tables: polars data frames, and files in CSV, Parquet and numpy's
//! `.npz`.
//!
//! What a frame holds is the value: reading gives back every bit of what was written. A file is written whole or
//! not at all; one that is cut off, altered or of another kind gives an error with the file's name.
//!
//! | value | one row for each | columns |
//! |---|---|---|
//! | [`MseCurve`](crate::curve::MseCurve) | point | `log_snr`, `weight`, `mse`, `std_err`, `rule`, `low`, `high`, `points`, `n`, `dim`, `data`, and `errors` where those of samples were kept |
//! | [`PartialCurve`](crate::curve::PartialCurve) | point | those of its shard and its run, and the lists `error` and `noise` |
//! | estimates with names | estimate | `name`, `nats`, `std_err`, `n`, `dim`, `bits_per_dim` |
//! | [`Fit`](crate::train::Fit) | step | those of its [history](crate::train::Fit::history), `baseline`, `baseline_name`, `planned`, `batch`, `samples`, `quantity`, `unit`, `digits`, `total_seconds` |
//! | [`Outcomes`](crate::recommender::Outcomes) | outcome | its fields |
//! | [`Pairs`](crate::task::Pairs) | pair | the lists `x` and `y` |
//! | a data frame | row | its own |
//!
//! # Example: estimates to keep
//! ```
//! use itd_prelude::{estimate::Estimate, io};
//!
//! let path = std::env::temp_dir().join(format!("itd-{}.csv", std::process::id()));
//! let nll = Estimate::new(1.2185, 0.0042, 400).of_dim(2);
//! io::write(&path, &[("U-Net", nll.clone()), ("N(μ, Σ)", Estimate::exact(1.5).of_dim(2))])?;
//! let read: Vec<(String, Estimate)> = io::read(&path)?;
//! assert_eq!(read[0], ("U-Net".to_owned(), nll));
//! # let _ = std::fs::remove_file(path);
//! # Ok::<(), itd_prelude::Error>(())
//! ```

mod columns;
mod curve;
mod estimates;
mod log;
mod outcomes;
mod pairs;
mod shard;

use std::io::Write;
use std::path::Path;

use itd_files::table::{Format, malformed};
use polars::prelude::DataFrame;

use crate::error::{Error, Result};
use crate::file;

pub use pairs::task_samples;
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
/// [`Error::Parameter`] for another kind of file; [`Error::File`] or [`Error::Format`] when it cannot be read or does
/// not hold such a value; [`Error::Memory`] when it does not fit. A CSV file may lack its last line break, as
/// spreadsheets write it; its last row must be whole.
///
/// # Example: a curve, bit for bit
/// ```
/// use itd_prelude::{curve::MseCurve, distribution::Gaussian, io, logsnr::Logistic};
///
/// let points = Logistic::new(0.0, 1.0, 4.0)?.quadrature(11)?;
/// let curve = Gaussian::standard(2)?.curve(&points)?;
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
    let bytes = file::whole(path)?;
    let frame = format.decode(path, bytes, T::TEXT);
    frame
        .and_then(|frame| T::from_frame(&frame))
        .map_err(|error| in_file(path, error))
}

fn of_file<E: std::error::Error + Send + Sync + 'static>(path: &Path, error: E) -> Error {
    Error::File {
        path: path.to_owned(),
        cause: error.into(),
    }
}

/// The error about what is in a file, which some name already.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Format { .. } | Error::File { .. } => error,
        error => of_file(path, error),
    }
}

#[cfg(test)]
mod tests;
