//! Injective maps of `x` alone and of `y` alone, which change no information.

mod choose;
mod normality;
mod ranks;
mod tyler;

use std::fmt;

use faer::{Mat, MatRef};

use super::columns::{column, from_columns, slices};
use super::special::normal_scores;
use crate::error::Result;
use crate::stats;

pub(super) use choose::{Mapped, NORMAL, candidates, choose, quartiles};
pub(super) use normality::{distance, negentropy};
pub(super) use ranks::Ranks;
pub(super) use tyler::{Whitened, cholesky, inverse, whitened};

/// Degrees of freedom that are tried.
pub(super) const DOFS: [f64; 8] = [1.0, 1.4, 2.0, 2.8, 4.0, 6.0, 10.0, f64::INFINITY];

/// An injective map of a vector towards `N(0, 1)` in each direction. All but the elliptic ones end with a linear map to
/// variance 1; those end with a map of the length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map {
    /// Linear only.
    Identity,
    /// Each coordinate to its normal scores `Φ⁻¹((r + ½)/n)`.
    Ranks,
    /// `x ↦ sign(x)|x|^p` of each coordinate from its median: smooth, where ranks are coarse.
    Power,
    /// The length, measured by Tyler's shape matrix, to that of a normal vector.
    Elliptic,
    /// Each coordinate to quantiles of Student's t with so many degrees of freedom, and then as [`Self::Elliptic`].
    MetaElliptic(f64),
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Ranks => f.write_str("ranks"),
            Self::Power => f.write_str("power"),
            Self::Elliptic => f.write_str("elliptic"),
            Self::MetaElliptic(dof) if dof.is_infinite() => f.write_str("meta-Gaussian"),
            Self::MetaElliptic(dof) => write!(f, "meta-t({dof})"),
        }
    }
}

/// Each column with mean 0 and variance 1.
pub(super) fn standardised(x: &Mat<f64>) -> Mat<f64> {
    let map = |values: &&[f64]| {
        let (mean, scale) = (stats::mean(values), stats::variance(values).sqrt());
        let scale = if scale > 0.0 { scale } else { 1.0 };
        values.iter().map(|value| (value - mean) / scale).collect()
    };
    from_columns(&slices(x).iter().map(map).collect::<Vec<_>>())
}

/// Each column replaced by the normal scores `Φ⁻¹((r + ½)/n)` of its ranks.
pub(super) fn normal_ranks(x: &Mat<f64>) -> Mat<f64> {
    Ranks::of(x).scored(&normal_scores(x.nrows()))
}

/// The directions as they are; the lengths replaced by those of a normal vector, `goal`, in the order of the lengths.
///
/// # Errors
/// [`Error::Degenerate`](crate::Error::Degenerate) where Tyler's shape does not exist.
fn elliptic(x: MatRef<'_, f64>, goal: &[f64]) -> Result<Mat<f64>> {
    let Whitened { values, .. } = whitened(x, tyler::ROUNDS)?;
    let d = values.ncols();
    let lengths = lengths(&values);
    let goal = ranks::Line::of(&lengths).scored(goal);
    let factor: Vec<f64> = goal
        .iter()
        .zip(&lengths)
        .map(|(goal, own)| if *own > 0.0 { goal / own } else { 0.0 })
        .collect();
    Ok(Mat::from_fn(values.nrows(), d, |i, j| {
        values[(i, j)] * factor[i]
    }))
}

/// The length of each row.
fn lengths(x: &Mat<f64>) -> Vec<f64> {
    let mut squares = vec![0.0; x.nrows()];
    for j in 0..x.ncols() {
        squares
            .iter_mut()
            .zip(column(x.as_ref(), j))
            .for_each(|(sum, v)| *sum += v * v);
    }
    squares.into_iter().map(f64::sqrt).collect()
}
