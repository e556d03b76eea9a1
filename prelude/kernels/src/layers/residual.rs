//! Residual blocks.

use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::{Conv2d, GroupNorm, GroupNormConfig, Linear, Scheme};
use crate::error::Result;
use crate::ops::{Activation, Tape};

/// How a residual block is told the time, and whatever else it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modulation {
    /// Added to the channels before the second norm.
    Shift,
    /// As scale and shift after it.
    ScaleShift,
    /// As scale and shift in place of the second norm's own.
    InsteadOfAffine,
}

/// What the parts of a residual block are called.
#[derive(Debug)]
pub struct ResidualNames {
    /// Both norms.
    pub norms: [&'static str; 2],
    /// Both convolutions.
    pub convs: [&'static str; 2],
    /// The dense layer from the embedding.
    pub modulation: &'static str,
    /// The convolution of 1×1 where the channels change.
    pub shortcut: &'static str,
}

/// What the residual blocks of a network have in common.
#[derive(Debug, Clone, Copy)]
pub struct ResidualConfig {
    /// Names of the parts.
    pub names: &'static ResidualNames,
    /// Both norms.
    pub norm: GroupNormConfig,
    /// Size of the embedding.
    pub embedding: usize,
    /// What becomes of it.
    pub modulation: Modulation,
    /// Fresh parameters.
    pub scheme: Scheme,
    /// Whether a fresh block adds nothing.
    pub zero: bool,
    /// The sum is divided by it.
    pub scale: f64,
}

/// `(shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))))/scale`, told an embedding around the second norm.
#[derive(Debug, Clone)]
pub struct Residual {
    norms: [GroupNorm; 2],
    convs: [Conv2d; 2],
    from_embedding: Linear,
    modulation: Modulation,
    shortcut: Option<Conv2d>,
    scale: f64,
}

impl Residual {
    /// A block that takes `from` channels to `to`.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: &VarBuilder, from: usize, to: usize, config: &ResidualConfig) -> Result<Self> {
        let &ResidualConfig { names, norm, .. } = config;
        let (scheme, modulation) = (config.scheme, config.modulation);
        let first = GroupNorm::new(vb.pp(names.norms[0]), from, norm)?;
        let conv = Conv2d::new(vb.pp(names.convs[0]), (from, to), 3, scheme)?;
        let told = match modulation {
            Modulation::Shift => to,
            Modulation::ScaleShift | Modulation::InsteadOfAffine => 2 * to,
        };
        let from_embedding = Linear::new(vb.pp(names.modulation), config.embedding, told, scheme)?;
        let second = match modulation {
            Modulation::InsteadOfAffine => GroupNorm::plain(norm),
            _ => GroupNorm::new(vb.pp(names.norms[1]), to, norm)?,
        };
        let last = match config.zero {
            true => Scheme::Zeros,
            false => scheme,
        };
        let shortcut = || Conv2d::new(vb.pp(names.shortcut), (from, to), 1, scheme);
        Ok(Self {
            norms: [first, second],
            convs: [conv, Conv2d::new(vb.pp(names.convs[1]), (to, to), 3, last)?],
            from_embedding,
            modulation,
            shortcut: (from != to).then(shortcut).transpose()?,
            scale: config.scale,
        })
    }

    /// `x`: `[n, from, h, w]`, `embedding`: `[n, …]`, after its activation; gives `[n, to, h, w]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) and [`Error::Shape`](crate::Error::Shape) for other shapes.
    pub fn apply(&self, tape: &Tape, x: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let silu = Activation::Silu;
        let h = self.convs[0].apply(tape, &self.norms[0].apply(tape, x, silu)?)?;
        let told = self
            .from_embedding
            .apply(tape, embedding, Activation::None)?;
        let h = match self.modulation {
            Modulation::Shift => {
                let h = tape.shift_channels(&h, &told)?;
                self.norms[1].apply(tape, &h, silu)?
            }
            Modulation::ScaleShift | Modulation::InsteadOfAffine => {
                self.norms[1].modulated(tape, &h, &told, silu)?
            }
        };
        let h = self.convs[1].apply(tape, &h)?;
        let sum = match &self.shortcut {
            None => tape.add(x, &h)?,
            Some(conv) => tape.add(&conv.apply(tape, x)?, &h)?,
        };
        divided(tape, sum, self.scale)
    }
}

/// `x/by`, without the work where it does nothing.
pub(super) fn divided(tape: &Tape, x: Tensor, by: f64) -> Result<Tensor> {
    match by == 1.0 {
        true => Ok(x),
        false => tape.small([&x], |[x]| Ok((x / by)?)),
    }
}
