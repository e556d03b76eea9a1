//! Markdown as HTML: formulas as MathML, headings that can be linked to, pictures and links where the page has them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html::push_html};
use pulldown_latex::config::DisplayMode;
use pulldown_latex::{RenderConfig, Storage, mathml};
use regex::{Captures, Regex};
use serde_json::Value;

use super::article::{Article, Formula, Heading, Place};
use super::code::{escape, highlight};

const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_MATH)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_TASKLISTS);

/// How headings are named in links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slug {
    /// `Probability is denoising` → `Probability-is-denoising`
    Jupyter,
    /// `Probability is denoising!` → `probability-is-denoising`
    GitHub,
}

impl Slug {
    fn of(self, words: &str) -> String {
        let words = words.trim();
        match self {
            Self::Jupyter => words.replace(char::is_whitespace, "-"),
            Self::GitHub => {
                let kept = words
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.collect::<String>().to_lowercase().replace(' ', "-")
            }
        }
    }
}

/// A text as HTML, in an article.
pub(super) fn html(
    article: &mut Article,
    text: &str,
    attachments: Option<&Value>,
    place: &mut dyn Place,
) -> String {
    let mut events: Vec<Event<'_>> = Vec::new();
    // Where a heading begins, its words without formulas, by which it is linked to, and with them.
    let mut heading: Option<(usize, String, String)> = None;
    let mut unlinked = 0;
    let mut in_picture = false;
    // Notes of two cells may have one name, and a heading may have it, too.
    let mut notes: HashMap<String, String> = HashMap::new();
    let text = &with_environments(text);
    let mut parser = Parser::new_ext(text, OPTIONS).peekable();
    while let Some(event) = parser.next() {
        let event = match event {
            // The words for those who cannot see a picture have no markup.
            Event::InlineMath(formula) | Event::DisplayMath(formula) if in_picture => {
                Event::Text(in_a_line(&math(&formula, DisplayMode::Inline)).into())
            }
            Event::InlineMath(formula) => {
                let before = touching_before(&mut events);
                let after = parser.next_if(|next| touching_after(next).is_some());
                let (after, rest) = match &after {
                    Some(Event::Text(text)) => text.split_at(touching(text)),
                    _ => ("", ""),
                };
                let formula = math(&formula, DisplayMode::Inline);
                match &mut heading {
                    Some((_, words, text)) => {
                        words.push_str(after);
                        text.push_str(&in_a_line(&formula));
                        text.push_str(after);
                    }
                    None => {
                        article.read(&in_a_line(&formula));
                        article.read(after);
                    }
                }
                events.push(Event::InlineHtml(match before.len() + after.len() {
                    0 => formula.into(),
                    _ => format!(
                        "<span class=\"whole\">{}{formula}{}</span>",
                        escape(&before),
                        escape(after)
                    )
                    .into(),
                }));
                if rest.is_empty() {
                    continue;
                }
                Event::Text(rest.to_owned().into())
            }
            Event::DisplayMath(formula) => {
                let id = article.new_id(&format!("formula-{}", article.formulas.len() + 1));
                let html = math(&formula, DisplayMode::Block);
                let shown = format!("<span class=\"formula\" id=\"{id}\">{html}</span>");
                article.read(&in_a_line(&html));
                article.formulas.push(Formula {
                    id,
                    html,
                    section: article.headings.len().checked_sub(1),
                });
                Event::InlineHtml(shown.into())
            }
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                if let Some(table) = place.named_table(&dest_url) {
                    let mut words = String::new();
                    for event in parser.by_ref() {
                        match event {
                            Event::Text(text) | Event::Code(text) => words.push_str(&text),
                            Event::InlineMath(formula) | Event::DisplayMath(formula) => {
                                words.push_str(&in_a_line(&math(&formula, DisplayMode::Inline)));
                            }
                            Event::SoftBreak | Event::HardBreak => words.push(' '),
                            Event::End(TagEnd::Image) => break,
                            _ => {}
                        }
                    }
                    article.read(&words);
                    let words = escape(&words);
                    // A table does not stand in a paragraph.
                    let shown =
                        format!("</p><figure>{table}<figcaption>{words}</figcaption></figure><p>");
                    events.push(Event::InlineHtml(shown.into()));
                    continue;
                }
                let attached = attachment(&dest_url, attachments);
                let address = match attached {
                    Some((mime, content)) => Some(place.picture(&mime, content)),
                    None => place.named_picture(&dest_url),
                };
                let dest_url = address.map_or(dest_url, CowStr::from);
                in_picture = true;
                Event::Start(Tag::Image {
                    link_type,
                    dest_url,
                    title,
                    id,
                })
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => match place.link(&dest_url) {
                Some(address) => Event::Start(Tag::Link {
                    link_type,
                    dest_url: address.into(),
                    title,
                    id,
                }),
                None => {
                    unlinked += 1;
                    continue;
                }
            },
            // Links do not stand in links.
            Event::End(TagEnd::Link) if unlinked > 0 => {
                unlinked -= 1;
                continue;
            }
            Event::End(TagEnd::Image) => {
                in_picture = false;
                event
            }
            Event::Html(html) => Event::Html(with_places(&html, attachments, place).into()),
            Event::InlineHtml(html) => {
                Event::InlineHtml(with_places(&html, attachments, place).into())
            }
            Event::FootnoteReference(name) => {
                Event::FootnoteReference(note(&mut notes, article, &name).into())
            }
            Event::Start(Tag::FootnoteDefinition(name)) => {
                let name = note(&mut notes, article, &name);
                Event::Start(Tag::FootnoteDefinition(name.into()))
            }
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new(), String::new()));
                event
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some((start, words, text)) = heading.take()
                    && let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(start)
                {
                    let name = article.new_id(&article.slug.of(&words));
                    id.get_or_insert(name.clone().into());
                    let mut html = String::new();
                    let inside = events[start + 1..].iter().cloned();
                    push_html(&mut html, inside.filter(|event| !of_link(event)));
                    let html = without_ids(&html);
                    article.head(Heading {
                        level: level as u8,
                        id: name,
                        html,
                        text,
                    });
                }
                event
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language)))
                if &*language == "rust" =>
            {
                let mut code = String::new();
                for event in parser.by_ref() {
                    match event {
                        Event::Text(text) => code.push_str(&text),
                        _ => break,
                    }
                }
                article.read(&code);
                let code = highlight(code.trim_end());
                Event::Html(format!("<pre class=\"code\"><code>{code}</code></pre>").into())
            }
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html("<div class=\"wide\">".into()));
                event
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                Event::Html("</div>".into())
            }
            event => event,
        };
        match &event {
            Event::Text(text) | Event::Code(text) => match &mut heading {
                Some((_, words, whole)) => {
                    words.push_str(text);
                    whole.push_str(text);
                }
                None => article.read(text),
            },
            Event::SoftBreak | Event::HardBreak | Event::End(_) => article.read(" "),
            _ => {}
        }
        events.push(event);
    }
    let mut html = String::new();
    push_html(&mut html, events.into_iter());
    named_columns(&html)
}

/// The id of a note in the page.
fn note(notes: &mut HashMap<String, String>, article: &mut Article, name: &str) -> String {
    let known = notes.entry(name.to_owned());
    let id = known.or_insert_with(|| article.new_id(&format!("note-{name}")));
    id.clone()
}

/// HTML that stands in a text, with its pictures and links where the page has them.
fn with_places(html: &str, attachments: Option<&Value>, place: &mut dyn Place) -> String {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        let picture = r#"(<img\b[^>]*?\bsrc\s*=\s*)(?:"([^"]*)"|'([^']*)')"#;
        let link = r#"(<a\b[^>]*?\bhref\s*=\s*)(?:"([^"]*)"|'([^']*)')"#;
        Regex::new(&format!("(?i){picture}|{link}")).expect("a valid expression")
    });
    let found = NAMED.replace_all(html, |found: &Captures<'_>| {
        let address = |from: usize| found.get(from).or(found.get(from + 1));
        let (before, address, new) = match (address(2), address(5)) {
            (Some(picture), _) => {
                let picture = picture.as_str();
                let new = match attachment(picture, attachments) {
                    Some((mime, content)) => Some(place.picture(&mime, content)),
                    None => place.named_picture(picture),
                };
                (&found[1], picture, new)
            }
            (None, Some(link)) => (&found[4], link.as_str(), place.link(link.as_str())),
            (None, None) => return found[0].to_owned(),
        };
        let address = new.unwrap_or_else(|| address.to_owned());
        format!("{before}\"{}\"", address.replace('"', "&quot;"))
    });
    found.into_owned()
}

/// A text in which environments of formulas that stand alone, as Jupyter shows them, are formulas of their own.
fn with_environments(text: &str) -> Cow<'_, str> {
    const NAMES: [&str; 8] = [
        "align",
        "align*",
        "equation",
        "equation*",
        "gather",
        "gather*",
        "eqnarray",
        "eqnarray*",
    ];
    if !text.contains("\\begin{") {
        return Cow::Borrowed(text);
    }
    let mut whole = String::new();
    // The fence or the dollars, and the environment, that the line stands in.
    let (mut fence, mut dollars, mut inside): (Option<String>, bool, Option<String>) =
        (None, false, None);
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let marks: String = words
            .chars()
            .take_while(|c| ['`', '~'].contains(c))
            .collect();
        match (&fence, &inside) {
            (Some(open), _) => {
                if marks.len() >= open.len() && marks.starts_with(&open[..1]) && marks == words {
                    fence = None;
                }
            }
            (None, Some(_)) => {}
            (None, None) if marks.len() >= 3 => fence = Some(marks),
            (None, None) => {
                let name = words
                    .strip_prefix("\\begin{")
                    .and_then(|rest| rest.split('}').next());
                // What is further in is code, or a part of a list that goes on.
                let shallow = line.len() - line.trim_start().len() < 4;
                if let Some(name) = name.filter(|name| shallow && !dollars && NAMES.contains(name))
                {
                    inside = Some(name.to_owned());
                    whole.push_str("$$\n");
                } else {
                    dollars ^= line.matches("$$").count() % 2 == 1;
                }
            }
        }
        whole.push_str(line);
        if let Some(name) = &inside
            && words.ends_with(&format!("\\end{{{name}}}"))
        {
            let end = if line.ends_with('\n') { "" } else { "\n" };
            whole.push_str(end);
            whole.push_str("$$\n");
            inside = None;
        }
    }
    match inside {
        // One that does not end is what it was.
        Some(_) => Cow::Borrowed(text),
        None => Cow::Owned(whole),
    }
}

/// HTML that stands in the page once more.
fn without_ids(html: &str) -> String {
    static ID: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(" id=\"[^\"]*\"").expect("a valid expression"));
    ID.replace_all(html, "").into_owned()
}

fn of_link(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link)
    )
}

/// A column without a name has no header.
pub(super) fn named_columns(html: &str) -> String {
    static EMPTY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("<th[^>]*></th>").expect("a valid expression"));
    EMPTY.replace_all(html, "<td></td>").into_owned()
}

/// A sentence as HTML: formulas and emphasis, and links as their words.
pub fn sentence(text: &str) -> String {
    struct Nowhere;
    impl Place for Nowhere {
        fn picture(&mut self, _: &str, _: Vec<u8>) -> String {
            String::new()
        }
        fn named_picture(&mut self, _: &str) -> Option<String> {
            None
        }
        fn named_table(&mut self, _: &str) -> Option<String> {
            None
        }
        fn link(&mut self, _: &str) -> Option<String> {
            None
        }
    }
    let html = Article::of_text(text, &mut Nowhere).html;
    html.trim()
        .trim_start_matches("<p>")
        .trim_end_matches("</p>")
        .to_owned()
}

/// The caption with which a text begins, without its signs of emphasis, and where the rest begins.
pub(super) fn caption(text: &str) -> Option<(&str, &str)> {
    let mut events = Parser::new_ext(text, OPTIONS).into_offset_iter();
    let first = [events.next()?.0, events.next()?.0];
    if !matches!(
        first,
        [Event::Start(Tag::Paragraph), Event::Start(Tag::Emphasis)]
    ) {
        return None;
    }
    let mut depth = 1;
    let Range { end, .. } = events.find_map(|(event, range)| {
        match event {
            Event::Start(Tag::Emphasis) => depth += 1,
            Event::End(TagEnd::Emphasis) => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(range)
    })?;
    let rest = &text[end..];
    let own = rest.is_empty() || rest.starts_with(char::is_whitespace);
    own.then(|| {
        (
            text[..end].trim().trim_matches(['*', '_']),
            rest.trim_start(),
        )
    })
}

/// How much of a text after a formula stays on its line: what stands there without a space.
fn touching(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

fn touching_after<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match event {
        Event::Text(text) => Some(&text[..touching(text)]).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// Takes what stands before a formula without a space off the text there.
fn touching_before(events: &mut [Event<'_>]) -> String {
    let Some(Event::Text(text)) = events.last_mut() else {
        return String::new();
    };
    let start = text.rfind(char::is_whitespace);
    let start = start.map_or(0, |at| {
        at + text[at..].chars().next().map_or(0, char::len_utf8)
    });
    let taken = text[start..].to_owned();
    *text = text[..start].to_owned().into();
    taken
}

pub(super) fn attachment(address: &str, attachments: Option<&Value>) -> Option<(String, Vec<u8>)> {
    let name = address.strip_prefix("attachment:")?;
    let (mime, data) = attachments?[name].as_object()?.iter().next()?;
    let content = data_encoding::BASE64
        .decode(data.as_str()?.as_bytes())
        .ok()?;
    Some((mime.clone(), content))
}

/// A formula as MathML; one that cannot be read is shown as it was written.
pub(super) fn math(formula: &str, mode: DisplayMode) -> String {
    let storage = Storage::new();
    let config = RenderConfig {
        display_mode: mode,
        ..RenderConfig::default()
    };
    let unread = || format!("<code class=\"unread\">{}</code>", escape(formula));
    let known = in_known_words(formula);
    let events: Result<Vec<_>, _> = pulldown_latex::Parser::new(&known, &storage).collect();
    let Ok(events) = events else {
        return unread();
    };
    let mut html = String::new();
    let events = events.into_iter().map(Ok::<_, std::convert::Infallible>);
    match mathml::push_mathml(&mut html, events, config) {
        Ok(()) => spaced(&html),
        Err(_) => unread(),
    }
}

/// A formula in the words that pulldown-latex knows. What is about numbers of formulas alone is left out, a tag stands
/// behind its line, and what a frame or a letter of another weight is put on stays.
fn in_known_words(formula: &str) -> Cow<'_, str> {
    static ASIDE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\label\s*\{[^{}]*\}|\\(?:nonumber|notag)\b").expect("a valid expression")
    });
    static MARK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\tag\*?\s*\{([^{}]*)\}").expect("a valid expression"));
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\(bm|boxed)\b").expect("a valid expression"));
    if !formula.contains('\\') {
        return Cow::Borrowed(formula);
    }
    let formula = formula.replace("{eqnarray", "{align");
    let formula = ASIDE.replace_all(&formula, "");
    let formula = MARK.replace_all(&formula, "\\qquad(\\text{$1})");
    let formula = WORD.replace_all(&formula, |found: &Captures<'_>| match &found[1] {
        "bm" => "\\boldsymbol",
        _ => "",
    });
    Cow::Owned(formula.into_owned())
}

/// The space before a named operator belongs before its whole script: pulldown-latex 0.8 puts it inside,
/// where `\log_2` then has three parts instead of two and is drawn wrongly. A slash has no space around it, as in TeX. A
/// fixed space is an entity there, which is then escaped.
fn spaced(mathml: &str) -> String {
    static LIST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("<mn>([^<]+,[^<]+)</mn>").expect("a valid expression"));
    const SPACE: &str = "<mspace width=\"0.1667em\" />";
    let mathml = LIST.replace_all(mathml, |list: &regex::Captures<'_>| {
        let parts: Vec<_> = list[1].split(',').collect();
        format!(
            "<mrow><mn>{}</mn></mrow>",
            parts.join("</mn><mo>,</mo><mn>")
        )
    });
    let mut html = mathml.replace("<mo>/</mo>", "<mo lspace=\"0\" rspace=\"0\">/</mo>");
    html = html.replace("&amp;nbsp;", "&nbsp;");
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

/// A formula, or other HTML, as a line of text, to be searched and shown where there is room for no more.
pub fn in_a_line(html: &str) -> String {
    static FRACTION: LazyLock<Regex> = LazyLock::new(|| {
        let part = "(<m[in]>[^<]*</m[in]>)";
        Regex::new(&format!("<mfrac>{part}{part}</mfrac>")).expect("a valid expression")
    });
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("<[^>]*>").expect("a valid expression"));
    let line = FRACTION.replace_all(html, "$1/$2");
    let line = line.replace("<msqrt>", "√").replace("</mfrac>", " ");
    let line = TAG.replace_all(&line, "");
    let entities = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ];
    entities
        .into_iter()
        .fold(line.into_owned(), |line, (entity, sign)| {
            line.replace(entity, sign)
        })
}

#[cfg(test)]
mod tests {
    use super::super::article::tests::Nowhere;
    use super::*;

    fn shown(text: &str) -> String {
        Article::of_text(text, &mut Nowhere).html
    }

    #[test]
    fn formulas_become_mathml() {
        let html = shown(r"$-\log p(x) = \tfrac12\int_0^\infty \mathrm{mmse}(x,\gamma)\,d\gamma$");
        assert!(
            html.contains("<math") && html.contains("∫") && !html.contains("class=\"unread\""),
            "{html}"
        );
        let display = shown("$$\\frac{1}{2}$$");
        assert!(
            display.contains("display=\"block\"") && display.contains("<mfrac"),
            "{display}"
        );
    }

    #[test]
    fn a_fixed_space_is_a_space() {
        for formula in [r"a\ b", "a~b", r"\text{a}\ \text{b}", r"\text{a b}"] {
            let html = math(formula, DisplayMode::Inline);
            assert!(!html.contains("amp;"), "{formula}: {html}");
            assert!(
                html.contains("&nbsp;") || html.contains("a b"),
                "{formula}: {html}"
            );
        }
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
    fn numbers_with_a_comma_are_a_list_and_a_slash_is_close() {
        let html = math("x_{0,1}", DisplayMode::Inline);
        let list = "<mrow><mn>0</mn><mo>,</mo><mn>1</mn></mrow></mrow></msub>";
        assert!(html.ends_with(&format!("{list}</math>")), "{html}");
        let html = math("1/T", DisplayMode::Inline);
        assert!(
            html.contains("<mo lspace=\"0\" rspace=\"0\">/</mo>"),
            "{html}"
        );
    }

    #[test]
    fn a_formula_that_cannot_be_read_is_shown_as_written() {
        assert!(math(r"\nosuchcommand{", DisplayMode::Inline).contains("nosuchcommand"));
    }

    #[test]
    fn what_jupyter_reads_as_a_formula_is_one() {
        for text in [
            "so\n\n\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}\n\nand",
            "\\begin{equation} a = b \\label{one} \\end{equation}",
            "$$a = b \\tag{1}$$",
            "$$\\begin{align*} a &= b \\nonumber \\\\ c &= d \\end{align*}$$",
            "$\\bm{x} + \\boxed{y}$",
        ] {
            let html = shown(text);
            assert!(
                html.contains("<math") && !html.contains("unread") && !html.contains("begin"),
                "{text}: {html}"
            );
        }
        for text in [
            "```\n\\begin{align}\n\\end{align}\n```",
            "    \\begin{align} x \\end{align}",
            "\\begin{align} x",
        ] {
            assert!(!shown(text).contains("<math"), "{text}");
        }
    }

    #[test]
    fn words_for_a_picture_have_no_markup() {
        let html = shown("![The $f(x)$ curve](a.png) and $y$");
        assert!(
            html.contains("alt=\"The f(x) curve\"") && html.contains("<mi>y</mi>"),
            "{html}"
        );
        let html = shown("![so\n$x$](figure:a/b)");
        assert!(html.contains("<figcaption>so x</figcaption>"), "{html}");
    }

    #[test]
    fn notes_of_two_cells_are_two_and_a_formula_in_a_heading_is_one() {
        let mut article = Article::of_text("# One[^1]\n\n## $$x$$\n\n[^1]: First.", &mut Nowhere);
        let second = super::html(&mut article, "Two[^1]\n\n[^1]: Second.", None, &mut Nowhere);
        assert!(
            article.html.contains("id=\"note-1\"") && article.html.contains("href=\"#note-1\"")
        );
        assert!(
            second.contains("id=\"note-1-1\"") && second.contains("href=\"#note-1-1\""),
            "{second}"
        );
        assert!(
            !article.headings[1].html.contains("id="),
            "{}",
            article.headings[1].html
        );
    }

    #[test]
    fn a_formula_and_what_touches_it_stay_on_a_line() {
        let html = shown("the gap ($a$), then $b$; more");
        let math = |x| format!("<math display=\"inline\"><mi>{x}</mi></math>");
        let wanted = [math("a"), math("b")];
        let a = format!("the gap <span class=\"whole\">({}),</span> then", wanted[0]);
        let b = format!(" then <span class=\"whole\">{};</span> more", wanted[1]);
        assert!(html.contains(&a) && html.contains(&b), "{html}");
    }

    #[test]
    fn headings_can_be_linked_to_and_have_names_of_their_own() {
        let article = Article::of_text(
            "# All\n\n## The `gap`, twice\n\nfirst\n\n## The gap, twice\n\nsecond",
            &mut Nowhere,
        );
        let ids: Vec<_> = article
            .headings
            .iter()
            .map(|heading| heading.id.as_str())
            .collect();
        assert_eq!(ids, ["all", "the-gap-twice", "the-gap-twice-1"]);
        assert!(
            article.html.contains("<h2 id=\"the-gap-twice-1\">"),
            "{}",
            article.html
        );
        assert_eq!(article.title.as_deref(), Some("All"));
        let found: Vec<_> = article
            .sections
            .iter()
            .map(|section| section.text.trim())
            .collect();
        assert_eq!(found, ["", "", "first", "second"]);
        assert_eq!(Slug::Jupyter.of("The gap"), "The-gap");
    }

    #[test]
    fn a_table_stands_where_a_picture_is_named() {
        let html = shown("![so it *is*](figure:a/b) and ![p](figure:a/c)");
        let table = "<figure><table></table><figcaption>so it is</figcaption></figure>";
        assert!(
            html.contains(table) && html.contains("src=\"figure:a/c\""),
            "{html}"
        );
    }

    #[test]
    fn a_caption_is_what_stands_in_italics_first() {
        assert_eq!(
            caption("*One, with $a_1$ and **two**.* The rest"),
            Some(("One, with $a_1$ and **two**.", "The rest"))
        );
        assert_eq!(caption("*All.*"), Some(("All.", "")));
        for other in ["**Bold** *x*", "No *x*", "- *x*", "", "*x*y"] {
            assert_eq!(caption(other), None, "{other}");
        }
    }
}
