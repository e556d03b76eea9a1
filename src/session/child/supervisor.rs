//! Starts the runtime, listens to both of its outputs, and tells the kernel what it hears.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::event::Event;
use super::split::{Part, Splitter, unfinished_char};
use crate::frame::HUSH;

/// How deep the stack of a cell may be, in bytes, if the system allows it.
const STACK: u64 = 256 << 20;
/// How long text may be held back that could be the start of something else, in milliseconds.
const PATIENCE: u16 = 30;
/// How often the runtime is looked after while its pipes are busy, and how long they are still listened to when it
/// is gone: a program that a cell has started may hold them open and write to them without end.
const LOOK_AFTER: Duration = Duration::from_millis(100);
/// Most that is passed on, in bytes per second, and how much may come at once. The queues from here to a
/// front end have no limit, so a cell that prints without end must wait here, in its own `print!`.
const PACE: f64 = 16e6;
const AT_ONCE: f64 = 4e6;

/// Runs the runtime to its end and leaves as it did.
pub fn run() -> ! {
    let status = supervise().unwrap_or_else(|error| {
        tell(&Event::Stderr(format!(
            "the process for cells cannot be run: {error}\n"
        )));
        ExitStatus::from_raw(1 << 8)
    });
    tell(&Event::Exited {
        code: status.code(),
        signal: status.signal(),
    });
    end_what_cells_have_started();
    std::process::exit(status.code().unwrap_or(1));
}

/// Ends the programs that cells have started and that are still in this process's group.
fn end_what_cells_have_started() {
    use nix::sys::signal::{SigHandler, Signal, killpg, signal};
    // SAFETY: to ignore a signal runs no code.
    if unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.is_ok() {
        let _ = killpg(nix::unistd::getpgrp(), Signal::SIGTERM);
    }
}

fn supervise() -> std::io::Result<ExitStatus> {
    // An interrupt goes to the whole group. It is meant for the cell and what the cell has started, not for this
    // process; a handler, unlike a signal that is ignored, is not handed on to the runtime.
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default())?;
    let _ = deepen_the_stack();
    let mut runtime = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(super::IS_CELL, "1")
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // The same for an end by force of what a page's widgets have called for.
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::default())?;
    listen(&mut runtime)?;
    runtime.wait()
}

/// Makes room for what cells put on their stack: they are not optimised, so that each call takes more of it than in a
/// release build, and variables that are large arrays pass through it.
fn deepen_the_stack() -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_STACK)?;
    setrlimit(Resource::RLIMIT_STACK, soft.max(STACK).min(hard), hard)
}

fn listen(runtime: &mut Child) -> std::io::Result<()> {
    let (Some(mut out), Some(mut err)) = (runtime.stdout.take(), runtime.stderr.take()) else {
        return Ok(());
    };
    for fd in [out.as_fd(), err.as_fd()] {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let mut splitter = Splitter::default();
    let mut errors = Errors::default();
    let mut pace = Pace::default();
    let (mut out_open, mut err_open) = (true, true);
    let (mut looked, mut gone) = (Instant::now(), None::<Instant>);
    while (out_open || err_open) && gone.is_none_or(|since| since.elapsed() < LOOK_AFTER) {
        if looked.elapsed() > LOOK_AFTER {
            looked = Instant::now();
            if gone.is_none() && runtime.try_wait()?.is_some() {
                gone = Some(looked);
            }
        }
        let mut fds = Vec::new();
        if err_open {
            fds.push(PollFd::new(err.as_fd(), PollFlags::POLLIN));
        }
        if out_open {
            fds.push(PollFd::new(out.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::from(PATIENCE)) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => {
                splitter.rest().into_iter().for_each(pass_on);
                errors.rest();
                // A process that a cell has started may hold the pipes open for longer than the runtime lives.
                if runtime.try_wait()?.is_some() {
                    break;
                }
                continue;
            }
            Ok(_) => {}
        }
        err_open = err_open && errors.read(&mut err, &mut pace)?;
        if out_open {
            let mut bytes = Vec::new();
            out_open = read_some(&mut out, &mut bytes, &mut pace)?;
            for part in splitter.feed(&bytes) {
                if part.is_end() {
                    // What was written to standard error before the cell ended is in the pipe by now.
                    err_open = err_open && errors.read(&mut err, &mut pace)?;
                    errors.rest();
                    tell(&Event::Done);
                }
                pass_on(part);
            }
        }
    }
    splitter.rest().into_iter().for_each(pass_on);
    errors.rest();
    Ok(())
}

/// Standard error: text, but for the lines that say nothing.
#[derive(Default)]
struct Errors {
    held: Vec<u8>,
}

impl Errors {
    /// Reads what is there; false when the pipe is closed.
    fn read(&mut self, err: &mut impl Read, pace: &mut Pace) -> std::io::Result<bool> {
        let open = read_some(err, &mut self.held, pace)?;
        let hush = format!("{HUSH}\n");
        while let Some(at) = self
            .held
            .windows(hush.len())
            .position(|window| window == hush.as_bytes())
        {
            self.held.drain(at..at + hush.len());
        }
        let longest = self.held.len().min(hush.len() - 1);
        let keep = (1..=longest)
            .rev()
            .find(|n| self.held.ends_with(&hush.as_bytes()[..*n]));
        self.tell_all_but(keep.unwrap_or(0).max(unfinished_char(&self.held)));
        Ok(open)
    }

    fn rest(&mut self) {
        self.tell_all_but(0);
    }

    fn tell_all_but(&mut self, keep: usize) {
        let text: Vec<u8> = self.held.drain(..self.held.len() - keep).collect();
        if !text.is_empty() {
            tell(&Event::Stderr(String::from_utf8_lossy(&text).into_owned()));
        }
    }
}

/// Holds back what comes faster than [`PACE`].
struct Pace {
    /// Bytes that may pass before the next wait.
    credit: f64,
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            credit: AT_ONCE,
            since: Instant::now(),
        }
    }
}

impl Pace {
    fn spend(&mut self, bytes: usize) {
        let earned = self.since.elapsed().as_secs_f64() * PACE;
        self.since = Instant::now();
        self.credit = (self.credit + earned).min(AT_ONCE) - bytes as f64;
        if self.credit < 0.0 {
            std::thread::sleep(Duration::from_secs_f64(-self.credit / PACE));
        }
    }
}

/// Reads what is there without waiting; false when the other end is closed.
fn read_some(from: &mut impl Read, into: &mut Vec<u8>, pace: &mut Pace) -> std::io::Result<bool> {
    let mut chunk = [0; 1 << 16];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                pace.spend(count);
                into.extend_from_slice(&chunk[..count]);
                // Do not let one endless stream starve the other.
                if count < chunk.len() || into.len() > 1 << 20 {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn pass_on(part: Part) {
    match part {
        Part::Event(event) => tell(&event),
        Part::Control(line) => {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

fn tell(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{line}").and_then(|()| err.flush());
    }
}
