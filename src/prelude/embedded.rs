//! The prelude's sources in the program itself, for when the clone that it was built from is moved or gone.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Names from the prelude's folder on, and contents.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/prelude_sources.rs"));

/// The folder with the sources, unpacked below `cache` under a name that holds their hash; none if the program was
/// built without them.
///
/// # Errors
/// When the folder cannot be written to.
pub fn unpack(cache: &Path) -> std::io::Result<Option<PathBuf>> {
    if FILES.is_empty() {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    for (name, content) in FILES {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    let folder = cache.join(format!(
        "sources-{}",
        HEXLOWER.encode(&hash.finalize()[..8])
    ));
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    std::fs::create_dir_all(cache)?;
    let staging = tempfile::tempdir_in(cache)?;
    for (name, content) in FILES {
        let path = staging.path().join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, content)?;
    }
    let staging = staging.keep();
    if let Err(error) = std::fs::rename(&staging, &folder) {
        let _ = std::fs::remove_dir_all(&staging);
        // Another process may have been as fast.
        if !folder.is_dir() {
            return Err(error);
        }
    }
    Ok(Some(folder))
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;
    use crate::toolchain::Toolchain;

    #[test]
    fn what_is_unpacked_is_what_the_clone_has() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = unpack(cache.path())
            .expect("it is written")
            .expect("there are sources");
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("prelude");
        let sources = |source: &Path| -> Vec<(String, Vec<u8>)> {
            let plan = Plan {
                source: source.to_owned(),
                cache: cache.path().to_owned(),
                target: None,
                cuda: None,
                toolchain: Toolchain::find().expect("a compiler"),
            };
            // What a build is named by: a crate that is left out here would be missed.
            let files = plan.source_files().expect("sources").into_iter();
            let read = files.map(|(name, path)| (name, std::fs::read(path).expect("a source")));
            read.collect()
        };
        let (unpacked, own) = (sources(&folder), sources(&clone));
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&unpacked), names(&own));
        assert!(unpacked == own, "the same contents");
        assert_eq!(unpack(cache.path()).expect("it is there"), Some(folder));
    }
}
