//! The connection file, and what can be wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jupyter_protocol::ConnectionInfo;
use jupyter_zmq_client::{KernelHeartbeatConnection, RuntimeError};
use serde_json::Value;

/// How long a channel waits after an error of its socket, so that a broken one is not asked without pause.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Why a kernel cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("the connection file {} cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a connection file: {what}", path.display())]
    Content { path: PathBuf, what: String },
    #[error(
        "the {channel} socket cannot be bound to port {port}: {what}; is another kernel using this connection file?"
    )]
    Bind {
        channel: &'static str,
        port: u16,
        what: String,
    },
    #[error("no folder for the kernel's sockets can be made: {0}")]
    Sockets(std::io::Error),
    #[error("the kernel cannot start its threads: {0}")]
    Runtime(std::io::Error),
}

impl ConnectionError {
    pub(super) fn bind(channel: &'static str, port: u16, source: RuntimeError) -> Self {
        let what = source.to_string();
        Self::Bind {
            channel,
            port,
            what,
        }
    }
}

/// Reads and checks a connection file.
pub(super) fn read(path: &Path) -> Result<ConnectionInfo, ConnectionError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConnectionError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|what| ConnectionError::Content {
        path: path.to_owned(),
        what,
    })
}

fn parse(text: &str) -> Result<ConnectionInfo, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON ({error})"))?;
    if !value["key"].is_string() {
        return Err(match &value["key"] {
            Value::Null => {
                "it has no `key`; write `\"key\": \"\"` for messages without a signature".to_owned()
            }
            other => format!("`key` is {other}; it must be a string"),
        });
    }
    let signed = value["key"].as_str().is_some_and(|key| !key.is_empty());
    let scheme = value["signature_scheme"].as_str().unwrap_or("missing");
    if signed && scheme != "hmac-sha256" {
        return Err(format!(
            "`signature_scheme` is {scheme}; only hmac-sha256 is supported"
        ));
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Sends back what the front end sent, to show that the kernel lives.
pub(super) async fn echo(heartbeat: &mut KernelHeartbeatConnection) -> Result<(), RuntimeError> {
    use zeromq::{SocketRecv, SocketSend};
    let beat = heartbeat.socket.recv().await?;
    heartbeat.socket.send(beat).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str, scheme: &str) -> String {
        format!(
            r#"{{"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
                "control_port": 4, "hb_port": 5, "key": {key}, "signature_scheme": "{scheme}"}}"#
        )
    }

    #[test]
    fn a_connection_file_is_read() {
        let info = parse(&file("\"secret\"", "hmac-sha256")).expect("a connection");
        assert_eq!((info.shell_port, info.key.as_str()), (1, "secret"));
    }

    #[test]
    fn what_is_wrong_with_a_connection_file_is_said() {
        for (text, what) in [
            ("{", "not JSON"),
            ("{}", "no `key`"),
            (&file("7", "hmac-sha256"), "`key` is 7"),
            (&file("\"k\"", "hmac-md5"), "only hmac-sha256"),
            (
                r#"{"key": "", "signature_scheme": "", "ip": "127.0.0.1"}"#,
                "missing field",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(what), "{error}");
        }
    }
}
