//! A multilayer perceptron that learns what the Gaussian's denoiser misses.

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::{self, ConditionEmbedding};
use super::file::{Saved, described, saved};
use super::same_dim;
use crate::checkpoint::Checkpoint;
use crate::data::ConditionKind;
use crate::denoiser::{Denoiser, GradOut, Query, Trainable, by_graph};
use crate::distribution::{Basis, Gaussian};
use crate::error::{Error, Result};
use crate::gradients::data_parallel;
use crate::layers::{Fourier, Linear, Scheme};
use crate::ops::{Activation, Tape, dense};
use crate::params::Network;

/// The size of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Width of the hidden layers.
    pub width: usize,
    /// Number of hidden layers.
    pub layers: usize,
    /// How the noisy sample is shown to the network.
    pub input: Input,
    /// What it can be told of a sample. Vectors are taken as they are; it learns best from numbers of about unit
    /// size.
    pub condition: Option<ConditionKind>,
    /// Seed of the initial weights.
    pub seed: u64,
}

/// How a network is shown its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// As it is; for many dimensions.
    Plain,
    /// Each coordinate also as so many [waves](Fourier); for a few dimensions with fine structure.
    Waves(usize),
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            width: 128,
            layers: 4,
            input: Input::Plain,
            condition: None,
            seed: 0,
        }
    }
}

impl MlpConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: usize, need| {
            let got = got.to_string();
            Err(Error::Parameter { name, got, need })
        };
        if !(1..=16_384).contains(&self.width) {
            return refuse("width", self.width, "1 to 16384");
        }
        if !(1..=256).contains(&self.layers) {
            return refuse("layers", self.layers, "1 to 256");
        }
        condition::check(self.condition)?;
        match self.input {
            Input::Waves(count) if !(2..=1024).contains(&count) => {
                refuse("the number of waves", count, "2 to 1024")
            }
            _ => Ok(()),
        }
    }
}

/// Samples that are worth a thread in training.
const LEAST: usize = 64;

/// Numbers that tell the network the condition.
const CONDITION: usize = 32;

/// Frequencies of the waves of the input, which has unit variance.
const INPUT_WAVES: (f64, f64) = (0.3, 10.0);

/// A perceptron on top of the best linear denoiser of a given [`Gaussian`].
///
/// In the coordinates of the eigenvectors, with `v = σ(α)λ + σ(−α)` the variance of `z` and `q` the noisy
/// sample scaled to unit variance,
///
/// ```text
/// ε̂ = √(σ(−α)/v) · q + 2 √(σ(t) σ(−t)) · f(q, α),    t = α + ln λ
/// ```
///
/// The first term is the Gaussian's denoiser ([`LinearDenoiser`](crate::distribution::LinearDenoiser)). The second is
/// scaled like the spread of what the Gaussian leaves open, and `f` ends in a layer of zeros: the network
/// starts on the Gaussian curve and has only the difference to learn. Hidden layers from the second on add
/// to what they get. With a condition the first layer also gets a learned vector of the class, or a perceptron of the
/// vector; samples of which nothing is told have a learned vector of their own.
///
/// Give it the standard normal ([`Gaussian::standard`]) to let it learn mean and covariance too.
///
/// # Example: an untrained network is the Gaussian's denoiser
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::denoiser::Query;
///
/// # fn main() -> Result<()> {
/// let gaussian = toy::correlated_gaussian(1000, 0)?.train.gaussian()?;
/// let net = Mlp::new(&MlpConfig::default(), &gaussian, &[2], &Device::Cpu)?;
/// let (z, alpha) = (rng::normal(&[5, 2], &mut rng::seeded(0))?, Tensor::full(1f32, 5, &Device::Cpu)?);
/// let exact = gaussian.denoiser(&[2])?.denoise(&Query::new(&z, &alpha))?;
/// let gap = (net.denoise(&Query::new(&z, &alpha))? - exact)?.abs()?.max_all()?.to_scalar::<f32>()?;
/// check!(gap < 1e-5);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Mlp {
    config: MlpConfig,
    shape: Vec<usize>,
    gaussian: Frozen,
    log_snr: Fourier,
    input: Option<Fourier>,
    net: Network<Body>,
}

/// The Gaussian that the network stands on.
#[derive(Debug, Clone)]
struct Frozen {
    /// `μ` and `λ`, `[1, dim]`.
    mean: Tensor,
    eigenvalues: Tensor,
    /// `U`, `[dim, dim]`; none when each value is a direction of its own.
    eigenvectors: Option<Tensor>,
}

/// The layers.
#[derive(Debug, Clone)]
struct Body {
    condition: Option<ConditionEmbedding>,
    layers: Vec<Linear>,
}

impl Body {
    fn new(vb: &VarBuilder, config: &MlpConfig, dim: usize) -> Result<Self> {
        let waves = match config.input {
            Input::Plain => 0,
            Input::Waves(count) => 2 * count,
        };
        let inputs = dim.saturating_mul(1 + waves);
        let inputs = inputs.saturating_add(Fourier::of_log_snr(&Device::Cpu)?.size());
        let embedding = |kind| ConditionEmbedding::new(vb.pp("condition"), kind, CONDITION);
        let condition = config.condition.map(embedding).transpose()?;
        let told = condition.as_ref().map_or(0, |_| CONDITION);
        let mut sizes = vec![inputs.saturating_add(told)];
        sizes.extend(vec![config.width; config.layers]);
        let vb = vb.pp("layers");
        let hidden = sizes.windows(2).enumerate();
        let hidden =
            hidden.map(|(i, pair)| Linear::new(vb.pp(i), pair[0], pair[1], Scheme::Normal));
        let mut layers = hidden.collect::<Result<Vec<_>>>()?;
        layers.push(Linear::new(
            vb.pp(config.layers),
            config.width,
            dim,
            Scheme::Zeros,
        )?);
        Ok(Self { condition, layers })
    }

    fn apply(&self, tape: &Tape, input: &Tensor, query: &Query) -> Result<Tensor> {
        let input = match &self.condition {
            None => input.clone(),
            Some(condition) => {
                let told = condition.embed(tape, query, input.device())?;
                tape.concat_channels(input, &told)?
            }
        };
        let last = self.layers.len() - 1;
        let mut h = self.layers[0].apply(tape, &input, Activation::Silu)?;
        for layer in &self.layers[1..last] {
            h = tape.add(&layer.apply(tape, &h, Activation::Silu)?, &h)?;
        }
        self.layers[last].apply(tape, &h, Activation::None)
    }
}

impl Mlp {
    /// A network for samples of `shape`, whose values in reading order have that mean and covariance.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when the shape does not fit the gaussian,
    /// [`Error::Memory`] when the parameters do not fit.
    pub fn new(
        config: &MlpConfig,
        gaussian: &Gaussian,
        shape: &[usize],
        device: &Device,
    ) -> Result<Self> {
        config.check()?;
        same_dim(gaussian, shape)?;
        let row = |values: &[f64]| -> Result<Tensor> {
            let values = Tensor::new(values, &Device::Cpu)?.to_dtype(DType::F32)?;
            Ok(values.to_device(device)?.unsqueeze(0)?)
        };
        let gaussian = Frozen {
            mean: row(&gaussian.mean)?,
            eigenvalues: row(&gaussian.eigenvalues)?,
            eigenvectors: match &gaussian.basis {
                Basis::Axes => None,
                Basis::Vectors(vectors) => Some(vectors.to_dtype(DType::F32)?.to_device(device)?),
            },
        };
        let dim = shape.iter().product();
        let build = |vb: VarBuilder| Body::new(&vb, config, dim);
        let net = Network::seeded(config.seed, device, build)?;
        Self::of(config, shape, gaussian, net)
    }

    fn of(
        config: &MlpConfig,
        shape: &[usize],
        gaussian: Frozen,
        net: Network<Body>,
    ) -> Result<Self> {
        let (low, high) = INPUT_WAVES;
        Ok(Self {
            log_snr: Fourier::of_log_snr(&net.device)?,
            input: match config.input {
                Input::Plain => None,
                Input::Waves(count) => Some(Fourier::new(count, low, high, &net.device)?),
            },
            config: config.clone(),
            shape: shape.to_vec(),
            gaussian,
            net,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// The number of values that training changes.
    pub fn parameters(&self) -> usize {
        self.net.count()
    }

    /// What the first layer gets but for the condition.
    fn shown(&self, q: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        let mut parts = vec![q.clone(), self.log_snr.embed(log_snr)?];
        if let Some(input) = &self.input {
            parts.push(input.embed(q)?.flatten_from(1)?);
        }
        Ok(Tensor::cat(&parts, D::Minus1)?)
    }

    /// `ε̂` by a body, with or without gradients.
    fn estimate(&self, tape: &Tape, body: &Body, query: &Query) -> Result<Tensor> {
        let around = self.precondition(&query.z, &query.log_snr)?;
        let shown = self.shown(&around.q, &query.log_snr)?;
        self.assemble(&around, &body.apply(tape, &shown, query)?)
    }
}

saved!(
    Mlp,
    "Mlp::new(&MlpConfig::default(), &Gaussian::standard(2)?, &[2], &Device::Cpu)?"
);

/// Names of the Gaussian's tensors in a file.
const GAUSSIAN: [&str; 3] = [
    "gaussian.mean",
    "gaussian.eigenvalues",
    "gaussian.eigenvectors",
];

/// What a file tells of an [`Mlp`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    mlp: MlpConfig,
    /// Whether each value is a direction of its own.
    axes: bool,
}

impl Saved for Mlp {
    const KIND: &'static str = "mlp";
    type Settings = Settings;

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            mlp: self.config.clone(),
            axes: self.gaussian.eigenvectors.is_none(),
        })
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        let gaussian = GAUSSIAN.into_iter().zip(self.gaussian.tensors());
        let gaussian = gaussian.filter_map(|(name, t)| Some((name.to_owned(), t?.clone())));
        self.net.tensors().into_iter().chain(gaussian).collect()
    }

    fn restore(
        settings: Settings,
        shape: &[usize],
        file: &Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        settings.mlp.check()?;
        let refuse = || Error::Shape {
            what: "a sample",
            got: shape.to_vec(),
            need: "sizes of at least 1, of values that fit into memory".into(),
        };
        let dim = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        let dim = dim
            .filter(|dim| (1..=1 << 28).contains(dim))
            .ok_or_else(refuse)?;
        let mut layout = vec![(GAUSSIAN[0], vec![1, dim]), (GAUSSIAN[1], vec![1, dim])];
        if !settings.axes {
            layout.push((GAUSSIAN[2], vec![dim, dim]));
        }
        let named = layout
            .into_iter()
            .map(|(name, shape)| (name.to_owned(), shape));
        let others: Vec<_> = named.collect();
        // Held against the file as a whole, before any of it is read.
        let config = settings.mlp;
        let build = |vb: VarBuilder| Body::new(&vb, &config, dim);
        let net = Network::loaded(file, str::to_owned, &others, device, build)?;
        let tensor = |i: usize| file.tensor(GAUSSIAN[i], device);
        let gaussian = Frozen {
            mean: tensor(0)?,
            eigenvalues: tensor(1)?,
            eigenvectors: match settings.axes {
                true => None,
                false => Some(tensor(2)?),
            },
        };
        let smallest = gaussian
            .eigenvalues
            .flatten_all()?
            .min(0)?
            .to_scalar::<f32>()?;
        if !(smallest >= 0.0) {
            return Err(Error::Parameter {
                name: "gaussian.eigenvalues",
                got: format!("{smallest} at least"),
                need: "at least 0",
            });
        }
        Self::of(&config, shape, gaussian, net)
    }
}

/// `x·wᵀ`. candle's own product asks the system for its number of processors each time.
fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let none = Tensor::zeros(w.dim(0)?, x.dtype(), x.device())?;
    dense(x, w, &none, Activation::None)
}

impl Frozen {
    /// Its tensors, in the order of [`GAUSSIAN`].
    fn tensors(&self) -> [Option<&Tensor>; 3] {
        let Self {
            mean,
            eigenvalues,
            eigenvectors,
        } = self;
        [Some(mean), Some(eigenvalues), eigenvectors.as_ref()]
    }

    /// `x·U`: what stands in the values' coordinates in those of the eigenvectors.
    fn rotated(&self, x: Tensor) -> Result<Tensor> {
        match &self.eigenvectors {
            None => Ok(x),
            Some(u) => product(&x, &u.t()?),
        }
    }

    /// `x·Uᵀ`: back again.
    fn unrotated(&self, x: Tensor) -> Result<Tensor> {
        match &self.eigenvectors {
            None => Ok(x),
            Some(u) => product(&x, u),
        }
    }
}

/// What surrounds the network inside, see [`Mlp`].
struct Preconditioned {
    q: Tensor,
    /// The factors of `q` and of the network, `[n, dim]`.
    c_skip: Tensor,
    c_out: Tensor,
}

impl Mlp {
    fn precondition(&self, z: &Tensor, log_snr: &Tensor) -> Result<Preconditioned> {
        let (n, dim) = (log_snr.elem_count(), self.dim());
        let Frozen {
            mean, eigenvalues, ..
        } = &self.gaussian;
        let z = z.reshape((n, dim))?;
        let alpha = log_snr.reshape((n, 1))?;
        let signal = (alpha.neg()?.exp()? + 1.0)?.recip()?; // σ(α) [n, 1]
        let noise = (alpha.exp()? + 1.0)?.recip()?; // σ(−α) [n, 1]
        let center = signal.sqrt()?.broadcast_mul(mean)?;
        let power = signal.broadcast_mul(eigenvalues)?; // σ(α)λ [n, dim]
        let spread = power.broadcast_add(&noise)?.sqrt()?.recip()?; // 1/√v
        let q = self.gaussian.rotated((z - center)?)?.mul(&spread)?;
        let noise = noise.sqrt()?;
        let c_skip = spread.broadcast_mul(&noise)?; // √(σ(−α)/v)
        // σ(t) = σ(α)λ/v and σ(−t) = σ(−α)/v
        let c_out = ((power.sqrt()? * &spread)? * (&c_skip * 2.0)?)?;
        Ok(Preconditioned { q, c_skip, c_out })
    }

    /// `ε̂` from what the network has added.
    fn assemble(&self, around: &Preconditioned, residual: &Tensor) -> Result<Tensor> {
        let eps = ((&around.q * &around.c_skip)? + (residual * &around.c_out)?)?;
        let whole = [&[residual.dim(0)?], self.shape.as_slice()].concat();
        Ok(self.gaussian.unrotated(eps)?.reshape(whole)?)
    }
}

impl Denoiser for Mlp {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        // Who asks for a gradient by `z` gets it from candle.
        let tape = match self.net.device.is_cpu() && !query.z.track_op() {
            true => Tape::on(&[]),
            false => Tape::off(),
        };
        self.estimate(&tape, &self.net.frozen, query)
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

    fn batch(&self) -> usize {
        let each = self.parameters() as f64 + 2.0 * (self.dim() as f64).powi(2);
        ((1.5e9 / each) as usize).clamp(1, 4096)
    }
}

impl Trainable for Mlp {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn describe(&self) -> Result<Value> {
        let gaussian = self.gaussian.tensors().into_iter().flatten();
        described(self, &gaussian.collect::<Vec<_>>())
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        query.check(&self.shape, self.condition())?;
        self.estimate(&Tape::off(), &self.net.tracked, query)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        if !self.net.device.is_cpu() {
            return by_graph(self, query, grad_out);
        }
        query.check(&self.shape, self.condition())?;
        let part = |tape: &Tape, first, count| {
            let query = query.narrow(first, count)?;
            let around = self.precondition(&query.z, &query.log_snr)?;
            let shown = self.shown(&around.q, &query.log_snr)?;
            let residual = self.net.tracked.apply(tape, &shown, &query)?;
            let gradient = grad_out(first, &self.assemble(&around, &residual)?)?.flatten_from(1)?;
            let gradient = (self.gaussian.rotated(gradient)? * &around.c_out)?;
            Ok((residual, gradient))
        };
        data_parallel(query.len(), LEAST, &self.vars(), part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Condition;
    use crate::rng;

    #[test]
    fn bad_settings_are_refused() {
        let gaussian = Gaussian::standard(2).unwrap();
        let new = |config, shape: &[usize]| Mlp::new(&config, &gaussian, shape, &Device::Cpu);
        let base = MlpConfig::default;
        assert!(new(MlpConfig { width: 0, ..base() }, &[2]).is_err());
        assert!(
            new(
                MlpConfig {
                    layers: 0,
                    ..base()
                },
                &[2]
            )
            .is_err()
        );
        assert!(
            new(
                MlpConfig {
                    input: Input::Waves(1),
                    ..base()
                },
                &[2]
            )
            .is_err()
        );
        assert!(new(base(), &[3]).is_err());
        let net = new(base(), &[2]).unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        assert!(
            net.denoise(&Query::new(&zeros(&[3, 2]), &zeros(&[2])))
                .is_err()
        );
    }

    #[test]
    fn one_layer_and_waves_work_too() {
        let gaussian = Gaussian::standard(2).unwrap();
        let config = MlpConfig {
            layers: 1,
            input: Input::Waves(4),
            ..Default::default()
        };
        let net = Mlp::new(&config, &gaussian, &[1, 2], &Device::Cpu).unwrap();
        let z = rng::normal(&[3, 1, 2], &mut rng::seeded(0)).unwrap();
        let alpha = Tensor::new(&[-30f32, 0.0, 30.0], &Device::Cpu).unwrap();
        let eps = net.denoise(&Query::new(&z, &alpha)).unwrap();
        assert_eq!(eps.dims(), [3, 1, 2]);
        assert!(
            eps.abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
                .is_finite()
        );
        assert_eq!(net.vars().len(), 4);
    }

    #[test]
    fn gradients_are_those_of_candles_graph() {
        let n = LEAST + 7; // in two parts
        let y = rng::normal(&[n, 2], &mut rng::seeded(2)).unwrap();
        let classes = Condition::Class((0..n as u32).map(|i| i % 3).collect());
        let told: Vec<bool> = (0..n).map(|i| i % 4 > 0).collect();
        gradients_agree(None, None, None);
        gradients_agree(Some(ConditionKind::Class { classes: 3 }), None, None);
        for told in [None, Some(told)] {
            let kind = Some(ConditionKind::Class { classes: 3 });
            gradients_agree(kind, Some(classes.clone()), told.clone());
            let kind = Some(ConditionKind::Vector { dim: 2 });
            gradients_agree(kind, Some(Condition::vectors(&y).unwrap()), told);
        }
    }

    fn gradients_agree(
        condition: Option<ConditionKind>,
        y: Option<Condition>,
        told: Option<Vec<bool>>,
    ) {
        let data = rng::normal(&[50, 3], &mut rng::seeded(9)).unwrap();
        let gaussian = crate::data::Dataset::new("some", data)
            .unwrap()
            .gaussian()
            .unwrap();
        let config = MlpConfig {
            width: 16,
            layers: 3,
            input: Input::Waves(4),
            condition,
            ..Default::default()
        };
        let net = Mlp::new(&config, &gaussian, &[3], &Device::Cpu).unwrap();
        let mut rng = rng::seeded(1);
        for var in net.vars() {
            let noise = (rng::normal(var.dims(), &mut rng).unwrap() * 0.2).unwrap();
            var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
        }
        let n = LEAST + 7;
        let z = rng::normal(&[n, 3], &mut rng).unwrap();
        let alpha = rng::normal(&[n], &mut rng).unwrap();
        let slope = |_: usize, eps: &Tensor| Ok((eps * 2.0)?);
        let query = Query {
            told,
            ..Query::new(&z, &alpha).given(y)
        };
        let fast = net.gradients(&query, &slope).unwrap();
        let slow = by_graph(&net, &query, &slope).unwrap();
        assert!(!net.denoise(&query).unwrap().track_op());
        for (fast, slow) in fast.iter().zip(&slow) {
            let (Some(fast), Some(slow)) = (fast, slow) else {
                // Nobody was untold, or nobody told.
                assert!(fast.is_none() && slow.is_none());
                continue;
            };
            let most = |t: &Tensor| {
                let most = t.abs().unwrap().max_all().unwrap();
                most.to_scalar::<f32>().unwrap()
            };
            assert!(most(slow) > 1e-3);
            assert!(most(&(fast - slow).unwrap()) < 1e-5 * most(slow).max(1.0));
        }
    }
}
