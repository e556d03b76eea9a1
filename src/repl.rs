//! The read-eval-print loop: the kernel's session behind a line editor.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};

use crate::console::{BuildBar, Console};
use crate::eval::complete::{self, Completeness};
use crate::eval::{Session, Settings, Workshop, start};
use crate::reply::Failure;

/// Asks for a further line as long as the code is not whole.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct Whole;

impl Validator for Whole {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match complete::check(context.input()) {
            Completeness::Incomplete { .. } if !context.input().ends_with("\n\n") => {
                ValidationResult::Incomplete
            }
            _ => ValidationResult::Valid(None),
        })
    }
}

/// Runs until the end of the input or `:quit`.
///
/// # Errors
/// When the session cannot be started.
pub fn run(workshop: Arc<Workshop>) -> Result<(), Failure> {
    let mut bar = BuildBar::default();
    let settings = Settings {
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        ..Settings::default()
    };
    let session = start::session(workshop, &settings, &mut |step| bar.tell(&step));
    bar.finish();
    let mut repl = Repl {
        session: session?,
        console: Mutex::new(Console::new(figure_folder())),
        count: 0,
    };
    let interrupter = repl.session.interrupter();
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT]) {
        std::thread::spawn(move || signals.forever().for_each(|_| interrupter.interrupt()));
    }
    match std::io::stdin().is_terminal() {
        true => repl.edited(),
        false => repl.piped(),
    }
    Ok(())
}

/// Figures of this process go to a folder of their own.
fn figure_folder() -> PathBuf {
    std::env::temp_dir().join(format!("itd-figures-{}", std::process::id()))
}

struct Repl {
    session: Session,
    console: Mutex<Console>,
    count: u32,
}

impl Repl {
    fn edited(&mut self) {
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
            let _ = editor.load_history(history);
        }
        loop {
            match editor.readline(&format!("[{}] ❯ ", self.count + 1)) {
                Ok(line) if line.trim() == ":quit" => break,
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    self.execute(&line);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        if let Some(history) = &history {
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = editor.save_history(history);
        }
    }

    /// Reads from a pipe or a file: a cell ends where the code is whole.
    fn piped(&mut self) {
        let mut cell = String::new();
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            cell.push_str(&line);
            cell.push('\n');
            if cell.trim() == ":quit" {
                return;
            }
            if !matches!(complete::check(&cell), Completeness::Incomplete { .. }) {
                self.execute(&std::mem::take(&mut cell));
            }
        }
        if !cell.trim().is_empty() {
            self.execute(&cell);
        }
    }

    fn execute(&mut self, cell: &str) {
        if cell.trim().is_empty() {
            return;
        }
        self.count += 1;
        let console = &self.console;
        let sink = |output| {
            console
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .print(&output)
        };
        if let Some(failure) = self
            .session
            .execute(cell.trim_end(), self.count, &sink)
            .failure
        {
            match std::io::stderr().is_terminal() {
                true => eprintln!("{}", failure.traceback.join("\n")),
                false => eprintln!("{}", failure.plain()),
            }
        }
    }
}
