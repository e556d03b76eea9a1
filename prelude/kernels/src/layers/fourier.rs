//! Fourier features: what lets a small network see fine differences in few inputs.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::ops::sinusoidal;

/// Count, slowest and fastest of the waves of log-SNR: the slowest spans any interval in use, the fastest turns
/// once in 2.
const LOG_SNR_WAVES: (usize, f64, f64) = (16, 0.05, 3.0);

/// `t ↦ [sin(ω₁t) … sin(ωₖt), cos(ω₁t) … cos(ωₖt)]` with geometrically spaced frequencies.
#[derive(Debug, Clone)]
pub struct Fourier {
    frequencies: Tensor,
}

impl Fourier {
    /// `count` frequencies, `ω₁ = highest` down to `ωₖ = lowest`, in radians per unit.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `count` is at least 2 and `0 < lowest < highest` are finite.
    pub fn new(count: usize, lowest: f64, highest: f64, device: &Device) -> Result<Self> {
        if count < 2 {
            return Err(Error::Parameter {
                name: "the number of frequencies",
                got: count.to_string(),
                need: "at least 2",
            });
        }
        if !(lowest > 0.0 && highest > lowest && highest.is_finite()) {
            return Err(Error::Parameter {
                name: "the range of frequencies",
                got: format!("{lowest} to {highest}"),
                need: "finite, > 0, and lowest first",
            });
        }
        let step = (lowest / highest).ln() / (count - 1) as f64;
        let wave = |i: usize| (highest * (step * i as f64).exp()) as f32;
        let all: Vec<f32> = (0..count).map(wave).collect();
        let frequencies = Tensor::from_vec(all, count, device)?;
        Ok(Self { frequencies })
    }

    /// The embedding of log-SNR: 16 frequencies from 0.05 to 3.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the device refuses.
    pub fn of_log_snr(device: &Device) -> Result<Self> {
        let (count, lowest, highest) = LOG_SNR_WAVES;
        Self::new(count, lowest, highest, device)
    }

    /// Numbers in the result for each input.
    pub fn size(&self) -> usize {
        2 * self.frequencies.elem_count()
    }

    /// Embeds each number of `t`: `[…]` gives `[…, size]`, in `f32`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when `t` is on another device.
    pub fn embed(&self, t: &Tensor) -> Result<Tensor> {
        sinusoidal(&t.to_dtype(DType::F32)?, &self.frequencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_sines_then_cosines() {
        let embedding = Fourier::new(3, 0.01, 1.0, &Device::Cpu).unwrap();
        let t = Tensor::new(&[2f32, 0.0], &Device::Cpu).unwrap();
        let rows = embedding.embed(&t).unwrap().to_vec2::<f32>().unwrap();
        let known = [
            2f32.sin(),
            0.2f32.sin(),
            0.02f32.sin(),
            2f32.cos(),
            0.2f32.cos(),
            0.02f32.cos(),
        ];
        for (a, b) in rows[0].iter().zip(known) {
            assert!((a - b).abs() < 1e-6);
        }
        assert_eq!(rows[1], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn bad_frequencies_are_refused() {
        assert!(Fourier::new(1, 0.1, 1.0, &Device::Cpu).is_err());
        assert!(Fourier::new(4, f64::NAN, 1.0, &Device::Cpu).is_err());
        assert!(Fourier::new(4, 1.0, 0.1, &Device::Cpu).is_err());
    }
}
