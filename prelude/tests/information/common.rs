//! Samples with known information, for the tests alone.
#![allow(dead_code)]

use itd_prelude::ndarray::{Array1, Array2, Axis, s};
use itd_prelude::rng::{self, Rng};
use rand::Rng as _;
use rand_distr::{ChiSquared, StandardNormal};

/// Samples of two vectors, and their information.
pub struct Case {
    pub name: String,
    pub x: Array2<f64>,
    pub y: Array2<f64>,
    pub nats: f64,
}

pub fn normal(n: usize, d: usize, rng: &mut Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((n, d), || rng.sample(StandardNormal))
}

/// A vector of `d` coordinates each, of which the first `pairs` are correlated by `rho`.
pub fn pairs(n: usize, d: usize, pairs: usize, rho: f64, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let (x, mut y) = (normal(n, d, rng), normal(n, d, rng));
    for j in 0..pairs {
        let noise = y.column(j).mapv(|e| (1.0 - rho * rho).sqrt() * e);
        y.column_mut(j).assign(&(&x.column(j) * rho + noise));
    }
    let nats = -0.5 * pairs as f64 * (1.0 - rho * rho).ln();
    Case {
        name: format!("{pairs} pairs {d}"),
        x,
        y,
        nats,
    }
}

/// All correlations ½.
pub fn dense(n: usize, d: usize, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let common = normal(n, 1, rng);
    let mut make = || (normal(n, d, rng) + &common) / 2f64.sqrt();
    let (x, y) = (make(), make());
    let determinant = |k: f64| (k - 1.0) * 0.5f64.ln() + (1.0 + (k - 1.0) * 0.5).ln();
    let nats = determinant(d as f64) - 0.5 * determinant(2.0 * d as f64);
    Case {
        name: format!("dense {d}"),
        x,
        y,
        nats,
    }
}

/// Student's t with a scale that `x` and `y` share.
pub fn student(n: usize, d: usize, dof: f64, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let mut both = normal(n, 2 * d, rng);
    let chi = ChiSquared::new(dof).unwrap();
    let scale = Array1::from_shape_simple_fn(n, || (dof / rng.sample(chi)).sqrt());
    both *= &scale.insert_axis(Axis(1));
    let (x, y) = (
        both.slice(s![.., ..d]).to_owned(),
        both.slice(s![.., d..]).to_owned(),
    );
    Case {
        name: format!("student {d} {dof}"),
        x,
        y,
        nats: student_nats(d, dof),
    }
}

fn student_nats(d: usize, dof: f64) -> f64 {
    use libm::lgamma;
    let psi = statrs::function::gamma::digamma;
    let entropy = |k: f64| {
        -lgamma(0.5 * (dof + k))
            + lgamma(0.5 * dof)
            + 0.5 * k * (dof * std::f64::consts::PI).ln()
            + 0.5 * (dof + k) * (psi(0.5 * (dof + k)) - psi(0.5 * dof))
    };
    2.0 * entropy(d as f64) - entropy(2.0 * d as f64)
}

/// Two pairs, then each vector turned in a plane by an angle that grows with its length.
pub fn spiral(n: usize, d: usize, seed: u64) -> Case {
    let mut case = pairs(n, d, 2, 0.8, seed);
    turn(&mut case.x, 0, 1);
    turn(&mut case.y, 1, 2);
    case.name = format!("spiral {d}");
    case
}

pub fn turn(x: &mut Array2<f64>, i: usize, j: usize) {
    let d = x.ncols() as f64;
    for mut row in x.rows_mut() {
        let (sin, cos) = (row.dot(&row) / d).sin_cos();
        let (a, b) = (row[i], row[j]);
        (row[i], row[j]) = (cos * a - sin * b, sin * a + cos * b);
    }
}

/// `Y = X + U(−ε, ε)`, `X` uniform.
pub fn additive(n: usize, epsilon: f64, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let x = Array2::from_shape_simple_fn((n, 1), || rng.random::<f64>());
    let y = x.mapv(|x| x + epsilon * (2.0 * rng.random::<f64>() - 1.0));
    let nats = if epsilon <= 0.5 {
        epsilon - (2.0 * epsilon).ln()
    } else {
        0.25 / epsilon
    };
    Case {
        name: format!("additive {epsilon}"),
        x,
        y,
        nats,
    }
}

/// Each column through a function.
pub fn mapped(mut case: Case, name: &str, f: impl Fn(f64) -> f64) -> Case {
    case.x.mapv_inplace(&f);
    case.y.mapv_inplace(&f);
    case.name = format!("{name} of {}", case.name);
    case
}

pub fn half_cube(x: f64) -> f64 {
    x * x.abs().sqrt()
}

pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// `ln p(x, y)/(p(x) p(y))` of Gaussians with the samples' own mean and covariance (divided by `n`); the first `d`
/// columns are `x`.
pub fn gaussian_log_ratios(both: &Array2<f64>, d: usize) -> Vec<f64> {
    let mean = both.mean_axis(Axis(0)).unwrap();
    let centred = both - &mean;
    let covariance = centred.t().dot(&centred) / both.nrows() as f64;
    let log_density = |from: usize, to: usize| -> Vec<f64> {
        let part = covariance.slice(s![from..to, from..to]).to_owned();
        let (inverse, log_det) = inverse(part);
        let rows = centred.slice(s![.., from..to]);
        rows.rows()
            .into_iter()
            .map(|row| -0.5 * (row.dot(&inverse.dot(&row)) + log_det))
            .collect()
    };
    let all = both.ncols();
    let (joint, x, y) = (log_density(0, all), log_density(0, d), log_density(d, all));
    joint
        .iter()
        .zip(x)
        .zip(y)
        .map(|((joint, x), y)| joint - x - y)
        .collect()
}

/// Gauss and Jordan, without pivots, which positive definite matrices do not need.
fn inverse(mut a: Array2<f64>) -> (Array2<f64>, f64) {
    let n = a.nrows();
    let mut inverse = Array2::eye(n);
    let mut log_det = 0.0;
    for i in 0..n {
        let pivot = a[(i, i)];
        log_det += pivot.ln();
        a.row_mut(i).mapv_inplace(|v| v / pivot);
        inverse.row_mut(i).mapv_inplace(|v| v / pivot);
        for j in (0..n).filter(|&j| j != i) {
            let factor = a[(j, i)];
            let (own, other) = (a.row(i).to_owned(), inverse.row(i).to_owned());
            a.row_mut(j).scaled_add(-factor, &own);
            inverse.row_mut(j).scaled_add(-factor, &other);
        }
    }
    (inverse, log_det)
}

/// A half of `N(ρ = 0.9)` and a half of `N(ρ = −0.9)`: correlated nowhere.
pub fn cross(n: usize, seed: u64) -> Case {
    let mut case = pairs(n, 1, 1, 0.9, seed);
    let rng = &mut rng::seeded(seed + 1000);
    case.y
        .mapv_inplace(|y| if rng.random::<bool>() { y } else { -y });
    // By 2·10⁶ samples.
    Case {
        name: "cross".into(),
        nats: 0.4095,
        ..case
    }
}

/// Two pairs, of which a share of the samples is replaced by independent ones.
pub fn inliers(n: usize, d: usize, share: f64, seed: u64) -> Case {
    let mut case = pairs(n, d, 2, 0.8, seed);
    let rng = &mut rng::seeded(seed + 1000);
    for mut row in case.y.rows_mut() {
        if rng.random::<f64>() < share {
            row.mapv_inplace(|_| rng.sample(StandardNormal));
        }
    }
    // By 2·10⁶ samples.
    let nats = if share < 0.3 { 0.6363 } else { 0.2695 };
    Case {
        name: format!("inliers {d} {share}"),
        nats,
        ..case
    }
}

/// A mixture of two normal clouds of `x` and `y` together, by Monte Carlo: independent within each.
pub fn clouds(n: usize, d: usize, apart: f64, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let mut draw = |n: usize| {
        let (mut x, mut y) = (normal(n, d, rng), normal(n, d, rng));
        for i in 0..n {
            if rng.random::<bool>() {
                x.row_mut(i).mapv_inplace(|x| x + apart);
                y.row_mut(i).mapv_inplace(|y| y + apart);
            }
        }
        (x, y)
    };
    let (x, y) = draw(n);
    // Given the cloud nothing depends: I = I(cloud; x) + I(cloud; y) − I(cloud; x, y), each a line.
    let nats = 2.0 * told_by(apart * (d as f64).sqrt()) - told_by(apart * (2.0 * d as f64).sqrt());
    Case {
        name: format!("clouds {d} {apart}"),
        x,
        y,
        nats,
    }
}

/// `I(c; t)`, `t ~ N(±a/2, 1)`, by a fine sum.
fn told_by(a: f64) -> f64 {
    let step = 1e-3;
    let at = |i: i32| f64::from(i) * step;
    let density = |t: f64| (-0.5 * (t - 0.5 * a).powi(2)).exp() / std::f64::consts::TAU.sqrt();
    let told = |t: f64| 2f64.ln() - (-a * t).exp().ln_1p();
    (-15_000..15_000)
        .map(|i| density(at(i)) * told(at(i)) * step)
        .sum()
}
