//! The footer of a parquet file, read with a limit and written anew before polars reads it.

use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};
use polars_parquet_format::{ConvertedType, FileMetaData, LogicalType, SchemaElement, Type};

use super::{Fault, SMALL};
use crate::catch_panic::catch_panic;

/// How deep columns may lie in one another. polars goes one level deeper for each, and notes the names of all
/// levels for each column.
const DEEPEST: usize = 100;

/// Replaces the footer of a file by what it means, without all that is not needed to read it.
///
/// polars takes each length in a footer at its word, and asks for the memory of a list of 2³¹ elements or of
/// values of 2³¹ bytes; where it cannot be had, the process ends. What is written here is no longer than it says.
///
/// Types that polars cannot read are refused by name if their column is wanted, which all are when none is named;
/// integers of 8 and 16 bits become those of 32, by which they are stored. Gives the names of the columns.
pub(super) fn rewrite(
    file: &mut Vec<u8>,
    columns: &[&str],
    growth: u64,
) -> Result<Vec<String>, Fault> {
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
    let read = catch_panic(|| {
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
    let names = plain_types(&mut footer.schema, columns)
        .map_err(|(got, need)| Fault::at(start as u64, got, need))?;
    // Among them are Arrow's own types. Those of parquet say enough, and what they call otherwise cannot be read here.
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
    Ok(names)
}

/// Gives the names of the columns, after their types became such as can be read: what was found otherwise, and what is
/// needed.
fn plain_types(
    schema: &mut [SchemaElement],
    columns: &[&str],
) -> Result<Vec<String>, (String, String)> {
    let mut names = Vec::new();
    // How many elements of each level are still to come, without the root.
    let mut around: Vec<i32> = Vec::new();
    for element in schema.iter_mut().skip(1) {
        while around.pop_if(|left| *left <= 0).is_some() {}
        match around.last_mut() {
            Some(left) => *left -= 1,
            None => names.push(element.name.clone()),
        }
        let inner = element.num_children.unwrap_or(0);
        if inner > 0 {
            around.push(inner);
            continue;
        }
        let root = names.last().map_or("", String::as_str);
        let unread = plain_type(element);
        let wanted = columns.is_empty() || columns.contains(&root);
        if let Some(unread) = unread.filter(|_| wanted) {
            let got = format!("with the column {root:?} of type {unread}");
            let need = "of columns of numbers, truth values, text and bytes, lists and structs of them; \
                        write this one as numbers or text, or leave it out";
            return Err((got, need.into()));
        }
    }
    Ok(names)
}

/// Makes the type of a leaf one that can be read; gives its name where that is not the same.
fn plain_type(element: &mut SchemaElement) -> Option<&'static str> {
    let logical = match &element.logical_type {
        Some(LogicalType::INTEGER(kind)) if kind.bit_width <= 16 => Some(""),
        Some(LogicalType::DECIMAL(_)) => Some("decimal"),
        Some(LogicalType::DATE(_)) => Some("date"),
        Some(LogicalType::TIME(_)) => Some("time"),
        Some(LogicalType::TIMESTAMP(_)) => Some("timestamp"),
        Some(LogicalType::FLOAT16(_)) => Some("float16"),
        _ => None,
    };
    let converted = match element.converted_type {
        Some(
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::INT_8
            | ConvertedType::INT_16,
        ) => Some(""),
        Some(ConvertedType::DECIMAL) => Some("decimal"),
        Some(ConvertedType::DATE) => Some("date"),
        Some(ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => Some("time"),
        Some(ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => {
            Some("timestamp")
        }
        Some(ConvertedType::INTERVAL) => Some("interval"),
        _ => None,
    };
    let physical = (element.type_ == Some(Type::INT96)).then_some("timestamp (INT96)");
    let kind = logical.or(converted).or(physical)?;
    // What is left is how it is stored: a column that is not wanted must not be in the way of others.
    element.logical_type = None;
    element.converted_type = None;
    (!kind.is_empty()).then_some(kind)
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
        let pairs =
            ["ARROW:schema", "others"].map(|key| KeyValue::new(key.to_owned(), key.to_owned()));
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
        let mut good = file(&nested(3));
        rewrite(&mut good, &[], 1).unwrap();
        let holds = |text: &str| good.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!holds("ARROW:schema") && !holds("others"));
        let mut again = good.clone();
        rewrite(&mut again, &[], 1).unwrap();
        assert_eq!(good, again);
        let whole = nested(3);
        for length in 0..whole.len() {
            let mut cut = file(&whole[..length]);
            assert!(rewrite(&mut cut, &[], 1).is_err(), "{length}");
        }
        // Many columns beside one another.
        let mut wide = vec![element(None, None); 3001];
        wide[0].num_children = Some(3000);
        assert!(rewrite(&mut file(&footer(wide, vec![])), &[], 1).is_ok());
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let refused = |mut file: Vec<u8>| rewrite(&mut file, &[], 1).unwrap_err().got;
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
        assert!(rewrite(&mut file(&nested(100)), &[], 1).is_ok());
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
            rewrite(&mut file(&footer(schema, vec![group])), &[], 1).map_err(|fault| fault.got)
        };
        assert_eq!(with(1 << 10, 1 << 10), Ok(vec!["a".to_owned()]));
        let refused = with(i32::MAX, 5).unwrap_err();
        assert!(refused.contains("5 values of 2147483647"), "{refused}");
        assert!(with(i32::MAX, i64::MAX).is_err());
    }
}
