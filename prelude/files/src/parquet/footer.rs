//! The footer of a parquet file, read with a limit and written anew before polars reads it.

use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};
use polars_parquet_format::{FileMetaData, Type};

use super::{Fault, SMALL};
use crate::caught::caught;

/// How deep columns may lie in one another. polars goes one level deeper for each, and notes the names of all
/// levels for each column.
const DEEPEST: usize = 100;

/// The entry that holds Arrow's own types.
const TYPES: &str = "ARROW:schema";

/// Replaces the footer of a file by what it means, without all that is not needed to read it.
///
/// polars takes each length in a footer at its word, and asks for the memory of a list of 2³¹ elements or of
/// values of 2³¹ bytes; where it cannot be had, the process ends. What is written here is no longer than it says.
pub(super) fn rewrite(file: &mut Vec<u8>, types: bool, growth: u64) -> Result<(), Fault> {
    let end = file.len().saturating_sub(8);
    let tail = file.get(end..end + 4).unwrap_or_default();
    let length = tail
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let Some(start) = end.checked_sub(length).filter(|&start| start >= 4) else {
        let need = format!("a footer within the file, which has {} bytes", file.len());
        let got = format!("a footer of {length} bytes");
        return Err(Fault::at(end as u64, got, need));
    };
    // The reader takes 8 from the limit for each element of a list, which has a byte at least, 2 for each
    // struct, and the length of each text.
    let limit = 16 * length;
    let read = caught(|| {
        let mut protocol = TCompactInputProtocol::new(&file[start..end], limit);
        FileMetaData::read_from_in_protocol(&mut protocol)
    });
    let broken = |cause: String| {
        let got = format!("without a footer that can be read ({cause})");
        let need = "whole and undamaged parquet; get the file anew";
        Fault::at(start as u64, got, need)
    };
    let mut footer = match read {
        Ok(Ok(footer)) => footer,
        Ok(Err(cause)) => return Err(broken(cause.to_string())),
        Err(panic) => return Err(broken(panic)),
    };
    let most = SMALL.max(growth.saturating_mul(file.len() as u64));
    check(&footer, most).map_err(|(got, need)| Fault::at(start as u64, got, need))?;
    if let Some(pairs) = &mut footer.key_value_metadata {
        pairs.retain(|pair| types && pair.key == TYPES);
    }
    footer.key_value_metadata.take_if(|pairs| pairs.is_empty());
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

/// Checks how deep columns lie, and the room that values of fixed length will take: what was found, and what is
/// needed.
fn check(footer: &FileMetaData, most: u64) -> Result<(), (String, String)> {
    // How many more columns each of those around the next one has.
    let mut around: Vec<i32> = Vec::new();
    let mut lengths = Vec::new();
    for element in &footer.schema {
        while around.pop_if(|left| *left <= 0).is_some() {}
        if let Some(left) = around.last_mut() {
            *left -= 1;
        }
        around.push(element.num_children.unwrap_or(0));
        if around.len() > DEEPEST {
            let got =
                format!("a list of columns that lie {DEEPEST} deep in one another and deeper");
            return Err((got, format!("at most {DEEPEST} deep")));
        }
        if element.num_children.unwrap_or(0) == 0 {
            let fixed = element.type_ == Some(Type::FIXED_LEN_BYTE_ARRAY);
            let length = element.type_length.filter(|_| fixed).unwrap_or(0);
            lengths.push(u64::try_from(length).unwrap_or(0));
        }
    }
    for group in &footer.row_groups {
        for (chunk, length) in group.columns.iter().zip(&lengths) {
            let values = chunk.meta_data.as_ref().map_or(0, |about| about.num_values);
            let size = length.saturating_mul(u64::try_from(values).unwrap_or(0));
            if size > most {
                let got = format!("a column of {values} values of {length} bytes");
                return Err((got, format!("{most} bytes at most")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet_format::{ColumnChunk, ColumnMetaData, KeyValue, RowGroup, SchemaElement};
    use polars_parquet_format::{CompressionCodec, Encoding};

    fn file(footer: &[u8]) -> Vec<u8> {
        let length = (footer.len() as u32).to_le_bytes();
        [b"PAR1", footer, &length, b"PAR1"].concat()
    }

    fn element(children: Option<i32>, type_length: Option<i32>) -> SchemaElement {
        SchemaElement {
            type_: type_length.map(|_| Type::FIXED_LEN_BYTE_ARRAY),
            type_length,
            repetition_type: None,
            name: "a".into(),
            num_children: children,
            converted_type: None,
            scale: None,
            precision: None,
            field_id: None,
            logical_type: None,
        }
    }

    fn footer(schema: Vec<SchemaElement>, groups: Vec<RowGroup>) -> Vec<u8> {
        let pairs = [TYPES, "others"].map(|key| KeyValue::new(key.to_owned(), key.to_owned()));
        let data = FileMetaData::new(1, schema, 7, groups, pairs.to_vec(), None, None, None, None);
        let mut bytes = Vec::new();
        data.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes))
            .unwrap();
        bytes
    }

    fn nested(depth: usize) -> Vec<u8> {
        footer(vec![element(Some(1), None); depth], vec![])
    }

    #[test]
    fn a_good_footer_keeps_what_is_needed() {
        for types in [true, false] {
            let mut good = file(&nested(3));
            rewrite(&mut good, types, 1).unwrap();
            let holds = |text: &str| good.windows(text.len()).any(|part| part == text.as_bytes());
            assert_eq!((holds(TYPES), holds("others")), (types, false));
            let mut again = good.clone();
            rewrite(&mut again, types, 1).unwrap();
            assert_eq!(good, again);
        }
        let whole = nested(3);
        for length in 0..whole.len() {
            let mut cut = file(&whole[..length]);
            assert!(rewrite(&mut cut, true, 1).is_err(), "{length}");
        }
        // Many columns beside one another.
        let mut wide = vec![element(None, None); 3001];
        wide[0].num_children = Some(3000);
        assert!(rewrite(&mut file(&footer(wide, vec![])), true, 1).is_ok());
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let refused = |mut file: Vec<u8>| rewrite(&mut file, true, 1).unwrap_err().got;
        let unread = |footer: &[u8]| refused(file(footer)).contains("without a footer");
        // A version, and a list of 2³¹ − 1 columns.
        assert!(unread(&[0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]));
        // A list of 2³¹ structures, a text of 2⁶³ bytes, lists and structures without end, a number without end.
        assert!(unread(&[0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 8, 0, 0, 0]));
        assert!(unread(&[
            0x68, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0
        ]));
        assert!(unread(&[0x99; 100_000]));
        assert!(unread(&[0x9c; 100_000]));
        assert!(unread(&[&[0x15][..], &[0xff; 20], &[0]].concat()));
        assert!(unread(&[0x05, 0xfe, 0xff, 0x7f, 0, 0]));
        assert!(unread(&[]));
        assert!(refused(file(&nested(101))).contains("100 deep"));
        assert!(rewrite(&mut file(&nested(100)), true, 1).is_ok());
        assert!(refused(b"PAR1\x10\0\0\0PAR1".to_vec()).contains("a footer of 16 bytes"));
        assert!(refused(Vec::new()).contains("a footer of 0 bytes"));
    }

    #[test]
    fn values_of_fixed_length_have_room() {
        let with = |length: i32, values: i64| {
            let about = ColumnMetaData {
                type_: Type::FIXED_LEN_BYTE_ARRAY,
                encodings: vec![Encoding::PLAIN],
                path_in_schema: vec!["a".into()],
                codec: CompressionCodec::UNCOMPRESSED,
                num_values: values,
                total_uncompressed_size: 0,
                total_compressed_size: 0,
                data_page_offset: 4,
                index_page_offset: None,
                dictionary_page_offset: None,
                statistics: None,
                key_value_metadata: None,
                encoding_stats: None,
                bloom_filter_offset: None,
                bloom_filter_length: None,
                size_statistics: None,
            };
            let chunk = ColumnChunk::new(None, 0, about, None, None, None, None, None, None);
            let group = RowGroup::new(vec![chunk], 0, values, None, None, None, None);
            let schema = vec![element(Some(1), None), element(None, Some(length))];
            rewrite(&mut file(&footer(schema, vec![group])), true, 1).map_err(|fault| fault.got)
        };
        assert_eq!(with(1 << 10, 1 << 10), Ok(()));
        let refused = with(i32::MAX, 5).unwrap_err();
        assert!(refused.contains("5 values of 2147483647"), "{refused}");
        assert!(with(i32::MAX, i64::MAX).is_err());
    }
}
