//! Negative log-likelihood from curves of the squared error.

mod bootstrap;
mod continuous;
mod discrete;
mod map;
mod pointwise;
mod thermodynamic;

pub use bootstrap::bootstrap;
pub use continuous::{
    continuous_nll, continuous_nll_against, continuous_nll_with, gaussian_nll, pointwise_nll,
};
pub use discrete::{Tails, discrete_nll, pointwise_discrete_nll, tails};
pub use map::{DensityMap, MapConfig, density_map, neg_log_density};
pub use pointwise::PointwiseNll;
pub use thermodynamic::{Decomposition, decompose, log_ratio, normal_entropy};
