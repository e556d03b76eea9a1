//! NeuMF: what a user and an item have in common, by a product of factors and by a perceptron.

use ndarray::{Array2, ArrayView1, Axis, s};
use rand::Rng as _;
use rand::seq::SliceRandom;

use super::slot::{Relu, Slot, Step, mask};
use super::{Holdout, Ranking};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rng;

/// A rating, as NeuMF learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Who.
    pub user: u32,
    /// What.
    pub item: u32,
    /// Whether he liked it.
    pub liked: bool,
}

/// How a [`NeuMf`] is trained. The usual is what was published.
#[derive(Debug, Clone, PartialEq)]
pub struct NeuMfConfig {
    /// Factors of the product, and numbers that come out of the perceptron.
    pub factors: usize,
    /// Layers of the perceptron, each half as wide as the one before it.
    pub layers: usize,
    /// Judgements in a step.
    pub batch: usize,
    /// The step of Adam.
    pub learning_rate: f64,
    /// How often each judgement is seen, about.
    pub epochs: usize,
    /// Training ends when so many epochs, all together, were no better than the best before.
    pub patience: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for NeuMfConfig {
    fn default() -> Self {
        Self {
            factors: 8,
            layers: 3,
            batch: 256,
            learning_rate: 1e-3,
            epochs: 20,
            patience: 10,
            seed: 0,
        }
    }
}

/// The network of He and others, trained on judgements, half of each layer's input dropped:
///
/// ```text
/// logit = w·[ p_u ⊙ q_i , perceptron(p'_u, q'_i) ]
/// ```
///
/// After each epoch the judged users are ranked. The published code means to take the network of the best epoch, but by a slip
/// takes that of the first one: both rankings are here.
///
/// # Source
/// He, Liao, Zhang, Nie, Hu, Chua (2017), arXiv:1708.05031, Eq. 11 and 12; settings and training of SDRM's code.
#[derive(Debug, Clone)]
pub struct NeuMf {
    /// How the network of the first epoch ranks: with the slip.
    pub first: Ranking,
    /// How that of the best epoch ranks, which is chosen on the judged users: without the slip.
    pub best: Ranking,
    /// The best epoch, counted from 1.
    pub best_epoch: usize,
    /// How many epochs there were.
    pub epochs: usize,
}

struct Net {
    /// Users and items of the product, then of the perceptron.
    tables: [Slot; 4],
    layers: Vec<Relu>,
    /// `[1, 2·factors]` and `[1, 1]`.
    out: (Slot, Slot),
    factors: usize,
}

impl Net {
    fn new(users: usize, items: usize, config: &NeuMfConfig) -> Self {
        let rng = &mut rng::stream(config.seed, "weights of NeuMF");
        let factors = config.factors;
        let wide = factors << (config.layers - 1);
        let mut table = |rows, width| Slot::normal((rows, width), 0.01, rng);
        let tables = [
            table(users, factors),
            table(items, factors),
            table(users, wide),
            table(items, wide),
        ];
        let layers = (0..config.layers).map(|i| {
            let from = factors << (config.layers - i);
            Relu::new(from, from / 2, rng)
        });
        let layers = layers.collect();
        let bound = (3.0 / (2 * factors) as f64).sqrt();
        Self {
            tables,
            layers,
            out: (
                Slot::uniform((1, 2 * factors), bound, rng),
                Slot::zeros((1, 1)),
            ),
            factors,
        }
    }

    /// Makes a step, after which the gradients are 0.
    fn learn(&mut self, batch: &[Judgement], step: Step, rng: &mut rng::Rng) {
        let n = batch.len();
        let users: Vec<usize> = batch.iter().map(|one| one.user as usize).collect();
        let items: Vec<usize> = batch.iter().map(|one| one.item as usize).collect();
        let rows = |table: &Slot, of: &[usize]| table.value.select(Axis(0), of);
        let [own, of_item] = [rows(&self.tables[0], &users), rows(&self.tables[1], &items)];
        let product = &own * &of_item;
        let wide = self.tables[2].value.ncols();
        let mut x = Array2::zeros((n, 2 * wide));
        x.slice_mut(s![.., ..wide])
            .assign(&rows(&self.tables[2], &users));
        x.slice_mut(s![.., wide..])
            .assign(&rows(&self.tables[3], &items));
        let (mut masks, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &self.layers {
            let mask = mask(x.dim(), rng);
            let input = &x * &mask;
            x = layer.apply(&input);
            masks.push(mask);
            inputs.push(input);
            outputs.push(x.clone());
        }
        let w = self.out.0.value.row(0).to_owned();
        let (w_product, w_deep) = w.view().split_at(Axis(0), self.factors);
        let logits = product.dot(&w_product) + x.dot(&w_deep) + self.out.1.value[[0, 0]];
        let slope: Vec<f32> = logits
            .iter()
            .zip(batch)
            .map(|(logit, one)| (sigmoid(*logit) - f32::from(u8::from(one.liked))) / n as f32)
            .collect();
        let slope = ndarray::Array1::from(slope);
        self.out.1.grad[[0, 0]] += slope.sum();
        let by_w = [product.t().dot(&slope), x.t().dot(&slope)];
        self.out
            .0
            .grad
            .slice_mut(s![0, ..self.factors])
            .assign(&by_w[0]);
        self.out
            .0
            .grad
            .slice_mut(s![0, self.factors..])
            .assign(&by_w[1]);
        let column = slope.view().insert_axis(Axis(1));
        let by_product = column.dot(&w_product.insert_axis(Axis(0)));
        add_rows(&mut self.tables[0].grad, &users, &(&by_product * &of_item));
        add_rows(&mut self.tables[1].grad, &items, &(&by_product * &own));
        let mut dx = column.dot(&w_deep.insert_axis(Axis(0)));
        for (i, layer) in self.layers.iter_mut().enumerate().rev() {
            dx = layer.back(&inputs[i], &outputs[i], dx) * &masks[i];
        }
        add_rows(
            &mut self.tables[2].grad,
            &users,
            &dx.slice(s![.., ..wide]).to_owned(),
        );
        add_rows(
            &mut self.tables[3].grad,
            &items,
            &dx.slice(s![.., wide..]).to_owned(),
        );
        self.tables.iter_mut().for_each(|table| table.step(step));
        self.layers.iter_mut().for_each(|layer| layer.step(step));
        self.out.0.step(step);
        self.out.1.step(step);
    }

    /// The logits of all items for a user.
    fn scores(&self, user: usize) -> Vec<f64> {
        let items = self.tables[1].value.nrows();
        let row = |table: &Slot| table.value.row(user).to_owned();
        let product = &self.tables[1].value * &row(&self.tables[0]);
        let wide = self.tables[2].value.ncols();
        let mut x = Array2::zeros((items, 2 * wide));
        x.slice_mut(s![.., ..wide]).assign(&row(&self.tables[2]));
        x.slice_mut(s![.., wide..]).assign(&self.tables[3].value);
        for layer in &self.layers {
            x = layer.apply(&x);
        }
        let w: ArrayView1<f32> = self.out.0.value.row(0);
        let (w_product, w_deep) = w.split_at(Axis(0), self.factors);
        let logits = product.dot(&w_product) + x.dot(&w_deep);
        logits.iter().map(|logit| f64::from(*logit)).collect()
    }

    fn ranking(&self, first_user: usize, holdout: &Holdout, bar: &mut Progress) -> Result<Ranking> {
        let (users, items) = (holdout.kept.users(), holdout.kept.items());
        let mut scores = Vec::with_capacity(users * items);
        for user in 0..users {
            bar.advance(0)?;
            scores.extend(self.scores(first_user + user));
        }
        let scores = Array2::from_shape_vec((users, items), scores);
        let scores = scores.map_err(|error| Error::Other(error.to_string()))?;
        Ranking::published(&scores, holdout)
    }
}

fn sigmoid(t: f32) -> f32 {
    1.0 / (1.0 + (-t).exp())
}

fn add_rows(onto: &mut Array2<f32>, places: &[usize], rows: &Array2<f32>) {
    for (&place, row) in places.iter().zip(rows.rows()) {
        onto.row_mut(place).scaled_add(1.0, &row);
    }
}

impl NeuMf {
    /// Trains on judgements of users and items that are numbered from 0; those that are judged on begin at `first_user`.
    /// `holdout.kept` are the items that these are not asked about, as they were learned from.
    ///
    /// In each epoch a fifth of the judgements is left out, chosen anew, and as many dislikes as there are likes are added
    /// to the rest by drawing them with replacement.
    ///
    /// # Errors
    /// [`Error::Empty`] without likes or without dislikes; [`Error::Parameter`] for bad settings, or a user or an item beyond
    /// the last; [`Error::Memory`] when the network does not fit; [`Error::Interrupted`].
    ///
    /// # Example: what the first half likes
    /// ```
    /// use itd_prelude::recommender::{Having, Holdout, Judgement, NeuMf, NeuMfConfig};
    ///
    /// // Even users like even items.
    /// let all = (0..40u32).flat_map(|user| (0..12u32).map(move |item| (user, item)));
    /// let judgement = |(user, item): (u32, u32)| Judgement { user, item, liked: (user + item) % 2 == 0 };
    /// let judgements: Vec<Judgement> = all.filter(|(user, item)| user + item > 6).map(judgement).collect();
    /// let holdout = Holdout { kept: Having::new(12, vec![(7..12).collect()])?, held_out: Having::new(12, vec![vec![0, 2, 4, 6]])? };
    /// let config = NeuMfConfig { epochs: 60, learning_rate: 0.02, batch: 32, patience: 60, ..NeuMfConfig::default() };
    /// let found = NeuMf::train(&judgements, (40, 12), 0, &holdout, &config)?;
    /// assert!(found.best.recall_at(3)?[0] > 0.6);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn train(
        judgements: &[Judgement],
        (users, items): (usize, usize),
        first_user: usize,
        holdout: &Holdout,
        config: &NeuMfConfig,
    ) -> Result<Self> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let rate = config.learning_rate;
        let sizes = [config.factors, config.layers, config.batch, config.epochs];
        let inside = |one: &Judgement| (one.user as usize) < users && (one.item as usize) < items;
        match () {
            () if sizes.contains(&0) || config.layers > 8 => {
                let need = "at least 1, and up to 8 layers";
                return refuse("factors, layers, batch, epochs", format!("{sizes:?}"), need);
            }
            () if !(rate > 0.0 && rate.is_finite()) => {
                return refuse("learning_rate", rate.to_string(), "above 0");
            }
            () if !judgements.iter().all(inside) => {
                let need = "below the numbers of users and items";
                return refuse("a judgement", format!("beyond {users} × {items}"), need);
            }
            () if first_user.saturating_add(holdout.kept.users()) > users
                || holdout.kept.items() != items =>
            {
                let need = "among the users, and of the same items";
                return refuse("the judged users", format!("from {first_user}"), need);
            }
            () => {}
        }
        for (liked, what) in [(true, "the list of likes"), (false, "the list of dislikes")] {
            if !judgements.iter().any(|one| one.liked == liked) {
                return Err(Error::Empty { what });
            }
        }
        let wide = config.factors.saturating_mul(1 << config.layers);
        let rows = users.saturating_add(items);
        room_for::<f32>("the tables of users and items", &[rows, wide, 4])?;
        room_for::<f32>("the layers", &[wide, wide, 4])?;
        room_for::<[f64; 2]>("the scores", &[holdout.kept.users(), items])?;
        let mut net = Net::new(users, items, config);
        let mut rng = rng::stream(config.seed, "training of NeuMF");
        let mut order = judgements.to_vec();
        let mut bar = Progress::new("NeuMF", config.epochs as u64);
        let (mut number, mut worse) = (0, 0);
        let mut found: Option<Self> = None;
        for epoch in 1..=config.epochs {
            order.shuffle(&mut rng);
            let learned = order.len() - order.len().div_ceil(5);
            let mut batches = order[..learned.max(1)].to_vec();
            let dislikes: Vec<Judgement> =
                batches.iter().filter(|one| !one.liked).copied().collect();
            let likes = batches.iter().filter(|one| one.liked).count();
            if !dislikes.is_empty() {
                let draw = |_| dislikes[rng.random_range(0..dislikes.len())];
                let more: Vec<Judgement> = (0..likes).map(draw).collect();
                batches.extend(more);
            }
            batches.shuffle(&mut rng);
            for batch in batches.chunks(config.batch) {
                number += 1;
                net.learn(batch, Step::new(number, rate, 1e-8), &mut rng);
                if number % 100 == 0 {
                    bar.advance(0)?;
                }
            }
            let ranking = net.ranking(first_user, holdout, &mut bar)?;
            let recall = |ranking: &Ranking| Ok::<f64, Error>(ranking.scores_at(10)?[0].mean);
            bar.note(format!("Recall@10 {:.3}", recall(&ranking)?));
            bar.step()?;
            found = Some(match found {
                None => Self {
                    first: ranking.clone(),
                    best: ranking,
                    best_epoch: 1,
                    epochs: 1,
                },
                Some(before) if recall(&ranking)? > recall(&before.best)? => Self {
                    best: ranking,
                    best_epoch: epoch,
                    epochs: epoch,
                    ..before
                },
                Some(before) => {
                    worse += 1;
                    Self {
                        epochs: epoch,
                        ..before
                    }
                }
            });
            if worse == config.patience {
                break;
            }
        }
        bar.finish();
        found.ok_or(Error::Empty {
            what: "the list of epochs",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient that is written out against differences of the loss.
    #[test]
    fn a_step_goes_down_the_gradient() {
        let config = NeuMfConfig {
            factors: 2,
            layers: 2,
            ..NeuMfConfig::default()
        };
        let batch: Vec<Judgement> = (0..12u32)
            .map(|i| Judgement {
                user: i % 3,
                item: i % 4,
                liked: i % 5 < 2,
            })
            .collect();
        let loss = |net: &Net| -> f64 {
            let of = |one: &Judgement| {
                let logit = net.scores(one.user as usize)[one.item as usize]
                    + f64::from(net.out.1.value[[0, 0]]);
                let sign = if one.liked { -1.0 } else { 1.0 };
                crate::stats::softplus(sign * logit)
            };
            batch.iter().map(of).sum::<f64>() / batch.len() as f64
        };
        let mut net = Net::new(3, 4, &config);
        let before = loss(&net);
        let mut rng = rng::seeded(0);
        for number in 1..=400 {
            net.learn(&batch, Step::new(number, 0.02, 1e-8), &mut rng);
        }
        let after = loss(&net);
        assert!(after < 0.5 * before, "{before} {after}");
    }

    #[test]
    fn bad_judgements_are_refused() {
        use super::super::Having;
        let holdout = Holdout {
            kept: Having::new(2, vec![vec![0]]).unwrap(),
            held_out: Having::new(2, vec![vec![1]]).unwrap(),
        };
        let one = |item, liked| Judgement {
            user: 0,
            item,
            liked,
        };
        let train = |all: &[Judgement]| {
            NeuMf::train(all, (1, 2), 0, &holdout, &NeuMfConfig::default()).unwrap_err()
        };
        assert!(matches!(train(&[one(0, true)]), Error::Empty { .. }));
        assert!(matches!(train(&[one(2, true)]), Error::Parameter { .. }));
    }
}
