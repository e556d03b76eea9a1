//! Probabilities of data on a grid: half the area under a denoiser's curve, and what lies beyond its ends.

use std::f64::consts::PI;

use super::density::{Reference, joined};
use crate::curve::MseCurve;
use crate::data::Grid;
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::integral::Fallback;

/// Bounds on what lies beyond the ends of an integral over log-SNR, in nats for all dimensions together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tails {
    /// Below `α₀`, where the Gaussian's denoiser stands in: `½ Σᵢ ln(1 + γ₀ λᵢ)`.
    pub left: f64,
    /// Above `α₁`, where the nearest level stands in.
    pub right: f64,
}

/// Bounds the integral beyond both ends of `interval = (α₀, α₁)`, for data on a grid with levels Δ apart:
///
/// ```text
/// left  = ½ Σᵢ ln(1 + γ₀ λᵢ)
/// right = d Σ_j j²/(j − ½)² · exp(−(j − ½)² Δ² γ₁ / 2),   j = 1 … levels − 1
/// ```
///
/// To the left no denoiser does worse than the best linear one. To the right the nearest level errs by `jΔ`
/// with a probability of at most `2Q((j − ½)Δ√γ)`, and `Q(t) ≤ ½ exp(−t²/2)`.
///
/// # Errors
/// [`Error::Parameter`] unless the ends are finite and in order, and for a grid that is none.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 16 and App. B.1. The published right tail lacks the
/// ½ in the exponent, and is no bound.
///
/// # Example: both vanish on a wide interval
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::likelihood::tails;
///
/// # fn main() -> Result<()> {
/// let beyond = tails(&Gaussian::standard(1)?, Grid::new(-1.0, 1.0, 2)?, (-14.0, 5.0))?;
/// check!(beyond.left < 1e-6 && beyond.right < 1e-30);
/// # Ok(()) }
/// ```
pub fn tails(gaussian: &Gaussian, grid: Grid, interval: (f64, f64)) -> Result<Tails> {
    let right = right_tail(gaussian.dim(), grid, interval)?;
    let snr = interval.0.exp();
    let terms = gaussian
        .eigenvalues
        .iter()
        .map(|value| (snr * value).ln_1p());
    let left = 0.5 * terms.sum::<f64>();
    Ok(Tails { left, right })
}

/// Levels whose terms are added one by one; an integral bounds those beyond.
const ONE_BY_ONE: usize = 100_000;

fn right_tail(dim: usize, grid: Grid, interval: (f64, f64)) -> Result<f64> {
    grid.check()?;
    let (low, high) = interval;
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(Error::Parameter {
            name: "interval",
            got: format!("({low}, {high})"),
            need: "finite, with the lower end first",
        });
    }
    let fall = 0.5 * grid.spacing().powi(2) * high.exp();
    let term = |j: usize| {
        let (j, half) = (j as f64, j as f64 - 0.5);
        (j / half).powi(2) * (-fall * half * half).exp()
    };
    let near: f64 = (1..grid.levels.min(ONE_BY_ONE)).map(term).sum();
    let far = match grid.levels > ONE_BY_ONE {
        false => 0.0,
        // Σ exp(−c (j − ½)²) ≤ ∫ exp(−c t²) dt from the last term on.
        true => {
            let root = fall.sqrt();
            let from = libm::erfc(root * (ONE_BY_ONE as f64 - 1.5));
            1.0001 * 0.5 * (PI / fall).sqrt() * from
        }
    };
    Ok(dim as f64 * (near + far.min(grid.levels as f64)))
}

impl MseCurve {
    /// Bounds the mean code length `−ln P(x)` of data on a grid from above, by the curve of any denoiser:
    ///
    /// ```text
    /// ½ ∫ E‖ε − ε̂‖² dα  from α₀ to α₁,  plus both tails
    /// ```
    ///
    /// With the best denoiser this is the entropy. See [`tails`] for what lies beyond the ends. With a reference
    /// [on the data](Gaussian::on) the left tail is that of each sample: with its coordinates `qᵢ` along the
    /// eigenvectors and `sᵢ = γ₀λᵢ/(1 + γ₀λᵢ)`
    ///
    /// ```text
    /// ½ Σᵢ ln(1 + γ₀ λᵢ) + (qᵢ²/λᵢ − 1) sᵢ
    /// ```
    ///
    /// so that the mean bounds that of held-out data too. Otherwise the reference needs a grid
    /// ([`Gaussian::with_grid`]), and the data are taken to have its covariance. A network that knows nothing of the
    /// grid should be [rounded](crate::denoiser::Denoiser::rounded): its error does not vanish at high SNR.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no grid, [`Error::Mismatch`] when curve and reference differ in dimension, or
    /// the data are not those that the curve was measured on; [`Error::Parameter`] for a reference with a
    /// [fallback](Reference::fallback).
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eqs. 12, 13 and 16.
    ///
    /// # Example: a fair coin is ln 2
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let coin = Scalar::coin();
    /// let curve = coin.curve(&Quadrature::trapezoid(-8.0, 6.0, 57)?)?;
    /// let entropy = curve.code_length(coin.gaussian(1)?.with_grid(Grid::new(-1.0, 1.0, 2)?))?;
    /// check!(close(entropy.nats, 2f64.ln(), 1e-4));
    /// # Ok(()) }
    /// ```
    pub fn code_length<'a>(&self, reference: impl Into<Reference<'a>>) -> Result<Estimate> {
        let reference = reference.into();
        if reference.fallback != Fallback::Never {
            return Err(Error::Parameter {
                name: "the reference's fallback",
                got: format!("{:?}", reference.fallback),
                need: "Never: a code length has no reference to fall back to within the interval",
            });
        }
        let gaussian = reference.gaussian()?;
        if gaussian.dim() != self.dim {
            return Err(Error::Mismatch {
                what: "the curve and the reference",
                left: format!("{} dimensions", self.dim),
                right: gaussian.dim().to_string(),
                next: "take both from the same data set",
            });
        }
        let area = self.area()?;
        let interval = self.points.interval;
        let Some(data) = reference.data else {
            let Some(grid) = reference.grid else {
                return Err(Error::Missing {
                    what: "the reference knows of no grid".into(),
                    next: "give it one with `with_grid`, or the data with `on`",
                });
            };
            let beyond = tails(gaussian, grid, interval)?;
            let both = beyond.left + beyond.right;
            let base = vec![both; area.per_sample.len()];
            return Ok(joined(
                self,
                &base,
                both,
                0.0,
                &area,
                1.0,
                self.data.clone(),
            ));
        };
        let digest = self.check_data(data)?;
        let right = right_tail(self.dim, data.grid()?, interval)?;
        let left = gaussian.area_below(&data.flat()?, interval.0.exp())?;
        let base: Vec<f64> = left.iter().map(|left| left + right).collect();
        let (mean, err) = (crate::stats::mean(&base), crate::stats::std_err(&base));
        Ok(joined(self, &base, mean, err, &area, 1.0, Some(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_levels_need_no_loop_over_all() {
        let gaussian = Gaussian::standard(1).unwrap();
        let grid = |levels| Grid::new(-1.0, 1.0, levels).unwrap();
        // As many levels as there are whole numbers: the tail is finite, and is found at once.
        let beyond = tails(&gaussian, grid(usize::MAX), (-5.0, 5.0)).unwrap();
        assert!(beyond.right.is_finite() && beyond.right > 1e6);
        // Where both ways can be gone, they agree.
        let slow = |levels: usize, high: f64| {
            let fall = 0.5 * grid(levels).spacing().powi(2) * high.exp();
            let term = |j: usize| {
                let half = j as f64 - 0.5;
                (j as f64 / half).powi(2) * (-fall * half * half).exp()
            };
            (1..levels).map(term).sum::<f64>()
        };
        for (levels, high) in [(256, 9.0), (300_000, 20.0)] {
            let found = tails(&gaussian, grid(levels), (-5.0, high)).unwrap().right;
            let known = slow(levels, high);
            assert!(
                (found / known - 1.0).abs() < 1e-3,
                "{levels}: {found} {known}"
            );
        }
        for bad in [(1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(tails(&gaussian, grid(2), bad).is_err());
        }
    }
}
