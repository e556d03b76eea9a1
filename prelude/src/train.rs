//! Fitting a denoiser to data.
//!
//! [`train`](fn@train) is a short loop over [`Trainer`], which makes one step at a time. Settings are in
//! [`TrainConfig`]; what was done is a [`Fit`]. With a [run folder](TrainConfig::run), training that ended for
//! whatever reason goes on, bit for bit, when the same call is made again. [`finetune`] goes on with a network
//! that was trained elsewhere, or otherwise.

mod after;
mod choices;
mod config;
mod course;
mod events;
mod feed;
mod finetune;
mod fit;
mod folder;
mod held_out;
mod labels;
mod loss;
mod numbers;
mod optimizer;
mod proposal;
mod rate;
mod resume;
mod run;
mod state;
mod trainer;

pub use choices::{Every, Objective, Validation};
pub use config::TrainConfig;
pub use finetune::{Epoch, Finetuned, finetune};
pub use fit::{End, Fit};
pub use held_out::{Measured, Validated};
pub use loss::loss;
pub use rate::Schedule;
pub use run::{train, train_validated};
pub use trainer::Trainer;
