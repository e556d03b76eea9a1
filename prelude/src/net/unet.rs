//! A small U-Net that learns pictures.

mod body;
mod config;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use rayon::prelude::*;
use serde_json::Value;

use self::body::Body;
use super::file::{Saved, described, saved};
use crate::cell;
use crate::checkpoint::Checkpoint;
use crate::data::ConditionKind;
use crate::denoiser::{Denoiser, GradOut, Query, Trainable, by_graph};
use crate::error::{Error, Interrupted, Result};
use crate::gradients::data_parallel;
use crate::ops::Tape;
use crate::params::Network;

pub use config::UNetConfig;

/// A U-Net on top of the best denoiser of a normal distribution with mean 0 and variance `s²` in each value.
///
/// With `v = σ(α)s² + σ(−α)` the variance of `z`, and `q = z/√v`,
///
/// ```text
/// ε̂ = √(σ(−α)/v) · q + 2 √(σ(t) σ(−t)) · f(q, α),    t = α + ln s²
/// ```
///
/// The first term is that denoiser. The second is scaled like the spread of what it leaves open, and `f` ends
/// in a layer of zeros: an untrained network lies on the curve of `N(0, s²)`, and has only the difference to
/// learn. For data from −1 to 1, `s = ½` ([`UNetConfig::data_std`]) is near enough.
///
/// `f` is a U-Net: residual blocks of two 3×3 convolutions at each of several sizes, on the way down and again,
/// with what was there on the way down beside it, on the way up; attention where the settings say. Waves of
/// log-SNR and, with a condition, a learned vector of the class or a perceptron of the vector become scale and shift
/// after the second group norm of each block; samples of which nothing is told have a learned vector of their own.
///
/// Any height and width will do: halves are rounded up on the way down and cut on the way up.
///
/// # Numerics
/// Many samples go through in parts, so memory is bounded by the network and not by the number of samples.
/// [`Denoiser::denoise`] has a gradient with respect to `z`, but not the parameters; [`Trainable::forward`]
/// has both.
///
/// # Paper
/// The network: Ho, Jain, Abbeel (2020), arXiv:2006.11239. Scale and shift: Nichol, Dhariwal (2021),
/// arXiv:2102.09672. A known denoiser beside the network: Karras et al. (2022), arXiv:2206.00364.
///
/// # Example: an untrained network is the denoiser of `N(0, ¼)`
/// ```
/// use itd_prelude::candle::{DType, Device, Tensor};
/// use itd_prelude::denoiser::{Denoiser, Query};
/// use itd_prelude::net::{UNet, UNetConfig};
///
/// let net = UNet::new(&UNetConfig::small(), &[1, 8, 8], &Device::Cpu)?;
/// let z = Tensor::ones((2, 1, 8, 8), DType::F32, &Device::Cpu)?;
/// let eps = net.denoise(&Query::new(&z, &Tensor::zeros(2, DType::F32, &Device::Cpu)?))?;
/// // At α = 0, v = ½·¼ + ½ and ε̂ = √½·z/v.
/// let first = eps.flatten_all()?.to_vec1::<f32>()?[0];
/// assert!((first - 0.8 * 2f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UNet {
    config: UNetConfig,
    shape: [usize; 3],
    net: Network<Body>,
}

/// Samples that are worth a thread in training.
const LEAST: usize = 16;

/// Numbers in the largest layer of a part of the samples: few enough to stay near the processor.
const PART: usize = 1 << 19;

impl UNet {
    /// A network for pictures of `shape`, `[colours, height, width]`, with initial weights from the seed.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, [`Error::Shape`] for samples that are not such pictures.
    pub fn new(config: &UNetConfig, shape: &[usize], device: &Device) -> Result<Self> {
        let shape = pictures(config, shape)?;
        let build = |vb: VarBuilder| Body::new(&vb, config, shape[0]);
        Ok(Self {
            config: config.clone(),
            shape,
            net: Network::seeded(config.seed, device, build)?,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The number of values that training changes.
    pub fn parameters(&self) -> usize {
        self.net.count()
    }

    /// `ε̂`, see [`UNet`].
    fn estimate(&self, query: &Query) -> Result<Tensor> {
        let around = Preconditioned::new(self.config.data_std, query)?;
        // Who asks for a gradient by `z` gets it from candle.
        let tape = match self.net.device.is_cpu() && !query.z.track_op() {
            true => Tape::on(&[]),
            false => Tape::off(),
        };
        around.assemble(&self.net.frozen.apply(&tape, &around.q, query)?)
    }
}

saved!(
    UNet,
    "UNet::new(&UNetConfig::small(), &[1, 8, 8], &Device::Cpu)?"
);

impl Saved for UNet {
    const KIND: &'static str = "unet";
    type Settings = UNetConfig;

    fn settings(&self) -> Result<UNetConfig> {
        Ok(self.config.clone())
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        self.net.tensors()
    }

    fn restore(
        config: UNetConfig,
        shape: &[usize],
        file: &Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        let shape = pictures(&config, shape)?;
        let build = |vb: VarBuilder| Body::new(&vb, &config, shape[0]);
        let net = Network::loaded(file, str::to_owned, &[], device, build)?;
        Ok(Self { config, shape, net })
    }
}

/// What surrounds the network inside, see [`UNet`].
struct Preconditioned {
    q: Tensor,
    /// The factors of `q` and of the network, `[n, 1, 1, 1]`.
    c_skip: Tensor,
    c_out: Tensor,
}

impl Preconditioned {
    fn new(std: f64, query: &Query) -> Result<Self> {
        let (z, alpha) = (&query.z, query.log_snr.to_dtype(DType::F32)?);
        let alpha = alpha.reshape((alpha.elem_count(), 1, 1, 1))?;
        let signal = (alpha.neg()?.exp()? + 1.0)?.recip()?.sqrt()?; // √σ(α)
        let noise = (alpha.exp()? + 1.0)?.recip()?.sqrt()?; // √σ(−α)
        let signal = (signal * std)?; // √σ(α)·s
        let spread = (signal.sqr()? + noise.sqr()?)?.sqrt()?.recip()?; // 1/√v
        let c_skip = (&noise * &spread)?; // √(σ(−α)/v) = √σ(−t)
        Ok(Self {
            q: z.broadcast_mul(&spread)?,
            c_out: ((signal * &spread)? * (&c_skip * 2.0)?)?, // √σ(t) = √σ(α)·s/√v
            c_skip,
        })
    }

    /// `ε̂` from what the network has added.
    fn assemble(&self, residual: &Tensor) -> Result<Tensor> {
        Ok((self.q.broadcast_mul(&self.c_skip)? + residual.broadcast_mul(&self.c_out)?)?)
    }
}

/// The shape of a picture, once it and the settings can be.
fn pictures(config: &UNetConfig, shape: &[usize]) -> Result<[usize; 3]> {
    config.check()?;
    let values = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
    // Beyond that a single picture would not fit in memory.
    let fits = values.is_some_and(|values| (1..=1 << 28).contains(&values));
    match *shape {
        [colours, height, width] if fits => Ok([colours, height, width]),
        _ => refuse_shape(shape),
    }
}

fn refuse_shape<T>(shape: &[usize]) -> Result<T> {
    Err(Error::Shape {
        what: "a sample",
        got: shape.to_vec(),
        need: "[colours, height, width], none of them 0, with at most 2²⁸ values".into(),
    })
}

impl Denoiser for UNet {
    /// Many samples are estimated in parts, on several threads; the user may stop it between two of them.
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let n = query.len();
        let [_, height, width] = self.shape;
        let layer = self.config.channels[0] * height * width;
        let part = (PART / layer).max(1);
        if n <= part {
            return self.estimate(query);
        }
        let some = |from: usize| {
            // A round of a curve may take minutes.
            if cell::interrupted() {
                let stopped = Interrupted::new("denoising", from as u64, n as u64);
                return Err(Error::Interrupted(stopped));
            }
            self.estimate(&query.narrow(from, part.min(n - from))?)
        };
        let starts: Vec<usize> = (0..n).step_by(part).collect();
        let parts: Vec<Tensor> = match self.net.device.is_cpu() {
            true => starts.into_par_iter().map(some).collect::<Result<_>>()?,
            false => starts.into_iter().map(some).collect::<Result<_>>()?,
        };
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &self.net.device
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.config.condition
    }
}

impl Trainable for UNet {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn describe(&self) -> Result<Value> {
        described(self, &[])
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(&self.shape, self.condition())?;
        let around = Preconditioned::new(self.config.data_std, query)?;
        around.assemble(&self.net.tracked.apply(&Tape::off(), &around.q, query)?)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        if !self.net.device.is_cpu() {
            return by_graph(self, query, grad_out);
        }
        query.check(&self.shape, self.condition())?;
        let part = |tape: &Tape, first, count| {
            let query = query.narrow(first, count)?;
            let around = Preconditioned::new(self.config.data_std, &query)?;
            let residual = self.net.tracked.apply(tape, &around.q, &query)?;
            let gradient = grad_out(first, &around.assemble(&residual)?)?;
            Ok((residual, gradient.broadcast_mul(&around.c_out)?))
        };
        data_parallel(query.len(), LEAST, &self.vars(), part)
    }
}

#[cfg(test)]
mod tests;
