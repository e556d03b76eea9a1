//! CIFAR-10: records of one label and the pixels of one picture, or the pickles of its Python version.

use std::fs;
use std::path::{Path, PathBuf};

use super::buffer::ImageBuffer;
use super::cifar_pickle;
use super::reader::{Length, Reader, file_error};
use super::{ImageSpec, Images};
use crate::error::{Error, Place, Result};

/// Channels, rows, columns: all red pixels, all green ones, all blue ones, row by row.
pub(super) const SHAPE: [usize; 3] = [3, 32, 32];

/// Bytes in a picture.
pub(super) const PIXELS: usize = 3 * 32 * 32;

/// Bytes in a record.
const RECORD: usize = 1 + PIXELS;

/// The records of some files (`data_batch_1.bin` and so on), one file after the other.
///
/// A file that was cut off between two records cannot be told from a shorter one. All files of CIFAR-10 hold
/// as many records, so that [`published`](super::published) notices.
///
/// # Shapes
/// `[n, 3, 32, 32]`, upright, with one label a picture.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the byte, when a file is
/// empty or ends within a record, or a label has no class in `spec`; [`Error::Empty`] without files.
///
/// # Source
/// A. Krizhevsky, The CIFAR-10 dataset, "Binary version".
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// use itd_prelude::images::{ImageSpec, cifar};
///
/// let path = std::env::temp_dir().join(format!("one-record-{}.bin", std::process::id()));
/// let record = [&[7][..], &[255; 1024], &[0; 2048]].concat(); // a red horse
/// std::fs::write(&path, record).expect("a place for files");
/// let data = cifar::records(&[path.clone()], &ImageSpec::default())?;
/// assert_eq!((data.labels, data.shape), (Some(vec![7]), [3, 32, 32]));
/// # std::fs::remove_file(path).expect("the file is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn records(files: &[PathBuf], spec: &ImageSpec) -> Result<Images> {
    let first = first(files, spec)?;
    let mut sources = Vec::new();
    let mut total = 0;
    for file in files {
        let mut source = Reader::open(file)?;
        let count = count(&mut source)?;
        total += count;
        sources.push((file, source, count));
    }
    let mut buffer = ImageBuffer::new(first, total, SHAPE)?;
    let mut labels = Vec::with_capacity(total);
    let mut record = [0; RECORD];
    for (file, mut source, count) in sources {
        for _ in 0..count {
            let place = source.place();
            source.fill(&mut record, "a record")?;
            let label = u32::from(record[0]);
            spec.check_label(file, place, label)?;
            labels.push(label);
            buffer.push(&record[1..]);
        }
        source.end()?;
    }
    Ok(buffer.finish(first, Some(labels), spec.classes.clone()))
}

/// The pictures in pickles of the Python version (`data_batch_1` and so on, in `cifar-10-batches-py`), one file after
/// the other. Nothing in a pickle is executed, whatever it asks for.
///
/// # Shapes
/// As [`records`].
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the byte, when a file is no pickle of a
/// dict with an array `data` of bytes `[n, 3072]` and a list `labels` as long, or names what has no place in one;
/// [`Error::Empty`] without files.
///
/// # Source
/// A. Krizhevsky, The CIFAR-10 dataset, "Python version".
pub fn pickles(files: &[PathBuf], spec: &ImageSpec) -> Result<Images> {
    let first = first(files, spec)?;
    let mut total = 0u64;
    for file in files {
        let stored = fs::metadata(file).map_err(|cause| file_error(file, cause))?;
        total = total.saturating_add(stored.len());
    }
    // A picture takes its bytes at least.
    let most = total.div_ceil(PIXELS as u64) as usize;
    let mut buffer = ImageBuffer::new(first, most, SHAPE)?;
    let mut labels = Vec::new();
    for file in files {
        cifar_pickle::read(file, spec, &mut buffer, &mut labels)?;
    }
    Ok(buffer.finish(first, Some(labels), spec.classes.clone()))
}

/// The first file, once pictures of CIFAR may fit.
fn first<'a>(files: &'a [PathBuf], spec: &ImageSpec) -> Result<&'a Path> {
    let first = files.first().ok_or(Error::Empty {
        what: "the list of files",
    })?;
    spec.check_shape(first, Place::File, SHAPE)?;
    Ok(first)
}

/// The number of records in a file.
fn count(source: &mut Reader) -> Result<usize> {
    let Length::Exactly(length) = source.length else {
        return Err(source.error(
            "the file",
            "gzip".into(),
            "unpacked records; unpack it first".into(),
        ));
    };
    let (whole, rest) = (length / RECORD as u64, length % RECORD as u64);
    if whole > 0 && rest == 0 {
        return Ok(whole as usize);
    }
    if let Some(error) = source.known_other("records of CIFAR, of 3073 bytes each") {
        return Err(error);
    }
    Err(source.error_at(
        Place::Byte(length - rest),
        "the last record",
        format!("{rest} bytes long"),
        format!("{RECORD} bytes; the file is not whole, get it anew"),
    ))
}

/// Both parts of the set in a folder, binary or of the Python version: five files to learn from and one to judge with;
/// `None` when there is not one of them.
///
/// # Errors
/// As [`records`] and [`pickles`]; [`Error::Format`] when the files do not hold as much as each other.
pub(super) fn both(folder: &Path, spec: &ImageSpec) -> Result<Option<(Images, Images)>> {
    if let Some((train, test)) = parts(folder, ".bin") {
        let need = length(&test[0])?;
        for file in train.iter().chain(&test) {
            let got = length(file)?;
            if got != need {
                return Err(Error::Format {
                    path: file.clone(),
                    at: Place::Byte(got.min(need)),
                    what: "the length of the file",
                    got: format!("{got} bytes"),
                    need: format!("{need}, as that of {}; get both anew", test[0].display()),
                });
            }
        }
        let test = records(&test, spec)?;
        return Ok(Some((records(&train, spec)?, test)));
    }
    let Some((train, test)) = parts(folder, "") else {
        return Ok(None);
    };
    let judged = pickles(&test, spec)?;
    let learned = pickles(&train, spec)?;
    match learned.len() == 5 * judged.len() {
        true => Ok(Some((learned, judged))),
        false => Err(Error::Format {
            path: train[0].clone(),
            at: Place::File,
            what: "the number of pictures in the five files to learn from",
            got: learned.len().to_string(),
            need: format!(
                "{}, five times those of {}",
                5 * judged.len(),
                test[0].display()
            ),
        }),
    }
}

/// The files to learn from and the one to judge with, if one of them is there.
fn parts(folder: &Path, end: &str) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let train = (1..=5)
        .map(|i| folder.join(format!("data_batch_{i}{end}")))
        .collect::<Vec<_>>();
    let test = vec![folder.join(format!("test_batch{end}"))];
    let any = train.iter().chain(&test).any(|file| file.exists());
    any.then_some((train, test))
}

fn length(file: &Path) -> Result<u64> {
    let stored = fs::metadata(file).map_err(|cause| file_error(file, cause))?;
    Ok(stored.len())
}
