//! A number with its error: what every estimator here returns.

use std::fmt;

use crate::check::Claim;
use crate::units;

/// An estimate in nats, for all dimensions together, with its standard error.
///
/// # Example: a density read as a probability
/// ```
/// use itd_prelude::estimate::Estimate;
///
/// // 64 pixels, each uniform on 16 levels that lie 1/8 apart: 4 bits per pixel.
/// let nll = Estimate { nats: 64.0 * 2f64.ln(), std_err: 0.1, n: 100, dim: 64 };
/// assert!((nll.bits_per_dim() - 1.0).abs() < 1e-12);
/// assert!((nll.per_bin(0.125).bits_per_dim() - 4.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value in nats, summed over the dimensions.
    pub nats: f64,
    /// One standard error of [`Self::nats`]; 0 for closed forms.
    pub std_err: f64,
    /// Independent samples behind it; 0 for closed forms.
    pub n: usize,
    /// Dimension of one sample.
    pub dim: usize,
}

impl Estimate {
    /// A value known without sampling.
    pub fn exact(nats: f64, dim: usize) -> Self {
        Self {
            nats,
            std_err: 0.0,
            n: 0,
            dim,
        }
    }

    /// The value in bits.
    pub fn bits(&self) -> f64 {
        units::bits(self.nats)
    }

    /// The value in bits per dimension.
    pub fn bits_per_dim(&self) -> f64 {
        units::bits_per_dim(self.nats, self.dim)
    }

    /// One standard error of [`Self::bits_per_dim`].
    pub fn bits_per_dim_err(&self) -> f64 {
        units::bits_per_dim(self.std_err, self.dim)
    }

    /// `2.434 ± 0.017 bits/dim`, with as many digits as the error warrants.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::estimate::Estimate;
    ///
    /// let nll = Estimate { nats: 108.0, std_err: 0.75, n: 360, dim: 64 };
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
    /// A `spacing` that is not > 0 gives NaN or infinity.
    pub fn per_bin(&self, spacing: f64) -> Self {
        Self {
            nats: self.nats - self.dim as f64 * spacing.ln(),
            ..*self
        }
    }

    /// Claims that the value lies within `sigmas` standard errors of `truth_nats`.
    pub fn within(&self, truth_nats: f64, sigmas: f64) -> Claim {
        Claim {
            holds: (self.nats - truth_nats).abs() <= sigmas * self.std_err,
            text: format!("{self} is within {sigmas} standard errors of {truth_nats:.4}"),
        }
    }

    /// Claims that the value lies below `other` by more than `sigmas` standard errors of the difference,
    /// taken as if the two were independent.
    pub fn below(&self, other: &Self, sigmas: f64) -> Claim {
        let apart = sigmas * self.std_err.hypot(other.std_err);
        Claim {
            holds: self.nats + apart < other.nats,
            text: format!("{self} is below {other} by more than {sigmas} standard errors"),
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
    match error == 0.0 {
        true => format!("{value:.digits$}"),
        false => format!("{value:.digits$} ± {error:.digits$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(nats: f64, std_err: f64) -> Estimate {
        let (n, dim) = (10, 2);
        Estimate {
            nats,
            std_err,
            n,
            dim,
        }
    }

    #[test]
    fn it_prints_as_many_digits_as_it_knows() {
        assert_eq!(
            estimate(1.21853, 0.0042).to_string(),
            "1.2185 ± 0.0042 nats"
        );
        assert_eq!(estimate(-182.31, 4.25).to_string(), "-182.3 ± 4.2 nats");
        assert_eq!(Estimate::exact(1.21853, 2).to_string(), "1.2185 nats");
        assert_eq!(estimate(1.5, f64::NAN).to_string(), "1.5000 ± NaN nats");
        let bits = estimate(2.0 * 2f64.ln(), 0.01).in_bits_per_dim();
        assert_eq!(bits, "1.0000 ± 0.0072 bits/dim");
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
    }
}
