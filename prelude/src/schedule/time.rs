//! From log-SNR to the time that a network was trained with.

use std::f64::consts::FRAC_PI_2;
use std::sync::LazyLock;

use super::{Betas, NoiseSchedule};
use crate::error::Result;
use crate::stats::sigmoid;

/// Which clock a published network is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Time {
    /// The time at which the network's own schedule has that log-SNR.
    #[default]
    Exact,
    /// The formula of the paper's code, which is a little off (by 0.25 of 1000 for IDDPM, up to 3 for DDPM), to
    /// get its numbers.
    AsPublished,
}

/// What turns log-SNR into a network's time.
///
/// # Example: the two clocks of a published network
/// ```
/// use itd_prelude::schedule::{NoiseSchedule, Time, TimeMap};
///
/// let (exact, published) = (TimeMap::iddpm(Time::Exact)?, TimeMap::iddpm(Time::AsPublished)?);
/// let alpha = NoiseSchedule::cosine(4000)?.log_snr[2000];
/// assert!((exact.time(alpha) - 500.0).abs() < 1e-9); // it was shown 1000/4000 of the step
/// assert!((published.time(alpha) - 500.25).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum TimeMap {
    /// Steps of a schedule, interpolated and multiplied by a scale.
    Steps {
        /// The schedule that the network was trained on.
        schedule: NoiseSchedule,
        /// Its time for each step.
        scale: f64,
    },
    /// [`published_ddpm_time`].
    PublishedDdpm,
    /// [`published_iddpm_time`].
    PublishedIddpm,
}

impl TimeMap {
    /// The clock of DDPM's network: 1000 linear steps, its time is the step.
    ///
    /// # Errors
    /// None; for the sake of the schedule's.
    pub fn ddpm(time: Time) -> Result<Self> {
        Ok(match time {
            Time::AsPublished => Self::PublishedDdpm,
            Time::Exact => Self::Steps {
                schedule: NoiseSchedule::linear(1000)?,
                scale: 1.0,
            },
        })
    }

    /// The clock of IDDPM's networks: 4000 cosine steps, their time runs to 1000.
    ///
    /// # Errors
    /// None; for the sake of the schedule's.
    pub fn iddpm(time: Time) -> Result<Self> {
        Ok(match time {
            Time::AsPublished => Self::PublishedIddpm,
            Time::Exact => Self::Steps {
                schedule: NoiseSchedule::cosine(4000)?,
                scale: 0.25,
            },
        })
    }

    /// The network's time at a log-SNR.
    pub fn time(&self, log_snr: f64) -> f64 {
        match self {
            Self::Steps { schedule, scale } => schedule.time_of(log_snr) * scale,
            Self::PublishedDdpm => published_ddpm_time(log_snr),
            Self::PublishedIddpm => published_iddpm_time(log_snr),
        }
    }
}

impl NoiseSchedule {
    /// The step, whole or between two, that has a log-SNR: its inverse is interpolated linearly. The first or the
    /// last beyond the ends; NaN for NaN.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::schedule::NoiseSchedule;
    ///
    /// let ddpm = NoiseSchedule::linear(1000)?;
    /// assert_eq!(ddpm.time_of(ddpm.log_snr[321]), 321.0);
    /// assert_eq!((ddpm.time_of(30.0), ddpm.time_of(-30.0)), (0.0, 999.0));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn time_of(&self, log_snr: f64) -> f64 {
        if log_snr.is_nan() {
            return f64::NAN;
        }
        let after = self.log_snr.partition_point(|&alpha| alpha > log_snr);
        if after == 0 {
            return 0.0;
        }
        match self.log_snr.get(after) {
            None => (self.steps() - 1) as f64,
            Some(&next) => {
                let before = self.log_snr[after - 1];
                (after - 1) as f64 + (before - log_snr) / (before - next)
            }
        }
    }
}

/// DDPM's time in the paper's code: a tenth of the number of that one of 10,000 steps, `β` from 1e-5 to 2e-3, whose
/// `ᾱ` is nearest to `σ(α)`. 0 from `α = 11.10` on.
///
/// # Source
/// Kong, Brekelmans, Ver Steeg (2023), the published code.
pub fn published_ddpm_time(log_snr: f64) -> f64 {
    static FINE: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let (first, last) = (1e-5, 2e-3);
        NoiseSchedule::new(10_000, Betas::Linear { first, last }, (0.0, 0.999))
            .map(|fine| (0..fine.steps()).map(|t| fine.signal(t)).collect())
            .unwrap_or_default()
    });
    if log_snr.is_nan() {
        return f64::NAN;
    }
    let (fine, signal) = (&*FINE, sigmoid(log_snr));
    let after = fine.partition_point(|&s| s > signal);
    let far = |k: usize| fine.get(k).map_or(f64::INFINITY, |s| (s - signal).abs());
    let nearest = match after.checked_sub(1) {
        Some(before) if far(before) <= far(after) => before,
        _ => after,
    };
    nearest as f64 / 10.0
}

/// IDDPM's time in the paper's code: `1000 (2·1.008/π · arccos[cos(π/2 · 0.008/1.008) √σ(α)] − 0.008)`.
///
/// # Source
/// Kong, Brekelmans, Ver Steeg (2023), the published code.
pub fn published_iddpm_time(log_snr: f64) -> f64 {
    let offset = 0.008;
    let start = (offset / (1.0 + offset) * FRAC_PI_2).cos();
    let angle = (start * sigmoid(log_snr).sqrt()).acos();
    1000.0 * (angle * (1.0 + offset) / FRAC_PI_2 - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_clocks_are_off_as_is_known() {
        let ddpm = NoiseSchedule::linear(1000).unwrap();
        for (t, published) in [(0, 0.8), (100, 100.5), (900, 903.3)] {
            let got = published_ddpm_time(ddpm.log_snr[t]);
            assert!((got - published).abs() < 0.051, "{t}: {got}");
        }
        assert_eq!(published_ddpm_time(11.6), 0.0);
        assert_eq!(published_ddpm_time(f64::INFINITY), 0.0);
        assert_eq!(published_ddpm_time(f64::NEG_INFINITY), 999.9);
        assert!(published_ddpm_time(f64::NAN).is_nan());
        let iddpm = NoiseSchedule::cosine(4000).unwrap();
        for t in [0, 10, 1000, 3000] {
            let late = published_iddpm_time(iddpm.log_snr[t]) - t as f64 / 4.0;
            assert!((late - 0.25).abs() < 1e-8, "{t}: {late}");
        }
    }

    #[test]
    fn time_is_the_inverse_of_log_snr() {
        for schedule in [
            NoiseSchedule::cosine(30).unwrap(),
            NoiseSchedule::linear(1000).unwrap(),
        ] {
            for t in 1..schedule.steps() {
                let middle = (schedule.log_snr[t - 1] + schedule.log_snr[t]) / 2.0;
                assert!((schedule.time_of(middle) - (t as f64 - 0.5)).abs() < 1e-9);
            }
            assert!(schedule.time_of(f64::NAN).is_nan());
            assert_eq!(schedule.time_of(f64::INFINITY), 0.0);
        }
    }
}
