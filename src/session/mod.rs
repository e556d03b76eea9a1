//! One session: an evcxr context, the process that runs its cells, and what is known about both.
//!
//! ```text
//! start ─▶ session ─▶ compiler (rustc with the prelude) ─▶ child (the process: runtime, supervisor)
//!                  ─▶ events (what the process tells, by cell), interrupt
//!                  ─▶ obey (commands), shell (`!command`, `%%bash`)
//! look (variables at a glance, single values)   workshop (files of this process)
//! ```

mod ahead;
pub mod child;
pub mod compiler;
pub mod events;
pub mod interrupt;
pub mod living;
pub mod look;
mod obey;
pub mod shell;
pub mod start;
pub mod workshop;

pub use ahead::Foresee;
pub use child::Channel;
pub use interrupt::Interrupter;
pub use look::Seen;
pub use workshop::Workshop;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{bounded, unbounded};
use evcxr::{CommandContext, EvalContext};
use ra_ap_syntax::SyntaxNode;

use ahead::{Ahead, Outlook};
use compiler::Order;
use events::{Asides, Dispatcher, End, Heard, Late, Listener};
use interrupt::Phase;
use living::{Ended, Fate, Living};
use obey::Measured;

use crate::analysis::{self, Analyst};
use crate::cell::command::{self, Code, Commands, Step, Way};
use crate::cell::failure::{self, Cells, Place};
use crate::cell::items::{self, Items};
use crate::cell::measure::Measure;
use crate::cell::origin::Lines;
use crate::cell::source::{self, Form, Scene, Source};
use crate::cell::types;
use crate::cell::whole;
use crate::history::History;
use crate::prelude::Prelude;
use crate::reply::{Failure, Output, Reply};
use crate::toolchain::{REAL_COMPILER, Toolchain};

/// How often a cell is built anew, each time with less put into it, before its errors are told.
const TRIES: usize = 6;

/// Errors about two items that cannot both be.
const CONFLICTS: [&str; 6] = ["E0119", "E0201", "E0252", "E0255", "E0428", "E0592"];

/// How a session is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Working folder of the cells.
    pub folder: PathBuf,
    /// Optimisation level of cells that do not ask for another; the work is in the prelude.
    pub opt_level: String,
    /// Is told what cells see, and answers those who write the next one; none where nobody does.
    pub analyst: Option<Analyst>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("."),
            opt_level: "0".to_owned(),
            analyst: None,
        }
    }
}

/// A session of cells.
pub struct Session {
    context: CommandContext,
    dispatcher: Dispatcher,
    channel: Channel,
    interrupter: Interrupter,
    living: Living,
    cells: Cells,
    items: Items,
    /// Variables that there were, and why they are no more.
    gone: BTreeMap<String, Gone>,
    /// Lines of each build that has run, by the path of its shared object.
    builds: HashMap<String, Lines>,
    order: Order,
    /// Whether it was said that the statics of crates are not those of the session.
    told_of_crates: bool,
    /// Working folder of the cells, and the one before.
    folder: PathBuf,
    folder_before: Option<PathBuf>,
    /// Environment variables that `%env` has set.
    environment: BTreeMap<String, String>,
    /// The compiler, which explains its errors, and the codes of those that it had last.
    rustc: PathBuf,
    last_codes: Vec<String>,
    /// What was typed in all sessions, if somebody types in this one.
    history: Option<History>,
    analyst: Option<Analyst>,
    /// Says which cell comes next, where somebody knows, so that it is compiled while this one runs.
    foresee: Option<Foresee>,
    ahead: Ahead,
    /// Cells link it for as long as the session lives.
    _prelude: Prelude,
    workshop: Arc<Workshop>,
}

/// Why a variable is no more, and since which cell.
#[derive(Debug, Clone)]
struct Gone {
    cell: u32,
    why: Why,
    /// The line of the cell that moved it.
    by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Moved,
    NotKept,
    Unset,
    Unwritable,
    SetAside,
    TypeRedefined,
    ProcessEnded,
    Deleted,
}

impl Gone {
    fn tell(&self, name: &str) -> String {
        let cell = self.cell;
        match self.why {
            Why::Moved => {
                let by = self.by.iter().map(|line| format!(" by `{line}`"));
                format!(
                    "`{name}` was moved in cell [{cell}]{}; use `{name}.clone()` there to keep it",
                    by.collect::<String>()
                )
            }
            Why::NotKept => format!("`{name}` lived in cell [{cell}] only"),
            Why::Unset => format!("`{name}` may have been given no value in cell [{cell}]"),
            Why::Unwritable => {
                format!("`{name}` was lost in cell [{cell}]: its type cannot be written there")
            }
            Why::SetAside => {
                format!(
                    "`{name}` of cell [{cell}] was set aside, since it does not fit what was defined after it"
                )
            }
            Why::TypeRedefined => {
                format!("`{name}` was lost in cell [{cell}], which defined its type anew")
            }
            Why::ProcessEnded => {
                format!("`{name}` was lost when the process ended in cell [{cell}]")
            }
            Why::Deleted => format!("`{name}` was deleted in cell [{cell}]"),
        }
    }
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
        let channel = Channel::open(workshop.path()).map_err(|error| start(&error))?;
        let mut command = child::command(&settings.folder, &toolchain.libdir, &channel)
            .map_err(|error| start(&error))?;
        command.envs(prelude.environment());
        let (context, outputs) = EvalContext::with_subprocess_command(command)
            .map_err(|error| start(&events::words(&error.to_string())))?;
        let context = CommandContext::with_eval_context(context);
        let interrupter = Interrupter::new(&context);
        let compiler = compiler::install(workshop.path()).map_err(|error| start(&error))?;
        let mut session = Self {
            context,
            dispatcher: Dispatcher::start(outputs, channel.clone(), interrupter.clone()),
            channel,
            interrupter,
            living: Living::default(),
            cells: Cells::new(),
            items: Items::default(),
            gone: BTreeMap::new(),
            builds: HashMap::new(),
            order: Order {
                prelude: prelude.arguments(),
                opt_level: settings.opt_level.clone(),
            },
            told_of_crates: false,
            folder: settings.folder.clone(),
            folder_before: None,
            environment: BTreeMap::new(),
            rustc: toolchain.rustc.clone(),
            last_codes: Vec::new(),
            history: None,
            analyst: settings.analyst.clone(),
            foresee: None,
            ahead: Ahead::new(workshop.path(), &compiler),
            _prelude: prelude.clone(),
            workshop,
        };
        let environment = format!(
            ":build_env RUSTC={}\n:build_env {}={}\n:build_env {}={}",
            compiler.display(),
            REAL_COMPILER,
            toolchain.rustc.display(),
            compiler::FOLDER,
            session.workshop.path().display(),
        );
        session.quietly(&environment)?;
        session.open()?;
        Ok(session)
    }

    /// Has `late` told what threads of finished cells show between cells.
    pub fn tell_late(&self, late: Late) {
        self.dispatcher.tell_late(late);
    }

    /// Has `asides` told what stands beside the cells: questions to the user, comms.
    pub fn tell_asides(&self, asides: Asides) {
        self.dispatcher.tell_asides(asides);
    }

    /// Has `foresee` asked which cell comes next, when one begins to run.
    pub fn foresee(&mut self, foresee: Foresee) {
        self.foresee = Some(foresee);
    }

    /// By which the process is told what is no cell.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Makes a fresh context one in which cells can be executed.
    fn open(&mut self) -> Result<(), Failure> {
        // Macros that stand in for those of the standard library must be named; a glob would be ambiguous.
        let named = source::STANDING_IN.join(", ");
        self.quietly(&format!(
            "use itd_prelude::prelude::*; use itd_prelude::{{{named}}}; itd_prelude::cell::init();"
        ))
    }

    /// Forgets all variables and items, as `:clear` asks for.
    fn clear(&mut self) -> Result<(), Failure> {
        self.living = Living::default();
        self.items = Items::default();
        self.gone.clear();
        // evcxr ends the process, but not what its cells have started.
        self.interrupter.end();
        self.dispatcher.process_ended();
        self.quietly(":clear")?;
        self.open()?;
        self.settle()
    }

    /// Executes code of our own, of which the user sees nothing.
    fn quietly(&mut self, code: &str) -> Result<(), Failure> {
        let (result, heard) = self.run(code, None, &[], &|_| {}, None);
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
        let all = self.living.variables.iter();
        all.map(|(name, variable)| (name.clone(), self.living.types.known(&variable.key)))
            .collect()
    }

    /// What a cell sees now.
    fn scope(&self) -> analysis::Scope {
        let variables = self.living.variables.iter();
        analysis::Scope {
            items: self.items.texts(),
            variables: variables
                .map(|(name, variable)| analysis::Variable {
                    name: name.clone(),
                    mutable: variable.mutable,
                    ty: self.living.types.text(&variable.key).to_owned(),
                })
                .collect(),
        }
    }

    /// Executes a cell. What it shows goes to `sink` while it runs.
    pub fn execute(&mut self, cell: &str, number: u32, sink: &(dyn Fn(Output) + Sync)) -> Reply {
        // Some editors begin a file with a mark, which came along.
        let cell = cell.strip_prefix('\u{feff}').unwrap_or(cell);
        // And others end their lines in another way.
        let cell = &*match cell.contains("\r\n") {
            true => Cow::Owned(cell.replace("\r\n", "\n")),
            false => Cow::Borrowed(cell),
        };
        let cell = &*command::without_interpreter(cell);
        self.interrupter.begin();
        let reply = match self.interrupter.was_asked() {
            true => Reply {
                failure: Some(Failure::new(
                    "Interrupted",
                    "the cell was interrupted before it began",
                )),
                ..Reply::default()
            },
            false => self.execute_now(cell, number, sink),
        };
        self.interrupter.end_cell();
        if let Some(analyst) = &self.analyst {
            analyst.see(self.scope());
        }
        reply
    }

    fn execute_now(&mut self, cell: &str, number: u32, sink: &(dyn Fn(Output) + Sync)) -> Reply {
        if let Some(ask) = self.asked(cell) {
            return Reply {
                failure: self.answer(&ask, sink).err(),
                ..Reply::default()
            };
        }
        let commands = match command::take(cell, &self.folder) {
            Ok(commands) => commands,
            Err(failure) => return Reply::failed(failure),
        };
        let Some(name) = commands.capture.clone() else {
            return self.execute_steps(commands, cell, number, sink);
        };
        let text = Mutex::new(String::new());
        let catch = |output| {
            if let Output::Stdout(part) | Output::Stderr(part) = output {
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&part);
            }
        };
        let mut reply = self.execute_steps(commands, cell, number, &catch);
        let text = text.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (&reply.failure, name) {
            // Whoever looks for the cause needs it.
            (Some(_), _) => sink(Output::Stdout(text)),
            (None, None) => {}
            (None, Some(name)) => {
                let text = format!("let {name}: ::std::string::String = {text:?}.to_owned();");
                let code = Code {
                    text,
                    ..Code::default()
                };
                let kept = self.execute_code(&code, &code.text, number, sink);
                reply.failure = kept.failure;
            }
        }
        reply
    }

    /// Does what a cell's commands say, and runs its code.
    fn execute_steps(
        &mut self,
        commands: Commands,
        cell: &str,
        number: u32,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Reply {
        self.cells.insert(number, cell.to_owned());
        let mut reply = Reply::default();
        let last = std::iter::once(Step::Run(commands.rest));
        for step in commands.steps.into_iter().chain(last) {
            if self.interrupter.was_asked() {
                let what = "the cell was interrupted between its commands";
                reply.failure = Some(Failure::new("Interrupted", what));
                return reply;
            }
            match step {
                Step::Run(code) => {
                    let part = self.execute_code(&code, cell, number, sink);
                    reply.build += part.build;
                    reply.run += part.run;
                    reply.failure = part.failure;
                }
                step => reply.failure = self.obey(step, number, sink).err(),
            }
            if reply.failure.is_some() {
                return reply;
            }
        }
        reply
    }

    /// Runs code that stands in a cell.
    fn execute_code(
        &mut self,
        code: &Code,
        original: &str,
        number: u32,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Reply {
        let start = Instant::now();
        let cell = &code.text;
        let is_blank = |line: &str| line.trim().is_empty() || line.starts_with("//");
        if code.passed.is_empty() && cell.lines().all(is_blank) {
            return Reply::default();
        }
        if let Some((line, what)) = whole::unbalanced(cell) {
            let place = Place::line(number, line);
            let cells = &self.cells;
            return Reply::failed(failure::at_line(
                "CompileError",
                &what,
                &[],
                Some(place),
                cells,
            ));
        }
        if let Some(failure) = self.syntax(cell, original, number) {
            return Reply::failed(failure);
        }
        let measure = Measure {
            way: code.way.clone(),
            file: self.workshop.path().join("measured"),
        };
        let _ = std::fs::remove_file(&measure.file);
        let at_stake: Vec<String> = self.living.variables.keys().cloned().collect();

        // What the cell changes is taken over only when it compiles.
        let (statements, mut items) = (source::statements(cell), self.items.clone());
        let redefined = self.items.redefined(&statements);
        let changes = items.take(&statements, number);
        let mut living = self.living.clone();
        let outdated_names = living.outdate(&redefined);
        let mut replaced = items::values(&statements);
        replaced.retain(|name| living.variables.contains_key(name));
        for name in &replaced {
            let key = living.variables[name].key.clone();
            living.lose(&key);
        }
        let level = code.level.clone();
        let level = level.unwrap_or_else(|| self.order.opt_level.clone());
        let optimised = level != "0";
        let usual = std::mem::replace(&mut self.order.opt_level, level);
        let mut form = Form::default();
        let mut set_aside = BTreeMap::new();
        let folder = self.folder.clone();
        let mut tries = 0;
        let (source, result, heard) = loop {
            tries += 1;
            let scene = Scene {
                number,
                variables: &living.variables,
                forget: &living.forget,
                changes: &changes,
                form: &form,
                measure: &measure,
                passed: &code.passed,
                folder: &folder,
                with_runtime: self.told_of_crates || code.passed.contains(":dep "),
            };
            let mut source = Source::new(cell, scene, &mut living.types);
            // The places are the same.
            if original.len() == cell.len() {
                original.clone_into(&mut source.original);
            }
            let says = source.runs.then_some(number);
            let (foresee, ahead) = (self.foresee.clone(), self.ahead.clone());
            let order = Order {
                opt_level: usual.clone(),
                ..self.order.clone()
            };
            let begins = || {
                let outlook = Outlook {
                    living: &living,
                    items: &items,
                    source: &source,
                    number,
                    measure: &measure,
                    folder: &folder,
                    order: &order,
                    with_runtime: scene.with_runtime,
                };
                let next = foresee.as_ref().and_then(|foresee| foresee());
                next.and_then(|next| ahead.begin(&next, outlook));
            };
            let (result, heard) = self.run(&source.code, says, &at_stake, sink, Some(&begins));
            let errors = match &result {
                Err(evcxr::Error::CompilationErrors(errors)) if tries < TRIES => &errors[..],
                _ => break (source, result, heard),
            };
            if self.interrupter.was_asked() {
                break (source, result, heard);
            }
            let unwritable = unwritable_types(errors, &source);
            if !unwritable.is_empty() {
                for key in &unwritable {
                    let name = types::name(key);
                    sink(Output::Stderr(format!(
                        "`{name}` is lost: its type {} cannot be written in a later cell; give it one that can\n",
                        living.types.known(key)
                    )));
                    self.note_gone(name, number, Why::Unwritable);
                    living.lose(key);
                    self.living.lose(key);
                }
                continue;
            }
            let stale = self.stale(errors, number, &items::defined(&statements));
            if !stale.is_empty() && !stale.keys().all(|name| form.stale.contains(name)) {
                form.stale.extend(stale.keys().cloned());
                set_aside.extend(stale);
                continue;
            }
            // What is not there, or is no Rust, is so in any form.
            let hopeless = errors.iter().any(failure::is_about_names);
            if hopeless || !errors.iter().any(failure::is_ambiguous) {
                break (source, result, heard);
            }
            match (form.plain_questions, form.plain_end) {
                (false, _) if !source.questions.is_empty() => form.plain_questions = true,
                (_, false) => (form.plain_questions, form.plain_end) = (true, true),
                _ => break (source, result, heard),
            }
        };
        self.order.opt_level = usual;

        let mut reply = Reply {
            build: start.elapsed(),
            ..Reply::default()
        };
        let compiled = !matches!(
            result,
            Err(evcxr::Error::CompilationErrors(_) | evcxr::Error::Message(_))
        );
        let mut notes = Vec::new();
        let mistaken = self.mistaken(&statements, &items);
        if compiled {
            for (name, cell) in &set_aside {
                let what = items.set_aside(name);
                notes.push(format!(
                    "{what} of cell [{cell}] does not fit any more and is set aside; change it and run it again\n"
                ));
                self.note_gone(name, *cell, Why::SetAside);
            }
            for (name, _) in &changes.anew {
                notes.push(format!(
                    "what is static in {name} begins anew: its type was defined anew\n"
                ));
            }
            for name in replaced {
                notes.push(format!(
                    "the variable `{name}` is gone: an item has its name now\n"
                ));
            }
            for name in outdated_names {
                notes.push(format!("`{name}` is lost: its type was defined anew\n"));
                self.note_gone(&name, number, Why::TypeRedefined);
            }
            if source.runs {
                living.forget.clear(); // the cell has done so
            }
            self.items = items;
            self.living = living;
            if let Ok(outputs) = &result {
                reply.run = outputs
                    .phases
                    .last()
                    .map(|phase| phase.duration)
                    .unwrap_or_default();
                reply.build = reply.build.saturating_sub(reply.run);
                if !outputs.content_by_mime_type.is_empty() {
                    let texts = outputs.content_by_mime_type.iter();
                    sink(Output::Result(
                        texts
                            .map(|(mime, text)| (mime.clone(), text.as_str().into()))
                            .collect(),
                    ));
                }
            }
            let ended = match &result {
                Ok(_) if heard.panicked || heard.errored || heard.returned => Ended::Early,
                Ok(_) => Ended::Well,
                Err(_) => Ended::WithItsProcess,
            };
            if code.passed.contains(":dep ") && !self.told_of_crates {
                self.told_of_crates = true;
                notes.push("what crates keep in statics begins anew in each cell\n".to_owned());
            }
            if let (Some(name), true) = (source::test_in(&statements), code.way != Way::Test) {
                notes.push(format!(
                    "`{name}` is a test, which is there with `%%test` as the first line only\n"
                ));
            }
            if !source.runs && source::has_main(&statements) {
                let what = "`main` is defined, and runs when it is called: write `main()` below it";
                notes.push(format!("{what}\n"));
            }
            for (name, gone) in &mistaken {
                notes.push(format!("`{name}` is the prelude's here: {gone}\n"));
                self.gone.remove(name);
            }
            self.take_over(&source, ended, number, &mut notes);
        }
        let process_ended = matches!(result, Err(evcxr::Error::SubprocessTerminated(_)));
        let returned = heard.returned;
        let panics = heard.panics.clone();
        reply.failure = self.failure(result, heard, &source, number, at_stake, sink);
        if let (false, Some(failure)) = (compiled, &mut reply.failure) {
            let said = failure.traceback.concat();
            let unsaid = mistaken.iter().filter(|(_, gone)| !said.contains(gone));
            let unsaid =
                unsaid.map(|(name, gone)| format!("`{name}` is the prelude's here: {gone}"));
            failure.traceback.extend(unsaid);
        }
        if process_ended {
            let _ = self.settle(); // what is missing is found by the cell that needs it
        }
        if returned && reply.failure.is_none() && !source.defined.is_empty() {
            let lost = source.defined.keys().map(|name| format!("`{name}`"));
            notes.push(format!(
                "the cell was left before its last line, so {} is not kept\n",
                lost.collect::<Vec<_>>().join(", ")
            ));
        }
        if reply.failure.is_none() {
            notes
                .into_iter()
                .for_each(|note| sink(Output::Stderr(note)));
        } else if let Some(failure) = &mut reply.failure {
            let losses = notes.into_iter().filter(|note| note.contains("is lost"));
            failure
                .traceback
                .extend(losses.map(|note| note.trim_end().to_owned()));
        }
        if reply.failure.is_none() {
            let told = std::fs::read_to_string(&measure.file).unwrap_or_default();
            let report = Measured {
                told: &told,
                tests: &source.tests,
                panics: &panics,
                optimised,
                build: reply.build,
                runs: source.runs,
                original,
                number,
            };
            reply.failure = self.report(&measure.way, &report, sink).err();
        }
        reply
    }

    /// What the compiler says of a cell that is no Rust: it reads the cell alone, so that it speaks of nothing else.
    fn syntax(&self, cell: &str, original: &str, number: u32) -> Option<Failure> {
        if !source::has_syntax_errors(cell) {
            return None;
        }
        let before = "fn cell() {\n";
        let file = self.workshop.path().join("syntax.rs");
        std::fs::write(&file, format!("{before}{cell}\n}}\n")).ok()?;
        let output = Command::new(&self.rustc)
            .args(["--edition=2024", "--crate-type=lib", "--error-format=json"])
            .arg("-Zparse-crate-root-only")
            .arg(&file)
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .ok()?;
        let lines = String::from_utf8_lossy(&output.stderr);
        let messages: Vec<_> = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        // The places are the same.
        let shown = match original.len() == cell.len() {
            true => original,
            false => cell,
        };
        failure::syntax(&messages, before.len(), shown, number)
    }

    /// Takes over what a cell that has run did to the variables.
    fn take_over(&mut self, source: &Source, ended: Ended, cell: u32, notes: &mut Vec<String>) {
        if ended == Ended::WithItsProcess {
            for name in self.living.end() {
                self.note_gone(&name, cell, Why::ProcessEnded);
            }
            return;
        }
        let told = compiler::told(self.workshop.path());
        let lines = self.generated().1;
        let early = ended == Ended::Early;
        for (name, fate) in self.living.take_over(source, early, &told) {
            match fate {
                Fate::Kept => drop(self.gone.remove(&name)),
                Fate::Moved(line) => {
                    let by = line.and_then(|line| {
                        let (cell, line) = lines.origin(line)?;
                        let text = self.cells.get(&cell)?.lines().nth(line as usize - 1)?;
                        Some(text.trim().to_owned())
                    });
                    let why = Why::Moved;
                    self.gone.insert(name, Gone { cell, why, by });
                }
                Fate::Unreached => self.note_gone(&name, cell, Why::NotKept),
                Fate::Unset => {
                    notes.push(format!(
                        "`{name}` may have no value when the cell ends, so it is not kept; give it one in any case\n"
                    ));
                    self.note_gone(&name, cell, Why::Unset);
                }
                Fate::Borrows => {
                    notes.push(format!(
                        "`{name}` borrows from something that is not kept and lives in this cell only; clone it to keep it\n"
                    ));
                    self.note_gone(&name, cell, Why::NotKept);
                }
                Fate::Unwritable(which) => {
                    notes.push(which.note());
                    self.note_gone(&name, cell, Why::NotKept);
                }
            }
        }
        for (line, what) in &told.unused {
            if let Some((place, line)) = lines.origin(*line).filter(|(place, _)| *place == cell) {
                let what = failure::warning(what);
                notes.push(format!("{what} (cell [{place}], line {line})\n"));
            }
        }
    }

    /// Names in a cell that were those of variables and are now something else's, the prelude's mostly; and what
    /// became of those variables.
    fn mistaken(&self, statements: &[SyntaxNode], items: &Items) -> Vec<(String, String)> {
        let names = source::loose_names(statements).into_iter();
        let names =
            names.filter(|name| !self.living.variables.contains_key(name) && !items.defines(name));
        let told = names.filter_map(|name| {
            let gone = self.gone.get(&name)?.tell(&name);
            Some((name, gone))
        });
        told.collect()
    }

    fn note_gone(&mut self, name: &str, cell: u32, why: Why) {
        let by = None;
        self.gone.insert(name.to_owned(), Gone { cell, why, by });
    }

    /// Items of earlier cells that do not compile any more, and their cells: if nothing else is wrong with this one, it
    /// is not for them to refuse it.
    fn stale(
        &self,
        errors: &[evcxr::CompilationError],
        number: u32,
        anew: &BTreeSet<String>,
    ) -> BTreeMap<String, u32> {
        let (generated, lines) = self.generated();
        let mut stale = BTreeMap::new();
        for error in errors.iter().filter(|error| error.level() != "warning") {
            // Of two that cannot both be, the compiler blames the one that it comes to last.
            let either = error.code().is_some_and(|code| CONFLICTS.contains(&code));
            let spans = error.json["spans"].as_array().into_iter().flatten();
            let mut places = spans
                .filter(|span| either || span["is_primary"] == true)
                .take(if either { usize::MAX } else { 1 })
                .filter_map(|span| u32::try_from(called(span)["line_start"].as_u64()?).ok());
            let found = places.find_map(|line| {
                let name = items::name_at(&generated, line as usize)?;
                let (cell, _) = match &name {
                    items::At::Item(_) => lines.origin(line)?,
                    // evcxr writes each by itself, without its line.
                    items::At::Import(name) => (self.items.cell_of(name)?, 0),
                };
                let own = cell == number || anew.contains(name.text());
                (!own).then(|| (name.text().to_owned(), cell))
            });
            match found {
                Some((name, cell)) => stale.insert(name, cell),
                None => return BTreeMap::new(),
            };
        }
        stale
    }

    /// The code that was built last, and where its lines come from.
    fn generated(&self) -> (String, Lines) {
        let path = self.workshop.path().join("cell/src/lib.rs");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = Lines::read(&text);
        (text, lines)
    }

    /// Why a name cannot be used, if that is known.
    fn reason(&self, name: &str) -> Option<String> {
        if self.living.variables.contains_key(name) {
            return Some(format!(
                "`{name}` is a variable of the session, which functions, constants and types cannot see; \
                 pass it as an argument"
            ));
        }
        let help = (name == "help")
            .then(|| "`%help` lists the commands, and `NAME?` tells what a name is".to_owned());
        self.gone.get(name).map(|gone| gone.tell(name)).or(help)
    }

    /// Runs evcxr on this thread and listens to the cell on another. `number` is that of a cell that says
    /// when it begins, `at_stake` what ending its process would cost.
    fn run(
        &mut self,
        code: &str,
        number: Option<u32>,
        at_stake: &[String],
        sink: &(dyn Fn(Output) + Sync),
        begins: Option<&(dyn Fn() + Sync)>,
    ) -> (Result<evcxr::EvalOutputs, evcxr::Error>, Heard) {
        if let Err(error) = self.order.give(self.workshop.path()) {
            return (Err(error.into()), Heard::default());
        }
        let (ended, end) = unbounded();
        let Self {
            context,
            dispatcher,
            interrupter,
            builds,
            workshop,
            ..
        } = self;
        if number.is_some() {
            interrupter.enter(Phase::Building);
        }
        let generated = workshop.path().join("cell/src/lib.rs");
        let building = compiler::building(workshop.path());
        let events = dispatcher.begin();
        let (begun, has_begun) = bounded(1);
        let both = std::thread::scope(|scope| {
            if let Some(begins) = begins {
                scope.spawn(move || has_begun.recv().map(|()| begins()));
            }
            let listener = scope.spawn(|| {
                let mut listener = Listener {
                    heard: Heard::default(),
                    number,
                    current: String::new(),
                    builds,
                    generated,
                    interrupter,
                    at_stake,
                    building,
                    shown_building: None,
                    sink,
                    begun,
                };
                listener.listen(&events, &end);
                listener.heard
            });
            // evcxr and the analyzer in it may panic; the listener must hear of the end all the same.
            let result = catch_unwind(AssertUnwindSafe(|| context.execute(code)));
            let result = result.unwrap_or_else(|_| {
                let what = "evcxr panicked over this cell, which is a mistake of ours; what it said is in the kernel's log";
                Err(evcxr::Error::Message(what.to_owned()))
            });
            let how = match &result {
                Ok(outputs) if outputs.phases.iter().any(|phase| phase.name == "Execution") => {
                    End::Ran
                }
                Err(evcxr::Error::SubprocessTerminated(_)) => End::Exited,
                _ => End::NotRun,
            };
            let _ = ended.send(how);
            match listener.join() {
                Ok(heard) => (result, heard),
                // Nobody knows what the cell has shown, or whether it failed.
                Err(_) => {
                    let what = "what the cell showed could not be passed on";
                    let error = result.err();
                    let error = error.unwrap_or(evcxr::Error::Message(what.to_owned()));
                    (Err(error), Heard::default())
                }
            }
        });
        dispatcher.end(&events);
        self.ahead.look();
        if let (Err(evcxr::Error::SubprocessTerminated(_)), _) = &both {
            dispatcher.process_ended();
        }
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
        let stopped = self.interrupter.was_asked() && !self.interrupter.was_killed();
        match result {
            Err(evcxr::Error::CompilationErrors(_) | evcxr::Error::Message(_)) if stopped => {
                Some(Failure::new(
                    "Interrupted",
                    "the cell was interrupted while it was being built; nothing is lost",
                ))
            }
            Ok(_) if heard.errored => Some(with_panics(
                heard.panics,
                match heard.error {
                    Some((name, chain, mut place)) => {
                        if let Some(place) = &mut place
                            && let Some(number) = place.question
                        {
                            let range = source.questions.get(&number);
                            place.bytes = range.map(|range| (range.start, range.end));
                        }
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
                },
            )),
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
            Ok(_) if !source.tests.is_empty() => None,
            Ok(_) => {
                for (message, place) in heard.panics {
                    let place = in_words(place);
                    sink(Output::Stderr(format!(
                        "a panic was caught: {message}{place}\n"
                    )));
                }
                None
            }
            Err(evcxr::Error::CompilationErrors(errors)) => {
                let codes: BTreeSet<&str> = errors
                    .iter()
                    .filter(|error| error.level() != "warning")
                    .filter_map(|error| error.code())
                    .collect();
                self.last_codes = codes.into_iter().map(str::to_owned).collect();
                let names = failure::Names {
                    reason: &|name| self.reason(name),
                    defines: &|name| self.items.defines(name),
                };
                Some(failure::compile(&errors, source, number, names))
            }
            Err(evcxr::Error::SubprocessTerminated(_)) => {
                let interrupted = self.interrupter.was_killed();
                let (name, value) = match heard.exit {
                    _ if interrupted => (
                        "Interrupted",
                        "the cell did not stop by itself and was stopped by force".to_owned(),
                    ),
                    Some(_) if failure::tells_of_the_stack(&heard.last_stderr) => (
                        "StackOverflow",
                        "the cell's stack overflowed: a function calls itself without end, or an array is too large"
                            .to_owned(),
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
                let failure = with_panics(heard.panics, Failure::new(name, value));
                Some(failure.with_note(format!("A new process was started. {lost}")))
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
}

/// A failure with the panics that came before it, as of a thread whose end the cell has seen.
fn with_panics(panics: Vec<(String, Option<Place>)>, failure: Failure) -> Failure {
    panics
        .into_iter()
        .fold(failure, |failure, (message, place)| {
            failure.with_note(format!(
                "before it there was a panic: {message}{}",
                in_words(place)
            ))
        })
}

fn in_words(place: Option<Place>) -> String {
    place.map_or(String::new(), |place| {
        format!(" (cell [{}], line {})", place.cell, place.line)
    })
}

/// Where the macro was called that an error is in, or else the error's own place.
fn called(span: &serde_json::Value) -> &serde_json::Value {
    match &span["expansion"]["span"] {
        serde_json::Value::Null => span,
        outer => called(outer),
    }
}

/// Keys of variables whose types the compiler does not accept where they are taken, though it named them: they are
/// private, or gone.
fn unwritable_types(errors: &[evcxr::CompilationError], source: &Source) -> BTreeSet<String> {
    let codes = [
        "E0412", "E0425", "E0433", "E0446", "E0603", "E0107", "E0658",
    ];
    let spans = errors
        .iter()
        .filter(|error| error.code().is_some_and(|code| codes.contains(&code)))
        .flat_map(|error| error.spanned_messages())
        .filter(|message| message.is_primary)
        .filter_map(|message| message.span);
    spans
        .filter_map(|span| source.key_at(span.start_line, span.start_column))
        .collect()
}
