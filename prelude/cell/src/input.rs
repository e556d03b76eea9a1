//! Asking the user: `input` and `password`.
//!
//! Under `itd` the question goes to the front end that sent the cell, and the answer comes on the process's own
//! channel; the cell's `std::io::stdin` is empty. Under stock evcxr, and in a program, it is read from standard
//! input.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::error::{Error, Interrupted, Result};
use crate::frame::Frame;
use crate::{Host, host, interrupted, send, turn};

/// How often a question that is not answered looks for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

/// Questions that wait, and their answers.
type Answers = HashMap<u64, Option<std::result::Result<String, String>>>;

static ANSWERS: Mutex<Option<Answers>> = Mutex::new(None);
/// Held while a question waits: front ends show one at a time.
static ASKING: Mutex<()> = Mutex::new(());
static ANSWERED: Condvar = Condvar::new();

/// Asks the user for a line of text, and waits for it.
///
/// # Errors
/// [`Error::Missing`] when nobody can answer: a notebook that is executed by a program, a front end that takes no
/// input, a widget's closure. [`Error::Interrupted`] when the user asks to stop.
///
/// # Example
/// ```no_run
/// # use itd_cell as itd_prelude;
/// use itd_prelude::input;
///
/// let steps: usize = match input("steps (1000): ")?.trim() {
///     "" => 1000,
///     text => text.parse()?,
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn input(prompt: impl AsRef<str>) -> Result<String> {
    ask(prompt.as_ref(), false)
}

/// Asks the user for a line that nobody sees while it is typed, such as a token.
///
/// # Errors
/// As [`input`].
///
/// # Example
/// ```no_run
/// # use itd_cell as itd_prelude;
/// let token = itd_prelude::password("token of the hub: ")?;
/// assert!(!token.is_empty());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn password(prompt: impl AsRef<str>) -> Result<String> {
    ask(prompt.as_ref(), true)
}

fn ask(prompt: &str, password: bool) -> Result<String> {
    if turn::is_handling() {
        return Err(nobody(prompt, "no cell runs that could wait for it"));
    }
    match host() {
        Host::Itd => ask_kernel(prompt, password),
        Host::Evcxr => {
            let kind = if password { "PASSWORD" } else { "INPUT" };
            let prompt_line = prompt.replace('\n', " ");
            println!("EVCXR_{kind}_REQUEST:{prompt_line}");
            read_line(prompt)
        }
        Host::Plain => {
            print!("{prompt}");
            let _ = std::io::stdout().flush();
            match password && std::io::stdin().is_terminal() {
                true => unseen(|| read_line(prompt)),
                false => read_line(prompt),
            }
        }
    }
}

fn ask_kernel(prompt: &str, password: bool) -> Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let _asking = loop {
        match ASKING.try_lock() {
            Ok(asking) => break asking,
            Err(TryLockError::Poisoned(asking)) => break asking.into_inner(),
            Err(TryLockError::WouldBlock) if interrupted() => return Err(stopped(prompt)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
        }
    };
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    answers().get_or_insert_default().insert(id, None);
    send(&Frame::Ask {
        id,
        prompt: prompt.to_owned(),
        password,
    });
    let mut held = answers();
    loop {
        let waits = held.as_mut().and_then(|answers| answers.get_mut(&id));
        if let Some(answer) = waits.and_then(Option::take) {
            held.as_mut().map(|answers| answers.remove(&id));
            return answer.map_err(|why| nobody(prompt, &why));
        }
        // Said without the lock, which the answer needs.
        drop(held);
        if interrupted() {
            answers().as_mut().map(|answers| answers.remove(&id));
            return Err(stopped(prompt));
        }
        held = ANSWERED
            .wait_timeout(answers(), LOOK)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// Takes in an answer; one to a question that nobody waits for any more is dropped.
pub(crate) fn answer(id: u64, line: std::result::Result<String, String>) {
    if let Some(slot) = answers().as_mut().and_then(|answers| answers.get_mut(&id)) {
        *slot = Some(line);
    }
    ANSWERED.notify_all();
}

fn answers() -> MutexGuard<'static, Option<Answers>> {
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopped(prompt: &str) -> Error {
    let what = format!("waiting for an answer to `{}`", prompt.trim());
    Error::Interrupted(Interrupted::new(what, 0, 1).counted_in("answers"))
}

fn nobody(prompt: &str, why: &str) -> Error {
    Error::Missing {
        what: format!("nobody can answer `{}`: {why}", prompt.trim()),
        next: "give the value in the cell itself",
    }
}

fn read_line(prompt: &str) -> Result<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) => Err(nobody(prompt, "standard input is at its end")),
        Ok(_) => {
            let line = line.strip_suffix('\n').unwrap_or(&line);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        Err(error) => Err(nobody(prompt, &error.to_string())),
    }
}

/// Reads from a terminal that does not show what is typed.
fn unseen<T>(read: impl FnOnce() -> T) -> T {
    // SAFETY: the calls fill and read a structure of ours, for the terminal that is standard input.
    let before = unsafe {
        let mut before: libc::termios = std::mem::zeroed();
        (libc::tcgetattr(0, &mut before) == 0).then_some(before)
    };
    if let Some(mut quiet) = before {
        quiet.c_lflag &= !libc::ECHO;
        // SAFETY: as above.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &quiet) };
    }
    let line = read();
    if let Some(before) = before {
        // SAFETY: as above.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &before) };
        println!();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_to_its_question_and_no_other() {
        let id = u64::MAX;
        answer(id, Ok("too early".into())); // nobody has asked
        answers().get_or_insert_default().insert(id, None);
        answer(id - 1, Ok("to another".into()));
        let waiting = |answers: &Answers| answers.get(&id) == Some(&None);
        assert!(answers().as_ref().is_some_and(waiting));
        answer(id, Ok("Ada".into()));
        let line = answers().as_mut().and_then(|answers| answers.remove(&id));
        assert_eq!(line, Some(Some(Ok("Ada".to_owned()))));
    }

    #[test]
    fn a_handler_cannot_wait_for_an_answer() {
        let mut error = String::new();
        turn::handling(|| error = input("name? ").unwrap_err().to_string());
        assert!(error.starts_with("nobody can answer `name?`"), "{error}");
    }
}
