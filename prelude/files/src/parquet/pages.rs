//! The pages of a column, looked at before polars unpacks them.

use std::io::Cursor;
use std::ops::Range;

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{PageHeader, PageType};

use super::{Fault, Limits, SMALL};

/// What a footer says about a column of a group of rows.
pub(super) struct Column {
    pub(super) bytes: Range<u64>,
    pub(super) values: i64,
    pub(super) rows: u64,
    /// Whether a row may have more than one value.
    pub(super) lists: bool,
}

/// Checks what a column and the headers of its pages promise, and adds up the bytes that they will become.
///
/// polars takes each header at its word and asks for the memory: 2 GB a page, and any number of values
/// a column, where a failure to get it ends the process.
pub(super) fn check(
    file: &[u8],
    column: &Column,
    limits: Limits,
    unpacked: &mut u64,
) -> Result<(), Fault> {
    let Range { start, end } = column.bytes;
    let inside = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let Some(bytes) = inside.and_then(|(start, end)| file.get(start..end)) else {
        let got = format!("a column from byte {start} to {end}");
        return Err(Fault::at(start, got, "of columns within the file"));
    };
    let (need, enough): (_, fn(u64, u64) -> bool) = match column.lists {
        true => (
            "of columns with at least as many as there are rows",
            |values, rows| values >= rows,
        ),
        false => (
            "of columns with as many as there are rows",
            |values, rows| values == rows,
        ),
    };
    let values = u64::try_from(column.values).ok();
    let Some(values) = values.filter(|&values| enough(values, column.rows)) else {
        let got = format!("a column of {} values", column.values);
        return Err(Fault::at(start, got, need));
    };
    let mut cursor = Cursor::new(bytes);
    let mut seen = 0;
    // The first page is read even where there are no values.
    while seen < values || cursor.position() == 0 && !bytes.is_empty() {
        let at = start + cursor.position();
        let fault = |got: &str, need: &str| Fault::at(at, got, need);
        // The limit is for the strings of a header; all of them together cannot be longer than the file.
        let mut protocol = TCompactInputProtocol::new(&mut cursor, bytes.len());
        let header = PageHeader::read_from_in_protocol(&mut protocol).map_err(|cause| {
            let got = format!("without the header of a page ({cause})");
            fault(&got, "a column of whole pages")
        })?;
        let packed = u64::try_from(header.compressed_page_size).ok();
        let size = u64::try_from(header.uncompressed_page_size).ok();
        let (Some(packed), Some(size)) = (packed, size) else {
            return Err(fault("a page of negative size", "pages of sizes ≥ 0"));
        };
        if packed > bytes.len() as u64 - cursor.position() {
            let got = format!("a page of {packed} bytes");
            return Err(fault(&got, "pages within their column"));
        }
        let in_dictionary = header.dictionary_page_header.map(|page| page.num_values);
        let held = match header.type_ {
            PageType::DATA_PAGE => header.data_page_header.map(|page| page.num_values),
            PageType::DATA_PAGE_V2 => header.data_page_header_v2.map(|page| page.num_values),
            PageType::DICTIONARY_PAGE => in_dictionary.map(|_| 0),
            _ => None,
        };
        let Some(held) = held else {
            let got = format!("a page of kind {} without its header", header.type_.0);
            return Err(fault(&got, "pages of values and dictionaries"));
        };
        *unpacked = unpacked.saturating_add(size);
        let length = file.len() as u64;
        let most = |bytes: u64| SMALL.max(bytes.saturating_mul(limits.growth));
        if size > most(packed).min(length.saturating_mul(limits.density))
            || *unpacked > most(length)
        {
            let got = format!("a page of {packed} bytes that claims to become {size}");
            let need = format!(
                "pages that grow to {} times their size at most",
                limits.growth
            );
            return Err(fault(&got, &need));
        }
        // A value of a dictionary takes a byte at least.
        let dictionary = u64::try_from(in_dictionary.unwrap_or(0)).ok();
        let held = u64::try_from(held).ok().filter(|&n| n <= values - seen);
        let (Some(_), Some(held)) = (dictionary.filter(|&n| n <= size), held) else {
            let got = "a page that claims more values than it can hold";
            return Err(fault(got, "pages with as many values as their column"));
        };
        seen += held;
        cursor.set_position(cursor.position() + packed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        density: 4096,
        growth: 1032,
    };

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

    fn checked(file: &[u8], values: i64, rows: u64, lists: bool) -> Result<u64, String> {
        let mut unpacked = 0;
        let bytes = 0..file.len() as u64;
        let column = Column {
            bytes,
            values,
            rows,
            lists,
        };
        let checked = check(file, &column, LIMITS, &mut unpacked);
        checked.map(|()| unpacked).map_err(|fault| fault.got)
    }

    #[test]
    fn whole_pages_pass() {
        let two = [page(4, 40, 3, 4), page(5, 50, 2, 5)].concat();
        assert_eq!(checked(&two, 5, 5, false), Ok(90));
        assert_eq!(checked(&two, 5, 4, true), Ok(90));
        assert_eq!(checked(&[], 0, 0, false), Ok(0));
        for length in 0..two.len() {
            assert!(checked(&two[..length], 5, 5, false).is_err(), "{length}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let refused = |file: Vec<u8>, values, rows, part: &str| {
            for lists in [false, true] {
                let got = checked(&file, values, rows, lists).unwrap_err();
                assert!(got.contains(part), "{part} is not in: {got}");
            }
        };
        refused(page(4, i32::MAX, 3, 4), 3, 3, "claims to become 2147483647");
        refused(page(4, -1, 3, 4), 3, 3, "negative");
        refused(page(-4, 4, 3, 4), 3, 3, "negative");
        refused(page(5, 5, 3, 4), 3, 3, "a page of 5 bytes");
        refused(page(4, 4, i32::MAX, 4), 3, 3, "more values");
        refused(page(4, 4, 3, 4), 2, 3, "a column of 2 values");
        refused(page(4, 4, 3, 4), -1, 3, "a column of -1 values");
        let many = checked(&page(4, 4, 3, 4), 1 << 40, 3, false).unwrap_err();
        assert!(many.contains("a column of 1099511627776 values"), "{many}");
        // The first page counts even without rows.
        refused(page(4, i32::MAX, 0, 4), 0, 0, "claims to become");
        // A page of another kind than its header: of values for an index, a dictionary or the second version.
        for kind in [1, 2, 3] {
            let mut file = page(4, 4, 3, 4);
            file[1] = 2 * kind;
            refused(file, 3, 3, "without its header");
        }
        let file = page(4, 4, 3, 4);
        let bytes = 0..file.len() as u64 + 1;
        let column = Column {
            bytes,
            values: 3,
            rows: 3,
            lists: false,
        };
        let outside = check(&file, &column, LIMITS, &mut 0);
        assert!(outside.is_err_and(|fault| fault.got.contains("from byte 0")));
    }
}
