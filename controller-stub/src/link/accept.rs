//! From TCP to a WebSocket at one of two places.

use postern_protocol::frame::MAX_FRAME;
use postern_protocol::{enrollment, session};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{DATE, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::websocket;
use crate::ca::peer::Peer;
use crate::clock;

/// A WebSocket to an agent.
pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A connection that is where it wants to be.
pub(super) struct Accepted {
    pub(super) socket: Box<Socket>,
    pub(super) place: Place,
}

/// What an agent came for.
pub(super) enum Place {
    /// A session of the member its certificate names.
    Session(Peer),
    /// Membership, over a channel with this exporter.
    Enrollment([u8; 32]),
}

/// Why a connection was turned away.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcceptError {
    /// TLS failed.
    #[error("TLS failed: no TLS 1.3, another authority's certificate, or no TLS at all")]
    Tls(#[source] std::io::Error),
    /// The channel has no exporter.
    #[error("TLS gave no exporter")]
    Exporter(#[source] rustls::Error),
    /// The upgrade failed.
    #[error("the WebSocket upgrade failed")]
    Upgrade(#[source] Box<tungstenite::Error>),
    /// The upgrade was answered with no.
    #[error("{0}")]
    Refused(String),
}

/// Performs both handshakes.
pub(super) async fn accept(stream: TcpStream, tls: &TlsAcceptor) -> Result<Accepted, AcceptError> {
    let _ = stream.set_nodelay(true);
    let stream = tls.accept(stream).await.map_err(AcceptError::Tls)?;
    let (_, connection) = stream.get_ref();
    let exporter =
        connection.export_keying_material([0; 32], enrollment::EXPORTER_LABEL, None).map_err(AcceptError::Exporter)?;
    let certificate: Option<CertificateDer<'static>> =
        connection.peer_certificates().and_then(|chain| chain.first()).map(|it| it.clone().into_owned());
    let (socket, place) = upgrade(stream, certificate.as_ref(), exporter).await?;
    Ok(Accepted { socket: Box::new(socket), place })
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    certificate: Option<&CertificateDer<'_>>,
    exporter: [u8; 32],
) -> Result<(WebSocketStream<S>, Place), AcceptError> {
    let mut chosen = None;
    #[allow(clippy::result_large_err, reason = "the callback's type is the library's")]
    let choose = |request: &Request, response: Response| match choose(request, certificate, exporter) {
        Ok((place, subprotocol)) => {
            chosen = Some(Ok(place));
            Ok(with_subprotocol(response, subprotocol))
        }
        Err((status, sentence)) => {
            chosen = Some(Err(sentence.clone()));
            Err(refusal(status, sentence))
        }
    };
    // Nobody has a session without a certificate, so whoever shows none is an applicant at most.
    let largest = if certificate.is_some() { MAX_FRAME } else { websocket::MAX_APPLICATION };
    let limits = websocket::limits(largest);
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, choose, Some(limits)).await;
    match (chosen, socket) {
        (Some(Ok(place)), Ok(socket)) => Ok((socket, place)),
        (Some(Err(sentence)), _) => Err(AcceptError::Refused(sentence)),
        (_, Err(error)) => Err(AcceptError::Upgrade(Box::new(error))),
        (None, Ok(_)) => Err(AcceptError::Refused("the upgrade was not looked at".to_owned())),
    }
}

fn choose(
    request: &Request,
    certificate: Option<&CertificateDer<'_>>,
    exporter: [u8; 32],
) -> Result<(Place, &'static str), (StatusCode, String)> {
    match request.uri().path() {
        session::PATH => {
            check_subprotocol(request, session::SUBPROTOCOL)?;
            let certificate = certificate.ok_or((
                StatusCode::UNAUTHORIZED,
                "a session needs the member's certificate: enroll the agent first".to_owned(),
            ))?;
            let peer = Peer::from_certificate(certificate).ok_or((
                StatusCode::UNAUTHORIZED,
                "the certificate does not name a member: enroll the agent again".to_owned(),
            ))?;
            Ok((Place::Session(peer), session::SUBPROTOCOL))
        }
        enrollment::PATH => {
            check_subprotocol(request, enrollment::SUBPROTOCOL)?;
            Ok((Place::Enrollment(exporter), enrollment::SUBPROTOCOL))
        }
        _ => Err((
            StatusCode::NOT_FOUND,
            format!("there is nothing here: agents use {} and {}", session::PATH, enrollment::PATH),
        )),
    }
}

fn check_subprotocol(request: &Request, wanted: &str) -> Result<(), (StatusCode, String)> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let spoken = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == wanted);
    if spoken {
        return Ok(());
    }
    Err((
        StatusCode::BAD_REQUEST,
        format!(
            "this place speaks the WebSocket subprotocol {wanted}: offer it, or update the older of the two programs"
        ),
    ))
}

fn with_subprotocol(mut response: Response, subprotocol: &'static str) -> Response {
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    if let Some(date) = date() {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// What time it is here, as HTTP says it: an agent with another clock can tell.
fn date() -> Option<HeaderValue> {
    let secs = i64::try_from(clock::wall().0 / 1000).ok()?;
    let now = jiff::Timestamp::from_second(secs).ok()?;
    HeaderValue::from_str(&now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

fn refusal(status: StatusCode, sentence: String) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(sentence));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::AsyncWriteExt as _;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    /// Let it say as much as a member, and everybody at the door may have that kept, and a frame of the same size beside it.
    #[tokio::test]
    async fn an_applicant_may_say_16_kib_and_no_more_in_one_piece_or_in_many() {
        let pieces = |size: usize| {
            let piece = |at: usize| {
                let code = if at == 0 { Data::Binary } else { Data::Continue };
                let bytes = vec![0; (size - at).min(1_000)];
                Message::Frame(Frame::message(bytes, OpCode::Data(code), at + 1_000 >= size))
            };
            (0..size).step_by(1_000).map(piece).collect()
        };
        let whole = |size: usize| vec![Message::Binary(vec![0; size].into())];
        for (messages, is_heard) in [
            (whole(16 * 1024), true),
            (pieces(16 * 1024), true),
            (whole(16 * 1024 + 1), false),
            (pieces(16 * 1024 + 1), false),
        ] {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let mut request = format!("ws://localhost{}", enrollment::PATH).into_client_request().unwrap();
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(enrollment::SUBPROTOCOL));
            let asks = tokio_tungstenite::client_async(request, theirs);
            let (accepted, asked) = tokio::join!(upgrade(ours, None, [0; 32]), asks);
            let ((mut socket, _), (mut theirs, _)) = (accepted.unwrap(), asked.unwrap());
            let count = messages.len();
            for message in messages {
                theirs.send(message).await.unwrap();
            }
            assert_eq!(socket.next().await.unwrap().is_ok(), is_heard, "in {count}");
        }
    }

    /// The same head in one piece is answered with 101.
    #[tokio::test]
    async fn an_upgrade_that_drips_is_refused() {
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\
             sec-websocket-protocol: {}\r\n\r\n",
            enrollment::PATH,
            enrollment::SUBPROTOCOL
        );
        // What is read at once is what the pipe holds.
        for (at_once, is_let_in) in [(1024, true), (1, false)] {
            let (ours, mut theirs) = tokio::io::duplex(at_once);
            let asks = async {
                // It may be left before all of it is sent.
                let _ = theirs.write_all(head.as_bytes()).await;
                theirs
            };
            let (accepted, _theirs) = tokio::join!(upgrade(ours, None, [0; 32]), asks);
            assert_eq!(accepted.is_ok(), is_let_in, "{at_once}");
        }
    }
}
