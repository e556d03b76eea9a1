//! `itd run`: notebooks in, executed notebooks and pages out, and a report in between.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nbformat::v4::Notebook;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::{Convert, Run};
use crate::console::BuildBar;
use crate::notebook::run::{Manner, Progress};
use crate::notebook::{self, Format, NotebookError, check, file, parameters};
use crate::reply::{Failure, Output};
use crate::session::Workshop;

/// The exit code of a program that Ctrl-C has stopped.
const INTERRUPTED: i32 = 130;

/// Why nothing could be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Notebook(#[from] NotebookError),
    #[error("the folder {} cannot be made: {source}", .folder.display())]
    Folder {
        folder: PathBuf,
        source: std::io::Error,
    },
    #[error("the session cannot be started: {}", .0.value)]
    Start(Failure),
    #[error("{}: {what}", path.display())]
    Parameter { path: PathBuf, what: String },
    #[error("{} is a .{format} already: leave that format out, or write to another folder by --output-dir", path.display())]
    Itself { path: PathBuf, format: Format },
    #[error("{} and {} would both be written to {}: give them other names, or folders of their own", .first.display(), .second.display(), .output.display())]
    Twice {
        first: PathBuf,
        second: PathBuf,
        output: PathBuf,
    },
    #[error("itd cannot start itself: {0}")]
    Program(std::io::Error),
}

/// Executes the notebooks; 0 when every cell did what it should, 1 otherwise.
///
/// # Errors
/// When a notebook cannot be read, its outputs could not be written, the folder for them not be made, or no session can be started.
pub fn run(options: &Run, workshop: Arc<Workshop>) -> Result<i32, RunError> {
    check_apart(&options.notebooks, options.output_dir.as_deref())?;
    if options.jobs > 1 && options.notebooks.len() > 1 {
        return at_once(options);
    }
    let mut code = 0;
    for path in &options.notebooks {
        match run_one(options, path, &workshop)? {
            INTERRUPTED => return Ok(INTERRUPTED),
            other => code = code.max(other),
        }
    }
    Ok(code)
}

fn run_one(options: &Run, path: &Path, workshop: &Arc<Workshop>) -> Result<i32, RunError> {
    let mut code = 0;
    // Whether the results can be kept is known before the work is done.
    let mut notebook = notebook::read(path)?;
    file::check_language(path, &notebook)?;
    let output = place(path, options.output_dir.as_deref())?;
    let writes = !options.check || options.output_dir.is_some();
    let formats = options.formats();
    if writes {
        // A notebook's outputs are its own.
        if notebook::formats::is_script(path) {
            check_itself(path, &output, &formats)?;
        }
        file::check_writable(&output)?;
    }
    // A script has no outputs; those of the notebook beside it are meant.
    let before = match (options.check, notebook::formats::is_script(path)) {
        (true, true) => notebook::read(&notebook::formats::place(path, Format::Ipynb))?,
        _ => notebook.clone(),
    };
    complete(path, &output, &mut notebook, false);
    let tagged = parameters::inject(&mut notebook, &options.parameters);
    let tagged = tagged.map_err(|what| RunError::Parameter {
        path: path.to_owned(),
        what,
    })?;
    say(&format!("{}\n", path.display()));
    if !tagged {
        say("  no cell is tagged `parameters`, so the parameters stand at the top\n");
    }
    let console = Mutex::new(Report::new(options.verbose));
    let tell = |progress: Progress<'_>| {
        console
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tell(&progress)
    };
    let manner = Manner {
        go_on: options.allow_errors,
        timeout: options.timeout,
    };
    let done = notebook::run(notebook, path, manner, Arc::clone(workshop), &tell);
    let report = done.map_err(RunError::Start)?;
    if let Some((index, source, failure)) = &report.failed {
        code = 1;
        eprintln!("\ncell {index} of {} failed:\n", path.display());
        for (number, line) in (1..).zip(source.lines()) {
            eprintln!("{number:5} │ {line}");
        }
        match std::io::stderr().is_terminal() {
            true => eprintln!("\n{}", failure.coloured()),
            false => eprintln!("\n{}", failure.plain()),
        }
        // The original stays; a folder of its own takes what there is to see.
        if !options.allow_errors && options.output_dir.is_none() {
            eprintln!("\n{} is unchanged.", path.display());
            return Ok(if report.interrupted {
                INTERRUPTED
            } else {
                code
            });
        }
    } else if options.check && !report.interrupted {
        code = i32::from(!same(path, &before, &report.notebook, options.tolerance));
    }
    // What was not run has no outputs.
    if report.interrupted && options.output_dir.is_none() {
        eprintln!("\n{} is unchanged.", path.display());
        return Ok(INTERRUPTED);
    }
    let took = report.took.as_secs_f64();
    let folder = path.parent().unwrap_or(Path::new("."));
    match writes {
        true => {
            let written = notebook::write(&output, &formats, report.notebook, folder)?;
            say(&format!(
                "  {} cells in {took:.1} s → {}\n",
                report.cells,
                names(&written)
            ));
        }
        false => say(&format!("  {} cells in {took:.1} s\n", report.cells)),
    }
    Ok(if report.interrupted {
        INTERRUPTED
    } else {
        code
    })
}

/// Whether the outputs are those of before; tells those that are not.
fn same(path: &Path, before: &Notebook, now: &Notebook, tolerance: Option<f64>) -> bool {
    let differences = check::differences(before, now, tolerance);
    for difference in &differences {
        eprintln!("  cell {}: {}", difference.cell, difference.what);
    }
    match differences.len() {
        0 => say("  outputs are as they were\n"),
        1 => eprintln!("  one output of {} differs", path.display()),
        count => eprintln!("  {count} outputs of {} differ", path.display()),
    }
    differences.is_empty()
}

/// Refuses two notebooks whose outputs would go to one place.
fn check_apart(paths: &[PathBuf], folder: Option<&Path>) -> Result<(), RunError> {
    let mut seen = HashMap::new();
    for path in paths {
        let output = place(path, folder)?;
        if let Some(first) = seen.insert(located(&output), path)
            && located(first) != located(path)
        {
            return Err(RunError::Twice {
                first: first.clone(),
                second: path.clone(),
                output,
            });
        }
    }
    Ok(())
}

/// A path by which a file has one name only, whether it is there or not.
fn located(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Refuses to write a file over itself: a script would lose what it has beside its cells.
fn check_itself(path: &Path, output: &Path, formats: &[Format]) -> Result<(), RunError> {
    let own =
        |format: &&Format| located(&notebook::formats::place(output, **format)) == located(path);
    match formats.iter().find(own) {
        None => Ok(()),
        Some(format) => Err(RunError::Itself {
            path: path.to_owned(),
            format: *format,
        }),
    }
}

/// Gives a script's cells what the notebook has that is written over, or else that beside the script.
fn complete(path: &Path, output: &Path, notebook: &mut Notebook, outputs: bool) {
    if !notebook::formats::is_script(path) {
        return;
    }
    let beside = notebook::formats::place(path, Format::Ipynb);
    let known = [output, &beside]
        .into_iter()
        .find_map(|place| file::read(place).ok());
    if let Some(known) = known {
        notebook::percent::adopt(notebook, known, outputs);
    }
}

/// Where a notebook's outputs go.
fn place(path: &Path, folder: Option<&Path>) -> Result<PathBuf, RunError> {
    let path = notebook::formats::place(path, Format::Ipynb);
    let Some(folder) = folder else {
        return Ok(path);
    };
    std::fs::create_dir_all(folder).map_err(|source| RunError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// Executes several notebooks at once, each in a process of its own, whose words are printed when it is done.
fn at_once(options: &Run) -> Result<i32, RunError> {
    let program = std::env::current_exe().map_err(RunError::Program)?;
    let running = Mutex::new(Vec::<Pid>::new());
    let running = || running.lock().unwrap_or_else(PoisonError::into_inner);
    let interrupted = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let code = AtomicI32::new(0);
    let failed = Mutex::new(None);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(RunError::Program)?;
    let end = signals.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in signals.forever() {
                interrupted.store(true, Ordering::SeqCst);
                for pid in running().iter() {
                    let _ = kill(*pid, Signal::SIGINT);
                }
            }
        });
        let work = || {
            while let Some(notebook) = options.notebooks.get(next.fetch_add(1, Ordering::SeqCst)) {
                if interrupted.load(Ordering::SeqCst) {
                    return;
                }
                let child = std::process::Command::new(&program)
                    .args(options.arguments_of(notebook))
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .process_group(0) // it hears of an interrupt from here, and once
                    .spawn();
                let child = match child {
                    Ok(child) => child,
                    Err(error) => {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return;
                    }
                };
                let pid = Pid::from_raw(child.id() as i32);
                running().push(pid);
                if interrupted.load(Ordering::SeqCst) {
                    let _ = kill(pid, Signal::SIGINT);
                }
                let output = child.wait_with_output();
                running().retain(|other| *other != pid);
                if let Ok(output) = output {
                    say(&String::from_utf8_lossy(&output.stdout));
                    eprint!("{}", String::from_utf8_lossy(&output.stderr));
                    code.fetch_max(output.status.code().unwrap_or(2), Ordering::SeqCst);
                }
            }
        };
        let workers: Vec<_> = (0..options.jobs.min(options.notebooks.len()))
            .map(|_| scope.spawn(work))
            .collect();
        for worker in workers {
            let _ = worker.join();
        }
        end.close();
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(RunError::Program(error));
    }
    match interrupted.into_inner() {
        true => Ok(INTERRUPTED),
        false => Ok(code.into_inner()),
    }
}

/// Writes files in other formats, without executing them.
///
/// # Errors
/// When one cannot be read or written, or would take the place of itself.
pub fn convert(options: &Convert) -> Result<i32, RunError> {
    check_apart(&options.files, options.output_dir.as_deref())?;
    for path in &options.files {
        let mut notebook = notebook::read(path)?;
        let output = place(path, options.output_dir.as_deref())?;
        check_itself(path, &output, &options.to)?;
        complete(path, &output, &mut notebook, true);
        let folder = path.parent().unwrap_or(Path::new("."));
        let written = notebook::write(&output, &options.to, notebook, folder)?;
        say(&format!("{} → {}\n", path.display(), names(&written)));
    }
    Ok(0)
}

fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}

/// Prints what happens.
struct Report {
    build: Option<BuildBar>,
    verbose: bool,
    /// Displays of the running cell that are updated in place; their last state is printed.
    updated: Vec<(String, String)>,
    /// What was printed last has no line end.
    open_line: bool,
}

impl Report {
    fn new(verbose: bool) -> Self {
        Self {
            build: None,
            verbose,
            updated: Vec::new(),
            open_line: false,
        }
    }

    fn show(&mut self, output: &Output) {
        let Some(text) = notebook::outputs::as_text(output) else {
            return;
        };
        match output {
            Output::Display { id: Some(id), .. } => {
                match self.updated.iter_mut().find(|(other, _)| other == id) {
                    Some((_, last)) => *last = text,
                    None => self.updated.push((id.clone(), text)),
                }
            }
            // Text comes in pieces, wherever it was cut.
            Output::Stdout(_) | Output::Stderr(_) => {
                say(&text);
                self.open_line = !text.ends_with('\n');
            }
            _ => {
                self.end_line();
                say(&format!("{}\n", text.trim_end_matches('\n')));
            }
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            say("\n");
        }
    }

    fn tell(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Build(step) => self.build.get_or_insert_default().tell(step),
            Progress::Ready(took) => {
                if let Some(bar) = self.build.take() {
                    bar.finish();
                }
                say(&format!(
                    "  ready in {:.1} s; each cell: time to build it + time to run it\n",
                    took.as_secs_f64()
                ));
            }
            Progress::Cell {
                index,
                total,
                source,
            } => {
                if std::io::stdout().is_terminal() && !self.verbose {
                    say(&format!(
                        "  {index:>3}/{total} …        {}",
                        first_line(source)
                    ));
                }
            }
            Progress::Shows(output) if self.verbose => self.show(output),
            Progress::Shows(_) => {}
            Progress::Done {
                index,
                total,
                source,
                build,
                run,
                failed,
            } => {
                self.end_line();
                for (_, text) in std::mem::take(&mut self.updated) {
                    say(&format!("{}\n", text.trim_end_matches('\n')));
                }
                let again = if std::io::stdout().is_terminal() && !self.verbose {
                    "\r\x1b[2K"
                } else {
                    ""
                };
                let mark = if *failed { "✗" } else { "✓" };
                say(&format!(
                    "{again}  {index:>3}/{total} {mark} {:5.2} + {:5.2} s  {}\n",
                    build.as_secs_f64(),
                    run.as_secs_f64(),
                    first_line(source)
                ));
            }
        }
    }
}

/// Prints, unless the reader is gone: a notebook is executed to its end all the same.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The first line of code, short enough for one line of a terminal.
fn first_line(source: &str) -> String {
    let line = source
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("//"));
    let line = line.unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
