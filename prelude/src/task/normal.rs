//! Two vectors that are jointly normal.

use ndarray::Array2;

use super::{Base, blocks, draw, some_dims};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rng::Rng;

/// A correlation `ρ` of two numbers together with `1 − ρ²`, which near `|ρ| = 1` cannot be had from `ρ`.
///
/// # Example: two pairs of the strength 2000 share 14.5087 nats
/// ```
/// use itd_prelude::task::Correlation;
///
/// let strong = Correlation::of_strength(2000.0)?;
/// assert!((2.0 * strong.nats() - 14.5087).abs() < 1e-4);
/// // 1 − ρ² = (1 + 2λ²)/(1 + λ²)²
/// assert!((strong.rest() / 4.999_998_125_000_625e-7 - 1.0).abs() < 1e-14);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    rho: f64,
    rest: f64,
}

impl Correlation {
    /// A correlation.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `|ρ| < 1`.
    ///
    /// # Numerics
    /// `1 − ρ²` is `(1 − ρ)(1 + ρ)`, of which both factors are exact or nearly so: right for the `f64` that is given.
    pub fn new(rho: f64) -> Result<Self> {
        match rho.abs() < 1.0 {
            true => Ok(Self {
                rho,
                rest: (1.0 - rho) * (1.0 + rho),
            }),
            false => Err(Error::Parameter {
                name: "a correlation",
                got: rho.to_string(),
                need: "above -1 and below 1",
            }),
        }
    }

    /// The correlation of `λz + e` and `λz + e′`, where `z`, `e` and `e′` are independent standard normal:
    /// `ρ = λ²/(1 + λ²)` and `1 − ρ² = (1 + 2λ²)/(1 + λ²)²`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `λ` is from 0 to 10⁶; above, samples in `f64` lose what the pair shares.
    pub fn of_strength(strength: f64) -> Result<Self> {
        if !(0.0..=1e6).contains(&strength) {
            return Err(Error::Parameter {
                name: "the strength of a pair",
                got: strength.to_string(),
                need: "from 0 to 1e6",
            });
        }
        let square = strength * strength;
        let all = 1.0 + square;
        Ok(Self {
            rho: square / all,
            rest: (1.0 + 2.0 * square) / all / all,
        })
    }

    /// `ρ`.
    pub fn rho(self) -> f64 {
        self.rho
    }

    /// `1 − ρ²`, to the last digits.
    pub fn rest(self) -> f64 {
        self.rest
    }

    /// The information of a normal pair, `−½ ln(1 − ρ²)` nats.
    pub fn nats(self) -> f64 {
        match self.rest < 0.5 {
            true => -0.5 * self.rest.ln(),
            // Near ρ = 0 the digits are in ρ.
            false => -0.5 * (-self.rho * self.rho).ln_1p(),
        }
    }
}

/// Vectors `x` and `y` that are jointly normal.
///
/// ```text
/// I(x; y) = ½ (ln|Σx| + ln|Σy| − ln|Σ|)
/// i(x; y) = I(x; y) + ½ (qx + qy − q),   q = (v − μ)ᵀ Σ⁻¹ (v − μ) of x, of y and of both
/// ```
///
/// # Numerics
/// Drawn and measured by factors of the covariance that are computed here one number after the other, so that the same
/// bits come out on every machine.
#[derive(Debug, Clone)]
pub struct Normal {
    dims: (usize, usize),
    mean: Vec<f64>,
    structure: Structure,
}

#[derive(Debug, Clone)]
enum Structure {
    /// `x_i` goes with `y_i` for the first so many; all variances are 1, all other covariances 0.
    Pairs(Vec<Correlation>),
    /// Lower triangular factors of the covariances of both and of `y`; that of `x` is a part of the first.
    Dense { joint: Array2<f64>, y: Array2<f64> },
}

impl Normal {
    /// Standard normal vectors whose coordinates `x_i` and `y_i` have the `i`-th correlation, and are otherwise
    /// independent: `I = Σ −½ ln(1 − ρ_i²)`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a dimension is 0 or below the number of correlations; [`Error::Memory`] when not even
    /// the mean fits.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::task::{Base, Correlation, Normal};
    ///
    /// let pair = Normal::pairs((3, 4), &[Correlation::new(0.6)?, Correlation::new(-0.8)?])?;
    /// let known = -(0.8f64 * 0.6).ln();
    /// assert!(pair.nats().is_some_and(|nats| (nats - known).abs() < 1e-15));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn pairs(dims: (usize, usize), correlations: &[Correlation]) -> Result<Self> {
        some_dims(dims)?;
        if correlations.len() > dims.0.min(dims.1) {
            return Err(Error::Parameter {
                name: "the number of pairs",
                got: format!(
                    "{} in {} and {} dimensions",
                    correlations.len(),
                    dims.0,
                    dims.1
                ),
                need: "at most the smaller dimension",
            });
        }
        let dim = dims.0.saturating_add(dims.1);
        room_for::<f64>("the mean", &[dim])?;
        Ok(Self {
            dims,
            mean: vec![0.0; dim],
            structure: Structure::Pairs(correlations.to_vec()),
        })
    }

    /// Vectors of a mean and a covariance, `x` first.
    ///
    /// # Shapes
    /// `mean: [dim_x + dim_y]`, `covariance: [dim_x + dim_y, dim_x + dim_y]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes. [`Error::Parameter`] when a dimension is 0, a number is not finite, or the
    /// covariance is not symmetric (to 10⁻¹² of the variances) and positive definite. [`Error::Memory`] when its factors do
    /// not fit, [`Error::Interrupted`] when the user stops it.
    pub fn new(dims: (usize, usize), mean: &[f64], covariance: &Array2<f64>) -> Result<Self> {
        some_dims(dims)?;
        let dim = dims.0.saturating_add(dims.1);
        if mean.len() != dim {
            return Err(Error::Shape {
                what: "the mean",
                got: vec![mean.len()],
                need: format!("[{dim}], x first and then y"),
            });
        }
        if covariance.dim() != (dim, dim) {
            return Err(Error::Shape {
                what: "the covariance",
                got: covariance.shape().to_vec(),
                need: format!("[{dim}, {dim}], x first and then y"),
            });
        }
        if let Some(bad) = mean.iter().find(|value| !value.is_finite()) {
            return Err(Error::Parameter {
                name: "the mean",
                got: bad.to_string(),
                need: "of finite numbers",
            });
        }
        if !is_symmetric(covariance) {
            return Err(Error::Parameter {
                name: "the covariance",
                got: "not finite, or not symmetric".to_owned(),
                need: "a symmetric matrix of finite numbers",
            });
        }
        room_for::<f64>("the factors of the covariance", &[2, dim, dim])?;
        Ok(Self {
            dims,
            mean: mean.to_vec(),
            structure: Structure::Dense {
                joint: factor(covariance, 0)?,
                y: factor(covariance, dims.0)?,
            },
        })
    }

    /// Standard normal vectors of which any two coordinates have the same correlation. With
    /// `D_k = (1 − ρ)^(k−1) (1 + (k−1)ρ)`, `I = ½ ln(D_dim_x D_dim_y / D_(dim_x + dim_y))`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `−1/(dim_x + dim_y − 1) < ρ < 1`; [`Error::Memory`] when the covariance does not fit.
    pub fn dense(dims: (usize, usize), correlation: f64) -> Result<Self> {
        some_dims(dims)?;
        let dim = dims.0.saturating_add(dims.1);
        room_for::<f64>("the covariance", &[3, dim, dim])?;
        let covariance = Array2::from_shape_fn((dim, dim), |(i, j)| match i == j {
            true => 1.0,
            false => correlation,
        });
        Self::new(dims, &vec![0.0; dim], &covariance)
    }

    /// Fills `xy` with one draw less its mean.
    pub(super) fn deviate(&self, rng: &mut Rng, xy: &mut [f64]) {
        draw::fill_normal(rng, xy);
        match &self.structure {
            Structure::Pairs(correlations) => {
                let (x, y) = xy.split_at_mut(self.dims.0);
                for ((x, y), pair) in x.iter().zip(y).zip(correlations) {
                    *y = pair.rho * x + pair.rest.sqrt() * *y;
                }
            }
            // From the last on, so that what is still needed is still there.
            Structure::Dense { joint, .. } => {
                for i in (0..xy.len()).rev() {
                    let row = joint.row(i);
                    let terms = row.iter().zip(xy.iter()).take(i + 1);
                    xy[i] = terms.map(|(factor, value)| factor * value).sum();
                }
            }
        }
    }

    /// The mean, `x` first.
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// `(v − μ)ᵀ Σ⁻¹ (v − μ)` of `x`, of `y` and of both.
    pub(super) fn squares(&self, x: &[f64], y: &[f64]) -> [f64; 3] {
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let (mean_x, mean_y) = self.mean.split_at(self.dims.0);
        match &self.structure {
            Structure::Pairs(correlations) => {
                let mut both = square(x);
                for (i, y) in y.iter().enumerate() {
                    both += match correlations.get(i) {
                        None => y * y,
                        Some(pair) => {
                            let left = y - pair.rho * x[i];
                            left * left / pair.rest
                        }
                    };
                }
                [square(x), square(y), both]
            }
            Structure::Dense { joint, y: factor_y } => {
                let less = |values: &[f64], mean: &[f64]| -> Vec<f64> {
                    values.iter().zip(mean).map(|(v, m)| v - m).collect()
                };
                let mut own = less(y, mean_y);
                let mut both = less(x, mean_x);
                both.extend_from_slice(&own);
                solve(joint, &mut both);
                solve(factor_y, &mut own);
                let of_x = square(&both[..self.dims.0]);
                [of_x, square(&own), of_x + square(&both[self.dims.0..])]
            }
        }
    }

    /// `ln |Σ|` of `x`, of `y` and of both.
    pub(super) fn log_dets(&self) -> [f64; 3] {
        match &self.structure {
            Structure::Pairs(_) => [0.0, 0.0, -2.0 * self.information()],
            Structure::Dense { joint, y } => {
                let [x, rest] = self.halves(joint);
                [x, log_diagonal(y.diag().iter()), x + rest]
            }
        }
    }

    /// `ln |Σx|` and `ln |Σ(y given x)|` from the factor of both.
    fn halves(&self, joint: &Array2<f64>) -> [f64; 2] {
        let diagonal = joint.diag();
        let dim_x = self.dims.0;
        [
            log_diagonal(diagonal.iter().take(dim_x)),
            log_diagonal(diagonal.iter().skip(dim_x)),
        ]
    }

    /// `I(x; y)` in nats.
    pub(super) fn information(&self) -> f64 {
        match &self.structure {
            Structure::Pairs(correlations) => {
                correlations.iter().fold(0.0, |sum, pair| sum + pair.nats())
            }
            // Information is what knowing x takes off ln |Σy|, and never below 0.
            Structure::Dense { joint, y } => {
                let own = log_diagonal(y.diag().iter());
                (0.5 * (own - self.halves(joint)[1])).max(0.0)
            }
        }
    }
}

impl Base for Normal {
    fn dims(&self) -> (usize, usize) {
        self.dims
    }

    fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
        self.deviate(rng, xy);
        for (value, mean) in xy.iter_mut().zip(&self.mean) {
            *value += mean;
        }
    }

    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
        let [of_x, of_y, both] = self.squares(x, y);
        self.information() + 0.5 * (of_x + of_y - both)
    }

    fn nats(&self) -> Option<f64> {
        Some(self.information())
    }
}

/// Whether a square matrix is finite, has variances > 0 and is symmetric as far as these allow.
fn is_symmetric(matrix: &Array2<f64>) -> bool {
    matrix.indexed_iter().all(|((i, j), value)| {
        let scale = (matrix[[i, i]] * matrix[[j, j]]).sqrt();
        (value - matrix[[j, i]]).abs() <= 1e-12 * scale && value.is_finite()
    })
}

/// The lower triangular `L` with `LLᵀ` = the part of a matrix from row and column `start` on.
fn factor(matrix: &Array2<f64>, start: usize) -> Result<Array2<f64>> {
    let dim = matrix.nrows() - start;
    let mut lower: Array2<f64> = Array2::zeros((dim, dim));
    for i in 0..dim {
        blocks::listen("factoring the covariance", i, dim)?;
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[[i, k]] * lower[[j, k]]).sum();
            let left = matrix[[start + i, start + j]] - known;
            if i > j {
                lower[[i, j]] = left / lower[[j, j]];
                continue;
            }
            // What is left of a variance after as many subtractions is noise below this.
            if !(left > 1e-14 * matrix[[start + i, start + i]]) {
                return Err(Error::Parameter {
                    name: "the covariance",
                    got: format!(
                        "one whose coordinate {} the ones before determine",
                        start + i
                    ),
                    need: "positive definite; take that coordinate out, or make its correlations smaller",
                });
            }
            lower[[i, i]] = left.sqrt();
        }
    }
    Ok(lower)
}

/// `L⁻¹ v`, in place.
fn solve(lower: &Array2<f64>, v: &mut [f64]) {
    for i in 0..v.len() {
        let row = lower.row(i);
        let terms = row.iter().zip(v.iter()).take(i);
        let known: f64 = terms.map(|(factor, value)| factor * value).sum();
        v[i] = (v[i] - known) / lower[[i, i]];
    }
}

/// `ln |LLᵀ|` from the diagonal of `L`.
fn log_diagonal<'a>(diagonal: impl Iterator<Item = &'a f64>) -> f64 {
    diagonal.map(|value| 2.0 * value.ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn pairs_are_the_same_as_their_covariance() {
        let pairs = [0.6, -0.9].map(|rho| Correlation::new(rho).unwrap());
        let quick = Normal::pairs((3, 2), &pairs).unwrap();
        let mut covariance = Array2::eye(5);
        for (i, pair) in pairs.iter().enumerate() {
            covariance[[i, 3 + i]] = pair.rho();
            covariance[[3 + i, i]] = pair.rho();
        }
        let slow = Normal::new((3, 2), &[0.0; 5], &covariance).unwrap();
        assert!((quick.information() - slow.information()).abs() < 1e-13);
        for (a, b) in quick.log_dets().iter().zip(slow.log_dets()) {
            assert!((a - b).abs() < 1e-13);
        }
        let (mut rng, mut xy) = (stream(0, "test"), [0.0; 5]);
        for _ in 0..100 {
            quick.draw(&mut rng, &mut xy);
            let (x, y) = xy.split_at(3);
            let (a, b) = (quick.log_ratio(x, y), slow.log_ratio(x, y));
            assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    #[test]
    fn dense_covariances_have_their_closed_form() {
        let log_det = |k: f64, rho: f64| (k - 1.0) * (1.0 - rho).ln() + ((k - 1.0) * rho).ln_1p();
        for (dim_x, dim_y, rho) in [(1, 1, 0.75), (2, 3, 0.5), (50, 50, 0.5), (5, 5, -0.1)] {
            let normal = Normal::dense((dim_x, dim_y), rho).unwrap();
            let [x, y] = [dim_x, dim_y].map(|dim| dim as f64);
            let known = 0.5 * (log_det(x, rho) + log_det(y, rho) - log_det(x + y, rho));
            assert!((normal.information() - known).abs() < 1e-12);
        }
    }

    #[test]
    fn draws_have_mean_and_covariance() {
        let covariance =
            Array2::from_shape_vec((3, 3), vec![2.0, 0.5, -0.3, 0.5, 1.0, 0.2, -0.3, 0.2, 0.5]);
        let covariance = covariance.unwrap();
        let mean = [1.0, -2.0, 0.5];
        let normal = Normal::new((1, 2), &mean, &covariance).unwrap();
        let (n, mut rng) = (50_000, stream(0, "test"));
        let mut draws = vec![[0.0; 3]; n];
        draws.iter_mut().for_each(|xy| normal.draw(&mut rng, xy));
        for i in 0..3 {
            let center = draws.iter().map(|xy| xy[i]).sum::<f64>() / n as f64;
            assert!((center - mean[i]).abs() < 4.0 * (covariance[[i, i]] / n as f64).sqrt());
            for j in 0..3 {
                let product = |xy: &[f64; 3]| (xy[i] - mean[i]) * (xy[j] - mean[j]);
                let found = draws.iter().map(product).sum::<f64>() / n as f64;
                let known = covariance[[i, j]];
                let spread = covariance[[i, i]] * covariance[[j, j]] + known * known;
                assert!((found - known).abs() < 4.0 * (spread / n as f64).sqrt());
            }
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for rho in [1.0, -1.0, f64::NAN, 2.0] {
            assert!(Correlation::new(rho).is_err());
        }
        for strength in [-1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert!(Correlation::of_strength(strength).is_err());
        }
        let one = Correlation::new(0.5).unwrap();
        assert!(Normal::pairs((0, 1), &[]).is_err());
        assert!(Normal::pairs((1, 2), &[one, one]).is_err());
        assert!(Normal::pairs((usize::MAX, 2), &[one]).is_err());
        for rho in [1.0, -1.0, f64::NAN, -0.34] {
            assert!(Normal::dense((2, 2), rho).is_err(), "{rho}");
        }
        assert!(Normal::dense((1 << 30, 1 << 30), 0.5).is_err());
        let eye = Array2::eye(2);
        assert!(Normal::new((1, 1), &[0.0], &eye).is_err());
        assert!(Normal::new((1, 2), &[0.0; 3], &eye).is_err());
        assert!(Normal::new((1, 1), &[0.0, f64::INFINITY], &eye).is_err());
        let mut skew = eye.clone();
        skew[[0, 1]] = 0.5;
        assert!(Normal::new((1, 1), &[0.0; 2], &skew).is_err());
        let mut negative = eye.clone();
        negative[[1, 1]] = -1.0;
        assert!(Normal::new((1, 1), &[0.0; 2], &negative).is_err());
    }
}
