//! Whether columns of samples are functions of each other.

use ndarray::ArrayView1;

/// Where a column's smallest and its largest value are.
pub(super) fn ends(column: ArrayView1<f64>) -> (usize, usize) {
    let (mut low, mut high) = (0, 0);
    for (row, &value) in column.iter().enumerate() {
        if value < column[low] {
            low = row;
        }
        if value > column[high] {
            high = row;
        }
    }
    (low, high)
}

/// Whether two columns have the same order or the opposite one, and the same ties, of which there are at most so many.
fn same_order(a: ArrayView1<f64>, b: ArrayView1<f64>, most_ties: usize) -> bool {
    let mut order: Vec<usize> = (0..a.len()).collect();
    order.sort_unstable_by(|&i, &j| a[i].total_cmp(&a[j]));
    let steps = || order.windows(2).map(|two| (two[0], two[1]));
    let tied = |(i, j): (usize, usize)| a[i] == a[j] && b[i] == b[j];
    let up = |(i, j): (usize, usize)| a[i] < a[j] && b[i] < b[j];
    let down = |(i, j): (usize, usize)| a[i] < a[j] && b[i] > b[j];
    (steps().all(|step| tied(step) || up(step)) || steps().all(|step| tied(step) || down(step)))
        && steps().filter(|&step| tied(step)).count() <= most_ties
}

/// Whether one column is a monotone function of the other. Two that are nearly multiples of each other have the same order,
/// too; then it is what is left of the one beside the other that must be a function, and not noise on that order.
///
/// With more than `most_ties` ties the answer is no.
pub(super) fn alike(a: ArrayView1<f64>, b: ArrayView1<f64>, most_ties: usize) -> bool {
    /// Chatterjee's coefficient is 1 for a function and 0 for what has nothing to do with the order.
    const FUNCTION: f64 = 0.5;
    if !same_order(a, b, most_ties) {
        return false;
    }
    let (a, b) = (a.to_vec(), b.to_vec());
    on_the_order(&a, &beside_it(&b, &a)) > FUNCTION
}

/// What is left of a column when the other is taken off as well as a straight line can; 0 where that is round-off.
fn beside_it(column: &[f64], other: &[f64]) -> Vec<f64> {
    let largest = |values: &[f64]| {
        values
            .iter()
            .fold(0.0f64, |most, value| most.max(value.abs()))
    };
    let centred = |values: &[f64]| -> Vec<f64> {
        let unit = largest(values);
        let mean = values.iter().map(|value| value / unit).sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value / unit - mean).collect()
    };
    let (own, other) = (centred(column), centred(other));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let slope = product(&own, &other) / product(&other, &other);
    let round_off = 8.0 * f64::EPSILON;
    own.iter()
        .zip(&other)
        .map(|(own, other)| own - slope * other)
        .map(|left| if left.abs() > round_off { left } else { 0.0 })
        .collect()
}

/// Chatterjee's coefficient `1 − 3 Σ |r_{i+1} − r_i| / (n² − 1)`, with `r` the ranks of `values` in the order of `line`.
fn on_the_order(line: &[f64], values: &[f64]) -> f64 {
    let n = line.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_unstable_by(|&i, &j| line[i].total_cmp(&line[j]));
    let mut places: Vec<usize> = (0..n).collect();
    places.sort_by(|&p, &q| values[order[p]].total_cmp(&values[order[q]]));
    let mut ranks = vec![0usize; n];
    for (rank, &place) in places.iter().enumerate() {
        ranks[place] = rank;
    }
    let steps: usize = ranks.windows(2).map(|two| two[0].abs_diff(two[1])).sum();
    let n = n as f64;
    1.0 - 3.0 * steps as f64 / (n * n - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;
    use crate::rng;

    fn both_ways(a: &[f64], b: &[f64], most_ties: usize) -> [bool; 2] {
        [(a, b), (b, a)].map(|(a, b)| alike(a.into(), b.into(), most_ties))
    }

    #[test]
    fn a_small_difference_is_a_function_or_tells() {
        let rng = &mut rng::seeded(0);
        let mut draw = || -> Vec<f64> { (0..1000).map(|_| rng.random_range(-2.0..2.0)).collect() };
        let (line, noise) = (draw(), draw());
        let with = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            let both = line.iter().zip(&noise);
            both.map(|(at, noise)| f(*at, *noise)).collect()
        };
        type Function = fn(f64) -> f64;
        let functions: [(&str, Function); 7] = [
            ("exp", |at| at.exp()),
            ("a long tail", |at| (9.0 * at).exp()),
            ("nearly straight", |at| (1e-4 * at).exp()),
            ("the opposite", |at| -at.powi(3)),
            ("a multiple", |at| 3.0 * at),
            ("rounded far away", |at| 0.1 * at + 0.3),
            ("huge", |at| 1e140 * at.exp()),
        ];
        for (name, f) in functions {
            let other: Vec<f64> = line.iter().copied().map(f).collect();
            assert_eq!(both_ways(&line, &other, 0), [true; 2], "{name}");
        }
        for small in [1e-7, 1e-9, 1e-12] {
            for sign in [-1.0, 1.0] {
                let other = with(&|at, noise| sign * (at + small * noise));
                assert!(same_order(
                    line.as_slice().into(),
                    other.as_slice().into(),
                    0
                ));
                assert_eq!(both_ways(&line, &other, 0), [false; 2], "{small}");
            }
        }
    }

    #[test]
    fn ties_of_both_are_the_same_or_tell() {
        let line: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 100)).collect();
        let map = |f: fn(f64) -> f64| -> Vec<f64> { line.iter().copied().map(f).collect() };
        for f in [f64::exp, |at: f64| -at, |at: f64| at.powi(3)] {
            assert_eq!(both_ways(&line, &map(f), 100), [true; 2]);
            assert_eq!(both_ways(&line, &map(f), 99), [false; 2]);
        }
        // A coarser one, and one whose ties are elsewhere.
        let coarse = map(|at| (at / 2.0).floor());
        assert_eq!(both_ways(&line, &coarse, 200), [false; 2]);
        let mut moved = line.clone();
        moved[0] += 0.5;
        assert_eq!(both_ways(&line, &moved, 200), [false; 2]);
    }
}
