//! A multilayer perceptron that learns what the Gaussian's denoiser misses.

use candle_core::{D, DType, Device, Tensor, Var};

use super::by_parts::by_parts;
use super::{Embedding, same_dim};
use crate::data::Spectrum;
use crate::denoiser::{Denoiser, GradOut, Query, Trainable, by_graph};
use crate::error::{Error, Result};
use crate::ops::{Activation, Tape, dense};
use crate::rng::{self, Rng};

/// The size of an [`Mlp`].
#[derive(Debug, Clone, PartialEq)]
pub struct MlpConfig {
    /// Width of the hidden layers.
    pub width: usize,
    /// Number of hidden layers.
    pub layers: usize,
    /// How the noisy sample is shown to the network.
    pub input: Input,
    /// Seed of the initial weights.
    pub seed: u64,
}

/// How a network is shown its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// As it is; for many dimensions.
    Plain,
    /// Each coordinate also as so many [waves](Embedding); for a few dimensions with fine structure.
    Waves(usize),
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            width: 128,
            layers: 4,
            input: Input::Plain,
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

/// Frequencies of the waves of the input, which has unit variance.
const INPUT_WAVES: (f64, f64) = (0.3, 10.0);

/// A perceptron on top of the best linear denoiser of a given [`Spectrum`].
///
/// In the coordinates of the eigenvectors, with `v = σ(α)λ + σ(−α)` the variance of `z` and `q` the noisy
/// sample scaled to unit variance,
///
/// ```text
/// ε̂ = √(σ(−α)/v) · q + 2 √(σ(t) σ(−t)) · f(q, α),    t = α + ln λ
/// ```
///
/// The first term is the Gaussian's denoiser ([`exact::Gaussian`](super::exact::Gaussian)). The second is
/// scaled like the spread of what the Gaussian leaves open, and `f` ends in a layer of zeros: the network
/// starts on the Gaussian curve and has only the difference to learn. Hidden layers from the second on add
/// to what they get.
///
/// Give it the standard normal ([`Spectrum::standard`]) to let it learn mean and covariance too.
///
/// # Example: an untrained network is the Gaussian's denoiser
/// ```
/// use itd_prelude::{candle::Device, data, denoiser::{Denoiser, Query}, net::{Mlp, MlpConfig, exact::Gaussian}, rng};
/// use itd_prelude::candle::Tensor;
///
/// let spectrum = data::scg(1000, 0)?.train.spectrum()?;
/// let net = Mlp::new(&MlpConfig::default(), &spectrum, &[2], &Device::Cpu)?;
/// let (z, alpha) = (rng::normal(&[5, 2], &mut rng::seeded(0))?, Tensor::full(1f32, 5, &Device::Cpu)?);
/// let exact = Gaussian::new(&spectrum, &[2])?.denoise(&Query::new(&z, &alpha))?;
/// let gap = (net.denoise(&Query::new(&z, &alpha))? - exact)?.abs()?.max_all()?.to_scalar::<f32>()?;
/// assert!(gap < 1e-5);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mlp {
    shape: Vec<usize>,
    device: Device,
    /// `μ` and `λ`, `[1, dim]`; `U`, `[dim, dim]`.
    mean: Tensor,
    eigenvalues: Tensor,
    eigenvectors: Tensor,
    log_snr: Embedding,
    input: Option<Embedding>,
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    weight: Var,
    bias: Var,
}

impl Mlp {
    /// A network for samples of `shape`, whose values in reading order have that mean and covariance.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when the shape does not fit the spectrum.
    pub fn new(
        config: &MlpConfig,
        spectrum: &Spectrum,
        shape: &[usize],
        device: &Device,
    ) -> Result<Self> {
        config.check()?;
        same_dim(spectrum, shape)?;
        let dim = spectrum.dim();
        let row = |values: &[f64]| -> Result<Tensor> {
            let values = Tensor::new(values, &Device::Cpu)?.to_dtype(DType::F32)?;
            Ok(values.to_device(device)?.unsqueeze(0)?)
        };
        let log_snr = Embedding::of_log_snr(device)?;
        let input = match config.input {
            Input::Plain => None,
            Input::Waves(count) => {
                Some(Embedding::new(count, INPUT_WAVES.0, INPUT_WAVES.1, device)?)
            }
        };
        let waves = input.as_ref().map_or(0, Embedding::size);
        let mut sizes = vec![dim * (1 + waves) + log_snr.size()];
        sizes.extend(vec![config.width; config.layers]);
        let mut rng = rng::seeded(config.seed);
        let hidden = sizes
            .windows(2)
            .map(|pair| Layer::new(pair[0], pair[1], 1.0, &mut rng, device));
        let mut layers = hidden.collect::<Result<Vec<_>>>()?;
        layers.push(Layer::new(config.width, dim, 0.0, &mut rng, device)?);
        Ok(Self {
            shape: shape.to_vec(),
            device: device.clone(),
            mean: row(&spectrum.mean)?,
            eigenvalues: row(&spectrum.eigenvalues)?,
            eigenvectors: spectrum
                .eigenvectors
                .to_dtype(DType::F32)?
                .to_device(device)?,
            log_snr,
            input,
            layers,
        })
    }

    /// `f(q, α)`, `[n, dim]`.
    fn perceptron(&self, tape: &Tape, q: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        let mut parts = vec![q.clone(), self.log_snr.embed(log_snr)?];
        if let Some(input) = &self.input {
            parts.push(input.embed(q)?.flatten_from(1)?);
        }
        let first = Tensor::cat(&parts, D::Minus1)?;
        let last = self.layers.len() - 1;
        let mut h = self.layers[0].apply(tape, &first, Activation::Silu)?;
        for layer in &self.layers[1..last] {
            h = tape.add(&layer.apply(tape, &h, Activation::Silu)?, &h)?;
        }
        self.layers[last].apply(tape, &h, Activation::None)
    }
}

impl Layer {
    /// Normal weights of variance `gain²/from`, biases of 0.
    fn new(from: usize, to: usize, gain: f64, rng: &mut Rng, device: &Device) -> Result<Self> {
        let weight = (rng::normal(&[from, to], rng)? * (gain / (from as f64).sqrt()))?;
        Ok(Self {
            weight: Var::from_tensor(&weight.to_device(device)?)?,
            bias: Var::zeros(to, DType::F32, device)?,
        })
    }

    fn apply(&self, tape: &Tape, x: &Tensor, activation: Activation) -> Result<Tensor> {
        tape.dense(x, (&self.weight, &self.bias), activation)
    }
}

/// `x·u`. candle's own product asks the system for its number of processors each time.
fn rotated(x: &Tensor, u: &Tensor) -> Result<Tensor> {
    let none = Tensor::zeros(u.dim(1)?, x.dtype(), x.device())?;
    dense(x, u, &none, Activation::None)
}

/// What surrounds the network inside, see [`Mlp`].
struct Frame {
    q: Tensor,
    /// The factors of `q` and of the network, `[n, dim]`.
    linear: Tensor,
    room: Tensor,
}

impl Mlp {
    fn frame(&self, z: &Tensor, log_snr: &Tensor) -> Result<Frame> {
        let n = log_snr.elem_count();
        if z.elem_count() != n * self.dim() {
            return Err(Error::Shape {
                what: "the noisy samples",
                got: z.dims().to_vec(),
                need: format!(
                    "[{n}, …] with {} values each, one log-SNR for each",
                    self.dim()
                ),
            });
        }
        let z = z.reshape((n, self.dim()))?;
        let alpha = log_snr.reshape((n, 1))?;
        let signal = (alpha.neg()?.exp()? + 1.0)?.recip()?; // σ(α) [n, 1]
        let noise = (alpha.exp()? + 1.0)?.recip()?; // σ(−α) [n, 1]
        let center = signal.sqrt()?.broadcast_mul(&self.mean)?;
        let power = signal.broadcast_mul(&self.eigenvalues)?; // σ(α)λ [n, dim]
        let spread = power.broadcast_add(&noise)?.sqrt()?.recip()?; // 1/√v
        let q = rotated(&(z - center)?, &self.eigenvectors)?.mul(&spread)?;
        let noise = noise.sqrt()?;
        let linear = spread.broadcast_mul(&noise)?; // √(σ(−α)/v)
        // σ(t) = σ(α)λ/v and σ(−t) = σ(−α)/v
        let room = ((power.sqrt()? * &spread)? * (&linear * 2.0)?)?;
        Ok(Frame { q, linear, room })
    }

    fn estimate(&self, frame: &Frame, missed: &Tensor) -> Result<Tensor> {
        let eps = ((&frame.q * &frame.linear)? + (missed * &frame.room)?)?;
        let whole = [&[missed.dim(0)?], self.shape.as_slice()].concat();
        Ok(rotated(&eps, &self.eigenvectors.t()?)?.reshape(whole)?)
    }
}

impl Denoiser for Mlp {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let frame = self.frame(&query.z, &query.log_snr)?;
        let missed = self.perceptron(&Tape::off(), &frame.q, &query.log_snr)?;
        self.estimate(&frame, &missed)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn device(&self) -> &Device {
        &self.device
    }
}

impl Trainable for Mlp {
    fn vars(&self) -> Vec<Var> {
        let both = |layer: &Layer| [layer.weight.clone(), layer.bias.clone()];
        self.layers.iter().flat_map(both).collect()
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        if !self.device.is_cpu() {
            return by_graph(self, query, grad_out);
        }
        query.check(&self.shape, self.condition())?;
        let Query { z, log_snr, .. } = query;
        let part = |tape: &Tape, first, count| {
            let log_snr = log_snr.narrow(0, first, count)?;
            let frame = self.frame(&z.narrow(0, first, count)?, &log_snr)?;
            let missed = self.perceptron(tape, &frame.q, &log_snr)?;
            let gradient = grad_out(first, &self.estimate(&frame, &missed)?)?.flatten_from(1)?;
            Ok((
                missed,
                (rotated(&gradient, &self.eigenvectors)? * &frame.room)?,
            ))
        };
        by_parts(log_snr.elem_count(), LEAST, &self.vars(), part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused() {
        let spectrum = Spectrum::standard(2).unwrap();
        let new = |config, shape: &[usize]| Mlp::new(&config, &spectrum, shape, &Device::Cpu);
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
        let spectrum = Spectrum::standard(2).unwrap();
        let config = MlpConfig {
            layers: 1,
            input: Input::Waves(4),
            ..Default::default()
        };
        let net = Mlp::new(&config, &spectrum, &[1, 2], &Device::Cpu).unwrap();
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
        let spectrum = Spectrum::standard(3).unwrap();
        let config = MlpConfig {
            width: 16,
            layers: 3,
            input: Input::Waves(4),
            ..Default::default()
        };
        let net = Mlp::new(&config, &spectrum, &[3], &Device::Cpu).unwrap();
        let mut rng = rng::seeded(1);
        for var in net.vars() {
            let noise = (rng::normal(var.dims(), &mut rng).unwrap() * 0.2).unwrap();
            var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
        }
        let n = LEAST + 7; // in two parts
        let z = rng::normal(&[n, 3], &mut rng).unwrap();
        let alpha = rng::normal(&[n], &mut rng).unwrap();
        let slope = |_: usize, eps: &Tensor| Ok((eps * 2.0)?);
        let fast = net.gradients(&Query::new(&z, &alpha), &slope).unwrap();
        let slow = by_graph(&net, &Query::new(&z, &alpha), &slope).unwrap();
        for (fast, slow) in fast.iter().zip(&slow) {
            let (fast, slow) = (fast.as_ref().unwrap(), slow.as_ref().unwrap());
            let most = |t: &Tensor| {
                let most = t.abs().unwrap().max_all().unwrap();
                most.to_scalar::<f32>().unwrap()
            };
            assert!(most(slow) > 1e-3);
            assert!(most(&(fast - slow).unwrap()) < 1e-5 * most(slow).max(1.0));
        }
    }
}
