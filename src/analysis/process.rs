//! The process in which rust-analyzer runs: one question a line in, one answer a line out.
//!
//! It is a process of its own so that its memory can be given back, and so that what goes wrong in it costs nothing.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

use super::graph::Graph;
use super::host::Host;
use super::scope::Scope;
use super::{Completion, Inspection};

/// Set in the process that is to be the analyser; its first line of input is the graph.
pub const IS_ANALYST: &str = "ITD_IS_ANALYST";
/// How much it steps back behind others.
const NICE: i32 = 5;
/// The stack of its thread: rust-analyzer goes deep.
const STACK: usize = 32 << 20;

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What the next questions' cells see.
    Scope(Scope),
    /// What can stand at this byte of the cell?
    Complete {
        number: u64,
        cell: String,
        at: usize,
    },
    /// What is at this byte of the cell?
    Inspect {
        number: u64,
        cell: String,
        at: usize,
    },
}

/// An answer, to the question of that number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The names that every cell sees; the analyser is ready.
    Ready(Completion),
    Completion(u64, Option<Completion>),
    Inspection(u64, Option<Inspection>),
}

/// Turns this process into the analyser if it was started as one; otherwise returns.
pub fn hook() {
    if std::env::var_os(IS_ANALYST).is_none() {
        return;
    }
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    // SAFETY: changes nothing but this process's place among others.
    let _ = unsafe { nix::libc::nice(NICE) };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(serve);
    let served = thread.map(|thread| thread.join().is_ok()).unwrap_or(false);
    std::process::exit(if served { 0 } else { 1 });
}

fn serve() {
    let mut lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let graph = lines.next();
    let Some(graph) = graph.and_then(|line| serde_json::from_str::<Graph>(&line).ok()) else {
        return;
    };
    let mut host = Host::new(&graph);
    let mut scope = Scope::default();
    // The standard library and the prelude are read by the first questions, and known from then on.
    let methods = "let v = vec![1.0]; v.";
    let _ = host.complete(&scope, methods, methods.len());
    let names = host.complete(&scope, "", 0).unwrap_or_default();
    if !tell(&Answer::Ready(names)) {
        return;
    }
    for line in lines {
        let Ok(question) = serde_json::from_str(&line) else {
            continue;
        };
        let answer = match question {
            Question::Scope(new) => {
                scope = new;
                continue;
            }
            Question::Complete { number, cell, at } => {
                Answer::Completion(number, host.complete(&scope, &cell, at))
            }
            Question::Inspect { number, cell, at } => {
                Answer::Inspection(number, host.inspect(&scope, &cell, at))
            }
        };
        if !tell(&answer) {
            return;
        }
    }
}

fn tell(answer: &Answer) -> bool {
    let mut out = std::io::stdout().lock();
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}
