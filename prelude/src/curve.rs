//! Curves of the mean squared error over log-SNR: what every density and entropy here is an integral of.
//!
//! All errors are those of the noise estimate, `‖ε − ε̂‖²`, summed over the dimensions. They equal
//! `e^α ‖x − x̂‖²`, the paper's error times the SNR, so an integral over γ becomes one over α.
//!
//! [`mse_curve`] measures a curve; [`excess_mse`] the distance of two denoisers; [`measure`] any [`Statistic`] of
//! noisy samples, with the same noise, batches and interrupts.

mod accumulate;
mod dimension;
mod ensemble;
mod excess;
mod interpolate;
mod measure;
mod merge;
mod partial;
mod plan;
mod published;
mod shard;
mod statistic;

use ndarray::{Array1, Array2, ArrayView1, Axis};

use crate::error::{Error, Result};
use crate::logsnr::Quadrature;

pub use dimension::LocalDimension;
pub use ensemble::{Ensemble, ensemble_as_published};
pub use excess::{Asked, excess_mse};
pub use measure::{Conditioning, CurveConfig, measure, mse_curve, mse_curve_with};
pub(crate) use measure::{Engine, Noise};
pub use merge::merge_shards;
pub(crate) use partial::shard_unless;
pub use partial::{CurveSpec, PartialCurve, mse_curve_shard};
pub use published::{
    CIFAR10_DIM, CIFAR10_GAUSSIAN_ENTROPY, CIFAR10_TEST_IMAGES, Published, PublishedRule,
};
pub use shard::{SHARD_VARIABLE, Shard, ShardBy};
pub use statistic::{NoisyBatch, SquaredError, Statistic};

/// The mean squared error of a denoiser at each of a list of log-SNR points.
#[derive(Debug, Clone)]
pub struct MseCurve {
    /// `α`, the points, and their weights.
    pub points: Quadrature,
    /// `E‖ε − ε̂‖²` at each point, over all dimensions together.
    pub mse: Vec<f64>,
    /// One standard error of each [`Self::mse`]; 0 for closed forms, NaN where it is not known.
    pub std_err: Vec<f64>,
    /// Samples behind it; 0 for closed forms and for nothing else.
    pub n: usize,
    /// Dimension of one sample.
    pub dim: usize,
    /// The errors of single samples, `[n, points]`, where they were kept.
    pub errors: Option<Array2<f64>>,
    /// The [digest](crate::data::Dataset::digest) of the data that it was measured on, where that is known.
    pub data: Option<String>,
}

impl MseCurve {
    /// A curve without sampling error.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn exact(points: &Quadrature, dim: usize, mse: Vec<f64>) -> Result<Self> {
        let curve = Self {
            points: points.clone(),
            std_err: vec![0.0; mse.len()],
            mse,
            n: 0,
            dim,
            errors: None,
            data: None,
        };
        curve.check().map(|()| curve)
    }

    /// A curve from the errors of single samples, `[n, points]`, of data with that digest.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn of_errors(
        points: &Quadrature,
        dim: usize,
        errors: Array2<f64>,
        data: Option<String>,
    ) -> Result<Self> {
        let (mse, std_err) = moments(&errors);
        let curve = Self {
            points: points.clone(),
            mse,
            std_err,
            n: errors.nrows(),
            dim,
            errors: Some(errors),
            data,
        };
        curve.check().map(|()| curve)
    }

    /// Whether it is known without sampling.
    pub fn is_exact(&self) -> bool {
        self.n == 0
    }

    /// The errors of all samples at point `j`, where they were kept.
    pub fn errors_at(&self, j: usize) -> Option<ArrayView1<'_, f64>> {
        self.errors.as_ref().map(|errors| errors.column(j))
    }

    /// How far two curves are apart where they are furthest, in standard errors of their difference: paired where
    /// both are of the same samples.
    ///
    /// With `k` points about `√(2 ln k)` is what chance does; four is more than that. NaN where an error is not
    /// known; 0 for two closed forms that agree to the last bit.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they differ in points, samples or dimension.
    ///
    /// # Example: see [`LinearDenoiser`](crate::distribution::LinearDenoiser)
    pub fn max_z_score(&self, other: &Self) -> Result<f64> {
        let apart = self.minus(other)?;
        let z = |(gap, err): (&f64, &f64)| match (*gap, *err) {
            (0.0, 0.0) => 0.0,
            (gap, err) => gap.abs() / err,
        };
        let scores = apart.mse.iter().zip(&apart.std_err).map(z);
        // Not `f64::max`, which leaves out NaN.
        Ok(scores.fold(0.0, |most, z| if z.is_nan() || z > most { z } else { most }))
    }

    /// The curve of the differences, `self − other`: of the same samples sample by sample, so that what they have in
    /// common is no error.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they differ in points, samples or dimension.
    ///
    /// # Example: by how much one Gaussian's error lies above another's
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let points = Quadrature::trapezoid(-4.0, 4.0, 9)?;
    /// let of = |variance: f64| Gaussian::new(&[0.0], &[&[variance]])?.curve(&points);
    /// let gap = of(4.0)?.minus(&of(1.0)?)?;
    /// // σ(ln 4) − σ(0) at α = 0
    /// check!(close(gap.mse[4], 0.8 - 0.5, 1e-12));
    /// # Ok(()) }
    /// ```
    pub fn minus(&self, other: &Self) -> Result<Self> {
        self.check_like(other)?;
        let mse: Vec<f64> = std::iter::zip(&self.mse, &other.mse)
            .map(|(a, b)| a - b)
            .collect();
        let n = self.n.max(other.n);
        let data = self.data.clone().or_else(|| other.data.clone());
        let errors = match (&self.errors, &other.errors) {
            (Some(a), Some(b)) => Some(a - b),
            (Some(a), None) if other.is_exact() => Some(a - &exact_row(&other.mse)),
            (None, Some(b)) if self.is_exact() => Some(&exact_row(&self.mse) - b),
            _ => None,
        };
        let std_err = match &errors {
            Some(errors) => moments(errors).1,
            // Without the pairs the errors may do their worst.
            None => std::iter::zip(&self.std_err, &other.std_err)
                .map(|(a, b)| a + b)
                .collect(),
        };
        Ok(Self {
            points: self.points.clone(),
            mse,
            std_err,
            n,
            dim: self.dim,
            errors,
            data,
        })
    }

    /// The point where the curve is highest: `α` and the value there; of equals the first.
    pub fn max(&self) -> (f64, f64) {
        let pairs = std::iter::zip(&self.points.log_snr, &self.mse);
        pairs.fold((f64::NAN, f64::NEG_INFINITY), |best, (&alpha, &value)| {
            if value > best.1 { (alpha, value) } else { best }
        })
    }

    /// Where two curves cross: the `α`, between two points by a straight line, in ascending order.
    ///
    /// # Errors
    /// As [`Self::minus`].
    pub fn crossings(&self, other: &Self) -> Result<Vec<f64>> {
        let gap = self.minus(other)?;
        let mut pairs: Vec<(f64, f64)> = std::iter::zip(gap.points.log_snr, gap.mse).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let cross = |pair: &[(f64, f64)]| {
            let ((a, low), (b, high)) = (pair[0], pair[1]);
            (low * high < 0.0).then(|| a + (b - a) * low / (low - high))
        };
        let touched = pairs
            .iter()
            .filter(|(_, gap)| *gap == 0.0)
            .map(|(alpha, _)| *alpha);
        let mut found: Vec<f64> = pairs.windows(2).filter_map(cross).chain(touched).collect();
        found.sort_by(f64::total_cmp);
        Ok(found)
    }

    /// Refuses a curve whose lists do not belong together, as one made by hand might be.
    ///
    /// # Errors
    /// As [`Quadrature::check`]; [`Error::Mismatch`] when a list has another length, or errors of single samples
    /// stand in a closed form.
    pub fn check(&self) -> Result<()> {
        self.points.check()?;
        let k = self.points.len();
        let shape = self.errors.as_ref().map(|errors| errors.dim());
        let fits = shape.is_none_or(|shape| shape == (self.n, k) && self.n > 0);
        if self.mse.len() == k && self.std_err.len() == k && fits {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the lists of a curve",
            left: format!("{k} points, {} samples", self.n),
            right: format!("{} errors, {shape:?} of single samples", self.mse.len()),
            next: "take a curve as `mse_curve` or a distribution's `curve` made it",
        })
    }

    /// Refuses curves that do not belong together: of other points, another dimension, or, unless one is a
    /// closed form, other samples.
    pub(crate) fn check_like(&self, other: &Self) -> Result<()> {
        self.check()?;
        other.check()?;
        let refuse = |what, left: String, right: String, next| {
            Err(Error::Mismatch {
                what,
                left,
                right,
                next,
            })
        };
        let (a, b) = (&self.points, &other.points);
        if a.log_snr != b.log_snr || a.weight != b.weight {
            return refuse(
                "the curves' points",
                format!("{} points on {:?}", a.len(), a.interval),
                format!("{} others on {:?}", b.len(), b.interval),
                "measure all at the same points",
            );
        }
        if self.dim != other.dim {
            return refuse(
                "the curves' dimensions",
                self.dim.to_string(),
                other.dim.to_string(),
                "take all from the same data set",
            );
        }
        if self.n > 0 && other.n > 0 && self.n != other.n {
            return refuse(
                "the curves' samples",
                self.n.to_string(),
                other.n.to_string(),
                "measure all on the same data",
            );
        }
        if let (Some(a), Some(b)) = (&self.data, &other.data)
            && a != b
        {
            return refuse(
                "the curves' data",
                format!("data with the digest {}", short(a)),
                short(b).to_owned(),
                "measure all on the same data",
            );
        }
        Ok(())
    }

    /// Refuses data that the curve was not measured on.
    pub(crate) fn check_data(&self, data: &crate::data::Dataset) -> Result<String> {
        let digest = data.digest()?;
        let refuse = |left: String, right: String| {
            Err(Error::Mismatch {
                what: "the curve and the data",
                left,
                right,
                next: "pass the data that the curve was measured on",
            })
        };
        if self.n != data.len() && !self.is_exact() {
            return refuse(
                format!("{} samples", self.n),
                format!("{} of {}", data.len(), data.name),
            );
        }
        match &self.data {
            Some(own) if *own != digest => refuse(
                format!("data with the digest {}", short(own)),
                format!("{} with {}", data.name, short(&digest)),
            ),
            _ => Ok(digest),
        }
    }

    /// The curve of the samples at `rows`, one of which may come more than once; a closed form stays as it is.
    /// `None` when the errors of single samples were not kept.
    pub(crate) fn resampled(&self, rows: &[usize]) -> Option<Self> {
        if self.is_exact() {
            return Some(self.clone());
        }
        let errors = self.errors.as_ref()?.select(Axis(0), rows);
        let (mse, std_err) = moments(&errors);
        Some(Self {
            points: self.points.clone(),
            mse,
            std_err,
            n: rows.len(),
            dim: self.dim,
            errors: Some(errors),
            // The same rows of other curves are drawn alike: still the same samples.
            data: self.data.clone(),
        })
    }
}

/// The mean of each column, and its standard error; NaN for one sample, whose mean has an error that is not known.
fn moments(errors: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let n = errors.nrows() as f64;
    let mean = errors.mean_axis(Axis(0)).unwrap_or_default();
    let err = |variance: f64| {
        if n > 1.0 {
            (variance / n).sqrt()
        } else {
            f64::NAN
        }
    };
    let variance = errors.var_axis(Axis(0), if n > 1.0 { 1.0 } else { 0.0 });
    (mean.to_vec(), variance.mapv(err).to_vec())
}

/// A closed form as a row that stands for every sample.
fn exact_row(mse: &[f64]) -> Array2<f64> {
    Array1::from(mse.to_vec()).insert_axis(Axis(0))
}

/// The start of a digest, as many digits as tell two apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
