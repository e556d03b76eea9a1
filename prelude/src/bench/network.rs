//! Networks: steps of training, curves, and a block of a large one.

use std::time::Instant;

use candle_core::{Device, Tensor, Var};

use super::case::{Row, sizes};
use super::work::{Exchange, Work, unknown};
use crate::channel;
use crate::curve::mse_curve;
use crate::data::Dataset;
use crate::denoiser::{Query, Trainable};
use crate::distribution::Gaussian;
use crate::error::Result;
use crate::logsnr::{Logistic, Quadrature};
use crate::net::mlp::Input;
use crate::net::{Ddpm, DdpmBlock, DdpmConfig, Mlp, MlpConfig, UNet, UNetConfig};
use crate::ops::Tape;
use crate::rng::{self, Rng};
use crate::schedule::NoiseSchedule;
use crate::train::{Gradients, Task, TrainConfig, Trainer, train};

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
                log_snr: Some(Logistic::new(1.0, 2.0, 4.0)?),
                ..short(batch)
            },
            told: 1,
        }),
        ("mlp", &[batch, width, layers, waves, steps]) => Box::new(Training {
            net: mlp(width, layers, waves)?,
            data: noise("points", &[steps * batch, 2])?,
            config: TrainConfig {
                log_snr: Some(Logistic::new(0.0, 3.0, 4.0)?),
                ..short(batch)
            },
            told: steps,
        }),
        ("curve", &[n, points, side]) => Box::new(Curve {
            net: unet(side)?,
            data: pictures(n, side)?,
            points: Logistic::new(1.0, 2.0, 4.0)?.quadrature(points)?,
        }),
        ("ddpm", &[batch, side, steps, channels]) => {
            Box::new(FineTuning::new(batch, side, steps, channels)?)
        }
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
    Mlp::new(&config, &Gaussian::standard(2)?, &[2], &Device::Cpu)
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
        Ok(fit.seconds / fit.steps().max(1) as f64 * self.told as f64)
    }

    fn exchange(&mut self) -> Result<Exchange> {
        compare(&self.net)
    }
}

struct Curve {
    net: UNet,
    data: Dataset,
    points: Quadrature,
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

/// Steps of the published network for CIFAR-10, by the squared error of the noise.
struct FineTuning {
    net: Ddpm,
    x: Tensor,
    schedule: NoiseSchedule,
    config: TrainConfig,
}

impl FineTuning {
    fn new(batch: usize, side: usize, steps: usize, channels: usize) -> Result<Self> {
        let config = DdpmConfig {
            sample_size: [side, side],
            block_out_channels: vec![channels, 2 * channels, 2 * channels, 2 * channels],
            ..DdpmConfig::cifar10()
        };
        Ok(Self {
            net: Ddpm::new(&config, 0, &Device::Cpu)?,
            x: rng::normal(&[steps * batch, 3, side, side], &mut rng::seeded(1))?,
            schedule: NoiseSchedule::linear(1000)?,
            config: short(batch),
        })
    }
}

impl Task for &FineTuning {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn samples(&self) -> usize {
        self.x.dims()[0]
    }

    fn loss(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor> {
        let (query, eps) = self.noisy(rows, rng)?;
        Ok((self.net.forward(&query)? - eps)?.sqr()?.mean_all()?)
    }

    fn gradients(&self, rows: &[u32], rng: &mut Rng) -> Result<Gradients> {
        let (query, eps) = self.noisy(rows, rng)?;
        let values = eps.elem_count() as f64;
        let sum = std::sync::Mutex::new(0.0);
        let grad_out = |first: usize, estimate: &Tensor| {
            let residual = (estimate - eps.narrow(0, first, estimate.dim(0)?)?)?;
            let square = f64::from(residual.sqr()?.sum_all()?.to_scalar::<f32>()?);
            *sum.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) += square;
            Ok((residual * (2.0 / values))?)
        };
        let by_var = self.net.gradients(&query, &grad_out)?;
        let sum = sum
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Gradients {
            loss: sum / values,
            by_var,
            log_snr: None,
        })
    }
}

impl FineTuning {
    fn noisy(&self, rows: &[u32], rng: &mut Rng) -> Result<(Query, Tensor)> {
        let x = self.x.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?;
        let eps = rng::normal(x.dims(), rng)?;
        let points = self.schedule.stratified(rows.len(), rng)?.shuffled(rng);
        let alphas = points.log_snr.iter().map(|&alpha| alpha as f32);
        let log_snr = Tensor::from_iter(alphas, &Device::Cpu)?;
        let z = channel::mix(&x, &eps, &log_snr)?;
        Ok((Query::new(&z, &log_snr), eps))
    }
}

impl Work for FineTuning {
    fn run(&mut self, row: Row) -> Result<f64> {
        if row != Row::Training {
            return unknown(row.name());
        }
        let fit = Trainer::new(&*self, &self.config)?.run()?;
        Ok(fit.seconds / fit.steps().max(1) as f64)
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
    Exchange::new(&vars, &[z, log_snr], &eps)
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
                let leaves = [self.block.vars(), vec![x.clone(), time.clone()]].concat();
                let tape = Tape::on(&leaves);
                let y = self.block.tracked(&tape, &x, &time)?;
                let ones = y.ones_like()?;
                drop(tape.backward(&y, ones, &leaves)?);
            }
            Row::Training => return unknown(row.name()),
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn exchange(&mut self) -> Result<Exchange> {
        let y = self.block.tracked(&Tape::off(), &self.x, &self.time)?;
        let inputs = [self.x.clone(), self.time.clone()];
        Exchange::new(&self.block.vars(), &inputs, &y)
    }
}
