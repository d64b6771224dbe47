//! Requests without an answer: how far they got, and whether they may have had an effect.

use std::error::Error;
use std::fmt;
use std::io;

use postern_protocol::plain::Chain;
use url::Url;

/// The part of the way that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The other side's name has no address.
    Dns,
    /// The proxy cannot be reached, or refuses.
    Proxy,
    /// No TCP connection.
    Connection,
    /// A connection, but no trust.
    Tls,
    /// The request left, and no whole answer came.
    Reply,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Proxy => "proxy",
            Self::Connection => "connection",
            Self::Tls => "TLS",
            Self::Reply => "reply",
        })
    }
}

/// Whether the other side may have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It cannot have.
    No,
    /// It may have, and may have acted on it.
    Perhaps,
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Lost {
    /// The part of the way that failed.
    pub hop: Hop,
    /// Whether the other side may have seen it.
    pub sent: Sent,
    /// Host and port of what did not answer.
    pub at: String,
    problem: String,
}

/// Where a request goes, as hosts and ports.
#[derive(Debug)]
pub(super) struct Way {
    /// The other side.
    pub(super) to: String,
    /// The proxy on the way.
    pub(super) by: Option<String>,
}

impl Way {
    fn ends(&self, hop: Hop, sent: Sent, problem: impl Into<String>) -> Lost {
        let proxy = self.by.as_ref().filter(|_| hop == Hop::Proxy);
        Lost { hop, sent, at: proxy.unwrap_or(&self.to).clone(), problem: problem.into() }
    }

    /// URLs carry names of accounts, and are left out.
    pub(super) fn lost(&self, error: reqwest::Error) -> Lost {
        let error = error.without_url();
        let (hop, sent) = if error.is_builder() {
            (Hop::Connection, Sent::No)
        } else if error.is_connect() || error.is_dns() {
            (hop_of(&error, self.by.is_some()), Sent::No)
        } else {
            (Hop::Reply, Sent::Perhaps)
        };
        self.ends(hop, sent, Chain(&error).to_string())
    }

    pub(super) fn refused_by_proxy(&self, why: &str) -> Lost {
        self.ends(Hop::Proxy, Sent::No, why)
    }

    pub(super) fn broke_off(&self, error: reqwest::Error) -> Lost {
        let why = format!("the answer broke off: {}", Chain(&error.without_url()));
        self.ends(Hop::Reply, Sent::Perhaps, why)
    }

    pub(super) fn too_large(&self, limit: usize) -> Lost {
        self.ends(Hop::Reply, Sent::Perhaps, format!("the answer is larger than {limit} bytes"))
    }
}

/// Host and port, and nothing else of a URL.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Lost {
    /// What to look at, in a sentence.
    pub fn next_step(&self) -> &'static str {
        match self.hop {
            Hop::Dns => "Check the domain in the configuration and the name service of this host.",
            Hop::Proxy => "Check the proxy's URL, name and password in the configuration, and the proxy itself.",
            Hop::Connection => "Check that this host may connect to the other side, and whether it needs a proxy.",
            Hop::Tls => {
                "If a proxy inspects TLS on the way, add its root certificate to `root_certificates`; \
                 otherwise check the domain and this host's clock."
            }
            Hop::Reply => "Try again; if it stays, check the proxy and the other side's status page.",
        }
    }
}

fn hop_of(error: &reqwest::Error, proxied: bool) -> Hop {
    if causes(error).any(is_tls) {
        Hop::Tls
    } else if proxied {
        // Behind a proxy only TLS happens with the other side itself.
        Hop::Proxy
    } else if error.is_dns() {
        Hop::Dns
    } else {
        Hop::Connection
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// `io::Error` hides what it wraps: its `source` is the source of what it wraps.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    error.is::<rustls::Error>()
        || error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).is_some_and(|inner| {
            let inner: &(dyn Error + 'static) = inner;
            causes(inner).any(is_tls)
        })
}
