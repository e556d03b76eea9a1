//! What can go wrong, said so that the reader knows what to do next.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting lies outside of what it may be. NaN lies outside of everything.
    #[error("{name} is {got}; it must be {need}", got = brief(.got))]
    Parameter {
        /// The setting, as the user writes it.
        name: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        need: &'static str,
    },
    /// A tensor has the wrong shape.
    #[error("{what} has shape {got:?}; it must be {need}")]
    Shape {
        /// The tensor, as the user knows it.
        what: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// What is needed, in words.
        need: String,
    },
    /// There is nothing to work on.
    #[error("{what} is empty; at least one is needed")]
    Empty {
        /// What is empty.
        what: &'static str,
    },
    /// Something that is asked for is not there.
    #[error("{what}; {next}")]
    Missing {
        /// What is not there, as a sentence.
        what: String,
        /// What to try.
        next: &'static str,
    },
    /// Two things do not belong together.
    #[error("{what} do not fit: {left} against {right}; {next}", left = brief(.left), right = brief(.right))]
    Mismatch {
        /// The two, in words.
        what: &'static str,
        /// The first one's property.
        left: String,
        /// The second one's.
        right: String,
        /// What to try.
        next: &'static str,
    },
    /// Data do not vary in some direction, so that they have no density.
    #[error(
        "{zeros} of {dim} eigenvalues of the covariance are 0, so there is no density; \
         `dequantize` discrete data, or give more samples than dimensions"
    )]
    Degenerate {
        /// Eigenvalues that are not > 0.
        zeros: usize,
        /// All eigenvalues.
        dim: usize,
    },
    /// Training left the numbers that a computer can hold.
    #[error(
        "training diverged at step {step}: the loss is {loss} and the gradient's norm {gradient}{}; \
         try a smaller learning rate, or look for outliers in the data",
        log_snr.map_or_else(String::new, |(low, high)| format!(", with log-SNR from {low:.2} to {high:.2}")),
        loss = brief(&loss.to_string()),
        gradient = brief(&gradient.to_string())
    )]
    Diverged {
        /// The step, counted from 1.
        step: usize,
        /// The loss of that step's batch.
        loss: f64,
        /// Norm of the gradient of all parameters.
        gradient: f64,
        /// The smallest and the largest log-SNR of the batch, where there is any.
        log_snr: Option<(f64, f64)>,
    },
    /// A number that should be finite is not.
    #[error("{what} is not finite ({got}); {next}")]
    NotFinite {
        /// What was computed.
        what: &'static str,
        /// Its value.
        got: f64,
        /// What to try.
        next: &'static str,
    },
    /// Something is larger than the memory that is free.
    #[error(
        "{what} would take {size} of memory, and {free} are free; take fewer samples, points or dimensions",
        size = size_of(*.bytes), free = size_of(Some(*.free))
    )]
    Memory {
        /// What is too large, with its shape.
        what: String,
        /// What it takes, in bytes; `None` when that cannot be counted.
        bytes: Option<u64>,
        /// What is free, in bytes.
        free: u64,
    },
    /// The user stopped a long loop.
    #[error(transparent)]
    Interrupted(Interrupted),
    /// A file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: Foreign,
    },
    /// A server does not give what was asked of it.
    #[error("{url}: {cause}")]
    Network {
        /// What was asked for.
        url: String,
        /// Why it did not come, in words.
        cause: String,
    },
    /// A file is not what its format, or the data set that it belongs to, demands.
    #[error("{path}, {at}: {what} is {got}; it must be {need}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        at: Place,
        /// What was read.
        what: &'static str,
        /// Its value.
        got: String,
        /// What is needed, in words.
        need: String,
    },
    /// A tensor operation failed.
    #[error("{0}")]
    Tensor(Foreign),
    /// A data frame operation failed.
    #[error("{0}")]
    Table(Foreign),
    /// A figure cannot be drawn.
    #[error("the figure cannot be drawn: {0}")]
    Draw(String),
    /// A claim of a notebook is false; see [`check!`](crate::check!).
    #[error("{0}")]
    Check(String),
    /// An error of another kind, in its words: what was to be shown could not be made.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The name of the variant, which notebooks show as the kind of the error.
    pub fn name(&self) -> &'static str {
        match self {
            Error::Parameter { .. } => "Parameter",
            Error::Shape { .. } => "Shape",
            Error::Empty { .. } => "Empty",
            Error::Missing { .. } => "Missing",
            Error::Mismatch { .. } => "Mismatch",
            Error::Degenerate { .. } => "Degenerate",
            Error::Diverged { .. } => "Diverged",
            Error::NotFinite { .. } => "NotFinite",
            Error::Memory { .. } => "Memory",
            Error::Interrupted(_) => "Interrupted",
            Error::File { .. } => "File",
            Error::Network { .. } => "Network",
            Error::Format { .. } => "Format",
            Error::Tensor(_) => "Tensor",
            Error::Table(_) => "Table",
            Error::Draw(_) => "Draw",
            Error::Check(_) => "Check",
            Error::Other(_) => "Error",
        }
    }
}

/// A number of bytes as people read it.
fn size_of(bytes: Option<u64>) -> String {
    match bytes {
        None => "more than 16 EB".to_owned(),
        Some(bytes @ 0..1_000_000_000) => format!("{} MB", bytes / 1_000_000),
        Some(bytes) => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A byte, counted from 0; of the decompressed data where the file is compressed.
    Byte(u64),
    /// A row of a table, counted from 0.
    Row(u64),
    /// No place in particular.
    File,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Byte(offset) => write!(f, "byte {offset}"),
            Place::Row(row) => write!(f, "row {row}"),
            Place::File => f.write_str("as a whole"),
        }
    }
}

/// An error of a library.
///
/// Behind a pointer, because every cell that uses `?` would otherwise compile the destruction of all that
/// candle's and polars' errors may hold, which took a fifth of its time.
pub struct Foreign(Box<dyn std::error::Error + Send + Sync>);

impl Foreign {
    /// The error itself, if it is an `E`.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::{Error, candle};
    ///
    /// let error = Error::from(candle::Error::Msg("no".into()));
    /// let Error::Tensor(foreign) = error else { panic!("a tensor error") };
    /// assert!(foreign.is::<candle::Error>().is_some());
    /// ```
    pub fn is<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Foreign {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Tensor(match error {
            // Thirty lines of addresses hide the one that says what is wrong.
            candle_core::Error::WithBacktrace { inner, .. } => (*inner).into(),
            error => error.into(),
        })
    }
}

impl From<polars::error::PolarsError> for Error {
    fn from(error: polars::error::PolarsError) -> Self {
        Error::Table(error.into())
    }
}

/// A text whose numbers of many digits are written with a power of ten: `{}` gives 10⁻³⁰⁰ all its zeros.
fn brief(text: &str) -> String {
    /// No number that is written with fewer is shorter with a power.
    const LONG: usize = 24;
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(numeric) {
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(from.find(|c| !numeric(c)).unwrap_or(from.len()));
        short.push_str(before);
        match number.parse::<f64>() {
            Ok(value) if number.len() > LONG => short.push_str(&format!("{value:e}")),
            _ => short.push_str(number),
        }
        rest = after;
    }
    short + rest
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A long loop that was stopped, with what it had done until then.
pub struct Interrupted {
    /// What was running, such as "training".
    pub what: String,
    /// Rounds done.
    pub done: u64,
    /// Rounds planned.
    pub planned: u64,
    /// What a round is called.
    unit: &'static str,
    partial: Option<Box<dyn Any + Send + Sync>>,
}

impl Interrupted {
    /// A loop stopped after `done` of `planned` rounds.
    pub fn new(what: impl Into<String>, done: u64, planned: u64) -> Self {
        let what = what.into();
        Self {
            what,
            done,
            planned,
            unit: "steps",
            partial: None,
        }
    }

    /// The same loop, counted in something other than steps.
    pub fn counted_in(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Adds what the loop had found so far.
    pub fn with<T: Any + Send + Sync>(mut self, partial: T) -> Self {
        self.partial = Some(Box::new(partial));
        self
    }

    /// Takes what the loop had found so far, if it is a `T`.
    ///
    /// # Example: keep the part of a curve that was measured
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::error::Interrupted;
    ///
    /// let stopped = Interrupted::new("curve", 2, 100).with(vec![0.5, 0.25]);
    /// assert_eq!(stopped.partial::<Vec<f64>>(), Some(vec![0.5, 0.25]));
    /// ```
    pub fn partial<T: Any>(self) -> Option<T> {
        let partial: Box<dyn Any> = self.partial?;
        partial.downcast().ok().map(|value| *value)
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            done,
            planned,
            unit,
            ..
        } = self;
        write!(f, "{what} was stopped after {done} of {planned} {unit}")
    }
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interrupted({self})")
    }
}

impl std::error::Error for Interrupted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_many_digits_are_said_in_a_few() {
        let error = Error::Parameter {
            name: "scale",
            got: format!("({}, {}), one of {}", -1e300, 5e-324, u64::MAX),
            need: "smaller",
        };
        let text = "scale is (-1e300, 5e-324), one of 18446744073709551615; it must be smaller";
        assert_eq!(error.to_string(), text);
        for same in ["", "0.125 and 3", "1.2.3…", "a 1 b"] {
            assert_eq!(brief(same), same);
        }
    }

    #[test]
    fn a_tensors_error_is_one_line() {
        let error = candle_core::Error::Msg("no such axis".into());
        let with = candle_core::Error::WithBacktrace {
            inner: Box::new(error),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        assert_eq!(Error::from(with).to_string(), "no such axis");
    }
}
