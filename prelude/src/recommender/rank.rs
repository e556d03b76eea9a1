//! How good a ranking is, and how sure one can be of it.

use std::fmt;

use ndarray::Array2;
use rand::Rng as _;
use rayon::prelude::*;

use super::{Having, Holdout};
use crate::error::{Error, Result};
use crate::{rng, stats};

/// What the hits among the first `k` are divided by. Published figures differ in it, and cannot be compared across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecallConvention {
    /// `hits / min(k, relevant)`: 1 is within reach of everybody. MultiVAE's code, and so SDRM's.
    #[default]
    MinOfKAndRelevant,
    /// `hits / relevant`: what information retrieval calls recall. RecBole's.
    Relevant,
}

/// The lengths of lists in the published tables.
pub const PUBLISHED_KS: [usize; 6] = [1, 3, 5, 10, 20, 50];

/// Recall and NDCG of each user, at several lengths of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The lengths.
    pub ks: Vec<usize>,
    /// What recall is divided by.
    pub convention: RecallConvention,
    /// Recall, for each length one value for each user.
    pub recall: Vec<Vec<f64>>,
    /// NDCG, likewise.
    pub ndcg: Vec<Vec<f64>>,
}

/// A mean over users, with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The mean.
    pub mean: f64,
    /// One standard error.
    pub std_err: f64,
    /// Over how many users.
    pub users: usize,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.3}", self.mean, self.std_err)
    }
}

impl Ranking {
    /// Ranks what users have not been shown by `scores`, `[users, items]`, and compares with what was held out.
    ///
    /// ```text
    /// DCG = Σ_{place i of a hit} 1/log₂(i + 1)        NDCG@k = DCG / Σ_{i ≤ min(k, relevant)} 1/log₂(i + 1)
    /// ```
    ///
    /// Equal scores are ranked by the number of the item. A user of whom nothing is held out is left out, as in the
    /// published code, where he is 0/0.
    ///
    /// # Errors
    /// [`Error::Shape`] when scores and users do not fit, [`Error::NotFinite`] for scores that are none,
    /// [`Error::Parameter`] for no length, or one of 0.
    ///
    /// # Example: two of three found
    /// ```
    /// use itd_prelude::ndarray::array;
    /// use itd_prelude::recommender::{Having, Holdout, Ranking, RecallConvention};
    ///
    /// let holdout = Holdout { kept: Having::new(6, vec![vec![0]])?, held_out: Having::new(6, vec![vec![1, 2, 5]])? };
    /// let scores = array![[9.0, 5.0, 4.0, 3.0, 2.0, 1.0]];
    /// let ranking = Ranking::of(&scores, &holdout, &[2, 4], RecallConvention::MinOfKAndRelevant)?;
    /// assert_eq!(ranking.recall_at(2)?, [1.0]);
    /// assert_eq!(ranking.recall_at(4)?, [2.0 / 3.0]);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn of(
        scores: &Array2<f64>,
        holdout: &Holdout,
        ks: &[usize],
        convention: RecallConvention,
    ) -> Result<Self> {
        let (users, items) = (holdout.kept.users(), holdout.kept.items());
        let fits = holdout.held_out.users() == users && holdout.held_out.items() == items;
        if scores.dim() != (users, items) || !fits {
            return Err(Error::Shape {
                what: "the scores",
                got: scores.shape().to_vec(),
                need: format!("[{users}, {items}], as what was kept and held out"),
            });
        }
        if ks.is_empty() || ks.contains(&0) {
            return Err(Error::Parameter {
                name: "ks",
                got: format!("{ks:?}"),
                need: "lengths of lists, from 1 on",
            });
        }
        check_scores(scores)?;
        let longest = ks.iter().copied().max().unwrap_or(0);
        let of_user = |user: usize| {
            let relevant = holdout.held_out.row(user);
            if relevant.is_empty() {
                return None;
            }
            let row = scores.row(user);
            let top = best(|item| row[item], items, holdout.kept.row(user), longest);
            let hit: Vec<bool> = top
                .iter()
                .map(|item| relevant.binary_search(item).is_ok())
                .collect();
            let gain = |i: usize| 1.0 / ((i + 2) as f64).log2();
            let at = |&k: &usize| {
                let found = hit.iter().take(k);
                let hits = found.clone().filter(|hit| **hit).count() as f64;
                let dcg: f64 = found
                    .enumerate()
                    .filter(|(_, hit)| **hit)
                    .map(|(i, _)| gain(i))
                    .sum();
                let ideal: f64 = (0..k.min(relevant.len())).map(gain).sum();
                let most = match convention {
                    RecallConvention::MinOfKAndRelevant => k.min(relevant.len()),
                    RecallConvention::Relevant => relevant.len(),
                };
                (hits / most as f64, dcg / ideal)
            };
            Some(ks.iter().map(at).collect::<Vec<_>>())
        };
        let found: Vec<Option<Vec<(f64, f64)>>> = (0..users).into_par_iter().map(of_user).collect();
        let found: Vec<Vec<(f64, f64)>> = found.into_iter().flatten().collect();
        if found.is_empty() {
            return Err(Error::Empty {
                what: "the list of users of whom something is held out",
            });
        }
        let column = |of: fn(&(f64, f64)) -> f64| {
            let at = |k: usize| found.iter().map(|user| of(&user[k])).collect();
            (0..ks.len()).map(at).collect()
        };
        Ok(Self {
            ks: ks.to_vec(),
            convention,
            recall: column(|pair| pair.0),
            ndcg: column(|pair| pair.1),
        })
    }

    /// As published: lists of 1, 3, 5, 10, 20 and 50.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn published(scores: &Array2<f64>, holdout: &Holdout) -> Result<Self> {
        Self::of(scores, holdout, &PUBLISHED_KS, RecallConvention::default())
    }

    fn at(&self, k: usize) -> Result<usize> {
        let place = self.ks.iter().position(|own| *own == k);
        place.ok_or_else(|| Error::Parameter {
            name: "k",
            got: format!("{k}, not among {:?}", self.ks),
            need: "one of the lengths that were asked for",
        })
    }

    /// Recall of each user among the first `k`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another length than those that were asked for.
    pub fn recall_at(&self, k: usize) -> Result<&[f64]> {
        Ok(&self.recall[self.at(k)?])
    }

    /// NDCG of each user among the first `k`.
    ///
    /// # Errors
    /// As [`Self::recall_at`].
    pub fn ndcg_at(&self, k: usize) -> Result<&[f64]> {
        Ok(&self.ndcg[self.at(k)?])
    }

    /// The means over users.
    ///
    /// # Errors
    /// As [`Self::recall_at`].
    pub fn scores_at(&self, k: usize) -> Result<[Score; 2]> {
        Ok([score(self.recall_at(k)?), score(self.ndcg_at(k)?)])
    }

    /// The users of several rankings, one after the other, as of the parts of a cross-validation.
    ///
    /// # Errors
    /// [`Error::Empty`] for none, [`Error::Mismatch`] for other lengths or another convention.
    pub fn joined(all: &[Self]) -> Result<Self> {
        let Some((first, rest)) = all.split_first() else {
            return Err(Error::Empty {
                what: "the list of rankings",
            });
        };
        let mut whole = first.clone();
        for other in rest {
            if (&other.ks, other.convention) != (&whole.ks, whole.convention) {
                return Err(Error::Mismatch {
                    what: "two rankings",
                    left: format!("{:?}, {:?}", whole.ks, whole.convention),
                    right: format!("{:?}, {:?}", other.ks, other.convention),
                    next: "measure both in the same way",
                });
            }
            for (own, other) in whole.recall.iter_mut().zip(&other.recall) {
                own.extend(other);
            }
            for (own, other) in whole.ndcg.iter_mut().zip(&other.ndcg) {
                own.extend(other);
            }
        }
        Ok(whole)
    }
}

/// A mean over users with its standard error.
pub fn score(values: &[f64]) -> Score {
    Score {
        mean: stats::mean(values),
        std_err: stats::std_err(values),
        users: values.len(),
    }
}

/// The items with the best scores that are not among those shown, best first.
pub(super) fn best(
    score: impl Fn(usize) -> f64,
    items: usize,
    shown: &[u32],
    count: usize,
) -> Vec<u32> {
    let unseen = (0..items as u32).filter(|item| shown.binary_search(item).is_err());
    let mut scored: Vec<(f64, u32)> = unseen.map(|item| (score(item as usize), item)).collect();
    // A sum with zero makes −0 equal to 0.
    let before =
        |a: &(f64, u32), b: &(f64, u32)| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)).then(a.1.cmp(&b.1));
    if count < scored.len() && count > 0 {
        scored.select_nth_unstable_by(count - 1, before);
    }
    scored.truncate(count);
    scored.sort_unstable_by(before);
    scored.into_iter().map(|(_, item)| item).collect()
}

/// By how much one method is better than another on the same users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean of the differences.
    pub mean: f64,
    /// One standard error of it.
    pub std_err: f64,
    /// The 2.5 % and the 97.5 % point of the mean under resampling of the users.
    pub interval: (f64, f64),
    /// How many users.
    pub users: usize,
}

impl Difference {
    /// Whether 0 is outside of the interval.
    pub fn significant(&self) -> bool {
        self.interval.0 > 0.0 || self.interval.1 < 0.0
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval;
        write!(f, "{:+.4} [{low:+.4}, {high:+.4}]", self.mean)
    }
}

/// Resamplings of a paired bootstrap.
const RESAMPLINGS: usize = 10_000;

/// The mean of `a − b` over users, and an interval that holds the truth with 95 %: users are drawn again with
/// replacement, 10,000 times, both methods' values of a user together (Efron, Tibshirani, 1993, Sec. 13.3).
///
/// What makes a user hard is hard for both methods, and leaves the difference: paired intervals are half as wide as those
/// of the single means.
///
/// # Errors
/// [`Error::Mismatch`] unless both have a value for each user, [`Error::Empty`] for fewer than two;
/// [`Error::NotFinite`] for values that are none.
///
/// # Example: half a standard deviation, a hundred users
/// ```
/// use itd_prelude::recommender::paired;
///
/// let b: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
/// let a: Vec<f64> = b.iter().enumerate().map(|(i, b)| b + if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
/// let gain = paired(&a, &b, 0)?;
/// assert!(gain.significant() && (gain.mean - 0.5).abs() < 1e-12);
/// assert!((gain.interval.0 - 0.40).abs() < 0.02 && (gain.interval.1 - 0.60).abs() < 0.02);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn paired(a: &[f64], b: &[f64], seed: u64) -> Result<Difference> {
    if a.len() != b.len() {
        return Err(Error::Mismatch {
            what: "the values of two methods",
            left: format!("{} users", a.len()),
            right: format!("{} users", b.len()),
            next: "measure both on the same users",
        });
    }
    if a.len() < 2 {
        return Err(Error::Empty {
            what: "the list of users beyond the first",
        });
    }
    check_scores(a.iter().chain(b))?;
    let gaps: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let n = gaps.len();
    let key = rng::Key::new(seed, "resampled users");
    let resampled = |i: usize| {
        let mut rng = key.at(i as u64, 0);
        (0..n).map(|_| gaps[rng.random_range(0..n)]).sum::<f64>() / n as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLINGS).into_par_iter().map(resampled).collect();
    means.sort_unstable_by(f64::total_cmp);
    let point = |share: f64| means[(share * (RESAMPLINGS - 1) as f64).round() as usize];
    Ok(Difference {
        mean: stats::mean(&gaps),
        std_err: stats::std_err(&gaps),
        interval: (point(0.025), point(0.975)),
        users: n,
    })
}

/// Refuses scores that have no order.
pub(super) fn check_scores<'a>(scores: impl IntoIterator<Item = &'a f64>) -> Result<()> {
    match scores.into_iter().find(|score| !score.is_finite()) {
        None => Ok(()),
        Some(&got) => Err(Error::NotFinite {
            what: "a score",
            got,
            next: "look at the recommender that gave it",
        }),
    }
}

/// Scores that were computed for users, held against what they were shown.
pub(super) fn check_items(own: usize, shown: &Having) -> Result<()> {
    if own != shown.items() {
        return Err(Error::Mismatch {
            what: "a recommender and users",
            left: format!("trained on {own} items"),
            right: format!("of {} items", shown.items()),
            next: "train it on the same items",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_formulas_by_hand() {
        let holdout = Holdout {
            kept: Having::new(5, vec![vec![0], vec![], vec![1]]).unwrap(),
            held_out: Having::new(5, vec![vec![2], vec![0, 1], vec![]]).unwrap(),
        };
        let scores = array![
            [9.0, 3.0, 2.0, 1.0, 0.0],
            [0.0, 0.0, 1.0, 2.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0]
        ];
        let ks = [1, 2, 4];
        let full = Ranking::of(&scores, &holdout, &ks, RecallConvention::Relevant).unwrap();
        let cut = Ranking::of(&scores, &holdout, &ks, RecallConvention::default()).unwrap();
        // The third user has nothing to be found. The second user's 3, 2, then by number 0, 1.
        assert_eq!(full.recall, [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]);
        assert_eq!(full.recall, cut.recall);
        let ndcg = |a: f64, b: f64| 1.0 / a.log2() / b;
        assert_eq!(full.ndcg[1][0], ndcg(3.0, 1.0));
        let gained = 1.0 / 4f64.log2() + 1.0 / 5f64.log2();
        assert!((full.ndcg[2][1] - gained / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-15);
        // Two relevant, a list of one: recall in full is half of the other.
        let scores = array![[0.0; 5], [9.0, 8.0, 0.0, 0.0, 0.0], [0.0; 5]];
        let full = Ranking::of(&scores, &holdout, &ks, RecallConvention::Relevant).unwrap();
        let cut = Ranking::of(&scores, &holdout, &ks, RecallConvention::default()).unwrap();
        assert_eq!((full.recall[0][1], cut.recall[0][1]), (0.5, 1.0));
    }

    #[test]
    fn bad_scores_are_refused() {
        let users = Having::new(2, vec![vec![0]]).unwrap();
        let holdout = Holdout {
            kept: users.clone(),
            held_out: Having::new(2, vec![vec![1]]).unwrap(),
        };
        let ranked =
            |scores, ks: &[usize]| Ranking::of(&scores, &holdout, ks, RecallConvention::default());
        assert!(matches!(
            ranked(array![[1.0, f64::NAN]], &[1]),
            Err(Error::NotFinite { .. })
        ));
        assert!(matches!(
            ranked(array![[1.0]], &[1]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            ranked(array![[1.0, 2.0]], &[0]),
            Err(Error::Parameter { .. })
        ));
        assert!(
            ranked(array![[1.0, 2.0]], &[1])
                .unwrap()
                .recall_at(5)
                .is_err()
        );
        assert!(paired(&[1.0], &[1.0, 2.0], 0).is_err());
    }

    #[test]
    fn equal_scores_are_ranked_by_number_and_both_zeros_are_equal() {
        let scores = [-0.0, 0.0, -0.0, 1.0, 0.0];
        let order = best(|item| scores[item], scores.len(), &[], 5);
        assert_eq!(order, [3, 0, 1, 2, 4]);
    }

    /// The interval holds the truth as often as it says.
    #[test]
    fn paired_intervals_cover() {
        let mut rng = rng::seeded(0);
        let inside = (0..200).filter(|&seed| {
            let user: Vec<f64> = (0..60).map(|_| rng.random::<f64>() * 5.0).collect();
            let noise: Vec<f64> = (0..60).map(|_| rng.random::<f64>()).collect();
            let a: Vec<f64> = user.iter().zip(&noise).map(|(u, n)| u + n).collect();
            let (low, high) = paired(&a, &user, seed).unwrap().interval;
            low <= 0.5 && 0.5 <= high
        });
        let share = inside.count() as f64 / 200.0;
        assert!((0.89..=0.99).contains(&share), "{share}");
    }
}
