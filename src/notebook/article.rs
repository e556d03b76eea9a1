//! A notebook, or a text, as the part of a page that is its own: HTML, and lists of what is in it.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use nbformat::v4::{Cell, Notebook, Output};
use pulldown_latex::config::DisplayMode;
use serde_json::Value;

use super::code::{escape, highlight};
use super::file;
use super::markdown::{self, Slug};
use crate::reply::strip_colours;

/// MIME types that a page can show, best first.
const SHOWN: &[&str] = &[
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "text/markdown",
    "text/latex",
    "text/plain",
];

/// What a page is among: where its pictures are kept, and where its links lead.
pub trait Place {
    /// Keeps a picture; gives its address in the page.
    fn picture(&mut self, mime: &str, content: Vec<u8>) -> String;
    /// The address of a picture that a text names; `None` leaves it as it is.
    fn named_picture(&mut self, address: &str) -> Option<String>;
    /// The table that a text names, as HTML, where it would name a picture.
    fn named_table(&mut self, address: &str) -> Option<String>;
    /// The address that a link leads to; `None` takes the link away and leaves its words.
    fn link(&mut self, address: &str) -> Option<String>;
}

/// A heading.
#[derive(Debug)]
pub struct Heading {
    pub level: u8,
    pub id: String,
    pub html: String,
    pub text: String,
}

/// A figure, or a table, with a number.
#[derive(Debug)]
pub struct Figure {
    pub id: String,
    /// `Figure 2.3`
    pub name: String,
    /// HTML; empty when the notebook has no caption for it.
    pub caption: String,
    /// What it shows, in plain words, as HTML.
    pub alt: String,
    /// The address of the picture; none of a table.
    pub picture: Option<String>,
    pub cell: String,
}

/// A formula on a line of its own.
#[derive(Debug)]
pub struct Formula {
    pub id: String,
    pub html: String,
    /// Which of the headings it stands below.
    pub section: Option<usize>,
}

/// What can be found below a heading.
#[derive(Debug, Default)]
pub struct Section {
    /// Empty for what stands before the first heading.
    pub id: String,
    pub title: String,
    pub text: String,
}

/// A notebook, or a text, for a page.
#[derive(Debug)]
pub struct Article {
    pub title: Option<String>,
    pub html: String,
    pub headings: Vec<Heading>,
    pub figures: Vec<Figure>,
    pub formulas: Vec<Formula>,
    pub sections: Vec<Section>,
    /// Tables that cells show, as HTML, each with the id of its cell.
    pub tables: Vec<(String, String)>,
    pub(super) slug: Slug,
    number: Option<u32>,
    taken: HashSet<String>,
}

impl Article {
    fn new(slug: Slug, number: Option<u32>) -> Self {
        Self {
            title: None,
            html: String::new(),
            headings: Vec::new(),
            figures: Vec::new(),
            formulas: Vec::new(),
            sections: vec![Section::default()],
            slug,
            number,
            tables: Vec::new(),
            // What a site calls the part of its page that holds this.
            taken: HashSet::from(["page-content".to_owned()]),
        }
    }

    /// A text in Markdown, as GitHub reads it.
    pub fn of_text(text: &str, place: &mut dyn Place) -> Self {
        let mut article = Self::new(Slug::GitHub, None);
        article.html = markdown::html(&mut article, text, None, place);
        article
    }

    /// A notebook. Its number stands before those of its figures.
    pub fn of_notebook(notebook: &Notebook, number: Option<u32>, place: &mut dyn Place) -> Self {
        let mut article = Self::new(Slug::Jupyter, number);
        let ids = notebook.cells.iter().map(|cell| cell.id().to_string());
        article.taken.extend(ids);
        let mut told = None; // the rest of a cell whose beginning is a caption
        for (index, cell) in notebook.cells.iter().enumerate() {
            let source = file::source(cell);
            let (id, tags) = (cell.id().as_str(), tags(cell));
            match cell {
                Cell::Markdown { attachments, .. } => {
                    let source = told.take().unwrap_or(source);
                    let html = markdown::html(&mut article, &source, attachments.as_ref(), place);
                    let _ = write!(
                        article.html,
                        "<section class=\"{}\" id=\"{id}\">{html}</section>",
                        classes("text", tags)
                    );
                }
                Cell::Code {
                    outputs,
                    execution_count,
                    ..
                } => {
                    let next = notebook.cells.get(index + 1);
                    let next = next
                        .filter(|next| matches!(next, Cell::Markdown { .. }))
                        .map(file::source);
                    let split = next.as_deref().and_then(markdown::caption);
                    let (outputs, captioned) =
                        article.outputs(outputs, split.map(|(caption, _)| caption), id, place);
                    if let (true, Some((_, rest))) = (captioned, split) {
                        told = Some(rest.to_owned());
                    }
                    article.read(&source);
                    article.read(" ");
                    let count =
                        execution_count.map_or_else(|| " ".to_owned(), |count| count.to_string());
                    let is = |tag: &str| tags.iter().any(|own| own == tag);
                    let solution = is("solution");
                    // A solution is folded with what it shows, `folded` code without.
                    let (fold, shut, unfold) = match (solution, is("folded")) {
                        (true, _) => (
                            "<details class=\"solution\"><summary>Solution</summary>",
                            "",
                            "</details>",
                        ),
                        (false, true) => (
                            "<details class=\"folded\"><summary>Code</summary>",
                            "</details>",
                            "",
                        ),
                        (false, false) => ("", "", ""),
                    };
                    let source = match solution {
                        true => without_marks(&source),
                        false => source,
                    };
                    let _ = write!(
                        article.html,
                        "<section class=\"{}\" id=\"{id}\">{fold}<div class=\"count\" aria-hidden=\"true\">[{count}]</div>\
                         <pre class=\"code\"><code>{}</code></pre>{shut}{outputs}{unfold}</section>",
                        classes("cell", tags),
                        highlight(&source)
                    );
                }
                Cell::Raw { .. } => {
                    let _ = write!(
                        article.html,
                        "<pre class=\"raw\" id=\"{id}\">{}</pre>",
                        escape(&source)
                    );
                }
            }
        }
        article
    }

    /// Links to the headings; nothing for a page with few of them.
    pub fn contents(&self) -> String {
        let listed: Vec<_> = self
            .headings
            .iter()
            .filter(|heading| matches!(heading.level, 2 | 3))
            .collect();
        if listed.len() < 3 {
            return String::new();
        }
        let mut items = String::new();
        for Heading {
            level, id, html, ..
        } in listed
        {
            let _ = write!(
                items,
                "<li class=\"level-{level}\"><a href=\"#{}\">{html}</a></li>",
                escape(id)
            );
        }
        format!(
            "<nav class=\"contents\" aria-label=\"On this page\"><details><summary>On this page</summary><ul>{items}</ul></details></nav>"
        )
    }

    /// An id that nothing else in the page has.
    pub(super) fn new_id(&mut self, wanted: &str) -> String {
        let names =
            std::iter::once(wanted.to_owned()).chain((1..).map(|n| format!("{wanted}-{n}")));
        let mut free = names.filter(|name| !name.is_empty() && !self.taken.contains(name));
        let id = free.next().unwrap_or_default();
        self.taken.insert(id.clone());
        id
    }

    pub(super) fn head(&mut self, heading: Heading) {
        if heading.level == 1 && self.title.is_none() {
            self.title = Some(heading.text.clone());
        }
        self.sections.push(Section {
            id: heading.id.clone(),
            title: heading.text.clone(),
            text: String::new(),
        });
        self.headings.push(heading);
    }

    /// Takes words into what can be searched.
    pub(super) fn read(&mut self, words: &str) {
        if let Some(section) = self.sections.last_mut() {
            section.text.push_str(words);
        }
    }

    /// The outputs of a cell; the last picture or table gets the caption. Also whether it was used.
    fn outputs(
        &mut self,
        outputs: &[Output],
        caption: Option<&str>,
        cell: &str,
        place: &mut dyn Place,
    ) -> (String, bool) {
        let failed = outputs
            .iter()
            .any(|output| matches!(output, Output::Error(_)));
        let mut shown: Vec<Shown> = Vec::new();
        for output in outputs {
            let value = serde_json::to_value(output).unwrap_or_default();
            let data = &value["data"];
            // A bar tells nothing once the loop is over.
            let plain = data.get("text/plain").and_then(text_of);
            if !failed && plain.is_some_and(|plain| is_bar(&plain)) {
                continue;
            }
            shown.push(match output {
                Output::Stream { name, text } => Shown::plain(format!(
                    "<pre class=\"{}\">{}</pre>",
                    escape(name),
                    coloured(&text.0)
                )),
                Output::Error(error) => Shown::plain(format!(
                    "<pre class=\"error\">{}</pre>",
                    coloured(&error.traceback.join("\n"))
                )),
                Output::DisplayData(_) | Output::ExecuteResult(_) => self.bundle(data, place),
            });
        }
        let tables = shown.iter().filter(|shown| shown.table);
        let tables = tables.map(|shown| (cell.to_owned(), shown.html.clone()));
        self.tables.extend(tables);
        let named = shown
            .iter()
            .rposition(|shown| shown.figure.is_some() || shown.table && caption.is_some());
        let mut html = String::new();
        for (
            index,
            Shown {
                html: inside,
                figure,
                table,
                alt,
            },
        ) in shown.into_iter().enumerate()
        {
            if Some(index) != named {
                html.push_str(&inside);
                continue;
            }
            let (kind, count) = match table {
                true => (
                    "Table",
                    self.figures
                        .iter()
                        .filter(|figure| figure.picture.is_none())
                        .count()
                        + 1,
                ),
                false => (
                    "Figure",
                    self.figures
                        .iter()
                        .filter(|figure| figure.picture.is_some())
                        .count()
                        + 1,
                ),
            };
            let number = self
                .number
                .map_or(String::new(), |number| format!("{number}."));
            let name = format!("{kind} {number}{count}");
            let id = self.new_id(&format!("{}-{count}", kind.to_lowercase()));
            let caption = caption.map_or(String::new(), |caption| {
                self.read(&format!("{name} "));
                let html = markdown::html(self, caption, None, place);
                html.trim()
                    .trim_start_matches("<p>")
                    .trim_end_matches("</p>")
                    .to_owned()
            });
            let dot = if caption.is_empty() { "" } else { ". " };
            let _ = write!(
                html,
                "<figure id=\"{id}\">{inside}<figcaption><b>{name}{dot}</b>{caption}</figcaption></figure>"
            );
            self.figures.push(Figure {
                id,
                name,
                caption,
                alt,
                picture: figure,
                cell: cell.to_owned(),
            });
        }
        (html, named.is_some() && caption.is_some())
    }

    /// The richest form of a bundle that a page can show.
    fn bundle(&mut self, data: &Value, place: &mut dyn Place) -> Shown {
        let text = |mime: &str| text_of(data.get(mime)?);
        let Some((mime, content)) = SHOWN.iter().find_map(|mime| Some((*mime, text(mime)?))) else {
            return Shown::plain(String::new());
        };
        let plain = text("text/plain").unwrap_or_default();
        let mut figure = None;
        let mut alt = escape(&plain);
        let inside = match mime {
            "text/html" => {
                figure = picture_in(&content, data, place);
                alt = escape(plain.lines().last().unwrap_or_default()); // before it a slider tells of its frames
                markdown::named_columns(&content)
            }
            // As an image, so that nothing in the drawing can reach the page.
            "image/svg+xml" => {
                let words = quoted(data_text(&content));
                let src = place.picture(mime, content.into_bytes());
                let image = format!("<img alt=\"{words}\" src=\"{src}\">");
                (figure, alt) = (Some(src), words);
                image
            }
            "text/markdown" => markdown::html(self, &content, None, place),
            "text/latex" => markdown::math(content.trim().trim_matches('$'), DisplayMode::Block),
            "text/plain" => format!("<pre>{}</pre>", coloured(&content)),
            _ => match data_encoding::BASE64.decode(content.replace(['\n', ' '], "").as_bytes()) {
                Ok(content) => {
                    let src = place.picture(mime, content);
                    let image = format!("<img alt=\"{}\" src=\"{src}\">", escape(&plain));
                    figure = Some(src);
                    image
                }
                Err(_) => format!("<pre>{}</pre>", coloured(&plain)),
            },
        };
        Shown {
            html: format!("<div class=\"output\">{inside}</div>"),
            figure,
            table: mime == "text/html" && content_is_table(&inside),
            alt,
        }
    }
}

/// The number with which the name of a notebook begins: `2` of `02_i_mmse.ipynb`.
pub fn number(path: &Path) -> Option<u32> {
    let name = path.file_stem()?.to_str()?;
    let digits = name.find(|c: char| !c.is_ascii_digit())?;
    name[..digits].parse().ok()
}

/// The tags of a cell.
pub fn tags(cell: &Cell) -> &[String] {
    cell.metadata().tags.as_deref().unwrap_or_default()
}

fn classes(first: &str, tags: &[String]) -> String {
    let known = ["exercise", "hint", "solution", "check", "derivation"];
    let tags = tags
        .iter()
        .map(String::as_str)
        .filter(|tag| known.contains(tag));
    std::iter::once(first)
        .chain(tags)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A solution without the lines that say where it begins and ends.
fn without_marks(source: &str) -> String {
    let kept = source
        .lines()
        .filter(|line| !matches!(line.trim(), "// BEGIN SOLUTION" | "// END SOLUTION"));
    kept.collect::<Vec<_>>().join("\n")
}

/// An output as it is shown.
struct Shown {
    html: String,
    figure: Option<String>,
    table: bool,
    alt: String,
}

impl Shown {
    fn plain(html: String) -> Self {
        Self {
            html,
            figure: None,
            table: false,
            alt: String::new(),
        }
    }
}

/// Whether a display is a bar of progress, by its form in plain text.
pub(super) fn is_bar(plain: &str) -> bool {
    plain.chars().filter(|c| "█░".contains(*c)).count() == 20 && plain.lines().count() == 1
}

fn content_is_table(html: &str) -> bool {
    html.trim_start().starts_with("<table")
}

/// The address of the picture that HTML shows at first, such as one of a slider's.
fn picture_in(html: &str, data: &Value, place: &mut dyn Place) -> Option<String> {
    if let Some(svg) = data.get("image/svg+xml").and_then(text_of) {
        return Some(place.picture("image/svg+xml", svg.into_bytes()));
    }
    let mut frames = html.split("<div class=\"itd-frame\"").skip(1);
    let shown = frames.find(|frame| {
        let tag = frame.split('>').next().unwrap_or_default();
        !tag.contains("display:none") && !tag.contains("hidden")
    })?;
    let (_, source) = shown.split_once("src=\"data:")?;
    let (mime, content) = source.split('"').next()?.split_once(";base64,")?;
    let content = data_encoding::BASE64.decode(content.as_bytes()).ok()?;
    Some(place.picture(mime, content))
}

/// Content as one text; notebooks may store it as lines.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => lines.iter().map(|line| line.as_str()).collect(),
        _ => None,
    }
}

/// What a drawing says of itself: its `<title>` or `<desc>`, or the label of its first tag.
fn data_text(svg: &str) -> &str {
    let tag = svg.split('>').next().unwrap_or_default();
    let label = tag.split_once(" aria-label=\"");
    let label = label.and_then(|(_, rest)| rest.split('"').next());
    let within = |tag: &str| {
        let start = svg.find(&format!("<{tag}>"))? + tag.len() + 2;
        svg[start..].split("</").next()
    };
    within("desc")
        .or(within("title"))
        .or(label)
        .unwrap_or_default()
}

fn quoted(text: &str) -> String {
    // It is escaped already inside the drawing; only quotes matter in an attribute.
    text.replace('"', "&quot;")
}

/// Text with a terminal's colours.
fn coloured(text: &str) -> String {
    let converter = ansi_to_html::Converter::new().four_bit_var_prefix(Some("ansi-".to_owned()));
    converter
        .convert(text)
        .unwrap_or_else(|_| escape(&strip_colours(text)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A place that keeps nothing and knows of nothing.
    pub struct Nowhere;

    impl Place for Nowhere {
        fn picture(&mut self, mime: &str, content: Vec<u8>) -> String {
            super::super::page::data(mime, &content)
        }

        fn named_picture(&mut self, _: &str) -> Option<String> {
            None
        }

        fn named_table(&mut self, address: &str) -> Option<String> {
            (address == "figure:a/b").then(|| "<table></table>".to_owned())
        }

        fn link(&mut self, address: &str) -> Option<String> {
            Some(address.to_owned())
        }
    }

    fn bundle(data: &Value) -> String {
        Article::new(Slug::Jupyter, None)
            .bundle(data, &mut Nowhere)
            .html
    }

    fn of_cells(cells: Value) -> Article {
        let text = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        let notebook = file::parse(&text.to_string()).expect("a notebook");
        Article::of_notebook(&notebook, Some(2), &mut Nowhere)
    }

    fn code(id: &str, tags: &[&str], source: &str, outputs: Value) -> Value {
        json!({"cell_type": "code", "id": id, "metadata": {"tags": tags}, "execution_count": 1, "source": source, "outputs": outputs})
    }

    #[test]
    fn the_richest_form_is_shown_and_drawings_cannot_run_scripts() {
        let data =
            json!({"text/plain": "text", "image/svg+xml": "<svg><script>alert(1)</script></svg>"});
        let html = bundle(&data);
        assert!(
            html.contains("data:image/svg+xml;base64,") && !html.contains("<script"),
            "{html}"
        );
    }

    #[test]
    fn pictures_have_words_for_those_who_cannot_see_them() {
        let svg = "<svg role=\"img\" aria-label=\"two &lt; three\" width=\"3\"><path/></svg>";
        let drawing = bundle(&json!({ "image/svg+xml": svg }));
        assert!(drawing.contains("alt=\"two &lt; three\""), "{drawing}");
        let pixels = json!({ "text/plain": ["a \"picture\"", "\nof pixels"], "image/png": "QUJD" });
        let pixels = bundle(&pixels);
        assert!(
            pixels.contains("alt=\"a &quot;picture&quot;\nof pixels\""),
            "{pixels}"
        );
    }

    #[test]
    fn attached_images_are_embedded() {
        let article = of_cells(
            json!([{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "![x](attachment:a.png)",
            "attachments": {"a.png": {"image/png": "QUJD"}}}]),
        );
        assert!(
            article.html.contains("src=\"data:image/png;base64,QUJD\""),
            "{}",
            article.html
        );
    }

    #[test]
    fn the_last_picture_of_a_cell_takes_the_caption_that_follows() {
        let picture = json!({"output_type": "display_data", "metadata": {}, "data": {"image/png": "QUJD", "text/plain": "a curve"}});
        let print = json!({"output_type": "stream", "name": "stdout", "text": "after\n"});
        let article = of_cells(json!([
            code("a", &[], "1", json!([picture, picture, print])),
            {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "*So it is.* And on."},
            code("c", &[], "1", json!([picture])),
        ]));
        let names: Vec<_> = article
            .figures
            .iter()
            .map(|f| (f.name.as_str(), f.caption.as_str(), f.cell.as_str()))
            .collect();
        assert_eq!(
            names,
            [("Figure 2.1", "So it is.", "a"), ("Figure 2.2", "", "c")]
        );
        let html = &article.html;
        assert!(
            html.contains("<figcaption><b>Figure 2.1. </b>So it is.</figcaption>"),
            "{html}"
        );
        assert_eq!(html.matches("So it is.").count(), 1, "{html}");
        assert!(
            html.contains("<section class=\"text\" id=\"b\"><p>And on.</p>"),
            "{html}"
        );
    }

    #[test]
    fn bars_go_unless_the_cell_failed() {
        let bar = |blocks: &str| {
            json!({"output_type": "display_data", "metadata": {},
            "data": {"text/html": "<div>bar</div>", "text/plain": format!("training {blocks} 100 %")}})
        };
        let done = bar(&"█".repeat(20));
        let error =
            json!({"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["E"]});
        let shown = |outputs| of_cells(json!([code("a", &[], "1", outputs)])).html;
        assert!(!shown(json!([done])).contains("bar"));
        assert!(shown(json!([bar(&"░".repeat(20)), error])).contains("bar"));
        assert!(shown(json!([bar("no blocks")])).contains("bar"));
    }

    #[test]
    fn folded_code_shows_its_figure() {
        let print = json!([{"output_type": "stream", "name": "stdout", "text": "drawn"}]);
        let html = of_cells(json!([code("draw", &["folded"], "let chart = 1;", print)])).html;
        let (fold, rest) = html.split_once("</details>").unwrap();
        assert!(
            fold.contains("<summary>Code</summary>") && fold.contains("chart"),
            "{html}"
        );
        assert!(!fold.contains("drawn") && rest.contains("drawn"), "{html}");
    }

    #[test]
    fn a_solution_is_folded_with_what_it_prints() {
        let print = json!([{"output_type": "stream", "name": "stdout", "text": "42\n"}]);
        let source = "let x = {\n    // BEGIN SOLUTION\n    42\n    // END SOLUTION\n};";
        let html = of_cells(json!([code("ex1-solution", &["solution"], source, print)])).html;
        let (before, after) = html
            .split_once("<details class=\"solution\"><summary>Solution</summary>")
            .expect("a fold");
        assert!(
            !before.contains("42") && after.contains("42\n</pre></details>"),
            "{html}"
        );
        assert!(!html.contains("SOLUTION"), "{html}");
        assert!(
            html.contains("class=\"cell solution\" id=\"ex1-solution\""),
            "{html}"
        );
    }
}
