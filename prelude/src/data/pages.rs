//! The pages of a parquet file, looked at before a library unpacks them.

use std::io::Cursor;
use std::ops::Range;

use polars_parquet_format::PageHeader;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;

use super::source::BEST_RATIO;

/// What a small page may always become: a column of equal labels packs better than any ratio.
const SMALL: u64 = 1 << 20;

/// What is wrong with a file, at which byte: what was found and what is needed.
pub(super) struct Fault {
    pub(super) byte: u64,
    pub(super) got: String,
    pub(super) need: String,
}

/// Checks what the headers of a column's pages promise, and adds up the bytes that they will become.
///
/// The library takes each header at its word and asks for the memory, up to 2 GB a page.
pub(super) fn check(
    file: &[u8],
    column: Range<u64>,
    rows: u64,
    unpacked: &mut u64,
) -> Result<(), Fault> {
    let fault = |byte, got: String, need: &str| Fault {
        byte,
        got,
        need: need.into(),
    };
    let (start, end) = (column.start as usize, column.end as usize);
    let Some(bytes) = file.get(start..end) else {
        let got = format!("from byte {start} to {end}");
        return Err(fault(column.start, got, "within the file"));
    };
    let mut cursor = Cursor::new(bytes);
    let mut seen = 0;
    while seen < rows {
        let at = column.start + cursor.position();
        // The limit is for the strings of a header; all of them together cannot be longer than the file.
        let mut protocol = TCompactInputProtocol::new(&mut cursor, bytes.len());
        let header = PageHeader::read_from_in_protocol(&mut protocol).map_err(|cause| {
            fault(
                at,
                format!("without the header of a page ({cause})"),
                "a column of whole pages",
            )
        })?;
        let packed = u64::try_from(header.compressed_page_size).ok();
        let size = u64::try_from(header.uncompressed_page_size).ok();
        let values = match (&header.data_page_header, &header.data_page_header_v2) {
            (Some(page), _) => page.num_values,
            (None, Some(page)) => page.num_values,
            (None, None) => 0,
        };
        let in_dictionary = header
            .dictionary_page_header
            .map_or(0, |page| page.num_values);
        let (Some(packed), Some(size)) = (packed, size) else {
            return Err(fault(
                at,
                "a page of negative size".into(),
                "pages of sizes ≥ 0",
            ));
        };
        let left = bytes.len() as u64 - cursor.position();
        if packed > left {
            let got = format!("a page of {packed} bytes");
            return Err(fault(at, got, "pages within their column"));
        }
        *unpacked = unpacked.saturating_add(size);
        let most = SMALL.max(file.len() as u64 * BEST_RATIO);
        if size > SMALL.max(packed * BEST_RATIO) || *unpacked > most {
            let got = format!("a page of {packed} bytes that claims to become {size}");
            return Err(fault(
                at,
                got,
                "pages that grow to 1032 times their size at most",
            ));
        }
        // A value of a dictionary takes a byte at least.
        let dictionary = u64::try_from(in_dictionary).ok().filter(|&n| n <= size);
        let values = u64::try_from(values).ok().filter(|&n| n <= rows - seen);
        let (Some(_), Some(values)) = (dictionary, values) else {
            let got = "a page that claims more values than it can hold".into();
            return Err(fault(
                at,
                got,
                "pages with as many values as there are rows",
            ));
        };
        seen += values;
        cursor.set_position(cursor.position() + packed);
    }
    Ok(())
}
