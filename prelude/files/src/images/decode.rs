//! One picture, decoded within what its file can hold.

use std::path::Path;

use super::spec::size;
use super::{jpeg, orientation, png};
use crate::catch_panic::catch_panic;
use crate::error::{Error, Place, Result};
use crate::kind;

/// The pixels of a picture: rows from top to bottom, in each the columns from left to right, in each the channels.
pub(super) struct Picture {
    /// Channels, 1 for grey and 3 for colour, height and width.
    pub(super) shape: [usize; 3],
    pub(super) bytes: Vec<u8>,
}

/// Where a picture comes from, for errors.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    /// The row of a table; without one, errors name the byte of the file.
    pub(super) row: Option<u64>,
}

/// What a picture must be like.
#[derive(Clone, Copy, Default)]
pub(super) struct Need {
    /// Height and width.
    pub(super) size: Option<[usize; 2]>,
    pub(super) channels: Option<usize>,
}

/// Why a picture cannot be had.
pub(super) enum Failure {
    /// It is something else than it should be: what was found, what is needed, at a byte.
    Refused(u64, &'static str, String, String),
    /// It is cut off or altered, as the decoder says.
    Broken(String),
    /// There is no room for it.
    Memory(Error),
}

/// A picture as its file has it, and how to turn it.
pub(super) type Decoded = Result<(Picture, u32), Failure>;

impl Picture {
    /// Reads PNG, or JPEG where that feature is on, with up to 8 bits a channel that is kept: palettes are looked up,
    /// of 16 bits the upper 8 stay, transparency is left out, and the picture is turned as its Exif data say.
    ///
    /// Another height or width than is needed is refused before any pixel is decoded. A grey picture may serve as a
    /// coloured one, and a coloured one whose three channels are equal as a grey one.
    pub(super) fn read(bytes: &[u8], origin: Origin, need: Need) -> Result<Self> {
        let mut position = 0;
        let decode = || match bytes {
            [0x89, b'P', b'N', b'G', ..] => ("PNG", png::decode(bytes, need, &mut position)),
            [0xff, 0xd8, 0xff, ..] => ("JPEG", jpeg::decode(bytes, need)),
            // A beginning of the signature is a file that was cut off.
            _ if !bytes.is_empty() && b"\x89PNG\r\n\x1a\n".starts_with(bytes) => (
                "PNG",
                Err(Failure::Broken("its signature is cut off".into())),
            ),
            _ => {
                let (got, next) = kind::described(&bytes[..bytes.len().min(kind::HEAD)]);
                let need = kind::with_advice(
                    if cfg!(feature = "jpeg") {
                        "PNG or JPEG"
                    } else {
                        "PNG"
                    },
                    next,
                );
                ("PNG", Err(Failure::Refused(0, "the picture", got, need)))
            }
        };
        // The decoder of PNG panics on some broken palettes.
        let (name, decoded) =
            catch_panic(decode).unwrap_or_else(|panic| ("a picture", Err(Failure::Broken(panic))));
        let place = |byte: u64| origin.row.map_or(Place::Byte(byte), Place::Row);
        let error = |at, what, got, need| Error::Format {
            path: origin.path.into(),
            at: place(at),
            what,
            got,
            need,
        };
        let (picture, turn) = decoded.map_err(|failure| match failure {
            Failure::Refused(at, what, got, need) => error(at, what, got, need),
            Failure::Memory(error) => error,
            Failure::Broken(cause) => error(
                position,
                "the picture",
                format!("unreadable ({cause})"),
                format!("whole and undamaged {name}; get the file anew"),
            ),
        })?;
        let picture = orientation::upright(picture, turn);
        let shape = picture.shape;
        let wrong = |need: [usize; 3]| error(16, "the size of a picture", size(shape), size(need));
        if let Some([height, width]) = need.size.filter(|size| *size != shape[1..]) {
            return Err(wrong([need.channels.unwrap_or(shape[0]), height, width]));
        }
        let channels = need.channels.unwrap_or(shape[0]);
        let picture = picture.with_channels(channels);
        picture.ok_or_else(|| wrong([channels, shape[1], shape[2]]))
    }

    /// The same picture with the channels that are needed.
    fn with_channels(self, channels: usize) -> Option<Self> {
        let [have, height, width] = self.shape;
        let bytes = match (have, channels) {
            (have, need) if have == need => self.bytes,
            (1, 3) => self.bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
            (3, 1) => {
                let grey = |pixel: &[u8]| match pixel {
                    &[red, green, blue] if red == green && green == blue => Some(red),
                    _ => None,
                };
                let pixels = self.bytes.chunks_exact(3).map(grey);
                pixels.collect::<Option<_>>()?
            }
            _ => return None,
        };
        Some(Self {
            shape: [channels, height, width],
            bytes,
        })
    }
}

impl Need {
    /// Refuses a picture by its header; it may yet be turned.
    pub(super) fn check(&self, shape: [usize; 3], stored: u64, most: u64) -> Result<(), Failure> {
        let what = "the size of a picture";
        let [_, height, width] = shape;
        if let Some(need) = self
            .size
            .filter(|need| *need != [height, width] && *need != [width, height])
        {
            let need = [self.channels.unwrap_or(shape[0]), need[0], need[1]];
            return Err(Failure::Refused(16, what, size(shape), size(need)));
        }
        if stored > most {
            let got = format!("{}, {stored} bytes", size(shape));
            let need = format!("at most {most} bytes, for what its file holds");
            return Err(Failure::Refused(16, what, got, need));
        }
        Ok(())
    }
}
