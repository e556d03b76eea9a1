//! Makes the networks that come with the notebooks: `weights NAME [FOLDER]`, with `digits`, `digits_classes`, `fashion`,
//! `fashion_tuned` or `fashion_classes` for a name.
//!
//! Writes `NAME.safetensors`, and `NAME.json` with command, size, time and scores. Training that ends early goes on
//! from `target/weights/NAME` when the command is given again. `fashion` is trained as DDPM is; `fashion_tuned` goes
//! on with it, by the bound on the entropy.
//!
//! `weights measure NAME [FOLDER]` trains nothing: it measures a network that is there, and writes its scores anew.

use std::path::{Path, PathBuf};

use itd_prelude::prelude::*;
use itd_prelude::train::{Fit, Interval, Objective};
use itd_prelude::{curve::Conditioning, data::ConditionKind};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let again = words.first().is_some_and(|word| word == "measure");
    if again {
        words.remove(0);
    }
    let folder = PathBuf::from(words.get(1).map_or("notebooks/weights", String::as_str));
    let name = words.first().map_or("", String::as_str);
    match name {
        _ if again => measure(name, &folder),
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
        "digits_classes" => {
            let data = digits()?;
            let condition = Some(ConditionKind::Class { classes: 10 });
            let size = UNetConfig {
                condition,
                ..UNetConfig::small()
            };
            let net = UNet::new(&size, data.shape(), &device())?;
            let config = TrainConfig {
                epochs: 120,
                learning_rate: 4e-3,
                condition_dropout: 0.5,
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
                noise_schedule: Some(NoiseSchedule::linear(1000)?),
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
                held_out: Some(data.test.clone()),
                ..TrainConfig::fine_tuning()
            };
            let fit = train(&net, &data.train, &config)?;
            keep(&net, &data, &fit, name, &folder)
        }
        "fashion_classes" => {
            let data = fashion_mnist()?;
            let net = UNet::new(&size(Some(10)), data.shape(), &device())?;
            let fit = train(&net, &data.train, &settings(name))?;
            keep(&net, &data, &fit, name, &folder)
        }
        _ => Err(Error::Missing {
            what: "the name of a network".into(),
            next: "give one of digits, digits_classes, fashion, fashion_tuned and fashion_classes",
        }),
    }
}

/// For pictures of 28 by 28.
fn size(classes: Option<usize>) -> UNetConfig {
    let condition = classes.map(|classes| ConditionKind::Class { classes });
    UNetConfig {
        channels: vec![16, 32, 48],
        attention: vec![2],
        condition,
        ..UNetConfig::small()
    }
}

/// What the trainings share.
fn settings(name: &str) -> TrainConfig {
    TrainConfig {
        epochs: 6,
        batch: 64,
        learning_rate: 2e-3,
        ema_decay: Some(0.999),
        dequantize: true,
        run: Some(Path::new("target/weights").join(name)),
        checkpoint: Interval::Minutes(2.0),
        ..Default::default()
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error::File {
        path,
        cause: cause.into(),
    }
}

/// Writes the network, and beside it what made it and how good it is on test samples.
fn keep(net: &UNet, data: &Split, fit: &Fit, name: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    net.save(folder.join(format!("{name}.safetensors")))?;
    let story = json!({
        "command": format!("cargo run --release --manifest-path prelude/Cargo.toml --example weights -- {name}"),
        "seed": 0,
        "parameters": net.parameters(),
        "steps": fit.steps(),
        "batch": fit.batch,
        "seconds": fit.seconds.round(),
    });
    write(story, net, data, name, folder)
}

/// Measures again what is there.
fn measure(name: &str, folder: &Path) -> Result<()> {
    let net = UNet::load(folder.join(format!("{name}.safetensors")), &device())?;
    let path = folder.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
    let story = serde_json::from_str(&text).map_err(|cause| failed(&path)(cause.into()))?;
    let data = match name {
        "digits" | "digits_classes" => digits()?,
        _ => fashion_mnist()?,
    };
    write(story, &net, &data, name, folder)
}

/// Writes what is told of the network, with its scores.
fn write(mut story: Value, net: &UNet, data: &Split, name: &str, folder: &Path) -> Result<()> {
    let noisy = data.dequantize(0)?;
    let (gaussian, test) = (noisy.train.gaussian()?, noisy.test.take(2000)?);
    let points = Logistic::matched(&gaussian)?.quadrature(50)?;
    let nll = mse_curve(net, &test, &points)?.nll(gaussian.on(&test))?;
    let spacing = data.grid()?.spacing();
    let bits = |nll: &Estimate| -> Value {
        let nll = nll.per_bin(spacing);
        json!([nll.bits_per_dim(), nll.bits_per_dim_err()])
    };
    story["test samples"] = json!(test.len());
    story["bits per dimension, with standard error"] = json!({
        "network": bits(&nll),
        "Gaussian": bits(&gaussian.nll(&test)?),
    });
    if net.config().condition.is_some() {
        // Measured with the same noise. As far as the network is from the best denoiser, this is not the
        // information in the class.
        let config = CurveConfig {
            conditioning: Conditioning::Conditional,
            ..Default::default()
        };
        let told = mse_curve_with(net, &test, &points, &config)?;
        let gain = nll.minus(&told.nll(gaussian.on(&test))?);
        story["nats by which the NLL falls when the class is told, with standard error"] =
            json!([gain.nats, gain.std_err]);
    }
    println!("{story:#}");
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, format!("{story:#}\n")).map_err(failed(&path))
}
