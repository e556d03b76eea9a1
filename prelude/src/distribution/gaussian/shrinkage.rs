//! Covariances of fewer samples than dimensions: drawn towards a simpler one, by a stated choice.

use std::fmt;

use super::moments::Moments;
use crate::error::{Error, Result};

/// What a covariance is drawn towards, and how far: `(1 − δ) S + δ T`.
///
/// The sample covariance `S` is unbiased, but singular for `n ≤ dim`, and its eigenvalues are spread too far
/// for any `n` that is not many times `dim`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Shrinkage {
    /// Nothing: the sample covariance.
    #[default]
    None,
    /// Towards `T = (tr S / dim) I`, with the `δ` that is best in mean squared error, estimated from the data.
    ///
    /// With `d² = ‖S − T‖²` and `b² = min(d², 1/n² Σ ‖(x − μ)(x − μ)ᵀ − S‖²)`, both with `1/n` in `S`, the
    /// weight is `δ = b²/d²`.
    ///
    /// # Paper
    /// Ledoit, Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    /// Multivariate Analysis 88, Sec. 3.2; with the mean estimated, and `δ` applied to the unbiased `S`.
    LedoitWolf,
    /// Towards `T = (tr S / dim) I`, with that `δ` in [0, 1].
    Toward(f64),
    /// All the way to the diagonal: variances without correlations. Needs neither products nor eigenvalues.
    Diagonal,
}

impl Shrinkage {
    /// Refuses a weight that is none.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `δ` lies in [0, 1].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Toward(weight) if !(0.0..=1.0).contains(weight) => Err(Error::Parameter {
                name: "Shrinkage::Toward",
                got: weight.to_string(),
                need: "at least 0 and at most 1",
            }),
            _ => Ok(()),
        }
    }

    /// `δ` for these data.
    pub(super) fn weight(&self, moments: &Moments) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::LedoitWolf => ledoit_wolf(moments),
            Self::Toward(weight) => weight,
            Self::Diagonal => 1.0,
        }
    }
}

impl fmt::Display for Shrinkage {
    /// Such as `Ledoit–Wolf`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no shrinkage",
            Self::LedoitWolf => "Ledoit–Wolf shrinkage",
            Self::Toward(_) => "shrinkage towards the mean variance",
            Self::Diagonal => "correlations left out",
        })
    }
}

/// `b²/d²`; what a norm is divided by, `dim` in the paper, cancels.
fn ledoit_wolf(moments: &Moments) -> f64 {
    let (n, dim) = (moments.n as f64, moments.mean.len());
    // The paper's S has 1/n.
    let scale = (n - 1.0) / n;
    let square = scale.powi(2) * moments.covariance.iter().map(|v| v * v).sum::<f64>();
    let trace = scale
        * (0..dim)
            .map(|i| moments.covariance[i * dim + i])
            .sum::<f64>();
    // ‖S − (tr S/dim) I‖² = ‖S‖² − (tr S)²/dim, and Σ‖xxᵀ − S‖² = Σ‖x‖⁴ − n‖S‖².
    let apart = square - trace * trace / dim as f64;
    let noise = ((moments.fourth / n - square) / n).max(0.0);
    match apart > 0.0 {
        true => (noise / apart).min(1.0),
        // S is its own target.
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::distribution::Gaussian;
    use crate::distribution::gaussian::moments::Rows;
    use crate::rng;
    use crate::rounds::Rounds;

    /// The standard deviations of a Gaussian without correlations, from 2 down to 0.5.
    fn scales(dim: usize) -> Vec<f64> {
        let share = |i| i as f64 / (dim - 1) as f64;
        (0..dim).map(|i| 2f64.powf(1.0 - 2.0 * share(i))).collect()
    }

    fn samples(n: usize, dim: usize, seed: u64) -> Tensor {
        let (mut rng, scales) = (rng::seeded(seed), scales(dim));
        let mut value = |i: usize| 3.0 + scales[i % dim] * rng.sample::<f64, _>(StandardNormal);
        let values: Vec<f32> = (0..n * dim).map(|i| value(i) as f32).collect();
        Tensor::from_vec(values, (n, dim), &Device::Cpu).unwrap()
    }

    /// Squared Frobenius distance to the true covariance.
    fn miss(fit: &Gaussian) -> f64 {
        let scales = scales(fit.dim());
        let rows = fit.covariance().unwrap();
        let truth = |i: usize, j: usize| if i == j { scales[i].powi(2) } else { 0.0 };
        let row = |(i, row): (usize, &Vec<f64>)| -> f64 {
            let gaps = row.iter().enumerate().map(|(j, v)| v - truth(i, j));
            gaps.map(|gap| gap * gap).sum()
        };
        rows.iter().enumerate().map(row).sum()
    }

    /// Sec. 3.2 of the paper, line by line, with the norm `‖A‖² = tr(AAᵀ)/p`.
    fn slow_ledoit_wolf(rows: &[Vec<f64>]) -> f64 {
        let (n, p) = (rows.len(), rows[0].len());
        let mean = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>() / n as f64;
        let mean: Vec<f64> = (0..p).map(mean).collect();
        let x = |k: usize, j: usize| rows[k][j] - mean[j];
        let s = |i: usize, j: usize| (0..n).map(|k| x(k, i) * x(k, j)).sum::<f64>() / n as f64;
        let s: Vec<Vec<f64>> = (0..p).map(|i| (0..p).map(|j| s(i, j)).collect()).collect();
        let norm = |a: &dyn Fn(usize, usize) -> f64| {
            let all = (0..p).flat_map(|i| (0..p).map(move |j| (i, j)));
            all.map(|(i, j)| a(i, j).powi(2)).sum::<f64>() / p as f64
        };
        let m = (0..p).map(|i| s[i][i]).sum::<f64>() / p as f64;
        let d2 = norm(&|i, j| s[i][j] - if i == j { m } else { 0.0 });
        let b2 = (0..n).map(|k| norm(&|i, j| x(k, i) * x(k, j) - s[i][j]));
        let b2 = b2.sum::<f64>() / (n * n) as f64;
        b2.min(d2) / d2
    }

    #[test]
    fn the_weight_is_the_papers() {
        for (n, dim) in [(5, 12), (20, 12), (300, 12), (2, 3)] {
            let rows = samples(n, dim, 1);
            let fit = Gaussian::shrunk(&rows, Shrinkage::LedoitWolf).unwrap();
            let rows: Vec<Vec<f32>> = rows.to_vec2().unwrap();
            let rows: Vec<Vec<f64>> = rows
                .iter()
                .map(|row| row.iter().map(|&v| f64::from(v)).collect())
                .collect();
            let slow = slow_ledoit_wolf(&rows);
            let gap = (fit.intensity - slow).abs();
            assert!(gap < 1e-9, "{n} × {dim}: {} against {slow}", fit.intensity);
        }
    }

    #[test]
    fn it_is_nearer_to_the_truth_than_the_sample_covariance() {
        let (n, dim) = (20, 40);
        for seed in 0..5 {
            let rows = samples(n, dim, seed);
            let shrunk = Gaussian::shrunk(&rows, Shrinkage::LedoitWolf).unwrap();
            let sample = Gaussian::from_samples(&rows).unwrap();
            assert!(miss(&shrunk) < 0.5 * miss(&sample));
            assert!(0.0 < shrunk.intensity && shrunk.intensity < 1.0);
            assert!(sample.entropy().is_err());
            assert!(shrunk.entropy().is_ok());
        }
    }

    #[test]
    fn a_given_weight_mixes_with_the_mean_variance() {
        let rows = samples(30, 6, 0);
        let rows_of = Rows::new(&rows).unwrap();
        let sample = rows_of
            .moments(&mut Rounds::new("adding up", 1, 0.0))
            .unwrap()
            .covariance;
        let level = (0..6).map(|i| sample[i * 7]).sum::<f64>() / 6.0;
        for weight in [0.0, 0.3, 1.0] {
            let fit = Gaussian::shrunk(&rows, Shrinkage::Toward(weight)).unwrap();
            assert_eq!(fit.intensity, weight);
            for (i, row) in fit.covariance().unwrap().iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    let target = if i == j { level } else { 0.0 };
                    let known = (1.0 - weight) * sample[i * 6 + j] + weight * target;
                    assert!((value - known).abs() < 1e-12, "{value} against {known}");
                }
            }
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(Gaussian::shrunk(&rows, Shrinkage::Toward(bad)).is_err());
        }
    }

    #[test]
    fn the_diagonal_is_the_variances() {
        let rows = samples(5, 8, 0);
        let fit = Gaussian::shrunk(&rows, Shrinkage::Diagonal).unwrap();
        let rows: Vec<Vec<f32>> = rows.to_vec2().unwrap();
        for (i, row) in fit.covariance().unwrap().iter().enumerate() {
            let column: Vec<f64> = rows.iter().map(|row| f64::from(row[i])).collect();
            for (j, value) in row.iter().enumerate() {
                let known = if i == j {
                    crate::stats::variance(&column)
                } else {
                    0.0
                };
                assert!((value - known).abs() < 1e-12, "{value} against {known}");
            }
        }
        // A value that never changes has no variance, whatever its mean rounds to.
        let flat = Tensor::new(&[[0.1f32, 1.0], [0.1, 2.0], [0.1, 3.0]], &Device::Cpu).unwrap();
        let fit = Gaussian::shrunk(&flat, Shrinkage::Diagonal).unwrap();
        assert_eq!(fit.eigenvalues, [0.0, 1.0]);
    }
}
