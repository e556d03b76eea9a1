//! Eigenvalues and eigenvectors of a covariance.

use candle_core::{Device, Tensor};
use faer::{MatRef, Side};

use crate::error::{Error, Result};

/// `λ`, largest first, and `U`, one column for each.
#[derive(Debug)]
pub(super) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Tensor,
}

/// Decomposes a covariance `[dim, dim]`, row by row.
///
/// # Errors
/// [`Error::NotFinite`] when an entry is not finite, [`Error::Parameter`] when it is not symmetric or has an
/// eigenvalue below 0.
pub(super) fn eigen(covariance: &[f64], dim: usize) -> Result<Eigen> {
    if let Some(&got) = covariance.iter().find(|v| !v.is_finite()) {
        return Err(Error::NotFinite {
            what: "an entry of the covariance",
            got,
            next: "look for NaN in the data",
        });
    }
    let size = covariance
        .iter()
        .fold(0.0, |size: f64, v| size.max(v.abs()));
    let across = |i: usize| (0..i).map(move |j| covariance[i * dim + j] - covariance[j * dim + i]);
    if (0..dim).flat_map(across).any(|gap| gap.abs() > 1e-9 * size) {
        return Err(Error::Parameter {
            name: "the covariance",
            got: "not symmetric".into(),
            need: "symmetric",
        });
    }
    let (values, vectors) = decompose(covariance, dim)?;
    // What round-off leaves of an eigenvalue 0.
    let floor = dim as f64 * f64::EPSILON * size * dim as f64;
    if let Some(&got) = values.iter().find(|&&value| !(value >= -1e3 * floor)) {
        return Err(Error::Parameter {
            name: "an eigenvalue of the covariance",
            got: got.to_string(),
            need: "≥ 0",
        });
    }
    let keep = |value| if value > floor { value } else { 0.0 };
    Ok(Eigen {
        values: values.into_iter().map(keep).collect(),
        vectors: Tensor::from_vec(vectors, (dim, dim), &Device::Cpu)?,
    })
}

/// Eigenvalues, largest first, and the eigenvectors' matrix row by row.
type Pairs = (Vec<f64>, Vec<f64>);

/// The sign of an eigenvector, which is free, is chosen so that its largest entry is positive; of entries that are
/// equally large but for round-off, the first decides.
fn decompose(covariance: &[f64], dim: usize) -> Result<Pairs> {
    let matrix = MatRef::from_row_major_slice(covariance, dim, dim);
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::NotFinite {
            what: "an eigenvalue of the covariance",
            got: f64::NAN,
            next: "scale the data: their covariance is beyond what can be decomposed",
        })?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let sign = |k: usize| {
        let column = || (0..dim).map(move |i| vectors[(i, k)]);
        let most = column().fold(0.0f64, |most, entry| most.max(entry.abs()));
        let first = column().find(|entry| entry.abs() > 0.999 * most);
        first.map_or(1.0, f64::signum)
    };
    let signs: Vec<f64> = (0..dim).map(sign).collect();
    let signs = &signs;
    let row = |i| (0..dim).rev().map(move |k| signs[k] * vectors[(i, k)]);
    Ok((
        (0..dim).rev().map(|k| values[k]).collect(),
        (0..dim).flat_map(row).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1/(i + j + 1)` plus the identity: all eigenvalues above 1, and no two of the large ones close.
    fn hilbert(dim: usize) -> Vec<f64> {
        let entry = |i: usize, j: usize| 1.0 / (i + j + 1) as f64 + f64::from(i == j);
        (0..dim * dim).map(|at| entry(at / dim, at % dim)).collect()
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_rebuild_the_matrix() {
        for dim in [1, 2, 7, 60, 130] {
            let matrix = hilbert(dim);
            let (values, vectors) = decompose(&matrix, dim).unwrap();
            assert!(values.is_sorted_by(|a, b| a >= b));
            for i in 0..dim {
                let column = (0..dim).map(|row| vectors[row * dim + i]);
                let most = column.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
                assert!(most > 0.0, "{dim}: {most}");
                for j in 0..dim {
                    let part = |k| vectors[i * dim + k] * values[k] * vectors[j * dim + k];
                    let sum: f64 = (0..dim).map(part).sum();
                    assert!((sum - matrix[i * dim + j]).abs() < 1e-12, "{dim}");
                    let dot = |k| vectors[k * dim + i] * vectors[k * dim + j];
                    let dot: f64 = (0..dim).map(dot).sum();
                    assert!((dot - f64::from(i == j)).abs() < 1e-12, "{dim}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        assert!(eigen(&[1.0, 0.5, 0.4, 1.0], 2).is_err());
        assert!(eigen(&[1.0, 2.0, 2.0, 1.0], 2).is_err());
        assert!(eigen(&[f64::INFINITY], 1).is_err());
        let mut indefinite = hilbert(200);
        indefinite[0] = -5.0;
        assert!(eigen(&indefinite, 200).is_err());
        assert_eq!(eigen(&[0.0; 4], 2).unwrap().values, [0.0, 0.0]);
    }
}
