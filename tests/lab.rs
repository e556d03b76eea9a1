//! JupyterLab in a real browser; skipped with a message where there is none.

mod common;

use std::path::Path;
use std::process::Command;

use serde_json::json;

/// Drives the browser. It is no part of the environment that users get.
const PLAYWRIGHT: &str = "playwright==1.65.2";
/// Where the cells stand that `lab.py` speaks of, by number.
const CELLS: &[&str] = &[
    "let values = vec![1.0, 2.5];\nvalues.len()",
    "plot_functions(\"x\", \"value\", 0.0..5.0, &[(\"x²\", &|x: f64| x * x)])?",
    "let name = input(\"Who? \")?;\nname",
    "let n = slider(\"n\", 0..=10);\ninteract(&n, |n| format!(\"square {}\", n * n))?;",
    "slider(\"m\", &[1, 2, 3, 4, 5]).frames(|m| Html(format!(\"cube {}\", m * m * m)))?",
    "pl::df!(\"n\" => [3, 1, 2], \"name\" => [\"c\", \"a\", \"b\"])?",
];
/// A folded solution, as the notebooks have them.
const SOLUTION: &str = "**Exercise.** What is $1 + 1$?\n\n<details>\n<summary>Solution</summary>\n\nIt is 2, or `1 + 1`.\n\n</details>";

#[test]
fn a_person_works_in_jupyterlab() {
    let Some(browser) = common::browser() else {
        println!("skipped: there is no Chromium");
        return;
    };
    let installed = common::pip_install(common::python("python"), &[PLAYWRIGHT]);
    if !installed {
        println!("skipped: {PLAYWRIGHT} cannot be installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = common::notebook(folder.path(), "lab.ipynb", CELLS);
    let mut notebook = common::read_json(&path);
    let cells = notebook["cells"].as_array_mut().expect("cells");
    cells.push(
        json!({"cell_type": "markdown", "id": "solution", "metadata": {}, "source": SOLUTION}),
    );
    std::fs::write(&path, notebook.to_string()).expect("the notebook can be written");
    let script = common::project().join("tests/lab.py");
    let mut command: Command = common::python("python");
    command
        .arg(script)
        .arg(folder.path())
        .arg(browser)
        .current_dir(folder.path());
    if let Some(shots) = std::env::var_os("ITD_SCREENSHOTS") {
        command.arg(Path::new(&shots));
    }
    let output = command.output().expect("Python can be run");
    let text = common::text(&output);
    assert!(output.status.success() && text.ends_with("all\n"), "{text}");
    println!("{text}");
}
