//! What the two published networks share: parameters, evaluation in pieces, and the door to [`Denoiser`](super::Denoiser).

mod attention;
mod body;
mod file;
mod layers;
mod weights;

use std::fmt;

use candle_core::{DType, Device, Tensor, Var};

pub(super) use attention::Attention;
pub(super) use body::{Body, Layer, Waves};
pub(super) use file::find;
pub(super) use layers::{
    Conv, Down, Linear, Norm, NormConfig, Residual, ResidualConfig, ResidualNames, Told, Up,
};
pub(super) use weights::{Detached, Kept, Scope, Seeded};

use self::weights::{Listing, Loaded, Source};
use crate::cell;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Interrupted, Result};
use crate::schedule::TimeMap;

/// Pixels that go through a network at once, which bounds the memory.
const PIXELS: usize = 16 * 32 * 32;

/// The shape of a network.
pub(super) trait Plan {
    /// The network, with parameters from a source.
    fn build(&self, scope: &mut Scope, device: &Device) -> Result<Body>;

    /// Channels, height and width of a picture.
    fn picture(&self) -> [usize; 3];

    /// How often height and width are halved.
    fn halvings(&self) -> usize;

    /// Names and shapes of the parameters.
    fn layout(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let mut listing = Listing::default();
        self.build(&mut Scope::new(&mut listing), &Device::Cpu)?;
        Ok(listing.0)
    }
}

/// A network with its clock.
#[derive(Clone)]
pub(super) struct Published {
    /// The network without gradients, so that nothing is remembered for them, and with.
    body: Body,
    tracked: Body,
    parameters: Vec<(String, Var)>,
    pub clock: TimeMap,
    pub shape: [usize; 3],
    halvings: usize,
    pub device: Device,
}

impl Published {
    /// A network whose parameters come from a source.
    pub fn new(
        plan: &impl Plan,
        source: &mut dyn Source,
        clock: TimeMap,
        device: &Device,
    ) -> Result<Self> {
        let vars = Vec::new();
        let mut kept = Kept {
            source,
            device,
            vars,
        };
        let tracked = plan.build(&mut Scope::new(&mut kept), device)?;
        let parameters = kept.vars;
        let mut detached = Detached::new(&parameters);
        Ok(Self {
            body: plan.build(&mut Scope::new(&mut detached), device)?,
            tracked,
            parameters,
            clock,
            shape: plan.picture(),
            halvings: plan.halvings(),
            device: device.clone(),
        })
    }

    /// A network whose parameters are in a file, under names that `rename` gives.
    ///
    /// # Errors
    /// [`Error::Format`], which names every tensor that is missing, unexpected or misshapen.
    pub fn load(
        plan: &impl Plan,
        file: &Checkpoint,
        rename: fn(&str) -> String,
        clock: TimeMap,
        device: &Device,
    ) -> Result<Self> {
        let layout = plan.layout()?.into_iter();
        let layout: Vec<_> = layout.map(|(name, shape)| (rename(&name), shape)).collect();
        file::compare(file, &layout)?;
        Self::new(plan, &mut Loaded { file, rename }, clock, device)
    }

    pub fn vars(&self) -> Vec<Var> {
        self.parameters.iter().map(|(_, var)| var.clone()).collect()
    }

    /// Names and values of the parameters.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let each = |(name, var): &(String, Var)| (name.clone(), var.as_detached_tensor());
        self.parameters.iter().map(each).collect()
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
            parts.push(self.body.forward(&x.contiguous()?, &t)?);
        }
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(Tensor::cat(&parts, 0)?),
        }
    }

    /// As [`Self::forward`], all at once and with what gradients need.
    pub fn forward_tracked(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.check(x, t)?;
        self.tracked.forward(x, t)
    }

    /// The network's time, `[n]`.
    pub fn time(&self, log_snr: &Tensor) -> Result<Tensor> {
        let log_snr = log_snr.to_dtype(DType::F64)?.flatten_all()?;
        let alphas = log_snr.to_device(&Device::Cpu)?.to_vec1::<f64>()?;
        let time = |&alpha: &f64| self.clock.time(alpha) as f32;
        let times: Vec<f32> = alphas.iter().map(time).collect();
        let n = times.len();
        Ok(Tensor::from_vec(times, n, &Device::Cpu)?.to_device(&self.device)?)
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
        matches!(*picture, [c, h, w] if c == self.shape[0] && halves(h) && halves(w))
    }

    fn misfit(&self, what: &'static str, got: &[usize], before: &str) -> Error {
        let (channels, factor) = (self.shape[0], 1 << self.halvings);
        Error::Shape {
            what,
            got: got.to_vec(),
            need: format!(
                "[{before}{channels}, height, width] with a height and width that {factor} divides"
            ),
        }
    }
}

impl fmt::Debug for Published {
    /// Without the hundreds of layers and thousands of steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.parameters.iter().map(|(_, var)| var.elem_count());
        f.debug_struct("Published")
            .field("tensors", &self.parameters.len())
            .field("parameters", &numbers.sum::<usize>())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
