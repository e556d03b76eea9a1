//! What any estimator of mutual information must obey, on vectors whose information is known: independence, symmetry,
//! data processing, additivity; and the tests of MMG on images, with pictures that are exactly normal.

use itd_prelude::curve::MseCurve;
use itd_prelude::distribution::ConditionalGaussian;
use itd_prelude::information::{Base, Estimator, Information, Mmg};
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::ndarray::{Array2, Axis, concatenate, s};
use itd_prelude::prelude::*;
use itd_prelude::stats::{sigmoid, softplus};
use itd_prelude::task::{self, Pairs};

/// Rows of the pictures, and pixels in each.
const SIDE: usize = 8;

/// Where the noisy picture of the denominator stands.
const ALPHA: f64 = 6.0;

/// Pictures that are normal, with the mean and covariance of handwritten digits.
fn twin() -> Gaussian {
    digits()
        .unwrap()
        .train
        .dequantize(0)
        .unwrap()
        .gaussian()
        .unwrap()
}

/// The same numbers in another order.
fn reordered(gaussian: &Gaussian, order: &[usize]) -> Gaussian {
    let covariance = gaussian.covariance().unwrap();
    let row = |&i: &usize| -> Vec<f64> { order.iter().map(|&j| covariance[i][j]).collect() };
    let rows: Vec<Vec<f64>> = order.iter().map(row).collect();
    let mean: Vec<f64> = order.iter().map(|&i| gaussian.mean[i]).collect();
    Gaussian::new(&mean, &rows).unwrap()
}

/// What is left open of a picture by its first `r` rows: the other rows, given these.
fn left_open(gaussian: &Gaussian, r: usize) -> Option<Gaussian> {
    let d = gaussian.dim();
    let (told, rest) = (0..r * SIDE, r * SIDE..d);
    match (r, rest.is_empty()) {
        (0, _) => Some(gaussian.clone()),
        (_, true) => None,
        _ => {
            let order: Vec<usize> = rest.clone().chain(told).collect();
            let parts = ConditionalGaussian::new(&reordered(gaussian, &order), rest.len()).unwrap();
            Some(parts.residual)
        }
    }
}

/// `½ ln det(γΣ + I)`, what noise of that strength leaves of a normal vector.
fn through(gaussian: Option<&Gaussian>, alpha: f64) -> f64 {
    let logs = gaussian.map_or(Vec::new(), |g| g.log_eigenvalues().unwrap());
    0.5 * logs.iter().map(|log| softplus(alpha + log)).sum::<f64>()
}

/// `I(A_α; B_r)`: the noisy picture and the first rows of the clean one.
fn closed_form(gaussian: &Gaussian, r: usize) -> f64 {
    through(Some(gaussian), ALPHA) - through(left_open(gaussian, r).as_ref(), ALPHA)
}

/// The same as half an area between two curves that ends at the noise.
fn by_curves(gaussian: &Gaussian, r: usize) -> f64 {
    let points = Quadrature::trapezoid(-30.0, ALPHA, 20_001).unwrap();
    let without = gaussian.curve(&points).unwrap();
    let with = match left_open(gaussian, r) {
        Some(rest) => rest.curve(&points).unwrap().mse,
        None => vec![0.0; points.len()],
    };
    let with = MseCurve::exact(&points, gaussian.dim(), with).unwrap();
    area_between(&without, &with, Fallback::Never).unwrap().nats
}

/// Two pictures that have nothing to do with each other, row by row beside each other.
fn doubled(gaussian: &Gaussian) -> Gaussian {
    let (d, covariance) = (gaussian.dim(), gaussian.covariance().unwrap());
    let of = |i: usize| (i % (2 * SIDE) / SIDE, i / (2 * SIDE) * SIDE + i % SIDE);
    let row = |i: usize| -> Vec<f64> {
        let (picture, at) = of(i);
        (0..2 * d)
            .map(|j| match of(j) {
                (other, to) if other == picture => covariance[at][to],
                _ => 0.0,
            })
            .collect()
    };
    let rows: Vec<Vec<f64>> = (0..2 * d).map(row).collect();
    let mean: Vec<f64> = (0..2 * d).map(|i| gaussian.mean[of(i).1]).collect();
    Gaussian::new(&mean, &rows).unwrap()
}

/// The exact twin of the tests of MMG on images. `B_r` is a part of `A`, so `I(A; B_r)` is infinite; what the published
/// ratios compare is the information that a noisy picture `A_α` has of it.
#[test]
fn ratios_of_normal_pictures_are_exact() {
    let gaussian = twin();
    let whole = closed_form(&gaussian, SIDE);
    let mut last = -1e-12;
    for r in 0..=SIDE {
        let (closed, area) = (closed_form(&gaussian, r), by_curves(&gaussian, r));
        assert!((closed - area).abs() < 1e-6 * whole, "{r}: {closed} {area}");
        let ratio = closed / whole;
        assert!(ratio >= last, "rows only add");
        println!("{r} rows: {closed:.4} nats, {ratio:.4} of all");
        last = ratio;
    }
    assert!((last - 1.0).abs() < 1e-12);
    // Data processing: rows that are told twice tell nothing new, and a part less than all.
    for (r, k) in [(2, 3), (4, 4)] {
        assert!(closed_form(&gaussian, r) <= closed_form(&gaussian, r + k));
    }
    // Additivity: two pictures have twice as much.
    for r in [2, 5] {
        let two = doubled(&gaussian);
        let told: Vec<usize> = (0..2 * SIDE * r).collect();
        let rest: Vec<usize> = (2 * SIDE * r..two.dim()).collect();
        let order = [rest.clone(), told].concat();
        let parts = ConditionalGaussian::new(&reordered(&two, &order), rest.len()).unwrap();
        let both = through(Some(&two), ALPHA) - through(Some(&parts.residual), ALPHA);
        let ratio = both / closed_form(&gaussian, r);
        assert!((ratio - 2.0).abs() < 1e-6, "{r}: {ratio}");
    }
}

/// `mi` on samples of such pictures: 64 noisy pixels and 8 to 64 clean ones.
#[test]
fn ratios_of_normal_pictures_are_found_in_samples() {
    let gaussian = twin();
    let n = 6000;
    let clean = gaussian.sample(n, &mut rng::seeded(0)).unwrap();
    let noise = rng::normal(&[n, gaussian.dim()], &mut rng::seeded(1)).unwrap();
    let (signal, sigma) = (sigmoid(ALPHA).sqrt(), sigmoid(-ALPHA).sqrt());
    let noisy = ((&clean * signal).unwrap() + (noise * sigma).unwrap()).unwrap();
    let mut before = f64::NEG_INFINITY;
    let mut rows = Vec::new();
    for r in [2, 4, 6, 8] {
        let told = clean.narrow(1, 0, r * SIDE).unwrap();
        let found = mi(&noisy, &told).unwrap();
        let truth = closed_form(&gaussian, r);
        println!("{r} rows: {found}, in truth {truth:.4}");
        assert!(
            (found.nats / truth - 1.0).abs() < 0.02,
            "{r}: {found} {truth}"
        );
        assert!(found.nats > before - found.std_err);
        before = found.nats;
        rows.push(found.nats);
    }
    let truth = closed_form(&gaussian, 4) / closed_form(&gaussian, 8);
    assert!((rows[1] / rows[3] - truth).abs() < 0.02);
}

/// The same estimator on what must be 0, equal, less, or twice as much.
fn obeys(estimator: &dyn Estimator, n: usize, slack: f64) {
    let of = |x: &Array2<f64>, y: &Array2<f64>| -> Information {
        estimator.information(x.view(), y.view()).unwrap()
    };
    let near = |what: &str, found: f64, truth: f64, err: f64| {
        println!(
            "{}: {what}: {found:.4} ± {err:.4}, expected {truth:.4}",
            estimator.name()
        );
        assert!(
            (found - truth).abs() < 4.0 * err + slack,
            "{what}: {found} ± {err} {truth}"
        );
    };
    let task = task::sparse((2, 2), 2, 2.0).unwrap();
    let Pairs { x, y } = task.sample(n, 0).unwrap();
    let plain = of(&x, &y);
    near("the pair", plain.nats, task.nats, plain.std_err);
    // Independence.
    let none = task.sample(n, 1).unwrap();
    let found = of(&x, &none.y);
    near("strangers", found.nats, 0.0, found.std_err);
    // Symmetry.
    let back = of(&y, &x);
    near("the other way", back.nats, plain.nats, plain.std_err);
    // An injective map changes nothing; data processing: noise takes away, and what is known twice adds nothing.
    let mapped = of(&x, &y.mapv(f64::sinh));
    near("after a map", mapped.nats, plain.nats, plain.std_err);
    let noise = rng::normal(&[n, 2], &mut rng::seeded(2)).unwrap();
    let noise = itd_prelude::information::Rows::rows(&noise).unwrap();
    let worse = of(&x, &(&y + &noise));
    assert!(
        worse.nats < plain.nats - 4.0 * worse.std_err,
        "{worse} {plain}"
    );
    let more = concatenate(Axis(1), &[y.view(), (&y + &noise).view()]).unwrap();
    let known_twice = of(&x, &more);
    near(
        "with a noisy copy",
        known_twice.nats,
        plain.nats,
        plain.std_err,
    );
    // Additivity.
    let other = task.sample(n, 3).unwrap();
    let both = of(
        &concatenate(Axis(1), &[x.view(), other.x.view()]).unwrap(),
        &concatenate(Axis(1), &[y.view(), other.y.view()]).unwrap(),
    );
    near("two pairs", both.nats, 2.0 * task.nats, both.std_err);
    // A part of y tells no more than all of it.
    let part = of(&x, &y.slice(s![.., ..1]).to_owned());
    assert!(part.nats < plain.nats, "{part} {plain}");
}

#[test]
fn mi_obeys_the_laws() {
    obeys(&Base::default(), 6000, 0.003);
}

#[test]
fn mmg_obeys_the_laws() {
    let mmg = Mmg {
        train: TrainConfig {
            steps: Some(800),
            ..Mmg::default().train
        },
        ..Mmg::default()
    };
    obeys(&mmg, 4000, 0.03);
}
