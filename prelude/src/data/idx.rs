//! IDX, the format of MNIST: counts, highest byte first, then the bytes of all pictures or labels.
//!
//! Files may be plain or gzip; their first bytes tell, not their names.

use std::path::Path;

use super::source::{Length, Source};
use super::stack::Stack;
use super::{Dataset, Form};
use crate::error::{Error, Place, Result};

/// The first number of a file of pictures: bytes, three axes.
const IMAGES: u32 = 2051;

/// The first number of a file of labels: bytes, one axis.
const LABELS: u32 = 2049;

/// Pictures without labels, on 256 levels from −1 to 1.
///
/// # Shapes
/// `[n, 1, height, width]`, upright: rows from top to bottom, columns from left to right.
///
/// # Errors
/// [`Error::File`] when the file cannot be opened; [`Error::Format`], which names the byte, when it is not
/// an IDX file of pictures, ends early, goes on after its last picture, holds none, or does not fit `form`.
///
/// # Numerics
/// Byte `b` becomes the `f32` nearest to `b/127.5 − 1`.
///
/// # Source
/// Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats".
///
/// # Example
/// ```
/// use itd_prelude::data::{Form, idx};
///
/// let path = std::env::temp_dir().join(format!("one-picture-{}", std::process::id()));
/// let header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]; // 1 picture, 1 row, 2 columns
/// std::fs::write(&path, [&header[..], &[0, 255]].concat()).expect("a place for files");
/// let data = idx::images(&path, &Form::default())?;
/// assert_eq!(data.x.flatten_all()?.to_vec1::<f32>()?, [-1.0, 1.0]);
/// # std::fs::remove_file(path).expect("the file is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn images(path: impl AsRef<Path>, form: &Form) -> Result<Dataset> {
    read_images(path.as_ref(), form, None)
}

/// Pictures with their labels.
///
/// # Shapes
/// As [`images`]; one label a picture.
///
/// # Errors
/// As [`images`] and [`labels`]; [`Error::Format`] when there are not as many labels as pictures, or a label
/// has no class in `form`.
pub fn labelled(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    form: &Form,
) -> Result<Dataset> {
    let path = labels.as_ref();
    let labels = self::labels(path)?;
    for (i, &label) in labels.iter().enumerate() {
        form.check_label(path, Place::Byte(8 + i as u64), label)?;
    }
    read_images(images.as_ref(), form, Some((path, labels)))
}

/// The labels of a file.
///
/// # Errors
/// [`Error::File`] when the file cannot be opened; [`Error::Format`] when it is not an IDX file of labels,
/// ends early, goes on after its last label, or holds none.
pub fn labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let mut source = Source::open(path.as_ref())?;
    magic(&mut source, LABELS, "labels")?;
    let count = axis(&mut source, "the number of labels")?;
    check_length(&source, 8, count)?;
    let mut labels = vec![0; count as usize];
    source.fill(&mut labels, "the list of labels")?;
    source.end()?;
    Ok(labels)
}

fn read_images(path: &Path, form: &Form, labels: Option<(&Path, Vec<u8>)>) -> Result<Dataset> {
    let mut source = Source::open(path)?;
    magic(&mut source, IMAGES, "pictures")?;
    let count = axis(&mut source, "the number of pictures")?;
    let height = axis(&mut source, "the height of a picture")?;
    let width = axis(&mut source, "the width of a picture")?;
    if let Some((labels_path, labels)) = &labels
        && labels.len() as u64 != count
    {
        return Err(Error::Format {
            path: (*labels_path).into(),
            at: Place::Byte(4),
            what: "the number of labels",
            got: labels.len().to_string(),
            need: format!("{count}, as many as pictures in {}", path.display()),
        });
    }
    let size = count.saturating_mul(height).saturating_mul(width);
    check_length(&source, 16, size)?;
    let shape = [1, height as usize, width as usize];
    form.check_shape(path, Place::Byte(8), shape)?;
    let mut stack = Stack::new(path, count as usize, shape)?;
    let mut left = size as usize;
    let mut buffer = vec![0; left.min(1 << 16)];
    while left > 0 {
        let part = buffer.len().min(left);
        source.fill(&mut buffer[..part], "a run of pixels")?;
        stack.push(&buffer[..part]);
        left -= part;
    }
    source.end()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut data = stack.finish(&name, labels.map(|(_, labels)| labels))?;
    data.classes = form.classes.clone();
    Ok(data)
}

fn magic(source: &mut Source, need: u32, of: &str) -> Result<()> {
    let place = source.place();
    let got = source.number("the magic number")?;
    if got == need {
        return Ok(());
    }
    let other = match got {
        IMAGES => " (pictures)",
        LABELS => " (labels)",
        _ => "",
    };
    let need = format!("{need}, that of an IDX file of {of}");
    Err(source.error_at(place, "the magic number", format!("{got}{other}"), need))
}

fn axis(source: &mut Source, what: &'static str) -> Result<u64> {
    let place = source.place();
    match source.number(what)? {
        0 => Err(source.error_at(place, what, "0".into(), "at least 1".into())),
        count => Ok(u64::from(count)),
    }
}

/// Compares what the header promises with what the file can hold, before any memory is asked for.
fn check_length(source: &Source, header: u64, size: u64) -> Result<()> {
    let promised = header.saturating_add(size);
    let (fits, got) = match source.length {
        Length::Exactly(length) => (promised == length, format!("{length} bytes long")),
        Length::AtMost(most) => (
            promised <= most,
            format!("gzip that holds {most} bytes at most"),
        ),
    };
    if fits {
        return Ok(());
    }
    let need = format!(
        "{promised} bytes, as its header says; the header is wrong or the file is not whole"
    );
    Err(source.error_at(Place::Byte(4), "the file", got, need))
}
