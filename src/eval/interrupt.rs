//! Interrupts: ask first, end by force when nobody listens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evcxr::CommandContext;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How long a cell may take to notice an interrupt before it is stopped by force.
const GRACE: Duration = Duration::from_secs(4);
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
    /// Counts cells, so that a timer of an earlier one does no harm.
    cell: u64,
    asked: u32,
    heard: bool,
    killed: bool,
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
                cell: 0,
                asked: 0,
                heard: false,
                killed: false,
            })),
        }
    }

    /// Asks the cell to stop. A cell that listens returns with what it has; a second call, or no sign of
    /// listening within a few seconds, ends its process. Without a running cell nothing happens.
    pub fn interrupt(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            return;
        }
        state.asked += 1;
        if state.phase == Phase::Running {
            match state.asked {
                1 => self.ask(state.cell),
                _ => self.kill(&mut state),
            }
        }
    }

    /// Ends the process for cells.
    pub fn end(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn ask(&self, cell: u64) {
        let _ = kill(self.pid(), Signal::SIGINT);
        let this = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(GRACE);
            let mut state = this.state();
            if state.cell == cell && state.phase == Phase::Running && !state.heard {
                this.kill(&mut state);
            }
        });
    }

    fn kill(&self, state: &mut Interruption) {
        state.killed = true;
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn pid(&self) -> Pid {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Pid::from_raw(process.id() as i32)
    }

    fn state(&self) -> MutexGuard<'_, Interruption> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.state();
        if phase == Phase::Building {
            *state = Interruption {
                phase,
                cell: state.cell + 1,
                asked: 0,
                heard: false,
                killed: false,
            };
            return;
        }
        state.phase = phase;
        // An interrupt that came while the cell was being built is for the cell.
        if phase == Phase::Running && state.asked > 0 {
            self.ask(state.cell);
        }
    }

    pub(super) fn heard(&self) {
        self.state().heard = true;
    }

    pub(super) fn was_killed(&self) -> bool {
        self.state().killed
    }
}
