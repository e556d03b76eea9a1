//! A number seen through the channel: what comes out, and what that says.

use std::f64::consts::TAU;

use super::interval;
use super::{Component, REACH, Scalar, log_normal};
use crate::cell;
use crate::gauss_legendre::gauss;
use crate::stats;

/// What a noisy value says about the clean one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// `ln p(z)`.
    pub log_evidence: f64,
    /// `E[x | z]`, the best estimate.
    pub mean: f64,
    /// `Var[x | z]`, its squared error on average.
    pub variance: f64,
}

impl Scalar {
    /// What `z = √γ·x + ε` says about `x`.
    pub fn posterior(&self, z: f64, snr: f64) -> Posterior {
        let single = |&(weight, component): &(f64, Component)| {
            let mut posterior = component.posterior(z, snr);
            posterior.log_evidence += weight.ln();
            posterior
        };
        let singles: Vec<Posterior> = self.components().iter().map(single).collect();
        let logs: Vec<f64> = singles.iter().map(|one| one.log_evidence).collect();
        let log_evidence = stats::log_sum_exp(&logs);
        let chance = |log: f64| (log - log_evidence).exp();
        let mean: f64 = singles
            .iter()
            .map(|p| chance(p.log_evidence) * p.mean)
            .sum();
        let square = |p: &Posterior| p.variance + (p.mean - mean).powi(2);
        Posterior {
            log_evidence,
            mean,
            variance: singles
                .iter()
                .map(|p| chance(p.log_evidence) * square(p))
                .sum(),
        }
    }

    /// `mmse(γ) = E(x − E[x|z])²`, at `γ ≥ 0`; the variance at 0. NaN below 0, and when the user stops it.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 2, at the optimum of Eq. 3.
    ///
    /// # Example: a uniform number, before and after it is seen
    /// ```
    /// use itd_prelude::distribution::Scalar;
    ///
    /// let number = Scalar::uniform(0.0, 1.0)?;
    /// assert!((number.mmse(0.0) - 1.0 / 12.0).abs() < 1e-12);
    /// assert!((number.mmse(1e18) * 1e18 - 1.0).abs() < 1e-6);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn mmse(&self, snr: f64) -> f64 {
        match snr {
            f64::INFINITY => 0.0,
            snr => self.over_noisy(snr, |posterior| posterior.variance),
        }
    }

    /// `mmse(x, γ) = E_ε(x − E[x|z])²` of one value.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 5.
    pub fn pointwise_mmse(&self, x: f64, snr: f64) -> f64 {
        let around = self.around(x);
        over_noise(|eps| around.posterior(eps, snr).mean.powi(2))
    }

    /// `D(p(z|x) ‖ p(z))` in nats: what the channel tells of one value.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, left side of Eq. 4.
    pub fn kl(&self, x: f64, snr: f64) -> f64 {
        let around = self.around(x);
        over_noise(|eps| log_normal(eps, 1.0) - around.posterior(eps, snr).log_evidence)
    }

    /// `I(x; z)` in nats: what the channel tells on average. 0 at `γ = 0`; of points at `γ = ∞` their entropy. NaN below
    /// 0, and when the user stops it.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, left side of Eq. 1.
    pub fn mutual_information(&self, snr: f64) -> f64 {
        if snr == f64::INFINITY {
            let is_point = |(_, one): &(f64, Component)| matches!(one, Component::Point(_));
            return match self.components().iter().all(is_point) {
                true => self.entropy(),
                false => f64::INFINITY,
            };
        }
        let entropy_of_z = self.over_noisy(snr, |posterior| -posterior.log_evidence);
        entropy_of_z - 0.5 * (TAU.ln() + 1.0)
    }

    /// The distribution of `x − place`.
    fn around(&self, place: f64) -> Self {
        let moved = |&(weight, component): &(f64, Component)| (weight, component.around(place));
        Self {
            components: self.components().iter().map(moved).collect(),
        }
    }

    /// `∫ p(z) f(z) dz`, component by component.
    ///
    /// Of points and normals by the trapezoid rule: for functions as smooth as these it is right to the last digits
    /// once its step is below the width of the noise. Of an interval or a normal that is many noises wide, panel by
    /// panel: fine ones near the ends of all components, coarse ones where nothing happens.
    fn over_noisy(&self, snr: f64, f: impl Fn(Posterior) -> f64) -> f64 {
        if !(snr >= 0.0 && snr.is_finite()) {
            return f64::NAN;
        }
        let root = snr.sqrt();
        // The finest detail in z is as wide as the noise, or as the narrowest normal in it.
        let variance = |&(_, component): &(f64, Component)| match component {
            Component::Normal(_, variance) => variance,
            _ => 0.0,
        };
        let narrowest = self.components().iter().map(variance);
        let narrowest = narrowest.fold(f64::INFINITY, f64::min);
        let step = STEP * (1.0 + snr * narrowest).sqrt();
        let single = |&(weight, component): &(f64, Component)| {
            if cell::interrupted() {
                return f64::NAN;
            }
            // Counted from the component's own place: at a high SNR nothing would be left of the noise beside it.
            let place = match component {
                Component::Point(x) | Component::Normal(x, _) => x,
                Component::Uniform(..) => 0.0,
            };
            let (component, around) = (component.around(place), self.around(place));
            let [low, high] = component.reach();
            let (low, high) = (root * low - REACH, root * high + REACH);
            let evidence = |z: f64| component.posterior(z, snr).log_evidence.exp();
            let term = |z: f64| evidence(z) * f(around.posterior(z, snr));
            let steps = ((high - low) / step).ceil();
            if matches!(component, Component::Uniform(..)) || !(steps <= MANY) {
                let cuts = around.cuts(root, step, low, high);
                return weight
                    * cuts
                        .windows(2)
                        .map(|pair| gauss(pair[0], pair[1], 1, term))
                        .sum::<f64>();
            }
            let h = (high - low) / steps;
            let terms = (0..=steps as usize).map(|i| term(low + i as f64 * h));
            weight * terms.sum::<f64>() * h
        };
        self.components().iter().map(single).sum()
    }

    /// Where the panels over `[low, high]` meet. Their width grows with the distance to the nearest place where
    /// anything happens in z: the ends of an interval, a point, or a normal, all of which are as wide as the noise
    /// or wider.
    fn cuts(&self, root: f64, step: f64, low: f64, high: f64) -> Vec<f64> {
        let finest = 24.0 * step;
        let mut places: Vec<f64> = self
            .components()
            .iter()
            .flat_map(|&(_, component)| match component {
                Component::Normal(mean, variance) => {
                    // A normal is smooth on the scale of its own width.
                    let width = (1.0 + root * root * variance).sqrt();
                    (-9..=9)
                        .map(|i| root * mean + f64::from(i) * width)
                        .collect()
                }
                other => other.reach().map(|end| root * end).to_vec(),
            })
            .filter(|place| (low..=high).contains(place))
            .chain([low, high])
            .collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let mut cuts = vec![low];
        for pair in places.windows(2) {
            // From both ends to the middle, each panel as long as its distance to the end, but not below the finest.
            let (start, end) = (pair[0], pair[1]);
            let middle = 0.5 * (start + end);
            let mut ahead = Vec::new();
            let mut at = finest;
            while start + at < middle {
                ahead.push(at);
                at *= 2.0;
            }
            cuts.extend(ahead.iter().map(|at| start + at));
            cuts.push(middle);
            cuts.extend(ahead.iter().rev().map(|at| end - at));
            cuts.push(end);
        }
        cuts.dedup();
        cuts
    }
}

/// The step over noisy values, in standard deviations of the noise.
const STEP: f64 = 0.125;
/// Steps over a normal; one that is wider beside something narrow is cut into panels.
const MANY: f64 = 16_384.0;

impl Component {
    fn around(self, place: f64) -> Self {
        match self {
            Component::Point(x) => Component::Point(x - place),
            Component::Normal(mean, variance) => Component::Normal(mean - place, variance),
            Component::Uniform(low, high) => Component::Uniform(low - place, high - place),
        }
    }

    fn posterior(self, z: f64, snr: f64) -> Posterior {
        let root = snr.sqrt();
        let normal = |mean: f64, variance: f64| {
            let spread = 1.0 + snr * variance;
            Posterior {
                log_evidence: log_normal(z - root * mean, spread),
                mean: mean + root * variance * (z - root * mean) / spread,
                variance: variance / spread,
            }
        };
        match self {
            Component::Point(x) => normal(x, 0.0),
            Component::Normal(mean, variance) => normal(mean, variance),
            Component::Uniform(low, high) => interval::posterior(low, high, z, root),
        }
    }
}

/// `E f(ε)` for standard normal noise.
fn over_noise(f: impl Fn(f64) -> f64) -> f64 {
    let count = (REACH / STEP) as i32;
    let term = |i: i32| {
        let eps = f64::from(i) * STEP;
        log_normal(eps, 1.0).exp() * f(eps)
    };
    (-count..=count).map(term).sum::<f64>() * STEP
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::super::tests::all;
    use super::*;
    use crate::data::Grid;

    /// `p(z)` and moments by a sum over a fine grid of x.
    fn slow(scalar: &Scalar, z: f64, snr: f64) -> Posterior {
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        let mut add = |x: f64, p: f64| {
            let p = p * log_normal(z - snr.sqrt() * x, 1.0).exp();
            (mass, first, second) = (mass + p, first + p * x, second + p * x * x);
        };
        for &(weight, component) in scalar.components() {
            let [low, high] = component.reach();
            let n = 40_000;
            let h = (high - low) / f64::from(n);
            match component {
                Component::Point(x) => add(x, weight),
                _ => {
                    let own = Scalar::new(&[(1.0, component)]).unwrap();
                    for i in 0..n {
                        let x = low + (f64::from(i) + 0.5) * h;
                        add(x, weight * (-own.surprisal(x)).exp() * h);
                    }
                }
            }
        }
        let mean = first / mass;
        Posterior {
            log_evidence: mass.ln(),
            mean,
            variance: second / mass - mean * mean,
        }
    }

    #[test]
    fn posteriors_are_what_a_sum_over_x_gives() {
        for scalar in all() {
            for (z, snr) in [
                (0.3, 0.01),
                (-1.0, 0.5),
                (2.0, 3.0),
                (4.0, 30.0),
                (-9.0, 2.0),
            ] {
                let (fast, slow) = (scalar.posterior(z, snr), slow(&scalar, z, snr));
                assert!(
                    (fast.log_evidence - slow.log_evidence).abs() < 1e-6,
                    "{fast:?} {slow:?}"
                );
                assert!((fast.mean - slow.mean).abs() < 1e-6, "{fast:?} {slow:?}");
                assert!(
                    (fast.variance - slow.variance).abs() < 1e-6,
                    "{fast:?} {slow:?}"
                );
            }
        }
    }

    #[test]
    fn averages_over_x_are_averages_over_z() {
        // E over the values of a discrete source of what is known of each is what is known on average.
        let levels = Scalar::levels(Grid::new(-1.0, 1.0, 5).unwrap()).unwrap();
        for snr in [0.2, 3.0, 40.0] {
            let over = |f: &dyn Fn(f64) -> f64| -> f64 {
                levels
                    .components()
                    .iter()
                    .map(|&(w, component)| w * f(component.reach()[0]))
                    .sum()
            };
            let mmse = over(&|x| levels.pointwise_mmse(x, snr));
            assert!((mmse - levels.mmse(snr)).abs() < 1e-10);
            let information = over(&|x| levels.kl(x, snr));
            assert!((information - levels.mutual_information(snr)).abs() < 1e-10);
        }
    }

    #[test]
    fn the_normal_has_its_closed_forms() {
        let normal = Scalar::normal(0.7, 2.5).unwrap();
        for snr in [1e-3, 0.5, 8.0, 1e6] {
            let known = 2.5 / (1.0 + 2.5 * snr);
            assert!((normal.mmse(snr) / known - 1.0).abs() < 1e-10);
            let information = 0.5 * (1.0f64 + 2.5 * snr).ln();
            assert!((normal.mutual_information(snr) - information).abs() < 1e-10);
        }
        let entropy = 0.5 * (2.0 * PI * std::f64::consts::E * 2.5f64).ln();
        assert!((normal.entropy() - entropy).abs() < 1e-10);
    }

    /// The noise was lost beside a value of 10¹⁵ of its standard deviations.
    #[test]
    fn points_are_told_apart_at_any_high_snr() {
        let coin = Scalar::coin();
        for snr in [1e3, 1e16, 1e30, 1e200, 1e300, f64::INFINITY] {
            assert!(
                (coin.mutual_information(snr) - 2f64.ln()).abs() < 1e-12,
                "{snr}"
            );
            assert!(coin.mmse(snr).abs() < 1e-12, "{snr}");
        }
        assert!(coin.mutual_information(f64::NAN).is_nan() && coin.mmse(-1.0).is_nan());
        for snr in [1e16, 1e30, 1e200] {
            assert!((coin.kl(1.0, snr) - 2f64.ln()).abs() < 1e-12, "{snr}");
            assert!(coin.pointwise_mmse(-1.0, snr).abs() < 1e-12, "{snr}");
            let both = Scalar::new(&[
                (1.0, Component::Point(1.0)),
                (1.0, Component::Normal(-1.0, 0.5)),
            ]);
            // Which of the two it is, and half of the time the normal, ½ ln(1 + γ/2).
            let known = 2f64.ln() + 0.25 * (0.5 * snr).ln();
            let found = both.unwrap().mutual_information(snr);
            assert!((found / known - 1.0).abs() < 1e-6, "{snr}: {found} {known}");
        }
    }

    /// At 0 nothing is seen, and far out all is: NaN and a loop without end before.
    #[test]
    fn an_interval_is_known_at_both_ends_of_the_channel() {
        for (low, high) in [(0.0, 1.0), (-3.0, 5.0)] {
            let number = Scalar::uniform(low, high).unwrap();
            let width: f64 = high - low;
            assert!((number.mmse(0.0) / (width * width / 12.0) - 1.0).abs() < 1e-12);
            assert!(number.mutual_information(0.0).abs() < 1e-12);
            assert!((number.posterior(0.3, 0.0).mean - number.mean()).abs() < 1e-12);
            // d mmse/dγ at 0 is −(variance)².
            let slope = (number.mmse(1e-6) - number.mmse(0.0)) / 1e-6;
            assert!(
                (slope / -number.variance().powi(2) - 1.0).abs() < 1e-3,
                "{slope}"
            );
            for snr in [1e6, 1e12, 1e18, 1e30] {
                // But for the ends, a width of the noise each, z is as good as the noise: mmse = 1/γ.
                let left = number.mmse(snr) * snr;
                let slack = 2.0 / (width * snr.sqrt()) + 1e-12;
                assert!((left - 1.0).abs() < slack, "{snr}: {left}");
                let information = 0.5 * (snr / (TAU * std::f64::consts::E)).ln() + width.ln();
                let found = number.mutual_information(snr);
                assert!((found - information).abs() < 2.0 / snr.sqrt() + 1e-9 * information);
            }
            assert_eq!(number.mmse(f64::INFINITY), 0.0);
            assert!(number.mmse(-1.0).is_nan() && number.mmse(f64::NAN).is_nan());
        }
    }
}
