//! Mixtures of normals.

use rand::Rng as _;

use super::{Base, Normal};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats::log_sum_exp;

/// A [`Normal`] of which a share of the pairs is broken: there `y` belongs to another `x`.
///
/// ```text
/// p(x, y) = (1 − f) p_signal(x, y) + f p(x) p(y)
/// i(x; y) = ln((1 − f) exp(i_signal(x; y)) + f)
/// ```
///
/// Its information has no closed form: see [`Benchmark::measured`](super::Benchmark::measured).
#[derive(Debug, Clone)]
pub struct Inliers {
    signal: Normal,
    fraction: f64,
}

impl Inliers {
    /// A signal, and the fraction of pairs that are broken.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the fraction is from 0 to 1.
    pub fn new(signal: Normal, fraction: f64) -> Result<Self> {
        match (0.0..=1.0).contains(&fraction) {
            true => Ok(Self { signal, fraction }),
            false => Err(Error::Parameter {
                name: "the fraction of inliers",
                got: fraction.to_string(),
                need: "from 0 to 1",
            }),
        }
    }
}

impl Base for Inliers {
    fn dims(&self) -> (usize, usize) {
        self.signal.dims()
    }

    fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
        self.signal.draw(rng, xy);
        if rng.random::<f64>() < self.fraction {
            let mut other = vec![0.0; xy.len()];
            self.signal.draw(rng, &mut other);
            let dim_x = self.signal.dims().0;
            xy[dim_x..].copy_from_slice(&other[dim_x..]);
        }
    }

    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
        let signal = (-self.fraction).ln_1p() + self.signal.log_ratio(x, y);
        log_sum_exp(&[signal, self.fraction.ln()])
    }
}

/// A mixture of [`Normal`]s: `p(x, y) = Σ w_k p_k(x, y)`, so that `p(x) = Σ w_k p_k(x)` and `p(y) = Σ w_k p_k(y)`.
///
/// Its information has no closed form, but the ratio of its densities has one: see
/// [`Benchmark::measured`](super::Benchmark::measured).
///
/// # Example: a mixture of your own
/// ```
/// use itd_prelude::task::{Benchmark, Mixture, Normal};
/// use ndarray::array;
///
/// // Two clusters, which x and y have in common.
/// let near = Normal::new((1, 1), &[0.0, 0.0], &array![[1.0, 0.0], [0.0, 1.0]])?;
/// let far = Normal::new((1, 1), &[20.0, 20.0], &array![[1.0, 0.0], [0.0, 1.0]])?;
/// let clusters = Benchmark::measured("clusters", Mixture::new(&[0.5, 0.5], &[near, far])?, 100_000)?;
/// assert!((clusters.nats - 2f64.ln()).abs() < 1e-6); // which of the two
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mixture {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    share: f64,
    normal: Normal,
    /// `ln w − ½ ln|Σ|` of `x`, of `y` and of both; what all parts have in common cancels.
    logs: [f64; 3],
}

impl Mixture {
    /// Shares, which are scaled to sum to 1, and the normals that they belong to.
    ///
    /// # Errors
    /// [`Error::Empty`] without normals; [`Error::Mismatch`] when there are more or fewer shares, or normals of different
    /// dimensions; [`Error::Parameter`] unless shares are finite and above 0.
    pub fn new(shares: &[f64], normals: &[Normal]) -> Result<Self> {
        let Some(first) = normals.first() else {
            return Err(Error::Empty {
                what: "the mixture",
            });
        };
        if shares.len() != normals.len() {
            return Err(Error::Mismatch {
                what: "the shares and normals of a mixture",
                left: format!("{} shares", shares.len()),
                right: format!("{} normals", normals.len()),
                next: "give a share for each normal",
            });
        }
        if let Some(other) = normals.iter().find(|one| one.dims() != first.dims()) {
            return Err(Error::Mismatch {
                what: "the dimensions of a mixture's normals",
                left: format!("{:?}", first.dims()),
                right: format!("{:?}", other.dims()),
                next: "all must have the same dimensions of x and of y",
            });
        }
        let total: f64 = shares.iter().sum();
        let good = |share: &f64| *share > 0.0 && share.is_finite();
        if !(total.is_finite() && shares.iter().all(good)) {
            return Err(Error::Parameter {
                name: "the shares of a mixture",
                got: format!("{shares:?}"),
                need: "finite and above 0",
            });
        }
        let part = |(share, normal): (&f64, &Normal)| {
            let share = share / total;
            Part {
                share,
                normal: normal.clone(),
                logs: normal.log_dets().map(|log_det| share.ln() - 0.5 * log_det),
            }
        };
        Ok(Self {
            parts: shares.iter().zip(normals).map(part).collect(),
        })
    }
}

impl Base for Mixture {
    fn dims(&self) -> (usize, usize) {
        // There is a first part, and all are like it.
        self.parts.first().map_or((0, 0), |part| part.normal.dims())
    }

    fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
        let mut left = rng.random::<f64>();
        let chosen = self.parts.iter().find(|part| {
            left -= part.share;
            left < 0.0
        });
        // Shares that sum to less than 1 by rounding leave the rest to the last.
        if let Some(part) = chosen.or(self.parts.last()) {
            part.normal.draw(rng, xy);
        }
    }

    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
        let mut logs = [const { Vec::new() }; 3];
        for part in &self.parts {
            let squares = part.normal.squares(x, y);
            for ((all, log), square) in logs.iter_mut().zip(part.logs).zip(squares) {
                all.push(log - 0.5 * square);
            }
        }
        let [of_x, of_y, both] = logs.map(|logs| log_sum_exp(&logs));
        both - of_x - of_y
    }

    fn nats(&self) -> Option<f64> {
        match self.parts.as_slice() {
            [one] => one.normal.nats(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::rng::stream;
    use crate::task::Correlation;

    #[test]
    fn inliers_are_a_mixture_with_the_product() {
        let pair = Correlation::new(0.8).unwrap();
        let signal = Normal::pairs((2, 2), &[pair, pair]).unwrap();
        let noise = Normal::pairs((2, 2), &[]).unwrap();
        let mixture = Mixture::new(&[0.8, 0.2], &[signal.clone(), noise]).unwrap();
        let inliers = Inliers::new(signal, 0.2).unwrap();
        let (mut rng, mut xy) = (stream(0, "test"), [0.0; 4]);
        for _ in 0..200 {
            inliers.draw(&mut rng, &mut xy);
            let (x, y) = xy.split_at(2);
            let (a, b) = (inliers.log_ratio(x, y), mixture.log_ratio(x, y));
            assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    #[test]
    fn one_part_is_a_normal_and_no_noise_is_the_signal() {
        let normal = Normal::dense((2, 1), 0.4).unwrap();
        let mixture = Mixture::new(&[3.0], std::slice::from_ref(&normal)).unwrap();
        let signal = Inliers::new(normal.clone(), 0.0).unwrap();
        let broken = Inliers::new(normal.clone(), 1.0).unwrap();
        let (mut rng, mut xy) = (stream(0, "test"), [0.0; 3]);
        for _ in 0..200 {
            mixture.draw(&mut rng, &mut xy);
            let (x, y) = xy.split_at(2);
            let known = normal.log_ratio(x, y);
            assert!((mixture.log_ratio(x, y) - known).abs() < 1e-13);
            assert!((signal.log_ratio(x, y) - known).abs() < 1e-13);
            assert_eq!(broken.log_ratio(x, y), 0.0);
        }
        assert_eq!(mixture.nats(), normal.nats());
    }

    #[test]
    fn bad_settings_are_refused() {
        let one = Normal::dense((1, 1), 0.4).unwrap();
        let two = Normal::new((1, 2), &[0.0; 3], &Array2::eye(3)).unwrap();
        assert!(Mixture::new(&[], &[]).is_err());
        assert!(Mixture::new(&[1.0], &[one.clone(), one.clone()]).is_err());
        assert!(Mixture::new(&[0.5, 0.5], &[one.clone(), two]).is_err());
        for share in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Mixture::new(&[1.0, share], &[one.clone(), one.clone()]).is_err());
        }
        for fraction in [-0.1, 1.1, f64::NAN] {
            assert!(Inliers::new(one.clone(), fraction).is_err());
        }
    }
}
