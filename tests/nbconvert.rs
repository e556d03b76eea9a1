//! Notebooks through the real nbconvert: green when all is well, red when any cell fails.

mod common;

use std::path::Path;
use std::process::Output;

fn nbconvert(notebook: &Path, arguments: &[&str]) -> Output {
    common::python("jupyter")
        .args([
            "nbconvert",
            "--to",
            "notebook",
            "--execute",
            "--output",
            "executed.ipynb",
        ])
        .args(arguments)
        .arg(notebook)
        .output()
        .expect("nbconvert can be run")
}

/// Executes a notebook whose third cell is `cell`; nbconvert must fail and say why.
fn fails(cell: &str, title: &str, evalue: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "let x = 5;",
        "println!(\"{x}\");",
        cell,
        "println!(\"never\");",
    ];
    let notebook = common::notebook(folder.path(), "failing.ipynb", &cells);
    let output = nbconvert(&notebook, &[]);
    let text = itd::reply::strip_colours(&common::text(&output));
    assert!(!output.status.success(), "{cell} fails: {text}");
    assert!(
        text.contains(&format!("{title}: ")) && text.contains(evalue),
        "{cell}: {text}"
    );
    assert!(!folder.path().join("executed.ipynb").exists());
}

#[test]
fn a_good_notebook_passes_with_its_outputs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = ["let x = 5;", "println!(\"{x}\"); x + 1"];
    let notebook = common::notebook(folder.path(), "good.ipynb", &cells);
    let output = nbconvert(&notebook, &[]);
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(&folder.path().join("executed.ipynb"));
    assert_eq!(executed["cells"][1]["outputs"][0]["text"][0], "5\n");
    assert_eq!(
        executed["cells"][1]["outputs"][1]["data"]["text/plain"][0],
        "6"
    );
    assert_eq!(executed["metadata"]["language_info"]["name"], "rust");
}

#[test]
fn a_data_frame_is_a_table_in_latex() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = ["pl::df!(\"n_a\" => [50], \"share\" => [\"50 %\"])?"];
    let notebook = common::notebook(folder.path(), "table.ipynb", &cells);
    let mut command = common::python("jupyter");
    command.args(["nbconvert", "--to", "latex", "--execute"]);
    let output = command.arg(notebook).output().expect("it can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let paper = std::fs::read_to_string(folder.path().join("table.tex")).expect("a paper");
    let table = "\\begin{tabular}{rl}\n\\hline\nn\\_a & share \\\\\n\\hline\n50 & 50 \\% \\\\\n\\hline\n\\end{tabular}";
    assert!(paper.contains(table), "{paper}");
}

#[test]
fn a_panic_fails() {
    fails("panic!(\"gone wrong\")", "Panic", "gone wrong");
}

#[test]
fn a_failed_assertion_fails() {
    fails("assert_eq!(x, 6);", "Panic", "left == right");
}

#[test]
fn an_error_at_a_question_mark_fails() {
    fails(
        "let n = \"seven\".parse::<i32>()?;",
        "ParseIntError",
        "invalid digit found in string",
    );
}

#[test]
fn an_error_as_the_last_value_fails() {
    fails(
        "\"seven\".parse::<i32>()",
        "ParseIntError",
        "invalid digit found in string",
    );
}

#[test]
fn a_false_check_fails() {
    fails("check!(x == 6);", "Check", "x == 6");
}

#[test]
fn a_compile_error_fails() {
    fails("let y: String = x;", "error[E0308]", "mismatched types");
}

#[test]
fn a_process_that_exits_fails() {
    fails("std::process::exit(0);", "ProcessExit", "code 0");
}

#[test]
fn a_segmentation_fault_fails() {
    fails(
        "unsafe { std::ptr::null_mut::<i32>().write(1) };",
        "Segfault",
        "SIGSEGV",
    );
}

#[test]
fn an_allowed_error_passes_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = ["let x = 5;", "panic!(\"expected\")", "x"];
    let notebook = common::notebook(folder.path(), "allowed.ipynb", &cells);
    let output = nbconvert(&notebook, &["--allow-errors"]);
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(&folder.path().join("executed.ipynb"));
    assert_eq!(executed["cells"][1]["outputs"][0]["ename"], "Panic");
    assert_eq!(
        executed["cells"][2]["outputs"][0]["data"]["text/plain"][0], "5",
        "x lives on"
    );
}
