//! Training logs as tables.

use polars::prelude::{Column, DataFrame};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::train::{Fit, Objective};

impl ToFrame for Fit {
    /// One row for each step, as [`Fit::history`] has them, with what is the same for all of them. What was measured
    /// on held-out samples is left out: its curves are tables of their own.
    ///
    /// # Errors
    /// [`Error::Empty`](crate::Error::Empty) before the first step.
    fn to_frame(&self) -> Result<DataFrame> {
        let bare = Self {
            validation: Vec::new(),
            ..self.clone()
        };
        let mut frame = bare.history()?;
        let k = self.losses.len();
        let objective = match self.objective {
            Objective::Information => "information",
            Objective::Noise => "noise",
        };
        let same = [
            Column::new("gaussian".into(), vec![self.gaussian; k]),
            whole("planned", &vec![self.planned; k])?,
            whole("batch", &vec![self.batch; k])?,
            whole("samples", &vec![self.samples; k])?,
            Column::new("objective".into(), vec![objective; k]),
            Column::new("total_seconds".into(), vec![self.seconds; k]),
        ];
        for column in same {
            frame.with_column(column)?;
        }
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
        let there = |name: &str| match columns.has(name) {
            true => columns.finite(name),
            false => Ok(Vec::new()),
        };
        // Logs of earlier versions have the time of all steps here.
        let total = match columns.has("total_seconds") {
            true => "total_seconds",
            false => "seconds",
        };
        let elapsed = match total {
            "seconds" => Vec::new(),
            _ => there("seconds")?,
        };
        let objective = match columns.has("objective") {
            false => "information".to_owned(),
            true => columns.same("objective", columns.texts("objective")?)?,
        };
        Ok(Self {
            losses: columns.finite("loss")?,
            gaussian: columns.same("gaussian", columns.finite("gaussian")?)?,
            planned: columns.same("planned", columns.counts("planned")?)?,
            batch: columns.same("batch", columns.counts("batch")?)?,
            samples: match columns.has("samples") {
                true => columns.same("samples", columns.counts("samples")?)?,
                false => 0,
            },
            seconds: columns.same(total, columns.finite(total)?)?,
            objective: match objective.as_str() {
                "information" => Objective::Information,
                "noise" => Objective::Noise,
                other => return Err(malformed(format!("{other:?} is no objective of training"))),
            },
            gradients: there("gradient")?,
            rates: there("learning_rate")?,
            elapsed,
            ..Self::default()
        })
    }
}
