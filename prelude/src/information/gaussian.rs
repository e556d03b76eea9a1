//! Two Gaussian vectors in canonical coordinates.

use faer::{Mat, MatRef};
use ndarray::ArrayView2;

use super::check::{Checked, checked};
use super::columns::{by_column, column, times};
use super::maps::{self, standardised};
use super::prepare::weighed;
use super::special::digamma;
use crate::error::{Error, Result};

/// What is left of a column, relative to its length, below which it is a sum of others.
const DEPENDENT: f64 = 1e-11;
/// A residual, relative, that round-off may have made.
const ROUND_OFF: f64 = 1e-13;

/// The canonical coordinates of samples, and what is left of them after the regression on the other vector.
///
/// Of the two vectors the shorter one is called `a` here; the information is symmetric.
pub(super) struct Canonical {
    /// Canonical coordinates of `a`, orthonormal columns, `[n, d_a]`.
    coordinates: Mat<f64>,
    /// What is left of each after the regression on the other vector, orthonormal columns, `[n, d_a]`.
    residuals: Mat<f64>,
    /// `√(1 − ρ²)`, the length of each residual.
    sines: Vec<f64>,
    /// Independent columns of both.
    dims: (usize, usize),
    /// Columns that were left out of both.
    dependent: usize,
}

impl Canonical {
    /// Fits samples by column, `[n, d_x]` and `[n, d_y]`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when one is a linear function of the other.
    pub fn fit(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<Self> {
        let (a, b) = if x.ncols() <= y.ncols() {
            (x, y)
        } else {
            (y, x)
        };
        let all = a.ncols() + b.ncols();
        let (a, b) = (spanning(a), spanning(b));
        let (a, b) = if a.ncols() <= b.ncols() {
            (a, b)
        } else {
            (b, a)
        };
        // Twice, because the first time leaves round-off of what was taken away.
        let mut rest = a.clone();
        for _ in 0..2 {
            rest = &rest - times(b.as_ref(), times(b.transpose(), rest.as_ref()).as_ref());
        }
        let qr = rest.qr();
        let svd = qr.thin_R().thin_svd().map_err(|_| infinite())?;
        let sines: Vec<f64> = svd.S().column_vector().iter().copied().collect();
        if sines.iter().any(|&sine| !(sine > ROUND_OFF)) {
            return Err(infinite());
        }
        let dims = (a.ncols(), b.ncols());
        Ok(Self {
            coordinates: times(a.as_ref(), svd.V()),
            residuals: times(qr.compute_thin_Q().as_ref(), svd.U()),
            sines,
            dims,
            dependent: all - dims.0 - dims.1,
        })
    }

    /// `−½ Σ ln(1 − ρ²)`.
    pub fn nats(&self) -> f64 {
        -self
            .sines
            .iter()
            .map(|sine| sine.min(1.0).ln())
            .sum::<f64>()
    }

    /// The largest term of [`Self::nats`].
    pub fn most(&self) -> f64 {
        -self
            .sines
            .iter()
            .fold(1.0, |least: f64, &sine| least.min(sine))
            .ln()
    }

    /// By how much [`Self::nats`] is too large in the mean, if the vectors are Gaussian.
    pub fn bias(&self) -> f64 {
        bias(self.coordinates.nrows(), self.dims.0, self.dims.1)
    }

    /// Canonical correlations, largest first.
    pub fn correlations(&self) -> Vec<f64> {
        let rho = |sine: &f64| ((1.0 - sine) * (1.0 + sine)).max(0.0).sqrt();
        self.sines.iter().rev().map(rho).collect()
    }

    /// `ln p(x, y)/(p(x) p(y))` of each sample. Its mean is [`Self::nats`].
    pub fn per_sample(&self) -> Vec<f64> {
        let n = self.coordinates.nrows();
        let mut values = vec![self.nats(); n];
        let half = 0.5 * n as f64;
        for j in 0..self.coordinates.ncols() {
            let u = column(self.coordinates.as_ref(), j);
            let e = column(self.residuals.as_ref(), j);
            for ((value, u), e) in values.iter_mut().zip(u).zip(e) {
                *value += half * (u - e) * (u + e);
            }
        }
        values
    }

    /// What the reader should know.
    pub fn warnings(&self) -> Option<String> {
        sums_left_out(self.dependent)
    }
}

/// Tells of columns that were left out.
pub(super) fn sums_left_out(columns: usize) -> Option<String> {
    (columns > 0).then(|| {
        format!("{columns} columns are made of others and are left out: they tell nothing more")
    })
}

/// The bias of the plug-in value for Gaussian vectors of these dimensions.
pub(super) fn bias(n: usize, dx: usize, dy: usize) -> f64 {
    let f = |p: usize| {
        (0..p)
            .map(|j| digamma(0.5 * (n as f64 - 1.0 - j as f64)))
            .sum::<f64>()
    };
    0.5 * (f(dx) + f(dy) - f(dx + dy))
}

/// What vectors that have something in common without noise are refused with.
pub(super) fn infinite() -> Error {
    Error::NotFinite {
        what: "the information of two vectors, of which one has a function of the other without noise (as far as these samples tell)",
        got: f64::INFINITY,
        next: "leave out the columns that the two have in common, and those that are made of the other's",
    }
}

/// Refuses samples that no estimator can work with; tells what the reader should know of the others, among it whether one
/// vector has a function of another one, without noise.
///
/// # Errors
/// As [`checked`].
pub(super) fn noise_checked(
    sides: &[(&'static str, ArrayView2<f64>)],
    needed: usize,
) -> Result<Checked> {
    let mut seen = checked(sides, needed)?;
    for (s, (_, x)) in sides.iter().enumerate() {
        for (_, y) in &sides[s + 1..] {
            if seen.functions.is_none() {
                seen.functions = linear_function(*x, *y)?;
            }
        }
    }
    Ok(seen)
}

/// Tells where one vector has a linear function of the other, without noise.
fn linear_function(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Option<String>> {
    // Of as many samples as columns each is a function of the others.
    if x.nrows() < x.ncols() + y.ncols() + 2 {
        return Ok(None);
    }
    let (x, y) = (by_column("x", x)?, by_column("y", y)?);
    // A value far from all others would make functions of each other of the rest.
    let [x, y] = weighed([&x, &y]);
    match Canonical::fit(standardised(&x).as_ref(), standardised(&y).as_ref()) {
        Err(Error::NotFinite { .. }) => Ok(Some(
            "one vector has a linear function of the other, without noise: the information is infinite, and the value is \
             what the estimator can see of it"
                .to_owned(),
        )),
        _ => Ok(None),
    }
}

/// Orthonormal columns that span the centred ones; fewer where some are sums of others.
pub(super) fn orthonormal(x: MatRef<'_, f64>) -> Mat<f64> {
    let qr = centred(x).col_piv_qr();
    qr.compute_thin_Q().subcols(0, rank(qr.thin_R())).to_owned()
}

/// As [`orthonormal`], in coordinates of no order: where the columns are well apart, from their products, which is faster.
fn spanning(x: MatRef<'_, f64>) -> Mat<f64> {
    let mut own = standardised(&x.to_owned());
    // The first time leaves round-off of the condition squared, the second one none.
    for round in 0..2 {
        let factor = triangle(own.as_ref()).filter(|r| round > 0 || apart(r) > APART);
        let Some(factor) = factor else {
            return orthonormal(x);
        };
        let inverse = maps::inverse(factor.transpose());
        own = times(own.as_ref(), inverse.transpose());
    }
    own
}

/// The columns that are not sums of others, in their order; and what is left of the last one when the others are taken off,
/// relative to the longest.
pub(super) fn independent(x: MatRef<'_, f64>) -> (Vec<usize>, f64) {
    let x = centred(x);
    // The triangle has the columns' products, and so the same decomposition; to half the digits.
    let few = triangle(x.as_ref()).filter(|r| apart(r) > APART);
    let qr = few.unwrap_or(x).col_piv_qr();
    let r = qr.thin_R();
    let rank = rank(r);
    let mut kept = qr.P().arrays().0[..rank].to_vec();
    kept.sort_unstable();
    let left = rank
        .checked_sub(1)
        .map_or(0.0, |last| r[(last, last)] / r[(0, 0)]);
    (kept, left.abs())
}

/// What is left of a column, relative, above which the columns' products tell it to five digits.
const APART: f64 = 1e-5;

/// `R` with `Rᵀ R` the products of the columns; nothing where round-off hides it.
fn triangle(x: MatRef<'_, f64>) -> Option<Mat<f64>> {
    let products = times(x.transpose(), x);
    let lower = products.llt(faer::Side::Lower).ok()?;
    Some(lower.L().transpose().to_owned())
}

/// What is left of the column that the others tell best, relative to the longest.
fn apart(r: &Mat<f64>) -> f64 {
    let qr = r.col_piv_qr();
    let r = qr.thin_R();
    let last = r.ncols().saturating_sub(1);
    if r.ncols() == 0 {
        0.0
    } else {
        (r[(last, last)] / r[(0, 0)]).abs()
    }
}

fn centred(x: MatRef<'_, f64>) -> Mat<f64> {
    let means: Vec<f64> = (0..x.ncols())
        .map(|j| crate::stats::mean(column(x, j)))
        .collect();
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j])
}

/// Columns of an orthogonal decomposition with pivots that something is left of.
fn rank(r: MatRef<'_, f64>) -> usize {
    let left = |j: usize| r[(j, j)].abs();
    (0..r.nrows())
        .take_while(|&j| left(j) > DEPENDENT * left(0))
        .count()
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn the_bias_is_nearly_the_number_of_pairs_over_twice_the_samples() {
        let exact = bias(10_000, 50, 50);
        assert!(
            (exact - 0.124).abs() < 2e-3 && (exact / (2500.0 / 2e4) - 1.0).abs() < 0.02,
            "{exact}"
        );
        // One pair: ½ (ψ((n−1)/2) − ψ((n−2)/2)).
        let one = 0.5 * (digamma(49.5) - digamma(49.0));
        assert!((bias(100, 1, 1) - one).abs() < 1e-14);
    }

    /// A linear map of one vector changes no information, however near to each other it brings the columns: from 1e-5 on
    /// their products no longer tell them apart.
    #[test]
    fn columns_near_to_each_other_tell_what_they_tell_apart() {
        let rng = &mut crate::rng::seeded(0);
        let x = Mat::from_fn(500, 3, |_, _| rng.sample::<f64, _>(StandardNormal));
        let y = Mat::from_fn(500, 2, |i, j| {
            x[(i, j)] + rng.sample::<f64, _>(StandardNormal)
        });
        let known = Canonical::fit(x.as_ref(), y.as_ref()).unwrap().nats();
        for apart in [1e-1, 1e-3, 2e-5, 5e-6, 1e-8] {
            let near = Mat::from_fn(500, 3, |i, j| x[(i, 0)] + apart * x[(i, j)]);
            let found = Canonical::fit(near.as_ref(), y.as_ref()).unwrap().nats();
            assert!(
                (found - known).abs() < 1e-15 / apart + 1e-12,
                "{apart}: {found} {known}"
            );
            let (kept, left) = independent(near.as_ref());
            assert_eq!(kept, [0, 1, 2], "{apart}");
            assert!(left > 0.5 * apart && left < 2.0 * apart, "{apart}: {left}");
        }
    }
}
