//! Networks: steps of training, curves, and a block of a large one.

use std::time::Instant;

use candle_core::{Device, Tensor, Var};

use super::case::{Row, sizes};
use super::work::{Exchange, Work, unknown};
use crate::data::{Dataset, Spectrum};
use crate::denoiser::{Query, Trainable};
use crate::error::Result;
use crate::logsnr::{LogSnr, LogisticLogSnr};
use crate::mmse::mse_curve;
use crate::net::mlp::Input;
use crate::net::{DdpmBlock, Mlp, MlpConfig, UNet, UNetConfig};
use crate::rng;
use crate::train::{TrainConfig, train};

/// Steps of one try, which is told as the mean of them.
const STEPS: usize = 16;
/// Samples on which the two sides are compared.
const FEW: usize = 4;

/// The network of a case's words; `None` when they name no such.
pub(super) fn named(words: &str) -> Result<Option<Box<dyn Work>>> {
    let name = words.split(' ').next().unwrap_or_default();
    Ok(Some(match (name, sizes(words).as_slice()) {
        ("unet", &[batch, side]) => Box::new(Training {
            net: unet(side)?,
            data: pictures(STEPS * batch, side)?,
            config: TrainConfig {
                log_snr: Some(LogisticLogSnr::new(1.0, 2.0, 4.0)?),
                ..short(batch)
            },
            told: 1,
        }),
        ("mlp", &[batch, width, layers, waves, steps]) => Box::new(Training {
            net: mlp(width, layers, waves)?,
            data: noise("points", &[steps * batch, 2])?,
            config: TrainConfig {
                log_snr: Some(LogisticLogSnr::new(0.0, 3.0, 4.0)?),
                ..short(batch)
            },
            told: steps,
        }),
        ("curve", &[n, points, side]) => Box::new(Curve {
            net: unet(side)?,
            data: pictures(n, side)?,
            points: LogisticLogSnr::new(1.0, 2.0, 4.0)?.quadrature(points)?,
        }),
        ("ddpm_block", &[n, channels, side]) => Box::new(Block::new(n, channels, side)?),
        _ => return Ok(None),
    }))
}

/// One epoch with the settings of the comparison.
fn short(batch: usize) -> TrainConfig {
    TrainConfig {
        epochs: 1,
        batch,
        learning_rate: 1e-3,
        ..Default::default()
    }
}

fn unet(side: usize) -> Result<UNet> {
    let config = UNetConfig {
        channels: vec![32, 64, 64],
        blocks: 1,
        attention: vec![1],
        ..UNetConfig::medium()
    };
    UNet::new(&config, &[1, side, side], &Device::Cpu)
}

fn mlp(width: usize, layers: usize, waves: usize) -> Result<Mlp> {
    let config = MlpConfig {
        width,
        layers,
        input: Input::Waves(waves),
        ..Default::default()
    };
    Mlp::new(&config, &Spectrum::standard(2)?, &[2], &Device::Cpu)
}

fn noise(name: &str, shape: &[usize]) -> Result<Dataset> {
    Dataset::new(name, rng::normal(shape, &mut rng::seeded(1))?)
}

fn pictures(n: usize, side: usize) -> Result<Dataset> {
    noise("pictures", &[n, 1, side, side])
}

/// Through [`train`] itself: what is measured is what is used.
struct Training<N> {
    net: N,
    data: Dataset,
    config: TrainConfig,
    /// The steps whose time is told.
    told: usize,
}

impl<N: Trainable> Work for Training<N> {
    fn run(&mut self, row: Row) -> Result<f64> {
        if row != Row::Training {
            return unknown(row.name());
        }
        let fit = train(&self.net, &self.data, &self.config)?;
        Ok(fit.seconds / fit.losses.len().max(1) as f64 * self.told as f64)
    }

    fn exchange(&mut self) -> Result<Exchange> {
        compare(&self.net)
    }
}

struct Curve {
    net: UNet,
    data: Dataset,
    points: LogSnr,
}

impl Work for Curve {
    fn run(&mut self, row: Row) -> Result<f64> {
        if row != Row::Forward {
            return unknown(row.name());
        }
        let start = Instant::now();
        mse_curve(&self.net, &self.data, &self.points)?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn exchange(&mut self) -> Result<Exchange> {
        compare(&self.net)
    }
}

/// The network at a few samples, with parameters none of which is 0 as some of a fresh one's are.
fn compare(net: &dyn Trainable) -> Result<Exchange> {
    let mut random = rng::seeded(2);
    let vars = net.vars();
    for var in &vars {
        let nudge = (rng::normal(var.dims(), &mut random)? * 0.1)?;
        var.set(&(var.as_tensor() + nudge)?)?;
    }
    let shape = [&[FEW], net.shape()].concat();
    let z = rng::normal(&shape, &mut random)?;
    let log_snr = Tensor::new(&[-4f32, -1.0, 1.5, 5.0], &Device::Cpu)?;
    let eps = net.forward(&Query::new(&z, &log_snr))?;
    Exchange::new(&vars, &[z, log_snr], &eps, true)
}

/// A residual block with its embedding of time.
struct Block {
    block: DdpmBlock,
    x: Tensor,
    time: Tensor,
}

impl Block {
    fn new(n: usize, channels: usize, side: usize) -> Result<Self> {
        let mut random = rng::seeded(1);
        let block = DdpmBlock::new(channels, 0)?;
        Ok(Self {
            x: rng::normal(&[n, channels, side, side], &mut random)?,
            time: rng::normal(&[n, block.time()], &mut random)?,
            block,
        })
    }
}

impl Work for Block {
    fn run(&mut self, row: Row) -> Result<f64> {
        let start = Instant::now();
        match row {
            Row::Forward => drop(self.block.apply(&self.x, &self.time)?),
            Row::Gradients => {
                let (x, time) = (Var::from_tensor(&self.x)?, Var::from_tensor(&self.time)?);
                drop(self.block.tracked(&x, &time)?.backward()?);
            }
            Row::Training => return unknown(row.name()),
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn exchange(&mut self) -> Result<Exchange> {
        let y = self.block.tracked(&self.x, &self.time)?;
        let inputs = [self.x.clone(), self.time.clone()];
        Exchange::new(&self.block.vars(), &inputs, &y, false)
    }
}
