//! What was seen, for Prometheus and in a sentence.

use postern_health::Word;
use postern_health::metrics::Page;
use postern_protocol::SystemName;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::task::Lane;

use super::{Seen, Sources, judge};
use crate::clock;
use crate::link::LinkStatus;
use crate::metrics::{self as names, metrics};
use postern_health::resident_memory;

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
    systems(&mut page, seen);
    page
}

fn held(page: &mut Page, sources: &Sources, seen: &Seen) {
    page.read(&names::INPUTS, sources.dispatcher.waiting());
    let Some(held) = &seen.held else { return };
    let is = |state: MembershipState| (vec![state.to_string()], state == held.status.member_state);
    page.read_each(&names::MEMBER_STATE, MembershipState::ALL.iter().copied().map(is));
    let ledger = &held.ledger;
    let running = |name| ledger.running.get(name).copied().unwrap_or_default();
    page.read_each(&names::RUNNING, seen.conditions.iter().map(|(name, _)| (vec![name.to_string()], running(name))));
    let waiting = |lane| (vec![word(lane).to_owned()], ledger.waiting.get(&lane).copied().unwrap_or_default());
    page.read_each(&names::WAITING, Lane::ALL.map(waiting));
    page.read(&names::LEASES, ledger.leases);
    page.read(&names::OUTBOX, ledger.owed);
    page.read(&names::OUTBOX_BYTES, ledger.owed_bytes);
    let now = clock::now();
    page.read(&names::OUTBOX_AGE, ledger.owed_since.map(|since| now.since(since)).unwrap_or_default());
}

const fn word(lane: Lane) -> &'static str {
    match lane {
        Lane::Interactive => "interactive",
        Lane::Provisioning => "provisioning",
        Lane::Batch => "batch",
    }
}

fn disk(page: &mut Page, sources: &Sources) {
    let (commits, barriers) = sources.store.commits_and_barriers();
    page.read(&names::COMMITS, commits);
    page.read(&names::BARRIERS, barriers);
    page.read(&names::COMMITS_WAITING, sources.store.commit_watch().look().pending);
    let (size, free) = sources.store.size_and_free();
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

fn systems(page: &mut Page, seen: &Seen) {
    let each = |name: &SystemName| vec![name.to_string()];
    let conditions = &seen.conditions;
    page.read_each(&names::SIGN_IN_BLOCKED, conditions.iter().map(|(name, it)| (each(name), it.barred.is_some())));
    page.read_each(&names::CALLS_RUNNING, conditions.iter().map(|(name, it)| (each(name), it.running)));
    let known = || conditions.iter().filter_map(|(name, it)| Some((name, it.calls?)));
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
    let Some(held) = &seen.held else { return link };
    let status = &held.status;
    let tasks = status.journaled.saturating_add(status.started);
    format!("{link}; member {}; {tasks} tasks, {} reports owed", status.member_state, status.reports_owed)
}
