//! Which users are learned from, and which of their items are hidden.

use rand::seq::SliceRandom;

use super::{Having, Interactions, Mt19937, Relevance};
use crate::error::{Error, Result};
use crate::ratings::RatingTable;
use crate::rng;

/// What is shown of users, and what is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdout {
    /// What a recommender is shown.
    pub kept: Having,
    /// What it should rank high.
    pub held_out: Having,
}

fn check(rows: &Having, share: f64) -> Result<()> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::Parameter {
            name: "share",
            got: share.to_string(),
            need: "between 0 and 1",
        });
    }
    match rows.rows().position(|row| row.len() < 2) {
        None => Ok(()),
        Some(user) => Err(Error::Missing {
            what: format!(
                "user {user} has {} items; nothing can be kept and held out of him",
                rows.row(user).len()
            ),
            next: "leave out users with fewer than two, as by `interactions.at_least(2)`",
        }),
    }
}

fn parted(
    rows: &Having,
    share: f64,
    mut choose: impl FnMut(usize, usize) -> Result<Vec<u32>>,
) -> Result<Holdout> {
    check(rows, share)?;
    let (mut kept, mut held_out) = (Vec::new(), Vec::new());
    for row in rows.rows() {
        // As numpy computes it: 0.2·35 is a little more than 7, and gives 8.
        let size = (share * row.len() as f64).ceil() as usize;
        let mut hidden = vec![false; row.len()];
        for place in choose(row.len(), size.min(row.len() - 1))? {
            hidden[place as usize] = true;
        }
        let part = |of: bool| {
            let own = row.iter().zip(&hidden).filter(|(_, hidden)| **hidden == of);
            own.map(|(item, _)| *item).collect::<Vec<u32>>()
        };
        kept.push(part(false));
        held_out.push(part(true));
    }
    Ok(Holdout {
        kept: Having::new(rows.items(), kept)?,
        held_out: Having::new(rows.items(), held_out)?,
    })
}

impl Holdout {
    /// Holds out `⌈share·n⌉` of each user's `n` items as the published code does: users in order, one after the other from
    /// one generator of numpy's.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the share is between 0 and 1; [`Error::Missing`] for a user with fewer than two items.
    pub fn published(rows: &Having, share: f64, seed: u32) -> Result<Self> {
        let mut twister = Mt19937::new(seed);
        parted(rows, share, |n, size| twister.choose(n, size))
    }

    /// Holds out `⌈share·n⌉` of each user's `n` items by chance.
    ///
    /// # Errors
    /// As [`Self::published`].
    pub fn random(rows: &Having, share: f64, seed: u64) -> Result<Self> {
        Self::drawn(rows, share, &mut rng::stream(seed, "held-out items"))
    }

    pub(super) fn drawn(rows: &Having, share: f64, rng: &mut rng::Rng) -> Result<Self> {
        parted(rows, share, |n, size| {
            let mut order = rng::permutation(n, rng);
            order.truncate(size);
            Ok(order)
        })
    }
}

/// MovieLens-100k as it was split for the published tables of SDRM.
///
/// Users and films with at least five ratings of 4 or 5; the first 843 users in the order of their numbers are learned
/// from (656 "train" and 187 "test" there), the last 95 are judged on ("valid" there). The split is not random. What is
/// learned from are likes; of the judged users all that they rated counts, likes or not, and a fifth of it is held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSplit {
    /// All users and items that are left: 938 × 1,008 for MovieLens-100k.
    pub all: Interactions,
    /// The first 843.
    pub train: Interactions,
    /// The last 95.
    pub valid: Interactions,
    /// The rated items of the latter.
    pub holdout: Holdout,
}

/// Users that are learned from, and users that are judged on.
const TRAIN: usize = 843;
const VALID: usize = 95;
/// The seed of the published split.
const SEED: u32 = 123;

impl PublishedSplit {
    /// The split of a table.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when another number of users is left than the published 938; as
    /// [`Interactions::at_least`] and [`Holdout::published`].
    pub fn of(table: &RatingTable) -> Result<Self> {
        let all = Interactions::of(table, 4.0)?.at_least(5)?;
        if all.users() != TRAIN + VALID {
            return Err(Error::Mismatch {
                what: "the table and the published split",
                left: format!("{} users with five likes", all.users()),
                right: format!("{} in MovieLens-100k", TRAIN + VALID),
                next: "take `ratings::ml_100k()?`, or split other tables with `folds`",
            });
        }
        let (train, valid) = (all.take(0..TRAIN)?, all.take(TRAIN..TRAIN + VALID)?);
        let holdout = Holdout::published(&valid.having(Relevance::Rated), 0.2, SEED)?;
        Ok(Self {
            all,
            train,
            valid,
            holdout,
        })
    }

    /// What is learned from: the likes of the first 843, and what is kept of the last 95, likes or not.
    ///
    /// # Errors
    /// None for a split that was made by [`Self::of`].
    pub fn learned(&self) -> Result<Having> {
        Having::stacked(&[&self.train.having(Relevance::Liked), &self.holdout.kept])
    }
}

/// One part of a cross-validation: users to learn from, users to choose settings with, users to judge on. No user is in
/// two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Learned from.
    pub train: Having,
    /// Settings and the end of training are chosen on these.
    pub validation: Holdout,
    /// Nothing but the last ranking sees what is held out of these.
    pub test: Holdout,
    /// Which users the latter are.
    pub test_users: Vec<usize>,
}

/// As many parts as asked for, in each of which other users are judged on; over all parts it is each user once. A tenth of the
/// others chooses the settings. A fifth of the items of judged and of choosing users is held out.
///
/// # Errors
/// [`Error::Parameter`] unless there are from 2 folds to as many as users, and two users beside each fold: one to choose
/// with and one to learn from; as [`Holdout::random`].
///
/// # Example: each user is judged on once
/// ```
/// use itd_prelude::recommender::{Having, folds};
///
/// let users = Having::new(6, (0..30).map(|i| vec![i % 6, (i + 1) % 6, (i + 2) % 6]).collect())?;
/// let parts = folds(&users, 5, 0)?;
/// let mut judged: Vec<usize> = parts.iter().flat_map(|part| part.test_users.clone()).collect();
/// judged.sort_unstable();
/// assert_eq!(judged, (0..30).collect::<Vec<_>>());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn folds(users: &Having, count: usize, seed: u64) -> Result<Vec<Fold>> {
    let n = users.users();
    if !(2..=n).contains(&count) || n - n.div_ceil(count) < 2 {
        return Err(Error::Parameter {
            name: "count",
            got: format!("{count} folds of {n} users"),
            need: "from 2 to the number of users, with two users beside each fold",
        });
    }
    let mut order: Vec<usize> = (0..users.users()).collect();
    order.shuffle(&mut rng::stream(seed, "folds of users"));
    let mut parts = Vec::new();
    for fold in 0..count {
        let mut test_users: Vec<usize> = order.iter().skip(fold).step_by(count).copied().collect();
        test_users.sort_unstable();
        let others: Vec<usize> = order
            .iter()
            .enumerate()
            .filter(|(place, _)| place % count != fold)
            .map(|(_, user)| *user)
            .collect();
        let (validation, train) = others.split_at(others.len().div_ceil(10));
        let mut train = train.to_vec();
        train.sort_unstable();
        let own = seed.wrapping_add(1000 * fold as u64);
        parts.push(Fold {
            train: users.select(&train)?,
            validation: Holdout::random(&users.select(validation)?, 0.2, own.wrapping_add(1))?,
            test: Holdout::random(&users.select(&test_users)?, 0.2, own)?,
            test_users,
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_kept_or_held_out() {
        let users = Having::new(40, vec![(0..35).collect(), vec![3, 9], (2..7).collect()]).unwrap();
        for holdout in [
            Holdout::published(&users, 0.2, 123).unwrap(),
            Holdout::random(&users, 0.2, 0).unwrap(),
        ] {
            let sizes: Vec<usize> = holdout.held_out.rows().map(<[u32]>::len).collect();
            assert_eq!(sizes, [7, 1, 1]);
            for user in 0..3 {
                let mut both = [holdout.kept.row(user), holdout.held_out.row(user)].concat();
                both.sort_unstable();
                assert_eq!(both, users.row(user));
            }
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let users = Having::new(4, vec![vec![0, 1], vec![2]]).unwrap();
        let error = Holdout::random(&users, 0.2, 0).unwrap_err().to_string();
        assert!(error.contains("user 1 has 1 items"), "{error}");
        for share in [0.0, 1.0, f64::NAN] {
            assert!(Holdout::random(&users, share, 0).is_err());
        }
        assert!(folds(&users, 1, 0).is_err());
        let few = |n: usize| Having::new(9, vec![vec![0, 3, 5, 7]; n]).unwrap();
        for (n, count) in [(2, 2), (3, 2)] {
            assert!(folds(&few(n), count, 0).is_err(), "{n} {count}");
        }
        for (n, count) in [(3, 3), (4, 2)] {
            let parts = folds(&few(n), count, 0).unwrap();
            assert!(parts.iter().all(|part| part.train.users() > 0));
        }
    }
}
