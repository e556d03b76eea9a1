//! A cell as the user wrote it → the cell as evcxr gets it.
//!
//! Only insertions, and never a line break, so that lines stay lines and columns can be mapped back:
//!
//! ```text
//! let x = f()?;   →   let/*@7:1*/ x: itd_type!(x_3) = ::itd_prelude::question!(f()/*?*/, 1); ::std::mem::drop(&x/*x_3*/);
//! x * 2           →   ::itd_prelude::show!(x/*@7:2*/ * 2, 2); ::itd_prelude::cell::end();
//! ```
//!
//! - `/*@cell:line*/` says where a statement came from; see [`super::lines`].
//! - `itd_type!(x_3)` is `_` in this cell and the variable's type in all later ones; the `drop` of a
//!   reference makes the compiler name that type in a lint; see [`super::types`].
//! - `question!` tells which error left the cell, and where; `show!` shows the last expression, so that
//!   evcxr need not build the cell twice to find out how. Both have to know a type where they stand; a cell in which
//!   that comes too early is built again without them, see [`Form`].
//! - `end` tells that the last line was reached, and with it that evcxr has all new variables.
//! - `unkept!` hides a `let` from evcxr whose variable cannot be kept.
//! - An `impl` gets a name, and a macro a module, so that the next one takes its place; see [`super::items`].

use std::collections::BTreeSet;

use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken, T, TextSize};

use super::items::{self, Changes};
use super::types::Types;

/// evcxr parses a cell as the inside of a function, and so do we.
const BEFORE: &str = "fn cell(){";
const AFTER: &str = "\n}";

/// Macros whose arguments are expressions, so that a `?` in them can be found.
const EXPRESSION_MACROS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "check",
    "dbg",
    "eprint",
    "eprintln",
    "format",
    "panic",
    "print",
    "println",
    "vec",
    "write",
    "writeln",
];

/// A cell, ready for evcxr.
#[derive(Debug)]
pub struct Source {
    /// What evcxr executes.
    pub code: String,
    /// What the user wrote.
    pub original: String,
    /// Keys in [`Types`] of the variables whose types this cell leaves to the compiler.
    pub new_types: Vec<String>,
    /// Variables of this cell that the next one will not find.
    pub unkept: BTreeSet<String>,
    /// Variables of this cell.
    pub defined: BTreeSet<String>,
    /// Whether there is anything to run, not only items.
    pub runs: bool,
    insertions: Vec<Insertion>,
}

#[derive(Debug)]
struct Insertion {
    /// Byte offset in the original.
    at: usize,
    text: String,
}

/// Where the Rust code of a cell starts: a first line like `%%opt 3`, commands (`:dep …`, `!ls`), blank lines and
/// whole-line comments may stand before it.
pub fn rust_start(cell: &str) -> usize {
    let mut start = match cell.starts_with("%%") {
        true => cell.find('\n').map_or(cell.len(), |end| end + 1),
        false => 0,
    };
    for line in cell[start..].split_inclusive('\n') {
        let command = line.trim_start_matches(' ').starts_with(':') || line.starts_with('!');
        if !(command || line.starts_with("//") || line.trim().is_empty()) {
            break;
        }
        start += line.len();
    }
    start
}

/// The statements of a cell.
pub fn statements(cell: &str) -> Vec<SyntaxNode> {
    statements_of(&parse(&cell[rust_start(cell)..])).collect()
}

/// How much is put into a cell. The usual form is what most cells are built with; those that do not take it are built
/// again in another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Form {
    /// Variables that evcxr is not to see.
    pub unkept: BTreeSet<String>,
    /// Items of earlier cells that are to be no more.
    pub stale: BTreeSet<String>,
    /// `?` as Rust's own, which waits for types that come later.
    pub plain_questions: bool,
    /// The last expression is not shown.
    pub plain_end: bool,
}

impl Source {
    /// Prepares `cell`, which is number `number` of the session and changes its items so.
    pub fn new(cell: &str, number: u32, types: &mut Types, changes: &Changes, form: &Form) -> Self {
        let start = rust_start(cell);
        let mut rewrite = Rewrite {
            cell,
            number,
            insertions: Vec::new(),
            new_types: Vec::new(),
            unkept: BTreeSet::new(),
            defined: BTreeSet::new(),
            runs: false,
            form,
            impls: changes.ids.iter().copied(),
        };
        rewrite.statements(start, types);
        let Rewrite {
            mut insertions,
            new_types,
            unkept,
            defined,
            runs,
            ..
        } = rewrite;
        if start < cell.len() {
            let mut opening = types.table(&new_types);
            for id in &changes.dropped {
                opening.push_str(&format!("const {}: () = (); ", items::impl_name(*id)));
            }
            // evcxr forgets an item only for another one of its name.
            for name in &form.stale {
                opening.push_str(&match name.starts_with("itd_impl_") {
                    true => format!("const {name}: () = (); "),
                    false => format!("mod {name} {{}} "),
                });
            }
            if runs {
                opening.push_str("::itd_prelude::cell::begin(file!()); ");
            }
            insertions.insert(
                0,
                Insertion {
                    at: start,
                    text: opening,
                },
            );
        }
        // Stable: what is inserted at one place stays in order, outer before inner.
        insertions.sort_by_key(|insertion| insertion.at);
        let mut code = String::with_capacity(cell.len() * 2);
        let mut done = 0;
        for Insertion { at, text } in &insertions {
            code.push_str(&cell[done..*at]);
            code.push_str(text);
            done = *at;
        }
        code.push_str(&cell[done..]);
        Self {
            code,
            original: cell.to_owned(),
            new_types,
            unkept,
            defined,
            runs,
            insertions,
        }
    }

    /// The key in [`Types`] whose entry in the table of types stands at a place in [`Self::code`].
    pub fn key_at(&self, line: usize, column: usize) -> Option<String> {
        let opening = self.insertions.first()?;
        let offset = offset_of(&self.code, line, column).checked_sub(opening.at)?;
        let before = opening
            .text
            .get(..offset)
            .filter(|_| offset < opening.text.len())?;
        let (_, entry) = before.rsplit_once(";(")?;
        Some(entry.split_once(")=>")?.0.to_owned())
    }

    /// Where a place in [`Self::code`] is in the original. Lines and columns count from 1, columns in
    /// characters; a place inside an insertion is where the insertion is.
    pub fn original_place(&self, line: usize, column: usize) -> (usize, usize) {
        let offset = offset_of(&self.code, line, column);
        let mut inserted = 0;
        for Insertion { at, text } in &self.insertions {
            if at + inserted >= offset {
                break;
            }
            inserted += text.len().min(offset - at - inserted);
        }
        place_of(&self.original, offset - inserted)
    }
}

/// Byte offset of a place; beyond a line's end means its end.
pub fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for (index, content) in text.split_inclusive('\n').enumerate() {
        if index + 1 == line {
            let content = content.trim_end_matches('\n');
            let within = content.char_indices().nth(column.saturating_sub(1));
            return start + within.map_or(content.len(), |(at, _)| at);
        }
        start += content.len();
    }
    text.len()
}

/// Line and column of a byte offset.
fn place_of(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        line_number(before),
        before[line_start..].chars().count() + 1,
    )
}

/// Number of the line on which the text after `before` starts.
fn line_number(before: &str) -> usize {
    before.matches('\n').count() + 1
}

struct Rewrite<'a> {
    cell: &'a str,
    number: u32,
    insertions: Vec<Insertion>,
    new_types: Vec<String>,
    unkept: BTreeSet<String>,
    defined: BTreeSet<String>,
    /// Whether there is anything to run, not only items.
    runs: bool,
    form: &'a Form,
    /// Names of the `impl` blocks.
    impls: std::iter::Copied<std::slice::Iter<'a, u32>>,
}

impl Rewrite<'_> {
    /// Goes through the statements of the Rust code that starts at `start`.
    fn statements(&mut self, start: usize, types: &mut Types) {
        let root = parse(&self.cell[start..]);
        let nodes: Vec<_> = statements_of(&root).collect();
        let is_item = |node: &SyntaxNode| {
            ast::Item::can_cast(node.kind()) || ast::Attr::can_cast(node.kind())
        };
        let last = nodes.len().saturating_sub(1);
        let last_to_run = nodes.iter().rposition(|node| !is_item(node));
        for (index, node) in nodes.into_iter().enumerate() {
            self.mark_line(&node, start);
            if is_item(&node) {
                self.item(&node, start);
                continue; // evcxr puts them in their place, outside of what runs
            }
            self.runs = true;
            if let Some(binding) = ast::LetStmt::cast(node.clone()) {
                self.bind(&binding, start, types);
            }
            let value = ast::Expr::cast(node.clone()).filter(|_| index == last);
            let shown = value
                .as_ref()
                .is_some_and(|value| has_value(value) && !self.form.plain_end);
            let from = self.at(start, node.text_range().start());
            let to = self.at(start, node.text_range().end());
            if value.is_some() && !shown {
                // Without a semicolon evcxr would try to show it.
                self.insert(to, ";");
            }
            if shown {
                self.insert(from, "::itd_prelude::show!(");
            }
            self.questions(&node, start);
            if let Some(value) = value.filter(|_| shown) {
                let line = line_number(&self.cell[..from]);
                self.name_error(&value, start);
                self.insert(to, format!(", {line});"));
            }
            if Some(index) == last_to_run {
                self.insert(to, " ::itd_prelude::cell::end();");
            }
        }
    }

    /// `Ok(x)` at the end of a cell, where a program would return it, does not tell of which error it is not.
    fn name_error(&mut self, value: &ast::Expr, start: usize) {
        if let ast::Expr::CallExpr(call) = value
            && let Some(ast::Expr::PathExpr(path)) = call.expr()
            && path.syntax().text() == "Ok"
        {
            let at = self.at(start, path.syntax().text_range().end());
            self.insert(at, "::<_, ::itd_prelude::cell::cause::Reported>");
        }
    }

    /// Gives an `impl` a name, and a macro a place from which it can be imported; see [`super::items`].
    fn item(&mut self, node: &SyntaxNode, start: usize) {
        let around = match ast::Item::cast(node.clone()) {
            Some(ast::Item::Impl(_)) => self.impls.next().map(|id| {
                let name = items::impl_name(id);
                (format!("const {name}: () = {{ "), " };".to_owned())
            }),
            Some(ast::Item::MacroRules(rules)) if items::is_movable(&rules) => {
                rules.name().map(|name| {
                    let module = format!("itd_macro_{}", name.text().trim_start_matches("r#"));
                    (
                        format!("mod {module} {{ "),
                        format!(" pub(crate) use {name}; }} use {module}::{name};"),
                    )
                })
            }
            _ => None,
        };
        if let Some((before, after)) = around {
            let range = node.text_range();
            self.insert(self.at(start, range.start()), before);
            self.insert(self.at(start, range.end()), after);
        }
    }

    /// `/*@cell:line*/` behind the first token of a statement.
    fn mark_line(&mut self, node: &SyntaxNode, start: usize) {
        let tokens = node
            .descendants_with_tokens()
            .filter_map(|element| element.into_token());
        if let Some(token) = tokens.into_iter().find(|token| !token.kind().is_trivia()) {
            let end = self.at(start, token.text_range().end());
            let line = line_number(&self.cell[..end]);
            self.insert(end, format!("/*@{}:{line}*/", self.number));
        }
    }

    /// Gives every variable that a `let` binds a type that evcxr can repeat in later cells.
    fn bind(&mut self, binding: &ast::LetStmt, start: usize, types: &mut Types) {
        let (Some(pat), Some(initial), Some(_)) = (
            binding.pat(),
            binding.initializer(),
            binding.semicolon_token(),
        ) else {
            return;
        };
        let range = binding.syntax().text_range();
        let (from, end) = (self.at(start, range.start()), self.at(start, range.end()));
        let names: BTreeSet<String> = pat
            .syntax()
            .descendants()
            .filter_map(ast::IdentPat::cast)
            .filter_map(|ident| bound_name(&ident))
            .collect();
        self.defined.extend(names.iter().cloned());
        let closure = matches!(initial, ast::Expr::ClosureExpr(_)) && binding.ty().is_none();
        if closure || names.iter().any(|name| self.form.unkept.contains(name)) {
            self.unkept.extend(names);
            self.insert(from, "::itd_prelude::unkept!{");
            self.insert(end, "}");
            return;
        }
        let written = binding.ty().map(|ty| is_complete(ty.syntax()));
        if let ast::Pat::IdentPat(ident) = &pat
            && let Some(name) = bound_name(ident)
            && ident.ref_token().is_none()
            && ident.pat().is_none()
            && written != Some(false)
        {
            if written.is_none() {
                let key = self.new_type(&name, types);
                self.insert(
                    self.at(start, pat.syntax().text_range().end()),
                    format!(": itd_type!({key})"),
                );
                self.insert(end, format!(" ::std::mem::drop(&{name}/*{key}*/);"));
            }
            return;
        }
        let mut seen = Vec::new();
        for ident in pat.syntax().descendants().filter_map(ast::IdentPat::cast) {
            let Some(name) = bound_name(&ident).filter(|name| !seen.contains(name)) else {
                continue;
            };
            let key = self.new_type(&name, types);
            let mutable = ident.mut_token().map_or("", |_| "mut ");
            self.insert(
                end,
                format!(" let {mutable}{name}: itd_type!({key}) = {name}; ::std::mem::drop(&{name}/*{key}*/);"),
            );
            seen.push(name);
        }
    }

    fn new_type(&mut self, name: &str, types: &mut Types) -> String {
        let key = types.fresh(name);
        self.new_types.push(key.clone());
        key
    }

    /// Wraps what stands before each `?` that leaves the cell. `start` is where the parsed text starts.
    fn questions(&mut self, node: &SyntaxNode, start: usize) {
        if leaves_elsewhere(node) {
            return;
        }
        let question = ast::TryExpr::cast(node.clone())
            .and_then(|question| Some((question.expr()?, question.question_mark_token()?)));
        if let Some((inner, _)) = &question {
            let from = self.at(start, inner.syntax().text_range().start());
            let before = match self.form.plain_questions {
                true => "::itd_prelude::cell::cause::plainly(",
                false => "::itd_prelude::question!(",
            };
            self.insert(from, before);
        }
        match ast::MacroCall::cast(node.clone()) {
            Some(call) => self.questions_in_macro(&call, start),
            None => node
                .children()
                .for_each(|child| self.questions(&child, start)),
        }
        if let Some((_, mark)) = &question {
            let at = self.at(start, mark.text_range().start());
            let line = line_number(&self.cell[..at]);
            if self.form.plain_questions {
                self.insert(at, format!(", {line})"));
                return;
            }
            self.insert(at, "/*");
            let behind = self.at(start, mark.text_range().end());
            self.insert(behind, format!("*/, {line})"));
        }
    }

    /// The arguments of a macro are bare tokens; those of the common ones can be read as expressions.
    fn questions_in_macro(&mut self, call: &ast::MacroCall, start: usize) {
        let name = call
            .path()
            .and_then(|path| path.segment())
            .and_then(|segment| segment.name_ref());
        if !name.is_some_and(|name| EXPRESSION_MACROS.contains(&name.text())) {
            return;
        }
        for argument in call.token_tree().iter().flat_map(arguments) {
            let (Some(first), Some(last)) = (argument.first(), argument.last()) else {
                continue;
            };
            let from = self.at(start, first.text_range().start());
            let to = self.at(start, last.text_range().end());
            let text = &self.cell[from..to];
            let root = parse(text);
            let only: Vec<_> = statements_of(&root).collect();
            // What is no expression to us (`name = value`, a format string's `{}`) stays as it is.
            if let [expression] = &only[..]
                && text.contains('?')
                && ast::Expr::can_cast(expression.kind())
                && usize::from(expression.text_range().len()) == text.len()
            {
                self.questions(expression, from);
            }
        }
    }

    /// Offset in the cell of an offset in a tree whose text starts at `start`. A token that does not end,
    /// such as an open string, reaches beyond the cell.
    fn at(&self, start: usize, offset: TextSize) -> usize {
        (start + usize::from(offset) - BEFORE.len()).min(self.cell.len())
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.insertions.push(Insertion {
            at,
            text: text.into(),
        });
    }
}

/// Parses statements in the frame that evcxr uses.
fn parse(rust: &str) -> SyntaxNode {
    SourceFile::parse(&format!("{BEFORE}{rust}{AFTER}"), Edition::Edition2024).syntax_node()
}

fn statements_of(root: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> + use<> {
    let body = root
        .children()
        .find_map(ast::Fn::cast)
        .and_then(|function| function.body());
    let list = body.and_then(|body| body.stmt_list());
    list.into_iter().flat_map(|list| list.syntax().children())
}

/// The arguments of a macro call, split at its outermost commas.
fn arguments(tree: &ast::TokenTree) -> Vec<Vec<SyntaxToken>> {
    let mut all = vec![Vec::new()];
    let inside = tree.syntax().children_with_tokens().skip(1);
    let mut elements: Vec<_> = inside.collect();
    elements.pop(); // the closing delimiter
    for element in elements {
        match element {
            ra_ap_syntax::NodeOrToken::Token(token)
                if token.kind() == T![,] || token.kind() == T![;] =>
            {
                all.push(Vec::new());
            }
            ra_ap_syntax::NodeOrToken::Token(token) if token.kind().is_trivia() => {}
            ra_ap_syntax::NodeOrToken::Token(token) => all
                .last_mut()
                .into_iter()
                .for_each(|a| a.push(token.clone())),
            ra_ap_syntax::NodeOrToken::Node(node) => {
                let ends = [node.first_token(), node.last_token()];
                all.last_mut()
                    .into_iter()
                    .for_each(|a| a.extend(ends.clone().into_iter().flatten()));
            }
        }
    }
    all
}

/// Whether a `?` inside returns from something smaller than the cell.
fn leaves_elsewhere(node: &SyntaxNode) -> bool {
    match ast::Expr::cast(node.clone()) {
        Some(ast::Expr::ClosureExpr(_)) => true,
        Some(ast::Expr::BlockExpr(block)) => block.async_token().or(block.const_token()).is_some(),
        Some(_) => false,
        None => ast::Item::can_cast(node.kind()) && node.kind() != SyntaxKind::MACRO_CALL,
    }
}

/// Whether an expression has a value that could be shown.
fn has_value(expression: &ast::Expr) -> bool {
    !matches!(
        expression,
        ast::Expr::ForExpr(_)
            | ast::Expr::WhileExpr(_)
            | ast::Expr::ReturnExpr(_)
            | ast::Expr::BreakExpr(_)
            | ast::Expr::ContinueExpr(_)
    )
}

/// Whether a type is written out, without `_` and without `impl`.
fn is_complete(ty: &SyntaxNode) -> bool {
    !ty.descendants().any(|node| {
        matches!(
            node.kind(),
            SyntaxKind::INFER_TYPE | SyntaxKind::IMPL_TRAIT_TYPE
        )
    })
}

/// The name that a pattern binds; constants and unit variants look like names, but are written large.
fn bound_name(ident: &ast::IdentPat) -> Option<String> {
    let name = ident.name()?.text().to_string();
    let large = name.starts_with(char::is_uppercase)
        && ident.mut_token().is_none()
        && ident.pat().is_none();
    let parent = ident.syntax().parent().and_then(ast::LetStmt::cast);
    let top = parent.is_some_and(|binding| binding.let_else().is_none());
    (top || !large).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cell becomes, without the table of types and the marks of lines.
    fn rewritten(cell: &str) -> String {
        rewritten_as(cell, &Form::default())
    }

    fn prepared(cell: &str, number: u32, types: &mut Types) -> Source {
        let changes = items::Items::default().take(&statements(cell), number);
        Source::new(cell, number, types, &changes, &Form::default())
    }

    fn rewritten_as(cell: &str, form: &Form) -> String {
        let changes = items::Items::default().take(&statements(cell), 7);
        let source = Source::new(cell, 7, &mut Types::default(), &changes, form);
        let code = source
            .code
            .split_once("} ")
            .map_or(source.code.as_str(), |(_, code)| code);
        let code = code
            .replace("::itd_prelude::cell::begin(file!()); ", "")
            .replace(" ::itd_prelude::cell::end();", "");
        let mut out = String::new();
        for part in code.split("/*@") {
            out.push_str(
                part.split_once("*/")
                    .filter(|(mark, _)| mark.starts_with("7:"))
                    .map_or(part, |(_, rest)| rest),
            );
        }
        out.replace("::itd_prelude::", "")
            .replace("::std::mem::", "")
    }

    #[test]
    fn new_variables_get_a_type_that_can_be_repeated() {
        for (cell, becomes) in [
            ("let x = 1;", "let x: itd_type!(x_1) = 1; drop(&x/*x_1*/);"),
            (
                "let mut x = 1;",
                "let mut x: itd_type!(x_1) = 1; drop(&x/*x_1*/);",
            ),
            ("let x: u8 = 1;", "let x: u8 = 1;"),
            (
                "let x: Vec<_> = y;",
                "let x: Vec<_> = y; let x: itd_type!(x_1) = x; drop(&x/*x_1*/);",
            ),
            (
                "let (a, mut b) = t;",
                "let (a, mut b) = t; let a: itd_type!(a_1) = a; drop(&a/*a_1*/); \
                 let mut b: itd_type!(b_2) = b; drop(&b/*b_2*/);",
            ),
            (
                "let Some(x) = o else { panic!() };",
                "let Some(x) = o else { panic!() }; let x: itd_type!(x_1) = x; drop(&x/*x_1*/);",
            ),
            (
                "let None = o else { panic!() };",
                "let None = o else { panic!() };",
            ),
            ("let _ = 1;", "let _ = 1;"),
            ("let x;", "let x;"),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn the_last_value_is_shown() {
        for (cell, becomes) in [
            ("x + 1", "show!(x + 1, 1);"),
            ("x;\ny // why", "x;\nshow!(y, 2); // why"),
            ("if a { 1 } else { 2 }", "show!(if a { 1 } else { 2 }, 1);"),
            ("for i in 0..3 { f(i) }", "for i in 0..3 { f(i) };"),
            ("println!(\"x\")", "show!(println!(\"x\"), 1);"),
            ("x;", "x;"),
            ("fn f() {}", "fn f() {}"),
            ("Ok(3)", "show!(Ok::<_, cell::cause::Reported>(3), 1);"),
            ("Ok::<u8, String>(3)", "show!(Ok::<u8, String>(3), 1);"),
            (
                "f()??",
                "show!(question!(question!(f()/*?*/, 1)/*?*/, 1), 1);",
            ),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn a_question_mark_that_leaves_the_cell_says_so() {
        for (cell, becomes) in [
            ("f()?;", "question!(f()/*?*/, 1);"),
            (
                "f()?\n  .g()?;",
                "question!(question!(f()/*?*/, 1)\n  .g()/*?*/, 2);",
            ),
            (
                "g(f()?, h()?);",
                "g(question!(f()/*?*/, 1), question!(h()/*?*/, 1));",
            ),
            (
                "println!(\"{} {}\", f()?, x);",
                "println!(\"{} {}\", question!(f()/*?*/, 1), x);",
            ),
            (
                "if f()? { g()?; }",
                "show!(if question!(f()/*?*/, 1) { question!(g()/*?*/, 1); }, 1);",
            ),
            // These return from something smaller.
            (
                "let f = || { g()?; Some(1) };",
                "unkept!{let f = || { g()?; Some(1) };}",
            ),
            (
                "fn f() -> Option<i32> { g()? }",
                "fn f() -> Option<i32> { g()? }",
            ),
            (
                "block_on(async { f()?; Ok(1) });",
                "block_on(async { f()?; Ok(1) });",
            ),
            // The arguments of an unknown macro may mean anything.
            ("mine!(f()?);", "mine!(f()?);"),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn a_cell_can_be_built_with_less_put_into_it() {
        let plain = Form {
            plain_questions: true,
            plain_end: true,
            unkept: ["x".to_owned()].into(),
            ..Form::default()
        };
        for (cell, becomes) in [
            ("f()?", "cell::cause::plainly(f(), 1)?;"),
            (
                "let n: i32 = f()?;",
                "let n: i32 = cell::cause::plainly(f(), 1)?;",
            ),
            ("let x = &y[1..];", "unkept!{let x = &y[1..];}"),
            ("let (x, z) = y;", "unkept!{let (x, z) = y;}"),
        ] {
            assert_eq!(rewritten_as(cell, &plain), becomes);
        }
        let source = Source::new(
            "let x = 1; let y = 2;",
            1,
            &mut Types::default(),
            &Changes::default(),
            &plain,
        );
        assert_eq!(source.unkept, ["x".to_owned()].into());
        assert_eq!(source.defined, ["x".to_owned(), "y".to_owned()].into());
    }

    #[test]
    fn a_cell_says_that_its_last_line_was_reached() {
        for (cell, end) in [
            (
                "x // why",
                "show!(x/*@1:1*/, 1); ::itd_prelude::cell::end(); // why",
            ),
            (
                "f();\nfn g() {}",
                "f/*@1:1*/(); ::itd_prelude::cell::end();\nfn/*@1:2*/ g() {}",
            ),
        ] {
            let code = prepared(cell, 1, &mut Types::default()).code;
            assert!(code.ends_with(end), "{code}");
        }
        assert!(
            !prepared("fn f() {}", 1, &mut Types::default())
                .code
                .contains("cell::end")
        );
    }

    #[test]
    fn items_without_a_name_get_one() {
        for (cell, becomes) in [
            ("impl P {\n}", "const itd_impl_1: () = { impl P {\n} };"),
            (
                "macro_rules! sq { () => {} }",
                "mod itd_macro_sq { macro_rules! sq { () => {} } pub(crate) use sq; } use itd_macro_sq::sq;",
            ),
            (
                "#[macro_export]\nmacro_rules! sq { () => {} }",
                "#[macro_export]\nmacro_rules! sq { () => {} }",
            ),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let cell = "// é\nlet é = f()?;\né + wrong";
        let source = prepared(cell, 1, &mut Types::default());
        for (line, word) in [(2, "f()"), (3, "wrong")] {
            let text = source.code.lines().nth(line - 1).expect("the line");
            let column = text[..text.find(word).expect("the word")].chars().count() + 1;
            let original = cell.lines().nth(line - 1).expect("the line");
            let known = original[..original.find(word).expect("the word")]
                .chars()
                .count()
                + 1;
            assert_eq!(source.original_place(line, column), (line, known), "{word}");
        }
    }

    #[test]
    fn a_bad_type_in_the_table_is_found_by_its_place() {
        let mut types = Types::default();
        let key = types.fresh("x");
        types.learn([(key.clone(), "some::private::Type".to_owned())]);
        let source = prepared("x", 1, &mut types);
        let column = source.code.find("private").expect("the type") + 1;
        assert_eq!(source.key_at(1, column), Some(key));
        let after = source.code.rfind('x').expect("the variable") + 1;
        assert_eq!(source.key_at(1, after), None);
    }

    #[test]
    fn commands_and_comments_stand_before_the_code() {
        assert_eq!(rust_start(":dep x = \"1\"\n// why\n\nlet a = 1;"), 21);
        assert_eq!(rust_start("let a = 1;\n:dep x"), 0);
        assert_eq!(rust_start("!ls"), 3);
        assert_eq!(rust_start("%%opt 3\n:vars\nx"), 14);
        assert_eq!(rust_start("x %% 3"), 0);
    }

    #[test]
    fn nothing_a_user_types_stops_the_rewriting() {
        // A cell that is being typed: cut anywhere, and with any one character missing.
        let whole =
            "let (a, mut b) = f(\"é\")?.0; // x\nprintln!(\"{:?}\", g(a?, [b]));\nvec![1, 2]?";
        for (at, c) in whole.char_indices() {
            prepared(&whole[..at], 1, &mut Types::default());
            let without = format!("{}{}", &whole[..at], &whole[at + c.len_utf8()..]);
            prepared(&without, 1, &mut Types::default());
        }
        for cell in [
            "",
            "let",
            "let x = ",
            "?",
            "f(?",
            "\"open",
            "é?",
            "#[",
            "}",
            "let (a, = 1;",
            "vec![?",
            "x ? ? ;",
        ] {
            let source = prepared(cell, 1, &mut Types::default());
            assert_eq!(
                source.code.matches('\n').count(),
                cell.matches('\n').count()
            );
            for column in 0..source.code.len() + 2 {
                source.original_place(1, column);
                source.key_at(1, column);
            }
        }
    }
}
