//! SDRM: a diffusion on the codes of a variational autoencoder, as published, and a control.

use candle_core::{Device, Tensor};
use candle_nn::{Init, VarBuilder};
use rand::Rng as _;

use super::layer::{Adam, Dense};
use super::vae::dropped;
use super::{Having, MultiVae};
use crate::cell::memory::room_for;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::net::{Mlp, MlpConfig};
use crate::params::Network;
use crate::progress::Progress;
use crate::rng;
use crate::sample::{SampleConfig, sample};
use crate::train::{TrainConfig, train};

/// What the diffusion is trained by. With `r = ε̂(z_t, t) − z`, where `z` is the clean code, `z_t` the noisy one and `s` the
/// same network:
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// As in the published code, with `η` the noise of `z_t` and `μ` = 0.1:
    ///
    /// ```text
    /// ½ [ mean((s(z + μη, t) − s(z, t))/μ² − r)² + mean(r − s(z, t))² ] / Var r
    /// ```
    ///
    /// The network is asked about clean codes at time `t`, and nowhere about the noise that it is used for.
    Code,
    /// As in the thesis, Eq. 81, a ratio for each user:
    ///
    /// ```text
    /// ( ‖s(z + μη, t) − s(z, t) − r‖² + ‖s(z, t) − r‖² ) / ‖r‖²
    /// ```
    ///
    /// The step `μ` is not given there; here it is that of the code.
    Thesis,
    /// The control: noise is what is learned, by the information-weighted loss of ITD on standardised codes, on top of the
    /// exact denoiser of a Gaussian. Samples are drawn by its probability-flow ODE in 100 steps of Heun, with the same
    /// distribution as ancestral ones.
    Itd,
}

/// How many steps back a synthetic user makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// All of them: F-SDRM.
    Full,
    /// From 1 to T − 1, for each user drawn anew, from pure noise all the same: M-SDRM.
    Multi,
}

/// How an [`Sdrm`] is made and trained. The usual is what was published for the SVD columns on MovieLens-100k.
#[derive(Debug, Clone, PartialEq)]
pub struct SdrmConfig {
    /// Steps of the diffusion, T.
    pub steps: usize,
    /// Hidden layers between the first and the last; they share their weights.
    pub layers: usize,
    /// Users in a step of training.
    pub batch: usize,
    /// How often each user is seen.
    pub epochs: usize,
    /// The first step of Adam; it falls to 0 in a straight line.
    pub learning_rate: f64,
    /// What the noise of training and of each step back is multiplied by; codes start at `N(0, I)` all the same.
    pub noise: f64,
    /// What is minimised.
    pub loss: Loss,
    /// Whether half of the network's input is dropped when samples are drawn, as it is in the published code, which uses
    /// the functional form.
    pub live_dropout: bool,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for SdrmConfig {
    fn default() -> Self {
        Self {
            steps: 83,
            layers: 2,
            batch: 550,
            epochs: 265,
            learning_rate: 2.1e-5,
            noise: 1.0,
            loss: Loss::Code,
            live_dropout: true,
            seed: 0,
        }
    }
}

/// The step by which codes are moved, `μ`.
const MU: f64 = 0.1;
/// The L2 penalty.
const DECAY: f64 = 1e-4;
/// The first and the last of the betas.
const BETAS: (f64, f64) = (1e-4, 0.02);
/// Steps of the control's sampler.
const STEPS: usize = 100;

impl SdrmConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match self {
            _ if self.steps < 2 => refuse("steps", self.steps.to_string(), "at least 2"),
            _ if self.batch == 0 => refuse("batch", "0".into(), "at least 1"),
            _ if self.epochs == 0 => refuse("epochs", "0".into(), "at least 1"),
            _ if !positive(self.learning_rate) || !positive(self.noise) => {
                let got = format!("{}, {}", self.learning_rate, self.noise);
                refuse("learning_rate or noise", got, "above 0")
            }
            _ => Ok(()),
        }
    }
}

/// A generator of synthetic users: a diffusion of the mean codes of a [`MultiVae`].
///
/// # Source
/// Lilienthal, Mello, Eirinaki, Tiomkin (2024), arXiv:2311.03488; thesis of Mello (2024), Sec. 5.
///
/// # Example: synthetic users of a tiny network
/// ```
/// use itd_prelude::recommender::*;
///
/// let world = World::new(&WorldConfig { users: 80, items: 40, ..WorldConfig::default() })?;
/// let users = world.interactions.having(Relevance::Rated);
/// let small = MultiVaeConfig { hidden: 12, latent: 6, epochs: 5, ..MultiVaeConfig::default() };
/// let vae = MultiVae::train(&users, StopOn::Fresh(&users), &small)?;
/// let config = SdrmConfig { steps: 10, epochs: 3, ..SdrmConfig::default() };
/// let logits = Sdrm::train(&vae, &users, &config)?.sample(&vae, 30, Resolution::Multi, 0)?;
/// let synthetic = binarized(&logits, users.density())?;
/// assert!((synthetic.density() - users.density()).abs() < 0.01);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sdrm {
    model: Model,
    config: SdrmConfig,
    latent: usize,
    /// Of the published losses: the last step's.
    pub last_loss: f64,
}

#[derive(Debug, Clone)]
enum Model {
    Published(Network<Body>),
    /// The denoiser, and mean and standard deviation of each coordinate.
    Itd(Box<Mlp>, Vec<f32>, Vec<f32>),
}

#[derive(Debug, Clone)]
struct Body {
    time: Dense,
    first: (Dense, Tensor),
    /// One layer, applied as often as `layers` says.
    shared: (Dense, Tensor),
    last: Dense,
    layers: usize,
}

impl Body {
    fn new(vb: VarBuilder, latent: usize, config: &SdrmConfig) -> Result<Self> {
        let steps = config.steps;
        let layer = |name: &str, from, to| Dense::uniform(vb.pp(name), from, to);
        let slope = |name: &str| vb.pp(name).get_with_hints(1, "slope", Init::Const(0.25));
        Ok(Self {
            time: layer("time", steps, steps)?,
            first: (layer("first", latent + steps, latent)?, slope("first")?),
            shared: (layer("shared", latent, latent)?, slope("shared")?),
            last: layer("last", latent, latent)?,
            layers: config.layers,
        })
    }

    /// `[n, latent]` and the embeddings of the times, `[n, steps]`.
    fn apply(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let x = self.first.0.apply_to_both(x, &self.time.apply(time)?)?;
        let mut x = prelu(&x, &self.first.1)?;
        for _ in 0..self.layers {
            x = prelu(&self.shared.0.apply(&x)?, &self.shared.1)?;
        }
        Ok(self.last.apply(&x)?.tanh()?)
    }
}

/// `max(x, 0) + slope·min(x, 0)`.
fn prelu(x: &Tensor, slope: &Tensor) -> Result<Tensor> {
    let up = x.relu()?;
    let down = (x - &up)?;
    Ok((up + down.broadcast_mul(slope)?)?)
}

/// Cosines and sines of a time, `[steps]`.
fn embedding(t: usize, steps: usize) -> Vec<f32> {
    let half = steps / 2;
    let angle = |i: usize| t as f64 * (-(10_000f64.ln()) * i as f64 / half as f64).exp();
    let mut values: Vec<f32> = (0..half).map(|i| angle(i).cos() as f32).collect();
    values.extend((0..half).map(|i| angle(i).sin() as f32));
    values.resize(steps, 0.0);
    values
}

fn embeddings(times: &[usize], steps: usize) -> Result<Tensor> {
    let values: Vec<f32> = times.iter().flat_map(|&t| embedding(t, steps)).collect();
    Ok(Tensor::from_vec(
        values,
        (times.len(), steps),
        &Device::Cpu,
    )?)
}

/// `β_t` and `ᾱ_t` for t = 0 … T; `ᾱ₀` is set to 1.
fn schedule(steps: usize) -> (Vec<f64>, Vec<f64>) {
    let beta = |t: usize| BETAS.0 + (BETAS.1 - BETAS.0) * t as f64 / steps as f64;
    let betas: Vec<f64> = (0..=steps).map(beta).collect();
    let mut product = 1.0;
    let mut kept: Vec<f64> = betas
        .iter()
        .map(|beta| {
            product *= 1.0 - beta;
            product
        })
        .collect();
    kept[0] = 1.0;
    (betas, kept)
}

impl Sdrm {
    /// Trains a diffusion on the mean codes of users.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] for users of other items than the autoencoder's,
    /// [`Error::Memory`] when the network does not fit, [`Error::Diverged`], [`Error::Interrupted`].
    pub fn train(vae: &MultiVae, users: &Having, config: &SdrmConfig) -> Result<Self> {
        config.check()?;
        let codes = vae.encode(users)?;
        match config.loss {
            Loss::Itd => Self::train_itd(&codes, config),
            Loss::Code | Loss::Thesis => Self::train_published(&codes, config),
        }
    }

    fn train_published(codes: &Tensor, config: &SdrmConfig) -> Result<Self> {
        let (users, latent) = codes.dims2()?;
        let net = Network::seeded(config.seed, &Device::Cpu, |vb| {
            Body::new(vb.pp("sdrm"), latent, config)
        })?;
        let batch = config.batch.min(users);
        room_for::<f32>("a batch of codes", &[batch, latent, 40])?;
        let mut adam = Adam::new(&net, DECAY)?;
        let (_, kept) = schedule(config.steps);
        let mut rng = rng::stream(config.seed, "training of SDRM");
        let mut bar = Progress::new("SDRM", config.epochs as u64);
        let mut last_loss = f64::NAN;
        for epoch in 0..config.epochs {
            let rate = config.learning_rate * (1.0 - epoch as f64 / config.epochs as f64);
            let order = rng::permutation(users, &mut rng);
            for chosen in order.chunks(config.batch) {
                bar.advance(0)?;
                let n = chosen.len();
                let chosen = Tensor::from_vec(chosen.to_vec(), n, &Device::Cpu)?;
                let z = codes.index_select(&chosen, 0)?;
                let noise = (rng::normal(&[n, latent], &mut rng)? * config.noise)?;
                let times: Vec<usize> =
                    (0..n).map(|_| rng.random_range(1..=config.steps)).collect();
                let column = |of: &dyn Fn(usize) -> f64| -> Result<Tensor> {
                    let values: Vec<f32> = times.iter().map(|&t| of(t) as f32).collect();
                    Ok(Tensor::from_vec(values, (n, 1), &Device::Cpu)?)
                };
                // The noise's factor is 1 − ᾱ, not its root, as in the code.
                let signal = z.broadcast_mul(&column(&|t| kept[t].sqrt())?)?;
                let noisy = (signal + noise.broadcast_mul(&column(&|t| 1.0 - kept[t])?)?)?;
                let moved = (&z + (&noise * MU)?)?;
                let all = dropped(&Tensor::cat(&[&noisy, &z, &moved], 0)?, &mut rng)?;
                let time = embeddings(&times, config.steps)?;
                let time = Tensor::cat(&[&time, &time, &time], 0)?;
                let out = net.tracked.apply(&all, &time)?;
                let part = |i: usize| out.narrow(0, i * n, n);
                let loss = loss(config.loss, (&part(0)? - &z)?, &part(1)?, &part(2)?)?;
                last_loss = adam.step(&loss, rate)?;
            }
            bar.step()?;
        }
        bar.finish();
        Ok(Self {
            model: Model::Published(net),
            config: config.clone(),
            latent,
            last_loss,
        })
    }

    fn train_itd(codes: &Tensor, config: &SdrmConfig) -> Result<Self> {
        let (users, latent) = codes.dims2()?;
        let mean = codes.mean(0)?; // [latent]
        let centred = codes.broadcast_sub(&mean)?;
        let spread = centred.sqr()?.mean(0)?.sqrt()?;
        let spread: Vec<f32> = spread
            .to_vec1::<f32>()?
            .into_iter()
            .map(|s| s.max(1e-6))
            .collect();
        let scale = Tensor::from_vec(spread.clone(), latent, &Device::Cpu)?;
        let data = Dataset::new("codes", centred.broadcast_div(&scale)?)?;
        let size = MlpConfig {
            width: 256,
            layers: 3,
            seed: config.seed,
            ..MlpConfig::default()
        };
        let net = Mlp::new(&size, &data.gaussian()?, &[latent], &Device::Cpu)?;
        let batch = 128.min(users);
        let how = TrainConfig {
            steps: Some(config.epochs.saturating_mul(users.div_ceil(batch))),
            batch,
            learning_rate: 1e-3,
            seed: config.seed,
            ..TrainConfig::default()
        };
        train(&net, &data, &how)?;
        Ok(Self {
            model: Model::Itd(Box::new(net), mean.to_vec1()?, spread),
            config: config.clone(),
            latent,
            last_loss: f64::NAN,
        })
    }

    /// Logits of `n` synthetic users, `[n, items]`, from the codes that the diffusion draws.
    ///
    /// ```text
    /// z ← (z − ε̂·(1 − a_t)/√(1 − ᾱ_t)) / √a_t + √b_t·ε        t = T … 1, without ε in the last step
    /// ```
    ///
    /// # Errors
    /// [`Error::Mismatch`] for an autoencoder with codes of another length; [`Error::Parameter`] for [`Resolution::Multi`] of
    /// the control, which knows no steps that could be left out; [`Error::Memory`] when they do not fit.
    pub fn sample(
        &self,
        vae: &MultiVae,
        n: usize,
        resolution: Resolution,
        seed: u64,
    ) -> Result<Tensor> {
        if vae.latent() != self.latent {
            return Err(Error::Mismatch {
                what: "the diffusion and the autoencoder",
                left: format!("codes of {}", self.latent),
                right: format!("codes of {}", vae.latent()),
                next: "give the autoencoder that it was trained on",
            });
        }
        vae.room_to_decode(n)?;
        vae.decode(&self.codes(n, resolution, seed)?)
    }

    /// The codes of synthetic users, `[n, latent]`.
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub fn codes(&self, n: usize, resolution: Resolution, seed: u64) -> Result<Tensor> {
        if n == 0 {
            return Err(Error::Empty {
                what: "the list of synthetic users",
            });
        }
        room_for::<f32>(
            "the codes",
            &[n, 8 * self.latent + 4 * self.config.steps + 4],
        )?;
        let net = match &self.model {
            Model::Published(net) => net,
            Model::Itd(net, mean, spread) => {
                if resolution == Resolution::Multi {
                    return Err(Error::Parameter {
                        name: "resolution",
                        got: "Multi".into(),
                        need: "Full for Loss::Itd, whose sampler has no steps to leave out",
                    });
                }
                let config = SampleConfig {
                    seed,
                    steps: crate::sample::Steps::even(STEPS),
                    ..SampleConfig::default()
                };
                let x = sample(net.as_ref(), n, &config)?.x;
                let row =
                    |values: &Vec<f32>| Tensor::from_vec(values.clone(), self.latent, &Device::Cpu);
                return Ok(x.broadcast_mul(&row(spread)?)?.broadcast_add(&row(mean)?)?);
            }
        };
        let steps = self.config.steps;
        let (betas, kept) = schedule(steps);
        let mut rng = rng::stream(seed, "codes from SDRM");
        let from: Vec<usize> = (0..n)
            .map(|_| match resolution {
                Resolution::Full => steps,
                Resolution::Multi => rng.random_range(1..steps),
            })
            .collect();
        let mut z = rng::normal(&[n, self.latent], &mut rng)?;
        for t in (1..=steps).rev() {
            let active: Vec<f32> = from
                .iter()
                .map(|&own| f32::from(u8::from(own >= t)))
                .collect();
            if active.iter().all(|one| *one == 0.0) {
                continue;
            }
            let active = Tensor::from_vec(active, (n, 1), &Device::Cpu)?;
            let input = match self.config.live_dropout {
                true => dropped(&z, &mut rng)?,
                false => z.clone(),
            };
            let eps = net.frozen.apply(&input, &embeddings(&vec![t; n], steps)?)?;
            let a = 1.0 - betas[t];
            let mean = (&z - (eps * ((1.0 - a) / (1.0 - kept[t]).sqrt()))?)?;
            let mut next = (mean / a.sqrt())?;
            if t > 1 {
                let noise = rng::normal(&[n, self.latent], &mut rng)?;
                next = (next + (noise * (betas[t].sqrt() * self.config.noise))?)?;
            }
            z = (&z + (next - &z)?.broadcast_mul(&active)?)?;
        }
        Ok(z)
    }
}

/// See [`Loss`]; `r`, `s(z)` and `s(z + μη)` are `[n, latent]`.
fn loss(kind: Loss, r: Tensor, s: &Tensor, moved: &Tensor) -> Result<Tensor> {
    let step = (moved - s)?;
    Ok(match kind {
        Loss::Thesis => {
            let sum = |x: Tensor| x.sqr()?.sum(1);
            let both = (sum((step - &r)?)? + sum((s - &r)?)?)?;
            (both / (sum(r)? + 1e-8)?)?.mean_all()?
        }
        _ => {
            let count = r.elem_count() as f64;
            let first = ((step / (MU * MU))? - &r)?.sqr()?.mean_all()?;
            let second = (&r - s)?.sqr()?.mean_all()?;
            let centred = r.broadcast_sub(&r.mean_all()?.reshape((1, 1))?)?;
            let variance = (centred.sqr()?.sum_all()? / (count - 1.0).max(1.0))?;
            (((first + second)? * 0.5)? / (variance + 1e-8)?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_published_one() {
        let (betas, kept) = schedule(83);
        assert_eq!((betas.len(), kept.len()), (84, 84));
        assert_eq!((betas[0], betas[83], kept[0]), (1e-4, 0.02, 1.0));
        let product: f64 = betas[..=5].iter().map(|beta| 1.0 - beta).product();
        assert!((kept[5] - product).abs() < 1e-15);
        assert_eq!(embedding(7, 5).len(), 5);
        assert_eq!(embedding(7, 5)[4], 0.0);
        assert!((embedding(7, 4)[0] - 7f32.cos()).abs() < 1e-6);
    }

    #[test]
    fn the_losses_are_the_formulas() {
        let row = |values: &[f32]| Tensor::from_vec(values.to_vec(), (2, 2), &Device::Cpu).unwrap();
        let (r, s, m) = (
            [1.0, 2.0, 3.0, 6.0],
            [0.5, 0.5, 1.0, 1.0],
            [0.6, 0.4, 1.0, 1.2],
        );
        let of = |kind| {
            let value = loss(kind, row(&r), &row(&s), &row(&m)).unwrap();
            f64::from(value.to_scalar::<f32>().unwrap())
        };
        let sum = |of: &dyn Fn(usize) -> f64| (0..4).map(|i| of(i).powi(2)).sum::<f64>();
        let (r, s, m) = (r.map(f64::from), s.map(f64::from), m.map(f64::from));
        let variance = sum(&|i| r[i] - 3.0) / 3.0;
        let known = 0.5 * (sum(&|i| (m[i] - s[i]) / 0.01 - r[i]) + sum(&|i| r[i] - s[i])) / 4.0;
        assert!((of(Loss::Code) - known / variance).abs() < 1e-3);
        let user = |u: usize| {
            let own =
                |of: &dyn Fn(usize) -> f64| (2 * u..2 * u + 2).map(|i| of(i).powi(2)).sum::<f64>();
            (own(&|i| m[i] - s[i] - r[i]) + own(&|i| s[i] - r[i])) / own(&|i| r[i])
        };
        assert!((of(Loss::Thesis) - 0.5 * (user(0) + user(1))).abs() < 1e-5);
    }

    #[test]
    fn prelu_keeps_what_is_above_and_scales_what_is_below() {
        let x = Tensor::new(&[[-2f32, 3.0]], &Device::Cpu).unwrap();
        let slope = Tensor::new(&[0.25f32], &Device::Cpu).unwrap();
        assert_eq!(
            prelu(&x, &slope).unwrap().to_vec2::<f32>().unwrap(),
            [[-0.5, 3.0]]
        );
    }
}
