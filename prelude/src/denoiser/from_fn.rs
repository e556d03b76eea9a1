//! Any function as a denoiser.

use candle_core::{Device, Tensor};

use super::{Denoiser, Parametrization, Query};
use crate::data::ConditionKind;
use crate::error::Result;

/// A network of any kind as a [`Denoiser`]: a function of the query, and what it predicts.
///
/// The function gets the variance-preserving `z`, `[n, shape…]`, and `log_snr`, `[n]`. A network with a clock of
/// its own asks a [`TimeMap`](crate::schedule::TimeMap); one for data plus noise, `x + e^{−α/2}·ε`, divides `z` by
/// `√σ(α)`.
///
/// # Example: the best estimate of a sample that is always 0.5
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::{denoiser::FnDenoiser, denoiser::Parametrization};
///
/// # fn main() -> Result<()> {
/// let net = FnDenoiser::new(&[3], Parametrization::X0, |query| Ok((query.z.zeros_like()? + 0.5)?));
/// let data = Dataset::new("constant", Tensor::full(0.5f32, (8, 3), &Device::Cpu)?)?;
/// let curve = mse_curve(&net, &data, &Quadrature::trapezoid(-4.0, 4.0, 5)?)?;
/// check!(curve.mse.iter().all(|&mse| mse < 1e-9));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct FnDenoiser<F> {
    shape: Vec<usize>,
    device: Device,
    parametrization: Parametrization,
    condition: Option<ConditionKind>,
    batch: usize,
    net: F,
}

impl<F: Fn(&Query) -> Result<Tensor>> FnDenoiser<F> {
    /// The function `net` for samples of a shape, on the CPU, without a condition.
    pub fn new(shape: &[usize], parametrization: Parametrization, net: F) -> Self {
        Self {
            shape: shape.to_vec(),
            device: Device::Cpu,
            parametrization,
            condition: None,
            batch: 4096,
            net,
        }
    }

    /// The same on another device.
    pub fn on(self, device: &Device) -> Self {
        Self {
            device: device.clone(),
            ..self
        }
    }

    /// The same, told a condition: the function finds it in [`Query::y`], and in [`Query::told`] of whom.
    pub fn given(self, condition: ConditionKind) -> Self {
        Self {
            condition: Some(condition),
            ..self
        }
    }

    /// The same, asked for at most so many samples at once.
    pub fn with_batch(self, batch: usize) -> Self {
        Self {
            batch: batch.max(1),
            ..self
        }
    }
}

impl<F: Fn(&Query) -> Result<Tensor>> Denoiser for FnDenoiser<F> {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let out = (self.net)(query)?;
        self.parametrization.to_eps(&out, &query.z, &query.log_snr)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.condition
    }

    fn batch(&self) -> usize {
        self.batch
    }
}
