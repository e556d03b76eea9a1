//! Operations that candle has only as chains of others, in one piece and with their gradient.

mod dense;

pub use dense::{Activation, dense};
