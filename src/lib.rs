//! The parts of `itd`: a Jupyter kernel, a REPL and a notebook runner for information-theoretic diffusion.
//!
//! ```text
//! frame, disk ◀─ reply ◀─ prelude · cell ◀─ analysis ◀─ session ◀─ kernel · notebook · terminal ◀─ course, repl, cli ◀─ runner, site, bench, tool, main
//! beside: toolchain, install, history, python, doctor; client, bench
//! ```
//!
//! A module imports only what stands to its left. The crate of the science, `itd_prelude`, is not among its
//! dependencies: cells link it at run time.

pub mod analysis;
pub mod bench;
pub mod cell;
pub mod cli;
pub mod client;
pub mod console;
pub mod course;
pub mod disk;
pub mod doctor;
pub mod folder;
#[path = "../sources/cell/src/frame.rs"]
pub mod frame;
pub mod history;
pub mod install;
pub mod kernel;
pub mod notebook;
pub mod prelude;
pub mod python;
pub mod repl;
pub mod reply;
pub mod runner;
pub mod session;
pub mod site;
pub mod terminal;
pub mod tool;
pub mod toolchain;
