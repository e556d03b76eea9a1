//! Recommenders, how they are judged, and synthetic users: the second case study of the thesis of Mello (2024), SDRM
//! (Lilienthal, Mello, Eirinaki, Tiomkin, 2024, arXiv:2311.03488).
//!
//! | what | here |
//! |---|---|
//! | who rated what | [`Interactions`], [`Having`]; files: [`ratings`](crate::ratings) |
//! | who is learned from | [`PublishedSplit`], [`folds`], [`Holdout`] |
//! | how good a ranking is | [`Ranking`], [`paired`] |
//! | recommenders | [`popularity`], [`svd`], [`ease`], [`item_knn`], [`MlpRecommender`], [`NeuMf`] |
//! | synthetic users | [`MultiVae`], [`Sdrm`], [`binarized`] |
//! | how near they are to real ones | [`nearest_similarity`], [`membership_auc`] |
//! | the tables of the study | [`study`](fn@study), [`PUBLISHED`] |
//! | the truth is known | [`World`] |
//!
//! # Example: a recommender against the best there can be
//! ```
//! use itd_prelude::recommender::*;
//!
//! let world = World::new(&WorldConfig { users: 300, items: 200, ..WorldConfig::default() })?;
//! let users = world.interactions.having(Relevance::Rated);
//! let holdout = Holdout::random(&users, 0.2, 0)?;
//! let scores = |of: &dyn Recommender| of.scores(&holdout.kept);
//! let regret = |of: &dyn Recommender| world.regret(&scores(of)?, &holdout, 0.2, 10);
//! assert!(regret(&ease(&holdout.kept, 100.0)?)? < regret(&popularity(&holdout.kept)?)?);
//! # Ok::<(), itd_prelude::Error>(())
//! ```

mod interactions;
mod layer;
mod linear;
mod mlp;
mod mt19937;
mod neumf;
mod privacy;
mod published;
mod rank;
mod sdrm;
mod slot;
mod split;
mod study;
mod vae;
mod world;

pub use interactions::{Having, Interactions, Relevance};
pub use linear::{Linear, Recommender, ease, item_knn, popularity, svd};
pub use mlp::{MlpRecommender, MlpRecommenderConfig};
pub use mt19937::Mt19937;
pub use neumf::{Judgement, NeuMf, NeuMfConfig};
pub use privacy::{jaccard, mean_dissimilarity, membership_auc, nearest_similarity};
pub use published::{PUBLISHED, PUBLISHED_COLUMNS, PublishedRow};
pub use rank::{Difference, PUBLISHED_KS, Ranking, RecallConvention, Score, paired, score};
pub use sdrm::{Loss, Resolution, Sdrm, SdrmConfig};
pub use split::{Fold, Holdout, PublishedSplit, folds};
pub use study::{Outcome, Outcomes, Part, Protocol, Served, study};
pub use vae::{MultiVae, MultiVaeConfig, StopOn, binarized};
pub use world::{World, WorldConfig};
