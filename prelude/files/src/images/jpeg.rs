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

    use crate::images::decode::{Decoded, Failure, Need, Picture};
    use crate::images::orientation;
    use crate::images::reader::BEST_RATIO;

    /// Whether the last scan has its end. The decoder fills up what is missing, and within a scan no other byte follows
    /// 0xff than those of its own markers.
    fn is_whole(bytes: &[u8]) -> bool {
        let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]);
        scan.is_some_and(|at| bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]))
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
