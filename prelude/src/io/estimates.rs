//! Estimates with names as tables.

use polars::prelude::{Column, DataFrame};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::estimate::Estimate;

impl<S: AsRef<str>> ToFrame for [(S, Estimate)] {
    /// One row for each, in their order; `dim` is 0 for what is not told per dimension. `bits_per_dim` is for the
    /// reader; it follows from the others. The values of single samples are not kept, nor warnings.
    fn to_frame(&self) -> Result<DataFrame> {
        let float = |name: &str, of: fn(&Estimate) -> f64| {
            let values: Vec<f64> = self.iter().map(|(_, estimate)| of(estimate)).collect();
            Column::new(name.into(), values)
        };
        let count = |name: &str, of: fn(&Estimate) -> usize| {
            let values: Vec<usize> = self.iter().map(|(_, estimate)| of(estimate)).collect();
            whole(name, &values)
        };
        let names: Vec<&str> = self.iter().map(|(name, _)| name.as_ref()).collect();
        let columns = vec![
            Column::new("name".into(), names),
            float("nats", |e| e.nats),
            float("std_err", |e| e.std_err),
            count("n", |e| e.n)?,
            count("dim", |e| e.dim.unwrap_or(0))?,
            float("bits_per_dim", Estimate::bits_per_dim),
        ];
        let frame = DataFrame::new(self.len(), columns)?;
        // What cannot be read must not be written.
        Vec::<(String, Estimate)>::from_frame(&frame).map(|_| frame)
    }
}

impl<S: AsRef<str>, const N: usize> ToFrame for [(S, Estimate); N] {
    fn to_frame(&self) -> Result<DataFrame> {
        self.as_slice().to_frame()
    }
}

impl<S: AsRef<str>> ToFrame for Vec<(S, Estimate)> {
    fn to_frame(&self) -> Result<DataFrame> {
        self.as_slice().to_frame()
    }
}

impl FromFrame for Vec<(String, Estimate)> {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let names = columns.texts("name")?;
        if let Some(row) = names.iter().position(|name| name.is_empty()) {
            return Err(malformed(format!("the estimate in row {row} needs a name")));
        }
        let nats = columns.finite("nats")?;
        let known = |v: f64| v.is_nan() || (v >= 0.0 && v.is_finite());
        let std_err =
            columns.floats("std_err", "at least 0, or NaN where it is not known", known)?;
        let (n, dim) = (columns.counts("n")?, columns.counts("dim")?);
        let estimates = nats.iter().zip(&std_err).zip(n.iter().zip(&dim));
        let estimates = estimates.map(|((&nats, &std_err), (&n, &dim))| match dim {
            0 => Estimate::new(nats, std_err, n),
            dim => Estimate::new(nats, std_err, n).of_dim(dim),
        });
        Ok(names.into_iter().zip(estimates).collect())
    }
}
