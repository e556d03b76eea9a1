//! Folders as diffusers saves them: a network's weights, its settings, and the schedule that it was trained on.
//!
//! | in a pipeline | in a folder of the network alone |
//! |---|---|
//! | `unet/diffusion_pytorch_model.safetensors` | `diffusion_pytorch_model.safetensors` |
//! | `unet/config.json` | `config.json` |
//! | `scheduler/scheduler_config.json` | `scheduler_config.json` |

use std::f64::consts::FRAC_PI_2;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Place, Result};
use crate::file;

/// The names that weights have, best first; those in several files are told by their index.
const WEIGHTS: [&str; 4] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
];

/// The most bytes of settings that are read; there are about 1000. A schedule may list its steps.
const LONGEST: u64 = 1 << 20;

/// The most steps of a schedule.
const STEPS: u64 = 100_000;

/// A file of weights, or the index of several, and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The weights.
    pub weights: PathBuf,
    /// The network's `config.json`.
    pub config: Option<PathBuf>,
    /// The pipeline's `scheduler_config.json`.
    pub scheduler: Option<PathBuf>,
}

/// Looks for weights: `path` is their file, or a folder with one of diffusers' names, or with only one that ends in
/// `.safetensors`, `.bin` or `.pt`, or with the index of several. The network of a pipeline lies in a folder `unet`.
///
/// # Errors
/// [`Error::File`] when there is no such file or folder, [`Error::Missing`] when a folder holds none or several.
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// use itd_prelude::diffusers;
///
/// let folder = std::env::temp_dir().join(format!("itd-pipeline-{}", std::process::id()));
/// std::fs::create_dir_all(folder.join("unet")).expect("a place for files");
/// let weights = folder.join("unet/diffusion_pytorch_model.bin");
/// std::fs::write(&weights, "weights").expect("a place for files");
/// assert_eq!(diffusers::find(&folder)?.weights, weights);
/// # std::fs::remove_dir_all(folder).expect("the folder is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn find(path: &Path) -> Result<Found> {
    let system = |cause: std::io::Error| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    };
    let weights = match fs::metadata(path).map_err(system)?.is_dir() {
        true => in_folder(path)?,
        false => path.to_owned(),
    };
    let there = |path: PathBuf| path.is_file().then_some(path);
    let pipeline = weights.parent().and_then(Path::parent);
    let scheduler = there(weights.with_file_name("scheduler_config.json"));
    Ok(Found {
        config: there(weights.with_file_name("config.json")),
        scheduler: scheduler.or_else(|| {
            // The scheduler of a pipeline that this network is the U-Net of.
            let pipeline = pipeline.filter(|_| {
                weights
                    .parent()
                    .is_some_and(|folder| folder.ends_with("unet"))
            });
            there(pipeline?.join("scheduler/scheduler_config.json"))
        }),
        weights,
    })
}

fn in_folder(folder: &Path) -> Result<PathBuf> {
    let inner = folder.join("unet");
    let known = [folder, inner.as_path()]
        .into_iter()
        .flat_map(|folder| WEIGHTS.iter().map(move |name| folder.join(name)));
    if let Some(path) = known.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let system = |cause: std::io::Error| Error::File {
        path: folder.to_owned(),
        cause: cause.into(),
    };
    let (mut found, mut indices) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(system)? {
        let path = entry.map_err(system)?.path();
        let end = path.extension().and_then(|end| end.to_str());
        if !path.is_file() {
            continue;
        }
        if matches!(end, Some("safetensors" | "bin" | "pt")) {
            found.push(path);
        } else if path.to_string_lossy().ends_with(".index.json") {
            indices.push(path);
        }
    }
    if !indices.is_empty() {
        found = indices;
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::Missing {
            what: format!(
                "{} holds no file that ends in .safetensors, .bin or .pt",
                folder.display()
            ),
            next: "name the folder or the file that has the network's parameters",
        }),
        several => {
            let mut what = format!(
                "{} holds {} files of parameters",
                folder.display(),
                several.len()
            );
            for path in several.iter().filter_map(|path| path.file_name()) {
                let _ = write!(what, ", {}", path.display());
            }
            let next = "name the one that is meant; files of one network are read together by their index, ….index.json";
            Err(Error::Missing { what, next })
        }
    }
}

/// What a network says of a noisy picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prediction {
    /// The noise.
    #[default]
    Epsilon,
    /// The clean picture.
    Sample,
    /// `√ᾱ·ε − √(1−ᾱ)·x`.
    Velocity,
}

/// The schedule that a network was trained on, and what it was trained to say.
///
/// # Source
/// huggingface/diffusers, `schedulers/scheduling_ddpm.py`: names, defaults, and the formulas of `β`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduler {
    /// What the network says.
    pub prediction: Prediction,
    /// `β` of each step.
    pub betas: Vec<f64>,
}

/// The schedulers whose networks are told the number of a step of such a schedule.
const KNOWN: [&str; 15] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "DDIMInverseScheduler",
    "DDPMParallelScheduler",
    "DDIMParallelScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
];

impl Scheduler {
    /// Reads a `scheduler_config.json`.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Format`] when it is not JSON, or names a scheduler, a
    /// schedule or a prediction of another kind.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut text = String::new();
        let read =
            file::regular(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        read.map_err(|cause| Error::File {
            path: path.to_owned(),
            cause: cause.into(),
        })?;
        Self::parse(&text).map_err(|(what, got, need)| Error::Format {
            path: path.to_owned(),
            at: Place::File,
            what,
            got,
            need,
        })
    }

    /// What a text says, or what is wrong with it.
    fn parse(text: &str) -> Result<Self, Wrong> {
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let need = "JSON, as diffusers saves it";
            ("the list of settings", error.to_string(), need.to_owned())
        })?;
        let word = |name: &'static str, unsaid: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(unsaid.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err((name, other.to_string(), "a word".to_owned())),
        };
        let number = |name: &'static str, unsaid: f64| match map.get(name) {
            None | Some(Value::Null) => Ok(unsaid),
            Some(value) => {
                let number = value.as_f64().filter(|number| number.is_finite());
                number.ok_or_else(|| (name, value.to_string(), "a number".to_owned()))
            }
        };
        let class = word("_class_name", "DDPMScheduler")?;
        if !KNOWN.contains(&class.as_str()) {
            let need = "one whose network is told the number of a step, such as DDPMScheduler; \
                        a network for this one is told something else";
            return Err(("_class_name", class, need.into()));
        }
        let prediction = match word("prediction_type", "epsilon")?.as_str() {
            "epsilon" => Prediction::Epsilon,
            "sample" => Prediction::Sample,
            "v_prediction" => Prediction::Velocity,
            other => {
                let need = "epsilon, sample or v_prediction".to_owned();
                return Err(("prediction_type", format!("{other:?}"), need));
            }
        };
        let flag = map.get("rescale_betas_zero_snr");
        if flag.is_some_and(|flag| flag != &Value::Bool(false) && !flag.is_null()) {
            let need = "false: a last step of pure noise has no log-SNR".to_owned();
            return Err(("rescale_betas_zero_snr", "true".into(), need));
        }
        let betas = match map.get("trained_betas") {
            Some(Value::Array(betas)) => {
                let betas: Option<Vec<f64>> = betas.iter().map(Value::as_f64).collect();
                betas.ok_or_else(|| {
                    (
                        "trained_betas",
                        "no list of numbers".to_owned(),
                        "one".to_owned(),
                    )
                })?
            }
            None | Some(Value::Null) => {
                let steps = map
                    .get("num_train_timesteps")
                    .filter(|steps| !steps.is_null());
                let steps = match steps.map(|steps| steps.as_u64().ok_or(steps)) {
                    None => 1000,
                    Some(Ok(steps)) if (2..=STEPS).contains(&steps) => steps,
                    Some(Ok(steps)) => return Err(out_of_range(&steps)),
                    Some(Err(other)) => return Err(out_of_range(other)),
                };
                let ends = (number("beta_start", 1e-4)?, number("beta_end", 0.02)?);
                let schedule = word("beta_schedule", "linear")?;
                betas(&schedule, steps as usize, ends)?
            }
            Some(other) => {
                return Err((
                    "trained_betas",
                    other.to_string(),
                    "a list of numbers".into(),
                ));
            }
        };
        let inside = |beta: &f64| *beta > 0.0 && *beta < 1.0;
        match betas.iter().find(|beta| !inside(beta)) {
            None if betas.len() >= 2 => Ok(Self { prediction, betas }),
            None => Err((
                "trained_betas",
                format!("a list of {}", betas.len()),
                "at least 2".into(),
            )),
            Some(beta) => Err(("β of a step", beta.to_string(), "between 0 and 1".into())),
        }
    }
}

/// What is wrong, with what is there and what is needed.
type Wrong = (&'static str, String, String);

fn out_of_range(steps: &dyn std::fmt::Display) -> Wrong {
    let need = format!("a whole number from 2 to {STEPS}");
    ("num_train_timesteps", steps.to_string(), need)
}

/// `β` of each step of a schedule that has a name.
fn betas(schedule: &str, steps: usize, (first, last): (f64, f64)) -> Result<Vec<f64>, Wrong> {
    let line = |from: f64, to: f64, t: usize| from + (to - from) * t as f64 / (steps - 1) as f64;
    let each: Box<dyn Fn(usize) -> f64> = match schedule {
        "linear" => Box::new(move |t| line(first, last, t)),
        "scaled_linear" => Box::new(move |t| line(first.sqrt(), last.sqrt(), t).powi(2)),
        "sigmoid" => Box::new(move |t| {
            let part = 1.0 / (1.0 + (-line(-6.0, 6.0, t)).exp());
            first + (last - first) * part
        }),
        "squaredcos_cap_v2" => Box::new(move |t| {
            let angle = |t: usize| FRAC_PI_2 * (t as f64 / steps as f64 + 0.008) / 1.008;
            let (a, b) = (angle(t), angle(t + 1));
            // 1 − cos²b/cos²a without the difference of two numbers that are nearly equal.
            ((a + b).sin() * (b - a).sin() / a.cos().powi(2)).min(0.999)
        }),
        other => {
            let need = "linear, scaled_linear, squaredcos_cap_v2 or sigmoid".to_owned();
            return Err(("beta_schedule", format!("{other:?}"), need));
        }
    };
    Ok((0..steps).map(each).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Scheduler {
        Scheduler::parse(text).unwrap()
    }

    #[test]
    fn what_is_not_said_is_what_diffusers_takes() {
        let plain = parsed("{}");
        assert_eq!(
            (plain.prediction, plain.betas.len()),
            (Prediction::Epsilon, 1000)
        );
        assert_eq!((plain.betas[0], plain.betas[999]), (1e-4, 0.02));
        assert_eq!(
            plain,
            parsed(
                r#"{"_class_name": "DDIMScheduler", "clip_sample": true, "trained_betas": null}"#
            )
        );
    }

    #[test]
    fn each_schedule_is_that_of_diffusers() {
        // python3: math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2 for t = 0, 1 of T = 250, and so on.
        for (text, at, known) in [
            (r#"{"num_train_timesteps": 250}"#, 249, 0.02),
            (
                r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}"#,
                500,
                0.004_814_954_141_711_88,
            ),
            (
                r#"{"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 250}"#,
                0,
                0.000_194_268_797_328_422_95,
            ),
            (
                r#"{"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 250}"#,
                249,
                0.999,
            ),
            (
                r#"{"beta_schedule": "sigmoid"}"#,
                0,
                0.000_149_205_200_817_032,
            ),
            (r#"{"trained_betas": [0.1, 0.2]}"#, 1, 0.2),
        ] {
            let got = parsed(text).betas[at];
            assert!((got / known - 1.0).abs() < 1e-9, "{text}: {got}");
        }
        assert_eq!(
            parsed(r#"{"prediction_type": "v_prediction"}"#).prediction,
            Prediction::Velocity
        );
        assert_eq!(
            parsed(r#"{"prediction_type": "sample"}"#).prediction,
            Prediction::Sample
        );
    }

    #[test]
    fn what_is_of_another_kind_is_refused() {
        for (text, says) in [
            ("[]", "the list of settings"),
            (
                r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#,
                "_class_name",
            ),
            (r#"{"prediction_type": "flow"}"#, "prediction_type"),
            (r#"{"beta_schedule": "other"}"#, "beta_schedule"),
            (
                r#"{"rescale_betas_zero_snr": true}"#,
                "rescale_betas_zero_snr",
            ),
            (r#"{"num_train_timesteps": 1}"#, "num_train_timesteps"),
            (r#"{"num_train_timesteps": 1e12}"#, "num_train_timesteps"),
            (
                r#"{"num_train_timesteps": 18446744073709551615}"#,
                "num_train_timesteps",
            ),
            (r#"{"beta_end": 2}"#, "β of a step"),
            (r#"{"beta_start": "x"}"#, "beta_start"),
            (r#"{"trained_betas": [0.1]}"#, "trained_betas"),
            (r#"{"trained_betas": "x"}"#, "trained_betas"),
        ] {
            let (what, ..) = Scheduler::parse(text).unwrap_err();
            assert_eq!(what, says, "{text}");
        }
    }
}
