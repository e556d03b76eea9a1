//! What the tests share: the program, the prelude, the Python environment, notebooks, and a client.
#![allow(dead_code)] // each test file uses a part of it

pub mod client;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use itd::python::Environment;

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test; `ITD_PROGRAM` names another, such as a copy that a build does not replace.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("ITD_PROGRAM") {
        Some(program) => program.into(),
        None => env!("CARGO_BIN_EXE_itd").into(),
    })
}

/// `itd` with arguments. What tests type is not for the user's history.
pub fn itd<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env(itd::history::VARIABLE, "off");
    command
}

/// A Chromium that can be run.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.find(|place| place.is_file())
}

/// Installs packages beside this Python's own, which are no part of the environment that users get; whether it could.
pub fn pip_install(mut python: Command, packages: &[&str]) -> bool {
    let words = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let done = python.args(words).args(packages).status();
    done.is_ok_and(|status| status.success())
}

/// A program of the project's Python environment, such as `jupyter`.
pub fn python(program: &str) -> Command {
    let mut command = Command::new(environment().program(program));
    command.env(itd::history::VARIABLE, "off");
    command
}

/// Builds the prelude, once for all tests of a process; others wait for it.
pub fn prelude() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let output = itd(&["prelude", "build"]).output().expect("itd can be run");
        assert!(
            output.status.success(),
            "the prelude builds: {}",
            text(&output)
        );
    });
}

/// The project's Python environment with this kernel in it.
pub fn environment() -> &'static Environment {
    static READY: OnceLock<Environment> = OnceLock::new();
    READY.get_or_init(|| {
        prelude();
        Environment::ensure(project(), program(), &|_| {})
            .expect("the Python environment can be made")
    })
}

/// All that a program has printed.
pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Writes a notebook of code cells.
pub fn notebook(folder: &Path, name: &str, cells: &[&str]) -> PathBuf {
    let cells: Vec<_> = cells
        .iter()
        .enumerate()
        .map(|(index, source)| {
            serde_json::json!({
                "cell_type": "code", "id": format!("cell-{index}"), "metadata": {}, "execution_count": null,
                "outputs": [], "source": source,
            })
        })
        .collect();
    let spec = serde_json::json!({"name": "itd", "display_name": "Rust (itd)", "language": "rust"});
    let notebook = serde_json::json!({"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5});
    let path = folder.join(name);
    std::fs::write(&path, notebook.to_string()).expect("a temporary folder can be written to");
    path
}

/// Reads a notebook as JSON.
pub fn read_json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).expect("the notebook is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Data that a notebook reads and that are not downloaded for a test: what to do to have them.
pub fn missing_data(notebook: &serde_json::Value) -> Option<&'static str> {
    let code = notebook["cells"].as_array().expect("cells").iter();
    let code: String = code
        .filter(|cell| cell["cell_type"] == "code")
        .map(|cell| cell["source"].to_string())
        .collect();
    // Where Debian's package has it.
    let fashion = Path::new("/usr/share/datasets/fashion-mnist");
    if code.contains("fashion_mnist()") && !fashion.is_dir() {
        return Some("install dataset-fashion-mnist");
    }
    (code.contains("ml_100k()") && !has_ratings()).then_some("run `itd fetch ml-100k`")
}

/// Whether MovieLens-100k lies where `ITD_DATA` says, or where `itd fetch ml-100k` puts it.
fn has_ratings() -> bool {
    const WHEEL: &str = "recbole-1.2.1-py3-none-any.whl";
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = folder("ITD_DATA").map(PathBuf::from).into_iter();
    let named = named
        .flat_map(|folder| ["", WHEEL, "ml-100k/u.data", "u.data"].map(|name| folder.join(name)));
    let own = folder("ITD_CACHE").map(PathBuf::from);
    let own = own.or_else(|| Some(dirs::cache_dir()?.join("itd")));
    let own = own.map(|cache| cache.join("data").join(WHEEL));
    named.chain(own).any(|path| path.is_file())
}

/// Whether std can be completed here: its sources are there, or can be fetched.
pub fn std_sources() -> bool {
    let toolchain = itd::toolchain::Toolchain::find().expect("a compiler");
    let library = itd::analysis::library(&toolchain);
    if !library.is_dir() {
        let _ = Command::new("rustup")
            .args(["component", "add", "rust-src"])
            .status();
    }
    if !library.is_dir() {
        println!("skipped: rustup's component rust-src is not there and cannot be fetched");
    }
    library.is_dir()
}
