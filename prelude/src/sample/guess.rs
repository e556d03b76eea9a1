//! What a network makes of a noisy sample, as all samplers want it.

use candle_core::{DType, Tensor};

use crate::denoiser::{Denoiser, LearnedVariance, Query};
use crate::error::{Error, Result};
use crate::stats::sigmoid;

/// A place on the axis of log-SNR with what the channel has there, in `f64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) log_snr: f64,
    /// `√σ(α)`.
    pub(super) signal: f64,
    /// `√σ(−α)`.
    pub(super) noise: f64,
}

impl Level {
    pub(super) fn new(log_snr: f64) -> Self {
        Self {
            log_snr,
            signal: sigmoid(log_snr).sqrt(),
            noise: sigmoid(-log_snr).sqrt(),
        }
    }

    /// `ς = e^{−α/2}`, the noise when the signal is not scaled.
    pub(super) fn spread(&self) -> f64 {
        (-0.5 * self.log_snr).exp()
    }
}

/// Estimates that belong together: `z = √σ(α)·x̂ + √σ(−α)·ε̂`.
pub(super) struct Guess {
    pub(super) x: Tensor,
    pub(super) eps: Tensor,
    /// Of a network with a learned variance.
    pub(super) v: Option<Tensor>,
}

/// A network, and what is known about its estimates.
#[derive(Clone, Copy)]
pub(super) struct Guesser<'a> {
    pub(super) net: &'a dyn Denoiser,
    pub(super) learned: Option<&'a dyn LearnedVariance>,
    pub(super) clamp: Option<(f64, f64)>,
}

impl Guesser<'_> {
    pub(super) fn guess(&self, z: &Tensor, level: Level) -> Result<Guess> {
        let query = Query::new(z, &log_snrs(z, level)?);
        let (eps, v) = match self.learned {
            Some(net) => {
                let (eps, v) = net.denoise_with_variance(&query)?;
                (eps, Some(v.detach()))
            }
            None => (self.net.denoise(&query)?, None),
        };
        let eps = finite(eps, level)?;
        let x = ((z - (&eps * level.noise)?)? / level.signal)?;
        let Some((low, high)) = self.clamp else {
            return Ok(Guess { x, eps, v });
        };
        let x = x.clamp(low, high)?;
        let eps = ((z - (&x * level.signal)?)? / level.noise)?;
        Ok(Guess { x, eps, v })
    }
}

/// The log-SNR of each sample, `[n]`.
pub(super) fn log_snrs(z: &Tensor, level: Level) -> Result<Tensor> {
    let n = z.dims().first().copied().unwrap_or(0);
    Ok(Tensor::full(level.log_snr as f32, n, z.device())?)
}

/// Estimates without NaN and infinity, and without the graph of what made them: otherwise a network with
/// parameters would keep all its steps in memory.
pub(super) fn finite(eps: Tensor, level: Level) -> Result<Tensor> {
    let eps = eps.detach();
    let size = eps.abs()?.sum_all()?.to_dtype(DType::F32)?;
    let size = size.to_scalar::<f32>()?;
    if size.is_finite() {
        return Ok(eps);
    }
    Err(Error::NotFinite {
        what: "the network's estimate of the noise",
        got: f64::from(size),
        next: match level.log_snr.abs() > 15.0 {
            true => "narrow the range of log-SNR to where the network was trained",
            false => "look at its parameters: training may have diverged",
        },
    })
}
