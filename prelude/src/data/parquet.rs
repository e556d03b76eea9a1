//! Parquet files of pictures, as the Hugging Face hub keeps them.

mod columns;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::picture::{Origin, Picture};
use super::search::entries;
use super::source::BEST_RATIO;
use super::stack::Stack;
use super::{Dataset, Form};
use crate::cell;
use crate::error::{Error, Interrupted, Place, Result};
use columns::{LABELS, columns, open};
use itd_files::parquet::Fault;

/// The pictures of some files, one file after the other, on 256 levels from −1 to 1.
///
/// A file has a column `image` or `img` of structs with a field `bytes` that holds PNG, and, for a set with
/// labels, a column `label` of integers.
///
/// # Shapes
/// `[n, channels, height, width]`, upright; 1 channel for grey and 3 for colour.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the byte or the row, when a
/// file is not parquet, lacks a column, is broken, or holds a picture or a label that does not fit `form` or
/// the first picture; [`Error::Empty`] without files.
///
/// # Numerics
/// Byte `b` becomes the `f32` nearest to `b/127.5 − 1`. A grey picture serves as one in colour when those
/// are needed, and one in colour as grey if its channels are equal.
pub fn read(files: &[PathBuf], form: &Form) -> Result<Dataset> {
    let Some(first) = files.first() else {
        return Err(Error::Empty {
            what: "the list of files",
        });
    };
    let (mut total, mut stored) = (0, 0);
    for file in files {
        let (table, length) = open(file)?;
        total += table.rows;
        stored += length;
    }
    let mut stack: Option<Stack> = None;
    let mut labels = Vec::new();
    for file in files {
        // One file at a time: what it holds packed is dropped before the next is read.
        let (table, _) = open(file)?;
        let columns = columns(&table).map_err(|fault| fault.of(file))?;
        for (row, bytes) in columns.pictures.iter().enumerate() {
            if cell::interrupted() {
                let done = labels.len().max(row) as u64;
                let stopped = Interrupted::new("reading pictures", done, total as u64);
                return Err(Error::Interrupted(stopped));
            }
            let origin = Origin {
                path: file,
                row: Some(row as u64),
            };
            let bytes = bytes.ok_or_else(|| lacking(file, row, "a picture"))?;
            let need = stack.as_ref().map(Stack::shape).or(form.shape);
            let picture = Picture::read(Cursor::new(bytes), origin, need)?;
            let stack = match &mut stack {
                Some(stack) => stack,
                None => stack.insert(room(first, total, stored, picture.shape)?),
            };
            stack.push_pixels(&picture.bytes);
        }
        if let Some(column) = columns.labels {
            for (row, label) in column.iter().enumerate() {
                let label = label.ok_or_else(|| lacking(file, row, "a label"))?;
                labels.push(checked_label(file, row, label, form)?);
            }
        }
    }
    let labels = match labels.len() {
        0 if form.classes.is_empty() => None,
        count if count == total => Some(labels),
        count => {
            let need = format!("{total}, one a picture, in a column `{LABELS}`");
            let fault = Fault::whole("the number of labels", count.to_string(), need);
            return Err(fault.of(first));
        }
    };
    let Some(stack) = stack else {
        let fault = Fault::whole("the number of pictures", "0", "at least 1");
        return Err(fault.of(first));
    };
    let name = first.file_name().unwrap_or_default().to_string_lossy();
    let mut data = stack.finish(&name, labels)?;
    data.classes = form.classes.clone();
    Ok(data)
}

/// Room for all pictures, if the files may hold as many: a table may say that a row is like the one before in
/// next to no bytes, but no set of pictures is that dull.
fn room(first: &Path, total: usize, stored: u64, shape: [usize; 3]) -> Result<Stack> {
    let size = shape.iter().product::<usize>() as u64;
    let most = stored.saturating_mul(BEST_RATIO);
    if size.saturating_mul(total as u64) > most {
        let got = format!("{total} pictures of {size} bytes");
        let need = format!("{most} bytes in all, {BEST_RATIO} times the files, at most");
        return Err(Fault::whole("the table", got, need).of(first));
    }
    Stack::new(first, total, shape)
}

fn checked_label(file: &Path, row: usize, label: i64, form: &Form) -> Result<u8> {
    let at = Place::Row(row as u64);
    match u8::try_from(label) {
        Ok(label) => form.check_label(file, at, label).map(|()| label),
        Err(_) => Err(Error::Format {
            path: file.into(),
            at,
            what: "a label",
            got: label.to_string(),
            need: "from 0 to 255".into(),
        }),
    }
}

fn lacking(file: &Path, row: usize, what: &'static str) -> Error {
    Error::Format {
        path: file.into(),
        at: Place::Row(row as u64),
        what,
        got: "not there".into(),
        need: "in each row".into(),
    }
}

/// The files of one part of a set in a folder: the repository's own, `train-00000-of-00001.parquet`, or those
/// that the hub makes, `train/0000.parquet`. Empty when there are none.
///
/// # Errors
/// [`Error::Missing`] when the names say that there are more files than there are.
pub(super) fn files(folder: &Path, part: &str) -> Result<Vec<PathBuf>> {
    let parquet = |path: &PathBuf| path.extension().is_some_and(|end| end == "parquet");
    let stem = |path: &PathBuf| -> String {
        path.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let own: Vec<PathBuf> = entries(folder)
        .into_iter()
        .filter(parquet)
        .filter(|path| stem(path).split('-').next() == Some(part))
        .collect();
    if let Some(last) = own.last() {
        let stem = stem(last);
        let planned = stem
            .rsplit_once("-of-")
            .and_then(|(_, n)| n.parse::<usize>().ok());
        if let Some(planned) = planned.filter(|&planned| planned != own.len()) {
            return Err(Error::Missing {
                what: format!(
                    "{} has {} of {planned} files of its part",
                    last.display(),
                    own.len()
                ),
                next: "get all of them",
            });
        }
        return Ok(own);
    }
    Ok(entries(&folder.join(part))
        .into_iter()
        .filter(parquet)
        .collect())
}
