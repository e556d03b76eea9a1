//! Pictures made of pixels.

use super::{Figure, Image};
use crate::error::{Error, Result};

/// A picture of `width × height` pixels, filled piece by piece, then encoded.
#[derive(Debug, Clone)]
pub struct Pixels {
    width: usize,
    height: usize,
    /// Red, green, blue of each pixel, row by row.
    rgb: Vec<u8>,
}

impl Pixels {
    /// A picture of one gray.
    pub fn new(width: usize, height: usize, gray: u8) -> Self {
        let rgb = vec![gray; width * height * 3];
        Self { width, height, rgb }
    }

    /// Sets one pixel; outside of the picture nothing happens.
    pub fn set(&mut self, row: usize, column: usize, rgb: [u8; 3]) {
        if row < self.height && column < self.width {
            let at = (row * self.width + column) * 3;
            self.rgb[at..at + 3].copy_from_slice(&rgb);
        }
    }

    /// The picture as a PNG file; in shades of gray when it has no colours.
    ///
    /// # Errors
    /// [`Error::Draw`] when the picture has no pixels.
    pub fn figure(&self, alt: impl Into<String>) -> Result<Figure> {
        let fail = |error: png::EncodingError| Error::Draw(error.to_string());
        let gray: Option<Vec<u8>> = self
            .rgb
            .chunks_exact(3)
            .map(|p| (p[0] == p[1] && p[1] == p[2]).then_some(p[0]))
            .collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.set_color(match gray {
            Some(_) => png::ColorType::Grayscale,
            None => png::ColorType::Rgb,
        });
        let mut writer = encoder.write_header().map_err(fail)?;
        let data = gray.as_deref().unwrap_or(&self.rgb);
        writer.write_image_data(data).map_err(fail)?;
        writer.finish().map_err(fail)?;
        Ok(Figure {
            image: Image::Png(file),
            alt: alt.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_survive_the_file() {
        let mut picture = Pixels::new(3, 2, 255);
        picture.set(1, 2, [10, 20, 30]);
        picture.set(9, 9, [0, 0, 0]);
        let figure = picture.figure("test").unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(figure.bytes()));
        let mut reader = decoder.read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        assert_eq!(data[15..18], [10, 20, 30]);
        assert_eq!(data[..3], [255, 255, 255]);
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        assert!(Pixels::new(0, 2, 0).figure("").is_err());
    }
}
