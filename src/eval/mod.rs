//! Executes cells: source → compiler → process → reply.
//!
//! ```text
//! start ─▶ session ─▶ commands, source, types (what evcxr gets) ─▶ compiler (rustc with the prelude)
//!                  ─▶ listener ─▶ child (the process: supervisor, events), interrupt
//!                  ─▶ lines, failure (what went wrong, in cell lines)
//! workshop (files of this process)   prelude (built once, named by a hash)   complete (is it a whole cell?)
//! program (one that links the prelude, for what is no cell)
//! ```

pub mod child;
pub mod commands;
pub mod compiler;
pub mod complete;
pub mod failure;
#[path = "../../prelude/cell/src/frame.rs"]
pub mod frame;
pub mod interrupt;
pub mod items;
pub mod lines;
pub mod listener;
pub mod prelude;
pub mod program;
pub mod session;
pub mod shell;
pub mod source;
pub mod start;
pub mod types;
pub mod workshop;

pub use interrupt::Interrupter;
pub use session::{Session, Settings};
pub use workshop::Workshop;
