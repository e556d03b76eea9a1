//! Tyler's shape matrix, which no long tail disturbs.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par, Side};

use super::super::check::heard;
use super::super::columns::{column, times, times_into};
use crate::error::{Error, Result};

/// Rounds after which the shape is as good as found. The error falls by `2/(d + 2)` a round.
pub(in super::super) const ROUNDS: usize = 25;
/// Where it is found.
const FOUND: f64 = 1e-7;

/// Samples after the linear map that makes their shape the identity.
pub(in super::super) struct Whitened {
    /// `[n, d]`.
    pub values: Mat<f64>,
    /// `L`, lower triangular: row by row, the samples were `L` times the values.
    pub factor: Mat<f64>,
}

/// Whitens samples about the origin: by their second moments, and then by `rounds` rounds towards Tyler's shape `V`,
///
/// ```text
/// V = d/n · Σ x xᵀ / (xᵀ V⁻¹ x)
/// ```
///
/// whose scale, which is free, is left as the second moments have it.
///
/// # Errors
/// [`Error::Degenerate`] when the samples do not span the space.
///
/// # Paper
/// Tyler (1987), Ann. Statist. 15, 234.
pub(in super::super) fn whitened(x: MatRef<'_, f64>, rounds: usize) -> Result<Whitened> {
    let d = x.ncols();
    let mut found = Whitened {
        values: x.to_owned(),
        factor: Mat::identity(d, d),
    };
    let room = &mut Mat::zeros(x.nrows(), d);
    found.step(room, |_| 1.0)?;
    for round in 0..rounds {
        heard("the shape of a vector", round, rounds)?;
        let off = found.step(
            room,
            |square| if square > 0.0 { d as f64 / square } else { 0.0 },
        )?;
        if off < FOUND {
            break;
        }
    }
    Ok(found)
}

impl Whitened {
    /// Makes the moments, weighted by a function of the squared length, the identity; tells how far they were from it.
    /// `room` is as large as the values.
    fn step(&mut self, room: &mut Mat<f64>, weight: impl Fn(f64) -> f64) -> Result<f64> {
        let (n, d) = (self.values.nrows(), self.values.ncols());
        let mut weights = vec![0.0; n];
        for j in 0..d {
            weights
                .iter_mut()
                .zip(column(self.values.as_ref(), j))
                .for_each(|(sum, v)| *sum += v * v);
        }
        weights
            .iter_mut()
            .for_each(|square| *square = weight(*square) / n as f64);
        for (to, from) in room.col_iter_mut().zip(self.values.col_iter()) {
            let all = to.iter_mut().zip(from.iter()).zip(&weights);
            all.for_each(|((to, value), weight)| *to = weight * value);
        }
        let moments = times(self.values.transpose(), room.as_ref());
        let lower = cholesky(moments.as_ref())?;
        let inverse = inverse(lower.as_ref());
        times_into(room, self.values.as_ref(), inverse.transpose());
        std::mem::swap(room, &mut self.values);
        self.factor = &self.factor * &lower;
        let gap = |i: usize, j: usize| (moments[(i, j)] - f64::from(u8::from(i == j))).abs();
        Ok((0..d)
            .flat_map(|i| (0..d).map(move |j| (i, j)))
            .map(|(i, j)| gap(i, j))
            .fold(0.0, f64::max))
    }
}

/// What is left of a coordinate's variance when the others are known, relative, below which it is a sum of them.
const DEPENDENT: f64 = 1e-13;

/// `L` with `L Lᵀ` the matrix.
///
/// # Errors
/// [`Error::Degenerate`] unless it is positive definite, beyond round-off.
pub(in super::super) fn cholesky(matrix: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let dim = matrix.nrows();
    let lower = matrix
        .llt(Side::Lower)
        .map_err(|_| Error::Degenerate { zeros: 1, dim })?;
    let lower = lower.L().to_owned();
    let zeros = (0..dim)
        .filter(|&j| !(lower[(j, j)].powi(2) > DEPENDENT * matrix[(j, j)]))
        .count();
    if zeros > 0 {
        return Err(Error::Degenerate { zeros, dim });
    }
    Ok(lower)
}

/// The inverse of a lower triangular matrix.
pub(in super::super) fn inverse(lower: MatRef<'_, f64>) -> Mat<f64> {
    let mut inverse = Mat::identity(lower.nrows(), lower.nrows());
    solve_lower_triangular_in_place(lower, inverse.as_mut(), Par::Seq);
    inverse
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng;

    #[test]
    fn the_shape_is_its_own_fixed_point_whatever_the_lengths() {
        let rng = &mut rng::seeded(0);
        let mut x = Mat::from_fn(400, 3, |_, _| rng.sample::<f64, _>(StandardNormal));
        for i in 0..400 {
            x[(i, 1)] += 0.8 * x[(i, 0)];
        }
        let plain = whitened(x.as_ref(), 60).unwrap();
        // Each row by a length of its own: the directions, and with them the shape, are the same.
        let stretched = Mat::from_fn(400, 3, |i, j| x[(i, j)] * (1.0 + i as f64).powi(2));
        let long = whitened(stretched.as_ref(), 60).unwrap();
        let shape = |found: &Whitened| {
            let shape = &found.factor * found.factor.transpose();
            let scale = shape[(0, 0)];
            Mat::from_fn(3, 3, |i, j| shape[(i, j)] / scale)
        };
        let (a, b) = (shape(&plain), shape(&long));
        assert!((&a - &b).norm_max() < 1e-6, "{a:?} {b:?}");
        let again = &plain.values * plain.factor.transpose();
        assert!((&again - &x).norm_max() < 1e-12);
    }

    #[test]
    fn what_spans_no_space_is_refused() {
        let flat = Mat::from_fn(50, 2, |i, _| i as f64);
        assert!(matches!(
            whitened(flat.as_ref(), 5),
            Err(Error::Degenerate { .. })
        ));
    }
}
