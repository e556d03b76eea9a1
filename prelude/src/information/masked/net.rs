//! A network that guesses any of several variables from any others.

use candle_core::{DType, Device, Tensor, Var};
use rand::Rng as _;

use super::gaussian::{check_seen, check_widths};
use super::{JointDenoiser, Seen, marks};
use crate::cell::memory::room_for;
use crate::data::{Condition, ConditionKind, Dataset};
use crate::denoiser::{Denoiser, GradOut, Query, Trainable};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::net::{Mlp, MlpConfig};
use crate::rng;
use crate::train::{TrainConfig, train};

/// The size of a [`JointNet`], and how often it sees a sample in another way.
#[derive(Debug, Clone, PartialEq)]
pub struct JointNetConfig {
    /// Width of the hidden layers.
    pub width: usize,
    /// Hidden layers.
    pub layers: usize,
    /// Copies of each sample, with different variables hidden or clean.
    pub copies: usize,
    /// Seed of the initial weights and of what is hidden.
    pub seed: u64,
}

impl Default for JointNetConfig {
    fn default() -> Self {
        Self {
            width: 128,
            layers: 3,
            copies: 8,
            seed: 0,
        }
    }
}

/// One perceptron that is told which variables are noisy, which are clean, and the values of the latter. Made by
/// [`JointNet::train`].
#[derive(Debug, Clone)]
pub struct JointNet {
    net: Mlp,
    widths: Vec<usize>,
}

impl JointNet {
    /// Trains a network on samples `[n, D]` of variables with these widths; each should have about unit variance.
    ///
    /// Half of the copies are what total and dual total correlation ask for: all variables noisy; one noisy and the others
    /// hidden; one noisy and the others clean. In the other half each variable is hidden, noisy or clean by chance.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless the widths sum up to `D`; [`Error::Parameter`] for bad settings; as
    /// [`train`](fn@crate::train::train).
    ///
    /// # Example: see [`Masked`](super::Masked)
    pub fn train(
        data: &Dataset,
        widths: &[usize],
        config: &JointNetConfig,
        how: &TrainConfig,
    ) -> Result<Self> {
        let count = widths.len();
        Self::train_on(data, widths, config, how, |copy, rng| {
            pattern(count, copy % 2 == 0, rng)
        })
    }

    /// As [`Self::train`], with what each copy of a sample sees.
    pub(in crate::information) fn train_on(
        data: &Dataset,
        widths: &[usize],
        config: &JointNetConfig,
        how: &TrainConfig,
        sees: impl Fn(usize, &mut rng::Rng) -> Vec<Seen>,
    ) -> Result<Self> {
        let dim = data.dim();
        check_widths(widths, dim)?;
        if config.copies == 0 {
            return Err(Error::Parameter {
                name: "copies",
                got: "0".into(),
                need: "at least 1",
            });
        }
        let told = dim + 2 * widths.len();
        let size = MlpConfig {
            width: config.width,
            layers: config.layers,
            condition: Some(ConditionKind::Vector { dim: told }),
            seed: config.seed,
            ..MlpConfig::default()
        };
        let net = Mlp::new(&size, &Gaussian::standard(dim)?, &[dim], &Device::Cpu)?;
        let net = Self {
            net,
            widths: widths.to_vec(),
        };
        let (n, copies) = (data.len(), config.copies);
        room_for::<f32>("the copies of the samples", &[n, copies, told + dim])?;
        let x: Vec<Vec<f32>> = data.flat()?.to_vec2()?;
        let rng = &mut rng::stream(config.seed, "what is hidden");
        let (mut samples, mut conditions) = (Vec::<f32>::new(), Vec::<f32>::new());
        for row in &x {
            for copy in 0..copies {
                let seen = sees(copy, rng);
                samples.extend_from_slice(row);
                conditions.extend(condition(row, widths, &seen));
            }
        }
        let count = n * copies;
        let samples = Tensor::from_vec(samples, (count, dim), &Device::Cpu)?;
        let conditions = Tensor::from_vec(conditions, (count, told), &Device::Cpu)?;
        let seen = Dataset::new("variables, some hidden", samples)?
            .given(Condition::vectors(&conditions)?)?;
        let how = TrainConfig {
            condition_dropout: 0.0,
            ..how.clone()
        };
        train(&net, &seen, &how)?;
        Ok(net)
    }

    /// 1 for each value of a variable that is seen noisy, of each row of a condition.
    fn mask(&self, query: &Query) -> Result<Tensor> {
        let Some(Condition::Vector(y)) = &query.y else {
            return Err(Error::Missing {
                what: "the network is not told which variables it sees".into(),
                next: "ask it by `JointDenoiser::eps_hat_of`, or train it with `JointNet::train`",
            });
        };
        let (dim, count) = (self.net.dim(), self.widths.len());
        // From flags of variables to those of values: [count, dim].
        let spread: Vec<f32> = (0..count)
            .flat_map(|v| marks(&self.widths, move |w| w == v))
            .map(|mark| mark as f32)
            .collect();
        let spread = Tensor::from_vec(spread, (count, dim), &Device::Cpu)?;
        let flags = y.narrow(1, dim + count, count)?.contiguous()?;
        Ok(flags.to_dtype(DType::F32)?.matmul(&spread)?)
    }

    /// The query with all noisy values that are not seen set to 0.
    fn masked(&self, query: &Query, mask: &Tensor) -> Result<Query> {
        Ok(Query {
            z: (&query.z * mask)?,
            ..query.clone()
        })
    }
}

/// What is seen of each variable.
fn pattern(count: usize, asked_for: bool, rng: &mut rng::Rng) -> Vec<Seen> {
    if asked_for {
        let one = rng.random_range(0..count);
        let rest = [Seen::Noisy, Seen::Hidden, Seen::Clean][rng.random_range(0..3)];
        return (0..count)
            .map(|v| if v == one { Seen::Noisy } else { rest })
            .collect();
    }
    loop {
        let state = |_| [Seen::Noisy, Seen::Hidden, Seen::Clean][rng.random_range(0..3)];
        let seen: Vec<Seen> = (0..count).map(state).collect();
        if seen.contains(&Seen::Noisy) {
            return seen;
        }
    }
}

/// What the network is told: the clean values, 0 elsewhere; which variables are clean; which are noisy.
fn condition(row: &[f32], widths: &[usize], seen: &[Seen]) -> Vec<f32> {
    let clean = marks(widths, |v| seen[v] == Seen::Clean);
    let values = row.iter().zip(clean).map(|(x, mark)| x * mark as f32);
    let flag = |state: Seen| {
        seen.iter()
            .map(move |&own| f32::from(u8::from(own == state)))
    };
    values
        .chain(flag(Seen::Clean))
        .chain(flag(Seen::Noisy))
        .collect()
}

impl Denoiser for JointNet {
    /// A query without a condition sees all variables noisy.
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        if query.y.is_none() {
            let all = vec![Seen::Noisy; self.widths.len()];
            return self.eps_hat_of(&query.z, &query.z.zeros_like()?, &query.log_snr, &all);
        }
        let mask = self.mask(query)?;
        Ok((self.net.eps_hat(&self.masked(query, &mask)?)? * mask)?)
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.net.condition()
    }

    fn batch(&self) -> usize {
        self.net.batch()
    }
}

impl Trainable for JointNet {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn forward(&self, query: &Query) -> Result<Tensor> {
        let mask = self.mask(query)?;
        Ok((self.net.forward(&self.masked(query, &mask)?)? * mask)?)
    }

    fn gradients(&self, query: &Query, grad_out: &GradOut) -> Result<Vec<Option<Tensor>>> {
        let mask = self.mask(query)?;
        let seen = |first: usize, eps: &Tensor| -> Result<Tensor> {
            let mask = mask.narrow(0, first, eps.dim(0)?)?;
            Ok((grad_out(first, &(eps * &mask)?)? * &mask)?)
        };
        self.net.gradients(&self.masked(query, &mask)?, &seen)
    }
}

impl JointDenoiser for JointNet {
    fn widths(&self) -> &[usize] {
        &self.widths
    }

    fn eps_hat_of(
        &self,
        z: &Tensor,
        x: &Tensor,
        log_snr: &Tensor,
        seen: &[Seen],
    ) -> Result<Tensor> {
        check_seen(&self.widths, seen)?;
        let n = z.dim(0)?;
        let clean = marks(&self.widths, |v| seen[v] == Seen::Clean);
        let clean: Vec<f32> = clean.into_iter().map(|mark| mark as f32).collect();
        let clean = Tensor::new(clean, &Device::Cpu)?.unsqueeze(0)?;
        let flag = |state: Seen| -> Result<Tensor> {
            let flags: Vec<f32> = seen
                .iter()
                .map(|&own| f32::from(u8::from(own == state)))
                .collect();
            let count = flags.len();
            Ok(Tensor::new(flags, &Device::Cpu)?
                .unsqueeze(0)?
                .broadcast_as((n, count))?
                .contiguous()?)
        };
        let values = x.to_dtype(DType::F32)?.broadcast_mul(&clean)?;
        let told = Tensor::cat(&[values, flag(Seen::Clean)?, flag(Seen::Noisy)?], 1)?;
        let query = Query::new(z, log_snr).given(Condition::vectors(&told)?);
        self.denoise(&query)
    }
}
