//! Areas between curves of the squared error: nats, with their error.

use crate::error::{Error, Result};
use crate::logsnr::Rule;
use crate::mmse::MseCurve;
use crate::stats;

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

/// An area between two curves.
#[derive(Debug, Clone)]
pub struct Area {
    /// The area, in nats.
    pub nats: f64,
    /// One standard error: of the samples, and of the points when they were drawn at random.
    pub std_err: f64,
    /// Error of the quadrature.
    pub quadrature_err: f64,
    /// The area of each sample; empty when both curves are closed forms.
    pub per_sample: Vec<f64>,
    /// Whether each point counts, or the reference stands in.
    pub used: Vec<bool>,
}

/// `½ ∫ (reference − curve) dα`, over the interval that the points cover.
///
/// The reference is a closed form, or a curve of the same samples.
///
/// # Errors
/// [`Error::Mismatch`] when the two differ in their points, samples or dimension.
///
/// # Numerics
/// Everything is summed in `f64`. The samples are common to all points, so the standard error is that of
/// their own areas. The error of the midpoint rule is found by leaving out two of three points, which makes
/// it nine times as large; what the sampling error explains of that change does not count.
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
    check_pair(reference, curve)?;
    let k = curve.log_snr.len();
    let gaps = Gaps { reference, curve };
    let used: Vec<bool> = (0..k).map(|j| gaps.counts(j, fallback)).collect();
    // A point's share in the integral, ½·weight/k, or nothing.
    let share = |j: usize| {
        if used[j] {
            0.5 * curve.weight[j] / k as f64
        } else {
            0.0
        }
    };
    let shares: Vec<f64> = (0..k).map(share).collect();
    let nats: f64 = (0..k).map(|j| shares[j] * gaps.mean(j)).sum();
    let per_sample = gaps.per_sample(&shares);
    let of_samples = match per_sample.len() {
        0 => 0.0,
        _ => stats::std_err(&per_sample),
    };
    let (of_points, quadrature_err) = match curve.rule {
        Rule::Draws => {
            let terms: Vec<f64> = (0..k)
                .map(|j| k as f64 * shares[j] * gaps.mean(j))
                .collect();
            (stats::std_err(&terms), 0.0)
        }
        Rule::Midpoint => (0.0, gaps.midpoint_error(&shares)),
    };
    Ok(Area {
        nats,
        std_err: f64::hypot(of_samples, of_points),
        quadrature_err,
        per_sample,
        used,
    })
}

struct Gaps<'a> {
    reference: &'a MseCurve,
    curve: &'a MseCurve,
}

impl Gaps<'_> {
    fn mean(&self, j: usize) -> f64 {
        self.reference.mse[j] - self.curve.mse[j]
    }

    /// The gap of sample `i` at point `j`.
    fn sample(&self, i: usize, j: usize) -> f64 {
        let at = |curve: &MseCurve| match curve.n {
            0 => curve.mse[j],
            _ => f64::from(curve.errors[i * curve.mse.len() + j]),
        };
        at(self.reference) - at(self.curve)
    }

    fn samples(&self) -> usize {
        self.reference.n.max(self.curve.n)
    }

    fn counts(&self, j: usize, fallback: Fallback) -> bool {
        match fallback {
            Fallback::Never => true,
            Fallback::Above => self.mean(j) > 0.0,
            Fallback::Clearly(sigmas) => {
                let column: Vec<f64> = (0..self.samples()).map(|i| self.sample(i, j)).collect();
                let std_err = match column.len() {
                    0 => 0.0,
                    _ => stats::std_err(&column),
                };
                self.mean(j) >= -sigmas * std_err
            }
        }
    }

    fn per_sample(&self, shares: &[f64]) -> Vec<f64> {
        let sum = |i| -> f64 {
            let terms = shares
                .iter()
                .enumerate()
                .map(|(j, share)| share * self.sample(i, j));
            terms.sum()
        };
        (0..self.samples()).map(sum).collect()
    }

    /// The midpoint rule with a third of the points: each group of three gives its weight to the middle one.
    /// Its error is nine times that of all points, so an eighth of the change is the error of the latter.
    fn midpoint_error(&self, shares: &[f64]) -> f64 {
        let groups = shares.len() / 3;
        let change: Vec<f64> = (0..groups * 3)
            .map(|j| {
                if j % 3 == 1 {
                    2.0 * shares[j]
                } else {
                    -shares[j]
                }
            })
            .collect();
        let mean: f64 = (0..change.len()).map(|j| change[j] * self.mean(j)).sum();
        let noise = match self.samples() {
            0 => 0.0,
            _ => 2.0 * stats::std_err(&self.per_sample(&change)),
        };
        (mean.abs() - noise).max(0.0) / 8.0
    }
}

fn check_pair(reference: &MseCurve, curve: &MseCurve) -> Result<()> {
    reference.check()?;
    curve.check()?;
    let refuse = |what, left: String, right: String, next| {
        Err(Error::Mismatch {
            what,
            left,
            right,
            next,
        })
    };
    if reference.log_snr != curve.log_snr || reference.weight != curve.weight {
        return refuse(
            "the two curves' points",
            format!("{} points", reference.log_snr.len()),
            format!("{} others", curve.log_snr.len()),
            "measure both at the same points",
        );
    }
    if reference.dim != curve.dim {
        return refuse(
            "the two curves' dimensions",
            reference.dim.to_string(),
            curve.dim.to_string(),
            "take both from the same data set",
        );
    }
    if reference.n > 0 && curve.n > 0 && reference.n != curve.n {
        return refuse(
            "the two curves' samples",
            reference.n.to_string(),
            curve.n.to_string(),
            "measure both on the same data",
        );
    }
    Ok(())
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
