//! Training logs as tables.

use polars::prelude::{Column, DataFrame};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::{Error, Result};
use crate::train::Fit;

impl ToFrame for Fit {
    /// One row for each step, counted from 1; the other columns are the same in all of them.
    ///
    /// # Errors
    /// [`Error::Empty`] before the first step.
    fn to_frame(&self) -> Result<DataFrame> {
        let k = self.losses.len();
        if k == 0 {
            return Err(Error::Empty {
                what: "the log of training",
            });
        }
        let steps: Vec<usize> = (1..=k).collect();
        let columns = vec![
            whole("step", &steps)?,
            Column::new("loss".into(), self.losses.as_slice()),
            Column::new("gaussian".into(), vec![self.gaussian; k]),
            whole("planned", &vec![self.planned; k])?,
            whole("batch", &vec![self.batch; k])?,
            Column::new("seconds".into(), vec![self.seconds; k]),
        ];
        let frame = DataFrame::new(k, columns)?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for Fit {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let steps = columns.counts("step")?;
        if let Some(row) = (0..steps.len()).find(|&row| steps[row] != row + 1) {
            let (got, need) = (steps[row], row + 1);
            return Err(malformed(format!(
                "row {row} is step {got}; it must be {need}"
            )));
        }
        Ok(Self {
            losses: columns.finite("loss")?,
            gaussian: columns.same("gaussian", columns.finite("gaussian")?)?,
            planned: columns.same("planned", columns.counts("planned")?)?,
            batch: columns.same("batch", columns.counts("batch")?)?,
            seconds: columns.same("seconds", columns.finite("seconds")?)?,
        })
    }
}
