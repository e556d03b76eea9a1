//! The kernel under test, for tests: whatever goes wrong is a failed test.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use itd::client::{Answer, Client};
use jupyter_protocol::{
    ExecuteRequest, JupyterMessage, JupyterMessageContent as Content, ShutdownRequest,
    UnknownMessage,
};

/// Longest that any answer may take; a kernel that is slower is taken for dead.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Kernel(Client);

impl Deref for Kernel {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

impl DerefMut for Kernel {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.0
    }
}

impl Kernel {
    /// Starts a kernel, as a front end would.
    pub fn start() -> Self {
        Self::start_by(super::itd(&["kernel", "-f"]))
    }

    /// Starts a kernel that keeps its history in a file.
    pub fn start_with_history(file: &std::path::Path) -> Self {
        let mut command = super::itd(&["kernel", "-f"]);
        command.env(itd::history::VARIABLE, file);
        Self::start_by(command)
    }

    /// Starts a kernel in a way of one's own.
    pub fn start_by(command: std::process::Command) -> Self {
        super::prelude();
        let client = Client::start(command, &std::env::temp_dir(), PATIENCE);
        Self(client.expect("the kernel starts"))
    }

    /// Sends a request that the library has no type for, or one that is wrong.
    pub fn send_raw(&mut self, msg_type: &str, content: serde_json::Value) -> JupyterMessage {
        self.send(unknown(msg_type, content))
    }

    /// Sends a request with metadata of the front end's.
    pub fn send_with_metadata(
        &mut self,
        content: impl Into<Content>,
        metadata: serde_json::Value,
    ) -> JupyterMessage {
        let message = JupyterMessage::new(content, None).with_metadata(metadata);
        self.0
            .send_message(message)
            .expect("the shell socket takes messages")
    }

    /// Asks on the shell channel; gives the content of the reply.
    pub fn ask(&mut self, msg_type: &str, content: serde_json::Value) -> serde_json::Value {
        let request = self.send_raw(msg_type, content);
        json(&self.reply(&request))
    }

    /// Asks on the control channel; gives the content of the reply.
    pub fn ask_control(&mut self, msg_type: &str, content: serde_json::Value) -> serde_json::Value {
        let reply = self.0.control(unknown(msg_type, content));
        json(&reply.expect("a reply"))
    }

    pub fn send(&mut self, content: impl Into<Content>) -> JupyterMessage {
        self.0
            .send(content)
            .expect("the shell socket takes messages")
    }

    pub fn reply(&mut self, request: &JupyterMessage) -> Content {
        self.0.reply(request).expect("a reply")
    }

    pub fn run(&mut self, code: &str) -> Answer {
        self.0.run(code).expect("an answer")
    }

    /// Executes a cell that does not count.
    pub fn peek(&mut self, code: &str) -> Answer {
        let request = self.send(ExecuteRequest {
            code: code.to_owned(),
            store_history: false,
            ..Default::default()
        });
        self.collect(&request)
    }

    pub fn collect(&mut self, request: &JupyterMessage) -> Answer {
        self.0.collect(request).expect("an answer")
    }

    /// Executes a cell and gives the text of its result.
    pub fn value(&mut self, code: &str) -> String {
        value(&self.run(code))
    }

    pub fn interrupt(&mut self) {
        self.0.interrupt().expect("the interrupt is confirmed");
    }

    /// Waits until the running cell has printed `text`.
    pub fn wait_for(&mut self, text: &str) {
        let mut so_far = String::new();
        while !so_far.contains(text) {
            if let Content::StreamContent(part) =
                self.hear(PATIENCE).expect("the cell prints").content
            {
                so_far.push_str(&part.text);
            }
        }
    }

    /// Asks the kernel to end; gives its exit code.
    pub fn shutdown(self) -> Option<i32> {
        self.0.shutdown().expect("the kernel ends")
    }

    /// Ends the kernel and gives what it wrote to standard error.
    pub fn stderr_after_end(mut self) -> String {
        self.control(ShutdownRequest { restart: false })
            .expect("the kernel ends");
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
        }
        text
    }
}

fn unknown(msg_type: &str, content: serde_json::Value) -> UnknownMessage {
    let msg_type = msg_type.to_owned();
    UnknownMessage { msg_type, content }
}

/// What a message says, as it is on the wire.
pub fn json(content: &Content) -> serde_json::Value {
    serde_json::to_value(content).expect("a message is JSON")
}

/// The text of the result.
pub fn value(answer: &Answer) -> String {
    answer
        .result()
        .unwrap_or_else(|| panic!("there is a result: {answer:?}"))
}
