//! Who may depend on whom, and on which versions.

use toml::{Table, Value};

use crate::tree::{nothing_breaks, read, root};

const PROTOCOL: &str = "postern-protocol";
const CORE: &str = "postern-agent-core";
const STORE: &str = "postern-store";
const HEALTH: &str = "postern-health";
const AGENT: &str = "postern-agent";
const CONTROLLER: &str = "postern-controller-stub";
const TRACES: &str = "postern-traces";
const FAIL_POINT: &str = "postern-fail-point";
const SIMULATOR: &str = "salesforce-sim";
const TESTS: &str = "postern-tests";
const BENCHES: &str = "postern-benches";
const SIM: &str = "postern-sim";
const FUZZ: &str = "postern-fuzz";

/// Our own packages that a package may depend on. Nothing else is allowed.
const MAY_USE: [(&str, &[&str]); 13] = [
    (PROTOCOL, &[]),
    (CORE, &[PROTOCOL]),
    (STORE, &[]),
    (HEALTH, &[]),
    (FAIL_POINT, &[]),
    (TRACES, &[PROTOCOL]),
    // The simulator for its own tests only, see `the_simulator_is_for_tests`.
    (AGENT, &[CORE, PROTOCOL, STORE, HEALTH, TRACES, FAIL_POINT, SIMULATOR]),
    (CONTROLLER, &[PROTOCOL, STORE, HEALTH, TRACES, FAIL_POINT]),
    (SIMULATOR, &[]),
    (TESTS, &[PROTOCOL, CORE, STORE, HEALTH, AGENT, CONTROLLER, FAIL_POINT, SIMULATOR]),
    // What decides, and nothing that waits.
    (SIM, &[PROTOCOL, CORE, CONTROLLER]),
    (BENCHES, &[PROTOCOL, CORE, STORE, AGENT, SIMULATOR, CONTROLLER, TESTS]),
    // Whatever reads foreign bytes.
    (FUZZ, &[PROTOCOL, STORE, AGENT, SIMULATOR, CONTROLLER, HEALTH]),
];

/// What a package that only decides must not depend on: with none of these it cannot wait, connect or store.
const IO: [&str; 11] = [
    "axum",
    "getrandom",
    "hyper",
    "rcgen",
    "reqwest",
    "rustix",
    "rustls",
    "sled",
    "tokio",
    "tokio-tungstenite",
    "tokio-util",
];

struct Manifest {
    path: String,
    text: String,
    table: Table,
}

impl Manifest {
    fn open(path: String) -> Self {
        let text = read(&path);
        let table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, text, table }
    }

    fn name(&self) -> &str {
        self.table["package"]["name"].as_str().unwrap()
    }

    /// Every dependency, whatever for, with what is said about it.
    fn dependencies(&self) -> Vec<(String, Value)> {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let plain = kinds.iter().filter_map(|kind| self.table.get(*kind)?.as_table());
        let targets = self.table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let of_targets = targets.flat_map(|it| kinds.iter().filter_map(|kind| it.get(kind)?.as_table()));
        let all = plain.chain(of_targets).flat_map(|table| table.iter());
        all.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The place of the line that begins with `key`.
    fn place(&self, key: &str, what: &str) -> String {
        let line = self.text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or(0);
        format!("{}:{}: {what}", self.path, line + 1)
    }
}

fn workspace() -> Manifest {
    Manifest::open("Cargo.toml".to_owned())
}

fn members() -> Vec<Manifest> {
    let workspace = workspace();
    let members = workspace.table["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| Manifest::open(format!("{}/Cargo.toml", member.as_str().unwrap()))).collect()
}

fn is_ours(package: &str) -> bool {
    MAY_USE.iter().any(|(ours, _)| *ours == package)
}

#[test]
fn packages_of_ours_use_those_they_may() {
    let mut places = Vec::new();
    for member in members() {
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == member.name()) else {
            places.push(format!("{}: `{}` is not in the list of this rule", member.path, member.name()));
            continue;
        };
        for (used, _) in member.dependencies() {
            if is_ours(&used) && !may.contains(&used.as_str()) {
                places.push(member.place(&used, &format!("{} must not use {used}", member.name())));
            }
        }
    }
    nothing_breaks(
        "protocol, store, health, fail-point and simulator use none of ours; core and traces use protocol; agent uses \
         core, protocol, store, health, traces and fail-point; controller-stub uses the same without core. A new edge \
         needs a decision in docs/adr.",
        &places,
    );
}

#[test]
fn the_simulator_is_for_tests() {
    let mut places = Vec::new();
    for member in members().into_iter().filter(|it| [AGENT, CONTROLLER].contains(&it.name())) {
        if member.table.get("dependencies").is_some_and(|them| them.get(SIMULATOR).is_some()) {
            places.push(member.place(SIMULATOR, "not in [dependencies]"));
        }
    }
    nothing_breaks("What ships does not contain the simulator: it may be a dev-dependency only.", &places);
}

#[test]
fn fail_points_are_armed_for_tests_alone() {
    let workspace = workspace();
    let shared = workspace.table["workspace"]["dependencies"].as_table().unwrap();
    let chosen = |said: &Value| said.get("features").is_some();
    let mut places = Vec::new();
    for (used, _) in shared.iter().filter(|(used, said)| is_ours(used) && chosen(said)) {
        places.push(workspace.place(used, "with features"));
    }
    if shared[TESTS].get("default-features").and_then(Value::as_bool) != Some(false) {
        places.push(workspace.place(TESTS, "the benches would measure armed programs"));
    }
    for member in members().into_iter().filter(|it| it.name() != TESTS) {
        if member.table.get("features").is_some_and(|it| it.get("default").is_some()) {
            places.push(member.place("default", "features by default"));
        }
        // Schemas are for whoever describes an API, and arm nothing.
        let is_schema = |used: &str, said: &Value| used == PROTOCOL && said["features"] == Value::from(vec!["schema"]);
        let featured = member.dependencies().into_iter().filter(|(used, said)| is_ours(used) && chosen(said));
        let armed = featured.filter(|(used, said)| !is_schema(used, said));
        places.extend(armed.map(|(used, _)| member.place(&used, "with features")));
    }
    nothing_breaks("Only postern-tests arms fail points: what ships, and what is measured, has none.", &places);
}

#[test]
fn packages_that_decide_cannot_do_anything_else() {
    let mut places = Vec::new();
    for member in members().into_iter().filter(|it| [PROTOCOL, CORE].contains(&it.name())) {
        let banned = member.dependencies().into_iter().filter(|(used, _)| IO.contains(&used.as_str()));
        places.extend(banned.map(|(used, _)| member.place(&used, &used)));
    }
    nothing_breaks("protocol and agent/core must stay sans-IO.", &places);
}

#[test]
fn sled_is_a_dependency_of_the_store_alone() {
    let mut places = Vec::new();
    for member in members().into_iter().filter(|it| it.name() != STORE) {
        let users = member.dependencies().into_iter().filter(|(used, _)| used == "sled");
        places.extend(users.map(|(used, _)| member.place(&used, &used)));
    }
    nothing_breaks("sled has one home: agent/store.", &places);
}

#[test]
fn a_version_is_written_once() {
    let mut places = Vec::new();
    for member in members() {
        for (used, said) in member.dependencies() {
            let inherited = said.get("workspace").and_then(Value::as_bool) == Some(true);
            if !inherited {
                places.push(member.place(&used, &format!("{used} has a version of its own")));
            }
        }
    }
    nothing_breaks("Versions of dependencies stand in [workspace.dependencies] of the root alone.", &places);
}

#[test]
fn what_writes_to_disk_and_wire_is_pinned() {
    let workspace = workspace();
    let dependencies = workspace.table["workspace"]["dependencies"].as_table().unwrap();
    let mut places = Vec::new();
    for (name, wanted) in [("bincode", "=2.0.1"), ("sled", "=0.34.7")] {
        let said = &dependencies[name];
        let version = said.as_str().or_else(|| said.get("version").and_then(Value::as_str));
        if version != Some(wanted) {
            places.push(workspace.place(name, &format!("{name} must be `{wanted}`")));
        }
    }
    nothing_breaks("bincode and sled are pinned: another version of either is a decision.", &places);
}

#[test]
fn ring_is_the_only_cryptography_of_tls() {
    const OTHERS: [&str; 6] = ["aws-lc-fips-sys", "aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];
    nothing_breaks("Ring is the only TLS provider: neither aws-lc nor OpenSSL is built.", &locked(&OTHERS));
}

#[test]
fn what_others_send_is_parsed_and_never_matched_by_patterns() {
    const ENGINES: [&str; 6] = ["fancy-regex", "onig", "pcre2", "regex", "regex-automata", "regex-lite"];
    nothing_breaks("No engine of regular expressions is built, in nothing.", &locked(&ENGINES));
}

/// The places of these packages among all that are built of others.
fn locked(packages: &[&str]) -> Vec<String> {
    let lock = read("Cargo.lock");
    let names = lock.lines().map(|line| line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')));
    let found = (1..).zip(names).filter_map(|(number, name)| Some((number, name.filter(|it| packages.contains(it))?)));
    found.map(|(number, name)| format!("Cargo.lock:{number}: {name}")).collect()
}

/// Every `reason` of the policy, with the decision that it refers to, if it does.
#[test]
fn every_exception_among_dependencies_has_its_reason() {
    const POLICY: &str = ".cargo/deny.toml";
    let policy: Table = read(POLICY).parse().unwrap();
    let exceptions = [("bans", "deny"), ("bans", "skip"), ("advisories", "ignore"), ("licenses", "exceptions")];
    let mut places = Vec::new();
    for (table, list) in exceptions {
        for exception in policy[table].get(list).and_then(Value::as_array).into_iter().flatten() {
            let reason = exception.get("reason").and_then(Value::as_str).unwrap_or_default();
            let decision = reason.split_once("docs/adr/").map(|(_, number)| number);
            let is_decided = decision.is_none_or(|it| decisions().iter().any(|file| file.starts_with(it)));
            if reason.is_empty() || !is_decided || (list == "ignore" && decision.is_none()) {
                places.push(format!("{POLICY}: {exception}"));
            }
        }
    }
    nothing_breaks(
        "Every exception of .cargo/deny.toml has a reason, that of an advisory a decision, and the decision it names is there.",
        &places,
    );
}

/// The names of the files below `docs/adr`.
fn decisions() -> Vec<String> {
    let folder = std::fs::read_dir(root().join("docs/adr")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let takes =
        |it: &Manifest| it.table.get("lints").and_then(|it| it.get("workspace")).and_then(Value::as_bool) == Some(true);
    let places: Vec<String> =
        members().iter().filter(|it| !takes(it)).map(|it| it.place("[lints]", "no lints")).collect();
    nothing_breaks("Every package has `[lints] workspace = true`.", &places);
}

#[test]
fn unsafe_code_is_forbidden() {
    let workspace = workspace();
    let lint = workspace.table["workspace"]["lints"]["rust"].get("unsafe_code").and_then(Value::as_str);
    let places = if lint == Some("forbid") { vec![] } else { vec![workspace.place("unsafe_code", "not forbidden")] };
    nothing_breaks("There is no unsafe code: `unsafe_code = \"forbid\"`.", &places);
}

/// The tests are of another profile, and would not see it.
#[test]
fn no_sum_wraps_in_what_ships() {
    let workspace = workspace();
    let checks = workspace.table["profile"]["release"].get("overflow-checks").and_then(Value::as_bool);
    let places = if checks == Some(true) { vec![] } else { vec![workspace.place("overflow-checks", "not true")] };
    nothing_breaks("A sum that does not fit is a defect: `overflow-checks = true`.", &places);
}
