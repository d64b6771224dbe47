//! One applicant: one request, one answer.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use postern_protocol::enrollment::v1::{EnrollRefusal, EnrollRefused, Enrolled};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::frame::FrameError;
use tokio_tungstenite::tungstenite::Message;

use super::accept::Socket;
use super::{Link, websocket};
use crate::clock;
use crate::dispatcher::{Handle, Stopped};
use crate::door::Visitor;
use crate::rate::{Buckets, Network, Rate, TooOften};
use crate::state::enroll::refused;

/// How long an applicant may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most addresses that are told apart: some hundred KiB.
const MAX_TOLD_APART: usize = 4096;

/// How often applicants ask, by their addresses. Each costs the state's owner a proof to check; so whoever comes from an
/// address that asks all the time waits, before anything is looked at. Clones share the count.
#[derive(Debug, Clone)]
pub struct Applicants(Arc<Mutex<Buckets<Network>>>);

impl Applicants {
    /// At most so many of one address.
    pub fn new(rate: Rate) -> Self {
        Self(Arc::new(Mutex::new(Buckets::new(rate, MAX_TOLD_APART))))
    }

    fn take(&self, address: IpAddr) -> Result<(), TooOften> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(address.into(), clock::now())
    }
}

/// Serves one applicant.
pub(super) async fn run(link: &Link, mut socket: Socket, address: IpAddr, visitor: &Visitor, exporter: [u8; 32]) {
    let request = match tokio::time::timeout(PATIENCE, socket.next()).await {
        Ok(Some(Ok(Message::Binary(frame)))) => FromApplicant::decode(&frame),
        _ => return,
    };
    let named = named(&request);
    let request = link.applicants.take(address).map(|()| request);
    let answer = match request {
        Err(often) => {
            let message = format!("too many attempts from this address: {often}");
            FromAuthority::EnrollRefused(refused(EnrollRefusal::Overloaded, message))
        }
        Ok(request) => decide(&link.handle, request, exporter).await,
    };
    if let FromAuthority::EnrollRefused(no) = &answer
        && visitor.may_be_told()
    {
        tracing::warn!(%address, named, reason = %no.reason, message = %no.message, "an applicant was refused");
    }
    let Ok(frame) = answer.encode() else { return };
    let goodbye = async {
        websocket::write(&mut socket, frame).await?;
        socket.close(None).await
    };
    // Its answer is durable; if it does not arrive the applicant asks again and gets the same.
    let _ = tokio::time::timeout(PATIENCE, goodbye).await;
}

/// The token or the member that an applicant names.
fn named(request: &Result<FromApplicant, FrameError>) -> String {
    match request {
        Ok(FromApplicant::Enroll(enroll)) => enroll.token.to_string(),
        Ok(FromApplicant::Recover(recover)) => recover.member.to_string(),
        Err(_) => String::new(),
    }
}

async fn decide(handle: &Handle, request: Result<FromApplicant, FrameError>, exporter: [u8; 32]) -> FromAuthority {
    match request {
        Ok(FromApplicant::Enroll(enroll)) => {
            answer(handle.ask(move |state, at| state.enroll(&enroll, &exporter, at)).await)
        }
        Ok(FromApplicant::Recover(recover)) => {
            answer(handle.ask(move |state, at| state.recover(&recover, &exporter, at)).await)
        }
        Err(error) => FromAuthority::EnrollRefused(refused(EnrollRefusal::InvalidRequest, error.to_string())),
    }
}

fn answer(decided: Result<Result<Enrolled, EnrollRefused>, Stopped>) -> FromAuthority {
    match decided {
        Ok(Ok(enrolled)) => FromAuthority::Enrolled(enrolled),
        Ok(Err(no)) => FromAuthority::EnrollRefused(no),
        Err(stopped) => FromAuthority::EnrollRefused(refused(EnrollRefusal::Overloaded, stopped.to_string())),
    }
}
