//! A folder of PNG files.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::picture::{Origin, Picture};
use super::search::entries;
use super::source::{BEST_RATIO, file_error, regular};
use super::stack::Stack;
use super::{Dataset, Form};
use crate::cell;
use crate::error::{Error, Interrupted, Place, Result};

/// The PNG files of a folder and of its subfolders, in the order of their paths, on 256 levels from −1 to 1.
///
/// The class of a picture is the name of its subfolder. A picture that lies in the folder itself tells its
/// class before the first `_` of its name, as in `airplane_00001.png`, or else behind the last one, as in
/// `00001_airplane.png`. With `form.classes`, that is the first of the two that is a class. Without, the part
/// behind is taken only if the part before is a number and it is not; the classes are then sorted, as
/// numbers if all are, and counted from 0. If no picture tells a class, there are no labels.
///
/// # Shapes
/// `[n, channels, height, width]`, upright; 1 channel for grey and 3 for colour.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the file and the byte, when
/// a picture is broken, is not like the first one or does not fit `form`, or has no class while others do;
/// [`Error::Missing`] when there are no PNG files.
///
/// # Numerics
/// Byte `b` becomes the `f32` nearest to `b/127.5 − 1`. Palettes are looked up, of 16 bits the upper 8 stay,
/// transparency is left out. A grey picture serves as one in colour when those are needed, and one in colour
/// as grey if its channels are equal.
pub fn folder(path: impl AsRef<Path>, form: &Form) -> Result<Dataset> {
    read(path.as_ref(), form)
}

fn read(folder: &Path, form: &Form) -> Result<Dataset> {
    fs::read_dir(folder).map_err(|cause| file_error(folder, cause))?;
    let files = files(folder);
    let Some(first) = files.first() else {
        return Err(Error::Missing {
            what: format!("{} holds no PNG files", folder.display()),
            next: "name the folder that they lie in, or the one with a subfolder for each class",
        });
    };
    let (labels, classes) = labels(&files, form)?;
    let mut stack = room(first, &files, form)?;
    for (done, file) in files.iter().enumerate() {
        if cell::interrupted() {
            let (done, planned) = (done as u64, files.len() as u64);
            return Err(Error::Interrupted(Interrupted::new(
                "reading pictures",
                done,
                planned,
            )));
        }
        let picture = open(file, Some(stack.shape()))?;
        stack.push_pixels(&picture.bytes);
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut data = stack.finish(&name, labels)?;
    data.classes = classes;
    Ok(data)
}

/// A picture, and the names that may be its class.
struct Entry {
    path: PathBuf,
    names: Vec<String>,
}

fn files(folder: &Path) -> Vec<Entry> {
    let png = |path: &PathBuf| {
        let end = path.extension().unwrap_or_default();
        end.eq_ignore_ascii_case("png") && path.is_file()
    };
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let inside = entries(&path).into_iter().filter(png);
            found.extend(inside.map(|path| Entry {
                path,
                names: vec![name.clone().into_owned()],
            }));
        } else if png(&path) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let before = stem.split_once('_').map(|(before, _)| before.to_owned());
            let behind = stem.rsplit_once('_').map(|(_, behind)| behind.to_owned());
            let names = before.into_iter().chain(behind).collect();
            found.push(Entry { path, names });
        }
    }
    found
}

/// The label of each file, and the names of the classes.
fn labels(files: &[Entry], form: &Form) -> Result<(Option<Vec<u8>>, Vec<String>)> {
    let classless = |entry: &Entry, need: String| Error::Format {
        path: entry.path.clone(),
        at: Place::File,
        what: "the class in the picture's name",
        got: if entry.names.is_empty() {
            "none".into()
        } else {
            entry.names.join(" or ")
        },
        need,
    };
    if !form.classes.is_empty() {
        let label = |entry: &Entry| {
            let class = |name: &String| form.classes.iter().position(|class| same(class, name));
            entry
                .names
                .iter()
                .find_map(class)
                .and_then(|label| u8::try_from(label).ok())
                .ok_or_else(|| classless(entry, format!("one of {}", form.classes.join(", "))))
        };
        let labels = files.iter().map(label).collect::<Result<_>>()?;
        return Ok((Some(labels), form.classes.clone()));
    }
    if files.iter().all(|entry| entry.names.is_empty()) {
        return Ok((None, Vec::new()));
    }
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let mut chosen = Vec::new();
    for entry in files {
        chosen.push(match entry.names.as_slice() {
            [before, behind] if is_number(before) && !is_number(behind) => behind,
            [name, ..] => name,
            [] => return Err(classless(entry, "there, as in the other names".into())),
        });
    }
    let mut classes = chosen.clone();
    classes.sort();
    if classes.iter().all(|name| is_number(name)) {
        // Shorter numbers first, then by their digits.
        classes.sort_by_key(|name| {
            (
                name.trim_start_matches('0').len(),
                name.trim_start_matches('0'),
            )
        });
    }
    classes.dedup();
    let label = |(entry, name): (&Entry, &&String)| {
        let label = classes.iter().position(|class| class == name);
        let label = label.and_then(|label| u8::try_from(label).ok());
        label.ok_or_else(|| classless(entry, "one of 256 at most".into()))
    };
    let labels = files
        .iter()
        .zip(&chosen)
        .map(label)
        .collect::<Result<_>>()?;
    Ok((Some(labels), classes.into_iter().cloned().collect()))
}

/// Whether a name in a path means a class: capitals do not count, nor does what a file's name cannot hold.
/// The export that comes with improved diffusion shortens two names of CIFAR-10.
fn same(class: &str, name: &str) -> bool {
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    let name = plain(name);
    let short = match class {
        "airplane" => "plane",
        "automobile" => "car",
        _ => return plain(class) == name,
    };
    name == short || plain(class) == name
}

/// Room for all pictures, which are like the first; refused when the files are too small for them.
fn room(first: &Entry, files: &[Entry], form: &Form) -> Result<Stack> {
    let shape = open(first, form.shape)?.shape;
    let mut stored = 0u64;
    for entry in files {
        let data = fs::metadata(&entry.path).map_err(|cause| file_error(&entry.path, cause))?;
        stored = stored.saturating_add(data.len());
    }
    let size = shape.iter().product::<usize>() as u64;
    let all = size.saturating_mul(files.len() as u64);
    if all > stored.saturating_mul(BEST_RATIO) {
        return Err(Error::Format {
            path: first.path.clone(),
            at: Place::Byte(16),
            what: "the size of a picture",
            got: format!("{size} bytes, {all} in all {} files", files.len()),
            need: format!("{BEST_RATIO} times the {stored} bytes of the files, at most"),
        });
    }
    Stack::new(&first.path, files.len(), shape)
}

fn open(entry: &Entry, need: Option<[usize; 3]>) -> Result<Picture> {
    let origin = Origin {
        path: &entry.path,
        row: None,
    };
    Picture::read(BufReader::new(regular(&entry.path)?), origin, need)
}
