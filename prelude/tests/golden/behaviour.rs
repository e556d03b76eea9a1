//! What the networks are beside their numbers: their clock, variance, gradients, fresh parameters.

use std::collections::BTreeMap;

use itd_prelude::candle::{Device, Tensor, Var};
use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::denoiser::{Denoiser, LearnedVariance, Query, Trainable};
use itd_prelude::net::ddpm::DdpmConfig;
use itd_prelude::net::iddpm::{Iddpm, IddpmConfig};
use itd_prelude::rng;
use itd_prelude::schedule::{NoiseSchedule, Time, TimeMap};

use crate::files::Folder;
use crate::formula::{Golden, gap};
use crate::{ddpm_of, iddpm_config, iddpm_of};

#[test]
fn a_network_reads_its_own_clock_and_pictures_do_not_see_each_other() {
    let golden = Golden::open("ddpm");
    let net = ddpm_of(&DdpmConfig::from_json(golden.text("small")).unwrap(), 1);
    let schedule = NoiseSchedule::linear(1000).unwrap();
    // More pictures than go through at once.
    let n = 300;
    let z = rng::normal(&[n, 3, 8, 8], &mut rng::seeded(0)).unwrap();
    let steps: Vec<usize> = (0..n).map(|i| i * 3).collect();
    let tensor = |values: Vec<f32>| Tensor::from_vec(values, n, &Device::Cpu).unwrap();
    let time = tensor(steps.iter().map(|&t| t as f32).collect());
    let alpha = tensor(steps.iter().map(|&t| schedule.log_snr[t] as f32).collect());
    let all = net.denoise(&Query::new(&z, &alpha)).unwrap();
    // Log-SNR in single precision is off by up to 5e-7, which is up to 1e-3 of a step near its top.
    assert!(gap(&all, &net.output(&z, &time).unwrap()) < 1e-3);
    for i in [0, 17, 255, 256, 299] {
        let one = |t: &Tensor| t.narrow(0, i, 1).unwrap();
        let alone = net.denoise(&Query::new(&one(&z), &one(&alpha))).unwrap();
        assert!(gap(&alone, &one(&all)) < 1e-5);
    }
    let published = net.clone().with_time(Time::AsPublished).unwrap();
    let map = TimeMap::ddpm(Time::AsPublished).unwrap();
    let late = alpha.to_vec1::<f32>().unwrap();
    let late = tensor(
        late.iter()
            .map(|&a| map.time(f64::from(a)) as f32)
            .collect(),
    );
    let shifted = published.denoise(&Query::new(&z, &alpha)).unwrap();
    assert_eq!(gap(&shifted, &net.output(&z, &late).unwrap()), 0.0);
    assert!(gap(&shifted, &all) > 1e-3);
}

#[test]
fn the_learned_variance_is_what_follows_the_noise() {
    let net = iddpm_of(&iddpm_config("small"), 1);
    let z = rng::normal(&[2, 3, 8, 8], &mut rng::seeded(0)).unwrap();
    let alpha = Tensor::new(&[-2f32, 5.0], &Device::Cpu).unwrap();
    let (eps, v) = net.denoise_with_variance(&Query::new(&z, &alpha)).unwrap();
    assert_eq!(
        gap(&eps, &net.denoise(&Query::new(&z, &alpha)).unwrap()),
        0.0
    );
    let map = TimeMap::iddpm(Time::Exact).unwrap();
    let time = Tensor::new(&[map.time(-2.0) as f32, map.time(5.0) as f32], &Device::Cpu).unwrap();
    let whole = net.output(&z, &time).unwrap();
    assert_eq!(gap(&v, &whole.narrow(1, 3, 3).unwrap()), 0.0);
    let other = iddpm_of(&iddpm_config("other"), 1);
    let z = rng::normal(&[2, 1, 16, 16], &mut rng::seeded(0)).unwrap();
    assert!(other.denoise(&Query::new(&z, &alpha)).is_ok());
    let error = other
        .denoise_with_variance(&Query::new(&z, &alpha))
        .unwrap_err();
    assert!(error.to_string().contains("learn_sigma"), "{error}");
}

/// Every parameter has a gradient, and the slope along it is that of the function.
fn check_gradients(net: &dyn Trainable, vars: &[Var], z: &Tensor, alpha: &Tensor) {
    let weight = rng::normal(z.dims(), &mut rng::seeded(9)).unwrap();
    let sum = |out: Tensor| (out * &weight).unwrap().sum_all().unwrap();
    let tracked = net.forward(&Query::new(z, alpha)).unwrap();
    let plain = net.denoise(&Query::new(z, alpha)).unwrap();
    assert!(gap(&tracked, &plain) < 1e-5);
    assert!(tracked.track_op() && !plain.track_op());
    let grads = sum(tracked).backward().unwrap();
    // Along one direction for all parameters at once, the derivative by difference.
    let (mut slope, step) = (0.0, 1e-3);
    let mut moved = Vec::new();
    for (i, var) in vars.iter().enumerate() {
        let grad = grads.get(var).expect("each parameter matters");
        let way = rng::normal(var.dims(), &mut rng::seeded(i as u64)).unwrap();
        let way = (way * (1.0 / (var.elem_count() as f64).sqrt())).unwrap();
        let along = (grad * &way).unwrap().sum_all().unwrap();
        slope += f64::from(along.to_scalar::<f32>().unwrap());
        moved.push((var, var.as_tensor().detach().copy().unwrap(), way));
    }
    let at = |side: f64| {
        for (var, value, way) in &moved {
            var.set(&(value + (way * (side * step)).unwrap()).unwrap())
                .unwrap();
        }
        f64::from(
            sum(net.denoise(&Query::new(z, alpha)).unwrap())
                .to_scalar::<f32>()
                .unwrap(),
        )
    };
    let known = (at(1.0) - at(-1.0)) / (2.0 * step);
    at(0.0);
    println!("slope {slope:.4}, by difference {known:.4}");
    assert!(
        (slope - known).abs() < 0.02 * known.abs().max(1.0),
        "{slope} {known}"
    );
}

#[test]
fn both_networks_can_be_trained() {
    let golden = Golden::open("ddpm");
    let alpha = Tensor::new(&[-2f32, 5.0], &Device::Cpu).unwrap();
    let z = rng::normal(&[2, 3, 8, 8], &mut rng::seeded(0)).unwrap();
    let net = ddpm_of(&DdpmConfig::from_json(golden.text("small")).unwrap(), 1);
    check_gradients(&net, &net.vars(), &z, &alpha);
    let config = IddpmConfig {
        learn_sigma: false,
        ..iddpm_config("small")
    };
    let net = iddpm_of(&config, 1);
    check_gradients(&net, &net.vars(), &z, &alpha);
}

#[test]
fn a_seed_fixes_a_fresh_network_and_saved_parameters_come_back() {
    let folder = Folder::new("golden-saved");
    let config = iddpm_config("small");
    let new = |seed| Iddpm::new(&config, seed, &Device::Cpu).unwrap();
    let values = |net: &Iddpm| -> Vec<Tensor> {
        net.parameters()
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    };
    let same = |a: &Iddpm, b: &Iddpm| {
        values(a)
            .iter()
            .zip(values(b))
            .all(|(a, b)| gap(a, &b) == 0.0)
    };
    let (net, twin) = (new(3), new(3));
    assert!(same(&net, &twin) && !same(&net, &new(4)));
    let path = folder.0.join("saved.safetensors");
    Checkpoint::save(&path, &net.parameters(), &BTreeMap::new()).unwrap();
    assert!(same(
        &net,
        &Iddpm::from_checkpoint_with(&path, &config).unwrap()
    ));
}
