//! `itd inspect`: what is in a file of weights, and whether it fits a network.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Report;
use super::network::{Fit, Network};
use crate::checkpoint::{Checkpoint, Entry, Format};
use crate::error::{Error, Result};
use crate::hub;
use crate::text::{Side, bytes, table, thousands};

/// Letters of a name or of a metadata value that are shown.
const LONGEST: usize = 100;

/// The tensors of a file; and how they fit the network that is named, or the one that they look like.
pub(super) fn inspect(path: &Path, network: Option<Network>) -> Result<Report> {
    let file = Checkpoint::open(weights(path)?)?;
    let mut text = format!("{}\n{}\n", file.path().display(), summary(&file));
    if let [_, _, ..] = file.state_dicts() {
        let names: Vec<String> = file.state_dicts().iter().map(|name| plain(name)).collect();
        let _ = writeln!(text, "one of the state dicts {}", names.join(", "));
    }
    text.push('\n');
    let mut rows = vec![
        ["tensor", "shape", "type", "numbers"]
            .map(String::from)
            .to_vec(),
    ];
    rows.extend(file.entries().iter().map(row));
    text += &table(&rows, &[Side::Left, Side::Left, Side::Left, Side::Right]);
    if !file.metadata().is_empty() {
        let rows = file
            .metadata()
            .iter()
            .map(|(key, value)| vec![plain(key), plain(value)]);
        let head = vec!["metadata".to_owned(), String::new()];
        let rows: Vec<_> = [head].into_iter().chain(rows).collect();
        let _ = write!(text, "\n{}", table(&rows, &[Side::Left, Side::Left]));
    }
    let Some(meant) = network.or_else(|| Network::of(&file)) else {
        text += "\nThese are the tensors of no network that is known here.\n";
        return Ok(Report {
            text,
            complaint: None,
        });
    };
    let fit = meant.compare(&file).unwrap_or_else(|error| Fit {
        settings: "its settings cannot be had".into(),
        fits: false,
        text: error.to_string(),
    });
    let _ = writeln!(text, "\nAs {meant} ({}): {}", fit.settings, fit.text);
    let wrong = (!fit.fits && network.is_some())
        .then(|| format!("{} does not fit {meant}", file.path().display()));
    Ok(Report {
        text,
        complaint: wrong,
    })
}

/// The file that is meant: itself, the weights in a folder, or those of a network on this disk.
fn weights(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        return hub::weights(path).ok_or_else(|| Error::Missing {
            what: format!("{} holds no weights", path.display()),
            next: "name a file, or a folder with a .safetensors, .bin or .pt",
        });
    }
    let named = path.to_str().filter(|_| !path.exists()).and_then(hub::find);
    Ok(named.unwrap_or_else(|| path.to_owned()))
}

/// Format, tensors, parameters and their bytes, in a line.
pub(super) fn summary(file: &Checkpoint) -> String {
    let format = match file.format() {
        Format::Safetensors => "safetensors",
        Format::Pickle => "a pickled state dict",
    };
    let bits = file
        .entries()
        .iter()
        .map(|entry| count(entry).saturating_mul(entry.dtype.bitsize()));
    let size = bits.fold(0usize, usize::saturating_add).div_ceil(8) as u64;
    let exactly = match size < 1000 {
        true => String::new(),
        false => format!(" ({} bytes)", thousands(size)),
    };
    format!(
        "{format}, {} tensors, {} parameters in {}{exactly}",
        thousands(file.entries().len() as u64),
        thousands(file.parameters() as u64),
        bytes(size),
    )
}

fn count(entry: &Entry) -> usize {
    entry.shape.iter().copied().fold(1, usize::saturating_mul)
}

fn row(entry: &Entry) -> Vec<String> {
    vec![
        plain(&entry.name),
        format!("{:?}", entry.shape),
        format!("{:?}", entry.dtype),
        thousands(count(entry) as u64),
    ]
}

/// Text of a file, which must not steer the terminal nor fill it.
fn plain(text: &str) -> String {
    let shown: String = match text.chars().any(char::is_control) {
        true => text.escape_debug().take(LONGEST + 1).collect(),
        false => text.chars().take(LONGEST + 1).collect(),
    };
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            &shown[..end],
            thousands(text.len() as u64)
        ),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_file_stays_in_its_line() {
        assert_eq!(plain("conv_in.weight"), "conv_in.weight");
        assert_eq!(plain("\x1b[2J\n"), "\\u{1b}[2J\\n");
        let long = plain(&"ä".repeat(300));
        assert_eq!(
            (long.chars().count(), long.ends_with("… (600 bytes)")),
            (113, true)
        );
    }
}
