//! What a cell sees: the items and the variables of the cells before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cell::items;
use crate::cell::source::{rust_start, statements};
use crate::cell::whole;

/// The names that are imported into every cell.
const IMPORTS: &str = "use itd_prelude::prelude::*;\nuse itd_prelude::{dbg, eprint, eprintln};\n";

/// The items and the variables of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub items: Vec<items::Text>,
    pub variables: Vec<Variable>,
}

/// A variable, as the compiler knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub mutable: bool,
    pub ty: String,
}

/// A file to be analysed, and where in it a place of the cell is.
pub struct File {
    pub text: String,
    /// Where the cell's Rust begins in the text, and in the cell.
    pub cell_start: usize,
    pub rust_start: usize,
}

impl File {
    /// A place in the file, of one in the cell; none if it is not in Rust.
    pub fn place(&self, in_cell: usize) -> Option<usize> {
        Some(self.cell_start + in_cell.checked_sub(self.rust_start)?)
    }

    /// The other way round.
    pub fn place_in_cell(&self, place: usize) -> usize {
        (place + self.rust_start).saturating_sub(self.cell_start)
    }
}

impl Scope {
    /// The file in which `cell` is analysed. What the cell defines anew is left out of what was before it.
    pub fn file(&self, cell: &str) -> File {
        let statements = statements(cell);
        let anew: BTreeSet<String> = items::defined(&statements);
        let mut text = IMPORTS.to_owned();
        for item in &self.items {
            if !item.names.iter().any(|name| anew.contains(name)) {
                text.push_str(&item.text);
                text.push('\n');
            }
        }
        text.push_str("async fn itd_cell(");
        for Variable { name, mutable, ty } in &self.variables {
            let mutable = if *mutable { "mut " } else { "" };
            text.push_str(&format!("{mutable}{name}: {ty}, "));
        }
        // The cell comes last: what is not closed in it swallows nothing of the rest.
        text.push_str(") -> Result<(), Box<dyn std::error::Error>> {\n");
        let (cell_start, rust_start) = (text.len(), rust_start(cell));
        text.push_str(&cell[rust_start..]);
        text.push('\n');
        // A macro takes all that is inside its brackets, so these have to end.
        text.extend(whole::open(cell).into_iter().rev());
        text.push_str("\n;Ok(())\n}\n");
        File {
            text,
            cell_start,
            rust_start,
        }
    }

    /// The names that need no analysis.
    pub fn names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let variables = self.variables.iter();
        let variables = variables.map(|variable| (variable.name.as_str(), "instance"));
        let items = self.items.iter().flat_map(|item| &item.names);
        variables.chain(items.map(|name| (name.as_str(), "item")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_closed_after_the_cell() {
        let file = Scope::default().file("println!(\"{}\", [v.le");
        assert!(file.text.contains("[v.le\n])\n;Ok(())"), "{}", file.text);
    }

    #[test]
    fn a_place_in_the_cell_is_found_in_the_file_and_back() {
        let scope = Scope {
            items: vec![items::Text {
                names: vec!["f".to_owned()],
                text: "fn f() {}".to_owned(),
            }],
            variables: vec![Variable {
                name: "v".to_owned(),
                mutable: true,
                ty: "Vec<f64>".to_owned(),
            }],
        };
        let cell = "%%opt 3\n:vars\nlet é = v.le";
        let file = scope.file(cell);
        let at = file.place(cell.len()).expect("in Rust");
        assert!(file.text[..at].ends_with(
            "mut v: Vec<f64>, ) -> Result<(), Box<dyn std::error::Error>> {\nlet é = v.le"
        ));
        assert_eq!(file.place_in_cell(at), cell.len());
        assert_eq!(file.place(3), None);
        assert!(file.text.contains("fn f() {}"));
        let anew = scope.file("fn f() -> i32 { 1 }");
        assert!(!anew.text.contains("fn f() {}"));
    }
}
