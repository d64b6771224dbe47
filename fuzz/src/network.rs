//! What stands between an agent and its controller.

use postern_agent::link::ProxyAnswer;

/// The head of a proxy's answer to CONNECT: nothing but 200 opens the way.
pub fn proxy_answer(data: &[u8]) {
    let head = String::from_utf8_lossy(data);
    match ProxyAnswer::of(&head) {
        ProxyAnswer::Open => {
            let status = head.lines().next().unwrap_or_default();
            assert!(status.starts_with("HTTP/1.") && status.contains("200"), "{status}");
        }
        ProxyAnswer::Refused(status) => assert!(status.chars().count() <= 128 && !status.contains('\n'), "{status}"),
        ProxyAnswer::AsksForCredentials | ProxyAnswer::Nonsense => (),
    }
}
