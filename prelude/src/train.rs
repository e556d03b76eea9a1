//! Fitting parameters to data: a denoiser's by [`train`](fn@train), or those of any [`Task`] by [`Trainer`].
//!
//! Settings are in [`TrainConfig`]; what was done is a [`Fit`]. With a [run folder](TrainConfig::run), training that
//! ended for whatever reason goes on, bit for bit, when the same call is made again.

mod checkpoint;
mod config;
mod denoising;
mod fit;
mod lr_schedule;
mod metrics_log;
mod monitor;
mod run_folder;
mod task;
mod trainer;

pub use config::{Interval, Objective, TrainConfig, Validation};
pub use denoising::{Denoising, loss};
pub use fit::{Fit, StopReason};
pub use lr_schedule::LearningRate;
pub use monitor::{Measured, Validated};
pub use task::{Baseline, Gradients, Quantity, Task};
pub use trainer::{Trainer, train};
