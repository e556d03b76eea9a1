//! The logistic proposal over log-SNR.

use std::f64::consts::PI;

use rand::{Rng as _, RngCore};

use super::{Quadrature, Rule};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::stats::{self, sigmoid};

/// Where the logistic is cut off by default, in units of its scale on both sides.
pub const CLIP: f64 = 4.0;

/// The furthest that a logistic may reach from its centre, in units of its scale: beyond, a quantile rounds to 1.
const FURTHEST: f64 = 30.0;

/// A logistic distribution over log-SNR, cut off at both ends of an interval.
///
/// Its shape suits Gaussian-like data, whose errors rise logistically from 0 to 1 per dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic {
    loc: f64,
    scale: f64,
    low: f64,
    high: f64,
}

impl Logistic {
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
        if !(clip > 0.0 && clip <= FURTHEST) {
            return refuse("clip", clip, "> 0 and at most 30");
        }
        let (low, high) = (loc - clip * scale, loc + clip * scale);
        if !(low < high && (high - low).is_finite()) {
            return refuse(
                "scale",
                scale,
                "so that the interval is finite and not empty",
            );
        }
        Ok(Self {
            loc,
            scale,
            low,
            high,
        })
    }

    /// The same logistic cut off at other ends, which need not lie evenly around its centre.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `low < high`, and both at most 30 scales from the centre.
    pub fn on(self, low: f64, high: f64) -> Result<Self> {
        let near = |end: f64| ((end - self.loc) / self.scale).abs() <= FURTHEST;
        if !(low < high && near(low) && near(high)) {
            return Err(Error::Parameter {
                name: "the interval of log-SNR",
                got: format!("({low}, {high})"),
                need: "its lower end first, and at most 30 scales from the centre",
            });
        }
        Ok(Self { low, high, ..self })
    }

    /// The logistic whose moments fit eigenvalues: `loc = −mean(ln λ)`, `scale = √(1 + factor · var(ln λ))`.
    pub(crate) fn of_log_eigenvalues(logs: &[f64], factor: f64) -> Result<Self> {
        let center = stats::mean(logs);
        // The variance of these dim numbers, not an estimate from a sample: divided by dim.
        let spread = logs.iter().map(|log| (log - center).powi(2)).sum::<f64>() / logs.len() as f64;
        Self::new(-center, (1.0 + factor * spread).sqrt(), CLIP)
    }

    /// The logistic that the published code has written into it for CIFAR-10: from −6.129 to 18.652.
    ///
    /// # Source
    /// `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `utilsitd/diffusionmodel.py`.
    ///
    /// # Example
    /// ```
    /// let (low, high) = itd_prelude::logsnr::Logistic::published_for_cifar10()?.interval();
    /// assert!((low + 6.129).abs() < 1e-3 && (high - 18.652).abs() < 1e-3);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    ///
    /// # Errors
    /// None in fact: these numbers are allowed.
    pub fn published_for_cifar10() -> Result<Self> {
        Self::new(6.261_363_983_154_297, 3.097_624_540_328_979_5, CLIP)
    }

    /// The logistic that fits an integrand which was measured: mean and variance of `|value|` as a density
    /// over `α`, cut off at both ends of the points' interval.
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
    /// use itd_prelude::logsnr::{Logistic, Quadrature};
    ///
    /// let points = Quadrature::trapezoid(-4.0, 18.0, 45)?;
    /// let bump: Vec<f64> = points.log_snr.iter().map(|a| (-(a - 9.0f64).powi(2) / 8.0).exp()).collect();
    /// let proposal = Logistic::adapted(&points, &bump)?;
    /// assert!((proposal.loc() - 9.0).abs() < 0.01);
    /// // A logistic of scale s has the variance π²s²/3, the bump has 4.
    /// assert!((proposal.scale() - 12f64.sqrt() / std::f64::consts::PI).abs() < 0.01);
    /// assert_eq!(proposal.interval(), (-4.0, 18.0));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn adapted(points: &Quadrature, values: &[f64]) -> Result<Self> {
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
        let mass: Vec<f64> = std::iter::zip(&points.weight, values)
            .map(|(weight, value)| weight * value.abs())
            .collect();
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
        let reach = FURTHEST * scale;
        let whole = Self::new(loc, scale, FURTHEST)?;
        whole.on(low.max(loc - reach), high.min(loc + reach))
    }

    /// The centre.
    pub fn loc(&self) -> f64 {
        self.loc
    }

    /// The width.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The same logistic cut off evenly, `clip` scales from its centre.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clip(self, clip: f64) -> Result<Self> {
        Self::new(self.loc, self.scale, clip)
    }

    /// The ends; `loc − clip·scale` and `loc + clip·scale` unless others were chosen.
    pub fn interval(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The share of the whole logistic below the interval, and inside of it.
    fn shares(&self) -> (f64, f64) {
        let t = |alpha: f64| (alpha - self.loc) / self.scale;
        let (low, high) = (t(self.low), t(self.high));
        // The difference of two sigmoids without the loss of digits far out.
        let inside = 0.5 * (0.5 * (high - low)).sinh() / ((0.5 * low).cosh() * (0.5 * high).cosh());
        (sigmoid(low), inside)
    }

    /// The share of the distribution below `alpha`.
    pub fn cdf(&self, alpha: f64) -> f64 {
        let (below, inside) = self.shares();
        ((sigmoid((alpha - self.loc) / self.scale) - below) / inside).clamp(0.0, 1.0)
    }

    /// Draws `n` points with weights that make `Σ weight · f(α)` an unbiased estimate of `∫ f(α) dα` over
    /// [`Self::interval`].
    ///
    /// With `u` uniform on [0, 1), `p = σ(t₀) + u·(σ(t₁) − σ(t₀))` and `α = loc + scale·logit(p)`, where `t₀` and
    /// `t₁` are the ends in units of the scale,
    ///
    /// ```text
    /// weight = 1/(n · density(α)) = scale · (σ(t₁) − σ(t₀)) · (2 + 2·cosh((α − loc)/scale)) / n
    /// ```
    ///
    /// To measure rather than to train, [`Self::quadrature`] is far more accurate.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0, [`Error::Memory`] when the points do not fit.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4; the proposal `q` of Eq. 15.
    ///
    /// # Example: the weights sum to the length of the interval
    /// ```
    /// use itd_prelude::{logsnr::Logistic, rng};
    ///
    /// let draws = Logistic::new(0.0, 2.0, 4.0)?.sample(10_000, &mut rng::seeded(0))?;
    /// // 2 · clip · scale = 16, and one standard error is 0.15.
    /// assert!((draws.weight.iter().sum::<f64>() - 16.0).abs() < 4.0 * 0.15);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn sample(&self, n: usize, rng: &mut impl RngCore) -> Result<Quadrature> {
        room_for::<[f64; 3]>("the points of log-SNR", &[n])?;
        self.at((0..n).map(|_| rng.random()).collect(), Rule::Draws)
    }

    /// One draw in each of `n` parts of equal probability, in ascending order.
    ///
    /// The sum is still unbiased, but varies much less than that of [`Self::sample`]. Training uses such
    /// points, [shuffled](Quadrature::shuffled).
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub fn stratified(&self, n: usize, rng: &mut impl RngCore) -> Result<Quadrature> {
        room_for::<[f64; 3]>("the points of log-SNR", &[n])?;
        let draw = |i| (i as f64 + rng.random::<f64>()) / n as f64;
        self.at((0..n).map(draw).collect(), Rule::Stratified)
    }

    /// `n` equally spaced points over [`Self::interval`]: the trapezoid rule in `α`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `n` is below 2.
    pub fn trapezoid(&self, n: usize) -> Result<Quadrature> {
        Quadrature::trapezoid(self.low, self.high, n)
    }

    /// `n` fixed points: the midpoint rule in the quantile of the logistic, in ascending order.
    ///
    /// # Errors
    /// As [`Self::sample`].
    ///
    /// # Numerics
    /// For smooth `f` the error falls as `1/n²`; 50 to 100 points are usually good to a thousandth of a
    /// bit per dimension.
    ///
    /// # Example: an integral with a known value
    /// ```
    /// use itd_prelude::{logsnr::Logistic, stats::sigmoid};
    ///
    /// let points = Logistic::new(0.0, 2.0, 4.0)?.quadrature(100)?;
    /// let integral = points.integrate(|alpha| sigmoid(alpha) * sigmoid(-alpha));
    /// assert!((integral - (sigmoid(8.0) - sigmoid(-8.0))).abs() < 1e-4);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn quadrature(&self, n: usize) -> Result<Quadrature> {
        room_for::<[f64; 3]>("the points of log-SNR", &[n])?;
        let shares = (0..n).map(|i| (i as f64 + 0.5) / n as f64);
        self.at(shares.collect(), Rule::Midpoint)
    }

    /// The points at given shares of the distribution.
    fn at(&self, shares: Vec<f64>, rule: Rule) -> Result<Quadrature> {
        let (below, inside) = self.shares();
        let n = shares.len() as f64;
        let point = |share: &f64| {
            let p = below + share * inside;
            // ln_1p(−p), not ln(1 − p): with a wide interval, p is within 1e-12 of 1 at the right end.
            let logit = p.ln() - (-p).ln_1p();
            let alpha = (self.loc + self.scale * logit).clamp(self.low, self.high);
            let t = (alpha - self.loc) / self.scale;
            (alpha, self.scale * inside * (2.0 + 2.0 * t.cosh()) / n)
        };
        let (log_snr, weight) = shares.iter().map(point).unzip();
        let points = Quadrature {
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

    fn proposal() -> Logistic {
        Logistic::new(1.5, 2.0, 4.0).unwrap()
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
            (0.0, 1e308, 4.0, "scale"),
            (1e300, 1.0, 4.0, "scale"),
            (0.0, 1.0, 0.0, "clip"),
            (0.0, 1.0, 31.0, "clip"),
            (0.0, 1.0, f64::NAN, "clip"),
        ] {
            let error = Logistic::new(loc, scale, clip).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        for (low, high) in [(0.0, f64::NAN), (3.0, 2.0), (-100.0, 0.0), (0.0, 1e9)] {
            assert!(proposal().on(low, high).is_err(), "{low} {high}");
        }
        assert!(proposal().sample(0, &mut rng::seeded(0)).is_err());
        assert!(proposal().quadrature(0).is_err());
        let much = proposal().quadrature(1 << 40).unwrap_err();
        assert!(matches!(much, Error::Memory { .. }), "{much}");
    }

    #[test]
    fn draws_follow_the_distribution() {
        let n = 20_000;
        let mut rng = rng::seeded(3);
        for proposal in [proposal(), proposal().on(-1.0, 9.0).unwrap()] {
            for draws in [
                proposal.sample(n, &mut rng).unwrap(),
                proposal.stratified(n, &mut rng).unwrap(),
            ] {
                let (low, high) = proposal.interval();
                assert!(draws.log_snr.iter().all(|a| (low..=high).contains(a)));
                // Kolmogorov and Smirnov: the largest distance between the two distribution functions.
                let mut sorted = draws.log_snr.clone();
                sorted.sort_by(f64::total_cmp);
                let distance = sorted.iter().enumerate().map(|(i, &a)| {
                    let (below, above) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                    let cdf = proposal.cdf(a);
                    (cdf - below).abs().max((above - cdf).abs())
                });
                let distance = distance.fold(0.0, f64::max);
                // Exceeded once in 10⁴ such tests.
                assert!(distance < 2.225 / (n as f64).sqrt(), "{distance}");
                let sum: f64 = draws.weight.iter().sum();
                let error = stats::std_err(&draws.weight) * n as f64;
                assert!((sum - (high - low)).abs() < 4.0 * error, "{sum}");
            }
        }
        assert_eq!(proposal().interval(), (-6.5, 9.5));
    }

    #[test]
    fn an_interval_may_lie_on_one_side() {
        // σ(α)σ(−α) has the integral σ.
        let f = |alpha: f64| sigmoid(alpha) * sigmoid(-alpha);
        for (low, high) in [(-2.0, 25.0), (3.0, 29.0), (-29.0, -4.0), (-30.0, 30.0)] {
            let points = Logistic::new(0.0, 1.0, 4.0).unwrap().on(low, high).unwrap();
            let points = points.quadrature(400).unwrap();
            let known = sigmoid(high) - sigmoid(low);
            assert!(
                (points.integrate(f) / known - 1.0).abs() < 1e-4,
                "{low} {high}"
            );
            assert!(points.log_snr[0] >= low && points.log_snr[399] <= high);
        }
    }

    /// A narrow bump near one end: the proposal stays inside of what was measured.
    #[test]
    fn an_adapted_proposal_ends_where_the_points_end() {
        let points = Quadrature::trapezoid(-4.0, 18.0, 89).unwrap();
        for (at, width) in [(15.0, 2.0f64), (9.0, 0.3), (-3.0, 1.0)] {
            let bump = points
                .log_snr
                .iter()
                .map(|a| (-((a - at) / width).powi(2)).exp());
            let proposal = Logistic::adapted(&points, &bump.collect::<Vec<_>>()).unwrap();
            let (low, high) = proposal.interval();
            assert!(low >= -4.0 && high <= 18.0, "{low} {high}");
            let fine = proposal.quadrature(200).unwrap();
            assert!(fine.log_snr.iter().all(|a| (-4.0..=18.0).contains(a)));
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
        let of = |factor| Logistic::of_log_eigenvalues(&[spread, -spread], factor).unwrap();
        assert!((of(3.0 / (PI * PI)).scale() - 1.9329).abs() < 1e-4);
        assert!((of(3.0 / PI).scale() - 3.0976).abs() < 1e-4);
        assert!(of(0.0).loc().abs() < 1e-9);
    }
}
