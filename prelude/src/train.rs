//! Fitting a denoiser to data.

mod adam;
mod average;
mod config;
mod fit;
mod labels;
mod loss;

pub use config::{Schedule, TrainConfig};
pub use fit::{Fit, train};
pub use loss::loss;
