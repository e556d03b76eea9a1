//! Messages as they come from a socket: what a front end leaves out has its usual value, and what cannot be
//! understood keeps its header, so that it gets an answer.

use jupyter_protocol::{Header, JupyterMessage, JupyterMessageContent, UnknownMessage};
use jupyter_zmq_client::{Connection, RawMessage, RuntimeError};
use serde_json::{Map, Value, json};
use zeromq::SocketRecv;

/// The version of the messaging protocol that is spoken here.
pub(super) const PROTOCOL: &str = "5.5";

/// A message, and what is wrong with its content if something is.
#[derive(Debug)]
pub(super) struct Incoming {
    pub message: JupyterMessage,
    pub fault: Option<String>,
}

/// Reads the next message that has a right signature and a header.
pub(super) async fn read<S: SocketRecv>(
    connection: &mut Connection<S>,
) -> Result<Incoming, RuntimeError> {
    let frames = connection.socket.recv().await?;
    parse(RawMessage::from_multipart(frames, &connection.mac)?)
}

fn parse(raw: RawMessage) -> Result<Incoming, RuntimeError> {
    let [header, parent, metadata, content, buffers @ ..] = &raw.jparts[..] else {
        return Err(RuntimeError::InsufficientMessageParts(raw.jparts.len()));
    };
    let mut header: Value = serde_json::from_slice(header)?;
    fill(
        &mut header,
        json!({"username": "", "session": "", "version": "5.0"}),
    );
    let header: Header = serde_json::from_value(header)?;
    let mut fault = None;
    let mut content = serde_json::from_slice(content).unwrap_or_else(|error| {
        fault = Some(format!("the content is not JSON: {error}"));
        json!({})
    });
    let usual = usual(&header.msg_type, &content);
    fill(&mut content, usual);
    let read = JupyterMessageContent::from_type_and_content(&header.msg_type, content);
    let content = match read {
        Ok(content) if fault.is_none() => content,
        read => {
            fault = fault.or(read.err().map(|error| error.to_string()));
            let msg_type = header.msg_type.clone();
            UnknownMessage {
                msg_type,
                content: json!({}),
            }
            .into()
        }
    };
    let message = JupyterMessage {
        header,
        // One that is empty is none.
        parent_header: serde_json::from_slice(parent).ok(),
        metadata: serde_json::from_slice(metadata).unwrap_or_else(|_| json!({})),
        content,
        buffers: buffers.to_vec(),
        channel: None,
        zmq_identities: raw.zmq_identities,
    };
    Ok(Incoming { message, fault })
}

/// What a request has where it says nothing.
fn usual(msg_type: &str, content: &Value) -> Value {
    match msg_type {
        "execute_request" => json!({
            "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": false,
            "stop_on_error": true,
        }),
        "history_request" => {
            let mut usual = json!({"hist_access_type": "range", "output": false, "raw": true});
            fill(
                &mut usual,
                match content["hist_access_type"].as_str() {
                    Some("tail") => json!({"n": 10}),
                    Some("search") => json!({"pattern": "*", "unique": false, "n": i32::MAX}),
                    _ => json!({"session": 0, "start": 0, "stop": 0}),
                },
            );
            usual
        }
        "inspect_request" => json!({"detail_level": 0}),
        "shutdown_request" => json!({"restart": false}),
        "comm_open" | "comm_msg" | "comm_close" => json!({"data": {}}),
        _ => json!({}),
    }
}

/// Puts values where there is none, or `null`.
fn fill(into: &mut Value, values: Value) {
    let (Value::Object(into), Value::Object(values)) = (into, values) else {
        return;
    };
    for (key, value) in values {
        if into.get(&key).is_none_or(Value::is_null) {
            into.insert(key, value);
        }
    }
}

/// Says in a message's header who sends it, and in which version of the protocol.
pub(super) fn stamp(mut message: JupyterMessage) -> JupyterMessage {
    "itd".clone_into(&mut message.header.username);
    PROTOCOL.clone_into(&mut message.header.version);
    message
}

/// A reply that the library has no type for, or the refusal of a request.
pub(super) fn reply(request: &JupyterMessage, content: Value) -> JupyterMessage {
    let msg_type = request.message_type().replace("_request", "_reply");
    JupyterMessage::new(UnknownMessage { msg_type, content }, Some(request))
}

/// The content of a reply that says what is wrong.
pub(super) fn refusal(name: &str, text: &str) -> Value {
    let fields = [
        ("status", json!("error")),
        ("ename", json!(name)),
        ("evalue", json!(text)),
        ("traceback", json!([format!("{name}: {text}")])),
    ];
    Value::Object(Map::from_iter(
        fields.map(|(key, value)| (key.to_owned(), value)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupyter_protocol::HistoryRequest;

    fn incoming(header: &str, content: &str) -> Result<Incoming, RuntimeError> {
        let parts = [header, "{}", "{}", content];
        parse(RawMessage {
            zmq_identities: vec![b"peer".to_vec().into()],
            jparts: parts.map(|part| part.as_bytes().to_vec().into()).to_vec(),
        })
    }

    fn typed(msg_type: &str, content: &str) -> Incoming {
        let header = format!(r#"{{"msg_id": "1", "msg_type": "{msg_type}"}}"#);
        incoming(&header, content).expect("a header")
    }

    #[test]
    fn what_a_request_leaves_out_has_its_usual_value() {
        let incoming = typed("execute_request", r#"{"code": "1", "silent": null}"#);
        assert_eq!(incoming.fault, None);
        let JupyterMessageContent::ExecuteRequest(request) = incoming.message.content else {
            panic!("an execute_request");
        };
        assert!(!request.silent && request.store_history && request.stop_on_error);
        let history = |content| match typed("history_request", content).message.content {
            JupyterMessageContent::HistoryRequest(request) => request,
            other => panic!("a history_request, not {other:?}"),
        };
        // As `jupyter_client` sends it when it is asked for no more.
        let range = history(
            r#"{"raw": true, "output": false, "hist_access_type": "range", "session": 0, "start": 0}"#,
        );
        assert!(matches!(range, HistoryRequest::Range { stop: 0, .. }));
        let search = history(r#"{"hist_access_type": "search", "pattern": "a*"}"#);
        assert!(matches!(
            search,
            HistoryRequest::Search {
                n: i32::MAX,
                unique: false,
                ..
            }
        ));
        assert!(matches!(history("{}"), HistoryRequest::Range { .. }));
    }

    #[test]
    fn what_cannot_be_understood_can_be_answered() {
        for (msg_type, content, what) in [
            ("history_request", r#"{"hist_access_type": "all"}"#, "all"),
            ("execute_request", "{}", "code"),
            (
                "complete_request",
                r#"{"code": 7, "cursor_pos": 0}"#,
                "integer",
            ),
            ("is_complete_request", "{", "not JSON"),
            ("execute_request", "[1]", ""),
        ] {
            let incoming = typed(msg_type, content);
            let fault = incoming
                .fault
                .unwrap_or_else(|| panic!("{content} is refused"));
            assert!(fault.contains(what), "{fault}");
            let reply = reply(&incoming.message, refusal("Request", &fault));
            assert_eq!(reply.message_type(), msg_type.replace("request", "reply"));
            assert_eq!(reply.zmq_identities.len(), 1, "it goes back");
        }
        for header in ["{}", "[]", "7", "{"] {
            assert!(incoming(header, "{}").is_err(), "{header}");
        }
    }
}
