//! The commands of a cell: lines before its Rust code that begin with `:`, `%` or `!`, and first lines with `%%`.
//!
//! `:` and `%` mean the same. A line after the first line of Rust is Rust, so that `x % 3` in a string or a macro is
//! never taken for one. evcxr gets `:dep` and its kin; everything else is ours.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use ra_ap_syntax::{Edition, SyntaxKind};
use regex::Regex;

use crate::reply::{Bundle, Failure};

/// Crates that the prelude holds, and where: a second copy would have other types.
const HELD: &[(&str, &str)] = &[
    ("candle-core", "candle"),
    ("candle-nn", "nn"),
    ("polars", "pl"),
    ("plotters", "itd_prelude::plotters"),
    ("rand", "itd_prelude::rand"),
    ("itd-prelude", "itd_prelude"),
];

/// Where a command may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `%name …` or `:name …`, on a line of its own.
    Line,
    /// `%%name …`, as the first line, for the whole cell.
    Cell,
    /// As a line, for what follows on it; as the first line, for the cell.
    Both,
}

/// Most characters of a value in a table.
const WIDEST: usize = 64;

/// What is known of a command.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    /// Other names for it.
    also: &'static [&'static str],
    form: Form,
    /// What follows the name.
    takes: &'static str,
    does: &'static str,
}

const fn entry(
    name: &'static str,
    also: &'static [&'static str],
    form: Form,
    takes: &'static str,
    does: &'static str,
) -> Entry {
    Entry {
        name,
        also,
        form,
        takes,
        does,
    }
}

/// All commands, in groups.
const TABLE: &[(&str, &[Entry])] = &[
    (
        "Variables",
        &[
            entry(
                "who",
                &[],
                Form::Line,
                "",
                "list the names of the variables",
            ),
            entry(
                "whos",
                &["vars"],
                Form::Line,
                "",
                "list the variables with type, value or shape, and size",
            ),
            entry("type", &["t"], Form::Line, "NAME", "show a variable's type"),
            entry(
                "del",
                &["xdel"],
                Form::Line,
                "NAME …",
                "forget variables and free their memory",
            ),
            entry(
                "reset",
                &["clear", "restart"],
                Form::Line,
                "",
                "forget all variables, functions and types",
            ),
        ],
    ),
    (
        "Time",
        &[
            entry(
                "time",
                &[],
                Form::Both,
                "STATEMENT",
                "say how long it takes, once",
            ),
            entry(
                "timeit",
                &[],
                Form::Both,
                "[-n LOOPS] [-r RUNS] STATEMENT",
                "mean, deviation and best of many runs; `%%opt 3` above it optimises",
            ),
            entry(
                "bench",
                &[],
                Form::Cell,
                "[-n LOOPS] [-r RUNS]",
                "time each expression of the cell by itself, optimised, and compare them",
            ),
        ],
    ),
    (
        "Tests and errors",
        &[
            entry(
                "test",
                &[],
                Form::Cell,
                "",
                "run the `#[test]` functions of the cell",
            ),
            entry(
                "explain",
                &[],
                Form::Line,
                "[CODE]",
                "explain a compile error, as `E0382`; the last one without a code",
            ),
        ],
    ),
    (
        "Building",
        &[
            entry(
                "opt",
                &[],
                Form::Both,
                "LEVEL",
                "optimise, `%%` this cell, `%` from now on: 0, 1, 2, 3, s or z",
            ),
            entry(
                "dep",
                &[],
                Form::Line,
                "NAME = \"VERSION\"",
                "add a crate; also `{ version = …, features = […] }` and `{ path = … }`",
            ),
            entry(
                "show_deps",
                &[],
                Form::Line,
                "",
                "list the crates that were added",
            ),
            entry(
                "offline",
                &[],
                Form::Line,
                "1",
                "add crates without the network; 0 with it",
            ),
        ],
    ),
    (
        "Files and system",
        &[
            entry(
                "cd",
                &[],
                Form::Line,
                "FOLDER",
                "go to a folder; `-` is the one before, none is your home",
            ),
            entry("pwd", &[], Form::Line, "", "say which folder this is"),
            entry(
                "env",
                &["set_env"],
                Form::Line,
                "[NAME[=VALUE]]",
                "show environment variables, or set one",
            ),
            entry(
                "load",
                &[],
                Form::Line,
                "FILE",
                "put a file's text in the place of this cell",
            ),
            entry(
                "save",
                &[],
                Form::Line,
                "FILE [CELLS]",
                "write cells to a script, as `%save a.rs 1-3 7`; all without numbers",
            ),
            entry(
                "writefile",
                &["file"],
                Form::Cell,
                "[-a] FILE",
                "write the cell to a file; `-a` appends",
            ),
            entry(
                "bash",
                &["sh"],
                Form::Cell,
                "",
                "run the cell as a shell script",
            ),
            entry(
                "capture",
                &[],
                Form::Cell,
                "[NAME]",
                "show nothing; keep what the cell prints as a `String`",
            ),
        ],
    ),
    (
        "Help",
        &[
            entry(
                "history",
                &["hist"],
                Form::Line,
                "[-n] [CELLS]",
                "list the cells of this session; `-n` with their numbers; `-g WORDS` searches all sessions",
            ),
            entry(
                "help",
                &["lsmagic", "magic", "quickref"],
                Form::Line,
                "[COMMAND]",
                "list the commands, or explain one",
            ),
        ],
    ),
];

/// Commands that users know from elsewhere, and what to do instead.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["quit", "exit"],
        "ends `itd repl` only; a notebook's kernel is ended by the front end, as with \"Shut down kernel\"",
    ),
    (
        &["toolchain"],
        "would change nothing: cells are built with the compiler that the prelude was built with; choose it before the \
         kernel starts, as with `rustup default`",
    ),
    (
        &[
            "cache",
            "clear_cache",
            "sccache",
            "allow_static_linking",
            "linker",
            "codegen_backend",
            "build_env",
        ],
        "would break the build of cells, which is set up already; for a faster cell see `%%opt`",
    ),
    (
        &["fmt", "efmt", "types", "pprint", "precision"],
        "is not needed: a value is shown in its richest form; write `println!(\"{x:.3}\")` for another",
    ),
    (
        &["timing", "time_passes", "prun", "lprun"],
        "is `%time` or `%timeit` here",
    ),
    (
        &["preserve_vars_on_panic"],
        "is not needed: variables outlive a panic",
    ),
    (
        &[
            "load_config",
            "internal_debug",
            "last_compile_dir",
            "last_error_json",
            "intern",
        ],
        "looks into evcxr, which a cell here does not see",
    ),
    (&["version"], "is `itd --version`, in a terminal"),
    (
        &["python", "python3", "perl", "ruby", "R", "julia", "js"],
        "is another language: a notebook of ours is Rust, and `!python3 FILE` runs a script",
    ),
    (
        &["doc", "pinfo", "pdoc", "psource"],
        "is Shift-Tab, or `NAME?` in a cell",
    ),
    (
        &["matplotlib", "pylab"],
        "is not needed: figures are shown where they are made",
    ),
    (
        &["pip", "conda", "mamba", "uv"],
        "installs Python packages; `:dep NAME = \"VERSION\"` adds a crate",
    ),
    (
        &["autoreload", "load_ext", "reload_ext"],
        "is Python's; here a function that is defined anew takes the place of the one before",
    ),
    (
        &["run"],
        "is `%load FILE`, after which you run the cell; a notebook is run by `itd run`",
    ),
    (
        &["debug", "pdb"],
        "does not exist yet; an error names the cell and the line",
    ),
    (
        &[
            "ls", "cat", "mkdir", "rm", "cp", "mv", "system", "sx", "script",
        ],
        "is a program: write `!` before it, as `!ls`",
    ),
    (
        &["html", "HTML"],
        "is `Html(\"…\".into())` as the last line of a cell",
    ),
    (
        &["markdown", "latex", "svg", "javascript"],
        "is a value here: `Markdown(\"…\".into())` as the last line of a cell",
    ),
];

/// What a cell asks for, and what is left of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// What is to be done before the rest, in order.
    pub steps: Vec<Step>,
    /// The Rust code.
    pub rest: Code,
    /// `%%capture`: show nothing, and keep the text under this name.
    pub capture: Option<Option<String>>,
}

/// Rust code with what is said about it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Code {
    /// The cell, with blanks in the place of all else, so that each place is where it was.
    pub text: String,
    /// Lines that evcxr is to obey before.
    pub passed: String,
    /// `%%opt 3`: the optimisation level.
    pub level: Option<String>,
    pub way: Way,
}

/// In which way code is run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Way {
    #[default]
    Plain,
    /// Its time is taken.
    Time,
    /// It is repeated, and its time taken.
    TimeIt(Loops),
    /// So is each of its expressions.
    Bench(Loops),
    /// Its tests are run.
    Test,
}

/// How often something is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loops {
    /// In each run; found out when it is not said.
    pub loops: Option<u64>,
    pub runs: u32,
}

impl Default for Loops {
    fn default() -> Self {
        Self {
            loops: None,
            runs: 7,
        }
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `%time f()`: run this.
    Run(Code),
    /// `:opt 3`: the optimisation level from now on.
    Level(String),
    /// `%who`: list names.
    Names,
    /// `%whos`: show what lives.
    Variables,
    /// `:type x`: show what it is.
    Type(String),
    /// `%del x`: forget them.
    Delete(Vec<String>),
    /// `%reset`: forget everything.
    Clear,
    /// `%help`: list the commands, or explain one.
    Help(Option<String>),
    /// `%explain E0382`: what the compiler has to say about it.
    Explain(Option<String>),
    /// `!ls`: run a program.
    Shell(String),
    /// `%%bash`: run a script by this program.
    Script { program: &'static str, text: String },
    /// `%%writefile`: write a file.
    Write {
        file: String,
        append: bool,
        text: String,
    },
    /// `%cd`: go there.
    Folder(Option<String>),
    /// `%pwd`: say where this is.
    Where,
    /// `%env`: list the environment, show one variable, or set it.
    Environment(Option<(String, Option<String>)>),
    /// `%load`: put a file's text into the cell.
    Load(String),
    /// `%save`: write cells to a file.
    Save {
        file: String,
        cells: Vec<Range<u32>>,
    },
    /// `%history`: list cells.
    History {
        numbers: bool,
        cells: Vec<Range<u32>>,
    },
    /// `%history -g sum`: list inputs of all sessions.
    Recall(String),
}

/// A cell whose first line names the program that runs it (`#!/usr/bin/env …`), with that line as a comment.
pub fn without_interpreter(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix("#!") {
        // A third sign would make it the documentation of what follows.
        Some(rest) if !rest.trim_start().starts_with('[') => match rest.strip_prefix(['/', '!']) {
            Some(rest) => format!("// {rest}").into(),
            None => format!("//{rest}").into(),
        },
        _ => cell.into(),
    }
}

/// Where the Rust code of a cell starts: first lines like `%%opt 3`, commands (`:dep …`, `%time …`, `!ls`), blank lines
/// and whole-line comments may stand before it. A script or the text of a file is none.
pub fn rust_start(cell: &str) -> usize {
    let (mut start, mut head) = (0, true);
    for line in cell.split_inclusive('\n') {
        head &= line.starts_with("%%");
        if head && is_foreign(line) {
            return cell.len();
        }
        if !(head || is_command(line) || line.starts_with("//") || line.trim().is_empty()) {
            break;
        }
        start += line.len();
    }
    start
}

/// Whether a first line says that what follows is no Rust.
fn is_foreign(line: &str) -> bool {
    let name = line.trim_start_matches('%').split_whitespace().next();
    let entry = name.and_then(find);
    entry.is_some_and(|entry| ["bash", "writefile"].contains(&entry.name))
}

/// Whether there is nothing below the first lines with `%%`, which wait for it.
pub fn is_bare_head(cell: &str) -> bool {
    cell.starts_with("%%")
        && cell
            .lines()
            .all(|line| line.starts_with("%%") || line.trim().is_empty())
}

/// Whether a cell is a script or the text of a file.
pub fn is_foreign_cell(cell: &str) -> bool {
    let mut head = cell.lines().take_while(|line| line.starts_with("%%"));
    head.any(is_foreign)
}

fn is_command(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.starts_with('!')
        || line.starts_with('%')
        || line.starts_with(':') && !line.starts_with("::")
}

fn find(name: &str) -> Option<&'static Entry> {
    let mut all = TABLE.iter().flat_map(|(_, entries)| *entries);
    all.find(|entry| entry.name == name || entry.also.contains(&name))
}

/// All commands as they are typed, for completion: `%time`, `%%time`, `:dep`, …
pub fn all() -> impl Iterator<Item = (String, &'static str)> {
    let entries = TABLE.iter().flat_map(|(_, entries)| *entries);
    entries.flat_map(|entry| {
        let names = std::iter::once(entry.name).chain(entry.also.iter().copied());
        names.flat_map(move |name| {
            let line = (entry.form != Form::Cell).then(|| [format!(":{name}"), format!("%{name}")]);
            let cell = (entry.form != Form::Line).then(|| format!("%%{name}"));
            line.into_iter()
                .flatten()
                .chain(cell)
                .map(move |text| (text, entry.does))
        })
    })
}

/// Takes the commands out of a cell, whose paths are from `folder` on.
///
/// # Errors
/// A failure named `Command` for one that is not known, or cannot be obeyed.
pub fn take(cell: &str, folder: &Path) -> Result<Commands, Failure> {
    let rust = rust_start(cell);
    let mut reader = Reader {
        cell,
        folder,
        commands: Commands::default(),
        head: Code::default(),
        passed: String::new(),
    };
    let (mut at, mut head) = (0, true);
    for line in cell[..rust].split_inclusive('\n') {
        let range = at..at + line.trim_end().len();
        at += line.len();
        let text = &cell[range.clone()];
        if let Some(command) = text.strip_prefix("%%") {
            if !head {
                return Err(refusal(format!(
                    "`{text}` is for a whole cell: put it in the cell's first line"
                )));
            }
            if reader.first_line(command, &cell[at..])? {
                return Ok(reader.commands);
            }
            continue;
        }
        head = false;
        let inside = text.trim_start_matches([' ', '\t']);
        if let Some(command) = inside.strip_prefix('!') {
            let step = Step::Shell(command.trim().to_owned());
            reader.commands.steps.push(step);
        } else if let Some(command) = inside.strip_prefix([':', '%'])
            && is_command(inside)
        {
            reader.line(command, range.end - command.len()..range.end)?;
        }
    }
    let rest = rust..cell.len();
    let code = reader.code(rest);
    let nothing = code.text.trim().is_empty();
    match code.way {
        Way::TimeIt(_) | Way::Bench(_) | Way::Time if nothing => Err(refusal(
            "there is nothing to time: write what is to be timed below the first line".to_owned(),
        )),
        Way::Test if nothing => Err(refusal(
            "there are no tests: write `#[test]` functions below `%%test`".to_owned(),
        )),
        _ => {
            reader.commands.rest = code;
            Ok(reader.commands)
        }
    }
}

/// Reads the lines of one cell.
struct Reader<'a> {
    cell: &'a str,
    folder: &'a Path,
    commands: Commands,
    /// What the first lines say about all code of the cell.
    head: Code,
    /// Lines for evcxr that no code has taken yet.
    passed: String,
}

impl Reader<'_> {
    /// The code in a range of the cell.
    fn code(&mut self, range: Range<usize>) -> Code {
        Code {
            text: blanked(self.cell, range),
            passed: std::mem::take(&mut self.passed),
            ..self.head.clone()
        }
    }

    /// Reads `%%…`; true when it takes the rest of the cell for its own.
    fn first_line(&mut self, line: &str, below: &str) -> Result<bool, Failure> {
        let (name, argument) = split(line);
        let Some(entry) = find(name) else {
            return Err(refusal(unknown("%%", name)));
        };
        if entry.form == Form::Line {
            return Err(refusal(format!(
                "`%%{name}` is a command of one line: write `%{name} {}`",
                entry.takes
            )));
        }
        let words: Vec<&str> = argument.split_whitespace().collect();
        match (entry.name, &words[..]) {
            ("opt", [level]) => self.head.level = Some(checked(level)?),
            ("time", []) => self.head.way = Way::Time,
            ("time", _) => {
                return Err(refusal(format!(
                    "`%%time` takes nothing, not `{argument}`: what is timed stands below it"
                )));
            }
            ("bash" | "writefile", _) if self.head != Code::default() => {
                return Err(refusal(format!(
                    "`%%{name}` is no Rust, which the line above it is for: take one of them out"
                )));
            }
            ("timeit" | "bench", _) => {
                let (loops, rest) = loops(argument)?;
                if !rest.is_empty() {
                    return Err(refusal(format!(
                        "`%%{name}` takes {}, not `{rest}`: what is timed stands below it",
                        entry.takes.trim_end_matches(" STATEMENT")
                    )));
                }
                if entry.name == "bench" {
                    self.head.way = Way::Bench(loops);
                    self.head.level.get_or_insert_with(|| "3".to_owned());
                } else {
                    self.head.way = Way::TimeIt(loops);
                }
            }
            ("test", []) => self.head.way = Way::Test,
            ("capture", []) => self.commands.capture = Some(None),
            ("capture", [name]) if is_name(name) => {
                self.commands.capture = Some(Some((*name).to_owned()));
            }
            ("bash", []) => {
                let program = if name == "sh" { "sh" } else { "bash" };
                let text = below.to_owned();
                self.commands.steps.push(Step::Script { program, text });
                return Ok(true);
            }
            ("writefile", [_, ..]) => {
                let appended = argument.strip_prefix("-a ");
                let (file, rest) = file(appended.unwrap_or(argument).trim());
                if file.is_empty() || !rest.is_empty() || argument == "-a" {
                    return Err(refusal(usage("%%", entry)));
                }
                self.commands.steps.push(Step::Write {
                    file: file.to_owned(),
                    append: appended.is_some(),
                    text: below.to_owned(),
                });
                return Ok(true);
            }
            _ => return Err(refusal(usage("%%", entry))),
        }
        Ok(false)
    }

    /// Reads `%…` or `:…`, which stands at a place in the cell.
    fn line(&mut self, line: &str, place: Range<usize>) -> Result<(), Failure> {
        let (name, argument) = split(line);
        let Some(entry) = find(name) else {
            return Err(refusal(unknown("%", name)));
        };
        let words: Vec<&str> = argument.split_whitespace().collect();
        let step = match (entry.name, &words[..]) {
            _ if entry.form == Form::Cell => {
                return Err(refusal(format!(
                    "`%%{name}` is for a whole cell: put it in the cell's first line, with two `%`"
                )));
            }
            ("who", []) => Step::Names,
            ("whos", []) => Step::Variables,
            ("type", [name]) => Step::Type((*name).to_owned()),
            ("del", [_, ..]) => {
                let names = argument.split([' ', ',']).filter(|name| !name.is_empty());
                Step::Delete(names.map(str::to_owned).collect())
            }
            ("reset", [] | ["-f" | "-sf"]) => Step::Clear,
            ("time", [_, ..]) => Step::Run(self.timed(argument, place.end, Way::Time)),
            ("timeit", [_, ..]) => {
                let (loops, statement) = loops(argument)?;
                if statement.is_empty() {
                    return Err(refusal(usage("%", entry)));
                }
                Step::Run(self.timed(statement, place.end, Way::TimeIt(loops)))
            }
            ("explain", []) => Step::Explain(None),
            ("explain", [code]) => Step::Explain(Some(code.to_uppercase())),
            ("opt", [level]) => Step::Level(checked(level)?),
            ("dep", [name, ..]) => {
                refuse_held(name)?;
                let line = absolute(argument, self.folder);
                self.passed.push_str(&format!(":dep {line}\n"));
                return Ok(());
            }
            ("show_deps", []) | ("offline", ["0" | "1"]) => {
                self.passed
                    .push_str(&format!(":{} {argument}\n", entry.name));
                return Ok(());
            }
            ("cd", _) => Step::Folder((!argument.is_empty()).then(|| argument.to_owned())),
            ("pwd", []) => Step::Where,
            ("env", []) => Step::Environment(None),
            ("env", [..]) => Step::Environment(Some(setting(argument)?)),
            ("load", [_, ..]) => Step::Load(argument.to_owned()),
            ("save", [_, ..]) => {
                let (file, cells) = file(argument);
                let cells: Vec<&str> = cells.split_whitespace().collect();
                Step::Save {
                    file: file.to_owned(),
                    cells: ranges(&cells)?,
                }
            }
            ("history", ["-g", _, ..]) => {
                Step::Recall(argument.trim_start_matches("-g").trim().to_owned())
            }
            ("history", ["-n", cells @ ..]) => Step::History {
                numbers: true,
                cells: ranges(cells)?,
            },
            ("history", cells) => Step::History {
                numbers: false,
                cells: ranges(cells)?,
            },
            ("help", []) => Step::Help(None),
            ("help", [name]) => Step::Help(Some((*name).to_owned())),
            _ => return Err(refusal(usage("%", entry))),
        };
        self.commands.steps.push(step);
        Ok(())
    }

    /// The statement at the end of a line, that is run in some way.
    fn timed(&mut self, statement: &str, end: usize, way: Way) -> Code {
        Code {
            way,
            ..self.code(end - statement.len()..end)
        }
    }
}

/// A cell of which only a range is left; line breaks and byte offsets are as they were.
fn blanked(cell: &str, range: Range<usize>) -> String {
    let blank = |text: &str| -> String {
        let keep = |byte| if byte == b'\n' { '\n' } else { ' ' };
        text.bytes().map(keep).collect()
    };
    [
        &blank(&cell[..range.start]),
        &cell[range.clone()],
        &blank(&cell[range.end..]),
    ]
    .concat()
}

/// The name and what follows it.
fn split(line: &str) -> (&str, &str) {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    (&line[..end], line[end..].trim())
}

/// The name of a file and what follows it; one with blanks stands in quotes.
fn file(argument: &str) -> (&str, &str) {
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let (name, rest) = argument.strip_prefix(quote)?.split_once(quote)?;
        Some((name, rest.trim()))
    });
    quoted.unwrap_or_else(|| split(argument))
}

/// Whether a variable may have this name.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    let keyword = SyntaxKind::from_keyword(text, Edition::Edition2024).is_some();
    !keyword
        && chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// Reads `-n 100 -r 3` off the front of `%timeit`'s argument.
fn loops(argument: &str) -> Result<(Loops, &str), Failure> {
    let (mut loops, mut rest) = (Loops::default(), argument);
    while let Some(option) = ["-n", "-r"].into_iter().find(|option| {
        let after = rest.strip_prefix(option);
        after.is_some_and(|after| after.starts_with(|c: char| c == ' ' || c.is_ascii_digit()))
    }) {
        let (value, behind) = split(rest[2..].trim_start());
        let number: Option<u64> = value.parse().ok().filter(|number| *number > 0);
        let refused = |most: &str| {
            refusal(format!(
                "`{option}` takes a whole number from 1 to {most}, not `{value}`"
            ))
        };
        match option {
            "-n" => loops.loops = Some(number.ok_or_else(|| refused("2⁶⁴ − 1"))?),
            _ => {
                let runs = number.and_then(|number| u32::try_from(number).ok());
                loops.runs = runs.ok_or_else(|| refused("2³² − 1"))?;
            }
        }
        rest = behind;
    }
    Ok((loops, rest))
}

/// Reads `NAME`, `NAME=VALUE` or `NAME VALUE`.
fn setting(argument: &str) -> Result<(String, Option<String>), Failure> {
    let at = argument.find(|c: char| c == '=' || c.is_whitespace());
    let name = at.map_or(argument, |at| &argument[..at]);
    let value = at.map(|at| {
        let rest = argument[at..].trim_start();
        let value = rest.strip_prefix('=').unwrap_or(rest).trim();
        let quoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        quoted.unwrap_or(value).to_owned()
    });
    match name.is_empty() || name.contains('\0') {
        true => Err(refusal("`%env` takes NAME=VALUE".to_owned())),
        false => Ok((name.to_owned(), value)),
    }
}

/// Reads `1-3 7`, numbers of cells.
fn ranges(words: &[&str]) -> Result<Vec<Range<u32>>, Failure> {
    let range = |word: &&str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (first.parse().ok()?, last.parse::<u32>().ok()?);
        (first <= last && last < u32::MAX).then_some(first..last + 1)
    };
    let read = |word: &&str| {
        range(word).ok_or_else(|| {
            refusal(format!(
                "`{word}` is no cell's number; write numbers and ranges, as `1-3 7`"
            ))
        })
    };
    words.iter().map(read).collect()
}

/// A line of a command among the Rust code of a cell, and what to do about it.
pub fn misplaced(cell: &str) -> Option<String> {
    let rust = &cell[rust_start(cell)..];
    rust.lines().find_map(|line| {
        let inside = line.trim_start();
        let word = split(inside).0;
        let name = word.trim_start_matches(['%', ':']);
        let known = name.len() < word.len() && !word.starts_with("::") && find(name).is_some();
        known.then(|| format!("`{word}` is a command: it stands before the Rust code of a cell"))
    })
}

/// Why a command is refused.
fn unknown(sign: &str, name: &str) -> String {
    if name.is_empty() {
        return format!("a command's name follows its sign at once, as in `{sign}time`");
    }
    let lower = name.to_lowercase();
    if find(&lower).is_some() {
        return format!("`{sign}{name}` is not known; did you mean `{sign}{lower}`?");
    }
    let advice = ADVICE.iter().find(|(names, _)| names.contains(&name));
    if let Some((_, advice)) = advice {
        return format!("`{sign}{name}` {advice}");
    }
    let near = |(text, _): (String, &str)| {
        let known = text.trim_start_matches([':', '%']).to_owned();
        let likeness = strsim::jaro_winkler(&known, name);
        (likeness > 0.8).then_some((likeness, known))
    };
    let nearest = all()
        .filter_map(near)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest.and_then(|(_, name)| find(&name).map(|entry| (name, entry))) {
        Some((near, entry)) => {
            let sign = if entry.form == Form::Cell { "%%" } else { sign };
            format!(
                "`{sign}{name}` is not known; did you mean `{sign}{near}`? `%help` lists all commands"
            )
        }
        None => format!("`{sign}{name}` is not known; `%help` lists all commands"),
    }
}

/// How a command is written.
fn usage(sign: &str, entry: &Entry) -> String {
    let (name, takes, does) = (entry.name, entry.takes, entry.does);
    match takes {
        "" => format!("`{sign}{name}` stands by itself: {does}"),
        _ => format!("`{sign}{name}` is written `{sign}{name} {takes}`: {does}"),
    }
}

/// A `:dep` with its path from the root on: evcxr would take it from its own folder.
fn absolute(argument: &str, folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let from_root = |path: &str| folder.join(path).display().to_string();
    if argument.starts_with(['.', '/']) {
        return from_root(argument);
    }
    // The crate may have such a name itself.
    let Some((name, rest)) = argument.split_once('=') else {
        return argument.to_owned();
    };
    let rooted = PATH.replace(rest, |found: &regex::Captures<'_>| {
        let path = found
            .get(1)
            .or(found.get(2))
            .map_or("", |path| path.as_str());
        format!("path = \"{}\"", from_root(path))
    });
    format!("{name}={rooted}")
}

/// `path = "…"` in a table of TOML.
static PATH: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"\bpath\s*=\s*(?:"([^"]*)"|'([^']*)')"#;
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{pattern}: {error}"))
});

fn checked(level: &str) -> Result<String, Failure> {
    match level {
        "0" | "1" | "2" | "3" | "s" | "z" => Ok(level.to_owned()),
        _ => Err(refusal(format!(
            "optimisation level `{level}` is not one of 0, 1, 2, 3, s, z"
        ))),
    }
}

fn refuse_held(argument: &str) -> Result<(), Failure> {
    let name = argument.split(['=', '@']).next().unwrap_or(argument);
    match held(name) {
        None => Ok(()),
        Some(path) => Err(refusal(format!(
            "the prelude holds {name} already, as `{path}`; a second copy would have other types. \
             Leave the line out and write `{path}::…`"
        ))),
    }
}

/// Under which path the prelude holds a crate, if it does; dashes may be underscores.
pub fn held(name: &str) -> Option<&'static str> {
    let is_it = |held: &str| held.replace('-', "_") == name.replace('-', "_");
    HELD.iter()
        .find(|(held, _)| is_it(held))
        .map(|(_, path)| *path)
}

/// A command that is not obeyed.
pub fn refusal(text: String) -> Failure {
    Failure::new("Command", text)
}

/// A command as it is written in a cell.
fn written(entry: &Entry) -> String {
    let sign = match entry.form {
        Form::Cell => "%%",
        Form::Line | Form::Both => "%",
    };
    format!("{sign}{} {}", entry.name, entry.takes)
        .trim_end()
        .to_owned()
}

/// The answer to `%help`, and to `%help NAME`.
///
/// # Errors
/// When there is no such command.
pub fn help(name: Option<&str>) -> Result<Bundle, Failure> {
    if let Some(name) = name {
        let name = name.trim_start_matches([':', '%']);
        let entry = find(name).ok_or_else(|| refusal(unknown("%", name)))?;
        let mut text = format!("{}\n    {}\n", written(entry), entry.does);
        if entry.form == Form::Both {
            text.push_str(&format!(
                "    As the first line, `%%{name}` is for the whole cell.\n"
            ));
        }
        let sign = match entry.form {
            Form::Cell => "%%",
            Form::Line | Form::Both => "%",
        };
        for also in entry.also {
            text.push_str(&format!("    also: {sign}{also}\n"));
        }
        return Ok(Bundle::from([("text/plain".to_owned(), text.into())]));
    }
    let mut text = String::new();
    let mut html = String::from("<table>");
    for (group, entries) in TABLE {
        text.push_str(&format!("{group}\n"));
        html.push_str(&format!(
            "<tr><th colspan=\"2\" style=\"text-align:left\">{group}</th></tr>"
        ));
        let mut lines: Vec<_> = entries
            .iter()
            .map(|entry| (written(entry), entry.does, entry.form))
            .collect();
        if *group == "Files and system" {
            lines.insert(
                0,
                (
                    "!COMMAND".to_owned(),
                    "run a command of the system's",
                    Form::Line,
                ),
            );
        }
        for (command, does, form) in lines {
            let both = match form {
                Form::Both => " (`%%` for the whole cell)",
                _ => "",
            };
            text.push_str(&format!("  {command:38} {does}{both}\n"));
            html.push_str(&format!(
                "<tr><td style=\"text-align:left\"><code>{}</code></td><td style=\"text-align:left\">{}{both}</td></tr>",
                escape(&command),
                escape(does)
            ));
        }
    }
    let note = "`:` and `%` mean the same. Commands stand before the Rust code of a cell, `%%` ones in its first lines.";
    text.push_str(&format!("{note}\n"));
    html.push_str(&format!("</table><p>{note}</p>"));
    Ok(Bundle::from([
        ("text/plain".to_owned(), text.into()),
        ("text/html".to_owned(), html.into()),
    ]))
}

/// The answer to `:type`.
///
/// # Errors
/// When there is no such variable.
pub fn type_of(name: &str, variables: &[(String, String)]) -> Result<Bundle, Failure> {
    match variables.iter().find(|(other, _)| other == name) {
        Some((name, ty)) => {
            let text = format!("{name}: {ty}");
            Ok(Bundle::from([("text/plain".to_owned(), text.into())]))
        }
        None => Err(no_variable(name, variables.iter().map(|(name, _)| name))),
    }
}

/// Says that there is no such variable, and which comes near.
pub fn no_variable<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let near = known
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let near = near.map_or(String::new(), |(_, near)| {
        format!("; did you mean `{near}`?")
    });
    refusal(format!(
        "there is no variable `{name}`{near}; `%who` lists those that there are"
    ))
}

/// A variable at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    /// Its type, with short paths.
    pub kind: String,
    /// Its value or shape in one short line; empty when it has none, or could not be looked at.
    pub value: String,
    /// Memory that it holds, as far as is known.
    pub bytes: u64,
}

/// The answer to `%whos`.
pub fn variable_table(variables: &[Seen]) -> Bundle {
    let rows: Vec<[String; 4]> = variables
        .iter()
        .map(|seen| {
            let size = bytes(seen.bytes);
            let value: String = seen.value.chars().take(WIDEST).collect();
            let end = if value == seen.value { "" } else { "…" };
            [seen.name.clone(), seen.kind.clone(), value + end, size]
        })
        .collect();
    if rows.is_empty() {
        let text = "There are no variables.\n";
        return Bundle::from([("text/plain".to_owned(), text.into())]);
    }
    let head = ["Variable", "Type", "Value", "Size"];
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].len())
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |row: [&str; 4]| {
        let mut line = String::new();
        for (text, width) in row.iter().zip(widths).take(3) {
            line.push_str(&format!("{text:width$}  "));
        }
        format!("{line}{:>1$}\n", row[3], widths[3])
    };
    let mut text = line(head);
    let mut html = String::from("<table><tr>");
    for name in head {
        html.push_str(&format!("<th style=\"text-align:left\">{name}</th>"));
    }
    html.push_str("</tr>");
    for [name, ty, value, size] in &rows {
        text.push_str(&line([name, ty, value, size]));
        html.push_str(&format!(
            "<tr><td style=\"text-align:left\">{}</td><td style=\"text-align:left\"><code>{}</code></td>\
             <td style=\"text-align:left\">{}</td><td>{size}</td></tr>",
            escape(name),
            escape(ty),
            escape(value)
        ));
    }
    html.push_str("</table>");
    Bundle::from([
        ("text/plain".to_owned(), text.into()),
        ("text/html".to_owned(), html.into()),
    ])
}

/// A number of bytes for people.
fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = "B";
    for next in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    match unit {
        "B" => format!("{number} B"),
        _ => format!("{value:.1} {unit}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_may_have_blanks() {
        for written in [
            "A=b c",
            "A = b c",
            "A b c",
            "A\tb c",
            "A =b c",
            "A= \"b c\"",
            "A = 'b c'",
        ] {
            let value = Some("b c".to_owned());
            assert_eq!(
                setting(written).ok(),
                Some(("A".to_owned(), value)),
                "{written}"
            );
        }
        assert_eq!(
            setting("A=b=c").ok(),
            Some(("A".to_owned(), Some("b=c".to_owned())))
        );
        assert_eq!(setting("A").ok(), Some(("A".to_owned(), None)));
        assert!(setting("= b").is_err());
    }

    fn taken(cell: &str) -> Result<Commands, Failure> {
        take(cell, Path::new("/notes"))
    }

    fn steps(cell: &str) -> Vec<Step> {
        taken(cell).expect(cell).steps
    }

    #[test]
    fn every_place_in_the_code_stays_where_it_was() {
        let cell = "%%opt 3\n:vars\n// words é\n:dep x = \"1\"\n!ls -l\nlet a = 1;\n:vars";
        let commands = taken(cell).expect("commands");
        let rest = &commands.rest;
        assert_eq!(rest.text.len(), cell.len());
        assert_eq!(rest.text.find("let a"), cell.find("let a"));
        assert_eq!(rest.text.trim(), "let a = 1;\n:vars");
        assert_eq!(rest.passed, ":dep x = \"1\"\n");
        assert_eq!(rest.level.as_deref(), Some("3"));
        assert_eq!(
            commands.steps,
            [Step::Variables, Step::Shell("ls -l".into())]
        );
        assert_eq!(taken("x % 2").expect("commands").rest.text, "x % 2");
    }

    #[test]
    fn a_percent_sign_within_rust_is_rust() {
        for cell in [
            "let s = \"\n%time\n%%opt 3\n:vars\";",
            "println!(\"{}\", 7\n% 3)",
            "m! {\n%time x\n}",
            "::std::mem::drop(1)",
            "x\n% y",
        ] {
            let commands = taken(cell).expect(cell);
            assert_eq!((&commands.rest.text[..], commands.steps.len()), (cell, 0));
        }
    }

    #[test]
    fn colon_and_percent_mean_the_same() {
        for (command, step) in [
            ("opt 2", Step::Level("2".into())),
            ("type x", Step::Type("x".into())),
            ("vars", Step::Variables),
            ("whos", Step::Variables),
            ("history -g a b", Step::Recall("a b".into())),
            ("who", Step::Names),
            (
                "del a, b c",
                Step::Delete(vec!["a".into(), "b".into(), "c".into()]),
            ),
            ("clear", Step::Clear),
            ("reset -f", Step::Clear),
            ("help", Step::Help(None)),
            ("help time", Step::Help(Some("time".into()))),
            ("explain e0382", Step::Explain(Some("E0382".into()))),
            ("cd ../a b", Step::Folder(Some("../a b".into()))),
            ("cd", Step::Folder(None)),
            ("pwd", Step::Where),
            ("env", Step::Environment(None)),
            ("env HOME", Step::Environment(Some(("HOME".into(), None)))),
            (
                "env A=b c",
                Step::Environment(Some(("A".into(), Some("b c".into())))),
            ),
            (
                "set_env A 'b'",
                Step::Environment(Some(("A".into(), Some("b".into())))),
            ),
            ("load a.rs", Step::Load("a.rs".into())),
            (
                "save \"a b.rs\" 2",
                Step::Save {
                    file: "a b.rs".into(),
                    cells: std::iter::once(2..3).collect(),
                },
            ),
            (
                "save a.rs 1-3 7",
                Step::Save {
                    file: "a.rs".into(),
                    cells: vec![1..4, 7..8],
                },
            ),
            (
                "history -n 2 5",
                Step::History {
                    numbers: true,
                    cells: vec![2..3, 5..6],
                },
            ),
            (
                "history",
                Step::History {
                    numbers: false,
                    cells: vec![],
                },
            ),
        ] {
            for sign in [":", "%", "  %"] {
                assert_eq!(
                    steps(&format!("{sign}{command}\nx")),
                    std::slice::from_ref(&step),
                    "{sign}{command}"
                );
            }
        }
    }

    #[test]
    fn statements_are_timed_where_they_stand() {
        let cell = ":dep a = \"1\"\n%time let y = f(x)?;\ny";
        let commands = taken(cell).expect("commands");
        let [Step::Run(code)] = &commands.steps[..] else {
            panic!("{commands:?}");
        };
        assert_eq!(code.way, Way::Time);
        assert_eq!(code.passed, ":dep a = \"1\"\n");
        assert_eq!(code.text.len(), cell.len());
        assert_eq!(code.text.find("let y"), cell.find("let y"));
        assert_eq!(code.text.trim(), "let y = f(x)?;");
        assert_eq!(
            (commands.rest.text.trim(), &commands.rest.passed[..]),
            ("y", "")
        );

        let of = |cell| match &steps(cell)[..] {
            [Step::Run(code)] => code.clone(),
            other => panic!("{other:?}"),
        };
        let code = of("%%opt 3\n%timeit -n 10 -r3 -x.abs()");
        assert_eq!(
            (code.text.trim(), code.level.as_deref()),
            ("-x.abs()", Some("3"))
        );
        assert_eq!(
            code.way,
            Way::TimeIt(Loops {
                loops: Some(10),
                runs: 3
            })
        );
        assert_eq!(of("%timeit -n").text.trim(), "-n", "a negated variable");
    }

    #[test]
    fn paths_of_crates_are_found_whatever_else_is_called_so() {
        let rooted = |argument: &str| absolute(argument, Path::new("/notes"));
        for (written, read) in [
            ("../x", "/notes/../x"),
            ("a = { path = \"../x\" }", "a = { path = \"/notes/../x\" }"),
            (
                "pathlib = { path = \"../x\" }",
                "pathlib = { path = \"/notes/../x\" }",
            ),
            (
                "my_path = { path='x', features = [] }",
                "my_path = { path = \"/notes/x\", features = [] }",
            ),
            (
                "a = { features = [\"path\"], path = \"/x\" }",
                "a = { features = [\"path\"], path = \"/x\" }",
            ),
            ("path = \"1.0\"", "path = \"1.0\""),
            ("regex", "regex"),
        ] {
            assert_eq!(rooted(written), read);
        }
    }

    #[test]
    fn a_line_that_would_be_ignored_is_refused() {
        let refused = |cell: &str| taken(cell).expect_err(cell).value;
        for cell in [
            "%%time\n%%bash\nls",
            "%%timeit\n%%writefile a\nb",
            "%%opt 3\n%%bash\nls",
            "%%test\n%%sh\nls",
        ] {
            assert!(refused(cell).contains("is no Rust"), "{cell}");
        }
        assert!(refused("%%time f(x)").contains("takes nothing, not `f(x)`"));
        assert!(taken("%%capture\n%%bash\nls").is_ok());
        assert!(taken("%timeit -n 5000000000 x").is_ok());
        assert!(refused("%timeit -r 5000000000 x").contains("from 1 to 2³² − 1"));
    }

    #[test]
    fn first_lines_are_for_the_whole_cell() {
        let commands = taken("%%opt 2\n%%timeit\n%who\nf(x)").expect("commands");
        assert_eq!(commands.rest.way, Way::TimeIt(Loops::default()));
        assert_eq!(commands.rest.level.as_deref(), Some("2"));
        assert_eq!(commands.steps, [Step::Names]);
        let way = |cell| taken(cell).expect(cell).rest.way;
        assert_eq!(way("%%time\nx"), Way::Time);
        assert_eq!(way("%%test\n#[test] fn f() {}"), Way::Test);
        assert_eq!(
            way("%%bench -r 3\nx"),
            Way::Bench(Loops {
                loops: None,
                runs: 3
            })
        );
        let bench = taken("%%bench\nx").expect("commands").rest;
        assert_eq!(
            bench.level.as_deref(),
            Some("3"),
            "optimised if nothing else is said"
        );
        let capture = |cell| taken(cell).expect(cell).capture;
        assert_eq!(capture("%%capture\nx"), Some(None));
        assert_eq!(capture("%%capture out\nx"), Some(Some("out".into())));
        assert_eq!(
            steps("%%bash\nls # :vars\n%x\n"),
            [Step::Script {
                program: "bash",
                text: "ls # :vars\n%x\n".into()
            }]
        );
        assert_eq!(
            steps("%%writefile -a a.txt\nwords"),
            [Step::Write {
                file: "a.txt".into(),
                append: true,
                text: "words".into()
            }]
        );
    }

    #[test]
    fn a_line_for_the_system_is_a_comment() {
        for (cell, is) in [
            ("#!/usr/bin/env itd\n1", "// usr/bin/env itd\n1"),
            ("#![allow(unused)]\n1", "#![allow(unused)]\n1"),
            ("#! [allow(unused)]", "#! [allow(unused)]"),
            ("1\n#!x", "1\n#!x"),
        ] {
            assert_eq!(without_interpreter(cell), is);
        }
    }

    #[test]
    fn rust_starts_behind_the_commands() {
        for (cell, start) in [
            (":dep x = \"1\"\n// why\n\nlet a = 1;", 21),
            ("let a = 1;\n:dep x", 0),
            ("!ls", 3),
            ("%%opt 3\n:vars\nx", 14),
            ("%%opt 3\n%%time\n%who\nx", 20),
            ("x %% 3", 0),
            ("%%bash\nx", 8),
            ("%%capture\n%%writefile a\nx", 25),
            ("::std::mem::drop(1)", 0),
        ] {
            assert_eq!(rust_start(cell), start, "{cell}");
        }
    }

    #[test]
    fn paths_of_crates_are_from_the_notebook_on() {
        let passed = |cell| taken(cell).expect("commands").rest.passed;
        assert_eq!(
            passed(":dep mine = { path = \"../mine\", features = [\"a\"] }"),
            ":dep mine = { path = \"/notes/../mine\", features = [\"a\"] }\n"
        );
        assert_eq!(passed("%dep ./mine"), ":dep /notes/./mine\n");
        let rooted = ":dep mine = { path = \"/mine\" }\n";
        assert_eq!(passed(rooted), rooted);
        assert_eq!(
            passed(":dep pathfinding = \"4\""),
            ":dep pathfinding = \"4\"\n"
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_with_the_way_out() {
        for (cell, what) in [
            ("%%timit\nx", "did you mean `%%timeit`?"),
            ("%tim x", "did you mean `%time`?"),
            (":helq", "did you mean"),
            ("%wrtefile a", "did you mean `%%writefile`?"),
            ("%xyzzy", "`%help` lists"),
            ("%%who\nx", "write `%who"),
            ("%bash ls", "first line"),
            ("// words\n%%opt 3\nx", "first line"),
            ("%%opt 9\nx", "not one of"),
            ("%%opt\nx", "is written `%%opt LEVEL`"),
            (":opt fast\nx", "not one of"),
            (":opt", "is written `%opt LEVEL`"),
            ("%timeit", "is written"),
            ("%timeit -n 0 x", "whole number"),
            ("%%timeit x\ny", "below it"),
            ("%%timeit", "nothing to time"),
            ("%%test\n", "no tests"),
            ("%%bash -x\nls", "stands by itself"),
            ("%save a.rs 3-1", "no cell's number"),
            ("%who x", "stands by itself"),
            ("%Who", "did you mean `%who`?"),
            ("% who", "follows its sign at once"),
            ("%%capture fn\nx", "is written"),
            ("%%writefile -a\nx", "is written"),
            ("%%writefile a b\nx", "is written"),
            ("%%python\nx", "another language"),
            (":dep candle-core = \"0.9\"", "write `candle::…`"),
            (":dep polars", "write `pl::…`"),
            (":dep", "is written"),
            (":quit", "by the front end"),
            (":cache 100", "would break"),
            (":toolchain nightly", "before"),
            ("%matplotlib inline", "not needed"),
            ("%pip install x", ":dep"),
            ("%ls", "`!ls`"),
        ] {
            let failure = taken(cell).expect_err(cell);
            assert!(failure.value.contains(what), "{cell}: {}", failure.value);
        }
        assert!(taken(":dep serde = \"1\"").is_ok());
    }

    #[test]
    fn every_command_in_the_table_is_obeyed() {
        let examples = |takes: &str| match takes {
            ""
            | "[CODE]"
            | "[NAME]"
            | "[COMMAND]"
            | "[-n LOOPS] [-r RUNS]"
            | "[-n] [CELLS]"
            | "[NAME[=VALUE]]" => "",
            "LEVEL" => "2",
            "NAME = \"VERSION\"" => "serde = \"1\"",
            "1" => "1",
            _ => "x",
        };
        for entry in TABLE.iter().flat_map(|(_, entries)| *entries) {
            for name in std::iter::once(&entry.name).chain(entry.also) {
                let argument = examples(entry.takes);
                if entry.form != Form::Cell {
                    assert!(taken(&format!("%{name} {argument}\nx")).is_ok(), "%{name}");
                }
                if entry.form != Form::Line {
                    let argument = match entry.takes {
                        takes if takes.ends_with("STATEMENT") => "",
                        _ => argument,
                    };
                    assert!(
                        taken(&format!("%%{name} {argument}\nx")).is_ok(),
                        "%%{name}"
                    );
                }
            }
        }
        for (names, _) in ADVICE {
            assert!(names.iter().all(|name| find(name).is_none()), "{names:?}");
        }
    }

    #[test]
    fn the_documentation_has_every_command() {
        let text = include_str!("../../docs/commands.md");
        for entry in TABLE.iter().flat_map(|(_, entries)| *entries) {
            assert!(
                text.contains(&format!("`{}", written(entry))),
                "{}",
                written(entry)
            );
        }
    }

    #[test]
    fn help_is_in_groups_and_aligned_on_the_left() {
        let help = help(None).expect("help");
        let text = help["text/plain"].as_str().expect("text");
        assert!(text.starts_with("Variables\n  %who "), "{text}");
        for (command, does) in [
            ("!COMMAND", "run a command"),
            ("%%writefile", "write the cell"),
        ] {
            let line = text
                .lines()
                .find(|line| line.contains(command))
                .expect(command);
            assert!(line.starts_with(&format!("  {command}")), "{line}");
            assert_eq!(line.find(does), Some(41), "{line}");
        }
        let html = help["text/html"].as_str().expect("html");
        assert!(html.contains("text-align:left") && html.contains("<code>%who</code>"));
        let one = super::help(Some("%timeit")).expect("help");
        assert!(one["text/plain"].to_string().contains("LOOPS"));
        assert!(super::help(Some("nothing")).is_err());
    }

    #[test]
    fn variables_are_in_a_table() {
        let seen = |name: &str, kind: &str, value: &str, bytes| Seen {
            name: name.into(),
            kind: kind.into(),
            value: value.into(),
            bytes,
        };
        let table = variable_table(&[
            seen("x", "i32", "5", 4),
            seen("long", "Vec<f64>", "3: [1.0, 2.0, 3.0]", 24_048),
        ]);
        let text = "Variable  Type      Value                  Size\n\
                    x         i32       5                       4 B\n\
                    long      Vec<f64>  3: [1.0, 2.0, 3.0]  24.0 kB\n";
        assert_eq!(table["text/plain"], text);
        assert!(table["text/html"].to_string().contains("Vec&lt;f64&gt;"));
        assert!(
            variable_table(&[])["text/plain"]
                .to_string()
                .contains("no variables")
        );
    }
}
