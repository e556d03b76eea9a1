//! Areas between curves of the squared error, and under them: nats, with their error.

mod integrand;
mod pooled;

use crate::error::Result;
use crate::mmse::MseCurve;
use integrand::Integrand;

pub use pooled::pooled_std_err;

/// Where the reference stands in for a curve that lies above it.
///
/// Always decided for the mean over the samples, never for single ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fallback {
    /// Nowhere.
    Never,
    /// At every point where the mean is above the reference, as in the published code. Where the two are
    /// equal but for sampling error this picks the lucky points: it counts about 0.4 standard errors of each.
    Above,
    /// Where the mean is above the reference by more than so many of its standard errors.
    Clearly(f64),
}

impl Default for Fallback {
    fn default() -> Self {
        Self::Clearly(2.0)
    }
}

/// Half an area between curves, or under one.
#[derive(Debug, Clone)]
pub struct Area {
    /// The area, in nats.
    pub nats: f64,
    /// One standard error: that of the samples joined with that of the points.
    pub std_err: f64,
    /// The part of it that comes from points drawn at random; 0 for a quadrature.
    pub points_err: f64,
    /// Error of the quadrature; 0 for points drawn at random.
    pub quadrature_err: f64,
    /// The area of each sample; empty when all curves are closed forms.
    pub per_sample: Vec<f64>,
    /// Whether each point counts, or the reference stands in.
    pub used: Vec<bool>,
}

/// `½ ∫ (reference − curve) dα`, over the interval that the points cover.
///
/// The reference is a closed form, or a curve of the same samples.
///
/// # Errors
/// [`Error::Mismatch`](crate::Error::Mismatch) when the two differ in their points, samples or dimension.
///
/// # Numerics
/// Everything is summed in `f64`. The samples are common to all points, so their standard error is that of
/// their own areas. How the error of the points is found depends on their
/// [`Rule`](crate::logsnr::Rule); see [`Area`].
///
/// # Example: two normals of unlike width
/// ```
/// use itd_prelude::{data::Spectrum, integral::{area, Fallback}, logsnr::LogisticLogSnr, mmse::gaussian_curve};
///
/// let wide = Spectrum::standard(1)?;
/// let narrow = Spectrum::new(vec![0.0], &[vec![0.25]])?;
/// let points = LogisticLogSnr::new(0.0, 2.0, 8.0)?.quadrature(300)?;
/// let gap = area(&gaussian_curve(&wide, &points)?, &gaussian_curve(&narrow, &points)?, Fallback::Never)?;
/// assert!((gap.nats - 2f64.ln()).abs() < 1e-4); // ½ ln(1/0.25)
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn area(reference: &MseCurve, curve: &MseCurve, fallback: Fallback) -> Result<Area> {
    reference.check_like(curve)?;
    Ok(Integrand::between(reference, curve).area(fallback))
}

/// `½ ∫ curve dα`, over the interval that the points cover.
///
/// # Errors
/// [`Error::Mismatch`](crate::Error::Mismatch) when the curve's lists do not belong together.
///
/// # Example: under a normal's curve lies `½ ln(1 + γλ)`, up to both ends
/// ```
/// use itd_prelude::{data::Spectrum, integral::area_under, logsnr::LogSnr, mmse::gaussian_curve};
///
/// let points = LogSnr::trapezoid(-5.0, 5.0, 200)?;
/// let under = area_under(&gaussian_curve(&Spectrum::standard(1)?, &points)?)?;
/// let known = 0.5 * (5f64.exp().ln_1p() - (-5f64).exp().ln_1p());
/// assert!((under.nats - known).abs() <= 1.1 * under.quadrature_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn area_under(curve: &MseCurve) -> Result<Area> {
    curve.check()?;
    Ok(Integrand::under(curve).area(Fallback::Never))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Spectrum;
    use crate::logsnr::{LogSnr, LogisticLogSnr};
    use crate::mmse::gaussian_curve;
    use crate::rng;

    fn normal(variance: f64) -> Spectrum {
        Spectrum::new(vec![0.0], &[vec![variance]]).unwrap()
    }

    fn gap(from: f64, to: f64, points: &LogSnr, fallback: Fallback) -> Area {
        let curve = |variance| gaussian_curve(&normal(variance), points).unwrap();
        area(&curve(from), &curve(to), fallback).unwrap()
    }

    #[test]
    fn unlike_normals_differ_by_the_logarithm_of_their_widths() {
        let points = LogisticLogSnr::new(0.0, 2.0, 14.0)
            .unwrap()
            .quadrature(4000)
            .unwrap();
        for (from, to) in [(1.0, 0.1), (3.0, 0.5), (0.2, 2.0)] {
            let known = 0.5 * f64::ln(from / to);
            let found = gap(from, to, &points, Fallback::Never);
            assert!((found.nats - known).abs() < 1e-6, "{} {known}", found.nats);
        }
    }

    #[test]
    fn the_error_of_the_quadrature_is_known() {
        let wide = LogisticLogSnr::new(1.0, 2.0, 10.0).unwrap();
        for n in [12, 24, 48] {
            let found = gap(1.0, 0.1, &wide.quadrature(n).unwrap(), Fallback::Never);
            let error = (found.nats - 0.5 * 10f64.ln()).abs();
            let said = found.quadrature_err;
            assert!(
                said > 0.5 * error && said < 3.0 * error + 1e-6,
                "{n}: {said} {error}"
            );
        }
    }

    #[test]
    fn random_points_have_a_larger_error_and_say_so() {
        let proposal = LogisticLogSnr::new(1.0, 2.0, 8.0).unwrap();
        let mut rng = rng::seeded(0);
        let misses = (0..200).filter(|_| {
            let points = proposal.sample(200, &mut rng).unwrap();
            let found = gap(1.0, 0.1, &points, Fallback::Never);
            (found.nats - 0.5 * 10f64.ln()).abs() > 2.0 * found.std_err
        });
        // About 5 % should miss by more than two standard errors.
        assert!((1..=25).contains(&misses.count()));
    }

    #[test]
    fn the_fallback_leaves_out_what_lies_above() {
        let points = LogisticLogSnr::new(0.0, 2.0, 6.0)
            .unwrap()
            .quadrature(60)
            .unwrap();
        let above = gap(0.1, 1.0, &points, Fallback::Above);
        assert_eq!(above.nats, 0.0);
        assert!(above.used.iter().all(|used| !used));
        assert_eq!(gap(0.1, 1.0, &points, Fallback::default()).nats, 0.0);
        assert!(gap(0.1, 1.0, &points, Fallback::Never).nats < -1.0);
    }

    #[test]
    fn curves_that_do_not_belong_together_are_refused() {
        let proposal = LogisticLogSnr::new(0.0, 2.0, 6.0).unwrap();
        let (few, more) = (
            proposal.quadrature(6).unwrap(),
            proposal.quadrature(7).unwrap(),
        );
        let curve = |spectrum: &Spectrum, points| gaussian_curve(spectrum, points).unwrap();
        let a = curve(&normal(1.0), &few);
        assert!(area(&a, &curve(&normal(1.0), &more), Fallback::Never).is_err());
        let plane = Spectrum::standard(2).unwrap();
        assert!(area(&a, &curve(&plane, &few), Fallback::Never).is_err());
    }
}
