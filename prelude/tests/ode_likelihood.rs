//! The likelihood of the probability-flow ODE against densities that are known.

use itd_prelude::distribution::{Component, MixtureDenoiser};
use itd_prelude::likelihood::{Derivative, OdeNll, Trace};
use itd_prelude::prelude::*;
use itd_prelude::stats;
use itd_prelude::{
    denoiser::FnDenoiser, denoiser::Parametrization, denoiser::Query, likelihood::OdeConfig,
};

fn exact() -> OdeConfig {
    OdeConfig {
        trace: Trace::Exact,
        ..Default::default()
    }
}

fn nll(net: &dyn Denoiser, x: &Tensor, config: &OdeConfig) -> OdeNll {
    let data = Dataset::new("points", x.clone()).unwrap();
    ode_nll(net, &data, config).unwrap()
}

/// The value of each sample.
fn values(found: &OdeNll) -> &[f64] {
    found.mean.per_sample().unwrap()
}

fn furthest(found: &OdeNll, known: &[f64]) -> f64 {
    assert_eq!(values(found).len(), known.len());
    let gap = values(found).iter().zip(known).map(|(a, b)| (a - b).abs());
    gap.fold(0.0, f64::max)
}

fn blobs() -> Mixture {
    let part = |weight, x: f64, y: f64, (xx, xy, yy): (f64, f64, f64)| {
        let blob = Gaussian::new(&[x, y], &[[xx, xy], [xy, yy]]);
        (weight, blob.unwrap())
    };
    Mixture::new(&[
        part(0.5, -1.2, 0.3, (0.09, 0.05, 0.16)),
        part(0.3, 1.0, 1.0, (0.25, -0.1, 0.09)),
        part(0.2, 0.8, -1.3, (0.04, 0.0, 0.3)),
    ])
    .unwrap()
}

/// Some of its samples, `−ln p` of each, and its denoiser.
fn drawn(mixture: &Mixture, n: usize, seed: u64) -> (Tensor, Vec<f64>, MixtureDenoiser) {
    let x = mixture.sample(n, &mut rng::seeded(seed)).unwrap();
    let net = mixture.denoiser(&[mixture.dim()]).unwrap();
    let known = negative(mixture.log_prob(&x).unwrap());
    (x, known, net)
}

fn negative(log: Vec<f64>) -> Vec<f64> {
    log.into_iter().map(|log| -log).collect()
}

#[test]
fn a_gaussian_has_its_density() {
    let covariance = [[1.5, 0.4, 0.0], [0.4, 0.5, 0.1], [0.0, 0.1, 0.05]];
    let gaussian = Gaussian::new(&[0.5, -1.0, 2.0], &covariance).unwrap();
    let x = rng::normal(&[60, 3], &mut rng::seeded(1)).unwrap();
    let centre = Tensor::new(&[[0.5f32, -1.0, 2.0]], &Device::Cpu).unwrap();
    let x = (x * 0.2).unwrap().broadcast_add(&centre).unwrap();
    let known = negative(gaussian.log_prob(&x).unwrap());
    let net = gaussian.denoiser(&[3]).unwrap();
    let found = nll(&net, &x, &exact());
    println!("Gaussian: {:.1e} nats", furthest(&found, &known));
    assert!(furthest(&found, &known) < 1e-3);
    assert!(found.std_err.iter().all(|&error| error == 0.0));
    assert!((found.mean.nats - stats::mean(&known)).abs() < 1e-3);
    assert_eq!((found.mean.n, found.mean.dim), (60, Some(3)));
    // Differences in place of gradients, and small batches.
    let config = OdeConfig {
        derivative: Derivative::Difference,
        batch: 7,
        ..exact()
    };
    assert!(furthest(&nll(&net, &x, &config), &known) < 5e-3);
}

#[test]
fn a_mixture_has_its_density() {
    let (x, known, net) = drawn(&blobs(), 300, 1);
    let gaps = [25, 50, 100, 200].map(|steps| {
        let config = OdeConfig { steps, ..exact() };
        let found = nll(&net, &x, &config);
        let pairs = values(&found).iter().zip(&known);
        pairs.map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
    });
    let errors = [0, 1, 2, 3].map(|i| stats::mean(&gaps[i]));
    println!("mixture, 25 to 200 steps: {errors:.6?} nats in the mean");
    assert!(errors[2] < 1e-4 && errors[3] < 2e-5);
    let order = (errors[0] / errors[3]).log2() / 3.0;
    assert!(order > 3.5, "{order}");
    // A few samples lie where the parts separate, and the steps are coarse there: their errors are a hundred times
    // the mean. About one sample in 300 is beyond the first limit, one in 3000 beyond the second.
    let beyond = |i: usize, limit: f64| gaps[i].iter().filter(|gap| **gap > limit).count();
    let counts = (beyond(2, 1e-3), beyond(3, 5e-4));
    assert!(counts.0 <= 6 && counts.1 <= 3, "{counts:?}");
}

#[test]
fn probes_know_their_error() {
    let (x, known, net) = drawn(&blobs(), 400, 2);
    for trace in [Trace::Rademacher(20), Trace::Normal(20)] {
        let config = OdeConfig {
            trace,
            ..Default::default()
        };
        let found = nll(&net, &x, &config);
        // In standard errors; of 20 probes, Student's t with 19 degrees of freedom: variance 19/17.
        let off: Vec<f64> = (0..400)
            .map(|i| (values(&found)[i] - known[i]) / found.std_err[i])
            .collect();
        let (mean, variance) = (stats::mean(&off), stats::variance(&off));
        let error = stats::mean(&found.std_err);
        println!(
            "{trace:?}: ±{error:.3} nats, {mean:.2} ± {:.2} of them",
            variance.sqrt()
        );
        assert!(mean.abs() < 4.0 * (19.0 / 17.0 / 400f64).sqrt(), "{mean}");
        assert!((0.85..1.45).contains(&variance), "{variance}");
        let apart = found.mean.nats - stats::mean(&known);
        let probes = error / 400f64.sqrt();
        assert!(apart.abs() < 5.0 * probes, "{apart} {probes}");
        let again = nll(
            &net,
            &x,
            &OdeConfig {
                batch: 150,
                ..config
            },
        );
        assert!(
            furthest(&again, values(&found)) < 1e-3,
            "the batch size matters"
        );
    }
    // One probe does not know.
    let config = OdeConfig {
        trace: Trace::Rademacher(1),
        steps: 10,
        ..Default::default()
    };
    assert!(
        nll(&net, &x, &config)
            .std_err
            .iter()
            .all(|error| error.is_nan())
    );
}

/// Many narrow parts along an outline, as the density of the dinosaur is.
#[test]
fn the_dinosaur_has_its_density() {
    let data = toy::dino(2000, 0).unwrap();
    let centres = data
        .train
        .take(50)
        .unwrap()
        .flat()
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let parts: Vec<(f64, Gaussian)> = centres
        .iter()
        .map(|c| {
            let mean = c.iter().map(|&v| f64::from(v)).collect();
            (1.0, Gaussian::diagonal(mean, vec![0.0025; 2]).unwrap())
        })
        .collect();
    let (x, known, net) = drawn(&Mixture::new(&parts).unwrap(), 100, 3);
    let config = OdeConfig {
        steps: 150,
        ..exact()
    };
    let found = nll(&net, &x, &config);
    let (gap, mean) = (furthest(&found, &known), stats::mean(&known));
    println!(
        "dinosaur: {:.4} and {mean:.4} nats, at most {gap:.1e} apart",
        found.mean.nats
    );
    assert!((found.mean.nats - mean).abs() < 1e-3 && gap < 0.02);
}

#[test]
fn networks_without_a_gradient_are_refused_and_have_a_way_out() {
    let parts = [
        (0.6, Component::Normal(-1.0, 0.2)),
        (0.4, Component::Normal(1.0, 0.05)),
    ];
    let scalar = Scalar::new(&parts).unwrap();
    let net = scalar.denoiser(&[1]).unwrap();
    let x = Distribution::sample(&scalar, 50, &mut rng::seeded(4)).unwrap();
    let data = Dataset::new("numbers", x.clone()).unwrap();
    let fail = |net: &dyn Denoiser| ode_nll(net, &data, &exact()).unwrap_err();
    let none = fail(&net);
    assert_eq!(none.name(), "Missing");
    assert!(
        none.to_string().contains("Derivative::Difference"),
        "{none}"
    );
    // A part of this one goes through candle, so that there is a gradient, but not the right one.
    let part = FnDenoiser::new(&[1], Parametrization::Eps, |query| {
        let still = Query::new(&query.z.detach(), &query.log_snr);
        Ok(((net.denoise(query)? * 0.5)?
            + (net.denoise(&still)? * 0.5)?
            + ((&query.z - &still.z)? * 0.3)?)?)
    });
    let wrong = fail(&part);
    assert_eq!(wrong.name(), "Mismatch", "{wrong}");
    let difference = OdeConfig {
        derivative: Derivative::Difference,
        ..exact()
    };
    let known = negative(scalar.log_prob(&x).unwrap());
    let found = nll(&net, &x, &difference);
    println!("by differences: {:.1e} nats", furthest(&found, &known));
    assert!(furthest(&found, &known) < 5e-3);
}

#[test]
fn a_trained_network_is_followed() {
    let data = toy::moons(2000, 0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let config = MlpConfig {
        width: 32,
        layers: 2,
        ..Default::default()
    };
    // Untrained it is the Gaussian denoiser, by construction; its gradient goes through all layers.
    let net = Mlp::new(&config, &gaussian, &[2], &Device::Cpu).unwrap();
    let x = data.test.take(40).unwrap();
    let found = ode_nll(&net, &x, &exact()).unwrap();
    let known = negative(gaussian.log_prob(&x.x).unwrap());
    assert!(
        furthest(&found, &known) < 2e-3,
        "{}",
        furthest(&found, &known)
    );
    let rounding = Rounding::Soft(Grid::new(-2.0, 2.0, 9).unwrap());
    let rounded = ode_nll(&net.rounded(rounding), &x, &exact());
    assert_eq!(rounded.unwrap_err().name(), "Mismatch");
}

#[test]
fn what_cannot_be_is_refused() {
    let net = Gaussian::standard(2).unwrap().denoiser(&[2]).unwrap();
    let data = toy::correlated_gaussian(100, 0).unwrap().test;
    let run = |config: OdeConfig| ode_nll(&net, &data, &config).unwrap_err().to_string();
    let base = OdeConfig::default;
    for log_snr in [(3.0, -3.0), (f64::NAN, 3.0), (-3.0, f64::INFINITY)] {
        assert!(run(OdeConfig { log_snr, ..base() }).starts_with("log_snr"));
    }
    assert!(run(OdeConfig { steps: 0, ..base() }).starts_with("steps"));
    assert!(run(OdeConfig { batch: 0, ..base() }).starts_with("batch"));
    let trace = Trace::Rademacher(0);
    assert!(run(OdeConfig { trace, ..base() }).starts_with("trace"));
    let digits = digits().unwrap().test;
    assert!(ode_nll(&net, &digits, &base()).is_err());
    let broken = FnDenoiser::new(&[2], Parametrization::Eps, |query| {
        Ok((&query.z * f64::NAN)?)
    });
    let error = ode_nll(&broken, &data, &base()).unwrap_err();
    assert_eq!(error.name(), "NotFinite");
}
