//! DDIM: steps that share a network with ancestral sampling, with as much noise as one likes.

use candle_core::Tensor;

use super::guess::Guess;
use crate::error::Result;
use crate::schedule::Schedule;

/// `z_{t−1} = √ᾱ_{t−1}·x̂ + √(1 − ᾱ_{t−1} − s²)·ε̂ + s·n` with `s = η √β̃_t`; there is no `noise` when `η = 0`.
///
/// # Paper
/// Song, Meng, Ermon (2021), arXiv:2010.02502, Eq. 12 and 16.
pub(super) fn step(
    schedule: &Schedule,
    t: usize,
    eta: f64,
    guess: &Guess,
    noise: Option<&Tensor>,
) -> Result<Tensor> {
    let variance = eta * eta * schedule.posterior_variance(t);
    let of_eps = (schedule.noise(t - 1) - variance).max(0.0).sqrt();
    let mean = ((&guess.x * schedule.signal(t - 1).sqrt())? + (&guess.eps * of_eps)?)?;
    match noise {
        None => Ok(mean),
        Some(noise) => Ok((mean + (noise * variance.sqrt())?)?),
    }
}
