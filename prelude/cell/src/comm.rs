//! Comms: the protocol's channels between this process and a front end. Widgets speak on them; others may.
//!
//! ```text
//! kernel ──socket──▶ thread `itd-messages` ──▶ state, at once
//!                          │ what has to be run
//!                          ▼
//!                    thread `itd-handlers`, between cells; or the cell that runs, where it polls
//! ```
//!
//! A handler is a closure that outlives its cell: what it captures it owns (`move`, and clones of what later cells
//! need as well), and it can be sent to another thread (`Send`). `Arc<Mutex<_>>` or a widget's handle bring values
//! out of it. While it runs no cell does; an interrupt stops it as it stops a cell.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::frame::{self, CommKind, Frame};
use crate::{Host, host, turn};

/// What goes over a comm.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// A JSON object.
    pub data: Value,
    /// A JSON object.
    pub metadata: Value,
    /// Bytes that go along.
    pub buffers: Vec<Vec<u8>>,
}

impl Message {
    /// A message without metadata and bytes.
    pub fn new(data: Value) -> Self {
        Self {
            data,
            metadata: json!({}),
            buffers: Vec::new(),
        }
    }
}

/// What is to be run for a message, when it is its turn.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// What comes of a message.
#[derive(Default)]
pub(crate) struct Reaction {
    /// What is told the front end.
    pub(crate) frames: Vec<Frame>,
    pub(crate) work: Option<Work>,
    /// The work need not be done if more of its kind waits behind it.
    pub(crate) replaceable: bool,
}

/// This process's end of a comm.
pub(crate) trait End: Send + Sync {
    /// Takes a message in, at once, even while a cell runs.
    fn take(self: Arc<Self>, message: Message) -> Reaction;
}

/// Opens this end of a comm that a front end has opened.
type Opener = Arc<dyn Fn(String, Message) -> Reaction + Send + Sync>;

#[derive(Default)]
struct Registry {
    ends: HashMap<String, Arc<dyn End>>,
    targets: HashMap<String, Opener>,
    queue: VecDeque<Job>,
}

/// Work that waits for its turn.
struct Job {
    /// The front end's message that it is for; none when a cell has called for it.
    message: Option<String>,
    /// The comm, if what waits behind it on the same one does as well.
    replaceable: Option<String>,
    frames: Vec<Frame>,
    work: Work,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);
static QUEUED: Condvar = Condvar::new();
/// How long the queue is, for a look without a lock.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The registry, for a short moment.
struct Held(MutexGuard<'static, Option<Registry>>);

fn registry() -> Held {
    let mut guard = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    guard.get_or_insert_default();
    Held(guard)
}

impl Held {
    fn with<T>(&mut self, work: impl FnOnce(&mut Registry) -> T) -> T {
        work(self.0.get_or_insert_default())
    }
}

/// Takes the socket on which the kernel sends its messages. The process calls it by this name, once.
#[unsafe(no_mangle)]
pub extern "C" fn itd_cell_channel(descriptor: i32) {
    // SAFETY: the process has opened it for this, and hands it over.
    let socket = unsafe { UnixStream::from_raw_fd(descriptor) };
    let threads = std::thread::Builder::new()
        .name("itd-messages".into())
        .spawn(|| listen(socket))
        .and_then(|_| {
            std::thread::Builder::new()
                .name("itd-handlers".into())
                .spawn(handle)
        });
    if let Err(error) = threads {
        eprintln!("there is no input and there are no widgets: {error}");
    }
}

fn listen(socket: UnixStream) {
    for line in BufReader::new(socket).lines().map_while(|line| line.ok()) {
        match serde_json::from_str(&line) {
            Ok(frame::Message::Answer { id, line }) => crate::input::answer(id, line),
            Ok(frame::Message::Comm { id, comm }) => deliver(id, comm),
            Err(error) => eprintln!("a message of the kernel is not understood: {error}"),
        }
    }
}

fn handle() {
    loop {
        let held = QUEUED
            .wait_while(registry().0, |registry| {
                registry.as_ref().is_none_or(|r| r.queue.is_empty())
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(held);
        turn::between_cells(|| {
            crate::host::calm();
            work_off();
        });
    }
}

/// Handles the front end's messages that wait, if this thread runs a cell.
///
/// [`Progress::step`](crate::progress::Progress::step) does so too.
///
/// # Example: a loop of your own that reacts to a button
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::{comm, widget};
///
/// let stop = widget::checkbox("stop", false);
/// let mut rounds = 0;
/// while rounds < 3 && !stop.value() {
///     comm::poll();
///     rounds += 1;
/// }
/// assert_eq!(rounds, 3); // nobody has clicked
/// ```
pub fn poll() {
    if WAITING.load(Ordering::Relaxed) > 0 && turn::is_cell() {
        work_off();
    }
}

/// Does what waits. Each piece of work ends by itself, whatever happens in it.
fn work_off() {
    loop {
        let job = registry().with(|registry| {
            let job = registry.queue.pop_front()?;
            let again = job.replaceable.is_some()
                && registry
                    .queue
                    .iter()
                    .any(|other| other.replaceable == job.replaceable);
            WAITING.store(registry.queue.len(), Ordering::Relaxed);
            Some((job, again))
        });
        let Some((job, again)) = job else { return };
        let Job {
            message,
            frames,
            work,
            ..
        } = job;
        if let Some(message) = &message {
            let begin = Frame::Handling {
                message: message.clone(),
            };
            tell([begin].into_iter().chain(frames));
        }
        if !again {
            CURRENT.with_borrow_mut(|current| current.clone_from(&message));
            turn::handling(work);
            CURRENT.take();
        }
        if let Some(message) = message {
            tell([Frame::Handled { message }]);
        }
    }
}

thread_local! {
    static CURRENT: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
}

/// The message that this thread is handling.
pub(crate) fn current() -> Option<String> {
    CURRENT.with_borrow(Clone::clone)
}

/// Has something run at once by the cell or the handler that calls for it; by another thread, when its turn comes.
pub(crate) fn call(key: &str, work: Work) {
    if host() != Host::Itd || turn::is_cell() || turn::is_handling() {
        return turn::handling(work);
    }
    push(Job {
        message: None,
        replaceable: Some(key.to_owned()),
        frames: Vec::new(),
        work,
    });
}

fn push(job: Job) {
    registry().with(|registry| {
        registry.queue.push_back(job);
        WAITING.store(registry.queue.len(), Ordering::Relaxed);
    });
    QUEUED.notify_all();
}

/// Takes in a front end's message.
fn deliver(id: String, comm: frame::Comm) {
    let buffers = comm.buffers.iter().map(|text| STANDARD.decode(text));
    let message = Message {
        data: comm.data,
        metadata: comm.metadata,
        buffers: buffers
            .map(std::result::Result::unwrap_or_default)
            .collect(),
    };
    let reaction = match comm.kind {
        CommKind::Open { target } => {
            let opener = registry().with(|registry| registry.targets.get(&target).cloned());
            match (opener, internal(&target, &comm.id)) {
                (Some(opener), _) => opener(comm.id.clone(), message),
                (None, Some(end)) => {
                    register_end(&comm.id, end);
                    Reaction::default()
                }
                (None, None) => Reaction {
                    frames: vec![closing(&comm.id)],
                    ..Reaction::default()
                },
            }
        }
        CommKind::Message => {
            let end = registry().with(|registry| registry.ends.get(&comm.id).cloned());
            end.map(|end| end.take(message)).unwrap_or_default()
        }
        CommKind::Close => {
            // What it owns is dropped outside of the lock.
            let end = registry().with(|registry| registry.ends.remove(&comm.id));
            drop(end);
            Reaction::default()
        }
    };
    let Reaction {
        frames,
        work,
        replaceable,
    } = reaction;
    match work {
        // In one piece, so that nothing of the cell that runs comes between.
        None => {
            let begin = Frame::Handling {
                message: id.clone(),
            };
            let end = Frame::Handled { message: id };
            tell([begin].into_iter().chain(frames).chain([end]));
        }
        Some(work) => push(Job {
            message: Some(id),
            replaceable: replaceable.then_some(comm.id),
            frames,
            work,
        }),
    }
}

/// Ends that are there without being registered.
fn internal(target: &str, id: &str) -> Option<Arc<dyn End>> {
    let states = || Arc::new(crate::widget::States(id.to_owned())) as Arc<dyn End>;
    (target == crate::widget::CONTROL).then(states)
}

pub(crate) fn register_end(id: &str, end: Arc<dyn End>) {
    registry().with(|registry| registry.ends.insert(id.to_owned(), end));
}

pub(crate) fn remove_end(id: &str) {
    let end = registry().with(|registry| registry.ends.remove(id));
    drop(end);
}

/// Sends frames to the kernel, one behind the other with nothing between.
pub(crate) fn tell(frames: impl IntoIterator<Item = Frame>) {
    if host() == Host::Itd {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|f| frame::encode(&f)).collect();
        crate::host::send_bytes(&bytes);
    }
}

fn framed(id: &str, kind: CommKind, message: Message) -> Frame {
    let buffers = message.buffers.iter().map(|bytes| STANDARD.encode(bytes));
    Frame::Comm {
        comm: frame::Comm {
            id: id.to_owned(),
            kind,
            data: message.data,
            metadata: message.metadata,
            buffers: buffers.collect(),
        },
    }
}

pub(crate) fn opening(id: &str, target: &str, message: Message) -> Frame {
    let target = target.to_owned();
    framed(id, CommKind::Open { target }, message)
}

pub(crate) fn saying(id: &str, message: Message) -> Frame {
    framed(id, CommKind::Message, message)
}

pub(crate) fn closing(id: &str) -> Frame {
    framed(id, CommKind::Close, Message::new(json!({})))
}

/// A name that no other comm has, in this process or another.
pub(crate) fn fresh_name() -> String {
    let part = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", part(), part())
}

/// A comm, as whoever speaks on it holds it. Clones are the same comm.
#[derive(Clone)]
pub struct Comm {
    id: Arc<str>,
    listens: Arc<Mutex<Option<OnMessage>>>,
}

type OnMessage = Box<dyn FnMut(Comm, Message) + Send>;

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Comm({})", self.id)
    }
}

impl End for Comm {
    fn take(self: Arc<Self>, message: Message) -> Reaction {
        let hears = move || {
            let slot = || self.listens.lock().unwrap_or_else(PoisonError::into_inner);
            // Not held while it runs, since it may have another closure listen from now on.
            let listens = slot().take();
            if let Some(mut listens) = listens {
                let call = AssertUnwindSafe(|| listens((*self).clone(), message));
                let ended = catch_unwind(call);
                // One that panics hears the next message all the same.
                slot().get_or_insert(listens);
                if let Err(panic) = ended {
                    resume_unwind(panic);
                }
            }
        };
        Reaction {
            work: Some(Box::new(hears)),
            ..Reaction::default()
        }
    }
}

impl Comm {
    /// Opens a comm for what listens in the front end under the name `target`; `on_message` takes what comes back.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `data` is not a JSON object.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::comm::{Comm, json};
    ///
    /// let comm = Comm::open("my-panel", json!({ "colour": "blue" }), |comm, message| {
    ///     println!("it says {}", message.data);
    ///     let _ = comm.send(json!({ "heard": true }));
    /// })?;
    /// assert_eq!(comm.id().len(), 32);
    /// assert!(comm.send(json!(3)).is_err()); // no object
    /// comm.close();
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn open(
        target: &str,
        data: Value,
        on_message: impl FnMut(Self, Message) + Send + 'static,
    ) -> Result<Self> {
        let message = Message::new(object(data)?);
        let comm = Self::named(fresh_name());
        comm.on_message(on_message);
        tell([opening(&comm.id, target, message)]);
        Ok(comm)
    }

    fn named(id: String) -> Self {
        let comm = Self {
            id: id.into(),
            listens: Arc::default(),
        };
        register_end(&comm.id, Arc::new(comm.clone()));
        comm
    }

    /// Its name, by which both sides know it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Has another closure take what comes.
    pub fn on_message(&self, on_message: impl FnMut(Self, Message) + Send + 'static) {
        let mut listens = self.listens.lock().unwrap_or_else(PoisonError::into_inner);
        *listens = Some(Box::new(on_message));
    }

    /// Sends data.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not a JSON object.
    pub fn send(&self, data: Value) -> Result<()> {
        self.send_message(Message::new(data))
    }

    /// Sends data with metadata and bytes.
    ///
    /// # Errors
    /// [`Error::Parameter`] when data or metadata are not JSON objects.
    pub fn send_message(&self, message: Message) -> Result<()> {
        let Message {
            data,
            metadata,
            buffers,
        } = message;
        let message = Message {
            data: object(data)?,
            metadata: object(metadata)?,
            buffers,
        };
        tell([saying(&self.id, message)]);
        Ok(())
    }

    /// Closes it, on both sides.
    pub fn close(self) {
        remove_end(&self.id);
        tell([closing(&self.id)]);
    }
}

/// Has a closure called with each comm that a front end opens under the name `target`, and with the message that it
/// comes with.
pub fn register(target: &str, opened: impl FnMut(Comm, Message) + Send + 'static) {
    let opened = Arc::new(Mutex::new(opened));
    let opener: Opener = Arc::new(move |id, message| {
        let opened = Arc::clone(&opened);
        let comm = Comm::named(id);
        Reaction {
            work: Some(Box::new(move || {
                let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                opened(comm, message);
            })),
            ..Reaction::default()
        }
    });
    registry().with(|registry| registry.targets.insert(target.to_owned(), opener));
}

fn object(value: Value) -> Result<Value> {
    match value.is_object() {
        true => Ok(value),
        false => Err(Error::Parameter {
            name: "the data of a comm",
            got: value.to_string(),
            need: "a JSON object, such as `json!({ \"value\": 3 })`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::IntoRawFd;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn line(id: &str, comm: &str, kind: CommKind, data: Value) -> String {
        let comm = frame::Comm {
            id: comm.into(),
            kind,
            data,
            metadata: json!({}),
            buffers: vec!["QUJD".into()],
        };
        let message = frame::Message::Comm {
            id: id.into(),
            comm,
        };
        serde_json::to_string(&message).unwrap() + "\n"
    }

    #[test]
    fn messages_of_the_kernel_come_to_the_closure_that_listens() {
        let (mut kernel, process) = UnixStream::pair().unwrap();
        let (tell, told) = channel();
        register("test-target", move |comm, message| {
            let tell = tell.clone();
            let _ = tell.send(message.data);
            comm.on_message(move |comm, message| {
                let says = json!({
                    "id": comm.id(), "says": message.data, "bytes": message.buffers,
                    "in turn": turn::is_handling(),
                });
                let _ = tell.send(says);
            });
        });
        itd_cell_channel(process.into_raw_fd());
        let target = "test-target".to_owned();
        kernel.write_all(b"nonsense\n").unwrap();
        for (kind, data) in [
            (CommKind::Open { target }, json!({ "a": 1 })),
            (CommKind::Message, json!({ "b": 2 })),
            (CommKind::Close, json!({})),
            (CommKind::Message, json!({ "c": 3 })),
        ] {
            let text = line("m", "test-comm", kind, data);
            kernel.write_all(text.as_bytes()).unwrap();
        }
        let next = || told.recv_timeout(Duration::from_secs(10));
        assert_eq!(next().unwrap(), json!({ "a": 1 }));
        let said = json!({
            "id": "test-comm", "says": { "b": 2 }, "bytes": [b"ABC"], "in turn": true,
        });
        assert_eq!(next().unwrap(), said);
        // Nobody listens to what comes after the end.
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
    }
}
