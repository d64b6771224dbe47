//! The numbers of `docs/limits.md` are those of the constants that bound what they speak of.

use postern_controller_stub::limits;

use crate::tree::{nothing_breaks, read};

const TABLE: &str = "docs/limits.md";

/// How a row begins, what stands in its second cell, and the constant, or the `let`, that it says there, in that file.
const SAID: &str = "
TCP to WebSocket | 15 s | controller-stub/src/limits.rs | HANDSHAKE: Duration = Duration::from_secs(15)
WebSocket to `Hello` | 5 s each | protocol/src/session.rs | HANDSHAKE: Duration = Duration::from_secs(5)
a frame | 128 KiB | protocol/src/codec.rs | LIMIT: usize = 128 * 1024
a frame of whoever shows no certificate | 16 KiB | controller-stub/src/link/websocket.rs | MAX_APPLICATION: usize = 16 * 1024
frames of a session that cannot be read | 100 | controller-stub/src/link/pump.rs | MAX_UNREADABLE: u32 = 100
silence in a session | 3 heartbeats | protocol/src/session.rs | MISSES: u32 = 3
silence in a session | 30 s | protocol/src/session.rs | HEARTBEAT: Duration = Duration::from_secs(10)
a member that does not read | 30 s | controller-stub/src/link/pump.rs | WRITE_PATIENCE: Duration = Duration::from_secs(30)
a member that does not read | 256 frames | controller-stub/src/link/pump.rs | MAX_WAITING: usize = 256
callers of the API at once | 256 | controller-stub/src/limits.rs | MAX_CALLERS: usize = 256
changes that are known to watchers | 4,096 things | controller-stub/src/state/changes.rs | MAX_KEPT: usize = 4_096
things looked at together for a watcher | 64 | controller-stub/src/api/events.rs | MAX_AT_ONCE: usize = 64
things looked at together for a watcher | 50 ms | controller-stub/src/api/events.rs | GATHER: Duration = Duration::from_millis(50)
head of a request | 8 KiB | controller-stub/src/limits.rs | MAX_HEAD: usize = 8 * 1024
head of a request | 64 headers | controller-stub/src/limits.rs | MAX_HEADERS: usize = 64
its time, and the rest between two requests | 30 s | controller-stub/src/limits.rs | HEAD: Duration = Duration::from_secs(30)
its body | 256 KiB | controller-stub/src/api/routes.rs | MAX_BODY: usize = 256 * 1024
pace of bodies and uploads | 16 KiB | controller-stub/src/limits.rs | LEAST: usize = 16 * 1024
pace of bodies and uploads | 30 s | controller-stub/src/limits.rs | GIVING: Duration = Duration::from_secs(30)
pace of answers and downloads | 5 min | controller-stub/src/limits.rs | TAKING: Duration = Duration::from_secs(5 * 60)
what the kernel buffers of an answer | 64 KiB | controller-stub/src/limits.rs | ANSWER_BUFFER: u32 = 64 * 1024
a page of a list (`limit`) | 200 | controller-stub/src/api/page.rs | MAX_LIMIT: usize = 200
a page of a list (`limit`) | 50 unless | controller-stub/src/api/page.rs | USUAL_LIMIT: usize = 50
results looked through for a page | 8 MiB | controller-stub/src/api/records.rs | MAX_SCANNED: u64 = 8 * 1024 * 1024
looks through many things at once | 2 | controller-stub/src/limits.rs | SCANS: usize = 2
attempts at a task that are told | 8 | controller-stub/src/state/ledger.rs | MAX_ATTEMPTS: u32 = 8
tasks looked through for a page | 5,000 | controller-stub/src/state/tasks.rs | MAX_SCANNED: usize = 5_000
connections at once | 16 | agent/health/src/endpoint.rs | CONNECTIONS: usize = 16
a connection from its first byte to its last | 10 s | agent/health/src/endpoint.rs | WHOLE: Duration = Duration::from_secs(10)
the head of a request | 8 KiB | agent/health/src/endpoint.rs | MAX_HEAD: usize = 8 * 1024
the head of a request | 64 headers | agent/health/src/endpoint.rs | MAX_HEADERS: usize = 64
members | 10,000 | controller-stub/src/state/enroll.rs | MAX_MEMBERS: usize = 10_000
newer certificates of a member | 2, | controller-stub/src/state/newer.rs | MAX_KEPT: usize = 2
newer certificates of a member | 1 KiB | controller-stub/src/state/newer.rs | MAX_CERTIFICATE: usize = 1024
enabled members of a cluster for which secrets are sealed | 64 | protocol/src/seal/field.rs | MAX_RECIPIENTS: usize = 64
clusters | 1,000 | controller-stub/src/state/clusters.rs | MAX_CLUSTERS: usize = 1_000
enrollment tokens | 1,000 open | controller-stub/src/state/clusters.rs | MAX_TOKENS: usize = 1_000
enrollment tokens | 10,000 that were used | controller-stub/src/state/clusters.rs | MAX_SPENT: usize = 10_000
API tokens | 1,000 | controller-stub/src/state/api_tokens.rs | MAX_API_TOKENS: usize = 1_000
keys of callers | 4,000 of one token | controller-stub/src/state/once.rs | MAX_OF_TOKEN: usize = 4_000
keys of callers | 16,000 in all | controller-stub/src/state/once.rs | MAX_KEYS: usize = 16_000
sessions of the console | 8 of one token | controller-stub/src/console/sessions.rs | MAX_OF_TOKEN: usize = 8
sessions of the console | 1,024 in all | controller-stub/src/console/sessions.rs | MAX: usize = 1024
sessions of the console | 12 hours | controller-stub/src/console/sessions.rs | LIFE: Duration = Duration::from_secs(12 * 60 * 60)
connected systems | 10,000 | controller-stub/src/state/systems.rs | MAX_SYSTEMS: usize = 10_000
of one system | 3 KiB | controller-stub/src/state/systems.rs | MAX_RECORD: usize = 3 * 1024
unfinished tasks | 100,000 | controller-stub/src/state.rs | MAX_UNFINISHED: usize = 100_000
tasks that end because they are late | 256 of the others in a tick | controller-stub/src/queue/expiry.rs | AT_ONCE: usize = 256
tasks that end because they are late | 2,560 that are late | controller-stub/src/queue/expiry.rs | LATE_AT_ONCE: usize = 10 * AT_ONCE
tasks that one member has | 1,024, | controller-stub/src/queue/holder.rs | MAX_LOAD: usize = 1_024
payloads, uploaded and of members | 100,000 | controller-stub/src/state/streams.rs | MAX_STREAMS: usize = 100_000
a payload of a submitter | 256 MiB | controller-stub/src/state/streams.rs | MAX_STREAM: u64 = 256 * 1024 * 1024
a payload of a submitter | 4 GiB | protocol/src/stream.rs | MAX_RESULT: u64 = 4 * 1024 * 1024 * 1024
payloads that come of one task | 8 | protocol/src/message/v1/task.rs | MAX_PARTS: usize = 8
the disk | 64 MiB | controller-stub/src/space.rs | RESERVE: u64 = 64 * 1024 * 1024
payloads that one member sends at once | 16 | controller-stub/src/link/incoming.rs | MAX_INCOMING: usize = 16
reports of one session that wait | 256 | controller-stub/src/state/reports.rs | MAX_WAITING: usize = 256
tasks in an inventory | 131,072 | controller-stub/src/state/sessions.rs | MAX_HELD: usize = 128 * 1024
who waits for tasks | 10,000 | controller-stub/src/state.rs | MAX_WAITERS: usize = 10_000
names of the controller's certificate | 32 each | controller-stub/src/config.rs | MAX_NAMES: usize = 32
tasks of one system at once | 32 | agent/src/config/system.rs | MAX_CONCURRENCY: usize = 32
collections | 32 | agent/src/config/collection.rs | MAX_COLLECTIONS: usize = 32
patterns of one list | 256, | agent/src/config/policy.rs | MAX_PATTERNS: usize = 256
patterns of one list | 32, | agent/src/config/policy.rs | MAX_WINDOWS: usize = 32
patterns of one list | 64 | agent/src/config/policy.rs | MAX_SIGNERS: usize = 64
files of a collection | 10,000 | agent/src/config/collection.rs | MAX_KEPT: usize = 10_000
the path of the state directory | 90 bytes | agent/src/config.rs | MAX_STATE_DIR: usize = 90
damaged stores | 8 | agent/store/src/open.rs | MAX_ASIDE: usize = 8
connected systems of a dataset | 100 | agent/src/dataset/split.rs | MAX_SYSTEMS: usize = 100
before the first entry of a dataset that is split | 1 MiB | agent/src/dataset/split.rs | MAX_AROUND: u64 = 1024 * 1024
proofs of applicants | 4 | controller-stub/src/link/enroll.rs | MAX_PROOFS: usize = 4
an applicant's time | 10 s each | controller-stub/src/link/enroll.rs | PATIENCE: Duration = Duration::from_secs(10)
wrong attempts with one enrollment token | 10, then one a minute | controller-stub/src/state/attempts.rs | let wrong = Rate::new(10, Duration::from_secs(60))
certificates of one member | 10, then one in a fiftieth | controller-stub/src/state/attempts.rs | let certificates = Rate::new(10, certificate_life / 50)
other sealing keys of one member | 30, then one in 10 min | controller-stub/src/state/attempts.rs | let sealing_keys = Rate::new(30, Duration::from_secs(10 * 60))
other sealing keys of one member | 256 in a tick | controller-stub/src/queue/expiry.rs | AT_ONCE: usize = 256
lines of the log about certificates | 3, then one in 10 min | controller-stub/src/state/attempts.rs | let superseded = Rate::new(3, Duration::from_secs(10 * 60))
sessions of one member | 30, then one in 2 s | controller-stub/src/state/attempts.rs | let sessions = Rate::new(30, Duration::from_secs(2))
offers of a task to a member | after 500 ms | controller-stub/src/queue/word.rs | FIRST_WAIT: Duration = Duration::from_millis(500)
offers of a task to a member | up to 16 s | controller-stub/src/queue/word.rs | LONGEST_WAIT: Duration = Duration::from_secs(16)
payloads of one member that are announced again | 16, then one in 30 s | controller-stub/src/state/attempts.rs | let payloads_again = Rate::new(16, Duration::from_secs(30))
lines that wait for the controller's audit log | 10,000 | controller-stub/src/state/audit.rs | MAX_WAITING: usize = 10_000
events that wait for the agent's audit log | 25,000 | agent/src/store/audit.rs | MOST_WAITING: u64 = 25_000
events that wait for the agent's audit log | 8 MiB | agent/src/store/audit.rs | MOST_BYTES: usize = 8 * 1024 * 1024
who asks on its socket | 16 at a time | agent/src/status.rs | MAX_CALLS: usize = 16
who asks on its socket | a line of 16 KiB | agent/src/status.rs | MAX_ASK: u64 = 16 * 1024
who asks on its socket | 5 s to ask | agent/src/status.rs | PATIENCE: Duration = Duration::from_secs(5)
who asks on its socket | an answer of 1 MiB | agent/src/status.rs | MAX_ANSWER: u64 = 1024 * 1024
what `status` tells | 64 tasks | agent/src/dispatcher/told.rs | MAX_TASKS: usize = 64
what `status` tells | 32 troubles | agent/src/telemetry/recent.rs | MAX_KEPT: usize = 32
what `status` tells | 400 characters | agent/src/telemetry/recent.rs | MAX_TEXT: usize = 400
another log level | 24 hours | agent/src/telemetry.rs | LONGEST: Duration = Duration::from_secs(24 * 60 * 60)
a proxy's answer to CONNECT | 8 KiB | agent/src/link/dial.rs | MAX_PROXY_HEAD: usize = 8 * 1024
an org's answer, unpacked | 16 MiB of JSON | agent/src/http.rs | JSON_LIMIT: usize = 16 * 1024 * 1024
an org's answer, unpacked | 32 MiB of a job's rows | agent/src/http.rs | BODY_LIMIT: usize = 32 * 1024 * 1024
an org's answer, unpacked | 1 MiB of a sign-in | agent/src/http.rs | SIGN_IN_LIMIT: usize = 1024 * 1024
the same as a tree | 64 MiB | agent/src/http/tree.rs | TREE_LIMIT: usize = 64 * 1024 * 1024
an answer of `login()`, a refusal in XML | 64 KiB | agent/src/connector/salesforce/elements.rs | MAX_BODY: usize = 64 * 1024
an entry of a dataset | 256 KiB | agent/src/dataset.rs | MAX_ENTRY: u64 = 256 * 1024
an entry of a dataset | 1,000 attributes | agent/src/dataset.rs | MAX_ATTRIBUTES: usize = 1_000
an entry of a dataset | names of 128 bytes | agent/src/dataset.rs | MAX_NAME: usize = 128
an entry of a dataset | values of 128 KiB | agent/src/dataset.rs | MAX_VALUE: usize = 131_072
certificates beside that of a controller | 10 | agent/src/judge.rs | MAX_BETWEEN: usize = 10
addresses of a name | 8 | agent/src/link/dial.rs | MOST_ADDRESSES: u8 = 8
a frame of a controller that waits | 5 min | agent/src/link.rs | PASSING_ON: Duration = Duration::from_secs(300)
payloads that a controller announces again in one session | 16, | agent/src/streams.rs | let again = Rate::new(16, Duration::from_secs(30))
values that are shown nowhere | 50,000 | agent/src/connector/salesforce/task/import_batch/unit/work.rs | MOST_LOOKED_FOR: usize = 50_000
an answer without success | 64 KiB | agent/src/redaction.rs | LOOKED_THROUGH: usize = 64 * 1024
reports of one task | 8 | agent/core/src/ledger/offer.rs | MAX_OF_TASK: usize = 8
the values of the entries | 500,000 | agent/src/connector/salesforce/task/import_batch/reader.rs | MAX_VALUES: usize = 500_000
a row of an export's table | 8 MiB | agent/src/connector/salesforce/task/export/table.rs | MAX_ROW: usize = 8 * 1024 * 1024
a row of an export's table | 512 KiB | agent/src/connector/salesforce/task/export/table.rs | MAX_CELL: usize = 512 * 1024
elements without an end | 10,000 | agent/src/dataset.rs | MAX_OPEN: usize = 10_000
elements without an end | 1 MiB | agent/src/dataset.rs | MAX_OPEN_NAMES: usize = 1024 * 1024
attributes of an `<entry>` tag | 16 | agent/src/dataset.rs | MAX_HEADER: usize = 16
a configuration, a schema | 1 MiB, | agent/src/config/source.rs | MAX_BYTES: u64 = 1024 * 1024
a configuration, a schema | 16 KiB, | agent/src/config/secret.rs | MAX_BYTES: usize = 16 * 1024
a configuration, a schema | 64 KiB | agent/src/identity.rs | MAX_FILE: usize = 64 * 1024
";

/// How a row begins, what stands in its second cell for a number, and the option of `serve` that has this number if nobody
/// says another.
const USUAL: [(&str, &str, &str); 8] = [
    ("handshakes at once", "{}", "max_handshakes"),
    ("of one address, or one /64", "{}", "max_handshakes_per_address"),
    ("connections at once (`--max-connections`)", "{}", "max_connections"),
    ("calls of one API token", "{} a second", "api_calls_per_sec"),
    ("calls of one address without a token", "{} a minute", "api_failures_per_min"),
    ("refused enrollments", "{} a minute", "enrollments_per_min"),
    ("finished tasks", "those of {} days", "keep_finished_days"),
    ("finished tasks", "the newest {} (", "keep_finished_tasks"),
];

/// Whether a row that begins so says that in its second cell.
fn says(table: &str, what: &str, number: &str) -> bool {
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_prefix(what));
    rows.any(|row| row.split(" | ").nth(1).is_some_and(|cell| cell.contains(number)))
}

/// What `serve` takes for an option that is not given.
fn usual(option: &str) -> u64 {
    let program = postern_controller_stub::command_line();
    let serve = program.find_subcommand("serve").unwrap();
    let option = serve.get_arguments().find(|it| it.get_id() == option).unwrap();
    option.get_default_values()[0].to_str().unwrap().parse().unwrap()
}

/// With a comma for thousands.
fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1_000), number % 1_000) }
}

#[test]
fn the_numbers_of_limits_are_those_of_a_controller_that_is_told_no_others() {
    let table = read(TABLE);
    let mut places = Vec::new();
    let mut compare = |what: &str, number: &str| {
        if !says(&table, what, number) {
            places.push(format!("{TABLE}: `{what}` does not say {number}"));
        }
    };
    for (what, number, option) in USUAL {
        compare(what, &number.replace("{}", &grouped(usual(option))));
    }
    // What follows from these: `Rate::per_second` lets through twice as many at once.
    compare("calls of one API token", &format!("{} at once", grouped(2 * usual("api_calls_per_sec"))));
    let callers = u64::try_from(limits::MAX_CALLERS).unwrap();
    compare("descriptors", &grouped(usual("max_connections") + callers + limits::OTHER_FILES));
    nothing_breaks("The numbers of docs/limits.md are those of `serve` without options.", &places);
}

#[test]
fn the_numbers_of_limits_are_those_of_the_code() {
    let table = read(TABLE);
    let mut places = Vec::new();
    for said in SAID.trim().lines() {
        let cells: Vec<&str> = said.split(" | ").collect();
        let [what, number, file, constant] = cells[..] else { panic!("`{said}` has four cells") };
        if !says(&table, what, number) {
            places.push(format!("{TABLE}: `{what}` does not say {number}, as `{constant}` of {file}"));
        }
        let stands = if constant.starts_with("let ") { format!("{constant};") } else { format!("const {constant};") };
        if !read(file).lines().any(|line| line.ends_with(&stands)) {
            places.push(format!("{file}: there is no `{constant}`, as {TABLE} says of `{what}`"));
        }
    }
    nothing_breaks("The numbers of docs/limits.md are those of the code.", &places);
}

/// systemd gives 1,024 to a unit that asks for none: with more calls at once than that an agent could not open its own files.
#[test]
fn the_units_ask_for_the_descriptors_that_limits_speaks_of() {
    let table = read(TABLE);
    let mut places = Vec::new();
    for (unit, said) in [
        ("packaging/systemd/postern.service", "| descriptors of the agent | 8,192"),
        ("packaging/systemd/postern-controller.service", "| descriptors | 4,864"),
    ] {
        if !read(unit).lines().any(|line| line == "LimitNOFILE=8192") || !table.contains(said) {
            places.push(format!("{unit}: `LimitNOFILE=8192`, and {TABLE}: `{said}`"));
        }
    }
    nothing_breaks("The units ask for the descriptors that docs/limits.md speaks of.", &places);
}
