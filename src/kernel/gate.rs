//! What stands between the network and zeromq's sockets.
//!
//! zeromq reserves as much memory as a frame's header claims, and its publisher waits for one subscriber after the
//! other. So its sockets are bound to files that only this user can reach, and each connection to a port of the
//! kernel is carried to them: into zeromq come only whole messages that are not too large, and out of it goes
//! everything at once, to wait here for a peer that is slow. And of two connections under one name zeromq may forget
//! the newer when the older ends, so that a front end that comes back after a gap in its network would not be answered:
//! each connection has a name of its own inside, and what is for a front end goes to its newest one.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jupyter_protocol::{ConnectionInfo, JupyterMessage, Transport};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use super::connection::{ConnectionError, PAUSE};

/// Length of the greeting with which both sides begin.
const GREETING: usize = 64;
/// How long a peer may take for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest message that comes in, and most frames of one. A notebook's cell has some kilobytes; a widget's picture
/// may have megabytes.
const LARGEST: usize = 1 << 28;
const MOST_FRAMES: usize = 10_000;
/// Largest command: subscriptions, and what a peer says of itself.
const LARGEST_COMMAND: usize = 1 << 16;
/// What may wait for a peer that does not read, in bytes: beyond the first, text is left out; beyond the second, the
/// peer is.
const SLOW: usize = 1 << 25;
const STUCK: usize = 1 << 28;
/// What is written at once, and how often a peer for which too much waits is looked at.
const CHUNK: usize = 1 << 16;
const LOOK: Duration = Duration::from_millis(50);
/// Connections to one port at a time; more wait until one of them is over. Each holds three of the files that a
/// process may have open.
const CONNECTIONS: usize = 64;

/// The longest name that a socket may have, less what is put behind it.
const LONGEST_NAME: usize = 90;

/// The ports that the kernel is asked to listen at.
pub(super) struct Gate {
    doors: Vec<Door>,
    /// The files of ports that are files.
    files: Files,
    /// Where zeromq is to bind its sockets.
    pub(super) inside: ConnectionInfo,
    folder: tempfile::TempDir,
}

/// Files that are removed when the kernel ends.
#[derive(Default)]
struct Files(Vec<PathBuf>);

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// One port.
struct Door {
    channel: &'static str,
    listener: Listener,
    /// Where zeromq's socket is.
    inside: PathBuf,
    names: Arc<Names>,
}

enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

impl Gate {
    /// Binds the ports of a connection file; nobody comes in yet.
    ///
    /// # Errors
    /// When one of them cannot be bound.
    pub(super) async fn open(
        info: &ConnectionInfo,
        folder: &Path,
    ) -> std::result::Result<Self, ConnectionError> {
        let place = match folder.as_os_str().len() < LONGEST_NAME - 20 {
            true => folder,
            false => Path::new("/tmp"),
        };
        let folder = tempfile::Builder::new()
            .prefix("wire-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(place)
            .map_err(ConnectionError::Sockets)?;
        let prefix = folder.path().join("s");
        let inside = ConnectionInfo {
            transport: Transport::IPC,
            ip: prefix.display().to_string(),
            shell_port: 1,
            iopub_port: 2,
            stdin_port: 3,
            control_port: 4,
            hb_port: 5,
            ..info.clone()
        };
        let (mut doors, mut files) = (Vec::new(), Files::default());
        for (channel, port, number) in [
            ("shell", info.shell_port, 1),
            ("iopub", info.iopub_port, 2),
            ("stdin", info.stdin_port, 3),
            ("control", info.control_port, 4),
            ("heartbeat", info.hb_port, 5),
        ] {
            let listener = Listener::bind(info, port).await;
            let listener = listener.map_err(|error| ConnectionError::Bind {
                channel,
                port,
                what: error.to_string(),
            })?;
            if info.transport == Transport::IPC {
                files.0.push(file_of(info, port));
            }
            doors.push(Door {
                channel,
                listener,
                inside: PathBuf::from(format!("{}-{number}", prefix.display())),
                names: Arc::default(),
            });
        }
        Ok(Self {
            doors,
            files,
            inside,
            folder,
        })
    }

    /// Who is at one of the ports.
    pub(super) fn names(&self, channel: &str) -> Arc<Names> {
        let door = self.doors.iter().find(|door| door.channel == channel);
        door.map(|door| Arc::clone(&door.names)).unwrap_or_default()
    }

    /// Lets peers in, for as long as the kernel runs. zeromq's sockets are bound by now.
    pub(super) fn serve(self) -> impl Sized {
        for door in self.doors {
            tokio::spawn(async move {
                let places = Arc::new(Semaphore::new(CONNECTIONS));
                loop {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                        return;
                    };
                    let (inside, names) = (door.inside.clone(), Arc::clone(&door.names));
                    let carried = match &door.listener {
                        Listener::Tcp(door) => door.accept().await.map(|(peer, _)| {
                            // Messages are small, and somebody waits for each of them.
                            let _ = peer.set_nodelay(true);
                            let (read, write) = peer.into_split();
                            tokio::spawn(carry(read, write, inside, names, place));
                        }),
                        Listener::Ipc(door) => door.accept().await.map(|(peer, _)| {
                            let (read, write) = peer.into_split();
                            tokio::spawn(carry(read, write, inside, names, place));
                        }),
                    };
                    if carried.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        (self.folder, self.files)
    }
}

/// The file that is a port.
fn file_of(info: &ConnectionInfo, port: u16) -> PathBuf {
    PathBuf::from(format!("{}-{port}", info.ip))
}

impl Listener {
    async fn bind(info: &ConnectionInfo, port: u16) -> Result<Self> {
        Ok(match info.transport {
            Transport::IPC => {
                let file = file_of(info, port);
                // A kernel that was killed leaves its files.
                let left = std::fs::symlink_metadata(&file)
                    .is_ok_and(|found| found.file_type().is_socket());
                if left && UnixStream::connect(&file).await.is_err() {
                    std::fs::remove_file(&file)?;
                }
                Self::Ipc(UnixListener::bind(file)?)
            }
            Transport::TCP => {
                let host = match info.ip.as_str() {
                    "*" => "0.0.0.0",
                    ip => ip,
                };
                Self::Tcp(TcpListener::bind((host, port)).await?)
            }
        })
    }
}

/// The newest connection of each peer to a port, by the name that the peer gives itself.
#[derive(Default)]
pub(super) struct Names {
    newest: Mutex<HashMap<Vec<u8>, u64>>,
    count: AtomicU64,
}

/// A connection under a name, for as long as it is there.
struct Named {
    names: Arc<Names>,
    name: Vec<u8>,
    number: u64,
}

/// Length of the number in front of a name inside, and of the longest name, with which the whole is short enough.
const NUMBER: usize = size_of::<u64>();
const LONGEST: usize = 255 - NUMBER;

impl Names {
    fn enter(self: &Arc<Self>, name: &[u8]) -> Named {
        let name = match name.len() <= LONGEST {
            true => name.to_vec(),
            false => Sha256::digest(name).to_vec(),
        };
        // None begins with a zero, which is kept for names that a socket gives.
        let number = u64::MAX - self.count.fetch_add(1, Ordering::Relaxed);
        self.newest().insert(name.clone(), number);
        Named {
            names: Arc::clone(self),
            name,
            number,
        }
    }

    /// Sends a message to the newest connection of the peer that it is for. The name may be one at another port of
    /// this kernel: a question goes to the peer that has sent the cell.
    pub(super) fn address(&self, message: &mut JupyterMessage) {
        let Some(identity) = message.zmq_identities.first_mut() else {
            return;
        };
        if let Some(name) = identity.get(NUMBER..)
            && let Some(&number) = self.newest().get(name)
        {
            *identity = inside_name(number, name).into();
        }
    }

    fn newest(&self) -> MutexGuard<'_, HashMap<Vec<u8>, u64>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut newest = self.names.newest();
        if newest.get(&self.name) == Some(&self.number) {
            newest.remove(&self.name);
        }
    }
}

fn inside_name(number: u64, name: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), name].concat()
}

/// Carries one connection, until either side ends it. `_place` is free again then.
async fn carry<R, W>(
    peer_in: R,
    peer_out: W,
    inside: PathBuf,
    names: Arc<Names>,
    _place: impl Sized,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Ok(inside) = UnixStream::connect(inside).await else {
        return;
    };
    let (inside_in, inside_out) = inside.into_split();
    // How it ended is of no interest: the peer is gone, or was to be rid of.
    tokio::select! {
        _ = inwards(peer_in, inside_out, &names) => {}
        _ = outwards(inside_in, peer_out) => {}
    }
}

/// From a peer to zeromq: the greeting as it comes, then whole messages.
async fn inwards(
    mut peer: impl AsyncRead + Unpin,
    mut inside: impl AsyncWrite + Unpin,
    names: &Arc<Names>,
) -> Result<()> {
    let greeting = async {
        let (mut buffer, mut left) = ([0; GREETING], GREETING);
        while left > 0 {
            // A peer may wait for our beginning before it goes on with its own.
            let count = peer.read(&mut buffer[..left]).await?;
            if count == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof));
            }
            inside.write_all(&buffer[..count]).await?;
            left -= count;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, greeting).await??;
    let mut peer = BufReader::new(peer);
    let introduction = message(&mut peer, LARGEST_COMMAND);
    let introduction = tokio::time::timeout(PATIENCE, introduction).await??;
    let mut _named = None;
    match identity(&introduction) {
        Some(place) => {
            let named = names.enter(&introduction[place.clone()]);
            let inside_name = inside_name(named.number, &named.name);
            _named = Some(named);
            inside
                .write_all(&renamed(&introduction, place, &inside_name))
                .await?;
        }
        None => inside.write_all(&introduction).await?,
    }
    loop {
        let message = message(&mut peer, LARGEST).await?;
        inside.write_all(&message).await?;
    }
}

/// Where a peer's name is in the message with which it introduces itself: a command with properties, each a key of at
/// most 255 bytes and a value, both behind their lengths.
fn identity(command: &[u8]) -> Option<Range<usize>> {
    let body = match command.first()? {
        4 => command.get(2..)?,
        6 => command.get(9..)?,
        _ => return None,
    };
    let mut rest = body.strip_prefix(b"\x05READY")?;
    loop {
        let (&length, after) = rest.split_first()?;
        let (key, after) = after.split_at_checked(length.into())?;
        let (length, after) = after.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (_, after) = after.split_at_checked(length)?;
        if key.eq_ignore_ascii_case(b"identity") {
            let end = command.len() - after.len();
            return (length > 0).then_some(end - length..end);
        }
        rest = after;
    }
}

/// The same introduction with another name.
fn renamed(command: &[u8], place: Range<usize>, name: &[u8]) -> Vec<u8> {
    let begin = if command[0] == 4 { 2 } else { 9 };
    let before = &command[begin..place.start - size_of::<u32>()];
    let body = [
        before,
        &(name.len() as u32).to_be_bytes(),
        name,
        &command[place.end..],
    ]
    .concat();
    [&[6][..], &(body.len() as u64).to_be_bytes(), &body].concat()
}

/// From zeromq to a peer: read as soon as it is there, and written when the peer reads.
async fn outwards(
    mut inside: impl AsyncRead + Unpin,
    mut peer: impl AsyncWrite + Unpin,
) -> Result<()> {
    let (waiting, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (queue, mut messages) = mpsc::unbounded_channel::<Vec<u8>>();
    let read = async {
        let queue = queue; // its end is the end of the other half
        let mut idle = Duration::ZERO;
        let mut greeting = vec![0; GREETING];
        inside.read_exact(&mut greeting).await?;
        let mut next = greeting;
        let mut inside = BufReader::new(inside);
        loop {
            let mut before = waiting.load(Ordering::Relaxed);
            // A large message takes its time; a peer is stuck that takes nothing.
            while before > STUCK {
                tokio::time::sleep(LOOK).await;
                let taken = written.swap(0, Ordering::Relaxed);
                idle = if taken > 0 {
                    Duration::ZERO
                } else {
                    idle + LOOK
                };
                if idle > PATIENCE {
                    return Err(Error::other("the peer does not read"));
                }
                before = waiting.load(Ordering::Relaxed);
            }
            if before < SLOW || !is_text(&next) {
                waiting.fetch_add(next.len(), Ordering::Relaxed);
                let _ = queue.send(next);
            }
            next = match message(&mut inside, usize::MAX).await {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                message => message?,
            };
        }
    };
    let write = async {
        while let Some(message) = messages.recv().await {
            for part in message.chunks(CHUNK) {
                peer.write_all(part).await?;
                waiting.fetch_sub(part.len(), Ordering::Relaxed);
                written.fetch_add(part.len(), Ordering::Relaxed);
            }
        }
        peer.flush().await
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Reads a message of one or more frames, or a command, as it came.
async fn message(from: &mut (impl AsyncRead + Unpin), largest: usize) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    for _ in 0..MOST_FRAMES {
        let flags = from.read_u8().await?;
        let (more, long, command) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        whole.push(flags);
        let length = match long {
            true => {
                let length = from.read_u64().await?;
                whole.extend_from_slice(&length.to_be_bytes());
                usize::try_from(length).unwrap_or(usize::MAX)
            }
            false => {
                let length = from.read_u8().await?;
                whole.push(length);
                usize::from(length)
            }
        };
        let most = if command {
            largest.min(LARGEST_COMMAND)
        } else {
            largest
        };
        if flags > 7 || whole.len().saturating_add(length) > most {
            return Err(ErrorKind::InvalidData.into());
        }
        // It grows with what comes, whatever the header claims.
        let mut body = (&mut *from).take(length as u64);
        if body.read_to_end(&mut whole).await? < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !more {
            return Ok(whole);
        }
    }
    Err(ErrorKind::InvalidData.into())
}

/// Whether a message is text that a cell prints: the header, near its start, says so.
fn is_text(message: &[u8]) -> bool {
    let start = &message[..message.len().min(1000)];
    let word = b"\"msg_type\":\"stream\"";
    start.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8], largest: usize) -> Option<Vec<u8>> {
        message(&mut &bytes[..], largest).await.ok()
    }

    #[tokio::test]
    async fn whole_messages_pass_and_no_others() {
        let two = [1, 2, b'a', b'b', 0, 1, b'c'];
        assert_eq!(read(&two, 100).await.as_deref(), Some(&two[..]));
        let mut next = [&two[..], &[9]].concat();
        assert_eq!(
            read(&next, 100).await.as_deref(),
            Some(&two[..]),
            "no more than one"
        );
        assert_eq!(read(&two, 6).await, None, "too large");
        next.truncate(6);
        assert_eq!(read(&next, 100).await, None, "cut");
        for length in [1_u64 << 20, 1 << 46, 1 << 63, u64::MAX] {
            let claim = [&[2][..], &length.to_be_bytes(), b"little"].concat();
            assert_eq!(read(&claim, LARGEST).await, None);
        }
        assert_eq!(read(&[8, 0], 100).await, None, "no such frame");
        let endless = [1, 0].repeat(MOST_FRAMES + 1);
        assert_eq!(read(&endless, LARGEST).await, None);
    }

    #[test]
    fn a_name_is_read_from_a_peers_first_message() {
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03abc";
        let short = [&[4, ready.len() as u8][..], ready].concat();
        let long = [&[6][..], &(ready.len() as u64).to_be_bytes(), ready].concat();
        for command in [&short, &long] {
            let place = identity(command).expect("a name");
            assert_eq!(&command[place.clone()], b"abc");
            let other = renamed(command, place, b"longer");
            let place = identity(&other).expect("a name");
            assert_eq!(&other[place], b"longer");
            assert_eq!(
                u64::from_be_bytes(other[1..9].try_into().expect("8")),
                other.len() as u64 - 9
            );
            for end in 0..command.len() {
                assert_eq!(identity(&command[..end]), None, "cut at {end}");
            }
        }
        let nameless = b"\x04\x13\x05READY\x08Identity\0\0\0\0";
        assert_eq!(identity(nameless), None);
        assert_eq!(identity(b"\0\x05READY"), None, "no command");
    }

    #[test]
    fn what_is_for_a_peer_goes_to_its_newest_connection() {
        let (shell, stdin) = (Arc::new(Names::default()), Arc::new(Names::default()));
        let address = |names: &Names, from: &Named| {
            let mut message = JupyterMessage::new(jupyter_protocol::KernelInfoRequest {}, None);
            message.zmq_identities = vec![inside_name(from.number, &from.name).into()];
            names.address(&mut message);
            message.zmq_identities[0].to_vec()
        };
        let inside = |named: &Named| inside_name(named.number, &named.name);
        let first = shell.enter(b"a");
        let (other, asked) = (shell.enter(b"b"), stdin.enter(b"a"));
        assert_eq!(address(&shell, &first), inside(&first));
        let second = shell.enter(b"a");
        assert_ne!(inside(&first), inside(&second));
        assert_eq!(address(&shell, &first), inside(&second));
        assert_eq!(address(&stdin, &second), inside(&asked));
        drop(first);
        assert_eq!(
            address(&shell, &second),
            inside(&second),
            "the older one's end"
        );
        assert_eq!(address(&shell, &other), inside(&other));
        drop(second);
        assert_eq!(shell.newest().len(), 1, "who is gone is forgotten");
        let long = shell.enter(&[b'x'; 255]);
        assert!(inside(&long).len() <= 255);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_waits_for_nobody() {
        let mut text = b"\x00\x40<IDS|MSG> {\"msg_type\":\"stream\"}".to_vec();
        text.resize(2 + 64, b'.');
        assert!(is_text(&text) && !is_text(b"\x00\x02ab"));
        let (mut zeromq, inside) = tokio::io::duplex(1 << 16);
        let (peer, mut reader) = tokio::io::duplex(1 << 10);
        let carried = tokio::spawn(outwards(inside, peer));
        zeromq
            .write_all(&[0xff; GREETING])
            .await
            .expect("it is read");
        let count = 3 * SLOW / text.len();
        for _ in 0..count {
            zeromq.write_all(&text).await.expect("it is read");
        }
        let last = b"\x00\x04last";
        zeromq.write_all(last).await.expect("it is read");
        drop(zeromq);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.expect("what waited");
        assert!(carried.await.expect("no panic").is_ok());
        assert!(all.ends_with(last), "what is no text is never left out");
        assert!(
            all.len() > SLOW && all.len() < SLOW + (1 << 20),
            "{}",
            all.len()
        );
    }
}
