//! A talk as one HTML file: slides from Markdown, figures from the outputs of notebooks. Without scripts it is a list;
//! printed, each slide has a page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nbformat::v4::{Cell, Notebook, Output};
use regex::Regex;
use serde_json::Value;

use crate::notebook::code::escape;
use crate::notebook::{NotebookError, file, page};

const STYLE: &str = include_str!("slides.css");
const SCRIPT: &str = include_str!("slides.js");

/// Why there are no slides.
#[derive(Debug, thiserror::Error)]
pub enum SlidesError {
    #[error(transparent)]
    Notebook(#[from] NotebookError),
    #[error("{}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}, slide {slide}: {what}", path.display())]
    Slide {
        path: PathBuf,
        slide: usize,
        what: String,
    },
    #[error("{} has no slides: write Markdown in it, and a line with --- between two slides", .0.display())]
    Empty(PathBuf),
}

/// Figures on lines of their own, one below the other.
static FIGURES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^(?:!\[[^\]\n]*\]\(figure:[^)\n]*\)[ \t]*(?:\n|\z))+"));
/// One of them: caption, notebook, cell.
static FIGURE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"!\[([^\]\n]*)\]\(figure:([^)/\n]+)/([^)/\n]+)\)"));

/// What a formula is called in a page of its own.
static FORMULA_ID: LazyLock<Regex> = LazyLock::new(|| pattern(r#" id="formula-\d+""#));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// The slides in `talk` as a page; `figure:NOTEBOOK/CELL` is the first figure that this cell of
/// `notebooks/NOTEBOOK.ipynb` shows.
///
/// # Errors
/// When a file cannot be read, or a figure is not there; the text says on which slide.
pub fn slides(talk: &Path, notebooks: &Path) -> Result<String, SlidesError> {
    let text = std::fs::read_to_string(talk).map_err(|source| SlidesError::Read {
        path: talk.to_owned(),
        source,
    })?;
    let beside = talk.parent().unwrap_or(Path::new(""));
    let mut figures = Figures {
        folder: notebooks,
        known: BTreeMap::new(),
    };
    let texts = split(&text);
    let mut body = String::new();
    for (number, text) in (1..).zip(&texts) {
        let slide = slide(text, beside, &mut figures).map_err(|error| match error {
            Problem::Notebook(error) => SlidesError::Notebook(error),
            Problem::What(what) => SlidesError::Slide {
                path: talk.to_owned(),
                slide: number,
                what,
            },
        })?;
        let _ = writeln!(
            body,
            "<section class=\"slide\" id=\"slide-{number}\" aria-label=\"Slide {number} of {}\">{slide}</section>",
            texts.len()
        );
    }
    if texts.is_empty() {
        return Err(SlidesError::Empty(talk.to_owned()));
    }
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{}{STYLE}</style></head><body><main>\n{body}</main>\
         <nav class=\"bar\" aria-label=\"Slides\"><button type=\"button\" data-step=\"-1\" aria-label=\"Slide before\">←</button>\
         <span></span><button type=\"button\" data-step=\"1\" aria-label=\"Next slide\">→</button></nav>\
         <script>{SCRIPT}</script></body></html>\n",
        escape(heading.unwrap_or("Slides")),
        page::font(),
    ))
}

/// The texts between lines with `---`, outside of code; empty ones are left out.
fn split(text: &str) -> Vec<String> {
    let (mut slides, mut slide, mut fenced) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        match line.trim_end() == "---" && !fenced {
            true => slides.push(std::mem::take(&mut slide)),
            false => {
                slide.push_str(line);
                slide.push('\n');
            }
        }
    }
    slides.push(slide);
    slides.retain(|slide| !slide.trim().is_empty());
    slides
}

/// What is wrong with a slide.
enum Problem {
    Notebook(NotebookError),
    What(String),
}

fn slide(text: &str, beside: &Path, figures: &mut Figures<'_>) -> Result<String, Problem> {
    // Places are kept free in the text, so that Markdown does not read what is in the figures.
    let place = |index: usize| format!("<div class=\"figures\" id=\"figures-{index}\"></div>");
    let (mut free, mut groups, mut end) = (String::new(), Vec::new(), 0);
    for group in FIGURES.find_iter(text) {
        let mut shown = String::new();
        for figure in FIGURE.captures_iter(group.as_str()) {
            let caption = page::fragment(&figure[1], beside);
            let caption = caption
                .trim()
                .trim_start_matches("<p>")
                .trim_end_matches("</p>");
            let inside = figures.of(&figure[2], &figure[3], &figure[1])?;
            let _ = write!(
                shown,
                "<figure>{inside}<figcaption>{caption}</figcaption></figure>"
            );
        }
        if FIGURE.find_iter(group.as_str()).count() != group.as_str().trim_end().lines().count() {
            let what = "an address of a figure is figure:NOTEBOOK/CELL, as in figure:02_i_mmse/c9";
            return Err(Problem::What(format!(
                "{}: {what}",
                group.as_str().trim_end()
            )));
        }
        let _ = write!(
            free,
            "{}\n{}\n\n",
            &text[end..group.start()],
            place(groups.len())
        );
        groups.push(shown);
        end = group.end();
    }
    free.push_str(&text[end..]);
    if free.contains("](figure:") {
        return Err(Problem::What(
            "a figure stands on a line of its own".to_owned(),
        ));
    }
    // Each slide counts its formulas anew, and nothing links to them.
    let html = page::fragment(&free, beside);
    let mut html = FORMULA_ID.replace_all(&html, "").into_owned();
    for (index, shown) in groups.iter().enumerate() {
        html = html.replace(
            &place(index),
            &format!("<div class=\"figures\">{shown}</div>"),
        );
    }
    Ok(html)
}

/// The figures of notebooks, each of which is read once.
struct Figures<'a> {
    folder: &'a Path,
    known: BTreeMap<String, Notebook>,
}

impl Figures<'_> {
    fn of(&mut self, notebook: &str, id: &str, alt: &str) -> Result<String, Problem> {
        if !self.known.contains_key(notebook) {
            let path = self.folder.join(format!("{notebook}.ipynb"));
            let read = file::read(&path).map_err(Problem::Notebook)?;
            self.known.insert(notebook.to_owned(), read);
        }
        let cells = self.known.get(notebook).map(|known| &known.cells);
        let mut cells = cells.into_iter().flatten();
        let Some(cell) = cells.find(|cell| cell.id().to_string() == id) else {
            return Err(Problem::What(format!(
                "{notebook} has no cell {id}: look up the ids in its file"
            )));
        };
        figure(cell, alt).ok_or_else(|| {
            Problem::What(format!(
                "cell {id} of {notebook} shows no figure: name a cell that does, or run the notebook"
            ))
        })
    }
}

/// The first picture of a cell, or else the first other thing that is HTML; a progress bar is neither.
fn figure(cell: &Cell, alt: &str) -> Option<String> {
    let Cell::Code { outputs, .. } = cell else {
        return None;
    };
    let shown = outputs.iter().filter_map(|output| match output {
        Output::DisplayData(shown) => serde_json::to_value(&shown.data).ok(),
        Output::ExecuteResult(shown) => serde_json::to_value(&shown.data).ok(),
        _ => None,
    });
    let shown: Vec<Value> = shown
        .filter(|data| !text(data, "text/plain").contains('█'))
        .collect();
    let picture = |kind: &str, encode: &dyn Fn(&str) -> String| {
        let content = shown
            .iter()
            .map(|data| text(data, kind))
            .find(|content| !content.is_empty())?;
        let content = encode(&content);
        Some(format!(
            "<img alt=\"{}\" src=\"data:{kind};base64,{content}\">",
            escape(alt)
        ))
    };
    picture("image/svg+xml", &|svg| {
        data_encoding::BASE64.encode(svg.as_bytes())
    })
    .or_else(|| picture("image/png", &|png| png.replace(['\n', ' '], "")))
    .or_else(|| {
        let mut html = shown.iter().map(|data| text(data, "text/html"));
        let html = html.find(|html| !html.is_empty())?;
        Some(format!("<div>{html}</div>"))
    })
}

/// One form of an output, which may be stored as lines.
fn text(data: &Value, kind: &str) -> String {
    match &data[kind] {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shown =
            |data: Value| json!({"output_type": "display_data", "metadata": {}, "data": data});
        let code = |id: &str, outputs: Value| json!({"cell_type": "code", "id": id, "metadata": {}, "execution_count": 1, "source": "x", "outputs": outputs});
        let cells = json!([
            code(
                "bar",
                json!([shown(
                    json!({"text/html": "<b>bar</b>", "text/plain": "███"})
                )])
            ),
            code(
                "curve",
                json!([
                    shown(json!({"text/html": "<b>bar</b>", "text/plain": "███"})),
                    shown(json!({"image/svg+xml": "<svg/>", "text/plain": "a curve"})),
                ])
            ),
            code(
                "table",
                json!([shown(json!({"text/html": "<table>\n\n1 | 2\n</table>"}))])
            ),
        ]);
        let text = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        std::fs::write(folder.path().join("a.ipynb"), text.to_string()).expect("a notebook");
        folder
    }

    fn of(talk: &str) -> Result<String, String> {
        let folder = folder();
        let path = folder.path().join("talk.md");
        std::fs::write(&path, talk).expect("a talk");
        slides(&path, folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn slides_have_text_formulas_and_figures() {
        let page = of("# A \"talk\"\n\n---\n## Two\n\n$x^2$\n![The $f$](figure:a/curve)\n![Rows](figure:a/table)\nwords\n\n```\n---\n```\n---\n")
            .expect("slides");
        assert_eq!(page.matches("<section class=\"slide\"").count(), 2);
        assert!(page.contains("<title>A &quot;talk&quot;</title>"), "{page}");
        assert!(
            page.contains("data:image/svg+xml;base64,PHN2Zy8+"),
            "{page}"
        );
        assert!(
            page.contains("<div><table>\n\n1 | 2\n</table></div><figcaption>Rows</figcaption>"),
            "{page}"
        );
        assert!(
            !page.contains("<b>bar</b>")
                && page.matches("<math").count() == 2
                && !page.contains("formula-1"),
            "{page}"
        );
        assert!(
            !page.replace("http://www.w3.org", "").contains("http"),
            "it asks nobody"
        );
    }

    #[test]
    fn a_figure_that_is_not_there_is_told_with_its_slide() {
        for (talk, what) in [
            (
                "# A\n---\n![x](figure:a/none)\n",
                "slide 2: a has no cell none",
            ),
            (
                "![x](figure:a/bar)\n",
                "slide 1: cell bar of a shows no figure",
            ),
            ("![x](figure:b/c)\n", "b.ipynb"),
            ("![x](figure:a)\n", "figure:NOTEBOOK/CELL"),
            ("see ![x](figure:a/curve) here\n", "on a line of its own"),
            ("\n---\n", "has no slides"),
        ] {
            let error = of(talk).expect_err(talk);
            assert!(error.contains(what), "{error} should contain {what}");
        }
    }
}
