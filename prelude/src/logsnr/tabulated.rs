//! A proposal over log-SNR that is given by a table.

use rand::{Rng as _, RngCore};

use super::{Quadrature, Rule};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// A distribution over an interval of log-SNR whose density is constant in each of its equal parts.
///
/// In proportion to an error curve it is *entropic*: between two quantiles there is always the same information,
/// `½∫mse dα`.
///
/// # Source
/// Stancevic and others (2025), arXiv:2504.13612: time in proportion to entropy.
#[derive(Debug, Clone, PartialEq)]
pub struct Tabulated {
    low: f64,
    high: f64,
    /// The share below each end of a part, from 0 to 1.
    below: Vec<f64>,
}

impl Tabulated {
    /// The distribution over an interval whose density in each of `rates.len()` equal parts is proportional to its rate.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the interval is finite and its lower end comes first, and the rates are finite and above
    /// 0; [`Error::Empty`] without rates.
    ///
    /// # Example: the right half has three times the mass of the left
    /// ```
    /// use itd_prelude::{logsnr::Tabulated, rng};
    ///
    /// let proposal = Tabulated::new((-4.0, 4.0), &[1.0, 3.0])?;
    /// assert_eq!((proposal.cdf(0.0), proposal.density(1.0)), (0.25, 0.75 / 4.0));
    /// // The weights make a sum an integral, as with every proposal.
    /// let points = proposal.stratified(1000, &mut rng::seeded(0))?;
    /// assert!((points.integrate(|alpha| (-alpha * alpha).exp()) - std::f64::consts::PI.sqrt()).abs() < 0.02);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new((low, high): (f64, f64), rates: &[f64]) -> Result<Self> {
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::Parameter {
                name: "the interval of log-SNR",
                got: format!("({low}, {high})"),
                need: "finite, and its lower end first",
            });
        }
        if rates.is_empty() {
            return Err(Error::Empty {
                what: "the table of rates",
            });
        }
        let total: f64 = rates.iter().sum();
        let odd = rates.iter().find(|rate| !(**rate > 0.0));
        if odd.is_some() || !total.is_finite() {
            return Err(Error::Parameter {
                name: "a rate of the table",
                got: odd.unwrap_or(&total).to_string(),
                need: "finite and above 0, so that no part is left out",
            });
        }
        let mut sum = 0.0;
        let shares = rates.iter().map(|rate| {
            sum += rate;
            sum / total
        });
        let mut below: Vec<f64> = std::iter::once(0.0).chain(shares).collect();
        below[rates.len()] = 1.0;
        Ok(Self { low, high, below })
    }

    /// The ends.
    pub fn interval(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn parts(&self) -> usize {
        self.below.len() - 1
    }

    /// The part that a log-SNR lies in.
    pub(crate) fn part(&self, alpha: f64) -> usize {
        part((self.low, self.high), self.parts(), alpha)
    }

    /// The density, 0 outside of the interval.
    pub fn density(&self, alpha: f64) -> f64 {
        if !(self.low..=self.high).contains(&alpha) {
            return 0.0;
        }
        let part = self.part(alpha);
        let width = (self.high - self.low) / self.parts() as f64;
        (self.below[part + 1] - self.below[part]) / width
    }

    /// The share of the distribution below `alpha`.
    pub fn cdf(&self, alpha: f64) -> f64 {
        let place = (alpha - self.low) / (self.high - self.low) * self.parts() as f64;
        let part = self.part(alpha);
        let within = (place - part as f64).clamp(0.0, 1.0);
        self.below[part] + within * (self.below[part + 1] - self.below[part])
    }

    /// One draw in each of `n` parts of equal probability, in ascending order, with weights `1/(n·density)`: their sum with
    /// the values of a function is an unbiased estimate of its integral over the interval.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0, [`Error::Memory`] when the points do not fit.
    pub fn stratified(&self, n: usize, rng: &mut impl RngCore) -> Result<Quadrature> {
        room_for::<[f64; 3]>("the points of log-SNR", &[n])?;
        let width = (self.high - self.low) / self.parts() as f64;
        let point = |i: usize| {
            let share = (i as f64 + rng.random::<f64>()) / n as f64;
            let part = self.below.partition_point(|below| *below <= share);
            let part = (part - 1).min(self.parts() - 1);
            let mass = self.below[part + 1] - self.below[part];
            let within = (share - self.below[part]) / mass;
            let alpha = self.low + (part as f64 + within) * width;
            (alpha.clamp(self.low, self.high), width / (mass * n as f64))
        };
        let (log_snr, weight) = (0..n).map(point).unzip();
        let points = Quadrature {
            log_snr,
            weight,
            rule: Rule::Stratified,
            interval: self.interval(),
        };
        points.check().map(|()| points)
    }
}

/// The part of an interval, of so many equal ones, that a log-SNR lies in.
pub(crate) fn part((low, high): (f64, f64), parts: usize, alpha: f64) -> usize {
    let place = (alpha - low) / (high - low) * parts as f64;
    (place.max(0.0) as usize).min(parts - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng, stats};

    #[test]
    fn bad_tables_are_refused() {
        let new = |ends, rates: &[f64]| Tabulated::new(ends, rates).unwrap_err().to_string();
        assert!(new((1.0, 1.0), &[1.0]).starts_with("the interval"));
        assert!(new((0.0, f64::INFINITY), &[1.0]).starts_with("the interval"));
        assert!(new((0.0, 1.0), &[]).contains("table of rates"));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = new((0.0, 1.0), &[1.0, odd]);
            assert!(error.starts_with("a rate of the table"), "{error}");
        }
        let fine = Tabulated::new((0.0, 1.0), &[1.0]).unwrap();
        assert!(fine.stratified(0, &mut rng::seeded(0)).is_err());
    }

    #[test]
    fn draws_follow_the_table_and_sums_are_unbiased() {
        let rates = [0.5, 4.0, 1.0, 0.01, 2.0];
        let proposal = Tabulated::new((-3.0, 7.0), &rates).unwrap();
        let (n, mut rng) = (20_000, rng::seeded(1));
        let draws = proposal.stratified(n, &mut rng).unwrap();
        for (i, rate) in rates.iter().enumerate() {
            let own = draws.log_snr.iter().filter(|a| proposal.part(**a) == i);
            let share = own.count() as f64 / n as f64;
            assert!(
                (share - rate / 7.51).abs() < 2.0 / n as f64,
                "part {i}: {share}"
            );
        }
        let mut sorted = draws.log_snr.clone();
        sorted.sort_by(f64::total_cmp);
        for (i, &alpha) in sorted.iter().enumerate() {
            assert!((proposal.cdf(alpha) - (i as f64 + 0.5) / n as f64).abs() < 1.0 / n as f64);
        }
        // Few points each time, many times: the mean is the integral of x² over the interval.
        let sums: Vec<f64> = (0..2000)
            .map(|_| {
                let points = proposal.stratified(7, &mut rng).unwrap();
                points.integrate(|alpha| alpha * alpha)
            })
            .collect();
        let (mean, err) = (stats::mean(&sums), stats::std_err(&sums));
        assert!((mean - 370.0 / 3.0).abs() < 4.0 * err, "{mean} ± {err}");
        assert_eq!((proposal.cdf(-9.0), proposal.cdf(9.0)), (0.0, 1.0));
        assert_eq!((proposal.density(-9.0), proposal.density(9.0)), (0.0, 0.0));
    }
}
