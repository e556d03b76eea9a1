//! What comes back from executing a cell. Plain types; they import nothing of ours but the bundle.
//!
//! Front ends, notebooks and terminals are all filled from these.

use std::time::Duration;

pub use crate::frame::Bundle;

/// Something that a cell shows while it runs, in the order in which it shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Text on standard output.
    Stdout(String),
    /// Text on standard error.
    Stderr(String),
    /// A display; with an `id` it can be replaced, with `update` it replaces.
    Display {
        data: Bundle,
        id: Option<String>,
        update: bool,
    },
    /// Remove all that was shown; with `wait`, when the next output comes.
    Clear { wait: bool },
    /// The value of the last expression.
    Result(Bundle),
    /// Something that is for the front end to do, and no part of a notebook.
    Payload(Payload),
}

/// What a front end is asked to do when the cell is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Show a text apart from the outputs, as a pager does.
    Page(Bundle),
    /// Put code into the next input, or in the place of this one.
    NextInput { code: String, replace: bool },
    /// End, and the kernel with it.
    Exit,
}

/// How a cell ended.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Time that building it took.
    pub build: Duration,
    /// Time that it ran.
    pub run: Duration,
}

impl Reply {
    /// That of a cell that never ran.
    pub fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }
}

/// Of what underlines in a traceback are made.
pub const UNDERLINE: char = '━';

/// Why a cell failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind: `Panic`, `CompileError`, `Segfault`, `ProcessExit`, `Killed`, `Interrupted`, or the name of
    /// the error's type.
    pub name: String,
    /// What happened, in one line.
    pub value: String,
    /// What happened, where, and what was lost, for people; what matters is bold.
    pub traceback: Vec<String>,
}

impl Failure {
    /// A failure that has no place in a cell.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let traceback = vec![format!("\x1b[1m{name}\x1b[0m: {value}")];
        Self {
            name,
            value,
            traceback,
        }
    }

    /// Adds a line to the traceback.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.traceback.push(note.into());
        self
    }

    /// The traceback for a terminal, where underlines have a colour.
    pub fn coloured(&self) -> String {
        let text = self.traceback.join("\n");
        let line = format!("\x1b[1m{UNDERLINE}");
        text.replace(&line, &format!("\x1b[1;31m{UNDERLINE}"))
    }

    /// The traceback as text without colours.
    pub fn plain(&self) -> String {
        strip_colours(&self.traceback.join("\n"))
    }
}

/// A bundle in the type that the protocol and notebook files use.
pub fn media(bundle: Bundle) -> jupyter_protocol::Media {
    // One entry that is not what its type promises does not take the others with it.
    let mut media = jupyter_protocol::Media::default();
    for (mime, content) in bundle {
        let one = serde_json::Map::from_iter([(mime, content)]);
        let read = serde_json::from_value(serde_json::Value::Object(one));
        let read: jupyter_protocol::Media = read.unwrap_or_default();
        media.content.extend(read.content);
    }
    media
}

/// Text without terminal colours.
pub fn strip_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(&rest[..at]);
        let code = &rest[at + 2..];
        let end = code.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &code[end + 1..]);
    }
    out + rest
}

/// Text as its last state on a terminal: what a carriage return overwrites is gone.
pub fn settle(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let (content, end) = match line.strip_suffix('\n') {
                Some(content) => (content.strip_suffix('\r').unwrap_or(content), "\n"),
                None => (line, ""),
            };
            let last = content
                .rsplit('\r')
                .find(|part| !part.is_empty())
                .unwrap_or("");
            format!("{last}{end}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_text_stays() {
        assert_eq!(strip_colours("\x1b[1;31mred\x1b[0m é"), "red é");
        assert_eq!(strip_colours("cut \x1b[1;3"), "cut ");
    }

    #[test]
    fn a_carriage_return_overwrites_its_line() {
        assert_eq!(settle("10 %\r20 %\r30 %\ndone\r\n"), "30 %\ndone\n");
        assert_eq!(settle("10 %\r"), "10 %");
    }
}
