//! The bound in continuous time.

use candle_core::DType;

use super::{Bound, Outcome, decoder, prior};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::integral::area_under;
use crate::mmse::MseCurve;
use crate::rng::{self, Rng};
use crate::stats::sigmoid;

/// Bounds `−ln p(x)` as VDM does with infinitely many steps, from a curve over `α_0` to `α_1`:
///
/// ```text
/// D(q(z|x) ‖ N(0, I)) at α_0  +  ½ ∫ ‖ε − ε̂‖² dα  +  E[−ln p(x|z)] at α_1
/// ```
///
/// The integral is the one of the exact formula (Eq. 6). The two other terms are bounds for which no network is
/// asked: the prior compares with a standard normal, the reconstruction knows the channel alone (see
/// [`Decoder::Channel`](super::Decoder::Channel)). The wider the interval, the less they lose.
///
/// # Errors
/// [`Error::Mismatch`] when `data` is not what the curve was measured on, or has other levels.
///
/// # Numerics
/// The standard error joins that of the samples and that of the curve's points. For levels the reconstruction
/// draws one noise for each sample; for a density its mean is known.
///
/// # Papers
/// Kingma, Salimans, Poole, Ho (2021), arXiv:2107.00630, Eqs. 11 and 15; Kong, Brekelmans, Ver Steeg (2023),
/// arXiv:2302.03792, App. A.7.
///
/// # Example: a Gaussian, over a wide interval
/// ```
/// use itd_prelude::{bound::{Outcome, continuous_time_bound}, data, likelihood, logsnr::LogSnr, mmse::mse_curve};
/// use itd_prelude::{net::exact::Gaussian, rng};
///
/// let data = data::scg(2000, 0)?.train;
/// let spectrum = data.spectrum()?;
/// let curve = mse_curve(&Gaussian::new(&spectrum, &[2])?, &data, &LogSnr::trapezoid(-10.0, 14.0, 50)?)?;
/// let bound = continuous_time_bound(&curve, &data, Outcome::Density, &mut rng::seeded(0))?;
/// let known = likelihood::gaussian_nll(&spectrum, &data)?;
/// assert!((bound.total.nats - known.nats).abs() < 4.0 * bound.total.std_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn continuous_time_bound(
    curve: &MseCurve,
    data: &Dataset,
    outcome: Outcome,
    rng: &mut Rng,
) -> Result<Bound> {
    outcome.check(data)?;
    if curve.n != data.len() || curve.dim != data.dim() {
        return Err(Error::Mismatch {
            what: "the curve and the data",
            left: format!("{} samples of {} values", curve.n, curve.dim),
            right: format!("{} of {}", data.len(), data.dim()),
            next: "pass the data that the curve was measured on",
        });
    }
    let area = area_under(curve)?;
    let (low, high) = curve.interval;
    let squares: Vec<f64> = (data.flat()?.to_dtype(DType::F64)?.sqr()?.sum(1)?).to_vec1()?;
    let priors = squares
        .iter()
        .map(|&square| prior(square, curve.dim, sigmoid(low)));
    let eps = rng::normal(data.x.dims(), rng)?
        .flatten_from(1)?
        .to_dtype(DType::F64)?;
    let reconstruction = decoder::channel(outcome, &data.x, &eps, high)?;
    let terms = [priors.collect(), area.per_sample, reconstruction];
    let bound = Bound::of_samples(terms, Vec::new(), curve.dim);
    let points_err = f64::hypot(area.points_err, area.quadrature_err);
    let with_points = |estimate: Estimate| Estimate {
        std_err: estimate.std_err.hypot(points_err),
        ..estimate
    };
    Ok(Bound {
        diffusion: with_points(bound.diffusion),
        total: with_points(bound.total),
        ..bound
    })
}
