//! The messages that a running cell sends to the kernel, and how they are told apart from text.
//!
//! A frame travels inside the cell's standard output, so that it keeps its place between prints:
//!
//! ```text
//! ESC ] i t d ;  <length of the payload in bytes>  ;  <payload: JSON of one Frame>  BEL
//! ```
//!
//! What the kernel has to say to the process goes the other way on a socket of its own, one [`Message`] a line.
//!
//! The kernel and the prelude are built apart and share this file; it imports nothing of ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

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
    /// The cell is over, in whatever way, and all that it printed stands before this. The process calls for it, not
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
    /// The cell asks its user for a line; [`Message::Answer`] brings it.
    Ask {
        id: u64,
        prompt: String,
        password: bool,
    },
    /// A message to the front end's end of a comm.
    Comm { comm: Comm },
    /// What comes from here on is shown for the front end's message of this identity, not for a cell.
    Handling { message: String },
    /// The message has been handled.
    Handled { message: String },
}

/// What the kernel tells the process that runs the cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// What the user has entered, or why nobody can be asked.
    Answer {
        id: u64,
        line: Result<String, String>,
    },
    /// A front end's message of this identity, on a comm.
    Comm { id: String, comm: Comm },
}

/// A message on a comm, the protocol's channel between a front end's widget, say, and its twin in the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comm {
    /// Which comm.
    pub id: String,
    pub kind: CommKind,
    /// A JSON object.
    pub data: serde_json::Value,
    /// A JSON object.
    pub metadata: serde_json::Value,
    /// Bytes that go along, in base64.
    #[serde(default)]
    pub buffers: Vec<String>,
}

/// What a message does on a comm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommKind {
    /// Opens it, for whoever listens under a name.
    Open {
        target: String,
    },
    Message,
    Close,
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

/// The longest text that describes a picture to those who cannot see it, in characters.
const LONGEST_DESCRIPTION: usize = 300;

/// What front ends are told of the pictures in a bundle: a text for those who cannot see them, and the size of those
/// made of pixels, so that a page does not jump when they come.
pub fn metadata(data: &Bundle) -> serde_json::Map<String, serde_json::Value> {
    let text = data.get("text/plain").and_then(|text| text.as_str());
    let alt: String = text
        .unwrap_or_default()
        .chars()
        .take(LONGEST_DESCRIPTION)
        .collect();
    let mut all = serde_json::Map::new();
    for mime in ["image/png", "image/svg+xml"] {
        let Some(content) = data.get(mime).and_then(|content| content.as_str()) else {
            continue;
        };
        let mut about = serde_json::Map::new();
        if let Some((width, height)) = png_size(content).filter(|_| mime == "image/png") {
            about.insert("width".to_owned(), json!(width));
            about.insert("height".to_owned(), json!(height));
        }
        if !alt.is_empty() {
            about.insert("alt".to_owned(), json!(alt));
        }
        all.insert(mime.to_owned(), about.into());
    }
    all
}

/// Width and height of a PNG file in base64: eight bytes that each such file begins with, the length and the name of
/// its first part, and then the two.
fn png_size(base64: &str) -> Option<(u32, u32)> {
    let mut bytes = Vec::with_capacity(24);
    for four in base64.as_bytes().get(..32)?.chunks(4) {
        let mut bits = 0;
        for &letter in four {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    match bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16)? == b"IHDR" {
        true => Some((number(16)?, number(20)?)),
        false => None,
    }
}
