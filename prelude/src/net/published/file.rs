//! Files of parameters, found and compared with what a network needs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Place, Result};

/// The names that weights have in a folder of diffusers, best first.
const WEIGHTS: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
];

/// A file of parameters, and the `config.json` that lies beside it, if one does.
pub struct Found {
    pub weights: PathBuf,
    pub config: Option<PathBuf>,
}

/// Looks for parameters: `path` is their file, or a folder with one of diffusers' names or only one that ends in
/// `.safetensors`, `.bin` or `.pt`. The network of a pipeline lies in a folder `unet` of its own.
///
/// # Errors
/// [`Error::File`] when there is no such file or folder, [`Error::Missing`] when a folder holds none or several.
pub fn find(path: &Path) -> Result<Found> {
    let system = |cause: std::io::Error| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    };
    let weights = match std::fs::metadata(path).map_err(system)?.is_dir() {
        true => in_folder(path)?,
        false => path.to_owned(),
    };
    let config = weights.with_file_name("config.json");
    Ok(Found {
        config: config.is_file().then_some(config),
        weights,
    })
}

fn in_folder(folder: &Path) -> Result<PathBuf> {
    let inner = folder.join("unet");
    let known = [folder, inner.as_path()]
        .into_iter()
        .flat_map(|folder| WEIGHTS.iter().map(move |name| folder.join(name)));
    if let Some(path) = known.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let system = |cause: std::io::Error| Error::File {
        path: folder.to_owned(),
        cause: cause.into(),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(system)? {
        let path = entry.map_err(system)?.path();
        let end = path.extension().and_then(|end| end.to_str());
        if matches!(end, Some("safetensors" | "bin" | "pt")) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::Missing {
            what: format!(
                "{} holds no file that ends in .safetensors, .bin or .pt",
                folder.display()
            ),
            next: "name the folder or the file that has the network's parameters",
        }),
        several => {
            let mut what = format!(
                "{} holds {} files of parameters",
                folder.display(),
                several.len()
            );
            for path in several.iter().filter_map(|path| path.file_name()) {
                let _ = write!(what, ", {}", path.display());
            }
            let next = "name the one that is meant";
            Err(Error::Missing { what, next })
        }
    }
}

/// Refuses a file that has not exactly the tensors of a network.
pub fn compare(file: &Checkpoint, layout: &[(String, Vec<usize>)]) -> Result<()> {
    let keys = file.compare(layout);
    if keys.fit() {
        return Ok(());
    }
    Err(Error::Format {
        path: file.path().to_owned(),
        at: Place::File,
        what: "the list of tensors",
        got: "another network's".into(),
        need: format!("this one's, as its config says:\n{keys}"),
    })
}
