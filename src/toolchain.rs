//! The Rust compiler that cells and prelude are built with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest compiler that evcxr works with.
pub const OLDEST: (u32, u32) = (1, 95);

/// The variable that names the real compiler; set means that this process is to be one.
pub const REAL_COMPILER: &str = "ITD_RUSTC";

/// What keeps the compiler from being used.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    #[error("no Rust compiler found: install one from https://rustup.rs, then try again")]
    Missing,
    #[error(
        "rustc {found}{} is too old, {}.{} is needed: {}",
        chosen_by(choice), OLDEST.0, OLDEST.1,
        if choice.is_some() { "change or remove that file" } else { "run `rustup update stable`" }
    )]
    TooOld {
        found: String,
        /// The file that chose this compiler.
        choice: Option<PathBuf>,
    },
    #[error("{}{} cannot be used: {what}", tool.display(), chosen_by(choice))]
    Unusable {
        tool: PathBuf,
        choice: Option<PathBuf>,
        what: String,
    },
    #[error(
        "the shared standard library (libstd-*.so) is missing in {}: \
         some distributions leave it out; install Rust from https://rustup.rs", .0.display()
    )]
    NoSharedStd(PathBuf),
    #[error("{tool} cannot be run: {source}")]
    Run {
        tool: PathBuf,
        source: std::io::Error,
    },
}

/// Where the tools are, and what they are.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub cargo: PathBuf,
    pub rustc: PathBuf,
    /// All that `rustc -vV` says; it names a build exactly.
    pub version: String,
    /// Folder of the standard library.
    pub libdir: PathBuf,
}

impl Toolchain {
    /// Finds the compiler as evcxr does: the one that rustup would run here, or else the one on the path.
    ///
    /// # Errors
    /// When there is none, or none that can be used.
    pub fn find() -> Result<Self, ToolchainError> {
        let rustc = tool("rustc")?;
        let cargo = tool("cargo")?;
        let version = output(&rustc, &["-vV"])?;
        let found = release(&version);
        if found.is_none_or(|found| found < OLDEST) {
            let found = version.lines().next().unwrap_or_default();
            return Err(ToolchainError::TooOld {
                found: found.trim_start_matches("rustc ").to_owned(),
                choice: choice(),
            });
        }
        let libdir = PathBuf::from(output(&rustc, &["--print", "target-libdir"])?.trim());
        if shared_std(&libdir).is_none() {
            return Err(ToolchainError::NoSharedStd(libdir));
        }
        Ok(Self {
            cargo,
            rustc,
            version,
            libdir,
        })
    }
}

impl Toolchain {
    /// The compiler's version, such as `1.95.0`.
    pub fn release(&self) -> Option<String> {
        let mut lines = self.version.lines();
        let release = lines.find_map(|line| line.strip_prefix("release: "))?;
        Some(release.to_owned())
    }
}

/// The shared standard library in a folder.
pub fn shared_std(libdir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(libdir).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with("libstd-") && (name.ends_with(".so") || name.ends_with(".dylib"))
    })
}

/// `release: 1.95.0` → (1, 95).
fn release(version: &str) -> Option<(u32, u32)> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))?;
    let mut numbers = line.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The program of this name that a shell would start.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|place| place.is_file())
}

fn tool(name: &str) -> Result<PathBuf, ToolchainError> {
    let by_rustup = Command::new("rustup").args(["which", name]).output().ok();
    if let Some(found) = by_rustup.filter(|found| found.status.success()) {
        return Ok(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()));
    }
    on_path(name).ok_or(ToolchainError::Missing)
}

fn output(tool: &Path, args: &[&str]) -> Result<String, ToolchainError> {
    let done = Command::new(tool).args(args).output();
    let done = done.map_err(|source| ToolchainError::Run {
        tool: tool.to_owned(),
        source,
    })?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let what = match said.trim() {
            "" => done.status.to_string(),
            said => said.trim_start_matches("error: ").to_owned(),
        };
        return Err(ToolchainError::Unusable {
            tool: tool.to_owned(),
            choice: choice(),
            what,
        });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The file by which rustup chooses the compiler in this folder, if there is one.
fn choice() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut files = here
        .ancestors()
        .flat_map(|folder| ["rust-toolchain.toml", "rust-toolchain"].map(|name| folder.join(name)));
    files.find(|file| file.is_file())
}

fn chosen_by(choice: &Option<PathBuf>) -> String {
    choice
        .as_ref()
        .map(|file| format!(", chosen by {},", file.display()))
        .unwrap_or_default()
}

/// Where cargo keeps crates and the user's configuration.
pub fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| Some(dirs::home_dir()?.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_compared() {
        assert_eq!(
            release("rustc 1.95.0 (x)\nrelease: 1.95.0\n"),
            Some((1, 95))
        );
        assert_eq!(release("release: 1.97.0-nightly"), Some((1, 97)));
        assert!(release("release: 1.9.0").is_some_and(|found| found < OLDEST));
        assert_eq!(release("no such line"), None);
    }
}
