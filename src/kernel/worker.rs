//! The thread that executes cells, one after the other.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jupyter_protocol::{
    ClearOutput, DisplayData, ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest,
    ExecuteResult, ExecutionCount, ExpressionResult, JupyterMessage, JupyterMessageContent,
    Payload as Wanted, ReplyError, ReplyStatus, StreamContent, Transient, UnknownMessage,
    UpdateDisplayData,
};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::comm::Comms;
use super::debug::{self, Question};
use super::iopub::Publisher;
use super::stdin::Stdin;
use crate::analysis::Analyst;
use crate::cell::ask::Ask;
use crate::frame::metadata;
use crate::history::History;
use crate::prelude::Step;
use crate::reply::{Bundle, Failure, Output, Payload, media};
use crate::session::events::{Aside, Asides, Late};
use crate::session::{Foresee, Interrupter, Seen, Session, Settings, Workshop, start};

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
    /// What is asked of the session when no cell waits.
    looks: VecDeque<Look>,
    /// The variables as they were seen last, and whether no cell has run since.
    seen: Vec<Seen>,
    seen_now: bool,
    /// The session is being asked for what it holds.
    looking: bool,
    interrupter: Option<Interrupter>,
    /// An interrupt came before there was a session; it is for the first cell.
    interrupted: bool,
    ended: bool,
}

/// A debug request that only the session can answer, and where the answer goes.
pub struct Look {
    pub request: JupyterMessage,
    pub content: Value,
    pub question: Question,
    pub replies: UnboundedSender<JupyterMessage>,
}

impl Look {
    fn is_overview(&self) -> bool {
        matches!(self.question, Question::Variables { .. })
    }

    fn answer(self, publisher: &Publisher, content: Value) {
        let _ = self.replies.send(debug::reply(&self.request, content));
        publisher.idle(&self.request);
    }
}

/// What the worker does next.
enum Task {
    Cell(JupyterMessage),
    Look(Look),
}

impl Worker {
    /// Has a look taken at the variables. While a cell has them, they are told as they were before.
    pub fn look(&self, look: Look, publisher: &Publisher) {
        let mut state = self.state();
        let busy = state.running.is_some() || !state.queue.is_empty();
        if !busy && state.interrupter.is_some() && !(state.seen_now && look.is_overview()) {
            state.looks.push_back(look);
            drop(state);
            self.shared.woken.notify_all();
            return;
        }
        let answer = match &look.question {
            Question::Variables { joined } => debug::variables(&look.content, &state.seen, *joined),
            Question::Variable(_) => debug::refused(
                &look.content,
                "a cell is running; ask again when it is over",
            ),
        };
        drop(state);
        look.answer(publisher, answer);
        self.still_busy(publisher);
    }

    /// Has a cell executed after those before it.
    pub fn execute(&self, request: JupyterMessage) {
        self.state().queue.push_back(request);
        self.shared.woken.notify_all();
    }

    /// Interrupts the cell that runs, or the one that is about to.
    pub fn interrupt(&self) {
        let mut state = self.state();
        let handles = |interrupter: &Interrupter| interrupter.is_handling();
        let handling = state.interrupter.as_ref().is_some_and(handles);
        if state.running.is_none() && state.queue.is_empty() && !handling && !state.looking {
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

    /// Waits for the next cell, or for a question between cells; none when the worker is to end.
    fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(request) = state.queue.pop_front() {
                state.running = Some(request.clone());
                state.seen_now = false;
                return Some(Task::Cell(request));
            }
            if let Some(look) = state.looks.pop_front() {
                state.looking = true;
                return Some(Task::Look(look));
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

/// Where goes what a process says that is no output of a cell.
#[derive(Clone)]
pub struct Beside {
    pub comms: Comms,
    pub stdin: Stdin,
}

/// Starts the thread, which brings up prelude and session by itself.
pub fn start(
    workshop: Arc<Workshop>,
    publisher: Publisher,
    replies: UnboundedSender<JupyterMessage>,
    history: History,
    beside: Beside,
    analyst: Analyst,
) -> Worker {
    let worker = Worker {
        shared: Arc::default(),
    };
    let mut cells = Cells {
        worker: worker.clone(),
        publisher,
        replies,
        history,
        count: 0,
    };
    let settings = Settings {
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        analyst: Some(analyst),
        ..Settings::default()
    };
    std::thread::Builder::new()
        .name("cells".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let mut progress = BuildProgress::default();
            let mut session = start::session(workshop, &settings, &mut |step| {
                progress.tell(&cells, &step)
            });
            if let Ok(session) = &mut session {
                session.remember(cells.history.clone());
                let interrupter = session.interrupter();
                let mut state = cells.worker.state();
                if std::mem::take(&mut state.interrupted) {
                    interrupter.interrupt_next();
                }
                state.interrupter = Some(interrupter);
                drop(state);
                session.tell_late(cells.late());
                session.foresee(cells.foresee());
                session.tell_asides(cells.asides(beside.clone()));
                beside.comms.connect(session.channel());
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
    history: History,
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

    /// The cell that waits behind the one that runs.
    fn foresee(&self) -> Foresee {
        let worker = self.worker.clone();
        Arc::new(move || match worker.waiting()?.content {
            JupyterMessageContent::ExecuteRequest(request)
                if request.store_history && !request.silent =>
            {
                Some(request.code)
            }
            _ => None,
        })
    }

    /// Brings questions to the user, and messages to and from widgets with what their handling shows.
    fn asides(&self, Beside { comms, stdin }: Beside) -> Asides {
        let (worker, publisher) = (self.worker.clone(), self.publisher.clone());
        // What the process says without being asked belongs to the cell that runs, or that ran last.
        let cell = {
            let worker = worker.clone();
            move || {
                let state = worker.state();
                let last = || state.last.as_ref().map(|(message, _)| message.clone());
                state.running.clone().or_else(last)
            }
        };
        let handling = Mutex::new(None::<JupyterMessage>);
        Arc::new(move |aside| {
            let mut handling = handling.lock().unwrap_or_else(PoisonError::into_inner);
            match aside {
                Aside::Asks(question) => stdin.ask(worker.state().running.as_ref(), question),
                Aside::Comm(comm) => {
                    if let Some(parent) = handling.clone().or_else(&cell) {
                        comms.publish(&parent, comm);
                    }
                }
                Aside::Handling(id) => {
                    *handling = comms.waiting(&id);
                    if let Some(message) = &*handling {
                        publisher.busy(message);
                    }
                }
                Aside::Shows(id, output) => {
                    if let Some(message) = comms.waiting(&id) {
                        publish(&publisher, &message, ExecutionCount::new(0), output);
                    }
                }
                Aside::Handled(id) => {
                    *handling = None;
                    if let Some(message) = comms.handled(&id) {
                        publisher.idle(&message);
                        worker.still_busy(&publisher);
                    }
                }
                Aside::Gone => {
                    *handling = None;
                    comms.end(cell().as_ref());
                }
            }
        })
    }

    fn serve(&mut self, mut session: Result<Session, Failure>) {
        while let Some(task) = self.worker.next() {
            let message = match task {
                Task::Cell(message) => message,
                Task::Look(look) => {
                    self.look(look, session.as_mut());
                    let mut state = self.worker.state();
                    state.looking = false;
                    if let (Some(interrupter), true) = (&state.interrupter, state.queue.is_empty())
                    {
                        interrupter.forget();
                    }
                    continue;
                }
            };
            self.publisher.busy(&message);
            let mut aborted = Vec::new();
            if let JupyterMessageContent::ExecuteRequest(request) = &message.content {
                let asked = session.as_mut();
                let reply =
                    catch_unwind(AssertUnwindSafe(|| self.execute(&message, request, asked)))
                        .unwrap_or_else(|_| self.broken(&message));
                if reply.error.is_some() && request.stop_on_error {
                    // What waits now was sent without knowing of the failure; what is sent after the reply
                    // was not.
                    aborted.extend(self.worker.state().queue.drain(..));
                }
                let seen = session.as_ref().map(|session| self.seen(session));
                let mut state = self.worker.state();
                state.running = None;
                state.seen = seen.unwrap_or_default();
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
        if counted {
            // Before it runs: the session may end in any way.
            self.history.add(number, &request.code);
        }
        let told = Told::default();
        let sink = |output| {
            if let Some(output) = told.take(output)
                && !request.silent
            {
                publish(&self.publisher, message, count, output);
            }
        };
        let (failure, user_expressions) = match session {
            Ok(session) => {
                let failure = match session.asked(&request.code) {
                    Some(Ask::End { .. }) if is_console(message, request) => {
                        sink(Output::Payload(Payload::Exit));
                        None
                    }
                    _ => session.execute(&request.code, number, &sink).failure,
                };
                let expressions = request.user_expressions.iter().flatten();
                let values = match failure {
                    None => expressions
                        .map(|(name, code)| (name.clone(), value(session.evaluate(code, &sink))))
                        .collect(),
                    Some(_) => Default::default(),
                };
                (failure, values)
            }
            Err(failure) => (Some(failure.clone()), Default::default()),
        };
        let (payload, text) = told.end();
        if let (true, Some(text)) = (counted, text) {
            self.history.add_output(number, &text);
        }
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
            payload,
            user_expressions: Some(user_expressions),
            error: error.map(Box::new),
        }
    }

    /// The reply to a cell at which the kernel itself has failed: the next one is executed all the same.
    fn broken(&self, message: &JupyterMessage) -> ExecuteReply {
        let what = "the kernel failed at this cell, which is a fault of its own; the next cell runs; please report this one with what the kernel's log says";
        let failure = Failure::new("KernelError", what);
        let error = ErrorOutput {
            ename: failure.name.clone(),
            evalue: failure.value.clone(),
            traceback: failure.traceback.clone(),
        };
        self.publisher.send(message, error);
        ExecuteReply {
            status: ReplyStatus::Error,
            execution_count: ExecutionCount::new(self.count),
            payload: Vec::new(),
            user_expressions: Some(Default::default()),
            error: Some(Box::new(ReplyError {
                ename: failure.name,
                evalue: failure.value,
                traceback: failure.traceback,
            })),
        }
    }

    /// Answers what only the session knows.
    fn look(&self, look: Look, session: Result<&mut Session, &mut Failure>) {
        let late = self.late();
        let sink = move |output| late(output);
        let answer = match (&look.question, session) {
            (_, Err(failure)) => debug::refused(&look.content, &failure.plain()),
            (Question::Variables { joined }, Ok(session)) => {
                let known = self.worker.state().seen_now; // another one asked before
                let seen = (!known).then(|| session.look(&sink));
                let mut state = self.worker.state();
                if let Some(seen) = seen {
                    (state.seen, state.seen_now) = (seen, true);
                }
                debug::variables(&look.content, &state.seen, *joined)
            }
            (Question::Variable(name), Ok(session)) => {
                let is_variable = session.variables().iter().any(|(other, _)| other == name);
                let value = match is_variable {
                    true => session.evaluate(name, &sink),
                    false => Err(Failure::new("Variable", format!("there is no `{name}`"))),
                };
                debug::variable(&look.content, &value)
            }
        };
        look.answer(&self.publisher, answer);
    }

    /// The variables as they are now, with the values that they had when they were looked at.
    fn seen(&self, session: &Session) -> Vec<Seen> {
        let mut before = std::mem::take(&mut self.worker.state().seen);
        let variables = session.variables().into_iter();
        let seen = variables.map(|(name, kind)| {
            let known = before
                .iter_mut()
                .find(|seen| seen.name == name && seen.kind == kind);
            let value = known.map(|seen| std::mem::take(&mut seen.value));
            let value = value.unwrap_or_default();
            Seen {
                name,
                kind,
                value,
                ..Seen::default()
            }
        });
        seen.collect()
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

/// What a cell tells that is not published while it runs.
#[derive(Default)]
struct Told {
    payload: Mutex<Vec<Payload>>,
    /// The plain text of its value.
    text: Mutex<Option<String>>,
}

impl Told {
    /// Keeps what is for the reply, and gives back what is to be published.
    fn take(&self, output: Output) -> Option<Output> {
        match &output {
            Output::Payload(payload) => {
                lock(&self.payload).push(payload.clone());
                return None;
            }
            Output::Result(data) => {
                let text = data.get("text/plain").and_then(|text| text.as_str());
                *lock(&self.text) = text.map(str::to_owned);
            }
            _ => {}
        }
        Some(output)
    }

    fn end(self) -> (Vec<Wanted>, Option<String>) {
        let wanted = |payload| match payload {
            Payload::Page(data) => Wanted::Page {
                data: media(data),
                start: 0,
            },
            Payload::NextInput { code, replace } => Wanted::SetNextInput {
                text: code,
                replace,
            },
            Payload::Exit => Wanted::AskExit { keepkernel: false },
        };
        let payload = std::mem::take(&mut *lock(&self.payload));
        let text = lock(&self.text).take();
        (payload.into_iter().map(wanted).collect(), text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a request comes from a terminal, which ends when it is asked to: somebody can answer there, and a notebook
/// would have named the cell.
fn is_console(message: &JupyterMessage, request: &ExecuteRequest) -> bool {
    request.allow_stdin && message.metadata["cellId"].is_null()
}

/// What a user expression has come to.
fn value(value: Result<Bundle, Failure>) -> ExpressionResult {
    match value {
        Ok(data) => ExpressionResult::Ok {
            metadata: metadata(&data),
            data: media(data),
        },
        Err(failure) => ExpressionResult::Error {
            ename: failure.name,
            evalue: failure.value,
            traceback: failure.traceback,
        },
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
                metadata: metadata(&data),
                data: media(data),
                transient: Some(Transient { display_id: id }),
            },
        ),
        Output::Display {
            data,
            id,
            update: true,
        } => to.send(
            parent,
            UpdateDisplayData {
                metadata: metadata(&data),
                data: media(data),
                transient: Transient { display_id: id },
            },
        ),
        Output::Clear { wait } => to.send(parent, ClearOutput { wait }),
        // It went into the reply; what comes late has none.
        Output::Payload(_) => {}
        Output::Result(data) => to.send(
            parent,
            ExecuteResult {
                // Front ends look into it, and find no `null`.
                transient: Some(Transient { display_id: None }),
                metadata: metadata(&data),
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
