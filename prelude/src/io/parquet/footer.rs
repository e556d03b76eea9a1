//! The footer of a Parquet file, walked through without reading it: Thrift's compact protocol, which tells the
//! type of each thing before the thing.

/// Structures within structures; Parquet's own go to about ten.
const DEEPEST: usize = 32;

/// Whether the bytes are one structure whose lists and texts all lie inside of it.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    Walk(bytes).structure(0).is_some()
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

    /// Fields: type and distance to the last one's number in a byte, or the number itself behind it.
    fn structure(&mut self, depth: usize) -> Option<()> {
        loop {
            let field = self.byte()?;
            if field & 0x0f == 0 {
                return Some(());
            }
            if field >> 4 == 0 {
                self.number()?;
            }
            match field & 0x0f {
                // The type of a truth value is the value.
                1 | 2 => {}
                kind => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => self.number().and_then(|len| self.skip(len)),
            9 | 10 => {
                let head = self.byte()?;
                let len = match head >> 4 {
                    15 => self.number()?,
                    len => u64::from(len),
                };
                self.values(len, &[head & 0x0f], depth)
            }
            11 => match self.number()? {
                0 => Some(()),
                len => {
                    let kinds = self.byte()?;
                    self.values(len, &[kinds >> 4, kinds & 0x0f], depth)
                }
            },
            12 => self.structure(depth + 1),
            _ => None,
        }
    }

    /// Each takes at least a byte, so no more can be there than bytes.
    fn values(&mut self, len: u64, kinds: &[u8], depth: usize) -> Option<()> {
        if len > self.0.len() as u64 {
            return None;
        }
        (0..len).try_for_each(|_| {
            kinds
                .iter()
                .try_for_each(|&kind| self.value(kind, depth + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_walked_through() {
        // Field 1: a truth value. 2: a number of two bytes. 3: a double. 4: text.
        let mut bytes = vec![
            0x11, 0x15, 0x80, 0x01, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x18, 2, b'a', b'b',
        ];
        // 5: a list of two numbers. 6: a map of one. 7: a structure. 20: a byte.
        bytes.extend([
            0x19, 0x25, 1, 2, 0x1b, 1, 0x55, 3, 4, 0x1c, 0x11, 0, 0x03, 40, 9, 0,
        ]);
        assert!(is_sound(&bytes));
        for end in 0..bytes.len() {
            assert!(!is_sound(&bytes[..end]), "{end}");
        }
    }

    #[test]
    fn promises_are_not_believed() {
        // A list of 2³¹ structures, a text of 2⁶³ bytes, lists without end, a number without end.
        assert!(!is_sound(&[
            0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 0
        ]));
        assert!(!is_sound(&[
            0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0
        ]));
        assert!(!is_sound(&[&[0x19][..], &[0x19; 100_000]].concat()));
        assert!(!is_sound(&[0x1c; 100_000]));
        assert!(!is_sound(&[&[0x15][..], &[0xff; 20], &[0]].concat()));
        assert!(!is_sound(&[]));
    }
}
