//! What is measured of noisy samples.

use std::ops::Range;

use candle_core::{DType, Tensor};

use super::Conditioning;
use crate::channel;
use crate::data::{Condition, Dataset};
use crate::denoiser::{Denoiser, Query, check_kind};
use crate::error::{Error, Result};

/// Noisy samples, with all that is known of them: some samples at some points of log-SNR, one noise for each.
///
/// Rows stand point by point: all samples at the first point, then at the next.
#[derive(Debug, Clone)]
pub struct NoisyBatch {
    /// The clean samples, `[rows, shape…]`.
    pub x: Tensor,
    /// The noise in each, `[rows, shape…]`.
    pub eps: Tensor,
    /// What the channel made of both, `[rows, shape…]`.
    pub z: Tensor,
    /// The log-SNR of each, `[rows]`.
    pub log_snr: Tensor,
    /// The condition of each, if the data have conditions.
    pub y: Option<Condition>,
    /// The number of the samples in the data.
    pub samples: Range<usize>,
    /// The number of the points.
    pub points: Range<usize>,
}

impl NoisyBatch {
    /// What a denoiser says of the noise, in the type of the batch: a network that computes in `f32` is asked in
    /// `f32`.
    ///
    /// # Errors
    /// [`Error::Missing`] when it should be told conditions, and the data have none; what the denoiser returns.
    pub fn eps_hat(&self, net: &dyn Denoiser, conditioning: Conditioning) -> Result<Tensor> {
        let dtype = net.dtype();
        let query = Query::new(&self.z.to_dtype(dtype)?, &self.log_snr.to_dtype(dtype)?);
        let query = match (conditioning, &self.y) {
            (Conditioning::Unconditional, _) => query,
            (Conditioning::Conditional, Some(y)) => query.given(y.clone()),
            (Conditioning::Conditional, None) => {
                return Err(Error::Missing {
                    what: "the data have no conditions to tell the network".into(),
                    next: "give them a class or a vector for each sample with `given`",
                });
            }
        };
        Ok(net.denoise(&query)?.to_dtype(self.z.dtype())?)
    }
}

/// Numbers that are measured of each noisy sample, such as the squared error of a denoiser.
///
/// [`measure`](super::measure()) gives their integral over log-SNR, sample by sample.
pub trait Statistic {
    /// The denoisers that are asked: they decide about shape, device, type and batch.
    fn denoisers(&self) -> Vec<&dyn Denoiser>;

    /// How many numbers there are for each noisy sample.
    fn width(&self) -> usize {
        1
    }

    /// The numbers, `[rows]` or `[rows, width]`.
    ///
    /// # Errors
    /// Whatever keeps the denoisers from being evaluated.
    fn values(&self, batch: &NoisyBatch) -> Result<Tensor>;
}

/// `‖ε − ε̂‖²`, the squared error of a denoiser.
#[derive(Clone, Copy)]
pub struct SquaredError<'a> {
    /// The denoiser.
    pub net: &'a dyn Denoiser,
    /// Whether it is told the samples' conditions.
    pub conditioning: Conditioning,
    /// The range that clean samples are known to lie in; the estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
}

impl SquaredError<'_> {
    /// `ε̂`, clamped.
    /// Refuses conditions that the network cannot be told, of the last sample as of the first.
    pub(crate) fn check_conditions(&self, data: &Dataset) -> Result<()> {
        match self.conditioning {
            Conditioning::Unconditional => Ok(()),
            Conditioning::Conditional => check_kind(self.net.condition(), data.y()?.kind()),
        }
    }

    pub(crate) fn eps_hat(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let eps_hat = batch.eps_hat(self.net, self.conditioning)?;
        match self.clamp {
            None => Ok(eps_hat),
            Some(range) => channel::clamp_x(&batch.z, &eps_hat, &batch.log_snr, range),
        }
    }
}

impl Statistic for SquaredError<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.net]
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        row_squares(&(&batch.eps - self.eps_hat(batch)?)?)
    }
}

/// The squared norm of each sample, `[rows]`, in its own type, summed in `f64`.
pub(crate) fn row_squares(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(1)?.to_dtype(DType::F64)?.sqr()?.sum(1)?)
}
