//! The bound in continuous time.

use candle_core::DType;

use super::{Bound, Target, prior, reconstruction};
use crate::curve::MseCurve;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::rng;
use crate::stats::sigmoid;

/// Bounds `−ln p(x)` as VDM does with infinitely many steps, from a curve over `α_0` to `α_1`:
///
/// ```text
/// D(q(z|x) ‖ N(0, I)) at α_0  +  ½ ∫ ‖ε − ε̂‖² dα  +  E[−ln p(x|z)] at α_1
/// ```
///
/// The integral is the one of the exact formula (Eq. 6). The two other terms are bounds for which no network is
/// asked: the prior compares with a standard normal, the reconstruction knows the channel alone (see
/// [`Reconstruction::Vdm`](super::Reconstruction::Vdm)). The wider the interval, the less they lose.
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
/// use itd_prelude::{bound::{Target, continuous_time_bound}, prelude::*};
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(2000, 0)?.train;
/// let gaussian = data.gaussian()?;
/// let curve = mse_curve(&gaussian.denoiser(&[2])?, &data, &Quadrature::trapezoid(-10.0, 14.0, 50)?)?;
/// let bound = continuous_time_bound(&curve, &data, Target::Continuous, 0)?;
/// check!(bound.total.within(gaussian.nll(&data)?.nats, 4.0));
/// # Ok(()) }
/// ```
pub fn continuous_time_bound(
    curve: &MseCurve,
    data: &Dataset,
    target: Target,
    seed: u64,
) -> Result<Bound> {
    target.check(data)?;
    let digest = curve.check_data(data)?;
    if curve.errors.is_none() {
        return Err(Error::Missing {
            what: "the curve has not kept the errors of its samples".into(),
            next: "measure it with `mse_curve`, which keeps them",
        });
    }
    let area = curve.area()?;
    let (low, high) = curve.points.interval;
    let squares: Vec<f64> = (data.flat()?.to_dtype(DType::F64)?.sqr()?.sum(1)?).to_vec1()?;
    let priors = squares
        .iter()
        .map(|&square| prior(square, curve.dim, sigmoid(low)));
    let eps = rng::normal(data.x.dims(), &mut rng::stream(seed, "reconstruction"))?;
    let reconstruction = reconstruction::channel(target, &data.x, &eps, high)?;
    let common = area.common_err(1.0);
    let warnings = area.warnings(1.0);
    let terms = [priors.collect(), area.per_sample, reconstruction];
    let bound = Bound::of_samples(terms, Vec::new(), curve.dim, &digest, common);
    Ok(Bound {
        diffusion: bound.diffusion.warned(warnings.clone()),
        total: bound.total.warned(warnings),
        ..bound
    })
}
