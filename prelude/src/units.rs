//! Nats to bits. Everything in this crate computes in nats; only this file divides by ln 2.

use std::f64::consts::LN_2;

/// Nats in bits: `nats / ln 2`.
///
/// # Example: a fair coin
/// ```
/// use itd_prelude::units::bits;
///
/// assert!((bits(2f64.ln()) - 1.0).abs() < 1e-15);
/// ```
pub fn bits(nats: f64) -> f64 {
    nats / LN_2
}

/// Nats in bits per dimension: `nats / (dim · ln 2)`; NaN when `dim` is 0.
pub fn bits_per_dim(nats: f64, dim: usize) -> f64 {
    match dim {
        0 => f64::NAN,
        dim => bits(nats) / dim as f64,
    }
}
