//! What commands do in a session.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::shell::{self, Script};
use super::{Session, Why};
use crate::cell::command::{self, Step, Way, refusal};
use crate::cell::failure::{self, Place};
use crate::cell::measure::{self, Test};
use crate::cell::script;
use crate::cell::types;
use crate::disk;
use crate::history::{Access, History};
use crate::reply::{Bundle, Failure, Output, Payload};

/// Most inputs that a search shows, the last ones.
const MOST_RECALLED: usize = 100;
/// Names of environment variables whose values are nobody's business.
const SECRET: &[&str] = &["key", "token", "secret", "password", "credential"];

/// What is known of a cell that has been run in a way that measures.
pub(super) struct Measured<'a> {
    /// What it has left.
    pub told: &'a str,
    pub tests: &'a [Test],
    /// Panics, caught or not.
    pub panics: &'a [(String, Option<Place>)],
    pub optimised: bool,
    /// Time that building it took.
    pub build: Duration,
    /// Whether there is more than items.
    pub runs: bool,
    pub original: &'a str,
    pub number: u32,
}

impl Session {
    /// Does what a command asks for.
    ///
    /// # Errors
    /// A failure named `Command` when it cannot be done, `Interrupted` when the user stopped it.
    pub(super) fn obey(
        &mut self,
        step: Step,
        number: u32,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<(), Failure> {
        let say = |text: String| sink(Output::Stdout(text));
        match step {
            // It is code, and the caller's.
            Step::Run(_) => {}
            Step::Level(level) => self.order.opt_level = level,
            Step::Names => {
                let names: Vec<&str> = self.living.variables.keys().map(String::as_str).collect();
                say(match names.is_empty() {
                    true => "There are no variables.\n".to_owned(),
                    false => names.join("  ") + "\n",
                });
            }
            Step::Variables => {
                let seen = self.look_now(&|_| {});
                sink(show(command::variable_table(&seen)));
            }
            Step::Type(name) => sink(show(command::type_of(&name, &self.variables())?)),
            Step::Delete(names) => self.delete(&names, number, sink)?,
            Step::Clear => self.clear()?,
            Step::Help(name) => sink(page(command::help(name.as_deref())?)),
            Step::Explain(code) => sink(page(self.explain(code)?)),
            Step::Shell(text) => {
                let name = format!("!{text}");
                self.script("sh", &text, &name, sink)?;
            }
            Step::Script { program, text } => {
                self.script(program, &text, &format!("%%{program}"), sink)?;
            }
            Step::Write { file, append, text } => say(self.write(&file, append, &text)?),
            Step::Folder(to) => say(self.go(to.as_deref())?),
            Step::Where => {
                let code = "std::env::current_dir()?.display().to_string()";
                say(self.ask(code)? + "\n");
            }
            Step::Environment(None) => {
                let secret = format!("{SECRET:?}");
                say(self.ask(&LIST_ENVIRONMENT.replace("SECRET", &secret))?);
            }
            Step::Environment(Some((name, None))) => {
                let code = format!("std::env::var({name:?}).unwrap_or(\"\\0\".to_owned())");
                let value = self.ask(&code)?;
                match value.as_str() {
                    "\0" => {
                        return Err(refusal(format!(
                            "the environment has no variable `{name}`; `%env {name}=VALUE` sets it"
                        )));
                    }
                    value => say(format!("{value}\n")),
                }
            }
            Step::Environment(Some((name, Some(value)))) => {
                self.set_variable(&name, &value)?;
                say(format!("{name}={value}\n"));
                self.environment.insert(name, value);
            }
            Step::Load(file) => {
                if self.history.is_none() {
                    return Err(refusal("`%load` puts code into the next input, and nobody types here: put the code into a cell".to_owned()));
                }
                let code = self.read(&file)?;
                let replace = true;
                sink(Output::Payload(Payload::NextInput { code, replace }));
            }
            Step::Save { file, cells } => say(self.save(&file, &cells)?),
            Step::Recall(words) => {
                let Some(history) = &self.history else {
                    return Err(refusal("there is no history here: nobody types".to_owned()));
                };
                let access = Access::Search {
                    pattern: format!("*{words}*"),
                    n: Some(MOST_RECALLED),
                    unique: true,
                };
                let mut text = String::new();
                for entry in history.find(&access) {
                    let _ = writeln!(text, "{}/{}: {}", entry.session, entry.line, entry.input);
                }
                say(text);
            }
            Step::History { numbers, cells } => {
                let mut text = String::new();
                if !cells.is_empty() && self.written(&cells).is_empty() {
                    let what = "there is no such cell; `%history -n` lists those that there are";
                    return Err(refusal(what.to_owned()));
                }
                for (number, cell) in self.written(&cells) {
                    let number = format!("{number}: ");
                    let _ = writeln!(text, "{}{cell}", if numbers { &number } else { "" });
                }
                say(text);
            }
        }
        Ok(())
    }

    /// Says what was measured of a cell that has run.
    ///
    /// # Errors
    /// A failure named `TestFailed` when a test did, `Interrupted` when the measuring was stopped.
    pub(super) fn report(
        &self,
        way: &Way,
        measured: &Measured<'_>,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<(), Failure> {
        let say = |text: String| sink(Output::Stdout(text));
        let stopped = || {
            let what = "the measuring was interrupted; what was measured so far is shown";
            Failure::new("Interrupted", what)
        };
        let nothing = |what: &str| Err(refusal(format!("there is nothing to time: {what}")));
        if measured.runs && measured.told.is_empty() && !matches!(way, Way::Plain) {
            let what = "the cell was left before its end, and nothing was measured: what is measured must not \
                        `return`; put it into a function";
            return Err(refusal(what.to_owned()));
        }
        match way {
            Way::Plain => Ok(()),
            Way::Time => {
                if let Some(text) = measure::time(measured.told) {
                    let build = measure::seconds(measured.build.as_secs_f64());
                    say(format!("{text}, build time {build}\n"));
                }
                Ok(())
            }
            Way::TimeIt(loops) => {
                let timings = measure::timings(measured.told);
                let Some(timing) = timings.first() else {
                    return nothing("only items");
                };
                if !timing.times.is_empty() {
                    say(measure::summary(timing) + "\n");
                    if !measured.optimised {
                        let hint = "not optimised; write `%%opt 3` in the line before, for what a release build does";
                        say(format!("({hint})\n"));
                    }
                }
                match timing.times.len() < loops.runs as usize {
                    true => Err(stopped()),
                    false => Ok(()),
                }
            }
            Way::Bench(loops) => {
                let mut timings = measure::timings(measured.told);
                if timings.is_empty() {
                    return nothing("no expression; `let` lines only prepare");
                }
                let whole = timings
                    .iter()
                    .all(|timing| timing.times.len() == loops.runs as usize);
                timings.retain(|timing| !timing.times.is_empty());
                say(measure::table(&timings, measured.original));
                if whole { Ok(()) } else { Err(stopped()) }
            }
            Way::Test => self.report_tests(measured, say),
        }
    }

    fn report_tests(&self, measured: &Measured<'_>, say: impl Fn(String)) -> Result<(), Failure> {
        let (tests, number) = (measured.tests, measured.number);
        if tests.is_empty() {
            let what = "there are no tests: write `#[test]` before a function below `%%test`";
            return Err(refusal(what.to_owned()));
        }
        let failed = measure::failed(measured.told, tests);
        say(measure::outcome(tests, failed.len()));
        let Some(first) = failed.first() else {
            return Ok(());
        };
        let mut panics = measured.panics.to_vec();
        let mut traceback = Vec::new();
        let mut place_of = |failed: &measure::Failed| {
            let message = failed.panic.as_ref()?;
            let said = |(text, _): &(String, Option<Place>)| text.starts_with(message);
            let index = panics.iter().position(said)?;
            panics.remove(index).1
        };
        let mut first_place = None;
        for one in &failed {
            let test = &tests[one.test];
            let place = place_of(one).unwrap_or(Place::line(number, test.line as u32));
            first_place.get_or_insert(place);
            let name = format!("{}: {}", test.name, one.what);
            let failure = failure::at_line("TestFailed", &name, &[], Some(place), &self.cells);
            traceback.extend(failure.traceback);
        }
        let (name, what) = (&tests[first.test].name, first.what.lines().next());
        let place = first_place.map_or(String::new(), |place| {
            format!(" (cell [{}], line {})", place.cell, place.line)
        });
        let value = format!(
            "{} of {} tests failed; `{name}`: {}{place}",
            failed.len(),
            tests.len(),
            what.unwrap_or_default()
        );
        Err(Failure {
            name: "TestFailed".to_owned(),
            value,
            traceback,
        })
    }

    /// Forgets variables, and frees their memory now.
    fn delete(
        &mut self,
        names: &[String],
        number: u32,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<(), Failure> {
        if let Some(name) = names
            .iter()
            .find(|name| !self.living.variables.contains_key(*name))
        {
            return Err(match self.items.defines(name) {
                true => refusal(format!(
                    "`{name}` is no variable: what is defined stays, and is replaced when it is defined anew"
                )),
                false => command::no_variable(name, self.living.variables.keys()),
            });
        }
        for name in names {
            if let Some(variable) = self.living.variables.remove(name) {
                self.living.forget.push(types::number(&variable.key));
                self.note_gone(name, number, Why::Deleted);
            }
        }
        self.forget_now(sink)
    }

    /// Has `%history -g` search a history.
    pub fn remember(&mut self, history: History) {
        self.history = Some(history);
    }

    /// A destructor may have something to say.
    fn forget_now(&mut self, sink: &(dyn Fn(Output) + Sync)) -> Result<(), Failure> {
        let code = format!("itd_prelude::cell::forget(&{:?});", self.living.forget);
        let (result, _) = self.run(&code, None, &[], sink, None);
        result.map_err(|error| refusal(error.to_string()))?;
        self.living.forget.clear();
        Ok(())
    }

    /// What the compiler has to say about an error.
    fn explain(&self, code: Option<String>) -> Result<Bundle, Failure> {
        let codes = match code {
            Some(code) => vec![code],
            None => self.last_codes.clone(),
        };
        if codes.is_empty() {
            let what = "no cell has failed to compile with a code; write one, as `%explain E0382`";
            return Err(refusal(what.to_owned()));
        }
        let mut all = String::new();
        for code in &codes {
            let output = Command::new(&self.rustc).args(["--explain", code]).output();
            let output =
                output.map_err(|error| refusal(format!("rustc cannot be run: {error}")))?;
            if !output.status.success() {
                return Err(refusal(format!(
                    "the compiler has no explanation for `{code}`; its codes look like `E0382`"
                )));
            }
            let _ = writeln!(
                all,
                "{code}: {}",
                String::from_utf8_lossy(&output.stdout).trim()
            );
        }
        Ok(Bundle::from([
            ("text/markdown".to_owned(), as_markdown(&all).into()),
            ("text/plain".to_owned(), all.into()),
        ]))
    }

    fn script(
        &self,
        program: &str,
        text: &str,
        name: &str,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<(), Failure> {
        let script = Script {
            program,
            text,
            name,
            environment: &self.environment,
        };
        shell::run(script, &self.folder, &self.interrupter, sink)
    }

    /// A path as the cells mean it: from their folder on, `~` is the user's.
    fn path(&self, written: &str) -> PathBuf {
        let written = written.trim_matches(['"', '\'']);
        let home = written
            .strip_prefix('~')
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (home, dirs::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
            _ => self.folder.join(written),
        }
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        std::fs::read_to_string(self.path(file)).map_err(|error| {
            refusal(format!(
                "{} cannot be read: {error}; the folder is {}",
                self.path(file).display(),
                self.folder.display()
            ))
        })
    }

    /// Writes a file, or a piece to its end; says which.
    fn write(&self, file: &str, append: bool, text: &str) -> Result<String, Failure> {
        let path = self.path(file);
        let before = match append {
            true if path.exists() => self.read(file)?,
            _ => String::new(),
        };
        let doing = match (append, path.exists()) {
            (true, true) => "appended to",
            (_, true) => "overwritten:",
            (_, false) => "written:",
        };
        let end = if text.ends_with('\n') { "" } else { "\n" };
        put(&path, &[&before, text, end].concat())?;
        Ok(format!("{doing} {}\n", path.display()))
    }

    /// Writes cells to a script that `itd run` and jupytext read.
    fn save(&self, file: &str, cells: &[Range<u32>]) -> Result<String, Failure> {
        let path = self.path(file);
        let mut text = String::new();
        let mut count = 0;
        for (_, cell) in self.written(cells) {
            // A line that saves is of no use in a script.
            let saves = |line: &&str| {
                let command = line.trim_start().strip_prefix(['%', ':']);
                command.is_some_and(|rest| rest.starts_with("save "))
            };
            let kept = cell.lines().filter(|line| !saves(line));
            let kept: Vec<_> = kept.map(script::write_line).collect();
            let kept = kept.join("\n");
            if kept.trim().is_empty() {
                continue;
            }
            let _ = write!(text, "{}\n{}\n\n", script::MARK, kept.trim_end());
            count += 1;
        }
        if count == 0 {
            let what = "there is no such cell; `%history -n` lists those that there are";
            return Err(refusal(what.to_owned()));
        }
        let doing = match path.exists() {
            true => "overwritten:",
            false => "written:",
        };
        put(&path, &text)?;
        let cells = if count == 1 { "cell" } else { "cells" };
        Ok(format!("{doing} {} ({count} {cells})\n", path.display()))
    }

    /// The cells of these numbers, or all, in order.
    fn written(&self, cells: &[Range<u32>]) -> Vec<(u32, &str)> {
        let wanted = |number: u32| {
            number > 0 && (cells.is_empty() || cells.iter().any(|range| range.contains(&number)))
        };
        let mut all: Vec<_> = self
            .cells
            .iter()
            .filter(|(number, _)| wanted(**number))
            .map(|(number, cell)| (*number, cell.as_str()))
            .collect();
        all.sort_unstable();
        all
    }

    /// Goes to another folder; says which.
    fn go(&mut self, to: Option<&str>) -> Result<String, Failure> {
        let wanted = match to {
            Some("-") => {
                let before = self.folder_before.clone();
                before.ok_or_else(|| refusal("there is no folder before this one".to_owned()))?
            }
            Some(to) => self.path(to),
            None => self.path("~"),
        };
        let folder = wanted
            .canonicalize()
            .map_err(|error| refusal(format!("{} cannot be gone to: {error}", wanted.display())))?;
        if !folder.is_dir() {
            return Err(refusal(format!("{} is no folder", folder.display())));
        }
        // Who may not enter it can still see it.
        if let Err(error) = folder.join(".").metadata() {
            return Err(refusal(format!(
                "{} cannot be gone to: {error}",
                folder.display()
            )));
        }
        self.enter(&folder)?;
        let before = std::mem::replace(&mut self.folder, folder);
        self.folder_before = Some(before);
        Ok(format!("{}\n", self.folder.display()))
    }

    fn enter(&mut self, folder: &Path) -> Result<(), Failure> {
        let folder = folder.display().to_string();
        self.aside(&format!("let _ = std::env::set_current_dir({folder:?});"))
    }

    fn set_variable(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        // Other threads may read it; a notebook has none that do while a command is obeyed.
        self.aside(&format!(
            "unsafe {{ std::env::set_var({name:?}, {value:?}) }};"
        ))
    }

    /// Has a new process as the one before was: its folder, its environment.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        if self.folder_before.is_some() {
            self.enter(&self.folder.clone())?;
        }
        for (name, value) in self.environment.clone() {
            self.set_variable(&name, &value)?;
        }
        Ok(())
    }

    /// Runs a little code of our own.
    fn aside(&mut self, code: &str) -> Result<(), Failure> {
        self.quietly(code).map_err(|failure| refusal(failure.value))
    }

    /// The text that an expression of our own gives in the process of the cells.
    fn ask(&mut self, expression: &str) -> Result<String, Failure> {
        let file = self.workshop.path().join("answer");
        let _ = std::fs::remove_file(&file);
        let place = file.display().to_string();
        self.aside(&format!("std::fs::write({place:?}, {expression})?;"))?;
        std::fs::read_to_string(&file)
            .map_err(|error| refusal(format!("the process of the cells does not answer: {error}")))
    }
}

/// All variables, sorted, one a line.
const LIST_ENVIRONMENT: &str = "{ let mut all: Vec<_> = std::env::vars_os().map(|(name, value)| { \
    let (name, value) = (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()); \
    let small = name.to_lowercase(); let secret = SECRET.iter().any(|word| small.contains(word)); \
    format!(\"{name}={}\\n\", if secret { \"<hidden>\" } else { &value }) }).collect(); all.sort(); all.concat() }";

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        return Err(refusal(format!(
            "{} cannot be written: there is no folder {}; `!mkdir -p` makes one",
            path.display(),
            folder.display()
        )));
    }
    disk::replace(path, text.as_bytes()).map_err(|error| {
        refusal(format!(
            "{} cannot be written: {error}; what was there before is unchanged",
            path.display()
        ))
    })
}

/// The compiler's explanations with code that a page can colour.
fn as_markdown(text: &str) -> String {
    let mut inside = false;
    let line = |line: &str| match line.strip_prefix("```") {
        Some(kind) => {
            inside = !inside;
            let kind = if inside && !kind.starts_with("text") {
                "rust"
            } else {
                ""
            };
            format!("```{kind}\n")
        }
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The answer to a command: a display, since the cell may have a result besides.
fn show(data: Bundle) -> Output {
    Output::Display {
        data,
        id: None,
        update: false,
    }
}

/// A text that a front end shows apart.
fn page(data: Bundle) -> Output {
    Output::Payload(Payload::Page(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_have_code_in_rust() {
        let text = "Words.\n\n```compile_fail,E0382\nx\n```\n\n```\ny\n```\n```text\nz\n```\n";
        assert_eq!(
            as_markdown(text),
            "Words.\n\n```rust\nx\n```\n\n```rust\ny\n```\n```\nz\n```\n"
        );
    }
}
