//! Notebooks without a front end: read, execute, write, and print as a page.
//!
//! ```text
//! file.rs (.ipynb), percent.rs (.rs) ─▶ parameters.rs ─▶ run.rs (cells → session → outputs.rs)
//!   ─▶ formats.rs: file.rs, percent.rs, page.rs (HTML), Markdown;  check.rs (are the outputs those of before?)
//! page.rs ◀─ article.rs (cells, outputs, figures) ◀─ markdown.rs (text, formulas), code.rs (Rust in colours)
//! ```

pub mod address;
pub mod article;
pub mod check;
pub mod code;
pub mod file;
pub mod formats;
pub mod markdown;
pub mod outputs;
pub mod page;
pub mod parameters;
pub mod percent;
pub mod run;

pub use file::NotebookError;
pub use formats::{Format, read, write};
pub use run::{Report, run};
