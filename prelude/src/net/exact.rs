//! The best possible denoisers of distributions that are known: `ε̂ = E[ε | z]` in closed form.
//!
//! With them every estimator can be tested without training.

mod gaussian;
mod independent;
mod interval;
mod linear;
mod mixture;
mod observed;
mod source;

pub use gaussian::Gaussian;
pub use independent::Independent;
pub(crate) use interval::log_mass;
pub use mixture::{Component, Mixture};
pub use observed::Posterior;
pub use source::{Part, Source};
