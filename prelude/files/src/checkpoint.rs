//! Trained weights in files: named tensors, as safetensors or as PyTorch's pickled state dicts.
//!
//! A file is told by its content, not by its name. Opening it reads the list of tensors and holds it against
//! the file's length; [`Checkpoint::tensor`] then reads one at a time, so that a network needs as much memory
//! as its weights. Nothing in a file is executed, whatever it asks for; what is cut off, altered or made to
//! harm gives an error with the place.
//!
//! | file | begins with | read |
//! |---|---|---|
//! | safetensors | a length and `{` | with its metadata |
//! | `.pt`, `.bin`, `.ckpt` since PyTorch 1.6 | `PK`, a zip archive | the state dict that it is, or one of those in it |
//! | the same, older | the pickle of a magic number | likewise |
//! | `….index.json` of a network in several files | `{` | all of them, as one |
//!
//! # Example: what is in a file, and whether it fits
//! ```
//! # use itd_files as itd_prelude;
//! use std::collections::BTreeMap;
//! use itd_prelude::{candle::{Device, Tensor}, checkpoint::Checkpoint};
//!
//! let path = std::env::temp_dir().join(format!("itd-fits-{}", std::process::id()));
//! let weight = Tensor::new(&[[0.5f32, -1.0]], &Device::Cpu)?;
//! Checkpoint::save(&path, &[("out.weight".into(), weight)], &BTreeMap::new())?;
//!
//! let file = Checkpoint::open(&path)?;
//! assert_eq!((file.entries()[0].name.as_str(), file.parameters()), ("out.weight", 2));
//! let keys = file.compare(&[("out.weight".into(), vec![1, 2]), ("out.bias".into(), vec![1])]);
//! assert_eq!(keys.missing, [("out.bias".to_owned(), vec![1])]);
//! assert_eq!(file.tensor("out.weight", &Device::Cpu)?.to_vec2::<f32>()?, [[0.5, -1.0]]);
//! # std::fs::remove_file(path).expect("the file is there");
//! # Ok::<(), itd_prelude::Error>(())
//! ```

pub(crate) mod archive;
mod keys;
pub(crate) mod pickle;
mod safetensors;
mod shards;
mod torch;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

pub use ::safetensors::Dtype as DType;

pub use self::keys::Keys;
pub(crate) use self::values::from_f16;
use self::values::{Storage, View};
use crate::error::{Error, Place, Result};
use crate::random_access::{RandomAccessFile, shown};

/// An open file of named tensors, which are read when they are asked for.
#[derive(Debug)]
pub struct Checkpoint {
    /// What was opened: the file, or the index of several.
    path: PathBuf,
    files: Vec<RandomAccessFile>,
    format: Format,
    /// In the order of names, as `views`.
    entries: Vec<Entry>,
    views: Vec<View>,
    storages: Vec<Storage>,
    metadata: BTreeMap<String, String>,
    state_dicts: Vec<String>,
}

/// What is in a file.
struct Content {
    format: Format,
    tensors: Vec<(String, View)>,
    storages: Vec<Storage>,
    metadata: BTreeMap<String, String>,
    state_dicts: Vec<String>,
}

/// How a file holds its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header in JSON and the bytes of all tensors.
    Safetensors,
    /// A state dict as `torch.save` writes it, new or old.
    Pickle,
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its shape; none for a single number.
    pub shape: Vec<usize>,
    /// The type of its numbers in the file.
    pub dtype: DType,
}

impl Checkpoint {
    /// Opens a file and reads its list of tensors; of a network in several files, the index of all of them
    /// (`….safetensors.index.json`).
    ///
    /// Of what a training script saved, the state dict is taken: the only dict with tensors, or among several
    /// the one named `state_dict` or `model`. [`Self::open_state_dict`] takes another one. Values in a state dict
    /// that are no tensors are left out.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses; [`Error::Format`], with the byte, when the file is of another kind,
    /// is cut off or damaged, names what no state dict needs (functions, classes, opcodes), holds no tensor, or
    /// several state dicts none of which has a usual name; [`Error::Missing`] when an index names a file that is not
    /// beside it.
    ///
    /// # Numerics
    /// Memory grows with the list of tensors, not with the tensors; lists of more than 4 MB are refused.
    ///
    /// # Example: a file of another kind says what it is
    /// ```
    /// # use itd_files as itd_prelude;
    /// use itd_prelude::checkpoint::Checkpoint;
    ///
    /// let path = std::env::temp_dir().join(format!("itd-page-{}", std::process::id()));
    /// std::fs::write(&path, "<!DOCTYPE html><title>404</title>").expect("a place for files");
    /// let error = Checkpoint::open(&path).unwrap_err().to_string();
    /// assert!(error.contains("the file is a web page"), "{error}");
    /// # std::fs::remove_file(path).expect("the file is there");
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::opened(path.as_ref(), None)
    }

    /// As [`Self::open`], for one of several state dicts, by the name that [`Self::state_dicts`] has for it.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::Missing`], which lists those that are there, when none has that name.
    ///
    /// # Example: the averaged weights of a run
    /// ```no_run
    /// # use itd_files as itd_prelude;
    /// use itd_prelude::checkpoint::Checkpoint;
    ///
    /// let run = Checkpoint::open("run.pt")?;
    /// assert_eq!(run.state_dicts(), ["ema_state_dict", "model"]);
    /// let averaged = Checkpoint::open_state_dict("run.pt", "ema_state_dict")?;
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn open_state_dict(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::opened(path.as_ref(), Some(name))
    }

    fn opened(path: &Path, state_dict: Option<&str>) -> Result<Self> {
        let file = RandomAccessFile::new(path)?;
        let head = file.read(0, file.length.min(16), "the file")?;
        if shards::is_index(&head) {
            if let Some(name) = state_dict {
                return Err(no_state_dict(path, name, &[]));
            }
            return shards::open(&file);
        }
        let content = Content::read(&file, state_dict)?;
        Self::of(path, vec![file], content)
    }

    /// The files with what is in them.
    fn of(path: &Path, files: Vec<RandomAccessFile>, content: Content) -> Result<Self> {
        let mut tensors = content.tensors;
        tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
        let (names, views): (Vec<String>, Vec<View>) = tensors.into_iter().unzip();
        let entry = |(name, view): (String, &View)| Entry {
            name,
            shape: view.shape.clone(),
            dtype: view.dtype,
        };
        Ok(Self {
            path: path.to_owned(),
            files,
            format: content.format,
            entries: names.into_iter().zip(&views).map(entry).collect(),
            views,
            storages: content.storages,
            metadata: content.metadata,
            state_dicts: content.state_dicts,
        })
    }

    /// The tensors whose names begin with `prefix`, under the rest of their names: one network of several in a file,
    /// or one that was saved from within a wrapper (`module.`).
    ///
    /// # Errors
    /// [`Error::Missing`] when no name begins so.
    ///
    /// # Example
    /// ```
    /// # use itd_files as itd_prelude;
    /// use std::collections::BTreeMap;
    /// use itd_prelude::{candle::{Device, Tensor}, checkpoint::Checkpoint};
    ///
    /// let path = std::env::temp_dir().join(format!("itd-under-{}", std::process::id()));
    /// let one = Tensor::new(&[1f32], &Device::Cpu)?;
    /// let both = ["unet.out.bias", "vae.out.bias"].map(|name| (name.to_owned(), one.clone()));
    /// Checkpoint::save(&path, &both, &BTreeMap::new())?;
    /// let unet = Checkpoint::open(&path)?.under("unet.")?;
    /// assert_eq!(unet.tensor("out.bias", &Device::Cpu)?.to_vec1::<f32>()?, [1.0]);
    /// # std::fs::remove_file(path).expect("the file is there");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn under(mut self, prefix: &str) -> Result<Self> {
        let named = self.entries.into_iter().zip(self.views);
        let under = named.filter_map(|(mut entry, view)| {
            entry.name = entry.name.strip_prefix(prefix)?.to_owned();
            Some((entry, view))
        });
        (self.entries, self.views) = under.unzip();
        match self.entries.is_empty() {
            false => Ok(self),
            true => Err(Error::Missing {
                what: format!(
                    "{} has no tensor whose name begins with {}",
                    self.path.display(),
                    shown(prefix)
                ),
                next: "`entries` lists those that it has",
            }),
        }
    }

    /// The file, or the index of several.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state dicts that a training script saved together, by name, of which this is one; none where the file is
    /// a state dict itself. Those within others have names such as `checkpoint.model`.
    pub fn state_dicts(&self) -> &[String] {
        &self.state_dicts
    }

    /// How the file holds its tensors.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The tensors, in the order of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the file says of itself; only safetensors does.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// How many numbers all tensors have together, those of shared storages each time.
    pub fn parameters(&self) -> usize {
        self.views
            .iter()
            .map(View::count)
            .fold(0, usize::saturating_add)
    }

    /// Reads a tensor as `f32`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none of that name; [`Error::Format`], with the byte, when its type is
    /// not F32, F16, BF16 or F64, one of its values is not finite, or its bytes do not have the checksum that
    /// an archive gives for them; [`Error::File`] when the file cannot be read any more.
    ///
    /// # Numerics
    /// F16 and BF16 become `f32` exactly, F64 is rounded. Beside the tensor itself, memory is needed for 64 kB,
    /// or for a tensor that is no contiguous part of its storage, for what lies between its ends.
    ///
    /// # Example: half precision
    /// ```
    /// # use itd_files as itd_prelude;
    /// use std::collections::BTreeMap;
    /// use itd_prelude::{candle::{DType, Device, Tensor}, checkpoint::Checkpoint};
    ///
    /// let path = std::env::temp_dir().join(format!("itd-half-{}", std::process::id()));
    /// let scale = Tensor::new(1.0f32 / 3.0, &Device::Cpu)?.to_dtype(DType::F16)?;
    /// Checkpoint::save(&path, &[("scale".into(), scale)], &BTreeMap::new())?;
    /// let read = Checkpoint::open(&path)?.tensor("scale", &Device::Cpu)?.to_scalar::<f32>()?;
    /// assert_eq!(read, 1365.0 / 4096.0); // the nearest to 1/3 with 11 bits
    /// # std::fs::remove_file(path).expect("the file is there");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.name.as_str().cmp(name));
        let Ok(place) = found else {
            return Err(Error::Missing {
                what: format!("{} has no tensor {}", self.path.display(), shown(name)),
                next: "`entries` lists those that it has",
            });
        };
        let view = &self.views[place];
        let storage = &self.storages[view.storage];
        let values = values::read(&self.files[storage.file], storage, view, name)?;
        Ok(Tensor::from_vec(values, view.shape.as_slice(), device)?)
    }

    /// Holds the tensors against those that a network needs, by name and shape.
    pub fn compare(&self, layout: &[(String, Vec<usize>)]) -> Keys {
        Keys::new(&self.path, &self.entries, layout)
    }

    /// The checkpoint with exactly the tensors that a network needs: itself, or what is [under](Self::under) a prefix
    /// where one and only one leads to them.
    ///
    /// # Errors
    /// [`Error::Format`] otherwise, which names every tensor that is missing, unexpected or of another shape, and the
    /// way out where one is known.
    pub fn fitted(self, layout: &[(String, Vec<usize>)]) -> Result<Self> {
        let keys = self.compare(layout);
        if keys.fit() {
            return Ok(self);
        }
        if let ([prefix], false) = (&keys.prefixes[..], keys.missing.is_empty()) {
            return self.under(prefix);
        }
        Err(Error::Format {
            path: self.path,
            at: Place::File,
            what: "the list of tensors",
            got: "another network's".into(),
            need: format!("this one's, as its settings say:\n{keys}"),
        })
    }

    /// Writes tensors as safetensors; what was at `path` stays if anything goes wrong.
    ///
    /// F64 stays what it is; F32, F16 and BF16 are written as F32, which holds them exactly. The same tensors
    /// give the same file.
    ///
    /// # Errors
    /// [`Error::Empty`] without tensors; [`Error::Parameter`] when one has another type, or a name that another
    /// one has or that the format keeps for itself; [`Error::File`] when a value is not finite, or the system
    /// refuses.
    ///
    /// # Example: with a word on where it comes from
    /// ```
    /// # use itd_files as itd_prelude;
    /// use std::collections::BTreeMap;
    /// use itd_prelude::{candle::{Device, Tensor}, checkpoint::Checkpoint};
    ///
    /// let path = std::env::temp_dir().join(format!("itd-saved-{}", std::process::id()));
    /// let metadata = BTreeMap::from([("epochs".to_owned(), "10".to_owned())]);
    /// let bias = Tensor::zeros(3, itd_prelude::candle::DType::F32, &Device::Cpu)?;
    /// Checkpoint::save(&path, &[("bias".into(), bias)], &metadata)?;
    /// assert_eq!(Checkpoint::open(&path)?.metadata(), &metadata);
    /// # std::fs::remove_file(path).expect("the file is there");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn save(
        path: impl AsRef<Path>,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        safetensors::write(path.as_ref(), tensors, metadata)
    }
}

impl Content {
    fn read(file: &RandomAccessFile, state_dict: Option<&str>) -> Result<Self> {
        let head = file.read(0, file.length.min(16), "the file")?;
        let content = if head.starts_with(archive::MAGIC) {
            torch::zipped(file, state_dict)?
        } else if head.get(8) == Some(&b'{') {
            if let Some(name) = state_dict {
                return Err(no_state_dict(&file.path, name, &[]));
            }
            let (tensors, storages, metadata) = safetensors::read(file)?;
            Self {
                format: Format::Safetensors,
                tensors,
                storages,
                metadata,
                state_dicts: Vec::new(),
            }
        } else if head.first() == Some(&torch::PICKLE) {
            torch::old(file, state_dict)?
        } else {
            return Err(file.other("safetensors or a state dict of `torch.save`"));
        };
        match content.tensors.is_empty() {
            false => Ok(content),
            true => Err(file.error(0, "the number of tensors", "0", "at least 1")),
        }
    }
}

/// The error about a state dict that is not in a file.
fn no_state_dict(path: &Path, name: &str, there: &[String]) -> Error {
    let there = match there {
        [] => "it is one itself".to_owned(),
        there => format!("there are {}", listed(there)),
    };
    Error::Missing {
        what: format!(
            "{} has no state dict {}; {there}",
            path.display(),
            shown(name)
        ),
        next: "`state_dicts` lists them; `open` takes the one that there is",
    }
}

/// The first names of a list.
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(8).map(|name| shown(name)).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
