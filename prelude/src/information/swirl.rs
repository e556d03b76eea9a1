//! Rotations whose angle grows with the distance from the centre, and the ones that make two vectors most alike to a
//! Gaussian pair.

mod block;

use std::ops::Range;

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Scale, Side, c64};
use rayon::prelude::*;

use self::block::{Lines, Moments, Slope, Slopes, Turn, Turned};
use super::lbfgs::{Lbfgs, Objective};
use super::widest::widest;
use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// The map `x ↦ exp(‖u‖²/d · A) u` with `u = L x + c` and a skew matrix `A`: each shell turns by its own angle.
///
/// It can be undone, so it changes no mutual information. The rotation keeps every norm and has the Jacobian 1: where
/// `u` is a standard normal vector, so is its image.
///
/// # Source
/// Czyż, Grabowski, Vogt, Beerenwinkel, Marx (2023), Beyond Normal, arXiv:2306.11078, where it hides the dependence of
/// Gaussian vectors ("spiral diffeomorphism").
#[derive(Debug, Clone)]
pub struct Swirl {
    /// `A`, `[d, d]`, skew.
    pub generator: Mat<f64>,
    /// `L`, `[d, d]`; the unit matrix where nothing has to be straightened.
    pub linear: Mat<f64>,
    /// `c`, `[d, 1]`.
    pub shift: Mat<f64>,
}

/// `A = V diag(iω) Vᴴ`, the frequencies in rising order.
struct Spectrum {
    vectors: Mat<c64>,
    omega: Vec<f64>,
}

impl Swirl {
    /// The swirl that leaves all as it is.
    pub fn none(dim: usize) -> Self {
        Self {
            generator: Mat::zeros(dim, dim),
            linear: Mat::identity(dim, dim),
            shift: Mat::zeros(dim, 1),
        }
    }

    /// From the entries of `A` above the diagonal, row by row, and, where there are more, those of `L` and of `c`.
    fn of_entries(dim: usize, entries: &[f64]) -> Self {
        let mut swirl = Self::none(dim);
        let (turns, rest) = entries.split_at(turns(dim));
        for ((i, j), &value) in pairs(dim).zip(turns) {
            swirl.generator[(i, j)] = value;
            swirl.generator[(j, i)] = -value;
        }
        if let (linear, shift @ [_, ..]) = rest.split_at(rest.len().min(dim * dim)) {
            swirl.linear = Mat::from_fn(dim, dim, |i, j| linear[i * dim + j]);
            swirl.shift = Mat::from_fn(dim, 1, |i, _| shift[i]);
        }
        swirl
    }

    /// The samples `[n, d]`, turned.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when the eigenvalues of the generator cannot be found, which takes one that is not finite.
    pub fn apply(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let spectrum = self.spectrum()?;
        let blocks = blocks(x);
        let turn = |x: &Lines| {
            widest(Turn {
                swirl: self,
                spectrum: &spectrum,
                straighten: true,
                x,
            })
        };
        let turned: Vec<Turned> = blocks.par_iter().map(turn).collect();
        Ok(Mat::from_fn(x.nrows(), x.ncols(), |i, j| {
            turned[i / BLOCK].x.line(j)[i % BLOCK]
        }))
    }

    fn spectrum(&self) -> Result<Spectrum> {
        let dim = self.generator.nrows();
        // −iA is Hermitian.
        let hermitian = Mat::from_fn(dim, dim, |i, j| c64::new(0.0, -self.generator[(i, j)]));
        let found = hermitian
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::Degenerate { zeros: dim, dim })?;
        let values = found.S().column_vector();
        // They come in pairs ±ω, in rising order.
        let omega = |j: usize| 0.5 * (values[j].re - values[dim - 1 - j].re);
        Ok(Spectrum {
            vectors: found.U().to_owned(),
            omega: (0..dim).map(omega).collect(),
        })
    }
}

/// The number of entries above the diagonal.
fn turns(dim: usize) -> usize {
    dim * dim.saturating_sub(1) / 2
}

/// The places above the diagonal, row by row.
fn pairs(dim: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..dim).flat_map(move |i| (i + 1..dim).map(move |j| (i, j)))
}

/// Samples that are turned together. Their coordinates stay in the processor's cache, and the sums of blocks round alike
/// whatever the number of threads.
const BLOCK: usize = 256;

/// The samples `[n, d]`, block by block.
fn blocks(x: MatRef<'_, f64>) -> Vec<Lines> {
    (0..x.nrows())
        .step_by(BLOCK)
        .map(|first| Lines::of(x.subrows(first, BLOCK.min(x.nrows() - first))))
        .collect()
}

/// The noise, stage by stage.
pub(super) const NOISE: [f64; 12] = [
    1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 0.0,
];

/// The two swirls after which `x` and `y` have the largest mutual information as Gaussian vectors,
///
/// ```text
/// ½ ln |S_x + τ| |S_y + τ| / |S_xy + τ|
/// ```
///
/// For vectors that are normal one by one this is never above their mutual information, whatever the swirls: they
/// change none. Nothing is found where there is nothing to be undone, but for what chance gives:
/// about half a nat for each `n` entries of the generators, so that the value must be taken of other samples.
///
/// # Shapes
/// `x: [n, d_x]` and `y: [n, d_y]`, each of mean 0 and covariance 1.
///
/// # Errors
/// [`Error::Degenerate`] when the covariance of one of them cannot be inverted, [`Error::Interrupted`] when the user
/// stops it, [`Error::Memory`] when the samples do not fit a second time.
///
/// # Numerics
/// The noise `τ` goes through the stages, as [`NOISE`] from 1 to 0: with much of it the maximum is wide and is found from
/// nothing, and each maximum leads to the next, which is narrower. At once with `τ = 0` the search stays near where it
/// begins, and a strong dependence is not found at all.
///
/// With `straighten` the linear maps of few coordinates are found, too, from a noise of 0.01 on: a covariance of samples is
/// off by some percent, and where one vector tells more than that about the other, the angles would be off, too. Of
/// vectors that are not normal these maps would run away.
pub(super) fn unswirl(
    x: MatRef<'_, f64>,
    y: MatRef<'_, f64>,
    stages: &[f64],
    straighten: bool,
) -> Result<(Swirl, Swirl)> {
    /// From so many entries on, what a long search still finds is mostly chance.
    const MANY: usize = 40;
    /// Nats that a step must gain while little is found. An entry gains ten times as much by chance from 5,000 samples.
    const LEAST_GAIN: f64 = 1e-5;
    /// So many coordinates are few.
    const FEW: usize = 8;
    /// Information from which the linear maps matter.
    const STRONG: f64 = 2.0;
    let (dx, dy) = (x.ncols(), y.ncols());
    // Coordinates, what they are turned to, and the slopes.
    room_for::<f64>("the turned samples", &[x.nrows(), dx + dy, 8])?;
    let (mut of_x, mut of_y) = (vec![0.0; turns(dx)], vec![0.0; turns(dy)]);
    let mut pair = GaussianPair::new(x, y);
    let mut reached = f64::NEG_INFINITY;
    let last = stages.last().copied().unwrap_or(0.0);
    for &noise in stages {
        pair.noise = noise;
        if straighten && noise <= 0.01 && !pair.straighten && reached > STRONG && dx.max(dy) <= FEW
        {
            pair.straighten = true;
            of_x.extend(unit(dx));
            of_y.extend(unit(dy));
            pair.split = of_x.len();
        }
        let all = Lbfgs {
            least_gain: match reached > STRONG {
                // The maximum is narrow: slow steps lead far.
                true => Lbfgs::default().least_gain,
                false => LEAST_GAIN,
            },
            ..Lbfgs::default()
        };
        let search = match turns(dx) + turns(dy) < MANY {
            true => all,
            false => Lbfgs { steps: 8, ..all },
        };
        let mut found = search.minimize(&pair, [of_x, of_y].concat())?;
        if noise == last && -found.value > STRONG && search.least_gain == LEAST_GAIN {
            // It was not known before that much would be found.
            let longer = Lbfgs {
                least_gain: Lbfgs::default().least_gain,
                ..search
            };
            found = longer.minimize(&pair, found.at)?;
        }
        of_y = found.at[pair.split..].to_vec();
        of_x = found.at;
        of_x.truncate(pair.split);
        // Where the noise no longer matters, less of it does not either.
        let value = -found.value;
        if noise < 0.02 && !pair.straighten && value - reached < 1e-4 {
            break;
        }
        reached = value;
    }
    Ok((Swirl::of_entries(dx, &of_x), Swirl::of_entries(dy, &of_y)))
}

/// The entries of `L = 1` and `c = 0`.
fn unit(dim: usize) -> impl Iterator<Item = f64> {
    let linear = (0..dim * dim).map(move |at| f64::from(u8::from(at / dim == at % dim)));
    linear.chain(std::iter::repeat_n(0.0, dim))
}

/// The Gaussian mutual information of two vectors by the entries of their swirls.
struct GaussianPair {
    x: Vec<Lines>,
    y: Vec<Lines>,
    /// Samples, and the coordinates of each vector.
    n: usize,
    dims: (usize, usize),
    /// So many entries are of `x`.
    split: usize,
    /// Whether the linear maps are among the entries.
    straighten: bool,
    noise: f64,
}

impl GaussianPair {
    fn new(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Self {
        Self {
            x: blocks(x),
            y: blocks(y),
            n: x.nrows(),
            dims: (x.ncols(), y.ncols()),
            split: turns(x.ncols()),
            straighten: false,
            noise: 0.0,
        }
    }

    /// The mean and the covariance of both vectors side by side.
    fn moments(&self, turned: &[[Turned; 2]]) -> (Vec<f64>, Mat<f64>) {
        let (n, d) = (self.n as f64, self.dims.0 + self.dims.1);
        let mut mean = vec![0.0; d];
        for [x, y] in turned {
            let sums = mean.iter_mut().zip(x.x.sums().chain(y.x.sums()));
            sums.for_each(|(mean, sum)| *mean += sum / n);
        }
        let moments = |[x, y]: &[Turned; 2]| {
            widest(Moments {
                turned: [&x.x, &y.x],
                mean: &mean,
            })
        };
        let all: Vec<Mat<f64>> = turned.par_iter().map(moments).collect();
        let mut sum = Mat::zeros(d, d);
        all.into_iter().for_each(|one| sum += one);
        (mean, sum * Scale(1.0 / n))
    }
}

impl Objective for GaussianPair {
    fn value_and_slope(&self, entries: &[f64]) -> Result<(f64, Vec<f64>)> {
        let (dx, dy) = self.dims;
        let (swirl_x, swirl_y) = (
            Swirl::of_entries(dx, &entries[..self.split]),
            Swirl::of_entries(dy, &entries[self.split..]),
        );
        let (of_x, of_y) = (swirl_x.spectrum()?, swirl_y.spectrum()?);
        let straighten = self.straighten;
        let pairs: Vec<(&Lines, &Lines)> = std::iter::zip(&self.x, &self.y).collect();
        let turn = |swirl, spectrum, x| {
            widest(Turn {
                swirl,
                spectrum,
                straighten,
                x,
            })
        };
        let turned: Vec<[Turned; 2]> = pairs
            .par_iter()
            .map(|&(x, y)| [turn(&swirl_x, &of_x, x), turn(&swirl_y, &of_y, y)])
            .collect();
        let (mean, mut covariance) = self.moments(&turned);
        for j in 0..dx + dy {
            covariance[(j, j)] += self.noise;
        }
        let s = covariance.as_ref();
        let (all, xx, yy) = (
            inverse(s)?,
            inverse(s.submatrix(0, 0, dx, dx))?,
            inverse(s.submatrix(dx, dx, dy, dy))?,
        );
        let information = 0.5 * (xx.1 + yy.1 - all.1);
        // By z = (x, y), from the mean: z (diag(S_x⁻¹, S_y⁻¹) − S⁻¹)/n.
        let by_z = Mat::from_fn(dx + dy, dx + dy, |i, j| {
            let block = match (i < dx, j < dx) {
                (true, true) => xx.0[(i, j)],
                (false, false) => yy.0[(i - dx, j - dx)],
                _ => 0.0,
            };
            (block - all.0[(i, j)]) / self.n as f64
        });
        let constant: Vec<f64> = (0..dx + dy)
            .map(|j| (0..dx + dy).map(|i| mean[i] * by_z[(i, j)]).sum())
            .collect();
        let slopes = |(turned, (x, y)): (&[Turned; 2], &(&Lines, &Lines))| {
            let of = |side: usize, swirl, spectrum, columns: Range<usize>, x| {
                widest(Slope {
                    swirl,
                    spectrum,
                    turned: &turned[side],
                    both: [&turned[0].x, &turned[1].x],
                    weights: by_z.subcols(columns.start, columns.len()),
                    constant: &constant[columns],
                    straightened: straighten.then_some(x),
                })
            };
            [
                of(0, &swirl_x, &of_x, 0..dx, *x),
                of(1, &swirl_y, &of_y, dx..dx + dy, *y),
            ]
        };
        let all: Vec<[Slopes; 2]> = turned.par_iter().zip(&pairs).map(slopes).collect();
        let sum = |[a, b]: [Slopes; 2], [c, d]: [Slopes; 2]| [a.plus(c), b.plus(d)];
        let by_entries = match all.into_iter().reduce(sum) {
            Some([by_x, by_y]) => [of_x.slope(by_x), of_y.slope(by_y)].concat(),
            None => vec![0.0; entries.len()],
        };
        Ok((
            -information,
            by_entries.iter().map(|slope| -slope).collect(),
        ))
    }
}

impl Spectrum {
    /// The slope by the entries of [`Swirl::of_entries`].
    ///
    /// `d exp(tA)[E] = V [(VᴴEV) ∘ Φ(t)] Vᴴ` with `Φ_jk = (e^{iω_j t} − e^{iω_k t})/(i(ω_j − ω_k))`.
    fn slope(&self, of: Slopes) -> Vec<f64> {
        let whole = self.vectors.conjugate() * of.turns * self.vectors.transpose();
        let turns = pairs(self.omega.len()).map(|(p, q)| whole[(p, q)].re - whole[(q, p)].re);
        turns.chain(of.rest).collect()
    }
}

/// The inverse of a covariance, and the logarithm of its determinant.
fn inverse(s: MatRef<'_, f64>) -> Result<(Mat<f64>, f64)> {
    let dim = s.nrows();
    let factor = s
        .llt(Side::Lower)
        .map_err(|_| Error::Degenerate { zeros: 1, dim })?;
    let diagonal = factor.L();
    let log_det = (0..dim).map(|j| 2.0 * diagonal[(j, j)].ln()).sum();
    Ok((factor.inverse(), log_det))
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng;

    fn normal(n: usize, d: usize, seed: u64) -> Mat<f64> {
        let rng = &mut rng::seeded(seed);
        Mat::from_fn(n, d, |_, _| rng.sample::<f64, _>(StandardNormal))
    }

    /// Against differences of the value, with and without the linear maps.
    #[test]
    fn the_slope_is_that_of_the_value() {
        let (x, y) = (normal(700, 3, 0), normal(700, 4, 1));
        let y = Mat::from_fn(700, 4, |i, j| {
            y[(i, j)] + if j < 3 { x[(i, j)] } else { 0.0 }
        });
        for straighten in [false, true] {
            let rng = &mut rng::seeded(2);
            let mut side = |d: usize| -> Vec<f64> {
                let entries: Vec<f64> =
                    (0..turns(d)).map(|_| rng.random_range(-0.5..0.5)).collect();
                let rest = unit(d).filter(|_| straighten);
                let rest: Vec<f64> = rest.map(|one| one + rng.random_range(-0.1..0.1)).collect();
                [entries, rest].concat()
            };
            let (of_x, of_y) = (side(3), side(4));
            let pair = GaussianPair {
                split: of_x.len(),
                straighten,
                noise: 0.1,
                ..GaussianPair::new(x.as_ref(), y.as_ref())
            };
            let at = [of_x, of_y].concat();
            let (_, slope) = pair.value_and_slope(&at).unwrap();
            assert_eq!(slope.len(), at.len());
            for (j, slope) in slope.iter().enumerate() {
                let value = |by: f64| {
                    let mut there = at.clone();
                    there[j] += by;
                    pair.value_and_slope(&there).unwrap().0
                };
                let known = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((slope - known).abs() < 1e-7, "{j}: {slope} {known}");
            }
        }
    }

    #[test]
    fn a_swirl_keeps_lengths_and_is_undone_by_its_opposite() {
        let x = normal(200, 5, 3);
        let mut swirl = Swirl::none(5);
        for ((i, j), value) in pairs(5).zip([0.3, -0.7, 1.1, 0.0, 0.2, -0.4, 0.9, 0.5, -0.1, 0.6]) {
            (swirl.generator[(i, j)], swirl.generator[(j, i)]) = (value, -value);
        }
        let turned = swirl.apply(x.as_ref()).unwrap();
        for i in 0..200 {
            let length = |x: &Mat<f64>| x.row(i).norm_l2();
            assert!((length(&x) - length(&turned)).abs() < 1e-12);
        }
        swirl.generator = -&swirl.generator;
        let back = swirl.apply(turned.as_ref()).unwrap();
        assert!((&back - &x).norm_max() < 1e-12);
    }
}
