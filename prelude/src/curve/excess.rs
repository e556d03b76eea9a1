//! How far two denoisers are apart.

use candle_core::Tensor;

use super::measure::{Engine, Noise};
use super::statistic::row_squares;
use super::{Conditioning, CurveConfig, MseCurve, NoisyBatch, SquaredError, Statistic};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::logsnr::Quadrature;

/// A denoiser, and whether it is told the samples' conditions.
#[derive(Clone, Copy)]
pub struct Asked<'a>(pub &'a dyn Denoiser, pub Conditioning);

impl<'a, D: Denoiser> From<&'a D> for Asked<'a> {
    /// Asked without a condition.
    fn from(net: &'a D) -> Self {
        Self(net, Conditioning::Unconditional)
    }
}

impl<'a> From<&'a dyn Denoiser> for Asked<'a> {
    fn from(net: &'a dyn Denoiser) -> Self {
        Self(net, Conditioning::Unconditional)
    }
}

/// The curve of the squared distance `E‖ε̂_a − ε̂_b‖²` of two denoisers, at the same noisy samples.
///
/// If `b` is the best denoiser, this is the excess of `a`: squared error is a Bregman divergence, so this is exactly
/// by how much the curve of `a` lies above the best one's, `E‖ε − ε̂‖² = E‖ε − ε̂*‖² + E‖ε̂ − ε̂*‖²`. Half the area
/// under it is what the bound loses, in nats. If `a` is told the conditions and `b` is not, half the area is the
/// mutual information, in its orthogonal form.
///
/// At low SNR it has far less sampling error than the difference of two measured curves; at high SNR, where the
/// control variate serves those, it may have more.
///
/// # Errors
/// As [`mse_curve_with`](super::mse_curve_with); `clamp` and `conditioning` of the settings are not looked at.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 2 and App. A.
///
/// # Example: the Gaussian's denoiser on coins
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::excess_mse;
///
/// # fn main() -> Result<()> {
/// let coin = Scalar::coin();
/// let sides: Vec<f32> = (0..4000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
/// let data = Dataset::new("coins", Tensor::from_vec(sides, 4000, &Device::Cpu)?)?;
/// let (linear, best) = (coin.gaussian(1)?.denoiser(&[1])?, coin.denoiser(&[1])?);
/// let points = Quadrature::trapezoid(0.0, 2.0, 3)?;
/// let gap = excess_mse(&linear, &best, &data, &points, &CurveConfig::default())?;
/// // At γ = 1: σ(0) − mmse(1) = 0.5 − 0.4496
/// check!((gap.mse[0] - 0.0504).abs() < 4.0 * gap.std_err[0]);
/// # Ok(()) }
/// ```
pub fn excess_mse<'a>(
    a: impl Into<Asked<'a>>,
    b: impl Into<Asked<'a>>,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<MseCurve> {
    let asked = |Asked(net, conditioning): Asked<'a>| SquaredError {
        net,
        conditioning,
        clamp: None,
    };
    let distance = Distance(asked(a.into()), asked(b.into()));
    config.check()?;
    distance.0.check_conditions(data)?;
    distance.1.check_conditions(data)?;
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&distance, data, points, config.batch, noise)?;
    engine.curve(&distance, "measuring the distance of two denoisers", false)
}

struct Distance<'a>(SquaredError<'a>, SquaredError<'a>);

impl Statistic for Distance<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.0.net, self.1.net]
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let (a, b) = (self.0.eps_hat(batch)?, self.1.eps_hat(batch)?);
        row_squares(&(a - b)?)
    }
}
