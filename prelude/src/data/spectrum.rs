//! Mean and covariance of data, by eigenvalues: the Gaussian that everything is compared with.

mod cache;
mod eigen;
mod moments;
mod shrinkage;
mod work;

use std::f64::consts::{PI, TAU};

use candle_core::{DType, Device, Tensor};

use self::eigen::eigen;
use self::moments::Rows;
use self::work::Work;
use crate::error::{Error, Result};

pub use cache::Cache;
pub use shrinkage::Shrinkage;

/// A mean and a covariance `Σ = U Λ Uᵀ`, and with them the Gaussian `N(μ, Σ)`.
///
/// An eigenvalue that round-off cannot tell from 0 is exactly 0 here: along its direction the data do not
/// vary, and there is no density.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// `μ`, length `dim`.
    pub mean: Vec<f64>,
    /// `λ`, largest first, none below 0.
    pub eigenvalues: Vec<f64>,
    /// `U`, `f64` on the CPU, `[dim, dim]`: the `i`-th column belongs to the `i`-th eigenvalue.
    pub eigenvectors: Tensor,
    /// What the covariance of the samples was drawn towards.
    pub shrinkage: Shrinkage,
    /// How far: the weight `δ` in [0, 1] of what it was drawn towards.
    pub intensity: f64,
}

/// How a spectrum is taken from samples.
///
/// # Example: 8 samples of 64 values
/// ```
/// use itd_prelude::data::{self, Shrinkage, SpectrumConfig};
///
/// let few = data::digits()?.train.take(8)?;
/// assert!(few.spectrum()?.gaussian_entropy().is_err());
/// let config = SpectrumConfig { shrinkage: Shrinkage::LedoitWolf, ..Default::default() };
/// let shrunk = few.spectrum_with(&config)?;
/// assert!(shrunk.intensity > 0.0 && shrunk.gaussian_entropy().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpectrumConfig {
    /// What the covariance is drawn towards; by default nothing.
    pub shrinkage: Shrinkage,
    /// Where results that take long are kept.
    pub cache: Cache,
}

impl Spectrum {
    /// The standard normal of that many dimensions: `μ = 0`, `Σ = I`.
    ///
    /// # Errors
    /// [`Error::Empty`] when `dim` is 0.
    pub fn standard(dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::Empty {
                what: "the list of dimensions",
            });
        }
        Ok(Self {
            mean: vec![0.0; dim],
            eigenvalues: vec![1.0; dim],
            eigenvectors: Tensor::eye(dim, DType::F64, &Device::Cpu)?,
            shrinkage: Shrinkage::None,
            intensity: 0.0,
        })
    }

    /// The mean and the covariance `1/(n − 1) Σ (x − μ)(x − μ)ᵀ` of rows `[n, dim]`, computed in `f64`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are two axes, [`Error::Empty`] for fewer than two rows,
    /// [`Error::Interrupted`] when the user stops it.
    pub fn from_samples(rows: &Tensor) -> Result<Self> {
        Self::shrunk(rows, Shrinkage::None)
    }

    /// As [`Self::from_samples`], with the covariance drawn towards a simpler one.
    ///
    /// # Errors
    /// As [`Self::from_samples`], and [`Error::Parameter`] for a weight outside of [0, 1].
    ///
    /// # Numerics
    /// Mean first, then products of centred rows, a few thousand rows in `f64` at a time. `(1 − δ) S + δ m I`
    /// has the eigenvectors of `S` and the eigenvalues `(1 − δ) λ + δ m`, so `S` is what is decomposed.
    pub fn shrunk(rows: &Tensor, shrinkage: Shrinkage) -> Result<Self> {
        shrinkage.check()?;
        let rows = Rows::new(rows)?;
        if shrinkage == Shrinkage::Diagonal {
            return Self::diagonal(&rows);
        }
        let mut work = Work::new(rows.n, rows.dim, rows.count());
        let moments = rows.moments(&mut work)?;
        let (dim, intensity) = (rows.dim, shrinkage.weight(&moments));
        let level = (0..dim)
            .map(|i| moments.covariance[i * dim + i])
            .sum::<f64>()
            / dim as f64;
        let (mean, covariance) = (moments.mean, moments.covariance);
        let eigen = work.last("eigenvalues", move || eigen(&covariance, dim))??;
        let shrink = |value: &f64| (1.0 - intensity) * value + intensity * level;
        Ok(Self {
            mean,
            eigenvalues: eigen.values.iter().map(shrink).collect(),
            eigenvectors: eigen.vectors,
            shrinkage,
            intensity,
        })
    }

    /// As [`Self::shrunk`], through a cache.
    pub(super) fn with(rows: &Tensor, config: &SpectrumConfig) -> Result<Self> {
        let make = || Self::shrunk(rows, config.shrinkage);
        let &[n, dim] = rows.dims() else {
            return make();
        };
        let long = config.shrinkage != Shrinkage::Diagonal && Work::is_long(n, dim);
        match config.cache.folder(long) {
            Some(folder) => cache::kept_or(&folder, rows, config.shrinkage, make),
            None => make(),
        }
    }

    fn diagonal(rows: &Rows) -> Result<Self> {
        let (mean, variances) = rows.variances()?;
        if let Some(&got) = variances.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite {
                what: "a variance",
                got,
                next: "look for NaN in the data",
            });
        }
        let dim = rows.dim;
        // What round-off in the mean leaves of a variance 0.
        let floor = |i: usize| (rows.n as f64 * f64::EPSILON * mean[i]).powi(2);
        let value = |i: usize| {
            if variances[i] > floor(i) {
                variances[i]
            } else {
                0.0
            }
        };
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&i, &j| value(j).total_cmp(&value(i)));
        let mut vectors = vec![0.0; dim * dim];
        order
            .iter()
            .enumerate()
            .for_each(|(k, &i)| vectors[i * dim + k] = 1.0);
        Ok(Self {
            eigenvalues: order.iter().map(|&i| value(i)).collect(),
            eigenvectors: Tensor::from_vec(vectors, (dim, dim), &Device::Cpu)?,
            mean,
            shrinkage: Shrinkage::Diagonal,
            intensity: 1.0,
        })
    }

    /// The Gaussian of that mean and covariance, given by its rows.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the covariance is square and fits the mean, [`Error::NotFinite`] when an
    /// entry is not finite, [`Error::Parameter`] when it is not symmetric or has an eigenvalue below 0.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::data::Spectrum;
    ///
    /// let gauss = Spectrum::new(vec![0.0, 0.0], &[vec![2.0, 1.0], vec![1.0, 2.0]])?;
    /// assert!((gauss.eigenvalues[0] - 3.0).abs() < 1e-12);
    /// assert!((gauss.eigenvalues[1] - 1.0).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new(mean: Vec<f64>, covariance: &[Vec<f64>]) -> Result<Self> {
        let dim = mean.len();
        if dim == 0 || covariance.len() != dim || covariance.iter().any(|row| row.len() != dim) {
            return Err(Error::Shape {
                what: "the covariance",
                got: vec![covariance.len(), covariance.first().map_or(0, Vec::len)],
                need: format!("[{dim}, {dim}] like the mean, and not empty"),
            });
        }
        if let Some(&got) = mean.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite {
                what: "an entry of the mean",
                got,
                next: "look for NaN in the data",
            });
        }
        let eigen = eigen(&covariance.concat(), dim)?;
        Ok(Self {
            mean,
            eigenvalues: eigen.values,
            eigenvectors: eigen.vectors,
            shrinkage: Shrinkage::None,
            intensity: 0.0,
        })
    }

    /// The number of dimensions.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `ln λ`, largest first.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn log_eigenvalues(&self) -> Result<Vec<f64>> {
        let zeros = self
            .eigenvalues
            .iter()
            .filter(|&&value| !(value > 0.0))
            .count();
        if zeros > 0 {
            return Err(Error::Degenerate {
                zeros,
                dim: self.dim(),
            });
        }
        Ok(self.eigenvalues.iter().map(|value| value.ln()).collect())
    }

    /// `h(N(μ, Σ)) = ½ ln det(2πe Σ)`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn gaussian_entropy(&self) -> Result<f64> {
        let log_det: f64 = self.log_eigenvalues()?.iter().sum();
        Ok(0.5 * (self.dim() as f64 * (TAU.ln() + 1.0) + log_det))
    }

    /// Rows `[n, dim]` in the coordinates of the eigenvectors: `Uᵀ(x − μ)`, in `f64`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows have another dimension.
    pub fn coordinates(&self, rows: &Tensor) -> Result<Tensor> {
        if rows.rank() != 2 || rows.dims()[1] != self.dim() {
            return Err(Error::Shape {
                what: "the samples",
                got: rows.dims().to_vec(),
                need: format!("[n, {}]", self.dim()),
            });
        }
        let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mean = Tensor::new(self.mean.as_slice(), &Device::Cpu)?;
        Ok(rows.broadcast_sub(&mean)?.matmul(&self.eigenvectors)?)
    }

    /// `−ln N(x; μ, Σ)` of each row of `[n, dim]`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0, [`Error::Shape`] when the dimension is another.
    pub fn neg_log_density(&self, rows: &Tensor) -> Result<Vec<f64>> {
        let log_det: f64 = self.log_eigenvalues()?.iter().sum();
        let base = 0.5 * (self.dim() as f64 * (2.0 * PI).ln() + log_det);
        let coordinates: Vec<Vec<f64>> = self.coordinates(rows)?.to_vec2()?;
        let half_square = |q: &Vec<f64>| -> f64 {
            let terms = q
                .iter()
                .zip(&self.eigenvalues)
                .map(|(q, value)| q * q / value);
            0.5 * terms.sum::<f64>()
        };
        Ok(coordinates.iter().map(|q| base + half_square(q)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn hilbert(dim: usize) -> Vec<Vec<f64>> {
        let row = |i| (0..dim).map(|j| 1.0 / (i + j + 1) as f64).collect();
        (0..dim).map(row).collect()
    }

    #[test]
    fn eigenvectors_rebuild_the_covariance() {
        let covariance = hilbert(5);
        let spectrum = Spectrum::new(vec![0.0; 5], &covariance).unwrap();
        let u: Vec<Vec<f64>> = spectrum.eigenvectors.to_vec2().unwrap();
        for i in 0..5 {
            for j in 0..5 {
                let terms = (0..5).map(|k| u[i][k] * spectrum.eigenvalues[k] * u[j][k]);
                assert!((terms.sum::<f64>() - covariance[i][j]).abs() < 1e-14);
            }
        }
        assert!(spectrum.eigenvalues.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn samples_give_the_covariance_computed_by_hand() {
        let rows = Tensor::new(
            &[[0f32, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]],
            &Device::Cpu,
        );
        let spectrum = Spectrum::from_samples(&rows.unwrap()).unwrap();
        assert_eq!(spectrum.mean, [1.0, 2.0]);
        assert!((spectrum.eigenvalues[0] - 16.0 / 3.0).abs() < 1e-12);
        assert!((spectrum.eigenvalues[1] - 4.0 / 3.0).abs() < 1e-12);
        let entropy = (TAU.ln() + 1.0) + 0.5 * (64.0 / 9.0f64).ln();
        assert!((spectrum.gaussian_entropy().unwrap() - entropy).abs() < 1e-12);
    }

    #[test]
    fn a_constant_direction_has_no_density() {
        let rows = Tensor::new(&[[0f32, 0.3], [2.0, 0.3], [5.0, 0.3]], &Device::Cpu).unwrap();
        let spectrum = Spectrum::from_samples(&rows).unwrap();
        assert_eq!(spectrum.eigenvalues[1], 0.0);
        let error = spectrum.gaussian_entropy().unwrap_err().to_string();
        assert!(
            error.contains("1 of 2") && error.contains("dequantize"),
            "{error}"
        );
    }

    #[test]
    fn bad_covariances_are_refused() {
        let new = |rows: &[Vec<f64>]| Spectrum::new(vec![0.0; 2], rows);
        assert!(new(&[vec![1.0, 0.0]]).is_err());
        assert!(new(&[vec![1.0, 0.5], vec![0.4, 1.0]]).is_err());
        assert!(new(&[vec![1.0, f64::NAN], vec![f64::NAN, 1.0]]).is_err());
        assert!(new(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_err());
        assert!(Spectrum::standard(0).is_err());
    }

    #[test]
    fn the_log_density_is_that_of_the_normal() {
        let spectrum = Spectrum::new(vec![1.0], &[vec![4.0]]).unwrap();
        let x = Tensor::new(&[[3.0f32]], &Device::Cpu).unwrap();
        let nll = spectrum.neg_log_density(&x).unwrap()[0];
        let known = 0.5 * (2.0 * PI).ln() + 2f64.ln() + 0.5;
        assert!((nll - known).abs() < 1e-12);
    }

    #[test]
    fn many_blocks_of_rows_are_one() {
        // 3 blocks of rows, far from the origin, against sums over all rows at once.
        let (n, dim) = (20_000, 500);
        let x = (rng::normal(&[n, dim], &mut rng::seeded(0)).unwrap() + 50.0).unwrap();
        let rows = Rows::new(&x).unwrap();
        assert_eq!(rows.count(), 3);
        let moments = rows.moments(&mut Work::new(n, dim, 3)).unwrap();
        let x = x.to_dtype(DType::F64).unwrap();
        let centered = x.broadcast_sub(&x.mean(0).unwrap()).unwrap();
        let known = centered.t().unwrap().matmul(&centered).unwrap();
        let known: Vec<f64> = known.flatten_all().unwrap().to_vec1().unwrap();
        for (at, (value, sum)) in moments.covariance.iter().zip(&known).enumerate() {
            let known = sum / (n - 1) as f64;
            assert!(
                (value - known).abs() < 1e-12,
                "{at}: {value} against {known}"
            );
        }
        let squares = centered.sqr().unwrap().sum(1).unwrap().sqr().unwrap();
        let known = squares.sum_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((moments.fourth / known - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_cache_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("itd-spectrum-{}", std::process::id()));
        let rows = rng::normal(&[30, 4], &mut rng::seeded(0)).unwrap();
        let config = SpectrumConfig {
            cache: Cache::Folder(folder.clone()),
            ..Default::default()
        };
        for _ in 0..2 {
            let kept = Spectrum::with(&rows, &config).unwrap();
            let plain = Spectrum::from_samples(&rows).unwrap();
            assert_eq!(kept.eigenvalues, plain.eigenvalues);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
        let flat = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        assert!(matches!(
            Spectrum::with(&flat, &config),
            Err(Error::Shape { .. })
        ));
    }
}
