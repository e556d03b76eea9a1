//! Neighbours counted: the estimators of Kraskov, Stögbauer and Grassberger, for vectors, for classes, given a third
//! vector, and of one vector's entropy.

mod brute;
mod classes;
mod conditional;
mod entropy;
mod search;
mod sorted;
mod tiles;
mod tree;
#[cfg(target_arch = "x86_64")]
mod wide;

use faer::Mat;
use ndarray::ArrayView2;

use self::search::Path;
use super::check::checked;
use super::columns::{by_column, slices};
use super::maps::{normal_ranks, standardised};
use super::special::{digamma, digammas};
use super::{Estimator, Information};
use crate::error::{Error, Result};

pub use classes::classes;

/// The estimator of Kraskov, Stögbauer and Grassberger: mutual information from the counts of neighbours.
///
/// With `r_i` the distance of sample `i` from its `k`-th neighbour in the joint space, and `n_x`, `n_y` the others that
/// are nearer than `r_i` in `x` and in `y` alone,
///
/// ```text
/// I = ψ(k) + ψ(n) − mean(ψ(n_x + 1) + ψ(n_y + 1))                    algorithm 1
/// I = ψ(k) − 1/k + ψ(n) − mean(ψ(n_x) + ψ(n_y))                      algorithm 2
/// ```
///
/// where algorithm 2 counts those that are at most as far in `x` as the farthest of the `k` neighbours is in `x`, and
/// the same of `y`. All distances are in the maximum norm.
///
/// Where values repeat, the `k`-th other may be in the same place, or more than `k` may be as near. Then all `m` that are at most as far are counted,
/// in each space, and the sample's value is `ψ(m + 1) + ψ(n) − ψ(n_x + 1) − ψ(n_y + 1)`. Where several others are as far in
/// one space as the farthest of the neighbours, as those of the same class are, algorithm 2 counts that sample as
/// algorithm 1 does. So classes, counts and mixtures of those with continuous values are measured, too.
///
/// Use it where `x` and `y` have one to three coordinates each. It cannot find more than about `ψ(n) − ψ(k)` nats, and
/// in five dimensions or more it falls short of strong dependence.
///
/// # Numerics
/// Distances are exact differences in `f64`, and a neighbour as far as `r_i` is not counted, as the derivation wants it.
/// The standard error is that of the mean of the samples' values. The searches use a sorted line, a k-d tree or all
/// pairs, whichever is fastest; all of them give the same counts.
///
/// # Paper
/// Kraskov, Stögbauer, Grassberger (2004), Phys. Rev. E 69, 066138, equations (8) and (9); for values that repeat after
/// Gao, Kannan, Oh, Viswanath (2017), NeurIPS, arXiv:1709.06212, where the radius is 0, and here whenever it is shared. By
/// default each column is first replaced by its normal scores, see [`Scale`].
///
/// # Example: a binormal pair
/// ```
/// use itd_prelude::information::{Estimator, Ksg};
/// use itd_prelude::{ndarray::Array2, rng};
/// use rand::Rng as _;
/// use rand_distr::StandardNormal;
///
/// let rng = &mut rng::seeded(0);
/// let noise: Array2<f64> = Array2::from_shape_simple_fn((2000, 2), || rng.sample(StandardNormal));
/// let x = noise.slice(itd_prelude::ndarray::s![.., 0..1]).to_owned();
/// let y = 0.75 * &x + (1.0f64 - 0.75 * 0.75).sqrt() * &noise.slice(itd_prelude::ndarray::s![.., 1..2]);
/// let found = Ksg::default().information(x.view(), y.view())?;
/// let truth = -0.5 * (1.0f64 - 0.75 * 0.75).ln();
/// assert!((found.nats - truth).abs() < 4.0 * found.std_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ksg {
    /// `k`, the neighbours that set the radius; at least 1. More of them scatter less and are biased more.
    pub neighbours: usize,
    /// Which of the two algorithms.
    pub algorithm: KsgAlgorithm,
    /// What is done to each column first.
    pub scale: Scale,
}

/// Which of the paper's two algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KsgAlgorithm {
    /// One radius for both spaces, equation (8): less scatter.
    #[default]
    One,
    /// A radius for each space, equation (9): less bias in many dimensions.
    Two,
}

/// What is done to each column before distances are measured. None of it changes the information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Normal scores `Φ⁻¹((r + ½)/n)` of the ranks `r`: long tails and odd shapes of single columns no longer matter.
    #[default]
    Ranks,
    /// Mean 0 and variance 1, as most libraries do.
    Standard,
    /// Nothing, as published.
    AsIs,
}

impl Default for Ksg {
    fn default() -> Self {
        Self {
            neighbours: 3,
            algorithm: KsgAlgorithm::default(),
            scale: Scale::default(),
        }
    }
}

impl Ksg {
    /// Samples that it takes at least.
    fn needed(&self) -> Result<usize> {
        if self.neighbours == 0 {
            return Err(Error::Parameter {
                name: "neighbours",
                got: "0".into(),
                need: "at least 1",
            });
        }
        Ok(self.neighbours.saturating_add(2))
    }

    /// The samples by column, on the scale that distances are measured on.
    fn scaled(&self, what: &str, x: ArrayView2<f64>) -> Result<Mat<f64>> {
        let x = by_column(what, x)?;
        Ok(match self.scale {
            Scale::Ranks => normal_ranks(&x),
            Scale::Standard => standardised(&x),
            Scale::AsIs => x,
        })
    }

    /// What the neighbours of each sample tell, in the joint space and in that of each group of columns. `repeats` says
    /// whether any value is there twice.
    fn counts(&self, joint: &[&[f64]], groups: &[Vec<&[f64]>], repeats: bool) -> Result<Counts> {
        let (n, k) = (joint[0].len(), self.neighbours);
        // One more, to see whether it is as near as the last.
        let more = usize::from(repeats);
        let mut nearest = search::nearest(joint, k + more, Path::to_search(n, joint.len()))?;
        let mut ways: Vec<Way> = nearest
            .iter()
            .map(|found| {
                let radius = found[k - 1].0;
                let shared = radius == 0.0 || found.get(k).is_some_and(|next| next.0 == radius);
                match self.algorithm {
                    _ if shared => Way::Shared,
                    KsgAlgorithm::One => Way::Radius,
                    KsgAlgorithm::Two => Way::Reaches,
                }
            })
            .collect();
        nearest.iter_mut().for_each(|found| found.truncate(k));
        let of_two = self.algorithm == KsgAlgorithm::Two;
        if of_two && repeats {
            for group in groups {
                no_reach_is_shared(group, &nearest, &mut ways)?;
            }
        }
        let radius = |i: usize| nearest[i][k - 1].0;
        let tops = self.tops(joint, &ways, radius)?;
        let count = |group: &Vec<&[f64]>| -> Result<Vec<u32>> {
            let mut radii = match of_two {
                true => reaches(group, &nearest),
                false => vec![0.0; n],
            };
            for (i, own) in radii.iter_mut().enumerate() {
                *own = match ways[i] {
                    Way::Reaches => own.next_up(),
                    Way::Radius => radius(i),
                    Way::Shared => radius(i).next_up(),
                };
            }
            let others = search::count(group, &radii, Path::to_count(n, group.len()))?;
            let itself = |way: &Way| u32::from(*way != Way::Reaches);
            let all = std::iter::zip(others, &ways);
            Ok(all.map(|(others, way)| others + itself(way)).collect())
        };
        let groups = groups.iter().map(count).collect::<Result<_>>()?;
        Ok(Counts { tops, groups })
    }

    /// What the joint space says of each sample.
    fn tops(
        &self,
        joint: &[&[f64]],
        ways: &[Way],
        radius: impl Fn(usize) -> f64,
    ) -> Result<Vec<f64>> {
        let (n, k) = (ways.len(), self.neighbours as f64);
        let mut others = vec![0; n];
        if ways.contains(&Way::Shared) {
            let only = |(i, way): (usize, &Way)| match way {
                Way::Shared => radius(i).next_up(),
                _ => 0.0,
            };
            let radii: Vec<f64> = ways.iter().enumerate().map(only).collect();
            others = search::count(joint, &radii, Path::to_count(n, joint.len()))?;
        }
        let top = |(way, others): (&Way, u32)| match way {
            Way::Reaches => digamma(k) - 1.0 / k,
            Way::Radius => digamma(k),
            Way::Shared => digamma(f64::from(others + 1)),
        };
        Ok(ways.iter().zip(others).map(top).collect())
    }

    fn only_one(&self, need: &'static str) -> Result<()> {
        match self.algorithm {
            KsgAlgorithm::One => Ok(()),
            KsgAlgorithm::Two => Err(Error::Parameter {
                name: "algorithm",
                got: "Two".into(),
                need,
            }),
        }
    }
}

/// How the others of a sample are counted in the spaces of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Up to the farthest of the neighbours in that space: algorithm 2.
    Reaches,
    /// Below the radius: algorithm 1.
    Radius,
    /// Up to the radius, because others are as far.
    Shared,
}

/// What the neighbours of each sample tell.
struct Counts {
    /// `ψ(k)`, or `ψ(k) − 1/k` of algorithm 2, or `ψ(m + 1)` where `m` others share the radius.
    tops: Vec<f64>,
    /// Of each group of columns `n_x + 1`, or `n_x` of algorithm 2.
    groups: Vec<Vec<u32>>,
}

/// For each sample how far the farthest of its neighbours is in the space of these columns.
fn reaches(columns: &[&[f64]], nearest: &[Vec<(f64, u32)>]) -> Vec<f64> {
    let gap = |i: usize, j: u32| {
        let gaps = columns
            .iter()
            .map(|column| (column[i] - column[j as usize]).abs());
        gaps.fold(0.0, f64::max)
    };
    let reach = |(i, found): (usize, &Vec<(f64, u32)>)| {
        found.iter().map(|&(_, j)| gap(i, j)).fold(0.0, f64::max)
    };
    nearest.iter().enumerate().map(reach).collect()
}

/// Algorithm 2 takes `1/k` off because the reaches of two continuous vectors both shrink to a neighbour. That of a class
/// cannot: where several others are as far as the reach, the sample is counted by algorithm 1.
fn no_reach_is_shared(
    columns: &[&[f64]],
    nearest: &[Vec<(f64, u32)>],
    ways: &mut [Way],
) -> Result<()> {
    let reaches = reaches(columns, nearest);
    let path = Path::to_count(ways.len(), columns.len());
    let beyond: Vec<f64> = reaches.iter().map(|reach| reach.next_up()).collect();
    let (within, below) = (
        search::count(columns, &beyond, path)?,
        search::count(columns, &reaches, path)?,
    );
    for (i, way) in ways.iter_mut().enumerate() {
        let shared = reaches[i] == 0.0 || within[i] > below[i] + 1;
        if shared && *way == Way::Reaches {
            *way = Way::Radius;
        }
    }
    Ok(())
}

impl Estimator for Ksg {
    fn name(&self) -> &'static str {
        "KSG"
    }

    /// # Errors
    /// [`Error::Parameter`] for no neighbours; as [`Estimator::information`] for samples that will not do;
    /// [`Error::Memory`] when they do not fit, [`Error::Interrupted`] when the user stops it.
    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        let seen = checked(&[("x", x), ("y", y)], self.needed()?)?;
        let (x, y) = (self.scaled("x", x)?, self.scaled("y", y)?);
        let (x, y) = (slices(&x), slices(&y));
        let joint = [&x[..], &y[..]].concat();
        let Counts { tops, groups } = self.counts(&joint, &[x, y], seen.repeats)?;
        let n = tops.len();
        let psi = digammas(n);
        let pair = |i: usize| psi[groups[0][i] as usize] + psi[groups[1][i] as usize];
        let value = |i: usize| tops[i] + psi[n] - pair(i);
        Ok(self
            .told((0..n).map(value).collect(), n)
            .warned(seen.told_of_counts()))
    }
}

impl Ksg {
    /// The result, with a warning where it is near the most that can be found.
    fn told(&self, per_sample: Vec<f64>, n: usize) -> Information {
        let found = Information::of_samples(per_sample);
        let most = digamma(n as f64) - digamma(self.neighbours as f64);
        let near = (found.nats > 0.7 * most).then(|| {
            format!(
                "{:.2} nats are near the {most:.2} that neighbours among {n} samples can tell: the truth may be far more",
                found.nats
            )
        });
        found
            .with("neighbours", self.neighbours as f64)
            .warned(near)
    }
}
