//! The directory of a zip archive: which file lies where.
//!
//! Archives of state dicts are not compressed, so that a file in them is a run of bytes; those of arrays may be. The
//! end record says how many files there are; nothing is believed of it before the directory has been read.
//!
//! # Source
//! PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end).

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use itd_cell::memory::room_for;

use crate::error::Result;
use crate::random_access::{LONGEST, RandomAccessFile, shown};

/// The first bytes of an archive.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// What one packed byte can become at most: 258 bytes cost two bits.
pub(crate) const BEST_RATIO: u64 = 1032;

/// A file in the archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// Where its entry in the directory is.
    pub(crate) entry: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its length in the archive.
    packed: u64,
    /// Its CRC-32; 0 where the writer did not compute it.
    pub(crate) sum: u32,
    /// Its local header.
    header: u64,
    /// 0: as it is.
    method: u16,
    /// Bit 0: encrypted.
    flags: u16,
}

impl Stored {
    /// Where the file's bytes begin, all of which are in the archive.
    pub(crate) fn start(&self, file: &RandomAccessFile) -> Result<u64> {
        if self.method != 0 || self.flags & 1 != 0 {
            let need = "stored as it is; save it with `torch.save`, or zip it with level 0";
            return Err(file.error(self.entry, "a file in the archive", self.way(), need));
        }
        self.place(file)
    }

    /// In words, how it is stored.
    fn way(&self) -> String {
        match self.flags & 1 {
            0 => format!("compressed by method {}", self.method),
            _ => "encrypted".to_owned(),
        }
    }

    /// All bytes of the file, unpacked; no more memory is asked for than what is packed can become.
    pub(crate) fn content(&self, file: &RandomAccessFile) -> Result<Vec<u8>> {
        let what = "a file in the archive";
        let bytes = match (self.flags & 1, self.method) {
            (0, 0) => file.read(self.start(file)?, self.bytes, what)?,
            (0, 8) => {
                let packed = file.read(self.place(file)?, self.packed, what)?;
                if self.bytes > self.packed.saturating_mul(BEST_RATIO) {
                    let got = format!("{} bytes that claim to become {}", self.packed, self.bytes);
                    return Err(file.error(self.entry, what, got, "1032 times as many at most"));
                }
                let room = usize::try_from(self.bytes).unwrap_or(usize::MAX);
                room_for::<u8>("a file in the archive", &[room])?;
                let mut bytes = Vec::with_capacity(room);
                let unpacked = DeflateDecoder::new(&packed[..])
                    .take(self.bytes + 1)
                    .read_to_end(&mut bytes);
                if let Some(got) = match unpacked {
                    Err(cause) => Some(format!("unreadable ({cause})")),
                    Ok(_) if bytes.len() as u64 != self.bytes => {
                        Some("of another length than it says".to_owned())
                    }
                    Ok(_) => None,
                } {
                    return Err(file.error(
                        self.entry,
                        what,
                        got,
                        "whole; the file is damaged, get it anew",
                    ));
                }
                bytes
            }
            _ => {
                let need = "stored as it is, or deflated, as `numpy.savez_compressed` does";
                return Err(file.error(self.entry, what, self.way(), need));
            }
        };
        let mut crc = Crc::new();
        crc.update(&bytes);
        match self.sum {
            0 => Ok(bytes),
            sum if sum == crc.sum() => Ok(bytes),
            sum => Err(file.error(
                self.entry,
                "the checksum of a file in the archive",
                format!("{:08x}", crc.sum()),
                format!("{sum:08x}, as the archive says; the file is damaged, get it anew"),
            )),
        }
    }

    /// Where the file's bytes begin, packed or not.
    fn place(&self, file: &RandomAccessFile) -> Result<u64> {
        let header = file.read(self.header, 30, "the header of a file in the archive")?;
        if !header.starts_with(MAGIC) {
            return Err(file.error(
                self.header,
                "the header of a file in the archive",
                format!("{:?}", header[..4].escape_ascii().to_string()),
                "that of a zip archive, PK\\x03\\x04; the file is damaged, get it anew",
            ));
        }
        let lengths = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let start = self.header + 30 + lengths;
        file.check(start, self.packed, "a file in the archive")?;
        Ok(start)
    }
}

/// The files of an archive, by name.
pub(crate) fn directory(file: &RandomAccessFile) -> Result<BTreeMap<String, Stored>> {
    let (start, length, count) = end(file)?;
    if length > LONGEST {
        let need = format!("{LONGEST} bytes at most");
        return Err(file.error(
            start,
            "the archive's directory",
            format!("{length} bytes long"),
            need,
        ));
    }
    let bytes = file.read(start, length, "the archive's directory")?;
    let mut files = BTreeMap::new();
    let (mut at, mut found) = (0, 0);
    while at < bytes.len() {
        let place = start + at as u64;
        let broken = |got: &str| {
            file.error(
                place,
                "an entry of the archive's directory",
                got,
                "whole and of a zip archive",
            )
        };
        let entry = &bytes[at..];
        if entry.len() < 46 || !entry.starts_with(b"PK\x01\x02") {
            return Err(broken("damaged"));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(entry, at)));
        let end = 46 + lengths.iter().sum::<usize>();
        let (Some(name), Some(extra)) = (
            entry.get(46..46 + lengths[0]),
            entry.get(46 + lengths[0]..46 + lengths[0] + lengths[1]),
        ) else {
            return Err(broken("cut off"));
        };
        let mut wide = Wide::new(extra);
        // In this order, and only those that are at their limit.
        let whole = wide.or(u32_at(entry, 24));
        let stored = wide.or(u32_at(entry, 20));
        let header = wide.or(u32_at(entry, 42));
        let (Some(whole), Some(stored), Some(header)) = (whole, stored, header) else {
            return Err(broken("without its sizes of 64 bits"));
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let method = u16_at(entry, 10);
        if method == 0 && whole != stored {
            return Err(broken(&format!(
                "of {stored} bytes that shall become {whole}"
            )));
        }
        let entry = Stored {
            entry: place,
            bytes: whole,
            packed: stored,
            sum: u32_at(entry, 16),
            header,
            method,
            flags: u16_at(entry, 8),
        };
        if files.contains_key(&name) {
            return Err(broken(&format!("the second one of {}", shown(&name))));
        }
        files.insert(name, entry);
        found += 1;
        at += end;
    }
    match found == count {
        true => Ok(files),
        false => Err(file.error(
            start,
            "the number of files in the archive's directory",
            found.to_string(),
            format!("{count}, as its end says"),
        )),
    }
}

/// Where the directory starts, its length, and how many files it lists.
fn end(file: &RandomAccessFile) -> Result<(u64, u64, u64)> {
    // A comment of up to 65,535 bytes may follow the record of 22.
    let tail = file.length.min(22 + 65_535);
    let from = file.length - tail;
    let bytes = file.read(from, tail, "the end of the archive")?;
    let record = (0..bytes.len().saturating_sub(21)).rev().find(|&at| {
        bytes[at..].starts_with(b"PK\x05\x06")
            && at + 22 + usize::from(u16_at(&bytes, at + 20)) == bytes.len()
    });
    let Some(at) = record else {
        return Err(file.error(
            file.length,
            "the end of the archive",
            "without the record that says where its files are",
            "that of a zip archive; the file is not whole, get it anew",
        ));
    };
    let end = &bytes[at..];
    let place = from + at as u64;
    let small = (u32_at(end, 16), u32_at(end, 12), u16_at(end, 10));
    if small.0 != u32::MAX && small.1 != u32::MAX && small.2 != u16::MAX {
        let (start, length, count) = (u64::from(small.0), u64::from(small.1), u64::from(small.2));
        return within(file, place, start, length, count);
    }
    // The numbers need more bits: a locator before the record says where the record of 64 bits is.
    let what = "the archive's end in 64 bits";
    let damaged = |at| {
        file.error(
            at,
            what,
            "damaged",
            "that of a zip archive; get the file anew",
        )
    };
    let locator = file.read(
        place.checked_sub(20).ok_or_else(|| damaged(place))?,
        20,
        what,
    )?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Err(damaged(place - 20));
    }
    let place = u64_at(&locator, 8);
    let end = file.read(place, 56, what)?;
    if !end.starts_with(b"PK\x06\x06") {
        return Err(damaged(place));
    }
    within(
        file,
        place,
        u64_at(&end, 48),
        u64_at(&end, 40),
        u64_at(&end, 32),
    )
}

/// The directory must lie before the record that tells of it.
fn within(
    file: &RandomAccessFile,
    record: u64,
    start: u64,
    length: u64,
    count: u64,
) -> Result<(u64, u64, u64)> {
    match start.checked_add(length) {
        Some(end) if end <= record => Ok((start, length, count)),
        _ => Err(file.error(
            record,
            "the archive's directory",
            format!("{length} bytes from byte {start} on"),
            format!("before byte {record}; the file is damaged, get it anew"),
        )),
    }
}

/// Numbers of 64 bits that stand in for those that 32 bits cannot hold.
struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    /// Finds them among an entry's extra fields, each of which has a tag and a length: theirs is 1.
    fn new(mut extra: &'a [u8]) -> Self {
        while extra.len() >= 4 {
            let length = usize::from(u16_at(extra, 2));
            let Some(field) = extra.get(4..4 + length) else {
                break;
            };
            if u16_at(extra, 0) == 1 {
                return Self(field);
            }
            extra = &extra[4 + length..];
        }
        Self(&[])
    }

    /// The number itself, or the next one of 64 bits.
    fn or(&mut self, number: u32) -> Option<u64> {
        if number != u32::MAX {
            return Some(number.into());
        }
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }
}

// Only called where the bytes are known to be there.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
