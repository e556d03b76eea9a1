//! Which statements are there at all: `#[cfg(…)]` about the system, which is known beforehand.
//!
//! evcxr keeps one item of each name, so that of two for two systems the last one stayed, and a `let` that the compiler
//! leaves out binds nothing that could be kept.

use ra_ap_syntax::SyntaxNode;
use ra_ap_syntax::ast::{self, AstNode};

/// Whether a statement is left out, for this system is none that it is for.
pub fn is_off(node: &SyntaxNode) -> bool {
    let inner = ast::ExprStmt::cast(node.clone()).and_then(|statement| statement.expr());
    let inner = inner.as_ref().map(|expression| expression.syntax().clone());
    let attributes = [Some(node.clone()), inner].into_iter().flatten();
    let mut attributes = attributes
        .flat_map(|node| node.children())
        .filter_map(ast::Attr::cast);
    attributes.any(|attribute| {
        let text = attribute.syntax().text().to_string();
        let inside = text
            .strip_prefix("#[")
            .and_then(|text| text.strip_suffix(']'));
        let inside = inside.and_then(|text| text.trim().strip_prefix("cfg"));
        inside.and_then(|text| holds(text.trim())) == Some(false)
    })
}

/// Whether `(unix)`, `(not(target_os = "macos"))`, … holds; none if that is not known here.
fn holds(inside: &str) -> Option<bool> {
    let inside = inside.strip_prefix('(')?.strip_suffix(')')?.trim();
    let call = |name: &str| {
        let rest = inside.strip_prefix(name)?.trim_start();
        rest.starts_with('(').then_some(rest)
    };
    if let Some(rest) = call("not") {
        return holds(rest).map(|holds| !holds);
    }
    for (name, wanted) in [("any", true), ("all", false)] {
        let Some(rest) = call(name) else {
            continue;
        };
        let rest = rest.strip_prefix('(')?.strip_suffix(')')?;
        let each: Vec<_> = apart(rest)
            .into_iter()
            .map(|part| holds(&format!("({part})")))
            .collect();
        return match () {
            () if each.contains(&Some(wanted)) => Some(wanted),
            () if each.contains(&None) => None,
            () => Some(!wanted),
        };
    }
    match inside.split_once('=') {
        None => match inside {
            "unix" => Some(cfg!(unix)),
            "windows" => Some(cfg!(windows)),
            _ => None,
        },
        Some((name, value)) => {
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            let here = match name.trim() {
                "target_os" => std::env::consts::OS,
                "target_family" => std::env::consts::FAMILY,
                "target_arch" => std::env::consts::ARCH,
                "target_endian" if cfg!(target_endian = "little") => "little",
                "target_endian" => "big",
                "target_pointer_width" if cfg!(target_pointer_width = "64") => "64",
                "target_pointer_width" => "32",
                _ => return None,
            };
            Some(here == value)
        }
    }
}

/// Parts between the commas that are in no bracket and no text.
fn apart(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0, false, 0);
    let mut parts = Vec::new();
    for (at, sign) in list.char_indices() {
        match sign {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::source::statements;

    #[test]
    fn what_is_for_other_systems_is_known() {
        assert_eq!(holds("(unix)"), Some(cfg!(unix)));
        assert_eq!(holds("(any(windows, unix))"), Some(true));
        assert_eq!(holds("(all(windows, unix,))"), Some(false));
        assert_eq!(holds("(not(windows))"), Some(cfg!(not(windows))));
        assert_eq!(holds("(any(test, windows))"), None);
        assert_eq!(holds("(feature = \"x\")"), None);
        let here = format!("(target_os = \"{}\")", std::env::consts::OS);
        assert_eq!(holds(&here), Some(true));
        assert_eq!(holds("(target_os = \"a, b\")"), Some(false));
        let cell = "#[cfg(windows)] let a = 1;\n#[cfg(unix)] fn b() {}\n#[cfg(test)] mod t {}";
        let kept: Vec<_> = statements(cell)
            .iter()
            .map(|node| node.to_string())
            .collect();
        assert_eq!(kept, ["#[cfg(unix)] fn b() {}", "#[cfg(test)] mod t {}"]);
    }
}
