//! Executes the cells of a notebook, as nbconvert would, in one session.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nbformat::v4::{Cell, CodemirrorMode, KernelSpec, LanguageInfo, Notebook};

use super::file;
use super::outputs::Outputs;
use crate::install;
use crate::prelude::Step;
use crate::reply::{Failure, Output, Reply};
use crate::session::{Interrupter, Session, Settings, Workshop, start};

/// What is told while a notebook runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The prelude is being built.
    Build(&'a Step),
    /// Session and prelude are ready.
    Ready(Duration),
    /// A cell starts: its number among the code cells, how many there are, and its text.
    Cell {
        index: usize,
        total: usize,
        source: &'a str,
    },
    /// The running cell shows something.
    Shows(&'a Output),
    /// The running cell is done.
    Done {
        index: usize,
        total: usize,
        source: &'a str,
        /// Time that building it took, and then running it.
        build: Duration,
        run: Duration,
        failed: bool,
    },
}

/// How a notebook is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Go on after a cell that fails.
    pub go_on: bool,
    /// Longest time of a cell.
    pub timeout: Option<Duration>,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Report {
    /// The notebook with its outputs.
    pub notebook: Notebook,
    /// Number of code cells that ran.
    pub cells: usize,
    /// Time that all of them took.
    pub took: Duration,
    /// The first cell that failed: its number among the code cells, its text, and why.
    pub failed: Option<(usize, String, Failure)>,
    /// The user has asked to stop.
    pub interrupted: bool,
}

/// Executes all code cells in order, in the notebook's own folder. Stops at the first that fails, unless its
/// tag `raises-exception` says that it should, or it is to go on; cells with the tag `skip-execution` are
/// left out, and keep the outputs that they have.
///
/// # Errors
/// When the session cannot be started.
pub fn run(
    mut notebook: Notebook,
    path: &Path,
    manner: Manner,
    workshop: Arc<Workshop>,
    tell: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Report, Failure> {
    let begin = Instant::now();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let settings = Settings {
        folder,
        ..Settings::default()
    };
    let mut session = start::session(workshop, &settings, &mut |step| {
        tell(Progress::Build(&step))
    })?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let _interrupts = Interrupts::of(&session, Arc::clone(&interrupted));
    let is_interrupted = || interrupted.load(Ordering::SeqCst);
    tell(Progress::Ready(begin.elapsed()));

    let begin = Instant::now();
    let total = notebook
        .cells
        .iter()
        .filter(|cell| matches!(cell, Cell::Code { .. }))
        .count();
    let outputs = Arc::new(Mutex::new(Outputs::default()));
    let lock = || outputs.lock().unwrap_or_else(PoisonError::into_inner);
    // What a thread shows between two cells stands under the first of them.
    let late = Arc::clone(&outputs);
    session.tell_late(Arc::new(move |output| {
        let mut outputs = late.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.add_late(output);
    }));
    let next = Arc::new(Mutex::new(None));
    let known = Arc::clone(&next);
    session.foresee(Arc::new(move || {
        let mut next = known.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }));
    let cells = notebook.cells.iter();
    let cells = cells.filter(|cell| matches!(cell, Cell::Code { .. }));
    let is_left_out =
        |cell: &Cell| has_any_tag(cell, SKIPPED) || file::source(cell).trim().is_empty();
    let mut counts = Vec::new();
    let mut failed = None;
    for cell in cells.clone() {
        lock().next_cell();
        let (source, index) = (file::source(cell), counts.len() + 1);
        if (failed.is_some() && !manner.go_on) || is_interrupted() || is_left_out(cell) {
            counts.push(None);
            continue;
        }
        tell(Progress::Cell {
            index,
            total,
            source: &source,
        });
        let count = counts.iter().flatten().count() as u32 + 1;
        let start = Instant::now();
        let sink = |output: Output| {
            tell(Progress::Shows(&output));
            lock().add(output, count);
        };
        let interrupter = session.interrupter();
        let then = cells.clone().skip(index).find(|cell| !is_left_out(cell));
        *next.lock().unwrap_or_else(PoisonError::into_inner) = then.map(file::source);
        let execute = || session.execute(&source, count, &sink);
        let reply = within(manner.timeout, &interrupter, execute);
        counts.push(Some(count));
        if let Some(failure) = &reply.failure {
            lock().fail(failure);
        }
        let unexpected = reply.failure.filter(|_| !has_any_tag(cell, FAILS));
        tell(Progress::Done {
            index,
            total,
            source: &source,
            build: reply.build,
            run: start.elapsed().saturating_sub(reply.build),
            failed: unexpected.is_some(),
        });
        if let (Some(failure), None) = (unexpected, &failed) {
            failed = Some((index, source, failure));
        }
    }
    let shown = std::mem::take(&mut *lock()).finish();
    fill(&mut notebook, counts.clone(), shown);
    Ok(Report {
        notebook,
        cells: counts.iter().flatten().count(),
        took: begin.elapsed(),
        failed,
        interrupted: is_interrupted(),
    })
}

/// Tags of cells that are left out, ours and nbval's.
const SKIPPED: &[&str] = &["skip-execution", "nbval-skip"];
/// Tags of cells that may fail.
const FAILS: &[&str] = &["raises-exception", "nbval-raises-exception"];
/// How long a cell may take to notice that its time is over.
const GRACE: Duration = Duration::from_secs(4);

/// Executes a cell, and interrupts it when its time is over: first softly, then with its process.
fn within(
    limit: Option<Duration>,
    interrupter: &Interrupter,
    execute: impl FnOnce() -> Reply,
) -> Reply {
    let Some(limit) = limit else {
        return execute();
    };
    let over = AtomicBool::new(false);
    let (done, end) = channel::<()>();
    let mut reply = std::thread::scope(|scope| {
        let over = &over;
        scope.spawn(move || {
            let mut patience = limit;
            while end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                over.store(true, Ordering::SeqCst);
                interrupter.interrupt();
                patience = GRACE;
            }
        });
        let reply = execute();
        drop(done);
        reply
    });
    if over.load(Ordering::SeqCst) {
        let what = format!("the cell has not ended within {} s", limit.as_secs_f64());
        let mut failure = Failure::new("Timeout", what);
        let before = reply.failure.take().into_iter();
        failure
            .traceback
            .extend(before.flat_map(|failure| failure.traceback));
        reply.failure = Some(failure);
    }
    reply
}

fn has_any_tag(cell: &Cell, tags: &[&str]) -> bool {
    tags.iter().any(|tag| has_tag(cell, tag))
}

/// Whether a cell has a tag.
pub fn has_tag(cell: &Cell, tag: &str) -> bool {
    cell.metadata()
        .tags
        .iter()
        .flatten()
        .any(|other| other == tag)
}

/// Puts counts and outputs into the notebook, and what it was executed with.
fn fill(notebook: &mut Notebook, counts: Vec<Option<u32>>, shown: Vec<Vec<nbformat::v4::Output>>) {
    let mut filled = counts.into_iter().zip(shown);
    for cell in &mut notebook.cells {
        let left_out = has_any_tag(cell, SKIPPED);
        if let Cell::Code {
            execution_count,
            outputs,
            ..
        } = cell
            && let Some((count, shown)) = filled.next()
            && !left_out
        {
            *execution_count = count.map(|count| count as i32);
            *outputs = shown;
        }
    }
    notebook.nbformat = 4;
    notebook.nbformat_minor = 5;
    notebook
        .metadata
        .kernelspec
        .get_or_insert_with(|| KernelSpec {
            display_name: "Rust (itd)".to_owned(),
            name: install::NAME.to_owned(),
            language: Some("rust".to_owned()),
            additional: Default::default(),
        });
    let additional = [
        ("file_extension", ".rs"),
        ("mimetype", "text/x-rust"),
        ("nbconvert_exporter", "script"),
        ("pygments_lexer", "rust"),
    ];
    notebook.metadata.language_info = Some(LanguageInfo {
        name: "rust".to_owned(),
        version: Some(env!("CARGO_PKG_RUST_VERSION").to_owned()),
        codemirror_mode: Some(CodemirrorMode::String("rust".to_owned())),
        additional: additional
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into(),
    });
}

/// Hands Ctrl-C on to a session for as long as it lives.
struct Interrupts(signal_hook::iterator::Handle);

impl Interrupts {
    /// Ctrl-C asks the running cell to stop, and no other is begun; a second one ends it.
    fn of(session: &Session, interrupted: Arc<AtomicBool>) -> std::io::Result<Self> {
        let interrupter = session.interrupter();
        let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT])?;
        let handle = signals.handle();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                interrupted.store(true, Ordering::SeqCst);
                interrupter.interrupt();
            }
        });
        Ok(Self(handle))
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.0.close();
    }
}
