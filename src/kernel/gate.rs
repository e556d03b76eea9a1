//! What stands between the network and zeromq's sockets.
//!
//! zeromq reserves as much memory as a frame's header claims, and its publisher waits for one subscriber after the
//! other. So its sockets are bound to files that only this user can reach, and each connection to a port of the
//! kernel is carried to them: into zeromq come only whole messages that are not too large, and out of it goes
//! everything at once, to wait here for a peer that is slow.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jupyter_protocol::{ConnectionInfo, Transport};
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
    doors: Vec<(Door, PathBuf)>,
    /// Where zeromq is to bind its sockets.
    pub(super) inside: ConnectionInfo,
    _folder: tempfile::TempDir,
}

enum Door {
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
        let mut doors = Vec::new();
        for (channel, port, number) in [
            ("shell", info.shell_port, 1),
            ("iopub", info.iopub_port, 2),
            ("stdin", info.stdin_port, 3),
            ("control", info.control_port, 4),
            ("heartbeat", info.hb_port, 5),
        ] {
            let door = Door::open(info, port).await;
            let door = door.map_err(|error| ConnectionError::Bind {
                channel,
                port,
                what: error.to_string(),
            })?;
            doors.push((
                door,
                PathBuf::from(format!("{}-{number}", prefix.display())),
            ));
        }
        Ok(Self {
            doors,
            inside,
            _folder: folder,
        })
    }

    /// Lets peers in, for as long as the kernel runs. zeromq's sockets are bound by now.
    pub(super) fn serve(self) -> tempfile::TempDir {
        for (door, inside) in self.doors {
            tokio::spawn(async move {
                let places = Arc::new(Semaphore::new(CONNECTIONS));
                loop {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                        return;
                    };
                    let inside = inside.clone();
                    let carried = match &door {
                        Door::Tcp(door) => door.accept().await.map(|(peer, _)| {
                            // Messages are small, and somebody waits for each of them.
                            let _ = peer.set_nodelay(true);
                            let (read, write) = peer.into_split();
                            tokio::spawn(carry(read, write, inside, place));
                        }),
                        Door::Ipc(door) => door.accept().await.map(|(peer, _)| {
                            let (read, write) = peer.into_split();
                            tokio::spawn(carry(read, write, inside, place));
                        }),
                    };
                    if carried.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        self._folder
    }
}

impl Door {
    async fn open(info: &ConnectionInfo, port: u16) -> Result<Self> {
        Ok(match info.transport {
            Transport::IPC => Self::Ipc(UnixListener::bind(format!("{}-{port}", info.ip))?),
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

/// Carries one connection, until either side ends it. `_place` is free again then.
async fn carry<R, W>(peer_in: R, peer_out: W, inside: PathBuf, _place: impl Sized)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Ok(inside) = UnixStream::connect(inside).await else {
        return;
    };
    let (inside_in, inside_out) = inside.into_split();
    // How it ended is of no interest: the peer is gone, or was to be rid of.
    tokio::select! {
        _ = inwards(peer_in, inside_out) => {}
        _ = outwards(inside_in, peer_out) => {}
    }
}

/// From a peer to zeromq: the greeting as it comes, then whole frames.
async fn inwards(
    mut peer: impl AsyncRead + Unpin,
    mut inside: impl AsyncWrite + Unpin,
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
    loop {
        let message = message(&mut peer, LARGEST).await?;
        inside.write_all(&message).await?;
    }
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
