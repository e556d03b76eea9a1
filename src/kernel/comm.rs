//! Comms: which there are, whose message is being handled, and what goes over them in both directions.
//!
//! ```text
//! front end ──comm_open, comm_msg, comm_close──▶ receive ──channel──▶ the process
//! front end ◀──the same, busy and idle, outputs── hear ◀──asides─────── the process
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64;
use jupyter_protocol::{
    CommClose, CommId, CommInfo, CommInfoReply, CommMsg, CommOpen, JupyterMessage,
    JupyterMessageContent as Content, ReplyStatus,
};
use serde_json::{Map, Value};

use super::iopub::Publisher;
use crate::frame::{Comm, CommKind, Message};
use crate::session::Channel;

/// Comms of this kernel. Clones are the same.
#[derive(Clone)]
pub struct Comms {
    state: Arc<Mutex<State>>,
    publisher: Publisher,
}

#[derive(Default)]
struct State {
    /// To the process, once there is one.
    channel: Option<Channel>,
    /// The target of each comm that is open.
    open: BTreeMap<String, String>,
    /// The front end's messages that the process has not handled yet.
    waiting: HashMap<String, JupyterMessage>,
}

impl Comms {
    pub fn new(publisher: Publisher) -> Self {
        Self {
            state: Arc::default(),
            publisher,
        }
    }

    /// From now on there is a process that messages can be sent to.
    pub fn connect(&self, channel: Channel) {
        self.state().channel = Some(channel);
    }

    /// The comms that are open, all or those of one target.
    pub fn info(&self, target: Option<&str>) -> CommInfoReply {
        let state = self.state();
        let wanted = |other: &String| target.is_none_or(|target| target == other);
        let open = state.open.iter().filter(|(_, target)| wanted(target));
        let comms = open.map(|(id, target)| {
            let target_name = target.clone();
            (CommId(id.clone()), CommInfo { target_name })
        });
        CommInfoReply {
            status: ReplyStatus::Ok,
            comms: comms.collect(),
            error: None,
        }
    }

    /// Takes in a front end's message, and has the process handle it when it is its turn.
    pub fn receive(&self, message: JupyterMessage) {
        let Some(comm) = read(&message) else {
            return;
        };
        let id = message.header.msg_id.clone();
        let mut state = self.state();
        match &comm.kind {
            CommKind::Open { target } => {
                state.open.insert(comm.id.clone(), target.clone());
            }
            CommKind::Message => {}
            CommKind::Close => {
                state.open.remove(&comm.id);
            }
        }
        state.waiting.insert(id.clone(), message.clone());
        let (name, kind) = (comm.id.clone(), comm.kind.clone());
        let order = Message::Comm {
            id: id.clone(),
            comm,
        };
        let sent = state
            .channel
            .as_ref()
            .is_some_and(|channel| channel.send(&order));
        if sent {
            return;
        }
        state.waiting.remove(&id);
        state.open.remove(&name);
        drop(state);
        self.publisher.busy(&message);
        if let CommKind::Open { .. } = kind {
            // The front end is told that nobody listens, and does not wait.
            self.publisher.send(&message, closing(name));
        }
        self.publisher.idle(&message);
    }

    /// Passes on what the process says over a comm, as a consequence of `parent`.
    pub fn publish(&self, parent: &JupyterMessage, comm: Comm) {
        let mut state = self.state();
        match &comm.kind {
            CommKind::Open { target } => {
                state.open.insert(comm.id.clone(), target.clone());
            }
            CommKind::Message => {}
            CommKind::Close => {
                state.open.remove(&comm.id);
            }
        }
        drop(state);
        self.publisher.send_message(write(parent, comm));
    }

    /// The front end's message that the process is handling.
    pub fn waiting(&self, id: &str) -> Option<JupyterMessage> {
        self.state().waiting.get(id).cloned()
    }

    /// The process has handled it; it is not waited for any more.
    pub fn handled(&self, id: &str) -> Option<JupyterMessage> {
        self.state().waiting.remove(id)
    }

    /// The process has ended, and with it all comms.
    pub fn end(&self, parent: Option<&JupyterMessage>) {
        let mut state = self.state();
        let (open, waiting) = (
            std::mem::take(&mut state.open),
            std::mem::take(&mut state.waiting),
        );
        drop(state);
        if let Some(parent) = parent {
            for id in open.into_keys() {
                self.publisher.send(parent, closing(id));
            }
        }
        for message in waiting.values() {
            // Some have not been begun; who waits for the end of one waits for an idle.
            self.publisher.idle(message);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A front end's message as the process gets it.
fn read(message: &JupyterMessage) -> Option<Comm> {
    let (id, kind, data) = match &message.content {
        Content::CommOpen(open) => {
            let target = open.target_name.clone();
            (&open.comm_id, CommKind::Open { target }, &open.data)
        }
        Content::CommMsg(message) => (&message.comm_id, CommKind::Message, &message.data),
        Content::CommClose(close) => (&close.comm_id, CommKind::Close, &close.data),
        _ => return None,
    };
    let metadata = match &message.metadata {
        Value::Object(metadata) => metadata.clone(),
        _ => Map::new(),
    };
    let buffers = message.buffers.iter().map(|bytes| BASE64.encode(bytes));
    Some(Comm {
        id: id.0.clone(),
        kind,
        data: Value::Object(data.clone()),
        metadata: Value::Object(metadata),
        buffers: buffers.collect(),
    })
}

/// The process's message as a front end gets it.
fn write(parent: &JupyterMessage, comm: Comm) -> JupyterMessage {
    let comm_id = CommId(comm.id);
    let data = match comm.data {
        Value::Object(data) => data,
        _ => Map::new(),
    };
    let content: Content = match comm.kind {
        CommKind::Open { target } => CommOpen {
            comm_id,
            target_name: target,
            data,
            target_module: None,
        }
        .into(),
        CommKind::Message => CommMsg { comm_id, data }.into(),
        CommKind::Close => CommClose { comm_id, data }.into(),
    };
    let buffers = comm
        .buffers
        .iter()
        .map(|text| BASE64.decode(text.as_bytes()).unwrap_or_default().into());
    JupyterMessage::new(content, Some(parent))
        .with_metadata(comm.metadata)
        .with_buffers(buffers.collect())
}

fn closing(id: String) -> CommClose {
    CommClose {
        comm_id: CommId(id),
        ..CommClose::default()
    }
}
