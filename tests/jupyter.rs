//! Front ends of Jupyter's that run a file or a notebook, for real.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

fn run_file(folder: &Path, code: &str, more: &[&str]) -> Output {
    let file = folder.join("cell.rs");
    std::fs::write(&file, code).expect("a temporary folder can be written to");
    common::python("jupyter")
        .args(["run", "--kernel", "itd"])
        .arg(&file)
        .args(more)
        .output()
        .expect("jupyter run can be run")
}

#[test]
fn jupyter_run_executes_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run_file(
        folder.path(),
        "let x = 20;\nprintln!(\"{}\", x + 1); x * 2 + 2",
        &[],
    );
    let text = common::text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("21") && text.contains("42"), "{text}");
    let output = run_file(folder.path(), "panic!(\"went wrong\")", &[]);
    let text = itd::reply::strip_colours(&common::text(&output));
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("went wrong"), "{text}");
}

#[test]
fn jupyter_execute_keeps_the_last_state_of_a_display() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "for i in 0..5000 { itd_prelude::cell::send(&itd_prelude::cell::Frame::Display { \
         data: itd_prelude::cell::display::plain(format!(\"state {i}\")), id: Some(\"one\".to_owned()), update: i > 0 }); }",
        "print!(\"no line end\");",
    ];
    let notebook = common::notebook(folder.path(), "states.ipynb", &cells);
    let output = common::python("jupyter")
        .arg("execute")
        .arg(&notebook)
        .args(["--inplace"])
        .output()
        .expect("jupyter execute can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(&notebook);
    let outputs = &executed["cells"][0]["outputs"];
    assert_eq!(outputs.as_array().map(Vec::len), Some(1), "{outputs}");
    assert_eq!(
        outputs[0]["data"]["text/plain"],
        serde_json::json!(["state 4999"])
    );
    assert_eq!(executed["cells"][1]["outputs"][0]["text"][0], "no line end");
}

#[test]
fn exit_ends_a_console_and_its_kernel() {
    let mut console = common::python("jupyter")
        .args(["console", "--kernel", "itd", "--simple-prompt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("jupyter console can be run");
    let mut stdin = console.stdin.take().expect("a pipe");
    let _ = stdin.write_all(b"1 + 41\nexit\nprintln!(\"never\")\n");
    let output = console.wait_with_output().expect("it ends");
    let text = itd::reply::strip_colours(&common::text(&output));
    assert!(text.contains("Out[1]: 42"), "{text}");
    assert!(
        !text.contains("Out[2]") && !text.contains("In [3]"),
        "{text}"
    );
    drop(stdin);
}

#[test]
fn a_second_console_joins_a_kernel() {
    let mut kernel = common::client::Kernel::start();
    kernel.run("let shared = 40;");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("connection.json");
    let info = serde_json::to_vec(&kernel.info).expect("JSON");
    std::fs::write(&file, info).expect("a file");
    let mut console = common::python("jupyter")
        .args(["console", "--simple-prompt", "--existing"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("jupyter console can be run");
    let mut stdin = console.stdin.take().expect("a pipe");
    stdin.write_all(b"shared + 2\n").expect("it reads");
    drop(stdin);
    let output = console.wait_with_output().expect("it ends");
    let text = itd::reply::strip_colours(&common::text(&output));
    assert!(text.contains("Out[2]: 42"), "{text}");
    assert_eq!(
        kernel.value("shared + 1"),
        "41",
        "the kernel is still there"
    );
}
