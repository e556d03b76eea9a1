//! The read-eval-print loop: the kernel's session behind a line editor.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};

use crate::cell::whole::{self, Completeness};
use crate::console::{BuildBar, Console};
use crate::reply::Failure;
use crate::session::{Session, Settings, Workshop, start};

/// How long the next line of a pipe is waited for when the code so far is whole and could go on.
const NEXT_LINE: Duration = Duration::from_millis(50);

/// Asks for a further line as long as the code is not whole.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct Whole;

impl Validator for Whole {
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
    let settings = Settings {
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        ..Settings::default()
    };
    let session = start::session(workshop, &settings, &mut |step| bar.tell(&step));
    bar.finish();
    let mut repl = Repl {
        session: session?,
        console: Arc::new(Mutex::new(Console::new(figure_folder()))),
        count: 0,
    };
    let console = Arc::clone(&repl.console);
    repl.session.tell_late(Arc::new(move |output| {
        console
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .print(&output)
    }));
    let interrupter = repl.session.interrupter();
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
    console: Arc<Mutex<Console>>,
    count: u32,
}

impl Repl {
    fn edited(&mut self) -> i32 {
        println!(
            "itd {} — `itd_prelude::prelude::*` is imported; :help lists commands, Ctrl-D leaves.",
            env!("CARGO_PKG_VERSION")
        );
        let history = dirs::data_dir().map(|folder| folder.join("itd/history.txt"));
        let Ok(mut editor) = Editor::<Whole, FileHistory>::new() else {
            return self.piped();
        };
        editor.set_helper(Some(Whole));
        if let Some(history) = &history {
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = editor.load_history(history);
        }
        loop {
            match editor.readline(&format!("[{}] ❯ ", self.count + 1)) {
                Ok(line) if line.trim() == ":quit" => break,
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    // At once: a session may end in any way.
                    if let Some(history) = &history {
                        let _ = editor.append_history(history);
                    }
                    let _told = self.execute(&line);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        0
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
            if cell.trim() == ":quit" {
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
            good &= self.execute(&std::mem::take(&mut cell));
            next = next.or_else(|| lines.recv().ok());
        }
        if !cell.trim().is_empty() {
            good &= self.execute(&cell);
        }
        i32::from(!good)
    }

    /// Whether it went well.
    fn execute(&mut self, cell: &str) -> bool {
        if cell.trim().is_empty() {
            return true;
        }
        self.count += 1;
        let console = &self.console;
        let sink = |output| {
            console
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .print(&output)
        };
        let reply = self.session.execute(cell.trim_end(), self.count, &sink);
        let Some(failure) = reply.failure else {
            return true;
        };
        match std::io::stderr().is_terminal() {
            true => eprintln!("{}", failure.traceback.join("\n")),
            false => eprintln!("{}", failure.plain()),
        }
        false
    }
}

/// The lines of standard input, read on a thread of their own.
fn input_lines() -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
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
