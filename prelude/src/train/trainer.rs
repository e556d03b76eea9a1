//! Training, one step at a time.

use std::io::Write as _;
use std::time::Instant;

use candle_core::Var;
use serde_json::json;

use super::denoising::Denoising;
use super::lr_schedule::warmup;
use super::metrics_log::MetricsLog;
use super::run_folder::RunFolder;
use super::{Fit, Interval, Measured, StopReason, Task, TrainConfig, Validated};
use crate::cell::{self, Host};
use crate::data::Dataset;
use crate::denoiser::Trainable;
use crate::error::{Error, Result};
use crate::memory;
use crate::optim::{AdamW, AdamWConfig, values};
use crate::progress::{Display, Progress};
use crate::rng::{self, Rng};

/// Training of any [`Task`], one step at a time: for a loop of your own, where [`train`](fn@train) is not enough, or for
/// a task that is not that of a denoiser.
///
/// [`Self::step`] has no bar and does not listen for the user's interrupt; [`Self::run`] does both. All else, the run
/// folder too, is as with [`train`](fn@train).
///
/// # Example: look at the network while it learns
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::train::Trainer;
/// use itd_prelude::train::Denoising;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.train;
/// let config = MlpConfig { width: 16, layers: 1, ..Default::default() };
/// let net = Mlp::new(&config, &Gaussian::standard(2)?, &[2], &Device::Cpu)?;
/// let config = TrainConfig { steps: Some(20), ..Default::default() };
/// let mut trainer = Trainer::new(Denoising::new(&net, &data, &config)?, &config)?;
/// while !trainer.done() {
///     trainer.step()?;
/// }
/// let fit = trainer.finish()?;
/// assert_eq!(fit.steps(), 20);
/// # Ok(()) }
/// ```
pub struct Trainer<T> {
    pub(super) task: T,
    pub(super) config: TrainConfig,
    pub(super) vars: Vec<Var>,
    pub(super) optimizer: AdamW,
    order: Order,
    /// The parameters at the best measurement, where there is patience.
    pub(super) best: Vec<Vec<f32>>,
    pub(super) fit: Fit,
    folder: Option<(RunFolder, MetricsLog)>,
    /// What the last state in the folder holds, and its seconds.
    saved: (Mark, f64),
    /// Seconds of the parts of the run before this one.
    pub(super) before: f64,
    start: Instant,
}

/// How far training is: steps, measurements, and whether it has ended.
type Mark = (usize, usize, Option<StopReason>);

/// Fits a denoiser to data: the loss is the bound on the entropy itself, with log-SNR drawn from a logistic `q`,
///
/// ```text
/// h_G + ½ mean[(‖ε − ε̂‖² − f_Σ(α)) / q(α)]
/// ```
///
/// with one noise and one `α` for each sample of a step; or, with [`Objective::Noise`](super::Objective::Noise), the
/// squared error alone. A network that can be [told a condition](crate::denoiser::Denoiser::condition) is told those of
/// the data, but for a [share](TrainConfig::condition_dropout). The network's parameters are changed in place. A bar and
/// the loss, with [`Validation`](super::Validation) also the curve, are shown while it runs. A task of another kind is
/// trained by [`Trainer`].
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
/// - `checkpoint-STEP.safetensors`: parameters, moments, average and course so far. The last three are kept. Each has a
///   check sum; one that is damaged is called `.damaged` from then on, and the one before it serves.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape or conditions, or
/// the run in the folder is another one, [`Error::Missing`] when the network can be told a condition and the data have
/// none, [`Error::Degenerate`] when the data have no density (set `dequantize` for data on a grid),
/// [`Error::Diverged`] at the first loss or gradient that is not finite; the parameters are then those of
/// the step before. [`Error::File`] when the folder cannot be written to: no older state is lost, and the network keeps
/// what it has learned. [`Error::Interrupted`] carries the [`Fit`] so far; the network keeps what it has learned.
///
/// # Numerics
/// The same seed and number of threads give the same numbers. With another number of threads sums may be rounded
/// otherwise; over a hundred steps the losses then agree to 1e-3 of themselves. (A perceptron and a small U-Net give
/// the same bits with one thread as with two.) The `α` of a step are drawn one from each of `batch` equal parts of `q`
/// ([`Logistic::stratified`](crate::logsnr::Logistic::stratified)).
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
///
/// # Example: a few steps already beat the standard normal
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.train;
/// let standard = Gaussian::standard(2)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &standard, &[2], &Device::Cpu)?;
/// let fit = train(&net, &data, &TrainConfig { epochs: 20, ..Default::default() })?;
/// assert!(fit.recent_loss() < standard.entropy()?.nats);
/// # Ok(()) }
/// ```
///
/// # Example: going on with a network that was trained as DDPM is, measured on samples of one's own
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::train::Objective;
///
/// # fn main() -> Result<()> {
/// let data = toy::moons(2000, 0)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &data.train.gaussian()?, &[2], &Device::Cpu)?;
/// let noise_schedule = Some(NoiseSchedule::linear(1000)?);
/// let ddpm = TrainConfig { epochs: 10, objective: Objective::Noise, noise_schedule, ..Default::default() };
/// train(&net, &data.train, &ddpm)?;
/// let tuning = TrainConfig {
///     epochs: 3,
///     learning_rate: 1e-3,
///     held_out: Some(data.test.clone()),
///     ..TrainConfig::fine_tuning()
/// };
/// let fit = train(&net, &data.train, &tuning)?;
/// assert_eq!(fit.validation.len(), 4);
/// assert!(fit.gain().is_some_and(|gain| gain.nats > 2.0 * gain.std_err));
/// # Ok(()) }
/// ```
pub fn train(net: &dyn Trainable, data: &Dataset, config: &TrainConfig) -> Result<Fit> {
    Trainer::new(Denoising::new(net, data, config)?, config)?.run()
}

impl<T: Task> Trainer<T> {
    /// Prepares training, or goes on with the one in the [run folder](TrainConfig::run).
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, and for those that the task takes no notice of; [`Error::Empty`] without
    /// samples or parameters; [`Error::Mismatch`] when the run in the folder is another one; [`Error::File`] when the
    /// folder cannot be written to.
    pub fn new(task: T, config: &TrainConfig) -> Result<Self> {
        config.check()?;
        task.check(config)?;
        memory::keep();
        let (vars, samples) = (task.vars(), task.samples());
        for (what, empty) in [
            ("the list of parameters", vars.is_empty()),
            ("the list of samples", samples == 0),
        ] {
            if empty {
                return Err(Error::Empty { what });
            }
        }
        let batch = config.batch.min(samples);
        let fit = Fit {
            baseline: task.baseline(),
            planned: config.planned(samples, batch),
            batch,
            samples,
            quantity: task.quantity(),
            ..Default::default()
        };
        let mut trainer = Self {
            optimizer: AdamW::new(
                &vars,
                &AdamWConfig {
                    betas: config.betas,
                    weight_decay: config.weight_decay,
                    ema_decay: config.ema_decay,
                },
            )?,
            order: Order::new(samples, config.seed),
            config: config.clone(),
            task,
            vars,
            best: Vec::new(),
            fit,
            folder: None,
            saved: ((0, 0, None), 0.0),
            before: 0.0,
            start: Instant::now(),
        };
        trainer.open()?;
        Ok(trainer)
    }

    /// Opens the run folder, if there is to be one, and goes on with what is in it.
    fn open(&mut self) -> Result<()> {
        let Some(path) = self.config.run.clone() else {
            return Ok(());
        };
        let mut made = self.task.describe()?;
        made["settings"] = self.config.to_json();
        made["parameters"] = json!(self.vars.iter().map(|var| var.dims()).collect::<Vec<_>>());
        let folder = RunFolder::open(&path, &made)?;
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
                    let note = "no state was whole, so that it began anew";
                    self.fit.notes.push(note.into());
                }
                folder.save(0, &self.state()?)?;
            }
        }
        self.start = Instant::now();
        self.folder = Some((folder, MetricsLog::new(&path, &self.fit)?));
        Ok(())
    }

    /// What was done so far.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    /// What is trained.
    pub fn task(&self) -> &T {
        &self.task
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
        let step = self.fit.steps();
        let rows = self.order.rows(step, self.fit.batch);
        let found = self.task.gradients(&rows, &mut self.order.rng(step))?;
        let (loss, norm) = (found.loss, values::norm(&found.by_var)?);
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::Diverged {
                step: step + 1,
                loss,
                gradient: norm,
                log_snr: found.log_snr,
            });
        }
        let shortened = |most: f64| (most / norm.max(1e-30)).min(1.0);
        let factor = self.config.max_grad_norm.map_or(1.0, shortened);
        let rate = self.config.learning_rate
            * warmup(step, self.config.warmup)
            * self.config.lr_schedule.at(self.share());
        self.optimizer.step(&found.by_var, rate, factor)?;
        self.fit.seconds = self.seconds();
        self.fit.elapsed.push(self.fit.seconds);
        self.fit.loss.push(loss);
        self.fit.grad_norm.push(norm);
        self.fit.learning_rate.push(rate);
        self.after()
    }

    /// Makes all steps that are left, with a bar and the loss, and [ends](Self::finish) it.
    ///
    /// # Errors
    /// As [`Self::step`]; [`Error::Interrupted`] when the user asks to stop carries the [`Fit`] so far.
    pub fn run(mut self) -> Result<Fit> {
        let mut display = Display::new();
        let mut bar = Progress::new("training", self.fit.planned as u64);
        bar.skip(self.fit.steps() as u64);
        for note in &self.fit.notes {
            // A standard error that cannot be written to is no reason to stop.
            let _ = writeln!(std::io::stderr(), "training: {note}");
        }
        while !self.done() {
            let steps = self.fit.steps();
            let stopped = match self.step() {
                Ok(()) => false,
                Err(Error::Interrupted(_)) => true,
                Err(error) => {
                    self.finalize()?;
                    return Err(error);
                }
            };
            bar.note(note(&self.fit));
            if self.config.minutes.is_some() || self.done() {
                bar.plan(self.expected() as u64);
            }
            let fit = &self.fit;
            // The first picture has a line to show, and with it an axis that goes as far as the losses do.
            let shown = match fit.steps() {
                0..2 => Ok(()),
                _ => display.refresh(|| fit.figure()),
            };
            let made = (fit.steps() - steps) as u64;
            if let Err(Error::Interrupted(error)) = bar.advance(made) {
                return Err(Error::Interrupted(error.with(self.finish()?)));
            }
            if stopped {
                return Err(Error::Interrupted(bar.stopped().with(self.finish()?)));
            }
            shown?;
        }
        let fit = self.finish()?;
        bar.finish();
        if cell::host() == Host::Itd {
            display.show(&fit.figure()?)?;
        }
        Ok(fit)
    }

    /// What may follow a step: measuring, the end, a state for the run folder.
    fn after(&mut self) -> Result<()> {
        let step = self.fit.steps();
        let full = match () {
            () if step >= self.fit.planned => Some(StopReason::Steps),
            () if self.time_share() >= 1.0 && step > 0 => Some(StopReason::Time),
            () => None,
        };
        self.measure_if(full.is_some())?;
        if self.fit.end.is_none() {
            self.fit.end = match (full, self.impatient()) {
                (Some(end), _) => Some(end),
                (None, true) => Some(StopReason::Patience),
                (None, false) => None,
            };
        }
        if let Some((_, log)) = &mut self.folder {
            log.tell(&self.fit)?;
        }
        match self.is_due(self.config.checkpoint, (self.saved.0.0, self.saved.1)) {
            true => self.save(),
            false => Ok(()),
        }
    }

    /// Measures the network if it is time for that, or the last chance.
    fn measure_if(&mut self, last: bool) -> Result<()> {
        let Some(validation) = self.config.validation() else {
            return Ok(());
        };
        let step = self.fit.steps();
        let due = match self.fit.validation.last() {
            Some(done) if done.step == step => false,
            Some(done) => last || self.is_due(validation.every, (done.step, done.seconds)),
            None => {
                let before = step == 0 && validation.before;
                last || before || self.is_due(validation.every, (0, 0.0))
            }
        };
        if !due {
            return Ok(());
        }
        self.optimizer.swap()?;
        let measured = self.task.validate().and_then(|held_out| match held_out {
            None => Ok(None),
            Some(held_out) => Ok(Some((held_out, self.task.validate_on_train()?))),
        });
        self.optimizer.swap()?;
        let Some((held_out, train)) = measured? else {
            return Ok(());
        };
        self.fit.seconds = self.seconds();
        self.fit.validation.push(Validated {
            step,
            seconds: self.fit.seconds,
            held_out,
            train,
        });
        let best = self.fit.best().is_some_and(|best| best.step == step);
        if best && self.config.patience.is_some() {
            let moments = self.optimizer.moments()?.into_iter();
            self.best = moments
                .map(|slot| match slot.average.is_empty() {
                    true => slot.value,
                    false => slot.average,
                })
                .collect();
        }
        Ok(())
    }

    /// Whether measurements have not become better for as long as the patience lasts.
    fn impatient(&self) -> bool {
        let (Some(patience), Some(best)) = (self.config.patience, self.fit.best()) else {
            return false;
        };
        let since = self.fit.validation.iter().filter(|v| v.step > best.step);
        since.count() >= patience
    }

    /// Whether something is to be done again that was last done after such a step, at such a time.
    fn is_due(&self, every: Interval, (last, then): (usize, f64)) -> bool {
        let step = self.fit.steps();
        let rounds =
            |step: usize, count: usize| step * self.fit.batch / (count * self.fit.samples).max(1);
        match every {
            Interval::Steps(count) => step / count > last / count,
            Interval::Epochs(count) => rounds(step, count) > rounds(last, count),
            Interval::Minutes(minutes) => self.seconds() - then >= 60.0 * minutes,
        }
    }

    fn mark(&self) -> Mark {
        (self.fit.steps(), self.fit.validation.len(), self.fit.end)
    }

    /// Writes the state to the run folder.
    fn save(&mut self) -> Result<()> {
        if self.folder.is_none() {
            return Ok(());
        }
        self.fit.seconds = self.seconds();
        let (step, state) = (self.fit.steps(), self.state()?);
        if let Some((folder, log)) = &mut self.folder {
            // First, so that no step before the state is missing when the process ends between the two.
            log.flush()?;
            folder.save(step, &state)?;
        }
        self.saved = (self.mark(), self.fit.seconds);
        Ok(())
    }

    /// Seconds from the start, those of earlier parts of the run too.
    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    fn time_share(&self) -> f64 {
        let minutes = self.config.minutes;
        minutes.map_or(0.0, |minutes| self.seconds() / (60.0 * minutes))
    }

    /// How much of the training is done, by steps or by time.
    fn share(&self) -> f64 {
        let steps = self.fit.steps() as f64 / self.fit.planned.max(1) as f64;
        steps.max(self.time_share())
    }

    /// How many steps there will be, as far as one can tell.
    fn expected(&self) -> usize {
        let steps = self.fit.steps();
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
        self.finalize()?;
        saved.map(|()| self.fit)
    }

    /// Gives the network its last parameters.
    fn finalize(&mut self) -> Result<()> {
        if self.best.is_empty() {
            return self.optimizer.swap();
        }
        let mut pairs = self.vars.iter().zip(&self.best);
        pairs.try_for_each(|(var, values)| values::write(var, values))
    }
}

/// `loss 1.23 nats, held out 1.20 nats`
fn note(fit: &Fit) -> String {
    let (digits, unit) = (fit.quantity.digits, &fit.quantity.unit);
    let loss = fit.mean_of_last((fit.steps() / 10).min(200));
    let loss = format!("loss {loss:.digits$}{unit}");
    match fit.validation.last() {
        None => loss,
        Some(last) => {
            let Measured {
                loss: measured,
                curve,
            } = &last.held_out;
            // What is measured of a denoiser is nats, whatever its loss is.
            let (digits, unit) = curve.as_ref().map_or((digits, &**unit), |_| (2, " nats"));
            format!("{loss}, held out {:.digits$}{unit}", measured.nats)
        }
    }
}

/// Which samples each step sees, and what is random in it: functions of the seed and the number of the step, so that
/// nothing has to be remembered.
struct Order {
    samples: usize,
    seed: u64,
    noise: rng::Key,
    /// The last round that was asked for.
    round: Option<(usize, Vec<u32>)>,
}

impl Order {
    fn new(samples: usize, seed: u64) -> Self {
        Self {
            samples,
            seed,
            noise: rng::Key::new(seed, "training noise"),
            round: None,
        }
    }

    /// The samples of a step, counted from 0: each comes once before any comes again.
    fn rows(&mut self, step: usize, batch: usize) -> Vec<u32> {
        let first = step * batch;
        (first..first + batch)
            .map(|place| self.row(place / self.samples, place % self.samples))
            .collect()
    }

    fn row(&mut self, round: usize, place: usize) -> u32 {
        if self.round.as_ref().is_none_or(|(known, _)| *known != round) {
            let mut rng = rng::stream(self.seed, &format!("order of training samples {round}"));
            self.round = Some((round, rng::permutation(self.samples, &mut rng)));
        }
        self.round.as_ref().map_or(0, |(_, order)| order[place])
    }

    /// What is random in a step.
    fn rng(&self, step: usize) -> Rng {
        self.noise.at(step as u64, 0)
    }
}
