//! The optimiser: AdamW with a moving average of the parameters, over the memory where they lie.

mod adamw;
pub mod values;

pub use adamw::{AdamW, AdamWConfig, Moments};
