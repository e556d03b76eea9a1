//! Requests and their replies. Cells go to the worker; everything else is answered at once.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jupyter_protocol::{
    CompleteReply, CompleteRequest, ConnectionInfo, HistoryEntry, HistoryReply, HistoryRequest,
    InspectReply, InspectRequest, InterruptReply, IsCompleteReply, JupyterMessage,
    JupyterMessageContent as Content, ShutdownReply,
};
use jupyter_zmq_client::{KernelShellConnection, RuntimeError};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::comm::Comms;
use super::debug::{self, Debugger};
use super::gate::Names;
use super::info::{self, Compiler};
use super::iopub::Publisher;
use super::message::{self, Incoming, stamp};
use super::usage::Usage;
use super::worker::{Look, Worker};
use super::{connection, debug::Answer};
use crate::analysis::Analyst;
use crate::cell::whole::{self, Completeness};
use crate::history::{Access, History};
use crate::reply::media;

/// How long an interrupt waits for the cell that it is meant for: the two come on channels of their own, and the
/// later one may be read first.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// Answers requests.
#[derive(Clone)]
pub struct Handler {
    publisher: Publisher,
    worker: Worker,
    comms: Comms,
    history: History,
    analyst: Analyst,
    compiler: Compiler,
    usage: Usage,
    debugger: Debugger,
    /// Where front ends find this kernel.
    ports: Arc<ConnectionInfo>,
}

/// Reads the shell or the control socket, on which the same may be asked. Replies leave through `replies`, the
/// handler's and the worker's alike.
pub async fn serve(
    channel: &'static str,
    (connection, names): (KernelShellConnection, Arc<Names>),
    (replies, mut to_peer): (
        UnboundedSender<JupyterMessage>,
        UnboundedReceiver<JupyterMessage>,
    ),
    handler: Handler,
    stop: Arc<Notify>,
) {
    let (mut sender, mut receiver) = connection.split();
    tokio::spawn(async move {
        while let Some(mut reply) = to_peer.recv().await {
            names.address(&mut reply);
            if let Err(error) = sender.send(stamp(reply)).await {
                let _ = writeln!(std::io::stderr(), "itd: a reply could not be sent: {error}");
            }
        }
    });
    let mut complaints = Complaints::new(channel);
    loop {
        match message::read(&mut receiver).await {
            Ok(incoming) => {
                complaints.end();
                let asked = &incoming.message.content;
                let shutdown = matches!(asked, Content::ShutdownRequest(_));
                if incoming.fault.is_none() && handler.ask_analyst(&incoming.message, &replies) {
                    continue;
                }
                if matches!(asked, Content::InterruptRequest(_)) && !handler.worker.is_busy() {
                    tokio::time::sleep(OVERTAKEN).await;
                }
                // Only the first kernel after a change of the compiler has to wait.
                let compiler = match asked {
                    Content::KernelInfoRequest(_) => handler.compiler.known().await,
                    _ => String::new(),
                };
                if let Some(reply) = handler.answer(incoming, &compiler, &replies) {
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
    pub fn new(
        publisher: Publisher,
        worker: Worker,
        comms: Comms,
        history: History,
        analyst: Analyst,
        compiler: Compiler,
        ports: ConnectionInfo,
    ) -> Self {
        Self {
            publisher,
            worker,
            comms,
            history,
            analyst,
            compiler,
            usage: Usage::default(),
            debugger: Debugger::default(),
            ports: Arc::new(ports),
        }
    }

    /// Answers, on a thread of its own, what the analyst is asked; whether `message` asks that.
    fn ask_analyst(
        &self,
        message: &JupyterMessage,
        replies: &UnboundedSender<JupyterMessage>,
    ) -> bool {
        if !matches!(
            message.content,
            Content::CompleteRequest(_) | Content::InspectRequest(_)
        ) {
            return false;
        }
        let (handler, message, replies) = (self.clone(), message.clone(), replies.clone());
        tokio::task::spawn_blocking(move || {
            handler.publisher.busy(&message);
            let reply: Content = match &message.content {
                Content::InspectRequest(request) => inspect(&handler.analyst, request).into(),
                Content::CompleteRequest(request) => complete(&handler.analyst, request).into(),
                _ => return,
            };
            handler.publisher.idle(&message);
            handler.worker.still_busy(&handler.publisher);
            let _ = replies.send(JupyterMessage::new(reply, Some(&message)));
        });
        true
    }

    /// The reply to a request; none when it comes later, by way of `replies`, or the message asks for none.
    fn answer(
        &self,
        incoming: Incoming,
        compiler: &str,
        replies: &UnboundedSender<JupyterMessage>,
    ) -> Option<JupyterMessage> {
        let Incoming { message, fault } = incoming;
        if let Content::ExecuteRequest(_) = message.content {
            self.worker.execute(message);
            return None;
        }
        if let Content::CommOpen(_) | Content::CommMsg(_) | Content::CommClose(_) = message.content
        {
            self.comms.receive(message);
            self.worker.still_busy(&self.publisher);
            return None;
        }
        self.publisher.busy(&message);
        if let Some(fault) = fault {
            let refused = self.refuse(&message, "Request", &fault);
            return self.end(&message, refused);
        }
        let reply: Option<Content> = match &message.content {
            Content::KernelInfoRequest(_) => Some(info::reply(compiler)),
            Content::IsCompleteRequest(request) => Some(is_complete(&request.code).into()),
            Content::InterruptRequest(_) => {
                self.worker.interrupt();
                Some(InterruptReply::new().into())
            }
            Content::ShutdownRequest(request) => {
                let reply = ShutdownReply {
                    restart: request.restart,
                    ..ShutdownReply::default()
                };
                // The other front ends hear of it, too.
                self.publisher.send(&message, reply.clone());
                Some(reply.into())
            }
            Content::CommInfoRequest(request) => {
                Some(self.comms.info(request.target_name.as_deref()).into())
            }
            Content::HistoryRequest(request) => Some(self.recall(request).into()),
            Content::DebugRequest(request) => match self.debugger.answer(&request.content) {
                Answer::Now(content) => {
                    return self.end(&message, Some(debug::reply(&message, content)));
                }
                Answer::Ask(question) => {
                    let look = Look {
                        content: request.content.clone(),
                        request: message.clone(),
                        question,
                        replies: replies.clone(),
                    };
                    self.worker.look(look, &self.publisher);
                    return None;
                }
            },
            _ => {
                let reply = match message.message_type() {
                    "connect_request" => Some(message::reply(&message, self.connection())),
                    "usage_request" => Some(message::reply(&message, self.usage())),
                    other if other.contains("subshell") => self.refuse(
                        &message,
                        "NotSupported",
                        "there are no subshells: all but cells is answered while a cell runs",
                    ),
                    other => {
                        let text = format!("`{other}` is not known here");
                        self.refuse(&message, "NotSupported", &text)
                    }
                };
                return self.end(&message, reply);
            }
        };
        let reply = reply.map(|reply| JupyterMessage::new(reply, Some(&message)));
        self.end(&message, reply)
    }

    /// A request is answered.
    fn end(
        &self,
        message: &JupyterMessage,
        reply: Option<JupyterMessage>,
    ) -> Option<JupyterMessage> {
        self.publisher.idle(message);
        // A front end takes the last state for the kernel's; it is still busy with a cell.
        self.worker.still_busy(&self.publisher);
        reply
    }

    /// The reply to a request that cannot be obeyed; a message that is none gets no reply.
    fn refuse(&self, message: &JupyterMessage, name: &str, text: &str) -> Option<JupyterMessage> {
        let is_request = message.message_type().ends_with("_request");
        is_request.then(|| message::reply(message, message::refusal(name, text)))
    }

    fn recall(&self, request: &HistoryRequest) -> HistoryReply {
        let number = |n: i32| usize::try_from(n).unwrap_or(0);
        let (access, output) = match request {
            HistoryRequest::Tail { n, output, .. } => (Access::Tail { n: number(*n) }, *output),
            HistoryRequest::Range {
                session,
                start,
                stop,
                output,
                ..
            } => {
                let access = Access::Range {
                    session: session.unwrap_or(0).into(),
                    start: (*start).into(),
                    stop: Some((*stop).into()),
                };
                (access, *output)
            }
            HistoryRequest::Search {
                pattern,
                unique,
                output,
                n,
                ..
            } => {
                let access = Access::Search {
                    pattern: pattern.clone(),
                    n: Some(number(*n)),
                    unique: *unique,
                };
                (access, *output)
            }
        };
        let entries = self.history.find(&access).into_iter();
        let entries = entries.map(|entry| {
            let (session, line) = (entry.session as usize, entry.line as usize);
            match output {
                false => HistoryEntry::Input(session, line, entry.input),
                true => {
                    let both = (entry.input, entry.output.unwrap_or_default());
                    HistoryEntry::InputOutput(session, line, both)
                }
            }
        });
        HistoryReply::new(entries.collect())
    }

    fn connection(&self) -> Value {
        json!({
            "status": "ok",
            "shell_port": self.ports.shell_port,
            "iopub_port": self.ports.iopub_port,
            "stdin_port": self.ports.stdin_port,
            "control_port": self.ports.control_port,
            "hb_port": self.ports.hb_port,
        })
    }

    fn usage(&self) -> Value {
        match self.usage.measure() {
            Ok(mut usage) => {
                usage["status"] = json!("ok");
                usage
            }
            Err(error) => message::refusal("NotSupported", &error.to_string()),
        }
    }
}

fn complete(analyst: &Analyst, request: &CompleteRequest) -> CompleteReply {
    let found = analyst.complete(&request.code, request.cursor_pos);
    let typed: Vec<_> = found
        .candidates
        .iter()
        .map(|candidate| {
            json!({
                "text": candidate.text,
                "type": candidate.kind,
                "signature": candidate.detail,
                "start": found.start,
                "end": found.end,
            })
        })
        .collect();
    let mut metadata = serde_json::Map::new();
    // The name under which front ends look for kinds and signatures.
    metadata.insert("_jupyter_types_experimental".to_owned(), typed.into());
    CompleteReply {
        matches: found.candidates.into_iter().map(|it| it.text).collect(),
        cursor_start: found.start,
        cursor_end: found.end,
        metadata,
        ..CompleteReply::default()
    }
}

fn inspect(analyst: &Analyst, request: &InspectRequest) -> InspectReply {
    let Some(found) = analyst.inspect(&request.code, request.cursor_pos) else {
        return InspectReply::default();
    };
    InspectReply {
        found: true,
        data: media(found.bundle(request.detail_level.is_some_and(|level| level > 0))),
        ..InspectReply::default()
    }
}

fn is_complete(code: &str) -> IsCompleteReply {
    match whole::check(code) {
        Completeness::Complete => IsCompleteReply::complete(),
        Completeness::Incomplete { indent } => IsCompleteReply::incomplete(" ".repeat(indent)),
        Completeness::Invalid => IsCompleteReply::invalid(),
    }
}
