//! Pictures in files, as bytes: the formats in which data sets of pictures are kept, and the published ones.
//!
//! | module | reads |
//! |---|---|
//! | [`idx`] | MNIST's format, plain or gzip |
//! | [`cifar`] | CIFAR's records, and the pickles of its Python version |
//! | [`parquet`] | the Hugging Face hub's tables of PNG or JPEG |
//! | [`folder`] | folders of PNG or JPEG |
//! | [`published`] | MNIST, Fashion-MNIST, CIFAR-10, wherever they lie |
//!
//! Whatever a header claims, no more memory is asked for than the file's own length warrants.

mod buffer;
pub mod cifar;
mod cifar_pickle;
mod decode;
pub mod folder;
pub mod idx;
mod jpeg;
mod orientation;
pub mod parquet;
mod png;
pub mod published;
mod reader;
mod registry;
mod spec;

use std::path::{Path, PathBuf};

pub use spec::ImageSpec;

/// Pictures of one size, with what is known of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images {
    /// What the set is called; by default as its first file or its folder.
    pub name: String,
    /// `[channels, height, width]` of each picture, with 1 channel for grey and 3 for colour.
    pub shape: [usize; 3],
    /// The bytes of all pictures `[n, channels, height, width]`, one after the other.
    pub pixels: Vec<u8>,
    /// The class of each picture, where it is known.
    pub labels: Option<Vec<u32>>,
    /// The names of the classes, where they have some.
    pub classes: Vec<String>,
}

impl Images {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The bytes of a picture: channels, rows, columns.
    pub fn picture(&self, index: usize) -> Option<&[u8]> {
        let size = self.shape.iter().product::<usize>();
        let start = index.checked_mul(size)?;
        self.pixels.get(start..start.checked_add(size)?)
    }
}

/// What is in a folder, sorted; nothing when there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
