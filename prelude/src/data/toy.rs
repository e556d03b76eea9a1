//! Toy data in two dimensions, some with a known density: functions of the number of points and a seed.
//!
//! Each gives a [`Split`] of 90 to 10.

use std::f64::consts::{PI, TAU};

use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::{Dataset, Split};
use crate::error::{Error, Result};
use crate::rng::{self, Rng};

/// The correlation of [`scg`].
pub const SCG_CORRELATION: f64 = -0.495 / 0.505;

/// A strongly correlated Gaussian: unit variances, correlation [`SCG_CORRELATION`] ≈ −0.980.
///
/// Its entropy is `ln 2πe + ½ ln(1 − ρ²) = 1.2185` nats.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points, as of all toys here.
///
/// # Example
/// ```
/// let data = itd_prelude::data::scg(1000, 0)?;
/// assert_eq!((data.train.len(), data.test.len()), (900, 100));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn scg(n: usize, seed: u64) -> Result<Split> {
    let rest = (1.0 - SCG_CORRELATION.powi(2)).sqrt();
    split("strongly correlated Gaussian", n, seed, |rng| {
        let (x, other) = normal_pair(rng);
        [x, SCG_CORRELATION * x + rest * other]
    })
}

/// Two half circles of radius 1 that reach into each other, with Gaussian noise of standard deviation
/// 0.05, moved and scaled to about zero mean and unit variances.
///
/// Its density is the mean of the noise's density over the two arcs.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points.
pub fn moons(n: usize, seed: u64) -> Result<Split> {
    split("two moons", n, seed, |rng| {
        let angle = rng.random::<f64>() * PI;
        let (x, y) = match rng.random::<bool>() {
            true => (angle.cos(), angle.sin()),
            false => (1.0 - angle.cos(), 0.5 - angle.sin()),
        };
        let (u, v) = normal_pair(rng);
        [(x + 0.05 * u - 0.5) / 0.87, (y + 0.05 * v - 0.25) / 0.5]
    })
}

/// A ring: a uniform direction at radius √2, with Gaussian noise of standard deviation 0.1 in both
/// coordinates.
///
/// Its density at radius `r` is `exp(−(r² + 2)/(2s²)) · I₀(√2 r/s²) / (2πs²)` with `s = 0.1`.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points.
pub fn circle(n: usize, seed: u64) -> Result<Split> {
    split("ring", n, seed, |rng| {
        let angle = rng.random::<f64>() * TAU;
        let (u, v) = normal_pair(rng);
        [
            2f64.sqrt() * angle.cos() + 0.1 * u,
            2f64.sqrt() * angle.sin() + 0.1 * v,
        ]
    })
}

/// Uniform on the square `[−√3, √3]²`: zero mean, unit variances, entropy `2 ln(2√3) = 2.4849` nats.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points.
pub fn line(n: usize, seed: u64) -> Result<Split> {
    let side = 3f64.sqrt();
    split("uniform square", n, seed, |rng| {
        [rng.random_range(-side..side), rng.random_range(-side..side)]
    })
}

/// The outline of a dinosaur, uniform along its length, with Gaussian noise of standard deviation 0.03,
/// scaled to about zero mean and unit variances.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points.
pub fn dino(n: usize, seed: u64) -> Result<Split> {
    let edges: Vec<_> = OUTLINE.iter().zip(OUTLINE.iter().cycle().skip(1)).collect();
    let lengths: Vec<f64> = edges
        .iter()
        .map(|(a, b)| (b.0 - a.0).hypot(b.1 - a.1))
        .collect();
    let total: f64 = lengths.iter().sum();
    split("dinosaur", n, seed, |rng| {
        let mut along = rng.random::<f64>() * total;
        let mut edge = 0;
        while edge + 1 < lengths.len() && along > lengths[edge] {
            along -= lengths[edge];
            edge += 1;
        }
        let ((from, to), share) = (edges[edge], along / lengths[edge]);
        let (u, v) = normal_pair(rng);
        let x = from.0 + share * (to.0 - from.0);
        let y = from.1 + share * (to.1 - from.1);
        [(x - 5.76) / 2.73 + 0.03 * u, (y - 3.47) / 2.21 + 0.03 * v]
    })
}

/// Corners of the dinosaur: a long neck on the right, a tail on the left, four legs.
const OUTLINE: [(f64, f64); 38] = [
    (0.0, 3.2),
    (1.0, 3.5),
    (2.0, 4.2),
    (3.0, 5.0),
    (4.0, 5.4),
    (5.0, 5.4),
    (6.0, 5.0),
    (6.8, 4.8),
    (7.4, 5.4),
    (7.8, 6.4),
    (8.1, 7.2),
    (8.7, 7.6),
    (9.5, 7.5),
    (10.2, 7.0),
    (10.3, 6.7),
    (9.7, 6.6),
    (10.2, 6.4),
    (9.5, 6.2),
    (9.0, 6.2),
    (8.8, 5.2),
    (8.5, 4.0),
    (8.0, 3.0),
    (7.6, 2.4),
    (7.6, 0.8),
    (7.8, 0.4),
    (6.8, 0.4),
    (6.8, 2.0),
    (6.3, 2.0),
    (6.2, 0.4),
    (5.4, 0.4),
    (5.5, 2.0),
    (4.3, 2.0),
    (4.2, 0.4),
    (3.2, 0.4),
    (3.2, 2.4),
    (2.4, 2.9),
    (1.4, 2.9),
    (0.7, 2.9),
];

fn normal_pair(rng: &mut Rng) -> (f64, f64) {
    (rng.sample(StandardNormal), rng.sample(StandardNormal))
}

fn split(
    name: &str,
    n: usize,
    seed: u64,
    mut point: impl FnMut(&mut Rng) -> [f64; 2],
) -> Result<Split> {
    if n < 10 {
        return Err(Error::Parameter {
            name: "n",
            got: n.to_string(),
            need: "at least 10, so that both parts have points",
        });
    }
    let mut rng = rng::seeded(seed);
    let values: Vec<f32> = (0..n)
        .flat_map(|_| point(&mut rng))
        .map(|v| v as f32)
        .collect();
    let x = Tensor::from_vec(values, (n, 2), &Device::Cpu)?;
    Split::random(&Dataset::new(name, x)?, n / 10, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toys_are_about_standardized_and_fixed_by_their_seed() {
        for toy in [scg, moons, circle, line, dino] {
            let data = toy(20_000, 1).unwrap().train;
            let again = toy(20_000, 1).unwrap().train;
            let (a, b) = (data.flat().unwrap(), again.flat().unwrap());
            assert_eq!(a.to_vec2::<f32>().unwrap(), b.to_vec2::<f32>().unwrap());
            let spectrum = data.spectrum().unwrap();
            let trace: f64 = spectrum.eigenvalues.iter().sum();
            assert!((trace - 2.0).abs() < 0.1, "{}: trace {trace}", data.name);
            let off = spectrum.mean.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            assert!(off < 0.05, "{}: mean {:?}", data.name, spectrum.mean);
            assert!(toy(9, 0).is_err());
        }
    }

    #[test]
    fn scg_has_its_covariance() {
        let spectrum = scg(50_000, 0).unwrap().train.spectrum().unwrap();
        let known = [1.0 - SCG_CORRELATION, 1.0 + SCG_CORRELATION];
        for (value, known) in spectrum.eigenvalues.iter().zip(known) {
            // The standard error of a variance is λ√(2/n).
            assert!((value / known - 1.0).abs() < 4.0 * (2.0 / 45_000f64).sqrt());
        }
    }
}
