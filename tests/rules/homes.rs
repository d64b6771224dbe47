//! What has one home, and what is kept apart.

use crate::tree::{Source, nothing_breaks, product, sources};

const AGENT: &str = "agent/src/";
const CONTROLLER: &str = "controller-stub/src/";

/// The places of `words` in what ships, tests left out, except where they are at home.
fn away_from_home(words: &[&str], is_home: impl Fn(&Source) -> bool) -> Vec<String> {
    product().filter(|it| !is_home(it)).flat_map(|it| it.places_in_product(words)).collect()
}

#[test]
fn sled_is_used_in_the_store_alone() {
    let strangers = sources().filter(|it| !it.path.starts_with("agent/store/"));
    let places: Vec<String> = strangers.flat_map(|it| it.places(&["sled"])).collect();
    nothing_breaks("sled has one home: agent/store.", &places);
}

#[test]
fn private_files_are_made_in_one_place() {
    let words = ["OpenOptionsExt", "DirBuilderExt"];
    let places = away_from_home(&words, |it| it.path == "agent/store/src/private.rs");
    nothing_breaks("Files and directories with a mode are made in `postern_store::private` alone.", &places);
}

#[test]
fn bincode_is_used_in_the_codec_and_in_records_alone() {
    let is_home =
        |it: &Source| it.path.starts_with("protocol/src/") || it.is_in(AGENT, "store") || it.is_in(CONTROLLER, "state");
    let strangers = sources().filter(|it| !is_home(it));
    let places: Vec<String> = strangers.flat_map(|it| it.places(&["bincode"])).collect();
    nothing_breaks(
        "bincode has three homes: protocol, agent/src/store and controller-stub/src/state. Everybody else uses \
         `postern_protocol::codec`.",
        &places,
    );
}

#[test]
fn websockets_are_used_in_the_link_and_in_enrollment_alone() {
    let places = away_from_home(&["tokio_tungstenite", "tungstenite"], |it| {
        it.is_in(AGENT, "link") || it.is_in(AGENT, "enrollment") || it.is_in(CONTROLLER, "link")
    });
    nothing_breaks("tokio-tungstenite has one home in each program: `link` (and the agent's `enrollment`).", &places);
}

#[test]
fn http_clients_are_built_in_one_place() {
    let words = ["Client::builder", "Client::new", "Client::default", "ClientBuilder", "reqwest::get"];
    let places = away_from_home(&words, |it| it.is_in(AGENT, "http") || it.is_in(CONTROLLER, "client"));
    nothing_breaks(
        "An HTTP client is built in agent/src/http or in the controller's `client` alone: time-outs, roots, proxy and \
         bounds are decided there.",
        &places,
    );
}

#[test]
fn only_clock_reads_time() {
    let words = ["SystemTime::now", "Instant::now", "clock_gettime", "Zoned::now", "jiff::Timestamp::now"];
    let places = away_from_home(&words, |it| it.path.ends_with("/clock.rs"));
    nothing_breaks("Only a `clock` module reads time.", &places);
}

#[test]
fn only_spawn_spawns() {
    let words = [
        "tokio::spawn",
        "task::spawn",
        "task::spawn_local",
        "JoinSet",
        "TaskTracker",
        "thread::spawn",
        "thread::scope",
        "thread::Builder",
    ];
    let is_home = |it: &Source| it.path.ends_with("/spawn.rs") || it.path == "agent/store/src/committer.rs";
    let places = away_from_home(&words, is_home);
    nothing_breaks(
        "Only a `spawn` module spawns, and the store its committer: nothing runs that cannot be waited for.",
        &places,
    );
}

#[test]
fn no_program_starts_another() {
    let words = ["CommandExt", "process::Command", "std::process::{", "tokio::process"];
    let places = away_from_home(&words, |it| it.path == "agent/src/allocator.rs");
    nothing_breaks("Nothing is started from here but the agent itself, once, by its `allocator`.", &places);
}

#[test]
fn only_config_reads_the_environment() {
    let words = ["env::var", "env::var_os", "env::vars", "env::vars_os", "env::args", "env::args_os", "std::env"];
    let is_home =
        |it: &Source| it.is_in(AGENT, "config") || it.is_in(AGENT, "allocator") || it.is_in(CONTROLLER, "config");
    let places = away_from_home(&words, is_home);
    nothing_breaks("Only `config` reads the environment, and `allocator` what the C library reads there.", &places);
}

#[test]
fn only_command_prints() {
    let words = ["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"];
    let is_home = |it: &Source| {
        [AGENT, CONTROLLER].iter().any(|program| ["command", "telemetry"].iter().any(|home| it.is_in(program, home)))
    };
    let places = away_from_home(&words, is_home);
    nothing_breaks(
        "Only `command` prints, and `telemetry` the log; everybody else returns what is to be said.",
        &places,
    );
}

#[test]
fn every_route_is_declared_with_its_role() {
    let places: Vec<String> = product()
        .filter(|it| it.is_in(CONTROLLER, "api") && it.path != "controller-stub/src/api/routes.rs")
        .flat_map(|it| it.places_in_product(&["route(", "route_service(", "nest("]))
        .collect();
    nothing_breaks("Routes of the API are declared in `api/routes.rs` alone, each with the least role.", &places);
}

#[test]
fn the_api_reaches_the_state_through_its_desk_alone() {
    let places: Vec<String> = product()
        .filter(|it| it.is_in(CONTROLLER, "api") && it.path != "controller-stub/src/api/desk.rs")
        .flat_map(|it| it.places_in_product(&["handle.ask", "handle.ask_large", "handle.tell"]))
        .collect();
    nothing_breaks("Whoever acts through the API says so at its desk, which writes it down.", &places);
}

#[test]
fn no_secret_is_compared_byte_by_byte() {
    let words = ["expose() ==", "expose() !=", "expose().eq(", "== secret", "!= secret", "== token.expose"];
    let mut places = away_from_home(&words, |_| false);
    // What these two keep are bytes without a name that a word above would show.
    let compares = |home: &&str| product().any(|it| it.path == **home && !it.places_in_product(&["ct_eq"]).is_empty());
    let homes = ["protocol/src/enrollment.rs", "controller-stub/src/access.rs"];
    places.extend(homes.iter().filter(|home| !compares(home)).map(|home| (*home).to_owned()));
    nothing_breaks("Secrets are compared in constant time: `ct_eq`, or a signature's own check.", &places);
}

#[test]
fn a_connector_does_not_know_what_is_around_it() {
    const AROUND: [&str; 5] = ["store", "link", "dispatcher", "executor", "streams"];
    let mut places = Vec::new();
    for source in product().filter(|it| it.is_in(AGENT, "connector")) {
        let mut named = source.modules_after("crate::");
        if source.path == "agent/src/connector.rs" {
            named.extend(source.modules_after("super::"));
        }
        places.extend(named.into_iter().filter(|(_, name)| AROUND.contains(&name.as_str())).map(|(place, _)| place));
        places.extend(source.places(&["postern_store"]));
    }
    nothing_breaks(
        "A connector never names the store, the link, the dispatcher, the executor or the streams.",
        &places,
    );
}

#[test]
fn nobody_around_knows_a_concrete_connector() {
    let around = ["store", "link", "dispatcher", "executor", "streams"];
    let is_around = |it: &Source| around.iter().any(|module| it.is_in(AGENT, module));
    let places: Vec<String> =
        product().filter(|it| is_around(it)).flat_map(|it| it.places(&["salesforce", "Salesforce"])).collect();
    nothing_breaks("Store, link, dispatcher, executor and streams never name a concrete connector.", &places);
}

#[test]
fn the_protocol_does_not_know_salesforce() {
    let deciding =
        |it: &&'static Source| it.path.starts_with("protocol/src/") || it.path.starts_with("agent/core/src/");
    let words = ["salesforce", "Salesforce", "soql", "Soql"];
    let places: Vec<String> = product().filter(deciding).flat_map(|it| it.places(&words)).collect();
    nothing_breaks(
        "The protocol and the agent's core know no connector: a system is a name and a connector's name.",
        &places,
    );
}

#[test]
fn who_decides_cannot_wait_read_or_lock() {
    let deciding =
        |it: &&'static Source| it.path.starts_with("protocol/src/") || it.path.starts_with("agent/core/src/");
    let words = [
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::thread",
        "std::process",
        "SystemTime",
        "Instant",
        "Mutex",
        "RwLock",
        "HashMap",
        "HashSet",
        "getrandom",
    ];
    let places: Vec<String> = product().filter(deciding).flat_map(|it| it.places_in_product(&words)).collect();
    nothing_breaks(
        "protocol and agent/core read no clock, file, socket or environment, never lock, draw no randomness, and iterate \
         over ordered maps only.",
        &places,
    );
}

#[test]
fn the_simulator_shares_no_code_with_what_it_tests() {
    let simulator = sources().filter(|it| it.path.starts_with("tests/salesforce-sim/"));
    let ours = [
        "postern_protocol",
        "postern_agent",
        "postern_agent_core",
        "postern_health",
        "postern_store",
        "postern_traces",
        "postern_controller_stub",
    ];
    let places: Vec<String> = simulator.flat_map(|it| it.places(&ours)).collect();
    nothing_breaks(
        "salesforce-sim imports nothing of ours: a shared request builder would be wrong on both sides in the same way.",
        &places,
    );
}

#[test]
fn agent_and_controller_do_not_know_each_other() {
    let mut places = Vec::new();
    for source in product() {
        if source.path.starts_with("agent/") {
            places.extend(source.places(&["postern_controller_stub"]));
        } else if source.path.starts_with("controller-stub/") {
            places.extend(source.places(&["postern_agent", "postern_agent_core"]));
        }
    }
    nothing_breaks(
        "Agent and controller meet in the protocol, in the store, in health and in traces, nowhere else.",
        &places,
    );
}
