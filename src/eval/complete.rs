//! Whether a piece of code is a whole cell, for front ends that ask line by line.

use ra_ap_syntax::{Edition, SourceFile};

use super::source::rust_start;

/// What can be done with the code so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It can be executed.
    Complete,
    /// More has to come; the next line may be indented by so many spaces.
    Incomplete { indent: usize },
    /// More will not help.
    Invalid,
}

/// Reads code as far as its brackets, strings and comments go, then as Rust.
pub fn check(code: &str) -> Completeness {
    let rust = &code[rust_start(code)..];
    match depth(rust) {
        Depth::Open(depth) => return Completeness::Incomplete { indent: 4 * depth },
        Depth::Unbalanced => return Completeness::Invalid,
        Depth::Closed => {}
    }
    let before = "fn cell(){";
    let end = before.len() + rust.trim_end().len();
    let parsed = SourceFile::parse(&format!("{before}{rust}\n}}"), Edition::Edition2024);
    let errors = parsed.errors();
    let Some(first) = errors
        .iter()
        .map(|error| usize::from(error.range().start()))
        .min()
    else {
        return Completeness::Complete;
    };
    // An expression is missing where the code ends: `let x =`, `a +`.
    match first >= end {
        true => Completeness::Incomplete { indent: 0 },
        false => Completeness::Invalid,
    }
}

enum Depth {
    Closed,
    Open(usize),
    Unbalanced,
}

/// How many brackets are open at the end; an open string or comment counts as one.
fn depth(rust: &str) -> Depth {
    use ra_ap_syntax::SyntaxKind;
    let mut open = Vec::new();
    let parsed = SourceFile::parse(rust, Edition::Edition2024);
    let tokens = parsed
        .syntax_node()
        .descendants_with_tokens()
        .filter_map(|element| element.into_token());
    let mut last_error = false;
    for token in tokens {
        let text = token.text();
        last_error = match token.kind() {
            SyntaxKind::COMMENT => {
                text.starts_with("/*") && text.matches("/*").count() > text.matches("*/").count()
            }
            SyntaxKind::STRING => text.len() < 2 || !text.trim_end_matches('\n').ends_with('"'),
            kind => {
                match kind {
                    SyntaxKind::L_PAREN => open.push(SyntaxKind::R_PAREN),
                    SyntaxKind::L_BRACK => open.push(SyntaxKind::R_BRACK),
                    SyntaxKind::L_CURLY => open.push(SyntaxKind::R_CURLY),
                    SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY
                        if open.pop() != Some(kind) =>
                    {
                        return Depth::Unbalanced;
                    }
                    _ => {}
                }
                false
            }
        };
    }
    match (open.len(), last_error) {
        (0, false) => Depth::Closed,
        (0, true) => Depth::Open(0),
        (depth, _) => Depth::Open(depth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_cells_are_complete() {
        for code in [
            "",
            "1 + 1",
            "let x = f()?;",
            "fn f() {}\nf()",
            ":vars",
            "// only words",
            "for i in 0..3 {}",
        ] {
            assert_eq!(check(code), Completeness::Complete, "{code}");
        }
    }

    #[test]
    fn open_brackets_ask_for_more_and_indent() {
        assert_eq!(check("fn f() {"), Completeness::Incomplete { indent: 4 });
        assert_eq!(check("f(\n[1,"), Completeness::Incomplete { indent: 8 });
        assert_eq!(
            check("let s = \"abc"),
            Completeness::Incomplete { indent: 0 }
        );
        assert_eq!(check("/* words"), Completeness::Incomplete { indent: 0 });
        assert_eq!(check("let x ="), Completeness::Incomplete { indent: 0 });
        assert_eq!(check("let x = 5"), Completeness::Incomplete { indent: 0 });
    }

    #[test]
    fn what_no_more_code_can_mend_is_invalid() {
        for code in [")", "f(]", "let = 3;", "fn () {}"] {
            assert_eq!(check(code), Completeness::Invalid, "{code}");
        }
    }
}
