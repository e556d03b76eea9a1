//! A network in several files, and the index that says which tensor is in which.
//!
//! # Source
//! huggingface/transformers, "Sharded checkpoints": `{"metadata": {…}, "weight_map": {tensor: file, …}}`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Checkpoint, Content};
use crate::error::{Error, Result};
use crate::random_access::{LONGEST, RandomAccessFile, shown};

/// The most files of one network; each is open while it is read.
const MOST: usize = 256;

/// What an index says; the rest is left out.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether a file begins as text in JSON does, and not as safetensors, whose first byte may be that of a brace.
pub(super) fn is_index(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{") && !head.contains(&0)
}

/// Opens all files of an index as one checkpoint.
pub(super) fn open(index: &RandomAccessFile) -> Result<Checkpoint> {
    let what = "the index";
    if index.length > LONGEST {
        let need = format!("{LONGEST} at most");
        return Err(index.error(0, what, format!("{} bytes long", index.length), need));
    }
    let bytes = index.read(0, index.length, what)?;
    let map = serde_json::from_slice::<Index>(&bytes).map_err(|error| {
        let need = "safetensors, a state dict of `torch.save`, or the index of several files, with a `weight_map`";
        index.error(0, "the file", format!("text in JSON ({error})"), need)
    })?;
    drop(bytes);
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, file) in &map.weight_map {
        by_file.entry(file).or_default().push(tensor);
    }
    if by_file.is_empty() || by_file.len() > MOST {
        let need = format!("of 1 to {MOST}");
        return Err(index.error(0, what, format!("of {} files", by_file.len()), need));
    }
    let mut all: Option<Content> = None;
    let mut files = Vec::new();
    for (name, tensors) in by_file {
        // A name from elsewhere: it must not lead out of the folder.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            let need = "the plain name of a file beside the index";
            return Err(index.error(0, "the name of a file", shown(name), need));
        }
        let path = index.path.with_file_name(name);
        if !path.is_file() {
            return Err(Error::Missing {
                what: format!(
                    "{} names {name}, which is not beside it",
                    index.path.display()
                ),
                next: "put all files of the network into one folder",
            });
        }
        let file = RandomAccessFile::new(&path)?;
        let mut content = Content::read(&file, None)?;
        let at = files.len();
        content
            .storages
            .iter_mut()
            .for_each(|storage| storage.file = at);
        let mut there: BTreeMap<String, _> = content.tensors.drain(..).collect();
        let mut wanted = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let Some(pair) = there.remove_entry(tensor) else {
                let need = format!("{}, as {} says", shown(tensor), index.path.display());
                return Err(file.error(0, "the list of tensors", "without one", need));
            };
            wanted.push(pair);
        }
        if let Some((name, _)) = there.pop_first() {
            let need = format!("one of those that {} names", index.path.display());
            return Err(file.error(0, "a tensor", shown(&name), need));
        }
        files.push(file);
        match &mut all {
            None => {
                all = Some(Content {
                    tensors: wanted,
                    ..content
                })
            }
            Some(all) => {
                let before = all.storages.len();
                wanted
                    .iter_mut()
                    .for_each(|(_, view)| view.storage += before);
                all.tensors.extend(wanted);
                all.storages.extend(content.storages);
                all.metadata.extend(content.metadata);
            }
        }
    }
    let all = all.ok_or(Error::Empty { what: "the index" })?;
    Checkpoint::of(&index.path, files, all)
}
