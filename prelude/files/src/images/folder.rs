//! A folder of pictures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use itd_cell::host;

use super::buffer::ImageBuffer;
use super::decode::{Need, Origin, Picture};
use super::reader::{BEST_RATIO, file_error};
use super::{ImageSpec, Images};
use crate::error::{Error, Interrupted, Place, Result};
use crate::file::whole;

/// The ends of the names of pictures.
const ENDS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The PNG and JPEG files of a folder and of its subfolders, in the order of their paths. Hidden ones, whose names begin
/// with a dot, are left out: some systems put notes of their own there.
///
/// The class of a picture is the name of its subfolder. A picture that lies in the folder itself tells its
/// class before the first `_` of its name, as in `airplane_00001.png`, or else behind the last one, as in
/// `00001_airplane.png`. With `spec.classes`, that is the first of the two that is a class. Without, the part
/// behind is taken only if the part before is a number and it is not; the classes are then sorted, as
/// numbers if all are, and counted from 0. If no picture tells a class, there are no labels.
///
/// # Shapes
/// `[n, channels, height, width]`, upright; 1 channel for grey and 3 for colour.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the file and the byte, when
/// a picture is broken, is not like the first one or does not fit `form`, or has no class while others do;
/// [`Error::Missing`] when there are no pictures.
///
/// # Numerics
/// Palettes are looked up, of 16 bits the upper 8 stay, transparency is left out, and a picture is turned as its Exif
/// data say. A grey picture serves as one in colour beside others or when those are needed, and one in colour as grey
/// if its channels are equal and grey is needed. JPEG is read where the feature `jpeg` is on.
pub fn read(path: impl AsRef<Path>, spec: &ImageSpec) -> Result<Images> {
    pictures(path.as_ref(), spec)
}

fn pictures(folder: &Path, spec: &ImageSpec) -> Result<Images> {
    fs::read_dir(folder).map_err(|cause| file_error(folder, cause))?;
    let files = files(folder);
    let Some(first) = files.first() else {
        return Err(Error::Missing {
            what: format!("{} holds no pictures (PNG, JPEG)", folder.display()),
            next: "name the folder that they lie in, or the one with a subfolder for each class",
        });
    };
    let (labels, classes) = labels(&files, spec)?;
    let mut buffer = room(first, &files, spec)?;
    let [_, height, width] = buffer.shape();
    let need = Need {
        size: Some([height, width]),
        channels: spec.shape.map(|shape| shape[0]),
    };
    for (done, file) in files.iter().enumerate() {
        if host::interrupted() {
            let (done, planned) = (done as u64, files.len() as u64);
            return Err(Error::Interrupted(Interrupted::new(
                "reading pictures",
                done,
                planned,
            )));
        }
        buffer.push_picture(&file.path, &open(file, need)?)?;
    }
    Ok(buffer.finish(folder, labels, classes))
}

/// A picture, and the names that may be its class.
struct Entry {
    path: PathBuf,
    names: Vec<String>,
}

fn files(folder: &Path) -> Vec<Entry> {
    let picture = |path: &PathBuf| {
        let end = path.extension().unwrap_or_default();
        ENDS.iter().any(|known| end.eq_ignore_ascii_case(known)) && path.is_file()
    };
    let mut found = Vec::new();
    for path in visible(folder) {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let inside = visible(&path).into_iter().filter(picture);
            found.extend(inside.map(|path| Entry {
                path,
                names: vec![name.clone().into_owned()],
            }));
        } else if picture(&path) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let before = stem.split_once('_').map(|(before, _)| before.to_owned());
            let behind = stem.rsplit_once('_').map(|(_, behind)| behind.to_owned());
            let names = before.into_iter().chain(behind).collect();
            found.push(Entry { path, names });
        }
    }
    found
}

/// What is in a folder, sorted, without what is hidden; nothing when there is no such folder.
fn visible(folder: &Path) -> Vec<PathBuf> {
    let hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') || name == "__MACOSX"
    };
    let mut paths = super::entries(folder);
    paths.retain(|path| !hidden(path));
    paths
}

/// The label of each file, and the names of the classes.
fn labels(files: &[Entry], spec: &ImageSpec) -> Result<(Option<Vec<u32>>, Vec<String>)> {
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
    if !spec.classes.is_empty() {
        let label = |entry: &Entry| {
            let class = |name: &String| spec.classes.iter().position(|class| same(class, name));
            entry
                .names
                .iter()
                .find_map(class)
                .and_then(|label| u32::try_from(label).ok())
                .ok_or_else(|| classless(entry, format!("one of {}", spec.classes.join(", "))))
        };
        let labels = files.iter().map(label).collect::<Result<_>>()?;
        return Ok((Some(labels), spec.classes.clone()));
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
    let numbers: BTreeMap<&String, u32> = classes.iter().copied().zip(0..).collect();
    let labels = chosen
        .iter()
        .filter_map(|name| numbers.get(name).copied())
        .collect();
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
fn room(first: &Entry, files: &[Entry], spec: &ImageSpec) -> Result<ImageBuffer> {
    let need = Need {
        size: spec.shape.map(|[_, height, width]| [height, width]),
        channels: spec.shape.map(|shape| shape[0]),
    };
    let shape = open(first, need)?.shape;
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
    ImageBuffer::new(&first.path, files.len(), shape)
}

fn open(entry: &Entry, need: Need) -> Result<Picture> {
    let origin = Origin {
        path: &entry.path,
        row: None,
    };
    Picture::read(&whole(&entry.path)?, origin, need)
}
