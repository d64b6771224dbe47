//! `member accept`.

use serde_json::json;

use super::{confirm, member, output};
use crate::cli::{Accept, Reach};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::state::members::MemberView;
use crate::state::newer::NewerCertificateView;

/// A member, and its certificate that waits.
type Waiting<'a> = (&'a MemberView, &'a NewerCertificateView);

pub(super) async fn run(reach: &Reach, client: &Client, wanted: &Accept) -> Result<(), Failure> {
    let (Some(id), Some(fingerprint)) = (&wanted.member, &wanted.fingerprint) else {
        return all(reach, client, wanted).await;
    };
    let accepted: MemberView =
        client.post(&format!("/v1/members/{id}/accept"), &json!({ "fingerprint": fingerprint })).await?;
    member::show(reach, &accepted)
}

/// What was shown is accepted by its fingerprints, and nothing that came in its place meanwhile.
async fn all(reach: &Reach, client: &Client, wanted: &Accept) -> Result<(), Failure> {
    let query = wanted.cluster.as_ref().map(|it| format!("?cluster={it}")).unwrap_or_default();
    let members: Vec<MemberView> = client.list(&format!("/v1/members{query}"), usize::MAX).await?;
    let waiting: Vec<Waiting> = members.iter().filter_map(|it| Some((it, it.undisputed()?))).collect();
    for it in members.iter().filter(|it| it.is_disputed()) {
        output::remark(format!(
            "{} ({}) is left out: more than one certificate of it is in use, see `postern-controller member show {0}`",
            it.id, it.host
        ));
    }
    if !wanted.yes && !waiting.is_empty() && !is_confirmed(reach, &waiting)? {
        output::say("nothing was accepted");
        return Ok(());
    }
    let (mut became, mut refused, mut lost) = (vec!["waits".to_owned(); waiting.len()], 0, None);
    for ((member, certificate), became) in waiting.iter().zip(&mut became) {
        let body = json!({ "fingerprint": certificate.fingerprint });
        let answer: Result<MemberView, Failure> =
            client.post(&format!("/v1/members/{}/accept", member.id), &body).await;
        match answer {
            Ok(_) => "accepted".clone_into(became),
            Err(failure) if failure.exit == Exit::Refused => {
                refused += 1;
                *became = failure.text;
            }
            Err(failure) => {
                "no answer".clone_into(became);
                lost = Some(failure);
                break;
            }
        }
    }
    // What was done is told in any case.
    show(reach, &waiting, &became)?;
    if let Some(failure) = lost {
        return Err(failure);
    }
    if refused > 0 {
        return Err(Failure::new(Exit::Failed, format!("{refused} of {} were not accepted", waiting.len())));
    }
    Ok(())
}

/// Shows what would be accepted, and asks.
fn is_confirmed(reach: &Reach, waiting: &[Waiting<'_>]) -> Result<bool, Failure> {
    if !confirm::can_be_asked(reach) {
        let sentence =
            format!("{} certificates wait, and nobody can be asked: say --yes to accept them", waiting.len());
        return Err(Failure::new(Exit::Usage, sentence));
    }
    let became = vec!["waits".to_owned(); waiting.len()];
    show(reach, waiting, &became)?;
    confirm::says_yes(&format!(
        "Accept all {}, of whom nobody was revoked or disabled since the copy was made? [y/N]",
        waiting.len()
    ))
}

fn show(reach: &Reach, waiting: &[Waiting<'_>], became: &[String]) -> Result<(), Failure> {
    let lines = waiting.iter().zip(became);
    if reach.json {
        let line = |((member, it), became): (&Waiting<'_>, &String)| {
            let MemberView { id, host, cluster, .. } = member;
            json!({ "member": id, "host": host, "cluster": cluster, "fingerprint": it.fingerprint, "became": became })
        };
        return output::json(&lines.map(line).collect::<Vec<_>>());
    }
    let row = |((member, it), became): (&Waiting<'_>, &String)| {
        let [from, until] = [it.valid_from, it.valid_until].map(output::moment);
        let (id, cluster) = (member.id.to_string(), member.cluster.to_string());
        vec![id, cluster, member.host.clone(), it.address.clone(), from, until, it.fingerprint.clone(), became.clone()]
    };
    let heading = ["member", "cluster", "host", "shown from", "valid from", "until", "fingerprint", "became"];
    output::rows(&heading, lines.map(row).collect(), "no certificate waits to be accepted");
    Ok(())
}
