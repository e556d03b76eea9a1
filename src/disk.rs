//! Files that are written in one move: what was there before stays whole until then.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Puts `content` in the place of a file. A link stays one, and the file that it leads to gets the content; what is no file,
/// as a device, is written to.
///
/// # Errors
/// When the folder cannot be written to, or is full; the file that was there is unchanged then.
pub fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let path = &target(path);
    let before = std::fs::metadata(path).ok();
    if before.as_ref().is_some_and(is_stream) {
        return std::fs::write(path, content);
    }
    let mut file = temporary(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    if let Some(before) = before {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Where a link leads, as far as there is something.
fn target(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn is_stream(of: &std::fs::Metadata) -> bool {
    !of.is_file() && !of.is_dir()
}

/// Whether a file could be put at `path`, found out before long work is done for it.
///
/// # Errors
/// When the folder is missing or cannot be written to.
pub fn check_writable(path: &Path) -> std::io::Result<()> {
    let path = &target(path);
    match std::fs::metadata(path).is_ok_and(|of| is_stream(&of)) {
        true => Ok(()),
        false => temporary(path).map(drop),
    }
}

fn temporary(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".itd-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less what the umask takes away
    }
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "before")?;
        std::os::unix::fs::symlink(&real, &link)?;
        check_writable(&link)?;
        replace(&link, b"after")?;
        assert!(std::fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(std::fs::read_to_string(&real)?, "after");
        replace(Path::new("/dev/null"), b"x")?;
        assert!(!std::fs::metadata("/dev/null")?.is_file());
        Ok(())
    }

    #[test]
    fn nothing_is_lost_when_a_file_cannot_be_written() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let missing = folder.path().join("missing/a.ipynb");
        assert!(check_writable(&missing).is_err() && replace(&missing, b"x").is_err());
        let path = folder.path().join("a.ipynb");
        std::fs::write(&path, "good")?;
        replace(&path, b"better")?;
        assert_eq!(std::fs::read_to_string(&path)?, "better");
        let files = std::fs::read_dir(folder.path())?.count();
        assert_eq!(files, 1, "no temporary file stays");
        Ok(())
    }
}
