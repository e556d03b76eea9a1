//! Takes the runtime's standard output apart: text, frames of the prelude, evcxr's control lines.
//!
//! Text is told as it comes, whole lines or not. Only what may be the beginning of something else is held
//! back until more has come.

use std::collections::VecDeque;

use super::event::Event;
use crate::frame::{self, Bundle, Frame};

/// How evcxr's control lines begin.
const CONTROL: &[u8] = b"EVCXR_";
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";
const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION\n";
const ERRORED: &str = "EVCXR_ERROR_OCCURRED\n";
const CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
const BEGIN_CONTENT: &str = "EVCXR_BEGIN_CONTENT ";
/// All of them. [`COMPLETE`] is not among them: the runtime sends a frame instead.
const LINES: &[&str] = &[PANICKED, ERRORED, CHANGED_TYPE, BEGIN_CONTENT];
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
    cell: Cell,
}

/// What the stream has shown of the cell that runs, to tell evcxr's lines from a cell that prints the same words.
/// evcxr prints them when the cell has ended, so they are none if the cell's last line comes after them.
#[derive(Debug, Default)]
struct Cell {
    begun: bool,
    ended: bool,
    /// A panic was reported, or something that an error at `?` reports, since the last of the two above.
    panic: bool,
    error: bool,
    /// Lines that have come and may be evcxr's.
    notices: Vec<Notice>,
}

#[derive(Debug)]
struct Notice {
    line: &'static str,
    /// Whether there was a report that goes with it; otherwise the end of the cell must follow at once.
    reported: bool,
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
        self.deny(|notice| !notice.reported);
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
        self.frame(frame);
        Taken::Bytes(frame::OPEN.len() + digits + 1 + length + 1)
    }

    fn frame(&mut self, frame: Frame) {
        match &frame {
            Frame::Begin { .. } => {
                self.deny(|_| true);
                self.cell = Cell {
                    begun: true,
                    ..Cell::default()
                };
            }
            Frame::End => {
                self.deny(|_| true);
                self.cell.ended = true;
                (self.cell.panic, self.cell.error) = (false, false);
            }
            Frame::Complete => return self.complete(),
            Frame::Panic { .. } => self.cell.panic = true,
            Frame::Error { .. } | Frame::Stderr { .. } => self.cell.error = true,
            _ => {}
        }
        self.deny(|notice| !notice.reported);
        self.parts.push_back(Part::Event(Event::Frame(frame)));
    }

    /// The cell is over. One that was left before its last line has not kept what it defined; evcxr believes
    /// that of a cell with an error.
    fn complete(&mut self) {
        let cell = std::mem::take(&mut self.cell);
        let returned = cell.begun && !cell.ended && cell.notices.is_empty();
        for Notice { line, .. } in cell.notices {
            let event = match line {
                PANICKED => Event::Panicked,
                _ => Event::Errored,
            };
            self.parts.push_back(Part::Event(event));
            self.parts
                .push_back(Part::Control(line.trim_end().to_owned()));
        }
        if returned {
            self.parts.push_back(Part::Event(Event::Returned));
            self.parts
                .push_back(Part::Control(ERRORED.trim_end().to_owned()));
        }
        self.parts.push_back(Part::Control(COMPLETE.to_owned()));
    }

    /// Takes notices for what the cell has printed.
    fn deny(&mut self, which: impl Fn(&Notice) -> bool) {
        if self.cell.notices.is_empty() {
            return;
        }
        let (denied, kept) = std::mem::take(&mut self.cell.notices)
            .into_iter()
            .partition::<Vec<_>, _>(which);
        self.cell.notices = kept;
        for notice in denied {
            self.push_text(notice.line.as_bytes());
        }
    }

    fn take_control(&mut self) -> Taken {
        let may_become = |line: &&&str| {
            let both = line.len().min(self.buffer.len());
            line.as_bytes()[..both] == self.buffer[..both]
        };
        let Some(kind) = LINES.iter().find(may_become) else {
            return Taken::NotSpecial;
        };
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        let broken = find(&self.buffer, frame::OPEN);
        let end = match (end, broken) {
            (Some(end), _) if broken.is_none_or(|broken| end < broken) => end,
            (_, Some(_)) => return Taken::NotSpecial,
            _ => return Taken::NeedMore,
        };
        let Ok(line) = std::str::from_utf8(&self.buffer[..end]) else {
            return Taken::NotSpecial;
        };
        let line = line.to_owned();
        match *kind {
            notice @ (PANICKED | ERRORED) => {
                let reported = match notice {
                    PANICKED => self.cell.panic,
                    _ => self.cell.error,
                };
                self.cell.notices.push(Notice {
                    line: notice,
                    reported,
                });
            }
            BEGIN_CONTENT => {
                let mime = line.strip_prefix(BEGIN_CONTENT).unwrap_or_default();
                return self.take_content(mime, end + 1);
            }
            // evcxr looks at the types of variables before the cell begins.
            _ if self.cell.begun => return Taken::NotSpecial,
            _ => self.parts.push_back(Part::Control(line)),
        }
        Taken::Bytes(end + 1)
    }

    /// A display between evcxr's markers. Displays of one value in several types follow each other at once
    /// and become one bundle.
    fn take_content(&mut self, mime: &str, start: usize) -> Taken {
        let length = find(&self.buffer[start..], END_CONTENT);
        let broken = find(&self.buffer[start..], frame::OPEN);
        let length = match (length, broken) {
            (Some(length), _) if broken.is_none_or(|broken| length < broken) => length,
            (_, Some(_)) => return Taken::NotSpecial,
            _ => return Taken::NeedMore,
        };
        self.deny(|notice| !notice.reported);
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
        self.deny(|notice| !notice.reported);
        self.push_text(bytes);
    }

    fn push_text(&mut self, bytes: &[u8]) {
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

    fn begin() -> Frame {
        Frame::Begin {
            code: "a.so".into(),
        }
    }

    fn panic() -> Frame {
        Frame::Panic {
            message: "no".into(),
            thread: "main".into(),
            code: String::new(),
            file: String::new(),
            line: 1,
            column: 1,
        }
    }

    fn event(frame: Frame) -> Part {
        Part::Event(Event::Frame(frame))
    }

    fn control(line: &str) -> Part {
        Part::Control(line.trim_end().to_owned())
    }

    fn sample() -> (Vec<u8>, Vec<Part>) {
        let mut bytes = b"EVCXR_VARIABLE_CHANGED_TYPE:x\n".to_vec();
        bytes.extend(frame::encode(&begin()));
        bytes.extend("züge 10 %\r".as_bytes());
        bytes.extend(frame::encode(&frame()));
        bytes.extend(b"EVCXR_BEGIN_CONTENT text/html\n<b>\nx</b>\nEVCXR_END_CONTENT\n");
        bytes.extend(b"EVCXR_BEGIN_CONTENT text/plain\nx\nEVCXR_END_CONTENT\n");
        bytes.extend(b"EVCXR_ is just text\n\x1b[31mred\x1b[0m\nEVCXR_EXECUTION_COMPLETE\n");
        bytes.extend(frame::encode(&panic()));
        bytes.extend(b"partEVCXR_PANIC_NOTIFICATION\n");
        bytes.extend(frame::encode(&Frame::Complete));
        let bundle = Bundle::from([
            ("text/html".to_owned(), "<b>\nx</b>".into()),
            ("text/plain".to_owned(), "x".into()),
        ]);
        let parts = vec![
            control("EVCXR_VARIABLE_CHANGED_TYPE:x"),
            event(begin()),
            stdout("züge 10 %\r"),
            event(frame()),
            Part::Event(Event::Evcxr(bundle)),
            stdout("EVCXR_ is just text\n\x1b[31mred\x1b[0m\nEVCXR_EXECUTION_COMPLETE\n"),
            event(panic()),
            stdout("part"),
            Part::Event(Event::Panicked),
            control(PANICKED),
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

    /// Something that writes to the stream.
    type Piece<'a> = &'a dyn Fn(&mut Vec<u8>);

    /// What comes of a cell between its begin and its end, without the frames.
    fn cell(pieces: &[Piece<'_>]) -> Vec<Part> {
        let mut bytes = frame::encode(&begin());
        pieces.iter().for_each(|piece| piece(&mut bytes));
        bytes.extend(frame::encode(&Frame::Complete));
        let mut parts = joined(Splitter::default().feed(&bytes));
        parts.retain(|part| !matches!(part, Part::Event(Event::Frame(_))));
        assert!(parts.pop().is_some_and(|part| part.is_end()));
        parts
    }

    #[test]
    fn a_cell_that_prints_the_words_of_evcxr_has_only_printed() {
        let print = |text: &'static str| move |bytes: &mut Vec<u8>| bytes.extend(text.as_bytes());
        let tell = |frame: Frame| move |bytes: &mut Vec<u8>| bytes.extend(frame::encode(&frame));
        let end = tell(Frame::End);
        for words in [
            PANICKED,
            ERRORED,
            "EVCXR_EXECUTION_COMPLETE\n",
            "EVCXR_VARIABLE_CHANGED_TYPE:x\n",
            "EVCXR_INPUT_REQUEST:name\n",
            "EVCXR_BEGIN_CONTENT text/html\n",
            "EVCXR_PANIC",
        ] {
            assert_eq!(cell(&[&print(words), &end]), [stdout(words)]);
            let more = cell(&[&print(words), &print("more"), &end]);
            assert_eq!(more, [stdout(&format!("{words}more"))]);
            // After a panic that was caught.
            let caught = cell(&[&tell(panic()), &print(words), &end]);
            assert_eq!(caught, [stdout(words)]);
        }
    }

    #[test]
    fn what_ended_a_cell_is_told() {
        let print = |text: &'static str| move |bytes: &mut Vec<u8>| bytes.extend(text.as_bytes());
        let tell = |frame: Frame| move |bytes: &mut Vec<u8>| bytes.extend(frame::encode(&frame));
        let panicked = [Part::Event(Event::Panicked), control(PANICKED)];
        assert_eq!(cell(&[&tell(panic()), &print(PANICKED)]), panicked);
        // A panic that no hook has seen, and one while the cell's values are dropped.
        assert_eq!(cell(&[&print(PANICKED)]), panicked);
        let late = cell(&[&tell(Frame::End), &tell(panic()), &print(PANICKED)]);
        assert_eq!(late, panicked);
        let errored = [Part::Event(Event::Errored), control(ERRORED)];
        assert_eq!(cell(&[&tell(frame()), &print(ERRORED)]), errored);
        // evcxr forgets the new variables of a cell that was left early, as of one with an error.
        let returned = [Part::Event(Event::Returned), control(ERRORED)];
        assert_eq!(cell(&[]), returned);
        assert_eq!(cell(&[&tell(Frame::End)]), []);
        // What the process runs before the prelude is there does not say when it begins.
        let bytes = frame::encode(&Frame::Complete);
        assert_eq!(Splitter::default().feed(&bytes), [control(COMPLETE)]);
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
