//! `postern status`.

use std::path::Path;

use postern_health::{Facts, Word};
use postern_protocol::message::v1::MembershipState;
use postern_protocol::plain::{json_on_a_terminal, on_one_line};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Failed, load, say_json, say_pairs, watch};
use crate::audit;
use crate::cli::Status;
use crate::exit::Exit;
use crate::identity::{self, Identity, IdentityDir};
use crate::member_state;
use crate::status::{self, Report};

/// The troubles and tasks that are told of if nobody wants all: with the rest, they fit one screen.
const TROUBLES: usize = 5;
const TASKS: usize = 8;

pub(super) async fn run(config: &Path, options: &Status) -> Result<Exit, Failed> {
    let config = load(config)?;
    if options.watch {
        return watch::run(options.interval, options.json, || look(&config.state_dir, options)).await;
    }
    let found = ask(&config.state_dir).await?;
    if options.json {
        say_json(&found.json());
    } else {
        let facts = found.facts(options.verbose);
        say_pairs(&facts.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>());
    }
    Ok(Exit::Ok)
}

/// An agent that does not answer now may do so soon.
async fn look(state_dir: &Path, options: &Status) -> Result<Facts, Failed> {
    let found = match ask(state_dir).await {
        Ok(found) => found,
        Err(failed) if options.json => {
            return Ok(vec![(String::new(), json!({ "error": failed.message }).to_string())]);
        }
        Err(failed) => return Ok(vec![("agent".to_owned(), failed.message)]),
    };
    if options.json {
        return Ok(vec![(String::new(), json_on_a_terminal(&found.json().to_string()))]);
    }
    Ok(found.facts(options.verbose))
}

/// How the agent is.
enum Found {
    Running(Box<Report>),
    /// What the state directory tells.
    Stopped(Box<Identity>),
    NotEnrolled,
    NeverStarted,
}

async fn ask(state_dir: &Path) -> Result<Found, Failed> {
    let asked = status::ask(state_dir).await.map_err(|error| {
        Failed::new(Exit::Failed, format!("the running agent does not answer on its status socket: {error}"))
    })?;
    if let Some(report) = asked {
        return Ok(Found::Running(Box::new(report)));
    }
    // A look must neither hold the store nor mend it, so only the identity is read.
    if !state_dir.join("identity").exists() {
        let is_there = state_dir.exists();
        return Ok(if is_there { Found::NotEnrolled } else { Found::NeverStarted });
    }
    let identity = IdentityDir::open(state_dir)?.load()?;
    Ok(identity.map_or(Found::NotEnrolled, |identity| Found::Stopped(Box::new(identity))))
}

impl Found {
    fn json(&self) -> Value {
        match self {
            Self::Running(report) => json!({ "running": true, "state": "running", "agent": report }),
            Self::Stopped(identity) => {
                let ends = certificate_ends(identity);
                let membership = &identity.membership;
                json!({ "running": false, "state": "stopped", "membership": membership, "certificate_ends": ends })
            }
            Self::NotEnrolled => json!({ "running": false, "state": "not_enrolled", "membership": null }),
            Self::NeverStarted => json!({ "running": false, "state": "never_started", "membership": null }),
        }
    }

    fn facts(&self, verbose: bool) -> Facts {
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Self::Running(report) => running(report, verbose),
            Self::Stopped(identity) => vec![
                fact("agent", "not running; start it with: systemctl start postern, or postern run"),
                fact("cluster", identity.membership.cluster.as_str()),
                fact("member", &identity.membership.member.to_string()),
                fact("fingerprint", &fingerprint(identity)),
                fact("certificate", &certificate_ends(identity).map(until).unwrap_or_default()),
            ],
            Self::NotEnrolled => {
                vec![fact("agent", "not enrolled; ask an operator for a token and run: postern enroll")]
            }
            Self::NeverStarted => {
                let words = "never started, and not enrolled; ask an operator for a token and run: postern enroll";
                vec![fact("agent", words)]
            }
        }
    }
}

fn certificate_ends(identity: &Identity) -> Option<u64> {
    Some(identity::validity(identity.current.certificate()?)?.ends.0)
}

fn fingerprint(identity: &Identity) -> String {
    identity.current.certificate().map(|it| identity::fingerprint(it)).unwrap_or_default()
}

fn until(ends: u64) -> String {
    format!("valid until {}", moment(ends))
}

/// A moment for people.
pub(super) fn moment(millis: u64) -> String {
    let at = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.map(|it| it.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

fn running(report: &Report, verbose: bool) -> Facts {
    let ledger = &report.ledger;
    let state = ledger.get("member_state").and_then(|it| MembershipState::deserialize(it).ok());
    let mut facts = vec![
        ("agent".to_owned(), agent_words(report)),
        ("member".to_owned(), format!("{} of cluster {}", report.member, report.cluster)),
        ("fingerprint".to_owned(), text(&report.certificate, "fingerprint")),
        (
            "state".to_owned(),
            state.map_or_else(|| text(ledger, "member_state"), |it| member_state::means(it).to_owned()),
        ),
        ("next".to_owned(), state.and_then(|it| member_state::next_step(it, &report.member)).unwrap_or_default()),
        ("link".to_owned(), link_words(report)),
        ("last end".to_owned(), if tells_last_end(report) { String::new() } else { end_words(report) }),
        ("certificate".to_owned(), certificate_words(&report.certificate)),
        ("trusts".to_owned(), texts(&report.certificate, "roots").join(", ")),
        ("sealing key".to_owned(), key_words(&report.sealing_keys)),
        ("tasks".to_owned(), format!("{} waiting, {} started", text(ledger, "journaled"), text(ledger, "started"))),
        ("outbox".to_owned(), outbox_words(ledger.get("outbox").unwrap_or(&Value::Null))),
        ("store".to_owned(), store_words(report)),
        ("audit log".to_owned(), audit_words(&report.audit)),
        ("log level".to_owned(), level_words(&report.log_level)),
    ];
    facts.extend(each(ledger, "systems").map(|it| (text(it, "name"), system_words(it))));
    let (all, told) = (each(ledger, "tasks").count(), if verbose { usize::MAX } else { TASKS });
    facts.extend(each(ledger, "tasks").take(told).map(|it| ("task".to_owned(), task_words(it, verbose))));
    let untold = u64::try_from(all.saturating_sub(told)).unwrap_or_default();
    let more = number(ledger, "more_tasks").unwrap_or_default().saturating_add(untold);
    if more > 0 {
        facts.push(("task".to_owned(), format!("and {more} more")));
    }
    facts.extend(report.collections.iter().map(|it| ("collection".to_owned(), collection_words(it))));
    let told = if verbose { report.troubles.len() } else { TROUBLES };
    facts.extend(report.troubles.iter().take(told).map(|it| {
        let times = if it.times > 1 { format!(" ({} times)", it.times) } else { String::new() };
        let of = it.system.as_ref().map(|system| format!(", {system}")).unwrap_or_default();
        let sentences = if it.sentences.is_empty() { String::new() } else { format!("; {}", it.sentences) };
        ("trouble".to_owned(), format!("{}, {}{of}{times}: {}{sentences}", moment(it.at.0), it.place, it.text))
    }));
    facts.retain(|(_, value)| !value.is_empty());
    // Others have a say in some of them, and not in what a terminal does.
    facts.into_iter().map(|(name, value)| (name, on_one_line(&value))).collect()
}

fn agent_words(report: &Report) -> String {
    let Report { version, pid, started, versions, .. } = report;
    let (protocol, format) = (&versions.protocol, versions.store_format);
    let since = moment(started.0);
    format!("running since {since}, version {version} ({protocol}, store format {format}), process {pid}")
}

/// The link in a line.
fn link_words(report: &Report) -> String {
    let (link, sessions) = (&report.link, &report.sessions);
    match text(link, "state").as_str() {
        "connected" => format!(
            "connected to {} since {} (session {}, seen as {}, controller {})",
            text(link, "url"),
            number(sessions, "since").map(moment).unwrap_or_default(),
            text(link, "session"),
            text(link, "observed_address"),
            text(sessions, "controller_version"),
        ),
        "waiting" => {
            let wait = number(link, "retry_in_ms").unwrap_or_default().div_ceil(1000);
            let tried = if tells_last_end(report) { end_words(report) } else { text(link, "error") };
            format!("no session, tried again after {wait} s; {tried}")
        }
        _ => format!("connecting to {}", text(link, "url")),
    }
}

/// Whether the link waits because of how the last session ended.
fn tells_last_end(report: &Report) -> bool {
    let why = report.sessions.get("last_end").and_then(|it| it.get("why"));
    why.is_some() && why == report.link.get("error")
}

/// How the last session ended, or why there was none, in a line.
fn end_words(report: &Report) -> String {
    let Some(end) = report.sessions.get("last_end").filter(|it| it.is_object()) else { return String::new() };
    let at = number(end, "at").map(moment).unwrap_or_default();
    format!("{at}, with {}: {}", text(end, "url"), text(end, "why"))
}

/// The certificate in a line.
fn certificate_words(certificate: &Value) -> String {
    let moment_of = |name: &str| number(certificate, name).map(moment);
    let (Some(ends), Some(renewal)) = (moment_of("ends"), moment_of("renewal")) else { return String::new() };
    let serial = text(certificate, "serial");
    match (certificate.get("trouble").and_then(Value::as_str), moment_of("again")) {
        (Some(trouble), Some(again)) => {
            format!("{serial}, valid until {ends}; not renewed: {trouble}; tried again at {again}")
        }
        _ => format!("{serial}, valid until {ends}, renewed from {renewal} on"),
    }
}

/// The newest sealing key in a line.
fn key_words(keys: &Value) -> String {
    let Some(made) = number(keys, "made") else { return String::new() };
    let is_given = keys.get("acknowledged").and_then(Value::as_bool) == Some(true);
    let given = if is_given { "given to submitters" } else { "not yet given to submitters" };
    let others = number(keys, "number").unwrap_or_default().saturating_sub(1);
    let older = if others > 0 { format!("; {others} older") } else { String::new() };
    format!("{} of {}, {given}{older}", text(keys, "newest"), moment(made))
}

/// What is owed, in a line. Minutes are enough, and do not change all the time.
fn outbox_words(outbox: &Value) -> String {
    let (reports, bytes) = (number(outbox, "reports").unwrap_or_default(), number(outbox, "bytes").unwrap_or_default());
    let age = match number(outbox, "oldest_ms").map(|millis| millis / 60_000) {
        None => return "nothing is owed to the controller".to_owned(),
        Some(0) => "for less than a minute".to_owned(),
        Some(minutes) => format!("for {minutes} minutes at least"),
    };
    format!("{reports} reports owed to the controller, {}; the oldest {age}", size(bytes))
}

/// The disk in a line.
fn store_words(report: &Report) -> String {
    let bytes = report.store.bytes.map(size).unwrap_or_default();
    let free = report.store.free_bytes.map(size).unwrap_or_default();
    let last = number(&report.ledger, "last_commit_ms");
    let last = last.map(|millis| format!(", the last commit took {millis} ms")).unwrap_or_default();
    let full = report.health.reasons(Word::Useful).any(|it| it.code == "disk_full");
    let room = if full { ": TOO LITTLE for new work, make room" } else { "" };
    format!("{bytes}, {free} free{room}{last}")
}

/// The audit log in a line.
fn audit_words(audit: &Value) -> String {
    audit::Status::deserialize(audit).map(|status| status.words("postern")).unwrap_or_default()
}

/// What is logged, in a line.
fn level_words(logged: &Value) -> String {
    let level = text(logged, "level");
    match number(logged, "until") {
        Some(until) => {
            let by = if text(logged, "by") == "controller" { "the controller" } else { "somebody on this host" };
            format!("{level} until {}, wanted by {by}", moment(until))
        }
        None => level,
    }
}

/// A connected system in a line.
fn system_words(system: &Value) -> String {
    let part = |name: &str| system.get(name).unwrap_or(&Value::Null);
    let (route, sign_in, waiting) = (part("route"), part("sign_in"), part("waiting"));
    let seen = match text(sign_in, "address") {
        address if address.is_empty() => String::new(),
        address => format!(", seen as {address}"),
    };
    let last = number(sign_in, "last").map(|at| format!(" at {}", moment(at))).unwrap_or_default();
    let signing_in = match text(sign_in, "state").as_str() {
        "signed_in" => format!("signed in{last}{seen}"),
        "failing" => format!("cannot sign in: {}", text(sign_in, "failure")),
        "blocked" => format!(
            "does not sign in any more, so that the account is not locked out: see `postern reset-sign-in --system {}`, for \
             which the agent has to be stopped",
            text(system, "name")
        ),
        _ => "not signed in yet".to_owned(),
    };
    let waiting: Vec<String> = ["interactive", "provisioning", "batch"]
        .into_iter()
        .filter_map(|lane| Some(format!("{} {lane}", number(waiting, lane).filter(|count| *count > 0)?)))
        .collect();
    let waiting = if waiting.is_empty() { "none".to_owned() } else { waiting.join(", ") };
    format!(
        "{} ({}); {signing_in}; {} running, {waiting} waiting; log level {}",
        text(route, "domain"),
        text(route, "login_method"),
        text(system, "running"),
        level_words(part("log_level")),
    )
}

/// A task in a line.
fn task_words(task: &Value, verbose: bool) -> String {
    let account = text(task, "account");
    let about = if verbose && !account.is_empty() { format!(" about {account}") } else { String::new() };
    let since = number(task, "running_since").map(|at| format!(" since {}", moment(at))).unwrap_or_default();
    let is = |name: &str| task.get(name).and_then(Value::as_bool) == Some(true);
    let begun = if is("started") { ", has begun" } else { "" };
    let local = if is("local") { ", of this machine" } else { "" };
    let (id, kind, system, state) = (text(task, "id"), text(task, "kind"), text(task, "system"), text(task, "state"));
    format!("{id}: {kind} on {system}{about}, {state}{since}{begun}{local}")
}

/// One collection in a line.
fn collection_words(collection: &Value) -> String {
    let count = |name: &str| number(collection, name).unwrap_or_default();
    let last = match (text(collection, "last_run").as_str(), text(collection, "outcome").as_str()) {
        ("", _) => "no run yet".to_owned(),
        (last, "succeeded") => format!("last run {last}: {} users, {} gone", count("users"), count("removed")),
        (last, "waiting") => format!("the run of {last} waits: {}", text(collection, "told")),
        (last, outcome) => format!("last run {last}: {outcome} {}", text(collection, "told")).trim_end().to_owned(),
    };
    let next = match text(collection, "next_run").as_str() {
        "" => "inactive".to_owned(),
        next => format!("next run {next}"),
    };
    format!("{} of {}: {last}; {next}", text(collection, "name"), text(collection, "system"))
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..0x10_0000 => format!("{} KiB", bytes / KIB),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes / (KIB * KIB)),
        _ => format!("{} GiB", bytes / (KIB * KIB * KIB)),
    }
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    each(value, name).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

fn each<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
