//! What training does: it starts on the Gaussian curve, ends below it, and gives the same every time.

use itd_prelude::net::mlp::Input;
use itd_prelude::prelude::*;

#[test]
fn an_untrained_perceptron_lies_on_the_gaussian_curve() {
    let data = digits().unwrap().dequantize(0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let net = Mlp::new(&MlpConfig::default(), &gaussian, data.shape(), &Device::Cpu).unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(15).unwrap();
    let curve = mse_curve(&net, &data.test, &points).unwrap();
    let own = gaussian.curve_on(&data.test, &points).unwrap();
    // Of the same samples: only the noise sets them apart.
    let off = curve.max_z_score(&own).unwrap();
    assert!(off < 4.0, "{off} standard errors");
    let nll = curve.nll(gaussian.on(&data.test)).unwrap();
    let known = gaussian.nll(&data.test).unwrap();
    let apart = nll.minus(&known);
    assert!(apart.within(0.0, 4.0).holds, "{apart}");
    assert!(apart.nats.abs() < known.std_err, "{nll} {known}");
}

/// Trains a perceptron that knows nothing of the data, and gives the entropy that it finds on fresh ones.
fn learned_entropy(
    draw: fn(usize, u64) -> Result<Split>,
    config: MlpConfig,
    q: Logistic,
) -> Estimate {
    let standard = Gaussian::standard(2).unwrap();
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
    let entropy = curve.nll(&standard).unwrap();
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
    let q = Logistic::new(1.0, 2.0, 5.0).unwrap();
    let entropy = learned_entropy(toy::correlated_gaussian, config, q);
    assert!((entropy.nats - 1.2185).abs() < 0.05, "{entropy}");
}

#[test]
fn a_perceptron_learns_the_uniform_square() {
    let config = MlpConfig {
        input: Input::Waves(64),
        ..Default::default()
    };
    // An edge shows itself at high SNR only.
    let q = Logistic::new(2.0, 2.0, 5.0).unwrap();
    let entropy = learned_entropy(toy::uniform_square, config, q);
    let known = 2.0 * (2.0 * 3f64.sqrt()).ln();
    assert!((entropy.nats - known).abs() < 0.05, "{entropy}, {known:.4}");
}

#[test]
fn a_perceptron_beats_the_gaussian_on_held_out_digits() {
    let raw = digits().unwrap();
    let data = raw.dequantize(0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let net = Mlp::new(&MlpConfig::default(), &gaussian, data.shape(), &Device::Cpu).unwrap();
    let config = TrainConfig {
        epochs: 60,
        dequantize: true,
        ..Default::default()
    };
    train(&net, &raw.train, &config).unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(40).unwrap();
    let curve = mse_curve(&net, &data.test, &points).unwrap();
    let nll = curve.nll(gaussian.on(&data.test)).unwrap();
    let own = gaussian.nll(&data.test).unwrap();
    println!("perceptron {nll}, Gaussian {own}");
    // Far below: not only pair by pair, but as two numbers of different samples, too.
    let independent = nll.std_err.hypot(own.std_err);
    assert!(nll.below(&own, 3.0).holds, "{nll} {own}");
    assert!(own.nats - nll.nats > 3.0 * independent, "{nll} {own}");
    assert_eq!(net.dim(), 64);
}
