//! Long work shows a bar and hears the user's interrupt; short work does neither.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::cell;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Multiplications from which work counts as long: about half a second.
const LONG: f64 = 2e10;
/// How often a thread that cannot be asked to stop is looked after.
const LOOK: Duration = Duration::from_millis(50);

/// The covariance of `n` rows and its eigenvalues.
pub(super) struct Work {
    bar: Option<Progress>,
}

impl Work {
    /// Whether the work is long.
    pub fn is_long(n: usize, dim: usize) -> bool {
        let (n, dim) = (n as f64, dim as f64);
        dim * dim * (n + 10.0 * dim) > LONG
    }

    /// Work of `blocks` rounds, and one for the eigenvalues.
    pub fn new(n: usize, dim: usize, blocks: usize) -> Self {
        let bar = || Progress::new("covariance", blocks as u64 + 1);
        Self {
            bar: Self::is_long(n, dim).then(bar),
        }
    }

    /// Counts a round.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn step(&mut self) -> Result<()> {
        self.bar.as_mut().map_or(Ok(()), Progress::step)
    }

    /// The last round, which cannot be stopped inside: an interrupt leaves it to itself.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn last<T: Send + 'static>(
        self,
        note: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Some(mut bar) = self.bar else {
            return Ok(run());
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
        bar.step()?;
        bar.finish();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_round_gives_its_value_or_its_panic() {
        for (n, dim) in [(10, 10), (60_000, 784)] {
            let work = Work::new(n, dim, 0);
            assert_eq!(work.bar.is_some(), dim == 784);
            assert_eq!(work.last("counting", || 7).unwrap(), 7);
            let work = Work::new(n, dim, 0);
            let fall = || work.last("falling", || -> u8 { panic!("on purpose") });
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(fall)).is_err());
        }
    }
}
