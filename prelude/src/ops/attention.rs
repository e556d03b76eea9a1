//! Attention.

use candle_core::{D, Tensor};

use crate::error::Result;

/// `softmax(q kᵀ/√dim) v`, the softmax over the tokens of `k`.
///
/// # Shapes
/// `q`, `k`, `v`: `[n, heads, tokens, dim]`; gives the same.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when shapes or types do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = (q.dim(D::Minus1)? as f64).sqrt().recip();
    let scores = (q.contiguous()?.matmul(&k.t()?.contiguous()?)? * scale)?;
    let highest = scores.max_keepdim(D::Minus1)?.detach();
    let weights = scores.broadcast_sub(&highest)?.exp()?;
    let total = weights.sum_keepdim(D::Minus1)?;
    Ok(weights.broadcast_div(&total)?.matmul(&v.contiguous()?)?)
}
