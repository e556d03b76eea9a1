//! What a page of a site is among: pictures and files of the site, and where links lead.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::source::{Source, Sources, plain};
use crate::notebook::address::{decoded, encoded};
use crate::notebook::article::{Article, Place};

/// The largest file that goes with the site because a page links to it.
const LARGEST: u64 = 1_000_000;

/// The files of a site, before they are written.
#[derive(Default)]
pub struct Files {
    all: BTreeMap<String, Vec<u8>>,
    /// Lists of equations, figures and exercises: title and HTML, by address.
    pub lists: BTreeMap<String, (String, String)>,
    /// The picture of a cell, by `02_i_mmse/c9`.
    figures: BTreeMap<String, String>,
    /// The table of a cell, likewise.
    tables: BTreeMap<String, String>,
}

impl Files {
    /// Adds a file.
    pub fn put(&mut self, address: &str, content: impl Into<Vec<u8>>) {
        self.all.insert(address.to_owned(), content.into());
    }

    /// Where all of them are.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// Remembers the figures and tables of a notebook, for texts that show them.
    pub fn keep_shown(&mut self, source: &Source, article: &Article) {
        self.keep_tables(source, article);
        for figure in &article.figures {
            if let Some(picture) = &figure.picture {
                let picture = from_root(&source.address, picture);
                self.figures
                    .entry(format!("{}/{}", source.name(), figure.cell))
                    .or_insert(picture);
            }
        }
    }

    fn keep_tables(&mut self, source: &Source, article: &Article) {
        for (cell, table) in &article.tables {
            let name = format!("{}/{cell}", source.name());
            self.tables.entry(name).or_insert_with(|| table.clone());
        }
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        for (address, content) in &self.all {
            let path = folder.join(address);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)?;
        }
        Ok(())
    }
}

/// The address of a file of the site, as a page there has to write it.
pub fn relative(page: &str, target: &str) -> String {
    let up = "../".repeat(page.matches('/').count());
    format!("{up}{}", encoded(target))
}

/// The address in the site that a page means by a relative one.
pub fn from_root(page: &str, address: &str) -> String {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let path = plain(&folder.join(decoded(address)));
    path.to_string_lossy().into_owned()
}

/// A page of a site.
pub struct Inside<'a> {
    sources: &'a Sources,
    own: &'a Source,
    /// Where the files of the repository are shown, for those that are not in the site.
    elsewhere: Option<&'a str>,
    files: &'a mut Files,
    pictures: usize,
}

impl<'a> Inside<'a> {
    /// The place of one source.
    pub fn new(
        sources: &'a Sources,
        own: &'a Source,
        elsewhere: Option<&'a str>,
        files: &'a mut Files,
    ) -> Self {
        Self {
            sources,
            own,
            elsewhere,
            files,
            pictures: 0,
        }
    }

    fn to(&self, target: &str) -> String {
        relative(&self.own.address, target)
    }

    /// Takes a file of the folders into the site.
    fn take(&mut self, path: &Path) -> Option<String> {
        let small = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
        if !small || !path.starts_with(&self.sources.root) {
            return None;
        }
        let address = self.sources.address(path);
        self.files.put(&address, fs::read(path).ok()?);
        Some(self.to(&address))
    }

    fn path(&self, address: &str) -> std::path::PathBuf {
        let folder = self.own.path.parent().unwrap_or(Path::new(""));
        plain(&folder.join(decoded(address)))
    }
}

impl Place for Inside<'_> {
    fn picture(&mut self, mime: &str, content: Vec<u8>) -> String {
        let ending = match mime {
            "image/svg+xml" => "svg",
            "image/jpeg" => "jpg",
            "image/gif" => "gif",
            "image/webp" => "webp",
            _ => "png",
        };
        self.pictures += 1;
        let stem = self.own.address.trim_end_matches(".html").replace('/', "-");
        let address = format!("figures/{stem}-{}.{ending}", self.pictures);
        self.files.put(&address, content);
        self.to(&address)
    }

    fn named_picture(&mut self, address: &str) -> Option<String> {
        if let Some(cell) = address.strip_prefix("figure:") {
            let picture = self.files.figures.get(cell)?;
            return Some(relative(&self.own.address, picture));
        }
        if address.contains(':') || address.starts_with('/') {
            return None;
        }
        self.take(&self.path(address))
    }

    fn named_table(&mut self, address: &str) -> Option<String> {
        let cell = address.strip_prefix("figure:")?;
        let picture = self.files.figures.contains_key(cell);
        self.files.tables.get(cell).filter(|_| !picture).cloned()
    }

    fn link(&mut self, address: &str) -> Option<String> {
        let as_it_is = Some(address.to_owned());
        if address.starts_with('#') || address.contains("://") || address.starts_with("mailto:") {
            return as_it_is;
        }
        let (file, anchor) = match address.split_once('#') {
            Some((file, anchor)) => (file, format!("#{anchor}")),
            None => (address, String::new()),
        };
        let mut path = self.path(file);
        if path.is_dir() && self.sources.addresses.contains_key(&path.join("README.md")) {
            path.push("README.md");
        }
        if let Some(target) = self.sources.addresses.get(&path) {
            return Some(format!("{}{anchor}", self.to(target)));
        }
        if !path.exists() {
            return as_it_is; // the check finds it
        }
        if self.sources.leaves_out(&path) {
            return None;
        }
        if self.sources.holds(&path)
            && let Some(taken) = self.take(&path)
        {
            return Some(taken);
        }
        let elsewhere = self.elsewhere?;
        let within = path.starts_with(&self.sources.root);
        within.then(|| {
            format!(
                "{}/{}",
                elsewhere.trim_end_matches('/'),
                self.sources.address(&path)
            )
        })
    }
}
