//! The folder of a run: its settings and its states.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::checkpoint::State;
use crate::error::{Error, Place, Result};
use crate::file;

/// States that are kept.
const KEPT: usize = 3;
/// The most differences that an error lists.
const LISTED: usize = 6;

/// A state, and after how many steps it was.
type Saved = (usize, State);

/// A run folder that no other process writes to.
#[derive(Debug)]
pub(super) struct RunFolder {
    pub(super) path: PathBuf,
    /// Released with the process, however that ends.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder, or opens it if its run was made with the same settings.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with what differs; [`Error::File`] when something else trains there, or the system refuses.
    pub(super) fn open(path: &Path, made: &Value) -> Result<Self> {
        let lock_path = path.join(".lock");
        let mut lock = fs::create_dir_all(path)
            .and_then(|()| File::options().create(true).append(true).open(&lock_path))
            .map_err(|cause| failed(path, cause))?;
        let own = std::process::id().to_string();
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let holder = fs::read_to_string(&lock_path).unwrap_or_default();
                let text = match holder.trim() == own {
                    true => {
                        "a `Trainer` of this session has the folder; `finish` it or `drop` it, or use another folder"
                    }
                    false => "another process trains in this folder; wait for it, or use another one",
                };
                failed(path, io::Error::other(text))
            }
            TryLockError::Error(cause) => failed(path, cause),
        })?;
        lock.set_len(0)
            .and_then(|()| lock.write_all(own.as_bytes()))
            .map_err(|cause| failed(path, cause))?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.clear()?;
        folder.compare(made)?;
        Ok(folder)
    }

    /// Removes what a process left unfinished.
    fn clear(&self) -> Result<()> {
        let ours = ["checkpoint-", "config.json.", "metrics.csv."];
        for name in self.names()? {
            if name.ends_with(".part") && ours.iter().any(|start| name.starts_with(start)) {
                let path = self.path.join(name);
                fs::remove_file(&path).map_err(|cause| failed(&path, cause))?;
            }
        }
        Ok(())
    }

    /// Writes the settings, or holds those that are there against them.
    fn compare(&self, made: &Value) -> Result<()> {
        let path = self.path.join("config.json");
        let old = match fs::read(&path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.describe(made),
            Err(cause) => return Err(failed(&path, cause)),
        };
        let old: Value = serde_json::from_slice(&old).map_err(|error| Error::Format {
            path,
            at: Place::File,
            what: "the settings of the run",
            got: error.to_string(),
            need: "JSON as it was written; use another folder, or give this one its file back"
                .into(),
        })?;
        // Both went through text, so that equal numbers are equal.
        let new: Value = serde_json::from_str(&made.to_string()).unwrap_or_default();
        let mut apart = Vec::new();
        differences("", &old["run"], &new, &mut apart);
        if apart.is_empty() {
            return Ok(());
        }
        let more = apart.len().saturating_sub(LISTED);
        let side = |pick: fn(&(String, Value, Value)) -> &Value| {
            let listed = apart.iter().take(LISTED);
            let mut texts: Vec<String> = listed.map(|d| format!("{} {}", d.0, pick(d))).collect();
            if more > 0 {
                texts.push(format!("{more} more"));
            }
            texts.join(", ")
        };
        Err(Error::Mismatch {
            what: "the run in the folder and this call",
            left: side(|d| &d.1),
            right: side(|d| &d.2),
            next: "make the same call to go on with the run, or give another folder to `run`",
        })
    }

    fn describe(&self, made: &Value) -> Result<()> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        let text = json!({
            "format": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "threads": rayon::current_num_threads(),
            "started": started.map_or(0, |time| time.as_secs()),
            "run": made,
        });
        let path = self.path.join("config.json");
        let write = |file: &mut File| writeln!(file, "{text:#}");
        file::replace(&path, write).map_err(|cause| failed(&path, cause))
    }

    /// The last state that is whole, and what is to be said of those that are not: they get another name.
    pub(super) fn latest(&self) -> Result<(Option<Saved>, Vec<String>)> {
        let mut notes = Vec::new();
        for (step, path) in self.states()?.into_iter().rev() {
            match State::read(&path) {
                Ok(state) => return Ok((Some((step, state)), notes)),
                Err(error @ Error::Format { .. }) => {
                    notes.push(error.to_string());
                    let aside = path.with_extension("damaged");
                    fs::rename(&path, &aside).map_err(|cause| failed(&path, cause))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((None, notes))
    }

    /// Writes a state; after that, those before the last ones go.
    pub(super) fn save(&self, step: usize, state: &State) -> Result<()> {
        state.write(&self.path.join(format!("checkpoint-{step}.safetensors")))?;
        // The new name is on the disk before an old one goes.
        let folder = File::open(&self.path).and_then(|folder| folder.sync_all());
        folder.map_err(|cause| failed(&self.path, cause))?;
        let states = self.states()?;
        let old = states.len().saturating_sub(KEPT);
        for (_, path) in states.into_iter().take(old) {
            fs::remove_file(&path).map_err(|cause| failed(&path, cause))?;
        }
        Ok(())
    }

    /// The states by their steps, in ascending order.
    fn states(&self) -> Result<Vec<(usize, PathBuf)>> {
        let step = |name: &String| -> Option<(usize, PathBuf)> {
            let step = name
                .strip_prefix("checkpoint-")?
                .strip_suffix(".safetensors")?;
            Some((step.parse().ok()?, self.path.join(name)))
        };
        let mut states: Vec<_> = self.names()?.iter().filter_map(step).collect();
        states.sort();
        Ok(states)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(|cause| failed(&self.path, cause))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names
            .collect::<io::Result<_>>()
            .map_err(|cause| failed(&self.path, cause))
    }
}

fn failed(path: &Path, cause: io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    }
}

/// The entries in which two values differ, by their names.
fn differences(name: &str, old: &Value, new: &Value, found: &mut Vec<(String, Value, Value)>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names = old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in names {
                let inside = match name {
                    "" => key.clone(),
                    name => format!("{name}.{key}"),
                };
                let side = |side: &serde_json::Map<String, Value>| side.get(key).cloned();
                let (old, new) = (side(old).unwrap_or_default(), side(new).unwrap_or_default());
                differences(&inside, &old, &new, found);
            }
        }
        _ if old != new => found.push((name.to_owned(), old.clone(), new.clone())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("itd-run-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn another_run_is_refused_with_what_differs() {
        let path = fresh("other");
        let made =
            |rate: f64, batch| json!({ "settings": { "learning_rate": rate, "batch": batch } });
        let open = |made: &Value| RunFolder::open(&path, made);
        drop(open(&made(0.1 + 0.2, 64)).unwrap());
        let text = fs::read_to_string(path.join("config.json")).unwrap();
        assert!(
            text.contains("\"learning_rate\": 0.30000000000000004"),
            "{text}"
        );
        drop(open(&made(0.1 + 0.2, 64)).unwrap());
        let error = open(&made(0.3, 64)).unwrap_err().to_string();
        assert!(
            error.contains("learning_rate 0.30000000000000004 against settings.learning_rate 0.3"),
            "{error}"
        );
        assert!(!error.contains("batch"), "{error}");
        fs::write(path.join("config.json"), &text[..40]).unwrap();
        let error = open(&made(0.3, 64)).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn one_process_at_a_time() {
        let path = fresh("lock");
        let first = RunFolder::open(&path, &json!({})).unwrap();
        let error = RunFolder::open(&path, &json!({})).unwrap_err().to_string();
        assert!(error.contains("of this session"), "{error}");
        fs::write(path.join(".lock"), "1").unwrap();
        let error = RunFolder::open(&path, &json!({})).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(first);
        RunFolder::open(&path, &json!({})).unwrap();
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn the_last_three_states_are_kept_and_damaged_ones_set_aside() {
        let path = fresh("states");
        let folder = RunFolder::open(&path, &json!({})).unwrap();
        let state = |step: usize| State {
            words: [("step".to_owned(), step.to_string())].into(),
            ..Default::default()
        };
        assert!(folder.latest().unwrap().0.is_none());
        for step in [0, 9, 10, 100] {
            folder.save(step, &state(step)).unwrap();
        }
        let steps = |folder: &RunFolder| -> Vec<usize> {
            folder.states().unwrap().iter().map(|s| s.0).collect()
        };
        assert_eq!(steps(&folder), [9, 10, 100]);
        let (last, notes) = folder.latest().unwrap();
        assert_eq!(last.unwrap(), (100, state(100)));
        assert!(notes.is_empty());
        let newest = path.join("checkpoint-100.safetensors");
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        fs::write(path.join("checkpoint-200.safetensors.1-1.part"), b"half").unwrap();
        drop(folder);
        let folder = RunFolder::open(&path, &json!({})).unwrap();
        let (last, notes) = folder.latest().unwrap();
        assert_eq!(last.unwrap().0, 10);
        assert!(
            notes.len() == 1 && notes[0].contains("checkpoint-100"),
            "{notes:?}"
        );
        assert_eq!(steps(&folder), [9, 10]);
        assert!(path.join("checkpoint-100.damaged").exists());
        assert!(!path.join("checkpoint-200.safetensors.1-1.part").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
