//! Users and items whose best ranking is known.

use ndarray::Array2;
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::rank::{best, check_items, check_scores};
use super::{Holdout, Interactions};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rng;
use crate::rounds::Rounds;

/// How often the interval is halved that holds the constant of the density: to a millionth.
const HALVINGS: usize = 30;

/// How [`World`] is made.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldConfig {
    /// How many users.
    pub users: usize,
    /// How many items.
    pub items: usize,
    /// Dimensions of taste.
    pub factors: usize,
    /// Standard deviation of what taste adds to the log-odds.
    pub taste: f64,
    /// Exponent of the items' popularity, `1/rank^zipf`.
    pub zipf: f64,
    /// Share of all pairs that are rated, about.
    pub density: f64,
    /// Standard deviation of the logarithm of the users' activity.
    pub activity: f64,
    /// The share of ratings that are likes.
    pub liked: f64,
    /// Seed of everything.
    pub seed: u64,
}

impl Default for WorldConfig {
    /// As large and as sparse as MovieLens-100k.
    fn default() -> Self {
        Self {
            users: 900,
            items: 1000,
            factors: 10,
            taste: 1.2,
            zipf: 0.9,
            density: 0.1,
            activity: 0.6,
            liked: 0.57,
            seed: 0,
        }
    }
}

/// A population with a low-rank logistic law: user `u` rates item `i` with probability
///
/// ```text
/// p_ui = σ(a_u + c_i + f_u·g_i)
/// ```
///
/// independently of all else, with normal `f` and `g`, log-normal activity and Zipf's popularity. So the best ranking of
/// what a user has not been shown is that by `p_ui`, and what a recommender loses against it can be computed without
/// noise.
#[derive(Debug, Clone)]
pub struct World {
    /// Who rated what.
    pub interactions: Interactions,
    /// `p_ui`, `[users, items]`.
    pub probability: Array2<f64>,
}

impl World {
    /// Draws a population. Rows with fewer than two likes are drawn again: hardly one at the usual density, but many of a
    /// sparse population, whose `probability` is the law before that choice.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings out of their range, or a density that they do not reach; [`Error::Memory`] when it does not fit;
    /// [`Error::Interrupted`] when it is stopped.
    ///
    /// # Example: nothing beats the truth
    /// ```
    /// use itd_prelude::recommender::{Holdout, Relevance, World, WorldConfig, popularity, Recommender};
    ///
    /// let world = World::new(&WorldConfig { users: 200, items: 150, ..WorldConfig::default() })?;
    /// let users = world.interactions.having(Relevance::Rated);
    /// let holdout = Holdout::random(&users, 0.2, 0)?;
    /// assert_eq!(world.regret(&world.probability, &holdout, 0.2, 10)?, 0.0);
    /// let popular = popularity(&users)?.scores(&holdout.kept)?;
    /// assert!(world.regret(&popular, &holdout, 0.2, 10)? > 0.0);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new(config: &WorldConfig) -> Result<Self> {
        config.check()?;
        let (n, m) = (config.users, config.items);
        room_for::<[f64; 2]>("the probabilities", &[n, m])?;
        room_for::<f64>("the factors", &[n.saturating_add(m), config.factors])?;
        let mut rng = rng::stream(config.seed, "a population");
        let scale = (config.taste / (config.factors as f64).sqrt()).sqrt();
        let mut normal = |rows: usize| {
            let draw = || scale * rng.sample::<f64, _>(StandardNormal);
            Array2::from_shape_simple_fn((rows, config.factors), draw)
        };
        let (f, g) = (normal(n), normal(m));
        let mut draw = || rng.sample::<f64, _>(StandardNormal);
        let activity: Vec<f64> = (0..n).map(|_| config.activity * draw()).collect();
        let popularity: Vec<f64> = (1..=m).map(|i| -config.zipf * (i as f64).ln()).collect();
        let taste = f.dot(&g.t());
        let logit = |u: usize, i: usize| activity[u] + popularity[i] + taste[[u, i]];
        // The constant that gives the density, by halving.
        let density = |c: f64| {
            let all = (0..n).flat_map(|u| (0..m).map(move |i| (u, i)));
            let sum: f64 = all
                .map(|(u, i)| crate::stats::sigmoid(c + logit(u, i)))
                .sum();
            sum / (n * m) as f64
        };
        let (mut low, mut high) = (-20.0, 30.0);
        if !(density(low) < config.density && config.density < density(high)) {
            return Err(Error::Parameter {
                name: "density",
                got: config.density.to_string(),
                need: "within reach of this popularity, taste and activity",
            });
        }
        let planned = HALVINGS.saturating_add(n);
        let mut work = Rounds::new("a population", planned, 1e3 * n as f64 * m as f64);
        for _ in 0..HALVINGS {
            work.step()?;
            let middle = 0.5 * (low + high);
            match density(middle) < config.density {
                true => low = middle,
                false => high = middle,
            }
        }
        let probability =
            Array2::from_shape_fn((n, m), |(u, i)| crate::stats::sigmoid(low + logit(u, i)));
        let mut rows = Vec::with_capacity(n);
        for user in 0..n {
            work.step()?;
            let mut tries = 0;
            rows.push(loop {
                let mut row = Vec::new();
                for item in 0..m {
                    if rng.random::<f64>() < probability[[user, item]] {
                        row.push((item as u32, rng.random::<f64>() < config.liked));
                    }
                }
                tries += 1;
                if row.iter().filter(|one| one.1).count() >= 2 {
                    break row;
                }
                if tries == 1000 {
                    return Err(Error::Parameter {
                        name: "density",
                        got: config.density.to_string(),
                        need: "large enough for each user to like two items",
                    });
                }
            });
        }
        Ok(Self {
            interactions: Interactions::new(m, rows)?,
            probability,
        })
    }

    /// By how much fewer hits `scores` has among its first `k` than the best ranking, in the mean over users, as a share of `k`: what
    /// is expected given what was shown, without noise.
    ///
    /// An item that is not shown is held out with probability `q = p·share / (1 − p·(1 − share))`, so that the expected hits
    /// of a list are the sum of its `q`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the scores are `[users, items]` of this population; [`Error::Mismatch`] for a holdout of other items; [`Error::Parameter`] for `k` of 0, or a
    /// share that is not from 0 to 1; [`Error::NotFinite`] for scores that are none.
    pub fn regret(
        &self,
        scores: &Array2<f64>,
        holdout: &Holdout,
        share: f64,
        k: usize,
    ) -> Result<f64> {
        let (n, m) = self.probability.dim();
        check_items(m, &holdout.kept)?;
        if scores.dim() != (n, m) || holdout.kept.users() != n {
            return Err(Error::Shape {
                what: "the scores",
                got: scores.shape().to_vec(),
                need: format!("[{n}, {m}], all users of the population"),
            });
        }
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::Parameter {
                name: "share",
                got: share.to_string(),
                need: "above 0 and at most 1: the share that was held out",
            });
        }
        if k == 0 || k > m {
            return Err(Error::Parameter {
                name: "k",
                got: k.to_string(),
                need: "from 1 to the number of items",
            });
        }
        check_scores(scores)?;
        let of_user = |user: usize| {
            let shown = holdout.kept.row(user);
            let p = self.probability.row(user);
            let q = |item: usize| p[item] * share / (1.0 - p[item] * (1.0 - share));
            let hits = |list: Vec<u32>| list.into_iter().map(|item| q(item as usize)).sum::<f64>();
            let row = scores.row(user);
            hits(best(q, m, shown, k)) - hits(best(|item| row[item], m, shown, k))
        };
        Ok((0..n).map(of_user).sum::<f64>() / (n * k) as f64)
    }
}

impl WorldConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        let share = |value: f64| value > 0.0 && value < 1.0;
        let length = |value: f64| (0.0..=10.0).contains(&value);
        match self {
            _ if self.users < 2 => refuse("users", self.users.to_string(), "at least 2"),
            _ if self.items < 10 => refuse("items", self.items.to_string(), "at least 10"),
            _ if self.factors == 0 => refuse("factors", "0".into(), "at least 1"),
            _ if !share(self.density) => {
                refuse("density", self.density.to_string(), "between 0 and 1")
            }
            _ if !share(self.liked) => refuse("liked", self.liked.to_string(), "between 0 and 1"),
            _ if ![self.taste, self.zipf, self.activity]
                .into_iter()
                .all(length) =>
            {
                let got = format!("{}, {}, {}", self.taste, self.zipf, self.activity);
                refuse("taste, zipf or activity", got, "from 0 to 10")
            }
            _ => Ok(()),
        }
    }
}
