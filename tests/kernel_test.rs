//! The Jupyter project's own tests for kernels, jupyter_kernel_test.

mod common;

/// Those that must pass: all of them.
const PASS: &[&str] = &[
    "test_clear_output",
    "test_completion",
    "test_display_data",
    "test_error",
    "test_execute_result",
    "test_execute_stderr",
    "test_execute_stdout",
    "test_history",
    "test_inspect",
    "test_is_complete",
    "test_kernel_info",
    "test_pager",
    "test_recv_iopub_welcome_msg",
];

#[test]
fn jupyters_own_tests_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = common::python("python")
        .arg(common::project().join("tests/kernel_test.py"))
        .env(itd::history::VARIABLE, folder.path().join("history.jsonl"))
        .current_dir(folder.path())
        .output()
        .expect("Python can be run");
    let text = common::text(&output);
    let passed = |name: &&str| {
        let mut lines = text.lines();
        lines.any(|line| line.starts_with(&format!("{name} (")) && line.ends_with("... ok"))
    };
    // What is asked of std is known where its sources are.
    let known = common::std_sources();
    let must = PASS.iter().filter(|name| known || **name != "test_inspect");
    let failed: Vec<_> = must.filter(|name| !passed(name)).collect();
    assert!(failed.is_empty(), "{failed:?}: {text}");
    println!("{} of {} pass", PASS.len(), text.matches(" ... ").count());
}
