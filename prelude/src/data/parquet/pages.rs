//! The pages of a column, looked at before a library unpacks them.

use std::io::Cursor;
use std::ops::Range;

use polars_parquet_format::PageHeader;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;

use crate::data::source::BEST_RATIO;

/// What a small page may always become: a column of equal labels packs better than any ratio.
const SMALL: u64 = 1 << 20;

/// What is wrong with a file, at which byte: what was found and what is needed.
pub(super) struct Fault {
    pub(super) byte: u64,
    pub(super) got: String,
    pub(super) need: String,
}

/// Checks what a column and the headers of its pages promise, and adds up the bytes that they will become.
///
/// The library takes each header at its word and asks for the memory: 2 GB a page, and any number of values
/// a column, where a failure to get it ends the process.
pub(super) fn check(
    file: &[u8],
    column: Range<u64>,
    values: i64,
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
    if u64::try_from(values) != Ok(rows) {
        let got = format!("a column of {values} values");
        return Err(fault(column.start, got, "as many as there are rows"));
    }
    let mut cursor = Cursor::new(bytes);
    let mut seen = 0;
    // The first page is read even where there are no rows.
    while seen < rows || cursor.position() == 0 && !bytes.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a page of values, followed by `body` bytes.
    fn page(packed: i32, size: i32, values: i32, body: usize) -> Vec<u8> {
        let number = |value: i32| {
            let mut rest = (value << 1 ^ value >> 31) as u32;
            let mut bytes = Vec::new();
            while rest > 0x7f {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes
        };
        // Kind of page, size unpacked, size packed, and a struct of values and three encodings.
        let fields = [
            vec![0x15, 0x00, 0x15],
            number(size),
            vec![0x15],
            number(packed),
            vec![0x2c, 0x15],
            number(values),
            vec![0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00],
            vec![0; body],
        ];
        fields.concat()
    }

    fn checked(file: &[u8], values: i64, rows: u64) -> Result<u64, String> {
        let mut unpacked = 0;
        let checked = check(file, 0..file.len() as u64, values, rows, &mut unpacked);
        checked.map(|()| unpacked).map_err(|fault| fault.got)
    }

    #[test]
    fn whole_pages_pass() {
        let two = [page(4, 40, 3, 4), page(5, 50, 2, 5)].concat();
        assert_eq!(checked(&two, 5, 5), Ok(90));
        assert_eq!(checked(&[], 0, 0), Ok(0));
        for length in 0..two.len() {
            assert!(checked(&two[..length], 5, 5).is_err(), "{length}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let refused = |file: Vec<u8>, values, rows, part: &str| {
            let got = checked(&file, values, rows).unwrap_err();
            assert!(got.contains(part), "{part} is not in: {got}");
        };
        refused(page(4, i32::MAX, 3, 4), 3, 3, "claims to become 2147483647");
        refused(page(4, -1, 3, 4), 3, 3, "negative");
        refused(page(-4, 4, 3, 4), 3, 3, "negative");
        refused(page(5, 5, 3, 4), 3, 3, "a page of 5 bytes");
        refused(page(4, 4, i32::MAX, 4), 3, 3, "more values");
        refused(
            page(4, 4, 3, 4),
            1 << 40,
            3,
            "a column of 1099511627776 values",
        );
        // The first page counts even without rows.
        refused(page(4, i32::MAX, 0, 4), 0, 0, "claims to become");
        let file = page(4, 4, 3, 4);
        let outside = check(&file, 0..file.len() as u64 + 1, 3, 3, &mut 0);
        assert!(outside.is_err_and(|fault| fault.got.contains("from byte 0")));
    }
}
