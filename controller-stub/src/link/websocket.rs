//! The WebSocket's limits, and frames in and out of its messages.

use futures_util::{Sink, SinkExt};
use postern_protocol::frame::MAX_FRAME;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// The largest frame of whoever shows no certificate, and can only ask for one: three times what that has, with a request of
/// 4 KiB for the certificate and the names of a host and a version. Of what is at the door it is the most that comes in.
pub(super) const MAX_APPLICATION: usize = 16 * 1024;

/// What may wait to be written: four of the largest frames. A peer that reads nothing is cut off there.
const WRITE_BUFFER: usize = 4 * MAX_FRAME;

/// What is read at once. The library's own 128 KiB would be taken by everybody at the door.
const READ_BUFFER: usize = 16 * 1024;

/// The limits of a connection whose peer may send frames of so many bytes. The library's own are in the tens of MiB.
pub(super) fn limits(largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
}

/// Writes one frame and waits until the socket took it.
pub(super) async fn write(sink: &mut (impl Sink<Message, Error = Error> + Unpin), frame: Vec<u8>) -> Result<(), Error> {
    sink.send(Message::Binary(Bytes::from(frame))).await
}
