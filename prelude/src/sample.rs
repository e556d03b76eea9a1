//! Samples from a denoiser: ancestral, DDIM and the probability-flow ODE.
//!
//! | sampler | steps | noise on the way |
//! |---|---|---|
//! | [`Sampler::Ancestral`] | many, as the network was trained | yes |
//! | [`Sampler::Ddim`] | some | as much as wanted |
//! | [`Sampler::Heun`] | few | no |
//!
//! All know the network as a [`Denoiser`] only, so any of them takes any [`Steps`].

mod animation;
mod config;
mod sampler;
mod samples;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use self::sampler::{Predictor, ancestral, ddim};
use self::samples::Batches;
use crate::channel::NoiseLevel;
use crate::data::{Condition, not_finite};
use crate::denoiser::{Denoiser, LearnedVariance};
use crate::error::{Error, Result};
use crate::likelihood::ode;
use crate::memory;
use crate::per_sample_rng::PerSampleRng;
use crate::progress::Progress;
use crate::rng::Key;
use crate::schedule::{NoiseSchedule, Variance};

pub use config::{SampleConfig, Sampler, Steps};
pub use samples::{Samples, State};

/// Draws `n` samples from a denoiser.
///
/// The start is `N(0, I)` at the lowest log-SNR of the steps, which a sample there is up to `σ(α)`, or the one that the
/// settings name; the end is `x̂` at the highest, so that structure finer than about `e^{−α/2}` is smoothed away.
///
/// Each sample has a generator of its own: the first samples are the same however many are drawn, and in whatever
/// batches. With [`Sampler::Heun`], or [`Sampler::Ddim`] and `η = 0`, a sample is a smooth function of its start.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Sampler::Learned`] among them, [`Error::Empty`] when `n` is 0,
/// [`Error::Shape`] when the start does not fit, [`Error::Mismatch`] when conditions do not,
/// [`Error::NotFinite`] when the network returns NaN. [`Error::Interrupted`] carries the [`Samples`] of the batches that
/// were finished, if there are any.
///
/// # Numerics
/// Coefficients are `f64`, states `f32`.
///
/// # Example: both sides of a coin
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let x = sample(&Scalar::coin().denoiser(&[1])?, 400, &SampleConfig::default())?.x;
/// let x: Vec<f32> = x.flatten_all()?.to_vec1()?;
/// check!(x.iter().all(|x| (x.abs() - 1.0).abs() < 0.05));
/// let heads = x.iter().filter(|x| **x > 0.0).count();
/// check!((160..=240).contains(&heads)); // four standard deviations
/// # Ok(()) }
/// ```
///
/// # Example: from one sample to another
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let net = Gaussian::new(&[3.0], &[[0.25]])?.denoiser(&[1])?;
/// let start = Some(Tensor::new(&[[-1f32], [0.0], [1.0]], &Device::Cpu)?);
/// let x = sample(&net, 3, &SampleConfig { start, ..Default::default() })?.x.to_vec2::<f32>()?;
/// for (x, known) in x.iter().zip([2.5, 3.0, 3.5]) {
///     assert!((x[0] - known).abs() < 0.03); // μ + √λ·z; the start is a little off, and the steps are few
/// }
/// # Ok(()) }
/// ```
pub fn sample(net: &dyn Denoiser, n: usize, config: &SampleConfig) -> Result<Samples> {
    run(net, None, n, config)
}

/// As [`sample`], from a network that may choose its variance: [`Sampler::Learned`] is allowed.
///
/// # Errors
/// As [`sample`].
pub fn sample_learned(
    net: &dyn LearnedVariance,
    n: usize,
    config: &SampleConfig,
) -> Result<Samples> {
    run(net, Some(net), n, config)
}

/// Refuses a start or conditions that are not for `n` samples of the network.
fn check(net: &dyn Denoiser, n: usize, config: &SampleConfig) -> Result<()> {
    if n == 0 {
        return Err(Error::Empty {
            what: "the list of samples to draw",
        });
    }
    let shape = [&[n], net.shape()].concat();
    if let Some(start) = &config.start
        && start.dims() != shape
    {
        return Err(Error::Shape {
            what: "the start",
            got: start.dims().to_vec(),
            need: format!("{shape:?}, as many samples as are drawn, each as the network has them"),
        });
    }
    if let Some(start) = &config.start
        && let Some(got) = not_finite(start)?
    {
        return Err(Error::NotFinite {
            what: "the start",
            got,
            next: "start from finite numbers",
        });
    }
    match &config.y {
        Some(y) if y.len() != n && y.len() != 1 => Err(Error::Mismatch {
            what: "the conditions and the samples to draw",
            left: y.len().to_string(),
            right: n.to_string(),
            next: "give one for each sample, or one for all",
        }),
        _ => Ok(()),
    }
}

fn run(
    net: &dyn Denoiser,
    learned: Option<&dyn LearnedVariance>,
    n: usize,
    config: &SampleConfig,
) -> Result<Samples> {
    config.check()?;
    let wants = config.sampler == Sampler::Learned;
    if wants && learned.is_none() {
        return Err(Error::Parameter {
            name: "sampler",
            got: "Learned".into(),
            need: "one without a learned variance; `sample_learned` takes a network that has learned its variance",
        });
    }
    memory::keep();
    check(net, n, config)?;
    crate::cell::memory::room_for::<f32>("the samples", &[n, net.dim(), config.frames.max(1)])?;
    let schedule = config.steps.schedule()?;
    let steps = schedule.steps();
    let kept = kept(config.frames, steps);
    let log_snr = |state: &usize| match steps.checked_sub(state + 1) {
        Some(t) => schedule.log_snr[t],
        None => f64::INFINITY,
    };
    let batch = config.batch.min(net.batch()).max(1);
    let key = Key::new(config.seed, "samples");
    let mut batches = Batches::new(kept.iter().map(log_snr));
    let mut bar = Progress::new("sampling", (n.div_ceil(batch) * steps) as u64);
    let evaluations = config.evaluations(steps);
    for start in (0..n).step_by(batch) {
        let some = start..n.min(start + batch);
        let mut rng = PerSampleRng::new(&key, some.clone());
        let z = match &config.start {
            None => rng.normal(net.shape(), net.device())?,
            Some(all) => all
                .narrow(0, start, some.len())?
                .to_device(net.device())?
                .to_dtype(DType::F32)?
                .contiguous()?,
        };
        let y = config.y.as_ref().map(|y| told(y, &some)).transpose()?;
        let path = Path {
            predictor: Predictor {
                net,
                learned: learned.filter(|_| wants),
                clamp: config.clamp,
                y: y.as_ref(),
            },
            sampler: config.sampler,
            schedule: &schedule,
            kept: &kept,
        };
        match path.walk(z, &mut rng, &mut bar) {
            Ok((x, states)) => batches.add(x, states),
            Err(Error::Interrupted(stopped)) => {
                let finished = batches.samples(config.clamp, evaluations)?;
                return Err(Error::Interrupted(match finished {
                    Some(samples) => stopped.with(samples),
                    None => stopped,
                }));
            }
            Err(error) => return Err(error),
        }
    }
    bar.finish();
    batches
        .samples(config.clamp, evaluations)?
        .ok_or(Error::Empty {
            what: "the list of samples to draw",
        })
}

/// What is told of some samples: their own conditions, or the one for all.
fn told(y: &Condition, samples: &Range<usize>) -> Result<Condition> {
    match y.len() {
        1 => y.repeat(samples.len()),
        _ => y.narrow(samples.start, samples.len()),
    }
}

/// The way of a batch of samples.
struct Path<'a> {
    predictor: Predictor<'a>,
    sampler: Sampler,
    schedule: &'a NoiseSchedule,
    kept: &'a [usize],
}

impl Path<'_> {
    /// The samples, and the states on the way that are kept, on the CPU.
    fn walk(
        &self,
        mut z: Tensor,
        rng: &mut PerSampleRng,
        bar: &mut Progress,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut states = Vec::with_capacity(self.kept.len());
        let last = self.schedule.steps() - 1;
        for t in (0..=last).rev() {
            if self.kept.contains(&(last - t)) {
                states.push(z.to_device(&Device::Cpu)?);
            }
            z = self.step(t, z, rng)?;
            bar.step()?;
        }
        let x = z.to_device(&Device::Cpu)?;
        if self.kept.contains(&(last + 1)) {
            states.push(x.clone());
        }
        Ok((x, states))
    }

    /// From step `t` of the schedule to the one before; from the first to the clean sample.
    fn step(&self, t: usize, z: Tensor, rng: &mut PerSampleRng) -> Result<Tensor> {
        let level = NoiseLevel::new(self.schedule.log_snr[t]);
        let predicted = self.predictor.predict(&z, level)?;
        if t == 0 {
            return Ok(predicted.x);
        }
        let mut noise = || rng.normal(self.predictor.net.shape(), z.device());
        match self.sampler {
            Sampler::Ancestral(variance) => {
                ancestral(self.schedule, t, variance, &z, &predicted, &noise()?)
            }
            Sampler::Learned => {
                ancestral(self.schedule, t, Variance::Small, &z, &predicted, &noise()?)
            }
            Sampler::Ddim { eta } => {
                let noise = (eta > 0.0).then(noise).transpose()?;
                ddim(self.schedule, t, eta, &predicted, noise.as_ref())
            }
            Sampler::Heun => {
                let to = NoiseLevel::new(self.schedule.log_snr[t - 1]);
                let first = ode::advance(&z, &predicted.eps, level, to)?;
                let there = self.predictor.predict(&first, to)?;
                let slope = ode::mean(&predicted.eps, &there.eps)?;
                ode::advance(&z, &slope, level, to)
            }
        }
    }
}

/// Which of the states, counted from the start, are kept; the sample itself is the one after all steps.
fn kept(frames: usize, steps: usize) -> Vec<usize> {
    let frames = frames.min(steps + 1);
    match frames {
        0 => Vec::new(),
        1 => vec![steps],
        _ => (0..frames).map(|i| i * steps / (frames - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_run_from_the_start_to_the_sample() {
        assert!(kept(0, 10).is_empty());
        assert_eq!(kept(1, 10), [10]);
        assert_eq!(kept(3, 10), [0, 5, 10]);
        assert_eq!(kept(100, 3), [0, 1, 2, 3]);
    }
}
