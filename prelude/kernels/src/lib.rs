//! Neural networks on the CPU: operations that candle has only as chains of others, in one piece and with
//! their gradients; and the randomness that they start from.

pub mod memory;
pub mod ops;
pub mod rng;

pub use candle_core as candle;
pub use candle_nn as nn;
pub use itd_cell::error::{self, Error, Result};
pub use rand;
