//! What a cell is: from the user's text to what evcxr gets, and from what went wrong back to the user's lines.
//!
//! ```text
//! whole (is it a whole cell?)   command (`:` and `%`), measure (`%time`, `%timeit`, `%%test`)   ask (`?name`, `exit`)
//! source ─▶ items (the ledger of definitions) ─▶ statics, imports, macros (calls that stand for items); types (of variables)
//! origin, failure (what went wrong, in cell lines)
//! ```

pub mod ask;
mod cfg;
pub mod command;
pub mod failure;
pub mod imports;
pub mod items;
pub mod macros;
pub mod measure;
pub mod origin;
pub mod script;
pub mod source;
pub mod statics;
pub mod types;
pub mod whole;
