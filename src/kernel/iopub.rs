//! The channel on which everybody hears what cells show.

use std::io::Write;
use std::time::Duration;

use jupyter_protocol::{
    IoPubWelcome, JupyterMessage, JupyterMessageContent as Content, Status, Stdio, StreamContent,
};
use jupyter_zmq_client::{KernelIoPubXPubConnection, RuntimeError, SubscriptionEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::message::stamp;

/// Shortest time between two pieces of text, and between two states of a display: a front end is slower than a loop
/// that prints.
const PERIOD: Duration = Duration::from_millis(20);

/// Puts messages on the channel, from any thread.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: UnboundedSender<JupyterMessage>,
}

impl Publisher {
    /// Sends `content` as a consequence of `parent`.
    pub fn send(&self, parent: &JupyterMessage, content: impl Into<Content>) {
        self.send_message(JupyterMessage::new(content, Some(parent)));
    }

    /// Sends a message that is made already.
    pub fn send_message(&self, mut message: JupyterMessage) {
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
        let mut batch = Batch::default();
        match batch.take(message) {
            Some(message) => batch.messages.push(message),
            // What comes within the period goes out together.
            None => {
                let until = tokio::time::Instant::now() + PERIOD;
                while let Ok(Some(next)) = tokio::time::timeout_at(until, messages.recv()).await {
                    held = batch.take(next);
                    if held.is_some() {
                        break;
                    }
                }
            }
        }
        for message in batch.messages {
            if let Err(error) = connection.send(stamp(message)).await {
                // Whoever started the kernel may have closed its standard error.
                let _ = writeln!(
                    std::io::stderr(),
                    "itd: a message could not be published: {error}"
                );
            }
        }
    }
}

async fn welcome(
    connection: &mut KernelIoPubXPubConnection,
    event: Result<SubscriptionEvent, RuntimeError>,
) {
    match event {
        Ok(SubscriptionEvent::Subscribe(topic)) => {
            let _ = connection
                .send(stamp(IoPubWelcome::new(topic).into()))
                .await;
        }
        Ok(SubscriptionEvent::Unsubscribe(_)) => {}
        // Mostly somebody who is gone; a socket that is broken is not asked without pause.
        Err(_) => tokio::time::sleep(super::connection::PAUSE).await,
    }
}

/// Texts and updates that can wait for what follows them.
#[derive(Default)]
struct Batch {
    messages: Vec<JupyterMessage>,
}

impl Batch {
    /// Takes a text or an update of a display; gives back all else. A text goes on with the one before it. Of the
    /// states of a display the last remains, in the place of the first: it stands where the display does anyway.
    fn take(&mut self, next: JupyterMessage) -> Option<JupyterMessage> {
        match &next.content {
            Content::StreamContent(more) => {
                if let Some(before) = self.messages.last_mut()
                    && same_parent(before, &next)
                    && let Content::StreamContent(text) = &mut before.content
                    && same_stream(text, more)
                {
                    text.text.push_str(&more.text);
                    return None;
                }
            }
            Content::UpdateDisplayData(_) => {
                let before = self.messages.iter_mut().find(|before| {
                    same_parent(before, &next)
                        && display(before).is_some()
                        && display(before) == display(&next)
                });
                if let Some(before) = before {
                    *before = next;
                    return None;
                }
            }
            _ => return Some(next),
        }
        self.messages.push(next);
        None
    }
}

/// The display that a message updates.
fn display(message: &JupyterMessage) -> Option<&String> {
    match &message.content {
        Content::UpdateDisplayData(update) => update.transient.display_id.as_ref(),
        _ => None,
    }
}

fn same_parent(a: &JupyterMessage, b: &JupyterMessage) -> bool {
    let id = |message: &JupyterMessage| {
        let header = message.parent_header.as_ref();
        header.map(|header| header.msg_id.clone())
    };
    id(a) == id(b)
}

fn same_stream(a: &StreamContent, b: &StreamContent) -> bool {
    matches!(
        (&a.name, &b.name),
        (Stdio::Stdout, Stdio::Stdout) | (Stdio::Stderr, Stdio::Stderr)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupyter_protocol::{DisplayData, Media, MediaType, UpdateDisplayData};

    fn update(parent: &JupyterMessage, id: &str, text: &str) -> JupyterMessage {
        let media = Media::new(vec![MediaType::Plain(text.to_owned())]);
        JupyterMessage::new(UpdateDisplayData::new(media, id), Some(parent))
    }

    fn text(parent: &JupyterMessage, text: &str) -> JupyterMessage {
        JupyterMessage::new(StreamContent::stdout(text), Some(parent))
    }

    fn words(batch: &Batch) -> Vec<String> {
        let word = |message: &JupyterMessage| match &message.content {
            Content::StreamContent(text) => text.text.clone(),
            Content::UpdateDisplayData(update) => match &update.data.content[..] {
                [MediaType::Plain(text)] => format!("<{text}>"),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        batch.messages.iter().map(word).collect()
    }

    #[test]
    fn of_many_states_of_a_display_the_last_remains() {
        let cell = JupyterMessage::new(Status::busy(), None);
        let other = JupyterMessage::new(Status::busy(), None);
        let mut batch = Batch::default();
        for i in 0..1000 {
            assert!(batch.take(update(&cell, "bar", &i.to_string())).is_none());
            if i % 400 == 0 {
                assert!(batch.take(text(&cell, "a")).is_none());
                assert!(batch.take(text(&cell, "b")).is_none());
            }
        }
        assert!(batch.take(update(&cell, "plot", "p")).is_none());
        assert!(batch.take(update(&other, "bar", "q")).is_none());
        assert_eq!(words(&batch), ["<999>", "ababab", "<p>", "<q>"]);
        let shown = JupyterMessage::new(DisplayData::default(), Some(&cell));
        assert!(batch.take(shown).is_some(), "all else ends a batch");
    }
}
