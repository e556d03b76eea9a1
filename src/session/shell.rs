//! `!command` and `%%bash` in a cell: a program of the system's, whose output is shown while it runs.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use nix::unistd::Pid;

use super::child::split::unfinished_char;
use super::interrupt::Interrupter;
use crate::reply::{Failure, Output};

/// How long the output of a finished command is waited for: what it has left running may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Text for a shell.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// The shell.
    pub program: &'a str,
    pub text: &'a str,
    /// What it is called in messages.
    pub name: &'a str,
    /// Variables that it has besides those of this process.
    pub environment: &'a BTreeMap<String, String>,
}

/// Runs a script in `folder`, until it ends or is interrupted.
///
/// # Errors
/// A failure named `Command` when it cannot be started or fails, `Interrupted` when the user stopped it.
pub fn run(
    script: Script<'_>,
    folder: &Path,
    interrupter: &Interrupter,
    sink: &(dyn Fn(Output) + Sync),
) -> Result<(), Failure> {
    let name = script.name;
    let failed = |what: String| Failure::new("Command", format!("`{name}` {what}"));
    let mut child = Command::new(script.program)
        .args(["-c", script.text])
        .envs(script.environment)
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    interrupter.command(Some(Pid::from_raw(child.id() as i32)));
    let (texts, shown) = unbounded();
    if let Some(out) = child.stdout.take() {
        read(out, texts.clone(), Output::Stdout);
    }
    if let Some(err) = child.stderr.take() {
        read(err, texts, Output::Stderr);
    }
    let mut ended = None;
    loop {
        match shown.recv_timeout(LAST_WORDS) {
            Ok(output) => sink(output),
            Err(error) if error.is_disconnected() => break,
            Err(_) => {}
        }
        if ended.is_none() && matches!(child.try_wait(), Ok(Some(_))) {
            ended = Some(Instant::now());
        }
        // What is still there was written by it; what comes later is from what it has left running.
        let over = ended.is_some_and(|at: Instant| at.elapsed() > LAST_WORDS);
        if over && (shown.is_empty() || interrupter.was_asked()) {
            break;
        }
    }
    let status = child.wait();
    interrupter.command(None);
    match status {
        _ if interrupter.was_asked() => {
            Err(Failure::new("Interrupted", format!("`{name}` was stopped")))
        }
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("failed ({status})"))),
        Err(error) => Err(failed(format!("cannot be waited for: {error}"))),
    }
}

/// Passes on what comes, in whole characters.
fn read(
    mut from: impl Read + Send + 'static,
    texts: Sender<Output>,
    output: impl Fn(String) -> Output + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut held: Vec<u8> = Vec::new();
        let mut chunk = [0; 1 << 14];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            held.extend_from_slice(&chunk[..count]);
            let whole: Vec<u8> = held.drain(..held.len() - unfinished_char(&held)).collect();
            let text = String::from_utf8_lossy(&whole).into_owned();
            if texts.send(output(text)).is_err() {
                return;
            }
        }
        if !held.is_empty() {
            let _ = texts.send(output(String::from_utf8_lossy(&held).into_owned()));
        }
    });
}
