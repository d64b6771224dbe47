//! The way to a host, step by step: its name, the proxy, TCP, TLS. What was found is judged without looking again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use postern_protocol::plain::Chain;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Check, Finding};
use crate::identity::fingerprint;
use crate::judge::{Asked, Beside, Judge, Verdict};
use crate::link::dial::{self, Destination, DialError, ProxyRoute};
use crate::link::tls;
use crate::redaction::redacted;

/// How the roots that a controller makes are called.
const POSTERN_ROOT: &str = "postern controller root";

/// The checks that a way is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Checks {
    /// The name.
    pub dns: Check,
    /// The proxy.
    pub proxy: Check,
    /// TCP.
    pub tcp: Check,
    /// TLS.
    pub tls: Check,
}

impl Checks {
    /// All of them, in the order of the way.
    pub const fn all(self) -> [Check; 4] {
        [self.dns, self.proxy, self.tcp, self.tls]
    }

    /// What is said of a way that cannot be walked at all: one check fails, and the others are behind it.
    pub fn unwalkable(self, failed: Check, why: &str, next: &str) -> Vec<Finding> {
        let told = self.all().map(|check| {
            if check == failed { Finding::failed(check, why, next) } else { Finding::behind(check, failed) }
        });
        told.to_vec()
    }
}

/// A way to be walked.
pub struct Way {
    /// Where it leads.
    pub to: Destination,
    /// The proxy on it.
    pub proxy: Option<ProxyRoute>,
    /// How TLS is spoken at its end, and who judges; `None`: it is not.
    pub tls: Option<(Arc<ClientConfig>, Witness)>,
    /// The longest that one step may take.
    pub limit: Duration,
}

/// What was found on the way, as far as it was walked.
#[derive(Debug)]
pub struct Walked {
    /// Where it leads.
    pub to: Destination,
    /// The proxy's host and port.
    pub by: Option<Destination>,
    /// The addresses of the host, or of the proxy.
    pub addresses: Result<Vec<SocketAddr>, String>,
    /// What came of connecting to each.
    pub connected: Vec<(SocketAddr, Result<(), String>)>,
    /// What the proxy said.
    pub tunnel: Option<Result<(), Tunnel>>,
    /// What TLS came to; `None`: it was not tried.
    pub tls: Option<Tls>,
}

/// Why a proxy did not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tunnel {
    /// It asks for credentials, or for others.
    Credentials,
    /// It says no.
    Refused(String),
    /// It does not speak HTTP, or hung up.
    Nonsense(String),
}

/// What TLS came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The version, once both sides agreed.
    pub version: Option<String>,
    /// Who answered.
    pub presented: Option<Presented>,
    /// What went wrong.
    pub problem: Option<String>,
}

/// What the other side showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Who issued its certificate.
    pub issuer: String,
    /// The fingerprint of the last certificate that it showed.
    pub root: String,
    /// Why it is not trusted, if it is not.
    pub doubt: Option<Doubt>,
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Whoever issued it is not known.
    Foreign,
    /// It has run out, by this host's clock.
    RunOut,
    /// It is not valid yet, by this host's clock.
    NotYet,
    /// It is for another host.
    OtherName,
    /// Something else.
    Other(String),
}

/// Remembers who was judged.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<Mutex<Option<Presented>>>);

impl Witness {
    /// This judge with a witness beside, and the witness.
    pub fn beside(judge: Arc<dyn ServerCertVerifier>) -> (Arc<dyn ServerCertVerifier>, Self) {
        let witness = Self::default();
        (Arc::new(Judge::new(judge, witness.clone())), witness)
    }

    /// Who was judged last.
    fn seen(&self) -> Option<Presented> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Beside for Witness {
    fn verdict(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], judge: Asked<'_>) -> Verdict {
        let judged = judge();
        let presented = Presented {
            issuer: tls::issuer(own),
            root: fingerprint(between.last().unwrap_or(own)),
            doubt: judged.as_ref().err().map(Doubt::of),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        judged
    }
}

impl Doubt {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the library's errors are many, and few tell an operator something"
    )]
    fn of(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(why) = error else { return Self::Other(error.to_string()) };
        match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Foreign,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::RunOut,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            other => Self::Other(rustls::Error::InvalidCertificate(other.clone()).to_string()),
        }
    }
}

/// Walks a way as far as it leads. What it ends with is handed over, for whoever speaks on it.
pub async fn walk(way: Way) -> (Walked, Option<TlsStream<TcpStream>>) {
    let by = way.proxy.as_ref().map(|proxy| proxy.at.clone());
    let first = by.as_ref().unwrap_or(&way.to).clone();
    let mut walked = Walked {
        to: way.to.clone(),
        by,
        addresses: resolve(&first, way.limit).await,
        connected: Vec::new(),
        tunnel: None,
        tls: None,
    };
    let addresses = walked.addresses.clone().unwrap_or_default();
    let tries =
        join_all(addresses.into_iter().map(async |address| (address, within(way.limit, dial::connect(address)).await)));
    let mut stream = None;
    for (address, tried) in tries.await {
        let told = match tried {
            Ok(connected) => {
                stream = stream.or(Some(connected));
                Ok(())
            }
            Err(error) => Err(cause(error)),
        };
        walked.connected.push((address, told));
    }
    let Some(mut stream) = stream else { return (walked, None) };
    if let Some(proxy) = &way.proxy {
        let asked = within(way.limit, dial::tunnel(&mut stream, proxy, &way.to)).await;
        let is_open = asked.is_ok();
        walked.tunnel = Some(asked.map_err(refusal));
        if !is_open {
            return (walked, None);
        }
    }
    let Some((config, witness)) = way.tls else { return (walked, None) };
    match within(way.limit, dial::secure(stream, &config, &way.to)).await {
        Ok(stream) => {
            let version = stream.get_ref().1.protocol_version().map(|version| format!("{version:?}").replace('_', "."));
            let version = version.map(|version| version.replacen("TLSv", "TLS ", 1));
            walked.tls = Some(Tls { version, presented: witness.seen(), problem: None });
            (walked, Some(stream))
        }
        Err(error) => {
            walked.tls = Some(Tls { version: None, presented: witness.seen(), problem: Some(cause(error)) });
            (walked, None)
        }
    }
}

/// Why something took too long, or failed.
enum Trouble {
    TimedOut(Duration),
    Dial(DialError),
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, DialError>>) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, step).await {
        Ok(done) => done.map_err(Trouble::Dial),
        Err(_) => Err(Trouble::TimedOut(limit)),
    }
}

async fn resolve(name: &Destination, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    within(limit, dial::resolve(name)).await.map_err(cause)
}

/// What the system or the library said, without what an operator is told anyway.
#[allow(clippy::wildcard_enum_match_arm, reason = "the other errors say all there is to say")]
fn cause(trouble: Trouble) -> String {
    let text = match trouble {
        Trouble::TimedOut(limit) => format!("no answer within {} s", limit.as_secs()),
        Trouble::Dial(
            DialError::Resolve { source, .. } | DialError::Connect { source, .. } | DialError::Tls { source, .. },
        ) => Chain(&source).to_string(),
        Trouble::Dial(other) => Chain(&other).to_string(),
    };
    redacted(&text).into_owned()
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what is no refusal is nonsense")]
fn refusal(trouble: Trouble) -> Tunnel {
    match trouble {
        Trouble::Dial(DialError::ProxyCredentials) => Tunnel::Credentials,
        Trouble::Dial(DialError::ProxyRefused { status, .. }) => Tunnel::Refused(status),
        Trouble::Dial(DialError::ProxyNonsense) => Tunnel::Nonsense("it does not speak HTTP".to_owned()),
        other => Tunnel::Nonsense(cause(other)),
    }
}

/// What a walk says of each step. `settings` is where a proxy is configured.
pub fn judge(walked: &Walked, checks: Checks, settings: &str) -> Vec<Finding> {
    let Checks { dns, proxy, tcp, tls } = checks;
    let first = walked.by.as_ref().unwrap_or(&walked.to);
    let names = match &walked.addresses {
        Ok(found) => {
            let found: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            Finding::ok(dns, format!("`{}` is {}", first.host, found.join(", ")))
        }
        Err(why) => Finding::failed(
            dns,
            format!("the name `{}` cannot be resolved: {why}", first.host),
            "check how the host is written in the configuration, and the name service of this host",
        ),
    };
    let mut found = vec![names];
    let is_connected = walked.connected.iter().any(|(_, tried)| tried.is_ok());
    let on_tcp = connections(walked, tcp);
    match &walked.by {
        None => found.push(Finding::skipped(proxy, "no proxy is configured")),
        Some(_) if walked.addresses.is_err() => found.push(Finding::behind(proxy, dns)),
        Some(by) if !is_connected => found.push(Finding::failed(
            proxy,
            format!("the proxy {by} cannot be connected to: {}", failures(walked)),
            format!("check the proxy's URL in {settings}, and the proxy itself"),
        )),
        Some(by) => found.push(match walked.tunnel.as_ref() {
            Some(Ok(())) => Finding::ok(proxy, format!("{by} lets through to {}", walked.to)),
            Some(Err(why)) => refused(proxy, by, &walked.to, why, settings),
            None => Finding::failed(proxy, format!("{by} was not asked"), "run this again"),
        }),
    }
    let stopped = found.iter().find(|it| it.is_failed()).map(|it| it.id);
    found.push(match (stopped, &walked.by) {
        (Some(other), _) => Finding::behind(tcp, other),
        (None, Some(by)) => Finding::ok(tcp, format!("{} by way of {by}", walked.to)),
        (None, None) => on_tcp,
    });
    let stopped = found.iter().find(|it| it.is_failed()).map(|it| it.id);
    found.push(match (stopped, &walked.tls) {
        (Some(other), _) => Finding::behind(tls, other),
        (None, None) => Finding::skipped(tls, "it is spoken to without TLS"),
        (None, Some(spoken)) => secured(tls, &walked.to, spoken),
    });
    found
}

fn failures(walked: &Walked) -> String {
    let failed = walked.connected.iter().filter_map(|(at, tried)| Some((at, tried.as_ref().err()?)));
    failed.map(|(at, why)| format!("{at} ({why})")).collect::<Vec<_>>().join(", ")
}

fn connections(walked: &Walked, tcp: Check) -> Finding {
    let good: Vec<String> =
        walked.connected.iter().filter(|(_, tried)| tried.is_ok()).map(|(at, _)| at.to_string()).collect();
    let bad = failures(walked);
    let next = "check that it is up, and that this host may connect to it; or name a proxy";
    match (good.is_empty(), bad.is_empty()) {
        (false, true) => Finding::ok(tcp, format!("connected to {}", good.join(", "))),
        (false, false) => Finding::warning(tcp, format!("connected to {}, not to {bad}", good.join(", ")), next),
        (true, _) => Finding::failed(tcp, format!("cannot be connected to: {bad}"), next),
    }
}

fn refused(check: Check, by: &Destination, to: &Destination, why: &Tunnel, settings: &str) -> Finding {
    match why {
        Tunnel::Credentials => Finding::failed(
            check,
            format!("the proxy {by} asks for a name and a password (407), or for others than are configured"),
            format!("set `username` and `password` of `proxy` in {settings}"),
        ),
        Tunnel::Refused(status) => Finding::failed(
            check,
            format!("the proxy {by} answered CONNECT with `{status}`"),
            format!("ask its administrator to let this host through to {to}"),
        ),
        Tunnel::Nonsense(why) => Finding::failed(
            check,
            format!("the proxy {by} did not answer CONNECT: {why}"),
            format!("check the proxy's URL in {settings}, and the proxy itself"),
        ),
    }
}

/// Who vouches for the other side, and whether that is believed.
fn secured(check: Check, to: &Destination, spoken: &Tls) -> Finding {
    let clock = "check this host's clock; if it is right, whoever runs the other side has to renew its certificate";
    match (&spoken.version, &spoken.presented) {
        (Some(version), Some(shown)) => Finding::ok(check, format!("{version}, certificate of `{}`", shown.issuer)),
        (Some(version), None) => Finding::ok(check, version.clone()),
        (None, Some(Presented { issuer, doubt: Some(doubt), .. })) => match doubt {
            Doubt::Foreign => Finding::failed(
                check,
                format!(
                    "TLS is intercepted: the certificate shown for {} is of `{issuer}`, which is not trusted",
                    to.host
                ),
                format!(
                    "if `{issuer}` is a proxy of your company's, have it let {} pass untouched, or, for a connected \
                     system, add its root to `root_certificates`; if you do not know it, find out who answers there",
                    to.host
                ),
            ),
            Doubt::RunOut => Finding::failed(check, format!("the certificate, of `{issuer}`, has run out"), clock),
            Doubt::NotYet => Finding::failed(check, format!("the certificate, of `{issuer}`, is not valid yet"), clock),
            Doubt::OtherName => Finding::failed(
                check,
                format!("the certificate, of `{issuer}`, is for another host than {}", to.host),
                "check how the host is written in the configuration, and what answers there",
            ),
            Doubt::Other(why) => Finding::failed(
                check,
                format!("the certificate, of `{issuer}`, is not accepted: {why}"),
                "check what answers there",
            ),
        },
        (None, _) => Finding::failed(
            check,
            format!("TLS failed: {}", spoken.problem.as_deref().unwrap_or("no reason was given")),
            "check host and port in the configuration, and what stands between: what answers may not speak TLS at all",
        ),
    }
}

impl Walked {
    /// The root of another controller that answered, if that is what happened: its fingerprint and its name.
    pub fn foreign_controller(&self) -> Option<(&str, &str)> {
        let shown = self.tls.as_ref()?.presented.as_ref()?;
        let is_foreign = shown.doubt == Some(Doubt::Foreign) && shown.issuer.contains(POSTERN_ROOT);
        is_foreign.then_some((shown.root.as_str(), shown.issuer.as_str()))
    }
}

#[cfg(test)]
mod tests;
