//! A notebook as one HTML file that needs nothing else: formulas as MathML, figures inside, code coloured.

use std::fmt::Write;
use std::path::Path;

use nbformat::v4::{Cell, Notebook, Output};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};
use pulldown_latex::config::DisplayMode;
use pulldown_latex::{RenderConfig, Storage, mathml};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};
use serde_json::Value;

use super::file;
use crate::reply::strip_colours;

const STYLE: &str = include_str!("page.css");

/// MIME types that a page can show, best first.
const SHOWN: &[&str] = &[
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "image/gif",
    "text/markdown",
    "text/latex",
    "text/plain",
];

/// Prints a notebook. Images that its text refers to are looked for in `folder`.
pub fn page(notebook: &Notebook, folder: &Path) -> String {
    let mut body = String::new();
    let mut title = None;
    for cell in &notebook.cells {
        let source = file::source(cell);
        match cell {
            Cell::Markdown { attachments, .. } => {
                title = title.or_else(|| {
                    source
                        .lines()
                        .find_map(|line| line.strip_prefix("# "))
                        .map(str::to_owned)
                });
                let html = markdown(&source, folder, attachments.as_ref());
                let _ = write!(body, "<section class=\"text\">{html}</section>");
            }
            Cell::Code {
                outputs,
                execution_count,
                ..
            } => {
                let count = execution_count
                    .map(|count| count.to_string())
                    .unwrap_or_else(|| " ".to_owned());
                let _ = write!(
                    body,
                    "<section class=\"cell\"><div class=\"count\">[{count}]</div><pre class=\"code\"><code>{}</code></pre>",
                    highlight(&source)
                );
                for shown in outputs {
                    body.push_str(&output(shown, folder));
                }
                body.push_str("</section>");
            }
            Cell::Raw { .. } => {
                let _ = write!(body, "<pre class=\"raw\">{}</pre>", escape(&source));
            }
        }
    }
    let title = title.unwrap_or_else(|| "Notebook".to_owned());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n",
        escape(&plain_title(&title))
    )
}

fn plain_title(markdown: &str) -> String {
    let words = Parser::new(markdown).filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.to_string()),
        _ => None,
    });
    words.collect()
}

/// Markdown with formulas; headings can be linked to.
fn markdown(text: &str, folder: &Path, attachments: Option<&Value>) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_MATH
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS;
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut heading = None;
    for event in Parser::new_ext(text, options) {
        let event = match event {
            Event::InlineMath(formula) => {
                Event::InlineHtml(math(&formula, DisplayMode::Inline).into())
            }
            Event::DisplayMath(formula) => {
                Event::InlineHtml(math(&formula, DisplayMode::Block).into())
            }
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                title,
                id,
            }) => Event::Start(Tag::Image {
                link_type,
                dest_url: embed(&dest_url, folder, attachments).map_or(dest_url, CowStr::from),
                title,
                id,
            }),
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                event
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((start, words)) = heading.take()
                    && let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(start)
                {
                    id.get_or_insert(slug(&words).into());
                }
                event
            }
            event => event,
        };
        if let (Some((_, words)), Event::Text(text) | Event::Code(text)) = (&mut heading, &event) {
            words.push_str(text);
        }
        events.push(event);
    }
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    html
}

/// `Probability is denoising` → `Probability-is-denoising`, as Jupyter links to headings.
fn slug(words: &str) -> String {
    words.trim().replace(char::is_whitespace, "-")
}

/// An image as a `data:` address, if it comes with the notebook.
fn embed(address: &str, folder: &Path, attachments: Option<&Value>) -> Option<String> {
    if let Some(name) = address.strip_prefix("attachment:") {
        let (mime, data) = attachments?[name].as_object()?.iter().next()?;
        return Some(format!("data:{mime};base64,{}", data.as_str()?));
    }
    if address.contains(':') || address.starts_with('/') {
        return None;
    }
    let mime = match Path::new(address).extension()?.to_str()? {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        _ => return None,
    };
    let content = std::fs::read(folder.join(address)).ok()?;
    Some(format!(
        "data:{mime};base64,{}",
        data_encoding::BASE64.encode(&content)
    ))
}

/// A formula as MathML; one that cannot be read is shown as it was written.
fn math(formula: &str, mode: DisplayMode) -> String {
    let storage = Storage::new();
    let config = RenderConfig {
        display_mode: mode,
        ..RenderConfig::default()
    };
    let unread = || format!("<code class=\"formula\">{}</code>", escape(formula));
    let events: Result<Vec<_>, _> = pulldown_latex::Parser::new(formula, &storage).collect();
    let Ok(events) = events else {
        return unread();
    };
    let mut html = String::new();
    let events = events.into_iter().map(Ok::<_, std::convert::Infallible>);
    match mathml::push_mathml(&mut html, events, config) {
        Ok(()) => space_outside(&html),
        Err(_) => unread(),
    }
}

/// The space before a named operator belongs before its whole script: pulldown-latex 0.8 puts it inside,
/// where `\log_2` then has three parts instead of two and is drawn wrongly.
fn space_outside(mathml: &str) -> String {
    const SPACE: &str = "<mspace width=\"0.1667em\" />";
    let mut html = mathml.to_owned();
    for script in [
        "<msub>",
        "<msup>",
        "<msubsup>",
        "<munder>",
        "<mover>",
        "<munderover>",
    ] {
        html = html.replace(&format!("{script}{SPACE}"), &format!("{SPACE}{script}"));
    }
    html
}

fn output(shown: &Output, folder: &Path) -> String {
    match shown {
        Output::Stream { name, text } => format!(
            "<pre class=\"{}\">{}</pre>",
            escape(name),
            coloured(&text.0)
        ),
        Output::Error(error) => format!(
            "<pre class=\"error\">{}</pre>",
            coloured(&error.traceback.join("\n"))
        ),
        Output::DisplayData(display) => bundle(
            &serde_json::to_value(&display.data).unwrap_or_default(),
            folder,
        ),
        Output::ExecuteResult(result) => bundle(
            &serde_json::to_value(&result.data).unwrap_or_default(),
            folder,
        ),
    }
}

/// The richest form of a bundle that a page can show.
fn bundle(data: &Value, folder: &Path) -> String {
    let Some((mime, content)) = SHOWN
        .iter()
        .find_map(|mime| Some((*mime, text_of(data.get(mime)?)?)))
    else {
        return String::new();
    };
    let inside = match mime {
        "text/html" => content,
        // As an image, so that nothing in the drawing can reach the page.
        "image/svg+xml" => {
            let data = data_encoding::BASE64.encode(content.as_bytes());
            format!(
                "<img alt=\"{}\" src=\"data:{mime};base64,{data}\">",
                alt(data_text(&content))
            )
        }
        "text/markdown" => markdown(&content, folder, None),
        "text/latex" => {
            let formula = content.trim().trim_matches('$');
            math(formula, DisplayMode::Block)
        }
        "text/plain" => format!("<pre>{}</pre>", coloured(&content)),
        _ => format!(
            "<img alt=\"{}\" src=\"data:{mime};base64,{}\">",
            escape(&data.get("text/plain").and_then(text_of).unwrap_or_default()),
            content.replace(['\n', ' '], "")
        ),
    };
    format!("<div class=\"output\">{inside}</div>")
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

fn alt(text: &str) -> String {
    // It is escaped already inside the drawing; only quotes matter in an attribute.
    text.replace('"', "&quot;")
}

/// Text with a terminal's colours.
fn coloured(text: &str) -> String {
    ansi_to_html::convert(text).unwrap_or_else(|_| escape(&strip_colours(text)))
}

/// Rust in colours, by the kinds of its tokens. Commands are not Rust.
fn highlight(source: &str) -> String {
    let start = crate::cell::command::rust_start(source);
    let mut html = format!("<span class=\"cmd\">{}</span>", escape(&source[..start]));
    let before = "fn cell(){";
    let rust = &source[start..];
    let tree =
        SourceFile::parse(&format!("{before}{rust}\n}}"), Edition::Edition2024).syntax_node();
    let end = before.len() + rust.len();
    for token in tree
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
    {
        let range = token.text_range();
        let (from, to) = (usize::from(range.start()), usize::from(range.end()));
        if from < before.len() || from >= end {
            continue;
        }
        let text = escape(&token.text()[..to.min(end) - from]);
        let next = token.next_token().map(|next| next.kind());
        let parent = token.parent().map(|parent| parent.kind());
        let class = match token.kind() {
            SyntaxKind::COMMENT => "com",
            SyntaxKind::STRING
            | SyntaxKind::CHAR
            | SyntaxKind::BYTE_STRING
            | SyntaxKind::C_STRING => "str",
            SyntaxKind::INT_NUMBER | SyntaxKind::FLOAT_NUMBER => "num",
            SyntaxKind::LIFETIME_IDENT => "lif",
            kind if kind.is_keyword(Edition::Edition2024) => "key",
            SyntaxKind::IDENT if next == Some(SyntaxKind::BANG) => "mac",
            SyntaxKind::IDENT
                if next == Some(SyntaxKind::L_PAREN)
                    || parent == Some(SyntaxKind::NAME_REF) && next == Some(SyntaxKind::COLON2) =>
            {
                "fun"
            }
            SyntaxKind::IDENT if token.text().starts_with(char::is_uppercase) => "typ",
            _ => "",
        };
        match class {
            "" => html.push_str(&text),
            class => {
                let _ = write!(html, "<span class=\"{class}\">{text}</span>");
            }
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> &'static Path {
        Path::new(".")
    }

    #[test]
    fn formulas_become_mathml() {
        let html = markdown(
            r"$-\log p(x) = \tfrac12\int_0^\infty \mathrm{mmse}(x,\gamma)\,d\gamma$",
            here(),
            None,
        );
        assert!(
            html.contains("<math") && html.contains("∫") && !html.contains("class=\"formula\""),
            "{html}"
        );
        let display = markdown("$$\\frac{1}{2}$$", here(), None);
        assert!(
            display.contains("display=\"block\"") && display.contains("<mfrac"),
            "{display}"
        );
    }

    #[test]
    fn an_operator_with_an_index_has_two_parts() {
        let html = math(r"\log_2 p", DisplayMode::Inline);
        assert!(
            html.contains("<msub><mi>log</mi><mn>2</mn></msub>"),
            "{html}"
        );
    }

    #[test]
    fn a_formula_that_cannot_be_read_is_shown_as_written() {
        assert!(math(r"\nosuchcommand{", DisplayMode::Inline).contains("nosuchcommand"));
    }

    #[test]
    fn headings_can_be_linked_to() {
        assert!(markdown("## The gap", here(), None).contains("<h2 id=\"The-gap\">"));
    }

    #[test]
    fn code_is_coloured_and_escaped() {
        let html = highlight(":dep x\nlet s = \"<b>\"; // why\nprintln!(\"{}\", 1.5);");
        for part in [
            "<span class=\"cmd\">:dep x\n</span>",
            "<span class=\"key\">let</span>",
            "<span class=\"str\">&quot;&lt;b&gt;&quot;</span>",
            "<span class=\"com\">// why</span>",
            "<span class=\"mac\">println</span>",
            "<span class=\"num\">1.5</span>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn the_richest_form_is_shown_and_drawings_cannot_run_scripts() {
        let data = serde_json::json!({"text/plain": "text", "image/svg+xml": "<svg><script>alert(1)</script></svg>"});
        let html = bundle(&data, here());
        assert!(
            html.contains("data:image/svg+xml;base64,") && !html.contains("<script"),
            "{html}"
        );
    }

    #[test]
    fn pictures_have_words_for_those_who_cannot_see_them() {
        let svg = "<svg role=\"img\" aria-label=\"two &lt; three\" width=\"3\"><path/></svg>";
        let drawing = bundle(&serde_json::json!({ "image/svg+xml": svg }), here());
        assert!(drawing.contains("alt=\"two &lt; three\""), "{drawing}");
        let pixels = serde_json::json!({ "text/plain": ["a \"picture\"", "\nof pixels"], "image/png": "QUJD" });
        let pixels = bundle(&pixels, here());
        assert!(
            pixels.contains("alt=\"a &quot;picture&quot;\nof pixels\""),
            "{pixels}"
        );
    }

    #[test]
    fn attached_images_are_embedded() {
        let attached = serde_json::json!({"a.png": {"image/png": "QUJD"}});
        let html = markdown("![x](attachment:a.png)", here(), Some(&attached));
        assert!(
            html.contains("src=\"data:image/png;base64,QUJD\""),
            "{html}"
        );
    }
}
