//! A vector before closed forms are fitted to it: columns that tell nothing more are left out, ties are spread.

use faer::Mat;
use ndarray::ArrayView2;
use rand::Rng as _;
use rayon::prelude::*;

use super::check::TIES;
use super::columns::{by_column, column, from_columns, slices};
use super::gaussian::{Canonical, independent, orthonormal};
use super::maps::{normal_ranks, quartiles, standardised};
use super::order::{alike, ends};
use crate::error::Result;
use crate::rng::{self, Rng};

/// What is left of a column beside the others, relative, from which on ranks of single columns tell it well.
const APART: f64 = 0.05;

/// A vector, ready for closed forms.
pub(super) struct Prepared {
    /// `[n, d]`, by column.
    pub values: Mat<f64>,
    /// Columns that are functions of others and were left out.
    pub left_out: usize,
    /// Columns whose ties were spread.
    spread: usize,
    /// Whether linear combinations stand for the columns.
    turned: bool,
}

impl Prepared {
    /// Prepares a vector of that name.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory) when it does not fit.
    pub fn of(name: &'static str, x: ArrayView2<f64>, seed: u64) -> Result<Self> {
        let all = by_column(name, x)?;
        let (kept, _) = independent(weighed([&all])[0].as_ref());
        let rng = &mut rng::stream(seed, name);
        let mut spread = 0;
        let steps: Vec<Option<Steps>> = kept
            .par_iter()
            .map(|&j| Steps::of(column(all.as_ref(), j)))
            .collect();
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(kept.len());
        // The columns as they were, and where their ends are.
        let mut known: Vec<(&[f64], (usize, usize))> = Vec::with_capacity(kept.len());
        for (j, steps) in kept.into_iter().zip(steps) {
            let own = column(all.as_ref(), j);
            let (low, high) = ends(own.into());
            // A monotone function has its smallest and its largest value where the other has them.
            let mut near = known
                .iter()
                .filter(|(_, other)| *other == (low, high) || *other == (high, low));
            if near.any(|(other, _)| alike((*other).into(), own.into(), own.len())) {
                continue;
            }
            known.push((own, (low, high)));
            spread += usize::from(steps.is_some());
            columns.push(match steps {
                Some(steps) => steps.spread_out(own, rng),
                None => own.to_vec(),
            });
        }
        let values = from_columns(&columns);
        let left_out = all.ncols() - values.ncols();
        let (_, apart) = independent(weighed([&values])[0].as_ref());
        Ok(Self {
            values,
            left_out,
            spread,
            turned: apart < APART,
        })
    }

    /// The vector in coordinates that are not nearly sums of each other.
    pub fn turned(self) -> Self {
        let values = match self.turned {
            true => {
                let length = (self.values.nrows() as f64).sqrt();
                orthonormal(standardised(&self.values).as_ref()) * faer::Scale(length)
            }
            false => self.values,
        };
        Self { values, ..self }
    }

    /// What the reader should know.
    pub fn warnings(&self, name: &str) -> Vec<String> {
        let spread = (self.spread > 0).then(|| {
            format!(
                "{} of the columns of {name} have ties, which are spread by chance within the steps: that changes no \
                 information, but hides some of it from closed forms",
                self.spread
            )
        });
        let turned = self.turned.then(|| {
            format!(
                "columns of {name} are nearly sums of each other: orthogonal combinations of them are looked at instead"
            )
        });
        spread.into_iter().chain(turned).collect()
    }
}

/// Refuses vectors that have something in common without noise: a column, a monotone map of it, or a linear combination.
/// Of others it says whether ranks can tell them apart: few samples of a strong dependence may have the same order.
///
/// # Errors
/// [`Error::NotFinite`](crate::Error::NotFinite).
pub(super) fn check_noise(x: &Mat<f64>, y: &Mat<f64>) -> Result<bool> {
    let [own_x, own_y] = weighed([x, y]);
    Canonical::fit(own_x.as_ref(), own_y.as_ref())?;
    match Canonical::fit(normal_ranks(x).as_ref(), normal_ranks(y).as_ref()) {
        Ok(_) => Ok(true),
        Err(error) => {
            let function = |a: &[f64]| {
                let mut others = slices(y).into_iter();
                others.any(|b| alike(a.into(), b.into(), a.len()))
            };
            match slices(x).into_iter().any(function) {
                true => Err(error),
                false => Ok(false),
            }
        }
    }
}

/// The vectors' columns with each sample scaled to within the quartiles of all columns, and with the constant scaled likewise
/// taken off: sums of columns stay sums, and no long tail hides the rest.
pub(super) fn weighed<const N: usize>(vectors: [&Mat<f64>; N]) -> [Mat<f64>; N] {
    let n = vectors.first().map_or(0, |x| x.nrows());
    let mut weight = vec![1.0f64; n];
    for column in vectors.iter().flat_map(|x| slices(x)) {
        let (center, scale) = quartiles(column);
        weight
            .iter_mut()
            .zip(column)
            .for_each(|(weight, value)| *weight = weight.min(scale / (value - center).abs()));
    }
    let squares: f64 = weight.iter().map(|weight| weight * weight).sum();
    let own = |values: &[f64]| -> Vec<f64> {
        let (center, scale) = quartiles(values);
        let at = |(weight, value): (&f64, &f64)| weight * (value - center) / scale;
        let mut scaled: Vec<f64> = weight.iter().zip(values).map(at).collect();
        let along = std::iter::zip(&weight, &scaled).map(|(weight, value)| weight * value);
        let constant = along.sum::<f64>() / squares;
        scaled
            .iter_mut()
            .zip(&weight)
            .for_each(|(value, weight)| *value -= constant * weight);
        scaled
    };
    vectors.map(|x| from_columns(&slices(x).into_iter().map(own).collect::<Vec<_>>()))
}

/// The values of a column that has ties.
struct Steps {
    /// Each value once, in rising order.
    all: Vec<f64>,
    /// Those that are there more than once.
    often: Vec<f64>,
}

impl Steps {
    /// Nothing where there are few ties.
    fn of(column: &[f64]) -> Option<Self> {
        let mut all = column.to_vec();
        all.sort_unstable_by(f64::total_cmp);
        let often: Vec<f64> = all
            .windows(2)
            .filter(|two| two[0] == two[1])
            .map(|two| two[0])
            .collect();
        if often.len() as f64 <= TIES * column.len() as f64 {
            return None;
        }
        all.dedup();
        Some(Self { all, often })
    }

    /// The column, its ties anywhere between the middles to the next values: the value can be told from where it is now, so
    /// no information is changed.
    fn spread_out(&self, column: &[f64], rng: &mut Rng) -> Vec<f64> {
        let steps = &self.all;
        let moved = |&value: &f64| {
            let chance: f64 = rng.random();
            let often = &self.often;
            if often.binary_search_by(|one| one.total_cmp(&value)).is_err() {
                return value;
            }
            let place = steps.partition_point(|&step| step < value);
            let below = place.checked_sub(1).map(|at| value - steps[at]);
            let above = steps.get(place + 1).map(|next| next - value);
            let (Some(below), Some(above)) = (below.or(above), above.or(below)) else {
                return value;
            };
            value + 0.5 * ((below + above) * chance - below)
        };
        column.iter().map(moved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_out(column: &[f64]) -> Option<Vec<f64>> {
        Steps::of(column).map(|steps| steps.spread_out(column, &mut rng::seeded(0)))
    }

    #[test]
    fn spread_values_can_be_told_apart() {
        let steps = [-3.0, 0.0, 0.5, 10.0];
        let column: Vec<f64> = (0..4000).map(|i| steps[i * i % 7 % 4]).collect();
        let values = spread_out(&column).expect("ties");
        let borders = [-1.5, 0.25, 5.25];
        for (value, own) in values.iter().zip(&column) {
            let place = borders.partition_point(|border| border < value);
            assert_eq!(steps[place], *own, "{value}");
        }
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|two| two[0] < two[1]));
        let line: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(spread_out(&line), None);
    }

    #[test]
    fn zeros_of_both_signs_are_one_step() {
        let column: Vec<f64> = (0..100).map(|i| [0.0, -0.0, 1.0][i % 3]).collect();
        let values = spread_out(&column).expect("ties");
        let right = |(value, own): (&f64, &f64)| (*value < 0.5) == (*own == 0.0);
        assert!(values.iter().zip(&column).all(right));
    }

    #[test]
    fn long_tails_leave_columns_apart() {
        // Two columns whose largest values come together, and are so large that nothing is left of the rest.
        let at = |i: usize, j: usize| {
            ((i * (7 + 4 * j)) as f64).sin() * 1e14f64.powi(i32::from(i == 50))
        };
        let x = Mat::from_fn(200, 2, at);
        assert_eq!(independent(standardised(&x).as_ref()).0.len(), 1);
        assert_eq!(independent(weighed([&x])[0].as_ref()).0.len(), 2);
        let sums = Mat::from_fn(200, 3, |i, j| match j {
            2 => x[(i, 0)] - 2.0 * x[(i, 1)] + 5.0,
            _ => x[(i, j)],
        });
        assert_eq!(independent(weighed([&sums])[0].as_ref()).0.len(), 2);
    }
}
