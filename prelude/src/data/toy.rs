//! Toy data in two dimensions with a known density, or nearly: functions of the number of points and a seed.
//!
//! Each gives a [`Split`] of 90 to 10.

use std::f64::consts::{PI, TAU};

use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::{Dataset, Split};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::gauss_legendre::gauss;
use crate::rng::{self, Rng};

/// The correlation of [`correlated_gaussian`].
pub const CORRELATION: f64 = -0.495 / 0.505;

/// A strongly correlated Gaussian: unit variances, correlation [`CORRELATION`] ≈ −0.980.
///
/// Its entropy is `ln 2πe + ½ ln(1 − ρ²) = 1.2185` nats.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points, as of all toys here.
///
/// # Example
/// ```
/// let data = itd_prelude::data::toy::correlated_gaussian(1000, 0)?;
/// assert_eq!((data.train.len(), data.test.len()), (900, 100));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn correlated_gaussian(n: usize, seed: u64) -> Result<Split> {
    let rest = (1.0 - CORRELATION.powi(2)).sqrt();
    split("strongly correlated Gaussian", n, seed, |rng| {
        let (x, other) = normal_pair(rng);
        [x, CORRELATION * x + rest * other]
    })
}

/// Two half circles of radius 1 that reach into each other, with Gaussian noise of standard deviation
/// 0.05, moved and scaled to about zero mean and unit variances.
///
/// Its density is the mean of the noise's density over the two arcs: see [`moons_density`].
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
        [
            (x + MOONS.noise * u - MOONS.center.0) / MOONS.scale.0,
            (y + MOONS.noise * v - MOONS.center.1) / MOONS.scale.1,
        ]
    })
}

/// How the two moons are made: the standard deviation of their noise, and what is taken off and divided by.
struct Moons {
    noise: f64,
    center: (f64, f64),
    scale: (f64, f64),
}

const MOONS: Moons = Moons {
    noise: 0.05,
    center: (0.5, 0.25),
    scale: (0.87, 0.5),
};

/// `−ln p(x, y)` of [`moons`], in nats, by an integral over both arcs that is right to about ten digits wherever there are
/// points.
///
/// # Example: it integrates to 1
/// ```
/// use itd_prelude::data::toy::moons_density;
///
/// let side = |i: i32| f64::from(i) * 0.02;
/// let at = |i, j| (-moons_density(side(i), side(j))).exp() * 0.02 * 0.02;
/// let mass: f64 = (-150..150).flat_map(|i| (-120..120).map(move |j| at(i, j))).sum();
/// assert!((mass - 1.0).abs() < 1e-3);
/// ```
pub fn moons_density(x: f64, y: f64) -> f64 {
    let Moons {
        noise,
        center,
        scale,
    } = MOONS;
    let (u, v) = (x * scale.0 + center.0, y * scale.1 + center.1);
    // Turned by half a circle about (0.5, 0.25), the second arc is the first one.
    let arcs = [(u, v), (1.0 - u, 0.5 - v)];
    let log = |(u, v): (f64, f64), angle: f64| {
        -0.5 * ((u - angle.cos()).powi(2) + (v - angle.sin()).powi(2)) / (noise * noise)
    };
    let nearest = |(u, v): (f64, f64)| match v.atan2(u) {
        above if above >= 0.0 => above,
        _ if u < 0.0 => PI,
        _ => 0.0,
    };
    let highest = arcs.map(|arc| log(arc, nearest(arc)));
    let highest = highest[0].max(highest[1]);
    // Noise is as wide as an angle of 0.05, a third of such a part.
    let mass = |arc| gauss(0.0, PI, 20, |angle| (log(arc, angle) - highest).exp());
    let density = (mass(arcs[0]) + mass(arcs[1])) / TAU;
    (TAU * noise * noise).ln() - (scale.0 * scale.1).ln() - highest - density.ln()
}

/// A ring: a uniform direction at radius √2, with Gaussian noise of standard deviation 0.1 in both
/// coordinates.
///
/// Its density at radius `r` is `exp(−(r² + 2)/(2s²)) · I₀(√2 r/s²) / (2πs²)` with `s = 0.1`.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 10 points.
pub fn ring(n: usize, seed: u64) -> Result<Split> {
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
pub fn uniform_square(n: usize, seed: u64) -> Result<Split> {
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
    room_for::<f32>("the points", &[n, 2])?;
    let mut rng = rng::stream(seed, "toy points");
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
        for toy in [correlated_gaussian, moons, ring, uniform_square, dino] {
            let data = toy(20_000, 1).unwrap().train;
            let again = toy(20_000, 1).unwrap().train;
            let (a, b) = (data.flat().unwrap(), again.flat().unwrap());
            assert_eq!(a.to_vec2::<f32>().unwrap(), b.to_vec2::<f32>().unwrap());
            let rows = data.flat().unwrap();
            let mean = rows.mean(0).unwrap().to_vec1::<f32>().unwrap();
            let trace = rows
                .var(0)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!((trace - 2.0).abs() < 0.1, "{}: trace {trace}", data.name);
            let off = mean.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(off < 0.05, "{}: mean {mean:?}", data.name);
            assert!(toy(9, 0).is_err());
        }
    }

    /// By many steps of Simpson's rule, on the arcs, at their ends and beyond.
    #[test]
    fn the_density_of_the_moons_is_that_of_a_slow_sum() {
        let slow = |x: f64, y: f64| -> f64 {
            let (u, v) = (x * 0.87 + 0.5, y * 0.5 + 0.25);
            let steps = 20_000;
            let at = |i: usize| {
                let angle = i as f64 / steps as f64 * PI;
                let near = |a: f64, b: f64| (-((u - a).powi(2) + (v - b).powi(2)) / 0.005).exp();
                let (cos, sin) = (angle.cos(), angle.sin());
                near(cos, sin) + near(1.0 - cos, 0.5 - sin)
            };
            let weight = |i: usize| match i {
                _ if i == 0 || i == steps => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let sum: f64 = (0..=steps).map(|i| weight(i) * at(i)).sum();
            let mean = sum / (3.0 * steps as f64);
            (TAU * 0.0025).ln() + 2f64.ln() - (0.87 * 0.5f64).ln() - mean.ln()
        };
        for (u, v) in [
            (1.0, 0.0),
            (1.0, -0.1),
            (0.98, 0.02),
            (-1.0, 0.05),
            (0.0, 1.0),
            (0.5, 0.25),
            (0.0, 0.4),
            (2.05, 0.5),
            (1.0, -0.55),
        ] {
            let (x, y) = ((u - 0.5) / 0.87, (v - 0.25) / 0.5);
            let (fast, slow) = (moons_density(x, y), slow(x, y));
            assert!((fast - slow).abs() < 1e-9, "{u} {v}: {fast} {slow}");
        }
        // Far away, where a sum of densities would be 0.
        assert!(moons_density(50.0, 50.0).is_finite());
    }

    #[test]
    fn the_correlated_gaussian_has_its_covariance() {
        let data = correlated_gaussian(50_000, 0).unwrap().train;
        let rows: Vec<Vec<f32>> = data.flat().unwrap().to_vec2().unwrap();
        // Along the diagonals lie the eigenvectors.
        for (sign, known) in [(-1.0, 1.0 - CORRELATION), (1.0, 1.0 + CORRELATION)] {
            let along = rows
                .iter()
                .map(|row| f64::from(row[0]) + sign * f64::from(row[1]));
            let value = crate::stats::variance(&along.collect::<Vec<_>>()) / 2.0;
            // The standard error of a variance is λ√(2/n).
            assert!((value / known - 1.0).abs() < 4.0 * (2.0 / 45_000f64).sqrt());
        }
    }
}
