//! Settings of a sampler.

use super::Steps;
use crate::error::{Error, Result};
use crate::schedule::Variance;

/// How samples are drawn.
///
/// # Example: a hundred steps of DDIM on DDPM's schedule
/// ```
/// use itd_prelude::{sample::{SampleConfig, Sampler, Steps}, schedule::Schedule};
///
/// let config = SampleConfig {
///     sampler: Sampler::Ddim { eta: 0.0 },
///     steps: Steps::Schedule(Schedule::linear(1000)?.strided(100)?),
///     clamp: Some((-1.0, 1.0)),
///     ..Default::default()
/// };
/// assert!(config.check().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SampleConfig {
    /// The rule of a step.
    pub sampler: Sampler,
    /// Where it stops.
    pub steps: Steps,
    /// The range that clean samples are known to lie in; each estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
    /// Samples that go through the network at once; bounds the memory. What is drawn depends on it only by the
    /// rounding in the network.
    pub batch: usize,
    /// States on the way that are kept of each sample, evenly spaced over the steps, the sample itself the last; 0
    /// for none.
    pub frames: usize,
}

/// The rule by which a sample gets less noisy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampler {
    /// As DDPM: the mean of the step before, given the noisy sample and `x̂`, and noise.
    ///
    /// Wants many steps, 1000 say, and the steps that the network knows.
    Ancestral(Variance),
    /// The same with a variance between the two, as the network says; for
    /// [`sample_learned`](super::sample_learned).
    Learned,
    /// As DDIM: noise of standard deviation `η √β̃` and the rest by `ε̂`. With `η = 0` all that is random is the
    /// start; with `η = 1` it is [`Ancestral`](Self::Ancestral) with [`Variance::Small`].
    Ddim {
        /// From 0 to 1.
        eta: f64,
    },
    /// The probability-flow ODE by Heun's method, of second order: few steps, each but the last with two
    /// evaluations. All that is random is the start.
    Heun,
}

impl Default for SampleConfig {
    /// Heun's method with 50 steps, evenly spaced in log-SNR from −10 to 12; 256 samples at once.
    fn default() -> Self {
        Self {
            sampler: Sampler::Heun,
            steps: Steps::even(50),
            clamp: None,
            batch: 256,
            frames: 0,
        }
    }
}

impl SampleConfig {
    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`], NaN included.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        self.steps.schedule()?;
        if self.batch == 0 {
            return refuse("batch", "0".into(), "at least 1");
        }
        match (self.sampler, self.clamp) {
            (Sampler::Ddim { eta }, _) if !(0.0..=1.0).contains(&eta) => {
                refuse("eta", eta.to_string(), "from 0 to 1")
            }
            (_, Some((low, high))) if !(low < high) => refuse(
                "clamp",
                format!("({low}, {high})"),
                "an interval with its lower end first",
            ),
            _ => Ok(()),
        }
    }

    /// How often the network is asked for each sample.
    pub(super) fn evaluations(&self, steps: usize) -> usize {
        match self.sampler {
            Sampler::Heun => 2 * steps - 1,
            _ => steps,
        }
    }
}
