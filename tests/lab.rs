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
/// Notebooks whose sliders are moved each time.
const SLIDERS: &[&str] = &["02_i_mmse.ipynb", "07_variational.ipynb"];
/// A folded solution, as the notebooks have them.
const SOLUTION: &str = "**Exercise.** What is $1 + 1$?\n\n<details>\n<summary>Solution</summary>\n\nIt is 2, or `1 + 1`.\n\n</details>";

/// Runs a script of this folder on JupyterLab in a browser; nothing where there is none.
fn drive(script: &str, prepare: impl FnOnce(&Path), settings: &[(&str, &str)]) {
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
    prepare(folder.path());
    let mut command: Command = common::python("python");
    command
        .arg(common::project().join("tests").join(script))
        .arg(folder.path())
        .arg(browser)
        .envs(settings.iter().copied())
        .current_dir(folder.path());
    if let Some(shots) = std::env::var_os("ITD_SCREENSHOTS") {
        command.arg(Path::new(&shots));
    }
    let output = command.output().expect("Python can be run");
    let text = common::text(&output);
    assert!(output.status.success() && text.ends_with("all\n"), "{text}");
    println!("{text}");
}

#[test]
fn a_person_works_in_jupyterlab() {
    let prepare = |folder: &Path| {
        let path = common::notebook(folder, "lab.ipynb", CELLS);
        let mut notebook = common::read_json(&path);
        let cells = notebook["cells"].as_array_mut().expect("cells");
        cells.push(
            json!({"cell_type": "markdown", "id": "solution", "metadata": {}, "source": SOLUTION}),
        );
        std::fs::write(&path, notebook.to_string()).expect("the notebook can be written");
    };
    drive("lab.py", prepare, &[]);
}

/// With `ITD_SLIDERS=all`, those of all notebooks.
#[test]
fn the_sliders_of_notebooks_move_in_jupyterlab() {
    let all = std::env::var("ITD_SLIDERS").is_ok_and(|value| value == "all");
    let mut count = 0;
    let prepare = |folder: &Path| {
        let notebooks = itd::course::edition::notebooks(&common::project().join("notebooks"));
        for path in notebooks.expect("the notebooks can be read") {
            let name = path.file_name().expect("a name");
            let text = std::fs::read_to_string(&path).expect("a notebook");
            let taken = all || SLIDERS.iter().any(|taken| name == *taken);
            if taken && text.contains("itd-frames") {
                std::fs::write(folder.join(name), text).expect("a copy");
                count += 1;
            }
        }
    };
    // The kernels that JupyterLab starts have nothing to do.
    drive("lab_sliders.py", prepare, &[("ITD_ANALYST", "off")]);
    assert!(count >= SLIDERS.len() || common::browser().is_none());
}
