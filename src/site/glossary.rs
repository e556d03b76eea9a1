//! Words of the notation page: each has a place there, and the first time that a notebook uses one it leads there.

use std::fmt::Write;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};
use regex::Regex;

use super::Page;
use super::place::relative;
use crate::notebook::article::Section;
use crate::notebook::markdown::in_a_line;

/// Elements in which a word is no prose.
const NOT_PROSE: &[&str] = &[
    "a",
    "code",
    "pre",
    "math",
    "h1",
    "h2",
    "h3",
    "h4",
    "summary",
    "svg",
    "script",
    "style",
    "figcaption",
    "table",
    "div",
];

/// A word and its place.
struct Term {
    id: String,
    word: Regex,
}

/// Gives the words of the page named `notation` places, and leads the notebooks there.
pub fn link(pages: &mut [Page]) {
    let notation = pages
        .iter_mut()
        .find(|page| page.address.ends_with("notation.html"));
    let Some(notation) = notation else { return };
    let terms = place(&mut notation.article.html);
    let words = words(&notation.article.html);
    notation.article.sections.extend(words);
    let address = notation.address.clone();
    for page in pages.iter_mut().filter(|page| page.is_course()) {
        page.article.html = linked(
            &page.article.html,
            &terms,
            &relative(&page.address, &address),
        );
    }
}

/// Gives each row of the table of words an id.
fn place(html: &mut String) -> Vec<Term> {
    let mut terms = Vec::new();
    let Some(start) = html.find("<th>word</th>") else {
        return terms;
    };
    let end = html[start..]
        .find("</table>")
        .map_or(html.len(), |at| start + at);
    let row = Regex::new(r"<tr><td>([^<]+)</td><td>(see )?").expect("a valid expression");
    let table = row.replace_all(&html[start..end], |row: &regex::Captures<'_>| {
        let word = &row[1];
        let id = format!("word-{}", word.replace(' ', "-"));
        let pattern = format!(r"(?i)\b{}s?\b", regex::escape(word));
        // What is told elsewhere is a common word, too.
        if row.get(2).is_none() {
            let word = Regex::new(&pattern).ok();
            terms.extend(word.map(|word| Term {
                id: id.clone(),
                word,
            }));
        }
        let see = row.get(2).map_or("", |see| see.as_str());
        format!("<tr id=\"{id}\"><td>{word}</td><td>{see}")
    });
    let table = table.into_owned();
    html.replace_range(start..end, &table);
    // Of `curve` and `error curve` the longer one is looked for first.
    terms.sort_by_key(|term| std::cmp::Reverse(term.id.len()));
    terms
}

/// Each word as something that can be searched for.
fn words(html: &str) -> Vec<Section> {
    let row = Regex::new(r#"(?s)<tr id="(word-[^"]*)"><td>([^<]*)</td><td>(.*?)</td></tr>"#);
    let row = row.expect("a valid expression");
    let sections = row.captures_iter(html).map(|row| Section {
        id: in_a_line(&row[1]),
        title: in_a_line(&row[2]),
        text: in_a_line(&row[3]),
    });
    sections.collect()
}

/// HTML in which the first use of each word in a paragraph or a list is a link.
fn linked(html: &str, terms: &[Term], page: &str) -> String {
    let mut open: Vec<String> = Vec::new();
    let mut left: Vec<&Term> = terms.iter().collect();
    let mut new = String::new();
    let mut done = 0;
    for Ok(token) in Tokenizer::new_with_emitter(html, DefaultEmitter::<usize>::new_with_span()) {
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                if NOT_PROSE.contains(&name.as_str()) && !tag.self_closing {
                    open.push(name);
                }
            }
            Token::EndTag(tag)
                if open
                    .last()
                    .is_some_and(|name| name.as_bytes() == tag.name.as_slice()) =>
            {
                open.pop();
            }
            Token::String(text) if open.is_empty() => {
                let (start, end) = (text.span.start, text.span.end);
                new.push_str(&html[done..start]);
                new.push_str(&first_uses(&html[start..end], &mut left, page));
                done = end;
            }
            _ => {}
        }
    }
    new.push_str(&html[done..]);
    new
}

/// A piece of prose with links at the words that are left.
fn first_uses(text: &str, left: &mut Vec<&Term>, page: &str) -> String {
    let mut uses: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    left.retain(|term| {
        let mut found = term.word.find_iter(text).map(|found| found.range());
        let free = found.find(|range| {
            uses.iter()
                .all(|(other, _)| range.end <= other.start || other.end <= range.start)
        });
        uses.extend(free.clone().map(|range| (range, term.id.clone())));
        free.is_none()
    });
    uses.sort_by_key(|(range, _)| range.start);
    let mut new = String::new();
    let mut done = 0;
    for (range, id) in uses {
        let _ = write!(
            new,
            "{}<a class=\"term\" href=\"{page}#{id}\">{}</a>",
            &text[done..range.start],
            &text[range.clone()]
        );
        done = range.end;
    }
    new.push_str(&text[done..]);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_use_in_prose_leads_to_the_word() {
        let mut notation = "<table><thead><tr><th>word</th><th>meaning</th></tr></thead><tbody>\
            <tr><td>gap</td><td>x</td></tr><tr><td>path gap</td><td>y</td></tr><tr><td>no</td><td>see x</td></tr></tbody></table><tr><td>no word</td>".to_owned();
        let terms = place(&mut notation);
        assert!(
            notation.contains("<tr id=\"word-path-gap\"><td>path gap</td>"),
            "{notation}"
        );
        assert!(notation.ends_with("<tr><td>no word</td>"), "{notation}");
        let html = "<h2>The gap</h2><p><code>gap</code> no path gap &amp; Gaps, a gap</p>";
        let wanted = "<h2>The gap</h2><p><code>gap</code> no <a class=\"term\" href=\"n.html#word-path-gap\">path gap</a> &amp; \
                      <a class=\"term\" href=\"n.html#word-gap\">Gaps</a>, a gap</p>";
        assert_eq!(linked(html, &terms, "n.html"), wanted);
    }
}
