//! IDDPM's U-Net, as OpenAI has it.

mod config;
mod plan;

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use config::IddpmConfig;

use super::file::{Saved, described, saved};
use super::published::{Clock, Plan, Published, find};
use crate::checkpoint::Checkpoint;
use crate::denoiser::{Denoiser, GradOut, LearnedVariance, Query, Trainable, by_graph};
use crate::device;
use crate::error::{Error, Result};
use crate::schedule::{Time, TimeMap};

/// The U-Net of IDDPM: `UNetModel` of OpenAI's improved-diffusion, with published or with fresh parameters.
///
/// It gives six channels: the estimate of the noise, which is what [`Denoiser::denoise`] returns, and the `v` of
/// [`LearnedVariance`]. Its clock is that of 4000 cosine steps unless [`Self::with_time`] or
/// [`Self::with_clock`] says otherwise.
///
/// # Shapes
/// Pictures are `[n, channels, height, width]` with values from −1 to 1, of any height and width that can be
/// halved as often as the network does.
///
/// # Numerics
/// `f32`. Agrees with PyTorch within 1e-4 for the same parameters. [`Denoiser::denoise`] takes a few pictures at a
/// time, so that the memory does not grow with their number.
///
/// # Paper
/// Nichol, Dhariwal (2021), arXiv:2102.09672. Names and details: openai/improved-diffusion, `unet.py`.
///
/// # Example: a fresh small network begins with no noise at all
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, denoiser::{Denoiser, LearnedVariance, Query}, net::{Iddpm, IddpmConfig}, rng};
///
/// let config = IddpmConfig { num_channels: 32, num_res_blocks: 1, norm_groups: 8, ..IddpmConfig::cifar10() };
/// let net = Iddpm::new(&config, 0, &Device::Cpu)?;
/// let z = rng::normal(&[2, 3, 32, 32], &mut rng::seeded(0))?;
/// let (eps, v) = net.denoise_with_variance(&Query::new(&z, &Tensor::new(&[-3f32, 3.0], &Device::Cpu)?))?;
/// assert_eq!((eps.dims(), v.dims()), (z.dims(), z.dims()));
/// assert_eq!(eps.abs()?.max_all()?.to_scalar::<f32>()?, 0.0); // its last layer is 0
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Iddpm {
    config: IddpmConfig,
    net: Published,
}

/// Names and shapes of the parameters, as OpenAI's state dict has them.
///
/// # Errors
/// [`Error::Parameter`] for a config that is no network.
///
/// # Example: the published network
/// ```
/// use itd_prelude::net::iddpm::{IddpmConfig, layout};
///
/// let layout = layout(&IddpmConfig::cifar10())?;
/// let sizes = layout.iter().map(|(_, shape)| shape.iter().product::<usize>());
/// assert_eq!((layout.len(), sizes.sum::<usize>()), (446, 52_546_438));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn layout(config: &IddpmConfig) -> Result<Vec<(String, Vec<usize>)>> {
    config.check()?;
    config.layout()
}

impl Iddpm {
    /// A network with fresh parameters: uniform as PyTorch begins with, 0 at the end of each block.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a config that is no network.
    pub fn new(config: &IddpmConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        let clock = TimeMap::iddpm(Time::default())?;
        let net = Published::new(config, seed, clock, device)?;
        let config = config.clone();
        Ok(Self { config, net })
    }

    /// OpenAI's network for CIFAR-10 from its file, such as `cifar10_uncond_vlb_50M_500K.pt`, or from a folder that
    /// holds one file of parameters.
    ///
    /// # Errors
    /// As [`Self::from_checkpoint_with`].
    pub fn from_checkpoint(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_checkpoint_with(path, &IddpmConfig::cifar10())
    }

    /// As [`Self::from_checkpoint`], for a network of another shape.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a config that is no network; [`Error::Missing`] when a folder holds no parameters or
    /// several files of them; [`Error::Format`] for a file that has not exactly the network's tensors, all of which
    /// it names; what reading a checkpoint returns.
    pub fn from_checkpoint_with(path: impl AsRef<Path>, config: &IddpmConfig) -> Result<Self> {
        Self::from_file(Checkpoint::open(find(path.as_ref())?.weights)?, config)
    }

    /// The network in a file that was opened, such as [one of several state dicts](Checkpoint::open_state_dict).
    ///
    /// # Errors
    /// As [`Self::from_checkpoint_with`].
    pub fn from_file(file: Checkpoint, config: &IddpmConfig) -> Result<Self> {
        config.check()?;
        let clock = TimeMap::iddpm(Time::default())?;
        let net = Published::load(config, file, str::to_owned, clock, &device::device())?;
        let config = config.clone();
        Ok(Self { config, net })
    }

    /// The same network, read with another clock.
    ///
    /// # Errors
    /// None; for the sake of the schedule's.
    pub fn with_time(self, time: Time) -> Result<Self> {
        Ok(self.with_clock(TimeMap::iddpm(time)?))
    }

    /// The same network with the clock that it was trained with.
    pub fn with_clock(mut self, clock: TimeMap) -> Self {
        self.net.clock = clock;
        self
    }

    /// The same network for pictures of another size, which is what [`Denoiser::shape`] says then.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both can be halved as often as the network does.
    pub fn with_size(mut self, height: usize, width: usize) -> Result<Self> {
        self.net.resize(height, width)?;
        Ok(self)
    }

    /// The network's shape.
    pub fn config(&self) -> &IddpmConfig {
        &self.config
    }

    /// Names and values of the parameters; they change when those of [`Trainable::vars`], in the same order, do.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.net.parameters()
    }

    /// All that the network says of a picture `z` at its own time `t`, a quarter of the step for the published
    /// ones, which need not be whole.
    ///
    /// # Shapes
    /// `z`: `[n, channels, height, width]`, `t`: `[n]`; gives `[n, channels, height, width]`, with twice as many
    /// channels where the variance is learned.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit the network.
    pub fn output(&self, z: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.net.forward(z, t)
    }

    /// The noise, or what comes after it.
    fn part(&self, out: &Tensor, part: usize) -> Result<Tensor> {
        let c = self.config.in_channels;
        Ok(out.narrow(1, part * c, c)?.contiguous()?)
    }
}

saved!(
    Iddpm,
    "Iddpm::new(&IddpmConfig { num_channels: 32, num_res_blocks: 1, norm_groups: 8, ..IddpmConfig::cifar10() }, 0, &Device::Cpu)?"
);

/// What a file tells of the network.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    iddpm: IddpmConfig,
    clock: Clock,
}

impl Saved for Iddpm {
    const KIND: &'static str = "iddpm";
    type Settings = Settings;

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            iddpm: self.config.clone(),
            clock: Clock::of(&self.net.clock)?,
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
            iddpm: config,
            clock,
        } = settings;
        config.check()?;
        let net = Published::restore(&config, file, clock, shape, device)?;
        Ok(Self { config, net })
    }
}

impl Denoiser for Iddpm {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.part(&self.output(&query.z, &self.net.time(&query.log_snr)?)?, 0)
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

impl LearnedVariance for Iddpm {
    /// `ε̂` and `v`, which lies between −1 and 1 as far as the network has learned that: it is not clamped, as it
    /// is not in OpenAI's code.
    ///
    /// # Errors
    /// As [`Denoiser::denoise`], and [`Error::Parameter`] for a network without a variance.
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)> {
        query.check(self.shape(), self.condition())?;
        if !self.config.learn_sigma {
            return Err(Error::Parameter {
                name: "learn_sigma",
                got: "false".into(),
                need: "true: this network was made without a variance",
            });
        }
        let out = self.output(&query.z, &self.net.time(&query.log_snr)?)?;
        Ok((self.part(&out, 0)?, self.part(&out, 1)?))
    }
}

impl Trainable for Iddpm {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn describe(&self) -> Result<Value> {
        described(self, &[])
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(self.shape(), self.condition())?;
        let t = self.net.time(&query.log_snr)?;
        self.part(&self.net.forward_tracked(&query.z, &t)?, 0)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        if !self.device().is_cpu() {
            return by_graph(self, query, grad_out);
        }
        query.check(self.shape(), self.condition())?;
        self.net.gradients(query, |z| Ok(z.clone()), grad_out)
    }
}
