//! The analyser as others see it: asked on any thread, started when it is needed, ended when nobody asks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use serde::Serialize;

use super::graph::{Graph, fetch_std, library};
use super::process::{Answer, IS_ANALYST, Question};
use super::scope::Scope;
use super::{Candidate, Completion, Inspection, crates, text};
use crate::prelude::Prelude;
use crate::toolchain::Toolchain;

/// How long an answer is waited for, the first one of a process included.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is kept when nobody asks, unless [`IDLE_VARIABLE`] says something else.
const IDLE: Duration = Duration::from_secs(600);
/// How often that is looked at, or more often where it is kept for less.
const LOOK: Duration = Duration::from_secs(20);
/// Set to `off`, no process is started, and only names are completed.
const SWITCH: &str = "ITD_ANALYST";
/// For how many seconds it is kept when nobody asks.
pub const IDLE_VARIABLE: &str = "ITD_ANALYST_IDLE";
/// The words of the language, for as long as nothing better is known.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "else", "enum", "false", "fn", "for",
    "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "self", "static", "struct", "trait", "true", "type", "unsafe", "use", "where", "while",
];

/// What is needed to start the analyser.
#[derive(Debug, Clone)]
pub struct Launch {
    pub prelude: Prelude,
    pub toolchain: Toolchain,
}

/// A handle to the analyser; its clones share one.
#[derive(Clone, Default)]
pub struct Analyst {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Held by whoever waits for an answer.
    process: Mutex<Running>,
    /// What is known without it.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    launch: Option<Launch>,
    scope: Scope,
    /// The sources of the standard library are being fetched, which takes as long as the network does.
    fetching: bool,
    /// Counts the changes of the scope.
    version: u64,
    /// What every cell sees, once the analyser has said so.
    names: Vec<Candidate>,
}

#[derive(Default)]
struct Running {
    process: Option<Process>,
    /// None can be started here.
    broken: bool,
    last_used: Option<Instant>,
    count: u64,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<Answer>,
    ready: bool,
    /// The version of the scope that it knows.
    version: Option<u64>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Analyst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Analyst")
    }
}

impl Analyst {
    /// Starts warming up.
    pub fn start(&self, launch: Launch) {
        self.known().launch = Some(launch);
        if is_off() {
            return;
        }
        self.warm_up();
        self.watch(idle());
    }

    /// Gives its memory back when nobody has asked for long. The thread holds the analyst for no longer than a look
    /// takes, and waits for no lock; when it holds the last handle, the process ends there.
    fn watch(&self, idle: Duration) {
        let watched = Arc::downgrade(&self.shared);
        on_a_thread(move || {
            while let Some(shared) = {
                std::thread::sleep(LOOK.min(idle / 4));
                watched.upgrade()
            } {
                if let Ok(mut running) = shared.process.try_lock()
                    && running.last_used.is_some_and(|last| last.elapsed() > idle)
                {
                    running.process = None;
                }
            }
        });
    }

    /// Starts the process on a thread of its own, if there is none.
    fn warm_up(&self) {
        let launch = self.known().launch.clone();
        let missing = launch.is_some_and(|launch| !library(&launch.toolchain).is_dir());
        self.known().fetching = missing;
        let analyst = self.clone();
        on_a_thread(move || {
            if missing {
                fetch_std();
                analyst.known().fetching = false;
            }
            let mut running = analyst.running();
            running.last_used = Some(Instant::now());
            let _ = analyst.ensure(&mut running); // if it takes longer, whoever asks next waits on
        });
    }

    /// Tells it what the cells to come see.
    pub fn see(&self, scope: Scope) {
        let mut known = self.known();
        if known.scope != scope {
            known.scope = scope;
            known.version += 1;
        }
    }

    /// What can stand at a place of the cell, in characters.
    pub fn complete(&self, cell: &str, cursor: usize) -> Completion {
        let at = text::byte(cell, cursor);
        let aside = text::commands(cell, at)
            .or_else(|| crates::complete(cell, at))
            .or_else(|| text::file_names(cell, at));
        if let Some(completion) = aside {
            return completion;
        }
        match (text::wants_names(cell, at), self.state()) {
            (true, State::Ready) => self
                .ask_completion(cell, at)
                .unwrap_or_else(|| self.names(cell, at)),
            (true, state) => {
                if state == State::Ended {
                    self.warm_up(); // for what is asked next
                }
                self.names(cell, at)
            }
            (false, _) => self.ask_completion(cell, at).unwrap_or(Completion {
                start: cursor,
                end: cursor,
                candidates: Vec::new(),
            }),
        }
    }

    fn ask_completion(&self, cell: &str, at: usize) -> Option<Completion> {
        let number = |number| Question::Complete {
            number,
            cell: cell.to_owned(),
            at,
        };
        match self.ask(number)? {
            Answer::Completion(_, completion) => completion,
            _ => None,
        }
    }

    /// What there is to say of the name at a place of the cell, in characters.
    pub fn inspect(&self, cell: &str, cursor: usize) -> Option<Inspection> {
        let at = text::byte(cell, cursor);
        let question = |number| Question::Inspect {
            number,
            cell: cell.to_owned(),
            at,
        };
        match self.ask(question)? {
            Answer::Inspection(_, found) => found.map(|found| Inspection {
                markdown: text::tidy(&found.markdown),
                ..found
            }),
            _ => None,
        }
    }

    /// Names that begin with what is written, without asking.
    fn names(&self, cell: &str, at: usize) -> Completion {
        let start = text::word_start(cell, at);
        let prefix = &cell[start..at];
        let known = self.known();
        let scope = known.scope.names();
        let mut candidates: Vec<Candidate> = scope
            .map(|(name, kind)| Candidate {
                text: name.to_owned(),
                kind: kind.to_owned(),
                detail: String::new(),
            })
            .chain(text::names(cell, start).into_iter().map(|text| Candidate {
                text,
                kind: "instance".to_owned(),
                detail: String::new(),
            }))
            .chain(known.names.iter().cloned())
            .chain(KEYWORDS.iter().map(|word| Candidate {
                text: (*word).to_owned(),
                kind: "keyword".to_owned(),
                detail: String::new(),
            }))
            .filter(|candidate| candidate.text.starts_with(prefix))
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.text.clone()));
        Completion {
            start: cell[..start].chars().count(),
            end: cell[..at].chars().count(),
            candidates,
        }
    }

    fn state(&self) -> State {
        let Ok(mut running) = self.shared.process.try_lock() else {
            return State::Busy;
        };
        let broken = running.broken;
        match running.process.as_mut().map(Process::has_begun) {
            Some(true) => State::Ready,
            None if !broken && !is_off() => State::Ended,
            Some(false) | None => State::Busy,
        }
    }

    /// Asks the process, which is started if there is none; none if it does not answer.
    fn ask(&self, question: impl FnOnce(u64) -> Question) -> Option<Answer> {
        if is_off() || self.known().fetching {
            return None;
        }
        let mut running = self.running();
        running.last_used = Some(Instant::now());
        running.count += 1;
        let number = running.count;
        let (scope, version) = {
            let known = self.known();
            (known.scope.clone(), known.version)
        };
        let process = self.ensure(&mut running)?;
        let answer = process.ask(scope, version, question(number), number);
        match answer {
            Asked::Told(answer) => Some(answer),
            Asked::Late => None,
            Asked::Gone => {
                running.process = None;
                None
            }
        }
    }

    /// The process, started if there is none, and past warming up; none if that takes too long or cannot be.
    fn ensure<'a>(&self, running: &'a mut Running) -> Option<&'a mut Process> {
        if running.process.is_none() && !running.broken {
            let launch = self.known().launch.clone()?; // before there is a session
            running.process = Process::start(&launch);
            running.broken = running.process.is_none();
        }
        let process = running.process.as_mut()?;
        if !process.ready {
            match process.answers.recv_timeout(PATIENCE) {
                Ok(Answer::Ready(names)) => {
                    process.ready = true;
                    self.known().names = names.candidates;
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => running.process = None,
            }
        }
        running.process.as_mut()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        let lock = &self.shared.process;
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let lock = &self.shared.known;
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be expected of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It answers at once.
    Ready,
    /// It warms up or answers somebody else, or there can be none.
    Busy,
    /// There is none, but it can be started.
    Ended,
}

enum Asked {
    Told(Answer),
    Late,
    Gone,
}

impl Process {
    fn start(launch: &Launch) -> Option<Self> {
        let graph = Graph::new(&launch.prelude, &launch.toolchain)?;
        let program = std::env::current_exe().ok()?;
        let mut child = Command::new(program)
            .env(IS_ANALYST, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it has to say when it panics is for nobody.
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let (sender, answers) = unbounded();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(answer) = serde_json::from_str(&line) else {
                    return;
                };
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        let mut process = Self {
            child,
            stdin,
            answers,
            ready: false,
            version: None,
        };
        process.tell(&graph).ok()?;
        Some(process)
    }

    /// Whether it is past warming up.
    fn has_begun(&mut self) -> bool {
        self.ready || !self.answers.is_empty()
    }

    fn ask(&mut self, scope: Scope, version: u64, question: Question, number: u64) -> Asked {
        if self.version != Some(version) {
            if self.tell(&Question::Scope(scope)).is_err() {
                return Asked::Gone;
            }
            self.version = Some(version);
        }
        if self.tell(&question).is_err() {
            return Asked::Gone;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.answers.recv_deadline(deadline) {
                Ok(Answer::Completion(of, _) | Answer::Inspection(of, _)) if of != number => {}
                Ok(answer) => return Asked::Told(answer),
                Err(RecvTimeoutError::Timeout) => return Asked::Late,
                Err(RecvTimeoutError::Disconnected) => return Asked::Gone,
            }
        }
    }

    fn tell(&mut self, question: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.stdin.write_all(&line)?;
        self.stdin.flush()
    }
}

fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("analyst".to_owned());
    let _ = thread.spawn(work);
}

fn idle() -> Duration {
    let told = std::env::var(IDLE_VARIABLE).ok();
    let seconds = told.and_then(|text| text.parse().ok());
    seconds.map_or(IDLE, Duration::from_secs)
}

fn is_off() -> bool {
    std::env::var_os(SWITCH).is_some_and(|value| value == "off" || value == "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    #[test]
    fn the_watch_does_not_keep_the_process() {
        for _ in 0..20 {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            let mut child = command.spawn().expect("cat can be run");
            let id = Pid::from_raw(child.id() as i32);
            let analyst = Analyst::default();
            analyst.running().process = Some(Process {
                stdin: child.stdin.take().expect("a pipe"),
                child,
                answers: unbounded().1,
                ready: true,
                version: None,
            });
            // It looks all the time, so that it often holds the analyst when the last other handle goes.
            analyst.watch(Duration::from_nanos(4));
            std::thread::sleep(Duration::from_millis(2));
            assert!(
                kill(id, None).is_ok(),
                "nobody has used it, so it is not idle"
            );
            drop(analyst);
            let end = Instant::now() + Duration::from_secs(10);
            while kill(id, None).is_ok() {
                assert!(Instant::now() < end, "the process is still there");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
