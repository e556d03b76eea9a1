//! What a notebook cell needs at run time: its line to the kernel, its panics, its interrupts.
//!
//! The kernel's generated code calls [`init`] once, [`begin`] at the start of each cell and [`end`] at its last
//! line; everything else here is called by the prelude itself or through the macros `show!` and `question!`.
//!
//! The same code runs in three places, see [`Host`]: under the `itd` kernel it sends frames, under the
//! stock evcxr kernel it prints evcxr's own markers, and in a plain program it prints text.

use std::ffi::CStr;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::frame::{self, Frame};
use crate::{store, turn};

/// Who reads what this process prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The `itd` kernel, REPL or notebook runner.
    Itd,
    /// The stock evcxr kernel or REPL.
    Evcxr,
    /// A terminal, a pipe, a test.
    Plain,
}

/// Tells where this process runs, from the environment that the kernels set.
pub fn host() -> Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    *HOST.get_or_init(|| match std::env::var_os("EVCXR_IS_RUNTIME") {
        None => Host::Plain,
        Some(_) if std::env::var_os("ITD_CELL").is_some() => Host::Itd,
        Some(_) => Host::Evcxr,
    })
}

/// Sends a frame to the kernel, after everything printed before it.
///
/// A reader that has gone away is not an error of the cell: the frame is dropped.
pub fn send(frame: &Frame) {
    send_bytes(&frame::encode(frame));
}

/// Sends encoded frames in one piece.
pub(crate) fn send_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prepares the process for cells: panic hook, interrupt flag, and a thread that flushes partial lines.
///
/// Each cell calls it by way of [`begin`], since a crash may have replaced the process; a second call does
/// nothing.
pub fn init() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        if host() != Host::Itd {
            return;
        }
        std::panic::set_hook(Box::new(report_panic));
        // A second SIGINT is the kernel's business (it kills); here each one only raises the flag.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(flag()));
        // evcxr's own handlers turn a segmentation fault into an abort with a page of text. The plain
        // signal tells the kernel what happened.
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL] {
            // SAFETY: restores a signal's default action; no Rust code runs in a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // Rust flushes standard output at each newline; a progress line ends in none.
        let _ = std::thread::Builder::new()
            .name("itd-flush".into())
            .spawn(|| {
                loop {
                    std::thread::sleep(Duration::from_millis(50));
                    let _ = std::io::stdout().flush();
                }
            });
    });
}

/// Marks the start of a cell. `here` is a string that the cell's own code owns, as from `file!()`.
pub fn begin(here: &'static str) {
    init();
    turn::begin();
    calm();
    ENDED.store(false, Ordering::SeqCst);
    TOLD.set(false);
    store::tidy();
    if host() == Host::Itd {
        send(&Frame::Begin {
            code: shared_object(here),
        });
    }
}

/// Marks the last line of a cell, which a panic, a `?` or a `return` does not come to.
pub fn end() {
    ENDED.store(true, Ordering::SeqCst);
    if host() == Host::Itd {
        send(&Frame::End);
    }
}

/// Whether a cell came to its last line; tells the kernel if a panic or an error ended it.
pub fn over<E>(outcome: std::thread::Result<std::result::Result<(), E>>) -> bool {
    match outcome {
        Ok(Ok(())) => return ENDED.load(Ordering::SeqCst),
        Ok(Err(_)) => println!("EVCXR_ERROR_OCCURRED"),
        Err(thrown) => {
            // A hook of the user's, or none: `resume_unwind` calls none.
            if host() == Host::Itd && !TOLD.get() {
                let place = (String::new(), String::new(), 0, 0);
                tell_panic(text_of(&*thrown), place);
            }
            println!("EVCXR_PANIC_NOTIFICATION");
        }
    }
    false
}

/// Writes out what the cell has printed without a line end, and that it is over. The process calls it by this name,
/// however the cell ended: only here is the lock under which threads of the cell print.
#[unsafe(no_mangle)]
pub extern "C" fn itd_cell_over() {
    send(&Frame::Complete);
    turn::over();
}

/// From here on nobody has asked for an end.
pub(crate) fn calm() {
    flag().store(false, Ordering::SeqCst);
    HEARD.store(false, Ordering::SeqCst);
}

fn flag() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Default::default)
}

static HEARD: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);

/// Waits for a future on this thread, for a cell that has `.await` in it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Whether the user has asked this cell to stop.
///
/// Long loops look at it once a round and return what they have; see [`crate::progress::Progress::step`].
///
/// # Example: a loop of your own that can be stopped
/// ```
/// # use itd_cell as itd_prelude;
/// let mut rounds = 0;
/// while rounds < 3 && !itd_prelude::interrupted() {
///     rounds += 1;
/// }
/// assert_eq!(rounds, 3); // nobody interrupted
/// ```
pub fn interrupted() -> bool {
    let asked = flag().load(Ordering::SeqCst);
    if asked && host() == Host::Itd && !HEARD.swap(true, Ordering::SeqCst) {
        send(&Frame::Interrupted);
    }
    asked
}

/// Asks this cell to stop, as the user's interrupt does; the next cell starts anew.
pub fn interrupt() {
    flag().store(true, Ordering::SeqCst);
}

/// A name for a display that no other display of this process has.
pub fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    format!("itd-{pid}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

thread_local! {
    /// Whether the kernel has heard of a panic of this thread since the cell began.
    static TOLD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn report_panic(info: &PanicHookInfo<'_>) {
    TOLD.set(true);
    let place = match info.location() {
        Some(at) => (
            shared_object(at.file()),
            at.file().to_owned(),
            at.line(),
            at.column(),
        ),
        None => Default::default(),
    };
    tell_panic(text_of(info.payload()), place);
}

/// What was thrown, in words.
fn text_of(thrown: &(dyn std::any::Any + Send)) -> String {
    let text = thrown.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| thrown.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text was thrown".to_owned())
}

/// Tells the kernel of a panic; its place is a shared object, a file, a line and a column.
fn tell_panic(message: String, place: (String, String, u32, u32)) {
    let (code, file, line, column) = place;
    let thread = std::thread::current();
    send(&Frame::Panic {
        message,
        thread: thread.name().unwrap_or_default().to_owned(),
        code,
        file,
        line,
        column,
    });
}

/// The shared object in whose constants `text` lies. Every cell is a shared object of its own, and all
/// of them call their source `src/lib.rs`, so this is what tells them apart.
fn shared_object(text: &str) -> String {
    // SAFETY: dladdr only compares the address with the loaded objects and fills `info`.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(text.as_ptr().cast(), &mut info) == 0 || info.dli_fname.is_null() {
            return String::new();
        }
        CStr::from_ptr(info.dli_fname)
            .to_string_lossy()
            .into_owned()
    }
}
