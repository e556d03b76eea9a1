//! Debug requests: the variables can be inspected, and nothing can be stopped.
//!
//! A request has the form of the Debug Adapter Protocol. JupyterLab's panel of variables asks by it, and needs the
//! answers to what a debugger is asked when it starts. Whatever would stop a cell is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jupyter_protocol::{DebugReply, JupyterMessage};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::frame::metadata;
use crate::reply::{Bundle, Failure};
use crate::session::Seen;

/// The seed that JupyterLab itself has for the names of cells.
const SEED: u32 = 0xc70f_6907;

/// What the session has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// All variables; with `joined`, a value's type stands in the value.
    Variables { joined: bool },
    /// One, in the richest form that it has.
    Variable(String),
}

/// How a request is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Now(Value),
    Ask(Question),
}

/// Whether somebody looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Debugger {
    started: Arc<AtomicBool>,
    /// Whether it is JupyterLab: where a type is not one of Python's numbers and texts, it shows the type in the place of
    /// the value.
    joined: Arc<AtomicBool>,
}

impl Debugger {
    pub fn answer(&self, request: &Value) -> Answer {
        let command = request["command"].as_str().unwrap_or_default();
        let arguments = &request["arguments"];
        let body = match command {
            "inspectVariables" => {
                let joined = self.joined.load(Ordering::Relaxed);
                return Answer::Ask(Question::Variables { joined });
            }
            "richInspectVariables" => match arguments["variableName"].as_str() {
                Some(name) => return Answer::Ask(Question::Variable(name.to_owned())),
                None => return Answer::Now(refused(request, "`variableName` is missing")),
            },
            "debugInfo" => json!({
                "isStarted": self.started.load(Ordering::Relaxed),
                "hashMethod": "Murmur2",
                "hashSeed": SEED,
                "tmpFilePrefix": "itd-cell-",
                "tmpFileSuffix": ".rs",
                "breakpoints": [],
                "stoppedThreads": [],
                "richRendering": true,
                "exceptionPaths": [],
                "copyToGlobals": false,
            }),
            "initialize" => {
                self.started.store(true, Ordering::Relaxed);
                let joined = arguments["clientID"] == "jupyterlab";
                self.joined.store(joined, Ordering::Relaxed);
                json!({"exceptionBreakpointFilters": []})
            }
            "disconnect" | "terminate" => {
                self.started.store(false, Ordering::Relaxed);
                json!({})
            }
            "attach" | "configurationDone" => json!({}),
            // Of the breakpoints that are wanted there is none.
            "setBreakpoints" | "setExceptionBreakpoints" => json!({"breakpoints": []}),
            "threads" => json!({"threads": []}),
            "modules" => json!({"modules": []}),
            // The parts of a variable: the panel shows it in one line, or in its richest form.
            "variables" => json!({"variables": []}),
            "dumpCell" => {
                let code = arguments["code"].as_str().unwrap_or_default();
                let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(code)[..8]);
                json!({"sourcePath": format!("itd-cell-{hash}.rs")})
            }
            "" => return Answer::Now(refused(request, "`command` is missing")),
            other => {
                let text = format!(
                    "`{other}` is not supported: cells run as compiled code, without a debugger; their variables can \
                     be inspected"
                );
                return Answer::Now(refused(request, &text));
            }
        };
        Answer::Now(response(request, body))
    }
}

/// The answer to [`Question::Variables`].
pub(super) fn variables(request: &Value, seen: &[Seen], joined: bool) -> Value {
    let variable = |seen: &Seen| {
        let mut variable = json!({
            "name": seen.name,
            "evaluateName": seen.name,
            "value": seen.value,
            "variablesReference": 0,
        });
        match (joined, seen.value.as_str()) {
            (false, _) => variable["type"] = json!(seen.kind),
            (true, "") => variable["value"] = json!(seen.kind),
            // `Tensor[dims 3, 4; f32]` says it itself.
            (true, value) if value.starts_with(&seen.kind) => {}
            (true, value) => variable["value"] = json!(format!("{} = {value}", seen.kind)),
        }
        variable
    };
    let variables: Vec<Value> = seen.iter().map(variable).collect();
    response(request, json!({"variables": variables}))
}

/// The answer to [`Question::Variable`].
pub(super) fn variable(request: &Value, looks: &Result<Bundle, Failure>) -> Value {
    match looks {
        Ok(data) => response(request, json!({"data": data, "metadata": metadata(data)})),
        Err(failure) => refused(request, &format!("{}: {}", failure.name, failure.value)),
    }
}

/// A `debug_reply`.
pub(super) fn reply(request: &JupyterMessage, content: Value) -> JupyterMessage {
    JupyterMessage::new(DebugReply { content }, Some(request))
}

fn response(request: &Value, body: Value) -> Value {
    json!({
        "type": "response",
        "seq": request["seq"],
        "request_seq": request["seq"],
        "command": request["command"],
        "success": true,
        "body": body,
    })
}

/// What could not be done, as the Debug Adapter Protocol says it.
pub(super) fn refused(request: &Value, text: &str) -> Value {
    json!({
        "type": "response",
        "seq": request["seq"],
        "request_seq": request["seq"],
        "command": request["command"],
        "success": false,
        "message": text,
        "body": {"error": {"id": 1, "format": text}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(debugger: &Debugger, command: &str) -> Value {
        let request = json!({"type": "request", "seq": 7, "command": command, "arguments": {}});
        match debugger.answer(&request) {
            Answer::Now(response) => response,
            Answer::Ask(question) => panic!("{command}: {question:?}"),
        }
    }

    #[test]
    fn a_front_end_starts_and_ends_looking() {
        let debugger = Debugger::default();
        let started = || now(&debugger, "debugInfo")["body"]["isStarted"].clone();
        assert_eq!(started(), false);
        for command in ["initialize", "attach", "setBreakpoints", "dumpCell"] {
            let response = now(&debugger, command);
            assert_eq!(response["success"], true, "{command}");
            assert_eq!(response["request_seq"], 7);
        }
        assert_eq!(started(), true);
        now(&debugger, "disconnect");
        assert_eq!(started(), false);
    }

    #[test]
    fn a_variable_that_is_a_picture_has_a_text_for_those_who_cannot_see_it() {
        let picture = [("image/svg+xml", "<svg/>"), ("text/plain", "a curve")];
        let picture = picture.map(|(kind, content)| (kind.to_owned(), json!(content)));
        let reply = variable(&json!({"seq": 1}), &Ok(Bundle::from(picture)));
        assert_eq!(reply["body"]["data"]["image/svg+xml"], "<svg/>");
        assert_eq!(
            reply["body"]["metadata"]["image/svg+xml"]["alt"], "a curve",
            "{reply}"
        );
    }

    #[test]
    fn what_would_stop_a_cell_is_refused_in_the_protocols_form() {
        let debugger = Debugger::default();
        for command in [
            "continue",
            "stepIn",
            "evaluate",
            "copyToGlobals",
            "nonsense",
            "",
        ] {
            let response = now(&debugger, command);
            assert_eq!(response["success"], false, "{command}");
            assert_eq!(response["message"], response["body"]["error"]["format"]);
        }
        let nameless = json!({"command": "richInspectVariables"});
        assert!(matches!(debugger.answer(&nameless), Answer::Now(_)));
        assert!(matches!(debugger.answer(&json!([])), Answer::Now(_)));
    }
}
