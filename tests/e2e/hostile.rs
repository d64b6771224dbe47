//! Whoever holds on to what it gets: agents work on, others enroll, and whoever asks for the status is answered.

use std::net::{Ipv4Addr, SocketAddr};

use postern_tests::lab::{ControllerOptions, LabOptions};
use postern_tests::{Lab, wait_for};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UnixStream};
use tokio::task::JoinSet;

use crate::{JOE, programs};

/// Begins a handshake and says no more, again and again.
async fn hold(host: u8, controller: SocketAddr) {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 1, host), 0).into()).unwrap();
        let Ok(mut stream) = socket.connect(controller).await else { continue };
        if stream.write_all(&[22, 3, 1]).await.is_ok() {
            let _ = stream.read(&mut [0]).await;
        }
    }
}

/// Three times as many as there is room for, from twenty addresses, the member's own among them.
#[tokio::test]
async fn strangers_that_hold_every_place_at_the_door_keep_no_agent_from_its_work_or_from_enrolling() {
    let serve = vec!["--max-handshakes", "64", "--max-handshakes-per-address", "16"];
    let controller = ControllerOptions { serve, ..ControllerOptions::default() };
    let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
    let member = lab.member("member").await;
    let session = member.session().await;
    let mut strangers = JoinSet::new();
    for number in 0..200 {
        strangers.spawn(hold(number % 20, lab.controller.address()));
    }
    wait_for("strangers to make room for strangers", async || {
        if lab.controller.log().contains("under way for longest") { Ok(()) } else { Err("nobody had to") }
    })
    .await;

    for kind in ["disable_user", "enable_user"] {
        let task = lab.controller.submit(kind, JOE).await;
        assert_eq!(lab.controller.finished(task).await["outcome"], "succeeded");
    }
    let _newcomer = lab.member("newcomer").await;
    assert_eq!(member.session().await, session, "one session all along: {}", member.log());
    strangers.shutdown().await;
}

/// End the socket with the first that cannot be accepted, and nobody is told anything until the agent starts again.
#[tokio::test]
async fn an_agent_tells_its_status_whoever_does_not_listen_and_after_it_had_no_descriptors() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let socket = agent.folder().join("state/agent.sock");
    let mut deaf = Vec::new();
    for _ in 0..100 {
        deaf.push(UnixStream::connect(&socket).await.unwrap());
    }
    assert_eq!(agent.status().await["agent"]["member"], agent.member());

    let pid = agent.pid().unwrap();
    let process = Pid::from_raw(pid.try_into().unwrap());
    let limit = |most| prlimit(process, Resource::Nofile, Rlimit { current: Some(most), maximum: Some(4096) }).unwrap();
    limit(8);
    let _unanswered = UnixStream::connect(&socket).await.unwrap();
    wait_for(
        "it to be told",
        async || {
            if agent.log().contains("could not be answered") { Ok(()) } else { Err(agent.log()) }
        },
    )
    .await;
    limit(4096);
    assert_eq!(agent.status().await["agent"]["member"], agent.member());
}
