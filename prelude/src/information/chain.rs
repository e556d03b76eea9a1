//! More than two vectors, by the chain rule: conditional information, and what several vectors have in common.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::check::{checked, heard};
use super::{Base, Estimator, Information, Rows};
use crate::error::{Error, Result};
use crate::stats;

/// `I(x; y | z)` in nats: what `y` tells of `x` to those who know `z`, by [`Base`] and the chain rule.
///
/// # Errors
/// As [`conditional_mi_by`].
///
/// # Example: two that depend on nothing but a third
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::conditional_mi;
///
/// # fn main() -> Result<()> {
/// // x = z + noise and y = z + noise.
/// let joint = Gaussian::new(&[0.0; 3], &[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]])?;
/// let all = joint.sample(2000, &mut rng::seeded(0))?;
/// let [x, y, z] = [0, 1, 2].map(|i| all.narrow(1, i, 1));
/// let (x, y, z) = (x?, y?, z?);
/// check!(mi(&x, &y)?.nats > 0.1); // ½ ln 4/3
/// let given = conditional_mi(&x, &y, &z)?;
/// check!(given.nats.abs() < 4.0 * given.std_err, "{given}");
/// # Ok(()) }
/// ```
pub fn conditional_mi(
    x: &(impl Rows + ?Sized),
    y: &(impl Rows + ?Sized),
    z: &(impl Rows + ?Sized),
) -> Result<Information> {
    let (x, y, z) = (x.rows()?, y.rows()?, z.rows()?);
    conditional_mi_by(&Base::default(), x.view(), y.view(), z.view())
}

/// `I(x; y | z)` by any estimator of pairs, as the mean of the two ways to take it apart:
///
/// ```text
/// I(x; y | z) = I(x; (y, z)) − I(x; z) = I(y; (x, z)) − I(y; z)
/// ```
///
/// # Numerics
/// The standard error is that of the samples' own differences where the estimator has values of single samples, with what its
/// values have of errors beside, or half the difference of the two ways where that is larger: it is what the estimator's bias makes at least. Both are
/// diagnostics, `by x` and `by y`.
///
/// # Errors
/// [`Error::Mismatch`] for lengths that differ; as the estimator's.
///
/// # Example: neighbours have a form of their own, see [`Ksg::conditional`](super::Ksg::conditional)
/// ```
/// use itd_prelude::information::{Cca, Ksg, conditional_mi_by};
/// use itd_prelude::task;
///
/// let pairs = task::sparse((3, 3), 2, 2.0)?.sample(4000, 0)?;
/// let z = pairs.x.slice(itd_prelude::ndarray::s![.., 2..3]); // tells nothing of y
/// let x = pairs.x.slice(itd_prelude::ndarray::s![.., 0..2]);
/// let found = conditional_mi_by(&Cca::default(), x, pairs.y.view(), z)?;
/// assert!((found.nats - 1.0217).abs() < 4.0 * found.std_err, "{found}");
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn conditional_mi_by(
    estimator: &dyn Estimator,
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    z: ArrayView2<f64>,
) -> Result<Information> {
    let mut seen = checked(&[("x", x), ("y", y), ("z", z)], 2)?;
    // What x or y shares with z is known already.
    seen.functions = match seen.functions {
        None => None,
        Some(_) => checked(&[("x", x), ("y", y)], 2)?.functions,
    };
    let way = |a: ArrayView2<f64>, b: ArrayView2<f64>| -> Result<Information> {
        let both = estimator.information(a, beside(&[b, z])?.view())?;
        let alone = estimator.information(a, z)?;
        Ok(combined(&[(1.0, &both), (-1.0, &alone)]))
    };
    let mut found = match (way(x, y), way(y, x)) {
        (Ok(by_x), Ok(by_y)) => {
            let mut found = combined(&[(0.5, &by_x), (0.5, &by_y)]);
            found.std_err = found.std_err.max(0.5 * (by_x.nats - by_y.nats).abs());
            found.with("by x", by_x.nats).with("by y", by_y.nats)
        }
        // Of a vector that has a column of z one way is a difference of two that have no end.
        (Ok(found), Err(Error::NotFinite { .. })) | (Err(Error::NotFinite { .. }), Ok(found)) => {
            found.warned([
                "one of x and y has a function of z, so that only one of the two ways to it could be taken: leave that \
                 column out for both"
                    .to_owned(),
            ])
        }
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    // The estimator has other names for the vectors.
    found.warnings.retain(|text| !text.starts_with("column "));
    Ok(found.warned(seen.told()))
}

/// What several vectors have in common, in nats.
///
/// With entropies `h`, all vectors `X` and all but one `X₋ᵢ`,
///
/// ```text
/// total correlation        TC = Σ h(xᵢ) − h(X)
/// dual total correlation   DTC = h(X) − Σ h(xᵢ | X₋ᵢ)
/// O-information            Ω = TC − DTC
/// ```
///
/// All are 0 for independent vectors; of two vectors TC and DTC are the mutual information and Ω is 0. `Ω > 0` says that the
/// vectors tell the same (redundancy), `Ω < 0` that they tell more together than one by one (synergy).
///
/// # Source
/// Watanabe (1960), IBM J. Res. Dev. 4, 66; Han (1978), Inf. Control 36, 133; Rosas, Mediano, Gastpar, Jensen (2019),
/// Phys. Rev. E 100, 032305.
#[derive(Debug, Clone)]
pub struct Interactions {
    /// TC: by how much the vectors together are surer than each alone.
    pub total_correlation: Information,
    /// DTC: what is not one vector's own.
    pub dual_total_correlation: Information,
    /// Ω: redundancy less synergy.
    pub o_information: Information,
}

/// [`Interactions`] of two vectors or more, by [`Base`] and the chain rule.
///
/// # Errors
/// As [`interactions_by`].
///
/// # Example: three noisy readings of one number are redundant
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{Rows, interactions};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0; 3], &[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]])?;
/// let all = joint.sample(2000, &mut rng::seeded(0))?;
/// let (x, y, z) = (all.narrow(1, 0, 1)?, all.narrow(1, 1, 1)?, all.narrow(1, 2, 1)?);
/// let found = interactions(&[&x, &y, &z])?;
/// // ½ (Σ ln Σᵢᵢ − ln det Σ) = ½ ln 2, and ½ (ln det Σ + Σ ln (Σ⁻¹)ᵢᵢ) = ½ ln 27/16.
/// let tc = &found.total_correlation;
/// check!((tc.nats - 0.5 * 2f64.ln()).abs() < 4.0 * tc.std_err, "{tc}");
/// check!(found.o_information.nats > 0.0);
/// # Ok(()) }
/// ```
pub fn interactions(vectors: &[&dyn Rows]) -> Result<Interactions> {
    let rows: Vec<Array2<f64>> = vectors.iter().map(|x| x.rows()).collect::<Result<_>>()?;
    let views: Vec<ArrayView2<f64>> = rows.iter().map(|rows| rows.view()).collect();
    interactions_by(&Base::default(), &views)
}

/// [`Interactions`] by any estimator of pairs:
///
/// ```text
/// TC = Σᵢ I(xᵢ; x₁ … xᵢ₋₁),    TC + DTC = Σᵢ I(xᵢ; X₋ᵢ)
/// ```
///
/// # Numerics
/// The standard errors are those of the samples' own sums where the estimator has values of single samples, with what its
/// values have of errors beside. They do not tell what else a bias of the estimator adds, which sums up over the vectors.
///
/// # Errors
/// [`Error::Parameter`] for fewer than two vectors, [`Error::Mismatch`] for lengths that differ; as the estimator's.
///
/// # Example
/// ```
/// use itd_prelude::information::{Cca, interactions_by};
/// use itd_prelude::task;
///
/// let pairs = task::bivariate(0.75)?.sample(2000, 0)?;
/// let found = interactions_by(&Cca::default(), &[pairs.x.view(), pairs.y.view()])?;
/// let (tc, dtc) = (&found.total_correlation, &found.dual_total_correlation);
/// assert!((tc.nats - dtc.nats).abs() < 1e-9 && found.o_information.nats.abs() < 1e-9);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn interactions_by(
    estimator: &dyn Estimator,
    vectors: &[ArrayView2<f64>],
) -> Result<Interactions> {
    if vectors.len() < 2 {
        return Err(Error::Parameter {
            name: "vectors",
            got: vectors.len().to_string(),
            need: "at least two, which can have something in common",
        });
    }
    let names = ["x", "y", "z"].into_iter();
    let names = names.chain(std::iter::repeat("a later vector"));
    let sides: Vec<_> = names.zip(vectors.iter().copied()).collect();
    let seen = checked(&sides, 2)?;
    let (mut before, mut others) = (Vec::new(), Vec::new());
    for i in 0..vectors.len() {
        heard("the vectors", i, vectors.len())?;
        let rest = [&vectors[..i], &vectors[i + 1..]].concat();
        let with_rest = estimator.information(vectors[i], beside(&rest)?.view())?;
        if i > 0 {
            // Of the last one those before it are all others.
            before.push(match i + 1 == vectors.len() {
                true => with_rest.clone(),
                false => estimator.information(vectors[i], beside(&vectors[..i])?.view())?,
            });
        }
        others.push(with_rest);
    }
    let sum = |of_before: f64, of_others: f64| {
        let before = before.iter().map(|found| (of_before, found));
        let others = others.iter().map(|found| (of_others, found));
        let terms: Vec<_> = before.chain(others).filter(|(c, _)| *c != 0.0).collect();
        let mut found = combined(&terms);
        found.warnings.retain(|text| !text.starts_with("column "));
        found.warned(seen.ties.iter().chain(&seen.functions).cloned())
    };
    Ok(Interactions {
        total_correlation: sum(1.0, 0.0),
        dual_total_correlation: sum(-1.0, 1.0),
        o_information: sum(2.0, -1.0),
    })
}

/// A sum of informations of the same samples, each with its factor. Where all have values of single samples, these are
/// summed up sample by sample, and what each has of errors beside is added as if it were independent; otherwise all of them
/// are.
pub(super) fn combined(terms: &[(f64, &Information)]) -> Information {
    let nats = terms
        .iter()
        .map(|(factor, found)| factor * found.nats)
        .sum();
    let n = terms.iter().map(|(_, found)| found.n).min().unwrap_or(0);
    let lists: Option<Vec<(f64, &Vec<f64>)>> = terms
        .iter()
        .map(|(factor, found)| Some((*factor, found.per_sample.as_ref()?)))
        .collect();
    let lists = lists.filter(|lists| lists.iter().all(|(_, list)| list.len() == n));
    let mut warnings: Vec<String> = Vec::new();
    for warning in terms.iter().flat_map(|(_, found)| &found.warnings) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    let (std_err, per_sample) = match lists {
        Some(lists) => {
            let at = |i: usize| lists.iter().map(|(factor, list)| factor * list[i]).sum();
            let each: Vec<f64> = (0..n).map(at).collect();
            let beside = terms.iter().map(|(factor, found)| {
                let samples = found.per_sample.as_deref().map_or(0.0, stats::std_err);
                factor * (found.std_err.powi(2) - samples.powi(2)).max(0.0).sqrt()
            });
            let beside = stats::root_sum_squares(&beside.collect::<Vec<_>>());
            (stats::std_err(&each).hypot(beside), Some(each))
        }
        None => {
            let squares = terms.iter().map(|(f, found)| (f * found.std_err).powi(2));
            (squares.sum::<f64>().sqrt(), None)
        }
    };
    Information {
        nats,
        std_err,
        n,
        per_sample,
        warnings,
        diagnostics: Vec::new(),
        gap: None,
    }
}

/// The columns of all, side by side.
fn beside(parts: &[ArrayView2<f64>]) -> Result<Array2<f64>> {
    concatenate(Axis(1), parts).map_err(|_| lengths(parts))
}

pub(super) fn same_length(parts: &[ArrayView2<f64>]) -> Result<()> {
    match parts.windows(2).all(|two| two[0].nrows() == two[1].nrows()) {
        true => Ok(()),
        false => Err(lengths(parts)),
    }
}

fn lengths(parts: &[ArrayView2<f64>]) -> Error {
    let rows = parts.iter().map(ArrayView2::nrows);
    let (least, most) = (rows.clone().min(), rows.max());
    Error::Mismatch {
        what: "the samples, which belong together row by row,",
        left: format!("{} rows of one vector", least.unwrap_or(0)),
        right: format!("{} of another", most.unwrap_or(0)),
        next: "give as many rows of each",
    }
}
