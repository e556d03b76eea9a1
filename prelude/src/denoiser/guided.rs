//! Classifier-free guidance: away from what a network says without the condition.

use candle_core::{DType, Device, Tensor};

use super::{Denoiser, Query};
use crate::error::{Error, Result};

/// Two denoisers, one that was given a condition and one that was not, taken together as
///
/// ```text
/// ε̂ = (1 + w) · ε̂_given − w · ε̂_free
/// ```
///
/// With `w = 0` it is the first one alone, with `w = −1` the second; the one that has no share is not evaluated.
/// Others write the same with the scale `s = 1 + w`. For `w > 0` samples are drawn to what tells the condition
/// from the rest; it is no longer the denoiser of a distribution, so that its squared error bounds nothing.
///
/// # Paper
/// Ho, Salimans (2022), arXiv:2207.12598, Eq. 6.
///
/// # Example: from N(0, 1), away from N(−1, 1)
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::{denoiser::Guided, denoiser::Query};
///
/// # fn main() -> Result<()> {
/// let normal = |mean| Gaussian::new(&[mean], &[[1.0]])?.denoiser(&[1]);
/// let (given, free, far) = (normal(0.0)?, normal(-1.0)?, normal(2.0)?);
/// let (z, alpha) = (Tensor::new(&[[0.3f32]], &Device::Cpu)?, Tensor::new(&[1f32], &Device::Cpu)?);
/// let guided = Guided::new(&given, &free, 2.0)?.denoise(&Query::new(&z, &alpha))?;
/// // With equal variances, guidance moves the mean: (1 + 2)·0 − 2·(−1) = 2.
/// let gap = (guided - far.denoise(&Query::new(&z, &alpha))?)?.to_vec2::<f32>()?[0][0];
/// check!(gap.abs() < 1e-6);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Guided<A, B> {
    given: A,
    free: B,
    weight: f64,
}

impl<A: Denoiser, B: Denoiser> Guided<A, B> {
    /// Guides `given` away from `free` with weight `w`. References to denoisers are denoisers.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the weight is finite, [`Error::Mismatch`] when the two differ in shape or in
    /// where they compute.
    pub fn new(given: A, free: B, weight: f64) -> Result<Self> {
        if !weight.is_finite() {
            return Err(Error::Parameter {
                name: "weight",
                got: weight.to_string(),
                need: "finite",
            });
        }
        let alike = given.shape() == free.shape() && given.device().same_device(free.device());
        if !alike {
            let kind = |net: &dyn Denoiser| format!("{:?} on {:?}", net.shape(), net.device());
            return Err(Error::Mismatch {
                what: "the two denoisers",
                left: kind(&given),
                right: kind(&free),
                next: "make both for samples of one shape, on one device",
            });
        }
        Ok(Self {
            given,
            free,
            weight,
        })
    }
}

impl<A: Denoiser, B: Denoiser> Denoiser for Guided<A, B> {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (given, free) = (1.0 + self.weight, -self.weight);
        if free == 0.0 {
            return self.given.denoise(query);
        }
        if given == 0.0 {
            return self.free.denoise(query);
        }
        let (a, b) = (self.given.denoise(query)?, self.free.denoise(query)?);
        Ok(((a * given)? + (b * free)?)?)
    }

    fn shape(&self) -> &[usize] {
        self.given.shape()
    }

    fn device(&self) -> &Device {
        self.given.device()
    }

    fn dtype(&self) -> DType {
        self.given.dtype()
    }

    fn batch(&self) -> usize {
        self.given.batch().min(self.free.batch())
    }
}
