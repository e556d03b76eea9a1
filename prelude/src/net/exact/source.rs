//! Sources of single numbers about which everything is known.

use std::f64::consts::PI;

use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::interval;
use crate::data::{Grid, Spectrum};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats;

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
}

/// Noise beyond so many standard deviations is left out: it comes once in 10¹⁸.
pub(super) const REACH: f64 = 9.0;

impl Part {
    /// What lies outside has no weight that a computer could see.
    pub(super) fn reach(self) -> [f64; 2] {
        match self {
            Part::Point(x) => [x, x],
            Part::Normal(mean, v) => [mean - REACH * v.sqrt(), mean + REACH * v.sqrt()],
            Part::Uniform(low, high) => [low, high],
        }
    }
}

/// `ln N(x; 0, variance)`.
pub(super) fn log_normal(x: f64, variance: f64) -> f64 {
    -0.5 * (x * x / variance + (2.0 * PI * variance).ln())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng;

    pub(in crate::net::exact) fn all() -> Vec<Source> {
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
    }
}
