//! No code takes numbers of a tensor from memory but through `itd_cell::slices`, which asks where they are.

use std::path::{Path, PathBuf};

/// The one module that may.
const DOOR: &str = "cell/src/slices.rs";

/// How the numbers behind a tensor's storage are got at.
const WAYS: [&str; 3] = ["Storage::Cpu(", "as_slice::<", "storage_mut_and_layout"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => sources(&path, found),
            path if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            _ => {}
        }
    }
}

/// Lines, by number, that get at numbers in memory.
fn takers(text: &str) -> Vec<usize> {
    let takes = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        WAYS.iter().any(|way| code.contains(way))
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| takes(line))
        .map(|(at, _)| at + 1)
        .collect()
}

#[test]
fn slices_are_taken_through_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "cell/src", "files/src", "kernels/src"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 200, "{} sources", files.len());
    let mut at_the_door = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        let takers = takers(&text);
        if file.ends_with(DOOR) {
            at_the_door = takers.len();
            continue;
        }
        assert!(
            takers.is_empty(),
            "{}, lines {takers:?}: take slices through {DOOR}",
            file.display()
        );
    }
    assert!(at_the_door > 0, "the door has moved");
}

#[test]
fn takers_are_found() {
    let text = "let Storage::Cpu(s) = &*storage;\n// as_slice::<f32>\nlet x = s.as_slice::<f32>()?;\nCpuStorage::F32(y)\n";
    assert_eq!(takers(text), [1, 3]);
}
