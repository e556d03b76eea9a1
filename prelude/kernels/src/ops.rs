//! Operations that candle has only as chains of others, in one piece and with their gradient.

mod attention;
mod conv;
mod dense;
mod exp;
mod im2col;
mod lanes;
mod moved;
mod norm;
mod phases;
mod pointwise;
mod product;
mod reduce;
mod shared;
mod sinusoidal;
mod tape;
mod turn;
mod winograd;

pub use attention::attention;
pub use conv::conv2d;
pub use dense::{Activation, dense};
pub use norm::group_norm;
pub use sinusoidal::sinusoidal;
pub use tape::Tape;
pub(crate) use tape::sum;
