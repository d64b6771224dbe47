//! What was seen, for Prometheus and in a sentence.

use std::time::Duration;

use postern_health::metrics::Page;
use postern_health::{Word, resident_memory};
use postern_protocol::SystemName;
use postern_protocol::message::v1::{MembershipState, SignInState};

use super::{Seen, Sources, judge};
use crate::dispatcher::{Status, System, Waiting};
use crate::link::LinkStatus;
use crate::metrics::{self as names, metrics};

pub(super) fn page(sources: &Sources, seen: &Seen) -> Page {
    let mut page = Page::default();
    let verdict = judge(&seen.facts);
    page.read_each(&names::BUILD, [(vec![env!("CARGO_PKG_VERSION").to_owned()], true)]);
    page.read(&names::STARTED, sources.started.0 / 1000);
    if let Some(bytes) = resident_memory() {
        page.read(&names::MEMORY, bytes);
    }
    page.read_each(&names::HEALTH, Word::ALL.map(|word| (vec![word.as_str().to_owned()], verdict.holds(word))));
    let missed = seen.facts.without_session;
    page.read(&names::SESSION_UP, missed.is_none());
    page.read(&names::SESSION_MISSED, missed.unwrap_or_default());
    metrics().put_on(&mut page);
    held(&mut page, sources, seen);
    disk(&mut page, sources);
    certificate(&mut page, sources);
    calls(&mut page, seen);
    page
}

fn held(page: &mut Page, sources: &Sources, seen: &Seen) {
    page.read(&names::INPUTS, sources.dispatcher.waiting());
    let Some(held) = &seen.held else { return };
    let is = |state: MembershipState| (vec![state.to_string()], state == held.member_state);
    page.read_each(&names::MEMBER_STATE, MembershipState::ALL.iter().copied().map(is));
    let Status { outbox, systems, .. } = held;
    page.read_each(&names::RUNNING, systems.iter().map(|it| (each(&it.name), it.running)));
    let waiting = |of: fn(&Waiting) -> u32| systems.iter().map(|it| of(&it.waiting)).sum::<u32>();
    let lanes = [
        ("interactive", waiting(|it| it.interactive)),
        ("provisioning", waiting(|it| it.provisioning)),
        ("batch", waiting(|it| it.batch)),
    ];
    page.read_each(&names::WAITING, lanes.map(|(lane, tasks)| (vec![lane.to_owned()], tasks)));
    page.read(&names::LEASES, held.leases);
    page.read(&names::OUTBOX, outbox.reports);
    page.read(&names::OUTBOX_BYTES, outbox.bytes);
    page.read(&names::OUTBOX_AGE, Duration::from_millis(outbox.oldest_ms.unwrap_or_default()));
    let is_blocked = |it: &System| (each(&it.name), it.sign_in.state == SignInState::Blocked);
    page.read_each(&names::SIGN_IN_BLOCKED, systems.iter().map(is_blocked));
}

fn each(name: &SystemName) -> Vec<String> {
    vec![name.to_string()]
}

fn disk(page: &mut Page, sources: &Sources) {
    let (commits, barriers) = sources.store.commits_and_barriers();
    page.read(&names::COMMITS, commits);
    page.read(&names::BARRIERS, barriers);
    page.read(&names::COMMITS_WAITING, sources.store.commit_watch().look().pending);
    let (size, free) = sources.store.space();
    if let Some(size) = size {
        page.read(&names::STORE_SIZE, size);
    }
    if let Some(free) = free {
        page.read(&names::DISK_FREE, free);
    }
    page.read(&names::AUDIT_WAITING, sources.store.audit().waiting());
    let audit = sources.audit.borrow();
    page.read(&names::AUDIT_TROUBLE, audit.trouble.is_some() || audit.fault.is_some());
}

fn certificate(page: &mut Page, sources: &Sources) {
    let certificate = sources.certificate.borrow();
    page.read(&names::CERTIFICATE_EXPIRY, certificate.ends.0 / 1000);
    page.read(&names::CERTIFICATE_TROUBLE, certificate.trouble.is_some());
}

fn calls(page: &mut Page, seen: &Seen) {
    page.read_each(&names::CALLS_RUNNING, seen.calls.iter().map(|(name, it)| (each(name), it.running)));
    let known = || seen.calls.iter().filter_map(|(name, it)| Some((name, it.used_of?)));
    page.read_each(&names::CALLS_USED, known().map(|(name, (used, _))| (each(name), used)));
    page.read_each(&names::CALLS_ALLOWED, known().map(|(name, (_, of))| (each(name), of)));
}

/// What the agent does, for `systemctl status`.
pub(super) fn sentence(sources: &Sources, seen: &Seen) -> String {
    let verdict = judge(&seen.facts);
    if let Some(reason) = verdict.reasons(Word::Live).next() {
        return reason.message.clone();
    }
    let link = match &*sources.link.borrow() {
        LinkStatus::Connecting { url } => format!("Connecting to {url}"),
        LinkStatus::Connected { url, .. } => format!("In a session with {url}"),
        LinkStatus::Waiting { error, .. } => format!("Without a session: {error}"),
    };
    let Some(status) = &seen.held else { return link };
    let tasks = status.journaled.saturating_add(status.started);
    format!("{link}; member {}; {tasks} tasks, {} reports owed", status.member_state, status.reports_owed)
}
