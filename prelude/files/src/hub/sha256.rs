//! The check sum of a file.

use data_encoding::HEXLOWER;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// SHA-256 of a file, in hexadecimal digits, and its length in bytes.
pub(super) fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    let (mut file, mut length) = (File::open(path)?, 0);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                digest.update(&chunk[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((HEXLOWER.encode(&digest.finalize()), length))
}
