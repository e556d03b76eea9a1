//! Pictures made of pixels, still or moving.

use super::{Figure, Image};
use crate::error::{Error, Result};

/// A picture of `width × height` pixels, filled piece by piece, then encoded.
#[derive(Debug, Clone)]
pub struct Pixels {
    width: usize,
    height: usize,
    /// Red, green, blue of each pixel, row by row; nothing of a picture that is too large.
    rgb: Vec<u8>,
}

/// The most pixels of a picture, 200 MB of them.
const MOST: usize = 1 << 26;

impl Pixels {
    /// A picture of one gray. One of more than 2²⁶ pixels cannot be drawn, which [`Self::figure`] says.
    pub fn new(width: usize, height: usize, gray: u8) -> Self {
        let pixels = width.checked_mul(height).filter(|&pixels| pixels <= MOST);
        let rgb = vec![gray; 3 * pixels.unwrap_or(0)];
        Self { width, height, rgb }
    }

    /// Sets one pixel; outside of the picture nothing happens.
    pub fn set(&mut self, row: usize, column: usize, rgb: [u8; 3]) {
        if row < self.height && column < self.width && !self.rgb.is_empty() {
            let at = (row * self.width + column) * 3;
            if let Some(pixel) = self.rgb.get_mut(at..at + 3) {
                pixel.copy_from_slice(&rgb);
            }
        }
    }

    /// The picture as a PNG file; in shades of gray when it has no colours.
    ///
    /// # Errors
    /// [`Error::Draw`] when the picture has no pixels.
    pub fn figure(&self, alt: impl Into<String>) -> Result<Figure> {
        animation(std::slice::from_ref(self), 0, alt)
    }

    /// Red, green and blue are equal everywhere.
    fn is_gray(&self) -> bool {
        let gray = |p: &[u8]| p[0] == p[1] && p[1] == p[2];
        self.rgb.chunks_exact(3).all(gray)
    }
}

/// The last picture of an animation stays so many times as long as the others.
const LAST: u16 = 15;

/// Pictures of one size as an animation that begins anew after its last: a PNG file, which shows the first where
/// animations are not known. `delay` is in milliseconds.
///
/// # Errors
/// [`Error::Draw`] when there are no pictures, they have no pixels or differ in size.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::figure::{Pixels, animation};
///
/// let frames = [0, 128, 255].map(|gray| Pixels::new(8, 8, gray));
/// let figure = animation(&frames, 100, "from black to white")?;
/// assert_eq!(figure.mime(), "image/png");
/// assert!(figure.bytes().windows(4).filter(|name| name == b"fcTL").count() == 3);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn animation(frames: &[Pixels], delay: u16, alt: impl Into<String>) -> Result<Figure> {
    let fail = |error: png::EncodingError| Error::Draw(error.to_string());
    let Some(first) = frames.first() else {
        return Err(Error::Draw(
            "an animation needs at least one picture".into(),
        ));
    };
    let size = |picture: &Pixels| (picture.width, picture.height);
    if frames.iter().any(|frame| size(frame) != size(first)) {
        return Err(Error::Draw(
            "the pictures of an animation differ in size".into(),
        ));
    }
    if first.width.saturating_mul(first.height) > MOST {
        let (width, height) = size(first);
        return Err(Error::Draw(format!(
            "it has {width} × {height} pixels; {MOST} are the most"
        )));
    }
    let gray = frames.iter().all(Pixels::is_gray);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, first.width as u32, first.height as u32);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_color(match gray {
        true => png::ColorType::Grayscale,
        false => png::ColorType::Rgb,
    });
    if frames.len() > 1 {
        encoder.set_animated(frames.len() as u32, 0).map_err(fail)?;
    }
    let mut writer = encoder.write_header().map_err(fail)?;
    for (i, frame) in frames.iter().enumerate() {
        if frames.len() > 1 {
            let times = if i + 1 == frames.len() { LAST } else { 1 };
            let delay = delay.saturating_mul(times);
            writer.set_frame_delay(delay, 1000).map_err(fail)?;
        }
        let every = if gray { 3 } else { 1 };
        let data: Vec<u8> = frame.rgb.iter().step_by(every).copied().collect();
        writer.write_image_data(&data).map_err(fail)?;
    }
    writer.finish().map_err(fail)?;
    Ok(Figure {
        image: Image::Png(file),
        alt: alt.into(),
    })
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
    fn what_is_no_picture_is_refused() {
        assert!(Pixels::new(0, 2, 0).figure("").is_err());
        assert!(animation(&[], 50, "").is_err());
        let two = [Pixels::new(2, 2, 0), Pixels::new(2, 3, 0)];
        assert!(animation(&two, 50, "").is_err());
    }

    #[test]
    fn every_frame_survives_the_file() {
        let frames: Vec<Pixels> = (0..4)
            .map(|i| {
                let mut frame = Pixels::new(5, 3, 200);
                frame.set(1, i, [10, 20, 30 * i as u8]);
                frame
            })
            .collect();
        let figure = animation(&frames, 40, "").unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(figure.bytes()));
        let mut reader = decoder.read_info().unwrap();
        let control = reader.info().animation_control.unwrap();
        assert_eq!((control.num_frames, control.num_plays), (4, 0));
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        for (i, frame) in frames.iter().enumerate() {
            reader.next_frame(&mut data).unwrap();
            assert_eq!(data, frame.rgb, "frame {i}");
            let delay = reader.info().frame_control.unwrap().delay_num;
            assert_eq!(delay, if i == 3 { 600 } else { 40 });
        }
    }

    #[test]
    fn a_picture_that_is_too_large_is_an_error() {
        for (width, height) in [
            (usize::MAX, 2),
            (1 << 20, 1 << 20),
            (usize::MAX, usize::MAX),
        ] {
            let mut picture = Pixels::new(width, height, 0);
            picture.set(1, 1, [1, 2, 3]);
            let error = picture.figure("").unwrap_err().to_string();
            assert!(error.contains("67108864 are the most"), "{error}");
        }
    }
}
