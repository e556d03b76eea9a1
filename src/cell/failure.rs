//! Why a cell failed, in terms of the cells: compile errors, panics, errors at `?`, and the end of the
//! process.

use std::collections::HashMap;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use evcxr::CompilationError;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::source::Source;
use crate::reply::{Failure, UNDERLINE};

/// Codes that need no explanation: they say that something is not there, or written otherwise.
const PLAIN: &[&str] = &[
    "E0425", "E0412", "E0432", "E0433", "E0599", "E0609", "E0560",
];
/// Lines shown around the one that failed.
const CONTEXT: usize = 2;
/// Longest line that is shown as a proposal, in characters.
const LONGEST_LINE: usize = 100;
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

/// Whether the standard library's last words are that the stack has overflowed.
pub fn tells_of_the_stack(last_words: &str) -> bool {
    ["has overflowed its stack", "stack overflow"]
        .iter()
        .any(|words| last_words.contains(words))
}

/// What the session knows of names.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Why one that the compiler does not know cannot be used here.
    pub reason: &'a dyn Fn(&str) -> Option<String>,
    /// Whether it is an item of the user's.
    pub defines: &'a dyn Fn(&str) -> bool,
}

/// What the compiler had to say about a cell.
pub fn compile(
    errors: &[CompilationError],
    source: &Source,
    number: u32,
    names: Names<'_>,
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
        let mut messages = error.spanned_messages().iter();
        messages.any(|message| message.span.is_some()) || import(error, source).is_some()
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
        .map(|e| one(e, source, number, names))
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
            let line = line.map(|span| source.original_place(span.start_line, 1).0);
            let import = || {
                let before = &source.original[..import(error, source)?.start];
                Some(before.matches('\n').count() + 1)
            };
            let line = line.or_else(import).map(|line| format!(" (line {line})"));
            let message = outside_of_a_loop(error, source);
            let message = message.unwrap_or_else(|| readable(&error.message()));
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

/// What the compiler says of a cell that is no Rust, of which it has read nothing but the cell's own text, from `start`
/// on in its source. None if it says nothing.
pub fn syntax(messages: &[Value], start: usize, cell: &str, number: u32) -> Option<Failure> {
    let end = cell.trim_end().len();
    let at = |offset: &Value| usize::try_from(offset.as_u64()?).ok()?.checked_sub(start);
    let range = |span: &Value| {
        let (from, to) = (at(&span["byte_start"])?, at(&span["byte_end"])?);
        Some(from.min(end)..to.min(end))
    };
    let spans = |message: &Value| message["spans"].as_array().cloned().unwrap_or_default();
    let errors = messages
        .iter()
        .filter(|message| message["level"] == "error");
    let errors: Vec<&Value> = errors
        .filter(|message| !spans(message).is_empty())
        .collect();
    let mut value = None;
    let mut texts = Vec::new();
    for error in errors.iter().take(MOST_ERRORS) {
        let beyond = |span: &Value| at(&span["byte_start"]).is_some_and(|from| from >= end);
        let ends = spans(error).iter().any(beyond);
        let said = |text: &Value| {
            let text = text.as_str().unwrap_or_default();
            match ends {
                true => text.replace("found `}`", "found the end of the cell"),
                false => text.to_owned(),
            }
        };
        let message = said(&error["message"]);
        let mut annotations = Vec::new();
        for span in spans(error) {
            let primary = span["is_primary"] == true;
            let Some(range) = range(&span).filter(|range| primary || range.start < end) else {
                continue;
            };
            let kind = match primary {
                true => AnnotationKind::Primary,
                false => AnnotationKind::Context,
            };
            if primary && value.is_none() {
                let line = cell[..range.start].matches('\n').count() + 1;
                value = Some(format!("{message} (line {line})"));
            }
            let label = said(&span["label"]);
            let annotation = kind.span(range);
            annotations.push(match label.is_empty() {
                true => annotation,
                false => annotation.label(label),
            });
        }
        let title = Level::ERROR.primary_title(message);
        let mut group: Group<'_> = title.element(
            Snippet::source(cell.to_owned())
                .path(format!("cell [{number}]"))
                .annotations(annotations),
        );
        for child in error["children"].as_array().into_iter().flatten() {
            let level = match child["level"].as_str() {
                Some("help") => Level::HELP,
                Some("note") => Level::NOTE,
                _ => continue,
            };
            let message = said(&child["message"]);
            let parts: Option<Vec<_>> = spans(child)
                .iter()
                .map(|span| {
                    let text = span["suggested_replacement"].as_str()?.to_owned();
                    Some((range(span)?, text))
                })
                .collect();
            let words = parts
                .as_ref()
                .and_then(|parts| Some(parts.first()?.1.trim().to_owned()));
            group = group.element(
                level.message(match words.filter(|words| !words.is_empty()) {
                    Some(words) => suggestion(&message, &words, cell, parts.as_deref()),
                    None => message,
                }),
            );
        }
        texts.push(render(&[group]));
    }
    if errors.len() > MOST_ERRORS {
        texts.push(format!("… and {} more errors", errors.len() - MOST_ERRORS));
    }
    Some(Failure {
        name: "CompileError".to_owned(),
        value: value?,
        traceback: texts,
    })
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
    error.code().is_some_and(|code| codes.contains(&code)) || is_ours(error) || has_no_value(error)
}

/// Whether an error says that a macro stands for statements, and has no value that could be shown.
fn has_no_value(error: &CompilationError) -> bool {
    error.message().starts_with("macro expansion ignores")
}

/// Whether an error says that something is not there, or cannot be read.
pub fn is_about_names(error: &CompilationError) -> bool {
    let codes = [
        "E0405", "E0412", "E0422", "E0423", "E0425", "E0432", "E0433", "E0583",
    ];
    match error.code() {
        Some(code) => codes.contains(&code),
        None => error.level() == "error" && !has_no_value(error),
    }
}

fn one(error: &CompilationError, source: &Source, number: u32, names: Names<'_>) -> String {
    let primary = error.primary_spanned_message();
    let primary = primary.and_then(|message| message.span);
    let in_item = primary.is_some_and(|span| {
        source.is_in_item(byte_offset(source, span.start_line, span.start_column))
    });
    let readable = |text: &str| match in_item {
        true => readable(text),
        false => of_a_cell(&readable(text)),
    };
    let message = outside_of_a_loop(error, source);
    let outside = message.is_some();
    let message = message.unwrap_or_else(|| readable(&error.message()));
    let mut title = Level::ERROR.primary_title(message);
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
            let of_ours = outside && error.code() == Some("E0695");
            if !(message.label.is_empty() || of_ours || message.label.ends_with(&error.message())) {
                annotation = annotation.label(readable(&message.label));
            }
            annotations.push(annotation);
        }
    }
    if annotations.is_empty()
        && let Some(range) = import(error, source)
    {
        annotations.push(AnnotationKind::Primary.span(range));
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
            // What a macro of the standard library expands to is no proposal.
            let proposed = child["spans"].as_array().into_iter().flatten();
            let mut proposed = proposed.filter_map(|span| span["suggested_replacement"].as_str());
            if proposed.any(|text| text.contains("$crate")) {
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
            let proposals = !replacements.is_empty();
            if imports {
                replacements = worth_writing(&replacements, names);
            }
            if proposals && replacements.is_empty() {
                continue;
            }
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
                [first, ..] => {
                    let parts = parts_in_cell(error, child, source);
                    suggestion(&message, first, &source.original, parts.as_deref())
                }
            };
            let message = crate_to_add(&message).unwrap_or(message);
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
            .find_map(names.reason)
    {
        group = group.element(Level::HELP.message(reason));
    }
    let command = match error.code() {
        Some("E0425" | "E0423") => super::command::misplaced(&source.original),
        _ => None,
    };
    for hint in hint.into_iter().chain(command) {
        group = group.element(Level::HELP.message(hint));
    }
    render(&[group])
}

/// Of the imports that the compiler proposes, those that are the user's to write: not what the session imports itself,
/// nor a second path to what has one in `std` or the prelude.
fn worth_writing<'a>(imports: &[&'a str], names: Names<'_>) -> Vec<&'a str> {
    let path = |text: &'a str| text.trim_start_matches("use ").trim_end_matches(';');
    let all: Vec<&'a str> = imports.iter().map(|text| path(text)).collect();
    let is_there = |other: String| all.contains(&other.as_str());
    let wanted = |text: &'a str| {
        let Some((root, rest)) = path(text).split_once("::") else {
            return true;
        };
        let ours = ["itd_cell", "itd_impl_", "itd_macro_"];
        match root {
            "crate" => rest.split("::").next().is_some_and(names.defines),
            "core" | "alloc" => !is_there(format!("std::{rest}")),
            _ => !ours.iter().any(|name| rest.contains(name)),
        }
    };
    let imports = imports.iter().copied();
    imports.filter(|text| wanted(text)).collect()
}

/// Where the name stands that an import cannot find: evcxr takes imports apart, and does not know any more.
fn import(error: &CompilationError, source: &Source) -> Option<Range<usize>> {
    let spans = error.json["spans"].as_array()?;
    let primary = spans.iter().find(|span| span["is_primary"] == true)?;
    let text = &primary["text"][0];
    let line = text["text"].as_str()?;
    if !line.trim_start().starts_with("use ") {
        return None;
    }
    let (from, to) = (
        usize::try_from(text["highlight_start"].as_u64()?).ok()?,
        usize::try_from(text["highlight_end"].as_u64()?).ok()?,
    );
    let named: String = line
        .chars()
        .skip(from - 1)
        .take(to.checked_sub(from)?)
        .collect();
    let name = named.rsplit("::").next()?.split(" as ").next()?;
    source.in_import(name)
}

/// What the compiler proposes to write: the words alone where they say it, otherwise the line as it would be.
fn suggestion(
    message: &str,
    words: &str,
    cell: &str,
    parts: Option<&[(Range<usize>, String)]>,
) -> String {
    let telling = words.contains(char::is_alphanumeric)
        && parts.is_none_or(|parts| matches!(parts, [(range, _)] if !range.is_empty()));
    let line = parts
        .filter(|_| !telling)
        .and_then(|parts| applied(cell, parts));
    format!("{message}: `{}`", line.unwrap_or_else(|| words.to_owned()))
}

/// The line of a cell with some parts written otherwise, if they are all in one.
fn applied(cell: &str, parts: &[(Range<usize>, String)]) -> Option<String> {
    let mut parts: Vec<_> = parts.iter().collect();
    parts.sort_by_key(|(range, _)| range.start);
    let (first, last) = (&parts.first()?.0, &parts.last()?.0);
    let start = cell.get(..first.start)?.rfind('\n').map_or(0, |at| at + 1);
    let rest = cell.get(last.end..)?;
    let end = last.end + rest.find('\n').unwrap_or(rest.len());
    let mut out = String::new();
    let mut done = start;
    for (range, text) in parts {
        out.push_str(cell.get(done..range.start)?);
        // Types in full, as the compiler writes them.
        match text.strip_prefix(": ") {
            Some(ty) => out.push_str(&format!(": {}", super::types::short(ty))),
            None => out.push_str(text),
        }
        done = range.end;
    }
    out.push_str(&cell[done..end]);
    let out = out.trim();
    (!out.contains(['\n', '`']) && out.chars().count() <= LONGEST_LINE).then(|| out.to_owned())
}

/// The parts of a proposal as places in the cell; none if one of them is not of the cell's own text.
fn parts_in_cell(
    error: &CompilationError,
    child: &Value,
    source: &Source,
) -> Option<Vec<(Range<usize>, String)>> {
    // evcxr says where one span of the error is; the others are as far from it in its code as in the file.
    let known = error.primary_spanned_message()?.span?;
    let spans = error.json["spans"].as_array()?;
    let primary = spans.iter().find(|span| span["is_primary"] == true)?;
    let number = |span: &Value, name: &str| usize::try_from(span[name].as_u64()?).ok();
    let (line, column) = (
        number(primary, "line_start")?,
        number(primary, "column_start")?,
    );
    let offset = |at_line: usize, at_column: usize| {
        let code_line = (known.start_line + at_line).checked_sub(line)?;
        let code_column = match at_line == line {
            true => (known.start_column + at_column).checked_sub(column)?,
            false => at_column,
        };
        Some((code_line, code_column))
    };
    let part = |span: &Value| {
        let (from_line, from_column) =
            offset(number(span, "line_start")?, number(span, "column_start")?)?;
        let (to_line, to_column) = offset(number(span, "line_end")?, number(span, "column_end")?)?;
        let replaced = super::source::offset_of(&source.code, from_line, from_column)
            ..super::source::offset_of(&source.code, to_line, to_column);
        // What stands before it on its line must be the same in both.
        let before = source.code.get(..replaced.start)?;
        let before = before.rsplit('\n').next().unwrap_or_default();
        let line = span["text"][0]["text"].as_str()?;
        let count = number(span, "column_start")?.checked_sub(1)?;
        let there: String = line.chars().take(count).collect();
        if !there.ends_with(before) && !before.ends_with(&there) {
            return None;
        }
        let range = source.own(replaced)?;
        Some((
            range,
            without_marks(span["suggested_replacement"].as_str()?),
        ))
    };
    child["spans"].as_array()?.iter().map(part).collect()
}

/// How a crate is added here, from the compiler's words on how cargo adds it.
fn crate_to_add(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("use `cargo add ")?;
    let name = rest.split('`').next()?;
    Some(match super::command::held(name) {
        Some(path) => format!("the prelude holds `{name}` as `{path}`: write `{path}::…`"),
        None => format!("if `{name}` is a crate, `:dep {name} = \"*\"` before the code adds it"),
    })
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

/// How a cell ends before its last line.
const LEFT_EARLY: &str = "a cell is left early by `return Ok(());`, and its value is its last line";

/// Where an error is in the cell.
fn place(error: &CompilationError, source: &Source) -> Option<usize> {
    let span = error.primary_spanned_message()?.span?;
    Some(byte_offset(source, span.start_line, span.start_column))
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
        "E0308" if says("because of return type") => Some(LEFT_EARLY.to_owned()),
        "E0583" => Some(
            "a cell has no folder for modules: write `mod name { … }`, or take in a file's text by `%load FILE`"
                .to_owned(),
        ),
        "E0069" if !source.is_in_item(place(error, source)?) => Some(LEFT_EARLY.to_owned()),
        "E0267" | "E0695" => outside_of_a_loop(error, source).map(|_| LEFT_EARLY.to_owned()),
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
    let text = of_cargo(&without_marks(text)).replace("itd_prelude::itd_cell::CellError", "Error");
    short_paths(&text).replace("CellError", "Error")
}

/// cargo's words without those on what it does, and without the place of a file that nobody has written.
fn of_cargo(text: &str) -> String {
    let doing = [
        "Updating",
        "Locking",
        "Adding",
        "Downloading",
        "Downloaded",
        "Blocking",
    ];
    let is_doing = |line: &&str| {
        let words = line.trim_start();
        line.starts_with("   ") && doing.iter().any(|word| words.starts_with(word))
    };
    let lines = text.lines().filter(|line| !is_doing(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.trim_start_matches("error: ");
    match text.split_once("/cell/Cargo.toml`\n\nCaused by:\n") {
        Some((said, cause)) if said.starts_with("failed to parse manifest") => {
            cause.trim().to_owned()
        }
        _ => text.to_owned(),
    }
}

/// A text without the comments that say where a statement came from.
fn without_marks(text: &str) -> String {
    let mut parts = text.split("/*@");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("*/") {
            Some((mark, rest)) if mark.bytes().all(|b| b.is_ascii_digit() || b == b':') => {
                out.push_str(rest);
            }
            _ => {
                out.push_str("/*@");
                out.push_str(part);
            }
        }
    }
    out
}

/// What runs as a cell is a function to the compiler only.
fn of_a_cell(text: &str) -> String {
    text.replace("the current function", "the cell")
}

/// `break` and `continue` leave the closure that is made of a cell, or the block that is measured, if no other stands
/// around them.
fn outside_of_a_loop(error: &CompilationError, source: &Source) -> Option<String> {
    let around = error.spanned_messages().iter().find(|one| !one.is_primary);
    let own = around
        .and_then(|one| one.span)
        .is_some_and(|span| !source.is_inserted(span.start_line, span.start_column));
    let message = error.message();
    let message = message.trim_start_matches("unlabeled ");
    let (word, _) = message
        .split_once(" inside of a closure")
        .or_else(|| message.split_once(" inside of a labeled block"))?;
    (!own).then(|| format!("{word} outside of a loop"))
}

/// Types without their modules, as the compiler shows them when it need not be exact; imports that it
/// suggests stay whole.
fn short_paths(text: &str) -> String {
    let quoted = text.split('`').enumerate();
    let parts = quoted.map(|(index, part)| {
        match index % 2 == 1 && !part.starts_with("use ") && !part.contains('(') {
            true if part.contains(char::is_alphanumeric) => super::types::short(part),
            _ => part.to_owned(),
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
        assert_eq!(
            warning("the trait bound `std::str::Chars<'_>: std::iter::ExactSizeIterator`"),
            "the trait bound `Chars<'_>: ExactSizeIterator`"
        );
    }

    #[test]
    fn only_imports_that_a_user_would_write_are_proposed() {
        let names = Names {
            reason: &|_| None,
            defines: &|name| name == "own",
        };
        let proposed = [
            "use crate::rng::Rng;",
            "use itd_prelude::rng::Rng;",
            "use crate::own::Rng;",
            "use std::fmt::Error;",
            "use core::fmt::Error;",
            "use core::only::Here;",
            "use itd_prelude::itd_cell::cause::ViaNothing;",
        ];
        let kept = [proposed[1], proposed[2], proposed[3], proposed[5]];
        assert_eq!(worth_writing(&proposed, names), kept);
    }

    #[test]
    fn what_cargo_says_is_to_the_point() {
        for (said, shown) in [
            (
                "    Updating crates.io index\nerror: no matching package named `x` found",
                "no matching package named `x` found",
            ),
            (
                "error: failed to parse manifest at `/tmp/itd-1/cell/Cargo.toml`\n\nCaused by:\n  failed to parse the version",
                "failed to parse the version",
            ),
            ("cannot find value `x`", "cannot find value `x`"),
        ] {
            assert_eq!(of_cargo(said), shown);
        }
        assert_eq!(without_marks("a/*@3:1*/ /*@x*/b"), "a /*@x*/b");
    }

    #[test]
    fn a_proposal_is_the_line_as_it_would_be() {
        let part = |range: Range<usize>, text: &str| (range, text.to_owned());
        let cell = "f();\nlet n = None;";
        for (message, words, parts, shown) in [
            (
                "add `;` here",
                ";",
                vec![part(3..3, ";")],
                "add `;` here: `f();;`",
            ),
            (
                "a type",
                ": std::option::Option<T>",
                vec![part(10..10, ": std::option::Option<T>")],
                "a type: `let n: Option<T> = None;`",
            ),
            ("a name", "g", vec![part(0..1, "g")], "a name: `g`"),
            (
                "two lines",
                "x",
                vec![part(0..0, "x"), part(9..9, "y")],
                "two lines: `x`",
            ),
        ] {
            assert_eq!(suggestion(message, words, cell, Some(&parts)), shown);
        }
        assert_eq!(suggestion("a name", "g", cell, None), "a name: `g`");
        assert_eq!(
            crate_to_add("if you wanted, use `cargo add regex` to add it").as_deref(),
            Some("if `regex` is a crate, `:dep regex = \"*\"` before the code adds it")
        );
    }

    #[test]
    fn numbers_of_question_marks_are_lines_with_a_count() {
        assert_eq!(Place::told(2, 7), Place::line(2, 7));
        let place = Place::told(2, 2_000_007);
        assert_eq!((place.line, place.question), (7, Some(2_000_007)));
    }
}
