//! Parquet files that nobody vouches for, read without believing what they promise.
//!
//! polars' reader makes room for whatever a file announces, where a failure to get it ends the process, and it
//! panics on some broken files. So the footer is written anew from what it means, the headers of the pages are
//! walked through before anything is unpacked, and panics become errors.

mod footer;
mod pages;

use std::fmt;
use std::io::Cursor;
use std::path::Path;

use itd_cell::memory::room_for;
use polars::prelude::{
    DataFrame, FileMetadataRef, ParallelStrategy, ParquetReader, PolarsResult, SerReader as _,
};

use crate::catch_panic::catch_panic;
use crate::error::{Error, Place};
use crate::kind;

/// What a small page may always become: a column of equal labels packs better than any ratio.
const SMALL: u64 = 1 << 20;

/// How much a file may promise.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Values of all columns, or bytes of a page, for each byte of the file.
    pub density: u64,
    /// Bytes that a byte may become when it is unpacked.
    pub growth: u64,
}

/// What is wrong with a file, and where: what was found and what is needed.
#[derive(Debug)]
pub struct Fault {
    at: Place,
    what: &'static str,
    got: String,
    need: String,
}

/// The bytes of a file that was checked but not yet unpacked, and what its footer says about them.
pub struct Table {
    bytes: Vec<u8>,
    metadata: FileMetadataRef,
    /// How many rows it has.
    pub rows: usize,
    /// How many bytes its pages become.
    unpacked: u64,
    /// The names of its columns.
    pub names: Vec<String>,
}

impl Table {
    /// Checks all that polars takes at its word. Of the columns, those of the given names are looked at, which
    /// have as many values as rows; without names, all of them.
    pub fn open(mut bytes: Vec<u8>, columns: &[&str], limits: Limits) -> Result<Self, Fault> {
        let end = bytes.len().saturating_sub(4);
        if !bytes.starts_with(b"PAR1") {
            let (got, next) = kind::described(&bytes[..bytes.len().min(kind::HEAD)]);
            return Err(Fault {
                at: Place::Byte(0),
                what: "the file",
                got,
                need: kind::with_advice("a parquet table, which begins with PAR1", next),
            });
        }
        if bytes.len() < 12 || !bytes.ends_with(b"PAR1") {
            return Err(Fault {
                at: Place::Byte(end as u64),
                what: "the end of the file",
                got: format!("\"{}\"", bytes[end..].escape_ascii()),
                need: "PAR1, as of parquet; the file is cut off, get it anew".into(),
            });
        }
        let names = footer::rewrite(&mut bytes, columns, limits.growth)?;
        let metadata = guarded(|| {
            let mut reader = ParquetReader::new(Cursor::new(bytes.as_slice()));
            reader.get_metadata().cloned()
        })?;
        let (rows, unpacked) = guarded(|| Ok(checked_rows(&bytes, &metadata, columns, limits)))??;
        Ok(Self {
            bytes,
            metadata,
            rows,
            unpacked,
            names,
        })
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(ParquetReader<Cursor<&[u8]>>) -> PolarsResult<T>,
    ) -> Result<T, Fault> {
        guarded(|| {
            let mut reader = ParquetReader::new(Cursor::new(self.bytes.as_slice()));
            reader.set_metadata(self.metadata.clone());
            // One thread, this one: a panic of another could not be kept quiet.
            question(reader.read_parallel(ParallelStrategy::None))
        })
    }

    /// Unpacks the named columns, or all of them. Only those that were looked at are safe to ask for.
    pub fn read(&self, columns: Option<Vec<String>>) -> Result<DataFrame, Fault> {
        let room = usize::try_from(self.unpacked).unwrap_or(usize::MAX);
        room_for::<u8>("the table", &[room]).map_err(|error| {
            let need = "less than there is room for; read it where there is more memory".to_owned();
            Fault::whole("the table", error.to_string(), need)
        })?;
        let frame = self.ask(|reader| reader.with_columns(columns).finish())?;
        for column in frame.columns() {
            if column.len() != self.rows {
                let need = format!("{}, as many as rows in its footer", self.rows);
                let got = column.len().to_string();
                return Err(Fault::whole("the length of a column", got, need));
            }
        }
        Ok(frame)
    }
}

/// The number of rows, after the pages of the columns were checked, and of the bytes that these become.
fn checked_rows(
    bytes: &[u8],
    metadata: &FileMetadataRef,
    columns: &[&str],
    limits: Limits,
) -> Result<(usize, u64), Fault> {
    let length = bytes.len() as u64;
    let (mut unpacked, mut values, mut total) = (0, 0u64, 0usize);
    for group in &metadata.row_groups {
        total = total.saturating_add(group.num_rows());
        for column in group.parquet_columns() {
            let about = column.descriptor();
            let root = about.path_in_schema.first();
            let all = columns.is_empty();
            if !all && !root.is_some_and(|root| columns.contains(&root.as_str())) {
                continue;
            }
            let column = pages::Column {
                bytes: column.byte_range(),
                values: column.num_values(),
                rows: group.num_rows() as u64,
                lists: all && about.descriptor.max_rep_level > 0,
            };
            values = values.saturating_add_signed(column.values.max(0));
            if values > length.saturating_mul(limits.density) {
                return Err(Fault::at(
                    length.saturating_sub(8),
                    format!("one of {values} values in {length} bytes"),
                    format!("of {} values a byte at most", limits.density),
                ));
            }
            pages::check(bytes, &column, limits, &mut unpacked)?;
        }
    }
    Ok((total, unpacked))
}

/// Runs the library. It panics on some broken files: on columns outside of the file, for one, and on columns
/// of one struct with unequal numbers of values.
pub fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> Result<T, Fault> {
    let cause = match catch_panic(work) {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(cause)) => cause.to_string(),
        Err(panic) => panic,
    };
    // It does not say whether the file is at fault, or has what this build of it does not know.
    let need =
        "whole parquet with columns of numbers, truth values, text, bytes, lists and structs";
    Err(Fault::whole(
        "the table",
        format!("unreadable ({cause})"),
        need,
    ))
}

impl Fault {
    /// A table that is wrong at some byte.
    pub fn at(byte: u64, got: impl Into<String>, need: impl Into<String>) -> Self {
        Self {
            at: Place::Byte(byte),
            ..Self::whole("the table", got, need)
        }
    }

    /// A table that cannot be used, for no one place in it.
    pub fn whole(what: &'static str, got: impl Into<String>, need: impl Into<String>) -> Self {
        Self {
            at: Place::File,
            what,
            got: got.into(),
            need: need.into(),
        }
    }

    /// The error that names the file.
    pub fn of(self, path: &Path) -> Error {
        Error::Format {
            path: path.into(),
            at: self.at,
            what: self.what,
            got: self.got,
            need: self.need,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            what,
            got,
            need,
        } = self;
        write!(f, "{at}: {what} is {got}; it must be {need}")
    }
}
