//! Where published data sets may lie, and in which format.

use std::path::{Path, PathBuf};

use super::{ImageSpec, Images, cifar, folder, idx, parquet};
use crate::error::{Error, Result};
#[cfg(feature = "hub")]
use crate::hub::Hub;
use crate::hub::{CacheDirs, Repository};

pub use super::registry::{CIFAR_10, FASHION_MNIST, Known, MNIST};

/// Both parts of a set: what to learn from, and what to judge with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// To learn from.
    pub train: Images,
    /// To judge with.
    pub test: Images,
}

/// The places to look in, in this order.
#[derive(Debug, Default)]
pub struct Places {
    /// The folder that the user named for all sets.
    pub named: Option<PathBuf>,
    /// Folders of the Hugging Face hub's cache.
    pub hub_caches: Vec<PathBuf>,
    /// The hub itself; what it gives goes into the first of these folders.
    #[cfg(feature = "hub")]
    pub hub: Option<Hub>,
}

/// What a folder holds of a set.
enum Found {
    /// Both parts.
    Both(Box<Parts>),
    /// Not the set, and why.
    Not(String),
}

impl Places {
    /// What the environment says: `ITD_DATA`, and the variables of the [hub](crate::hub).
    pub fn from_env() -> Self {
        let places = CacheDirs::from_env();
        Self {
            named: places.named,
            hub_caches: places.caches,
            #[cfg(feature = "hub")]
            hub: Hub::from_env(),
        }
    }
}

/// The set, from the folder that the user gave for it, or from one of its subfolders that is named for it.
///
/// # Errors
/// [`Error::Missing`] when it is in none of them; [`Error::Format`] when a file is broken.
pub fn in_folder(known: &Known, root: &Path) -> Result<Parts> {
    let mut tried = Vec::new();
    for folder in folders(known, root) {
        match read(known, &folder)? {
            Found::Both(split) => return Ok(*split),
            // A subfolder that is not there was not meant.
            Found::Not(_) if folder != root && !folder.is_dir() => {}
            Found::Not(why) => tried.push(format!("{} {why}", folder.display())),
        }
    }
    Err(Error::Missing {
        what: format!("{} is not in this folder: {}", known.name, tried.join(", ")),
        next: match known.shape[0] {
            1 => {
                "it should hold the IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, \
                 t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or .gz), parquet files train-*.parquet \
                 and test-*.parquet, or folders train and test of pictures"
            }
            _ => {
                "it should hold data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the pickles of the same \
                 names without .bin (cifar-10-batches-py), parquet files train-*.parquet and test-*.parquet, or \
                 folders train and test of pictures"
            }
        },
    })
}

/// The set, from the first place that has it.
///
/// # Errors
/// [`Error::Missing`] when it is nowhere: it lists all places, and says how to get it; [`Error::Format`] when a file in
/// the folder that the user named for all sets is broken.
pub fn search(known: &Known, places: &Places) -> Result<Parts> {
    let mut tried = Vec::new();
    match &places.named {
        Some(named) => {
            for folder in folders(known, named) {
                match read(known, &folder)? {
                    Found::Both(split) => return Ok(*split),
                    Found::Not(why) => tried.push(format!("{} {why}", folder.display())),
                }
            }
        }
        None => tried.push("ITD_DATA is not set".into()),
    }
    let packages = known.package.iter().map(PathBuf::from);
    let caches = places.hub_caches.iter();
    let snapshots = caches.flat_map(|cache| snapshots(known, cache));
    for folder in packages.chain(snapshots) {
        // Nobody named these places, so that a broken file there is only one more without the set.
        match read(known, &folder) {
            Ok(Found::Both(split)) => return Ok(*split),
            Ok(Found::Not(why)) => tried.push(format!("{} {why}", folder.display())),
            Err(error) => tried.push(error.to_string()),
        }
    }
    #[cfg(feature = "hub")]
    match (&places.hub, places.hub_caches.first()) {
        (Some(hub), Some(cache)) => match download(known, hub, cache) {
            Ok(folder) => match read(known, &folder)? {
                Found::Both(split) => return Ok(*split),
                Found::Not(why) => tried.push(format!("{} {why}", folder.display())),
            },
            Err(Error::Interrupted(stopped)) => return Err(Error::Interrupted(stopped)),
            Err(Error::Missing { what, .. }) => tried.push(what),
            Err(error) => tried.push(error.to_string()),
        },
        (None, _) => tried.push("the hub is not asked (HF_HUB_OFFLINE)".into()),
        (_, None) => tried.push("the hub has no folder for its cache (HF_HUB_CACHE)".into()),
    }
    Err(Error::Missing {
        what: format!("{} was not found: {}", known.name, tried.join(", ")),
        next: known.advice,
    })
}

/// The folder of a set's Parquet files, downloaded into the hub's cache.
#[cfg(feature = "hub")]
fn download(known: &Known, hub: &Hub, cache: &Path) -> Result<PathBuf> {
    let parts = ["train/", "test/"].map(|part| format!("{}/{part}", known.config));
    let wanted = |name: &&&str| {
        name.ends_with(".parquet") && parts.iter().any(|part| name.starts_with(part))
    };
    let choose = |names: &[&str]| {
        names
            .iter()
            .filter(wanted)
            .map(|&name| name.into())
            .collect()
    };
    let repository = Repository::dataset(known.repositories[0]);
    Ok(hub.fetch(&repository, cache, &choose)?.folder)
}

/// The folders of a set in a folder of sets, and that folder itself.
fn folders(known: &Known, root: &Path) -> Vec<PathBuf> {
    let below = known.folders.iter().map(|sub| root.join(sub));
    below.chain([root.into()]).collect()
}

/// The folders of a set in the hub's cache: those that its branches point to first. Where there are none,
/// those that would hold them.
fn snapshots(known: &Known, cache: &Path) -> Vec<PathBuf> {
    let repositories = known
        .repositories
        .iter()
        .map(|&name| Repository::dataset(name));
    let repositories: Vec<Repository> = repositories.collect();
    let found = repositories
        .iter()
        .flat_map(|repository| repository.snapshots(cache));
    let found: Vec<PathBuf> = found.collect();
    match found.is_empty() {
        true => repositories
            .iter()
            .map(|repository| cache.join(repository.folder()))
            .collect(),
        false => found,
    }
}

/// Reads the set from a folder, in whichever format it has there.
fn read(known: &Known, folder: &Path) -> Result<Found> {
    if !folder.is_dir() {
        return Ok(Found::Not("is no folder".into()));
    }
    let spec = ImageSpec {
        shape: Some(known.shape),
        classes: known.classes.map(String::from).to_vec(),
    };
    if known.shape[0] == 1
        && let Some(found) = idx_files(known, folder, &spec)?
    {
        return Ok(found);
    }
    if known.shape[0] == 3
        && let Some((train, test)) = cifar::both(folder, &spec)?
    {
        return Ok(both(known, train, test));
    }
    for folder in [folder, &folder.join(known.config)] {
        let (train, test) = (
            parquet::files(folder, "train")?,
            parquet::files(folder, "test")?,
        );
        if !train.is_empty() && !test.is_empty() {
            let test = parquet::read(&test, &spec)?;
            return Ok(both(known, parquet::read(&train, &spec)?, test));
        }
    }
    for prefix in ["", "cifar_"] {
        let [train, test] = ["train", "test"].map(|part| folder.join(format!("{prefix}{part}")));
        if train.is_dir() && test.is_dir() {
            let test = folder::read(test, &spec)?;
            return Ok(both(known, folder::read(train, &spec)?, test));
        }
    }
    Ok(Found::Not("does not hold it".into()))
}

/// Two parts under the names of the set.
fn both(known: &Known, mut train: Images, mut test: Images) -> Found {
    if let Some(other) = known.mistaken(train.labels.as_deref().unwrap_or_default()) {
        return Found::Not(format!("holds {other}"));
    }
    train.name = format!("{} (train)", known.name);
    test.name = format!("{} (test)", known.name);
    Found::Both(Box::new(Parts { train, test }))
}

/// The four IDX files of a folder; `None` when there is not one of them.
fn idx_files(known: &Known, folder: &Path, spec: &ImageSpec) -> Result<Option<Found>> {
    let kinds = [
        ("train-images", "idx3-ubyte"),
        ("train-labels", "idx1-ubyte"),
        ("t10k-images", "idx3-ubyte"),
        ("t10k-labels", "idx1-ubyte"),
    ];
    let file = |(part, end): (&str, &str)| {
        let plain = [format!("{part}-{end}"), format!("{part}.{end}")];
        let packed = plain.clone().map(|name| format!("{name}.gz"));
        let mut paths = plain.iter().chain(&packed).map(|name| folder.join(name));
        paths.find(|path| path.exists())
    };
    match kinds.map(file) {
        [None, None, None, None] => Ok(None),
        [
            Some(images),
            Some(labels),
            Some(test_images),
            Some(test_labels),
        ] => {
            // Before the many pictures are read.
            if let Some(other) = known.mistaken(
                &idx::labels(&labels)?
                    .into_iter()
                    .map(u32::from)
                    .collect::<Vec<_>>(),
            ) {
                return Ok(Some(Found::Not(format!("holds {other}"))));
            }
            let test = idx::labelled(test_images, test_labels, spec)?;
            let train = idx::labelled(images, labels, spec)?;
            Ok(Some(both(known, train, test)))
        }
        found => {
            let lacking = kinds.iter().zip(&found).filter(|(_, file)| file.is_none());
            let names: Vec<String> = lacking
                .map(|((part, end), _)| format!("{part}-{end}"))
                .collect();
            Ok(Some(Found::Not(format!("lacks {}", names.join(", ")))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    /// A new folder of a test's own.
    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("itd-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The four IDX files of a set, both parts alike.
    fn write_idx(
        folder: &Path,
        [_, height, width]: [u32; 3],
        labels: &[u8],
        pixels: &[u8],
        packed: bool,
    ) {
        fs::create_dir_all(folder).unwrap();
        let file = |numbers: &[u32], bytes: &[u8]| -> Vec<u8> {
            let head = numbers.iter().flat_map(|number| number.to_be_bytes());
            let plain: Vec<u8> = head.chain(bytes.iter().copied()).collect();
            if !packed {
                return plain;
            }
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(&plain).unwrap();
            packer.finish().unwrap()
        };
        let count = labels.len() as u32;
        for part in ["train", "t10k"] {
            let images = file(&[2051, count, height, width], pixels);
            fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
            let labels = file(&[2049, count], labels);
            fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
        }
    }

    #[test]
    fn the_cache_is_searched_branch_by_branch() {
        let known = &FASHION_MNIST;
        let cache = folder("branches");
        let root = cache.join("datasets--zalando-datasets--fashion_mnist");
        for commit in ["aaa", "bbb", "ccc"] {
            fs::create_dir_all(root.join("snapshots").join(commit)).unwrap();
        }
        fs::create_dir_all(root.join("refs/convert")).unwrap();
        fs::write(root.join("refs/main"), "ccc\n").unwrap();
        fs::write(root.join("refs/convert/parquet"), "bbb").unwrap();
        let names: Vec<_> = snapshots(known, &cache)
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["ccc", "bbb", "aaa"]);
        fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_place_that_was_named_comes_first() {
        let root = folder("named-first");
        let (labels, pixels) = ([5, 0, 4], [7; 3 * 784]);
        write_idx(&root.join("mnist"), [1, 28, 28], &labels, &pixels, true);
        let places = Places {
            named: Some(root.clone()),
            ..Places::default()
        };
        let data = search(&MNIST, &places).unwrap();
        assert_eq!(data.train.name, "MNIST (train)");
        assert_eq!(data.test.name, "MNIST (test)");
        assert_eq!(
            data.train.labels.as_deref(),
            Some(&labels.map(u32::from)[..])
        );
        assert_eq!((data.train.len(), data.train.shape), (3, [1, 28, 28]));
        // The same folder as a place of its own.
        assert_eq!(in_folder(&MNIST, &root).unwrap().test.len(), 3);
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
        let error = search(&MNIST, &named).unwrap_err();
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
        let error = search(&MNIST, &cached).unwrap_err();
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
            let error = search(&known, &places).unwrap_err();
            assert!(matches!(error, Error::Missing { .. }), "{error}");
            let text = error.to_string();
            let sub = root.join(known.folders[0]).display().to_string();
            let hub = root.join("hub").display().to_string();
            for part in [command, known.name, &sub, &hub] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
        let error = in_folder(&MNIST, &root).unwrap_err().to_string();
        assert!(error.contains("train-images-idx3-ubyte"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn one_set_is_not_taken_for_another() {
        let root = folder("other-set");
        // The labels that Fashion-MNIST begins with.
        let labels = FASHION_MNIST.first_labels.unwrap();
        write_idx(&root, [1, 28, 28], &labels, &[0; 7840], false);
        let error = in_folder(&MNIST, &root).unwrap_err().to_string();
        assert!(error.contains("Fashion-MNIST"), "{error}");
        assert!(in_folder(&FASHION_MNIST, &root).is_ok());
        // Under a name for all sets it is not MNIST, so the search goes on.
        let places = Places {
            named: Some(root.clone()),
            ..Places::default()
        };
        let error = search(&MNIST, &places).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }
}
