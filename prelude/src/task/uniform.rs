//! A uniform number and its noisy copy.

use rand::Rng as _;

use super::{Base, draw};
use crate::error::{Error, Result};
use crate::rng::Rng;

/// `x` uniform on `[0, 1]` and `y = x + n` with `n` uniform on `[−ε, ε]`.
///
/// ```text
/// I(x; y) = ε − ln 2ε for ε ≤ ½, 1/(4ε) above
/// i(x; y) = −ln(min(1, y + ε) − max(0, y − ε)) where |y − x| ≤ ε, −∞ elsewhere
/// ```
///
/// The density jumps at the edges of a parallelogram, so that the gap between two denoisers falls off slowly in the SNR.
///
/// # Example
/// ```
/// use itd_prelude::task::{AdditiveUniform, Base};
///
/// let nats = AdditiveUniform::new(0.1)?.nats();
/// assert!(nats.is_some_and(|nats| (nats - 1.70944).abs() < 1e-5));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdditiveUniform {
    epsilon: f64,
}

impl AdditiveUniform {
    /// Noise of that half width.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `ε` is from 10⁻⁶ to 10⁶.
    pub fn new(epsilon: f64) -> Result<Self> {
        match (1e-6..=1e6).contains(&epsilon) {
            true => Ok(Self { epsilon }),
            false => Err(Error::Parameter {
                name: "the half width of the noise",
                got: epsilon.to_string(),
                need: "from 1e-6 to 1e6",
            }),
        }
    }
}

impl Base for AdditiveUniform {
    fn dims(&self) -> (usize, usize) {
        (1, 1)
    }

    fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
        xy[0] = rng.random();
        xy[1] = xy[0] + draw::between(rng, -self.epsilon, self.epsilon);
    }

    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
        let (x, y, epsilon) = (x[0], y[0], self.epsilon);
        // The sum x + n is rounded.
        let slack = 4.0 * f64::EPSILON * (1.0 + epsilon);
        if !((0.0..=1.0).contains(&x) && (y - x).abs() <= epsilon + slack) {
            return f64::NEG_INFINITY;
        }
        -((y + epsilon).min(1.0) - (y - epsilon).max(0.0)).ln()
    }

    fn nats(&self) -> Option<f64> {
        let epsilon = self.epsilon;
        Some(match epsilon > 0.5 {
            true => 0.25 / epsilon,
            false => epsilon - (2.0 * epsilon).ln(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn outside_of_its_support_there_is_no_information() {
        let base = AdditiveUniform::new(0.25).unwrap();
        assert_eq!(base.log_ratio(&[0.5], &[0.8]), f64::NEG_INFINITY);
        assert_eq!(base.log_ratio(&[1.5], &[1.5]), f64::NEG_INFINITY);
        assert_eq!(base.log_ratio(&[0.5], &[f64::NAN]), f64::NEG_INFINITY);
        assert!((base.log_ratio(&[0.5], &[0.5]) - 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn the_noise_is_uniform() {
        let base = AdditiveUniform::new(0.1).unwrap();
        let (n, mut rng, mut xy) = (100_000, stream(0, "test"), [0.0; 2]);
        let mut sums = [0.0; 4];
        for _ in 0..n {
            base.draw(&mut rng, &mut xy);
            let noise = (xy[1] - xy[0]) / 0.1;
            for (sum, term) in sums
                .iter_mut()
                .zip([xy[0], xy[0] * xy[0], noise, noise * noise])
            {
                *sum += term / f64::from(n);
            }
        }
        // Of U(0, 1) and U(−1, 1): moments, and the variances of their terms.
        let known = [
            (0.5, 1.0 / 12.0),
            (1.0 / 3.0, 4.0 / 45.0),
            (0.0, 1.0 / 3.0),
            (1.0 / 3.0, 4.0 / 45.0),
        ];
        for (found, (known, variance)) in sums.into_iter().zip(known) {
            assert!((found - known).abs() < 4.0 * (variance / f64::from(n)).sqrt());
        }
    }

    #[test]
    fn bad_widths_are_refused() {
        for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(AdditiveUniform::new(epsilon).is_err());
        }
    }
}
