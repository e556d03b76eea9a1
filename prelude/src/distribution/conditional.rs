//! Gaussians of which a part is known.

use candle_core::{DType, Device, Tensor};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use super::linear::{restore, rows, signal};
use super::{Gaussian, LinearDenoiser};
use crate::data::{Condition, ConditionKind};
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::estimate::Estimate;

/// `x` and `y` that are normal together, as `p(x|y)`: `N(μ_x + K(y − μ_y), Σ_{x|y})`.
///
/// ```text
/// K = Σ_xy Σ_yy⁻¹,    Σ_{x|y} = Σ_xx − K Σ_yx,    I(x; y) = ½ ln det Σ_xx / det Σ_{x|y}
/// ```
///
/// # Example: a pair with correlation ρ
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::ConditionalGaussian;
///
/// # fn main() -> Result<()> {
/// let rho: f64 = 0.8;
/// let pair = ConditionalGaussian::new(&Gaussian::new(&[0.0, 0.0], &[[1.0, rho], [rho, 1.0]])?, 1)?;
/// check!(close(pair.mutual_information()?.nats, -0.5 * (1.0 - rho * rho).ln(), 1e-12));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ConditionalGaussian {
    /// `N(μ_x, Σ_xx)`, what is known without `y`.
    pub marginal: Gaussian,
    /// `N(0, Σ_{x|y})`, what `y` leaves open.
    pub residual: Gaussian,
    /// `Kᵀ`, `[k, dim]`.
    slope: Tensor,
    /// `μ_y`, `[1, k]`.
    center: Tensor,
}

impl ConditionalGaussian {
    /// The first `dim` values of a joint Gaussian as `x`, the others as `y`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless both parts have values, [`Error::Degenerate`] when the covariance of `y` cannot be
    /// inverted.
    pub fn new(joint: &Gaussian, dim: usize) -> Result<Self> {
        let all = joint.dim();
        if dim == 0 || dim >= all {
            return Err(Error::Parameter {
                name: "dim",
                got: format!("{dim} of {all}"),
                need: "at least 1, with at least one value left for the condition",
            });
        }
        let covariance = joint.covariance()?;
        let block = |from: usize, rows: usize, to: usize, columns: usize| {
            Mat::from_fn(rows, columns, |i, j| covariance[from + i][to + j])
        };
        let k = all - dim;
        let (xx, xy, yy) = (
            block(0, dim, 0, dim),
            block(0, dim, dim, k),
            block(dim, k, dim, k),
        );
        let factor = yy
            .llt(Side::Lower)
            .map_err(|_| Error::Degenerate { zeros: 1, dim: k })?;
        let slope = factor.solve(xy.transpose()); // [k, dim]
        let left = &xx - &xy * &slope;
        let list = |matrix: MatRef<f64>| -> Vec<Vec<f64>> {
            let row = |i| (0..matrix.ncols()).map(|j| matrix[(i, j)]).collect();
            (0..matrix.nrows()).map(row).collect()
        };
        // Round-off must not make it unsymmetric.
        let left = Mat::from_fn(dim, dim, |i, j| 0.5 * (left[(i, j)] + left[(j, i)]));
        // What is left of a value that `y` tells is round-off, which may be below 0.
        let largest = (0..dim).map(|i| xx[(i, i)]).fold(0.0, f64::max);
        let floor = 4.0 * (all * all) as f64 * f64::EPSILON * largest;
        let below = left.as_ref().norm_max() <= floor;
        let mut residual = match below {
            true => Gaussian::diagonal(vec![0.0; dim], vec![0.0; dim])?,
            false => Gaussian::new(&vec![0.0; dim], &list(left.as_ref()))?,
        };
        for value in &mut residual.eigenvalues {
            if *value <= floor {
                *value = 0.0;
            }
        }
        Ok(Self {
            marginal: Gaussian::new(&joint.mean[..dim], &list(xx.as_ref()))?,
            residual,
            slope: Tensor::from_vec(list(slope.as_ref()).concat(), (k, dim), &Device::Cpu)?,
            center: Tensor::from_vec(joint.mean[dim..].to_vec(), (1, k), &Device::Cpu)?,
        })
    }

    /// `I(x; y)`, exact.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when `y` tells all of a value.
    pub fn mutual_information(&self) -> Result<Estimate> {
        let (without, with) = (self.marginal.entropy()?, self.residual.entropy()?);
        Ok(Estimate::exact(without.nats - with.nats))
    }

    /// The best denoiser of `x`, told `y` or not.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the shape has another number of values than `x`.
    pub fn denoiser(&self, shape: &[usize]) -> Result<ConditionalDenoiser> {
        Ok(ConditionalDenoiser {
            marginal: self.marginal.denoiser(shape)?,
            residual: self.residual.denoiser(shape)?,
            slope: self.slope.clone(),
            center: self.center.clone(),
        })
    }
}

/// The best denoiser of `x` given `y`, for vectors that are normal together. Made by
/// [`ConditionalGaussian::denoiser`].
#[derive(Debug, Clone)]
pub struct ConditionalDenoiser {
    marginal: LinearDenoiser,
    residual: LinearDenoiser,
    slope: Tensor,
    center: Tensor,
}

impl Denoiser for ConditionalDenoiser {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let Some(Condition::Vector(y)) = &query.y else {
            return self.marginal.eps_hat(query);
        };
        let (z, alpha) = rows(query, self.dim())?;
        // What y says of the mean is taken out of z; the rest is centred.
        let y = y.to_dtype(DType::F64)?;
        let shift = y.broadcast_sub(&self.center)?.matmul(&self.slope)?;
        let mean = Tensor::new(self.marginal.gaussian.mean.as_slice(), &Device::Cpu)?;
        let center = shift
            .broadcast_add(&mean)?
            .broadcast_mul(&signal(&alpha)?)?;
        let told = self.residual.eps_of_rows(&(&z - center)?, &alpha)?;
        let eps = match &query.told {
            None => told,
            Some(marks) => {
                let free = self.marginal.eps_of_rows(&z, &alpha)?;
                let marks: Vec<u8> = marks.iter().map(|&told| u8::from(told)).collect();
                let marks = Tensor::from_vec(marks, (alpha.len(), 1), &Device::Cpu)?;
                marks.broadcast_as(told.shape())?.where_cond(&told, &free)?
            }
        };
        restore(&eps, query)
    }

    fn shape(&self) -> &[usize] {
        self.marginal.shape()
    }

    fn condition(&self) -> Option<ConditionKind> {
        let dim = self.center.dims()[1];
        Some(ConditionKind::Vector { dim })
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn batch(&self) -> usize {
        self.marginal.batch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::stats::sigmoid;

    fn joint() -> Gaussian {
        let covariance = [[2.0, 0.5, 0.9], [0.5, 1.0, -0.3], [0.9, -0.3, 1.5]];
        Gaussian::new(&[1.0, 0.0, -2.0], &covariance).unwrap()
    }

    #[test]
    fn what_y_tells_is_refused_and_no_round_off() {
        for (a, b) in [(0.1, 0.3), (0.7, 1.0 / 3.0), (2.0, -1.5), (1e-6, 1e3)] {
            let covariance = [[a, b * a], [b * a, b * b * a]];
            let Ok(pair) = Gaussian::new(&[0.0, 0.0], &covariance) else {
                continue;
            };
            let found =
                ConditionalGaussian::new(&pair, 1).and_then(|pair| pair.mutual_information());
            assert!(
                matches!(found, Err(Error::Degenerate { .. })),
                "{a} {b}: {found:?}"
            );
        }
        // Nearly all of it is another matter.
        let pair = Gaussian::new(&[0.0, 0.0], &[[1.0, 0.999_999], [0.999_999, 1.0]]).unwrap();
        let pair = ConditionalGaussian::new(&pair, 1).unwrap();
        let nats = pair.mutual_information().unwrap().nats;
        assert!(
            (nats + 0.5 * (1.0 - 0.999_999f64.powi(2)).ln()).abs() < 1e-6,
            "{nats}"
        );
    }

    /// The twin: Bayes' rule for one number each, in closed form.
    #[test]
    fn a_pair_is_denoised_by_bayes_rule() {
        let (rho, y, alpha, z) = (0.7f64, 0.4f64, 0.9f64, -0.6f64);
        let pair = Gaussian::new(&[0.0, 0.0], &[[1.0, rho], [rho, 1.0]]).unwrap();
        let net = ConditionalGaussian::new(&pair, 1).unwrap();
        let net = net.denoiser(&[1]).unwrap();
        let row = |v: f64| Tensor::new(&[[v]], &Device::Cpu).unwrap();
        let told = Condition::vectors(&row(y)).unwrap();
        let query = Query::new(&row(z), &Tensor::new(&[alpha], &Device::Cpu).unwrap());
        let eps = |query: &Query| net.denoise(query).unwrap().to_vec2::<f64>().unwrap()[0][0];
        let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
        let y = f64::from(y as f32);
        let known = |mean: f64, variance: f64| {
            noise * (z - signal * mean) / (signal * signal * variance + noise * noise)
        };
        let given = query.clone().given(told.clone());
        assert!((eps(&given) - known(rho * y, 1.0 - rho * rho)).abs() < 1e-12);
        assert!((eps(&query) - known(0.0, 1.0)).abs() < 1e-12);
        assert!((eps(&given.told(vec![false])) - known(0.0, 1.0)).abs() < 1e-12);
    }

    #[test]
    fn the_residual_is_what_regression_leaves() {
        let parts = ConditionalGaussian::new(&joint(), 2).unwrap();
        let x = joint().sample(20_000, &mut rng::seeded(0)).unwrap();
        let (x, y) = (x.narrow(1, 0, 2).unwrap(), x.narrow(1, 2, 1).unwrap());
        let y = (y.to_dtype(DType::F64).unwrap() + 2.0).unwrap();
        let fit = y.matmul(&parts.slope).unwrap();
        let left = (x.to_dtype(DType::F64).unwrap() - fit).unwrap();
        let found = Gaussian::from_samples(&left).unwrap();
        for (a, b) in found.eigenvalues.iter().zip(&parts.residual.eigenvalues) {
            assert!((a / b - 1.0).abs() < 0.05, "{a} {b}");
        }
        let nats = parts.mutual_information().unwrap().nats;
        // ½ ln det Σ_xx det Σ_yy / det Σ
        let known = 0.5 * (1.75f64 * 1.5 / 1.365).ln();
        assert!((nats - known).abs() < 1e-3, "{nats} {known}");
    }

    #[test]
    fn parts_that_are_none_are_refused() {
        assert!(ConditionalGaussian::new(&joint(), 0).is_err());
        assert!(ConditionalGaussian::new(&joint(), 3).is_err());
        let flat = Gaussian::diagonal(vec![0.0; 2], vec![1.0, 0.0]).unwrap();
        assert!(matches!(
            ConditionalGaussian::new(&flat, 1),
            Err(Error::Degenerate { .. })
        ));
    }
}
