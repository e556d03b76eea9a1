//! IDX, the format of MNIST: counts, highest byte first, then the bytes of all pictures or labels.
//!
//! Files may be plain or gzip; their first bytes tell, not their names. The files of EMNIST
//! (`emnist-letters-train-images-idx3-ubyte` and so on) hold each picture lying on its side, columns first: those are
//! told by their names, and set upright.

use std::path::Path;

use super::buffer::ImageBuffer;
use super::reader::{Length, Reader};
use super::{ImageSpec, Images};
use crate::error::{Error, Place, Result};

/// The first number of a file of pictures: bytes, three axes.
const IMAGES: u32 = 2051;

/// The first number of a file of labels: bytes, one axis.
const LABELS: u32 = 2049;

/// Pictures without labels.
///
/// # Shapes
/// `[n, 1, height, width]`, upright: rows from top to bottom, columns from left to right.
///
/// # Errors
/// [`Error::File`] when the file cannot be opened; [`Error::Format`], which names the byte, when it is not
/// an IDX file of pictures, ends early, goes on after its last picture, holds none, or does not fit `spec`.
///
/// # Source
/// Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats"; G. Cohen et al. (2017), EMNIST,
/// arXiv:1702.05373, and its download page, for the order of pixels.
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// use itd_prelude::images::{ImageSpec, idx};
///
/// let path = std::env::temp_dir().join(format!("one-picture-{}", std::process::id()));
/// let header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]; // 1 picture, 1 row, 2 columns
/// std::fs::write(&path, [&header[..], &[0, 255]].concat()).expect("a place for files");
/// assert_eq!(idx::images(&path, &ImageSpec::default())?.pixels, [0, 255]);
/// # std::fs::remove_file(path).expect("the file is there");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn images(path: impl AsRef<Path>, spec: &ImageSpec) -> Result<Images> {
    read_images(path.as_ref(), spec, None)
}

/// Pictures with their labels.
///
/// # Shapes
/// As [`images`]; one label a picture.
///
/// # Errors
/// As [`images`] and [`labels`]; [`Error::Format`] when there are not as many labels as pictures, or a label
/// has no class in `spec`.
pub fn labelled(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    spec: &ImageSpec,
) -> Result<Images> {
    let path = labels.as_ref();
    let labels = self::labels(path)?;
    for (i, &label) in labels.iter().enumerate() {
        spec.check_label(path, Place::Byte(8 + i as u64), label.into())?;
    }
    read_images(images.as_ref(), spec, Some((path, labels)))
}

/// The labels of a file.
///
/// # Errors
/// [`Error::File`] when the file cannot be opened; [`Error::Format`] when it is not an IDX file of labels,
/// ends early, goes on after its last label, or holds none.
pub fn labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let mut source = Reader::open(path.as_ref())?;
    magic(&mut source, LABELS, "labels")?;
    let count = axis(&mut source, "the number of labels")?;
    check_length(&source, 8, count)?;
    let mut labels = vec![0; count as usize];
    source.fill(&mut labels, "the list of labels")?;
    source.end()?;
    Ok(labels)
}

/// Whether a file is one of EMNIST, by its name.
fn lies_on_its_side(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.to_lowercase().starts_with("emnist-")
}

fn read_images(path: &Path, spec: &ImageSpec, labels: Option<(&Path, Vec<u8>)>) -> Result<Images> {
    let mut source = Reader::open(path)?;
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
    let turned = lies_on_its_side(path);
    spec.check_shape(
        path,
        Place::Byte(8),
        if turned {
            [1, shape[2], shape[1]]
        } else {
            shape
        },
    )?;
    let mut buffer = ImageBuffer::new(path, count as usize, shape)?;
    let mut left = size as usize;
    let mut part = vec![0; left.min(1 << 16)];
    while left > 0 {
        let more = part.len().min(left);
        source.fill(&mut part[..more], "a run of pixels")?;
        buffer.push(&part[..more]);
        left -= more;
    }
    source.end()?;
    if turned {
        buffer.transpose();
    }
    let labels = labels.map(|(_, labels)| labels.into_iter().map(u32::from).collect());
    Ok(buffer.finish(path, labels, spec.classes.clone()))
}

fn magic(source: &mut Reader, need: u32, of: &str) -> Result<()> {
    let place = source.place();
    let got = source.number("the magic number")?;
    if got == need {
        return Ok(());
    }
    let other = match got {
        IMAGES => " (pictures)",
        LABELS => " (labels)",
        // Bytes and other numbers, of any number of axes.
        0x0800..0x0f00 => " (an IDX file of another kind)",
        _ => return Err(source.other(&format!("an IDX file of {of}"))),
    };
    let need = format!("{need}, that of an IDX file of {of}");
    Err(source.error_at(place, "the magic number", format!("{got}{other}"), need))
}

fn axis(source: &mut Reader, what: &'static str) -> Result<u64> {
    let place = source.place();
    match source.number(what)? {
        0 => Err(source.error_at(place, what, "0".into(), "at least 1".into())),
        count => Ok(u64::from(count)),
    }
}

/// Compares what the header promises with what the file can hold, before any memory is asked for.
fn check_length(source: &Reader, header: u64, size: u64) -> Result<()> {
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
