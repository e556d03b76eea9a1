//! The exercises of a notebook, found by the tags and ids of their cells, and what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use nbformat::v4::{Cell, Notebook};
use regex::Regex;

use crate::notebook::file;
use crate::notebook::run::has_tag;

/// The line of a solution at which the part begins that students write.
pub const BEGIN: &str = "// BEGIN SOLUTION";
/// The line at which it ends.
pub const END: &str = "// END SOLUTION";
/// What any line with a marker holds; nbgrader looks for no more.
const MARKS: [&str; 2] = ["BEGIN SOLUTION", "END SOLUTION"];
/// What stands in the place of code that students write.
pub const CODE_STUB: &str = "// YOUR CODE HERE\ntodo!()";
/// What stands in the place of words that students write.
pub const TEXT_STUB: &str = "YOUR ANSWER HERE";

/// What an exercise asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Say what was read.
    Recall,
    /// Write code whose result is checked.
    Compute,
    /// Prove a formula.
    Derive,
    /// Change something and say what happens.
    Explore,
    /// Work for an hour or more.
    Project,
}

impl Level {
    /// All of them, the easiest first.
    pub const ALL: [Self; 5] = [
        Self::Recall,
        Self::Compute,
        Self::Derive,
        Self::Explore,
        Self::Project,
    ];

    /// The word in the brackets of the exercise's heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Compute => "compute",
            Self::Derive => "derive",
            Self::Explore => "explore",
            Self::Project => "project",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An exercise; its cells are named by their places in the notebook.
#[derive(Debug, Clone)]
pub struct Exercise {
    pub number: usize,
    pub title: String,
    pub level: Level,
    /// The cell that states it.
    pub cell: usize,
    pub hints: Vec<usize>,
    pub solutions: Vec<usize>,
    pub checks: Vec<usize>,
}

/// What is wrong with a cell, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The id of the cell.
    pub cell: String,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cell {}: {}", self.cell, self.what)
    }
}

/// A part of an exercise, by its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Statement,
    Hint,
    Solution,
    Check,
}

impl Part {
    const ALL: [Self; 4] = [Self::Statement, Self::Hint, Self::Solution, Self::Check];

    fn tag(self) -> &'static str {
        match self {
            Self::Statement => "exercise",
            Self::Hint => "hint",
            Self::Solution => "solution",
            Self::Check => "check",
        }
    }

    /// The part that a cell is.
    fn of(cell: &Cell) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|part| has_tag(cell, part.tag()))
    }
}

static HEADING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^### Exercise (\d+) · (.+) \((\w+)\)$"));
static ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ex(\d+)(?:-(hint|solution|check)\d*)?$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// The exercises of a notebook, in order; none where no cell has their tags.
///
/// # Errors
/// All that is wrong with their cells.
pub fn exercises(notebook: &Notebook) -> Result<Vec<Exercise>, Vec<Fault>> {
    let mut all: BTreeMap<usize, Exercise> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, cell) in notebook.cells.iter().enumerate() {
        let source = file::source(cell);
        let part = Part::of(cell);
        let done = match part {
            None if marks(&source) => Err(format!(
                "it has a line with {BEGIN:?} or {END:?} and no tag `solution`: add the tag, or take the line out"
            )),
            None => untagged(cell),
            Some(part) => add(&mut all, part, index, cell, &source),
        };
        faults.extend(done.err().map(|what| fault(cell, what)));
    }
    for (number, exercise) in (1..).zip(all.values()) {
        let cell = &notebook.cells[exercise.cell];
        let told = incomplete(exercise, number, notebook);
        faults.extend(told.map(|what| fault(cell, what)));
    }
    match faults.is_empty() {
        true => Ok(all.into_values().collect()),
        false => Err(faults),
    }
}

/// Refuses a cell whose id is that of a part of an exercise and which has no tag of one: students would get a solution
/// that lost its tag.
fn untagged(cell: &Cell) -> Result<(), String> {
    let id = cell.id().to_string();
    let Some(found) = ID.captures(&id) else {
        return Ok(());
    };
    let tag = found.get(2).map_or("exercise", |kind| kind.as_str());
    Err(format!(
        "its id is {id}, and it has no tag `{tag}`: add the tag, or give it another id"
    ))
}

fn fault(cell: &Cell, what: String) -> Fault {
    Fault {
        cell: cell.id().to_string(),
        what,
    }
}

fn is_code(cell: &Cell) -> bool {
    matches!(cell, Cell::Code { .. })
}

/// Whether there is a marker of a solution in a text.
fn marks(source: &str) -> bool {
    MARKS.iter().any(|mark| source.contains(mark))
}

/// Puts a cell where it belongs.
fn add(
    all: &mut BTreeMap<usize, Exercise>,
    part: Part,
    index: usize,
    cell: &Cell,
    source: &str,
) -> Result<(), String> {
    let id = cell.id().to_string();
    let tag = part.tag();
    let number = ID.captures(&id).filter(|found| match part {
        Part::Statement => found.get(2).is_none(),
        _ => found.get(2).is_some_and(|kind| kind.as_str() == tag),
    });
    let number: Option<usize> = number.and_then(|found| found[1].parse().ok());
    let Some(number) = number else {
        return Err(match part {
            Part::Statement => "its tag is `exercise`, so its id has to be ex1, ex2, …".to_owned(),
            _ => format!("its tag is `{tag}`, so its id has to be ex1-{tag}, ex2-{tag}, …"),
        });
    };
    if part != Part::Solution && marks(source) {
        return Err(format!(
            "only a cell with the tag `solution` has lines {BEGIN:?} and {END:?}"
        ));
    }
    if part == Part::Statement {
        return all
            .insert(number, statement(number, index, cell, source)?)
            .map_or(Ok(()), |_| {
                Err(format!("there is an exercise {number} before it"))
            });
    }
    let exercise = all
        .get_mut(&number)
        .ok_or_else(|| format!("no cell ex{number} with the tag `exercise` stands before it"))?;
    match part {
        Part::Statement => {}
        Part::Hint => {
            if is_code(cell) || !source.trim_start().starts_with("<details>") {
                return Err("a hint is Markdown, and begins with <details>".to_owned());
            }
            if !exercise.solutions.is_empty() {
                return Err("a hint stands before the solution".to_owned());
            }
            exercise.hints.push(index);
        }
        Part::Solution => {
            if !is_code(cell) && !source.trim_start().starts_with("<details>") {
                return Err(
                    "a solution in words begins with <details>, so that it is folded".to_owned(),
                );
            }
            clear(source, CODE_STUB)?;
            points(cell)?;
            exercise.solutions.push(index);
        }
        Part::Check => {
            if !is_code(cell) {
                return Err("a check is a code cell".to_owned());
            }
            if exercise.solutions.is_empty() {
                return Err(format!(
                    "a check without a solution: put a cell ex{number}-solution with the tag `solution` before it"
                ));
            }
            points(cell)?;
            exercise.checks.push(index);
        }
    }
    Ok(())
}

fn statement(number: usize, index: usize, cell: &Cell, source: &str) -> Result<Exercise, String> {
    let first = source.lines().next().unwrap_or_default().trim_end();
    let found = HEADING.captures(first).filter(|_| !is_code(cell));
    let Some(found) = found else {
        return Err(format!(
            "an exercise is Markdown and begins with a line such as `### Exercise {number} · A title (compute)`; \
             this one begins with `{first}`"
        ));
    };
    let level = Level::of(&found[3]).ok_or_else(|| {
        let names = Level::ALL.map(Level::name).join(", ");
        format!("`{}` is no level; they are {names}", &found[3])
    })?;
    if found[1].parse() != Ok(number) {
        return Err(format!(
            "its id is ex{number}, and its heading says {}",
            &found[1]
        ));
    }
    Ok(Exercise {
        number,
        title: found[2].to_owned(),
        level,
        cell: index,
        hints: Vec::new(),
        solutions: Vec::new(),
        checks: Vec::new(),
    })
}

/// What an exercise lacks; `number` is the one that it should have.
fn incomplete(exercise: &Exercise, number: usize, notebook: &Notebook) -> Option<String> {
    let own = exercise.number;
    if own != number {
        return Some(format!(
            "exercise {own} stands where exercise {number} is expected"
        ));
    }
    if exercise.solutions.is_empty() {
        return Some(format!(
            "it has no solution: put a cell ex{own}-solution with the tag `solution` behind it"
        ));
    }
    let graded = |at: &&usize| {
        let cell = &notebook.cells[**at];
        is_code(cell) && cell.metadata().additional.contains_key("points")
    };
    if !exercise.checks.is_empty() && exercise.solutions.iter().any(|at| graded(&at)) {
        return Some(
            "its solution in code has points, which count by its check: put them there".to_owned(),
        );
    }
    let mut solutions = exercise.solutions.iter();
    let in_code = solutions.any(|at| is_code(&notebook.cells[*at]));
    let computes = exercise.level == Level::Compute;
    if (computes || !exercise.checks.is_empty()) && !in_code {
        return Some("it is checked, so one of its solutions has to be a code cell".to_owned());
    }
    (computes && exercise.checks.is_empty()).then(|| {
        format!("its level is `compute`, so a cell ex{own}-check with the tag `check` has to hold its `check!`")
    })
}

/// The points that a cell is worth: the `points` of its metadata, 1 without.
///
/// # Errors
/// When they are no whole number above 0.
pub fn points(cell: &Cell) -> Result<u64, String> {
    let given = cell.metadata().additional.get("points");
    given.map_or(Ok(1), |points| {
        let whole = points.as_u64().filter(|points| *points > 0);
        whole.ok_or_else(|| format!("its points are {points}; write a whole number above 0"))
    })
}

/// A solution with `stub` in the place of what students write, indented as it was; a solution without markers is
/// theirs as a whole.
///
/// # Errors
/// When markers do not come in pairs.
pub fn clear(source: &str, stub: &str) -> Result<String, String> {
    let mut cleared: Vec<String> = Vec::new();
    let (mut begun, mut found) = (None, false);
    for (number, line) in (1..).zip(source.lines()) {
        if line.contains(MARKS[0]) {
            if let Some(begun) = begun {
                return Err(format!(
                    "line {number} begins a solution in the one of line {begun}: put {END:?} between them"
                ));
            }
            (begun, found) = (Some(number), true);
            let indent = &line[..line.len() - line.trim_start().len()];
            cleared.extend(stub.lines().map(|line| format!("{indent}{line}")));
        } else if line.contains(MARKS[1]) {
            if begun.take().is_none() {
                return Err(format!(
                    "line {number} ends a solution that has not begun: put {BEGIN:?} before it"
                ));
            }
        } else if begun.is_none() {
            cleared.push(line.to_owned());
        }
    }
    match (begun, found) {
        (Some(begun), _) => Err(format!(
            "the solution of line {begun} has no end: put {END:?} behind it"
        )),
        (None, true) => Ok(cleared.join("\n")),
        (None, false) => Ok(stub.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cell(kind: &str, id: &str, tags: &[&str], source: &str) -> Value {
        let mut cell =
            json!({"cell_type": kind, "id": id, "metadata": {"tags": tags}, "source": source});
        if kind == "code" {
            cell["outputs"] = json!([]);
            cell["execution_count"] = Value::Null;
        }
        cell
    }

    fn notebook(cells: &[Value]) -> Notebook {
        let text = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        file::parse(&text.to_string()).expect("a notebook")
    }

    fn sound() -> Vec<Value> {
        vec![
            cell(
                "markdown",
                "ex1",
                &["exercise"],
                "### Exercise 1 · Half a coin (compute)\n\nHow much?",
            ),
            cell(
                "markdown",
                "ex1-hint",
                &["hint"],
                "<details><summary>Hint</summary>\n\nHalve.\n\n</details>",
            ),
            cell(
                "code",
                "ex1-solution",
                &["solution"],
                "let x = {\n    // BEGIN SOLUTION\n    7\n    // END SOLUTION\n};",
            ),
            cell("code", "ex1-check", &["check"], "check!(x == 7);"),
            cell(
                "markdown",
                "ex2",
                &["exercise"],
                "### Exercise 2 · Why (recall)",
            ),
            cell(
                "markdown",
                "ex2-solution",
                &["solution"],
                "<details><summary>Solution</summary>\n\nSo.\n\n</details>",
            ),
        ]
    }

    #[test]
    fn exercises_are_found_with_their_parts() {
        let all = exercises(&notebook(&sound())).expect("sound");
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.number, one.title.as_str(), one.level))
            .collect();
        assert_eq!(
            told,
            [
                (1, "Half a coin", Level::Compute),
                (2, "Why", Level::Recall)
            ]
        );
        assert_eq!(
            (&all[0].hints, &all[0].solutions, &all[0].checks),
            (&vec![1], &vec![2], &vec![3])
        );
        assert!(
            exercises(&notebook(&[cell("code", "a", &[], "1")]))
                .expect("none")
                .is_empty()
        );
    }

    /// Changes the cell with an id, or drops it where there is nothing to put in its place.
    fn faulty(id: &str, instead: Option<Value>) -> String {
        let cells = sound().into_iter().filter_map(|one| match one["id"] == id {
            true => instead.clone(),
            false => Some(one),
        });
        let cells: Vec<Value> = cells.collect();
        let faults = exercises(&notebook(&cells)).expect_err(id);
        let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
        told.join("; ")
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cell() {
        let exercise = |source: &str| Some(cell("markdown", "ex1", &["exercise"], source));
        let solution = |source: &str| Some(cell("code", "ex1-solution", &["solution"], source));
        let mut dear = cell("code", "ex1-check", &["check"], "check!(true);");
        dear["metadata"]["points"] = json!(-2);
        for (id, instead, told) in [
            (
                "ex1",
                None,
                "cell ex1-check: no cell ex1 with the tag `exercise`",
            ),
            (
                "ex1",
                exercise("### Exercise 1 · Half (hard)"),
                "`hard` is no level; they are recall, compute",
            ),
            (
                "ex1",
                exercise("### Exercise 3 · Half (compute)"),
                "its heading says 3",
            ),
            ("ex1", exercise("Exercise 1"), "begins with `Exercise 1`"),
            (
                "ex1-solution",
                None,
                "cell ex1-check: a check without a solution",
            ),
            (
                "ex1-solution",
                solution("// BEGIN SOLUTION\n7"),
                "the solution of line 1 has no end",
            ),
            (
                "ex1-solution",
                solution("7\n// END SOLUTION"),
                "line 2 ends a solution that has not begun",
            ),
            (
                "ex1-solution",
                solution("// BEGIN SOLUTION\n// BEGIN SOLUTION"),
                "line 2 begins a solution in the one of line 1",
            ),
            (
                "ex1-solution",
                Some(cell("code", "first", &["solution"], "7")),
                "cell first: its tag is `solution`",
            ),
            (
                "ex1-check",
                None,
                "so a cell ex1-check with the tag `check`",
            ),
            ("ex1-check", Some(dear), "its points are -2"),
            (
                "ex1-check",
                Some(cell("code", "c9", &[], "// BEGIN SOLUTION")),
                "cell c9: it has a line",
            ),
            (
                "ex1-hint",
                Some(cell("markdown", "ex1-hint", &["hint"], "Halve.")),
                "begins with <details>",
            ),
            ("ex2-solution", None, "cell ex2: it has no solution"),
            (
                "ex2-solution",
                Some(cell("markdown", "ex2-solution", &["solution"], "So.")),
                "so that it is folded",
            ),
        ] {
            let faults = faulty(id, instead);
            assert!(faults.contains(told), "{faults} should contain {told}");
        }
    }

    #[test]
    fn a_solution_is_cleared_as_nbgrader_clears_it() {
        let text = "fn half(x: f64) -> f64 {\n    // BEGIN SOLUTION\n    let y = x;\n    0.5 * y\n    // END SOLUTION\n}\nlet a = half(1.0);";
        let cleared = clear(text, CODE_STUB).expect("sound");
        assert_eq!(
            cleared,
            "fn half(x: f64) -> f64 {\n    // YOUR CODE HERE\n    todo!()\n}\nlet a = half(1.0);"
        );
        assert_eq!(clear("let x = 7;", CODE_STUB).as_deref(), Ok(CODE_STUB));
    }
}
