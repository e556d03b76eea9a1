//! Canonical coordinates that can be taken to samples other than those they were fitted to.

use faer::{Mat, MatRef};

use super::columns::{column, times};
use super::maps::{cholesky, inverse};
use crate::error::{Error, Result};
use crate::stats;

/// Linear maps of `x` and of `y` to coordinates with unit variance, of which only the `j`-th of the one and the `j`-th of
/// the other are correlated, by `ρ_j`.
pub(super) struct Coordinates {
    x: Side,
    y: Side,
    /// Canonical correlations, largest first.
    pub rho: Vec<f64>,
    /// How many of them stand out of what `n` samples of independent vectors show.
    pub significant: usize,
}

struct Side {
    mean: Vec<f64>,
    /// `[d, d]`: columns are the coordinates' weights.
    weights: Mat<f64>,
}

impl Coordinates {
    /// # Errors
    /// [`Error::Degenerate`] when columns are sums of one another.
    pub fn fit(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<Self> {
        let n = x.nrows() as f64;
        let (mean_x, cx) = centred(x);
        let (mean_y, cy) = centred(y);
        let whiten = |c: &Mat<f64>| -> Result<Mat<f64>> {
            let moments = times(c.transpose(), c.as_ref()) * faer::Scale(1.0 / n);
            Ok(inverse(cholesky(moments.as_ref())?.as_ref()))
        };
        let (to_x, to_y) = (whiten(&cx)?, whiten(&cy)?);
        let products = times(cx.transpose(), cy.as_ref());
        let cross = &to_x * products * to_y.transpose() * faer::Scale(1.0 / n);
        let svd = cross.svd().map_err(|_| not_finite())?;
        let rho: Vec<f64> = svd
            .S()
            .column_vector()
            .iter()
            .map(|rho| rho.min(1.0 - 1e-15))
            .collect();
        let chance = 2.2 * (x.ncols().max(y.ncols()) as f64 / n).sqrt();
        Ok(Self {
            x: Side {
                mean: mean_x,
                weights: to_x.transpose() * svd.U(),
            },
            y: Side {
                mean: mean_y,
                weights: to_y.transpose() * svd.V(),
            },
            significant: rho.iter().filter(|&&rho| rho > chance).count(),
            rho,
        })
    }

    /// The canonical coordinates of other samples.
    pub fn of(&self, x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> (Mat<f64>, Mat<f64>) {
        (self.x.of(x), self.y.of(y))
    }
}

impl Side {
    fn of(&self, x: MatRef<'_, f64>) -> Mat<f64> {
        let from_mean = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - self.mean[j]);
        times(from_mean.as_ref(), self.weights.as_ref())
    }
}

fn centred(x: MatRef<'_, f64>) -> (Vec<f64>, Mat<f64>) {
    let mean: Vec<f64> = (0..x.ncols()).map(|j| stats::mean(column(x, j))).collect();
    let from_mean = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - mean[j]);
    (mean, from_mean)
}

fn not_finite() -> Error {
    Error::NotFinite {
        what: "a canonical correlation",
        got: f64::NAN,
        next: "scale the data: their covariance is beyond what can be decomposed",
    }
}

/// `ln q(x | y) − ln q(x)` at some samples, of the Gaussian fitted to others; canonical correlations that chance may have
/// made count as 0.
///
/// # Errors
/// As [`Coordinates::fit`].
pub(super) fn gaussian_log_ratios(
    train: [MatRef<'_, f64>; 2],
    test: [MatRef<'_, f64>; 2],
) -> Result<Vec<f64>> {
    let fit = Coordinates::fit(train[0], train[1])?;
    let (u, v) = fit.of(test[0], test[1]);
    let mut values = vec![0.0; u.nrows()];
    for (j, rho) in fit.rho.iter().take(fit.significant).enumerate() {
        let rest = (1.0 - rho) * (1.0 + rho);
        let (u, v) = (column(u.as_ref(), j), column(v.as_ref(), j));
        for ((value, u), v) in values.iter_mut().zip(u).zip(v) {
            *value += 0.5 * (u * u - (u - rho * v).powi(2) / rest - rest.ln());
        }
    }
    Ok(values)
}
