//! A site of notebooks and texts: pages, lists of what is in them, a search, and nothing from elsewhere.
//!
//! ```text
//! source.rs (which files), course's answers.rs (what is left out) ─▶ place.rs (links, pictures) ─▶ glossary.rs (words) ─▶ lists.rs, search.rs
//!   ─▶ frame.rs (what stands around a page) ─▶ check.rs (does all lead somewhere?)
//! ```

mod check;
mod frame;
mod glossary;
mod lists;
mod names;
mod place;
mod search;
mod source;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Site as Options;
use crate::course::answers;
use crate::notebook::article::Article;
use crate::notebook::page;

use frame::Frame;
use place::{Files, Inside};
use source::{Kind, Sources};

/// What says that a folder is a site of ours.
const MARK: &str = "<meta name=\"generator\" content=\"itd site\">";

/// A page of a notebook or of a text.
struct Page {
    /// Where it is in the site, as `notebooks/02_i_mmse.html`.
    address: String,
    title: String,
    article: Article,
    kind: Kind,
    /// The text of its first cell, or of all of it.
    text: String,
}

impl Page {
    fn is_course(&self) -> bool {
        matches!(self.kind, Kind::Notebook { number: Some(_) })
    }
}

/// `itd site`. The exit code is 1 when something in the site leads nowhere.
///
/// # Errors
/// When a notebook or a text cannot be read, when the folder cannot be written, or is not a site.
pub fn run(options: &Options) -> Result<i32, Box<dyn Error>> {
    let folder = match &options.check {
        Some(folder) => folder,
        None => {
            make(options)?;
            &options.output
        }
    };
    let report = check::check(folder)?;
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    println!(
        "{}: {} pages, {} links, {} pictures, {} places to search, {:.1} MB; {} wrong",
        folder.display(),
        report.pages,
        report.links,
        report.pictures,
        report.hits,
        report.bytes as f64 / 1e6,
        report.problems.len()
    );
    Ok(i32::from(!report.problems.is_empty()))
}

/// Writes the site to a folder beside its place, which it then takes.
fn make(options: &Options) -> Result<(), Box<dyn Error>> {
    // A link to a folder stays a link.
    let output = &match options.output.canonicalize() {
        Ok(real) => real,
        Err(_) => options.output.clone(),
    };
    let old = output.exists();
    if old && !is_site(output) && fs::read_dir(output)?.next().is_some() {
        return Err(format!(
            "{} is there, and `itd site` did not make it; name another folder with --output, or remove this one",
            output.display()
        )
        .into());
    }
    if old && is_site(output) && !output.join(MANIFEST).is_file() {
        return Err(format!(
            "{} was made by an `itd` that kept no list of its files, so those of others cannot be told from them; \
             name another folder with --output, or remove this one",
            output.display()
        )
        .into());
    }
    let sources = Sources::find(&options.paths, options.with_answers)?;
    let mut files = Files::default();
    let mut pages = read(&sources, options, &mut files)?;
    glossary::link(&mut pages);
    names::link(&mut pages);
    lists::lists(&pages, &mut files);
    let frame = Frame::new(&options.title, &pages, &files);
    for page in &pages {
        files.put(&page.address, frame.article(page));
    }
    for (address, list) in std::mem::take(&mut files.lists) {
        files.put(&address, frame.list(&address, &list));
    }
    files.put("index.html", frame.index(&pages));
    files.put("assets/search.js", search::index(&pages));
    files.put(
        "assets/site.css",
        format!(
            "{}{}{}",
            page::font(),
            page::STYLE,
            include_str!("site.css")
        ),
    );
    files.put("assets/site.js", include_str!("site.js").to_owned());
    files.put("assets/logo.svg", include_str!("../logo.svg").to_owned());
    files.put("assets/font-licence.txt", page::FONT_LICENCE.to_owned());
    let own: String = files
        .addresses()
        .map(|address| format!("{address}\n"))
        .collect();
    files.put(MANIFEST, own);

    let beside = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(beside)?;
    let fresh = tempfile::Builder::new()
        .prefix(".itd-site-")
        .tempdir_in(beside)?;
    let place = fresh.path().join("new");
    files.write(&place)?;
    if !old {
        return Ok(fs::rename(&place, output)?);
    }
    let before = fresh.path().join("old");
    fs::rename(output, &before)?;
    if let Err(error) = fs::rename(&place, output) {
        fs::rename(&before, output)?;
        return Err(error.into());
    }
    carry_over(&before, output).map_err(|error| {
        // What could not be carried over is not thrown away.
        let kept = fresh.keep();
        format!(
            "{error}; the folder as it was is {}",
            kept.join("old").display()
        )
        .into()
    })
}

/// Which files of a site are its own, each on a line.
const MANIFEST: &str = "assets/files.txt";

/// Moves what an earlier site did not write, such as `.git` and `CNAME`, into the one that took its place.
fn carry_over(before: &Path, site: &Path) -> std::io::Result<()> {
    let manifest = fs::read_to_string(before.join(MANIFEST))?;
    let own = manifest.lines().map(Path::new);
    let own: BTreeSet<&Path> = own.chain([Path::new(MANIFEST)]).collect();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(before.join(&folder))? {
            let path = folder.join(entry?.file_name());
            let (from, to) = (before.join(&path), site.join(&path));
            let is_folder = from.is_dir() && !from.is_symlink();
            if is_folder && (to.is_dir() || own.iter().any(|file| file.starts_with(&path))) {
                folders.push(path);
            } else if !own.contains(&*path) && !to.exists() {
                fs::create_dir_all(to.parent().unwrap_or(site))?;
                fs::rename(&from, &to)?;
            }
        }
    }
    Ok(())
}

fn is_site(folder: &Path) -> bool {
    fs::read_to_string(folder.join("index.html")).is_ok_and(|text| text.contains(MARK))
}

/// All pages: the notebooks first, since texts show their figures.
fn read(
    sources: &Sources,
    options: &Options,
    files: &mut Files,
) -> Result<Vec<Page>, Box<dyn Error>> {
    let mut pages = Vec::new();
    for source in &sources.all {
        let mut place = Inside::new(sources, source, options.source.as_deref(), files);
        let (article, text) = match source.kind {
            Kind::Notebook { number } => {
                let notebook = crate::notebook::file::read(&source.path)?;
                let article = Article::of_notebook(&notebook, number, &mut place);
                let first = notebook.cells.first().map(crate::notebook::file::source);
                files.keep_shown(source, &article);
                files.put(
                    &source.address.replace(".html", ".ipynb"),
                    fs::read(&source.path)?,
                );
                (article, first.unwrap_or_default())
            }
            Kind::Text => {
                let text = fs::read_to_string(&source.path)
                    .map_err(|error| format!("{}: {error}", source.path.display()))?;
                let text = match options.with_answers {
                    true => text,
                    false => answers::without(&text),
                };
                (Article::of_text(&text, &mut place), text)
            }
        };
        pages.push(Page {
            address: source.address.clone(),
            title: article.title.clone().unwrap_or_else(|| source.name()),
            article,
            kind: source.kind,
            text,
        });
    }
    Ok(pages)
}
