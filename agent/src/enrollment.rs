//! Becoming a member, or one again whose certificate has run out: one connection, one question, one answer.

use std::fmt::Display;
use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use postern_protocol::MemberId;
use postern_protocol::bounded::{Bytes, Text};
use postern_protocol::code::CodeSet as _;
use postern_protocol::enrollment::v1::{Enroll, EnrollRefusal, Enrolled, Recover};
use postern_protocol::enrollment::{
    EXPORTER_LABEL, EnrollmentToken, FromApplicant, FromAuthority, Request, recovery_statement,
};
use postern_protocol::id::Incarnation;
use postern_protocol::plain::Chain;
use postern_protocol::seal::SealingPublicKey;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::identity::{self, Credential};
use crate::link::{DialError, Dialer, Place, Socket, tls};

/// How long the controller may take to answer.
pub const ANSWER: Duration = Duration::from_secs(30);

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
    #[error("the controller refused ({reason}): {message}")]
    Refused {
        /// Why.
        reason: String,
        /// The controller's sentence.
        message: String,
    },
}

impl EnrollmentError {
    /// Whether the controller refused for this reason.
    pub fn is_refusal_of(&self, why: EnrollRefusal) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == why.name())
    }
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
    dialer: &Dialer,
    applicant: &Applicant<'_>,
) -> Result<Enrolled, EnrollmentError> {
    let tls = tls::for_enrollment(token.ca_sha256);
    let mut failure = EnrollmentError::NoAnswer("no URL was given".to_owned());
    for url in urls {
        match dialer.dial(&tls, url, Place::ENROLLMENT).await {
            Ok(socket) => return apply(token, applicant, socket).await,
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

async fn apply(
    token: &EnrollmentToken,
    applicant: &Applicant<'_>,
    socket: Socket,
) -> Result<Enrolled, EnrollmentError> {
    let exporter = exporter(&socket)?;
    let request =
        Request { incarnation: applicant.incarnation, sealing_key: &applicant.sealing_key, csr: applicant.csr };
    let enroll = Enroll {
        token: token.id,
        incarnation: applicant.incarnation,
        host: Text::clipped(applicant.host),
        agent_version: Text::clipped(env!("CARGO_PKG_VERSION")),
        sealing_key: applicant.sealing_key,
        csr: Bytes::new(applicant.csr.to_vec()).map_err(no_answer)?,
        proof: token.key.prove(&exporter, &request),
    };
    ask(socket, enroll.into()).await
}

/// What a member says of itself when its certificate has run out.
pub struct Recovery<'a> {
    /// The member.
    pub member: MemberId,
    /// The certificate that has run out, with its key.
    pub old: &'a Credential,
    /// Its sealing key.
    pub sealing_key: SealingPublicKey,
    /// Its signing request for the next certificate, DER.
    pub csr: &'a [u8],
}

/// Asks over this connection for the next certificate by proof of the old key.
pub async fn recover(socket: Socket, recovery: &Recovery<'_>) -> Result<Enrolled, EnrollmentError> {
    let serial = recovery.old.certificate().and_then(|it| identity::serial(it)).unwrap_or_default();
    let statement = recovery_statement(&exporter(&socket)?, &recovery.sealing_key, &serial, recovery.csr);
    let recover = Recover {
        member: recovery.member,
        serial: Bytes::new(serial).map_err(no_answer)?,
        sealing_key: recovery.sealing_key,
        csr: Bytes::new(recovery.csr.to_vec()).map_err(no_answer)?,
        proof: Bytes::new(recovery.old.sign(&statement).map_err(no_answer)?).map_err(no_answer)?,
    };
    ask(socket, recover.into()).await
}

fn exporter(socket: &Socket) -> Result<[u8; 32], EnrollmentError> {
    let (_, connection) = socket.get_ref().get_ref();
    connection.export_keying_material([0; 32], EXPORTER_LABEL, None).map_err(no_answer)
}

async fn ask(mut socket: Socket, question: FromApplicant) -> Result<Enrolled, EnrollmentError> {
    let bytes = question.encode().map_err(no_answer)?;
    socket.send(Message::Binary(bytes.into())).await.map_err(no_answer)?;
    answer(socket).await
}

/// The answer, of whoever could show for ever that it is there.
async fn answer(
    mut messages: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
) -> Result<Enrolled, EnrollmentError> {
    let answered = async {
        loop {
            match messages.next().await {
                Some(Ok(Message::Binary(bytes))) => return read(&bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => (),
                Some(Ok(_)) => return Err(no_answer("it sent something that is no frame")),
                Some(Err(error)) => return Err(no_answer(error)),
                None => return Err(no_answer("it closed the connection")),
            }
        }
    };
    tokio::time::timeout(ANSWER, answered).await.map_err(|_| no_answer("time ran out"))?
}

fn no_answer(why: impl Display) -> EnrollmentError {
    EnrollmentError::NoAnswer(why.to_string())
}

fn read(bytes: &[u8]) -> Result<Enrolled, EnrollmentError> {
    match FromAuthority::decode(bytes) {
        Ok(FromAuthority::Enrolled(enrolled)) => Ok(enrolled),
        Ok(FromAuthority::EnrollRefused(refused)) => {
            Err(EnrollmentError::Refused { reason: refused.reason.to_string(), message: refused.message.to_string() })
        }
        Err(error) => Err(EnrollmentError::NoAnswer(Chain(&error).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Count the time from the last message, and whoever sends one every half minute keeps the agent from every other controller.
    #[tokio::test(start_paused = true)]
    async fn whoever_only_shows_that_it_is_there_gives_no_answer() {
        let signs = stream::iter(0..100).then(async |_| {
            tokio::time::sleep(ANSWER / 2).await;
            Ok(Message::Ping(Vec::new().into()))
        });
        let Err(told) = answer(std::pin::pin!(signs)).await else { panic!("it is no answer") };
        assert!(told.to_string().contains("time ran out"), "{told}");
    }
}
