//! Why a cell failed, in terms of the cells: compile errors, panics, errors at `?`, and the end of the
//! process.

use std::collections::HashMap;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use evcxr::CompilationError;
use nix::sys::signal::Signal;

use super::source::Source;
use crate::reply::{Failure, UNDERLINE};

/// Codes that need no explanation: they say that something is not there, or written otherwise.
const PLAIN: &[&str] = &[
    "E0425", "E0412", "E0432", "E0433", "E0599", "E0609", "E0560",
];
/// Lines shown around the one that failed.
const CONTEXT: usize = 2;
/// Compile errors shown in full; the rest is counted.
const MOST_ERRORS: usize = 5;

/// The cells of a session as their users wrote them, by number.
pub type Cells = HashMap<u32, String>;

/// A `?` tells its line, and added to it this times which of its line's it is, from 1.
pub const LINES: u32 = 1_000_000;

/// A place in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub cell: u32,
    pub line: u32,
    /// The bytes of the cell that matter, if it is not all of the line.
    pub bytes: Option<(usize, usize)>,
    /// The number that a `?` has told.
    pub question: Option<u32>,
}

impl Place {
    /// A whole line.
    pub fn line(cell: u32, line: u32) -> Self {
        let (bytes, question) = (None, None);
        Self {
            cell,
            line,
            bytes,
            question,
        }
    }

    /// What a `?` or the last value of a cell tells.
    pub fn told(cell: u32, number: u32) -> Self {
        let question = (number >= LINES).then_some(number);
        Self {
            question,
            ..Self::line(cell, number % LINES)
        }
    }
}

/// A panic or an error at `?`, with the line on which it happened.
pub fn at_line(
    name: &str,
    value: &str,
    more: &[String],
    place: Option<Place>,
    cells: &Cells,
) -> Failure {
    let place = place.filter(|place| cells.contains_key(&place.cell));
    let first_line = value.lines().next().unwrap_or_default();
    let mut group = Group::with_title(Level::ERROR.with_name(name.to_owned()).primary_title(value));
    if let Some(place) = place {
        let cell = &cells[&place.cell];
        group = group.element(excerpt(cell, place));
    }
    for cause in more {
        group = group.element(Level::NOTE.with_name("caused by").message(cause));
    }
    let value = match place {
        Some(place) => format!("{first_line} (cell [{}], line {})", place.cell, place.line),
        None => first_line.to_owned(),
    };
    Failure {
        name: name.to_owned(),
        value,
        traceback: vec![render(&[group])],
    }
}

/// The lines around a place, with that line underlined.
fn excerpt(cell: &str, place: Place) -> Snippet<'static, Annotation<'static>> {
    let lines: Vec<&str> = cell.lines().collect();
    let index = (place.line as usize).clamp(1, lines.len().max(1)) - 1;
    let from = index.saturating_sub(CONTEXT);
    let to = (index + CONTEXT + 1).min(lines.len());
    let shown = lines.get(from..to).unwrap_or_default().join("\n");
    let start: usize = lines[from..index].iter().map(|line| line.len() + 1).sum();
    let line = lines.get(index).copied().unwrap_or_default();
    let indent = line.len() - line.trim_start().len();
    let mut span = start + indent..start + line.trim_end().len().max(indent);
    let before: usize = lines[..from].iter().map(|line| line.len() + 1).sum();
    if let Some((first, last)) = place.bytes
        && first >= before
        && last <= before + shown.len()
        && first < last
    {
        span = first - before..last - before;
    }
    Snippet::source(shown)
        .path(format!("cell [{}]", place.cell))
        .line_start(from + 1)
        .fold(false)
        .annotation(AnnotationKind::Primary.span(span))
}

/// What a signal that ended the process means: the kind of the failure, and what happened.
pub fn of_signal(number: i32) -> (&'static str, String) {
    let Ok(signal) = Signal::try_from(number) else {
        return (
            "Killed",
            format!("the process was ended by signal {number}"),
        );
    };
    match signal {
        Signal::SIGSEGV | Signal::SIGBUS => (
            "Segfault",
            format!(
                "the cell accessed memory that is not its own, or its stack overflowed ({signal})"
            ),
        ),
        Signal::SIGABRT => ("Abort", format!("the cell aborted the process ({signal})")),
        Signal::SIGKILL => (
            "Killed",
            format!("the system killed the process, perhaps for want of memory ({signal})"),
        ),
        _ => ("Killed", format!("the process was ended by {signal}")),
    }
}

/// What is known of names that the compiler does not know: why they cannot be used here.
pub type Reason<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the compiler had to say about a cell.
pub fn compile(
    errors: &[CompilationError],
    source: &Source,
    number: u32,
    reason: Reason<'_>,
) -> Failure {
    let mut errors: Vec<_> = errors
        .iter()
        .filter(|error| error.level() != "warning")
        .collect();
    // A mistake that leaves a type open also confuses the macros around it, and one with a variable what keeps it.
    let inserted = |error: &CompilationError| {
        let primary = error.primary_spanned_message();
        let span = primary.and_then(|message| message.span);
        span.is_some_and(|span| source.is_inserted(span.start_line, span.start_column))
    };
    let ours = |error: &&CompilationError| is_ours(error) || inserted(error);
    if !errors.iter().all(ours) {
        errors.retain(|error| !ours(error));
    }
    // An item of an earlier cell that does not fit any more has no place here; the cell's own mistakes come first.
    let placed = |error: &&CompilationError| {
        let messages = error.spanned_messages();
        messages.iter().any(|message| message.span.is_some())
    };
    if errors.iter().any(placed) {
        errors.retain(placed);
    }
    // The same mistake is often told once for each place that evcxr's own code repeats it in.
    let mut seen: Vec<(String, Option<(usize, usize)>)> = Vec::new();
    errors.retain(|error| {
        let place = error
            .primary_spanned_message()
            .and_then(|message| message.span);
        let key = (
            error.message(),
            place.map(|span| (span.start_line, span.start_column)),
        );
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
    let mut texts: Vec<String> = errors
        .iter()
        .take(MOST_ERRORS)
        .map(|e| one(e, source, number, reason))
        .collect();
    if errors.len() > MOST_ERRORS {
        texts.push(format!("… and {} more errors", errors.len() - MOST_ERRORS));
    }
    let codes = errors.iter().filter_map(|error| error.code());
    if let Some(code) = codes.into_iter().find(|code| !PLAIN.contains(code)) {
        texts.push(format!("`%explain {code}` tells more about such errors"));
    }
    let value = match errors.first() {
        Some(error) => {
            let code = error
                .code()
                .map(|code| format!("[{code}] "))
                .unwrap_or_default();
            let line = error
                .primary_spanned_message()
                .and_then(|message| message.span);
            let line =
                line.map(|span| format!(" (line {})", source.original_place(span.start_line, 1).0));
            let message = readable(&error.message());
            let message = message.lines().next().unwrap_or_default();
            format!("{code}{message}{}", line.unwrap_or_default())
        }
        None => "the cell does not compile".to_owned(),
    };
    Failure {
        name: "CompileError".to_owned(),
        value,
        traceback: texts,
    }
}

/// Whether an error is about what was put into the cell, and not about the cell.
pub fn is_ours(error: &CompilationError) -> bool {
    // The error type of the function that is made of a cell is part of many an honest message.
    let text = error
        .json
        .to_string()
        .replace("itd_cell::cause::CellError", "");
    let macros = ["itd_cell::cause::", "itd_cell::display::"];
    // What `?` may stand behind is the user's business.
    macros.iter().any(|path| text.contains(path)) && !error.message().starts_with("`?` cannot")
}

/// Whether an error says that a type is not known where it has to be.
pub fn is_ambiguous(error: &CompilationError) -> bool {
    let codes = ["E0282", "E0283", "E0284", "E0034"];
    error.code().is_some_and(|code| codes.contains(&code)) || is_ours(error)
}

fn one(error: &CompilationError, source: &Source, number: u32, reason: Reason<'_>) -> String {
    let primary = error.primary_spanned_message();
    let primary = primary.and_then(|message| message.span);
    let in_item = primary.is_some_and(|span| {
        source.is_in_item(byte_offset(source, span.start_line, span.start_column))
    });
    let readable = |text: &str| match in_item {
        true => readable(text),
        false => of_a_cell(&readable(text)),
    };
    let mut title = Level::ERROR.primary_title(readable(&error.message()));
    if let Some(code) = error.code() {
        title = title.id(code.to_owned());
    }
    let mut annotations = Vec::new();
    for message in error.spanned_messages() {
        if let Some(span) = message.span {
            let kind = match message.is_primary {
                true => AnnotationKind::Primary,
                false => AnnotationKind::Context,
            };
            let start = byte_offset(source, span.start_line, span.start_column);
            let end = byte_offset(source, span.end_line, span.end_column).max(start);
            let mut annotation = kind.span(start..end);
            // Where a variable comes from and goes to is no line of the user's.
            if !message.is_primary && source.is_inserted(span.start_line, span.start_column) {
                continue;
            }
            // evcxr puts the whole message where a label is missing.
            if !message.label.is_empty() && !message.label.ends_with(&error.message()) {
                annotation = annotation.label(readable(&message.label));
            }
            annotations.push(annotation);
        }
    }
    let mut group: Group<'_> = match annotations.is_empty() {
        true => Group::with_title(title),
        false => title.element(
            Snippet::source(source.original.clone())
                .path(format!("cell [{number}]"))
                .annotations(annotations),
        ),
    };
    let hint = hint(error, source);
    let mut imported = false;
    if let Some(children) = error.json["children"].as_array() {
        for child in children {
            let level = match child["level"].as_str() {
                Some("help") => Level::HELP,
                Some("note") => Level::NOTE,
                _ => continue,
            };
            let message = readable(child["message"].as_str().unwrap_or_default());
            let ours = [
                "itd_end",
                "evcxr_",
                "CellError",
                "itd_prelude::question",
                "itd_prelude::show",
                "dropping_references",
            ];
            if message.is_empty() || ours.iter().any(|name| message.contains(name)) {
                continue;
            }
            // Where it is declared is a line of ours.
            if hint.is_some() && message.contains("mutable") {
                continue;
            }
            let spans = child["spans"].as_array().into_iter().flatten();
            let mut replacements: Vec<&str> = spans
                .filter_map(|span| span["suggested_replacement"].as_str())
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect();
            replacements.dedup();
            let imports = replacements.iter().all(|text| text.starts_with("use "));
            let message = match &replacements[..] {
                [] => message,
                all if imports => match missing_trait(&message, all) {
                    Some(said) => {
                        imported = true;
                        said
                    }
                    None => format!("{message}: `{}`", all.join("` or `")),
                },
                // Another name is no help when the right one is only not imported.
                _ if imported && message.contains("similar name") => continue,
                [first, ..] => format!("{message}: `{first}`"),
            };
            if message.starts_with("items from traits can only be used") {
                continue;
            }
            group = group.element(level.message(message));
        }
    }
    if matches!(error.code(), Some("E0423" | "E0425" | "E0433"))
        && let Some(reason) = error
            .message()
            .split('`')
            .skip(1)
            .step_by(2)
            .find_map(reason)
    {
        group = group.element(Level::HELP.message(reason));
    }
    if let Some(hint) = hint {
        group = group.element(Level::HELP.message(hint));
    }
    render(&[group])
}

/// That a trait has to be imported, from the compiler's words and the imports that it proposes.
fn missing_trait(message: &str, imports: &[&str]) -> Option<String> {
    let about = message.contains("not in scope") || message.contains("to import");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let named = message
        .starts_with("trait `")
        .then(|| quoted.next())
        .flatten();
    let provided = match named {
        Some(_) => quoted.next(),
        None => message.contains("trait").then_some(""),
    };
    let provided = provided.filter(|_| about)?;
    let what = match provided {
        "" => "this".to_owned(),
        method => format!("`{method}`"),
    };
    let write = imports.join("` or `");
    let place = |import: &&str| {
        let path = import.trim_start_matches("use ").trim_end_matches(';');
        path.rsplit_once("::")
            .map(|(module, name)| (module.to_owned(), name.to_owned()))
    };
    match (imports, imports.first().and_then(place)) {
        ([_], Some((module, name))) => Some(format!(
            "{what} is of the trait `{name}`, which is in `{module}`: write `{write}`"
        )),
        _ => Some(format!(
            "{what} is of a trait that is not imported: write `{write}`"
        )),
    }
}

/// A warning of the compiler, in short.
pub fn warning(text: &str) -> String {
    readable(text)
}

/// What a notebook's reader may not know.
fn hint(error: &CompilationError, source: &Source) -> Option<String> {
    let message = error.message();
    let quoted = message.split('`').skip(1).step_by(2);
    let taken = quoted
        .into_iter()
        .find(|name| source.taken.contains_key(*name));
    let labels = error.spanned_messages();
    let says = |words: &str| labels.iter().any(|one| one.label.contains(words));
    match error.code()? {
        "E0384" | "E0594" | "E0596" => taken.map(|name| {
            format!("`{name}` of an earlier cell becomes mutable by `let mut {name} = {name};`")
        }),
        "E0597" | "E0373" | "E0521" | "E0505" if says("'static") => taken.map(|name| {
            format!(
                "`{name}` belongs to the session, and what outlives the cell needs one of its own: \
                 `let {name} = {name}.clone();`, then `move`"
            )
        }),
        "E0308" if says("because of return type") => Some(
            "a cell is left early by `return Ok(());`, and its value is its last line".to_owned(),
        ),
        _ => None,
    }
}

fn byte_offset(source: &Source, line: usize, column: usize) -> usize {
    let (line, column) = source.original_place(line, column);
    super::source::offset_of(&source.original, line, column)
}

/// A compiler's text without the names that only the generated code knows.
fn readable(text: &str) -> String {
    // The error type of the function that is made of a cell.
    let text = text.replace("itd_prelude::itd_cell::CellError", "Error");
    short_paths(&text).replace("CellError", "Error")
}

/// What runs as a cell is a function to the compiler only.
fn of_a_cell(text: &str) -> String {
    text.replace("the current function", "the cell")
}

/// Types without their modules, as the compiler shows them when it need not be exact; imports that it
/// suggests stay whole.
fn short_paths(text: &str) -> String {
    let quoted = text.split('`').enumerate();
    let parts = quoted.map(|(index, part)| {
        match index % 2 == 1 && !part.starts_with("use ") && !part.contains('(') {
            true => super::types::short(part),
            false => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("`")
}

fn render(report: &[Group<'_>]) -> String {
    let renderer = Renderer::styled().decor_style(DecorStyle::Unicode);
    legible(&renderer.render(report))
}

/// The text with words and underlines bold, and without colours: on the red that front ends give an error, no colour
/// can be told from both a dark and a light theme's.
fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut bold, mut rest) = (false, text);
    loop {
        let next = rest.find("\x1b[").unwrap_or(rest.len());
        let part = &rest[..next];
        let weighty = part.contains(|c: char| c.is_alphabetic() || c == UNDERLINE);
        match bold && weighty {
            true => out.push_str(&format!("\x1b[1m{part}\x1b[0m")),
            false => out.push_str(part),
        }
        let Some(code) = rest.get(next + 2..) else {
            return out;
        };
        let end = code.find('m').unwrap_or(code.len());
        bold = match &code[..end] {
            "0" | "" => false,
            style => bold || style.split(';').any(|code| code == "1"),
        };
        rest = code.get(end + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_bold_and_nothing_has_a_colour() {
        let place = Place::line(3, 2);
        let cells = Cells::from([(3, "let a = 1;\nlet b: i32 = \"x\";".to_owned())]);
        let failure = at_line("Panic", "gone", &["deep".to_owned()], Some(place), &cells);
        let text = failure.traceback.concat();
        assert!(text.contains("\x1b[1mPanic\x1b[0m"), "{text:?}");
        assert!(text.contains("\x1b[1m━━━"), "{text:?}");
        let styles: Vec<_> = text.split("\x1b[").skip(1).collect();
        assert!(
            styles
                .iter()
                .all(|part| part.starts_with("1m") || part.starts_with("0m"))
        );
        // A terminal has its own background.
        assert!(
            failure.coloured().contains("\x1b[1;31m━━━"),
            "{}",
            failure.coloured()
        );
        let plain = failure.plain();
        assert!(
            plain.contains("cell [3]:2:1") && plain.contains("2 │ let b"),
            "{plain}"
        );
        assert!(plain.contains("caused by: deep"), "{plain}");
    }

    #[test]
    fn only_what_a_question_mark_stands_behind_is_underlined() {
        let cell = "let n = 1;\nlet a = f(g(n)?, h(n)?);";
        let cells = Cells::from([(1, cell.to_owned())]);
        let from = cell.find("h(n)").expect("it is there");
        let place = Place {
            bytes: Some((from, from + 5)),
            ..Place::line(1, 2)
        };
        let text = at_line("io::Error", "no", &[], Some(place), &cells).plain();
        let underlined = text.lines().find(|line| line.contains('━')).expect(&text);
        assert_eq!(underlined.matches('━').count(), 5, "{text}");
        let at = |line: &str, c: &str| line.find(c).map(|at| line[..at].chars().count());
        let code = text
            .lines()
            .find(|line| line.contains("h(n)"))
            .expect(&text);
        assert_eq!(at(code, "h(n)"), at(underlined, "━"), "{text}");
    }

    #[test]
    fn a_trait_that_is_not_imported_is_named_with_its_place() {
        let message = "trait `Write` which provides `write_all` is implemented but not in scope; perhaps you want to import it";
        assert_eq!(
            missing_trait(message, &["use std::io::Write;"]).as_deref(),
            Some(
                "`write_all` is of the trait `Write`, which is in `std::io`: write `use std::io::Write;`"
            )
        );
        let message = "the following traits which provide `f` are implemented but not in scope; perhaps you want to import one of them";
        assert_eq!(
            missing_trait(message, &["use a::A;", "use b::B;"]).as_deref(),
            Some("this is of a trait that is not imported: write `use a::A;` or `use b::B;`")
        );
        assert_eq!(
            missing_trait("consider importing this struct", &["use a::A;"]),
            None
        );
        assert_eq!(
            warning("unused `std::result::Result<u8, std::string::String>` that must be used"),
            "unused `Result<u8, String>` that must be used"
        );
    }

    #[test]
    fn numbers_of_question_marks_are_lines_with_a_count() {
        assert_eq!(Place::told(2, 7), Place::line(2, 7));
        let place = Place::told(2, 2_000_007);
        assert_eq!((place.line, place.question), (7, Some(2_000_007)));
    }
}
