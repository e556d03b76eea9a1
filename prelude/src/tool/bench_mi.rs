//! `itd bench mi`: estimators of mutual information on tasks whose information is known.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::Report;
use crate::error::{Error, Result};
use crate::information::{
    Base, Bound, Cca, Critic, Doe, DoeHead, Estimator, Experts, Ksg, Minde, MindeForm, Mmg, Scale,
    StudentCopula,
};
use crate::io;
use crate::progress::Progress;
use crate::show::table;
use crate::stats;
use crate::task::{self, Benchmark, Form};

/// What is asked for.
const NEED: &str = "`bench-mi FILE.parquet`, and behind it any of `--samples N`, `--seeds FIRST-LAST`, \
                    `--tasks beyond-normal|high|extra|NAME`, `--estimators \
                    base,cca,ksg,student,mmg,mmg-ranks,mmg-experts,minde-c,minde-c-sigma,minde-j,minde-j-sigma,doe,doe-logistic,mine,dv,nwj,\
                    infonce,infonce-anchor`, \
                    `--shard INDEX/COUNT`";

/// The settings of a run.
struct Config {
    file: PathBuf,
    samples: usize,
    seeds: std::ops::RangeInclusive<u64>,
    tasks: String,
    estimators: Vec<String>,
    shard: (usize, usize),
}

/// One line of the file.
#[derive(Clone)]
struct Row {
    task: String,
    estimator: String,
    n: usize,
    seed: u64,
    truth: f64,
    nats: f64,
    std_err: f64,
    seconds: f64,
    note: String,
}

fn refused(got: &str) -> Error {
    Error::Parameter {
        name: "the command",
        got: format!("{got:?}"),
        need: NEED,
    }
}

impl Config {
    fn read(words: &[&str]) -> Result<Self> {
        let [file, rest @ ..] = words else {
            return Err(refused("bench-mi without a file"));
        };
        if !file.ends_with(".parquet") {
            return Err(refused(file));
        }
        let mut config = Self {
            file: file.into(),
            samples: 10_000,
            seeds: 0..=2,
            tasks: "beyond-normal".into(),
            estimators: vec!["base".into(), "cca".into(), "ksg".into(), "student".into()],
            shard: (1, 1),
        };
        for pair in rest.chunks(2) {
            let [key, value] = pair else {
                return Err(refused(pair[0]));
            };
            let number = |text: &str| text.parse::<u64>().map_err(|_| refused(value));
            match *key {
                "--samples" => config.samples = number(value)? as usize,
                "--seeds" => {
                    let (first, last) = value.split_once('-').unwrap_or((value, value));
                    config.seeds = number(first)?..=number(last)?;
                    if config.seeds.is_empty() {
                        return Err(refused(value));
                    }
                }
                "--tasks" => config.tasks = (*value).to_owned(),
                "--estimators" => {
                    config.estimators.clear();
                    for name in value.split(',') {
                        estimator(name)?;
                        if !config.estimators.iter().any(|known| known == name) {
                            config.estimators.push(name.to_owned());
                        }
                    }
                }
                "--shard" => {
                    let (index, count) = value.split_once('/').ok_or_else(|| refused(value))?;
                    config.shard = (number(index)? as usize, number(count)? as usize);
                    if !(1..=config.shard.1).contains(&config.shard.0) {
                        return Err(refused(value));
                    }
                }
                other => return Err(refused(other)),
            }
        }
        Ok(config)
    }

    fn tasks(&self) -> Result<Vec<Benchmark>> {
        Ok(match self.tasks.as_str() {
            "beyond-normal" => task::beyond_normal(),
            "high" => high()?,
            "extra" => task::extra(EXTRA)?,
            name => {
                let lists = [|| Ok(task::beyond_normal()), high, || task::extra(EXTRA)];
                for list in lists {
                    let mut found = list()?;
                    found.retain(|task| task.name.contains(name));
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
                return Err(Error::Parameter {
                    name: "--tasks",
                    got: format!("{name:?}"),
                    need: "`beyond-normal`, `high`, `extra`, or a part of the name of one of their tasks",
                });
            }
        })
    }
}

/// Samples behind those truths of the extra tasks that are integrals.
const EXTRA: usize = 1_000_000;

/// Five strengths in three forms and two numbers of dimensions.
fn high() -> Result<Vec<Benchmark>> {
    let mut all = Vec::new();
    for form in Form::ALL {
        for dim in [3, 50] {
            for strength in task::STRENGTHS {
                all.push(task::high_mi(strength, dim, form)?);
            }
        }
    }
    Ok(all)
}

fn estimator(name: &str) -> Result<Box<dyn Estimator>> {
    Ok(match name {
        "base" => Box::new(Base::default()),
        "cca" => Box::new(Cca::default()),
        "ksg" => Box::new(Ksg {
            neighbours: 10,
            scale: Scale::Standard,
            ..Ksg::default()
        }),
        "student" => Box::new(StudentCopula::default()),
        "mmg" => Box::new(Mmg::default()),
        "mmg-ranks" => Box::new(Mmg {
            scale: Scale::Ranks,
            ..Mmg::default()
        }),
        "mmg-experts" => Box::new(Mmg {
            experts: Experts::At(5.0),
            ..Mmg::default()
        }),
        "minde-c" => Box::new(Minde::of(MindeForm::Conditional)),
        "minde-c-sigma" => Box::new(Minde::of(MindeForm::ConditionalSigma)),
        "minde-j" => Box::new(Minde::of(MindeForm::Joint)),
        "minde-j-sigma" => Box::new(Minde::of(MindeForm::JointSigma)),
        "doe" => Box::new(Doe::default()),
        "doe-logistic" => Box::new(Doe {
            head: DoeHead::Logistic,
            ..Doe::default()
        }),
        "mine" => Box::new(Critic::of(Bound::Mine)),
        "dv" => Box::new(Critic::of(Bound::DonskerVaradhan)),
        "nwj" => Box::new(Critic::of(Bound::Nwj)),
        "infonce" => Box::new(Critic::of(Bound::InfoNce)),
        "infonce-anchor" => Box::new(Critic::of(Bound::InfoNceAnchor)),
        other => {
            return Err(Error::Parameter {
                name: "--estimators",
                got: format!("{other:?}"),
                need: NEED,
            });
        }
    })
}

/// Runs what is not in the file yet, and tells what is in it then. After each run the file is written anew, whole.
///
/// # Errors
/// [`Error::Parameter`] for another command, [`Error::File`] when the file cannot be read or written or another process
/// writes to it, [`Error::Memory`] when a run does not fit,
/// [`Error::Interrupted`] when the user stops it: what is done stays.
pub(super) fn bench(words: &[&str]) -> Result<Report> {
    let config = Config::read(words)?;
    let _lock = super::lock(&config.file)?;
    let mut rows = match config.file.exists() {
        true => read(&io::read(&config.file)?)?,
        false => Vec::new(),
    };
    let key = |row: &Row| (row.task.clone(), row.estimator.clone(), row.n, row.seed);
    let done: HashSet<_> = rows.iter().map(key).collect();
    let tasks = config.tasks()?;
    let mut work = Vec::new();
    for (i, task) in tasks.iter().enumerate() {
        for seed in config.seeds.clone() {
            for name in &config.estimators {
                let known = (task.name.clone(), name.clone(), config.samples, seed);
                if i % config.shard.1 + 1 == config.shard.0 && !done.contains(&known) {
                    work.push((task, seed, name));
                }
            }
        }
    }
    let mut bar = Progress::new("mutual information", work.len() as u64);
    for (task, seed, name) in work {
        rows.push(run(task, seed, name, config.samples)?);
        io::write(&config.file, &frame(&rows)?)?;
        bar.step()?;
    }
    bar.finish();
    Ok(Report {
        text: told(&rows)?,
        complaint: None,
    })
}

fn run(task: &Benchmark, seed: u64, name: &str, n: usize) -> Result<Row> {
    let pairs = task.sample(n, seed)?;
    let start = Instant::now();
    let found = estimator(name)?.information(pairs.x.view(), pairs.y.view());
    let seconds = start.elapsed().as_secs_f64();
    let (nats, std_err, note) = match found {
        Ok(found) => (found.nats, found.std_err, found.warnings.join("; ")),
        // Another time there may be room.
        Err(error @ (Error::Interrupted(_) | Error::Memory { .. })) => return Err(error),
        // What an estimator cannot do is a result, too.
        Err(error) => (f64::NAN, f64::NAN, error.to_string()),
    };
    Ok(Row {
        task: task.name.clone(),
        estimator: name.to_owned(),
        n,
        seed,
        truth: task.nats,
        nats,
        std_err,
        seconds,
        note,
    })
}

fn frame(rows: &[Row]) -> Result<DataFrame> {
    let text = |name: &str, of: fn(&Row) -> &str| {
        Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>())
    };
    let number = |name: &str, of: fn(&Row) -> f64| {
        Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>())
    };
    let whole = |name: &str, of: fn(&Row) -> i64| -> Column {
        Series::new(name.into(), rows.iter().map(of).collect::<Vec<_>>()).into()
    };
    Ok(DataFrame::new(
        rows.len(),
        vec![
            text("task", |row| &row.task),
            text("estimator", |row| &row.estimator),
            whole("n", |row| row.n as i64),
            whole("seed", |row| row.seed as i64),
            number("truth", |row| row.truth),
            number("nats", |row| row.nats),
            number("std_err", |row| row.std_err),
            number("seconds", |row| row.seconds),
            text("note", |row| &row.note),
        ],
    )?)
}

fn read(frame: &DataFrame) -> Result<Vec<Row>> {
    let text = |name: &str| -> Result<Vec<String>> {
        let values = frame.column(name)?.str()?;
        Ok(values
            .iter()
            .map(|text| text.unwrap_or("").to_owned())
            .collect())
    };
    let number = |name: &str| -> Result<Vec<f64>> {
        let values = frame.column(name)?.f64()?;
        Ok(values
            .iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect())
    };
    let whole = |name: &str| -> Result<Vec<i64>> {
        let values = frame.column(name)?.i64()?;
        Ok(values.iter().map(|value| value.unwrap_or(0)).collect())
    };
    let (tasks, estimators, notes) = (text("task")?, text("estimator")?, text("note")?);
    let (n, seeds) = (whole("n")?, whole("seed")?);
    let (truth, nats) = (number("truth")?, number("nats")?);
    let (std_err, seconds) = (number("std_err")?, number("seconds")?);
    let row = |i: usize| Row {
        task: tasks[i].clone(),
        estimator: estimators[i].clone(),
        n: n[i] as usize,
        seed: seeds[i] as u64,
        truth: truth[i],
        nats: nats[i],
        std_err: std_err[i],
        seconds: seconds[i],
        note: notes[i].clone(),
    };
    Ok((0..frame.height()).map(row).collect())
}

/// For each estimator and size: how far off it is.
fn told(rows: &[Row]) -> Result<String> {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        if !groups.contains(&(&row.estimator, row.n)) {
            groups.push((&row.estimator, row.n));
        }
    }
    let mut lines = Vec::new();
    for (name, n) in groups {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|row| row.estimator == name && row.n == n)
            .collect();
        lines.push(summary(name, n, &own));
    }
    let columns = [
        "estimator",
        "n",
        "tasks",
        "runs",
        "mean |error|",
        "|mean error|",
        "largest",
        "solved",
        "within 2 se",
        "seconds",
    ];
    Ok(format!(
        "{}\n{}\n",
        each_task(rows)?,
        table(&columns, lines)?
    ))
}

fn summary(name: &str, n: usize, rows: &[&Row]) -> [String; 10] {
    let mut tasks: Vec<&str> = rows.iter().map(|row| row.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let (mut absolute, mut of_mean, mut solved) = (Vec::new(), Vec::new(), 0);
    for task in &tasks {
        let own: Vec<&&Row> = rows.iter().filter(|row| row.task == *task).collect();
        let errors: Vec<f64> = own.iter().map(|row| row.nats - row.truth).collect();
        let mean = stats::mean(&errors).abs();
        absolute.push(stats::mean(
            &errors.iter().map(|e| e.abs()).collect::<Vec<_>>(),
        ));
        of_mean.push(mean);
        solved += usize::from(mean <= f64::max(0.05, 0.1 * own[0].truth));
    }
    let inside = |row: &&&Row| (row.nats - row.truth).abs() <= 2.0 * row.std_err;
    let within = rows.iter().filter(inside).count();
    let mut seconds: Vec<f64> = rows.iter().map(|row| row.seconds).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    // NaN where the estimator has failed on a task.
    let largest = match of_mean.iter().any(|error| error.is_nan()) {
        true => f64::NAN,
        false => of_mean.iter().copied().fold(0.0, f64::max),
    };
    [
        name.to_owned(),
        n.to_string(),
        tasks.len().to_string(),
        rows.len().to_string(),
        format!("{:.4}", stats::mean(&absolute)),
        format!("{:.4}", stats::mean(&of_mean)),
        format!("{largest:.3}"),
        format!("{solved}"),
        format!("{:.0} %", 100.0 * within as f64 / rows.len() as f64),
        format!("{:.2} (median)", seconds[seconds.len() / 2]),
    ]
}

/// The mean of each task, by estimator.
fn each_task(rows: &[Row]) -> Result<String> {
    let (mut tasks, mut names): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for row in rows {
        if !tasks.contains(&row.task.as_str()) {
            tasks.push(&row.task);
        }
        if !names.contains(&row.estimator.as_str()) {
            names.push(&row.estimator);
        }
    }
    let line = |task: &&str| -> Vec<String> {
        let own: Vec<&Row> = rows.iter().filter(|row| row.task == *task).collect();
        let mut line = vec![(*task).to_owned(), format!("{:.4}", own[0].truth)];
        for name in &names {
            let values: Vec<f64> = own
                .iter()
                .filter(|row| row.estimator == *name)
                .map(|row| row.nats)
                .collect();
            line.push(format!("{:.4}", stats::mean(&values)));
        }
        line
    };
    let columns = [vec!["task", "truth"], names.clone()].concat();
    Ok(table(&columns, tasks.iter().map(line))?.to_string())
}
