//! Requests and their replies. Cells go to the worker; everything else is answered at once.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jupyter_protocol::{
    CodeMirrorMode, CommClose, CommInfoReply, CompleteReply, HelpLink, HistoryReply, InspectReply,
    InterruptReply, IsCompleteReply, JupyterMessage, JupyterMessageContent as Content,
    KernelInfoReply, LanguageInfo, ReplyStatus, ShutdownReply,
};
use jupyter_zmq_client::{KernelControlConnection, KernelShellConnection, RuntimeError};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::connection;
use super::iopub::Publisher;
use super::worker::Worker;
use crate::cell::whole::{self, Completeness};

/// How long an interrupt waits for the cell that it is meant for: the two come on channels of their own, and the
/// later one may be read first.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// Answers requests.
#[derive(Clone)]
pub struct Handler {
    publisher: Publisher,
    worker: Worker,
}

/// Reads the shell socket; replies of the worker and of the handler leave through `replies`.
pub async fn serve_shell(
    shell: KernelShellConnection,
    mut to_shell: UnboundedReceiver<JupyterMessage>,
    replies: UnboundedSender<JupyterMessage>,
    handler: Handler,
    stop: Arc<Notify>,
) {
    let (mut sender, mut receiver) = shell.split();
    tokio::spawn(async move {
        while let Some(reply) = to_shell.recv().await {
            if let Err(error) = sender.send(reply).await {
                let _ = writeln!(std::io::stderr(), "itd: a reply could not be sent: {error}");
            }
        }
    });
    let mut complaints = Complaints::new("shell");
    loop {
        match receiver.read().await {
            Ok(message) => {
                complaints.end();
                let shutdown = matches!(message.content, Content::ShutdownRequest(_));
                if let Some(reply) = handler.answer(message) {
                    let _ = replies.send(reply);
                }
                if shutdown {
                    stop.notify_one();
                }
            }
            Err(error) => complaints.note(&error).await,
        }
    }
}

/// Reads the control socket.
pub async fn serve_control(
    mut control: KernelControlConnection,
    handler: Handler,
    stop: Arc<Notify>,
) {
    let mut complaints = Complaints::new("control");
    loop {
        match control.read().await {
            Ok(message) => {
                complaints.end();
                let shutdown = matches!(message.content, Content::ShutdownRequest(_));
                if matches!(message.content, Content::InterruptRequest(_))
                    && !handler.worker.is_busy()
                {
                    tokio::time::sleep(OVERTAKEN).await;
                }
                if let Some(reply) = handler.answer(message) {
                    let _ = control.send(reply).await;
                }
                if shutdown {
                    stop.notify_one();
                }
            }
            Err(error) => complaints.note(&error).await,
        }
    }
}

/// Says in the log why messages were not understood, and the same thing once.
struct Complaints {
    channel: &'static str,
    last: Option<String>,
}

impl Complaints {
    fn new(channel: &'static str) -> Self {
        Self {
            channel,
            last: None,
        }
    }

    /// A message was understood.
    fn end(&mut self) {
        self.last = None;
    }

    /// Notes an error. One of the socket is mostly that of a client which is gone; the others are still there.
    async fn note(&mut self, error: &RuntimeError) {
        let hint = match error {
            RuntimeError::VerifyError(_) => {
                " (the sender has another key than this kernel's connection file)"
            }
            _ => "",
        };
        let text = error.to_string();
        if self.last.as_ref() != Some(&text) {
            let channel = self.channel;
            // Whoever started the kernel may have closed its standard error.
            let _ = writeln!(
                std::io::stderr(),
                "itd: a message on the {channel} channel was dropped: {text}{hint}"
            );
            self.last = Some(text);
        }
        if let RuntimeError::ZmqError(_) = error {
            tokio::time::sleep(connection::PAUSE).await;
        }
    }
}

impl Handler {
    pub fn new(publisher: Publisher, worker: Worker) -> Self {
        Self { publisher, worker }
    }

    /// The reply to a request; none when it comes later or the message asks for none.
    fn answer(&self, message: JupyterMessage) -> Option<JupyterMessage> {
        if let Content::ExecuteRequest(_) = message.content {
            self.worker.execute(message);
            return None;
        }
        self.publisher.busy(&message);
        let reply: Option<Content> = match &message.content {
            Content::KernelInfoRequest(_) => {
                Some(Content::KernelInfoReply(Box::new(kernel_info())))
            }
            Content::IsCompleteRequest(request) => Some(is_complete(&request.code).into()),
            Content::InterruptRequest(_) => {
                self.worker.interrupt();
                Some(InterruptReply::new().into())
            }
            Content::ShutdownRequest(request) => Some(
                ShutdownReply {
                    restart: request.restart,
                    ..ShutdownReply::default()
                }
                .into(),
            ),
            Content::CommInfoRequest(_) => Some(CommInfoReply::default().into()),
            Content::HistoryRequest(_) => Some(HistoryReply::new(Vec::new()).into()),
            Content::CompleteRequest(request) => Some(
                CompleteReply {
                    cursor_start: request.cursor_pos,
                    cursor_end: request.cursor_pos,
                    ..CompleteReply::default()
                }
                .into(),
            ),
            Content::InspectRequest(_) => Some(InspectReply::default().into()),
            // Nobody here listens to widgets: the front end is told so, and does not wait.
            Content::CommOpen(open) => {
                let close = CommClose {
                    comm_id: open.comm_id.clone(),
                    ..CommClose::default()
                };
                self.publisher.send(&message, close);
                None
            }
            _ => None,
        };
        self.publisher.idle(&message);
        // A front end takes the last state for the kernel's; it is still busy with a cell.
        self.worker.still_busy(&self.publisher);
        reply.map(|reply| JupyterMessage::new(reply, Some(&message)))
    }
}

fn kernel_info() -> KernelInfoReply {
    KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: "5.4".to_owned(),
        implementation: "itd".to_owned(),
        implementation_version: env!("CARGO_PKG_VERSION").to_owned(),
        language_info: LanguageInfo {
            name: "rust".to_owned(),
            // The oldest that would do: asking the compiler takes longer than the answer may.
            version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
            mimetype: Some("text/x-rust".to_owned()),
            file_extension: Some(".rs".to_owned()),
            pygments_lexer: Some("rust".to_owned()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".to_owned())),
            nbconvert_exporter: Some("script".to_owned()),
        },
        banner: format!(
            "itd {}: information-theoretic diffusion in Rust. `itd_prelude::prelude::*` is imported.",
            env!("CARGO_PKG_VERSION")
        ),
        help_links: vec![HelpLink {
            text: "The Rust Standard Library".to_owned(),
            url: "https://doc.rust-lang.org/std/".to_owned(),
        }],
        debugger: false,
        error: None,
    }
}

fn is_complete(code: &str) -> IsCompleteReply {
    match whole::check(code) {
        Completeness::Complete => IsCompleteReply::complete(),
        Completeness::Incomplete { indent } => IsCompleteReply::incomplete(" ".repeat(indent)),
        Completeness::Invalid => IsCompleteReply::invalid(),
    }
}
