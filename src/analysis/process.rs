//! The process in which rust-analyzer runs: one question a line in, one answer a line out.
//!
//! It is a process of its own so that its memory can be given back, and so that what goes wrong in it costs nothing.

use std::io::{BufRead, BufReader, Write};

use crossbeam_channel::unbounded;
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
    // SAFETY: changes nothing but this process's place among others.
    let _ = unsafe { nix::libc::nice(NICE) };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(serve);
    let served = thread.map(|thread| thread.join().is_ok()).unwrap_or(false);
    std::process::exit(if served { 0 } else { 1 });
}

fn serve() {
    let mut lines = BufReader::new(std::io::stdin())
        .lines()
        .map_while(Result::ok);
    let graph = lines.next();
    let Some(graph) = graph.and_then(|line| serde_json::from_str::<Graph>(&line).ok()) else {
        return;
    };
    let (sender, questions) = unbounded();
    std::thread::spawn(move || {
        let mut questions = lines.filter_map(|line| serde_json::from_str(&line).ok());
        questions.all(|question| sender.send(question).is_ok());
        // Whoever would ask is gone. (The system's own signal for that comes when a thread of the kernel's ends, too.)
        std::process::exit(0);
    });
    let mut host = Host::new(&graph);
    let mut scope = Scope::default();
    // The standard library and the prelude are read by the first questions, and known from then on.
    let methods = "let v = vec![1.0]; v.";
    let _ = host.complete(&scope, methods, methods.len());
    let names = host.complete(&scope, "", 0).unwrap_or_default();
    if !tell(&Answer::Ready(names)) {
        return;
    }
    while let Ok(first) = questions.recv() {
        let waiting = std::iter::once(first).chain(questions.try_iter());
        let answer = match newest(waiting, &mut scope) {
            Some(Question::Complete { number, cell, at }) => {
                Answer::Completion(number, host.complete(&scope, &cell, at))
            }
            Some(Question::Inspect { number, cell, at }) => {
                Answer::Inspection(number, host.inspect(&scope, &cell, at))
            }
            Some(Question::Scope(_)) | None => continue,
        };
        if !tell(&answer) {
            return;
        }
    }
}

/// The last of the questions that wait: whoever asked one before has stopped waiting, and to answer it would make this
/// one late as well. What is told of the scope counts.
fn newest(waiting: impl Iterator<Item = Question>, scope: &mut Scope) -> Option<Question> {
    let mut newest = None;
    for question in waiting {
        match question {
            Question::Scope(new) => *scope = new,
            asked => newest = Some(asked),
        }
    }
    newest
}

fn tell(answer: &Answer) -> bool {
    let mut out = std::io::stdout().lock();
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Variable;

    #[test]
    fn only_the_last_question_is_answered_with_all_that_was_told() {
        let asked = |number| Question::Complete {
            number,
            cell: String::new(),
            at: 0,
        };
        let told = |name: &str| {
            let name = name.to_owned();
            let variables = vec![Variable {
                name,
                ..Variable::default()
            }];
            Question::Scope(Scope {
                variables,
                ..Scope::default()
            })
        };
        let mut scope = Scope::default();
        let waiting = [told("a"), asked(1), told("b"), asked(2), asked(3)];
        let newest = newest(waiting.into_iter(), &mut scope);
        assert!(matches!(newest, Some(Question::Complete { number: 3, .. })));
        assert_eq!(scope.variables[0].name, "b");
        let nothing = super::newest([told("c")].into_iter(), &mut scope);
        assert!(nothing.is_none() && scope.variables[0].name == "c");
    }
}
