//! The footer of a parquet file, read with a limit and written anew before a library reads it.

use polars_parquet_format::FileMetaData;
use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};

use super::pages::Fault;
use crate::data::caught::caught;

/// How many columns and groups of columns a table may have. The library goes one level deeper for each that
/// lies within the one before.
const COLUMNS: usize = 1000;

/// Replaces the footer of a file by what it means, without all that is not needed to read pictures.
///
/// The library takes each length in a footer at its word and asks for the memory of a list of 2³¹ elements;
/// where it cannot be had, the process ends. What is written here is no longer than it says.
pub(super) fn rewrite(file: &mut Vec<u8>) -> Result<(), Fault> {
    let end = file.len().saturating_sub(8);
    let tail = file.get(end..end + 4).unwrap_or_default();
    let length = tail
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let fault = |byte: usize, got: String, need: &str| Fault {
        byte: byte as u64,
        got,
        need: need.into(),
    };
    let Some(start) = end.checked_sub(length).filter(|&start| start >= 4) else {
        let need = format!("a footer within the file, which has {} bytes", file.len());
        return Err(fault(end, format!("a footer of {length} bytes"), &need));
    };
    // The reader takes 8 from the limit for each element of a list, which has a byte at least, 2 for each
    // struct, and the length of each text.
    let limit = 16 * length;
    let read = caught(|| {
        let mut protocol = TCompactInputProtocol::new(&file[start..end], limit);
        FileMetaData::read_from_in_protocol(&mut protocol)
    });
    let broken = |cause: String| {
        let need = "whole and undamaged parquet; get the file anew";
        fault(
            start,
            format!("without a footer that can be read ({cause})"),
            need,
        )
    };
    let mut footer = match read {
        Ok(Ok(footer)) => footer,
        Ok(Err(cause)) => return Err(broken(cause.to_string())),
        Err(panic) => return Err(broken(panic)),
    };
    if footer.schema.len() > COLUMNS {
        let got = format!("a list of {} columns", footer.schema.len());
        return Err(fault(start, got, "at most 1000"));
    }
    footer.key_value_metadata = None;
    footer.column_orders = None;
    for group in &mut footer.row_groups {
        group.sorting_columns = None;
        for column in group
            .columns
            .iter_mut()
            .filter_map(|chunk| chunk.meta_data.as_mut())
        {
            column.key_value_metadata = None;
            column.statistics = None;
            column.encoding_stats = None;
            column.size_statistics = None;
        }
    }
    file.truncate(start);
    let mut protocol = TCompactOutputProtocol::new(&mut *file);
    footer
        .write_to_out_protocol(&mut protocol)
        .map_err(|cause| broken(cause.to_string()))?;
    let length = (file.len() - start) as u32;
    file.extend(length.to_le_bytes());
    file.extend(b"PAR1");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet_format::{KeyValue, SchemaElement};

    fn file(footer: &[u8]) -> Vec<u8> {
        let length = (footer.len() as u32).to_le_bytes();
        [b"PAR1", footer, &length, b"PAR1"].concat()
    }

    fn footer(columns: usize) -> Vec<u8> {
        let named = |name: &str| SchemaElement {
            type_: None,
            type_length: None,
            repetition_type: None,
            name: name.into(),
            num_children: None,
            converted_type: None,
            scale: None,
            precision: None,
            field_id: None,
            logical_type: None,
        };
        let words = KeyValue::new("ARROW:schema".to_owned(), Some("words".to_owned()));
        let schema = vec![named("a"); columns];
        let data = FileMetaData::new(1, schema, 7, vec![], vec![words], None, None, None, None);
        let mut bytes = Vec::new();
        data.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes))
            .unwrap();
        bytes
    }

    #[test]
    fn a_good_footer_keeps_what_is_needed() {
        let mut good = file(&footer(3));
        rewrite(&mut good).map_err(|fault| fault.got).unwrap();
        assert!(!good.windows(5).any(|part| part == b"words"));
        let again = good.clone();
        rewrite(&mut good).map_err(|fault| fault.got).unwrap();
        assert_eq!(good, again);
        let whole = footer(3);
        for length in 0..whole.len() {
            assert!(rewrite(&mut file(&whole[..length])).is_err(), "{length}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let refused = |mut file: Vec<u8>| rewrite(&mut file).unwrap_err().got;
        // A version, and a list of 2³¹ − 1 columns.
        let list = [0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
        assert!(refused(file(&list)).contains("without a footer"));
        assert!(refused(file(&footer(1001))).contains("a list of 1001"));
        assert!(refused(b"PAR1\x10\0\0\0PAR1".to_vec()).contains("a footer of 16 bytes"));
        assert!(refused(Vec::new()).contains("a footer of 0 bytes"));
    }
}
