//! Probabilities of data on a grid: half the area under a denoiser's curve, and what lies beyond its ends.

use super::pointwise::{PointwiseNll, check_samples};
use crate::data::{Dataset, Grid, Spectrum};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::integral::area_under;
use crate::mmse::MseCurve;

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
/// [`Error::Parameter`] unless the ends are finite and in order.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 16 and App. B.1. The published right tail lacks the
/// ½ in the exponent, and is no bound.
///
/// # Example: both vanish on a wide interval
/// ```
/// use itd_prelude::{data::{Grid, Spectrum}, likelihood::tails};
///
/// let grid = Grid::new(-1.0, 1.0, 2)?;
/// let beyond = tails(&Spectrum::standard(1)?, grid, (-14.0, 5.0))?;
/// assert!(beyond.left < 1e-6 && beyond.right < 1e-30);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn tails(spectrum: &Spectrum, grid: Grid, interval: (f64, f64)) -> Result<Tails> {
    let right = right_tail(spectrum.dim(), grid, interval)?;
    let snr = interval.0.exp();
    let terms = spectrum
        .eigenvalues
        .iter()
        .map(|value| (snr * value).ln_1p());
    let left = 0.5 * terms.sum::<f64>();
    Ok(Tails { left, right })
}

fn right_tail(dim: usize, grid: Grid, interval: (f64, f64)) -> Result<f64> {
    let (low, high) = interval;
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(Error::Parameter {
            name: "interval",
            got: format!("({low}, {high})"),
            need: "finite, with the lower end first",
        });
    }
    let term = |j: usize| {
        let (j, half) = (j as f64, j as f64 - 0.5);
        (j / half).powi(2) * (-0.5 * (half * grid.spacing()).powi(2) * high.exp()).exp()
    };
    Ok(dim as f64 * (1..grid.levels).map(term).sum::<f64>())
}

/// Bounds the mean code length `−ln P(x)` of data on a grid, or their entropy, from above by a curve:
///
/// ```text
/// ½ ∫ E‖ε − ε̂‖² dα  from α₀ to α₁,  plus both tails
/// ```
///
/// With the best possible denoiser this is the entropy. See [`tails`] for what lies beyond the ends; there
/// the data are taken to have the covariance of `spectrum`. A network that knows nothing of the grid should be
/// [rounded](crate::net::Rounded) where that helps, or its error goes on for ever: see
/// [`ensemble`](crate::ensemble::ensemble()).
///
/// # Units
/// Nats for all dimensions together; a probability, so never below 0.
///
/// # Errors
/// [`Error::Mismatch`] when curve and spectrum differ in dimension.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eqs. 12, 13 and 16.
///
/// # Example: a fair coin is ln 2
/// ```
/// use itd_prelude::{data::Grid, likelihood::discrete_nll, logsnr::LogSnr, mmse::source_curve, net::exact::Source};
///
/// let coin = Source::coin();
/// let curve = source_curve(&coin, 1, &LogSnr::trapezoid(-8.0, 6.0, 57)?)?;
/// let entropy = discrete_nll(&curve, &coin.spectrum(1)?, Grid::new(-1.0, 1.0, 2)?)?;
/// assert!((entropy.nats - 2f64.ln()).abs() < 1e-4);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn discrete_nll(curve: &MseCurve, spectrum: &Spectrum, grid: Grid) -> Result<Estimate> {
    if spectrum.dim() != curve.dim {
        return Err(Error::Mismatch {
            what: "the curve and the spectrum",
            left: format!("{} dimensions", curve.dim),
            right: spectrum.dim().to_string(),
            next: "take both from the same data set",
        });
    }
    let area = area_under(curve)?;
    let beyond = tails(spectrum, grid, curve.interval)?;
    Ok(Estimate {
        nats: area.nats + beyond.left + beyond.right,
        std_err: f64::hypot(area.std_err, area.quadrature_err),
        n: curve.n,
        dim: curve.dim,
    })
}

/// The code length of each sample, and their mean.
///
/// As [`discrete_nll`], but to the left of the interval the Gaussian's denoiser is judged on the samples
/// themselves. With `qᵢ` a sample's coordinates along the eigenvectors and `sᵢ = γ₀λᵢ/(1 + γ₀λᵢ)` that is
///
/// ```text
/// ½ Σᵢ ln(1 + γ₀ λᵢ) + (qᵢ²/λᵢ − 1) sᵢ
/// ```
///
/// so that the mean bounds that of held-out data too.
///
/// # Errors
/// As [`discrete_nll`]; [`Error::Missing`] when the data lie on no grid, [`Error::Mismatch`] when `data` is not
/// what the curve was measured on.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 12.
///
/// # Example: each of the digits has a code length
/// ```
/// use itd_prelude::{data::digits, likelihood, logsnr::LogSnr, mmse, denoiser::{Rounded, Rounding}, net::{exact::Gaussian}};
///
/// let data = digits()?;
/// let (spectrum, grid) = (data.train.spectrum()?, data.grid()?);
/// let test = data.test.take(20)?;
/// let net = Gaussian::new(&spectrum, data.shape())?;
/// let points = LogSnr::trapezoid(-6.0, 9.0, 31)?;
/// let curve = mmse::mse_curve(&Rounded::new(&net, Rounding::Soft(grid)), &test, &points)?;
/// let code = likelihood::pointwise_discrete_nll(&curve, &spectrum, &test)?;
/// assert_eq!(code.nats.len(), 20);
/// assert!(code.mean.bits_per_dim() < 17f64.log2());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn pointwise_discrete_nll(
    curve: &MseCurve,
    spectrum: &Spectrum,
    data: &Dataset,
) -> Result<PointwiseNll> {
    check_samples(curve, data)?;
    let area = area_under(curve)?;
    let right = right_tail(curve.dim, data.grid()?, curve.interval)?;
    let snr = curve.interval.0.exp();
    let coordinates: Vec<Vec<f64>> = spectrum.coordinates(&data.flat()?)?.to_vec2()?;
    let left = |q: &Vec<f64>| -> f64 {
        let terms = std::iter::zip(q, &spectrum.eigenvalues).map(|(q, value)| {
            // (q²/λ − 1)·s without dividing by λ, which may be 0
            (snr * value).ln_1p() + (q * q - value) * snr / (1.0 + snr * value)
        });
        0.5 * terms.sum::<f64>()
    };
    let nats: Vec<f64> = std::iter::zip(&coordinates, &area.per_sample)
        .map(|(q, area)| area + left(q) + right)
        .collect();
    Ok(PointwiseNll::new(nats, &area, curve.dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logsnr::LogSnr;
    use crate::mmse::source_curve;
    use crate::net::exact::Source;

    #[test]
    fn levels_have_the_entropy_ln_k() {
        for levels in [2, 3, 17] {
            let grid = Grid::new(-1.0, 1.0, levels).unwrap();
            let source = Source::levels(grid);
            let points = LogSnr::trapezoid(-9.0, 10.0, 150).unwrap();
            let curve = source_curve(&source, 3, &points).unwrap();
            let found = discrete_nll(&curve, &source.spectrum(3).unwrap(), grid).unwrap();
            let known = 3.0 * (levels as f64).ln();
            assert!(
                (found.nats - known).abs() < 1e-4,
                "{levels}: {found} {known}"
            );
        }
    }

    /// Beyond each end the bound lies above what is really there.
    #[test]
    fn tails_are_bounds() {
        let grid = Grid::new(-1.0, 1.0, 5).unwrap();
        let source = Source::levels(grid);
        let spectrum = source.spectrum(1).unwrap();
        let half_area = |low, high| {
            let points = LogSnr::trapezoid(low, high, 400).unwrap();
            area_under(&source_curve(&source, 1, &points).unwrap())
                .unwrap()
                .nats
        };
        for end in [-3.0, -1.0, 1.0] {
            let bound = tails(&spectrum, grid, (end, 9.0)).unwrap().left;
            let truth = half_area(-16.0, end);
            // As far as the sum over 400 points goes.
            assert!(bound >= truth * 0.999, "{end}: {bound} {truth}");
        }
        for end in [2.0, 4.0, 5.0, 6.0] {
            let bound = tails(&spectrum, grid, (-5.0, end)).unwrap().right;
            let truth = half_area(end, 10.0);
            assert!(bound >= truth, "{end}: {bound} {truth}");
            // The published exponent has no ½; from α = 4 on what it gives is less than the truth.
            let published: f64 = (1..5)
                .map(|j| 4.0 * (-((f64::from(j) - 0.5) * 0.5).powi(2) * f64::exp(end)).exp())
                .sum();
            assert!(end < 4.0 || published < truth, "{end}: {published} {truth}");
        }
        assert!(tails(&spectrum, grid, (1.0, f64::NAN)).is_err());
    }

    /// At the published end of the interval, for 256 levels.
    #[test]
    fn the_right_tail_has_its_known_sizes() {
        let grid = Grid::new(-1.0, 1.0, 256).unwrap();
        let spectrum = Spectrum::standard(1).unwrap();
        let right = |end| tails(&spectrum, grid, (-6.0, end)).unwrap().right;
        assert_eq!(right(18.652), 0.0);
        assert!(
            (right(13.993) / 4.1e-4 - 1.0).abs() < 0.1,
            "{}",
            right(13.993)
        );
    }
}
