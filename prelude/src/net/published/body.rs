//! A U-Net: down to few pixels, up again, with shortcuts between equal sizes.

use candle_core::{D, Device, Tensor};

use super::attention::Attention;
use super::layers::{Conv, Down, Linear, Norm, Residual, Up};
use crate::error::Result;
use crate::net::Embedding;
use crate::ops::Activation;

/// The slowest wave of the embedding of time turns once in about so many radians of the fastest.
const PERIOD: f64 = 10_000.0;

/// Time as waves.
#[derive(Debug, Clone)]
pub struct Waves {
    embedding: Embedding,
    /// Cosines before sines.
    cosines_first: bool,
}

impl Waves {
    /// `size` numbers, half of them sines of `t·10000^(−k/(size/2 − shift))` for `k = 0, 1, …`.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) unless `size` is at least 4.
    pub fn new(size: usize, shift: f64, cosines_first: bool, device: &Device) -> Result<Self> {
        let half = (size / 2) as f64;
        let lowest = (-PERIOD.ln() * (half - 1.0) / (half - shift)).exp();
        Ok(Self {
            embedding: Embedding::new(size / 2, lowest, 1.0, device)?,
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
    Down(Down),
    Up(Up),
}

impl Layer {
    fn apply(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        match self {
            Layer::Residual(layer) => layer.apply(x, time),
            Layer::Attention(layer) => layer.apply(x),
            Layer::Down(layer) => layer.apply(x),
            Layer::Up(layer) => layer.apply(x),
        }
    }
}

/// A network with its parameters.
#[derive(Debug, Clone)]
pub struct Body {
    pub waves: Waves,
    pub time: [Linear; 2],
    pub input: Conv,
    /// What comes out of each step is remembered.
    pub down: Vec<Vec<Layer>>,
    pub middle: Vec<Layer>,
    /// Each step also gets what was remembered last.
    pub up: Vec<Vec<Layer>>,
    pub norm: Norm,
    pub output: Conv,
}

impl Body {
    /// `x`: `[n, c, h, w]`, `t`: `[n]`.
    pub fn forward(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let time = self.waves.embed(t)?;
        let time = self.time[0].apply(&time, Activation::Silu)?;
        // Each block begins with an activation of what it is told.
        let time = self.time[1].apply(&time, Activation::Silu)?;
        let through = |layers: &[Layer], x: Tensor| {
            let step = |x: Tensor, layer: &Layer| layer.apply(&x, &time);
            layers.iter().try_fold(x, step)
        };
        let mut x = self.input.apply(x)?;
        let mut remembered = vec![x.clone()];
        for layers in &self.down {
            x = through(layers, x)?;
            remembered.push(x.clone());
        }
        x = through(&self.middle, x)?;
        for layers in &self.up {
            if let Some(skip) = remembered.pop() {
                x = Tensor::cat(&[x, skip], 1)?;
            }
            x = through(layers, x)?;
        }
        self.output.apply(&self.norm.apply(&x, Activation::Silu)?)
    }
}
