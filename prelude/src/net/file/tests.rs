use std::path::PathBuf;

use candle_core::Var;

use super::*;
use crate::data::{Condition, ConditionKind};
use crate::denoiser::{Conditional, Query, Trainable};
use crate::distribution::Gaussian;
use crate::net::{Ddpm, DdpmConfig, Iddpm, IddpmConfig, Mlp, MlpConfig, UNet, UNetConfig};
use crate::rng;
use crate::schedule::{NoiseSchedule, Time, TimeMap};

fn net() -> UNet {
    let config = UNetConfig {
        channels: vec![4, 8],
        heads: 2,
        groups: 2,
        condition: Some(ConditionKind::Class { classes: 3 }),
        data_std: 0.1 + 0.2,
        seed: 5,
        ..UNetConfig::small()
    };
    let net = UNet::new(&config, &[2, 5, 3], &Device::Cpu).unwrap();
    for (seed, var) in (0..).zip(net.vars()) {
        let noise = rng::normal(var.dims(), &mut rng::seeded(seed)).unwrap();
        var.set(&noise).unwrap();
    }
    net
}

/// A path that is removed in the end.
struct Spot(PathBuf);

impl Spot {
    fn new(name: &str) -> Self {
        let name = format!("itd-unet-{name}-{}.safetensors", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

type Parts = (Vec<(String, Tensor)>, BTreeMap<String, String>);

/// What a file of [`net`] holds.
fn parts(name: &str) -> Parts {
    let spot = Spot::new(name);
    let net = net();
    net.save(&spot.0).unwrap();
    let file = Checkpoint::open(&spot.0).unwrap();
    (net.tensors(), file.metadata().clone())
}

#[test]
fn a_network_comes_back_bit_for_bit() {
    let (spot, net) = (Spot::new("round-trip"), net());
    net.save(&spot.0).unwrap();
    let again = UNet::load(&spot.0, &Device::Cpu).unwrap();
    assert_eq!(again.config(), net.config());
    assert_eq!(again.shape(), net.shape());
    for ((name, old), (other, new)) in net.tensors().iter().zip(&again.tensors()) {
        let bits = |t: &Tensor| -> Vec<u32> {
            let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        assert_eq!((name, bits(old)), (other, bits(new)));
    }
    let z = rng::normal(&[3, 2, 5, 3], &mut rng::seeded(0)).unwrap();
    let alpha = Tensor::new(&[-3f32, 1.0, 6.0], &Device::Cpu).unwrap();
    let eps = |net: &UNet| {
        let eps = Conditional::class(net, 2)
            .unwrap()
            .denoise(&Query::new(&z, &alpha))
            .unwrap();
        eps.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(eps(&net), eps(&again));
    // What was read can be trained, and saved over itself.
    again.vars()[0]
        .set(&net.vars()[0].zeros_like().unwrap())
        .unwrap();
    again.save(&spot.0).unwrap();
    let third = UNet::load(&spot.0, &Device::Cpu).unwrap();
    assert_eq!(eps(&third), eps(&again));
    assert_ne!(eps(&third), eps(&net));
}

#[test]
fn files_that_are_no_such_network_are_refused() {
    let refused = |name: &str, change: &dyn Fn(&mut Parts)| -> String {
        let spot = Spot::new(name);
        let mut parts = parts(name);
        change(&mut parts);
        Checkpoint::save(&spot.0, &parts.0, &parts.1).unwrap();
        let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        error.to_string()
    };
    let set = |key: &'static str, value: &'static str| {
        move |parts: &mut Parts| {
            parts.1.insert(key.into(), value.into());
        }
    };
    let gone = |key: &'static str| move |parts: &mut Parts| drop(parts.1.remove(key));
    assert!(refused("kind", &gone(KIND)).contains("kind of network"));
    assert!(refused("other", &set(KIND, "mlp")).contains("mlp"));
    assert!(refused("config", &gone(CONFIG)).contains("missing from the metadata"));
    assert!(refused("no-json", &set(CONFIG, "{")).contains("settings"));
    assert!(refused("null", &set(CONFIG, "null")).contains("settings"));
    assert!(refused("shape", &gone(SHAPE)).contains("shape of a sample"));
    assert!(refused("flat", &set(SHAPE, "[30]")).contains("[30]"));
    assert!(refused("minus", &set(SHAPE, "[-1, 5, 3]")).contains("shape of a sample"));
    let huge = "[18446744073709551615, 18446744073709551615, 2]";
    assert!(refused("huge-shape", &set(SHAPE, huge)).contains("setting"));
    let swap = |from: &'static str, to: &'static str| {
        move |parts: &mut Parts| {
            let config = parts.1.get_mut(CONFIG).unwrap();
            assert!(config.contains(from), "{config}");
            *config = config.replace(from, to);
        }
    };
    let unknown = swap("\"blocks\":1", "\"blocks\":1,\"dropout\":0.1");
    assert!(refused("unknown", &unknown).contains("dropout"));
    let bad = swap("\"groups\":2", "\"groups\":3");
    assert!(refused("groups", &bad).contains("groups is 3"));
    let nan = swap("0.30000000000000004", "NaN");
    assert!(refused("nan-setting", &nan).contains("data_std"));
    // Settings of a network of several gigabytes, in a file of a few kilobytes.
    let huge = swap("[4,8]", "[4096,4096,4096,4096,4096,4096,4096,4096]");
    assert!(refused("huge", &huge).contains("stem.weight"));
    assert!(refused("wider", &swap("[4,8]", "[4,16]")).contains("middle.0.first.weight"));
    assert!(refused("less", &|parts| drop(parts.0.pop())).contains("out.bias"));
    let more = |parts: &mut Parts| {
        let extra = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        parts.0.push(("extra".into(), extra));
    };
    assert!(refused("more", &more).contains("extra"));
    let turned = |parts: &mut Parts| {
        let last = parts.0.last_mut().unwrap();
        last.1 = last.1.unsqueeze(0).unwrap();
    };
    assert!(refused("turned", &turned).contains("out.bias"));
}

#[test]
fn a_broken_file_is_refused_and_a_failed_save_leaves_the_old_one() {
    let (spot, net) = (Spot::new("broken"), net());
    net.save(&spot.0).unwrap();
    let whole = std::fs::read(&spot.0).unwrap();
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&spot.0, &whole[..length]).unwrap();
        assert!(UNet::load(&spot.0, &Device::Cpu).is_err(), "{length}");
    }
    // The last four bytes are a parameter.
    let mut nan = whole.clone();
    let end = nan.len() - 4;
    nan[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&spot.0, &nan).unwrap();
    let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("finite"), "{error}");
    std::fs::remove_file(&spot.0).unwrap();
    let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let nowhere = spot.0.join("no/such/folder");
    assert!(matches!(net.save(nowhere), Err(Error::File { .. })));
}

/// Other numbers for all parameters.
fn stir(net: &dyn Trainable) {
    let set = |(seed, var): (u64, Var)| {
        let noise = rng::normal(var.dims(), &mut rng::seeded(seed)).unwrap();
        var.set(&(noise * 0.2).unwrap()).unwrap();
    };
    (0..).zip(net.vars()).for_each(set);
}

/// Saves a network, reads it again, and holds the estimates of both beside each other, bit for bit; then refuses the
/// file as each of the other kinds, without one of its tensors, and with a setting too many.
fn comes_back<N: Saved>(net: &N, query: &Query) -> N {
    let spot = Spot::new(&format!("each-{}-{}", N::KIND, query.y.is_some()));
    save(net, &spot.0).unwrap();
    let again: N = load(&spot.0, &Device::Cpu).unwrap();
    let eps = |net: &N| {
        net.denoise(query)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    assert_eq!(eps(net), eps(&again));
    assert_eq!(net.shape(), again.shape());
    assert_eq!(net.condition(), again.condition());
    let refused = [
        load::<Mlp>(&spot.0, &Device::Cpu).err(),
        load::<UNet>(&spot.0, &Device::Cpu).err(),
        load::<Ddpm>(&spot.0, &Device::Cpu).err(),
        load::<Iddpm>(&spot.0, &Device::Cpu).err(),
    ];
    let told = |error: &Error| error.to_string().contains(N::KIND);
    assert_eq!(
        refused.iter().flatten().filter(|error| told(error)).count(),
        3
    );
    let metadata = Checkpoint::open(&spot.0).unwrap().metadata().clone();
    let tensors = net.tensors();
    for i in [0, tensors.len() / 2, tensors.len() - 1] {
        let mut less = tensors.clone();
        let (name, _) = less.remove(i);
        Checkpoint::save(&spot.0, &less, &metadata).unwrap();
        let error = load::<N>(&spot.0, &Device::Cpu).err().unwrap();
        assert!(
            matches!(error, Error::Format { .. }) && error.to_string().contains(&name),
            "{error}"
        );
    }
    let mut more = metadata.clone();
    let config = more.get_mut(CONFIG).unwrap();
    *config = format!("{{\"surplus\":1,{}", &config[1..]);
    Checkpoint::save(&spot.0, &tensors, &more).unwrap();
    let error = load::<N>(&spot.0, &Device::Cpu).err().unwrap();
    assert!(error.to_string().contains("surplus"), "{error}");
    let mut flat = metadata;
    flat.insert(SHAPE.into(), "[7, 0]".into());
    Checkpoint::save(&spot.0, &tensors, &flat).unwrap();
    let error = load::<N>(&spot.0, &Device::Cpu).err().unwrap();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    again
}

fn query(shape: &[usize]) -> Query {
    let z = rng::normal(&[&[3], shape].concat(), &mut rng::seeded(0)).unwrap();
    Query::new(&z, &Tensor::new(&[-3f32, 1.0, 6.0], &Device::Cpu).unwrap())
}

#[test]
fn every_kind_of_network_comes_back() {
    let y = rng::normal(&[3, 2], &mut rng::seeded(1)).unwrap();
    let y = Condition::vectors(&y).unwrap();
    let condition = Some(ConditionKind::Vector { dim: 2 });
    let data = rng::normal(&[40, 4], &mut rng::seeded(2)).unwrap();
    let data = crate::data::Dataset::new("some", data).unwrap();
    for gaussian in [Gaussian::standard(4).unwrap(), data.gaussian().unwrap()] {
        let config = MlpConfig {
            width: 8,
            condition,
            input: crate::net::mlp::Input::Waves(3),
            ..Default::default()
        };
        let net = Mlp::new(&config, &gaussian, &[2, 2], &Device::Cpu).unwrap();
        stir(&net);
        comes_back(&net, &query(&[2, 2]));
        let again = comes_back(&net, &query(&[2, 2]).given(y.clone()));
        assert_eq!(again.config(), net.config());
    }
    let config = UNetConfig {
        channels: vec![4, 8],
        heads: 2,
        groups: 2,
        condition,
        ..UNetConfig::small()
    };
    let net = UNet::new(&config, &[1, 5, 3], &Device::Cpu).unwrap();
    stir(&net);
    comes_back(&net, &query(&[1, 5, 3]).given(y));

    let config = DdpmConfig {
        block_out_channels: vec![8; 4],
        norm_num_groups: 4,
        mid_block_scale_factor: 2f64.sqrt(),
        ..DdpmConfig::cifar10()
    };
    let net = Ddpm::new(&config, 0, &Device::Cpu).unwrap();
    stir(&net);
    let own = TimeMap::Steps {
        schedule: NoiseSchedule::cosine(30).unwrap(),
        scale: 1.0 / 3.0,
    };
    for clock in [
        TimeMap::ddpm(Time::Exact).unwrap(),
        TimeMap::PublishedDdpm,
        own,
    ] {
        let net = net.clone().with_clock(clock).with_size(16, 8).unwrap();
        let again = comes_back(&net, &query(&[3, 16, 8]));
        assert_eq!(again.config(), net.config());
    }
    let config = IddpmConfig {
        num_channels: 8,
        num_res_blocks: 1,
        norm_groups: 4,
        image_size: 16,
        ..IddpmConfig::cifar10()
    };
    let net = Iddpm::new(&config, 0, &Device::Cpu).unwrap();
    stir(&net);
    for time in [Time::Exact, Time::AsPublished] {
        let net = net.clone().with_time(time).unwrap();
        let again = comes_back(&net, &query(&[3, 16, 16]));
        assert_eq!(again.config(), net.config());
    }
}
