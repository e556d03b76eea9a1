//! The loss that training minimizes.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::feed::Batch;
use super::numbers::{read, squares};
use crate::channel;
use crate::data::Condition;
use crate::denoiser::{Query, Trainable};
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::stats;

/// Numbers that are worth a thread.
const WORTH: usize = 1 << 14;

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
    y: Option<&Condition>,
) -> Result<Tensor> {
    let mut sent = Sent::new(net, x, eps, points)?;
    sent.query = sent.query.given(y.cloned());
    let miss = (&sent.eps - net.forward(&sent.query)?)?;
    let square = miss.flatten_from(1)?.sqr()?.sum(1)?; // [batch]
    Ok(((square * sent.weight)?.mean_all()? * 0.5)?)
}

/// The [`loss`] of a batch and its gradient by each parameter: the one place where training asks a network for them.
///
/// # Numerics
/// `∂L/∂ε̂ = (w/n)(ε̂ − ε)` is written over a copy of the estimate. The terms of the loss are added in `f64` in the order
/// of the samples, in whatever order a network asks for their slopes.
pub(super) fn gradients(net: &dyn Trainable, batch: &Batch) -> Result<(f64, Vec<Option<Tensor>>)> {
    let mut sent = Sent::new(net, &batch.x, &batch.eps, &batch.points)?;
    if let Some((y, told)) = &batch.y {
        sent.query = sent.query.given(y.clone()).told(told.clone());
    }
    let weight = &batch.points.weight;
    let terms = Mutex::new(vec![f64::NAN; weight.len()]);
    let slope = |first: usize, estimate: &Tensor| {
        let (some, slope) = slope(estimate, &batch.eps, weight, first)?;
        let mut terms = terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms[first..first + some.len()].copy_from_slice(&some);
        Ok(slope)
    };
    let gradients = net.gradients(&sent.query, &slope)?;
    let terms = terms.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((stats::mean(&terms), gradients))
}

/// The terms of the loss for the estimate of the samples from `first` on, and the gradient by it.
fn slope(
    estimate: &Tensor,
    eps: &Tensor,
    weight: &[f64],
    first: usize,
) -> Result<(Vec<f64>, Tensor)> {
    let count = estimate.dims().first().copied().unwrap_or(0);
    if estimate.dims().get(1..) != eps.dims().get(1..) || first + count > weight.len() {
        return Err(Error::Shape {
            what: "the network's estimate",
            got: estimate.dims().to_vec(),
            need: format!("samples of {:?}, the shape of the noise", eps.dims()),
        });
    }
    let mut miss: Vec<f32> = estimate.flatten_all()?.to_vec1()?;
    let dim = miss.len() / count.max(1);
    let n = weight.len() as f64;
    let row = |((miss, eps), weight): ((&mut [f32], &[f32]), &f64)| -> f64 {
        miss.iter_mut()
            .zip(eps)
            .for_each(|(miss, eps)| *miss -= eps);
        let square = squares(miss);
        let scale = (weight / n) as f32;
        miss.iter_mut().for_each(|miss| *miss *= scale);
        0.5 * weight * square
    };
    let terms: Vec<f64> = read(eps, |eps| {
        let rows = miss
            .par_chunks_mut(dim.max(1))
            .zip(eps[first * dim..].par_chunks(dim.max(1)));
        let rows = rows
            .zip(&weight[first..])
            .with_min_len(WORTH.div_ceil(dim.max(1)));
        rows.map(row).collect()
    })?;
    let slope = Tensor::from_vec(miss, estimate.shape(), &Device::Cpu)?;
    Ok((terms, slope.to_device(estimate.device())?))
}

/// Samples as the channel passes them on to a network, where it computes.
struct Sent {
    query: Query,
    eps: Tensor,
    weight: Tensor,
}

impl Sent {
    fn new(net: &dyn Trainable, x: &Tensor, eps: &Tensor, points: &LogSnr) -> Result<Self> {
        let to = |values: &[f64]| -> Result<Tensor> {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            let n = values.len();
            Ok(Tensor::from_vec(values, n, &Device::Cpu)?.to_device(net.device())?)
        };
        let (log_snr, weight) = (to(&points.log_snr)?, to(&points.weight)?);
        let eps = eps.to_device(net.device())?;
        let z = channel::mix(&x.to_device(net.device())?, &eps, &log_snr)?;
        Ok(Self {
            query: Query::new(&z, &log_snr),
            eps,
            weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{self, Spectrum};
    use crate::net::{Mlp, MlpConfig};
    use crate::train::TrainConfig;
    use crate::train::feed::Feed;

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let data = data::moons(500, 0).unwrap().train;
        let standard = Spectrum::standard(2).unwrap();
        let net = Mlp::new(&MlpConfig::default(), &standard, &[2], &Device::Cpu).unwrap();
        let mut feed = Feed::new(data, &TrainConfig::default(), None).unwrap();
        let batch = feed.next().unwrap();
        let (fast, gradients) = gradients(&net, &batch).unwrap();
        let slow = loss(&net, &batch.x, &batch.eps, &batch.points, None).unwrap();
        let found = slow.backward().unwrap();
        let slow = f64::from(slow.to_scalar::<f32>().unwrap());
        assert!((fast / slow - 1.0).abs() < 1e-5, "{fast} {slow}");
        let size = |t: &Tensor| {
            let sum = t.sqr().unwrap().sum_all().unwrap();
            sum.to_scalar::<f32>().unwrap().sqrt()
        };
        for (var, gradient) in net.vars().iter().zip(&gradients) {
            let (slow, fast) = (found.get(var).unwrap(), gradient.as_ref().unwrap());
            let apart = size(&(slow - fast).unwrap());
            assert!(apart <= 1e-4 * size(slow), "{apart} of {}", size(slow));
        }
    }
}
