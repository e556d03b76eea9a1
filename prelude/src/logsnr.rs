//! The axis of log-SNR: points and weights of an integral over it, and the proposal that points are drawn from.

mod logistic;
mod quadrature;
mod tabulated;

pub use logistic::{CLIP, Logistic};
pub use quadrature::{Quadrature, Rule};
pub use tabulated::Tabulated;
pub(crate) use tabulated::part;
