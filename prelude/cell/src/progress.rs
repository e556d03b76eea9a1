//! Long work shows itself: a bar with rate and time left, and a picture that is redrawn while it runs.
//!
//! In a notebook both are displays that are updated in place, at most a few times a second; the last
//! state stays in the file. In a terminal the bar is one line rewritten with a carriage return; in a
//! pipe it is a single line at the end.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::display::{Show, plain};
use crate::error::{Error, Interrupted, Result};
use crate::media::escape;
use crate::text;
use crate::{self as cell, Bundle, Frame, Host};

/// Shortest time between two updates of a bar.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// Shortest time between two updates of a picture, so that it does not flicker.
const PICTURE_PERIOD: Duration = Duration::from_millis(500);

/// A display that can be replaced by a newer state of itself.
#[derive(Debug)]
pub struct Display {
    id: String,
    shown: bool,
    last: Option<Instant>,
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl Display {
    /// A display that shows nothing yet.
    pub fn new() -> Self {
        Self {
            id: cell::fresh_id(),
            shown: false,
            last: None,
        }
    }

    /// Shows `value`, in place of what this display showed before.
    ///
    /// # Errors
    /// Whatever keeps the value from being drawn.
    pub fn show(&mut self, value: &dyn Show) -> Result<()> {
        self.put(value.bundle()?);
        Ok(())
    }

    /// Like [`Self::show`], but draws only when the last picture is old enough not to flicker.
    ///
    /// # Errors
    /// Whatever keeps the value from being drawn.
    pub fn refresh<S: Show>(&mut self, draw: impl FnOnce() -> Result<S>) -> Result<()> {
        match self.due(PICTURE_PERIOD) && cell::host() == Host::Itd {
            true => self.show(&draw()?),
            false => Ok(()),
        }
    }

    fn due(&self, period: Duration) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= period)
    }

    pub(crate) fn put(&mut self, data: Bundle) {
        self.last = Some(Instant::now());
        match cell::host() {
            Host::Itd => cell::send(&Frame::Display {
                data,
                id: Some(self.id.clone()),
                update: self.shown,
            }),
            _ => cell::display::send_bundle(data, false),
        }
        self.shown = true;
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` without bars of its own, as a part of something larger that has one. They still listen for the
/// user's interrupt.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::progress::{Progress, quietly};
///
/// let sum = quietly(|| {
///     let mut bar = Progress::new("adding", 2);
///     bar.step()?;
///     bar.step()?;
///     bar.finish();
///     Ok::<_, itd_prelude::Error>(2)
/// })?;
/// assert_eq!(sum, 2);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    /// Ends the silence when `work` is left, in whatever way.
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    let _back = Back(QUIET.replace(true));
    work()
}

/// A bar for a loop of known length, which also listens for the user's interrupt.
#[derive(Debug)]
pub struct Progress {
    what: String,
    note: String,
    unit: Unit,
    done: u64,
    /// What was done before this bar began, and says nothing about its pace.
    before: u64,
    planned: u64,
    start: Instant,
    display: Display,
}

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Rounds,
    Bytes,
}

impl Progress {
    /// A bar for `planned` rounds of `what`, such as "training".
    pub fn new(what: impl Into<String>, planned: u64) -> Self {
        Self {
            what: what.into(),
            note: String::new(),
            unit: Unit::Rounds,
            done: 0,
            before: 0,
            planned,
            start: Instant::now(),
            display: Display::new(),
        }
    }

    /// A bar for `planned` bytes, 0 when their number is not known, such as those of a download.
    pub fn bytes(what: impl Into<String>, planned: u64) -> Self {
        Self {
            unit: Unit::Bytes,
            ..Self::new(what, planned)
        }
    }

    /// A few words behind the bar, such as the loss.
    pub fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Counts one round.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user has asked to stop; the caller adds what it has.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::progress::Progress;
    ///
    /// let mut bar = Progress::new("adding", 10);
    /// let mut sum = 0;
    /// for i in 0..10 {
    ///     sum += i;
    ///     bar.step()?;
    /// }
    /// bar.finish();
    /// assert_eq!(sum, 45);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn step(&mut self) -> Result<(), Error> {
        self.advance(1)
    }

    /// Counts what was done before, such as the bytes of a download that is gone on with: it is no part of the pace.
    pub fn skip(&mut self, count: u64) {
        self.done += count;
        self.before += count;
    }

    /// Adds to what is planned, when more of it becomes known.
    pub fn expect(&mut self, more: u64) {
        self.planned += more;
    }

    /// Sets how much is planned, when that turns out to be something else.
    pub fn plan(&mut self, planned: u64) {
        self.planned = planned.max(self.done);
    }

    /// Counts several rounds, or none where only the interrupt is asked for.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn advance(&mut self, count: u64) -> Result<(), Error> {
        self.done += count;
        cell::comm::poll();
        if cell::interrupted() {
            self.draw(true);
            return Err(Error::Interrupted(self.stopped()));
        }
        self.draw(false);
        Ok(())
    }

    /// The error of a loop that stops here.
    pub fn stopped(&self) -> Interrupted {
        let stopped = Interrupted::new(&self.what, self.done, self.planned);
        match self.unit {
            Unit::Rounds => stopped,
            Unit::Bytes => stopped.counted_in("bytes"),
        }
    }

    /// Draws the bar a last time.
    pub fn finish(mut self) {
        self.draw(true);
    }

    fn draw(&mut self, last: bool) {
        if QUIET.get() {
            return;
        }
        if !last && (self.start.elapsed() < BAR_PERIOD || !self.display.due(BAR_PERIOD)) {
            return;
        }
        match cell::host() {
            Host::Itd => self.display.put(self.bundle(last)),
            Host::Plain if std::io::stderr().is_terminal() => {
                let end = if last { "\n" } else { "" };
                let _ = write!(
                    std::io::stderr(),
                    "\r\x1b[2K{}{end}",
                    self.line(&self.pace())
                );
                self.display.last = Some(Instant::now());
            }
            _ if last => {
                let _ = writeln!(std::io::stderr(), "{}", self.line(&self.pace()));
            }
            _ => {}
        }
    }

    /// `training ████████░░░░ 67 %  1,340/2,000  512/s  1 s left  loss 1.23`
    fn line(&self, pace: &str) -> String {
        let share = self.share();
        let filled = (share * 20.0).round() as usize;
        let bar = "█".repeat(filled) + &"░".repeat(20 - filled);
        let percent = share * 100.0;
        let (what, amount, note) = (&self.what, self.amount(), &self.note);
        let line = match self.endless() {
            true => format!("{what}  {amount}  {pace}  {note}"),
            false => format!("{what} {bar} {percent:.0} %  {amount}  {pace}  {note}"),
        };
        line.trim_end().to_owned()
    }

    /// Whether nobody knows how much there is to do.
    fn endless(&self) -> bool {
        self.unit == Unit::Bytes && self.planned == 0
    }

    fn amount(&self) -> String {
        let (done, planned) = (self.done, self.planned);
        match self.unit {
            Unit::Rounds => format!("{done}/{planned}"),
            Unit::Bytes if planned == 0 => text::bytes(done),
            Unit::Bytes => format!("{} of {}", text::bytes(done), text::bytes(planned)),
        }
    }

    fn share(&self) -> f64 {
        match self.planned {
            0 => 1.0,
            planned => (self.done as f64 / planned as f64).min(1.0),
        }
    }

    /// Rate, and time left or, at the end, time taken.
    fn pace(&self) -> String {
        let taken = self.start.elapsed().as_secs_f64();
        let done = self.done - self.before;
        let rate = done as f64 / taken.max(1e-9);
        let rate = match self.unit {
            Unit::Bytes => format!("{}/s", text::bytes(rate as u64)),
            Unit::Rounds if rate >= 10.0 => format!("{rate:.0}/s"),
            Unit::Rounds => format!("{rate:.2}/s"),
        };
        let left = self.planned.saturating_sub(self.done);
        match (done, left) {
            (0, _) => String::new(),
            (_, 0) => format!("{rate}  {}", clock(taken)),
            (done, left) => format!("{rate}  {} left", clock(taken / done as f64 * left as f64)),
        }
    }

    /// The bar for a notebook. Its last state stays in the file, so it holds nothing that another run would
    /// not give again.
    fn bundle(&self, last: bool) -> Bundle {
        let pace = if last { String::new() } else { self.pace() };
        let mut bundle = plain(self.line(&pace));
        let percent = self.share() * 100.0;
        let (what, note) = (escape(&self.what), escape(&self.note));
        let amount = self.amount();
        // Where it ends is not known of every work.
        let bar = match self.endless() {
            true => String::new(),
            false => format!(
                "<span style=\"width:14em;height:.5em;border-radius:.25em;background:#8883;overflow:hidden\">\
                 <span style=\"display:block;height:100%;width:{percent:.1}%;background:#2a78d6\"></span></span>\
                 <span>{percent:.0} %</span>"
            ),
        };
        let html = format!(
            "<div style=\"display:flex;align-items:center;gap:.8em;font:13px system-ui,sans-serif;\
             font-variant-numeric:tabular-nums\"><span>{what}</span>{bar}<span style=\"opacity:.7\">{amount} {pace}</span>\
             <span>{note}</span></div>"
        );
        bundle.insert("text/html".to_owned(), html.into());
        bundle
    }
}

/// Seconds for people: `0.42 s`, `17 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_fast() {
        let mut bar = Progress::new("training", 4);
        bar.start = Instant::now() - Duration::from_secs(2);
        bar.done = 1;
        bar.note("loss 1.5");
        let line = bar.line(&bar.pace());
        assert!(
            line.contains("25 %  1/4  0.50/s  6.0 s left  loss 1.5"),
            "{line}"
        );
    }

    #[test]
    fn a_download_of_unknown_length_has_no_percent() {
        let mut bar = Progress::bytes("downloading", 0);
        bar.advance(5_000_000).unwrap();
        let shown = bar.bundle(false);
        let html = shown["text/html"].as_str().unwrap();
        assert!(!html.contains('%'), "{html}");
        assert!(html.contains("MB"), "{html}");
        bar.expect(10_000_000);
        let shown = bar.bundle(false);
        assert!(shown["text/html"].as_str().unwrap().contains("50 %"));
    }

    #[test]
    fn a_download_counts_bytes_and_only_its_own_in_the_rate() {
        let mut bar = Progress::bytes("downloading", 4_000_000_000);
        bar.start = Instant::now() - Duration::from_secs(1960);
        bar.skip(1_000_000_000);
        bar.advance(2_000_000_000).unwrap();
        let line = bar.line(&bar.pace());
        let right = "75 %  3.0 GB of 4.0 GB  1.0 MB/s  16 min";
        assert!(line.contains(right), "{line}");
        bar.expect(1);
        let stopped = bar.stopped().to_string();
        assert!(
            stopped.contains("3000000000 of 4000000001 bytes"),
            "{stopped}"
        );
        let mut bar = Progress::bytes("downloading", 0);
        bar.advance(1500).unwrap();
        assert_eq!(bar.line(""), "downloading  1.5 kB");
    }

    #[test]
    fn clocks_read_well() {
        let read: Vec<_> = [0.42, 17.2, 185.0, 7800.0].map(clock).into();
        assert_eq!(read, ["0.4 s", "17 s", "3 min 05 s", "2 h 10 min"]);
    }

    #[test]
    fn an_empty_loop_is_done() {
        assert_eq!(Progress::new("nothing", 0).share(), 1.0);
    }
}
