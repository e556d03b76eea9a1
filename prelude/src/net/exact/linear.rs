//! What one Gaussian says about noisy samples.

use std::f64::consts::TAU;

use candle_core::{DType, Device, Tensor};

use crate::data::Spectrum;
use crate::denoiser::Query;
use crate::error::Result;
use crate::stats::sigmoid;

/// What a Gaussian says about noisy rows, in `f64`.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) spectrum: Spectrum,
    mean: Tensor,
}

impl Linear {
    pub(super) fn new(spectrum: &Spectrum) -> Result<Self> {
        Ok(Self {
            mean: Tensor::new(spectrum.mean.as_slice(), &Device::Cpu)?.unsqueeze(0)?,
            spectrum: spectrum.clone(),
        })
    }

    /// `z − √σ(α) μ` in the coordinates of the eigenvectors, `[n, dim]`.
    pub(super) fn centered(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let signal: Vec<f64> = alpha.iter().map(|&a| sigmoid(a).sqrt()).collect();
        let signal = Tensor::from_vec(signal, (alpha.len(), 1), &Device::Cpu)?;
        let z = z.broadcast_sub(&signal.broadcast_mul(&self.mean)?)?;
        Ok(z.matmul(&self.spectrum.eigenvectors)?)
    }

    /// The variances of `z` along the eigenvectors, `σ(α) λ + σ(−α)`, one row for each sample.
    pub(super) fn variances<'a>(
        &'a self,
        alpha: &'a [f64],
    ) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        let lambda = &self.spectrum.eigenvalues;
        alpha
            .iter()
            .map(move |&a| lambda.iter().map(move |l| sigmoid(a) * l + sigmoid(-a)))
    }

    pub(super) fn denoise(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let noise = |a: f64| sigmoid(-a).sqrt();
        let factors = self.variances(alpha).zip(alpha);
        let factors: Vec<f64> = factors
            .flat_map(|(v, &a)| v.map(move |v| noise(a) / v))
            .collect();
        let factors = Tensor::from_vec(factors, z.shape(), &Device::Cpu)?;
        let scaled = (self.centered(z, alpha)? * factors)?;
        Ok(scaled.matmul(&self.spectrum.eigenvectors.t()?)?)
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
