//! The commands that may stand before the Rust code of a cell and are ours; evcxr gets the others.

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

/// What a cell asks for, and what is left of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The cell without our commands. Their lines stay, emptied, so that the others keep their numbers.
    pub rest: String,
    /// `%%opt 3`: the optimisation level of this cell.
    pub cell_level: Option<String>,
    /// `:opt 3`: the optimisation level from now on.
    pub level: Option<String>,
    /// `:vars`: show what lives.
    pub variables: bool,
    /// `:clear`: forget everything.
    pub clear: bool,
}

/// Takes the commands out of a cell.
///
/// # Errors
/// A failure named `Command` for one that is not known, or cannot be obeyed.
pub fn take(cell: &str) -> Result<Commands, Failure> {
    let mut commands = Commands::default();
    let mut kept: Vec<&str> = Vec::new();
    let magic = cell.starts_with("%%");
    let start = match magic {
        true => cell.find('\n').map_or(cell.len(), |end| end + 1),
        false => 0,
    };
    if magic {
        let line = cell[..start].trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["%%opt", level] => commands.cell_level = Some(checked(level)?),
            _ => return Err(refusal(format!("`{line}` is not known; `%%opt 3` is"))),
        }
        kept.push("");
    }
    let rust = start + rust_start(&cell[start..]);
    for line in cell[start..rust].lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = match words[..] {
            [":opt", level] => {
                commands.level = Some(checked(level)?);
                true
            }
            [":vars"] => {
                commands.variables = true;
                true
            }
            [":clear" | ":restart"] => {
                commands.clear = true;
                true
            }
            [":dep", name, ..] => {
                refuse_held(name)?;
                false
            }
            _ => false,
        };
        kept.push(if ours { "" } else { line });
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

    #[test]
    fn lines_keep_their_numbers() {
        let commands =
            take("%%opt 3\n:vars\n// words\n:dep x = \"1\"\nlet a = 1;\n:vars").expect("commands");
        assert_eq!(
            commands.rest,
            "\n\n// words\n:dep x = \"1\"\nlet a = 1;\n:vars"
        );
        assert_eq!(commands.cell_level.as_deref(), Some("3"));
        assert!(commands.variables && !commands.clear);
        assert_eq!(
            take(":opt 2\nx").expect("commands").level.as_deref(),
            Some("2")
        );
        assert_eq!(take("x % 2").expect("commands").rest, "x % 2");
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_with_the_way_out() {
        for (cell, what) in [
            ("%%timeit\nx", "`%%opt 3` is"),
            ("%%opt 9\nx", "not one of"),
            (":opt fast\nx", "not one of"),
            (":dep candle-core = \"0.9\"", "write `candle::…`"),
            (":dep polars", "write `pl::…`"),
        ] {
            let failure = take(cell).expect_err(cell);
            assert!(failure.value.contains(what), "{}", failure.value);
        }
        assert!(take(":dep serde = \"1\"").is_ok());
    }
}
