//! The channel on which a cell asks the user, and gets the answer.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jupyter_protocol::{
    InputRequest, JupyterMessage, JupyterMessageContent as Content, ReplyStatus,
};
use jupyter_zmq_client::{KernelStdinConnection, RuntimeError};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::gate::Names;
use super::{connection, message};
use crate::session::events::Question;

/// Asks front ends, from any thread. Clones ask the same ones.
#[derive(Clone)]
pub struct Stdin {
    requests: UnboundedSender<JupyterMessage>,
    asked: Arc<Mutex<Option<Asked>>>,
}

/// The question that waits for its answer: a new one takes its place, since the cell has given up the one before.
struct Asked {
    request: String,
    question: Question,
}

impl Stdin {
    /// Puts a cell's question to the front end that sent the cell; answers it itself when that one takes none.
    pub fn ask(&self, cell: Option<&JupyterMessage>, question: Question) {
        let allowed = cell.and_then(|cell| match &cell.content {
            Content::ExecuteRequest(request) if request.allow_stdin => Some(cell),
            _ => None,
        });
        let Some(cell) = allowed else {
            let why = match cell {
                Some(_) => "what runs this notebook takes no input",
                None => "no cell runs",
            };
            return question.answer(Err(why.to_owned()));
        };
        let content = InputRequest {
            prompt: question.prompt.clone(),
            password: question.password,
        };
        // It goes to where the cell came from: the message has the same identity.
        let request = JupyterMessage::new(content, Some(cell));
        *self.asked() = Some(Asked {
            request: request.header.msg_id.clone(),
            question,
        });
        let _ = self.requests.send(request);
    }

    /// Takes in an answer. Some front ends do not say to which question.
    fn answered(&self, reply: &JupyterMessage) {
        let Content::InputReply(content) = &reply.content else {
            return;
        };
        let parent = reply.parent_header.as_ref().map(|parent| &parent.msg_id);
        let mut asked = self.asked();
        let fits = |asked: &Asked| parent.is_none_or(|parent| *parent == asked.request);
        if let Some(asked) = asked.take_if(|asked| fits(asked)) {
            asked.question.answer(match content.status {
                ReplyStatus::Ok => Ok(content.value.clone()),
                _ => Err("the front end gave no answer".to_owned()),
            });
        }
    }

    /// A question could not be asked.
    fn failed(&self, request: &str) {
        let mut asked = self.asked();
        if let Some(asked) = asked.take_if(|asked| asked.request == request) {
            let why = "the front end does not listen on its stdin channel".to_owned();
            asked.question.answer(Err(why));
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the tasks that own the socket.
pub fn start(connection: KernelStdinConnection, names: Arc<Names>) -> Stdin {
    let (mut sender, mut receiver) = connection.split();
    let (requests, mut to_send) = unbounded_channel::<JupyterMessage>();
    let stdin = Stdin {
        requests,
        asked: Arc::default(),
    };
    let asks = stdin.clone();
    tokio::spawn(async move {
        while let Some(mut request) = to_send.recv().await {
            names.address(&mut request);
            let id = request.header.msg_id.clone();
            if sender.send(message::stamp(request)).await.is_err() {
                asks.failed(&id);
            }
        }
    });
    let hears = stdin.clone();
    tokio::spawn(async move {
        loop {
            match message::read(&mut receiver).await {
                Ok(incoming) => hears.answered(&incoming.message),
                Err(error) => {
                    // Whoever started the kernel may have closed its standard error.
                    let what = "a message on the stdin channel was dropped";
                    let _ = writeln!(std::io::stderr(), "itd: {what}: {error}");
                    if let RuntimeError::ZmqError(_) = error {
                        tokio::time::sleep(connection::PAUSE).await;
                    }
                }
            }
        }
    });
    stdin
}
