//! The logistic proposal over log-SNR.

use std::f64::consts::PI;

use rand::Rng as _;

use super::{LogSnr, Rule};
use crate::data::Spectrum;
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats::{self, sigmoid};

/// Where the logistic is cut off by default, in units of its scale on both sides.
pub const CLIP: f64 = 4.0;

/// A logistic distribution over log-SNR, cut off at `loc ± clip·scale`.
///
/// Its shape suits Gaussian-like data, whose errors rise logistically from 0 to 1 per dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticLogSnr {
    loc: f64,
    scale: f64,
    clip: f64,
}

impl LogisticLogSnr {
    /// A logistic around `loc`, `scale` wide, cut off `clip` scales from its centre ([`CLIP`] is usual).
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `loc` is finite, `scale` finite and > 0, and `0 < clip ≤ 30`; beyond that
    /// a quantile rounds to 1.
    pub fn new(loc: f64, scale: f64, clip: f64) -> Result<Self> {
        let refuse = |name, got: f64, need| {
            let got = got.to_string();
            Err(Error::Parameter { name, got, need })
        };
        if !loc.is_finite() {
            return refuse("loc", loc, "finite");
        }
        if !(scale > 0.0 && scale.is_finite()) {
            return refuse("scale", scale, "finite and > 0");
        }
        if !(clip > 0.0 && clip <= 30.0) {
            return refuse("clip", clip, "> 0 and at most 30");
        }
        Ok(Self { loc, scale, clip })
    }

    /// The logistic whose moments fit the data: `loc = −mean(ln λ)`, `scale = √(1 + 3/π² · var(ln λ))`.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4. The published code has `3/π`; see
    /// [`Self::as_published`].
    pub fn from_spectrum(spectrum: &Spectrum) -> Result<Self> {
        Self::moments(spectrum, 3.0 / (PI * PI))
    }

    /// The logistic of the published code, `scale = √(1 + 3/π · var(ln λ))`: wider than [`Self::from_spectrum`],
    /// and the one behind the paper's numbers.
    ///
    /// A logistic of scale `s` has the variance `π²s²/3`, so `3/π²` is what matching moments gives. Both
    /// weigh their points rightly; they differ in the interval that is integrated over.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn as_published(spectrum: &Spectrum) -> Result<Self> {
        Self::moments(spectrum, 3.0 / PI)
    }

    /// The logistic that the published code has written into it for CIFAR-10: from −6.129 to 18.652.
    ///
    /// # Source
    /// `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `utilsitd/diffusionmodel.py`.
    ///
    /// # Example
    /// ```
    /// let (low, high) = itd_prelude::logsnr::LogisticLogSnr::published_for_cifar10().interval();
    /// assert!((low + 6.129).abs() < 1e-3 && (high - 18.652).abs() < 1e-3);
    /// ```
    pub fn published_for_cifar10() -> Self {
        Self {
            loc: 6.261_363_983_154_297,
            scale: 3.097_624_540_328_979_5,
            clip: CLIP,
        }
    }

    /// The logistic that fits an integrand which was measured: mean and variance of `|value|` as a density
    /// over `α`, cut off where the points end.
    ///
    /// Points drawn from it lie where the integral gathers. For a density, `values` are the gap between the
    /// Gaussian's curve and the measured one; for a probability, the curve itself.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there is one value for each point, [`Error::NotFinite`] when one is not
    /// finite, [`Error::Parameter`] when all are 0 or lie at one point.
    ///
    /// # Example: a bump around 9
    /// ```
    /// use itd_prelude::logsnr::{LogSnr, LogisticLogSnr};
    ///
    /// let points = LogSnr::trapezoid(-4.0, 18.0, 45)?;
    /// let bump: Vec<f64> = points.log_snr.iter().map(|a| (-(a - 9.0f64).powi(2) / 8.0).exp()).collect();
    /// let proposal = LogisticLogSnr::adapted(&points, &bump)?;
    /// assert!((proposal.loc() - 9.0).abs() < 0.01);
    /// // A logistic of scale s has the variance π²s²/3, the bump has 4.
    /// assert!((proposal.scale() - 12f64.sqrt() / std::f64::consts::PI).abs() < 0.01);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn adapted(points: &LogSnr, values: &[f64]) -> Result<Self> {
        points.check()?;
        if values.len() != points.len() {
            return Err(Error::Mismatch {
                what: "points and values",
                left: points.len().to_string(),
                right: values.len().to_string(),
                next: "give each point of log-SNR the value that was measured there",
            });
        }
        if let Some(&got) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                what: "a value of the integrand",
                got,
                next: "look for NaN in the curve",
            });
        }
        let mass =
            std::iter::zip(&points.weight, values).map(|(weight, value)| weight * value.abs());
        let mass: Vec<f64> = mass.collect();
        let total: f64 = mass.iter().sum();
        let moment = |power: i32, center: f64| -> f64 {
            let terms = std::iter::zip(&points.log_snr, &mass);
            terms
                .map(|(alpha, mass)| mass * (alpha - center).powi(power))
                .sum::<f64>()
                / total
        };
        let loc = moment(1, 0.0);
        let scale = (3.0 * moment(2, loc)).sqrt() / PI;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::Parameter {
                name: "the integrand",
                got: format!("a total of {total}"),
                need: "different from 0 at two points or more",
            });
        }
        let (low, high) = points.interval;
        let reach = (high - loc).max(loc - low) / scale;
        Self::new(loc, scale, reach.clamp(1.0, 30.0))
    }

    fn moments(spectrum: &Spectrum, factor: f64) -> Result<Self> {
        let logs = spectrum.log_eigenvalues()?;
        let center = stats::mean(&logs);
        // The variance of these dim numbers, not an estimate from a sample: divided by dim.
        let spread = logs.iter().map(|log| (log - center).powi(2)).sum::<f64>() / logs.len() as f64;
        Self::new(-center, (1.0 + factor * spread).sqrt(), CLIP)
    }

    /// The centre.
    pub fn loc(&self) -> f64 {
        self.loc
    }

    /// The width.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The same logistic cut off elsewhere.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clip(self, clip: f64) -> Result<Self> {
        Self::new(self.loc, self.scale, clip)
    }

    /// The ends: `loc − clip·scale` and `loc + clip·scale`.
    pub fn interval(&self) -> (f64, f64) {
        let half = self.clip * self.scale;
        (self.loc - half, self.loc + half)
    }

    /// The share of the distribution below `alpha`.
    pub fn cdf(&self, alpha: f64) -> f64 {
        let below = sigmoid((alpha - self.loc) / self.scale) - sigmoid(-self.clip);
        (below / (self.clip / 2.0).tanh()).clamp(0.0, 1.0)
    }

    /// Draws `n` points with weights that make `mean(weight · f(α))` an unbiased estimate of `∫ f(α) dα`
    /// over [`Self::interval`].
    ///
    /// With `u` uniform on [0, 1), `p = σ(−clip) + u·tanh(clip/2)` and `α = loc + scale·logit(p)`,
    ///
    /// ```text
    /// weight = 1 / density(α) = scale · tanh(clip/2) · (2 + 2·cosh((α − loc)/scale))
    /// ```
    ///
    /// To measure rather than to train, [`Self::quadrature`] is far more accurate.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4; the proposal `q` of Eq. 15.
    ///
    /// # Example: the weights integrate 1 to the length of the interval
    /// ```
    /// use itd_prelude::{logsnr::LogisticLogSnr, rng, stats};
    ///
    /// let draws = LogisticLogSnr::new(0.0, 2.0, 4.0)?.sample(10_000, &mut rng::seeded(0))?;
    /// // 2 · clip · scale = 16, and one standard error is 0.15.
    /// assert!((stats::mean(&draws.weight) - 16.0).abs() < 4.0 * 0.15);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Result<LogSnr> {
        self.at((0..n).map(|_| rng.random()).collect(), Rule::Draws)
    }

    /// One draw in each of `n` parts of equal probability, in ascending order.
    ///
    /// The mean is still unbiased, but varies much less than that of [`Self::sample`]. Training uses such
    /// points, [shuffled](LogSnr::shuffled).
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    pub fn stratified(&self, n: usize, rng: &mut Rng) -> Result<LogSnr> {
        let draw = |i| (i as f64 + rng.random::<f64>()) / n as f64;
        self.at((0..n).map(draw).collect(), Rule::Stratified)
    }

    /// `n` equally spaced points over [`Self::interval`]: the trapezoid rule in `α`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `n` is below 2.
    pub fn trapezoid(&self, n: usize) -> Result<LogSnr> {
        let (low, high) = self.interval();
        LogSnr::trapezoid(low, high, n)
    }

    /// `n` fixed points: the midpoint rule in the quantile of the logistic, in ascending order.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    ///
    /// # Numerics
    /// For smooth `f` the error falls as `1/n²`; 50 to 100 points are usually good to a thousandth of a
    /// bit per dimension.
    ///
    /// # Example: an integral with a known value
    /// ```
    /// use itd_prelude::{logsnr::LogisticLogSnr, stats::sigmoid};
    ///
    /// let points = LogisticLogSnr::new(0.0, 2.0, 4.0)?.quadrature(100)?;
    /// let integral = points.integrate(|alpha| sigmoid(alpha) * sigmoid(-alpha));
    /// assert!((integral - (sigmoid(8.0) - sigmoid(-8.0))).abs() < 1e-4);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn quadrature(&self, n: usize) -> Result<LogSnr> {
        let shares = (0..n).map(|i| (i as f64 + 0.5) / n as f64);
        self.at(shares.collect(), Rule::Midpoint)
    }

    /// The points at given shares of the distribution.
    fn at(&self, shares: Vec<f64>, rule: Rule) -> Result<LogSnr> {
        let inside = (self.clip / 2.0).tanh();
        let point = |share: &f64| {
            let p = sigmoid(-self.clip) + share * inside;
            // ln_1p(−p), not ln(1 − p): with a wide clip, p is within 1e-12 of 1 at the right end.
            let logit = (p.ln() - (-p).ln_1p()).clamp(-self.clip, self.clip);
            let weight = self.scale * inside * (2.0 + 2.0 * logit.cosh());
            (self.loc + self.scale * logit, weight)
        };
        let (log_snr, weight) = shares.iter().map(point).unzip();
        let points = LogSnr {
            log_snr,
            weight,
            rule,
            interval: self.interval(),
        };
        points.check().map(|()| points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn proposal() -> LogisticLogSnr {
        LogisticLogSnr::new(1.5, 2.0, 4.0).unwrap()
    }

    #[test]
    fn bad_parameters_are_refused() {
        for (loc, scale, clip, name) in [
            (f64::NAN, 1.0, 4.0, "loc"),
            (f64::INFINITY, 1.0, 4.0, "loc"),
            (0.0, 0.0, 4.0, "scale"),
            (0.0, -1.0, 4.0, "scale"),
            (0.0, f64::NAN, 4.0, "scale"),
            (0.0, f64::INFINITY, 4.0, "scale"),
            (0.0, 1.0, 0.0, "clip"),
            (0.0, 1.0, 31.0, "clip"),
            (0.0, 1.0, f64::NAN, "clip"),
        ] {
            let error = LogisticLogSnr::new(loc, scale, clip)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(name), "{error}");
        }
        assert!(proposal().sample(0, &mut rng::seeded(0)).is_err());
        assert!(proposal().quadrature(0).is_err());
    }

    #[test]
    fn draws_follow_the_distribution() {
        let n = 20_000;
        let mut rng = rng::seeded(3);
        for draws in [
            proposal().sample(n, &mut rng).unwrap(),
            proposal().stratified(n, &mut rng).unwrap(),
        ] {
            let (low, high) = proposal().interval();
            assert_eq!((low, high), (-6.5, 9.5));
            assert!(draws.log_snr.iter().all(|a| (low..=high).contains(a)));
            // Kolmogorov and Smirnov: the largest distance between the two distribution functions.
            let mut sorted = draws.log_snr.clone();
            sorted.sort_by(f64::total_cmp);
            let distance = sorted.iter().enumerate().map(|(i, &a)| {
                let (below, above) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                let cdf = proposal().cdf(a);
                (cdf - below).abs().max((above - cdf).abs())
            });
            let distance = distance.fold(0.0, f64::max);
            // Exceeded once in 10⁴ such tests.
            assert!(distance < 2.225 / (n as f64).sqrt(), "{distance}");
            // E[w] = 2·clip·scale
            let error = (stats::mean(&draws.weight) - 16.0).abs();
            assert!(error < 4.0 * stats::std_err(&draws.weight), "{error}");
        }
    }

    #[test]
    fn a_seed_fixes_the_draws() {
        let draws = proposal().sample(3, &mut rng::seeded(0)).unwrap();
        for (a, known) in draws
            .log_snr
            .iter()
            .zip([3.2094221839, 1.2368016132, 3.1187807183])
        {
            assert!(
                (a - known).abs() < 1e-9,
                "value-breaking: {:?}",
                draws.log_snr
            );
        }
    }

    #[test]
    fn the_scale_is_the_papers_or_the_published_one() {
        // Two eigenvalues whose logarithms have the variance 9.001.
        let spread = 9.001f64.sqrt();
        let covariance = [vec![spread.exp(), 0.0], vec![0.0, (-spread).exp()]];
        let spectrum = Spectrum::new(vec![0.0; 2], &covariance).unwrap();
        let right = LogisticLogSnr::from_spectrum(&spectrum).unwrap();
        let published = LogisticLogSnr::as_published(&spectrum).unwrap();
        assert!((right.scale() - 1.9329).abs() < 1e-4);
        assert!((published.scale() - 3.0976).abs() < 1e-4);
        assert!(right.loc().abs() < 1e-9);
        let (low, high) = LogisticLogSnr::published_for_cifar10().interval();
        assert!((low + 6.129).abs() < 1e-3 && (high - 18.652).abs() < 1e-3);
    }
}
