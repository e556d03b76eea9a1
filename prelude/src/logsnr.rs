//! Points on the axis of log-SNR and their weights: random draws to train with, a quadrature to measure
//! with.

use std::f64::consts::PI;

use rand::Rng as _;
use rand::seq::SliceRandom;

use crate::data::Spectrum;
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats::{self, sigmoid};

/// Where the logistic is cut off by default, in units of its scale on both sides.
pub const CLIP: f64 = 4.0;

/// Points `α` and weights such that `mean(weight · f(α))` is, or estimates, `∫ f(α) dα`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSnr {
    /// `α`, dimensionless.
    pub log_snr: Vec<f64>,
    /// One weight for each point, in units of `α`.
    pub weight: Vec<f64>,
    /// How the points were chosen.
    pub rule: Rule,
}

/// How points on the axis of log-SNR were chosen; decides how the error of an integral is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The midpoint rule in the quantile of the logistic; points in ascending order.
    Midpoint,
    /// Independent draws from the logistic.
    Draws,
}

impl LogSnr {
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
    /// [`Error::Empty`] without points, [`Error::Mismatch`] unless each has a weight.
    pub fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::Empty {
                what: "the list of log-SNR points",
            });
        }
        if self.weight.len() != self.len() {
            return Err(Error::Mismatch {
                what: "points and weights",
                left: self.len().to_string(),
                right: self.weight.len().to_string(),
                next: "give each point of log-SNR one weight",
            });
        }
        Ok(())
    }

    /// `mean(weight · f(α))`, which approximates `∫ f(α) dα`.
    pub fn integrate(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.log_snr.iter().zip(&self.weight);
        let terms: Vec<f64> = terms.map(|(&alpha, weight)| weight * f(alpha)).collect();
        stats::mean(&terms)
    }
}

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

    /// Like [`Self::sample`], with one draw in each of `n` equal parts of the distribution, in random order.
    ///
    /// Each draw alone is distributed as in [`Self::sample`], and the mean is still unbiased, but over a batch
    /// it varies much less. Training uses it.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    pub fn stratified(&self, n: usize, rng: &mut Rng) -> Result<LogSnr> {
        let draw = |i| (f64::from(i) + rng.random::<f64>()) / n as f64;
        let mut shares: Vec<f64> = (0..n as u32).map(draw).collect();
        shares.shuffle(rng);
        self.at(shares, Rule::Draws)
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
        };
        points.check().map(|()| points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::stats::softplus;

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
    fn the_quadrature_converges_with_the_square_of_the_points() {
        let (low, high) = proposal().interval();
        let known = softplus(high) - softplus(low);
        let error = |n| (proposal().quadrature(n).unwrap().integrate(sigmoid) - known).abs();
        let (coarse, fine) = (error(200), error(800));
        assert!(fine < 1e-3, "{fine}");
        let ratio = coarse / fine;
        assert!((ratio - 16.0).abs() < 1.0, "{ratio}");
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
    }
}
