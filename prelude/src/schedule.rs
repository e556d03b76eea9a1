//! Noise schedules: the steps of a diffusion in discrete time, and the clock of a network that was trained on them.
//!
//! Step `t` adds noise of variance `β_t` to a signal that shrinks to keep the variance; `ᾱ_t = Π (1 − β_s)` of the
//! signal's power is left. What the rest of the library knows is the log-SNR, `α_t = ln ᾱ_t/(1 − ᾱ_t)`. Steps count
//! from 0, the least noisy, as the published code has it.

mod betas;
mod quadrature;
mod time;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::stats::softplus;

pub use betas::Betas;
pub use time::{Time, TimeMap, published_ddpm_time, published_iddpm_time};

/// The variance of a step back where the network does not choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variance {
    /// `β̃_t`: right when the clean sample is known.
    Small,
    /// `β_t`: right when the samples are standard normal.
    #[default]
    Large,
}

/// The steps of a diffusion in discrete time.
///
/// # Numerics
/// All in `f64`. `ᾱ` is kept as its logarithm and `1 − ᾱ` taken from that, so both ends of the log-SNR have all
/// their digits.
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Sec. 2; Nichol, Dhariwal (2021), arXiv:2102.09672, Sec. 3.
///
/// # Example: how much noise DDPM ends with
/// ```
/// use itd_prelude::schedule::NoiseSchedule;
///
/// let ddpm = NoiseSchedule::linear(1000)?;
/// assert!((ddpm.log_snr[0] - 9.2102).abs() < 1e-4);
/// assert!((ddpm.signal(999) - 4.036e-5).abs() < 1e-8);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseSchedule {
    /// `β_t`, each in (0, 1).
    pub betas: Vec<f64>,
    /// `α_t = ln ᾱ_t/(1 − ᾱ_t)`, falling.
    pub log_snr: Vec<f64>,
    /// The number of each step in the schedule that this one was taken from; `0, 1, 2, …` for a whole one.
    pub indices: Vec<usize>,
    /// `ln ᾱ_t`.
    log_signal: Vec<f64>,
}

impl NoiseSchedule {
    /// `β` rising evenly from 1e-4 to 0.02 over 1000 steps; for other numbers of steps scaled by 1000/`steps`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are at least 21 steps: with fewer, a `β` would reach 1.
    ///
    /// # Paper
    /// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Sec. 4.
    pub fn linear(steps: usize) -> Result<Self> {
        let scale = 1000.0 / steps as f64;
        let (first, last) = (1e-4 * scale, 0.02 * scale);
        Self::new(steps, Betas::Linear { first, last }, (0.0, 0.999))
    }

    /// `ᾱ(u) = cos²(π/2 · (u + 0.008)/1.008)` over `u` from 0 to 1, `β` at most 0.999.
    ///
    /// # Errors
    /// [`Error::Parameter`] with fewer than two steps.
    ///
    /// # Paper
    /// Nichol, Dhariwal (2021), arXiv:2102.09672, Eq. 17.
    pub fn cosine(steps: usize) -> Result<Self> {
        Self::new(steps, Betas::Cosine { offset: 0.008 }, (0.0, 0.999))
    }

    /// `ᾱ(u) ∝ σ(3) − σ(6u − 3)` over `u` from 0 to 1, `β` at most 0.999.
    ///
    /// # Errors
    /// [`Error::Parameter`] with fewer than two steps.
    ///
    /// # Paper
    /// Jabri, Fleet, Chen (2022), arXiv:2212.11972, with its default of −3 to 3.
    pub fn sigmoid(steps: usize) -> Result<Self> {
        let (start, end) = (-3.0, 3.0);
        Self::new(steps, Betas::Sigmoid { start, end }, (0.0, 0.999))
    }

    /// A schedule of any shape, its `β` held between `clip.0` and `clip.1`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `0 ≤ clip.0 < clip.1 < 1`, there are at least two steps and the shape's own
    /// numbers are in their range.
    ///
    /// # Example: a cosine as some use it
    /// ```
    /// use itd_prelude::schedule::{Betas, NoiseSchedule};
    ///
    /// let cosine = NoiseSchedule::new(300, Betas::Cosine { offset: 0.01 }, (1e-4, 0.9999))?;
    /// assert_eq!((cosine.steps(), cosine.betas[299]), (300, 0.9999));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new(steps: usize, betas: Betas, clip: (f64, f64)) -> Result<Self> {
        let (low, high) = clip;
        if !(low >= 0.0 && low < high && high < 1.0) {
            return Err(Error::Parameter {
                name: "clip",
                got: format!("({low}, {high})"),
                need: "an interval in [0, 1) with its lower end first",
            });
        }
        let betas = betas.steps(steps)?;
        Self::from_betas(betas.iter().map(|beta| beta.clamp(low, high)).collect())
    }

    /// A schedule of given `β`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are at least two and each lies between 0 and 1.
    pub fn from_betas(betas: Vec<f64>) -> Result<Self> {
        if betas.len() < 2 {
            return Err(Error::Parameter {
                name: "steps",
                got: betas.len().to_string(),
                need: "at least 2",
            });
        }
        if let Some(beta) = betas.iter().find(|&&beta| !(beta > 0.0 && beta < 1.0)) {
            return Err(Error::Parameter {
                name: "betas",
                got: beta.to_string(),
                need: "above 0 and below 1",
            });
        }
        let mut sum = 0.0;
        let log_signal: Vec<f64> = betas
            .iter()
            .map(|&beta| {
                sum += libm::log1p(-beta);
                sum
            })
            .collect();
        Ok(Self {
            log_snr: log_signal
                .iter()
                .map(|&log| log - noise(log).ln())
                .collect(),
            indices: (0..betas.len()).collect(),
            betas,
            log_signal,
        })
    }

    /// A schedule of given log-SNRs, `α_0 > α_1 > …`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are at least two, finite and falling, and each step adds noise that `f64` can tell
    /// from none.
    ///
    /// # Example: steps of equal size
    /// ```
    /// use itd_prelude::schedule::NoiseSchedule;
    ///
    /// let even = NoiseSchedule::from_log_snr((0..21).map(|t| 10.0 - f64::from(t)).collect())?;
    /// assert!((even.signal(10) - 0.5).abs() < 1e-15);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn from_log_snr(log_snr: Vec<f64>) -> Result<Self> {
        let falls = log_snr.windows(2).all(|pair| pair[0] > pair[1]);
        if log_snr.len() < 2 || !falls || log_snr.iter().any(|alpha| !alpha.is_finite()) {
            return Err(Error::Parameter {
                name: "log_snr",
                got: format!("{} values", log_snr.len()),
                need: "at least 2 values, finite and falling",
            });
        }
        let log_signal: Vec<f64> = log_snr.iter().map(|&alpha| -softplus(-alpha)).collect();
        let betas = betas(&log_signal);
        if betas.iter().any(|&beta| !(beta > 0.0)) {
            return Err(Error::Parameter {
                name: "log_snr",
                got: format!("from {} to {}", log_snr[0], log_snr[log_snr.len() - 1]),
                need: "so low at first, and falling so far in each step, that no beta is 0 in f64",
            });
        }
        Ok(Self {
            betas,
            indices: (0..log_snr.len()).collect(),
            log_snr,
            log_signal,
        })
    }

    /// `count` steps of this schedule, as evenly spaced as whole numbers are, both ends among them. What is kept
    /// has the noise it had; the `β` are larger.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `count` is from 2 to the number of steps.
    ///
    /// # Paper
    /// Nichol, Dhariwal (2021), arXiv:2102.09672, Sec. 4.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::schedule::NoiseSchedule;
    ///
    /// let (all, few) = (NoiseSchedule::cosine(4000)?, NoiseSchedule::cosine(4000)?.strided(100)?);
    /// assert_eq!(few.indices[..3], [0, 40, 81]);
    /// assert!((few.log_snr[99] - all.log_snr[3999]).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn strided(&self, count: usize) -> Result<Self> {
        let steps = self.steps();
        if !(2..=steps).contains(&count) {
            return Err(Error::Parameter {
                name: "count",
                got: format!("{count} of {steps} steps"),
                need: "from 2 to the number of steps",
            });
        }
        let stride = (steps - 1) as f64 / (count - 1) as f64;
        let kept: Vec<usize> = (0..count)
            .map(|i| ((i as f64 * stride).round_ties_even() as usize).min(steps - 1))
            .collect();
        let pick = |from: &[f64]| -> Vec<f64> { kept.iter().map(|&t| from[t]).collect() };
        let log_signal = pick(&self.log_signal);
        Ok(Self {
            betas: betas(&log_signal),
            log_snr: pick(&self.log_snr),
            indices: kept.iter().map(|&t| self.indices[t]).collect(),
            log_signal,
        })
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.betas.len()
    }

    /// The SNR of each step, the noisiest first: rising.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::schedule::NoiseSchedule;
    ///
    /// let snr = NoiseSchedule::from_log_snr(vec![1.0, 0.0])?.snr();
    /// assert_eq!(snr, [1.0, 1f64.exp()]);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn snr(&self) -> Vec<f64> {
        self.log_snr.iter().rev().map(|alpha| alpha.exp()).collect()
    }

    /// `ᾱ_t`, the part of the power that is signal after step `t`; 1 before the first.
    ///
    /// # Panics
    /// As all that takes a step: when there is no step `t`.
    pub fn signal(&self, t: usize) -> f64 {
        self.log_signal[t].exp()
    }

    /// `1 − ᾱ_t`, the part that is noise.
    pub fn noise(&self, t: usize) -> f64 {
        noise(self.log_signal[t])
    }

    /// `ln ᾱ_{t−1}`, 0 for the first step.
    fn log_signal_before(&self, t: usize) -> f64 {
        t.checked_sub(1)
            .map_or(0.0, |before| self.log_signal[before])
    }

    /// `β̃_t = β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t)`: the variance of the step before, given this one and the clean sample.
    /// 0 for the first step.
    ///
    /// # Paper
    /// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Eq. 7.
    pub fn posterior_variance(&self, t: usize) -> f64 {
        self.betas[t] * noise(self.log_signal_before(t)) / self.noise(t)
    }

    /// `ln β̃_t`, with that of the second step in place of the first one's −∞.
    pub fn posterior_log_variance_clipped(&self, t: usize) -> f64 {
        self.posterior_variance(t.max(1)).ln()
    }

    /// What the mean of the step before takes of the clean sample and of this step's noisy one:
    /// `√ᾱ_{t−1} β_t/(1 − ᾱ_t)` and `√(1 − β_t) (1 − ᾱ_{t−1})/(1 − ᾱ_t)`.
    ///
    /// # Paper
    /// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Eq. 7.
    pub fn posterior_mean_coefficients(&self, t: usize) -> (f64, f64) {
        let (before, noise_now) = (self.log_signal_before(t), self.noise(t));
        let of_x = (0.5 * before).exp() * self.betas[t] / noise_now;
        let of_z = (1.0 - self.betas[t]).sqrt() * noise(before) / noise_now;
        (of_x, of_z)
    }

    /// `ln Σ_t` of a network that chooses its variance between `β̃_t` (`v = −1`) and `β_t` (`v = 1`).
    ///
    /// # Paper
    /// Nichol, Dhariwal (2021), arXiv:2102.09672, Eq. 15.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::schedule::NoiseSchedule;
    ///
    /// let schedule = NoiseSchedule::cosine(4000)?;
    /// let middle = schedule.learned_log_variance(7, 0.0);
    /// let ends = schedule.posterior_variance(7).ln() + schedule.betas[7].ln();
    /// assert!((2.0 * middle - ends).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn learned_log_variance(&self, t: usize, v: f64) -> f64 {
        let share = (v + 1.0) / 2.0;
        share * self.betas[t].ln() + (1.0 - share) * self.posterior_log_variance_clipped(t)
    }
}

/// `β_t = 1 − ᾱ_t/ᾱ_{t−1}`.
fn betas(log_signal: &[f64]) -> Vec<f64> {
    let before = std::iter::once(&0.0).chain(log_signal);
    before
        .zip(log_signal)
        .map(|(before, log)| noise(log - before))
        .collect()
}

/// `1 − e^log`.
fn noise(log_signal: f64) -> f64 {
    -libm::expm1(log_signal)
}

/// `count` points from `high` down to `low`, two at least.
///
/// # Errors
/// [`Error::Memory`] when they and what is made of them do not fit.
pub(crate) fn even_steps(count: usize, low: f64, high: f64) -> Result<Vec<f64>> {
    room_for::<[f64; 5]>("the steps", &[count])?;
    let part = |i: usize| i as f64 / (count - 1) as f64;
    Ok((0..count).map(|i| high + (low - high) * part(i)).collect())
}

/// Refuses what is no interval of log-SNR; `f32` ends at about ±87.
pub(crate) fn check_interval(name: &'static str, low: f64, high: f64) -> Result<()> {
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
    fn what_is_no_schedule_is_refused() {
        for bad in [
            vec![],
            vec![0.1],
            vec![0.1, 0.0],
            vec![0.1, 1.0],
            vec![f64::NAN, 0.1],
        ] {
            assert!(NoiseSchedule::from_betas(bad.clone()).is_err(), "{bad:?}");
        }
        for steps in [0, 1, 20] {
            assert!(NoiseSchedule::linear(steps).is_err(), "{steps}");
        }
        assert!(NoiseSchedule::cosine(0).is_err() && NoiseSchedule::sigmoid(1).is_err());
        let nan = Betas::Cosine { offset: f64::NAN };
        assert!(NoiseSchedule::new(10, nan, (0.0, 0.999)).is_err());
        let cosine = Betas::Cosine { offset: 0.008 };
        for clip in [(0.0, 1.0), (0.5, 0.5), (f64::NAN, 0.9), (-0.1, 0.9)] {
            assert!(NoiseSchedule::new(10, cosine, clip).is_err(), "{clip:?}");
        }
        let ten = NoiseSchedule::cosine(10).unwrap();
        assert!(ten.strided(1).is_err() && ten.strided(11).is_err());
        assert_eq!(ten.strided(10).unwrap().indices, ten.indices);
        for bad in [
            vec![1.0],
            vec![1.0, 1.0],
            vec![0.0, 1.0],
            vec![1.0, f64::NAN],
        ] {
            assert!(NoiseSchedule::from_log_snr(bad.clone()).is_err(), "{bad:?}");
        }
        let again = NoiseSchedule::from_log_snr(ten.log_snr.clone()).unwrap();
        for (one, other) in ten.betas.iter().zip(&again.betas) {
            assert!((one - other).abs() < 1e-13);
        }
    }

    #[test]
    fn a_subset_of_a_subset_knows_its_origin() {
        let all = NoiseSchedule::linear(1000).unwrap();
        let few = all.strided(100).unwrap().strided(10).unwrap();
        for (i, &t) in few.indices.iter().enumerate() {
            assert!((few.log_snr[i] - all.log_snr[t]).abs() < 1e-12);
            assert!((few.noise(i) - all.noise(t)).abs() < 1e-12);
        }
        assert_eq!((few.indices[0], few.indices[9]), (0, 999));
    }

    #[test]
    fn the_posterior_has_the_marginal_that_it_must() {
        // With x given, z_{t−1} = of_x·x + of_z·z_t + √β̃·ε has mean √ᾱ_{t−1}·x and variance 1 − ᾱ_{t−1}.
        let schedule = NoiseSchedule::cosine(50).unwrap();
        for t in 1..50 {
            let (of_x, of_z) = schedule.posterior_mean_coefficients(t);
            let mean = of_x + of_z * schedule.signal(t).sqrt();
            assert!((mean - schedule.signal(t - 1).sqrt()).abs() < 1e-14);
            let variance = of_z * of_z * schedule.noise(t) + schedule.posterior_variance(t);
            assert!((variance - schedule.noise(t - 1)).abs() < 1e-14);
        }
        assert_eq!(schedule.posterior_mean_coefficients(0), (1.0, 0.0));
    }
}
