//! Mean and covariance of data, by eigenvalues: the Gaussian that everything is compared with.

use std::f64::consts::{PI, TAU};

use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};

use crate::error::{Error, Result};

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
        })
    }

    /// The mean and the covariance `1/(n − 1) Σ (x − μ)(x − μ)ᵀ` of rows `[n, dim]`, computed in `f64`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are two axes, [`Error::Empty`] for fewer than two rows.
    pub fn from_samples(rows: &Tensor) -> Result<Self> {
        let &[n, dim] = rows.dims() else {
            return Err(Error::Shape {
                what: "the samples",
                got: rows.dims().to_vec(),
                need: "[n, dim]".into(),
            });
        };
        if n < 2 || dim == 0 {
            return Err(Error::Empty {
                what: "the covariance of fewer than two samples",
            });
        }
        let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mean = rows.mean(0)?;
        let centered = rows.broadcast_sub(&mean)?;
        let covariance = (centered.t()?.matmul(&centered)? / (n - 1) as f64)?;
        Self::new(mean.to_vec1()?, &covariance.to_vec2()?)
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
        let entries = mean.iter().chain(covariance.iter().flatten());
        if let Some(&got) = entries.copied().find(|v| !v.is_finite()).as_ref() {
            return Err(Error::NotFinite {
                what: "an entry of the mean or the covariance",
                got,
                next: "look for NaN in the data",
            });
        }
        let matrix = DMatrix::from_fn(dim, dim, |i, j| covariance[i][j]);
        let size = matrix.amax();
        if (&matrix - matrix.transpose()).amax() > 1e-9 * size {
            return Err(Error::Parameter {
                name: "the covariance",
                got: "not symmetric".into(),
                need: "symmetric",
            });
        }
        let eigen = SymmetricEigen::new(matrix);
        // What round-off leaves of an eigenvalue 0.
        let floor = dim as f64 * f64::EPSILON * size * dim as f64;
        if let Some(&got) = eigen
            .eigenvalues
            .iter()
            .find(|&&value| value < -1e3 * floor)
        {
            return Err(Error::Parameter {
                name: "an eigenvalue of the covariance",
                got: got.to_string(),
                need: "≥ 0",
            });
        }
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
        let value = |&i: &usize| match eigen.eigenvalues[i] {
            value if value > floor => value,
            _ => 0.0,
        };
        let column = |&i: &usize| {
            eigen
                .eigenvectors
                .column(i)
                .iter()
                .copied()
                .collect::<Vec<_>>()
        };
        let columns: Vec<f64> = order.iter().flat_map(column).collect();
        Ok(Self {
            mean,
            eigenvalues: order.iter().map(value).collect(),
            eigenvectors: Tensor::from_vec(columns, (dim, dim), &Device::Cpu)?
                .t()?
                .contiguous()?,
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
}
