//! Errors of estimates that choose, found by drawing the samples again.

use std::borrow::Borrow;

use rand::Rng as _;

use crate::cell::memory::room_for;
use crate::curve::MseCurve;
use crate::error::{Error, Result};
use crate::rng;
use crate::rounds::Rounds;
use crate::stats;

/// The standard error of whatever is computed from curves of the same samples, in its own unit: its spread
/// over `rounds` sets of samples drawn with replacement, the same ones for all curves.
///
/// For a mean this is [`Area::std_err`](crate::integral::Area::std_err) again. It is needed where an estimate
/// chooses by the data, as an [ensemble as published](crate::curve::ensemble_as_published) or a fallback does. It
/// knows nothing of the error of a quadrature.
///
/// # Errors
/// [`Error::Empty`] without curves, [`Error::Parameter`] for fewer than two rounds or samples, [`Error::Mismatch`] when
/// curves have different samples, [`Error::Missing`] when one has not kept its samples, [`Error::Memory`] when the values
/// of all rounds do not fit, [`Error::Interrupted`] when it is stopped, and whatever `estimate` returns.
///
/// # Source
/// B. Efron (1979), Bootstrap Methods: Another Look at the Jackknife, Ann. Statist. 7(1).
///
/// # Example: a mean has the standard error that is known
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.train;
/// let standard = Gaussian::standard(2)?;
/// let points = Logistic::new(1.0, 2.0, 6.0)?.quadrature(30)?;
/// let curve = mse_curve(&data.gaussian()?.denoiser(&[2])?, &data, &points)?;
/// let spread = bootstrap(&[&curve], 100, 0, |curves| Ok(curves[0].nll(&standard)?.nats))?;
/// check!((spread / curve.nll(&standard)?.std_err - 1.0).abs() < 0.3);
/// # Ok(()) }
/// ```
pub fn bootstrap(
    curves: &[impl Borrow<MseCurve>],
    rounds: usize,
    seed: u64,
    estimate: impl Fn(&[MseCurve]) -> Result<f64>,
) -> Result<f64> {
    let curves: Vec<&MseCurve> = curves.iter().map(Borrow::borrow).collect();
    let Some(first) = curves.first() else {
        return Err(Error::Empty {
            what: "the list of curves",
        });
    };
    if rounds < 2 {
        return Err(Error::Parameter {
            name: "rounds",
            got: rounds.to_string(),
            need: "at least 2, better 100, to have a spread",
        });
    }
    for curve in &curves {
        first.check_like(curve)?;
    }
    room_for::<f64>("the values of all rounds", &[rounds])?;
    let n = curves.iter().map(|curve| curve.n).max().unwrap_or(0);
    match n {
        0 => return Ok(0.0),
        1 => {
            return Err(Error::Parameter {
                name: "the number of samples behind the curves",
                got: "1".into(),
                need: "at least 2: what one sample leaves open is not known",
            });
        }
        _ => {}
    }
    let mut rng = rng::stream(seed, "bootstrap");
    let mut work = Rounds::new("bootstrap", rounds, 0.0);
    let mut found = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let rows: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
        let drawn: Option<Vec<MseCurve>> =
            curves.iter().map(|curve| curve.resampled(&rows)).collect();
        let Some(drawn) = drawn else {
            return Err(Error::Missing {
                what: "a curve has not kept the errors of its samples".into(),
                next: "measure it with `mse_curve`, which keeps them",
            });
        };
        found.push(estimate(&drawn)?);
        work.step()?;
    }
    Ok(stats::variance(&found).sqrt())
}
