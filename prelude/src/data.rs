//! Data sets: samples as a tensor, with what is known about their values.

mod batches;
pub mod cifar;
mod classes;
mod condition;
mod dataset;
mod digest;
mod digits;
mod form;
mod grid;
pub mod idx;
mod images;
mod known;
pub mod parquet;
mod picture;
pub mod pictures;
mod search;
mod source;
pub mod spectrum;
mod split;
mod stack;
mod tiles;
mod toy;

pub use batches::Batches;
pub use condition::{Condition, ConditionKind};
pub use dataset::Dataset;
pub use digits::digits;
pub use form::Form;
pub use grid::Grid;
pub use images::{cifar10, cifar10_in, fashion_mnist, fashion_mnist_in, mnist, mnist_in};
pub use spectrum::{Cache, Shrinkage, Spectrum, SpectrumConfig};
pub use split::Split;
pub(crate) use tiles::mosaic;
pub use toy::{SCG_CORRELATION, circle, dino, line, moons, scg};
