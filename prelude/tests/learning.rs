//! What training does: it starts on the Gaussian curve, ends below it, and gives the same every time.

use candle_core::Device;
use itd_prelude::data::{self, Spectrum};
use itd_prelude::likelihood::{continuous_nll, gaussian_nll, pointwise_nll};
use itd_prelude::logsnr::LogisticLogSnr;
use itd_prelude::mmse::{gaussian_curve_on, mse_curve};
use itd_prelude::net::{Denoiser, Mlp, MlpConfig};
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

#[test]
fn a_perceptron_learns_the_correlated_gaussian() {
    let data = data::scg(8000, 0).unwrap();
    let standard = Spectrum::standard(2).unwrap();
    let log_snr = LogisticLogSnr::new(1.0, 2.0, 5.0).unwrap();
    let config = MlpConfig {
        width: 64,
        layers: 3,
        ..Default::default()
    };
    let net = Mlp::new(&config, &standard, data.shape(), &Device::Cpu).unwrap();
    let config = TrainConfig {
        epochs: 20,
        log_snr: Some(log_snr),
        ..Default::default()
    };
    let fit = train(&net, &data.train, &config).unwrap();
    assert!(fit.losses[0] > 2.0 && fit.loss() < 1.6, "{fit}");
    let curve = mse_curve(&net, &data.test, &log_snr.quadrature(60).unwrap()).unwrap();
    let entropy = continuous_nll(&curve, &standard).unwrap();
    assert!(
        (entropy.nats - 1.2185).abs() < 0.1 + 4.0 * entropy.std_err,
        "{entropy}"
    );
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
