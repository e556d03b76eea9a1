//! A front end of our own: starts a kernel process and speaks the protocol with it. The benchmark and the
//! tests over the wire use it; front ends of users are Jupyter's.

use std::collections::HashSet;
use std::io::Read;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jupyter_protocol::connection_info::Transport;
use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, ExecutionState, InputReply, InterruptRequest, JupyterMessage,
    JupyterMessageContent as Content, KernelInfoRequest, ReplyStatus, ShutdownRequest,
    Stdio as Stream,
};
use jupyter_zmq_client::{
    ClientControlConnection, ClientIoPubConnection, ClientShellConnection, ClientStdinConnection,
    RuntimeError, create_client_control_connection, create_client_iopub_connection,
    create_client_shell_connection_with_identity, create_client_stdin_connection_with_identity,
    peer_identity_for_session,
};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::reply::strip_colours;

/// What keeps a kernel from being used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the kernel cannot be started: {0}")]
    Start(#[from] std::io::Error),
    #[error("the kernel cannot be reached: {0}")]
    Reach(#[from] RuntimeError),
    #[error("the kernel has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the kernel has ended: {0}")]
    Ended(String),
}

type Result<T> = std::result::Result<T, ClientError>;

/// How often a kernel is started that finds one of its ports taken.
const STARTS: usize = 3;

/// What a kernel says then, among other things.
const TAKEN: &str = "cannot be bound to port";

/// How often a kernel is looked at that is waited for, and how long its last messages may take when it has ended.
const LOOK: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_millis(500);

/// Ports that kernels of this process have had. The system gives a port again as soon as nobody listens, and a
/// kernel listens only some time after its ports were chosen.
static USED: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A kernel's process, which ends with this.
pub struct Process(Child);

/// A running kernel and a client's ends of its sockets.
pub struct Client {
    pub child: Process,
    /// Ports and key.
    pub info: ConnectionInfo,
    /// When the process was started.
    pub started: Instant,
    /// When it first answered.
    pub answered: Duration,
    patience: Duration,
    runtime: Runtime,
    shell: ClientShellConnection,
    control: ClientControlConnection,
    iopub: ClientIoPubConnection,
    stdin: ClientStdinConnection,
    _folder: Arc<tempfile::TempDir>,
}

/// What came of executing a cell.
#[derive(Debug, Default)]
pub struct Answer {
    /// `ok`, `error` or `aborted`.
    pub status: String,
    pub ename: String,
    pub evalue: String,
    /// Without colours.
    pub traceback: String,
    pub count: usize,
    /// What the front end is asked to do, as it is on the wire.
    pub payload: Vec<serde_json::Value>,
    /// Messages on iopub between busy and idle, in order, with the time at which each came.
    pub outputs: Vec<(Duration, Content)>,
    /// From sending the request to the reply and the last output.
    pub took: Duration,
}

impl Answer {
    /// Text on one of the two streams.
    pub fn stream(&self, name: &str) -> String {
        let texts = self
            .outputs
            .iter()
            .filter_map(|(_, content)| match content {
                Content::StreamContent(text) if stream_name(&text.name) == name => {
                    Some(text.text.as_str())
                }
                _ => None,
            });
        texts.collect()
    }

    /// The plain text of the result.
    pub fn result(&self) -> Option<String> {
        self.outputs.iter().find_map(|(_, content)| match content {
            Content::ExecuteResult(result) => {
                let data = serde_json::to_value(&result.data).ok()?;
                Some(data["text/plain"].as_str()?.to_owned())
            }
            _ => None,
        })
    }

    /// The kinds of the outputs, in order.
    pub fn kinds(&self) -> Vec<&'static str> {
        let kinds = self
            .outputs
            .iter()
            .filter_map(|(_, content)| match content {
                Content::StreamContent(text) => Some(stream_name(&text.name)),
                Content::DisplayData(_) => Some("display"),
                Content::UpdateDisplayData(_) => Some("update"),
                Content::ExecuteResult(_) => Some("result"),
                Content::ErrorOutput(_) => Some("error"),
                Content::ClearOutput(_) => Some("clear"),
                _ => None,
            });
        kinds.collect()
    }
}

fn stream_name(stream: &Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

impl Client {
    /// Starts the kernel that `command` and the path of a connection file make, in `folder`, and waits until
    /// it answers. No answer at all may take longer than `patience`. A kernel that finds one of its ports taken
    /// by another program is started again at other ports.
    ///
    /// # Errors
    /// When the process cannot be started, ends, or does not answer.
    pub fn start(mut command: Command, folder: &Path, patience: Duration) -> Result<Self> {
        let private = Arc::new(tempfile::tempdir()?);
        let file = private.path().join("connection.json");
        command
            .arg(&file)
            .current_dir(folder)
            // It ends when this process dies without a word, as by an interrupt.
            .env("JPY_PARENT_PID", std::process::id().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut starts = 1;
        loop {
            match Self::start_once(&mut command, &file, &private, patience) {
                Err(ClientError::Ended(why)) if starts < STARTS && why.contains(TAKEN) => {
                    starts += 1;
                }
                started => return started,
            }
        }
    }

    fn start_once(
        command: &mut Command,
        file: &Path,
        folder: &Arc<tempfile::TempDir>,
        patience: Duration,
    ) -> Result<Self> {
        let runtime = Runtime::new()?;
        let address = IpAddr::from([127, 0, 0, 1]);
        let (ports, listeners) = runtime.block_on(unused_ports(address))?;
        let info = ConnectionInfo {
            transport: Transport::TCP,
            ip: address.to_string(),
            shell_port: ports[0],
            iopub_port: ports[1],
            stdin_port: ports[2],
            control_port: ports[3],
            hb_port: ports[4],
            key: uuid::Uuid::new_v4().to_string(),
            signature_scheme: "hmac-sha256".to_owned(),
            kernel_name: None,
        };
        let text = serde_json::to_vec(&info).map_err(std::io::Error::from)?;
        std::fs::write(file, text)?;
        let started = Instant::now();
        // Until the last moment, so that no other program gets these ports.
        drop(listeners);
        let mut child = Process(command.spawn()?);
        let connected = runtime.block_on(child.wait_for(patience, connect(&info, patience)))?;
        let (shell, control, iopub, stdin) = connected?;
        let mut client = Self {
            child,
            info,
            started,
            answered: Duration::ZERO,
            patience,
            runtime,
            shell,
            control,
            iopub,
            stdin,
            _folder: Arc::clone(folder),
        };
        // Messages are lost until the subscription has arrived; the answer to a request shows that it has.
        loop {
            let request = client.send(KernelInfoRequest {})?;
            client.reply(&request)?;
            if client.answered.is_zero() {
                client.answered = started.elapsed();
            }
            if client.idle_comes(&request) {
                return Ok(client);
            }
        }
    }

    fn idle_comes(&mut self, request: &JupyterMessage) -> bool {
        let until = Instant::now() + Duration::from_millis(200);
        while let Ok(message) = self.hear(until.saturating_duration_since(Instant::now())) {
            if is_idle(&message) && is_child(&message, request) {
                return true;
            }
        }
        false
    }

    /// Sends a request on the shell channel.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn send(&mut self, content: impl Into<Content>) -> Result<JupyterMessage> {
        self.send_message(JupyterMessage::new(content, None))
    }

    /// Sends a message as it is on the shell channel.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn send_message(&mut self, message: JupyterMessage) -> Result<JupyterMessage> {
        self.runtime.block_on(self.shell.send(message.clone()))?;
        Ok(message)
    }

    /// Waits for the reply to a request on the shell channel.
    ///
    /// # Errors
    /// When none comes.
    pub fn reply(&mut self, request: &JupyterMessage) -> Result<Content> {
        loop {
            let next = self.child.wait_for(self.patience, self.shell.read());
            let message = self.runtime.block_on(next)??;
            if is_child(&message, request) {
                return Ok(message.content);
            }
        }
    }

    /// Sends a request on the control channel and waits for its reply.
    ///
    /// # Errors
    /// When none comes.
    pub fn control(&mut self, content: impl Into<Content>) -> Result<Content> {
        let message = JupyterMessage::new(content, None);
        self.runtime.block_on(async {
            self.control.send(message).await?;
            let reply = self
                .child
                .wait_for(self.patience, self.control.read())
                .await?;
            Ok(reply?.content)
        })
    }

    /// The next message on iopub.
    ///
    /// # Errors
    /// When none comes within `patience`.
    pub fn hear(&mut self, patience: Duration) -> Result<JupyterMessage> {
        let next = self.child.wait_for(patience, self.iopub.read());
        Ok(self.runtime.block_on(next)??)
    }

    /// The next question of a cell, on the stdin channel.
    ///
    /// # Errors
    /// When none comes within `patience`.
    pub fn question(&mut self, patience: Duration) -> Result<JupyterMessage> {
        let next = self.child.wait_for(patience, self.stdin.read());
        Ok(self.runtime.block_on(next)??)
    }

    /// Answers a question; without one, as front ends do that do not say which they mean.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn answer(&mut self, question: Option<&JupyterMessage>, line: &str) -> Result<()> {
        let reply = InputReply {
            value: line.to_owned(),
            ..InputReply::default()
        };
        let mut message = JupyterMessage::new(reply, question);
        message.zmq_identities.clear();
        Ok(self.runtime.block_on(self.stdin.send(message))?)
    }

    /// Executes a cell and collects all that comes of it.
    ///
    /// # Errors
    /// When the kernel falls silent.
    pub fn run(&mut self, code: &str) -> Result<Answer> {
        let request = self.send(ExecuteRequest::new(code.to_owned()))?;
        self.collect(&request)
    }

    /// Collects what comes of a request that was sent.
    ///
    /// # Errors
    /// When the kernel falls silent.
    pub fn collect(&mut self, request: &JupyterMessage) -> Result<Answer> {
        let begin = Instant::now();
        let mut answer = Answer::default();
        loop {
            let message = self.hear(self.patience)?;
            if !is_child(&message, request) {
                continue;
            }
            if is_idle(&message) {
                break;
            }
            answer.outputs.push((begin.elapsed(), message.content));
        }
        if let Content::ExecuteReply(reply) = self.reply(request)? {
            answer.status = match reply.status {
                ReplyStatus::Ok => "ok",
                ReplyStatus::Error => "error",
                ReplyStatus::Aborted => "aborted",
            }
            .to_owned();
            answer.count = reply.execution_count.value();
            let payload = reply.payload.iter().map(serde_json::to_value);
            answer.payload = payload.filter_map(std::result::Result::ok).collect();
            if let Some(error) = reply.error {
                answer.ename = error.ename;
                answer.evalue = error.evalue;
                answer.traceback = strip_colours(&error.traceback.join("\n"));
            }
        }
        answer.took = begin.elapsed();
        Ok(answer)
    }

    /// Interrupts the running cell.
    ///
    /// # Errors
    /// When the kernel does not confirm it.
    pub fn interrupt(&mut self) -> Result<()> {
        self.control(InterruptRequest {}).map(drop)
    }

    /// Asks the kernel to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not confirm it.
    pub fn shutdown(mut self) -> Result<Option<i32>> {
        self.control(ShutdownRequest { restart: false })?;
        Ok(self.child.wait()?.code())
    }
}

impl Process {
    /// Waits for what this kernel is to do, but not for ever, and not when it is dead.
    async fn wait_for<T>(
        &mut self,
        patience: Duration,
        what: impl Future<Output = T>,
    ) -> Result<T> {
        let ended = async {
            while let Ok(None) = self.try_wait() {
                sleep(LOOK).await;
            }
            sleep(LAST).await;
        };
        tokio::select! {
            biased;
            done = what => return Ok(done),
            () = sleep(patience) => return Err(ClientError::Silent(patience)),
            () = ended => {}
        }
        Err(ClientError::Ended(self.last_words()))
    }

    /// What a kernel that has ended wrote to its standard error, which a process of its may still have open.
    fn last_words(&mut self) -> String {
        let (tell, told) = std::sync::mpsc::channel();
        if let Some(mut stderr) = self.stderr.take() {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text);
                let _ = tell.send(String::from_utf8_lossy(&text).trim().to_owned());
            });
        }
        let text = told.recv_timeout(LAST).unwrap_or_default();
        match self.try_wait() {
            Ok(Some(status)) if text.is_empty() => status.to_string(),
            _ => text,
        }
    }
}

impl Deref for Process {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = self.wait();
    }
}

/// Five ports that nobody listens at and that no kernel of this process has had, and what keeps them.
async fn unused_ports(address: IpAddr) -> Result<(Vec<u16>, Vec<tokio::net::TcpListener>)> {
    let (mut ports, mut listeners) = (Vec::new(), Vec::new());
    while ports.len() < 5 {
        let listener = tokio::net::TcpListener::bind((address, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
        if used.insert(port) {
            ports.push(port);
        }
        // One that was used is kept as well, so that the next is another.
        listeners.push(listener);
    }
    Ok((ports, listeners))
}

/// Whether a client with this connection gets an answer within a second.
///
/// # Errors
/// When the sockets cannot be reached.
pub fn answers(info: &ConnectionInfo) -> Result<bool> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let (mut shell, _control, _iopub, _stdin) = connect(info, Duration::from_secs(5)).await?;
        shell.send(KernelInfoRequest {}.into()).await?;
        Ok(timeout(Duration::from_secs(1), shell.read()).await.is_ok())
    })
}

/// Whether a front end gets an answer that comes back under its name while its old connection is still there, which
/// ends after a pause.
///
/// # Errors
/// When the sockets cannot be reached.
pub fn answers_again(info: &ConnectionInfo, pause: Duration) -> Result<bool> {
    let runtime = Runtime::new()?;
    let session = uuid::Uuid::new_v4().to_string();
    let identity = peer_identity_for_session(&session)?;
    let shell = || create_client_shell_connection_with_identity(info, &session, identity.clone());
    runtime.block_on(async {
        let before = shell().await?;
        let mut again = shell().await?;
        sleep(pause).await;
        drop(before);
        sleep(pause).await;
        again.send(KernelInfoRequest {}.into()).await?;
        let answer = timeout(Duration::from_secs(5), again.read()).await;
        Ok(answer.is_ok())
    })
}

async fn connect(
    info: &ConnectionInfo,
    patience: Duration,
) -> Result<(
    ClientShellConnection,
    ClientControlConnection,
    ClientIoPubConnection,
    ClientStdinConnection,
)> {
    let session = uuid::Uuid::new_v4().to_string();
    let identity = peer_identity_for_session(&session)?;
    let until = Instant::now() + patience;
    loop {
        let shell =
            create_client_shell_connection_with_identity(info, &session, identity.clone()).await;
        let control = create_client_control_connection(info, &session).await;
        let iopub = create_client_iopub_connection(info, "", &session).await;
        let stdin =
            create_client_stdin_connection_with_identity(info, &session, identity.clone()).await;
        match (shell, control, iopub, stdin) {
            (Ok(shell), Ok(control), Ok(iopub), Ok(stdin)) => {
                return Ok((shell, control, iopub, stdin));
            }
            (shell, ..) if Instant::now() > until => {
                shell?;
                return Err(ClientError::Silent(patience));
            }
            _ => sleep(Duration::from_millis(5)).await,
        }
    }
}

fn is_child(message: &JupyterMessage, request: &JupyterMessage) -> bool {
    let parent = message.parent_header.as_ref();
    parent.is_some_and(|parent| parent.msg_id == request.header.msg_id)
}

fn is_idle(message: &JupyterMessage) -> bool {
    matches!(&message.content, Content::Status(status) if status.execution_state == ExecutionState::Idle)
}
