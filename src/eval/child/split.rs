//! Takes the runtime's standard output apart: text, frames of the prelude, evcxr's control lines.
//!
//! Text is told as it comes, whole lines or not. Only what may be the beginning of something else is held
//! back until more has come.

use std::collections::VecDeque;

use super::event::Event;
use crate::eval::frame::{self, Bundle, Frame};

/// How evcxr's control lines begin.
const CONTROL: &[u8] = b"EVCXR_";
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";
const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION";
const ERRORED: &str = "EVCXR_ERROR_OCCURRED";
const PASSED_ON: &[&str] = &["EVCXR_VARIABLE_CHANGED_TYPE:", "EVCXR_INPUT_REQUEST"];
const BEGIN_CONTENT: &str = "EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT\n";
/// A frame larger than this is not one.
const LARGEST_FRAME: usize = 1 << 30;

/// What came out of the stream.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// To be told to the kernel.
    Event(Event),
    /// A line that evcxr waits for. Before [`Part::is_end`], everything else must have been told.
    Control(String),
}

impl Part {
    /// Whether this is the line with which evcxr takes the cell for over.
    pub fn is_end(&self) -> bool {
        matches!(self, Part::Control(line) if line == COMPLETE)
    }
}

/// Cuts a stream of bytes into [`Part`]s.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    parts: VecDeque<Part>,
}

impl Splitter {
    /// Takes bytes in, gives the parts that are complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.buffer.extend_from_slice(bytes);
        while self.take_one() {}
        self.parts.drain(..).collect()
    }

    /// Gives what was held back, when nothing more has come for a while.
    pub fn rest(&mut self) -> Vec<Part> {
        let waits = self.buffer.starts_with(frame::OPEN) || self.buffer.starts_with(CONTROL);
        if !waits {
            let text = std::mem::take(&mut self.buffer);
            self.text(&text);
        }
        self.parts.drain(..).collect()
    }

    /// Takes one part from the front of the buffer; false when more bytes are needed.
    fn take_one(&mut self) -> bool {
        let Some(at) = self.next_special() else {
            // Nothing special in sight, but the end may be the start of something.
            let keep = [frame::OPEN, CONTROL].map(|token| overlap(&self.buffer, token));
            let keep = keep
                .into_iter()
                .fold(unfinished_char(&self.buffer), usize::max);
            let text: Vec<u8> = self.buffer.drain(..self.buffer.len() - keep).collect();
            self.text(&text);
            return false;
        };
        if at > 0 {
            let text: Vec<u8> = self.buffer.drain(..at).collect();
            self.text(&text);
        }
        let taken = match self.buffer.starts_with(frame::OPEN) {
            true => self.take_frame(),
            false => self.take_control(),
        };
        match taken {
            Taken::Bytes(count) => {
                self.buffer.drain(..count);
                true
            }
            Taken::NotSpecial => {
                let text: Vec<u8> = self.buffer.drain(..1).collect();
                self.text(&text);
                true
            }
            Taken::NeedMore => false,
        }
    }

    fn next_special(&self) -> Option<usize> {
        if self.buffer.starts_with(frame::OPEN) {
            return Some(0); // a large frame comes in many pieces; do not search it each time
        }
        let frame = find(&self.buffer, frame::OPEN);
        let control = find(&self.buffer, CONTROL);
        match (frame, control) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn take_frame(&mut self) -> Taken {
        let head = &self.buffer[frame::OPEN.len()..];
        let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let Some(b';') = head.get(digits) else {
            return match digits == head.len() && digits < 12 {
                true => Taken::NeedMore,
                false => Taken::NotSpecial,
            };
        };
        let length = std::str::from_utf8(&head[..digits])
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(length) = length.filter(|length| *length <= LARGEST_FRAME) else {
            return Taken::NotSpecial;
        };
        let payload = &head[digits + 1..];
        match payload.get(length) {
            None => return Taken::NeedMore,
            Some(&frame::CLOSE) => {}
            Some(_) => return Taken::NotSpecial,
        }
        let Ok(frame) = serde_json::from_slice::<Frame>(&payload[..length]) else {
            return Taken::NotSpecial;
        };
        self.parts.push_back(Part::Event(Event::Frame(frame)));
        Taken::Bytes(frame::OPEN.len() + digits + 1 + length + 1)
    }

    fn take_control(&mut self) -> Taken {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return Taken::NeedMore;
        };
        let Ok(line) = std::str::from_utf8(&self.buffer[..end]) else {
            return Taken::NotSpecial;
        };
        let line = line.to_owned();
        match line.as_str() {
            COMPLETE => {}
            PANICKED => self.parts.push_back(Part::Event(Event::Panicked)),
            ERRORED => self.parts.push_back(Part::Event(Event::Errored)),
            other if PASSED_ON.iter().any(|start| other.starts_with(start)) => {}
            other => {
                return match other.strip_prefix(BEGIN_CONTENT) {
                    Some(mime) => self.take_content(mime, end + 1),
                    None => Taken::NotSpecial,
                };
            }
        }
        self.parts.push_back(Part::Control(line));
        Taken::Bytes(end + 1)
    }

    /// A display between evcxr's markers. Displays of one value in several types follow each other at once
    /// and become one bundle.
    fn take_content(&mut self, mime: &str, start: usize) -> Taken {
        let Some(length) = find(&self.buffer[start..], END_CONTENT) else {
            return Taken::NeedMore;
        };
        let content = String::from_utf8_lossy(&self.buffer[start..start + length]);
        let content = content.strip_suffix('\n').unwrap_or(&content).to_owned();
        let value = match mime.ends_with("json") {
            true => serde_json::from_str(&content).unwrap_or(content.into()),
            false => content.into(),
        };
        match self.parts.back_mut() {
            Some(Part::Event(Event::Evcxr(bundle))) if !bundle.contains_key(mime) => {
                bundle.insert(mime.to_owned(), value);
            }
            _ => {
                let bundle = Bundle::from([(mime.to_owned(), value)]);
                self.parts.push_back(Part::Event(Event::Evcxr(bundle)));
            }
        }
        Taken::Bytes(start + length + END_CONTENT.len())
    }

    fn text(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        match self.parts.back_mut() {
            Some(Part::Event(Event::Stdout(before))) => before.push_str(&text),
            _ => self
                .parts
                .push_back(Part::Event(Event::Stdout(text.into_owned()))),
        }
    }
}

enum Taken {
    Bytes(usize),
    NotSpecial,
    NeedMore,
}

fn find(bytes: &[u8], token: &[u8]) -> Option<usize> {
    bytes
        .windows(token.len())
        .position(|window| window == token)
}

/// How many bytes at the end of `bytes` are the beginning of `token`.
fn overlap(bytes: &[u8], token: &[u8]) -> usize {
    let longest = bytes.len().min(token.len() - 1);
    (1..=longest)
        .rev()
        .find(|n| bytes.ends_with(&token[..*n]))
        .unwrap_or(0)
}

/// How many bytes at the end of `bytes` are the beginning of a character.
pub fn unfinished_char(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        // An invalid byte further ahead hides the end; a character is at most four bytes long.
        Err(_) => {
            let tail = &bytes[bytes.len().saturating_sub(3)..];
            let start = tail.iter().rposition(|byte| *byte >= 0xC0);
            start.map_or(0, |start| match std::str::from_utf8(&tail[start..]) {
                Err(error) if error.error_len().is_none() => tail.len() - start,
                _ => 0,
            })
        }
        Ok(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdout(text: &str) -> Part {
        Part::Event(Event::Stdout(text.to_owned()))
    }

    fn frame() -> Frame {
        Frame::Stderr {
            text: "é \u{7} ; EVCXR_ERROR_OCCURRED\n".into(),
        }
    }

    /// Neighbouring texts joined, as the kernel would read them.
    fn joined(parts: Vec<Part>) -> Vec<Part> {
        let mut out: Vec<Part> = Vec::new();
        for part in parts {
            match (out.last_mut(), part) {
                (Some(Part::Event(Event::Stdout(before))), Part::Event(Event::Stdout(text))) => {
                    before.push_str(&text)
                }
                (_, part) => out.push(part),
            }
        }
        out
    }

    fn sample() -> (Vec<u8>, Vec<Part>) {
        let mut bytes = "züge 10 %\r".as_bytes().to_vec();
        bytes.extend(frame::encode(&frame()));
        bytes.extend(b"partEVCXR_PANIC_NOTIFICATION\n");
        bytes.extend(b"EVCXR_BEGIN_CONTENT text/html\n<b>\nx</b>\nEVCXR_END_CONTENT\n");
        bytes.extend(b"EVCXR_BEGIN_CONTENT text/plain\nx\nEVCXR_END_CONTENT\n");
        bytes.extend(b"EVCXR_ is just text\n\x1b[31mred\x1b[0m\nEVCXR_EXECUTION_COMPLETE\n");
        let bundle = Bundle::from([
            ("text/html".to_owned(), "<b>\nx</b>".into()),
            ("text/plain".to_owned(), "x".into()),
        ]);
        let parts = vec![
            stdout("züge 10 %\r"),
            Part::Event(Event::Frame(frame())),
            stdout("part"),
            Part::Event(Event::Panicked),
            Part::Control(PANICKED.into()),
            Part::Event(Event::Evcxr(bundle)),
            stdout("EVCXR_ is just text\n\x1b[31mred\x1b[0m\n"),
            Part::Control(COMPLETE.into()),
        ];
        (bytes, parts)
    }

    #[test]
    fn parts_come_in_order() {
        let (bytes, parts) = sample();
        assert_eq!(joined(Splitter::default().feed(&bytes)), parts);
        assert!(parts.last().is_some_and(Part::is_end));
    }

    #[test]
    fn the_cut_between_two_reads_does_not_matter() {
        let (bytes, parts) = sample();
        for cut in 1..bytes.len() {
            let mut splitter = Splitter::default();
            let mut got = splitter.feed(&bytes[..cut]);
            let evcxr_pair = |parts: &[Part]| {
                parts
                    .iter()
                    .filter(|p| matches!(p, Part::Event(Event::Evcxr(_))))
                    .count()
            };
            got.extend(splitter.feed(&bytes[cut..]));
            // A cut between the two types of one display makes two displays of it; all else is the same.
            if evcxr_pair(&got) == 1 {
                assert_eq!(joined(got), parts, "cut at {cut}");
            }
        }
    }

    #[test]
    fn text_is_told_before_its_line_ends() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"50 %"), [stdout("50 %")]);
        assert_eq!(splitter.feed(b"\r60 % E"), [stdout("\r60 % ")]);
        assert_eq!(splitter.rest(), [stdout("E")]);
    }

    #[test]
    fn what_only_looks_like_a_frame_is_text() {
        for text in [
            "\x1b]itd;12x;",
            "\x1b]itd;3;{}x\x07",
            "\x1b]itd;2;{}\x07",
            "\x1b]itd;99999999999999;",
        ] {
            let mut splitter = Splitter::default();
            let mut got = splitter.feed(text.as_bytes());
            got.extend(splitter.feed(b" end"));
            assert_eq!(joined(got), [stdout(&format!("{text} end"))]);
        }
    }

    #[test]
    fn broken_characters_do_not_stop_the_stream() {
        let mut splitter = Splitter::default();
        let got = splitter.feed(b"a\xFFb\xC3");
        assert_eq!(got, [stdout("a\u{FFFD}b")]);
        assert_eq!(splitter.feed(b"\xA9"), [stdout("é")]);
    }
}
