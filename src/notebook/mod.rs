//! Notebooks without a front end: read, execute, write, and print as a page.
//!
//! ```text
//! file.rs (.ipynb ⇄ cells) ─▶ run.rs (cells → session → outputs.rs) ─▶ file.rs, page.rs (HTML)
//! ```

pub mod file;
pub mod outputs;
pub mod page;
pub mod run;

pub use file::{NotebookError, read, write};
pub use run::{Report, run};
