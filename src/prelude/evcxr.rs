//! Has evcxr's own front ends, its REPL and evcxr_jupyter, load the prelude when they start.
//!
//! The prebuilt prelude is used, so that they start as fast as ever. evcxr's analyzer does not know it, though, and
//! variables of its types need their type written: `let raw: Split = digits()?;`.
//!
//! evcxr reads `init.evcxr`, lines of commands, and `prelude.rs`, Rust, in its folder. Whatever else is in them stays.

use std::path::{Path, PathBuf};

use super::Prelude;
use crate::disk;

/// What stands around our lines.
const BEGIN: &str = "// itd: begin";
const END: &str = "// itd: end";

/// What keeps the files from being written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no folder for evcxr's settings; name one with --folder")]
    NoFolder,
    #[error("{} has the line `// itd: begin` and not `// itd: end` behind our lines: take them out", .0.display())]
    Torn(PathBuf),
    #[error("{}: {source}; what was there before is unchanged", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Where evcxr looks for its settings.
///
/// # Errors
/// When the system names no folder for settings.
pub fn folder() -> Result<PathBuf, ConfigError> {
    match std::env::var_os("EVCXR_CONFIG_DIR") {
        Some(folder) => Ok(folder.into()),
        None => {
            let folder = dirs::config_dir().map(|folder| folder.join("evcxr"));
            folder.ok_or(ConfigError::NoFolder)
        }
    }
}

/// Writes both files; gives their paths.
///
/// # Errors
/// When one cannot be read or written.
pub fn write(folder: &Path, prelude: &Prelude) -> Result<[PathBuf; 2], ConfigError> {
    // Separated so that a path may hold blanks. evcxr's own flag is replaced with the variable.
    let mut flags = vec!["-Cprefer-dynamic".to_owned()];
    flags.extend(prelude.arguments());
    let init = format!(
        ":build_env CARGO_ENCODED_RUSTFLAGS={}\n",
        flags.join("\u{1f}")
    );
    put(folder, &init, IMPORTS)
}

/// Takes our lines out of both files.
///
/// # Errors
/// When one cannot be read or written.
pub fn remove(folder: &Path) -> Result<[PathBuf; 2], ConfigError> {
    put(folder, "", "")
}

/// What a cell of ours has without asking.
const IMPORTS: &str = "use itd_prelude::prelude::*;\nuse itd_prelude::show::EvcxrDisplay as _;\n";

fn put(folder: &Path, init: &str, imports: &str) -> Result<[PathBuf; 2], ConfigError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ConfigError::File { path, source }
    };
    let paths = ["init.evcxr", "prelude.rs"].map(|name| folder.join(name));
    if init.is_empty() && !folder.is_dir() {
        return Ok(paths);
    }
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    for (path, lines) in paths.iter().zip([init, imports]) {
        let before = match path.exists() {
            true => std::fs::read_to_string(path).map_err(at(path))?,
            false => String::new(),
        };
        if before.contains(BEGIN) && !before.contains(END) {
            return Err(ConfigError::Torn(path.clone()));
        }
        let text = with_lines(&before, lines);
        if text == before {
            continue;
        }
        match (text.is_empty(), path.exists()) {
            (true, true) => std::fs::remove_file(path).map_err(at(path))?,
            (true, false) => {}
            (false, _) => disk::replace(path, text.as_bytes()).map_err(at(path))?,
        }
    }
    Ok(paths)
}

/// A file's text with our lines in the place of those of before.
fn with_lines(before: &str, lines: &str) -> String {
    let rest = match (before.find(BEGIN), before.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            let behind = before[end + END.len()..].trim_start_matches('\n');
            format!("{}{behind}", &before[..begin])
        }
        _ => before.to_owned(),
    };
    match lines {
        "" => rest,
        lines => format!("{BEGIN}\n{lines}{END}\n{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_stays() -> Result<(), ConfigError> {
        let own = ":dep regex = \"1\"\n";
        let once = with_lines(own, ":opt 1\n");
        assert_eq!(
            once,
            "// itd: begin\n:opt 1\n// itd: end\n:dep regex = \"1\"\n"
        );
        assert_eq!(
            with_lines(&once, ":opt 2\n"),
            once.replace(":opt 1", ":opt 2")
        );
        assert_eq!(with_lines(&once, ""), own);

        let folder = tempfile::tempdir().map_err(|_| ConfigError::NoFolder)?;
        let folder = folder.path().join("evcxr");
        let [init, imports] = put(&folder, ":opt 1\n", IMPORTS)?;
        assert!(init.exists() && imports.exists());
        remove(&folder)?;
        assert!(!init.exists() && !imports.exists());
        // What somebody keeps empty is his, and a folder that is not there is not made.
        let failed = |source| ConfigError::File {
            path: folder.clone(),
            source,
        };
        std::fs::write(&imports, "").map_err(failed)?;
        remove(&folder)?;
        assert!(imports.exists());
        remove(&folder.join("none"))?;
        assert!(!folder.join("none").exists());
        // Lines whose end was lost would count beside new ones.
        std::fs::write(&init, format!("{BEGIN}\n:opt 1\n")).map_err(failed)?;
        for done in [put(&folder, ":opt 2\n", IMPORTS), remove(&folder)] {
            assert!(matches!(done, Err(ConfigError::Torn(_))), "{done:?}");
        }
        Ok(())
    }
}
