//! Regression whose slopes depend on the vectors' lengths.

use faer::prelude::Solve;
use faer::{Mat, MatRef, Side};

use super::canonical::Coordinates;
use super::columns::{column, times};
use super::maps::{cholesky, inverse};
use crate::error::{Error, Result};
use crate::stats;

/// The weight of the squared slopes, in samples.
const RIDGE: f64 = 1.0;
/// Up to so many coordinates of `y`, products of up to three of them are features, too.
const SHORT: usize = 5;
/// Standard errors from which a slope stands out.
const STANDS_OUT: f64 = 2.5;
/// Samples for each feature, at least.
const SAMPLES: usize = 10;

/// `ln q(x | y) − ln q(x)` at some samples, where `q` is fitted to others; nothing where the regression has too many
/// features for the samples, or nothing to predict.
///
/// In canonical coordinates let `x_S` be those whose correlation stands out (all of them in few dimensions if none does),
/// `x_R` the rest. By the chain rule `I(x; y) ≥ I(x_S; y | x_R)`, and `q(x_S | y, x_R)` is Gaussian about a regression on
///
/// ```text
/// (1, y) ⊗ (1, n_y, n_x, n_y², n_x·n_y, n_x²)      with  n_y = (|y|² − d)/√(2d),  and n_x the same of x_R
/// ```
///
/// and, for a `y` of up to five coordinates, on the products of two and of three of them, and those times `n_x`. Features
/// whose slope is below 2.5 of its standard errors are left out. `q(x_S)` is `N(0, I)`: `x` must
/// have been mapped to a normal vector for the mean to bound the information from below.
///
/// # Errors
/// [`Error::Degenerate`] when columns are sums of one another.
pub(super) fn log_ratios(
    train: [MatRef<'_, f64>; 2],
    test: [MatRef<'_, f64>; 2],
) -> Result<Option<Vec<f64>>> {
    let fit = Coordinates::fit(train[0], train[1])?;
    let chosen = match fit.significant {
        0 if train[0].ncols() <= SHORT => train[0].ncols(),
        significant => significant,
    };
    let (dx, dy, n) = (train[0].ncols(), train[1].ncols(), train[0].nrows());
    if chosen == 0 || count(dy, chosen < dx) * SAMPLES > n {
        return Ok(None);
    }
    let (x, y) = fit.of(train[0], train[1]);
    let features = Features::fit(&x, &y, chosen);
    let (slopes, spread) = selected(&features.of(&x, &y), x.subcols(0, chosen))?;
    let lower = cholesky(spread.as_ref())?;
    let (x, y) = fit.of(test[0], test[1]);
    let seen = times(features.of(&x, &y).as_ref(), slopes.as_ref());
    let rest = x.subcols(0, chosen) - seen;
    let rest = times(rest.as_ref(), inverse(lower.as_ref()).transpose());
    let log_det: f64 = (0..chosen).map(|j| lower[(j, j)].ln()).sum();
    let mut values = vec![-log_det; x.nrows()];
    for j in 0..chosen {
        let (x, e) = (column(x.as_ref(), j), column(rest.as_ref(), j));
        values
            .iter_mut()
            .zip(x)
            .zip(e)
            .for_each(|((value, x), e)| *value += 0.5 * (x - e) * (x + e));
    }
    Ok(Some(values))
}

/// The slopes and the covariance of the residuals, of the features whose slope stands out.
fn selected(features: &Mat<f64>, x: MatRef<'_, f64>) -> Result<(Mat<f64>, Mat<f64>)> {
    let all = regression(features, x)?;
    let scale = |k: usize| all.1[(k, k)].sqrt() / (x.nrows() as f64).sqrt();
    // The features have variance 1, so that this is a slope's standard error, but for what they have in common.
    let stands_out = |j: usize| (0..x.ncols()).any(|k| all.0[(j, k)].abs() > STANDS_OUT * scale(k));
    let constant = features.ncols() - 1;
    let kept: Vec<usize> = (0..features.ncols())
        .filter(|&j| j == constant || stands_out(j))
        .collect();
    let few = Mat::from_fn(x.nrows(), kept.len(), |i, j| features[(i, kept[j])]);
    let (own, spread) = regression(&few, x)?;
    let mut slopes = Mat::zeros(features.ncols(), x.ncols());
    for (place, &j) in kept.iter().enumerate() {
        (0..x.ncols()).for_each(|k| slopes[(j, k)] = own[(place, k)]);
    }
    Ok((slopes, spread))
}

/// `(FᵀF + λ)⁻¹ Fᵀ x`, and the covariance of what is left.
fn regression(features: &Mat<f64>, x: MatRef<'_, f64>) -> Result<(Mat<f64>, Mat<f64>)> {
    let mut moments = times(features.transpose(), features.as_ref());
    for j in 0..moments.ncols() {
        moments[(j, j)] += RIDGE;
    }
    let degenerate = Error::Degenerate {
        zeros: 1,
        dim: moments.ncols(),
    };
    let solver = moments.llt(Side::Lower).map_err(|_| degenerate)?;
    let slopes = solver.solve(times(features.transpose(), x));
    let rest = x - times(features.as_ref(), slopes.as_ref());
    let free = (x.nrows() - features.ncols()) as f64;
    let spread = times(rest.transpose(), rest.as_ref()) * faer::Scale(1.0 / free);
    Ok((slopes, spread))
}

/// What the regression sees, with mean 0 and variance 1 where it was fitted, and a constant.
struct Features {
    chosen: usize,
    moments: Vec<(f64, f64)>,
}

impl Features {
    fn fit(x: &Mat<f64>, y: &Mat<f64>, chosen: usize) -> Self {
        let of = |one: Vec<f64>| {
            let spread = stats::variance(&one).sqrt();
            // A feature that does not vary stays 0.
            (stats::mean(&one), if spread > 0.0 { spread } else { 1.0 })
        };
        Self {
            chosen,
            moments: raw(x, y, chosen).into_iter().map(of).collect(),
        }
    }

    /// With the constant.
    fn count(&self) -> usize {
        self.moments.len() + 1
    }

    fn of(&self, x: &Mat<f64>, y: &Mat<f64>) -> Mat<f64> {
        let raw = raw(x, y, self.chosen);
        let at = |i: usize, j: usize| match raw.get(j) {
            Some(values) => (values[i] - self.moments[j].0) / self.moments[j].1,
            None => 1.0,
        };
        Mat::from_fn(x.nrows(), self.count(), at)
    }
}

/// How many features there are of `dy` coordinates, with the constant; `rest` where there is an `x_R`.
fn count(dy: usize, rest: bool) -> usize {
    let factors = if rest { 5 } else { 2 };
    let pairs = dy * (dy + 1) / 2;
    let triples = match dy {
        ..=SHORT => pairs + pairs * (dy + 2) / 3,
        _ => 0,
    };
    dy * (1 + factors) + factors + triples * (1 + usize::from(rest)) + 1
}

/// The features but for the constant, one after the other.
fn raw(x: &Mat<f64>, y: &Mat<f64>, chosen: usize) -> Vec<Vec<f64>> {
    let coordinates: Vec<&[f64]> = (0..y.ncols()).map(|j| column(y.as_ref(), j)).collect();
    let mut lengths = vec![norm(y.as_ref())];
    if chosen < x.ncols() {
        lengths.push(norm(x.subcols(chosen, x.ncols() - chosen)));
    }
    let lengths: Vec<&[f64]> = lengths.iter().map(Vec::as_slice).collect();
    let mut factors: Vec<Vec<f64>> = lengths.iter().map(|one| one.to_vec()).collect();
    factors.extend(pairs(&lengths));
    let mut features: Vec<Vec<f64>> = coordinates.iter().map(|y| y.to_vec()).collect();
    for factor in &factors {
        features.extend(coordinates.iter().map(|y| product(y, factor)));
    }
    if y.ncols() <= SHORT {
        let triples = triples(&coordinates);
        if let Some(n_x) = lengths.get(1) {
            features.extend(triples.iter().map(|one| product(one, n_x)));
        }
        features.extend(triples);
    }
    features.extend(factors);
    features
}

/// `(|y|² − d)/√(2d)` of each row.
fn norm(y: MatRef<'_, f64>) -> Vec<f64> {
    let d = y.ncols() as f64;
    let mut squares = vec![0.0; y.nrows()];
    for j in 0..y.ncols() {
        squares
            .iter_mut()
            .zip(column(y, j))
            .for_each(|(sum, v)| *sum += v * v);
    }
    squares
        .into_iter()
        .map(|square| (square - d) / (2.0 * d).sqrt())
        .collect()
}

fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// Products of two, and squares.
fn pairs(y: &[&[f64]]) -> Vec<Vec<f64>> {
    let from = |(i, a): (usize, &&[f64])| -> Vec<Vec<f64>> {
        y[i..].iter().map(|b| product(a, b)).collect()
    };
    y.iter().enumerate().flat_map(from).collect()
}

/// Products of two and of three coordinates.
fn triples(y: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut all = pairs(y);
    for (i, a) in y.iter().enumerate() {
        all.extend(pairs(&y[i..]).iter().map(|pair| product(a, pair)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_features_are_made_as_are_counted() {
        let at = |i: usize, j: usize| ((7 * i + 3 * j * j + 1) as f64).sin();
        for dy in 1..=8 {
            for (dx, chosen) in [(3, 3), (3, 1)] {
                let (x, y) = (Mat::from_fn(40, dx, at), Mat::from_fn(40, dy, at));
                let made = Features::fit(&x, &y, chosen).count();
                assert_eq!(made, count(dy, chosen < dx), "{dy} {chosen}");
            }
        }
    }
}
