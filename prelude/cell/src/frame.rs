//! The messages that a running cell sends to the kernel, and how they are told apart from text.
//!
//! A frame travels inside the cell's standard output, so that it keeps its place between prints:
//!
//! ```text
//! ESC ] i t d ;  <length of the payload in bytes>  ;  <payload: JSON of one Frame>  BEL
//! ```
//!
//! The kernel and the prelude are built apart and share this file; it imports nothing of ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One value in several forms: MIME type → content. Text as a string, binary types in base64.
pub type Bundle = BTreeMap<String, serde_json::Value>;

/// How a frame begins in the output stream.
pub const OPEN: &[u8] = b"\x1b]itd;";

/// How a frame ends in the output stream.
pub const CLOSE: u8 = 0x07;

/// A line on standard error that says nothing: evcxr prints the value that leaves a cell through `?`,
/// which a [`Frame::Error`] has already reported in full.
pub const HUSH: &str = "\x1b]itd-hush\x07";

/// A line, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Of the cell as the user wrote it.
    Cell(u32),
    /// Of the code that was made from it, as `line!()` counts.
    Generated(u32),
}

/// What a cell tells the kernel while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame {
    /// A cell starts; `code` is the shared object that holds it.
    Begin { code: String },
    /// The cell has come to its last line: what it has defined is kept.
    End,
    /// The cell is over, in whatever way, and all that it printed stands before this. Sent by the process, not by
    /// the cell's code.
    Complete,
    /// Show something; with an `id` it can be shown anew later, with `update` it replaces that.
    Display {
        data: Bundle,
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        update: bool,
    },
    /// Remove what the cell has shown so far; with `wait`, when the next output comes.
    Clear { wait: bool },
    /// The value of the cell's last expression.
    Result { data: Bundle },
    /// Text for standard error that keeps its place among the prints.
    Stderr { text: String },
    /// A panic happened somewhere; whether the cell survives it is not known yet.
    Panic {
        message: String,
        thread: String,
        /// The shared object whose source `line` counts in; empty when it is not a cell's.
        code: String,
        file: String,
        line: u32,
        column: u32,
    },
    /// An error left the cell through `?`, or was the value of its last expression.
    Error {
        /// Name of the error's kind, as `ename` in a notebook.
        name: String,
        /// The error, then what caused it, outermost first.
        chain: Vec<String>,
        /// Where it was found.
        line: Line,
    },
    /// A long loop has seen the interrupt and is winding up.
    Interrupted,
}

/// A frame as it stands in the output stream.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let payload = serde_json::to_vec(frame).unwrap_or_default();
    let mut bytes = OPEN.to_vec();
    bytes.extend_from_slice(payload.len().to_string().as_bytes());
    bytes.push(b';');
    bytes.extend_from_slice(&payload);
    bytes.push(CLOSE);
    bytes
}
