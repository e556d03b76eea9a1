//! The kernel under test, for tests: whatever goes wrong is a failed test.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use itd::client::{Answer, Client};
use jupyter_protocol::{
    ExecuteRequest, JupyterMessage, JupyterMessageContent as Content, ShutdownRequest,
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
        super::prelude();
        let client = Client::start(
            super::itd(&["kernel", "-f"]),
            &std::env::temp_dir(),
            PATIENCE,
        );
        Self(client.expect("the kernel starts"))
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

/// The text of the result.
pub fn value(answer: &Answer) -> String {
    answer
        .result()
        .unwrap_or_else(|| panic!("there is a result: {answer:?}"))
}
