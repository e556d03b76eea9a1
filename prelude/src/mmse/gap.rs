//! What a denoiser loses against the best one.

use super::MseCurve;
use crate::channel;
use crate::data::Dataset;
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::progress::Progress;
use crate::rng::Rng;

/// The curve of the estimation gap `E‖ε̂ − ε̂*‖²` between a denoiser and the best one.
///
/// Squared error is a Bregman divergence, so this is exactly by how much the denoiser's own curve lies above
/// the best one's: `E‖ε − ε̂‖² = E‖ε − ε̂*‖² + E‖ε̂ − ε̂*‖²`. Half the area under it is what the bound loses,
/// in nats. At low SNR it has far less sampling error than the difference of two measured
/// curves; at high SNR, where the control variate serves those, it may have more.
///
/// # Errors
/// [`Error::Mismatch`] when data and denoisers differ in shape, [`Error::Empty`] without points,
/// [`Error::Interrupted`] when it is stopped.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 2 and App. A.
///
/// # Example: the Gaussian's denoiser on coins
/// ```
/// use itd_prelude::net::exact::{Gaussian, Source};
/// use itd_prelude::{candle::{Device, Tensor}, data::Dataset, logsnr::LogSnr, mmse::estimation_gap, rng};
///
/// let coin = Source::coin();
/// let sides: Vec<f32> = (0..4000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
/// let data = Dataset::new("coins", Tensor::from_vec(sides, (4000, 1), &Device::Cpu)?)?;
/// let linear = Gaussian::new(&coin.spectrum(1)?, &[1])?;
/// let points = LogSnr::trapezoid(0.0, 2.0, 3)?;
/// let gap = estimation_gap(&linear, &coin.denoiser(&[1])?, &data, &points, &mut rng::seeded(0))?;
/// // At γ = 1: σ(0) − mmse(1) = 0.5 − 0.4496
/// assert!((gap.mse[0] - 0.0504).abs() < 4.0 * gap.std_err[0]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn estimation_gap(
    net: &dyn Denoiser,
    best: &dyn Denoiser,
    data: &Dataset,
    points: &LogSnr,
    rng: &mut Rng,
) -> Result<MseCurve> {
    points.check()?;
    for other in [net, best] {
        if data.shape() != other.shape() {
            return Err(Error::Mismatch {
                what: "the data and the denoiser",
                left: format!("samples of shape {:?}", data.shape()),
                right: format!("{:?}", other.shape()),
                next: "make both denoisers with the data's `shape()`",
            });
        }
    }
    let (n, k) = (data.len(), points.len());
    let mut errors = vec![0f32; n * k];
    let mut bar = Progress::new("measuring the gap", k as u64);
    for (j, &alpha) in points.log_snr.iter().enumerate() {
        let noisy = channel::sweep(&data.x, &[alpha], rng)?;
        let estimate = |net: &dyn Denoiser| -> Result<_> {
            let device = net.device();
            let (z, alpha) = (noisy.z.to_device(device)?, noisy.log_snr.to_device(device)?);
            Ok(net
                .denoise(&Query::new(&z, &alpha))?
                .to_device(data.x.device())?)
        };
        let apart = (estimate(net)? - estimate(best)?)?;
        let squares: Vec<f32> = apart.flatten_from(1)?.sqr()?.sum(1)?.to_vec1()?;
        for (i, square) in squares.into_iter().enumerate() {
            errors[i * k + j] = square;
        }
        bar.step()?;
    }
    bar.finish();
    Ok(MseCurve::of_errors(points, data.dim(), errors))
}
