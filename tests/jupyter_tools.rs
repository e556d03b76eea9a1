//! The tools around Jupyter, for real: papermill, nbmake, nbval, jupytext, each on a small notebook with this kernel.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A program of the project's environment.
fn tool(name: &str, arguments: &[&str], folder: &Path) -> Output {
    let environment = common::environment();
    let mut command = Command::new(environment.program(name));
    command.args(arguments).current_dir(folder);
    // The programs that a tool starts are those of the environment, too.
    let path = std::env::var("PATH").unwrap_or_default();
    let own = environment.program("").display().to_string();
    command.env("PATH", format!("{own}:{path}"));
    command.output().expect("it can be run")
}

fn good(name: &str, arguments: &[&str], folder: &Path) -> String {
    let output = tool(name, arguments, folder);
    let text = common::text(&output);
    assert!(output.status.success(), "{name} {arguments:?}: {text}");
    text
}

/// A notebook with a cell that is tagged.
fn tagged(folder: &Path, cells: &[&str], index: usize, tag: &str) {
    let path = common::notebook(folder, "a.ipynb", cells);
    let mut notebook = common::read_json(&path);
    notebook["cells"][index]["metadata"]["tags"] = json!([tag]);
    std::fs::write(path, notebook.to_string()).expect("the notebook can be written");
}

fn lines(value: &Value) -> String {
    let lines = value.as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).collect()
}

const DEFAULTS: &str = "let epochs: usize = 5; // rounds\nlet rate = 0.1_f32;\nlet name = \"a\".to_owned();\n\
                        let fast = false;\nlet sizes: Vec<f64> = vec![1.0];";

#[test]
fn papermill_sets_parameters_of_the_types_that_are_declared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let result =
        "let all: (usize, f32, String, bool, Vec<f64>) = (epochs, rate, name, fast, sizes);\nall";
    tagged(folder.path(), &[DEFAULTS, result], 0, "parameters");
    let arguments = [
        "a.ipynb",
        "out.ipynb",
        "-p",
        "epochs",
        "3",
        "-p",
        "rate",
        "-2",
        "-p",
        "name",
        "b \"c\"",
        "-p",
        "fast",
        "True",
        "-y",
        "sizes: [1, 2.5]",
        "--no-progress-bar",
    ];
    good("papermill", &arguments, folder.path());
    let executed = common::read_json(&folder.path().join("out.ipynb"));
    assert_eq!(
        executed["cells"][1]["metadata"]["tags"],
        json!(["injected-parameters"])
    );
    let shown = lines(&executed["cells"][2]["outputs"][0]["data"]["text/plain"]);
    assert_eq!(shown, "(3, -2.0, \"b \\\"c\\\"\", true, [1.0, 2.5])");
    let help = good("papermill", &["--help-notebook", "a.ipynb"], folder.path());
    for part in [
        "epochs: usize (default 5)",
        "rounds",
        "rate: Unknown type (default 0.1_f32)",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let failing = common::notebook(folder.path(), "b.ipynb", &["panic!(\"p\")"]);
    let name = failing.display().to_string();
    let output = tool(
        "papermill",
        &[&name, "out.ipynb", "--no-progress-bar"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
}

#[test]
fn nbmake_and_nbval_pass_and_fail_rightly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", &["let x = 5;", "x * 2"]);
    let bad = common::notebook(folder.path(), "b.ipynb", &["panic!(\"p\")"]);
    let program = common::itd(&["run", "--no-html"]).arg(&notebook).output();
    assert!(program.is_ok_and(|output| output.status.success()));
    let pytest = |arguments: &[&str]| {
        let all = [&["-q", "-p", "no:cacheprovider"], arguments].concat();
        tool("pytest", &all, folder.path())
    };
    let output = pytest(&["--nbmake", "a.ipynb", "b.ipynb"]);
    let text = common::text(&output);
    assert!(text.contains("1 failed, 1 passed"), "{text}");
    let output = pytest(&["--nbval", "a.ipynb"]);
    assert!(output.status.success(), "{}", common::text(&output));
    // A number that is not what was committed.
    let text = std::fs::read_to_string(&notebook).expect("the notebook");
    std::fs::write(&notebook, text.replace("\"10\"", "\"11\"")).expect("it can be written");
    let output = pytest(&["--nbval", "a.ipynb"]);
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
    assert!(pytest(&["--nbval-lax", "a.ipynb"]).status.success());
    let bad = bad
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    assert_eq!(pytest(&["--nbval", bad]).status.code(), Some(1));
}

#[test]
fn jupytext_reads_our_scripts_and_we_read_its() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "%%opt 3\n:dep itoa = \"1\"\nlet x = 5 % 3;\n// words\nx",
        "%%bash\nls",
    ];
    tagged(folder.path(), &cells, 0, "parameters");
    let read = |name: &str| {
        let notebook = common::read_json(&folder.path().join(name));
        let cells = notebook["cells"].as_array().cloned().unwrap_or_default();
        let of = |cell: &Value| {
            (
                lines_or_text(&cell["source"]),
                cell["metadata"]["tags"].clone(),
            )
        };
        cells.iter().map(of).collect::<Vec<_>>()
    };
    let before = read("a.ipynb");
    good(
        "jupytext",
        &["--to", "rs:percent", "a.ipynb", "-o", "theirs.rs"],
        folder.path(),
    );
    let convert = |arguments: &[&str]| {
        let output = common::itd(arguments).current_dir(folder.path()).output();
        let output = output.expect("itd can be run");
        assert!(output.status.success(), "{}", common::text(&output));
    };
    convert(&["convert", "--to", "ipynb", "theirs.rs"]);
    assert_eq!(read("theirs.ipynb"), before);
    convert(&["convert", "--to", "rs", "a.ipynb"]);
    good(
        "jupytext",
        &["--to", "ipynb", "a.rs", "-o", "ours.ipynb"],
        folder.path(),
    );
    assert_eq!(read("ours.ipynb"), before);
    // Pairing.
    good(
        "jupytext",
        &["--set-formats", "ipynb,rs:percent", "a.ipynb"],
        folder.path(),
    );
    good("jupytext", &["--sync", "a.ipynb"], folder.path());
    assert_eq!(read("a.ipynb"), before);
    // A Markdown notebook that is executed.
    let text = "---\njupyter:\n  kernelspec:\n    name: itd\n    display_name: Rust (itd)\n    language: rust\n---\n\n```rust\n1 + 1\n```\n";
    std::fs::write(folder.path().join("m.md"), text).expect("a file");
    good(
        "jupytext",
        &["--to", "ipynb", "--execute", "m.md"],
        folder.path(),
    );
    let executed = common::read_json(&folder.path().join("m.ipynb"));
    assert_eq!(
        lines_or_text(&executed["cells"][0]["outputs"][0]["data"]["text/plain"]),
        "2"
    );
}

fn lines_or_text(value: &Value) -> String {
    value.as_str().map_or_else(|| lines(value), str::to_owned)
}
