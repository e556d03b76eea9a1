//! A process that works on a case when it is its turn.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use serde::Deserialize;

use super::case::{Case, Row};
use crate::error::{Error, Result};

/// PyTorch's side.
const TORCH: &str = include_str!("twin.py");

/// Who works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// This program.
    Ours,
    /// The Python of that path, with PyTorch and pictures in a layout.
    Torch(PathBuf, Layout),
}

/// How PyTorch keeps pictures in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Contiguous,
    ChannelsLast,
}

impl Side {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours => "itd",
            Self::Torch(_, Layout::Contiguous) => "PyTorch",
            Self::Torch(_, Layout::ChannelsLast) => "PyTorch, channels_last",
        }
    }

    fn command(&self, case: &Case, threads: usize) -> Result<Command> {
        let threads = threads.to_string();
        let mut command = match self {
            Self::Ours => {
                let program = std::env::current_exe().map_err(|cause| Error::File {
                    path: "this program".into(),
                    cause: cause.into(),
                })?;
                let mut command = Command::new(program);
                command.arg("worker").arg(case.words);
                command
            }
            Self::Torch(python, layout) => {
                let layout = match layout {
                    Layout::Contiguous => "contiguous",
                    Layout::ChannelsLast => "channels_last",
                };
                let arguments = ["-c", TORCH, &threads, layout, case.words];
                let mut command = Command::new(python);
                command.args(arguments.map(OsString::from));
                command
            }
        };
        for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(name, &threads);
        }
        Ok(command)
    }
}

/// What a process says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Ready {
    pub version: String,
    /// Bytes that it has taken before it knows the case.
    pub base: Option<u64>,
}

/// A process with a case.
pub(super) struct Contender {
    pub side: Side,
    pub ready: Ready,
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it says on its standard error.
    words: Option<JoinHandle<String>>,
}

impl Contender {
    /// Starts the process and waits until it is ready.
    pub fn start(side: Side, case: &Case, threads: usize) -> Result<Self> {
        let mut command = side.command(case, threads)?;
        let program = PathBuf::from(command.get_program());
        let failed = |cause: std::io::Error| Error::File {
            path: program.clone(),
            cause: cause.into(),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        // Nobody shall wait for a full pipe.
        let words = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let mut contender = Self {
            side,
            ready: Ready::default(),
            child,
            input,
            lines: BufReader::new(output).lines(),
            words,
        };
        let line = contender.next()?;
        let told = line.strip_prefix("ready ").unwrap_or_default();
        contender.ready = match serde_json::from_str(told) {
            Ok(ready) => ready,
            Err(_) => return Err(contender.silent(&line)),
        };
        Ok(contender)
    }

    /// Gets ready for a row.
    pub fn row(&mut self, row: Row) -> Result<()> {
        self.ask(&format!("row {}", row.name())).map(drop)
    }

    /// One try, in milliseconds.
    pub fn run(&mut self) -> Result<f64> {
        self.number("run")
    }

    /// Peak of the row's memory, in bytes, where the system counts.
    pub fn peak(&mut self) -> Result<Option<u64>> {
        Ok(self.ask("peak")?.parse().ok())
    }

    /// Writes what the other side needs; gives the number of parameters.
    pub fn exchange(&mut self, path: &Path) -> Result<f64> {
        self.number(&format!("exchange {}", path.display()))
    }

    /// Computes the same, and gives the largest deviation of the result and of a gradient, each in parts of the
    /// largest value.
    pub fn check(&mut self, path: &Path) -> Result<(f64, f64)> {
        let line = self.ask(&format!("check {}", path.display()))?;
        let mut numbers = line.split(' ').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(result)), Some(Ok(gradient))) => Ok((result, gradient)),
            _ => Err(self.silent(&line)),
        }
    }

    fn number(&mut self, line: &str) -> Result<f64> {
        let answer = self.ask(line)?;
        answer.parse().map_err(|_| self.silent(&answer))
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        let told = match &mut self.input {
            Some(input) => writeln!(input, "{line}").and_then(|()| input.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        match told {
            Ok(()) => self.next(),
            Err(_) => Err(self.silent("")),
        }
    }

    fn next(&mut self) -> Result<String> {
        match self.lines.next() {
            Some(Ok(line)) if !line.starts_with("error ") => Ok(line),
            Some(Ok(line)) => Err(self.silent(&line)),
            _ => Err(self.silent("")),
        }
    }

    /// The error of a process that did not answer as it should.
    fn silent(&mut self, line: &str) -> Error {
        self.stop();
        let words = self.words.take().and_then(|words| words.join().ok());
        let words = words.unwrap_or_default();
        let last: Vec<&str> = words.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Error::Missing {
            what: format!(
                "{} gave no answer: {line} {}",
                self.side.name(),
                last.join("\n")
            ),
            next: "leave PyTorch away with --no-torch, or this case with --only",
        }
    }

    fn stop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.stop();
    }
}
