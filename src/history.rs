//! What was typed in all sessions: a file of the user's with one line of JSON for each input and each output.
//!
//! Kernel and REPL share it. A session gets its number with its first input, under a lock, and every input is in the
//! file before it is executed, so that no end of a session loses any.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Names another file, or `off`.
pub const VARIABLE: &str = "ITD_HISTORY";

/// A file that has become larger loses the older half of its lines when a session begins.
const LARGEST: u64 = 16 << 20;
/// An input that is longer is not kept, and of an output no more is.
const LONGEST_INPUT: usize = 1 << 20;
const LONGEST_OUTPUT: usize = 2000;
/// A pattern that is longer is a text.
const LONGEST_PATTERN: usize = 10_000;

/// An input, and the text of its value if it had one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub session: u64,
    /// The number of the input in its session, from 1.
    pub line: u32,
    pub input: String,
    pub output: Option<String>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The last `n`.
    Tail { n: usize },
    /// Those of one session from `start` to before `stop`; negative numbers count from its end. Session 0 is this
    /// one, −1 the one before.
    Range {
        session: i64,
        start: i64,
        stop: Option<i64>,
    },
    /// The last `n` that match `pattern` as a whole, in which `*` is any text, `?` any character, `[a-z]` one of some;
    /// with `unique`, the last of each input.
    Search {
        pattern: String,
        n: Option<usize>,
        unique: bool,
    },
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    session: u64,
    line: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

type Entries = BTreeMap<(u64, u32), Entry>;

/// The history, as one session sees it. Clones are the same session.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    file: Option<PathBuf>,
    /// This session's number, once it has had an input.
    session: Option<u64>,
    /// What this session has had, should the file be none or not take it.
    own: Entries,
    complained: bool,
}

impl History {
    /// The user's history: in the file that [`VARIABLE`] names, or else in the folder for the state of programs. With
    /// `off` this session has one of its own, which ends with it.
    pub fn open() -> Self {
        let usual = || {
            let folder = dirs::state_dir().or_else(dirs::data_dir)?;
            Some(folder.join("itd/history.jsonl"))
        };
        Self::at(match std::env::var_os(VARIABLE) {
            Some(file) if file == "off" || file.is_empty() => None,
            Some(file) => Some(file.into()),
            None => usual(),
        })
    }

    /// The history in a file, or in none.
    pub fn at(file: Option<PathBuf>) -> Self {
        let shared = Shared {
            file,
            ..Shared::default()
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Keeps an input. Whatever keeps it from being written is said once, and stops nobody.
    pub fn add(&self, line: u32, input: &str) {
        if input.trim().is_empty() || input.len() > LONGEST_INPUT {
            return;
        }
        self.shared().keep(line, Some(input), None);
    }

    /// Keeps the text of a value.
    pub fn add_output(&self, line: u32, output: &str) {
        let end = output.char_indices().nth(LONGEST_OUTPUT);
        let output = end.map_or(output.to_owned(), |(end, _)| output[..end].to_owned() + "…");
        self.shared().keep(line, None, Some(&output));
    }

    /// The entries that are asked for, oldest first.
    pub fn find(&self, access: &Access) -> Vec<Entry> {
        let shared = self.shared();
        let mut all = shared.read();
        all.extend(shared.own.clone());
        let now = shared.session.unwrap_or_else(|| next_session(&all));
        drop(shared);
        let mut found: Vec<Entry> = all.into_values().collect();
        match access {
            Access::Tail { n } => last(found, *n),
            Access::Range {
                session,
                start,
                stop,
            } => {
                let session = match *session {
                    before if before <= 0 => now.checked_add_signed(before),
                    number => u64::try_from(number).ok(),
                };
                found.retain(|entry| Some(entry.session) == session);
                let end = found.last().map_or(0, |entry| i64::from(entry.line) + 1);
                let from_end = |number: i64| if number < 0 { end + number } else { number };
                let start = from_end(*start);
                let stop = stop.filter(|stop| *stop != 0).map_or(end, from_end);
                found.retain(|entry| (start..stop).contains(&i64::from(entry.line)));
                found
            }
            Access::Search { pattern, n, unique } => {
                let pattern = glob(pattern);
                found.retain(|entry| pattern.as_ref().is_some_and(|p| p.is_match(&entry.input)));
                if *unique {
                    let mut seen = HashSet::new();
                    found.reverse();
                    found.retain(|entry| seen.insert(entry.input.clone()));
                    found.reverse();
                }
                last(found, n.unwrap_or(usize::MAX))
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last(mut entries: Vec<Entry>, n: usize) -> Vec<Entry> {
    entries.split_off(entries.len().saturating_sub(n))
}

fn next_session(entries: &Entries) -> u64 {
    entries.keys().next_back().map_or(1, |(last, _)| last + 1)
}

impl Shared {
    fn keep(&mut self, line: u32, input: Option<&str>, output: Option<&str>) {
        if self.session.is_none() && input.is_none() {
            return;
        }
        let written = self.write(line, input, output);
        // A file that cannot be written may be read, and this session is behind those in it.
        let session = match self.session {
            Some(session) => session,
            None => *self.session.insert(next_session(&self.read())),
        };
        if let Some(input) = input {
            let entry = Entry {
                session,
                line,
                input: input.to_owned(),
                output: None,
            };
            self.own.insert((session, line), entry);
        }
        if let (Some(output), Some(entry)) = (output, self.own.get_mut(&(session, line))) {
            entry.output = Some(output.to_owned());
        }
        if let (Err(error), Some(file), false) = (written, &self.file, self.complained) {
            self.complained = true;
            // Whoever started the kernel may have closed its standard error.
            let _ = writeln!(
                std::io::stderr(),
                "itd: the history cannot be kept in {}: {error}; set {VARIABLE} to another file, or to `off`",
                file.display()
            );
        }
    }

    /// Writes one line; the session gets its number before its first one.
    fn write(
        &mut self,
        line: u32,
        input: Option<&str>,
        output: Option<&str>,
    ) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let _lock = lock(file)?;
        let session = match self.session {
            Some(session) => session,
            None => {
                let entries = self.read();
                let session = next_session(&entries);
                self.session = Some(session);
                shorten(file)?;
                session
            }
        };
        let line = Line {
            session,
            line,
            input: input.map(str::to_owned),
            output: output.map(str::to_owned),
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = private().read(true).append(true).open(file)?;
        // Somebody's last line may have been cut off.
        let mut end = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut end)?;
        }
        if end != [b'\n'] {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())
    }

    /// The entries in the file; lines that are no entries are none.
    fn read(&self) -> Entries {
        let bytes = self.file.as_ref().and_then(|file| std::fs::read(file).ok());
        let bytes = bytes.unwrap_or_default();
        let mut entries = Entries::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Line>(line) else {
                continue;
            };
            let place = (line.session, line.line);
            if let Some(input) = line.input {
                let entry = Entry {
                    session: line.session,
                    line: line.line,
                    input,
                    output: None,
                };
                entries.insert(place, entry);
            }
            if let (Some(output), Some(entry)) = (line.output, entries.get_mut(&place)) {
                entry.output = Some(output);
            }
        }
        entries
    }
}

/// How the file is opened: what somebody typed is for nobody else to read.
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// Held while the file is written to.
fn lock(file: &Path) -> std::io::Result<File> {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let lock = private().write(true).truncate(false).open(path)?;
    lock.lock()?;
    Ok(lock)
}

/// Leaves the newer half of a file that has become too large.
fn shorten(file: &Path) -> std::io::Result<()> {
    if std::fs::metadata(file).map_or(0, |metadata| metadata.len()) <= LARGEST {
        return Ok(());
    }
    let bytes = std::fs::read(file)?;
    let half = &bytes[bytes.len() / 2..];
    let start = half.iter().position(|byte| *byte == b'\n');
    let kept = start.map_or(&[][..], |start| &half[start + 1..]);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    staged.write_all(kept)?;
    staged.persist(file)?;
    Ok(())
}

/// What a pattern of a search matches.
fn glob(pattern: &str) -> Option<Regex> {
    let plain = || Regex::new(&format!(r"\A{}\z", regex::escape(pattern))).ok();
    if pattern.len() > LONGEST_PATTERN {
        return plain();
    }
    let mut text = String::from(r"(?s)\A");
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '[' => match rest.char_indices().skip(1).find(|(_, c)| *c == ']') {
                Some((end, _)) => {
                    text.push_str(&set(&rest[..end]));
                    rest = &rest[end + 1..];
                }
                None => text.push_str(r"\["),
            },
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push_str(r"\z");
    // A set such as `[z-a]` is none; then the pattern is what was typed.
    Regex::new(&text).ok().or_else(plain)
}

/// `[a-z]` or, with `^` or `!` in front, any other character.
fn set(members: &str) -> String {
    let (not, members) = match members.strip_prefix(['^', '!']) {
        Some(members) => ("^", members),
        None => ("", members),
    };
    let mut text = format!("[{not}");
    for c in members.chars() {
        if r"\[]&~^".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text + "]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.input.as_str()).collect()
    }

    fn search(history: &History, pattern: &str, n: Option<usize>, unique: bool) -> Vec<String> {
        let pattern = pattern.to_owned();
        let found = history.find(&Access::Search { pattern, n, unique });
        inputs(&found).into_iter().map(str::to_owned).collect()
    }

    fn range(history: &History, session: i64, start: i64, stop: Option<i64>) -> Vec<(u64, u32)> {
        let access = Access::Range {
            session,
            start,
            stop,
        };
        let found = history.find(&access);
        found
            .iter()
            .map(|entry| (entry.session, entry.line))
            .collect()
    }

    #[test]
    fn sessions_are_numbered_and_see_each_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = Some(folder.path().join("deep/history.jsonl"));
        let one = History::at(file.clone());
        one.add(1, "let x = 1;");
        one.add(2, "x + 1");
        one.add_output(2, "2");
        let two = History::at(file.clone());
        assert_eq!(range(&two, -1, 0, None), [(1, 1), (1, 2)]);
        two.add(1, "let y = [1, 2];\ny");
        one.add(3, "x");
        assert_eq!(range(&two, 0, 1, None), [(2, 1)], "this session");
        assert_eq!(range(&two, -1, 2, Some(3)), [(1, 2)], "the one before");
        assert_eq!(range(&one, 1, -1, Some(0)), [(1, 3)], "from the end");
        assert_eq!(range(&one, -7, 0, None), [], "no such session");
        let third = History::at(file);
        let all = third.find(&Access::Tail { n: 3 });
        assert_eq!(inputs(&all), ["x + 1", "x", "let y = [1, 2];\ny"]);
        assert_eq!(all[0].output.as_deref(), Some("2"));
        assert_eq!(third.find(&Access::Tail { n: 0 }), []);
    }

    #[test]
    fn a_search_knows_stars_and_sets_and_tells_each_input_once() {
        let history = History::at(None);
        for (line, input) in ["a[0] + 1", "b\nfn f() {}", "a[1] + 1", "a[0] + 1", "*"]
            .into_iter()
            .enumerate()
        {
            history.add(line as u32 + 1, input);
        }
        let all = ["a[0] + 1", "a[1] + 1", "a[0] + 1"];
        assert_eq!(search(&history, "a*1", None, false), all);
        assert_eq!(search(&history, "a*1", Some(2), false), all[1..]);
        assert_eq!(search(&history, "a*1", None, true), all[1..]);
        assert_eq!(search(&history, "b*{}", None, false), ["b\nfn f() {}"]);
        assert_eq!(search(&history, "?[[]1]*", None, false), ["a[1] + 1"]);
        assert_eq!(search(&history, "[!ab]", None, false), ["*"]);
        assert_eq!(search(&history, "[*]", None, false), ["*"]);
        assert_eq!(search(&history, "a", None, false).len(), 0, "a whole input");
        for strange in ["[z-a]", "[", "[]", "[^]", "\\", "(", "[[", "[&&]", "{,}"] {
            assert_eq!(search(&history, strange, None, true).len(), 0, "{strange}");
        }
    }

    #[test]
    fn what_is_broken_in_the_file_is_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("history.jsonl");
        let text =
            b"{\"session\":4,\"line\":1,\"input\":\"a\"}\n\xff\xfe\n[1]\n{\"session\":4,\"li";
        std::fs::write(&file, text).expect("a file");
        let history = History::at(Some(file.clone()));
        history.add(1, "b");
        history.add(2, " \n");
        history.add(3, &"x".repeat(LONGEST_INPUT + 1));
        let again = History::at(Some(file));
        assert_eq!(inputs(&again.find(&Access::Tail { n: 9 })), ["a", "b"]);
        assert_eq!(range(&again, 5, 0, None), [(5, 1)]);
    }

    #[test]
    fn a_session_has_its_history_though_no_file_takes_it() {
        let history = History::at(Some("/proc/no/such/folder/history.jsonl".into()));
        history.add_output(1, "of no input");
        history.add(1, "a");
        history.add_output(1, &"é".repeat(LONGEST_OUTPUT + 1));
        let found = history.find(&Access::Tail { n: 9 });
        assert_eq!(inputs(&found), ["a"]);
        let output = found[0].output.as_deref().unwrap_or_default();
        assert_eq!(output.chars().count(), LONGEST_OUTPUT + 1);
    }

    #[test]
    fn a_file_that_is_too_large_loses_its_older_half() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("history.jsonl");
        let mut text = String::new();
        for session in 1..=20 {
            let input = "x".repeat(LONGEST_INPUT - 200);
            text += &format!("{{\"session\":{session},\"line\":1,\"input\":\"{input}\"}}\n");
        }
        std::fs::write(&file, text).expect("a file");
        let history = History::at(Some(file.clone()));
        history.add(1, "the newest");
        assert_eq!(range(&history, 0, 0, None), [(21, 1)]);
        let left = History::at(Some(file.clone())).find(&Access::Tail { n: 99 });
        assert_eq!((left.len(), left[0].session), (10, 12));
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o077, 0, "for nobody else");
    }
}
