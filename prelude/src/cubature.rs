//! Noises and weights that stand for a standard normal vector: a spherical–radial rule.

use faer::{Mat, Side};
use rand::{Rng as _, RngCore};
use rand_distr::StandardNormal;

use crate::cell;
use crate::cell::memory::room_for;
use crate::error::{Error, Interrupted, Result};

/// Nodes `ε` and weights such that `Σ weight · f(ε)` stands for `E f(ε)` of a standard normal vector.
///
/// The radii are those of the Gauss–Laguerre rule for `‖ε‖²/2`, which follows a gamma distribution of shape `dim/2`:
/// functions of the radius alone are exact up to degree `2·radii − 1` in `‖ε‖²`. Each direction comes with both signs.
///
/// - In two dimensions the directions stand at equal angles, turned together by a random one. The rule is exact for all
///   polynomials up to degree `min(2·pairs, 4·radii) − 1`.
/// - Otherwise they are random orthogonal frames. With whole frames the rule is exact for all polynomials up to degree
///   3; over the random frames it is right on average for the rest of the sphere.
///
/// Antipodal directions alone, all of one length, give quadratic functions exactly as well, but not even the mean of
/// `‖ε‖⁴`: a squared error that is not quadratic, as between two blobs, is then off by a constant.
///
/// # Source
/// A. Genz, J. Monahan (1999), A stochastic algorithm for high-dimensional integrals over unbounded regions with
/// Gaussian weight, J. Comput. Appl. Math. 112.
///
/// # Example: the fourth moment, which a single radius misses by half
/// ```
/// use itd_prelude::{cubature::Cubature, rng};
///
/// let rule = Cubature::new(2, 2, 2, &mut rng::seeded(0))?;
/// let fourth: f64 = (0..rule.len())
///     .map(|i| rule.weights()[i] * rule.node(i).iter().map(|e| e * e).sum::<f64>().powi(2))
///     .sum();
/// assert!((fourth - 8.0).abs() < 1e-9); // E‖ε‖⁴ = dim (dim + 2)
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cubature {
    dim: usize,
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl Cubature {
    /// A rule of `2 · pairs · radii` nodes: `pairs` directions with both signs, each at `radii` distances. From three
    /// dimensions on a multiple of `dim` makes whole frames.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless all numbers are at least 1 and `radii` at most 16; [`Error::Memory`] when the nodes
    /// do not fit; [`Error::Interrupted`] when the user stops it.
    pub fn new(dim: usize, pairs: usize, radii: usize, rng: &mut dyn RngCore) -> Result<Self> {
        for (name, got, most) in [
            ("dim", dim, usize::MAX),
            ("pairs", pairs, usize::MAX),
            ("radii", radii, 16),
        ] {
            if got == 0 || got > most {
                return Err(Error::Parameter {
                    name,
                    got: got.to_string(),
                    need: "at least 1, and at most 16 radii",
                });
            }
        }
        room_for::<f64>("the nodes of the rule", &[2 * radii + 1, pairs, dim])?;
        let (distances, shares) = radial(dim, radii)?;
        let mut nodes = Vec::with_capacity(2 * pairs * radii * dim);
        let mut weights = Vec::with_capacity(2 * pairs * radii);
        for direction in directions(dim, pairs, rng)? {
            for (distance, share) in distances.iter().zip(&shares) {
                for sign in [1.0, -1.0] {
                    nodes.extend(direction.iter().map(|u| sign * distance * u));
                    weights.push(share / (2 * pairs) as f64);
                }
            }
        }
        Ok(Self {
            dim,
            nodes,
            weights,
        })
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The weights, which sum to 1; none is below 0.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The `i`-th node.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn node(&self, i: usize) -> &[f64] {
        &self.nodes[i * self.dim..(i + 1) * self.dim]
    }
}

/// Distances `√(2t)` and weights, which sum to 1: the Gauss rule for `t` from the gamma distribution of shape `dim/2`,
/// by the eigenvalues of its Jacobi matrix.
fn radial(dim: usize, radii: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let shape = 0.5 * dim as f64;
    let jacobi = Mat::from_fn(radii, radii, |i, j| match i.abs_diff(j) {
        0 => 2.0 * i as f64 + shape,
        1 => {
            let k = i.max(j) as f64;
            (k * (k + shape - 1.0)).sqrt()
        }
        _ => 0.0,
    });
    let eigen = jacobi
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::NotFinite {
            what: "a node of the radial rule",
            got: f64::NAN,
            next: "take fewer radii",
        })?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let distance = |k: usize| (2.0 * values[k].max(0.0)).sqrt();
    Ok((
        (0..radii).map(distance).collect(),
        (0..radii).map(|k| vectors[(0, k)].powi(2)).collect(),
    ))
}

/// Random directions: at equal angles in the plane, else orthogonal to each other in groups of `dim`.
fn directions(dim: usize, count: usize, rng: &mut dyn RngCore) -> Result<Vec<Vec<f64>>> {
    if dim == 2 {
        let turn = rng.random::<f64>();
        let angle = |i: usize| (i as f64 + turn) / count as f64 * std::f64::consts::PI;
        return Ok((0..count)
            .map(|i| vec![angle(i).cos(), angle(i).sin()])
            .collect());
    }
    let mut all: Vec<Vec<f64>> = Vec::with_capacity(count);
    while all.len() < count {
        if cell::interrupted() {
            let stopped = Interrupted::new("directions", all.len() as u64, count as u64);
            return Err(Error::Interrupted(stopped));
        }
        let frame = all.len() - all.len() % dim;
        let mut new: Vec<f64> = (0..dim).map(|_| rng.sample(StandardNormal)).collect();
        // Twice is enough for all digits.
        for _ in 0..2 {
            for old in &all[frame..] {
                let along: f64 = old.iter().zip(&new).map(|(a, b)| a * b).sum();
                new.iter_mut()
                    .zip(old)
                    .for_each(|(new, old)| *new -= along * old);
            }
        }
        let norm = new.iter().map(|v| v * v).sum::<f64>().sqrt();
        // A direction that lies in the others' plane but for round-off is drawn again.
        if norm > 1e-6 {
            new.iter_mut().for_each(|v| *v /= norm);
            all.push(new);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn mean(rule: &Cubature, f: impl Fn(&[f64]) -> f64) -> f64 {
        (0..rule.len())
            .map(|i| rule.weights()[i] * f(rule.node(i)))
            .sum()
    }

    #[test]
    fn polynomials_up_to_the_third_degree_are_exact() {
        let mut rng = rng::seeded(0);
        for (dim, radii) in [(1, 1), (1, 4), (2, 2), (3, 3), (7, 2), (64, 2)] {
            let rule = Cubature::new(dim, dim, radii, &mut rng).unwrap();
            assert_eq!(rule.len(), 2 * dim * radii);
            assert!((mean(&rule, |_| 1.0) - 1.0).abs() < 1e-12);
            let last = dim - 1;
            assert!(mean(&rule, |e| e[0]).abs() < 1e-12);
            assert!(mean(&rule, |e| e[0] * e[last] * e[last]).abs() < 1e-12);
            assert!((mean(&rule, |e| e[0] * e[0]) - 1.0).abs() < 1e-10);
            if dim > 1 {
                assert!(mean(&rule, |e| e[0] * e[1]).abs() < 1e-10);
            }
            // In the radius up to degree 2·radii − 1 of ‖ε‖²: E‖ε‖^2p = dim (dim + 2) … (dim + 2p − 2).
            for p in 1..2 * radii {
                let norm = |e: &[f64]| e.iter().map(|e| e * e).sum::<f64>().powi(p as i32);
                let known: f64 = (0..p).map(|k| (dim + 2 * k) as f64).product();
                let found = mean(&rule, norm);
                assert!((found / known - 1.0).abs() < 1e-9, "{dim} {radii} {p}");
            }
        }
    }

    #[test]
    fn in_the_plane_the_degree_grows_with_the_angles() {
        let mut rng = rng::seeded(2);
        for (pairs, radii) in [(2, 2), (3, 2), (4, 4), (6, 4)] {
            let rule = Cubature::new(2, pairs, radii, &mut rng).unwrap();
            let degree = (2 * pairs).min(4 * radii) - 1;
            // E ε₁^a ε₂^b is the product of (a − 1)!! and (b − 1)!!, and 0 when one is odd.
            let moment = |power: usize| match power % 2 {
                0 => (1..power).step_by(2).product::<usize>() as f64,
                _ => 0.0,
            };
            let error = |a: usize, b: usize| {
                let known = moment(a) * moment(b);
                let found = mean(&rule, |e| e[0].powi(a as i32) * e[1].powi(b as i32));
                (found - known).abs() / known.max(1.0)
            };
            for total in 0..=degree {
                for a in 0..=total {
                    assert!(
                        error(a, total - a) < 1e-9,
                        "{pairs} {radii}: {a} {}",
                        total - a
                    );
                }
            }
            // And no further.
            let next = (0..=degree + 1).map(|a| error(a, degree + 1 - a));
            assert!(next.fold(0.0, f64::max) > 1e-3, "{pairs} {radii}");
        }
    }

    #[test]
    fn the_frames_are_right_on_average() {
        let mut rng = rng::seeded(1);
        // E ε₁⁴ = 3, which depends on the frame.
        let fourth = |rng: &mut rng::Rng| {
            let rule = Cubature::new(3, 3, 2, rng).unwrap();
            mean(&rule, |e| e[0].powi(4))
        };
        let found: Vec<f64> = (0..4000).map(|_| fourth(&mut rng)).collect();
        let error = crate::stats::std_err(&found);
        assert!((crate::stats::mean(&found) - 3.0).abs() < 4.0 * error && error > 0.0);
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused() {
        let mut rng = rng::seeded(0);
        for (dim, pairs, radii) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 17)] {
            assert!(Cubature::new(dim, pairs, radii, &mut rng).is_err());
        }
        let much = Cubature::new(1 << 20, 1 << 20, 2, &mut rng).unwrap_err();
        assert!(matches!(much, Error::Memory { .. }), "{much}");
    }
}
