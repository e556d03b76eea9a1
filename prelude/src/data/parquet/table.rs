//! A parquet file that was read and checked, but not yet unpacked.

use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use polars::prelude::{
    BinaryChunked, DataFrame, DataType, FileMetadataRef, Int64Chunked, ParallelStrategy,
    ParquetReader, PolarsResult, SerReader as _,
};

use super::footer;
use super::pages::{self, Fault};
use crate::data::caught::caught;
use crate::data::source::{file_error, regular};
use crate::error::{Error, Place, Result};

/// The names that a column of pictures may have.
const PICTURES: [&str; 2] = ["image", "img"];

/// The name of the column of labels.
pub(super) const LABELS: &str = "label";

/// The bytes of a file, and what its footer says about them.
pub(super) struct Table {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: FileMetadataRef,
    pub(super) rows: usize,
    /// The length of the file.
    pub(super) stored: u64,
}

/// The two columns that matter.
pub(super) struct Columns {
    pub(super) pictures: BinaryChunked,
    pub(super) labels: Option<Int64Chunked>,
}

impl Table {
    /// Reads a file, and checks all that the library takes at its word.
    pub(super) fn open(path: &Path) -> Result<Self> {
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
        let stored = bytes.len() as u64;
        footer::rewrite(&mut bytes).map_err(|fault| faulty(path, fault))?;
        let metadata = guarded(path, || {
            let mut reader = ParquetReader::new(Cursor::new(bytes.as_slice()));
            reader.get_metadata().cloned()
        })?;
        let rows = guarded(path, || Ok(checked_rows(&bytes, &metadata)))?;
        Ok(Self {
            path: path.into(),
            rows: rows.map_err(|fault| faulty(path, fault))?,
            stored,
            bytes,
            metadata,
        })
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(ParquetReader<Cursor<&[u8]>>) -> PolarsResult<T>,
    ) -> Result<T> {
        guarded(&self.path, || {
            let mut reader = ParquetReader::new(Cursor::new(self.bytes.as_slice()));
            reader.set_metadata(self.metadata.clone());
            // One thread, this one: a panic of another could not be kept quiet.
            question(reader.read_parallel(ParallelStrategy::None))
        })
    }

    /// Unpacks the two columns.
    pub(super) fn columns(&self) -> Result<Columns> {
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
        let columns = guarded(&self.path, || typed(&table, name))?;
        let columns = columns.ok_or_else(|| self.untyped(&table))?;
        let labels = columns.labels.as_ref().map(|labels| labels.len());
        for count in [columns.pictures.len()].into_iter().chain(labels) {
            if count != self.rows {
                let need = format!("{}, as many as rows in its footer", self.rows);
                return Err(broken(
                    &self.path,
                    "the length of a column",
                    count.to_string(),
                    need,
                ));
            }
        }
        Ok(columns)
    }

    fn untyped(&self, table: &DataFrame) -> Error {
        let types = table.dtypes().into_iter().map(|kind| kind.to_string());
        let need = "a struct with a binary field `bytes`, and integer labels".into();
        let got = types.collect::<Vec<_>>().join(" and ");
        broken(&self.path, "the type of the columns", got, need)
    }
}

/// The number of rows, after the pages of the two columns were checked.
fn checked_rows(bytes: &[u8], metadata: &FileMetadataRef) -> Result<usize, Fault> {
    let length = bytes.len() as u64;
    let (mut unpacked, mut total) = (0, 0u64);
    for group in &metadata.row_groups {
        let rows = group.num_rows() as u64;
        total = total.saturating_add(rows);
        if total > length {
            return Err(Fault {
                byte: length.saturating_sub(8),
                got: format!("{total} rows in a file of {length} bytes"),
                need: "no more rows than bytes".into(),
            });
        }
        let roots = PICTURES.into_iter().chain([LABELS]);
        let columns = roots.filter_map(|name| group.columns_under_root_iter(name));
        for column in columns.flatten() {
            let (range, values) = (column.byte_range(), column.num_values());
            pages::check(bytes, range, values, rows, &mut unpacked)?;
        }
    }
    Ok(total as usize)
}

fn typed(table: &DataFrame, name: &str) -> PolarsResult<Option<Columns>> {
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

/// Runs the library. It panics on some broken files: on columns outside of the file, for one, and on columns
/// of one struct with unequal numbers of values.
fn guarded<T>(path: &Path, work: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let cause = match caught(work) {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(cause)) => cause.to_string(),
        Err(panic) => panic,
    };
    let need = "whole and undamaged parquet; get the file anew".into();
    Err(broken(
        path,
        "the table",
        format!("unreadable ({cause})"),
        need,
    ))
}

fn faulty(path: &Path, fault: Fault) -> Error {
    Error::Format {
        path: path.into(),
        at: Place::Byte(fault.byte),
        what: "the table",
        got: fault.got,
        need: fault.need,
    }
}

/// A table that cannot be used, for no one place in it.
pub(super) fn broken(file: &Path, what: &'static str, got: String, need: String) -> Error {
    Error::Format {
        path: file.into(),
        at: Place::File,
        what,
        got,
        need,
    }
}
