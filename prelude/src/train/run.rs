//! The training loop.

use std::io::Write as _;

use super::trainer::Watch;
use super::{Fit, TrainConfig, Trainer};
use crate::cell::{self, Host};
use crate::data::Dataset;
use crate::denoiser::Trainable;
use crate::error::{Error, Result};
use crate::progress::{Display, Progress};

/// Fits a denoiser to data: the loss is the bound on the entropy itself, with log-SNR drawn from a logistic `q`,
///
/// ```text
/// h_G + ½ mean[(‖ε − ε̂‖² − f_Σ(α)) / q(α)]
/// ```
///
/// with one noise and one `α` for each sample of a step; or, with [`Objective::Noise`](super::Objective::Noise), the
/// squared error alone. A network that [asks for classes](Trainable::classes) is told those of the data, if they have
/// labels, but for a [share](TrainConfig::label_dropout). The network's parameters are changed in place. A bar and the
/// loss, with [`Validation`](super::Validation) also the curve, are shown while it runs.
///
/// # Runs
/// With a [folder](TrainConfig::run), training can end at any time and in any way, an interrupt, a crash, a full
/// disk: the same call goes on from the last state there, and the result is that of training that was never
/// interrupted, to the last bit; parameters that the network has by then do not matter. After the end, the same call
/// gives the network its parameters back. In the folder are
///
/// - `config.json`: settings, data and network, which a call must match to go on; what differs is said otherwise.
/// - `metrics.csv`: a line for each step, as in [`Fit::history`].
/// - `events.out.tfevents.…`: the same for TensorBoard.
/// - `checkpoint-STEP.safetensors`: parameters, moments, average, generator, order of the samples and course so far.
///   The last three are kept. Each has a check sum; one that is damaged is called `.damaged` from then on, and the one
///   before it serves.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape or classes, or the
/// run in the folder is another one,
/// [`Error::Degenerate`] when the data have no density (set `dequantize` for data on a grid),
/// [`Error::Diverged`] at the first loss or gradient that is not finite; the parameters are then those of
/// the step before. [`Error::File`] when the folder cannot be written to: no older state is lost, and the network keeps
/// what it has learned. [`Error::Interrupted`] carries the [`Fit`] so far; the network keeps what it has learned.
///
/// # Numerics
/// The same seed and number of threads give the same numbers. With another number of threads sums may be rounded
/// otherwise; over a hundred steps the losses then agree to 1e-3 of themselves. (A perceptron and a small U-Net give
/// the same bits with one thread as with two.) The `α` of a step are drawn one from each of `batch` equal parts of `q`
/// ([`LogisticLogSnr::stratified`](crate::logsnr::LogisticLogSnr::stratified)).
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
///
/// # Example: a few steps already beat the standard normal
/// ```
/// use itd_prelude::{candle::Device, data::{self, Spectrum}, net::{Mlp, MlpConfig}, train::{TrainConfig, train}};
///
/// let data = data::scg(1000, 0)?.train;
/// let standard = Spectrum::standard(2)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &standard, &[2], &Device::Cpu)?;
/// let fit = train(&net, &data, &TrainConfig { epochs: 20, ..Default::default() })?;
/// assert!(fit.loss() < standard.gaussian_entropy()?);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn train(net: &dyn Trainable, data: &Dataset, config: &TrainConfig) -> Result<Fit> {
    run("training", Trainer::new(net, data, config)?)
}

/// As [`train`](fn@train), measured on data of your own in place of some that are taken from the training data.
///
/// Settings without [`Validation`](super::Validation) get the usual one.
///
/// # Errors
/// As [`train`](fn@train).
///
/// # Example
/// ```
/// use itd_prelude::{candle::Device, data, net::{Mlp, MlpConfig}, train::{TrainConfig, train_validated}};
///
/// let data = data::moons(1000, 0)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &data.train.spectrum()?, &[2], &Device::Cpu)?;
/// let config = TrainConfig { epochs: 3, ..Default::default() };
/// let fit = train_validated(&net, &data.train, &data.test, &config)?;
/// assert_eq!(fit.validation.len(), 3);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn train_validated(
    net: &dyn Trainable,
    data: &Dataset,
    held_out: &Dataset,
    config: &TrainConfig,
) -> Result<Fit> {
    let config = TrainConfig {
        validation: Some(config.validation.unwrap_or_default()),
        ..config.clone()
    };
    let watch = Watch {
        held_out: Some(held_out),
        ..Default::default()
    };
    run("training", Trainer::watching(net, data, &config, watch)?)
}

/// Makes all steps, with a bar.
pub(super) fn run(what: &str, mut trainer: Trainer) -> Result<Fit> {
    let mut display = Display::new();
    let mut bar = Progress::new(what, trainer.fit().planned as u64);
    bar.skip(trainer.fit().losses.len() as u64);
    for note in &trainer.fit().notes {
        // A standard error that cannot be written to is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{what}: {note}");
    }
    while !trainer.done() {
        let steps = trainer.fit().losses.len();
        let stopped = match trainer.step() {
            Ok(()) => false,
            Err(Error::Interrupted(_)) => true,
            Err(error) => {
                trainer.settle()?;
                return Err(error);
            }
        };
        let fit = trainer.fit();
        bar.note(note(fit));
        if trainer.config.minutes.is_some() || trainer.done() {
            bar.plan(trainer.expected() as u64);
        }
        let shown = display.refresh(|| fit.figure());
        let made = (fit.losses.len() - steps) as u64;
        if let Err(Error::Interrupted(error)) = bar.advance(made) {
            return Err(Error::Interrupted(error.with(trainer.finish()?)));
        }
        if stopped {
            return Err(Error::Interrupted(bar.stopped().with(trainer.finish()?)));
        }
        shown?;
    }
    let fit = trainer.finish()?;
    bar.finish();
    if cell::host() == Host::Itd {
        display.show(&fit.figure()?)?;
    }
    Ok(fit)
}

/// `loss 1.23 nats, held out 1.20`
fn note(fit: &Fit) -> String {
    let loss = fit.recent((fit.losses.len() / 10).min(200));
    let unit = fit.objective.unit();
    let loss = match unit {
        "" => format!("loss {loss:.4}"),
        _ => format!("loss {loss:.2}{unit}"),
    };
    match fit.validation.last() {
        Some(last) => format!("{loss}, held out {:.2} nats", last.held_out.nll.nats),
        None => loss,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    use super::*;
    use crate::data::{self, Spectrum};
    use crate::denoiser::Denoiser;
    use crate::net::{Mlp, MlpConfig};
    use crate::train::{End, Every, Objective, Validation};

    fn net() -> Mlp {
        let config = MlpConfig {
            width: 24,
            layers: 2,
            ..Default::default()
        };
        Mlp::new(&config, &Spectrum::standard(2).unwrap(), &[2], &Device::Cpu).unwrap()
    }

    fn short() -> TrainConfig {
        TrainConfig {
            epochs: 3,
            batch: 64,
            ..Default::default()
        }
    }

    fn parameters(net: &Mlp) -> Vec<f32> {
        let flat = |var: Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        net.vars().into_iter().flat_map(flat).collect()
    }

    #[test]
    fn a_seed_fixes_the_fit() {
        let data = data::moons(1000, 0).unwrap().train;
        let run = |seed| {
            let net = net();
            let fit = train(&net, &data, &TrainConfig { seed, ..short() }).unwrap();
            (fit.losses, parameters(&net))
        };
        assert_eq!(run(0), run(0));
        assert_ne!(run(0).1, run(1).1);
    }

    #[test]
    fn measuring_changes_nothing() {
        let data = data::moons(1000, 0).unwrap();
        let plain = net();
        let fit = train(&plain, &data.train, &short()).unwrap();
        let watched = net();
        let config = TrainConfig {
            validation: Some(Validation {
                every: Every::Steps(5),
                samples: 40,
                points: 8,
            }),
            ..short()
        };
        let seen = train_validated(&watched, &data.train, &data.test, &config).unwrap();
        assert_eq!(seen.losses, fit.losses);
        assert_eq!(parameters(&watched), parameters(&plain));
        let steps: Vec<usize> = seen.validation.iter().map(|v| v.step).collect();
        let last = fit.planned;
        let mut known: Vec<usize> = (1..=last / 5).map(|i| 5 * i).collect();
        known.extend((!last.is_multiple_of(5)).then_some(last));
        assert_eq!(steps, known);
        // The last one is of the network as it is now.
        let last = seen.validation.last().unwrap();
        let points = last.held_out.curve.points();
        let held_out = data.test.take(40).unwrap();
        let curve = crate::mmse::mse_curve(&watched, &held_out, &points).unwrap();
        assert_eq!(curve.mse, last.held_out.curve.mse);
        let history = seen.history().unwrap();
        assert_eq!(
            history.column("validation").unwrap().null_count(),
            seen.planned - steps.len()
        );
        assert!(seen.figure().unwrap().svg().unwrap().contains("held out"));
    }

    #[test]
    fn patience_ends_with_the_best_parameters() {
        let data = data::moons(300, 0).unwrap().train;
        let config = TrainConfig {
            // Too fast to become better for long.
            learning_rate: 0.3,
            epochs: 2000,
            average: None,
            schedule: super::super::Schedule::Constant,
            validation: Some(Validation {
                every: Every::Steps(10),
                samples: 60,
                points: 8,
            }),
            patience: Some(4),
            ..short()
        };
        let net = net();
        let fit = train(&net, &data, &config).unwrap();
        assert_eq!(fit.end, Some(End::Patience), "{fit}");
        let best = fit.best().unwrap();
        assert_eq!(best.step + 40, fit.losses.len());
        let (_, held_out) = super::super::held_out::split(&data, 60, 0).unwrap();
        let points = best.held_out.curve.points();
        let curve = crate::mmse::mse_curve(&net, &held_out, &points).unwrap();
        assert_eq!(curve.mse, best.held_out.curve.mse);
    }

    #[test]
    fn the_clock_ends_training() {
        let data = data::moons(300, 0).unwrap().train;
        let config = TrainConfig {
            steps: Some(1_000_000),
            minutes: Some(0.005),
            ..short()
        };
        let fit = train(&net(), &data, &config).unwrap();
        assert_eq!(fit.end, Some(End::Time));
        assert!(!fit.losses.is_empty() && fit.losses.len() < 1_000_000);
        // The rate went down with the time.
        assert!(
            fit.rates.last() < fit.rates.get(60),
            "{:?}",
            fit.rates.last()
        );
    }

    #[test]
    fn the_noise_objective_is_the_squared_error() {
        let data = data::moons(1000, 0).unwrap().train;
        let config = TrainConfig {
            objective: Objective::Noise,
            noise_schedule: crate::schedule::Schedule::linear(1000).ok(),
            epochs: 80,
            ..short()
        };
        let fit = train(&net(), &data, &config).unwrap();
        // Per dimension it lies between 0 and 1, and at the end below the Gaussian's.
        assert!(fit.gaussian > 0.05 && fit.gaussian < 1.0, "{fit}");
        assert!(fit.loss() > 0.0 && fit.loss() < fit.gaussian, "{fit}");
    }

    #[test]
    fn divergence_is_told_and_the_parameters_stay_finite() {
        let data = data::moons(300, 0).unwrap().train;
        let net = net();
        let config = TrainConfig {
            learning_rate: 1e30,
            average: None,
            ..short()
        };
        let error = train(&net, &data, &config).unwrap_err();
        assert!(
            matches!(error, Error::Diverged { step: 2.., .. }),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let digits = data::digits().unwrap().test;
        let error = train(&net(), &digits, &short()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let same = Tensor::zeros((20, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let same = Dataset::new("all alike", same).unwrap();
        let error = train(&net(), &same, &short()).unwrap_err();
        assert!(matches!(error, Error::Degenerate { .. }), "{error}");
        assert_eq!(net().dim(), 2);
        let few = data::moons(300, 0).unwrap().train;
        let config = TrainConfig {
            validation: Some(Validation::default()),
            ..short()
        };
        let error = train(&net(), &few, &config).unwrap_err().to_string();
        assert!(error.starts_with("validation.samples"), "{error}");
    }
}
