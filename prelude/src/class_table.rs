//! Tables of classes: what went in against what came out, with intervals, tests, and the information between the two.
//!
//! Shares have [Wilson's interval](wilson); rows are compared by [`ClassTable::homogeneity`], the columns with what they
//! should be by [`ClassTable::columns_against`]; [`ClassTable::information`] is what the input tells of the output. Ranks of
//! a few numbers are compared by [`spearman`].

use std::fmt;

use ndarray::Array2;
use rand::seq::SliceRandom;
use statrs::function::gamma::gamma_ur;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rng;
use crate::rounds::Rounds;
use crate::stats;

/// The standard errors of an interval that holds the truth in 95 of 100 cases.
const Z95: f64 = 1.959_963_984_540_054;

/// A share of a number of cases, with an interval that holds the truth in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// Cases that count.
    pub count: u64,
    /// All cases.
    pub n: u64,
    /// `count/n`.
    pub share: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Proportion {
    /// Whether the interval holds a share.
    pub fn holds(&self, share: f64) -> bool {
        (self.low..=self.high).contains(&share)
    }
}

impl fmt::Display for Proportion {
    /// `0.312 [0.270, 0.358]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.share, self.low, self.high)
    }
}

/// Wilson's interval for a share, 95 %: all shares `p` that `count` of `n` cases are within 1.96 standard errors of, with
/// the standard error `√(p(1 − p)/n)` of `p` itself.
///
/// It stays within 0 and 1, and holds the truth about as often as it says also for few cases and for shares near 0.
///
/// # Errors
/// [`Error::Parameter`] when there is no case, or more that count than there are.
///
/// # Source
/// E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209–212; the example is of R. G. Newcombe (1998), Statistics in Medicine
/// 17, 857–872, Table I.
///
/// # Example
/// ```
/// use itd_prelude::class_table::wilson;
///
/// let share = wilson(81, 263)?;
/// assert_eq!(format!("{:.4} {:.4}", share.low, share.high), "0.2553 0.3662");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn wilson(count: u64, n: u64) -> Result<Proportion> {
    if n == 0 || count > n {
        return Err(Error::Parameter {
            name: "the cases that count",
            got: format!("{count} of {n}"),
            need: "at most all of at least one case",
        });
    }
    let (cases, share) = (n as f64, count as f64 / n as f64);
    let square = Z95 * Z95;
    let center = share + square / (2.0 * cases);
    let half = Z95 * (share * (1.0 - share) / cases + square / (4.0 * cases * cases)).sqrt();
    let all = 1.0 + square / cases;
    Ok(Proportion {
        count,
        n,
        share,
        low: if count == 0 {
            0.0
        } else {
            ((center - half) / all).max(0.0)
        },
        high: if count == n {
            1.0
        } else {
            ((center + half) / all).min(1.0)
        },
    })
}

/// How many cases of each class came out as each class.
///
/// # Example: a table of which rows differ
/// ```
/// use itd_prelude::class_table::ClassTable;
///
/// let table = ClassTable::new(&[[10, 20], [20, 10]])?;
/// let test = table.homogeneity()?;
/// assert!((test.statistic - 20.0 / 3.0).abs() < 1e-12 && test.dof == 1);
/// assert!((test.p - 0.00982).abs() < 1e-5);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassTable {
    counts: Array2<u64>,
}

/// Pearson's test: `Σ (seen − expected)²/expected`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquared {
    /// The sum.
    pub statistic: f64,
    /// Degrees of freedom.
    pub dof: usize,
    /// The probability of a sum at least as large, were there no difference. From large numbers: see
    /// [`Self::least_expected`].
    pub p: f64,
    /// The smallest number that was expected; `p` is not to be trusted much below 5.
    pub least_expected: f64,
}

impl fmt::Display for ChiSquared {
    /// `χ² = 81.3 with 81 degrees of freedom, p = 4.71e-1`; with a word where fewer than 1 were expected.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "χ² = {:.1} with {} degrees of freedom, p = {:.2e}",
            self.statistic, self.dof, self.p
        )?;
        match self.least_expected < 1.0 {
            true => write!(f, " (as few as {:.1} expected: rough)", self.least_expected),
            false => Ok(()),
        }
    }
}

/// What the input class tells of the output class, in nats, of a [`ClassTable`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TableInformation {
    /// That of the shares as they are: too large, by about `(rows − 1)(columns − 1)/2n`.
    pub plug_in: f64,
    /// The same without that bias to first order (Miller and Madow); may be below 0.
    pub corrected: f64,
    /// One standard error of both, to first order.
    pub std_err: f64,
    /// The mean of the plug-in values of tables whose outputs were shuffled.
    pub null_mean: f64,
    /// Of the shuffled tables 95 in 100 have at most this plug-in value.
    pub null_high: f64,
    /// The share of tables that tell as much, this one among them: small where input and output belong together.
    pub p: f64,
    /// Cases.
    pub n: u64,
}

impl fmt::Display for TableInformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.4} ± {:.4} nats (plug-in {:.4}; shuffled {:.4}, 95 % below {:.4}; p = {:.3})",
            self.corrected, self.std_err, self.plug_in, self.null_mean, self.null_high, self.p
        )
    }
}

impl ClassTable {
    /// A table from its rows, one for each input class.
    ///
    /// # Errors
    /// [`Error::Empty`] without rows or columns, or when all counts are 0; [`Error::Shape`] when rows have unlike length;
    /// [`Error::Parameter`] when there are more than 2⁵³ cases, which `f64` cannot count.
    pub fn new(rows: &[impl AsRef<[u64]>]) -> Result<Self> {
        let columns = rows.first().map_or(0, |row| row.as_ref().len());
        if columns == 0 {
            return Err(Error::Empty {
                what: "the table of classes",
            });
        }
        if let Some(odd) = rows.iter().find(|row| row.as_ref().len() != columns) {
            return Err(Error::Shape {
                what: "a row of the table",
                got: vec![odd.as_ref().len()],
                need: format!("[{columns}], as long as the first row"),
            });
        }
        let mut counts = Array2::zeros((rows.len(), columns));
        for (mut to, from) in counts.rows_mut().into_iter().zip(rows) {
            to.iter_mut()
                .zip(from.as_ref())
                .for_each(|(to, from)| *to = *from);
        }
        Self { counts }.checked()
    }

    /// The table of pairs, `classes` by `classes`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lists have unlike length, [`Error::Parameter`] for a class from `classes` on;
    /// [`Error::Empty`] without pairs.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::class_table::ClassTable;
    ///
    /// let table = ClassTable::of_pairs(&[0, 0, 1], &[0, 1, 1], 2)?;
    /// assert_eq!(table, ClassTable::new(&[[1, 1], [0, 1]])?);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn of_pairs(input: &[u32], output: &[u32], classes: usize) -> Result<Self> {
        if input.len() != output.len() {
            return Err(Error::Mismatch {
                what: "the inputs and the outputs",
                left: input.len().to_string(),
                right: output.len().to_string(),
                next: "give one of each for each case",
            });
        }
        room_for::<u64>("the table of classes", &[classes, classes])?;
        let mut counts = Array2::zeros((classes, classes));
        for (&i, &o) in input.iter().zip(output) {
            let Some(count) = counts.get_mut((i as usize, o as usize)) else {
                return Err(Error::Parameter {
                    name: "a class",
                    got: i.max(o).to_string(),
                    need: "below the number of classes; they count from 0",
                });
            };
            *count += 1;
        }
        Self { counts }.checked()
    }

    fn checked(self) -> Result<Self> {
        let mut counts = self.counts.iter();
        match counts.try_fold(0u64, |all, &count| all.checked_add(count)) {
            Some(0) => Err(Error::Empty {
                what: "the table of classes",
            }),
            Some(all) if all <= 1 << f64::MANTISSA_DIGITS => Ok(self),
            _ => Err(Error::Parameter {
                name: "the number of cases",
                got: "more than 2^53".into(),
                need: "at most 2^53, so that each of them counts",
            }),
        }
    }

    /// The counts, `[input, output]`.
    pub fn counts(&self) -> &Array2<u64> {
        &self.counts
    }

    /// All cases.
    pub fn total(&self) -> u64 {
        self.counts.sum()
    }

    fn row_sums(&self) -> Vec<u64> {
        self.counts
            .rows()
            .into_iter()
            .map(|row| row.sum())
            .collect()
    }

    fn column_sums(&self) -> Vec<u64> {
        let columns = self.counts.columns().into_iter();
        columns.map(|column| column.sum()).collect()
    }

    /// The share of a class that came out as itself.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a class that is none, or of which there is no case.
    pub fn accuracy(&self, class: usize) -> Result<Proportion> {
        match (self.counts.get((class, class)), self.row_sums().get(class)) {
            (Some(&right), Some(&all)) => wilson(right, all),
            _ => Err(Error::Parameter {
                name: "the class",
                got: class.to_string(),
                need: "one that the table has as a row and as a column",
            }),
        }
    }

    /// The share of each class among all that came out.
    ///
    /// # Errors
    /// None in practice: a table is never empty.
    pub fn columns(&self) -> Result<Vec<Proportion>> {
        let all = self.total();
        self.column_sums()
            .into_iter()
            .map(|sum| wilson(sum, all))
            .collect()
    }

    /// Whether all rows have the same shares: what comes out does not depend on what went in.
    ///
    /// Rows and columns without a case are left out.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless two rows and two columns have cases.
    pub fn homogeneity(&self) -> Result<ChiSquared> {
        let all = self.total() as f64;
        let (rows, columns) = (self.row_sums(), self.column_sums());
        let cells = self.counts.indexed_iter().filter_map(|((i, j), &seen)| {
            let expected = rows[i] as f64 * columns[j] as f64 / all;
            (expected > 0.0).then_some((seen as f64, expected))
        });
        let there = |sums: &[u64]| sums.iter().filter(|&&sum| sum > 0).count();
        let (r, c) = (there(&rows), there(&columns));
        chi_squared(
            cells.collect(),
            (r - 1) * (c - 1),
            "rows and columns with cases",
        )
    }

    /// Whether the classes that came out have these shares, which are scaled to sum to 1.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there is a share for each column, [`Error::Parameter`] unless all are finite and > 0, and
    /// none so small beside the others that the number expected of it is 0 in `f64`.
    ///
    /// # Example: as often as by a fair die
    /// ```
    /// use itd_prelude::class_table::ClassTable;
    ///
    /// let rolls = ClassTable::new(&[[5, 8, 9, 8, 10, 20]])?;
    /// let test = rolls.columns_against(&[1.0; 6])?;
    /// assert!((test.statistic - 13.4).abs() < 1e-12 && test.dof == 5);
    /// assert!((test.p - 0.0199).abs() < 1e-4);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn columns_against(&self, shares: &[f64]) -> Result<ChiSquared> {
        let sums = self.column_sums();
        if shares.len() != sums.len() {
            return Err(Error::Mismatch {
                what: "the shares and the columns",
                left: shares.len().to_string(),
                right: sums.len().to_string(),
                next: "give one share for each class that can come out",
            });
        }
        if let Some(bad) = shares
            .iter()
            .find(|share| !(**share > 0.0 && share.is_finite()))
        {
            return Err(Error::Parameter {
                name: "a share",
                got: bad.to_string(),
                need: "finite and > 0",
            });
        }
        // By the largest one first, lest their sum be too large.
        let largest = shares.iter().copied().fold(0.0, f64::max);
        let shares: Vec<f64> = shares.iter().map(|share| share / largest).collect();
        let (all, scale) = (self.total() as f64, shares.iter().sum::<f64>());
        let cell = |(sum, share): (&u64, &f64)| (*sum as f64, all * share / scale);
        let cells: Vec<(f64, f64)> = std::iter::zip(&sums, &shares).map(cell).collect();
        if cells.iter().any(|(_, expected)| *expected == 0.0) {
            return Err(Error::Parameter {
                name: "the smallest share",
                got: "0 beside the largest one".into(),
                need: "at least 1e-300 of the largest one",
            });
        }
        chi_squared(cells, sums.len() - 1, "columns")
    }

    /// What the input tells of the output, `Σ p ln p(i, o)/(p(i) p(o))` of the shares, with the bias taken off and with
    /// what shuffled outputs have.
    ///
    /// Where the output was made from something that knows the input, the information between the two is at least this:
    /// a class that is read off is a function of what it is read off.
    ///
    /// # Errors
    /// [`Error::Parameter`] without shuffles; [`Error::Memory`] when the cases or the values of all shuffles do not fit;
    /// [`Error::Interrupted`] when it is stopped.
    ///
    /// # Source
    /// The correction: G. Miller (1955), Note on the bias of information estimates, in Information Theory in Psychology.
    ///
    /// # Example: the class of half the cases is kept
    /// ```
    /// use itd_prelude::class_table::ClassTable;
    ///
    /// let told = ClassTable::new(&[[500, 500], [0, 1000]])?.information(200, 0)?;
    /// assert!(told.p < 0.01 && told.plug_in > told.null_high && told.corrected <= told.plug_in);
    /// assert!((told.plug_in - 0.2158).abs() < 1e-4, "{told}");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn information(&self, shuffles: usize, seed: u64) -> Result<TableInformation> {
        if shuffles == 0 {
            return Err(Error::Parameter {
                name: "shuffles",
                got: "0".into(),
                need: "at least 1; 999 are usual",
            });
        }
        let (rows, columns) = (self.row_sums(), self.column_sums());
        let n = self.total();
        let plug_in = plug_in(&self.counts, &rows, &columns);
        let there =
            |counts: &mut dyn Iterator<Item = &u64>| counts.filter(|&&c| c > 0).count() as f64;
        let cells = there(&mut self.counts.iter());
        let (r, c) = (there(&mut rows.iter()), there(&mut columns.iter()));
        let all = n as f64;
        let corrected = plug_in + (r + c - cells - 1.0) / (2.0 * all);
        let square: f64 = self
            .counts
            .indexed_iter()
            .filter(|(_, count)| **count > 0)
            .map(|((i, j), &count)| {
                let (p, q) = (
                    count as f64 / all,
                    rows[i] as f64 * columns[j] as f64 / (all * all),
                );
                p * (p / q).ln().powi(2)
            })
            .sum();
        let std_err = ((square - plug_in * plug_in).max(0.0) / all).sqrt();
        let cases = |sums: &[u64]| -> Vec<u32> {
            let each = sums.iter().enumerate();
            each.flat_map(|(class, &sum)| std::iter::repeat_n(class as u32, sum as usize))
                .collect()
        };
        room_for::<[u32; 2]>("the cases to be shuffled", &[n as usize])?;
        room_for::<f64>("the values of all shuffles", &[shuffles])?;
        let (input, mut output) = (cases(&rows), cases(&columns));
        let mut rng = rng::stream(seed, "shuffled classes");
        let mut rounds = Rounds::new("shuffling classes", shuffles, 40.0 * all * shuffles as f64);
        let mut null = Vec::with_capacity(shuffles);
        for _ in 0..shuffles {
            output.shuffle(&mut rng);
            let mut counts = Array2::zeros(self.counts.dim());
            for (&i, &o) in input.iter().zip(&output) {
                counts[(i as usize, o as usize)] += 1;
            }
            null.push(self::plug_in(&counts, &rows, &columns));
            rounds.step()?;
        }
        null.sort_by(f64::total_cmp);
        let as_much = null
            .iter()
            .filter(|&&value| value >= plug_in - 1e-12)
            .count();
        Ok(TableInformation {
            plug_in,
            corrected,
            std_err,
            null_mean: stats::mean(&null),
            null_high: null[(0.95 * (shuffles - 1) as f64).round() as usize],
            p: (as_much + 1) as f64 / (shuffles + 1) as f64,
            n,
        })
    }
}

/// `Σ p ln p(i, o)/(p(i) p(o))`.
fn plug_in(counts: &Array2<u64>, rows: &[u64], columns: &[u64]) -> f64 {
    let all: u64 = rows.iter().sum();
    let all = all as f64;
    let term = |((i, j), &count): ((usize, usize), &u64)| {
        let count = count as f64;
        count / all * (count * all / (rows[i] as f64 * columns[j] as f64)).ln()
    };
    let there = counts.indexed_iter().filter(|(_, count)| **count > 0);
    there.map(term).sum()
}

/// The test of `(seen, expected)`.
fn chi_squared(cells: Vec<(f64, f64)>, dof: usize, name: &'static str) -> Result<ChiSquared> {
    if dof == 0 {
        return Err(Error::Parameter {
            name,
            got: "one".into(),
            need: "at least two to be compared",
        });
    }
    let term = |(seen, expected): &(f64, f64)| (seen - expected).powi(2) / expected;
    let statistic: f64 = cells.iter().map(term).sum();
    let least = cells.iter().map(|(_, expected)| *expected);
    Ok(ChiSquared {
        statistic,
        dof,
        p: match statistic {
            f64::INFINITY => 0.0,
            _ if statistic > 0.0 => gamma_ur(0.5 * dof as f64, 0.5 * statistic),
            _ => 1.0,
        },
        least_expected: least.fold(f64::INFINITY, f64::min),
    })
}

/// A correlation of ranks; made by [`spearman`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCorrelation {
    /// From −1 to 1.
    pub rho: f64,
    /// The share of orders with a correlation that is as strong, this one among them.
    pub p: f64,
    /// Pairs.
    pub n: usize,
}

impl fmt::Display for RankCorrelation {
    /// `ρ = 0.61, p = 0.066 (n = 10)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ρ = {:.2}, p = {:.3} (n = {})", self.rho, self.p, self.n)
    }
}

/// Spearman's correlation of ranks, equal values sharing theirs, with the share of shuffled orders whose correlation is as
/// far from 0.
///
/// # Errors
/// [`Error::Mismatch`] when the lists have unlike length, [`Error::Parameter`] for fewer than three pairs, without shuffles,
/// or when one list is constant; [`Error::NotFinite`] for a value that is not finite; [`Error::Interrupted`] when it is
/// stopped.
///
/// # Example
/// ```
/// use itd_prelude::class_table::spearman;
///
/// let found = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0], 2000, 0)?;
/// assert!((found.rho - 0.8208).abs() < 1e-4 && found.p > 0.05);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn spearman(x: &[f64], y: &[f64], shuffles: usize, seed: u64) -> Result<RankCorrelation> {
    if x.len() != y.len() {
        return Err(Error::Mismatch {
            what: "the two lists",
            left: x.len().to_string(),
            right: y.len().to_string(),
            next: "give pairs",
        });
    }
    if x.len() < 3 || shuffles == 0 {
        return Err(Error::Parameter {
            name: "the number of pairs and of shuffles",
            got: format!("{} and {shuffles}", x.len()),
            need: "at least 3 pairs, and at least 1 shuffle",
        });
    }
    if let Some(&got) = x.iter().chain(y).find(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: "a value to be ranked",
            got,
            next: "leave the pair out",
        });
    }
    let (a, mut b) = (ranks(x), ranks(y));
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let scale = norm(&a) * norm(&b);
    if scale == 0.0 {
        return Err(Error::Parameter {
            name: "one of the lists",
            got: "constant".into(),
            need: "of different values: equal ones have no order",
        });
    }
    let rho = |b: &[f64]| std::iter::zip(&a, b).map(|(a, b)| a * b).sum::<f64>() / scale;
    let own = rho(&b);
    let mut rng = rng::stream(seed, "shuffled ranks");
    let work = 40.0 * x.len() as f64 * shuffles as f64;
    let mut rounds = Rounds::new("shuffling ranks", shuffles, work);
    let mut as_strong = 1;
    for _ in 0..shuffles {
        b.shuffle(&mut rng);
        as_strong += usize::from(rho(&b).abs() >= own.abs() - 1e-12);
        rounds.step()?;
    }
    Ok(RankCorrelation {
        rho: own,
        p: as_strong as f64 / (shuffles as f64 + 1.0),
        n: x.len(),
    })
}

/// Ranks with the mean 0; equal values share theirs.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Of the places that equal values take, the mean of the first and the last.
    let below = |value: f64| sorted.partition_point(|&other| other < value) as f64;
    let up_to = |value: f64| sorted.partition_point(|&other| other <= value) as f64;
    let middle = x.len() as f64;
    x.iter()
        .map(|&value| 0.5 * (below(value) + up_to(value) - middle))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R. G. Newcombe (1998), Statistics in Medicine 17, Table I, method 3.
    #[test]
    fn intervals_of_newcombe() {
        for (count, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let share = wilson(count, n).unwrap();
            assert!((share.low - low).abs() < 5.1e-5, "{share:?}");
            assert!((share.high - high).abs() < 5.1e-5, "{share:?}");
        }
        assert!(wilson(0, 0).is_err() && wilson(3, 2).is_err());
        // More cases than can be counted were summed to a few.
        assert!(ClassTable::new(&[[u64::MAX, 3]]).is_err());
        assert!(ClassTable::new(&[[1 << 53, 1]]).is_err());
        assert!(ClassTable::new(&[[1 << 53, 0]]).is_ok());
        assert_eq!(wilson(7, 7).unwrap().high, 1.0);
    }

    /// About 95 of 100 intervals hold the truth.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        use rand::Rng as _;
        let mut rng = rng::seeded(0);
        for (share, n) in [(0.1, 100), (0.5, 30), (0.02, 200)] {
            let held = (0..4000)
                .filter(|_| {
                    let count = (0..n).filter(|_| rng.random::<f64>() < share).count();
                    wilson(count as u64, n).unwrap().holds(share)
                })
                .count();
            assert!(
                (0.91..0.985).contains(&(held as f64 / 4000.0)),
                "{share} {n} {held}"
            );
        }
    }

    #[test]
    fn homogeneous_tables_are_rejected_as_often_as_the_test_says() {
        use rand::Rng as _;
        let mut rng = rng::seeded(1);
        let (mut rejected, mut significant, mut corrected) = (0, 0, 0.0);
        let rounds = 400;
        for round in 0..rounds {
            let pair = |_| (rng.random_range(0..4u32), rng.random_range(0..4u32));
            let (a, b): (Vec<u32>, Vec<u32>) = (0..300).map(pair).unzip();
            let table = ClassTable::of_pairs(&a, &b, 4).unwrap();
            rejected += usize::from(table.homogeneity().unwrap().p < 0.05);
            let told = table.information(99, round).unwrap();
            significant += usize::from(told.p <= 0.05);
            corrected += told.corrected / rounds as f64;
        }
        for count in [rejected, significant] {
            assert!((6..=36).contains(&count), "{rejected} {significant}");
        }
        // 9/600 without the correction.
        assert!(corrected.abs() < 0.002, "{corrected}");
    }

    #[test]
    fn a_kept_class_is_all_there_is_to_tell() {
        let kept = ClassTable::new(&[[100, 0, 0], [0, 100, 0], [0, 0, 100]]).unwrap();
        let told = kept.information(99, 0).unwrap();
        assert!((told.plug_in - 3f64.ln()).abs() < 1e-12 && told.std_err < 1e-7);
        assert!(told.p < 0.011 && told.null_high < 0.05);
        assert_eq!(kept.accuracy(1).unwrap().share, 1.0);
        assert!(kept.accuracy(3).is_err());
        assert!(kept.homogeneity().unwrap().p < 1e-50);
        assert!(kept.columns_against(&[1.0; 3]).unwrap().p > 0.999);
        // A class that never comes out does not count.
        let some = ClassTable::new(&[[5, 5, 0], [5, 5, 0], [0, 0, 0]]).unwrap();
        let test = some.homogeneity().unwrap();
        assert_eq!((test.dof, test.statistic, test.p), (1, 0.0, 1.0));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let none: [[u64; 2]; 0] = [];
        assert!(ClassTable::new(&none).is_err());
        assert!(ClassTable::new(&[[0, 0], [0, 0]]).is_err());
        assert!(ClassTable::new(&[vec![1, 2], vec![3]]).is_err());
        // As many counts as a table of three rows would have.
        assert!(ClassTable::new(&[vec![10, 20], vec![1, 2, 3], vec![4]]).is_err());
        assert!(ClassTable::of_pairs(&[0], &[0, 1], 2).is_err());
        assert!(ClassTable::of_pairs(&[0], &[2], 2).is_err());
        assert!(ClassTable::of_pairs(&[], &[], 2).is_err());
        let one = ClassTable::new(&[[1, 2]]).unwrap();
        assert!(one.homogeneity().is_err() && one.information(0, 0).is_err());
        assert!(one.columns_against(&[1.0]).is_err());
        assert!(one.columns_against(&[1.0, f64::NAN]).is_err());
        assert!(one.columns_against(&[1e300, 1e-300]).is_err());
        let many = ClassTable::new(&[[5, 100_000]]).unwrap();
        assert_eq!(many.columns_against(&[1.0, 1e-300]).unwrap().p, 0.0);
        assert!(spearman(&[1.0, 2.0], &[1.0, 2.0], 10, 0).is_err());
        assert!(spearman(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0], 10, 0).is_err());
        assert!(spearman(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0], 10, 0).is_err());
        assert!(spearman(&[1.0, 2.0, 3.0], &[1.0, 2.0], 10, 0).is_err());
    }

    #[test]
    fn ranks_that_agree_and_ranks_that_do_not() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let falling: Vec<f64> = x.iter().map(|x| (-x).exp()).collect();
        let found = spearman(&x, &falling, 999, 0).unwrap();
        assert!((found.rho + 1.0).abs() < 1e-12 && found.p < 0.005);
    }
}
