//! One block of the network by itself.

use candle_core::{Device, Tensor, Var};

use super::DdpmConfig;
use crate::error::Result;
use crate::net::published::{Detached, Kept, Residual, Scope, Seeded};
use crate::rng;

/// A residual block of [`Ddpm`](super::Ddpm), for those who measure its parts.
#[derive(Debug)]
pub struct DdpmBlock {
    frozen: Residual,
    tracked: Residual,
    vars: Vec<(String, Var)>,
    time: usize,
}

impl DdpmBlock {
    /// As many channels out as in; everything else as in the network for CIFAR-10.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor), when parameters cannot be made.
    pub fn new(channels: usize, seed: u64) -> Result<Self> {
        let config = DdpmConfig::cifar10().residual(1.0);
        let mut kept = Kept {
            source: &mut Seeded(rng::seeded(seed)),
            device: &Device::Cpu,
            vars: Vec::new(),
        };
        let tracked = Residual::new(Scope::new(&mut kept), channels, channels, &config)?;
        let vars = kept.vars;
        let mut detached = Detached::new(&vars);
        Ok(Self {
            frozen: Residual::new(Scope::new(&mut detached), channels, channels, &config)?,
            tracked,
            vars,
            time: config.time,
        })
    }

    /// Size of the embedding of time.
    pub fn time(&self) -> usize {
        self.time
    }

    /// The parameters.
    pub fn vars(&self) -> Vec<Var> {
        self.vars.iter().map(|(_, var)| var.clone()).collect()
    }

    /// Without gradients. `x`: `[n, channels, h, w]`, `time`: `[n, time]`.
    ///
    /// # Errors
    /// Those of a wrong shape.
    pub fn apply(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        self.frozen.apply(x, time)
    }

    /// As [`Self::apply`], as a function of the parameters.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn tracked(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        self.tracked.apply(x, time)
    }
}
