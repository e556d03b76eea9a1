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
        // Blanks at the end of a line are a line break in Markdown.
        let comment = |line: &str| match line {
            "" => "//".to_owned(),
            line => format!("// {line}"),
        };
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

/// Gives cells of a script what a script does not have, from the notebook that was made of it before: identifiers,
/// metadata and attachments, and with `outputs` those of cells whose code is the same. Cells are told by their text, and
/// one that was changed by the cell before it.
pub fn adopt(notebook: &mut Notebook, before: Notebook, outputs: bool) {
    notebook.metadata = before.metadata;
    let mut left: Vec<Option<Cell>> = before.cells.into_iter().map(Some).collect();
    let kind = std::mem::discriminant::<Cell>;
    let mut place: Vec<Option<usize>> = notebook
        .cells
        .iter()
        .scan(vec![false; left.len()], |taken, cell| {
            let same =
                |old: &Cell| kind(old) == kind(cell) && file::source(old) == file::source(cell);
            let found =
                (0..left.len()).find(|&at| !taken[at] && left[at].as_ref().is_some_and(same));
            if let Some(at) = found {
                taken[at] = true;
            }
            Some(found)
        })
        .collect();
    for index in 0..place.len() {
        let next = match index {
            0 => Some(0),
            _ => place[index - 1].map(|at| at + 1),
        };
        let free = next.filter(|at| !place.contains(&Some(*at)));
        let alike = |at: &usize| {
            let old = left.get(*at).and_then(Option::as_ref);
            old.is_some_and(|old| kind(old) == kind(&notebook.cells[index]))
        };
        if place[index].is_none() {
            place[index] = free.filter(alike);
        }
    }
    let known: Vec<String> = place
        .iter()
        .flatten()
        .filter_map(|&at| Some(left[at].as_ref()?.id().as_str().to_owned()))
        .collect();
    for (cell, place) in notebook.cells.iter_mut().zip(place) {
        let old = place.and_then(|at| left[at].take());
        let fresh = old.is_none();
        let same = old
            .as_ref()
            .is_some_and(|old| file::source(old) == file::source(cell));
        let tags = cell.metadata().tags.clone();
        match (&mut *cell, old) {
            (
                Cell::Code {
                    id,
                    metadata,
                    execution_count,
                    outputs: shown,
                    ..
                },
                Some(Cell::Code {
                    id: old_id,
                    metadata: old_metadata,
                    execution_count: old_count,
                    outputs: old_shown,
                    ..
                }),
            ) => {
                (*id, *metadata) = (old_id, old_metadata);
                if outputs && same {
                    (*execution_count, *shown) = (old_count, old_shown);
                }
            }
            (
                Cell::Markdown {
                    id,
                    metadata,
                    attachments,
                    ..
                },
                Some(Cell::Markdown {
                    id: old_id,
                    metadata: old_metadata,
                    attachments: old_attachments,
                    ..
                }),
            ) => (*id, *metadata, *attachments) = (old_id, old_metadata, old_attachments),
            (
                Cell::Raw { id, metadata, .. },
                Some(Cell::Raw {
                    id: old_id,
                    metadata: old_metadata,
                    ..
                }),
            ) => (*id, *metadata) = (old_id, old_metadata),
            _ => {}
        }
        // Tags stand in the script.
        let (Cell::Code { id, metadata, .. }
        | Cell::Markdown { id, metadata, .. }
        | Cell::Raw { id, metadata, .. }) = cell;
        metadata.tags = tags;
        if fresh && known.iter().any(|other| other == id.as_str()) {
            *id = uuid::Uuid::new_v4().into();
        }
    }
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
    fn line_breaks_of_markdown_stay() {
        let mut notebook = read("// %% [markdown]\n// a\n");
        let text = "first  \nsecond\n\nthird ";
        if let Cell::Markdown { source, .. } = &mut notebook.cells[0] {
            *source = file::lines(text);
        }
        let script = write(&notebook);
        assert!(script.contains("// first  \n// second\n//\n"), "{script}");
        assert_eq!(sources(&read(&script))[0], text.trim_end());
    }

    /// The notebook of before has what a script has no place for.
    #[test]
    fn a_notebook_keeps_what_its_script_does_not_have() {
        let text = serde_json::json!({"cells": [
            {"cell_type": "markdown", "id": "title", "metadata": {"points": 3}, "source": "# Title",
                "attachments": {"a.png": {"image/png": "AAAA"}}},
            {"cell_type": "code", "id": "first", "metadata": {"tags": ["old"], "jupyter": {"source_hidden": true}},
                "source": "let x = 1;", "execution_count": 4, "outputs": [{"output_type": "stream", "name": "stdout", "text": "one"}]},
            {"cell_type": "code", "id": "second", "metadata": {"points": 2}, "source": "let y = 2;",
                "execution_count": 5, "outputs": [{"output_type": "stream", "name": "stdout", "text": "two"}]},
            {"cell_type": "code", "id": "cell-4", "metadata": {}, "source": "x + y", "execution_count": 6, "outputs": []},
        ], "metadata": {"kernelspec": {"name": "itd", "display_name": "Rust (itd)", "language": "rust"}, "course": "one"}, "nbformat": 4, "nbformat_minor": 5});
        let before = file::parse(&text.to_string()).expect("a notebook");
        // The first cell of code has another tag, the second another text, and there is a new one before the last.
        let script = "// %% [markdown]\n// # Title\n\n// %% tags=[\"new\"]\nlet x = 1;\n\n// %%\nlet y = 3;\n\n\
            // %%\nlet z = 0;\n\n// %%\nx + y\n";
        for outputs in [false, true] {
            let mut notebook = read(script);
            adopt(&mut notebook, before.clone(), outputs);
            let ids: Vec<&str> = notebook
                .cells
                .iter()
                .map(|cell| cell.id().as_str())
                .collect();
            assert_eq!(ids[..3], ["title", "first", "second"]);
            assert_eq!(ids[4], "cell-4");
            assert!(!ids[..3].contains(&ids[3]) && ids[3] != ids[4], "{ids:?}");
            let cell = |at: usize| serde_json::to_value(&notebook.cells[at]).expect("JSON");
            assert_eq!(cell(0)["metadata"]["points"], 3);
            assert_eq!(cell(0)["attachments"]["a.png"]["image/png"], "AAAA");
            assert_eq!(cell(1)["metadata"]["tags"], serde_json::json!(["new"]));
            assert_eq!(cell(1)["metadata"]["jupyter"]["source_hidden"], true);
            assert_eq!(
                cell(1)["outputs"].as_array().map(Vec::len),
                Some(usize::from(outputs))
            );
            assert_eq!(cell(2)["metadata"]["points"], 2);
            assert_eq!(
                cell(2)["outputs"].as_array().map(Vec::len),
                Some(0),
                "its text has changed"
            );
            let metadata = serde_json::to_value(&notebook.metadata).expect("JSON");
            assert_eq!(metadata["course"], "one");
        }
        let mut empty = read("");
        adopt(&mut empty, before.clone(), true);
        assert!(empty.cells.is_empty());
        let mut again = read(&write(&before));
        adopt(&mut again, before.clone(), true);
        for cell in &mut again.cells {
            assert!(before.cells.iter().any(|old| old.id() == cell.id()));
        }
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
