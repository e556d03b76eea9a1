//! Known answers: distributions whose best denoiser, curve or entropy is known in closed form.

use itd_prelude::data::toy::CORRELATION;
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::prelude::*;
use itd_prelude::stats;

/// Entropy of the correlated Gaussian, `ln 2πe + ½ ln(1 − ρ²)`.
const ENTROPY: f64 = 1.2185;

fn correlated() -> Gaussian {
    Gaussian::new(&[0.0; 2], &[[1.0, CORRELATION], [CORRELATION, 1.0]]).unwrap()
}

fn line(mean: f64, variance: f64) -> Gaussian {
    Gaussian::new(&[mean], &[[variance]]).unwrap()
}

fn quadrature(loc: f64, scale: f64, clip: f64, n: usize) -> Quadrature {
    Logistic::new(loc, scale, clip)
        .unwrap()
        .quadrature(n)
        .unwrap()
}

#[test]
fn the_entropy_of_the_correlated_gaussian_is_the_closed_form() {
    assert!((correlated().entropy().unwrap().nats - ENTROPY).abs() < 5e-5);
}

#[test]
fn the_exact_denoiser_has_the_gaussian_curve() {
    let data = toy::correlated_gaussian(6000, 1).unwrap().train;
    let truth = correlated();
    let points = Logistic::matched(&truth).unwrap().quadrature(40).unwrap();
    let curve = mse_curve(&truth.denoiser(&[2]).unwrap(), &data, &points).unwrap();
    let known = truth.curve(&points).unwrap();
    let off = curve.max_z_score(&known).unwrap();
    assert!(off < 4.0, "{off} standard errors");
}

#[test]
fn noise_integrated_out_is_the_mean_over_noise() {
    let data = toy::moons(300, 0).unwrap().train.take(20).unwrap();
    let gaussian = correlated();
    let points = quadrature(1.0, 2.0, 3.0, 7);
    let exact = gaussian.curve_on(&data, &points).unwrap().errors.unwrap();
    let config = CurveConfig {
        draws: 2000,
        ..Default::default()
    };
    let net = gaussian.denoiser(&[2]).unwrap();
    let measured = mse_curve_with(&net, &data, &points, &config).unwrap();
    let measured = measured.errors.unwrap();
    assert_eq!((exact.dim(), measured.dim()), ((20, 7), (20, 7)));
    for (a, b) in exact.iter().zip(&measured) {
        // One draw's spread is about the error itself, or √(2·2).
        let tolerance = 5.0 * a.max(2.0) / 2000f64.sqrt();
        assert!((a - b).abs() < tolerance, "{a} {b}");
    }
}

#[test]
fn a_mismatched_reference_gives_the_entropy() {
    let points = quadrature(1.0, 2.0, 9.0, 2000);
    let standard = Gaussian::standard(2).unwrap();
    // The quadrature alone: the closed-form curve.
    let closed = correlated().curve(&points).unwrap();
    let entropy = closed.nll(&standard).unwrap();
    let known = correlated().entropy().unwrap().nats;
    assert!((entropy.nats - known).abs() < 1e-4, "{entropy}");
    // The measured curve.
    let data = toy::correlated_gaussian(4000, 0).unwrap().train;
    let net = correlated().denoiser(&[2]).unwrap();
    let points = quadrature(1.0, 2.0, 6.0, 100);
    let measured = mse_curve(&net, &data, &points).unwrap();
    let entropy = measured.nll(&standard).unwrap();
    assert!(entropy.within(known, 4.0).holds, "{entropy}");
    assert!(entropy.std_err < 0.03, "{entropy}");
    // Sample by sample, on the same samples.
    let pointwise = measured.nll(standard.on(&data)).unwrap();
    let off = pointwise.minus(&correlated().nll(&data).unwrap());
    assert!(off.within(0.0, 4.0).holds && off.nats.abs() < 0.02, "{off}");
}

#[test]
fn pointwise_densities_are_those_of_the_samples() {
    let data = toy::correlated_gaussian(200, 3).unwrap().train;
    let (truth, standard) = (correlated(), Gaussian::standard(2).unwrap());
    let points = quadrature(1.0, 2.0, 6.0, 200);
    let config = CurveConfig {
        draws: 100,
        ..Default::default()
    };
    let net = truth.denoiser(&[2]).unwrap();
    let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
    let found = curve.nll(standard.on(&data)).unwrap();
    let known = truth.log_prob(&data.flat().unwrap()).unwrap();
    let squares: Vec<f64> = found
        .per_sample()
        .unwrap()
        .iter()
        .zip(&known)
        .map(|(nats, log)| (nats + log).powi(2))
        .collect();
    assert_eq!(squares.len(), 180);
    let (spread, error) = (stats::variance(&known).sqrt(), stats::mean(&squares).sqrt());
    assert!(error < 0.2 * spread, "{error} {spread}");
}

fn coin() -> Mixture {
    let side = |at| (1.0, Gaussian::point(vec![at]).unwrap());
    Mixture::new(&[side(1.0), side(-1.0)]).unwrap()
}

#[test]
fn the_coins_exact_denoiser_has_its_curve() {
    let x: Vec<f32> = (0..4000)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let x = Tensor::from_vec(x, (4000, 1), &Device::Cpu).unwrap();
    let data = Dataset::new("coin", x).unwrap();
    // At higher SNR a few unlucky samples make up the whole error, and a standard error says nothing.
    let points = quadrature(-0.5, 1.0, 2.0, 15);
    let curve = mse_curve(&coin().denoiser(&[1]).unwrap(), &data, &points).unwrap();
    let off = curve.max_z_score(&Scalar::coin().curve(&points).unwrap());
    assert!(
        off.as_ref().is_ok_and(|off| *off < 4.0),
        "{off:?} standard errors"
    );
}

#[test]
fn the_entropy_of_a_mixture_is_that_of_one_dimensional_quadrature() {
    let mixture = Mixture::new(&[(0.6, line(-1.5, 0.2)), (0.4, line(1.0, 0.5))]).unwrap();
    let step = 1e-3;
    let x: Vec<f32> = (-10_000..10_000)
        .map(|i| (f64::from(i) * step) as f32)
        .collect();
    let logs = mixture
        .log_prob(&Tensor::from_vec(x, (20_000, 1), &Device::Cpu).unwrap())
        .unwrap();
    let entropy: f64 = logs.iter().map(|log| -log * log.exp() * step).sum();
    assert!(mixture.entropy().unwrap().within(entropy, 4.0).holds);

    let sample = mixture.sample(4000, &mut rng::seeded(0)).unwrap();
    let data = Dataset::new("mixture", sample).unwrap();
    let points = quadrature(0.5, 2.0, 6.0, 80);
    let curve = mse_curve(&mixture.denoiser(&[1]).unwrap(), &data, &points).unwrap();
    for reference in [Gaussian::standard(1).unwrap(), data.gaussian().unwrap()] {
        let found = curve.nll(reference.on(&data)).unwrap();
        assert!(found.within(entropy, 4.0).holds, "{found} {entropy}");
    }
}

#[test]
fn the_matched_gap_is_never_negative() {
    let mixture = Mixture::new(&[(1.0, line(-1.0, 0.1)), (1.0, line(1.0, 0.1))]).unwrap();
    let sample = mixture.sample(3000, &mut rng::seeded(1)).unwrap();
    let data = Dataset::new("two blobs", sample).unwrap();
    let matched = line(0.0, 1.1);
    let points = Logistic::matched(&matched).unwrap().quadrature(40).unwrap();
    let curve = mse_curve(&mixture.denoiser(&[1]).unwrap(), &data, &points).unwrap();
    let gauss = matched.curve(&points).unwrap();
    for j in 0..40 {
        assert!(gauss.mse[j] - curve.mse[j] > -4.0 * curve.std_err[j]);
    }
    let gap = area_between(&gauss, &curve, Fallback::Never).unwrap();
    assert!(gap.nats > 0.2);
}

/// The standard error must be the spread over repetitions, or all tolerances here mean nothing.
#[test]
fn the_standard_error_is_the_spread_over_repetitions() {
    let truth = correlated();
    let points = quadrature(1.0, 2.0, 5.0, 30);
    let net = truth.denoiser(&[2]).unwrap();
    let standard = Gaussian::standard(2).unwrap();
    let runs: Vec<_> = (0..60)
        .map(|seed| {
            let data = toy::correlated_gaussian(250, seed).unwrap().train;
            let config = CurveConfig {
                seed,
                ..Default::default()
            };
            let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
            curve.nll(&standard).unwrap()
        })
        .collect();
    let nats: Vec<f64> = runs.iter().map(|run| run.nats).collect();
    let said: Vec<f64> = runs.iter().map(|run| run.std_err).collect();
    let ratio = stats::mean(&said) / stats::variance(&nats).sqrt();
    // The spread of 60 runs is itself known to 9 %.
    assert!((0.7..1.4).contains(&ratio), "{ratio}");
    let mean_err = stats::std_err(&nats);
    assert!(
        (stats::mean(&nats) - ENTROPY).abs() < 4.0 * mean_err,
        "{} ± {mean_err}",
        stats::mean(&nats)
    );
}
