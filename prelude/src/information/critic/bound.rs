//! The bounds, as functions of scores.

use ndarray::{Array1, Array2, ArrayView1};

use crate::stats::{log_sum_exp, mean};

/// What a [`Critic`](super::Critic) makes as large as it can. `T_ij = T(x_i, y_j)` are its scores of `k` samples, of
/// which `T_ii` are pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bound {
    /// The bound of Donsker and Varadhan on one other partner for each sample,
    ///
    /// ```text
    /// mean T(x_i, y_i) − ln mean exp T(x_i, y′_i)
    /// ```
    ///
    /// with a gradient whose denominator is a moving mean of `mean exp T`, since that of a batch alone is biased.
    /// Belghazi et al. (2018), arXiv:1801.04062, equations (10) and (12).
    #[default]
    Mine,
    /// `mean T_ii − ln mean_{i≠j} exp T_ij`, on all pairs of a batch. Donsker and Varadhan (1983).
    DonskerVaradhan,
    /// `mean T_ii − mean_{i≠j} exp(T_ij − 1)`. Nguyen, Wainwright, Jordan (2010), arXiv:0809.0853.
    Nwj,
    /// `mean ln[exp T_ii / mean_j exp T_ij]`: the partner is to be told from all others. Never above `ln k`.
    /// van den Oord, Li, Vinyals (2018), arXiv:1807.03748.
    InfoNce,
    /// The same with an answer for when the partner is not there. With `r = exp T` and `k − 1` candidates,
    ///
    /// ```text
    /// P(partner is j) = r_ij/(k − 1 + Σ_j r_ij),        P(none is) = (k − 1)/(k − 1 + Σ_j r_ij)
    /// ```
    ///
    /// where the partner is there in half of the questions. Answers are best when `r` is `p(x, y)/(p(x) p(y))` itself,
    /// not a multiple of it, and so `mean T_ii` estimates the information. It is no bound, and has no cap.
    /// After InfoNCE-anchor (2025), arXiv:2510.25983.
    InfoNceAnchor,
}

impl Bound {
    /// What the field calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mine => "MINE",
            Self::DonskerVaradhan => "Donsker-Varadhan",
            Self::Nwj => "NWJ",
            Self::InfoNce => "InfoNCE",
            Self::InfoNceAnchor => "InfoNCE-anchor",
        }
    }

    /// What the row of `x_i` tells; NaN where scores are [beyond] telling. For MINE, which asks about one other partner, see [`paired`].
    pub(super) fn row(self, i: usize, scores: ArrayView1<f32>) -> Row {
        if beyond(scores) {
            return Row {
                pair: f64::NAN,
                told: f64::NAN,
                there: f64::NAN,
            };
        }
        let scores: Vec<f64> = scores.iter().map(|&score| score.into()).collect();
        let without = |skipped: usize| {
            let mut others = scores.clone();
            others[skipped] = f64::NEG_INFINITY;
            log_sum_exp(&others)
        };
        Row {
            pair: scores[i],
            told: match self {
                Self::InfoNce => log_sum_exp(&scores),
                _ => without(i),
            },
            there: match self {
                Self::InfoNceAnchor => without((i + 1) % scores.len()),
                _ => f64::NAN,
            },
        }
    }

    /// The value of the bound, from the rows of all samples. Of InfoNCE with an anchor it is the mean logarithm of the
    /// probability of the right answer, over that of answers at random.
    pub(super) fn value(self, rows: &[Row]) -> f64 {
        let k = rows.len() as f64;
        let told: Vec<f64> = rows.iter().map(|row| row.told).collect();
        let pairs = mean(&rows.iter().map(|row| row.pair).collect::<Vec<_>>());
        match self {
            Self::Mine | Self::DonskerVaradhan => pairs - (log_sum_exp(&told) - log_pairs(k)),
            Self::Nwj => pairs - (log_sum_exp(&told) - log_pairs(k) - 1.0).exp(),
            Self::InfoNce => pairs - mean(&told) + k.ln(),
            Self::InfoNceAnchor => {
                let others = (k - 1.0).ln();
                let right = |row: &Row| {
                    let (there, absent) = (
                        log_add(others, row.there),
                        others - log_add(others, row.told),
                    );
                    row.pair - there + absent
                };
                let chance = 2.0 * 2f64.ln() + others;
                mean(&rows.iter().map(right).collect::<Vec<_>>()) + chance
            }
        }
    }

    /// The gradient of [`Self::value`] by each score.
    pub(super) fn gradient(self, scores: &Array2<f32>, rows: &[Row]) -> Array2<f32> {
        let k = rows.len() as f64;
        let told: Vec<f64> = rows.iter().map(|row| row.told).collect();
        let all = match self {
            Self::Mine | Self::DonskerVaradhan => log_sum_exp(&told),
            Self::Nwj => 1.0 + log_pairs(k),
            _ => 0.0,
        };
        let others = (k - 1.0).ln();
        // Where the row's sums are shared by its columns.
        let shares: Vec<(f64, f64)> = rows
            .iter()
            .map(|row| match self {
                Self::InfoNce => (row.told, 0.0),
                Self::InfoNceAnchor => (log_add(others, row.told), log_add(others, row.there)),
                _ => (all, 0.0),
            })
            .collect();
        Array2::from_shape_fn(scores.dim(), |(i, j)| {
            let (score, own) = (f64::from(scores[(i, j)]), f64::from(u8::from(i == j)) / k);
            let told = (score - shares[i].0).exp();
            let slope = match self {
                Self::InfoNce => own - told / k,
                Self::InfoNceAnchor => {
                    let there = (score - shares[i].1).exp();
                    let (is_partner, left_out) = (i == j, j == (i + 1) % rows.len());
                    let there = if left_out { 0.0 } else { there };
                    let absent = if is_partner { 0.0 } else { told };
                    own - (there + absent) / k
                }
                _ if i == j => own,
                _ => -told,
            };
            slope as f32
        })
    }

    /// How much each sample moves the value, to first order; their mean is the value. `columns(c)` gives
    /// `Σ_{i≠j} exp(T_ij − c_i)` for each `j`.
    pub(super) fn influences(
        self,
        rows: &[Row],
        columns: impl FnOnce(&[f64]) -> Vec<f64>,
    ) -> Vec<f64> {
        let k = rows.len() as f64;
        let told: Vec<f64> = rows.iter().map(|row| row.told).collect();
        match self {
            Self::InfoNceAnchor => rows.iter().map(|row| row.pair).collect(),
            Self::InfoNce => {
                let columns = columns(&told);
                let each = |(row, column): (&Row, f64)| {
                    row.pair - row.told + k.ln() - (column + (row.pair - row.told).exp() - 1.0)
                };
                rows.iter().zip(columns).map(each).collect()
            }
            Self::Mine | Self::DonskerVaradhan | Self::Nwj => {
                let all = log_sum_exp(&told);
                let log_mean = all - log_pairs(k);
                let columns = columns(&vec![all; rows.len()]);
                let each = |(row, column): (&Row, f64)| {
                    let share = k * ((row.told - all).exp() + column);
                    match self {
                        Self::Nwj => row.pair - (log_mean - 1.0).exp() * (share - 1.0),
                        _ => row.pair - log_mean - (share - 2.0),
                    }
                };
                rows.iter().zip(columns).map(each).collect()
            }
        }
    }
}

/// In `f32`, scores of this size are not told apart to a hundredth of a nat.
const BEYOND: f32 = 1e5;

/// Whether scores are too large to tell anything.
fn beyond(scores: ArrayView1<f32>) -> bool {
    !scores.iter().all(|score| score.abs() < BEYOND)
}

/// What is kept of a row of scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// `T_ii`.
    pub(super) pair: f64,
    /// `ln Σ exp T_ij` over the others, for InfoNCE over all.
    told: f64,
    /// The same over the partner and all others but one, so that there are as many.
    there: f64,
}

/// MINE of pairs and of samples with another partner: the value, and `ln mean exp T` of the latter.
pub(super) fn paired(pairs: &Array1<f32>, apart: &Array1<f32>) -> (f64, f64) {
    if beyond(pairs.view()) || beyond(apart.view()) {
        return (f64::NAN, f64::NAN);
    }
    let wide = |scores: &Array1<f32>| -> Vec<f64> { scores.iter().map(|&t| t.into()).collect() };
    let log_mean = log_sum_exp(&wide(apart)) - (apart.len() as f64).ln();
    (mean(&wide(pairs)) - log_mean, log_mean)
}

/// `ln k (k − 1)`.
fn log_pairs(k: f64) -> f64 {
    (k * (k - 1.0)).ln()
}

/// `ln (e^a + e^b)`.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    log_sum_exp(&[a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    const ON_ALL: [Bound; 4] = [
        Bound::DonskerVaradhan,
        Bound::Nwj,
        Bound::InfoNce,
        Bound::InfoNceAnchor,
    ];

    fn rows(bound: Bound, scores: &Array2<f32>) -> Vec<Row> {
        let rows = scores.rows().into_iter().enumerate();
        rows.map(|(i, row)| bound.row(i, row)).collect()
    }

    fn scores(k: usize) -> Array2<f32> {
        let rng = &mut crate::rng::seeded(0);
        Array2::from_shape_simple_fn((k, k), || rng.random_range(-1f32..1.0))
    }

    #[test]
    fn gradients_are_slopes() {
        let scores = scores(6);
        for bound in ON_ALL {
            let exact = bound.gradient(&scores, &rows(bound, &scores));
            for ((i, j), &exact) in exact.indexed_iter() {
                let at = |by: f32| {
                    let mut moved = scores.clone();
                    moved[(i, j)] += by;
                    (bound.value(&rows(bound, &moved)), f64::from(moved[(i, j)]))
                };
                let ((high, above), (low, below)) = (at(1e-2), at(-1e-2));
                let slope = (high - low) / (above - below);
                let gap = (slope - f64::from(exact)).abs();
                assert!(gap < 1e-5, "{bound:?} {i} {j}: {slope} {exact}");
            }
        }
    }

    #[test]
    fn scores_that_tell_nothing_are_worth_nothing() {
        let flat = Array2::from_elem((5, 5), 1f32);
        for bound in ON_ALL {
            // The ratio is then e, which the anchored one minds.
            let value = bound.value(&rows(bound, &flat));
            let none = if bound == Bound::InfoNceAnchor {
                value
            } else {
                0.0
            };
            assert!(
                (value - none).abs() < 1e-12 && value < 1e-12,
                "{bound:?} {value}"
            );
        }
        let zero = Array2::zeros((5, 5));
        let anchored = Bound::InfoNceAnchor.value(&rows(Bound::InfoNceAnchor, &zero));
        assert!(anchored.abs() < 1e-12, "{anchored}");
    }

    /// The mean of the influences is the value, and each is what leaving its sample out changes.
    #[test]
    fn influences_are_what_a_sample_changes() {
        let scores = scores(300);
        for bound in [Bound::DonskerVaradhan, Bound::Nwj, Bound::InfoNce] {
            let rows_of = rows(bound, &scores);
            let found = bound.influences(&rows_of, |c| {
                let column = |j: usize| {
                    (0..300)
                        .filter(|&i| i != j)
                        .map(|i| (f64::from(scores[(i, j)]) - c[i]).exp())
                        .sum()
                };
                (0..300).map(column).collect()
            });
            let value = bound.value(&rows_of);
            assert!((mean(&found) - value).abs() < 1e-9, "{bound:?}");
            for left in [0, 17] {
                let keep: Vec<usize> = (0..300).filter(|&i| i != left).collect();
                let less = scores
                    .select(ndarray::Axis(0), &keep)
                    .select(ndarray::Axis(1), &keep);
                let change = 299.0 * (value - bound.value(&rows(bound, &less)));
                let told = found[left] - value;
                assert!((change - told).abs() < 0.02, "{bound:?}: {change} {told}");
            }
        }
    }

    /// So large that `ln k` is lost beside them, equal scores would look like certainty.
    #[test]
    fn what_is_beyond_telling_is_no_number() {
        for bound in ON_ALL {
            for size in [1e19, f32::INFINITY, f32::NAN] {
                let flat = Array2::from_elem((5, 5), size);
                let value = bound.value(&rows(bound, &flat));
                assert!(value.is_nan(), "{bound:?}: {value}");
            }
        }
        let flat = Array1::from_elem(5, 1e19);
        assert!(paired(&flat, &flat).0.is_nan());
    }

    #[test]
    fn no_score_overflows() {
        let big = scores(4).mapv(|t| 2000.0 * t);
        for bound in [Bound::DonskerVaradhan, Bound::InfoNce, Bound::InfoNceAnchor] {
            let rows = rows(bound, &big);
            assert!(bound.value(&rows).is_finite(), "{bound:?}");
            assert!(bound.gradient(&big, &rows).iter().all(|g| g.is_finite()));
        }
        assert!(Bound::InfoNce.value(&rows(Bound::InfoNce, &big)) <= 4f64.ln());
    }
}
