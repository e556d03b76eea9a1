//! How long a notebook takes to read, by a rule, and to work through.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use nbformat::v4::{Cell, Notebook, Output};
use regex::Regex;

use super::edition::EditionError;
use super::exercise::{Exercise, Fault, Level, exercises};
use crate::notebook::file;
use crate::notebook::run::has_tag;

/// Words that a reader takes in a minute. Adults read 238 words of English non-fiction (Brysbaert, "How many words do we
/// read per minute?", Journal of Memory and Language 109, 2019); this is for technical text, and a second language.
const WORDS_A_MINUTE: f64 = 150.0;
/// Lines of code in a minute.
const LINES_A_MINUTE: f64 = 10.0;
/// Minutes for a formula on a line of its own.
const FORMULA: f64 = 0.25;
/// Minutes for a figure or a table that a cell shows.
const FIGURE: f64 = 1.0 / 3.0;
/// How much slower a derivation is read, whose steps are to be seen.
const SLOWER: f64 = 2.0;

/// The rule, in words.
pub const RULE: &str = "150 words, or 10 lines of code, a minute; 15 s for a formula on a line of its own; 20 s for a \
    figure or table; folded code that only draws is left out; a folded derivation at half that speed, apart; exercises apart: 3 minutes to recall, 10 to compute, 20 \
    to derive, 20 to explore, 120 for a project.";

/// Minutes for an exercise.
fn minutes(level: Level) -> u32 {
    match level {
        Level::Recall => 3,
        Level::Compute => 10,
        Level::Derive | Level::Explore => 20,
        Level::Project => 120,
    }
}

/// What there is to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub words: usize,
    pub formulas: usize,
    pub lines: usize,
    pub figures: usize,
}

impl Amount {
    /// Minutes to read it.
    pub fn minutes(self) -> f64 {
        self.words as f64 / WORDS_A_MINUTE
            + self.lines as f64 / LINES_A_MINUTE
            + self.formulas as f64 * FORMULA
            + self.figures as f64 * FIGURE
    }

    fn add(&mut self, other: Self) {
        self.words += other.words;
        self.formulas += other.formulas;
        self.lines += other.lines;
        self.figures += other.figures;
    }
}

/// The times of a notebook.
#[derive(Debug, Clone)]
pub struct Times {
    pub name: String,
    /// Without exercises, and without what is folded.
    pub text: Amount,
    pub derivations: Amount,
    pub levels: Vec<Level>,
}

impl Times {
    /// Minutes to read the text.
    pub fn reading(&self) -> f64 {
        self.text.minutes()
    }

    /// Minutes to follow the derivations.
    pub fn deriving(&self) -> f64 {
        SLOWER * self.derivations.minutes()
    }

    /// Minutes for the exercises that are not projects.
    pub fn exercises(&self) -> f64 {
        self.all(|level| level != Level::Project)
    }

    fn projects(&self) -> f64 {
        self.all(|level| level == Level::Project)
    }

    fn all(&self, counts: impl Fn(Level) -> bool) -> f64 {
        let levels = self.levels.iter().copied();
        let sum: u32 = levels.filter(|level| counts(*level)).map(minutes).sum();
        f64::from(sum)
    }
}

/// Measures a notebook.
///
/// # Errors
/// All that is wrong with its exercises.
pub fn times(name: &str, notebook: &Notebook) -> Result<Times, Vec<Fault>> {
    let exercises = exercises(notebook)?;
    let apart: Vec<usize> = exercises.iter().flat_map(cells).collect();
    let (mut text, mut derivations) = (Amount::default(), Amount::default());
    for (index, cell) in notebook.cells.iter().enumerate() {
        if apart.contains(&index) {
            continue;
        }
        match has_tag(cell, "derivation") {
            true => derivations.add(amount(cell)),
            false => text.add(amount(cell)),
        }
    }
    Ok(Times {
        name: name.to_owned(),
        text,
        derivations,
        levels: exercises.iter().map(|exercise| exercise.level).collect(),
    })
}

fn cells(exercise: &Exercise) -> Vec<usize> {
    let parts = [&exercise.hints, &exercise.solutions, &exercise.checks];
    let parts = parts.into_iter().flatten().copied();
    parts.chain([exercise.cell]).collect()
}

static FENCED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?ms)^```.*?^```"));
static DISPLAYED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)\$\$.+?\$\$"));
static INLINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\$[^$\n]+\$"));
static MARKUP: LazyLock<Regex> = LazyLock::new(|| pattern(r"<[^>]*>|\]\([^)]*\)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

fn amount(cell: &Cell) -> Amount {
    let source = file::source(cell);
    match cell {
        Cell::Code { outputs, .. } => Amount {
            lines: match has_tag(cell, "folded") {
                true => 0,
                false => filled(&source),
            },
            figures: outputs.iter().filter(|output| is_figure(output)).count(),
            ..Amount::default()
        },
        Cell::Markdown { .. } | Cell::Raw { .. } => {
            let fenced = FENCED.find_iter(&source);
            // The fences themselves are no code.
            let lines = fenced
                .map(|block| filled(block.as_str()).saturating_sub(2))
                .sum();
            let prose = FENCED.replace_all(&source, " ");
            let formulas = DISPLAYED.find_iter(&prose).count();
            let prose = DISPLAYED.replace_all(&prose, " ");
            // A formula in a line counts as a word.
            let prose = INLINE.replace_all(&prose, "x");
            let prose = MARKUP.replace_all(&prose, " ");
            let is_word = |word: &&str| word.contains(char::is_alphanumeric);
            let words = prose.split_whitespace().filter(is_word).count();
            Amount {
                words,
                formulas,
                lines,
                figures: source.matches("![").count(),
            }
        }
    }
}

/// Lines with something on them.
fn filled(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

fn is_figure(output: &Output) -> bool {
    let data = match output {
        Output::DisplayData(shown) => serde_json::to_value(&shown.data),
        Output::ExecuteResult(shown) => serde_json::to_value(&shown.data),
        _ => return false,
    };
    let data = data.unwrap_or_default();
    if data["text/plain"].to_string().contains('█') {
        return false; // a progress bar
    }
    let mut kinds = data.as_object().into_iter().flat_map(|data| data.keys());
    kinds.any(|kind| kind.starts_with("image/") || kind == "text/html")
}

/// The times of notebooks in files.
///
/// # Errors
/// When one cannot be read, or its exercises are not as they should be.
pub fn of_files(paths: &[PathBuf]) -> Result<Vec<Times>, EditionError> {
    let times_of = |path: &PathBuf| {
        let notebook = file::read(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        times(&name, &notebook).map_err(|faults| EditionError::Faults {
            path: path.clone(),
            faults,
        })
    };
    paths.iter().map(times_of).collect()
}

/// All times as a Markdown table, with their sum.
pub fn table(all: &[Times]) -> String {
    let mut text = "| notebook | words | formulas | lines of code | figures | to read, min | derivations, min | exercises | exercises, min | projects, min |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let row = |name: &str,
               amount: Amount,
               [reading, deriving, exercises, projects]: [f64; 4],
               count: usize| {
        format!(
            "| {name} | {} | {} | {} | {} | {reading:.0} | {deriving:.0} | {count} | {exercises:.0} | {projects:.0} |\n",
            amount.words, amount.formulas, amount.lines, amount.figures
        )
    };
    let (mut sum, mut minutes, mut count) = (Amount::default(), [0.0; 4], 0);
    for one in all {
        let times = [
            one.reading(),
            one.deriving(),
            one.exercises(),
            one.projects(),
        ];
        text.push_str(&row(&one.name, one.text, times, one.levels.len()));
        sum.add(one.text);
        count += one.levels.len();
        for (sum, time) in minutes.iter_mut().zip(times) {
            *sum += time;
        }
    }
    let _ = write!(text, "{}", row("all", sum, minutes, count));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_read_is_counted_by_the_rule() {
        let text = "# Two words\n\nHere $x = 1$ is [one](a.ipynb) formula.\n\n$$x$$\n\n```rust\nlet x = 1;\n```\n";
        let cells = json!([
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text},
            {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": 1, "source": "1\n\n2\n",
             "outputs": [
                {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": "<svg/>"}},
                {"output_type": "stream", "name": "stdout", "text": "x"},
             ]},
            {"cell_type": "code", "id": "c", "metadata": {"tags": ["folded"]}, "execution_count": 2, "source": "draw()",
             "outputs": []},
            {"cell_type": "markdown", "id": "d", "metadata": {"tags": ["derivation"]}, "source": "one two"},
            {"cell_type": "markdown", "id": "ex1", "metadata": {"tags": ["exercise"]},
             "source": "### Exercise 1 · Many words that do not count (recall)"},
            {"cell_type": "markdown", "id": "ex1-solution", "metadata": {"tags": ["solution"]},
             "source": "<details><summary>Solution</summary>\n\nSo.\n\n</details>"},
        ]);
        let text = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        let notebook = file::parse(&text.to_string()).expect("a notebook");
        let times = times("a", &notebook).expect("sound exercises");
        let amount = Amount {
            words: 7,
            formulas: 1,
            lines: 3,
            figures: 1,
        };
        assert_eq!(times.text, amount);
        let minutes = 7.0 / 150.0 + 3.0 / 10.0 + 0.25 + 1.0 / 3.0;
        assert!((times.reading() - minutes).abs() < 1e-12);
        assert!((times.deriving() - 2.0 * 2.0 / 150.0).abs() < 1e-12);
        assert!((times.exercises() - 3.0).abs() < 1e-12);
        let table = table(&[times]);
        assert!(
            table.contains("| a | 7 | 1 | 3 | 1 | 1 | 0 | 1 | 3 | 0 |\n| all | 7 "),
            "{table}"
        );
    }
}
