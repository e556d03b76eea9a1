//! The kernel behind the real `jupyter console`.

mod common;

use std::io::Write;
use std::process::Stdio;

#[test]
fn a_session_in_jupyter_console() {
    let mut console = common::python("jupyter")
        .args(["console", "--kernel", "itd", "--simple-prompt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("jupyter console can be run");
    let cells = "let x = 20;\nprintln!(\"printed\"); x * 2 + 2\n\"seven\".parse::<i32>()?\nx\n";
    let mut stdin = console.stdin.take().expect("a pipe");
    stdin.write_all(cells.as_bytes()).expect("it reads");
    drop(stdin); // the end of input ends the console
    let output = console.wait_with_output().expect("it ends");
    let text = itd::reply::strip_colours(&common::text(&output));
    for part in [
        "information-theoretic diffusion in Rust",
        "printed",
        "Out[2]: 42",
        "ParseIntError: invalid digit found in string",
        "cell [3]:1:1",
        "Out[4]: 20",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}
