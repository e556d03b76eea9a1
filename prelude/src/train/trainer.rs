//! Training, one step at a time.

use std::time::Instant;

use candle_core::Var;
use serde_json::{Value, json};

use super::course::Course;
use super::feed::Feed;
use super::folder::Folder;
use super::held_out::{self, HeldOut};
use super::labels::Labels;
use super::loss::gradients;
use super::numbers;
use super::optimizer::Optimizer;
use super::{End, Every, Fit, TrainConfig, Validation};
use crate::data::{Condition, Dataset};
use crate::denoiser::{Trainable, same_shape};
use crate::error::{Error, Result};
use crate::memory;

/// Training, one step at a time: for a loop of your own, where [`train`](fn@super::train) is not enough.
///
/// It has no bar and does not listen for the user's interrupt; all else, the run folder too, is as with `train`,
/// which is a short loop over it.
///
/// # Example: look at the network while it learns
/// ```
/// use itd_prelude::{candle::Device, data::{self, Spectrum}, net::{Mlp, MlpConfig}};
/// use itd_prelude::train::{TrainConfig, Trainer};
///
/// let data = data::scg(1000, 0)?.train;
/// let config = MlpConfig { width: 16, layers: 1, ..Default::default() };
/// let net = Mlp::new(&config, &Spectrum::standard(2)?, &[2], &Device::Cpu)?;
/// let config = TrainConfig { steps: Some(20), ..Default::default() };
/// let mut trainer = Trainer::new(&net, &data, &config)?;
/// while !trainer.done() {
///     trainer.step()?;
/// }
/// let fit = trainer.finish()?;
/// assert_eq!(fit.losses.len(), 20);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub struct Trainer<'a> {
    pub(super) net: &'a dyn Trainable,
    pub(super) config: TrainConfig,
    pub(super) vars: Vec<Var>,
    pub(super) feed: Feed,
    pub(super) optimizer: Optimizer,
    pub(super) watched: Option<Watched>,
    /// The parameters at the best measurement, where there is patience.
    pub(super) best: Vec<Vec<f32>>,
    pub(super) fit: Fit,
    pub(super) folder: Option<(Folder, Course)>,
    /// What the last state in the folder holds, and its seconds.
    pub(super) saved: (Mark, f64),
    /// Seconds of the parts of the run before this one.
    pub(super) before: f64,
    start: Instant,
}

/// How far training is: steps, measurements, and whether it has ended.
pub(super) type Mark = (usize, usize, Option<End>);

/// What is measured while the network learns, and when.
pub(super) struct Watched {
    pub(super) every: Every,
    /// Whether also before the first step.
    pub(super) first: bool,
    pub(super) held_out: HeldOut,
    pub(super) train: Option<HeldOut>,
}

/// What is measured beside the settings' own.
#[derive(Default)]
pub(super) struct Watch<'a> {
    /// Held-out data; some of the training data are taken when `None`.
    pub(super) held_out: Option<&'a Dataset>,
    /// Whether samples that the network is trained on are measured too.
    pub(super) train: bool,
    /// Whether the network is measured before the first step.
    pub(super) first: bool,
}

impl<'a> Trainer<'a> {
    /// Prepares training, or goes on with the one in the [run folder](TrainConfig::run).
    ///
    /// # Errors
    /// As [`train`](fn@super::train).
    pub fn new(net: &'a dyn Trainable, data: &Dataset, config: &TrainConfig) -> Result<Self> {
        Self::watching(net, data, config, Watch::default())
    }

    pub(super) fn watching(
        net: &'a dyn Trainable,
        data: &Dataset,
        config: &TrainConfig,
        watch: Watch,
    ) -> Result<Self> {
        config.check()?;
        same_shape(data, net)?;
        memory::keep();
        let (seen, apart) = apart(net, data, config, &watch)?;
        let labels = Labels::new(net, &seen, config.label_dropout)?;
        let feed = Feed::new(seen.clone(), config, labels)?;
        let mut watched = None;
        if let (Some(validation), Some(apart)) = (&config.validation, apart) {
            let set = |data| HeldOut::new(data, validation, config, &feed.spectrum);
            watched = Some(Watched {
                every: validation.every,
                first: watch.first,
                held_out: set(&apart)?,
                train: watch.train.then(|| set(&seen)).transpose()?,
            });
        }
        let vars = net.vars();
        let fit = Fit {
            gaussian: feed.gaussian,
            planned: config.planned(feed.samples(), feed.batch),
            batch: feed.batch,
            samples: feed.samples(),
            objective: config.objective,
            reference: match &watched {
                Some(watched) => Some(watched.held_out.gaussian()?),
                None => None,
            },
            ..Default::default()
        };
        let mut trainer = Self {
            net,
            optimizer: Optimizer::new(&vars, config)?,
            config: config.clone(),
            vars,
            feed,
            watched,
            best: Vec::new(),
            fit,
            folder: None,
            saved: ((0, 0, None), 0.0),
            before: 0.0,
            start: Instant::now(),
        };
        trainer.open(data)?;
        Ok(trainer)
    }

    /// Opens the run folder, if there is to be one, and goes on with what is in it.
    fn open(&mut self, data: &Dataset) -> Result<()> {
        let Some(path) = self.config.run.clone() else {
            return Ok(());
        };
        let folder = Folder::open(&path, &self.describe(data)?)?;
        let (latest, notes) = folder.latest()?;
        let damaged = !notes.is_empty();
        self.fit.notes = notes;
        match latest {
            Some((step, state)) => {
                self.restore(&state).map_err(|what| what.of(&path, step))?;
                self.fit.notes.push(format!("went on from step {step}"));
                self.saved = (self.mark(), self.before);
            }
            None => {
                if damaged {
                    self.fit
                        .notes
                        .push("no state was whole, so that it began anew".into());
                }
                folder.save(0, &self.state()?)?;
            }
        }
        self.start = Instant::now();
        self.folder = Some((folder, Course::new(&path, &self.fit)?));
        Ok(())
    }

    /// All that makes the numbers.
    fn describe(&self, data: &Dataset) -> Result<Value> {
        let set = |data: &Dataset| -> Result<Value> {
            Ok(json!({
                "name": data.name,
                "samples": data.len(),
                "shape": data.shape(),
                "sha256": data.digest()?,
                "condition": data.y.as_ref().map(Condition::digest).transpose()?,
            }))
        };
        let count: usize = self.vars.iter().map(|var| var.elem_count()).sum();
        Ok(json!({
            "settings": self.config.to_json(),
            "data": set(data)?,
            "held_out": match &self.watched {
                Some(watched) => set(&watched.held_out.data)?,
                None => Value::Null,
            },
            "network": {
                "shape": self.net.shape(),
                "condition": self.net.condition().map(|kind| kind.to_string()),
                "parameters": count,
                "variables": self.vars.len(),
            },
        }))
    }

    /// What was done so far.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    /// Whether nothing is left to do.
    pub fn done(&self) -> bool {
        self.fit.end.is_some()
    }

    /// Makes one step; then, where it is time for that, measures the network on held-out samples and writes the
    /// state to the run folder. Does nothing when all is [done](Self::done).
    ///
    /// # Errors
    /// [`Error::Diverged`] when loss or gradient are not finite, the parameters being those of the step before;
    /// [`Error::File`] when the run folder cannot be written to, such as on a full disk: what was there stays.
    /// The step was made then, and the next call begins with what is left of this one.
    pub fn step(&mut self) -> Result<()> {
        // What an interrupt or a full disk kept the last call from doing.
        self.after()?;
        if self.done() {
            return Ok(());
        }
        let step = self.fit.losses.len();
        let batch = self.feed.next()?;
        let (loss, gradients) = gradients(self.net, &batch)?;
        let (loss, norm) = (loss + batch.rest, numbers::norm(&gradients)?);
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(batch.diverged(step + 1, loss, norm));
        }
        let shortened = |clip: f64| (clip / norm.max(1e-30)).min(1.0);
        let factor = self.config.clip.map_or(1.0, shortened);
        let rate = self.config.learning_rate * self.config.schedule.at(step, self.share());
        self.optimizer.step(&gradients, rate, factor)?;
        self.fit.seconds = self.seconds();
        self.fit.elapsed.push(self.fit.seconds);
        self.fit.losses.push(loss);
        self.fit.gradients.push(norm);
        self.fit.rates.push(rate);
        self.after()
    }

    /// Seconds from the start, those of earlier parts of the run too.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    pub(super) fn time_share(&self) -> f64 {
        let minutes = self.config.minutes;
        minutes.map_or(0.0, |minutes| self.seconds() / (60.0 * minutes))
    }

    /// How much of the training is done, by steps or by time.
    fn share(&self) -> f64 {
        let steps = self.fit.losses.len() as f64 / self.fit.planned.max(1) as f64;
        steps.max(self.time_share())
    }

    /// How many steps there will be, as far as one can tell.
    pub(super) fn expected(&self) -> usize {
        let steps = self.fit.losses.len();
        match self.share() {
            _ if self.done() => steps,
            share if share > 0.0 => ((steps as f64 / share).ceil() as usize).max(steps),
            _ => self.fit.planned,
        }
    }

    /// Ends training, whether all is done or not: the last state goes to the run folder, and the network gets the
    /// averaged parameters, or with [patience](TrainConfig::patience) the best.
    ///
    /// # Errors
    /// [`Error::File`] when the state cannot be written; the network has its parameters all the same.
    pub fn finish(mut self) -> Result<Fit> {
        let saved = match self.mark() == self.saved.0 {
            true => Ok(()),
            false => self.save(),
        };
        self.settle()?;
        saved.map(|()| self.fit)
    }

    /// Gives the network its last parameters.
    pub(super) fn settle(&mut self) -> Result<()> {
        if self.best.is_empty() {
            return self.optimizer.swap();
        }
        let mut pairs = self.vars.iter().zip(&self.best);
        pairs.try_for_each(|(var, values)| numbers::write(var, values))
    }
}

/// The samples to train on, and those to measure on.
fn apart(
    net: &dyn Trainable,
    data: &Dataset,
    config: &TrainConfig,
    watch: &Watch,
) -> Result<(Dataset, Option<Dataset>)> {
    match (&config.validation, watch.held_out) {
        (None, _) => Ok((data.clone(), None)),
        (Some(_), Some(held_out)) => {
            same_shape(held_out, net)?;
            Ok((data.clone(), Some(held_out.clone())))
        }
        (Some(Validation { samples, .. }), None) if *samples >= data.len() => {
            Err(Error::Parameter {
                name: "validation.samples",
                got: format!("{samples} of {}", data.len()),
                need: "fewer than there are samples: the others are trained on",
            })
        }
        (Some(Validation { samples, .. }), None) => {
            let (seen, apart) = held_out::split(data, *samples, config.seed)?;
            Ok((seen, Some(apart)))
        }
    }
}
