//! How near synthetic users are to real ones.

use rayon::prelude::*;

use super::Having;
use crate::error::{Error, Result};
use crate::rounds::Rounds;

/// Users between two looks for an interrupt.
const AT_ONCE: usize = 256;

/// The Jaccard similarity of two sorted sets: what both have, of what one of them has; 0 for two empty ones.
///
/// # Example
/// ```
/// use itd_prelude::recommender::jaccard;
///
/// assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
/// ```
pub fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, both) = (i + 1, j + 1, both + 1);
            }
        }
    }
    let either = a.len() + b.len() - both;
    match either {
        0 => 0.0,
        _ => both as f64 / either as f64,
    }
}

/// For each user the Jaccard similarity to the most similar of the others; `apart` leaves out the user of the same
/// place, for users among themselves.
///
/// # Errors
/// [`Error::Empty`] when there is nobody to compare with; [`Error::Mismatch`] for other items, or with `apart` for lists of
/// two lengths; [`Error::Interrupted`].
pub fn nearest_similarity(users: &Having, others: &Having, apart: bool) -> Result<Vec<f64>> {
    check_pairs(users, others, apart)?;
    of_each(users, others, |user| {
        let all = (0..others.users()).filter(|other| !(apart && *other == user));
        all.map(|other| jaccard(users.row(user), others.row(other)))
            .fold(0.0, f64::max)
    })
}

/// A value of each user, for which all the others are looked through.
fn of_each(
    users: &Having,
    others: &Having,
    value: impl Fn(usize) -> f64 + Sync,
) -> Result<Vec<f64>> {
    let n = users.users();
    let row = others.count().div_ceil(others.users().max(1));
    let work = n as f64 * others.users() as f64 * (4 * row + 10) as f64;
    let mut rounds = Rounds::new("comparing users", n.div_ceil(AT_ONCE), work);
    let mut found = Vec::with_capacity(n);
    for from in (0..n).step_by(AT_ONCE) {
        let block = from..(from + AT_ONCE).min(n);
        found.par_extend(block.into_par_iter().map(&value));
        rounds.step()?;
    }
    Ok(found)
}

fn check_pairs(users: &Having, others: &Having, apart: bool) -> Result<()> {
    if others.users() <= usize::from(apart) {
        return Err(Error::Empty {
            what: "the list of users to compare with",
        });
    }
    if apart && users.users() != others.users() {
        return Err(Error::Mismatch {
            what: "users among themselves",
            left: format!("{} users", users.users()),
            right: format!("{} others", others.users()),
            next: "give the same users twice, or compare all pairs with `apart` false",
        });
    }
    if users.items() != others.items() {
        return Err(Error::Mismatch {
            what: "the items of users and others",
            left: users.items().to_string(),
            right: others.items().to_string(),
            next: "number the items of both alike",
        });
    }
    Ok(())
}

/// The mean dissimilarity, `1 − Jaccard`, of all pairs of one and another user.
///
/// # Errors
/// As [`nearest_similarity`].
pub fn mean_dissimilarity(users: &Having, others: &Having, apart: bool) -> Result<f64> {
    check_pairs(users, others, apart)?;
    if users.users() == 0 {
        return Err(Error::Empty {
            what: "the list of users",
        });
    }
    let sums = of_each(users, others, |user| {
        let all = (0..others.users()).filter(|other| !(apart && *other == user));
        all.map(|other| 1.0 - jaccard(users.row(user), others.row(other)))
            .sum()
    })?;
    let sum: f64 = sums.iter().sum();
    Ok(sum / (users.users() * (others.users() - usize::from(apart))) as f64)
}

/// The chance that a member has a higher value than somebody who is none; ties count half. ½ means that the values do not
/// tell members.
///
/// With the [similarity to the nearest synthetic user](nearest_similarity) as value this is the oldest test of whether a
/// generator has learned its users by heart.
///
/// # Errors
/// [`Error::Empty`] when one of the lists is; [`Error::NotFinite`] for values that are none.
///
/// # Source
/// Hanley, McNeil (1982), doi:10.1148/radiology.143.1.7063747, for area and standard error.
///
/// # Example
/// ```
/// use itd_prelude::recommender::membership_auc;
///
/// assert_eq!(membership_auc(&[3.0, 2.0], &[1.0, 2.0])?.0, 0.875);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn membership_auc(members: &[f64], others: &[f64]) -> Result<(f64, f64)> {
    if members.is_empty() || others.is_empty() {
        return Err(Error::Empty {
            what: "the list of members, or of the others",
        });
    }
    super::rank::check_scores(members.iter().chain(others))?;
    let mut sorted = others.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // Those below count whole, and those that are equal half.
    let won = |member: &f64| {
        let below = sorted.partition_point(|other| other < member);
        let up_to = sorted.partition_point(|other| other <= member);
        0.5 * (below + up_to) as f64
    };
    let (m, n) = (members.len() as f64, others.len() as f64);
    let area = members.iter().map(won).sum::<f64>() / (m * n);
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let variance =
        (area * (1.0 - area) + (m - 1.0) * (q1 - area * area) + (n - 1.0) * (q2 - area * area))
            / (m * n);
    Ok((area, variance.max(0.0).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gives_itself_away() {
        let real = Having::new(9, (0..8).map(|i| vec![i, i + 1]).collect()).unwrap();
        let copied = nearest_similarity(&real, &real, false).unwrap();
        assert!(copied.iter().all(|one| *one == 1.0));
        let among = nearest_similarity(&real, &real, true).unwrap();
        assert!(among.iter().all(|one| (*one - 1.0 / 3.0).abs() < 1e-15));
        assert_eq!(membership_auc(&copied, &among).unwrap().0, 1.0);
        assert_eq!(membership_auc(&among, &among).unwrap().0, 0.5);
        assert!(membership_auc(&[], &among).is_err());
        assert!(nearest_similarity(&real, &real.select(&[0]).unwrap(), true).is_err());
        let few = real.select(&[0, 1, 2]).unwrap();
        for (a, b) in [(&real, &few), (&few, &real)] {
            assert!(nearest_similarity(a, b, true).is_err());
            assert!(mean_dissimilarity(a, b, true).is_err());
            assert!(mean_dissimilarity(a, b, false).unwrap() < 1.0);
        }
        let apart = mean_dissimilarity(&real, &real, true).unwrap();
        assert!(apart > 0.8 && apart < 1.0);
    }
}
