//! Densities: the Gaussian's, minus half the area by which a denoiser beats the Gaussian's own.

use super::pointwise::{PointwiseNll, check_samples};
use crate::data::{Dataset, Spectrum};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::integral::{Fallback, area};
use crate::mmse::{MseCurve, gaussian_curve, gaussian_curve_on};
use crate::stats;

/// Bounds the mean negative log density, or the entropy, from above by a curve:
///
/// ```text
/// ½ ln det(2πe Σ) − ½ ∫ (f_Σ(α) − E‖ε − ε̂‖²) dα
/// ```
///
/// With the best possible denoiser and a wide interval this is the entropy of the data. Outside of the
/// interval of the curve, and where the curve clearly lies above `f_Σ` ([`Fallback::Clearly`]), the denoiser
/// is taken to be the Gaussian's, and the data to have the covariance Σ.
///
/// That last point matters for held-out data, whose covariance is not quite the one that was fitted:
/// [`pointwise_nll`] needs no such assumption.
///
/// # Units
/// Nats for all dimensions together. The density is per unit of the data's own scale; for discrete data
/// that were dequantized, [`Estimate::per_bin`] makes it a probability.
///
/// # Errors
/// [`Error::Degenerate`](crate::Error::Degenerate) when an eigenvalue is 0,
/// [`Error::Mismatch`](crate::Error::Mismatch) when curve and spectrum differ in dimension.
///
/// # Numerics
/// The standard error joins that of the samples, whose own areas are kept, and that of the quadrature.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 14.
///
/// # Example: the entropy of a Gaussian, from the standard normal as reference
/// ```
/// use itd_prelude::{data::Spectrum, likelihood, logsnr::LogisticLogSnr, mmse::gaussian_curve};
///
/// let truth = Spectrum::new(vec![0.0], &[vec![0.25]])?;
/// let points = LogisticLogSnr::new(0.0, 2.0, 8.0)?.quadrature(300)?;
/// let curve = gaussian_curve(&truth, &points)?;      // its best denoiser's curve
/// let entropy = likelihood::continuous_nll(&curve, &Spectrum::standard(1)?)?;
/// assert!((entropy.nats - truth.gaussian_entropy()?).abs() < 1e-4);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn continuous_nll(curve: &MseCurve, spectrum: &Spectrum) -> Result<Estimate> {
    continuous_nll_with(curve, spectrum, Fallback::default())
}

/// As [`continuous_nll`], with a fallback of your choice.
///
/// # Errors
/// As [`continuous_nll`].
pub fn continuous_nll_with(
    curve: &MseCurve,
    spectrum: &Spectrum,
    fallback: Fallback,
) -> Result<Estimate> {
    let reference = gaussian_curve(spectrum, &curve.points())?;
    continuous_nll_against(&reference, spectrum.gaussian_entropy()?, curve, fallback)
}

/// As [`continuous_nll`], against a reference of your choice: its curve, and its entropy in nats.
///
/// For a Gaussian whose curve is known and whose covariance is not, such as the
/// [published one](crate::mmse::Published).
///
/// # Errors
/// [`Error::Mismatch`](crate::Error::Mismatch) when the two curves differ in points or dimension.
pub fn continuous_nll_against(
    reference: &MseCurve,
    entropy: f64,
    curve: &MseCurve,
    fallback: Fallback,
) -> Result<Estimate> {
    let gap = area(reference, curve, fallback)?;
    Ok(Estimate {
        nats: entropy - gap.nats,
        std_err: f64::hypot(gap.std_err, gap.quadrature_err),
        n: curve.n,
        dim: curve.dim,
    })
}

/// The negative log density of each sample, and their mean, which bounds the true one from above:
///
/// ```text
/// −ln p(x) = −ln N(x; μ, Σ) − ½ ∫ (mmse_G(x, α) − E_ε‖ε − ε̂‖²) dα
/// ```
///
/// Here the Gaussian's denoiser is judged on the same samples (see [`gaussian_curve_on`]). So the bound
/// holds on held-out data too, wherever the Gaussian stands in: outside of the interval, and where the curve
/// clearly lies above the Gaussian's.
///
/// # Errors
/// As [`continuous_nll`], and [`Error::Mismatch`](crate::Error::Mismatch) when `data` is not what the curve was measured on.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 8 with a general Gaussian (App. A).
///
/// # Example: the exact denoiser of a Gaussian gives its density
/// ```
/// use itd_prelude::{data, likelihood, logsnr::LogisticLogSnr, mmse, net::exact::Gaussian};
///
/// let data = data::scg(2000, 0)?;
/// let spectrum = data.train.spectrum()?;
/// let points = LogisticLogSnr::from_spectrum(&spectrum)?.quadrature(30)?;
/// let curve = mmse::mse_curve(&Gaussian::new(&spectrum, &[2])?, &data.test, &points)?;
/// let nll = likelihood::pointwise_nll(&curve, &spectrum, &data.test)?;
/// assert_eq!(nll.nats.len(), 200);
/// assert!(nll.mean.within(likelihood::gaussian_nll(&spectrum, &data.test)?.nats, 4.0).holds);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn pointwise_nll(
    curve: &MseCurve,
    spectrum: &Spectrum,
    data: &Dataset,
) -> Result<PointwiseNll> {
    check_samples(curve, data)?;
    let reference = gaussian_curve_on(spectrum, data, &curve.points())?;
    let gap = area(&reference, curve, Fallback::default())?;
    let gaussian = spectrum.neg_log_density(&data.flat()?)?;
    let nats: Vec<f64> = gaussian
        .iter()
        .zip(&gap.per_sample)
        .map(|(g, gap)| g - gap)
        .collect();
    Ok(PointwiseNll::new(nats, &gap, curve.dim))
}

/// The mean negative log density of data under `N(μ, Σ)`: what any other model has to beat.
///
/// # Errors
/// [`Error::Degenerate`](crate::Error::Degenerate) when an eigenvalue is 0,
/// [`Error::Shape`](crate::Error::Shape) when the dimensions differ.
pub fn gaussian_nll(spectrum: &Spectrum, data: &Dataset) -> Result<Estimate> {
    let nats = spectrum.neg_log_density(&data.flat()?)?;
    Ok(Estimate {
        nats: stats::mean(&nats),
        std_err: stats::std_err(&nats),
        n: nats.len(),
        dim: spectrum.dim(),
    })
}
