//! An open file that is read anywhere, never beyond its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use itd_cell::memory::room_for;

use crate::error::{Error, Place, Result};
use crate::file;
use crate::kind;

/// The longest header, pickle or directory that is read. That of a network with a thousand tensors has 150,000
/// bytes; the most hostile one of this length takes a quarter of a gigabyte while it is read.
pub(crate) const LONGEST: u64 = 4 << 20;

/// A file with its length, against which every number in it is held before memory is asked for.
#[derive(Debug)]
pub(crate) struct RandomAccessFile {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    content: Content,
}

/// Where the bytes are.
#[derive(Debug)]
enum Content {
    File(File),
    Bytes(Vec<u8>),
}

impl RandomAccessFile {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let open = || {
            let file = file::regular(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = open().map_err(|cause| failed(path, cause))?;
        Ok(Self {
            path: path.into(),
            length,
            content: Content::File(file),
        })
    }

    /// The bytes of a file that was read already.
    pub(crate) fn of_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            length: bytes.len() as u64,
            content: Content::Bytes(bytes),
        }
    }

    /// Some bytes; `what` is what they are.
    pub(crate) fn read(&self, at: u64, length: u64, what: &'static str) -> Result<Vec<u8>> {
        self.check(at, length, what)?;
        room_for::<u8>(what, &[length as usize])?;
        let mut bytes = vec![0; length as usize];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Self::read`], into memory that is there. The caller has checked that the file is long enough.
    pub(crate) fn fill(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let filled = match &self.content {
            Content::File(file) => file.read_exact_at(bytes, at),
            Content::Bytes(all) => {
                let part = usize::try_from(at)
                    .ok()
                    .and_then(|at| all.get(at..at.checked_add(bytes.len())?));
                part.map(|part| bytes.copy_from_slice(part))
                    .ok_or(io::ErrorKind::UnexpectedEof.into())
            }
        };
        filled.map_err(|cause| failed(&self.path, cause))
    }

    /// Refuses a run of bytes that the file does not have.
    pub(crate) fn check(&self, at: u64, length: u64, what: &'static str) -> Result<()> {
        let left = self.length.saturating_sub(at);
        if length <= left {
            return Ok(());
        }
        let need = format!("{length} bytes; the file is not whole, or damaged: get it anew");
        Err(self.error(at, what, format!("cut off after {left} bytes"), need))
    }

    /// The error about a file that is none of those that are read here: it says what it is, where that can be told.
    pub(crate) fn other(&self, need: &str) -> Error {
        let head = self.read(0, self.length.min(kind::HEAD as u64), "the file");
        match head {
            Ok(head) => kind::other(&self.path, &head, need),
            Err(error) => error,
        }
    }

    /// An error at a byte of the file.
    pub(crate) fn error(
        &self,
        at: u64,
        what: &'static str,
        got: impl Into<String>,
        need: impl Into<String>,
    ) -> Error {
        Error::Format {
            path: self.path.clone(),
            at: Place::Byte(at),
            what,
            got: got.into(),
            need: need.into(),
        }
    }
}

/// What the system said about a file.
pub(crate) fn failed(path: &Path, cause: io::Error) -> Error {
    Error::File {
        path: path.into(),
        cause: cause.into(),
    }
}

/// A text of a file as an error shows it: in one line, and not at any length.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
