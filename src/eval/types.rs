//! The types of the variables that live between cells.
//!
//! evcxr keeps a variable under the text of its type and repeats that text in each later cell. Asking for
//! the text before the cell is built costs a compiler run; ours is a macro call, `itd_type!(x_3)`, whose
//! meaning comes with each cell: `_` in the cell that defines the variable, and from then on the type that
//! the compiler named while it built that cell (see [`super::compiler`]).

use std::collections::BTreeMap;
use std::fmt::Write;

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

    /// Notes what the compiler said.
    pub fn learn(&mut self, named: impl IntoIterator<Item = (String, String)>) {
        self.known.extend(named);
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
            "::itd_prelude::cell::Lost".clone_into(ty);
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

    /// Keys of the variables whose types mention the item `name`.
    pub fn mentioning(&self, name: &str) -> Vec<String> {
        let mentions = |ty: &str| {
            ty.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| word == name)
        };
        let keys = self.known.iter().filter(|(_, ty)| mentions(ty));
        keys.map(|(key, _)| key.clone()).collect()
    }
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
    fn types_that_mention_an_item_are_found_by_whole_words() {
        let mut types = Types::default();
        types.learn([
            ("a_1".into(), "Vec<Foo>".into()),
            ("b_2".into(), "FooBar".into()),
        ]);
        assert_eq!(types.mentioning("Foo"), ["a_1"]);
    }
}
