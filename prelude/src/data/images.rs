//! Pictures as data sets; the published sets of small ones: MNIST, Fashion-MNIST, CIFAR-10.

use std::path::Path;

use candle_core::{Device, Tensor};
use itd_files::images::Images;
use itd_files::images::published::{self, CIFAR_10, FASHION_MNIST, MNIST, Parts, Places};

use super::{Condition, Dataset, Grid, Split};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// Pictures on 256 levels from −1 to 1, with their classes where they are known.
///
/// # Shapes
/// `[n, channels, height, width]`.
///
/// # Numerics
/// Byte `b` becomes the `f32` nearest to `b/127.5 − 1`.
///
/// # Example: a folder of pictures of one's own
/// ```
/// use itd_prelude::{data::Dataset, images::{ImageSpec, folder}};
///
/// # let place = std::env::temp_dir().join(format!("itd-own-pictures-{}", std::process::id()));
/// # let pixels = itd_prelude::figure::Pixels::new(4, 3, 255);
/// # std::fs::create_dir_all(place.join("white")).expect("a place for files");
/// # std::fs::write(place.join("white/1.png"), pixels.figure("white")?.bytes()).expect("a place for files");
/// let data = Dataset::try_from(folder::read(&place, &ImageSpec::default())?)?;
/// assert_eq!((data.shape(), &data.classes[..]), (&[1, 3, 4][..], &["white".to_owned()][..]));
/// assert_eq!(data.grid()?.levels, 256);
/// # std::fs::remove_dir_all(place).expect("the folder is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
impl TryFrom<Images> for Dataset {
    type Error = Error;

    fn try_from(images: Images) -> Result<Self> {
        let (count, [channels, height, width]) = (images.len(), images.shape);
        room_for::<f32>("the pictures", &[count, channels, height, width])?;
        // Divided in f64, so that each level is the f32 nearest to it.
        let levels: [f32; 256] = std::array::from_fn(|level| (level as f64 / 127.5 - 1.0) as f32);
        let values: Vec<f32> = images
            .pixels
            .iter()
            .map(|&byte| levels[usize::from(byte)])
            .collect();
        drop(images.pixels);
        let x = Tensor::from_vec(values, (count, channels, height, width), &Device::Cpu)?;
        let mut data = Dataset::new(images.name, x)?.on_grid(Grid::new(-1.0, 1.0, 256)?)?;
        if let Some(labels) = images.labels {
            data = data.given(Condition::Class(labels))?;
        }
        data.classes = images.classes;
        Ok(data)
    }
}

impl TryFrom<Parts> for Split {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self> {
        Ok(Self {
            train: parts.train.try_into()?,
            test: parts.test.try_into()?,
            validation: None,
        })
    }
}

/// 60,000 handwritten digits to learn from and 10,000 to judge with, 28×28 pixels in 256 grey levels.
///
/// Looked for, in this order: in the folder that the environment variable `ITD_DATA` names (its subfolder
/// `mnist`, then itself), in the packages of the system, in the cache of the Hugging Face hub; last, it is
/// downloaded from there (unless `HF_HUB_OFFLINE=1`). Each may
/// hold IDX files (`train-images-idx3-ubyte` and so on, plain or gzip), the hub's parquet files, or folders
/// `train` and `test` of pictures. A broken file under `ITD_DATA` is an error; elsewhere the search goes on.
///
/// # Shapes
/// `[n, 1, 28, 28]`, labels 0 to 9, with the name of each class; 256 levels on [−1, 1], 2/255 apart.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) when it is nowhere: it lists all places, and says how to get
/// it. [`Error::Format`](crate::Error::Format) when a file is broken.
///
/// # Source
/// Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document
/// recognition.
///
/// # Example
/// ```
/// # fn main() -> itd_prelude::Result<()> {
/// # if std::env::var_os("ITD_DOWNLOAD").is_none() { return Ok(()) }
/// let data = itd_prelude::data::mnist()?;
/// assert_eq!(data.shape(), [1, 28, 28]);
/// # Ok(()) }
/// ```
pub fn mnist() -> Result<Split> {
    published::search(&MNIST, &Places::from_env())?.try_into()
}

/// [`mnist`] from a folder, in any of the formats that are listed there.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) when the folder holds none of them.
pub fn mnist_in(folder: impl AsRef<Path>) -> Result<Split> {
    published::in_folder(&MNIST, folder.as_ref())?.try_into()
}

/// 60,000 pictures of clothes to learn from and 10,000 to judge with, 28×28 pixels in 256 grey levels.
///
/// Looked for as [`mnist`] is, in the subfolder `fashion-mnist` of `ITD_DATA`; the system's package is
/// Debian's `dataset-fashion-mnist`.
///
/// # Shapes
/// `[n, 1, 28, 28]`, labels 0 to 9, with the name of each class; 256 levels on [−1, 1], 2/255 apart.
///
/// # Errors
/// As [`mnist`].
///
/// # Source
/// H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747.
///
/// # Example
/// ```
/// # fn main() -> itd_prelude::Result<()> {
/// # if !std::path::Path::new("/usr/share/datasets/fashion-mnist").exists() { return Ok(()) }
/// let data = itd_prelude::data::fashion_mnist()?;
/// assert_eq!(data.test.classes[9], "Ankle boot");
/// # Ok(()) }
/// ```
pub fn fashion_mnist() -> Result<Split> {
    published::search(&FASHION_MNIST, &Places::from_env())?.try_into()
}

/// [`fashion_mnist`] from a folder, in any of the formats of [`mnist`].
///
/// # Errors
/// As [`mnist_in`].
pub fn fashion_mnist_in(folder: impl AsRef<Path>) -> Result<Split> {
    published::in_folder(&FASHION_MNIST, folder.as_ref())?.try_into()
}

/// 50,000 colour pictures of animals and vehicles to learn from and 10,000 to judge with, 32×32 pixels in
/// 256 levels a channel.
///
/// Looked for as [`mnist`] is, in the subfolder `cifar-10` of `ITD_DATA`; instead of IDX files there may be
/// the binary ones (`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`), or the pickles of the Python version
/// (`cifar-10-batches-py`, as torchvision leaves them), which are read and never executed.
///
/// # Shapes
/// `[n, 3, 32, 32]`, labels 0 to 9, with the name of each class; 256 levels on [−1, 1], 2/255 apart.
///
/// # Errors
/// As [`mnist`].
///
/// # Source
/// A. Krizhevsky (2009), Learning multiple layers of features from tiny images.
///
/// # Example
/// ```
/// # fn main() -> itd_prelude::Result<()> {
/// # if std::env::var_os("ITD_DOWNLOAD").is_none() { return Ok(()) }
/// let data = itd_prelude::data::cifar10()?;
/// assert_eq!(data.dim(), 3072);
/// # Ok(()) }
/// ```
pub fn cifar10() -> Result<Split> {
    published::search(&CIFAR_10, &Places::from_env())?.try_into()
}

/// [`cifar10`] from a folder, in any of its formats.
///
/// # Errors
/// As [`mnist_in`].
pub fn cifar10_in(folder: impl AsRef<Path>) -> Result<Split> {
    published::in_folder(&CIFAR_10, folder.as_ref())?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_nearest_to_those_of_the_grid() {
        let images = Images {
            name: "all levels".into(),
            shape: [1, 16, 16],
            pixels: (0..=255).collect(),
            labels: Some(vec![7]),
            classes: Vec::new(),
        };
        let data = Dataset::try_from(images).unwrap();
        let grid = data.grid().unwrap();
        assert_eq!(grid.spacing(), 2.0 / 255.0);
        let values: Vec<f32> = data.x.flatten_all().unwrap().to_vec1().unwrap();
        for (i, &value) in values.iter().enumerate() {
            assert_eq!(value, grid.level(i) as f32);
        }
        assert_eq!(data.labels().unwrap(), [7]);
    }

    #[test]
    fn no_pictures_are_no_data() {
        assert!(Dataset::try_from(Images::default()).is_err());
    }
}
