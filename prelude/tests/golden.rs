//! The published networks against PyTorch (`golden/ddpm.py`, `golden/iddpm.py`), and the tables that are made with them
//! (`golden/reproduce.py`). Parameters and inputs are made by formula, here as there, so that only outputs are stored.

#[path = "golden/behaviour.rs"]
mod behaviour;
mod files;
mod formula;
#[path = "golden/refusals.rs"]
mod refusals;
#[path = "golden/reproduce.rs"]
mod reproduce;

use std::collections::BTreeMap;

use files::Folder;
use formula::{Golden, gap, parameter};
use itd_prelude::candle::{Device, Tensor, Var};
use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::denoiser::Trainable;
use itd_prelude::net::ddpm::{self, Ddpm, DdpmConfig};
use itd_prelude::net::iddpm::{self, Iddpm, IddpmConfig};

type Layout = Vec<(String, Vec<usize>)>;

/// How near an output must come to PyTorch's, whose size is about 0.5.
const NEAR: f32 = 1e-4;
/// From where on another network has been computed, not the same one less exactly.
const FAR: f32 = 1e-2;

fn save(path: &std::path::Path, layout: &Layout, seed: u64, rename: impl Fn(&str) -> String) {
    let each = |(name, shape): &(String, Vec<usize>)| (rename(name), parameter(name, seed, shape));
    let tensors: Vec<(String, Tensor)> = layout.iter().map(each).collect();
    Checkpoint::save(path, &tensors, &BTreeMap::new()).unwrap();
}

/// Gives a network the parameters that the formula says.
fn fill(vars: &[Var], layout: &Layout, seed: u64) {
    assert_eq!(vars.len(), layout.len());
    for (var, (name, shape)) in vars.iter().zip(layout) {
        var.set(&parameter(name, seed, shape)).unwrap();
    }
}

fn ddpm_of(config: &DdpmConfig, seed: u64) -> Ddpm {
    let net = Ddpm::new(config, 0, &Device::Cpu).unwrap();
    fill(&net.vars(), &ddpm::layout(config).unwrap(), seed);
    net
}

fn iddpm_of(config: &IddpmConfig, seed: u64) -> Iddpm {
    let net = Iddpm::new(config, 0, &Device::Cpu).unwrap();
    fill(&net.vars(), &iddpm::layout(config).unwrap(), seed);
    net
}

/// The configs of `golden/iddpm.py`.
fn iddpm_config(case: &str) -> IddpmConfig {
    let small = IddpmConfig {
        image_size: 8,
        num_channels: 32,
        num_res_blocks: 1,
        channel_mult: vec![1, 2],
        attention_resolutions: vec![4],
        norm_groups: 8,
        ..IddpmConfig::cifar10()
    };
    match case {
        "small" => small,
        "other" => IddpmConfig {
            image_size: 16,
            in_channels: 1,
            num_channels: 16,
            num_res_blocks: 2,
            channel_mult: vec![1, 2, 3],
            attention_resolutions: vec![16, 4],
            num_heads: 2,
            learn_sigma: false,
            use_scale_shift_norm: false,
            norm_groups: 4,
        },
        "plain" => IddpmConfig {
            attention_resolutions: vec![],
            num_heads: 1,
            ..small
        },
        _ => IddpmConfig::cifar10(),
    }
}

#[test]
fn small_ddpms_are_what_diffusers_computes_whatever_their_attention_is_called() {
    let golden = Golden::open("ddpm");
    let old = |name: &str| {
        name.replace(".to_q.", ".query.")
            .replace(".to_k.", ".key.")
            .replace(".to_v.", ".value.")
            .replace(".to_out.0.", ".proj_attn.")
    };
    for case in ["small", "other", "plain"] {
        let folder = Folder::new(&format!("golden-ddpm-{case}"));
        folder.write("config.json", golden.text(case).as_bytes());
        let config = DdpmConfig::read(folder.0.join("config.json")).unwrap();
        let layout = ddpm::layout(&config).unwrap();
        for seed in [1, 2] {
            let (x, time, want) = golden.case(case, seed);
            let path = folder.0.join("diffusion_pytorch_model.safetensors");
            for rename in [str::to_owned, old] {
                save(&path, &layout, seed, rename);
                for path in [&folder.0, &path] {
                    let net = Ddpm::from_checkpoint(path).unwrap();
                    assert_eq!(net.config(), &config);
                    let off = gap(&net.output(&x, &time).unwrap(), &want);
                    println!("{case} {seed}: {off:.1e}");
                    assert!(off < NEAR, "{case} {seed}: {off}");
                }
            }
        }
    }
}

#[test]
fn the_published_ddpm_is_what_diffusers_computes() {
    let golden = Golden::open("ddpm");
    let config = DdpmConfig::from_json(golden.text("cifar10")).unwrap();
    assert_eq!(config, DdpmConfig::cifar10());
    let layout = ddpm::layout(&config).unwrap();
    assert_eq!(golden.layout("cifar10"), formula::sorted(&layout));
    assert_eq!((layout.len(), formula::count(&layout)), (328, 35_746_307));
    for seed in [1, 2] {
        let (x, time, want) = golden.case("cifar10", seed);
        let off = gap(&ddpm_of(&config, seed).output(&x, &time).unwrap(), &want);
        println!("cifar10 {seed}: {off:.1e}");
        assert!(off < NEAR, "{seed}: {off}");
    }
}

#[test]
fn small_iddpms_are_what_pytorch_computes() {
    let golden = Golden::open("iddpm");
    for case in ["small", "other", "plain"] {
        let folder = Folder::new(&format!("golden-iddpm-{case}"));
        let config = iddpm_config(case);
        for seed in [1, 2] {
            let (x, time, want) = golden.case(case, seed);
            let path = folder.0.join("any.safetensors");
            save(&path, &iddpm::layout(&config).unwrap(), seed, str::to_owned);
            let net = Iddpm::from_checkpoint_with(&folder.0, &config).unwrap();
            let off = gap(&net.output(&x, &time).unwrap(), &want);
            println!("{case} {seed}: {off:.1e}");
            assert!(off < NEAR, "{case} {seed}: {off}");
        }
    }
}

#[test]
fn the_published_iddpm_is_what_pytorch_computes() {
    let golden = Golden::open("iddpm");
    let config = iddpm_config("cifar10");
    let layout = iddpm::layout(&config).unwrap();
    assert_eq!(golden.layout("cifar10"), formula::sorted(&layout));
    assert_eq!((layout.len(), formula::count(&layout)), (446, 52_546_438));
    for seed in [1, 2] {
        let (x, time, want) = golden.case("cifar10", seed);
        let net = iddpm_of(&config, seed);
        let text = format!("{net:?}");
        assert!(text.contains("52546438") && text.len() < 1000, "{text}");
        let off = gap(&net.output(&x, &time).unwrap(), &want);
        println!("cifar10 {seed}: {off:.1e}");
        assert!(off < NEAR, "{seed}: {off}");
    }
}

#[test]
fn what_is_easily_mistaken_is_seen_in_the_numbers() {
    let golden = Golden::open("ddpm");
    let right = DdpmConfig::from_json(golden.text("small")).unwrap();
    let (x, time, want) = golden.case("small", 1);
    let mut wrong = vec![("padding on all sides", right.clone()); 4];
    wrong[0].1.downsample_padding = 1;
    wrong[1] = ("cosines first", right.clone());
    wrong[1].1.flip_sin_to_cos = true;
    wrong[2] = ("no shift of the frequencies", right.clone());
    wrong[2].1.freq_shift = 0.0;
    wrong[3] = ("more heads", right);
    wrong[3].1.attention_head_dim = Some(8);
    for (what, config) in wrong {
        let off = gap(&ddpm_of(&config, 1).output(&x, &time).unwrap(), &want);
        println!("{what}: {off:.3}");
        assert!(off > FAR, "{what}: {off}");
    }
    let golden = Golden::open("iddpm");
    let (x, time, want) = golden.case("small", 1);
    let config = iddpm_config("small");
    let net = iddpm_of(&config, 1);
    // Rows as they would have to stand, head by head, for q, k and v to be thirds of the whole.
    for ((name, shape), var) in iddpm::layout(&config).unwrap().iter().zip(net.vars()) {
        if name.contains(".qkv.") {
            let c = shape[0] / 3;
            let dim = c / config.num_heads;
            let row = |i: usize| {
                let (head, part, at) = (i / (3 * dim), i / dim % 3, i % dim);
                (part * c + head * dim + at) as u32
            };
            let rows: Vec<u32> = (0..shape[0]).map(row).collect();
            let rows = Tensor::new(rows, &Device::Cpu).unwrap();
            let turned = var.as_tensor().index_select(&rows, 0).unwrap();
            var.set(&turned.detach()).unwrap();
        }
    }
    let off = gap(&net.output(&x, &time).unwrap(), &want);
    println!("q, k, v as thirds: {off:.3}");
    assert!(off > FAR, "{off}");
    let shifted = IddpmConfig {
        num_heads: 2,
        ..config
    };
    let off = gap(&iddpm_of(&shifted, 1).output(&x, &time).unwrap(), &want);
    assert!(off > FAR, "two heads: {off}");
}
