//! The fingerprint of samples.

use candle_core::{DType, Tensor};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::cell;
use crate::error::{Error, Interrupted, Result};

impl Dataset {
    /// SHA-256 of the samples' shape and bits, as 64 hexadecimal digits: equal for equal samples in the same
    /// order, whatever they are called.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the samples cannot be read, [`Error::Interrupted`] when the user asks to stop.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::data::toy::moons;
    ///
    /// let (one, other) = (moons(100, 0)?.train, moons(100, 1)?.train);
    /// assert_eq!(one.digest()?, moons(100, 0)?.train.digest()?);
    /// assert_ne!(one.digest()?, other.digest()?);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn digest(&self) -> Result<String> {
        self.hashed(listen)
    }

    /// As [`Self::digest`], without listening: for what was measured already, and would be lost.
    pub(crate) fn digest_unheard(&self) -> Result<String> {
        self.hashed(|| Ok(()))
    }

    fn hashed(&self, listen: impl FnMut() -> Result<()>) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.x.dims()));
        add_with(&mut hash, &self.flat()?, listen)?;
        Ok(HEXLOWER.encode(&hash.finalize()))
    }
}

fn listen() -> Result<()> {
    match cell::interrupted() {
        false => Ok(()),
        true => Err(Error::Interrupted(Interrupted::new(
            "the fingerprint of samples",
            0,
            1,
        ))),
    }
}

/// Adds the bits of `[n, dim]`, without a copy of all of them.
///
/// # Errors
/// [`Error::Interrupted`] when the user asks to stop.
pub(crate) fn add(hash: &mut Sha256, rows: &Tensor) -> Result<()> {
    add_with(hash, rows, listen)
}

fn add_with(
    hash: &mut Sha256,
    rows: &Tensor,
    mut listen: impl FnMut() -> Result<()>,
) -> Result<()> {
    let (n, dim) = rows.dims2()?;
    let height = ((1 << 22) / dim.max(1)).clamp(1, n.max(1));
    let mut bytes = Vec::new();
    for start in (0..n).step_by(height) {
        let block = rows.narrow(0, start, height.min(n - start))?;
        let values = block
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        bytes.clear();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        hash.update(&bytes);
        listen()?;
    }
    Ok(())
}
