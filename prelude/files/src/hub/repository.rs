//! A repository of the hub, and where its cache keeps it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data.
    Dataset,
    /// The weights of a network.
    Model,
}

/// A repository of the hub at one of its branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What it holds.
    pub kind: Kind,
    /// `OWNER/NAME`; some old data sets have no owner.
    pub name: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Repository {
    /// A data set, at the branch in which the hub keeps every data set as Parquet.
    pub fn dataset(name: impl Into<String>) -> Self {
        Self {
            kind: Kind::Dataset,
            name: name.into(),
            revision: "refs/convert/parquet".into(),
        }
    }

    /// A network, at its main branch.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the name is `OWNER/NAME`, of letters, digits, `-`, `_` and `.`.
    ///
    /// # Example: where the cache keeps the published DDPM
    /// ```
    /// # use itd_files as itd_prelude;
    /// use itd_prelude::hub::Repository;
    ///
    /// let ddpm = Repository::model("google/ddpm-cifar10-32")?;
    /// assert_eq!(ddpm.folder(), "models--google--ddpm-cifar10-32");
    /// assert!(Repository::model("../../etc").is_err());
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn model(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let word = |part: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(legal)
        };
        match name.split_once('/') {
            Some((owner, rest)) if word(owner) && word(rest) => Ok(Self {
                kind: Kind::Model,
                name,
                revision: "main".into(),
            }),
            _ => Err(Error::Parameter {
                name: "the repository",
                got: format!("{name:?}"),
                need: "OWNER/NAME, of letters, digits, `-`, `_` and `.`",
            }),
        }
    }

    /// Its folder in the hub's cache: `models--OWNER--NAME`, `datasets--OWNER--NAME`.
    pub fn folder(&self) -> String {
        let kind = match self.kind {
            Kind::Dataset => "datasets",
            Kind::Model => "models",
        };
        format!("{kind}--{}", self.name.replace('/', "--"))
    }

    /// Its snapshots in a cache: those that branches point to first, then the others by name.
    pub fn snapshots(&self, cache: &Path) -> Vec<PathBuf> {
        let root = cache.join(self.folder());
        let branches = ["main", "convert/parquet", "refs/convert/parquet"];
        let commits = branches.map(|branch| fs::read_to_string(root.join("refs").join(branch)));
        let pointed = commits.iter().flatten().map(|commit| commit.trim());
        let pointed = pointed.filter(|commit| is_plain(commit));
        let pointed = pointed.map(|commit| root.join("snapshots").join(commit));
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in pointed.chain(entries(&root.join("snapshots"))) {
            if folder.is_dir() && !found.contains(&folder) {
                found.push(folder);
            }
        }
        found
    }
}

/// What is in a folder, sorted; nothing when there is no such folder.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether a path from outside stays below the folder that it is put into.
pub(super) fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}
