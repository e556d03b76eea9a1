//! The task of a denoiser: its bound on the entropy, or its squared error.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::monitor::Monitor;
use super::task::{Baseline, Gradients, Quantity};
use super::{Measured, Objective, Task, TrainConfig, Validation};
use crate::channel;
use crate::data::{Condition, ConditionKind, Dataset};
use crate::denoiser::{Query, Trainable, same_shape};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::logsnr::{Logistic, Quadrature, Tabulated, part};
use crate::optim::values::{read, squares};
use crate::rng::{self, Rng};
use crate::schedule::NoiseSchedule;
use crate::stats::{self, sigmoid};

/// Points of the mean of the Gaussian's curve.
const POINTS: usize = 400;

/// Numbers that are worth a thread.
const WORTH: usize = 1 << 14;

/// A denoiser and the data that it learns from: the [`Task`] behind [`train`](fn@super::train).
///
/// The loss of some samples, each with one noise and one log-SNR drawn from `q`, is
///
/// ```text
/// h_G + ½ Σᵢ wᵢ (‖εᵢ − ε̂ᵢ‖² − f_Σ(αᵢ)),    wᵢ = 1/(n q(αᵢ))
/// ```
///
/// with the entropy `h_G` and the error curve `f_Σ` of the Gaussian that fits the data: the bound on the entropy in
/// nats. With [`Objective::Noise`] it is the mean of `‖ε − ε̂‖²/d`.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
pub struct Denoising<N> {
    net: N,
    data: Dataset,
    /// The samples' conditions, where the network can be told any, and the share that is withheld.
    y: Option<(Condition, f64)>,
    /// The width of the noise that stands for the grid.
    spacing: Option<f64>,
    gaussian: Gaussian,
    log_eigenvalues: Vec<f64>,
    proposal: Proposal,
    objective: Objective,
    baseline: f64,
    monitor: Option<Monitor>,
}

/// What log-SNR is drawn from.
enum Proposal {
    Logistic(Logistic),
    Schedule(NoiseSchedule),
    Entropic(Entropic),
}

/// Log-SNR in proportion to the network's error, as far as training has seen it.
struct Entropic {
    interval: (f64, f64),
    /// The mean of `‖ε − ε̂‖²` in equal parts of the interval, of late.
    rates: Mutex<Vec<f64>>,
}

/// Parts of the interval for which the error is kept.
const PARTS: usize = 50;
/// How much of a part's mean a step keeps that has seen the part.
const KEEP: f64 = 0.9;
/// The share of draws that is spread evenly over the interval, so that no part is left without.
const EVEN: f64 = 0.1;

impl Entropic {
    /// Begins with the error of the Gaussian, where a network starts that knows mean and covariance.
    fn new(interval: (f64, f64), log_eigenvalues: &[f64]) -> Self {
        let width = (interval.1 - interval.0) / PARTS as f64;
        let middle = |i: usize| interval.0 + (i as f64 + 0.5) * width;
        let rates = (0..PARTS).map(|i| gaussian_error(log_eigenvalues, middle(i)));
        Self {
            interval,
            rates: Mutex::new(rates.collect()),
        }
    }

    fn rates(&self) -> std::sync::MutexGuard<'_, Vec<f64>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proposal(&self) -> Result<Tabulated> {
        let rates = self.rates();
        let mean = stats::mean(&rates);
        let mixed: Vec<f64> = rates
            .iter()
            .map(|rate| (1.0 - EVEN) * rate + EVEN * mean)
            .collect();
        Tabulated::new(self.interval, &mixed)
    }

    /// Takes in the squared errors of a step.
    fn see(&self, log_snr: &[f64], squares: &[f64]) {
        let mut seen = [(0.0, 0usize); PARTS];
        for (alpha, square) in log_snr.iter().zip(squares) {
            let (sum, count) = &mut seen[part(self.interval, PARTS, *alpha)];
            (*sum, *count) = (*sum + square, *count + 1);
        }
        for (rate, (sum, count)) in self.rates().iter_mut().zip(seen) {
            if count > 0 && sum.is_finite() {
                *rate = KEEP * *rate + (1.0 - KEEP) * sum / count as f64;
            }
        }
    }
}

impl<N: Trainable> Denoising<N> {
    /// The task of this network on these data. Some samples are taken out of them if the settings say so.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings; [`Error::Mismatch`] when data and network differ in shape or conditions;
    /// [`Error::Missing`] when the network can be told a condition and the data have none, or no sample of a class;
    /// [`Error::Degenerate`] when the data have no density (set `dequantize` for data on a grid); [`Error::Parameter`]
    /// when held-out samples are to be measured at log-SNRs at which 32 bits do not hold data and noise.
    pub fn new(net: N, data: &Dataset, config: &TrainConfig) -> Result<Self> {
        config.check()?;
        same_shape(data, &net)?;
        conditions(&net, data)?;
        let told_classes = matches!(net.condition(), Some(ConditionKind::Class { .. }));
        let (data, apart) = hold_out(data, config, told_classes)?;
        let y = conditions(&net, &data)?;
        let y = y.map(|y| (y.clone(), config.condition_dropout));
        let gaussian = match config.dequantize {
            true => data.dequantize(config.seed)?.gaussian()?,
            false => data.gaussian()?,
        };
        let log_eigenvalues = gaussian.log_eigenvalues()?;
        let logistic = || match config.log_snr {
            Some(logistic) => Ok(logistic),
            None => Logistic::as_published(&gaussian),
        };
        let proposal = match &config.noise_schedule {
            Some(schedule) => Proposal::Schedule(schedule.clone()),
            None if config.entropic => {
                Proposal::Entropic(Entropic::new(logistic()?.interval(), &log_eigenvalues))
            }
            None => Proposal::Logistic(logistic()?),
        };
        let baseline = match config.objective {
            Objective::Information => gaussian.entropy()?.nats,
            Objective::Noise => {
                let points = match &proposal {
                    Proposal::Logistic(logistic) => logistic.quadrature(POINTS)?,
                    Proposal::Schedule(schedule) => schedule.quadrature(POINTS)?,
                    Proposal::Entropic(own) => {
                        Quadrature::trapezoid(own.interval.0, own.interval.1, POINTS)?
                    }
                };
                let errors = points.log_snr.iter();
                let errors: Vec<f64> = errors
                    .map(|&a| gaussian_error(&log_eigenvalues, a))
                    .collect();
                stats::mean(&errors) / data.dim() as f64
            }
        };
        let monitor = match apart {
            None => None,
            Some((validation, apart)) => {
                same_shape(&apart, &net)?;
                let monitor = Monitor::new(&gaussian, &data, &apart, &validation, config)?;
                if net.dtype() == DType::F32 {
                    monitor.check_precision()?;
                }
                Some(monitor)
            }
        };
        Ok(Self {
            y,
            spacing: match config.dequantize {
                true => Some(data.grid()?.spacing()),
                false => None,
            },
            gaussian,
            log_eigenvalues,
            proposal,
            objective: config.objective,
            baseline,
            monitor,
            net,
            data,
        })
    }

    /// The network.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The samples that it is trained on.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// One step's worth of noisy samples.
    fn batch(&self, rows: &[u32], rng: &mut Rng) -> Result<Batch> {
        let indices = Tensor::new(rows, &Device::Cpu)?;
        let mut x = self.data.x.index_select(&indices, 0)?;
        if let Some(spacing) = self.spacing {
            let noise = (rng::uniform(x.dims(), rng)? - 0.5)?;
            x = (x + (noise * spacing)?)?;
        }
        let eps = rng::normal(x.dims(), rng)?;
        let n = rows.len();
        let mut points = match &self.proposal {
            Proposal::Logistic(logistic) => logistic.stratified(n, rng)?,
            Proposal::Schedule(schedule) => schedule.stratified(n, rng)?,
            Proposal::Entropic(own) => own.proposal()?.stratified(n, rng)?,
        }
        .shuffled(rng);
        let constant_term = match self.objective {
            // On average this is what is outside of the interval, and at each step it takes away what the draw of α
            // adds to the loss.
            Objective::Information => {
                let logs = &self.log_eigenvalues;
                self.baseline - 0.5 * points.integrate(|alpha| gaussian_error(logs, alpha))
            }
            Objective::Noise => {
                // ½ Σ wᵢ ‖ε − ε̂‖² is to be the mean of ‖ε − ε̂‖²/d.
                points.weight.fill(2.0 / (n * self.data.dim()) as f64);
                0.0
            }
        };
        let y = match &self.y {
            None => None,
            Some((y, dropout)) => {
                let lots: Vec<f32> = rng::uniform(&[n], rng)?.to_vec1()?;
                let told = lots.into_iter().map(|lot| f64::from(lot) >= *dropout);
                Some((y.subset(rows)?, told.collect()))
            }
        };
        Ok(Batch {
            x,
            eps,
            points,
            y,
            constant_term,
        })
    }
}

/// One step's worth.
struct Batch {
    x: Tensor,
    eps: Tensor,
    /// Log-SNR, and how much each sample counts.
    points: Quadrature,
    /// What the network is told of the samples, and of which.
    y: Option<(Condition, Vec<bool>)>,
    /// The part of the loss that does not depend on the network.
    constant_term: f64,
}

impl<N: Trainable> Task for Denoising<N> {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn samples(&self) -> usize {
        self.data.len()
    }

    fn loss(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor> {
        let batch = self.batch(rows, rng)?;
        let noisy = Noisy::new(&self.net, &batch.x, &batch.eps, &batch.points)?.told(&batch.y);
        Ok((noisy.loss(&self.net)? + batch.constant_term)?)
    }

    fn gradients(&self, rows: &[u32], rng: &mut Rng) -> Result<Gradients> {
        let batch = self.batch(rows, rng)?;
        let (terms, by_var) = gradients(&self.net, &batch)?;
        if let Proposal::Entropic(own) = &self.proposal {
            let weights = batch.points.weight.iter();
            let squares: Vec<f64> = terms
                .iter()
                .zip(weights)
                .map(|(t, w)| 2.0 * t / w)
                .collect();
            own.see(&batch.points.log_snr, &squares);
        }
        let loss: f64 = terms.iter().sum();
        let alphas = batch.points.log_snr.iter().copied();
        Ok(Gradients {
            loss: loss + batch.constant_term,
            by_var,
            log_snr: alphas.clone().reduce(f64::min).zip(alphas.reduce(f64::max)),
        })
    }

    fn memory(&self) -> Vec<f64> {
        match &self.proposal {
            Proposal::Entropic(own) => own.rates().clone(),
            _ => Vec::new(),
        }
    }

    fn remember(&self, memory: &[f64]) -> bool {
        match &self.proposal {
            Proposal::Entropic(own) if memory.len() == PARTS => {
                own.rates().copy_from_slice(memory);
                true
            }
            Proposal::Entropic(_) => false,
            _ => memory.is_empty(),
        }
    }

    fn quantity(&self) -> Quantity {
        match self.objective {
            Objective::Information => Quantity {
                label: "loss (nats)".into(),
                unit: " nats".into(),
                digits: 2,
            },
            Objective::Noise => Quantity {
                label: "squared error per dimension".into(),
                unit: String::new(),
                digits: 4,
            },
        }
    }

    fn baseline(&self) -> Option<Baseline> {
        Some(Baseline {
            name: "Gaussian reference".into(),
            loss: self.baseline,
            held_out: self
                .monitor
                .as_ref()
                .map(|monitor| monitor.gaussian.clone()),
        })
    }

    fn validate(&self) -> Result<Option<Measured>> {
        let Some(monitor) = &self.monitor else {
            return Ok(None);
        };
        monitor
            .held_out
            .measure(&self.net, &self.gaussian)
            .map(Some)
    }

    fn validate_on_train(&self) -> Result<Option<Measured>> {
        let Some(set) = self.monitor.as_ref().and_then(|m| m.trained_on.as_ref()) else {
            return Ok(None);
        };
        set.measure(&self.net, &self.gaussian).map(Some)
    }

    fn describe(&self) -> Result<Value> {
        let set = |data: &Dataset| -> Result<Value> {
            Ok(json!({
                "name": data.name,
                "samples": data.len(),
                "shape": data.shape(),
                "sha256": data.digest()?,
                "condition": data.y.as_ref().map(Condition::digest).transpose()?,
                "grid": data.grid().ok().map(|grid| json!([grid.low, grid.high, grid.levels])),
            }))
        };
        let vars = self.net.vars();
        Ok(json!({
            "data": set(&self.data)?,
            "held_out": match &self.monitor {
                Some(monitor) => set(&monitor.held_out.data)?,
                None => Value::Null,
            },
            "network": {
                "shape": self.net.shape(),
                "condition": self.net.condition().map(|kind| kind.to_string()),
                "parameters": vars.iter().map(|var| var.elem_count()).sum::<usize>(),
                "variables": vars.len(),
                "made_as": self.net.describe()?,
            },
        }))
    }

    fn check(&self, _: &TrainConfig) -> Result<()> {
        Ok(())
    }
}

/// The samples to train on; and how to measure, and on what. Of a network that is told classes, one sample of each class
/// is left to train on.
fn hold_out(
    data: &Dataset,
    config: &TrainConfig,
    told_classes: bool,
) -> Result<(Dataset, Option<(Validation, Dataset)>)> {
    let Some(validation) = config.validation() else {
        return Ok((data.clone(), None));
    };
    let some =
        |all: &Dataset| rng::permutation(all.len(), &mut rng::stream(config.seed, "held out"));
    if let Some(held_out) = &config.held_out {
        let mut rows = some(held_out);
        rows.truncate(validation.samples);
        let apart = match rows.len() == held_out.len() {
            true => held_out.clone(),
            false => held_out.subset(&rows)?,
        };
        return Ok((data.clone(), Some((validation, apart))));
    }
    if validation.samples >= data.len() {
        return Err(Error::Parameter {
            name: "validation.samples",
            got: format!("{} of {}", validation.samples, data.len()),
            need: "fewer than there are samples: the others are trained on",
        });
    }
    let labels = data.labels().ok().filter(|_| told_classes);
    let mut left: HashMap<u32, usize> = HashMap::new();
    for label in labels.into_iter().flatten() {
        *left.entry(*label).or_default() += 1;
    }
    let (mut apart, mut kept) = (Vec::new(), Vec::new());
    for row in some(data) {
        let own = labels.and_then(|labels| left.get_mut(&labels[row as usize]));
        match own {
            _ if apart.len() == validation.samples => kept.push(row),
            Some(1) => kept.push(row),
            Some(count) => {
                *count -= 1;
                apart.push(row);
            }
            None => apart.push(row),
        }
    }
    if apart.len() < validation.samples {
        return Err(Error::Parameter {
            name: "validation.samples",
            got: format!("{} of {}", validation.samples, data.len()),
            need: "few enough to leave one sample of each class to train on",
        });
    }
    kept.sort_unstable();
    Ok((
        data.subset(&kept)?,
        Some((validation, data.subset(&apart)?)),
    ))
}

/// The data's conditions, if the network can be told any.
fn conditions<'a>(net: &dyn Trainable, data: &'a Dataset) -> Result<Option<&'a Condition>> {
    let Some(able) = net.condition() else {
        return Ok(None);
    };
    let y = data.y()?;
    let got = data.condition_kind();
    if Some(able) != got {
        return Err(Error::Mismatch {
            what: "the conditions of the data and of the network",
            left: got.map_or_else(String::new, |kind| kind.to_string()),
            right: able.to_string(),
            next: "make the network for the conditions that the data have",
        });
    }
    if let (ConditionKind::Class { classes }, Condition::Class(y)) = (able, y)
        && let Some(absent) = (0..classes as u32).find(|class| !y.contains(class))
    {
        return Err(Error::Missing {
            what: format!("class {absent} of {classes} has no sample in {}", data.name),
            next: "leave it out of the data's classes: a network is asked only for classes that it learned",
        });
    }
    Ok(Some(y))
}

/// `f_Σ(α)`, the error of the Gaussian's denoiser on its own data.
fn gaussian_error(log_eigenvalues: &[f64], alpha: f64) -> f64 {
    log_eigenvalues.iter().map(|log| sigmoid(alpha + log)).sum()
}

/// `½ Σ wᵢ ‖εᵢ − ε̂(zᵢ, αᵢ)‖²` over a batch, with one point of log-SNR and one noise for each sample: a scalar to be
/// differentiated.
///
/// With points drawn from `q` and `w = 1/(n q)`, its mean is half the area under the network's curve, in nats. The
/// paper's loss adds what does not depend on the network, `h_Σ − ½ Σ w f_Σ`, and is then the bound on the entropy
/// that [`MseCurve::nll`](crate::curve::MseCurve::nll) measures.
///
/// # Shapes
/// `x` and `eps`: `[n, shape…]`; `points`: `n` of them, in random order; `y`: the condition of each sample, where the
/// network is to be told it.
///
/// # Errors
/// [`Error::Shape`] unless there is one point for each sample; whatever the network returns.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
///
/// # Example: for the right denoiser the loss is the entropy, but for sampling
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::train;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(20_000, 0)?.train;
/// let (n, gaussian) = (data.len(), data.gaussian()?);
/// let mut rng = rng::seeded(0);
/// let points = Logistic::matched(&gaussian)?.stratified(n, &mut rng)?.shuffled(&mut rng);
/// let eps = rng::normal(data.x.dims(), &mut rng)?;
/// // Untrained, it is the Gaussian's denoiser, which is right for these data.
/// let net = Mlp::new(&MlpConfig::default(), &gaussian, &[2], &Device::Cpu)?;
/// let loss = train::loss(&net, &data.x, &eps, &points, None)?;
/// let errors = gaussian.curve(&points)?.mse;
/// let known: f64 = errors.iter().zip(&points.weight).map(|(mse, weight)| 0.5 * weight * mse).sum();
/// check!(close(f64::from(loss.to_scalar::<f32>()?) / known, 1.0, 0.05));
/// # Ok(()) }
/// ```
pub fn loss(
    net: &dyn Trainable,
    x: &Tensor,
    eps: &Tensor,
    points: &Quadrature,
    y: Option<&Condition>,
) -> Result<Tensor> {
    let mut noisy = Noisy::new(net, x, eps, points)?;
    noisy.query = noisy.query.given(y.cloned());
    noisy.loss(net)
}

/// The terms of the [`loss`] of a batch, one a sample, and its gradient by each parameter: the one place where training asks a network for them.
///
/// # Numerics
/// `∂L/∂ε̂ = w (ε̂ − ε)` is written over a copy of the estimate. The terms of the loss are added in `f64` in the order
/// of the samples, in whatever order a network asks for their gradients.
fn gradients(net: &dyn Trainable, batch: &Batch) -> Result<(Vec<f64>, Vec<Option<Tensor>>)> {
    let noisy = Noisy::new(net, &batch.x, &batch.eps, &batch.points)?.told(&batch.y);
    let weight = &batch.points.weight;
    let terms = Mutex::new(vec![f64::NAN; weight.len()]);
    let grad_out = |first: usize, estimate: &Tensor| {
        let (some, grad_out) = grad_out(estimate, &batch.eps, weight, first)?;
        let mut terms = terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms[first..first + some.len()].copy_from_slice(&some);
        Ok(grad_out)
    };
    let gradients = net.gradients(&noisy.query, &grad_out)?;
    let terms = terms.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((terms, gradients))
}

/// The terms of the loss for the estimate of the samples from `first` on, and the gradient by it.
fn grad_out(
    estimate: &Tensor,
    eps: &Tensor,
    weight: &[f64],
    first: usize,
) -> Result<(Vec<f64>, Tensor)> {
    let count = estimate.dims().first().copied().unwrap_or(0);
    if estimate.dims().get(1..) != eps.dims().get(1..) || first + count > weight.len() {
        return Err(Error::Shape {
            what: "the network's estimate",
            got: estimate.dims().to_vec(),
            need: format!("samples of {:?}, the shape of the noise", eps.dims()),
        });
    }
    let mut residual: Vec<f32> = estimate.flatten_all()?.to_vec1()?;
    let dim = residual.len() / count.max(1);
    let row = |((residual, eps), weight): ((&mut [f32], &[f32]), &f64)| -> f64 {
        let pairs = residual.iter_mut().zip(eps);
        pairs.for_each(|(residual, eps)| *residual -= eps);
        let square = squares(residual);
        let scale = *weight as f32;
        residual.iter_mut().for_each(|residual| *residual *= scale);
        0.5 * weight * square
    };
    let terms: Vec<f64> = read(eps, |eps| {
        let rows = residual
            .par_chunks_mut(dim.max(1))
            .zip(eps[first * dim..].par_chunks(dim.max(1)));
        let rows = rows
            .zip(&weight[first..])
            .with_min_len(WORTH.div_ceil(dim.max(1)));
        rows.map(row).collect()
    })?;
    let grad_out = Tensor::from_vec(residual, estimate.shape(), &Device::Cpu)?;
    Ok((terms, grad_out.to_device(estimate.device())?))
}

/// Samples as the channel passes them on to a network, where it computes.
struct Noisy {
    query: Query,
    eps: Tensor,
    weight: Tensor,
}

impl Noisy {
    fn new(net: &dyn Trainable, x: &Tensor, eps: &Tensor, points: &Quadrature) -> Result<Self> {
        let to = |values: &[f64]| -> Result<Tensor> {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            let n = values.len();
            Ok(Tensor::from_vec(values, n, &Device::Cpu)?.to_device(net.device())?)
        };
        let (log_snr, weight) = (to(&points.log_snr)?, to(&points.weight)?);
        let eps = eps.to_device(net.device())?;
        let z = channel::mix(&x.to_device(net.device())?, &eps, &log_snr)?;
        Ok(Self {
            query: Query::new(&z, &log_snr),
            eps,
            weight,
        })
    }

    fn told(mut self, y: &Option<(Condition, Vec<bool>)>) -> Self {
        if let Some((y, told)) = y {
            self.query = self.query.given(y.clone()).told(told.clone());
        }
        self
    }

    fn loss(&self, net: &dyn Trainable) -> Result<Tensor> {
        let residual = (&self.eps - net.forward(&self.query)?)?;
        let square = residual.flatten_from(1)?.sqr()?.sum(1)?; // [batch]
        Ok(((square * &self.weight)?.sum_all()? * 0.5)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::toy;
    use crate::net::{Mlp, MlpConfig};
    use crate::train::Interval;

    fn gaussian_net(data: &Dataset) -> Mlp {
        let gaussian = data.gaussian().unwrap();
        Mlp::new(&MlpConfig::default(), &gaussian, &[2], &Device::Cpu).unwrap()
    }

    #[test]
    fn both_objectives_know_what_the_gaussian_loses() {
        let data = toy::correlated_gaussian(4000, 0).unwrap().train;
        // Untrained, it is the Gaussian's denoiser.
        let net = gaussian_net(&data);
        for (objective, entropic) in [
            (Objective::Information, false),
            (Objective::Information, true),
            (Objective::Noise, false),
        ] {
            let config = TrainConfig {
                objective,
                entropic,
                log_snr: Logistic::new(1.0, 1.0, 2.0).ok(),
                ..Default::default()
            };
            let task = Denoising::new(&net, &data, &config).unwrap();
            let rows: Vec<u32> = (0..data.len() as u32).collect();
            let losses = (0..10).map(|step| {
                let loss = task.loss(&rows, &mut rng::seeded(step)).unwrap();
                f64::from(loss.to_scalar::<f32>().unwrap())
            });
            let losses: Vec<f64> = losses.collect();
            let (mean, error) = (stats::mean(&losses), stats::std_err(&losses));
            let known = task.baseline().unwrap().loss;
            let apart = (mean - known).abs();
            assert!(
                error < 0.03 && apart < 4.0 * error,
                "{objective:?}: {mean} ± {error} against {known}"
            );
        }
    }

    #[test]
    fn an_entropic_proposal_follows_the_networks_own_error() {
        let data = toy::correlated_gaussian(4000, 0).unwrap().train;
        let config = TrainConfig {
            entropic: true,
            log_snr: Logistic::new(1.0, 1.0, 4.0).ok(),
            ..Default::default()
        };
        // A network that errs more than the Gaussian that fits the data, from which the proposal begins.
        let wide = Gaussian::new(&[0.0, 0.0], &[[9.0, 0.0], [0.0, 9.0]]).unwrap();
        let net = Mlp::new(&MlpConfig::default(), &wide, &[2], &Device::Cpu).unwrap();
        let task = Denoising::new(&net, &data, &config).unwrap();
        let rows: Vec<u32> = (0..data.len() as u32).collect();
        let began = task.memory();
        for step in 0..60 {
            task.gradients(&rows, &mut rng::seeded(step)).unwrap();
        }
        let points = Quadrature::trapezoid(-3.0 + 0.08, 5.0 - 0.08, PARTS).unwrap();
        let own = crate::curve::mse_curve(&net, &data, &points).unwrap();
        let now = task.memory();
        let apart = |rates: &[f64]| {
            let gaps = rates.iter().zip(&own.mse).map(|(a, b)| (a / b - 1.0).abs());
            gaps.fold(0.0, f64::max)
        };
        assert!(apart(&began) > 0.3, "{}", apart(&began));
        assert!(apart(&now) < 0.15, "{}", apart(&now));
        assert!(!task.remember(&now[1..]) && task.remember(&began));
        assert_eq!(task.memory(), began);
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let data = toy::moons(500, 0).unwrap().train;
        let standard = Gaussian::standard(2).unwrap();
        let net = Mlp::new(&MlpConfig::default(), &standard, &[2], &Device::Cpu).unwrap();
        let task = Denoising::new(&net, &data, &TrainConfig::default()).unwrap();
        let rows: Vec<u32> = (0..100).collect();
        let fast = task.gradients(&rows, &mut rng::seeded(0)).unwrap();
        let slow = task.loss(&rows, &mut rng::seeded(0)).unwrap();
        let found = slow.backward().unwrap();
        let slow = f64::from(slow.to_scalar::<f32>().unwrap());
        assert!((fast.loss / slow - 1.0).abs() < 1e-5, "{fast:?} {slow}");
        let (low, high) = fast.log_snr.unwrap();
        assert!(low < -1.0 && high > 4.0, "{low} {high}");
        let size = |t: &Tensor| {
            let sum = t.sqr().unwrap().sum_all().unwrap();
            sum.to_scalar::<f32>().unwrap().sqrt()
        };
        for (var, gradient) in net.vars().iter().zip(&fast.by_var) {
            let (slow, fast) = (found.get(var).unwrap(), gradient.as_ref().unwrap());
            let apart = size(&(slow - fast).unwrap());
            assert!(apart <= 1e-4 * size(slow), "{apart} of {}", size(slow));
        }
    }

    #[test]
    fn held_out_samples_are_not_trained_on_and_are_a_fair_choice() {
        let data = toy::moons(200, 0).unwrap().train;
        let validation = |samples| {
            Some(Validation {
                every: Interval::Epochs(1),
                samples,
                ..Default::default()
            })
        };
        let config = |seed| TrainConfig {
            validation: validation(50),
            seed,
            ..Default::default()
        };
        let rows = |data: &Dataset| data.x.to_vec2::<f32>().unwrap();
        let (kept, apart) = hold_out(&data, &config(3), false).unwrap();
        let held = apart.unwrap().1;
        let mut all = [rows(&kept), rows(&held)].concat();
        let mut known = rows(&data);
        let order = |a: &Vec<f32>, b: &Vec<f32>| a[0].total_cmp(&b[0]);
        all.sort_by(order);
        known.sort_by(order);
        assert_eq!((held.len(), all), (50, known));
        let other = hold_out(&data, &config(4), false).unwrap().1.unwrap().1;
        assert_ne!(rows(&other), rows(&held));
        let too_many = TrainConfig {
            validation: validation(data.len()),
            ..Default::default()
        };
        assert!(hold_out(&data, &too_many, false).is_err());
        // Of data that are sorted by class, the first ones would be of one class.
        let sorted = Dataset::of(
            "sorted",
            &(0..100).map(|i| [f64::from(i)]).collect::<Vec<_>>(),
        );
        let sorted = sorted.unwrap();
        let given = |samples| TrainConfig {
            validation: validation(samples),
            held_out: Some(sorted.clone()),
            ..Default::default()
        };
        let (kept, apart) = hold_out(&data, &given(40), false).unwrap();
        let apart = rows(&apart.unwrap().1).concat();
        assert_eq!(kept.len(), data.len());
        assert!(
            apart.len() == 40 && apart.iter().any(|&x| x > 80.0),
            "{apart:?}"
        );
        let all = hold_out(&data, &given(usize::MAX), false)
            .unwrap()
            .1
            .unwrap()
            .1;
        assert_eq!(rows(&all), rows(&sorted));
    }

    #[test]
    fn of_each_class_a_sample_is_left_to_train_on() {
        let n = 40;
        let points: Vec<[f64; 1]> = (0..n).map(|i| [f64::from(i)]).collect();
        let classes = (0..n as u32).map(|i| if i == 5 { 2 } else { i % 2 });
        let data = Dataset::of("rare", &points).unwrap();
        let data = data.given(Condition::Class(classes.collect())).unwrap();
        let config = |samples, seed| TrainConfig {
            validation: Some(Validation {
                samples,
                ..Default::default()
            }),
            seed,
            ..Default::default()
        };
        for seed in 0..10 {
            let (kept, apart) = hold_out(&data, &config(37, seed), true).unwrap();
            assert_eq!(apart.unwrap().1.len(), 37);
            let mut left = kept.labels().unwrap().to_vec();
            left.sort_unstable();
            assert_eq!(left, [0, 1, 2]);
        }
        assert!(hold_out(&data, &config(38, 0), true).is_err());
        assert!(hold_out(&data, &config(38, 0), false).is_ok());
    }
}
