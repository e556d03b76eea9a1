//! The shape of a network.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::file::exact;

/// The shape of a [`Ddpm`](super::Ddpm): the settings of diffusers' `UNet2DModel`, under its names.
///
/// # Example: a small network for pictures of 8×8
/// ```
/// use itd_prelude::net::ddpm::{Block, DdpmConfig};
///
/// let small = DdpmConfig {
///     sample_size: [8, 8],
///     block_out_channels: vec![16, 32],
///     down_block_types: vec![Block::Plain, Block::Attention],
///     up_block_types: vec![Block::Attention, Block::Plain],
///     norm_num_groups: 8,
///     ..DdpmConfig::cifar10()
/// };
/// small.check()?;
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdpmConfig {
    /// Height and width of a picture.
    pub sample_size: [usize; 2],
    /// Channels of a picture.
    pub in_channels: usize,
    /// As many, or twice as many: then only the first half, the noise, is used.
    pub out_channels: usize,
    /// Channels at each size, from the largest picture to the smallest.
    pub block_out_channels: Vec<usize>,
    /// Where there is attention on the way down.
    pub down_block_types: Vec<Block>,
    /// Where there is attention on the way up, which begins with the smallest picture.
    pub up_block_types: Vec<Block>,
    /// Residual blocks at each size on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Groups of channels that are normalised together.
    pub norm_num_groups: usize,
    /// What is added to their variance.
    #[serde(with = "exact")]
    pub norm_eps: f64,
    /// Whether time is embedded with the cosines first.
    pub flip_sin_to_cos: bool,
    /// Wave `k` of `half` has the frequency `10000^(−k/(half − freq_shift))`.
    #[serde(with = "exact")]
    pub freq_shift: f64,
    /// Whether pictures are halved with zeros on all four sides (1), or only below and to the right (0).
    pub downsample_padding: usize,
    /// Channels of an attention head; all in one head when `None`.
    pub attention_head_dim: Option<usize>,
    /// What the sums of the middle blocks are divided by.
    #[serde(with = "exact")]
    pub mid_block_scale_factor: f64,
    /// Whether the network is shown `2z − 1`.
    pub center_input_sample: bool,
}

/// What follows the residual blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Nothing: `DownBlock2D`, `UpBlock2D`.
    Plain,
    /// Attention after each: `AttnDownBlock2D`, `AttnUpBlock2D`.
    Attention,
}

impl Default for DdpmConfig {
    fn default() -> Self {
        Self::cifar10()
    }
}

impl DdpmConfig {
    /// The network of `google/ddpm-cifar10-32`: 328 tensors, 35,746,307 parameters.
    ///
    /// # Paper
    /// Ho, Jain, Abbeel (2020), arXiv:2006.11239, App. B.
    pub fn cifar10() -> Self {
        use Block::{Attention, Plain};
        Self {
            sample_size: [32, 32],
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![128, 256, 256, 256],
            down_block_types: vec![Plain, Attention, Plain, Plain],
            up_block_types: vec![Plain, Plain, Attention, Plain],
            layers_per_block: 2,
            norm_num_groups: 32,
            norm_eps: 1e-6,
            flip_sin_to_cos: false,
            freq_shift: 1.0,
            downsample_padding: 0,
            attention_head_dim: None,
            mid_block_scale_factor: 1.0,
            center_input_sample: false,
        }
    }

    /// Refuses what is no network.
    ///
    /// # Errors
    /// [`Error::Parameter`], with the setting and what it may be.
    pub fn check(&self) -> Result<()> {
        let channels = &self.block_out_channels;
        let levels = channels.len();
        let range = |name, got: usize, most, need| match (1..=most).contains(&got) {
            true => Ok(()),
            false => Err(refuse(name, got.to_string(), need)),
        };
        range("the number of block_out_channels", levels, 12, "1 to 12")?;
        for &c in channels {
            range("block_out_channels", c, 16_384, "1 to 16384 each")?;
        }
        range("in_channels", self.in_channels, 1024, "1 to 1024")?;
        range("layers_per_block", self.layers_per_block, 64, "1 to 64")?;
        range(
            "norm_num_groups",
            self.norm_num_groups,
            16_384,
            "1 to 16384",
        )?;
        let halves = 1 << (levels - 1);
        for size in self.sample_size {
            if size == 0 || !size.is_multiple_of(halves) || size > 16_384 {
                let got = format!("{:?} with {levels} block_out_channels", self.sample_size);
                let need = "1 to 16384, and halved as often as there are sizes below the first";
                return Err(refuse("sample_size", got, need));
            }
        }
        if ![self.in_channels, 2 * self.in_channels].contains(&self.out_channels) {
            let need = "in_channels, or twice that";
            return Err(refuse("out_channels", self.out_channels.to_string(), need));
        }
        for (name, types) in [
            ("the number of down_block_types", &self.down_block_types),
            ("the number of up_block_types", &self.up_block_types),
        ] {
            if types.len() != levels {
                let got = format!("{} for {levels} block_out_channels", types.len());
                return Err(refuse(name, got, "one for each"));
            }
        }
        self.check_channels()?;
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            let got = self.norm_eps.to_string();
            return Err(refuse("norm_eps", got, "finite and > 0"));
        }
        let half = (self.block_out_channels[0] / 2) as f64;
        if !(self.freq_shift >= 0.0 && self.freq_shift < half) {
            let need = "at least 0 and below half the first of block_out_channels";
            return Err(refuse("freq_shift", self.freq_shift.to_string(), need));
        }
        if self.downsample_padding > 1 {
            let got = self.downsample_padding.to_string();
            return Err(refuse("downsample_padding", got, "0 or 1"));
        }
        let scale = self.mid_block_scale_factor;
        if !(scale != 0.0 && scale.is_finite()) {
            let need = "finite and not 0";
            return Err(refuse("mid_block_scale_factor", scale.to_string(), need));
        }
        Ok(())
    }

    fn check_channels(&self) -> Result<()> {
        let first = self.block_out_channels[0];
        if first < 4 || !first.is_multiple_of(2) {
            let need = "even and at least 4 at first, where time is embedded in as many";
            return Err(refuse("block_out_channels", first.to_string(), need));
        }
        let groups = self.norm_num_groups;
        let size = self.attention_head_dim;
        for &c in &self.block_out_channels {
            if !c.is_multiple_of(groups) {
                let need = "a divisor of each of block_out_channels";
                return Err(refuse("norm_num_groups", format!("{groups} for {c}"), need));
            }
            if let Some(size) = size
                && (size == 0 || !c.is_multiple_of(size))
            {
                let need = "null or a divisor of each of block_out_channels";
                return Err(refuse(
                    "attention_head_dim",
                    format!("{size} for {c}"),
                    need,
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn refuse(name: &'static str, got: String, need: &'static str) -> Error {
    Error::Parameter { name, got, need }
}
