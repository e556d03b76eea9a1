//! Random numbers that are the same bits on every machine.
//!
//! `rand_distr` takes exponentials and logarithms from the system, whose last digit is not everywhere the same; here
//! they come from the crate `libm`.

use rand::Rng as _;

use crate::rng::Rng;

/// Fills a slice with independent standard normal numbers.
///
/// # Paper
/// Marsaglia, Bray, "A convenient method for generating normal variables", SIAM Review 6 (1964).
pub(super) fn fill_normal(rng: &mut Rng, values: &mut [f64]) {
    for pair in values.chunks_mut(2) {
        let (u, v) = two_normals(rng);
        pair[0] = u;
        if let Some(second) = pair.get_mut(1) {
            *second = v;
        }
    }
}

/// One standard normal number.
pub(super) fn normal(rng: &mut Rng) -> f64 {
    two_normals(rng).0
}

fn two_normals(rng: &mut Rng) -> (f64, f64) {
    loop {
        let (u, v) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
        let square = u * u + v * v;
        if square > 0.0 && square < 1.0 {
            let scale = (-2.0 * libm::log(square) / square).sqrt();
            return (scale * u, scale * v);
        }
    }
}

/// A number between two ends, each equally likely.
pub(super) fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// A number from the χ² distribution with `dof` degrees of freedom, which are > 0.
///
/// # Paper
/// Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000): twice a gamma number of
/// shape `dof/2`. A shape `a` below 1 is that of `a + 1` times `u^(1/a)`.
pub(super) fn chi_squared(rng: &mut Rng, dof: f64) -> f64 {
    let shape = 0.5 * dof;
    if shape < 1.0 {
        // 1 − u is never 0.
        let u = 1.0 - rng.random::<f64>();
        return chi_squared(rng, dof + 2.0) * libm::pow(u, 1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        let v = root * root * root;
        let u = 1.0 - rng.random::<f64>();
        if libm::log(u) < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
            return 2.0 * d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::stats;

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut x = vec![0.0; 200_001];
        fill_normal(&mut stream(0, "test"), &mut x);
        let n = x.len() as f64;
        let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / n;
        for (k, known, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error: f64 = moment(k) - known;
            assert!(error.abs() < 4.0 * f64::sqrt(variance / n), "{k}: {error}");
        }
    }

    #[test]
    fn chi_squared_has_its_moments_and_distribution() {
        for dof in [0.5, 1.0, 2.0, 3.0, 7.5] {
            let mut rng = stream(1, "test");
            let n = 100_000;
            let x: Vec<f64> = (0..n).map(|_| chi_squared(&mut rng, dof)).collect();
            assert!((stats::mean(&x) - dof).abs() < 4.0 * (2.0 * dof / n as f64).sqrt());
            // Its cumulative distribution is the regularized incomplete gamma function.
            for level in [0.1, 1.0, 4.0] {
                let share = x.iter().filter(|&&x| x < level).count() as f64 / n as f64;
                let known = statrs::function::gamma::gamma_lr(0.5 * dof, 0.5 * level);
                let error = (known * (1.0 - known) / n as f64).sqrt();
                assert!(
                    (share - known).abs() < 4.0 * error,
                    "{dof} {level}: {share} {known}"
                );
            }
        }
    }
}
