//! The order of the modules is a law. It stands in the documentation of the crate, `src/lib.rs`; this test holds the
//! code to it. Whoever changes the architecture changes the text.

mod syntax;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::Item;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules in their order, those under everything first.
fn order(lib: &str) -> Vec<String> {
    let block = lib
        .split("//! ```text")
        .nth(1)
        .unwrap()
        .split("//! ```")
        .next()
        .unwrap();
    let words = |text: &str| -> Vec<String> {
        let word = |word: &str| {
            word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_')
                .to_owned()
        };
        let glue = ["then", "under", "everything", ""];
        let words = text.split_whitespace().map(word);
        words
            .filter(|word| !glue.contains(&word.as_str()))
            .collect()
    };
    let (flow, below) = block.split_once("under everything:").unwrap();
    [words(below), words(flow)].concat()
}

/// Where a file's code stands: `[curve, merge]` for `curve/merge.rs`.
fn module(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(root()).unwrap().with_extension("");
    inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect()
}

/// The modules of the root that a file names, without what is built for tests alone.
fn imports(text: &str, at: &[String]) -> BTreeSet<String> {
    fn of(items: Vec<Item>, at: &[String], found: &mut BTreeSet<String>) {
        for item in items.into_iter().filter(|item| !syntax::for_tests(item)) {
            match item {
                Item::Mod(inner) if inner.content.is_some() => {
                    let at = [at, &[inner.ident.to_string()]].concat();
                    of(inner.content.unwrap().1, &at, found);
                }
                item => found.extend(syntax::roots(item.to_token_stream(), at)),
            }
        }
    }
    let mut found = BTreeSet::new();
    of(syntax::items(text), at, &mut found);
    found
}

/// The modules that `lib.rs` has of its own, and the names that it takes from the crates below, whose direction Cargo
/// holds.
fn lib() -> (BTreeSet<String>, BTreeSet<String>) {
    let items = syntax::items(&fs::read_to_string(root().join("lib.rs")).unwrap());
    let own = items.iter().filter_map(|item| match item {
        Item::Mod(item) if item.content.is_none() => Some(item.ident.to_string()),
        _ => None,
    });
    let own: BTreeSet<String> = own.collect();
    let taken = items.iter().filter(|item| matches!(item, Item::Use(_)));
    let words = taken
        .flat_map(|item| syntax::uses(item.to_token_stream()))
        .map(|(name, _)| name);
    let taken = words.filter(|name| !own.contains(name)).collect();
    (own, taken)
}

#[test]
fn modules_import_only_what_stands_before_them() {
    let order = order(&fs::read_to_string(root().join("lib.rs")).unwrap());
    let place = |name: &str| order.iter().position(|module| module == name);
    let (own, taken) = lib();
    let mut wrong = Vec::new();
    for file in syntax::files(&root(), ".rs") {
        let at = module(&file);
        if at == ["lib"] {
            continue;
        }
        let Some(here) = place(&at[0]) else {
            wrong.push(format!("{} is not in the order", at[0]));
            continue;
        };
        for import in imports(&fs::read_to_string(&file).unwrap(), &at) {
            let fine = if own.contains(&import) {
                place(&import).is_some_and(|there| there <= here)
            } else {
                taken.contains(&import)
            };
            if !fine {
                wrong.push(format!("{} may not import {import}", at.join("/")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for module in &order {
        assert!(
            own.contains(module),
            "{module} is in the order, but is no module"
        );
    }
    assert_eq!(
        order.len(),
        own.len(),
        "a module stands twice in the order, or not at all"
    );
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let of = |text: &str, at: &[&str]| -> Vec<String> {
        let at: Vec<String> = at.iter().map(|&part| part.to_owned()).collect();
        imports(text, &at).into_iter().collect()
    };
    let text = "use crate::data::Grid; use crate::{curve::{a, b}, net}; fn f() { crate::rng::seeded(0); crate::check!(g) }
        // crate::plot
        const S: &str = \"crate::show\";
        #[cfg(test)] mod tests { use crate::bench; }
        m!(crate::io::x);";
    assert_eq!(of(text, &["here"]), ["curve", "data", "io", "net", "rng"]);
    // Up to the root, and not as far.
    assert_eq!(of("use super::data;", &["here"]), ["data"]);
    assert_eq!(
        of(
            "use super::near; use super::super::far::x;",
            &["here", "inner"]
        ),
        ["far"]
    );
    assert_eq!(
        of(
            "mod deeper { use super::super::super::far; use super::near; }",
            &["here", "inner"]
        ),
        ["far"]
    );
}
