//! One applicant: one request, one answer.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use postern_protocol::enrollment::v1::{EnrollRefusal, EnrollRefused, Enrolled};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::frame::FrameError;
use postern_protocol::rate::{Buckets, Rate};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use super::accept::Socket;
use super::{Link, websocket};
use crate::clock;
use crate::dispatcher::Handle;
use crate::door::Visitor;
use crate::network::Network;
use crate::state::enroll::refused;

/// How long an applicant may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most addresses that are told apart: some hundred KiB.
const MAX_TOLD_APART: usize = 4096;

/// The most that wait for the state's owner at once, who checks one proof after the other: whoever else needs it waits for a
/// few proofs, and not for as many as there are handshakes.
const MAX_PROOFS: usize = 4;

/// How often applicants are told why they were refused, by their addresses. Whoever proves who he is gets through whatever
/// others did from his address, so that only what was refused is counted. Clones share the count.
#[derive(Debug, Clone)]
pub struct Applicants {
    refused: Arc<Mutex<Buckets<Network>>>,
    proofs: Arc<Semaphore>,
}

impl Applicants {
    /// At most so many refusals for one address.
    pub fn new(rate: Rate) -> Self {
        Self {
            refused: Arc::new(Mutex::new(Buckets::new(rate, MAX_TOLD_APART))),
            proofs: Arc::new(Semaphore::new(MAX_PROOFS)),
        }
    }

    /// The answer to a request, once it is durable.
    async fn decide(
        &self,
        handle: &Handle,
        request: Result<FromApplicant, FrameError>,
        exporter: [u8; 32],
    ) -> Result<Enrolled, EnrollRefused> {
        // Nobody closes it.
        let _turn = self.proofs.acquire().await;
        let decided = match request {
            Ok(FromApplicant::Enroll(enroll)) => {
                handle.ask(move |state, at| state.enroll(&enroll, &exporter, at)).await
            }
            Ok(FromApplicant::Recover(recover)) => {
                handle.ask(move |state, at| state.recover(&recover, &exporter, at)).await
            }
            Err(error) => return Err(refused(EnrollRefusal::InvalidRequest, error.to_string())),
        };
        decided.unwrap_or_else(|stopped| Err(refused(EnrollRefusal::Overloaded, stopped.to_string())))
    }

    /// What whoever comes from there is told in place of this refusal.
    fn refuse(&self, address: IpAddr, no: EnrollRefused) -> EnrollRefused {
        if matches!(no.reason.known(), Some(EnrollRefusal::Overloaded | EnrollRefusal::StoreFault)) {
            return no;
        }
        let counted = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take(address.into(), clock::now());
        match counted {
            Ok(()) => no,
            Err(often) => {
                refused(EnrollRefusal::Overloaded, format!("too many attempts from this address were refused: {often}"))
            }
        }
    }
}

/// Serves one applicant.
pub(super) async fn run(link: &Link, mut socket: Socket, address: IpAddr, visitor: &Visitor, exporter: [u8; 32]) {
    let request = match tokio::time::timeout(PATIENCE, socket.next()).await {
        Ok(Some(Ok(Message::Binary(frame)))) => FromApplicant::decode(&frame),
        _ => return,
    };
    let named = match &request {
        Ok(FromApplicant::Enroll(enroll)) => enroll.token.to_string(),
        Ok(FromApplicant::Recover(recover)) => recover.member.to_string(),
        Err(_) => String::new(),
    };
    let answer = match link.applicants.decide(&link.handle, request, exporter).await {
        Ok(enrolled) => FromAuthority::Enrolled(enrolled),
        Err(no) => FromAuthority::EnrollRefused(link.applicants.refuse(address, no)),
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;
    use crate::dispatcher::Dispatcher;
    use crate::state::lab;

    /// Without it whoever else asks the owner stands behind as many proofs as there are handshakes.
    #[test]
    fn whoever_else_asks_the_owner_waits_for_a_few_proofs_of_applicants() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        let token = lab::token(&mut state, at);
        let (_owner, handle) = Dispatcher::new(state, ledger, spool);
        let applicants = Applicants::new(Rate::per_minute(120));
        let asks = || Ok(FromApplicant::Enroll(lab::application(&token)));
        let all = (0..3 * MAX_PROOFS).map(|_| applicants.decide(&handle, asks(), [9; 32]));
        assert!(join_all(all).now_or_never().is_none());
        assert_eq!(handle.waiting(), MAX_PROOFS);
    }
}
