//! Negative logarithms of single samples, and their mean.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::integral::Area;
use crate::mmse::MseCurve;
use crate::stats;

/// Negative log densities, or probabilities, of single samples.
#[derive(Debug, Clone)]
pub struct PointwiseNll {
    /// `−ln p(x)` of each sample, in nats; noisy for one sample, right in the mean.
    pub nats: Vec<f64>,
    /// Their mean.
    pub mean: Estimate,
}

impl PointwiseNll {
    /// From the samples' own values, which hold the area; their errors and those of its points join.
    pub(super) fn new(nats: Vec<f64>, area: &Area, dim: usize) -> Self {
        let samples_err = stats::std_err(&nats);
        let points_err = f64::hypot(area.points_err, area.quadrature_err);
        let mean = Estimate {
            nats: stats::mean(&nats),
            std_err: f64::hypot(samples_err, points_err),
            n: nats.len(),
            dim,
        };
        Self { nats, mean }
    }
}

/// Refuses data that the curve cannot have been measured on.
pub(super) fn check_samples(curve: &MseCurve, data: &Dataset) -> Result<()> {
    if curve.n == data.len() {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the curve and the data",
        left: format!("{} samples", curve.n),
        right: data.len().to_string(),
        next: "pass the data that the curve was measured on",
    })
}
