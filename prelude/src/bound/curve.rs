//! The bound in discrete time, from a curve alone.

use super::{Bound, BoundConfig, Reconstruction, Step, Target, excess, prior};
use crate::curve::MseCurve;
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::estimate::{Estimate, Warning};
use crate::logsnr::{Quadrature, Rule};

/// The bound on a density in discrete time, from a denoiser's curve: the mean that
/// [`variational_bound`](super::variational_bound) would measure.
///
/// With fixed variances every term is a multiple of `E‖ε − ε̂‖²` at its step, so a curve at a hundred points gives
/// the bound of 4000 steps. Between its points the curve is interpolated ([`MseCurve::interpolate`]). The Gaussian is
/// that of the data, of which only `E‖x‖²` is needed.
///
/// # Errors
/// [`Error::Mismatch`] when the curve does not reach over all steps, or differs from the Gaussian in dimension;
/// [`Error::Parameter`] for a bound on levels or a clamped one, which need the network.
///
/// # Numerics
/// The error is that of the curve's samples, where they were kept; else the sum of the errors of all steps, which is as
/// much as it can be. What interpolation adds is not known.
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Eqs. 5–8, in the form of Kingma et al. (2021), arXiv:2107.00630, Eq. 14.
///
/// # Example: rectangles under the curve of a normal
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::schedule::Variance;
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::standard(1)?;
/// let curve = normal.curve(&Quadrature::trapezoid(-11.0, 10.0, 500)?)?;
/// let config = BoundConfig { variance: Variance::Small, ..BoundConfig::density(NoiseSchedule::linear(1000)?) };
/// let bound = bound_of_curve(&curve, &normal, &config)?;
/// check!(bound.integral().is_some_and(|integral| bound.diffusion.nats > integral));
/// # Ok(()) }
/// ```
pub fn bound_of_curve(
    curve: &MseCurve,
    gaussian: &Gaussian,
    config: &BoundConfig,
) -> Result<Bound> {
    if config.target != Target::Continuous || config.clamp.is_some() {
        return Err(Error::Parameter {
            name: "target",
            got: "levels, or a clamp".into(),
            need: "a density without clamp; measure others with `variational_bound`",
        });
    }
    if gaussian.dim() != curve.dim {
        return Err(Error::Mismatch {
            what: "the curve and the Gaussian",
            left: format!("{} dimensions", curve.dim),
            right: gaussian.dim().to_string(),
            next: "take both from the same data set",
        });
    }
    let curve = curve.interpolate(&steps_as_points(config))?;
    let (schedule, dim) = (&config.schedule, curve.dim as f64);
    let last = schedule.steps() - 1;
    // Each term is a straight line in the error.
    let lines: Vec<(f64, f64)> = (0..=last)
        .map(|t| match t {
            0 => first(config, dim),
            _ => {
                let delta = config.variance.delta(schedule, t);
                let weight = 0.5 * libm::expm1(schedule.log_snr[t - 1] - schedule.log_snr[t]);
                (weight * delta.exp(), dim * excess(delta))
            }
        })
        .collect();
    let step = |(t, &(slope, constant)): (usize, &(f64, f64))| Step {
        log_snr: schedule.log_snr[t],
        nats: slope * curve.mse[t] + constant,
        std_err: slope * curve.std_err[t],
        mse: curve.mse[t],
    };
    let steps: Vec<Step> = lines.iter().enumerate().map(step).collect();
    let square = gaussian.eigenvalues.iter().sum::<f64>()
        + gaussian.mean.iter().map(|mean| mean * mean).sum::<f64>();
    let prior = prior(square, curve.dim, schedule.signal(last));
    if let (Some(errors), Some(data)) = (&curve.errors, &curve.data) {
        let term = |row: ndarray::ArrayView1<f64>, steps: std::ops::Range<usize>| -> f64 {
            steps.map(|t| lines[t].0 * row[t] + lines[t].1).sum()
        };
        let terms = |steps: std::ops::Range<usize>| -> Vec<f64> {
            errors
                .rows()
                .into_iter()
                .map(|row| term(row, steps.clone()))
                .collect()
        };
        let all = [vec![prior; curve.n], terms(1..last + 1), terms(0..1)];
        return Ok(Bound::of_samples(all, steps, curve.dim, data, 0.0));
    }
    let sum = |steps: &[Step]| {
        let nats: f64 = steps.iter().map(|step| step.nats).sum();
        let worst: f64 = steps.iter().map(|step| step.std_err.abs()).sum();
        let unknown = worst.is_nan().then_some(Warning::Unknown);
        Estimate::new(nats, worst, curve.n)
            .of_dim(curve.dim)
            .warned(unknown)
    };
    Ok(Bound {
        prior: Estimate::exact(prior).of_dim(curve.dim),
        diffusion: sum(&steps[1..]),
        reconstruction: sum(&steps[..1]),
        total: sum(&steps).shifted(prior),
        steps,
    })
}

/// The log-SNR of each step, in the order of the steps.
pub(super) fn steps_as_points(config: &BoundConfig) -> Quadrature {
    let log_snr = config.schedule.log_snr.clone();
    let ends = (log_snr.last().copied(), log_snr.first().copied());
    Quadrature {
        weight: vec![1.0; log_snr.len()],
        // They fall, which those of a fixed rule do not.
        rule: Rule::Draws,
        interval: (ends.0.unwrap_or(0.0), ends.1.unwrap_or(0.0)),
        log_snr,
    }
}

/// `L_0` as a straight line in the error: slope and constant.
fn first(config: &BoundConfig, dim: f64) -> (f64, f64) {
    let schedule = &config.schedule;
    let log_snr = schedule.log_snr[0];
    let normal = 0.5 * dim * std::f64::consts::TAU.ln();
    match config.reconstruction {
        Reconstruction::Vdm => (0.0, normal + 0.5 * dim * (1.0 - log_snr)),
        Reconstruction::Ddpm => {
            let log_variance = schedule.posterior_log_variance_clipped(0);
            let slope = 0.5 * (-log_snr - log_variance).exp();
            (slope, normal + 0.5 * dim * log_variance)
        }
    }
}
