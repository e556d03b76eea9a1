//! Functions and quantiles that the estimators need.

use std::sync::{Arc, Mutex, PoisonError};

use libm::{erfc, lgamma};
use statrs::function::{beta::beta_reg, erf::erfc_inv, gamma};

/// `ψ(t)`, the derivative of `ln Γ`, for `t > 0`.
pub(super) fn digamma(t: f64) -> f64 {
    gamma::digamma(t)
}

/// `ψ(0), ψ(1), …, ψ(n)`; the first, which is none, is NaN.
pub(super) fn digammas(n: usize) -> Vec<f64> {
    let mut table = vec![f64::NAN];
    table.extend((1..=n).map(|m| digamma(m as f64)));
    table
}

/// `Φ(t)`.
pub(super) fn normal_cdf(t: f64) -> f64 {
    0.5 * erfc(-t * std::f64::consts::FRAC_1_SQRT_2)
}

/// `Φ⁻¹((r + ½)/n)` for `r` from 0 to `n − 1`.
pub(super) fn normal_scores(n: usize) -> Vec<f64> {
    let upper = |q: f64| std::f64::consts::SQRT_2 * erfc_inv(2.0 * q);
    mirrored(n, tails(n).map(upper).collect())
}

/// The quantiles of Student's t with `dof` degrees of freedom, as [`normal_scores`]; infinite `dof` are the normal ones.
pub(super) fn student_scores(n: usize, dof: f64) -> Vec<f64> {
    if dof.is_infinite() {
        return normal_scores(n);
    }
    let log_scale =
        lgamma(0.5 * (dof + 1.0)) - lgamma(0.5 * dof) - 0.5 * (dof * std::f64::consts::PI).ln();
    let density = |t: f64| (log_scale - 0.5 * (dof + 1.0) * (t * t / dof).ln_1p()).exp();
    let tail = |t: f64| 0.5 * beta_reg(0.5 * dof, 0.5, dof / (dof + t * t));
    mirrored(n, outwards(0.0, 0.5, tails(n), 1.0, tail, density))
}

/// The quantiles of `χ_d`, the length of `d` independent normal numbers, as [`normal_scores`].
pub(super) fn chi_scores(n: usize, d: usize) -> Vec<f64> {
    let half = 0.5 * d as f64;
    let log_scale = (1.0 - half) * std::f64::consts::LN_2 - lgamma(half);
    let density = |r: f64| (log_scale + (2.0 * half - 1.0) * r.ln() - 0.5 * r * r).exp();
    let above = |r: f64| gamma::gamma_ur(half, 0.5 * r * r);
    let below = |r: f64| gamma::gamma_lr(half, 0.5 * r * r);
    // Near the median, up to what the first step puts right.
    let middle = (2.0 * half - 2.0 / 3.0).sqrt();
    let upper = outwards(middle, above(middle), tails(n), 1.0, above, density);
    let lower = outwards(middle, below(middle), tails(n), -1.0, below, density);
    let mut scores: Vec<f64> = lower.into_iter().rev().collect();
    scores.extend(upper.into_iter().skip(n % 2));
    scores
}

/// Quantiles for `n` samples, kept once they are found.
pub(super) struct Scores {
    n: usize,
    known: Mutex<Vec<(Goal, Arc<Vec<f64>>)>>,
}

/// Whose quantiles.
#[derive(Clone, Copy, PartialEq)]
enum Goal {
    /// Student's t with so many degrees of freedom.
    Student(f64),
    /// The length of so many normal numbers.
    Chi(usize),
}

impl Scores {
    pub fn new(n: usize) -> Self {
        Self {
            n,
            known: Mutex::default(),
        }
    }

    /// As [`student_scores`].
    pub fn student(&self, dof: f64) -> Arc<Vec<f64>> {
        self.of(Goal::Student(dof), || student_scores(self.n, dof))
    }

    /// As [`chi_scores`].
    pub fn chi(&self, d: usize) -> Arc<Vec<f64>> {
        self.of(Goal::Chi(d), || chi_scores(self.n, d))
    }

    /// Nobody waits for what another one looks for: at worst it is found twice.
    fn of(&self, goal: Goal, find: impl Fn() -> Vec<f64>) -> Arc<Vec<f64>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = known().iter().find(|(own, _)| *own == goal).cloned();
        if let Some((_, scores)) = seen {
            return scores;
        }
        let scores = Arc::new(find());
        known().push((goal, Arc::clone(&scores)));
        scores
    }
}

/// The probabilities beyond the quantiles of one half, from the middle outwards.
fn tails(n: usize) -> impl Iterator<Item = f64> {
    (0..n.div_ceil(2))
        .rev()
        .map(move |r| (r as f64 + 0.5) / n as f64)
}

/// Both halves of a symmetric distribution's quantiles, from the upper half; the middle one of an odd number is 0.
fn mirrored(n: usize, upper: Vec<f64>) -> Vec<f64> {
    let mut scores: Vec<f64> = upper.iter().rev().map(|t| -t).collect();
    if n % 2 == 1 {
        scores.pop();
        scores.push(0.0);
    }
    scores.extend(upper.iter().skip(n % 2));
    scores
}

/// Solves `tail(t) = q` for falling `q`, each from the last one's solution. `way` is 1 where `t` grows on the way out and
/// −1 where it falls.
///
/// # Numerics
/// Newton's method for `ln tail` over `ln t`, which is nearly straight in the tails.
fn outwards(
    start: f64,
    mut mass: f64,
    masses: impl Iterator<Item = f64>,
    way: f64,
    tail: impl Fn(f64) -> f64,
    density: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let mut t = start;
    let solve = |q: f64| {
        let ahead = t + way * (mass - q) / density(t);
        if ahead > 0.0 {
            t = ahead;
        }
        for _ in 0..60 {
            let now = tail(t);
            let step = (way * (now / q).ln() * now / (t * density(t))).clamp(-1.0, 1.0);
            if !step.is_finite() {
                break;
            }
            t *= step.exp();
            // The next step would be about as long as the square of this one.
            if step.abs() < 1e-8 {
                break;
            }
        }
        mass = q;
        t
    };
    masses.map(solve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EULER: f64 = 0.577_215_664_901_532_9;

    #[test]
    fn digamma_has_its_known_values() {
        assert!((digamma(1.0) + EULER).abs() < 1e-14);
        assert!((digamma(0.5) + EULER + 4f64.ln()).abs() < 1e-14);
        let table = digammas(1000);
        for (m, psi) in table.iter().enumerate().skip(1) {
            let harmonic: f64 = (1..m).map(|i| 1.0 / i as f64).sum();
            assert!((psi - harmonic + EULER).abs() < 1e-13, "{m}: {psi}");
        }
    }

    #[test]
    fn the_scores_are_the_quantiles() {
        for n in [1, 2, 3, 10, 1001] {
            let scores = normal_scores(n);
            assert_eq!(scores.len(), n);
            for (r, t) in scores.iter().enumerate() {
                assert!((normal_cdf(*t) * n as f64 - r as f64 - 0.5).abs() < 1e-11);
            }
        }
    }

    #[test]
    fn student_scores_with_known_quantiles() {
        for n in [2, 3, 1000, 10_001] {
            let p = |r: usize| (r as f64 + 0.5) / n as f64;
            for (r, t) in student_scores(n, 1.0).iter().enumerate() {
                let cauchy = (std::f64::consts::PI * (p(r) - 0.5)).tan();
                assert!(
                    (t - cauchy).abs() < 1e-11 * (1.0 + cauchy.abs()),
                    "{n}, {r}: {t} {cauchy}"
                );
            }
            for (r, t) in student_scores(n, 2.0).iter().enumerate() {
                let (p, q) = (p(r), 1.0 - p(r));
                let known = (2.0 * p - 1.0) / (2.0 * p * q).sqrt();
                assert!(
                    (t - known).abs() < 1e-11 * (1.0 + known.abs()),
                    "{n}, {r}: {t} {known}"
                );
            }
        }
    }

    #[test]
    fn chi_scores_with_known_quantiles() {
        for n in [2, 3, 1000, 10_001] {
            let rayleigh = chi_scores(n, 2);
            assert_eq!(rayleigh.len(), n);
            for (r, t) in rayleigh.iter().enumerate() {
                let known = (-2.0 * (-(r as f64 + 0.5) / n as f64).ln_1p()).sqrt();
                assert!((t - known).abs() < 1e-10, "{n}, {r}: {t} {known}");
            }
            for d in [1, 3, 10, 50] {
                for (r, t) in chi_scores(n, d).iter().enumerate() {
                    let p = gamma::gamma_lr(0.5 * d as f64, 0.5 * t * t);
                    assert!(
                        (p * n as f64 - r as f64 - 0.5).abs() < 1e-6,
                        "{n}, {d}, {r}: {t} {p}"
                    );
                }
            }
        }
    }
}
