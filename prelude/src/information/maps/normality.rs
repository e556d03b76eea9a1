//! How far samples are from a normal vector.

use faer::{Mat, MatRef};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::super::columns::{column, times};
use super::super::special::normal_cdf;
use crate::rng;

/// Directions that are looked along, besides the coordinates.
const DIRECTIONS: usize = 60;
/// Where the distributions are compared: from −4 to 4.
const BINS: usize = 400;
const REACH: f64 = 4.0;

/// The mean Cramér–von Mises distance `n ∫ (F_n − Φ)² dΦ` from `N(0, 1)` along 60 directions, the same for all samples
/// of that dimension, and along each coordinate. For a normal vector it is about 1/6.
pub(in super::super) fn distance(x: MatRef<'_, f64>) -> f64 {
    let d = x.ncols();
    let along = directions(d);
    let seen = times(x, along.as_ref());
    let lines = (0..DIRECTIONS)
        .map(|j| column(seen.as_ref(), j))
        .chain((0..d).map(|j| column(x, j)));
    lines.map(of_line).sum::<f64>() / (DIRECTIONS + d) as f64
}

/// Unit vectors, `[d, 60]`.
fn directions(d: usize) -> Mat<f64> {
    let rng = &mut rng::stream(0, "directions of normality");
    let mut along = Mat::from_fn(d, DIRECTIONS, |_, _| rng.sample::<f64, _>(StandardNormal));
    for mut direction in along.col_iter_mut() {
        let length = direction.norm_l2();
        direction /= faer::Scale(length);
    }
    along
}

/// The distance of one line's values, by the trapezoid rule on the bins' edges.
fn of_line(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut counts = [0u32; BINS + 2];
    let scale = BINS as f64 / (2.0 * REACH);
    for value in values {
        // From bin 1 on; a cast takes what is below to 0, and what is beyond `usize` to its end.
        let bin = ((value + REACH) * scale + 1.0) as usize;
        counts[bin.min(BINS + 1)] += 1;
    }
    let (mut below, mut sum, mut last) = (0.0, 0.0, (0.0, 0.0));
    for (edge, count) in counts[..=BINS].iter().enumerate() {
        below += f64::from(*count);
        let cdf = normal_cdf(edge as f64 / scale - REACH);
        let gap = (below / n - cdf).powi(2);
        sum += 0.5 * (gap + last.1) * (cdf - last.0);
        last = (cdf, gap);
    }
    n * (sum + 0.5 * last.1 * (1.0 - last.0))
}

/// The negentropy of a line's values after standardising, by the third and the fourth cumulant.
pub(in super::super) fn negentropy(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = crate::stats::mean(values);
    let moment = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    let scale = moment(2).sqrt();
    let (skewness, excess) = (moment(3) / scale.powi(3), moment(4) / scale.powi(4) - 3.0);
    skewness * skewness / 12.0 + excess * excess / 48.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_a_line_is_the_sorted_one() {
        let rng = &mut rng::seeded(0);
        for (shift, scale) in [(0.0, 1.0), (0.1, 1.0), (0.0, 1.5)] {
            let mut line: Vec<f64> = (0..5000)
                .map(|_| shift + scale * rng.sample::<f64, _>(StandardNormal))
                .collect();
            let found = of_line(&line);
            line.sort_by(f64::total_cmp);
            let n = line.len() as f64;
            let term = |(i, &value): (usize, &f64)| {
                ((2.0 * i as f64 + 1.0) / (2.0 * n) - normal_cdf(value)).powi(2)
            };
            let exact = 1.0 / (12.0 * n) + line.iter().enumerate().map(term).sum::<f64>();
            assert!(
                (found - exact).abs() < 0.01 + 0.01 * exact,
                "{found} {exact}"
            );
        }
    }

    #[test]
    fn a_normal_vector_is_a_sixth_away() {
        let rng = &mut rng::seeded(1);
        let x = Mat::from_fn(5000, 4, |_, _| rng.sample::<f64, _>(StandardNormal));
        let found = distance(x.as_ref());
        assert!((found - 1.0 / 6.0).abs() < 0.1, "{found}");
        let long = Mat::from_fn(5000, 4, |i, j| x[(i, j)] * (1.0 + (i % 3) as f64));
        assert!(distance(long.as_ref()) > 10.0);
    }
}
