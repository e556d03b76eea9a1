//! Attention among the pixels of a picture.

use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::residual::divided;
use super::{GroupNorm, GroupNormConfig, Linear, Scheme};
use crate::error::Result;
use crate::ops::{Activation, Tape};

/// Where queries, keys and values come from, and what the layers are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projections {
    /// One layer for each.
    Apart([&'static str; 3]),
    /// One layer, whose outputs are all queries, then all keys, then all values.
    Together(&'static str),
    /// One layer, whose outputs stand head by head: query, key and value of the first, then those of the second.
    HeadByHead(&'static str),
}

/// What the attention layers of a network have in common.
#[derive(Debug, Clone, Copy)]
pub struct AttentionConfig {
    /// The norm's name.
    pub norm_name: &'static str,
    /// The layers before.
    pub projections: Projections,
    /// The name of the layer after.
    pub out: &'static str,
    /// Heads; a divisor of the channels.
    pub heads: usize,
    /// The norm.
    pub norm: GroupNormConfig,
    /// Fresh parameters.
    pub scheme: Scheme,
    /// Whether a fresh layer adds nothing.
    pub zero: bool,
    /// Whether the parameters have the shapes of convolutions over tokens.
    pub convs: bool,
    /// The sum is divided by it.
    pub scale: f64,
}

/// `(x + out(attention(q, k, v)))/scale` over pixels, with `q`, `k`, `v` from the normalised picture.
#[derive(Debug, Clone)]
pub struct Attention {
    norm: GroupNorm,
    /// One layer, or three.
    projections: Vec<Linear>,
    head_by_head: bool,
    out: Linear,
    heads: usize,
    scale: f64,
}

impl Attention {
    /// A layer of so many channels.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: &VarBuilder, channels: usize, config: &AttentionConfig) -> Result<Self> {
        let linear = |name: &str, to: usize, scheme: Scheme| match config.convs {
            true => Linear::over_tokens(vb.pp(name), channels, to, scheme),
            false => Linear::new(vb.pp(name), channels, to, scheme),
        };
        let norm = GroupNorm::new(vb.pp(config.norm_name), channels, config.norm)?;
        let projections = match config.projections {
            Projections::Apart(names) => {
                let each = |name| linear(name, channels, config.scheme);
                names.into_iter().map(each).collect::<Result<Vec<_>>>()?
            }
            Projections::Together(name) | Projections::HeadByHead(name) => {
                vec![linear(name, 3 * channels, config.scheme)?]
            }
        };
        let last = match config.zero {
            true => Scheme::Zeros,
            false => config.scheme,
        };
        Ok(Self {
            norm,
            projections,
            head_by_head: matches!(config.projections, Projections::HeadByHead(_)),
            out: linear(config.out, channels, last)?,
            heads: config.heads,
            scale: config.scale,
        })
    }

    /// `[n, channels, h, w]` gives the same.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) and [`Error::Shape`](crate::Error::Shape) for other shapes.
    pub fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let pixels = h * w;
        let normed = self.norm.apply(tape, x, Activation::None)?;
        let tokens = tape.transpose(&tape.reshape(&normed, &[n, c, pixels])?)?;
        let tokens = tape.reshape(&tokens, &[n * pixels, c])?;
        let (weight, bias) = self.joint(tape, c)?;
        let qkv = tape.dense(&tokens, (&weight, &bias), Activation::None)?;
        let qkv = tape.reshape(&qkv, &[n, pixels, 3 * c])?;
        let mixed = tape.attention(&qkv, self.heads)?;
        let mixed = tape.reshape(&mixed, &[n * pixels, c])?;
        let out = self.out.apply(tape, &mixed, Activation::None)?;
        let out = tape.transpose(&tape.reshape(&out, &[n, pixels, c])?)?;
        let sum = tape.add(x, &tape.reshape(&out, &[n, c, h, w])?)?;
        divided(tape, sum, self.scale)
    }

    /// Weight and bias of one layer for queries, keys and values, in this order: one product instead of three.
    fn joint(&self, tape: &Tape, c: usize) -> Result<(Tensor, Tensor)> {
        match self.projections.as_slice() {
            [q, k, v] => {
                let (wq, wk, wv) = (q.matrix(tape)?, k.matrix(tape)?, v.matrix(tape)?);
                let weight = tape.small([&wq, &wk, &wv], |parts| Ok(Tensor::cat(&parts, 0)?))?;
                let biases = [q.bias(), k.bias(), v.bias()];
                Ok((
                    weight,
                    tape.small(biases, |parts| Ok(Tensor::cat(&parts, 0)?))?,
                ))
            }
            layers if self.head_by_head && self.heads > 1 => {
                let (layer, dim) = (&layers[0], c / self.heads);
                let ordered = |t: &Tensor| -> Result<Tensor> {
                    let parts = t.reshape((self.heads, 3, dim, ()))?.transpose(0, 1)?;
                    Ok(parts.contiguous()?.reshape(t.shape())?)
                };
                let matrix = layer.matrix(tape)?;
                let weight = tape.small([&matrix], |[w]| ordered(w))?;
                Ok((weight, tape.small([layer.bias()], |[b]| ordered(b))?))
            }
            layers => Ok((layers[0].matrix(tape)?, layers[0].bias().clone())),
        }
    }
}
