//! A uniform number seen through noise: the normal cut off at two ends.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use super::posterior::Posterior;
use crate::gauss_legendre::gauss;

/// What `z = root·x + ε` says about `x` uniform on `[low, high]`.
///
/// In units of the noise, `t = root·x − z` is a standard normal cut off at `a = root·low − z` and
/// `b = root·high − z`.
pub(super) fn posterior(low: f64, high: f64, z: f64, root: f64) -> Posterior {
    let (a, width) = (root * low - z, root * (high - low));
    if a.is_nan() || width.is_nan() {
        return Posterior {
            log_evidence: f64::NAN,
            mean: f64::NAN,
            variance: f64::NAN,
        };
    }
    if width < SHORT {
        let (log_mean_density, share, variance) = short(a, width);
        return Posterior {
            log_evidence: log_mean_density,
            mean: low + share * (high - low),
            variance: variance * (high - low).powi(2),
        };
    }
    let (log_mass, mean, variance) = cut_normal(a, root * high - z);
    Posterior {
        log_evidence: log_mass - width.ln(),
        mean: ((z + mean) / root).clamp(low, high),
        variance: variance / (root * root),
    }
}

/// `ln (Φ(b) − Φ(a))`, the logarithm of a standard normal's mass on `[a, b]`, `a < b`; either may be infinite. NaN for
/// ends that are none.
pub fn log_mass(a: f64, b: f64) -> f64 {
    match b - a {
        _ if a.is_nan() || b.is_nan() || a > b => f64::NAN,
        width if width < SHORT => short(a, width).0 + width.ln(),
        _ => cut_normal(a, b).0,
    }
}

/// Below this width the closed form is a small difference of large numbers.
const SHORT: f64 = 4.0;

/// A standard normal on `[a, a + width]`, at `a + u·width`: the logarithm of its mean density there, and mean and
/// variance of `u`. A width of 0 is allowed.
fn short(a: f64, width: f64) -> (f64, f64, f64) {
    // The largest value on the interval is taken out, lest all of them vanish.
    let peak = 0.0f64.clamp(a, a + width);
    let density = |u: f64| {
        let t = a + u * width;
        (0.5 * (peak - t) * (peak + t)).exp()
    };
    let mass = gauss(0.0, 1.0, 1, density);
    let mean = gauss(0.0, 1.0, 1, |u| u * density(u)) / mass;
    let variance = gauss(0.0, 1.0, 1, |u| (u - mean).powi(2) * density(u)) / mass;
    (mass.ln() - 0.5 * (peak * peak + TAU.ln()), mean, variance)
}

/// The same by the closed form, for a long interval.
fn cut_normal(a: f64, b: f64) -> (f64, f64, f64) {
    if a + b < 0.0 {
        let (log_mass, mean, variance) = cut_normal(-b, -a);
        return (log_mass, -mean, variance);
    }
    if a < 0.0 {
        // Most of the mass lies inside.
        let mass = 1.0 - 0.5 * (libm::erfc(-a * FRAC_1_SQRT_2) + libm::erfc(b * FRAC_1_SQRT_2));
        let density = |t: f64| (-0.5 * t * t).exp() / TAU.sqrt();
        let (left, right) = (density(a), density(b));
        let mean = (left - right) / mass;
        let variance = 1.0 + (a * left - b * right) / mass - mean * mean;
        return (mass.ln(), mean, variance.max(0.0));
    }
    // Now 0 ≤ a < b. With Mills' ratio M(t) = (1 − Φ(t))/φ(t) nothing underflows.
    let fall = (0.5 * (a - b) * (a + b)).exp(); // φ(b)/φ(a)
    let ratio = mills(a) - fall * mills(b); // (Φ(b) − Φ(a))/φ(a)
    let mean = (1.0 - fall) / ratio;
    let variance = 1.0 + (a - b * fall) / ratio - mean * mean;
    let log_mass = ratio.ln() - 0.5 * (a * a + TAU.ln());
    (log_mass, mean, variance.max(0.0))
}

/// Mills' ratio `(1 − Φ(t))/φ(t)`.
fn mills(t: f64) -> f64 {
    if t < 25.0 {
        return 0.5 * libm::erfc(t * FRAC_1_SQRT_2) * (TAU.sqrt() * (0.5 * t * t).exp());
    }
    // erfc underflows near 37; from here on the asymptotic series is right to the last digit.
    let s = 1.0 / (t * t);
    (1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s * (1.0 - 7.0 * s * (1.0 - 9.0 * s))))) / t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_stays_none() {
        for (low, z, root) in [
            (-1.0, f64::NAN, 1.0),
            (f64::NAN, 0.0, 1.0),
            (-1.0, 0.0, f64::NAN),
        ] {
            let found = posterior(low, 1.0, z, root);
            assert!(found.mean.is_nan() && found.variance.is_nan() && found.log_evidence.is_nan());
        }
        assert!(log_mass(1.0, 0.0).is_nan() && log_mass(f64::NAN, 0.0).is_nan());
    }

    #[test]
    fn closed_form_and_sum_agree() {
        for (a, b) in [
            (-2.0, 2.0),
            (-1.0, 3.5),
            (0.5, 4.5),
            (3.0, 7.0),
            (-8.0, -4.0),
        ] {
            let (log, mean, variance) = short(a, b - a);
            let width: f64 = b - a;
            let summed = (log + width.ln(), a + mean * width, variance * width * width);
            let closed = cut_normal(a, b);
            assert!(
                (closed.0 - summed.0).abs() < 1e-12,
                "{a} {b}: {closed:?} {summed:?}"
            );
            assert!(
                (closed.1 - summed.1).abs() < 1e-12,
                "{a} {b}: {closed:?} {summed:?}"
            );
            assert!(
                (closed.2 - summed.2).abs() < 1e-9,
                "{a} {b}: {closed:?} {summed:?}"
            );
        }
    }

    #[test]
    fn far_tails_keep_their_meaning() {
        // Far left of the interval only its left end counts, at a distance of about 1/a.
        let (log_mass, mean, variance) = cut_normal(60.0, 100.0);
        assert!((log_mass + 1800.0 + 60f64.ln() + 0.5 * TAU.ln()).abs() < 1e-3);
        assert!((mean - 60.0 - 1.0 / 60.0).abs() < 1e-4);
        assert!((0.0..1e-3).contains(&variance));
        let (log_mass, mean, variance) = cut_normal(-300.0, 800.0);
        assert_eq!((log_mass, mean, variance), (0.0, 0.0, 1.0));
        let (below, above) = (mills(24.999_999), mills(25.0));
        assert!((below / above - 1.0).abs() < 1e-7);
    }
}
