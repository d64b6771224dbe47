//! `postern enroll`.

use std::io::Read as _;
use std::path::Path;

use postern_protocol::enrollment::EnrollmentToken;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failed, load, say_json, say_pairs};
use crate::app::{host_name, proxy_route};
use crate::cli::Enroll;
use crate::enrollment::{Applicant, EnrollmentError, enroll};
use crate::exit::Exit;
use crate::identity::{self, IdentityDir, Membership};
use crate::link::DialError;
use crate::store::Store;

/// A token is some hundred bytes.
const MAX_TOKEN: u64 = 4096;

pub(super) async fn run(config: &Path, options: Enroll) -> Result<Exit, Failed> {
    let config = load(config)?;
    let token = match options.token {
        Some(token) => Zeroizing::new(token),
        None => read_token(options.token_file.as_deref())?,
    };
    let token: EnrollmentToken = token.parse().map_err(|error| Failed::because(Exit::Usage, &error))?;
    let identity = IdentityDir::open(&config.state_dir)?;
    if let Some(known) = identity.load()?.filter(|known| known.membership.cluster != token.cluster) {
        return Err(Failed::new(
            Exit::Refused,
            format!(
                "this agent is member {} of cluster `{}`, but the token is for `{}`; use another state directory, or \
                 move `{}` away to leave that cluster",
                known.membership.member,
                known.membership.cluster,
                token.cluster,
                config.state_dir.display()
            ),
        ));
    }
    // Everything the request names is on disk before it is sent.
    let (store, _) = Store::open(&config.state_dir)?;
    let sealing_key = identity.sealing_key()?;
    let csr = identity.signing_request()?;
    let host = host_name();
    let applicant =
        Applicant { incarnation: store.incarnation(), host: &host, sealing_key: *sealing_key.public(), csr: &csr };
    let proxy = proxy_route(&config)?;
    let enrolled = enroll(&token, &options.controller, proxy, config.controller.connect_timeout, &applicant)
        .await
        .map_err(|error| {
            let exit = match &error {
                EnrollmentError::Dial(DialError::BadUrl { .. }) => Exit::Usage,
                EnrollmentError::Dial(_) | EnrollmentError::NoAnswer(_) => Exit::Unreachable,
                EnrollmentError::Refused { .. } => Exit::Refused,
            };
            Failed::because(exit, &error)
        })?;
    let membership =
        Membership { cluster: enrolled.cluster.clone(), member: enrolled.member, controllers: options.controller };
    identity.enroll(&membership, &enrolled.certificate, &enrolled.ca)?;
    let fingerprint = identity::fingerprint(&enrolled.certificate);
    if options.json {
        say_json(&json!({
            "cluster": enrolled.cluster, "member": enrolled.member, "approved": enrolled.approved,
            "fingerprint": fingerprint,
        }));
    } else {
        let next = if enrolled.approved {
            "start it: postern run".to_owned()
        } else {
            format!(
                "start it (postern run); an operator compares the fingerprint and approves it with: \
                 postern-controller member approve {}",
                enrolled.member
            )
        };
        say_pairs(&[
            ("cluster", enrolled.cluster.to_string()),
            ("member", enrolled.member.to_string()),
            ("fingerprint", fingerprint),
            ("state", if enrolled.approved { "approved" } else { "pending approval" }.to_owned()),
            ("next", next),
        ]);
    }
    Ok(Exit::Ok)
}

fn read_token(file: Option<&Path>) -> Result<Zeroizing<String>, Failed> {
    let mut text = Zeroizing::new(String::new());
    let read = match file {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text)),
        None => std::io::stdin().take(MAX_TOKEN).read_to_string(&mut text),
    };
    read.map_err(|error| {
        let place = file.map_or_else(|| "the standard input".to_owned(), |path| format!("`{}`", path.display()));
        Failed::new(Exit::Usage, format!("the token cannot be read from {place}: {error}"))
    })?;
    Ok(text)
}
