//! A reply before it becomes bytes on a connection.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Bodies below this size are not worth compressing.
const WORTH_ZIPPING: usize = 512;

/// Megabytes a bomb may have: enough for any caller, and made in a second.
const MAX_BOMB: u64 = 1_024;

/// Status, headers and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// An entry of the error array.
#[derive(Deserialize)]
struct Error {
    #[serde(rename = "errorCode")]
    code: String,
    message: String,
}

const JSON: &str = "application/json;charset=UTF-8";

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: "", headers: Vec::new(), body: Vec::new() }
    }

    /// JSON that is already written.
    pub(crate) fn raw_json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::raw_json(status, serde_json::to_vec(body).unwrap_or_default())
    }

    /// The error array of the REST API.
    pub(crate) fn problem(status: u16, problem: &Problem) -> Self {
        Self::json(status, &[problem])
    }

    pub(crate) fn csv(body: String) -> Self {
        Self { status: 200, content_type: "text/csv", headers: Vec::new(), body: body.into_bytes() }
    }

    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self { status, content_type: "text/xml;charset=UTF-8", headers: Vec::new(), body: body.into_bytes() }
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n\
             <p>We are working on it. Please try again later.</p></body></html>\n"
        );
        Self { status, content_type: "text/html;charset=UTF-8", headers: Vec::new(), body: body.into_bytes() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same reply for a caller that takes no JSON: an error array becomes XML.
    pub(crate) fn without_json(self) -> Self {
        let errors = if self.status < 400 { None } else { serde_json::from_slice::<Vec<Error>>(&self.body).ok() };
        let Some(errors) = errors else { return self };
        let error = |Error { code, message }: &Error| {
            let (code, message) = (escape(code.as_str()), escape(message.as_str()));
            format!("<Error><errorCode>{code}</errorCode><message>{message}</message></Error>")
        };
        let errors: String = errors.iter().map(error).collect();
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Errors>{errors}</Errors>");
        Self { content_type: "application/xml;charset=UTF-8", body: body.into_bytes(), ..self }
    }

    /// The same reply with a body that is small on the wire and fills the caller's memory.
    pub(crate) fn bomb(mut self, megabytes: u64) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let block = vec![b' '; 1024 * 1024];
        let filled = (0..megabytes.min(MAX_BOMB)).try_for_each(|_| encoder.write_all(&block));
        self.body = filled.and_then(|()| encoder.finish()).unwrap_or_default();
        self.headers.push(("content-encoding", "gzip".to_owned()));
        self
    }

    /// The same reply with its body compressed, if that is worth it.
    pub(crate) fn zipped(mut self) -> Self {
        if self.body.len() < WORTH_ZIPPING {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zipped = encoder.write_all(&self.body).and_then(|()| encoder.finish());
        if let Ok(zipped) = zipped {
            self.body = zipped;
            self.headers.push(("content-encoding", "gzip".to_owned()));
        }
        self
    }
}
