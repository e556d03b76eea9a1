//! Integrals of smooth functions over an interval.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Nodes of the Gauss–Legendre rule.
const NODES: usize = 24;

/// `∫ f` from `low` to `high` by Gauss and Legendre's rule on equal panels.
pub(crate) fn gauss(low: f64, high: f64, panels: usize, f: impl Fn(f64) -> f64) -> f64 {
    static RULE: LazyLock<[(f64, f64); NODES]> = LazyLock::new(legendre);
    let half = 0.5 * (high - low) / panels as f64;
    let panel = |i: usize| -> f64 {
        let center = low + (2 * i + 1) as f64 * half;
        RULE.iter()
            .map(|(node, weight)| weight * f(center + half * node))
            .sum()
    };
    half * (0..panels).map(panel).sum::<f64>()
}

/// Nodes on [−1, 1] and weights, by Newton's method on the Legendre polynomial.
fn legendre() -> [(f64, f64); NODES] {
    std::array::from_fn(|i| {
        let n = NODES as f64;
        let mut x = (PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..8 {
            let (mut value, mut before) = (x, 1.0);
            for k in 2..=NODES {
                let k = k as f64;
                (value, before) = (
                    ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
                    value,
                );
            }
            slope = n * (x * value - before) / (x * x - 1.0);
            x -= value / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        let power = |p: i32| gauss(0.0, 2.0, 1, |x| x.powi(p));
        for p in [0, 1, 7, 30, 47] {
            let known = 2f64.powi(p + 1) / f64::from(p + 1);
            assert!((power(p) / known - 1.0).abs() < 1e-13, "{p}");
        }
    }
}
