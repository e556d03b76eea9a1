//! A small U-Net that learns pictures.

mod body;
mod config;
mod file;
mod layers;
mod params;

use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;

use self::body::Body;
use self::params::{Parameter, Params};
use super::by_parts::by_parts;
use crate::cell;
use crate::data::ConditionKind;
use crate::denoiser::{Denoiser, GradOut, Query, Trainable, by_graph};
use crate::error::{Error, Interrupted, Result};
use crate::ops::Tape;
use crate::rng;

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
/// log-SNR and, if it has classes, a learned vector for the class and one for "no class" become scale and shift
/// after the second group norm of each block.
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
    device: Device,
    params: Vec<(String, Var)>,
    /// The same network twice, on the same memory: with and without the parameters' gradient.
    body: Body,
    frozen: Body,
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
        let (shape, plan) = plan(config, shape)?;
        let mut rng = rng::seeded(config.seed);
        let draw = |parameter: &Parameter| parameter.draw(&mut rng, device);
        let vars = plan.iter().map(draw).collect::<Result<Vec<_>>>()?;
        Self::of(config, shape, plan, vars, device)
    }

    fn of(
        config: &UNetConfig,
        shape: [usize; 3],
        plan: Vec<Parameter>,
        vars: Vec<Var>,
        device: &Device,
    ) -> Result<Self> {
        let body = |tensor: fn(&Var) -> Tensor| {
            let tensors: Vec<Tensor> = vars.iter().map(tensor).collect();
            Body::new(
                config,
                shape[0],
                &mut Params::Take(tensors.into_iter()),
                device,
            )
        };
        let (body, frozen) = (
            body(|var| var.as_tensor().clone())?,
            body(Var::as_detached_tensor)?,
        );
        let names = plan.into_iter().map(|parameter| parameter.name);
        Ok(Self {
            config: config.clone(),
            shape,
            device: device.clone(),
            params: names.zip(vars).collect(),
            body,
            frozen,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The number of values that training changes.
    pub fn parameters(&self) -> usize {
        self.params.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// The labels of a query, as the network takes them.
    fn labels(&self, query: &Query) -> Result<Option<Tensor>> {
        let Some(classes) = self.config.classes else {
            return Ok(None);
        };
        let labels = query.classes(classes)?;
        Ok(labels
            .map(|labels| Tensor::new(labels, &self.device))
            .transpose()?)
    }

    /// `ε̂`, see [`UNet`].
    fn estimate(&self, z: &Tensor, log_snr: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let frame = Frame::new(self.config.data_std, z, log_snr)?;
        // Who asks for a gradient by `z` gets it from candle.
        let tape = match self.device.is_cpu() && !z.track_op() {
            true => Tape::on(&[]),
            false => Tape::off(),
        };
        frame.estimate(&self.frozen.apply(&tape, &frame.q, log_snr, labels)?)
    }
}

/// What surrounds the network inside, see [`UNet`].
struct Frame {
    q: Tensor,
    /// The factors of `q` and of the network, `[n, 1, 1, 1]`.
    linear: Tensor,
    room: Tensor,
}

impl Frame {
    fn new(std: f64, z: &Tensor, log_snr: &Tensor) -> Result<Self> {
        let alpha = log_snr.to_dtype(DType::F32)?;
        let alpha = alpha.reshape((alpha.elem_count(), 1, 1, 1))?;
        let signal = (alpha.neg()?.exp()? + 1.0)?.recip()?.sqrt()?; // √σ(α)
        let noise = (alpha.exp()? + 1.0)?.recip()?.sqrt()?; // √σ(−α)
        let signal = (signal * std)?; // √σ(α)·s
        let spread = (signal.sqr()? + noise.sqr()?)?.sqrt()?.recip()?; // 1/√v
        let linear = (&noise * &spread)?; // √(σ(−α)/v) = √σ(−t)
        Ok(Self {
            q: z.broadcast_mul(&spread)?,
            room: ((signal * &spread)? * (&linear * 2.0)?)?, // √σ(t) = √σ(α)·s/√v
            linear,
        })
    }

    fn estimate(&self, missed: &Tensor) -> Result<Tensor> {
        Ok((self.q.broadcast_mul(&self.linear)? + missed.broadcast_mul(&self.room)?)?)
    }
}

/// The shape and the parameters of a network, without making it.
fn plan(config: &UNetConfig, shape: &[usize]) -> Result<([usize; 3], Vec<Parameter>)> {
    config.check()?;
    let values = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
    let &[colours, height, width] = shape else {
        return refuse_shape(shape);
    };
    // Beyond that a single picture would not fit in memory.
    if !values.is_some_and(|values| (1..=1 << 28).contains(&values)) {
        return refuse_shape(shape);
    }
    let mut params = Params::Plan(Vec::new());
    Body::new(config, colours, &mut params, &Device::Cpu)?;
    match params {
        Params::Plan(plan) => Ok(([colours, height, width], plan)),
        Params::Take(_) => Ok(([colours, height, width], Vec::new())),
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
        let labels = self.labels(query)?;
        let [_, height, width] = self.shape;
        let layer = self.config.channels[0] * height * width;
        let part = (PART / layer).max(1);
        if n <= part {
            return self.estimate(&query.z, &query.log_snr, labels.as_ref());
        }
        let some = |from: usize| {
            // A round of a curve may take minutes.
            if cell::interrupted() {
                let stopped = Interrupted::new("denoising", from as u64, n as u64);
                return Err(Error::Interrupted(stopped));
            }
            let part = |t: &Tensor| t.narrow(0, from, part.min(n - from));
            let labels = labels.as_ref().map(part).transpose()?;
            self.estimate(&part(&query.z)?, &part(&query.log_snr)?, labels.as_ref())
        };
        let starts: Vec<usize> = (0..n).step_by(part).collect();
        let parts: Vec<Tensor> = match self.device.is_cpu() {
            true => starts.into_par_iter().map(some).collect::<Result<_>>()?,
            false => starts.into_iter().map(some).collect::<Result<_>>()?,
        };
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn condition(&self) -> Option<ConditionKind> {
        let classes = self.config.classes?;
        Some(ConditionKind::Class { classes })
    }
}

impl Trainable for UNet {
    fn vars(&self) -> Vec<Var> {
        self.params.iter().map(|(_, var)| var.clone()).collect()
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(&self.shape, self.condition())?;
        let labels = self.labels(query)?;
        let frame = Frame::new(self.config.data_std, &query.z, &query.log_snr)?;
        let tape = Tape::off();
        let missed = self
            .body
            .apply(&tape, &frame.q, &query.log_snr, labels.as_ref())?;
        frame.estimate(&missed)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        if !self.device.is_cpu() {
            return by_graph(self, query, grad_out);
        }
        query.check(&self.shape, self.condition())?;
        let labels = self.labels(query)?;
        let part = |tape: &Tape, first, count| {
            let some = |t: &Tensor| t.narrow(0, first, count);
            let (log_snr, labels) = (
                some(&query.log_snr)?,
                labels.as_ref().map(some).transpose()?,
            );
            let frame = Frame::new(self.config.data_std, &some(&query.z)?, &log_snr)?;
            let missed = self.body.apply(tape, &frame.q, &log_snr, labels.as_ref())?;
            let gradient = grad_out(first, &frame.estimate(&missed)?)?;
            Ok((missed, gradient.broadcast_mul(&frame.room)?))
        };
        by_parts(query.len(), LEAST, &self.vars(), part)
    }
}

#[cfg(test)]
mod tests;
