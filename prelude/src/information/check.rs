//! What every estimator asks of its samples.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::order::{alike, ends};
use crate::error::{Error, Interrupted, Result};

/// What values must be below, and one over what they must vary by.
const LARGEST: f64 = 1e150;
/// Ties are told from this share of a column's values on.
pub(super) const TIES: f64 = 0.01;

/// Stops where the user has asked for it.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn heard(what: &str, done: usize, planned: usize) -> Result<()> {
    match crate::cell::interrupted() {
        false => Ok(()),
        true => Err(Error::Interrupted(Interrupted::new(
            what,
            done as u64,
            planned as u64,
        ))),
    }
}

/// What was seen of samples that will do.
#[derive(Debug, PartialEq)]
pub(super) struct Checked {
    /// Which columns have ties.
    pub ties: Vec<String>,
    /// Whether two vectors have a column in common.
    pub functions: Option<String>,
    /// Whether any value of any column is there twice.
    pub repeats: bool,
}

impl Checked {
    /// The same for an estimator that counts ties.
    pub fn told_of_counts(self) -> Vec<String> {
        let counted = |text: String| {
            let beginning = text.split(';').next().unwrap_or_default();
            format!(
                "{beginning}; they are counted as ties, so what is found is right for classes and counts, too"
            )
        };
        self.ties
            .into_iter()
            .map(counted)
            .chain(self.functions)
            .collect()
    }

    /// What the reader should know.
    pub fn told(self) -> Vec<String> {
        self.ties.into_iter().chain(self.functions).collect()
    }
}

/// Refuses samples that no estimator can work with; tells what was seen of the others.
///
/// # Errors
/// [`Error::Mismatch`] for lengths that differ, [`Error::Empty`] for no column, [`Error::Shape`] for fewer than
/// `needed` samples, [`Error::Missing`] for a value that is not finite or a column that is constant.
pub(super) fn checked(sides: &[(&'static str, ArrayView2<f64>)], needed: usize) -> Result<Checked> {
    same_length(sides)?;
    let mut seen = Checked {
        ties: Vec::new(),
        functions: None,
        repeats: false,
    };
    for &(side, values) in sides {
        if values.ncols() == 0 {
            return Err(Error::Empty {
                what: columns_of(side),
            });
        }
        if values.nrows() < needed {
            return Err(Error::Shape {
                what: side,
                got: values.shape().to_vec(),
                need: format!(
                    "[n, {}] with n at least {needed}: give more samples",
                    values.ncols()
                ),
            });
        }
        let shares: Vec<Result<f64>> = (0..values.ncols())
            .into_par_iter()
            .map(|j| {
                check_finite(side, j, values.column(j))?;
                repeated(side, j, values.column(j))
            })
            .collect();
        for (j, share) in shares.into_iter().enumerate() {
            let share = share?;
            seen.repeats |= share > 0.0;
            seen.ties
                .extend((share > TIES).then(|| ties(side, j, share)));
        }
    }
    seen.functions = functions(sides);
    Ok(seen)
}

fn same_length(sides: &[(&'static str, ArrayView2<f64>)]) -> Result<()> {
    for pair in sides.windows(2) {
        let (left, right) = (pair[0].1.nrows(), pair[1].1.nrows());
        if left != right {
            return Err(Error::Mismatch {
                what: "the samples, which are paired by row,",
                left: format!("{left} rows of {}", pair[0].0),
                right: format!("{right} rows of {}", pair[1].0),
                next: "give as many rows of the one as of the other",
            });
        }
    }
    Ok(())
}

/// Refuses what is not finite, and what is so large that its square is not.
fn check_finite(side: &str, j: usize, column: ArrayView1<f64>) -> Result<()> {
    match column.iter().position(|value| !(value.abs() < LARGEST)) {
        None => Ok(()),
        Some(row) => Err(Error::Missing {
            what: format!("{side} is {} in row {row}, column {j}", column[row]),
            next: "all values must be finite and below 1e150: drop such rows, fill them in, or scale the data",
        }),
    }
}

/// The share of a column's values that repeat another one. Refuses a column that does not vary.
fn repeated(side: &str, j: usize, column: ArrayView1<f64>) -> Result<f64> {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let distinct = 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if sorted[sorted.len() - 1] - sorted[0] < 1.0 / LARGEST {
        return Err(Error::Missing {
            what: format!(
                "{side} does not vary in column {j}: all its values are {} or as good as that",
                column[0]
            ),
            next: "leave that column out: a constant tells nothing",
        });
    }
    Ok(1.0 - distinct as f64 / sorted.len() as f64)
}

/// Tells of a column with ties.
fn ties(side: &str, j: usize, share: f64) -> String {
    format!(
        "column {j} of {side} has ties: {:.0} % of its values repeat another one; estimators for continuous values \
         are biased there, so treat it as a class, or add noise as wide as its steps",
        100.0 * share
    )
}

/// Tells of columns of two vectors of which each is a monotone function of the other, with hardly a value twice: the
/// information has no end.
fn functions(sides: &[(&'static str, ArrayView2<f64>)]) -> Option<String> {
    for (s, &(side, x)) in sides.iter().enumerate() {
        for &(other, y) in &sides[s + 1..] {
            let ends_of =
                |x: ArrayView2<f64>| x.columns().into_iter().map(ends).collect::<Vec<_>>();
            let (ends_x, ends_y) = (ends_of(x), ends_of(y));
            for (i, a) in x.columns().into_iter().enumerate() {
                for (j, b) in y.columns().into_iter().enumerate() {
                    let (own, (low, high)) = (ends_x[i], ends_y[j]);
                    let near = own == (low, high) || own == (high, low);
                    if near && alike_but_for_lumps(a, b) {
                        return Some(format!(
                            "column {i} of {side} and column {j} of {other} are functions of each other, which no number \
                             of nats tells: the information is infinite, and the value is what the estimator can see of \
                             it; leave one of the two out"
                        ));
                    }
                }
            }
        }
    }
    None
}

/// Whether two columns are monotone functions of each other. What has many ties is a class, whose information has an end;
/// a few values that many samples have, such as the zeros of what cannot be negative, do not make a class of the rest.
fn alike_but_for_lumps(a: ArrayView1<f64>, b: ArrayView1<f64>) -> bool {
    let most_ties = |n: usize| (TIES * n as f64) as usize;
    if alike(a, b, most_ties(a.len())) {
        return true;
    }
    let (lumps, others) = (lumps(a), lumps(b));
    let n = a.len();
    let left: Vec<usize> = (0..n).filter(|&row| !lumps[row] && !others[row]).collect();
    // As many as the others are with which it is compared.
    if left.len() == n || left.len() < FEW.max(most_ties(n)) {
        return false;
    }
    let (rest_a, rest_b) = (a.select(Axis(0), &left), b.select(Axis(0), &left));
    (0..n).all(|row| lumps[row] == others[row])
        && alike(rest_a.view(), rest_b.view(), most_ties(left.len()))
        && alike(a, b, n)
}

/// Samples that say something of a function.
const FEW: usize = 20;

/// Which samples have a value that more than a share of [`TIES`] have.
fn lumps(column: ArrayView1<f64>) -> Vec<bool> {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let most = TIES * sorted.len() as f64;
    let runs = sorted.chunk_by(|a, b| a == b);
    let large: Vec<f64> = runs
        .filter(|run| run.len() > 1 && run.len() as f64 > most)
        .map(|run| run[0])
        .collect();
    column.iter().map(|value| large.contains(value)).collect()
}

fn columns_of(side: &str) -> &'static str {
    match side {
        "x" => "x, a matrix without columns,",
        "y" => "y, a matrix without columns,",
        "z" => "z, a matrix without columns,",
        _ => "a vector without columns,",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn refused(x: &Array2<f64>, y: &Array2<f64>) -> String {
        checked(&[("x", x.view()), ("y", y.view())], 3)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn each_bad_input_says_where_it_is() {
        let good = array![[1.0], [2.0], [4.0]];
        let constant = array![[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]];
        let broken = array![[1.0], [f64::NAN], [2.0]];
        assert!(refused(&constant, &good).contains("x does not vary in column 1"));
        assert!(refused(&good, &broken).contains("y is NaN in row 1, column 0"));
        assert!(refused(&good, &array![[1.0], [2.0]]).contains("3 rows of x against 2 rows of y"));
        let short = array![[1.0], [2.0]];
        assert!(refused(&short, &short).contains("n at least 3"));
        assert!(refused(&good, &Array2::zeros((3, 0))).contains("y, a matrix without columns"));
    }

    #[test]
    fn what_leaves_the_range_of_squares_is_refused() {
        let good = array![[1.0], [2.0], [4.0]];
        assert!(refused(&good, &(1e200 * &good)).contains("below 1e150"));
        assert!(refused(&(1e-200 * &good), &good).contains("x does not vary in column 0"));
    }

    #[test]
    fn ties_are_told() {
        let x = Array2::from_shape_fn((1000, 1), |(i, _)| i as f64);
        let y = x.mapv(|x| (x / 2.0).floor());
        let told = |y: &Array2<f64>| checked(&[("x", x.view()), ("y", y.view())], 3).unwrap();
        let none = told(&x.mapv(f64::sin));
        assert!(!none.repeats && none.told().is_empty());
        let seen = told(&y);
        assert!(seen.repeats);
        let seen = seen.told();
        assert!(
            seen.len() == 1 && seen[0].starts_with("column 0 of y has ties: 50 %"),
            "{seen:?}"
        );
    }

    #[test]
    fn a_function_of_the_other_is_told() {
        let x = Array2::from_shape_fn((100, 2), |(i, j)| (0.7 * i as f64 + j as f64).sin());
        let told = |f: &dyn Fn(f64) -> f64| {
            let y = Array2::from_shape_fn((100, 2), |(i, j)| match j {
                0 => (1.3 * i as f64).cos(),
                _ => f(x[(i, 1)]),
            });
            checked(&[("x", x.view()), ("y", y.view())], 3)
                .unwrap()
                .told()
        };
        for f in [f64::exp, |x: f64| -x] {
            let warnings = told(&f);
            assert!(
                warnings.len() == 1 && warnings[0].starts_with("column 1 of x and column 1 of y"),
                "{warnings:?}"
            );
        }
        assert!(told(&|x| x * x).is_empty());
        // What repeats is a class, and its information has an end.
        let steps = Array2::from_shape_fn((100, 1), |(i, _)| (i % 7) as f64);
        let seen = checked(&[("x", steps.view()), ("y", steps.view())], 3).unwrap();
        assert!(seen.functions.is_none(), "{seen:?}");
        // But the zeros of what is never below 0 are not all of it.
        let x = Array2::from_shape_fn((1000, 1), |(i, _)| (0.7 * i as f64).sin().max(0.0));
        let told = |y: &Array2<f64>| {
            let seen = checked(&[("x", x.view()), ("y", y.view())], 3).unwrap();
            seen.functions.is_some()
        };
        assert!(told(&x) && told(&x.mapv(f64::exp)));
        let other = Array2::from_shape_fn((1000, 1), |(i, _)| match x[(i, 0)] {
            0.0 => 0.0,
            _ => (1.3 * i as f64).cos().abs() + 0.1,
        });
        assert!(
            !told(&other),
            "both are 0 together, and have nothing else in common"
        );
        let rounded = x.mapv(|x| (50.0 * x).round());
        let seen = checked(&[("x", rounded.view()), ("y", rounded.view())], 3).unwrap();
        assert!(seen.functions.is_none(), "{seen:?}");
    }
}
