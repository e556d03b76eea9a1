//! numpy's `.npy`: a line of Python that tells type and shape, then the values.
//!
//! Format: numpy.lib.format, versions 1.0 to 3.0. Written is what polars has, in C order and with the lowest byte
//! first; read is every ordinary type in any order. What polars has no type for here becomes the next one that holds
//! it: integers of 8 and 16 bits those of 32, floats of 16 bits those of 32.

use polars::prelude::{Column, DataType, NamedFrom, Series};

use super::malformed;
use crate::checkpoint::from_f16;
use crate::error::Result;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read; numpy's own limit is 10,000 characters.
const LONGEST: usize = 10_000;
/// The longest text, in characters; each takes as much room as the longest.
const WIDEST: usize = 1 << 16;

/// An array of one or two axes.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    /// As in numpy, without the order of bytes: `f8`.
    kind: String,
    shape: Vec<usize>,
    /// The values row by row, lowest byte first.
    bytes: Vec<u8>,
}

/// The bytes of numbers.
macro_rules! bytes_of {
    ($values:expr) => {
        $values
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
    };
}

/// A column of numbers from bytes, as a type that holds them.
macro_rules! column_of {
    ($kind:ty, $as:ty, $name:expr, $bytes:expr) => {{
        let (words, _) = $bytes.as_chunks();
        let values = words
            .iter()
            .map(|&word| <$as>::from(<$kind>::from_le_bytes(word)));
        Series::new($name.into(), values.collect::<Vec<$as>>())
    }};
}

impl Array {
    pub fn from_column(column: &Column) -> Result<Self> {
        let name = column.name();
        let series = column.as_materialized_series();
        if series.null_count() > 0 {
            return Err(malformed(format!(
                "column {name} has empty cells; numpy has none"
            )));
        }
        let one = |kind: &str, bytes| Self {
            kind: kind.to_owned(),
            shape: vec![series.len()],
            bytes,
        };
        Ok(match series.dtype() {
            DataType::Float64 => one("f8", bytes_of!(series.f64()?.into_no_null_iter())),
            DataType::Float32 => one("f4", bytes_of!(series.f32()?.into_no_null_iter())),
            DataType::Int64 => one("i8", bytes_of!(series.i64()?.into_no_null_iter())),
            DataType::Int32 => one("i4", bytes_of!(series.i32()?.into_no_null_iter())),
            DataType::UInt64 => one("u8", bytes_of!(series.u64()?.into_no_null_iter())),
            DataType::UInt32 => one("u4", bytes_of!(series.u32()?.into_no_null_iter())),
            DataType::Boolean => one(
                "b1",
                series.bool()?.iter().flatten().map(u8::from).collect(),
            ),
            DataType::String => texts(name, series)?,
            DataType::List(_) => lists(name, series)?,
            other => {
                return Err(malformed(format!(
                    "column {name} is of type {other}; .npz files take numbers, truth values, text and lists of numbers"
                )));
            }
        })
    }

    pub fn into_column(self, name: &str) -> Result<Column> {
        let &[rows, ref inner @ ..] = self.shape.as_slice() else {
            return Err(malformed("it is a single value; a column needs an axis"));
        };
        if inner.len() > 1 {
            let shape = self.shape;
            return Err(malformed(format!(
                "its shape is {shape:?}; a column has one axis or two"
            )));
        }
        let width = width(&self.kind)?;
        let series = match self.kind.as_str() {
            "f8" => column_of!(f64, f64, name, self.bytes),
            "f4" => column_of!(f32, f32, name, self.bytes),
            "f2" => {
                let (words, _) = self.bytes.as_chunks();
                let values = words.iter().map(|&word| from_f16(u16::from_le_bytes(word)));
                Series::new(name.into(), values.collect::<Vec<f32>>())
            }
            "i8" => column_of!(i64, i64, name, self.bytes),
            "i4" => column_of!(i32, i32, name, self.bytes),
            "i2" => column_of!(i16, i32, name, self.bytes),
            "i1" => column_of!(i8, i32, name, self.bytes),
            "u8" => column_of!(u64, u64, name, self.bytes),
            "u4" => column_of!(u32, u32, name, self.bytes),
            "u2" => column_of!(u16, i32, name, self.bytes),
            "u1" => column_of!(u8, i32, name, self.bytes),
            "b1" => {
                let values = self.bytes.iter().map(|&byte| byte != 0);
                Series::new(name.into(), values.collect::<Vec<bool>>())
            }
            kind => {
                let read = if kind.starts_with('U') { text } else { letters };
                let texts = self.bytes.chunks_exact(width.max(1)).map(read);
                Series::new(name.into(), texts.collect::<Result<Vec<_>>>()?)
            }
        };
        let Some(&len) = inner.first() else {
            return Ok(series.into());
        };
        if rows == 0 || len == 0 {
            return Err(malformed("it is empty"));
        }
        let lists = (0..rows).map(|row| series.slice((row * len) as i64, len));
        Ok(Column::new(name.into(), lists.collect::<Vec<Series>>()))
    }

    pub fn encode(&self) -> Vec<u8> {
        let axes: String = self.shape.iter().map(|axis| format!("{axis}, ")).collect();
        let shape = match self.shape.len() {
            1 => axes.trim_end().to_owned(),
            _ => axes.trim_end_matches(", ").to_owned(),
        };
        let order = if self.kind == "b1" { '|' } else { '<' };
        let kind = &self.kind;
        let mut header =
            format!("{{'descr': '{order}{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
        // The values start at a multiple of 64.
        let used = MAGIC.len() + 4 + header.len() + 1;
        header += &" ".repeat(used.next_multiple_of(64) - used);
        header.push('\n');
        let mut all = MAGIC.to_vec();
        all.extend([1, 0]);
        // At most 200 characters: a type, and two numbers.
        all.extend((header.len() as u16).to_le_bytes());
        all.extend(header.as_bytes());
        all.extend(&self.bytes);
        all
    }

    pub fn decode(content: &[u8]) -> Result<Self> {
        let cut = || malformed("it ends within its header");
        let rest = content.strip_prefix(MAGIC);
        let rest = rest.ok_or_else(|| malformed("it does not start as a numpy array does"))?;
        let (&[version, _], rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let (len, rest) = match version {
            1 => {
                let (len, rest) = rest.split_first_chunk().ok_or_else(cut)?;
                (usize::from(u16::from_le_bytes(*len)), rest)
            }
            2 | 3 => {
                let (len, rest) = rest.split_first_chunk().ok_or_else(cut)?;
                (u32::from_le_bytes(*len) as usize, rest)
            }
            _ => {
                return Err(malformed(format!(
                    "it has version {version} of numpy's format; 1 to 3 are known"
                )));
            }
        };
        if len > LONGEST {
            return Err(malformed(format!("its header of {len} bytes is too long")));
        }
        let (header, bytes) = rest.split_at_checked(len).ok_or_else(cut)?;
        let Header {
            kind,
            shape,
            high_first,
            columns,
        } = Header::read(header)?;
        let need = shape
            .iter()
            .try_fold(width(&kind)?, |size, &axis| size.checked_mul(axis));
        if need != Some(bytes.len()) {
            let got = bytes.len();
            return Err(malformed(format!(
                "{got} bytes are there; an array of {kind} and shape {shape:?} has another size"
            )));
        }
        let mut bytes = bytes.to_vec();
        // Text is a row of numbers of four bytes.
        let word = if kind.starts_with('U') {
            4
        } else {
            width(&kind)?
        };
        if high_first && !kind.starts_with('S') {
            bytes
                .chunks_exact_mut(word.max(1))
                .for_each(<[u8]>::reverse);
        }
        if let (true, &[rows, inner]) = (columns, &shape[..]) {
            let width = width(&kind)?;
            let at = |value: usize| width * (value % inner * rows + value / inner);
            bytes = (0..rows * inner)
                .flat_map(|value| bytes[at(value)..].iter().take(width).copied())
                .collect();
        }
        Ok(Self { kind, shape, bytes })
    }
}

/// What a header says.
struct Header {
    kind: String,
    shape: Vec<usize>,
    /// Whether the highest byte of a number stands first.
    high_first: bool,
    /// Whether columns lie together, not rows.
    columns: bool,
}

impl Header {
    /// From `{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }`.
    fn read(bytes: &[u8]) -> Result<Self> {
        let text = str::from_utf8(bytes).unwrap_or_default();
        let wrong = || malformed(format!("its header cannot be read: {text:?}"));
        let after = |key: &str| {
            text.split_once(&format!("'{key}':"))
                .map(|(_, rest)| rest.trim_start())
        };
        let descr = after("descr").ok_or_else(wrong)?;
        if descr.starts_with('[') {
            return Err(malformed(
                "it holds records of several fields; save each field as an array of its own",
            ));
        }
        let kind = descr
            .strip_prefix('\'')
            .and_then(|rest| rest.split_once('\''));
        let (kind, _) = kind.ok_or_else(wrong)?;
        let (order, kind) = match kind.split_at_checked(1) {
            Some((order @ ("<" | ">" | "=" | "|"), kind)) => (order, kind),
            _ => ("=", kind),
        };
        let layout = after("fortran_order").ok_or_else(wrong)?;
        let columns = match (layout.starts_with("True"), layout.starts_with("False")) {
            (false, false) => return Err(wrong()),
            (columns, _) => columns,
        };
        let shape = after("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
        let (shape, _) = shape.ok_or_else(wrong)?;
        let axes = shape
            .split(',')
            .map(str::trim)
            .filter(|axis| !axis.is_empty());
        let shape = axes.map(|axis| axis.parse().map_err(|_| wrong()));
        let shape: Vec<usize> = shape.collect::<Result<_>>()?;
        width(kind)?;
        if columns && shape.len() > 2 {
            return Err(malformed(format!(
                "its shape is {shape:?}; a column has one axis or two"
            )));
        }
        Ok(Self {
            kind: kind.to_owned(),
            shape,
            high_first: order == ">",
            columns,
        })
    }
}

/// Bytes of a value.
fn width(kind: &str) -> Result<usize> {
    for (letter, bytes) in [("U", 4), ("S", 1)] {
        let characters = kind.strip_prefix(letter).map(str::parse);
        if let Some(Ok(characters @ 1..=WIDEST)) = characters {
            return Ok(bytes * characters);
        }
    }
    let next = match (kind, kind.chars().next()) {
        ("f8" | "i8" | "u8", _) => return Ok(8),
        ("f4" | "i4" | "u4", _) => return Ok(4),
        ("f2" | "i2" | "u2", _) => return Ok(2),
        ("i1" | "u1" | "b1", _) => return Ok(1),
        (_, Some('O')) => "objects of Python, which are not read; save numbers or text",
        (_, Some('c')) => "complex numbers; save their `.real` and `.imag`",
        (_, Some('M' | 'm')) => "times; save them as numbers, `.astype('int64')`",
        ("f16" | "f12", _) => "floats of more than 64 bits; save them `.astype('float64')`",
        _ => "of another kind than numbers, truth values and text",
    };
    Err(malformed(format!(
        "its values are {next} (its type is {kind:?})"
    )))
}

/// Text of four bytes a character, filled up with zeros.
fn text(bytes: &[u8]) -> Result<String> {
    let (words, _) = bytes.as_chunks();
    let characters = words
        .iter()
        .map(|&word| char::from_u32(u32::from_le_bytes(word)));
    let text = characters.collect::<Option<String>>();
    let text = text.ok_or_else(|| malformed("its text is not Unicode"))?;
    Ok(text.trim_end_matches('\0').to_owned())
}

/// Text of one byte a letter, filled up with zeros.
fn letters(bytes: &[u8]) -> Result<String> {
    let text = str::from_utf8(bytes).map_err(|_| malformed("its text is not UTF-8"))?;
    Ok(text.trim_end_matches('\0').to_owned())
}

fn texts(name: &str, series: &Series) -> Result<Array> {
    let texts: Vec<&str> = series.str()?.iter().flatten().collect();
    let widest = texts.iter().map(|text| text.chars().count()).max();
    let widest = widest.unwrap_or(0).max(1);
    if widest > WIDEST || texts.iter().any(|text| text.ends_with('\0')) {
        return Err(malformed(format!(
            "column {name} has a text of more than {WIDEST} characters, or one that ends in a zero"
        )));
    }
    let pad = |text: &&str| {
        let text: Vec<u32> = text.chars().map(u32::from).collect();
        let zeros = widest - text.len();
        text.into_iter().chain(std::iter::repeat_n(0, zeros))
    };
    Ok(Array {
        kind: format!("U{widest}"),
        shape: vec![texts.len()],
        bytes: bytes_of!(texts.iter().flat_map(pad)),
    })
}

fn lists(name: &str, series: &Series) -> Result<Array> {
    let mut whole: Option<Array> = None;
    let all = series.list()?;
    for list in (0..all.len()).filter_map(|row| all.get_as_series(row)) {
        let list = Array::from_column(&list.into())?;
        if list.shape.len() != 1 || list.kind.starts_with('U') {
            return Err(malformed(format!(
                "column {name} holds lists of something else than numbers"
            )));
        }
        match &mut whole {
            None => {
                whole = Some(Array {
                    shape: vec![1, list.shape[0]],
                    ..list
                });
            }
            Some(whole) if whole.shape[1] == list.shape[0] => {
                whole.shape[0] += 1;
                whole.bytes.extend(list.bytes);
            }
            Some(whole) => {
                let (a, b) = (whole.shape[1], list.shape[0]);
                return Err(malformed(format!(
                    "column {name} has lists of {a} and of {b} values; an array needs equal ones"
                )));
            }
        }
    }
    whole.ok_or_else(|| malformed(format!("column {name} of lists is empty")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array with that header, and as many bytes behind it.
    fn array(header: &str, bytes: usize) -> Vec<u8> {
        let len = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &len, header.as_bytes(), &vec![0; bytes]].concat()
    }

    fn header(kind: &str, order: &str, shape: &str) -> String {
        format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': ({shape}), }}\n")
    }

    #[test]
    fn headers_of_numpy_are_understood() {
        let read = |header: String, bytes| Array::decode(&array(&header, bytes));
        assert_eq!(read(header("<f8", "False", "3,"), 24).unwrap().shape, [3]);
        assert_eq!(read(header("<f8", "True", "3,"), 24).unwrap().shape, [3]);
        assert_eq!(
            read(header("<f4", "False", "2, 3"), 24).unwrap().shape,
            [2, 3]
        );
        assert_eq!(read(header("<U2", "False", "3,"), 24).unwrap().kind, "U2");
        // Version 2 has four bytes of length.
        let text = header("<i8", "False", "1,");
        let len = (text.len() as u32).to_le_bytes();
        let whole = [
            MAGIC,
            &[2, 0],
            &len,
            text.as_bytes(),
            &[7, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let column = Array::decode(&whole).unwrap().into_column("x").unwrap();
        assert_eq!(column.i64().unwrap().get(0), Some(7));
    }

    #[test]
    fn what_is_written_starts_at_a_multiple_of_64() {
        for shape in [vec![1], vec![0], vec![2, 1_000_000]] {
            let empty = Array {
                kind: "f8".into(),
                shape,
                bytes: Vec::new(),
            };
            let whole = empty.encode();
            assert_eq!(whole.len() % 64, 0);
            assert_eq!(whole.last(), Some(&b'\n'));
            let read = Header::read(&whole[10..]).unwrap();
            assert_eq!((read.kind, read.shape), (empty.kind, empty.shape));
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        let huge = usize::MAX.to_string();
        for header in [
            header("<f8", "False", &format!("{huge},")),
            header("<f8", "False", &format!("{huge}, {huge}")),
            header("<f8", "False", "2147483648, 2147483648, 16"),
            header("<f8", "False", "99999999999999999999999,"),
            header("<f8", "False", "-3,"),
            header("<f8", "True", "3, 1, 1"),
            header("<f8", "Perhaps", "3,"),
            header(">f8", "False", "2,"),
            header("<f3", "False", "8,"),
            header("<S0", "False", "3,"),
            header("|O", "False", "3,"),
            header("<U0", "False", "3,"),
            header("<U4294967295", "False", "3,"),
            header("<U18446744073709551615", "False", "3,"),
            header("<f8", "False", "4,"),
            "{}".into(),
            "no dictionary".into(),
            String::new(),
        ] {
            let read = Array::decode(&array(&header, 24));
            assert!(read.is_err(), "{header}: {read:?}");
        }
        // A header that claims to be longer than the file.
        let mut long = array(&header("<f8", "False", "3,"), 24);
        long[8..10].copy_from_slice(&[0xff, 0xff]);
        assert!(Array::decode(&long).is_err());
        let surrogate = Array {
            kind: "U1".into(),
            shape: vec![1],
            bytes: 0xd800u32.to_le_bytes().into(),
        };
        assert!(surrogate.into_column("x").is_err());
        let value = Array {
            kind: "f8".into(),
            shape: vec![],
            bytes: vec![0; 8],
        };
        assert!(value.into_column("x").is_err());
    }
}
