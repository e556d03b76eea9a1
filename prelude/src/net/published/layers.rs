//! The layers that both networks are made of.

use candle_core::Tensor;

use super::weights::{Init, Scope};
use crate::error::Result;
use crate::ops::{self, Activation};

/// `x·wᵀ + b` with `w`: `[to, from]`, or `[to, from, 1]` as a convolution over tokens has it.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub fn new(mut scope: Scope, from: usize, to: usize) -> Result<Self> {
        let init = Init::Uniform(from);
        Ok(Self {
            weight: scope.weight(&[to, from], init)?,
            bias: scope.bias(to, init)?,
        })
    }

    /// As a convolution over tokens with a kernel of 1.
    pub fn over_tokens(mut scope: Scope, from: usize, to: usize, zero: bool) -> Result<Self> {
        let init = fresh(from, zero);
        Ok(Self {
            weight: scope.weight(&[to, from, 1], init)?,
            bias: scope.bias(to, init)?,
        })
    }

    /// `x`: `[n, from]`.
    pub fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let weight = self.weight.flatten_from(1)?.t()?;
        ops::dense(x, &weight, &self.bias, activation)
    }
}

#[derive(Debug, Clone)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// Keeps height and width; the kernel is 1 or 3 wide.
    pub fn new(scope: Scope, from: usize, to: usize, kernel: usize) -> Result<Self> {
        Self::with(scope, from, to, kernel, false)
    }

    /// As [`Self::new`], with zeros for fresh parameters.
    pub fn zero(scope: Scope, from: usize, to: usize, kernel: usize) -> Result<Self> {
        Self::with(scope, from, to, kernel, true)
    }

    fn with(mut scope: Scope, from: usize, to: usize, kernel: usize, zero: bool) -> Result<Self> {
        let init = fresh(from * kernel * kernel, zero);
        Ok(Self {
            weight: scope.weight(&[to, from, kernel, kernel], init)?,
            bias: scope.bias(to, init)?,
            stride: 1,
            padding: kernel / 2,
        })
    }

    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        ops::conv2d(x, &self.weight, &self.bias, self.stride, self.padding)
    }
}

fn fresh(inputs: usize, zero: bool) -> Init {
    match zero {
        true => Init::Zeros,
        false => Init::Uniform(inputs),
    }
}

/// How normalisation is done throughout a network.
#[derive(Debug, Clone, Copy)]
pub struct NormConfig {
    pub groups: usize,
    pub eps: f64,
}

#[derive(Debug, Clone)]
pub struct Norm {
    weight: Tensor,
    bias: Tensor,
    config: NormConfig,
}

impl Norm {
    pub fn new(mut scope: Scope, channels: usize, config: NormConfig) -> Result<Self> {
        Ok(Self {
            weight: scope.weight(&[channels], Init::Ones)?,
            bias: scope.bias(channels, Init::Zeros)?,
            config,
        })
    }

    pub fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.with(x, &self.weight, &self.bias, activation)
    }

    /// `SiLU(norm(x)·(1 + scale) + shift)` with a scale and a shift for each channel of each sample.
    fn scaled(&self, x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
        // (w·u + b)(1 + s) + t = w(1 + s)·u + (b(1 + s) + t)
        let scale = (scale + 1.0)?;
        let weight = scale.broadcast_mul(&self.weight)?;
        let bias = (scale.broadcast_mul(&self.bias)? + shift)?;
        self.with(x, &weight, &bias, Activation::Silu)
    }

    fn with(&self, x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
        let NormConfig { groups, eps } = self.config;
        ops::group_norm(x, groups, w, b, eps, activation)
    }
}

/// How a residual block is told the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Added to the channels before the second norm.
    Shift,
    /// As scale and shift after it.
    ScaleShift,
}

/// What the parts of a residual block are called.
#[derive(Debug)]
pub struct ResidualNames {
    pub norms: [&'static str; 2],
    pub convs: [&'static str; 2],
    pub time: &'static str,
    pub shortcut: &'static str,
}

/// What residual blocks of a network have in common.
#[derive(Debug, Clone, Copy)]
pub struct ResidualConfig {
    pub names: &'static ResidualNames,
    pub norm: NormConfig,
    /// Size of the embedding of time.
    pub time: usize,
    pub told: Told,
    /// The sum is divided by it.
    pub scale: f64,
    /// Whether a fresh block adds nothing.
    pub zero: bool,
}

#[derive(Debug, Clone)]
pub struct Residual {
    norms: [Norm; 2],
    convs: [Conv; 2],
    time: Linear,
    told: Told,
    shortcut: Option<Conv>,
    scale: f64,
}

impl Residual {
    pub fn new(mut scope: Scope, from: usize, to: usize, config: &ResidualConfig) -> Result<Self> {
        let (names, told) = (config.names, config.told);
        let [first, second] = names.norms;
        let norms = [
            Norm::new(scope.at(first), from, config.norm)?,
            Norm::new(scope.at(second), to, config.norm)?,
        ];
        let [first, second] = names.convs;
        let convs = [
            Conv::new(scope.at(first), from, to, 3)?,
            Conv::with(scope.at(second), to, to, 3, config.zero)?,
        ];
        let each = match told {
            Told::Shift => to,
            Told::ScaleShift => 2 * to,
        };
        Ok(Self {
            norms,
            convs,
            time: Linear::new(scope.at(names.time), config.time, each)?,
            told,
            shortcut: match from == to {
                true => None,
                false => Some(Conv::new(scope.at(names.shortcut), from, to, 1)?),
            },
            scale: config.scale,
        })
    }

    /// `time`: `[n, time]`, after its activation.
    pub fn apply(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let h = self.convs[0].apply(&self.norms[0].apply(x, Activation::Silu)?)?;
        let told = self.time.apply(time, Activation::None)?;
        let h = match self.told {
            Told::Shift => {
                let (n, c) = told.dims2()?;
                let h = h.broadcast_add(&told.reshape((n, c, 1, 1))?)?;
                self.norms[1].apply(&h, Activation::Silu)?
            }
            Told::ScaleShift => {
                let c = told.dim(1)? / 2;
                let (scale, shift) = (told.narrow(1, 0, c)?, told.narrow(1, c, c)?);
                self.norms[1].scaled(&h, &scale, &shift)?
            }
        };
        let h = self.convs[1].apply(&h)?;
        let x = match &self.shortcut {
            None => x.clone(),
            Some(conv) => conv.apply(x)?,
        };
        divided((x + h)?, self.scale)
    }
}

/// `x/by`, without the work where it does nothing.
pub fn divided(x: Tensor, by: f64) -> Result<Tensor> {
    match by == 1.0 {
        true => Ok(x),
        false => Ok((x / by)?),
    }
}

/// Half the height and width.
#[derive(Debug, Clone)]
pub struct Down {
    conv: Conv,
    /// Whether there are zeros on all four sides, or only below and to the right.
    even: bool,
}

impl Down {
    pub fn new(scope: Scope, channels: usize, even: bool) -> Result<Self> {
        let mut conv = Conv::new(scope, channels, channels, 3)?;
        conv.stride = 2;
        conv.padding = usize::from(even);
        Ok(Self { conv, even })
    }

    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match self.even {
            true => self.conv.apply(x),
            false => {
                let x = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                self.conv.apply(&x)
            }
        }
    }
}

/// Twice the height and width, each pixel repeated, then a convolution.
#[derive(Debug, Clone)]
pub struct Up(Conv);

impl Up {
    pub fn new(scope: Scope, channels: usize) -> Result<Self> {
        Ok(Self(Conv::new(scope, channels, channels, 3)?))
    }

    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        self.0.apply(&x.upsample_nearest2d(2 * h, 2 * w)?)
    }
}
