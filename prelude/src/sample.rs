//! Samples from a denoiser: ancestral, DDIM and the probability-flow ODE; and the likelihood that the ODE gives.
//!
//! | sampler | steps | noise on the way |
//! |---|---|---|
//! | [`Sampler::Ancestral`] | many, as the network was trained | yes |
//! | [`Sampler::Ddim`] | some | as much as wanted |
//! | [`Sampler::Heun`] | few | no |
//!
//! All know the network as a [`Denoiser`] only, so any of them takes any [`Steps`].

mod ancestral;
mod animation;
mod config;
mod ddim;
mod guess;
mod likelihood;
mod ode;
mod samples;
mod steps;
mod streams;
mod trace;

use candle_core::{DType, Device, Tensor};

use crate::denoiser::{Denoiser, LearnedVariance};
use crate::error::{Error, Result};
use crate::memory;
use crate::progress::Progress;
use crate::rng::Rng;
use crate::schedule::{Schedule, Variance};

use guess::{Guesser, Level};
use samples::Pile;
use streams::Streams;

pub use config::{SampleConfig, Sampler};
pub use likelihood::{OdeConfig, OdeNll, ode_nll};
pub use samples::{Samples, State};
pub use steps::Steps;
pub use trace::{Derivative, Trace};

/// Draws `n` samples from a denoiser.
///
/// The start is `N(0, I)` at the lowest log-SNR of the steps, which a sample there is up to `σ(α)`; the end is `x̂` at
/// the highest, so that structure finer than about `e^{−α/2}` is smoothed away.
///
/// Each sample has a generator of its own, seeded from `rng`: the first samples are the same however many are drawn,
/// and in whatever batches.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Sampler::Learned`] among them, [`Error::Empty`] when `n` is 0,
/// [`Error::NotFinite`] when the network returns NaN. [`Error::Interrupted`] carries the [`Samples`] of the batches that
/// were finished, if there are any.
///
/// # Numerics
/// Coefficients are `f64`, states `f32`.
///
/// # Example: both sides of a coin
/// ```
/// use itd_prelude::{net::exact::Source, rng, sample::{SampleConfig, sample}};
///
/// let coin = Source::coin().denoiser(&[1])?;
/// let x = sample(&coin, 400, &SampleConfig::default(), &mut rng::seeded(0))?.x;
/// let x: Vec<f32> = x.flatten_all()?.to_vec1()?;
/// assert!(x.iter().all(|x| (x.abs() - 1.0).abs() < 0.05));
/// let heads = x.iter().filter(|x| **x > 0.0).count();
/// assert!((160..=240).contains(&heads)); // four standard deviations
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn sample(
    net: &dyn Denoiser,
    n: usize,
    config: &SampleConfig,
    rng: &mut Rng,
) -> Result<Samples> {
    run(net, None, Start::Noise(n), config, rng)
}

/// As [`sample`], from a network that may choose its variance: [`Sampler::Learned`] is allowed.
///
/// # Errors
/// As [`sample`].
pub fn sample_learned(
    net: &dyn LearnedVariance,
    n: usize,
    config: &SampleConfig,
    rng: &mut Rng,
) -> Result<Samples> {
    run(net, Some(net), Start::Noise(n), config, rng)
}

/// As [`sample`], from given noisy samples at the lowest log-SNR of the steps.
///
/// With [`Sampler::Heun`], or [`Sampler::Ddim`] and `η = 0`, this is a smooth function of the start.
///
/// # Shapes
/// `start`: `[n, shape…]`, variance preserving as everywhere.
///
/// # Errors
/// As [`sample`]; [`Error::Shape`] when the start does not fit the network.
///
/// # Example: from one sample to another
/// ```
/// use itd_prelude::{candle::{Device, Tensor}, data::Spectrum, net::exact::Gaussian, rng};
/// use itd_prelude::sample::{SampleConfig, sample_from};
///
/// let net = Gaussian::new(&Spectrum::new(vec![3.0], &[vec![0.25]])?, &[1])?;
/// let way = Tensor::new(&[[-1f32], [0.0], [1.0]], &Device::Cpu)?;
/// let x = sample_from(&net, &way, &SampleConfig::default(), &mut rng::seeded(0))?.x.to_vec2::<f32>()?;
/// for (x, known) in x.iter().zip([2.5, 3.0, 3.5]) {
///     assert!((x[0] - known).abs() < 0.03); // μ + √λ·z; the start is a little off, and the steps are few
/// }
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn sample_from(
    net: &dyn Denoiser,
    start: &Tensor,
    config: &SampleConfig,
    rng: &mut Rng,
) -> Result<Samples> {
    run(net, None, Start::Given(start), config, rng)
}

/// Where samples begin.
#[derive(Clone, Copy)]
enum Start<'a> {
    Noise(usize),
    Given(&'a Tensor),
}

impl Start<'_> {
    /// The number of samples.
    fn check(self, shape: &[usize]) -> Result<usize> {
        let n = match self {
            Start::Noise(n) => n,
            Start::Given(start) => match start.dims().split_first() {
                Some((&n, rest)) if rest == shape => n,
                _ => {
                    return Err(Error::Shape {
                        what: "the start",
                        got: start.dims().to_vec(),
                        need: format!(
                            "[n, …] with samples of shape {shape:?}, as the network has them"
                        ),
                    });
                }
            },
        };
        match n {
            0 => Err(Error::Empty {
                what: "the list of samples to draw",
            }),
            n => Ok(n),
        }
    }
}

fn run(
    net: &dyn Denoiser,
    learned: Option<&dyn LearnedVariance>,
    start: Start,
    config: &SampleConfig,
    rng: &mut Rng,
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
    let n = start.check(net.shape())?;
    let schedule = config.steps.schedule()?;
    let steps = schedule.steps();
    let kept = kept(config.frames, steps);
    let log_snr = |state: &usize| match steps.checked_sub(state + 1) {
        Some(t) => schedule.log_snr[t],
        None => f64::INFINITY,
    };
    let path = Path {
        guesser: Guesser {
            net,
            learned: learned.filter(|_| wants),
            clamp: config.clamp,
        },
        sampler: config.sampler,
        schedule: &schedule,
        kept: &kept,
    };
    let seeds = Streams::seeds(n, rng);
    let mut pile = Pile::new(kept.iter().map(log_snr));
    let mut bar = Progress::new("sampling", (n.div_ceil(config.batch) * steps) as u64);
    let evaluations = config.evaluations(steps);
    for (i, seeds) in seeds.chunks(config.batch).enumerate() {
        let mut streams = Streams::new(seeds);
        let z = match start {
            Start::Noise(_) => streams.normal(net.shape(), net.device())?,
            Start::Given(all) => all
                .narrow(0, i * config.batch, seeds.len())?
                .to_device(net.device())?
                .to_dtype(DType::F32)?
                .contiguous()?,
        };
        match path.walk(z, &mut streams, &mut bar) {
            Ok((x, states)) => pile.add(x, states),
            Err(Error::Interrupted(stopped)) => {
                let finished = pile.samples(config.clamp, evaluations)?;
                return Err(Error::Interrupted(match finished {
                    Some(samples) => stopped.with(samples),
                    None => stopped,
                }));
            }
            Err(error) => return Err(error),
        }
    }
    bar.finish();
    pile.samples(config.clamp, evaluations)?
        .ok_or(Error::Empty {
            what: "the list of samples to draw",
        })
}

/// The way of a batch of samples.
struct Path<'a> {
    guesser: Guesser<'a>,
    sampler: Sampler,
    schedule: &'a Schedule,
    kept: &'a [usize],
}

impl Path<'_> {
    /// The samples, and the states on the way that are kept, on the CPU.
    fn walk(
        &self,
        mut z: Tensor,
        streams: &mut Streams,
        bar: &mut Progress,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut states = Vec::with_capacity(self.kept.len());
        let last = self.schedule.steps() - 1;
        for t in (0..=last).rev() {
            if self.kept.contains(&(last - t)) {
                states.push(z.to_device(&Device::Cpu)?);
            }
            z = self.step(t, z, streams)?;
            bar.step()?;
        }
        let x = z.to_device(&Device::Cpu)?;
        if self.kept.contains(&(last + 1)) {
            states.push(x.clone());
        }
        Ok((x, states))
    }

    /// From step `t` of the schedule to the one before; from the first to the clean sample.
    fn step(&self, t: usize, z: Tensor, streams: &mut Streams) -> Result<Tensor> {
        let level = Level::new(self.schedule.log_snr[t]);
        let guess = self.guesser.guess(&z, level)?;
        if t == 0 {
            return Ok(guess.x);
        }
        let mut noise = || streams.normal(self.guesser.net.shape(), z.device());
        match self.sampler {
            Sampler::Ancestral(variance) => {
                ancestral::step(self.schedule, t, variance, &z, &guess, &noise()?)
            }
            Sampler::Learned => {
                ancestral::step(self.schedule, t, Variance::Small, &z, &guess, &noise()?)
            }
            Sampler::Ddim { eta } => {
                let noise = (eta > 0.0).then(noise).transpose()?;
                ddim::step(self.schedule, t, eta, &guess, noise.as_ref())
            }
            Sampler::Heun => {
                let to = Level::new(self.schedule.log_snr[t - 1]);
                let first = ode::advance(&z, &guess.eps, level, to)?;
                let there = self.guesser.guess(&first, to)?;
                let slope = ode::mean(&guess.eps, &there.eps)?;
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
