//! Canonical correlations: the information between Gaussian vectors.

use ndarray::ArrayView2;

use super::columns::by_column;
use super::gaussian::{Canonical, noise_checked};
use super::maps::{normal_ranks, standardised};
use super::{Estimator, Information};
use crate::error::Result;

/// Mutual information of Gaussian vectors, from their canonical correlations `ρ`.
///
/// ```text
/// I = −½ Σ ln(1 − ρ²)
/// ```
///
/// The correlations of samples are too large, and the value with them: by about `d_x·d_y/2n` nats. For Gaussian vectors
/// the bias is known without approximation, and [`Self::corrected`] takes it off:
///
/// ```text
/// bias = ½ (f(d_x) + f(d_y) − f(d_x + d_y)),   f(p) = Σ_{j < p} ψ((n − 1 − j)/2)
/// ```
///
/// For vectors that are not Gaussian this is not the information, nor a bound of it.
///
/// # Numerics
/// `1 − ρ²` comes from the residual of `x` after its regression on `y`, not from `ρ`, so that information of tens of nats
/// keeps its digits. Columns that are sums of others are left out, with a warning. The standard error is the delta
/// method's: the standard error of the mean of the samples' log-ratios.
///
/// # Paper
/// Hotelling (1936), Biometrika 28, 321; the residuals as in Björck, Golub (1973), Math. Comp. 27, 579. The bias follows
/// from the mean of `ln det` of a Wishart matrix.
///
/// # Example: a binormal pair that differs by a millionth
/// ```
/// use itd_prelude::information::{Cca, Estimator};
/// use itd_prelude::{ndarray::Array2, rng};
/// use rand::Rng as _;
/// use rand_distr::StandardNormal;
///
/// let rng = &mut rng::seeded(0);
/// let mut normal = || -> Array2<f64> { Array2::from_shape_simple_fn((4000, 1), || rng.sample(StandardNormal)) };
/// let (x, noise) = (normal(), normal());
/// let y = &x + 1e-6 * &noise;
/// let found = Cca::default().information(x.view(), y.view())?;
/// assert!((found.nats - 0.5 * 1e12f64.ln_1p()).abs() < 4.0 * found.std_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cca {
    /// Whether the bias is taken off.
    pub corrected: bool,
    /// Whether each column is first replaced by its normal scores: right for any vectors whose copula is Gaussian.
    pub ranks: bool,
}

/// With the correction, and without ranks.
impl Default for Cca {
    fn default() -> Self {
        Self {
            corrected: true,
            ranks: false,
        }
    }
}

impl Estimator for Cca {
    fn name(&self) -> &'static str {
        "CCA"
    }

    /// # Errors
    /// As [`Estimator::information`], where too few samples are fewer than `d_x + d_y + 2`;
    /// [`NotFinite`](crate::Error::NotFinite) when the one is a linear function of the other.
    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        let warnings = noise_checked(&[("x", x), ("y", y)], x.ncols() + y.ncols() + 2)?.told();
        let map = if self.ranks {
            normal_ranks
        } else {
            standardised
        };
        let (x, y) = (map(&by_column("x", x)?), map(&by_column("y", y)?));
        let fit = Canonical::fit(x.as_ref(), y.as_ref())?;
        let plug_in = fit.nats();
        let bias = if self.corrected { fit.bias() } else { 0.0 };
        let mut found = Information::of_samples(fit.per_sample());
        found.nats = plug_in - bias;
        found = found.with("plug-in", plug_in).with("bias", fit.bias());
        for rho in fit.correlations() {
            found = found.with("canonical correlation", rho);
        }
        Ok(found.warned(warnings).warned(fit.warnings()))
    }
}
