//! Files that are read whole, and written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use itd_cell::memory::room_for;

use crate::error::{Error, Result};

/// Numbers the unfinished files of this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Opens a regular file for reading: opening a pipe would wait for its other end.
///
/// # Errors
/// What the system says, and for a folder, a pipe or a device that it is no regular file.
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// assert!(itd_prelude::file::regular(std::env::temp_dir().as_path()).is_err());
/// ```
pub fn regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is not a regular file",
        ));
    }
    File::open(path)
}

/// All bytes of a regular file.
///
/// # Errors
/// [`Error::File`] when it is none, or cannot be read; [`Error::Memory`] when it does not fit.
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// let path = std::env::temp_dir().join(format!("itd-whole-{}", std::process::id()));
/// std::fs::write(&path, b"all of it").expect("a place for files");
/// assert_eq!(itd_prelude::file::whole(&path)?, b"all of it");
/// std::fs::remove_file(&path).expect("the file is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn whole(path: &Path) -> Result<Vec<u8>> {
    let failed = |cause: io::Error| Error::File {
        path: path.into(),
        cause: cause.into(),
    };
    let mut file = regular(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    room_for::<u8>(&format!("the file {}", path.display()), &[length])?;
    let mut bytes = Vec::with_capacity(length);
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Writes a file beside `path`, then gives it that name; what was there stays if anything goes wrong.
///
/// A link keeps pointing where it did, and an old file's permissions pass on to the new one.
///
/// # Errors
/// What `write` or the system says; the unfinished file is gone then.
///
/// # Example: a failure leaves the old content
/// ```
/// # use itd_files as itd_prelude;
/// use std::io::{Error, Write};
/// use itd_prelude::file::replace;
///
/// let path = std::env::temp_dir().join(format!("itd-example-{}", std::process::id()));
/// replace(&path, |file| file.write_all(b"old"))?;
/// assert!(replace(&path, |file| file.write_all(b"new").and(Err(Error::other("full")))).is_err());
/// assert_eq!(std::fs::read(&path)?, b"old");
/// std::fs::remove_file(&path)?;
/// # Ok::<(), Error>(())
/// ```
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| missing(path));
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let (file, part) = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut name = name.to_owned();
        name.push(format!(".{}-{count}.part", std::process::id()));
        let part = path.with_file_name(name);
        match File::create_new(&part) {
            // A process of the same number, as in containers, was killed while it wrote.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => break (made?, part),
        }
    };
    let finish = |mut file: File| {
        write(&mut file)?;
        if let Ok(old) = fs::metadata(&path) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    finish(file).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

/// Where a link points whose target is not there; a path that is no link stays as it is.
fn missing(path: &Path) -> PathBuf {
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = std::env::temp_dir().join(format!("itd-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("table.csv");
        replace(&path, |file| file.write_all(b"first")).unwrap();
        let broken = |file: &mut File| {
            file.write_all(b"second")?;
            Err(io::Error::other("the disk is full"))
        };
        assert!(replace(&path, broken).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        // Nothing unfinished is left behind.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(replace(&folder.join("missing/table.csv"), |_| Ok(())).is_err());
        assert!(replace(Path::new("/"), |_| Ok(())).is_err());
        assert!(replace(Path::new(""), |_| Ok(())).is_err());
        // What a process with this number has left stands in nobody's way.
        let next = COUNT.load(Ordering::Relaxed);
        for count in next..next + 40 {
            let left = format!("table.csv.{}-{count}.part", std::process::id());
            fs::write(folder.join(left), b"half").unwrap();
        }
        replace(&path, |file| file.write_all(b"third")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = std::env::temp_dir().join(format!("itd-link-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (target, link) = (folder.join("target"), folder.join("link"));
        fs::write(&target, b"old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();
        replace(&link, |file| file.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::remove_file(&target).unwrap();
        symlink("target", folder.join("relative")).unwrap();
        for link in [&link, &folder.join("relative")] {
            replace(link, |file| file.write_all(b"again")).unwrap();
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
            assert_eq!(fs::read(&target).unwrap(), b"again");
            fs::remove_file(&target).unwrap();
        }
        fs::write(&target, b"new").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&link, |file| file.write_all(b"new")).unwrap();
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o640
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
