//! Samples by column: each coordinate's values lie next to each other.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::ArrayView2;

use crate::cell::memory::room_for;
use crate::error::Result;

/// The samples `[n, d]` by column.
pub(super) fn by_column(what: &str, x: ArrayView2<f64>) -> Result<Mat<f64>> {
    room_for::<f64>(what, &[x.nrows(), x.ncols()])?;
    Ok(Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)]))
}

/// Column `j` as a slice.
pub(super) fn column(x: MatRef<'_, f64>, j: usize) -> &[f64] {
    match x.col(j).try_as_col_major() {
        Some(column) => column.as_slice(),
        None => &[],
    }
}

/// The columns one after another.
pub(super) fn slices(x: &Mat<f64>) -> Vec<&[f64]> {
    (0..x.ncols()).map(|j| column(x.as_ref(), j)).collect()
}

/// The matrix with these columns.
pub(super) fn from_columns(columns: &[Vec<f64>]) -> Mat<f64> {
    let n = columns.first().map_or(0, Vec::len);
    Mat::from_fn(n, columns.len(), |i, j| columns[j][i])
}

/// Two matrices side by side.
pub(super) fn beside(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let d = left.ncols();
    let at = |i, j| {
        if j < d {
            left[(i, j)]
        } else {
            right[(i, j - d)]
        }
    };
    Mat::from_fn(left.nrows(), d + right.ncols(), at)
}

/// The rows with these numbers.
pub(super) fn rows(x: MatRef<'_, f64>, chosen: &[usize]) -> Mat<f64> {
    Mat::from_fn(chosen.len(), x.ncols(), |i, j| x[(chosen[i], j)])
}

/// Multiplications from which a product gains by several threads. Below, waking them takes longer than the product.
const MANY: usize = 10_000_000;

/// The product of two matrices; of small ones by this thread alone.
pub(super) fn times<T: ComplexField>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Mat<T> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    times_into(&mut product, a, b);
    product
}

/// As [`times`], to where there is room for it.
pub(super) fn times_into<T: ComplexField>(to: &mut Mat<T>, a: MatRef<'_, T>, b: MatRef<'_, T>) {
    let par = match a.nrows() * a.ncols() * b.ncols() < MANY {
        true => Par::Seq,
        false => faer::get_global_parallelism(),
    };
    matmul(to.as_mut(), Accum::Replace, a, b, T::one_impl(), par);
}
