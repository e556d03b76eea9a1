//! Whether a piece of code is a whole cell, for front ends that ask line by line.

use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

use super::ask::Ask;
use super::command::{is_bare_head, is_foreign_cell, rust_start};

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
    if Ask::read(code).is_some() {
        return Completeness::Complete;
    }
    // What has no syntax that is known here ends with an empty line, and so does a cell that has only begun.
    if is_bare_head(code) || is_foreign_cell(code) && !code.ends_with("\n\n") {
        return Completeness::Incomplete { indent: 0 };
    }
    let rust = &code[rust_start(code)..];
    match depth(rust) {
        Depth::Open { depth, .. } => return Completeness::Incomplete { indent: 4 * depth },
        Depth::Unbalanced { .. } => return Completeness::Invalid,
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

/// A bracket, a string or a comment of a cell that has no counterpart: the line, and what is wrong there. The compiler
/// would find the counterpart in the code around the cell.
pub fn unbalanced(code: &str) -> Option<(u32, String)> {
    let start = rust_start(code);
    let (at, what) = match depth(&code[start..]) {
        Depth::Closed => return None,
        Depth::Open { at, what, .. } => (at, format!("{what} is never closed")),
        Depth::Unbalanced { at, what } => (at, format!("{what} closes nothing that is open")),
    };
    let line = code[..start + at].matches('\n').count() + 1;
    Some((line as u32, what))
}

/// The brackets that would close those that are open at the end of a cell, the outermost first.
pub fn open(code: &str) -> Vec<char> {
    let parsed = SourceFile::parse(&code[rust_start(code)..], Edition::Edition2024);
    let mut open = Vec::new();
    for token in parsed.syntax_node().descendants_with_tokens() {
        match token.kind() {
            SyntaxKind::L_PAREN => open.push(')'),
            SyntaxKind::L_BRACK => open.push(']'),
            SyntaxKind::L_CURLY => open.push('}'),
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// How brackets, strings and comments stand at the end; places are offsets in the code.
enum Depth {
    Closed,
    Open {
        /// How many brackets are open; an open string or comment is none.
        depth: usize,
        at: usize,
        what: String,
    },
    Unbalanced {
        at: usize,
        what: String,
    },
}

fn depth(rust: &str) -> Depth {
    let mut open = Vec::new();
    let parsed = SourceFile::parse(rust, Edition::Edition2024);
    let tokens = parsed
        .syntax_node()
        .descendants_with_tokens()
        .filter_map(|element| element.into_token());
    for token in tokens {
        let (at, what) = (
            usize::from(token.text_range().start()),
            format!("`{}`", token.text()),
        );
        match token.kind() {
            SyntaxKind::L_PAREN => open.push((SyntaxKind::R_PAREN, at, what)),
            SyntaxKind::L_BRACK => open.push((SyntaxKind::R_BRACK, at, what)),
            SyntaxKind::L_CURLY => open.push((SyntaxKind::R_CURLY, at, what)),
            kind @ (SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY) => {
                match open.pop() {
                    Some((expected, ..)) if expected == kind => {}
                    _ => return Depth::Unbalanced { at, what },
                }
            }
            _ => {}
        }
    }
    let endless = parsed.errors().into_iter().find_map(|error| {
        let message = error.to_string();
        let what = match () {
            () if message == "Invalid raw string literal" => "this string",
            () if !message.starts_with("Missing trailing") => return None,
            () if message.contains("block comment") => "this comment",
            () if message.contains("string") => "this string",
            () => return None,
        };
        Some((usize::from(error.range().start()), what.to_owned()))
    });
    let depth = open.len();
    match (endless, open.pop()) {
        (Some((at, what)), _) => Depth::Open { depth, at, what },
        (None, Some((_, at, what))) => Depth::Open { depth, at, what },
        (None, None) => Depth::Closed,
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
            "?x",
            "x??",
            "// only words",
            "for i in 0..3 {}",
            "%%opt 3\nlet x = 1;",
            "%%opt 3\n%%timeit\nf(x)",
            "%time f(",
            "%%bash\nls\n\n",
            "r#\"abc\"#",
            "br\"a\\\"",
            "'\"'",
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
        assert_eq!(check("\"abc\\\""), Completeness::Incomplete { indent: 0 });
        assert_eq!(check("r#\"abc\""), Completeness::Incomplete { indent: 0 });
        assert_eq!(check("let x ="), Completeness::Incomplete { indent: 0 });
        assert_eq!(check("%%opt 3"), Completeness::Incomplete { indent: 0 });
        assert_eq!(
            check("%%bash\nif true"),
            Completeness::Incomplete { indent: 0 }
        );
        assert_eq!(check("let x = 5"), Completeness::Incomplete { indent: 0 });
    }

    #[test]
    fn what_no_more_code_can_mend_is_invalid() {
        for code in [")", "f(]", "let = 3;", "fn () {}"] {
            assert_eq!(check(code), Completeness::Invalid, "{code}");
        }
    }

    #[test]
    fn a_bracket_without_a_counterpart_is_named() {
        for (code, line, what) in [
            ("}", 1, "`}` closes nothing"),
            ("let x = 1;\nf(x))", 2, "`)` closes nothing"),
            ("f(]", 1, "`]` closes nothing"),
            (":vars\nfn f() {\n  (", 3, "`(` is never closed"),
            ("x;\nlet s = \"abc;", 2, "this string is never closed"),
            ("/* words", 1, "this comment is never closed"),
        ] {
            let (at, text) = unbalanced(code).expect(code);
            assert!(at == line && text.starts_with(what), "{code}: {at}: {text}");
        }
        for code in ["", "let = 3;", "'('; \"[\"; // {", "r\"(\"", "let x ="] {
            assert_eq!(unbalanced(code), None, "{code}");
        }
    }
}
