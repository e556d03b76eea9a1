//! What VS Code's Jupyter extension sends, over the wire: its messages in its order. The extension itself needs an editor
//! with a window, which is not there.

mod common;

#[test]
fn the_messages_of_vs_codes_extension_are_answered_as_it_wants_them() {
    if !common::std_sources() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = common::python("python")
        .arg(common::project().join("tests/vscode.py"))
        .arg(folder.path())
        .output()
        .expect("Python can be run");
    let text = common::text(&output);
    assert!(output.status.success() && text.ends_with("all\n"), "{text}");
}
