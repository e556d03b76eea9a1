//! The parts of a U-Net.

use candle_core::{Result as Candle, Tensor};

use super::params::{Params, Start};
use crate::error::Result;
use crate::ops::{self, Activation};

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
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let padding = self.weight.dim(3)? / 2;
        ops::conv2d(x, &self.weight, &self.bias, self.stride, padding)
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
    pub(super) fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        ops::dense(x, &self.weight, &self.bias, activation)
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

    pub(super) fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        ops::group_norm(x, self.groups, &self.weight, &self.bias, EPS, activation)
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
    pub(super) fn apply(&self, x: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let h = self.first.apply(&self.norm.apply(x, Activation::Silu)?)?;
        let modulation = self.modulation.apply(embedding, Activation::None)?;
        let channels = modulation.dim(1)? / 2;
        let scale = (modulation.narrow(1, 0, channels)? + 1.0)?;
        let shift = modulation.narrow(1, channels, channels)?.contiguous()?;
        let groups = self.norm.groups;
        let h = ops::group_norm(&h, groups, &scale, &shift, EPS, Activation::Silu)?;
        let h = self.second.apply(&h)?;
        Ok(match &self.skip {
            Some(skip) => (skip.apply(x)? + h)?,
            None => (x + h)?,
        })
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
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let pixels = h * w;
        let tokens = self.norm.apply(x, Activation::None)?;
        let tokens = tokens.flatten_from(2)?.transpose(1, 2)?;
        let tokens = tokens.reshape((n * pixels, c))?;
        let qkv = self
            .qkv
            .apply(&tokens, Activation::None)?
            .reshape((n, pixels, 3, self.heads, c / self.heads))?
            .permute((2, 0, 3, 1, 4))?; // [3, n, heads, pixels, c/heads]
        let one = |i| -> Candle<Tensor> { qkv.get(i)?.contiguous() };
        let mixed = ops::attention(&one(0)?, &one(1)?, &one(2)?)?;
        let mixed = mixed.transpose(1, 2)?.reshape((n * pixels, c))?;
        let out = self.out.apply(&mixed, Activation::None)?;
        let out = out.reshape((n, pixels, c))?.transpose(1, 2)?;
        Ok((x + out.reshape((n, c, h, w))?)?)
    }
}

/// Each pixel as four, cut down to `(height, width)`.
///
/// As a broadcast, whose gradient candle has; that of its own upsampling is slow.
pub(super) fn doubled(x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    Ok(x.reshape((n * c, h, 1, w, 1))?
        .broadcast_as((n * c, h, 2, w, 2))?
        .reshape((n, c, 2 * h, 2 * w))?
        .narrow(2, 0, height)?
        .narrow(3, 0, width)?)
}

fn normal(gain: f64, from: usize) -> Start {
    match gain {
        0.0 => Start::Zeros,
        gain => Start::Normal(gain / (from as f64).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn a_doubled_picture_has_each_pixel_four_times_and_its_gradient_adds_them() {
        let x = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let y = doubled(&x, (4, 3)).unwrap();
        let rows = y.squeeze(0).unwrap().squeeze(0).unwrap();
        let rows = rows.to_vec2::<f32>().unwrap();
        let (top, bottom) = ([1.0, 1.0, 2.0], [3.0, 3.0, 4.0]);
        assert_eq!(rows, [top, top, bottom, bottom]);
        let grads = y.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&x).unwrap().flatten_all().unwrap();
        assert_eq!(grad.to_vec1::<f32>().unwrap(), [4.0, 2.0, 4.0, 2.0]);
    }
}
