//! Recommenders that are linear in what a user has: cheap, and hard to beat.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use ndarray::Array2;
use rand::Rng as _;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::Having;
use super::rank::{best, check_items};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rng;
use crate::rounds::Rounds;

/// Something that scores all items for users, from what they are shown to have.
pub trait Recommender {
    /// What it is called in tables.
    fn name(&self) -> String;

    /// A score for each user and item, `[users, items]`; higher is better. Items that a user has are scored, too.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for users of other items than it was trained on.
    fn scores(&self, shown: &Having) -> Result<Array2<f64>>;
}

/// Scores `X·B` of users `X`, a matrix of zeros and ones.
#[derive(Debug, Clone)]
pub struct Linear {
    name: String,
    weights: Weights,
}

#[derive(Debug, Clone)]
enum Weights {
    /// The same scores for everybody.
    Constant(Vec<f64>),
    /// `B = V·Vᵀ`, with a row of `V` for each item.
    Factors(Array2<f64>),
    /// `B` itself.
    Full(Array2<f64>),
}

impl Linear {
    /// `B`, `[items, items]`, or its factors, or the scores that everybody gets in one row.
    pub fn weights(&self) -> Array2<f64> {
        match &self.weights {
            Weights::Constant(scores) => {
                Array2::from_shape_fn((1, scores.len()), |(_, item)| scores[item])
            }
            Weights::Factors(matrix) | Weights::Full(matrix) => matrix.clone(),
        }
    }

    fn items(&self) -> usize {
        match &self.weights {
            Weights::Constant(scores) => scores.len(),
            Weights::Factors(matrix) | Weights::Full(matrix) => matrix.nrows(),
        }
    }
}

/// `X·W` for the rows of a matrix of zeros and ones.
fn sums(users: &Having, weights: &Array2<f64>) -> Array2<f64> {
    let mut sums = Array2::zeros((users.users(), weights.ncols()));
    let rows: Vec<&[u32]> = users.rows().collect();
    sums.axis_iter_mut(ndarray::Axis(0))
        .into_par_iter()
        .zip(rows)
        .for_each(|(mut sum, row)| {
            for &item in row {
                sum += &weights.row(item as usize);
            }
        });
    sums
}

impl Recommender for Linear {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn scores(&self, shown: &Having) -> Result<Array2<f64>> {
        check_items(self.items(), shown)?;
        room_for::<f64>("the scores", &[shown.users(), shown.items()])?;
        Ok(match &self.weights {
            Weights::Constant(scores) => {
                Array2::from_shape_fn((shown.users(), scores.len()), |(_, item)| scores[item])
            }
            Weights::Factors(v) => sums(shown, v).dot(&v.t()),
            Weights::Full(b) => sums(shown, b),
        })
    }
}

/// Ranks by how many users have an item: the floor under every other recommender.
///
/// # Errors
/// [`Error::Empty`] without users.
pub fn popularity(train: &Having) -> Result<Linear> {
    check_some(train)?;
    Ok(Linear {
        name: "popularity".into(),
        weights: Weights::Constant(train.popularity()),
    })
}

fn check_some(train: &Having) -> Result<()> {
    match train.count() {
        0 => Err(Error::Empty {
            what: "the matrix that is learned from",
        }),
        _ => Ok(()),
    }
}

/// More directions than asked for, so that those asked for converge fast.
const OVERSAMPLED: usize = 20;
/// Multiplications by `XᵀX`.
const ROUNDS: usize = 40;

/// The best approximation of rank `factors`, `X·V·Vᵀ` with the first right singular vectors of the training matrix.
///
/// # Errors
/// [`Error::Parameter`] unless there are from 1 factor to as many as users or items; [`Error::Empty`] without a single one
/// in the matrix.
///
/// # Numerics
/// A randomised range finder with 20 more directions and 40 rounds: for the ratings here the scores agree with those of a
/// dense decomposition to 1e-6, in a tenth of the time.
///
/// # Source
/// Halko, Martinsson, Tropp (2011), arXiv:0909.4061, Alg. 4.4 and Sec. 5.1. The published SDRM uses scikit-learn's
/// `TruncatedSVD` with 20 factors.
///
/// # Example: a matrix of rank 1
/// ```
/// use itd_prelude::recommender::{Having, Recommender, svd};
///
/// let users = Having::new(4, vec![vec![0, 1], vec![0, 1], vec![0, 1]])?;
/// let scores = svd(&users, 1, 0)?.scores(&users)?;
/// assert!((scores[[0, 0]] - 1.0).abs() < 1e-9 && scores[[0, 2]].abs() < 1e-9);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn svd(train: &Having, factors: usize, seed: u64) -> Result<Linear> {
    check_some(train)?;
    let items = train.items();
    let most = items.min(train.users());
    if !(1..=most).contains(&factors) {
        return Err(Error::Parameter {
            name: "factors",
            got: factors.to_string(),
            need: "from 1 to the smaller of the numbers of users and items",
        });
    }
    let width = (factors + OVERSAMPLED).min(most);
    room_for::<f64>("the factors", &[items + train.users(), 2 * width])?;
    let mut rng = rng::stream(seed, "directions of an SVD");
    let mut v = Mat::from_fn(items, width, |_, _| rng.sample::<f64, _>(StandardNormal));
    for round in 0..ROUNDS {
        let next = transposed_times(train, &times(train, &v));
        // Every second round is enough to keep the directions apart.
        v = match round % 2 {
            0 => normalized(next),
            _ => next.qr().compute_thin_Q(),
        };
        if crate::cell::interrupted() {
            return Err(Error::Interrupted(crate::error::Interrupted::new(
                "SVD",
                round as u64,
                ROUNDS as u64,
            )));
        }
    }
    // The best directions within the range.
    let y = times(train, &v);
    let small = y.transpose() * &y;
    let eigen = small
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::NotFinite {
            what: "an eigenvalue of the SVD",
            got: f64::NAN,
            next: "look at the training matrix",
        })?;
    let top = &v * eigen.U().subcols(width - factors, factors);
    Ok(Linear {
        name: format!("SVD-{factors}"),
        weights: Weights::Factors(Array2::from_shape_fn((items, factors), |(i, j)| {
            top[(i, j)]
        })),
    })
}

/// Each column divided by its length.
fn normalized(mut v: Mat<f64>) -> Mat<f64> {
    for mut column in v.col_iter_mut() {
        let length = column.norm_l2();
        if length > 0.0 {
            column *= faer::Scale(1.0 / length);
        }
    }
    v
}

/// `X·V`.
fn times(x: &Having, v: &Mat<f64>) -> Mat<f64> {
    let columns: Vec<Vec<f64>> = (0..v.ncols())
        .into_par_iter()
        .map(|j| {
            let column = v.col(j);
            let sum = |row: &[u32]| row.iter().map(|&item| column[item as usize]).sum();
            x.rows().map(sum).collect()
        })
        .collect();
    Mat::from_fn(x.users(), v.ncols(), |i, j| columns[j][i])
}

/// `Xᵀ·Y`.
fn transposed_times(x: &Having, y: &Mat<f64>) -> Mat<f64> {
    let columns: Vec<Vec<f64>> = (0..y.ncols())
        .into_par_iter()
        .map(|j| {
            let mut sums = vec![0.0; x.items()];
            for (row, value) in x.rows().zip(y.col(j).iter()) {
                row.iter().for_each(|&item| sums[item as usize] += value);
            }
            sums
        })
        .collect();
    Mat::from_fn(x.items(), y.ncols(), |i, j| columns[j][i])
}

/// How many users have both of two items, `XᵀX`.
pub(super) fn together(x: &Having) -> Mat<f32> {
    let n = x.items();
    let rows: Vec<&[u32]> = x.rows().collect();
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); n];
    for (user, row) in (0u32..).zip(&rows) {
        row.iter().for_each(|&item| users[item as usize].push(user));
    }
    let columns: Vec<Vec<f32>> = (0..n)
        .into_par_iter()
        .map(|item| {
            let mut counts = vec![0f32; n];
            for &user in &users[item] {
                rows[user as usize]
                    .iter()
                    .for_each(|&other| counts[other as usize] += 1.0);
            }
            counts
        })
        .collect();
    Mat::from_fn(n, n, |i, j| columns[j][i])
}

/// The largest `λ` of EASE: `P_ij/P_jj` is of the order of counts over `λ`, and `P_ij` of counts over its square.
const LARGEST: f64 = 1e12;

/// The linear model whose diagonal is 0, in closed form:
///
/// ```text
/// P = (XᵀX + λ)⁻¹        B_ij = −P_ij / P_jj,   B_jj = 0
/// ```
///
/// # Errors
/// [`Error::Parameter`] unless `λ` is above 0 and at most 10¹²; [`Error::Memory`] when the matrix of items does not fit;
/// [`Error::Interrupted`].
///
/// # Numerics
/// In `f32`, by a Cholesky decomposition. `itd bench recommender` times it at MovieLens-100k's 1,008 items.
///
/// # Source
/// Steck (2019), arXiv:1905.03375, Eq. 8.
///
/// # Example: two items that go together
/// ```
/// use itd_prelude::recommender::{Having, Recommender, ease};
///
/// let train = Having::new(3, vec![vec![0, 1], vec![0, 1], vec![2]])?;
/// let scores = ease(&train, 1.0)?.scores(&Having::new(3, vec![vec![0]])?)?;
/// assert!(scores[[0, 1]] > scores[[0, 2]]);
/// // By hand: G = [[3, 2], [2, 3]], and −P₀₁/P₁₁ = 2/3.
/// assert!((scores[[0, 1]] - 2.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn ease(train: &Having, lambda: f64) -> Result<Linear> {
    check_some(train)?;
    if !(lambda > 0.0 && lambda <= LARGEST) {
        return Err(Error::Parameter {
            name: "lambda",
            got: lambda.to_string(),
            need: "above 0 and at most 1e12: beyond, single precision holds no weights",
        });
    }
    let n = train.items();
    room_for::<f64>("the matrix of items", &[n, n, 3])?;
    let mut gram = together(train);
    for i in 0..n {
        gram[(i, i)] += lambda as f32;
    }
    let work = Rounds::new("EASE", 1, (n as f64).powi(3));
    let inverted = work.last("inverting the matrix of items", move || {
        gram.llt(Side::Lower).map(|factor| factor.inverse())
    })?;
    let p = inverted.map_err(|_| Error::Parameter {
        name: "lambda",
        got: lambda.to_string(),
        need: "large enough for the matrix to be positive definite in single precision",
    })?;
    let scale: Vec<f64> = (0..n).map(|j| -1.0 / f64::from(p[(j, j)])).collect();
    // P is symmetric: its column i is its row i, and lies in one piece.
    let mut b = Array2::zeros((n, n));
    b.axis_iter_mut(ndarray::Axis(0))
        .into_par_iter()
        .enumerate()
        .for_each(|(i, mut row)| {
            for (j, (out, p)) in row.iter_mut().zip(p.col(i).iter()).enumerate() {
                *out = if i == j {
                    0.0
                } else {
                    f64::from(*p) * scale[j]
                };
            }
        });
    Ok(Linear {
        name: format!("EASE λ={lambda}"),
        weights: Weights::Full(b),
    })
}

/// Items that the same users have: `B_ij` is the cosine of the columns of two items, for the `neighbours` of `i` that are most
/// alike, and 0 elsewhere.
///
/// # Errors
/// [`Error::Parameter`] for no neighbour; [`Error::Memory`] when the matrix of items does not fit.
///
/// # Source
/// Sarwar, Karypis, Konstan, Riedl (2001), doi:10.1145/371920.372071.
///
/// # Example: the nearest item
/// ```
/// use itd_prelude::recommender::{Having, Recommender, item_knn};
///
/// let train = Having::new(3, vec![vec![0, 1], vec![0, 1], vec![1, 2]])?;
/// let scores = item_knn(&train, 1)?.scores(&Having::new(3, vec![vec![0]])?)?;
/// assert!((scores[[0, 1]] - 2.0 / 6f64.sqrt()).abs() < 1e-6 && scores[[0, 2]] == 0.0);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn item_knn(train: &Having, neighbours: usize) -> Result<Linear> {
    check_some(train)?;
    if neighbours == 0 {
        return Err(Error::Parameter {
            name: "neighbours",
            got: "0".into(),
            need: "at least 1",
        });
    }
    let n = train.items();
    room_for::<f64>("the matrix of items", &[n, n, 2])?;
    let gram = together(train);
    let mut b = Array2::zeros((n, n));
    b.axis_iter_mut(ndarray::Axis(0))
        .into_par_iter()
        .enumerate()
        .for_each(|(i, mut row)| {
            let cosine = |j: usize| {
                let lengths = f64::from(gram[(i, i)]) * f64::from(gram[(j, j)]);
                match lengths > 0.0 {
                    true => f64::from(gram[(j, i)]) / lengths.sqrt(),
                    false => 0.0,
                }
            };
            for j in best(cosine, n, &[i as u32], neighbours) {
                row[j as usize] = cosine(j as usize);
            }
        });
    Ok(Linear {
        name: format!("item-kNN {neighbours}"),
        weights: Weights::Full(b),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(users: usize, items: usize, seed: u64) -> Having {
        let mut rng = rng::seeded(seed);
        let row = |_| {
            let has = |item: &u32| {
                let share = 0.1 + 0.4 * f64::from(*item) / items as f64;
                rng.random::<f64>() < share
            };
            (0..items as u32).filter(has).collect()
        };
        Having::new(items, (0..users).map(row).collect()).unwrap()
    }

    /// The slow twin: all singular vectors of the dense matrix.
    #[test]
    fn the_range_finder_agrees_with_a_dense_svd() {
        for (users, items, factors) in [(60, 90, 5), (90, 60, 20), (30, 30, 30)] {
            let train = random(users, items, 1);
            let dense = Mat::from_fn(users, items, |i, j| {
                f64::from(u8::from(train.row(i).contains(&(j as u32))))
            });
            let full = dense.thin_svd().unwrap();
            let v = full.V().subcols(0, factors);
            let slow = &dense * v * v.transpose();
            let fast = svd(&train, factors, 0).unwrap().scores(&train).unwrap();
            for i in 0..users {
                for j in 0..items {
                    assert!((slow[(i, j)] - fast[[i, j]]).abs() < 1e-4, "{factors}");
                }
            }
        }
    }

    /// The slow twin: for each item the ridge regression on all others, which is what EASE solves.
    #[test]
    fn ease_is_a_regression_of_each_item_on_the_others() {
        use faer::prelude::Solve;
        let train = random(80, 12, 2);
        let x = Mat::from_fn(80, 12, |i, j| {
            f64::from(u8::from(train.row(i).contains(&(j as u32))))
        });
        let b = ease(&train, 3.0).unwrap().weights();
        for item in 0..12 {
            let others: Vec<usize> = (0..12).filter(|j| *j != item).collect();
            let z = Mat::from_fn(80, 11, |i, j| x[(i, others[j])]);
            let gram = z.transpose() * &z + Mat::<f64>::identity(11, 11) * faer::Scale(3.0);
            let slopes = gram
                .llt(Side::Lower)
                .unwrap()
                .solve(z.transpose() * x.subcols(item, 1));
            for (j, &other) in others.iter().enumerate() {
                assert!((slopes[(j, 0)] - b[[other, item]]).abs() < 1e-5);
            }
            assert_eq!(b[[item, item]], 0.0);
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        let train = random(10, 8, 0);
        let none = Having::new(8, vec![vec![]]).unwrap();
        assert!(svd(&train, 0, 0).is_err() && svd(&train, 9, 0).is_err());
        assert!(ease(&train, 0.0).is_err() && ease(&train, f64::NAN).is_err());
        assert!(item_knn(&train, 0).is_err() && popularity(&none).is_err());
        let other = random(3, 7, 0);
        let error = ease(&train, 1.0).unwrap().scores(&other).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
}
