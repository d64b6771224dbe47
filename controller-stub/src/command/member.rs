//! `member`.

use postern_protocol::MemberId;
use serde_json::json;

use super::{accept, client, confirm, output};
use crate::cli::{MemberCommand, Reach};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::state::members::MemberView;
use crate::state::newer::NewerCertificateView;
use crate::state::served::{OutboxView, ServedView};

pub(super) async fn run(reach: &Reach, command: MemberCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    let (member, action) = match command {
        MemberCommand::List { cluster } => {
            let query = cluster.map(|it| format!("?cluster={it}")).unwrap_or_default();
            let members: Vec<MemberView> = client.list(&format!("/v1/members{query}"), usize::MAX).await?;
            return if reach.json { output::json(&members) } else { list(&members) };
        }
        MemberCommand::Show { member } => {
            let member: MemberView = client.get(&format!("/v1/members/{member}")).await?;
            return show(reach, &member);
        }
        MemberCommand::Remove { member } => {
            let member: MemberView = client.delete(&format!("/v1/members/{member}")).await?;
            return show(reach, &member);
        }
        MemberCommand::Accept(wanted) => return accept::run(reach, &client, &wanted).await,
        MemberCommand::Approve { member, fingerprint } => {
            let fingerprint = match fingerprint {
                Some(fingerprint) => fingerprint,
                None => compared(reach, &client, member).await?,
            };
            let body = json!({ "fingerprint": fingerprint });
            let member: MemberView = client.post(&format!("/v1/members/{member}/approve"), &body).await?;
            return show(reach, &member);
        }
        MemberCommand::Enable { member } => (member, "enable"),
        MemberCommand::Disable { member, hard: false } => (member, "disable"),
        MemberCommand::Disable { member, hard: true } => (member, "disable?hard=true"),
        MemberCommand::Drain { member } => (member, "drain"),
        MemberCommand::Revoke { member } => (member, "revoke"),
    };
    let member: MemberView = client.post(&format!("/v1/members/{member}/{action}"), &json!({})).await?;
    show(reach, &member)
}

/// The fingerprint of a member, once somebody has compared it.
async fn compared(reach: &Reach, client: &Client, member: MemberId) -> Result<String, Failure> {
    if !confirm::can_be_asked(reach) {
        let sentence = "nobody can be asked whether the fingerprint is the one that `postern enroll` printed on the member's host: \
                        give that one with --fingerprint";
        return Err(Failure::new(Exit::Usage, sentence));
    }
    let member: MemberView = client.get(&format!("/v1/members/{member}")).await?;
    show(reach, &member)?;
    let question = format!(
        "Does `postern status` on the host show {}, whole? Whoever has another would get the tasks of cluster {}. [y/N]",
        member.fingerprint, member.cluster
    );
    if confirm::says_yes(&question)? {
        return Ok(member.fingerprint);
    }
    Err(Failure::new(Exit::Failed, format!("{} was not approved", member.id)))
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a command like the others do")]
fn list(members: &[MemberView]) -> Result<(), Failure> {
    let rows = members
        .iter()
        .map(|it| {
            vec![
                it.id.to_string(),
                it.cluster.to_string(),
                it.host.clone(),
                output::moment(it.enrolled),
                it.state.to_string(),
                connected(it),
                it.holds.to_string(),
                it.fingerprint.chars().take(19).collect(),
            ]
        })
        .collect();
    output::rows(
        &["member", "cluster", "host", "enrolled", "state", "connected", "holds", "fingerprint"],
        rows,
        "there is no member: make a token with `postern-controller token create --cluster NAME` and enroll an agent",
    );
    Ok(())
}

/// Where from, or since when not.
fn connected(member: &MemberView) -> String {
    let address = member.address.as_deref();
    if member.connected {
        return address.unwrap_or_default().to_owned();
    }
    let from = address.map(|it| format!(" from {it}")).unwrap_or_default();
    member.last_seen.map_or_else(|| "never".to_owned(), |seen| format!("no, last {}{from}", output::moment(seen)))
}

pub(super) fn show(reach: &Reach, member: &MemberView) -> Result<(), Failure> {
    if reach.json {
        return output::json(member);
    }
    let mut facts = vec![
        ("member", member.id.to_string()),
        ("cluster", member.cluster.to_string()),
        ("state", format!("{} (epoch {})", member.state, member.epoch)),
        ("alarm", member.alarm.clone().unwrap_or_default()),
        ("host", member.host.clone()),
        ("agent", member.agent_version.clone()),
        ("connected", connected(member)),
        ("since", member.connected_since.map(output::moment).unwrap_or_default()),
        ("session", member.session.to_string()),
        ("last trouble", last_trouble(member)),
    ];
    facts.extend(member.served.iter().map(|it| ("serves", serves(it))));
    facts.extend([
        ("holds", format!("{} tasks, room for {} more", member.holds, member.room)),
        ("owes", member.outbox.as_ref().map(owes).unwrap_or_default()),
        ("fingerprint", member.fingerprint.clone()),
        ("sealing keys", member.sealing_keys.join(", ")),
        (
            "certificate",
            format!("{}, valid until {}", member.certificate_serial, output::moment(member.certificate_expires)),
        ),
        ("enrolled", output::moment(member.enrolled)),
    ]);
    facts.extend(member.newer_certificates.iter().map(|it| ("newer certificate", newer(it))));
    output::facts(facts);
    Ok(())
}

/// How a member serves a system.
fn serves(it: &ServedView) -> String {
    let Some(now) = &it.now else { return it.name.to_string() };
    let waiting: Vec<String> = now.waiting.iter().map(|(lane, count)| format!("{count} {lane}")).collect();
    let until = now.log_level_until.map(|until| format!(" until {}", output::moment(until))).unwrap_or_default();
    let (running, waiting) = (now.running, waiting.join(", "));
    let sign_in = now.sign_in.replace('_', " ");
    format!("{}: {running} running, waiting: {waiting}; {sign_in}; log level {}{until}", it.name, now.log_level)
}

/// A certificate that waits to be accepted.
fn newer(it: &NewerCertificateView) -> String {
    let [from, until, shown] = [it.valid_from, it.valid_until, it.shown].map(output::moment);
    format!(
        "{}, valid from {from} until {until}, shown from {} since {shown}: compare it with `postern status` on the host, then \
         `postern-controller member accept`",
        it.fingerprint, it.address
    )
}

fn owes(it: &OutboxView) -> String {
    match it.reports {
        0 => "no reports".to_owned(),
        reports => format!("{reports} reports, {} bytes, the oldest for {} s", it.bytes, it.oldest_ms / 1_000),
    }
}

fn last_trouble(member: &MemberView) -> String {
    let trouble = member.last_trouble.as_ref();
    trouble.map(|it| format!("{}: {}", output::moment(it.at), it.what)).unwrap_or_default()
}
