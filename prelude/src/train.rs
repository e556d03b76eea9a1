//! Fitting a denoiser to data.

mod adam;
mod average;
mod config;
mod fit;

pub use config::{Schedule, TrainConfig};
pub use fit::{Fit, train};
