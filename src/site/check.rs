//! Whether all of a site leads somewhere: links, anchors, pictures, what the search finds; and whether nothing comes
//! from elsewhere.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use html5gum::{Token, Tokenizer};
use serde_json::Value;

use super::place::from_root;
use crate::notebook::address::decoded;

/// What a check has found.
#[derive(Debug, Default)]
pub struct Report {
    pub pages: usize,
    pub links: usize,
    pub pictures: usize,
    pub hits: usize,
    pub bytes: u64,
    pub problems: Vec<String>,
}

/// A page: what can be linked to in it, and what it links to.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    links: Vec<String>,
    loaded: Vec<String>,
}

/// Checks the site in a folder.
///
/// # Errors
/// When the folder has no page, or a file cannot be read.
pub fn check(folder: &Path) -> Result<Report, Box<dyn std::error::Error>> {
    let mut report = Report::default();
    let mut files = BTreeMap::new();
    let list = walk(folder, folder, &mut files);
    list.map_err(|error| format!("{}: {error}; name the folder of a site", folder.display()))?;
    let mut pages = BTreeMap::new();
    for (address, size) in &files {
        report.bytes += size;
        if address.ends_with(".html") {
            let text = fs::read_to_string(folder.join(address))?;
            pages.insert(address.as_str(), look(address, &text, &mut report.problems));
        }
    }
    if pages.is_empty() {
        return Err(format!(
            "{} has no pages; make them with `itd site --output {0}`",
            folder.display()
        )
        .into());
    }
    report.pages = pages.len();
    for (page, seen) in &pages {
        for address in &seen.links {
            report.links += 1;
            if let Err(problem) = resolve(page, address, &files, &pages) {
                report
                    .problems
                    .push(format!("{page}: the link {address} {problem}"));
            }
        }
        for address in &seen.loaded {
            report.pictures += 1;
            let outside = address.contains("://") || address.starts_with("//");
            let problem = match outside {
                true => Err("comes from outside of the site".to_owned()),
                false => resolve(page, address, &files, &pages),
            };
            if let Err(problem) = problem {
                report
                    .problems
                    .push(format!("{page}: what it shows, {address}, {problem}"));
            }
        }
    }
    for style in files.keys().filter(|address| address.ends_with(".css")) {
        let text = fs::read_to_string(folder.join(style))?;
        let outside = text
            .split("url(")
            .skip(1)
            .filter(|address| !address.trim_start_matches(['"', '\'']).starts_with("data:"));
        report.problems.extend(outside.map(|address| {
            format!(
                "{style}: url({}) is not in the file itself",
                address.split(')').next().unwrap_or_default()
            )
        }));
    }
    for [page, id] in hits(&folder.join("assets/search.js"))? {
        report.hits += 1;
        let address = if id.is_empty() {
            page
        } else {
            format!("{page}#{id}")
        };
        if let Err(problem) = resolve("index.html", &address, &files, &pages) {
            report
                .problems
                .push(format!("assets/search.js: {address} {problem}"));
        }
    }
    Ok(report)
}

fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, u64>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // The site may be a checkout.
        if entry.file_name() == ".git" {
            continue;
        }
        let path = entry.path();
        match path.is_dir() {
            true => walk(root, &path, files)?,
            false => {
                let address = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                files.insert(address, fs::metadata(&path)?.len());
            }
        }
    }
    Ok(())
}

fn look(page: &str, text: &str, problems: &mut Vec<String>) -> Seen {
    let mut seen = Seen::default();
    for Ok(token) in Tokenizer::new(text) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        let value = |wanted: &str| {
            let found = tag
                .attributes
                .iter()
                .find(|(name, _)| name.as_slice() == wanted.as_bytes());
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        if let Some(id) = value("id")
            && !seen.ids.insert(id.clone())
        {
            problems.push(format!("{page}: two elements have the id {id}"));
        }
        let link = value("href");
        match name.as_str() {
            "a" | "area" => seen.links.extend(link),
            _ => seen.loaded.extend(link),
        }
        let loaded = [value("src"), value("poster"), value("data")]
            .into_iter()
            .flatten();
        seen.loaded
            .extend(loaded.filter(|address| !address.starts_with("data:")));
        if let Some(set) = value("srcset") {
            let each = set
                .split(',')
                .filter_map(|one| one.split_whitespace().next());
            seen.loaded.extend(each.map(str::to_owned));
        }
    }
    seen
}

/// Whether an address leads to a file of the site and a place in it; what is outside is not asked.
fn resolve(
    page: &str,
    address: &str,
    files: &BTreeMap<String, u64>,
    pages: &BTreeMap<&str, Seen>,
) -> Result<(), String> {
    if address.contains("://") || address.starts_with("mailto:") {
        return Ok(());
    }
    let (file, anchor) = address.split_once('#').unwrap_or((address, ""));
    let file = file.split('?').next().unwrap_or_default();
    let target = match file {
        "" => page.to_owned(),
        file => from_root(page, file),
    };
    if !files.contains_key(&target) {
        return Err("leads to no file of the site".to_owned());
    }
    let there = pages
        .get(target.as_str())
        .is_none_or(|seen| seen.ids.contains(&decoded(anchor)));
    match anchor.is_empty() || there {
        true => Ok(()),
        false => Err(format!("leads to no place in {target}")),
    }
}

/// Page and place of all that the search can find.
fn hits(script: &Path) -> Result<Vec<[String; 2]>, Box<dyn std::error::Error>> {
    let text = fs::read_to_string(script).map_err(|error| {
        format!(
            "{}: {error}; is this a site of `itd site`?",
            script.display()
        )
    })?;
    let rows = text
        .trim()
        .strip_prefix("itdSearch(")
        .and_then(|rows| rows.strip_suffix(");"));
    let rows: Vec<Vec<Value>> = serde_json::from_str(rows.unwrap_or_default())
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let word = |row: &Vec<Value>, index: usize| {
        row.get(index)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(rows
        .iter()
        .map(|row| [word(row, 0), word(row, 1)])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> Report {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("assets/search.js", "itdSearch([]);")].iter().chain(files) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        check(folder.path()).expect("a site")
    }

    #[test]
    fn what_leads_somewhere_is_no_problem() {
        let page = "<h1 id=\"The-gap·1\">x</h1><a href=\"b/c.html#x\">x</a><a href=\"#The-gap%C2%B71\">x</a><img src=\"b/a.svg\">\
                    <a href=\"https://arxiv.org/abs/2302.03792\">x</a><img src=\"data:image/png;base64,QUJD\">";
        let other = "<p id=x></p><a href=\"../a.html\">up</a>";
        let report = site(&[
            ("a.html", page),
            ("b/c.html", other),
            ("b/a.svg", ""),
            (
                "assets/search.js",
                "itdSearch([[\"b/c.html\",\"x\",\"\"]]);",
            ),
        ]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            (report.pages, report.links, report.pictures, report.hits),
            (2, 4, 1, 1)
        );
    }

    #[test]
    fn each_kind_of_error_is_found() {
        for (page, what) in [
            (
                "<a href=\"b.html\">x</a>",
                "a.html: the link b.html leads to no file",
            ),
            ("<a href=\"#b\">x</a>", "leads to no place in a.html"),
            (
                "<img src=\"b.svg\">",
                "what it shows, b.svg, leads to no file",
            ),
            (
                "<script src=\"https://example.org/x.js\"></script>",
                "comes from outside",
            ),
            ("<link href=\"//example.org/x.css\">", "comes from outside"),
            (
                "<p id=\"b\"></p><p id=\"b\"></p>",
                "two elements have the id b",
            ),
        ] {
            let report = site(&[("a.html", page)]);
            assert_eq!(report.problems.len(), 1, "{page}: {:?}", report.problems);
            assert!(
                report.problems[0].contains(what),
                "{page}: {:?}",
                report.problems
            );
        }
        let found = site(&[
            ("a.html", ""),
            (
                "assets/search.js",
                "itdSearch([[\"a.html\",\"gone\",\"\"]]);",
            ),
        ]);
        assert_eq!(
            found.problems,
            ["assets/search.js: a.html#gone leads to no place in a.html"]
        );
        let style = site(&[
            ("a.html", ""),
            ("a.css", "p { background: url(https://example.org/x.png) }"),
        ]);
        assert_eq!(
            style.problems,
            ["a.css: url(https://example.org/x.png) is not in the file itself"]
        );
    }
}
