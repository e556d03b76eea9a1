//! Interrupts: ask first, end by force when asked a second time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evcxr::CommandContext;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How long a cell may take to notice an interrupt before its user is told that it does not.
const GRACE: Duration = Duration::from_secs(4);
/// How long after a second interrupt the process is ended. What listens has returned by then: ended in the moment in
/// which it returns, it would take the variables with it, and only the next cell would learn of it.
const LAST_CALL: Duration = Duration::from_millis(300);

/// Where a session is with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Idle,
    Building,
    Running,
}

#[derive(Debug)]
struct Interruption {
    phase: Phase,
    /// How many cells have begun.
    cells: u64,
    /// How many messages of pages have begun to be handled.
    messages: u64,
    /// Interrupts of this cell; one that came before it began is the first.
    asked: u32,
    /// When the running cell was asked, until somebody has been told that it does not listen.
    since: Option<Instant>,
    heard: bool,
    killed: bool,
    /// A message of the page is being handled, and how often that was interrupted.
    handling: Option<u32>,
    /// What a cell's own commands have started, such as `!sleep 10`.
    command: Option<Pid>,
}

/// Interrupts the cell that runs, from any thread.
#[derive(Debug, Clone)]
pub struct Interrupter {
    process: Arc<Mutex<std::process::Child>>,
    state: Arc<Mutex<Interruption>>,
}

impl Interrupter {
    pub(super) fn new(context: &CommandContext) -> Self {
        Self {
            process: context.process_handle(),
            state: Arc::new(Mutex::new(Interruption {
                phase: Phase::Idle,
                cells: 0,
                messages: 0,
                asked: 0,
                since: None,
                heard: false,
                killed: false,
                handling: None,
                command: None,
            })),
        }
    }

    /// Asks the cell to stop: a build is ended, which loses nothing, and code that listens returns with what it
    /// has. A second call ends the process of code that does not listen. What a page's message has called for is stopped
    /// in the same way. Without any of it nothing happens.
    pub fn interrupt(&self) {
        let mut state = self.state();
        let no_cell = state.phase != Phase::Running;
        if let Some(asked) = state.handling.as_mut().filter(|_| no_cell) {
            *asked += 1;
            let (asked, message) = (*asked, state.messages);
            let still = move |state: &mut Interruption| {
                state.handling.is_some() && state.messages == message
            };
            match asked {
                1 => drop(killpg(self.pid(), Signal::SIGINT)),
                // Of which the supervisor tells; a kill ends it as well.
                2 => self.end_soon(Signal::SIGTERM, still),
                _ => self.end_soon(Signal::SIGKILL, still),
            }
        }
        if state.phase == Phase::Idle {
            return;
        }
        state.asked += 1;
        match (state.phase, state.asked) {
            (Phase::Running, 1) => self.ask(&mut state),
            (Phase::Running, _) => {
                let cell = state.cells;
                self.end_soon(Signal::SIGKILL, move |state| {
                    let runs = state.phase == Phase::Running && state.cells == cell;
                    state.killed |= runs;
                    runs
                });
            }
            _ => {
                if let Some(command) = state.command {
                    // Some do not listen, as what a shell has in its background.
                    let signal = match state.asked {
                        1 => Signal::SIGINT,
                        _ => Signal::SIGKILL,
                    };
                    let _ = killpg(command, signal);
                }
                end_builds();
            }
        }
    }

    /// For a cell that is about to begin: [`Self::interrupt`], but remembered until it does.
    pub fn interrupt_next(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle && state.handling.is_none() {
            state.asked += 1;
            return;
        }
        drop(state);
        self.interrupt();
    }

    /// No cell waits any more for which an interrupt could be remembered.
    pub fn forget(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            state.asked = 0;
        }
    }

    /// Ends the process for cells, and what a cell's command has started.
    pub fn end(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        if let Some(command) = self.state().command {
            let _ = killpg(command, Signal::SIGKILL);
        }
        end_builds();
    }

    /// The whole group, so that a program for which the cell waits stops as well.
    fn ask(&self, state: &mut Interruption) {
        let _ = killpg(self.pid(), Signal::SIGINT);
        state.since = Some(Instant::now());
    }

    /// Ends the process unless what is to end is over by itself before.
    fn end_soon(&self, signal: Signal, still: impl Fn(&mut Interruption) -> bool + Send + 'static) {
        let own = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(LAST_CALL);
            let mut state = own.state();
            if still(&mut state) {
                let _ = killpg(own.pid(), signal);
            }
        });
    }

    fn pid(&self) -> Pid {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Pid::from_raw(process.id() as i32)
    }

    fn state(&self) -> MutexGuard<'_, Interruption> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cell begins; an interrupt that came while it was waiting is for it.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.phase = Phase::Building;
        state.cells += 1;
        (state.since, state.heard, state.killed) = (None, false, false);
    }

    /// The cell is over, and so is every interrupt of it.
    pub(super) fn end_cell(&self) {
        let mut state = self.state();
        state.phase = Phase::Idle;
        (state.asked, state.since, state.command) = (0, None, None);
    }

    /// The cell is built, or built anew.
    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        // An interrupt that came too late for the build is for the cell.
        if phase == Phase::Running && state.asked > 0 && state.since.is_none() {
            self.ask(&mut state);
        }
    }

    /// A command of the cell runs, in a group of its own, or is over.
    pub(super) fn command(&self, pid: Option<Pid>) {
        let mut state = self.state();
        state.command = pid;
        if pid.is_some() {
            // A line before it may have had code run, which is over.
            state.phase = Phase::Building;
        }
        if let (Some(pid), true) = (pid, state.asked > 0) {
            let _ = killpg(pid, Signal::SIGINT);
        }
    }

    /// A message of the page is being handled, or has been.
    pub(super) fn handling(&self, begins: bool) {
        let mut state = self.state();
        state.handling = begins.then_some(0);
        state.messages += u64::from(begins);
    }

    /// Whether something runs that is no cell.
    pub fn is_handling(&self) -> bool {
        self.state().handling.is_some()
    }

    pub(super) fn heard(&self) {
        self.state().heard = true;
    }

    /// Whether the running cell has been asked for long and does not listen; true once.
    pub(super) fn is_ignored(&self) -> bool {
        let mut state = self.state();
        let ignored = state.phase == Phase::Running
            && !state.heard
            && state.since.is_some_and(|since| since.elapsed() > GRACE);
        if ignored {
            state.since = None;
        }
        ignored
    }

    /// Ends a build that had not begun when the interrupt came.
    pub(super) fn end_late_build(&self) {
        let state = self.state();
        let late = state.phase == Phase::Building && state.asked > 0;
        drop(state);
        if late {
            end_builds();
        }
    }

    /// Whether the user has asked the cell to stop.
    pub fn was_asked(&self) -> bool {
        self.state().asked > 0
    }

    pub(super) fn was_killed(&self) -> bool {
        self.state().killed
    }
}

/// Ends the builds that evcxr has started: cargo, and all that it has started. evcxr hides them from us, so they are
/// found by their parent.
#[cfg(target_os = "linux")]
fn end_builds() {
    let me = std::process::id();
    let all: Vec<_> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(parent_and_name)
        .collect();
    let mut doomed: Vec<u32> = all
        .iter()
        .filter(|(_, parent, name)| *parent == me && name == "cargo")
        .map(|(pid, ..)| *pid)
        .collect();
    let mut next = 0;
    while let Some(pid) = doomed.get(next).copied() {
        let children = all.iter().filter(|(_, parent, _)| *parent == pid);
        doomed.extend(children.map(|(child, ..)| *child));
        next += 1;
    }
    for pid in doomed {
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGTERM);
    }
}

/// A process, the one that started it, and what it is called: `7 (cargo) S 3 …`.
#[cfg(target_os = "linux")]
fn parent_and_name(pid: u32) -> Option<(u32, u32, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let parent = after.split_whitespace().nth(1)?.parse().ok()?;
    Some((pid, parent, name))
}

/// Elsewhere a build runs to its end before the interrupt is heard.
#[cfg(not(target_os = "linux"))]
fn end_builds() {}
