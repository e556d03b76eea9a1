//! The committed notebooks: complete, small, and right once more from an empty kernel.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use itd::course::exercise::{Level, exercises};
use itd::notebook::file::source;
use serde_json::Value;

/// Most that a notebook may weigh with its outputs, in bytes.
const HEAVIEST: u64 = 400_000;

fn notebooks() -> Vec<PathBuf> {
    let folder = common::project().join("notebooks");
    let entries = std::fs::read_dir(folder).expect("the notebooks").flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "ipynb"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn cells<'a>(notebook: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let cells = notebook["cells"].as_array().expect("cells");
    cells.iter().filter(move |cell| cell["cell_type"] == kind)
}

/// The text of a field that may be a list of lines.
fn text(field: &Value) -> String {
    match field.as_array() {
        Some(lines) => lines.iter().filter_map(Value::as_str).collect(),
        None => field.as_str().unwrap_or_default().to_owned(),
    }
}

#[test]
fn outputs_are_committed_whole_and_small() {
    for path in notebooks() {
        let name = path.display();
        let size = std::fs::metadata(&path).expect("a file").len();
        assert!(size < HEAVIEST, "{name}: {size} bytes");
        let notebook = common::read_json(&path);
        for (number, cell) in (1..).zip(cells(&notebook, "code")) {
            assert_eq!(cell["execution_count"], number, "{name} ran from its start");
            let outputs = cell["outputs"].as_array().expect("outputs");
            let failed = outputs.iter().any(|out| out["output_type"] == "error");
            assert!(!failed, "{name}: cell {number} failed");
        }
    }
}

/// Each exercise is whole, or `exercises` would say what it lacks; and there is one of each kind.
#[test]
fn exercises_of_all_levels_are_there() {
    for path in notebooks() {
        let name = path.display();
        let notebook = itd::notebook::read(&path).expect("a notebook");
        let all = exercises(&notebook).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        let levels: BTreeSet<Level> = all.iter().map(|exercise| exercise.level).collect();
        let missing: Vec<_> = Level::ALL
            .into_iter()
            .filter(|level| !levels.contains(level))
            .collect();
        assert!(missing.is_empty(), "{name} has no exercise of {missing:?}");
        let before: Vec<String> = notebook.cells[..all[0].cell].iter().map(source).collect();
        let mut headings = before.iter().flat_map(|text| text.lines());
        let heading = headings.rfind(|line| line.starts_with("## "));
        assert!(
            heading.is_some_and(|heading| heading.trim() == "## Exercises"),
            "{name}: exercises stand under `## Exercises`"
        );
    }
}

/// How many notebooks run at the same time: while one compiles a cell, another computes.
const AT_ONCE: usize = 2;

#[test]
fn notebooks_run_from_an_empty_kernel() {
    let mut all = notebooks();
    all.push(common::project().join("docs/course/exams.ipynb"));
    let left = std::sync::Mutex::new(all.into_iter());
    let next = || left.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(path) = next() {
                    runs_from_an_empty_kernel(&path);
                }
            });
        }
    });
}

/// With the solutions of the exercises, which are cells of it.
fn runs_from_an_empty_kernel(path: &Path) {
    let name = path.display();
    let notebook = common::read_json(path);
    if let Some(remedy) = common::missing_data(&notebook) {
        println!("{name}: skipped, {remedy} to run it");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What it reads lies where it lies in the project.
    let place = folder.path().join("notebooks");
    std::fs::create_dir(&place).expect("a folder");
    let copy = place.join("notebook.ipynb");
    for read in ["docs", "notebooks/weights"] {
        let link = folder.path().join(read);
        std::os::unix::fs::symlink(common::project().join(read), link).expect("a link");
    }
    std::fs::copy(path, &copy).expect("a copy");
    let output = common::python("jupyter")
        .args(["nbconvert", "--to", "notebook", "--execute"])
        .args(["--output", "executed.ipynb"])
        .arg(&copy)
        .output()
        .expect("nbconvert can be run");
    let said = itd::reply::strip_colours(&common::text(&output));
    assert!(output.status.success(), "{name}: {said}");

    // What it shows is of the same kinds as what is committed.
    let executed = common::read_json(&place.join("executed.ipynb"));
    let kinds = |notebook: &Value| -> Vec<Vec<String>> {
        cells(notebook, "code").map(output_kinds).collect()
    };
    assert_eq!(kinds(&executed), kinds(&notebook), "{name}");
}

fn output_kinds(cell: &Value) -> Vec<String> {
    let outputs = cell["outputs"].as_array().expect("outputs").iter();
    // Whether a bar shows is a matter of time, too, and of what an earlier run has kept on disk.
    let outputs = outputs.filter(|output| !text(&output["data"]["text/plain"]).contains('█'));
    let types = outputs.map(|output| match output["data"].as_object() {
        Some(data) => data.keys().cloned().collect::<Vec<_>>().join(" "),
        None => output["output_type"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    });
    let mut kinds: Vec<String> = types.collect();
    // A cell that prints now and then is told in as many pieces as it takes, which is a matter of time.
    kinds.dedup_by(|a, b| a == b && a == "stream");
    kinds
}

/// What the README shows is what the quickstart drew.
#[test]
fn the_picture_of_the_readme_is_the_quickstarts() {
    let picture = std::fs::read_to_string(common::project().join("docs/curve.svg"));
    let picture = picture.expect("the picture");
    let path = common::project().join("notebooks/01_quickstart.ipynb");
    let quickstart = common::read_json(&path);
    let drawn = cells(&quickstart, "code")
        .flat_map(|cell| cell["outputs"].as_array().expect("outputs"))
        .any(|output| text(&output["data"]["image/svg+xml"]).trim() == picture.trim());
    assert!(drawn, "take docs/curve.svg from the notebook's output");
}
