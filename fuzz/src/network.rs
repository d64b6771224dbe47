//! What stands around an agent: the proxy between it and its controller, who asks on its socket, who supervises it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use postern_agent::link::ProxyAnswer;
use postern_agent::{Answer, Ask};
use postern_health::{Notify, Supervisor};

/// The head of a proxy's answer to CONNECT: nothing but 200 opens the way.
pub fn proxy_answer(data: &[u8]) -> bool {
    let head = String::from_utf8_lossy(data);
    match ProxyAnswer::of(&head) {
        ProxyAnswer::Open => {
            let status = head.lines().next().unwrap_or_default();
            assert!(status.starts_with("HTTP/1.") && status.split_whitespace().nth(1) == Some("200"), "{status}");
            true
        }
        ProxyAnswer::Refused(status) => {
            assert!(status.chars().count() <= 128 && !status.contains('\n'), "{status}");
            true
        }
        ProxyAnswer::AsksForCredentials => true,
        ProxyAnswer::Nonsense => false,
    }
}

/// What is asked on an agent's socket, and what an agent, perhaps of another version, answers there: what was read is
/// written, and means the same again.
pub fn agent_socket(data: &[u8]) -> bool {
    let mut is_read = false;
    match Ask::read(data) {
        Ok(ask) => {
            is_read = true;
            let written = serde_json::to_vec(&ask).expect("what was read can be written");
            let again = Ask::read(&written).expect("what was written can be read");
            assert_eq!(serde_json::to_vec(&again).expect("it can be written"), written, "it asks something else");
        }
        Err(message) => assert!(!message.is_empty(), "a refusal says why"),
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(data) {
        is_read = true;
        let written = serde_json::to_value(&answer).expect("what was read can be written");
        let again: Answer = serde_json::from_value(written.clone()).expect("what was written can be read");
        assert_eq!(serde_json::to_value(&again).ok(), Some(written), "it answers something else");
    }
    is_read
}

/// The variables of whoever supervises the program, a line each: nothing in them keeps it from starting.
pub fn supervisor(data: &[u8]) -> bool {
    let lines: Vec<&[u8]> = data.splitn(3, |byte| *byte == b'\n').collect();
    let variable = |name: &str| {
        let place = Supervisor::VARIABLES.iter().position(|it| *it == name)?;
        lines.get(place).map(|line| OsString::from_vec(line.to_vec()))
    };
    let supervisor = Supervisor::from_environment(variable);
    if let Some(patience) = supervisor.patience() {
        assert!(!patience.is_zero() && supervisor.socket.is_some(), "{supervisor:?}");
        let pace = postern_health::Pace::new(std::time::Duration::from_secs(120), Some(patience));
        assert!(pace.looks >= 12, "{pace:?}");
    }
    let _ = Notify::to(&supervisor);
    supervisor.patience().is_some() || supervisor.socket.is_some()
}
