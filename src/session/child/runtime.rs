//! The process that loads the cells and runs them: evcxr's commands in, the end of each cell out.
//!
//! evcxr brings a loop of its own, which reads its commands from standard input. There a cell that asks for input,
//! or a program that a cell starts, would take the next command for its own. This one moves the commands out of
//! their reach first, and leaves a standard input in which there is nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::raw::c_void;

use libloading::Library;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::frame::{self, Frame};

/// What evcxr sends to have a cell run: this, the path of its shared object, and its function.
const LOAD_AND_RUN: &str = "LOAD_AND_RUN ";
/// What the prelude calls the function that takes the socket with the kernel's messages.
const CHANNEL: &[u8] = b"itd_cell_channel";
/// What it calls the function that says that a cell is over.
const OVER: &[u8] = b"itd_cell_over";

/// What a cell with statics that it shares with later cells has in it.
const STATICS: &[u8] = b"ITD_STATICS";

unsafe extern "C" {
    /// C's standard output.
    #[cfg_attr(target_os = "macos", link_name = "__stdoutp")]
    static mut stdout: *mut libc::FILE;
}

/// What C code prints comes line by line, as in a terminal, and so in its place among what Rust prints.
fn c_prints_lines() {
    // SAFETY: nothing has been printed yet, and libc keeps the buffer.
    unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IOLBF, 0) };
}

/// Runs cells until evcxr hangs up.
pub fn run() -> ! {
    c_prints_lines();
    let mut cells = Cells {
        variables: std::ptr::null_mut(),
        // SAFETY: the process has one thread; cells come later.
        channel: unsafe { super::channel::connect() },
    };
    let ended = commands().and_then(|commands| {
        for line in BufReader::new(commands).lines() {
            cells.obey(&line?).map_err(std::io::Error::other)?;
        }
        Ok(())
    });
    if let Err(error) = &ended {
        eprintln!("the process for cells cannot go on: {error}");
    }
    std::process::exit(if ended.is_ok() { 0 } else { 99 });
}

/// Takes standard input for the commands, which no other program inherits, and leaves an empty one.
fn commands() -> std::io::Result<File> {
    let above_standard = 3;
    let moved = fcntl(
        std::io::stdin().as_fd(),
        FcntlArg::F_DUPFD_CLOEXEC(above_standard),
    )?;
    // SAFETY: the descriptor was just made, and nobody else knows it.
    let commands = File::from(unsafe { OwnedFd::from_raw_fd(moved) });
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(commands)
}

struct Cells {
    /// evcxr's store, made by the first cell that needs it and handed on from cell to cell.
    variables: *mut c_void,
    /// For the prelude, once it is there.
    channel: Option<RawFd>,
}

impl Cells {
    fn obey(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line
            .strip_prefix(LOAD_AND_RUN)
            .map(|rest| rest.split(' ').collect())
            .unwrap_or_default();
        let [path, function] = words[..] else {
            return Err(format!("evcxr sent `{line}`, which is no command"));
        };
        self.load_and_run(path, function)
            .map_err(|error| error.to_string())
    }

    fn load_and_run(&mut self, path: &str, function: &str) -> Result<(), libloading::Error> {
        // SAFETY: evcxr made the shared object from a cell; what a cell does is the user's business.
        let cell = unsafe { Library::new(path) }?;
        // SAFETY: the symbol is only looked for.
        if unsafe { cell.get::<*const u8>(STATICS) }.is_ok() {
            share(path);
        }
        // It stays loaded; the file would only fill the disk.
        let _ = std::fs::remove_file(path);
        // SAFETY: these are the types of the prelude's functions, and of each that evcxr makes.
        unsafe {
            if let Ok(listen) = cell.get::<extern "C" fn(RawFd)>(CHANNEL)
                && let Some(channel) = self.channel.take()
            {
                listen(channel);
            }
            let run = cell.get::<extern "C" fn(*mut c_void) -> *mut c_void>(function.as_bytes())?;
            self.variables = run(self.variables);
            // What C code has printed without a line end is this cell's.
            libc::fflush(std::ptr::null_mut());
            match cell.get::<extern "C" fn()>(OVER) {
                Ok(over) => over(),
                // A cell that does not use the prelude prints nothing either.
                Err(_) => complete(),
            }
        }
        // Never unloaded: variables and threads go on to use its code.
        std::mem::forget(cell);
        Ok(())
    }
}

/// Says that a cell is over.
fn complete() {
    let mut out = std::io::stdout().lock();
    let _ = out
        .write_all(&frame::encode(&Frame::Complete))
        .and_then(|()| out.flush());
}

/// Lets the loader find a loaded cell's statics when it loads later ones: of several with one name it takes the first.
fn share(path: &str) {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    #[cfg(target_os = "linux")]
    const ALREADY_LOADED: i32 = 4; // RTLD_NOLOAD
    #[cfg(not(target_os = "linux"))]
    const ALREADY_LOADED: i32 = 16;
    // SAFETY: it is loaded already, so nothing in it is run.
    let again = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL | ALREADY_LOADED) };
    std::mem::forget(again);
}
