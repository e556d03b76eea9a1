//! Rust sources, read by their syntax: what the tests of the repository itself look at.

#![allow(dead_code)] // Each test uses its part.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, ImplItem, Item, TraitItem};

/// The files under a folder whose names end so.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        match entry.unwrap().path() {
            path if path.is_dir() => found.extend(files(&path, end)),
            path if path.to_string_lossy().ends_with(end) => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

/// The items of a file.
pub fn items(text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap().items
}

/// Whether an item is built for tests alone.
pub fn for_tests(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// What a file defines: `name` of a function or type, `Type::name` of a method, a variant or a trait's function.
pub fn definitions(items: &[Item]) -> Vec<String> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Fn(item) => found.push(item.sig.ident.to_string()),
            Item::Struct(item) => {
                found.push(item.ident.to_string());
                let fields = item.fields.iter().filter_map(|field| field.ident.as_ref());
                found.extend(fields.map(|field| format!("{}::{field}", item.ident)));
            }
            Item::Enum(item) => {
                found.push(item.ident.to_string());
                found.extend(
                    item.variants
                        .iter()
                        .map(|variant| format!("{}::{}", item.ident, variant.ident)),
                );
            }
            Item::Trait(item) => {
                found.push(item.ident.to_string());
                found.extend(item.items.iter().filter_map(|inner| match inner {
                    TraitItem::Fn(inner) => Some(format!("{}::{}", item.ident, inner.sig.ident)),
                    _ => None,
                }));
            }
            Item::Impl(item) => {
                let syn::Type::Path(of) = item.self_ty.as_ref() else {
                    continue;
                };
                let of = &of.path.segments.last().unwrap().ident;
                found.extend(item.items.iter().filter_map(|inner| match inner {
                    ImplItem::Fn(inner) => Some(format!("{of}::{}", inner.sig.ident)),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    found
}

/// All identifiers of some code with what follows each: `(name, whether it is called or built)`. A name counts as called
/// when `(` or `{` follows, perhaps after `::<…>`, and for a variant or a function's value when `::` stands before it.
pub fn uses(code: TokenStream) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    walk(code, &mut found);
    found
}

fn walk(code: TokenStream, found: &mut Vec<(String, bool)>) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let is =
        |i: usize, c: char| matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == c);
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => walk(group.stream(), found),
            TokenTree::Ident(name) => {
                // `fn name(` defines.
                let defined =
                    i > 0 && matches!(&tokens[i - 1], TokenTree::Ident(before) if before == "fn");
                let mut next = i + 1;
                if is(next, ':') && is(next + 1, ':') && is(next + 2, '<') {
                    while next < tokens.len() && !is(next, '>') {
                        next += 1;
                    }
                    next += 1;
                }
                let group = matches!(tokens.get(next), Some(TokenTree::Group(_)));
                let path = i > 1 && is(i - 1, ':') && is(i - 2, ':');
                found.push((name.to_string(), !defined && (group || path)));
            }
            _ => {}
        }
    }
}

/// Paths that begin at the root of the crate, as the first module each names, in code of the module `at`:
/// `crate::a::…`, `crate::{a, b::c}`, and `super::…` as far as it leads to the root.
pub fn roots(code: TokenStream, at: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    from_root(code, at.len(), &mut found);
    found
}

fn from_root(code: TokenStream, depth: usize, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let colons = |i: usize| {
        let colon =
            |i: usize| matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        colon(i) && colon(i + 1)
    };
    let word = |i: usize| match tokens.get(i) {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    };
    let mut i = 0;
    while i < tokens.len() {
        if let TokenTree::Group(group) = &tokens[i] {
            from_root(group.stream(), depth, found);
        }
        // How far up a path starts: `crate` is all the way.
        let mut up = 0;
        let mut next = i;
        while matches!(word(next).as_deref(), Some("super")) && colons(next + 1) {
            up += 1;
            next += 3;
        }
        if word(i).as_deref() == Some("crate") && colons(i + 1) && !colons(i.wrapping_sub(2)) {
            up = depth;
            next = i + 3;
        }
        if up > 0 && up >= depth {
            match tokens.get(next) {
                // `crate::name!` is a macro, which has no module.
                Some(TokenTree::Ident(name)) if !matches!(tokens.get(next + 1), Some(TokenTree::Punct(p)) if p.as_char() == '!') =>
                {
                    found.push(name.to_string());
                }
                Some(TokenTree::Group(group)) => {
                    let mut fresh = true;
                    for token in group.stream() {
                        match token {
                            TokenTree::Ident(name) if fresh => {
                                found.push(name.to_string());
                                fresh = false;
                            }
                            TokenTree::Punct(p) if p.as_char() == ',' => fresh = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        i = next.max(i + 1);
    }
}
