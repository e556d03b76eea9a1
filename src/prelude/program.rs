//! A program of one line against the prelude, for the commands that need its science: `itd` itself does not link it.
//!
//! It is compiled once for each build of the prelude, like a cell, and lies in that build's folder from then on, or in the
//! user's cache where that folder is only read.

use data_encoding::HEXLOWER;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::{Prelude, PreludeError};
use crate::toolchain::{REAL_COMPILER, Toolchain};

/// A part of the prelude that has a `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `itd fetch` and `itd inspect`.
    Tool,
    /// `itd bench compute` and `itd bench cuda`.
    Bench,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Bench => "bench",
        }
    }

    /// The whole program.
    fn source(self) -> String {
        let name = self.name();
        format!("fn main() {{ {END_QUIETLY} std::process::exit(itd_prelude::{name}::main()) }}")
    }
}

/// When its reader goes away, it ends without a word, as other programs do.
const END_QUIETLY: &str = "let before = std::panic::take_hook(); \
    std::panic::set_hook(Box::new(move |panic| { \
        let said = panic.payload_as_str().unwrap_or_default(); \
        if said.starts_with(\"failed printing to std\") && said.contains(\"Broken pipe\") { std::process::exit(141) } \
        before(panic) \
    }));";

/// How it is compiled, but for what differs from build to build. It finds the library in its own folder, or where it was
/// when it was compiled.
const FLAGS: [&str; 4] = [
    "--edition=2024",
    "--crate-name=itd_tool",
    "-Cprefer-dynamic",
    match cfg!(target_os = "macos") {
        true => "-Clink-arg=-Wl,-rpath,@loader_path",
        false => "-Clink-arg=-Wl,-rpath,$ORIGIN",
    },
];

/// The program's file, compiled now if it is not there.
///
/// # Errors
/// When it does not compile, or neither the build's folder nor the cache can be written to.
pub fn program(
    part: Part,
    toolchain: &Toolchain,
    prelude: &Prelude,
) -> Result<PathBuf, PreludeError> {
    let source = part.source();
    let digest = Sha256::digest(format!("{source}\n{}", FLAGS.join("\n")));
    let digits = HEXLOWER.encode(&digest[..4]);
    let name = format!("{}-{digits}", part.name());
    // A build that is shared may be one that only its owner writes to.
    let build = prelude.folder().file_name().unwrap_or_default();
    let own = super::cache().join("prelude-programs").join(build);
    let places = [prelude.folder().to_owned(), own.clone()];
    if let Some(made) = places
        .iter()
        .map(|place| place.join(&name))
        .find(|made| made.is_file())
    {
        return Ok(made);
    }
    // Another process may do the same at this moment; both results are good, and the last one stays.
    let staging = tempfile::tempdir_in(prelude.folder()).or_else(|_| {
        std::fs::create_dir_all(&own)?;
        tempfile::tempdir_in(&own)
    });
    let staging = staging.map_err(|source| PreludeError::File {
        path: own.clone(),
        source,
    })?;
    let path = staging.path().with_file_name(name);
    let told = |source| PreludeError::File {
        path: path.clone(),
        source,
    };
    let made = staging.path().join("tool");
    let mut compiler = Command::new(&toolchain.rustc)
        .args(FLAGS)
        .args(prelude.arguments())
        // The prelude finds the shared std by itself; so does the program.
        .arg(format!(
            "-Clink-arg=-Wl,-rpath,{}",
            toolchain.libdir.display()
        ))
        .arg("-o")
        .arg(&made)
        .arg("-")
        .env_remove(REAL_COMPILER)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(told)?;
    if let Some(mut stdin) = compiler.stdin.take() {
        // A compiler that has given up says why.
        let _ = stdin.write_all(source.as_bytes());
    }
    let done = compiler.wait_with_output().map_err(told)?;
    if !done.status.success() {
        let complaints = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(PreludeError::Program(complaints));
    }
    std::fs::rename(&made, &path).map_err(told)?;
    Ok(path)
}
