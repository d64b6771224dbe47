//! A connected system: the way to it, what its connector finds, and what this agent lets be done to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::plain::Chain;
use postern_protocol::{SystemName, TaskKind};
use reqwest::Method;
use reqwest::header::DATE;

use super::clock::Heard;
use super::route::{self, Checks, Way, Witness};
use super::state::Holder;
use super::{Check, Finding, STEP};
use crate::clock;
use crate::config::System;
use crate::connector::{self, Connector, Reach, Whereabouts};
use crate::http::{Http, Roots, RootsError, SIGN_IN_LIMIT};
use crate::kept::Kept;
use crate::link::dial::{Destination, ProxyRoute};
use crate::policy::{Ceiling, Policy};

const CHECKS: Checks =
    Checks { dns: Check::SystemDns, proxy: Check::SystemProxy, tcp: Check::SystemTcp, tls: Check::SystemTls };

/// The longest that a connector may look: a sign-in of two sendings and five calls, each of which may meet a slow org.
pub const EXAMINATION: Duration = Duration::from_secs(60);

const SETTINGS: &str = "`[connected_system]`";

/// What a connector looks at, in the order in which it is told.
pub const OF_CONNECTOR: [Check; 7] = [
    Check::SystemMethod,
    Check::SystemGuard,
    Check::SystemLogin,
    Check::SystemAddress,
    Check::SystemPermissions,
    Check::SystemBudget,
    Check::SystemBulk,
];

/// Looks at the way to a system, and at what it has to say of the time.
pub async fn walk(system: &System, offline: bool) -> (Vec<Finding>, Option<Heard>) {
    let usable = connector::type_of(system).and_then(|it| it.check(system));
    let whereabouts = connector::type_of(system).and_then(|it| it.whereabouts(system));
    let configuration = Check::SystemConfiguration;
    let (mut found, whereabouts) = match (usable, whereabouts) {
        (Ok(()), Ok(it)) => {
            (vec![Finding::ok(configuration, format!("everything it names can be used; host {}", place(&it)))], it)
        }
        (Err(error), Ok(it)) => {
            let next = "correct what it names, then run this again; secrets are files of mode 0600";
            (vec![Finding::failed(configuration, Chain(&error).to_string(), next)], it)
        }
        (_, Err(error)) => {
            let mut found =
                vec![Finding::failed(configuration, Chain(&error).to_string(), "correct the configuration")];
            found.extend(CHECKS.all().map(|check| Finding::behind(check, configuration)));
            return (found, None);
        }
    };
    if offline {
        found.extend(CHECKS.all().map(|check| Finding::skipped(check, "not looked at: --offline")));
        return (found, None);
    }
    match way(&whereabouts) {
        Ok(way) => {
            let (walked, _) = route::walk(way).await;
            found.extend(route::judge(&walked, CHECKS, SETTINGS));
        }
        Err((check, why)) => found.extend(CHECKS.unwalkable(check, &why, "correct what it names")),
    }
    let reaches = !found.iter().any(|it| it.is_failed() && it.id != configuration);
    let heard = if reaches { date(system, &whereabouts).await } else { None };
    (found, heard)
}

fn place(whereabouts: &Whereabouts) -> String {
    Destination::of(&whereabouts.page).map(|it| it.to_string()).unwrap_or_default()
}

fn way(whereabouts: &Whereabouts) -> Result<Way, (Check, String)> {
    let options = &whereabouts.by;
    let to = Destination::of(&whereabouts.page).ok_or_else(|| (CHECKS.dns, "it has no host".to_owned()))?;
    let proxy = options.proxy.as_ref().map(ProxyRoute::of).transpose();
    let proxy = proxy.map_err(|error| (CHECKS.proxy, Chain(&error).to_string()))?;
    let tls = if whereabouts.page.scheme() == "https" {
        let unusable = |error: RootsError| (CHECKS.tls, Chain(&error).to_string());
        let (judge, witness) = Witness::beside(options.roots.judge().map_err(unusable)?);
        Some((Arc::new(Roots::judged_by(judge).map_err(unusable)?), witness))
    } else {
        None
    };
    let limit = options.connect_timeout.map_or(STEP, |limit| limit.min(STEP));
    Ok(Way { to, proxy, tls, limit })
}

/// What time it is there, by a page that anybody may read.
async fn date(system: &System, whereabouts: &Whereabouts) -> Option<Heard> {
    let http = Http::new(&whereabouts.by).ok()?;
    let request = http.request(Method::GET, whereabouts.page.clone());
    let reply = tokio::time::timeout(STEP, http.send(request, SIGN_IN_LIMIT)).await.ok()?.ok()?;
    Heard::date(format!("`{}`", system.name), reply.headers.get(DATE)?.to_str().ok()?, clock::unix_millis().0)
}

/// How far a system may be looked at whose way is so: where nothing leads to it, nobody signs in.
pub fn reach(way: &[Finding], offline: bool) -> Reach {
    match (way.iter().find(|it| it.is_failed()), offline) {
        (Some(failed), _) => Reach::Behind(failed.id),
        (None, true) => Reach::Nothing,
        (None, false) => Reach::Everything,
    }
}

/// What the connector found, by the agent that runs or here.
pub async fn examined(system: &System, holder: &Holder, reach: Reach) -> Vec<Finding> {
    match holder {
        Holder::WithAgent(running) => match &running.asked {
            Ok(answer) => answer.systems.get(&system.name).cloned().unwrap_or_else(|| {
                let told = "the agent that runs does not serve it";
                let next = "start the agent again with this configuration";
                whole(way_in(system), Finding::failed(Check::SystemLogin, told, next))
            }),
            Err(why) => {
                let next = "look at its log; if it was updated, start it again";
                let told = format!("the agent that runs did not say: {why}");
                whole(way_in(system), Finding::failed(Check::SystemLogin, told, next))
            }
        },
        Holder::Here { store, .. } => {
            let keep = Arc::new(Kept::new(store.clone(), system.name.clone()));
            match connector::type_of(system).and_then(|it| it.build(system, keep)) {
                Ok(connector) => examine(connector.as_ref(), reach, &system.name).await,
                Err(_) => OF_CONNECTOR.map(|check| Finding::behind(check, Check::SystemConfiguration)).to_vec(),
            }
        }
        // Refused sign-ins are counted in the store, so without one none is made.
        Holder::Nobody(because) => {
            let mut found = way_in(system);
            found.extend(missing(&found).map(|check| Finding::behind(check, *because)));
            found
        }
    }
}

/// What the configuration alone says of what a connector looks at.
fn way_in(system: &System) -> Vec<Finding> {
    connector::type_of(system).ok().and_then(|it| it.way_in(system)).into_iter().collect()
}

/// What a connector looks at and has not told of.
fn missing(found: &[Finding]) -> impl Iterator<Item = Check> + use<> {
    let told: Vec<Check> = found.iter().map(|it| it.id).collect();
    OF_CONNECTOR.into_iter().filter(move |check| !told.contains(check))
}

/// What was found, what it ended with, and the rest behind that.
fn whole(mut found: Vec<Finding>, end: Finding) -> Vec<Finding> {
    let because = end.id;
    found.push(end);
    found.extend(missing(&found).map(|check| Finding::behind(check, because)));
    found
}

/// What a connector finds, within its time.
pub async fn examine(connector: &dyn Connector, reach: Reach, name: &SystemName) -> Vec<Finding> {
    let mut found = Vec::new();
    let looked = tokio::time::timeout(EXAMINATION, connector.examine(reach, &mut found)).await;
    if let (Err(_), Some(check)) = (looked, missing(&found).next()) {
        let told = format!(
            "it was not found out within {} s: the system answers slowly, or not at all",
            EXAMINATION.as_secs()
        );
        found = whole(found, Finding::failed(check, told, "look at what stands between, and at its status page"));
    }
    found.into_iter().map(|it| it.redacted().of(name.as_str())).collect()
}

/// What this agent lets be done to a system, in a line.
pub fn policy(policy: &Policy, now: Timestamp) -> Finding {
    let mut rules = Vec::new();
    match &policy.kinds {
        Some(kinds) => rules.push(format!("{} of {} kinds of task", kinds.len(), TaskKind::ALL.len())),
        None => rules.push("every kind of task".to_owned()),
    }
    let names = [("allow", &policy.allow), ("deny", &policy.deny), ("protected", &policy.protected)];
    rules.extend(
        names.iter().filter(|(_, names)| !names.is_empty()).map(|(rule, it)| format!("{rule}: {} names", it.len())),
    );
    let ceilings = [
        ("deactivations", &policy.ceilings.deactivations),
        ("resets", &policy.ceilings.resets),
        ("creates", &policy.ceilings.creates),
    ];
    rules.extend(ceilings.iter().filter_map(|(what, ceiling)| bound(what, ceiling)));
    if policy.signatures.required {
        rules.push("signed tasks only".to_owned());
    }
    let told = rules.join(", ");
    match policy.quiet_hours.as_ref().map(|quiet| quiet.until(now)) {
        Some(Some(until)) => Finding::warning(
            Check::SystemPolicy,
            format!("{told}; quiet hours are on until {until}"),
            "no change begins before; `quiet_hours` in the configuration says so",
        ),
        Some(None) => Finding::ok(Check::SystemPolicy, format!("{told}; quiet hours are set, and not on")),
        None => Finding::ok(Check::SystemPolicy, told),
    }
}

fn bound(what: &str, ceiling: &Ceiling) -> Option<String> {
    let hour = ceiling.per_hour.map(|it| format!("{it} {what} an hour"));
    let day = ceiling.per_day.map(|it| format!("{it} {what} a day"));
    let both: Vec<String> = hour.into_iter().chain(day).collect();
    (!both.is_empty()).then(|| both.join(" and "))
}

#[cfg(test)]
mod tests {
    use postern_protocol::{Failure, TaskRequest};

    use super::*;
    use crate::connector::{AttemptCx, Conclusion, Pending};
    use crate::doctor::Status;
    use crate::policy::{QuietHours, Window};

    /// Lets its guard be seen, and nothing else.
    struct Slow;

    impl Connector for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn supports(&self) -> &'static [TaskKind] {
            &[]
        }

        fn examine<'a>(&'a self, _: Reach, found: &'a mut Vec<Finding>) -> Pending<'a, ()> {
            Box::pin(async {
                found.extend([Check::SystemMethod, Check::SystemGuard].map(|check| Finding::ok(check, "seen")));
                std::future::pending::<()>().await;
            })
        }

        fn run<'a>(&'a self, _: TaskRequest, _: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
            Box::pin(std::future::pending())
        }
    }

    /// Take what was found along when the time is over, and an org that is slow looks like one that refuses the sign-in.
    #[tokio::test(start_paused = true)]
    async fn a_look_that_takes_too_long_tells_what_it_found_and_where_it_stood() {
        let found = examine(&Slow, Reach::Everything, &"acme".parse().unwrap()).await;
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), OF_CONNECTOR);
        let expected = [Status::Ok, Status::Ok, Status::Failed];
        assert_eq!(found.iter().map(|it| it.status).take(3).collect::<Vec<_>>(), expected, "{found:?}");
        assert!(found.iter().skip(3).all(|it| it.because == Some(Check::SystemLogin)), "{found:?}");
    }

    #[test]
    fn a_policy_is_told_in_a_line_and_quiet_hours_that_are_on_are_a_warning() {
        let now: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
        let free = policy(&Policy::default(), now);
        assert_eq!((free.status, free.told.as_str()), (Status::Ok, "every kind of task"));
        let window = |from: &str, to: &str| {
            let windows = vec![Window { days: Vec::new(), from: from.parse().unwrap(), to: to.parse().unwrap() }];
            QuietHours { windows, zone: jiff::tz::TimeZone::UTC }
        };
        let mut bounded = Policy { kinds: Some(vec![TaskKind::ValidateUser]), ..Policy::default() };
        bounded.ceilings.deactivations.per_hour = Some(3);
        bounded.quiet_hours = Some(window("22:00", "06:00"));
        let off = policy(&bounded, now);
        assert_eq!(off.status, Status::Ok);
        assert!(off.told.contains("1 of ") && off.told.contains("3 deactivations an hour"), "{off:?}");
        bounded.quiet_hours = Some(window("14:00", "16:00"));
        let on = policy(&bounded, now);
        assert_eq!(on.status, Status::Warning);
        assert!(on.told.contains("until 2026-11-26T16:00:00Z"), "{on:?}");
    }
}
