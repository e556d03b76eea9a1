//! Rotations whose angle grows with the distance from the centre, and the ones that make two vectors most alike to a
//! Gaussian pair.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side, c64};

use super::lbfgs::{Lbfgs, Objective};
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

/// `A = V diag(iω) Vᴴ`.
struct Spectrum {
    vectors: Mat<c64>,
    omega: Vec<f64>,
}

/// Samples in the coordinates of the vectors, and what turns them.
struct Turned {
    /// `u`, `[n, d]`.
    u: Mat<f64>,
    /// `‖u‖²/d` of each.
    shells: Vec<f64>,
    /// `Vᴴx` of each sample, `[n, d]`.
    coordinates: Mat<c64>,
    /// `exp(iωt)` of each, `[n, d]`.
    phases: Mat<c64>,
    /// `exp(tA) x`, `[n, d]`.
    x: Mat<f64>,
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

    /// `L x + c` of each sample.
    fn straightened(&self, x: MatRef<'_, f64>) -> Mat<f64> {
        let moved = x * self.linear.transpose();
        Mat::from_fn(x.nrows(), x.ncols(), |i, j| {
            moved[(i, j)] + self.shift[(j, 0)]
        })
    }

    /// The samples `[n, d]`, turned.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when the eigenvalues of the generator cannot be found, which takes one that is not finite.
    pub fn apply(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let u = self.straightened(x);
        let shells = shells(u.as_ref());
        Ok(self.spectrum()?.turn(u, shells).x)
    }

    fn spectrum(&self) -> Result<Spectrum> {
        let dim = self.generator.nrows();
        // −iA is Hermitian.
        let hermitian = Mat::from_fn(dim, dim, |i, j| c64::new(0.0, -self.generator[(i, j)]));
        let found = hermitian
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::Degenerate { zeros: dim, dim })?;
        Ok(Spectrum {
            vectors: found.U().to_owned(),
            omega: found
                .S()
                .column_vector()
                .iter()
                .map(|value| value.re)
                .collect(),
        })
    }
}

/// The number of entries above the diagonal.
fn turns(dim: usize) -> usize {
    dim * dim.saturating_sub(1) / 2
}

/// `‖x‖²/d` of each sample.
fn shells(x: MatRef<'_, f64>) -> Vec<f64> {
    let d = x.ncols() as f64;
    (0..x.nrows())
        .map(|i| (0..x.ncols()).map(|j| x[(i, j)] * x[(i, j)]).sum::<f64>() / d)
        .collect()
}

/// The places above the diagonal, row by row.
fn pairs(dim: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..dim).flat_map(move |i| (i + 1..dim).map(move |j| (i, j)))
}

fn complex(x: MatRef<'_, f64>) -> Mat<c64> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| c64::new(x[(i, j)], 0.0))
}

impl Spectrum {
    fn turn(&self, u: Mat<f64>, shells: Vec<f64>) -> Turned {
        let coordinates = complex(u.as_ref()) * self.vectors.conjugate();
        let (n, d) = (u.nrows(), u.ncols());
        let phases = Mat::from_fn(n, d, |i, j| {
            let (sin, cos) = (self.omega[j] * shells[i]).sin_cos();
            c64::new(cos, sin)
        });
        let moved = Mat::from_fn(n, d, |i, j| coordinates[(i, j)] * phases[(i, j)]);
        let back = moved * self.vectors.transpose();
        Turned {
            x: Mat::from_fn(n, d, |i, j| back[(i, j)].re),
            u,
            shells,
            coordinates,
            phases,
        }
    }

    /// The slope by the entries of [`Swirl::of_entries`], from that by the turned samples, `[n, d]`.
    ///
    /// `d exp(tA)[E] = V [(VᴴEV) ∘ Φ(t)] Vᴴ` with `Φ_jk = (e^{iω_j t} − e^{iω_k t})/(i(ω_j − ω_k))`.
    fn slope(
        &self,
        swirl: &Swirl,
        turned: &Turned,
        slope: MatRef<'_, f64>,
        x: Option<MatRef<'_, f64>>,
    ) -> Vec<f64> {
        /// Frequencies that differ by less turn alike: the limit of `Φ` is taken.
        const ALIKE: f64 = 1e-6;
        let (n, d) = (slope.nrows(), slope.ncols());
        let of_slope = complex(slope) * self.vectors.conjugate();
        let Turned {
            coordinates: a,
            phases: e,
            shells,
            ..
        } = turned;
        let (b, e) = (&of_slope, &e);
        let first = Mat::from_fn(n, d, |i, j| b[(i, j)].conj() * e[(i, j)]);
        let late = Mat::from_fn(n, d, |i, j| first[(i, j)] * c64::new(shells[i], 0.0));
        let plain = Mat::from_fn(n, d, |i, j| b[(i, j)].conj());
        let second = Mat::from_fn(n, d, |i, k| a[(i, k)] * e[(i, k)]);
        let by_first = first.transpose() * a;
        let by_second = plain.transpose() * &second;
        let limit = late.transpose() * a;
        let inner = Mat::from_fn(d, d, |j, k| {
            let apart = self.omega[j] - self.omega[k];
            match apart.abs() < ALIKE {
                true => limit[(j, k)],
                false => (by_first[(j, k)] - by_second[(j, k)]) / c64::new(0.0, apart),
            }
        });
        let whole = self.vectors.conjugate() * inner * self.vectors.transpose();
        let mut found: Vec<f64> = pairs(d)
            .map(|(p, q)| whole[(p, q)].re - whole[(q, p)].re)
            .collect();
        let Some(x) = x else { return found };
        // By u: exp(−tA) g, and what a longer u turns further.
        let back = Mat::from_fn(n, d, |i, j| b[(i, j)] * e[(i, j)].conj());
        let back = back * self.vectors.transpose();
        let ahead = &turned.x * swirl.generator.transpose();
        let by_u = Mat::from_fn(n, d, |i, j| {
            let further: f64 = (0..d).map(|k| slope[(i, k)] * ahead[(i, k)]).sum();
            back[(i, j)].re + 2.0 / d as f64 * further * turned.u[(i, j)]
        });
        let by_linear = by_u.transpose() * x;
        found.extend((0..d * d).map(|at| by_linear[(at / d, at % d)]));
        found.extend((0..d).map(|j| by_u.col(j).iter().sum::<f64>()));
        found
    }
}

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
/// stops it.
///
/// # Numerics
/// The noise `τ` falls from 1 to 0: with much of it the maximum is wide and is found from nothing, and each maximum leads
/// to the next, which is narrower. At once with `τ = 0` a strong dependence is not found at all. Of few coordinates the
/// linear maps are found, too, from a noise of 0.01 on: a covariance of samples is off by some percent, and where one
/// vector tells more than that about the other, the angles would be off, too.
pub fn unswirl(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<(Swirl, Swirl)> {
    unswirl_with(x, y, &NOISE, true)
}

/// The noise, stage by stage.
pub(super) const NOISE: [f64; 12] = [
    1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 0.0,
];

/// As [`unswirl`], with these stages of noise; without any the search stays near where it begins. The linear maps are
/// left alone unless `straighten`: of vectors that are not normal they would run away.
pub(super) fn unswirl_with(
    x: MatRef<'_, f64>,
    y: MatRef<'_, f64>,
    stages: &[f64],
    straighten: bool,
) -> Result<(Swirl, Swirl)> {
    /// From so many entries on, what a long search still finds is mostly chance.
    const MANY: usize = 40;
    /// So many coordinates are few.
    const FEW: usize = 8;
    /// Information from which the linear maps matter.
    const STRONG: f64 = 2.0;
    let (dx, dy) = (x.ncols(), y.ncols());
    let (mut of_x, mut of_y) = (vec![0.0; turns(dx)], vec![0.0; turns(dy)]);
    let mut pair = GaussianPair {
        x,
        y,
        split: of_x.len(),
        straighten: false,
        noise: 0.0,
    };
    let mut reached = f64::NEG_INFINITY;
    for &noise in stages {
        pair.noise = noise;
        if straighten && noise <= 0.01 && !pair.straighten && reached > STRONG && dx.max(dy) <= FEW
        {
            pair.straighten = true;
            of_x.extend(unit(dx));
            of_y.extend(unit(dy));
            pair.split = of_x.len();
        }
        let search = match turns(dx) + turns(dy) < MANY {
            true => Lbfgs::default(),
            false => Lbfgs {
                steps: 8,
                ..Lbfgs::default()
            },
        };
        let found = search.minimize(&pair, [of_x, of_y].concat())?;
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
struct GaussianPair<'a> {
    x: MatRef<'a, f64>,
    y: MatRef<'a, f64>,
    /// So many entries are of `x`.
    split: usize,
    /// Whether the linear maps are among the entries.
    straighten: bool,
    noise: f64,
}

impl Objective for GaussianPair<'_> {
    fn value_and_slope(&self, entries: &[f64]) -> Result<(f64, Vec<f64>)> {
        let (dx, dy) = (self.x.ncols(), self.y.ncols());
        let (swirl_x, swirl_y) = (
            Swirl::of_entries(dx, &entries[..self.split]),
            Swirl::of_entries(dy, &entries[self.split..]),
        );
        let (of_x, of_y) = (swirl_x.spectrum()?, swirl_y.spectrum()?);
        let turned = |swirl: &Swirl, spectrum: &Spectrum, x| {
            let u = swirl.straightened(x);
            let shells = shells(u.as_ref());
            spectrum.turn(u, shells)
        };
        let (x, y) = (
            turned(&swirl_x, &of_x, self.x),
            turned(&swirl_y, &of_y, self.y),
        );
        let z = centered(&x.x, &y.x);
        let n = z.nrows() as f64;
        let mut covariance = z.transpose() * &z;
        for value in covariance.col_iter_mut() {
            value.iter_mut().for_each(|value| *value /= n);
        }
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
        // By z: z (diag(S_x⁻¹, S_y⁻¹) − S⁻¹)/n.
        let by_z = Mat::from_fn(dx + dy, dx + dy, |i, j| {
            let block = match (i < dx, j < dx) {
                (true, true) => xx.0[(i, j)],
                (false, false) => yy.0[(i - dx, j - dx)],
                _ => 0.0,
            };
            (block - all.0[(i, j)]) / n
        });
        let slope = &z * by_z;
        let slope = slope.as_ref();
        let given = |x| self.straighten.then_some(x);
        let mut by_entries = of_x.slope(&swirl_x, &x, slope.subcols(0, dx), given(self.x));
        by_entries.extend(of_y.slope(&swirl_y, &y, slope.subcols(dx, dy), given(self.y)));
        by_entries.iter_mut().for_each(|slope| *slope = -*slope);
        Ok((-information, by_entries))
    }
}

/// Both side by side, their means subtracted.
fn centered(x: &Mat<f64>, y: &Mat<f64>) -> Mat<f64> {
    let (n, dx) = (x.nrows(), x.ncols());
    let mean = |m: &Mat<f64>, j: usize| m.col(j).iter().sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..dx)
        .map(|j| mean(x, j))
        .chain((0..y.ncols()).map(|j| mean(y, j)))
        .collect();
    Mat::from_fn(n, dx + y.ncols(), |i, j| {
        let value = if j < dx { x[(i, j)] } else { y[(i, j - dx)] };
        value - means[j]
    })
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
        let (x, y) = (normal(60, 3, 0), normal(60, 4, 1));
        let y = Mat::from_fn(60, 4, |i, j| {
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
                x: x.as_ref(),
                y: y.as_ref(),
                split: of_x.len(),
                straighten,
                noise: 0.1,
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
        for (a, b) in std::iter::zip(shells(x.as_ref()), shells(turned.as_ref())) {
            assert!((a - b).abs() < 1e-12);
        }
        swirl.generator = -&swirl.generator;
        let back = swirl.apply(turned.as_ref()).unwrap();
        assert!((&back - &x).norm_max() < 1e-12);
    }
}
