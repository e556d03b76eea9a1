//! `docs/equations.md` names what is there: each equation a function, a test, and a notebook.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        match entry.unwrap().path() {
            path if path.is_dir() => found.extend(files(&path, end)),
            path if path.to_string_lossy().ends_with(end) => found.push(path),
            _ => {}
        }
    }
    found
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_equation_has_its_function_its_test_and_its_notebook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("../docs/equations.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers = (1..=16).map(|n| n.to_string());
    for number in numbers.chain((1..=7).map(|n| format!("A.{n}"))) {
        assert!(rows.iter().any(|row| row[0] == number), "equation {number}");
    }
    let sources = files(&root.join("src"), ".rs");
    let code: String = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let tests = files(&root.join("tests"), ".rs");
    let notebooks = files(&root.join("../notebooks"), ".ipynb");
    let named = |paths: &[PathBuf], name: &str| {
        paths
            .iter()
            .any(|path| path.file_name().is_some_and(|file| file == name))
    };
    for row in rows
        .iter()
        .filter(|row| !["equation", "appendix"].contains(&row[0]))
    {
        let names = quoted(row[2]);
        assert!(!names.is_empty(), "{row:?} names no function");
        for name in names {
            let last = name.rsplit("::").next().unwrap();
            let forms =
                ["fn ", "struct ", "enum ", "pub ", "    "].map(|form| format!("{form}{last}"));
            let there = forms.iter().any(|form| {
                code.split(form.as_str())
                    .skip(1)
                    .any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            assert!(there, "{name} of {row:?} is not in the code");
        }
        for file in quoted(row[3]) {
            let there = named(&tests, file) || named(&sources, file);
            assert!(
                there || !file.ends_with(".rs"),
                "{file} of {row:?} is no file"
            );
        }
        for number in row.get(4).into_iter().flat_map(|cell| cell.split(", ")) {
            let there = notebooks.iter().any(|path| {
                path.file_name()
                    .is_some_and(|file| file.to_string_lossy().starts_with(number))
            });
            assert!(there, "{row:?}: no notebook {number}");
        }
    }
}
