//! What K steps cost: the divergence of paths, read off one curve.

use super::Estimate;
use crate::cell;
use crate::curve::MseCurve;
use crate::distribution::{Gaussian, Scalar};
use crate::error::{Error, Interrupted, Result};
use crate::logsnr::Quadrature;
use crate::schedule::NoiseSchedule;

/// Whose error the steps are laid over: a measured curve, or a distribution of which it is known.
#[derive(Debug, Clone, Copy)]
pub enum ErrorOf<'a> {
    /// A curve, between whose points the monotone cubic stands in ([`MseCurve::interpolate`]).
    Curve(&'a MseCurve),
    /// A Gaussian with its best denoiser: `mmse(γ) = Σ λ/(1 + γλ)`.
    Gaussian(&'a Gaussian),
    /// A number with its best denoiser.
    Scalar(&'a Scalar),
}

impl<'a> From<&'a MseCurve> for ErrorOf<'a> {
    fn from(curve: &'a MseCurve) -> Self {
        Self::Curve(curve)
    }
}

impl<'a> From<&'a Gaussian> for ErrorOf<'a> {
    fn from(gaussian: &'a Gaussian) -> Self {
        Self::Gaussian(gaussian)
    }
}

impl<'a> From<&'a Scalar> for ErrorOf<'a> {
    fn from(scalar: &'a Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

/// What a denoiser costs that is asked at some values of the SNR only, in nats. Made by [`path_divergence`].
#[derive(Debug, Clone)]
pub struct PathDivergence {
    /// `½ Σ ∫ (mmse(γ_k) − mmse(γ)) dγ`, the divergence of paths.
    pub total: Estimate,
    /// `½ Σ (γ_{k+1} − γ_k) mmse(γ_k)`: what the steps are charged with.
    pub rectangles: f64,
    /// `½ ∫ mmse dγ` over all steps: what they are worth.
    pub integral: f64,
    /// Each step, the noisiest first.
    pub steps: Vec<StepPrice>,
}

/// One step of a [`PathDivergence`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPrice {
    /// The SNR at which the denoiser is asked.
    pub from: f64,
    /// The SNR at which it is asked again.
    pub to: f64,
    /// What the step costs, in nats.
    pub nats: f64,
}

/// What it costs to ask a denoiser only at the SNRs `γ_0 < γ_1 < … < γ_K`, and to keep its estimate in between:
///
/// ```text
/// ½ Σ_k ∫ (mmse(γ_k) − mmse(γ)) dγ,    γ from γ_k to γ_{k+1}
/// ```
///
/// In the channel `dY = x dγ + dB` this is the Kullback–Leibler divergence of the true path from that of an ancestral
/// sampler of `K` steps with the variances [`Small`](crate::schedule::Variance::Small). It is also the error of the left
/// Riemann sum of the integral `½ ∫ mmse dγ`: a variational bound in `K` steps minus the exact value, but for what the
/// bound loses at its ends ([`ends`]). It bounds the divergence of the samples from above ([`output_divergence`]).
///
/// # Arguments
/// The SNRs, rising; [`NoiseSchedule::snr`] has those of a schedule. The first may be 0 where a distribution is given.
///
/// # Errors
/// [`Error::Parameter`] unless there are two SNRs or more, finite, rising and not below 0; [`Error::Mismatch`] when a curve
/// does not reach over them.
///
/// # Numerics
/// Of a curve, the integral of the monotone cubic through its points is exact. What the cubic misses between points is
/// not known. The standard error is that of the curve's samples, each with its own steps; where they were not kept it is the
/// sum of the points' errors, which is as much as it can be.
///
/// # Papers
/// The error of the sum: Kingma et al. (2021), arXiv:2107.00630, Sec. 5.1. The divergence of paths is Girsanov's theorem
/// with the martingale `E[x|Y]`.
///
/// # Example: steps of equal length in `ln(1 + γ)` are the best for a normal number
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::bound::path_divergence;
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::standard(1)?;
/// let even: Vec<f64> = (0..=100).map(|k| (0.01 * f64::from(k) * 1e4f64.ln_1p()).exp_m1()).collect();
/// let price = path_divergence(&normal, &even)?;
/// check!(close(price.total.nats, 0.2187, 5e-5));
/// check!(close(price.rectangles - price.integral, price.total.nats, 1e-12));
/// # Ok(()) }
/// ```
pub fn path_divergence<'a>(of: impl Into<ErrorOf<'a>>, snr: &[f64]) -> Result<PathDivergence> {
    check_snr(snr)?;
    match of.into() {
        ErrorOf::Curve(curve) => of_curve(curve, snr),
        ErrorOf::Gaussian(gaussian) => Ok(exact(
            snr,
            |snr| gaussian_mmse(gaussian, snr),
            |a, b| {
                let grown = |value: &f64| (value * (b - a) / (1.0 + a * value)).ln_1p();
                0.5 * gaussian.eigenvalues.iter().map(grown).sum::<f64>()
            },
            gaussian.dim(),
        )),
        ErrorOf::Scalar(scalar) => {
            let told: Vec<f64> = snr.iter().map(|&s| scalar.mutual_information(s)).collect();
            let between = |a: f64, b: f64| {
                let at = |s: f64| snr.partition_point(|&x| x < s).min(told.len() - 1);
                told[at(b)] - told[at(a)]
            };
            heard(&told)?;
            let found = exact(snr, |snr| scalar.mmse(snr), between, 1);
            heard(&[])?;
            match found.total.nats.is_finite() {
                true => Ok(found),
                false => Err(Error::NotFinite {
                    what: "the divergence of paths",
                    got: found.total.nats,
                    next: "take an SNR that is not as high",
                }),
            }
        }
    }
}

/// `Σ λ/(1 + γλ)`.
fn gaussian_mmse(gaussian: &Gaussian, snr: f64) -> f64 {
    let left = |value: &f64| value / (1.0 + snr * value);
    gaussian.eigenvalues.iter().map(left).sum()
}

/// Refuses what are no steps.
fn check_snr(snr: &[f64]) -> Result<()> {
    let rising = snr.windows(2).all(|pair| pair[0] < pair[1]);
    let fine = snr.iter().all(|&snr| snr >= 0.0 && snr.is_finite());
    if snr.len() >= 2 && rising && fine {
        return Ok(());
    }
    let bad = snr.iter().find(|&&snr| !(snr >= 0.0 && snr.is_finite()));
    Err(Error::Parameter {
        name: "the SNRs of the steps",
        got: match bad {
            Some(bad) => bad.to_string(),
            None if snr.len() < 2 => format!("a list of {}", snr.len()),
            None => "not rising".into(),
        },
        need: "at least two, each finite, not below 0 and above the one before",
    })
}

/// From closed forms: the error at an SNR, and half its integral between two.
fn exact(
    snr: &[f64],
    mmse: impl Fn(f64) -> f64,
    integral: impl Fn(f64, f64) -> f64,
    dim: usize,
) -> PathDivergence {
    let (mut rectangles, mut whole) = (0.0, 0.0);
    let step = |pair: &[f64]| {
        let (from, to) = (pair[0], pair[1]);
        let charged = 0.5 * (to - from) * mmse(from);
        let worth = integral(from, to);
        rectangles += charged;
        whole += worth;
        StepPrice {
            from,
            to,
            nats: charged - worth,
        }
    };
    let steps: Vec<StepPrice> = snr.windows(2).map(step).collect();
    let nats = steps.iter().map(|step| step.nats).sum();
    PathDivergence {
        total: Estimate::exact(nats).of_dim(dim),
        rectangles,
        integral: whole,
        steps,
    }
}

/// From a curve.
fn of_curve(curve: &MseCurve, snr: &[f64]) -> Result<PathDivergence> {
    curve.check()?;
    let alphas: Vec<f64> = snr.iter().map(|snr| snr.ln()).collect();
    let fine = Pieces::new(curve, &alphas)?;
    let found = curve.interpolate(&fine.points)?;
    // ½ mmse dγ is ½ mse dα.
    let k = fine.points.len();
    let (mut charged, mut worth) = (vec![0.0; k], vec![0.0; k]);
    let mut owner = vec![0; k];
    for (step, pair) in fine.at.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        charged[from] = 0.5 * (snr[step + 1] / snr[step] - 1.0);
        owner[from..to].fill(step);
        for left in (from..to).step_by(2) {
            let width = fine.points.log_snr[left + 2] - fine.points.log_snr[left];
            for (at, share) in [(left, 1.0), (left + 1, 4.0), (left + 2, 1.0)] {
                worth[at] += 0.5 * width * share / 6.0;
            }
        }
    }
    let dot = |values: &[f64], by: &[f64]| -> f64 {
        std::iter::zip(values, by)
            .map(|(value, by)| value * by)
            .sum()
    };
    let by: Vec<f64> = std::iter::zip(&charged, &worth)
        .map(|(a, b)| a - b)
        .collect();
    let steps: Vec<StepPrice> = fine
        .at
        .windows(2)
        .enumerate()
        .map(|(step, pair)| {
            let inside = pair[0]..pair[1] + 1;
            let (alphas, mse) = (&fine.points.log_snr[inside.clone()], &found.mse[inside]);
            let under = |at: usize| {
                (alphas[at + 2] - alphas[at]) / 6.0 * (mse[at] + 4.0 * mse[at + 1] + mse[at + 2])
            };
            let worth: f64 = (0..mse.len() - 1).step_by(2).map(under).sum();
            StepPrice {
                from: snr[step],
                to: snr[step + 1],
                nats: charged[pair[0]] * mse[0] - 0.5 * worth,
            }
        })
        .collect();
    let (rectangles, integral) = (dot(&found.mse, &charged), dot(&found.mse, &worth));
    let total = match (&found.errors, &found.data) {
        (Some(errors), Some(data)) => {
            let each = errors.rows().into_iter();
            let each = each.map(|row| std::iter::zip(row, &by).map(|(e, by)| e * by).sum());
            Estimate::of_samples(each.collect(), data.clone(), 0.0)
        }
        _ => {
            let sizes: Vec<f64> = by.iter().map(|by| by.abs()).collect();
            Estimate::new(rectangles - integral, dot(&found.std_err, &sizes), found.n)
        }
    };
    Ok(PathDivergence {
        total: total.of_dim(curve.dim),
        rectangles,
        integral,
        steps,
    })
}

/// The points between which the monotone cubic of a curve is one polynomial, and their middles.
struct Pieces {
    points: Quadrature,
    /// Where the steps are among them.
    at: Vec<usize>,
}

impl Pieces {
    fn new(curve: &MseCurve, alphas: &[f64]) -> Result<Self> {
        let (low, high) = (alphas[0], alphas[alphas.len() - 1]);
        let reach = curve.points.log_snr.iter();
        let reach = reach.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| {
            (a.min(x), b.max(x))
        });
        let slack = 1e-9 * (reach.1 - reach.0);
        if !(low >= reach.0 - slack && high <= reach.1 + slack) {
            return Err(Error::Mismatch {
                what: "the steps and the curve",
                left: format!("steps from log-SNR {low:.4} to {high:.4}"),
                right: format!("a curve from {:.4} to {:.4}", reach.0, reach.1),
                next: "measure the curve over all of the steps; only a distribution is known down to an SNR of 0",
            });
        }
        let inside = |alpha: &f64| *alpha > low && *alpha < high;
        let mut cuts: Vec<f64> = curve
            .points
            .log_snr
            .iter()
            .copied()
            .filter(inside)
            .collect();
        cuts.extend(alphas);
        cuts.sort_by(f64::total_cmp);
        // Two that rounding alone tells apart would leave no room for a middle.
        let near = |a: f64, b: f64| (b - a).abs() <= 1e-12 * (1.0 + a.abs());
        cuts.dedup_by(|b, a| near(*a, *b));
        let mut log_snr = Vec::with_capacity(2 * cuts.len());
        for pair in cuts.windows(2) {
            log_snr.extend([pair[0], 0.5 * (pair[0] + pair[1])]);
        }
        log_snr.extend(cuts.last());
        let at = alphas
            .iter()
            .map(|&alpha| {
                let right = cuts.partition_point(|&cut| cut < alpha);
                let right = right.min(cuts.len() - 1);
                match right > 0 && near(cuts[right - 1], alpha) {
                    true => 2 * (right - 1),
                    false => 2 * right,
                }
            })
            .collect();
        Ok(Self {
            points: Quadrature::through(log_snr)?,
            at,
        })
    }
}

/// What a bound on a density loses at its two ends, in nats, beside the [`path_divergence`] of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// `D(p(z_T) ‖ N(0, I))`: the samples at the noisiest step are taken to be standard normal.
    pub prior: f64,
    /// `E D(p(x|z_0) ‖ N(z_0/√σ(α_0), e^{−α_0}))`: the least noisy step is taken to tell all that is known of `x`
    /// ([`Reconstruction::Vdm`](super::Reconstruction::Vdm)).
    pub reconstruction: f64,
}

/// What a bound loses at the ends of a schedule, for data that are normal there:
///
/// ```text
/// prior          = ½ Σ ᾱ_T(λ + m² − 1) − ln(1 + ᾱ_T(λ − 1))
/// reconstruction = ½ Σ ln(1 + 1/(γ_0 λ))
/// ```
///
/// with the eigenvalues `λ` and the mean's coordinates `m`. With [`path_divergence`] it makes up all that a bound with
/// the variances [`Small`](crate::schedule::Variance::Small) lies above the exact value.
///
/// # Errors
/// [`Error::Degenerate`] when an eigenvalue is 0.
///
/// # Example: a bound, the exact value, and the difference
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::bound::{Reconstruction, ends, path_divergence};
/// use itd_prelude::schedule::Variance;
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::new(&[0.5], &[[0.2]])?;
/// let config = BoundConfig {
///     variance: Variance::Small, reconstruction: Reconstruction::Vdm,
///     ..BoundConfig::density(NoiseSchedule::cosine(50)?)
/// };
/// let mut alphas = config.schedule.log_snr.clone();
/// alphas.reverse();
/// let bound = bound_of_curve(&normal.curve(&Quadrature::through(alphas)?)?, &normal, &config)?;
/// let (steps, ends) = (path_divergence(&normal, &config.schedule.snr())?, ends(&normal, &config.schedule)?);
/// let above = bound.total.nats - normal.entropy()?.nats;
/// check!(close(above, steps.total.nats + ends.prior + ends.reconstruction, 1e-9));
/// # Ok(()) }
/// ```
pub fn ends(gaussian: &Gaussian, schedule: &NoiseSchedule) -> Result<Ends> {
    gaussian.log_eigenvalues()?;
    let signal = schedule.signal(schedule.steps() - 1);
    let high = schedule.log_snr[0].exp();
    let mean: f64 = gaussian.mean.iter().map(|m| m * m).sum();
    let prior = |value: &f64| signal * (value - 1.0) - (signal * (value - 1.0)).ln_1p();
    let reconstruction = |value: &f64| (1.0 / (high * value)).ln_1p();
    let values = gaussian.eigenvalues.iter();
    Ok(Ends {
        prior: 0.5 * (signal * mean + values.clone().map(prior).sum::<f64>()),
        reconstruction: 0.5 * values.map(reconstruction).sum::<f64>(),
    })
}

/// The divergence of the samples of a Gaussian, `D(p ‖ p_K)`, after an ancestral sampler of `K` steps with the best
/// denoiser and the variances [`Small`](crate::schedule::Variance::Small), in nats.
///
/// In the channel `dY = x dγ + dB` a step is `Y + (γ_{k+1} − γ_k) x̂(Y) + √(γ_{k+1} − γ_k) n`. Of a Gaussian all are
/// normal: along an eigenvector of variance `λ` the variance goes from `v` to `(1 + λΔ/(1 + γλ))² v + Δ`, and should be
/// `γ²λ + γ`. The sampler starts with the right distribution at the first SNR.
///
/// It is never above the [`path_divergence`], and it orders steps in another way: steps that are the best for a bound are
/// not the best for samples.
///
/// # Errors
/// As [`path_divergence`].
///
/// # Example
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::bound::{output_divergence, path_divergence};
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::standard(1)?;
/// let snr = NoiseSchedule::cosine(50)?.snr();
/// check!(output_divergence(&normal, &snr)? < path_divergence(&normal, &snr)?.total.nats);
/// # Ok(()) }
/// ```
pub fn output_divergence(gaussian: &Gaussian, snr: &[f64]) -> Result<f64> {
    check_snr(snr)?;
    let of = |value: &f64| {
        let should = |snr: f64| snr * snr * value + snr;
        let start = should(snr[0]);
        let end = snr.windows(2).fold(start, |v, pair| {
            let step = pair[1] - pair[0];
            (1.0 + value * step / (1.0 + pair[0] * value)).powi(2) * v + step
        });
        let excess = should(snr[snr.len() - 1]) / end - 1.0;
        0.5 * (excess - excess.ln_1p())
    };
    Ok(gaussian.eigenvalues.iter().map(of).sum())
}

/// The error at an SNR, for many of them.
pub(super) fn mmse(of: ErrorOf, snr: &[f64]) -> Result<Vec<f64>> {
    let found: Vec<f64> = match of {
        ErrorOf::Gaussian(gaussian) => snr.iter().map(|&s| gaussian_mmse(gaussian, s)).collect(),
        ErrorOf::Scalar(scalar) => snr.iter().map(|&s| scalar.mmse(s)).collect(),
        ErrorOf::Curve(curve) => {
            let points = Quadrature::through(snr.iter().map(|snr| snr.ln()).collect())?;
            let found = without_samples(curve).interpolate(&points)?;
            std::iter::zip(&found.mse, snr)
                .map(|(mse, snr)| mse / snr)
                .collect()
        }
    };
    heard(&found)?;
    Ok(found)
}

/// What a distribution says once the user has asked to stop is no number.
fn heard(found: &[f64]) -> Result<()> {
    match cell::interrupted() {
        false => Ok(()),
        true => {
            let done = found.iter().filter(|value| value.is_finite()).count();
            let stopped =
                Interrupted::new("the errors of the steps", done as u64, found.len() as u64);
            Err(Error::Interrupted(stopped))
        }
    }
}

/// The curve alone, without the errors of its samples.
pub(super) fn without_samples(curve: &MseCurve) -> MseCurve {
    MseCurve {
        points: curve.points.clone(),
        mse: curve.mse.clone(),
        std_err: curve.std_err.clone(),
        n: curve.n,
        dim: curve.dim,
        errors: None,
        data: curve.data.clone(),
    }
}
