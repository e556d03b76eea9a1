//! `docs/equations.md` is true by syntax: each function is defined in the file it names, and called in a test and in a
//! notebook beside it.

mod syntax;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::TokenStream;
use quote::ToTokens;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The code of a test: all of a file of `tests`, the unit tests of a file of `src`.
fn test_code(name: &str) -> TokenStream {
    let unit = name.starts_with("src/");
    let path = if unit {
        root().join(name)
    } else {
        root().join("tests").join(name)
    };
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let items = syntax::items(&text);
    let tests = items.iter().filter(|item| !unit || syntax::for_tests(item));
    tests.map(ToTokens::to_token_stream).collect()
}

/// The code cells of the notebook with this number.
fn notebook_code(number: &str) -> TokenStream {
    let folder = root().join("../notebooks");
    let mut books = syntax::files(&folder, ".ipynb").into_iter();
    let begins = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(&format!("{number}_"))
    };
    let path = books
        .find(begins)
        .unwrap_or_else(|| panic!("no notebook {number}"));
    let book: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let cells = book["cells"].as_array().unwrap().iter();
    let code = cells
        .filter(|cell| cell["cell_type"] == "code")
        .flat_map(|cell| {
            let lines = cell["source"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap());
            // Lines for the kernel are no Rust.
            let rust: String = lines
                .filter(|line| !line.starts_with(['%', ':', '!']))
                .collect();
            TokenStream::from_str(&rust)
                .unwrap_or_else(|error| panic!("notebook {number}: {error}: {rust}"))
        });
    code.collect()
}

fn called(code: &TokenStream, function: &str) -> bool {
    let last = function.rsplit("::").next().unwrap();
    syntax::uses(code.clone())
        .iter()
        .any(|(name, called)| *called && name == last)
}

/// All that the table says of one row and is not so.
fn faults(row: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let tests: Vec<TokenStream> = quoted(row[3]).into_iter().map(test_code).collect();
    let books: Vec<TokenStream> = row[4].split(", ").map(notebook_code).collect();
    for group in row[2].split("; ") {
        let names = quoted(group);
        let [file, functions @ ..] = names.as_slice() else {
            return vec![format!("{}: no file", row[0])];
        };
        if functions.is_empty() {
            faults.push(format!("{}: {file} names no function", row[0]));
        }
        let text = fs::read_to_string(root().join("src").join(file)).unwrap_or_default();
        let defined = syntax::definitions(&syntax::items(&text));
        for function in functions {
            let mut fault = |what: &str| faults.push(format!("{}: `{function}` {what}", row[0]));
            if !defined.iter().any(|name| name == function) {
                fault(&format!("is not defined in {file}"));
            }
            if !tests.iter().any(|code| called(code, function)) {
                fault(&format!("is not called in {}", row[3]));
            }
            if !books.iter().any(|code| called(code, function)) {
                fault(&format!("is not called in notebook {}", row[4]));
            }
        }
    }
    faults
}

#[test]
fn each_equation_has_its_function_its_test_and_its_notebook() {
    let table = fs::read_to_string(root().join("../docs/equations.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|row: &Vec<&str>| !["equation", "appendix"].contains(&row[0]))
        .collect();
    let numbers = (1..=16).map(|n| n.to_string());
    for number in numbers.chain((1..=7).map(|n| format!("A.{n}"))) {
        assert!(rows.iter().any(|row| row[0] == number), "equation {number}");
    }
    let faults: Vec<String> = rows.iter().flat_map(|row| faults(row)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The test must be able to fail: on a function elsewhere, a name in a comment or a text, a definition for a call.
#[test]
fn words_are_no_calls() {
    let code = TokenStream::from_str(
        "// nll()\n let s = \"tails()\"; fn area() {} curve.nll_of(3); x::<u8>(1); Rounding::Soft",
    )
    .unwrap();
    assert!(!called(&code, "MseCurve::nll") && !called(&code, "tails") && !called(&code, "area"));
    assert!(called(&code, "x") && called(&code, "Rounding::Soft"));
    let row = ["1", "", "`channel.rs`: `decompose`", "`appendix.rs`", "01"];
    let found = faults(&row);
    assert!(
        found.len() == 2 && found[0].contains("not defined") && found[1].contains("notebook"),
        "{found:?}"
    );
}

/// `docs/coverage.md` names cells by their ids, behind the number of the notebook if there are several.
#[test]
fn every_cell_of_the_coverage_is_there() {
    let text = fs::read_to_string(root().join("../docs/coverage.md")).unwrap();
    let mut cells = std::collections::BTreeSet::new();
    for path in syntax::files(&root().join("../notebooks"), ".ipynb") {
        let number = path.file_name().unwrap().to_string_lossy()[..2].to_owned();
        let book: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for cell in book["cells"].as_array().unwrap() {
            cells.insert((number.clone(), cell["id"].as_str().unwrap().to_owned()));
        }
    }
    let mut named = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        for place in &row[2..] {
            let mut number = row[1].get(..2).unwrap_or_default();
            for (i, piece) in place.split('`').enumerate() {
                if i % 2 == 0 {
                    let last = piece
                        .trim_end()
                        .rsplit([' ', ';'])
                        .next()
                        .unwrap_or_default();
                    if last.len() == 2 && last.starts_with(|c: char| c.is_ascii_digit()) {
                        number = last;
                    }
                    continue;
                }
                // Functions and files are named, too.
                if piece.contains(['_', '.']) {
                    continue;
                }
                named += 1;
                let cell = (number.to_owned(), piece.to_owned());
                assert!(cells.contains(&cell), "{cell:?} of the row {line}");
            }
        }
    }
    assert!(named > 100, "{named}");
}
