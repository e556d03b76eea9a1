//! The settings of training.

use std::f64::consts::PI;

use crate::error::{Error, Result};
use crate::logsnr::LogisticLogSnr;

/// How a network is trained.
///
/// # Example: change one thing
/// ```
/// use itd_prelude::train::TrainConfig;
///
/// let config = TrainConfig { epochs: 10, ..Default::default() };
/// assert_eq!(config.batch, 128);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// How often each sample is seen.
    pub epochs: usize,
    /// Samples in a step.
    pub batch: usize,
    /// The largest step of Adam.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The decay of the moving average of the parameters, which the network has in the end; `None` keeps the
    /// last step's.
    pub average: Option<f64>,
    /// The largest norm of a gradient; longer ones are shortened to it.
    pub clip: Option<f64>,
    /// Whether samples on a grid get fresh uniform noise of its spacing each time they are seen. This is
    /// [`dequantize`](crate::data::Dataset::dequantize) without ever repeating the noise.
    pub dequantize: bool,
    /// The share of samples whose class is not told to a network that asks for it, so that it learns to do
    /// without, too. Networks without classes are not concerned.
    pub label_dropout: f64,
    /// Where log-SNR is drawn from; fitted to the data's spectrum when `None`.
    pub log_snr: Option<LogisticLogSnr>,
    /// Seed of everything random: order of the samples, log-SNR, noise, and which labels are withheld.
    pub seed: u64,
}

/// How the learning rate changes over the steps, after a short rise at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Down to almost 0, along half a cosine.
    Cosine,
}

/// Steps of the rise at the start.
const RISE: usize = 50;

impl Schedule {
    /// The share of the learning rate at a step, counted from 0.
    pub fn share(self, step: usize, steps: usize) -> f64 {
        let rise = ((step + 1) as f64 / RISE as f64).min(1.0);
        let fall = match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 + 0.5 * (PI * step as f64 / steps.max(1) as f64).cos(),
        };
        rise * fall
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch: 128,
            learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            average: Some(0.998),
            clip: None,
            dequantize: false,
            label_dropout: 0.1,
            log_snr: None,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`]; NaN is refused everywhere.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if self.epochs == 0 {
            return refuse("epochs", "0".into(), "at least 1");
        }
        if self.batch == 0 {
            return refuse("batch", "0".into(), "at least 1");
        }
        let rate = self.learning_rate;
        if !(rate > 0.0 && rate.is_finite()) {
            return refuse("learning_rate", rate.to_string(), "finite and > 0");
        }
        match self.average {
            Some(decay) if !(0.0..1.0).contains(&decay) => {
                return refuse("average", decay.to_string(), "at least 0 and below 1");
            }
            _ => {}
        }
        let dropout = self.label_dropout;
        if !(0.0..=1.0).contains(&dropout) {
            return refuse("label_dropout", dropout.to_string(), "from 0 to 1");
        }
        match self.clip {
            Some(norm) if !(norm > 0.0) => refuse("clip", norm.to_string(), "> 0"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused_by_name() {
        let base = TrainConfig::default;
        base().check().unwrap();
        let nan = f64::NAN;
        for (config, name) in [
            (
                TrainConfig {
                    epochs: 0,
                    ..base()
                },
                "epochs",
            ),
            (TrainConfig { batch: 0, ..base() }, "batch"),
            (
                TrainConfig {
                    learning_rate: 0.0,
                    ..base()
                },
                "learning_rate",
            ),
            (
                TrainConfig {
                    learning_rate: nan,
                    ..base()
                },
                "learning_rate",
            ),
            (
                TrainConfig {
                    average: Some(1.0),
                    ..base()
                },
                "average",
            ),
            (
                TrainConfig {
                    average: Some(nan),
                    ..base()
                },
                "average",
            ),
            (
                TrainConfig {
                    clip: Some(0.0),
                    ..base()
                },
                "clip",
            ),
            (
                TrainConfig {
                    clip: Some(nan),
                    ..base()
                },
                "clip",
            ),
            (
                TrainConfig {
                    label_dropout: nan,
                    ..base()
                },
                "label_dropout",
            ),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn schedules_rise_and_fall() {
        assert_eq!(Schedule::Constant.share(0, 1000), 0.02);
        assert_eq!(Schedule::Constant.share(999, 1000), 1.0);
        assert!((Schedule::Cosine.share(500, 1000) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.share(999, 1000) < 1e-5);
    }
}
