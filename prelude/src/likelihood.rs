//! Negative log-likelihoods from curves of the squared error: densities, code lengths, and maps of them.

mod bootstrap;
mod code;
mod density;
mod map;
pub(crate) mod ode;
mod orders;
mod trace;

pub use bootstrap::bootstrap;
pub use code::{Tails, tails};
pub use density::Reference;
pub use map::{DensityMap, MapConfig, density_map, neg_log_prob_at};
pub use ode::{OdeConfig, OdeNll, ode_nll};
pub use orders::{order_nll, order_nll_exact};
pub use trace::{Derivative, Trace};
