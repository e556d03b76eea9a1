//! Variational bounds on `−ln p(x)`: what diffusion models are usually judged by, next to the exact integral.
//!
//! All have the three terms of Eq. 6: a prior, a sum or integral over the channel, and a reconstruction. The sum is
//! the integral `½ ∫ mse dα` taken by rectangles, and more where the variance of a step is not the right one.
//!
//! [`path_divergence`] says what the rectangles lie above the integral, and [`optimal_steps`] where to ask a denoiser so
//! that it is as little as can be.

mod continuous;
mod curve;
mod figure;
mod measure;
mod optimal;
mod path;
mod reconstruction;

use crate::data::{Dataset, Grid};
use crate::error::{Error, Result};
use crate::estimate::{CommonErr, Estimate};
use crate::schedule::{NoiseSchedule, Variance};

pub use continuous::continuous_time_bound;
pub use curve::bound_of_curve;
pub use measure::{variational_bound, variational_bound_learned};
pub use optimal::{AsymptoticSteps, asymptotic_steps, optimal_steps};
pub use path::{
    Ends, ErrorOf, PathDivergence, StepPrice, ends, output_divergence, path_divergence,
};

/// What `p(x)` is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A density.
    Continuous,
    /// The probability of a level of the grid.
    Discrete(Grid),
}

/// Who says, in the end, what `x` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reconstruction {
    /// A normal around the network's estimate, with the variance of the first step, as DDPM has it: on levels,
    /// its mass in the level's bin, with the outer bins open.
    #[default]
    Ddpm,
    /// The channel itself: a normal around `z/√σ(α₀)` with variance `e^{−α₀}`, on levels normalised over them, as VDM
    /// has it. The network has no part in it.
    Vdm,
}

/// Which bound, and how it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundConfig {
    /// The steps.
    pub schedule: NoiseSchedule,
    /// The variance of a step back.
    pub variance: Variance,
    /// What `p(x)` is.
    pub target: Target,
    /// The last step to `x`.
    pub reconstruction: Reconstruction,
    /// The range that clean samples are known to lie in; the estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
    /// Noisy samples that go through the network at once, at most; bounds the memory.
    pub batch: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl BoundConfig {
    /// The bound on a density, by DDPM's large variances and without clamping.
    pub fn density(schedule: NoiseSchedule) -> Self {
        Self {
            schedule,
            variance: Variance::default(),
            target: Target::Continuous,
            reconstruction: Reconstruction::default(),
            clamp: None,
            batch: 1024,
            seed: 0,
        }
    }

    /// The bound on the probability of levels, by DDPM's large variances, with `x̂` clamped to the grid.
    pub fn levels(schedule: NoiseSchedule, grid: Grid) -> Self {
        Self {
            target: Target::Discrete(grid),
            clamp: Some((grid.low, grid.high)),
            ..Self::density(schedule)
        }
    }

    fn check(&self, data: &Dataset) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::Parameter {
                name: "batch",
                got: "0".into(),
                need: "at least 1",
            });
        }
        match self.clamp {
            Some((low, high)) if !(low < high) => {
                return Err(Error::Parameter {
                    name: "clamp",
                    got: format!("({low}, {high})"),
                    need: "an interval with its lower end first",
                });
            }
            _ => {}
        }
        self.target.check(data)
    }
}

impl Target {
    fn check(&self, data: &Dataset) -> Result<()> {
        match *self {
            Target::Discrete(grid) if data.grid().ok() != Some(grid) => Err(Error::Mismatch {
                what: "the levels of the bound and of the data",
                left: format!("{grid:?}"),
                right: format!("{:?}", data.grid().ok()),
                next: "take `data.grid()?`, or ask for the bound on a density",
            }),
            _ => Ok(()),
        }
    }
}

/// A variational bound, term by term, in nats.
#[derive(Debug, Clone)]
pub struct Bound {
    /// `L_T = D(q(z_T|x) ‖ N(0, I))`.
    pub prior: Estimate,
    /// `L_1 + … + L_{T−1}`, or the integral in their place.
    pub diffusion: Estimate,
    /// `L_0 = E[−ln p(x|z_0)]`.
    pub reconstruction: Estimate,
    /// The bound on the mean of `−ln p(x)`.
    pub total: Estimate,
    /// Step by step, the least noisy first; empty in continuous time.
    pub steps: Vec<Step>,
}

/// One step's part of a [`Bound`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// `α_t`.
    pub log_snr: f64,
    /// `L_t` for the step from `z_t` to `z_{t−1}`; of the first one the reconstruction, `L_0`.
    pub nats: f64,
    /// One standard error of it.
    pub std_err: f64,
    /// `E‖ε − ε̂‖²` at `α_t`, from the same evaluations, after the clamp.
    pub mse: f64,
}

impl Bound {
    /// From the terms of each sample of data with that digest; `common` is the error of the diffusion term that
    /// is common to all samples.
    fn of_samples(
        terms: [Vec<f64>; 3],
        steps: Vec<Step>,
        dim: usize,
        data: &str,
        common: impl Into<CommonErr>,
    ) -> Self {
        let total = (0..terms[0].len()).map(|i| terms.iter().map(|term| term[i]).sum());
        let total: Vec<f64> = total.collect();
        let [prior, diffusion, reconstruction] = terms;
        let (common, none) = (common.into(), CommonErr::from(0.0));
        let mean = |nats, common: &CommonErr| {
            Estimate::of_samples(nats, data.to_owned(), common.clone()).of_dim(dim)
        };
        Self {
            total: mean(total, &common),
            prior: mean(prior, &none),
            diffusion: mean(diffusion, &common),
            reconstruction: mean(reconstruction, &none),
            steps,
        }
    }

    /// `½ ∫ mse dα` over the interval of the steps, by the trapezoid rule on the same errors: what the diffusion
    /// term tends to when the steps become many (Eq. 6). `None` in continuous time.
    pub fn integral(&self) -> Option<f64> {
        let trapezoid = |pair: &[Step]| {
            0.25 * (pair[0].log_snr - pair[1].log_snr) * (pair[0].mse + pair[1].mse)
        };
        (self.steps.len() > 1).then(|| self.steps.windows(2).map(trapezoid).sum())
    }
}

impl std::fmt::Display for Bound {
    /// `98.24 ± 0.70 nats: prior 0.01, diffusion 78.75, reconstruction 19.49`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            prior,
            diffusion,
            reconstruction,
            total,
            ..
        } = self;
        let digits = if total.std_err > 0.01 { 2 } else { 4 };
        write!(
            f,
            "{total}: prior {:.digits$}, diffusion {:.digits$}, reconstruction {:.digits$}",
            prior.nats, diffusion.nats, reconstruction.nats
        )
    }
}

/// `D(N(√ᾱ x, (1 − ᾱ)I) ‖ N(0, I))` for a sample of squared norm `square`.
fn prior(square: f64, dim: usize, signal: f64) -> f64 {
    0.5 * (signal * square - dim as f64 * (signal + libm::log1p(-signal)))
}

/// What a step costs for a variance other than `β̃`: `½(e^δ − 1 − δ)` for each dimension, `δ = ln β̃/Σ`.
fn excess(delta: f64) -> f64 {
    0.5 * (libm::expm1(delta) - delta)
}

impl Variance {
    /// `δ = ln β̃_t/Σ_t` of a step `t > 0`.
    fn delta(self, schedule: &NoiseSchedule, t: usize) -> f64 {
        match self {
            Variance::Small => 0.0,
            Variance::Large => (schedule.posterior_variance(t) / schedule.betas[t]).ln(),
        }
    }
}
