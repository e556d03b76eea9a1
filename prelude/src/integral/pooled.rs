//! The published formula for the error of an integral, to compare with.

use super::{Fallback, integrand::Integrand};
use crate::error::Result;
use crate::mmse::MseCurve;
use crate::stats;

/// The standard error as the paper reports it, in nats: the variance of all terms `½ w(α)·gap`, over samples
/// and points together, divided by their number.
///
/// **It is not the error of the integral.** All samples share the points, so `n · k` terms are not that many
/// independent ones: with points drawn at random it is too small by an order of magnitude. It is here to be
/// compared with [`Area::std_err`](super::Area::std_err). `None` as reference gives the area under the curve; only points where the mean is
/// below the reference count, as published.
///
/// # Errors
/// As [`area`](super::area()).
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. B.5.
///
/// # Example: it misses what the points do
/// ```
/// use itd_prelude::integral::{Fallback, area, pooled_std_err};
/// use itd_prelude::{data, logsnr::LogisticLogSnr, mmse, net::exact::Gaussian, rng};
///
/// let data = data::scg(2000, 0)?.train;
/// let (own, standard) = (data.spectrum()?, data::Spectrum::standard(2)?);
/// let points = LogisticLogSnr::new(1.0, 2.0, 6.0)?.sample(100, &mut rng::seeded(1))?;
/// let curve = mmse::mse_curve(&Gaussian::new(&own, &[2])?, &data, &points)?;
/// let reference = mmse::gaussian_curve(&standard, &points)?;
/// let honest = area(&reference, &curve, Fallback::Never)?.std_err;
/// assert!(pooled_std_err(Some(&reference), &curve)? < 0.5 * honest);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn pooled_std_err(reference: Option<&MseCurve>, curve: &MseCurve) -> Result<f64> {
    let (integrand, fallback) = match reference {
        Some(reference) => {
            reference.check_like(curve)?;
            (Integrand::between(reference, curve), Fallback::Above)
        }
        None => {
            curve.check()?;
            (Integrand::under(curve), Fallback::Never)
        }
    };
    let points: Vec<usize> = (0..curve.log_snr.len())
        .filter(|&j| integrand.counts(j, fallback))
        .collect();
    let terms: Vec<f64> = (0..integrand.samples())
        .flat_map(|i| points.iter().map(move |&j| (i, j)))
        .map(|(i, j)| 0.5 * curve.weight[j] * integrand.sample(i, j))
        .collect();
    Ok(match terms.len() {
        0 | 1 => 0.0,
        _ => stats::std_err(&terms),
    })
}
