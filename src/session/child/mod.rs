//! The process that runs the cells.
//!
//! ```text
//! kernel ──evcxr's commands──────────────────────────────▶ runtime (loads the cells and runs them)
//!    ▲                                                        │ fd 1, fd 2
//!    └──events: stderr, one JSON a line──  supervisor ◀───────┘
//!    └──evcxr's control lines: stdout────
//! kernel ──answers, widgets' messages: a socket──────────▶ runtime
//! ```
//!
//! evcxr starts the supervisor and takes it for its child. The supervisor starts the runtime and outlives
//! it: whatever the runtime wrote before it crashed still arrives, in order, and how it ended is known.

mod channel;
pub mod event;
mod runtime;
pub mod split;
mod supervisor;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

pub use channel::Channel;

/// Set by evcxr in the process that it starts for running cells.
const IS_RUNTIME: &str = "EVCXR_IS_RUNTIME";
/// Set by the supervisor in the process that it starts.
const IS_CELL: &str = "ITD_CELL";

/// Where the system looks for libraries before its own places.
const LIBRARIES: &str = if cfg!(target_os = "macos") {
    "DYLD_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The command that evcxr starts (and starts again after a crash). `libdir` holds the shared std.
pub fn command(directory: &Path, libdir: &Path, channel: &Channel) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // A group of its own: Ctrl-C in a terminal goes to the kernel, which decides; and a kill takes along
    // whatever the cells have started.
    command
        .current_dir(directory)
        .process_group(0)
        .env_remove("RUST_SRC_PATH");
    channel.tell(&mut command);
    // The compiler notes in a cell where std is, relative to the cell, and evcxr moves the cell.
    let before = std::env::var_os(LIBRARIES).unwrap_or_default();
    let places = std::env::split_paths(&before).filter(|place| !place.as_os_str().is_empty());
    let places = places.chain([libdir.to_owned()]);
    if let Ok(places) = std::env::join_paths(places) {
        command.env(LIBRARIES, places);
    }
    // Without a number, candle counts the cores anew at every matrix product, by reading files.
    if std::env::var_os("RAYON_NUM_THREADS").is_none()
        && let Ok(cores) = std::thread::available_parallelism()
    {
        command.env("RAYON_NUM_THREADS", cores.to_string());
    }
    Ok(command)
}

/// Turns this process into a supervisor or a runtime if it was started as one; otherwise returns.
pub fn hook() {
    if std::env::var_os(IS_RUNTIME).is_none() {
        return;
    }
    die_with_parent();
    if std::env::var_os(IS_CELL).is_none() {
        supervisor::run();
    }
    // Between cells nobody wants to be interrupted; the prelude installs its own handler.
    let ignore = nix::sys::signal::SigHandler::SigIgn;
    // SAFETY: sets a signal's disposition before any thread is started.
    let _ = unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGINT, ignore) };
    runtime::run();
}

/// Asks the system to end this process when the one that started it is gone.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    #[cfg(not(target_os = "linux"))]
    std::thread::spawn(|| {
        let parent = nix::unistd::getppid();
        while nix::unistd::getppid() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        std::process::exit(1);
    });
}
