//! What the supervisor tells the kernel: one event a line, in JSON.

use serde::{Deserialize, Serialize};

use crate::frame::{Bundle, Frame};

/// Something that happened in the process that runs the cells, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Text on standard output.
    Stdout(String),
    /// Text on standard error.
    Stderr(String),
    /// A message of the prelude.
    Frame(Frame),
    /// A display that was printed with evcxr's markers, by a library that knows only those.
    Evcxr(Bundle),
    /// A panic ended the cell.
    Panicked,
    /// A `?` ended the cell.
    Errored,
    /// A `return` ended the cell before its last line.
    Returned,
    /// The cell is over; all that it printed has been told.
    Done,
    /// The runtime is gone.
    Exited {
        /// What it exited with, if it did so itself.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}
