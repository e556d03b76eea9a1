//! Rust in colours, for pages and for terminals.

use std::fmt::Write;

use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

/// What a piece of a cell is, by the class that it has in pages.
type Class = &'static str;

/// In which colour a terminal shows it.
const TERMINAL: &[(Class, &str)] = &[
    ("cmd", "35"),
    ("com", "90"),
    ("str", "32"),
    ("num", "36"),
    ("lif", "36"),
    ("key", "35"),
    ("mac", "34"),
    ("fun", "34"),
    ("typ", "33"),
];

/// A cell in pieces, each with its class or an empty one. Commands are not Rust, nor are cells in other languages.
fn pieces(source: &str) -> Vec<(Class, &str)> {
    let start = crate::cell::command::rust_start(source);
    let mut pieces = vec![("cmd", &source[..start])];
    let before = "fn cell(){";
    let rust = &source[start..];
    let tree =
        SourceFile::parse(&format!("{before}{rust}\n}}"), Edition::Edition2024).syntax_node();
    for token in tree
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
    {
        let range = token.text_range();
        let place = |at: ra_ap_syntax::TextSize| usize::from(at).checked_sub(before.len());
        let (Some(from), Some(to)) = (place(range.start()), place(range.end())) else {
            continue;
        };
        let Some(text) = rust.get(from..to.min(rust.len())) else {
            continue; // behind the end
        };
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
        pieces.push((class, text));
    }
    pieces
}

/// A cell for a page.
pub(super) fn highlight(source: &str) -> String {
    let mut html = String::new();
    for (class, text) in pieces(source) {
        let text = escape(text);
        match class {
            "" => html.push_str(&text),
            class => {
                let _ = write!(html, "<span class=\"{class}\">{text}</span>");
            }
        }
    }
    html
}

/// A cell for a terminal.
pub fn coloured(source: &str) -> String {
    let mut out = String::new();
    for (class, text) in pieces(source) {
        match TERMINAL.iter().find(|(of, _)| *of == class) {
            Some((_, colour)) if !text.is_empty() => {
                let _ = write!(out, "\x1b[{colour}m{text}\x1b[0m");
            }
            _ => out.push_str(text),
        }
    }
    out
}

/// Text that no browser takes for tags.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_the_same_text_in_colours() {
        for cell in [
            "let s = \"é\"; // why\nf(s, 1.5)",
            "%%opt 3\nx",
            "",
            "let s = \"open\n",
            "%%bash\nls",
        ] {
            assert_eq!(crate::reply::strip_colours(&coloured(cell)), cell);
        }
        let shown = coloured("%time f(\"a\")\nlet x = 1;");
        for part in [
            "\x1b[35mlet\x1b[0m",
            "\x1b[36m1\x1b[0m",
            "\x1b[35m%time f(\"a\")\n\x1b[0m",
        ] {
            assert!(shown.contains(part), "{part:?} in {shown:?}");
        }
    }

    #[test]
    fn a_cell_of_another_language_is_not_read_as_rust() {
        for cell in [
            "%%bash\nlet x=1 # \"why\"",
            "%%sh\nif true; then",
            "%%writefile -a a.rs\nfn f() {}",
        ] {
            let html = format!("<span class=\"cmd\">{}</span>", escape(cell));
            assert_eq!(highlight(cell), html);
        }
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
}
