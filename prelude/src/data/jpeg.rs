//! What is lost when a picture is written as JPEG and read again.

use std::f64::consts::PI;

use candle_core::{DType, Device, Tensor};

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rounds::Rounds;

/// The table for brightness of the standard, Annex K.1, row by row.
const TABLE: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Pictures as they are after they were written as JPEG and read again: with 8 bits, and each block of 8 × 8 pixels by the
/// cosines that its quality keeps. The values, of which `range` are black and white, come back in the same range.
///
/// Each channel is written as a grey picture. Values outside of the range become black or white. Of the format this is all
/// that loses anything; the coding of the cosines does not.
///
/// # Shapes
/// `[n, channels, height, width]`, also of the result, `f32` on the CPU. Blocks that reach over the edge are filled with
/// the edge's values.
///
/// # Errors
/// [`Error::Shape`] for other shapes; [`Error::Parameter`] unless the quality is from 1 to 100 and the range an interval;
/// [`Error::NotFinite`] for a value that is not finite; [`Error::Interrupted`] when it is stopped.
///
/// # Numerics
/// Cosines in `f64`. Decoders with whole numbers differ by one of 255 levels here and there.
///
/// # Source
/// ITU-T T.81 (1992), Annexes A.3 and K.1; qualities as in the library of the Independent JPEG Group.
///
/// # Example: grey stays, noise does not
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::data::jpeg_round_trip;
///
/// # fn main() -> Result<()> {
/// let noise = rng::uniform(&[1, 1, 8, 8], &mut rng::seeded(0))?;
/// let off = |quality: u8| -> Result<f32> {
///     Ok((jpeg_round_trip(&noise, (0.0, 1.0), quality)? - &noise)?.abs()?.mean_all()?.to_scalar()?)
/// };
/// check!(off(100)? < 0.004 && off(75)? > off(100)? && off(10)? > off(75)?);
/// let black = Tensor::zeros((1, 1, 3, 5), itd_prelude::candle::DType::F32, &Device::Cpu)?;
/// check!(jpeg_round_trip(&black, (0.0, 1.0), 75)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-6);
/// # Ok(()) }
/// ```
pub fn jpeg_round_trip(x: &Tensor, range: (f64, f64), quality: u8) -> Result<Tensor> {
    let &[n, channels, height, width] = x.dims() else {
        return Err(Error::Shape {
            what: "the pictures",
            got: x.dims().to_vec(),
            need: "[n, channels, height, width]".into(),
        });
    };
    let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
    if !(1..=100).contains(&quality) {
        return refuse("quality", quality.to_string(), "from 1 to 100");
    }
    let (black, white) = range;
    if !(black < white && (white - black).is_finite()) {
        return refuse(
            "range",
            format!("({black}, {white})"),
            "finite, black first",
        );
    }
    room_for::<[f64; 2]>("the pictures", x.dims())?;
    let values = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let mut values: Vec<f64> = values.flatten_all()?.to_vec1()?;
    if let Some(&got) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: "a pixel",
            got,
            next: "write finite values only",
        });
    }
    let levels = |value: f64| {
        (255.0 * (value - black) / (white - black))
            .round()
            .clamp(0.0, 255.0)
    };
    let (steps, cosines) = (steps(quality), cosines());
    let pixels = (height * width).max(1);
    let mut rounds = Rounds::new("JPEG and back", n * channels, 150.0 * values.len() as f64);
    for picture in values.chunks_mut(pixels) {
        rounds.step()?;
        for top in (0..height).step_by(8) {
            for left in (0..width).step_by(8) {
                let at = |i: usize, j: usize| {
                    (top + i).min(height - 1) * width + (left + j).min(width - 1)
                };
                let block = |k: usize| levels(picture[at(k / 8, k % 8)]) - 128.0;
                let block: Vec<f64> = (0..64).map(block).collect();
                let mut kept = transformed(&block, &cosines, false);
                for (value, step) in kept.iter_mut().zip(&steps) {
                    *value = (*value / step).round() * step;
                }
                let back = transformed(&kept, &cosines, true);
                for i in 0..8.min(height - top) {
                    for j in 0..8.min(width - left) {
                        let level = (back[8 * i + j] + 128.0).round().clamp(0.0, 255.0);
                        picture[at(i, j)] = black + (white - black) * level / 255.0;
                    }
                }
            }
        }
    }
    let back = Tensor::from_vec(values, (n, channels, height, width), &Device::Cpu)?;
    Ok(back.to_dtype(DType::F32)?)
}

/// By what each cosine is divided before it is rounded.
fn steps(quality: u8) -> Vec<f64> {
    let quality = u32::from(quality);
    let scale = match quality < 50 {
        true => 5000 / quality,
        false => 200 - 2 * quality,
    };
    let step = |&of: &u16| ((u32::from(of) * scale + 50) / 100).clamp(1, 255);
    TABLE.iter().map(|of| f64::from(step(of))).collect()
}

/// `½ c_k cos((2i + 1) k π/16)`, `[k][i]`: an orthogonal matrix.
fn cosines() -> [[f64; 8]; 8] {
    let entry = |k: usize, i: usize| {
        let norm = if k == 0 { 0.125f64.sqrt() } else { 0.5 };
        norm * ((2 * i + 1) as f64 * k as f64 * PI / 16.0).cos()
    };
    std::array::from_fn(|k| std::array::from_fn(|i| entry(k, i)))
}

/// `C B Cᵀ`, or back `Cᵀ B C`.
fn transformed(block: &[f64], cosines: &[[f64; 8]; 8], back: bool) -> Vec<f64> {
    let c = |k: usize, i: usize| if back { cosines[i][k] } else { cosines[k][i] };
    let mut rows = vec![0.0; 64];
    for k in 0..8 {
        for j in 0..8 {
            rows[8 * k + j] = (0..8).map(|i| c(k, i) * block[8 * i + j]).sum();
        }
    }
    let mut all = vec![0.0; 64];
    for k in 0..8 {
        for l in 0..8 {
            all[8 * k + l] = (0..8).map(|j| c(l, j) * rows[8 * k + j]).sum();
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, f: impl Fn(usize, usize) -> usize) -> Tensor {
        let level = |k: usize| (f(k / width, k % width).min(255)) as f32 / 255.0;
        let values: Vec<f32> = (0..height * width).map(level).collect();
        Tensor::from_vec(values, (1, 1, height, width), &Device::Cpu).unwrap()
    }

    /// Written and read by Pillow 12, `Image.save(…, 'JPEG', quality=…)`.
    #[test]
    fn it_loses_what_pillow_loses() {
        let rough =
            |i: usize, j: usize| (i * 37 + j * 91 + (i * j * 13) % 50 + (i * i * 7) % 80) % 256;
        let smooth =
            |i: usize, j: usize| 20 * i + 11 * j + 30 * usize::from((i + j).is_multiple_of(5));
        let known: [(Tensor, u8, &[u8]); 4] = [
            (
                picture(8, 8, rough),
                75,
                &[
                    0, 88, 183, 25, 103, 198, 38, 123, 58, 150, 255, 94, 151, 10, 92, 228, 100,
                    222, 23, 146, 223, 75, 161, 0, 180, 51, 118, 207, 42, 143, 226, 93, 168, 25,
                    92, 224, 32, 152, 231, 54, 213, 29, 179, 10, 54, 155, 27, 63, 238, 89, 166, 20,
                    94, 230, 32, 159, 22, 165, 240, 74, 152, 223, 107, 182,
                ],
            ),
            (
                picture(5, 11, smooth),
                75,
                &[
                    22, 15, 22, 32, 53, 73, 73, 76, 83, 108, 132, 25, 25, 43, 64, 77, 80, 82, 94,
                    123, 132, 138, 38, 47, 68, 92, 96, 90, 102, 123, 147, 149, 148, 63, 81, 92,
                    105, 107, 111, 138, 154, 154, 161, 168, 81, 112, 112, 111, 117, 136, 170, 166,
                    166, 178, 190,
                ],
            ),
            (
                picture(8, 8, smooth),
                75,
                &[
                    26, 24, 11, 37, 50, 71, 75, 76, 35, 14, 54, 48, 89, 81, 86, 93, 29, 62, 49,
                    107, 88, 92, 108, 124, 62, 63, 115, 95, 100, 114, 124, 165, 88, 116, 107, 112,
                    129, 127, 178, 165, 121, 116, 118, 132, 136, 198, 163, 171, 132, 128, 139, 150,
                    195, 173, 201, 180, 140, 143, 165, 200, 193, 192, 193, 228,
                ],
            ),
            (
                picture(8, 8, smooth),
                30,
                &[
                    32, 16, 10, 30, 65, 86, 82, 68, 25, 31, 43, 59, 74, 85, 90, 91, 30, 55, 81, 91,
                    87, 90, 107, 124, 58, 79, 100, 105, 101, 108, 131, 153, 99, 100, 103, 109, 120,
                    137, 158, 172, 129, 120, 114, 124, 146, 169, 181, 184, 137, 136, 141, 157, 178,
                    192, 197, 195, 132, 146, 167, 187, 200, 204, 204, 202,
                ],
            ),
        ];
        for (x, quality, known) in known {
            let found = jpeg_round_trip(&x, (0.0, 1.0), quality).unwrap();
            let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
            let off: Vec<f32> = std::iter::zip(&found, known)
                .map(|(found, &known)| (255.0 * found - f32::from(known)).abs())
                .collect();
            let (most, mean) = (
                off.iter().fold(0.0f32, |a, &b| a.max(b)),
                off.iter().sum::<f32>() / off.len() as f32,
            );
            println!("quality {quality}: {most} levels at most, {mean} in the mean");
            assert!(most < 2.5 && mean < 0.3, "{most} {mean}");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let x = picture(8, 8, |i, j| i + j);
        assert!(jpeg_round_trip(&x, (0.0, 1.0), 0).is_err());
        assert!(jpeg_round_trip(&x, (0.0, 1.0), 101).is_err());
        assert!(jpeg_round_trip(&x, (1.0, 0.0), 75).is_err());
        assert!(jpeg_round_trip(&x, (0.0, f64::NAN), 75).is_err());
        assert!(jpeg_round_trip(&x.squeeze(0).unwrap(), (0.0, 1.0), 75).is_err());
        let nan = (&x * f64::NAN).unwrap();
        assert!(jpeg_round_trip(&nan, (0.0, 1.0), 75).is_err());
        // Of another range nothing changes but the scale.
        let wide = x.affine(2.0, -1.0).unwrap();
        let (one, two) = (
            jpeg_round_trip(&x, (0.0, 1.0), 75).unwrap(),
            jpeg_round_trip(&wide, (-1.0, 1.0), 75).unwrap(),
        );
        let apart = (one.affine(2.0, -1.0).unwrap() - two)
            .unwrap()
            .abs()
            .unwrap();
        assert!(apart.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);
    }
}
