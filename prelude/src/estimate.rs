//! A number with its error: what every estimator here returns.

use std::fmt;
use std::sync::Arc;

use crate::check::Claim;
use crate::stats;
use crate::units;

/// An estimate in nats, with its standard error.
///
/// One that was made from samples keeps the value of each, so that two estimates of the same samples are compared
/// pair by pair: see [`Self::minus`].
///
/// # Example: a density read as a probability
/// ```
/// use itd_prelude::estimate::Estimate;
///
/// // 64 pixels, each uniform on 16 levels that lie 1/8 apart: 4 bits per pixel.
/// let nll = Estimate::new(64.0 * 2f64.ln(), 0.1, 100).of_dim(64);
/// assert!((nll.bits_per_dim() - 1.0).abs() < 1e-12);
/// assert!((nll.per_bin(0.125).bits_per_dim() - 4.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value in nats, summed over the dimensions.
    pub nats: f64,
    /// One standard error of [`Self::nats`]; 0 for closed forms, NaN where it cannot be known.
    pub std_err: f64,
    /// Independent samples behind it; 0 for closed forms.
    pub n: usize,
    /// Dimension of one sample, for what is told per dimension; `None` for what is not, such as an information.
    pub dim: Option<usize>,
    /// What the reader should know before the number is believed.
    pub warnings: Vec<Warning>,
    samples: Option<Arc<Samples>>,
}

/// The values of single samples.
#[derive(Debug, PartialEq)]
struct Samples {
    nats: Vec<f64>,
    /// The digest of the data.
    data: String,
    /// The part of the error that is not the samples'.
    common: CommonErr,
}

/// An error that all samples of an estimate have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CommonErr {
    /// One standard error.
    Size(f64),
    /// What the points of an integral leave open. All of it is linear in the integrand, so of the difference of two
    /// integrals over the same points it is found from the differences.
    OfPoints {
        /// The points and their weights.
        points: Arc<Vec<(f64, f64)>>,
        /// What each point that was drawn at random is off; the error is the root of the sum of their squares.
        draws: Vec<f64>,
        /// The change of each sample's integral against a coarser rule, times what of it is the error.
        change: Vec<f64>,
    },
}

impl CommonErr {
    /// One standard error.
    fn size(&self) -> f64 {
        match self {
            Self::Size(size) => *size,
            Self::OfPoints { draws, .. } => {
                f64::hypot(stats::root_sum_squares(draws), self.quadrature_err())
            }
        }
    }

    /// As numbers, in the order in which [`Self::decode`] takes them.
    pub(crate) fn encode(&self, to: &mut Vec<f64>) {
        match self {
            Self::Size(size) => to.extend([0.0, *size]),
            Self::OfPoints {
                points,
                draws,
                change,
            } => {
                to.extend([
                    1.0,
                    points.len() as f64,
                    draws.len() as f64,
                    change.len() as f64,
                ]);
                to.extend(points.iter().flat_map(|&(alpha, weight)| [alpha, weight]));
                to.extend(draws.iter().chain(change));
            }
        }
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is not that.
    pub(crate) fn decode(from: &mut impl Iterator<Item = f64>) -> Option<Self> {
        if from.next()? == 0.0 {
            return Some(Self::Size(from.next()?));
        }
        let lengths = [from.next()?, from.next()?, from.next()?].map(|length| length as usize);
        let mut list = |length: usize| {
            let list: Vec<f64> = from.by_ref().take(length).collect();
            (list.len() == length).then_some(list)
        };
        let points = list(lengths[0].checked_mul(2)?)?;
        let points = points.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        Some(Self::OfPoints {
            points: Arc::new(points.collect()),
            draws: list(lengths[1])?,
            change: list(lengths[2])?,
        })
    }

    /// The error of a fixed rule: what the change against a coarser one leaves after the samples' own error of that
    /// change is taken off.
    fn quadrature_err(&self) -> f64 {
        match self {
            Self::OfPoints { change, .. } => {
                stats::beyond_noise(stats::mean(change), stats::std_err(change))
            }
            Self::Size(_) => 0.0,
        }
    }

    /// That of so many times the value.
    pub(crate) fn times(&self, factor: f64) -> Self {
        let scaled = |values: &[f64]| values.iter().map(|value| factor * value).collect();
        match self {
            Self::Size(size) => Self::Size(factor.abs() * size),
            Self::OfPoints {
                points,
                draws,
                change,
            } => Self::OfPoints {
                points: points.clone(),
                draws: scaled(draws),
                change: scaled(change),
            },
        }
    }

    /// That of the difference.
    fn minus(&self, other: &Self) -> Self {
        let less = |a: &[f64], b: &[f64]| std::iter::zip(a, b).map(|(a, b)| a - b).collect();
        match (self, other) {
            (
                Self::OfPoints {
                    points,
                    draws,
                    change,
                },
                Self::OfPoints {
                    points: others,
                    draws: other_draws,
                    change: other_change,
                },
            ) if points == others && change.len() == other_change.len() => Self::OfPoints {
                points: points.clone(),
                draws: less(draws, other_draws),
                change: less(change, other_change),
            },
            _ => Self::Size(f64::hypot(self.size(), other.size())),
        }
    }
}

impl From<f64> for CommonErr {
    fn from(size: f64) -> Self {
        Self::Size(size)
    }
}

/// What the reader of an estimate should know.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// On some points of log-SNR the reference stood in for the curve.
    Fallback {
        /// Their number.
        points: usize,
        /// The lowest and the highest of them.
        interval: (f64, f64),
        /// By how much the value would be larger without; below 0, smaller.
        nats: f64,
    },
    /// A few samples make so much of the mean that its standard error says little.
    HeavyTail {
        /// The skewness of the samples' values.
        skewness: f64,
        /// Their number.
        n: usize,
    },
    /// At many points of log-SNR one or two samples make the mean: errors that are larger still, but rarer, may not
    /// have been seen at all.
    RareErrors {
        /// The share of the area under the curve that such points make.
        share: f64,
        /// The number of samples.
        n: usize,
    },
    /// Between the points more is unknown than the samples leave open: more points are needed.
    Coarse {
        /// The error of the quadrature, in nats.
        quadrature_err: f64,
    },
    /// The curve was measured by somebody else, who did not tell its errors.
    Unknown,
    /// So few points that what they leave open cannot be told.
    FewPoints {
        /// Their number.
        points: usize,
    },
}

/// Numbers that stand for a [`Warning`].
pub(crate) const WARNING: usize = 5;

impl Warning {
    /// The same of a value that it counts with this sign in.
    pub(crate) fn times(self, sign: f64) -> Self {
        match self {
            Self::Fallback {
                points,
                interval,
                nats,
            } => Self::Fallback {
                points,
                interval,
                nats: sign * nats,
            },
            other => other,
        }
    }

    /// Whether the values of the samples say it, so that it is found again with them.
    pub(crate) fn is_of_samples(&self) -> bool {
        matches!(self, Self::HeavyTail { .. })
    }

    pub(crate) fn numbers(&self) -> [f64; WARNING] {
        match *self {
            Self::Fallback {
                points,
                interval: (low, high),
                nats,
            } => [0.0, points as f64, low, high, nats],
            Self::HeavyTail { skewness, n } => [1.0, skewness, n as f64, 0.0, 0.0],
            Self::RareErrors { share, n } => [2.0, share, n as f64, 0.0, 0.0],
            Self::Coarse { quadrature_err } => [3.0, quadrature_err, 0.0, 0.0, 0.0],
            Self::Unknown => [4.0, 0.0, 0.0, 0.0, 0.0],
            Self::FewPoints { points } => [5.0, points as f64, 0.0, 0.0, 0.0],
        }
    }

    /// The one that these [numbers](Self::numbers) stand for.
    pub(crate) fn of_numbers(numbers: &[f64]) -> Option<Self> {
        let &[kind, a, b, c, d] = numbers else {
            return None;
        };
        Some(match kind as i64 {
            0 => Self::Fallback {
                points: a as usize,
                interval: (b, c),
                nats: d,
            },
            1 => Self::HeavyTail {
                skewness: a,
                n: b as usize,
            },
            2 => Self::RareErrors {
                share: a,
                n: b as usize,
            },
            3 => Self::Coarse { quadrature_err: a },
            4 => Self::Unknown,
            5 => Self::FewPoints { points: a as usize },
            _ => return None,
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fallback {
                points,
                interval: (low, high),
                nats,
            } => write!(
                f,
                "the reference stands in at {points} points of log-SNR from {low:.1} to {high:.1}; without, \
                 the value is {:.3} nats {}",
                nats.abs(),
                if *nats < 0.0 { "smaller" } else { "larger" }
            ),
            Self::HeavyTail { skewness, n } => write!(
                f,
                "the values of the {n} samples have the skewness {skewness:.1}: a few of them make the mean, and \
                 its standard error says little; take more samples, or more noises for each"
            ),
            Self::RareErrors { share, n } => write!(
                f,
                "one or two of the {n} samples make the error at points of {:.0} % of the area: larger and rarer errors \
                 may be missing, and the standard error says little; take more samples, or more noises for each",
                100.0 * share
            ),
            Self::Coarse { quadrature_err } => write!(
                f,
                "the points of log-SNR leave {quadrature_err:.3} nats open, more than the samples: take more points"
            ),
            Self::Unknown => write!(f, "the errors of the curve are not known"),
            Self::FewPoints { points } => write!(
                f,
                "what {points} points of log-SNR leave open cannot be told: take more points"
            ),
        }
    }
}

impl Estimate {
    /// A value with its standard error, from `n` samples.
    pub fn new(nats: f64, std_err: f64, n: usize) -> Self {
        Self {
            nats,
            std_err,
            n,
            dim: None,
            warnings: Vec::new(),
            samples: None,
        }
    }

    /// A value known without sampling.
    pub fn exact(nats: f64) -> Self {
        Self::new(nats, 0.0, 0)
    }

    /// The mean of the values of single samples of data with that digest. `common` is the error that all of them
    /// share, such as that of a quadrature.
    pub(crate) fn of_samples(nats: Vec<f64>, data: String, common: impl Into<CommonErr>) -> Self {
        let (n, common) = (nats.len(), common.into());
        let heavy = stats::heavy_tail(&nats).map(|skewness| Warning::HeavyTail { skewness, n });
        Self {
            nats: stats::mean(&nats),
            std_err: f64::hypot(stats::std_err(&nats), common.size()),
            n,
            dim: None,
            warnings: heavy.into_iter().collect(),
            samples: Some(Arc::new(Samples { nats, data, common })),
        }
    }

    /// The same, told per dimension, too.
    pub fn of_dim(self, dim: usize) -> Self {
        Self {
            dim: Some(dim),
            ..self
        }
    }

    /// The same with what the reader should know.
    pub(crate) fn warned(mut self, warnings: impl IntoIterator<Item = Warning>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// The value of each sample, in nats, where it is known; noisy for one sample, right in the mean.
    pub fn per_sample(&self) -> Option<&[f64]> {
        Some(&self.samples.as_ref()?.nats)
    }

    /// What [`Self::of_samples`] was given, where it was.
    pub(crate) fn samples(&self) -> Option<(&[f64], &str, &CommonErr)> {
        let samples = self.samples.as_ref()?;
        Some((&samples.nats, &samples.data, &samples.common))
    }

    /// The value in bits.
    pub fn bits(&self) -> f64 {
        units::bits(self.nats)
    }

    /// The value in bits per dimension; NaN for what has no dimension.
    pub fn bits_per_dim(&self) -> f64 {
        units::bits_per_dim(self.nats, self.dim.unwrap_or(0))
    }

    /// One standard error of [`Self::bits_per_dim`].
    pub fn bits_per_dim_err(&self) -> f64 {
        units::bits_per_dim(self.std_err, self.dim.unwrap_or(0))
    }

    /// `2.434 ± 0.017 bits/dim`, with as many digits as the error warrants.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::estimate::Estimate;
    ///
    /// let nll = Estimate::new(108.0, 0.75, 360).of_dim(64);
    /// assert_eq!(nll.in_bits_per_dim(), "2.435 ± 0.017 bits/dim");
    /// ```
    pub fn in_bits_per_dim(&self) -> String {
        let (value, error) = (self.bits_per_dim(), self.bits_per_dim_err());
        format!("{} bits/dim", with_error(value, error))
    }

    /// Reads a negative log density as the negative log probability of a bin with sides `spacing`:
    /// `−ln P(bin) ≈ −ln p(x) − dim · ln spacing`.
    ///
    /// For data that were dequantized with noise of that width the mean of the left side is never above
    /// the mean of the right side (Jensen), so the result bounds the discrete code length from above.
    ///
    /// A `spacing` that is not > 0, or a value without a dimension, gives NaN or infinity.
    pub fn per_bin(&self, spacing: f64) -> Self {
        let dim = self.dim.map_or(f64::NAN, |dim| dim as f64);
        self.shifted(-dim * spacing.ln())
    }

    /// The same with a number added that is known without error.
    pub(crate) fn shifted(&self, by: f64) -> Self {
        let samples = self.samples.as_ref().map(|samples| {
            Arc::new(Samples {
                nats: samples.nats.iter().map(|nats| nats + by).collect(),
                data: samples.data.clone(),
                common: samples.common.clone(),
            })
        });
        Self {
            nats: self.nats + by,
            samples,
            ..self.clone()
        }
    }

    /// The difference `self − other`.
    ///
    /// If both are of the same samples, they are subtracted pair by pair, and what the samples have in common is
    /// not counted as an error; nor is, of two integrals over the same points of log-SNR, what the points leave open of
    /// both. Else the two are taken as independent.
    ///
    /// # Example: two biased readings of the same samples
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let data = toy::correlated_gaussian(2000, 0)?.test;
    /// let (own, wide) = (data.gaussian()?, Gaussian::new(&[0.0, 0.0], &[&[2.0, 0.0], &[0.0, 2.0]])?);
    /// let (better, worse) = (own.nll(&data)?, wide.nll(&data)?);
    /// let gain = worse.minus(&better);
    /// assert!(gain.std_err < 0.7 * worse.std_err.hypot(better.std_err));
    /// # Ok(()) }
    /// ```
    pub fn minus(&self, other: &Self) -> Self {
        let nats = self.nats - other.nats;
        let dim = self.dim.filter(|_| self.dim == other.dim);
        let others = other.warnings.iter().cloned();
        let warnings = self.warnings.iter().cloned();
        let warnings = warnings.chain(others.map(|one| one.times(-1.0)));
        let difference = match self.pairs(other) {
            None => Self::new(
                nats,
                f64::hypot(self.std_err, other.std_err),
                match (self.n, other.n) {
                    (0, n) | (n, 0) => n,
                    (a, b) => a.min(b),
                },
            )
            .warned(warnings),
            Some((a, b)) => {
                let nats = a.nats.iter().zip(&b.nats).map(|(a, b)| a - b).collect();
                let common = a.common.minus(&b.common);
                // Whether the difference has a heavy tail, or too few points, is a question of its own.
                let of_its_own = |one: &Warning| {
                    matches!(one, Warning::HeavyTail { .. } | Warning::Coarse { .. })
                };
                let warnings = warnings.filter(|one| !of_its_own(one));
                let quadrature_err = common.quadrature_err();
                let found = Self::of_samples(nats, a.data.clone(), common);
                let rest = (found.std_err.powi(2) - quadrature_err.powi(2))
                    .max(0.0)
                    .sqrt();
                let coarse =
                    (quadrature_err > 2.0 * rest).then_some(Warning::Coarse { quadrature_err });
                found.warned(warnings).warned(coarse)
            }
        };
        Self { dim, ..difference }
    }

    /// The samples of two estimates, if they are the same.
    fn pairs<'a>(&'a self, other: &'a Self) -> Option<(&'a Samples, &'a Samples)> {
        let (a, b) = (self.samples.as_ref()?, other.samples.as_ref()?);
        (a.data == b.data && a.nats.len() == b.nats.len()).then_some((a, b))
    }

    /// Claims that the value lies within `sigmas` standard errors of `truth_nats`. It fails where the error is not
    /// known.
    pub fn within(&self, truth_nats: f64, sigmas: f64) -> Claim {
        Claim {
            holds: (self.nats - truth_nats).abs() <= sigmas * self.std_err,
            text: format!("{self} is within {sigmas} standard errors of {truth_nats:.4}"),
        }
    }

    /// Claims that the value lies below `other` by more than `sigmas` standard errors of the difference; see
    /// [`Self::minus`].
    pub fn below(&self, other: &Self, sigmas: f64) -> Claim {
        let difference = other.minus(self);
        let how = match self.pairs(other) {
            Some(_) => "of the paired difference",
            None => "of the difference",
        };
        Claim {
            holds: difference.nats > sigmas * difference.std_err,
            text: format!("{self} is below {other} by more than {sigmas} standard errors {how}"),
        }
    }
}

impl fmt::Display for Estimate {
    /// `1.219 ± 0.004 nats`, with as many digits as the error warrants.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nats", with_error(self.nats, self.std_err))
    }
}

/// A number with two digits of its error; with four of its own where there is none.
fn with_error(value: f64, error: f64) -> String {
    let digits = match error {
        error if error > 0.0 => (1.0 - error.log10().floor()).clamp(0.0, 12.0) as usize,
        _ => 4,
    };
    // Of a number as large as this no digit behind the point is known; and there is no −0.
    let number = |value: f64, digits: usize| match value.abs() >= 1e15 && value.is_finite() {
        true => format!("{value:.4e}"),
        false => format!("{:.digits$}", value + 0.0),
    };
    match error {
        0.0 => number(value, digits),
        error if error.is_finite() => {
            format!("{} ± {}", number(value, digits), number(error, digits))
        }
        _ => format!("{} ± unknown", number(value, 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(nats: f64, std_err: f64) -> Estimate {
        Estimate::new(nats, std_err, 10).of_dim(2)
    }

    #[test]
    fn it_prints_as_many_digits_as_it_knows() {
        assert_eq!(
            estimate(1.21853, 0.0042).to_string(),
            "1.2185 ± 0.0042 nats"
        );
        assert_eq!(estimate(-182.31, 4.25).to_string(), "-182.3 ± 4.2 nats");
        assert_eq!(Estimate::exact(1.21853).to_string(), "1.2185 nats");
        assert_eq!(Estimate::exact(-0.0).to_string(), "0.0000 nats");
        assert_eq!(estimate(-1e300, 1.5).to_string(), "-1.0000e300 ± 1.5 nats");
        assert_eq!(estimate(1.5, f64::NAN).to_string(), "1.5000 ± unknown nats");
        assert_eq!(
            estimate(1.5, f64::INFINITY).to_string(),
            "1.5000 ± unknown nats"
        );
        let bits = estimate(2.0 * 2f64.ln(), 0.01).in_bits_per_dim();
        assert_eq!(bits, "1.0000 ± 0.0072 bits/dim");
        assert!(Estimate::exact(1.0).bits_per_dim().is_nan());
    }

    #[test]
    fn claims_hold_both_numbers() {
        let claim = estimate(1.25, 0.01).within(1.2185, 4.0);
        assert!(claim.holds);
        assert!(claim.text.contains("1.250 ± 0.010") && claim.text.contains("1.2185"));
        assert!(!estimate(1.3, 0.01).within(1.2185, 4.0).holds);
        assert!(!estimate(f64::NAN, 0.01).within(1.2185, 4.0).holds);
        assert!(!estimate(1.3, f64::NAN).within(1.2185, 4.0).holds);
    }

    #[test]
    fn below_needs_room() {
        let gauss = estimate(2.0, 0.3);
        assert!(estimate(0.4, 0.4).below(&gauss, 3.0).holds);
        assert!(!estimate(0.6, 0.4).below(&gauss, 3.0).holds);
        assert!(!estimate(f64::NAN, 0.4).below(&gauss, 3.0).holds);
        assert!(!estimate(0.4, f64::NAN).below(&gauss, 3.0).holds);
    }

    #[test]
    fn estimates_of_the_same_samples_are_compared_pair_by_pair() {
        let of = |shift: f64, data: &str, common| {
            let nats = (0..50).map(|i| f64::from(i * 7 % 50) + shift * f64::from(i % 2));
            Estimate::of_samples(nats.collect(), data.into(), common)
        };
        let (a, b) = (of(0.0, "one", 0.0), of(1.0, "one", 0.0));
        let difference = b.minus(&a);
        assert!((difference.nats - 0.5).abs() < 1e-12 && difference.n == 50);
        assert!(difference.std_err < 0.08 && a.std_err > 2.0);
        assert!(a.below(&b, 5.0).holds && a.below(&b, 5.0).text.contains("paired"));
        // Other samples: two independent numbers.
        let elsewhere = of(1.0, "other", 0.0);
        let apart = elsewhere.minus(&a);
        assert!((apart.std_err / a.std_err.hypot(elsewhere.std_err) - 1.0).abs() < 1e-12);
        assert!(!a.below(&elsewhere, 5.0).holds);
        // What all samples have in common stays.
        let joint = of(1.0, "one", 3.0).minus(&of(0.0, "one", 4.0));
        assert!((joint.std_err - 5.0).abs() < 0.01);
        // A number that is added to all is no error.
        let (a, b) = (a.of_dim(2), b.of_dim(2));
        let moved = b.per_bin(0.5).minus(&a);
        assert!((moved.nats - 0.5 - 2.0 * 2f64.ln()).abs() < 1e-12);
        assert!((moved.std_err - difference.std_err).abs() < 1e-12);
    }
}
