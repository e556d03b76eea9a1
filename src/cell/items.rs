//! What the cells of a session have defined besides variables: a ledger of items and of `impl` blocks.
//!
//! evcxr repeats every item in each later cell, and keeps one of a name. The ledger tells which types a cell changes,
//! since a value made under the old definition must not be read under the new one; and it gives each `impl` a name,
//! so that one that is run again takes the place of the one before.

use std::collections::{BTreeMap, BTreeSet};

use ra_ap_syntax::ast::{self, AstNode, HasGenericParams, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, TextSize};
use serde::{Deserialize, Serialize};

/// The ledger of a session.
#[derive(Debug, Default, Clone)]
pub struct Items {
    named: BTreeMap<String, Named>,
    impls: Vec<Impl>,
    /// `use path::*`.
    globs: BTreeSet<String>,
    /// Names given to `impl` blocks so far.
    count: u32,
    /// Names given to statics so far.
    statics: u32,
}

/// An item as it was written, and the names that it brings into scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub names: Vec<String>,
    pub text: String,
}

/// An item under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// Its tokens, so that a comment or a line break is no change.
    tokens: Vec<String>,
    /// Whether values can be of it, or be made differently by it; those of a function are not.
    shapes: bool,
    /// Its text, and whether there are statics in it.
    text: String,
    has_statics: bool,
    cell: u32,
}

/// An `impl` block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Impl {
    /// What it is called in the generated code.
    id: u32,
    /// The trait, if it is of one, and the type.
    of: Option<String>,
    on: String,
    /// The first word of the type.
    head: String,
    /// Names of what it defines.
    names: BTreeSet<String>,
    text: String,
    cell: u32,
}

impl Impl {
    /// Whether `self` and `other` cannot both be.
    fn replaces(&self, other: &Self) -> bool {
        self.of == other.of
            && self.on == other.on
            && (self.of.is_some() || !self.names.is_disjoint(&other.names))
    }
}

/// What is put around the items of a cell.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names of the `impl` blocks, in their order in the cell.
    pub ids: Vec<u32>,
    /// `impl` blocks that are no more.
    pub dropped: Vec<u32>,
    /// The name of the first static of the cell; the others follow.
    pub first_static: u32,
    /// Whether there are any.
    pub statics: bool,
    /// Items whose statics begin anew, since their types do, as they are to be from now on.
    pub anew: Vec<(String, String)>,
}

/// Whether an item's statics are those of all cells: evcxr writes the item out in each of them, and each cell is a
/// library of its own, so that the loader has to be told that they are one.
fn has_shared_statics(item: &ast::Item) -> bool {
    matches!(
        item,
        ast::Item::Fn(_) | ast::Item::Static(_) | ast::Item::Module(_)
    )
}

/// Where the statics in an item begin, if they have no name for the linker already.
pub fn statics(node: &SyntaxNode) -> Vec<TextSize> {
    if !ast::Item::cast(node.clone()).is_some_and(|item| has_shared_statics(&item)) {
        return Vec::new();
    }
    let foreign = |it: &ast::Static| {
        it.syntax()
            .ancestors()
            .any(|node| ast::ExternBlock::can_cast(node.kind()))
    };
    let named = |it: &ast::Static| {
        let attributes = it.syntax().children().filter_map(ast::Attr::cast);
        let mut texts = attributes.map(|attribute| attribute.syntax().text().to_string());
        texts.any(|text| {
            ["no_mangle", "export_name", "thread_local"]
                .iter()
                .any(|name| text.contains(name))
        })
    };
    node.descendants()
        .filter_map(ast::Static::cast)
        .filter(|it| !foreign(it) && !named(it))
        .map(|it| it.syntax().text_range().start())
        .collect()
}

/// What is put before a static.
pub fn static_name(number: u32) -> String {
    format!("#[unsafe(export_name = \"itd_static_{number}\")] ")
}

/// An item's text with the names of its statics.
fn with_names(text: &str, first: u32) -> String {
    let root = SourceFile::parse(text, Edition::Edition2024).syntax_node();
    let mut out = String::from("/*@0:1*/");
    let mut done = 0;
    let places = root.children().flat_map(|node| statics(&node));
    for (number, at) in (first..).zip(places) {
        out.push_str(&text[done..usize::from(at)]);
        out.push_str(&static_name(number));
        done = usize::from(at);
    }
    out + &text[done..] + "\n"
}

/// The name of an `impl` block in the generated code.
pub fn impl_name(id: u32) -> String {
    format!("itd_impl_{id}")
}

/// What a generated name of an `impl` block stands for.
pub fn impl_words(name: &str) -> Option<String> {
    name.starts_with("itd_impl_")
        .then(|| "an `impl`".to_owned())
}

/// The name of the item that holds a line of a source, under which evcxr keeps it.
pub fn name_at(source: &str, line: usize) -> Option<String> {
    let root = SourceFile::parse(source, Edition::Edition2024).syntax_node();
    let (mut start, mut at) = (0, None);
    for (index, text) in source.split_inclusive('\n').enumerate() {
        if index + 1 == line {
            // Where the code of the line begins.
            at = Some(start + text.len() - text.trim_start().len());
        }
        start += text.len();
    }
    let at = TextSize::try_from(at?).ok()?;
    let item = root
        .children()
        .find(|node| node.text_range().contains(at))
        .and_then(ast::Item::cast)?;
    match &item {
        ast::Item::Fn(function) if function.abi().is_some() => None, // what evcxr makes of a cell
        ast::Item::Use(_) => None,
        _ => names(&item).pop(),
    }
}

impl Items {
    /// Whether the session has an item of this name.
    pub fn defines(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// All of them, as they were written.
    pub fn texts(&self) -> Vec<Text> {
        let mut texts: Vec<Text> = Vec::new();
        for (name, item) in &self.named {
            // One `use` may bring several names.
            match texts.iter_mut().find(|before| before.text == item.text) {
                Some(before) => before.names.push(name.clone()),
                None => texts.push(Text {
                    names: vec![name.clone()],
                    text: item.text.clone(),
                }),
            }
        }
        let nameless = self.impls.iter().map(|block| &block.text);
        texts.extend(nameless.chain(&self.globs).map(|text| Text {
            names: Vec::new(),
            text: text.clone(),
        }));
        texts
    }

    /// Forgets an item.
    pub fn set_aside(&mut self, name: &str) {
        self.named.remove(name);
        self.impls.retain(|block| impl_name(block.id) != name);
    }

    /// Names of all that has another shape after a cell with these statements: what it defines anew, and what is made
    /// of that.
    pub fn redefined(&self, statements: &[SyntaxNode]) -> BTreeSet<String> {
        let new = named(statements, 0);
        let mut changed: BTreeSet<String> = new
            .iter()
            .filter(|(name, item)| {
                self.named.get(*name).is_some_and(|before| {
                    (before.shapes || item.shapes) && before.tokens != item.tokens
                })
            })
            .map(|(name, _)| name.clone())
            .collect();
        loop {
            let more: Vec<String> = self
                .named
                .iter()
                .filter(|(name, item)| {
                    item.shapes
                        && !changed.contains(*name)
                        && item.tokens.iter().any(|token| changed.contains(token))
                })
                .map(|(name, _)| name.clone())
                .collect();
            match more.is_empty() {
                true => return changed,
                false => changed.extend(more),
            }
        }
    }

    /// Takes in what cell number `cell` defines.
    pub fn take(&mut self, statements: &[SyntaxNode], cell: u32) -> Changes {
        let redefined = self.redefined(statements);
        let new = named(statements, cell);
        let mut changes = Changes {
            first_static: self.statics + 1,
            ..Changes::default()
        };
        self.statics += statements
            .iter()
            .map(|node| statics(node).len() as u32)
            .sum::<u32>();
        for (name, item) in &self.named {
            if !item.has_statics {
                continue;
            }
            let outdated = item.tokens.iter().any(|token| redefined.contains(token));
            if outdated && !new.contains_key(name) {
                let text = with_names(&item.text, self.statics + 1);
                self.statics += text.matches("itd_static_").count() as u32;
                changes.anew.push((name.clone(), text));
            }
        }
        changes.statics = self.statics >= changes.first_static;
        let mut fresh: Vec<Impl> = Vec::new();
        for block in impls(statements, cell) {
            let replaced: Vec<u32> = self
                .impls
                .iter()
                .filter(|before| block.replaces(before))
                .map(|before| before.id)
                .collect();
            self.impls.retain(|before| !replaced.contains(&before.id));
            let id = replaced.first().copied().unwrap_or_else(|| {
                self.count += 1;
                self.count
            });
            changes.dropped.extend(replaced.into_iter().skip(1));
            changes.ids.push(id);
            fresh.push(Impl { id, ..block });
        }
        // What was written with the old definition of a type goes with it.
        for (name, item) in &new {
            let Some(before) = self.named.get(name).filter(|before| before.shapes) else {
                continue;
            };
            if before.tokens == item.tokens && !fresh.iter().any(|block| block.head == *name) {
                continue;
            }
            let gone = |block: &Impl| block.head == *name && block.cell == before.cell;
            changes
                .dropped
                .extend(self.impls.iter().filter(|b| gone(b)).map(|b| b.id));
            self.impls.retain(|block| !gone(block));
        }
        self.impls.extend(fresh);
        self.named.extend(new);
        let uses = statements.iter().cloned().filter_map(ast::Use::cast);
        let texts = uses.map(|it| it.syntax().text().to_string());
        self.globs.extend(texts.filter(|text| text.contains('*')));
        changes
    }
}

fn named(statements: &[SyntaxNode], cell: u32) -> BTreeMap<String, Named> {
    let mut all = BTreeMap::new();
    for item in statements.iter().cloned().filter_map(ast::Item::cast) {
        let shapes = !matches!(item, ast::Item::Fn(_) | ast::Item::Static(_));
        let tokens = tokens(item.syntax());
        let (text, has_statics) = (
            item.syntax().text().to_string(),
            !statics(item.syntax()).is_empty(),
        );
        for name in names(&item) {
            let item = Named {
                tokens: tokens.clone(),
                shapes,
                text: text.clone(),
                has_statics,
                cell,
            };
            all.insert(name, item);
        }
    }
    all
}

/// The names that statements bring into scope as items.
pub fn defined(statements: &[SyntaxNode]) -> BTreeSet<String> {
    let items = statements.iter().cloned().filter_map(ast::Item::cast);
    items.flat_map(|item| names(&item)).collect()
}

/// The names that an item brings into scope.
fn names(item: &ast::Item) -> Vec<String> {
    let name = match item {
        ast::Item::Struct(it) => it.name(),
        ast::Item::Enum(it) => it.name(),
        ast::Item::Union(it) => it.name(),
        ast::Item::TypeAlias(it) => it.name(),
        ast::Item::Trait(it) => it.name(),
        ast::Item::Module(it) => it.name(),
        ast::Item::Fn(it) => it.name(),
        ast::Item::Const(it) => it.name(),
        ast::Item::Static(it) => it.name(),
        ast::Item::MacroRules(it) => it.name(),
        ast::Item::Use(it) => return it.use_tree().iter().flat_map(imported).collect(),
        _ => None,
    };
    name.iter().map(|name| name.text().to_string()).collect()
}

/// The names that a `use` brings into scope; those of a glob are not known.
fn imported(tree: &ast::UseTree) -> Vec<String> {
    if let Some(list) = tree.use_tree_list() {
        return list.use_trees().flat_map(|tree| imported(&tree)).collect();
    }
    let renamed = tree.rename().and_then(|rename| rename.name());
    let last = tree
        .path()
        .and_then(|path| path.segment())
        .and_then(|segment| segment.name_ref());
    match (renamed, last, tree.star_token()) {
        (Some(name), ..) => vec![name.text().to_string()],
        (None, Some(name), None) if tree.rename().is_none() => vec![name.text().to_string()],
        _ => Vec::new(),
    }
}

fn impls(statements: &[SyntaxNode], cell: u32) -> impl Iterator<Item = Impl> {
    let blocks = statements.iter().cloned().filter_map(ast::Impl::cast);
    blocks.map(move |block| {
        // `impl<T> Show for Vec<T>` is the same block under another name for `T`.
        let parameters = block.generic_param_list().into_iter();
        let parameters = parameters.flat_map(|list| list.generic_params());
        let parameters: Vec<String> = parameters
            .filter_map(|parameter| match parameter {
                ast::GenericParam::TypeParam(it) => Some(it.name()?.text().to_string()),
                ast::GenericParam::ConstParam(it) => Some(it.name()?.text().to_string()),
                ast::GenericParam::LifetimeParam(it) => {
                    Some(it.lifetime()?.syntax().text().to_string())
                }
            })
            .collect();
        let anonymous = |token: String| match parameters.iter().position(|name| *name == token) {
            Some(index) => format!("${index}"),
            None => token,
        };
        let text = |ty: Option<ast::Type>| {
            let tokens = tokens(ty?.syntax()).into_iter().map(anonymous);
            Some(tokens.collect::<Vec<_>>().join(" "))
        };
        let on = text(block.self_ty()).unwrap_or_default();
        let head = block.self_ty().into_iter().flat_map(|ty| {
            let names = ty.syntax().descendants_with_tokens();
            names.filter_map(|element| element.into_token())
        });
        let head = head
            .filter(|token| token.kind() == SyntaxKind::IDENT)
            .map(|token| token.text().to_owned())
            .next();
        let defined = block.assoc_item_list().into_iter().flat_map(|list| {
            list.assoc_items().filter_map(|item| match item {
                ast::AssocItem::Fn(it) => it.name(),
                ast::AssocItem::Const(it) => it.name(),
                ast::AssocItem::TypeAlias(it) => it.name(),
                ast::AssocItem::MacroCall(_) => None,
            })
        });
        Impl {
            id: 0,
            of: text(block.trait_()),
            on,
            head: head.unwrap_or_default(),
            names: defined.map(|name| name.text().to_string()).collect(),
            text: block.syntax().text().to_string(),
            cell,
        }
    })
}

/// The tokens of a piece of code, without blanks and comments.
fn tokens(node: &SyntaxNode) -> Vec<String> {
    let all = node.descendants_with_tokens();
    let all = all.filter_map(|element| element.into_token());
    all.filter(|token| !token.kind().is_trivia())
        .map(|token| token.text().to_owned())
        .collect()
}

/// Whether a macro may be put in a module of its own and be imported from there.
pub fn is_movable(rules: &ast::MacroRules) -> bool {
    // An attribute, such as `#[macro_export]`, may need it where it stands.
    rules.name().is_some()
        && !rules
            .syntax()
            .children()
            .any(|node| ast::Attr::can_cast(node.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::source::statements;

    fn changed(before: &[&str], cell: &str) -> Vec<String> {
        let mut items = Items::default();
        for (number, cell) in (1..).zip(before) {
            items.take(&statements(cell), number);
        }
        items.redefined(&statements(cell)).into_iter().collect()
    }

    #[test]
    fn what_is_made_of_a_changed_type_is_changed() {
        let nested =
            "struct B { x: u8 } struct A { b: B } type Many = Vec<A>; fn make() -> B { todo!() }";
        assert_eq!(
            changed(&[nested], "struct B { x: String }"),
            ["A", "B", "Many"]
        );
        let sized = "const N: usize = 3; struct Row([f64; N]);";
        assert_eq!(changed(&[sized], "const N: usize = 4;"), ["N", "Row"]);
        let imported = [
            "mod a { pub struct T(u8); } mod b { pub struct T(u64); }",
            "use a::T;",
            "struct S(T);",
        ];
        // What a module takes from outside is not looked into: each that has the word counts.
        assert_eq!(changed(&imported, "use b::T;"), ["S", "T", "a", "b"]);
        let generated = ["macro_rules! field { () => { u8 } }", "struct S(field!());"];
        assert_eq!(
            changed(&generated, "macro_rules! field { () => { u64 } }"),
            ["S", "field"]
        );
    }

    #[test]
    fn a_function_and_a_comment_change_nothing() {
        assert!(
            changed(
                &["fn f() -> i32 { 1 }", "struct S { f: i32 }"],
                "fn f() -> i32 { 2 }"
            )
            .is_empty()
        );
        assert!(changed(&["struct S { x: i32 }"], "struct S {\n    x: i32 // why\n}").is_empty());
        assert!(changed(&["struct S;"], "struct T;").is_empty());
    }

    fn ids(cells: &[&str]) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut items = Items::default();
        let all = (1..).zip(cells).map(|(number, cell)| {
            let changes = items.take(&statements(cell), number);
            (changes.ids, changes.dropped)
        });
        all.collect()
    }

    #[test]
    fn an_impl_takes_the_place_of_the_one_before() {
        let cells = [
            "struct P; impl P { fn f(&self) {} }",
            "impl P { fn g(&self) {} }",
            "impl P { fn f(&self) { } }",
            "impl Display for P { fn fmt() {} }",
            "impl<T> Display for Vec<T> {}",
            "impl<U> Display for Vec< U > {}\nimpl Display for P {}",
            "impl P { fn f(&self) {} fn g(&self) {} }",
        ];
        let of = |ids: &[u32], dropped: &[u32]| (ids.to_vec(), dropped.to_vec());
        assert_eq!(
            ids(&cells),
            [
                of(&[1], &[]),
                of(&[2], &[]),
                of(&[1], &[]),
                of(&[3], &[]),
                of(&[4], &[]),
                of(&[4, 3], &[]),
                of(&[2], &[1]),
            ]
        );
    }

    #[test]
    fn statics_have_one_name_in_all_cells_until_their_type_changes() {
        let places = |cell: &str| -> Vec<usize> {
            let all = statements(cell);
            all.iter().map(|node| statics(node).len()).collect()
        };
        assert_eq!(
            places("static A: u8 = 1; fn f() { static B: u8 = 2; }"),
            [1, 1]
        );
        assert_eq!(
            places("mod m { pub static C: u8 = 3; static D: u8 = 4; }"),
            [2]
        );
        assert_eq!(
            places("extern \"C\" { static environ: *const u8; } #[no_mangle] static E: u8 = 1;"),
            [0, 0]
        );
        let mut items = Items::default();
        let first = items.take(
            &statements("struct P(u8); static S: Mutex<Vec<P>> = Mutex::new(vec![]); fn f() { static N: u8 = 0; }"),
            1,
        );
        assert_eq!(
            (first.first_static, first.statics, first.anew.len()),
            (1, true, 0)
        );
        let none = items.take(&statements("struct Q;"), 2);
        assert_eq!((none.first_static, none.statics), (3, false));
        let changed = items.take(&statements("struct P(u64); static T: u8 = 1;"), 3);
        assert_eq!((changed.first_static, changed.statics), (3, true));
        let anew = "/*@0:1*/#[unsafe(export_name = \"itd_static_4\")] static S: Mutex<Vec<P>> = Mutex::new(vec![]);\n";
        assert_eq!(changed.anew, [("S".to_owned(), anew.to_owned())]);
    }

    #[test]
    fn an_item_is_found_by_a_line_of_it() {
        let source = "#![allow(x)]\nfn f() {\n    g()\n}\nconst itd_impl_2: () = { impl P {\n  fn a() {}\n} };\n\
                      #[unsafe(no_mangle)]\npub extern \"C\" fn run() {\n x\n}\n";
        let name = |line| name_at(source, line);
        assert_eq!(
            (name(3), name(6)),
            (Some("f".into()), Some("itd_impl_2".into()))
        );
        assert_eq!((name(1), name(10), name(99)), (None, None, None));
    }

    #[test]
    fn what_came_with_a_type_goes_with_it() {
        let cells = [
            "struct P { x: i32 } impl P { fn f(&self) -> i32 { self.x } }",
            "impl Display for P {}",
            "struct P { y: i32 }",
        ];
        assert_eq!(ids(&cells)[2], (vec![], vec![1]));
        let again = [cells[0], cells[0]];
        assert_eq!(ids(&again)[1], (vec![1], vec![]));
    }
}
