//! The read-eval-print loop: the kernel's session behind a line editor.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper, Hinter};

use crate::analysis::Analyst;
use crate::cell::ask::Ask;
use crate::cell::whole::{self, Completeness};
use crate::console::{BuildBar, Console};
use crate::history::{Access, History};
use crate::notebook::code::coloured;
use crate::reply::{Failure, Output, Payload};
use crate::session::events::Aside;
use crate::session::{Session, Settings, Workshop, start};
use crate::terminal;

/// How long the next line of a pipe is waited for when the code so far is whole and could go on.
const NEXT_LINE: Duration = Duration::from_millis(50);

/// How many inputs of earlier sessions can be called back.
const RECALLED: usize = 1000;

/// Completes names, shows code in colours, and asks for a further line as long as the code is not whole.
#[derive(Helper, Hinter)]
struct Writing {
    analyst: Analyst,
}

impl Completer for Writing {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let cursor = line[..at].chars().count();
        let found = self.analyst.complete(line, cursor);
        let start = line.char_indices().nth(found.start);
        let pairs = found.candidates.into_iter().map(|candidate| Pair {
            display: match candidate.detail.as_str() {
                "" => candidate.text.clone(),
                detail => format!("{}  {detail}", candidate.text),
            },
            replacement: candidate.text,
        });
        Ok((
            start.map_or(line.len(), |(start, _)| start),
            pairs.collect(),
        ))
    }
}

impl Highlighter for Writing {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        coloured(line).into()
    }

    /// What is typed may change the colour of what comes before it.
    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Validator for Writing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match whole::check(context.input()) {
            Completeness::Incomplete { .. } if !context.input().ends_with("\n\n") => {
                ValidationResult::Incomplete
            }
            _ => ValidationResult::Valid(None),
        })
    }
}

/// Runs until the end of the input or `:quit`; gives the exit code, 1 when a cell of a pipe has failed.
///
/// # Errors
/// When the session cannot be started.
pub fn run(workshop: Arc<Workshop>) -> Result<i32, Failure> {
    let mut bar = BuildBar::default();
    let analyst = Analyst::default();
    let settings = Settings {
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        analyst: Some(analyst.clone()),
        ..Settings::default()
    };
    let session = start::session(workshop, &settings, &mut |step| bar.tell(&step));
    bar.finish();
    let mut repl = Repl {
        session: session?,
        analyst,
        console: Arc::new(Mutex::new(Console::new(figure_folder()))),
        history: History::open(),
        next: None,
        count: 0,
    };
    repl.session.remember(repl.history.clone());
    let console = Arc::clone(&repl.console);
    repl.session.tell_late(Arc::new(move |output| {
        console
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .print(&output)
    }));
    let interrupter = repl.session.interrupter();
    if std::io::stdin().is_terminal() {
        let asked = interrupter.clone();
        repl.session.tell_asides(Arc::new(move |aside| {
            if let Aside::Asks(question) = aside {
                let asked = asked.clone();
                std::thread::spawn(move || terminal::ask(&question, &asked));
            }
        }));
    }
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT]) {
        std::thread::spawn(move || signals.forever().for_each(|_| interrupter.interrupt()));
    }
    Ok(match std::io::stdin().is_terminal() {
        true => repl.edited(),
        false => repl.piped(),
    })
}

/// Figures of this process go to a folder of their own.
fn figure_folder() -> PathBuf {
    std::env::temp_dir().join(format!("itd-figures-{}", std::process::id()))
}

struct Repl {
    session: Session,
    analyst: Analyst,
    console: Arc<Mutex<Console>>,
    history: History,
    /// Code that a cell has put into the next input.
    next: Option<String>,
    count: u32,
}

impl Repl {
    fn edited(&mut self) -> i32 {
        println!(
            "itd {} — `itd_prelude::prelude::*` is imported; :help lists commands, `exit` or Ctrl-D leaves.",
            env!("CARGO_PKG_VERSION")
        );
        let Some(mut editor) = self.editor() else {
            return self.piped();
        };
        loop {
            let prompt = format!("[{}] ❯ ", self.count + 1);
            let initial = self.next.take().unwrap_or_default();
            match editor.readline_with_initial(&prompt, (&initial, "")) {
                Ok(line) if self.ends(&line) => break,
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    let _told = self.execute(&line);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        0
    }

    /// The editor, which knows what was typed in earlier sessions.
    fn editor(&self) -> Option<Editor<Writing, MemHistory>> {
        let config = Config::builder().max_history_size(RECALLED).ok()?.build();
        let recalled = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, recalled).ok()?;
        editor.set_helper(Some(Writing {
            analyst: self.analyst.clone(),
        }));
        for entry in self.history.find(&Access::Tail { n: RECALLED }) {
            let _ = editor.add_history_entry(entry.input);
        }
        Some(editor)
    }

    /// Whether a cell asks for the end.
    fn ends(&self, cell: &str) -> bool {
        matches!(self.session.asked(cell), Some(Ask::End { .. }))
    }

    /// Reads from a pipe or a file: a cell ends where the code is whole and the next line does not go on with it.
    fn piped(&mut self) -> i32 {
        let lines = input_lines();
        let mut cell = String::new();
        let mut good = true;
        let mut next = lines.recv().ok();
        while let Some(line) = next.take() {
            cell.push_str(&line);
            cell.push('\n');
            if self.ends(&cell) {
                return i32::from(!good);
            }
            if matches!(whole::check(&cell), Completeness::Incomplete { .. }) {
                next = lines.recv().ok();
                continue;
            }
            // Somebody who waits for an answer before he writes on is not waited for.
            next = lines.recv_timeout(NEXT_LINE).ok();
            if next.as_deref().is_some_and(goes_on) {
                continue;
            }
            good &= self.execute(&std::mem::take(&mut cell)) && self.execute_next();
            next = next.or_else(|| lines.recv().ok());
        }
        if !cell.trim().is_empty() {
            good &= self.execute(&cell) && self.execute_next();
        }
        i32::from(!good)
    }

    /// Code that a cell has put into the next input is run, as nobody is there who would send it.
    fn execute_next(&mut self) -> bool {
        match self.next.take() {
            Some(code) => self.execute(&code),
            None => true,
        }
    }

    /// Whether it went well.
    fn execute(&mut self, cell: &str) -> bool {
        if cell.trim().is_empty() {
            return true;
        }
        self.count += 1;
        let cell = cell.trim_end();
        if std::io::stdin().is_terminal() {
            // Before it runs: the session may end in any way.
            self.history.add(self.count, cell);
        }
        let console = &self.console;
        let (value, next) = (Mutex::new(None), Mutex::new(None));
        let sink = |output| {
            match &output {
                Output::Result(data) => {
                    let text = data.get("text/plain").and_then(|text| text.as_str());
                    *value.lock().unwrap_or_else(PoisonError::into_inner) = text.map(str::to_owned);
                }
                Output::Payload(Payload::NextInput { code, .. }) => {
                    *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(code.clone());
                }
                _ => {}
            }
            console
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .print(&output)
        };
        let reply = self.session.execute(cell, self.count, &sink);
        console
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end_cell();
        if let Some(value) = value.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.history.add_output(self.count, &value);
        }
        self.next = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(failure) = reply.failure else {
            return true;
        };
        match std::io::stderr().is_terminal() {
            true => eprintln!("{}", failure.coloured()),
            false => eprintln!("{}", failure.plain()),
        }
        false
    }
}

/// The lines of standard input, read on a thread of their own.
fn input_lines() -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        // What is no UTF-8 is code as well as it can be read.
        let lines = std::io::stdin().lock().split(b'\n').map_while(Result::ok);
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if sender
                .send(String::from_utf8_lossy(line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    lines
}

/// Whether a line continues the statement before it, though that is whole.
fn goes_on(line: &str) -> bool {
    let line = line.trim_start();
    let word = |word: &str| {
        line.strip_prefix(word)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let method = line.starts_with('.') && !line.starts_with("..");
    method || word("else") || word("as") || ["?", "&&", "||"].iter().any(|op| line.starts_with(op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_goes_on_is_known_by_its_beginning() {
        for line in [
            "else {",
            "    .map(|x| x)",
            "? + 1",
            "&& b",
            "as f64",
            "else",
        ] {
            assert!(goes_on(line), "{line}");
        }
        for line in [
            "",
            "elsewhere()",
            "let x = 1;",
            "..3",
            "assert!(x)",
            "{ x }",
            "// .map",
        ] {
            assert!(!goes_on(line), "{line}");
        }
    }
}
