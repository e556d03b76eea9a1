//! The prelude's sources, builds of them, and programs that use one.

pub mod build;
pub mod cuda;
mod embedded;
pub mod evcxr;
pub mod program;

pub use build::{CrateSource, Plan, Prelude, PreludeError, Step, cache};
pub use cuda::{Capability, Cuda};
