//! The shape of a network.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of an [`Iddpm`](super::Iddpm): the flags of OpenAI's scripts, under their names.
///
/// # Example: a small network for pictures of 8×8, with attention at 4×4
/// ```
/// use itd_prelude::net::iddpm::IddpmConfig;
///
/// let small = IddpmConfig {
///     image_size: 8,
///     num_channels: 32,
///     channel_mult: vec![1, 2],
///     attention_resolutions: vec![4],
///     norm_groups: 8,
///     ..IddpmConfig::cifar10()
/// };
/// small.check()?;
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IddpmConfig {
    /// Height and width of a picture.
    pub image_size: usize,
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of the widest pictures inside.
    pub num_channels: usize,
    /// Residual blocks at each size on the way down; one more on the way up.
    pub num_res_blocks: usize,
    /// By how much there are more channels at each size, from the largest picture to the smallest.
    pub channel_mult: Vec<usize>,
    /// Heights at which there is attention, beside the middle; those that do not occur do nothing.
    pub attention_resolutions: Vec<usize>,
    /// Heads of each attention.
    pub num_heads: usize,
    /// Whether the network gives a variance too, in as many channels again.
    pub learn_sigma: bool,
    /// Whether blocks are told the time as scale and shift, or as a shift alone.
    pub use_scale_shift_norm: bool,
    /// Groups of channels that are normalised together.
    pub norm_groups: usize,
}

impl Default for IddpmConfig {
    fn default() -> Self {
        Self::cifar10()
    }
}

impl IddpmConfig {
    /// The network of OpenAI's `cifar10_uncond_50M_500K.pt` and `cifar10_uncond_vlb_50M_500K.pt`: 446 tensors,
    /// 52,546,438 parameters.
    ///
    /// # Paper
    /// Nichol, Dhariwal (2021), arXiv:2102.09672, App. A.
    pub fn cifar10() -> Self {
        Self {
            image_size: 32,
            in_channels: 3,
            num_channels: 128,
            num_res_blocks: 3,
            channel_mult: vec![1, 2, 2, 2],
            attention_resolutions: vec![16, 8],
            num_heads: 4,
            learn_sigma: true,
            use_scale_shift_norm: true,
            norm_groups: 32,
        }
    }

    /// Refuses what is no network.
    ///
    /// # Errors
    /// [`Error::Parameter`], with the setting and what it may be.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let levels = self.channel_mult.len();
        for (name, got, most, need) in [
            ("the number of channel_mult", levels, 12, "1 to 12"),
            ("in_channels", self.in_channels, 1024, "1 to 1024"),
            ("num_channels", self.num_channels, 4096, "1 to 4096"),
            ("num_res_blocks", self.num_res_blocks, 64, "1 to 64"),
            ("num_heads", self.num_heads, 4096, "1 to 4096"),
            ("norm_groups", self.norm_groups, 4096, "1 to 4096"),
            ("image_size", self.image_size, 16_384, "1 to 16384"),
        ] {
            if !(1..=most).contains(&got) {
                return refuse(name, got.to_string(), need);
            }
        }
        if !self.image_size.is_multiple_of(1 << (levels - 1)) {
            let got = format!("{} with {levels} sizes", self.image_size);
            return refuse(
                "image_size",
                got,
                "halved as often as there are sizes below the first",
            );
        }
        if self.num_channels < 4 || !self.num_channels.is_multiple_of(2) {
            let need = "even and at least 4, since time is embedded in as many";
            return refuse("num_channels", self.num_channels.to_string(), need);
        }
        for &mult in &self.channel_mult {
            let c = self.num_channels * mult.min(1 << 16);
            if !(1..=16).contains(&mult) {
                return refuse("channel_mult", mult.to_string(), "1 to 16 each");
            }
            // The first size is also that of the first convolution.
            if !c.is_multiple_of(self.norm_groups)
                || !self.num_channels.is_multiple_of(self.norm_groups)
            {
                let got = format!("{} for {c} channels", self.norm_groups);
                return refuse("norm_groups", got, "a divisor of the channels at each size");
            }
            if !c.is_multiple_of(self.num_heads) {
                let got = format!("{} for {c} channels", self.num_heads);
                return refuse("num_heads", got, "a divisor of the channels at each size");
            }
        }
        Ok(())
    }
}
