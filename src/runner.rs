//! `itd run`: notebooks in, executed notebooks and pages out, and a report in between.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::Run;
use crate::console::BuildBar;
use crate::notebook::run::Progress;
use crate::notebook::{self, NotebookError, file, page};
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
}

/// Executes the notebooks one after the other; 0 when every cell did what it should, 1 otherwise.
///
/// # Errors
/// When a notebook cannot be read, its outputs could not be written, the folder for them not be made, or no session can be started.
pub fn run(options: &Run, workshop: Arc<Workshop>) -> Result<i32, RunError> {
    let mut code = 0;
    for path in &options.notebooks {
        // Whether the results can be kept is known before the work is done.
        let notebook = file::read(path)?;
        file::check_language(path, &notebook)?;
        let output = match &options.output_dir {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| RunError::Folder {
                    folder: folder.clone(),
                    source,
                })?;
                folder.join(path.file_name().unwrap_or_default())
            }
            None => path.clone(),
        };
        file::check_writable(&output)?;
        say(&format!("{}\n", path.display()));
        let console = Mutex::new(Report::new(options.verbose));
        let tell = |progress: Progress<'_>| {
            console
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tell(&progress)
        };
        let done = notebook::run(
            notebook,
            path,
            options.allow_errors,
            Arc::clone(&workshop),
            &tell,
        );
        let report = done.map_err(RunError::Start)?;
        if let Some((index, source, failure)) = &report.failed {
            code = 1;
            eprintln!("\ncell {index} of {} failed:\n", path.display());
            for (number, line) in (1..).zip(source.lines()) {
                eprintln!("{number:5} │ {line}");
            }
            match std::io::stderr().is_terminal() {
                true => eprintln!("\n{}", failure.traceback.join("\n")),
                false => eprintln!("\n{}", failure.plain()),
            }
            // The original stays; a folder of its own takes what there is to see.
            if !options.allow_errors && options.output_dir.is_none() {
                eprintln!("\n{} is unchanged.", output.display());
                match report.interrupted {
                    true => return Ok(INTERRUPTED),
                    false => continue,
                }
            }
        }
        let written = write(&output, report.notebook, path, !options.no_html)?;
        let written: Vec<_> = written
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        say(&format!(
            "  {} cells in {:.1} s → {}\n",
            report.cells,
            report.took.as_secs_f64(),
            written.join(", ")
        ));
        if report.interrupted {
            return Ok(INTERRUPTED);
        }
    }
    Ok(code)
}

/// Writes the page first: the notebook, which others may wait for, is the sign that all is there.
fn write(
    output: &Path,
    notebook: nbformat::v4::Notebook,
    original: &Path,
    html: bool,
) -> Result<Vec<PathBuf>, NotebookError> {
    let mut written = vec![output.to_owned()];
    if html {
        let path = output.with_extension("html");
        let folder = original.parent().unwrap_or(Path::new("."));
        file::replace(&path, page::page(&notebook, folder).as_bytes())?;
        written.push(path);
    }
    notebook::write(output, notebook)?;
    Ok(written)
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
