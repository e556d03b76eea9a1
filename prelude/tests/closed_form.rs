//! Known answers: distributions whose best denoiser, curve or entropy is known in closed form.

use candle_core::{Device, Tensor};
use itd_prelude::data::{self, Dataset, SCG_CORRELATION, Spectrum};
use itd_prelude::integral::{Fallback, area};
use itd_prelude::likelihood::{continuous_nll, gaussian_nll, pointwise_nll};
use itd_prelude::logsnr::{LogSnr, LogisticLogSnr};
use itd_prelude::mmse::{
    CurveConfig, gaussian_curve, gaussian_curve_on, mse_curve, mse_curve_with,
};
use itd_prelude::net::exact::{Component, Gaussian, Mixture, Source};
use itd_prelude::{rng, stats};

/// Entropy of `scg`, `ln 2πe + ½ ln(1 − ρ²)`.
const SCG_ENTROPY: f64 = 1.2185;

fn scg_spectrum() -> Spectrum {
    let rows = [vec![1.0, SCG_CORRELATION], vec![SCG_CORRELATION, 1.0]];
    Spectrum::new(vec![0.0; 2], &rows).unwrap()
}

fn quadrature(loc: f64, scale: f64, clip: f64, n: usize) -> LogSnr {
    LogisticLogSnr::new(loc, scale, clip)
        .unwrap()
        .quadrature(n)
        .unwrap()
}

#[test]
fn the_entropy_of_scg_is_the_closed_form() {
    assert!((scg_spectrum().gaussian_entropy().unwrap() - SCG_ENTROPY).abs() < 5e-5);
}

#[test]
fn the_exact_denoiser_has_the_gaussian_curve() {
    let data = data::scg(6000, 1).unwrap().train;
    let truth = scg_spectrum();
    let points = LogisticLogSnr::from_spectrum(&truth)
        .unwrap()
        .quadrature(40)
        .unwrap();
    let curve = mse_curve(&Gaussian::new(&truth, &[2]).unwrap(), &data, &points).unwrap();
    let known = gaussian_curve(&truth, &points).unwrap();
    for j in 0..40 {
        let off = (curve.mse[j] - known.mse[j]).abs() / curve.std_err[j];
        assert!(off < 4.0, "α = {}: {off} standard errors", curve.log_snr[j]);
    }
}

#[test]
fn noise_integrated_out_is_the_mean_over_noise() {
    let data = data::moons(300, 0).unwrap().train.take(20).unwrap();
    let spectrum = scg_spectrum();
    let points = quadrature(1.0, 2.0, 3.0, 7);
    let exact = gaussian_curve_on(&spectrum, &data, &points).unwrap();
    let config = CurveConfig {
        draws: 2000,
        ..Default::default()
    };
    let net = Gaussian::new(&spectrum, &[2]).unwrap();
    let measured = mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(0)).unwrap();
    for (a, b) in exact.errors.iter().zip(&measured.errors) {
        // One draw's spread is about the error itself, or √(2·2).
        let tolerance = 5.0 * f64::from(a.max(2.0)) / 2000f64.sqrt();
        assert!(f64::from((a - b).abs()) < tolerance, "{a} {b}");
    }
}

#[test]
fn a_mismatched_reference_gives_the_entropy() {
    let points = quadrature(1.0, 2.0, 9.0, 2000);
    let standard = Spectrum::standard(2).unwrap();
    // The quadrature alone: the closed-form curve.
    let closed = gaussian_curve(&scg_spectrum(), &points).unwrap();
    let entropy = continuous_nll(&closed, &standard).unwrap();
    let known = scg_spectrum().gaussian_entropy().unwrap();
    assert!((entropy.nats - known).abs() < 1e-4, "{entropy}");
    // The measured curve.
    let data = data::scg(4000, 0).unwrap().train;
    let net = Gaussian::new(&scg_spectrum(), &[2]).unwrap();
    let points = quadrature(1.0, 2.0, 6.0, 100);
    let measured = mse_curve(&net, &data, &points).unwrap();
    let entropy = continuous_nll(&measured, &standard).unwrap();
    assert!(entropy.within(known, 4.0).holds, "{entropy}");
    assert!(entropy.std_err < 0.03, "{entropy}");
    // Sample by sample, on the same samples.
    let pointwise = pointwise_nll(&measured, &standard, &data).unwrap().mean;
    let truth = gaussian_nll(&scg_spectrum(), &data).unwrap();
    assert!(
        (pointwise.nats - truth.nats).abs() < 0.02,
        "{pointwise} {truth}"
    );
}

#[test]
fn pointwise_densities_are_those_of_the_samples() {
    let data = data::scg(200, 3).unwrap().train;
    let (truth, standard) = (scg_spectrum(), Spectrum::standard(2).unwrap());
    let points = quadrature(1.0, 2.0, 6.0, 200);
    let config = CurveConfig {
        draws: 100,
        ..Default::default()
    };
    let net = Gaussian::new(&truth, &[2]).unwrap();
    let curve = mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(0)).unwrap();
    let found = pointwise_nll(&curve, &standard, &data).unwrap().nats;
    let known = truth.neg_log_density(&data.flat().unwrap()).unwrap();
    let squares: Vec<f64> = found
        .iter()
        .zip(&known)
        .map(|(a, b)| (a - b).powi(2))
        .collect();
    let (spread, error) = (stats::variance(&known).sqrt(), stats::mean(&squares).sqrt());
    assert!(error < 0.2 * spread, "{error} {spread}");
}

fn coin() -> Mixture {
    let side = |at| Component::point(1.0, vec![at]).unwrap();
    Mixture::new(&[side(1.0), side(-1.0)]).unwrap()
}

#[test]
fn the_coins_exact_denoiser_has_its_curve() {
    let x: Vec<f32> = (0..4000)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let data = Dataset::new(
        "coin",
        Tensor::from_vec(x, (4000, 1), &Device::Cpu).unwrap(),
    )
    .unwrap();
    // At higher SNR a few unlucky samples make up the whole error, and a standard error says nothing.
    let points = quadrature(-0.5, 1.0, 2.0, 15);
    let curve = mse_curve(&coin(), &data, &points).unwrap();
    for j in 0..15 {
        let gamma = points.log_snr[j].exp();
        let off = (curve.mse[j] - gamma * Source::coin().mmse(gamma)).abs() / curve.std_err[j];
        assert!(off < 4.0, "γ = {gamma}: {off} standard errors");
    }
}

#[test]
fn the_entropy_of_a_mixture_is_that_of_one_dimensional_quadrature() {
    let part = |weight, mean, variance| {
        Component::gaussian(
            weight,
            Spectrum::new(vec![mean], &[vec![variance]]).unwrap(),
        )
    };
    let mixture = Mixture::new(&[part(0.6, -1.5, 0.2), part(0.4, 1.0, 0.5)]).unwrap();
    let step = 1e-3;
    let x: Vec<f32> = (-10_000..10_000)
        .map(|i| (f64::from(i) * step) as f32)
        .collect();
    let logs = mixture
        .log_density(&Tensor::from_vec(x, (20_000, 1), &Device::Cpu).unwrap())
        .unwrap();
    let entropy: f64 = logs.iter().map(|log| -log * log.exp() * step).sum();

    let sample = mixture.sample(4000, &mut rng::seeded(0)).unwrap();
    let data = Dataset::new("mixture", sample).unwrap();
    let points = quadrature(0.5, 2.0, 6.0, 80);
    let curve = mse_curve(&mixture, &data, &points).unwrap();
    for reference in [Spectrum::standard(1).unwrap(), data.spectrum().unwrap()] {
        let found = pointwise_nll(&curve, &reference, &data).unwrap().mean;
        assert!(found.within(entropy, 4.0).holds, "{found} {entropy}");
    }
}

#[test]
fn the_matched_gap_is_never_negative() {
    let part = |mean| Component::gaussian(1.0, Spectrum::new(vec![mean], &[vec![0.1]]).unwrap());
    let mixture = Mixture::new(&[part(-1.0), part(1.0)]).unwrap();
    let data = Dataset::new(
        "two blobs",
        mixture.sample(3000, &mut rng::seeded(1)).unwrap(),
    )
    .unwrap();
    let matched = Spectrum::new(vec![0.0], &[vec![1.1]]).unwrap();
    let points = LogisticLogSnr::from_spectrum(&matched)
        .unwrap()
        .quadrature(40)
        .unwrap();
    let curve = mse_curve(&mixture, &data, &points).unwrap();
    let gauss = gaussian_curve(&matched, &points).unwrap();
    for j in 0..40 {
        assert!(gauss.mse[j] - curve.mse[j] > -4.0 * curve.std_err[j]);
    }
    assert!(area(&gauss, &curve, Fallback::Never).unwrap().nats > 0.2);
}

/// The standard error must be the spread over repetitions, or all tolerances here mean nothing.
#[test]
fn the_standard_error_is_the_spread_over_repetitions() {
    let truth = scg_spectrum();
    let points = quadrature(1.0, 2.0, 5.0, 30);
    let net = Gaussian::new(&truth, &[2]).unwrap();
    let standard = Spectrum::standard(2).unwrap();
    let runs: Vec<_> = (0..60)
        .map(|seed| {
            let data = data::scg(250, seed).unwrap().train;
            let curve = mse_curve_with(
                &net,
                &data,
                &points,
                &CurveConfig::default(),
                &mut rng::seeded(seed),
            );
            continuous_nll(&curve.unwrap(), &standard).unwrap()
        })
        .collect();
    let nats: Vec<f64> = runs.iter().map(|run| run.nats).collect();
    let said: Vec<f64> = runs.iter().map(|run| run.std_err).collect();
    let ratio = stats::mean(&said) / stats::variance(&nats).sqrt();
    // The spread of 60 runs is itself known to 9 %.
    assert!((0.7..1.4).contains(&ratio), "{ratio}");
    let mean_err = stats::std_err(&nats);
    assert!(
        (stats::mean(&nats) - SCG_ENTROPY).abs() < 4.0 * mean_err,
        "{} ± {mean_err}",
        stats::mean(&nats)
    );
}
