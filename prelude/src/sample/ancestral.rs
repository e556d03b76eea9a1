//! Ancestral sampling: the chain of the noising steps, backwards.

use candle_core::Tensor;

use super::guess::Guess;
use crate::error::Result;
use crate::schedule::{Schedule, Variance};

/// `z_{t−1} = μ̃(x̂, z_t) + √Σ_t·n`, with the network's own `Σ_t` where the guess has one.
///
/// ```text
/// μ̃ = √ᾱ_{t−1} β_t/(1 − ᾱ_t) · x̂ + √(1 − β_t) (1 − ᾱ_{t−1})/(1 − ᾱ_t) · z_t
/// ```
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Alg. 2 and Eq. 7; the learned variance: Nichol, Dhariwal (2021),
/// arXiv:2102.09672, Eq. 15.
pub(super) fn step(
    schedule: &Schedule,
    t: usize,
    variance: Variance,
    z: &Tensor,
    guess: &Guess,
    noise: &Tensor,
) -> Result<Tensor> {
    let (of_x, of_z) = schedule.posterior_mean_coefficients(t);
    let mean = ((&guess.x * of_x)? + (z * of_z)?)?;
    let noise = match &guess.v {
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
