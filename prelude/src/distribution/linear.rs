//! The best denoiser of a Gaussian.

use std::f64::consts::TAU;

use candle_core::{DType, Device, Tensor};

use super::{Gaussian, same_dim};
use crate::denoiser::{Denoiser, Query};
use crate::error::Result;
use crate::stats::sigmoid;

/// The best denoiser of `N(μ, Σ)`, which is the best linear one of any data with that mean and covariance.
///
/// ```text
/// ε̂ = √σ(−α) · (σ(α) Σ + σ(−α) I)⁻¹ (z − √σ(α) μ)
/// ```
///
/// Made by [`Gaussian::denoiser`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. A: the linear-Gaussian denoiser
/// `x̂ = μ + √γ Σ (γΣ + I)⁻¹ (z − √γ μ)`, said for `ε̂`.
///
/// # Example: its error is the Gaussian's curve
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(2000, 0)?.train;
/// let gaussian = data.gaussian()?;
/// let points = Logistic::matched(&gaussian)?.quadrature(20)?;
/// let curve = mse_curve(&gaussian.denoiser(data.shape())?, &data, &points)?;
/// check!(curve.max_z_score(&gaussian.curve(&points)?)? < 5.0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct LinearDenoiser {
    shape: Vec<usize>,
    pub(super) gaussian: Gaussian,
    mean: Tensor,
}

impl LinearDenoiser {
    /// The denoiser for samples of `shape`, whose values in reading order have that mean and covariance.
    pub(super) fn new(gaussian: &Gaussian, shape: &[usize]) -> Result<Self> {
        same_dim(gaussian.dim(), shape)?;
        Ok(Self {
            shape: shape.to_vec(),
            mean: Tensor::new(gaussian.mean.as_slice(), &Device::Cpu)?.unsqueeze(0)?,
            gaussian: gaussian.clone(),
        })
    }

    /// `z − √σ(α) μ` in the coordinates of the eigenvectors, `[n, dim]`.
    fn centered(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let z = z.broadcast_sub(&signal(alpha)?.broadcast_mul(&self.mean)?)?;
        self.gaussian.rotate(&z)
    }

    /// The variances of `z` along the eigenvectors, `σ(α) λ + σ(−α)`, one row for each sample.
    fn variances<'a>(
        &'a self,
        alpha: &'a [f64],
    ) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        let lambda = &self.gaussian.eigenvalues;
        alpha
            .iter()
            .map(move |&a| lambda.iter().map(move |l| sigmoid(a) * l + sigmoid(-a)))
    }

    /// `ε̂` of rows, `[n, dim]` in `f64`.
    pub(super) fn eps_of_rows(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let noise = |a: f64| sigmoid(-a).sqrt();
        let factors = self.variances(alpha).zip(alpha);
        let factors: Vec<f64> = factors
            .flat_map(|(v, &a)| v.map(move |v| noise(a) / v))
            .collect();
        let factors = Tensor::from_vec(factors, z.shape(), &Device::Cpu)?;
        self.gaussian
            .rotate_back(&(self.centered(z, alpha)? * factors)?)
    }

    /// `ln p(z)` of each row, `[n]`.
    pub(super) fn log_density(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let variances: Vec<f64> = self.variances(alpha).flatten().collect();
        let norms: Vec<f64> = variances
            .chunks(z.dims()[1].max(1))
            .map(|v| v.iter().map(|v| (TAU * v).ln()).sum())
            .collect();
        let variances = Tensor::from_vec(variances, z.shape(), &Device::Cpu)?;
        let norms = Tensor::from_vec(norms, alpha.len(), &Device::Cpu)?;
        let squares = (self.centered(z, alpha)?.sqr()? / variances)?.sum(1)?;
        Ok(((squares + norms)? * -0.5)?)
    }
}

impl Denoiser for LinearDenoiser {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        restore(&self.eps_of_rows(&z, &alpha)?, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    /// So many as take about a tenth of a second: two products with the matrix of eigenvectors each.
    fn batch(&self) -> usize {
        let dim = self.dim() as f64;
        ((2e9 / (dim * dim)) as usize).clamp(1, 4096)
    }
}

/// `√σ(α)` of each sample, `[n, 1]`.
pub(super) fn signal(alpha: &[f64]) -> Result<Tensor> {
    let signal: Vec<f64> = alpha.iter().map(|&a| sigmoid(a).sqrt()).collect();
    Ok(Tensor::from_vec(signal, (alpha.len(), 1), &Device::Cpu)?)
}

/// Samples as `f64` rows on the CPU, and their log-SNR.
pub(super) fn rows(query: &Query, dim: usize) -> Result<(Tensor, Vec<f64>)> {
    let z = query.z.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let alpha = query.log_snr.to_device(&Device::Cpu)?;
    let alpha = alpha.to_dtype(DType::F64)?.to_vec1()?;
    Ok((z.reshape((query.len(), dim))?, alpha))
}

/// Rows as samples like those of the query, in their type.
pub(super) fn restore(rows: &Tensor, query: &Query) -> Result<Tensor> {
    Ok(rows
        .to_dtype(query.z.dtype())?
        .reshape(query.z.dims())?
        .to_device(query.z.device())?)
}
