//! Denoisers: what estimates the noise in a noisy sample.
//!
//! [`distribution`](crate::distribution) has the best possible ones where they are known in closed form;
//! [`net`](crate::net) has networks that learn.

mod conditional;
mod from_fn;
mod guided;
mod parametrization;
mod query;
mod rounded;
mod trainable;

use candle_core::{DType, Device, Tensor};

use crate::data::{ConditionKind, Dataset};
use crate::error::{Error, Result};

pub use conditional::Conditional;
pub use from_fn::FnDenoiser;
pub use guided::Guided;
pub use parametrization::Parametrization;
pub use query::Query;
pub(crate) use query::check_kind;
pub use rounded::{Rounded, Rounding, round};
pub(crate) use trainable::by_graph;
pub use trainable::{GradOut, Trainable};

/// Estimates the noise that the [channel](crate::channel) added.
///
/// This is the only meaning of a network here; one that predicts something else is converted at this door.
/// Whoever asks calls [`Self::denoise`]; whoever makes a denoiser writes [`Self::eps_hat`] and [`Self::shape`], and
/// [`Self::condition`] if it can be told anything.
///
/// # Example: a denoiser of one's own
/// ```
/// use itd_prelude::candle::{Device, Tensor};
/// use itd_prelude::denoiser::{Denoiser, Query};
/// use itd_prelude::{channel, Result};
///
/// /// Says that everything is 0.
/// struct Zero;
///
/// impl Denoiser for Zero {
///     fn eps_hat(&self, query: &Query) -> Result<Tensor> {
///         channel::x_to_eps(&query.z, &query.z.zeros_like()?, &query.log_snr)
///     }
///     fn shape(&self) -> &[usize] {
///         &[2]
///     }
/// }
///
/// let (z, alpha) = (Tensor::new(&[[0f32, 3.0]], &Device::Cpu)?, Tensor::new(&[0f32], &Device::Cpu)?);
/// let eps = Zero.denoise(&Query::new(&z, &alpha))?;
/// assert!((eps.to_vec2::<f32>()?[0][1] - 3.0 * 2f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub trait Denoiser {
    /// `ε̂(z, α)`, or `ε̂(z, α | y)`: the estimate of the noise in `z = √σ(α)·x + √σ(−α)·ε`.
    ///
    /// Asks [`Self::eps_hat`], after it has seen to it that the query fits.
    ///
    /// # Shapes
    /// `z`: `[n, shape…]` and `log_snr`: `[n]`, on [`Self::device`]; gives `[n, shape…]` in the type of `z`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong shape; [`Error::Mismatch`] when the query tells something that this denoiser
    /// takes no notice of, or classes that it does not have; whatever keeps a network from being evaluated.
    fn denoise(&self, query: &Query) -> Result<Tensor> {
        query.check(self.shape(), self.condition())?;
        self.eps_hat(query)
    }

    /// What [`Self::denoise`] gives, for a query that fits.
    ///
    /// # Errors
    /// Whatever keeps the network from being evaluated.
    fn eps_hat(&self, query: &Query) -> Result<Tensor>;

    /// The shape of one sample.
    fn shape(&self) -> &[usize];

    /// Where it computes.
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    /// What it can be told of a sample; `None` when it takes no condition.
    fn condition(&self) -> Option<ConditionKind> {
        None
    }

    /// The type in which it computes: whoever measures it makes the noisy samples in this type. `f64` for closed
    /// forms, which lose nothing at a high SNR then.
    fn dtype(&self) -> DType {
        DType::F32
    }

    /// The number of values in one sample.
    fn dim(&self) -> usize {
        self.shape().iter().product()
    }

    /// How many samples it should be asked for at once by a loop that shows how far it is: so many as take
    /// seconds, not minutes. What it does with them is its own affair.
    fn batch(&self) -> usize {
        4096
    }

    /// This denoiser with its estimate of the clean sample drawn to the levels of a grid.
    fn rounded(&self, rounding: Rounding) -> Rounded<Self>
    where
        Self: Sized + Clone,
    {
        Rounded::new(self.clone(), rounding)
    }
}

/// What a reference, a box or a counted reference to a denoiser does.
macro_rules! forward {
    ($($kind:ty),+) => {$(
        impl<D: Denoiser + ?Sized> Denoiser for $kind {
            fn denoise(&self, query: &Query) -> Result<Tensor> {
                (**self).denoise(query)
            }
            fn eps_hat(&self, query: &Query) -> Result<Tensor> {
                (**self).eps_hat(query)
            }
            fn shape(&self) -> &[usize] {
                (**self).shape()
            }
            fn device(&self) -> &Device {
                (**self).device()
            }
            fn condition(&self) -> Option<ConditionKind> {
                (**self).condition()
            }
            fn dtype(&self) -> DType {
                (**self).dtype()
            }
            fn batch(&self) -> usize {
                (**self).batch()
            }
        }
    )+};
}
forward!(&D, Box<D>, std::sync::Arc<D>);

/// A denoiser that also says how sure a step back is, as networks with a learned variance do.
pub trait LearnedVariance: Denoiser {
    /// `ε̂` as [`Denoiser::denoise`] gives it, and `v`, which chooses the variance of a step between its smallest
    /// (−1) and its largest (1) as [`NoiseSchedule::learned_log_variance`](crate::schedule::NoiseSchedule::learned_log_variance) says.
    ///
    /// # Shapes
    /// As [`Denoiser::denoise`], both results like `z`.
    ///
    /// # Errors
    /// As [`Denoiser::denoise`].
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)>;
}

/// Refuses data whose samples have another shape than the network's.
pub(crate) fn same_shape(data: &Dataset, net: &dyn Denoiser) -> Result<()> {
    if data.shape() == net.shape() {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the data and the network",
        left: format!("samples of shape {:?}", data.shape()),
        right: format!("{:?}", net.shape()),
        next: "make the network with the data's `shape()`",
    })
}
