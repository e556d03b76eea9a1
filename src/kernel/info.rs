//! What the kernel is: `kernel_info`.
//!
//! It is answered before anything else is up, and the compiler takes longer to say its version than the answer may.
//! So the version is kept in the user's cache, under all that decides which compiler is run.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use jupyter_protocol::JupyterMessageContent;
use jupyter_protocol::UnknownMessage;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::message::PROTOCOL;
use crate::toolchain::Toolchain;

/// How long the first answer of all waits for the compiler.
const FIRST: Duration = Duration::from_secs(2);

/// The version of the compiler, which may not be known yet.
#[derive(Debug, Clone)]
pub(super) struct Compiler {
    version: watch::Receiver<Option<String>>,
}

impl Compiler {
    /// Looks the version up in `cache`, and asks the compiler, on a thread of its own, if it is not there.
    pub fn find(cache: &Path) -> Self {
        let file = cache.join("compiler-version.json");
        let key = key(&decisive());
        let (tell, version) = watch::channel(known(&file, &key));
        if version.borrow().is_none() {
            std::thread::spawn(move || {
                let found = Toolchain::find().ok();
                let release = found.and_then(|toolchain| toolchain.release());
                if let Some(release) = &release {
                    remember(&file, &key, release);
                }
                // The oldest that would do, where none is found.
                let release = release.unwrap_or(env!("CARGO_PKG_RUST_VERSION").to_owned());
                let _ = tell.send(Some(release));
            });
        }
        Self { version }
    }

    /// Waits until the version is known, but not for ever.
    pub async fn known(&self) -> String {
        let mut version = self.version.clone();
        let known = version.wait_for(Option::is_some);
        let known = tokio::time::timeout(FIRST, known).await;
        let known = known.ok().and_then(Result::ok);
        let known = known.and_then(|version| version.clone());
        known.unwrap_or_else(|| env!("CARGO_PKG_RUST_VERSION").to_owned())
    }
}

/// Files and settings that decide which compiler is run, as far as they are there.
fn decisive() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = Vec::new();
    for name in ["rustup", "rustc"] {
        let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
        files.extend(places.find(|place| place.is_file()));
    }
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let rustup = rustup.or_else(|| Some(dirs::home_dir()?.join(".rustup")));
    if let Some(rustup) = rustup {
        files.push(rustup.join("settings.toml"));
        // An update writes these.
        let hashes = std::fs::read_dir(rustup.join("update-hashes"));
        let mut hashes: Vec<_> = hashes.into_iter().flatten().flatten().collect();
        hashes.sort_by_key(|entry| entry.file_name());
        files.extend(hashes.into_iter().map(|entry| entry.path()));
    }
    let here = std::env::current_dir().unwrap_or_default();
    for folder in here.ancestors() {
        files.extend(["rust-toolchain.toml", "rust-toolchain"].map(|name| folder.join(name)));
    }
    files.retain(|file| file.exists());
    files
}

fn key(files: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    let toolchain = std::env::var_os("RUSTUP_TOOLCHAIN").unwrap_or_default();
    hash.update(toolchain.as_encoded_bytes());
    for file in files {
        hash.update(b"\0");
        hash.update(file.as_os_str().as_encoded_bytes());
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        let modified = real.metadata().and_then(|metadata| metadata.modified());
        let since = modified
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hash.update(since.unwrap_or_default().as_nanos().to_le_bytes());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

fn known(file: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let kept: serde_json::Value = serde_json::from_str(&text).ok()?;
    let version = kept["version"].as_str()?.to_owned();
    (kept["key"].as_str() == Some(key)).then_some(version)
}

/// If it cannot be kept, the compiler is asked again next time.
fn remember(file: &Path, key: &str, version: &str) {
    let Some(folder) = file.parent() else { return };
    let text = json!({"key": key, "version": version}).to_string();
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|staged| std::fs::write(staged.path(), text).map(|()| staged));
    if let Ok(staged) = written {
        let _ = staged.persist(file);
    }
}

/// The content of the reply. The library's type has no `supported_features`.
pub(super) fn reply(compiler: &str) -> JupyterMessageContent {
    let version = env!("CARGO_PKG_VERSION");
    let content = json!({
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "itd",
        "implementation_version": version,
        "language_info": {
            "name": "rust",
            "version": compiler,
            "mimetype": "text/x-rust",
            "file_extension": ".rs",
            "pygments_lexer": "rust",
            "codemirror_mode": "rust",
            "nbconvert_exporter": "script",
        },
        "banner": format!(
            "itd {version}: information-theoretic diffusion in Rust. `itd_prelude::prelude::*` is imported."
        ),
        // Variables can be inspected, but no cell can be stopped at a line.
        "debugger": false,
        "supported_features": [],
        "help_links": [
            {"text": "The Rust Standard Library", "url": "https://doc.rust-lang.org/std/"},
            {"text": "The Rust Reference", "url": "https://doc.rust-lang.org/reference/"},
        ],
    });
    UnknownMessage {
        msg_type: "kernel_info_reply".to_owned(),
        content,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_as_long_as_the_compiler_is_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compiler = folder.path().join("rustc");
        std::fs::write(&compiler, "").expect("a file");
        let files = [compiler.clone()];
        let kept = folder.path().join("deep/compiler-version.json");
        remember(&kept, &key(&files), "1.95.0");
        assert_eq!(known(&kept, &key(&files)).as_deref(), Some("1.95.0"));
        let file = std::fs::File::options().write(true).open(&compiler);
        let later = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.and_then(|file| file.set_modified(later))
            .expect("a time");
        assert_eq!(known(&kept, &key(&files)), None, "another compiler");
        std::fs::write(&kept, "{").expect("a file");
        assert_eq!(known(&kept, &key(&files)), None, "a broken file");
    }

    #[tokio::test]
    async fn the_compiler_is_asked_when_nothing_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let toolchain = Toolchain::find().expect("a compiler");
        let version = Compiler::find(folder.path()).known().await;
        assert_eq!(Some(&version), toolchain.release().as_ref());
        let again = Compiler::find(folder.path());
        assert_eq!(*again.version.borrow(), Some(version), "at once");
    }
}
