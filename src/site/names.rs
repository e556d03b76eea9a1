//! Names of files and cells in the words of links: a reader of a site knows pages and places in them.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use super::Page;
use super::place::from_root;
use super::source::Kind;
use crate::notebook::code::escape;

/// In all pages a link whose words are the name of a text gets the title of that text. In texts the id of a cell that
/// follows a link to its notebook leads to the cell.
pub fn link(pages: &mut [Page]) {
    let named = Regex::new(r##"(<a href="([^"#]+\.html)[^"]*">)[^<]*\.md</a>"##);
    let named = named.expect("a valid expression");
    let cell = r##"(<a href="([^"#]+\.html)">[^<]*</a>, )<code>([A-Za-z0-9_-]+)</code>"##;
    let cell = Regex::new(cell).expect("a valid expression");
    let known = pages.iter().map(|page| {
        let html = page.is_course().then(|| page.article.html.clone());
        (page.address.clone(), (page.title.clone(), html))
    });
    let known: BTreeMap<String, (String, Option<String>)> = known.collect();
    for page in pages {
        let target = |found: &Captures<'_>| known.get(&from_root(&page.address, &found[2]));
        let title = |found: &Captures<'_>| match target(found) {
            Some((title, _)) => format!("{}{}</a>", &found[1], escape(title)),
            None => found[0].to_owned(),
        };
        let mut html = named.replace_all(&page.article.html, title).into_owned();
        if page.kind == Kind::Text {
            let place = |found: &Captures<'_>| {
                let id = &found[3];
                let notebook = target(found).and_then(|(_, html)| html.as_deref());
                match notebook.is_some_and(|html| html.contains(&format!("id=\"{id}\""))) {
                    true => format!(
                        "{}<a href=\"{}#{id}\"><code>{id}</code></a>",
                        &found[1], &found[2]
                    ),
                    false => found[0].to_owned(),
                }
            };
            html = cell.replace_all(&html, place).into_owned();
        }
        page.article.html = html;
    }
}
