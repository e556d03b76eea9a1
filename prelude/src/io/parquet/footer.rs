//! The footer of a Parquet file, walked through without reading it.
//!
//! It is written in Thrift's compact protocol, which tells the type of each thing before the thing. polars goes
//! by what the type should be, and makes room for as many entries as a list promises; here both are checked.
//!
//! Format: apache/parquet-format, `parquet.thrift`; apache/thrift, `thrift-compact-protocol.md`.

/// Structures within structures; Parquet's own go to about ten.
const DEEPEST: usize = 32;
/// Numbers of fields; Parquet's own go to about 20.
const LAST: u64 = 1000;

/// What a field must be.
#[derive(Clone, Copy)]
enum Kind {
    Truth,
    Byte,
    Number,
    Text,
    Struct(Shape),
    List(&'static Kind),
}

/// The fields of a structure; others may be there too.
type Shape = &'static [(u64, Kind)];

use Kind::{Byte, List, Number, Struct, Text, Truth};

const FILE: Shape = &[
    (1, Number),
    (2, List(&Struct(ELEMENT))),
    (3, Number),
    (4, List(&Struct(GROUP))),
    (5, List(&Struct(PAIR))),
    (6, Text),
    (7, List(&Struct(UNION))),
];
const ELEMENT: Shape = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Text),
    (5, Number),
    (6, Number),
    (7, Number),
    (8, Number),
    (9, Number),
    (10, Struct(LOGICAL)),
];
const LOGICAL: Shape = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Number), (2, Number)])),
    (6, EMPTY),
    (7, Struct(TIME)),
    (8, Struct(TIME)),
    (10, Struct(&[(1, Byte), (2, Truth)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
];
const EMPTY: Kind = Struct(&[]);
const TIME: Shape = &[(1, Truth), (2, Struct(UNION))];
const UNION: Shape = &[(1, EMPTY), (2, EMPTY), (3, EMPTY)];
const PAIR: Shape = &[(1, Text), (2, Text)];
const GROUP: Shape = &[
    (1, List(&Struct(CHUNK))),
    (2, Number),
    (3, Number),
    (4, List(&Struct(&[(1, Number), (2, Truth), (3, Truth)]))),
    (5, Number),
    (6, Number),
    (7, Number),
];
const CHUNK: Shape = &[
    (1, Text),
    (2, Number),
    (3, Struct(COLUMN)),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Number),
];
const COLUMN: Shape = &[
    (1, Number),
    (2, List(&Number)),
    (3, List(&Text)),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Number),
    (9, Number),
    (10, Number),
    (11, Number),
    (12, Struct(STATISTICS)),
    (14, Number),
    (15, Number),
];
const STATISTICS: Shape = &[
    (1, Text),
    (2, Text),
    (3, Number),
    (4, Number),
    (5, Text),
    (6, Text),
    (7, Truth),
    (8, Truth),
];

/// Whether the bytes start with a footer whose lists and texts all lie inside of it.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    Walk(bytes).structure(FILE, 0).is_some()
}

/// What is left to walk through; `None` where it is not enough.
struct Walk<'a>(&'a [u8]);

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// Seven bits a byte, lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Fields: type and distance to the last one's number in a byte, or twice the number behind it.
    fn structure(&mut self, shape: Shape, depth: usize) -> Option<()> {
        let mut number = 0;
        loop {
            let field = self.byte()?;
            let (distance, tag) = (u64::from(field >> 4), field & 0x0f);
            if tag == 0 {
                return Some(());
            }
            number = match distance {
                0 => self.number().filter(|twice| twice % 2 == 0)? / 2,
                distance => number + distance,
            };
            if number > LAST || depth > DEEPEST {
                return None;
            }
            match shape.iter().find(|(known, _)| *known == number) {
                Some((_, kind)) => self.known(*kind, tag, depth)?,
                None => self.unknown(tag, depth)?,
            }
        }
    }

    fn known(&mut self, kind: Kind, tag: u8, depth: usize) -> Option<()> {
        match (kind, tag) {
            // The type of a truth value is the value.
            (Truth, 1 | 2) => Some(()),
            (Byte, 3) | (Number, 4..=6) | (Text, 8) => self.unknown(tag, depth),
            (Struct(shape), 12) => self.structure(shape, depth + 1),
            (List(kind), 9) => self.list(|walk, tag| walk.known(*kind, tag, depth + 1)),
            _ => None,
        }
    }

    fn unknown(&mut self, tag: u8, depth: usize) -> Option<()> {
        match tag {
            1 | 2 => Some(()),
            3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => self.number().and_then(|len| self.skip(len)),
            // How readers step over truth values in lists differs; Parquet's footers have none.
            9 if depth < DEEPEST => self.list(|walk, tag| match tag {
                1 | 2 => None,
                tag => walk.unknown(tag, depth + 1),
            }),
            12 => self.structure(&[], depth + 1),
            _ => None,
        }
    }

    /// Length and type in a byte, or the length behind it.
    fn list(&mut self, mut each: impl FnMut(&mut Self, u8) -> Option<()>) -> Option<()> {
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => self.number()?,
            len => u64::from(len),
        };
        // Each takes at least a byte.
        if len > self.0.len() as u64 {
            return None;
        }
        (0..len).try_for_each(|_| each(self, head & 0x0f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_walked_through() {
        // Field 1: a number of two bytes. 2: one element, with a name. 6: text.
        let mut bytes = vec![
            0x15, 0x80, 0x01, 0x19, 0x1c, 0x48, 1, b'x', 0, 0x48, 2, b'a', b'b',
        ];
        // Unknown ones: 20: a double. 21: a list of two numbers. 22: a structure with a truth value. 30: a byte.
        bytes.extend([
            0xe7, 0, 0, 0, 0, 0, 0, 0, 0, 0x19, 0x25, 1, 2, 0x1c, 0x11, 0, 0x03, 60, 9, 0,
        ]);
        assert!(is_sound(&bytes));
        for end in 0..bytes.len() {
            assert!(!is_sound(&bytes[..end]), "{end}");
        }
        // A text or a list where a number should be, a number where a list should be.
        assert!(!is_sound(&[0x18, 1, b'x', 0]));
        assert!(!is_sound(&[0x19, 0x15, 1, 0]));
        assert!(!is_sound(&[0x25, 1, 0]));
        // A list of numbers where one of structures should be.
        assert!(!is_sound(&[0x29, 0x15, 1, 0]));
    }

    #[test]
    fn promises_are_not_believed() {
        // A list of 2³¹ structures, a text of 2⁶³ bytes, lists and structures without end, a number without end.
        assert!(!is_sound(&[
            0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 0
        ]));
        assert!(!is_sound(&[
            0x68, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0
        ]));
        assert!(!is_sound(&[0x99; 100_000]));
        assert!(!is_sound(&[0x9c; 100_000]));
        assert!(!is_sound(&[&[0x15][..], &[0xff; 20], &[0]].concat()));
        assert!(!is_sound(&[0x05, 0xfe, 0xff, 0x7f, 0, 0]));
        assert!(!is_sound(&[]));
    }
}
