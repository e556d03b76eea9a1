//! Listens to the process that runs the cells, while a cell runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select, unbounded};
use evcxr::EvalContextOutputs;

use super::child::event::Event;
use super::failure::Place;
use super::frame::{Frame, Line};
use super::interrupt::{Interrupter, Phase};
use super::lines::Lines;
use crate::reply::Output;

/// How long the last words of a finished cell may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The same after a kill, which ends the supervisor too: nobody tells that all is said.
const WORDS_AFTER_KILL: Duration = Duration::from_millis(100);

/// Reads the supervisor's events off evcxr's channel of error lines.
pub fn events(outputs: EvalContextOutputs) -> Receiver<Event> {
    let (sender, events) = unbounded();
    std::thread::spawn(move || {
        for line in outputs.stderr {
            let event = serde_json::from_str(&line).unwrap_or_else(|_| Event::Stderr(line + "\n"));
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    // evcxr hands on what it does not know of standard output; the supervisor leaves nothing there.
    std::thread::spawn(move || for _ in outputs.stdout {});
    events
}

/// What was written to standard error, from lines of which some are events.
pub fn words(lines: &str) -> String {
    let word = |line: &str| match serde_json::from_str(line) {
        Ok(Event::Stderr(text)) => text,
        Ok(_) => String::new(),
        Err(_) => format!("{line}\n"),
    };
    lines.lines().map(word).collect()
}

/// How evcxr's part ended, which says what there is to wait for.
pub enum End {
    Ran,
    Exited,
    NotRun,
}

/// What was learned while a cell ran.
#[derive(Debug, Default)]
pub struct Heard {
    /// Panics, caught or not, in the order in which they happened.
    pub panics: Vec<(String, Option<Place>)>,
    /// A panic ended the cell.
    pub panicked: bool,
    /// An error that left the cell: its name, itself and its causes, and where.
    pub error: Option<(String, Vec<String>, Option<Place>)>,
    /// An error ended the cell.
    pub errored: bool,
    /// The process is gone: its exit code, or the signal that ended it.
    pub exit: Option<(Option<i32>, Option<i32>)>,
    /// The last text on standard error.
    pub last_stderr: String,
    done: bool,
}

/// Hears what happens while a cell runs.
pub struct Listener<'a> {
    pub heard: Heard,
    /// Number of a cell that says when it begins.
    pub number: Option<u32>,
    /// Path of the build that runs.
    pub current: String,
    /// Lines of each build that has run, by the path of its shared object.
    pub builds: &'a mut HashMap<String, Lines>,
    /// The source of the build that runs.
    pub generated: PathBuf,
    pub interrupter: &'a Interrupter,
    pub sink: &'a (dyn Fn(Output) + Sync),
}

impl Listener<'_> {
    /// Listens until `end` says how evcxr's part ended, and all that belongs to it has been heard.
    pub fn listen(&mut self, events: &Receiver<Event>, end: &Receiver<End>) {
        let how = loop {
            select! {
                recv(events) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => return,
                },
                recv(end) -> how => break how,
            }
        };
        let patience = match self.interrupter.was_killed() {
            true => WORDS_AFTER_KILL,
            false => LAST_WORDS,
        };
        let deadline = Instant::now() + patience;
        loop {
            let waiting = match how {
                Ok(End::Ran) => !self.heard.done,
                Ok(End::Exited) => self.heard.exit.is_none(),
                _ => false,
            };
            let next = match waiting {
                true => events.recv_deadline(deadline).ok(),
                false => events.try_recv().ok(),
            };
            match next {
                Some(event) => self.hear(event),
                None => return,
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Stdout(text) => (self.sink)(Output::Stdout(text)),
            Event::Stderr(text) => {
                self.heard.last_stderr.clone_from(&text);
                (self.sink)(Output::Stderr(text));
            }
            Event::Evcxr(data) => (self.sink)(Output::Display {
                data,
                id: None,
                update: false,
            }),
            Event::Panicked => self.heard.panicked = true,
            Event::Errored => self.heard.errored = true,
            // What ran before may be reported late.
            Event::Done => self.heard.done = self.number.is_none() || !self.current.is_empty(),
            Event::Exited { code, signal } => self.heard.exit = Some((code, signal)),
            Event::Frame(frame) => self.frame(frame),
        }
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::Begin { code } => {
                let source = std::fs::read_to_string(&self.generated).unwrap_or_default();
                self.builds.insert(code.clone(), Lines::read(&source));
                self.current = code;
                self.interrupter.enter(Phase::Running);
            }
            Frame::Display { data, id, update } => {
                (self.sink)(Output::Display { data, id, update })
            }
            Frame::Clear { wait } => (self.sink)(Output::Clear { wait }),
            Frame::Result { data } => (self.sink)(Output::Result(data)),
            Frame::Stderr { text } => (self.sink)(Output::Stderr(text)),
            Frame::Panic {
                message,
                code,
                file,
                line,
                column,
                ..
            } => {
                let origin = self.builds.get(&code).filter(|_| file.ends_with("lib.rs"));
                let place = origin
                    .and_then(|lines| lines.origin(line))
                    .map(|(cell, line)| Place { cell, line });
                let message = match (&place, file.is_empty()) {
                    (None, false) => format!("{message}\n(at {file}:{line}:{column})"),
                    _ => message,
                };
                self.heard.panics.push((message, place));
            }
            Frame::Error { name, chain, line } => {
                let place = match line {
                    Line::Cell(line) => self.number.map(|cell| Place { cell, line }),
                    Line::Generated(line) => {
                        let lines = self.builds.get(&self.current);
                        let origin = lines.and_then(|lines| lines.origin(line));
                        origin.map(|(cell, line)| Place { cell, line })
                    }
                };
                self.heard.error = Some((name, chain, place));
            }
            Frame::Interrupted => self.interrupter.heard(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_out_of_events() {
        let lines = "{\"stderr\":\"not \"}\n{\"stderr\":\"found\\n\"}\n\"done\"\nthe end";
        assert_eq!(words(lines), "not found\nthe end\n");
    }
}
