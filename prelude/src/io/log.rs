//! Training logs as tables.

use polars::prelude::{Column, DataFrame};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::train::{Baseline, Fit, Quantity};

/// Digits that a number may be shown with.
const DIGITS: usize = 17;

/// A unit as a table has it: without the blank in front that it usually has, or in quotes.
fn written(unit: &str) -> String {
    match unit.strip_prefix(' ') {
        Some(plain) if !plain.is_empty() && !plain.starts_with(['"', ' ']) => plain.to_owned(),
        _ if unit.is_empty() => String::new(),
        _ => format!("\"{unit}\""),
    }
}

/// The unit that [`written`] has written.
fn read(unit: &str) -> String {
    let quoted = unit
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(unit) => unit.to_owned(),
        None if unit.is_empty() => String::new(),
        None => format!(" {unit}"),
    }
}

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
        let k = self.steps();
        let text = |name: &str, value: &str| Column::new(name.into(), vec![value; k]);
        let (baseline, name) = match &self.baseline {
            None => (f64::NAN, ""),
            Some(Baseline { name, loss, .. }) => (*loss, name.as_str()),
        };
        let same = [
            Column::new("baseline".into(), vec![baseline; k]),
            text("baseline_name", name),
            whole("planned", &vec![self.planned; k])?,
            whole("batch", &vec![self.batch; k])?,
            whole("samples", &vec![self.samples; k])?,
            text("quantity", &self.quantity.label),
            text("unit", &written(&self.quantity.unit)),
            whole("digits", &vec![self.quantity.digits; k])?,
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
        let text = |name| columns.same(name, columns.texts(name)?);
        let count = |name| columns.same(name, columns.counts(name)?);
        let name = text("baseline_name")?;
        let baseline = match name.is_empty() {
            true => None,
            false => Some(Baseline {
                name,
                loss: columns.same("baseline", columns.finite("baseline")?)?,
                held_out: None,
            }),
        };
        let unit = read(&text("unit")?);
        let digits = count("digits")?;
        if digits > DIGITS {
            return Err(malformed(format!(
                "a loss with {digits} digits; {DIGITS} are all that a number has"
            )));
        }
        Ok(Self {
            loss: columns.finite("loss")?,
            grad_norm: columns.finite("grad_norm")?,
            learning_rate: columns.finite("learning_rate")?,
            elapsed: columns.finite("seconds")?,
            baseline,
            planned: count("planned")?,
            batch: count("batch")?,
            samples: count("samples")?,
            quantity: Quantity {
                label: text("quantity")?,
                unit,
                digits,
            },
            seconds: columns.same("total_seconds", columns.finite("total_seconds")?)?,
            ..Self::default()
        })
    }
}
