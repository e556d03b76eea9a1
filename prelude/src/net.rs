//! Denoisers: what estimates the noise in a noisy sample.
//!
//! [`mlp`] and [`unet`] learn, the one points and the other pictures; [`ddpm`] and [`iddpm`] are the published ones.
//! The best possible ones are those of a [`distribution`](crate::distribution).

mod condition;
pub mod ddpm;
mod file;
pub mod iddpm;
pub mod mlp;
mod published;
pub mod unet;

use crate::distribution::Gaussian;
use crate::error::{Error, Result};

#[doc(hidden)]
pub use ddpm::DdpmBlock;
pub use ddpm::{Ddpm, DdpmConfig};
pub use iddpm::{Iddpm, IddpmConfig};
pub use mlp::{Mlp, MlpConfig};
pub use unet::{UNet, UNetConfig};

pub use crate::layers::Fourier;

/// Refuses a shape that has another number of values than the Gaussian.
fn same_dim(gaussian: &Gaussian, shape: &[usize]) -> Result<()> {
    let dim: usize = shape.iter().product();
    if gaussian.dim() == dim {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the Gaussian and the shape of a sample",
        left: format!("{} dimensions", gaussian.dim()),
        right: format!("{shape:?}, which is {dim} values"),
        next: "take both from the same data set",
    })
}
