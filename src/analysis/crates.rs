//! Names and versions behind `:dep`: of the crates that cargo has looked up here. Nothing is fetched.
//!
//! Cargo keeps what the registry says of a crate in a file of that crate's name, `registry/index/*/.cache/it/oa/itoa`:
//! a head, then for each version its number and a line of JSON, each with a zero byte behind it.

use std::path::{Path, PathBuf};

use super::text::line_start;
use super::{Candidate, Completion};
use crate::cell::command::rust_start;
use crate::toolchain::cargo_home;

/// Names that are offered at most.
const MOST: usize = 200;
/// Versions that are offered at most.
const MOST_VERSIONS: usize = 20;

/// What can stand at a byte of a line that adds a crate.
pub fn complete(cell: &str, at: usize) -> Option<Completion> {
    complete_in(&cargo_home()?, cell, at)
}

fn complete_in(home: &Path, cell: &str, at: usize) -> Option<Completion> {
    let line = line_start(cell, at);
    if line >= rust_start(cell) {
        return None;
    }
    let written = cell[line..at].trim_start_matches(' ');
    let words = written
        .strip_prefix(":dep ")
        .or_else(|| written.strip_prefix("%dep "))?
        .trim_start();
    let candidate = |kind: &str, text: String, detail: String| Candidate {
        kind: kind.to_owned(),
        text,
        detail,
    };
    let (begun, candidates) = match words.split_once('=') {
        None => {
            let named = names(home, words).into_iter().filter_map(|name| {
                let newest = versions(home, &name).into_iter().next()?;
                Some(candidate("module", name, newest))
            });
            (words, named.collect())
        }
        Some((name, after)) => {
            let (before, begun) = after.rsplit_once('"')?;
            let before = before.trim_end();
            let is_version =
                before.is_empty() || before.trim_end_matches(['=', ' ']).ends_with("version");
            if !is_version {
                return None;
            }
            let versions = versions(home, name.trim()).into_iter();
            let fitting = versions.filter(|version| version.starts_with(begun));
            let fitting = fitting.take(MOST_VERSIONS);
            let fitting = fitting.map(|version| candidate("constant", version, String::new()));
            (begun, fitting.collect())
        }
    };
    let end = cell[..at].chars().count();
    Some(Completion {
        start: end - begun.chars().count(),
        end,
        candidates,
    })
}

/// The folders in which cargo keeps what it knows, one for each registry.
fn indices(home: &Path) -> Vec<PathBuf> {
    let indices = std::fs::read_dir(home.join("registry/index"));
    let indices = indices.into_iter().flatten().flatten();
    indices.map(|entry| entry.path().join(".cache")).collect()
}

/// Crates whose names begin so, the shortest first.
fn names(home: &Path, begun: &str) -> Vec<String> {
    let (mut folders, mut found) = (indices(home), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => folders.push(entry.path()),
                false if name.starts_with(begun) => found.push(name),
                false => {}
            }
        }
    }
    found.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    found.dedup();
    found.truncate(MOST);
    found
}

/// The versions of a crate that may be used, the newest first; none that is not finished.
fn versions(home: &Path, name: &str) -> Vec<String> {
    let place = match name.len() {
        0 => return Vec::new(),
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", name.get(..1).unwrap_or_default()),
        _ => match (name.get(..2), name.get(2..4)) {
            (Some(first), Some(second)) => format!("{first}/{second}/{name}"),
            _ => return Vec::new(),
        },
    };
    let files = indices(home).into_iter();
    let files = files.filter_map(|index| std::fs::read(index.join(&place)).ok());
    let mut found: Vec<([u64; 3], String)> = files.flat_map(|file| usable(&file)).collect();
    found.sort_by(|a, b| b.cmp(a));
    found.dedup();
    found.into_iter().map(|(_, version)| version).collect()
}

fn usable(file: &[u8]) -> Vec<([u64; 3], String)> {
    let lines = file.split(|byte| *byte == 0);
    let lines = lines.filter_map(|part| serde_json::from_slice::<serde_json::Value>(part).ok());
    lines
        .filter(|line| line["yanked"] != true)
        .filter_map(|line| {
            let version = line["vers"].as_str()?;
            let plain = version.split('+').next()?;
            let parts: Option<Vec<u64>> = plain.split('.').map(|part| part.parse().ok()).collect();
            let number: [u64; 3] = parts?.try_into().ok()?;
            Some((number, version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home of cargo's with what it would keep of some crates.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        let crates = [
            (
                "it/oa/itoa",
                vec![
                    ("0.4.8", false),
                    ("1.0.9", false),
                    ("1.0.15", false),
                    ("1.0.16", true),
                    ("2.0.0-rc.1", false),
                ],
            ),
            ("it/er/iter-set", vec![("2.0.2", false)]),
            ("it/er/iterated", vec![("0.1.0", true)]),
            ("3/i/idn", vec![("0.1.0", false)]),
        ];
        for (place, versions) in crates {
            let file = home.path().join("registry/index/one/.cache").join(place);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            let mut bytes = b"\x03\x02\0\0\0etag\0".to_vec();
            for (version, yanked) in versions {
                let line = serde_json::json!({"name": "x", "vers": version, "yanked": yanked});
                bytes.extend(format!("{version}\0{line}\0").bytes());
            }
            std::fs::write(file, bytes).expect("a file");
        }
        home
    }

    #[test]
    fn crates_and_versions_are_those_that_cargo_knows() {
        let home = home();
        let offered = |cell: &str| {
            let found = complete_in(home.path(), cell, cell.len())?;
            let texts = found.candidates.into_iter().map(|it| (it.text, it.detail));
            Some((found.start, found.end, texts.collect::<Vec<_>>()))
        };
        let own = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            let own = |(a, b): &(&str, &str)| (a.to_string(), b.to_string());
            all.iter().map(own).collect()
        };
        let found = offered(":dep it").expect("names");
        assert_eq!(
            found,
            (5, 7, own(&[("itoa", "1.0.15"), ("iter-set", "2.0.2")]))
        );
        assert_eq!(
            offered("%dep id").expect("names").2,
            own(&[("idn", "0.1.0")])
        );
        let found = offered("// é\n:dep itoa = \"1").expect("versions");
        assert_eq!(found, (18, 19, own(&[("1.0.15", ""), ("1.0.9", "")])));
        let found = offered(":dep itoa = { version = \"0").expect("versions");
        assert_eq!(found.2, own(&[("0.4.8", "")]));
        for other in [
            ":dep itoa = { path = \"",
            "let it",
            ":de",
            "x\n:dep it",
            ":dep itoa = \"1\" ",
        ] {
            assert!(
                offered(other).is_none_or(|found| found.2.is_empty()),
                "{other}"
            );
        }
        assert!(
            complete_in(Path::new("/nowhere"), ":dep it", 7)
                .expect("none")
                .candidates
                .is_empty()
        );
    }
}
