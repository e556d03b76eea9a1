//! `itd fetch`: a published network, or the ratings of MovieLens-100k, downloaded; or what there is to download.

use std::fmt::Write;
use std::path::Path;

use super::Report;
use super::inspect::summary;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::hub::{self, Fetched, MODELS, Model};
use crate::ratings::{ML_100K_TERMS, fetch_ml_100k, ml_100k};
use crate::text::{Side, bytes, table, thousands};

/// The networks that have short names, and whether they are on this disk.
pub(super) fn list() -> Report {
    let head = ["model", "size", "on disk", "what it is"]
        .map(String::from)
        .to_vec();
    let mut rows = vec![head];
    let mut places = String::new();
    for known in &MODELS {
        let found = hub::find(known.name);
        rows.push(vec![
            known.name.to_owned(),
            format!("about {:.0} MB", known.parameters as f64 * 4e-6),
            if found.is_some() { "yes" } else { "no" }.to_owned(),
            known.what.to_owned(),
        ]);
        if let Some(path) = found {
            let _ = writeln!(places, "{} is {}", known.name, path.display());
        }
    }
    let mut text = table(&rows, &[Side::Left, Side::Right, Side::Left, Side::Left]);
    if !places.is_empty() {
        let _ = write!(text, "\n{places}");
    }
    text.push_str(
        "\n`itd fetch MODEL` downloads one; MODEL may also be OWNER/NAME of the Hugging Face hub, or the address of \
         a file. `itd fetch ml-100k` gets the ratings of MovieLens-100k.\n",
    );
    Report {
        text,
        complaint: None,
    }
}

/// Gets MovieLens-100k unless it is there, and reads it.
pub(super) fn ratings() -> Result<Report> {
    let fetched = fetch_ml_100k()?;
    let table = ml_100k()?;
    let state = match fetched.was_there {
        true => "on this disk already",
        false => "downloaded",
    };
    let text = format!(
        "ml-100k: {state}, in\n{}\n\n{} ratings of {} users for {} films. It is read in place.\n{ML_100K_TERMS}.\n",
        fetched.path.display(),
        thousands(table.ratings.len() as u64),
        table.users.len(),
        thousands(table.items.len() as u64),
    );
    Ok(Report {
        text,
        complaint: None,
    })
}

/// Downloads a network unless it is there, and shows what is on the disk now.
pub(super) fn fetch(name: &str) -> Result<Report> {
    let model = Model::named(name)?;
    let fetched = hub::fetch(name)?;
    let mut report = Report {
        text: files(&model, &fetched),
        complaint: None,
    };
    match Checkpoint::open(&fetched.weights) {
        Ok(file) => {
            let _ = writeln!(report.text, "\n{}", summary(&file));
            if let Model::Known(known) = model
                && known.parameters != file.parameters() as u64
            {
                report.complaint = Some(format!(
                    "{} holds {} parameters; the published network has {}: this is another file",
                    fetched.weights.display(),
                    thousands(file.parameters() as u64),
                    thousands(known.parameters),
                ));
            }
        }
        Err(error) => {
            report.complaint = Some(format!(
                "the file is there, but cannot be read as weights; if it should be, remove it and fetch it again: \
                 {error}"
            ));
        }
    }
    Ok(report)
}

/// Where the files landed, their sizes and checksums.
fn files(model: &Model, fetched: &Fetched) -> String {
    let folder = fetched.weights.parent().unwrap_or(Path::new(""));
    let state = match fetched.was_there {
        true => "on this disk already",
        false => "downloaded",
    };
    let mut text = format!("{model}: {state}, in\n{}\n\n", folder.display());
    let mut rows = vec![
        ["file", "size", "bytes", "SHA-256"]
            .map(String::from)
            .to_vec(),
    ];
    for file in &fetched.files {
        let name = file.path.strip_prefix(folder).unwrap_or(&file.path);
        rows.push(vec![
            name.display().to_string(),
            bytes(file.bytes),
            thousands(file.bytes),
            file.sha256.clone(),
        ]);
    }
    text += &table(&rows, &[Side::Left, Side::Right, Side::Right, Side::Left]);
    if let Some(doubt) = &fetched.doubt {
        let _ = writeln!(text, "\nWhether there is more of it is not known: {doubt}");
    }
    text
}
