//! One session: an evcxr context, the process that runs its cells, and what is known about both.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use evcxr::{CommandContext, EvalContext};

use super::child::{self, event::Event};
use super::commands;
use super::compiler::{self, Order};
use super::failure::{self, Cells};
use super::interrupt::{Interrupter, Phase};
use super::lines::Lines;
use super::listener::{self, End, Heard, Listener};
use super::prelude::Prelude;
use super::source::{self, Source};
use super::types::Types;
use super::workshop::Workshop;
use crate::reply::{Failure, Output, Reply};
use crate::toolchain::Toolchain;

/// How a session is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Working folder of the cells.
    pub folder: PathBuf,
    /// Optimisation level of cells that do not ask for another; the work is in the prelude.
    pub opt_level: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("."),
            opt_level: "0".to_owned(),
        }
    }
}

/// A session of cells.
pub struct Session {
    context: CommandContext,
    events: Receiver<Event>,
    interrupter: Interrupter,
    types: Types,
    cells: Cells,
    /// Text of each item, to notice when a type is defined anew.
    items: HashMap<String, String>,
    /// Lines of each build that has run, by the path of its shared object.
    builds: HashMap<String, Lines>,
    order: Order,
    workshop: Arc<Workshop>,
}

impl Session {
    /// Starts the process for cells and imports the prelude.
    ///
    /// # Errors
    /// A failure named `Start` when the compiler or evcxr do not work.
    pub fn start(
        workshop: Arc<Workshop>,
        toolchain: &Toolchain,
        prelude: &Prelude,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let start = |error: &dyn std::fmt::Display| Failure::new("Start", error.to_string());
        let command =
            child::command(&settings.folder, &toolchain.libdir).map_err(|error| start(&error))?;
        let (context, outputs) = EvalContext::with_subprocess_command(command)
            .map_err(|error| start(&listener::words(&error.to_string())))?;
        let context = CommandContext::with_eval_context(context);
        let interrupter = Interrupter::new(&context);
        let mut session = Self {
            context,
            events: listener::events(outputs),
            interrupter,
            types: Types::default(),
            cells: Cells::new(),
            items: HashMap::new(),
            builds: HashMap::new(),
            order: Order {
                prelude: Vec::new(),
                opt_level: settings.opt_level.clone(),
            },
            workshop,
        };
        let program = std::env::current_exe().map_err(|error| start(&error))?;
        let environment = format!(
            ":build_env RUSTC={}\n:build_env {}={}\n:build_env {}={}",
            program.display(),
            compiler::REAL,
            toolchain.rustc.display(),
            compiler::FOLDER,
            session.workshop.path().display(),
        );
        session.quietly(&environment)?;
        session.open(prelude.arguments())?;
        Ok(session)
    }

    /// Makes a fresh context one in which cells can be executed.
    fn open(&mut self, prelude: Vec<String>) -> Result<(), Failure> {
        // evcxr learns that cells use `?` from a build that fails without it. Before the prelude is known,
        // that build fails fast.
        self.order.prelude.clear();
        self.quietly("Ok::<(), String>(())?;")?;
        self.order.prelude = prelude;
        // Macros that stand in for those of the standard library must be named; a glob would be ambiguous.
        self.quietly(
            "use itd_prelude::prelude::*; use itd_prelude::{dbg, eprint, eprintln}; itd_prelude::cell::init();",
        )
    }

    /// Forgets all variables and items, as `:clear` asks for.
    fn clear(&mut self) -> Result<(), Failure> {
        self.types = Types::default();
        self.items.clear();
        self.quietly(":clear")?;
        let prelude = std::mem::take(&mut self.order.prelude);
        self.open(prelude)
    }

    /// Executes code of our own, of which the user sees nothing.
    fn quietly(&mut self, code: &str) -> Result<(), Failure> {
        let (result, heard) = self.run(code, None, &|_| {});
        result.map(|_| ()).map_err(|error| {
            let last_words = heard.last_stderr.trim();
            Failure::new("Start", format!("{error}\n{last_words}").trim_end())
        })
    }

    /// A handle by which another thread can interrupt the running cell.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// Names and types of the variables that live now, sorted.
    pub fn variables(&self) -> Vec<(String, String)> {
        let all = self.context.variables_and_types();
        let mut all: Vec<_> = all
            .map(|(name, ty)| (name.to_owned(), self.types.readable(ty)))
            .collect();
        all.sort();
        all
    }

    /// Executes a cell. What it shows goes to `sink` while it runs.
    pub fn execute(&mut self, cell: &str, number: u32, sink: &(dyn Fn(Output) + Sync)) -> Reply {
        let start = Instant::now();
        let (cell, opt_level) = match self.obey(cell, sink) {
            Ok(rest) => rest,
            Err(failure) => {
                return Reply {
                    failure: Some(failure),
                    ..Reply::default()
                };
            }
        };
        if cell
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with("//"))
        {
            return Reply::default();
        }
        self.cells.insert(number, cell.clone());
        self.forget_redefined(&cell);
        let mut source = Source::new(&cell, number, &mut self.types);
        let lost_if_killed: Vec<String> =
            self.variables().into_iter().map(|(name, _)| name).collect();

        let usual = std::mem::replace(&mut self.order.opt_level, opt_level);
        let (mut result, mut heard) = self.run(&source.code, source.runs.then_some(number), sink);
        let unwritable = unwritable_types(&result, &source);
        if !unwritable.is_empty() {
            for key in &unwritable {
                let (name, ty) = (
                    key.rsplit_once('_').map_or(key.as_str(), |(name, _)| name),
                    self.types.known(key),
                );
                sink(Output::Stderr(format!(
                    "`{name}` is lost: its type {ty} cannot be written in a later cell; give it one that can\n"
                )));
                self.types.spoil(key);
            }
            source = Source::new(&cell, number, &mut self.types);
            (result, heard) = self.run(&source.code, source.runs.then_some(number), sink);
        }
        self.order.opt_level = usual;

        let mut build = start.elapsed();
        let mut run = Duration::ZERO;
        if let Ok(outputs) = &result {
            run = outputs
                .phases
                .last()
                .map(|phase| phase.duration)
                .unwrap_or_default();
            build = build.saturating_sub(run);
            self.types
                .learn(compiler::named_types(self.workshop.path()));
            self.items.extend(source::items(&cell));
            if !outputs.content_by_mime_type.is_empty() {
                let texts = outputs.content_by_mime_type.iter();
                sink(Output::Result(
                    texts
                        .map(|(mime, text)| (mime.clone(), text.as_str().into()))
                        .collect(),
                ));
            }
        }
        let live: Vec<String> = self
            .context
            .variables_and_types()
            .map(|(_, ty)| ty.to_owned())
            .collect();
        self.types.retain(live.iter().map(String::as_str));
        let failure = self.failure(result, heard, &source, number, lost_if_killed, sink);
        Reply {
            failure,
            build,
            run,
        }
    }

    /// Runs evcxr on this thread and listens to the cell on another. `number` is that of a cell that says
    /// when it begins.
    fn run(
        &mut self,
        code: &str,
        number: Option<u32>,
        sink: &(dyn Fn(Output) + Sync),
    ) -> (Result<evcxr::EvalOutputs, evcxr::Error>, Heard) {
        if let Err(error) = self.order.give(self.workshop.path()) {
            return (Err(error.into()), Heard::default());
        }
        let (ended, end) = unbounded();
        let Self {
            context,
            events,
            interrupter,
            builds,
            workshop,
            ..
        } = self;
        interrupter.enter(Phase::Building);
        let generated = workshop.path().join("cell/src/lib.rs");
        let both = std::thread::scope(|scope| {
            let listener = scope.spawn(|| {
                let mut listener = Listener {
                    heard: Heard::default(),
                    number,
                    current: String::new(),
                    builds,
                    generated,
                    interrupter,
                    sink,
                };
                listener.listen(events, &end);
                listener.heard
            });
            let result = context.execute(code);
            let how = match &result {
                Ok(outputs) if outputs.phases.iter().any(|phase| phase.name == "Execution") => {
                    End::Ran
                }
                Err(evcxr::Error::SubprocessTerminated(_)) => End::Exited,
                _ => End::NotRun,
            };
            let _ = ended.send(how);
            (result, listener.join().unwrap_or_default())
        });
        self.interrupter.enter(Phase::Idle);
        both
    }

    /// What the outcome means to the user.
    fn failure(
        &mut self,
        result: Result<evcxr::EvalOutputs, evcxr::Error>,
        heard: Heard,
        source: &Source,
        number: u32,
        variables: Vec<String>,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Option<Failure> {
        let lost = match &variables[..] {
            [] => "No variables were lost.".to_owned(),
            names => format!("Lost: {}. Functions and types are kept.", names.join(", ")),
        };
        match result {
            Ok(_) if heard.errored => Some(match heard.error {
                Some((name, chain, place)) => {
                    let (value, more) = chain
                        .split_first()
                        .map_or(("", &[][..]), |(value, more)| (value, more));
                    failure::at_line(&name, value, more, place, &self.cells)
                }
                None => Failure::new(
                    "Error",
                    heard
                        .last_stderr
                        .trim()
                        .lines()
                        .last()
                        .unwrap_or("a `?` found an error"),
                ),
            }),
            Ok(_) if heard.panicked => {
                let mut panics = heard.panics;
                let last = panics
                    .pop()
                    .unwrap_or_else(|| ("a panic without a message".to_owned(), None));
                let before: Vec<String> = panics.into_iter().map(|(message, _)| message).collect();
                Some(failure::at_line(
                    "Panic",
                    &last.0,
                    &before,
                    last.1,
                    &self.cells,
                ))
            }
            Ok(_) => {
                for (message, place) in heard.panics {
                    let place = place
                        .map(|p| format!(" (cell [{}], line {})", p.cell, p.line))
                        .unwrap_or_default();
                    sink(Output::Stderr(format!(
                        "a panic was caught: {message}{place}\n"
                    )));
                }
                None
            }
            Err(evcxr::Error::CompilationErrors(errors)) => {
                Some(failure::compile(&errors, source, number, &self.types))
            }
            Err(evcxr::Error::SubprocessTerminated(_)) => {
                let interrupted = self.interrupter.was_killed();
                let (name, value) = match heard.exit {
                    _ if interrupted => (
                        "Interrupted",
                        "the cell did not stop by itself and was stopped by force".to_owned(),
                    ),
                    Some((_, Some(signal))) => failure::of_signal(signal),
                    Some((Some(code), None)) => (
                        "ProcessExit",
                        format!("the cell ended the process with code {code}"),
                    ),
                    _ => (
                        "Killed",
                        "the process that runs the cells is gone".to_owned(),
                    ),
                };
                Some(
                    Failure::new(name, value)
                        .with_note(format!("A new process was started. {lost}")),
                )
            }
            Err(evcxr::Error::TypeRedefinedVariablesLost(names)) => Some(Failure::new(
                "TypeRedefined",
                format!(
                    "the types of these variables were defined anew: {}",
                    names.join(", ")
                ),
            )),
            Err(evcxr::Error::Message(message)) => Some(Failure::new("Error", message)),
        }
    }

    /// Does what the commands of a cell ask for; gives the rest of it, and its optimisation level.
    fn obey(
        &mut self,
        cell: &str,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<(String, String), Failure> {
        let commands = commands::take(cell)?;
        if commands.clear {
            self.clear()?;
        }
        if let Some(level) = commands.level {
            self.order.opt_level = level;
        }
        if commands.variables {
            sink(Output::Result(commands::variable_table(&self.variables())));
        }
        let level = commands
            .cell_level
            .unwrap_or_else(|| self.order.opt_level.clone());
        Ok((commands.rest, level))
    }

    /// A value of a type that is defined anew may not fit the new type, though both have the same name.
    fn forget_redefined(&mut self, cell: &str) {
        for (name, text) in source::items(cell) {
            if self.items.get(&name).is_some_and(|before| *before != text) {
                for key in self.types.mentioning(&name) {
                    self.types.spoil(&key);
                }
            }
        }
    }
}

/// Keys of variables whose types the compiler does not accept in the table of types, though it named them.
fn unwritable_types(
    result: &Result<evcxr::EvalOutputs, evcxr::Error>,
    source: &Source,
) -> Vec<String> {
    let Err(evcxr::Error::CompilationErrors(errors)) = result else {
        return Vec::new();
    };
    let spans = errors
        .iter()
        .flat_map(|error| error.spanned_messages())
        .filter_map(|message| message.span);
    let mut keys: Vec<String> = spans
        .filter_map(|span| source.key_at(span.start_line, span.start_column))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}
