//! Sources of single numbers about which everything is known.

use std::f64::consts::{PI, TAU};

use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::super::Denoiser;
use super::interval;
use super::linear::{restore, rows};
use crate::data::{Grid, Spectrum};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats::{self, sigmoid};

/// What one part of a [`Source`] gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// Always this number.
    Point(f64),
    /// A normal of that mean and variance.
    Normal(f64, f64),
    /// A number between two ends, each equally likely.
    Uniform(f64, f64),
}

/// A random number drawn from a mixture of points, normals and intervals.
///
/// What the channel `z = √γ·x + ε` (Eq. 2) does to it is known in closed form, up to integrals over one
/// variable, which are computed here to about ten digits. So each statement of the theory can be checked
/// without sampling. `γ` is the SNR itself here, not its logarithm, since these are the paper's formulas.
///
/// # Example: a fair coin on ±1, whose mmse at γ = 1 is 0.4496
/// ```
/// use itd_prelude::net::exact::Source;
///
/// let coin = Source::coin();
/// assert!((coin.mmse(1.0) - 0.449600).abs() < 1e-6);
/// // At a high SNR z tells all: one bit.
/// assert!((coin.information(50.0) - 2f64.ln()).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    parts: Vec<(f64, Part)>,
}

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
    /// A mixture; the weights are scaled to sum to 1.
    ///
    /// # Errors
    /// [`Error::Empty`] without parts; [`Error::Parameter`] unless weights are finite and > 0, numbers finite,
    /// variances > 0 and intervals not empty.
    pub fn new(parts: &[(f64, Part)]) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::Empty { what: "the source" });
        }
        for (weight, part) in parts {
            let fits = match *part {
                Part::Point(x) => x.is_finite(),
                Part::Normal(mean, variance) => {
                    mean.is_finite() && variance > 0.0 && variance.is_finite()
                }
                Part::Uniform(low, high) => low < high && low.is_finite() && high.is_finite(),
            };
            if !(fits && *weight > 0.0 && weight.is_finite()) {
                return Err(Error::Parameter {
                    name: "a part of the source",
                    got: format!("{weight} × {part:?}"),
                    need: "of finite numbers, with weight and variance > 0 and the lower end first",
                });
            }
        }
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        Ok(Self {
            parts: parts.iter().map(|&(w, part)| (w / total, part)).collect(),
        })
    }

    /// A fair coin: −1 or 1.
    pub fn coin() -> Self {
        Self {
            parts: vec![(0.5, Part::Point(-1.0)), (0.5, Part::Point(1.0))],
        }
    }

    /// One of the levels of a grid, each equally likely.
    pub fn levels(grid: Grid) -> Self {
        let level = |i| (1.0 / grid.levels as f64, Part::Point(grid.level(i)));
        Self {
            parts: (0..grid.levels).map(level).collect(),
        }
    }

    /// A normal.
    ///
    /// # Errors
    /// As [`Self::new`], also below.
    pub fn normal(mean: f64, variance: f64) -> Result<Self> {
        Self::new(&[(1.0, Part::Normal(mean, variance))])
    }

    /// Uniform on an interval.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn uniform(low: f64, high: f64) -> Result<Self> {
        Self::new(&[(1.0, Part::Uniform(low, high))])
    }

    /// Weights, which sum to 1, and parts.
    pub fn parts(&self) -> &[(f64, Part)] {
        &self.parts
    }

    /// `E[x]`.
    pub fn mean(&self) -> f64 {
        let mean = |part| match part {
            Part::Point(x) | Part::Normal(x, _) => x,
            Part::Uniform(low, high) => 0.5 * (low + high),
        };
        self.parts.iter().map(|&(w, part)| w * mean(part)).sum()
    }

    /// `Var[x]`.
    pub fn variance(&self) -> f64 {
        let center = self.mean();
        let square = |part| match part {
            Part::Point(x) => (x - center).powi(2),
            Part::Normal(mean, variance) => (mean - center).powi(2) + variance,
            Part::Uniform(low, high) => {
                (0.5 * (low + high) - center).powi(2) + (high - low).powi(2) / 12.0
            }
        };
        self.parts.iter().map(|&(w, part)| w * square(part)).sum()
    }

    /// The Gaussian with the mean and variance of `dim` independent numbers from this source.
    ///
    /// # Errors
    /// [`Error::Empty`] when `dim` is 0.
    pub fn spectrum(&self, dim: usize) -> Result<Spectrum> {
        let mut spectrum = Spectrum::standard(dim)?;
        spectrum.mean = vec![self.mean(); dim];
        spectrum.eigenvalues = vec![self.variance(); dim];
        Ok(spectrum)
    }

    /// `−ln p(x)` in nats: of a probability when all parts are points, of a density when none is.
    /// Infinite where there is none.
    pub fn surprise(&self, x: f64) -> f64 {
        let log = |&(weight, part): &(f64, Part)| {
            let log: f64 = match part {
                // A level reached by arithmetic is the same level.
                Part::Point(at) if (at - x).abs() <= 1e-9 * at.abs().max(1.0) => 0.0,
                Part::Uniform(low, high) if (low..=high).contains(&x) => -(high - low).ln(),
                Part::Normal(mean, variance) => log_normal(x - mean, variance),
                _ => f64::NEG_INFINITY,
            };
            weight.ln() + log
        };
        -stats::log_sum_exp(&self.parts.iter().map(log).collect::<Vec<_>>())
    }

    /// What `z = √γ·x + ε` says about `x`.
    pub fn posterior(&self, z: f64, snr: f64) -> Posterior {
        let single = |&(weight, part): &(f64, Part)| {
            let mut posterior = part.posterior(z, snr);
            posterior.log_evidence += weight.ln();
            posterior
        };
        let singles: Vec<Posterior> = self.parts.iter().map(single).collect();
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

    /// The entropy in nats: Shannon's when all parts are points, the differential one when none is; infinite
    /// (below) for a mixture of both.
    pub fn entropy(&self) -> f64 {
        let points = |part: &Part| matches!(part, Part::Point(_));
        if self.parts.iter().all(|(_, part)| points(part)) {
            let term = |&(w, part): &(f64, Part)| match part {
                Part::Point(x) => w * self.surprise(x),
                _ => 0.0,
            };
            return self.parts.iter().map(term).sum();
        }
        if self.parts.iter().any(|(_, part)| points(part)) {
            return f64::NEG_INFINITY;
        }
        // Between two neighbouring ends of intervals the density is smooth.
        let mut cuts: Vec<f64> = self
            .parts
            .iter()
            .flat_map(|(_, part)| part.reach())
            .collect();
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        let panel = |pair: &[f64]| {
            interval::gauss(pair[0], pair[1], 40, |x| {
                let surprise = self.surprise(x);
                if surprise.is_finite() {
                    surprise * (-surprise).exp()
                } else {
                    0.0
                }
            })
        };
        cuts.windows(2).map(panel).sum()
    }

    /// Draws `n` numbers.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Vec<f64> {
        let one = |_| {
            let mut share = rng.random::<f64>();
            let last = self.parts.len() - 1;
            let chosen = self.parts[..last].iter().find(|(weight, _)| {
                share -= weight;
                share < 0.0
            });
            match chosen.unwrap_or(&self.parts[last]).1 {
                Part::Point(x) => x,
                Part::Normal(mean, variance) => {
                    mean + variance.sqrt() * rng.sample::<f64, _>(StandardNormal)
                }
                Part::Uniform(low, high) => rng.random_range(low..high),
            }
        };
        (0..n).map(one).collect()
    }

    /// Draws `n` samples of `dim` independent numbers each, `f32` `[n, dim]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Tensor`] only if memory runs out.
    pub fn samples(&self, n: usize, dim: usize, rng: &mut Rng) -> Result<Tensor> {
        let values = self.sample(n * dim, rng).into_iter().map(|x| x as f32);
        Ok(Tensor::from_vec(values.collect(), (n, dim), &Device::Cpu)?)
    }

    /// The best denoiser of samples of `shape` whose values are independent and from this source.
    ///
    /// # Errors
    /// [`Error::Empty`] when the shape holds no values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<Independent> {
        if shape.iter().product::<usize>() == 0 {
            return Err(Error::Empty {
                what: "the shape of a sample",
            });
        }
        Ok(Independent {
            source: self.clone(),
            shape: shape.to_vec(),
        })
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
            .parts
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
        self.parts.iter().map(part).sum()
    }
}

/// Noise beyond so many standard deviations is left out: it comes once in 10¹⁸.
const REACH: f64 = 9.0;

/// The step over noisy values, in standard deviations of the noise.
const STEP: f64 = 0.125;

impl Part {
    /// What lies outside has no weight that a computer could see.
    fn reach(self) -> [f64; 2] {
        match self {
            Part::Point(x) => [x, x],
            Part::Normal(mean, v) => [mean - REACH * v.sqrt(), mean + REACH * v.sqrt()],
            Part::Uniform(low, high) => [low, high],
        }
    }

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

/// `ln N(x; 0, variance)`.
fn log_normal(x: f64, variance: f64) -> f64 {
    -0.5 * (x * x / variance + (2.0 * PI * variance).ln())
}

/// The best denoiser of samples whose values are independent and from one [`Source`].
///
/// Made by [`Source::denoiser`].
#[derive(Debug, Clone)]
pub struct Independent {
    source: Source,
    shape: Vec<usize>,
}

impl Denoiser for Independent {
    fn denoise(&self, z: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        let (z, alpha) = rows(z, log_snr, self.dim())?;
        let mut values = z.to_vec2::<f64>()?;
        for (row, &alpha) in values.iter_mut().zip(&alpha) {
            let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
            for value in row {
                // √γ·x + ε is z divided by the noise's amplitude.
                let x = self.source.posterior(*value / noise, alpha.exp()).mean;
                *value = (*value - signal * x) / noise;
            }
        }
        let flat: Vec<f64> = values.into_iter().flatten().collect();
        let rows = Tensor::from_vec(flat, (alpha.len(), self.dim()), &Device::Cpu)?;
        restore(&rows, &self.shape)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn all() -> Vec<Source> {
        let parts = [
            (1.0, Part::Normal(-1.0, 0.3)),
            (2.0, Part::Uniform(0.0, 1.5)),
            (0.5, Part::Normal(2.0, 0.01)),
        ];
        vec![
            Source::coin(),
            Source::levels(Grid::new(-1.0, 1.0, 5).unwrap()),
            Source::normal(0.5, 2.0).unwrap(),
            Source::uniform(-1.0, 3.0).unwrap(),
            Source::new(&parts).unwrap(),
        ]
    }

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

    #[test]
    fn moments_and_entropies_are_known() {
        let box_ = Source::uniform(-(3f64.sqrt()), 3f64.sqrt()).unwrap();
        assert!((box_.variance() - 1.0).abs() < 1e-15 && box_.mean().abs() < 1e-15);
        assert!((box_.entropy() - 12f64.sqrt().ln()).abs() < 1e-12);
        assert!((Source::coin().entropy() - 2f64.ln()).abs() < 1e-15);
        assert_eq!(Source::coin().surprise(0.5), f64::INFINITY);
        let mixed = Source::new(&[(1.0, Part::Point(0.0)), (1.0, Part::Normal(0.0, 1.0))]).unwrap();
        assert_eq!(mixed.entropy(), f64::NEG_INFINITY);
        for source in all() {
            let draws = source.sample(20_000, &mut rng::seeded(0));
            let off = (stats::mean(&draws) - source.mean()).abs();
            assert!(off < 4.0 * stats::std_err(&draws), "{source:?}");
            let ratio = stats::variance(&draws) / source.variance();
            assert!((ratio - 1.0).abs() < 0.05, "{source:?}");
        }
    }

    #[test]
    fn the_denoiser_of_a_coin_is_the_tangent() {
        let net = Source::coin().denoiser(&[1]).unwrap();
        let (z, alpha) = (0.4f64, 1.2f64);
        let tensor = |v: f64| Tensor::new(&[v as f32], &Device::Cpu).unwrap();
        let eps = net
            .denoise(&tensor(z).unsqueeze(0).unwrap(), &tensor(alpha))
            .unwrap();
        let eps = f64::from(eps.to_vec2::<f32>().unwrap()[0][0]);
        let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
        let x = (signal * z / (noise * noise)).tanh();
        assert!((eps - (z - signal * x) / noise).abs() < 1e-6);
    }

    #[test]
    fn bad_sources_are_refused() {
        assert!(Source::new(&[]).is_err());
        for part in [
            Part::Point(f64::NAN),
            Part::Normal(0.0, 0.0),
            Part::Normal(0.0, f64::NAN),
            Part::Uniform(1.0, 1.0),
        ] {
            assert!(Source::new(&[(1.0, part)]).is_err());
        }
        assert!(Source::new(&[(0.0, Part::Point(0.0))]).is_err());
        assert!(Source::coin().denoiser(&[0]).is_err());
    }
}
