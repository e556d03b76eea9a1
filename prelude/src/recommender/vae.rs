//! A variational autoencoder with a multinomial likelihood.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use ndarray::Array2;
use rand::RngCore as _;

use super::layer::{Adam, Dense, binary, half_mask, restore, saved};
use super::linear::Recommender;
use super::rank::{Ranking, RecallConvention, check_items};
use super::{Having, Holdout};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::params::Network;
use crate::progress::Progress;
use crate::{rng, stats};

/// How a [`MultiVae`] is made and trained. The usual is what was published for SDRM's SVD columns on MovieLens-100k.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiVaeConfig {
    /// Width of the hidden layer, of both the encoder and the decoder.
    pub hidden: usize,
    /// Numbers in a code.
    pub latent: usize,
    /// Users in a step.
    pub batch: usize,
    /// The step of Adam.
    pub learning_rate: f64,
    /// How often each user is seen, at most.
    pub epochs: usize,
    /// Training ends after more epochs than this without a better Recall@10; the network is that of the best.
    pub patience: usize,
    /// The largest weight of the divergence from the prior.
    pub kl_cap: f64,
    /// The weight after `i` steps is `i/kl_steps`, up to the cap.
    pub kl_steps: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for MultiVaeConfig {
    fn default() -> Self {
        Self {
            hidden: 930,
            latent: 830,
            batch: 780,
            learning_rate: 6e-4,
            epochs: 500,
            patience: 20,
            kl_cap: 0.2,
            kl_steps: 20_000.0,
            seed: 0,
        }
    }
}

impl MultiVaeConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String| {
            let need = "at least 1";
            Err(Error::Parameter { name, got, need })
        };
        let rate = |value: f64| value > 0.0 && value.is_finite();
        match self {
            _ if self.hidden == 0 => refuse("hidden", "0".into()),
            _ if self.latent == 0 => refuse("latent", "0".into()),
            _ if self.batch == 0 => refuse("batch", "0".into()),
            _ if self.epochs == 0 => refuse("epochs", "0".into()),
            _ if !rate(self.learning_rate) || !rate(self.kl_steps) || !(self.kl_cap >= 0.0) => {
                Err(Error::Parameter {
                    name: "learning_rate, kl_steps or kl_cap",
                    got: format!("{}, {}, {}", self.learning_rate, self.kl_steps, self.kl_cap),
                    need: "above 0, above 0, and at least 0",
                })
            }
            _ => Ok(()),
        }
    }
}

/// Which users end the training.
#[derive(Debug, Clone, Copy)]
pub enum StopOn<'a> {
    /// A fifth of these users' items, drawn anew after each epoch. As published these are the users that are judged on
    /// afterwards, with items that are held out then: a leak.
    Fresh(&'a Having),
    /// What is held out of these users, who should be others than those that are judged on.
    Holdout(&'a Holdout),
}

/// The autoencoder "MultiVAE++":
///
/// ```text
/// x → x/‖x‖ → dropout ½ → dense, tanh → μ, ln σ²        z = μ + σ·ε        z → dense, tanh → dense → softmax
/// loss = −Σ x ln softmax + β·KL(N(μ, σ²) ‖ N(0, I)),        β = min(0.2, step/20,000)
/// ```
///
/// # Source
/// Liang, Krishnan, Hoffman, Jebara (2018), arXiv:1802.05814, Eq. 7 and 11, with the settings and the ends of training of SDRM's
/// code.
///
/// # Example: it learns which items go together
/// ```
/// use itd_prelude::recommender::*;
///
/// // Two kinds of users: the first have items of 0 to 4, the second those of 5 to 9.
/// let row = |i: u32| vec![i % 5, (i + 1) % 5, (i + 2) % 5].into_iter().map(|item| item + 5 * (i % 2)).collect();
/// let users = Having::new(10, (0..60).map(row).collect())?;
/// let holdout = Holdout::random(&users, 0.2, 0)?;
/// let config = MultiVaeConfig { hidden: 16, latent: 4, epochs: 100, learning_rate: 0.01, ..MultiVaeConfig::default() };
/// let net = MultiVae::train(&users, StopOn::Holdout(&holdout), &config)?;
/// let scores = net.scores(&Having::new(10, vec![vec![0, 1]])?)?;
/// assert!(scores[[0, 2]] > scores[[0, 7]]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiVae {
    net: Network<Body>,
    config: MultiVaeConfig,
    items: usize,
    /// The epoch of the best Recall@10, counted from 1.
    pub best_epoch: usize,
    /// The weight of the divergence in the last step.
    pub last_kl_weight: f64,
}

#[derive(Debug, Clone)]
struct Body {
    encoder: [Dense; 2],
    decoder: [Dense; 2],
}

/// Standard deviation of fresh biases.
const BIAS: f64 = 0.001;

impl Body {
    fn new(vb: VarBuilder, items: usize, config: &MultiVaeConfig) -> Result<Self> {
        let layer = |name: &str, from, to| Dense::xavier(vb.pp(name), from, to, BIAS);
        let (hidden, latent) = (config.hidden, config.latent);
        Ok(Self {
            encoder: [
                layer("encoder.0", items, hidden)?,
                layer("encoder.1", hidden, 2 * latent)?,
            ],
            decoder: [
                layer("decoder.0", latent, hidden)?,
                layer("decoder.1", hidden, items)?,
            ],
        })
    }

    /// Means and logarithms of variances.
    fn encode(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let both = self.encoder[1].apply(&self.encoder[0].apply(x)?.tanh()?)?;
        let latent = both.dim(1)? / 2;
        let part = |from| both.narrow(1, from, latent)?.contiguous();
        Ok((part(0)?, part(latent)?))
    }

    fn decode(&self, z: &Tensor) -> Result<Tensor> {
        self.decoder[1].apply(&self.decoder[0].apply(z)?.tanh()?)
    }
}

/// `−Σ x ln softmax(logits)`, in the mean over users.
fn multinomial(logits: &Tensor, x: &Tensor) -> Result<Tensor> {
    let users = logits.dim(0)? as f64;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?; // [n, 1]
    // Σ x (a − ln Σe^a) = Σ x·a − Σx · ln Σe^a
    let own = (x * &shifted)?.sum_all()?;
    let rest = (x.sum_keepdim(D::Minus1)? * log_sum)?.sum_all()?;
    Ok(((rest - own)? / users)?)
}

/// `KL(N(μ, σ²) ‖ N(0, I))`, in the mean over users.
fn divergence(mean: &Tensor, log_var: &Tensor) -> Result<Tensor> {
    let users = mean.dim(0)? as f64;
    let terms = ((mean.sqr()? + log_var.exp()?)? - log_var)?;
    Ok(((terms - 1.0)?.sum_all()? * (0.5 / users))?)
}

impl MultiVae {
    /// Trains on users.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, [`Error::Missing`] for a user without an item, [`Error::Mismatch`] when the
    /// stopping users have other items, [`Error::Memory`] when the network does not fit, [`Error::Diverged`],
    /// [`Error::Interrupted`].
    pub fn train(users: &Having, stop: StopOn, config: &MultiVaeConfig) -> Result<Self> {
        config.check()?;
        users.check_none_empty("the training users")?;
        match stop {
            StopOn::Fresh(judged) => {
                check_items(users.items(), judged)?;
                // Whoever has too few items for a holdout has them in each epoch.
                Holdout::drawn(judged, 0.2, &mut rng::stream(config.seed, "a trial"))?;
            }
            StopOn::Holdout(holdout) => {
                check_items(users.items(), &holdout.kept)?;
                check_items(users.items(), &holdout.held_out)?;
                if holdout.kept.users() != holdout.held_out.users() {
                    return Err(Error::Mismatch {
                        what: "the two parts of a holdout",
                        left: format!("{} users with kept items", holdout.kept.users()),
                        right: format!("{} with items held out", holdout.held_out.users()),
                        next: "give both parts of the same users",
                    });
                }
            }
        }
        let items = users.items();
        let batch = config.batch.min(users.users());
        room_for::<f32>("a batch of users", &[batch, items + config.hidden, 8])?;
        let net = Network::seeded(config.seed, &Device::Cpu, |vb| {
            Body::new(vb.pp("vae"), items, config)
        })?;
        let mut own = Self {
            net,
            config: config.clone(),
            items,
            best_epoch: 0,
            last_kl_weight: 0.0,
        };
        own.fit(users, stop)?;
        Ok(own)
    }

    fn fit(&mut self, users: &Having, stop: StopOn) -> Result<()> {
        let config = self.config.clone();
        let mut rng = rng::stream(config.seed, "training of a VAE");
        let mut split = rng::stream(config.seed, "users that end the training");
        let mut adam = Adam::new(&self.net, 0.0)?;
        let mut bar = Progress::new("MultiVAE++", config.epochs as u64);
        let (mut best, mut kept, mut waited, mut steps) = (f64::NEG_INFINITY, None, 0, 0usize);
        for epoch in 1..=config.epochs {
            let order = rng::permutation(users.users(), &mut rng);
            for chosen in order.chunks(config.batch) {
                bar.advance(0)?;
                let chosen: Vec<usize> = chosen.iter().map(|user| *user as usize).collect();
                let x = binary(users, &chosen)?;
                let input = normalized(users, &chosen, Some(&mut rng))?;
                let (mean, log_var) = self.net.tracked.encode(&input)?;
                let eps = rng::normal(mean.dims(), &mut rng)?;
                let z = (&mean + ((&log_var * 0.5)?.exp()? * eps)?)?;
                let logits = self.net.tracked.decode(&z)?;
                self.last_kl_weight = config.kl_cap.min(steps as f64 / config.kl_steps);
                let penalty = (divergence(&mean, &log_var)? * self.last_kl_weight)?;
                adam.step(
                    &(multinomial(&logits, &x)? + penalty)?,
                    config.learning_rate,
                )?;
                steps += 1;
            }
            let recall = match stop {
                StopOn::Fresh(judged) => self.recall(&Holdout::drawn(judged, 0.2, &mut split)?)?,
                StopOn::Holdout(holdout) => self.recall(holdout)?,
            };
            bar.note(format!("Recall@10 {recall:.3}"));
            bar.step()?;
            if recall > best {
                (best, waited, self.best_epoch) = (recall, 0, epoch);
                kept = Some(saved(&self.net)?);
            } else {
                waited += 1;
                if waited > config.patience {
                    break;
                }
            }
        }
        bar.finish();
        match kept {
            Some(kept) => restore(&self.net, &kept),
            None => Ok(()),
        }
    }

    fn recall(&self, holdout: &Holdout) -> Result<f64> {
        let scores = self.scores(&holdout.kept)?;
        let ranking = Ranking::of(&scores, holdout, &[10], RecallConvention::default())?;
        Ok(stats::mean(&ranking.recall[0]))
    }

    /// Numbers in a code.
    pub fn latent(&self) -> usize {
        self.config.latent
    }

    fn each(&self, users: &Having, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        check_items(self.items, users)?;
        let all: Vec<usize> = (0..users.users()).collect();
        let parts = all.chunks(512).map(|chosen| {
            let input = normalized(users, chosen, None::<&mut rng::Rng>)?;
            of(&input)
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        match parts.is_empty() {
            true => Err(Error::Empty {
                what: "the list of users",
            }),
            false => Ok(Tensor::cat(&parts, 0)?),
        }
    }

    /// The mean code of each user, `[users, latent]`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for users of other items, [`Error::Empty`] for none.
    pub fn encode(&self, users: &Having) -> Result<Tensor> {
        self.each(users, |x| Ok(self.net.frozen.encode(x)?.0))
    }

    /// Logits of codes, `[n, latent]`: `[n, items]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for codes of another length; [`Error::Memory`] when the logits do not fit.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        match codes.dims() {
            [n, latent] if *latent == self.config.latent => {
                self.room_to_decode(*n)?;
                self.net.frozen.decode(&codes.to_dtype(DType::F32)?)
            }
            other => Err(Error::Shape {
                what: "the codes",
                got: other.to_vec(),
                need: format!("[n, {}]", self.config.latent),
            }),
        }
    }

    /// Whether there is room for the logits of so many codes.
    pub(super) fn room_to_decode(&self, n: usize) -> Result<()> {
        let each = 2 * (self.items + self.config.hidden);
        room_for::<f32>("the logits", &[n, each]).map(drop)
    }

    /// Logits of `n` users that are drawn from the prior, `[n, items]`.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Tensor> {
        self.room_to_decode(n)?;
        let mut rng = rng::stream(seed, "codes from the prior");
        self.decode(&rng::normal(&[n, self.config.latent], &mut rng)?)
    }

    /// How far all codes together are from the prior that samples are drawn from: with mean `m_j` and variance `v_j` of
    /// coordinate `j`, over users and the encoder's own noise,
    ///
    /// ```text
    /// ½ Σ_j (m_j² + v_j − 1 − ln v_j)
    /// ```
    ///
    /// nats: `KL(N(m, diag v) ‖ N(0, I))`. With the weight of the divergence that this training reaches it is far from 0,
    /// and a model of the codes, as a diffusion, has something to learn.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn aggregate_kl(&self, users: &Having) -> Result<f64> {
        let means = self.encode(users)?;
        let spread = self.each(users, |x| Ok(self.net.frozen.encode(x)?.1.exp()?))?;
        let (means, spread) = (means.to_vec2::<f32>()?, spread.to_vec2::<f32>()?);
        let column = |rows: &[Vec<f32>], j: usize| -> Vec<f64> {
            rows.iter().map(|row| f64::from(row[j])).collect()
        };
        let term = |j: usize| {
            let own = column(&means, j);
            let m = stats::mean(&own);
            let centred: Vec<f64> = own.iter().map(|x| (x - m).powi(2)).collect();
            let v = stats::mean(&centred) + stats::mean(&column(&spread, j));
            0.5 * (m * m + v - 1.0 - v.ln())
        };
        Ok((0..self.config.latent).map(term).sum())
    }
}

/// `x/‖x‖` of users, with dropout of ½ where there is a generator.
fn normalized(users: &Having, chosen: &[usize], rng: Option<&mut rng::Rng>) -> Result<Tensor> {
    let items = users.items();
    let mut values = vec![0f32; chosen.len() * items];
    let mut rng = rng;
    for (row, &user) in values.chunks_exact_mut(items).zip(chosen) {
        let own = users.row(user);
        let value = 1.0 / (own.len().max(1) as f32).sqrt();
        let (mut bits, mut left) = (0, 0);
        for &item in own {
            row[item as usize] = match &mut rng {
                None => value,
                Some(rng) => {
                    if left == 0 {
                        (bits, left) = (rng.next_u64(), 64);
                    }
                    (bits, left) = (bits >> 1, left - 1);
                    if bits & 1 == 1 { 2.0 * value } else { 0.0 }
                }
            };
        }
    }
    Ok(Tensor::from_vec(
        values,
        (chosen.len(), items),
        &Device::Cpu,
    )?)
}

impl Recommender for MultiVae {
    fn name(&self) -> String {
        "MultiVAE++".into()
    }

    fn scores(&self, shown: &Having) -> Result<Array2<f64>> {
        room_for::<[f64; 2]>("the scores", &[shown.users(), self.items])?;
        let logits = self.each(shown, |x| {
            let body = &self.net.frozen;
            body.decode(&body.encode(x)?.0)
        })?;
        array(&logits)
    }
}

/// A tensor as an array.
pub(super) fn array(of: &Tensor) -> Result<Array2<f64>> {
    let dim = of.dims2()?;
    let values: Vec<f32> = of.flatten_all()?.to_vec1()?;
    let value = |(i, j): (usize, usize)| f64::from(values[i * dim.1 + j]);
    Ok(Array2::from_shape_fn(dim, value))
}

/// The logits of synthetic users as zeros and ones, so that `density` of all are ones: those of at least the quantile of
/// `1 − density` of all logits, interpolated as numpy does.
///
/// # Errors
/// [`Error::Parameter`] unless the density is between 0 and 1; [`Error::Shape`] unless the logits are `[users, items]`;
/// [`Error::NotFinite`] for logits that are none.
///
/// # Example
/// ```
/// use itd_prelude::candle::{Device, Tensor};
/// use itd_prelude::recommender::binarized;
///
/// let logits = Tensor::new(&[[0.1f32, 0.9], [0.5, 0.3]], &Device::Cpu)?;
/// let users = binarized(&logits, 0.5)?;
/// assert_eq!((users.row(0), users.row(1)), (&[1u32][..], &[0u32][..]));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn binarized(logits: &Tensor, density: f64) -> Result<Having> {
    if !(density > 0.0 && density < 1.0) {
        return Err(Error::Parameter {
            name: "density",
            got: density.to_string(),
            need: "between 0 and 1",
        });
    }
    let &[users, items] = logits.dims() else {
        return Err(Error::Shape {
            what: "the logits",
            got: logits.dims().to_vec(),
            need: "[users, items]".into(),
        });
    };
    let values: Vec<f32> = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    if values.is_empty() {
        return Err(Error::Empty {
            what: "the matrix of logits",
        });
    }
    if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: "a logit",
            got: f64::from(*bad),
            next: "look at the generator that gave it",
        });
    }
    let mut sorted = values.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let place = (1.0 - density) * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    let threshold = f64::from(sorted[low]) * (1.0 - part) + f64::from(sorted[high]) * part;
    let row = |user: usize| {
        let own = &values[user * items..(user + 1) * items];
        let above = |(_, value): &(u32, &f32)| f64::from(**value) >= threshold;
        (0u32..)
            .zip(own)
            .filter(above)
            .map(|(item, _)| item)
            .collect()
    };
    Having::new(items, (0..users).map(row).collect())
}

/// See [`half_mask`]; here so that the two networks drop alike.
pub(super) fn dropped(x: &Tensor, rng: &mut rng::Rng) -> Result<Tensor> {
    Ok((x * half_mask(x.dims2()?, rng)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_formula() {
        let logits = Tensor::new(&[[1f32, 2.0, 3.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let x = Tensor::new(&[[1f32, 0.0, 1.0], [0.0, 1.0, 0.0]], &Device::Cpu).unwrap();
        let found = multinomial(&logits, &x)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let sum = (1f64.exp() + 2f64.exp() + 3f64.exp()).ln();
        let known = 0.5 * (2.0 * sum - 4.0 + 3f64.ln());
        assert!((f64::from(found) - known).abs() < 1e-6);
        let mean = Tensor::new(&[[1f32, 0.0]], &Device::Cpu).unwrap();
        let log_var = Tensor::new(&[[0f32, 2.0]], &Device::Cpu).unwrap();
        let found = divergence(&mean, &log_var)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let known = 0.5 * (1.0 + 2f64.exp() - 1.0 - 2.0);
        assert!((f64::from(found) - known).abs() < 1e-5);
    }

    #[test]
    fn half_of_the_items_are_dropped_and_the_mean_stays() {
        let users = Having::new(400, vec![(0..400).collect(); 10]).unwrap();
        let all: Vec<usize> = (0..10).collect();
        let mut rng = rng::seeded(0);
        let kept = normalized(&users, &all, Some(&mut rng)).unwrap();
        let values: Vec<f32> = kept.flatten_all().unwrap().to_vec1().unwrap();
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        assert!(
            (zeros as f64 - 2000.0).abs() < 4.0 * 1000f64.sqrt(),
            "{zeros}"
        );
        assert!(
            values
                .iter()
                .all(|value| *value == 0.0 || (*value - 0.1).abs() < 1e-6)
        );
        let mask = half_mask((100, 70), &mut rng).unwrap();
        let mean = mask.mean_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((mean - 1.0).abs() < 4.0 / 7000f32.sqrt());
    }

    #[test]
    fn bad_settings_and_empty_users_are_refused() {
        let users = Having::new(3, vec![vec![0, 1], vec![]]).unwrap();
        let one = Having::new(3, vec![vec![0, 1]]).unwrap();
        let train = |users: &Having, config: &MultiVaeConfig| {
            MultiVae::train(users, StopOn::Fresh(&one), config)
                .unwrap_err()
                .to_string()
        };
        let error = train(&users, &MultiVaeConfig::default());
        assert!(error.contains("user 1 of the training users"), "{error}");
        let error = train(
            &one,
            &MultiVaeConfig {
                latent: 0,
                ..MultiVaeConfig::default()
            },
        );
        assert!(error.contains("latent"), "{error}");
        let bad = MultiVaeConfig {
            learning_rate: f64::NAN,
            ..MultiVaeConfig::default()
        };
        assert!(train(&one, &bad).contains("learning_rate"));
    }
}
