//! The controller: the way to it, who it is, and what it lets this member do.

use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::renewal::Validity;
use postern_protocol::bounded::{List, Text};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{Held, Hello, MembershipState, SessionRefusal};
use postern_protocol::plain::Chain;
use postern_protocol::session::Ended;
use postern_protocol::time::UnixMillis;
use rustls::ClientConfig;
use url::Url;

use super::clock::Heard;
use super::route::{self, Checks, Walked, Way, Witness};
use super::state::{Holder, Standing};
use super::{Check, Finding, STEP};
use crate::app::{host_name, proxy_route};
use crate::clock;
use crate::config::Config;
use crate::identity::{Identity, IdentityDir, IdentityError, KeptKey, validity};
use crate::link::dial::{self, Destination, Place};
use crate::link::tls::{self, TlsError};
use crate::link::{Greeted, greet};
use crate::member_state::{self, AGAIN};

const CHECKS: Checks = Checks {
    dns: Check::ControllerDns,
    proxy: Check::ControllerProxy,
    tcp: Check::ControllerTcp,
    tls: Check::ControllerTls,
};

/// The sealing keys of an identity; `None`: there is no file of them.
type Kept = Result<Option<Vec<KeptKey>>, IdentityError>;

/// How long the upgrade and the answer to `Hello` may take together.
const HANDSHAKE: Duration = Duration::from_secs(15);

const SETTINGS: &str = "`[controller]`";

/// Looks at everything about the controller; and says what time it was there, if it told.
pub async fn look(config: &Config, holder: &Holder, offline: bool) -> (Vec<Finding>, Vec<Heard>) {
    let none = |why: String, next: &str| {
        let finding = Finding::failed(Check::Enrolled, why, next);
        let rest = [Check::Certificate, Check::SealingKeys].map(|check| Finding::behind(check, Check::Enrolled));
        (std::iter::once(finding).chain(rest).collect(), None)
    };
    let (mut found, identity) = match load(config) {
        Ok(Some((identity, keys))) => {
            (vec![enrolled(&identity), certificate(&identity, holder), sealing_keys(keys)], Some(identity))
        }
        Ok(None) => none(
            "this agent is not enrolled".to_owned(),
            "ask an operator for a token (`postern-controller token create`), and run `postern enroll`",
        ),
        Err(why) => none(why, "follow what it says; the operator's guide has the ways"),
    };
    let urls = urls(config, identity.as_ref());
    if offline || urls.is_empty() {
        let skip = |check| {
            if offline {
                Finding::skipped(check, "not looked at: --offline")
            } else {
                Finding::behind(check, Check::Enrolled)
            }
        };
        found.extend(CHECKS.all().into_iter().chain([Check::ControllerIdentity, Check::ControllerProtocol]).map(skip));
        found.push(told_by_agent(holder).unwrap_or_else(|| skip(Check::Membership)));
        return (found, Vec::new());
    }
    let mut heard = Vec::new();
    let several = urls.len() > 1;
    for url in &urls {
        let (of_url, date) = look_at(config, holder, identity.as_ref(), url).await;
        heard.extend(date);
        found.extend(of_url.into_iter().map(|it| if several { it.of(url.as_str()) } else { it }));
    }
    (found, heard)
}

/// The identity and what can be said of its sealing keys, without making anything that is not there.
fn load(config: &Config) -> Result<Option<(Identity, Kept)>, String> {
    if !config.state_dir.join("identity").exists() {
        return Ok(None);
    }
    let directory = IdentityDir::open(&config.state_dir).map_err(|error| Chain(&error).to_string())?;
    let identity = directory.load().map_err(|error| Chain(&error).to_string())?;
    Ok(identity.map(|identity| (identity, directory.kept_sealing_keys())))
}

/// The controllers, as the agent takes them.
fn urls(config: &Config, identity: Option<&Identity>) -> Vec<String> {
    if config.controller.urls.is_empty() {
        identity.map(|it| it.membership.controllers.clone()).unwrap_or_default()
    } else {
        config.controller.urls.iter().map(ToString::to_string).collect()
    }
}

fn enrolled(identity: &Identity) -> Finding {
    let membership = &identity.membership;
    Finding::ok(Check::Enrolled, format!("member {} of cluster `{}`", membership.member, membership.cluster))
}

fn certificate(identity: &Identity, holder: &Holder) -> Finding {
    let trouble = match holder {
        Holder::WithAgent(running) => running.report.certificate.get("trouble").and_then(serde_json::Value::as_str),
        Holder::Here { .. } | Holder::Nobody(_) => None,
    };
    let is_running = matches!(holder, Holder::WithAgent(_));
    let valid = identity.current.certificate().and_then(|it| validity(it));
    judge_certificate(valid, clock::unix_millis(), is_running, trouble)
}

fn sealing_keys(kept: Kept) -> Finding {
    let check = Check::SealingKeys;
    match kept {
        Ok(Some(keys)) => {
            let newest = keys.first().map(|it| it.known.id.to_string()).unwrap_or_default();
            Finding::ok(check, format!("{} kept, the newest is {newest}", keys.len()))
        }
        Ok(None) => Finding::warning(
            check,
            "their file is missing: what was sealed to them cannot be opened here any more",
            "bring it back before the agent starts, which makes another key otherwise; secrets of tasks that wait then have \
             to be sealed again (`postern-controller task reseal`)",
        ),
        Err(error) => Finding::failed(
            check,
            Chain(&error).to_string(),
            "bring the file back, or follow what it says: the agent does not start",
        ),
    }
}

/// How long the certificate is good for. A running agent renews it by itself, from about half of its life on.
fn judge_certificate(valid: Option<Validity>, now: UnixMillis, is_running: bool, trouble: Option<&str>) -> Finding {
    let check = Check::Certificate;
    let Some(Validity { begins, ends }) = valid else {
        return Finding::failed(check, "it cannot be read", AGAIN);
    };
    let day = |it: UnixMillis| {
        let at = i64::try_from(it.0).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
        at.and_then(|it| it.round(jiff::Unit::Second).ok()).map(|it| it.to_string()).unwrap_or_default()
    };
    if now.0 < begins.0 {
        let told = format!("it is valid from {} on, which is not yet by this host's clock", day(begins));
        return Finding::failed(check, told, "set this host's clock");
    }
    if now.0 >= ends.0 {
        return Finding::failed(
            check,
            format!("it ran out at {}", day(ends)),
            format!(
                "start the agent: it gets another by proof of its key, for 14 days unless the controller says otherwise; \
                 after that {AGAIN}"
            ),
        );
    }
    let told = format!("valid until {}", day(ends));
    if let Some(trouble) = trouble {
        return Finding::warning(
            check,
            format!("{told}; not renewed: {trouble}"),
            "it is tried again by itself; mend what it says",
        );
    }
    let (life, left) = (ends.0.saturating_sub(begins.0), ends.0.saturating_sub(now.0));
    match (is_running, left < life / 10, left < life / 2) {
        (true, true, _) => Finding::warning(
            check,
            format!("{told}, which is soon, and not renewed yet"),
            "see the checks behind this one: the agent renews it as soon as it has a session",
        ),
        (false, _, true) => {
            Finding::warning(check, format!("{told}, and due to be renewed"), "start the agent: it renews it by itself")
        }
        (true, false, _) | (false, _, false) => Finding::ok(check, told),
    }
}

async fn look_at(
    config: &Config,
    holder: &Holder,
    identity: Option<&Identity>,
    url: &str,
) -> (Vec<Finding>, Option<Heard>) {
    let to = Url::parse(url).ok().as_ref().and_then(Destination::of);
    let to = to.ok_or_else(|| (CHECKS.dns, format!("`{url}` is no URL")));
    let proxy = proxy_route(config).map_err(|error| (CHECKS.proxy, Chain(&error).to_string()));
    let (to, proxy) = match to.and_then(|to| Ok((to, proxy?))) {
        Ok(known) => known,
        Err((check, why)) => {
            let mut found = CHECKS.unwalkable(check, &why, "mend `[controller]` in the configuration");
            leave_out(&mut found, holder, check);
            return (found, None);
        }
    };
    let limit = STEP.min(config.controller.connect_timeout);
    let (tls, unspoken) = match identity.map(spoken) {
        Some(Ok(tls)) => (Some(tls), None),
        Some(Err(error)) => (None, Some(Finding::failed(CHECKS.tls, Chain(&error).to_string(), AGAIN))),
        None => (None, Some(Finding::behind(CHECKS.tls, Check::Enrolled))),
    };
    let (walked, stream) = route::walk(Way { to: to.clone(), proxy, tls, limit }).await;
    let mut found = route::judge(&walked, CHECKS, SETTINGS);
    if let (Some(unspoken), false) = (unspoken, found.iter().any(Finding::is_failed)) {
        found.retain(|it| it.id != CHECKS.tls);
        found.push(unspoken);
    }
    if let (Some((root, issuer)), Some(identity)) = (walked.foreign_controller(), identity) {
        name_other_controller(&mut found, &to, (root, issuer), identity);
    }
    let (Some(stream), Some(identity)) = (stream, identity) else {
        let stopped = found.iter().find(|it| it.is_failed() || it.because.is_some());
        let stopped = stopped.map_or(CHECKS.tls, |it| it.because.unwrap_or(it.id));
        leave_out(&mut found, holder, stopped);
        return (found, None);
    };
    found.push(recognized(&walked, identity));
    let (rest, date) = handshake(holder, identity, url, stream).await;
    found.extend(rest);
    (found, date.and_then(|date| Heard::date(format!("the controller {to}"), &date, clock::unix_millis().0)))
}

/// What is said of everything behind the way, as far as nothing is said of it yet.
fn leave_out(found: &mut Vec<Finding>, holder: &Holder, because: Check) {
    if !found.iter().any(|it| it.id == Check::ControllerIdentity) {
        found.push(Finding::behind(Check::ControllerIdentity, because));
    }
    found.push(Finding::behind(Check::ControllerProtocol, because));
    found.push(told_by_agent(holder).unwrap_or_else(|| Finding::behind(Check::Membership, because)));
}

/// TLS with this member's certificate, and who watches it.
fn spoken(identity: &Identity) -> Result<(Arc<ClientConfig>, Witness), TlsError> {
    let (judge, witness) = Witness::beside(tls::verifier(identity.trust.roots())?);
    Ok((tls::for_sessions_judged_by(judge, &identity.current)?, witness))
}

/// TLS was spoken as it should be, by a controller that this agent does not belong to.
fn name_other_controller(
    found: &mut Vec<Finding>,
    to: &Destination,
    (root, issuer): (&str, &str),
    identity: &Identity,
) {
    found.retain(|it| it.id != CHECKS.tls);
    found.push(Finding::ok(CHECKS.tls, format!("nobody intercepts it: a Postern controller answers, `{issuer}`")));
    let (cluster, trusted) = (&identity.membership.cluster, identity.trust.fingerprints().join(", "));
    found.push(Finding::failed(
        Check::ControllerIdentity,
        format!(
            "the controller at {to} is another than the one of cluster `{cluster}`: its root is {root}, and this agent \
             trusts {trusted}"
        ),
        format!("correct `urls` of {SETTINGS}; if the controller was replaced, {AGAIN}"),
    ));
}

fn recognized(walked: &Walked, identity: &Identity) -> Finding {
    let root = walked.tls.as_ref().and_then(|tls| tls.presented.as_ref()).map(|it| it.root.clone()).unwrap_or_default();
    let cluster = &identity.membership.cluster;
    Finding::ok(Check::ControllerIdentity, format!("the controller of cluster `{cluster}`, with the root {root}"))
}

/// The upgrade, and if no agent runs the answer to `Hello`.
async fn handshake(
    holder: &Holder,
    identity: &Identity,
    url: &str,
    stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
) -> (Vec<Finding>, Option<String>) {
    let opened = tokio::time::timeout(HANDSHAKE, dial::open(stream, url, Place::SESSION)).await;
    let (socket, date) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return (not_let_in(holder, &error), None),
        Err(_) => {
            let told = format!("no answer to the upgrade within {} s", HANDSHAKE.as_secs());
            let next = "look at the controller's log; if it goes on, at what stands between";
            let finding = Finding::failed(Check::ControllerProtocol, told, next);
            return (vec![finding, Finding::behind(Check::Membership, Check::ControllerProtocol)], None);
        }
    };
    let store = match holder {
        Holder::Here { store, .. } => store,
        Holder::WithAgent(_) | Holder::Nobody(_) => {
            let spoken = Finding::ok(
                Check::ControllerProtocol,
                format!("it speaks `{}`", postern_protocol::session::SUBPROTOCOL),
            );
            let because = if let Holder::Nobody(because) = holder { *because } else { Check::StateAgent };
            let behind = || Finding::behind(Check::Membership, because);
            return (vec![spoken, told_by_agent(holder).unwrap_or_else(behind)], date);
        }
    };
    let standing = match store.standing() {
        Ok((session, next_report)) => Standing { incarnation: store.incarnation(), session, next_report },
        Err(error) => {
            let finding =
                Finding::failed(Check::ControllerProtocol, Chain(&error).to_string(), "see the checks of the store");
            return (vec![finding, Finding::behind(Check::Membership, Check::StoreOpens)], date);
        }
    };
    let greeted = tokio::time::timeout(HANDSHAKE, greet(socket, identity.membership.member, hello(standing))).await;
    let greeted = greeted.unwrap_or(Greeted::Ended(Ended::HandshakeTimeout));
    (Vec::from(judge_greeting(&greeted, identity)), date)
}

/// What the agent would say, but that it serves nothing: it is not to get work.
fn hello(standing: Standing) -> Hello {
    Hello {
        agent_version: Text::clipped(env!("CARGO_PKG_VERSION")),
        host: Text::clipped(host_name()),
        incarnation: standing.incarnation,
        last_session: standing.session,
        revisions: List::clipped(FromMember::REVISIONS.to_vec()),
        systems: List::default(),
        sealing_keys: List::default(),
        next_report: standing.next_report,
        held: Held::default(),
        ext: List::default(),
    }
}

fn not_let_in(holder: &Holder, error: &dial::DialError) -> Vec<Finding> {
    let text = Chain(error).to_string();
    let is_certificate = error.is_about_certificate();
    let next = if is_certificate { AGAIN } else { "follow what it says; the controller's log has the other half" };
    let spoken = Finding::failed(Check::ControllerProtocol, text, next);
    let behind = || Finding::behind(Check::Membership, Check::ControllerProtocol);
    vec![spoken, told_by_agent(holder).unwrap_or_else(behind)]
}

fn judge_greeting(greeted: &Greeted, identity: &Identity) -> [Finding; 2] {
    let (protocol, membership) = (Check::ControllerProtocol, Check::Membership);
    let well = || Finding::ok(protocol, format!("both sides speak `{}`", postern_protocol::session::SUBPROTOCOL));
    let update = "update the older side";
    match greeted {
        Greeted::Welcome(welcome) => match welcome.state.known() {
            Some(state) => [well(), lets_do(state, &identity.membership.member.to_string())],
            None => [
                Finding::failed(protocol, "it tells a member state of a newer version", "update this agent"),
                Finding::behind(membership, protocol),
            ],
        },
        Greeted::Ended(Ended::Refused { reason, message, .. })
            if *reason == SessionRefusal::Incompatible.to_string() =>
        {
            [Finding::failed(protocol, message.clone(), update), Finding::behind(membership, protocol)]
        }
        Greeted::Ended(Ended::Refused { reason, message, .. }) => [well(), refused(reason, message)],
        Greeted::Ended(ended) => {
            [Finding::failed(protocol, ended.to_string(), update), Finding::behind(membership, protocol)]
        }
        Greeted::Broken(why) => {
            let next = "look at the controller's log";
            [Finding::failed(protocol, why.clone(), next), Finding::behind(membership, protocol)]
        }
    }
}

fn refused(reason: &str, message: &str) -> Finding {
    let told = format!("the controller refuses a session ({reason}): {message}");
    Finding::failed(Check::Membership, told, step(|it| reason == it.to_string()))
}

/// What is to be done about a session that is refused for the reason that `is` recognizes.
fn step(is: impl Fn(&SessionRefusal) -> bool) -> &'static str {
    use SessionRefusal::{Overloaded, Revoked, RolledBack, UnknownMember, WrongCertificate};
    if is(&RolledBack) {
        "an operator looks whether this host was restored from a backup or copied, and then lets it in again \
         (`postern-controller member enable`, or `approve` for one that is new)"
    } else if is(&Overloaded) {
        "try again later"
    } else if is(&WrongCertificate) {
        "if it waits to be accepted, as after a restore of the controller, an operator does that (`postern-controller \
         member accept`, needs the role administrator); if not, enroll this agent again: stop it, and run `postern enroll --again \
         --controller URL` with a fresh token, which an operator makes"
    } else if [Revoked, UnknownMember].iter().any(&is) {
        AGAIN
    } else {
        "see the checks before this one; the agent tries again by itself"
    }
}

/// What a member in this state may do.
fn lets_do(state: MembershipState, member: &str) -> Finding {
    let (check, told) = (Check::Membership, member_state::means(state));
    let Some(next) = member_state::next_step(state, member) else { return Finding::ok(check, told) };
    match state {
        MembershipState::Enabled | MembershipState::Pending | MembershipState::Draining => {
            Finding::warning(check, told, next)
        }
        MembershipState::Disabled | MembershipState::Revoked => Finding::failed(check, told, next),
    }
}

/// What a running agent says of its membership; `None` if none runs.
fn told_by_agent(holder: &Holder) -> Option<Finding> {
    let Holder::WithAgent(running) = holder else { return None };
    let text = |value: &serde_json::Value, name: &str| {
        value.get(name).and_then(|it| it.as_str()).unwrap_or_default().to_owned()
    };
    let link = &running.report.link;
    Some(match text(link, "state").as_str() {
        "connected" => {
            let state = running.report.ledger.get("member_state").cloned().unwrap_or_default();
            match serde_json::from_value(state) {
                Ok(state) => lets_do(state, &running.report.member),
                Err(_) => Finding::warning(
                    Check::Membership,
                    "the agent tells a state of another version",
                    "use the `postern` of the agent that runs",
                ),
            }
        }
        "waiting" => {
            let error = text(link, "error");
            let next = step(|it| error.contains(&format!("({it})")));
            Finding::failed(Check::Membership, format!("the agent has no session: {error}"), next)
        }
        _ => Finding::warning(Check::Membership, "the agent is connecting", "run this again in a moment"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::doctor::Status;

    #[tokio::test]
    async fn what_lies_behind_a_proxy_whose_password_cannot_be_read_is_skipped_because_of_it() {
        let proxy = "url = \"http://proxy.example:3128\", username = \"joe\", password = { file = \"/nowhere\" }";
        let text = format!("[controller]\nproxy = {{ {proxy} }}\n");
        let config = Config::parse(Path::new("agent.toml"), &text).unwrap();
        let holder = Holder::Nobody(Check::StoreOpens);
        let (found, _) = look_at(&config, &holder, None, "wss://controller.example").await;
        let (failed, behind): (Vec<_>, Vec<_>) = found.iter().partition(|it| it.is_failed());
        assert_eq!(failed.iter().map(|it| it.id).collect::<Vec<_>>(), [Check::ControllerProxy]);
        assert!(failed[0].told.contains("/nowhere"), "{failed:?}");
        assert_eq!(behind.len(), 6, "{behind:?}");
        assert!(behind.iter().all(|it| it.because == Some(Check::ControllerProxy)), "{behind:?}");
    }

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn certificate(now: u64, is_running: bool, trouble: Option<&str>) -> Finding {
        let valid = Validity { begins: UnixMillis(10 * DAY), ends: UnixMillis(17 * DAY) };
        judge_certificate(Some(valid), UnixMillis(now), is_running, trouble)
    }

    #[test]
    fn a_certificate_is_judged_by_its_life_and_by_whether_somebody_renews_it() {
        let status = |now, is_running| certificate(now, is_running, None).status;
        assert_eq!(status(9 * DAY, true), Status::Failed, "not yet");
        assert_eq!(status(12 * DAY, false), Status::Ok);
        assert_eq!(status(15 * DAY, false), Status::Warning, "nobody renews it");
        assert_eq!(status(15 * DAY, true), Status::Ok, "the agent does");
        assert_eq!(status(17 * DAY - 1, true), Status::Warning, "it should have");
        assert_eq!(status(17 * DAY, true), Status::Failed);
        assert_eq!(certificate(12 * DAY, true, Some("disk")).status, Status::Warning);
        assert!(
            certificate(18 * DAY, false, None).next.contains("stop it, and run `postern enroll --again --controller")
        );
    }

    #[test]
    fn a_member_that_gets_no_work_is_told_with_who_lets_it() {
        let found = |state| lets_do(state, "mbr_1");
        assert_eq!(found(MembershipState::Enabled).status, Status::Ok);
        let pending = found(MembershipState::Pending);
        assert_eq!((pending.status, pending.next.contains("member approve mbr_1")), (Status::Warning, true));
        assert_eq!(found(MembershipState::Draining).status, Status::Warning);
        assert_eq!(found(MembershipState::Disabled).status, Status::Failed);
        assert!(found(MembershipState::Revoked).next.contains("stop it, and run `postern enroll --again --controller"));
    }

    #[test]
    fn a_refusal_is_told_with_what_its_reason_asks_for() {
        assert!(refused("revoked", "x").next.contains("stop it, and run `postern enroll --again --controller"));
        assert!(refused("rolled_back", "x").next.contains("member enable"));
        let wrong = refused("wrong_certificate", "x").next;
        assert!(
            wrong.contains("member accept") && wrong.contains("stop it, and run `postern enroll --again --controller"),
            "{wrong}"
        );
        assert_eq!(refused("overloaded", "x").next, "try again later");
        assert!(refused("stopping", "x").next.contains("by itself"), "nothing is wrong with the agent");
    }
}
