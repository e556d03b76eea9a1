//! What the cells of a session have defined besides variables: a ledger of items.
//!
//! evcxr repeats every item in each later cell, and keeps one of a name. The ledger tells which types a cell changes,
//! since a value made under the old definition must not be read under the new one; and it gives those that have no
//! name one, such as an `impl`, so that one that is run again takes the place of the one before.

use std::collections::{BTreeMap, BTreeSet};

use ra_ap_syntax::ast::{self, AstNode, HasGenericParams, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, TextSize};
use serde::{Deserialize, Serialize};

use super::imports::{self, Import};
use super::macros;
use super::statics;

/// The ledger of a session.
#[derive(Debug, Default, Clone)]
pub struct Items {
    named: BTreeMap<String, Named>,
    blocks: Vec<Block>,
    /// Names given to blocks so far.
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
    /// Whether it is a macro whose calls stand for items.
    makes_items: bool,
    cell: u32,
}

/// An item without a name: an `impl`, an `extern` block, a call of a macro that stands for items.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// What it is called in the generated code.
    id: u32,
    kind: Kind,
    /// What it is about: the type of an `impl`, the first argument of a macro.
    on: String,
    /// The types that are made or made otherwise by it.
    heads: BTreeSet<String>,
    /// Names of what it defines.
    names: BTreeSet<String>,
    /// Tokens by which values can have another shape: associated types and constants, the arguments of a macro.
    shape: Vec<String>,
    text: String,
    has_statics: bool,
    cell: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// An `impl` of a trait, or of none.
    Impl(Option<String>),
    Extern,
    /// A call of the macro of this name.
    Call(String),
    /// `const _: () = …;`, `use a::*;`
    Other,
}

impl Block {
    /// Whether `self` and `other` cannot both be.
    fn replaces(&self, other: &Self) -> bool {
        let several = matches!(self.kind, Kind::Impl(None) | Kind::Extern);
        self.kind == other.kind
            && self.on == other.on
            && (!several || !self.names.is_disjoint(&other.names))
    }

    /// What it is to people.
    fn words(&self) -> String {
        match &self.kind {
            Kind::Impl(_) => "an `impl`".to_owned(),
            Kind::Extern => "an `extern` block".to_owned(),
            Kind::Call(name) => format!("`{name}!`"),
            Kind::Other => "an item without a name".to_owned(),
        }
    }
}

/// What is put around the items of a cell.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names of the blocks, in their order in the cell.
    pub ids: Vec<u32>,
    /// Blocks that are no more.
    pub dropped: Vec<u32>,
    /// Macros whose calls stand for items.
    pub item_macros: BTreeSet<String>,
    /// All macros of the session, those of this cell among them.
    pub macros: BTreeSet<String>,
    /// The name of the first static of the cell; the others follow.
    pub first_static: u32,
    /// Whether there are any.
    pub statics: bool,
    /// Items whose statics begin anew, since their types do, as they are to be from now on.
    pub anew: Vec<(String, String)>,
}

/// An item's text with its statics as those of all cells, as [`statics::share`] has it.
fn with_statics(text: &str, first: u32, around: (&str, &str)) -> (String, u32) {
    let root = SourceFile::parse(text, Edition::Edition2024).syntax_node();
    let mut out = format!("/*@0:1*/{}", around.0);
    let (mut done, mut next) = (0, first);
    for node in root.children() {
        for (at, inserted) in statics::share(&node, &mut next) {
            let at = usize::from(at);
            out.push_str(&text[done..at]);
            out.push_str(&inserted);
            done = at;
        }
    }
    (out + &text[done..] + around.1 + "\n", next)
}

/// Whether a statement is an item, if calls of these macros are.
pub fn is_item(node: &SyntaxNode, item_macros: &BTreeSet<String>) -> bool {
    ast::Item::can_cast(node.kind()) && node.kind() != SyntaxKind::MACRO_CALL
        || ast::Attr::can_cast(node.kind())
        || statics::is_thread_local(node)
        || item_call(node, item_macros).is_some()
}

/// The call of one of these macros that a statement is.
fn item_call(node: &SyntaxNode, item_macros: &BTreeSet<String>) -> Option<ast::MacroCall> {
    macros::call(node).filter(|call| item_macros.contains(&macros::name(call)))
}

/// Whether an item needs a name of ours.
pub fn is_nameless(node: &SyntaxNode, item_macros: &BTreeSet<String>) -> bool {
    block(node, item_macros, 0).is_some()
}

/// The module of a macro in the generated code.
pub fn macro_name(name: &str) -> String {
    format!("{MACRO}{}", name.trim_start_matches("r#"))
}

const MACRO: &str = "itd_macro_";

/// The name of a block in the generated code.
pub fn block_name(id: u32) -> String {
    format!("itd_impl_{id}")
}

/// The name of the item that holds a line of a source, under which evcxr keeps it.
pub fn name_at(source: &str, line: usize) -> Option<At> {
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
        ast::Item::Use(_) => names(&item).pop().map(At::Import),
        _ => names(&item).pop().map(At::Item),
    }
}

/// What holds a line of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    Item(String),
    /// An import of this name.
    Import(String),
}

impl At {
    /// The name.
    pub fn text(&self) -> &str {
        match self {
            Self::Item(name) | Self::Import(name) => name,
        }
    }
}

/// What stands before and behind an item, so that evcxr takes it for one with a name. It is in marks, and the compiler
/// does not see it: see `session::compiler`.
pub fn bare(name: &str) -> (String, String) {
    (
        format!("{BARE}const {name}: () = {{ {BARE_END}"),
        // What stands behind a statement belongs to the next one.
        format!("{BARE}{BARE_CLOSE}"),
    )
}

/// The marks around what only evcxr sees.
pub const BARE: &str = "/*[*/";
pub const BARE_END: &str = "/*]*/";
pub const BARE_CLOSE: &str = " };";

impl Items {
    /// Whether the session has an item of this name.
    pub fn defines(&self, name: &str) -> bool {
        self.named.contains_key(name) || self.named.contains_key(&format!("{name}!"))
    }

    /// The cell that has defined an item.
    pub fn cell_of(&self, name: &str) -> Option<u32> {
        self.named.get(name).map(|item| item.cell)
    }

    /// All of them, as they were written.
    pub fn texts(&self) -> Vec<Text> {
        let mut texts: Vec<Text> = Vec::new();
        for (name, item) in &self.named {
            // One `use` may bring several names.
            match texts.iter_mut().find(|before| before.text == item.text) {
                Some(before) => before.names.push(word(name).to_owned()),
                None => texts.push(Text {
                    names: vec![word(name).to_owned()],
                    text: item.text.clone(),
                }),
            }
        }
        let nameless = self.blocks.iter().map(|block| &block.text);
        texts.extend(nameless.map(|text| Text {
            names: Vec::new(),
            text: text.clone(),
        }));
        texts
    }

    /// Forgets an item; gives what it is to people.
    pub fn set_aside(&mut self, name: &str) -> String {
        if let Some(own) = name.strip_prefix(MACRO) {
            self.named.remove(&format!("{own}!"));
            return format!("`{own}!`");
        }
        self.named.remove(name);
        let at = self
            .blocks
            .iter()
            .position(|block| block_name(block.id) == name);
        match at {
            Some(at) => self.blocks.remove(at).words(),
            None => format!("`{name}`"),
        }
    }

    /// Macros whose calls stand for items after these statements.
    fn item_macros(&self, new: &BTreeMap<String, Named>) -> BTreeSet<String> {
        let before = self
            .named
            .iter()
            .filter(|(name, _)| !new.contains_key(*name));
        let own = before.chain(new).filter(|(_, item)| item.makes_items);
        let own = own.map(|(name, _)| word(name).to_owned());
        own.chain(macros::OF_CRATES.map(str::to_owned)).collect()
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
            .map(|(name, _)| word(name).to_owned())
            .collect();
        // A macro may be given types that are defined elsewhere, which it leaves as they are.
        let known = |name: &String| self.named.contains_key(name) || new.contains_key(name);
        let made = |block: &Block| -> Vec<String> {
            let is_call = matches!(block.kind, Kind::Call(_));
            let heads = block.heads.iter().filter(|name| !is_call || !known(name));
            heads.cloned().collect()
        };
        for block in blocks(statements, &self.item_macros(&new), 0) {
            for before in self.blocks.iter().filter(|before| block.replaces(before)) {
                if before.shape != block.shape {
                    changed.extend(made(before).into_iter().chain(made(&block)));
                }
            }
        }
        loop {
            let mentions = |tokens: &[String]| tokens.iter().any(|token| changed.contains(token));
            let named = self.named.iter();
            let named = named.filter(|(_, item)| item.shapes && mentions(&item.tokens));
            let blocks = self.blocks.iter().filter(|block| mentions(&block.shape));
            let names = named.map(|(name, _)| word(name).to_owned());
            let names = names.chain(blocks.flat_map(made));
            let more: Vec<String> = names.filter(|name| !changed.contains(name)).collect();
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
        let item_macros = self.item_macros(&new);
        let macros = self.named.keys().chain(new.keys());
        let macros = macros.filter_map(|name| Some(name.strip_suffix('!')?.to_owned()));
        let mut changes = Changes {
            macros: macros.collect(),
            first_static: self.statics + 1,
            ..Changes::default()
        };
        let mut next = changes.first_static;
        for node in statements {
            statics::share(node, &mut next);
        }
        let mut fresh: Vec<Block> = Vec::new();
        for block in blocks(statements, &item_macros, cell) {
            let replaced: Vec<u32> = self
                .blocks
                .iter()
                .filter(|before| block.replaces(before))
                .map(|before| before.id)
                .collect();
            self.blocks.retain(|before| !replaced.contains(&before.id));
            let id = replaced.first().copied().unwrap_or_else(|| {
                self.count += 1;
                self.count
            });
            changes.dropped.extend(replaced.into_iter().skip(1));
            changes.ids.push(id);
            fresh.push(Block { id, ..block });
        }
        // What was written with the old definition of a type goes with it.
        for (name, item) in &new {
            let Some(before) = self.named.get(name).filter(|before| before.shapes) else {
                continue;
            };
            let is_on =
                |block: &Block| matches!(block.kind, Kind::Impl(_)) && block.heads.contains(name);
            if before.tokens == item.tokens && !fresh.iter().any(is_on) {
                continue;
            }
            let gone = |block: &Block| is_on(block) && block.cell == before.cell;
            changes
                .dropped
                .extend(self.blocks.iter().filter(|b| gone(b)).map(|b| b.id));
            self.blocks.retain(|block| !gone(block));
        }
        // Statics begin anew where their types do.
        let outdated = |text: &str| {
            let root = SourceFile::parse(text, Edition::Edition2024).syntax_node();
            tokens(&root).iter().any(|token| redefined.contains(token))
        };
        let mut seen = BTreeSet::new();
        for (name, item) in &self.named {
            let old = item.has_statics && !new.contains_key(name) && outdated(&item.text);
            // One `thread_local!` may define several.
            if old && seen.insert(&item.text) {
                let (text, after) = with_statics(&item.text, next, ("", ""));
                next = after;
                changes.anew.push((format!("`{name}`"), text));
            }
        }
        for block in &self.blocks {
            if block.has_statics && outdated(&block.text) {
                let before = format!("const {}: () = {{ ", block_name(block.id));
                let (text, after) = with_statics(&block.text, next, (&before, " };"));
                next = after;
                let heads: Vec<&str> = block.heads.iter().map(String::as_str).collect();
                changes.anew.push((
                    format!("{} of `{}`", block.words(), heads.join("`, `")),
                    text,
                ));
            }
        }
        self.statics = next - 1;
        changes.statics = self.statics >= changes.first_static;
        changes.item_macros = item_macros;
        self.blocks.extend(fresh);
        self.named.extend(new);
        changes
    }
}

fn named(statements: &[SyntaxNode], cell: u32) -> BTreeMap<String, Named> {
    let mut all = BTreeMap::new();
    for node in statements {
        let item = ast::Item::cast(node.clone());
        let names = match &item {
            Some(item) => names(item),
            None => statics::thread_locals(node),
        };
        if names.is_empty() {
            continue;
        }
        let shapes = match &item {
            // What it gives may be the length of an array.
            Some(ast::Item::Fn(function)) => function.const_token().is_some(),
            Some(ast::Item::Static(_)) | None => false,
            Some(_) => true,
        };
        let makes_items = match &item {
            Some(ast::Item::MacroRules(rules)) => macros::makes_items(rules),
            _ => false,
        };
        let named = Named {
            tokens: tokens(node),
            shapes,
            text: node.text().to_string(),
            has_statics: !statics::share(node, &mut 0).is_empty(),
            makes_items,
            cell,
        };
        if let Some(ast::Item::Use(it)) = &item {
            // Another way to write the same import is no change.
            for import in imports::of(it) {
                if let Some(name) = import.name() {
                    let tokens = import.path().to_vec();
                    all.insert(
                        name.to_owned(),
                        Named {
                            tokens,
                            ..named.clone()
                        },
                    );
                }
            }
            continue;
        }
        all.extend(names.into_iter().map(|name| (name, named.clone())));
    }
    all
}

/// The names that statements bring into scope as items.
pub fn defined(statements: &[SyntaxNode]) -> BTreeSet<String> {
    let names = named(statements, 0).into_keys();
    names.map(|name| word(&name).to_owned()).collect()
}

/// Names that statements define as values. No `let` can bind a constant's name, and a variable would hide a function.
pub fn values(statements: &[SyntaxNode]) -> BTreeSet<String> {
    let items = statements.iter().cloned().filter_map(ast::Item::cast);
    let names = items.filter_map(|item| match item {
        ast::Item::Fn(it) => it.name(),
        ast::Item::Const(it) => it.name(),
        ast::Item::Static(it) => it.name(),
        ast::Item::Struct(it) => match it.field_list() {
            Some(ast::FieldList::RecordFieldList(_)) => None,
            _ => it.name(),
        },
        _ => None,
    });
    names.map(|name| name.text().to_string()).collect()
}

/// The name of a macro without its sign.
fn word(name: &str) -> &str {
    name.trim_end_matches('!')
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
        // A function may be called like a macro.
        ast::Item::MacroRules(it) => {
            return it
                .name()
                .iter()
                .map(|name| format!("{}!", name.text()))
                .collect();
        }
        ast::Item::Use(it) => {
            let all = imports::of(it);
            return all
                .iter()
                .filter_map(Import::name)
                .map(str::to_owned)
                .collect();
        }
        _ => None,
    };
    name.iter().map(|name| name.text().to_string()).collect()
}

fn blocks(
    statements: &[SyntaxNode],
    item_macros: &BTreeSet<String>,
    cell: u32,
) -> impl Iterator<Item = Block> {
    statements
        .iter()
        .filter_map(move |node| block(node, item_macros, cell))
}

/// A statement as an item without a name, if it is one.
fn block(node: &SyntaxNode, item_macros: &BTreeSet<String>, cell: u32) -> Option<Block> {
    let block = |kind, on: String| Block {
        id: 0,
        kind,
        on,
        heads: BTreeSet::new(),
        names: BTreeSet::new(),
        shape: Vec::new(),
        text: node.text().to_string(),
        has_statics: !statics::share(node, &mut 0).is_empty(),
        cell,
    };
    match ast::Item::cast(node.clone()) {
        Some(ast::Item::Impl(it)) => Some(implementation(&it, block)),
        Some(ast::Item::ExternBlock(it)) => {
            let items = it.extern_item_list()?.extern_items();
            let names = items.filter_map(|item| match item {
                ast::ExternItem::Fn(it) => it.name(),
                ast::ExternItem::Static(it) => it.name(),
                ast::ExternItem::TypeAlias(it) => it.name(),
                ast::ExternItem::MacroCall(_) => None,
            });
            Some(Block {
                names: names.map(|name| name.text().to_string()).collect(),
                ..block(Kind::Extern, String::new())
            })
        }
        // Of what has no name of its own, evcxr keeps one more each time.
        Some(ast::Item::Use(it)) if imports::of(&it).iter().any(|one| one.name().is_none()) => {
            Some(block(Kind::Other, tokens(node).join(" ")))
        }
        // evcxr would look for them on crates.io.
        Some(ast::Item::ExternCrate(it)) if is_of_the_compiler(&it) => {
            Some(block(Kind::Other, tokens(node).join(" ")))
        }
        Some(ast::Item::Const(it)) if it.name().is_none() => {
            Some(block(Kind::Other, tokens(node).join(" ")))
        }
        Some(_) if node.kind() != SyntaxKind::MACRO_CALL => None,
        _ => {
            let call = item_call(node, item_macros)?;
            let tokens = tokens(call.token_tree()?.syntax());
            let is_type = |token: &&String| token.starts_with(char::is_uppercase);
            Some(Block {
                heads: tokens.iter().filter(is_type).cloned().collect(),
                shape: tokens.clone(),
                ..block(
                    Kind::Call(macros::name(&call)),
                    tokens.get(1).cloned().unwrap_or_default(),
                )
            })
        }
    }
}

/// `extern crate alloc;`
fn is_of_the_compiler(it: &ast::ExternCrate) -> bool {
    let name = it.name_ref().map(|name| name.text().to_string());
    let all = ["alloc", "core", "proc_macro", "std", "test"];
    name.is_some_and(|name| all.contains(&name.as_str()))
}

fn implementation(it: &ast::Impl, block: impl Fn(Kind, String) -> Block) -> Block {
    // `impl<T> Show for Vec<T>` is the same block under another name for `T`.
    let parameters = it.generic_param_list().into_iter();
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
    let head = it.self_ty().into_iter().flat_map(|ty| {
        let names = ty.syntax().descendants_with_tokens();
        names.filter_map(|element| element.into_token())
    });
    let head = head
        .filter(|token| token.kind() == SyntaxKind::IDENT)
        .map(|token| token.text().to_owned())
        .next();
    let (mut names, mut shape) = (BTreeSet::new(), Vec::new());
    for item in it
        .assoc_item_list()
        .iter()
        .flat_map(|list| list.assoc_items())
    {
        let name = match &item {
            ast::AssocItem::Fn(it) => it.name(),
            ast::AssocItem::Const(it) => it.name(),
            ast::AssocItem::TypeAlias(it) => it.name(),
            ast::AssocItem::MacroCall(_) => None,
        };
        names.extend(name.map(|name| name.text().to_string()));
        if !matches!(item, ast::AssocItem::Fn(_)) {
            shape.extend(tokens(item.syntax()));
        }
    }
    Block {
        heads: head.into_iter().collect(),
        names,
        shape,
        ..block(
            Kind::Impl(text(it.trait_())),
            text(it.self_ty()).unwrap_or_default(),
        )
    }
}

/// The tokens of a piece of code, without blanks and comments.
fn tokens(node: &SyntaxNode) -> Vec<String> {
    let all = node.descendants_with_tokens();
    let all = all.filter_map(|element| element.into_token());
    all.filter(|token| !token.kind().is_trivia())
        .map(|token| token.text().to_owned())
        .collect()
}

/// The attributes of a macro that has to leave them behind when it is put in a module of its own and imported from
/// there; none if it cannot be.
pub fn left_behind(rules: &ast::MacroRules) -> Option<Vec<SyntaxNode>> {
    rules.name()?;
    let attributes = rules.syntax().children().filter_map(ast::Attr::cast);
    let attributes: Vec<_> = attributes.map(|it| it.syntax().clone()).collect();
    let says = |node: &&SyntaxNode, word: &str| node.text().to_string().contains(word);
    if attributes.iter().any(|node| says(&node, "cfg")) {
        return None;
    }
    let export = attributes
        .into_iter()
        .filter(|node| says(&node, "macro_export"));
    Some(export.collect())
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
        assert_eq!(changed.anew, [("`S`".to_owned(), anew.to_owned())]);
    }

    #[test]
    fn an_item_is_found_by_a_line_of_it() {
        let source = "#![allow(x)]\nfn f() {\n    g()\n}\nconst itd_impl_2: () = { impl P {\n  fn a() {}\n} };\n\
                      #[unsafe(no_mangle)]\npub extern \"C\" fn run() {\n x\n}\n";
        let name = |line| name_at(source, line);
        assert_eq!(
            (name(3), name(6)),
            (
                Some(At::Item("f".into())),
                Some(At::Item("itd_impl_2".into()))
            )
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
