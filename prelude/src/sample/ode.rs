//! The probability-flow ODE: a smooth path from noise to sample, the same distributions on the way as the channel's.
//!
//! With `u = z/√σ(α) = x + ς·ε` and `ς = e^{−α/2}`, where the signal is not scaled, it is
//!
//! ```text
//! du/dς = ε̂(z, α)
//! ```
//!
//! since `p_ς(u)` then moves with the velocity `−ς ∇ ln p_ς(u) = ε̂`, as the heat equation demands. Where nothing is
//! known but noise, and where all is known, `ε̂` is linear in `ς` or constant, and Heun's method is exact.
//!
//! # Papers
//! Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole (2021), arXiv:2011.13456, Eq. 13; in this form, with Heun's
//! method: Karras, Aittala, Aila, Laine (2022), arXiv:2206.00364, Eq. 1 and Alg. 1.

use candle_core::Tensor;

use super::guess::Level;
use crate::error::Result;

/// Euler's step, `u + (ς′ − ς)·slope`, said for `z`. All other methods are such steps with other slopes: Heun's with
/// the mean of the estimates at both ends.
pub(super) fn advance(z: &Tensor, slope: &Tensor, from: Level, to: Level) -> Result<Tensor> {
    let far = to.signal * (to.spread() - from.spread());
    Ok(((z * (to.signal / from.signal))? + (slope * far)?)?)
}

/// The mean of the estimates at both ends of a step.
pub(super) fn mean(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(((a + b)? * 0.5)?)
}

/// A step of the classical Runge–Kutta method of fourth order, given the estimate where it starts.
pub(super) fn runge_kutta(
    z: &Tensor,
    k1: &Tensor,
    from: Level,
    to: Level,
    ask: impl Fn(&Tensor, Level) -> Result<Tensor>,
) -> Result<Tensor> {
    let middle = Level::new(-2.0 * (0.5 * (from.spread() + to.spread())).ln());
    let k2 = ask(&advance(z, k1, from, middle)?, middle)?;
    let k3 = ask(&advance(z, &k2, from, middle)?, middle)?;
    let k4 = ask(&advance(z, &k3, from, to)?, to)?;
    let slope = (((k1 + k4)? * (1.0 / 6.0))? + ((k2 + k3)? * (1.0 / 3.0))?)?;
    advance(z, &slope, from, to)
}
