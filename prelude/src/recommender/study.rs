//! The case study: what was published, measured again, and the same questions asked without its slips.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use candle_core::Tensor;
use rand::seq::SliceRandom;

use super::*;
use crate::error::{Error, Result};
use crate::stats;

/// How recommenders are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As in the published code: trained on likes and judged on all ratings; training ends by the users that are judged on;
    /// dropout stays on while users are drawn; NeuMF's network of the first epoch is taken for its best one.
    AsPublished,
    /// Ten parts of the users, each judged on once; settings and ends of training chosen on users that are neither learned
    /// from nor judged on; likes on both sides; no dropout while users are drawn.
    Correct,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsPublished => "as published",
            Self::Correct => "correct",
        })
    }
}

/// A part of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// As published: recommenders without synthetic users.
    Linear,
    /// As published: SVD with synthetic users of the networks that were chosen for it.
    Svd,
    /// As published: the perceptron without synthetic users.
    MlpOriginal,
    /// As published: the perceptron with them.
    Mlp,
    /// As published: NeuMF without synthetic users.
    NeuMfOriginal,
    /// As published: NeuMF with them.
    NeuMf,
    /// The correct protocol, one of the ten parts.
    Correct,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 7] = [
        Self::Linear,
        Self::Svd,
        Self::MlpOriginal,
        Self::Mlp,
        Self::NeuMfOriginal,
        Self::NeuMf,
        Self::Correct,
    ];

    /// What it is called on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Svd => "svd",
            Self::MlpOriginal => "mlp-original",
            Self::Mlp => "mlp",
            Self::NeuMfOriginal => "neumf-original",
            Self::NeuMf => "neumf",
            Self::Correct => "correct",
        }
    }

    /// How recommenders are judged in it.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Correct => Protocol::Correct,
            _ => Protocol::AsPublished,
        }
    }

    /// The runs that it has when there are five of each published kind: the linear ones are the same each time, and
    /// the correct protocol has ten parts.
    pub fn runs(self, published: u64) -> u64 {
        match self {
            Self::Linear => 1,
            Self::Correct => FOLDS as u64,
            _ => published,
        }
    }

    /// The networks that were chosen for it: autoencoder and diffusion.
    pub fn settings(self, seed: u64) -> (MultiVaeConfig, SdrmConfig) {
        let vae = MultiVaeConfig {
            seed,
            ..MultiVaeConfig::default()
        };
        let sdrm = SdrmConfig {
            seed,
            ..SdrmConfig::default()
        };
        match self {
            Self::Linear | Self::Svd => (vae, sdrm),
            Self::MlpOriginal | Self::Mlp => (
                MultiVaeConfig {
                    batch: 50,
                    hidden: 40,
                    latent: 40,
                    learning_rate: 0.0034,
                    ..vae
                },
                SdrmConfig {
                    batch: 810,
                    learning_rate: 5.2e-5,
                    epochs: 200,
                    layers: 0,
                    steps: 58,
                    ..sdrm
                },
            ),
            Self::NeuMfOriginal | Self::NeuMf => (
                MultiVaeConfig {
                    batch: 870,
                    hidden: 1000,
                    latent: 950,
                    learning_rate: 0.001,
                    ..vae
                },
                SdrmConfig {
                    batch: 190,
                    learning_rate: 2.8e-5,
                    epochs: 15,
                    layers: 4,
                    steps: 138,
                    noise: 0.2,
                    ..sdrm
                },
            ),
            Self::Correct => (
                MultiVaeConfig {
                    batch: 200,
                    hidden: 200,
                    latent: 64,
                    learning_rate: 0.001,
                    epochs: 200,
                    ..vae
                },
                SdrmConfig {
                    batch: 200,
                    learning_rate: 5.2e-5,
                    epochs: 200,
                    layers: 0,
                    steps: 58,
                    live_dropout: false,
                    ..sdrm
                },
            ),
        }
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|part| part.name() == name);
        found.ok_or_else(|| Error::Parameter {
            name: "a part of the study",
            got: format!("{name:?}"),
            need: "linear, svd, mlp-original, mlp, neumf-original, neumf or correct",
        })
    }
}

/// How one recommender did in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The part of the study.
    pub part: Part,
    /// The recommender and what it was trained on, as in [`PUBLISHED_COLUMNS`].
    pub column: String,
    /// Where synthetic users come from, or which recommender it is where there are none.
    pub model: String,
    /// Which run, or which part of the users.
    pub run: usize,
    /// Mean recall, at each of [`PUBLISHED_KS`].
    pub recall: Vec<f64>,
    /// Mean NDCG, likewise.
    pub ndcg: Vec<f64>,
    /// Recall@10 of each user.
    pub users_recall: Vec<f64>,
    /// NDCG@10 of each user.
    pub users_ndcg: Vec<f64>,
    /// The share of ones among synthetic users; NaN without any.
    pub density: f64,
    /// The mean similarity of a synthetic user to the nearest one that was learned from; NaN without any.
    pub nearest: f64,
    /// How well the nearest synthetic user tells whom was learned from; see [`membership_auc`].
    pub auc: f64,
    /// One standard error of it.
    pub auc_err: f64,
    /// Seconds on the clock, with those of the networks that the synthetic users are from.
    pub seconds: f64,
}

/// The outcomes of a study; a table in files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes(pub Vec<Outcome>);

/// How the same users were served, over all runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Recall@10 of each user.
    pub recall: Vec<f64>,
    /// NDCG@10 of each user.
    pub ndcg: Vec<f64>,
    /// Standard deviation of the mean Recall@10 from run to run; NaN for one run, and in the correct protocol, whose runs
    /// have other users.
    pub recall_spread: f64,
    /// How many runs there are.
    pub runs: usize,
}

impl Outcomes {
    /// The runs of a model in a column, by their numbers.
    pub fn of(&self, protocol: Protocol, column: &str, model: &str) -> Vec<&Outcome> {
        let mut own: Vec<&Outcome> = self
            .0
            .iter()
            .filter(|one| {
                one.part.protocol() == protocol && one.column == column && one.model == model
            })
            .collect();
        own.sort_by_key(|one| one.run);
        own
    }

    /// How a model served each user: as published the mean over the runs, in the correct protocol each user in the one part
    /// that judges on him.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such model; [`Error::Mismatch`] when its runs have other users.
    pub fn served(&self, protocol: Protocol, column: &str, model: &str) -> Result<Served> {
        let own = self.of(protocol, column, model);
        let Some(first) = own.first() else {
            return Err(Error::Missing {
                what: format!("there is no {model:?} in column {column:?} ({protocol})"),
                next: "look at the columns and models of the outcomes",
            });
        };
        if protocol == Protocol::Correct {
            let all =
                |of: fn(&Outcome) -> &[f64]| own.iter().flat_map(|one| of(one).to_vec()).collect();
            return Ok(Served {
                recall: all(|one| &one.users_recall),
                ndcg: all(|one| &one.users_ndcg),
                recall_spread: f64::NAN,
                runs: own.len(),
            });
        }
        let users = first.users_recall.len();
        if let Some(other) = own.iter().find(|one| one.users_recall.len() != users) {
            return Err(Error::Mismatch {
                what: "the runs",
                left: format!("{users} users in run {}", first.run),
                right: format!("{} in run {}", other.users_recall.len(), other.run),
                next: "measure all runs on the same users",
            });
        }
        let mean = |of: fn(&Outcome) -> &[f64]| -> Vec<f64> {
            let sum = |user: usize| own.iter().map(|one| of(one)[user]).sum::<f64>();
            (0..users)
                .map(|user| sum(user) / own.len() as f64)
                .collect()
        };
        let means: Vec<f64> = own
            .iter()
            .map(|one| stats::mean(&one.users_recall))
            .collect();
        Ok(Served {
            recall: mean(|one| &one.users_recall),
            ndcg: mean(|one| &one.users_ndcg),
            recall_spread: stats::variance(&means).sqrt(),
            runs: own.len(),
        })
    }
}

/// Parts of the users in the correct protocol.
const FOLDS: usize = 10;
/// The seed of the published split.
const SEED: u32 = 123;
/// The seed of these parts: all models are judged on the same.
const FOLD_SEED: u64 = 0;

/// Runs a part of the study once.
///
/// # Errors
/// What training and measuring return; [`Error::Parameter`] for a run that the part does not have.
pub fn study(split: &PublishedSplit, part: Part, run: u64) -> Result<Vec<Outcome>> {
    match part {
        Part::Linear if run > 0 => Err(Error::Parameter {
            name: "run",
            got: run.to_string(),
            need: "0: the linear models have no seed",
        }),
        Part::Linear => linear(split),
        Part::Svd => svd_column(split, run),
        Part::MlpOriginal | Part::Mlp => mlp_column(split, part, run),
        Part::NeuMfOriginal | Part::NeuMf => neumf_column(split, part, run),
        Part::Correct => correct(split, run),
    }
}

/// The outcomes of one run.
struct Bench {
    part: Part,
    run: u64,
    outcomes: Vec<Outcome>,
}

impl Bench {
    fn new(part: Part, run: u64) -> Self {
        Self {
            part,
            run,
            outcomes: Vec::new(),
        }
    }

    /// Adds an outcome without synthetic users.
    fn add(
        &mut self,
        column: &str,
        model: &str,
        ranking: &Ranking,
        start: Instant,
    ) -> Result<&mut Outcome> {
        let means = |all: &[Vec<f64>]| all.iter().map(|k| stats::mean(k)).collect();
        self.outcomes.push(Outcome {
            part: self.part,
            column: column.into(),
            model: model.into(),
            run: self.run as usize,
            recall: means(&ranking.recall),
            ndcg: means(&ranking.ndcg),
            users_recall: ranking.recall_at(10)?.to_vec(),
            users_ndcg: ranking.ndcg_at(10)?.to_vec(),
            density: f64::NAN,
            nearest: f64::NAN,
            auc: f64::NAN,
            auc_err: f64::NAN,
            seconds: start.elapsed().as_secs_f64(),
        });
        let last = self.outcomes.len() - 1;
        Ok(&mut self.outcomes[last])
    }
}

fn linear(split: &PublishedSplit) -> Result<Vec<Outcome>> {
    let mut bench = Bench::new(Part::Linear, 0);
    let learned = split.learned()?;
    let rated = Having::stacked(&[&split.train.having(Relevance::Rated), &split.holdout.kept])?;
    let mut of = |model: &str, fit: &dyn Fn() -> Result<Linear>| -> Result<()> {
        let start = Instant::now();
        let scores = fit()?.scores(&split.holdout.kept)?;
        let ranking = Ranking::published(&scores, &split.holdout)?;
        bench.add("original data", model, &ranking, start)?;
        Ok(())
    };
    of("popularity", &|| popularity(&learned))?;
    of("item-kNN 100", &|| item_knn(&learned, 100))?;
    of("SVD-10", &|| svd(&learned, 10, 0))?;
    of("SVD-20", &|| svd(&learned, 20, 0))?;
    of("SVD-20, all ratings", &|| svd(&rated, 20, 0))?;
    for lambda in [50.0, 100.0, 200.0, 400.0] {
        of(&format!("EASE λ={lambda}"), &|| ease(&learned, lambda))?;
    }
    of("EASE λ=200, all ratings", &|| ease(&rated, 200.0))?;
    Ok(bench.outcomes)
}

/// Synthetic users of one kind.
struct Synthetic {
    model: &'static str,
    users: Having,
    /// What they like least, as much of it as of what they like; for NeuMF.
    least: Having,
    seconds: f64,
}

/// Synthetic users as many as are learned from, of the autoencoder and of both resolutions of the diffusion.
fn synthetic(split: &PublishedSplit, part: Part, run: u64) -> Result<Vec<Synthetic>> {
    let (vae_config, sdrm_config) = part.settings(run);
    let start = Instant::now();
    let learned = split.learned()?;
    let judged = split.valid.having(Relevance::Rated);
    let vae = MultiVae::train(&learned, StopOn::Fresh(&judged), &vae_config)?;
    // As published: the share of all ratings, though only likes are learned from.
    let (n, density) = (split.train.users(), split.train.density(Relevance::Rated));
    let mut all = Vec::new();
    let mut add = |model, logits: &Tensor| -> Result<()> {
        all.push(Synthetic {
            model,
            users: binarized(logits, density)?,
            least: binarized(&logits.neg()?, density)?,
            seconds: start.elapsed().as_secs_f64(),
        });
        Ok(())
    };
    add("MultiVAE++", &vae.sample(n, run)?)?;
    let sdrm = Sdrm::train(&vae, &learned, &sdrm_config)?;
    add("F-SDRM", &sdrm.sample(&vae, n, Resolution::Full, run)?)?;
    add("M-SDRM", &sdrm.sample(&vae, n, Resolution::Multi, run)?)?;
    Ok(all)
}

/// Adds what synthetic users are like.
fn describe(
    outcome: &mut Outcome,
    users: &Having,
    members: &Having,
    others: &Having,
) -> Result<()> {
    outcome.density = users.density();
    outcome.nearest = score(&nearest_similarity(users, members, false)?).mean;
    (outcome.auc, outcome.auc_err) = membership_auc(
        &nearest_similarity(members, users, false)?,
        &nearest_similarity(others, users, false)?,
    )?;
    Ok(())
}

fn svd_column(split: &PublishedSplit, run: u64) -> Result<Vec<Outcome>> {
    let mut bench = Bench::new(Part::Svd, run);
    let members = split.train.having(Relevance::Liked);
    let others = split.valid.having(Relevance::Liked);
    let learned = split.learned()?;
    let ranked = |train: &Having| -> Result<Ranking> {
        let scores = svd(train, 20, run)?.scores(&split.holdout.kept)?;
        Ranking::published(&scores, &split.holdout)
    };
    for one in synthetic(split, Part::Svd, run)? {
        let trained = [
            ("SVD augmented", Having::stacked(&[&learned, &one.users])?),
            (
                "SVD synthetic",
                Having::stacked(&[&one.users, &split.holdout.kept])?,
            ),
        ];
        for (column, train) in trained {
            let start = Instant::now();
            let outcome = bench.add(column, one.model, &ranked(&train)?, start)?;
            outcome.seconds += one.seconds;
            describe(outcome, &one.users, &members, &others)?;
        }
    }
    Ok(bench.outcomes)
}

fn mlp_column(split: &PublishedSplit, part: Part, run: u64) -> Result<Vec<Outcome>> {
    let mut bench = Bench::new(part, run);
    let members = split.train.having(Relevance::Liked);
    let others = split.valid.having(Relevance::Liked);
    let learned = split.learned()?;
    let config = MlpRecommenderConfig {
        seed: run,
        ..MlpRecommenderConfig::default()
    };
    let ranked = |train: &Having| -> Result<Ranking> {
        let scores = MlpRecommender::train(train, &config)?.scores(&split.holdout.kept)?;
        Ranking::published(&scores, &split.holdout)
    };
    if part == Part::MlpOriginal {
        let start = Instant::now();
        let ranking = ranked(&learned)?;
        bench.add("MLP augmented", "original data", &ranking, start)?;
        return Ok(bench.outcomes);
    }
    for one in synthetic(split, part, run)? {
        let augmented = Having::stacked(&[&learned, &one.users])?;
        for (column, train) in [("MLP augmented", &augmented), ("MLP synthetic", &one.users)] {
            // A synthetic user may have nothing; as the published code, this takes him as he is.
            let start = Instant::now();
            let outcome = bench.add(column, one.model, &ranked(train)?, start)?;
            outcome.seconds += one.seconds;
            describe(outcome, &one.users, &members, &others)?;
        }
    }
    Ok(bench.outcomes)
}

fn neumf_column(split: &PublishedSplit, part: Part, run: u64) -> Result<Vec<Outcome>> {
    let mut bench = Bench::new(part, run);
    let members = split.train.having(Relevance::Liked);
    let others = split.valid.having(Relevance::Liked);
    let (users, items, first) = (split.all.users(), split.all.items(), split.train.users());
    // Here only likes are to be found, and half of the dislikes of the judged users are learned from.
    let likes = Holdout::published(&split.valid.having(Relevance::Liked), 0.2, SEED)?;
    let mut rng = crate::rng::stream(run, "dislikes that are learned from");
    let mut dislikes: Vec<Judgement> = Vec::new();
    for user in 0..split.valid.users() {
        let own = split.valid.row(user).iter().filter(|one| !one.1);
        dislikes.extend(own.map(|&(item, liked)| Judgement {
            user: user as u32,
            item,
            liked,
        }));
    }
    dislikes.shuffle(&mut rng);
    dislikes.truncate(dislikes.len() / 2);
    let mut kept: Vec<Vec<u32>> = likes.kept.rows().map(<[u32]>::to_vec).collect();
    for one in &dislikes {
        kept[one.user as usize].push(one.item);
    }
    let holdout = Holdout {
        kept: Having::new(items, kept)?,
        held_out: likes.held_out.clone(),
    };
    let judgements = |of: &Having, from: usize, liked: bool| -> Vec<Judgement> {
        let user = |user: usize| {
            let all = of.row(user).iter();
            all.map(move |&item| Judgement {
                user: (from + user) as u32,
                item,
                liked,
            })
        };
        (0..of.users()).flat_map(user).collect()
    };
    let mut shown = judgements(&likes.kept, first, true);
    shown.extend(dislikes.iter().map(|one| Judgement {
        user: one.user + first as u32,
        ..*one
    }));
    let mut real = shown.clone();
    for user in 0..split.train.users() {
        let own = split.train.row(user).iter();
        real.extend(own.map(|&(item, liked)| Judgement {
            user: user as u32,
            item,
            liked,
        }));
    }
    let config = NeuMfConfig {
        seed: run,
        ..NeuMfConfig::default()
    };
    let mut ranked = |column: &str,
                      model: &str,
                      all: &[Judgement],
                      count: usize,
                      synthetic: Option<&Synthetic>|
     -> Result<()> {
        let start = Instant::now();
        let found = NeuMf::train(all, (count, items), first, &holdout, &config)?;
        for (slip, ranking) in [(true, found.first), (false, found.best)] {
            let model = match slip {
                true => model.to_owned(),
                false => format!("{model}, without the slip"),
            };
            let outcome = bench.add(column, &model, &ranking, start)?;
            if let Some(synthetic) = synthetic {
                outcome.seconds += synthetic.seconds;
                describe(outcome, &synthetic.users, &members, &others)?;
            }
        }
        Ok(())
    };
    if part == Part::NeuMfOriginal {
        ranked("NeuMF augmented", "original data", &real, users, None)?;
        return Ok(bench.outcomes);
    }
    for one in synthetic(split, part, run)? {
        let both = |from: usize| {
            let likes = judgements(&one.users, from, true);
            [likes, judgements(&one.least, from, false)].concat()
        };
        let augmented = [real.clone(), both(users)].concat();
        let count = users + one.users.users();
        ranked("NeuMF augmented", one.model, &augmented, count, Some(&one))?;
        // Synthetic users take the places of those that are learned from.
        let only = [shown.clone(), both(0)].concat();
        ranked("NeuMF synthetic", one.model, &only, users, Some(&one))?;
    }
    Ok(bench.outcomes)
}

/// The best of some settings by Recall@10 of the validation users.
fn chosen<M: Recommender>(fold: &Fold, settings: Vec<M>) -> Result<M> {
    let mut best: Option<(f64, M)> = None;
    for model in settings {
        let scores = model.scores(&fold.validation.kept)?;
        let recall = Ranking::published(&scores, &fold.validation)?.scores_at(10)?[0].mean;
        if best.as_ref().is_none_or(|(other, _)| recall > *other) {
            best = Some((recall, model));
        }
    }
    best.map(|(_, model)| model).ok_or(Error::Empty {
        what: "the list of settings",
    })
}

fn correct(split: &PublishedSplit, run: u64) -> Result<Vec<Outcome>> {
    let liked = split.all.having(Relevance::Liked);
    let folds = folds(&liked, FOLDS, FOLD_SEED)?;
    let Some(fold) = folds.get(run as usize) else {
        return Err(Error::Parameter {
            name: "run",
            got: run.to_string(),
            need: "from 0 to 9: there are ten parts of the users",
        });
    };
    let mut bench = Bench::new(Part::Correct, run);
    let ranked = |model: &dyn Recommender| -> Result<Ranking> {
        Ranking::published(&model.scores(&fold.test.kept)?, &fold.test)
    };
    let start = Instant::now();
    let ranking = ranked(&popularity(&fold.train)?)?;
    bench.add("original data", "popularity", &ranking, start)?;
    let start = Instant::now();
    let all = [20, 50, 100].map(|count| item_knn(&fold.train, count));
    let model = chosen(fold, all.into_iter().collect::<Result<_>>()?)?;
    bench.add("original data", "item-kNN", &ranked(&model)?, start)?;
    let start = Instant::now();
    let all = [10, 20, 40, 80].map(|factors| svd(&fold.train, factors, 0));
    let model = chosen(fold, all.into_iter().collect::<Result<_>>()?)?;
    let factors = model.weights().ncols();
    let original = ranked(&model)?;
    bench.add("original data", "SVD", &original, start)?;
    let start = Instant::now();
    let all = [50.0, 100.0, 200.0, 400.0, 800.0].map(|lambda| ease(&fold.train, lambda));
    let model = chosen(fold, all.into_iter().collect::<Result<_>>()?)?;
    bench.add("original data", "EASE", &ranked(&model)?, start)?;

    let (vae_config, sdrm_config) = Part::Correct.settings(run);
    let start = Instant::now();
    let vae = MultiVae::train(&fold.train, StopOn::Holdout(&fold.validation), &vae_config)?;
    bench.add("original data", "MultiVAE++", &ranked(&vae)?, start)?;
    let (n, density) = (fold.train.users(), fold.train.density());
    let members = &fold.train;
    let others = liked.select(&fold.test_users)?;
    let logits = vae.sample(n, run)?;
    let of_vae = start.elapsed().as_secs_f64();
    let mut synthetic = vec![("MultiVAE++", logits, of_vae)];
    for (model, loss) in [
        ("code", Loss::Code),
        ("thesis", Loss::Thesis),
        ("ITD", Loss::Itd),
    ] {
        let config = SdrmConfig {
            loss,
            ..sdrm_config.clone()
        };
        let start = Instant::now();
        let sdrm = Sdrm::train(&vae, &fold.train, &config)?;
        let trained = start.elapsed().as_secs_f64();
        let mut add = |name, resolution| -> Result<()> {
            let start = Instant::now();
            let logits = sdrm.sample(&vae, n, resolution, run)?;
            let seconds = of_vae + trained + start.elapsed().as_secs_f64();
            synthetic.push((name, logits, seconds));
            Ok(())
        };
        match model {
            "code" => {
                add("F-SDRM", Resolution::Full)?;
                add("M-SDRM", Resolution::Multi)?;
            }
            "thesis" => add("F-SDRM, thesis' loss", Resolution::Full)?,
            _ => add("F-SDRM, ITD's loss", Resolution::Full)?,
        }
    }
    for (model, logits, seconds) in synthetic {
        let users = binarized(&logits, density)?;
        for (column, train) in [
            ("SVD augmented", Having::stacked(&[&fold.train, &users])?),
            ("SVD synthetic", users.clone()),
        ] {
            let start = Instant::now();
            let own = svd(&train, factors, 0)?;
            let outcome = bench.add(column, model, &ranked(&own)?, start)?;
            outcome.seconds += seconds;
            describe(outcome, &users, members, &others)?;
        }
    }
    Ok(bench.outcomes)
}
