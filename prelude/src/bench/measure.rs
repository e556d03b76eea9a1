//! Turn by turn: the same case by both sides in one run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::Settings;
use super::case::{CASES, Case, MATMUL};
use super::contender::{Contender, Layout, Side};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Between two turns, so that the threads of the one before have gone to sleep.
const PAUSE: Duration = Duration::from_millis(10);
/// How far the two sides' results, and the gradients of their sum, may be apart in parts of the largest value.
const RESULT: f64 = 1e-4;
const GRADIENT: f64 = 1e-3;

/// All that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The processor's name.
    pub cpu: String,
    pub threads: usize,
    /// Tries of each row; heavy ones have a third.
    pub tries: usize,
    pub versions: Vec<Version>,
    pub rows: Vec<Measured>,
}

/// A side.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    pub name: String,
    pub version: String,
    /// Bytes that its process takes before it knows what to do.
    pub base: Option<u64>,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    pub case: String,
    pub what: String,
    pub row: String,
    /// Floating-point operations, where products make up nearly all of the work.
    pub operations: Option<f64>,
    /// How far PyTorch's result is from ours, in parts of its largest value, and so its gradients.
    pub apart: Option<(f64, f64)>,
    pub sides: Vec<Times>,
}

/// What a side needed.
#[derive(Debug, Clone, Serialize)]
pub struct Times {
    pub name: String,
    /// Of each try, in order.
    pub milliseconds: Vec<f64>,
    /// Bytes above those of the process before, at most.
    pub peak: Option<u64>,
}

impl Times {
    /// Median, least and greatest.
    pub fn spread(&self) -> Option<(f64, f64, f64)> {
        let mut times = self.milliseconds.clone();
        times.sort_by(f64::total_cmp);
        let middle = times.get(times.len() / 2)?;
        Some((*middle, *times.first()?, *times.last()?))
    }

    pub(super) fn median(&self) -> f64 {
        self.spread().map_or(f64::NAN, |(median, _, _)| median)
    }
}

impl Measured {
    /// Our times.
    pub fn ours(&self) -> Option<&Times> {
        self.sides
            .iter()
            .find(|side| side.name == Side::Ours.name())
    }

    /// PyTorch's, in the layout that is faster for it.
    pub fn theirs(&self) -> Option<&Times> {
        let others = self
            .sides
            .iter()
            .filter(|side| side.name != Side::Ours.name());
        others.min_by(|a, b| a.median().total_cmp(&b.median()))
    }

    /// How many times as long PyTorch takes.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.theirs()?.median() / self.ours()?.median())
    }
}

/// Measures what the settings ask for, and the plain product always.
///
/// # Errors
/// [`Error::Missing`] when no case is called so or a process gives no answer, [`Error::Mismatch`] when the two sides
/// do not compute the same.
pub fn compare(settings: &Settings) -> Result<Comparison> {
    settings.check()?;
    let only = settings.only.as_deref().unwrap_or("");
    let mut chosen: Vec<&Case> = CASES.iter().filter(|c| c.words.contains(only)).collect();
    if chosen.is_empty() {
        let mut names: Vec<&str> = CASES.iter().map(Case::name).collect();
        names.dedup();
        return Err(Error::Missing {
            what: format!("no case is called {only:?}: there are {}", names.join(", ")),
            next: "name one of them, or a part of its sizes",
        });
    }
    if chosen.iter().all(|case| case.words != MATMUL.words) {
        chosen.insert(0, &MATMUL);
    }
    let folder = Folder::new()?;
    let mut comparison = Comparison {
        cpu: cpu(),
        threads: settings.threads,
        tries: settings.tries,
        versions: Vec::new(),
        rows: Vec::new(),
    };
    for (i, case) in chosen.iter().enumerate() {
        let what = format!("{}/{} {}", i + 1, chosen.len(), case.words);
        one(case, &what, settings, &folder.0, &mut comparison)?;
    }
    Ok(comparison)
}

fn one(
    case: &Case,
    what: &str,
    settings: &Settings,
    folder: &Path,
    comparison: &mut Comparison,
) -> Result<()> {
    let mut sides = vec![Side::Ours];
    if let Some(python) = &settings.torch {
        sides.push(Side::Torch(python.clone(), Layout::Contiguous));
        if case.layouts {
            sides.push(Side::Torch(python.clone(), Layout::ChannelsLast));
        }
    }
    let start = |side| Contender::start(side, case, settings.threads);
    let mut contenders = sides.into_iter().map(start).collect::<Result<Vec<_>>>()?;
    for contender in &contenders {
        let name = contender.side.name();
        if comparison.versions.iter().all(|known| known.name != name) {
            comparison.versions.push(Version {
                name: name.into(),
                version: contender.ready.version.clone(),
                base: contender.ready.base,
            });
        }
    }
    let tries = match case.heavy {
        true => settings.tries.div_ceil(3),
        false => settings.tries,
    };
    let mut bar = Progress::new(what, (case.rows.len() * tries) as u64);
    let first = comparison.rows.len();
    for row in case.rows {
        for contender in &mut contenders {
            contender.row(*row)?;
        }
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..tries {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                std::thread::sleep(PAUSE);
                times.push(contender.run()?);
            }
            bar.step()?;
        }
        let told = contenders.iter_mut().zip(times).map(|(contender, times)| {
            Ok(Times {
                name: contender.side.name().into(),
                milliseconds: times,
                peak: contender.peak()?,
            })
        });
        comparison.rows.push(Measured {
            case: case.words.into(),
            what: case.what.into(),
            row: row.name().into(),
            operations: case.operations(*row),
            apart: None,
            sides: told.collect::<Result<_>>()?,
        });
    }
    let apart = agree(case, &mut contenders, folder)?;
    for row in &mut comparison.rows[first..] {
        row.apart = apart;
    }
    bar.finish();
    Ok(())
}

/// Lets the others compute what we have computed, with our parameters.
fn agree(case: &Case, contenders: &mut [Contender], folder: &Path) -> Result<Option<(f64, f64)>> {
    let Some((ours, others)) = contenders.split_first_mut() else {
        return Ok(None);
    };
    if others.is_empty() {
        return Ok(None);
    }
    let path = folder.join("exchange.safetensors");
    ours.exchange(&path)?;
    let mut worst = (0f64, 0f64);
    for other in others {
        let (result, gradient) = other.check(&path)?;
        // NaN is too much, too.
        if !(result <= RESULT && gradient <= GRADIENT) {
            return Err(Error::Mismatch {
                what: "the results of the two sides",
                left: format!("{}: {}", case.words, ours.side.name()),
                right: format!(
                    "{}, {result:.1e} away, its gradients {gradient:.1e}",
                    other.side.name()
                ),
                next: "one of them computes something else; the times say nothing",
            });
        }
        worst = (worst.0.max(result), worst.1.max(gradient));
    }
    Ok(Some(worst))
}

/// A folder of this process, gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("itd-compute-{}", std::process::id()));
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            Err(cause) => Err(Error::File {
                path,
                cause: cause.into(),
            }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The processor's name, as Linux tells it.
fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = line.map(|line| line.trim_start_matches(['\t', ' ', ':']));
    name.map_or_else(|| std::env::consts::ARCH.into(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(name: &str, milliseconds: &[f64]) -> Times {
        Times {
            name: name.into(),
            milliseconds: milliseconds.into(),
            peak: None,
        }
    }

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        let all = times("", &[3.0, 1.0, 2.0]);
        assert_eq!(all.spread(), Some((2.0, 1.0, 3.0)));
        // In order of time, not of size.
        assert_eq!(all.milliseconds, [3.0, 1.0, 2.0]);
        assert_eq!(times("", &[]).spread(), None);
    }

    #[test]
    fn pytorch_is_taken_in_its_better_layout() {
        let mut row = Measured {
            case: String::new(),
            what: String::new(),
            row: String::new(),
            operations: None,
            apart: None,
            sides: vec![
                times("itd", &[2.0]),
                times("PyTorch", &[5.0]),
                times("PyTorch, channels_last", &[3.0]),
            ],
        };
        assert_eq!(row.ratio(), Some(1.5));
        row.sides.truncate(1);
        assert_eq!(row.ratio(), None);
    }

    #[test]
    fn an_unknown_case_is_answered_with_those_that_there_are() {
        let only = Some("convolve".into());
        let settings = Settings {
            only,
            ..Default::default()
        };
        let error = compare(&settings).unwrap_err().to_string();
        assert!(error.contains("convolve") && error.contains("group_norm"));
    }
}
