//! Places in a cell's text, and documentation as text.

use std::path::{Path, PathBuf};

use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, TextSize};

use super::{Candidate, Completion};
use crate::cell::command::{self, rust_start};

/// File names that are offered at most.
const MOST_FILES: usize = 200;

/// The byte at which a character begins; front ends count in characters.
pub fn byte(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(at, _)| at)
}

/// Where the word that ends at a byte begins.
pub fn word_start(text: &str, at: usize) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text[..at]
        .char_indices()
        .rev()
        .take_while(|(_, c)| word(*c))
        .last()
        .map_or(at, |(start, _)| start)
}

/// Where the line that a byte is in begins.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The names that are written in a cell, but for the one that begins at a byte.
pub fn names(cell: &str, but: usize) -> Vec<String> {
    let rust = rust_start(cell);
    let root = SourceFile::parse(&cell[rust..], Edition::Edition2024).syntax_node();
    let tokens = root.descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    let names = tokens.filter(|token| {
        let start = usize::from(token.text_range().start()) + rust;
        token.kind() == SyntaxKind::IDENT && start != but
    });
    names.map(|token| token.text().to_owned()).collect()
}

/// Whether any name that is in scope may stand at a byte: no path or receiver comes before it.
pub fn wants_names(text: &str, at: usize) -> bool {
    let before = text[..word_start(text, at)].trim_end();
    let range = before.ends_with("..");
    !before.ends_with("::") && (range || !before.ends_with('.'))
}

/// Names of commands, if a byte is behind the beginning of one.
pub fn commands(cell: &str, at: usize) -> Option<Completion> {
    let line = line_start(cell, at);
    let word = cell[line..at].trim_start_matches(' ');
    let is_command = word.starts_with([':', '%']) && !word.contains(char::is_whitespace);
    if !is_command || line >= rust_start(cell) {
        return None;
    }
    let known = command::all().filter(|(name, _)| name.starts_with(word));
    let candidates = known.map(|(text, does)| Candidate {
        text,
        kind: "magic".to_owned(),
        detail: does.to_owned(),
    });
    let characters = |to: usize| cell[..to].chars().count();
    Some(Completion {
        start: characters(at - word.len()),
        end: characters(at),
        candidates: candidates.collect(),
    })
}

/// Names of files, if a byte is inside a string that could be a path.
pub fn file_names(cell: &str, at: usize) -> Option<Completion> {
    let start = rust_start(cell);
    let inside = at.checked_sub(start)?;
    let text = format!("fn cell(){{{}\n}}", &cell[start..]);
    let offset = TextSize::try_from("fn cell(){".len() + inside).ok()?;
    let root = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let token = root
        .token_at_offset(offset)
        .find(|token| token.kind() == SyntaxKind::STRING && token.text_range().start() < offset)?;
    let begins = usize::from(token.text_range().start());
    let quote = token.text().find('"')?;
    let opened = begins + quote + 1;
    // One that is not closed goes on to the end.
    let ends = token.text().rfind('"').filter(|end| *end > quote);
    if opened > usize::from(offset) || ends.is_some_and(|end| begins + end < usize::from(offset)) {
        return None;
    }
    let written = text.get(opened..usize::from(offset))?;
    if written.contains(['{', '\\', '\n']) {
        return None;
    }
    let (folder, name) = match written.rfind('/') {
        Some(slash) => written.split_at(slash + 1),
        None => ("", written),
    };
    let place = match folder.strip_prefix("~/") {
        Some(rest) => dirs::home_dir()?.join(rest),
        None if folder.is_empty() => PathBuf::from("."),
        None => PathBuf::from(folder),
    };
    let mut found: Vec<String> = names_in(&place)
        .into_iter()
        .filter(|found| {
            found.starts_with(name) && (!found.starts_with('.') || name.starts_with('.'))
        })
        .collect();
    found.sort();
    found.truncate(MOST_FILES);
    let end = cell[..at].chars().count();
    Some(Completion {
        start: end - name.chars().count(),
        end,
        candidates: found
            .into_iter()
            .map(|text| Candidate {
                text,
                kind: "path".to_owned(),
                detail: String::new(),
            })
            .collect(),
    })
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_folder = entry.path().is_dir();
            Some(if is_folder { format!("{name}/") } else { name })
        })
        .collect()
}

/// Documentation as rust-analyzer gives it, with the signature on top and without the lines of examples that rustdoc
/// hides.
pub fn tidy(markdown: &str) -> String {
    let mut blocks: Vec<&str> = markdown.trim().split("\n\n").collect();
    // First comes the path of the module, then the signature.
    let is_path = |block: &str| {
        let inner = block
            .strip_prefix("```rust\n")
            .and_then(|block| block.strip_suffix("\n```"));
        inner.is_some_and(|path| {
            path.chars()
                .all(|c| c.is_alphanumeric() || "_:".contains(c))
        })
    };
    let path = blocks.first().copied().filter(|block| is_path(block));
    if path.is_some()
        && blocks
            .get(1)
            .is_some_and(|block| block.starts_with("```rust"))
    {
        blocks.remove(0);
    }
    let mut text = blocks.join("\n\n");
    if let Some(path) = path {
        let path = path
            .trim_start_matches("```rust\n")
            .trim_end_matches("\n```");
        if let Some(end) = text.find("\n```") {
            text.insert_str(end + 4, &format!("\n\nin `{path}`"));
        }
    }
    let mut out = String::new();
    let mut in_code = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        let hidden = in_code && (line.trim() == "#" || line.trim_start().starts_with("# "));
        match (fence && in_code, hidden) {
            (_, true) => continue,
            // `ignore`, `no_run` and the like are for rustdoc.
            (true, _) if !line.contains("text") => out.push_str("```rust"),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// Markdown as HTML.
pub fn html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(markdown));
    html
}

/// Markdown as plain text: without the marks of code blocks and emphasis.
pub fn plain(markdown: &str) -> String {
    let lines = markdown
        .lines()
        .filter(|line| !line.trim_start().starts_with("```"));
    let mut lines: Vec<&str> = lines.filter(|line| line.trim() != "---").collect();
    lines.dedup_by(|a, b| a.trim().is_empty() && b.trim().is_empty());
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_offered_where_they_may_stand() {
        let texts = |cell: &str, at: usize| {
            let found = commands(cell, at)?;
            let texts = found.candidates.into_iter().map(|one| one.text);
            Some((found.start, found.end, texts.collect::<Vec<_>>()))
        };
        let (start, end, found) = texts("// é\n%ti", 9).expect("a command");
        assert_eq!((start, end), (5, 8));
        assert_eq!(found, ["%time", "%timeit"]);
        let (.., found) = texts("%%ti", 4).expect("a command");
        assert_eq!(found, ["%%time", "%%timeit"]);
        let (.., found) = texts(":de", 3).expect("a command");
        assert_eq!(found, [":del", ":dep"]);
        for (cell, at) in [
            ("x\n%ti", 5),
            ("%time x", 7),
            ("::st", 4),
            ("x % t", 5),
            ("", 0),
        ] {
            assert_eq!(texts(cell, at), None, "{cell}");
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(byte("é.le", 2), 3);
        assert_eq!(byte("ab", 9), 2);
        assert_eq!(word_start("a.len_x", 7), 2);
        assert_eq!(word_start("aα", 3), 0);
    }

    #[test]
    fn what_a_cell_has_named_is_known_but_not_what_is_being_written() {
        let cell = "let zebra = f(stripes); zeb";
        assert_eq!(names(cell, 24), ["zebra", "f", "stripes"]);
    }

    #[test]
    fn names_are_wanted_where_no_path_comes_before() {
        for (text, wanted) in [
            ("di", true),
            ("x + di", true),
            ("0..di", true),
            ("x.di", false),
            ("x\n    .di", false),
            ("std::di", false),
        ] {
            assert_eq!(wants_names(text, text.len()), wanted, "{text}");
        }
    }

    #[test]
    fn files_are_named_inside_strings_only() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("weights.safetensors"), "").expect("a file");
        let cell = format!("let n = load(\"{}/we", folder.path().display());
        for after in ["", "\")", "\n}"] {
            let found = file_names(&format!("{cell}{after}"), cell.len()).expect("in a string");
            assert_eq!(found.candidates[0].text, "weights.safetensors");
            assert_eq!(found.end - found.start, 2);
        }
        assert_eq!(file_names("let x = we", 10), None);
        assert_eq!(file_names("let x = \"a\".le", 14), None);
    }

    #[test]
    fn the_signature_stands_on_top_and_hidden_lines_are_left_out() {
        let given = "```rust\nitd_prelude::curve\n```\n\n```rust\npub fn f()\n```\n\n---\n\nWords.\n\n```no_run\n# use x;\nf();\n```";
        let tidied = tidy(given);
        assert!(
            tidied.starts_with("```rust\npub fn f()\n```\n\nin `itd_prelude::curve`"),
            "{tidied}"
        );
        assert!(!tidied.contains("# use x;"));
        assert!(tidied.contains("```rust\nf();\n```"));
        assert!(plain(&tidied).starts_with("pub fn f()"));
        assert!(html(&tidied).contains("<code class=\"language-rust\">pub fn f()"));
    }
}
