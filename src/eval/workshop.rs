//! The folder of this process for everything that a session writes.

use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::Pid;

/// How such folders are called: this, the process's number, and something random.
const PREFIX: &str = "itd-";

/// The folder. evcxr finds its part of it through the environment, so it is made once, at the start of
/// `main`.
#[derive(Debug)]
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// Makes the folder and points evcxr to it.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn open() -> std::io::Result<Self> {
        remove_orphans();
        let mut place = std::env::temp_dir();
        if place.to_string_lossy().contains(char::is_whitespace) {
            place = PathBuf::from("/tmp"); // evcxr separates its messages by blanks
        }
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(place)?;
        let path = folder.path();
        for name in ["cell", "config", ".cargo", "library/core/src"] {
            std::fs::create_dir_all(path.join(name))?;
        }
        std::fs::write(
            path.join("config/evcxr.toml"),
            "[evcxr]\nopt_level = \"0\"\n",
        )?;
        // Crates that a user adds with `:dep` are compiled once and called often.
        std::fs::write(
            path.join(".cargo/config.toml"),
            "[profile.dev.package.\"*\"]\nopt-level = 3\n",
        )?;
        // Types come from the compiler here, so evcxr's analyzer need not read the standard library, which
        // takes it seconds, nor have rustup download its sources. An empty one keeps it from both.
        std::fs::write(path.join("library/core/src/lib.rs"), "")?;
        // SAFETY: main has started no thread yet.
        unsafe {
            std::env::set_var("RUST_SRC_PATH", path.join("library"));
            std::env::set_var("EVCXR_TMPDIR", path.join("cell"));
            std::env::set_var("EVCXR_CONFIG_DIR", path.join("config"));
        }
        Ok(Self { folder })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folder, though a thread may still hold it: the process is about to end.
    pub fn close(&self) {
        let _ = std::fs::remove_dir_all(self.path());
    }
}

/// Removes folders whose process has died without doing so.
fn remove_orphans() {
    for entry in std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse().ok());
        if let Some(pid) = pid
            && kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH)
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
