//! The state of training: all that it takes to go on, bit for bit, in a file of safetensors with a check sum.

use data_encoding::HEXLOWER;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{StopReason, Task, Trainer, Validated};
use crate::error::{Error, Place, Result};
use crate::file;
use crate::optim::Moments;

/// Numbers of one type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    F64(Vec<f64>),
    F32(Vec<f32>),
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
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Hands out the bytes, a part at a time.
    fn bytes(&self, each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::F64(values) => parts(values, |v| v.to_le_bytes(), each),
            Self::F32(values) => parts(values, |v| v.to_le_bytes(), each),
        }
    }

    fn read(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        Some(match dtype {
            Dtype::F64 => Self::F64(groups(bytes).map(f64::from_le_bytes).collect()),
            Dtype::F32 => Self::F32(groups(bytes).map(f32::from_le_bytes).collect()),
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

/// What a state lacks that should have it.
#[derive(Debug)]
pub(super) struct Lacks(String);

impl Lacks {
    pub(super) fn of(self, run: &Path, step: usize) -> Error {
        Error::Format {
            path: run.join(format!("checkpoint-{step}.safetensors")),
            at: Place::File,
            what: "the state of training",
            got: format!("one without {}", self.0),
            need: "one of this network and of this version; use another folder".into(),
        }
    }
}

impl<T: Task> Trainer<T> {
    /// All that the next steps depend on, and what was done.
    pub(super) fn state(&self) -> Result<State> {
        let mut state = State::default();
        let mut add = |name: String, values: Values| {
            state.values.insert(name, values);
        };
        for (i, slot) in self.optimizer.moments()?.into_iter().enumerate() {
            let lists = [
                ("parameter", slot.value),
                ("mean", slot.mean),
                ("square", slot.square),
                ("average", slot.average),
            ];
            for (name, values) in lists {
                add(format!("{name}.{i}"), Values::F32(values));
            }
        }
        for (i, values) in self.best.iter().enumerate() {
            add(format!("best.{i}"), Values::F32(values.clone()));
        }
        let fit = &self.fit;
        let mut validation = Vec::new();
        fit.validation
            .iter()
            .for_each(|one| one.encode(&mut validation));
        for (name, values) in [
            ("loss", fit.loss.clone()),
            ("grad_norm", fit.grad_norm.clone()),
            ("learning_rate", fit.learning_rate.clone()),
            ("elapsed", fit.elapsed.clone()),
            ("seconds", vec![fit.seconds]),
            ("validation", validation),
            ("memory", self.task.memory()),
        ] {
            add(name.to_owned(), Values::F64(values));
        }
        let end = StopReason::NAMES
            .iter()
            .find(|(end, _)| Some(*end) == fit.end);
        let end = end.map_or("", |(_, name)| name);
        state.words.insert("end".into(), end.into());
        Ok(state)
    }

    /// Goes on from a state. Nothing is changed unless all of it fits.
    pub(super) fn restore(&mut self, state: &State) -> Result<(), Lacks> {
        let lacks = |name: &str| Lacks(name.to_owned());
        let floats = |name: &str| match state.values.get(name) {
            Some(Values::F64(values)) => Ok(values.as_slice()),
            _ => Err(lacks(name)),
        };
        let numbers = |name: String, count: usize| match state.values.get(&name) {
            Some(Values::F32(values)) if values.len() == count => Ok(values.clone()),
            _ => Err(Lacks(name)),
        };
        let mut moments = Vec::with_capacity(self.vars.len());
        let mut best = Vec::new();
        for (i, var) in self.vars.iter().enumerate() {
            let count = var.elem_count();
            let averaged = self.config.ema_decay.map_or(0, |_| count);
            moments.push(Moments {
                value: numbers(format!("parameter.{i}"), count)?,
                mean: numbers(format!("mean.{i}"), count)?,
                square: numbers(format!("square.{i}"), count)?,
                average: numbers(format!("average.{i}"), averaged)?,
            });
            if state.values.contains_key("best.0") {
                best.push(numbers(format!("best.{i}"), count)?);
            }
        }
        let end = match state.words.get("end").map(String::as_str) {
            None => return Err(lacks("end")),
            Some("") => None,
            Some(word) => {
                let known = StopReason::NAMES.iter().find(|(_, name)| *name == word);
                Some(known.ok_or_else(|| lacks("end"))?.0)
            }
        };
        let loss = floats("loss")?.to_vec();
        let list = |name: &str| match floats(name)? {
            values if values.len() == loss.len() => Ok(values.to_vec()),
            _ => Err(lacks(name)),
        };
        let (grad_norm, elapsed) = (list("grad_norm")?, list("elapsed")?);
        let learning_rate = list("learning_rate")?;
        let seconds = *floats("seconds")?.first().ok_or_else(|| lacks("seconds"))?;
        let mut from = floats("validation")?.iter().copied().peekable();
        let mut validation = Vec::new();
        while from.peek().is_some() {
            let one = Validated::decode(&mut from).ok_or_else(|| lacks("validation"))?;
            validation.push(one);
        }
        let before = self.task.memory();
        if !self.task.remember(floats("memory")?) {
            return Err(lacks("what the task has learned beside the parameters"));
        }
        if self.optimizer.restore(loss.len(), moments).is_err() {
            self.task.remember(&before);
            return Err(lacks("parameters that the network takes"));
        }
        self.best = best;
        self.before = seconds;
        let fit = &mut self.fit;
        (fit.loss, fit.grad_norm, fit.learning_rate) = (loss, grad_norm, learning_rate);
        (fit.elapsed, fit.seconds) = (elapsed, seconds);
        (fit.end, fit.validation) = (end, validation);
        Ok(())
    }
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
                ("c".to_owned(), Values::F32(vec![])),
                (
                    "d".to_owned(),
                    Values::F32((0..20_000).map(|v| v as f32).collect()),
                ),
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
