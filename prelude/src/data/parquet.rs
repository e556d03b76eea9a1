//! Parquet files of pictures, as the Hugging Face hub keeps them.

use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use polars::prelude::{
    ChunkedArray, DataFrame, DataType, Int64Type, ParallelStrategy, ParquetReader, SerReader as _,
};

use super::caught::caught;
use super::pages;
use super::picture::{Origin, Picture};
use super::source::{BEST_RATIO, file_error, regular};
use super::stack::Stack;
use super::{Dataset, Form};
use crate::error::{Error, Place, Result};

/// The names that a column of pictures may have.
const PICTURES: [&str; 2] = ["image", "img"];

/// The name of the column of labels.
const LABELS: &str = "label";

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
    let counts = files.iter().map(|file| Table::open(file)?.rows());
    let total = counts.sum::<Result<usize>>()?;
    let mut stack: Option<Stack> = None;
    let mut labels = Vec::new();
    for file in files {
        // One file at a time: what it holds packed is dropped before the next is read.
        let table = Table::open(file)?;
        let rows = table.rows()?;
        let columns = table.columns()?;
        if columns.pictures.len() != rows {
            let got = format!("{} rows", columns.pictures.len());
            return Err(broken(
                file,
                "the table",
                got,
                format!("{rows}, as its header says"),
            ));
        }
        for (row, bytes) in columns.pictures.iter().enumerate() {
            let origin = Origin {
                path: file,
                row: Some(row as u64),
            };
            let bytes = bytes.ok_or_else(|| lacking(file, row, "a picture"))?;
            let need = stack.as_ref().map(Stack::shape).or(form.shape);
            let picture = Picture::read(Cursor::new(bytes), origin, need)?;
            let stack = match &mut stack {
                Some(stack) => stack,
                None => stack.insert(table.room(total, picture.shape)?),
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
            return Err(broken(
                first,
                "the number of labels",
                count.to_string(),
                need,
            ));
        }
    };
    let Some(stack) = stack else {
        return Err(broken(
            first,
            "the number of pictures",
            "0".into(),
            "at least 1".into(),
        ));
    };
    let name = first.file_name().unwrap_or_default().to_string_lossy();
    let mut data = stack.finish(&name, labels)?;
    data.classes = form.classes.clone();
    Ok(data)
}

/// A file that was read, and not yet unpacked.
struct Table {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The two columns that matter.
struct Columns {
    pictures: polars::prelude::BinaryChunked,
    labels: Option<ChunkedArray<Int64Type>>,
}

impl Table {
    fn open(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = regular(path)?.read_to_end(&mut bytes);
        read.map_err(|cause| file_error(path, cause))?;
        for (at, what) in [
            (0, "the start of the file"),
            (bytes.len().saturating_sub(4), "its end"),
        ] {
            if bytes.len() < 12 || bytes.get(at..at + 4) != Some(&b"PAR1"[..]) {
                return Err(Error::Format {
                    path: path.into(),
                    at: Place::Byte(at as u64),
                    what,
                    got: "another text".into(),
                    need: "PAR1, as of parquet; the file is of another kind or not whole".into(),
                });
            }
        }
        Ok(Self {
            path: path.into(),
            bytes,
        })
    }

    /// Room for all pictures, if the files may hold as many: a table may say a row is like the one before in
    /// next to no bytes, but no set of pictures is that dull.
    fn room(&self, total: usize, shape: [usize; 3]) -> Result<Stack> {
        let size: usize = shape.iter().product();
        let most = (self.bytes.len() as u64).saturating_mul(BEST_RATIO);
        let rows = self.rows()?;
        if (rows as u64).saturating_mul(size as u64) > most {
            let got = format!("{rows} pictures of {size} bytes");
            let need = format!("{most} bytes in all, {BEST_RATIO} times the file, at most");
            return Err(broken(&self.path, "the table", got, need));
        }
        Stack::new(&self.path, total, shape)
    }

    /// Runs a library on the file. It panics on some broken files, which is no news to anybody.
    fn ask<T>(
        &self,
        question: impl FnOnce(ParquetReader<Cursor<&[u8]>>) -> polars::prelude::PolarsResult<T>,
    ) -> Result<T> {
        let reader = ParquetReader::new(Cursor::new(self.bytes.as_slice()));
        // One thread, this one: a panic of another could not be kept quiet.
        let reader = reader.read_parallel(ParallelStrategy::None);
        let refused = |cause: String| {
            let need = "whole and undamaged parquet; get the file anew".into();
            broken(
                &self.path,
                "the table",
                format!("unreadable ({cause})"),
                need,
            )
        };
        match caught(|| question(reader)) {
            Ok(answer) => answer.map_err(|cause| refused(cause.to_string())),
            Err(panic) => Err(refused(panic)),
        }
    }

    /// The number of rows, after all pages were checked.
    fn rows(&self) -> Result<usize> {
        let length = self.bytes.len() as u64;
        let checked = self.ask(|mut reader| {
            let metadata = reader.get_metadata()?;
            let mut unpacked = 0;
            let mut total = 0u64;
            for group in &metadata.row_groups {
                let rows = group.num_rows() as u64;
                total = total.saturating_add(rows);
                if total > length {
                    let got = format!("{total} rows in a file of {length} bytes");
                    let need = "no more rows than bytes".into();
                    let byte = length.saturating_sub(8);
                    return Ok(Err(pages::Fault { byte, got, need }));
                }
                for column in group.parquet_columns() {
                    let range = column.byte_range();
                    if let Err(fault) = pages::check(&self.bytes, range, rows, &mut unpacked) {
                        return Ok(Err(fault));
                    }
                }
            }
            Ok(Ok(total as usize))
        })?;
        checked.map_err(|fault| Error::Format {
            path: self.path.clone(),
            at: Place::Byte(fault.byte),
            what: "the table",
            got: fault.got,
            need: fault.need,
        })
    }

    fn columns(&self) -> Result<Columns> {
        let schema = self.ask(|mut reader| reader.schema())?;
        let Some(name) = PICTURES.into_iter().find(|name| schema.contains(name)) else {
            let names: Vec<&str> = schema.iter_names().map(|name| name.as_str()).collect();
            let need = "a column `image` or `img`".into();
            return Err(broken(
                &self.path,
                "the list of columns",
                names.join(", "),
                need,
            ));
        };
        let mut names = vec![name.to_owned()];
        names.extend(schema.contains(LABELS).then(|| LABELS.to_owned()));
        let table = self.ask(|reader| reader.with_columns(Some(names)).finish())?;
        // The columns are typed by what the file says about itself.
        self.ask(|_| typed(&table, name))?
            .ok_or_else(|| self.untyped(&table))
    }

    fn untyped(&self, table: &DataFrame) -> Error {
        let types = table.dtypes().into_iter().map(|kind| kind.to_string());
        let need = "a struct with a binary field `bytes`, and integer labels".into();
        let got = types.collect::<Vec<_>>().join(" and ");
        broken(&self.path, "the type of the columns", got, need)
    }
}

fn typed(table: &DataFrame, name: &str) -> polars::prelude::PolarsResult<Option<Columns>> {
    let pictures = table.column(name)?;
    if !matches!(pictures.dtype(), DataType::Struct(_)) {
        return Ok(None);
    }
    let Ok(bytes) = pictures.struct_()?.field_by_name("bytes") else {
        return Ok(None);
    };
    let labels = match table.column(LABELS) {
        Ok(column) if column.dtype().is_integer() => {
            Some(column.cast(&DataType::Int64)?.i64()?.clone())
        }
        Ok(_) => return Ok(None),
        Err(_) => None,
    };
    Ok(bytes.binary().ok().map(|pictures| Columns {
        pictures: pictures.clone(),
        labels,
    }))
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

fn broken(file: &Path, what: &'static str, got: String, need: String) -> Error {
    Error::Format {
        path: file.into(),
        at: Place::File,
        what,
        got,
        need,
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
    let entries = super::search::entries;
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
