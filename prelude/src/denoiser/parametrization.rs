//! What a network was trained to predict.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::channel;
use crate::error::Result;

/// What comes out of a network; all four say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Parametrization {
    /// The noise, `ε̂`.
    #[default]
    Eps,
    /// The clean sample, `x̂`.
    X0,
    /// `v̂`, the estimate of `√σ(α)·ε − √σ(−α)·x`.
    V,
    /// The score, `∇ ln p(z)`.
    Score,
}

impl Parametrization {
    /// The estimate of the noise that goes with a network's output.
    ///
    /// # Shapes
    /// `out` and `z`: `[n, shape…]`, `log_snr`: `[n]`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless `log_snr` has one value for each sample.
    ///
    /// # Numerics
    /// As [`channel::x_to_eps`] for [`Parametrization::X0`]; the others lose nothing.
    ///
    /// # Paper
    /// `v`: Salimans, Ho (2022), arXiv:2202.00512, App. D.
    ///
    /// # Example: the four ways to be right
    /// ```
    /// use itd_prelude::{candle::{Device, Tensor}, channel, denoiser::Parametrization, rng};
    ///
    /// let (x, alpha) = (rng::normal(&[2, 3], &mut rng::seeded(0))?, Tensor::new(&[-1f32, 2.0], &Device::Cpu)?);
    /// let noisy = channel::draw(&x, &alpha, 0)?;
    /// let (signal, noise) = channel::amplitudes(&alpha, &x)?;
    /// let v = (noisy.eps.broadcast_mul(&signal)? - x.broadcast_mul(&noise)?)?;
    /// let score = channel::eps_to_score(&noisy.eps, &alpha)?;
    /// for (parametrization, out) in [
    ///     (Parametrization::Eps, &noisy.eps), (Parametrization::X0, &x),
    ///     (Parametrization::V, &v), (Parametrization::Score, &score),
    /// ] {
    ///     let eps = parametrization.to_eps(out, &noisy.z, &alpha)?;
    ///     let gap = (eps - &noisy.eps)?.abs()?.max_all()?.to_scalar::<f32>()?;
    ///     assert!(gap < 1e-5, "{parametrization:?}: {gap}");
    /// }
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn to_eps(self, out: &Tensor, z: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        match self {
            Self::Eps => Ok(out.clone()),
            Self::X0 => channel::x_to_eps(z, out, log_snr),
            Self::V => {
                let (signal, noise) = channel::amplitudes(log_snr, z)?;
                Ok((z.broadcast_mul(&noise)? + out.broadcast_mul(&signal)?)?)
            }
            Self::Score => channel::score_to_eps(out, log_snr),
        }
    }
}
