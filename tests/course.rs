//! The editions of the course, with nbgrader itself; the slides; the table of reading times.
//!
//! `ITD_COURSE=all` takes all notebooks where a small one serves otherwise, which takes as long as they run, three times;
//! `ITD_COURSE=02_i_mmse,03_density` takes these. With `ITD_COURSE=small`, or any other, nbgrader grades the small one.
//! `ITD_WRITE_RESULTS=1` writes the table of times anew.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use itd::course::edition::notebooks;
use itd::course::times;
use itd::python::{self, Environment};
use serde_json::{Value, json};

/// Longest that the text of a notebook may take to read, in minutes.
const LONGEST: f64 = 45.0;

fn cell(kind: &str, id: &str, tags: &[&str], source: &str) -> Value {
    let mut cell =
        json!({"cell_type": kind, "id": id, "metadata": {"tags": tags}, "source": source});
    if kind == "code" {
        cell["execution_count"] = json!(1);
        cell["outputs"] = json!([{"output_type": "stream", "name": "stdout", "text": "seen\n"}]);
    }
    if kind == "code" && tags.contains(&"solution") {
        cell["metadata"]["jupyter"] = json!({"source_hidden": true});
    }
    cell
}

/// A folder like that of the project, with one small notebook that has exercises of each kind.
fn small_course() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let mut dear = cell(
        "code",
        "ex1-check",
        &["check"],
        "check!(close(half, 0.5, 1e-9));",
    );
    dear["metadata"]["points"] = json!(2);
    let cells = [
        cell(
            "markdown",
            "title",
            &[],
            "# A coin\n\nSee [b](b.ipynb#there) and [words](../docs/words.md#coin).",
        ),
        cell(
            "code",
            "c1",
            &[],
            "let coin = Scalar::coin();\nlet known = std::fs::read_to_string(\"../docs/words.md\")?.len();",
        ),
        cell(
            "markdown",
            "ex1",
            &["exercise"],
            "### Exercise 1 · Half (compute)\n\nCompute it.",
        ),
        cell(
            "markdown",
            "ex1-hint",
            &["hint"],
            "<details><summary>Hint</summary>\n\nHalve one.\n\n</details>",
        ),
        cell(
            "code",
            "ex1-solution",
            &["solution"],
            "let half: f64 = {\n    // BEGIN SOLUTION\n    let secret = 1.0;\n    secret / 2.0\n    // END SOLUTION\n};",
        ),
        dear,
        cell(
            "markdown",
            "ex2",
            &["exercise"],
            "### Exercise 2 · A function (compute)",
        ),
        cell(
            "code",
            "ex2-solution",
            &["solution"],
            "fn twice(x: f64) -> f64 {\n    // BEGIN SOLUTION\n    let secret = x;\n    secret + x\n    // END SOLUTION\n}",
        ),
        cell(
            "code",
            "ex2-check",
            &["check"],
            "check!(close(twice(2.0), 4.0, 1e-9));",
        ),
        cell(
            "markdown",
            "ex3",
            &["exercise"],
            "### Exercise 3 · Why (recall)",
        ),
        cell(
            "markdown",
            "ex3-solution",
            &["solution"],
            "<details><summary>Solution</summary>\n\nThe secret.\n\n</details>",
        ),
        cell(
            "markdown",
            "ex4",
            &["exercise"],
            "### Exercise 4 · Try (explore)",
        ),
        cell("code", "ex4-solution", &["solution"], "let secret = 7;"),
        cell("code", "c2", &[], "println!(\"{known} bytes\");"),
    ];
    let spec = json!({"name": "itd", "display_name": "Rust (itd)", "language": "rust"});
    let whole = |cells: &[Value]| {
        json!({"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}).to_string()
    };
    for (path, text) in [
        ("notebooks/a.ipynb", whole(&cells)),
        (
            "notebooks/b.ipynb",
            whole(&[cell("markdown", "there", &[], "# There")]),
        ),
        ("docs/words.md", "# Coin\n".to_owned()),
        (
            "docs/course/notes/a.md",
            "# Notes for a\n\nThe secret of teaching.\n".to_owned(),
        ),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

fn course(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = common::itd(&["course"]);
    command.args(arguments).current_dir(folder);
    command.output().expect("itd can be run")
}

/// Makes an edition; gives the notebook `a` of it.
fn made(folder: &Path, edition: &str, place: &str) -> Value {
    let output = course(folder, &[edition]);
    assert!(output.status.success(), "{}", common::text(&output));
    common::read_json(&folder.join("course").join(edition).join(place))
}

fn by_id<'a>(notebook: &'a Value, id: &str) -> &'a Value {
    let cells = notebook["cells"].as_array().expect("cells");
    cells
        .iter()
        .find(|cell| cell["id"] == id)
        .unwrap_or_else(|| panic!("{id} is there"))
}

fn source(cell: &Value) -> String {
    match cell["source"].as_array() {
        Some(lines) => lines.iter().filter_map(Value::as_str).collect(),
        None => cell["source"].as_str().unwrap_or_default().to_owned(),
    }
}

#[test]
fn students_get_blanks_and_no_solutions() {
    let folder = small_course();
    let output = course(folder.path(), &["student"]);
    let text = common::text(&output);
    assert!(
        text.contains("2 notebooks, 4 exercises; 3 points by checks, 2 by reading"),
        "{text}"
    );
    let edition = folder.path().join("course/student");
    let notebook = common::read_json(&edition.join("a.ipynb"));
    assert!(!notebook.to_string().contains("secret"), "{notebook}");
    assert_eq!(
        source(by_id(&notebook, "ex1-solution")),
        "let half: f64 = {\n    // YOUR CODE HERE\n    todo!()\n};"
    );
    assert_eq!(source(by_id(&notebook, "ex3-solution")), "YOUR ANSWER HERE");
    assert_eq!(
        source(by_id(&notebook, "ex4-solution")),
        "// YOUR CODE HERE\ntodo!()"
    );
    for (id, outputs) in [("c1", 1), ("ex1-solution", 0), ("ex1-check", 0), ("c2", 1)] {
        let shown = by_id(&notebook, id)["outputs"]
            .as_array()
            .expect("outputs")
            .len();
        assert_eq!(shown, outputs, "{id}");
    }
    assert_eq!(
        by_id(&notebook, "ex1-solution")["metadata"]["jupyter"],
        Value::Null,
        "it is not folded"
    );
    let mark = |id: &str| by_id(&notebook, id)["metadata"]["nbgrader"].clone();
    assert_eq!(
        mark("ex1-check"),
        json!({"schema_version": 3, "grade_id": "ex1-check", "grade": true, "solution": false, "locked": true,
            "task": false, "points": 2, "cell_type": "code"})
    );
    assert_eq!(
        mark("ex1-solution"),
        json!({"schema_version": 3, "grade_id": "ex1-solution", "grade": false, "solution": true, "locked": false,
            "task": false, "cell_type": "code"})
    );
    assert_eq!(
        (
            &mark("ex3-solution")["grade"],
            &mark("ex3-solution")["points"]
        ),
        (&json!(true), &json!(1))
    );
    // It stands alone: what the notebook names comes with it.
    assert_eq!(
        source(by_id(&notebook, "title")),
        "# A coin\n\nSee [b](b.ipynb#there) and [words](docs/words.md#coin)."
    );
    assert!(source(by_id(&notebook, "c1")).contains("\"docs/words.md\""));
    assert!(edition.join("docs/words.md").is_file() && edition.join("b.ipynb").is_file());
    assert_eq!(notebook["metadata"]["kernelspec"]["name"], "itd");

    let again = course(folder.path(), &["student"]);
    let text = common::text(&again);
    assert!(
        !again.status.success() && text.contains("is there already: remove it"),
        "{text}"
    );
}

#[test]
fn who_teaches_gets_notes_and_who_is_done_open_solutions() {
    let folder = small_course();
    let notebook = made(folder.path(), "instructor", "source/a/a.ipynb");
    assert_eq!(
        source(&notebook["cells"][0]),
        "# Notes for a\n\nThe secret of teaching."
    );
    assert!(
        source(by_id(&notebook, "ex1-solution"))
            .contains("// BEGIN SOLUTION\n    let secret = 1.0;")
    );
    assert!(source(by_id(&notebook, "title")).contains("(../b/b.ipynb#there)"));
    assert!(
        folder
            .path()
            .join("course/instructor/source/a/docs/words.md")
            .is_file()
    );
    assert!(
        folder
            .path()
            .join("course/instructor/nbgrader_config.py")
            .is_file()
    );

    let notebook = made(folder.path(), "solutions", "a.ipynb");
    assert!(!notebook.to_string().contains("teaching"), "{notebook}");
    assert!(source(by_id(&notebook, "ex3-solution")).starts_with("<details open>"));
    assert_eq!(
        by_id(&notebook, "ex1-solution")["metadata"]["jupyter"],
        Value::Null
    );
}

/// Changes the cell of this id in the notebook of the small course.
fn change(folder: &Path, id: &str, with: impl Fn(&mut Value)) {
    let path = folder.join("notebooks/a.ipynb");
    let mut notebook = common::read_json(&path);
    let cells = notebook["cells"].as_array_mut().expect("cells");
    let cell = cells.iter_mut().find(|cell| cell["id"] == id);
    with(cell.expect("a cell"));
    std::fs::write(&path, notebook.to_string()).expect("a notebook");
}

#[test]
fn students_get_no_answers_by_other_ways() {
    let folder = small_course();
    let root = folder.path();
    change(root, "ex3-solution", |cell| {
        cell["attachments"] = json!({"sol.png": {"image/png": "c2VjcmV0"}});
    });
    change(root, "title", |cell| {
        cell["source"] = json!("# A coin\n\n[words](../docs/words.md) [p](../docs/my%20plot.png)");
    });
    std::fs::write(
        root.join("docs/words.md"),
        "# Words\n\n**A.** Why?\n\n*Answer.* It is secret.\n",
    )
    .expect("a text");
    std::fs::write(root.join("docs/my plot.png"), "picture").expect("a picture");
    let mut answers = cell("markdown", "c0", &["answers"], "# The secret numbers");
    answers["metadata"]["tags"] = json!(["answers"]);
    let spec = json!({"name": "itd", "display_name": "Rust (itd)", "language": "rust"});
    let exams = json!({"cells": [answers], "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5});
    std::fs::write(root.join("notebooks/exams.ipynb"), exams.to_string()).expect("a notebook");
    for edition in ["student", "solutions"] {
        let text = common::text(&course(root, &[edition]));
        assert!(
            text.contains("left out, for they hold answers: exams"),
            "{text}"
        );
        let made = root.join("course").join(edition);
        assert!(!made.join("exams.ipynb").exists() && made.join("docs/my plot.png").is_file());
        let words = std::fs::read_to_string(made.join("docs/words.md")).expect("a text");
        assert!(
            words.contains("Why?") && !words.contains("secret"),
            "{words}"
        );
    }
    let student = common::read_json(&root.join("course/student/a.ipynb"));
    assert!(!student.to_string().contains("c2VjcmV0"), "{student}");
    assert!(source(by_id(&student, "title")).contains("docs/my%20plot.png"));
    assert!(common::text(&course(root, &["instructor"])).contains("3 notebooks"));
}

#[test]
fn a_solution_without_its_tag_and_points_in_a_wrong_place_are_faults() {
    for (id, field, value, told) in [
        (
            "ex4-solution",
            "tags",
            json!([]),
            "it has no tag `solution`",
        ),
        (
            "ex3-solution",
            "points",
            json!(2.5),
            "write a whole number above 0",
        ),
        (
            "ex1-solution",
            "points",
            json!(5),
            "which count by its check",
        ),
    ] {
        let folder = small_course();
        change(folder.path(), id, |cell| {
            cell["metadata"][field] = value.clone()
        });
        let output = course(folder.path(), &["student"]);
        let text = common::text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_fault_is_told_with_file_and_cell_and_leaves_nothing() {
    let folder = small_course();
    let path = folder.path().join("notebooks/a.ipynb");
    let text = std::fs::read_to_string(&path).expect("a notebook");
    std::fs::write(&path, text.replace("// END SOLUTION", "// end")).expect("a notebook");
    let output = course(folder.path(), &["student"]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for told in [
        "a.ipynb, cell ex1-solution: the solution of line 2 has no end",
        "a.ipynb, cell ex2-solution: the solution of line 2 has no end",
    ] {
        assert!(text.contains(told), "{text}");
    }
    let left = std::fs::read_dir(folder.path().join("course"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0, "nothing is written by halves");
}

/// nbgrader, in an environment of its own; none without Python.
fn grader() -> Option<Environment> {
    if let Err(error) = python::python() {
        println!("skipped: {error}");
        return None;
    }
    common::prelude();
    let environment = Environment::grading(common::project(), common::program(), &|_| {});
    Some(environment.expect("the environment with nbgrader can be made"))
}

fn nbgrader(environment: &Environment, folder: &Path, arguments: &[&str]) -> (bool, String) {
    // It calls `alembic`, which lies beside it.
    let mut path = vec![environment.folder().join("bin")];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let output = Command::new(environment.program("nbgrader"))
        .args(arguments)
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .env(itd::history::VARIABLE, "off")
        // It finds the kernel, and writes nothing into the user's folders.
        .env(
            "JUPYTER_DATA_DIR",
            environment.folder().join("share/jupyter"),
        )
        .env("JUPYTER_CONFIG_DIR", folder.join("config"))
        .output()
        .expect("nbgrader can be run");
    (
        output.status.success(),
        itd::reply::strip_colours(&common::text(&output)),
    )
}

fn put(from: &Path, folder: PathBuf) {
    std::fs::create_dir_all(&folder).expect("a folder");
    let name = from.file_name().expect("a name");
    std::fs::copy(from, folder.join(name)).expect("a copy");
}

/// What a student's edition says in each cell: id, text, and mark, but for what nbgrader adds in releasing it.
fn told(notebook: &Value) -> Vec<(Value, String, Value)> {
    // In nbgrader's folders each notebook has a folder of its own.
    let elsewhere = regex::Regex::new(r"\.\./\w+/(\w+\.ipynb)").expect("a valid expression");
    let cells = notebook["cells"].as_array().expect("cells").iter();
    let cells = cells.map(|cell| {
        let mut mark = cell["metadata"]["nbgrader"].clone();
        if let Some(mark) = mark.as_object_mut() {
            mark.remove("checksum");
            mark.remove("points");
        }
        let source = elsewhere.replace_all(&source(cell), "$1").into_owned();
        (cell["id"].clone(), source, mark)
    });
    cells.collect()
}

#[test]
fn nbgrader_takes_the_editions() {
    let Some(environment) = grader() else { return };
    let folder = small_course();
    for edition in ["student", "instructor", "solutions"] {
        let output = course(folder.path(), &[edition]);
        assert!(output.status.success(), "{}", common::text(&output));
    }
    let home = folder.path().join("course/instructor");
    let run = |arguments: &[&str]| nbgrader(&environment, &home, arguments);

    // It has nothing against the edition with the solutions.
    let (ended, text) = run(&["validate", "source/a/a.ipynb"]);
    assert!(
        ended && text.contains("Success! Your notebook passes all the tests."),
        "{text}"
    );

    // What it makes for students is what we make for them.
    let (ended, text) = run(&["generate_assignment", "a"]);
    assert!(ended, "{text}");
    let released = common::read_json(&home.join("release/a/a.ipynb"));
    assert!(!released.to_string().contains("secret"), "{released}");
    let ours = common::read_json(&folder.path().join("course/student/a.ipynb"));
    assert_eq!(told(&ours), told(&released));
    if std::env::var_os("ITD_COURSE").is_none() {
        println!("not graded: ITD_COURSE is not set");
        return;
    }

    // All points that can be given without reading to who hands in the solutions, none to who hands in blanks.
    for (name, edition) in [("ada", "solutions"), ("bob", "student")] {
        let from = folder.path().join("course").join(edition).join("a.ipynb");
        put(&from, home.join("submitted").join(name).join("a"));
    }
    let (ended, text) = run(&["autograde", "a"]);
    assert!(ended, "{text}");
    let (ended, text) = run(&["export"]);
    assert!(ended, "{text}");
    let grades = std::fs::read_to_string(home.join("grades.csv")).expect("grades");
    let mut lines = grades
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().expect("a head");
    let column = |name: &str| {
        names
            .iter()
            .position(|other| *other == name)
            .expect("a column")
    };
    let (student, score, most) = (
        column("student_id"),
        column("raw_score"),
        column("max_score"),
    );
    let grades: Vec<_> = lines
        .map(|line| (line[student], line[score].parse(), line[most].parse()))
        .collect();
    assert_eq!(
        grades,
        [("ada", Ok(3.0), Ok(5.0)), ("bob", Ok(0.0), Ok(5.0))]
    );
}

/// The notebooks that `ITD_COURSE` names, and the folder that they are in.
fn chosen() -> Vec<PathBuf> {
    let all = notebooks(&common::project().join("notebooks")).expect("the notebooks");
    let wanted = std::env::var("ITD_COURSE").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').collect();
    let chosen = all.into_iter().filter(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        wanted.contains(&"all") || wanted.contains(&&*name)
    });
    chosen.collect()
}

/// Makes an edition of notebooks in a folder of its own.
fn edition_of(paths: &[PathBuf], edition: &str, folder: &Path) -> PathBuf {
    let output = folder.join(edition);
    let mut command = common::itd(&["course", edition]);
    let done = command
        .args(paths)
        .arg("--output")
        .arg(&output)
        .output()
        .expect("itd can be run");
    assert!(done.status.success(), "{}", common::text(&done));
    output
}

/// Id and source of each code cell, with the files that it names as an edition has them.
fn code_of(notebook: &Path) -> Vec<(String, String)> {
    let notebook = common::read_json(notebook);
    let cells = notebook["cells"].as_array().expect("cells").iter();
    let cells = cells.filter(|cell| cell["cell_type"] == "code");
    let code = cells.map(|cell| {
        let id = cell["id"].as_str().expect("an id").to_owned();
        (id, source(cell).replace("\"../", "\""))
    });
    code.collect()
}

/// Who runs a notebook has run its editions: tests/notebooks.rs runs each with its solutions.
#[test]
fn an_edition_has_the_code_of_its_notebook() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = notebooks(&common::project().join("notebooks")).expect("the notebooks");
    let [student, instructor, solutions] = ["student", "instructor", "solutions"]
        .map(|edition| edition_of(&paths, edition, folder.path()));
    let quoted = regex::Regex::new(r#""([\w./-]+)""#).expect("a valid expression");
    for path in &paths {
        let file = path.file_name().expect("a name");
        let name = path.file_stem().expect("a name").to_string_lossy();
        let of_teacher = instructor.join("source").join(&*name);
        let own = code_of(path);
        assert!(own == code_of(&solutions.join(file)), "{name}: solutions");
        assert!(own == code_of(&of_teacher.join(file)), "{name}: instructor");

        // A student's differs where there is a blank, and only there.
        let given = code_of(&student.join(file));
        assert_eq!(given.len(), own.len(), "{name}");
        let differing = own.iter().zip(&given).filter(|(own, given)| own != given);
        let mut blanks = 0;
        for ((id, _), (other, text)) in differing {
            assert!(
                id == other && id.contains("-solution") && text.contains("todo!()"),
                "{name}: {id}"
            );
            blanks += 1;
        }
        let solutions_in_code = own.iter().filter(|(id, _)| id.contains("-solution"));
        assert!(
            blanks > 0 && blanks == solutions_in_code.count(),
            "{name}: {blanks} blanks"
        );

        // What the code reads is there.
        let here = path.parent().expect("a folder");
        for (id, text) in code_of(path) {
            for found in quoted.captures_iter(&text) {
                let there = |folder: &Path| folder.join(&found[1]).is_file();
                if there(here) || there(common::project()) {
                    for edition in [&student, &of_teacher, &solutions] {
                        assert!(there(edition), "{name}, {id}: {} in {edition:?}", &found[1]);
                    }
                }
            }
        }
    }
}

#[test]
fn a_students_edition_is_right_up_to_the_first_blank() {
    common::prelude();
    let folder = small_course();
    let mut paths = vec![folder.path().join("notebooks/a.ipynb")];
    paths.extend(chosen());
    let edition = edition_of(&paths, "student", folder.path());
    for path in &paths {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if let Some(remedy) = common::missing_data(&common::read_json(path)) {
            println!("{name}: skipped, {remedy} to run it");
            continue;
        }
        let executed = folder.path().join("executed");
        let output = common::itd(&["run", "--no-html", "--output-dir"])
            .arg(&executed)
            .arg(edition.join(&name))
            .output()
            .expect("itd can be run");
        let text = common::text(&output);
        let notebook = common::read_json(&executed.join(&name));
        let cells = notebook["cells"].as_array().expect("cells");
        let blank = |cell: &Value| source(cell).contains("todo!()");
        let failed = |cell: &Value| {
            let mut outputs = cell["outputs"].as_array().into_iter().flatten();
            outputs.any(|output| output["output_type"] == "error")
        };
        let (first, wrong) = (cells.iter().position(blank), cells.iter().position(failed));
        let Some(first) = first else {
            assert!(output.status.success(), "{name}: {text}");
            continue;
        };
        assert_eq!(
            output.status.code(),
            Some(1),
            "{name}: a blank is no solution: {text}"
        );
        assert!(text.contains("not yet implemented"), "{name}: {text}");
        assert!(
            wrong.is_some_and(|wrong| wrong >= first),
            "{name}: {wrong:?} before {first}: {text}"
        );
        println!("{name}: right up to cell {first}, the first blank");
    }
}

/// With `ITD_COURSE`: the other two editions as a whole, one by nbgrader and one by `itd run`.
#[test]
fn the_other_editions_run() {
    let paths = chosen();
    if paths.is_empty() {
        println!("skipped: ITD_COURSE names no notebook");
        return;
    }
    let Some(environment) = grader() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let instructor = edition_of(&paths, "instructor", folder.path());
    let solutions = edition_of(&paths, "solutions", folder.path());
    for path in &paths {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if let Some(remedy) = common::missing_data(&common::read_json(path)) {
            println!("{name}: skipped, {remedy} to run it");
            continue;
        }
        let begin = std::time::Instant::now();
        let source = format!("source/{name}/{name}.ipynb");
        let (ended, text) = nbgrader(&environment, &instructor, &["validate", &source]);
        assert!(ended && text.contains("Success!"), "{name}: {text}");
        let validated = begin.elapsed();
        let output = common::itd(&["run", "--no-html"])
            .arg(solutions.join(format!("{name}.ipynb")))
            .output()
            .expect("itd can be run");
        assert!(output.status.success(), "{name}: {}", common::text(&output));
        println!(
            "{name}: validated in {:.0} s, solutions run in {:.0} s",
            validated.as_secs_f64(),
            (begin.elapsed() - validated).as_secs_f64()
        );
    }
}

#[test]
fn no_notebook_takes_longer_to_read_than_a_lesson() {
    let paths = notebooks(&common::project().join("notebooks")).expect("the notebooks");
    let all = times::of_files(&paths).expect("times");
    let long = all.iter().filter(|one| one.reading().round() > LONGEST);
    let long: Vec<_> = long
        .map(|one| format!("{}: {:.0} min", one.name, one.reading()))
        .collect();
    assert!(
        long.is_empty(),
        "split what takes more than {LONGEST} min to read: {long:?}"
    );

    const BEGIN: &str = "<!-- times -->\n";
    const END: &str = "<!-- /times -->";
    let path = common::project().join("docs/course/syllabus.md");
    let text = std::fs::read_to_string(&path).expect("the syllabus");
    let (before, rest) = text.split_once(BEGIN).expect("the table's begin");
    let (table, after) = rest.split_once(END).expect("the table's end");
    let now = format!("{}\n\n{}", times::RULE, times::table(&all));
    if std::env::var_os("ITD_WRITE_RESULTS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{now}{END}{after}")).expect("the syllabus");
        return;
    }
    assert_eq!(
        table, now,
        "write it anew: ITD_WRITE_RESULTS=1 cargo test --release --test course"
    );
}

#[test]
fn the_talk_has_all_its_figures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("talk.html");
    let output = common::itd(&["course", "slides", "--output"])
        .arg(&page)
        .current_dir(common::project())
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let page = std::fs::read_to_string(page).expect("a page");
    let talk =
        std::fs::read_to_string(common::project().join("docs/course/talk.md")).expect("the talk");
    assert_eq!(
        page.matches("<figure>").count(),
        talk.matches("](figure:").count()
    );
    assert!(
        page.contains("<math") && !page.contains("class=\"unread\""),
        "each formula can be read"
    );
}
