//! One block of the network by itself.

use candle_core::{Device, Tensor, Var};
use candle_nn::VarBuilder;

use super::DdpmConfig;
use crate::error::Result;
use crate::layers::Residual;
use crate::ops::Tape;
use crate::params::Network;

/// A residual block of [`Ddpm`](super::Ddpm), for those who measure its parts.
#[derive(Debug)]
pub struct DdpmBlock {
    net: Network<Residual>,
    time: usize,
}

impl DdpmBlock {
    /// As many channels out as in; everything else as in the network for CIFAR-10.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor), when parameters cannot be made.
    pub fn new(channels: usize, seed: u64) -> Result<Self> {
        let config = DdpmConfig::cifar10().residual(1.0);
        let build = |vb: VarBuilder| Residual::new(&vb, channels, channels, &config);
        Ok(Self {
            net: Network::seeded(seed, &Device::Cpu, build)?,
            time: config.embedding,
        })
    }

    /// Size of the embedding of time.
    pub fn time(&self) -> usize {
        self.time
    }

    /// The parameters.
    pub fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    /// Without gradients. `x`: `[n, channels, h, w]`, `time`: `[n, time]`.
    ///
    /// # Errors
    /// Those of a wrong shape.
    pub fn apply(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        self.net.frozen.apply(&Tape::on(&[]), x, time)
    }

    /// As [`Self::apply`], as a function of the parameters, on a tape.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn tracked(&self, tape: &Tape, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        self.net.tracked.apply(tape, x, time)
    }
}
