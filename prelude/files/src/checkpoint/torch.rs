//! State dicts as `torch.save` writes them.
//!
//! Since PyTorch 1.6 a file is a zip archive: a pickle that names storages, and each storage as a file. Before
//! that, and with `_use_new_zipfile_serialization=False` to this day, it is five pickles in a row, the fourth
//! with the tensors and the fifth with the order of the storages, which follow.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::archive::{self, Stored};
use super::pickle::{Dialect, Id, Pickle, Value};
use super::values::{Storage, View};
use super::{Content, Format, listed, no_state_dict};
use crate::error::Result;
use crate::random_access::{LONGEST, RandomAccessFile, shown};

/// The first byte of a pickle, and so of the old format.
pub(super) const PICKLE: u8 = 0x80;

/// The number in the first of the five pickles.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// How deep state dicts are looked for, and how many of them are told apart.
const DEPTH: usize = 4;
const MOST: usize = 1000;

/// Names of tensors with their views, and of all state dicts of a pickle.
type Chosen = (Vec<(String, View)>, Vec<String>);

/// Reads an archive's directory and its pickle.
pub(super) fn zipped(file: &RandomAccessFile, name: Option<&str>) -> Result<Content> {
    let files = archive::directory(file)?;
    let mut pickles = files.iter().filter(|(name, _)| {
        let folder = name.strip_suffix("/data.pkl");
        folder.is_some_and(|folder| !folder.contains('/'))
    });
    let (Some((place, &pickle)), None) = (pickles.next(), pickles.next()) else {
        let got = format!("not there, or there twice, among {} files", files.len());
        let need = "there once, as data.pkl in a folder; `torch.save` makes such archives";
        return Err(file.error(0, "the pickle of the archive", got, need));
    };
    let folder = place.trim_end_matches("data.pkl");
    if let Some(order) = files.get(&format!("{folder}byteorder")) {
        let bytes = content(file, order)?;
        if bytes != b"little" {
            let got = shown(&String::from_utf8_lossy(&bytes));
            return Err(file.error(order.start(file)?, "the order of bytes", got, "\"little\""));
        }
    }
    let bytes = content(file, &pickle)?;
    let start = pickle.start(file)?;
    let pickle = Pickle::read(file, &bytes, start, Dialect::StateDict)?;
    if pickle.length() != bytes.len() {
        let got = format!("followed by {} bytes", bytes.len() - pickle.length());
        return Err(pickle.error(pickle.length(), "the pickle", got, "at its end here"));
    }
    let (mut tensors, state_dicts) = chosen(file, &pickle, name)?;
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
    Ok(Content {
        format: Format::Pickle,
        tensors,
        storages,
        metadata: BTreeMap::new(),
        state_dicts,
    })
}

/// All bytes of a file in the archive that is not long.
fn content(file: &RandomAccessFile, stored: &Stored) -> Result<Vec<u8>> {
    let start = stored.start(file)?;
    if stored.bytes > LONGEST {
        let got = format!("{} bytes long", stored.bytes);
        return Err(file.error(start, "the pickle", got, format!("{LONGEST} at most")));
    }
    stored.content(file)
}

/// Reads pickles one after the other, and where the storages behind them are.
pub(super) fn old(file: &RandomAccessFile, name: Option<&str>) -> Result<Content> {
    let bytes = file.read(0, file.length.min(LONGEST), "the file")?;
    let mut at = 0;
    let mut next = || -> Result<(Pickle, u64)> {
        let pickle = Pickle::read(file, &bytes[at..], at as u64, Dialect::StateDict)?;
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
    let (tensors, state_dicts) = chosen(file, &pickle, name)?;
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
        Some(storages) => Ok(Content {
            format: Format::Pickle,
            tensors,
            storages,
            metadata: BTreeMap::new(),
            state_dicts,
        }),
        None => Err(keys.error(
            0,
            "the order of storages",
            "without all of them",
            "complete",
        )),
    }
}

/// A dict of tensors, the keys that lead to it with dots between, and how many they are: a key may have dots itself.
struct Found<'p> {
    path: String,
    depth: usize,
    dict: &'p [(Id, Id)],
}

/// Names and views of the tensors in the dict of that name, or in the one that is meant where none is named.
fn chosen(file: &RandomAccessFile, pickle: &Pickle, name: Option<&str>) -> Result<Chosen> {
    let found = state_dicts(pickle);
    let dict = match &found[..] {
        [] => {
            let (got, need) = match pickle.value(pickle.root) {
                Value::Dict(_) => (
                    "without a tensor",
                    "a state dict; save `model.state_dict()`",
                ),
                other => (
                    other.kind(),
                    "a state dict, which has tensors by name; save `model.state_dict()`",
                ),
            };
            return Err(pickle.error(0, "the object in the file", got, need));
        }
        [only] if only.path.is_empty() => match name {
            None => return Ok((views(pickle, only.dict)?, Vec::new())),
            Some(name) => return Err(no_state_dict(&file.path, name, &[])),
        },
        several => meant(file, pickle, several, name)?,
    };
    let mut names: Vec<String> = found.iter().map(|one| one.path.clone()).collect();
    let views = views(pickle, dict)?;
    names.sort();
    Ok((views, names))
}

/// The one of several dicts that is named, or else the only one of its depth, or the one with a usual name.
fn meant<'p>(
    file: &RandomAccessFile,
    pickle: &Pickle,
    found: &[Found<'p>],
    name: Option<&str>,
) -> Result<&'p [(Id, Id)]> {
    let called = |name: &str| found.iter().find(|one| one.path == name);
    let names = || found.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
    if let Some(name) = name {
        let dict = called(name).map(|one| one.dict);
        return dict.ok_or_else(|| no_state_dict(&file.path, name, &names()));
    }
    let highest = found.iter().filter(|one| one.depth == found[0].depth);
    let highest: Vec<_> = highest.collect();
    let chosen = match &highest[..] {
        [only] => Some(*only),
        _ => called("state_dict").or_else(|| called("model")),
    };
    chosen.map(|one| one.dict).ok_or_else(|| {
        let got = format!("several state dicts: {}", listed(&names()));
        let need = format!(
            "one, or one of them named \"state_dict\" or \"model\"; choose one: `Checkpoint::open_state_dict(path, {:?})`",
            found[0].path
        );
        pickle.error(0, "the object in the file", got, need)
    })
}

/// Names and views of the tensors in a dict.
fn views(pickle: &Pickle, dict: &[(Id, Id)]) -> Result<Vec<(String, View)>> {
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

/// The dicts with tensors, the higher ones first, by the keys that lead to them; the root's path is empty. Within one
/// of them none is looked for.
fn state_dicts<'p>(pickle: &'p Pickle<'_>) -> Vec<Found<'p>> {
    // A dict may be there under a million names, and is looked at once. Paths are links until they are wanted.
    let mut seen = HashSet::from([pickle.root]);
    let mut links: Vec<(usize, &str)> = vec![(0, "")];
    let mut level = vec![(0, pickle.root)];
    let mut found = Vec::new();
    for depth in 0..DEPTH {
        let mut next = Vec::new();
        for (link, id) in level {
            let Value::Dict(pairs) = pickle.value(id) else {
                continue;
            };
            if holds_tensors(pickle, pairs) {
                found.push(Found {
                    path: path(&links, link),
                    depth,
                    dict: pairs,
                });
                if found.len() == MOST {
                    return found;
                }
                continue;
            }
            for &(key, value) in pairs {
                let (&Value::Text(key), Value::Dict(_)) = (pickle.value(key), pickle.value(value))
                else {
                    continue;
                };
                if seen.insert(value) {
                    links.push((link, key));
                    next.push((links.len() - 1, value));
                }
            }
        }
        level = next;
    }
    found
}

/// The keys that lead to a dict.
fn path(links: &[(usize, &str)], mut link: usize) -> String {
    let mut keys = Vec::new();
    while link > 0 {
        let (before, key) = links[link];
        keys.push(key);
        link = before;
    }
    keys.reverse();
    keys.join(".")
}
