//! Lists of what is in the pages: equations, figures, exercises.

use std::collections::BTreeMap;
use std::fmt::Write;

use regex::Regex;

use super::Page;
use super::frame::{figure, part};
use super::place::{Files, relative};
use super::source::Kind;
use crate::notebook::code::escape;
use crate::notebook::markdown;

/// The lists and what the head of a page calls them.
pub const WORDS: &[(&str, &str)] = &[
    ("lists/equations.html", "Equations"),
    ("lists/figures.html", "Figures"),
    ("lists/exercises.html", "Exercises"),
];

/// Writes the lists that have something in them.
pub fn lists(pages: &[Page], files: &mut Files) {
    let titles = ["Equations", "Figures", "Exercises"].into_iter();
    let lists = [
        equations(pages, WORDS[0].0),
        figures(pages, WORDS[1].0),
        exercises(pages, WORDS[2].0),
    ];
    for (((address, _), title), html) in WORDS.iter().zip(titles).zip(lists) {
        if !html.is_empty() {
            files
                .lists
                .insert((*address).to_owned(), (title.to_owned(), html));
        }
    }
}

fn notebooks(pages: &[Page]) -> impl Iterator<Item = &Page> {
    pages.iter().filter(|page| page.is_course())
}

/// A link to a place of a page.
fn link(from: &str, page: &Page, id: &str, html: &str) -> String {
    let anchor = if id.is_empty() {
        String::new()
    } else {
        format!("#{}", escape(id))
    };
    format!(
        "<a href=\"{}{anchor}\">{html}</a>",
        relative(from, &page.address)
    )
}

/// The equations of the text named `equations`, with the parts of notebooks that speak of them; then all formulas.
fn equations(pages: &[Page], from: &str) -> String {
    let mut html = String::new();
    let table = pages
        .iter()
        .find(|page| page.address.ends_with("equations.html"));
    let known: Vec<(String, String)> = table.map_or(Vec::new(), |page| rows(&page.text));
    if !known.is_empty() {
        let mentions = mentions(pages, from);
        html.push_str("<h2 id=\"paper\">Equations of the paper</h2><div class=\"wide\"><table><thead><tr><th>equation</th><th>says</th><th>where</th></tr></thead><tbody>");
        for (number, says) in known {
            let places = mentions
                .get(&number)
                .map_or(String::new(), |places| places.join("<br>"));
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td><td>{places}</td></tr>",
                escape(&number),
                markdown::sentence(&says)
            );
        }
        html.push_str("</tbody></table></div>");
    }
    for page in notebooks(pages).filter(|page| !page.article.formulas.is_empty()) {
        let _ = write!(
            html,
            "<h2>{}</h2>",
            link(from, page, "", &escape(&page.title))
        );
        for formula in &page.article.formulas {
            let part = part(&page.article, formula.section);
            let _ = write!(
                html,
                "<p class=\"place\">{}</p><span class=\"formula\">{}</span>",
                link(from, page, &formula.id, &part),
                formula.html
            );
        }
    }
    html
}

/// Number and meaning of each row of the tables in a text.
fn rows(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (number, says) = (cells.next()?.trim(), cells.next()?.trim());
        let numbered = number.contains(|c: char| c.is_ascii_digit());
        numbered.then(|| (number.to_owned(), says.to_owned()))
    });
    rows.collect()
}

/// Links to the parts of notebooks in which an equation is named, by its number.
fn mentions(pages: &[Page], from: &str) -> BTreeMap<String, Vec<String>> {
    let named =
        Regex::new(r"(?:Eqs?\.|App\.) ((?:[AB]\.)?\d+(?:(?:, | and | to |–)(?:[AB]\.)?\d+)*)")
            .expect("a valid expression");
    let one = Regex::new(r"( to |–)?((?:[AB]\.)?)(\d+)").expect("a valid expression");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in notebooks(pages) {
        for section in &page.article.sections {
            let mut numbers = Vec::new();
            let text = format!("{} {}", section.title, section.text);
            for list in named.captures_iter(&text) {
                let mut last = 0u32;
                for part in one.captures_iter(&list[1]) {
                    let number: u32 = part[3].parse().unwrap_or(0);
                    let first = if part.get(1).is_some() {
                        last + 1
                    } else {
                        number
                    };
                    numbers.extend((first..=number).map(|number| format!("{}{number}", &part[2])));
                    last = number;
                }
            }
            numbers.sort();
            numbers.dedup();
            let part = if section.title.is_empty() {
                &page.title
            } else {
                &section.title
            };
            let words = match page.kind {
                Kind::Notebook {
                    number: Some(number),
                } => format!("{number:02}: {}", escape(part)),
                _ => escape(part),
            };
            for number in numbers {
                found
                    .entry(number)
                    .or_default()
                    .push(link(from, page, &section.id, &words));
            }
        }
    }
    found
}

fn figures(pages: &[Page], from: &str) -> String {
    let mut html = String::new();
    for page in notebooks(pages).filter(|page| !page.article.figures.is_empty()) {
        let _ = write!(
            html,
            "<h2>{}</h2><ul class=\"figures\">",
            link(from, page, "", &escape(&page.title))
        );
        html.extend(
            page.article
                .figures
                .iter()
                .map(|shown| figure(page, shown, from)),
        );
        html.push_str("</ul>");
    }
    html
}

/// The headings `Exercise 1 · Three sides (compute)`.
fn exercises(pages: &[Page], from: &str) -> String {
    let mut html = String::new();
    for page in notebooks(pages) {
        let all: Vec<_> = page
            .article
            .headings
            .iter()
            .filter(|heading| heading.text.starts_with("Exercise "))
            .collect();
        if all.is_empty() {
            continue;
        }
        let _ = write!(
            html,
            "<h2>{}</h2><ul>",
            link(from, page, "", &escape(&page.title))
        );
        for heading in all {
            let _ = write!(
                html,
                "<li>{}</li>",
                link(from, page, &heading.id, &heading.html)
            );
        }
        html.push_str("</ul>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_number_and_a_meaning() {
        let text = "| equation | says |\n|---|---|\n| 1 | $a$ | x |\n| – | the channel | x |\n| A.2 | so |";
        let wanted = [("1", "$a$"), ("A.2", "so |")].map(|(n, s)| (n.to_owned(), s.to_owned()));
        assert_eq!(rows(text)[0], wanted[0]);
        assert_eq!(rows(text).len(), 2);
    }
}
