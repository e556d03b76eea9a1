//! Memory that several threads write to, each its own part.

use std::cell::RefCell;
use std::marker::PhantomData;

use super::lanes::LANES;

/// A slice whose parts are written by different threads.
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    lent: PhantomData<&'a mut [f32]>,
}

// SAFETY: `part` hands the duty to keep parts disjoint to its caller.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(of: &'a mut [f32]) -> Self {
        Self {
            start: of.as_mut_ptr(),
            len: of.len(),
            lent: PhantomData,
        }
    }

    /// # Safety
    /// No two parts that are alive at a time may overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps the parts disjoint")]
    pub(super) unsafe fn part(&self, from: usize, len: usize) -> &mut [f32] {
        assert!(from <= self.len && len <= self.len - from);
        // SAFETY: within the slice; disjoint by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

/// `len` numbers that `write` gives their values, and what it returns.
///
/// Zeroing them first would take one thread a pass over memory while the others wait.
///
/// # Safety
/// `write` must write each before it reads it.
pub(super) unsafe fn written<R>(len: usize, write: impl FnOnce(&mut [f32]) -> R) -> (Vec<f32>, R) {
    let mut numbers: Vec<f32> = Vec::with_capacity(len);
    // SAFETY: so many fit, any bits are an `f32`, and none is read before it is written.
    let result = write(unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr(), len) });
    // SAFETY: so many fit and are written.
    unsafe { numbers.set_len(len) };
    (numbers, result)
}

/// A line of the processor's cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read as numbers")] [f32; LANES]);

/// Lends `N` pieces of memory of the given lengths, with anything in them, that this thread keeps for later.
///
/// Each begins with a line of the cache: a vector that lies across two lines takes two turns to read or write.
pub(super) fn scratch<const N: usize, R>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    thread_local! {
        // As many as there were calls within calls.
        static KEPT: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
    }
    let lines = lengths.iter().map(|len| len.div_ceil(LANES)).sum();
    let mut memory = KEPT.with_borrow_mut(|kept| {
        // The smallest that is large enough, or else the largest, to be replaced.
        kept.sort_by_key(Vec::len);
        let fits = kept.iter().position(|memory| memory.len() >= lines);
        let index = fits.or(kept.len().checked_sub(1));
        index.map(|index| kept.remove(index)).unwrap_or_default()
    });
    if memory.len() < lines {
        memory = Vec::new();
        memory.resize(lines, Line([0.0; LANES]));
    }
    let start = memory.as_mut_ptr().cast::<f32>();
    let mut from = 0;
    let parts = lengths.map(|len| {
        // SAFETY: a line is sixteen numbers, the parts are within the lines counted above, and do not overlap.
        let part = unsafe { std::slice::from_raw_parts_mut(start.add(from), len) };
        from += len.next_multiple_of(LANES);
        part
    });
    let result = work(parts);
    KEPT.with_borrow_mut(|kept| kept.push(memory));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_apart_and_begin_with_a_line() {
        let fill = |pieces: [&mut [f32]; 3]| {
            for (i, piece) in pieces.into_iter().enumerate() {
                assert_eq!(piece.as_ptr() as usize % 64, 0);
                piece.fill(i as f32);
                let within = [piece.len(), 40];
                scratch(within, |inner| {
                    inner.into_iter().for_each(|inner| inner.fill(-1.0))
                });
                assert!(piece.iter().all(|x| *x == i as f32));
            }
        };
        scratch([3, 0, 70], fill);
        scratch([5000, 16, 1], fill);
        scratch([0, 0, 0], fill);
    }
}
