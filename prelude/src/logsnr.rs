//! Points on the axis of log-SNR and their weights: random draws to train with, quadratures to measure with.

mod logistic;

use rand::seq::SliceRandom;

use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats;

pub use logistic::{CLIP, LogisticLogSnr};

/// Points `α` and weights such that `mean(weight · f(α))` is, or estimates, `∫ f(α) dα`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSnr {
    /// `α`, dimensionless.
    pub log_snr: Vec<f64>,
    /// One weight for each point, in units of `α`.
    pub weight: Vec<f64>,
    /// How the points were chosen.
    pub rule: Rule,
    /// `α₀` and `α₁`, the ends of the integral; the points lie between them.
    pub interval: (f64, f64),
}

/// How points on the axis of log-SNR were chosen; decides how the error of an integral is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The midpoint rule in the quantile of the logistic; points in ascending order. Error `∝ 1/n²`.
    Midpoint,
    /// The trapezoid rule in `α`; points in ascending order, both ends among them. Error `∝ 1/n²`, and far
    /// smaller where the integrand vanishes smoothly at both ends.
    Trapezoid,
    /// One draw in each of `n` parts of equal probability; points in ascending order. Error `∝ n^−3/2`.
    Stratified,
    /// Independent draws from the logistic. Error `∝ n^−1/2`.
    Draws,
}

impl LogSnr {
    /// The trapezoid rule with `n` equally spaced points on `[low, high]`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `low < high` are finite and `n` is at least 2.
    ///
    /// # Example: the area under a bump is right to the last digits
    /// ```
    /// use itd_prelude::logsnr::LogSnr;
    ///
    /// let points = LogSnr::trapezoid(-8.0, 8.0, 33)?;
    /// let area = points.integrate(|alpha| (-0.5 * alpha * alpha).exp());
    /// assert!((area - std::f64::consts::TAU.sqrt()).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn trapezoid(low: f64, high: f64, n: usize) -> Result<Self> {
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(Error::Parameter {
                name: "high",
                got: high.to_string(),
                need: "finite and above `low`, which must be finite too",
            });
        }
        if n < 2 {
            return Err(Error::Parameter {
                name: "n",
                got: n.to_string(),
                need: "at least 2, one for each end",
            });
        }
        let step = (high - low) / (n - 1) as f64;
        let log_snr = (0..n).map(|i| low + i as f64 * step).collect();
        // A mean over n points, so that each stands for n times its share.
        let mut weight = vec![step * n as f64; n];
        weight[0] /= 2.0;
        weight[n - 1] /= 2.0;
        Ok(Self {
            log_snr,
            weight,
            rule: Rule::Trapezoid,
            interval: (low, high),
        })
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.log_snr.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.log_snr.is_empty()
    }

    /// Refuses points that cannot stand for an integral.
    ///
    /// # Errors
    /// [`Error::Empty`] without points, [`Error::Mismatch`] unless each has a weight.
    pub fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::Empty {
                what: "the list of log-SNR points",
            });
        }
        if self.weight.len() != self.len() {
            return Err(Error::Mismatch {
                what: "points and weights",
                left: self.len().to_string(),
                right: self.weight.len().to_string(),
                next: "give each point of log-SNR one weight",
            });
        }
        Ok(())
    }

    /// `mean(weight · f(α))`, which approximates `∫ f(α) dα`.
    pub fn integrate(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.log_snr.iter().zip(&self.weight);
        let terms: Vec<f64> = terms.map(|(&alpha, weight)| weight * f(alpha)).collect();
        stats::mean(&terms)
    }

    /// The same points in random order, as a batch of training wants them: each point then meets a sample
    /// by chance, and may be taken as a draw of its own.
    pub fn shuffled(&self, rng: &mut Rng) -> Self {
        let mut pairs: Vec<(f64, f64)> = std::iter::zip(&self.log_snr, &self.weight)
            .map(|(&alpha, &weight)| (alpha, weight))
            .collect();
        pairs.shuffle(rng);
        let (log_snr, weight) = pairs.into_iter().unzip();
        Self {
            log_snr,
            weight,
            rule: Rule::Draws,
            interval: self.interval,
        }
    }
}
