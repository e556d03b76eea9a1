//! What pictures that are read from a file must be like.

use std::path::Path;

use crate::error::{Error, Place, Result};

/// What a reader of pictures demands of them; by default nothing.
///
/// # Example: handwritten digits
/// ```
/// # use itd_files as itd_prelude;
/// use itd_prelude::images::ImageSpec;
///
/// let spec = ImageSpec {
///     shape: Some([1, 28, 28]),
///     classes: (0..10).map(|digit| digit.to_string()).collect(),
/// };
/// assert_ne!(spec, ImageSpec::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSpec {
    /// `[channels, height, width]` of each picture, with 1 channel for grey and 3 for colour; with `None` the first
    /// picture decides on height and width, and one in colour makes all of them coloured.
    pub shape: Option<[usize; 3]>,
    /// The names of the classes: labels are below their number. Empty when any label may come.
    pub classes: Vec<String>,
}

impl ImageSpec {
    /// Refuses a shape that is not the one that is needed.
    pub(super) fn check_shape(&self, path: &Path, at: Place, got: [usize; 3]) -> Result<()> {
        match self.shape {
            Some(need) if need != got => Err(Error::Format {
                path: path.into(),
                at,
                what: "the size of a picture",
                got: size(got),
                need: size(need),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses a label without a class.
    pub(super) fn check_label(&self, path: &Path, at: Place, label: u32) -> Result<()> {
        if self.classes.is_empty() || (label as usize) < self.classes.len() {
            return Ok(());
        }
        Err(Error::Format {
            path: path.into(),
            at,
            what: "a label",
            got: label.to_string(),
            need: format!("below {}, the number of classes", self.classes.len()),
        })
    }
}

/// A shape as it is written about pictures.
pub(super) fn size([channels, height, width]: [usize; 3]) -> String {
    let kind = match channels {
        1 => "grey",
        3 => "colour",
        _ => return format!("{channels} channels of {height} × {width}"),
    };
    format!("{height} × {width} in {kind}")
}
