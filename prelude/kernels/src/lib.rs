//! Neural networks on the CPU: operations that candle has only as chains of others, in one piece and with
//! their gradients; layers of them; where these get their parameters; the optimiser; and the randomness that all
//! start from.

pub mod gradients;
pub mod layers;
pub mod memory;
pub mod ops;
pub mod optim;
pub mod params;
pub mod rng;

pub use candle_core as candle;
pub use candle_nn as nn;
pub use itd_cell::error::{self, Error, Result};
pub use rand;
