//! The parts of a U-Net.

use candle_core::Tensor;

use super::params::{Params, Start};
use crate::error::Result;
use crate::ops::{Activation, Tape};

/// Added to the variance of a group.
const EPS: f64 = 1e-5;

/// A convolution with an odd kernel.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
}

impl Conv {
    /// Weights of variance `gain²/(values that are added up)`, biases of 0.
    pub(super) fn new(
        params: &mut Params,
        name: &str,
        (from, to): (usize, usize),
        (size, stride): (usize, usize),
        gain: f64,
    ) -> Result<Self> {
        let shape = [to, from, size, size];
        let start = normal(gain, from * size * size);
        Ok(Self {
            weight: params.get(format!("{name}.weight"), &shape, start)?,
            bias: params.get(format!("{name}.bias"), &[to], Start::Zeros)?,
            stride,
        })
    }

    /// `[n, from, h, w]` gives `[n, to, ⌈h/stride⌉, ⌈w/stride⌉]`.
    pub(super) fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        let padding = self.weight.dim(3)? / 2;
        tape.conv2d(x, (&self.weight, &self.bias), self.stride, padding)
    }
}

/// A dense layer.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    pub(super) fn new(
        params: &mut Params,
        name: &str,
        (from, to): (usize, usize),
        gain: f64,
    ) -> Result<Self> {
        let start = normal(gain, from);
        Ok(Self {
            weight: params.get(format!("{name}.weight"), &[from, to], start)?,
            bias: params.get(format!("{name}.bias"), &[to], Start::Zeros)?,
        })
    }

    /// `[n, from]` gives `[n, to]`.
    pub(super) fn apply(&self, tape: &Tape, x: &Tensor, activation: Activation) -> Result<Tensor> {
        tape.dense(x, (&self.weight, &self.bias), activation)
    }
}

/// Group norm with a learned scale and shift for each channel.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
}

impl Norm {
    pub(super) fn new(
        params: &mut Params,
        name: &str,
        channels: usize,
        groups: usize,
    ) -> Result<Self> {
        Ok(Self {
            weight: params.get(format!("{name}.weight"), &[channels], Start::Ones)?,
            bias: params.get(format!("{name}.bias"), &[channels], Start::Zeros)?,
            groups,
        })
    }

    pub(super) fn apply(&self, tape: &Tape, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let parameters = (&self.weight, &self.bias);
        tape.group_norm(x, self.groups, parameters, EPS, activation)
    }
}

/// A residual block: two convolutions, the second of which sees log-SNR and class as scale and shift of each
/// channel. It starts as the identity.
#[derive(Debug, Clone)]
pub(super) struct Block {
    norm: Norm,
    first: Conv,
    modulation: Dense,
    second: Conv,
    /// Where the number of channels changes.
    skip: Option<Conv>,
}

impl Block {
    pub(super) fn new(
        params: &mut Params,
        name: &str,
        (from, to): (usize, usize),
        embedding: usize,
        groups: usize,
    ) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        Ok(Self {
            norm: Norm::new(params, &part("norm"), from, groups)?,
            first: Conv::new(params, &part("first"), (from, to), (3, 1), 1.0)?,
            modulation: Dense::new(params, &part("modulation"), (embedding, 2 * to), 1.0)?,
            second: Conv::new(params, &part("second"), (to, to), (3, 1), 0.0)?,
            skip: match from == to {
                true => None,
                false => Some(Conv::new(params, &part("skip"), (from, to), (1, 1), 1.0)?),
            },
        })
    }

    /// `x`: `[n, from, h, w]`, `embedding`: `[n, …]`; gives `[n, to, h, w]`.
    pub(super) fn apply(&self, tape: &Tape, x: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let h = self.norm.apply(tape, x, Activation::Silu)?;
        let h = self.first.apply(tape, &h)?;
        let modulation = self.modulation.apply(tape, embedding, Activation::None)?;
        let c = modulation.dim(1)? / 2;
        let scale = tape.small([&modulation], |[m]| Ok((m.narrow(1, 0, c)? + 1.0)?))?;
        let shift = tape.small([&modulation], |[m]| Ok(m.narrow(1, c, c)?.contiguous()?))?;
        let groups = self.norm.groups;
        let h = tape.group_norm(&h, groups, (&scale, &shift), EPS, Activation::Silu)?;
        let h = self.second.apply(tape, &h)?;
        match &self.skip {
            Some(skip) => tape.add(&skip.apply(tape, x)?, &h),
            None => tape.add(x, &h),
        }
    }
}

/// Attention of all pixels to all, added to what comes in. It starts as the identity.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    norm: Norm,
    qkv: Dense,
    out: Dense,
    heads: usize,
}

impl Attention {
    pub(super) fn new(
        params: &mut Params,
        name: &str,
        channels: usize,
        heads: usize,
        groups: usize,
    ) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        Ok(Self {
            norm: Norm::new(params, &part("norm"), channels, groups)?,
            qkv: Dense::new(params, &part("qkv"), (channels, 3 * channels), 1.0)?,
            out: Dense::new(params, &part("out"), (channels, channels), 0.0)?,
            heads,
        })
    }

    /// `[n, channels, h, w]` gives the same.
    pub(super) fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let pixels = h * w;
        let normed = self.norm.apply(tape, x, Activation::None)?;
        let tokens = tape.turn(&tape.reshape(&normed, &[n, c, pixels])?)?;
        let tokens = tape.reshape(&tokens, &[n * pixels, c])?;
        let qkv = self.qkv.apply(tape, &tokens, Activation::None)?;
        let qkv = tape.reshape(&qkv, &[n, pixels, 3 * c])?;
        let mixed = tape.attention(&qkv, self.heads)?;
        let mixed = tape.reshape(&mixed, &[n * pixels, c])?;
        let out = self.out.apply(tape, &mixed, Activation::None)?;
        let out = tape.turn(&tape.reshape(&out, &[n, pixels, c])?)?;
        tape.add(x, &tape.reshape(&out, &[n, c, h, w])?)
    }
}

fn normal(gain: f64, from: usize) -> Start {
    match gain {
        0.0 => Start::Zeros,
        gain => Start::Normal(gain / (from as f64).sqrt()),
    }
}
