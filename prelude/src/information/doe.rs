//! The difference of two cross-entropies.

use candle_core::{DType, Device, Tensor, Var};
use ndarray::ArrayView2;

use super::gaussian::noise_checked;
use super::mmg::{standardized, tensor};
use super::{Estimator, Information};
use crate::error::{Error, Result};
use crate::layers::{Linear, Scheme};
use crate::ops::{Activation, Tape};
use crate::params::Network;
use crate::progress::Progress;
use crate::rng::{self, Rng};
use crate::train::{LearningRate, Quantity, Task, TrainConfig, Trainer};

/// The densities that are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DoeHead {
    /// Normal, each number of `y` by itself.
    #[default]
    Gaussian,
    /// Logistic, each number of `y` by itself.
    Logistic,
}

/// Mutual information as the difference of two cross-entropies, `−E ln q(y) + E ln q(y | x)`, as published.
///
/// Both densities are products over the numbers of `y`; means and scales of `q(y | x)` come from a perceptron. What they
/// are worth is measured on samples that they were not fitted to. It is neither an upper nor a lower bound: where `y` is
/// not of the kind that is fitted, the first term is too large by as much as `y` differs, and numbers of `y` that depend on
/// each other count several times.
///
/// Use it to compare with what the field uses.
///
/// # Units
/// Nats. `x` and `y` are standardized, which changes nothing.
///
/// # Errors
/// [`Error::Parameter`] for settings that cannot be; [`Error::Shape`] for fewer than 50 samples; [`Error::Diverged`] when the
/// loss leaves the range of numbers; [`Error::Interrupted`] when the user stops it; the others of [`Estimator`].
///
/// # Numerics
/// The standard error is that of the held-out samples' differences. [`Information::n`] is how many were held out.
///
/// # Source
/// McAllester, Stratos (2020), Formal Limitations on the Measurement of Mutual Information, AISTATS, arXiv:1811.04251;
/// settings of `fengsxy/Diffusion-MI`, `src/estimators/neural/DOE.py`.
///
/// # Example: a binormal pair, with a larger step than published
/// ```
/// use itd_prelude::information::{Doe, Estimator};
/// use itd_prelude::task;
///
/// let task = task::bivariate(0.75)?;
/// let pairs = task.sample(2000, 0)?;
/// let quick = Doe { steps: 600, learning_rate: 2e-3, ..Doe::default() };
/// let found = quick.information(pairs.x.view(), pairs.y.view())?;
/// assert!((found.nats - task.nats).abs() < 4.0 * found.std_err, "{found}, in truth {:.4}", task.nats);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Doe {
    /// The densities that are fitted.
    pub head: DoeHead,
    /// Widths of the hidden layers, at least one.
    pub hidden: Vec<usize>,
    /// The step of Adam.
    pub learning_rate: f64,
    /// Samples in a step.
    pub batch: usize,
    /// Steps.
    pub steps: usize,
    /// The share of the samples that are held out.
    pub held_out: f64,
    /// Seed of weights, parts and batches.
    pub seed: u64,
}

impl Default for Doe {
    fn default() -> Self {
        Self {
            head: DoeHead::default(),
            hidden: vec![100, 100],
            learning_rate: 1e-4,
            batch: 256,
            steps: 3000,
            held_out: 0.5,
            seed: 0,
        }
    }
}

/// Samples that are needed at least.
const FEWEST: usize = 50;
/// Logarithms of scales are held between these.
const SCALES: (f64, f64) = (-15.0, 15.0);

impl Doe {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if self.hidden.is_empty() || !self.hidden.iter().all(|w| (1..=4096).contains(w)) {
            let got = format!("{:?}", self.hidden);
            return refuse("hidden", got, "at least one width, from 1 to 4096");
        }
        if !(self.held_out > 0.0 && self.held_out < 1.0) {
            let need = "a share between 0 and 1";
            return refuse("held_out", self.held_out.to_string(), need);
        }
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
            seed: self.seed,
            ..TrainConfig::default()
        }
    }
}

impl Estimator for Doe {
    fn name(&self) -> &'static str {
        match self.head {
            DoeHead::Gaussian => "DoE",
            DoeHead::Logistic => "DoE (logistic)",
        }
    }

    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        self.check()?;
        let warnings = noise_checked(&[("x", x), ("y", y)], FEWEST)?.told();
        let (n, k) = (x.nrows(), y.ncols());
        let (x, y) = (tensor(&standardized(x))?, tensor(&standardized(y))?);
        let count = (n as f64 * self.held_out).round() as usize;
        if count < 2 || n - count < 2 {
            return Err(Error::Parameter {
                name: "held_out",
                got: format!("{} of {n} samples", self.held_out),
                need: "a share that leaves at least two samples on either side",
            });
        }
        let order = rng::permutation(n, &mut rng::stream(self.seed, "DoE held out"));
        let part = |rows: &[u32]| -> Result<[Tensor; 2]> {
            let rows = Tensor::new(rows, &Device::Cpu)?;
            Ok([x.index_select(&rows, 0)?, y.index_select(&rows, 0)?])
        };
        let [learn_x, learn_y] = part(&order[count..])?;
        let densities = Densities::new(x.dim(1)?, k, &self.hidden, self.seed)?;
        let fitting = Fitting {
            head: self.head,
            densities,
            x: learn_x,
            y: learn_y,
        };
        let mut trainer = Trainer::new(fitting, &self.training())?;
        let mut bar = Progress::new("fitting two densities", self.steps as u64);
        while !trainer.done() {
            trainer.step()?;
            bar.advance(1)?;
        }
        bar.finish();
        let [x, y] = part(&order[..count])?;
        let [without, with] = trainer.task().neg_log(&x, &y)?;
        let values = (without - with)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let mut found = Information::of_samples(values).warned(warnings);
        let _ = trainer.finish()?;
        // In the order of the held-out samples, which is not that of the samples.
        found.per_sample = None;
        found = found.with("held out", count as f64);
        if !found.nats.is_finite() {
            return Err(Error::NotFinite {
                what: "the difference of cross-entropies",
                got: found.nats,
                next: "lower `learning_rate`, or map long tails first",
            });
        }
        Ok(found)
    }
}

/// `q(y)` and `q(y | x)`.
struct Densities {
    net: Network<Layers>,
}

#[derive(Debug, Clone)]
struct Layers {
    /// Mean and logarithm of the scale of each number, `[2, k]`.
    alone: Tensor,
    /// From `x` to both, `[n, 2k]`.
    given: Vec<Linear>,
}

impl Densities {
    fn new(d: usize, k: usize, hidden: &[usize], seed: u64) -> Result<Self> {
        let sizes = [&[d], hidden, &[2 * k]].concat();
        let net = Network::seeded(seed, &Device::Cpu, |vb| {
            let given = vb.pp("given");
            let layer = |(i, pair): (usize, &[usize])| {
                Linear::new(given.pp(i), pair[0], pair[1], Scheme::Uniform)
            };
            Ok(Layers {
                alone: vb.pp("alone").get_with_hints(
                    (2, k),
                    "ends",
                    candle_nn::Init::Const(0.0),
                )?,
                given: sizes
                    .windows(2)
                    .enumerate()
                    .map(layer)
                    .collect::<Result<_>>()?,
            })
        })?;
        Ok(Self { net })
    }

    /// Mean and logarithm of the scale, of `y` alone `[1, k]` and given `x` `[n, k]`.
    fn moments(&self, x: &Tensor) -> Result<[[Tensor; 2]; 2]> {
        let Layers { alone, given } = &self.net.tracked;
        let (tape, last) = (Tape::off(), given.len() - 1);
        let mut h = x.clone();
        for layer in &given[..last] {
            h = layer.apply(&tape, &h, Activation::None)?.tanh()?;
        }
        let both = given[last].apply(&tape, &h, Activation::None)?;
        let k = both.dim(1)? / 2;
        let bounded = |log: Tensor| log.clamp(SCALES.0, SCALES.1);
        Ok([
            [alone.narrow(0, 0, 1)?, bounded(alone.narrow(0, 1, 1)?)?],
            [both.narrow(1, 0, k)?, bounded(both.narrow(1, k, k)?)?],
        ])
    }
}

/// Both densities, fitted to samples.
struct Fitting {
    head: DoeHead,
    densities: Densities,
    x: Tensor,
    y: Tensor,
}

impl Fitting {
    /// `−ln q(y)` and `−ln q(y | x)` of each sample, `[n]`.
    fn neg_log(&self, x: &Tensor, y: &Tensor) -> Result<[Tensor; 2]> {
        let of = |[mean, log_scale]: [Tensor; 2]| -> Result<Tensor> {
            let u = y
                .broadcast_sub(&mean)?
                .broadcast_mul(&log_scale.neg()?.exp()?)?;
            let each = match self.head {
                DoeHead::Gaussian => ((u.sqr()? * 0.5)? + 0.5 * std::f64::consts::TAU.ln())?,
                // u + 2 ln(1 + e^−u), by the absolute value, so that nothing overflows.
                DoeHead::Logistic => {
                    let size = u.abs()?;
                    (&size + ((size.neg()?.exp()? + 1.0)?.log()? * 2.0)?)?
                }
            };
            Ok(each.broadcast_add(&log_scale)?.sum(1)?)
        };
        let [alone, given] = self.densities.moments(x)?;
        Ok([of(alone)?, of(given)?])
    }
}

impl Task for Fitting {
    fn vars(&self) -> Vec<Var> {
        self.densities.net.vars()
    }

    fn samples(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }

    fn loss(&self, rows: &[u32], _: &mut Rng) -> Result<Tensor> {
        let rows = Tensor::new(rows, &Device::Cpu)?;
        let (x, y) = (
            self.x.index_select(&rows, 0)?,
            self.y.index_select(&rows, 0)?,
        );
        let [alone, given] = self.neg_log(&x, &y)?;
        Ok((alone + given)?.mean_all()?)
    }

    fn quantity(&self) -> Quantity {
        Quantity {
            label: "both cross-entropies (nats)".into(),
            unit: " nats".into(),
            digits: 4,
        }
    }
}
