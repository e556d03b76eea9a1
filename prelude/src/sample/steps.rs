//! Where a sampler stops on its way from noise to a sample.

use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::stats::sigmoid;

/// The values of log-SNR at which a sampler asks the network, one for each step.
///
/// The last step goes from the highest of them to the clean sample, which is `x̂` there.
#[derive(Debug, Clone, PartialEq)]
pub enum Steps {
    /// The steps of a schedule in discrete time, such as the one that a network was trained on, or
    /// [a part](Schedule::strided) of it.
    Schedule(Schedule),
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
    /// enough to each other that `1 − β` is not 0 in `f64`.
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
    pub fn schedule(&self) -> Result<Schedule> {
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
        let alphas = even(count, low, high);
        // β = 1 − σ(α)/σ(α before), of which all digits are wanted; before the first there is no noise.
        let beta = |t: usize| match t.checked_sub(1) {
            None => sigmoid(-alphas[0]),
            Some(before) => -libm::expm1(alphas[t] - alphas[before]) * sigmoid(-alphas[t]),
        };
        Schedule::from_betas((0..count).map(beta).collect())
    }
}

/// `count` points from `high` down to `low`.
pub(super) fn even(count: usize, low: f64, high: f64) -> Vec<f64> {
    let part = |i: usize| i as f64 / (count - 1) as f64;
    (0..count).map(|i| high + (low - high) * part(i)).collect()
}

/// Refuses what is no interval of log-SNR; `f32` ends at about ±87.
pub(super) fn check_interval(name: &'static str, low: f64, high: f64) -> Result<()> {
    if low < high && low >= -80.0 && high <= 80.0 {
        return Ok(());
    }
    Err(Error::Parameter {
        name,
        got: format!("({low}, {high})"),
        need: "an interval of log-SNR within ±80, the lower end first",
    })
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
        for (alpha, known) in schedule.log_snr.iter().zip(even(400, -20.0, 30.0)) {
            assert!((alpha - known).abs() < 1e-10, "{alpha} {known}");
        }
        let ddpm = Schedule::linear(1000).unwrap();
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
