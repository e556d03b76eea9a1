//! What the search of a site looks through: the text below each heading.

use serde_json::json;

use super::Page;
use super::place::relative;

/// A script that hands the whole of it to the page, since a page from a disk may not read other files.
pub fn index(pages: &[Page]) -> String {
    let sections = pages.iter().flat_map(|page| {
        page.article
            .sections
            .iter()
            .map(move |section| (page, section))
    });
    let filled = sections
        .filter(|(_, section)| !section.title.is_empty() || !section.text.trim().is_empty());
    let rows: Vec<_> = filled
        .map(|(page, section)| {
            let text: Vec<_> = section.text.split_whitespace().collect();
            json!([
                relative("index.html", &page.address),
                section.id,
                page.title,
                section.title,
                text.join(" ")
            ])
        })
        .collect();
    format!("itdSearch({});\n", json!(rows))
}
