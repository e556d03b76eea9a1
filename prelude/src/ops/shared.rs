//! Memory that several threads write to, each its own part.

use std::cell::RefCell;
use std::marker::PhantomData;

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

/// Lends `N` pieces of memory of the given lengths, with anything in them, that this thread keeps for later.
pub(super) fn scratch<const N: usize, R>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    thread_local! {
        static KEPT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    // Taken and put back, so that a thread that is lent to other work meanwhile finds it empty, not borrowed.
    let mut memory = KEPT.take();
    let len = lengths.iter().sum();
    if memory.len() < len {
        memory = Vec::new();
        memory.resize(len, 0.0);
    }
    let mut rest = memory.as_mut_slice();
    let parts = lengths.map(|len| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
        rest = after;
        part
    });
    let result = work(parts);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < memory.len() {
            *kept = memory;
        }
    });
    result
}
