//! Completion, documentation and signatures while a cell is written.
//!
//! ```text
//! Analyst ──JSON lines──▶ a process of its own: host (rust-analyzer) over graph (the prelude's crates and std)
//!    ▲                                                            and scope (what a cell sees)
//!    └── names at once, while it warms up, when it is off, and when it is gone
//! ```
//!
//! rust-analyzer never sees the crates as cargo does. It gets the sources of the prelude and of the crates that the
//! prelude hands on, and a file that is made anew for each question: the session's items, then a function whose
//! parameters are the session's variables, with the types that the compiler has named, and whose body is the cell.
//! So nothing is inferred but the cell itself.

mod analyst;
mod crates;
mod graph;
mod host;
mod process;
mod scope;
mod text;

pub use analyst::{Analyst, IDLE_VARIABLE, Launch};
pub use graph::library;
pub use process::hook;
pub use scope::{Scope, Variable};

use serde::{Deserialize, Serialize};

use crate::reply::Bundle;

/// What can stand where the cursor is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The part of the code that a candidate replaces, in characters.
    pub start: usize,
    pub end: usize,
    /// The best first.
    pub candidates: Vec<Candidate>,
}

/// One of the things that can stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub text: String,
    /// `function`, `struct`, `field`, … as front ends show it.
    pub kind: String,
    /// Its type or signature, if it is known.
    pub detail: String,
}

/// What there is to say of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The signature and the documentation.
    pub markdown: String,
    /// The text of its definition.
    pub source: Option<String>,
}

impl Inspection {
    /// It in the formats that front ends take, with the definition if that is wanted.
    pub fn bundle(self, with_source: bool) -> Bundle {
        let markdown = match self.source.filter(|_| with_source) {
            Some(source) => format!("{}\n\n```rust\n{source}\n```", self.markdown),
            None => self.markdown,
        };
        Bundle::from([
            ("text/plain".to_owned(), text::plain(&markdown).into()),
            ("text/html".to_owned(), text::html(&markdown).into()),
            ("text/markdown".to_owned(), markdown.into()),
        ])
    }
}
