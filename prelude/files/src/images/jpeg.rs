//! JPEG, by zune-jpeg where the feature is on.

#[cfg(not(feature = "jpeg"))]
pub(super) fn decode(_: &[u8], _: super::decode::Need) -> super::decode::Decoded {
    let need = "PNG; build with the feature `jpeg`, or save the pictures as PNG".to_owned();
    Err(super::decode::Failure::Refused(
        0,
        "the picture",
        "JPEG".into(),
        need,
    ))
}

#[cfg(feature = "jpeg")]
pub(super) use with_feature::decode;

#[cfg(feature = "jpeg")]
mod with_feature {
    use zune_jpeg::JpegDecoder;
    use zune_jpeg::errors::DecodeErrors;
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;

    use itd_cell::memory::room_for;

    use crate::images::decode::{Decoded, Failure, Need, Picture};
    use crate::images::orientation;
    use crate::images::reader::BEST_RATIO;

    /// Whether the picture has its end. The decoder fills up what is missing. Segments give their lengths, and within a
    /// scan no other byte follows 0xff than those of its own markers; what comes behind the end, such as a film, is not
    /// looked at.
    fn is_whole(bytes: &[u8]) -> bool {
        let mut at = 2;
        while let Some(rest) = bytes.get(at..) {
            let &[0xff, marker, ..] = rest else {
                // The data of a scan. A marker has two bytes.
                let next = rest.iter().position(|&byte| byte == 0xff);
                let Some(next) = next.filter(|next| next + 1 < rest.len()) else {
                    return false;
                };
                at += next;
                continue;
            };
            match marker {
                0xd9 => return true,
                // Not a segment: a byte of data, a fill byte, what has no length.
                0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
                0xff => at += 1,
                _ => {
                    let Some([high, low]) =
                        rest.get(2..4).and_then(|two| two.first_chunk().copied())
                    else {
                        return false;
                    };
                    at += 2 + usize::from(u16::from_be_bytes([high, low]));
                }
            }
        }
        false
    }

    /// The pixels of a picture. Strict: half a picture is none.
    pub(in crate::images) fn decode(bytes: &[u8], need: Need) -> Decoded {
        if !is_whole(bytes) {
            return Err(Failure::Broken("it is cut off".into()));
        }
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(1 << 16)
            .set_max_height(1 << 16);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers()?;
        let (Some((width, height)), Some(space)) =
            (decoder.dimensions(), decoder.input_colorspace())
        else {
            return Err(Failure::Broken("it has no header".into()));
        };
        let (channels, space) = match space {
            ColorSpace::Luma => (1, ColorSpace::Luma),
            ColorSpace::YCbCr | ColorSpace::RGB => (3, ColorSpace::RGB),
            other => {
                let need = "grey or colour (YCbCr, RGB); save it as PNG".to_owned();
                return Err(Failure::Refused(
                    0,
                    "the picture",
                    format!("JPEG in {other:?}"),
                    need,
                ));
            }
        };
        // A block of 64 values has a bit at least.
        let stored = (channels * height * width) as u64;
        need.check(
            [channels, height, width],
            stored,
            (bytes.len() as u64).saturating_mul(BEST_RATIO),
        )?;
        let room = room_for::<u8>("the pixels of a picture", &[2, channels, height, width]);
        room.map_err(Failure::Memory)?;
        decoder.set_options(options.jpeg_set_out_colorspace(space));
        let pixels = decoder.decode()?;
        let turn = decoder.exif().map_or(1, |exif| orientation::of(exif));
        let picture = Picture {
            shape: [channels, height, width],
            bytes: pixels,
        };
        match picture.bytes.len() == channels * height * width {
            true => Ok((picture, turn)),
            false => Err(Failure::Broken(
                "it has another number of pixels than it says".into(),
            )),
        }
    }

    impl From<DecodeErrors> for Failure {
        fn from(cause: DecodeErrors) -> Self {
            Failure::Broken(format!("{cause:?}"))
        }
    }
}
