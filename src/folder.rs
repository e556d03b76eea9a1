//! Folders that variables of the environment name.

use std::path::PathBuf;

/// The folder that a variable names, from wherever it is looked at; an empty variable names none.
pub fn named(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|folder| !folder.is_empty())?;
    let folder = PathBuf::from(folder);
    Some(std::path::absolute(&folder).unwrap_or(folder))
}
