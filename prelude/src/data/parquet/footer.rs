//! The footer of a parquet file, walked through before a library reads it.

use super::pages::Fault;

/// How deep the values of a footer may lie within each other; those of a good file take 7.
const DEPTH: usize = 16;

/// How many columns and groups of columns a table may have. The library goes one level deeper for each that
/// lies within the one before.
const COLUMNS: u64 = 1000;

/// The number of the field that lists the columns, in the outermost struct.
const SCHEMA: i64 = 2;

/// Checks that no list or text of a footer is longer than the rest of the footer.
///
/// The library asks for the memory of a list when it has read its length, and a failure to get it ends the
/// process.
///
/// # Source
/// Apache Thrift, "Thrift compact protocol encoding".
pub(super) fn check(file: &[u8]) -> Result<(), Fault> {
    let end = file.len().saturating_sub(8);
    let tail = file.get(end..end + 4).unwrap_or(&[0; 4]);
    let length = tail
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let Some(start) = end.checked_sub(length).filter(|&start| start >= 4) else {
        return Err(Fault {
            byte: end as u64,
            got: format!("a footer of {length} bytes"),
            need: format!("a footer within the file, which has {} bytes", file.len()),
        });
    };
    let mut walk = Walk {
        rest: &file[start..end],
        end: end as u64,
    };
    walk.fields(0)
}

/// The part of a footer that was not walked through yet.
struct Walk<'a> {
    rest: &'a [u8],
    end: u64,
}

impl Walk<'_> {
    /// The fields of a struct, up to the byte 0 that ends it.
    fn fields(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH {
            return Err(self.fault("values within each other", "at most 16 deep"));
        }
        let mut field = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            // The upper half is the distance to the number of the field before; 0 if the number follows.
            field = match head >> 4 {
                0 => self.signed()?,
                step => i64::wrapping_add(field, i64::from(step)),
            };
            let kind = head & 0x0f;
            // A truth value is told by the kind alone, and takes no byte.
            if !matches!(kind, 1 | 2) {
                self.value(kind, depth, depth == 0 && field == SCHEMA)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize, schema: bool) -> Result<(), Fault> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.number()?,
                    count => u64::from(count),
                };
                // Each element takes a byte at least.
                if count > self.rest.len() as u64 || schema && count > COLUMNS {
                    return Err(self.fault(
                        &format!("a list of {count}"),
                        "one that fits into the footer, and at most 1000 columns",
                    ));
                }
                (0..count).try_for_each(|_| self.value(head & 0x0f, depth, false))
            }
            12 => self.fields(depth + 1),
            other => Err(self.fault(
                &format!("a value of kind {other}"),
                "of a kind that parquet has",
            )),
        }
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Err(self.fault("cut off", "whole"));
        };
        self.rest = rest;
        Ok(first)
    }

    fn skip(&mut self, count: u64) -> Result<(), Fault> {
        match usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.get(count..))
        {
            Some(rest) => self.rest = rest,
            None => {
                return Err(self.fault(&format!("a text of {count} bytes"), "within the footer"));
            }
        }
        Ok(())
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.fault("a number of more than ten bytes", "at most ten"))
    }

    /// A number with its sign in the lowest bit.
    fn signed(&mut self) -> Result<i64, Fault> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn fault(&self, got: &str, need: &str) -> Fault {
        Fault {
            byte: self.end - self.rest.len() as u64,
            got: format!("a footer with {got}"),
            need: need.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(footer: &[u8]) -> Result<(), String> {
        let length = (footer.len() as u32).to_le_bytes();
        let file = [b"PAR1", footer, &length, b"PAR1"].concat();
        check(&file).map_err(|fault| format!("byte {}: {}", fault.byte, fault.got))
    }

    #[test]
    fn good_values_pass() {
        // Field 1: a number of two bytes; 2: a list of two structs; 3: a text; 4: true; 5: eight bytes.
        let footer = [
            0x15, 0x80, 0x01, 0x19, 0x2c, 0x00, 0x15, 0x02, 0x00, 0x18, 2, b'h', b'i', 0x11, 0x17,
            1, 2, 3, 4, 5, 6, 7, 8, 0,
        ];
        assert_eq!(checked(&footer), Ok(()));
        for length in 0..footer.len() {
            assert!(checked(&footer[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        // A list of 2³¹ − 1 structs, and a text of as many bytes.
        let list = checked(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]).unwrap_err();
        assert!(
            list.contains("byte 11") && list.contains("2147483647"),
            "{list}"
        );
        let text = checked(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x07, b'a', 0]).unwrap_err();
        assert!(text.contains("a text of 2147483647 bytes"), "{text}");
        // Structs within each other without end.
        assert!(
            checked(&[0x1c; 100])
                .unwrap_err()
                .contains("values within each other")
        );
        // Columns within each other: a list of 1001 in field 2.
        let columns = [&[0x29, 0xf3, 0xe9, 0x07][..], &[1; 1001], &[0]].concat();
        assert!(checked(&columns).unwrap_err().contains("a list of 1001"));
        assert!(checked(&[0x1b, 0]).is_err());
        assert!(check(b"PAR1\x10\0\0\0PAR1").is_err());
    }
}
