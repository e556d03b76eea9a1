//! The "MLP" of the published tables: an autoencoder of zeros and ones.

use ndarray::{Array1, Array2, Axis};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::Having;
use super::linear::Recommender;
use super::rank::check_items;
use super::slot::{Relu, Slot, Step, mask, relu};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rng;

/// How an [`MlpRecommender`] is trained. The usual is what was published.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpRecommenderConfig {
    /// Numbers that a 0 and a 1 become.
    pub embedding: usize,
    /// Widths of the hidden layers. Published are four, of which the code makes no use of the first.
    pub widths: [usize; 3],
    /// Users in a step.
    pub batch: usize,
    /// The step of Adam.
    pub learning_rate: f64,
    /// How often each user is seen, at most.
    pub epochs: usize,
    /// Training ends after so many epochs without a root mean square error on the last fifth of the users that is better by
    /// 0.001; the network is that of the best.
    pub patience: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for MlpRecommenderConfig {
    fn default() -> Self {
        Self {
            embedding: 8,
            widths: [512, 256, 256],
            batch: 16,
            learning_rate: 1e-3,
            epochs: 200,
            patience: 10,
            seed: 0,
        }
    }
}

/// Smallest gain that counts as one.
const GAIN: f64 = 0.001;

/// An autoencoder of users: each 0 and each 1 of a user is replaced by one of two short vectors, all of them side by
/// side go through three layers with ReLU and dropout of ½, and a logistic layer gives all items. It is not the MLP of neural
/// collaborative filtering.
///
/// # Numerics
/// Only the ones are followed. With vectors `e₀` and `e₁`, weights `W_oj` of a unit and an item, and gradient `g` of the unit,
///
/// ```text
/// Σ_j W_oj·e_{x_j} = Σ_j W_oj·e₀ + Σ_{j: x_j = 1} W_oj·(e₁ − e₀)
/// ∂W_oj = e₀·Σ_b g_b + (e₁ − e₀)·Σ_{b: x_bj = 1} g_b
/// ```
///
/// and the step of Adam is made in the same pass over the weights.
///
/// # Source
/// Lilienthal, Mello, Eirinaki, Tiomkin (2024), arXiv:2311.03488, Table 1, and its code.
///
/// # Example: pairs of items
/// ```
/// use itd_prelude::recommender::*;
///
/// let users = Having::new(6, (0..80u32).map(|i| vec![2 * (i % 3), 2 * (i % 3) + 1]).collect())?;
/// let config = MlpRecommenderConfig { widths: [32, 16, 16], epochs: 60, patience: 60, learning_rate: 0.005, ..Default::default() };
/// let scores = MlpRecommender::train(&users, &config)?.scores(&Having::new(6, vec![vec![2]])?)?;
/// assert!(scores[[0, 3]] > scores[[0, 0]] && scores[[0, 3]] > scores[[0, 5]]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MlpRecommender {
    net: Net,
    /// The epoch of the best error, counted from 1.
    pub best_epoch: usize,
}

#[derive(Debug, Clone)]
struct Net {
    items: usize,
    /// `[2, embedding]`.
    embedding: Slot,
    first: First,
    hidden: [Relu; 2],
    /// `[items, width]` and `[1, items]`.
    out: (Slot, Slot),
}

/// The weights of the first layer: for each unit and item as many as the embedding has.
#[derive(Debug, Clone)]
struct First {
    value: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    bias: Slot,
    units: usize,
}

/// What the first layer makes of a batch.
struct Pass {
    /// After ReLU, `[users, units]`.
    y: Array2<f32>,
}

impl Net {
    fn new(users: usize, items: usize, config: &MlpRecommenderConfig) -> Self {
        let rng = &mut rng::stream(config.seed, "weights of an MLP recommender");
        let [a, b, c] = config.widths;
        let width = config.embedding;
        let embedding = Slot::normal((2, width), (2.0 / users as f64).sqrt(), rng);
        let bound = super::slot::glorot(items * width, a);
        let value = Slot::uniform((a, items * width), bound, rng).value;
        let value = value.into_raw_vec_and_offset().0;
        let zeros = vec![0.0; value.len()];
        Self {
            items,
            embedding,
            first: First {
                mean: zeros.clone(),
                square: zeros,
                value,
                bias: Slot::zeros((1, a)),
                units: a,
            },
            hidden: [Relu::new(a, b, rng), Relu::new(b, c, rng)],
            out: (
                Slot::uniform((items, c), (3.0 / c as f64).sqrt(), rng),
                Slot::zeros((1, items)),
            ),
        }
    }

    fn first(&self, rows: &[&[u32]]) -> Pass {
        let width = self.embedding.value.ncols();
        let zero: Vec<f32> = self.embedding.value.row(0).to_vec();
        let more: Vec<f32> = (&self.embedding.value.row(1) - &self.embedding.value.row(0)).to_vec();
        let units = self.first.value.par_chunks(self.items * width).enumerate();
        let columns: Vec<Vec<f32>> = units
            .map(|(unit, weights)| {
                let mut base = self.first.bias.value[[0, unit]];
                let mut gain = Vec::with_capacity(self.items);
                for weights in weights.chunks_exact(width) {
                    let (mut own, mut of_one) = (0.0, 0.0);
                    for ((w, zero), more) in weights.iter().zip(&zero).zip(&more) {
                        own += w * zero;
                        of_one += w * more;
                    }
                    base += own;
                    gain.push(of_one);
                }
                let of_user = |row: &&[u32]| {
                    let ones: f32 = row.iter().map(|&item| gain[item as usize]).sum();
                    relu(base + ones)
                };
                rows.iter().map(of_user).collect()
            })
            .collect();
        let y = Array2::from_shape_fn((rows.len(), self.first.units), |(i, j)| columns[j][i]);
        Pass { y }
    }

    fn logits(&self, rows: &[&[u32]]) -> Array2<f32> {
        let mut x = self.first(rows).y;
        for layer in &self.hidden {
            x = layer.apply(&x);
        }
        x.dot(&self.out.0.value.t()) + &self.out.1.value
    }

    fn learn(&mut self, rows: &[&[u32]], step: Step, rng: &mut rng::Rng) {
        let pass = self.first(rows);
        let first_mask = mask(pass.y.dim(), rng);
        let x0 = &pass.y * &first_mask;
        let y1 = self.hidden[0].apply(&x0);
        let mask1 = mask(y1.dim(), rng);
        let x1 = &y1 * &mask1;
        let y2 = self.hidden[1].apply(&x1);
        let mask2 = mask(y2.dim(), rng);
        let x2 = &y2 * &mask2;
        let mut slope = x2.dot(&self.out.0.value.t()) + &self.out.1.value;
        slope.mapv_inplace(|logit| 1.0 / (1.0 + (-logit).exp()));
        for (i, row) in rows.iter().enumerate() {
            row.iter()
                .for_each(|&item| slope[[i, item as usize]] -= 1.0);
        }
        slope /= (rows.len() * self.items) as f32;
        self.out.0.grad += &slope.t().dot(&x2);
        self.out
            .1
            .grad
            .row_mut(0)
            .scaled_add(1.0, &slope.sum_axis(Axis(0)));
        let d2 = slope.dot(&self.out.0.value) * &mask2;
        let d1 = self.hidden[1].back(&x1, &y2, d2) * &mask1;
        let mut d0 = self.hidden[0].back(&x0, &y1, d1) * &first_mask;
        d0.zip_mut_with(&pass.y, |d, y| {
            if *y <= 0.0 {
                *d = 0.0;
            }
        });
        self.learn_first(rows, &d0, step);
        self.hidden.iter_mut().for_each(|layer| layer.step(step));
        self.out.0.step(step);
        self.out.1.step(step);
    }

    /// The step of the first layer and of the two vectors, from the gradient by what comes out of it, `[users, units]`.
    fn learn_first(&mut self, rows: &[&[u32]], slope: &Array2<f32>, step: Step) {
        let (items, width) = (self.items, self.embedding.value.ncols());
        let zero: Vec<f32> = self.embedding.value.row(0).to_vec();
        let more: Vec<f32> = (&self.embedding.value.row(1) - &self.embedding.value.row(0)).to_vec();
        let size = items * width;
        let First {
            value,
            mean,
            square,
            bias,
            units,
        } = &mut self.first;
        let columns: Vec<Array1<f32>> = (0..*units)
            .map(|unit| slope.column(unit).to_owned())
            .collect();
        let parts = value
            .par_chunks_mut(size)
            .zip(mean.par_chunks_mut(size))
            .zip(square.par_chunks_mut(size))
            .zip(&columns);
        let by_vectors: Vec<(Vec<f32>, Vec<f32>)> = parts
            .map(|(((value, mean), square), slope)| {
                let all: f32 = slope.sum();
                let mut of_ones = vec![0f32; items];
                for (row, slope) in rows.iter().zip(slope) {
                    row.iter().for_each(|&item| of_ones[item as usize] += slope);
                }
                let (mut by_zero, mut by_one) = (vec![0f32; width], vec![0f32; width]);
                let each = value
                    .chunks_exact_mut(width)
                    .zip(mean.chunks_exact_mut(width))
                    .zip(square.chunks_exact_mut(width))
                    .zip(&of_ones);
                for (((value, mean), square), &of_one) in each {
                    for e in 0..width {
                        by_zero[e] += value[e] * (all - of_one);
                        by_one[e] += value[e] * of_one;
                        let grad = all * zero[e] + of_one * more[e];
                        step.apply(&mut value[e], &mut mean[e], &mut square[e], grad);
                    }
                }
                (by_zero, by_one)
            })
            .collect();
        for (by_zero, by_one) in by_vectors {
            for e in 0..width {
                self.embedding.grad[[0, e]] += by_zero[e];
                self.embedding.grad[[1, e]] += by_one[e];
            }
        }
        bias.grad
            .row_mut(0)
            .scaled_add(1.0, &slope.sum_axis(Axis(0)));
        bias.step(step);
        self.embedding.step(step);
    }

    /// The root mean square error of the probabilities.
    fn error(&self, rows: &[&[u32]]) -> f64 {
        let mut sum = 0.0;
        for rows in rows.chunks(256) {
            let mut gaps = self.logits(rows);
            gaps.mapv_inplace(|logit| 1.0 / (1.0 + (-logit).exp()));
            for (i, row) in rows.iter().enumerate() {
                row.iter().for_each(|&item| gaps[[i, item as usize]] -= 1.0);
            }
            sum += gaps.iter().map(|gap| f64::from(*gap).powi(2)).sum::<f64>();
        }
        (sum / (rows.len() * self.items) as f64).sqrt()
    }
}

impl MlpRecommender {
    /// Trains on users; one without an item is taken as he is. The last fifth of them decides when it ends, in the order in which they are given, as Keras does.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings, no items or fewer than five users, [`Error::Memory`] when the network does not fit, [`Error::Interrupted`].
    pub fn train(users: &Having, config: &MlpRecommenderConfig) -> Result<Self> {
        let sizes = [
            config.embedding,
            config.widths[0],
            config.widths[1],
            config.widths[2],
            config.batch,
            config.epochs,
        ];
        let rate = config.learning_rate;
        let (n, items) = (users.users(), users.items());
        if sizes.contains(&0) || !(rate > 0.0 && rate.is_finite()) || n < 5 || items == 0 {
            return Err(Error::Parameter {
                name: "embedding, widths, batch, epochs, learning_rate, or the numbers of users and items",
                got: format!("{sizes:?}, {rate}, {n}, {items}"),
                need: "above 0, and five users at least",
            });
        }
        let [first, second, third] = config.widths;
        let first_in = [users.items(), config.embedding, first, 8];
        room_for::<f32>("the first layer", &first_in)?;
        room_for::<f32>("the second layer", &[first, second, 8])?;
        room_for::<f32>("the third layer", &[second, third, 8])?;
        room_for::<f32>("the last layer", &[third, users.items(), 8])?;
        let mut net = Net::new(users.users(), users.items(), config);
        let rows: Vec<&[u32]> = users.rows().collect();
        let (train, validation) = rows.split_at((users.users() as f64 * 0.8) as usize);
        let mut order = train.to_vec();
        let mut rng = rng::stream(config.seed, "training of an MLP recommender");
        let mut bar = Progress::new("MLP", config.epochs as u64);
        let mut best: Option<(f64, usize, Net)> = None;
        let (mut number, mut waited) = (0, 0);
        for epoch in 1..=config.epochs {
            order.shuffle(&mut rng);
            for batch in order.chunks(config.batch) {
                number += 1;
                net.learn(batch, Step::new(number, rate, 1e-7), &mut rng);
                bar.advance(0)?;
            }
            let error = net.error(validation);
            if !error.is_finite() {
                return Err(Error::Diverged {
                    step: number,
                    loss: error,
                    gradient: f64::NAN,
                    log_snr: None,
                });
            }
            bar.note(format!("error {error:.4}"));
            bar.step()?;
            if best
                .as_ref()
                .is_none_or(|(before, _, _)| error < before - GAIN)
            {
                (best, waited) = (Some((error, epoch, net.clone())), 0);
            } else {
                waited += 1;
                if waited >= config.patience {
                    break;
                }
            }
        }
        bar.finish();
        let (_, best_epoch, net) = best.ok_or(Error::Empty {
            what: "the list of epochs",
        })?;
        Ok(Self { net, best_epoch })
    }
}

impl Recommender for MlpRecommender {
    fn name(&self) -> String {
        "MLP".into()
    }

    fn scores(&self, shown: &Having) -> Result<Array2<f64>> {
        check_items(self.net.items, shown)?;
        room_for::<[f64; 2]>("the scores", &[shown.users(), shown.items()])?;
        let rows: Vec<&[u32]> = shown.rows().collect();
        Ok(self.net.logits(&rows).mapv(f64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slow twin: the vectors written out, and a dense layer on them.
    #[test]
    fn the_first_layer_is_that_of_the_vectors_side_by_side() {
        let config = MlpRecommenderConfig {
            widths: [5, 4, 3],
            embedding: 3,
            ..MlpRecommenderConfig::default()
        };
        let net = Net::new(10, 7, &config);
        let rows: [&[u32]; 3] = [&[0, 3, 6], &[], &[1]];
        let fast = net.first(&rows).y;
        for (i, row) in rows.iter().enumerate() {
            for unit in 0..5 {
                let mut sum = 0.0;
                for item in 0..7u32 {
                    let has = usize::from(row.contains(&item));
                    for e in 0..3 {
                        let place = (unit * 7 + item as usize) * 3 + e;
                        sum += net.first.value[place] * net.embedding.value[[has, e]];
                    }
                }
                assert!((fast[[i, unit]] - sum.max(0.0)).abs() < 1e-5);
            }
        }
    }

    /// What Adam's first step does is the sign of the gradient: held against differences of a sum.
    #[test]
    fn the_gradient_of_the_first_layer_has_the_right_sign() {
        let config = MlpRecommenderConfig {
            widths: [4, 2, 2],
            embedding: 2,
            ..MlpRecommenderConfig::default()
        };
        let mut net = Net::new(4, 5, &config);
        let rows: [&[u32]; 2] = [&[0, 2], &[2, 4]];
        let slope = Array2::from_shape_fn((2, 4), |(i, j)| (i as f32 - 0.4) * (j as f32 + 1.0));
        let before = net.clone();
        // The sum of slope·(what enters ReLU), by the formula of the twin.
        let sum = |value: &[f32]| -> f64 {
            let mut sum = 0.0;
            for (i, row) in rows.iter().enumerate() {
                for unit in 0..4 {
                    for item in 0..5u32 {
                        let has = usize::from(row.contains(&item));
                        for e in 0..2 {
                            let w = value[(unit * 5 + item as usize) * 2 + e];
                            let x = before.embedding.value[[has, e]];
                            sum += f64::from(slope[[i, unit]] * w * x);
                        }
                    }
                }
            }
            sum
        };
        net.learn_first(&rows, &slope, Step::new(1, 1e-3, 1e-12));
        for place in 0..before.first.value.len() {
            let mut moved = before.first.value.clone();
            moved[place] += 1.0;
            let gradient = sum(&moved) - sum(&before.first.value);
            let change = f64::from(net.first.value[place] - before.first.value[place]);
            if gradient.abs() > 1e-4 {
                assert!(change * gradient < 0.0, "{place}: {change} {gradient}");
            }
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        let users = Having::new(3, vec![vec![0]; 9]).unwrap();
        for config in [
            MlpRecommenderConfig {
                batch: 0,
                ..MlpRecommenderConfig::default()
            },
            MlpRecommenderConfig {
                learning_rate: f64::NAN,
                ..MlpRecommenderConfig::default()
            },
        ] {
            assert!(MlpRecommender::train(&users, &config).is_err());
        }
        let few = Having::new(3, vec![vec![0]; 4]).unwrap();
        assert!(MlpRecommender::train(&few, &MlpRecommenderConfig::default()).is_err());
    }
}
