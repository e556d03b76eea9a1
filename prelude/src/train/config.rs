//! The settings of training.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::LearningRate;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::logsnr::Logistic;
use crate::schedule::NoiseSchedule;

/// What training of a denoiser minimizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objective {
    /// The bound on the entropy: every log-SNR counts alike, whatever it is drawn from (Eq. 15 of the paper).
    #[default]
    Information,
    /// The mean squared error of the noise, `E‖ε − ε̂‖²/d` over the log-SNR that are drawn: what DDPM minimizes
    /// (Ho, Jain, Abbeel, 2020, arXiv:2006.11239, Eq. 14).
    Noise,
}

impl Objective {
    /// As it stands in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Noise => "noise",
        }
    }
}

/// How often something is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interval {
    /// After so many steps.
    Steps(usize),
    /// After so many rounds through the samples.
    Epochs(usize),
    /// After so much time.
    Minutes(f64),
}

impl Interval {
    fn check(self, name: &'static str) -> Result<()> {
        let fine = match self {
            Self::Steps(count) | Self::Epochs(count) => count > 0,
            Self::Minutes(minutes) => minutes > 0.0 && minutes.is_finite(),
        };
        need(
            fine,
            name,
            &self,
            "every so many steps or epochs, at least 1, or minutes, finite and > 0",
        )
    }
}

/// How a network is measured while it learns, with the averaged parameters and the same noise each time.
///
/// What is measured is its curve, without conditions, and the negative log density that follows from it, on samples
/// that it is not trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// How often; at the end, too.
    pub every: Interval,
    /// How many samples are measured, taken by chance: from [`TrainConfig::held_out`], or else from the training
    /// data, which then do without them. `usize::MAX` takes all of `held_out`.
    pub samples: usize,
    /// Points of the curve.
    pub points: usize,
    /// Whether the network is measured before the first step, too.
    pub before: bool,
    /// Whether as many samples that it is trained on are measured, too.
    pub on_train: bool,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            every: Interval::Epochs(1),
            samples: 500,
            points: 25,
            before: false,
            on_train: false,
        }
    }
}

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
/// use itd_prelude::schedule::NoiseSchedule;
/// use itd_prelude::train::{Objective, TrainConfig};
///
/// let ddpm = TrainConfig {
///     objective: Objective::Noise,
///     noise_schedule: Some(NoiseSchedule::linear(1000)?),
///     ..Default::default()
/// };
/// assert!(ddpm.check().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
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
    /// The largest step of Adam.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub lr_schedule: LearningRate,
    /// Steps over which the learning rate rises to its value at the start.
    pub warmup: usize,
    /// `β₁` and `β₂` of Adam: how much of the gradient's moving mean, and of its square's, a step keeps.
    pub betas: (f64, f64),
    /// The decoupled weight decay of AdamW: each step shrinks the parameters by `learning rate · weight_decay`.
    pub weight_decay: f64,
    /// The decay of the exponential moving average (EMA) of the parameters, which the network has in the end; `None`
    /// keeps the last step's.
    pub ema_decay: Option<f64>,
    /// The largest norm of a gradient; longer ones are shortened to it.
    pub max_grad_norm: Option<f64>,
    /// What is minimized.
    pub objective: Objective,
    /// Whether samples on a grid get fresh uniform noise of its spacing each time they are seen. This is
    /// [`dequantize`](Dataset::dequantize) without ever repeating the noise.
    pub dequantize: bool,
    /// The share of samples whose condition is not told to a network that can be told one, so that it learns to do
    /// without, too. Other networks are not concerned.
    pub condition_dropout: f64,
    /// Where log-SNR is drawn from; [fitted](Logistic::as_published) to the data's covariance when `None`.
    pub log_snr: Option<Logistic>,
    /// Draws log-SNR as a diffusion with this noise schedule would, its time uniform, in place of `log_snr`.
    pub noise_schedule: Option<NoiseSchedule>,
    /// Draws log-SNR, on the interval of `log_snr`, in proportion to the network's own error as training has seen it of late,
    /// so that each draw stands for as much information as any other; a tenth is spread evenly. It begins with the error
    /// of the Gaussian that fits the data. The loss is the same in the mean.
    ///
    /// # Source
    /// Stancevic and others (2025), arXiv:2504.13612 (entropic time).
    pub entropic: bool,
    /// Whether, and how often, the network is measured on samples that it is not trained on.
    pub validation: Option<Validation>,
    /// Data for that; with them, `validation` is the usual where it is `None`.
    pub held_out: Option<Dataset>,
    /// Ends training after so many measurements without a better one; the network then has the parameters of the
    /// best.
    pub patience: Option<usize>,
    /// A folder for the settings, the course and the state of the training. Where it holds a run with the same
    /// settings, network and data, that run goes on, bit for bit; see [`train`](fn@super::train).
    pub run: Option<PathBuf>,
    /// How often the run folder gets the state. Ends and interrupts are written too.
    pub checkpoint: Interval,
    /// Seed of everything random: order of the samples, log-SNR, noise, whose conditions are withheld, and which
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
            learning_rate: 5e-3,
            lr_schedule: LearningRate::Cosine,
            warmup: 50,
            betas: (0.9, 0.99),
            weight_decay: 0.0,
            ema_decay: Some(0.998),
            max_grad_norm: None,
            objective: Objective::Information,
            dequantize: false,
            condition_dropout: 0.1,
            log_snr: None,
            noise_schedule: None,
            entropic: false,
            validation: None,
            held_out: None,
            patience: None,
            run: None,
            checkpoint: Interval::Minutes(5.0),
            seed: 0,
        }
    }
}

fn need(
    fine: bool,
    name: &'static str,
    got: &dyn std::fmt::Debug,
    need: &'static str,
) -> Result<()> {
    match fine {
        true => Ok(()),
        false => Err(Error::Parameter {
            name,
            got: format!("{got:?}"),
            need,
        }),
    }
}

/// What [`TrainConfig::check_not_denoising`] says of a setting.
const DENOISERS_ONLY: &str =
    "left as it is: this task is not that of a denoiser, and takes no notice of it";

impl TrainConfig {
    /// Settings to go on with a network that was trained otherwise, and to see what it gains: 10 epochs with a constant
    /// rate of 1e-4, 64 samples a step, no average of the parameters; measured before the first step and after each
    /// epoch, on samples that it is trained on and on others.
    ///
    /// Epochs, rate, batch and Adam's `betas` are those of the paper's own code. Other things are not: here log-SNR is
    /// stratified, there independent; with `dequantize` samples on a grid get noise, there they did not; the measured
    /// points and samples are a choice of ours.
    ///
    /// # Source
    /// `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `scripts/fine_tune.py`.
    pub fn fine_tuning() -> Self {
        Self {
            epochs: 10,
            batch: 64,
            learning_rate: 1e-4,
            lr_schedule: LearningRate::Constant,
            warmup: 0,
            betas: (0.9, 0.999),
            ema_decay: None,
            validation: Some(Validation {
                before: true,
                on_train: true,
                ..Validation::default()
            }),
            ..Self::default()
        }
    }

    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`]; NaN is refused everywhere.
    pub fn check(&self) -> Result<()> {
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
        let text = "two numbers, each at least 0 and below 1";
        need(betas, "betas", &self.betas, text)?;
        let decay = self.weight_decay;
        let fine = decay >= 0.0 && decay.is_finite();
        need(fine, "weight_decay", &decay, "finite and at least 0")?;
        if let Some(decay) = self.ema_decay {
            need(share(decay), "ema_decay", &decay, "at least 0 and below 1")?;
        }
        if let Some(norm) = self.max_grad_norm {
            need(norm > 0.0, "max_grad_norm", &norm, "> 0")?;
        }
        let dropout = self.condition_dropout;
        let fine = (0.0..=1.0).contains(&dropout);
        need(fine, "condition_dropout", &dropout, "from 0 to 1")?;
        let both = self.noise_schedule.is_some() && self.log_snr.is_some();
        let text = "given instead of `log_snr`, not beside it: log-SNR is drawn from one of them";
        need(!both, "noise_schedule", &"given beside `log_snr`", text)?;
        let clash = self.noise_schedule.is_some() || self.objective == Objective::Noise;
        let text = "false with `noise_schedule` or `Objective::Noise`, which say where the levels lie and how they count";
        need(!(self.entropic && clash), "entropic", &true, text)?;
        if let Some(validation) = self.validation() {
            validation.every.check("validation.every")?;
            let Validation {
                samples, points, ..
            } = validation;
            need(samples >= 2, "validation.samples", &samples, "at least 2")?;
            need(points >= 2, "validation.points", &points, "at least 2")?;
        }
        if let Some(patience) = self.patience {
            need(patience > 0, "patience", &patience, "at least 1")?;
            let measured = self.validation().is_some();
            let text = "left out without `validation`, which says what is better";
            need(measured, "patience", &patience, text)?;
        }
        let run = self.run.as_ref();
        let nameless = run.is_some_and(|run| run.as_os_str().is_empty());
        need(!nameless, "run", &self.run, "the path of a folder")?;
        self.checkpoint.check("checkpoint")
    }

    /// Refuses what is about denoisers alone.
    pub(super) fn check_not_denoising(&self) -> Result<()> {
        let Self {
            objective,
            dequantize,
            condition_dropout,
            log_snr,
            noise_schedule,
            entropic,
            held_out,
            ..
        } = self;
        let usual = Self::default();
        let only = |fine, name, got: &dyn std::fmt::Debug| need(fine, name, got, DENOISERS_ONLY);
        only(*objective == usual.objective, "objective", objective)?;
        only(!dequantize, "dequantize", dequantize)?;
        let same = *condition_dropout == usual.condition_dropout;
        only(same, "condition_dropout", condition_dropout)?;
        only(log_snr.is_none(), "log_snr", log_snr)?;
        only(noise_schedule.is_none(), "noise_schedule", &"given")?;
        only(!entropic, "entropic", entropic)?;
        only(held_out.is_none(), "held_out", &"given")
    }

    /// How the network is measured.
    pub(super) fn validation(&self) -> Option<Validation> {
        let usual = self.held_out.is_some().then(Validation::default);
        self.validation.or(usual)
    }

    /// Steps to make on `samples` samples, `batch` at a time.
    pub(crate) fn planned(&self, samples: usize, batch: usize) -> usize {
        let epochs = || self.epochs.saturating_mul(samples).div_ceil(batch.max(1));
        self.steps.unwrap_or_else(epochs)
    }

    /// All that makes the numbers of a run, but for the data.
    pub(super) fn to_json(&self) -> Value {
        let logistic = |q: &Logistic| {
            let (low, high) = q.interval();
            json!({ "loc": q.loc(), "scale": q.scale(), "low": low, "high": high })
        };
        let noise = |schedule: &NoiseSchedule| json!({ "log_snr": schedule.log_snr });
        json!({
            "epochs": self.steps.is_none().then_some(self.epochs),
            "steps": self.steps,
            "minutes": self.minutes,
            "batch": self.batch,
            "objective": self.objective.name(),
            "learning_rate": self.learning_rate,
            "lr_schedule": format!("{:?}", self.lr_schedule),
            "warmup": self.warmup,
            "betas": [self.betas.0, self.betas.1],
            "weight_decay": self.weight_decay,
            "ema_decay": self.ema_decay,
            "max_grad_norm": self.max_grad_norm,
            "dequantize": self.dequantize,
            "condition_dropout": self.condition_dropout,
            "log_snr": self.log_snr.as_ref().map(logistic),
            "noise_schedule": self.noise_schedule.as_ref().map(noise),
            "entropic": self.entropic,
            "validation": self.validation().map(|validation| format!("{validation:?}")),
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
                ..Default::default()
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
            ("ema_decay", Box::new(|c| c.ema_decay = Some(1.0))),
            ("ema_decay", Box::new(move |c| c.ema_decay = Some(nan))),
            ("max_grad_norm", Box::new(|c| c.max_grad_norm = Some(0.0))),
            (
                "max_grad_norm",
                Box::new(move |c| c.max_grad_norm = Some(nan)),
            ),
            (
                "condition_dropout",
                Box::new(move |c| c.condition_dropout = nan),
            ),
            (
                "noise_schedule",
                Box::new(|c| {
                    c.noise_schedule = NoiseSchedule::linear(100).ok();
                    c.log_snr = Logistic::new(0.0, 1.0, 4.0).ok();
                }),
            ),
            (
                "entropic",
                Box::new(|c| {
                    c.noise_schedule = NoiseSchedule::linear(100).ok();
                    c.entropic = true;
                }),
            ),
            (
                "entropic",
                Box::new(|c| {
                    c.objective = Objective::Noise;
                    c.entropic = true;
                }),
            ),
            (
                "validation.every",
                Box::new(move |c| c.validation = validation(Interval::Steps(0), 9, 9)),
            ),
            (
                "validation.every",
                Box::new(move |c| c.validation = validation(Interval::Minutes(nan), 9, 9)),
            ),
            (
                "validation.samples",
                Box::new(move |c| c.validation = validation(Interval::Epochs(1), 1, 9)),
            ),
            (
                "validation.points",
                Box::new(move |c| c.validation = validation(Interval::Epochs(1), 9, 0)),
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
            (
                "checkpoint",
                Box::new(|c| c.checkpoint = Interval::Epochs(0)),
            ),
        ];
        for (name, change) in changes {
            let mut config = base();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(name), "{name}: {error}");
        }
    }

    #[test]
    fn a_task_of_another_kind_refuses_what_it_takes_no_notice_of() {
        type Change = fn(&mut TrainConfig);
        let changes: [(&str, Change); 7] = [
            ("objective", |c| c.objective = Objective::Noise),
            ("dequantize", |c| c.dequantize = true),
            ("condition_dropout", |c| c.condition_dropout = f64::NAN),
            ("log_snr", |c| c.log_snr = Logistic::new(0.0, 1.0, 4.0).ok()),
            ("noise_schedule", |c| {
                c.noise_schedule = NoiseSchedule::linear(100).ok()
            }),
            ("entropic", |c| c.entropic = true),
            ("held_out", |c| {
                c.held_out = Dataset::of("one", &[[1.0]]).ok()
            }),
        ];
        TrainConfig::default().check_not_denoising().unwrap();
        for (name, change) in changes {
            let mut config = TrainConfig::default();
            change(&mut config);
            let error = config.check_not_denoising().unwrap_err().to_string();
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
