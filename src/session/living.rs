//! The variables that live between cells, and what becomes of them in a cell.

use std::collections::{BTreeMap, BTreeSet};

use super::compiler::Told;
use crate::cell::source::{Source, Variable};
use crate::cell::types::{self, Types, Unwritable};

/// The variables that live, and what is known of them.
#[derive(Debug, Clone, Default)]
pub struct Living {
    pub variables: BTreeMap<String, Variable>,
    pub types: Types,
    /// Numbers of values in the process's store that nobody asks for any more.
    pub forget: Vec<u32>,
}

/// How a cell that has run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// By a panic, an error or a `return`.
    Early,
    WithItsProcess,
}

/// What became of a variable that a cell took or defined.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    /// By this line of the generated code; none if it was only moved into something that borrows.
    Moved(Option<u32>),
    /// The cell did not come to its end, and there was none of this name before.
    Unreached,
    /// The cell may come to its end without giving it a value.
    Unset,
    /// It borrows from something that is not kept.
    Borrows,
    Unwritable(Unwritable),
}

impl Living {
    /// Without the variables that are made of items which are defined anew; gives their names.
    pub fn outdate(&mut self, redefined: &BTreeSet<String>) -> Vec<String> {
        let outdated = self.types.made_of(redefined);
        let names = self.variables.iter();
        let names = names.filter(|(_, variable)| outdated.contains(&variable.key));
        let names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        outdated.iter().for_each(|key| self.lose(key));
        names
    }

    /// Without the variable of this key.
    pub fn lose(&mut self, key: &str) {
        let before = self.variables.len();
        self.variables.retain(|_, variable| variable.key != key);
        if self.variables.len() < before {
            self.forget.push(types::number(key));
        }
    }

    /// The process is gone, and all values with it; gives the names of the variables.
    pub fn end(&mut self) -> Vec<String> {
        self.forget.clear();
        std::mem::take(&mut self.variables).into_keys().collect()
    }

    /// Takes over what a cell did, which ended in its process, and what the compiler said of it.
    pub fn take_over(&mut self, source: &Source, early: bool, told: &Told) -> Vec<(String, Fate)> {
        let mut fates = Vec::new();
        for (name, key) in &source.taken {
            let by = told.moved.get(key);
            if by.is_some() || told.borrowing.contains(key) {
                self.variables.remove(name);
                fates.push((name.clone(), Fate::Moved(by.copied())));
            }
        }
        for (name, new) in &source.defined {
            if early {
                if !self.variables.contains_key(name) {
                    fates.push((name.clone(), Fate::Unreached));
                }
                continue;
            }
            self.variables.remove(name);
            let fate = self.define(name, new, told);
            fates.push((name.clone(), fate));
        }
        let live = self.variables.values();
        let live = live.map(|variable| variable.key.as_str());
        self.types.retain(&live.collect());
        fates
    }

    fn define(&mut self, name: &str, new: &Variable, told: &Told) -> Fate {
        if told.borrowing.contains(&new.key) {
            return Fate::Borrows;
        }
        if told.unset.contains(&new.key) {
            return Fate::Unset;
        }
        if let Some(by) = told.moved.get(&new.key) {
            return Fate::Moved(Some(*by));
        }
        let learned = match (&new.written, told.types.get(&new.key)) {
            (Some(written), _) => {
                self.types.note(&new.key, written);
                Ok(())
            }
            (None, Some(named)) => self.types.learn(&new.key, named),
            // The compiler names every type; without a name there is no taking it.
            (None, None) => self.types.learn(&new.key, "impl"),
        };
        match learned {
            Ok(()) => {
                self.variables.insert(name.to_owned(), new.clone());
                Fate::Kept
            }
            Err(unwritable) => {
                self.forget.push(types::number(&new.key));
                Fate::Unwritable(unwritable)
            }
        }
    }
}
