//! Macro calls that stand for items: what they define is to be there in later cells.
//!
//! ```text
//! macro_rules! unit { ($name:ident) => { struct $name(f64); } }
//! unit!(Metre);      an item, like the `struct` that it stands for
//! ```
//!
//! The compiler knows what a macro expands to, and is asked too late: a statement is put into the cell's function or
//! beside it before it is compiled. So the macro's own arms are read.

use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode, T};

/// Macros of well-known crates whose calls stand for items.
pub const OF_CRATES: [&str; 2] = ["lazy_static", "bitflags"];

/// The macro call that a statement is.
pub fn call(node: &SyntaxNode) -> Option<ast::MacroCall> {
    if let Some(call) = ast::MacroCall::cast(node.clone()) {
        return Some(call);
    }
    let expression = match ast::ExprStmt::cast(node.clone()) {
        Some(statement) => statement.expr()?,
        None => ast::Expr::cast(node.clone())?,
    };
    match expression {
        ast::Expr::MacroExpr(it) => it.macro_call(),
        _ => None,
    }
}

/// The name of the macro that is called.
pub fn name(call: &ast::MacroCall) -> String {
    let name = call
        .path()
        .and_then(|path| path.segment()?.name_ref())
        .map(|name| name.text().to_string());
    name.unwrap_or_default()
}

/// Whether each arm of a macro is made of items.
pub fn makes_items(rules: &ast::MacroRules) -> bool {
    let Some(own) = rules.name().map(|name| name.text().to_string()) else {
        return false;
    };
    let trees = rules.token_tree().into_iter().flat_map(|tree| {
        let children = tree.syntax().children();
        children.filter_map(ast::TokenTree::cast)
    });
    let trees: Vec<_> = trees.collect();
    let mut any = false;
    // An arm may be empty, as the end of a recursion is.
    let each = trees.chunks_exact(2).all(|arm| {
        let text = filled(&arm[1], &fragments(&arm[0]));
        let root = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
        any |= root.children().next().is_some();
        let only_items = root.children().all(|node| match call(&node) {
            Some(call) => name(&call) == own,
            None => ast::Item::can_cast(node.kind()),
        });
        only_items
            && !root
                .descendants()
                .any(|node| node.kind() == SyntaxKind::ERROR)
    });
    any && each
}

/// `$name:kind` in the pattern of an arm.
fn fragments(pattern: &ast::TokenTree) -> Vec<(String, String)> {
    let tokens: Vec<_> = tokens(pattern);
    let mut all = Vec::new();
    for four in tokens.windows(4) {
        if four[0] == "$" && four[2] == ":" {
            all.push((four[1].clone(), four[3].clone()));
        }
    }
    all
}

fn tokens(tree: &ast::TokenTree) -> Vec<String> {
    let all = tree.syntax().descendants_with_tokens();
    let all = all.filter_map(NodeOrToken::into_token);
    all.filter(|token| !token.kind().is_trivia())
        .map(|token| token.text().to_owned())
        .collect()
}

/// The right side of an arm with something of the right kind in the place of each fragment, and each repetition once.
fn filled(tree: &ast::TokenTree, fragments: &[(String, String)]) -> String {
    let mut out = String::new();
    let inside: Vec<_> = tree.syntax().children_with_tokens().collect();
    let inside = inside.get(1..inside.len().saturating_sub(1));
    let mut elements = inside.unwrap_or_default().iter().peekable();
    while let Some(element) = elements.next() {
        match element {
            NodeOrToken::Token(token) if token.kind() == T![$] => match elements.next() {
                Some(NodeOrToken::Node(node)) => {
                    if let Some(tree) = ast::TokenTree::cast(node.clone()) {
                        out.push_str(&filled(&tree, fragments));
                    }
                    // A separator may stand before the sign of the repetition.
                    let is_sign = |text: &str| ["*", "+", "?"].contains(&text);
                    for _ in 0..2 {
                        let Some(NodeOrToken::Token(token)) = elements.next() else {
                            break;
                        };
                        if is_sign(token.text()) {
                            break;
                        }
                    }
                }
                Some(NodeOrToken::Token(token)) => {
                    let kind = fragments.iter().find(|(name, _)| name == token.text());
                    out.push_str(match kind.map(|(_, kind)| kind.as_str()) {
                        Some("vis") => "",
                        Some("item") => "fn item() {}",
                        Some("block") => "{}",
                        Some("lifetime") => "'a",
                        Some("literal") => "1",
                        _ => token.text(),
                    });
                }
                None => {}
            },
            NodeOrToken::Token(token) => out.push_str(token.text()),
            NodeOrToken::Node(node) => match ast::TokenTree::cast(node.clone()) {
                Some(tree) => {
                    let (first, last) = (node.first_token(), node.last_token());
                    let text = |token: Option<ra_ap_syntax::SyntaxToken>| {
                        token.map_or(String::new(), |token| token.text().to_owned())
                    };
                    out.push_str(&text(first));
                    out.push_str(&filled(&tree, fragments));
                    out.push_str(&text(last));
                }
                None => out.push_str(&node.text().to_string()),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::source::statements;

    #[test]
    fn macros_that_make_items_are_told_from_the_others() {
        for (arms, makes) in [
            ("($n:ident) => { struct $n(f64); }", true),
            (
                "($($t:ty),* $(,)?) => { $(impl Area for $t { fn area(&self) -> f64 { 1.0 } })* }",
                true,
            ),
            (
                "($(#[$m:meta])* $v:vis $n:ident : $($f:ident),+) => { $(#[$m])* $v struct $n { $(pub $f: f64),+ } impl $n {} }",
                true,
            ),
            (
                "() => {}; ($a:ty $(, $b:ty)*) => { impl T for $a {} each!($($b),*); }",
                true,
            ),
            ("() => {}", false),
            (
                "(one $a:ty) => { impl T for $a {} }; ($a:ty) => { each!(one $a); }",
                true,
            ),
            (
                "($n:ident) => { fn $n() -> i32 { 1 } const C: i32 = 2; }",
                true,
            ),
            ("($e:expr) => { $e * 2 }", false),
            ("($e:expr) => { { struct S; $e } }", false),
            ("($e:expr) => { let x = $e; }", false),
            ("() => { const A: i32 = 1; A + 1 }", false),
            ("() => { println!(\"x\"); }", false),
        ] {
            let cell = format!("macro_rules! each {{ {arms} }}");
            let rules = statements(&cell)
                .into_iter()
                .find_map(ast::MacroRules::cast);
            assert_eq!(makes_items(&rules.expect(&cell)), makes, "{arms}");
        }
    }
}
