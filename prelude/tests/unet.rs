//! What a U-Net learns, and how training tells it classes.

use itd_prelude::denoiser::Trainable;
use itd_prelude::prelude::*;
use itd_prelude::train::loss;
use itd_prelude::{data::ConditionKind, denoiser::Query};

/// One level, eight channels: for questions that size does not answer.
fn tiny() -> UNetConfig {
    UNetConfig {
        channels: vec![8],
        groups: 2,
        attention: vec![],
        ..UNetConfig::small()
    }
}

/// `n` pictures of 4×4, `N(−0.6, 0.3²)` in each pixel if their class is 0, `N(0.6, 0.3²)` if it is 1.
fn two_classes(n: usize) -> Dataset {
    let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
    let means: Vec<f32> = labels.iter().map(|&l| 1.2 * l as f32 - 0.6).collect();
    let means = Tensor::from_vec(means, (n, 1, 1, 1), &Device::Cpu).unwrap();
    let noise = (rng::normal(&[n, 1, 4, 4], &mut rng::seeded(0)).unwrap() * 0.3).unwrap();
    let data = Dataset::new("two", noise.broadcast_add(&means).unwrap()).unwrap();
    data.given(Condition::Class(labels)).unwrap()
}

#[test]
fn an_untrained_network_lies_on_the_curve_of_an_isotropic_gaussian() {
    let config = UNetConfig {
        data_std: 0.3,
        ..tiny()
    };
    let net = UNet::new(&config, &[1, 4, 4], &Device::Cpu).unwrap();
    let x = (rng::normal(&[2000, 1, 4, 4], &mut rng::seeded(1)).unwrap() * 0.3).unwrap();
    let data = Dataset::new("isotropic", x).unwrap();
    let truth = Gaussian::diagonal(vec![0.0; 16], vec![0.09; 16]).unwrap();
    let points = Logistic::matched(&truth).unwrap().quadrature(12).unwrap();
    let curve = mse_curve(&net, &data, &points).unwrap();
    let off = curve.max_z_score(&truth.curve(&points).unwrap()).unwrap();
    assert!(off < 4.0, "{off}");
}

#[test]
fn a_unet_beats_the_gaussian_on_held_out_digits() {
    let raw = digits().unwrap();
    let data = raw.dequantize(0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let config = UNetConfig {
        channels: vec![12, 16],
        groups: 4,
        ..UNetConfig::small()
    };
    let net = UNet::new(&config, data.shape(), &Device::Cpu).unwrap();
    let config = TrainConfig {
        epochs: 8,
        batch: 48,
        learning_rate: 4e-3,
        ema_decay: Some(0.98),
        dequantize: true,
        ..Default::default()
    };
    let fit = train(&net, &raw.train, &config).unwrap();
    assert!(fit.loss[0] > 30.0, "{fit}");
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(24).unwrap();
    let curve = mse_curve(&net, &data.test, &points).unwrap();
    let nll = curve.nll(gaussian.on(&data.test)).unwrap();
    let own = gaussian.nll(&data.test).unwrap();
    println!("U-Net {nll}, Gaussian {own}");
    // Far below: not only pair by pair, but as two numbers of different samples, too.
    let independent = nll.std_err.hypot(own.std_err);
    assert!(nll.below(&own, 3.0).holds, "{nll} {own}");
    assert!(own.nats - nll.nats > 3.0 * independent, "{nll} {own}");
}

#[test]
fn a_network_that_is_told_classes_tells_them_apart() {
    let data = two_classes(1000);
    let config = UNetConfig {
        condition: Some(ConditionKind::Class { classes: 2 }),
        ..tiny()
    };
    let net = UNet::new(&config, data.shape(), &Device::Cpu).unwrap();
    let config = TrainConfig {
        epochs: 40,
        condition_dropout: 0.3,
        ..Default::default()
    };
    train(&net, &data, &config).unwrap();
    // Nearly all of z is noise: what is left is what one knows of the class.
    let n = 64;
    let alpha = Tensor::full(-6f32, n, &Device::Cpu).unwrap();
    let z = rng::normal(&[n, 1, 4, 4], &mut rng::seeded(2)).unwrap();
    let mean = |net: &dyn Denoiser| {
        let eps = net.denoise(&Query::new(&z, &alpha)).unwrap();
        let x = channel::eps_to_x(&z, &eps, &alpha).unwrap();
        x.mean_all().unwrap().to_scalar::<f32>().unwrap()
    };
    let class = |class| Conditional::class(net.clone(), class).unwrap();
    let (low, high) = (mean(&class(0)), mean(&class(1)));
    let between = mean(&net);
    assert!(
        (low + 0.6).abs() < 0.2 && (high - 0.6).abs() < 0.2,
        "{low} {high}"
    );
    assert!(between.abs() < 0.25, "{between}");
    assert!(mean(&class(1).guided(1.0).unwrap()) > high + 0.2);
    // Knowing the class saves no more than ln 2 nats, and with classes this far apart nearly that.
    let ones = data.by_class(1).unwrap();
    let gaussian = data.gaussian().unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(30).unwrap();
    let nll = |net: &dyn Denoiser| mse_curve(net, &ones, &points).unwrap().area().unwrap().nats;
    let saved = nll(&net) - nll(&class(1));
    assert!((saved - 2f64.ln()).abs() < 0.35, "{saved}");
}

#[test]
fn labels_reach_the_loss() {
    let config = UNetConfig {
        condition: Some(ConditionKind::Class { classes: 2 }),
        ..tiny()
    };
    let net = UNet::new(&config, &[1, 4, 4], &Device::Cpu).unwrap();
    let mut rng = rng::seeded(3);
    for var in net.vars() {
        let noise = rng::normal(var.dims(), &mut rng).unwrap();
        var.set(&(noise * 0.3).unwrap()).unwrap();
    }
    let data = two_classes(8);
    let eps = rng::normal(data.x.dims(), &mut rng).unwrap();
    let proposal = Logistic::new(0.0, 2.0, 4.0).unwrap();
    let points = proposal.sample(8, &mut rng).unwrap();
    let nats = |class: Option<u32>| {
        let y = class.map(|class| Condition::Class(vec![class; 8]));
        let loss = loss(&net, &data.x, &eps, &points, y.as_ref()).unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    assert!(nats(Some(0)) != nats(Some(1)) && nats(Some(0)) != nats(None));
}

#[test]
fn classes_that_do_not_fit_are_refused() {
    let short = TrainConfig {
        epochs: 1,
        ..Default::default()
    };
    let net = |classes: Option<usize>| {
        let condition = classes.map(|classes| ConditionKind::Class { classes });
        let config = UNetConfig {
            condition,
            ..tiny()
        };
        UNet::new(&config, &[1, 4, 4], &Device::Cpu).unwrap()
    };
    let data = two_classes(64);
    let mismatch = |classes, data: &Dataset| {
        let error = train(&net(Some(classes)), data, &short).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    };
    // One class too few; other names than classes; labels missing.
    mismatch(1, &data);
    let mut named = data.clone();
    named.classes = ["a", "b", "c"].map(String::from).to_vec();
    mismatch(2, &named);
    let mut fewer = data.clone();
    fewer.y = Some(Condition::Class(vec![0; 63]));
    mismatch(2, &fewer);
    // Classes that nobody would learn; a network that asks for none.
    let mut bare = data.clone();
    bare.y = None;
    let untold = train(&net(Some(2)), &bare, &short).unwrap_err();
    assert!(matches!(untold, Error::Missing { .. }), "{untold}");
    train(&net(None), &named, &short).unwrap();
}

#[test]
fn labels_that_nobody_asks_for_change_nothing() {
    let losses = |data: &Dataset, condition_dropout| {
        let net = UNet::new(&tiny(), &[1, 4, 4], &Device::Cpu).unwrap();
        let config = TrainConfig {
            epochs: 2,
            condition_dropout,
            ..Default::default()
        };
        train(&net, data, &config).unwrap().loss
    };
    let data = two_classes(256);
    let mut bare = data.clone();
    bare.y = None;
    assert_eq!(losses(&data, 0.1), losses(&bare, 0.9));
}
