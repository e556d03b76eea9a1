//! The paper's experiments on CIFAR-10 as one command, `itd reproduce cifar10`, and as one call in a cell.
//!
//! ```text
//! inputs ─▶ spectrum ─▶ curves ─▶ tuning ─▶ curves of the tuned ─▶ bounds ─▶ tables and figures
//! ```
//!
//! Each stage leaves a file in one folder and is skipped when the file is there, so that a run that was killed goes on
//! where it was, with at most the stage at hand to do again; curves lose at most a shard, tuning what lies behind its
//! last checkpoint.

mod cost;
mod inputs;
mod stage;
mod table;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::curve::Shard;
use crate::error::{Error, Result};
use crate::file;

pub use cost::Cost;
pub use table::{Row, Tables};

/// How much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Under a minute: small networks of the same kind with drawn parameters, and drawn pictures, in the real file formats. The
    /// numbers mean nothing; that they come about does.
    #[default]
    Smoke,
    /// For a processor, 2·10⁵ evaluations: the published networks on 300 of the 10,000 test images, tuned for a tenth of an epoch,
    /// and a quarter of the steps of the bound on eight images.
    Laptop,
    /// All of it, 3·10⁸ evaluations, nearly all for the bounds: every test image at 100 points, 10 epochs of tuning, all steps of the bound.
    Paper,
}

impl Scale {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Laptop => "laptop",
            Self::Paper => "paper",
        }
    }
}

impl std::str::FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Smoke, Self::Laptop, Self::Paper];
        let found = all.into_iter().find(|scale| scale.name() == text);
        found.ok_or_else(|| Error::Parameter {
            name: "the scale",
            got: format!("{text:?}"),
            need: "`smoke`, `laptop` or `paper`",
        })
    }
}

/// What is computed, and where it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Cifar10Config {
    /// How much.
    pub scale: Scale,
    /// The folder of the run. One folder, one run.
    pub folder: PathBuf,
    /// The folder that holds CIFAR-10 in one of its formats; where none is given it is looked for as
    /// [`cifar10`](crate::data::cifar10) does. At the scale `smoke`, pictures are drawn unless a folder is given.
    pub data: Option<PathBuf>,
    /// The part of the curves that this process measures.
    pub shard: Shard,
}

impl Default for Cifar10Config {
    fn default() -> Self {
        Self {
            scale: Scale::Smoke,
            folder: PathBuf::from("reproduce-cifar10"),
            data: None,
            shard: Shard::WHOLE,
        }
    }
}

/// What a run has come to.
#[derive(Debug)]
pub enum Outcome {
    /// All stages are done.
    Done(Box<Tables>),
    /// This process has done its part; others have not, or the stages behind the curves are still to come. Says which
    /// curves wait.
    Waiting(Vec<String>),
}

/// The sizes of a scale.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Test images behind each curve; all when none.
    images: Option<usize>,
    /// Points of a curve.
    points: usize,
    /// Noisy images in a batch of a curve, which is the least that a shard can be.
    batch: usize,
    /// Test images and steps of the schedule behind the bounds.
    bound_images: usize,
    bound_steps: usize,
    /// Steps of tuning; all of ten epochs when none.
    tuning: Option<usize>,
}

impl Scale {
    fn sizes(self) -> Sizes {
        match self {
            Self::Smoke => Sizes {
                images: Some(6),
                points: 9,
                batch: 16,
                bound_images: 2,
                bound_steps: 20,
                tuning: Some(3),
            },
            Self::Laptop => Sizes {
                images: Some(300),
                points: 25,
                batch: 256,
                bound_images: 8,
                bound_steps: 1000,
                tuning: Some(78),
            },
            Self::Paper => Sizes {
                images: None,
                points: 100,
                batch: 256,
                bound_images: 10_000,
                bound_steps: 4000,
                tuning: None,
            },
        }
    }
}

/// Computes Tables 1 and 2 and the curves of Figures 2 and 3, or what is missing of them in the folder.
///
/// Before each stage `tell` is told what is done next; progress bars are shown as in any other loop.
///
/// # Units
/// Nats inside; the tables are in bits per dimension.
///
/// # Errors
/// [`Error::Missing`] when CIFAR-10 or a network is not on this disk; [`Error::Mismatch`] when the folder holds a run
/// with other settings, data or networks, or curves in another number of parts; [`Error::Interrupted`] when the user
/// stops it; [`Error::File`] when the folder cannot be written to.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 5 and App. B.
///
/// # Example
/// ```no_run
/// use itd_prelude::reproduce::{Cifar10Config, Outcome, cifar10};
///
/// let outcome = cifar10(&Cifar10Config::default(), &mut |stage| println!("{stage}"))?;
/// assert!(matches!(outcome, Outcome::Done(_)));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn cifar10(config: &Cifar10Config, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let run = stage::Run::open(config)?;
    run.all(tell)
}

/// What a run will take on this machine, told from a few evaluations of each network. Nothing is written, but at the
/// scale `smoke` the pictures and networks that it draws.
///
/// # Units
/// Evaluations of single pictures, time, bytes; see [`Cost`].
///
/// # Errors
/// As [`cifar10`].
///
/// # Example: twelve curves, eight bounds, and three evaluations for each picture in tuning
/// ```
/// use itd_prelude::reproduce::{Cifar10Config, cost};
///
/// let folder = std::env::temp_dir().join(format!("itd-cost-{}", std::process::id()));
/// let config = Cifar10Config { folder: folder.clone(), ..Default::default() };
/// let evaluations = 12 * 6 * 9 + 8 * 2 * 20 + 3 * 3 * (64 + 32);
/// assert_eq!(cost(&config)?.evaluations, evaluations);
/// # std::fs::remove_dir_all(folder).expect("the folder is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn cost(config: &Cifar10Config) -> Result<Cost> {
    cost::of(&stage::Run::read(config)?)
}

fn of_file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    |cause| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    }
}

/// Makes a folder with those above it.
fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(of_file(path))
}

/// Writes JSON, whole or not at all.
fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = format!("{value:#}\n");
    let write = |file: &mut std::fs::File| std::io::Write::write_all(file, text.as_bytes());
    file::replace(path, write).map_err(of_file(path))
}

/// Reads JSON; none when there is no such file.
fn read_json(path: &Path) -> Result<Option<Value>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_file(path)(error)),
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(cause) => Err(of_file(path)(cause.into())),
        },
    }
}

/// Refuses a folder that holds another run, and marks a new one.
fn mark(folder: &Path, settings: &Value) -> Result<()> {
    let path = folder.join("plan.json");
    match read_json(&path)? {
        None => write_json(&path, settings),
        Some(found) if found == *settings => Ok(()),
        Some(found) => Err(Error::Mismatch {
            what: "this run and the one in its folder",
            left: settings.to_string(),
            right: found.to_string(),
            next: "give another folder, or remove this one",
        }),
    }
}
