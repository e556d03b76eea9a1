//! Dense layers, convolutions, group norm, and the ways to half and to twice the size.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};

use crate::error::Result;
use crate::ops::{Activation, Tape};

/// What weights and biases are before training, for a layer that adds up `fan_in` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Both uniform between `±1/√fan_in`: PyTorch's default.
    Uniform,
    /// Weights normal of variance `1/fan_in`, biases 0.
    Normal,
    /// Both 0.
    Zeros,
}

impl Scheme {
    /// Weights and biases.
    fn inits(self, fan_in: usize) -> (Init, Init) {
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        let zero = Init::Const(0.0);
        match self {
            Self::Uniform => {
                let uniform = Init::Uniform {
                    lo: -bound,
                    up: bound,
                };
                (uniform, uniform)
            }
            Self::Normal => {
                let normal = Init::Randn {
                    mean: 0.0,
                    stdev: bound,
                };
                (normal, zero)
            }
            Self::Zeros => (zero, zero),
        }
    }
}

/// A dense layer, `activation(x·wᵀ + b)`.
///
/// # Example: one that begins with zeros
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{candle::{DType, Device, Tensor}, layers::{Linear, Scheme}, ops::{Activation, Tape}, params::Network};
///
/// let layer = Network::seeded(0, &Device::Cpu, |vb| Linear::new(vb, 3, 2, Scheme::Zeros))?.frozen;
/// let x = Tensor::ones((5, 3), DType::F32, &Device::Cpu)?;
/// let y = layer.apply(&Tape::off(), &x, Activation::None)?;
/// assert_eq!(y.to_vec2::<f32>()?, vec![vec![0.0; 2]; 5]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[to, from]`, or `[to, from, 1]`.
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// `weight`: `[to, from]`, `bias`: `[to]`.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: VarBuilder, from: usize, to: usize, scheme: Scheme) -> Result<Self> {
        Self::with(vb, &[to, from], scheme)
    }

    /// The same with the names and shapes of a convolution over tokens: `weight` is `[to, from, 1]`.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn over_tokens(vb: VarBuilder, from: usize, to: usize, scheme: Scheme) -> Result<Self> {
        Self::with(vb, &[to, from, 1], scheme)
    }

    fn with(vb: VarBuilder, shape: &[usize], scheme: Scheme) -> Result<Self> {
        let (weight, bias) = scheme.inits(shape[1]);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", weight)?,
            bias: vb.get_with_hints(shape[0], "bias", bias)?,
        })
    }

    /// `[n, from]` gives `[n, to]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) for another shape.
    pub fn apply(&self, tape: &Tape, x: &Tensor, activation: Activation) -> Result<Tensor> {
        tape.dense(x, (&self.matrix(tape)?, &self.bias), activation)
    }

    /// The weights, `[to, from]`.
    pub(super) fn matrix(&self, tape: &Tape) -> Result<Tensor> {
        match self.weight.dims() {
            &[to, from, 1] => tape.reshape(&self.weight, &[to, from]),
            _ => Ok(self.weight.clone()),
        }
    }

    pub(super) fn bias(&self) -> &Tensor {
        &self.bias
    }
}

/// Where zeros are put around a picture before a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Half a kernel on all four sides.
    Around,
    /// One below and one to the right.
    After,
}

/// A convolution with a square kernel.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    kernel: usize,
    stride: usize,
    padding: Padding,
}

impl Conv2d {
    /// A kernel of odd size that keeps height and width. `weight`: `[to, from, kernel, kernel]`, `bias`: `[to]`.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(
        vb: VarBuilder,
        (from, to): (usize, usize),
        kernel: usize,
        scheme: Scheme,
    ) -> Result<Self> {
        let (weight, bias) = scheme.inits(from * kernel * kernel);
        let shape = (to, from, kernel, kernel);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", weight)?,
            bias: vb.get_with_hints(to, "bias", bias)?,
            kernel,
            stride: 1,
            padding: Padding::Around,
        })
    }

    /// `[n, from, h, w]` gives `[n, to, ⌈h/stride⌉, ⌈w/stride⌉]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) for another shape.
    pub fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        let parameters = (&self.weight, &self.bias);
        match self.padding {
            Padding::Around => tape.conv2d(x, parameters, self.stride, self.kernel / 2),
            Padding::After => tape.conv2d(&tape.pad_after(x)?, parameters, self.stride, 0),
        }
    }
}

/// Half the height and width, by a convolution of 3×3 at every second pixel.
#[derive(Debug, Clone)]
pub struct Downsample(Conv2d);

impl Downsample {
    /// From and to the same channels. Sizes are rounded up with [`Padding::Around`], down with [`Padding::After`].
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: VarBuilder, channels: usize, padding: Padding, scheme: Scheme) -> Result<Self> {
        let mut conv = Conv2d::new(vb, (channels, channels), 3, scheme)?;
        (conv.stride, conv.padding) = (2, padding);
        Ok(Self(conv))
    }

    /// `[n, channels, h, w]` gives half of `h` and `w`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) for another shape.
    pub fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        self.0.apply(tape, x)
    }
}

/// Twice the height and width, each pixel repeated, then a convolution of 3×3.
#[derive(Debug, Clone)]
pub struct Upsample(Conv2d);

impl Upsample {
    /// From and to the same channels.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: VarBuilder, channels: usize, scheme: Scheme) -> Result<Self> {
        Ok(Self(Conv2d::new(vb, (channels, channels), 3, scheme)?))
    }

    /// `[n, channels, h, w]` gives `[n, channels, 2h, 2w]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) for another shape.
    pub fn apply(&self, tape: &Tape, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        self.0.apply(tape, &tape.upsample2(x, (2 * h, 2 * w))?)
    }
}

/// How a network normalises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNormConfig {
    /// Groups of channels that are normalised together; a divisor of the channels.
    pub groups: usize,
    /// What is added to their variance.
    pub eps: f64,
}

/// Group norm with a learned scale and shift for each channel, and what follows it.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    /// None for a norm whose scale and shift come from elsewhere.
    affine: Option<(Tensor, Tensor)>,
    config: GroupNormConfig,
}

impl GroupNorm {
    /// `weight` and `bias`: `[channels]`.
    ///
    /// # Errors
    /// Those of the source of parameters.
    pub fn new(vb: VarBuilder, channels: usize, config: GroupNormConfig) -> Result<Self> {
        let weight = vb.get_with_hints(channels, "weight", Init::Const(1.0))?;
        let bias = vb.get_with_hints(channels, "bias", Init::Const(0.0))?;
        Ok(Self {
            affine: Some((weight, bias)),
            config,
        })
    }

    /// A norm without parameters of its own, for [`Self::modulated`].
    pub fn plain(config: GroupNormConfig) -> Self {
        Self {
            affine: None,
            config,
        }
    }

    /// `activation(norm(x)·weight + bias)`; gives the shape of `x`, `[n, channels, …]`.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) and [`Error::Shape`](crate::Error::Shape) for other channels.
    pub fn apply(&self, tape: &Tape, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match &self.affine {
            Some((weight, bias)) => self.with(tape, x, (weight, bias), activation),
            None => {
                let channels = x.dim(1)?;
                let ones = Tensor::ones(channels, x.dtype(), x.device())?;
                self.with(tape, x, (&ones, &ones.zeros_like()?), activation)
            }
        }
    }

    /// `activation((norm(x)·weight + bias)·(1 + scale) + shift)` with a scale and a shift for each channel of each
    /// sample, which stand side by side in `modulation`, `[n, 2·channels]`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn modulated(
        &self,
        tape: &Tape,
        x: &Tensor,
        modulation: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        let c = x.dim(1)?;
        let (scale, shift) = match &self.affine {
            None => (
                tape.small([modulation], |[m]| Ok((m.narrow(1, 0, c)? + 1.0)?))?,
                tape.small([modulation], |[m]| Ok(m.narrow(1, c, c)?.contiguous()?))?,
            ),
            // (w·u + b)(1 + s) + t = w(1 + s)·u + (b(1 + s) + t)
            Some((weight, bias)) => (
                tape.small([modulation, weight], |[m, weight]| {
                    Ok((m.narrow(1, 0, c)? + 1.0)?.broadcast_mul(weight)?)
                })?,
                tape.small([modulation, bias], |[m, bias]| {
                    let scaled = (m.narrow(1, 0, c)? + 1.0)?.broadcast_mul(bias)?;
                    Ok((scaled + m.narrow(1, c, c)?)?)
                })?,
            ),
        };
        self.with(tape, x, (&scale, &shift), activation)
    }

    fn with(
        &self,
        tape: &Tape,
        x: &Tensor,
        parameters: (&Tensor, &Tensor),
        activation: Activation,
    ) -> Result<Tensor> {
        let GroupNormConfig { groups, eps } = self.config;
        tape.group_norm(x, groups, parameters, eps, activation)
    }
}
