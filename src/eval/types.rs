//! The types of the variables that live between cells.
//!
//! evcxr keeps a variable under the text of its type and repeats that text in each later cell. Asking for
//! the text before the cell is built costs a compiler run; ours is a macro call, `itd_type!(x_3)`, whose
//! meaning comes with each cell: `_` in the cell that defines the variable, and from then on the type that
//! the compiler named while it built that cell (see [`super::compiler`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The type of a variable that is no more, though evcxr still has it: no value is of it.
const LOST: &str = "::itd_prelude::cell::Lost";

/// What variables are called and what their types are.
#[derive(Debug, Default, Clone)]
pub struct Types {
    known: BTreeMap<String, String>,
    count: u32,
}

impl Types {
    /// A key for a new variable: its name and a number, since a name may be given again.
    pub fn fresh(&mut self, name: &str) -> String {
        self.count += 1;
        format!("{}_{}", name.trim_start_matches("r#"), self.count)
    }

    /// The macro that a cell needs: the types of all live variables, `_` for the new ones.
    pub fn table(&self, new: &[String]) -> String {
        // The first rule is for a table that would otherwise be empty, which the compiler does not accept.
        let mut table = String::from("macro_rules! itd_type {()=>{_};");
        for (key, ty) in &self.known {
            let _ = write!(table, "({key})=>{{{ty}}};");
        }
        for key in new {
            let _ = write!(table, "({key})=>{{_}};");
        }
        table.push_str("} ");
        table
    }

    /// Notes what the compiler said; gives the variables that cannot be kept, since their types cannot be written in
    /// a later cell, and what they hold.
    pub fn learn(&mut self, named: impl IntoIterator<Item = (String, String)>) -> Vec<Unwritable> {
        let mut unwritable = Vec::new();
        for (key, ty) in named {
            let ty = match Unwritable::new(&key, &ty) {
                Some(which) => {
                    unwritable.push(which);
                    LOST.to_owned()
                }
                None => ty,
            };
            self.known.insert(key, ty);
        }
        unwritable
    }

    /// The type of a variable, for people.
    pub fn known(&self, key: &str) -> String {
        self.known
            .get(key)
            .map_or_else(|| "_".to_owned(), |ty| short(ty))
    }

    /// Makes a variable's type one that its value cannot have, upon which evcxr drops the variable.
    pub fn spoil(&mut self, key: &str) {
        if let Some(ty) = self.known.get_mut(key) {
            LOST.clone_into(ty);
        }
    }

    /// Forgets all but the keys that `live` variables use. `live` are type texts as evcxr keeps them.
    pub fn retain<'a>(&mut self, live: impl IntoIterator<Item = &'a str>) {
        let live: Vec<_> = live.into_iter().filter_map(key_of).collect();
        self.known.retain(|key, _| live.contains(&key.as_str()));
    }

    /// A type as the user may read it: `itd_type!(x_3)` → `Vec<f64>`.
    pub fn readable(&self, text: &str) -> String {
        match key_of(text) {
            Some(key) => self.known(key),
            None => text.to_owned(),
        }
    }

    /// Whether a variable, as evcxr keeps its type, is no more.
    pub fn is_lost(&self, text: &str) -> bool {
        key_of(text).is_some_and(|key| self.known.get(key).is_some_and(|ty| ty == LOST))
    }

    /// Keys of the variables whose types are made of one of the user's own items: those are written without a crate
    /// in front.
    pub fn made_of(&self, items: &BTreeSet<String>) -> Vec<String> {
        let keys = self
            .known
            .iter()
            .filter(|(_, ty)| first_segments(ty).any(|word| items.contains(word)));
        keys.map(|(key, _)| key.clone()).collect()
    }
}

/// The first word of each path in a type: `std::vec::Vec<a::Foo>` → `std`, `a`.
fn first_segments(ty: &str) -> impl Iterator<Item = &str> {
    let mut before = "";
    let mut words = ty.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_'));
    std::iter::from_fn(move || {
        loop {
            let piece = words.next()?;
            let word = piece.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
            let first = !before.ends_with(':');
            before = if word.is_empty() && piece != ":" {
                ""
            } else {
                piece
            };
            if first && !word.is_empty() {
                return Some(word);
            }
        }
    })
}

/// A variable whose type cannot be written, so that a later cell cannot take it over.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwritable {
    pub name: String,
    /// What it holds.
    what: &'static str,
}

impl Unwritable {
    /// Closures, futures and functions are shown in braces, opaque types with `impl`; `!` is not yet a type that one
    /// may write.
    fn new(key: &str, ty: &str) -> Option<Self> {
        let mut words = ty.split(|c: char| !c.is_alphanumeric());
        let what = match () {
            () if ty.contains("::{closure#") => "a type that is defined inside a block",
            () if ty.contains("{closure") => "a closure",
            () if ty.contains("{async") => "a future",
            () if ty.contains('{') => "a function's own type",
            () if ty.contains('!') => "something that never comes to be (`!`)",
            () if words.any(|word| word == "impl") => "an opaque type",
            () => return None,
        };
        let name = key.rsplit_once('_').map_or(key, |(name, _)| name);
        Some(Self {
            name: name.to_owned(),
            what,
        })
    }

    /// That it is not kept, and what would be.
    pub fn note(&self) -> String {
        let (name, what) = (&self.name, self.what);
        let advice = match what {
            "a closure" => format!(
                "to keep it, write `let {name}: Box<dyn Fn(f64) -> f64> = Box::new(|x| …);` or make it a function"
            ),
            "a function's own type" => {
                format!("to keep it, write `let {name}: fn(f64) -> f64 = …;`")
            }
            "a type that is defined inside a block" => {
                "to keep it, define the type outside".to_owned()
            }
            "a future" => "to keep what it gives, wait for it in this cell".to_owned(),
            "an opaque type" => format!(
                "to keep it, collect it or write `let {name}: Box<dyn Trait> = Box::new(…);`"
            ),
            _ => "to keep it, give what never returns a type, as in `|| -> i32 { … }`".to_owned(),
        };
        format!("`{name}` holds {what} and lives in this cell only; {advice}\n")
    }
}

/// A closure that is hidden from evcxr.
pub fn closure_note(name: &str) -> String {
    let what = "a closure";
    let name = name.to_owned();
    Unwritable { name, what }.note()
}

/// The key in `itd_type!(key)`.
pub fn key_of(text: &str) -> Option<&str> {
    text.strip_prefix("itd_type!(")?.strip_suffix(')')
}

/// Paths without their modules: `std::vec::Vec<candle_core::Tensor>` → `Vec<Tensor>`.
pub fn short(ty: &str) -> String {
    let mut out = String::new();
    let mut word_start = 0;
    for (at, c) in ty.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            continue;
        }
        if c == ':' {
            word_start = at + 1;
            continue;
        }
        out.push_str(&ty[word_start..at]);
        out.push(c);
        word_start = at + c.len_utf8();
    }
    out + &ty[word_start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_live_types_and_leaves_new_ones_open() {
        let mut types = Types::default();
        let x = types.fresh("x");
        types.learn([(x.clone(), "std::vec::Vec<f64>".into())]);
        let y = types.fresh("y");
        assert_eq!(
            types.table(&[y]),
            "macro_rules! itd_type {()=>{_};(x_1)=>{std::vec::Vec<f64>};(y_2)=>{_};} "
        );
        assert_eq!(types.readable("itd_type!(x_1)"), "Vec<f64>");
        types.retain(["i32"]);
        assert_eq!(types.table(&[]), "macro_rules! itd_type {()=>{_};} ");
    }

    #[test]
    fn types_made_of_an_item_are_found_by_the_first_word_of_a_path() {
        let mut types = Types::default();
        types.learn([
            ("a_1".into(), "std::vec::Vec<Foo>".into()),
            ("b_2".into(), "FooBar".into()),
            ("c_3".into(), "itd_prelude::Foo::sample<u8>".into()),
            ("d_4".into(), "(u8, &'static [Foo::Inner; 3])".into()),
        ]);
        assert_eq!(types.made_of(&["Foo".to_owned()].into()), ["a_1", "d_4"]);
        // A helper that is called like a module, or like the end of a path.
        for helper in ["vec", "Vec", "sample", "Inner"] {
            assert!(
                types.made_of(&[helper.to_owned()].into()).is_empty(),
                "{helper}"
            );
        }
    }

    #[test]
    fn a_variable_whose_type_has_no_name_is_not_kept_and_says_why() {
        for (ty, what) in [
            ("{closure@src/lib.rs:1:2: 1:5}", "a closure"),
            ("std::vec::Vec<impl Iterator<Item = u8>>", "an opaque type"),
            ("fn(f64) -> f64 {sqrt}", "a function's own type"),
            ("!", "never comes to be"),
        ] {
            let mut types = Types::default();
            let key = types.fresh("f");
            let unwritable = types.learn([(key.clone(), ty.to_owned())]);
            assert!(
                unwritable[0].note().contains(what),
                "{}",
                unwritable[0].note()
            );
            assert_eq!(unwritable[0].name, "f");
            assert!(types.is_lost(&format!("itd_type!({key})")));
        }
        let mut types = Types::default();
        let named = "itd_prelude::net::implicit::Net".to_owned();
        assert!(types.learn([("x_3".to_owned(), named)]).is_empty());
    }
}
