//! A U-Net: down to few pixels, up again, with shortcuts between equal sizes.

use candle_core::{D, Device, Tensor};

use crate::error::Result;
use crate::layers::{
    Attention, Conv2d, Downsample, Fourier, GroupNorm, Linear, Residual, Upsample,
};
use crate::ops::{Activation, Tape};

/// The slowest wave of the embedding of time turns once in about so many radians of the fastest.
const PERIOD: f64 = 10_000.0;

/// Time as sines and cosines.
#[derive(Debug, Clone)]
pub struct TimeEmbedding {
    embedding: Fourier,
    /// Cosines before sines.
    cosines_first: bool,
}

impl TimeEmbedding {
    /// `size` numbers, half of them sines of `t·10000^(−k/(size/2 − shift))` for `k = 0, 1, …`.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) unless `size` is at least 4.
    pub fn new(size: usize, shift: f64, cosines_first: bool, device: &Device) -> Result<Self> {
        let half = (size / 2) as f64;
        let lowest = (-PERIOD.ln() * (half - 1.0) / (half - shift)).exp();
        Ok(Self {
            embedding: Fourier::new(size / 2, lowest, 1.0, device)?,
            cosines_first,
        })
    }

    fn embed(&self, t: &Tensor) -> Result<Tensor> {
        let waves = self.embedding.embed(t)?;
        if !self.cosines_first {
            return Ok(waves);
        }
        let half = self.embedding.size() / 2;
        let (sines, cosines) = (waves.narrow(1, 0, half)?, waves.narrow(1, half, half)?);
        Ok(Tensor::cat(&[cosines, sines], D::Minus1)?)
    }
}

/// A layer of the way down or up.
#[derive(Debug, Clone)]
pub enum Layer {
    Residual(Residual),
    Attention(Attention),
    Down(Downsample),
    Up(Upsample),
}

impl Layer {
    fn apply(&self, tape: &Tape, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        match self {
            Layer::Residual(layer) => layer.apply(tape, x, time),
            Layer::Attention(layer) => layer.apply(tape, x),
            Layer::Down(layer) => layer.apply(tape, x),
            Layer::Up(layer) => layer.apply(tape, x),
        }
    }
}

/// A network with its parameters.
#[derive(Debug, Clone)]
pub struct Body {
    pub embedding: TimeEmbedding,
    pub time: [Linear; 2],
    pub input: Conv2d,
    /// What comes out of each step is remembered.
    pub down: Vec<Vec<Layer>>,
    pub middle: Vec<Layer>,
    /// Each step also gets what was remembered last.
    pub up: Vec<Vec<Layer>>,
    pub norm: GroupNorm,
    pub output: Conv2d,
}

impl Body {
    /// `x`: `[n, c, h, w]`, `t`: `[n]`.
    pub fn apply(&self, tape: &Tape, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let time = self.embedding.embed(t)?;
        let time = self.time[0].apply(tape, &time, Activation::Silu)?;
        // Each block begins with an activation of what it is told.
        let time = self.time[1].apply(tape, &time, Activation::Silu)?;
        let through = |layers: &[Layer], x: Tensor| {
            let step = |x: Tensor, layer: &Layer| layer.apply(tape, &x, &time);
            layers.iter().try_fold(x, step)
        };
        let mut x = self.input.apply(tape, x)?;
        let mut remembered = vec![x.clone()];
        for layers in &self.down {
            x = through(layers, x)?;
            remembered.push(x.clone());
        }
        x = through(&self.middle, x)?;
        for layers in &self.up {
            if let Some(skip) = remembered.pop() {
                x = tape.concat_channels(&x, &skip)?;
            }
            x = through(layers, x)?;
        }
        self.output
            .apply(tape, &self.norm.apply(tape, &x, Activation::Silu)?)
    }
}
