//! The two columns of a parquet file of pictures.

use std::path::Path;

use polars::prelude::{BinaryChunked, DataFrame, DataType, Int64Chunked, PolarsResult};

use crate::error::Result;
use crate::file::whole;
use crate::images::reader::BEST_RATIO;
use crate::parquet::{Fault, Limits, Table, guarded};

/// The names that a column of pictures may have.
const PICTURES: [&str; 2] = ["image", "img"];

/// The name of the column of labels.
pub(super) const LABELS: &str = "label";

/// A byte of each row, in a handful of columns, and what gzip can make of it.
const LIMITS: Limits = Limits {
    density: 4096,
    growth: BEST_RATIO,
};

/// The two columns that matter.
pub(super) struct Columns {
    pub(super) pictures: BinaryChunked,
    pub(super) labels: Option<Int64Chunked>,
}

/// A file, read and checked but not yet unpacked, and its length.
pub(super) fn open(path: &Path) -> Result<(Table, u64)> {
    let bytes = whole(path)?;
    let length = bytes.len() as u64;
    let columns = [PICTURES[0], PICTURES[1], LABELS];
    let table = Table::open(bytes, &columns, LIMITS).map_err(|fault| fault.of(path))?;
    if table.rows as u64 > length {
        let got = format!("{} rows in a file of {length} bytes", table.rows);
        let fault = Fault::at(length.saturating_sub(8), got, "no more rows than bytes");
        return Err(fault.of(path));
    }
    Ok((table, length))
}

/// Unpacks the two columns.
pub(super) fn columns(table: &Table) -> Result<Columns, Fault> {
    let known = |name: &str| table.names.iter().any(|known| known == name);
    let Some(name) = PICTURES.into_iter().find(|name| known(name)) else {
        let need = "a column `image` or `img`";
        return Err(Fault::whole(
            "the list of columns",
            table.names.join(", "),
            need,
        ));
    };
    let mut wanted = vec![name.to_owned()];
    wanted.extend(known(LABELS).then(|| LABELS.to_owned()));
    let frame = table.read(Some(wanted))?;
    guarded(|| typed(&frame, name))?.ok_or_else(|| {
        let types = frame.dtypes().into_iter().map(|kind| kind.to_string());
        let need = "a struct with a binary field `bytes` or such bytes, and integer labels";
        let got = types.collect::<Vec<_>>().join(" and ");
        Fault::whole("the type of the columns", got, need)
    })
}

fn typed(frame: &DataFrame, name: &str) -> PolarsResult<Option<Columns>> {
    let pictures = frame.column(name)?;
    let bytes = match pictures.dtype() {
        DataType::Binary => pictures.as_materialized_series().clone(),
        DataType::Struct(_) => match pictures.struct_()?.field_by_name("bytes") {
            Ok(bytes) => bytes,
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let labels = match frame.column(LABELS) {
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
