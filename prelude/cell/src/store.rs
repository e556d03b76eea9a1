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
    let place = hand_out_now(number, Layout::new::<T>(), type_name::<T>());
    // SAFETY: a `T` was written there, and nobody else reads it: it is marked as out.
    unsafe { place.cast::<T>().read() }
}

/// Gives back what was taken; with `replaced` the cell has defined it anew, and it is dropped. It is dropped, too,
/// where no value of its type is missing.
pub fn give_back<T: 'static>(value: T, number: u32, replaced: bool) {
    if replaced {
        return;
    }
    if let Some(place) = home(number, Layout::new::<T>(), type_name::<T>()) {
        // SAFETY: the place is for a `T`, and is empty.
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

/// A place for a new value; one that was kept under the number is dropped first.
fn room(number: u32, layout: Layout, type_name: &'static str, drop: Option<Drop>) -> *mut u8 {
    forget(&[number]);
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
    store().insert(number, slot);
    place
}

/// The place of a value of this type, marked as out; or why there is none.
fn hand_out(number: u32, layout: Layout, type_name: &str) -> Result<*mut u8, String> {
    let mut store = store();
    let slot = store.get_mut(&number).filter(|slot| !slot.out);
    let slot = slot.ok_or("a variable has gone missing")?;
    if !slot.is_for(layout, type_name) {
        let was = slot.type_name;
        return Err(format!(
            "a variable of type {was} was taken for one of type {type_name}"
        ));
    }
    slot.out = true;
    Ok(slot.place)
}

/// Apart from `take`, which is compiled in each cell for each type.
fn hand_out_now(number: u32, layout: Layout, type_name: &str) -> *mut u8 {
    hand_out(number, layout, type_name).unwrap_or_else(|why| panic!("{why}"))
}

/// The place from which a value of this type was taken, marked as full.
fn home(number: u32, layout: Layout, type_name: &str) -> Option<*mut u8> {
    let mut store = store();
    let slot = store.get_mut(&number)?;
    let empty = slot.out && slot.is_for(layout, type_name);
    empty.then(|| {
        slot.out = false;
        slot.place
    })
}

impl Slot {
    fn is_for(&self, layout: Layout, type_name: &str) -> bool {
        (self.layout, self.type_name) == (layout, type_name)
    }

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

/// They need nothing but std, so that a sanitizer runs them in seconds: `docs/decisions.md` says how.
#[cfg(test)]
mod tests {
    use super::*;
    use std::any::Any;
    use std::cell::Cell;
    use std::sync::Arc;

    /// Held by each test, since `tidy` forgets what another one has just taken.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn a_value_is_kept_taken_and_given_back() {
        let _alone = alone();
        keep(vec![1, 2], 1);
        keep((), 2);
        // SAFETY: these are the types that were kept.
        let mut kept = unsafe { take::<Vec<i32>>(1) };
        kept.push(3);
        give_back(kept, 1, false);
        tidy();
        // SAFETY: as above.
        assert_eq!(unsafe { take::<Vec<i32>>(1) }, [1, 2, 3]);
        // SAFETY: as above.
        unsafe { take::<()>(2) };
        tidy();
    }

    #[test]
    fn every_value_is_dropped_once() {
        let _alone = alone();
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
        // SAFETY: as above.
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
        let _alone = alone();
        keep(1_u32, 20);
        // SAFETY: nothing is read, since the types differ.
        let wrong = catch_unwind(|| unsafe { take::<f32>(20) });
        assert!(wrong.is_err());
        // SAFETY: nothing is read, since there is nothing.
        let missing = catch_unwind(|| unsafe { take::<f32>(21) });
        assert!(missing.is_err());
        // SAFETY: this is the type that was kept.
        assert_eq!(unsafe { take::<u32>(20) }, 1);
        tidy();
    }

    thread_local! {
        static LIVING: Cell<usize> = const { Cell::new(0) };
    }

    /// Knows how many of it there are, in no bytes.
    struct Counted;

    impl Counted {
        fn new() -> Self {
            LIVING.set(LIVING.get() + 1);
            Self
        }
    }

    impl std::ops::Drop for Counted {
        fn drop(&mut self) {
            LIVING.set(LIVING.get() - 1);
        }
    }

    /// A value that can be made of a seed and told from others.
    trait Value: 'static {
        fn make(seed: u8) -> Self;
        fn is(&self, seed: u8) -> bool;
    }

    /// Its living ones are counted.
    struct Of<T>(T, Counted);

    impl<T: Value> Value for Of<T> {
        fn make(seed: u8) -> Self {
            Self(T::make(seed), Counted::new())
        }

        fn is(&self, seed: u8) -> bool {
            std::ptr::from_ref(self).is_aligned() && self.0.is(seed)
        }
    }

    macro_rules! value {
        ($($type:ty: |$seed:ident| $new:expr;)*) => { $(
            impl Value for $type {
                fn make($seed: u8) -> Self {
                    $new
                }

                fn is(&self, seed: u8) -> bool {
                    *self == Self::make(seed)
                }
            }
        )* };
    }

    #[derive(PartialEq)]
    #[repr(align(64))]
    struct Nothing64;
    #[derive(PartialEq)]
    #[repr(align(16))]
    struct Align16(u8);
    #[derive(PartialEq)]
    #[repr(align(32))]
    struct Align32([u8; 33]);
    #[derive(PartialEq)]
    #[repr(align(4096))]
    struct Page(u8);
    #[derive(Clone, Copy, PartialEq)]
    #[repr(Rust, packed)]
    struct Packed(u8, u64, u16);
    #[derive(PartialEq)]
    enum Either {
        Left(String),
        Right([u64; 3]),
    }

    value! {
        [u8; 0]: |_seed| [];
        Nothing64: |_seed| Nothing64;
        [String; 0]: |_seed| [];
        bool: |seed| seed & 1 == 1;
        u128: |seed| u128::MAX / (u128::from(seed) + 1);
        f64: |seed| f64::from(seed) / 3.0;
        Align16: |seed| Align16(seed);
        Align32: |seed| Align32([seed; 33]);
        Page: |seed| Page(seed);
        Packed: |seed| Packed(seed, u64::MAX - u64::from(seed), 7);
        [u8; 65_537]: |seed| [seed; 65_537];
        String: |seed| format!("number {seed}");
        [String; 3]: |seed| [1, 2, 3].map(|place| format!("{seed} at {place}"));
        Vec<String>: |seed| vec![seed.to_string(); 3];
        Option<Box<u8>>: |seed| (seed & 1 == 1).then(|| Box::new(seed));
        Either: |seed| match seed & 1 {
            0 => Either::Left(seed.to_string()),
            _ => Either::Right([u64::from(seed); 3]),
        };
        &'static str: |seed| ["even", "odd"][usize::from(seed & 1)];
    }

    impl Value for Box<dyn Any> {
        fn make(seed: u8) -> Self {
            Box::new([u64::from(seed); 2])
        }

        fn is(&self, seed: u8) -> bool {
            self.downcast_ref() == Some(&[u64::from(seed); 2])
        }
    }

    impl Value for Box<dyn Fn() -> u8> {
        fn make(seed: u8) -> Self {
            let text = seed.to_string();
            Box::new(move || text.parse().unwrap_or_default())
        }

        fn is(&self, seed: u8) -> bool {
            self() == seed
        }
    }

    /// What a cell, or the kernel between cells, may do with one number.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A value of the first type, or of the second.
        Keep {
            second: bool,
        },
        Take {
            second: bool,
        },
        /// The value that was taken last.
        GiveBack {
            replaced: bool,
        },
        MoveAway,
        Forget,
        Tidy,
    }

    const STEPS: [Step; 9] = [
        Step::Keep { second: false },
        Step::Keep { second: true },
        Step::Take { second: false },
        Step::Take { second: true },
        Step::GiveBack { replaced: false },
        Step::GiveBack { replaced: true },
        Step::MoveAway,
        Step::Forget,
        Step::Tidy,
    ];

    enum Taken<A, B> {
        First(A, u8),
        Second(B, u8),
    }

    const NUMBER: u32 = 30;

    /// Takes a value, if it is there and of this type, which the model knows.
    fn taken<T: Value>(there: bool, seed: u8) -> Option<T> {
        let (layout, name) = (Layout::new::<T>(), type_name::<T>());
        if !there {
            assert!(hand_out(NUMBER, layout, name).is_err());
            return None;
        }
        let place = store()[&NUMBER].place;
        assert_eq!(place.addr() % layout.align(), 0);
        // SAFETY: this is the type that was kept.
        let value = unsafe { take::<T>(NUMBER) };
        assert!(value.is(seed));
        Some(value)
    }

    /// Walks the store and a model of it through the same steps.
    fn walk<A: Value, B: Value>(steps: &[Step]) {
        // What the store has under the number: of which type, of which seed, and whether it is out.
        let mut slot: Option<(bool, u8, bool)> = None;
        let mut out: Vec<Taken<A, B>> = Vec::new();
        for (seed, &step) in (1..).zip(steps) {
            let there = |type_: bool| matches!(slot, Some((second, _, false)) if second == type_);
            let kept = slot.map_or(0, |(_, seed, _)| seed);
            match step {
                Step::Keep { second } => {
                    match second {
                        false => keep(A::make(seed), NUMBER),
                        true => keep(B::make(seed), NUMBER),
                    }
                    slot = Some((second, seed, false));
                }
                Step::Take { second } => {
                    let value = match second {
                        false => taken(there(false), kept).map(|it| Taken::First(it, kept)),
                        true => taken(there(true), kept).map(|it| Taken::Second(it, kept)),
                    };
                    if let Some(value) = value {
                        slot = Some((second, kept, true));
                        out.push(value);
                    }
                }
                Step::GiveBack { replaced } => {
                    let Some(value) = out.pop() else { continue };
                    let (second, seed) = match value {
                        Taken::First(value, seed) => {
                            give_back(value, NUMBER, replaced);
                            (false, seed)
                        }
                        Taken::Second(value, seed) => {
                            give_back(value, NUMBER, replaced);
                            (true, seed)
                        }
                    };
                    if let Some((kind, _, true)) = slot
                        && kind == second
                        && !replaced
                    {
                        slot = Some((second, seed, false));
                    }
                }
                Step::MoveAway => drop(out.pop()),
                Step::Forget => {
                    forget(&[NUMBER]);
                    slot = None;
                }
                Step::Tidy => {
                    tidy();
                    slot = slot.filter(|(_, _, out)| !out);
                }
            }
            let inside = usize::from(matches!(slot, Some((_, _, false))));
            assert_eq!(LIVING.get(), inside + out.len(), "{steps:?}");
            assert_eq!(store().contains_key(&NUMBER), slot.is_some(), "{steps:?}");
        }
        forget(&[NUMBER]);
        drop(out);
        assert_eq!(LIVING.get(), 0, "{steps:?}");
    }

    /// Every walk of this length, `ITD_STORE_STEPS` for another.
    fn walks<A: Value, B: Value>() {
        let length = std::env::var("ITD_STORE_STEPS").ok();
        let length = length.map_or(5, |length| length.parse().expect("a number"));
        let mut steps = vec![0; length];
        loop {
            let walked: Vec<Step> = steps.iter().map(|&step| STEPS[step]).collect();
            walk::<Of<A>, Of<B>>(&walked);
            let Some(place) = steps.iter().position(|&step| step + 1 < STEPS.len()) else {
                return;
            };
            steps[..place].fill(0);
            steps[place] += 1;
        }
    }

    #[test]
    fn values_of_all_layouts_go_in_and_out() {
        let _alone = alone();
        walks::<[u8; 0], u128>();
        walks::<Nothing64, bool>();
        walks::<[String; 0], f64>();
        walks::<Align16, Packed>();
        walks::<Align32, String>();
        walks::<Page, Either>();
        walks::<[String; 3], Option<Box<u8>>>();
        walks::<Vec<String>, Box<dyn Any>>();
        walks::<Box<dyn Fn() -> u8>, &'static str>();
        walks::<[u8; 65_537], Nothing64>();
        // The same layout, other names.
        walks::<String, Vec<String>>();
    }
}
