//! Asking the user of a terminal, for a cell.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::session::Interrupter;
use crate::session::events::Question;

/// How often a question that is not answered looks for an interrupt.
const LOOK: Duration = Duration::from_millis(100);

/// Puts a cell's question to the user of the terminal, who may interrupt the cell instead.
pub fn ask(question: &Question, interrupter: &Interrupter) {
    print!("{}", question.prompt);
    let _ = std::io::stdout().flush();
    let line = match question.password {
        true => unseen(|| read(interrupter)),
        false => read(interrupter),
    };
    if let Some(line) = line {
        question.answer(line);
    }
}

/// The next line of the terminal; nothing when the cell has been interrupted.
fn read(interrupter: &Interrupter) -> Option<Result<String, String>> {
    let stdin = std::io::stdin();
    let wait = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    loop {
        let mut waits = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waits, wait) {
            // A terminal gives whole lines.
            Ok(1..) => break,
            _ if interrupter.was_asked() => return None,
            _ => {}
        }
    }
    let mut line = String::new();
    Some(match stdin.read_line(&mut line) {
        Ok(0) => Err("the terminal's input is at its end".to_owned()),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// Has the terminal show nothing of what is typed meanwhile.
fn unseen<T>(read: impl FnOnce() -> T) -> T {
    let stdin = std::io::stdin();
    let before = tcgetattr(stdin.as_fd()).ok();
    if let Some(before) = &before {
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        let _ = tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &quiet);
    }
    let line = read();
    if let Some(before) = before {
        let _ = tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &before);
        println!();
    }
    line
}
