//! A source seen through the channel: what comes out, and what that says.

use std::f64::consts::TAU;

use super::interval;
use super::source::{Part, REACH, Source, log_normal};
use crate::stats;

/// What a noisy value says about the clean one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// `ln p(z)`.
    pub log_evidence: f64,
    /// `E[x | z]`, the best estimate.
    pub mean: f64,
    /// `Var[x | z]`, its squared error on average.
    pub variance: f64,
}

impl Source {
    /// What `z = √γ·x + ε` says about `x`.
    pub fn posterior(&self, z: f64, snr: f64) -> Posterior {
        let single = |&(weight, part): &(f64, Part)| {
            let mut posterior = part.posterior(z, snr);
            posterior.log_evidence += weight.ln();
            posterior
        };
        let singles: Vec<Posterior> = self.parts().iter().map(single).collect();
        let logs: Vec<f64> = singles.iter().map(|one| one.log_evidence).collect();
        let log_evidence = stats::log_sum_exp(&logs);
        let chance = |log: f64| (log - log_evidence).exp();
        let mean: f64 = singles
            .iter()
            .map(|p| chance(p.log_evidence) * p.mean)
            .sum();
        let square = |p: &Posterior| p.variance + (p.mean - mean).powi(2);
        Posterior {
            log_evidence,
            mean,
            variance: singles
                .iter()
                .map(|p| chance(p.log_evidence) * square(p))
                .sum(),
        }
    }

    /// `mmse(γ) = E(x − E[x|z])²` (Eq. 3).
    pub fn mmse(&self, snr: f64) -> f64 {
        self.over_noisy(snr, |posterior| posterior.variance)
    }

    /// `mmse(x, γ) = E_ε(x − E[x|z])²` of one value (Eq. 5).
    pub fn pointwise_mmse(&self, x: f64, snr: f64) -> f64 {
        over_noise(|eps| (x - self.posterior(snr.sqrt() * x + eps, snr).mean).powi(2))
    }

    /// `D(p(z|x) ‖ p(z))` in nats: what the channel tells of one value (left side of Eq. 4).
    pub fn divergence(&self, x: f64, snr: f64) -> f64 {
        over_noise(|eps| {
            log_normal(eps, 1.0) - self.posterior(snr.sqrt() * x + eps, snr).log_evidence
        })
    }

    /// `I(x; z)` in nats: what the channel tells on average (left side of Eq. 1).
    pub fn information(&self, snr: f64) -> f64 {
        let entropy_of_z = self.over_noisy(snr, |posterior| -posterior.log_evidence);
        entropy_of_z - 0.5 * (TAU.ln() + 1.0)
    }

    /// `∫ p(z) f(z) dz`, part by part, by the trapezoid rule: for functions as smooth as these it is right to
    /// the last digits once its step is below the width of the noise.
    fn over_noisy(&self, snr: f64, f: impl Fn(Posterior) -> f64) -> f64 {
        let root = snr.sqrt();
        // The finest detail in z is as wide as the noise, or as the narrowest normal in it.
        let variance = |&(_, part): &(f64, Part)| match part {
            Part::Normal(_, variance) => variance,
            _ => 0.0,
        };
        let narrowest = self
            .parts()
            .iter()
            .map(variance)
            .fold(f64::INFINITY, f64::min);
        let step = STEP * (1.0 + snr * narrowest).sqrt();
        let part = |&(weight, part): &(f64, Part)| {
            let [low, high] = part.reach();
            let (low, high) = (root * low - REACH, root * high + REACH);
            let steps = ((high - low) / step).ceil();
            let h = (high - low) / steps;
            let sum: f64 = (0..=steps as usize)
                .map(|i| {
                    let z = low + i as f64 * h;
                    part.posterior(z, snr).log_evidence.exp() * f(self.posterior(z, snr))
                })
                .sum();
            weight * sum * h
        };
        self.parts().iter().map(part).sum()
    }
}

/// The step over noisy values, in standard deviations of the noise.
const STEP: f64 = 0.125;

impl Part {
    fn posterior(self, z: f64, snr: f64) -> Posterior {
        let root = snr.sqrt();
        let normal = |mean: f64, variance: f64| {
            let spread = 1.0 + snr * variance;
            Posterior {
                log_evidence: log_normal(z - root * mean, spread),
                mean: mean + root * variance * (z - root * mean) / spread,
                variance: variance / spread,
            }
        };
        match self {
            Part::Point(x) => normal(x, 0.0),
            Part::Normal(mean, variance) => normal(mean, variance),
            Part::Uniform(low, high) => interval::posterior(low, high, z, root),
        }
    }
}

/// `E f(ε)` for standard normal noise.
fn over_noise(f: impl Fn(f64) -> f64) -> f64 {
    let count = (REACH / STEP) as i32;
    let term = |i: i32| {
        let eps = f64::from(i) * STEP;
        log_normal(eps, 1.0).exp() * f(eps)
    };
    (-count..=count).map(term).sum::<f64>() * STEP
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::super::source::tests::all;
    use super::*;
    use crate::data::Grid;

    /// `p(z)` and moments by a sum over a fine grid of x.
    fn slow(source: &Source, z: f64, snr: f64) -> Posterior {
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        let mut add = |x: f64, p: f64| {
            let p = p * log_normal(z - snr.sqrt() * x, 1.0).exp();
            (mass, first, second) = (mass + p, first + p * x, second + p * x * x);
        };
        for &(weight, part) in source.parts() {
            let [low, high] = part.reach();
            let n = 40_000;
            let h = (high - low) / f64::from(n);
            match part {
                Part::Point(x) => add(x, weight),
                _ => {
                    let own = Source::new(&[(1.0, part)]).unwrap();
                    for i in 0..n {
                        let x = low + (f64::from(i) + 0.5) * h;
                        add(x, weight * (-own.surprise(x)).exp() * h);
                    }
                }
            }
        }
        let mean = first / mass;
        Posterior {
            log_evidence: mass.ln(),
            mean,
            variance: second / mass - mean * mean,
        }
    }

    #[test]
    fn posteriors_are_what_a_sum_over_x_gives() {
        for source in all() {
            for (z, snr) in [
                (0.3, 0.01),
                (-1.0, 0.5),
                (2.0, 3.0),
                (4.0, 30.0),
                (-9.0, 2.0),
            ] {
                let (fast, slow) = (source.posterior(z, snr), slow(&source, z, snr));
                assert!(
                    (fast.log_evidence - slow.log_evidence).abs() < 1e-6,
                    "{fast:?} {slow:?}"
                );
                assert!((fast.mean - slow.mean).abs() < 1e-6, "{fast:?} {slow:?}");
                assert!(
                    (fast.variance - slow.variance).abs() < 1e-6,
                    "{fast:?} {slow:?}"
                );
            }
        }
    }

    #[test]
    fn averages_over_x_are_averages_over_z() {
        // E over the values of a discrete source of what is known of each is what is known on average.
        let levels = Source::levels(Grid::new(-1.0, 1.0, 5).unwrap());
        for snr in [0.2, 3.0, 40.0] {
            let over = |f: &dyn Fn(f64) -> f64| -> f64 {
                levels
                    .parts()
                    .iter()
                    .map(|&(w, part)| w * f(part.reach()[0]))
                    .sum()
            };
            let mmse = over(&|x| levels.pointwise_mmse(x, snr));
            assert!((mmse - levels.mmse(snr)).abs() < 1e-10);
            let information = over(&|x| levels.divergence(x, snr));
            assert!((information - levels.information(snr)).abs() < 1e-10);
        }
    }

    #[test]
    fn the_normal_has_its_closed_forms() {
        let normal = Source::normal(0.7, 2.5).unwrap();
        for snr in [1e-3, 0.5, 8.0, 1e6] {
            let known = 2.5 / (1.0 + 2.5 * snr);
            assert!((normal.mmse(snr) / known - 1.0).abs() < 1e-10);
            let information = 0.5 * (1.0f64 + 2.5 * snr).ln();
            assert!((normal.information(snr) - information).abs() < 1e-10);
        }
        let entropy = 0.5 * (2.0 * PI * std::f64::consts::E * 2.5f64).ln();
        assert!((normal.entropy() - entropy).abs() < 1e-10);
    }
}
