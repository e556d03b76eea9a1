//! A noise schedule as a distribution of log-SNR: that of a diffusion at a uniform time.

use rand::{Rng as _, RngCore};

use super::NoiseSchedule;
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::logsnr::{Quadrature, Rule};

impl NoiseSchedule {
    /// Log-SNR in the middles of `n` parts of equal time. Between two steps `α` is linear in time.
    ///
    /// # Errors
    /// [`Error::Parameter`] without points; [`Error::Memory`] when they do not fit.
    ///
    /// # Example: their mean over the weights is an integral over log-SNR
    /// ```
    /// use itd_prelude::{schedule::NoiseSchedule, stats::sigmoid};
    ///
    /// let points = NoiseSchedule::cosine(1000)?.quadrature(200)?;
    /// // ∫ σ(α) σ(−α) dα over all α is 1.
    /// assert!((points.integrate(|alpha| sigmoid(alpha) * sigmoid(-alpha)) - 1.0).abs() < 1e-2);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn quadrature(&self, n: usize) -> Result<Quadrature> {
        self.at_times(n, Rule::Midpoint, |i| (i as f64 + 0.5) / n as f64)
    }

    /// One draw of log-SNR in each of `n` parts of equal time.
    ///
    /// # Errors
    /// As [`Self::quadrature`].
    pub fn stratified(&self, n: usize, rng: &mut impl RngCore) -> Result<Quadrature> {
        self.at_times(n, Rule::Stratified, |i| {
            (i as f64 + rng.random::<f64>()) / n as f64
        })
    }

    /// The points at shares of the time, which runs from the last step to the first: in ascending order.
    fn at_times(
        &self,
        n: usize,
        rule: Rule,
        mut share: impl FnMut(usize) -> f64,
    ) -> Result<Quadrature> {
        if n == 0 {
            return Err(Error::Parameter {
                name: "n",
                got: "0".into(),
                need: "at least 1",
            });
        }
        room_for::<[f64; 2]>("the points", &[n])?;
        let alphas = &self.log_snr;
        // There are two steps at least.
        let pieces = alphas.len() - 1;
        let point = |i| {
            let place = (1.0 - share(i)) * pieces as f64;
            let piece = (place as usize).min(pieces - 1);
            let (from, to) = (alphas[piece], alphas[piece + 1]);
            let alpha = from + (place - piece as f64) * (to - from);
            (alpha, pieces as f64 * (from - to) / n as f64)
        };
        let (log_snr, weight) = (0..n).map(point).unzip();
        Ok(Quadrature {
            log_snr,
            weight,
            rule,
            interval: (alphas[pieces], alphas[0]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::stats::sigmoid;

    #[test]
    fn a_noise_schedule_is_a_distribution_of_log_snr() {
        let schedule = NoiseSchedule::cosine(200).unwrap();
        let (low, high) = (schedule.log_snr[199], schedule.log_snr[0]);
        // ∫ σ(α) σ(−α) dα = σ(high) − σ(low).
        let bump = |alpha: f64| sigmoid(alpha) * sigmoid(-alpha);
        let known = sigmoid(high) - sigmoid(low);
        let points = schedule.stratified(4000, &mut rng::seeded(0)).unwrap();
        assert!((points.integrate(bump) - known).abs() < 1e-3);
        assert!((schedule.quadrature(4000).unwrap().integrate(bump) - known).abs() < 1e-3);
        assert!(points.log_snr.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(points.interval, (low, high));
        // Without weights, it is a mean over the times.
        let mean =
            |alphas: &[f64]| alphas.iter().map(|a| sigmoid(*a)).sum::<f64>() / alphas.len() as f64;
        let apart = mean(&points.log_snr) - mean(&schedule.log_snr);
        assert!(apart.abs() < 1e-3, "{apart}");
        assert!(schedule.quadrature(0).is_err());
    }
}
