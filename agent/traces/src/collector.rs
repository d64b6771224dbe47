//! Where the collector is.

use std::str::FromStr;

use url::{Host, Url};

/// The path below a collector's URL where traces are taken.
const PATH: &str = "v1/traces";

/// The URL to which spans are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Url);

/// It is not the URL of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectorError {
    /// It is no URL at all, or carries what belongs nowhere near a configuration.
    #[error(
        "expected the URL of an OTLP collector without name, password and query, e.g. `https://collector.example:4318`"
    )]
    NotOne,
    /// It would be open to everybody on the way.
    #[error("plain `http://` reaches a collector on this host only: use `https://`, or a collector on 127.0.0.1")]
    Plain,
}

impl Collector {
    /// The URL, with the path for traces.
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Collector {
    type Err = CollectorError;

    fn from_str(text: &str) -> Result<Self, CollectorError> {
        let mut url = Url::parse(text).map_err(|_| CollectorError::NotOne)?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !is_bare || url.fragment().is_some() {
            return Err(CollectorError::NotOne);
        }
        let is_here = match url.host().ok_or(CollectorError::NotOne)? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => (),
            "http" if is_here => (),
            "http" => return Err(CollectorError::Plain),
            _ => return Err(CollectorError::NotOne),
        }
        let path = format!("{}/{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_over_tls_or_on_this_host() {
        let read = |text: &str| text.parse::<Collector>().map(|it| it.url().to_string());
        assert_eq!(read("https://c.example"), Ok("https://c.example/v1/traces".to_owned()));
        assert_eq!(read("http://127.0.0.1:4318/otlp/"), Ok("http://127.0.0.1:4318/otlp/v1/traces".to_owned()));
        assert!(read("http://[::1]:4318").is_ok() && read("http://localhost:4318").is_ok());
        assert_eq!(read("http://c.example:4318"), Err(CollectorError::Plain));
        for bad in ["", "c.example:4318", "grpc://c.example", "https://me:secret@c.example", "https://c.example?key=1"]
        {
            assert_eq!(read(bad), Err(CollectorError::NotOne), "{bad}");
        }
    }
}
