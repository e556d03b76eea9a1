//! The identity behind every bound here, term by term, for numbers that are known.

use rayon::prelude::*;

use super::Scalar;
use crate::cell;
use crate::error::{Error, Interrupted, Result};
use crate::logsnr::Quadrature;

/// `−ln p(x)` taken apart along the channel.
///
/// A variational bound has the same three terms, with a prior and a reconstruction that are only bounds, and a
/// sum over steps in place of the integral (Kingma et al. 2021, Eq. 15).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decomposition {
    /// `D(p(z_γ₀|x) ‖ p(z_γ₀))`: what is told already at the lowest SNR. Tends to 0 as `γ₀ → 0`.
    pub prior: f64,
    /// `E[−ln p(x|z_γ₁)]`: what is still unknown at the highest SNR. Tends to 0 for discrete data as `γ₁ → ∞`,
    /// and to −∞ for continuous data.
    pub reconstruction: f64,
    /// `½ ∫ mmse(x, γ) dγ` from `γ₀` to `γ₁`.
    pub diffusion: f64,
}

impl Decomposition {
    /// `−ln p(x)`, in nats.
    pub fn nats(&self) -> f64 {
        self.prior + self.reconstruction + self.diffusion
    }
}

/// Takes `−ln p(x)` apart into prior, reconstruction and half the integral of the error, over the interval of
/// the points. The sum is the same whatever the interval.
///
/// # Errors
/// [`Error::Empty`](crate::Error::Empty) without points.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 6; its relation to variational diffusion: App. A.7.
///
/// # Example: a coin, whichever part of the channel is integrated
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::decompose;
///
/// # fn main() -> Result<()> {
/// for (low, high) in [(-8.0, 4.0), (-1.0, 1.0)] {
///     let terms = decompose(&Scalar::coin(), 1.0, &Quadrature::trapezoid(low, high, 200)?)?;
///     check!(close(terms.nats(), 2f64.ln(), 1e-4));
/// }
/// # Ok(()) }
/// ```
pub fn decompose(scalar: &Scalar, x: f64, points: &Quadrature) -> Result<Decomposition> {
    points.check()?;
    let (low, high) = points.interval;
    let at = |(alpha, weight): (&f64, &f64)| match cell::interrupted() {
        true => f64::NAN,
        false => weight * alpha.exp() * scalar.pointwise_mmse(x, alpha.exp()),
    };
    let terms: Vec<f64> = points
        .log_snr
        .par_iter()
        .zip(&points.weight)
        .map(at)
        .collect();
    if cell::interrupted() {
        let stopped = Interrupted::new("decomposing", 0, points.len() as u64);
        return Err(Error::Interrupted(stopped.counted_in("points")));
    }
    Ok(Decomposition {
        prior: scalar.kl(x, low.exp()),
        // By Bayes, ln p(x|z) = ln p(x) + ln p(z|x)/p(z).
        reconstruction: scalar.surprisal(x) - scalar.kl(x, high.exp()),
        diffusion: 0.5 * terms.iter().sum::<f64>(),
    })
}

/// `f(x, γ) = D(p(z|x) ‖ p_G(z)) − D(p(z|x) ‖ p(z))`, which grows into `ln p(x)/p_G(x)` as `γ → ∞`.
///
/// `p_G` is the Gaussian with the same mean and variance. The derivative of `f` is half the gap between
/// the two denoisers' errors at `x`, which is how Eq. 8 comes about.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 7; the limit: App. A.2.
///
/// # Example: the limit, for a uniform number
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::log_ratio;
///
/// # fn main() -> Result<()> {
/// let side = Scalar::uniform(-1.0, 1.0)?;
/// let limit = Scalar::normal(0.0, side.variance())?.surprisal(0.3) - side.surprisal(0.3);
/// check!(close(log_ratio(&side, 0.3, 1e6), limit, 1e-5));
/// # Ok(()) }
/// ```
pub fn log_ratio(scalar: &Scalar, x: f64, snr: f64) -> f64 {
    let spread = 1.0 + snr * scalar.variance();
    let square = snr * (x - scalar.mean()).powi(2) + 1.0;
    let against_gaussian = 0.5 * (spread.ln() + square / spread - 1.0);
    against_gaussian - scalar.kl(x, snr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Grid;

    fn scalars() -> [(Scalar, f64); 3] {
        [
            (
                Scalar::levels(Grid::new(-1.0, 1.0, 4).unwrap()).unwrap(),
                -1.0 / 3.0,
            ),
            (Scalar::uniform(-1.0, 1.0).unwrap(), 0.9),
            (Scalar::normal(1.0, 0.5).unwrap(), 0.2),
        ]
    }

    /// Eq. 4, and averaged Eq. 1: the derivative is half the error.
    #[test]
    fn the_divergence_grows_by_half_the_error() {
        for (scalar, x) in scalars() {
            for snr in [0.05, 1.0, 20.0] {
                let h = 1e-3 * snr;
                let slope = |f: &dyn Fn(f64) -> f64| {
                    let far = f(snr + 2.0 * h) - f(snr - 2.0 * h);
                    (8.0 * (f(snr + h) - f(snr - h)) - far) / (12.0 * h)
                };
                let pointwise = slope(&|snr| scalar.kl(x, snr));
                assert!((pointwise - 0.5 * scalar.pointwise_mmse(x, snr)).abs() < 1e-8);
                let averaged = slope(&|snr| scalar.mutual_information(snr));
                assert!((averaged - 0.5 * scalar.mmse(snr)).abs() < 1e-8);
                // Eq. 8 under its integral: the same for the log ratio.
                let ratio = slope(&|snr| log_ratio(&scalar, x, snr));
                let v = scalar.variance();
                let offset = x - scalar.mean();
                let gaussian = (offset * offset + snr * v * v) / (1.0 + snr * v).powi(2);
                let gap = 0.5 * (gaussian - scalar.pointwise_mmse(x, snr));
                assert!((ratio - gap).abs() < 1e-8, "{ratio} {gap}");
            }
        }
    }

    #[test]
    fn the_three_terms_sum_to_the_surprisal() {
        for (scalar, x) in scalars() {
            for (low, high) in [(-12.0, 6.0), (-2.0, 2.0)] {
                let points = Quadrature::trapezoid(low, high, 1001).unwrap();
                let terms = decompose(&scalar, x, &points).unwrap();
                assert!(
                    (terms.nats() - scalar.surprisal(x)).abs() < 2e-4,
                    "{terms:?}"
                );
            }
        }
    }

    #[test]
    fn prior_and_reconstruction_vanish_at_the_ends_of_the_channel() {
        let coin = Scalar::coin();
        let points = Quadrature::trapezoid(-14.0, 5.0, 400).unwrap();
        let terms = decompose(&coin, 1.0, &points).unwrap();
        assert!(
            terms.prior < 1e-6 && terms.reconstruction < 1e-12,
            "{terms:?}"
        );
    }
}
