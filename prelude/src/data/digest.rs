//! The fingerprint of samples.

use candle_core::{DType, Tensor};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::error::Result;

impl Dataset {
    /// SHA-256 of the samples' shape and bits, as 64 hexadecimal digits: equal for equal samples in the same
    /// order, whatever they are called.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when the samples cannot be read.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::data;
    ///
    /// let (one, other) = (data::moons(100, 0)?.train, data::moons(100, 1)?.train);
    /// assert_eq!(one.digest()?, data::moons(100, 0)?.train.digest()?);
    /// assert_ne!(one.digest()?, other.digest()?);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.x.dims()));
        add(&mut hash, &self.flat()?)?;
        Ok(HEXLOWER.encode(&hash.finalize()))
    }
}

/// Adds the bits of `[n, dim]`, without a copy of all of them.
pub(super) fn add(hash: &mut Sha256, rows: &Tensor) -> Result<()> {
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
    }
    Ok(())
}
