//! Data frames as Parquet, sealed with a check sum.
//!
//! polars' reader trusts what it reads: on altered bytes it may panic, or ask for so much memory that the process
//! ends. So a file of ours carries a SHA-256 of itself, in the gap that the format allows before its footer,
//! where other readers do not look. Files without one are looked through before polars sees them.

mod footer;
mod pages;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{DataFrame, ParallelStrategy, ParquetReader, ParquetWriter, SerReader};
use sha2::{Digest, Sha256};

use super::malformed;
use crate::error::{Error, Result};

/// What stands before the check sum.
const SEAL: &[u8] = b"\0itd: sha256 of all else\0";
/// Bytes of the check sum.
const SUM: usize = 32;

pub(super) fn encode(mut frame: DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame)?;
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
    let sealed = sealed(&bytes)?;
    let read = || {
        if !sealed {
            pages::check(&bytes)?;
        }
        let reader = ParquetReader::new(Cursor::new(&bytes));
        // In this thread, where a panic can be caught quietly.
        Ok(reader.read_parallel(ParallelStrategy::None).finish()?)
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Estimate;
    use crate::io::ToFrame;

    fn frame() -> DataFrame {
        [
            ("a", Estimate::exact(1.5, 2)),
            ("b", Estimate::exact(0.5, 2)),
        ]
        .to_frame()
        .unwrap()
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
}
