//! Variational bounds: a network that tells pairs from strangers.

mod bound;
mod perceptron;

use std::cell::Cell;

use candle_core::{Device, Tensor, Var};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::seq::index;
use rayon::prelude::*;

use self::bound::{Row, log_add, paired};
use self::perceptron::{Perceptron, Sides, fresh};
use super::columns::by_column;
use super::gaussian::noise_checked;
use super::maps::standardised;
use super::{Estimator, Information};
use crate::cell;
use crate::cell::memory::room_for;
use crate::error::{Error, Interrupted, Result};
use crate::estimate::Estimate;
use crate::progress::Progress;
use crate::rng::{self, Rng};
use crate::train::{
    Gradients, Interval, LearningRate, Measured, Quantity, StopReason, Task, TrainConfig, Trainer,
    Validation,
};

pub use bound::Bound;

/// Mutual information as the largest value of a variational [`Bound`] that a small network reaches.
///
/// A perceptron `T(x, y)` with rectified layers is trained to score pairs that belong together above others. What it is
/// worth is measured on samples that it was not trained on; training ends when that no longer grows, and the best
/// measurement is the estimate.
///
/// Use it to compare with what the field uses. For the value itself [`Base`](super::Base) and [`Mmg`](super::Mmg) are
/// closer on most data: critics fall short of strong dependence, and in many dimensions.
///
/// | bound | is above the truth | trouble |
/// |---|---|---|
/// | [`Mine`](Bound::Mine), [`DonskerVaradhan`](Bound::DonskerVaradhan) | by chance | scatters by about `e^(I/2)/√n` |
/// | [`Nwj`](Bound::Nwj) | by chance | the same, and unstable training |
/// | [`InfoNce`](Bound::InfoNce) | by chance | never above `ln k` of `k` samples that are compared |
/// | [`InfoNceAnchor`](Bound::InfoNceAnchor) | may be | no bound |
///
/// # Units
/// Nats. `x` and `y` are standardized, which changes nothing.
///
/// # Errors
/// [`Error::Parameter`] for settings that cannot be, NaN among them; [`Error::Shape`] for fewer than 50 samples;
/// [`Error::Diverged`] when scores leave the range of numbers before the first measurement, later that is a warning;
/// [`Error::Interrupted`] when the user stops it; the others of [`Estimator`].
///
/// # Numerics
/// The network computes in `f32`, the bounds in `f64`; scores from 10⁵ on, which `f32` does not tell apart, count as no
/// number. The standard error is that of the held-out samples to first
/// order, each with what it adds to both means. Taking the best of several measurements adds a little to the value.
/// The diagnostics are the `steps` that were made, the `best step`, how many samples were `held out`, and for InfoNCE
/// the `cap`. [`Information::n`] is how many were held out: only they are behind the value.
///
/// # Cost
/// A step of all bounds but MINE scores `batch²` pairs, a measurement `compared` pairs for each held-out sample.
///
/// # Source
/// Settings as in `cbg-ethz/bmi`, the library of Czyż et al. (2023), "Beyond Normal". Other than there: each sample is
/// seen once before any is seen again; MINE's held-out samples have the same strangers at each measurement; the last
/// layer's two biases are one; a value that is not finite ends training.
///
/// # Example: a binormal pair
/// ```
/// use itd_prelude::information::{Bound, Critic, Estimator};
/// use itd_prelude::task;
///
/// let task = task::bivariate(0.75)?;
/// let pairs = task.sample(2000, 0)?;
/// let critic = Critic { steps: 500, ..Critic::of(Bound::Mine) };
/// let found = critic.information(pairs.x.view(), pairs.y.view())?;
/// assert!((found.nats - task.nats).abs() < 0.1, "{found}, in truth {:.4}", task.nats);
/// assert_eq!(found.n, 1000);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Critic {
    /// What is made large.
    pub bound: Bound,
    /// Widths of the hidden layers, at least one.
    pub hidden: Vec<usize>,
    /// The step of Adam.
    pub learning_rate: f64,
    /// Samples in a step.
    pub batch: usize,
    /// Steps at most.
    pub steps: usize,
    /// Steps from one measurement to the next.
    pub every: usize,
    /// Training ends after so many measurements without a better one.
    pub patience: usize,
    /// The share of the samples that are held out.
    pub held_out: f64,
    /// Held-out samples are compared with each other in groups of at most so many; the logarithm of that is the cap of
    /// InfoNCE. Up to it all are compared with all, as published.
    pub compared: usize,
    /// How much of MINE's moving denominator a step keeps.
    pub smoothing: f64,
    /// Seed of weights, parts and batches.
    pub seed: u64,
}

impl Default for Critic {
    fn default() -> Self {
        Self {
            bound: Bound::default(),
            hidden: vec![16, 8],
            learning_rate: 0.1,
            batch: 256,
            steps: 10_000,
            every: 250,
            patience: 2,
            held_out: 0.5,
            compared: 5000,
            smoothing: 0.9,
            seed: 0,
        }
    }
}

/// Samples that are needed at least.
const FEWEST: usize = 50;
/// InfoNCE falls short noticeably from so many nats below its cap on, or from half the cap on where that is less.
const NEAR_CAP: f64 = 1.0;

impl Critic {
    /// That bound with the published settings.
    pub fn of(bound: Bound) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<()> {
        let need = |fine: bool, name, got: String, need| match fine {
            true => Ok(()),
            false => Err(Error::Parameter { name, got, need }),
        };
        let Self { held_out, .. } = *self;
        let hidden = !self.hidden.is_empty() && self.hidden.iter().all(|w| (1..=4096).contains(w));
        let got = format!("{:?}", self.hidden);
        need(hidden, "hidden", got, "at least one width, from 1 to 4096")?;
        let got = self.batch.to_string();
        need(self.batch >= 2, "batch", got, "at least 2")?;
        let got = self.compared.to_string();
        need(self.compared >= 2, "compared", got, "at least 2")?;
        need(self.every >= 1, "every", "0".into(), "at least 1")?;
        let inside = held_out > 0.0 && held_out < 1.0;
        let text = "a share between 0 and 1";
        need(inside, "held_out", held_out.to_string(), text)?;
        let inside = (0.0..1.0).contains(&self.smoothing);
        let text = "at least 0 and below 1";
        need(inside, "smoothing", self.smoothing.to_string(), text)?;
        self.training().check()
    }

    fn training(&self) -> TrainConfig {
        TrainConfig {
            steps: Some(self.steps),
            batch: self.batch,
            learning_rate: self.learning_rate,
            lr_schedule: LearningRate::Constant,
            warmup: 0,
            betas: (0.9, 0.999),
            ema_decay: None,
            validation: Some(Validation {
                every: Interval::Steps(self.every),
                ..Validation::default()
            }),
            patience: Some(self.patience),
            seed: self.seed,
            ..TrainConfig::default()
        }
    }

    /// The samples by chance in two: those to train on, and those that are held out.
    fn split(&self, data: &Sides) -> Result<(Sides, Sides)> {
        let n = data.len();
        let count = (n as f64 * self.held_out).round() as usize;
        if count < 2 || n - count < 2 {
            return Err(Error::Parameter {
                name: "held_out",
                got: format!("{} of {n} samples", self.held_out),
                need: "a share that leaves at least two samples on either side",
            });
        }
        let order = rng::permutation(n, &mut rng::stream(self.seed, "critic held out"));
        let order: Vec<usize> = order.into_iter().map(|row| row as usize).collect();
        Ok((data.rows(&order[count..]), data.rows(&order[..count])))
    }
}

impl Estimator for Critic {
    fn name(&self) -> &'static str {
        self.bound.name()
    }

    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        self.check()?;
        let warnings = noise_checked(&[("x", x), ("y", y)], FEWEST)?.told();
        let data = Sides {
            x: scaled("x", x)?,
            y: scaled("y", y)?,
        };
        let (train, held_out) = self.split(&data)?;
        if self.bound != Bound::Mine {
            let k = self.batch.min(train.len());
            room_for::<f32>("the scores of all pairs of a batch", &[k, k, 4])?;
        }
        let vars = fresh(x.ncols() + y.ncols(), &self.hidden, self.seed)?;
        one_more(&vars)?;
        let learning = Learning::new(self, vars, train, held_out);
        let mut trainer = Trainer::new(learning, &self.training())?;
        let mut bar = Progress::new(format!("training {}", self.name()), self.steps as u64);
        let mut diverged = None;
        while !trainer.done() {
            match trainer.step() {
                Err(Error::Diverged { step, .. }) if trainer.fit().best().is_some() => {
                    diverged = Some(step);
                    break;
                }
                done => done?,
            }
            if let Some(last) = trainer.fit().validation.last() {
                bar.note(format!("held out {:.4} nats", -last.held_out.loss.nats));
            }
            bar.advance(1)?;
        }
        bar.finish();
        let judge = trainer.task().judge();
        let fit = trainer.finish()?;
        let best = fit
            .best()
            .filter(|best| best.held_out.loss.nats.is_finite());
        let Some(best) = best else {
            return Err(Error::NotFinite {
                what: "the bound on held-out samples",
                got: f64::NEG_INFINITY,
                next: "lower `learning_rate`, or map long tails first",
            });
        };
        let mut found = Information::of_samples(judge.influences()?)
            .warned(warnings)
            .with("steps", fit.steps() as f64)
            .with("best step", best.step as f64)
            .with("held out", judge.held_out.len() as f64);
        // Not the network's pointwise information, but how each sample moves the mean.
        found.per_sample = None;
        if let Some(step) = diverged {
            found.warnings.push(format!(
                "the scores left the range of numbers in step {step}: the value is that of step {}; lower \
                 `learning_rate`, or map long tails first",
                best.step
            ));
        }
        if fit.end == Some(StopReason::Steps) && best.step == fit.steps() {
            found.warnings.push(format!(
                "the value still rose after {} steps: allow more",
                fit.steps()
            ));
        }
        if self.bound == Bound::InfoNce {
            found = near_cap(found, judge.largest());
        }
        Ok(found)
    }
}

/// Warns of a value that the cap of InfoNCE holds down.
fn near_cap(found: Information, compared: usize) -> Information {
    let cap = (compared as f64).ln();
    let near = found.nats > cap - NEAR_CAP.min(0.5 * cap);
    let warning = format!(
        "InfoNCE cannot be above {cap:.2} nats, the logarithm of the {compared} samples that are compared: the truth may \
         be anything from here on"
    );
    found.with("cap", cap).warned(near.then_some(warning))
}

fn scaled(what: &str, x: ArrayView2<f64>) -> Result<Array2<f32>> {
    let columns = standardised(&by_column(what, x)?);
    Ok(Array2::from_shape_fn(x.dim(), |(i, j)| {
        columns[(i, j)] as f32
    }))
}

/// The published critic's output begins higher by 1.
fn one_more(vars: &[Var]) -> Result<()> {
    match vars.last() {
        Some(bias) => Ok(bias.set(&(bias.as_tensor() + 1.0)?)?),
        None => Ok(()),
    }
}

/// A critic that is trained.
struct Learning {
    bound: Bound,
    vars: Vec<Var>,
    train: Sides,
    /// The samples that are held out, in groups that are compared.
    held_out: Vec<Sides>,
    /// Of each group the same `x` with others' `y`, for MINE: with that of the next in a random order.
    apart: Vec<Sides>,
    smoothing: f64,
    /// The logarithm of MINE's moving denominator.
    log_mean: Cell<f64>,
}

impl Learning {
    fn new(critic: &Critic, vars: Vec<Var>, train: Sides, held_out: Sides) -> Self {
        let n = held_out.len();
        let groups = n.div_ceil(critic.compared).min(n / 2).max(1);
        let group = |g: usize| -> Vec<usize> { (g..n).step_by(groups).collect() };
        let held_out: Vec<Sides> = (0..groups).map(|g| held_out.rows(&group(g))).collect();
        let rng = &mut rng::stream(critic.seed, "critic strangers");
        let apart = |group: &Sides| {
            let around = rng::permutation(group.len(), rng);
            let mut order = vec![0; group.len()];
            for (place, &row) in around.iter().enumerate() {
                order[row as usize] = around[(place + 1) % around.len()] as usize;
            }
            Sides {
                x: group.x.clone(),
                y: group.y.select(Axis(0), &order),
            }
        };
        Self {
            bound: critic.bound,
            vars,
            train,
            apart: held_out.iter().map(apart).collect(),
            held_out,
            smoothing: critic.smoothing,
            log_mean: Cell::new(f64::NEG_INFINITY),
        }
    }

    /// MINE's value on a batch, and its corrected gradient.
    fn mine(
        &self,
        net: &Perceptron,
        rows: &[usize],
        batch: &Sides,
        rng: &mut Rng,
    ) -> Result<Gradients> {
        let (k, n) = (batch.len(), self.train.len());
        let mut strangers = index::sample(rng, n, k).into_vec();
        // Nobody is a stranger to himself.
        for (stranger, row) in strangers.iter_mut().zip(rows) {
            if stranger == row {
                *stranger = (*stranger + 1) % n;
            }
        }
        let apart = Sides {
            x: batch.x.clone(),
            y: self.train.y.select(Axis(0), &strangers),
        };
        let scores = net.paired(&apart);
        let (value, log_mean) = paired(&net.paired(batch), &scores);
        let kept = self.smoothing.ln() + self.log_mean.get();
        let moving = log_add(kept, (1.0 - self.smoothing).ln() + log_mean);
        if moving.is_finite() {
            self.log_mean.set(moving);
        }
        // The batch's own gradient, −exp(T − log_mean)/k, times exp(log_mean − moving).
        let slope = |&t: &f32| -((f64::from(t) - moving).exp() / k as f64) as f32;
        let up = net.gradient_of_paired(batch, &Array1::from_elem(k, 1.0 / k as f32));
        let down = net.gradient_of_paired(&apart, &scores.iter().map(slope).collect());
        gradients(value, up.plus(&down).of_loss()?)
    }

    fn judge(&self) -> Judge {
        Judge {
            bound: self.bound,
            vars: self.vars.clone(),
            held_out: HeldOut {
                groups: self.held_out.clone(),
                apart: self.apart.clone(),
            },
        }
    }
}

fn gradients(value: f64, by_var: Vec<Option<Tensor>>) -> Result<Gradients> {
    Ok(Gradients {
        loss: -value,
        by_var,
        log_snr: None,
    })
}

impl Task for Learning {
    fn vars(&self) -> Vec<Var> {
        self.vars.clone()
    }

    fn samples(&self) -> usize {
        self.train.len()
    }

    /// The value alone: the gradient is [`Self::gradients`]'.
    fn loss(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor> {
        let loss = self.gradients(rows, rng)?.loss;
        Ok(Tensor::new(loss, &Device::Cpu)?)
    }

    fn gradients(&self, rows: &[u32], rng: &mut Rng) -> Result<Gradients> {
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let (batch, net) = (self.train.rows(&rows), Perceptron::read(&self.vars)?);
        if self.bound == Bound::Mine {
            return self.mine(&net, &rows, &batch, rng);
        }
        let (bound, scores) = (self.bound, net.all(&batch));
        let rows: Vec<Row> = (0..scores.nrows())
            .into_par_iter()
            .map(|i| bound.row(i, scores.row(i)))
            .collect();
        let slopes = bound.gradient(&scores, &rows);
        let found = net.gradient_of_all(&batch, &slopes).of_loss()?;
        gradients(bound.value(&rows), found)
    }

    fn quantity(&self) -> Quantity {
        Quantity {
            label: format!("−{} (nats)", self.bound.name()),
            unit: " nats".into(),
            digits: 4,
        }
    }

    fn validate(&self) -> Result<Option<Measured>> {
        let judge = self.judge();
        let value = judge.value()?;
        // What is no number must not be the best.
        let loss = match value.is_nan() {
            true => f64::INFINITY,
            false => -value,
        };
        Ok(Some(Measured {
            loss: Estimate::new(loss, f64::NAN, judge.held_out.len()),
            curve: None,
        }))
    }
}

/// Held-out samples, in groups.
struct HeldOut {
    groups: Vec<Sides>,
    apart: Vec<Sides>,
}

impl HeldOut {
    fn len(&self) -> usize {
        self.groups.iter().map(Sides::len).sum()
    }
}

/// What a critic is worth on samples that it was not trained on.
struct Judge {
    bound: Bound,
    vars: Vec<Var>,
    held_out: HeldOut,
}

impl Judge {
    /// Samples in the largest group.
    fn largest(&self) -> usize {
        let sizes = self.held_out.groups.iter().map(Sides::len);
        sizes.max().unwrap_or(0)
    }

    /// The value of the bound: the mean over the groups.
    fn value(&self) -> Result<f64> {
        let net = Perceptron::read(&self.vars)?;
        let mut sum = 0.0;
        for (g, group) in self.held_out.groups.iter().enumerate() {
            self.listen(g)?;
            sum += group.len() as f64
                * match self.bound {
                    Bound::Mine => {
                        paired(&net.paired(group), &net.paired(&self.held_out.apart[g])).0
                    }
                    bound => bound.value(&rows(bound, &net, group)),
                };
        }
        Ok(sum / self.held_out.len() as f64)
    }

    /// How each sample moves the estimate.
    fn influences(&self) -> Result<Vec<f64>> {
        let net = Perceptron::read(&self.vars)?;
        let mut all = Vec::with_capacity(self.held_out.len());
        for (g, group) in self.held_out.groups.iter().enumerate() {
            self.listen(g)?;
            if self.bound == Bound::Mine {
                let (pairs, apart) = (net.paired(group), net.paired(&self.held_out.apart[g]));
                let (_, log_mean) = paired(&pairs, &apart);
                let each = |(pair, stranger): (&f32, &f32)| {
                    f64::from(*pair) - log_mean - ((f64::from(*stranger) - log_mean).exp() - 1.0)
                };
                all.extend(pairs.iter().zip(&apart).map(each));
                continue;
            }
            let rows = rows(self.bound, &net, group);
            all.extend(
                self.bound
                    .influences(&rows, |from| columns(&net, group, from)),
            );
        }
        Ok(all)
    }

    fn listen(&self, done: usize) -> Result<()> {
        match cell::interrupted() {
            false => Ok(()),
            true => {
                let all = self.held_out.groups.len() as u64;
                let stopped = Interrupted::new("the held-out samples", done as u64, all);
                Err(Error::Interrupted(stopped.counted_in("groups")))
            }
        }
    }
}

/// What each row of the scores of all pairs tells; a row is dropped when it has told.
fn rows(bound: Bound, net: &Perceptron, data: &Sides) -> Vec<Row> {
    let added = net.added(data);
    let row = |i: usize| bound.row(i, net.row(added.x.row(i), &added.y).view());
    (0..data.len()).into_par_iter().map(row).collect()
}

/// `Σ_{i≠j} exp(T_ij − c_i)` for each `j`.
fn columns(net: &Perceptron, data: &Sides, from: &[f64]) -> Vec<f64> {
    let added = net.added(data);
    // Column by column, so that the order of sums is the same on any number of threads.
    let column = |j: usize| -> f64 {
        let scores = net.row(added.y.row(j), &added.x);
        let others = scores.iter().zip(from).enumerate().filter(|(i, _)| *i != j);
        others.map(|(_, (&t, c))| (f64::from(t) - c).exp()).sum()
    };
    (0..data.len()).into_par_iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    #[test]
    fn nobody_is_a_stranger_to_himself() {
        let pairs = crate::task::bivariate(0.75).unwrap().sample(61, 0).unwrap();
        let data = Sides {
            x: scaled("x", pairs.x.view()).unwrap(),
            y: scaled("y", pairs.y.view()).unwrap(),
        };
        for compared in [5000, 2] {
            let critic = Critic {
                compared,
                ..Critic::of(Bound::Mine)
            };
            let vars = fresh(2, &[4, 3], 0).unwrap();
            let judge = Learning::new(&critic, vars, data.clone(), data.clone()).judge();
            for (own, other) in std::iter::zip(&judge.held_out.groups, &judge.held_out.apart) {
                assert!(
                    own.y
                        .rows()
                        .into_iter()
                        .zip(other.y.rows())
                        .all(|(own, other)| own != other)
                );
                let sorted = |y: &Array2<f32>| {
                    let mut all: Vec<f32> = y.iter().copied().collect();
                    all.sort_by(f32::total_cmp);
                    all
                };
                assert_eq!(sorted(&own.y), sorted(&other.y), "each is there once");
            }
        }
    }

    #[test]
    fn influences_have_the_value_for_their_mean() {
        let task = crate::task::bivariate(0.75).unwrap();
        let pairs = task.sample(300, 0).unwrap();
        let data = Sides {
            x: scaled("x", pairs.x.view()).unwrap(),
            y: scaled("y", pairs.y.view()).unwrap(),
        };
        for compared in [5000, 100] {
            for bound in [
                Bound::Mine,
                Bound::DonskerVaradhan,
                Bound::Nwj,
                Bound::InfoNce,
            ] {
                let critic = Critic {
                    compared,
                    ..Critic::of(bound)
                };
                let vars = fresh(2, &[4, 3], 0).unwrap();
                let judge = Learning::new(&critic, vars, data.clone(), data.clone()).judge();
                let influences = judge.influences().unwrap();
                assert_eq!(influences.len(), 300);
                let gap = stats::mean(&influences) - judge.value().unwrap();
                assert!(gap.abs() < 1e-9, "{bound:?}: {gap}");
            }
        }
    }
}
