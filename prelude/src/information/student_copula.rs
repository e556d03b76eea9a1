//! The copula of Student's t: tails that come together.

use std::f64::consts::{PI, TAU};

use faer::{Mat, MatRef};
use libm::lgamma;
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::columns::{beside, by_column, column, rows, times};
use super::gaussian::{self, noise_checked};
use super::maps::{DOFS, Ranks, Whitened, whitened};
use super::special::Scores;
use super::{Estimator, Information};
use crate::error::{Error, Result};

/// Rounds towards Tyler's shape. The error falls by `2/(d + 2)` a round.
const ROUNDS: usize = 25;

/// Mutual information of vectors whose copula is that of Student's t, whatever their marginal distributions are.
///
/// Each coordinate goes by its ranks to quantiles of Student's t with `ν` degrees of freedom; the shape of `(x, y)` is
/// Tyler's, with the coordinates' scales set to 1, and `ν` is the one of [`Self::dofs`] with the highest likelihood of the
/// copula. Then, with the densities `t` of that shape and of its two blocks,
///
/// ```text
/// I = mean(ln t(x, y) − ln t(x) − ln t(y))
/// ```
///
/// Infinite `ν` is the Gaussian copula. For vectors with another copula this is not the information, nor a bound of it.
///
/// # Numerics
/// The value is that of the samples that the shape was fitted to, and a little too large for it, as that of
/// [`Cca`](super::Cca) is without its correction: here too the bias of Gaussian vectors is taken off.
///
/// # Paper
/// Demarta, McNeil (2005), Int. Stat. Rev. 73, 111 (the copula); Tyler (1987), Ann. Statist. 15, 234 (the shape).
///
/// # Example: independent coordinates whose tails come together
/// ```
/// use itd_prelude::information::{Estimator, StudentCopula};
/// use itd_prelude::{ndarray::Array2, rng};
/// use rand::Rng as _;
/// use rand_distr::{ChiSquared, StandardNormal};
///
/// let rng = &mut rng::seeded(0);
/// let chi = ChiSquared::<f64>::new(1.0)?;
/// let rows: Vec<[f64; 2]> = (0..3000)
///     .map(|_| {
///         let scale = 1.0 / rng.sample(chi).sqrt();
///         [scale * rng.sample::<f64, _>(StandardNormal), scale * rng.sample::<f64, _>(StandardNormal)]
///     })
///     .collect();
/// let column = |j: usize| Array2::from_shape_fn((3000, 1), |(i, _)| rows[i][j]);
/// let found = StudentCopula::default().information(column(0).view(), column(1).view())?;
/// assert_eq!(found.diagnostic("degrees of freedom"), Some(1.0));
/// assert!((found.nats - 0.22417).abs() < 4.0 * found.std_err);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StudentCopula {
    /// The degrees of freedom that are tried, all > 0 and in rising order; infinity is the Gaussian copula.
    pub dofs: Vec<f64>,
}

impl Default for StudentCopula {
    fn default() -> Self {
        Self {
            dofs: DOFS.to_vec(),
        }
    }
}

impl StudentCopula {
    fn check(&self) -> Result<()> {
        let rising = self.dofs.windows(2).all(|pair| pair[0] < pair[1]);
        if self.dofs.is_empty() || !rising || !self.dofs.iter().all(|&dof| dof > 0.0) {
            return Err(Error::Parameter {
                name: "dofs",
                got: format!("{:?}", self.dofs),
                need: "one or more degrees of freedom, all > 0, in rising order",
            });
        }
        Ok(())
    }
}

impl Estimator for StudentCopula {
    fn name(&self) -> &'static str {
        "Student copula"
    }

    /// # Errors
    /// [`Error::Parameter`] for bad settings; as [`Estimator::information`], where too few samples are fewer than
    /// `2 (d_x + d_y)`; [`Error::NotFinite`] when one has a function of the other, without noise; [`Error::Degenerate`] when the columns are
    /// sums of one another.
    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        self.check()?;
        let (dx, dy) = (x.ncols(), y.ncols());
        let seen = noise_checked(&[("x", x), ("y", y)], 2 * (dx + dy))?;
        if seen.functions.is_some() {
            return Err(gaussian::infinite());
        }
        let warnings = seen.told();
        let both = beside(by_column("x", x)?.as_ref(), by_column("y", y)?.as_ref());
        let (dof, model, scores) = self.fit(&Ranks::of(&both), &Scores::new(both.nrows()), dx)?;
        let mut found = Information::of_samples(model.log_ratios(scores.as_ref()));
        let bias = gaussian::bias(found.n, dx, dy);
        found.nats -= bias;
        let edge = (dof == self.dofs[0] && self.dofs.len() > 1).then(|| {
            format!("the fewest degrees of freedom of all, {dof}, fit best: try fewer still")
        });
        Ok(found
            .with("degrees of freedom", dof)
            .with("bias", bias)
            .warned(warnings)
            .warned(edge))
    }
}

impl StudentCopula {
    /// The best degrees of freedom, the copula, and the samples' scores.
    ///
    /// The likelihood rises to one peak and falls, so the grid is climbed from its middle.
    pub(super) fn fit(
        &self,
        ranks: &Ranks,
        scores: &Scores,
        dx: usize,
    ) -> Result<(f64, StudentModel, Mat<f64>)> {
        let at = |g: usize| -> Result<Fit> {
            let dof = self.dofs[g];
            let scores = ranks.scored(&scores.student(dof));
            let model = StudentModel::fit(scores.as_ref(), dx, dof)?;
            let likelihood = model.log_copula(scores.as_ref());
            Ok(Fit {
                g,
                likelihood,
                model,
                scores,
            })
        };
        let mut best = at(self.dofs.len() / 2)?;
        let middle = best.g;
        for up in [true, false] {
            if best.g != middle {
                break; // below what was climbed it is known to be lower
            }
            while let Some(g) = beyond(best.g, up, self.dofs.len()) {
                let next = at(g)?;
                if next.likelihood <= best.likelihood {
                    break;
                }
                best = next;
            }
        }
        Ok((self.dofs[best.g], best.model, best.scores))
    }
}

struct Fit {
    g: usize,
    likelihood: f64,
    model: StudentModel,
    scores: Mat<f64>,
}

fn beyond(g: usize, up: bool, all: usize) -> Option<usize> {
    if up {
        Some(g + 1).filter(|&g| g < all)
    } else {
        g.checked_sub(1)
    }
}

/// Student's t of `(x, y)` with unit scales.
pub(super) struct StudentModel {
    dof: f64,
    dx: usize,
    joint: Block,
    y: Block,
}

/// What the density of some coordinates needs.
struct Block {
    /// `L⁻¹`, for the shape `L Lᵀ`.
    inverse: Mat<f64>,
    /// `½ ln |L Lᵀ|`.
    half_log_det: f64,
}

impl StudentModel {
    /// Fits the shape of scores `[n, d_x + d_y]`.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when they do not span the space.
    pub fn fit(scores: MatRef<'_, f64>, dx: usize, dof: f64) -> Result<Self> {
        // For normal scores the second moments are the better estimate.
        let rounds = if dof.is_infinite() { 0 } else { ROUNDS };
        let Whitened { factor, .. } = whitened(scores, rounds)?;
        let shape = with_unit_scales(&(&factor * factor.transpose()));
        let d = shape.ncols();
        let y = shape.submatrix(dx, dx, d - dx, d - dx);
        Ok(Self {
            dof,
            dx,
            joint: Block::of(shape.as_ref())?,
            y: Block::of(y)?,
        })
    }

    /// `ln t(x, y) − ln t(x) − ln t(y)` of each row.
    pub fn log_ratios(&self, scores: MatRef<'_, f64>) -> Vec<f64> {
        let (n, d) = (scores.nrows(), scores.ncols());
        // The shape is lower triangular, so that the first rows of the joint one are those of x alone.
        let white = times(scores, self.joint.inverse.transpose());
        let of_x = squares(white.subcols(0, self.dx));
        let of_rest = squares(white.subcols(self.dx, d - self.dx));
        let of_y = squares(
            times(
                scores.subcols(self.dx, d - self.dx),
                self.y.inverse.transpose(),
            )
            .as_ref(),
        );
        let log_det_x: f64 = -(0..self.dx)
            .map(|j| self.joint.inverse[(j, j)].ln())
            .sum::<f64>();
        let scales = log_det_x + self.y.half_log_det - self.joint.half_log_det;
        let (joint, x, y) = (
            self.log_radial(d),
            self.log_radial(self.dx),
            self.log_radial(d - self.dx),
        );
        let value = |i: usize| joint(of_x[i] + of_rest[i]) - x(of_x[i]) - y(of_y[i]) + scales;
        (0..n).map(value).collect()
    }

    /// The mean log density of the copula.
    fn log_copula(&self, scores: MatRef<'_, f64>) -> f64 {
        let white = times(scores, self.joint.inverse.transpose());
        let d = scores.ncols();
        let (radial, line) = (self.log_radial(d), self.log_radial(1));
        let joint: f64 = squares(white.as_ref()).into_iter().map(radial).sum();
        let marginal = |j| column(scores, j).iter().map(|t| line(t * t)).sum::<f64>();
        let marginals: Vec<f64> = (0..d).into_par_iter().map(marginal).collect();
        let marginals: f64 = marginals.into_iter().sum();
        (joint - marginals) / scores.nrows() as f64 - self.joint.half_log_det
    }

    /// `ln t` in `k` dimensions at a squared distance, but for the shape's determinant.
    fn log_radial(&self, k: usize) -> impl Fn(f64) -> f64 + use<> {
        let (dof, k) = (self.dof, k as f64);
        let normal = dof.is_infinite();
        let scale = match normal {
            true => -0.5 * k * TAU.ln(),
            false => lgamma(0.5 * (dof + k)) - lgamma(0.5 * dof) - 0.5 * k * (dof * PI).ln(),
        };
        move |square| match normal {
            true => scale - 0.5 * square,
            false => scale - 0.5 * (dof + k) * (square / dof).ln_1p(),
        }
    }
}

impl Block {
    fn of(shape: MatRef<'_, f64>) -> Result<Self> {
        let lower = super::maps::cholesky(shape)?;
        let half_log_det = (0..lower.nrows()).map(|j| lower[(j, j)].ln()).sum();
        Ok(Self {
            inverse: super::maps::inverse(lower.as_ref()),
            half_log_det,
        })
    }
}

fn with_unit_scales(shape: &Mat<f64>) -> Mat<f64> {
    let scale = |i: usize| shape[(i, i)].sqrt();
    Mat::from_fn(shape.nrows(), shape.ncols(), |i, j| {
        shape[(i, j)] / (scale(i) * scale(j))
    })
}

/// The squared length of each row.
fn squares(white: MatRef<'_, f64>) -> Vec<f64> {
    let mut squares = vec![0.0; white.nrows()];
    for j in 0..white.ncols() {
        squares
            .iter_mut()
            .zip(column(white, j))
            .for_each(|(sum, v)| *sum += v * v);
    }
    squares
}

/// The samples' log-ratios where the shape is fitted to some rows and read at others.
pub(super) fn held_out(
    scores: &Mat<f64>,
    dx: usize,
    dof: f64,
    train: &[usize],
    test: &[usize],
) -> Result<Vec<f64>> {
    let model = StudentModel::fit(rows(scores.as_ref(), train).as_ref(), dx, dof)?;
    Ok(model.log_ratios(rows(scores.as_ref(), test).as_ref()))
}
