//! Points on the axis of log-SNR and their weights.

use rand::RngCore;
use rand::seq::SliceRandom;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::stats;

/// Points `α` and weights such that `Σ weight · f(α)` is, or estimates, `∫ f(α) dα`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrature {
    /// `α`, dimensionless.
    pub log_snr: Vec<f64>,
    /// One weight for each point, in units of `α`. Those of the trapezoid rule sum to the length of the interval, those of
    /// the midpoint rule to less, as they count on an integrand that falls off at both ends.
    pub weight: Vec<f64>,
    /// How the points were chosen.
    pub rule: Rule,
    /// `α₀` and `α₁`, the ends of the integral; the points lie between them.
    pub interval: (f64, f64),
}

/// How points on the axis of log-SNR were chosen; decides how the error of an integral is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The midpoint rule in the quantile of the logistic; points in ascending order. Error `∝ 1/n²`.
    Midpoint,
    /// The trapezoid rule in `α`; points in ascending order, both ends among them. Error `∝ 1/n²`, and far
    /// smaller where the integrand vanishes smoothly at both ends.
    Trapezoid,
    /// One draw in each of `n` parts of equal probability; points in ascending order. Error `∝ n^−3/2`.
    Stratified,
    /// Independent draws from the logistic. Error `∝ n^−1/2`.
    Draws,
}

impl Quadrature {
    /// The trapezoid rule with `n` equally spaced points on `[low, high]`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `low < high` are finite, a finite way apart, and `n` is at least 2;
    /// [`Error::Memory`] when the points do not fit.
    ///
    /// # Example: the area under a bump is right to the last digits
    /// ```
    /// use itd_prelude::logsnr::Quadrature;
    ///
    /// let points = Quadrature::trapezoid(-8.0, 8.0, 33)?;
    /// let area = points.integrate(|alpha| (-0.5 * alpha * alpha).exp());
    /// assert!((area - std::f64::consts::TAU.sqrt()).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn trapezoid(low: f64, high: f64, n: usize) -> Result<Self> {
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::Parameter {
                name: "the interval of log-SNR",
                got: format!("({low}, {high})"),
                need: "finite and of finite length, its lower end first",
            });
        }
        if n < 2 {
            return Err(Error::Parameter {
                name: "n",
                got: n.to_string(),
                need: "at least 2, one for each end",
            });
        }
        room_for::<[f64; 2]>("the points of log-SNR", &[n])?;
        let at = |i: usize| low + (high - low) * (i as f64 / (n - 1) as f64);
        Self::through((0..n).map(at).collect())
    }

    /// The trapezoid rule through given points, which need not be equally spaced.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are at least two, finite and rising.
    ///
    /// # Example: a table with gaps of unlike size
    /// ```
    /// use itd_prelude::logsnr::Quadrature;
    ///
    /// let points = Quadrature::through(vec![0.0, 1.0, 3.0])?;
    /// assert_eq!(points.weight, [0.5, 1.5, 1.0]);
    /// assert_eq!(points.integrate(|alpha| 2.0 * alpha), 9.0);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn through(log_snr: Vec<f64>) -> Result<Self> {
        let n = log_snr.len();
        if let Some(&got) = log_snr.iter().find(|alpha| !alpha.is_finite()) {
            return Err(Error::NotFinite {
                what: "a point of log-SNR",
                got,
                next: "leave it out",
            });
        }
        let rising = log_snr.windows(2).all(|pair| pair[0] < pair[1]);
        let (Some(&low), Some(&high)) = (log_snr.first(), log_snr.last()) else {
            return Err(no_points());
        };
        if n < 2 || !rising || !(high - low).is_finite() {
            return Err(Error::Parameter {
                name: "the list of log-SNR points",
                got: format!("{n} points from {low} to {high}"),
                need: "at least 2, rising, and a finite way apart",
            });
        }
        let step = |i: usize| log_snr[i.min(n - 1)] - log_snr[i.saturating_sub(1).min(n - 1)];
        Ok(Self {
            weight: (0..n).map(|i| 0.5 * (step(i) + step(i + 1))).collect(),
            log_snr,
            rule: Rule::Trapezoid,
            interval: (low, high),
        })
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.log_snr.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.log_snr.is_empty()
    }

    /// Refuses points that cannot stand for an integral.
    ///
    /// # Errors
    /// [`Error::Empty`] without points, [`Error::Mismatch`] unless each has a weight, [`Error::NotFinite`] for a
    /// point or weight that is NaN or infinite, [`Error::Parameter`] when a point lies outside of the interval, or
    /// those of a fixed rule do not rise.
    pub fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(no_points());
        }
        if self.weight.len() != self.len() {
            return Err(Error::Mismatch {
                what: "points and weights",
                left: self.len().to_string(),
                right: self.weight.len().to_string(),
                next: "give each point of log-SNR one weight",
            });
        }
        for (what, values) in [
            ("a point of log-SNR", &self.log_snr),
            ("the weight of a point", &self.weight),
        ] {
            if let Some(&got) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::NotFinite {
                    what,
                    got,
                    next: "make the points with `Quadrature::trapezoid` or a `Logistic`",
                });
            }
        }
        let (low, high) = self.interval;
        // What rounding does to the end of an interval is not outside.
        let slack = 1e-9 * (high - low);
        let inside = |&alpha: &f64| alpha >= low - slack && alpha <= high + slack;
        let fixed = self.rule != Rule::Draws;
        let rises = self.log_snr.windows(2).all(|pair| pair[0] < pair[1]);
        if !self.log_snr.iter().all(inside) || (fixed && !rises) {
            return Err(Error::Parameter {
                name: "the list of log-SNR points",
                got: format!("{} points on ({low}, {high})", self.len()),
                need: "inside of their interval and, unless they are drawn, rising",
            });
        }
        Ok(())
    }

    /// `Σ weight · f(α)`, which approximates `∫ f(α) dα`.
    pub fn integrate(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.log_snr.iter().zip(&self.weight);
        terms.map(|(&alpha, weight)| weight * f(alpha)).sum()
    }

    /// The same points in random order, as a batch of training wants them: each point then meets a sample
    /// by chance, and may be taken as a draw of its own.
    pub fn shuffled(&self, rng: &mut impl RngCore) -> Self {
        let mut pairs: Vec<(f64, f64)> = std::iter::zip(&self.log_snr, &self.weight)
            .map(|(&alpha, &weight)| (alpha, weight))
            .collect();
        pairs.shuffle(rng);
        let (log_snr, weight) = pairs.into_iter().unzip();
        Self {
            log_snr,
            weight,
            rule: Rule::Draws,
            interval: self.interval,
        }
    }

    /// What each point that was drawn adds to the standard error of `Σ weight · f(α)`, given the terms `weight · f(α)`:
    /// the error is the root of the sum of the squares, and each is linear in the terms. None for a fixed rule, NaN
    /// where it cannot be told.
    pub(crate) fn draws_errs(&self, terms: &[f64]) -> Vec<f64> {
        let n = terms.len() as f64;
        match self.rule {
            Rule::Midpoint | Rule::Trapezoid => Vec::new(),
            // One in each stratum: what neighbours vary beyond a straight line. For independent terms of variance
            // v, `t₋₁ − 2t₀ + t₊₁` has the variance 6v; a trend cancels in it.
            Rule::Stratified if terms.len() > 2 => {
                let share = (n / (6.0 * (n - 2.0))).sqrt();
                let bends = terms.windows(3).map(|t| t[0] - 2.0 * t[1] + t[2]);
                bends.map(|bend| share * bend).collect()
            }
            Rule::Draws | Rule::Stratified => {
                let (mean, share) = (stats::mean(terms), (n / (n - 1.0)).sqrt());
                terms.iter().map(|term| share * (term - mean)).collect()
            }
        }
    }

    /// Factors `c` such that `|Σ c · f(α)|` is about the error of a fixed rule: the change against the rule with
    /// fewer points, times what of it is the error. `None` where no coarser rule can be made, or for drawn points,
    /// which have none.
    pub(crate) fn error_factors(&self) -> Option<Vec<f64>> {
        match self.rule {
            Rule::Draws | Rule::Stratified => None,
            Rule::Midpoint => self.midpoint_factors(),
            Rule::Trapezoid => self.trapezoid_factors(),
        }
    }

    /// The midpoint rule with a third of the points: each group of three gives its weight to the middle one. Its
    /// error is nine times that of all points, so an eighth of the change is the error of the latter.
    fn midpoint_factors(&self) -> Option<Vec<f64>> {
        let n = self.len();
        if n < 3 {
            return None;
        }
        // Counted from both ends, where the weights are largest; one or two points in the middle stay.
        let left = n / 3 / 2 * 3;
        let right = (n / 3 - n / 3 / 2) * 3;
        let change = |j: usize| match j {
            j if j < left && j % 3 == 1 => 2.0,
            j if j < left => -1.0,
            j if j < n - right => 0.0,
            j if (n - j) % 3 == 2 => 2.0,
            _ => -1.0,
        };
        Some((0..n).map(|j| change(j) * self.weight[j] / 8.0).collect())
    }

    /// The trapezoid rule with each pair of steps `a`, `b` made one. An error that grows with the third power of
    /// the step is `(a³ + b³)/((a + b)³ − a³ − b³)` of the change, a third for equal steps.
    fn trapezoid_factors(&self) -> Option<Vec<f64>> {
        let n = self.len();
        if n < 3 {
            return None;
        }
        let mut factors = vec![0.0; n];
        let step = |i: usize| self.log_snr[i + 1] - self.log_snr[i];
        // Of an odd number of steps the last is made one with the step before, which counts half each time.
        let odd = (n - 1) % 2 == 1;
        let starts = (0..(n - 1) / 2).map(|pair| 2 * pair);
        for start in starts.chain(odd.then_some(n - 3)) {
            let (a, b) = (step(start), step(start + 1));
            let ratio = (a.powi(3) + b.powi(3)) / (3.0 * a * b * (a + b));
            let twice = odd && start + 3 >= n - 1;
            let scale = if twice { 0.75 * ratio } else { ratio };
            factors[start] += scale * 0.5 * b;
            factors[start + 1] -= scale * 0.5 * (a + b);
            factors[start + 2] += scale * 0.5 * a;
        }
        Some(factors)
    }
}

fn no_points() -> Error {
    Error::Empty {
        what: "the list of log-SNR points",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sigmoid;

    #[test]
    fn what_cannot_be_an_integral_is_refused() {
        for (low, high, n) in [
            (-1e308, 1e308, 3),
            (f64::NAN, 1.0, 3),
            (0.0, f64::INFINITY, 3),
            (1.0, 1.0, 3),
            (0.0, 1.0, 1),
        ] {
            assert!(Quadrature::trapezoid(low, high, n).is_err(), "{low} {high}");
        }
        let much = Quadrature::trapezoid(0.0, 1.0, 1 << 40).unwrap_err();
        assert!(matches!(much, Error::Memory { .. }), "{much}");
        assert!(Quadrature::through(vec![]).is_err());
        assert!(Quadrature::through(vec![0.0, 2.0, 1.0]).is_err());
        assert!(Quadrature::through(vec![0.0, f64::NAN]).is_err());
        let good = Quadrature::trapezoid(0.0, 1.0, 3).unwrap();
        good.check().unwrap();
        let with = |change: &dyn Fn(&mut Quadrature)| {
            let mut points = good.clone();
            change(&mut points);
            points.check().unwrap_err().to_string()
        };
        assert!(with(&|p| p.log_snr[1] = f64::NAN).contains("a point of log-SNR is not finite"));
        assert!(with(&|p| p.weight[1] = f64::INFINITY).contains("weight"));
        assert!(with(&|p| p.log_snr[1] = 7.0).contains("inside"));
        assert!(with(&|p| p.log_snr.swap(0, 1)).contains("rising"));
        assert!(with(&|p| p.weight.truncate(1)).contains("points and weights"));
    }

    /// For steps of whatever sizes, the error that is told is the error.
    #[test]
    fn unequal_steps_know_their_error() {
        let exact = sigmoid(1.0) - sigmoid(-3.0);
        let f = |alpha: f64| sigmoid(alpha) * sigmoid(-alpha);
        let even = |n: usize| -> Vec<f64> {
            (0..n)
                .map(|i| -3.0 + 4.0 * i as f64 / (n - 1) as f64)
                .collect()
        };
        let bent = |n: usize| -> Vec<f64> {
            let share = |i: usize| (i as f64 / (n - 1) as f64).powf(1.5);
            (0..n).map(|i| -3.0 + 4.0 * share(i)).collect()
        };
        for points in [even(21), even(22), bent(21), bent(22), bent(81)] {
            let points = Quadrature::through(points).unwrap();
            let error = points.integrate(f) - exact;
            let factors = points.error_factors().unwrap();
            let told: f64 = std::iter::zip(&factors, &points.log_snr)
                .map(|(factor, &alpha)| factor * f(alpha))
                .sum();
            let ratio = told.abs() / error.abs();
            assert!((0.7..1.4).contains(&ratio), "{told} {error}");
        }
        assert!(
            Quadrature::trapezoid(0.0, 1.0, 2)
                .unwrap()
                .error_factors()
                .is_none()
        );
    }
}
