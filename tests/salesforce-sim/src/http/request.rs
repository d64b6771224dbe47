//! A request as the simulated service sees it: read whole, decompressed, split.

use std::io::Read as _;
use std::net::IpAddr;

use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use hyper::Version;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, HOST, HeaderMap};
use hyper::http::uri::Authority;

use super::reply::Reply;
use crate::problem::Problem;

/// Largest body taken, also after decompression (the service takes about as much over REST).
const MAX_BODY: usize = 12 * 1024 * 1024;
/// Largest file of a bulk job: 150 MB, counted as base64 (published limit).
const MAX_UPLOAD: usize = 150 * 1024 * 1024 / 4 * 3;
/// Longest request target (published limit).
const MAX_URI: usize = 16_384;
/// Longest request target together with the headers (published limit).
const MAX_HEAD: usize = 16_384;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body was a bulk upload of more than is taken, so that nothing of it was kept.
    pub(crate) too_large: bool,
    /// Whether it came by HTTP/2.
    pub(crate) is_http2: bool,
    /// Whether its body was compressed.
    pub(crate) was_compressed: bool,
    host: String,
    pub(crate) source: IpAddr,
    pub(crate) scheme: &'static str,
}

/// What is known of a call before it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) source: IpAddr,
    pub(crate) scheme: &'static str,
}

impl Request {
    /// Reads a request. The error is the reply that says what is wrong with it.
    pub(crate) async fn read(request: hyper::Request<Incoming>, origin: Origin) -> Result<Self, Reply> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        if head.uri.path().len() + query.len() > MAX_URI {
            return Err(Reply::problem(414, &Problem::new("URI_TOO_LONG", "URI Too Long")));
        }
        let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head.uri.path().len() + query.len() + headers > MAX_HEAD {
            let text = "Request Header Fields Too Large";
            return Err(Reply::problem(431, &Problem::new("REQUEST_HEADER_FIELDS_TOO_LARGE", text)));
        }
        let is_upload = head.uri.path().contains("/jobs/ingest/");
        let limit = if is_upload { MAX_UPLOAD } else { MAX_BODY };
        let zipped = head.headers.get(CONTENT_ENCODING).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let body = match collect(body, limit).await {
            Some(body) if zipped => unzip(&body, limit)?,
            body => body,
        };
        if body.is_none() && !is_upload {
            return Err(Reply::problem(413, &Problem::new("REQUEST_ENTITY_TOO_LARGE", "Request Entity Too Large")));
        }
        // HTTP/2 has the host in the target.
        let told = head.headers.get(HOST).and_then(|it| it.to_str().ok());
        let host = told.or_else(|| head.uri.authority().map(Authority::as_str)).unwrap_or("localhost").to_owned();
        Ok(Self {
            is_http2: head.version == Version::HTTP_2,
            was_compressed: zipped,
            host,
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: query.to_owned(),
            headers: head.headers,
            too_large: body.is_none(),
            body: body.unwrap_or_default(),
            source: origin.source,
            scheme: origin.scheme,
        })
    }

    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The address the caller used, as logins give it back: `https://acme.my.salesforce.com`.
    pub(crate) fn address(&self) -> String {
        format!("{}://{}", self.scheme, self.host())
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The token of the Authorization header; the error tells a missing from a malformed one.
    pub(crate) fn token(&self) -> Result<&str, TokenError> {
        let header = self.headers.get(AUTHORIZATION).ok_or(TokenError::Missing)?;
        let text = header.to_str().map_err(|_| TokenError::Malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(TokenError::Malformed)?;
        let known = scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("OAuth");
        if known && !token.is_empty() { Ok(token.trim()) } else { Err(TokenError::Malformed) }
    }

    /// The value of a parameter in the query string.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    /// Whether a refusal may be JSON; otherwise it is XML.
    pub(crate) fn takes_json(&self) -> bool {
        self.header("accept").is_none_or(|it| it.contains("json") || it.contains("*/*"))
    }

    pub(crate) fn accepts_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(|it| it.split(',').any(|it| it.trim().starts_with("gzip")))
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenError {
    Missing,
    Malformed,
}

/// The value of a parameter in a form or a query string.
pub(crate) fn parameter(form: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(form.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The whole body; nothing if it is longer than `limit`. It is read to its end in any case (within reason), or the
/// caller would see its connection fail and not the answer.
async fn collect(mut body: Incoming, limit: usize) -> Option<Bytes> {
    let mut kept = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Some(data) = frame.ok()?.into_data().ok() else { continue };
        length += data.len();
        if length <= limit {
            kept.extend_from_slice(&data);
        } else if length > limit.saturating_mul(2) {
            return None;
        } else {
            kept = Vec::new();
        }
    }
    (length <= limit).then(|| Bytes::from(kept))
}

/// The plain text of a compressed body; nothing if it is longer than `limit`.
fn unzip(body: &[u8], limit: usize) -> Result<Option<Bytes>, Reply> {
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    GzDecoder::new(body)
        .take(bound)
        .read_to_end(&mut plain)
        .map_err(|_| Reply::problem(400, &Problem::new("INVALID_CONTENT", "The body is not valid gzip.")))?;
    Ok((plain.len() <= limit).then(|| Bytes::from(plain)))
}
