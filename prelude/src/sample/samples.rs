//! What was drawn.

use candle_core::Tensor;

use crate::data::Dataset;
use crate::error::Result;

/// Samples from a network, and how they came about.
///
/// In a notebook they show themselves: pictures side by side, points in the plane; with
/// [`frames`](super::SampleConfig::frames) as an animation.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The samples, `f32` on the CPU: `[n, shape…]`.
    pub x: Tensor,
    /// States on the way, noisiest first, the samples themselves last; empty unless they were asked for.
    pub trajectory: Vec<State>,
    /// The range that the samples were clamped to.
    pub clamp: Option<(f64, f64)>,
    /// How often the network was asked for each sample.
    pub evaluations: usize,
}

/// All samples at one place on their way.
#[derive(Debug, Clone)]
pub struct State {
    /// `α`; infinite for the samples themselves.
    pub log_snr: f64,
    /// The noisy samples as the network gets them, `[n, shape…]`, on the CPU.
    pub z: Tensor,
}

impl Samples {
    /// The number of samples.
    pub fn len(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples as a data set, to be measured and drawn as any other.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    ///
    /// # Example: the covariance of what was drawn
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let net = Gaussian::new(&[0.0, 0.0], &[[1.0, 0.5], [0.5, 1.0]])?.denoiser(&[2])?;
    /// let drawn = sample(&net, 2000, &SampleConfig::default())?.dataset("drawn")?;
    /// let found = drawn.gaussian()?.eigenvalues;
    /// // 1.5 and 0.5; the standard error of a variance is λ√(2/n).
    /// check!((found[0] - 1.5).abs() < 0.2 && (found[1] - 0.5).abs() < 0.07);
    /// # Ok(()) }
    /// ```
    pub fn dataset(&self, name: impl Into<String>) -> Result<Dataset> {
        Dataset::new(name, self.x.clone())
    }
}

/// Batches of samples, one after the other.
pub(super) struct Batches {
    x: Vec<Tensor>,
    states: Vec<(f64, Vec<Tensor>)>,
}

impl Batches {
    /// For samples that stop at these values of log-SNR to be kept.
    pub(super) fn new(kept: impl Iterator<Item = f64>) -> Self {
        Self {
            x: Vec::new(),
            states: kept.map(|log_snr| (log_snr, Vec::new())).collect(),
        }
    }

    pub(super) fn add(&mut self, x: Tensor, states: Vec<Tensor>) {
        self.x.push(x);
        for ((_, kept), state) in self.states.iter_mut().zip(states) {
            kept.push(state);
        }
    }

    /// All of them, if there are any.
    pub(super) fn samples(
        self,
        clamp: Option<(f64, f64)>,
        evaluations: usize,
    ) -> Result<Option<Samples>> {
        if self.x.is_empty() {
            return Ok(None);
        }
        let state = |(log_snr, z): (f64, Vec<Tensor>)| -> Result<State> {
            let z = Tensor::cat(&z, 0)?;
            Ok(State { log_snr, z })
        };
        Ok(Some(Samples {
            x: Tensor::cat(&self.x, 0)?,
            trajectory: self.states.into_iter().map(state).collect::<Result<_>>()?,
            clamp,
            evaluations,
        }))
    }
}
