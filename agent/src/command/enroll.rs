//! `postern enroll`.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use postern_agent_core::Write;
use postern_fail_point::Point;
use postern_protocol::enrollment::EnrollmentToken;
use postern_protocol::enrollment::v1::Enrolled;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::{MemberId, SessionNo};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failed, load_private, say_json, say_pairs};
use crate::app::{host_name, proxy_route};
use crate::cli::Enroll;
use crate::config::{NO_CONTROLLER_URL, controller_url};
use crate::enrollment::{Applicant, EnrollmentError, enroll};
use crate::exit::Exit;
use crate::identity::{self, IdentityDir, Membership, Trust};
use crate::link::{DialError, Dialer};
use crate::member_state;
use crate::store::Store;

const START: &str = "start it (systemctl enable --now postern, or postern run)";
const REVOKE: &str = "postern-controller member revoke";
/// A token is some hundred bytes.
const MAX_TOKEN: u64 = 4096;

pub(super) async fn run(config: &Path, options: Enroll) -> Result<Exit, Failed> {
    // They are all remembered, and the others may be needed when nobody is there to mend them.
    if let Some(number) = options.controller.iter().position(|url| controller_url(url).is_none()) {
        return Err(Failed::new(
            Exit::Usage,
            format!("number {} of `--controller` is {NO_CONTROLLER_URL}", number + 1),
        ));
    }
    let config = load_private(config)?;
    let token = match options.token {
        Some(token) => Zeroizing::new(token),
        None => read_token(options.token_file.as_deref())?,
    };
    let token: EnrollmentToken = token.parse().map_err(|error| Failed::because(Exit::Usage, &error))?;
    let identity = IdentityDir::open(&config.state_dir)?;
    let old = identity.load()?.map(|known| known.membership);
    if let Some(old) = &old {
        check_old(old, &token, options.again, &config.state_dir)?;
    }
    // Everything the request names is on disk before it is sent.
    let (store, _) = Store::open_in(&config.home())?;
    identity.erase_half_made()?;
    let credential = identity.applicant(token.id, old.as_ref().is_some_and(|old| old.token == Some(token.id)))?;
    let keys = identity.sealing_keys()?;
    let newest = keys.first().ok_or_else(|| Failed::new(Exit::Bug, "there is no sealing key"))?;
    let host = host_name();
    let applicant = Applicant {
        incarnation: store.incarnation(),
        host: &host,
        sealing_key: *newest.key.public(),
        csr: credential.request(),
    };
    let dialer = Dialer { proxy: proxy_route(&config)?, timeout: config.controller.connect_timeout };
    Point::ApplicationDurable.reach();
    let enrolled = enroll(&token, &options.controller, &dialer, &applicant)
        .await
        .map_err(|error| Failed::because(exit_of(&error), &error))?;
    Point::ApplicationAnswered.reach();
    let membership = Membership {
        cluster: enrolled.cluster.clone(),
        member: enrolled.member,
        controllers: options.controller,
        token: Some(token.id),
    };
    let trust = Trust::from_bundle(&enrolled.trust).map_err(|error| {
        Failed::new(Exit::Refused, format!("the controller's roots cannot be used ({error}): update the older side"))
    })?;
    let credential = credential.with_certificate(&enrolled.certificate)?;
    if credential.is_anothers(&membership.cluster, membership.member) {
        return Err(Failed::new(
            Exit::Refused,
            "the controller gave the certificate of another member: nothing was kept",
        ));
    }
    if !credential.is_whole() {
        return Err(Failed::new(
            Exit::Refused,
            "the controller gave a certificate of another key than the one it was asked for, as for a member that has renewed \
             its certificate since: nothing was kept; start the agent, which goes on as the member that it is",
        ));
    }
    identity.enroll(&membership, &credential, &trust)?;
    if old.as_ref().map(|old| old.member) != Some(enrolled.member) {
        // Sessions are numbered for each member: what a controller said to the old one is not held against the new one.
        let first = [Write::PutSession(SessionNo(0))];
        store.commit(&first).await.map_err(|error| Failed::because(Exit::Store, &error))?;
    }
    let replaces = old.map(|old| old.member).filter(|old| *old != enrolled.member);
    show(&enrolled, replaces, options.json);
    Ok(Exit::Ok)
}

fn exit_of(error: &EnrollmentError) -> Exit {
    match error {
        EnrollmentError::Dial(DialError::BadUrl) => Exit::Usage,
        EnrollmentError::Dial(_) | EnrollmentError::NoAnswer(_) => Exit::Unreachable,
        EnrollmentError::Refused { .. } => Exit::Refused,
    }
}

fn show(enrolled: &Enrolled, replaces: Option<MemberId>, json: bool) {
    let fingerprint = identity::fingerprint(&enrolled.certificate);
    if json {
        say_json(&json!({
            "cluster": enrolled.cluster, "member": enrolled.member, "approved": enrolled.approved,
            "fingerprint": fingerprint, "replaces": replaces,
        }));
    } else {
        let next = if enrolled.approved {
            START.to_owned()
        } else {
            format!(
                "{START}; {}",
                member_state::next_step(MembershipState::Pending, enrolled.member).unwrap_or_default()
            )
        };
        let then = replaces.map(|old| {
            format!(
                "the old member is of no use any more; an operator revokes it (needs the role administrator): \
                 {REVOKE} {old}"
            )
        });
        say_pairs(&[
            ("cluster", enrolled.cluster.to_string()),
            ("member", enrolled.member.to_string()),
            ("fingerprint", fingerprint),
            ("state", if enrolled.approved { "approved" } else { "pending approval" }.to_owned()),
            ("next", next),
            ("then", then.unwrap_or_default()),
        ]);
    }
}

/// Whether an agent that is a member may enroll with this token. Its own token may be used again: the reply may have
/// been lost on the way to whoever reads it.
fn check_old(old: &Membership, token: &EnrollmentToken, again: bool, state_dir: &Path) -> Result<(), Failed> {
    let Membership { cluster, member, .. } = old;
    if *cluster != token.cluster {
        let message = format!(
            "this agent is member {member} of cluster `{cluster}`, but the token is for `{}`; use another state \
             directory, or move `{}` away to leave that cluster",
            token.cluster,
            state_dir.display()
        );
        return Err(Failed::new(Exit::Refused, message));
    }
    if again || old.token == Some(token.id) {
        return Ok(());
    }
    let message = format!(
        "this agent is member {member} of cluster `{cluster}` already; to enroll it again makes a new member, which an \
         operator has to approve, and the old one gets no work any more and has to be revoked ({REVOKE} {member}), \
         both with the role administrator; add `--again` if that is what you want"
    );
    Err(Failed::new(Exit::Refused, message))
}

fn read_token(file: Option<&Path>) -> Result<Zeroizing<String>, Failed> {
    let mut text = Zeroizing::new(String::new());
    let read = match file {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text)),
        None => std::io::stdin().take(MAX_TOKEN).read_to_string(&mut text),
    };
    read.map_err(|error| {
        let place = file.map_or_else(|| "the standard input".to_owned(), |path| format!("`{}`", path.display()));
        let step = if error.kind() == ErrorKind::PermissionDenied {
            "; the agent's user may not read it: hand it over on the standard input (`< token.txt`), which your shell opens"
        } else {
            ""
        };
        Failed::new(Exit::Usage, format!("the token cannot be read from {place}: {error}{step}"))
    })?;
    Ok(text)
}
