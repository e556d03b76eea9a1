//! `itd bench recommender`: the tables of the case study on recommenders.

use std::path::PathBuf;
use std::time::Instant;

use super::Report;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::recommender::{Outcome, Outcomes, Part, Protocol, PublishedSplit, ease, score, study};
use crate::show::table;
use crate::{io, ratings, stats};

/// What is asked for.
const NEED: &str = "`bench-recommender FILE.parquet`, and behind it any of `--runs N`, `--parts linear,svd,mlp-original,mlp,neumf-original,neumf,correct`";

/// The settings of a run.
struct Config {
    file: PathBuf,
    runs: u64,
    parts: Vec<Part>,
}

impl Config {
    fn read(words: &[&str]) -> Result<Self> {
        let refused = |got: &str| Error::Parameter {
            name: "the command",
            got: format!("{got:?}"),
            need: NEED,
        };
        let [file, rest @ ..] = words else {
            return Err(refused("bench-recommender without a file"));
        };
        if !file.ends_with(".parquet") {
            return Err(refused(file));
        }
        let mut config = Self {
            file: file.into(),
            runs: 5,
            parts: Part::ALL.to_vec(),
        };
        for pair in rest.chunks(2) {
            match pair {
                ["--runs", value] => {
                    let runs = value.parse().ok().filter(|runs| (1..=100).contains(runs));
                    config.runs = runs.ok_or_else(|| refused(value))?;
                }
                ["--parts", value] => {
                    config.parts = value.split(',').map(str::parse).collect::<Result<_>>()?;
                }
                other => return Err(refused(other[0])),
            }
        }
        Ok(config)
    }
}

/// Runs what is not in the file yet, and tells what is in it then. After each run the file is written anew, whole.
///
/// # Errors
/// [`Error::Parameter`] for another command, [`Error::Missing`] without the ratings, [`Error::File`] when the file cannot be
/// read or written, [`Error::Interrupted`] when the user stops it: what is done stays.
pub(super) fn bench(words: &[&str]) -> Result<Report> {
    let config = Config::read(words)?;
    let split = PublishedSplit::of(&ratings::ml_100k()?)?;
    let _lock = super::lock(&config.file)?;
    let mut all: Outcomes = match config.file.exists() {
        true => io::read(&config.file)?,
        false => Outcomes::default(),
    };
    let mut work = Vec::new();
    // All parts once before any of them again.
    let most = config.parts.iter().map(|part| part.runs(config.runs)).max();
    for run in 0..most.unwrap_or(0) {
        for &part in &config.parts {
            let known = |one: &Outcome| one.part == part && one.run as u64 == run;
            if run < part.runs(config.runs) && !all.0.iter().any(known) {
                work.push((part, run));
            }
        }
    }
    let mut bar = Progress::new("recommenders", work.len() as u64);
    for (part, run) in work {
        all.0.extend(study(&split, part, run)?);
        io::write(&config.file, &all)?;
        bar.step()?;
    }
    bar.finish();
    Ok(Report {
        text: format!("{}\n{}", told(&all)?, timed(&split)?),
        complaint: None,
    })
}

/// For each protocol, column and model: the mean over runs.
fn told(all: &Outcomes) -> Result<String> {
    let mut groups: Vec<(Protocol, &str, &str)> = Vec::new();
    for one in &all.0 {
        let group = (one.part.protocol(), one.column.as_str(), one.model.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.sort_by_key(|(protocol, column, _)| (*protocol == Protocol::Correct, *column));
    let line = |(protocol, column, model): &(Protocol, &str, &str)| -> Result<[String; 8]> {
        let served = all.served(*protocol, column, model)?;
        let (recall, ndcg) = (score(&served.recall), score(&served.ndcg));
        let seconds = all
            .of(*protocol, column, model)
            .into_iter()
            .map(|one| one.seconds);
        Ok([
            protocol.to_string(),
            (*column).to_owned(),
            (*model).to_owned(),
            served.runs.to_string(),
            recall.to_string(),
            ndcg.to_string(),
            format!("{:.4}", served.recall_spread),
            format!("{:.1}", stats::mean(&seconds.collect::<Vec<f64>>())),
        ])
    };
    let head = [
        "protocol",
        "column",
        "model",
        "runs",
        "Recall@10",
        "NDCG@10",
        "sd of runs",
        "seconds",
    ];
    let lines = groups.iter().map(line).collect::<Result<Vec<_>>>()?;
    Ok(format!("{}\n", table(&head, lines)?))
}

/// How long EASE takes, at its fastest.
fn timed(split: &PublishedSplit) -> Result<String> {
    let learned = split.learned()?;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        ease(&learned, 200.0)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(format!(
        "EASE of {} users and {} items: {:.0} ms, the best of 7\n",
        learned.users(),
        learned.items(),
        1e3 * best
    ))
}
