//! The state of training in a file: safetensors with a check sum.

use data_encoding::HEXLOWER;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::{Error, Place, Result};
use crate::file;

/// Numbers of one type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    F64(Vec<f64>),
    F32(Vec<f32>),
    U32(Vec<u32>),
}

/// Named lists of numbers, and words on them. Every bit comes back.
#[derive(Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) values: BTreeMap<String, Values>,
    pub(super) words: BTreeMap<String, String>,
}

/// What the sum is put in place of.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands before the sum.
const KEY: &str = "\"sha256\":\"";
/// What an undamaged header is no longer than.
const LONGEST: u64 = 1 << 26;

impl Values {
    fn dtype(&self) -> Dtype {
        match self {
            Self::F64(_) => Dtype::F64,
            Self::F32(_) => Dtype::F32,
            Self::U32(_) => Dtype::U32,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::U32(values) => values.len(),
        }
    }

    /// Hands out the bytes, a part at a time.
    fn bytes(&self, each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::F64(values) => parts(values, |v| v.to_le_bytes(), each),
            Self::F32(values) => parts(values, |v| v.to_le_bytes(), each),
            Self::U32(values) => parts(values, |v| v.to_le_bytes(), each),
        }
    }

    fn read(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        Some(match dtype {
            Dtype::F64 => Self::F64(groups(bytes).map(f64::from_le_bytes).collect()),
            Dtype::F32 => Self::F32(groups(bytes).map(f32::from_le_bytes).collect()),
            Dtype::U32 => Self::U32(groups(bytes).map(u32::from_le_bytes).collect()),
            _ => return None,
        })
    }
}

fn parts<T: Copy, const N: usize>(
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut part = Vec::with_capacity(N << 13);
    for some in values.chunks(1 << 13) {
        part.clear();
        part.extend(some.iter().flat_map(|&value| bytes(value)));
        each(&part)?;
    }
    Ok(())
}

fn groups<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks().0.iter().copied()
}

impl State {
    /// Writes the file whole or not at all.
    ///
    /// The SHA-256 is that of the file with zeros in place of the sum itself.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        // The format wants values of eight bytes first, so that each lies at a multiple of its size.
        let mut sorted: Vec<_> = self.values.iter().collect();
        sorted.sort_by_key(|(_, values)| values.dtype() != Dtype::F64);
        let mut words = self.words.clone();
        words.insert("sha256".into(), BLANK.into());
        let mut header = serde_json::Map::from_iter([("__metadata__".into(), json!(words))]);
        let mut end = 0;
        for (name, values) in &sorted {
            let from = end;
            end += values.len() * values.dtype().bitsize() / 8;
            let info = json!({
                "dtype": values.dtype().to_string(),
                "shape": [values.len()],
                "data_offsets": [from, end],
            });
            header.insert((*name).clone(), info);
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let length = (header.len() as u64).to_le_bytes();

        let mut hash = Sha256::new_with_prefix(length);
        hash.update(&header);
        let written = (|| {
            for (_, values) in &sorted {
                values.bytes(|bytes| {
                    hash.update(bytes);
                    Ok(())
                })?;
            }
            let sum = HEXLOWER.encode(&hash.finalize());
            let place = sum_in(&header).ok_or_else(|| io::Error::other("no place for the sum"))?;
            if let Some(place) = header.get_mut(place) {
                place.copy_from_slice(sum.as_bytes());
            }
            file::replace(path, |file| {
                let mut file = BufWriter::with_capacity(1 << 16, file);
                file.write_all(&length)?;
                file.write_all(&header)?;
                for (_, values) in &sorted {
                    values.bytes(|bytes| file.write_all(bytes))?;
                }
                file.flush()
            })
        })();
        written.map_err(|cause| Error::File {
            path: path.to_owned(),
            cause: cause.into(),
        })
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses; [`Error::Format`] when anything in the file is not as it was written.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let read = |file: File| -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            { file }.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let mut bytes = file::regular(path)
            .and_then(read)
            .map_err(|cause| Error::File {
                path: path.to_owned(),
                cause: cause.into(),
            })?;
        let damaged = |got: &str| Error::Format {
            path: path.to_owned(),
            at: Place::File,
            what: "the state of training",
            got: got.to_owned(),
            need: "as it was written, which its check sum tells".to_owned(),
        };
        let sum = take_sum(&mut bytes).ok_or_else(|| damaged("cut off, or without a check sum"))?;
        if self::sum(&bytes) != sum {
            return Err(damaged("damaged"));
        }
        // The sum is right, so that this is ours, but anybody can write such a sum.
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error.to_string()))?;
        let mut state = Self::default();
        for (name, view) in file.iter() {
            let values = Values::read(view.dtype(), view.data())
                .ok_or_else(|| damaged("one with numbers of another type"))?;
            state.values.insert(name.to_owned(), values);
        }
        let words = header.metadata().iter().flatten();
        let words = words.filter(|(key, _)| *key != "sha256");
        state.words = words.map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(state)
    }
}

/// The SHA-256 of bytes.
pub(super) fn sum(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Where the sum is in a header.
fn sum_in(header: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = header
        .windows(KEY.len())
        .position(|window| window == KEY.as_bytes())?
        + KEY.len();
    let end = start + BLANK.len();
    (end <= header.len()).then_some(start..end)
}

/// The sum that a file has, which is then blank there.
fn take_sum(bytes: &mut [u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk_mut::<8>()?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST {
        return None;
    }
    let header = rest.get_mut(..length as usize)?;
    let place = sum_in(header)?;
    let place = header.get_mut(place)?;
    let sum = String::from_utf8(place.to_vec()).ok()?;
    place.copy_from_slice(BLANK.as_bytes());
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let awkward = [0.1, 1.0 / 3.0, 5e-324, f64::MAX, -0.0, f64::NAN];
        State {
            values: BTreeMap::from([
                (
                    "a".to_owned(),
                    Values::F32(vec![0.1, f32::MIN_POSITIVE, -0.0]),
                ),
                ("b".to_owned(), Values::F64(awkward[..5].to_vec())),
                ("c".to_owned(), Values::U32(vec![])),
                ("d".to_owned(), Values::U32((0..20_000).collect())),
            ]),
            words: BTreeMap::from([("rng".to_owned(), "00 1 2, \"quoted\" α".to_owned())]),
        }
    }

    #[test]
    fn every_bit_comes_back_and_every_altered_one_is_seen() {
        let path = std::env::temp_dir().join(format!("itd-state-{}", std::process::id()));
        state().write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap(), state());
        // Others can read it.
        let file = names(&path);
        assert_eq!(file, ["a", "b", "c", "d"]);
        let whole = std::fs::read(&path).unwrap();
        let places = (0..700).chain((700..whole.len()).step_by(997));
        for at in places {
            let mut altered = whole.clone();
            altered[at] ^= 4;
            std::fs::write(&path, altered).unwrap();
            assert!(State::read(&path).is_err(), "byte {at}");
        }
        for length in [0, 7, 8, 100, 1000, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = State::read(&path).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{length}: {error}");
        }
        std::fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert!(State::read(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(State::read(&path), Err(Error::File { .. })));
        let nowhere = Path::new("/proc/no/such/folder/state");
        assert!(matches!(state().write(nowhere), Err(Error::File { .. })));
    }

    fn names(path: &Path) -> Vec<String> {
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<String> = file.names().into_iter().map(|n| n.to_string()).collect();
        names.sort();
        names
    }
}
