//! A look through a Parquet file that nobody vouches for.

use std::io::Cursor;

use polars::error::PolarsError;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{PageReader, read_metadata};

use super::footer::is_sound;
use crate::error::Result;
use crate::io::malformed;

/// Values that a byte of a file may stand for; more is not believed.
const DENSEST: usize = 4096;

/// Refuses a file that promises more values than can lie in it, before anything is allocated for them.
///
/// # Errors
/// [`Error::Table`](crate::Error::Table) for a file that cannot be walked through page by page.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let footer = super::footer(bytes).and_then(|at| bytes.get(at..bytes.len() - 8));
    if !footer.is_some_and(is_sound) {
        return Err(super::damaged());
    }
    let most = bytes.len().saturating_mul(DENSEST);
    let too_many = |values: usize| {
        malformed(format!(
            "it promises {values} values in {} bytes",
            bytes.len()
        ))
    };
    let file = read_metadata(&mut Cursor::new(bytes))?;
    let mut all = 0usize;
    for group in &file.row_groups {
        for column in group.parquet_columns() {
            let values = usize::try_from(column.num_values()).unwrap_or(usize::MAX);
            all = all.saturating_add(values);
            if all > most || group.num_rows() > values {
                return Err(too_many(all.max(group.num_rows())));
            }
            let (start, size) = column_range(column.byte_range());
            let chunk = bytes.get(start..start.saturating_add(size));
            let chunk = chunk.ok_or_else(|| malformed("a column lies beyond its end"))?;
            let pages = Cursor::new(chunk.to_vec().into());
            for page in PageReader::new(pages, column, Vec::new(), chunk.len()) {
                // A dictionary's own numbers are private to polars.
                let CompressedPage::Data(page) = page.map_err(PolarsError::from)? else {
                    continue;
                };
                let (held, size) = (page.num_values(), page.uncompressed_size());
                if held > values || size > most {
                    return Err(too_many(held.max(size)));
                }
            }
        }
    }
    Ok(())
}

fn column_range(range: std::ops::Range<u64>) -> (usize, usize) {
    let start = usize::try_from(range.start).unwrap_or(usize::MAX);
    let size = usize::try_from(range.end.saturating_sub(range.start));
    (start, size.unwrap_or(usize::MAX))
}
