//! The settings of training.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Every, Objective, Schedule, Validation};
use crate::error::{Error, Result};
use crate::logsnr::LogisticLogSnr;
use crate::schedule::Schedule as NoiseSchedule;

/// How a network is trained.
///
/// # Example: change one thing
/// ```
/// use itd_prelude::train::TrainConfig;
///
/// let config = TrainConfig { epochs: 10, ..Default::default() };
/// assert_eq!(config.batch, 128);
/// ```
///
/// # Example: what DDPM minimizes
/// ```
/// use itd_prelude::schedule::Schedule;
/// use itd_prelude::train::{Objective, TrainConfig};
///
/// let ddpm = TrainConfig {
///     objective: Objective::Noise,
///     noise_schedule: Some(Schedule::linear(1000)?),
///     ..Default::default()
/// };
/// assert!(ddpm.check().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// How often each sample is seen.
    pub epochs: usize,
    /// Steps to make; in place of `epochs`, which do not matter then.
    pub steps: Option<usize>,
    /// Minutes after which training ends, if it has not before. The learning rate then follows the steps or the
    /// time, whichever is further on. No two such runs are the same: how far they come depends on the machine.
    pub minutes: Option<f64>,
    /// Samples in a step.
    pub batch: usize,
    /// What is minimized.
    pub objective: Objective,
    /// The largest step of Adam.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// `β₁` and `β₂` of Adam: how much of the gradient's moving mean, and of its square's, a step keeps.
    pub betas: (f64, f64),
    /// The decoupled weight decay of AdamW: each step shrinks the parameters by `learning rate · weight_decay`.
    pub weight_decay: f64,
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
    /// Draws log-SNR as a diffusion with this noise schedule would, its time uniform, in place of `log_snr`.
    pub noise_schedule: Option<NoiseSchedule>,
    /// Whether, and how often, the network is measured on samples that it is not trained on.
    pub validation: Option<Validation>,
    /// Ends training after so many measurements without a better one; the network then has the parameters of the
    /// best.
    pub patience: Option<usize>,
    /// A folder for the settings, the course and the state of the training. Where it holds a run with the same
    /// settings, network and data, that run goes on, bit for bit; see [`train`](fn@super::train).
    pub run: Option<PathBuf>,
    /// How often the run folder gets the state. Ends and interrupts are written too.
    pub checkpoint: Every,
    /// Seed of everything random: order of the samples, log-SNR, noise, which labels are withheld, and which
    /// samples are held out.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            steps: None,
            minutes: None,
            batch: 128,
            objective: Objective::Information,
            learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            betas: (0.9, 0.99),
            weight_decay: 0.0,
            average: Some(0.998),
            clip: None,
            dequantize: false,
            label_dropout: 0.1,
            log_snr: None,
            noise_schedule: None,
            validation: None,
            patience: None,
            run: None,
            checkpoint: Every::Minutes(5.0),
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
        let need = |fine: bool, name, got: &dyn std::fmt::Debug, need| match fine {
            true => Ok(()),
            false => {
                let got = format!("{got:?}");
                Err(Error::Parameter { name, got, need })
            }
        };
        let share = |share: f64| (0.0..1.0).contains(&share);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let rate = self.learning_rate;
        need(self.epochs > 0, "epochs", &self.epochs, "at least 1")?;
        need(self.steps != Some(0), "steps", &0, "at least 1")?;
        if let Some(minutes) = self.minutes {
            need(positive(minutes), "minutes", &minutes, "finite and > 0")?;
        }
        need(self.batch > 0, "batch", &self.batch, "at least 1")?;
        need(positive(rate), "learning_rate", &rate, "finite and > 0")?;
        let betas = share(self.betas.0) && share(self.betas.1);
        need(
            betas,
            "betas",
            &self.betas,
            "two numbers, each at least 0 and below 1",
        )?;
        let decay = self.weight_decay;
        let fine = decay >= 0.0 && decay.is_finite();
        need(fine, "weight_decay", &decay, "finite and at least 0")?;
        if let Some(decay) = self.average {
            need(share(decay), "average", &decay, "at least 0 and below 1")?;
        }
        if let Some(norm) = self.clip {
            need(norm > 0.0, "clip", &norm, "> 0")?;
        }
        let dropout = self.label_dropout;
        let fine = (0.0..=1.0).contains(&dropout);
        need(fine, "label_dropout", &dropout, "from 0 to 1")?;
        let both = self.noise_schedule.is_some() && self.log_snr.is_some();
        let text = "given instead of `log_snr`, not beside it: log-SNR is drawn from one of them";
        need(!both, "noise_schedule", &"given beside `log_snr`", text)?;
        if let Some(validation) = &self.validation {
            validation.every.check("validation.every")?;
            let Validation {
                samples, points, ..
            } = validation;
            need(*samples >= 2, "validation.samples", samples, "at least 2")?;
            need(*points >= 2, "validation.points", points, "at least 2")?;
        }
        if let Some(patience) = self.patience {
            need(patience > 0, "patience", &patience, "at least 1")?;
            let measured = self.validation.is_some();
            let text = "left out without `validation`, which says what is better";
            need(measured, "patience", &patience, text)?;
        }
        let nameless = self
            .run
            .as_ref()
            .is_some_and(|run| run.as_os_str().is_empty());
        need(!nameless, "run", &self.run, "the path of a folder")?;
        self.checkpoint.check("checkpoint")
    }

    /// Steps to make on `samples` samples, `batch` at a time.
    pub(super) fn planned(&self, samples: usize, batch: usize) -> usize {
        let epochs = || self.epochs.saturating_mul(samples).div_ceil(batch.max(1));
        self.steps.unwrap_or_else(epochs)
    }

    /// All that makes the numbers of a run.
    pub(super) fn to_json(&self) -> Value {
        let schedule = match self.schedule {
            Schedule::Constant => "constant",
            Schedule::Cosine => "cosine",
        };
        let logistic = |q: &LogisticLogSnr| {
            let (low, high) = q.interval();
            json!({ "loc": q.loc(), "scale": q.scale(), "low": low, "high": high })
        };
        let noise = |schedule: &NoiseSchedule| json!({ "log_snr": schedule.log_snr });
        let validation = |Validation {
                              every,
                              samples,
                              points,
                          }: &Validation| json!({ "every": format!("{every:?}"), "samples": samples, "points": points });
        json!({
            "epochs": self.steps.is_none().then_some(self.epochs),
            "steps": self.steps,
            "minutes": self.minutes,
            "batch": self.batch,
            "objective": self.objective.name(),
            "learning_rate": self.learning_rate,
            "schedule": schedule,
            "betas": [self.betas.0, self.betas.1],
            "weight_decay": self.weight_decay,
            "average": self.average,
            "clip": self.clip,
            "dequantize": self.dequantize,
            "label_dropout": self.label_dropout,
            "log_snr": self.log_snr.as_ref().map(logistic),
            "noise_schedule": self.noise_schedule.as_ref().map(noise),
            "validation": self.validation.as_ref().map(validation),
            "patience": self.patience,
            "seed": self.seed,
        })
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
        let validation = |every, samples, points| {
            Some(Validation {
                every,
                samples,
                points,
            })
        };
        type Change = Box<dyn Fn(&mut TrainConfig)>;
        let changes: Vec<(&str, Change)> = vec![
            ("epochs", Box::new(|c| c.epochs = 0)),
            ("steps", Box::new(|c| c.steps = Some(0))),
            ("minutes", Box::new(|c| c.minutes = Some(0.0))),
            ("minutes", Box::new(move |c| c.minutes = Some(nan))),
            ("batch", Box::new(|c| c.batch = 0)),
            ("learning_rate", Box::new(|c| c.learning_rate = 0.0)),
            ("learning_rate", Box::new(move |c| c.learning_rate = nan)),
            ("betas", Box::new(|c| c.betas = (0.9, 1.0))),
            ("betas", Box::new(move |c| c.betas = (nan, 0.9))),
            ("weight_decay", Box::new(|c| c.weight_decay = -1.0)),
            ("weight_decay", Box::new(move |c| c.weight_decay = nan)),
            ("average", Box::new(|c| c.average = Some(1.0))),
            ("average", Box::new(move |c| c.average = Some(nan))),
            ("clip", Box::new(|c| c.clip = Some(0.0))),
            ("clip", Box::new(move |c| c.clip = Some(nan))),
            ("label_dropout", Box::new(move |c| c.label_dropout = nan)),
            (
                "noise_schedule",
                Box::new(|c| {
                    c.noise_schedule = NoiseSchedule::linear(100).ok();
                    c.log_snr = LogisticLogSnr::new(0.0, 1.0, 4.0).ok();
                }),
            ),
            (
                "validation.every",
                Box::new(move |c| c.validation = validation(Every::Steps(0), 9, 9)),
            ),
            (
                "validation.every",
                Box::new(move |c| c.validation = validation(Every::Minutes(nan), 9, 9)),
            ),
            (
                "validation.samples",
                Box::new(move |c| c.validation = validation(Every::Epochs(1), 1, 9)),
            ),
            (
                "validation.points",
                Box::new(move |c| c.validation = validation(Every::Epochs(1), 9, 0)),
            ),
            ("patience", Box::new(|c| c.patience = Some(3))),
            (
                "patience",
                Box::new(|c| {
                    c.validation = Some(Validation::default());
                    c.patience = Some(0);
                }),
            ),
            ("run", Box::new(|c| c.run = Some(PathBuf::new()))),
            ("checkpoint", Box::new(|c| c.checkpoint = Every::Epochs(0))),
        ];
        for (name, change) in changes {
            let mut config = base();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(name), "{name}: {error}");
        }
    }

    #[test]
    fn steps_stand_in_for_epochs() {
        let mut config = TrainConfig {
            epochs: 3,
            ..Default::default()
        };
        assert_eq!(config.planned(100, 30), 10);
        config.steps = Some(7);
        assert_eq!(config.planned(100, 30), 7);
    }
}
