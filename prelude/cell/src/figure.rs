//! Pictures: [`Figure`] is the finished value, [`Chart`] draws lines, bands and points into one.
//!
//! Charts are drawn with plotters onto a small SVG backend of ours, which keeps tenths of pixels and merges
//! shapes of one style, so that files stay small; of more than 20,000 points, those are drawn that can be seen. No
//! fonts are read: the viewer's own are used.

mod axis;
mod chart;
mod clip;
mod png;
mod row;
mod strips;
mod svg;
mod thin;

use std::fmt;
use std::path::Path;

pub use axis::Scale;
pub use chart::{Chart, Legend};
pub use png::{Pixels, animation};
pub use row::row;
pub use strips::strips;

use crate::error::{Error, Result};

/// A colour, as red, green, blue.
pub type Color = (u8, u8, u8);

/// The reference that others are compared with, and everything secondary.
pub const GRAY: Color = (89, 89, 89);

/// Colours for series, in order; told apart by colour-blind readers too (after Okabe and Ito, darkened
/// where they would be pale on white).
pub const PALETTE: [Color; 6] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 138, 102),
    (178, 92, 146),
    (196, 134, 0),
    (48, 143, 201),
];

/// The colour of the `i`-th series: those of [`PALETTE`], then the same in a darker shade, and so on in turns.
pub fn color(i: usize) -> Color {
    let (r, g, b) = PALETTE[i % PALETTE.len()];
    let darker = |part: u8| (f64::from(part) * 0.55) as u8;
    match i / PALETTE.len() % 2 {
        0 => (r, g, b),
        _ => (darker(r), darker(g), darker(b)),
    }
}

/// A finished picture, with a text for those who cannot see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Figure {
    /// The picture itself.
    pub image: Image,
    /// What it shows, in words.
    pub alt: String,
}

/// The form of a picture.
#[derive(Clone, PartialEq, Eq)]
pub enum Image {
    /// A drawing: an SVG document.
    Svg(String),
    /// Pixels: a PNG file.
    Png(Vec<u8>),
}

impl Figure {
    /// The SVG document, if it is a drawing.
    pub fn svg(&self) -> Option<&str> {
        match &self.image {
            Image::Svg(text) => Some(text),
            Image::Png(_) => None,
        }
    }

    /// The file: UTF-8 text of a drawing, or the bytes of a PNG.
    pub fn bytes(&self) -> &[u8] {
        match &self.image {
            Image::Svg(text) => text.as_bytes(),
            Image::Png(bytes) => bytes,
        }
    }

    /// The MIME type of [`Self::bytes`].
    pub fn mime(&self) -> &'static str {
        match &self.image {
            Image::Svg(_) => "image/svg+xml",
            Image::Png(_) => "image/png",
        }
    }

    /// Writes the picture to a file. One that is there is replaced in one move, when all is written.
    ///
    /// # Errors
    /// [`Error::File`] when the folder is missing, full, or not to be written to.
    pub fn save(&self, path: &str) -> Result<()> {
        let path = Path::new(path);
        let fail = |cause: std::io::Error| Error::File {
            path: path.to_owned(),
            cause: cause.into(),
        };
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let written =
            std::fs::write(&part, self.bytes()).and_then(|()| std::fs::rename(&part, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        written.map_err(fail)
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.bytes().len();
        write!(f, "Figure({}, {size} bytes: {})", self.mime(), self.alt)
    }
}
