//! Going on with a network that was trained otherwise, and watching what it gains.

use std::fmt;

use super::held_out::{Measured, curves_figure};
use super::run::run;
use super::trainer::Watch;
use super::{Fit, Objective, Schedule, TrainConfig, Trainer};
use crate::data::Dataset;
use crate::denoiser::Trainable;
use crate::error::{Error, Interrupted, Result};
use crate::figure::{Chart, Figure, GRAY, color, row};

/// What tuning did, epoch by epoch.
#[derive(Debug, Clone)]
pub struct Finetuned {
    /// Before the first step, and after each epoch.
    pub epochs: Vec<Epoch>,
    /// What the Gaussian that fits the training data makes of the test samples.
    pub gaussian: Measured,
    /// The steps.
    pub fit: Fit,
}

/// What was measured after so many epochs.
#[derive(Debug, Clone)]
pub struct Epoch {
    /// How often each sample had been seen; 0 before the first step.
    pub epoch: f64,
    /// On samples that the network is trained on.
    pub train: Measured,
    /// On samples that it is not trained on.
    pub test: Measured,
}

impl TrainConfig {
    /// The settings with which the paper tuned its DDPM: 10 epochs of Adam with a constant rate of 1e-4, 64 samples a
    /// step, no average.
    ///
    /// # Source
    /// `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `scripts/fine_tune.py`.
    pub fn fine_tuning() -> Self {
        Self {
            epochs: 10,
            batch: 64,
            learning_rate: 1e-4,
            schedule: Schedule::Constant,
            betas: (0.9, 0.999),
            average: None,
            ..Self::default()
        }
    }
}

/// Goes on training a network with the bound on the entropy as loss, and measures it before, and after each epoch,
/// on samples that it is trained on and on samples that it is not.
///
/// The settings' [`Validation`](super::Validation) says how many samples and points; without one it is the usual.
/// For data on a grid `dequantize` must be set, and [`Estimate::per_bin`](crate::estimate::Estimate::per_bin) reads
/// the results as probabilities. All else is as with [`train`](fn@super::train), a run folder too.
///
/// # Errors
/// As [`train`](fn@super::train), and [`Error::Parameter`] for another objective. [`Error::Interrupted`] carries the
/// [`Finetuned`] so far.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 5 and App. B.2.
///
/// # Example: a network that was trained as DDPM is
/// ```
/// use itd_prelude::{candle::Device, data, net::{Mlp, MlpConfig}, schedule::Schedule};
/// use itd_prelude::train::{Objective, TrainConfig, finetune, train};
///
/// let data = data::moons(2000, 0)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &data.train.spectrum()?, &[2], &Device::Cpu)?;
/// let noise_schedule = Some(Schedule::linear(1000)?);
/// let ddpm = TrainConfig { epochs: 10, objective: Objective::Noise, noise_schedule, ..Default::default() };
/// train(&net, &data.train, &ddpm)?;
/// let tuned = finetune(&net, &data.train, &data.test, &TrainConfig { epochs: 3, ..Default::default() })?;
/// assert_eq!(tuned.epochs.len(), 4);
/// assert!(tuned.gain() > 0.0);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn finetune(
    net: &dyn Trainable,
    train: &Dataset,
    test: &Dataset,
    config: &TrainConfig,
) -> Result<Finetuned> {
    if config.objective != Objective::Information {
        return Err(Error::Parameter {
            name: "objective",
            got: format!("{:?}", config.objective),
            need: "Information: this is what tuning is for",
        });
    }
    let config = TrainConfig {
        validation: Some(config.validation.unwrap_or_default()),
        ..config.clone()
    };
    let watch = Watch {
        held_out: Some(test),
        train: true,
        first: true,
    };
    let fit = match run("tuning", Trainer::watching(net, train, &config, watch)?) {
        Err(Error::Interrupted(stopped)) => {
            let again = Interrupted::new(&stopped.what, stopped.done, stopped.planned);
            let tuned = stopped.partial().and_then(|fit| Finetuned::new(fit).ok());
            return Err(Error::Interrupted(match tuned {
                Some(tuned) => again.with(tuned),
                None => again,
            }));
        }
        other => other?,
    };
    Finetuned::new(fit)
}

impl Finetuned {
    fn new(fit: Fit) -> Result<Self> {
        let nothing = || Error::Empty {
            what: "the list of measurements",
        };
        let epochs = fit.validation.iter().filter_map(|v| {
            Some(Epoch {
                epoch: fit.epoch(v.step),
                train: v.train.clone()?,
                test: v.held_out.clone(),
            })
        });
        let epochs: Vec<Epoch> = epochs.collect();
        match (epochs.is_empty(), fit.reference.clone()) {
            (false, Some(gaussian)) => Ok(Self {
                epochs,
                gaussian,
                fit,
            }),
            _ => Err(nothing()),
        }
    }

    /// By how many nats the mean negative log density of the test samples fell, from before the first step to after
    /// the last.
    pub fn gain(&self) -> f64 {
        let nats = |epoch: Option<&Epoch>| epoch.map_or(f64::NAN, |epoch| epoch.test.nll.nats);
        nats(self.epochs.first()) - nats(self.epochs.last())
    }

    /// The curve on the test samples before tuning and after each epoch, from pale to dark, beside the Gaussian's.
    ///
    /// # Errors
    /// [`Error::Draw`] when nothing is finite.
    pub fn curves(&self) -> Result<Figure> {
        let names: Vec<String> = self.epochs.iter().map(|e| name(e.epoch)).collect();
        let epochs = names.iter().zip(&self.epochs);
        let epochs = epochs.map(|(name, epoch)| (name.as_str(), &epoch.test));
        let all: Vec<(&str, &Measured)> = std::iter::once(("N(μ, Σ)", &self.gaussian))
            .chain(epochs)
            .collect();
        curves_figure(&all, format!("Errors on test samples while tuning: {self}"))
    }

    /// The mean negative log density of training and test samples over the epochs, with bands of two standard errors.
    ///
    /// # Errors
    /// [`Error::Draw`] when nothing is finite.
    pub fn nll(&self) -> Result<Figure> {
        let x: Vec<f64> = self.epochs.iter().map(|epoch| epoch.epoch).collect();
        let mut chart = Chart::new("epoch", "−log p (nats)");
        type Pick = fn(&Epoch) -> &Measured;
        let sets: [(&str, Pick); 2] = [("training", |e| &e.train), ("test", |e| &e.test)];
        for (i, (name, pick)) in sets.into_iter().enumerate() {
            let at = |sigmas: f64| -> Vec<f64> {
                let nll = self.epochs.iter().map(|epoch| pick(epoch).nll);
                nll.map(|nll| nll.nats + sigmas * nll.std_err).collect()
            };
            let middle = at(0.0);
            chart = chart
                .band(&x, &at(-2.0), &at(2.0), color(i), 0.12)
                .line(name, &x, &middle, color(i))
                .points("", &x, &middle, color(i), 2.5);
        }
        let ends = [0.0, x.last().copied().unwrap_or(1.0)];
        chart = chart.line("N(μ, Σ)", &ends, &[self.gaussian.nll.nats; 2], GRAY);
        chart.size = (420, 300);
        chart.draw(format!("Negative log density while tuning: {self}"))
    }

    /// Both figures side by side.
    ///
    /// # Errors
    /// As [`Self::curves`].
    pub fn figure(&self) -> Result<Figure> {
        row(&[self.curves()?, self.nll()?])
    }
}

/// `before`, `after 1`, `after 2.5`
fn name(epoch: f64) -> String {
    match epoch {
        0.0 => "before".into(),
        epoch => format!("after {}", (epoch * 10.0).round() / 10.0),
    }
}

impl fmt::Display for Finetuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = [self.epochs.first(), self.epochs.last()];
        for (i, epoch) in ends.into_iter().flatten().enumerate() {
            let mark = if i == 0 { "" } else { "; " };
            let Epoch { epoch, train, test } = epoch;
            write!(
                f,
                "{mark}{}: test {}, training {}",
                name(*epoch),
                test.nll,
                train.nll
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::data;
    use crate::net::{Mlp, MlpConfig};

    #[test]
    fn tuning_begins_with_what_was_there() {
        let data = data::moons(1000, 0).unwrap();
        let spectrum = data.train.spectrum().unwrap();
        let net = Mlp::new(&MlpConfig::default(), &spectrum, &[2], &Device::Cpu).unwrap();
        let config = TrainConfig {
            epochs: 2,
            ..TrainConfig::fine_tuning()
        };
        let tuned = finetune(&net, &data.train, &data.test, &config).unwrap();
        let epochs: Vec<f64> = tuned
            .epochs
            .iter()
            .map(|epoch| epoch.epoch.round())
            .collect();
        assert_eq!(epochs, [0.0, 1.0, 2.0]);
        // Untrained, it is the Gaussian.
        let (first, gaussian) = (&tuned.epochs[0].test.nll, &tuned.gaussian.nll);
        assert!(
            (first.nats - gaussian.nats).abs() < gaussian.std_err,
            "{tuned}"
        );
        let svg = tuned.figure().unwrap();
        assert!(svg.svg().unwrap().contains("before"));
        assert!(tuned.to_string().contains("after 2"), "{tuned}");
        let other = TrainConfig {
            objective: Objective::Noise,
            ..config
        };
        let error = finetune(&net, &data.train, &data.test, &other).unwrap_err();
        assert!(error.to_string().starts_with("objective"), "{error}");
    }
}
