//! The REPL on a terminal.

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// `itd repl` on a terminal that `script` makes.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(history: &Path) -> Self {
        common::prelude();
        let mut command = Command::new("script");
        let repl = format!("'{}' repl", common::program().display());
        match cfg!(target_os = "macos") {
            true => command.args(["-q", "/dev/null", "sh", "-c", &repl]),
            false => command.args(["-qec", &repl, "/dev/null"]),
        };
        let mut script = command
            .env(itd::history::VARIABLE, history)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script can be run");
        let keys = script.stdin.take().expect("a pipe");
        let mut stdout = script.stdout.take().expect("a pipe");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            script,
            keys,
            output,
            seen: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits until a text has come, in any colours, and forgets all up to it.
    fn wait_for(&mut self, text: &str) {
        self.wait(text, itd::reply::strip_colours);
    }

    /// Waits until a text has come as it is.
    fn wait_for_coloured(&mut self, text: &str) {
        self.wait(text, str::to_owned);
    }

    fn wait(&mut self, text: &str, read: fn(&str) -> String) {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some((_, rest)) = read(&self.seen).split_once(text) {
                self.seen = rest.to_owned();
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&String::from_utf8_lossy(&more)),
                Err(_) => panic!("{text:?} does not come: {}", self.seen),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn what_was_typed_outlives_a_terminal_that_is_gone_and_can_be_searched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let history = folder.path().join("history.jsonl");
    let mut first = Terminal::start(&history);
    first.wait_for("[1] ❯");
    first.press("let forty = 40;");
    first.wait_for_coloured("\x1b[35mlet\x1b[0m");
    first.press("\r");
    first.wait_for("[2] ❯");
    first.press("40 + 2\r");
    first.wait_for("42");
    first.wait_for("[3] ❯");
    // The prompt takes the last line, so what has no end is given one.
    first.press("print!(\"no end\")\r");
    first.wait_for("no end\r\n");
    first.wait_for("[4] ❯");
    drop(first); // the terminal is gone, without a word

    let mut second = Terminal::start(&history);
    second.wait_for("[1] ❯");
    second.press("\x12forty"); // Ctrl-R
    second.wait_for("let forty = 40;");
    second.press("\r");
    second.wait_for("[2] ❯");
    second.press("forty + 1\r");
    second.wait_for("41");
    second.wait_for("[3] ❯");
    second.press("quit\r");
    let begin = Instant::now();
    while second.script.try_wait().expect("a state").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(20), "`quit` ends it");
        std::thread::sleep(Duration::from_millis(20));
    }

    // The kernel has it, too.
    let mut kernel = common::client::Kernel::start_with_history(&history);
    let asked =
        serde_json::json!({"hist_access_type": "tail", "n": 9, "output": true, "raw": true});
    let reply = kernel.ask("history_request", asked);
    assert_eq!(
        reply["history"],
        serde_json::json!([
            [1, 1, ["let forty = 40;", ""]],
            [1, 2, ["40 + 2", "42"]],
            [1, 3, ["print!(\"no end\")", ""]],
            [2, 1, ["let forty = 40;", ""]],
            [2, 2, ["forty + 1", "41"]],
        ])
    );
}
