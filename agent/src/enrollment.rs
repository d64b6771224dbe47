//! Becoming a member: one connection, one question, one answer.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use postern_protocol::bounded::{Bytes, Text};
use postern_protocol::enrollment::v1::{Enroll, Enrolled};
use postern_protocol::enrollment::{self, EXPORTER_LABEL, EnrollmentToken, FromApplicant, FromAuthority, Request};
use postern_protocol::id::Incarnation;
use postern_protocol::seal::SealingPublicKey;
use tokio_tungstenite::tungstenite::Message;

use crate::link::{DialError, Dialer, ProxyRoute, Socket, tls};

/// How long the controller may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Why there is no membership.
#[derive(Debug, thiserror::Error)]
pub enum EnrollmentError {
    /// No connection.
    #[error("cannot reach the controller")]
    Dial(#[from] DialError),
    /// The connection broke, or the controller spoke nonsense.
    #[error("the controller did not answer the enrollment: {0}")]
    NoAnswer(String),
    /// Refused.
    #[error("the controller refused the enrollment ({reason}): {message}")]
    Refused {
        /// Why.
        reason: String,
        /// The controller's sentence.
        message: String,
    },
}

/// What an agent says of itself when it enrolls.
pub struct Applicant<'a> {
    /// The life of its store.
    pub incarnation: Incarnation,
    /// Its host's name.
    pub host: &'a str,
    /// Its sealing key.
    pub sealing_key: SealingPublicKey,
    /// Its signing request, DER.
    pub csr: &'a [u8],
}

/// Asks the first controller that answers for membership.
pub async fn enroll(
    token: &EnrollmentToken,
    urls: &[String],
    proxy: Option<ProxyRoute>,
    timeout: Duration,
    applicant: &Applicant<'_>,
) -> Result<Enrolled, EnrollmentError> {
    let dialer = Dialer { tls: tls::for_enrollment(token.ca_sha256), proxy, timeout };
    let mut failure = EnrollmentError::NoAnswer("no URL was given".to_owned());
    for url in urls {
        match dialer.dial(url, enrollment::PATH, enrollment::SUBPROTOCOL).await {
            Ok(socket) => return ask(token, applicant, socket).await,
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

async fn ask(
    token: &EnrollmentToken,
    applicant: &Applicant<'_>,
    mut socket: Socket,
) -> Result<Enrolled, EnrollmentError> {
    let no_answer = |error: &dyn std::fmt::Display| EnrollmentError::NoAnswer(error.to_string());
    let (_, connection) = socket.get_ref().get_ref();
    let exporter: [u8; 32] =
        connection.export_keying_material([0; 32], EXPORTER_LABEL, None).map_err(|error| no_answer(&error))?;
    let request =
        Request { incarnation: applicant.incarnation, sealing_key: &applicant.sealing_key, csr: applicant.csr };
    let frame = FromApplicant::from(Enroll {
        token: token.id,
        incarnation: applicant.incarnation,
        host: Text::clipped(applicant.host),
        agent_version: Text::clipped(env!("CARGO_PKG_VERSION")),
        sealing_key: applicant.sealing_key,
        csr: Bytes::new(applicant.csr.to_vec()).map_err(|error| no_answer(&error))?,
        proof: token.key.prove(&exporter, &request),
    });
    let bytes = frame.encode().map_err(|error| no_answer(&error))?;
    socket.send(Message::Binary(bytes.into())).await.map_err(|error| no_answer(&error))?;
    loop {
        let received = tokio::time::timeout(ANSWER, socket.next()).await.map_err(|_| no_answer(&"time ran out"))?;
        match received {
            Some(Ok(Message::Binary(bytes))) => return read(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => (),
            Some(Ok(_)) => return Err(no_answer(&"it sent something that is no frame")),
            Some(Err(error)) => return Err(no_answer(&error)),
            None => return Err(no_answer(&"it closed the connection")),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Enrolled, EnrollmentError> {
    match FromAuthority::decode(bytes) {
        Ok(FromAuthority::Enrolled(enrolled)) => Ok(enrolled),
        Ok(FromAuthority::EnrollRefused(refused)) => {
            Err(EnrollmentError::Refused { reason: refused.reason.to_string(), message: refused.message.to_string() })
        }
        Err(error) => Err(EnrollmentError::NoAnswer(crate::chain::Chain(&error).to_string())),
    }
}
