//! The Gaussian's curves, in closed form.

use super::MseCurve;
use crate::data::{Dataset, Spectrum};
use crate::error::Result;
use crate::logsnr::LogSnr;
use crate::stats::sigmoid;

/// The error of the best denoiser of `N(μ, Σ)` on data with that mean and covariance: `f_Σ(α) = Σᵢ σ(α + ln λᵢ)`.
///
/// # Errors
/// [`Error::Degenerate`](crate::Error::Degenerate) when an eigenvalue is 0.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 14.
///
/// # Example: half of a standard normal is noise at α = 0
/// ```
/// use itd_prelude::{data::Spectrum, logsnr::LogisticLogSnr, mmse};
///
/// let points = LogisticLogSnr::new(0.0, 1.0, 4.0)?.quadrature(11)?;
/// let curve = mmse::gaussian_curve(&Spectrum::standard(2)?, &points)?;
/// assert!((curve.mse[5] - 2.0 * 0.5).abs() < 1e-12);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn gaussian_curve(spectrum: &Spectrum, points: &LogSnr) -> Result<MseCurve> {
    points.check()?;
    let logs = spectrum.log_eigenvalues()?;
    let at = |alpha: &f64| logs.iter().map(|log| sigmoid(alpha + log)).sum();
    let mse = points.log_snr.iter().map(at).collect();
    Ok(MseCurve::exact(points, spectrum.dim(), mse))
}

/// The error of the best denoiser of `N(μ, Σ)` on given samples, whatever their distribution, with the noise
/// integrated out. With `q = Uᵀ(x − μ)` and `tᵢ = α + ln λᵢ`, for each sample
///
/// ```text
/// E_ε‖ε − ε̂_G‖² = Σᵢ σ(tᵢ)² + (qᵢ²/λᵢ) σ(tᵢ) σ(−tᵢ)
/// ```
///
/// # Errors
/// [`Error::Degenerate`](crate::Error::Degenerate) when an eigenvalue is 0, [`Error::Shape`](crate::Error::Shape) when the dimensions differ.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. A: `mmse_G(x, γ)` times γ.
pub fn gaussian_curve_on(spectrum: &Spectrum, data: &Dataset, points: &LogSnr) -> Result<MseCurve> {
    points.check()?;
    let logs = spectrum.log_eigenvalues()?;
    let coordinates: Vec<Vec<f64>> = spectrum.coordinates(&data.flat()?)?.to_vec2()?;
    let mut errors = Vec::with_capacity(data.len() * points.len());
    for q in &coordinates {
        let scaled: Vec<f64> = q
            .iter()
            .zip(&logs)
            .map(|(q, log)| q * q / log.exp())
            .collect();
        for alpha in &points.log_snr {
            let terms = logs.iter().zip(&scaled).map(|(log, square)| {
                let (up, down) = (sigmoid(alpha + log), sigmoid(-alpha - log));
                up * (up + square * down)
            });
            errors.push(terms.sum::<f64>() as f32);
        }
    }
    Ok(MseCurve::of_errors(points, spectrum.dim(), errors))
}
