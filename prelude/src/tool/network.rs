//! The networks whose files are known, and how a file fits one.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::net::ddpm::{self, DdpmConfig};
use crate::net::iddpm::{self, IddpmConfig};
use crate::net::unet::UNet;

/// A network that a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// `UNet2DModel` of diffusers.
    Ddpm,
    /// `UNetModel` of OpenAI's improved-diffusion.
    Iddpm,
    /// Our own, with its settings in the file.
    Unet,
}

/// How a file fits.
pub(super) struct Fit {
    /// Where the network's settings come from.
    pub settings: String,
    pub fits: bool,
    /// What does not fit, or that all does.
    pub text: String,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ddpm => "ddpm",
            Self::Iddpm => "iddpm",
            Self::Unet => "unet",
        })
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::Ddpm, Self::Iddpm, Self::Unet];
        let found = all.into_iter().find(|network| network.to_string() == name);
        found.ok_or_else(|| Error::Parameter {
            name: "the network",
            got: format!("{name:?}"),
            need: "ddpm, iddpm or unet",
        })
    }
}

impl Network {
    /// The network that a file looks like.
    pub(super) fn of(file: &Checkpoint) -> Option<Self> {
        let has = |name: &str| file.entries().iter().any(|entry| entry.name == name);
        if file
            .metadata()
            .get("itd.network")
            .is_some_and(|kind| kind == "unet")
        {
            return Some(Self::Unet);
        }
        match () {
            () if has("time_embedding.linear_1.weight") => Some(Self::Ddpm),
            () if has("time_embed.0.weight") => Some(Self::Iddpm),
            () => None,
        }
    }

    /// Holds a file against the network.
    pub(super) fn compare(self, file: &Checkpoint) -> Result<Fit> {
        let published = "the settings published for CIFAR-10".to_owned();
        let (settings, layout) = match self {
            Self::Ddpm => {
                let beside = file.path().with_file_name("config.json");
                let (settings, config) = match beside.is_file() {
                    true => (beside.display().to_string(), DdpmConfig::read(&beside)?),
                    false => (published, DdpmConfig::cifar10()),
                };
                (settings, ddpm::layout_in(file, &config)?)
            }
            Self::Iddpm => (published, iddpm::layout(&IddpmConfig::cifar10())?),
            Self::Unet => {
                let loaded = UNet::load(file.path(), &Device::Cpu);
                return Ok(Fit {
                    settings: "the settings in the file".into(),
                    fits: loaded.is_ok(),
                    text: match loaded {
                        Ok(_) => format!("all {} tensors fit", file.entries().len()),
                        Err(error) => error.to_string(),
                    },
                });
            }
        };
        let keys = file.compare(&layout);
        Ok(Fit {
            settings,
            fits: keys.fit(),
            text: keys.to_string(),
        })
    }
}
