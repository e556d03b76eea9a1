//! The bound in discrete time, measured on data.

use candle_core::{D, DType, Tensor};

use super::{Bound, BoundConfig, Decoder, Step, decoder, excess, prior};
use crate::channel::{self, Noisy};
use crate::data::Dataset;
use crate::denoiser::{Denoiser, LearnedVariance, Query, same_shape};
use crate::error::{Error, Result};
use crate::memory;
use crate::progress::Progress;
use crate::rng::Rng;

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
/// # Example: a Gaussian, and what a thousand steps lose
/// ```
/// use itd_prelude::{bound::{BoundConfig, variational_bound}, data, net::exact::Gaussian, rng, schedule::Schedule};
///
/// let data = data::scg(400, 0)?.train;
/// let spectrum = data.spectrum()?;
/// let net = Gaussian::new(&spectrum, &[2])?;
/// let config = BoundConfig::density(Schedule::linear(100)?);
/// let bound = variational_bound(&net, &data, &config, &mut rng::seeded(0))?;
/// assert!(bound.total.nats > spectrum.gaussian_entropy()?);
/// assert_eq!(bound.steps.len(), 100);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn variational_bound(
    net: &dyn Denoiser,
    data: &Dataset,
    config: &BoundConfig,
    rng: &mut Rng,
) -> Result<Bound> {
    measure(&Model::Fixed(net), data, config, rng)
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
    rng: &mut Rng,
) -> Result<Bound> {
    measure(&Model::Learned(net), data, config, rng)
}

/// Who chooses the variance.
enum Model<'a> {
    Fixed(&'a dyn Denoiser),
    Learned(&'a dyn LearnedVariance),
}

impl Model<'_> {
    /// `ε̂`, and the share of `ln β` in `ln Σ` where it is learned.
    fn predict(&self, noisy: &Noisy) -> Result<(Tensor, Option<Tensor>)> {
        match self {
            Model::Fixed(net) => Ok((net.denoise(&Query::new(&noisy.z, &noisy.log_snr))?, None)),
            Model::Learned(net) => {
                let (eps, v) = net.denoise_with_variance(&Query::new(&noisy.z, &noisy.log_snr))?;
                Ok((eps, Some(v.affine(0.5, 0.5)?)))
            }
        }
    }

    fn net(&self) -> &dyn Denoiser {
        match self {
            Model::Fixed(net) => *net,
            Model::Learned(net) => *net,
        }
    }
}

fn measure(model: &Model, data: &Dataset, config: &BoundConfig, rng: &mut Rng) -> Result<Bound> {
    config.check(data)?;
    let net = model.net();
    same_shape(data, net)?;
    memory::keep();
    let (n, steps, dim) = (data.len(), config.schedule.steps(), data.dim());
    let batch = config.batch.min(net.batch());
    let samples = (batch / steps).clamp(1, n);
    let chunk = (batch / samples).clamp(1, steps);
    let rounds = n.div_ceil(samples) * steps.div_ceil(chunk);
    let mut bar = Progress::new("measuring the bound", rounds as u64);
    let mut sums = Sums::new(steps);
    for start in (0..n).step_by(samples) {
        let x = data.x.narrow(0, start, samples.min(n - start))?;
        let mut block = Block::new(&x, config)?;
        for from in (0..steps).step_by(chunk) {
            let some: Vec<usize> = (from..steps.min(from + chunk)).collect();
            // A large network looks for an interrupt by itself, within one evaluation.
            let added = block.add(model, &x.to_device(net.device())?, &some, config, rng);
            if let Err(error) = added.and_then(|()| bar.step()) {
                return Err(match (error, sums.samples()) {
                    (Error::Interrupted(stopped), 1..) => {
                        Error::Interrupted(stopped.with(sums.bound(config, dim)))
                    }
                    (error, _) => error,
                });
            }
        }
        sums.extend(block);
    }
    bar.finish();
    Ok(sums.bound(config, dim))
}

/// The terms of a few samples.
struct Block {
    prior: Vec<f64>,
    diffusion: Vec<f64>,
    reconstruction: Vec<f64>,
    /// Step, term and squared error, one for each sample.
    terms: Vec<(usize, f64, f64)>,
}

impl Block {
    fn new(x: &Tensor, config: &BoundConfig) -> Result<Self> {
        let last = config.schedule.signal(config.schedule.steps() - 1);
        let flat: Vec<Vec<f64>> = x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
        let square = |x: &Vec<f64>| x.iter().map(|x| x * x).sum::<f64>();
        Ok(Self {
            prior: flat
                .iter()
                .map(|x| prior(square(x), x.len(), last))
                .collect(),
            diffusion: vec![0.0; flat.len()],
            reconstruction: vec![0.0; flat.len()],
            terms: Vec::new(),
        })
    }

    /// Adds the terms of some steps.
    fn add(
        &mut self,
        model: &Model,
        x: &Tensor,
        steps: &[usize],
        config: &BoundConfig,
        rng: &mut Rng,
    ) -> Result<()> {
        let schedule = &config.schedule;
        let alphas: Vec<f64> = steps.iter().map(|&t| schedule.log_snr[t]).collect();
        let noisy = channel::sweep(x, &alphas, rng)?;
        let (eps_hat, share) = model.predict(&noisy)?;
        let eps_hat = match config.clamp {
            None => eps_hat,
            Some(range) => channel::clamp_x(&noisy.z, &eps_hat, &noisy.log_snr, range)?,
        };
        let rows = |t: &Tensor| -> Result<Tensor> { Ok(t.flatten_from(1)?.to_dtype(DType::F64)?) };
        let eps = rows(&noisy.eps)?;
        let apart = (&eps - rows(&eps_hat)?)?;
        let share = share.as_ref().map(rows).transpose()?;
        let squares = apart.sqr()?;
        let mse: Vec<f64> = squares.sum(D::Minus1)?.to_vec1()?;
        if let Some(&got) = mse.iter().find(|e| !e.is_finite()) {
            return Err(Error::NotFinite {
                what: "the error of the network",
                got,
                next: "look at its parameters: training may have diverged",
            });
        }
        let n = self.prior.len();
        for (k, &t) in steps.iter().enumerate() {
            let some = |rows: &Tensor| rows.narrow(0, k * n, n);
            let share = share.as_ref().map(some).transpose()?;
            let mse = &mse[k * n..(k + 1) * n];
            let terms = match t {
                0 if config.decoder == Decoder::Channel => {
                    decoder::channel(config.outcome, x, &some(&eps)?, alphas[k])?
                }
                0 => first(x, &some(&apart)?, share.as_ref(), config)?,
                _ => later(mse, &some(&squares)?, share.as_ref(), config, t)?,
            };
            let sums = match t {
                0 => &mut self.reconstruction,
                _ => &mut self.diffusion,
            };
            for (i, (&term, &mse)) in terms.iter().zip(mse).enumerate() {
                sums[i] += term;
                self.terms.push((t, term, mse));
            }
        }
        Ok(())
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
    let delta = (share * range)?;
    let ratio = delta.exp()?;
    let excess = ((&ratio - 1.0)? - delta)?.affine(0.5, 0.0)?;
    let terms = ((squares * ratio)? * weight)? + excess;
    Ok(terms?.sum(D::Minus1)?.to_vec1()?)
}

/// `L_0` of each sample by the network. `apart` is `ε − ε̂`.
fn first(
    x: &Tensor,
    apart: &Tensor,
    share: Option<&Tensor>,
    config: &BoundConfig,
) -> Result<Vec<f64>> {
    let (schedule, outcome) = (&config.schedule, config.outcome);
    let log_snr = schedule.log_snr[0];
    let xs: Vec<Vec<f64>> = x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
    let off: Vec<Vec<f64>> = (apart * (-0.5 * log_snr).exp())?.to_vec2()?; // x̂ − x
    let small = schedule.posterior_log_variance_clipped(0);
    let shares: Option<Vec<Vec<f64>>> = share.map(Tensor::to_vec2).transpose()?;
    let range = schedule.betas[0].ln() - small;
    let each = |i: usize| -> f64 {
        let value = |j: usize| {
            let log_variance = small + shares.as_ref().map_or(0.0, |s| s[i][j] * range);
            decoder::normal(outcome, xs[i][j], xs[i][j] + off[i][j], log_variance)
        };
        (0..xs[i].len()).map(value).sum()
    };
    Ok((0..xs.len()).map(each).collect())
}

/// The terms of all finished samples.
struct Sums {
    terms: [Vec<f64>; 3],
    /// Of each step: sums of the term, its square, and the squared error.
    steps: Vec<[f64; 3]>,
}

impl Sums {
    fn new(steps: usize) -> Self {
        Self {
            terms: Default::default(),
            steps: vec![[0.0; 3]; steps],
        }
    }

    fn samples(&self) -> usize {
        self.terms[0].len()
    }

    fn extend(&mut self, block: Block) {
        let new = [block.prior, block.diffusion, block.reconstruction];
        for (all, new) in self.terms.iter_mut().zip(new) {
            all.extend(new);
        }
        for (t, term, mse) in block.terms {
            let [sum, squares, errors] = &mut self.steps[t];
            *sum += term;
            *squares += term * term;
            *errors += mse;
        }
    }

    fn bound(self, config: &BoundConfig, dim: usize) -> Bound {
        let n = self.samples() as f64;
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
        let steps = config
            .schedule
            .log_snr
            .iter()
            .zip(&self.steps)
            .map(step)
            .collect();
        Bound::of_samples(self.terms, steps, dim)
    }
}
