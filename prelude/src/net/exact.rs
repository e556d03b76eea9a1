//! The best possible denoisers of distributions that are known: `ε̂ = E[ε | z]` in closed form.
//!
//! With them every estimator can be tested without training.

mod gaussian;
mod interval;
mod linear;
mod mixture;
mod source;

pub use gaussian::Gaussian;
pub use mixture::{Component, Mixture};
pub use source::{Independent, Part, Posterior, Source};
