//! DDPM's U-Net, as diffusers has it.

mod config;
mod json;
mod plan;
mod single;

use std::path::Path;

use candle_core::{Device, Tensor, Var};

pub use config::{Block, DdpmConfig};
#[doc(hidden)]
pub use single::DdpmBlock;

use super::published::{Plan, Published, Seeded, find};
use crate::checkpoint::Checkpoint;
use crate::denoiser::{Denoiser, Query, Trainable};
use crate::device;
use crate::error::Result;
use crate::rng;
use crate::schedule::{Time, TimeMap};

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
        let net = Published::new(config, &mut Seeded(rng::seeded(seed)), clock, device)?;
        let config = config.clone();
        Ok(Self { config, net })
    }

    /// A network from a folder as diffusers saves it, or from a file of parameters.
    ///
    /// The `config.json` beside the file tells the network's shape; without one it is [`DdpmConfig::cifar10`].
    /// Attention layers may have the names of old or of current diffusers.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when a folder holds no parameters or several files of them;
    /// [`Error::Format`](crate::Error::Format) for a config that is not supported, and for a file that has not
    /// exactly the network's tensors, all of which it names; what reading a checkpoint returns.
    pub fn from_checkpoint(path: impl AsRef<Path>) -> Result<Self> {
        let found = find(path.as_ref())?;
        let config = match found.config {
            Some(path) => DdpmConfig::read(path)?,
            None => DdpmConfig::cifar10(),
        };
        Self::load(&found.weights, &config)
    }

    /// As [`Self::from_checkpoint`], for a network of another shape.
    ///
    /// # Errors
    /// As [`Self::from_checkpoint`]; [`Error::Parameter`](crate::Error::Parameter) for a config that is no network.
    pub fn from_checkpoint_with(path: impl AsRef<Path>, config: &DdpmConfig) -> Result<Self> {
        config.check()?;
        Self::load(&find(path.as_ref())?.weights, config)
    }

    fn load(weights: &Path, config: &DdpmConfig) -> Result<Self> {
        let file = Checkpoint::open(weights)?;
        let rename = naming(&file);
        let clock = TimeMap::ddpm(Time::default())?;
        let net = Published::load(config, &file, rename, clock, &device::device())?;
        let config = config.clone();
        Ok(Self { config, net })
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

    fn noise(&self, out: Tensor) -> Result<Tensor> {
        Ok(out.narrow(1, 0, self.config.in_channels)?.contiguous()?)
    }
}

impl Denoiser for Ddpm {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.noise(self.output(&query.z, &self.net.time(&query.log_snr)?)?)
    }

    fn shape(&self) -> &[usize] {
        &self.net.shape
    }

    fn device(&self) -> &Device {
        &self.net.device
    }

    fn batch(&self) -> usize {
        self.net.batch()
    }
}

impl Trainable for Ddpm {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(self.shape(), self.condition())?;
        let t = self.net.time(&query.log_snr)?;
        self.noise(self.net.forward_tracked(&self.shown(&query.z)?, &t)?)
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
