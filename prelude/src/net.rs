//! Denoisers: what estimates the noise in a noisy sample.
//!
//! [`exact`] has the best possible ones where they are known in closed form; [`mlp`] and [`unet`] learn, the
//! one points and the other pictures; [`ddpm`] and [`iddpm`] are the published ones.

mod by_parts;
pub mod ddpm;
mod embed;
pub mod exact;
pub mod iddpm;
pub mod mlp;
mod published;
pub mod unet;

use crate::data::Spectrum;
use crate::error::{Error, Result};

#[doc(hidden)]
pub use ddpm::DdpmBlock;
pub use ddpm::{Ddpm, DdpmConfig};
pub use embed::Embedding;
pub use iddpm::{Iddpm, IddpmConfig};
pub use mlp::{Mlp, MlpConfig};
pub use unet::{UNet, UNetConfig};

/// Refuses a shape that has another number of values than the spectrum.
fn same_dim(spectrum: &Spectrum, shape: &[usize]) -> Result<()> {
    let dim: usize = shape.iter().product();
    if spectrum.dim() == dim {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the spectrum and the shape of a sample",
        left: format!("{} dimensions", spectrum.dim()),
        right: format!("{shape:?}, which is {dim} values"),
        next: "take both from the same data set",
    })
}
