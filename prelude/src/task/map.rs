//! Injective maps of one vector.

use std::f64::consts::{PI, SQRT_2};

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, Zip};
use rayon::prelude::*;

use super::blocks;
use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// An injective map of a vector, which leaves its information about any other as it is.
///
/// A map is a value: whoever makes one writes its settings down, and [`Self::dim`] says whether they fit a vector. It is
/// applied to data of your own by [`Self::apply`], and to tasks by [`Benchmark::mapped`](super::Benchmark::mapped).
///
/// # Numerics
/// All functions come from the crate `libm`, so that the results are the same bits on every machine. What is injective
/// on paper need not be so in `f64`: [`Self::NormalCdf`] is 1 from 8.3 on.
///
/// # Example: a spiral keeps the length of each vector
/// ```
/// use itd_prelude::task::{Map, Turn};
/// use ndarray::array;
///
/// let spiral = Map::Spiral(vec![Turn { plane: (0, 1), speed: std::f64::consts::FRAC_PI_2 }]);
/// let turned = spiral.apply(array![[1.0, 0.0, 0.0]].view())?;
/// assert!((turned[[0, 1]] - 1.0).abs() < 1e-15);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Map {
    /// `Φ(x)` of each coordinate, the normal's cumulative distribution, from 0 to 1. Not for long tails: it is exactly 1
    /// from 8.3 on.
    NormalCdf,
    /// `x√|x|` of each coordinate.
    HalfCube,
    /// `sign(x)|x|^p` of each coordinate, with `p > 0`.
    Power(f64),
    /// `asinh x` of each coordinate.
    Asinh,
    /// `x + Σ a·sin(f·x + p)` of each coordinate, with `Σ|a·f| < 1` so that it rises everywhere.
    Wiggly(Vec<Sine>),
    /// The inverse of a normal mixture's cumulative distribution, of each coordinate: from numbers in `[0, 1]`, such as
    /// [`Self::NormalCdf`] gives, to numbers that are distributed as the mixture. The shares sum to 1.
    Quantile(Vec<Bump>),
    /// Of a single number `u` in `[0, 1]` the point `(t cos t, t sin t)/21` with `t = 1.5π(1 + 2u)`.
    SwissRoll,
    /// Turns in planes of two coordinates, each by the angle `speed·‖x‖²`, in order. Lengths are kept, and volumes: what
    /// is distributed as `N(0, I)` still is.
    ///
    /// In planes that have no coordinate in common this is `exp(‖x‖² A) x`, with the skew-symmetric generator
    /// `A_ji = −A_ij = speed` for each plane `(i, j)`. Any generator has such planes in some orthogonal basis, to which
    /// [`Self::Linear`] leads, and back.
    Spiral(Vec<Turn>),
    /// `x_to + amplitude·sin(frequency·x_from)` in one coordinate; the others stay.
    Wave {
        /// The coordinate that moves.
        to: usize,
        /// Another one, which says how far.
        from: usize,
        /// The height of the wave.
        amplitude: f64,
        /// In radians for each unit of `x_from`.
        frequency: f64,
    },
    /// `M x`, with a square matrix that can be inverted.
    Linear(Array2<f64>),
    /// `factor·x + shift`, a pair for each coordinate or one for all; factors are not 0.
    Affine(Vec<(f64, f64)>),
}

/// One wave of [`Map::Wiggly`]: `amplitude·sin(frequency·x + phase)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sine {
    /// Its height.
    pub amplitude: f64,
    /// Radians for each unit of `x`.
    pub frequency: f64,
    /// Radians at 0.
    pub phase: f64,
}

/// One normal of [`Map::Quantile`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bump {
    /// Its share of the mixture, above 0.
    pub share: f64,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation, above 0.
    pub std_dev: f64,
}

/// One turn of [`Map::Spiral`], from the first coordinate of a plane towards the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// The two coordinates, counted from 0.
    pub plane: (usize, usize),
    /// Radians for each unit of `‖x‖²`.
    pub speed: f64,
}

impl Map {
    /// The wiggly line of `x` in the paper: `x + 0.4 sin x + 0.2 sin(1.7x + 1) + 0.03 sin(3.3x − 2.5)`.
    pub fn wiggly_x() -> Self {
        Self::sines([(0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5)])
    }

    /// The wiggly line of `y` in the paper: `y − 0.4 sin(0.4y) + 0.17 sin(1.3y + 3.5) + 0.02 sin(4.3y − 2.5)`.
    pub fn wiggly_y() -> Self {
        Self::sines([(-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5)])
    }

    fn sines(waves: [(f64, f64, f64); 3]) -> Self {
        let sine = |(amplitude, frequency, phase)| Sine {
            amplitude,
            frequency,
            phase,
        };
        Self::Wiggly(waves.map(sine).to_vec())
    }

    /// The two peaks of `x` in the paper: quantiles of `0.3·N(0, 1) + 0.7·N(5, 1)`.
    pub fn bimodal_x() -> Self {
        Self::two_peaks((0.3, 0.0), (0.7, 5.0))
    }

    /// The two peaks of `y` in the paper: quantiles of `0.5·N(−1, 1) + 0.5·N(3, 1)`.
    pub fn bimodal_y() -> Self {
        Self::two_peaks((0.5, -1.0), (0.5, 3.0))
    }

    fn two_peaks(one: (f64, f64), other: (f64, f64)) -> Self {
        let bump = |(share, mean)| Bump {
            share,
            mean,
            std_dev: 1.0,
        };
        Self::Quantile(vec![bump(one), bump(other)])
    }

    /// The dimension of what becomes of vectors of dimension `dim`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings outside of what each map says; [`Error::Shape`] for vectors that it cannot take.
    pub fn dim(&self, dim: usize) -> Result<usize> {
        let bad = |name, got: String, need| Err(Error::Parameter { name, got, need });
        match self {
            Self::Power(p) if !(*p > 0.0 && p.is_finite()) => {
                bad("the power of a map", p.to_string(), "finite and above 0")
            }
            Self::Wiggly(sines) => {
                let slope: f64 = sines
                    .iter()
                    .map(|s| (s.amplitude * s.frequency).abs())
                    .sum();
                let finite = |s: &Sine| s.amplitude.is_finite() && s.phase.is_finite();
                match slope < 1.0 && sines.iter().all(finite) {
                    true => Ok(dim),
                    false => bad(
                        "the waves of a wiggly map",
                        format!("{sines:?}"),
                        "finite, with a sum of |amplitude·frequency| below 1, so that the map is injective",
                    ),
                }
            }
            Self::Quantile(bumps) => {
                let total: f64 = bumps.iter().map(|bump| bump.share).sum();
                let good = |b: &Bump| {
                    b.share > 0.0 && b.mean.is_finite() && b.std_dev > 0.0 && b.std_dev.is_finite()
                };
                match (total - 1.0).abs() < 1e-9 && bumps.iter().all(good) {
                    true => Ok(dim),
                    false => bad(
                        "the normals of a quantile map",
                        format!("{bumps:?}"),
                        "at least one, finite, with standard deviations above 0 and shares above 0 that sum to 1",
                    ),
                }
            }
            Self::SwissRoll if dim != 1 => Err(Error::Shape {
                what: "a vector to be rolled",
                got: vec![dim],
                need: "[1]: a Swiss roll is made of a single number".to_owned(),
            }),
            Self::SwissRoll => Ok(2),
            Self::Spiral(turns) => {
                let good = |t: &Turn| {
                    let (i, j) = t.plane;
                    i != j && i < dim && j < dim && t.speed.is_finite()
                };
                match turns.iter().all(good) {
                    true => Ok(dim),
                    false => bad(
                        "a turn of a spiral",
                        format!("{turns:?} in {dim} dimensions"),
                        "of finite speed, in the plane of two coordinates that are there",
                    ),
                }
            }
            &Self::Wave {
                to,
                from,
                amplitude,
                frequency,
            } => {
                let finite = amplitude.is_finite() && frequency.is_finite();
                match finite && to != from && to < dim && from < dim {
                    true => Ok(dim),
                    false => bad(
                        "a wave",
                        format!("{self:?} in {dim} dimensions"),
                        "finite, from one coordinate to another, both of which are there",
                    ),
                }
            }
            Self::Affine(pairs) => {
                let good = |&(factor, shift): &(f64, f64)| {
                    factor != 0.0 && factor.is_finite() && shift.is_finite()
                };
                let fits = pairs.len() == 1 || pairs.len() == dim;
                match fits && pairs.iter().all(good) {
                    true => Ok(dim),
                    false => bad(
                        "an affine map",
                        format!("{pairs:?} in {dim} dimensions"),
                        "one pair, or one for each coordinate, finite, with factors other than 0",
                    ),
                }
            }
            Self::Linear(matrix) if matrix.dim() != (dim, dim) => Err(Error::Shape {
                what: "the matrix of a linear map",
                got: matrix.shape().to_vec(),
                need: format!("[{dim}, {dim}], as the vectors"),
            }),
            Self::Linear(matrix) if !is_invertible(matrix) => bad(
                "the matrix of a linear map",
                "one of less than full rank, or not finite".to_owned(),
                "finite and invertible, or the map is not injective",
            ),
            Self::NormalCdf | Self::HalfCube | Self::Power(_) | Self::Asinh | Self::Linear(_) => {
                Ok(dim)
            }
        }
    }

    /// Maps each row.
    ///
    /// # Shapes
    /// From `[n, dim]` to `[n, self.dim(dim)?]`.
    ///
    /// # Errors
    /// What [`Self::dim`] refuses. [`Error::NotFinite`] when a value is not finite, or is not so after the map.
    /// [`Error::Parameter`] when [`Self::Quantile`] or [`Self::SwissRoll`] gets a number outside of `[0, 1]`.
    /// [`Error::Memory`] when the result does not fit, [`Error::Interrupted`] when the user stops it.
    ///
    /// # Example: your own data, with shorter tails
    /// ```
    /// use itd_prelude::task::Map;
    /// use ndarray::array;
    ///
    /// let data = array![[0.0, 1e6], [-1.0, 3.0]];
    /// let mapped = Map::Asinh.apply(data.view())?;
    /// assert!((mapped[[0, 1]] - 14.508657738524219).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn apply(&self, values: ArrayView2<f64>) -> Result<Array2<f64>> {
        let n = values.nrows();
        let dim = self.dim(values.ncols())?;
        finite(values, "a value to be mapped", "take it out of the data")?;
        let unit = matches!(self, Self::Quantile(_) | Self::SwissRoll);
        let outside = |value: &&f64| !(0.0..=1.0).contains(*value);
        if let Some(bad) = values.iter().find(outside).filter(|_| unit) {
            return Err(Error::Parameter {
                name: "a value for a map of shares",
                got: bad.to_string(),
                need: "from 0 to 1, as `Map::NormalCdf` gives it",
            });
        }
        room_for::<f64>("the mapped samples", &[n, dim])?;
        let mut mapped = Array2::zeros((n, dim));
        let from = values.axis_chunks_iter(Axis(0), blocks::ROWS);
        let to = mapped.axis_chunks_iter_mut(Axis(0), blocks::ROWS);
        let both = from.into_par_iter().zip(to).enumerate();
        both.try_for_each(|(i, (from, mut to))| -> Result<()> {
            blocks::listen("mapping", i * blocks::ROWS, n)?;
            Zip::from(from.rows())
                .and(to.rows_mut())
                .for_each(|from, to| self.row(from, to));
            Ok(())
        })?;
        finite(mapped.view(), "a value after the map", "use a milder map")?;
        Ok(mapped)
    }

    /// Maps one row whose shape was checked.
    fn row(&self, from: ArrayView1<f64>, mut to: ArrayViewMut1<f64>) {
        match self {
            Self::SwissRoll => {
                let t = 1.5 * PI * (1.0 + 2.0 * from[0]);
                to[0] = t * libm::cos(t) / 21.0;
                to[1] = t * libm::sin(t) / 21.0;
            }
            Self::Spiral(turns) => {
                to.assign(&from);
                let square: f64 = from.iter().map(|x| x * x).sum();
                for turn in turns {
                    let (i, j) = turn.plane;
                    let (sin, cos) = libm::sincos(turn.speed * square);
                    (to[i], to[j]) = (cos * to[i] - sin * to[j], sin * to[i] + cos * to[j]);
                }
            }
            &Self::Wave {
                to: moved,
                from: other,
                amplitude,
                frequency,
            } => {
                to.assign(&from);
                to[moved] += amplitude * libm::sin(frequency * from[other]);
            }
            Self::Linear(matrix) => {
                // One number after the other: a fast product sums in the order that suits the machine.
                for (to, row) in to.iter_mut().zip(matrix.rows()) {
                    *to = row.iter().zip(from).map(|(factor, x)| factor * x).sum();
                }
            }
            Self::Affine(pairs) => {
                for (i, (to, from)) in to.iter_mut().zip(from).enumerate() {
                    let (factor, shift) = if pairs.len() == 1 { pairs[0] } else { pairs[i] };
                    *to = factor * from + shift;
                }
            }
            each => {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = each.number(*from);
                }
            }
        }
    }

    /// Maps one coordinate, for the maps that take each by itself.
    fn number(&self, x: f64) -> f64 {
        match self {
            Self::NormalCdf => normal_cdf(x),
            Self::HalfCube => x * x.abs().sqrt(),
            Self::Power(p) => libm::pow(x.abs(), *p).copysign(x),
            Self::Asinh => libm::asinh(x),
            Self::Wiggly(sines) => {
                let wave = |s: &Sine| s.amplitude * libm::sin(s.frequency * x + s.phase);
                x + sines.iter().map(wave).sum::<f64>()
            }
            Self::Quantile(bumps) => quantile(bumps, x),
            _ => x,
        }
    }
}

/// `Φ(x)`, with all digits on the left.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Where a normal mixture has the share `u` on its left, by bisection down to neighbouring numbers.
fn quantile(bumps: &[Bump], u: f64) -> f64 {
    let share = |t: f64| -> f64 {
        let one = |b: &Bump| b.share * normal_cdf((t - b.mean) / b.std_dev);
        bumps.iter().map(one).sum()
    };
    // 39 standard deviations on its left a normal has nothing that f64 can hold.
    let reach = |sign: f64| bumps.iter().map(move |b| b.mean + sign * 39.0 * b.std_dev);
    let mut low = reach(-1.0).fold(f64::INFINITY, f64::min);
    let mut high = reach(1.0).fold(f64::NEG_INFINITY, f64::max);
    loop {
        let middle = 0.5 * (low + high);
        if !(low < middle && middle < high) {
            return middle;
        }
        match share(middle) < u {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// Whether elimination finds a pivot above 10⁻¹² of the largest value in each column.
fn is_invertible(matrix: &Array2<f64>) -> bool {
    let mut left = matrix.clone();
    let dim = left.nrows();
    let largest = left
        .iter()
        .fold(0.0, |top: f64, value| top.max(value.abs()));
    if !left.iter().all(|value| value.is_finite()) {
        return false;
    }
    for k in 0..dim {
        let size = |i: &usize| left[[*i, k]].abs();
        let Some(pivot) = (k..dim).max_by(|i, j| size(i).total_cmp(&size(j))) else {
            return false;
        };
        if !(size(&pivot) > 1e-12 * largest) {
            return false;
        }
        for j in k..dim {
            left.swap([k, j], [pivot, j]);
        }
        for i in k + 1..dim {
            let factor = left[[i, k]] / left[[k, k]];
            for j in k..dim {
                left[[i, j]] -= factor * left[[k, j]];
            }
        }
    }
    true
}

/// Refuses values that are not finite.
fn finite(values: ArrayView2<f64>, what: &'static str, next: &'static str) -> Result<()> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(&got) => Err(Error::NotFinite { what, got, next }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn of(map: &Map, x: f64) -> f64 {
        map.apply(array![[x]].view()).unwrap()[[0, 0]]
    }

    #[test]
    fn maps_have_their_values() {
        assert!((of(&Map::NormalCdf, 1.0) - 0.841_344_746_068_542_9).abs() < 1e-15);
        // On the left the digits are kept: Φ(−10) = 7.6198530241605e-24.
        assert!((of(&Map::NormalCdf, -10.0) / 7.619_853_024_160_527e-24 - 1.0).abs() < 1e-12);
        assert_eq!(of(&Map::HalfCube, -4.0), -8.0);
        assert!((of(&Map::Power(1.5), -4.0) + 8.0).abs() < 1e-14);
        assert_eq!(of(&Map::Power(0.5), 0.0), 0.0);
        assert!((of(&Map::Asinh, -1.0) + (1.0 + 2f64.sqrt()).ln()).abs() < 1e-15);
        let x = 0.7f64;
        let known = x + 0.4 * x.sin() + 0.2 * (1.7 * x + 1.0).sin() + 0.03 * (3.3 * x - 2.5).sin();
        assert!((of(&Map::wiggly_x(), x) - known).abs() < 1e-15);
        let known =
            x - 0.4 * (0.4 * x).sin() + 0.17 * (1.3 * x + 3.5).sin() + 0.02 * (4.3 * x - 2.5).sin();
        assert!((of(&Map::wiggly_y(), x) - known).abs() < 1e-15);
        let roll = Map::SwissRoll.apply(array![[0.5]].view()).unwrap();
        assert!((roll[[0, 0]] + 3.0 * PI / 21.0).abs() < 1e-15 && roll[[0, 1]].abs() < 1e-15);
        let affine = Map::Affine(vec![(2.0, 1.0), (-1.0, 0.0)]);
        assert_eq!(
            affine.apply(array![[1.0, 2.0]].view()).unwrap(),
            array![[3.0, -2.0]]
        );
        let wave = Map::Wave {
            to: 0,
            from: 1,
            amplitude: 5.0,
            frequency: 3.0,
        };
        let moved = wave.apply(array![[1.0, 0.5]].view()).unwrap();
        assert!((moved[[0, 0]] - 1.0 - 5.0 * 1.5f64.sin()).abs() < 1e-15 && moved[[0, 1]] == 0.5);
    }

    #[test]
    fn a_quantile_is_the_inverse() {
        for map in [Map::bimodal_x(), Map::bimodal_y()] {
            let Map::Quantile(bumps) = &map else {
                panic!("a quantile")
            };
            for u in [1e-300, 1e-12, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-9] {
                let t = of(&map, u);
                let back: f64 = bumps.iter().map(|b| b.share * normal_cdf(t - b.mean)).sum();
                assert!((back / u - 1.0).abs() < 1e-11, "{u}: {t} {back}");
            }
            assert!(of(&map, 0.0) < -30.0 && of(&map, 1.0).is_finite());
        }
        // Of one normal it undoes Φ.
        let one = Map::Quantile(vec![Bump {
            share: 1.0,
            mean: 0.0,
            std_dev: 1.0,
        }]);
        for x in [-20.0, -1.5, 0.0, 3.0] {
            assert!((of(&one, of(&Map::NormalCdf, x)) - x).abs() < 1e-12);
        }
    }

    #[test]
    fn scalar_maps_rise() {
        let maps = [
            Map::HalfCube,
            Map::Power(0.3),
            Map::Asinh,
            Map::wiggly_x(),
            Map::wiggly_y(),
        ];
        for map in maps {
            let grid: Vec<f64> = (-600..600).map(|i| of(&map, f64::from(i) * 0.01)).collect();
            assert!(grid.windows(2).all(|pair| pair[0] < pair[1]), "{map:?}");
        }
    }

    #[test]
    fn a_spiral_is_the_exponential_of_its_generator() {
        // exp(A) by its series, with A_ij = −speed·‖x‖² and A_ji = speed·‖x‖².
        let (x, speed) = (array![0.5, -1.0, 2.0], 0.3);
        let angle = speed * 5.25;
        let a = array![[0.0, 0.0, 0.0], [0.0, 0.0, -angle], [0.0, angle, 0.0]];
        let (mut term, mut known) = (x.clone(), x.clone());
        for k in 1..60 {
            term = a.dot(&term) / f64::from(k);
            known += &term;
        }
        let spiral = Map::Spiral(vec![Turn {
            plane: (1, 2),
            speed,
        }]);
        let turned = spiral.apply(x.view().insert_axis(Axis(0))).unwrap();
        for (a, b) in turned.iter().zip(&known) {
            assert!((a - b).abs() < 1e-14);
        }
    }

    #[test]
    fn any_generator_is_turns_in_another_basis() {
        // A turns in the plane of u and v, which are no coordinates: exp(‖x‖² A) x by its series.
        let basis = array![[2.0, -1.0, 2.0], [2.0, 2.0, -1.0], [-1.0, 2.0, 2.0]] / 3.0;
        let (u, v, speed) = (basis.row(0), basis.row(1), 0.2);
        let x = array![0.5, -1.0, 2.0];
        let generator = Array2::from_shape_fn((3, 3), |(i, j)| speed * (v[i] * u[j] - u[i] * v[j]));
        let (mut term, mut known) = (x.clone(), x.clone());
        for k in 1..60 {
            term = generator.dot(&term) * x.dot(&x) / f64::from(k);
            known += &term;
        }
        let maps = [
            Map::Linear(basis.clone()),
            Map::Spiral(vec![Turn {
                plane: (0, 1),
                speed,
            }]),
            Map::Linear(basis.t().to_owned()),
        ];
        let mut turned = x.insert_axis(Axis(0));
        for map in maps {
            turned = map.apply(turned.view()).unwrap();
        }
        for (a, b) in turned.iter().zip(&known) {
            assert!((a - b).abs() < 1e-14);
        }
    }

    #[test]
    fn columns_in_any_order_of_memory_are_mapped_alike() {
        let values = Array2::from_shape_fn((700, 3), |(i, j)| {
            (i as f64 * 0.01 - 3.0) * (j as f64 + 0.5)
        });
        let turned = values.t().as_standard_layout().into_owned();
        let spiral = Map::Spiral(vec![Turn {
            plane: (2, 0),
            speed: 0.1,
        }]);
        assert_eq!(
            spiral.apply(values.view()).unwrap(),
            spiral.apply(turned.t()).unwrap()
        );
    }

    #[test]
    fn bad_settings_and_values_are_refused() {
        let sine = |amplitude, frequency| {
            Map::Wiggly(vec![Sine {
                amplitude,
                frequency,
                phase: 0.0,
            }])
        };
        let bump = |share, std_dev| {
            Map::Quantile(vec![Bump {
                share,
                mean: 0.0,
                std_dev,
            }])
        };
        let turn = |plane, speed| Map::Spiral(vec![Turn { plane, speed }]);
        let wave = |to, from, amplitude| Map::Wave {
            to,
            from,
            amplitude,
            frequency: 1.0,
        };
        let bad = [
            Map::Power(0.0),
            Map::Power(f64::NAN),
            Map::Power(f64::INFINITY),
            sine(1.0, 1.0),
            sine(f64::NAN, 0.1),
            sine(f64::INFINITY, 0.0),
            bump(0.5, 1.0),
            bump(1.0, 0.0),
            bump(1.0, f64::NAN),
            Map::Quantile(vec![]),
            turn((0, 0), 1.0),
            turn((0, 2), 1.0),
            turn((0, 1), f64::NAN),
            wave(0, 0, 1.0),
            wave(0, 2, 1.0),
            wave(0, 1, f64::INFINITY),
            Map::Affine(vec![]),
            Map::Affine(vec![(0.0, 1.0)]),
            Map::Affine(vec![(1.0, f64::NAN)]),
            Map::Affine(vec![(1.0, 0.0); 3]),
            Map::SwissRoll,
            Map::Linear(Array2::eye(3)),
            Map::Linear(array![[1.0, 2.0], [2.0, 4.0]]),
            Map::Linear(array![[0.0, 0.0], [0.0, 0.0]]),
            Map::Linear(array![[1.0, f64::NAN], [0.0, 1.0]]),
        ];
        for map in bad {
            assert!(map.dim(2).is_err(), "{map:?}");
        }
        assert!(Map::Linear(array![[0.0, 1.0], [1.0, 0.0]]).dim(2).is_ok());
        assert!(Map::Asinh.apply(array![[f64::NAN]].view()).is_err());
        assert!(Map::SwissRoll.apply(array![[1.1]].view()).is_err());
        assert!(Map::bimodal_x().apply(array![[-0.1]].view()).is_err());
        assert!(Map::Power(100.0).apply(array![[1e10]].view()).is_err());
    }
}
