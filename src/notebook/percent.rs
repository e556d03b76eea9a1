//! Percent scripts: a notebook as a `.rs` file whose cells begin with `// %%`, as jupytext and editors know it.
//!
//! ```text
//! // %% [markdown]
//! // # A title
//!
//! // %% tags=["parameters"]
//! let epochs = 5;
//! ```
//!
//! Outputs are not part of it. As jupytext does, lines like `:dep …` are written as comments, so that the file looks
//! like Rust to an editor.

use nbformat::v4::{Cell, CellId, CellMetadata, Metadata, Notebook};
use serde_json::Value;

use super::file;
use crate::cell::script::{self, MARK, mark};

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Markdown,
    Raw,
}

/// Reads a script; text before the first mark is a cell of code.
pub fn read(script: &str) -> Notebook {
    let body = without_header(script);
    let mut cells = Vec::new();
    let mut options = "";
    let mut lines: Vec<&str> = Vec::new();
    let mut begun = false;
    for line in body.lines() {
        match mark(line) {
            Some(next) => {
                if begun || lines.iter().any(|line| !line.trim().is_empty()) {
                    cells.push(cell(cells.len() + 1, options, &lines));
                }
                (options, begun) = (next, true);
                lines.clear();
            }
            None => lines.push(line),
        }
    }
    if begun || lines.iter().any(|line| !line.trim().is_empty()) {
        cells.push(cell(cells.len() + 1, options, &lines));
    }
    Notebook {
        metadata: Metadata::default(),
        nbformat: 4,
        nbformat_minor: 5,
        cells,
    }
}

/// The script without a mark that editors leave, the line for the system (`#!/usr/bin/env …`) and jupytext's own lines
/// at its top.
fn without_header(script: &str) -> &str {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let script = match script.split_once('\n') {
        Some((line, rest)) if line.starts_with("#!") && !line.starts_with("#![") => rest,
        _ => script,
    };
    let Some(rest) = script.strip_prefix("// ---\n") else {
        return script;
    };
    match rest.find("\n// ---\n") {
        Some(end) => &rest[end + 8..],
        None => script,
    }
}

fn cell(number: usize, options: &str, lines: &[&str]) -> Cell {
    let end = lines.iter().rposition(|line| !line.trim().is_empty());
    let lines = &lines[..end.map_or(0, |end| end + 1)];
    let kind = match () {
        () if options.contains("[markdown]") || options.contains("[md]") => Kind::Markdown,
        () if options.contains("[raw]") => Kind::Raw,
        () => Kind::Code,
    };
    let tags = option(options, "tags=");
    let metadata = CellMetadata {
        tags: tags.and_then(|tags| serde_json::from_value(tags).ok()),
        ..metadata()
    };
    let id = CellId::new(&format!("cell-{number}")).unwrap_or_else(|_| uuid::Uuid::new_v4().into());
    let language = option(options, "language=");
    let text = match (kind, language.as_ref().and_then(Value::as_str)) {
        (Kind::Code, Some(language)) => format!("%%{language}\n{}", uncommented(lines)),
        (Kind::Code, None) => {
            let lines: Vec<&str> = lines.iter().map(|line| script::read_line(line)).collect();
            lines.join("\n")
        }
        _ => uncommented(lines),
    };
    let source = file::lines(&text);
    match kind {
        Kind::Code => Cell::Code {
            id,
            metadata,
            execution_count: None,
            source,
            outputs: Vec::new(),
        },
        Kind::Markdown => Cell::Markdown {
            id,
            metadata,
            source,
            attachments: None,
        },
        Kind::Raw => Cell::Raw {
            id,
            metadata,
            source,
        },
    }
}

/// The JSON behind a name among the options of a mark.
fn option(options: &str, name: &str) -> Option<Value> {
    let at = options.find(name)? + name.len();
    let mut values = serde_json::Deserializer::from_str(&options[at..]).into_iter();
    values.next()?.ok()
}

/// Metadata of a cell that says nothing.
pub fn metadata() -> CellMetadata {
    CellMetadata {
        id: None,
        collapsed: None,
        scrolled: None,
        deletable: None,
        editable: None,
        format: None,
        name: None,
        tags: None,
        jupyter: None,
        execution: None,
        additional: Default::default(),
    }
}

/// Text that stands in comments.
fn uncommented(lines: &[&str]) -> String {
    let text = lines.join("\n");
    let inside = text
        .strip_prefix("/*")
        .and_then(|text| text.strip_suffix("*/"));
    if let Some(inside) = inside {
        return inside.trim().to_owned();
    }
    let bare = |line: &&str| {
        let rest = line.strip_prefix("//").unwrap_or(line);
        rest.strip_prefix(' ').unwrap_or(rest).to_owned()
    };
    let lines: Vec<String> = lines.iter().map(bare).collect();
    lines.join("\n")
}

/// Writes a notebook's cells as a script.
pub fn write(notebook: &Notebook) -> String {
    let mut text = String::new();
    for cell in &notebook.cells {
        let source = file::source(cell);
        let kind = match cell {
            Cell::Code { .. } => Kind::Code,
            Cell::Markdown { .. } => Kind::Markdown,
            Cell::Raw { .. } => Kind::Raw,
        };
        let shell = ["bash", "sh"].into_iter().find(|name| {
            let first = source.lines().next().unwrap_or_default();
            first.trim_end() == format!("%%{name}")
        });
        text.push_str(MARK);
        match (kind, shell) {
            (Kind::Markdown, _) => text.push_str(" [markdown]"),
            (Kind::Raw, _) => text.push_str(" [raw]"),
            (Kind::Code, Some(shell)) => text.push_str(&format!(" language=\"{shell}\"")),
            (Kind::Code, None) => {}
        }
        let tags: Vec<_> = cell.metadata().tags.iter().flatten().collect();
        if !tags.is_empty() {
            text.push_str(&format!(" tags={}", serde_json::json!(tags)));
        }
        text.push('\n');
        let comment = |line: &str| format!("// {line}").trim_end().to_owned();
        for line in source.lines().skip(usize::from(shell.is_some())) {
            match kind {
                Kind::Code if shell.is_none() => text.push_str(&script::write_line(line)),
                _ => text.push_str(&comment(line)),
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "// %% [markdown]\n// # Title\n//\n// words\n\n\
        // %% tags=[\"parameters\"]\nlet x = 5;\n\n\
        // %%\n%%opt 3\n// :dep regex = \"1\"\n%time f(x)\n// a comment\n\nfn f() {}\n\n\
        // %% language=\"bash\"\n// ls\n\n\
        // %% [raw]\n// raw\n";

    fn sources(notebook: &Notebook) -> Vec<String> {
        notebook.cells.iter().map(file::source).collect()
    }

    #[test]
    fn a_script_is_a_notebook_and_back() {
        let notebook = read(SCRIPT);
        assert_eq!(
            sources(&notebook),
            [
                "# Title\n\nwords",
                "let x = 5;",
                "%%opt 3\n:dep regex = \"1\"\n%time f(x)\n// a comment\n\nfn f() {}",
                "%%bash\nls",
                "raw"
            ]
        );
        let tags = notebook.cells[1].metadata().tags.clone();
        assert_eq!(tags, Some(vec!["parameters".to_owned()]));
        assert!(matches!(notebook.cells[0], Cell::Markdown { .. }));
        assert!(matches!(notebook.cells[4], Cell::Raw { .. }));
        assert_eq!(write(&notebook), SCRIPT);
        assert_eq!(notebook.cells[2].id().as_str(), "cell-3");
    }

    #[test]
    fn what_looks_like_a_command_or_a_mark_is_what_it_was() {
        let cells = [
            "// :dep regex = \"1\"\nlet x = 1;",
            ":dep regex = \"1\"\n// // :dep it\n// :param x the input",
            "%%writefile s.rs\n// %%\nlet x = 1;\n// // %% [markdown]\n//%%\n// //%%\n// %%opt 3",
            "let s = r\"\n// %%\n\";",
        ];
        let mut notebook = read("// %%\na\n\n// %%\nb\n\n// %%\nc\n\n// %%\nd\n");
        for (cell, text) in notebook.cells.iter_mut().zip(cells) {
            if let Cell::Code { source, .. } = cell {
                *source = file::lines(text);
            }
        }
        assert_eq!(sources(&read(&write(&notebook))), cells);
        assert_eq!(sources(&read("// %% [markdown]\n/*/\n")), ["/*/"]);
    }

    #[test]
    fn a_script_need_not_have_a_mark() {
        assert_eq!(sources(&read("let x = 1;\n\nx\n")), ["let x = 1;\n\nx"]);
        assert!(read("").cells.is_empty());
        let script = "\u{feff}#!/usr/bin/env -S itd run\n// %%\nx\n";
        assert_eq!(sources(&read(script)), ["x"]);
        assert_eq!(
            sources(&read("#![allow(unused)]\nx\n")),
            ["#![allow(unused)]\nx"]
        );
        assert_eq!(sources(&read("\n// %%\n\n// %%\nx\n")), ["", "x"]);
        // Neither is a mark.
        assert_eq!(
            sources(&read("// %%opt 3\n//%%%\nx")),
            ["// %%opt 3\n//%%%\nx"]
        );
    }

    #[test]
    fn what_jupytext_puts_at_the_top_is_no_cell() {
        let script =
            "// ---\n// jupyter:\n//   x: 1\n// ---\n\n// %% [md] A name\n/* # B\nmore */\n";
        assert_eq!(sources(&read(script)), ["# B\nmore"]);
    }
}
