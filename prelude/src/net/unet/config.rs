//! The size of a U-Net.

use serde::{Deserialize, Serialize};

use crate::data::ConditionKind;
use crate::error::{Error, Result};
use crate::net::{condition, file::exact};

/// The size of a [`UNet`](super::UNet).
///
/// # Example: change one thing
/// ```
/// use itd_prelude::data::ConditionKind;
/// use itd_prelude::net::UNetConfig;
///
/// let config = UNetConfig { condition: Some(ConditionKind::Class { classes: 10 }), ..UNetConfig::small() };
/// assert_eq!(config.channels, [24, 48]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels at each level; each level after the first has half the height and width, rounded up.
    pub channels: Vec<usize>,
    /// Residual blocks at each level, on the way down and again on the way up.
    pub blocks: usize,
    /// The levels whose blocks are followed by attention, counted from 0. Its work grows with the square of the
    /// number of pixels there.
    pub attention: Vec<usize>,
    /// Heads of attention; a divisor of the channels where there is attention.
    pub heads: usize,
    /// Groups of channels that are normalised together; a divisor of all channels.
    pub groups: usize,
    /// What it can be told of a picture. Vectors are taken as they are; it learns best from numbers of about unit
    /// size.
    pub condition: Option<ConditionKind>,
    /// Standard deviation `s` of the data's values: an untrained network takes them for `N(0, s²)`.
    #[serde(with = "exact")]
    pub data_std: f64,
    /// Seed of the initial weights.
    pub seed: u64,
}

impl UNetConfig {
    /// For pictures of about 8×8, such as [`digits`](crate::data::digits): about 0.3 million parameters.
    pub fn small() -> Self {
        Self {
            channels: vec![24, 48],
            blocks: 1,
            attention: vec![1],
            heads: 4,
            groups: 8,
            condition: None,
            data_std: 0.5,
            seed: 0,
        }
    }

    /// For pictures of about 28×28, such as [`fashion_mnist`](crate::data::fashion_mnist): about 1.1 million
    /// parameters.
    pub fn medium() -> Self {
        Self {
            channels: vec![24, 48, 96],
            attention: vec![2],
            ..Self::small()
        }
    }

    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`]; NaN is refused.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let levels = self.channels.len();
        if !(1..=8).contains(&levels) {
            return refuse(
                "channels",
                format!("of {levels} levels"),
                "of 1 to 8 levels",
            );
        }
        let out = |count: usize, highest| !(1..=highest).contains(&count);
        if let Some(wrong) = self.channels.iter().find(|count| out(**count, 4096)) {
            return refuse("channels", wrong.to_string(), "1 to 4096 at each level");
        }
        if out(self.blocks, 16) {
            return refuse("blocks", self.blocks.to_string(), "1 to 16");
        }
        if out(self.groups, 4096) || self.channels.iter().any(|c| c % self.groups != 0) {
            let got = format!("{} for {:?} channels", self.groups, self.channels);
            return refuse("groups", got, "a divisor of the channels of each level");
        }
        for &level in &self.attention {
            let Some(channels) = self.channels.get(level) else {
                let got = format!("at level {level} of {levels}");
                return refuse("attention", got, "at levels that there are, counted from 0");
            };
            if self.heads == 0 || channels % self.heads != 0 {
                let got = format!("{} for {channels} channels", self.heads);
                return refuse("heads", got, "a divisor of the channels where attention is");
            }
        }
        condition::check(self.condition)?;
        match self.data_std {
            s if s > 0.0 && s.is_finite() => Ok(()),
            s => refuse("data_std", s.to_string(), "finite and > 0"),
        }
    }

    pub(super) fn attends(&self, level: usize) -> bool {
        self.attention.contains(&level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused_by_name() {
        let change = |change: fn(&mut UNetConfig)| {
            let mut config = UNetConfig::small();
            change(&mut config);
            config.check()
        };
        change(|_| {}).unwrap();
        UNetConfig::medium().check().unwrap();
        // Without attention the number of heads says nothing.
        change(|c| (c.attention, c.heads) = (vec![], 0)).unwrap();
        type Change = fn(&mut UNetConfig);
        let bad: [(&str, Change); 15] = [
            ("channels", |c| c.channels = vec![]),
            ("channels", |c| c.channels = vec![8; 9]),
            ("channels", |c| c.channels = vec![0, 8]),
            ("channels", |c| c.channels = vec![usize::MAX]),
            ("blocks", |c| c.blocks = 0),
            ("blocks", |c| c.blocks = 1000),
            ("groups", |c| c.groups = 0),
            ("groups", |c| c.groups = 16),
            ("attention", |c| c.attention = vec![2]),
            ("heads", |c| c.heads = 0),
            ("heads", |c| c.heads = 5),
            ("condition.classes", |c| {
                c.condition = Some(ConditionKind::Class { classes: 0 })
            }),
            ("condition.dim", |c| {
                c.condition = Some(ConditionKind::Vector { dim: 65_537 })
            }),
            ("data_std", |c| c.data_std = f64::NAN),
            ("data_std", |c| c.data_std = 0.0),
        ];
        for (name, bad) in bad {
            let error = change(bad).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn settings_are_read_back_to_the_last_bit() {
        for data_std in [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, 1.7e308] {
            let config = UNetConfig {
                data_std,
                seed: u64::MAX,
                condition: Some(ConditionKind::Vector { dim: 3 }),
                ..UNetConfig::medium()
            };
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), config);
        }
    }
}
