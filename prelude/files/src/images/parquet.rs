//! Parquet files of pictures, as the Hugging Face hub keeps them.

mod columns;

use std::path::{Path, PathBuf};

use itd_cell::host;

use self::columns::{LABELS, columns, open};
use super::buffer::ImageBuffer;
use super::decode::{Need, Origin, Picture};
use super::reader::BEST_RATIO;
use super::{ImageSpec, Images, entries};
use crate::error::{Error, Interrupted, Place, Result};
use crate::parquet::Fault;

/// The pictures of some files, one file after the other.
///
/// A file has a column `image` or `img` of structs with a field `bytes` that holds PNG or JPEG, or of those bytes
/// themselves, and, for a set with labels, a column `label` of integers. Other columns are not looked at.
///
/// # Shapes
/// `[n, channels, height, width]`, upright; 1 channel for grey and 3 for colour.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the byte or the row, when a
/// file is not parquet, lacks a column, is broken, or holds a picture or a label that does not fit `spec` or
/// the first picture; [`Error::Empty`] without files.
///
/// # Numerics
/// As [`folder::read`](super::folder::read()).
pub fn read(files: &[PathBuf], spec: &ImageSpec) -> Result<Images> {
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
    let mut buffer: Option<ImageBuffer> = None;
    let mut labels = Vec::new();
    for file in files {
        // One file at a time: what it holds packed is dropped before the next is read.
        let (table, _) = open(file)?;
        let columns = columns(&table).map_err(|fault| fault.of(file))?;
        for (row, bytes) in columns.pictures.iter().enumerate() {
            if host::interrupted() {
                let done = labels.len().max(row) as u64;
                let stopped = Interrupted::new("reading pictures", done, total as u64);
                return Err(Error::Interrupted(stopped));
            }
            let origin = Origin {
                path: file,
                row: Some(row as u64),
            };
            let bytes = bytes.ok_or_else(|| lacking(file, row, "a picture"))?;
            let size = buffer.as_ref().map(ImageBuffer::shape).or(spec.shape);
            let need = Need {
                size: size.map(|[_, height, width]| [height, width]),
                channels: spec.shape.map(|shape| shape[0]),
            };
            let picture = Picture::read(bytes, origin, need)?;
            let buffer = match &mut buffer {
                Some(buffer) => buffer,
                None => buffer.insert(room(first, total, stored, picture.shape)?),
            };
            buffer.push_picture(file, &picture)?;
        }
        if let Some(column) = columns.labels {
            for (row, label) in column.iter().enumerate() {
                let label = label.ok_or_else(|| lacking(file, row, "a label"))?;
                labels.push(checked_label(file, row, label, spec)?);
            }
        }
    }
    let labels = match labels.len() {
        0 if spec.classes.is_empty() => None,
        count if count == total => Some(labels),
        count => {
            let need = format!("{total}, one a picture, in a column `{LABELS}`");
            let fault = Fault::whole("the number of labels", count.to_string(), need);
            return Err(fault.of(first));
        }
    };
    let Some(buffer) = buffer else {
        let fault = Fault::whole("the number of pictures", "0", "at least 1");
        return Err(fault.of(first));
    };
    Ok(buffer.finish(first, labels, spec.classes.clone()))
}

/// Room for all pictures, if the files may hold as many: a table may say that a row is like the one before in
/// next to no bytes, but no set of pictures is that dull.
fn room(first: &Path, total: usize, stored: u64, shape: [usize; 3]) -> Result<ImageBuffer> {
    let size = shape.iter().product::<usize>() as u64;
    let most = stored.saturating_mul(BEST_RATIO);
    if size.saturating_mul(total as u64) > most {
        let got = format!("{total} pictures of {size} bytes");
        let need = format!("{most} bytes in all, {BEST_RATIO} times the files, at most");
        return Err(Fault::whole("the table", got, need).of(first));
    }
    ImageBuffer::new(first, total, shape)
}

fn checked_label(file: &Path, row: usize, label: i64, spec: &ImageSpec) -> Result<u32> {
    let at = Place::Row(row as u64);
    match u32::try_from(label) {
        Ok(label) => spec.check_label(file, at, label).map(|()| label),
        Err(_) => Err(Error::Format {
            path: file.into(),
            at,
            what: "a label",
            got: label.to_string(),
            need: "from 0 to 4294967295".into(),
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
