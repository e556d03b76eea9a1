//! A notebook as one HTML file that needs nothing else: formulas as MathML, figures inside, code coloured.

use std::path::Path;

use nbformat::v4::Notebook;

use super::address::decoded;
use super::article::{Article, Place};
use super::code::escape;

/// The style of all pages.
pub const STYLE: &str = include_str!("page.css");

/// The font of formulas: a part of STIX Two Math, under the SIL Open Font License (font/OFL.txt).
const FONT: &[u8] = include_bytes!("font/math.woff2");

/// The licence of the font of formulas.
pub const FONT_LICENCE: &str = include_str!("font/OFL.txt");

/// The rule that brings the font of formulas.
pub fn font() -> String {
    format!(
        "@font-face{{font-family:\"ITD Math\";font-display:block;src:url({}) format(\"woff2\")}}",
        data("font/woff2", FONT)
    )
}

/// Prints a notebook. Images that its text refers to are looked for in `folder`; its number stands before those of its
/// figures.
pub fn page(notebook: &Notebook, folder: &Path, number: Option<u32>) -> String {
    let article = Article::of_notebook(notebook, number, &mut Alone { folder });
    let font = match article.html.contains("<math") {
        true => font(),
        false => String::new(),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{font}{STYLE}</style></head><body><div class=\"columns\">{}<main>{}</main></div></body></html>\n",
        escape(article.title.as_deref().unwrap_or("Notebook")),
        article.contents(),
        article.html,
    )
}

/// Markdown as a piece of another page, which has the [`font`] if there are formulas. Images that it refers to are looked
/// for in `folder`.
pub fn fragment(text: &str, folder: &Path) -> String {
    Article::of_text(text, &mut Alone { folder }).html
}

/// Content as an address.
pub fn data(mime: &str, content: &[u8]) -> String {
    format!(
        "data:{mime};base64,{}",
        data_encoding::BASE64.encode(content)
    )
}

/// The type of a picture, by its name.
pub fn picture_type(name: &str) -> Option<&'static str> {
    let ending = Path::new(name).extension()?.to_str()?.to_lowercase();
    Some(match &*ending {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    })
}

/// A page by itself: pictures are inside it, links are as they were.
struct Alone<'a> {
    folder: &'a Path,
}

impl Place for Alone<'_> {
    fn picture(&mut self, mime: &str, content: Vec<u8>) -> String {
        data(mime, &content)
    }

    fn named_picture(&mut self, address: &str) -> Option<String> {
        if address.contains(':') || address.starts_with('/') {
            return None;
        }
        let path = decoded(address);
        let mime = picture_type(&path)?;
        let content = std::fs::read(self.folder.join(path)).ok()?;
        Some(data(mime, &content))
    }

    fn named_table(&mut self, _: &str) -> Option<String> {
        None
    }

    fn link(&mut self, address: &str) -> Option<String> {
        Some(address.to_owned())
    }
}
