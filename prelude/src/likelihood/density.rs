//! Densities: the Gaussian's, minus half the area by which a denoiser beats the Gaussian's own.

use crate::curve::MseCurve;
use crate::data::{Dataset, Grid};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::integral::{Area, Fallback, area_between};
use crate::stats;

/// What a curve is compared with: a Gaussian, and how.
///
/// `&gaussian` alone will do where one is wanted. [`Gaussian::on`] names the data that the curve was measured on.
///
/// # Example: held-out data, sample by sample
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(2000, 0)?;
/// let gaussian = data.train.gaussian()?;
/// let points = Logistic::matched(&gaussian)?.quadrature(30)?;
/// let curve = mse_curve(&gaussian.denoiser(&[2])?, &data.test, &points)?;
/// let nll = curve.nll(gaussian.on(&data.test))?;
/// check!(nll.per_sample().is_some_and(|nats| nats.len() == 200));
/// // The exact denoiser of a Gaussian gives its density.
/// check!(nll.within(gaussian.nll(&data.test)?.nats, 4.0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    gaussian: Known<'a>,
    pub(super) data: Option<&'a Dataset>,
    pub(super) grid: Option<Grid>,
    pub(super) fallback: Fallback,
}

#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    /// All of it.
    Whole(&'a Gaussian),
    /// Its curve, and its entropy in nats.
    Curve(&'a MseCurve, f64),
}

impl<'a> From<&'a Gaussian> for Reference<'a> {
    fn from(gaussian: &'a Gaussian) -> Self {
        Self {
            gaussian: Known::Whole(gaussian),
            data: None,
            grid: None,
            fallback: Fallback::Never,
        }
    }
}

impl Gaussian {
    /// This Gaussian as a reference for a curve that was measured on `data`: its own denoiser is then judged on the
    /// very samples.
    pub fn on<'a>(&'a self, data: &'a Dataset) -> Reference<'a> {
        Reference {
            data: Some(data),
            ..Reference::from(self)
        }
    }

    /// This Gaussian as a reference for data on a grid, whose samples are not at hand.
    pub fn with_grid(&self, grid: Grid) -> Reference<'_> {
        Reference {
            grid: Some(grid),
            ..Reference::from(self)
        }
    }
}

impl<'a> Reference<'a> {
    /// A Gaussian whose curve and entropy are known and whose covariance is not, such as the
    /// [published one](crate::curve::Published).
    pub fn of_curve(curve: &'a MseCurve, entropy: f64) -> Self {
        Self {
            gaussian: Known::Curve(curve, entropy),
            data: None,
            grid: None,
            fallback: Fallback::Never,
        }
    }

    /// The same with a rule for where the Gaussian stands in for a curve that lies above its own. By default nowhere:
    /// where the two are equal but for sampling error, a fallback picks the lucky points, and the value is too small.
    pub fn fallback(self, fallback: Fallback) -> Self {
        Self { fallback, ..self }
    }

    pub(super) fn gaussian(&self) -> Result<&'a Gaussian> {
        match self.gaussian {
            Known::Whole(gaussian) => Ok(gaussian),
            Known::Curve(..) => Err(Error::Missing {
                what: "of the reference only its curve is known".into(),
                next: "give a Gaussian, whose eigenvalues the ends of the integral need",
            }),
        }
    }
}

impl MseCurve {
    /// Bounds the mean negative log density from above, by the curve of any denoiser:
    ///
    /// ```text
    /// h(N(μ, Σ)) − ½ ∫ (f_Σ(α) − E‖ε − ε̂‖²) dα
    /// ```
    ///
    /// With the best denoiser and a wide interval this is the entropy of the data, whatever the reference, as long
    /// as beyond both ends of the interval the data look like it. The excess of a worse denoiser is added in full.
    ///
    /// With a reference [on the data](Gaussian::on) it is, sample by sample,
    ///
    /// ```text
    /// −ln N(x; μ, Σ) − ½ ∫ (E_ε‖ε − ε̂_G‖² − E_ε‖ε − ε̂‖²) dα
    /// ```
    ///
    /// where the Gaussian's denoiser is judged on the same samples. So the mean is a bound on held-out data too. The
    /// value of a single sample is neither a bound nor, unless the denoiser is the best one, the density; in the mean a
    /// worse denoiser only adds. Where a [fallback](Reference::fallback) that was asked for stands in, a warning of the
    /// estimate says at which points, and how much it takes off.
    ///
    /// # Units
    /// Nats for all dimensions together. The density is per unit of the data's own scale; for discrete data
    /// that were dequantized, [`Estimate::per_bin`] makes it a probability.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when an eigenvalue is 0, [`Error::Mismatch`] when curve and reference differ in dimension,
    /// or the data are not those that the curve was measured on.
    ///
    /// # Numerics
    /// The standard error joins that of the samples, whose own areas are kept, and that of the points.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 14; on the data Eq. 8 with a general Gaussian
    /// (App. A).
    ///
    /// # Example: the entropy of a Gaussian, from a reference that is narrower
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let truth = Gaussian::new(&[0.0], &[[4.0]])?;
    /// let points = Logistic::new(0.0, 2.0, 8.0)?.quadrature(300)?;
    /// let entropy = truth.curve(&points)?.nll(&Gaussian::standard(1)?)?;
    /// check!(close(entropy.nats, truth.entropy()?.nats, 1e-4));
    /// # Ok(()) }
    /// ```
    pub fn nll<'a>(&self, reference: impl Into<Reference<'a>>) -> Result<Estimate> {
        let reference = reference.into();
        let Some(data) = reference.data else {
            let (own, entropy) = match reference.gaussian {
                Known::Whole(gaussian) => (
                    std::borrow::Cow::Owned(gaussian.curve(&self.points)?),
                    gaussian.entropy()?.nats,
                ),
                Known::Curve(curve, entropy) => (std::borrow::Cow::Borrowed(curve), entropy),
            };
            let gap = area_between(&own, self, reference.fallback)?;
            let base = vec![entropy; gap.per_sample.len()];
            return Ok(joined(
                self,
                &base,
                entropy,
                0.0,
                &gap,
                -1.0,
                self.data.clone(),
            ));
        };
        let gaussian = reference.gaussian()?;
        let digest = self.check_data(data)?;
        let own = gaussian.curve_on(data, &self.points)?;
        let gap = area_between(&own, self, reference.fallback)?;
        let base = gaussian.neg_log_prob(&data.flat()?)?;
        let (mean, err) = (stats::mean(&base), stats::std_err(&base));
        Ok(joined(self, &base, mean, err, &gap, -1.0, Some(digest)))
    }
}

/// The mean of `base + sign · area` over the samples; without the samples' areas, of the means.
pub(super) fn joined(
    curve: &MseCurve,
    base: &[f64],
    mean: f64,
    mean_err: f64,
    area: &Area,
    sign: f64,
    data: Option<String>,
) -> Estimate {
    let kept = !area.per_sample.is_empty() && area.per_sample.len() == base.len();
    let estimate = match data {
        Some(data) if kept => {
            let pairs = base.iter().zip(&area.per_sample);
            let nats = pairs.map(|(base, area)| base + sign * area).collect();
            Estimate::of_samples(nats, data, area.common_err(sign))
        }
        // The samples are common to both: their errors add up.
        _ => {
            let err = f64::hypot(mean_err + area.std_err, area.quadrature_err);
            Estimate::new(mean + sign * area.nats, err, area.n)
        }
    };
    estimate.of_dim(curve.dim).warned(area.warnings(sign))
}
