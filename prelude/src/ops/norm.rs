//! Group normalisation with what follows it.

use candle_core::Tensor;

use super::Activation;
use crate::error::{Error, Result};

/// `activation(weight · (x − μ)/√(σ² + eps) + bias)`, with mean and variance over each group of channels of
/// each sample.
///
/// # Shapes
/// `x`: `[n, c, …]`; `weight` and `bias`: `[c]`, or `[n, c]` for scales and shifts of each sample.
///
/// # Errors
/// [`Error::Parameter`] unless the channels can be divided into so many groups.
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let (n, c) = (x.dim(0)?, x.dim(1)?);
    if groups == 0 || !c.is_multiple_of(groups) {
        return Err(Error::Parameter {
            name: "groups",
            got: format!("{groups} for {c} channels"),
            need: "a divisor of the number of channels",
        });
    }
    let parts = x.reshape((n, groups, ()))?;
    let centred = parts.broadcast_sub(&parts.mean_keepdim(2)?)?;
    let spread = (centred.sqr()?.mean_keepdim(2)? + eps)?.sqrt()?;
    let unit = centred.broadcast_div(&spread)?.reshape((n, c, ()))?;
    let each = |t: &Tensor| t.reshape((t.elem_count() / c, c, 1));
    let y = unit
        .broadcast_mul(&each(weight)?)?
        .broadcast_add(&each(bias)?)?
        .reshape(x.shape())?;
    Ok(match activation {
        Activation::None => y,
        Activation::Silu => y.silu()?,
    })
}
