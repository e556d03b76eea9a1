//! Mutual information from samples: how many nats one vector tells about another.
//!
//! `I(x; y) = E ln p(x, y)/(p(x) p(y))`, never negative, and 0 only for independent vectors. Every estimator takes
//! samples as rows, `x: [n, d_x]` and `y: [n, d_y]`, and gives an [`Information`].
//!
//! - [`Ksg`] counts neighbours: no assumption, best where both vectors are short.
//! - [`Cca`] is exact for Gaussian vectors, at any strength.
//! - [`StudentCopula`] is for vectors whose tails come together, whatever their single coordinates look like.
//! - [`Base`] maps the vectors, tries these and a regression, and keeps what tells most about samples held out.
//! - [`Critic`] trains a network that tells pairs from strangers, up to a variational [`Bound`]: MINE, NWJ, InfoNCE.
//! - [`Minde`] and [`Doe`] are what the field compares with, as published.
//! - [`Mmg`] trains a denoiser, and reads the information off the gap between two of its curves, as [`gap_curves`] does
//!   of any two denoisers.
//!
//! [`mi`] is the short way. Of three vectors and more, [`conditional_mi`] and [`interactions`] take it apart by the chain
//! rule, and [`Masked`] learns one denoiser for all of it. Of pictures and classes, [`attribution()`] says which pixels tell the class.

mod canonical;
mod chain;
mod check;
mod columns;
mod experts;
mod gap;
mod gaussian;
mod lbfgs;
mod leakage;
mod maps;
mod order;
mod prepare;
mod ridge;
mod rows;
mod special;
mod swirl;
mod widest;

pub mod attribution;
pub mod base;
pub mod cca;
pub mod critic;
pub mod doe;
pub mod ksg;
pub mod masked;
pub mod minde;
pub mod mmg;
pub mod student_copula;

use std::fmt;

use ndarray::ArrayView2;

use crate::error::Result;
use crate::stats;

pub use attribution::{
    Attribution, AttributionConfig, ClassPath, Posterior, Without, attribution, attribution_with,
};
pub use base::Base;
pub use cca::Cca;
pub use chain::{Interactions, conditional_mi, conditional_mi_by, interactions, interactions_by};
pub use critic::{Bound, Critic};
pub use doe::{Doe, DoeHead};
pub use experts::Experts;
pub use gap::{GapCurves, gap_curves};
pub use ksg::{Ksg, KsgAlgorithm, Scale, classes};
pub use leakage::{Leakage, leakage};
pub use maps::Map;
pub use masked::{
    InteractionGaps, JointDenoiser, JointGaussian, JointNet, JointNetConfig, Masked, Seen,
    conditional_gap, entropy_curve, interaction_gaps,
};
pub use minde::{Minde, MindeForm};
pub use mmg::{Mmg, Readout};
pub use rows::Rows;
pub use student_copula::StudentCopula;

/// `I(x; y)` in nats, of samples that are paired by row: the closed-form model that fits best, see [`Base`].
///
/// # Errors
/// As [`Base`].
///
/// # Example: three normal numbers, of which two are told, with noise, by others
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let task = itd_prelude::task::sparse((3, 3), 2, 2.0)?;
/// let pairs = task.sample(4000, 0)?;
/// let found = mi(&pairs.x, &pairs.y)?;
/// check!((found.nats - task.nats).abs() < 4.0 * found.std_err, "{found}, in truth {:.4}", task.nats);
/// # Ok(()) }
/// ```
pub fn mi(x: &(impl Rows + ?Sized), y: &(impl Rows + ?Sized)) -> Result<Information> {
    Base::default().information(x.rows()?.view(), y.rows()?.view())
}

/// What estimates mutual information from pairs of samples.
///
/// # Example: any estimator, by its name
/// ```
/// use itd_prelude::information::{Cca, Estimator, Ksg};
///
/// let estimators: [&dyn Estimator; 2] = [&Ksg::default(), &Cca::default()];
/// assert_eq!(estimators.map(|one| one.name()), ["KSG", "CCA"]);
/// ```
pub trait Estimator {
    /// What the field calls it.
    fn name(&self) -> &'static str;

    /// `I(x; y)` in nats, from samples `x: [n, d_x]` and `y: [n, d_y]` that are paired by row.
    ///
    /// # Errors
    /// As the estimator says; all of them refuse values that are not finite, lengths that differ, columns that are
    /// constant, and too few samples.
    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information>;
}

/// An estimate of mutual information, in nats.
#[derive(Debug, Clone)]
pub struct Information {
    /// The value in nats. It may be below 0 by as much as its error.
    pub nats: f64,
    /// One standard error of [`Self::nats`]; NaN where it is not known. It tells how the samples scatter, not by how
    /// much the estimator is biased.
    pub std_err: f64,
    /// Samples behind it.
    pub n: usize,
    /// An estimate of `ln p(x, y)/(p(x) p(y))` at each sample, in their order, where the estimator has one.
    pub per_sample: Option<Vec<f64>>,
    /// What the reader should know before the number is believed.
    pub warnings: Vec<String>,
    /// What else was found on the way, by name.
    pub diagnostics: Vec<(&'static str, f64)>,
    /// The gap between the two denoisers' curves, where there are denoisers.
    pub gap: Option<GapCurves>,
}

impl Information {
    /// The mean of the samples' values, with its standard error.
    pub(crate) fn of_samples(per_sample: Vec<f64>) -> Self {
        Self {
            nats: stats::mean(&per_sample),
            std_err: stats::std_err(&per_sample),
            n: per_sample.len(),
            per_sample: Some(per_sample),
            warnings: Vec::new(),
            diagnostics: Vec::new(),
            gap: None,
        }
    }

    /// The same, with what the reader should know.
    pub(crate) fn warned(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// The same, with something that was found on the way.
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.diagnostics.push((name, value));
        self
    }

    /// What was found on the way under that name.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::information::{Estimator, Ksg};
    /// use itd_prelude::ndarray::Array2;
    ///
    /// let x = Array2::from_shape_fn((200, 1), |(i, _)| (i as f64).sin());
    /// let found = Ksg::default().information(x.view(), x.mapv(|x| x * x + x).view())?;
    /// assert_eq!(found.diagnostic("neighbours"), Some(3.0));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn diagnostic(&self, name: &str) -> Option<f64> {
        let found = self.diagnostics.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// `0.4113 ± 0.0091 nats (n = 10000)`, and the warnings below it.
impl fmt::Display for Information {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.4} ± {:.4} nats (n = {})",
            self.nats, self.std_err, self.n
        )?;
        for warning in &self.warnings {
            write!(f, "\n  {warning}")?;
        }
        Ok(())
    }
}
