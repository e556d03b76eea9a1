//! The folder of this process for everything that a session writes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How such folders are called: this, the process's number, and something random.
const PREFIX: &str = "itd-";
/// The file in it that its process holds a lock on for as long as it lives. The process's number would not do: it may
/// be one of another machine or container that uses the same folder.
const LOCK: &str = "lock";
/// How long a folder may be without that file, between its making and the lock's.
const YOUNG: Duration = Duration::from_secs(3600);

/// The folder. evcxr finds its part of it through the environment, so it is made once, at the start of
/// `main`.
#[derive(Debug)]
pub struct Workshop {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Workshop {
    /// Makes the folder and points evcxr to it.
    ///
    /// # Errors
    /// When no folder can be made.
    ///
    /// # Safety
    ///
    /// It writes to the environment, so no other thread may read or write it meanwhile.
    pub unsafe fn open() -> std::io::Result<Self> {
        let mut place = std::env::temp_dir();
        if place.to_string_lossy().contains(char::is_whitespace) {
            place = PathBuf::from("/tmp"); // evcxr separates its messages by blanks
        }
        remove_orphans(&place);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(place)?;
        let path = folder.path();
        let lock = File::create(path.join(LOCK))?;
        lock.try_lock().map_err(std::io::Error::other)?;
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
        // SAFETY: the caller promises it.
        unsafe {
            std::env::set_var("RUST_SRC_PATH", path.join("library"));
            std::env::set_var("EVCXR_TMPDIR", path.join("cell"));
            std::env::set_var("EVCXR_CONFIG_DIR", path.join("config"));
        }
        Ok(Self {
            folder,
            _lock: lock,
        })
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
fn remove_orphans(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let numbered = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(pid, _)| pid.parse::<u32>().is_ok());
        let orphan = || match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(_) => entry
                .metadata()
                .and_then(|about| about.modified())
                .is_ok_and(|made| made.elapsed().is_ok_and(|age| age > YOUNG)),
        };
        if numbered && orphan() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_nobody_holds_are_removed() -> std::io::Result<()> {
        let place = tempfile::tempdir()?;
        // A number that no process here has, as one of another container or machine.
        let make = |name: &str| -> std::io::Result<PathBuf> {
            let folder = place.path().join(name);
            std::fs::create_dir(&folder)?;
            Ok(folder)
        };
        let held = make("itd-4194999-held")?;
        let lock = File::create(held.join(LOCK))?;
        lock.try_lock().map_err(std::io::Error::other)?;
        let left = make("itd-4194999-left")?;
        File::create(left.join(LOCK))?;
        let young = make("itd-4194999-young")?;
        let other = make("itd-figures-1")?;
        remove_orphans(place.path());
        assert!(held.exists() && young.exists() && other.exists() && !left.exists());
        drop(lock);
        remove_orphans(place.path());
        assert!(!held.exists());
        Ok(())
    }
}
