//! The editions of a course, made from its notebooks: for students, for those who teach it, and with the solutions for
//! handing out. Each is a folder that stands alone, and knows the marks of nbgrader.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use nbformat::v4::{Cell, CellId, CellMetadata, Notebook};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::answers;
use super::exercise::{self, CODE_STUB, Exercise, Fault, TEXT_STUB, exercises, points};
use crate::notebook::NotebookError;
use crate::notebook::address::{decoded, encoded};
use crate::notebook::file;

/// The version of nbgrader's marks.
const SCHEMA: u32 = 3;
/// The tag of the cell with notes, by which nbgrader's settings leave it out.
const NOTES: &str = "notes";
/// The settings with which nbgrader clears solutions in Rust.
const SETTINGS: &str = include_str!("nbgrader_config.py");

/// For whom an edition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// With blanks in the place of the solutions.
    Student,
    /// A course folder of nbgrader: with solutions, points and notes.
    Instructor,
    /// With solutions that nothing hides, for handing out.
    Solutions,
}

impl Edition {
    /// How it is called on the command line, and its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Instructor => "instructor",
            Self::Solutions => "solutions",
        }
    }
}

/// Why there is no edition.
#[derive(Debug, thiserror::Error)]
pub enum EditionError {
    #[error(transparent)]
    Notebook(#[from] NotebookError),
    #[error("{}", listed(path, faults))]
    Faults { path: PathBuf, faults: Vec<Fault> },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is there already: remove it, or choose another folder by --output", .0.display())]
    Taken(PathBuf),
    #[error("there is no notebook in {}: name notebooks, or go to the folder of the project", .0.display())]
    None(PathBuf),
    #[error("two notebooks are called {0}: an edition can hold one of them")]
    Twice(String),
}

fn listed(path: &Path, faults: &[Fault]) -> String {
    let lines = faults
        .iter()
        .map(|fault| format!("{}, {fault}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What an edition holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    pub notebooks: usize,
    pub exercises: usize,
    /// Points that are given without reading.
    pub checked: u64,
    /// Points of answers that somebody reads.
    pub read: u64,
    /// Notebooks without notes for those who teach, in an edition for them.
    pub without_notes: Vec<String>,
    /// Notebooks of answers, which are for those who teach alone.
    pub left_out: Vec<String>,
}

/// The notebooks of a folder, in order.
///
/// # Errors
/// When there are none.
pub fn notebooks(folder: &Path) -> Result<Vec<PathBuf>, EditionError> {
    let entries = std::fs::read_dir(folder).map_err(at(folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths.filter(|path| is_notebook(path)).collect();
    found.sort();
    match found.is_empty() {
        true => Err(EditionError::None(folder.to_owned())),
        false => Ok(found),
    }
}

fn is_notebook(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "ipynb")
}

/// Makes an edition in the folder `output`, which must not be there yet; it appears when all of it is right. `notes` is
/// the folder with notes for those who teach, `NAME.md` for the notebook `NAME.ipynb`.
///
/// # Errors
/// When a notebook cannot be read or its exercises are not as they should be, or a file cannot be written.
pub fn make(
    edition: Edition,
    paths: &[PathBuf],
    notes: &Path,
    output: &Path,
) -> Result<Made, EditionError> {
    if output.exists() {
        return Err(EditionError::Taken(output.to_owned()));
    }
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(at(parent))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".itd-course-");
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o777)); // less what the umask takes away
    let stage = builder.tempdir_in(parent).map_err(at(parent))?;
    let mut made = Made::default();
    let mut names = BTreeSet::new();
    for path in paths {
        let name = stem(path);
        if !names.insert(name.clone()) {
            return Err(EditionError::Twice(name));
        }
        one(edition, path, notes, stage.path(), &mut made)?;
    }
    if edition == Edition::Instructor {
        let settings = stage.path().join("nbgrader_config.py");
        std::fs::write(&settings, SETTINGS).map_err(at(&settings))?;
    }
    std::fs::rename(stage.path(), output).map_err(at(output))?;
    let _moved = stage.keep();
    Ok(made)
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> EditionError {
    let path = path.to_owned();
    move |source| EditionError::File {
        path: path.clone(),
        source,
    }
}

fn stem(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Writes one notebook of an edition, and the files that it names.
fn one(
    edition: Edition,
    path: &Path,
    notes: &Path,
    stage: &Path,
    made: &mut Made,
) -> Result<(), EditionError> {
    let mut notebook = file::read(path)?;
    file::check_language(path, &notebook)?;
    if edition != Edition::Instructor && answers::holds(&notebook) {
        made.left_out.push(stem(path));
        return Ok(());
    }
    let exercises = exercises(&notebook).map_err(|faults| EditionError::Faults {
        path: path.to_owned(),
        faults,
    })?;
    let name = stem(path);
    made.notebooks += 1;
    made.exercises += exercises.len();
    for exercise in &exercises {
        for index in exercise.solutions.iter().chain(&exercise.checks) {
            let place = Place::of(exercise, *index, &notebook);
            prepare(edition, &mut notebook.cells[*index], place, made);
        }
    }
    let folder = match edition {
        Edition::Instructor => stage.join("source").join(&name),
        _ => stage.to_owned(),
    };
    std::fs::create_dir_all(&folder).map_err(at(&folder))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut files = BTreeMap::new();
    for cell in &mut notebook.cells {
        let source = file::source(cell);
        let link = |target: &str| match edition {
            // Each is an assignment of its own, in its own folder.
            Edition::Instructor => format!("../{}/{target}", stem(Path::new(target))),
            _ => target.to_owned(),
        };
        let source = alone(&source, is_code(cell), beside, &mut files, &link);
        set_source(cell, &source);
    }
    for (target, from) in files {
        let target = folder.join(target);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let is_text = from.extension().is_some_and(|ending| ending == "md");
        match is_text && edition != Edition::Instructor {
            true => {
                let text = std::fs::read_to_string(&from).map_err(at(&from))?;
                std::fs::write(&target, answers::without(&text)).map_err(at(&target))?;
            }
            false => {
                std::fs::copy(&from, &target).map_err(at(&from))?;
            }
        }
    }
    if edition == Edition::Instructor {
        let text = notes.join(format!("{name}.md"));
        match text.is_file() {
            true => {
                let text = std::fs::read_to_string(&text).map_err(at(&text))?;
                notebook.cells.insert(0, notes_cell(&text));
            }
            false => made.without_notes.push(name.clone()),
        }
    }
    let written = folder.join(format!("{name}.ipynb"));
    Ok(file::write(&written, notebook)?)
}

fn is_code(cell: &Cell) -> bool {
    matches!(cell, Cell::Code { .. })
}

/// What a cell is to an exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Code that checks stand behind.
    Checked,
    /// Words or code that somebody reads.
    Read,
    Check,
}

impl Place {
    fn of(exercise: &Exercise, index: usize, notebook: &Notebook) -> Self {
        if exercise.checks.contains(&index) {
            return Self::Check;
        }
        match is_code(&notebook.cells[index]) && !exercise.checks.is_empty() {
            true => Self::Checked,
            false => Self::Read,
        }
    }
}

/// Makes a solution or a check what it is in an edition.
fn prepare(edition: Edition, cell: &mut Cell, place: Place, made: &mut Made) {
    // What is wrong with points was told before.
    let worth = points(cell).unwrap_or(1);
    match place {
        Place::Check => made.checked += worth,
        Place::Read => made.read += worth,
        Place::Checked => {}
    }
    let id = cell.id().to_string();
    let code = is_code(cell);
    let metadata = metadata(cell);
    metadata.additional.remove("points");
    metadata
        .additional
        .insert("nbgrader".to_owned(), mark(&id, code, place, worth));
    // A student has to see what to fill in, and who gets solutions wants to read them.
    if let Some(jupyter) = &mut metadata.jupyter {
        jupyter.source_hidden = None;
        if jupyter.outputs_hidden.is_none() && jupyter.additional.is_empty() {
            metadata.jupyter = None;
        }
    }
    let source = file::source(cell);
    match edition {
        Edition::Student => {
            if place != Place::Check {
                let stub = if code { CODE_STUB } else { TEXT_STUB };
                // Markers come in pairs, or the exercise had been refused.
                set_source(cell, &exercise::clear(&source, stub).unwrap_or_default());
                // A picture that is pasted into a solution is a part of it.
                if let Cell::Markdown { attachments, .. } = cell {
                    *attachments = None;
                }
            }
            forget(cell);
        }
        Edition::Solutions if !code => {
            set_source(cell, &source.replace("<details>", "<details open>"));
        }
        Edition::Instructor | Edition::Solutions => {}
    }
}

/// nbgrader's mark of a cell.
fn mark(id: &str, code: bool, place: Place, worth: u64) -> Value {
    let graded = place != Place::Checked;
    let mut mark = json!({
        "schema_version": SCHEMA,
        "grade_id": id,
        "grade": graded,
        "solution": place != Place::Check,
        "locked": place == Place::Check,
        "task": false,
        "cell_type": if code { "code" } else { "markdown" },
    });
    if graded {
        mark["points"] = worth.into();
    }
    mark
}

/// Drops what a cell has shown.
fn forget(cell: &mut Cell) {
    if let Cell::Code {
        execution_count,
        outputs,
        ..
    } = cell
    {
        *execution_count = None;
        outputs.clear();
    }
}

fn metadata(cell: &mut Cell) -> &mut CellMetadata {
    match cell {
        Cell::Markdown { metadata, .. }
        | Cell::Code { metadata, .. }
        | Cell::Raw { metadata, .. } => metadata,
    }
}

fn set_source(cell: &mut Cell, text: &str) {
    match cell {
        Cell::Markdown { source, .. } | Cell::Code { source, .. } | Cell::Raw { source, .. } => {
            *source = file::lines(text);
        }
    }
}

/// The first cell of the edition for those who teach.
fn notes_cell(text: &str) -> Cell {
    let fields = json!({"tags": [NOTES], "editable": false});
    let metadata = serde_json::from_value(fields)
        .unwrap_or_else(|error| unreachable!("metadata of a cell: {error}"));
    let id = CellId::new("notes").unwrap_or_else(|error| unreachable!("an id: {error}"));
    Cell::Markdown {
        id,
        metadata,
        source: file::lines(text.trim_end()),
        attachments: None,
    }
}

/// Files that code names, in quotes, and that text links to.
static IN_CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"()"([\w./ -]+)()""#));
static IN_TEXT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r##"(\]\(|src="|href=")([^)\s"#:]+)(#[^)\s"]*)?"##));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// The text of a cell in a folder that stands alone: files that it names are taken along to `files` (place in the
/// folder, place here), those above the notebook into the folder, and other notebooks are where `link` says.
fn alone(
    source: &str,
    code: bool,
    beside: &Path,
    files: &mut BTreeMap<PathBuf, PathBuf>,
    link: &dyn Fn(&str) -> String,
) -> String {
    let names = if code { &IN_CODE } else { &IN_TEXT };
    let changed = names.replace_all(source, |found: &Captures<'_>| {
        let whole = found[0].to_owned();
        let name = &found[2];
        let decoded = match code {
            true => name.to_owned(),
            false => decoded(name),
        };
        let here = beside.join(&decoded);
        if Path::new(name).is_absolute() || !here.is_file() {
            return whole;
        }
        if is_notebook(&here) {
            let same_folder = !name.contains('/');
            return match same_folder {
                true => whole.replacen(name, &link(name), 1),
                false => whole,
            };
        }
        let inside: PathBuf = Path::new(&decoded)
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        files.extend(with_siblings(&inside, &here));
        let inside = inside.to_string_lossy();
        match code {
            true => whole.replacen(name, &inside, 1),
            false => whole.replacen(name, &encoded(&inside), 1),
        }
    });
    changed.into_owned()
}

/// A file, and those beside it that differ in the ending only, as what is told of a file of weights.
fn with_siblings(target: &Path, from: &Path) -> Vec<(PathBuf, PathBuf)> {
    let folder = from.parent().unwrap_or(Path::new(""));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let same = entries.map(|entry| entry.path()).filter(|path| {
        path.file_stem() == from.file_stem() && path.is_file() && !is_notebook(path)
    });
    same.filter_map(|path| Some((target.with_file_name(path.file_name()?), path.clone())))
        .collect()
}
