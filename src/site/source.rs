//! Which notebooks and texts a site is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Component, Path, PathBuf};

use crate::course::answers;
use crate::notebook::article::number;
use crate::notebook::file;

/// What a page is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A notebook; one with a number is a part of the course.
    Notebook {
        number: Option<u32>,
    },
    Text,
}

/// A file that becomes a page.
pub struct Source {
    pub path: PathBuf,
    pub address: String,
    pub kind: Kind,
}

impl Source {
    /// The name of the file without its ending.
    pub fn name(&self) -> String {
        self.path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// All of them: notebooks first, by name.
pub struct Sources {
    pub all: Vec<Source>,
    /// The folder that all are in; addresses are told from it.
    pub root: PathBuf,
    /// Where a file of the folder is in the site.
    pub addresses: BTreeMap<PathBuf, String>,
    /// The folders that were named; a file there that a page links to goes with the site.
    folders: Vec<PathBuf>,
    /// Notebooks that readers are not to see.
    left_out: Vec<PathBuf>,
}

impl Sources {
    /// Finds the notebooks and the texts among files and in folders; notebooks of answers only `with_answers`.
    ///
    /// # Errors
    /// When a path is not there, or there is neither notebook nor text, or a notebook cannot be read.
    pub fn find(paths: &[PathBuf], with_answers: bool) -> Result<Self, Box<dyn Error>> {
        let mut found = Vec::new();
        let mut folders = Vec::new();
        for path in paths {
            let real = path.canonicalize().map_err(|error| {
                format!(
                    "{}: {error}; name notebooks, texts in Markdown, or folders of them",
                    path.display()
                )
            })?;
            match real.is_dir() {
                true => {
                    walk(&real, &mut found)?;
                    folders.push(real);
                }
                false => found.push(real),
            }
        }
        let places = found
            .iter()
            .map(|path| path.parent())
            .chain(folders.iter().map(|folder| folder.parent()));
        let root = places
            .flatten()
            .map(Path::to_owned)
            .reduce(|one, other| common(&one, &other));
        let Some(root) = root else {
            return Err("there is no notebook and no text in Markdown to make a site of".into());
        };
        let mut seen = BTreeSet::new();
        found.retain(|path: &PathBuf| seen.insert(path.clone()));
        // `itd convert` writes the same page beside a notebook as Markdown.
        let converted = |path: &Path| {
            path.extension().is_some_and(|ending| ending == "md")
                && seen.contains(&path.with_extension("ipynb"))
        };
        let mut all = Vec::new();
        let mut left_out = Vec::new();
        for path in found {
            if converted(&path) {
                let notebook = path.with_extension("ipynb");
                let notebook = notebook.file_name().unwrap_or_default().display();
                eprintln!(
                    "{} is left out: {notebook} stands beside it",
                    path.display()
                );
                left_out.push(path);
                continue;
            }
            let ending = path.extension().and_then(|ending| ending.to_str());
            let kind = match ending {
                Some("ipynb") => Kind::Notebook {
                    number: number(&path),
                },
                Some("md") => Kind::Text,
                _ => {
                    return Err(format!(
                        "{} is neither a notebook (.ipynb) nor a text (.md)",
                        path.display()
                    )
                    .into());
                }
            };
            let is_notebook = matches!(kind, Kind::Notebook { .. });
            if is_notebook && !with_answers && answers::holds(&file::read(&path)?) {
                left_out.push(path);
                continue;
            }
            let address = address(&path.with_extension("html"), &root);
            all.push(Source {
                path,
                address,
                kind,
            });
        }
        // Notebooks of the course by number, then other notebooks, then texts; each as it was named.
        all.sort_by_key(|source| match source.kind {
            Kind::Notebook {
                number: Some(number),
            } => (0, number),
            Kind::Notebook { number: None } => (1, 0),
            Kind::Text => (2, 0),
        });
        let addresses = all
            .iter()
            .map(|source| (source.path.clone(), source.address.clone()));
        let addresses: BTreeMap<_, _> = addresses.collect();
        if addresses.values().any(|address| address == "index.html") {
            return Err("a text named index.md beside the other folders would take the place of the site's own first page; give it another name".into());
        }
        Ok(Self {
            all,
            root,
            addresses,
            folders,
            left_out,
        })
    }

    /// Whether a file lies in a folder that was named.
    pub fn holds(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// Whether it is a notebook that readers are not to see.
    pub fn leaves_out(&self, path: &Path) -> bool {
        self.left_out.iter().any(|other| other == path)
    }

    /// Where a file of the folder that all are in would be in the site.
    pub fn address(&self, path: &Path) -> String {
        address(path, &self.root)
    }
}

fn address(path: &Path, root: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// A path without `.` and `..`.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn common(one: &Path, other: &Path) -> PathBuf {
    let both = one
        .components()
        .zip(other.components())
        .take_while(|(one, other)| one == other);
    both.map(|(part, _)| part).collect()
}

/// Notebooks and texts in a folder and those in it, but for hidden ones and for sites.
///
/// A link to a folder in which it is found itself leads nowhere new.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let real = folder.canonicalize()?;
    if real != folder && folder.starts_with(&real) {
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let (folders, files): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .map(|entry| entry.path())
        .partition(|path| path.is_dir());
    let shown = |path: &&PathBuf| {
        !path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .starts_with('.')
    };
    let read = |path: &&PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "ipynb" || ending == "md")
    };
    found.extend(files.iter().filter(shown).filter(read).cloned());
    let other = |folder: &&PathBuf| !super::is_site(folder);
    for folder in folders.iter().filter(shown).filter(other) {
        walk(folder, found)?;
    }
    Ok(())
}
