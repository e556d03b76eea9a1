//! What goes into a run: pictures and two networks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rand::Rng;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Cifar10Config, Scale, folder, of_file};
use crate::candle::DType;
use crate::checkpoint::Checkpoint;
use crate::data::{Split, cifar10, cifar10_in};
use crate::denoiser::Trainable;
use crate::device::device;
use crate::error::{Error, Result};
use crate::file;
use crate::hub;
use crate::net::{Ddpm, DdpmConfig, Iddpm, IddpmConfig};
use crate::rng;
use crate::schedule::Time;

/// One of the two networks, published or tuned.
#[derive(Debug, Clone)]
pub(super) enum Net {
    Ddpm(Ddpm),
    Iddpm(Iddpm),
}

impl Net {
    pub fn trainable(&self) -> &dyn Trainable {
        match self {
            Self::Ddpm(net) => net,
            Self::Iddpm(net) => net,
        }
    }

    /// A digest of names, shapes and values of all parameters.
    pub fn digest(&self) -> Result<String> {
        let parameters = match self {
            Self::Ddpm(net) => net.parameters(),
            Self::Iddpm(net) => net.parameters(),
        };
        let mut hash = Sha256::new();
        for (name, values) in parameters {
            hash.update(format!("{name} {:?}\n", values.dims()));
            let values: Vec<f32> = values.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
            values
                .iter()
                .for_each(|value| hash.update(value.to_le_bytes()));
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        match self {
            Self::Ddpm(net) => net.save(path),
            Self::Iddpm(net) => net.save(path),
        }
    }
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Ddpm,
    Iddpm,
}

impl Which {
    pub const ALL: [Self; 2] = [Self::Ddpm, Self::Iddpm];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Iddpm => "iddpm",
        }
    }

    /// Reads a network that [`Net::save`] wrote.
    pub fn load(self, path: &Path) -> Result<Net> {
        Ok(match self {
            Self::Ddpm => Net::Ddpm(Ddpm::load(path, &device())?),
            Self::Iddpm => Net::Iddpm(Iddpm::load(path, &device())?),
        })
    }
}

/// CIFAR-10, or at the scale `smoke` pictures of its size.
pub(super) fn pictures(config: &Cifar10Config) -> Result<Split> {
    match (&config.data, config.scale) {
        (Some(folder), _) => cifar10_in(folder),
        (None, Scale::Smoke) => {
            let place = config.folder.join("inputs/cifar-10");
            draw_pictures(&place)?;
            cifar10_in(place)
        }
        (None, _) => cifar10().map_err(|error| match error {
            Error::Missing { what, .. } => Error::Missing { what, next: NEXT },
            other => other,
        }),
    }
}

/// What to do where there is no CIFAR-10, for both who call a function and who give a command.
const NEXT: &str = "get it with `mkdir -p cifar-10 && curl -L \
                    https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz | tar xz -C cifar-10`, then name the \
                    folder: `--data cifar-10` for `itd reproduce cifar10`, `data: Some(\"cifar-10\".into())` for \
                    `Cifar10Config`";

/// The published network, with the clock of the published code; at the scale `smoke` a small one.
pub(super) fn network(which: Which, config: &Cifar10Config) -> Result<Net> {
    let place = match config.scale {
        Scale::Smoke => draw_network(which, &config.folder.join("inputs"))?,
        _ => {
            let name = match which {
                Which::Ddpm => "ddpm-cifar10",
                Which::Iddpm => "iddpm-cifar10-vlb",
            };
            let [place] = hub::need([name])?;
            place
        }
    };
    let time = Time::AsPublished;
    Ok(match which {
        Which::Ddpm => Net::Ddpm(Ddpm::from_checkpoint(place)?.with_time(time)?),
        Which::Iddpm => {
            let size = match config.scale {
                Scale::Smoke => small_iddpm(),
                _ => IddpmConfig::cifar10(),
            };
            Net::Iddpm(Iddpm::from_checkpoint_with(place, &size)?.with_time(time)?)
        }
    })
}

/// The size of a record of CIFAR-10's binary files: a label, and three planes of 32 by 32.
const PLANE: usize = 32 * 32;
/// Pictures in each drawn file: five of them are more than the dimensions, so that their covariance is of full rank.
const DRAWN: usize = 640;

/// Smooth patches of colour, in CIFAR-10's binary format.
fn draw_pictures(place: &Path) -> Result<()> {
    folder(place)?;
    let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
    for name in names.chain(["test_batch.bin".to_owned()]) {
        let path = place.join(&name);
        if path.try_exists().map_err(of_file(&path))? {
            continue;
        }
        let mut rng = rng::stream(0, &name);
        let mut bytes = Vec::with_capacity(DRAWN * (1 + 3 * PLANE));
        for label in 0..DRAWN {
            bytes.push((label % 10) as u8);
            for _ in 0..3 {
                let [base, x, y, bend]: [f64; 4] =
                    std::array::from_fn(|_| rng.random_range(-1.0..1.0));
                bytes.extend((0..PLANE).map(|i| {
                    let (u, v) = ((i % 32) as f64 / 16.0 - 1.0, (i / 32) as f64 / 16.0 - 1.0);
                    let grain = rng.random_range(-0.2..0.2);
                    let value = 0.5 * base + 0.4 * x * u + 0.4 * y * v + 0.4 * bend * u * v + grain;
                    (127.5 * (value.clamp(-1.0, 1.0) + 1.0)).round() as u8
                }));
            }
        }
        let write = |file: &mut std::fs::File| std::io::Write::write_all(file, &bytes);
        file::replace(&path, write).map_err(of_file(&path))?;
    }
    Ok(())
}

fn small_iddpm() -> IddpmConfig {
    IddpmConfig {
        num_channels: 16,
        num_res_blocks: 1,
        norm_groups: 8,
        ..IddpmConfig::cifar10()
    }
}

/// A small network with drawn parameters: DDPM's as a folder of diffusers, IDDPM's as a state dict under OpenAI's names.
fn draw_network(which: Which, inputs: &Path) -> Result<PathBuf> {
    let place = inputs.join(which.name());
    folder(&place)?;
    let weights = place.join("diffusion_pytorch_model.safetensors");
    if weights.try_exists().map_err(of_file(&weights))? {
        return Ok(place);
    }
    let parameters = match which {
        Which::Iddpm => Iddpm::new(&small_iddpm(), 0, &device())?.parameters(),
        Which::Ddpm => {
            let config = DdpmConfig {
                block_out_channels: vec![16; 4],
                norm_num_groups: 8,
                ..DdpmConfig::cifar10()
            };
            let settings = json!({
                "_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3,
                "block_out_channels": config.block_out_channels, "norm_num_groups": config.norm_num_groups,
                "norm_eps": 1e-6, "layers_per_block": 2, "flip_sin_to_cos": false, "freq_shift": 1,
                "downsample_padding": 0, "attention_head_dim": null,
                "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
                "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
            });
            super::write_json(&place.join("config.json"), &settings)?;
            Ddpm::new(&config, 0, &device())?.parameters()
        }
    };
    Checkpoint::save(&weights, &parameters, &BTreeMap::new())?;
    Ok(place)
}
