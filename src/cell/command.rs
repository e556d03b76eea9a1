//! The commands that may stand before the Rust code of a cell and are ours; evcxr gets the others.

use std::path::Path;

use super::source::rust_start;
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

/// Our own commands, and those of evcxr's that do here what they say.
const KNOWN: &[(&str, &str)] = &[
    (
        ":dep NAME = \"VERSION\"",
        "add a crate; also `{ version = …, features = […] }` and `{ path = … }`",
    ),
    (":show_deps", "list the crates that were added"),
    (":vars", "list the variables and their types"),
    (":type NAME", "show a variable's type"),
    (":clear", "forget all variables, functions and types"),
    (":opt LEVEL", "optimise from now on: 0, 1, 2, 3, s or z"),
    ("%%opt LEVEL", "optimise this cell, as its first line"),
    (":explain", "explain the last compile error"),
    (":offline 1", "add crates without the network"),
    ("!COMMAND", "run a command of the system's"),
    (":help", "list the commands"),
];
/// Those that evcxr gets.
const PASSED_ON: &[&str] = &[":dep", ":show_deps", ":explain", ":offline"];

/// What a cell asks for, and what is left of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The cell without our commands. Their lines stay, emptied, so that the others keep their numbers.
    pub rest: String,
    /// `%%opt 3`: the optimisation level of this cell.
    pub cell_level: Option<String>,
    /// What is to be done before the rest, in order.
    pub steps: Vec<Step>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `:opt 3`: the optimisation level from now on.
    Level(String),
    /// `:vars`: show what lives.
    Variables,
    /// `:type x`: show what it is.
    Type(String),
    /// `:clear`: forget everything.
    Clear,
    /// `:help`: list the commands.
    Help,
    /// `!ls`: run a program.
    Shell(String),
}

/// Takes the commands out of a cell, whose paths are from `folder` on.
///
/// # Errors
/// A failure named `Command` for one that is not known, or cannot be obeyed.
pub fn take(cell: &str, folder: &Path) -> Result<Commands, Failure> {
    let mut commands = Commands::default();
    let mut kept: Vec<String> = Vec::new();
    let rust = rust_start(cell);
    for (index, line) in cell[..rust].lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let step = match words[..] {
            ["%%opt", level] if index == 0 => {
                commands.cell_level = Some(checked(level)?);
                kept.push(String::new());
                continue;
            }
            [first, ..] if index == 0 && first.starts_with("%%") => {
                return Err(refusal(format!("`{line}` is not known; `%%opt 3` is")));
            }
            _ if line.starts_with('!') => Step::Shell(line[1..].trim().to_owned()),
            [":opt", level] => Step::Level(checked(level)?),
            [":vars"] => Step::Variables,
            [":type" | ":t", name] => Step::Type(name.to_owned()),
            [":clear" | ":restart"] => Step::Clear,
            [":help"] => Step::Help,
            [":dep", name, ..] => {
                refuse_held(name)?;
                kept.push(absolute(line, folder));
                continue;
            }
            [first, ..] if first.starts_with(':') => {
                if !PASSED_ON.contains(&first) {
                    return Err(refusal(unknown(first)));
                }
                kept.push(line.to_owned());
                continue;
            }
            _ => {
                kept.push(line.to_owned());
                continue;
            }
        };
        commands.steps.push(step);
        kept.push(String::new());
    }
    commands.rest = kept.join("\n");
    if rust < cell.len() {
        if !kept.is_empty() {
            commands.rest.push('\n');
        }
        commands.rest.push_str(&cell[rust..]);
    }
    Ok(commands)
}

/// Why a command is refused.
fn unknown(command: &str) -> String {
    match command {
        ":quit" => {
            "`:quit` ends `itd repl` only; a notebook's kernel is ended by the front end, as with \
                    \"Shut down kernel\""
                .to_owned()
        }
        ":env" => "`:env` would reach only the next process; write \
                   `unsafe { std::env::set_var(\"NAME\", \"value\") };` in a cell"
            .to_owned(),
        ":toolchain" => {
            "cells are built with the compiler that the prelude was built with; choose it before \
                         the kernel starts, as with `rustup default`"
                .to_owned()
        }
        ":opt" => "`:opt` takes one of the levels 0, 1, 2, 3, s, z".to_owned(),
        ":type" | ":t" => "`:type` takes the name of a variable".to_owned(),
        ":dep" => "`:dep` takes a crate, as in `:dep regex = \"1\"`".to_owned(),
        _ => format!("`{command}` is not known; `:help` lists what is"),
    }
}

/// A `:dep` with its path from the root on: evcxr would take it from its own folder.
fn absolute(line: &str, folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let from_root = |path: &str| folder.join(path).display().to_string();
    let argument = line.trim_start().trim_start_matches(":dep").trim();
    if argument.starts_with(['.', '/']) {
        return format!(":dep {}", from_root(argument));
    }
    let Some((before, rest)) = argument.split_once("path") else {
        return line.to_owned();
    };
    let value = rest
        .trim_start()
        .strip_prefix('=')
        .and_then(|rest| rest.trim_start().strip_prefix('"'))
        .and_then(|rest| rest.split_once('"'));
    match value {
        Some((path, after)) => format!(":dep {before}path = \"{}\"{after}", from_root(path)),
        None => line.to_owned(),
    }
}

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
    match HELD.iter().find(|(held, _)| *held == name) {
        None => Ok(()),
        Some((_, path)) => Err(refusal(format!(
            "the prelude holds {name} already, as `{path}`; a second copy would have other types. \
             Leave the line out and write `{path}::…`"
        ))),
    }
}

fn refusal(text: String) -> Failure {
    Failure::new("Command", text)
}

/// The answer to `:help`.
pub fn help() -> Bundle {
    let lines = KNOWN
        .iter()
        .map(|(command, what)| format!("{command:24} {what}\n"));
    Bundle::from([("text/plain".to_owned(), lines.collect::<String>().into())])
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
        None => Err(refusal(format!(
            "there is no variable `{name}`; `:vars` lists those that there are"
        ))),
    }
}

/// The answer to `:vars`.
pub fn variable_table(variables: &[(String, String)]) -> Bundle {
    let lines = variables.iter().map(|(name, ty)| format!("{name}: {ty}\n"));
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let rows = variables
        .iter()
        .map(|(name, ty)| format!("<tr><td>{name}</td><td>{}</td></tr>", escape(ty)));
    let html = format!(
        "<table><tr><th>Variable</th><th>Type</th></tr>{}</table>",
        rows.collect::<String>()
    );
    Bundle::from([
        ("text/plain".to_owned(), lines.collect::<String>().into()),
        ("text/html".to_owned(), html.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(cell: &str) -> Result<Commands, Failure> {
        take(cell, Path::new("/notes"))
    }

    #[test]
    fn lines_keep_their_numbers() {
        let cell = "%%opt 3\n:vars\n// words\n:dep x = \"1\"\n!ls -l\nlet a = 1;\n:vars";
        let commands = taken(cell).expect("commands");
        assert_eq!(
            commands.rest,
            "\n\n// words\n:dep x = \"1\"\n\nlet a = 1;\n:vars"
        );
        assert_eq!(commands.cell_level.as_deref(), Some("3"));
        assert_eq!(
            commands.steps,
            [Step::Variables, Step::Shell("ls -l".into())]
        );
        let steps = |cell| taken(cell).expect("commands").steps;
        assert_eq!(steps(":opt 2\nx"), [Step::Level("2".into())]);
        assert_eq!(steps(":type x"), [Step::Type("x".into())]);
        assert_eq!(taken("x % 2").expect("commands").rest, "x % 2");
    }

    #[test]
    fn paths_of_crates_are_from_the_notebook_on() {
        let rest = |cell| taken(cell).expect("commands").rest;
        assert_eq!(
            rest(":dep mine = { path = \"../mine\", features = [\"a\"] }"),
            ":dep mine = { path = \"/notes/../mine\", features = [\"a\"] }"
        );
        assert_eq!(rest(":dep ./mine"), ":dep /notes/./mine");
        let rooted = ":dep mine = { path = \"/mine\" }";
        assert_eq!(rest(rooted), rooted);
        assert_eq!(rest(":dep pathfinding = \"4\""), ":dep pathfinding = \"4\"");
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_with_the_way_out() {
        for (cell, what) in [
            ("%%timeit\nx", "`%%opt 3` is"),
            ("%%opt 9\nx", "not one of"),
            (":opt fast\nx", "not one of"),
            (":opt", "takes one of"),
            (":dep candle-core = \"0.9\"", "write `candle::…`"),
            (":dep polars", "write `pl::…`"),
            (":quit", "by the front end"),
            (":cache 100", "`:help` lists"),
            (":toolchain nightly", "before"),
        ] {
            let failure = taken(cell).expect_err(cell);
            assert!(failure.value.contains(what), "{}", failure.value);
        }
        assert!(taken(":dep serde = \"1\"").is_ok());
    }

    #[test]
    fn every_command_in_the_list_is_obeyed() {
        for (command, _) in KNOWN {
            let cell = command.replace("LEVEL", "2").replace("NAME", "x");
            assert!(taken(&cell).is_ok(), "{cell}");
        }
    }
}
