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
//! | `.pt`, `.bin`, `.ckpt` since PyTorch 1.6 | `PK`, a zip archive | one level of nesting (`{"state_dict": …}`) is looked through |
//! | the same, older | the pickle of a magic number | likewise |
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

mod archive;
mod keys;
mod opened;
mod pickle;
mod safetensors;
mod torch;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};

pub use ::safetensors::Dtype as DType;

pub use self::keys::Keys;
use self::opened::{Opened, shown};
use self::values::{Storage, View};
use crate::error::{Error, Result};

/// An open file of named tensors, which are read when they are asked for.
#[derive(Debug)]
pub struct Checkpoint {
    file: Opened,
    format: Format,
    /// In the order of names, as `views`.
    entries: Vec<Entry>,
    views: Vec<View>,
    storages: Vec<Storage>,
    metadata: BTreeMap<String, String>,
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
    /// Opens a file and reads its list of tensors.
    ///
    /// Of what a training script saved, the state dict is taken: the only dict with tensors, or among several
    /// the one named `state_dict` or `model`. Values in a state dict that are no tensors are left out.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses; [`Error::Format`], with the byte, when the file is neither of
    /// the two, is cut off or damaged, names what no state dict needs (functions, classes, opcodes), or holds
    /// no tensor.
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
    /// assert!(error.contains("\"<!DOCTYPE html><"), "{error}");
    /// # std::fs::remove_file(path).expect("the file is there");
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = Opened::new(path.as_ref())?;
        let head = file.read(0, file.length.min(16), "the file")?;
        let (format, mut tensors, storages, metadata) = if head.starts_with(archive::MAGIC) {
            let (tensors, storages) = torch::zipped(&file)?;
            (Format::Pickle, tensors, storages, BTreeMap::new())
        } else if head.get(8) == Some(&b'{') {
            let (tensors, storages, metadata) = safetensors::read(&file)?;
            (Format::Safetensors, tensors, storages, metadata)
        } else if head.first() == Some(&torch::PICKLE) {
            let (tensors, storages) = torch::old(&file)?;
            (Format::Pickle, tensors, storages, BTreeMap::new())
        } else {
            let got = format!("something that begins with \"{}\"", head.escape_ascii());
            let need = "safetensors or a state dict of `torch.save`";
            return Err(file.error(0, "the file", got, need));
        };
        if tensors.is_empty() {
            return Err(file.error(0, "the number of tensors", "0", "at least 1"));
        }
        tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
        let (names, views): (Vec<String>, Vec<View>) = tensors.into_iter().unzip();
        let entry = |(name, view): (String, &View)| Entry {
            name,
            shape: view.shape.clone(),
            dtype: view.dtype,
        };
        Ok(Self {
            file,
            format,
            entries: names.into_iter().zip(&views).map(entry).collect(),
            views,
            storages,
            metadata,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
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
                what: format!("{} has no tensor {}", self.file.path.display(), shown(name)),
                next: "`entries` lists those that it has",
            });
        };
        let view = &self.views[place];
        let values = values::read(&self.file, &self.storages[view.storage], view, name)?;
        Ok(Tensor::from_vec(values, view.shape.as_slice(), device)?)
    }

    /// Holds the tensors against those that a network needs, by name and shape.
    pub fn compare(&self, layout: &[(String, Vec<usize>)]) -> Keys {
        Keys::new(&self.entries, layout)
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
