//! `itd reproduce`: the paper's experiments at a chosen scale.

use std::path::PathBuf;

use super::Report;
use crate::error::{Error, Result};
use crate::reproduce::{Cifar10Config, Outcome, cifar10, cost};

const NEED: &str = "`reproduce cifar10`, and behind it any of `--scale smoke|laptop|paper`, `--folder FOLDER`, \
                    `--data FOLDER`, `--shard INDEX/COUNT`, `--cost`";

fn refused(got: &str) -> Error {
    Error::Parameter {
        name: "the command",
        got: format!("{got:?}"),
        need: NEED,
    }
}

pub(super) fn reproduce(words: &[&str]) -> Result<Report> {
    let Some((&"cifar10", mut rest)) = words.split_first() else {
        return Err(refused(&words.join(" ")));
    };
    let mut config = Cifar10Config::default();
    let mut only_cost = false;
    while let Some((&name, behind)) = rest.split_first() {
        rest = behind;
        if name == "--cost" {
            only_cost = true;
            continue;
        }
        let Some((&value, behind)) = rest.split_first() else {
            return Err(refused(name));
        };
        rest = behind;
        match name {
            "--scale" => config.scale = value.parse()?,
            "--folder" => config.folder = PathBuf::from(value),
            "--data" => config.data = Some(PathBuf::from(value)),
            "--shard" => config.shard = value.parse()?,
            other => return Err(refused(other)),
        }
    }
    eprintln!("{}: {}", config.scale.name(), cost(&config)?);
    if only_cost {
        return Ok(Report::default());
    }
    let place = config.folder.display();
    let text = match cifar10(&config, &mut |stage| eprintln!("{stage}"))? {
        Outcome::Done(tables) => format!(
            "{}\n\n{}\n\nTables, figures and all numbers are in {place}\n",
            tables.table_1()?,
            tables.table_2()?
        ),
        Outcome::Waiting(curves) if curves.is_empty() => format!(
            "All curves of the published networks are in {place}; go on with one process, without `--shard`\n"
        ),
        Outcome::Waiting(curves) => format!(
            "This part is done; other parts are missing:\n{}\n",
            curves.join("\n")
        ),
    };
    Ok(Report {
        text,
        complaint: None,
    })
}
