//! The bound in discrete time, measured on data.

use std::ops::Range;

use candle_core::{D, DType, Tensor};

use super::curve::steps_as_points;
use super::{Bound, BoundConfig, Reconstruction, Step, excess, prior, reconstruction};
use crate::channel;
use crate::curve::{Conditioning, Engine, Noise, NoisyBatch, Shard, Statistic};
use crate::data::Dataset;
use crate::denoiser::{Denoiser, LearnedVariance, Query};
use crate::error::{Error, Result};

/// Bounds `−ln p(x)` as DDPM does: `L_T + L_{T−1} + … + L_1 + L_0`, with one noise for each sample and step.
///
/// ```text
/// L_T = D(q(z_T|x) ‖ N(0, I))
/// L_t = D(q(z_{t−1}|z_t, x) ‖ p(z_{t−1}|z_t)) = ½(e^{α_{t−1} − α_t} − 1) e^δ ‖ε − ε̂‖² + ½ dim (e^δ − 1 − δ)
/// L_0 = −ln p(x|z_0)
/// ```
///
/// `δ = ln β̃_t/Σ_t` is 0 for [`Variance::Small`](crate::schedule::Variance::Small): then the sum is that of `½ ∫ mse dα` by rectangles, each
/// with the error at its noisy end. Of the first step the variance is `β̃_1`, as published.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape, or data
/// and bound in levels; [`Error::NotFinite`] when the network returns NaN. [`Error::Interrupted`] carries the
/// [`Bound`] of the samples that were finished, if there are any.
///
/// # Numerics
/// Terms are computed and summed in `f64`; the mass of a level is exact where published code approximates the
/// normal's distribution function.
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Eqs. 5–8 and 13.
///
/// # Example: a Gaussian, and what a hundred steps lose
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(400, 0)?.train;
/// let gaussian = data.gaussian()?;
/// let config = BoundConfig::density(NoiseSchedule::linear(100)?);
/// let bound = variational_bound(&gaussian.denoiser(&[2])?, &data, &config)?;
/// check!(bound.total.nats > gaussian.entropy()?.nats);
/// check!(bound.steps.len() == 100);
/// # Ok(()) }
/// ```
pub fn variational_bound(
    net: &dyn Denoiser,
    data: &Dataset,
    config: &BoundConfig,
) -> Result<Bound> {
    measure(Model::Fixed(net), data, config)
}

/// As [`variational_bound`], with the variances that the network chooses; those of the settings are ignored.
///
/// # Errors
/// As [`variational_bound`].
///
/// # Paper
/// Nichol, Dhariwal (2021), arXiv:2102.09672, Sec. 3.1.
pub fn variational_bound_learned(
    net: &dyn LearnedVariance,
    data: &Dataset,
    config: &BoundConfig,
) -> Result<Bound> {
    measure(Model::Learned(net), data, config)
}

/// Who chooses the variance.
#[derive(Clone, Copy)]
enum Model<'a> {
    Fixed(&'a dyn Denoiser),
    Learned(&'a dyn LearnedVariance),
}

impl Model<'_> {
    /// `ε̂`, and the share of `ln β` in `ln Σ` where it is learned.
    fn predict(&self, batch: &NoisyBatch) -> Result<(Tensor, Option<Tensor>)> {
        match self {
            Model::Fixed(net) => Ok((batch.eps_hat(*net, Conditioning::Unconditional)?, None)),
            Model::Learned(net) => {
                let dtype = net.dtype();
                let query = Query::new(&batch.z.to_dtype(dtype)?, &batch.log_snr.to_dtype(dtype)?);
                let (eps, v) = net.denoise_with_variance(&query)?;
                let eps = eps.to_dtype(batch.z.dtype())?;
                Ok((eps, Some(v.affine(0.5, 0.5)?)))
            }
        }
    }
}

/// What a step costs, and the squared error: two numbers for each noisy sample.
struct Terms<'a> {
    model: Model<'a>,
    config: &'a BoundConfig,
}

impl Statistic for Terms<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        match self.model {
            Model::Fixed(net) => vec![net],
            Model::Learned(net) => vec![net],
        }
    }

    fn width(&self) -> usize {
        2
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let config = self.config;
        let (eps_hat, share) = self.model.predict(batch)?;
        let eps_hat = match config.clamp {
            None => eps_hat,
            Some(range) => channel::clamp_x(&batch.z, &eps_hat, &batch.log_snr, range)?,
        };
        let rows = |t: &Tensor| -> Result<Tensor> { Ok(t.flatten_from(1)?.to_dtype(DType::F64)?) };
        let apart = (rows(&batch.eps)? - rows(&eps_hat)?)?;
        let share = share.as_ref().map(rows).transpose()?;
        let squares = apart.sqr()?;
        let mse: Vec<f64> = squares.sum(D::Minus1)?.to_vec1()?;
        let n = batch.samples.len();
        let mut values = Vec::with_capacity(2 * mse.len());
        for (k, t) in batch.points.clone().enumerate() {
            let some = |rows: &Tensor| rows.narrow(0, k * n, n);
            let share = share.as_ref().map(some).transpose()?;
            let mse = &mse[k * n..(k + 1) * n];
            let terms = match t {
                0 => {
                    let (x, eps) = (some(&batch.x)?, some(&batch.eps)?);
                    match config.reconstruction {
                        Reconstruction::Vdm => {
                            let log_snr = config.schedule.log_snr[0];
                            reconstruction::channel(config.target, &x, &eps, log_snr)?
                        }
                        Reconstruction::Ddpm => first(&x, &some(&apart)?, share.as_ref(), config)?,
                    }
                }
                _ => later(mse, &some(&squares)?, share.as_ref(), config, t)?,
            };
            values.extend(terms.iter().zip(mse).flat_map(|(&term, &mse)| [term, mse]));
        }
        Ok(Tensor::from_vec(values, (mse.len(), 2), apart.device())?)
    }
}

fn measure(model: Model, data: &Dataset, config: &BoundConfig) -> Result<Bound> {
    config.check(data)?;
    let terms = Terms { model, config };
    let points = steps_as_points(config);
    let noise = Noise::addressed(config.seed, 1);
    let engine = Engine::new(&terms, data, &points, config.batch, noise)?;
    let mut sums = Sums::new(data.len(), points.len());
    let end = engine.run(
        &Shard::WHOLE,
        &terms,
        "measuring the bound",
        |samples, steps, batch| {
            sums.add(samples, steps, &batch.values);
        },
    );
    match end {
        Ok(()) => sums.bound(data, config),
        Err(Error::Interrupted(stopped)) if sums.finished > 0 => {
            let part = data.take(sums.finished)?;
            Err(Error::Interrupted(stopped.with(sums.bound(&part, config)?)))
        }
        Err(error) => Err(error),
    }
}

/// `L_t` of each sample, `t > 0`.
fn later(
    mse: &[f64],
    squares: &Tensor,
    share: Option<&Tensor>,
    config: &BoundConfig,
    t: usize,
) -> Result<Vec<f64>> {
    let schedule = &config.schedule;
    let weight = 0.5 * libm::expm1(schedule.log_snr[t - 1] - schedule.log_snr[t]);
    let Some(share) = share else {
        let delta = config.variance.delta(schedule, t);
        let dim = squares.dim(1)? as f64;
        let term = |mse: &f64| weight * delta.exp() * mse + dim * excess(delta);
        return Ok(mse.iter().map(term).collect());
    };
    let range = schedule.posterior_variance(t).ln() - schedule.betas[t].ln();
    let delta = share.affine(range, 0.0)?;
    let ratio = delta.exp()?;
    let excess = ((&ratio - 1.0)? - delta)?.affine(0.5, 0.0)?;
    let terms = ((squares * ratio)?.affine(weight, 0.0)? + excess)?;
    Ok(terms.sum(D::Minus1)?.to_vec1()?)
}

/// `L_0` of each sample by the network. `apart` is `ε − ε̂`.
fn first(
    x: &Tensor,
    apart: &Tensor,
    share: Option<&Tensor>,
    config: &BoundConfig,
) -> Result<Vec<f64>> {
    let (schedule, target) = (&config.schedule, config.target);
    let log_snr = schedule.log_snr[0];
    let xs: Vec<Vec<f64>> = x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
    let off: Vec<Vec<f64>> = apart.affine((-0.5 * log_snr).exp(), 0.0)?.to_vec2()?; // x̂ − x
    let small = schedule.posterior_log_variance_clipped(0);
    let shares: Option<Vec<Vec<f64>>> = share.map(Tensor::to_vec2).transpose()?;
    let range = schedule.betas[0].ln() - small;
    let each = |i: usize| -> f64 {
        let value = |j: usize| {
            let log_variance = small + shares.as_ref().map_or(0.0, |s| s[i][j] * range);
            reconstruction::normal(target, xs[i][j], xs[i][j] + off[i][j], log_variance)
        };
        (0..xs[i].len()).map(value).sum()
    };
    Ok((0..xs.len()).map(each).collect())
}

/// The terms of all samples.
struct Sums {
    /// Of each sample: the sum over the steps but the first, and the first.
    samples: Vec<[f64; 2]>,
    /// Of each step and block of samples: sums of the term, its square, and the squared error.
    steps: Vec<[f64; 3]>,
    /// Those of a block of samples that has not been through all steps.
    open: Vec<[f64; 3]>,
    finished: usize,
}

impl Sums {
    fn new(n: usize, steps: usize) -> Self {
        Self {
            samples: vec![[0.0; 2]; n],
            steps: vec![[0.0; 3]; steps],
            open: vec![[0.0; 3]; steps],
            finished: 0,
        }
    }

    fn add(&mut self, samples: &Range<usize>, steps: &Range<usize>, values: &[f64]) {
        let rows = steps
            .clone()
            .flat_map(|t| samples.clone().map(move |i| (i, t)));
        for ((i, t), pair) in rows.zip(values.chunks(2)) {
            let (term, mse) = (pair[0], pair[1]);
            self.samples[i][usize::from(t == 0)] += term;
            let [sum, squares, errors] = &mut self.open[t];
            *sum += term;
            *squares += term * term;
            *errors += mse;
        }
        // A block of samples goes through all steps before the next.
        if steps.end == self.steps.len() {
            self.finished = samples.end;
            for (all, open) in self.steps.iter_mut().zip(&mut self.open) {
                all.iter_mut()
                    .zip(open)
                    .for_each(|(all, open)| *all += std::mem::take(open));
            }
        }
    }

    /// The bound of the samples that were finished, which are `data`.
    fn bound(&self, data: &Dataset, config: &BoundConfig) -> Result<Bound> {
        let n = self.finished as f64;
        let step = |(&log_snr, [sum, squares, errors]): (&f64, &[f64; 3])| {
            let mean = sum / n;
            let variance = (squares - n * mean * mean).max(0.0) / (n - 1.0);
            Step {
                log_snr,
                nats: mean,
                std_err: (variance / n).sqrt(),
                mse: errors / n,
            }
        };
        let steps = config.schedule.log_snr.iter().zip(&self.steps).map(step);
        let last = config.schedule.signal(config.schedule.steps() - 1);
        let squares = data.flat()?.to_dtype(DType::F64)?.sqr()?.sum(1)?;
        let squares: Vec<f64> = squares.to_vec1()?;
        let priors = squares
            .iter()
            .map(|&square| prior(square, data.dim(), last));
        let of = |which: usize| -> Vec<f64> {
            self.samples[..self.finished]
                .iter()
                .map(|pair| pair[which])
                .collect()
        };
        let terms = [priors.collect(), of(0), of(1)];
        Ok(Bound::of_samples(
            terms,
            steps.collect(),
            data.dim(),
            &data.digest_unheard()?,
            0.0,
        ))
    }
}
