//! Sums over samples, in `f64`.

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

/// `1 / (1 + e^−t)`, right at both ends: it tends to `e^t` on the left and to 1 on the right.
pub fn sigmoid(t: f64) -> f64 {
    1.0 / (1.0 + (-t).exp())
}

/// `ln(1 + e^t)`, the integral of [`sigmoid`], without overflow on the right.
pub fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// `ln Σ e^x`, without overflow; `−∞` of nothing.
pub fn log_sum_exp(x: &[f64]) -> f64 {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
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
