//! Negative log-likelihood from curves of the squared error.

mod continuous;
mod map;

pub use continuous::{
    PointwiseNll, continuous_nll, continuous_nll_with, gaussian_nll, pointwise_nll,
};
pub use map::{DensityMap, MapConfig, density_map, neg_log_density};
