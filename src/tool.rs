//! `itd fetch`, `itd inspect`, `itd reproduce`, `itd bench mi`, `itd bench recommender`, `itd bench compute` and
//! `itd bench cuda`: this process becomes a program of the prelude's own.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::cli::{BenchCompute, BenchMi, BenchRecommender, Fetch, Inspect, ReproduceCifar10};
use crate::console::BuildBar;
use crate::prelude::Plan;
use crate::prelude::program::{Part, program};
use crate::python::Environment;
use crate::toolchain::Toolchain;

/// `itd fetch`.
///
/// # Errors
/// When there is no compiler, or the prelude or the program does not build; what the command itself has to say, and
/// its exit code, are the program's.
pub fn fetch(options: &Fetch) -> Result<Infallible, Box<dyn Error>> {
    let model = options.model.as_ref().map(OsString::from);
    become_program(Part::Tool, ["fetch".into()].into_iter().chain(model))
}

/// `itd inspect`.
///
/// # Errors
/// As [`fetch`].
pub fn inspect(options: &Inspect) -> Result<Infallible, Box<dyn Error>> {
    let network = options
        .network
        .map(|network| ["--as", network.name()].map(OsString::from));
    let arguments = ["inspect".into(), options.file.clone().into_os_string()];
    let arguments = arguments.into_iter().chain(network.into_iter().flatten());
    become_program(Part::Tool, arguments)
}

/// `itd reproduce cifar10`.
///
/// # Errors
/// As [`fetch`].
pub fn reproduce(options: &ReproduceCifar10) -> Result<Infallible, Box<dyn Error>> {
    let scale = options.scale.to_possible_value();
    let scale = scale.map(|value| value.get_name().to_owned());
    let mut arguments = vec![
        "reproduce".into(),
        "cifar10".into(),
        "--scale".into(),
        OsString::from(scale.unwrap_or_default()),
        "--folder".into(),
        options.folder.clone().into_os_string(),
        "--shard".into(),
        OsString::from(&options.shard),
    ];
    if let Some(folder) = &options.data {
        arguments.extend(["--data".into(), folder.clone().into_os_string()]);
    }
    if options.cost {
        arguments.push("--cost".into());
    }
    become_program(Part::Tool, arguments.into_iter())
}

/// `itd bench mi`.
///
/// # Errors
/// As [`fetch`].
pub fn mutual_information(options: &BenchMi) -> Result<Infallible, Box<dyn Error>> {
    let samples = options.samples.to_string();
    let arguments = [
        "bench-mi".into(),
        options.file.clone().into_os_string(),
        "--samples".into(),
        samples.into(),
        "--seeds".into(),
        OsString::from(&options.seeds),
        "--tasks".into(),
        OsString::from(&options.tasks),
        "--estimators".into(),
        OsString::from(&options.estimators),
        "--shard".into(),
        OsString::from(&options.shard),
    ];
    become_program(Part::Tool, arguments.into_iter())
}

/// `itd bench recommender`.
///
/// # Errors
/// As [`fetch`].
pub fn recommender(options: &BenchRecommender) -> Result<Infallible, Box<dyn Error>> {
    let arguments = [
        "bench-recommender".into(),
        options.file.clone().into_os_string(),
        "--runs".into(),
        options.runs.to_string().into(),
        "--parts".into(),
        OsString::from(&options.parts),
    ];
    become_program(Part::Tool, arguments.into_iter())
}

/// `itd bench compute`.
///
/// # Errors
/// As [`fetch`], and when the environment with PyTorch cannot be made.
pub fn compute(options: &BenchCompute, project: &Path) -> Result<Infallible, Box<dyn Error>> {
    let mut arguments: Vec<OsString> = vec![
        "--tries".into(),
        options.tries.to_string().into(),
        "--threads".into(),
        options.threads.to_string().into(),
    ];
    if let Some(name) = &options.only {
        arguments.extend(["--only".into(), name.into()]);
    }
    if let Some(file) = &options.json {
        arguments.extend(["--json".into(), file.into()]);
    }
    if !options.no_torch {
        let environment = Environment::torch(project, &|text| eprintln!("{text}"))?;
        let python = environment.program("python").into_os_string();
        arguments.extend(["--torch".into(), python]);
    }
    become_program(Part::Bench, arguments.into_iter())
}

/// `itd bench cuda`.
///
/// # Errors
/// As [`fetch`].
pub fn device() -> Result<Infallible, Box<dyn Error>> {
    become_program(Part::Bench, ["device".into()].into_iter())
}

fn become_program(
    part: Part,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Infallible, Box<dyn Error>> {
    let toolchain = Toolchain::find()?;
    let mut bar = BuildBar::default();
    let prelude = Plan::new(toolchain.clone())?.build_for_here(&mut |step| bar.tell(&step));
    bar.finish();
    let prelude = prelude?;
    let program = program(part, &toolchain, &prelude)?;
    let error = Command::new(&program)
        .args(arguments)
        .envs(prelude.environment())
        .exec();
    Err(format!("{}: {error}", program.display()).into())
}
