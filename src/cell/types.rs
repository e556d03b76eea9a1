//! The types of the variables that live between cells.
//!
//! A variable is taken from the store with its type, so the type's text must be known. It is what the user has
//! written, or else what the compiler has named while it built the cell (see `session::compiler`).

use std::collections::{BTreeMap, BTreeSet};

/// Crates that the prelude has under another name. The compiler does not know of that name: `Var` is
/// `itd_prelude::candle_core::Var` to it, which a cell cannot write.
const RENAMED: [(&str, &str); 2] = [("candle_core", "candle"), ("candle_nn", "nn")];

/// A type that the compiler has named, as a cell can write it.
fn writable(ty: &str) -> String {
    let in_prelude = |name: &str| format!("itd_prelude::{name}::");
    RENAMED.iter().fold(ty.to_owned(), |ty, (own, ours)| {
        ty.replace(&in_prelude(own), &in_prelude(ours))
    })
}

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
        format!("{name}_{}", self.count)
    }

    /// Notes a variable's type.
    ///
    /// # Errors
    /// When a later cell could not write it, so that the variable cannot be kept.
    pub fn learn(&mut self, key: &str, ty: &str) -> Result<(), Unwritable> {
        match Unwritable::new(key, ty) {
            Some(which) => Err(which),
            None => {
                self.known.insert(key.to_owned(), writable(ty));
                Ok(())
            }
        }
    }

    /// Notes a type that the user has written.
    pub fn note(&mut self, key: &str, ty: &str) {
        self.known.insert(key.to_owned(), ty.to_owned());
    }

    /// The type of a variable, for people.
    pub fn known(&self, key: &str) -> String {
        short(self.text(key))
    }

    /// The type of a variable, for the compiler.
    pub fn text(&self, key: &str) -> &str {
        self.known.get(key).map_or("_", String::as_str)
    }

    /// Forgets all but these keys.
    pub fn retain(&mut self, live: &BTreeSet<&str>) {
        self.known.retain(|key, _| live.contains(key.as_str()));
    }

    /// Keys of the variables whose types are made of one of the user's own items: those are written without a crate
    /// in front.
    pub fn made_of(&self, items: &BTreeSet<String>) -> BTreeSet<String> {
        let keys = self
            .known
            .iter()
            .filter(|(_, ty)| first_segments(ty).any(|word| items.contains(word)));
        keys.map(|(key, _)| key.clone()).collect()
    }
}

/// The number in a key.
pub fn number(key: &str) -> u32 {
    let number = key.rsplit_once('_').map(|(_, number)| number);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The variable's name in a key.
pub fn name(key: &str) -> &str {
    key.rsplit_once('_').map_or(key, |(name, _)| name)
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
        let mut words = ty.split(|c: char| !c.is_alphanumeric() && c != '_');
        let what = match () {
            () if ty.contains("::{closure#") => "a type that is defined inside a block",
            () if ty.contains("{closure") => "a closure",
            () if ty.contains("{async") => "a future",
            () if ty.contains('{') => "a function's own type",
            () if ty.contains('!') => "something that never comes to be (`!`)",
            () if words.any(|word| word == "impl") => "an opaque type",
            () => return None,
        };
        Some(Self {
            name: name(key).to_owned(),
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

/// Paths without their modules: `std::vec::Vec<candle_core::Tensor>` → `Vec<Tensor>`.
pub fn short(ty: &str) -> String {
    let mut out = String::new();
    let mut word_start = 0;
    for (at, c) in ty.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            continue;
        }
        // One alone stands behind a type: `T: Clone`.
        if c == ':' && (ty[at + 1..].starts_with(':') || ty[..at].ends_with(':')) {
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
    fn types_are_known_as_long_as_their_variables_live() {
        let mut types = Types::default();
        let x = types.fresh("x");
        let y = types.fresh("r#type");
        assert_eq!((number(&y), name(&y)), (2, "r#type"));
        assert_eq!(types.learn(&x, "std::vec::Vec<f64>"), Ok(()));
        assert_eq!(
            (types.text(&x), types.known(&x)),
            ("std::vec::Vec<f64>", "Vec<f64>".to_owned())
        );
        assert_eq!(types.text(&y), "_");
        types.retain(&BTreeSet::from([y.as_str()]));
        assert_eq!(types.text(&x), "_");
    }

    #[test]
    fn types_made_of_an_item_are_found_by_the_first_word_of_a_path() {
        let mut types = Types::default();
        for (key, ty) in [
            ("a_1", "std::vec::Vec<Foo>"),
            ("b_2", "FooBar"),
            ("c_3", "itd_prelude::Foo::sample<u8>"),
            ("d_4", "(u8, &'static [Foo::Inner; 3])"),
        ] {
            assert_eq!(types.learn(key, ty), Ok(()));
        }
        let made = types.made_of(&["Foo".to_owned()].into());
        assert_eq!(made, ["a_1".to_owned(), "d_4".to_owned()].into());
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
            let unwritable = types.learn(&key, ty).expect_err(ty);
            assert!(unwritable.note().contains(what), "{}", unwritable.note());
            assert_eq!(unwritable.name, "f");
        }
        let mut types = Types::default();
        assert_eq!(
            types.learn("x_3", "itd_prelude::net::implicit::Net"),
            Ok(())
        );
    }
}
