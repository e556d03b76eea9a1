//! How long one epoch of Fashion-MNIST takes, here and in PyTorch, and how good both networks are after it.
//!
//! `cargo run --release --manifest-path prelude/Cargo.toml --example learning -- PYTHON [LAYOUT]`, with a Python that has PyTorch, such as
//! that of `.venv-bench`, which `itd bench compute` makes, and `contiguous` or `channels_last`.
//!
//! Both sides begin with the same parameters and train with the same settings; their noise and order differ. Clocks
//! run while they train. Of each tenth of the epoch the mean loss is told, which is what Eq 15 says of the NLL of the
//! images just seen; both networks are then measured here on others, at the same points with the same noise.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;
use std::path::{Path, PathBuf};
use std::process::Command;

use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::denoiser::Trainable;
use itd_prelude::prelude::*;
use serde_json::Value;

/// PyTorch's side.
const TWIN: &str = include_str!("../src/bench/twin.py");

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(python) = words.first() else {
        return Err(Error::Missing {
            what: "the path of a Python that has PyTorch".into(),
            next: "give .venv-bench/bin/python after `itd bench compute` has made it",
        });
    };
    let layout = words.get(1).map_or("contiguous", String::as_str);
    let data = fashion_mnist()?;
    let noisy = data.dequantize(0)?;
    let gaussian = noisy.train.gaussian()?;
    let points = Logistic::matched(&gaussian)?;
    let config = UNetConfig {
        channels: vec![16, 32, 48],
        attention: vec![2],
        ..UNetConfig::small()
    };
    let settings = TrainConfig {
        epochs: 1,
        batch: 64,
        learning_rate: 2e-3,
        ema_decay: Some(0.998),
        dequantize: true,
        log_snr: Some(points),
        ..Default::default()
    };
    let folder = std::env::temp_dir().join(format!("itd-learning-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|cause| file_error(&folder, cause))?;
    let (start, result) = (folder.join("start"), folder.join("result"));

    let net = UNet::new(&config, data.shape(), &device())?;
    let mut tensors = vec![("data".to_owned(), data.train.x.clone())];
    for (i, var) in net.vars().iter().enumerate() {
        tensors.push((format!("p{i:03}"), var.as_tensor().clone()));
    }
    let told = [
        ("channels", format!("{:?}", config.channels)),
        ("attention", format!("{:?}", config.attention)),
        ("batch", settings.batch.to_string()),
        ("loc", points.loc().to_string()),
        ("scale", points.scale().to_string()),
        ("rate", settings.learning_rate.to_string()),
        ("decay", settings.ema_decay.unwrap_or_default().to_string()),
        ("spacing", data.grid()?.spacing().to_string()),
    ];
    let told: BTreeMap<String, String> = told.map(|(name, value)| (name.into(), value)).into();
    Checkpoint::save(&start, &tensors, &told)?;

    let score = |net: &UNet| -> Result<Estimate> {
        let test = noisy.test.take(2000)?;
        let curve = mse_curve(net, &test, &points.quadrature(50)?)?;
        let nll = curve.nll(gaussian.on(&test))?;
        Ok(nll.per_bin(data.grid()?.spacing()))
    };
    let tell = |who: &str, seconds: f64, nll: Estimate| {
        let (bits, err) = (nll.bits_per_dim(), nll.bits_per_dim_err());
        println!("{who}: {seconds:.0} s, then {bits:.3} ± {err:.3} bits/dim");
    };
    tell("untrained", 0.0, score(&net)?);
    let fit = train(&net, &data.train, &settings)?;
    tell("here", fit.seconds, score(&net)?);
    // What Eq 15 adds to half the area within the interval.
    let within = points.quadrature(1000)?;
    let rest = gaussian.entropy()?.nats - gaussian.curve(&within)?.area()?.nats;
    let spacing = data.grid()?.spacing();

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let case = format!("learn {} {}", start.display(), result.display());
    let output = Command::new(PathBuf::from(python))
        .args(["-c", TWIN, &threads.to_string(), layout, &case])
        .output()
        .map_err(|cause| file_error(Path::new(python), cause))?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let Ok(answer) = serde_json::from_str::<Value>(&line) else {
        return Err(Error::Missing {
            what: String::from_utf8_lossy(&output.stderr).into_owned(),
            next: "see what PyTorch says of itself",
        });
    };
    let learned = Checkpoint::open(&result)?;
    for (i, var) in net.vars().iter().enumerate() {
        var.set(&learned.tensor(&format!("p{i:03}"), &device())?)?;
    }
    let seconds = answer["seconds"].as_f64().unwrap_or(f64::NAN);
    let who = format!("PyTorch {}, {layout}", answer["version"]);
    tell(&who, seconds, score(&net)?);
    let losses = answer["losses"].as_array().into_iter().flatten();
    let theirs: Vec<f64> = losses
        .filter_map(Value::as_f64)
        .map(|loss| loss + rest)
        .collect();
    let bits = |nats: &[f64]| {
        let mean = nats.iter().sum::<f64>() / nats.len() as f64;
        mean / (data.dim() as f64 * LN_2) - spacing.log2()
    };
    println!("part of the epoch: bits/dim here after so many seconds, and there");
    let tenth = fit.steps().div_ceil(10);
    let parts = fit.loss.chunks(tenth).zip(theirs.chunks(tenth));
    for (i, (here, there)) in (1..).zip(parts) {
        let share = (i * tenth).min(theirs.len()) as f64 / theirs.len() as f64;
        let (ours, torchs) = (share * fit.seconds, share * seconds);
        println!(
            "{share:.2}: {:.3} {ours:5.0} s   {:.3} {torchs:5.0} s",
            bits(here),
            bits(there)
        );
    }
    std::fs::remove_dir_all(&folder).map_err(|cause| file_error(&folder, cause))
}

fn file_error(path: &Path, cause: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    }
}
