//! Strangers that hold on to what they get: members and operators hardly notice.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use postern_controller_stub::access::Role;
use postern_protocol::bounded::Text;
use postern_protocol::enrollment::EnrollmentToken;
use postern_protocol::id::TokenId;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Drain, ProtocolError, Reject, Rejection, StreamOpen, StreamRef};
use postern_protocol::{Epoch, MemberId, StreamId, enrollment, session};
use rustix::process::{Resource, Rlimit, prlimit};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::access::{Caller, token};
use crate::lab::{Lab, PATIENCE, new_task};
use crate::member::{Application, Identity, Session, connect, succeeded};

/// A connection to `address` from another host of the loopback.
async fn from(host: u8, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, host), 0))).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// Waits until the other side has ended a connection.
async fn ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the connection does not end");
    said
}

/// Has a member do so many tasks.
async fn work(lab: &Lab, member: &mut Session, reported: std::ops::RangeInclusive<u64>) {
    for number in reported {
        let task = lab.submit("enable_user", &format!("user{number}")).await;
        let offer = member.offer().await;
        assert_eq!(offer.task, task);
        member.send(succeeded(number, &offer)).await;
        assert_eq!(member.acked().await, number);
    }
}

/// Refuse the newest in place of the oldest, and nobody else gets in.
#[tokio::test]
async fn handshakes_that_never_end_keep_nobody_out_and_disturb_no_session() {
    let lab = Lab::start_with(&["--auto-approve", "--max-handshakes", "16", "--max-handshakes-per-address", "8"]).await;
    let (_identity, mut member) = lab.working_member().await;
    let mut slow: Vec<TcpStream> = Vec::new();
    for host in 1..=60 {
        let mut stream = from(host, &lab.listener()).await;
        // The beginning of a TLS record, and no more.
        stream.write_all(&[22, 3, 1]).await.unwrap();
        slow.push(stream);
    }
    work(&lab, &mut member, 1..=5).await;
    // Another member gets in, from an address that it shares with slow ones.
    let listener = lab.listener();
    let crowd = join_all((0..20).map(|_| from(0, &listener))).await;
    let newcomer = lab.enroll().await;
    let _session = Session::greet(&lab, newcomer.hello(), &newcomer).await.unwrap();
    work(&lab, &mut member, 6..=10).await;
    let (oldest, _) = slow.split_at_mut(44);
    for stream in oldest {
        ended(stream).await;
    }
    drop(crowd);
}

/// Count sessions as well, and the third member behind one address is out.
#[tokio::test]
async fn as_many_members_as_there_are_live_behind_one_address() {
    let lab = Lab::start_with(&["--auto-approve", "--max-handshakes-per-address", "2"]).await;
    let (_identity, mut first) = lab.working_member().await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let identity = lab.enroll().await;
        let session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
        lab.wait_for("its session", async || lab.member(identity.member).await.connected.then_some(())).await;
        sessions.push((identity, session));
    }
    work(&lab, &mut first, 1..=2).await;
    for (identity, _) in &sessions {
        assert!(lab.member(identity.member).await.connected, "it is still there");
    }
}

#[tokio::test]
async fn a_flood_of_handshakes_of_every_kind_leaves_members_at_work_and_the_log_short() {
    let lab = Lab::start_with(&["--auto-approve", "--max-handshakes", "32"]).await;
    let (_identity, mut member) = lab.working_member().await;
    let before = lab.log().lines().count();
    let (lab, listener) = (&lab, lab.listener());
    let flood = join_all((1..=20).map(|host| {
        let listener = listener.clone();
        async move {
            for kind in 0..30 {
                let mut stream = from(host, &listener).await;
                match kind % 3 {
                    // Gone at once.
                    0 => (),
                    1 => drop(stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await),
                    // TLS to its end, and then a place that is not there; it may be turned out before.
                    _ => drop(connect(lab, "/nothing", Some(session::SUBPROTOCOL), None).await),
                }
            }
        }
    }));
    tokio::join!(flood, work(lab, &mut member, 1..=20));
    let told = lab.log().lines().skip(before).filter(|line| line.contains("turned away")).count();
    assert!(told <= 200, "{told} lines about 600 strangers");
}

/// Tell of each, and whoever guesses tokens fills the disk.
#[tokio::test]
async fn a_flood_of_wrong_tokens_leaves_the_log_short() {
    let generous = ["--auto-approve", "--enrollments-per-min", "1000", "--api-failures-per-min", "1000"];
    let lab = Lab::start_with(&generous).await;
    let forged = EnrollmentToken { id: TokenId::from_bytes([9; 16]), ..lab.token().await };
    let (identity, application, caller) = (lab.enroll().await, Application::new(), Caller::of(&lab));
    let elsewhere = Identity { member: MemberId::from_bytes([9; 16]), ..identity };
    for _ in 0..50 {
        assert!(application.send(&lab, &forged).await.is_err());
        assert!(elsewhere.recover(&lab, &application, None).await.is_err());
        for _ in 0..4 {
            assert_eq!(caller.call("GET", "/v1/status", "wrong").await.0, 401);
        }
    }
    let log = lab.log();
    let [applicants, callers] =
        ["an applicant was refused", "without a token that is good"].map(|it| log.matches(it).count());
    assert!(applicants > 0 && callers > 0, "{applicants} and {callers}");
    assert!(applicants + callers <= 150, "{applicants} and {callers} lines about 300 attempts");
}

/// Tell of each, and whoever stole a certificate fills the disk: it passes TLS as long as it lasts, although its member is
/// out. So does a member that is in, which has no end of frames to be told of.
#[tokio::test]
async fn a_flood_of_what_is_told_of_members_leaves_the_log_short() {
    let lab = Lab::start().await;
    // So many at once, and one a second.
    let since = Instant::now();
    let most = || 21 + usize::try_from(since.elapsed().as_secs()).unwrap();
    let (thief, (_identity, mut member)) = (lab.enroll().await, lab.working_member().await);
    lab.act(thief.member, "revoke").await.unwrap();
    for _ in 0..100 {
        assert!(Session::greet(&lab, thief.hello(), &thief).await.is_err());
    }
    let told = lab.log().matches("a session was refused").count();
    assert!((20..=most()).contains(&told), "{told} lines about 100 sessions");

    let stream = StreamRef { id: StreamId::from_bytes([7; 16]), length: 1, sha256: [0; 32] };
    for _ in 0..250 {
        let (task, reason, message) = (new_task(), Rejection::Draining.into(), Text::clipped("no"));
        member.send(Drain { reason: Text::clipped("no") }).await;
        member.send(ProtocolError { tag: 7, message: message.clone() }).await;
        member.send(Reject { task, epoch: Epoch(1), reason, message, retry_after_ms: 0 }).await;
        member.send(StreamOpen { task, stream }).await;
        assert!(matches!(member.next().await, FromController::StreamReset(_)));
    }
    let about = ["about to stop", "could not take a frame", "was not taken", "a payload was refused"];
    let told: usize = about.into_iter().map(|it| lab.log().matches(it).count()).sum();
    assert!((10..=most()).contains(&told), "{told} lines about 1000 frames");
}

/// Write down as it is what a member says, and it makes up lines of the log, and has the terminal of whoever reads them do
/// what it likes.
#[tokio::test]
async fn what_a_member_says_is_a_part_of_its_line_of_the_log() {
    let lab = Lab::start().await;
    let (_identity, mut member) = lab.working_member().await;
    let message = Text::clipped("x\n\u{1b}[2J FORGED");
    member.send(ProtocolError { tag: 7, message }).await;
    work(&lab, &mut member, 1..=1).await;
    let log = lab.log();
    assert!(log.lines().any(|line| line.contains("could not take a frame") && line.contains("FORGED")), "{log}");
    assert!(!log.contains(|it: char| it.is_control() && it != '\n'), "{log:?}");
}

/// TLS without a certificate, as an applicant has it.
async fn tls(lab: &Lab) -> TlsStream<TcpStream> {
    tls_of(lab, &rustls::version::TLS13).await.unwrap()
}

async fn tls_of(lab: &Lab, version: &'static SupportedProtocolVersion) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(lab.roots().into_iter().map(CertificateDer::from));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = from(1, &lab.listener()).await;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn a_member_that_speaks_tls_1_2_alone_is_turned_away() {
    let lab = Lab::start().await;
    let refused = tls_of(&lab, &rustls::version::TLS12).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    assert!(tls_of(&lab, &rustls::version::TLS13).await.is_ok());
}

/// An upgrade that is answered with 101, if nothing is wrong with these headers of it.
fn upgrade(headers: &str) -> String {
    format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nsec-websocket-protocol: {}\r\n{headers}\r\n",
        enrollment::PATH,
        enrollment::SUBPROTOCOL
    )
}

/// Each would do, but for what is too much of it. The log tells an end from the time-out.
#[tokio::test]
async fn an_upgrade_whose_head_is_too_large_or_has_too_many_headers_is_refused() {
    let lab = Lab::start().await;
    let (_identity, mut member) = lab.working_member().await;
    let padding = format!("x: {}\r\n", "y".repeat(1_000));
    let mut stream = tls(&lab).await;
    stream.write_all(upgrade(&padding).as_bytes()).await.unwrap();
    let mut said = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut said)).await.expect("an answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 101");

    let (large, many) = (format!("x: {}\r\n", "y".repeat(70_000)), "a: b\r\n".repeat(200));
    for headers in [large, many] {
        let before = lab.log().len();
        let mut stream = tls(&lab).await;
        // It may be left before all of it is sent.
        let _ = stream.write_all(upgrade(&headers).as_bytes()).await;
        let said = String::from_utf8_lossy(&ended(&mut stream).await).into_owned();
        assert!(!said.contains("101"), "{said}");
        let why = lab.wait_for("the reason", async || {
            let log = lab.log();
            log[before..].lines().find(|it| it.contains("turned away")).map(str::to_owned)
        });
        let why = why.await;
        assert!(why.contains("the WebSocket upgrade failed"), "{why}");
    }
    work(&lab, &mut member, 1..=1).await;
}

/// One more than there is room for, three times over.
#[tokio::test]
async fn callers_that_only_hold_connections_keep_no_operator_from_the_api() {
    let lab = Lab::start().await;
    let api = lab.addresses().api_url.replace("http://", "");
    let mut idle = Vec::new();
    for host in 0..3 {
        for _ in 0..257 {
            idle.push(from(host, &api).await);
        }
        let status: Value = lab.client().get("/v1/status").await.unwrap();
        assert!(status.is_object(), "{status}");
    }
    ended(&mut idle[0]).await;
}

/// Let whoever signs in have the place of somebody who is known, and as many that never send a token leave room for nobody.
#[tokio::test]
async fn callers_that_begin_to_sign_in_and_go_no_further_keep_no_operator_from_the_api() {
    let lab = Lab::start().await;
    let api = lab.addresses().api_url.replace("http://", "");
    let head = format!(
        "POST /console/session HTTP/1.1\r\nhost: {api}\r\norigin: http://{api}\r\ncontent-length: 2000\r\n\r\n"
    );
    let mut begun = Vec::new();
    for host in 0..3 {
        for _ in 0..257 {
            let mut stream = from(host, &api).await;
            // One that has made room already hears of no head.
            let _ = stream.write_all(head.as_bytes()).await;
            begun.push(stream);
        }
        let status: Value = lab.client().get("/v1/status").await.unwrap();
        assert!(status.is_object(), "{status}");
    }
    ended(&mut begun[0]).await;
}

/// It announces a gigabyte, and is refused when a quarter of a MiB has come.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_its_end() {
    let lab = Lab::start().await;
    let token = std::fs::read_to_string(lab.data_dir().join("api.token")).unwrap();
    let api = lab.addresses().api_url.replace("http://", "");
    let mut stream = from(1, &api).await;
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 1000000000\r\n\r\n",
        token.trim()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 256 * 1024 + 1]).await.unwrap();
    let mut said = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut said)).await.expect("an answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 413");
}

/// A request that is waited for is not idle: others make room.
#[tokio::test]
async fn a_caller_that_waits_for_an_outcome_makes_room_for_nobody() {
    let lab = Lab::start().await;
    let (_identity, mut member) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = member.offer().await;
    let api = lab.addresses().api_url.replace("http://", "");
    let client = lab.client();
    // A stranger that has not asked yet would make room.
    let _: Value = client.get("/v1/status").await.unwrap();
    let path = format!("/v1/tasks/{task}/wait?secs=30");
    let waits = client.get::<Value>(&path);
    let crowds = async {
        let _idle: Vec<TcpStream> = join_all((0..=255).map(|host| from(host, &api))).await;
        let _more: Vec<TcpStream> = join_all((0..=99).map(|host| from(host, &api))).await;
        let _: Value = lab.client().get("/v1/status").await.unwrap();
        member.send(succeeded(1, &offer)).await;
    };
    let (waited, ()) = tokio::join!(waits, crowds);
    assert_eq!(waited.unwrap()["outcome"], "succeeded");
}

/// Leave the bounds of `under_way` out, and all who are connected wait: nobody else gets in, and the token cannot be revoked.
#[tokio::test]
async fn whoever_waits_for_outcomes_shuts_out_neither_others_nor_an_administrator() {
    let lab = Lab::start().await;
    let (_identity, _member) = lab.working_member().await;
    let path = format!("/v1/tasks/{}/wait?secs=50", lab.submit("enable_user", "ann").await);
    let (one, other) = (token(&lab, "one", Role::Viewer).await, token(&lab, "other", Role::Viewer).await);
    let caller = Caller::of(&lab);
    let mut waiting = Vec::new();
    for (token, room) in [(&one, 128), (&other, 64)] {
        let mut asking: FuturesUnordered<_> = (0..room + 10).map(|_| caller.call("GET", &path, token)).collect();
        for _ in 0..10 {
            let (status, problem) = asking.next().await.unwrap();
            assert_eq!((status.as_u16(), &problem["retry_after"]), (429, &json!(1)), "{problem}");
        }
        waiting.push(asking);
    }
    let client = lab.client();
    assert!(client.get::<Value>("/v1/status").await.unwrap().is_object());
    let _: Value = client.delete("/v1/api-tokens/one").await.unwrap();
    for _ in 0..128 {
        assert_eq!(waiting[0].next().await.unwrap().0, 401, "it was revoked meanwhile");
    }
    assert_eq!(caller.call("GET", "/v1/status", &other).await.0, 200, "there is room for others again");
}

/// 401 is a no to whoever submits, who then submits under another id: what may have been done must not sound like it.
#[tokio::test]
async fn an_act_whose_token_is_revoked_meanwhile_is_not_refused() {
    let lab = Lab::start().await;
    let (_identity, mut member) = lab.working_member().await;
    let one = token(&lab, "one", Role::Operator).await;
    let caller = Caller::of(&lab);
    let task = json!({
        "id": new_task(), "kind": "enable_user", "system": "sf", "params": { "account": "ann" }, "mode": "sync", "wait_secs": 50,
    });
    let submitted = caller.request("POST", "/v1/tasks").bearer_auth(&one).json(&task).send();
    let revoked = async {
        member.offer().await;
        let _: Value = lab.client().delete("/v1/api-tokens/one").await.unwrap();
    };
    let (answer, ()) = tokio::join!(submitted, revoked);
    let answer = answer.unwrap();
    let (status, problem) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 503, "{problem}");
    assert_eq!(caller.call("GET", "/v1/status", &one).await.0, 401);
}

/// How many descriptors a process has.
fn descriptors(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count().try_into().unwrap()
}

/// Turn nobody out when there are no descriptors left, and a few slow strangers keep everybody else out.
#[tokio::test]
async fn a_controller_out_of_descriptors_lives_on_and_takes_them_from_strangers() {
    let lab = Lab::start().await;
    let (_identity, mut member) = lab.working_member().await;
    let newcomer = lab.enroll().await;
    let pid = lab.addresses().pid;
    let process = rustix::process::Pid::from_raw(pid.try_into().unwrap());
    let limit = descriptors(pid) + 8;
    prlimit(process, Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(20_000) }).unwrap();
    let listener = lab.listener();
    let _slow = join_all((1..=40).map(|host| from(host, &listener))).await;
    lab.wait_for("it to be told", async || lab.log().contains("could not be accepted").then_some(())).await;

    let greeted = tokio::time::timeout(PATIENCE, Session::greet(&lab, newcomer.hello(), &newcomer)).await;
    let _session = greeted.expect("it gets in").unwrap();
    let log = lab.log();
    let made_room = log.find("under way for longest").expect("strangers had to make room");
    assert!(log.find("took too long").is_none_or(|gone| made_room < gone), "it did not wait for them to go");
    assert!(lab.log().matches("could not be accepted").count() <= 20, "it does not ask again and again");
    prlimit(process, Resource::Nofile, Rlimit { current: Some(20_000), maximum: Some(20_000) }).unwrap();
    work(&lab, &mut member, 1..=2).await;
}
