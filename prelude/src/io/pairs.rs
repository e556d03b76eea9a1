//! Samples of two vectors as tables.
//!
//! A column of lists of equal length becomes an array of two axes in `.npz` (`numpy.load(path)["x"].shape == (n, dim_x)`)
//! and a list column in Parquet. CSV has no lists.
//!
//! # Example: a task for another program
//! ```
//! use itd_prelude::{io, task};
//! use itd_prelude::task::Pairs;
//!
//! let task = task::sparse((3, 3), 2, 2.0)?;
//! let path = std::env::temp_dir().join(format!("itd-{}.npz", std::process::id()));
//! io::write(&path, &io::task_samples(&task, 100, 0)?)?;
//! let read: Pairs = io::read(&path)?;
//! assert_eq!(read, task.sample(100, 0)?);
//! # let _ = std::fs::remove_file(path);
//! # Ok::<(), itd_prelude::Error>(())
//! ```

use ndarray::Array2;
use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::task::{Benchmark, Pairs};

/// Pairs of a task as a data frame, with all that is needed to judge an estimate of them: one row for each pair, with the
/// columns `x` and `y` (lists), `pointwise` (nats), and, the same in all rows, `task`, `nats`, `nats_std_err` and `seed`.
///
/// # Errors
/// As [`Benchmark::sample`].
pub fn task_samples(task: &Benchmark, n: usize, seed: u64) -> Result<DataFrame> {
    let (pairs, pointwise) = task.sample_with_pointwise(n, seed)?;
    let mut frame = pairs.to_frame()?;
    let number = |name: &str, value: f64| Column::new(name.into(), vec![value; n]);
    let seed = usize::try_from(seed)
        .map_err(|_| malformed(format!("the seed {seed} is too large for a table")))?;
    let more = [
        Column::new("pointwise".into(), pointwise),
        Column::new("task".into(), vec![task.name.as_str(); n]),
        number("nats", task.nats),
        number("nats_std_err", task.std_err),
        whole("seed", &vec![seed; n])?,
    ];
    for column in more {
        frame.with_column(column)?;
    }
    Ok(frame)
}

impl ToFrame for Pairs {
    /// One row for each pair, with a list of numbers each in the columns `x` and `y`.
    fn to_frame(&self) -> Result<DataFrame> {
        let vectors = |name: &str, values: &Array2<f64>| {
            let rows = values.rows().into_iter();
            let rows = rows.map(|row| Series::new("".into(), row.to_vec()));
            Column::new(name.into(), rows.collect::<Vec<Series>>())
        };
        let columns = vec![vectors("x", &self.x), vectors("y", &self.y)];
        let frame = DataFrame::new(self.len(), columns)?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for Pairs {
    /// From the columns `x` and `y`, lists of finite numbers of one length each; other columns are left alone.
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let vectors = |name: &str| -> Result<Array2<f64>> {
            let rows = columns.lists(name, None)?;
            let dim = rows.first().map_or(0, Vec::len);
            if let Some((row, other)) = rows.iter().enumerate().find(|(_, row)| row.len() != dim) {
                return Err(malformed(format!(
                    "row {row} of column {name} has {} values; it must have {dim}, as the first",
                    other.len()
                )));
            }
            let shape = (rows.len(), dim);
            Array2::from_shape_vec(shape, rows.concat())
                .map_err(|error| malformed(error.to_string()))
        };
        Ok(Self {
            x: vectors("x")?,
            y: vectors("y")?,
        })
    }
}
