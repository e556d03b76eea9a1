//! `itd reproduce` against its twin in PyTorch (`golden/reproduce.py`): from pictures and networks in their published
//! formats to the numbers of both tables.

use std::collections::BTreeMap;

use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::estimate::Estimate;
use itd_prelude::io::merge_folder;
use itd_prelude::net::ddpm::{self, DdpmConfig};
use itd_prelude::net::iddpm::{self, IddpmConfig};
use itd_prelude::reproduce::{Cifar10Config, Outcome, cifar10};
use itd_prelude::schedule::Time;
use serde_json::Value;

use crate::files::Folder;
use crate::formula::{parameter, uniform};
use crate::{ddpm_of, iddpm_of};

/// How near a number must come to the twin's, relative to its size or, below one nat, as it is.
const NEAR: f64 = 1e-4;
/// Pictures in each file of CIFAR-10, as many as the twin writes.
const RECORDS: usize = 640;

/// Slopes of brightness with grain, in CIFAR-10's binary format. Each sum is exact.
fn picture_file(name: &str) -> Vec<u8> {
    let slopes: Vec<f64> = uniform(&format!("{name} slopes"), 0, RECORDS * 9).collect();
    let grain = format!("{name} grain");
    let mut grain = uniform(&grain, 0, RECORDS * 3 * 1024);
    let mut bytes = Vec::with_capacity(RECORDS * (1 + 3 * 1024));
    for (i, picture) in slopes.chunks(9).enumerate() {
        bytes.push((i % 10) as u8);
        for slope in picture.chunks(3) {
            for pixel in 0..1024 {
                let at = |place: usize| place as f64 / 16.0 - 1.0;
                let (right, down) = (slope[1] * at(pixel % 32), slope[2] * at(pixel / 32));
                let grain = grain.next().unwrap();
                let value = 128.0 + 64.0 * slope[0] + 48.0 * right + 48.0 * down + 24.0 * grain;
                bytes.push(value.floor().clamp(0.0, 255.0) as u8);
            }
        }
    }
    bytes
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn the_tables_on_cifar10_are_what_pytorch_computes() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/reproduce.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(golden).unwrap()).unwrap();
    let folder = Folder::new("golden-reproduce");
    let at = |path: &str| {
        let path = folder.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let batches = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for name in batches.chain(["test_batch.bin".to_owned()]) {
        let path = at(&format!("inputs/cifar-10/{name}"));
        std::fs::write(path, picture_file(&name)).unwrap();
    }
    std::fs::write(
        at("inputs/ddpm/config.json"),
        golden["config"].to_string().as_bytes(),
    )
    .unwrap();
    let ddpm = DdpmConfig::read(at("inputs/ddpm/config.json")).unwrap();
    let iddpm = IddpmConfig {
        num_channels: 16,
        num_res_blocks: 1,
        norm_groups: 8,
        ..IddpmConfig::cifar10()
    };
    let layouts = [
        ("ddpm", ddpm::layout(&ddpm).unwrap()),
        ("iddpm", iddpm::layout(&iddpm).unwrap()),
    ];
    for (name, layout) in layouts {
        let each = |(name, shape): (String, Vec<usize>)| {
            let values = parameter(&name, 1, &shape);
            (name, values)
        };
        let tensors: Vec<_> = layout.into_iter().map(each).collect();
        let path = at(&format!(
            "inputs/{name}/diffusion_pytorch_model.safetensors"
        ));
        Checkpoint::save(path, &tensors, &BTreeMap::new()).unwrap();
    }
    // Other parameters stand for what tuning would have left.
    let tuned = ddpm_of(&ddpm, 2).with_time(Time::AsPublished).unwrap();
    tuned.save(at("tuned/ddpm.safetensors")).unwrap();
    let tuned = iddpm_of(&iddpm, 2).with_time(Time::AsPublished).unwrap();
    tuned.save(at("tuned/iddpm.safetensors")).unwrap();

    let config = Cifar10Config {
        folder: folder.0.clone(),
        ..Cifar10Config::default()
    };
    let Outcome::Done(tables) = cifar10(&config, &mut |_| ()).unwrap() else {
        panic!("something waits");
    };
    let mut furthest: f64 = 0.0;
    let mut compare = |what: &str, found: f64, known: f64| {
        let off = (found - known).abs() / known.abs().max(1.0);
        furthest = furthest.max(off);
        assert!(off <= NEAR, "{what}: {found} and not {known}, {off:.1e}");
    };
    let spectrum = std::fs::read_to_string(at("spectrum.json")).unwrap();
    let spectrum: Value = serde_json::from_str(&spectrum).unwrap();
    let entropy = number(&spectrum["entropy_nats"]);
    compare("spectrum", entropy, number(&golden["spectrum"]));
    let curves = golden["curves"].as_object().unwrap();
    assert_eq!(curves.len(), 12);
    for (name, known) in curves {
        let curve = merge_folder(at(&format!("curves/{name}"))).unwrap();
        let places = golden["log_snr"].as_array().unwrap();
        assert_eq!(curve.mse.len(), places.len());
        for (j, place) in places.iter().enumerate() {
            compare("log-SNR", curve.points.log_snr[j], number(place));
            compare(name, curve.mse[j], number(&known[j]));
        }
    }
    assert_eq!(tables.rows.len(), 5);
    for row in &tables.rows {
        let known = golden["rows"][&row.name].as_object().unwrap();
        let mut found: Vec<(&str, &Estimate)> = vec![
            ("density", &row.density),
            ("rounded", &row.rounded),
            ("better", &row.better),
            ("dequantized", &row.dequantized),
        ];
        if let (Some(levels), Some(density)) = (&row.variational, &row.variational_density) {
            found.extend([("variational", levels), ("variational_density", density)]);
        }
        assert_eq!(found.len(), known.len(), "{}", row.name);
        for (name, estimate) in found {
            compare(
                &format!("{}: {name}", row.name),
                estimate.nats,
                number(&known[name]),
            );
        }
    }
    println!("furthest: {furthest:.1e}");
}
