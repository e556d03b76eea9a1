//! Distributions about which everything is known: entropies, log-probabilities, samples, best denoisers, curves.
//!
//! With them every estimator can be tested without training. [`Gaussian`] is also what everything else is compared
//! with; [`decompose`] and [`log_ratio`] are the paper's identities, for a [`Scalar`].

mod conditional;
mod gaussian;
mod identity;
mod linear;
mod mixture;
mod scalar;
mod sequence;

use candle_core::Tensor;
use rand::RngCore;

use crate::curve::MseCurve;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::Quadrature;

pub use conditional::{ConditionalDenoiser, ConditionalGaussian};
pub use gaussian::{Basis, Cache, Gaussian, GaussianConfig, Shrinkage};
pub use identity::{Decomposition, decompose, log_ratio};
pub use linear::LinearDenoiser;
pub use mixture::{Mixture, MixtureDenoiser};
pub use scalar::{Component, Iid, IidDenoiser, Posterior, Scalar, log_mass};
pub use sequence::{Conditionals, MarkovChain};

/// A distribution of vectors about which everything is known.
///
/// # Example: three distributions, one question
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let blobs = Mixture::new(&[(0.5, Gaussian::new(&[-3.0], &[&[1.0]])?), (0.5, Gaussian::new(&[3.0], &[&[1.0]])?)])?;
/// let all: [&dyn Distribution; 3] = [&Gaussian::standard(1)?, &blobs, &Scalar::uniform(-1.0, 1.0)?];
/// let points = Quadrature::trapezoid(-8.0, 8.0, 65)?;
/// for distribution in all {
///     // No denoiser errs less than the best one, and the Gaussian's is none better.
///     let best = distribution.curve(&points)?;
///     check!(best.mse[64] <= 1.0 + 4.0 * best.std_err[64]);
/// }
/// # Ok(()) }
/// ```
pub trait Distribution {
    /// The number of values in a sample.
    fn dim(&self) -> usize;

    /// The entropy in nats: the differential one of a density, Shannon's of a discrete distribution. Exact where a
    /// closed form is known, else estimated from its own samples.
    ///
    /// # Errors
    /// [`Error::Degenerate`] where there is no density, [`Error::Interrupted`] when it is stopped.
    fn entropy(&self) -> Result<Estimate>;

    /// `ln p(x)` of each row of `[n, dim]`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] where there is no density, [`Error::Shape`] when the dimension is another.
    fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>>;

    /// Draws `n` samples, `f32` `[n, dim]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit.
    fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor>;

    /// The best denoiser, `ε̂ = E[ε | z]`, for samples of a shape with as many values.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the shape has another number of values.
    fn denoiser(&self, shape: &[usize]) -> Result<Box<dyn Denoiser>>;

    /// The error curve of the best denoiser: `γ · mmse(γ)` at each point. Exact where a closed form is known, else
    /// measured on its own samples.
    ///
    /// # Errors
    /// [`Error::Empty`] without points, [`Error::Interrupted`] when it is stopped.
    fn curve(&self, points: &Quadrature) -> Result<MseCurve>;
}

/// Refuses a shape that has another number of values than the distribution.
pub(crate) fn same_dim(dim: usize, shape: &[usize]) -> Result<()> {
    let values = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
    if values == Some(dim) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the distribution and the shape of a sample",
        left: format!("{dim} dimensions"),
        right: format!("{shape:?}"),
        next: "take both from the same data set",
    })
}

/// Rows `[n, dim]` of the right dimension.
pub(crate) fn check_rows(x: &Tensor, dim: usize) -> Result<()> {
    match x.dims() {
        &[_, got] if got == dim => Ok(()),
        got => Err(Error::Shape {
            what: "the samples",
            got: got.to_vec(),
            need: format!("[n, {dim}]"),
        }),
    }
}
