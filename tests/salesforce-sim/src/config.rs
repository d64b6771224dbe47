//! How a simulator is started.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::assumptions::Assumptions;
use crate::seed::OrgSeed;

/// Addresses, certificate and orgs of a simulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen for plain HTTP; port 0 takes a free one.
    pub http: Option<SocketAddr>,
    /// Where to listen for HTTPS; port 0 takes a free one.
    pub https: Option<SocketAddr>,
    /// Certificate chain and key. Without it a certificate is made by an authority of the simulator's own.
    pub certificate: Option<Certificate>,
    /// Further names or addresses the made-up certificate is good for.
    pub names: Vec<String>,
    /// Given back by logins instead of the address the caller used.
    pub instance_url: Option<String>,
    /// The orgs. A session belongs to the org of the user who logged in, whatever the Host header says.
    pub orgs: Vec<OrgSeed>,
    /// Behavior where the documentation is silent.
    pub assumptions: Assumptions,
}

/// A certificate chain with its key, both PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(***)")
    }
}

impl Default for Config {
    /// HTTP and HTTPS on free loopback ports, with the built-in org and twenty people.
    fn default() -> Self {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            http: Some(free),
            https: Some(free),
            certificate: None,
            names: Vec::new(),
            instance_url: None,
            orgs: vec![OrgSeed::acme(20)],
            assumptions: Assumptions::default(),
        }
    }
}
