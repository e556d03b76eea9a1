//! CCA against closed forms.

use crate::common::{dense, normal, pairs};
use itd_prelude::information::{Cca, Estimator};
use itd_prelude::ndarray::{Array2, Axis, concatenate};
use itd_prelude::{Error, rng, stats};

#[test]
fn one_pair_is_its_correlation() {
    let case = pairs(500, 1, 1, 0.6, 0);
    let found = Cca {
        corrected: false,
        ranks: false,
    }
    .information(case.x.view(), case.y.view())
    .unwrap();
    let (x, y) = (
        case.x.into_raw_vec_and_offset().0,
        case.y.into_raw_vec_and_offset().0,
    );
    let (mx, my) = (stats::mean(&x), stats::mean(&y));
    let covariance: f64 = x
        .iter()
        .zip(&y)
        .map(|(x, y)| (x - mx) * (y - my))
        .sum::<f64>()
        / 499.0;
    let rho = covariance / (stats::variance(&x) * stats::variance(&y)).sqrt();
    assert!((found.nats + 0.5 * (-rho * rho).ln_1p()).abs() < 1e-12);
    assert!((found.diagnostic("canonical correlation").unwrap() - rho).abs() < 1e-12);
    assert!((stats::mean(&found.per_sample.unwrap()) - found.nats).abs() < 1e-12);
}

#[test]
fn the_samples_values_are_gaussian_log_ratios() {
    let case = pairs(300, 2, 1, 0.7, 1);
    let found = Cca::default()
        .information(case.x.view(), case.y.view())
        .unwrap();
    // The twin: densities from covariances with 1/(n−1), as the closed form of the fit.
    let both = concatenate![Axis(1), case.x, case.y];
    let values = crate::common::gaussian_log_ratios(&both, 2);
    for (a, b) in found.per_sample.unwrap().iter().zip(values) {
        // The fit divides by n.
        assert!((a - b).abs() < 1e-10, "{a} {b}");
    }
}

#[test]
fn strong_dependence_keeps_its_digits() {
    for (gap, tolerance) in [(1e-3, 1e-9), (1e-6, 1e-9), (1e-9, 1e-5), (1e-11, 1e-3)] {
        let rng = &mut rng::seeded(2);
        let (x, e) = (normal(1000, 1, rng), normal(1000, 1, rng));
        let y = &x + &(gap * &e);
        let weaker = &x + &(1e-3 * &e);
        let plug_in = |y: &Array2<f64>| {
            Cca {
                corrected: false,
                ranks: false,
            }
            .information(x.view(), y.view())
            .unwrap()
            .nats
        };
        // The residual is the same but for its scale, up to ρ² of the weaker one.
        let found = plug_in(&y) - plug_in(&weaker);
        assert!(
            (found - (1e-3f64 / gap).ln()).abs() < tolerance + 1e-4,
            "{gap}: {found}"
        );
    }
}

#[test]
fn many_strong_pairs() {
    for d in [3, 50] {
        for strength in [200.0f64, 650.0, 1100.0, 1550.0, 2000.0] {
            let rho = strength.powi(2) / (1.0 + strength.powi(2));
            let case = pairs(10_000, d, 2, rho, 3);
            let truth = -((1.0 - rho) * (1.0 + rho)).ln();
            let found = Cca::default()
                .information(case.x.view(), case.y.view())
                .unwrap();
            assert!(
                (found.nats - truth).abs() < 4.0 * found.std_err,
                "{d} {strength}: {found} {truth}"
            );
            assert!((found.nats - truth).abs() < 0.05);
        }
    }
}

#[test]
fn the_correction_takes_the_bias_off() {
    for seed in 0..3 {
        let case = dense(10_000, 50, seed);
        let found = Cca::default()
            .information(case.x.view(), case.y.view())
            .unwrap();
        assert!((case.nats - 1.62427).abs() < 1e-4);
        assert!((found.nats - case.nats).abs() < 0.02, "{seed}: {found}");
        let plug_in = found.diagnostic("plug-in").unwrap();
        assert!((plug_in - case.nats - 0.124).abs() < 0.02, "{plug_in}");
    }
}

#[test]
fn small_samples_are_unbiased_and_their_errors_hold() {
    let rounds = 400;
    for (d, rho) in [(1, 0.5), (3, 0.8), (4, 0.0)] {
        let mut found = Vec::new();
        let mut inside = 0;
        for seed in 0..rounds {
            let case = pairs(120, d, 2.min(d), rho, seed);
            let one = Cca::default()
                .information(case.x.view(), case.y.view())
                .unwrap();
            inside += usize::from((one.nats - case.nats).abs() < 2.0 * one.std_err);
            found.push(one.nats - case.nats);
        }
        let (mean, error) = (stats::mean(&found), stats::std_err(&found));
        let coverage = inside as f64 / rounds as f64;
        println!("d = {d}, rho = {rho}: bias {mean:.4} ± {error:.4}, coverage {coverage:.3}");
        assert!(mean.abs() < 4.0 * error, "{d} {rho}: {mean} ± {error}");
        assert!(coverage > 0.9, "{d} {rho}: {coverage}");
    }
}

#[test]
fn maps_of_a_whole_vector_change_nothing() {
    let case = pairs(400, 3, 2, 0.8, 4);
    let turn = normal(3, 3, &mut rng::seeded(5));
    let plain = Cca::default()
        .information(case.x.view(), case.y.view())
        .unwrap();
    let turned = Cca::default()
        .information((case.x.dot(&turn) + 7.0).view(), (1e6 * &case.y).view())
        .unwrap();
    let swapped = Cca::default()
        .information(case.y.view(), case.x.view())
        .unwrap();
    assert!((plain.nats - turned.nats).abs() < 1e-11 && (plain.nats - swapped.nats).abs() < 1e-11);
}

#[test]
fn sums_of_columns_are_left_out_and_told() {
    let case = pairs(400, 3, 2, 0.8, 4);
    let plain = Cca::default()
        .information(case.x.view(), case.y.view())
        .unwrap();
    let sum = case.x.sum_axis(Axis(1)).insert_axis(Axis(1));
    let more = concatenate![Axis(1), case.x, sum];
    let found = Cca::default()
        .information(more.view(), case.y.view())
        .unwrap();
    assert!((plain.nats - found.nats).abs() < 1e-11);
    assert!(
        found.warnings[0].contains("1 columns are made of others"),
        "{found}"
    );
    let linear = Cca::default().information(case.x.view(), (2.0 * &case.x).view());
    assert!(matches!(linear, Err(Error::NotFinite { .. })), "{linear:?}");
    let few = Cca::default().information(
        case.x.view().slice(itd_prelude::ndarray::s![..7, ..]),
        case.y.view().slice(itd_prelude::ndarray::s![..7, ..]),
    );
    assert!(few.unwrap_err().to_string().contains("n at least 8"));
}
