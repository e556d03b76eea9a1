//! Gaussians of big data are kept on disk, under a name made of everything that they depend on.
//!
//! A file holds the numbers as safetensors, with their SHA-256 in its header. One that is cut off, altered or
//! not ours is computed anew; one that cannot be written is done without.

use data_encoding::HEXLOWER;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use sha2::{Digest, Sha256};

use super::{Basis, Gaussian, Shrinkage};
use crate::data::add_to_digest;
use crate::error::Result;
use crate::file;

/// Changes when the same data would give other numbers.
const VERSION: &str = "itd gaussian 2";
/// Gaussians that are kept; one of 3,072 dimensions takes 75 MB.
const KEPT: usize = 16;

/// Where the gaussians of big data are kept between sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cache {
    /// In the folder `gaussian` of `$ITD_CACHE`, or of `itd` in the user's cache folder, if computing takes long.
    #[default]
    Auto,
    /// In that folder, however short it takes.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

impl Cache {
    /// The folder for work that takes long or not.
    pub(super) fn folder(&self, long: bool) -> Option<PathBuf> {
        match self {
            Self::Auto if long => {
                let named = std::env::var_os("ITD_CACHE").map(PathBuf::from);
                let folder = named.or_else(|| Some(dirs::cache_dir()?.join("itd")));
                folder.map(|folder| folder.join("gaussian"))
            }
            Self::Folder(folder) => Some(folder.clone()),
            Self::Auto | Self::Off => None,
        }
    }
}

/// The gaussian in the folder, or else the one that `make` makes, which is there the next time.
pub(super) fn kept_or(
    folder: &Path,
    rows: &Tensor,
    shrinkage: Shrinkage,
    make: impl FnOnce() -> Result<Gaussian>,
) -> Result<Gaussian> {
    let path = folder.join(format!("{}.safetensors", key(rows, shrinkage)?));
    if let Some(gaussian) = load(&path, rows.dims()[1], shrinkage) {
        return Ok(gaussian);
    }
    let gaussian = make()?;
    // A full or read-only disk costs time at the next call, nothing else.
    let _ = store(&path, &gaussian).and_then(|()| forget_oldest(folder));
    Ok(gaussian)
}

/// SHA-256 of the rows' shape and bits, and of the choice made.
fn key(rows: &Tensor, shrinkage: Shrinkage) -> Result<String> {
    let (n, dim) = rows.dims2()?;
    let mut hash = Sha256::new();
    hash.update(format!("{VERSION}\n{n} × {dim}\n{shrinkage:?}\n"));
    add_to_digest(&mut hash, rows)?;
    Ok(HEXLOWER.encode(&hash.finalize()))
}

/// The names and shapes of a gaussian's tensors.
fn layout(dim: usize) -> [(&'static str, Vec<usize>); 4] {
    [
        ("eigenvalues", vec![dim]),
        ("eigenvectors", vec![dim, dim]),
        ("intensity", vec![1]),
        ("mean", vec![dim]),
    ]
}

fn sum<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.for_each(|part| hash.update(part));
    HEXLOWER.encode(&hash.finalize())
}

fn store(path: &Path, gaussian: &Gaussian) -> io::Result<()> {
    let bytes =
        |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let Basis::Vectors(vectors) = &gaussian.basis else {
        return Err(io::Error::other("a diagonal covariance is not kept"));
    };
    let vectors = vectors.flatten_all();
    let vectors = vectors.and_then(|vectors| vectors.to_vec1::<f64>());
    let parts = [
        bytes(&gaussian.eigenvalues),
        bytes(&vectors.map_err(io::Error::other)?),
        bytes(&[gaussian.intensity]),
        bytes(&gaussian.mean),
    ];
    let digest = sum(parts.iter().map(Vec::as_slice));
    let layout = layout(gaussian.dim());
    let views = layout.into_iter().zip(&parts).map(|((name, shape), part)| {
        TensorView::new(Dtype::F64, shape, part).map(|view| (name, view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>();
    let header = HashMap::from([("sha256".to_owned(), digest)]);
    let whole = views.and_then(|views| serialize(views, Some(header)));
    let whole = whole.map_err(io::Error::other)?;
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    file::replace(path, |file| file.write_all(&whole))
}

/// What is kept under that name, if it is whole and can be a gaussian.
fn load(path: &Path, dim: usize, shrinkage: Shrinkage) -> Option<Gaussian> {
    let values = dim.checked_mul(dim)?.checked_add(2 * dim + 1)?;
    // The header takes a few hundred bytes; a larger file is not ours, and is not read.
    let limit = (values as u64).checked_mul(8)?.checked_add(4096)?;
    if fs::metadata(path).ok()?.len() > limit {
        return None;
    }
    let whole = fs::read(path).ok()?;
    let (_, header) = SafeTensors::read_metadata(&whole).ok()?;
    let told = header.metadata().as_ref()?.get("sha256")?;
    let tensors = SafeTensors::deserialize(&whole).ok()?;
    let layout = layout(dim);
    let views = layout.iter().map(|(name, shape)| {
        let view = tensors.tensor(name).ok()?;
        let fits = view.dtype() == Dtype::F64 && view.shape() == shape.as_slice();
        fits.then_some(view.data())
    });
    let views: Vec<&[u8]> = views.collect::<Option<_>>()?;
    if *told != sum(views.iter().copied()) {
        return None;
    }
    let mut parts = views.iter().map(|bytes| -> Vec<f64> {
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().map(|&word| f64::from_le_bytes(word)).collect()
    });
    let (values, vectors) = (parts.next()?, parts.next()?);
    let (intensity, mean) = (parts.next()?, parts.next()?);
    let finite = |list: &[f64]| list.iter().all(|v| v.is_finite());
    let sound = finite(&mean)
        && finite(&vectors)
        && finite(&values)
        && values.iter().all(|v| *v >= 0.0)
        && values.is_sorted_by(|a, b| a >= b)
        && (0.0..=1.0).contains(intensity.first()?);
    sound.then_some(())?;
    Some(Gaussian {
        mean,
        eigenvalues: values,
        basis: Basis::Vectors(Tensor::from_vec(vectors, (dim, dim), &Device::Cpu).ok()?),
        shrinkage,
        intensity: *intensity.first()?,
    })
}

/// Removes all but the newest [`KEPT`] gaussians.
fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Whatever else lies in that folder is not ours.
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let ours = stem.len() == 64 && stem.bytes().all(|digit| digit.is_ascii_hexdigit());
        if ours && path.extension().is_some_and(|end| end == "safetensors") {
            kept.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    kept.sort();
    let surplus = kept.len().saturating_sub(KEPT);
    kept.iter()
        .take(surplus)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    const DIM: usize = 3;

    fn rows(seed: u64) -> Tensor {
        rng::normal(&[20, DIM], &mut rng::seeded(seed)).unwrap()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("itd-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    /// Takes the gaussian of the rows through the folder; tells whether it was computed.
    fn through(folder: &Path, rows: &Tensor, shrinkage: Shrinkage) -> (Gaussian, bool) {
        let mut made = false;
        let gaussian = kept_or(folder, rows, shrinkage, || {
            made = true;
            Gaussian::shrunk(rows, shrinkage)
        });
        (gaussian.unwrap(), made)
    }

    fn numbers(gaussian: &Gaussian) -> Vec<u64> {
        let Basis::Vectors(vectors) = &gaussian.basis else {
            panic!("a covariance has eigenvectors")
        };
        let vectors: Vec<f64> = vectors.flatten_all().unwrap().to_vec1().unwrap();
        let all = [&gaussian.mean, &gaussian.eigenvalues, &vectors];
        let all = all.into_iter().flatten().chain([&gaussian.intensity]);
        all.map(|v| v.to_bits()).collect()
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = fs::read_dir(folder).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        path
    }

    #[test]
    fn the_second_time_it_is_read_bit_for_bit() {
        let folder = folder("twice");
        let (first, made) = through(&folder, &rows(0), Shrinkage::LedoitWolf);
        assert!(made);
        let (second, made) = through(&folder, &rows(0), Shrinkage::LedoitWolf);
        assert!(!made);
        assert_eq!(numbers(&first), numbers(&second));
        assert_eq!(second.shrinkage, Shrinkage::LedoitWolf);
        // Other data and other choices are other gaussians.
        assert!(through(&folder, &rows(1), Shrinkage::LedoitWolf).1);
        assert!(through(&folder, &rows(0), Shrinkage::None).1);
        assert!(through(&folder, &rows(0), Shrinkage::Toward(0.1)).1);
        assert!(through(&folder, &rows(0), Shrinkage::Toward(0.2)).1);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// Whoever has his own files in that folder keeps them.
    #[test]
    fn what_is_not_ours_is_never_removed() {
        let folder = folder("others");
        fs::create_dir_all(&folder).unwrap();
        let others: Vec<PathBuf> = (0..2 * KEPT)
            .map(|i| folder.join(format!("model-{i}.safetensors")))
            .collect();
        others
            .iter()
            .for_each(|path| fs::write(path, b"weights").unwrap());
        for seed in 0..KEPT as u64 + 2 {
            through(&folder, &rows(seed), Shrinkage::None);
        }
        assert!(others.iter().all(|path| path.is_file()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), others.len() + KEPT);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = folder("damaged");
        let (sound, _) = through(&folder, &rows(0), Shrinkage::None);
        let path = only_file(&folder);
        let whole = fs::read(&path).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|at| {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            altered
        }));
        damaged.push([whole.as_slice(), &[0; 5000]].concat());
        for bytes in damaged {
            fs::write(&path, &bytes).unwrap();
            // A flipped bit may leave the header's meaning as it was (white space), but never the numbers'.
            if let Some(read) = load(&path, DIM, Shrinkage::None) {
                assert_eq!(numbers(&read), numbers(&sound));
            }
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(through(&folder, &rows(0), Shrinkage::None).1);
        assert!(!through(&folder, &rows(0), Shrinkage::None).1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_a_gaussian_is_not_believed() {
        let folder = folder("foreign");
        let (sound, _) = through(&folder, &rows(0), Shrinkage::None);
        let path = only_file(&folder);
        let mut wrong = Vec::new();
        for change in [
            |s: &mut Gaussian| s.eigenvalues.reverse(),
            |s: &mut Gaussian| s.eigenvalues[2] = -1.0,
            |s: &mut Gaussian| s.eigenvalues[0] = f64::INFINITY,
            |s: &mut Gaussian| s.mean[1] = f64::NAN,
            |s: &mut Gaussian| s.intensity = 2.0,
            |s: &mut Gaussian| {
                if let Basis::Vectors(u) = &s.basis {
                    s.basis = Basis::Vectors((u / 0.0).unwrap());
                }
            },
        ] {
            let mut changed = sound.clone();
            change(&mut changed);
            wrong.push(changed);
        }
        for dim in [2, 4] {
            let eye = Tensor::eye(dim, candle_core::DType::F64, &Device::Cpu).unwrap();
            wrong.push(Gaussian {
                basis: Basis::Vectors(eye),
                ..Gaussian::standard(dim).unwrap()
            });
        }
        for gaussian in wrong {
            store(&path, &gaussian).unwrap();
            assert!(load(&path, DIM, Shrinkage::None).is_none(), "{gaussian:?}");
        }
        store(&path, &sound).unwrap();
        assert!(load(&path, DIM, Shrinkage::None).is_some());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_no_error() {
        let folder = folder("file");
        fs::write(&folder, b"a file where the folder should be").unwrap();
        assert!(through(&folder, &rows(0), Shrinkage::None).1);
        assert!(through(&folder, &rows(0), Shrinkage::None).1);
        assert_eq!(
            fs::read(&folder).unwrap(),
            b"a file where the folder should be"
        );
        fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn only_the_newest_are_kept() {
        let folder = folder("many");
        for seed in 0..KEPT as u64 + 3 {
            assert!(through(&folder, &rows(seed), Shrinkage::None).1);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), KEPT);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn short_work_is_kept_only_where_asked() {
        assert_eq!(Cache::Auto.folder(false), None);
        assert_eq!(Cache::Off.folder(true), None);
        let folder = PathBuf::from("gaussians");
        assert_eq!(Cache::Folder(folder.clone()).folder(false), Some(folder));
    }
}
