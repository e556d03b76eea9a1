//! The published sets of small pictures: MNIST, Fashion-MNIST, CIFAR-10.

use std::path::Path;

use super::Split;
use super::known::{CIFAR_10, FASHION_MNIST, MNIST};
use super::search::{self, Places};
use crate::error::Result;

/// 60,000 handwritten digits to learn from and 10,000 to judge with, 28×28 pixels in 256 grey levels.
///
/// Looked for, in this order: in the folder that the environment variable `ITD_DATA` names (its subfolder
/// `mnist`, then itself), in the packages of the system, in the cache of the Hugging Face hub; last, it is
/// downloaded from there (unless `HF_HUB_OFFLINE=1`). Each may
/// hold IDX files (`train-images-idx3-ubyte` and so on, plain or gzip), the hub's parquet files, or folders
/// `train` and `test` of PNG files. A broken file under `ITD_DATA` is an error; elsewhere the search goes on.
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
    search::search(&MNIST, &Places::from_env())
}

/// [`mnist`] from a folder, in any of the formats that are listed there.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) when the folder holds none of them.
pub fn mnist_in(folder: impl AsRef<Path>) -> Result<Split> {
    search::in_folder(&MNIST, folder.as_ref())
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
    search::search(&FASHION_MNIST, &Places::from_env())
}

/// [`fashion_mnist`] from a folder, in any of the formats of [`mnist`].
///
/// # Errors
/// As [`mnist_in`].
pub fn fashion_mnist_in(folder: impl AsRef<Path>) -> Result<Split> {
    search::in_folder(&FASHION_MNIST, folder.as_ref())
}

/// 50,000 colour pictures of animals and vehicles to learn from and 10,000 to judge with, 32×32 pixels in
/// 256 levels a channel.
///
/// Looked for as [`mnist`] is, in the subfolder `cifar-10` of `ITD_DATA`; instead of IDX files there may be
/// the binary ones (`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`).
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
    search::search(&CIFAR_10, &Places::from_env())
}

/// [`cifar10`] from a folder, in any of its formats.
///
/// # Errors
/// As [`mnist_in`].
pub fn cifar10_in(folder: impl AsRef<Path>) -> Result<Split> {
    search::in_folder(&CIFAR_10, folder.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::known::Known;
    use crate::data::search::tests::{folder, write_idx};
    use crate::error::Error;

    #[test]
    fn a_place_that_was_named_comes_first() {
        let root = folder("named-first");
        let (labels, pixels) = ([5, 0, 4], [7; 3 * 784]);
        write_idx(&root.join("mnist"), [1, 28, 28], &labels, &pixels, true);
        let places = Places {
            named: Some(root.clone()),
            ..Places::default()
        };
        let data = search::search(&MNIST, &places).unwrap();
        assert_eq!(data.train.name, "MNIST (train)");
        assert_eq!(data.test.name, "MNIST (test)");
        assert_eq!(data.train.labels().unwrap(), labels.map(u32::from));
        assert_eq!(data.train.x.dims(), [3, 1, 28, 28]);
        assert_eq!(data.grid().unwrap().spacing(), 2.0 / 255.0);
        // The same folder as a place of its own.
        assert_eq!(mnist_in(&root).unwrap().test.len(), 3);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_broken_file_ends_the_search_where_it_was_named() {
        let root = folder("broken-named");
        write_idx(&root, [1, 28, 28], &[1], &[0; 784], false);
        std::fs::write(root.join("t10k-labels-idx1-ubyte"), [0, 0, 8]).unwrap();
        let named = Places {
            named: Some(root.clone()),
            ..Places::default()
        };
        let error = search::search(&MNIST, &named).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("t10k-labels") && text.contains("byte 3"),
            "{text}"
        );
        // In a cache it is one of the places where the set was not found.
        let snapshot = root.join("hub/datasets--mnist/snapshots/1");
        std::fs::create_dir_all(&snapshot).unwrap();
        for file in std::fs::read_dir(&root).unwrap().flatten() {
            if file.path().is_file() {
                std::fs::rename(file.path(), snapshot.join(file.file_name())).unwrap();
            }
        }
        let cached = Places {
            hub_caches: vec![root.join("hub")],
            ..Places::default()
        };
        let error = search::search(&MNIST, &cached).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert!(error.to_string().contains("byte 3"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_missing_is_said_with_all_places_and_the_way_to_get_it() {
        let root = folder("nothing");
        let places = Places {
            named: Some(root.clone()),
            hub_caches: vec![root.join("hub")],
            ..Places::default()
        };
        for (known, command) in [
            (&MNIST, "curl"),
            (&FASHION_MNIST, "apt-get install dataset-fashion-mnist"),
            (&CIFAR_10, "tar xz"),
        ] {
            let known = Known {
                package: None,
                ..*known
            };
            let error = search::search(&known, &places).unwrap_err();
            assert!(matches!(error, Error::Missing { .. }), "{error}");
            let text = error.to_string();
            let sub = root.join(known.folders[0]).display().to_string();
            let hub = root.join("hub").display().to_string();
            for part in [command, known.name, &sub, &hub] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
        let error = mnist_in(&root).unwrap_err().to_string();
        assert!(error.contains("train-images-idx3-ubyte"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn one_set_is_not_taken_for_another() {
        let root = folder("other-set");
        // The labels that Fashion-MNIST begins with.
        let labels = FASHION_MNIST.first_labels.unwrap();
        write_idx(&root, [1, 28, 28], &labels, &[0; 7840], false);
        let error = mnist_in(&root).unwrap_err().to_string();
        assert!(error.contains("Fashion-MNIST"), "{error}");
        assert!(fashion_mnist_in(&root).is_ok());
        // Under a name for all sets it is not MNIST, so the search goes on.
        let places = Places {
            named: Some(root.clone()),
            ..Places::default()
        };
        let error = search::search(&MNIST, &places).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }
}
