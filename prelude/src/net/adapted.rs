//! Any function as a denoiser.

use candle_core::{Device, Tensor};

use super::{Denoiser, Predicts};
use crate::error::Result;

/// A network of any kind as a [`Denoiser`]: a function of `z` and `log_snr`, and what it predicts.
///
/// The function gets the variance-preserving `z`, `[n, shape…]`, and `log_snr`, `[n]`. A network with a clock of
/// its own asks a [`TimeMap`](crate::schedule::TimeMap); one for data plus noise, `x + e^{−α/2}·ε`, divides `z` by
/// `√σ(α)`.
///
/// # Example: the best estimate of a sample that is always 0.5
/// ```
/// use itd_prelude::{candle::Device, logsnr::LogSnr, data::Dataset, candle::Tensor, mmse::mse_curve};
/// use itd_prelude::net::{Adapted, Predicts};
///
/// let net = Adapted::new(&[3], &Device::Cpu, Predicts::Sample, |z, _log_snr| Ok((z.zeros_like()? + 0.5)?));
/// let data = Dataset::new("constant", Tensor::full(0.5f32, (8, 3), &Device::Cpu)?)?;
/// let curve = mse_curve(&net, &data, &LogSnr::trapezoid(-4.0, 4.0, 5)?)?;
/// assert!(curve.mse.iter().all(|&mse| mse < 1e-9));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapted<F> {
    shape: Vec<usize>,
    device: Device,
    predicts: Predicts,
    net: F,
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor>> Adapted<F> {
    /// The function `net` for samples of a shape, on a device.
    pub fn new(shape: &[usize], device: &Device, predicts: Predicts, net: F) -> Self {
        Self {
            shape: shape.to_vec(),
            device: device.clone(),
            predicts,
            net,
        }
    }
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor>> Denoiser for Adapted<F> {
    fn denoise(&self, z: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        self.predicts.to_eps(&(self.net)(z, log_snr)?, z, log_snr)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &self.device
    }
}
