//! Denoisers: what estimates the noise in a noisy sample.
//!
//! [`exact`] has the best possible ones where they are known in closed form; [`mlp`] and [`unet`] learn, the
//! one points and the other pictures; [`ddpm`] and [`iddpm`] are the published ones.

mod adapted;
mod by_parts;
pub mod ddpm;
mod embed;
pub mod exact;
mod guided;
pub mod iddpm;
pub mod mlp;
mod predicts;
mod published;
mod rounded;
pub mod unet;

use candle_core::{Device, Tensor, Var};

use crate::data::{Dataset, Spectrum};
use crate::error::{Error, Result};

pub use adapted::Adapted;
#[doc(hidden)]
pub use ddpm::DdpmBlock;
pub use ddpm::{Ddpm, DdpmConfig};
pub use embed::Embedding;
pub use guided::Guided;
pub use iddpm::{Iddpm, IddpmConfig};
pub use mlp::{Mlp, MlpConfig};
pub use predicts::Predicts;
pub use rounded::{Rounded, Rounding, round};
pub use unet::{UNet, UNetConfig};

/// Estimates the noise that the [channel](crate::channel) added.
///
/// This is the only meaning of a network here; one that predicts something else is converted at this door.
pub trait Denoiser {
    /// `ε̂(z, α)`: the estimate of the noise in `z = √σ(α)·x + √σ(−α)·ε`.
    ///
    /// # Shapes
    /// `z`: `[n, shape…]` and `log_snr`: `[n]`, both `f32` on [`Self::device`]; gives `[n, shape…]`.
    ///
    /// # Errors
    /// Whatever keeps the network from being evaluated, such as a wrong shape.
    fn denoise(&self, z: &Tensor, log_snr: &Tensor) -> Result<Tensor>;

    /// The shape of one sample.
    fn shape(&self) -> &[usize];

    /// Where it computes.
    fn device(&self) -> &Device;

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
    fn rounded(&self, rounding: Rounding) -> Rounded<'_, Self>
    where
        Self: Sized,
    {
        Rounded::new(self, rounding)
    }
}

impl<D: Denoiser + ?Sized> Denoiser for &D {
    fn denoise(&self, z: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        (**self).denoise(z, log_snr)
    }

    fn shape(&self) -> &[usize] {
        (**self).shape()
    }

    fn device(&self) -> &Device {
        (**self).device()
    }

    fn batch(&self) -> usize {
        (**self).batch()
    }
}

/// A denoiser that also says how sure a step back is, as networks with a learned variance do.
pub trait LearnedVariance: Denoiser {
    /// `ε̂` as [`Denoiser::denoise`] gives it, and `v`, which chooses the variance of a step between its smallest
    /// (−1) and its largest (1) as [`Schedule::learned_log_variance`](crate::schedule::Schedule::learned_log_variance)
    /// says.
    ///
    /// # Shapes
    /// As [`Denoiser::denoise`], both results like `z`.
    ///
    /// # Errors
    /// As [`Denoiser::denoise`].
    fn denoise_with_variance(&self, z: &Tensor, log_snr: &Tensor) -> Result<(Tensor, Tensor)>;
}

/// `∂L/∂ε̂` for some samples, from the one of this number on; see [`Trainable::gradients`].
pub type Slope<'a> = dyn Fn(usize, &Tensor) -> Result<Tensor> + Sync + 'a;

/// A denoiser with parameters that can be fitted.
pub trait Trainable: Denoiser {
    /// The parameters. Setting a [`Var`] changes the denoiser.
    fn vars(&self) -> Vec<Var>;

    /// `ε̂(z, α)`, or `ε̂(z, α | label)`, as a function of the parameters: what training differentiates.
    ///
    /// [`Denoiser::denoise`] gives the same numbers for samples without a label, but may leave out the
    /// parameters' gradient, which takes memory. A network without classes takes no notice of labels.
    ///
    /// # Shapes
    /// As [`Denoiser::denoise`]; `labels`: `[n]`, `u32`. Labels below [`Self::classes`] name a class, and that
    /// number itself says that the class is not told.
    ///
    /// # Errors
    /// As [`Denoiser::denoise`], and for labels that are no classes.
    fn forward(&self, z: &Tensor, log_snr: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let _ = labels;
        self.denoise(z, log_snr)
    }

    /// The gradient of a loss by each of [`Self::vars`]: `Σ (∂L/∂ε̂)(∂ε̂/∂θ)`, where `slope(first, ε̂)` gives `∂L/∂ε̂`
    /// for the samples from the `first` on, as many as `ε̂` has.
    ///
    /// By default through [`Self::forward`] and candle's graph, all samples at once; a network may know a faster way,
    /// and ask for the slopes of some samples after the other, or from several threads. `None` stands for a parameter
    /// that `ε̂` does not depend on.
    ///
    /// # Shapes
    /// As [`Self::forward`]; `slope` gets and gives that of some samples of `z`, the gradients have those of the parameters.
    ///
    /// # Errors
    /// As [`Self::forward`], and what `slope` returns.
    ///
    /// # Example: the sum's gradient by the last layer's bias is the number of samples, but for what surrounds it
    /// ```
    /// use itd_prelude::candle::{DType, Device, Tensor};
    /// use itd_prelude::{data::Spectrum, net::{Mlp, MlpConfig, Trainable}, rng};
    ///
    /// let net = Mlp::new(&MlpConfig::default(), &Spectrum::standard(2)?, &[2], &Device::Cpu)?;
    /// let (z, alpha) = (rng::normal(&[5, 2], &mut rng::seeded(0))?, Tensor::zeros(5, DType::F32, &Device::Cpu)?);
    /// let found = net.gradients(&z, &alpha, None, &|_, eps| Ok(eps.ones_like()?))?;
    /// // At α = 0 the network's output stands in ε̂ with the factor 2 √(σ(t) σ(−t)) = 1.
    /// let bias = found.last().and_then(|slope| slope.as_ref()).expect("the last bias");
    /// assert!(bias.to_vec1::<f32>()?.iter().all(|slope| (slope - 5.0).abs() < 1e-5));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    fn gradients(
        &self,
        z: &Tensor,
        log_snr: &Tensor,
        labels: Option<&Tensor>,
        slope: &Slope,
    ) -> Result<Vec<Option<Tensor>>> {
        by_candle(self, z, log_snr, labels, slope)
    }

    /// The number of classes that it tells apart; `None` when it knows of none.
    fn classes(&self) -> Option<usize> {
        None
    }
}

/// What [`Trainable::gradients`] is by default.
fn by_candle<N: Trainable + ?Sized>(
    net: &N,
    z: &Tensor,
    log_snr: &Tensor,
    labels: Option<&Tensor>,
    slope: &Slope,
) -> Result<Vec<Option<Tensor>>> {
    let eps = net.forward(z, log_snr, labels)?;
    let slope = slope(0, &eps.detach())?;
    let found = (eps * slope)?.sum_all()?.backward()?;
    let of = |var: &Var| found.get(var).cloned();
    Ok(net.vars().iter().map(of).collect())
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

/// Refuses a shape that has another number of values than the spectrum.
fn same_dim(spectrum: &Spectrum, shape: &[usize]) -> Result<()> {
    let dim: usize = shape.iter().product();
    if spectrum.dim() == dim {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the spectrum and the shape of a sample",
        left: format!("{} dimensions", spectrum.dim()),
        right: format!("{shape:?}, which is {dim} values"),
        next: "take both from the same data set",
    })
}
