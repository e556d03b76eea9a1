//! Sines and cosines of many frequencies.

use candle_core::{D, DType, Device, Tensor};
use itd_cell::slices::stored;
use rayon::prelude::*;

use super::lanes::{Lanes, Work, widest};
use super::reduce::pieces;
use super::shared::written;
use crate::error::Result;

/// `[sin(ω₁t) … sin(ωₖt), cos(ω₁t) … cos(ωₖt)]` for each number `t`.
///
/// # Shapes
/// `t`: any, `frequencies`: `[k]`, both `f32`; gives `[…, 2k]`.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when types or devices do not fit.
///
/// # Numerics
/// On the CPU polynomials, right to 10⁻⁷. What a gradient is asked by, or lies elsewhere, goes by candle's operations.
pub fn sinusoidal(t: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let here = |t: &Tensor| t.device().is_cpu() && t.dtype() == DType::F32;
    let k = frequencies.dims1()?;
    if !here(t) || !here(frequencies) || t.track_op() || k == 0 {
        return plain(t, frequencies);
    }
    let shape = [t.dims(), &[2 * k]].concat();
    let (t, frequencies) = (t.contiguous()?, frequencies.contiguous()?);
    let (stored_t, at) = t.storage_and_layout();
    let (stored_f, of) = frequencies.storage_and_layout();
    let (t, frequencies) = (stored(&stored_t, at)?, stored(&stored_f, of)?);
    let fill = |out: &mut [f32]| {
        out.par_chunks_mut(ROWS * 2 * k)
            .zip(t.par_chunks(ROWS))
            .for_each(|(out, t)| {
                widest(Rows {
                    t,
                    frequencies,
                    out,
                });
            });
    };
    // SAFETY: all rows are written.
    let (out, ()) = unsafe { written(t.len() * 2 * k, fill) };
    Ok(Tensor::from_vec(out, shape, &Device::Cpu)?)
}

/// Inputs that one thread takes at a time.
const ROWS: usize = 128;

/// The slow twin.
fn plain(t: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let phase = t.unsqueeze(D::Minus1)?.broadcast_mul(frequencies)?;
    Ok(Tensor::cat(&[phase.sin()?, phase.cos()?], D::Minus1)?)
}

struct Rows<'a> {
    t: &'a [f32],
    frequencies: &'a [f32],
    out: &'a mut [f32],
}

impl Work for Rows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let k = self.frequencies.len();
        for (t, out) in self.t.iter().zip(self.out.chunks_exact_mut(2 * k)) {
            let (sines, cosines) = out.split_at_mut(k);
            for (from, count) in pieces(k) {
                let place = from..from + count;
                let phase = L::all(*t) * L::load_part(&self.frequencies[place.clone()]);
                let (sine, cosine) = sin_cos(phase);
                sine.store_part(&mut sines[place.clone()]);
                cosine.store_part(&mut cosines[place.clone()]);
                // Not for NaN either.
                let near = (phase * phase).largest() < FAR * FAR;
                if !near {
                    for i in place {
                        (sines[i], cosines[i]) = (t * self.frequencies[i]).sin_cos();
                    }
                }
            }
        }
    }
}

/// Up to here quarters of a turn can be taken off without loss.
const FAR: f32 = 8192.0;

/// Right to 10⁻⁷ for phases up to [`FAR`].
#[inline(always)]
fn sin_cos<L: Lanes>(phase: L) -> (L, L) {
    // A quarter of a turn in three parts; products of the first two with whole numbers are exact, as both have few bits.
    const QUARTER: [f32; 3] = [201.0 / 128.0, 2029.0 / 4_194_304.0, 7.549_79e-8];
    // Adding and subtracting 1.5·2²³ rounds to a whole number.
    const SHIFT: f32 = 12_582_912.0;
    let k = L::all;
    let half = |whole: L| whole.fma(k(0.5), k(-0.25)) + k(SHIFT) - k(SHIFT); // rounded down
    let quarters = phase.fma(k(std::f32::consts::FRAC_2_PI), k(SHIFT)) - k(SHIFT);
    let mut r = phase; // |r| ≤ π/4 in the end
    for part in QUARTER {
        r = quarters.fma(k(-part), r);
    }
    // Taylor's polynomials to the ninth and tenth power; the rests are below 2·10⁻⁹.
    let square = r * r;
    let sine = square
        .fma(k(1.0 / 362_880.0), k(-1.0 / 5040.0))
        .fma(square, k(1.0 / 120.0))
        .fma(square, k(-1.0 / 6.0));
    let sine = (sine * square).fma(r, r);
    let cosine = square
        .fma(k(-1.0 / 3_628_800.0), k(1.0 / 40_320.0))
        .fma(square, k(-1.0 / 720.0))
        .fma(square, k(1.0 / 24.0))
        .fma(square, k(-0.5))
        .fma(square, k(1.0));
    // After an odd number of quarters they change places, after each two the sign.
    let halves = half(quarters);
    let odd = quarters - (halves + halves);
    let even = k(1.0) - odd;
    let turns = half(halves);
    let sign = k(1.0) - k(2.0) * (halves - (turns + turns));
    (
        sign * (even * sine + odd * cosine),
        sign * (even * cosine - odd * sine),
    )
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Plain;
    use super::*;
    use crate::rng;

    #[test]
    fn they_are_sines_and_cosines() {
        let t: Vec<f32> = (-20_000..20_000).map(|i| i as f32 * 0.401).collect();
        let frequencies = [1.0, 0.1, 1e-4];
        let width = 2 * frequencies.len();
        for plain in [true, false] {
            let mut out = vec![0.0; t.len() * width];
            let rows = Rows {
                t: &t,
                frequencies: &frequencies,
                out: &mut out,
            };
            match plain {
                true => rows.run::<Plain>(),
                false => widest(rows),
            }
            for (t, row) in t.iter().zip(out.chunks(width)) {
                for (i, frequency) in frequencies.iter().enumerate() {
                    let (sine, cosine) = f64::from(t * frequency).sin_cos();
                    let apart = [f64::from(row[i]) - sine, f64::from(row[i + 3]) - cosine];
                    assert!(apart.iter().all(|d| d.abs() < 1.2e-7), "{t}: {apart:?}");
                }
            }
        }
    }

    #[test]
    fn it_is_what_the_slow_twin_gives() {
        let mut rng = rng::seeded(0);
        let t = (rng::normal(&[150, 2], &mut rng).unwrap() * 9.0).unwrap();
        let frequencies = rng::uniform(&[37], &mut rng).unwrap();
        let (fast, slow) = (sinusoidal(&t, &frequencies), plain(&t, &frequencies));
        let (fast, slow) = (fast.unwrap(), slow.unwrap());
        assert_eq!(fast.dims(), [150, 2, 74]);
        let apart = (fast - slow).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 3e-7);
    }

    #[test]
    fn far_out_and_beyond_they_are_those_of_the_library() {
        let t = Tensor::new(&[1e6f32, -3e30, f32::NAN], &Device::Cpu).unwrap();
        let frequencies = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let rows = sinusoidal(&t, &frequencies)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        assert_eq!(rows[0], [1e6f32.sin(), 1e6f32.cos()]);
        assert_eq!(rows[1], [(-3e30f32).sin(), 3e30f32.cos()]);
        assert!(rows[2].iter().all(|x| x.is_nan()));
    }
}
