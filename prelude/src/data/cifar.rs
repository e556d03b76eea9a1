//! The binary files of CIFAR-10: records of one label and the pixels of one picture.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::{Length, Source, file_error};
use super::stack::Stack;
use super::{Dataset, Form};
use crate::error::{Error, Place, Result};

/// Channels, rows, columns: all red pixels, all green ones, all blue ones, row by row.
const SHAPE: [usize; 3] = [3, 32, 32];

/// Bytes in a record.
const RECORD: usize = 1 + 3 * 32 * 32;

/// The records of some files, one file after the other, on 256 levels from −1 to 1.
///
/// A file that was cut off between two records cannot be told from a shorter one. All files of CIFAR-10 hold
/// as many records, so that [`cifar10`](super::cifar10) notices.
///
/// # Shapes
/// `[n, 3, 32, 32]`, upright, with one label a picture.
///
/// # Errors
/// [`Error::File`] when a file cannot be opened; [`Error::Format`], which names the byte, when a file is
/// empty or ends within a record, or a label has no class in `form`; [`Error::Empty`] without files.
///
/// # Numerics
/// Byte `b` becomes the `f32` nearest to `b/127.5 − 1`.
///
/// # Source
/// A. Krizhevsky, The CIFAR-10 dataset, "Binary version".
///
/// # Example
/// ```
/// use itd_prelude::data::{Form, cifar};
///
/// let path = std::env::temp_dir().join(format!("one-record-{}.bin", std::process::id()));
/// let record = [&[7][..], &[255; 1024], &[0; 2048]].concat(); // a red horse
/// std::fs::write(&path, record).expect("a place for files");
/// let data = cifar::records(&[path.clone()], &Form::default())?;
/// assert_eq!((data.labels()?, data.x.dims()), (&[7][..], &[1, 3, 32, 32][..]));
/// # std::fs::remove_file(path).expect("the file is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn records(files: &[PathBuf], form: &Form) -> Result<Dataset> {
    let Some(first) = files.first() else {
        return Err(Error::Empty {
            what: "the list of files",
        });
    };
    form.check_shape(first, Place::File, SHAPE)?;
    let mut sources = Vec::new();
    let mut total = 0;
    for file in files {
        let mut source = Source::open(file)?;
        let count = count(&mut source)?;
        total += count;
        sources.push((file, source, count));
    }
    let mut stack = Stack::new(first, total, SHAPE)?;
    let mut labels = Vec::with_capacity(total);
    let mut record = [0; RECORD];
    for (file, mut source, count) in sources {
        for _ in 0..count {
            let place = source.place();
            source.fill(&mut record, "a record")?;
            form.check_label(file, place, record[0])?;
            labels.push(record[0]);
            stack.push(&record[1..]);
        }
        source.end()?;
    }
    let name = first.file_name().unwrap_or_default().to_string_lossy();
    let mut data = stack.finish(&name, Some(labels))?;
    data.classes = form.classes.clone();
    Ok(data)
}

/// The number of records in a file.
fn count(source: &mut Source) -> Result<usize> {
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
    Err(source.error_at(
        Place::Byte(length - rest),
        "the last record",
        format!("{rest} bytes long"),
        format!("{RECORD} bytes; the file is not whole, get it anew"),
    ))
}

/// The parts of the set in a folder: five files to learn from and one to judge with; `None` when there is
/// not one of them.
///
/// # Errors
/// As [`records`]; [`Error::Format`] when the files are not of one length.
pub(super) fn both(folder: &Path, form: &Form) -> Result<Option<(Dataset, Dataset)>> {
    let train: Vec<PathBuf> = (1..=5)
        .map(|i| folder.join(format!("data_batch_{i}.bin")))
        .collect();
    let test = folder.join("test_batch.bin");
    let all = || train.iter().chain([&test]);
    if !all().any(|file| file.exists()) {
        return Ok(None);
    }
    let need = fs::metadata(&test)
        .map_err(|cause| file_error(&test, cause))?
        .len();
    for file in all() {
        let got = fs::metadata(file)
            .map_err(|cause| file_error(file, cause))?
            .len();
        if got != need {
            return Err(Error::Format {
                path: file.clone(),
                at: Place::Byte(got.min(need)),
                what: "the length of the file",
                got: format!("{got} bytes"),
                need: format!("{need}, as that of {}; get both anew", test.display()),
            });
        }
    }
    let test = records(&[test], form)?;
    Ok(Some((records(&train, form)?, test)))
}
