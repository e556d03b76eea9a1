//! Errors of estimates that choose, found by drawing the samples again.

use rand::Rng as _;

use crate::error::{Error, Result};
use crate::mmse::MseCurve;
use crate::rng::Rng;
use crate::stats;

/// The standard error of whatever is computed from curves of the same samples, in its own unit: its spread
/// over `rounds` sets of samples drawn with replacement, the same ones for all curves.
///
/// For a mean this is [`Area::std_err`](crate::integral::Area::std_err) again. It is needed where an estimate
/// chooses by the data, as an [`ensemble`](crate::ensemble::ensemble()) or a fallback does. It knows nothing
/// of the error of a quadrature.
///
/// # Errors
/// [`Error::Empty`] without curves, [`Error::Parameter`] for fewer than two rounds, [`Error::Mismatch`] when
/// curves have different samples, and whatever `estimate` returns.
///
/// # Source
/// B. Efron (1979), Bootstrap Methods: Another Look at the Jackknife, Ann. Statist. 7(1).
///
/// # Example: a mean has the standard error that is known
/// ```
/// use itd_prelude::likelihood::{bootstrap, continuous_nll};
/// use itd_prelude::{data, logsnr::LogisticLogSnr, mmse, net::exact::Gaussian, rng};
///
/// let data = data::scg(1000, 0)?.train;
/// let (own, standard) = (data.spectrum()?, data::Spectrum::standard(2)?);
/// let points = LogisticLogSnr::new(1.0, 2.0, 6.0)?.quadrature(30)?;
/// let curve = mmse::mse_curve(&Gaussian::new(&own, &[2])?, &data, &points)?;
/// let spread = bootstrap(&[&curve], 100, &mut rng::seeded(0), |curves| {
///     Ok(continuous_nll(&curves[0], &standard)?.nats)
/// })?;
/// let known = continuous_nll(&curve, &standard)?.std_err;
/// assert!((spread / known - 1.0).abs() < 0.3);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn bootstrap(
    curves: &[&MseCurve],
    rounds: usize,
    rng: &mut Rng,
    estimate: impl Fn(&[MseCurve]) -> Result<f64>,
) -> Result<f64> {
    if curves.is_empty() {
        return Err(Error::Empty {
            what: "the list of curves",
        });
    }
    if rounds < 2 {
        return Err(Error::Parameter {
            name: "rounds",
            got: rounds.to_string(),
            need: "at least 2, better 100, to have a spread",
        });
    }
    let n = curves.iter().map(|curve| curve.n).max().unwrap_or(0);
    for curve in curves {
        curve.check()?;
        if curve.n != n && curve.n != 0 {
            return Err(Error::Mismatch {
                what: "the curves' samples",
                left: curve.n.to_string(),
                right: n.to_string(),
                next: "measure all on the same data",
            });
        }
    }
    if n == 0 {
        return Ok(0.0);
    }
    let round = |_| {
        let rows: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
        let drawn: Vec<MseCurve> = curves.iter().map(|curve| curve.resampled(&rows)).collect();
        estimate(&drawn)
    };
    let found: Vec<f64> = (0..rounds).map(round).collect::<Result<_>>()?;
    Ok(stats::variance(&found).sqrt())
}
