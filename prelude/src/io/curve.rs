//! Curves of the squared error as tables.

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::logsnr::Rule;
use crate::mmse::MseCurve;

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
    /// One row for each point. `rule`, `low` and `high` (the ends of the integral), `points`,
    /// `n` and `dim` are the same in all of them; `errors` holds a list
    /// of `n` errors of single samples.
    fn to_frame(&self) -> Result<DataFrame> {
        self.check()?;
        let k = self.log_snr.len();
        let float = |name: &str, values: &[f64]| Column::new(name.into(), values);
        let same = |name, value| whole(name, &vec![value; k]);
        let mut columns = vec![
            float("log_snr", &self.log_snr),
            float("weight", &self.weight),
            float("mse", &self.mse),
            float("std_err", &self.std_err),
            Column::new("rule".into(), vec![name(self.rule); k]),
            float("low", &vec![self.interval.0; k]),
            float("high", &vec![self.interval.1; k]),
            same("points", k)?,
            same("n", self.n)?,
            same("dim", self.dim)?,
        ];
        if self.n > 0 {
            let point =
                |j| -> Vec<f32> { self.errors.iter().skip(j).step_by(k).copied().collect() };
            let lists: Vec<Series> = (0..k).map(|j| Series::new("".into(), point(j))).collect();
            columns.push(Column::new("errors".into(), lists));
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
        if n > 0 && !columns.has("errors") {
            return Err(malformed(format!(
                "a curve of {n} samples needs their errors, in a column errors of lists; without them it is a \
                 table of means, to be read as a DataFrame"
            )));
        }
        let errors = match n {
            0 => Vec::new(),
            n => {
                let lists = columns.lists("errors", n)?;
                (0..n)
                    .flat_map(|i| lists.iter().map(move |list| list[i]))
                    .collect()
            }
        };
        let std_err = match n {
            // The error of a single sample's mean is not known.
            1 => columns.floats("std_err", "at least 0, or NaN", |v| v.is_nan() || v >= 0.0)?,
            _ => columns.floats("std_err", "at least 0", |v| v >= 0.0 && v.is_finite())?,
        };
        let curve = Self {
            log_snr: columns.finite("log_snr")?,
            weight: columns.finite("weight")?,
            rule: rule(&columns.same("rule", columns.texts("rule")?)?)?,
            interval: (
                columns.same("low", columns.finite("low")?)?,
                columns.same("high", columns.finite("high")?)?,
            ),
            mse: columns.finite("mse")?,
            std_err,
            errors,
            n,
            dim: columns.same("dim", columns.counts("dim")?)?,
        };
        curve.check().map(|()| curve)
    }
}
