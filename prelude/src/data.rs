//! Data sets: samples as a tensor, with what is known about their values.

mod batches;
#[cfg(feature = "candle-datasets")]
mod candle_datasets;
mod classes;
mod condition;
mod dataset;
pub(crate) mod digest;
mod digits;
mod grid;
mod images;
mod jpeg;
mod split;
mod tiles;
pub mod toy;

pub use batches::Batches;
pub use condition::{Condition, ConditionKind};
pub use dataset::Dataset;
pub(crate) use dataset::not_finite;
pub(crate) use digest::add as add_to_digest;
pub use digits::digits;
pub use grid::Grid;
pub use images::{cifar10, cifar10_in, fashion_mnist, fashion_mnist_in, mnist, mnist_in};
pub use jpeg::jpeg_round_trip;
pub use split::Split;
pub(crate) use tiles::mosaic;
