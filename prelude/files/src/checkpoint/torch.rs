//! State dicts as `torch.save` writes them.
//!
//! Since PyTorch 1.6 a file is a zip archive: a pickle that names storages, and each storage as a file. Before
//! that, and with `_use_new_zipfile_serialization=False` to this day, it is five pickles in a row, the fourth
//! with the tensors and the fifth with the order of the storages, which follow.

use std::collections::{BTreeMap, HashMap};

use super::archive::{self, Stored};
use super::opened::{LONGEST, Opened, shown};
use super::pickle::{Id, Pickle, Value};
use super::values::{Storage, View};
use crate::error::Result;

/// The first byte of a pickle, and so of the old format.
pub(super) const PICKLE: u8 = 0x80;

/// The number in the first of the five pickles.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// Names of tensors, and the storages in which their views are.
pub(super) type Found = (Vec<(String, View)>, Vec<Storage>);

/// Reads an archive's directory and its pickle.
pub(super) fn zipped(file: &Opened) -> Result<Found> {
    let files = archive::directory(file)?;
    let mut pickles = files.iter().filter(|(name, _)| {
        let folder = name.strip_suffix("/data.pkl");
        folder.is_some_and(|folder| !folder.contains('/'))
    });
    let (Some((name, &pickle)), None) = (pickles.next(), pickles.next()) else {
        let got = format!("not there, or there twice, among {} files", files.len());
        let need = "there once, as data.pkl in a folder; `torch.save` makes such archives";
        return Err(file.error(0, "the pickle of the archive", got, need));
    };
    let folder = name.trim_end_matches("data.pkl");
    if let Some(order) = files.get(&format!("{folder}byteorder")) {
        let bytes = content(file, order)?;
        if bytes != b"little" {
            let got = shown(&String::from_utf8_lossy(&bytes));
            return Err(file.error(order.start(file)?, "the order of bytes", got, "\"little\""));
        }
    }
    let bytes = content(file, &pickle)?;
    let start = pickle.start(file)?;
    let pickle = Pickle::read(file, &bytes, start)?;
    if pickle.length() != bytes.len() {
        let got = format!("followed by {} bytes", bytes.len() - pickle.length());
        return Err(pickle.error(pickle.length(), "the pickle", got, "at its end here"));
    }
    let mut tensors = state_dict(&pickle)?;
    // Only storages of tensors that are wanted are looked for.
    let (mut storages, mut places) = (Vec::new(), HashMap::new());
    for (_, view) in &mut tensors {
        let named = pickle.storages[view.storage];
        view.storage = match places.get(named.key) {
            Some(&place) => place,
            None => {
                let what = "a storage of the archive";
                let name = format!("{folder}data/{}", named.key);
                let Some(stored) = files.get(&name) else {
                    let need = "there; the file is damaged, get it anew";
                    return Err(file.error(
                        start,
                        what,
                        format!("not there: {}", shown(&name)),
                        need,
                    ));
                };
                if stored.bytes != named.bytes() {
                    let got = format!("{} bytes long: {}", stored.bytes, shown(&name));
                    let need = format!(
                        "{}, for {} values of {}",
                        named.bytes(),
                        named.count,
                        named.dtype
                    );
                    return Err(file.error(stored.entry, what, got, need));
                }
                let sum = Some(stored.sum).filter(|&sum| sum != 0);
                storages.push(Storage::new(stored.start(file)?, stored.bytes, sum));
                places.insert(named.key, storages.len() - 1);
                storages.len() - 1
            }
        };
    }
    Ok((tensors, storages))
}

/// All bytes of a file in the archive that is not long.
fn content(file: &Opened, stored: &Stored) -> Result<Vec<u8>> {
    let start = stored.start(file)?;
    if stored.bytes > LONGEST {
        let got = format!("{} bytes long", stored.bytes);
        return Err(file.error(start, "the pickle", got, format!("{LONGEST} at most")));
    }
    let bytes = file.read(start, stored.bytes, "the pickle")?;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    match stored.sum {
        0 => Ok(bytes),
        sum if sum == crc.sum() => Ok(bytes),
        sum => Err(file.error(
            start,
            "the checksum of a file in the archive",
            format!("{:08x}", crc.sum()),
            format!("{sum:08x}, as the archive says; the file is damaged, get it anew"),
        )),
    }
}

/// Reads pickles one after the other, and where the storages behind them are.
pub(super) fn old(file: &Opened) -> Result<Found> {
    let bytes = file.read(0, file.length.min(LONGEST), "the file")?;
    let mut at = 0;
    let mut next = || -> Result<(Pickle, u64)> {
        let pickle = Pickle::read(file, &bytes[at..], at as u64)?;
        at += pickle.length();
        Ok((pickle, at as u64))
    };
    let (magic, _) = next()?;
    if magic.value(magic.root) != &Value::Int(MAGIC) {
        let got = magic.value(magic.root).kind();
        let need = format!("the number {MAGIC:#x}, as `torch.save` begins its files");
        return Err(magic.error(0, "the first pickle of the file", got, need));
    }
    let (version, _) = next()?;
    match version.value(version.root) {
        Value::Int(1001) => {}
        Value::Int(other) => {
            return Err(version.error(0, "the version of the file", other.to_string(), "1001"));
        }
        other => return Err(version.error(0, "the version of the file", other.kind(), "1001")),
    }
    let (system, _) = next()?;
    let little = match system.value(system.root) {
        Value::Dict(pairs) => pairs.iter().any(|&(key, value)| {
            let pair = (system.value(key), system.value(value));
            pair == (&Value::Text("little_endian"), &Value::Bool(true))
        }),
        _ => false,
    };
    if !little {
        let need = "a dict with \"little_endian\": True";
        return Err(system.error(
            0,
            "what the file says of its machine",
            "something else",
            need,
        ));
    }
    let (pickle, _) = next()?;
    let tensors = state_dict(&pickle)?;
    let (keys, mut start) = next()?;
    let order = match keys.value(keys.root) {
        Value::List(order) => order,
        other => return Err(keys.error(0, "the order of storages", other.kind(), "a list")),
    };
    let index: HashMap<&str, usize> = pickle
        .storages
        .iter()
        .enumerate()
        .map(|(i, named)| (named.key, i))
        .collect();
    let mut places: Vec<Option<Storage>> = pickle.storages.iter().map(|_| None).collect();
    for &key in order {
        let index = match keys.value(key) {
            Value::Text(key) => index.get(key).copied(),
            _ => None,
        };
        let Some(index) = index.filter(|&index| places[index].is_none()) else {
            let got = "of one that no tensor has, or that was there already";
            return Err(keys.error(
                0,
                "a key in the order of storages",
                got,
                "of one not yet named",
            ));
        };
        let named = &pickle.storages[index];
        let mut count = [0; 8];
        file.check(start, 8, "the size of a storage")?;
        file.fill(start, &mut count)?;
        let count = u64::from_le_bytes(count);
        if count != named.count {
            let got = format!("{count} values");
            let need = format!("{}, as its tensors say", named.count);
            return Err(file.error(start, "the size of a storage", got, need));
        }
        start += 8;
        file.check(start, named.bytes(), "a storage")?;
        places[index] = Some(Storage::new(start, named.bytes(), None));
        start += named.bytes();
    }
    if start != file.length {
        let got = format!("followed by {} bytes", file.length - start);
        return Err(file.error(start, "the last storage", got, "at the end of the file"));
    }
    match places.into_iter().collect::<Option<Vec<_>>>() {
        Some(storages) => Ok((tensors, storages)),
        None => Err(keys.error(
            0,
            "the order of storages",
            "without all of them",
            "complete",
        )),
    }
}

/// Names and views of the tensors in a dict, or in the one dict in it that has any.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, View)>> {
    let Value::Dict(root) = pickle.value(pickle.root) else {
        let got = pickle.value(pickle.root).kind();
        let need = "a state dict, which has tensors by name; save `model.state_dict()`";
        return Err(pickle.error(0, "the object in the file", got, need));
    };
    let dict = match holds_tensors(pickle, root) {
        true => root,
        false => inner(pickle, root)?,
    };
    let mut tensors = BTreeMap::new();
    for &(key, value) in dict {
        let &Value::Tensor { arguments, at } = pickle.value(value) else {
            continue;
        };
        let at = at as usize;
        let &Value::Text(name) = pickle.value(key) else {
            return Err(pickle.error(
                at,
                "the name of a tensor",
                pickle.value(key).kind(),
                "a text",
            ));
        };
        if tensors.insert(name, pickle.view(arguments, at)?).is_some() {
            let got = format!("there twice: {}", shown(name));
            return Err(pickle.error(at, "the name of a tensor", got, "there once"));
        }
    }
    Ok(tensors
        .into_iter()
        .map(|(name, view)| (name.to_owned(), view))
        .collect())
}

fn holds_tensors(pickle: &Pickle, dict: &[(Id, Id)]) -> bool {
    dict.iter()
        .any(|&(_, value)| matches!(pickle.value(value), Value::Tensor { .. }))
}

/// The state dict among the things that a training script saved.
fn inner<'p>(pickle: &'p Pickle, root: &[(Id, Id)]) -> Result<&'p [(Id, Id)]> {
    // A dict may be there under a million names, and is looked at once.
    let mut seen = HashMap::new();
    let mut found: Vec<(&str, &[(Id, Id)])> = Vec::new();
    for &(key, value) in root {
        let (&Value::Text(key), Value::Dict(dict)) = (pickle.value(key), pickle.value(value))
        else {
            continue;
        };
        if *seen
            .entry(value)
            .or_insert_with(|| holds_tensors(pickle, dict))
        {
            found.push((key, dict));
        }
    }
    let usual = |name| found.iter().find(|(key, _)| *key == name);
    let chosen = match &found[..] {
        [only] => Some(only),
        _ => usual("state_dict").or_else(|| usual("model")),
    };
    if let Some(&(_, dict)) = chosen {
        return Ok(dict);
    }
    let names: Vec<String> = found.iter().take(5).map(|(key, _)| shown(key)).collect();
    let (got, need) = match names.len() {
        0 => (
            "without a tensor".to_owned(),
            "a state dict; save `model.state_dict()`",
        ),
        _ => (
            format!("several state dicts: {}", names.join(", ")),
            "one, or one of them named \"state_dict\" or \"model\"",
        ),
    };
    Err(pickle.error(0, "the object in the file", got, need))
}
