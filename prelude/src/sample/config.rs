//! Settings of a sampler, and where it stops on its way from noise to a sample.

use candle_core::Tensor;

use crate::data::Condition;
use crate::error::{Error, Result};
use crate::schedule::{NoiseSchedule, Variance, check_interval, even_steps};
use crate::stats::sigmoid;

/// How samples are drawn.
///
/// # Example: a hundred steps of DDIM on DDPM's schedule
/// ```
/// use itd_prelude::{sample::{SampleConfig, Sampler, Steps}, schedule::NoiseSchedule};
///
/// let config = SampleConfig {
///     sampler: Sampler::Ddim { eta: 0.0 },
///     steps: Steps::Schedule(NoiseSchedule::linear(1000)?.strided(100)?),
///     clamp: Some((-1.0, 1.0)),
///     ..Default::default()
/// };
/// assert!(config.check().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SampleConfig {
    /// The rule of a step.
    pub sampler: Sampler,
    /// Where it stops.
    pub steps: Steps,
    /// The range that clean samples are known to lie in; each estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
    /// Noisy samples at the lowest log-SNR of the steps to begin with, `[n, shape…]`, variance preserving as
    /// everywhere; `None` draws them from `N(0, I)`.
    pub start: Option<Tensor>,
    /// What the network is told: a condition for each sample, or one for all.
    pub y: Option<Condition>,
    /// Samples that go through the network at once, at most; bounds the memory. What is drawn depends on it only by the
    /// rounding in the network.
    pub batch: usize,
    /// Seed of the noise.
    pub seed: u64,
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
            start: None,
            y: None,
            batch: 256,
            seed: 0,
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

/// The values of log-SNR at which a sampler asks the network, one for each step.
///
/// The last step goes from the highest of them to the clean sample, which is `x̂` there.
#[derive(Debug, Clone, PartialEq)]
pub enum Steps {
    /// The steps of a schedule in discrete time, such as the one that a network was trained on, or
    /// [a part](NoiseSchedule::strided) of it.
    Schedule(NoiseSchedule),
    /// So many steps, evenly spaced in log-SNR, both ends among them.
    ///
    /// What a step of a given length in log-SNR changes is the same for fine and coarse structure, each at its own
    /// place on the axis. So these steps suit data with structure of many sizes, and no size is preferred.
    Even {
        /// The number of steps.
        count: usize,
        /// The noisiest; there the sample is taken to be `N(0, I)`, which is wrong by `√σ(α)` of the data's mean and
        /// by `σ(α)` of the difference between their second moments and 1.
        low: f64,
        /// The least noisy; structure with a variance below about `e^−high` is lost.
        high: f64,
    },
}

impl Steps {
    /// So many steps, evenly spaced in log-SNR from −10 to 12.
    pub fn even(count: usize) -> Self {
        Self::Even {
            count,
            low: -10.0,
            high: 12.0,
        }
    }

    /// The steps as a schedule: least noisy first.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are at least two even steps from a lower to a higher log-SNR within ±80, close
    /// enough to each other that `1 − β` is not 0 in `f64`; [`Error::Memory`] when the steps do not fit.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::sample::Steps;
    ///
    /// let schedule = Steps::Even { count: 5, low: -8.0, high: 8.0 }.schedule()?;
    /// for (alpha, known) in schedule.log_snr.iter().zip([8.0, 4.0, 0.0, -4.0, -8.0]) {
    ///     assert!((alpha - known).abs() < 1e-12);
    /// }
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn schedule(&self) -> Result<NoiseSchedule> {
        let (count, low, high) = match *self {
            Self::Schedule(ref schedule) => return Ok(schedule.clone()),
            Self::Even { count, low, high } => (count, low, high),
        };
        if count < 2 {
            return Err(Error::Parameter {
                name: "count",
                got: count.to_string(),
                need: "at least 2 steps",
            });
        }
        check_interval("low and high", low, high)?;
        let alphas = even_steps(count, low, high)?;
        // β = 1 − σ(α)/σ(α before), of which all digits are wanted; before the first there is no noise.
        let beta = |t: usize| match t.checked_sub(1) {
            None => sigmoid(-alphas[0]),
            Some(before) => -libm::expm1(alphas[t] - alphas[before]) * sigmoid(-alphas[t]),
        };
        NoiseSchedule::from_betas((0..count).map(beta).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_steps_are_a_schedule_with_those_log_snr() {
        let steps = Steps::Even {
            count: 400,
            low: -20.0,
            high: 30.0,
        };
        let schedule = steps.schedule().unwrap();
        for (alpha, known) in schedule
            .log_snr
            .iter()
            .zip(even_steps(400, -20.0, 30.0).unwrap())
        {
            assert!((alpha - known).abs() < 1e-10, "{alpha} {known}");
        }
        let ddpm = NoiseSchedule::linear(1000).unwrap();
        assert_eq!(Steps::Schedule(ddpm.clone()).schedule().unwrap(), ddpm);
    }

    #[test]
    fn what_are_no_steps_is_refused() {
        let bad = |count, low, high| Steps::Even { count, low, high }.schedule().is_err();
        assert!(bad(1, -8.0, 8.0) && bad(0, -8.0, 8.0));
        assert!(bad(9, 8.0, -8.0) && bad(9, f64::NAN, 8.0) && bad(9, -8.0, f64::NAN));
        assert!(bad(9, f64::NEG_INFINITY, 8.0) && bad(9, -8.0, 100.0));
        assert!(bad(2, -60.0, 60.0));
    }
}
