//! Benchmark tasks: pairs of random vectors whose mutual information is known.
//!
//! A task is a value made by composition: a [`Base`], from which pairs `(x, y)` are drawn and whose information is
//! known, and a list of [`Map`]s of `x` and of `y`. Each map is injective, so it changes the samples and leaves the
//! information as it is: `I(f(x); g(y)) = I(x; y)`, and also that of each single pair.
//!
//! | tasks | made by |
//! |---|---|
//! | the 40 of "Beyond Normal" | [`beyond_normal`] |
//! | two pairs of high information | [`high_mi`], [`STRENGTHS`], [`Form`] |
//! | those that are outside the families of most estimators | [`extra`]: [`x_shape`], [`waves`], [`inliers`], [`independent`] |
//! | a task at random | [`random`] |
//! | your own | [`Benchmark::new`], [`Benchmark::measured`], [`Benchmark::mapped`] |
//!
//! # Example: a task, its samples, and what each pair tells
//! ```
//! use itd_prelude::{stats, task};
//!
//! let spiral = task::sparse((3, 3), 2, 2.0)?.spiral(1.0)?;
//! assert_eq!(spiral.name, "spiral-multinormal-sparse-3-3-2-2.0");
//! assert!((spiral.nats - 1.0217).abs() < 1e-4);
//! let (pairs, pointwise) = spiral.sample_with_pointwise(10_000, 0)?;
//! assert_eq!((pairs.x.dim(), pairs.y.dim()), ((10_000, 3), (10_000, 3)));
//! // The mean of the pointwise information is the information.
//! let error = stats::mean(&pointwise) - spiral.nats;
//! assert!(error.abs() < 4.0 * stats::std_err(&pointwise));
//! # Ok::<(), itd_prelude::Error>(())
//! ```
//!
//! # Paper
//! Czyż, Grabowski, Vogt, Beerenwinkel, Marx, "Beyond Normal: On the Evaluation of Mutual Information Estimators",
//! NeurIPS 2023; reference: `cbg-ethz/bmi` (PyPI `benchmark-mi` 0.1.3). Differs: samples are `f64` throughout, and
//! the tails of `Φ` keep their digits.

mod blocks;
mod draw;
mod list;
mod map;
mod mixture;
mod normal;
mod student;
mod uniform;

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rng::{Key, Rng};

pub use list::{
    Form, STRENGTHS, additive, beyond_normal, bimodal, bivariate, dense, extra, high_mi,
    independent, inliers, random, sparse, student, waves, x_shape,
};
pub use map::{Bump, Map, Sine, Turn};
pub use mixture::{Inliers, Mixture};
pub use normal::{Correlation, Normal};
pub use student::Student;
pub use uniform::AdditiveUniform;

/// Samples of two vectors, row by row.
///
/// # Shapes
/// `x: [n, dim_x]` and `y: [n, dim_y]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// One sample of the first vector in each row.
    pub x: Array2<f64>,
    /// The sample of the second that belongs to it.
    pub y: Array2<f64>,
}

impl Pairs {
    /// The number of pairs: rows of `x`.
    pub fn len(&self) -> usize {
        self.x.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Both as views, in the order in which estimators take them.
    pub fn views(&self) -> (ArrayView2<'_, f64>, ArrayView2<'_, f64>) {
        (self.x.view(), self.y.view())
    }
}

/// A joint distribution of two vectors from which pairs can be drawn, and whose densities are known.
///
/// The five here are [`Normal`], [`Student`], [`AdditiveUniform`], [`Inliers`] and [`Mixture`]. One of your own needs the
/// logarithm of the ratio of its densities; its information may be left to [`Benchmark::measured`].
///
/// # Example: a sign and its noisy copy
/// ```
/// use itd_prelude::rand::Rng as _;
/// use itd_prelude::rng::Rng;
/// use itd_prelude::task::{Base, Benchmark};
///
/// /// `y` is the sign `x`, wrong one time in ten.
/// #[derive(Debug)]
/// struct Channel;
///
/// impl Base for Channel {
///     fn dims(&self) -> (usize, usize) {
///         (1, 1)
///     }
///     fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
///         xy[0] = if rng.random() { 1.0 } else { -1.0 };
///         xy[1] = if rng.random::<f64>() < 0.1 { -xy[0] } else { xy[0] };
///     }
///     fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
///         if x == y { 1.8f64.ln() } else { 0.2f64.ln() }
///     }
/// }
///
/// let channel = Benchmark::measured("channel", Channel, 100_000)?;
/// let known = 0.9 * 1.8f64.ln() + 0.1 * 0.2f64.ln();
/// assert!((channel.nats - known).abs() < 4.0 * channel.std_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub trait Base: fmt::Debug + Send + Sync {
    /// The dimensions of `x` and of `y`.
    fn dims(&self) -> (usize, usize);

    /// Draws one pair: fills `xy: [dim_x + dim_y]`, first `x`, then `y`.
    ///
    /// For the same samples on every machine, take logarithms and the like from the crate `libm`: those of the
    /// standard library are the system's, and differ in the last digit.
    fn draw(&self, rng: &mut Rng, xy: &mut [f64]);

    /// The pointwise information `i(x; y) = ln p(x, y) − ln p(x) − ln p(y)` in nats; `−∞` of pairs that cannot be.
    ///
    /// `x: [dim_x]` and `y: [dim_y]`; whoever calls it has checked their lengths.
    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64;

    /// `I(x; y)` in nats, where it has a closed form.
    fn nats(&self) -> Option<f64> {
        None
    }
}

/// A task: samples of two vectors whose mutual information is known.
///
/// # Units
/// Nats.
///
/// # Example: rank-based estimators see no difference between a task and its monotone maps
/// ```
/// use itd_prelude::task;
///
/// let plain = task::bivariate(0.75)?;
/// let mapped = plain.clone().half_cube()?;
/// let (a, b) = (plain.sample(100, 3)?, mapped.sample(100, 3)?);
/// // The same pairs, each mapped: x·√|x|.
/// assert_eq!(b.x[[7, 0]], a.x[[7, 0]] * a.x[[7, 0]].abs().sqrt());
/// assert_eq!(plain.nats, mapped.nats);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// The name; of the tasks of the paper that of its code.
    pub name: String,
    /// Dimensions of `x` and of `y`, after the maps.
    pub dims: (usize, usize),
    /// The truth `I(x; y)`, in nats.
    pub nats: f64,
    /// The standard error of [`Self::nats`]: 0 of a closed form, above 0 of a mean over draws.
    pub std_err: f64,
    base: Arc<dyn Base>,
    /// The name of the base, which chooses its stream of random numbers.
    stream: String,
    x_maps: Vec<Map>,
    y_maps: Vec<Map>,
}

impl Benchmark {
    /// A task without maps whose information has a closed form.
    ///
    /// # Errors
    /// [`Error::Missing`] when [`Base::nats`] gives none: use [`Self::measured`]. [`Error::Parameter`] when a dimension
    /// is 0. [`Error::NotFinite`] when the information is not finite.
    pub fn new(name: impl Into<String>, base: impl Base + 'static) -> Result<Self> {
        let name = name.into();
        let Some(nats) = base.nats() else {
            return Err(Error::Missing {
                what: format!("the information of {name} has no closed form"),
                next: "make the task with `Benchmark::measured` and a number of draws",
            });
        };
        Self::with_truth(name, Arc::new(base), nats, 0.0)
    }

    /// A task without maps whose information is the mean of [`Base::log_ratio`] over `draws` pairs, with its standard
    /// error `√(Var i / draws)`. The pairs are others than those of [`Self::sample`], whatever its seed.
    ///
    /// Cost: one draw and one log-ratio for each. On two cores a million of them take about 0.3 s for [`x_shape`], 1 s for
    /// [`inliers`] in 10 dimensions and 3 s for [`waves`], with standard errors of 0.0008, 0.0012 and 0.0004 nats.
    ///
    /// # Errors
    /// As [`Self::new`], [`Error::Parameter`] unless there are at least 2 draws, and [`Error::Interrupted`] when the user
    /// stops it.
    pub fn measured(
        name: impl Into<String>,
        base: impl Base + 'static,
        draws: usize,
    ) -> Result<Self> {
        let name = name.into();
        some_dims(base.dims())?;
        let (nats, std_err) = measure(&base, &name, draws)?;
        Self::with_truth(name, Arc::new(base), nats, std_err)
    }

    fn with_truth(name: String, base: Arc<dyn Base>, nats: f64, std_err: f64) -> Result<Self> {
        let dims = some_dims(base.dims())?;
        if !nats.is_finite() {
            return Err(Error::NotFinite {
                what: "the information of the task",
                got: nats,
                next: "look for a density that is 0, or for vectors that determine each other",
            });
        }
        Ok(Self {
            stream: name.clone(),
            name,
            dims,
            nats,
            std_err,
            base,
            x_maps: Vec::new(),
            y_maps: Vec::new(),
        })
    }

    /// The same task under another name with more maps, which are applied in order after those it has.
    ///
    /// # Errors
    /// What [`Map::dim`] refuses.
    ///
    /// # Example: x on a logarithmic scale of its own
    /// ```
    /// use itd_prelude::task::{self, Map};
    ///
    /// let task = task::bivariate(0.9)?.mapped("asinh_x", &[Map::Affine(vec![(10.0, 0.0)]), Map::Asinh], &[])?;
    /// assert_eq!(task.name, "asinh_x-1v1-normal-0.9");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn mapped(mut self, prefix: &str, x_maps: &[Map], y_maps: &[Map]) -> Result<Self> {
        self.dims = (
            dim_after(x_maps, self.dims.0)?,
            dim_after(y_maps, self.dims.1)?,
        );
        self.x_maps.extend_from_slice(x_maps);
        self.y_maps.extend_from_slice(y_maps);
        self.name = format!("{prefix}-{}", self.name);
        Ok(self)
    }

    /// `Φ` of each coordinate: [`Map::NormalCdf`] of both.
    ///
    /// # Errors
    /// None for the tasks here; what [`Self::mapped`] refuses, as all maps below.
    pub fn normal_cdf(self) -> Result<Self> {
        self.mapped("normal_cdf", &[Map::NormalCdf], &[Map::NormalCdf])
    }

    /// `x√|x|` of each coordinate: [`Map::HalfCube`] of both.
    ///
    /// # Errors
    /// As [`Self::mapped`].
    pub fn half_cube(self) -> Result<Self> {
        self.mapped("half_cube", &[Map::HalfCube], &[Map::HalfCube])
    }

    /// `asinh x` of each coordinate, which shortens long tails: [`Map::Asinh`] of both.
    ///
    /// # Errors
    /// As [`Self::mapped`].
    pub fn asinh(self) -> Result<Self> {
        self.mapped("asinh", &[Map::Asinh], &[Map::Asinh])
    }

    /// Wiggly lines, [`Map::wiggly_x`] and [`Map::wiggly_y`].
    ///
    /// # Errors
    /// As [`Self::mapped`].
    pub fn wiggly(self) -> Result<Self> {
        self.mapped("wiggly", &[Map::wiggly_x()], &[Map::wiggly_y()])
    }

    /// The spirals of the paper: `x` is turned in the plane of its coordinates 0 and 1 by the angle `speed·‖x‖²/dim_x`,
    /// `y` in that of 1 and 2 by `speed·‖y‖²/dim_y`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `dim_x ≥ 2`, `dim_y ≥ 3` and the speed is finite.
    pub fn spiral(self, speed: f64) -> Result<Self> {
        let (dim_x, dim_y) = self.dims;
        let turn = |first, dim: usize| {
            Map::Spiral(vec![Turn {
                plane: (first, first + 1),
                speed: speed / dim as f64,
            }])
        };
        self.mapped("spiral", &[turn(0, dim_x)], &[turn(1, dim_y)])
    }

    /// A Swiss roll in two dimensions of `x`, which must be a number from 0 to 1: [`Map::SwissRoll`] of `x` alone.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `x` has one dimension.
    pub fn swiss_roll_x(self) -> Result<Self> {
        self.mapped("swissroll_x", &[Map::SwissRoll], &[])
    }

    /// What pairs are drawn from, before the maps.
    pub fn base(&self) -> &dyn Base {
        &*self.base
    }

    /// The maps of `x` and those of `y`, in the order in which they are applied.
    pub fn maps(&self) -> (&[Map], &[Map]) {
        (&self.x_maps, &self.y_maps)
    }

    /// Draws `n` pairs, after the maps.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `n` is 0, [`Error::Memory`] when the samples do not fit, [`Error::NotFinite`] when a map
    /// leaves what `f64` can hold, and [`Error::Interrupted`] when the user stops it.
    ///
    /// # Numerics
    /// The samples depend on the base's name, `n` and the seed alone, and are the same bits on every machine and for
    /// any number of threads. Of more pairs the first are the same. Tasks that differ in their maps alone draw the same
    /// base samples.
    ///
    /// # Example
    /// ```
    /// let task = itd_prelude::task::student((2, 2), 1.0)?;
    /// let (few, many) = (task.sample(10, 0)?, task.sample(1000, 0)?);
    /// assert_eq!(few.x.row(9), many.x.row(9));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn sample(&self, n: usize, seed: u64) -> Result<Pairs> {
        self.map(self.sample_base(n, seed)?)
    }

    /// Draws `n` pairs, before the maps: those that [`Self::sample`] maps.
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub fn sample_base(&self, n: usize, seed: u64) -> Result<Pairs> {
        if n == 0 {
            return Err(Error::Parameter {
                name: "n",
                got: "0".to_owned(),
                need: "at least 1: the number of pairs to draw",
            });
        }
        let (dim_x, dim_y) = self.base.dims();
        let dim = dim_x.saturating_add(dim_y);
        // Once as drawn, once in two.
        room_for::<f64>("the samples", &[2, n, dim])?;
        let key = Key::new(seed, &format!("task {}", self.stream));
        let mut xy = Array2::zeros((n, dim));
        let blocks = xy.axis_chunks_iter_mut(Axis(0), blocks::ROWS);
        let blocks = blocks.into_par_iter().enumerate();
        blocks.try_for_each(|(i, mut block)| -> Result<()> {
            let mut rng = key.at(i as u64, 0);
            for (mut row, done) in block.rows_mut().into_iter().zip(i * blocks::ROWS..) {
                blocks::listen("sampling", done, n)?;
                // A fresh array is contiguous.
                if let Some(row) = row.as_slice_mut() {
                    self.base.draw(&mut rng, row);
                }
            }
            Ok(())
        })?;
        Ok(Pairs {
            x: xy.slice(s![.., ..dim_x]).to_owned(),
            y: xy.slice(s![.., dim_x..]).to_owned(),
        })
    }

    /// Applies the maps to samples of the base.
    ///
    /// # Errors
    /// [`Error::Shape`] for other dimensions than the base's, [`Error::Mismatch`] for unequal numbers of rows, and what
    /// [`Map::apply`] refuses.
    pub fn map(&self, base: Pairs) -> Result<Pairs> {
        self.of_base(&base)?;
        let all = |maps: &[Map], start: Array2<f64>| {
            maps.iter()
                .try_fold(start, |values, map| map.apply(values.view()))
        };
        Ok(Pairs {
            x: all(&self.x_maps, base.x)?,
            y: all(&self.y_maps, base.y)?,
        })
    }

    /// The pointwise information `i(x; y) = ln p(x, y) − ln p(x) − ln p(y)` of samples of the base, in nats, which is
    /// also that of the pairs after the maps: [`Self::sample_base`], then this and [`Self::map`].
    ///
    /// # Errors
    /// As [`Self::map`].
    ///
    /// # Example: its mean and variance for a correlation ρ are −½ ln(1 − ρ²) and ρ²
    /// ```
    /// use itd_prelude::{stats, task};
    ///
    /// let task = task::bivariate(0.75)?;
    /// let pointwise = task.pointwise(&task.sample_base(100_000, 0)?)?;
    /// assert!((stats::variance(&pointwise) - 0.75f64.powi(2)).abs() < 0.02);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn pointwise(&self, base: &Pairs) -> Result<Vec<f64>> {
        self.of_base(base)?;
        let (n, (dim_x, dim_y)) = (base.len(), self.base.dims());
        room_for::<f64>("the pointwise information", &[n])?;
        let mut found = vec![0.0; n];
        let blocks = found.par_chunks_mut(blocks::ROWS).enumerate();
        blocks.try_for_each(|(i, block)| -> Result<()> {
            let (mut x, mut y) = (vec![0.0; dim_x], vec![0.0; dim_y]);
            for (value, row) in block.iter_mut().zip(i * blocks::ROWS..) {
                blocks::listen("pointwise information", row, n)?;
                blocks::copy(base.x.row(row), &mut x);
                blocks::copy(base.y.row(row), &mut y);
                *value = self.base.log_ratio(&x, &y);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Pairs after the maps, as [`Self::sample`] draws them, each with its pointwise information in nats.
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub fn sample_with_pointwise(&self, n: usize, seed: u64) -> Result<(Pairs, Vec<f64>)> {
        let base = self.sample_base(n, seed)?;
        let pointwise = self.pointwise(&base)?;
        Ok((self.map(base)?, pointwise))
    }

    /// Refuses what cannot be samples of the base.
    fn of_base(&self, pairs: &Pairs) -> Result<()> {
        let (dim_x, dim_y) = self.base.dims();
        for (what, values, dim) in [
            ("x of the base", &pairs.x, dim_x),
            ("y of the base", &pairs.y, dim_y),
        ] {
            if values.ncols() != dim {
                return Err(Error::Shape {
                    what,
                    got: values.shape().to_vec(),
                    need: format!("[n, {dim}], as `sample_base` gives it"),
                });
            }
        }
        if pairs.x.nrows() != pairs.y.nrows() {
            return Err(Error::Mismatch {
                what: "the numbers of samples of x and y",
                left: pairs.x.nrows().to_string(),
                right: pairs.y.nrows().to_string(),
                next: "each row of x needs its row of y",
            });
        }
        Ok(())
    }
}

/// Refuses vectors without coordinates.
fn some_dims(dims: (usize, usize)) -> Result<(usize, usize)> {
    match dims {
        (0, _) | (_, 0) => Err(Error::Parameter {
            name: "the dimensions",
            got: format!("{dims:?}"),
            need: "at least 1 each",
        }),
        _ => Ok(dims),
    }
}

/// The dimension after all maps.
fn dim_after(maps: &[Map], dim: usize) -> Result<usize> {
    maps.iter().try_fold(dim, |dim, map| map.dim(dim))
}

/// Mean and standard error of the log-ratio over so many draws.
fn measure(base: &dyn Base, name: &str, draws: usize) -> Result<(f64, f64)> {
    if draws < 2 {
        return Err(Error::Parameter {
            name: "draws",
            got: draws.to_string(),
            need: "at least 2; a million give a standard error near 0.001",
        });
    }
    let (dim_x, dim_y) = base.dims();
    let key = Key::new(0, &format!("truth of task {name}"));
    let sums = |i: usize| -> Result<(f64, f64)> {
        let mut rng = key.at(i as u64, 0);
        let mut xy = vec![0.0; dim_x + dim_y];
        let rows = (0..draws).skip(i * blocks::ROWS).take(blocks::ROWS);
        let mut sums = (0.0, 0.0);
        for row in rows {
            blocks::listen("the truth of a task", row, draws)?;
            base.draw(&mut rng, &mut xy);
            let (x, y) = xy.split_at(dim_x);
            let value = base.log_ratio(x, y);
            sums = (sums.0 + value, sums.1 + value * value);
        }
        Ok(sums)
    };
    let blocks = draws.div_ceil(blocks::ROWS);
    room_for::<(f64, f64)>("the sums of the draws", &[blocks])?;
    // Summed in order, whichever thread was first.
    let sums: Vec<(f64, f64)> = (0..blocks)
        .into_par_iter()
        .map(sums)
        .collect::<Result<_>>()?;
    let (sum, squares) = sums
        .iter()
        .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    let n = draws as f64;
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0) * n / (n - 1.0);
    Ok((mean, (variance / n).sqrt()))
}
