//! Rows in blocks: what one thread does at a time.

use ndarray::ArrayView1;

use crate::cell;
use crate::error::{Error, Interrupted, Result};

/// Rows of a block. Each has random numbers of its own, so another number is value-breaking.
pub(super) const ROWS: usize = 256;

/// Hears the user, after so many of the planned samples or rows.
///
/// # Errors
/// [`Error::Interrupted`] when the user asks to stop.
pub(super) fn listen(what: &'static str, done: usize, planned: usize) -> Result<()> {
    if !cell::interrupted() {
        return Ok(());
    }
    let stopped = Interrupted::new(what, done as u64, planned as u64);
    Err(Error::Interrupted(stopped.counted_in("rows")))
}

/// A row, however it lies in memory, as a slice.
pub(super) fn copy(row: ArrayView1<f64>, to: &mut [f64]) {
    for (to, from) in to.iter_mut().zip(row) {
        *to = *from;
    }
}
