//! Rust in colours, and plain text, for pages.

use std::fmt::Write;

use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

/// Rust in colours, by the kinds of its tokens. Commands are not Rust.
pub(super) fn highlight(source: &str) -> String {
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
