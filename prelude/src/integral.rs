//! Areas between curves of the squared error, and under them: nats, with their error.

use std::sync::Arc;

use crate::curve::MseCurve;
use crate::error::Result;
use crate::estimate::{CommonErr, Warning};
use crate::logsnr::Quadrature;
use crate::stats;

/// Where the reference stands in for a curve that lies above it.
///
/// Always decided for the mean over the samples, never for single ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Fallback {
    /// Nowhere.
    #[default]
    Never,
    /// At every point where the mean is above the reference, as in the published code. Where the two are
    /// equal but for sampling error this picks the lucky points: it counts about 0.4 standard errors of each.
    AsPublished,
    /// Where the mean is above the reference by more than so many of its standard errors.
    Clearly(f64),
}

/// Half an area between curves, or under one.
#[derive(Debug, Clone)]
pub struct Area {
    /// The area, in nats.
    pub nats: f64,
    /// One standard error: that of the samples joined with that of the points. NaN where one of them is not known.
    pub std_err: f64,
    /// The part of it that comes from points drawn at random; 0 for a quadrature.
    pub points_err: f64,
    /// Error of the quadrature; 0 for points drawn at random, NaN where it cannot be told. What the samples' own errors
    /// explain is not counted, so that it is 0 where those are larger.
    pub quadrature_err: f64,
    /// The area of each sample, where their errors were kept; empty for closed forms.
    pub per_sample: Vec<f64>,
    /// Samples behind it; 0 for closed forms.
    pub n: usize,
    /// Whether each point counts, or the reference stands in.
    pub used: Vec<bool>,
    /// The points where the reference stands in, if there are any, and how much larger the area is without.
    pub fallback: Option<Warning>,
    /// The share of the area under the curve that comes from points at which one or two samples make the mean; 0 where
    /// the errors of single samples were not kept.
    pub rare_share: f64,
    /// The part of the error that comes from the samples.
    samples_err: f64,
    common: CommonErr,
}

/// From this share of the area on, fewer than nine in ten intervals of two standard errors hold the truth: measured on
/// a coin, whose errors are rare at a high SNR.
const RARE: f64 = 0.4;

impl Area {
    /// What is common to all samples: the errors of the points, for an estimate that the area is added to with this
    /// sign.
    pub(crate) fn common_err(&self, sign: f64) -> CommonErr {
        self.common.times(sign)
    }

    /// All errors together.
    pub fn total_err(&self) -> f64 {
        f64::hypot(self.std_err, self.quadrature_err)
    }

    /// What the reader should know of it, or of a value that it counts with that sign in.
    pub(crate) fn warnings(&self, sign: f64) -> Vec<Warning> {
        let coarse = self.n > 0 && self.quadrature_err > 2.0 * self.std_err;
        let coarse = coarse.then_some(Warning::Coarse {
            quadrature_err: self.quadrature_err,
        });
        let few_points = self.points_err.is_nan() || self.quadrature_err.is_nan();
        let samples_unknown = self.n > 1 && self.samples_err.is_nan();
        let unknown = samples_unknown.then_some(Warning::Unknown);
        let few = (few_points && !samples_unknown).then_some(Warning::FewPoints {
            points: self.used.len(),
        });
        let rare = (self.rare_share > RARE).then_some(Warning::RareErrors {
            share: self.rare_share,
            n: self.n,
        });
        self.fallback
            .clone()
            .into_iter()
            .chain(rare)
            .chain(coarse)
            .chain(unknown)
            .chain(few)
            .map(|one| one.times(sign))
            .collect()
    }
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
/// their own areas; where the errors of single samples were not kept it is the sum of the points' errors, which is as
/// much as it can be. How the error of the points is found depends on their [`Rule`](crate::logsnr::Rule).
///
/// # Example: two normals of unlike width
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::integral::{Fallback, area_between};
///
/// # fn main() -> Result<()> {
/// let points = Logistic::new(0.0, 2.0, 8.0)?.quadrature(300)?;
/// let curve = |variance: f64| Gaussian::new(&[0.0], &[[variance]])?.curve(&points);
/// let gap = area_between(&curve(1.0)?, &curve(0.25)?, Fallback::Never)?;
/// check!(close(gap.nats, 2f64.ln(), 1e-4)); // ½ ln(1/0.25)
/// # Ok(()) }
/// ```
pub fn area_between(reference: &MseCurve, curve: &MseCurve, fallback: Fallback) -> Result<Area> {
    reference.check_like(curve)?;
    Ok(Integrand::between(reference, curve).area(fallback))
}

impl MseCurve {
    /// `½ ∫ curve dα`, over the interval that the points cover.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) when the curve's lists do not belong together.
    ///
    /// # Example: under a normal's curve lies `½ ln(1 + γλ)`, up to both ends
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let under = Gaussian::standard(1)?.curve(&Quadrature::trapezoid(-5.0, 5.0, 200)?)?.area()?;
    /// let known = 0.5 * (5f64.exp().ln_1p() - (-5f64).exp().ln_1p());
    /// check!((under.nats - known).abs() <= 1.1 * under.quadrature_err);
    /// # Ok(()) }
    /// ```
    pub fn area(&self) -> Result<Area> {
        self.check()?;
        Ok(Integrand::under(self).area(Fallback::Never))
    }

    /// `½ ∫ curve dα` from the lower end of the interval up to each point: the running integral, one number for each
    /// point, 0 at the lower end.
    ///
    /// Of a gap between the curves of `p(x)` and `p(x|y)` this is the mutual information `I(z_α; y)` along the channel.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) when the points are drawn at random;
    /// [`Error::Mismatch`](crate::Error::Mismatch) when the curve's lists do not belong together.
    ///
    /// # Numerics
    /// The trapezoid rule between neighbouring points; below the first point of the midpoint rule the curve is taken
    /// to be constant.
    ///
    /// # Example: what a normal number's noisy version tells of it
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let points = Quadrature::trapezoid(-20.0, 4.0, 481)?;
    /// let running = Gaussian::standard(1)?.curve(&points)?.cumulative_area()?;
    /// // I(x; z) = ½ ln(1 + γ), here at γ = 1.
    /// check!(close(running[400], 0.5 * 2f64.ln(), 1e-4));
    /// # Ok(()) }
    /// ```
    pub fn cumulative_area(&self) -> Result<Vec<f64>> {
        self.check()?;
        let alphas = &self.points.log_snr;
        if alphas.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(crate::Error::Parameter {
                name: "the points of the curve",
                got: "drawn at random".into(),
                need: "in ascending order: take a quadrature",
            });
        }
        let first = alphas
            .first()
            .map_or(0.0, |alpha| alpha - self.points.interval.0);
        let mut sum = 0.5 * first * self.mse.first().copied().unwrap_or(0.0);
        let mut found = vec![sum];
        for j in 1..alphas.len() {
            sum += 0.25 * (alphas[j] - alphas[j - 1]) * (self.mse[j] + self.mse[j - 1]);
            found.push(sum);
        }
        Ok(found)
    }
}

/// The standard error as the paper reports it, in nats: the variance of all terms `½ w(α)·gap`, over samples
/// and points together, divided by their number.
///
/// **It is not the error of the integral.** All samples share the points, so `n · k` terms are not that many
/// independent ones: with points drawn at random it is too small by an order of magnitude. It is here to be
/// compared with [`Area::std_err`]. `None` as reference gives the area under the curve; only points where the mean is
/// below the reference count, as published. NaN when the errors of single samples were not kept.
///
/// # Errors
/// As [`area_between`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. B.5.
///
/// # Example: it misses what the points do
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::integral::{Fallback, area_between, pooled_std_err};
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(2000, 0)?.train;
/// let points = Logistic::new(1.0, 2.0, 6.0)?.sample(100, &mut rng::seeded(1))?;
/// let curve = mse_curve(&data.gaussian()?.denoiser(&[2])?, &data, &points)?;
/// let reference = Gaussian::standard(2)?.curve(&points)?;
/// let honest = area_between(&reference, &curve, Fallback::Never)?.std_err;
/// check!(pooled_std_err(Some(&reference), &curve)? < 0.5 * honest);
/// # Ok(()) }
/// ```
pub fn pooled_std_err(reference: Option<&MseCurve>, curve: &MseCurve) -> Result<f64> {
    let (integrand, fallback) = match reference {
        Some(reference) => {
            reference.check_like(curve)?;
            (Integrand::between(reference, curve), Fallback::AsPublished)
        }
        None => {
            curve.check()?;
            (Integrand::under(curve), Fallback::Never)
        }
    };
    let k = curve.points.len();
    let points: Vec<usize> = (0..k).filter(|&j| integrand.counts(j, fallback)).collect();
    let mut terms = Vec::with_capacity(curve.n * points.len());
    for j in points {
        let Some(column) = integrand.samples_at(j) else {
            return Ok(f64::NAN);
        };
        // As a mean over the points, which is how the paper has it.
        let share = 0.5 * curve.points.weight[j] * k as f64;
        terms.extend(column.iter().map(|value| share * value));
    }
    Ok(match terms.len() {
        0 | 1 => 0.0,
        _ => stats::std_err(&terms),
    })
}

/// The gap between a reference and a curve, or a curve alone.
struct Integrand<'a> {
    reference: Option<&'a MseCurve>,
    curve: &'a MseCurve,
}

impl<'a> Integrand<'a> {
    fn between(reference: &'a MseCurve, curve: &'a MseCurve) -> Self {
        Self {
            reference: Some(reference),
            curve,
        }
    }

    fn under(curve: &'a MseCurve) -> Self {
        Self {
            reference: None,
            curve,
        }
    }

    fn points(&self) -> &Quadrature {
        &self.curve.points
    }

    fn area(&self, fallback: Fallback) -> Area {
        let k = self.points().len();
        let used: Vec<bool> = (0..k).map(|j| self.counts(j, fallback)).collect();
        // A point's share in the integral, ½·weight, or nothing.
        let share = |j: usize, factor: f64| if used[j] { 0.5 * factor } else { 0.0 };
        let shares: Vec<f64> = (0..k).map(|j| share(j, self.points().weight[j])).collect();
        let terms: Vec<f64> = (0..k).map(|j| shares[j] * self.mean(j)).collect();
        let (per_sample, samples_err) = self.samples(&shares);
        let draws = self.points().draws_errs(&terms);
        let points_err = stats::root_sum_squares(&draws);
        let fixed = matches!(
            self.points().rule,
            crate::logsnr::Rule::Midpoint | crate::logsnr::Rule::Trapezoid
        );
        let (quadrature_err, change) = match self.points().error_factors() {
            Some(factors) => {
                let factors: Vec<f64> = (0..k).map(|j| share(j, factors[j])).collect();
                let error: f64 = (0..k).map(|j| factors[j] * self.mean(j)).sum();
                // What the samples' own errors explain is counted there.
                let (change, noise) = self.samples(&factors);
                (stats::beyond_noise(error, noise), Some(change))
            }
            None if fixed => (f64::NAN, None),
            None => (0.0, Some(vec![0.0; per_sample.len()])),
        };
        let common = match change {
            Some(change) if change.len() == per_sample.len() => {
                let (alphas, weights) = (&self.points().log_snr, &self.points().weight);
                CommonErr::OfPoints {
                    points: Arc::new(
                        std::iter::zip(alphas.iter().copied(), weights.iter().copied()).collect(),
                    ),
                    draws,
                    change,
                }
            }
            _ => CommonErr::Size(f64::hypot(points_err, quadrature_err)),
        };
        let left_out: Vec<usize> = (0..k).filter(|&j| !used[j]).collect();
        let ends = left_out.iter().map(|&j| self.points().log_snr[j]);
        let saved: f64 = left_out
            .iter()
            .map(|&j| 0.5 * self.points().weight[j] * self.mean(j))
            .sum();
        Area {
            nats: terms.iter().sum(),
            std_err: f64::hypot(samples_err, points_err),
            points_err,
            samples_err,
            quadrature_err,
            per_sample,
            n: self.n(),
            fallback: (!left_out.is_empty()).then(|| Warning::Fallback {
                points: left_out.len(),
                interval: (
                    ends.clone().fold(f64::INFINITY, f64::min),
                    ends.fold(f64::NEG_INFINITY, f64::max),
                ),
                nats: saved,
            }),
            rare_share: self
                .reference
                .map_or(0.0, rare_share)
                .max(rare_share(self.curve)),
            used,
            common,
        }
    }

    fn n(&self) -> usize {
        self.reference
            .map_or(0, |reference| reference.n)
            .max(self.curve.n)
    }

    /// The mean over the samples at point `j`.
    fn mean(&self, j: usize) -> f64 {
        match self.reference {
            Some(reference) => reference.mse[j] - self.curve.mse[j],
            None => self.curve.mse[j],
        }
    }

    /// The value of each sample at point `j`, if all that was measured kept its samples.
    fn samples_at(&self, j: usize) -> Option<Vec<f64>> {
        let n = self.n();
        let column = |curve: &MseCurve| -> Option<Vec<f64>> {
            match curve.errors_at(j) {
                Some(errors) => Some(errors.to_vec()),
                None if curve.is_exact() => Some(vec![curve.mse[j]; n]),
                None => None,
            }
        };
        let own = column(self.curve)?;
        match self.reference {
            None => Some(own),
            Some(reference) => {
                let pairs = column(reference)?.into_iter().zip(own);
                Some(pairs.map(|(a, b)| a - b).collect())
            }
        }
    }

    /// The standard error of the mean at point `j`: 0 where nothing was measured.
    fn err(&self, j: usize) -> f64 {
        if self.n() == 0 {
            return 0.0;
        }
        match self.samples_at(j) {
            Some(column) => stats::std_err(&column),
            // Without the pairs the errors may do their worst.
            None => {
                self.reference.map_or(0.0, |reference| reference.std_err[j]) + self.curve.std_err[j]
            }
        }
    }

    fn counts(&self, j: usize, fallback: Fallback) -> bool {
        match fallback {
            Fallback::Never => true,
            Fallback::AsPublished => self.mean(j) > 0.0,
            // Where the error is not known, as of one sample, nothing is clear.
            Fallback::Clearly(sigmas) => {
                let clearly = self.mean(j) < -sigmas * self.err(j);
                !clearly
            }
        }
    }

    /// `Σ share · value` of each sample, and the standard error of their mean. Where the samples were not kept, they
    /// are common to all points, so that errors add up.
    fn samples(&self, shares: &[f64]) -> (Vec<f64>, f64) {
        let n = self.n();
        if n == 0 {
            return (Vec::new(), 0.0);
        }
        let mut sums = vec![0.0; n];
        for (j, &share) in shares.iter().enumerate() {
            let Some(column) = self.samples_at(j) else {
                let errors = shares.iter().enumerate();
                let worst = errors.map(|(j, share)| {
                    if *share == 0.0 {
                        0.0
                    } else {
                        share.abs() * self.err(j)
                    }
                });
                return (Vec::new(), worst.sum());
            };
            sums.iter_mut()
                .zip(column)
                .for_each(|(sum, value)| *sum += share * value);
        }
        let err = stats::std_err(&sums);
        (sums, err)
    }
}

/// The share of the area under a curve that comes from points at which one or two samples make the mean.
fn rare_share(curve: &MseCurve) -> f64 {
    let fewest = stats::FEWEST.min(curve.n as f64 / 3.0);
    let (mut rare, mut all) = (0.0, 0.0);
    for (j, weight) in curve.points.weight.iter().enumerate() {
        let Some(errors) = curve.errors_at(j) else {
            return 0.0;
        };
        let area = weight * errors.iter().map(|error| error.abs()).sum::<f64>();
        all += area;
        if area > 0.0 && stats::effective_count(&errors.to_vec()) < fewest {
            rare += area;
        }
    }
    if all > 0.0 { rare / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::distribution::Gaussian;
    use crate::logsnr::Logistic;
    use crate::rng;

    fn normal(variance: f64) -> Gaussian {
        Gaussian::new(&[0.0], &[[variance]]).unwrap()
    }

    fn gap(from: f64, to: f64, points: &Quadrature, fallback: Fallback) -> Area {
        let curve = |variance| normal(variance).curve(points).unwrap();
        area_between(&curve(from), &curve(to), fallback).unwrap()
    }

    #[test]
    fn unlike_normals_differ_by_the_logarithm_of_their_widths() {
        let points = Logistic::new(0.0, 2.0, 14.0).unwrap();
        let points = points.quadrature(4000).unwrap();
        for (from, to) in [(1.0, 0.1), (3.0, 0.5), (0.2, 2.0)] {
            let known = 0.5 * f64::ln(from / to);
            let found = gap(from, to, &points, Fallback::Never);
            assert!((found.nats - known).abs() < 1e-6, "{} {known}", found.nats);
        }
    }

    #[test]
    fn the_error_of_the_quadrature_is_known() {
        let wide = Logistic::new(1.0, 2.0, 10.0).unwrap();
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
    fn an_error_that_cannot_be_known_is_not_zero() {
        let wide = Logistic::new(1.0, 2.0, 10.0).unwrap();
        for points in [
            wide.quadrature(1).unwrap(),
            wide.quadrature(2).unwrap(),
            wide.trapezoid(2).unwrap(),
        ] {
            let found = gap(1.0, 0.1, &points, Fallback::Never);
            assert!(found.quadrature_err.is_nan() && found.total_err().is_nan());
        }
        let one = wide.sample(1, &mut rng::seeded(0)).unwrap();
        assert!(gap(1.0, 0.1, &one, Fallback::Never).std_err.is_nan());
    }

    #[test]
    fn too_few_points_are_named_as_what_is_missing() {
        let curve = |points: &Quadrature| {
            let errors = Array2::from_shape_fn((50, points.len()), |(i, _)| i as f64);
            MseCurve::of_errors(points, 1, errors, Some("data".into())).unwrap()
        };
        let mut rng = crate::rng::seeded(0);
        let logistic = Logistic::new(0.0, 2.0, 6.0).unwrap();
        for points in [
            logistic.sample(1, &mut rng).unwrap(),
            logistic.quadrature(2).unwrap(),
        ] {
            let warnings = curve(&points).area().unwrap().warnings(1.0);
            let few = Warning::FewPoints {
                points: points.len(),
            };
            assert!(warnings.contains(&few), "{warnings:?}");
            assert!(!warnings.contains(&Warning::Unknown), "{warnings:?}");
        }
    }

    #[test]
    fn random_points_have_a_larger_error_and_say_so() {
        let proposal = Logistic::new(1.0, 2.0, 8.0).unwrap();
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
    fn the_fallback_leaves_out_what_lies_above_and_says_so() {
        let points = Logistic::new(0.0, 2.0, 6.0).unwrap();
        let points = points.quadrature(60).unwrap();
        let above = gap(0.1, 1.0, &points, Fallback::AsPublished);
        assert_eq!(above.nats, 0.0);
        assert!(above.used.iter().all(|used| !used));
        let free = gap(0.1, 1.0, &points, Fallback::Never);
        assert!(free.nats < -1.0 && free.fallback.is_none());
        let Some(Warning::Fallback { points, nats, .. }) = above.fallback else {
            panic!("the fallback is told")
        };
        assert!(points == 60 && (nats - free.nats).abs() < 1e-12);
        assert_eq!(
            gap(0.1, 1.0, &free_points(), Fallback::Clearly(2.0)).nats,
            0.0
        );
    }

    fn free_points() -> Quadrature {
        Logistic::new(0.0, 2.0, 6.0)
            .unwrap()
            .quadrature(60)
            .unwrap()
    }

    /// A curve of `n` samples around a normal's, sample `i` off by its own constant.
    fn measured(n: usize, spread: f64) -> MseCurve {
        let exact = normal(0.5).curve(&free_points()).unwrap();
        let shift = |i: usize| spread * (i as f64 - 0.5 * (n as f64 - 1.0));
        let errors = Array2::from_shape_fn((n, 60), |(i, j)| exact.mse[j] + shift(i));
        MseCurve::of_errors(&exact.points, 1, errors, Some("data".into())).unwrap()
    }

    /// What was measured and has lost its samples has an error, and not a smaller one.
    #[test]
    fn without_its_samples_a_curve_keeps_its_error() {
        let curve = measured(50, 0.01);
        let bare = MseCurve {
            errors: None,
            ..curve.clone()
        };
        let (with, without) = (curve.area().unwrap(), bare.area().unwrap());
        assert!((with.nats - without.nats).abs() < 1e-12);
        // Here the samples really are common to all points: the worst case is the case.
        assert!((without.std_err / with.std_err - 1.0).abs() < 1e-9);
        assert!(without.per_sample.is_empty() && without.n == 50);
        let fine = curve
            .interpolate(&Quadrature::trapezoid(-5.0, 5.0, 200).unwrap())
            .unwrap();
        assert!(fine.area().unwrap().std_err > 0.0);
        let reference = normal(1.0).curve(&free_points()).unwrap();
        let gap = area_between(&reference, &bare, Fallback::Clearly(2.0)).unwrap();
        assert!(gap.std_err > 0.0);
    }

    /// One sample has no standard error: nothing is clear then, and the reference stands in nowhere.
    #[test]
    fn one_sample_is_not_replaced_by_the_reference() {
        for n in [1, 2] {
            let (curve, reference) = (
                measured(n, 1e-6),
                normal(1.0).curve(&free_points()).unwrap(),
            );
            let found = area_between(&reference, &curve, Fallback::Clearly(2.0)).unwrap();
            assert!(
                (found.nats - 0.5 * 2f64.ln()).abs() < 0.02,
                "{}",
                found.nats
            );
            assert_eq!(found.std_err.is_nan(), n == 1);
        }
    }

    #[test]
    fn curves_that_do_not_belong_together_are_refused() {
        let proposal = Logistic::new(0.0, 2.0, 6.0).unwrap();
        let (few, more) = (
            proposal.quadrature(6).unwrap(),
            proposal.quadrature(7).unwrap(),
        );
        let a = normal(1.0).curve(&few).unwrap();
        let refused = |b: &MseCurve| area_between(&a, b, Fallback::Never).is_err();
        assert!(refused(&normal(1.0).curve(&more).unwrap()));
        assert!(refused(
            &Gaussian::standard(2).unwrap().curve(&few).unwrap()
        ));
        let (one, mut other) = (measured(5, 0.1), measured(5, 0.1));
        other.data = Some("elsewhere".into());
        assert!(area_between(&one, &other, Fallback::Never).is_err());
    }
}
