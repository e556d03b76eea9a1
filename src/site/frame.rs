//! What stands around each page: the head, the way to other pages, the search; and the first page.

use std::collections::BTreeMap;
use std::fmt::Write;

use regex::Regex;

use super::place::{Files, from_root, relative};
use super::source::Kind;
use super::{MARK, Page};
use crate::notebook::address::encoded;
use crate::notebook::article::{Article, Figure};
use crate::notebook::code::escape;
use crate::notebook::markdown;

/// Takes the colours that a reader has chosen before anything is drawn.
const CHOICE: &str =
    "try{document.documentElement.style.colorScheme=localStorage.getItem('itd-scheme')||''}catch{}";

/// Texts that the head of each page links to, by the names of their files.
const IN_HEAD: &[(&str, &str)] = &[("notation.html", "Notation"), ("results.html", "Results")];

/// What the first page calls the folders that this project has.
const FOLDERS: &[(&str, &str)] = &[
    ("docs/course", "For those who teach it"),
    ("docs/course/notes", "Notes for each notebook"),
    ("docs", "Documents"),
    ("docs/scaling", "Many machines"),
    ("notebooks", "About the notebooks"),
    ("notebooks/weights", "Networks that come with them"),
];

/// What all pages of a site have in common.
pub struct Frame<'a> {
    title: &'a str,
    /// Words and addresses of the links in the head.
    head: Vec<(&'a str, String)>,
    course: Vec<&'a Page>,
}

impl<'a> Frame<'a> {
    /// The frame of a site with these pages and lists.
    pub fn new(title: &'a str, pages: &'a [Page], files: &Files) -> Self {
        let mut head: Vec<(&str, String)> = Vec::new();
        for (name, word) in IN_HEAD {
            let page = pages
                .iter()
                .find(|page| page.address.rsplit('/').next() == Some(name));
            head.extend(page.map(|page| (*word, page.address.clone())));
        }
        for (address, word) in super::lists::WORDS {
            if files.lists.contains_key(*address) {
                head.push((word, (*address).to_owned()));
            }
        }
        head.sort_by_key(|(word, _)| {
            ["Notation", "Equations", "Figures", "Results", "Exercises"]
                .iter()
                .position(|known| known == word)
        });
        let course = pages.iter().filter(|page| page.is_course()).collect();
        Self {
            title,
            head,
            course,
        }
    }

    /// The page of a notebook or a text.
    pub fn article(&self, page: &Page) -> String {
        let mut before = String::new();
        if let Kind::Notebook { .. } = page.kind {
            let file = page
                .address
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .replace(".html", ".ipynb");
            let _ = write!(
                before,
                "<p class=\"download\"><a href=\"{0}\" download>Download this notebook</a></p>",
                escape(&encoded(&file))
            );
        }
        let place = self
            .course
            .iter()
            .position(|other| other.address == page.address);
        let neighbour = |step: isize, class: &str, word: &str| {
            let index = place?.checked_add_signed(step)?;
            let other = self.course.get(index)?;
            let address = relative(&page.address, &other.address);
            Some(format!(
                "<a class=\"{class}\" rel=\"{class}\" href=\"{address}\"><span>{word}</span> {}</a>",
                escape(&other.title)
            ))
        };
        let ends: String = [
            neighbour(-1, "prev", "Previous"),
            neighbour(1, "next", "Next"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let after = match ends.is_empty() {
            true => String::new(),
            false => format!("<nav class=\"ends\" aria-label=\"Previous and next\">{ends}</nav>"),
        };
        let html = match page.kind {
            Kind::Notebook { .. } => page.article.html.clone(),
            Kind::Text => format!("<div class=\"text\">{}</div>", page.article.html),
        };
        let main = format!("{before}{html}{after}");
        self.page(&page.address, &page.title, &page.article.contents(), &main)
    }

    /// A page of a list.
    pub fn list(&self, address: &str, (title, html): &(String, String)) -> String {
        self.page(
            address,
            title,
            "",
            &format!("<h1>{}</h1>{html}", escape(title)),
        )
    }

    /// The first page.
    pub fn index(&self, pages: &[Page]) -> String {
        let mut main = format!("<h1>{}</h1>", escape(self.title));
        let readme = pages.iter().find(|page| page.address == "README.html");
        if let Some(readme) = readme {
            main.push_str(lead(&readme.article.html));
            let _ = write!(
                main,
                "<p><a href=\"README.html\">How to install and run it</a></p>"
            );
        }
        if !self.course.is_empty() {
            main.push_str("<h2 id=\"course\">The course</h2><ol class=\"cards\">");
            for page in &self.course {
                let (sentence, address) = (purpose(&page.text), to_page(page));
                let thumbnail = page
                    .article
                    .figures
                    .iter()
                    .find_map(|figure| figure.picture.as_deref());
                let thumbnail = thumbnail.map_or(String::new(), |picture| {
                    format!(
                        "<img alt=\"\" loading=\"lazy\" src=\"{}\">",
                        escape(&relative("index.html", &from_root(&page.address, picture)))
                    )
                });
                let number = match page.kind {
                    Kind::Notebook {
                        number: Some(number),
                    } => format!("<span class=\"number\">{number:02}</span> "),
                    _ => String::new(),
                };
                let sentence =
                    sentence.map_or(String::new(), |sentence| format!("<p>{sentence}</p>"));
                let _ = write!(
                    main,
                    "<li><div class=\"thumbnail\">{thumbnail}</div><div><h3>{number}<a href=\"{address}\">{}</a></h3>{sentence}</div></li>",
                    escape(&page.title)
                );
            }
            main.push_str("</ol>");
        }
        main.push_str("<h2 id=\"lists\">Look up</h2><ul>");
        for (word, address) in &self.head {
            let _ = write!(main, "<li><a href=\"{address}\">{word}</a></li>");
        }
        main.push_str("</ul>");
        let mut groups: BTreeMap<(usize, &str), String> = BTreeMap::new();
        let others = pages
            .iter()
            .filter(|page| !page.is_course() && page.address != "README.html");
        for page in others {
            let folder = page
                .address
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            let known = FOLDERS.iter().position(|(name, _)| *name == folder);
            let words = known.map_or(folder, |known| FOLDERS[known].1);
            let group = groups.entry((known.unwrap_or(FOLDERS.len()), words));
            let (address, title) = (to_page(page), escape(&page.title));
            let _ = write!(
                group.or_default(),
                "<li><a href=\"{address}\">{title}</a></li>"
            );
        }
        if !groups.is_empty() {
            main.push_str("<h2 id=\"texts\">All other pages</h2>");
        }
        for ((_, words), items) in groups {
            let words = if words.is_empty() { self.title } else { words };
            let _ = write!(main, "<h3>{}</h3><ul>{items}</ul>", escape(words));
        }
        self.page("index.html", self.title, "", &main)
    }

    fn page(&self, address: &str, title: &str, contents: &str, main: &str) -> String {
        let to = |target: &str| relative(address, target);
        let whole = match title == self.title {
            true => escape(title),
            false => format!("{} · {}", escape(title), escape(self.title)),
        };
        let mut links = String::new();
        for (word, target) in &self.head {
            let here = if target == address {
                " aria-current=\"page\""
            } else {
                ""
            };
            let _ = write!(
                links,
                "<li><a href=\"{}\"{here}>{word}</a></li>",
                to(target)
            );
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\" data-root=\"{root}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{MARK}<title>{whole}</title>\
             <link rel=\"icon\" href=\"{logo}\"><link rel=\"stylesheet\" href=\"{style}\"><script>{CHOICE}</script>\
             <script src=\"{script}\" defer></script></head><body>\
             <a class=\"skip\" href=\"#page-content\">Skip to the text</a>\
             <header><a class=\"home\" href=\"{home}\">{site}</a><nav aria-label=\"Site\"><ul>{links}</ul></nav>\
             <div class=\"tools\" hidden><input type=\"search\" aria-label=\"Search this site\" placeholder=\"Search: press /\" autocomplete=\"off\">\
             <button type=\"button\" class=\"theme\">Dark</button></div></header>\
             <div class=\"found\" role=\"region\" aria-label=\"Found\" hidden><p role=\"status\"></p><ol></ol></div>\
             <div class=\"columns\">{contents}<main id=\"page-content\" tabindex=\"-1\">{main}</main></div></body></html>\n",
            root = to(""),
            style = to("assets/site.css"),
            script = to("assets/site.js"),
            logo = to("assets/logo.svg"),
            home = to("index.html"),
            site = escape(self.title),
        )
    }
}

/// The address of a page, as the first page has to write it.
fn to_page(page: &Page) -> String {
    escape(&relative("index.html", &page.address))
}

/// What stands in a text between its title and the first picture or the next heading.
fn lead(html: &str) -> &str {
    let start = html.find("</h1>").map_or(0, |at| at + "</h1>".len());
    let ends = ["<p><img", "<h2"]
        .iter()
        .filter_map(|end| html[start..].find(end));
    &html[start..start + ends.min().unwrap_or(html.len() - start)]
}

/// What a reader of a notebook will do, in one sentence of HTML: what its first cell says after `**You will**`.
fn purpose(text: &str) -> Option<String> {
    let (_, told) = text.split_once("**You will**")?;
    let told = told.split("\n\n").next()?.split("**").next()?;
    let notes = Regex::new(r" \((?:Eqs?|App|Sec)\.[^)]*\)").expect("a valid expression");
    let told = notes.replace_all(told.trim(), "");
    let short = ["Eq", "Eqs", "App", "Sec", "Fig"]; // a full stop after these ends no sentence
    let ends = Regex::new(r"(\w*)[.;](?:\s|$)").expect("a valid expression");
    let mut ends = ends
        .captures_iter(&told)
        .filter(|end| !short.contains(&&end[1]));
    let end = ends.find_map(|end| end.get(1).map(|word| word.end()));
    let end = end.unwrap_or(told.len());
    Some(markdown::sentence(&format!("You will {}.", &told[..end])))
}

/// A figure for a list: its picture and caption, with a link to its place.
pub fn figure(page: &Page, figure: &Figure, from: &str) -> String {
    let link = format!("{}#{}", relative(from, &page.address), figure.id);
    let picture = figure.picture.as_deref().map_or(String::new(), |picture| {
        let source = relative(from, &from_root(&page.address, picture));
        format!(
            "<img alt=\"\" loading=\"lazy\" src=\"{}\">",
            escape(&source)
        )
    });
    let caption = match figure.caption.is_empty() {
        true => figure.alt.clone(),
        false => without_links(&figure.caption),
    };
    format!(
        "<li><a href=\"{link}\"><span class=\"thumbnail\">{picture}</span><b>{}</b></a> {caption}</li>",
        figure.name
    )
}

/// HTML whose links have become words, since they lead from another page.
pub fn without_links(html: &str) -> String {
    let tags = Regex::new("</?a( [^>]*)?>").expect("a valid expression");
    tags.replace_all(html, "").into_owned()
}

/// The title of the part that a formula stands in.
pub fn part(article: &Article, section: Option<usize>) -> String {
    section
        .and_then(|index| article.headings.get(index))
        .map_or(String::new(), |heading| heading.html.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_one_sentence() {
        let text = "# T\n\n**You will** see it hold (Eqs. 4 and 5), on $x$ and a [link](a.ipynb) of Eq. 3; then more. **You need** nothing.";
        let purpose = purpose(text).expect("a purpose");
        assert!(
            purpose.starts_with("You will see it hold, on <")
                && purpose.ends_with("and a link of Eq. 3."),
            "{purpose}"
        );
        assert_eq!(super::purpose("# T"), None);
    }

    #[test]
    fn a_lead_ends_at_the_first_picture_or_heading() {
        assert_eq!(lead("<h1>T</h1><p>a</p><p><img></p><h2>B</h2>"), "<p>a</p>");
        assert_eq!(lead("<h1>T</h1><p>a</p>"), "<p>a</p>");
    }
}
