//! The bound in discrete time, from a curve alone.

use super::{Bound, BoundConfig, Decoder, Outcome, Step, excess, prior};
use crate::data::Spectrum;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::{LogSnr, Rule};
use crate::mmse::MseCurve;

/// The bound on a density in discrete time, from a denoiser's curve: the mean that
/// [`variational_bound`](super::variational_bound) would measure without sampling error.
///
/// With fixed variances every term is a multiple of `E‖ε − ε̂‖²` at its step, so a curve at a hundred points gives
/// the bound of 4000 steps. Between its points the curve is interpolated ([`MseCurve::at`]). The spectrum is that
/// of the data, of which only `E‖x‖²` is needed.
///
/// # Errors
/// [`Error::Mismatch`] when the curve does not reach over all steps, or differs from the spectrum in dimension;
/// [`Error::Parameter`] for a bound on levels or a clamped one, which need the network.
///
/// # Papers
/// Ho, Jain, Abbeel (2020), arXiv:2006.11239, Eqs. 5–8, in the form of Kingma et al. (2021), arXiv:2107.00630, Eq. 14.
///
/// # Example: rectangles under the curve of a normal
/// ```
/// use itd_prelude::{bound::{BoundConfig, bound_of_curve}, data::Spectrum, logsnr::LogSnr, mmse::gaussian_curve};
/// use itd_prelude::schedule::{Schedule, Variance};
///
/// let normal = Spectrum::standard(1)?;
/// let curve = gaussian_curve(&normal, &LogSnr::trapezoid(-11.0, 10.0, 500)?)?;
/// let config = BoundConfig { variance: Variance::Small, ..BoundConfig::density(Schedule::linear(1000)?) };
/// let bound = bound_of_curve(&curve, &normal, &config)?;
/// assert!(bound.diffusion.nats > bound.integral().unwrap());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn bound_of_curve(
    curve: &MseCurve,
    spectrum: &Spectrum,
    config: &BoundConfig,
) -> Result<Bound> {
    if config.outcome != Outcome::Density || config.clamp.is_some() {
        return Err(Error::Parameter {
            name: "outcome",
            got: "levels, or a clamp".into(),
            need: "a density without clamp; measure others with `variational_bound`",
        });
    }
    if spectrum.dim() != curve.dim {
        return Err(Error::Mismatch {
            what: "the curve and the spectrum",
            left: format!("{} dimensions", curve.dim),
            right: spectrum.dim().to_string(),
            next: "take both from the same data set",
        });
    }
    let schedule = &config.schedule;
    let last = schedule.steps() - 1;
    let mut ascending = schedule.log_snr.clone();
    ascending.reverse();
    let points = LogSnr {
        weight: vec![1.0; ascending.len()],
        rule: Rule::Draws,
        interval: (schedule.log_snr[last], schedule.log_snr[0]),
        log_snr: ascending,
    };
    let curve = curve.at(&points)?;
    let dim = curve.dim as f64;
    let step = |t: usize| {
        let (log_snr, mse, std_err) = (
            schedule.log_snr[t],
            curve.mse[last - t],
            curve.std_err[last - t],
        );
        let (slope, constant) = match t {
            0 => first(config, dim),
            _ => {
                let delta = config.variance.delta(schedule, t);
                let weight = 0.5 * libm::expm1(schedule.log_snr[t - 1] - log_snr);
                (weight * delta.exp(), dim * excess(delta))
            }
        };
        Step {
            log_snr,
            nats: slope * mse + constant,
            std_err: slope * std_err,
            mse,
        }
    };
    let steps: Vec<Step> = (0..=last).map(step).collect();
    let square = spectrum.eigenvalues.iter().sum::<f64>()
        + spectrum.mean.iter().map(|mean| mean * mean).sum::<f64>();
    let exact = |nats| Estimate::exact(nats, curve.dim);
    let (prior, diffusion) = (
        prior(square, curve.dim, schedule.signal(last)),
        steps[1..].iter().map(|step| step.nats).sum::<f64>(),
    );
    Ok(Bound {
        prior: exact(prior),
        diffusion: exact(diffusion),
        reconstruction: exact(steps[0].nats),
        total: exact(prior + diffusion + steps[0].nats),
        nats: Vec::new(),
        steps,
    })
}

/// `L_0` as a straight line in the error: slope and constant.
fn first(config: &BoundConfig, dim: f64) -> (f64, f64) {
    let schedule = &config.schedule;
    let log_snr = schedule.log_snr[0];
    let normal = 0.5 * dim * std::f64::consts::TAU.ln();
    match config.decoder {
        Decoder::Channel => (0.0, normal + 0.5 * dim * (1.0 - log_snr)),
        Decoder::Network => {
            let log_variance = schedule.posterior_log_variance_clipped(0);
            let slope = 0.5 * (-log_snr - log_variance).exp();
            (slope, normal + 0.5 * dim * log_variance)
        }
    }
}
