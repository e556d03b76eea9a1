//! Mean and covariance: the Gaussian that everything is compared with.

mod cache;
mod eigen;
mod moments;
mod shrinkage;

use std::f64::consts::{PI, TAU};

use candle_core::{DType, Device, Tensor};
use ndarray::Array2;
use rand::RngCore;

use self::eigen::eigen;
use self::moments::Rows;
use super::{Distribution, LinearDenoiser, check_rows, same_dim};
use crate::curve::MseCurve;
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::{Logistic, Quadrature};
use crate::rng;
use crate::rounds::{Rounds, is_long};
use crate::stats::sigmoid;

pub use cache::Cache;
pub use shrinkage::Shrinkage;

/// The Gaussian `N(μ, Σ)`, its covariance by eigenvalues, `Σ = U Λ Uᵀ`.
///
/// An eigenvalue that round-off cannot tell from 0 is exactly 0 here: along its direction the data do not
/// vary, and there is no density.
///
/// # Example: the entropy of a Gaussian, and its best denoiser's error at α = 0
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::standard(2)?;
/// check!(close(normal.entropy()?.nats, 2.837877, 1e-6));
/// let curve = normal.curve(&Quadrature::trapezoid(-1.0, 1.0, 3)?)?;
/// check!(close(curve.mse[1], 2.0 * 0.5, 1e-12));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Gaussian {
    /// `μ`, length `dim`.
    pub mean: Vec<f64>,
    /// `λ`, none below 0; largest first, or in the order of the values where the basis is [`Basis::Axes`].
    pub eigenvalues: Vec<f64>,
    /// `U`.
    pub basis: Basis,
    /// What the covariance of the samples was drawn towards.
    pub shrinkage: Shrinkage,
    /// How far: the weight `δ` in [0, 1] of what it was drawn towards.
    pub intensity: f64,
}

/// The directions that the eigenvalues belong to.
#[derive(Debug, Clone)]
pub enum Basis {
    /// Each value is a direction of its own: the covariance is diagonal, and no matrix is kept.
    Axes,
    /// `f64` on the CPU, `[dim, dim]`: the `i`-th column belongs to the `i`-th eigenvalue, its largest entry is
    /// positive.
    Vectors(Tensor),
}

/// How a Gaussian is fitted to samples.
///
/// # Example: 8 samples of 64 values
/// ```
/// use itd_prelude::distribution::{GaussianConfig, Shrinkage};
/// use itd_prelude::data;
///
/// let few = data::digits()?.train.take(8)?;
/// assert!(few.gaussian()?.entropy().is_err());
/// let config = GaussianConfig { shrinkage: Shrinkage::LedoitWolf, ..Default::default() };
/// let shrunk = few.gaussian_with(&config)?;
/// assert!(shrunk.intensity > 0.0 && shrunk.entropy().is_ok());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GaussianConfig {
    /// What the covariance is drawn towards; by default nothing.
    pub shrinkage: Shrinkage,
    /// Where results that take long are kept.
    pub cache: Cache,
}

impl Dataset {
    /// The Gaussian with the mean and the covariance of the samples.
    ///
    /// What takes long is kept on disk, see [`Cache::Auto`].
    ///
    /// # Errors
    /// [`Error::Shape`] for fewer than two samples, [`Error::Interrupted`] when the user stops it.
    pub fn gaussian(&self) -> Result<Gaussian> {
        self.gaussian_with(&GaussianConfig::default())
    }

    /// As [`Self::gaussian`], with a choice of what to do when there are few samples.
    ///
    /// # Errors
    /// As [`Self::gaussian`], and [`Error::Parameter`] for bad settings.
    pub fn gaussian_with(&self, config: &GaussianConfig) -> Result<Gaussian> {
        Gaussian::fit(&self.flat()?, config)
    }
}

impl Logistic {
    /// The logistic whose moments fit the Gaussian: `loc = −mean(ln λ)`, `scale = √(1 + 3/π² · var(ln λ))`.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4. The published code has `3/π`; see
    /// [`Self::as_published`].
    pub fn matched(gaussian: &Gaussian) -> Result<Self> {
        Self::of_log_eigenvalues(&gaussian.log_eigenvalues()?, 3.0 / (PI * PI))
    }

    /// The logistic of the published code, `scale = √(1 + 3/π · var(ln λ))`: wider than [`Self::matched`],
    /// and the one behind the paper's numbers.
    ///
    /// A logistic of scale `s` has the variance `π²s²/3`, so `3/π²` is what matching moments gives. Both
    /// weigh their points rightly; they differ in the interval that is integrated over.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn as_published(gaussian: &Gaussian) -> Result<Self> {
        Self::of_log_eigenvalues(&gaussian.log_eigenvalues()?, 3.0 / PI)
    }
}

impl Gaussian {
    /// The standard normal of that many dimensions: `μ = 0`, `Σ = I`.
    ///
    /// # Errors
    /// [`Error::Empty`] when `dim` is 0, [`Error::Memory`] when the values do not fit.
    ///
    /// # Example: no matrix is needed
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let picture = Gaussian::standard(3 * 256 * 256)?;
    /// check!(picture.dim() == 196_608);
    /// # Ok(()) }
    /// ```
    pub fn standard(dim: usize) -> Result<Self> {
        crate::cell::memory::room_for::<[f64; 2]>("the mean and the variances", &[dim])?;
        Self::diagonal(vec![0.0; dim], vec![1.0; dim])
    }

    /// Independent normal values of given means and variances.
    ///
    /// # Errors
    /// [`Error::Empty`] without values, [`Error::Mismatch`] when the lists differ in length, [`Error::NotFinite`] for
    /// NaN or infinity, [`Error::Parameter`] for a variance below 0.
    pub fn diagonal(mean: Vec<f64>, variances: Vec<f64>) -> Result<Self> {
        if mean.is_empty() {
            return Err(Error::Empty {
                what: "the list of dimensions",
            });
        }
        if mean.len() != variances.len() {
            return Err(Error::Mismatch {
                what: "the mean and the variances",
                left: mean.len().to_string(),
                right: variances.len().to_string(),
                next: "give each value a mean and a variance",
            });
        }
        let mut all = mean.iter().chain(&variances);
        if let Some(&got) = all.find(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                what: "a mean or a variance",
                got,
                next: "look for NaN in the data",
            });
        }
        if let Some(got) = variances.iter().find(|&&value| value < 0.0) {
            return Err(Error::Parameter {
                name: "a variance",
                got: got.to_string(),
                need: "≥ 0",
            });
        }
        Ok(Self {
            mean,
            eigenvalues: variances,
            basis: Basis::Axes,
            shrinkage: Shrinkage::None,
            intensity: 0.0,
        })
    }

    /// A single point: all variances 0.
    ///
    /// # Errors
    /// As [`Self::diagonal`].
    pub fn point(at: Vec<f64>) -> Result<Self> {
        let variances = vec![0.0; at.len()];
        Self::diagonal(at, variances)
    }

    /// The Gaussian of that mean and covariance, given by its rows.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the covariance is square and fits the mean, [`Error::NotFinite`] when an
    /// entry is not finite, [`Error::Parameter`] when it is not symmetric or has an eigenvalue below 0.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::distribution::Gaussian;
    ///
    /// let gauss = Gaussian::new(&[0.0, 0.0], &[[2.0, 1.0], [1.0, 2.0]])?;
    /// assert!((gauss.eigenvalues[0] - 3.0).abs() < 1e-12);
    /// assert!((gauss.eigenvalues[1] - 1.0).abs() < 1e-12);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new(mean: &[f64], covariance: &[impl AsRef<[f64]>]) -> Result<Self> {
        let dim = mean.len();
        let rows: Vec<&[f64]> = covariance.iter().map(AsRef::as_ref).collect();
        if dim == 0 || rows.len() != dim || rows.iter().any(|row| row.len() != dim) {
            return Err(Error::Shape {
                what: "the covariance",
                got: vec![rows.len(), rows.first().map_or(0, |row| row.len())],
                need: format!("[{dim}, {dim}] like the mean, and not empty"),
            });
        }
        if let Some(&got) = mean.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite {
                what: "an entry of the mean",
                got,
                next: "look for NaN in the data",
            });
        }
        let eigen = eigen(&rows.concat(), dim)?;
        Ok(Self {
            mean: mean.to_vec(),
            eigenvalues: eigen.values,
            basis: Basis::Vectors(eigen.vectors),
            shrinkage: Shrinkage::None,
            intensity: 0.0,
        })
    }

    /// The mean and the covariance `1/(n − 1) Σ (x − μ)(x − μ)ᵀ` of rows `[n, dim]`, computed in `f64`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are two axes and at least two rows, [`Error::Memory`] when the covariance does not fit,
    /// [`Error::Interrupted`] when the user stops it.
    pub fn from_samples(rows: &Tensor) -> Result<Self> {
        Self::shrunk(rows, Shrinkage::None)
    }

    /// As [`Self::from_samples`], with the covariance drawn towards a simpler one.
    ///
    /// # Errors
    /// As [`Self::from_samples`], and [`Error::Parameter`] for a weight outside of [0, 1].
    ///
    /// # Numerics
    /// Mean first, then products of centred rows, a few thousand rows in `f64` at a time. `(1 − δ) S + δ m I`
    /// has the eigenvectors of `S` and the eigenvalues `(1 − δ) λ + δ m`, so `S` is what is decomposed.
    pub fn shrunk(rows: &Tensor, shrinkage: Shrinkage) -> Result<Self> {
        shrinkage.check()?;
        let rows = Rows::new(rows)?;
        if shrinkage == Shrinkage::Diagonal {
            return Self::of_variances(&rows);
        }
        let (dim, count) = (rows.dim, rows.count());
        // The covariance, its eigenvectors, and what decomposing takes.
        crate::cell::memory::room_for::<[f64; 3]>("the covariance", &[dim, dim])?;
        let mut work = Rounds::new("covariance", count + 1, multiplications(rows.n, dim));
        let moments = rows.moments(&mut work)?;
        let intensity = shrinkage.weight(&moments);
        let level = (0..dim)
            .map(|i| moments.covariance[i * dim + i])
            .sum::<f64>()
            / dim as f64;
        let (mean, covariance) = (moments.mean, moments.covariance);
        let eigen = work.last("eigenvalues", move || eigen(&covariance, dim))??;
        let shrink = |value: &f64| (1.0 - intensity) * value + intensity * level;
        Ok(Self {
            mean,
            eigenvalues: eigen.values.iter().map(shrink).collect(),
            basis: Basis::Vectors(eigen.vectors),
            shrinkage,
            intensity,
        })
    }

    /// As [`Self::shrunk`], through a cache.
    fn fit(rows: &Tensor, config: &GaussianConfig) -> Result<Self> {
        let make = || Self::shrunk(rows, config.shrinkage);
        let &[n, dim] = rows.dims() else {
            return make();
        };
        let long = config.shrinkage != Shrinkage::Diagonal && is_long(multiplications(n, dim));
        match config.cache.folder(long) {
            Some(folder) => cache::kept_or(&folder, rows, config.shrinkage, make),
            None => make(),
        }
    }

    fn of_variances(rows: &Rows) -> Result<Self> {
        let (mean, variances) = rows.variances()?;
        // What round-off in the mean leaves of a variance 0.
        let floor = |i: usize| (rows.n as f64 * f64::EPSILON * mean[i]).powi(2);
        let value = |i: usize| {
            if variances[i] > floor(i) {
                variances[i]
            } else {
                0.0
            }
        };
        let variances = (0..rows.dim).map(value).collect();
        Ok(Self {
            shrinkage: Shrinkage::Diagonal,
            intensity: 1.0,
            ..Self::diagonal(mean, variances)?
        })
    }

    /// The number of dimensions.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `ln λ`, in the order of the eigenvalues.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn log_eigenvalues(&self) -> Result<Vec<f64>> {
        let positive = |&&value: &&f64| !(value > 0.0);
        let zeros = self.eigenvalues.iter().filter(positive).count();
        if zeros > 0 {
            return Err(Error::Degenerate {
                zeros,
                dim: self.dim(),
            });
        }
        Ok(self.eigenvalues.iter().map(|value| value.ln()).collect())
    }

    /// The covariance, row by row.
    ///
    /// # Errors
    /// [`Error::Memory`] when it does not fit.
    pub fn covariance(&self) -> Result<Vec<Vec<f64>>> {
        let dim = self.dim();
        crate::cell::memory::room_for::<[f64; 2]>("the covariance", &[dim, dim])?;
        let scales = Tensor::new(self.eigenvalues.as_slice(), &Device::Cpu)?;
        match &self.basis {
            Basis::Axes => Ok((0..dim)
                .map(|i| {
                    let entry = |j| if i == j { self.eigenvalues[i] } else { 0.0 };
                    (0..dim).map(entry).collect()
                })
                .collect()),
            Basis::Vectors(u) => Ok(u.broadcast_mul(&scales)?.matmul(&u.t()?)?.to_vec2()?),
        }
    }

    /// The entropy `½ ln det(2πe Σ)`, exact.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0.
    pub fn entropy(&self) -> Result<Estimate> {
        let log_det: f64 = self.log_eigenvalues()?.iter().sum();
        let nats = 0.5 * (self.dim() as f64 * (TAU.ln() + 1.0) + log_det);
        Ok(Estimate::exact(nats).of_dim(self.dim()))
    }

    /// Rows `[n, dim]` in the coordinates of the eigenvectors: `Uᵀ(x − μ)`, in `f64`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows have another dimension.
    pub fn coordinates(&self, rows: &Tensor) -> Result<Tensor> {
        check_rows(rows, self.dim())?;
        let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mean = Tensor::new(self.mean.as_slice(), &Device::Cpu)?;
        self.rotate(&rows.broadcast_sub(&mean)?)
    }

    /// `rows · U`: from values to the directions of the eigenvectors.
    pub(super) fn rotate(&self, rows: &Tensor) -> Result<Tensor> {
        match &self.basis {
            Basis::Axes => Ok(rows.clone()),
            Basis::Vectors(u) => Ok(rows.matmul(u)?),
        }
    }

    /// `rows · Uᵀ`: back from the directions of the eigenvectors to values.
    pub(super) fn rotate_back(&self, rows: &Tensor) -> Result<Tensor> {
        match &self.basis {
            Basis::Axes => Ok(rows.clone()),
            Basis::Vectors(u) => Ok(rows.matmul(&u.t()?)?),
        }
    }

    /// How many of `n` rows are turned at a time, about a tenth of a second of work, and the rounds that this makes.
    fn blocks(&self, n: usize, what: &'static str) -> (usize, Rounds) {
        let dim = self.dim();
        let each = match self.basis {
            Basis::Axes => dim as f64,
            Basis::Vectors(_) => (dim as f64).powi(2),
        };
        let height = ((4e9 / each) as usize).clamp(1, n.max(1));
        let height = height.min((1 << 22) / dim.max(1)).max(1);
        (
            height,
            Rounds::new(what, n.div_ceil(height), n as f64 * each),
        )
    }

    /// The coordinates of many rows, some at a time, with a look for the user's interrupt in between.
    fn coordinate_blocks(
        &self,
        rows: &Tensor,
        what: &'static str,
        mut take: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        check_rows(rows, self.dim())?;
        let n = rows.dim(0)?;
        let (height, mut work) = self.blocks(n, what);
        for start in (0..n).step_by(height) {
            let block = rows.narrow(0, start, height.min(n - start))?;
            take(start, &self.coordinates(&block)?)?;
            work.step()?;
        }
        Ok(())
    }

    /// `−ln N(x; μ, Σ)` of each row of `[n, dim]`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0, [`Error::Shape`] when the dimension is another,
    /// [`Error::Interrupted`] when it is stopped.
    pub(crate) fn neg_log_prob(&self, rows: &Tensor) -> Result<Vec<f64>> {
        let log_det: f64 = self.log_eigenvalues()?.iter().sum();
        let base = 0.5 * (self.dim() as f64 * TAU.ln() + log_det);
        let precisions: Vec<f64> = self.eigenvalues.iter().map(|value| 0.5 / value).collect();
        let precisions = Tensor::from_vec(precisions, (self.dim(), 1), &Device::Cpu)?;
        let mut found = Vec::new();
        self.coordinate_blocks(rows, "log-probabilities", |_, q| {
            let half: Vec<f64> = q.sqr()?.matmul(&precisions)?.flatten_all()?.to_vec1()?;
            found.extend(half.iter().map(|half| base + half));
            Ok(())
        })?;
        Ok(found)
    }

    /// `Σᵢ ½ ln(1 + γλᵢ) + ½ (qᵢ²/λᵢ − 1) γλᵢ/(1 + γλᵢ)` of each row: half the area under the Gaussian's own error on
    /// it below the SNR `γ`. An eigenvalue 0 is allowed.
    pub(crate) fn area_below(&self, rows: &Tensor, snr: f64) -> Result<Vec<f64>> {
        let ends: f64 = self
            .eigenvalues
            .iter()
            .map(|value| 0.5 * ((snr * value).ln_1p() - snr * value / (1.0 + snr * value)))
            .sum();
        let factors: Vec<f64> = self
            .eigenvalues
            .iter()
            .map(|value| 0.5 * snr / (1.0 + snr * value))
            .collect();
        let factors = Tensor::from_vec(factors, (self.dim(), 1), &Device::Cpu)?;
        let mut found = Vec::new();
        self.coordinate_blocks(rows, "areas below the interval", |_, q| {
            let part: Vec<f64> = q.sqr()?.matmul(&factors)?.flatten_all()?.to_vec1()?;
            found.extend(part.iter().map(|part| ends + part));
            Ok(())
        })?;
        Ok(found)
    }

    /// The mean negative log density of data under `N(μ, Σ)`: what any other model has to beat.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0, [`Error::Shape`] when the dimensions differ,
    /// [`Error::Interrupted`] when it is stopped.
    ///
    /// # Example: on its own samples, the entropy
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let normal = Gaussian::standard(2)?;
    /// let data = Dataset::new("normal", normal.sample(2000, &mut rng::seeded(0))?)?;
    /// check!(normal.nll(&data)?.within(normal.entropy()?.nats, 4.0));
    /// # Ok(()) }
    /// ```
    pub fn nll(&self, data: &Dataset) -> Result<Estimate> {
        let nats = self.neg_log_prob(&data.flat()?)?;
        Ok(Estimate::of_samples(nats, data.digest()?, 0.0).of_dim(self.dim()))
    }

    /// The best denoiser of this Gaussian; see [`LinearDenoiser`].
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the shape has another number of values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<LinearDenoiser> {
        LinearDenoiser::new(self, shape)
    }

    /// The error of the best denoiser on data with this mean and covariance: `f_Σ(α) = Σᵢ σ(α + ln λᵢ)`.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0; [`Error::Interrupted`] when the user asks to stop.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 14.
    ///
    /// # Example: half of a standard normal is noise at α = 0
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let curve = Gaussian::standard(2)?.curve(&Quadrature::trapezoid(-4.0, 4.0, 3)?)?;
    /// check!(close(curve.mse[1], 2.0 * 0.5, 1e-12));
    /// # Ok(()) }
    /// ```
    pub fn curve(&self, points: &Quadrature) -> Result<MseCurve> {
        points.check()?;
        let logs = self.log_eigenvalues()?;
        let (dim, k) = (self.dim(), points.len());
        let mut work = Rounds::new("the Gaussian's errors", k, 20.0 * dim as f64 * k as f64);
        let mut mse = Vec::with_capacity(k);
        for alpha in &points.log_snr {
            mse.push(logs.iter().map(|log| sigmoid(alpha + log)).sum());
            work.step()?;
        }
        MseCurve::exact(points, dim, mse)
    }

    /// The error of the best denoiser of `N(μ, Σ)` on given samples, whatever their distribution, with the noise
    /// integrated out. With `q = Uᵀ(x − μ)` and `tᵢ = α + ln λᵢ`, for each sample
    ///
    /// ```text
    /// E_ε‖ε − ε̂_G‖² = Σᵢ σ(tᵢ)² + (qᵢ²/λᵢ) σ(tᵢ) σ(−tᵢ)
    /// ```
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0, [`Error::Shape`] when the dimensions differ,
    /// [`Error::Memory`] when the errors do not fit, [`Error::Interrupted`] when it is stopped.
    ///
    /// # Numerics
    /// Two matrix products, `[n, dim]·[dim, dim]` and `[n, dim]·[dim, points]`, in `f64`.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. A: `mmse_G(x, γ)` times γ.
    ///
    /// # Example: on its own samples it is the curve
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let normal = Gaussian::new(&[1.0], &[[4.0]])?;
    /// let data = Dataset::new("normal", normal.sample(1000, &mut rng::seeded(0))?)?;
    /// let points = Quadrature::trapezoid(-4.0, 4.0, 9)?;
    /// check!(normal.curve_on(&data, &points)?.max_z_score(&normal.curve(&points)?)? < 4.0);
    /// # Ok(()) }
    /// ```
    pub fn curve_on(&self, data: &Dataset, points: &Quadrature) -> Result<MseCurve> {
        points.check()?;
        let logs = self.log_eigenvalues()?;
        let (n, dim, k) = (data.len(), self.dim(), points.len());
        crate::cell::memory::room_for::<f64>("the errors of all samples", &[n, k])?;
        let mut factors = Vec::with_capacity(dim * k);
        let mut base = vec![0.0; k];
        for log in &logs {
            for (base, alpha) in base.iter_mut().zip(&points.log_snr) {
                let (up, down) = (sigmoid(alpha + log), sigmoid(-alpha - log));
                *base += up * up;
                factors.push(up * down / log.exp());
            }
        }
        let factors = Tensor::from_vec(factors, (dim, k), &Device::Cpu)?;
        let mut errors = Vec::with_capacity(n * k);
        self.coordinate_blocks(&data.flat()?, "the Gaussian's errors", |_, q| {
            let part: Vec<f64> = q.sqr()?.matmul(&factors)?.flatten_all()?.to_vec1()?;
            let rows = part.chunks(k).flat_map(|row| row.iter().zip(&base));
            errors.extend(rows.map(|(part, base)| part + base));
            Ok(())
        })?;
        let errors = Array2::from_shape_vec((n, k), errors).map_err(|cause| Error::Shape {
            what: "the Gaussian's errors",
            got: vec![n, k],
            need: cause.to_string(),
        })?;
        MseCurve::of_errors(points, dim, errors, Some(data.digest()?))
    }

    /// Draws `n` samples, `f32` `[n, dim]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit; [`Error::Interrupted`] when the user asks to stop.
    pub fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        let dim = self.dim();
        crate::cell::memory::room_for::<[f32; 2]>("the samples", &[n, dim])?;
        if n == 0 {
            return Ok(Tensor::zeros((0, dim), DType::F32, &Device::Cpu)?);
        }
        let roots: Vec<f64> = self.eigenvalues.iter().map(|value| value.sqrt()).collect();
        let roots = Tensor::new(roots, &Device::Cpu)?;
        let mean = Tensor::new(self.mean.as_slice(), &Device::Cpu)?;
        let (height, mut work) = self.blocks(n, "samples");
        let mut blocks = Vec::with_capacity(n.div_ceil(height));
        for start in (0..n).step_by(height) {
            let noise = rng::normal(&[height.min(n - start), dim], rng)?.to_dtype(DType::F64)?;
            let rows = self.rotate_back(&noise.broadcast_mul(&roots)?)?;
            blocks.push(rows.broadcast_add(&mean)?.to_dtype(DType::F32)?);
            work.step()?;
        }
        Ok(Tensor::cat(&blocks, 0)?)
    }
}

impl Distribution for Gaussian {
    fn dim(&self) -> usize {
        self.dim()
    }

    fn entropy(&self) -> Result<Estimate> {
        self.entropy()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>> {
        Ok(self
            .neg_log_prob(x)?
            .into_iter()
            .map(|nats| -nats)
            .collect())
    }

    fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        self.sample(n, rng)
    }

    fn denoiser(&self, shape: &[usize]) -> Result<Box<dyn Denoiser>> {
        same_dim(self.dim(), shape)?;
        Ok(Box::new(self.denoiser(shape)?))
    }

    fn curve(&self, points: &Quadrature) -> Result<MseCurve> {
        self.curve(points)
    }
}

/// Multiplications that the covariance of `n` rows and its eigenvalues take.
fn multiplications(n: usize, dim: usize) -> f64 {
    let (n, dim) = (n as f64, dim as f64);
    dim * dim * (n + 10.0 * dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn hilbert(dim: usize) -> Vec<Vec<f64>> {
        let row = |i| (0..dim).map(|j| 1.0 / (i + j + 1) as f64).collect();
        (0..dim).map(row).collect()
    }

    #[test]
    fn eigenvectors_rebuild_the_covariance() {
        let covariance = hilbert(5);
        let gaussian = Gaussian::new(&[0.0; 5], &covariance).unwrap();
        let rebuilt = gaussian.covariance().unwrap();
        for (a, b) in covariance.concat().iter().zip(rebuilt.concat()) {
            assert!((a - b).abs() < 1e-14);
        }
        assert!(gaussian.eigenvalues.is_sorted_by(|a, b| a >= b));
        let axes = Gaussian::diagonal(vec![0.0; 2], vec![1.0, 3.0]).unwrap();
        assert_eq!(axes.covariance().unwrap(), [[1.0, 0.0], [0.0, 3.0]]);
    }

    #[test]
    fn samples_give_the_covariance_computed_by_hand() {
        let rows = Tensor::new(
            &[[0f32, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]],
            &Device::Cpu,
        );
        let gaussian = Gaussian::from_samples(&rows.unwrap()).unwrap();
        assert_eq!(gaussian.mean, [1.0, 2.0]);
        assert!((gaussian.eigenvalues[0] - 16.0 / 3.0).abs() < 1e-12);
        assert!((gaussian.eigenvalues[1] - 4.0 / 3.0).abs() < 1e-12);
        let entropy = (TAU.ln() + 1.0) + 0.5 * (64.0 / 9.0f64).ln();
        assert!((gaussian.entropy().unwrap().nats - entropy).abs() < 1e-12);
    }

    #[test]
    fn a_constant_direction_has_no_density() {
        let rows = Tensor::new(&[[0f32, 0.3], [2.0, 0.3], [5.0, 0.3]], &Device::Cpu).unwrap();
        for shrinkage in [Shrinkage::None, Shrinkage::Diagonal] {
            let gaussian = Gaussian::shrunk(&rows, shrinkage).unwrap();
            assert_eq!(gaussian.eigenvalues[1], 0.0);
            let error = gaussian.entropy().unwrap_err().to_string();
            assert!(
                error.contains("1 of 2") && error.contains("dequantize"),
                "{error}"
            );
        }
    }

    #[test]
    fn bad_covariances_are_refused() {
        let new = |rows: &[Vec<f64>]| Gaussian::new(&[0.0; 2], rows);
        assert!(new(&[vec![1.0, 0.0]]).is_err());
        assert!(new(&[vec![1.0, 0.5], vec![0.4, 1.0]]).is_err());
        assert!(new(&[vec![1.0, f64::NAN], vec![f64::NAN, 1.0]]).is_err());
        assert!(new(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_err());
        assert!(Gaussian::standard(0).is_err());
        assert!(Gaussian::diagonal(vec![0.0], vec![-1.0]).is_err());
        assert!(Gaussian::diagonal(vec![0.0], vec![f64::NAN]).is_err());
        assert!(Gaussian::diagonal(vec![0.0], vec![1.0; 2]).is_err());
    }

    /// The process ended at 38 GB.
    #[test]
    fn what_is_too_large_is_refused_and_the_identity_is_not() {
        let standard = Gaussian::standard(3 * 256 * 256).unwrap();
        assert!(standard.entropy().is_ok());
        let x = Tensor::zeros((2, 3 * 256 * 256), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(standard.neg_log_prob(&x).unwrap().len(), 2);
        assert!(matches!(
            Gaussian::from_samples(&x),
            Err(Error::Memory { .. })
        ));
        assert!(Gaussian::shrunk(&x, Shrinkage::Diagonal).is_ok());
        assert!(matches!(
            Gaussian::standard(1 << 50),
            Err(Error::Memory { .. })
        ));
        assert!(matches!(standard.covariance(), Err(Error::Memory { .. })));
    }

    #[test]
    fn the_log_density_is_that_of_the_normal() {
        let gaussian = Gaussian::new(&[1.0], &[[4.0]]).unwrap();
        let x = Tensor::new(&[[3.0f32]], &Device::Cpu).unwrap();
        let nll = gaussian.neg_log_prob(&x).unwrap()[0];
        let known = 0.5 * (2.0 * PI).ln() + 2f64.ln() + 0.5;
        assert!((nll - known).abs() < 1e-12);
        assert!((Distribution::log_prob(&gaussian, &x).unwrap()[0] + known).abs() < 1e-12);
    }

    /// The twin: sample by sample and point by point.
    #[test]
    fn curves_on_samples_are_the_sum_over_directions() {
        let gaussian = Gaussian::new(&[1.0, -1.0, 0.5], &hilbert(3)).unwrap();
        let x = rng::normal(&[40, 3], &mut rng::seeded(0)).unwrap();
        let data = Dataset::new("normal", x).unwrap();
        let points = Quadrature::trapezoid(-6.0, 9.0, 7).unwrap();
        let curve = gaussian.curve_on(&data, &points).unwrap();
        let q: Vec<Vec<f64>> = gaussian.coordinates(&data.x).unwrap().to_vec2().unwrap();
        for (i, q) in q.iter().enumerate() {
            for (j, alpha) in points.log_snr.iter().enumerate() {
                let terms = q.iter().zip(&gaussian.eigenvalues).map(|(q, value)| {
                    let (up, down) = (sigmoid(alpha + value.ln()), sigmoid(-alpha - value.ln()));
                    up * (up + q * q / value * down)
                });
                let slow: f64 = terms.sum();
                let fast = curve.errors.as_ref().unwrap()[(i, j)];
                assert!((fast - slow).abs() < 1e-12 * slow.max(1.0), "{fast} {slow}");
            }
        }
    }

    #[test]
    fn draws_have_the_mean_and_the_covariance() {
        let gaussian = Gaussian::new(&[1.0, -2.0], &[[2.0, 0.9], [0.9, 1.0]]).unwrap();
        let x = gaussian.sample(40_000, &mut rng::seeded(1)).unwrap();
        let found = Gaussian::from_samples(&x).unwrap();
        for (a, b) in found.mean.iter().zip(&gaussian.mean) {
            assert!((a - b).abs() < 4.0 * (2.0f64 / 40_000.0).sqrt());
        }
        for (a, b) in found.eigenvalues.iter().zip(&gaussian.eigenvalues) {
            assert!((a / b - 1.0).abs() < 0.04, "{a} {b}");
        }
    }

    #[test]
    fn many_blocks_of_rows_are_one() {
        // 3 blocks of rows, far from the origin, against sums over all rows at once.
        let (n, dim) = (20_000, 500);
        let x = (rng::normal(&[n, dim], &mut rng::seeded(0)).unwrap() + 50.0).unwrap();
        let rows = Rows::new(&x).unwrap();
        assert_eq!(rows.count(), 3);
        let moments = rows.moments(&mut Rounds::new("test", 4, 0.0)).unwrap();
        let x = x.to_dtype(DType::F64).unwrap();
        let centered = x.broadcast_sub(&x.mean(0).unwrap()).unwrap();
        let known = centered.t().unwrap().matmul(&centered).unwrap();
        let known: Vec<f64> = known.flatten_all().unwrap().to_vec1().unwrap();
        for (at, (value, sum)) in moments.covariance.iter().zip(&known).enumerate() {
            let known = sum / (n - 1) as f64;
            assert!(
                (value - known).abs() < 1e-12,
                "{at}: {value} against {known}"
            );
        }
        let squares = centered.sqr().unwrap().sum(1).unwrap().sqr().unwrap();
        let known = squares.sum_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((moments.fourth / known - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_cache_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("itd-gaussian-{}", std::process::id()));
        let rows = rng::normal(&[30, 4], &mut rng::seeded(0)).unwrap();
        let config = GaussianConfig {
            cache: Cache::Folder(folder.clone()),
            ..Default::default()
        };
        for _ in 0..2 {
            let kept = Gaussian::fit(&rows, &config).unwrap();
            let plain = Gaussian::from_samples(&rows).unwrap();
            assert_eq!(kept.eigenvalues, plain.eigenvalues);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
        let flat = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        assert!(matches!(
            Gaussian::fit(&flat, &config),
            Err(Error::Shape { .. })
        ));
    }
}
