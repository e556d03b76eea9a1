//! Whose turn it is: cells run one after the other, and what a front end's messages call for runs between them, or
//! in a cell that asks for it.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Turn {
    cell: bool,
    handler: bool,
}

static TURN: Mutex<Turn> = Mutex::new(Turn {
    cell: false,
    handler: false,
});
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// This thread runs cells.
    static CELLS: Cell<bool> = const { Cell::new(false) };
    /// This thread is handling a message.
    static HANDLES: Cell<bool> = const { Cell::new(false) };
}

fn turn() -> MutexGuard<'static, Turn> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(busy: impl Fn(&Turn) -> bool) -> MutexGuard<'static, Turn> {
    CHANGED
        .wait_while(turn(), |turn| busy(turn))
        .unwrap_or_else(PoisonError::into_inner)
}

/// A cell begins on this thread, as soon as no message is being handled.
pub(crate) fn begin() {
    wait_while(|turn| turn.handler).cell = true;
    CELLS.set(true);
}

/// The cell is over.
pub(crate) fn over() {
    turn().cell = false;
    CHANGED.notify_all();
}

/// Handles a message when neither a cell nor another message has its turn.
pub(crate) fn between_cells(work: impl FnOnce()) {
    wait_while(|turn| turn.cell || turn.handler).handler = true;
    handling(work);
    turn().handler = false;
    CHANGED.notify_all();
}

/// Handles a message, or what a handler calls for, in the cell that this thread runs.
pub(crate) fn handling(work: impl FnOnce()) {
    let before = HANDLES.replace(true);
    // What a handler's panic says is told by the hook; the next message is handled all the same.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    HANDLES.set(before);
}

/// Whether this thread is handling a message.
pub(crate) fn is_handling() -> bool {
    HANDLES.get()
}

/// Whether this thread runs a cell, and may handle messages in it.
pub(crate) fn is_cell() -> bool {
    CELLS.get() && !HANDLES.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_message_waits_for_the_cell_and_a_cell_for_the_message() {
        begin();
        let (tell, told) = channel();
        let (go, gone) = channel::<()>();
        let handler = std::thread::spawn(move || {
            between_cells(|| {
                tell.send((is_handling(), is_cell())).unwrap();
                let _ = gone.recv();
                panic!("what goes wrong in a handler");
            });
        });
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        assert!(is_cell());
        over();
        let inside = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(inside, (true, false));
        let next = std::thread::spawn(|| {
            begin();
            over();
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!next.is_finished());
        go.send(()).unwrap();
        next.join().unwrap();
        handler.join().unwrap();
    }
}
