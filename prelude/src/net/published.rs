//! What the two published networks share: parameters, evaluation in pieces, and the door to [`Denoiser`](super::Denoiser).

mod body;
mod clock;

use std::fmt;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;

pub(super) use body::{Body, Layer, TimeEmbedding};
pub(super) use clock::Clock;
pub(super) use itd_files::diffusers::find;

use crate::cell;
use crate::checkpoint::Checkpoint;
use crate::denoiser::{GradOut, Query};
use crate::error::{Error, Interrupted, Result};
use crate::gradients::one_by_one;
use crate::ops::Tape;
use crate::params::{self, Network};
use crate::schedule::TimeMap;

/// Pixels that go through a network at once, which bounds the memory.
const PIXELS: usize = 16 * 32 * 32;

/// As many in training, where all that comes between is kept for the way back.
const PIXELS_TRAINED: usize = 4 * 32 * 32;

/// The shape of a network.
pub(super) trait Plan {
    /// The network, with parameters from a source.
    fn build(&self, vb: &VarBuilder) -> Result<Body>;

    /// Channels, height and width of a picture.
    fn picture(&self) -> [usize; 3];

    /// How often height and width are halved.
    fn halvings(&self) -> usize;

    /// Names and shapes of the parameters.
    fn layout(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let plan = params::plan(|vb| self.build(&vb))?;
        Ok(plan.into_iter().map(|p| (p.name, p.shape)).collect())
    }
}

/// A network with its clock.
#[derive(Clone)]
pub(super) struct Published {
    net: Network<Body>,
    pub clock: TimeMap,
    pub shape: [usize; 3],
    halvings: usize,
}

impl Published {
    /// A network with fresh parameters.
    pub fn new(plan: &impl Plan, seed: u64, clock: TimeMap, device: &Device) -> Result<Self> {
        let net = Network::seeded(seed, device, |vb| plan.build(&vb))?;
        Ok(Self::of(plan, net, clock))
    }

    /// A network whose parameters are in a file, under names that `rename` gives.
    ///
    /// # Errors
    /// [`Error::Format`], which names every tensor that is missing, unexpected or misshapen.
    pub fn load(
        plan: &impl Plan,
        file: Checkpoint,
        rename: fn(&str) -> String,
        clock: TimeMap,
        device: &Device,
    ) -> Result<Self> {
        let layout = plan.layout()?.into_iter();
        let layout: Vec<_> = layout.map(|(name, shape)| (rename(&name), shape)).collect();
        let file = file.fitted(&layout)?;
        let net = Network::loaded(&file, rename, &[], device, |vb| plan.build(&vb))?;
        Ok(Self::of(plan, net, clock))
    }

    /// The same from a file that this library wrote, for pictures of `shape`.
    pub fn restore(
        plan: &impl Plan,
        file: &Checkpoint,
        clock: Clock,
        shape: &[usize],
        device: &Device,
    ) -> Result<Self> {
        let net = Network::loaded(file, str::to_owned, &[], device, |vb| plan.build(&vb))?;
        let mut net = Self::of(plan, net, clock.time_map()?);
        match *shape {
            [channels, height, width] if channels == net.shape[0] => net.resize(height, width)?,
            _ => return Err(net.misfit("a sample", shape, "")),
        }
        Ok(net)
    }

    fn of(plan: &impl Plan, net: Network<Body>, clock: TimeMap) -> Self {
        Self {
            net,
            clock,
            shape: plan.picture(),
            halvings: plan.halvings(),
        }
    }

    pub fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    /// Names and values of the parameters.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.net.tensors()
    }

    pub fn device(&self) -> &Device {
        &self.net.device
    }

    /// Pictures that take some seconds on a processor.
    pub fn batch(&self) -> usize {
        (2 * PIXELS / (self.shape[1] * self.shape[2])).max(1)
    }

    /// Sets height and width of [`Self::shape`].
    pub fn resize(&mut self, height: usize, width: usize) -> Result<()> {
        let shape = [self.shape[0], height, width];
        if !self.takes(&shape) {
            return Err(self.misfit("a picture", &shape, ""));
        }
        self.shape = shape;
        Ok(())
    }

    /// What the network gives for a picture at a time of its own, a few samples at a time.
    pub fn forward(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let n = self.check(x, t)?;
        let pixels: usize = x.dims()[2..].iter().product();
        let piece = (PIXELS / pixels).clamp(1, n);
        let mut parts = Vec::with_capacity(n.div_ceil(piece));
        for from in (0..n).step_by(piece) {
            if cell::interrupted() {
                let stopped = Interrupted::new("evaluating a network", from as u64, n as u64);
                return Err(Error::Interrupted(stopped));
            }
            let count = piece.min(n - from);
            let (x, t) = (x.narrow(0, from, count)?, t.narrow(0, from, count)?);
            // Who asks for a gradient by the picture gets it from candle.
            let tape = match self.net.device.is_cpu() && !x.track_op() {
                true => Tape::on(&[]),
                false => Tape::off(),
            };
            parts.push(self.net.frozen.apply(&tape, &x.contiguous()?, &t)?);
        }
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(Tensor::cat(&parts, 0)?),
        }
    }

    /// As [`Self::forward`], all at once and with candle's graph.
    pub fn forward_tracked(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.check(x, t)?;
        self.net.tracked.apply(&Tape::off(), x, t)
    }

    /// The gradients of [`Trainable::gradients`](crate::denoiser::Trainable::gradients) on a processor, for `ε̂` in the
    /// first channels of what comes out for `shown(z)`: a few pictures at a time, so that what is kept for the way back
    /// does not grow with their number.
    pub fn gradients(
        &self,
        query: &Query,
        shown: impl Fn(&Tensor) -> Result<Tensor>,
        grad_out: &GradOut,
    ) -> Result<Vec<Option<Tensor>>> {
        let [channels, height, width] = self.shape;
        let piece = (PIXELS_TRAINED / (height * width)).max(1);
        let part = |tape: &Tape, first: usize, count| {
            if cell::interrupted() {
                let (done, all) = (first as u64, query.len() as u64);
                return Err(Error::Interrupted(Interrupted::new("gradients", done, all)));
            }
            let query = query.narrow(first, count)?;
            let x = shown(&query.z)?.contiguous()?;
            let out = self
                .net
                .tracked
                .apply(tape, &x, &self.time(&query.log_snr)?)?;
            let eps = out.narrow(1, 0, channels)?.contiguous()?;
            let gradient = grad_out(first, &eps)?;
            // The variance, if there is one, has no part in it.
            let rest = out.dim(1)? - channels;
            let gradient = match rest {
                0 => gradient,
                rest => gradient.pad_with_zeros(1, 0, rest)?,
            };
            Ok((out, gradient.contiguous()?))
        };
        one_by_one(query.len(), piece, &self.vars(), part)
    }

    /// The network's time, `[n]`.
    pub fn time(&self, log_snr: &Tensor) -> Result<Tensor> {
        let log_snr = log_snr.to_dtype(DType::F64)?.flatten_all()?;
        let alphas = log_snr.to_device(&Device::Cpu)?.to_vec1::<f64>()?;
        let time = |&alpha: &f64| self.clock.time(alpha) as f32;
        let times: Vec<f32> = alphas.iter().map(time).collect();
        let n = times.len();
        Ok(Tensor::from_vec(times, n, &Device::Cpu)?.to_device(self.device())?)
    }

    /// The number of samples, once they fit the network.
    fn check(&self, x: &Tensor, t: &Tensor) -> Result<usize> {
        let n = match x.dims() {
            [n, picture @ ..] if *n > 0 && self.takes(picture) => *n,
            dims => return Err(self.misfit("the noisy pictures", dims, "n, ")),
        };
        match t.dims() == [n] {
            true => Ok(n),
            false => Err(Error::Shape {
                what: "the times or log-SNRs",
                got: t.dims().to_vec(),
                need: format!("[{n}], one value for each sample"),
            }),
        }
    }

    fn takes(&self, picture: &[usize]) -> bool {
        let halves = |size: usize| size > 0 && size.is_multiple_of(1 << self.halvings);
        let values = picture
            .iter()
            .try_fold(1usize, |all, &n| all.checked_mul(n));
        values.is_some_and(|values| values <= 1 << 28)
            && matches!(*picture, [c, h, w] if c == self.shape[0] && halves(h) && halves(w))
    }

    fn misfit(&self, what: &'static str, got: &[usize], before: &str) -> Error {
        let (channels, factor) = (self.shape[0], 1 << self.halvings);
        Error::Shape {
            what,
            got: got.to_vec(),
            need: format!(
                "[{before}{channels}, height, width] with a height and width that {factor} divides, and at most 2²⁸ values"
            ),
        }
    }
}

impl fmt::Debug for Published {
    /// Without the hundreds of layers and thousands of steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.net.parameters.len();
        f.debug_struct("Published")
            .field("tensors", &tensors)
            .field("parameters", &self.net.count())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
