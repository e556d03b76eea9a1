//! Which way up a picture is: cameras write the pixels as they lie on the sensor, and a note on how to turn them.

use exif::{In, Reader, Tag};

use super::decode::Picture;

/// The note in Exif data, from 1, upright, to 8. Broken data have none.
pub(super) fn of(exif: &[u8]) -> u32 {
    let exif = crate::catch_panic::catch_panic(|| Reader::new().read_raw(exif.to_vec()));
    let Ok(Ok(exif)) = exif else {
        return 1;
    };
    let field = exif.get_field(Tag::Orientation, In::PRIMARY);
    let value = field.and_then(|field| field.value.get_uint(0));
    value.filter(|value| (1..=8).contains(value)).unwrap_or(1)
}

/// The picture upright.
pub(super) fn upright(picture: Picture, orientation: u32) -> Picture {
    let [channels, h, w] = picture.shape;
    // Where the pixel of the upright picture at row y and column x lies.
    let source: fn(usize, usize, usize, usize) -> (usize, usize) = match orientation {
        2 => |y, x, _, w| (y, w - 1 - x),
        3 => |y, x, h, w| (h - 1 - y, w - 1 - x),
        4 => |y, x, h, _| (h - 1 - y, x),
        5 => |y, x, _, _| (x, y),
        6 => |y, x, h, _| (h - 1 - x, y),
        7 => |y, x, h, w| (h - 1 - x, w - 1 - y),
        8 => |y, x, _, w| (x, w - 1 - y),
        _ => return picture,
    };
    let (height, width) = if orientation >= 5 { (w, h) } else { (h, w) };
    let mut bytes = Vec::with_capacity(picture.bytes.len());
    for y in 0..height {
        for x in 0..width {
            let (row, column) = source(y, x, h, w);
            let at = (row * w + column) * channels;
            bytes.extend(&picture.bytes[at..at + channels]);
        }
    }
    Picture {
        shape: [channels, height, width],
        bytes,
    }
}
