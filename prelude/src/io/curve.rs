//! Curves of the squared error as tables.

use ndarray::{Array2, ShapeBuilder};
use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::curve::MseCurve;
use crate::error::Result;
use crate::logsnr::{Quadrature, Rule};

/// All rules; what is missing here cannot be read.
const RULES: &[Rule] = &[
    Rule::Midpoint,
    Rule::Trapezoid,
    Rule::Stratified,
    Rule::Draws,
];

pub(super) fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::Midpoint => "midpoint",
        Rule::Trapezoid => "trapezoid",
        Rule::Stratified => "stratified",
        Rule::Draws => "draws",
    }
}

pub(super) fn rule(text: &str) -> Result<Rule> {
    let found = RULES.iter().find(|&&rule| name(rule) == text);
    found.copied().ok_or_else(|| {
        let known: Vec<_> = RULES.iter().map(|&rule| name(rule)).collect();
        malformed(format!(
            "there is no rule {text:?} for points, only {known:?}"
        ))
    })
}

impl ToFrame for MseCurve {
    /// One row for each point. `rule`, `low` and `high` (the ends of the integral), `points`, `n`, `dim` and `data`
    /// (the digest of the data, empty where it is not known) are the same in all of them; `errors`, where they were
    /// kept, holds a list of `n` errors of single samples.
    fn to_frame(&self) -> Result<DataFrame> {
        self.check()?;
        let k = self.points.len();
        let float = |name: &str, values: &[f64]| Column::new(name.into(), values);
        let same = |name, value| whole(name, &vec![value; k]);
        let mut columns = vec![
            float("log_snr", &self.points.log_snr),
            float("weight", &self.points.weight),
            float("mse", &self.mse),
            float("std_err", &self.std_err),
            Column::new("rule".into(), vec![name(self.points.rule); k]),
            float("low", &vec![self.points.interval.0; k]),
            float("high", &vec![self.points.interval.1; k]),
            same("points", k)?,
            same("n", self.n)?,
            same("dim", self.dim)?,
            Column::new("data".into(), vec![self.data.as_deref().unwrap_or(""); k]),
        ];
        if let Some(errors) = &self.errors {
            let lists = errors.columns().into_iter();
            let lists = lists.map(|column| Series::new("".into(), column.to_vec()));
            columns.push(Column::new("errors".into(), lists.collect::<Vec<Series>>()));
        }
        let frame = DataFrame::new(k, columns)?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for MseCurve {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let n = columns.same("n", columns.counts("n")?)?;
        let k = columns.same("points", columns.counts("points")?)?;
        if frame.height() != k {
            return Err(malformed(format!(
                "{} points of {k} are there; a part of a curve is no curve",
                frame.height()
            )));
        }
        let errors = match columns.has("errors") {
            false => None,
            true => {
                let lists = columns.lists("errors", Some(n))?;
                let shaped = Array2::from_shape_vec((n, k).f(), lists.concat());
                Some(shaped.map_err(|error| malformed(error.to_string()))?)
            }
        };
        let known = |v: f64| v.is_nan() || v >= 0.0 && v.is_finite();
        let data = columns.same("data", columns.texts("data")?)?;
        let curve = Self {
            points: Quadrature {
                log_snr: columns.finite("log_snr")?,
                weight: columns.finite("weight")?,
                rule: rule(&columns.same("rule", columns.texts("rule")?)?)?,
                interval: (
                    columns.same("low", columns.finite("low")?)?,
                    columns.same("high", columns.finite("high")?)?,
                ),
            },
            mse: columns.finite("mse")?,
            std_err: columns.floats(
                "std_err",
                "at least 0, or NaN where it is not known",
                known,
            )?,
            errors,
            n,
            dim: columns.same("dim", columns.counts("dim")?)?,
            data: Some(data).filter(|digest| !digest.is_empty()),
        };
        curve.check().map(|()| curve)
    }
}
