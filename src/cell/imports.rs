//! What a `use` brings into scope, name by name.

use ra_ap_syntax::ast::{self, AstNode, HasName, PathSegmentKind};

/// One name that a `use` imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The whole path, without the `*` of a glob.
    path: Vec<String>,
    bound: Bound,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    /// The last word of the path, or another.
    Name(String),
    /// `use a::b as _`, or an item of the session under its own name, which is there without it.
    Nothing,
    /// `use a::*`
    All,
}

impl Import {
    /// The name that it brings into scope.
    pub fn name(&self) -> Option<&str> {
        match &self.bound {
            Bound::Name(name) => Some(name),
            Bound::Nothing | Bound::All => None,
        }
    }

    /// The words of its path, which tell what it is; the same for all ways to write it.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// A `use` of it alone.
    fn text(&self) -> String {
        let path = self.path.join("::");
        match &self.bound {
            Bound::Name(name) if self.path.last() == Some(name) => format!("use {path}; "),
            Bound::Name(name) => format!("use {path} as {name}; "),
            Bound::Nothing => format!("use {path} as _; "),
            Bound::All if self.path.is_empty() => "use crate::*; ".to_owned(),
            Bound::All => format!("use {path}::*; "),
        }
    }
}

/// All that a `use` imports.
pub fn of(item: &ast::Use) -> Vec<Import> {
    let mut all = Vec::new();
    if let Some(tree) = item.use_tree() {
        add(&tree, &[], &mut all);
    }
    all
}

fn add(tree: &ast::UseTree, before: &[String], all: &mut Vec<Import>) {
    let mut path = before.to_vec();
    for segment in tree.path().iter().flat_map(ast::Path::segments) {
        match segment.kind() == Some(PathSegmentKind::SelfKw) {
            // The session is the crate's root.
            true if path.is_empty() => path.push("crate".to_owned()),
            true => {}
            false => path.push(segment.syntax().text().to_string()),
        }
    }
    if let Some(list) = tree.use_tree_list() {
        list.use_trees().for_each(|tree| add(&tree, &path, all));
        return;
    }
    let bound = match (tree.rename(), tree.star_token()) {
        (_, Some(_)) => Bound::All,
        (Some(rename), None) => match rename.name() {
            Some(name) => Bound::Name(name.text().to_string()),
            None => Bound::Nothing,
        },
        (None, None) => match path.last() {
            Some(last) => Bound::Name(last.clone()),
            None => return,
        },
    };
    let is_there = match (&path[..], &bound) {
        ([root, item], Bound::Name(name)) => root == "crate" && item == name,
        _ => false,
    };
    let bound = if is_there { Bound::Nothing } else { bound };
    all.push(Import { path, bound });
}

/// A `use` that evcxr does not read as it is meant, written otherwise: what has names one by one, then what has none.
/// None for one that it does read.
///
/// It loses `use a::{self as b}` and `use {a::b, c::d}`, takes the `self` from the head of a path, keeps a `use` that
/// also has a `*` or `_` in it as a whole, besides a later one of the same names, and has an item of the session twice
/// that is imported under its own name.
pub fn apart(item: &ast::Use) -> Option<(String, String)> {
    let trees: Vec<ast::UseTree> = item
        .syntax()
        .descendants()
        .filter_map(ast::UseTree::cast)
        .collect();
    let all = of(item);
    let is_self = |segment: ast::PathSegment| segment.kind() == Some(PathSegmentKind::SelfKw);
    let misread = trees.iter().any(|tree| {
        let first = tree.path().and_then(|path| path.segments().next());
        let outer = tree
            .syntax()
            .parent()
            .is_none_or(|parent| ast::Use::can_cast(parent.kind()));
        let starts_with_self = first.is_some_and(is_self);
        match (&tree.path(), tree.use_tree_list()) {
            (None, Some(_)) => true,
            (Some(_), _) if starts_with_self => outer || tree.rename().is_some(),
            _ => false,
        }
    });
    let written = |import: &Import| import.name().is_some() || import.bound == Bound::All;
    let unnamed = trees.iter().filter(|tree| {
        let rename = tree.rename();
        rename.is_some_and(|rename| rename.underscore_token().is_some())
    });
    // More than were written so.
    let there = all.iter().filter(|import| !written(import)).count() > unnamed.count();
    let named = all.iter().filter(|import| import.name().is_some());
    let count = named.clone().count();
    let mixed = count > 0 && count < all.len();
    if !(misread || mixed || there) {
        return None;
    }
    let nameless = all.iter().filter(|import| import.name().is_none());
    Some((
        named.map(Import::text).collect(),
        nameless.map(Import::text).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ra_ap_syntax::{Edition, SourceFile};

    fn first(text: &str) -> ast::Use {
        let root = SourceFile::parse(text, Edition::Edition2024).syntax_node();
        root.children().find_map(ast::Use::cast).expect("a `use`")
    }

    #[test]
    fn an_import_is_read_name_by_name() {
        for (text, names) in [
            ("use a::b;", vec!["b"]),
            (
                "use a::{self, b as c, d::{e, self as f}, g::*, h as _};",
                vec!["a", "c", "e", "f"],
            ),
            ("use {a::b, c};", vec!["b", "c"]),
            ("use self::a as b;", vec!["b"]),
            ("use r#type::{r#match as r#fn};", vec!["r#fn"]),
            // They are there already.
            ("use crate::a;", vec![]),
            ("use self::{a, b::c};", vec!["c"]),
            ("use a::{};", vec![]),
        ] {
            let all = of(&first(text));
            let found: Vec<_> = all.iter().filter_map(Import::name).collect();
            assert_eq!(found, names, "{text}");
        }
    }

    #[test]
    fn only_what_evcxr_misreads_is_written_otherwise() {
        for (text, named, nameless) in [
            ("use a::{self as b};", "use a as b; ", ""),
            ("use {a::b, c::d as e};", "use a::b; use c::d as e; ", ""),
            ("use a::{{b, c as d}};", "use a::b; use a::c as d; ", ""),
            ("use self::a as b;", "use crate::a as b; ", ""),
            ("use self::a::*;", "", "use crate::a::*; "),
            (
                "use a::{self, B as _, c::*};",
                "use a; ",
                "use a::B as _; use a::c::*; ",
            ),
            ("use crate::a;", "", "use crate::a as _; "),
        ] {
            let apart = apart(&first(text));
            assert_eq!(
                apart,
                Some((named.to_owned(), nameless.to_owned())),
                "{text}"
            );
        }
        for text in [
            "use a::b;",
            "use a::{self, b};",
            "use a::*;",
            "use ::a::{b as c, d::{e}};",
        ] {
            assert_eq!(apart(&first(text)), None, "{text}");
        }
    }
}
