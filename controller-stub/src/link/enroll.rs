//! One applicant: one request, one answer.

use std::time::Duration;

use futures_util::StreamExt;
use postern_protocol::enrollment::v1::{EnrollRefusal, EnrollRefused, Enrolled};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use tokio_tungstenite::tungstenite::Message;

use super::accept::Socket;
use super::websocket;
use crate::dispatcher::{Handle, Stopped};
use crate::state::enroll::refused;

/// How long an applicant may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one applicant.
pub(super) async fn run(handle: &Handle, mut socket: Socket, exporter: [u8; 32]) {
    let request = match tokio::time::timeout(PATIENCE, socket.next()).await {
        Ok(Some(Ok(Message::Binary(frame)))) => FromApplicant::decode(&frame),
        _ => return,
    };
    let answer = match request {
        Ok(FromApplicant::Enroll(enroll)) => {
            answer(handle.ask(move |state, at| state.enroll(&enroll, &exporter, at)).await)
        }
        Ok(FromApplicant::Recover(recover)) => {
            answer(handle.ask(move |state, at| state.recover(&recover, &exporter, at)).await)
        }
        Err(error) => FromAuthority::EnrollRefused(refused(EnrollRefusal::InvalidRequest, error.to_string())),
    };
    let Ok(frame) = answer.encode() else { return };
    let goodbye = async {
        websocket::write(&mut socket, frame).await?;
        socket.close(None).await
    };
    // Its answer is durable; if it does not arrive the applicant asks again and gets the same.
    let _ = tokio::time::timeout(PATIENCE, goodbye).await;
}

fn answer(decided: Result<Result<Enrolled, EnrollRefused>, Stopped>) -> FromAuthority {
    match decided {
        Ok(Ok(enrolled)) => FromAuthority::Enrolled(enrolled),
        Ok(Err(no)) => FromAuthority::EnrollRefused(no),
        Err(stopped) => FromAuthority::EnrollRefused(refused(EnrollRefusal::Overloaded, stopped.to_string())),
    }
}
