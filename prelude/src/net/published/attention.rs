//! Attention among the pixels of a picture.

use candle_core::Tensor;

use super::layers::{Linear, Norm, NormConfig, divided};
use super::weights::Scope;
use crate::error::Result;
use crate::ops::{self, Activation};

/// `x + out(attention(q, k, v))` over pixels, with `q`, `k`, `v` from the normalised picture.
#[derive(Debug, Clone)]
pub struct Attention {
    norm: Norm,
    from: Projections,
    out: Linear,
    heads: usize,
    scale: f64,
}

/// Where queries, keys and values come from.
#[derive(Debug, Clone)]
enum Projections {
    /// One layer each.
    Apart([Linear; 3]),
    /// One layer for all. Its outputs stand head by head; within a head first the query, then key, then value.
    Together(Linear),
}

impl Attention {
    /// As diffusers has it, with its names. The sum is divided by `scale`.
    pub fn apart(
        mut scope: Scope,
        channels: usize,
        heads: usize,
        norm: NormConfig,
        scale: f64,
    ) -> Result<Self> {
        let mut linear = |name| Linear::new(scope.at(name), channels, channels);
        let from = [linear("to_q")?, linear("to_k")?, linear("to_v")?];
        let out = linear("to_out.0")?;
        Ok(Self {
            norm: Norm::new(scope.at("group_norm"), channels, norm)?,
            from: Projections::Apart(from),
            out,
            heads,
            scale,
        })
    }

    /// As OpenAI has it, with its names.
    pub fn together(
        mut scope: Scope,
        channels: usize,
        heads: usize,
        norm: NormConfig,
    ) -> Result<Self> {
        Ok(Self {
            norm: Norm::new(scope.at("norm"), channels, norm)?,
            from: Projections::Together(Linear::over_tokens(
                scope.at("qkv"),
                channels,
                3 * channels,
                false,
            )?),
            out: Linear::over_tokens(scope.at("proj_out"), channels, channels, true)?,
            heads,
            scale: 1.0,
        })
    }

    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let (tokens, dim) = (h * w, c / self.heads);
        let each = self.norm.apply(x, Activation::None)?;
        // [n, c, h, w] to [n·tokens, c]
        let each = each.flatten_from(2)?.transpose(1, 2)?;
        let each = each.reshape((n * tokens, c))?;
        let [q, k, v] = match &self.from {
            Projections::Apart(layers) => {
                let one = |layer: &Linear| -> Result<Tensor> {
                    let y = layer.apply(&each, Activation::None)?;
                    Ok(y.reshape((n, tokens, self.heads, dim))?)
                };
                [one(&layers[0])?, one(&layers[1])?, one(&layers[2])?]
            }
            Projections::Together(layer) => {
                let y = layer.apply(&each, Activation::None)?;
                let y = y.reshape((n, tokens, self.heads, 3, dim))?;
                let one = |i| -> Result<Tensor> { Ok(y.narrow(3, i, 1)?.squeeze(3)?) };
                [one(0)?, one(1)?, one(2)?]
            }
        };
        // [n, tokens, heads, dim] to [n, heads, tokens, dim]
        let heads = |t: Tensor| -> Result<Tensor> { Ok(t.transpose(1, 2)?.contiguous()?) };
        let seen = ops::attention(&heads(q)?, &heads(k)?, &heads(v)?)?;
        let seen = seen.transpose(1, 2)?.reshape((n * tokens, c))?;
        let y = self.out.apply(&seen, Activation::None)?;
        let y = y.reshape((n, tokens, c))?.transpose(1, 2)?;
        divided((y.reshape((n, c, h, w))? + x)?, self.scale)
    }
}
