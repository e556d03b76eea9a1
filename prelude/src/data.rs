//! Data sets: samples as a tensor, with what is known about their values.

mod digits;
mod grid;
mod set;
pub mod spectrum;
mod toy;

pub use digits::digits;
pub use grid::Grid;
pub use set::{Dataset, Split};
pub use spectrum::{Cache, Shrinkage, Spectrum, SpectrumConfig};
pub use toy::{SCG_CORRELATION, circle, dino, line, moons, scg};
