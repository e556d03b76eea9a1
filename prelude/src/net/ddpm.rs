//! DDPM's U-Net, as diffusers has it.

mod config;
mod json;
mod plan;
mod single;

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use config::{Block, DdpmConfig};
#[doc(hidden)]
pub use single::DdpmBlock;

use super::file::{Saved, described, saved};
use super::published::{Clock, Plan, Published, find};
use crate::checkpoint::Checkpoint;
use crate::denoiser::{Denoiser, GradOut, Parametrization, Query, Trainable, by_graph};
use crate::device;
use crate::diffusers::{Found, Prediction, Scheduler};
use crate::error::Result;
use crate::schedule::{NoiseSchedule, Time, TimeMap};

/// The U-Net of DDPM: diffusers' `UNet2DModel`, with published or with fresh parameters.
///
/// Its clock is that of 1000 linear steps unless [`Self::with_time`] or [`Self::with_clock`] says otherwise.
///
/// # Shapes
/// Pictures are `[n, channels, height, width]` with values from −1 to 1, of any height and width that can be
/// halved as often as the network does.
///
/// # Numerics
/// `f32`. Agrees with diffusers within 1e-4 for the same parameters. [`Denoiser::denoise`] takes a few pictures at
/// a time, so that the memory does not grow with their number.
///
/// # Paper
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239. Names and details: diffusers, `UNet2DModel`.
///
/// # Example: a fresh small network
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, denoiser::{Denoiser, Query}, net::{Ddpm, DdpmConfig}, rng};
///
/// let config = DdpmConfig { block_out_channels: vec![32; 4], norm_num_groups: 8, ..DdpmConfig::cifar10() };
/// let net = Ddpm::new(&config, 0, &Device::Cpu)?;
/// let z = rng::normal(&[2, 3, 32, 32], &mut rng::seeded(0))?;
/// let eps = net.denoise(&Query::new(&z, &Tensor::new(&[-3f32, 3.0], &Device::Cpu)?))?;
/// assert_eq!(eps.dims(), z.dims());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ddpm {
    config: DdpmConfig,
    net: Published,
    parametrization: Parametrization,
}

/// Names and shapes of the parameters, as current diffusers has them.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a config that is no network.
///
/// # Example: the published network
/// ```
/// use itd_prelude::net::ddpm::{DdpmConfig, layout};
///
/// let layout = layout(&DdpmConfig::cifar10())?;
/// let sizes = layout.iter().map(|(_, shape)| shape.iter().product::<usize>());
/// assert_eq!((layout.len(), sizes.sum::<usize>()), (328, 35_746_307));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn layout(config: &DdpmConfig) -> Result<Vec<(String, Vec<usize>)>> {
    config.check()?;
    config.layout()
}

/// As [`layout`], by the names that a file has for attention: those of old or of current diffusers.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a config that is no network.
pub fn layout_in(file: &Checkpoint, config: &DdpmConfig) -> Result<Vec<(String, Vec<usize>)>> {
    let rename = naming(file);
    let named = layout(config)?.into_iter();
    Ok(named.map(|(name, shape)| (rename(&name), shape)).collect())
}

impl Ddpm {
    /// A network with fresh parameters, uniform as PyTorch begins with.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) for a config that is no network.
    pub fn new(config: &DdpmConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        let clock = TimeMap::ddpm(Time::default())?;
        let net = Published::new(config, seed, clock, device)?;
        Ok(Self {
            config: config.clone(),
            net,
            parametrization: Parametrization::Eps,
        })
    }

    /// A network from a folder as diffusers saves it, or from a file of parameters.
    ///
    /// The `config.json` beside the file tells the network's shape; without one it is [`DdpmConfig::cifar10`]. The
    /// pipeline's `scheduler_config.json` tells the clock and what the network says, the noise, the picture or `v`;
    /// without one they are those of DDPM. Attention layers may have the names of old or of current diffusers, and
    /// all names the same beginning.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when a folder holds no parameters or several files of them;
    /// [`Error::Format`](crate::Error::Format) for a config or a scheduler that is not supported, and for a file that
    /// has not exactly the network's tensors, all of which it names; what reading a checkpoint returns.
    pub fn from_checkpoint(path: impl AsRef<Path>) -> Result<Self> {
        let found = find(path.as_ref())?;
        let config = match &found.config {
            Some(path) => DdpmConfig::read(path)?,
            None => DdpmConfig::cifar10(),
        };
        Self::from_found(&found, &config)
    }

    /// As [`Self::from_checkpoint`], for a network of another shape.
    ///
    /// # Errors
    /// As [`Self::from_checkpoint`]; [`Error::Parameter`](crate::Error::Parameter) for a config that is no network.
    pub fn from_checkpoint_with(path: impl AsRef<Path>, config: &DdpmConfig) -> Result<Self> {
        config.check()?;
        Self::from_found(&find(path.as_ref())?, config)
    }

    /// The network in a file that was opened, such as [one of several state
    /// dicts](Checkpoint::open_state_dict), with the clock of DDPM.
    ///
    /// # Errors
    /// As [`Self::from_checkpoint_with`].
    pub fn from_file(file: Checkpoint, config: &DdpmConfig) -> Result<Self> {
        config.check()?;
        let rename = naming(&file);
        let clock = TimeMap::ddpm(Time::default())?;
        let net = Published::load(config, file, rename, clock, &device::device())?;
        Ok(Self {
            config: config.clone(),
            net,
            parametrization: Parametrization::Eps,
        })
    }

    fn from_found(found: &Found, config: &DdpmConfig) -> Result<Self> {
        let scheduler = found.scheduler.as_ref().map(Scheduler::read).transpose()?;
        let net = Self::from_file(Checkpoint::open(&found.weights)?, config)?;
        let Some(scheduler) = scheduler else {
            return Ok(net);
        };
        let schedule = NoiseSchedule::from_betas(scheduler.betas)?;
        let predicts = match scheduler.prediction {
            Prediction::Epsilon => Parametrization::Eps,
            Prediction::Sample => Parametrization::X0,
            Prediction::Velocity => Parametrization::V,
        };
        let clock = TimeMap::Steps {
            schedule,
            scale: 1.0,
        };
        Ok(net.with_clock(clock).predicting(predicts))
    }

    /// The same network, taken at its word for something else than the noise.
    pub fn predicting(mut self, parametrization: Parametrization) -> Self {
        self.parametrization = parametrization;
        self
    }

    /// The same network, read with another clock.
    ///
    /// # Errors
    /// None; for the sake of the schedule's.
    pub fn with_time(self, time: Time) -> Result<Self> {
        Ok(self.with_clock(TimeMap::ddpm(time)?))
    }

    /// The same network with the clock that it was trained with.
    pub fn with_clock(mut self, clock: TimeMap) -> Self {
        self.net.clock = clock;
        self
    }

    /// The same network for pictures of another size, which is what [`Denoiser::shape`] says then.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both can be halved as often as the network does.
    pub fn with_size(mut self, height: usize, width: usize) -> Result<Self> {
        self.net.resize(height, width)?;
        Ok(self)
    }

    /// The network's shape.
    pub fn config(&self) -> &DdpmConfig {
        &self.config
    }

    /// Names and values of the parameters; they change when those of [`Trainable::vars`], in the same order, do.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.net.parameters()
    }

    /// All that the network says of a picture `z` at its own time `t`, which need not be whole.
    ///
    /// # Shapes
    /// `z`: `[n, in_channels, height, width]`, `t`: `[n]`; gives `[n, out_channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) when they do not fit the network.
    pub fn output(&self, z: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.net.forward(&self.shown(z)?, t)
    }

    fn shown(&self, z: &Tensor) -> Result<Tensor> {
        Ok(match self.config.center_input_sample {
            true => z.affine(2.0, -1.0)?,
            false => z.clone(),
        })
    }

    fn noise(&self, out: Tensor, query: &Query) -> Result<Tensor> {
        let out = out.narrow(1, 0, self.config.in_channels)?.contiguous()?;
        self.parametrization.to_eps(&out, &query.z, &query.log_snr)
    }
}

saved!(
    Ddpm,
    "Ddpm::new(&DdpmConfig { block_out_channels: vec![32; 4], norm_num_groups: 8, ..DdpmConfig::cifar10() }, 0, &Device::Cpu)?"
);

/// What a file tells of the network.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    ddpm: DdpmConfig,
    clock: Clock,
    parametrization: Parametrization,
}

impl Saved for Ddpm {
    const KIND: &'static str = "ddpm";
    type Settings = Settings;

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            ddpm: self.config.clone(),
            clock: Clock::of(&self.net.clock)?,
            parametrization: self.parametrization,
        })
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        self.parameters()
    }

    fn restore(
        settings: Settings,
        shape: &[usize],
        file: &Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        let Settings {
            ddpm: config,
            clock,
            parametrization,
        } = settings;
        config.check()?;
        let net = Published::restore(&config, file, clock, shape, device)?;
        Ok(Self {
            config,
            net,
            parametrization,
        })
    }
}

impl Denoiser for Ddpm {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.noise(
            self.output(&query.z, &self.net.time(&query.log_snr)?)?,
            query,
        )
    }

    fn shape(&self) -> &[usize] {
        &self.net.shape
    }

    fn device(&self) -> &Device {
        self.net.device()
    }

    fn batch(&self) -> usize {
        self.net.batch()
    }
}

impl Trainable for Ddpm {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn describe(&self) -> Result<Value> {
        described(self, &[])
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(self.shape(), self.condition())?;
        let t = self.net.time(&query.log_snr)?;
        self.noise(self.net.forward_tracked(&self.shown(&query.z)?, &t)?, query)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        // The tape knows the way back from the noise alone.
        if !self.device().is_cpu() || self.parametrization != Parametrization::Eps {
            return by_graph(self, query, grad_out);
        }
        query.check(self.shape(), self.condition())?;
        self.net.gradients(query, |z| self.shown(z), grad_out)
    }
}

/// What a file calls a parameter.
fn naming(file: &Checkpoint) -> fn(&str) -> String {
    let mut names = file.entries().iter().map(|entry| &entry.name);
    match names.any(|name| name.ends_with(".query.weight")) {
        true => old_name,
        false => str::to_owned,
    }
}

/// The name that a parameter had before diffusers renamed those of attention.
fn old_name(name: &str) -> String {
    let pairs = [
        (".to_q.", ".query."),
        (".to_k.", ".key."),
        (".to_v.", ".value."),
        (".to_out.0.", ".proj_attn."),
    ];
    let rename = |name: String, (new, old): (&str, &str)| name.replace(new, old);
    pairs.into_iter().fold(name.to_owned(), rename)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Iddpm, IddpmConfig};
    use crate::rng;

    /// The tape, a few pictures at a time, and candle's graph for all at once.
    fn gradients_agree(net: &dyn Trainable, n: usize) {
        for (seed, var) in (0..).zip(net.vars()) {
            let noise = rng::normal(var.dims(), &mut rng::seeded(seed)).unwrap();
            let fan = (var.elem_count() / var.dims()[0]).max(4) as f64;
            var.set(&(var.as_tensor() + (noise / fan.sqrt()).unwrap()).unwrap())
                .unwrap();
        }
        let shape = [&[n], net.shape()].concat();
        let z = rng::normal(&shape, &mut rng::seeded(1)).unwrap();
        let weights = rng::normal(&shape, &mut rng::seeded(2)).unwrap();
        let alphas = rng::normal(&[n], &mut rng::seeded(3)).unwrap();
        let query = Query::new(&z, &(alphas * 3.0).unwrap());
        let estimate = net.denoise(&query).unwrap();
        let most = |t: &Tensor| -> f32 {
            let flat = t.flatten_all().unwrap().abs().unwrap();
            flat.max(0).unwrap().to_scalar().unwrap()
        };
        let grad_out = |first, eps: &Tensor| {
            let some = |t: &Tensor| t.narrow(0, first, eps.dim(0)?);
            assert!(most(&(eps - some(&estimate)?)?) < 1e-3 * most(&estimate));
            Ok(some(&weights)?)
        };
        let fast = net.gradients(&query, &grad_out).unwrap();
        let slow = by_graph(net, &query, &grad_out).unwrap();
        let mut largest = 0f32;
        for (i, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
            let (fast, slow) = (fast.as_ref().unwrap(), slow.as_ref().unwrap());
            largest = largest.max(most(slow));
            let apart = most(&(fast - slow).unwrap());
            assert!(
                apart < 1e-3 * most(slow).max(1e-1),
                "{i}: {apart} of {}",
                most(slow)
            );
        }
        assert!(largest > 0.1);
    }

    #[test]
    fn the_tapes_gradients_are_those_of_candles_graph() {
        let config = DdpmConfig {
            sample_size: [16, 32],
            block_out_channels: vec![8, 16],
            down_block_types: vec![Block::Plain, Block::Attention],
            up_block_types: vec![Block::Attention, Block::Plain],
            norm_num_groups: 4,
            attention_head_dim: Some(8),
            mid_block_scale_factor: 1.5,
            center_input_sample: true,
            ..DdpmConfig::cifar10()
        };
        // More than go through at once.
        gradients_agree(&Ddpm::new(&config, 0, &Device::Cpu).unwrap(), 11);
        let padded = DdpmConfig {
            out_channels: 6,
            downsample_padding: 1,
            attention_head_dim: None,
            ..config
        };
        gradients_agree(&Ddpm::new(&padded, 0, &Device::Cpu).unwrap(), 2);
        for use_scale_shift_norm in [true, false] {
            let config = IddpmConfig {
                image_size: 16,
                num_channels: 8,
                channel_mult: vec![1, 2],
                attention_resolutions: vec![8],
                num_heads: 2,
                num_res_blocks: 1,
                norm_groups: 4,
                use_scale_shift_norm,
                ..IddpmConfig::cifar10()
            };
            gradients_agree(&Iddpm::new(&config, 0, &Device::Cpu).unwrap(), 3);
        }
    }
}
