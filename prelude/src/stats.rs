//! Sums over samples, in `f64`, and evenly spaced numbers.

use ndarray::ArrayView1;
use ndarray_stats::SummaryStatisticsExt;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// `n` numbers from `low` to `high`, both among them, equally far apart.
///
/// # Errors
/// [`Error::Parameter`] unless both ends are finite, a finite way apart, and `n` is at least 2; [`Error::Memory`] when
/// they do not fit.
///
/// # Example
/// ```
/// use itd_prelude::stats::linspace;
///
/// assert_eq!(linspace(-1.0, 1.0, 5)?, [-1.0, -0.5, 0.0, 0.5, 1.0]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn linspace(low: f64, high: f64, n: usize) -> Result<Vec<f64>> {
    if !(high - low).is_finite() {
        return Err(Error::Parameter {
            name: "the interval",
            got: format!("{low} to {high}"),
            need: "finite and of finite length",
        });
    }
    if n < 2 {
        return Err(Error::Parameter {
            name: "n",
            got: n.to_string(),
            need: "at least 2: both ends are among the numbers",
        });
    }
    room_for::<f64>("the numbers", &[n])?;
    let last = (n - 1) as f64;
    let at = |i: usize| low + (high - low) * (i as f64 / last);
    let mut numbers: Vec<f64> = (0..n).map(at).collect();
    numbers[n - 1] = high;
    Ok(numbers)
}

/// The mean; NaN of nothing.
pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// The unbiased variance, `Σ(x − mean)² / (n − 1)`; NaN of fewer than two.
pub fn variance(x: &[f64]) -> f64 {
    let center = mean(x);
    x.iter().map(|x| (x - center).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0)
}

/// The standard error of the mean of independent samples, `√(variance / n)`; NaN of fewer than two.
///
/// # Example
/// ```
/// use itd_prelude::stats;
///
/// let x = [1.0, 2.0, 3.0, 4.0];
/// assert_eq!(stats::mean(&x), 2.5);
/// assert!((stats::std_err(&x) - (5f64 / 12.0).sqrt()).abs() < 1e-15);
/// ```
pub fn std_err(x: &[f64]) -> f64 {
    (variance(x) / x.len() as f64).sqrt()
}

/// What of a mean that should be 0 is left after twice its standard error is taken off; all of it where that is not
/// known.
pub(crate) fn beyond_noise(mean: f64, std_err: f64) -> f64 {
    if std_err.is_nan() {
        mean.abs()
    } else {
        (mean.abs() - 2.0 * std_err).max(0.0)
    }
}

/// The root of the sum of squares; 0 of nothing.
pub(crate) fn root_sum_squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// How many values make a sum: `(Σ|x|)²/Σx²`, `n` of equal ones and 1 where one is far larger than all others. NaN where
/// all are 0.
///
/// # Example
/// ```
/// use itd_prelude::stats;
///
/// assert_eq!(stats::effective_count(&[2.0, 2.0, 2.0]), 3.0);
/// assert!(stats::effective_count(&[1e6, 1.0, 1.0]) < 1.001);
/// ```
pub fn effective_count(x: &[f64]) -> f64 {
    let (sum, squares) = x.iter().fold((0.0, 0.0), |(sum, squares), x| {
        (sum + x.abs(), squares + x * x)
    });
    sum * sum / squares
}

/// Fewer values than this do not make a mean.
pub(crate) const FEWEST: f64 = 3.0;

/// The skewness of values whose mean is not to be trusted with its standard error; `None` of others.
///
/// The mean of `n` values of skewness `s` has the skewness `s/√n`. From about ½ on fewer than nine in ten intervals
/// of two standard errors hold the truth: so much have four rare values of equal size among many that are 0.
///
/// # Example: four errors in a thousand
/// ```
/// use itd_prelude::stats::heavy_tail;
///
/// let errors = |wrong: usize| -> Vec<f64> { (0..1000).map(|i| f64::from(i < wrong as i32)).collect() };
/// assert!(heavy_tail(&errors(3)).is_some_and(|skewness| skewness > 15.0));
/// assert_eq!(heavy_tail(&errors(40)), None);
/// ```
pub fn heavy_tail(x: &[f64]) -> Option<f64> {
    let skewness = ArrayView1::from(x).skewness().ok()?;
    (skewness.abs() > 0.5 * (x.len() as f64).sqrt()).then_some(skewness)
}

/// `1 / (1 + e^−t)`, right at both ends: it tends to `e^t` on the left and to 1 on the right.
pub fn sigmoid(t: f64) -> f64 {
    1.0 / (1.0 + (-t).exp())
}

/// `ln(1 + e^t)`, the integral of [`sigmoid`], without overflow on the right.
pub fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// `ln Σ e^x`, without overflow; `−∞` of nothing, and NaN where a value is.
///
/// # Example
/// ```
/// use itd_prelude::stats::log_sum_exp;
///
/// assert_eq!(log_sum_exp(&[-1000.0, -1000.0]), -1000.0 + 2f64.ln());
/// assert!(log_sum_exp(&[f64::INFINITY, f64::NAN]).is_nan());
/// ```
pub fn log_sum_exp(x: &[f64]) -> f64 {
    // Not `f64::max`, which leaves out NaN.
    let larger = |top: f64, &x: &f64| if x > top || x.is_nan() { x } else { top };
    let top = x.iter().fold(f64::NEG_INFINITY, larger);
    if top.is_infinite() {
        return top;
    }
    top + x.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_functions_hold_at_both_ends() {
        assert!((sigmoid(-40.0) / (-40f64).exp() - 1.0).abs() < 1e-15);
        assert_eq!(sigmoid(800.0), 1.0);
        assert_eq!(sigmoid(-800.0), 0.0);
        assert_eq!(softplus(800.0), 800.0);
        assert!((softplus(0.0) - 2f64.ln()).abs() < 1e-15);
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
