//! An open file that is read anywhere, never beyond its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::file;

/// The longest header, pickle or directory that is read. That of a network with a thousand tensors has 150,000
/// bytes; the most hostile one of this length takes a quarter of a gigabyte while it is read.
pub(super) const LONGEST: u64 = 4 << 20;

/// A file with its length, against which every number in it is held before memory is asked for.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    file: File,
}

impl Opened {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let open = || {
            let file = file::regular(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = open().map_err(|cause| failed(path, cause))?;
        Ok(Self {
            path: path.into(),
            length,
            file,
        })
    }

    /// Some bytes; `what` is what they are.
    pub(super) fn read(&self, at: u64, length: u64, what: &'static str) -> Result<Vec<u8>> {
        self.check(at, length, what)?;
        let mut bytes = vec![0; length as usize];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Self::read`], into memory that is there. The caller has checked that the file is long enough.
    pub(super) fn fill(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let filled = self.file.read_exact_at(bytes, at);
        filled.map_err(|cause| failed(&self.path, cause))
    }

    /// Refuses a run of bytes that the file does not have.
    pub(super) fn check(&self, at: u64, length: u64, what: &'static str) -> Result<()> {
        let left = self.length.saturating_sub(at);
        if length <= left {
            return Ok(());
        }
        let need = format!("{length} bytes; the file is not whole, or damaged: get it anew");
        Err(self.error(at, what, format!("cut off after {left} bytes"), need))
    }

    /// An error at a byte of the file.
    pub(super) fn error(
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
pub(super) fn failed(path: &Path, cause: io::Error) -> Error {
    Error::File {
        path: path.into(),
        cause: cause.into(),
    }
}

/// A text of a file as an error shows it: in one line, and not at any length.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
