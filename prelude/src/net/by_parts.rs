//! Gradients of a batch, a part of it on each thread.
//!
//! Sharing out each operation wakes the threads and waits for the last of them a hundred times a step, and between
//! two operations the numbers leave the processor's cache. Sharing out the batch does so once.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use crate::error::Result;
use crate::ops::{Tape, added};

/// Most parts of a batch: their gradients are held at once.
const MOST: usize = 4;

/// First sample and number of samples of each part, none but the last with fewer than `least`; they do not depend on
/// the number of threads, so that neither does the order of sums.
fn parts(n: usize, least: usize) -> Vec<(usize, usize)> {
    let size = n.div_ceil(MOST).max(least).max(1);
    let part = |from| (from, size.min(n - from));
    (0..n).step_by(size).map(part).collect()
}

/// The gradient by each variable of `Σ slope·y`, where `part(tape, first, count)` gives `y` and `slope` for these
/// samples of a batch of `n`.
///
/// Each part goes forward and back before its thread takes the next, so that what is kept for the way back is that of
/// one part for each thread.
///
/// # Errors
/// What `part` returns.
pub(super) fn by_parts(
    n: usize,
    least: usize,
    vars: &[Var],
    part: impl Fn(&Tape, usize, usize) -> Result<(Tensor, Tensor)> + Sync,
) -> Result<Vec<Option<Tensor>>> {
    let both = |(first, count)| {
        let tape = Tape::on(vars);
        let (y, slope) = part(&tape, first, count)?;
        tape.back(&y, slope, vars)
    };
    let slopes = parts(n, least).into_par_iter().map(both);
    let mut slopes = slopes.collect::<Result<Vec<_>>>()?.into_iter();
    let first = slopes.next().unwrap_or_default();
    slopes.try_fold(first, added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_in_one_part() {
        assert_eq!(parts(0, 16), []);
        assert_eq!(parts(5, 16), [(0, 5)]);
        assert_eq!(parts(20, 16), [(0, 16), (16, 4)]);
        assert_eq!(parts(101, 16), [(0, 26), (26, 26), (52, 26), (78, 23)]);
    }
}
