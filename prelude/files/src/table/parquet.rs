//! Data frames as Parquet, sealed with a check sum.
//!
//! A file of ours carries a SHA-256 of itself, in the gap that the format allows before its footer, where other
//! readers do not look: no altered number is believed. Anybody can write such a sum, so that what the file
//! promises is not believed either.

use polars::prelude::{DataFrame, ParquetWriter};
use sha2::{Digest, Sha256};

use super::malformed;
use crate::error::{Error, Result};
use crate::parquet::{Limits, Table};

/// What stands before the check sum.
const SEAL: &[u8] = b"\0itd: sha256 of all else\0";
/// Bytes of the check sum.
const SUM: usize = 32;
/// What Zstandard can make of one byte at most: a block of 128 KiB of one value takes four.
const GROWTH: u64 = 1 << 15;

pub(super) fn encode(mut frame: DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame)?;
    seal(bytes)
}

fn seal(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let footer = footer(&bytes).ok_or_else(|| malformed("polars wrote no footer"))?;
    let sum = Sha256::digest(&bytes);
    bytes.splice(footer..footer, SEAL.iter().copied().chain(sum));
    Ok(bytes)
}

/// Where the footer starts: its length stands before the last four bytes.
fn footer(bytes: &[u8]) -> Option<usize> {
    let (rest, &[a, b, c, d, b'P', b'A', b'R', b'1']) = bytes.split_last_chunk()? else {
        return None;
    };
    rest.len()
        .checked_sub(u32::from_le_bytes([a, b, c, d]) as usize)
}

/// Whether the seal is there; an error if it is broken.
fn sealed(bytes: &[u8]) -> Result<bool> {
    if !bytes.windows(SEAL.len()).any(|window| window == SEAL) {
        return Ok(false);
    }
    let whole = footer(bytes).and_then(|footer| {
        let data = footer.checked_sub(SEAL.len() + SUM)?;
        let sum = bytes.get(data..footer)?.strip_prefix(SEAL)?;
        let all = Sha256::new()
            .chain_update(&bytes[..data])
            .chain_update(&bytes[footer..]);
        (all.finalize()[..] == *sum).then_some(())
    });
    whole.map(|()| true).ok_or_else(damaged)
}

fn damaged() -> Error {
    malformed("this is no Parquet file, or it is damaged")
}

pub(super) fn decode(bytes: Vec<u8>) -> Result<DataFrame> {
    let limits = Limits {
        // What we wrote may be as dull as can be: eight truth values to a byte, before they are packed.
        density: if sealed(&bytes)? { 8 * GROWTH } else { 4096 },
        growth: GROWTH,
    };
    let table = Table::open(bytes, &[], limits).and_then(|table| table.read(None));
    table.map_err(|fault| malformed(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::{Column, ParquetReader, SerReader as _};

    use super::*;

    fn frame() -> DataFrame {
        let columns = vec![
            Column::new("name".into(), ["a", "b"]),
            Column::new("nats".into(), [1.5, 0.5]),
            Column::new("n".into(), [0i64, 3]),
        ];
        DataFrame::new_infer_height(columns).unwrap()
    }

    #[test]
    fn the_seal_is_found_and_sees_every_bit() {
        let whole = encode(frame()).unwrap();
        assert!(sealed(&whole).unwrap());
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 4;
            // Where the seal's own mark is altered, all else is whole.
            assert!(!sealed(&altered).unwrap_or(false), "byte {at}");
        }
    }

    #[test]
    fn files_of_others_are_read() {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame()).unwrap();
        assert!(!sealed(&bytes).unwrap());
        assert!(decode(bytes).unwrap().equals(&frame()));
        // polars itself reads ours.
        let ours = encode(frame()).unwrap();
        assert!(
            ParquetReader::new(Cursor::new(ours))
                .finish()
                .unwrap()
                .equals(&frame())
        );
    }

    #[test]
    fn dull_tables_of_ours_are_read() {
        let text = [&*"x".repeat(1 << 23)];
        let mut frame = DataFrame::new_infer_height(vec![Column::new("a".into(), text)]).unwrap();
        assert!(
            decode(encode(frame.clone()).unwrap())
                .unwrap()
                .equals(&frame)
        );
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        let error = decode(bytes).unwrap_err().to_string();
        assert!(error.contains("claims to become 8388612"), "{error}");
    }

    #[test]
    fn a_seal_does_not_vouch_for_promises() {
        // A version, and a list of 2³¹ − 1 columns.
        let file = b"PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x07\x09\0\0\0PAR1";
        let sealed_file = seal(file.to_vec()).unwrap();
        assert!(sealed(&sealed_file).unwrap());
        let error = decode(sealed_file).unwrap_err().to_string();
        assert!(error.contains("without a footer"), "{error}");
    }
}
