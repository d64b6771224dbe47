//! The WebSocket's limits, and frames in and out of its messages.

use futures_util::{Sink, SinkExt};
use postern_protocol::frame::MAX_FRAME;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// What may wait to be written: four of the largest frames. A peer that reads nothing is cut off there.
const WRITE_BUFFER: usize = 4 * MAX_FRAME;

/// What is read at once. The library's own 128 KiB would be taken by everybody at the door.
const READ_BUFFER: usize = 16 * 1024;

/// The limits of every connection. The library's own are in the tens of MiB.
pub(super) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
}

/// Writes one frame and waits until the socket took it.
pub(super) async fn write(sink: &mut (impl Sink<Message, Error = Error> + Unpin), frame: Vec<u8>) -> Result<(), Error> {
    sink.send(Message::Binary(Bytes::from(frame))).await
}
