//! The denoiser of a Gaussian.

use candle_core::{DType, Tensor};

use super::super::same_dim;
use super::linear::{Linear, restore, rows};
use crate::data::Spectrum;
use crate::denoiser::{Denoiser, Query};
use crate::error::Result;

/// The best denoiser of `N(μ, Σ)`, which is the best linear one of any data with that mean and covariance.
///
/// ```text
/// ε̂ = √σ(−α) · (σ(α) Σ + σ(−α) I)⁻¹ (z − √σ(α) μ)
/// ```
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. A: the linear-Gaussian denoiser
/// `x̂ = μ + √γ Σ (γΣ + I)⁻¹ (z − √γ μ)`, said for `ε̂`.
///
/// # Example: its error is the Gaussian curve
/// ```
/// use itd_prelude::{data, logsnr::LogisticLogSnr, mmse, net::exact::Gaussian};
///
/// let data = data::scg(2000, 0)?.train;
/// let spectrum = data.spectrum()?;
/// let alphas = LogisticLogSnr::from_spectrum(&spectrum)?.quadrature(20)?;
/// let curve = mmse::mse_curve(&Gaussian::new(&spectrum, data.shape())?, &data, &alphas)?;
/// let known = mmse::gaussian_curve(&spectrum, &alphas)?;
/// assert!(curve.sigmas_from(&known)? < 5.0);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Gaussian {
    shape: Vec<usize>,
    linear: Linear,
}

impl Gaussian {
    /// The denoiser for samples of `shape`, whose values in reading order have that mean and covariance.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) when the shape has another number of values than the spectrum.
    pub fn new(spectrum: &Spectrum, shape: &[usize]) -> Result<Self> {
        same_dim(spectrum, shape)?;
        Ok(Self {
            shape: shape.to_vec(),
            linear: Linear::new(spectrum)?,
        })
    }
}

impl Denoiser for Gaussian {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        let eps = self.linear.denoise(&z, &alpha)?;
        restore(&eps, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::F64
    }
}
