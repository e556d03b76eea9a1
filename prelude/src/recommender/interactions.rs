//! Who rated what, and who has what.

use std::ops::Range;

use ndarray::Array2;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::ratings::RatingTable;

/// Which ratings count as a sign that an item is right for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relevance {
    /// Good ones only.
    Liked,
    /// All, bad ones too: a user has at least looked at what he rates.
    Rated,
}

/// For each user the items that he rated, and whether he liked them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interactions {
    items: usize,
    /// Sorted by item.
    rows: Vec<Vec<(u32, bool)>>,
}

impl Interactions {
    /// The ratings of a table; those of at least `liked_from` are likes.
    ///
    /// # Errors
    /// [`Error::Parameter`] for NaN, and for a table whose ratings are of users or items that it does not name, or twice of
    /// the same.
    pub fn of(table: &RatingTable, liked_from: f32) -> Result<Self> {
        if liked_from.is_nan() {
            return Err(Error::Parameter {
                name: "liked_from",
                got: "NaN".into(),
                need: "a rating, as 4.0",
            });
        }
        let mut rows = vec![Vec::new(); table.users.len()];
        for rating in &table.ratings {
            let row = rows.get_mut(rating.user as usize);
            let Some(row) = row.filter(|_| rating.value.is_finite()) else {
                return Err(Error::Parameter {
                    name: "a rating",
                    got: format!("{rating:?}, with {} users", table.users.len()),
                    need: "finite, and of a user of the table; users are counted from 0",
                });
            };
            row.push((rating.item, rating.value >= liked_from));
        }
        Self::new(table.items.len(), rows)
    }

    /// From rows of items and likes.
    ///
    /// # Errors
    /// [`Error::Parameter`] when an item is beyond the last, or twice in a row; [`Error::Memory`] when a number for each
    /// item does not fit.
    pub fn new(items: usize, mut rows: Vec<Vec<(u32, bool)>>) -> Result<Self> {
        room_for::<[f64; 2]>("the items", &[items])?;
        rows.iter_mut().for_each(|row| row.sort_unstable());
        for row in &rows {
            check_row(items, row.iter().map(|(item, _)| *item))?;
        }
        Ok(Self { items, rows })
    }

    /// Users and items with at least so many likes, again and again until none has fewer; both are numbered anew, in the
    /// same order.
    ///
    /// # Errors
    /// [`Error::Empty`] when none is left.
    pub fn at_least(&self, likes: usize) -> Result<Self> {
        let mut left = self.clone();
        loop {
            let mut of_item = vec![0; left.items];
            for (item, liked) in left.rows.iter().flatten() {
                of_item[*item as usize] += usize::from(*liked);
            }
            let mut place = 0;
            let places: Vec<Option<u32>> = of_item
                .iter()
                .map(|&count| {
                    (count >= likes).then(|| {
                        place += 1;
                        place - 1
                    })
                })
                .collect();
            let enough = |row: &&Vec<(u32, bool)>| row.iter().filter(|one| one.1).count() >= likes;
            let rows = left.rows.iter().filter(enough);
            let kept = |row: &Vec<(u32, bool)>| {
                let kept = |&(item, liked): &(u32, bool)| Some((places[item as usize]?, liked));
                row.iter().filter_map(kept).collect()
            };
            let next = Self {
                items: place as usize,
                rows: rows.map(kept).collect(),
            };
            if next.rows.is_empty() || next.items == 0 {
                return Err(Error::Empty {
                    what: "what is left of the users and items with enough likes",
                });
            }
            if (next.items, next.rows.len()) == (left.items, left.rows.len()) {
                return Ok(next);
            }
            left = next;
        }
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.rows.len()
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many ratings of this kind there are.
    pub fn count(&self, relevance: Relevance) -> usize {
        let counts = |one: &&(u32, bool)| relevance == Relevance::Rated || one.1;
        self.rows.iter().flatten().filter(counts).count()
    }

    /// Their share of all pairs of a user and an item.
    pub fn density(&self, relevance: Relevance) -> f64 {
        self.count(relevance) as f64 / (self.users() * self.items) as f64
    }

    /// Some of the users.
    ///
    /// # Errors
    /// [`Error::Parameter`] for users that are not there.
    pub fn take(&self, users: Range<usize>) -> Result<Self> {
        let got = format!("{users:?} of {}", self.users());
        let rows = self.rows.get(users).ok_or(Error::Parameter {
            name: "users",
            got,
            need: "a range of users that are there",
        })?;
        Ok(Self {
            items: self.items,
            rows: rows.to_vec(),
        })
    }

    /// What each user has: the items of his ratings of this kind.
    pub fn having(&self, relevance: Relevance) -> Having {
        let counts = |one: &&(u32, bool)| relevance == Relevance::Rated || one.1;
        let of = |row: &Vec<(u32, bool)>| row.iter().filter(counts).map(|one| one.0).collect();
        Having {
            items: self.items,
            rows: self.rows.iter().map(of).collect(),
        }
    }

    /// The ratings of a user, by item.
    pub fn row(&self, user: usize) -> &[(u32, bool)] {
        &self.rows[user]
    }
}

/// For each user the items that he has: a matrix of zeros and ones, by the places of its ones.
///
/// # Example
/// ```
/// use itd_prelude::recommender::Having;
///
/// let two = Having::new(4, vec![vec![2, 0], vec![3]])?;
/// assert_eq!((two.users(), two.items(), two.count()), (2, 4, 3));
/// assert_eq!(two.row(0), [0, 2]);
/// assert_eq!(two.density(), 3.0 / 8.0);
/// assert!(Having::new(4, vec![vec![4]]).is_err());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Having {
    items: usize,
    /// Sorted.
    rows: Vec<Vec<u32>>,
}

fn check_row(items: usize, row: impl Iterator<Item = u32>) -> Result<()> {
    let mut before = None;
    for item in row {
        if item as usize >= items || before == Some(item) {
            return Err(Error::Parameter {
                name: "an item",
                got: format!("{item} of {items}"),
                need: "below the number of items, and once in a row",
            });
        }
        before = Some(item);
    }
    Ok(())
}

impl Having {
    /// From rows of items.
    ///
    /// # Errors
    /// [`Error::Parameter`] when an item is beyond the last, or twice in a row; [`Error::Memory`] when a number for each
    /// item does not fit.
    pub fn new(items: usize, mut rows: Vec<Vec<u32>>) -> Result<Self> {
        room_for::<[f64; 2]>("the items", &[items])?;
        rows.iter_mut().for_each(|row| row.sort_unstable());
        for row in &rows {
            check_row(items, row.iter().copied())?;
        }
        Ok(Self { items, rows })
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.rows.len()
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many ones there are.
    pub fn count(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// The share of ones.
    pub fn density(&self) -> f64 {
        self.count() as f64 / (self.users() * self.items) as f64
    }

    /// The items of a user, sorted.
    pub fn row(&self, user: usize) -> &[u32] {
        &self.rows[user]
    }

    /// The items of each user.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The users of all, one after the other.
    ///
    /// # Errors
    /// [`Error::Empty`] for none, [`Error::Mismatch`] when they have other numbers of items.
    pub fn stacked(all: &[&Self]) -> Result<Self> {
        let Some(first) = all.first() else {
            return Err(Error::Empty {
                what: "the list of users to stack",
            });
        };
        for other in all {
            if other.items != first.items {
                return Err(Error::Mismatch {
                    what: "users and users",
                    left: format!("{} items", first.items),
                    right: format!("{} items", other.items),
                    next: "take users of the same items",
                });
            }
        }
        Ok(Self {
            items: first.items,
            rows: all.iter().flat_map(|one| one.rows.clone()).collect(),
        })
    }

    /// These users, in this order.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a user that is not there.
    pub fn select(&self, users: &[usize]) -> Result<Self> {
        let row = |&user: &usize| {
            self.rows.get(user).cloned().ok_or(Error::Parameter {
                name: "a user",
                got: format!("{user} of {}", self.users()),
                need: "one that is there",
            })
        };
        Ok(Self {
            items: self.items,
            rows: users.iter().map(row).collect::<Result<_>>()?,
        })
    }

    /// The matrix, `[users, items]`.
    ///
    /// # Errors
    /// [`Error::Memory`] when it does not fit.
    pub fn dense(&self) -> Result<Array2<f64>> {
        room_for::<f64>("the matrix of users and items", &[self.users(), self.items])?;
        let mut matrix = Array2::zeros((self.users(), self.items));
        for (user, row) in self.rows.iter().enumerate() {
            row.iter()
                .for_each(|&item| matrix[[user, item as usize]] = 1.0);
        }
        Ok(matrix)
    }

    /// Refuses users without a single item.
    pub(super) fn check_none_empty(&self, what: &'static str) -> Result<()> {
        if self.rows.is_empty() {
            return Err(Error::Empty { what });
        }
        match self.rows.iter().position(Vec::is_empty) {
            None => Ok(()),
            Some(user) => Err(Error::Missing {
                what: format!("user {user} of {what} has no item"),
                next: "leave out users without likes, as by `interactions.at_least(1)`",
            }),
        }
    }

    /// How many users have each item.
    pub fn popularity(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.items];
        for item in self.rows.iter().flatten() {
            counts[*item as usize] += 1.0;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratings::{Layout, Rating};

    #[test]
    fn a_table_by_hand_is_looked_at() {
        let table = |ratings: &[(u32, u32, f32)]| RatingTable {
            users: vec!["a".into(), "b".into()],
            items: vec!["x".into(), "y".into()],
            ratings: ratings
                .iter()
                .map(|&(user, item, value)| Rating { user, item, value })
                .collect(),
            layout: Layout::Tabs,
        };
        assert!(Interactions::of(&table(&[(0, 1, 4.0), (1, 0, 2.0)]), 3.0).is_ok());
        for bad in [
            [(2, 0, 4.0), (0, 0, 1.0)],
            [(0, 2, 4.0), (0, 0, 1.0)],
            [(0, 1, 4.0), (0, 1, 2.0)],
            [(0, 1, f32::NAN), (0, 0, 2.0)],
        ] {
            assert!(Interactions::of(&table(&bad), 3.0).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn filters_until_nothing_changes() {
        // Item 2 has two likes, until user 2, who has only one, is gone.
        let rows = vec![
            vec![(0, true), (1, true), (2, true)],
            vec![(0, true), (1, true), (3, false)],
            vec![(2, true)],
        ];
        let all = Interactions::new(4, rows).unwrap();
        let left = all.at_least(2).unwrap();
        assert_eq!((left.users(), left.items()), (2, 2));
        assert_eq!(left.count(Relevance::Rated), 4);
        assert!(matches!(all.at_least(9), Err(Error::Empty { .. })));
        assert_eq!(all.at_least(1).unwrap().items(), 3);
    }

    #[test]
    fn users_without_likes_are_named() {
        let rows = vec![vec![(0, true)], vec![(1, false)]];
        let all = Interactions::new(2, rows).unwrap();
        let liked = all.having(Relevance::Liked);
        let error = liked.check_none_empty("the training users").unwrap_err();
        assert!(
            error.to_string().contains("user 1 of the training users"),
            "{error}"
        );
        assert!(all.take(1..3).is_err());
    }
}
