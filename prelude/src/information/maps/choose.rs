//! Which map makes a vector most nearly normal.

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::super::check::heard;
use super::super::columns::{column, from_columns, slices};
use super::super::special::Scores;
use super::normality::{distance, negentropy};
use super::{DOFS, Map, Ranks, elliptic, standardised, whitened};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::stats;

/// Negentropy of a coordinate up to which it counts as normal.
pub(in super::super) const NORMAL: f64 = 0.02;

/// A vector after a map.
pub(in super::super) struct Mapped {
    pub map: Map,
    /// `[n, d]`.
    pub values: Mat<f64>,
    /// How far it is from normal, see [`distance`].
    pub distance: f64,
}

/// The map that leaves the vector nearest to normal.
///
/// # Errors
/// [`Error::Degenerate`] when the columns are sums of one another, [`Error::Memory`] when the maps do not fit.
pub(in super::super) fn choose(x: &Mat<f64>, scores: &Scores) -> Result<Mapped> {
    let ranks = Ranks::of(x);
    let mut maps = vec![Map::Identity, Map::Ranks];
    if x.ncols() > 1 {
        maps.push(Map::Elliptic);
        maps.extend(DOFS.map(Map::MetaElliptic));
    }
    // All of them are there at once, and each needs some more on its way.
    let threads = rayon::current_num_threads().min(maps.len());
    room_for::<f64>(
        "the maps of a vector",
        &[x.nrows(), x.ncols(), maps.len() + 4 * threads],
    )?;
    let mapped: Vec<Result<Mapped>> = maps
        .into_par_iter()
        .map(|map| apply(map, x, &ranks, scores))
        .collect();
    let nearest = |best: Mapped, next: Mapped| match next.distance < best.distance {
        true => next,
        false => best,
    };
    // Long tails that come together leave some without a vector that spans its space.
    let standing = mapped
        .into_iter()
        .filter(|one| !matches!(one, Err(Error::Degenerate { .. })));
    let dim = x.ncols();
    standing
        .collect::<Result<Vec<Mapped>>>()?
        .into_iter()
        .reduce(nearest)
        .ok_or(Error::Degenerate { zeros: 1, dim })
}

/// The smooth maps that may stand in for ranks, which are coarse where information is high: only those that leave each
/// coordinate normal. They are looked for one after another.
///
/// # Errors
/// [`Error::Interrupted`] when the user stops it.
pub(in super::super) fn candidates(x: &Mat<f64>) -> impl Iterator<Item = Result<Mapped>> {
    let (ranks, scores) = (Ranks::of(x), Scores::new(x.nrows()));
    let mapped = [Map::Identity, Map::Power].into_iter();
    let normal =
        |one: &Mapped| (0..x.ncols()).all(|j| negentropy(column(one.values.as_ref(), j)) <= NORMAL);
    mapped
        .map(move |map| apply(map, x, &ranks, &scores))
        .filter(move |one| match one {
            Ok(one) => normal(one),
            Err(error) => !matches!(error, Error::Degenerate { .. }),
        })
}

fn apply(map: Map, x: &Mat<f64>, ranks: &Ranks, scores: &Scores) -> Result<Mapped> {
    heard("the maps of a vector", 0, DOFS.len() + 3)?;
    let scored = |dof| ranks.scored(&scores.student(dof));
    let lengths = || scores.chi(x.ncols());
    let values = match map {
        Map::Identity => linear(standardised(x).as_ref())?,
        Map::Ranks => linear(scored(f64::INFINITY).as_ref())?,
        Map::Power => linear(standardised(&powers(x)).as_ref())?,
        Map::Elliptic => elliptic(from_medians(x).as_ref(), &lengths())?,
        Map::MetaElliptic(dof) => elliptic(scored(dof).as_ref(), &lengths())?,
    };
    let distance = distance(values.as_ref());
    Ok(Mapped {
        map,
        values,
        distance,
    })
}

/// The whitening by second moments.
fn linear(x: MatRef<'_, f64>) -> Result<Mat<f64>> {
    Ok(whitened(x, 0)?.values)
}

/// Each column from its median, in units of its quartiles.
fn from_medians(x: &Mat<f64>) -> Mat<f64> {
    let map = |values: &&[f64]| {
        let (center, scale) = quartiles(values);
        values
            .iter()
            .map(|value| (value - center) / scale)
            .collect()
    };
    from_columns(&slices(x).iter().map(map).collect::<Vec<_>>())
}

/// The median, and half of what lies between the quartiles, or the standard deviation where that is 0.
pub(in super::super) fn quartiles(values: &[f64]) -> (f64, f64) {
    let mut unsorted = values.to_vec();
    let mut at = |q: usize| {
        let place = (values.len() - 1) * q / 4;
        *unsorted.select_nth_unstable_by(place, f64::total_cmp).1
    };
    let (low, middle, high) = (at(1), at(2), at(3));
    let half = 0.5 * (high - low);
    (
        middle,
        if half > 0.0 {
            half
        } else {
            stats::variance(values).sqrt()
        },
    )
}

/// Each column through the power of its distance from the median that makes it most nearly normal.
fn powers(x: &Mat<f64>) -> Mat<f64> {
    let map = |values: &&[f64]| {
        let (center, scale) = quartiles(values);
        let length = |value: &f64| ((value - center).abs() / scale).ln();
        let lengths: Vec<f64> = values.iter().map(length).collect();
        let power = |p: f64| -> Vec<f64> {
            let map = |(length, value): (&f64, &f64)| (p * length).exp().copysign(value - center);
            lengths.iter().zip(*values).map(map).collect()
        };
        // A power of long tails may leave the range of numbers.
        let cost = |p: f64| Some(negentropy(&power(p))).filter(|cost| !cost.is_nan());
        power(best_power(|p| cost(p).unwrap_or(1e300 * p)))
    };
    from_columns(&slices(x).par_iter().map(map).collect::<Vec<_>>())
}

/// The exponent from ¼ to 4 with the lowest cost, by golden sections of its logarithm.
fn best_power(cost: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (-2.0f64, 2.0f64);
    let inner = |low: f64, high: f64| (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut a, mut b) = inner(low, high);
    let (mut at_a, mut at_b) = (cost(a.exp2()), cost(b.exp2()));
    for _ in 0..30 {
        if at_a < at_b {
            (high, b, at_b) = (b, a, at_a);
            a = inner(low, high).0;
            at_a = cost(a.exp2());
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = inner(low, high).1;
            at_b = cost(b.exp2());
        }
    }
    (0.5 * (low + high)).exp2()
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand_distr::{ChiSquared, StandardNormal};

    use super::*;
    use crate::rng;

    fn normal(n: usize, d: usize, seed: u64) -> Mat<f64> {
        let rng = &mut rng::seeded(seed);
        Mat::from_fn(n, d, |_, _| rng.sample::<f64, _>(StandardNormal))
    }

    #[test]
    fn the_length_of_students_t_is_found() {
        let (mut t, rng) = (normal(5000, 3, 0), &mut rng::seeded(1));
        let chi = ChiSquared::new(2.0).unwrap();
        for i in 0..5000 {
            let scale = (2.0f64 / rng.sample(chi)).sqrt();
            (0..3).for_each(|j| t[(i, j)] *= scale);
        }
        let bent = Mat::from_fn(5000, 3, |i, j| t[(i, j)].asinh());
        for x in [t, bent] {
            let found = choose(&x, &Scores::new(5000)).unwrap();
            assert!(found.distance < 0.3, "{} {}", found.map, found.distance);
            assert!(
                matches!(found.map, Map::MetaElliptic(2.0) | Map::Elliptic),
                "{}",
                found.map
            );
        }
    }

    #[test]
    fn a_power_is_taken_back() {
        let x = normal(5000, 1, 2);
        let cubed = Mat::from_fn(5000, 1, |i, _| x[(i, 0)].powi(3));
        let all = |x| candidates(x).collect::<Result<Vec<Mapped>>>().unwrap();
        let found = all(&cubed);
        assert!(found.len() == 1 && found[0].map == Map::Power);
        let rho: f64 = (0..5000)
            .map(|i| found[0].values[(i, 0)] * x[(i, 0)])
            .sum::<f64>()
            / 5000.0;
        assert!(rho > 0.999, "{rho}");
        let exponential = Mat::from_fn(5000, 1, |i, _| x[(i, 0)].exp());
        assert!(all(&exponential).is_empty());
    }

    #[test]
    fn quantiles_of_no_spread_fall_back() {
        let mostly = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let (center, scale) = quartiles(&mostly);
        assert!(center == 0.0 && scale > 0.0);
    }
}
