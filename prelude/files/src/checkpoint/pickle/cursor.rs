//! Bytes of a pickle, taken one after the other.

use crate::error::{Error, Result};
use crate::random_access::{LONGEST, RandomAccessFile};

/// Part of a file in memory, and how far it has been read.
pub(super) struct Cursor<'a> {
    file: &'a RandomAccessFile,
    bytes: &'a [u8],
    /// Where the first of the bytes is in the file.
    base: u64,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a RandomAccessFile, bytes: &'a [u8], base: u64) -> Self {
        Self {
            file,
            bytes,
            base,
            at: 0,
        }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes; nothing is copied, and nothing is taken when they are not there.
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count));
        let Some(bytes) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            let got = format!(
                "cut off: {count} bytes follow, and {} are there",
                self.left()
            );
            // Where the file goes on, more of it was not read.
            let end = self.base + self.bytes.len() as u64;
            let need = match end == LONGEST && end < self.file.length {
                true => "4 MB long at most, and within its file",
                false => "whole; the file is cut off or damaged, get it anew",
            };
            return Err(self.error(self.at, "the pickle", got, need));
        };
        self.at += bytes.len();
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// A text of a known length in bytes.
    pub(super) fn text(&mut self, length: u64) -> Result<&'a str> {
        let at = self.at;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map_err(|error| self.error(at, "a text of the pickle", error.to_string(), "UTF-8"))
    }

    /// A text that ends with its line.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == b'\n');
        let length = length.unwrap_or(self.left()) as u64;
        let line = self.text(length)?;
        self.take(1)?;
        Ok(line)
    }

    /// An error at a byte of the pickle.
    pub(super) fn error(
        &self,
        at: usize,
        what: &'static str,
        got: impl Into<String>,
        need: impl Into<String>,
    ) -> Error {
        self.file.error(self.base + at as u64, what, got, need)
    }
}
