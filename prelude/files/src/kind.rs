//! What a file is, by its first bytes: for errors about files that are something else than was hoped for.

use std::path::Path;

use crate::error::{Error, Place};

/// As many bytes tell.
pub(crate) const HEAD: usize = 512;

/// What a file is, and what to do with it; the second may be empty.
type Kind = (&'static str, &'static str);

const LFS: Kind = (
    "a Git LFS pointer, a few lines that stand for the file",
    "get the file itself with `git lfs pull`, or download it from its page",
);
const PAGE: Kind = (
    "a web page",
    "take the address of the file itself, which on the hub has /resolve/ where its page has /blob/",
);
const UNPACK: &str = "unpack it first";

/// Beginnings that tell. Longer ones stand before shorter ones that they begin with.
const MAGIC: &[(&[u8], Kind)] = &[
    (b"\x89PNG", ("a PNG picture", "")),
    (b"\xff\xd8\xff", ("a JPEG picture", "")),
    (b"GIF8", ("a GIF picture", "save it as PNG")),
    (b"II*\0", ("a TIFF picture", "save it as PNG")),
    (b"MM\0*", ("a TIFF picture", "save it as PNG")),
    (b"PAR1", ("a parquet table", "")),
    (b"ARROW1", ("an Arrow file", "save it as parquet")),
    (
        b"\x89HDF",
        ("an HDF5 file", "save its arrays with `numpy.savez`"),
    ),
    (b"\x93NUMPY", ("a numpy array (.npy)", "")),
    (b"PK\x03\x04", ("a zip archive", "")),
    (b"PK\x05\x06", ("an empty zip archive", "")),
    (b"\x1f\x8b", ("gzip", UNPACK)),
    (b"BZh", ("bzip2", UNPACK)),
    (b"\xfd7zXZ", ("xz", UNPACK)),
    (b"\x28\xb5\x2f\xfd", ("Zstandard", UNPACK)),
    (b"7z\xbc\xaf", ("a 7z archive", UNPACK)),
    (b"Rar!", ("a RAR archive", UNPACK)),
    (b"%PDF", ("a PDF document", "")),
    (b"\x7fELF", ("a program", "")),
    (b"SQLite format 3", ("an SQLite database", "")),
    (b"\0\0\x08\x01", ("an IDX file of labels", "")),
    (b"\0\0\x08\x03", ("an IDX file of pictures", "")),
    (b"\x80\x02", ("a pickle", "")),
    (b"\x80\x03", ("a pickle", "")),
    (b"\x80\x04", ("a pickle", "")),
    (b"\x80\x05", ("a pickle", "")),
];

/// What begins with these bytes, if that can be told.
pub(crate) fn of(head: &[u8]) -> Option<Kind> {
    if head.is_empty() {
        return Some(("empty", "look where it came from"));
    }
    if head.starts_with(b"version https://git-lfs.github.com/") {
        return Some(LFS);
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*kind);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(("a WebP picture", "save it as PNG"));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", UNPACK));
    }
    if head.get(8) == Some(&b'{') && head.get(4..8) == Some(&[0; 4]) {
        return Some(("a safetensors file", ""));
    }
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    let begins = |tag: &str| {
        let start = text.get(..tag.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(tag.as_bytes())
    };
    if begins("<!doctype html") || begins("<html") {
        return Some(PAGE);
    }
    if begins("<?xml") {
        return Some(("XML, which is how some servers say no", "look into it"));
    }
    let plain = |&byte: &u8| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    if !head.iter().all(plain) || !is_utf8(head) {
        return None;
    }
    match text.first() {
        Some(b'{' | b'[') => Some(("text in JSON", "")),
        _ => Some(("text", "")),
    }
}

/// Whether bytes are UTF-8; the last letter may be cut off.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// What begins with these bytes, in words: its kind, or the first of the bytes.
pub(crate) fn described(head: &[u8]) -> (String, &'static str) {
    let start = head[..head.len().min(16)].escape_ascii();
    match of(head) {
        Some((what, next)) if what.starts_with("text") => {
            (format!("{what} that begins with \"{start}\""), next)
        }
        Some((what, next)) => (what.to_owned(), next),
        None => (format!("something that begins with \"{start}\""), ""),
    }
}

/// The error about a file of another kind.
pub(crate) fn other(path: &Path, head: &[u8], need: &str) -> Error {
    let (got, next) = described(head);
    Error::Format {
        path: path.to_owned(),
        at: Place::Byte(0),
        what: "the file",
        got,
        need: with_advice(need, next),
    }
}

/// What is needed, and what to do.
pub(crate) fn with_advice(need: &str, next: &str) -> String {
    match next {
        "" => need.to_owned(),
        next => format!("{need}; {next}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_instead_of_their_file_is_named() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 1337\n";
        for (head, says) in [
            (&lfs[..], "Git LFS"),
            (b"\xef\xbb\xbf\r\n<!DOCTYPE HTML><title>404", "web page"),
            (b"<html lang=en>", "web page"),
            (b"<?xml version='1.0'?><Error>", "XML"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"", "empty"),
            (b"{\"weight_map\": {}}", "JSON"),
            (b"Not found", "text that begins with \"Not found\""),
            (b"\x01\x02\x03", "begins with \"\\x01\\x02\\x03\""),
            ("a,b\nΩ".as_bytes(), "text"),
        ] {
            assert!(described(head).0.contains(says), "{:?}", described(head));
        }
    }
}
