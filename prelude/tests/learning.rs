//! What training does: it starts on the Gaussian curve, ends below it, and gives the same every time.

use candle_core::Device;
use itd_prelude::Result;
use itd_prelude::data::{self, Spectrum, Split};
use itd_prelude::denoiser::Denoiser;
use itd_prelude::estimate::Estimate;
use itd_prelude::likelihood::{continuous_nll, gaussian_nll, pointwise_nll};
use itd_prelude::logsnr::LogisticLogSnr;
use itd_prelude::mmse::{gaussian_curve_on, mse_curve};
use itd_prelude::net::mlp::Input;
use itd_prelude::net::{Mlp, MlpConfig};
use itd_prelude::train::{TrainConfig, train};

#[test]
fn an_untrained_perceptron_lies_on_the_gaussian_curve() {
    let data = data::digits().unwrap().dequantize(0).unwrap();
    let spectrum = data.train.spectrum().unwrap();
    let net = Mlp::new(&MlpConfig::default(), &spectrum, data.shape(), &Device::Cpu).unwrap();
    let points = LogisticLogSnr::from_spectrum(&spectrum)
        .unwrap()
        .quadrature(15)
        .unwrap();
    let curve = mse_curve(&net, &data.test, &points).unwrap();
    let gauss = gaussian_curve_on(&spectrum, &data.test, &points).unwrap();
    for j in 0..15 {
        let off = (curve.mse[j] - gauss.mse[j]).abs() / curve.std_err[j];
        assert!(off < 4.0, "α = {}: {off}", curve.log_snr[j]);
    }
    let nll = pointwise_nll(&curve, &spectrum, &data.test).unwrap().mean;
    let known = gaussian_nll(&spectrum, &data.test).unwrap();
    assert!(
        (nll.nats - known.nats).abs() < known.std_err,
        "{nll} {known}"
    );
}

/// Trains a perceptron that knows nothing of the data, and gives the entropy that it finds on fresh ones.
fn learned_entropy(
    draw: fn(usize, u64) -> Result<Split>,
    config: MlpConfig,
    q: LogisticLogSnr,
) -> Estimate {
    let standard = Spectrum::standard(2).unwrap();
    let net = Mlp::new(&config, &standard, &[2], &Device::Cpu).unwrap();
    let config = TrainConfig {
        steps: Some(4000),
        batch: 256,
        log_snr: Some(q),
        ..Default::default()
    };
    let fit = train(&net, &draw(60_000, 0).unwrap().train, &config).unwrap();
    let fresh = draw(20_000, 1).unwrap().train;
    let curve = mse_curve(&net, &fresh, &q.quadrature(100).unwrap()).unwrap();
    let entropy = continuous_nll(&curve, &standard).unwrap();
    println!(
        "{}: {entropy} after {:.1} s of training; {fit}",
        fresh.name, fit.seconds
    );
    entropy
}

#[test]
fn a_perceptron_learns_the_correlated_gaussian() {
    let config = MlpConfig {
        width: 64,
        layers: 3,
        ..Default::default()
    };
    let q = LogisticLogSnr::new(1.0, 2.0, 5.0).unwrap();
    let entropy = learned_entropy(data::scg, config, q);
    assert!((entropy.nats - 1.2185).abs() < 0.05, "{entropy}");
}

#[test]
fn a_perceptron_learns_the_uniform_square() {
    let config = MlpConfig {
        input: Input::Waves(64),
        ..Default::default()
    };
    // An edge shows itself at high SNR only.
    let q = LogisticLogSnr::new(2.0, 2.0, 5.0).unwrap();
    let entropy = learned_entropy(data::line, config, q);
    let known = 2.0 * (2.0 * 3f64.sqrt()).ln();
    assert!((entropy.nats - known).abs() < 0.05, "{entropy}, {known:.4}");
}

#[test]
fn a_perceptron_beats_the_gaussian_on_held_out_digits() {
    let raw = data::digits().unwrap();
    let data = raw.dequantize(0).unwrap();
    let spectrum = data.train.spectrum().unwrap();
    let net = Mlp::new(&MlpConfig::default(), &spectrum, data.shape(), &Device::Cpu).unwrap();
    let config = TrainConfig {
        epochs: 60,
        dequantize: true,
        ..Default::default()
    };
    train(&net, &raw.train, &config).unwrap();
    let points = LogisticLogSnr::from_spectrum(&spectrum)
        .unwrap()
        .quadrature(40)
        .unwrap();
    let curve = mse_curve(&net, &data.test, &points).unwrap();
    let nll = pointwise_nll(&curve, &spectrum, &data.test).unwrap().mean;
    let gauss = gaussian_nll(&spectrum, &data.test).unwrap();
    assert!(nll.below(&gauss, 3.0).holds, "{nll} {gauss}");
    assert_eq!(net.dim(), 64);
}
