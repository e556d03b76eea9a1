//! Work in rounds: it hears the user's interrupt between two of them, and shows a bar if it is long.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::cell;
use crate::error::{Error, Interrupted, Result};
use crate::progress::Progress;

/// Multiplications from which work counts as long: about half a second.
const LONG: f64 = 2e10;
/// How often a thread that cannot be asked to stop is looked after.
const LOOK: Duration = Duration::from_millis(50);

/// Work of a number of rounds.
pub(crate) struct Rounds {
    what: &'static str,
    done: u64,
    planned: u64,
    bar: Option<Progress>,
}

/// Whether so many multiplications are long work.
pub(crate) fn is_long(multiplications: f64) -> bool {
    multiplications > LONG
}

impl Rounds {
    /// Work of `planned` rounds, with a bar if all of them together are so many multiplications that it is long.
    pub fn new(what: &'static str, planned: usize, multiplications: f64) -> Self {
        let planned = planned as u64;
        let bar = || Progress::new(what, planned);
        Self {
            what,
            done: 0,
            planned,
            bar: is_long(multiplications).then(bar),
        }
    }

    /// Counts a round.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn step(&mut self) -> Result<()> {
        self.done += 1;
        if let Some(bar) = &mut self.bar {
            bar.step()?;
            if self.done == self.planned
                && let Some(bar) = self.bar.take()
            {
                bar.finish();
            }
            return Ok(());
        }
        self.listen()
    }

    /// Asks for the interrupt alone.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn listen(&mut self) -> Result<()> {
        match (&mut self.bar, cell::interrupted()) {
            (_, false) => Ok(()),
            (Some(bar), true) => bar.advance(0),
            (None, true) => {
                let stopped = Interrupted::new(self.what, self.done, self.planned);
                Err(Error::Interrupted(stopped.counted_in("rounds")))
            }
        }
    }

    /// The last round, which cannot be stopped inside: an interrupt leaves it to itself.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn last<T: Send + 'static>(
        mut self,
        note: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Some(bar) = &mut self.bar else {
            let value = run();
            self.step()?;
            return Ok(value);
        };
        bar.note(note);
        let (send, receive) = channel();
        let thread = thread::spawn(move || {
            // Nobody listens after an interrupt.
            let _ = send.send(run());
        });
        let value = loop {
            match receive.recv_timeout(LOOK) {
                Ok(value) => break value,
                Err(RecvTimeoutError::Timeout) if cell::interrupted() => {
                    return Err(Error::Interrupted(bar.stopped()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match thread.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => return Err(Error::Interrupted(bar.stopped())),
                },
            }
        };
        bar.note("");
        self.step()?;
        Ok(value)
    }
}
