//! One step of a sampler, and what a network makes of a noisy sample for it.

use candle_core::Tensor;

use crate::channel::NoiseLevel;
use crate::data::Condition;
use crate::denoiser::{Denoiser, LearnedVariance, Query};
use crate::error::Result;
use crate::likelihood::ode::{finite, log_snrs};
use crate::schedule::{NoiseSchedule, Variance};

/// Estimates that belong together: `z = √σ(α)·x̂ + √σ(−α)·ε̂`.
pub(super) struct Prediction {
    pub(super) x: Tensor,
    pub(super) eps: Tensor,
    /// Of a network with a learned variance.
    pub(super) v: Option<Tensor>,
}

/// A network, and what is known about its estimates.
#[derive(Clone, Copy)]
pub(super) struct Predictor<'a> {
    pub(super) net: &'a dyn Denoiser,
    pub(super) learned: Option<&'a dyn LearnedVariance>,
    pub(super) clamp: Option<(f64, f64)>,
    /// What the network is told of each sample.
    pub(super) y: Option<&'a Condition>,
}

impl Predictor<'_> {
    pub(super) fn predict(&self, z: &Tensor, level: NoiseLevel) -> Result<Prediction> {
        let query = Query::new(z, &log_snrs(z, level)?).given(self.y.cloned());
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
            return Ok(Prediction { x, eps, v });
        };
        let x = x.clamp(low, high)?;
        let eps = ((z - (&x * level.signal)?)? / level.noise)?;
        Ok(Prediction { x, eps, v })
    }
}

/// `z_{t−1} = μ̃(x̂, z_t) + √Σ_t·n`, with the network's own `Σ_t` where the predicted has one.
///
/// ```text
/// μ̃ = √ᾱ_{t−1} β_t/(1 − ᾱ_t) · x̂ + √(1 − β_t) (1 − ᾱ_{t−1})/(1 − ᾱ_t) · z_t
/// ```
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Alg. 2 and Eq. 7; the learned variance: Nichol, Dhariwal (2021),
/// arXiv:2102.09672, Eq. 15.
pub(super) fn ancestral(
    schedule: &NoiseSchedule,
    t: usize,
    variance: Variance,
    z: &Tensor,
    predicted: &Prediction,
    noise: &Tensor,
) -> Result<Tensor> {
    let (of_x, of_z) = schedule.posterior_mean_coefficients(t);
    let mean = ((&predicted.x * of_x)? + (z * of_z)?)?;
    let noise = match &predicted.v {
        Some(v) => {
            // ln Σ is linear in v.
            let (low, high) = (
                schedule.learned_log_variance(t, -1.0),
                schedule.learned_log_variance(t, 1.0),
            );
            let log_std = v.affine(0.25 * (high - low), 0.25 * (high + low))?;
            (noise * log_std.exp()?)?
        }
        None => {
            let variance = match variance {
                Variance::Small => schedule.posterior_variance(t),
                Variance::Large => schedule.betas[t],
            };
            (noise * variance.sqrt())?
        }
    };
    Ok((mean + noise)?)
}

/// `z_{t−1} = √ᾱ_{t−1}·x̂ + √(1 − ᾱ_{t−1} − s²)·ε̂ + s·n` with `s = η √β̃_t`; there is no `noise` when `η = 0`.
///
/// # Paper
/// Song, Meng, Ermon (2021), arXiv:2010.02502, Eq. 12 and 16.
pub(super) fn ddim(
    schedule: &NoiseSchedule,
    t: usize,
    eta: f64,
    predicted: &Prediction,
    noise: Option<&Tensor>,
) -> Result<Tensor> {
    let variance = eta * eta * schedule.posterior_variance(t);
    let of_eps = (schedule.noise(t - 1) - variance).max(0.0).sqrt();
    let mean = ((&predicted.x * schedule.signal(t - 1).sqrt())? + (&predicted.eps * of_eps)?)?;
    match noise {
        None => Ok(mean),
        Some(noise) => Ok((mean + (noise * variance.sqrt())?)?),
    }
}
