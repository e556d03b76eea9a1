//! `itd`: parse, dispatch, print the error, exit code.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use itd::cli::{self, BenchCommand, Cli, Command, CourseCommand, PreludeCommand, Reproduce};
use itd::course::edition::{self, Edition};
use itd::course::{slides, times};
use itd::notebook::file;
use itd::prelude::{Plan, evcxr};
use itd::session::{self, Workshop};
use itd::toolchain::Toolchain;
use itd::{console, doctor, repl, runner, site, tool};
use itd::{install, kernel};

fn main() {
    // evcxr and cargo call this program as well; then it is something else and does not return.
    itd::analysis::hook();
    session::child::hook();
    session::compiler::hook();
    end_when_nobody_reads();
    let code = match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&*error) => NOBODY_READS,
        Err(error) => {
            eprintln!("itd: {error}");
            2
        }
    };
    std::process::exit(code);
}

/// The exit code that a shell gives to a program whose reader has gone.
const NOBODY_READS: i32 = 128 + 13;

/// A reader that goes away (`itd doctor | head -1`) ends a command without a word, as it does other programs. By the
/// signal it cannot be: the programs that this one talks to may go, too.
fn end_when_nobody_reads() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") && said.contains("Broken pipe") {
            std::process::exit(NOBODY_READS);
        }
        before(panic);
    }));
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Exit code 0 for success, 1 for a cell, a check or a download that failed, 2 for an error of ours.
fn dispatch(command: Command) -> Result<i32, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    match command {
        Command::Run(run) => Ok(runner::run(&run, workshop()?)?),
        Command::Convert(convert) => Ok(runner::convert(&convert)?),
        Command::Site(options) => site::run(&options),
        Command::Kernel {
            connection_file, ..
        } => {
            kernel::run(&connection_file, workshop()?)?;
            Ok(0)
        }
        Command::Course { command } => {
            course(&command)?;
            Ok(0)
        }
        Command::Install(to) => {
            let folder = install::install(&to.place(), &to.name, &program)?;
            println!("installed: {}", folder.display());
            Ok(0)
        }
        Command::Uninstall(from) => {
            let folder = install::uninstall(&from.place(), &from.name)?;
            println!("removed: {}", folder.display());
            Ok(0)
        }
        Command::Lab { arguments } => match doctor::lab(&arguments)? {},
        Command::Repl => Ok(repl::run(workshop()?).map_err(|failure| failure.plain())?),
        Command::Fetch(options) => match tool::fetch(&options)? {},
        Command::Inspect(options) => match tool::inspect(&options)? {},
        Command::Reproduce {
            what: Reproduce::Cifar10(options),
        } => match tool::reproduce(&options)? {},
        Command::Prelude { command } => prelude(&command),
        Command::EvcxrConfig { folder, remove } => {
            evcxr_config(folder, remove)?;
            Ok(0)
        }
        Command::Doctor => Ok(i32::from(!doctor::run())),
        Command::Bench { command } => {
            let project = Path::new(env!("CARGO_MANIFEST_DIR"));
            match &command {
                BenchCommand::Cells(cells) => {
                    itd::bench::run(cells, &program, project)?;
                    Ok(0)
                }
                BenchCommand::Build(options) => {
                    itd::bench::build(options)?;
                    Ok(0)
                }
                BenchCommand::Complete(options) => {
                    itd::bench::complete::run(options, &program)?;
                    Ok(0)
                }
                BenchCommand::Kernels(options) => {
                    itd::bench::kernels::run(options, &program)?;
                    Ok(0)
                }
                BenchCommand::Compute(options) => match tool::compute(options, project)? {},
                BenchCommand::Cuda => match tool::device()? {},
                BenchCommand::Mi(options) => match tool::mutual_information(options)? {},
                BenchCommand::Recommender(options) => match tool::recommender(options)? {},
            }
        }
    }
}

fn course(command: &CourseCommand) -> Result<(), Box<dyn Error>> {
    match command {
        CourseCommand::Student(options) => make_edition(Edition::Student, options),
        CourseCommand::Instructor(options) => make_edition(Edition::Instructor, options),
        CourseCommand::Solutions(options) => make_edition(Edition::Solutions, options),
        CourseCommand::Slides(options) => {
            let page = slides::slides(&options.talk, &options.notebooks)?;
            file::replace(&options.output, page.as_bytes())?;
            println!("{}", options.output.display());
            Ok(())
        }
        CourseCommand::Times { notebooks } => {
            let all = times::of_files(&named(notebooks)?)?;
            print!("{}\n\n{}", times::RULE, times::table(&all));
            Ok(())
        }
    }
}

/// Notebooks that were named, or all.
fn named(notebooks: &[PathBuf]) -> Result<Vec<PathBuf>, edition::EditionError> {
    match notebooks.is_empty() {
        true => edition::notebooks(Path::new("notebooks")),
        false => Ok(notebooks.to_vec()),
    }
}

fn make_edition(edition: Edition, options: &cli::Edition) -> Result<(), Box<dyn Error>> {
    let output = match &options.output {
        Some(output) => output.clone(),
        None => Path::new("course").join(edition.name()),
    };
    let made = edition::make(
        edition,
        &named(&options.notebooks)?,
        &options.notes,
        &output,
    )?;
    println!(
        "{}: {} notebooks, {} exercises; {} points by checks, {} by reading",
        output.display(),
        made.notebooks,
        made.exercises,
        made.checked,
        made.read,
    );
    if !made.left_out.is_empty() {
        eprintln!(
            "left out, for they hold answers: {}",
            made.left_out.join(", ")
        );
    }
    if !made.without_notes.is_empty() {
        let notes = options.notes.display();
        eprintln!(
            "without notes in {notes}: {}",
            made.without_notes.join(", ")
        );
    }
    Ok(())
}

fn workshop() -> std::io::Result<Arc<Workshop>> {
    // SAFETY: each command begins with it, and no thread has been started.
    Ok(Arc::new(unsafe { Workshop::open() }?))
}

fn evcxr_config(folder: Option<PathBuf>, remove: bool) -> Result<(), Box<dyn Error>> {
    let folder = match folder {
        Some(folder) => folder,
        None => evcxr::folder()?,
    };
    let paths = match remove {
        true => evcxr::remove(&folder)?,
        false => {
            let plan = Plan::new(Toolchain::find()?)?;
            let mut bar = console::BuildBar::default();
            let built = plan.build_for_here(&mut |step| bar.tell(&step));
            bar.finish();
            evcxr::write(&folder, &built?)?
        }
    };
    for path in paths {
        match remove {
            true => println!("{} has no lines of itd", path.display()),
            false => println!("{}", path.display()),
        }
    }
    if !remove {
        println!("call this again after an update of Rust or of itd");
    }
    Ok(())
}

fn prelude(command: &PreludeCommand) -> Result<i32, Box<dyn Error>> {
    let mut plan = Plan::new(Toolchain::find()?)?;
    match command {
        PreludeCommand::Build { cuda, cpu } => {
            let mut bar = console::BuildBar::default();
            if *cpu {
                plan.choose_cpu();
            } else if let Some(wanted) = cuda {
                plan.choose_cuda(*wanted, &itd::prelude::cache(), &mut |step| bar.tell(&step))?;
            }
            let built = plan.build(&mut |step| bar.tell(&step));
            bar.finish();
            let prelude = built?;
            plan.keep_choice()?;
            println!(
                "{} (built in {:.0} s)",
                prelude.folder().display(),
                prelude.seconds()
            );
            Ok(0)
        }
        PreludeCommand::Path => match plan.find_for_here()? {
            Some(prelude) => {
                println!("{}", prelude.folder().display());
                Ok(0)
            }
            None => Err("the prelude is not built; run `itd prelude build`".into()),
        },
    }
}
