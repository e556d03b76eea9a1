//! The Gaussian channel: clean samples and noise mixed at a log-SNR, and what one says about the other.
//!
//! Always variance preserving: `z = √σ(α)·x + √σ(−α)·ε` with `α = ln SNR`. The signal-to-noise ratio is that
//! of the paper's `√γ·x + ε` (the channel of its Sec. 2), of which this is a multiple.
//!
//! # Shapes
//! `x`, `ε`, `z`: `[n, shape…]`; `log_snr`: `[n]`, one value for each sample. All on one device.

use candle_core::{DType, Device, Tensor};

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;
use crate::rng;
use crate::stats::sigmoid;

/// Noisy samples with the noise that is in them.
#[derive(Debug, Clone)]
pub struct Noisy {
    /// What came out of the channel, `[n, shape…]`.
    pub z: Tensor,
    /// The noise that was added, `[n, shape…]`.
    pub eps: Tensor,
    /// Of each sample, `[n]`.
    pub log_snr: Tensor,
}

/// Mixes samples with given noise: `z = √σ(α)·x + √σ(−α)·ε`.
///
/// # Errors
/// [`Error::Shape`] unless `log_snr` has one value for each sample; [`Error::Tensor`] when `x` and `eps`
/// differ in shape; [`Error::Parameter`] for samples that are whole numbers.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, the channel of Sec. 2, in its variance-preserving form.
///
/// # Example: at α = 0 signal and noise are equally strong
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, channel};
///
/// let x = Tensor::new(&[[1f32, -1.0]], &Device::Cpu)?;
/// let eps = Tensor::new(&[[1f32, 1.0]], &Device::Cpu)?;
/// let z = channel::mix(&x, &eps, &Tensor::new(&[0f32], &Device::Cpu)?)?;
/// let z = z.to_vec2::<f32>()?;
/// assert!((z[0][0] - 2f32.sqrt()).abs() < 1e-6 && z[0][1].abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn mix(x: &Tensor, eps: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
    let (signal, noise) = amplitudes(log_snr, x)?;
    Ok((x.broadcast_mul(&signal)? + eps.broadcast_mul(&noise)?)?)
}

/// Draws noise from a seed and mixes it in; see [`mix`].
///
/// # Errors
/// As [`mix`].
pub fn draw(x: &Tensor, log_snr: &Tensor, seed: u64) -> Result<Noisy> {
    let eps = rng::normal(x.dims(), &mut rng::stream(seed, "channel"))?;
    let eps = eps.to_dtype(x.dtype())?.to_device(x.device())?;
    Ok(Noisy {
        z: mix(x, &eps, log_snr)?,
        eps,
        log_snr: log_snr.clone(),
    })
}

/// All samples at each of `k` log-SNRs in turn, each with noise of its own: `[k·n, shape…]`.
///
/// # Errors
/// [`Error::Empty`] without log-SNRs, [`Error::NotFinite`] for one that is NaN, [`Error::Shape`] when `x` is a scalar;
/// as [`mix`].
///
/// # Example: two samples, three log-SNRs
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, channel};
///
/// let x = Tensor::new(&[[1f32, -1.0], [0.5, 0.0]], &Device::Cpu)?;
/// let noisy = channel::sweep(&x, &[40.0, 0.0, -40.0], 0)?;
/// assert_eq!(noisy.z.dims(), [6, 2]);
/// assert_eq!(noisy.z.to_vec2::<f32>()?[0], [1.0, -1.0]); // hardly any noise at α = 40
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn sweep(x: &Tensor, log_snrs: &[f64], seed: u64) -> Result<Noisy> {
    let (x, log_snr) = spread(x, log_snrs)?;
    draw(&x, &log_snr, seed)
}

/// All samples once for each log-SNR, `[k·n, shape…]`, and the log-SNR of each, `[k·n]`.
pub(crate) fn spread(x: &Tensor, log_snrs: &[f64]) -> Result<(Tensor, Tensor)> {
    if log_snrs.is_empty() {
        return Err(Error::Empty {
            what: "the list of log-SNRs",
        });
    }
    if log_snrs.iter().any(|alpha| alpha.is_nan()) {
        return Err(Error::NotFinite {
            what: "a log-SNR",
            got: f64::NAN,
            next: "leave it out",
        });
    }
    let (k, Some((&n, rest))) = (log_snrs.len(), x.dims().split_first()) else {
        return Err(Error::Shape {
            what: "the samples",
            got: Vec::new(),
            need: "[n, shape…]".into(),
        });
    };
    room_for::<f32>(
        "the samples at each log-SNR, their noise and both",
        &[&[3, k, n], rest].concat(),
    )?;
    let x = x
        .unsqueeze(0)?
        .broadcast_as([&[k, n], rest].concat())?
        .reshape([&[k * n], rest].concat())?;
    let each = log_snrs
        .iter()
        .flat_map(|&alpha| std::iter::repeat_n(alpha, n));
    let log_snr = Tensor::from_iter(each, &Device::Cpu)?.to_dtype(x.dtype())?;
    let log_snr = log_snr.to_device(x.device())?;
    Ok((x, log_snr))
}

/// Refuses log-SNRs at which an `f32` cannot hold data and noise in one number: what is left of the noise's digits then
/// is less than two bits, and every error curve is wrong without a sign of it.
///
/// # Errors
/// [`Error::Parameter`] with the bits that are left, and up to which log-SNR there are enough.
pub(crate) fn check_precision(x: &Tensor, points: &Quadrature) -> Result<()> {
    /// Bits that an `f32` keeps of a number.
    const BITS: f64 = 24.0;
    /// Bits of the noise that must be left.
    const NEEDED: f64 = 2.0;
    let largest = f64::from(
        x.abs()?
            .max_all()?
            .to_dtype(DType::F32)?
            .to_scalar::<f32>()?,
    );
    let top = points
        .log_snr
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    // Below 1 the noise itself is the larger part of z.
    let left = |alpha: f64| {
        let NoiseLevel { signal, noise, .. } = NoiseLevel::new(alpha);
        BITS + noise.log2() - (signal * largest).max(noise).log2()
    };
    if !(left(top) < NEEDED) {
        return Ok(());
    }
    let enough = 2.0 * std::f64::consts::LN_2 * (BITS - NEEDED - largest.log2());
    Err(Error::Parameter {
        name: "the highest log-SNR",
        got: format!(
            "{top:.1}, where values of size {largest:.3} leave {:.1} bits for the noise in 32 (up to {enough:.1} there \
             are enough)",
            left(top)
        ),
        need: "lower, or the data around 0: take `data.centered()?`, which changes no density",
    })
}

/// The clean sample that goes with a noise estimate: `x̂ = (z − √σ(−α)·ε̂) / √σ(α)`.
///
/// # Errors
/// As [`mix`].
pub fn eps_to_x(z: &Tensor, eps: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
    let (signal, noise) = amplitudes(log_snr, z)?;
    Ok((z - eps.broadcast_mul(&noise)?)?.broadcast_div(&signal)?)
}

/// The noise that goes with an estimate of the clean sample: `ε̂ = (z − √σ(α)·x̂) / √σ(−α)`.
///
/// # Errors
/// As [`mix`].
///
/// # Numerics
/// At high SNR this is a small difference divided by a small number; in `f32` about `10⁻⁷·e^{α/2}` is lost.
pub fn x_to_eps(z: &Tensor, x: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
    let (signal, noise) = amplitudes(log_snr, z)?;
    Ok((z - x.broadcast_mul(&signal)?)?.broadcast_div(&noise)?)
}

/// The noise estimate whose clean sample is that of `eps` clamped to a range that samples are known to lie in.
///
/// # Errors
/// As [`mix`]; [`Error::Parameter`] unless the lower end of the range comes first.
///
/// # Example: an estimate outside of [−1, 1] is drawn to its edge
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, channel};
///
/// let (z, alpha) = (Tensor::new(&[[1.5f32]], &Device::Cpu)?, Tensor::new(&[2f32], &Device::Cpu)?);
/// let eps = channel::clamp_x(&z, &Tensor::new(&[[0f32]], &Device::Cpu)?, &alpha, (-1.0, 1.0))?;
/// let x = channel::eps_to_x(&z, &eps, &alpha)?.to_vec2::<f32>()?[0][0];
/// assert!((x - 1.0).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn clamp_x(z: &Tensor, eps: &Tensor, log_snr: &Tensor, range: (f64, f64)) -> Result<Tensor> {
    if !(range.0 < range.1) {
        return Err(Error::Parameter {
            name: "range",
            got: format!("({}, {})", range.0, range.1),
            need: "an interval with its lower end first",
        });
    }
    let x = eps_to_x(z, eps, log_snr)?.clamp(range.0, range.1)?;
    x_to_eps(z, &x, log_snr)
}

/// The score `∇ ln p(z)` that goes with a noise estimate: `−ε̂ / √σ(−α)`.
///
/// # Errors
/// As [`mix`].
pub fn eps_to_score(eps: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
    let (_, noise) = amplitudes(log_snr, eps)?;
    Ok(eps.broadcast_div(&noise)?.neg()?)
}

/// The noise estimate that goes with a score: `ε̂ = −√σ(−α)·∇ ln p(z)`.
///
/// # Errors
/// As [`mix`].
pub fn score_to_eps(score: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
    let (_, noise) = amplitudes(log_snr, score)?;
    Ok(score.broadcast_mul(&noise)?.neg()?)
}

/// `√σ(α)` and `√σ(−α)`, each `[n, 1, …]` to be broadcast over samples like `like`.
///
/// # Errors
/// [`Error::Shape`] unless `log_snr` has one value for each sample; [`Error::Parameter`] when `like` holds whole numbers.
pub fn amplitudes(log_snr: &Tensor, like: &Tensor) -> Result<(Tensor, Tensor)> {
    let n = like.dims().first().copied().unwrap_or(0);
    if log_snr.dims() != [n] {
        return Err(Error::Shape {
            what: "log_snr",
            got: log_snr.dims().to_vec(),
            need: format!("[{n}], one value for each sample"),
        });
    }
    if like.dtype().is_int() {
        return Err(Error::Parameter {
            name: "the type of the samples",
            got: format!("{:?}", like.dtype()),
            need: "one with fractions: noise has them; take `to_dtype(DType::F32)?`",
        });
    }
    let mut shape = vec![1; like.rank()];
    shape[0] = n;
    let alpha = log_snr.to_dtype(like.dtype())?.reshape(shape)?;
    // √σ(α) = 1/√(1 + e^−α)
    let amplitude = |minus_alpha: Tensor| -> Result<Tensor> {
        Ok((minus_alpha.exp()? + 1.0)?.sqrt()?.recip()?)
    };
    Ok((amplitude(alpha.neg()?)?, amplitude(alpha)?))
}

/// A place on the axis of log-SNR with what the channel has there, in `f64`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoiseLevel {
    pub(crate) log_snr: f64,
    /// `√σ(α)`.
    pub(crate) signal: f64,
    /// `√σ(−α)`.
    pub(crate) noise: f64,
}

impl NoiseLevel {
    pub(crate) fn new(log_snr: f64) -> Self {
        Self {
            log_snr,
            signal: sigmoid(log_snr).sqrt(),
            noise: sigmoid(-log_snr).sqrt(),
        }
    }

    /// `ς = e^{−α/2}`, the noise when the signal is not scaled.
    pub(crate) fn sigma(&self) -> f64 {
        (-0.5 * self.log_snr).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Tensor, b: &Tensor, tolerance: f32) {
        let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        let gap = gap.to_scalar::<f32>().unwrap();
        assert!(gap < tolerance, "{gap}");
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_made() {
        let x = Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap();
        let x = x.broadcast_as((1 << 20, 1 << 12)).unwrap();
        let log_snrs: Vec<f64> = (0..1000).map(f64::from).collect();
        let refused = sweep(&x, &log_snrs, 0);
        assert!(
            matches!(refused, Err(Error::Memory { .. })),
            "{:?}",
            refused.err()
        );
    }

    #[test]
    fn conversions_undo_each_other() {
        let mut rng = rng::seeded(0);
        let x = rng::normal(&[5, 2, 3], &mut rng).unwrap();
        let alpha = Tensor::new(&[-6f32, -2.0, 0.0, 3.0, 7.0], &Device::Cpu).unwrap();
        let Noisy { z, eps, .. } = draw(&x, &alpha, 1).unwrap();
        close(&eps_to_x(&z, &eps, &alpha).unwrap(), &x, 1e-4);
        close(&x_to_eps(&z, &x, &alpha).unwrap(), &eps, 1e-4);
        let score = eps_to_score(&eps, &alpha).unwrap();
        close(&score_to_eps(&score, &alpha).unwrap(), &eps, 1e-5);
    }

    #[test]
    fn each_sample_has_its_own_log_snr() {
        let x = Tensor::ones((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let alpha = Tensor::new(&[40f32, -40.0], &Device::Cpu).unwrap();
        let z = mix(&x, &x.zeros_like().unwrap(), &alpha).unwrap();
        let z = z.to_vec2::<f32>().unwrap();
        assert!((z[0][2] - 1.0).abs() < 1e-6 && z[1][2] < 1e-6);
        let nothing = sweep(&x, &[], 0).unwrap_err();
        assert!(nothing.to_string().contains("log-SNRs"));
        assert!(sweep(&x, &[0.0, f64::NAN], 0).is_err());
        for range in [(1.0, -1.0), (f64::NAN, 1.0)] {
            assert!(clamp_x(&x, &x, &alpha, range).is_err());
        }
        // candle panics at a root of whole numbers.
        let whole = x.to_dtype(DType::U8).unwrap();
        let error = draw(&whole, &alpha, 0).unwrap_err().to_string();
        assert!(error.contains("U8"), "{error}");
        let short = Tensor::new(&[0f32], &Device::Cpu).unwrap();
        assert!(mix(&x, &x, &short).unwrap_err().to_string().contains("[2]"));
    }
}
