//! The thread that executes cells, one after the other.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jupyter_protocol::{
    ClearOutput, DisplayData, ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest,
    ExecuteResult, ExecutionCount, JupyterMessage, JupyterMessageContent, ReplyError, ReplyStatus,
    StreamContent, Transient, UnknownMessage, UpdateDisplayData,
};
use tokio::sync::mpsc::UnboundedSender;

use super::iopub::Publisher;
use crate::prelude::Step;
use crate::reply::{Bundle, Failure, Output, media};
use crate::session::events::Late;
use crate::session::{Interrupter, Session, Settings, Workshop, start};

/// Shortest time between two states of the progress of a build.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// The stack of the thread that executes cells: rust-analyzer, which evcxr asks there, goes deep.
const STACK: usize = 16 << 20;

/// A handle to the thread that executes cells.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<JupyterMessage>,
    running: Option<JupyterMessage>,
    /// The last cell that was executed: what its threads show later belongs to it.
    last: Option<(JupyterMessage, ExecutionCount)>,
    interrupter: Option<Interrupter>,
    /// An interrupt came before there was a session; it is for the first cell.
    interrupted: bool,
    ended: bool,
}

impl Worker {
    /// Has a cell executed after those before it.
    pub fn execute(&self, request: JupyterMessage) {
        self.state().queue.push_back(request);
        self.shared.woken.notify_all();
    }

    /// Interrupts the cell that runs, or the one that is about to.
    pub fn interrupt(&self) {
        let mut state = self.state();
        if state.running.is_none() && state.queue.is_empty() {
            return;
        }
        match &state.interrupter {
            Some(interrupter) => interrupter.interrupt_next(),
            None => state.interrupted = true,
        }
    }

    /// Whether a cell runs or waits.
    pub fn is_busy(&self) -> bool {
        let state = self.state();
        state.running.is_some() || !state.queue.is_empty()
    }

    /// Says that the kernel is still busy with the request that is being executed, if there is one. That it is
    /// idle is only said afterwards: the request is running as long as the state is held here.
    pub fn still_busy(&self, publisher: &Publisher) {
        if let Some(running) = &self.state().running {
            publisher.busy(running);
        }
    }

    /// Executes nothing any more; a cell that runs is stopped with its process.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.queue.clear();
        if let Some(interrupter) = state.interrupter.clone() {
            drop(state);
            interrupter.end();
        }
        self.shared.woken.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next cell; none when the worker is to end.
    fn next(&self) -> Option<JupyterMessage> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(request) = state.queue.pop_front() {
                state.running = Some(request.clone());
                return Some(request);
            }
            state = self
                .shared
                .woken
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The first cell that waits, without taking it.
    fn waiting(&self) -> Option<JupyterMessage> {
        self.state().queue.front().cloned()
    }
}

/// Starts the thread, which brings up prelude and session by itself.
pub fn start(
    workshop: Arc<Workshop>,
    publisher: Publisher,
    replies: UnboundedSender<JupyterMessage>,
) -> Worker {
    let worker = Worker {
        shared: Arc::default(),
    };
    let mut cells = Cells {
        worker: worker.clone(),
        publisher,
        replies,
        count: 0,
    };
    let settings = Settings {
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        ..Settings::default()
    };
    std::thread::Builder::new()
        .name("cells".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let mut progress = BuildProgress::default();
            let session = start::session(workshop, &settings, &mut |step| {
                progress.tell(&cells, &step)
            });
            if let Ok(session) = &session {
                let interrupter = session.interrupter();
                let mut state = cells.worker.state();
                if std::mem::take(&mut state.interrupted) {
                    interrupter.interrupt_next();
                }
                state.interrupter = Some(interrupter);
                drop(state);
                session.tell_late(cells.late());
            }
            progress.finish(&cells);
            cells.serve(session);
        })
        .map(drop)
        .unwrap_or_else(|error| eprintln!("itd: no thread for cells: {error}"));
    worker
}

/// The worker's side.
struct Cells {
    worker: Worker,
    publisher: Publisher,
    replies: UnboundedSender<JupyterMessage>,
    count: usize,
}

impl Cells {
    /// Shows what comes between cells under the last one.
    fn late(&self) -> Late {
        let (worker, publisher) = (self.worker.clone(), self.publisher.clone());
        Arc::new(move |output| {
            let last = worker.state().last.clone();
            if let Some((message, count)) = last {
                publish(&publisher, &message, count, output);
            }
        })
    }

    fn serve(&mut self, mut session: Result<Session, Failure>) {
        while let Some(message) = self.worker.next() {
            self.publisher.busy(&message);
            let mut aborted = Vec::new();
            if let JupyterMessageContent::ExecuteRequest(request) = &message.content {
                let reply = self.execute(&message, request, session.as_mut());
                if reply.error.is_some() && request.stop_on_error {
                    // What waits now was sent without knowing of the failure; what is sent after the reply
                    // was not.
                    aborted.extend(self.worker.state().queue.drain(..));
                }
                let mut state = self.worker.state();
                state.running = None;
                if let (Some(interrupter), true) = (&state.interrupter, state.queue.is_empty()) {
                    interrupter.forget();
                }
                drop(state);
                self.reply(&message, reply);
            }
            self.publisher.idle(&message);
            for message in aborted {
                self.abort(&message);
            }
        }
    }

    /// Executes one request; gives the reply to it.
    fn execute(
        &mut self,
        message: &JupyterMessage,
        request: &ExecuteRequest,
        session: Result<&mut Session, &mut Failure>,
    ) -> ExecuteReply {
        let counted = request.store_history && !request.silent;
        if counted {
            self.count += 1;
        }
        // Cells that leave no trace share a number that no other has.
        let number = if counted { self.count as u32 } else { 0 };
        let count = ExecutionCount::new(self.count);
        if !request.silent {
            self.publisher.send(
                message,
                ExecuteInput {
                    code: request.code.clone(),
                    execution_count: count,
                },
            );
        }
        if !request.silent {
            self.worker.state().last = Some((message.clone(), count));
        }
        let failure = match session {
            Ok(session) => {
                let sink = |output| {
                    if !request.silent {
                        publish(&self.publisher, message, count, output);
                    }
                };
                session.execute(&request.code, number, &sink).failure
            }
            Err(failure) => Some(failure.clone()),
        };
        let error = failure.map(|failure| ReplyError {
            ename: failure.name,
            evalue: failure.value,
            traceback: failure.traceback,
        });
        if let (Some(error), false) = (&error, request.silent) {
            self.publisher.send(
                message,
                ErrorOutput {
                    ename: error.ename.clone(),
                    evalue: error.evalue.clone(),
                    traceback: error.traceback.clone(),
                },
            );
        }
        ExecuteReply {
            status: if error.is_some() {
                ReplyStatus::Error
            } else {
                ReplyStatus::Ok
            },
            execution_count: count,
            user_expressions: Some(Default::default()),
            error: error.map(Box::new),
            ..ExecuteReply::default()
        }
    }

    fn abort(&self, message: &JupyterMessage) {
        self.publisher.busy(message);
        // Without a count, by which a front end would number a cell that has not run.
        let reply = UnknownMessage {
            msg_type: "execute_reply".to_owned(),
            content: serde_json::json!({ "status": ReplyStatus::Aborted }),
        };
        self.reply(message, reply);
        self.publisher.idle(message);
    }

    fn reply(&self, parent: &JupyterMessage, reply: impl Into<JupyterMessageContent>) {
        let _ = self.replies.send(JupyterMessage::new(reply, Some(parent)));
    }
}

fn publish(to: &Publisher, parent: &JupyterMessage, count: ExecutionCount, output: Output) {
    match output {
        Output::Stdout(text) => to.send(parent, StreamContent::stdout(&text)),
        Output::Stderr(text) => to.send(parent, StreamContent::stderr(&text)),
        Output::Display {
            data,
            id,
            update: false,
        } => to.send(
            parent,
            DisplayData {
                data: media(data),
                metadata: Default::default(),
                transient: id.map(|id| Transient {
                    display_id: Some(id),
                }),
            },
        ),
        Output::Display {
            data,
            id,
            update: true,
        } => to.send(
            parent,
            UpdateDisplayData {
                data: media(data),
                metadata: Default::default(),
                transient: Transient { display_id: id },
            },
        ),
        Output::Clear { wait } => to.send(parent, ClearOutput { wait }),
        Output::Result(data) => to.send(
            parent,
            ExecuteResult {
                // Front ends look into it, and find no `null`.
                transient: Some(Transient { display_id: None }),
                ..ExecuteResult::new(count, media(data))
            },
        ),
    }
}

/// Shows the build of the prelude in the first cell that has to wait for it.
#[derive(Default)]
struct BuildProgress {
    shown_in: Option<JupyterMessage>,
    last: Option<Instant>,
}

impl BuildProgress {
    const ID: &str = "itd-prelude-build";

    fn tell(&mut self, cells: &Cells, step: &Step) {
        if self
            .last
            .is_some_and(|last| last.elapsed() < PROGRESS_PERIOD)
        {
            return;
        }
        self.last = Some(Instant::now());
        self.show(cells, &step.to_string());
    }

    fn finish(&mut self, cells: &Cells) {
        if self.shown_in.is_some() {
            self.show(cells, "The prelude is built; this happens once.");
        }
    }

    fn show(&mut self, cells: &Cells, text: &str) {
        let transient = Transient {
            display_id: Some(Self::ID.to_owned()),
        };
        let data = media(Bundle::from([("text/plain".to_owned(), text.into())]));
        let metadata = Default::default();
        match &self.shown_in {
            Some(parent) => cells.publisher.send(
                parent,
                UpdateDisplayData {
                    data,
                    metadata,
                    transient,
                },
            ),
            None => {
                let Some(parent) = cells.worker.waiting() else {
                    return;
                };
                let transient = Some(transient);
                cells.publisher.busy(&parent);
                cells.publisher.send(
                    &parent,
                    DisplayData {
                        data,
                        metadata,
                        transient,
                    },
                );
                self.shown_in = Some(parent);
            }
        }
    }
}
