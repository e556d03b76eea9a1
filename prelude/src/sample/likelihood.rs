//! The density that the probability-flow ODE gives a sample.

use candle_core::{Device, Tensor};

use super::guess::{Level, finite, log_snrs};
use super::streams::Streams;
use super::trace::{self, Derivative, Doubt, Trace};
use super::{ode, steps};
use crate::data::Dataset;
use crate::denoiser::{Denoiser, Query, same_shape};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::progress::Progress;
use crate::rng::Rng;
use crate::{memory, stats};

/// How a density is found by the ODE.
#[derive(Debug, Clone, PartialEq)]
pub struct OdeConfig {
    /// Where the ODE begins, noisy, and ends, nearly clean: the lowest and the highest log-SNR.
    pub log_snr: (f64, f64),
    /// Steps, evenly spaced in log-SNR. The error is proportional to `1/steps⁴`.
    pub steps: usize,
    /// How the divergence is found.
    pub trace: Trace,
    /// Where the derivatives for it come from.
    pub derivative: Derivative,
    /// Samples that go through the network at once; bounds the memory.
    pub batch: usize,
}

impl Default for OdeConfig {
    /// 100 steps from −20 to 16, with 4 probes of random signs by backpropagation; 256 samples at once.
    fn default() -> Self {
        Self {
            log_snr: (-20.0, 16.0),
            steps: 100,
            trace: Trace::Rademacher(4),
            derivative: Derivative::Gradient,
            batch: 256,
        }
    }
}

impl OdeConfig {
    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`], NaN included.
    pub fn check(&self) -> Result<()> {
        let (low, high) = self.log_snr;
        steps::check_interval("log_snr", low, high)?;
        for (name, got) in [
            ("steps", self.steps),
            ("trace", self.trace.estimates()),
            ("batch", self.batch),
        ] {
            if got == 0 {
                return Err(Error::Parameter {
                    name,
                    got: "0".into(),
                    need: "at least 1",
                });
            }
        }
        Ok(())
    }
}

/// Negative log densities by the ODE, sample by sample.
#[derive(Debug, Clone)]
pub struct OdeNll {
    /// `−ln p(x)` of each sample, in nats.
    pub nats: Vec<f64>,
    /// One standard error of each, from the spread of its probes; 0 with [`Trace::Exact`], NaN with one probe.
    pub std_err: Vec<f64>,
    /// Their mean. Its error is that of the mean over the samples, and holds that of the probes.
    pub mean: Estimate,
}

/// `−ln p(x)` of each sample by the instantaneous change of variables along the probability-flow ODE, from `x` at the
/// highest log-SNR `α₁` to noise at the lowest `α₀`:
///
/// ```text
/// ln p(x) = ln N(z(α₀); 0, I) + d/2 · ln σ(α₀) + ½ ∫ √σ(−α) · tr ∂ε̂/∂z dα
/// ```
///
/// It is what [`Sampler::Heun`](super::Sampler::Heun) draws from, up to the steps, so it judges a network as a
/// sampler. The density of [`pointwise_nll`](crate::likelihood::pointwise_nll) needs no derivatives and no path; for
/// the best denoiser the two agree, for others they need not.
///
/// # What is left out
/// - `p` is the density of `x` with noise of variance `e^−α₁` added (with the signal not scaled), taken at `x` itself.
///   Where the data's variance in some direction is `λ`, the value is off by about `e^−α₁/2λ`.
/// - The prior is `N(0, I)` at `α₀`. For one sample it is off by about `√σ(α₀)·z·μ` when the data have a mean `μ`, in the
///   mean over samples by `σ(α₀)` of the difference between the data's second moments and 1.
/// - A network that was not trained on all of the range answers for the rest as it likes.
///
/// # Errors
/// [`Error::Parameter`] for bad settings; [`Error::Mismatch`] when data and network differ in shape, or when the
/// network's gradient is not that of its values, which is tried on the first samples; [`Error::Missing`] when it has
/// no gradient; [`Error::NotFinite`] when the network returns NaN. [`Error::Interrupted`] carries the [`OdeNll`] of the
/// batches that were finished, if there are any.
///
/// # Numerics
/// The classical Runge–Kutta method of fourth order for the path, in `ς = e^{−α/2}`. The divergence is taken where a step
/// begins, with fresh probes, and integrated by the trapezoid rule in `α`, which has no error to speak of since the
/// integrand is smooth, and flat at both ends. A step costs four evaluations and the backward passes of one.
///
/// # Papers
/// Song et al. (2021), arXiv:2011.13456, Eq. 39; the change of variables: Chen et al. (2018),
/// arXiv:1806.07366, Thm. 1.
///
/// # Example: a Gaussian's density
/// ```
/// use itd_prelude::{data, net::exact::Gaussian, rng, sample::{OdeConfig, Trace, ode_nll}};
///
/// let test = data::scg(2000, 0)?.test;
/// let spectrum = test.spectrum()?;
/// let config = OdeConfig { trace: Trace::Exact, ..Default::default() };
/// let found = ode_nll(&Gaussian::new(&spectrum, &[2])?, &test, &config, &mut rng::seeded(0))?;
/// let known = spectrum.neg_log_density(&test.x)?;
/// assert!(found.nats.iter().zip(&known).all(|(a, b)| (a - b).abs() < 1e-3));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn ode_nll(
    net: &dyn Denoiser,
    data: &Dataset,
    config: &OdeConfig,
    rng: &mut Rng,
) -> Result<OdeNll> {
    config.check()?;
    memory::keep();
    same_shape(data, net)?;
    let n = data.len();
    let seeds = Streams::seeds(n, rng);
    let mut doubts = Streams::new(&seeds[..n.min(trace::COMPARED)]);
    let rounds = n.div_ceil(config.batch) * (config.steps + 1);
    let mut bar = Progress::new("following the ODE", rounds as u64);
    let mut found = Found::default();
    for (i, seeds) in seeds.chunks(config.batch).enumerate() {
        let x = data.x.narrow(0, i * config.batch, seeds.len())?;
        let doubts = (i == 0 && config.derivative == Derivative::Gradient).then_some(&mut doubts);
        match follow(net, &x, config, &mut Streams::new(seeds), doubts, &mut bar) {
            Ok(batch) => found.extend(batch),
            Err(Error::Interrupted(stopped)) if !found.nats.is_empty() => {
                let partial = found.nll(net.dim());
                return Err(Error::Interrupted(stopped.with(partial)));
            }
            Err(error) => return Err(error),
        }
    }
    bar.finish();
    Ok(found.nll(net.dim()))
}

/// A batch of samples on their way to noise.
fn follow(
    net: &dyn Denoiser,
    x: &Tensor,
    config: &OdeConfig,
    streams: &mut Streams,
    mut doubts: Option<&mut Streams>,
    bar: &mut Progress,
) -> Result<Found> {
    let (low, high) = config.log_snr;
    let nodes: Vec<Level> = steps::even(config.steps + 1, low, high)
        .into_iter()
        .map(Level::new)
        .collect();
    let width = (high - low) / config.steps as f64;
    let mut z = (x.to_device(net.device())?.contiguous()? * nodes[0].signal)?;
    let mut area = vec![vec![0.0; x.dims()[0]]; config.trace.estimates()];
    let mut doubt = Doubt::default();
    for (k, &level) in nodes.iter().enumerate() {
        let half = if k == 0 || k == config.steps {
            0.5
        } else {
            1.0
        };
        let weight = 0.5 * half * width * level.noise;
        if let Some(streams) = doubts.as_deref_mut() {
            doubt.add(net, &z, level, weight, streams)?;
        }
        let how = (config.trace, config.derivative);
        let (eps, traces) = trace::look(net, &z, level, how, streams)?;
        for (area, traces) in area.iter_mut().zip(traces) {
            for (area, trace) in area.iter_mut().zip(traces) {
                *area += weight * trace;
            }
        }
        if let Some(&to) = nodes.get(k + 1) {
            z = ode::runge_kutta(&z, &eps, level, to, |z, level| {
                finite(net.denoise(&Query::new(z, &log_snrs(z, level)?))?, level)
            })?;
        }
        bar.step()?;
    }
    doubt.check()?;
    let last = z
        .flatten_from(1)?
        .to_device(&Device::Cpu)?
        .to_vec2::<f32>()?;
    let mut found = Found::default();
    for (i, z) in last.iter().enumerate() {
        // In the coordinate u = z/√σ(α₀), whose density is that of z times √σ(α₀)^d.
        let squares: f64 = z.iter().map(|&z| f64::from(z).powi(2)).sum();
        let per_value = std::f64::consts::TAU.ln() - 2.0 * nodes[config.steps].signal.ln();
        let prior = 0.5 * (squares + z.len() as f64 * per_value);
        let each: Vec<f64> = area.iter().map(|area| area[i]).collect();
        found.nats.push(prior - stats::mean(&each));
        found.std_err.push(match config.trace {
            Trace::Exact => 0.0,
            _ => stats::std_err(&each),
        });
    }
    if let Some(&bad) = found.nats.iter().find(|nats| !nats.is_finite()) {
        return Err(Error::NotFinite {
            what: "a negative log density",
            got: bad,
            next: "look at the network's parameters: training may have diverged",
        });
    }
    Ok(found)
}

/// The finished samples.
#[derive(Default)]
struct Found {
    nats: Vec<f64>,
    std_err: Vec<f64>,
}

impl Found {
    fn extend(&mut self, batch: Found) {
        self.nats.extend(batch.nats);
        self.std_err.extend(batch.std_err);
    }

    fn nll(self, dim: usize) -> OdeNll {
        let mean = Estimate {
            nats: stats::mean(&self.nats),
            std_err: stats::std_err(&self.nats),
            n: self.nats.len(),
            dim,
        };
        OdeNll {
            nats: self.nats,
            std_err: self.std_err,
            mean,
        }
    }
}
