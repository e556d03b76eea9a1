//! Listens to the process that runs the cells: to a cell while it runs, and to what stands beside the cells, such as
//! what a page's widgets call for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use evcxr::EvalContextOutputs;

use super::child::Channel;
use super::child::event::Event;
use super::interrupt::{Interrupter, Phase};
use crate::cell::failure::Place;
use crate::cell::origin::Lines;
use crate::frame::{Bundle, Comm, Frame, Line, Message};
use crate::reply::Output;

/// How long the last words of a finished cell may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The same after a kill, which ends the supervisor too: nobody tells that all is said.
const WORDS_AFTER_KILL: Duration = Duration::from_millis(100);
/// How often something is looked after that nobody tells of: an interrupt that is not heard, a build's progress.
const TICK: Duration = Duration::from_millis(200);

/// Who is told what threads of finished cells show while no cell runs.
pub type Late = Arc<dyn Fn(Output) + Send + Sync>;

/// What the process tells beside the outputs of its cells.
#[derive(Debug)]
pub enum Aside {
    /// A cell asks its user.
    Asks(Question),
    /// A message for the front end's end of a comm, from the cell that runs or from what is being handled.
    Comm(Comm),
    /// The front end's message of this identity is being handled.
    Handling(String),
    /// What the handling of it shows.
    Shows(String, Output),
    /// It has been handled.
    Handled(String),
    /// The process has ended, and with it all comms.
    Gone,
}

/// Who is told so. It must not take long: all else waits behind it.
pub type Asides = Arc<dyn Fn(Aside) + Send + Sync>;

/// A cell's question to its user.
pub struct Question {
    id: u64,
    pub prompt: String,
    /// Whether the answer is not to be seen.
    pub password: bool,
    channel: Channel,
}

impl Question {
    /// Answers it, or says why nobody can.
    pub fn answer(&self, line: Result<String, String>) {
        self.channel.send(&Message::Answer { id: self.id, line });
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({})", self.prompt)
    }
}

/// Takes the supervisor's events for as long as a session lives: to the cell that runs, or else to [`Late`]; what
/// stands beside the cells to [`Asides`].
#[derive(Clone)]
pub struct Dispatcher {
    to: Arc<Mutex<To>>,
    channel: Channel,
    interrupter: Interrupter,
}

#[derive(Default)]
struct To {
    cell: Option<Sender<Event>>,
    late: Option<Late>,
    asides: Option<Asides>,
    /// The message that is being handled.
    handling: Option<String>,
    /// The end of the process while no cell ran; the next cell finds it.
    exited: Option<Event>,
}

impl Dispatcher {
    /// Reads the supervisor's events off evcxr's channel of error lines, from now on.
    pub fn start(outputs: EvalContextOutputs, channel: Channel, interrupter: Interrupter) -> Self {
        let dispatcher = Self {
            to: Arc::default(),
            channel,
            interrupter,
        };
        let this = dispatcher.clone();
        std::thread::spawn(move || {
            for line in outputs.stderr {
                let event =
                    serde_json::from_str(&line).unwrap_or_else(|_| Event::Stderr(line + "\n"));
                this.pass_on(event);
            }
        });
        // evcxr hands on what it does not know of standard output; the supervisor leaves nothing there.
        std::thread::spawn(move || for _ in outputs.stdout {});
        dispatcher
    }

    /// Has `late` told what comes between cells.
    pub fn tell_late(&self, late: Late) {
        self.to().late = Some(late);
    }

    /// Has `asides` told what stands beside the cells. Without it, nobody can be asked.
    pub fn tell_asides(&self, asides: Asides) {
        self.to().asides = Some(asides);
    }

    /// From now on events are those of a cell.
    pub fn begin(&self) -> Receiver<Event> {
        let (sender, events) = unbounded();
        let mut to = self.to();
        if let Some(event) = to.exited.take() {
            let _ = sender.send(event);
        }
        to.cell = Some(sender);
        events
    }

    /// The cell is over; what it has not taken any more comes late.
    pub fn end(&self, events: &Receiver<Event>) {
        self.to().cell = None;
        events.try_iter().for_each(|event| self.deliver(event));
    }

    /// What stands beside the cells; gives back what does not.
    fn aside(&self, event: Event) -> Option<Event> {
        let mut to = self.to();
        let mut exited = None;
        let aside = match event {
            Event::Frame(Frame::Ask {
                id,
                prompt,
                password,
            }) => Aside::Asks(Question {
                id,
                prompt,
                password,
                channel: self.channel.clone(),
            }),
            Event::Frame(Frame::Comm { comm }) => Aside::Comm(comm),
            Event::Frame(Frame::Handling { message }) => {
                to.handling = Some(message.clone());
                self.interrupter.handling(true);
                Aside::Handling(message)
            }
            Event::Frame(Frame::Handled { message }) => {
                to.handling = None;
                self.interrupter.handling(false);
                Aside::Handled(message)
            }
            Event::Exited { .. } => {
                to.handling = None;
                self.interrupter.handling(false);
                exited = Some(event);
                Aside::Gone
            }
            Event::Frame(
                Frame::Begin { .. }
                | Frame::End
                | Frame::Complete
                | Frame::Interrupted
                | Frame::Error { .. },
            )
            | Event::Panicked
            | Event::Errored
            | Event::Returned
            | Event::Done => return Some(event),
            shows => match &to.handling {
                None => return Some(shows),
                Some(message) => Aside::Shows(message.clone(), shown(shows)?),
            },
        };
        let asides = to.asides.clone();
        drop(to); // it may take its time
        match (asides, aside) {
            (Some(asides), aside) => asides(aside),
            (None, Aside::Asks(question)) => {
                question.answer(Err("no front end takes input here".to_owned()));
            }
            (None, _) => {}
        }
        exited
    }

    /// The process has been ended by force, of which nobody tells.
    pub fn process_ended(&self) {
        let mut to = self.to();
        to.handling = None;
        self.interrupter.handling(false);
        let asides = to.asides.clone();
        drop(to);
        if let Some(asides) = asides {
            asides(Aside::Gone);
        }
    }

    fn pass_on(&self, event: Event) {
        if let Some(event) = self.aside(event) {
            self.deliver(event);
        }
    }

    /// To the cell that runs, or else as what comes late.
    fn deliver(&self, event: Event) {
        let mut to = self.to();
        if let Some(cell) = &to.cell {
            let _ = cell.send(event);
            return;
        }
        if let Event::Exited { .. } = event {
            to.exited = Some(event);
            return;
        }
        let late = to.late.clone();
        drop(to); // it may take its time
        if let (Some(late), Some(output)) = (late, shown(event)) {
            late(output);
        }
    }

    fn to(&self) -> MutexGuard<'_, To> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// evcxr's line about a variable whose type was defined anew, or which was not kept: the session says which it was.
fn without_evcxrs_own(text: String) -> String {
    if !text.contains("was redefined, so was lost.") {
        return text;
    }
    let is_own = |line: &&str| {
        line.starts_with("The type of the variable ")
            && line.trim_end().ends_with(" was redefined, so was lost.")
    };
    text.split_inclusive('\n')
        .filter(|line| !is_own(line))
        .collect()
}

/// What an event shows, if it shows something; outside of a cell nothing else counts.
fn shown(event: Event) -> Option<Output> {
    Some(match event {
        Event::Stdout(text) => Output::Stdout(text),
        Event::Stderr(text) => Output::Stderr(text),
        Event::Evcxr(data) => Output::Display {
            data,
            id: None,
            update: false,
        },
        Event::Frame(Frame::Display { data, id, update }) => Output::Display { data, id, update },
        Event::Frame(Frame::Clear { wait }) => Output::Clear { wait },
        Event::Frame(Frame::Stderr { text }) => Output::Stderr(text),
        Event::Frame(Frame::Panic {
            message, thread, ..
        }) => {
            let name = match thread.is_empty() {
                true => "a thread".to_owned(),
                false => format!("the thread `{thread}`"),
            };
            Output::Stderr(format!("{name} panicked: {message}\n"))
        }
        _ => return None,
    })
}

/// What was written to standard error, from lines of which some are events.
pub fn words(lines: &str) -> String {
    let word = |line: &str| match serde_json::from_str(line) {
        Ok(Event::Stderr(text)) => text,
        Ok(_) => String::new(),
        Err(_) => format!("{line}\n"),
    };
    lines.lines().map(word).collect()
}

/// How evcxr's part ended, which says what there is to wait for.
pub enum End {
    Ran,
    Exited,
    NotRun,
}

/// What was learned while a cell ran.
#[derive(Debug, Default)]
pub struct Heard {
    /// Panics, caught or not, in the order in which they happened.
    pub panics: Vec<(String, Option<Place>)>,
    /// A panic ended the cell.
    pub panicked: bool,
    /// An error that left the cell: its name, itself and its causes, and where.
    pub error: Option<(String, Vec<String>, Option<Place>)>,
    /// An error ended the cell.
    pub errored: bool,
    /// A `return` ended the cell.
    pub returned: bool,
    /// The process is gone: its exit code, or the signal that ended it.
    pub exit: Option<(Option<i32>, Option<i32>)>,
    /// The last text on standard error.
    pub last_stderr: String,
    done: bool,
}

/// Hears what happens while a cell runs.
pub struct Listener<'a> {
    pub heard: Heard,
    /// Number of a cell that says when it begins.
    pub number: Option<u32>,
    /// Path of the build that runs.
    pub current: String,
    /// Lines of each build that has run, by the path of its shared object.
    pub builds: &'a mut HashMap<String, Lines>,
    /// The source of the build that runs.
    pub generated: PathBuf,
    pub interrupter: &'a Interrupter,
    /// What is lost if the process has to be ended.
    pub at_stake: &'a [String],
    /// The crates that the compiler has begun to build, one a line.
    pub building: PathBuf,
    /// The display of that, once there is something to show.
    pub shown_building: Option<(String, String)>,
    pub sink: &'a (dyn Fn(Output) + Sync),
    /// Is told when the cell begins to run.
    pub begun: Sender<()>,
}

impl Listener<'_> {
    /// Listens until `end` says how evcxr's part ended, and all that belongs to it has been heard.
    pub fn listen(&mut self, events: &Receiver<Event>, end: &Receiver<End>) {
        let how = loop {
            select! {
                recv(events) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => return,
                },
                recv(end) -> how => break how,
                default(TICK) => self.tick(),
            }
        };
        let patience = match self.interrupter.was_killed() {
            true => WORDS_AFTER_KILL,
            false => LAST_WORDS,
        };
        let deadline = Instant::now() + patience;
        loop {
            let waiting = match how {
                Ok(End::Ran) => !self.heard.done,
                Ok(End::Exited) => self.heard.exit.is_none(),
                _ => false,
            };
            let next = match waiting {
                true => events.recv_deadline(deadline).ok(),
                false => events.try_recv().ok(),
            };
            match next {
                Some(event) => self.hear(event),
                None => return,
            }
        }
    }

    /// Says what would otherwise only be noticed by waiting.
    fn tick(&mut self) {
        if self.interrupter.is_ignored() {
            let lost = match self.at_stake {
                [] => "nothing is lost then".to_owned(),
                names => format!("{} would be lost", names.join(", ")),
            };
            (self.sink)(Output::Stderr(format!(
                "The cell does not listen to the interrupt. Interrupt again to end its process; {lost}.\n"
            )));
        }
        self.interrupter.end_late_build();
        self.show_building();
    }

    /// Shows which crate of a `:dep` is being built.
    fn show_building(&mut self) {
        let Ok(text) = std::fs::read_to_string(&self.building) else {
            return;
        };
        let Some(last) = text.lines().next_back() else {
            return;
        };
        let state = format!("Building crates: {}, {last}", text.lines().count());
        let (id, update) = match &self.shown_building {
            Some((_, before)) if *before == state => return,
            Some((id, _)) => (id.clone(), true),
            None => (format!("itd-building-{}", uuid::Uuid::new_v4()), false),
        };
        self.shown_building = Some((id.clone(), state.clone()));
        let data = Bundle::from([("text/plain".to_owned(), state.into())]);
        (self.sink)(Output::Display {
            data,
            id: Some(id),
            update,
        });
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Stdout(text) => (self.sink)(Output::Stdout(text)),
            Event::Stderr(text) => {
                let text = without_evcxrs_own(text);
                if text.is_empty() {
                    return;
                }
                self.heard.last_stderr.clone_from(&text);
                (self.sink)(Output::Stderr(text));
            }
            Event::Evcxr(data) => (self.sink)(Output::Display {
                data,
                id: None,
                update: false,
            }),
            Event::Panicked => self.heard.panicked = true,
            Event::Errored => self.heard.errored = true,
            Event::Returned => self.heard.returned = true,
            // What ran before may be reported late.
            Event::Done => self.heard.done = self.number.is_none() || !self.current.is_empty(),
            Event::Exited { code, signal } => self.heard.exit = Some((code, signal)),
            Event::Frame(frame) => self.frame(frame),
        }
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::Begin { code } => {
                let source = std::fs::read_to_string(&self.generated).unwrap_or_default();
                self.builds.insert(code.clone(), Lines::read(&source));
                self.current = code;
                self.interrupter.enter(Phase::Running);
                let _ = self.begun.try_send(());
            }
            Frame::Display { data, id, update } => {
                (self.sink)(Output::Display { data, id, update })
            }
            Frame::Clear { wait } => (self.sink)(Output::Clear { wait }),
            Frame::Result { data } => (self.sink)(Output::Result(data)),
            Frame::Stderr { text } => {
                self.heard.last_stderr.clone_from(&text);
                (self.sink)(Output::Stderr(text));
            }
            // The supervisor makes events of the first two, the dispatcher takes the others.
            Frame::End
            | Frame::Complete
            | Frame::Ask { .. }
            | Frame::Comm { .. }
            | Frame::Handling { .. }
            | Frame::Handled { .. } => {}
            Frame::Panic {
                message,
                code,
                file,
                line,
                column,
                ..
            } => {
                let origin = self.builds.get(&code).filter(|_| file == "src/lib.rs");
                let place = origin
                    .and_then(|lines| lines.origin(line))
                    .map(|(cell, line)| Place::line(cell, line));
                let message = match (&place, file.is_empty()) {
                    (None, false) => format!("{message}\n(at {file}:{line}:{column})"),
                    _ => message,
                };
                self.heard.panics.push((message, place));
            }
            Frame::Error { name, chain, line } => {
                let place = match line {
                    Line::Cell(number) => self.number.map(|cell| Place::told(cell, number)),
                    Line::Generated(line) => {
                        let lines = self.builds.get(&self.current);
                        let origin = lines.and_then(|lines| lines.origin(line));
                        origin.map(|(cell, line)| Place::line(cell, line))
                    }
                };
                self.heard.error = Some((name, chain, place));
            }
            Frame::Interrupted => self.interrupter.heard(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_out_of_events() {
        let lines = "{\"stderr\":\"not \"}\n{\"stderr\":\"found\\n\"}\n\"done\"\nthe end";
        assert_eq!(words(lines), "not found\nthe end\n");
    }
}
