//! What is integrated, and how its error is found.

use super::{Area, Fallback};
use crate::logsnr::Rule;
use crate::mmse::MseCurve;
use crate::stats;

/// The gap between a reference and a curve, or a curve alone.
pub(super) struct Integrand<'a> {
    reference: Option<&'a MseCurve>,
    curve: &'a MseCurve,
}

impl<'a> Integrand<'a> {
    pub(super) fn between(reference: &'a MseCurve, curve: &'a MseCurve) -> Self {
        Self {
            reference: Some(reference),
            curve,
        }
    }

    pub(super) fn under(curve: &'a MseCurve) -> Self {
        Self {
            reference: None,
            curve,
        }
    }

    pub(super) fn area(&self, fallback: Fallback) -> Area {
        let k = self.curve.log_snr.len();
        let used: Vec<bool> = (0..k).map(|j| self.counts(j, fallback)).collect();
        // A point's share in the integral, ½·weight/k, or nothing.
        let share = |j: usize| match used[j] {
            true => 0.5 * self.curve.weight[j] / k as f64,
            false => 0.0,
        };
        let shares: Vec<f64> = (0..k).map(share).collect();
        let per_sample = self.per_sample(&shares);
        let samples_err = match per_sample.len() {
            0 => 0.0,
            _ => stats::std_err(&per_sample),
        };
        let (points_err, quadrature_err) = match self.curve.rule {
            Rule::Draws => (self.draws_error(&shares), 0.0),
            Rule::Stratified => (self.strata_error(&shares), 0.0),
            Rule::Midpoint => (0.0, self.midpoint_error(&shares)),
            Rule::Trapezoid => (0.0, self.trapezoid_error(&shares)),
        };
        Area {
            nats: (0..k).map(|j| shares[j] * self.mean(j)).sum(),
            std_err: f64::hypot(samples_err, points_err),
            points_err,
            quadrature_err,
            per_sample,
            used,
        }
    }

    /// The mean over the samples at point `j`.
    pub(super) fn mean(&self, j: usize) -> f64 {
        match self.reference {
            Some(reference) => reference.mse[j] - self.curve.mse[j],
            None => self.curve.mse[j],
        }
    }

    /// The value of sample `i` at point `j`.
    pub(super) fn sample(&self, i: usize, j: usize) -> f64 {
        let at = |curve: &MseCurve| match curve.n {
            0 => curve.mse[j],
            _ => f64::from(curve.errors[i * curve.mse.len() + j]),
        };
        match self.reference {
            Some(reference) => at(reference) - at(self.curve),
            None => at(self.curve),
        }
    }

    pub(super) fn samples(&self) -> usize {
        self.reference
            .map_or(0, |reference| reference.n)
            .max(self.curve.n)
    }

    pub(super) fn counts(&self, j: usize, fallback: Fallback) -> bool {
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
            let terms = shares.iter().enumerate();
            terms.map(|(j, share)| share * self.sample(i, j)).sum()
        };
        (0..self.samples()).map(sum).collect()
    }

    fn terms(&self, shares: &[f64]) -> Vec<f64> {
        (0..shares.len())
            .map(|j| shares[j] * self.mean(j))
            .collect()
    }

    /// The standard error of a sum of independent draws.
    fn draws_error(&self, shares: &[f64]) -> f64 {
        let terms = self.terms(shares);
        stats::std_err(&terms) * terms.len() as f64
    }

    /// The standard error of a sum of draws, one in each stratum: what neighbours vary beyond a straight line.
    ///
    /// For independent terms of variance v, `t₋₁ − 2t₀ + t₊₁` has the variance `6v`; a trend cancels in it.
    fn strata_error(&self, shares: &[f64]) -> f64 {
        let terms = self.terms(shares);
        if terms.len() < 3 {
            return self.draws_error(shares);
        }
        let bends = terms
            .windows(3)
            .map(|t| (t[0] - 2.0 * t[1] + t[2]).powi(2) / 6.0);
        let mean = bends.sum::<f64>() / (terms.len() - 2) as f64;
        (mean * terms.len() as f64).sqrt()
    }

    /// The midpoint rule with a third of the points: each group of three gives its weight to the middle one.
    /// Its error is nine times that of all points, so an eighth of the change is the error of the latter.
    fn midpoint_error(&self, shares: &[f64]) -> f64 {
        // Counted from both ends, where the weights are largest; one or two points in the middle stay.
        let n = shares.len();
        let left = n / 3 / 2 * 3;
        let right = (n / 3 - n / 3 / 2) * 3;
        let change = (0..n).map(|j| match j {
            j if j < left && j % 3 == 1 => 2.0 * shares[j],
            j if j < left => -shares[j],
            j if j < n - right => 0.0,
            j if (n - j) % 3 == 2 => 2.0 * shares[j],
            j => -shares[j],
        });
        self.change(&change.collect::<Vec<_>>()) / 8.0
    }

    /// The trapezoid rule with every second point. Its error is four times that of all points, so a third of
    /// the change is the error of the latter.
    fn trapezoid_error(&self, shares: &[f64]) -> f64 {
        // Pairs of steps; a last single step changes nothing.
        let pairs = shares.len().saturating_sub(1) / 2;
        let change = (0..pairs * 2 + usize::from(pairs > 0)).map(|j| match j % 2 {
            1 => -shares[j],
            // The last point of the pairs gains as much as the first, half of what those between them gain;
            // at the ends of the interval the shares are halves already.
            _ if j == pairs * 2 && j + 1 < shares.len() => 0.5 * shares[j],
            _ => shares[j],
        });
        self.change(&change.collect::<Vec<_>>()) / 3.0
    }

    /// By how much the integral changes with other shares, beyond what the samples' errors explain.
    fn change(&self, shares: &[f64]) -> f64 {
        let mean: f64 = self.terms(shares).iter().sum();
        let noise = match self.samples() {
            0 => 0.0,
            _ => 2.0 * stats::std_err(&self.per_sample(shares)),
        };
        (mean.abs() - noise).max(0.0)
    }
}
