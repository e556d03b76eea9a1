//! Pictures of one size, put one after the other while they are read.

use std::path::Path;

use itd_cell::memory::room_for;

use super::Images;
use super::decode::Picture;
use crate::error::Result;

/// The bytes of pictures.
///
/// All memory is asked for at the start: a vector that grows would need that of the set twice.
pub(super) struct ImageBuffer {
    shape: [usize; 3],
    count: usize,
    pixels: Vec<u8>,
}

impl ImageBuffer {
    /// Room for `count` pictures `[channels, height, width]` from a file.
    pub(super) fn new(path: &Path, count: usize, shape: [usize; 3]) -> Result<Self> {
        Ok(Self {
            shape,
            count,
            pixels: room(path, count, shape)?,
        })
    }

    /// `[channels, height, width]` of each picture.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Bytes in the order of the set: channels, rows, columns.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pixels.extend(bytes);
    }

    /// A picture of the same height and width. The first one in colour makes those before it coloured, if need be.
    pub(super) fn push_picture(&mut self, path: &Path, picture: &Picture) -> Result<()> {
        let [have, need] = [picture.shape[0], self.shape[0]];
        if (have, need) == (3, 1) {
            self.widen(path)?;
        }
        let channels = self.shape[0];
        for channel in 0..channels {
            let plane = picture
                .bytes
                .iter()
                .skip(channel.min(have - 1))
                .step_by(have);
            self.pixels.extend(plane);
        }
        Ok(())
    }

    /// Grey pictures as coloured ones.
    fn widen(&mut self, path: &Path) -> Result<()> {
        let [_, height, width] = self.shape;
        self.shape = [3, height, width];
        let mut pixels = room(path, self.count, self.shape)?;
        for plane in self.pixels.chunks_exact(height * width) {
            (0..3).for_each(|_| pixels.extend(plane));
        }
        self.pixels = pixels;
        Ok(())
    }

    /// Lays each picture on its other side: columns become rows.
    pub(super) fn transpose(&mut self) {
        let [channels, height, width] = self.shape;
        let mut turned = vec![0; height * width];
        for plane in self.pixels.chunks_exact_mut(height * width) {
            for (at, to) in turned.iter_mut().enumerate() {
                *to = plane[at % height * width + at / height];
            }
            plane.copy_from_slice(&turned);
        }
        self.shape = [channels, width, height];
    }

    /// The set that the pictures make.
    pub(super) fn finish(
        self,
        path: &Path,
        labels: Option<Vec<u32>>,
        classes: Vec<String>,
    ) -> Images {
        Images {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            shape: self.shape,
            pixels: self.pixels,
            labels,
            classes,
        }
    }
}

/// Memory for so many pictures.
fn room(path: &Path, count: usize, [channels, height, width]: [usize; 3]) -> Result<Vec<u8>> {
    let what = format!("the pictures of {}", path.display());
    let size = room_for::<u8>(&what, &[count, channels, height, width])?;
    Ok(Vec::with_capacity(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_planes_and_grey_becomes_colour() {
        let path = Path::new("none");
        let mut buffer = ImageBuffer::new(path, 2, [1, 1, 2]).unwrap();
        let picture = |channels, bytes: &[u8]| Picture {
            shape: [channels, 1, 2],
            bytes: bytes.to_vec(),
        };
        buffer.push_picture(path, &picture(1, &[7, 8])).unwrap();
        buffer
            .push_picture(path, &picture(3, &[0, 1, 2, 255, 254, 253]))
            .unwrap();
        buffer.push_picture(path, &picture(1, &[5, 6])).unwrap();
        let images = buffer.finish(path, None, Vec::new());
        assert_eq!((images.len(), images.shape), (3, [3, 1, 2]));
        assert_eq!(images.picture(0), Some(&[7, 8, 7, 8, 7, 8][..]));
        assert_eq!(images.picture(1), Some(&[0, 255, 1, 254, 2, 253][..]));
        assert_eq!(images.picture(2), Some(&[5, 6, 5, 6, 5, 6][..]));
        assert_eq!(images.picture(3), None);
    }

    #[test]
    fn columns_become_rows() {
        let mut buffer = ImageBuffer::new(Path::new("none"), 1, [1, 2, 3]).unwrap();
        buffer.push(&[1, 2, 3, 4, 5, 6]);
        buffer.transpose();
        assert_eq!(
            (buffer.shape, &buffer.pixels[..]),
            ([1, 3, 2], &[1, 4, 2, 5, 3, 6][..])
        );
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(ImageBuffer::new(Path::new("none"), usize::MAX, [1, 28, 28]).is_err());
    }
}
