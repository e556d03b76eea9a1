//! What the commands `itd fetch`, `itd inspect`, `itd reproduce`, `itd bench mi` and `itd bench recommender` run.
//!
//! `itd` does not depend on this crate; it compiles a program of one line, `std::process::exit(itd_prelude::tool::main())`,
//! against the library that cells use, and becomes it.

mod bench_mi;
mod bench_recommender;
mod fetch;
mod inspect;
mod network;
mod reproduce;

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// What a command has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// For the reader.
    pub text: String,
    /// Why the command failed, though there is something to read.
    pub complaint: Option<String>,
}

/// Runs the command that this process was called with, and gives its exit code: 0, or 1 after an error, which is
/// printed.
pub fn main() -> i32 {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let report = run(&arguments).unwrap_or_else(|error| Report {
        complaint: Some(error.to_string()),
        ..Default::default()
    });
    // A reader that has gone away, as `| head` does, has read enough.
    let mut out = io::stdout().lock();
    let written = out
        .write_all(report.text.as_bytes())
        .and_then(|()| out.flush());
    let unwritten = written
        .err()
        .filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    let complaint = report
        .complaint
        .or(unwritten.map(|error| error.to_string()));
    if let Some(complaint) = &complaint {
        let _ = writeln!(io::stderr(), "itd: {complaint}");
    }
    i32::from(complaint.is_some())
}

/// Keeps other processes of this machine from writing to a file of results, for as long as what it gives is there: each
/// would write its own rows over those of the other.
fn lock(path: &Path) -> Result<File> {
    let failed = |cause: io::Error| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    };
    // The file itself is replaced with each row, and may not be there yet.
    let name = path.file_name().unwrap_or_default();
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let place = folder.canonicalize().map_err(failed)?.join(name);
    let place = Sha256::digest(place.as_os_str().as_encoded_bytes());
    let name = format!("itd-results-{}.lock", HEXLOWER.encode(&place[..8]));
    let lock = std::env::temp_dir().join(name);
    let lock = File::options()
        .create(true)
        .append(true)
        .open(lock)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(failed(io::Error::other(
            "another process writes its results there; wait for it, or name another file",
        ))),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// Runs `fetch`, `fetch MODEL`, `bench-mi FILE`, `bench-recommender FILE`, `reproduce cifar10`, or `inspect FILE`, the last
/// with `--as NETWORK` behind it if there is
/// one.
///
/// # Errors
/// [`Error::Parameter`] for another command; what the commands return.
///
/// # Example: the networks that have short names
/// ```
/// use itd_prelude::tool;
///
/// let known = tool::run(&["fetch".into()])?;
/// assert!(known.text.contains("ddpm-cifar10") && known.complaint.is_none());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn run(arguments: &[OsString]) -> Result<Report> {
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let words: Vec<&str> = words.iter().map(|word| word.as_ref()).collect();
    match words.as_slice() {
        ["bench-mi", rest @ ..] => bench_mi::bench(rest),
        ["bench-recommender", rest @ ..] => bench_recommender::bench(rest),
        ["reproduce", rest @ ..] => reproduce::reproduce(rest),
        ["fetch"] => Ok(fetch::list()),
        ["fetch", "ml-100k"] => fetch::ratings(),
        ["fetch", model] => fetch::fetch(model),
        ["inspect", _] => inspect::inspect(arguments[1].as_ref(), None),
        ["inspect", _, "--as", network] => {
            inspect::inspect(arguments[1].as_ref(), Some(network.parse()?))
        }
        other => Err(Error::Parameter {
            name: "the command",
            got: format!("{:?}", other.join(" ")),
            need: "`fetch`, `fetch MODEL`, `inspect FILE`, `inspect FILE --as NETWORK`, `bench-mi FILE`, `bench-recommender FILE` or `reproduce cifar10`",
        }),
    }
}
