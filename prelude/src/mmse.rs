//! Curves of the mean squared error over log-SNR: what every density and entropy here is an integral of.
//!
//! All errors are those of the noise estimate, `‖ε − ε̂‖²`, summed over the dimensions. They equal
//! `e^α ‖x − x̂‖²`, the paper's error times the SNR, so an integral over γ becomes one over α.

mod gap;
mod gaussian;
mod interpolate;
mod measure;
mod merge;
mod partial;
mod published;
mod shard;
mod source;
mod sums;
mod tiles;

use crate::error::{Error, Result};
use crate::logsnr::{LogSnr, Rule};
use crate::stats;

pub use gap::estimation_gap;
pub use gaussian::{gaussian_curve, gaussian_curve_on};
pub use measure::{CURVE_SEED, CurveConfig, mse_curve, mse_curve_with};
pub use merge::merge_shards;
pub(crate) use partial::shard_unless;
pub use partial::{PartialCurve, Run, mse_curve_shard};
pub use published::{CIFAR10_DIM, CIFAR10_GAUSSIAN_ENTROPY, Published};
pub use shard::{SHARD_VARIABLE, Shard, ShardBy};
pub use source::source_curve;

/// The mean squared error of a denoiser at each of a list of log-SNR points.
#[derive(Debug, Clone)]
pub struct MseCurve {
    /// `α`, the points.
    pub log_snr: Vec<f64>,
    /// `mean(weight · f(α))` stands for `∫ f(α) dα`.
    pub weight: Vec<f64>,
    /// How the points were chosen.
    pub rule: Rule,
    /// `α₀` and `α₁`, the ends of the integral that the points stand for.
    pub interval: (f64, f64),
    /// `E‖ε − ε̂‖²` at each point, over all dimensions together.
    pub mse: Vec<f64>,
    /// One standard error of each [`Self::mse`]; 0 for closed forms.
    pub std_err: Vec<f64>,
    /// The errors of single samples, `[n, points]` row by row; empty for closed forms.
    pub errors: Vec<f32>,
    /// Samples behind it; 0 for closed forms.
    pub n: usize,
    /// Dimension of one sample.
    pub dim: usize,
}

impl MseCurve {
    /// The points and weights, as they were given.
    pub fn points(&self) -> LogSnr {
        LogSnr {
            log_snr: self.log_snr.clone(),
            weight: self.weight.clone(),
            rule: self.rule,
            interval: self.interval,
        }
    }

    /// How far two curves are apart where they are furthest, in standard errors of their difference.
    ///
    /// With `k` points about `√(2 ln k)` is what chance does; four is more than that.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they differ in points, samples or dimension.
    ///
    /// # Example: see [`Gaussian`](crate::net::exact::Gaussian)
    pub fn sigmas_from(&self, other: &Self) -> Result<f64> {
        self.check_like(other)?;
        let apart = (0..self.mse.len()).map(|j| {
            let std_err = self.std_err[j].hypot(other.std_err[j]);
            (self.mse[j] - other.mse[j]).abs() / std_err
        });
        Ok(apart.fold(0.0, f64::max))
    }

    /// Refuses a curve whose lists do not belong together, as one made by hand might be.
    ///
    /// # Errors
    /// [`Error::Empty`] without points, [`Error::Mismatch`] when a list has another length.
    pub fn check(&self) -> Result<()> {
        self.points().check()?;
        let k = self.log_snr.len();
        if self.mse.len() == k && self.std_err.len() == k && self.errors.len() == self.n * k {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the lists of a curve",
            left: format!("{k} points, {} samples", self.n),
            right: format!(
                "{} errors, {} of single samples",
                self.mse.len(),
                self.errors.len()
            ),
            next: "take a curve as `mse_curve` or `gaussian_curve` made it",
        })
    }

    /// Refuses curves that do not belong together: of other points, another dimension, or, unless one is a
    /// closed form, other samples.
    pub(crate) fn check_like(&self, other: &Self) -> Result<()> {
        self.check()?;
        other.check()?;
        let refuse = |what, left: String, right: String, next| {
            Err(Error::Mismatch {
                what,
                left,
                right,
                next,
            })
        };
        if self.log_snr != other.log_snr || self.weight != other.weight {
            return refuse(
                "the curves' points",
                format!("{} points", self.log_snr.len()),
                format!("{} others", other.log_snr.len()),
                "measure all at the same points",
            );
        }
        if self.dim != other.dim {
            return refuse(
                "the curves' dimensions",
                self.dim.to_string(),
                other.dim.to_string(),
                "take all from the same data set",
            );
        }
        if self.n > 0 && other.n > 0 && self.n != other.n {
            return refuse(
                "the curves' samples",
                self.n.to_string(),
                other.n.to_string(),
                "measure all on the same data",
            );
        }
        Ok(())
    }

    /// The curve of the samples at `rows`, one of which may come more than once; a closed form stays as it is.
    pub(crate) fn resampled(&self, rows: &[usize]) -> Self {
        if self.n == 0 {
            return self.clone();
        }
        let k = self.log_snr.len();
        let row = |&i: &usize| self.errors[i * k..(i + 1) * k].iter().copied();
        Self::of_errors(
            &self.points(),
            self.dim,
            rows.iter().flat_map(row).collect(),
        )
    }

    /// A curve without sampling error.
    fn exact(points: &LogSnr, dim: usize, mse: Vec<f64>) -> Self {
        Self {
            log_snr: points.log_snr.clone(),
            weight: points.weight.clone(),
            rule: points.rule,
            interval: points.interval,
            std_err: vec![0.0; mse.len()],
            mse,
            errors: Vec::new(),
            n: 0,
            dim,
        }
    }

    /// A curve from the errors of single samples, `[n, points]`.
    fn of_errors(points: &LogSnr, dim: usize, errors: Vec<f32>) -> Self {
        let k = points.len();
        let n = errors.len() / k;
        let column = |j| -> Vec<f64> { (0..n).map(|i| f64::from(errors[i * k + j])).collect() };
        let (mse, std_err) = (0..k)
            .map(|j| {
                let column = column(j);
                (stats::mean(&column), stats::std_err(&column))
            })
            .unzip();
        Self {
            mse,
            std_err,
            errors,
            n,
            ..Self::exact(points, dim, Vec::new())
        }
    }
}
