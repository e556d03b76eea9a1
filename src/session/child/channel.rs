//! What the kernel tells the process that runs the cells, beside evcxr's commands: answers of the user, and messages
//! of a page's widgets.
//!
//! The process connects to a socket that only this user can reach, before it runs any code of a cell, and nobody
//! else learns of it. It goes one way, one JSON [`Message`] a line; what the process has to say stands among its
//! outputs.

use std::io::Write;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame::Message;

/// Tells the process where to connect; removed before a cell can see it.
const PLACE: &str = "ITD_CHANNEL";
/// The longest folder that still leaves room for the name of a socket.
const LONGEST_FOLDER: usize = 70;

/// The kernel's end. Clones are the same.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

struct Shared {
    folder: tempfile::TempDir,
    /// To the thread that writes to the process that connected last.
    to: Mutex<Option<Sender<Vec<u8>>>>,
}

impl Channel {
    /// Waits for processes to connect, in a folder of its own below `folder`.
    ///
    /// # Errors
    /// When no socket can be made there.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let place = match folder.as_os_str().len() < LONGEST_FOLDER {
            true => folder,
            false => Path::new("/tmp"),
        };
        let folder = tempfile::Builder::new().prefix("post-").tempdir_in(place)?;
        let listener = UnixListener::bind(socket(folder.path()))?;
        let channel = Self {
            shared: Arc::new(Shared {
                folder,
                to: Mutex::new(None),
            }),
        };
        let shared = Arc::downgrade(&channel.shared);
        std::thread::Builder::new()
            .name("post".to_owned())
            .spawn(move || {
                for process in listener.incoming() {
                    let (Ok(process), Some(shared)) = (process, shared.upgrade()) else {
                        return;
                    };
                    shared.connect(process);
                }
            })?;
        Ok(channel)
    }

    /// Has a process that is about to be started find the socket.
    pub(super) fn tell(&self, command: &mut std::process::Command) {
        command.env(PLACE, socket(self.shared.folder.path()));
    }

    /// Sends a message; whether there is a process that may get it.
    pub fn send(&self, message: &Message) -> bool {
        let Ok(mut line) = serde_json::to_vec(message) else {
            return false;
        };
        line.push(b'\n');
        let to = self.shared.to();
        to.as_ref().is_some_and(|to| to.send(line).is_ok())
    }
}

impl Shared {
    fn to(&self) -> MutexGuard<'_, Option<Sender<Vec<u8>>>> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes on a thread of its own: a process that has been stopped does not read.
    fn connect(&self, mut process: UnixStream) {
        let (sender, lines) = channel::<Vec<u8>>();
        *self.to() = Some(sender);
        std::thread::spawn(move || {
            for line in lines {
                if process.write_all(&line).is_err() {
                    return; // it is gone, and with it who would send
                }
            }
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Wakes the thread that waits for processes, so that it ends.
        let _ = UnixStream::connect(socket(self.folder.path()));
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// Connects this process, which is to run cells, to the kernel's end.
///
/// # Safety
///
/// It writes to the environment, so no other thread may read or write it meanwhile.
pub(super) unsafe fn connect() -> Option<RawFd> {
    let place = std::env::var_os(PLACE)?;
    // SAFETY: the caller promises it.
    unsafe { std::env::remove_var(PLACE) };
    match UnixStream::connect(place) {
        Ok(socket) => Some(socket.into_raw_fd()),
        Err(error) => {
            eprintln!("there is no input and there are no widgets: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    fn answer(id: u64) -> Message {
        Message::Answer {
            id,
            line: Ok("Ada".to_owned()),
        }
    }

    #[test]
    fn the_process_that_connected_last_gets_the_messages() {
        let folder = tempfile::tempdir().expect("a folder");
        let channel = Channel::open(folder.path()).expect("a socket");
        assert!(!channel.send(&answer(0)), "nobody is there");
        let place = socket(channel.shared.folder.path());
        for id in 1..3 {
            let process = UnixStream::connect(&place).expect("it listens");
            // Until the kernel's end has noticed.
            let before = id - 1;
            let mut lines = BufReader::new(process.try_clone().expect("a copy")).lines();
            process
                .set_read_timeout(Some(std::time::Duration::from_millis(50)))
                .expect("a socket");
            let line = loop {
                channel.send(&answer(id));
                if let Some(Ok(line)) = lines.next() {
                    break line;
                }
            };
            let read: Message = serde_json::from_str(&line).expect("JSON");
            assert_eq!(read, answer(id), "and not {before}");
        }
        let watch = Arc::downgrade(&channel.shared);
        drop(channel);
        assert!(watch.upgrade().is_none() && !place.exists());
    }
}
