//! A file that is read from its start to its end, plain or compressed, within what it can hold.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Place, Result};
use crate::{file, kind};

/// What gzip can make of one byte at most: 258 bytes cost two bits, and 8 · 258 / 2 = 1032.
pub(super) const BEST_RATIO: u64 = 1032;

/// The bytes of a file, decompressed where it is gzip, with the position that errors tell.
pub(super) struct Reader {
    path: PathBuf,
    stream: Box<dyn Read>,
    position: u64,
    /// The first bytes that were read.
    head: Vec<u8>,
    packed: bool,
    /// The number of bytes, where it is known; else the most that there can be.
    pub(super) length: Length,
}

/// How long the contents of a file are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Exactly(u64),
    AtMost(u64),
}

impl Reader {
    /// Opens a file; its first two bytes tell whether it is gzip.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |cause| file_error(path, cause);
        let mut stream = BufReader::with_capacity(1 << 16, regular(path)?);
        let stored = stream.get_ref().metadata().map_err(failed)?.len();
        let packed = stream
            .fill_buf()
            .map_err(failed)?
            .starts_with(&[0x1f, 0x8b]);
        let (stream, length): (Box<dyn Read>, _) = match packed {
            true => {
                let most = stored.saturating_mul(BEST_RATIO);
                (Box::new(MultiGzDecoder::new(stream)), Length::AtMost(most))
            }
            false => (Box::new(stream), Length::Exactly(stored)),
        };
        Ok(Self {
            path: path.into(),
            stream,
            position: 0,
            head: Vec::new(),
            packed,
            length,
        })
    }

    /// Where the next byte is.
    pub(super) fn place(&self) -> Place {
        Place::Byte(self.position)
    }

    /// Fills the buffer; `what` is what the bytes are.
    pub(super) fn fill(&mut self, buffer: &mut [u8], what: &'static str) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..], what)? {
                0 => {
                    return Err(self.error(
                        what,
                        format!("cut off after {filled} bytes"),
                        format!("{} bytes; the file is not whole, get it anew", buffer.len()),
                    ));
                }
                more => filled += more,
            }
        }
        Ok(())
    }

    /// The next four bytes as a number, the highest first.
    pub(super) fn number(&mut self, what: &'static str) -> Result<u32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes, what)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Refuses what comes after the last byte; of gzip, this is what compares its checksum.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.read(&mut [0], "the end of the file")? {
            0 => Ok(()),
            _ => Err(self.error_at(
                Place::Byte(self.position - 1),
                "the file",
                "longer than its header says".into(),
                "at its end here".into(),
            )),
        }
    }

    /// The error about a file of another kind: it says what it is, where that can be told.
    pub(super) fn other(&mut self, need: &str) -> Error {
        let mut more = [0; kind::HEAD];
        while self.head.len() < kind::HEAD {
            match self.read(&mut more, "the file") {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) => return error,
            }
        }
        match kind::of(&self.head) {
            Some(("gzip", _)) if self.packed => {
                let need = format!("{need}; unpack it once with `gunzip`");
                self.error_at(Place::Byte(0), "the file", "gzip within gzip".into(), need)
            }
            _ => kind::other(&self.path, &self.head, need),
        }
    }

    /// As [`Self::other`], where the file is known to be something else.
    pub(super) fn known_other(&mut self, need: &str) -> Option<Error> {
        let mut head = [0; kind::HEAD];
        let more = self.read(&mut head, "the file").ok()?;
        kind::of(&head[..more])?;
        Some(kind::other(&self.path, &head[..more], need))
    }

    /// An error at the present place.
    pub(super) fn error(&self, what: &'static str, got: String, need: String) -> Error {
        self.error_at(self.place(), what, got, need)
    }

    /// An error at an earlier place.
    pub(super) fn error_at(
        &self,
        at: Place,
        what: &'static str,
        got: String,
        need: String,
    ) -> Error {
        Error::Format {
            path: self.path.clone(),
            at,
            what,
            got,
            need,
        }
    }

    fn read(&mut self, buffer: &mut [u8], what: &'static str) -> Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(more) => {
                    self.position += more as u64;
                    let lacking = kind::HEAD - self.head.len();
                    self.head.extend(&buffer[..more.min(lacking)]);
                    return Ok(more);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                // What the system says has a number; what the decompressor says has none.
                Err(cause) if cause.raw_os_error().is_some() => {
                    return Err(file_error(&self.path, cause));
                }
                Err(cause) => {
                    return Err(self.error(
                        what,
                        format!("unreadable ({cause})"),
                        "whole and undamaged gzip; get the file anew".into(),
                    ));
                }
            }
        }
    }
}

/// Opens a regular file for reading.
pub(super) fn regular(path: &Path) -> Result<File> {
    file::regular(path).map_err(|cause| file_error(path, cause))
}

/// What the system said about a file.
pub(super) fn file_error(path: &Path, cause: io::Error) -> Error {
    Error::File {
        path: path.into(),
        cause: cause.into(),
    }
}
