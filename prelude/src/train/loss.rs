//! The loss that training minimizes.

use candle_core::{Device, Tensor};

use super::feed::Batch;
use crate::channel;
use crate::error::Result;
use crate::logsnr::LogSnr;
use crate::net::Trainable;

/// `½ mean[w(α) ‖ε − ε̂(z, α)‖²]` over a batch, with one point of log-SNR and one noise for each sample: a
/// scalar to be differentiated.
///
/// With points drawn from `q` and `w = 1/q`, its mean is half the area under the network's curve, in nats. The
/// paper's loss adds what does not depend on the network, `h_Σ − ½ mean[w f_Σ]`, and is then the bound on the
/// entropy that [`continuous_nll`](crate::likelihood::continuous_nll) measures.
///
/// # Shapes
/// `x` and `eps`: `[n, shape…]`; `points`: `n` of them, in random order; `labels`: `[n]`, `u32`, where the
/// network is to be told classes, see [`Trainable::forward`].
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) unless there is one point for each sample; whatever the network returns.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
///
/// # Example: for the right denoiser the loss is the entropy, but for sampling
/// ```
/// use itd_prelude::{candle::Device, data, logsnr::LogisticLogSnr, mmse::gaussian_curve, rng, train};
/// use itd_prelude::net::{Mlp, MlpConfig};
///
/// let data = data::scg(20_000, 0)?.train;
/// let (n, spectrum) = (data.len(), data.spectrum()?);
/// let mut rng = rng::seeded(0);
/// let points = LogisticLogSnr::from_spectrum(&spectrum)?.stratified(n, &mut rng)?.shuffled(&mut rng);
/// let eps = rng::normal(data.x.dims(), &mut rng)?;
/// // Untrained, it is the Gaussian's denoiser, which is right for these data.
/// let net = Mlp::new(&MlpConfig::default(), &spectrum, &[2], &Device::Cpu)?;
/// let loss = train::loss(&net, &data.x, &eps, &points, None)?;
/// let gaussian = gaussian_curve(&spectrum, &points)?.mse;
/// let known: f64 = (0..n).map(|i| 0.5 * points.weight[i] * gaussian[i]).sum::<f64>() / n as f64;
/// assert!((f64::from(loss.to_scalar::<f32>()?) / known - 1.0).abs() < 0.05);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn loss(
    net: &dyn Trainable,
    x: &Tensor,
    eps: &Tensor,
    points: &LogSnr,
    labels: Option<&Tensor>,
) -> Result<Tensor> {
    let sent = Sent::new(net, x, eps, points, labels)?;
    let miss = (&sent.eps - net.forward(&sent.z, &sent.log_snr, sent.labels.as_ref())?)?;
    let square = miss.flatten_from(1)?.sqr()?.sum(1)?; // [batch]
    Ok(((square * sent.weight)?.mean_all()? * 0.5)?)
}

/// The loss of a batch and its gradient by each parameter: the one place where training asks a network for them.
pub(super) fn gradients(net: &dyn Trainable, batch: &Batch) -> Result<(f64, Vec<Option<Tensor>>)> {
    let labels = batch.labels.as_ref();
    let sent = Sent::new(net, &batch.x, &batch.eps, &batch.points, labels)?;
    let n = sent.weight.elem_count();
    let each = [&[n], vec![1; sent.z.rank() - 1].as_slice()].concat();
    let share = (sent.weight.reshape(each)? / n as f64)?;
    let mut loss = f64::NAN;
    // ∂/∂ε̂ of ½ mean[w ‖ε − ε̂‖²] is w (ε̂ − ε)/n.
    let mut slope = |estimate: &Tensor| {
        let miss = (estimate - &sent.eps)?;
        let slope = miss.broadcast_mul(&share)?;
        loss = 0.5 * f64::from((miss * &slope)?.sum_all()?.to_scalar::<f32>()?);
        Ok(slope)
    };
    let labels = sent.labels.as_ref();
    let gradients = net.gradients(&sent.z, &sent.log_snr, labels, &mut slope)?;
    Ok((loss, gradients))
}

/// Samples as the channel passes them on to a network, where it computes.
struct Sent {
    z: Tensor,
    eps: Tensor,
    log_snr: Tensor,
    weight: Tensor,
    labels: Option<Tensor>,
}

impl Sent {
    fn new(
        net: &dyn Trainable,
        x: &Tensor,
        eps: &Tensor,
        points: &LogSnr,
        labels: Option<&Tensor>,
    ) -> Result<Self> {
        let to = |values: &[f64]| -> Result<Tensor> {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            let n = values.len();
            Ok(Tensor::from_vec(values, n, &Device::Cpu)?.to_device(net.device())?)
        };
        let (log_snr, weight) = (to(&points.log_snr)?, to(&points.weight)?);
        let eps = eps.to_device(net.device())?;
        Ok(Self {
            z: channel::mix(&x.to_device(net.device())?, &eps, &log_snr)?,
            labels: labels.map(|t| t.to_device(net.device())).transpose()?,
            eps,
            log_snr,
            weight,
        })
    }
}
