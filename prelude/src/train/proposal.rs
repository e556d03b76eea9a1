//! Where training draws log-SNR from.

use rand::Rng as _;

use super::TrainConfig;
use crate::data::Spectrum;
use crate::error::Result;
use crate::logsnr::{LogSnr, LogisticLogSnr, Rule};
use crate::rng::Rng;
use crate::schedule::Schedule as NoiseSchedule;

/// A distribution `q` over log-SNR.
#[derive(Debug, Clone)]
pub(super) enum Proposal {
    Logistic(LogisticLogSnr),
    /// That of a diffusion at a uniform time. Between two steps `α` is linear in time, so that `q` has a density.
    Noise(NoiseSchedule),
}

impl Proposal {
    pub(super) fn new(config: &TrainConfig, spectrum: &Spectrum) -> Result<Self> {
        Ok(match (&config.noise_schedule, config.log_snr) {
            (Some(schedule), _) => Self::Noise(schedule.clone()),
            (None, Some(logistic)) => Self::Logistic(logistic),
            (None, None) => Self::Logistic(LogisticLogSnr::from_spectrum(spectrum)?),
        })
    }

    /// One draw in each of `n` parts of equal probability, with weights `1/q`.
    pub(super) fn stratified(&self, n: usize, rng: &mut Rng) -> Result<LogSnr> {
        match self {
            Self::Logistic(logistic) => logistic.stratified(n, rng),
            Self::Noise(schedule) => {
                let draw = |i| (i as f64 + rng.random::<f64>()) / n as f64;
                Ok(at_times(schedule, (0..n).map(draw), Rule::Stratified))
            }
        }
    }

    /// The middles of `n` parts of equal probability, with weights `1/q`.
    pub(super) fn middles(&self, n: usize) -> Result<LogSnr> {
        match self {
            Self::Logistic(logistic) => logistic.quadrature(n),
            Self::Noise(schedule) => {
                let middle = |i| (i as f64 + 0.5) / n as f64;
                Ok(at_times(schedule, (0..n).map(middle), Rule::Midpoint))
            }
        }
    }
}

/// The points at given shares of the time, which runs from the last step to the first: in ascending order.
fn at_times(schedule: &NoiseSchedule, shares: impl Iterator<Item = f64>, rule: Rule) -> LogSnr {
    let alphas = &schedule.log_snr;
    let pieces = alphas.len().saturating_sub(1).max(1);
    let point = |share: f64| {
        let place = (1.0 - share) * pieces as f64;
        let piece = (place as usize).min(pieces - 1);
        let end = |i: usize| alphas.get(i).copied().unwrap_or_default();
        let (from, to) = (end(piece), end(piece + 1));
        let alpha = from + (place - piece as f64) * (to - from);
        (alpha, pieces as f64 * (from - to))
    };
    let (log_snr, weight) = shares.map(point).unzip();
    LogSnr {
        log_snr,
        weight,
        rule,
        interval: (
            alphas.last().copied().unwrap_or_default(),
            alphas.first().copied().unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::stats::sigmoid;

    #[test]
    fn a_noise_schedule_is_a_proposal() {
        let schedule = NoiseSchedule::cosine(200).unwrap();
        let (low, high) = (schedule.log_snr[199], schedule.log_snr[0]);
        let proposal = Proposal::Noise(schedule.clone());
        // Its weights make an integral over log-SNR of a mean over the times: ∫ σ(α) σ(−α) dα = σ(high) − σ(low).
        let bump = |alpha: f64| sigmoid(alpha) * sigmoid(-alpha);
        let known = sigmoid(high) - sigmoid(low);
        let points = proposal.stratified(4000, &mut rng::seeded(0)).unwrap();
        assert!((points.integrate(bump) - known).abs() < 1e-3);
        assert!((proposal.middles(4000).unwrap().integrate(bump) - known).abs() < 1e-3);
        assert!(points.log_snr.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(points.interval, (low, high));
        // Without them, it is a mean over the times.
        let mean =
            |alphas: &[f64]| alphas.iter().map(|a| sigmoid(*a)).sum::<f64>() / alphas.len() as f64;
        let apart = mean(&points.log_snr) - mean(&schedule.log_snr);
        assert!(apart.abs() < 1e-3, "{apart}");
    }
}
