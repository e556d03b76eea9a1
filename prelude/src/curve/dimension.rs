//! How many directions the data have around a sample: the plateau of its error curve.

use super::MseCurve;
use crate::error::{Error, Result};
use crate::stats;

/// How many directions the data have around each sample. Made by [`MseCurve::local_dimension`].
#[derive(Debug, Clone, PartialEq)]
pub struct LocalDimension {
    /// The number of directions at each sample, not rounded.
    pub per_sample: Vec<f64>,
    /// One standard error of each: that of its noises.
    pub std_err: Vec<f64>,
    /// The mean over the samples.
    pub mean: f64,
    /// One standard error of [`Self::mean`].
    pub mean_err: f64,
    /// By how much the mean curve rises over the interval: 0 on a plateau.
    pub rise: f64,
    /// One standard error of [`Self::rise`].
    pub rise_err: f64,
}

impl MseCurve {
    /// The local intrinsic dimension at each sample: the mean of `‖ε − ε̂‖²` over an interval of log-SNR where the curve is
    /// flat.
    ///
    /// On data that lie on a surface, noise across the surface can be told from the data when it is small, and is
    /// estimated exactly. Noise along the surface cannot: moved samples are as likely as the own ones. So at high SNR the
    /// error tends to the number of directions along the surface; for data with a density that is their dimension.
    ///
    /// The interval must lie where the noise `e^{−α/2}` is small against the bends of the surface, and above what the
    /// denoiser resolves. [`LocalDimension::rise`] tells whether the curve is flat there.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless at least three points lie in the interval; [`Error::Missing`] when the errors of single
    /// samples were not kept.
    ///
    /// # Numerics
    /// Each point counts alike, and has noises of its own. Of one sample and `k` values of the noise the standard error is
    /// about `√(2 dimension/k)`.
    ///
    /// # Example: a density has all directions
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let normal = Gaussian::standard(3)?;
    /// let data = Dataset::new("normal", normal.sample(200, &mut rng::seeded(0))?)?;
    /// let curve = mse_curve(&normal.denoiser(&[3])?, &data, &Quadrature::trapezoid(6.0, 10.0, 20)?)?;
    /// let found = curve.local_dimension((6.0, 10.0))?;
    /// check!(close(found.mean, 3.0, 4.0 * found.mean_err + 0.01));
    /// # Ok(()) }
    /// ```
    pub fn local_dimension(&self, interval: (f64, f64)) -> Result<LocalDimension> {
        self.check()?;
        let inside = |alpha: &f64| *alpha >= interval.0 && *alpha <= interval.1;
        let alphas = &self.points.log_snr;
        let points: Vec<usize> = (0..alphas.len()).filter(|&j| inside(&alphas[j])).collect();
        if points.len() < 3 {
            return Err(Error::Parameter {
                name: "the number of points on the plateau",
                got: format!("{} from {} to {}", points.len(), interval.0, interval.1),
                need: "at least 3; take a wider interval, or a curve with more points there",
            });
        }
        let Some(errors) = &self.errors else {
            return Err(Error::Missing {
                what: "the curve has not kept the errors of single samples".into(),
                next: "measure it with `mse_curve`, which keeps them",
            });
        };
        let at: Vec<f64> = points.iter().map(|&j| alphas[j]).collect();
        let center = stats::mean(&at);
        let spread: f64 = at.iter().map(|alpha| (alpha - center).powi(2)).sum();
        let length = at.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
            - at.iter().fold(f64::INFINITY, |a, &b| a.min(b));
        let (mut per_sample, mut std_err, mut rises) = (Vec::new(), Vec::new(), Vec::new());
        for row in errors.rows() {
            let values: Vec<f64> = points.iter().map(|&j| row[j]).collect();
            per_sample.push(stats::mean(&values));
            std_err.push(stats::std_err(&values));
            let slope = std::iter::zip(&at, &values).map(|(alpha, value)| (alpha - center) * value);
            rises.push(length * slope.sum::<f64>() / spread);
        }
        Ok(LocalDimension {
            mean: stats::mean(&per_sample),
            mean_err: stats::std_err(&per_sample),
            rise: stats::mean(&rises),
            rise_err: stats::std_err(&rises),
            per_sample,
            std_err,
        })
    }
}
