//! `−ln p(x|z_0)`.

use std::f64::consts::TAU;

use candle_core::{DType, Tensor};

use super::Target;
use crate::data::Grid;
use crate::distribution::log_mass;
use crate::error::Result;
use crate::rounds::Rounds;
use crate::stats;

/// `−ln p(x)` of one value under a normal.
pub(super) fn normal(target: Target, x: f64, mean: f64, log_variance: f64) -> f64 {
    match target {
        Target::Continuous => {
            0.5 * (TAU.ln() + log_variance + (x - mean).powi(2) * (-log_variance).exp())
        }
        Target::Discrete(grid) => bin(grid, x, mean, (0.5 * log_variance).exp()),
    }
}

/// The normal's mass in the bin around a level, the outer ones open.
fn bin(grid: Grid, x: f64, mean: f64, std: f64) -> f64 {
    let level = grid.nearest(x);
    let edge = |side: f64| (level + side * 0.5 * grid.spacing() - mean) / std;
    let low = match level <= grid.low {
        true => f64::NEG_INFINITY,
        false => edge(-1.0),
    };
    let high = match level >= grid.high - 0.5 * grid.spacing() {
        true => f64::INFINITY,
        false => edge(1.0),
    };
    -log_mass(low, high)
}

/// `−ln p(x|z)` of each sample by the channel alone, averaged over the noise where that is known: for a density
/// `½ ln 2πe e^{−α}` for each value.
pub(super) fn channel(target: Target, x: &Tensor, eps: &Tensor, log_snr: f64) -> Result<Vec<f64>> {
    let rows = |x: &Tensor| -> Result<Vec<Vec<f64>>> {
        Ok(x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?)
    };
    let xs = rows(x)?;
    let Target::Discrete(grid) = target else {
        let each = 0.5 * (TAU.ln() + 1.0 - log_snr);
        return Ok(xs.iter().map(|x| x.len() as f64 * each).collect());
    };
    let (eps, noise) = (rows(eps)?, (-0.5 * log_snr).exp());
    let value = |(x, eps): (&f64, &f64)| channel_level(grid, *x, x + noise * eps, log_snr);
    let values = xs.iter().map(Vec::len).sum::<usize>() as f64;
    let mut work = Rounds::new(
        "reconstruction",
        xs.len(),
        20.0 * values * grid.levels as f64,
    );
    let mut found = Vec::with_capacity(xs.len());
    for (x, eps) in xs.iter().zip(&eps) {
        found.push(x.iter().zip(eps).map(value).sum());
        work.step()?;
    }
    Ok(found)
}

/// `−ln p(level|z)` when levels are told apart by their distance from `seen = z/√σ(α)` alone.
fn channel_level(grid: Grid, x: f64, seen: f64, log_snr: f64) -> f64 {
    let snr = log_snr.exp();
    let log = |level: f64| -0.5 * snr * (seen - level).powi(2);
    let logs: Vec<f64> = (0..grid.levels).map(|i| log(grid.level(i))).collect();
    stats::log_sum_exp(&logs) - log(grid.nearest(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bins_of_a_normal_sum_to_one() {
        let grid = Grid::new(-1.0, 1.0, 17).unwrap();
        for (mean, std) in [
            (0.1, 0.5),
            (0.99, 0.01),
            (-3.0, 0.2),
            (0.5, 1e-3),
            (0.0, 50.0),
        ] {
            let log_variance = 2.0 * f64::ln(std);
            let mass =
                |i| (-normal(Target::Discrete(grid), grid.level(i), mean, log_variance)).exp();
            let sum: f64 = (0..17).map(mass).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{mean} {std}: {sum}");
        }
    }

    #[test]
    fn far_from_the_mean_the_mass_does_not_vanish() {
        let grid = Grid::new(-1.0, 1.0, 256).unwrap();
        let nats = normal(Target::Discrete(grid), 0.0, 0.9, 2.0 * f64::ln(1e-3));
        // The nearer edge of the bin is about 900 standard deviations away.
        assert!(
            nats.is_finite() && (nats / (0.5 * 900f64.powi(2)) - 1.0).abs() < 0.02,
            "{nats}"
        );
    }

    #[test]
    fn narrow_bins_have_the_density_times_their_width() {
        let grid = Grid::new(-1.0, 1.0, 20_001).unwrap();
        let bin = normal(Target::Discrete(grid), 0.25, 0.1, 0.0);
        let density = normal(Target::Continuous, 0.25, 0.1, 0.0);
        assert!((bin - (density - grid.spacing().ln())).abs() < 1e-9);
    }

    #[test]
    fn levels_told_apart_by_the_channel_sum_to_one() {
        let grid = Grid::new(-1.0, 1.0, 9).unwrap();
        for (seen, log_snr) in [(0.3, 2.0), (-1.7, 6.0), (0.0, 12.0)] {
            let sum: f64 = (0..9)
                .map(|i| (-channel_level(grid, grid.level(i), seen, log_snr)).exp())
                .sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
