//! A cell as the user wrote it → the cell as evcxr gets it.
//!
//! Items stay where evcxr finds them. Everything else goes into one block, so that evcxr sees no variable:
//!
//! ```text
//! let x = f(y)?;   →   { ::itd_prelude::cell::begin(file!());
//! x * 2                  let y = unsafe { ::itd_prelude::cell::take::</*y_3*/std::vec::Vec<f64>/**/>(3) };
//!                        let itd_end = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| -> … {
//!                          let/*@7:1*/ x = ::itd_prelude::question!(f(y)/*?*/, 1_000001); ::std::mem::drop(&x/*x_4*/);
//!                          ::itd_prelude::show!(x/*@7:2*/ * 2, 2);
//!                          /*<x_4*/::itd_prelude::cell::keep(x, 4);/*>*/ ::itd_prelude::cell::end(); Ok(())
//!                        }));
//!                        let itd_done = ::itd_prelude::cell::over(itd_end);
//!                        /*<y_3*/::itd_prelude::cell::give_back(y, 3, false);/*>*/ };
//! ```
//!
//! - `take` and `give_back` stand outside of what a panic, a `?` or a `return` leaves, so a cell that fails loses
//!   nothing of what there was before. Only variables that the cell names are taken.
//! - What stands between `/*<x_4*/` and `/*>*/` is left out by `session::compiler` if the variable has been moved
//!   away, or borrows from something that is not kept.
//! - `/*@cell:line*/` says where a statement came from; see [`super::origin`].
//! - The `drop` of a reference makes the compiler name a variable's type in a lint; see [`super::types`].
//! - `question!` tells which error left the cell, and where; `show!` shows the last expression, so that
//!   evcxr need not build the cell twice to find out how. Both have to know a type where they stand; a cell in which
//!   that comes too early is built again without them, see [`Form`].
//! - `end` tells that the last line was reached.
//! - An `impl` gets a name, and a macro a module, so that the next one takes its place; so does what evcxr knows no
//!   name of (an `extern` block, a call of a macro that makes items), for evcxr only; see [`super::items`].
//!
//! Nothing of the user's is changed, and every insertion is noted, so that places can be mapped back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ra_ap_syntax::ast::{self, AstNode, AstToken, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken, T, TextSize};

use super::cfg;
use super::command::Way;
pub use super::command::rust_start;
use super::failure::LINES;
use super::imports;
use super::items::{self, Changes};
use super::measure::{Measure, Test};
use super::statics;
use super::types::{self, Types};

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

/// The prelude's macros that stand in for those of the standard library, which the session imports by name.
pub const STANDING_IN: [&str; 3] = ["dbg", "eprint", "eprintln"];

/// A cell, ready for evcxr.
#[derive(Debug)]
pub struct Source {
    /// What evcxr executes.
    pub code: String,
    /// What the user wrote.
    pub original: String,
    /// Variables that the cell defines.
    pub defined: BTreeMap<String, Variable>,
    /// Those of earlier cells that it names, and their keys in [`Types`].
    pub taken: BTreeMap<String, String>,
    /// Whether there is anything to run, not only items.
    pub runs: bool,
    /// The tests that it runs.
    pub tests: Vec<Test>,
    /// Each `?` that leaves the cell, with what it stands behind, by the number that it tells.
    pub questions: BTreeMap<u32, std::ops::Range<usize>>,
    /// Where its items are: functions, types and the like.
    items: Vec<std::ops::Range<usize>>,
    pieces: Vec<Piece>,
}

/// A variable of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Under which [`Types`] knows its type; its number in the store is part of it.
    pub key: String,
    pub mutable: bool,
    /// The type that the user has written, if it is a whole one.
    pub written: Option<String>,
}

/// A piece of [`Source::code`].
#[derive(Debug)]
struct Piece {
    /// Where it starts, and what it comes from or was inserted before in the original.
    start: usize,
    original: usize,
    inserted: bool,
}

#[derive(Debug)]
struct Insertion {
    /// The statement that it belongs to.
    region: usize,
    /// Byte offset in the original.
    at: usize,
    text: String,
}

/// What a cell is prepared for.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Its number.
    pub number: u32,
    /// The variables that there are.
    pub variables: &'a BTreeMap<String, Variable>,
    /// Numbers of values that nobody asks for any more.
    pub forget: &'a [u32],
    /// What becomes of its items.
    pub changes: &'a Changes,
    pub form: &'a Form,
    /// What is taken of it besides.
    pub measure: &'a Measure,
    /// Lines that evcxr is to obey before.
    pub passed: &'a str,
    /// Where files are that it names.
    pub folder: &'a Path,
    /// Whether what it waits for may be of a crate, and need tokio's runtime.
    pub with_runtime: bool,
}

/// The statements of a cell.
pub fn statements(cell: &str) -> Vec<SyntaxNode> {
    statements_of(&parse(&cell[rust_start(cell)..])).collect()
}

/// The first function among statements that is a test.
pub fn test_in(statements: &[SyntaxNode]) -> Option<String> {
    let functions = statements.iter().cloned().filter_map(ast::Fn::cast);
    let is_test = |function: &ast::Fn| {
        let mut attributes = function.syntax().children().filter_map(ast::Attr::cast);
        attributes.any(|attribute| attribute.syntax().text() == "#[test]")
    };
    Some(
        functions
            .into_iter()
            .find(is_test)?
            .name()?
            .text()
            .to_string(),
    )
}

/// Whether code is no Rust, as far as its syntax goes.
pub fn has_syntax_errors(rust: &str) -> bool {
    let text = format!("{BEFORE}{rust}{AFTER}");
    !SourceFile::parse(&text, Edition::Edition2024)
        .errors()
        .is_empty()
}

/// Whether statements define what a program would begin with.
pub fn has_main(statements: &[SyntaxNode]) -> bool {
    let functions = statements.iter().cloned().filter_map(ast::Fn::cast);
    let mut names = functions.filter_map(|function| function.name());
    names.any(|name| name.text() == "main")
}

/// Names that statements use as values, and that nothing in them binds.
pub fn loose_names(statements: &[SyntaxNode]) -> BTreeSet<String> {
    let nodes = || statements.iter().flat_map(SyntaxNode::descendants);
    let bound: BTreeSet<String> = nodes()
        .filter_map(ast::IdentPat::cast)
        .filter_map(|ident| Some(ident.name()?.text().to_string()))
        .collect();
    let paths = nodes().filter_map(ast::PathExpr::cast);
    let paths = paths.filter_map(|expression| expression.path());
    let single = paths.filter(|path| path.qualifier().is_none());
    let names = single.filter_map(|path| Some(path.segment()?.name_ref()?.text().to_string()));
    names.filter(|name| !bound.contains(name)).collect()
}

/// How much is put into a cell. The usual form is what most cells are built with; those that do not take it are built
/// again in another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Form {
    /// Items of earlier cells that are to be no more.
    pub stale: BTreeSet<String>,
    /// `?` as Rust's own, which waits for types that come later.
    pub plain_questions: bool,
    /// The last expression is not shown.
    pub plain_end: bool,
}

impl Source {
    /// Prepares `cell`, and gives its variables keys in `types`.
    pub fn new(cell: &str, scene: Scene<'_>, types: &mut Types) -> Self {
        let start = rust_start(cell);
        let mut rewrite = Rewrite {
            cell,
            scene,
            region: 0,
            insertions: Vec::new(),
            taken: BTreeMap::new(),
            defined: BTreeMap::new(),
            late: BTreeSet::new(),
            nameless: scene.changes.ids.iter().copied(),
            next_static: scene.changes.first_static,
            runtime: false,
            hidden: Vec::new(),
            tests: Vec::new(),
            questions: BTreeMap::new(),
        };
        let regions = rewrite.statements(start, types);
        let tests_only = rewrite.tests_only(&regions, types);
        let Rewrite {
            mut insertions,
            taken,
            defined,
            tests,
            questions,
            hidden,
            ..
        } = rewrite;
        let original = cell;
        let cell = &*without(cell, &hidden);
        // Stable: what is inserted at one place stays in order, outer before inner.
        insertions.sort_by_key(|insertion| (insertion.region, insertion.at));
        let mut code = Assembly::default();
        code.insert(0, scene.passed);
        code.original(cell, 0..start);
        if start < cell.len() {
            code.insert(start, &items_no_more(scene));
        }
        // Items first, so that what is left can be one block.
        let runs = regions.iter().any(|region| !region.item) || tests_only.is_some();
        let first_to_run = regions.iter().position(|region| !region.item);
        let moved = regions
            .iter()
            .skip(first_to_run.unwrap_or(regions.len()))
            .any(|region| region.item);
        for wanted in [true, false] {
            for (index, region) in regions.iter().enumerate() {
                if region.item != wanted {
                    continue;
                }
                let mut done = region.range.start;
                for insertion in insertions
                    .iter()
                    .filter(|insertion| insertion.region == index)
                {
                    code.original(cell, done..insertion.at);
                    code.insert(insertion.at, &insertion.text);
                    done = insertion.at;
                }
                code.original(cell, done..region.range.end);
                if moved {
                    // A comment may stand at its end.
                    code.insert(region.range.end, "\n");
                }
            }
        }
        if regions.is_empty() {
            code.original(cell, start..cell.len());
        }
        let items = regions.iter().filter(|region| region.item);
        let items = items.map(|region| region.range.clone()).collect();
        if let Some(text) = tests_only {
            // A comment may stand before it.
            code.insert(cell.len(), &format!("\n{text}"));
        }
        Self {
            code: code.text,
            original: original.to_owned(),
            defined,
            taken,
            runs,
            tests,
            questions,
            items,
            pieces: code.pieces,
        }
    }

    /// The key in [`Types`] of the variable whose type was written at a place in [`Self::code`] to take it.
    pub fn key_at(&self, line: usize, column: usize) -> Option<String> {
        let offset = offset_of(&self.code, line, column);
        let (before, after) = self.code.split_at_checked(offset)?;
        let (_, type_so_far) = before.rsplit_once("::take::</*")?;
        let (key, type_so_far) = type_so_far.split_once("*/")?;
        let within = !type_so_far.contains("/**/") && after.contains("/**/");
        within.then(|| key.to_owned())
    }

    /// Whether a place in [`Self::code`] is in something that was put into the cell.
    pub fn is_inserted(&self, line: usize, column: usize) -> bool {
        let offset = offset_of(&self.code, line, column);
        let index = self.pieces.partition_point(|piece| piece.start <= offset);
        index > 0 && self.pieces[index - 1].inserted
    }

    /// The bytes of the original that a range of [`Self::code`] is made of, if nothing was put in between.
    pub fn own(&self, range: std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
        let at = |offset: usize, end: bool| {
            let index = self.pieces.partition_point(|piece| match end {
                true => piece.start < offset,
                false => piece.start <= offset,
            });
            let piece = &self.pieces[index.checked_sub(1)?];
            // An end of a range may touch what was put in.
            let touches = piece.inserted && piece.start == offset;
            (!piece.inserted || touches).then(|| piece.original + offset - piece.start)
        };
        let (from, to) = (at(range.start, false), at(range.end, true));
        let (from, to) = (
            from.or_else(|| at(range.start, true))?,
            to.or_else(|| at(range.end, false))?,
        );
        (from <= to && to <= self.original.len()).then_some(from..to)
    }

    /// Where a name stands in one of the cell's imports.
    pub fn in_import(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let root = parse(&self.original);
        let imports = statements_of(&root).filter(|node| ast::Use::can_cast(node.kind()));
        let tokens = imports.flat_map(|node| node.descendants_with_tokens().collect::<Vec<_>>());
        let mut tokens = tokens.filter_map(|element| element.into_token());
        let range = tokens.find(|token| token.text() == name)?.text_range();
        let at = |offset: TextSize| usize::from(offset).checked_sub(BEFORE.len());
        Some(at(range.start())?..at(range.end())?)
    }

    /// Whether a byte of the original is in an item, and not in what runs as the cell.
    pub fn is_in_item(&self, at: usize) -> bool {
        self.items.iter().any(|item| item.contains(&at))
    }

    /// Where a place in [`Self::code`] is in the original. Lines and columns count from 1, columns in
    /// characters; a place inside an insertion is where the insertion is.
    pub fn original_place(&self, line: usize, column: usize) -> (usize, usize) {
        let offset = offset_of(&self.code, line, column);
        let index = self.pieces.partition_point(|piece| piece.start <= offset);
        let offset = match index.checked_sub(1).map(|index| &self.pieces[index]) {
            Some(piece) if piece.inserted => piece.original,
            Some(piece) => piece.original + offset - piece.start,
            None => 0,
        };
        place_of(&self.original, offset.min(self.original.len()))
    }
}

/// The code, as it is put together.
#[derive(Default)]
struct Assembly {
    text: String,
    pieces: Vec<Piece>,
}

impl Assembly {
    fn original(&mut self, cell: &str, range: std::ops::Range<usize>) {
        if !range.is_empty() {
            self.piece(range.start, false, &cell[range]);
        }
    }

    fn insert(&mut self, at: usize, text: &str) {
        if !text.is_empty() {
            self.piece(at, true, text);
        }
    }

    fn piece(&mut self, original: usize, inserted: bool, text: &str) {
        self.pieces.push(Piece {
            start: self.text.len(),
            original,
            inserted,
        });
        self.text.push_str(text);
    }
}

/// Items that are no more, or not as they were: evcxr forgets one only for another one of its name.
fn items_no_more(scene: Scene<'_>) -> String {
    let mut text = String::new();
    for id in &scene.changes.dropped {
        text.push_str(&format!("const {}: () = (); ", items::block_name(*id)));
    }
    for (_, item) in &scene.changes.anew {
        text.push_str(item);
    }
    if scene.changes.statics {
        // The loader looks for it.
        text.push_str("#[unsafe(no_mangle)] static ITD_STATICS: u8 = 0; ");
    }
    for name in &scene.form.stale {
        text.push_str(&match name.starts_with("itd_impl_") {
            true => format!("const {name}: () = (); "),
            false => format!("mod {name} {{}} "),
        });
    }
    text
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

/// A statement and what follows it up to the next one.
struct Region {
    range: std::ops::Range<usize>,
    item: bool,
}

struct Rewrite<'a> {
    cell: &'a str,
    scene: Scene<'a>,
    /// The statement that is being looked at.
    region: usize,
    insertions: Vec<Insertion>,
    taken: BTreeMap<String, String>,
    defined: BTreeMap<String, Variable>,
    /// Keys of those that get their value, and with it their type, only later.
    late: BTreeSet<String>,
    /// Names of the items that have none.
    nameless: std::iter::Copied<std::slice::Iter<'a, u32>>,
    next_static: u32,
    /// Whether tokio is wanted where it waits.
    runtime: bool,
    /// What the compiler is not to see.
    hidden: Vec<std::ops::Range<usize>>,
    /// The tests of a cell that runs them.
    tests: Vec<Test>,
    /// What each `?` that leaves the cell stands behind, with it.
    questions: BTreeMap<u32, std::ops::Range<usize>>,
}

impl Rewrite<'_> {
    /// Goes through the statements of the Rust code that starts at `start`.
    fn statements(&mut self, start: usize, types: &mut Types) -> Vec<Region> {
        let root = parse(&self.cell[start..]);
        for node in all_statements_of(&root).filter(cfg::is_off) {
            self.hide(&node, start);
        }
        let nodes: Vec<_> = statements_of(&root).collect();
        let is_item = |node: &SyntaxNode| items::is_item(node, &self.scene.changes.item_macros);
        let last = nodes.len().saturating_sub(1);
        let first_to_run = nodes.iter().position(|node| !is_item(node));
        let last_to_run = nodes.iter().rposition(|node| !is_item(node));
        let to_run = || nodes.iter().filter(|node| !is_item(node));
        let waits = to_run().any(awaits);
        let words: BTreeSet<String> = to_run().flat_map(words).collect();
        self.runtime = self.scene.with_runtime || words.contains("tokio");
        for (name, variable) in self.scene.variables {
            if words.contains(name.trim_start_matches("r#")) {
                self.taken.insert(name.clone(), variable.key.clone());
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            if is_item(node) && self.scene.measure.way == Way::Test {
                self.region = index;
                self.tests_in(node, start, "");
            }
        }
        let mut regions = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            self.region = index;
            let from = self.at(start, node.text_range().start());
            let to = self.at(start, node.text_range().end());
            let next = nodes.get(index + 1).map(|next| next.text_range().start());
            let begin = if index == 0 { start } else { from };
            let end = next.map_or(self.cell.len(), |next| self.at(start, next));
            regions.push(Region {
                range: begin..end.max(begin),
                item: is_item(node),
            });
            if Some(index) == first_to_run {
                let opening = self.opening(types, waits);
                let before = self.scene.measure.before(self.taken.keys());
                self.insert(from, opening + &before);
            }
            self.mark_line(node, start);
            self.included(node, start);
            if is_item(node) {
                self.item(node, start);
                continue; // evcxr puts them in their place, outside of what runs
            }
            if let Some(binding) = ast::LetStmt::cast(node.clone()) {
                self.bind(&binding, start, types);
            }
            let value = ast::Expr::cast(node.clone()).filter(|_| index == last);
            let measure = self.scene.measure;
            let shown = value.as_ref().is_some_and(|value| {
                has_value(value) && !self.scene.form.plain_end && !measure.is_scoped()
            });
            if shown {
                self.insert(from, "::itd_prelude::show!(");
            }
            let around = self.measured(node, Some(index) == last_to_run, start);
            if let Some((at, before, ..)) = &around {
                self.insert(*at, before.as_str());
            }
            self.questions(node, start);
            if let Some((.., at, behind)) = around {
                self.insert(at, behind);
            }
            if let Some(value) = value.filter(|_| shown) {
                let line = line_number(&self.cell[..from]);
                self.name_error(&value, start);
                self.insert(to, format!(", {line})"));
            }
            if Some(index) == last_to_run {
                let closing = self.closing(waits);
                self.insert(to, closing);
            }
        }
        regions
    }

    /// What stands before and behind the expression of a statement, and where, if it is measured.
    fn measured(
        &self,
        node: &SyntaxNode,
        last: bool,
        start: usize,
    ) -> Option<(usize, String, usize, String)> {
        let measure = self.scene.measure;
        let expression = match ast::ExprStmt::cast(node.clone()) {
            Some(statement) => statement.expr()?,
            None => ast::Expr::cast(node.clone())?,
        };
        let range = expression.syntax().text_range();
        let (from, to) = (self.at(start, range.start()), self.at(start, range.end()));
        if let Some((before, behind)) = measure.around(line_number(&self.cell[..from])) {
            return Some((from, before, to, behind));
        }
        // A variable is not to be moved.
        let place = matches!(
            expression,
            ast::Expr::PathExpr(_)
                | ast::Expr::FieldExpr(_)
                | ast::Expr::IndexExpr(_)
                | ast::Expr::ParenExpr(_)
                | ast::Expr::PrefixExpr(_)
        );
        let value = has_value(&expression) && !(place && measure.way == Way::Time);
        let (before, behind) = measure.around_value().filter(|_| last && value)?;
        Some((from, before.to_owned(), to, behind.to_owned()))
    }

    /// What runs the tests of a cell that has nothing else to run.
    fn tests_only(&mut self, regions: &[Region], types: &Types) -> Option<String> {
        let none = self.tests.is_empty() || regions.iter().any(|region| !region.item);
        (!none).then(|| self.opening(types, false) + &self.closing(false))
    }

    /// What stands before all that runs.
    fn opening(&self, types: &Types, waits: bool) -> String {
        let mut text = String::from("{ ::itd_prelude::cell::begin(file!()); ");
        if !self.scene.forget.is_empty() {
            text.push_str(&format!(
                "::itd_prelude::cell::forget(&{:?}); ",
                self.scene.forget
            ));
        }
        for (name, key) in &self.taken {
            let mutable = match self.scene.variables[name].mutable {
                true => "mut ",
                false => "",
            };
            let (ty, number) = (types.text(key), types::number(key));
            text.push_str(&format!(
                "let {mutable}{name} = unsafe {{ ::itd_prelude::cell::take::</*{key}*/{ty}/**/>({number}) }}; "
            ));
        }
        if waits && self.runtime {
            // For evcxr, which brings tokio to cells that wait.
            text.push_str("::std::future::ready(()).await; ");
        }
        text.push_str(
            "let itd_end = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| \
             -> ::std::result::Result<(), ::itd_prelude::cell::CellError> { ",
        );
        if waits {
            text.push_str("::itd_prelude::cell::block_on(async { ");
        }
        text
    }

    /// What stands behind all that runs.
    fn closing(&self, waits: bool) -> String {
        let measure = self.scene.measure;
        let mut text = measure.after() + "; ";
        if measure.way == Way::Test {
            text = format!("{text}{}; ", measure.run(&self.tests));
        }
        // The last first: it may borrow from those before it.
        let mut defined: Vec<_> = self.defined.iter().collect();
        defined.sort_by_key(|(_, variable)| std::cmp::Reverse(types::number(&variable.key)));
        for (name, variable) in defined {
            let key = &variable.key;
            let number = types::number(key);
            let named = match self.late.contains(key) {
                true => format!("::std::mem::drop(&{name}/*{key}*/); "),
                false => String::new(),
            };
            text.push_str(&format!(
                "/*<{key}*/{named}::itd_prelude::cell::keep({name}, {number});/*>*/ "
            ));
        }
        text.push_str("::itd_prelude::cell::end(); ");
        text.push_str(match waits {
            true => "::std::result::Result::<(), ::itd_prelude::cell::CellError>::Ok(()) })",
            false => "::std::result::Result::Ok(())",
        });
        text.push_str(" })); let itd_done = ::itd_prelude::cell::over(itd_end); ");
        for (name, key) in &self.taken {
            let number = types::number(key);
            text.push_str(&match self.defined.contains_key(name) {
                // The old one is dropped, and its destructor may panic.
                true => format!(
                    "/*<{key}*/let _ = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| \
                     ::itd_prelude::cell::give_back({name}, {number}, itd_done)));/*>*/ "
                ),
                false => format!(
                    "/*<{key}*/::itd_prelude::cell::give_back({name}, {number}, false);/*>*/ "
                ),
            });
        }
        text + "};"
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

    /// Gives statics and items without a name one, and a macro a place from which it can be imported; see
    /// [`super::items`].
    fn item(&mut self, node: &SyntaxNode, start: usize) {
        let range = node.text_range();
        let (from, to) = (self.at(start, range.start()), self.at(start, range.end()));
        if let Some((named, nameless)) =
            ast::Use::cast(node.clone()).and_then(|it| imports::apart(&it))
        {
            self.insert(from, named);
            if !nameless.is_empty()
                && let Some(id) = self.nameless.next()
            {
                let (open, close) = items::bare(&items::block_name(id));
                self.insert(from, format!("{open}{nameless}{close}"));
            }
            self.hide(node, start);
            return;
        }
        match ast::Item::cast(node.clone()) {
            Some(ast::Item::MacroRules(rules)) => {
                if let (Some(name), Some(hidden)) = (rules.name(), items::left_behind(&rules)) {
                    let module = items::macro_name(name.text());
                    // In the place of an import that evcxr knows under its name.
                    let (open, close) = match STANDING_IN.contains(&name.text()) {
                        true => Default::default(),
                        false => items::bare(&module),
                    };
                    self.insert(from, format!("{open}mod {module} {{ "));
                    hidden.iter().for_each(|node| self.hide(node, start));
                    let import = format!(" pub(crate) use {name}; }} use {module}::{name};{close}");
                    self.insert(to, import);
                }
                return;
            }
            // Warnings are not shown, and code that is put in has some.
            None if ast::Attr::cast(node.clone()).is_some_and(|it| sets_lints(&it)) => {
                self.hide(node, start);
                return;
            }
            Some(ast::Item::Module(_)) => self.macros_inside(node, start),
            Some(ast::Item::Impl(_)) => {
                if let Some(id) = self.nameless.next() {
                    let name = items::block_name(id);
                    self.insert(from, format!("const {name}: () = {{ "));
                    self.share_statics(node, start);
                    self.insert(to, " };");
                }
                return;
            }
            _ => {}
        }
        if !items::is_nameless(node, &self.scene.changes.item_macros) {
            self.share_statics(node, start);
            return;
        }
        // What it defines is to be there for all: only evcxr sees the name.
        if let Some(id) = self.nameless.next() {
            let (open, close) = items::bare(&items::block_name(id));
            let is_call = super::macros::call(node).is_some();
            let end = if is_call && !self.cell[from..to].ends_with([';', '}']) {
                ";"
            } else {
                ""
            };
            self.insert(from, open);
            self.insert(to, format!("{end}{close}"));
        }
    }

    /// A macro of the session is seen in modules as well, as it would be if it stood before them.
    fn macros_inside(&mut self, node: &SyntaxNode, start: usize) {
        for module in node.descendants().filter_map(ast::Module::cast) {
            let Some(list) = module.item_list() else {
                continue;
            };
            let own = list
                .syntax()
                .descendants()
                .filter_map(ast::MacroRules::cast);
            let own: BTreeSet<String> = own
                .filter_map(|rules| Some(rules.name()?.text().to_string()))
                .collect();
            let tokens = list.syntax().descendants_with_tokens();
            let tokens = tokens.filter_map(|element| element.into_token());
            let tokens: Vec<_> = tokens.filter(|token| !token.kind().is_trivia()).collect();
            let called: BTreeSet<&str> = tokens
                .windows(2)
                .filter(|pair| pair[1].kind() == T![!])
                .map(|pair| pair[0].text())
                .filter(|name| self.scene.changes.macros.contains(*name) && !own.contains(*name))
                .collect();
            let open = list.l_curly_token().map(|token| token.text_range().end());
            if let (false, Some(open)) = (called.is_empty(), open) {
                let names = called.into_iter().collect::<Vec<_>>().join(", ");
                let at = self.at(start, open);
                self.insert(
                    at,
                    format!(" #[allow(unused_imports)] use crate::{{{names}}};"),
                );
            }
        }
    }

    /// `include_str!("data.txt")`: the compiler would look beside its own source.
    fn included(&mut self, node: &SyntaxNode, start: usize) {
        let Some(folder) = self
            .scene
            .folder
            .to_str()
            .filter(|it| !it.contains(['"', '\\']))
        else {
            return;
        };
        let tokens = node.descendants_with_tokens();
        let tokens = tokens.filter_map(|element| element.into_token());
        let tokens: Vec<_> = tokens.filter(|token| !token.kind().is_trivia()).collect();
        for four in tokens.windows(4) {
            let [name, sign, open, path] = four else {
                continue;
            };
            let includes = ["include", "include_str", "include_bytes"].contains(&name.text());
            let string = path.kind() == SyntaxKind::STRING;
            let quote = path
                .text()
                .find('"')
                .filter(|_| string && sign.text() == "!");
            let opens = ["(", "[", "{"].contains(&open.text());
            if let (true, true, Some(quote)) = (includes, opens, quote)
                && !path.text()[quote + 1..].starts_with('/')
            {
                let at = self.at(start, path.text_range().start()) + quote + 1;
                self.insert(at, format!("{folder}/"));
            }
        }
    }

    fn share_statics(&mut self, node: &SyntaxNode, start: usize) {
        for (at, text) in statics::share(node, &mut self.next_static) {
            self.insert(self.at(start, at), text);
        }
    }

    /// Makes blanks of a piece of the cell.
    fn hide(&mut self, node: &SyntaxNode, start: usize) {
        let range = node.text_range();
        let range = self.at(start, range.start())..self.at(start, range.end());
        self.hidden.push(range);
    }

    /// Makes tests functions that can be called from outside, and notes them.
    fn tests_in(&mut self, node: &SyntaxNode, start: usize, path: &str) {
        let attributes = || node.children().filter_map(ast::Attr::cast);
        let called = |attribute: &ast::Attr| {
            let text = attribute.syntax().text().to_string();
            text.trim_start_matches("#[")
                .trim_end_matches(']')
                .trim()
                .to_owned()
        };
        // Where tests run, what is for tests is there.
        let mut hide: Vec<ast::Attr> = attributes()
            .filter(|attribute| called(attribute) == "cfg(test)")
            .collect();
        if let Some(function) = ast::Fn::cast(node.clone())
            && attributes().any(|attribute| called(&attribute) == "test")
            && let Some(name) = function.name()
        {
            let at = self.at(start, name.syntax().text_range().start());
            let mut test = Test {
                name: format!("{path}{}", name.text()),
                line: line_number(&self.cell[..at]),
                ..Test::default()
            };
            for attribute in attributes() {
                let text = called(&attribute);
                match text
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                {
                    Some("test") => {}
                    Some("ignore") => test.ignored = true,
                    Some("should_panic") => {
                        let tokens = attribute.syntax().descendants_with_tokens();
                        let mut tokens = tokens.filter_map(|element| element.into_token());
                        let message = tokens.find_map(ast::String::cast);
                        let message =
                            message.and_then(|text| Some(text.value().ok()?.into_owned()));
                        test.should_panic = Some(message.unwrap_or_default());
                    }
                    _ => continue,
                }
                hide.push(attribute);
            }
            if let (None, false, Some(token)) = (
                ast::HasVisibility::visibility(&function),
                path.is_empty(),
                function.fn_token(),
            ) {
                let at = self.at(start, token.text_range().start());
                self.insert(at, "pub(crate) ");
            }
            self.tests.push(test);
        }
        if let Some(module) = ast::Module::cast(node.clone())
            && let (Some(name), Some(list)) = (module.name(), module.item_list())
        {
            if let (None, false, Some(token)) = (
                ast::HasVisibility::visibility(&module),
                path.is_empty(),
                module.mod_token(),
            ) {
                let at = self.at(start, token.text_range().start());
                self.insert(at, "pub(crate) ");
            }
            let path = format!("{path}{}::", name.text());
            for item in list.syntax().children() {
                self.tests_in(&item, start, &path);
            }
        }
        for attribute in hide {
            self.hide(attribute.syntax(), start);
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
            self.insert(end, format!("/*@{}:{line}*/", self.scene.number));
        }
    }

    /// Has the compiler name the types of the variables that a `let` binds, and notes them.
    fn bind(&mut self, binding: &ast::LetStmt, start: usize, types: &mut Types) {
        let Some(pat) = binding.pat() else {
            return;
        };
        let end = self.at(start, binding.syntax().text_range().end());
        let written = binding
            .ty()
            .filter(|ty| is_complete(ty.syntax()) && matches!(pat, ast::Pat::IdentPat(_)))
            .map(|ty| ty.syntax().text().to_string());
        for ident in pat.syntax().descendants().filter_map(ast::IdentPat::cast) {
            let Some(name) = bound_name(&ident) else {
                continue;
            };
            if self.scene.measure.is_scoped() {
                // So that what gives it its value is not left out.
                if binding.initializer().is_some() {
                    self.insert(end, format!(" ::std::hint::black_box(&{name});"));
                }
                continue;
            }
            let written = written.clone().filter(|_| ident.ref_token().is_none());
            let key = types.fresh(&name);
            match (&written, binding.initializer()) {
                (Some(_), _) => {}
                (None, Some(_)) => {
                    self.insert(end, format!(" ::std::mem::drop(&{name}/*{key}*/);"));
                }
                (None, None) => {
                    self.late.insert(key.clone());
                }
            }
            let mutable = ident.mut_token().is_some();
            let variable = Variable {
                key,
                mutable,
                written,
            };
            self.defined.insert(name, variable);
        }
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
            let before = match self.scene.form.plain_questions {
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
            let behind = self.at(start, mark.text_range().end());
            let number = self.question(self.at(start, node.text_range().start())..behind);
            if self.scene.form.plain_questions {
                self.insert(at, format!(", {number})"));
                return;
            }
            self.insert(at, "/*");
            self.insert(behind, format!("*/, {number})"));
        }
    }

    /// The number that a `?` at the end of a range tells, see [`failure::Place::told`](super::failure::Place::told).
    fn question(&mut self, range: std::ops::Range<usize>) -> String {
        let line = line_number(&self.cell[..range.end]) as u32;
        let count = (1..).find(|count| !self.questions.contains_key(&(count * LINES + line)));
        let count = count.unwrap_or(0);
        self.questions.insert(count * LINES + line, range);
        format!("{count}_{line:06}")
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
            region: self.region,
            at,
            text: text.into(),
        });
    }
}

/// Parses statements in the frame that evcxr uses.
fn parse(rust: &str) -> SyntaxNode {
    SourceFile::parse(&format!("{BEFORE}{rust}{AFTER}"), Edition::Edition2024).syntax_node()
}

/// Those that are for this system.
fn statements_of(root: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> + use<> {
    all_statements_of(root).filter(|node| !cfg::is_off(node))
}

/// A text with blanks in the place of ranges; every place in it stays where it is.
fn without<'a>(text: &'a str, hidden: &[std::ops::Range<usize>]) -> Cow<'a, str> {
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        for byte in &mut bytes[range.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    // The ranges are of whole characters.
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn all_statements_of(root: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> + use<> {
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

/// The words of a statement, those in its strings as well: `"{x}"` names a variable.
fn words(node: &SyntaxNode) -> Vec<String> {
    let tokens = node
        .descendants_with_tokens()
        .filter_map(|element| element.into_token());
    let mut all = Vec::new();
    for token in tokens {
        match token.kind() {
            SyntaxKind::IDENT => all.push(token.text().trim_start_matches("r#").to_owned()),
            SyntaxKind::STRING => all.extend(
                token
                    .text()
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    all
}

/// Whether the cell itself waits for something: not a function or an `async` block in it.
fn awaits(node: &SyntaxNode) -> bool {
    if leaves_elsewhere(node) {
        return false;
    }
    match node.kind() {
        SyntaxKind::AWAIT_EXPR => true,
        // The arguments of a macro are bare tokens.
        SyntaxKind::TOKEN_TREE => {
            let tokens = node
                .descendants_with_tokens()
                .filter_map(|element| element.into_token());
            let texts: Vec<_> = tokens.map(|token| token.text().to_owned()).collect();
            texts
                .windows(2)
                .any(|pair| pair[0] == "." && pair[1] == "await")
                && !texts.iter().any(|text| text == "async")
        }
        _ => node.children().any(|child| awaits(&child)),
    }
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

/// `#![deny(…)]` and the like.
fn sets_lints(attribute: &ast::Attr) -> bool {
    let text = attribute.syntax().text().to_string();
    let name = text.trim_start_matches(['#', '!', '[', ' ']);
    ["deny", "forbid", "warn", "expect"]
        .iter()
        .any(|lint| name.starts_with(lint))
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

/// The name that a pattern binds. Behind `let … else`, a constant or a unit variant looks like one, but is written
/// large; elsewhere it would not match all values.
fn bound_name(ident: &ast::IdentPat) -> Option<String> {
    let name = ident.name()?.text().to_string();
    let large = name.starts_with(char::is_uppercase)
        && name.chars().nth(1).is_some()
        && ident.mut_token().is_none()
        && ident.pat().is_none();
    let binding = ident.syntax().ancestors().find_map(ast::LetStmt::cast);
    let matches_all = binding.is_some_and(|binding| binding.let_else().is_none());
    (matches_all || !large).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What runs of a cell, without the marks of lines and what stands around it.
    fn rewritten(cell: &str) -> String {
        rewritten_as(cell, &Form::default())
    }

    fn prepared(cell: &str, form: &Form) -> Source {
        let changes = items::Items::default().take(&statements(cell), 7);
        let scene = Scene {
            number: 7,
            variables: &BTreeMap::new(),
            forget: &[],
            changes: &changes,
            form,
            measure: &Measure::default(),
            passed: "",
            folder: Path::new("/notes"),
            with_runtime: true,
        };
        Source::new(cell, scene, &mut Types::default())
    }

    fn rewritten_as(cell: &str, form: &Form) -> String {
        let source = prepared(cell, form);
        let mut code = source.code.as_str();
        if source.runs {
            let opening = code
                .find("CellError> { ")
                .map(|at| at + "CellError> { ".len());
            let opening = opening.expect("an opening");
            let before = code
                .find("{ ::itd_prelude::cell::begin")
                .expect("a beginning");
            let closing = code
                .find("; /*<")
                .or(code.find("; ::itd_prelude::cell::end"));
            let closing = closing.expect("a closing");
            let end = code.rfind("};").expect("an end") + 2;
            let code = [&code[..before], &code[opening..closing], &code[end..]].concat();
            return without_marks(&code);
        }
        code = code.trim_end();
        without_marks(code)
    }

    fn without_marks(code: &str) -> String {
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
    fn the_compiler_is_asked_for_the_types_of_new_variables() {
        for (cell, becomes) in [
            ("let x = 1;", "let x = 1; drop(&x/*x_1*/);"),
            ("let mut x = 1;", "let mut x = 1; drop(&x/*x_1*/);"),
            ("let x: u8 = 1;", "let x: u8 = 1;"),
            ("let x: Vec<_> = y;", "let x: Vec<_> = y; drop(&x/*x_1*/);"),
            (
                "let (a, mut b) = t;",
                "let (a, mut b) = t; drop(&a/*a_1*/); drop(&b/*b_2*/);",
            ),
            (
                "let Some(x) = o else { panic!() };",
                "let Some(x) = o else { panic!() }; drop(&x/*x_1*/);",
            ),
            (
                "let None = o else { panic!() };",
                "let None = o else { panic!() };",
            ),
            (
                "let (N, Max) = t;",
                "let (N, Max) = t; drop(&N/*N_1*/); drop(&Max/*Max_2*/);",
            ),
            ("let _ = 1;", "let _ = 1;"),
            ("let x;", "let x;"),
            ("let f = |x| x;", "let f = |x| x; drop(&f/*f_1*/);"),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
        let source = prepared("let x; x = 1; let y: u8; y = 2;", &Form::default());
        assert!(source.code.contains(
            "/*<x_1*/::std::mem::drop(&x/*x_1*/); ::itd_prelude::cell::keep(x, 1);/*>*/"
        ));
        assert_eq!(source.defined["y"].written.as_deref(), Some("u8"));
    }

    #[test]
    fn a_cell_takes_what_it_names_and_gives_it_back() {
        let mut types = Types::default();
        let mut variables = BTreeMap::new();
        for (name, mutable) in [("x", true), ("y", false), ("z", false)] {
            let key = types.fresh(name);
            types.note(&key, "u8");
            let written = None;
            variables.insert(
                name.to_owned(),
                Variable {
                    key,
                    mutable,
                    written,
                },
            );
        }
        let (changes, form) = (Changes::default(), Form::default());
        let scene = Scene {
            number: 7,
            variables: &variables,
            forget: &[9],
            changes: &changes,
            form: &form,
            measure: &Measure::default(),
            passed: "",
            folder: Path::new("/notes"),
            with_runtime: true,
        };
        let source = Source::new(
            "println!(\"{y}\");\nlet x = x + 1;\nfn z() {}",
            scene,
            &mut types,
        );
        assert_eq!(source.taken.keys().collect::<Vec<_>>(), ["x", "y"]);
        for part in [
            "fn/*@7:3*/ z() {}",
            "::itd_prelude::cell::forget(&[9]);",
            "let mut x = unsafe { ::itd_prelude::cell::take::</*x_1*/u8/**/>(1) };",
            "let y = unsafe {",
            "/*<x_4*/::itd_prelude::cell::keep(x, 4);/*>*/ ::itd_prelude::cell::end();",
            "::itd_prelude::cell::give_back(x, 1, itd_done)));/*>*/",
            "/*<y_2*/::itd_prelude::cell::give_back(y, 2, false);/*>*/ };",
        ] {
            assert!(source.code.contains(part), "{part}: {}", source.code);
        }
        assert!(
            source.code.starts_with("fn"),
            "items first: {}",
            source.code
        );
        // A type that does not compile where a variable is taken.
        let at = source.code.find("/*y_2*/u8").expect("the type") + "/*y_2*/".len();
        let line = line_number(&source.code[..at]);
        let column = at - source.code[..at].rfind('\n').map_or(0, |at| at + 1) + 1;
        assert_eq!(source.key_at(line, column), Some("y_2".to_owned()));
        assert_eq!(source.key_at(line, column + 40), None);
    }

    #[test]
    fn the_last_value_is_shown() {
        for (cell, becomes) in [
            ("x + 1", "show!(x + 1, 1)"),
            ("x;\ny // why", "x;\nshow!(y, 2) // why"),
            ("if a { 1 } else { 2 }", "show!(if a { 1 } else { 2 }, 1)"),
            ("for i in 0..3 { f(i) }", "for i in 0..3 { f(i) }"),
            ("println!(\"x\")", "show!(println!(\"x\"), 1)"),
            ("x;", "x;"),
            ("fn f() {}", "fn f() {}"),
            ("Ok(3)", "show!(Ok::<_, cell::cause::Reported>(3), 1)"),
            ("Ok::<u8, String>(3)", "show!(Ok::<u8, String>(3), 1)"),
            (
                "f()??",
                "show!(question!(question!(f()/*?*/, 1_000001)/*?*/, 2_000001), 1)",
            ),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn a_question_mark_that_leaves_the_cell_says_so() {
        for (cell, becomes) in [
            ("f()?;", "question!(f()/*?*/, 1_000001);"),
            (
                "f()?\n  .g()?;",
                "question!(question!(f()/*?*/, 1_000001)\n  .g()/*?*/, 1_000002);",
            ),
            (
                "g(f()?, h()?);",
                "g(question!(f()/*?*/, 1_000001), question!(h()/*?*/, 2_000001));",
            ),
            (
                "println!(\"{} {}\", f()?, x);",
                "println!(\"{} {}\", question!(f()/*?*/, 1_000001), x);",
            ),
            (
                "if f()? { g()?; }",
                "show!(if question!(f()/*?*/, 1_000001) { question!(g()/*?*/, 2_000001); }, 1)",
            ),
            // These return from something smaller.
            (
                "let f = || { g()?; Some(1) };",
                "let f = || { g()?; Some(1) }; drop(&f/*f_1*/);",
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
            ..Form::default()
        };
        for (cell, becomes) in [
            ("f()?", "cell::cause::plainly(f(), 1_000001)?"),
            (
                "let n: i32 = f()?;",
                "let n: i32 = cell::cause::plainly(f(), 1_000001)?;",
            ),
        ] {
            assert_eq!(rewritten_as(cell, &plain), becomes);
        }
    }

    #[test]
    fn a_cell_that_waits_does_so_inside() {
        for (cell, waits) in [
            ("f().await", true),
            ("println!(\"{}\", f().await);", true),
            ("let x = async { f().await };", false),
            ("async fn g() { f().await }", false),
            ("block_on(async { f().await });", false),
            ("h!(async { f().await });", false),
            ("await_it();", false),
        ] {
            let code = prepared(cell, &Form::default()).code;
            assert_eq!(
                code.contains("::itd_prelude::cell::block_on("),
                waits,
                "{cell}"
            );
            assert_eq!(code.contains("ready(()).await"), waits, "{cell}");
        }
    }

    #[test]
    fn items_without_a_name_get_one() {
        for (cell, becomes) in [
            ("impl P {\n}", "const itd_impl_1: () = { impl P {\n} };"),
            (
                "macro_rules! sq { () => {} }",
                "/*[*/const itd_macro_sq: () = { /*]*/mod itd_macro_sq { macro_rules! sq { () => {} } pub(crate) use sq; } use itd_macro_sq::sq;/*[*/ };",
            ),
            (
                "macro_rules! dbg { () => {} }",
                "mod itd_macro_dbg { macro_rules! dbg { () => {} } pub(crate) use dbg; } use itd_macro_dbg::dbg;",
            ),
            (
                "#[macro_export]\nmacro_rules! sq { () => {} }",
                "/*[*/const itd_macro_sq: () = { /*]*/mod itd_macro_sq {                \nmacro_rules! sq { () => {} } pub(crate) use sq; } use itd_macro_sq::sq;/*[*/ };",
            ),
            (
                "#[cfg(test)]\nmacro_rules! sq { () => {} }",
                "#[cfg(test)]\nmacro_rules! sq { () => {} }",
            ),
            (
                "extern \"C\" { fn abs(x: i32) -> i32; }",
                "/*[*/const itd_impl_1: () = { /*]*/extern \"C\" { fn abs(x: i32) -> i32; }/*[*/ };",
            ),
            (
                "macro_rules! unit { ($n:ident) => { struct $n; } }\nunit!(A)",
                "/*[*/const itd_macro_unit: () = { /*]*/mod itd_macro_unit { macro_rules! unit { ($n:ident) => { struct $n; } } pub(crate) use unit; } use itd_macro_unit::unit;/*[*/ };\n\
                 /*[*/const itd_impl_1: () = { /*]*/unit!(A);/*[*/ };",
            ),
            (
                "use a::{self as b, C as _};",
                "use a as b; /*[*/const itd_impl_1: () = { /*]*/use a::C as _; /*[*/ };   ",
            ),
        ] {
            assert_eq!(rewritten(cell), becomes);
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        for cell in [
            "// é\nlet é = f()?;\né + wrong",
            "// é\nlet é = f()?;\nfn g() {\n    h()\n}\né + wrong // why",
        ] {
            let source = prepared(cell, &Form::default());
            for word in ["f()", "wrong", "h()"] {
                let (Some(at), Some(known)) = (source.code.find(word), cell.find(word)) else {
                    continue;
                };
                let (line, column) = place_of(&source.code, at);
                assert_eq!(
                    source.original_place(line, column),
                    place_of(cell, known),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn nothing_a_user_types_stops_the_rewriting() {
        // A cell that is being typed: cut anywhere, and with any one character missing.
        let whole = "let (a, mut b) = f(\"é\")?.0; // x\nfn g() {}\nprintln!(\"{:?}\", g(a?, [b]));\nvec![1, 2]?";
        let try_out = |cell: &str| {
            let source = prepared(cell, &Form::default());
            for line in 1..3 {
                for column in 0..source.code.len() + 2 {
                    source.original_place(line, column);
                    source.key_at(line, column);
                }
            }
            // All that the user wrote is in it.
            let letters = |text: &str| text.matches(char::is_alphanumeric).count();
            assert!(letters(&source.code) >= letters(cell.trim()), "{cell}");
        };
        for (at, c) in whole.char_indices() {
            try_out(&whole[..at]);
            try_out(&format!("{}{}", &whole[..at], &whole[at + c.len_utf8()..]));
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
            "fn f() {}\nx fn g() {}",
        ] {
            try_out(cell);
        }
    }
}
