//! PNG, by the crate of that name.

use std::io::Cursor;

use itd_cell::memory::room_for;
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::decode::{Decoded, Failure, Need, Picture};
use super::orientation;
use super::reader::BEST_RATIO;

/// The pixels of a picture, 8 bits a channel; `position` is left where an error was.
pub(super) fn decode(bytes: &[u8], need: Need, position: &mut u64) -> Decoded {
    let mut cursor = Cursor::new(bytes);
    let decoded = pixels(&mut cursor, bytes.len() as u64, need);
    *position = cursor.position();
    decoded
}

fn pixels(stream: &mut Cursor<&[u8]>, length: u64, need: Need) -> Decoded {
    let most = length.saturating_mul(BEST_RATIO);
    // What comes before the pixels may not be larger than the file can hold either.
    let limits = Limits {
        bytes: most.min(1 << 26) as usize,
    };
    let mut decoder = Decoder::new_with_limits(stream, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let info = decoder.read_header_info()?;
    let colour = matches!(
        info.color_type,
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed
    );
    let shape = [
        if colour { 3 } else { 1 },
        info.height as usize,
        info.width as usize,
    ];
    let bits = info.bits_per_pixel() as u64;
    let stored = (u64::from(info.width) * bits).div_ceil(8) * u64::from(info.height);
    need.check(shape, stored, most)?;
    let mut reader = decoder.read_info()?;
    let (kind, depth) = reader.output_color_type();
    let Some(room) = reader
        .output_buffer_size()
        .filter(|_| depth == BitDepth::Eight)
    else {
        return Err(Failure::Broken("it has no size in memory".into()));
    };
    room_for::<u8>("the pixels of a picture", &[2, room]).map_err(Failure::Memory)?;
    let mut bytes = vec![0; room];
    reader.next_frame(&mut bytes)?;
    // The chunks after the pixels, to the last.
    reader.finish()?;
    let turn = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation::of);
    let samples = kind.samples();
    let kept = samples - usize::from(samples == 2 || samples == 4);
    if kept < samples {
        bytes = bytes
            .chunks_exact(samples)
            .flat_map(|pixel| pixel[..kept].iter().copied())
            .collect();
    }
    let shape = [kept, shape[1], shape[2]];
    Ok((Picture { shape, bytes }, turn))
}

impl From<DecodingError> for Failure {
    fn from(cause: DecodingError) -> Self {
        match cause {
            DecodingError::LimitsExceeded => {
                let need = "less beside its pixels; save it anew without metadata".to_owned();
                Failure::Refused(
                    16,
                    "the picture",
                    "larger than its file can hold".into(),
                    need,
                )
            }
            cause => Failure::Broken(cause.to_string()),
        }
    }
}
