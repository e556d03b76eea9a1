//! What `itd inspect` says of files of weights. The command itself is tried out with `itd`, in its own tests.

mod files;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use files::Folder;
use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::net::{Ddpm, DdpmConfig, Iddpm, IddpmConfig, UNet, UNetConfig};
use itd_prelude::prelude::*;
use itd_prelude::tool::{Report, run};

fn inspect(path: &Path, network: Option<&str>) -> Report {
    let mut arguments = vec![OsString::from("inspect"), path.into()];
    arguments.extend(
        network
            .into_iter()
            .flat_map(|network| ["--as".into(), network.into()]),
    );
    run(&arguments).unwrap()
}

fn write(path: &Path, tensors: &[(String, Tensor)]) {
    Checkpoint::save(path, tensors, &BTreeMap::new()).unwrap();
}

/// A small network of DDPM's kind with its settings beside it, as diffusers writes them.
fn ddpm(folder: &Folder) -> (Vec<(String, Tensor)>, std::path::PathBuf) {
    let config = DdpmConfig {
        block_out_channels: vec![8; 4],
        norm_num_groups: 4,
        ..DdpmConfig::cifar10()
    };
    let settings = serde_json::json!({
        "_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3,
        "block_out_channels": [8, 8, 8, 8], "norm_num_groups": 4, "norm_eps": 1e-6, "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "flip_sin_to_cos": false, "freq_shift": 1, "downsample_padding": 0, "attention_head_dim": null,
    });
    folder.write("config.json", settings.to_string().as_bytes());
    let net = Ddpm::new(&config, 0, &Device::Cpu).unwrap();
    (net.parameters(), folder.0.join("net.safetensors"))
}

#[test]
fn a_file_is_held_against_the_settings_beside_it() {
    let folder = Folder::new("tool-ddpm");
    let (tensors, path) = ddpm(&folder);
    write(&path, &tensors);
    let report = inspect(&path, None);
    let fits = format!(
        "As ddpm ({}): all {} tensors fit",
        folder.0.join("config.json").display(),
        tensors.len()
    );
    assert!(report.text.contains(&fits), "{}", report.text);
    assert_eq!(inspect(&path, Some("ddpm")), report);

    // Attention by the names that it had before, which published files have.
    let pairs = [
        ("to_q", "query"),
        ("to_k", "key"),
        ("to_v", "value"),
        ("to_out.0", "proj_attn"),
    ];
    let old = |name: &str| {
        pairs
            .iter()
            .fold(name.to_owned(), |name, (new, old)| name.replace(new, old))
    };
    let renamed: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (old(name), tensor.clone()))
        .collect();
    assert!(
        renamed
            .iter()
            .any(|(name, _)| name.ends_with(".query.weight"))
    );
    write(&path, &renamed);
    assert!(inspect(&path, Some("ddpm")).text.contains(&fits));

    // One tensor less, one too many, one of another shape: a failure only where the network was named.
    let mut spoilt = tensors.clone();
    spoilt[0].1 = Tensor::zeros(7, candle::DType::F32, &Device::Cpu).unwrap();
    spoilt[1].0 = "another".into();
    write(&path, &spoilt);
    let report = inspect(&path, Some("ddpm"));
    let fitting = tensors.len() - 2;
    let counts = format!("fitting: {fitting}, missing: 1, unexpected: 1, of another shape: 1");
    assert!(report.text.contains(&counts), "{}", report.text);
    assert!(
        report
            .complaint
            .is_some_and(|complaint| complaint.contains("does not fit ddpm"))
    );
    let report = inspect(&path, None);
    assert!(report.text.contains(&counts) && report.complaint.is_none());

    // Settings that are none do not hide the tensors.
    folder.write("config.json", b"{");
    let report = inspect(&path, None);
    assert!(
        report.text.contains("conv_in.weight") && report.text.contains("no JSON"),
        "{}",
        report.text
    );
    assert!(report.complaint.is_none() && inspect(&path, Some("ddpm")).complaint.is_some());
}

#[test]
fn other_networks_are_told_by_their_names() {
    let folder = Folder::new("tool-others");
    let config = IddpmConfig {
        num_channels: 8,
        norm_groups: 4,
        ..IddpmConfig::cifar10()
    };
    let path = folder.0.join("iddpm.safetensors");
    write(
        &path,
        &Iddpm::new(&config, 0, &Device::Cpu).unwrap().parameters(),
    );
    let report = inspect(&path, None);
    // The names are those of the published network, the shapes are smaller.
    assert!(report.text.contains("As iddpm ("), "{}", report.text);
    assert!(
        report
            .text
            .contains("missing: 0, unexpected: 0, of another shape: 4"),
        "{}",
        report.text
    );

    let path = folder.0.join("unet.safetensors");
    UNet::new(&UNetConfig::small(), &[1, 8, 8], &Device::Cpu)
        .unwrap()
        .save(&path)
        .unwrap();
    let report = inspect(&path, None);
    assert!(
        report
            .text
            .contains("As unet (the settings in the file): all "),
        "{}",
        report.text
    );
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(6)
        .position(|word| word == b"\"unet\"")
        .unwrap();
    bytes[at..at + 6].copy_from_slice(b"\"none\"");
    fs::write(&path, bytes).unwrap();
    let report = inspect(&path, Some("unet"));
    assert!(
        report
            .complaint
            .is_some_and(|complaint| complaint.contains("does not fit unet"))
    );
}

#[test]
fn other_words_are_refused() {
    for words in [
        &[][..],
        &["inspect"],
        &["fetch", "a", "b"],
        &["inspect", "a", "--as"],
        &["help"],
    ] {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let error = run(&words).unwrap_err().to_string();
        assert!(error.contains("inspect FILE"), "{error}");
    }
    let error = run(&["inspect".into(), "a".into(), "--as".into(), "resnet".into()]).unwrap_err();
    assert!(error.to_string().contains("ddpm, iddpm or unet"), "{error}");
}

/// The benchmark of mutual information keeps what it has, and goes on where its file ends.
#[test]
fn the_benchmark_of_mutual_information_goes_on_where_it_ended() {
    let folder = Folder::new("tool-bench-mi");
    let file = folder.0.join("results.parquet");
    let bench = |more: &[&str]| {
        let mut words: Vec<OsString> = vec!["bench-mi".into(), file.clone().into()];
        words.extend(["--samples", "300", "--tasks", "bimodal"].map(OsString::from));
        words.extend(more.iter().map(OsString::from));
        run(&words)
    };
    let first = bench(&["--seeds", "0-1", "--estimators", "cca,ksg"]).unwrap();
    assert!(first.text.contains("1v1-bimodal-0.75"), "{}", first.text);
    let before: pl::DataFrame = io::read(&file).unwrap();
    assert_eq!(before.height(), 2 * 2);
    // Only what is missing is run: the old rows stand as they are, times and all.
    bench(&["--seeds", "0-2", "--estimators", "cca"]).unwrap();
    let after: pl::DataFrame = io::read(&file).unwrap();
    assert_eq!(after.height(), 4 + 1);
    assert!(after.head(Some(4)).equals_missing(&before));
    for bad in [
        &["--seeds", "x"][..],
        &["--seeds", "2-0"],
        &["--estimators", "oracle"],
        &[
            "--tasks",
            "bimodal",
            "--estimators",
            "cca,oracle",
            "--seeds",
            "7",
        ],
        &["--tasks", "nothing of the kind"],
        &["--shard", "3/2"],
        &["--samples"],
        &["--what", "1"],
    ] {
        assert!(bench(bad).is_err(), "{bad:?}");
    }
    let kept: pl::DataFrame = io::read(&file).unwrap();
    assert!(kept.equals_missing(&after), "nothing was run");
    // What is named twice is run once, and a task of another list is found by its name.
    bench(&["--seeds", "9", "--estimators", "ksg,ksg"]).unwrap();
    bench(&[
        "--seeds",
        "9",
        "--estimators",
        "cca",
        "--tasks",
        "half_cube-multinormal-sparse-3-3",
    ])
    .unwrap();
    let kept: pl::DataFrame = io::read(&file).unwrap();
    let names = kept.column("task").unwrap().str().unwrap().clone();
    assert!(
        names
            .iter()
            .flatten()
            .filter(|name| name.contains("half_cube"))
            .count()
            > 0
    );
    assert_eq!(
        names
            .iter()
            .flatten()
            .filter(|name| name.contains("bimodal"))
            .count(),
        6
    );
    for bad in [
        &["bench-mi"][..],
        &["bench-mi", "a.csv"],
        &["bench-recommender", "a.npz"],
    ] {
        let words: Vec<OsString> = bad.iter().map(OsString::from).collect();
        let error = run(&words).unwrap_err().to_string();
        assert!(error.contains("FILE.parquet"), "{error}");
    }
}

/// Two that write to one file would each take away what the other has found.
#[test]
fn one_process_at_a_time_writes_to_a_file_of_results() {
    let folder = Folder::new("tool-bench-lock");
    let file = folder.0.join("results.parquet");
    let bench = |name: &str, seeds: &str| {
        let mut words: Vec<OsString> = vec!["bench-mi".into(), file.clone().into()];
        let more = [
            "--samples",
            "400",
            "--tasks",
            "bimodal",
            "--seeds",
            seeds,
            "--estimators",
            name,
        ];
        words.extend(more.map(OsString::from));
        run(&words)
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| bench("mine", "0-9"));
        while !file.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let error = bench("cca", "0").unwrap_err().to_string();
        assert!(
            error.contains("another process writes its results there"),
            "{error}"
        );
        first.join().expect("no panic").unwrap();
    });
    bench("cca", "0").unwrap();
    let all: pl::DataFrame = io::read(&file).unwrap();
    assert_eq!(all.height(), 11);
}
