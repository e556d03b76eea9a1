//! The probability-flow ODE, and the density that it gives a sample.
//!
//! It is a smooth path from noise to sample, with the same distributions on the way as the channel's. With
//! `u = z/√σ(α) = x + ς·ε` and `ς = e^{−α/2}`, where the signal is not scaled, it is
//!
//! ```text
//! du/dς = ε̂(z, α)
//! ```
//!
//! since `p_ς(u)` then moves with the velocity `−ς ∇ ln p_ς(u) = ε̂`, as the heat equation demands. Where nothing is
//! known but noise, and where all is known, `ε̂` is linear in `ς` or constant, and Heun's method is exact.
//!
//! # Papers
//! Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole (2021), arXiv:2011.13456, Eq. 13; in this form, with Heun's
//! method: Karras, Aittala, Aila, Laine (2022), arXiv:2206.00364, Eq. 1 and Alg. 1.

use candle_core::{DType, Device, Tensor};

use super::trace::{COMPARED, Derivative, GradientCheck, Trace, trace_estimate};
use crate::cell::memory::room_for;
use crate::channel::NoiseLevel;
use crate::data::Dataset;
use crate::denoiser::{Denoiser, Query, same_shape};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::per_sample_rng::PerSampleRng;
use crate::progress::Progress;
use crate::rng::Key;
use crate::schedule::{check_interval, even_steps};
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
    /// Samples that go through the network at once, at most; bounds the memory.
    pub batch: usize,
    /// Seed of the probes.
    pub seed: u64,
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
            seed: 0,
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
        check_interval("log_snr", low, high)?;
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

/// Negative log densities by the ODE.
#[derive(Debug, Clone)]
pub struct OdeNll {
    /// The mean of `−ln p(x)`, in nats, with the value of each sample. Its error is that of the mean over the samples,
    /// and holds that of the probes.
    pub mean: Estimate,
    /// One standard error of each sample's value, from the spread of its probes; 0 with [`Trace::Exact`], NaN with one
    /// probe.
    pub std_err: Vec<f64>,
}

/// `−ln p(x)` of each sample by the instantaneous change of variables along the probability-flow ODE, from `x` at the
/// highest log-SNR `α₁` to noise at the lowest `α₀`:
///
/// ```text
/// ln p(x) = ln N(z(α₀); 0, I) + d/2 · ln σ(α₀) + ½ ∫ √σ(−α) · tr ∂ε̂/∂z dα
/// ```
///
/// It is what [`Sampler::Heun`](crate::sample::Sampler::Heun) draws from, up to the steps, so it judges a network as a
/// sampler. The density of [`MseCurve::nll`](crate::curve::MseCurve::nll) needs no derivatives and no path; for
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
/// no gradient; [`Error::NotFinite`] when the network returns NaN; [`Error::Memory`] when steps or probes do not fit.
/// [`Error::Interrupted`] carries the [`OdeNll`] of the batches that were finished, if there are any.
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
/// use itd_prelude::prelude::*;
/// use itd_prelude::likelihood::OdeConfig;
/// use itd_prelude::likelihood::Trace;
///
/// # fn main() -> Result<()> {
/// let test = toy::correlated_gaussian(2000, 0)?.test;
/// let gaussian = test.gaussian()?;
/// let config = OdeConfig { trace: Trace::Exact, ..Default::default() };
/// let found = ode_nll(&gaussian.denoiser(&[2])?, &test, &config)?;
/// check!(found.mean.minus(&gaussian.nll(&test)?).nats.abs() < 1e-3);
/// # Ok(()) }
/// ```
pub fn ode_nll(net: &dyn Denoiser, data: &Dataset, config: &OdeConfig) -> Result<OdeNll> {
    config.check()?;
    memory::keep();
    same_shape(data, net)?;
    let n = data.len();
    let batch = config.batch.min(net.batch()).max(1);
    let key = Key::new(config.seed, "probes of the divergence");
    let mut checked = PerSampleRng::new(
        &Key::new(config.seed, "check of the gradient"),
        0..n.min(COMPARED),
    );
    let (low, high) = config.log_snr;
    let nodes: Vec<NoiseLevel> = even_steps(config.steps.saturating_add(1), low, high)?
        .into_iter()
        .map(NoiseLevel::new)
        .collect();
    if let Trace::Rademacher(probes) | Trace::Normal(probes) = config.trace {
        room_for::<f32>("the probes", &[probes, batch.min(n), net.dim()])?;
    }
    let rounds = n.div_ceil(batch) * nodes.len();
    let mut bar = Progress::new("following the ODE", rounds as u64);
    let mut found = Found::default();
    for start in (0..n).step_by(batch) {
        let some = start..n.min(start + batch);
        let x = data.x.narrow(0, start, some.len())?;
        let checked =
            (start == 0 && config.derivative == Derivative::Gradient).then_some(&mut checked);
        match follow(
            net,
            &x,
            (config, &nodes),
            &mut PerSampleRng::new(&key, some),
            checked,
            &mut bar,
        ) {
            Ok(batch) => found.extend(batch),
            Err(Error::Interrupted(stopped)) if !found.nats.is_empty() => {
                let partial = found.nll(&data.take(start)?)?;
                return Err(Error::Interrupted(stopped.with(partial)));
            }
            Err(error) => return Err(error),
        }
    }
    bar.finish();
    found.nll(data)
}

/// A batch of samples on their way to noise.
fn follow(
    net: &dyn Denoiser,
    x: &Tensor,
    (config, nodes): (&OdeConfig, &[NoiseLevel]),
    probes: &mut PerSampleRng,
    mut checked: Option<&mut PerSampleRng>,
    bar: &mut Progress,
) -> Result<Found> {
    let (low, high) = config.log_snr;
    let width = (high - low) / config.steps as f64;
    let mut z = (x.to_device(net.device())?.contiguous()? * nodes[0].signal)?;
    let mut area = vec![vec![0.0; x.dims()[0]]; config.trace.estimates()];
    let mut check = GradientCheck::default();
    for (k, &level) in nodes.iter().enumerate() {
        let half = if k == 0 || k == config.steps {
            0.5
        } else {
            1.0
        };
        let weight = 0.5 * half * width * level.noise;
        if let Some(rng) = checked.as_deref_mut() {
            check.add(net, &z, level, weight, rng)?;
        }
        let how = (config.trace, config.derivative);
        let (eps, traces) = trace_estimate(net, &z, level, how, probes, || bar.advance(0))?;
        for (area, traces) in area.iter_mut().zip(traces) {
            for (area, trace) in area.iter_mut().zip(traces) {
                *area += weight * trace;
            }
        }
        if let Some(&to) = nodes.get(k + 1) {
            z = runge_kutta(&z, &eps, level, to, |z, level| {
                finite(net.denoise(&Query::new(z, &log_snrs(z, level)?))?, level)
            })?;
        }
        bar.step()?;
    }
    check.check()?;
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

    fn nll(self, data: &Dataset) -> Result<OdeNll> {
        let mean = Estimate::of_samples(self.nats, data.digest_unheard()?, 0.0);
        Ok(OdeNll {
            mean: mean.of_dim(data.dim()),
            std_err: self.std_err,
        })
    }
}

/// Euler's step, `u + (ς′ − ς)·slope`, said for `z`. All other methods are such steps with other slopes: Heun's with
/// the mean of the estimates at both ends.
pub(crate) fn advance(
    z: &Tensor,
    slope: &Tensor,
    from: NoiseLevel,
    to: NoiseLevel,
) -> Result<Tensor> {
    let far = to.signal * (to.sigma() - from.sigma());
    Ok(((z * (to.signal / from.signal))? + (slope * far)?)?)
}

/// The mean of the estimates at both ends of a step.
pub(crate) fn mean(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(((a + b)? * 0.5)?)
}

/// A step of the classical Runge–Kutta method of fourth order, given the estimate where it starts.
pub(crate) fn runge_kutta(
    z: &Tensor,
    k1: &Tensor,
    from: NoiseLevel,
    to: NoiseLevel,
    ask: impl Fn(&Tensor, NoiseLevel) -> Result<Tensor>,
) -> Result<Tensor> {
    let middle = NoiseLevel::new(-2.0 * (0.5 * (from.sigma() + to.sigma())).ln());
    let k2 = ask(&advance(z, k1, from, middle)?, middle)?;
    let k3 = ask(&advance(z, &k2, from, middle)?, middle)?;
    let k4 = ask(&advance(z, &k3, from, to)?, to)?;
    let slope = (((k1 + k4)? * (1.0 / 6.0))? + ((k2 + k3)? * (1.0 / 3.0))?)?;
    advance(z, &slope, from, to)
}

/// The log-SNR of each sample, `[n]`.
pub(crate) fn log_snrs(z: &Tensor, level: NoiseLevel) -> Result<Tensor> {
    let n = z.dims().first().copied().unwrap_or(0);
    Ok(Tensor::full(level.log_snr as f32, n, z.device())?)
}

/// Estimates without NaN and infinity, and without the graph of what made them: otherwise a network with
/// parameters would keep all its steps in memory.
pub(crate) fn finite(eps: Tensor, level: NoiseLevel) -> Result<Tensor> {
    let eps = eps.detach();
    let size = eps.abs()?.sum_all()?.to_dtype(DType::F32)?;
    let size = size.to_scalar::<f32>()?;
    if size.is_finite() {
        return Ok(eps);
    }
    Err(Error::NotFinite {
        what: "the network's estimate of the noise",
        got: f64::from(size),
        next: match level.log_snr.abs() > 15.0 {
            true => "narrow the range of log-SNR to where the network was trained",
            false => "look at its parameters: training may have diverged",
        },
    })
}
