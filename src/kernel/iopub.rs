//! The channel on which everybody hears what cells show.

use std::io::Write;
use std::time::Duration;

use jupyter_protocol::{
    IoPubWelcome, JupyterMessage, JupyterMessageContent, Status, Stdio, StreamContent,
};
use jupyter_zmq_client::{KernelIoPubXPubConnection, RuntimeError, SubscriptionEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Shortest time between two pieces of text: a front end is slower than a loop that prints.
const TEXT_PERIOD: Duration = Duration::from_millis(20);

/// Puts messages on the channel, from any thread.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: UnboundedSender<JupyterMessage>,
}

impl Publisher {
    /// Sends `content` as a consequence of `parent`.
    pub fn send(&self, parent: &JupyterMessage, content: impl Into<JupyterMessageContent>) {
        let mut message = JupyterMessage::new(content, Some(parent));
        message.zmq_identities.clear(); // it goes to everybody, not back
        let _ = self.queue.send(message);
    }

    pub fn busy(&self, parent: &JupyterMessage) {
        self.send(parent, Status::busy());
    }

    pub fn idle(&self, parent: &JupyterMessage) {
        self.send(parent, Status::idle());
    }

    /// The very first message of a kernel.
    pub fn starting(&self) {
        let _ = self
            .queue
            .send(JupyterMessage::new(Status::starting(), None));
    }
}

/// Starts the task that owns the socket.
pub fn start(connection: KernelIoPubXPubConnection) -> Publisher {
    let (queue, messages) = unbounded_channel();
    tokio::spawn(publish(connection, messages));
    Publisher { queue }
}

async fn publish(
    mut connection: KernelIoPubXPubConnection,
    mut messages: UnboundedReceiver<JupyterMessage>,
) {
    let mut held: Option<JupyterMessage> = None;
    loop {
        let message = match held.take() {
            Some(message) => {
                // Who comes now is heard, even while one message follows another.
                let soon = tokio::time::timeout(Duration::ZERO, connection.recv_subscription());
                if let Ok(event) = soon.await {
                    welcome(&mut connection, event).await;
                }
                message
            }
            None => tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => message,
                    None => return,
                },
                event = connection.recv_subscription() => {
                    welcome(&mut connection, event).await;
                    continue;
                }
            },
        };
        let message = match is_text(&message) {
            false => message,
            true => {
                // Whatever is printed within the period goes out as one message.
                let more = async {
                    let mut message = message;
                    let until = tokio::time::Instant::now() + TEXT_PERIOD;
                    while let Ok(Some(next)) = tokio::time::timeout_at(until, messages.recv()).await
                    {
                        if let Some(other) = append(&mut message, next) {
                            held = Some(other);
                            break;
                        }
                    }
                    message
                };
                more.await
            }
        };
        if let Err(error) = connection.send(message).await {
            // Whoever started the kernel may have closed its standard error.
            let _ = writeln!(
                std::io::stderr(),
                "itd: a message could not be published: {error}"
            );
        }
    }
}

async fn welcome(
    connection: &mut KernelIoPubXPubConnection,
    event: Result<SubscriptionEvent, RuntimeError>,
) {
    match event {
        Ok(SubscriptionEvent::Subscribe(topic)) => {
            let _ = connection.send(IoPubWelcome::new(topic).into()).await;
        }
        Ok(SubscriptionEvent::Unsubscribe(_)) => {}
        // Mostly somebody who is gone; a socket that is broken is not asked without pause.
        Err(_) => tokio::time::sleep(super::connection::PAUSE).await,
    }
}

fn is_text(message: &JupyterMessage) -> bool {
    matches!(message.content, JupyterMessageContent::StreamContent(_))
}

/// Appends the text of `next`, or gives it back when it is not more of the same.
fn append(message: &mut JupyterMessage, next: JupyterMessage) -> Option<JupyterMessage> {
    let same_parent = message.parent_header.as_ref().map(|header| &header.msg_id)
        == next.parent_header.as_ref().map(|header| &header.msg_id);
    match (&mut message.content, &next.content) {
        (
            JupyterMessageContent::StreamContent(text),
            JupyterMessageContent::StreamContent(more),
        ) if same_parent && same_stream(text, more) => {
            text.text.push_str(&more.text);
            None
        }
        _ => Some(next),
    }
}

fn same_stream(a: &StreamContent, b: &StreamContent) -> bool {
    matches!(
        (&a.name, &b.name),
        (Stdio::Stdout, Stdio::Stdout) | (Stdio::Stderr, Stdio::Stderr)
    )
}
