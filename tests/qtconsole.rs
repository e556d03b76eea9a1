//! The kernel behind the real qtconsole, without a screen; skipped with a message where it is not installed.

mod common;

#[test]
fn a_session_in_qtconsole() {
    // Qt is as large as all of Jupyter, so it is no part of the project's environment:
    // `.venv/bin/pip install qtconsole PyQt6`.
    let there = common::python("python")
        .args(["-c", "import qtconsole.rich_jupyter_widget"])
        .env("QT_QPA_PLATFORM", "offscreen")
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("skipped: qtconsole and a Qt for Python are not in .venv");
        return;
    }
    if !common::std_sources() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = common::python("python");
    command
        .arg(common::project().join("tests/qt_console.py"))
        .current_dir(folder.path());
    if let Some(shots) = std::env::var_os("ITD_SCREENSHOTS") {
        command.arg(shots);
    }
    let output = command.output().expect("Python can be run");
    let text = common::text(&output);
    assert!(
        output.status.success() && text.contains("\nall\n"),
        "{text}"
    );
}
