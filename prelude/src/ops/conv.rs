//! Convolution of pictures.

use candle_core::Tensor;

use crate::error::Result;

/// `y[o] = Σ_c w[o, c] ∗ x[c] + b[o]`, with zeros around the picture.
///
/// # Shapes
/// `x`: `[n, c, height, width]`, `w`: `[o, c, k, k]`, `b`: `[o]`; gives `[n, o, height', width']` with
/// `height' = (height + 2·padding − k)/stride + 1`, rounded down.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when shapes or types do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let b = b.reshape((1, b.elem_count(), 1, 1))?;
    Ok(x.conv2d(w, padding, stride, 1, 1)?.broadcast_add(&b)?)
}
