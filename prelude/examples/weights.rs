//! Makes the networks that come with the notebooks: `weights NAME [FOLDER]`, with `digits`, `fashion`,
//! `fashion_tuned` or `fashion_classes` for a name.
//!
//! Writes `NAME.safetensors`, and `NAME.json` with command, size, time and scores. Training that ends early goes on
//! from `target/weights/NAME` when the command is given again. `fashion` is trained as DDPM is; `fashion_tuned` goes
//! on with it, by the bound on the entropy.

use std::path::{Path, PathBuf};

use itd_prelude::data::Split;
use itd_prelude::prelude::*;
use itd_prelude::schedule::Schedule;
use itd_prelude::stats;
use itd_prelude::train::{Every, Fit, Objective, finetune};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(words.get(1).map_or("notebooks/weights", String::as_str));
    let name = words.first().map_or("", String::as_str);
    match name {
        "digits" => {
            let data = digits()?;
            let net = UNet::new(&UNetConfig::small(), data.shape(), &device())?;
            let config = TrainConfig {
                epochs: 120,
                learning_rate: 4e-3,
                ..settings(name)
            };
            let fit = train(&net, &data.train, &config)?;
            keep(&net, &data, &fit, name, &folder)
        }
        "fashion" => {
            let data = fashion_mnist()?;
            let net = UNet::new(&size(None), data.shape(), &device())?;
            let config = TrainConfig {
                objective: Objective::Noise,
                noise_schedule: Some(Schedule::linear(1000)?),
                ..settings(name)
            };
            let fit = train(&net, &data.train, &config)?;
            keep(&net, &data, &fit, name, &folder)
        }
        "fashion_tuned" => {
            let data = fashion_mnist()?;
            let net = UNet::load(folder.join("fashion.safetensors"), &device())?;
            let config = TrainConfig {
                epochs: 3,
                run: settings(name).run,
                dequantize: true,
                ..TrainConfig::fine_tuning()
            };
            let tuned = finetune(&net, &data.train, &data.test, &config)?;
            keep(&net, &data, &tuned.fit, name, &folder)
        }
        "fashion_classes" => {
            let data = fashion_mnist()?;
            let net = UNet::new(&size(Some(10)), data.shape(), &device())?;
            let fit = train(&net, &data.train, &settings(name))?;
            keep(&net, &data, &fit, name, &folder)
        }
        _ => Err(Error::Missing {
            what: "the name of a network".into(),
            next: "give one of digits, fashion, fashion_tuned and fashion_classes",
        }),
    }
}

/// For pictures of 28 by 28.
fn size(classes: Option<usize>) -> UNetConfig {
    UNetConfig {
        channels: vec![16, 32, 48],
        attention: vec![2],
        classes,
        ..UNetConfig::small()
    }
}

/// What the trainings share.
fn settings(name: &str) -> TrainConfig {
    TrainConfig {
        epochs: 6,
        batch: 64,
        learning_rate: 2e-3,
        average: Some(0.999),
        dequantize: true,
        run: Some(Path::new("target/weights").join(name)),
        checkpoint: Every::Minutes(2.0),
        ..Default::default()
    }
}

/// Writes the network, and beside it what made it and how good it is on test samples.
fn keep(net: &UNet, data: &Split, fit: &Fit, name: &str, folder: &Path) -> Result<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause: std::io::Error| Error::File {
            path,
            cause: cause.into(),
        }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    net.save(folder.join(format!("{name}.safetensors")))?;
    let noisy = data.dequantize(0)?;
    let (spectrum, test) = (noisy.train.spectrum()?, noisy.test.take(2000)?);
    let points = LogisticLogSnr::from_spectrum(&spectrum)?.quadrature(50)?;
    let curve = mse_curve(net, &test, &points)?;
    let spacing = data.grid()?.spacing();
    let bits = |nll: Estimate| -> Value {
        let nll = nll.per_bin(spacing);
        json!([nll.bits_per_dim(), nll.bits_per_dim_err()])
    };
    let mut story = json!({
        "command": format!("cargo run --release --manifest-path prelude/Cargo.toml --example weights -- {name}"),
        "seed": 0,
        "parameters": net.parameters(),
        "steps": fit.losses.len(),
        "batch": fit.batch,
        "seconds": fit.seconds.round(),
        "test samples": test.len(),
        "bits per dimension, with standard error": {
            "network": bits(pointwise_nll(&curve, &spectrum, &test)?.mean),
            "Gaussian": bits(gaussian_nll(&spectrum, &test)?),
        },
    });
    if net.config().classes.is_some() {
        let nats = gains_by_class(net, &test, &spectrum, &points)?;
        story["nats by which the NLL falls when the class is told, with standard error"] =
            json!([stats::mean(&nats), stats::std_err(&nats)]);
    }
    println!("{story:#}");
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, format!("{story:#}\n")).map_err(failed(&path))
}

/// By how many nats the class lowers the NLL of each sample, both measured with the same
/// noise. As far as the network is from the best denoiser, that is not the information in the class.
fn gains_by_class(
    net: &UNet,
    test: &Dataset,
    spectrum: &Spectrum,
    points: &LogSnr,
) -> Result<Vec<f64>> {
    let mut gains = Vec::new();
    for (label, _) in test.class_counts()? {
        let some = test.by_class(label)?;
        let nats = |net: &dyn Denoiser| -> Result<Vec<f64>> {
            let curve = mse_curve(net, &some, points)?;
            Ok(pointwise_nll(&curve, spectrum, &some)?.nats)
        };
        let (plain, told) = (nats(net)?, nats(&Conditional::class(net, label)?)?);
        gains.extend(plain.iter().zip(told).map(|(plain, told)| plain - told));
    }
    Ok(gains)
}
