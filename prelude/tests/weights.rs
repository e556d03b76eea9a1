//! The networks that come with the notebooks: what is said of them is so.

use std::path::{Path, PathBuf};

use itd_prelude::prelude::*;
use serde_json::Value;

/// Most that they may weigh together, in bytes.
const HEAVIEST: u64 = 7_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../notebooks/weights")
}

fn story(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Mean and standard error, in bits per dimension.
fn score(story: &Value, of: &str) -> (f64, f64) {
    let pair = &story["bits per dimension, with standard error"][of];
    (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap())
}

#[test]
fn each_is_told_as_it_is() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let mut bytes = 0;
    for name in [
        "digits",
        "digits_classes",
        "fashion",
        "fashion_tuned",
        "fashion_classes",
    ] {
        let path = folder().join(format!("{name}.safetensors"));
        bytes += path.metadata().unwrap().len();
        let (net, story) = (UNet::load(&path, &device()).unwrap(), story(name));
        assert_eq!(story["parameters"], net.parameters(), "{name}");
        let (network, gaussian) = (score(&story, "network"), score(&story, "Gaussian"));
        let line = readme
            .lines()
            .find(|line| line.contains(&format!("| `{name}` |")));
        let told = format!(
            "| {:.3} ± {:.3} | {:.3} |",
            network.0, network.1, gaussian.0
        );
        assert!(line.unwrap().ends_with(&told), "{name}: {told}");
    }
    assert!(bytes < HEAVIEST, "{bytes} bytes");
}

/// As the program that made it measured it; Fashion-MNIST's take minutes.
#[test]
fn the_digits_have_their_score() {
    let net = UNet::load(folder().join("digits.safetensors"), &device()).unwrap();
    let raw = digits().unwrap();
    let data = raw.dequantize(0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let curve = mse_curve(&net, &data.test, &points.quadrature(50).unwrap()).unwrap();
    let nll = curve.nll(gaussian.on(&data.test)).unwrap();
    let found = nll.per_bin(raw.grid().unwrap().spacing()).bits_per_dim();
    let (known, _) = score(&story("digits"), "network");
    assert!((found - known).abs() < 1e-4, "{found} {known}");
}
