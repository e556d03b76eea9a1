//! A small classifier of pictures, to be asked what a picture shows.
//!
//! It normalizes over batches, as many published classifiers do. So it has two modes, and what it says of a picture differs
//! between them: see [`Mode`].

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::ops::log_softmax;

use crate::cell::memory::room_for;
use crate::data::{Dataset, not_finite};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::rng::{self, Rng};
use crate::rounds::Rounds;
use crate::train::{Quantity, Task, TrainConfig, Trainer};

/// How much of the running mean and variance a step of training keeps.
const KEPT: f64 = 0.9;
/// What is added to a variance.
const EPS: f64 = 1e-5;
/// Pictures that are classified at once in [`Mode::Evaluation`].
const AT_ONCE: usize = 512;

/// Which parts of a classifier are random or depend on other pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As it should be asked: the mean and the variance of each channel are those of training, and nothing is dropped. Of
    /// each picture alone.
    #[default]
    Evaluation,
    /// As it is while it learns: mean and variance are those of the batch, and a part of the features is dropped by chance,
    /// by this seed. What it says of a picture depends on the pictures beside it. All pictures are one batch.
    Training {
        /// Seed of what is dropped.
        seed: u64,
    },
}

/// The size of a [`Classifier`], and how it learns.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierConfig {
    /// Channels of the convolutions; after each the picture is halved.
    pub channels: Vec<usize>,
    /// Width of the layer before the classes.
    pub hidden: usize,
    /// The share of the hidden features that is dropped in a step.
    pub dropout: f64,
    /// How often each picture is seen.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// The largest step of Adam.
    pub learning_rate: f64,
    /// The decoupled weight decay.
    pub weight_decay: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for ClassifierConfig {
    /// Two convolutions with 16 and 32 channels; for pictures of 8 × 8 pixels and more.
    fn default() -> Self {
        Self {
            channels: vec![16, 32],
            hidden: 64,
            dropout: 0.2,
            epochs: 12,
            batch: 64,
            learning_rate: 3e-3,
            weight_decay: 1e-4,
            seed: 0,
        }
    }
}

impl ClassifierConfig {
    fn check(&self, shape: &[usize]) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let &[_, height, width] = shape else {
            return Err(Error::Shape {
                what: "a picture to be classified",
                got: shape.to_vec(),
                need: "[channels, height, width]".into(),
            });
        };
        let halvings = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        let least = 2usize.checked_pow(halvings);
        let fine = |n: &usize| (1..=4096).contains(n);
        if self.channels.is_empty() || !self.channels.iter().all(fine) {
            let got = format!("{:?}", self.channels);
            return refuse("channels", got, "at least one number, from 1 to 4096");
        }
        if least.is_none_or(|least| height.min(width) < least) {
            let got = format!("{} for pictures of {height} × {width}", self.channels.len());
            return refuse(
                "the number of convolutions",
                got,
                "so few that the picture can be halved after each",
            );
        }
        if !fine(&self.hidden) {
            return refuse("hidden", self.hidden.to_string(), "from 1 to 4096");
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => self.training().check(),
            false => refuse(
                "dropout",
                self.dropout.to_string(),
                "at least 0 and below 1",
            ),
        }
    }

    fn training(&self) -> TrainConfig {
        TrainConfig {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            betas: (0.9, 0.999),
            warmup: 10,
            ema_decay: None,
            seed: self.seed,
            ..TrainConfig::default()
        }
    }
}

/// A convolution, and what normalizes its channels over a batch.
#[derive(Debug, Clone)]
struct Block {
    kernel: Var,
    scale: Var,
    shift: Var,
    mean: Var,
    variance: Var,
}

/// A small convolutional classifier. Made by [`Classifier::fit`].
///
/// Each block is a 3 × 3 convolution, a normalization over the batch, a rectifier and the largest of 2 × 2 pixels. Two
/// layers follow, with features dropped between them.
///
/// # Example: dark and bright pictures
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::classifier::{Classifier, ClassifierConfig, Mode};
///
/// # fn main() -> Result<()> {
/// let y: Vec<u32> = (0..64).map(|i| i % 2).collect();
/// let bright: Vec<f32> = y.iter().map(|&y| y as f32 - 0.5).collect();
/// let bright = Tensor::from_vec(bright, (64, 1, 1, 1), &Device::Cpu)?;
/// let x = (rng::normal(&[64, 1, 4, 4], &mut rng::seeded(0))? * 0.3)?.broadcast_add(&bright)?;
/// let data = Dataset::new("bright", x)?.given(Condition::Class(y.clone()))?;
/// let config = ClassifierConfig { channels: vec![4], hidden: 8, epochs: 30, batch: 16, ..Default::default() };
/// let net = Classifier::fit(&data, 2, &config)?;
/// let right = net.classes(&data.x, Mode::Evaluation)?.iter().zip(&y).filter(|(a, b)| a == b).count();
/// check!(right > 58);
/// check!(net.cross_entropy(&data)?.nats < 0.5 * 2f64.ln());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Classifier {
    shape: Vec<usize>,
    classes: usize,
    dropout: f64,
    blocks: Vec<Block>,
    hidden: (Var, Var),
    out: (Var, Var),
}

impl Classifier {
    /// Trains a classifier on pictures and their classes, of which there are `classes`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings that cannot be, NaN among them, fewer than two classes, or a label that is none of
    /// them; [`Error::Shape`] unless samples are pictures `[channels, height, width]`; [`Error::Missing`] without labels;
    /// [`Error::Interrupted`] when it is stopped.
    pub fn fit(data: &Dataset, classes: usize, config: &ClassifierConfig) -> Result<Self> {
        config.check(data.shape())?;
        let labels = data.labels()?.to_vec();
        let bad = labels.iter().find(|&&label| label as usize >= classes);
        if classes < 2 || bad.is_some() {
            return Err(Error::Parameter {
                name: "classes",
                got: match bad {
                    Some(bad) => format!("{classes}, with a sample of class {bad}, counted from 0"),
                    None => classes.to_string(),
                },
                need: "at least 2, and more than every label",
            });
        }
        let net = Self::new(data.shape(), classes, config)?;
        let learning = Learning {
            net: net.clone(),
            x: data.x.to_dtype(DType::F32)?,
            y: Tensor::new(labels.clone(), &Device::Cpu)?,
        };
        Trainer::new(learning, &config.training())?.run()?;
        Ok(net)
    }

    /// One that has learned nothing.
    fn new(shape: &[usize], classes: usize, config: &ClassifierConfig) -> Result<Self> {
        let mut rng = rng::stream(config.seed, "classifier");
        let mut normal = |shape: &[usize], inputs: usize| -> Result<Var> {
            room_for::<f32>("the weights of the classifier", shape)?;
            let std = (2.0 / inputs as f64).sqrt();
            Ok(Var::from_tensor(&(rng::normal(shape, &mut rng)? * std)?)?)
        };
        let fill = |value: f32, n: usize| -> Result<Var> {
            Ok(Var::from_tensor(&Tensor::full(value, n, &Device::Cpu)?)?)
        };
        let mut from = shape[0];
        let mut blocks = Vec::with_capacity(config.channels.len());
        for &to in &config.channels {
            blocks.push(Block {
                kernel: normal(&[to, from, 3, 3], 9 * from)?,
                scale: fill(1.0, to)?,
                shift: fill(0.0, to)?,
                mean: fill(0.0, to)?,
                variance: fill(1.0, to)?,
            });
            from = to;
        }
        let halved = |n: usize| n >> config.channels.len();
        let features = from * halved(shape[1]) * halved(shape[2]);
        Ok(Self {
            shape: shape.to_vec(),
            classes,
            dropout: config.dropout,
            blocks,
            hidden: (
                normal(&[features, config.hidden], features)?,
                fill(0.0, config.hidden)?,
            ),
            out: (
                normal(&[config.hidden, classes], config.hidden)?,
                fill(0.0, classes)?,
            ),
        })
    }

    /// The number of classes.
    pub fn class_count(&self) -> usize {
        self.classes
    }

    /// `ln p(class | picture)`, `[n, classes]`, on the CPU, of pictures `[n, channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the pictures have another shape than those that it learned; [`Error::Empty`] without pictures;
    /// [`Error::NotFinite`] for a pixel that is not finite.
    pub fn log_probs(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match x.dims().split_first() {
            Some((0, _)) => {
                return Err(Error::Empty {
                    what: "the list of pictures",
                });
            }
            Some((_, rest)) if rest == self.shape => {}
            _ => {
                return Err(Error::Shape {
                    what: "the pictures to be classified",
                    got: x.dims().to_vec(),
                    need: format!("[n, {:?}], as the classifier has learned", self.shape),
                });
            }
        }
        let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        // A rectifier makes 0 of NaN.
        if let Some(got) = not_finite(&x)? {
            return Err(Error::NotFinite {
                what: "a pixel",
                got,
                next: "classify finite pictures only",
            });
        }
        let n = x.dim(0)?;
        let logits = match mode {
            Mode::Training { seed } => {
                // The whole batch goes through at once, since it is normalized together.
                let channels = self.blocks.iter().map(|block| block.kernel.dims()[0]);
                let widest = channels.max().unwrap_or(1);
                let pixels: usize = x.dims()[2..].iter().product();
                room_for::<f32>("the pictures in the network", &[n, widest, pixels, 16])?;
                let mut rng = rng::stream(seed, "classifier dropout");
                self.forward(&x, Some(&mut rng), false)?
            }
            Mode::Evaluation => {
                let mut rounds = Rounds::new("classifying", n.div_ceil(AT_ONCE), 0.0);
                let mut parts = Vec::new();
                for start in (0..n).step_by(AT_ONCE) {
                    let part = x.narrow(0, start, AT_ONCE.min(n - start))?;
                    parts.push(self.forward(&part, None, false)?);
                    rounds.step()?;
                }
                Tensor::cat(&parts, 0)?
            }
        };
        Ok(log_softmax(&logits, 1)?.detach())
    }

    /// The likeliest class of each picture.
    ///
    /// # Errors
    /// As [`Self::log_probs`].
    pub fn classes(&self, x: &Tensor, mode: Mode) -> Result<Vec<u32>> {
        Ok(self.log_probs(x, mode)?.argmax(1)?.to_vec1()?)
    }

    /// `E −ln p(class | picture)` of labelled pictures, in nats, in [`Mode::Evaluation`]. The entropy of the classes minus
    /// this bounds the information between picture and class from below.
    ///
    /// # Errors
    /// [`Error::Missing`] without labels, [`Error::Parameter`] for a label that the classifier has not; as
    /// [`Self::log_probs`].
    pub fn cross_entropy(&self, data: &Dataset) -> Result<Estimate> {
        let rows: Vec<Vec<f32>> = self.log_probs(&data.x, Mode::Evaluation)?.to_vec2()?;
        let of = |(row, &label): (&Vec<f32>, &u32)| match row.get(label as usize) {
            Some(&log_p) => Ok(-f64::from(log_p)),
            None => Err(Error::Parameter {
                name: "a label",
                got: label.to_string(),
                need: "one of the classes that the classifier has learned",
            }),
        };
        let nats = rows
            .iter()
            .zip(data.labels()?)
            .map(of)
            .collect::<Result<_>>()?;
        Ok(Estimate::of_samples(nats, data.digest()?, 0.0))
    }

    /// The mean probability of each class over pictures: what the classifier takes them for.
    ///
    /// # Errors
    /// As [`Self::log_probs`].
    pub fn shares(&self, x: &Tensor, mode: Mode) -> Result<Vec<f64>> {
        let p = self.log_probs(x, mode)?.exp()?;
        Ok(p.mean(0)?.to_dtype(DType::F64)?.to_vec1()?)
    }

    fn vars(&self) -> Vec<Var> {
        let blocks = self.blocks.iter();
        let blocks = blocks.flat_map(|b| [&b.kernel, &b.scale, &b.shift]);
        let ends = [&self.hidden.0, &self.hidden.1, &self.out.0, &self.out.1];
        blocks.chain(ends).cloned().collect()
    }

    /// With `rng` in training: batch statistics, and dropped features. `learn` moves the running statistics.
    fn forward(&self, x: &Tensor, mut rng: Option<&mut Rng>, learn: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for block in &self.blocks {
            x = x.conv2d(&block.kernel, 1, 1, 1, 1)?;
            x = block
                .normalize(&x, rng.is_some(), learn)?
                .relu()?
                .max_pool2d(2)?;
        }
        let dense = |x: &Tensor, (weight, bias): &(Var, Var)| -> Result<Tensor> {
            Ok(x.matmul(weight)?.broadcast_add(bias)?)
        };
        let mut x = dense(&x.flatten_from(1)?, &self.hidden)?.relu()?;
        if let Some(rng) = &mut rng
            && self.dropout > 0.0
        {
            let kept = rng::uniform(x.dims(), *rng)?.ge(self.dropout)?;
            x = (x * (kept.to_dtype(DType::F32)? / (1.0 - self.dropout))?)?;
        }
        dense(&x, &self.out)
    }
}

impl Block {
    fn normalize(&self, x: &Tensor, batch: bool, learn: bool) -> Result<Tensor> {
        let per_channel = |v: &Tensor| v.reshape((1, (), 1, 1));
        let (mean, variance) = match batch {
            true => {
                let mean = x.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?;
                let square = x.broadcast_sub(&mean)?.sqr()?;
                (
                    mean,
                    square.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?,
                )
            }
            false => (per_channel(&self.mean)?, per_channel(&self.variance)?),
        };
        if learn {
            for (own, seen) in [(&self.mean, &mean), (&self.variance, &variance)] {
                let seen = seen.detach().flatten_all()?;
                own.set(&((own.as_tensor() * KEPT)? + (seen * (1.0 - KEPT))?)?)?;
            }
        }
        let x = x
            .broadcast_sub(&mean)?
            .broadcast_div(&(variance + EPS)?.sqrt()?)?;
        let (scale, shift) = (per_channel(&self.scale)?, per_channel(&self.shift)?);
        Ok(x.broadcast_mul(&scale)?.broadcast_add(&shift)?)
    }
}

/// A classifier that learns.
struct Learning {
    net: Classifier,
    x: Tensor,
    y: Tensor,
}

impl Task for Learning {
    fn vars(&self) -> Vec<Var> {
        self.net.vars()
    }

    fn samples(&self) -> usize {
        self.x.dims()[0]
    }

    fn loss(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor> {
        let rows = Tensor::new(rows, &Device::Cpu)?;
        let x = self.x.index_select(&rows, 0)?;
        let logits = self.net.forward(&x, Some(rng), true)?;
        Ok(candle_nn::loss::cross_entropy(
            &logits,
            &self.y.index_select(&rows, 0)?,
        )?)
    }

    fn quantity(&self) -> Quantity {
        Quantity {
            label: "cross-entropy, nats".into(),
            unit: " nats".into(),
            digits: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Condition, digits};

    fn small() -> ClassifierConfig {
        ClassifierConfig {
            epochs: 6,
            ..Default::default()
        }
    }

    #[test]
    fn it_reads_digits_and_says_the_same_alone() {
        let data = digits().unwrap();
        let net = Classifier::fit(&data.train, 10, &small()).unwrap();
        let test = &data.test;
        let found = net.classes(&test.x, Mode::Evaluation).unwrap();
        let right = found
            .iter()
            .zip(test.labels().unwrap())
            .filter(|(a, b)| a == b)
            .count();
        println!(
            "{right} of {}, cross-entropy {}",
            test.len(),
            net.cross_entropy(test).unwrap()
        );
        assert!(right as f64 > 0.94 * test.len() as f64, "{right}");
        // In evaluation a picture is judged alone.
        let one = net
            .log_probs(&test.x.narrow(0, 3, 1).unwrap(), Mode::Evaluation)
            .unwrap();
        let all = net
            .log_probs(&test.x, Mode::Evaluation)
            .unwrap()
            .narrow(0, 3, 1)
            .unwrap();
        let apart = (one - all).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
        // A rectifier would make 0 of NaN, and the classifier a class of it.
        let broken = (&test.x * f64::NAN).unwrap();
        assert!(net.classes(&broken, Mode::Evaluation).is_err());
        // In training it depends on the others, and on what is dropped.
        let of = |n, seed| {
            let x = test.x.narrow(0, 0, n).unwrap();
            let p = net.log_probs(&x, Mode::Training { seed }).unwrap();
            p.get(0).unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(of(20, 0), of(20, 0));
        assert!(of(20, 0) != of(40, 0) && of(20, 0) != of(20, 1));
        let again = Classifier::fit(&data.train, 10, &small()).unwrap();
        assert_eq!(again.classes(&test.x, Mode::Evaluation).unwrap(), found);
        let shares = net.shares(&test.x, Mode::Evaluation).unwrap();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn what_it_cannot_learn_is_refused() {
        let data = digits().unwrap().train.take(40).unwrap();
        let fit =
            |classes, config: &ClassifierConfig| Classifier::fit(&data, classes, config).err();
        let name = |error: Option<Error>| error.unwrap().to_string();
        assert!(name(fit(1, &small())).contains("classes"));
        assert!(name(fit(5, &small())).contains("a sample of class"));
        for bad in [
            ClassifierConfig {
                channels: vec![],
                ..small()
            },
            ClassifierConfig {
                channels: vec![4; 4],
                ..small()
            },
            ClassifierConfig {
                channels: vec![4; 100],
                ..small()
            },
            ClassifierConfig {
                hidden: 0,
                ..small()
            },
            ClassifierConfig {
                dropout: f64::NAN,
                ..small()
            },
            ClassifierConfig {
                dropout: 1.0,
                ..small()
            },
            ClassifierConfig {
                learning_rate: f64::NAN,
                ..small()
            },
            ClassifierConfig {
                batch: 0,
                ..small()
            },
        ] {
            assert!(fit(10, &bad).is_some(), "{bad:?}");
        }
        let flat = Dataset::new("flat", data.flat().unwrap()).unwrap();
        let y = Condition::Class(data.labels().unwrap().to_vec());
        assert!(Classifier::fit(&flat.given(y).unwrap(), 10, &small()).is_err());
        let net = Classifier::new(data.shape(), 10, &small()).unwrap();
        assert!(
            net.classes(&data.flat().unwrap(), Mode::Evaluation)
                .is_err()
        );
        assert!(
            net.classes(&data.x.narrow(0, 0, 0).unwrap(), Mode::Evaluation)
                .is_err()
        );
    }
}
