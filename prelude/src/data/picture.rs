//! One PNG picture, decoded within what its file can hold.

use std::io::{BufRead, Seek, SeekFrom};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::form::size;
use super::source::{BEST_RATIO, file_error};
use crate::error::{Error, Place, Result};
use itd_files::caught::caught;

/// The pixels of a picture: rows from top to bottom, in each the columns from left to right, in each the
/// channels.
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

impl Picture {
    /// Reads PNG with up to 8 bits a channel that is kept: palettes are looked up, of 16 bits the upper 8
    /// stay, and transparency is left out.
    ///
    /// With `need`, another height or width is refused before any pixel is decoded. A grey picture may serve
    /// as a coloured one, and a coloured one whose three channels are equal as a grey one.
    pub(super) fn read(
        mut stream: impl BufRead + Seek,
        origin: Origin,
        need: Option<[usize; 3]>,
    ) -> Result<Self> {
        let system = |cause| file_error(origin.path, cause);
        let length = stream.seek(SeekFrom::End(0)).map_err(system)?;
        stream.rewind().map_err(system)?;
        // What comes before the pixels may not be larger than the file either.
        let limit = length.saturating_mul(BEST_RATIO).min(1 << 26);
        let mut counted = Counted {
            stream,
            position: 0,
        };
        // The decoder panics on some broken palettes.
        let decoded = caught(|| decode(&mut counted, origin, need, length, limit as usize));
        let decoded = decoded.unwrap_or_else(|panic| Err(Failure::Panic(panic)));
        let place = origin.place(counted.position);
        let broken = |cause: String| Error::Format {
            path: origin.path.into(),
            at: place,
            what: "the picture",
            got: format!("unreadable ({cause})"),
            need: "whole and undamaged PNG; get the file anew".into(),
        };
        decoded.map_err(|failure| match failure {
            Failure::Ours(error) => error,
            Failure::Png(DecodingError::IoError(cause)) if cause.raw_os_error().is_some() => {
                system(cause)
            }
            Failure::Png(cause) => broken(cause.to_string()),
            Failure::Panic(cause) => broken(cause),
        })
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
                self.bytes
                    .chunks_exact(3)
                    .map(grey)
                    .collect::<Option<_>>()?
            }
            _ => return None,
        };
        Some(Self {
            shape: [channels, height, width],
            bytes,
        })
    }
}

impl Origin<'_> {
    fn place(&self, byte: u64) -> Place {
        self.row.map_or(Place::Byte(byte), Place::Row)
    }
}

enum Failure {
    Ours(Error),
    Png(DecodingError),
    Panic(String),
}

impl From<DecodingError> for Failure {
    fn from(cause: DecodingError) -> Self {
        Failure::Png(cause)
    }
}

fn decode(
    stream: &mut Counted<impl BufRead + Seek>,
    origin: Origin,
    need: Option<[usize; 3]>,
    length: u64,
    limit: usize,
) -> Result<Picture, Failure> {
    // The header stands behind the signature, at byte 8, its sizes at byte 16.
    let refused = |got, need| {
        Failure::Ours(Error::Format {
            path: origin.path.into(),
            at: origin.place(16),
            what: "the size of a picture",
            got,
            need,
        })
    };
    let mut decoder = Decoder::new_with_limits(stream, Limits { bytes: limit });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let info = decoder.read_header_info()?;
    let colour = matches!(
        info.color_type,
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed
    );
    let channels = if colour { 3 } else { 1 };
    let shape = [channels, info.height as usize, info.width as usize];
    if let Some(need) = need
        && need[1..] != shape[1..]
    {
        return Err(refused(size(shape), size(need)));
    }
    let bits = info.bits_per_pixel() as u64;
    let stored = (u64::from(info.width) * bits).div_ceil(8) * u64::from(info.height);
    if stored > length.saturating_mul(BEST_RATIO) {
        let need = format!("at most {BEST_RATIO} times the {length} bytes of the file");
        return Err(refused(format!("{}, {stored} bytes", size(shape)), need));
    }
    let mut reader = decoder.read_info()?;
    let (kind, depth) = reader.output_color_type();
    let Some(bytes) = reader
        .output_buffer_size()
        .filter(|_| depth == BitDepth::Eight)
    else {
        return Err(refused(size(shape), "small enough for memory".into()));
    };
    let mut pixels = vec![0; bytes];
    reader.next_frame(&mut pixels)?;
    // The chunks after the pixels, to the last.
    reader.finish()?;
    let samples = kind.samples();
    let kept = samples - usize::from(samples == 2 || samples == 4);
    if kept < samples {
        pixels = pixels
            .chunks_exact(samples)
            .flat_map(|pixel| pixel[..kept].iter().copied())
            .collect();
    }
    let picture = Picture {
        shape: [kept, shape[1], shape[2]],
        bytes: pixels,
    };
    let need = need.map_or(picture.shape, |need| need);
    let got = picture.shape;
    picture
        .with_channels(need[0])
        .ok_or_else(|| refused(size(got), size(need)))
}

/// Counts the bytes that were read.
struct Counted<R> {
    stream: R,
    position: u64,
}

impl<R: BufRead> std::io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let more = self.stream.read(buffer)?;
        self.position += more as u64;
        Ok(more)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.stream.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
        self.stream.consume(amount);
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.position = self.stream.seek(to)?;
        Ok(self.position)
    }
}
