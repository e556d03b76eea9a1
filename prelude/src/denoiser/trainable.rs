//! Denoisers with parameters that can be fitted.

use candle_core::{Tensor, Var};
use serde_json::Value;

use super::{Denoiser, Query};
use crate::error::Result;

/// `∂L/∂ε̂` for some samples, from the one of this number on; see [`Trainable::gradients`].
pub type GradOut<'a> = dyn Fn(usize, &Tensor) -> Result<Tensor> + Sync + 'a;

/// A denoiser with parameters that can be fitted.
pub trait Trainable: Denoiser {
    /// The parameters. Setting a [`Var`] changes the denoiser.
    fn vars(&self) -> Vec<Var>;

    /// What makes it this network beside its parameters: its sizes, and constants that surround its layers. A
    /// [run](crate::train::TrainConfig::run) goes on only with a network that says the same.
    ///
    /// # Errors
    /// Whatever keeps its constants from being read.
    ///
    /// # Example: two starts of one network, and another one
    /// ```
    /// use itd_prelude::prelude::*;
    /// use itd_prelude::denoiser::Trainable;
    ///
    /// # fn main() -> Result<()> {
    /// let told = |seed, variance: f64| -> Result<_> {
    ///     let around = Gaussian::diagonal(vec![0.0; 2], vec![variance; 2])?;
    ///     Mlp::new(&MlpConfig { seed, ..Default::default() }, &around, &[2], &Device::Cpu)?.describe()
    /// };
    /// check!(told(0, 1.0)? == told(1, 1.0)? && told(0, 1.0)? != told(0, 4.0)?);
    /// # Ok(()) }
    /// ```
    fn describe(&self) -> Result<Value> {
        Ok(Value::Null)
    }

    /// `ε̂(z, α | y)` as a function of the parameters: what training differentiates.
    ///
    /// [`Denoiser::denoise`] gives the same numbers, but may leave out the parameters' gradient, which takes memory.
    ///
    /// # Shapes
    /// As [`Denoiser::denoise`].
    ///
    /// # Errors
    /// As [`Denoiser::denoise`].
    fn forward(&self, query: &Query) -> Result<Tensor> {
        self.denoise(query)
    }

    /// The gradient of a loss by each of [`Self::vars`]: `Σ (∂L/∂ε̂)(∂ε̂/∂θ)`, where `grad_out(first, ε̂)` gives
    /// `∂L/∂ε̂` for the samples from the `first` on, as many as `ε̂` has.
    ///
    /// By default through [`Self::forward`] and candle's graph, all samples at once; a network may know a faster way,
    /// and ask for the gradients of some samples after the other, or from several threads. `None` stands for a
    /// parameter that `ε̂` does not depend on.
    ///
    /// # Shapes
    /// As [`Self::forward`]; `grad_out` gets and gives that of some samples of `z`, the gradients have those of the
    /// parameters.
    ///
    /// # Errors
    /// As [`Self::forward`], and what `grad_out` returns.
    ///
    /// # Example: the sum's gradient by the last layer's bias is the number of samples, but for what surrounds it
    /// ```
    /// use itd_prelude::prelude::*;
    /// use itd_prelude::denoiser::Query;
    /// use itd_prelude::{candle::DType, denoiser::Trainable};
    ///
    /// # fn main() -> Result<()> {
    /// let net = Mlp::new(&MlpConfig::default(), &Gaussian::standard(2)?, &[2], &Device::Cpu)?;
    /// let (z, alpha) = (rng::normal(&[5, 2], &mut rng::seeded(0))?, Tensor::zeros(5, DType::F32, &Device::Cpu)?);
    /// let found = net.gradients(&Query::new(&z, &alpha), &|_, eps| Ok(eps.ones_like()?))?;
    /// // At α = 0 the network's output stands in ε̂ with the factor 2 √(σ(t) σ(−t)) = 1.
    /// let bias = found.last().and_then(|gradient| gradient.as_ref()).expect("the last bias");
    /// assert!(bias.to_vec1::<f32>()?.iter().all(|gradient| (gradient - 5.0).abs() < 1e-5));
    /// # Ok(()) }
    /// ```
    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        by_graph(self, query, grad_out)
    }
}

/// What a reference, a box or a counted reference to a network does.
macro_rules! forward {
    ($($kind:ty),+) => {$(
        impl<N: Trainable + ?Sized> Trainable for $kind {
            fn vars(&self) -> Vec<Var> {
                (**self).vars()
            }
            fn describe(&self) -> Result<Value> {
                (**self).describe()
            }
            fn forward(&self, query: &Query) -> Result<Tensor> {
                (**self).forward(query)
            }
            fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
                (**self).gradients(query, grad_out)
            }
        }
    )+};
}
forward!(&N, Box<N>, std::sync::Arc<N>);

/// What [`Trainable::gradients`] is by default: candle's graph.
pub(crate) fn by_graph<N: Trainable + ?Sized>(
    net: &N,
    query: &Query,
    grad_out: &GradOut,
) -> Result<Vec<Option<Tensor>>> {
    let eps = net.forward(query)?;
    let gradient = grad_out(0, &eps.detach())?;
    let found = (eps * gradient)?.sum_all()?.backward()?;
    let of = |var: &Var| found.get(var).cloned();
    Ok(net.vars().iter().map(of).collect())
}
