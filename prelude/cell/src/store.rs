//! The variables of a session between its cells.
//!
//! A cell takes those that it names and gives them back, whether it comes to its end or not; what it has defined it
//! keeps at its end. The kernel's generated code calls these functions, and knows the types: here a value is memory
//! with a size, an alignment, the name of its type, and a way to drop it.

use std::alloc::Layout;
use std::any::type_name;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What drops a value where it lies.
type Drop = unsafe fn(*mut u8);

/// A value that waits for the next cell that names it.
struct Slot {
    place: *mut u8,
    layout: Layout,
    type_name: &'static str,
    drop: Option<Drop>,
    /// A cell has taken the value and not given it back.
    out: bool,
}

// SAFETY: only the thread that runs the cells puts, takes and drops values.
unsafe impl Send for Slot {}

static STORE: Mutex<BTreeMap<u32, Slot>> = Mutex::new(BTreeMap::new());

fn store() -> MutexGuard<'static, BTreeMap<u32, Slot>> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a value for later cells under a number of its own.
pub fn keep<T: 'static>(value: T, number: u32) {
    let drop = std::mem::needs_drop::<T>().then(|| {
        let drop: unsafe fn(*mut T) = std::ptr::drop_in_place::<T>;
        // SAFETY: pointers to sized types are passed alike.
        unsafe { std::mem::transmute::<unsafe fn(*mut T), Drop>(drop) }
    });
    let place = room(number, Layout::new::<T>(), type_name::<T>(), drop);
    // SAFETY: the memory is new and has the layout of a `T`.
    unsafe { place.cast::<T>().write(value) }
}

/// Takes a value out, to be given back.
///
/// # Panics
/// When there is none under this number, or one of another type: the kernel asks for no such thing.
///
/// # Safety
/// `T` is the type under which the value was kept. Its size, alignment and name are compared; that no type was
/// defined anew under the same name is for the kernel to know.
pub unsafe fn take<T: 'static>(number: u32) -> T {
    let place = hand_out(number, Layout::new::<T>(), type_name::<T>());
    // SAFETY: a `T` was written there, and nobody else reads it: it is marked as out.
    unsafe { place.cast::<T>().read() }
}

/// Gives back what was taken; with `replaced` the cell has defined it anew, and it is dropped.
pub fn give_back<T: 'static>(value: T, number: u32, replaced: bool) {
    if replaced {
        return;
    }
    if let Some(place) = home(number) {
        // SAFETY: the value was read from there.
        unsafe { place.cast::<T>().write(value) }
    }
}

/// Drops values that no cell will ask for again.
pub fn forget(numbers: &[u32]) {
    for number in numbers {
        let slot = store().remove(number);
        if let Some(slot) = slot {
            slot.end();
        }
    }
}

/// Forgets the places of values that a cell has taken and moved elsewhere.
pub(crate) fn tidy() {
    let mut store = store();
    store.retain(|_, slot| {
        if slot.out {
            slot.free();
        }
        !slot.out
    });
}

fn room(number: u32, layout: Layout, type_name: &'static str, drop: Option<Drop>) -> *mut u8 {
    let place = match layout.size() {
        0 => std::ptr::without_provenance_mut(layout.align()),
        // SAFETY: the size is not zero.
        _ => unsafe { std::alloc::alloc(layout) },
    };
    if place.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    let slot = Slot {
        place,
        layout,
        type_name,
        drop,
        out: false,
    };
    let before = store().insert(number, slot);
    if let Some(slot) = before {
        slot.end();
    }
    place
}

fn hand_out(number: u32, layout: Layout, type_name: &str) -> *mut u8 {
    let mut store = store();
    let slot = store.get_mut(&number).filter(|slot| !slot.out);
    let Some(slot) = slot else {
        drop(store);
        panic!("a variable has gone missing");
    };
    if (slot.layout, slot.type_name) != (layout, type_name) {
        let was = slot.type_name;
        drop(store);
        panic!("a variable of type {was} was taken for one of type {type_name}");
    }
    slot.out = true;
    slot.place
}

fn home(number: u32) -> Option<*mut u8> {
    let mut store = store();
    let slot = store.get_mut(&number)?;
    slot.out = false;
    Some(slot.place)
}

impl Slot {
    /// Drops the value if it is there, and frees the memory.
    fn end(self) {
        if let (Some(drop), false) = (self.drop, self.out) {
            // A destructor that panics has said so, and ends nothing.
            // SAFETY: the value lies there, and this is the last time that it is looked at.
            let _ = catch_unwind(AssertUnwindSafe(|| unsafe { drop(self.place) }));
        }
        self.free();
    }

    /// Frees the memory; the slot is of no use afterwards.
    fn free(&self) {
        if self.layout.size() > 0 {
            // SAFETY: it was allocated with this layout.
            unsafe { std::alloc::dealloc(self.place, self.layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_value_is_kept_taken_and_given_back() {
        keep(vec![1, 2], 1);
        keep((), 2);
        // SAFETY: these are the types that were kept.
        let mut kept = unsafe { take::<Vec<i32>>(1) };
        kept.push(3);
        give_back(kept, 1, false);
        tidy();
        // SAFETY: as above.
        assert_eq!(unsafe { take::<Vec<i32>>(1) }, [1, 2, 3]);
        unsafe { take::<()>(2) };
    }

    #[test]
    fn every_value_is_dropped_once() {
        let count = Arc::new(());
        let living = || Arc::strong_count(&count) - 1;
        for number in 10..15 {
            keep(Arc::clone(&count), number);
        }
        assert_eq!(living(), 5);
        forget(&[10, 99]);
        assert_eq!(living(), 4);
        // One that is moved away, one that is defined anew, one under a number that is used again.
        // SAFETY: these are the types that were kept.
        let moved = unsafe { take::<Arc<()>>(11) };
        give_back(unsafe { take::<Arc<()>>(12) }, 12, true);
        keep(Arc::clone(&count), 13);
        assert_eq!(living(), 3);
        drop(moved);
        tidy();
        assert_eq!(living(), 2);
        forget(&[11, 12, 13, 14]);
        assert_eq!(living(), 0);
    }

    #[test]
    fn another_type_is_refused() {
        keep(1_u32, 20);
        // SAFETY: nothing is read, since the types differ.
        let wrong = catch_unwind(|| unsafe { take::<f32>(20) });
        assert!(wrong.is_err());
        let missing = catch_unwind(|| unsafe { take::<f32>(21) });
        assert!(missing.is_err());
        // SAFETY: this is the type that was kept.
        assert_eq!(unsafe { take::<u32>(20) }, 1);
    }
}
