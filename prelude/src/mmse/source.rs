//! The curves of sources that are known.

use rayon::prelude::*;

use super::MseCurve;
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::net::exact::Source;

/// The curve of the best denoiser of `dim` independent numbers from a source: `dim · γ · mmse(γ)` at `γ = e^α`,
/// without sampling.
///
/// # Errors
/// [`Error::Empty`] without points or dimensions.
///
/// # Numerics
/// Right to about ten digits. The work grows with `√γ` and the source's width: beyond `α ≈ 25` it is slow.
///
/// # Example: the entropy of a uniform square, `2 ln(2√3) = 2.4849`
/// ```
/// use itd_prelude::{data::Spectrum, likelihood::continuous_nll, logsnr::LogisticLogSnr, mmse::source_curve};
/// use itd_prelude::net::exact::Source;
///
/// let side = Source::uniform(-3f64.sqrt(), 3f64.sqrt())?;
/// let points = LogisticLogSnr::new(3.0, 2.0, 6.0)?.quadrature(200)?;
/// let entropy = continuous_nll(&source_curve(&side, 2, &points)?, &Spectrum::standard(2)?)?;
/// assert!((entropy.nats - 2.0 * 12f64.sqrt().ln()).abs() < 0.002);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn source_curve(source: &Source, dim: usize, points: &LogSnr) -> Result<MseCurve> {
    points.check()?;
    if dim == 0 {
        return Err(Error::Empty {
            what: "the list of dimensions",
        });
    }
    let at = |alpha: &f64| dim as f64 * alpha.exp() * source.mmse(alpha.exp());
    let mse = points.log_snr.par_iter().map(at).collect();
    Ok(MseCurve::exact(points, dim, mse))
}
