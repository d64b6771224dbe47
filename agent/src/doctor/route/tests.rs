use super::*;
use crate::doctor::Status;

const CHECKS: Checks =
    Checks { dns: Check::SystemDns, proxy: Check::SystemProxy, tcp: Check::SystemTcp, tls: Check::SystemTls };

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// A way that was walked to its end.
fn walked() -> Walked {
    Walked {
        to: Destination { host: "acme.example".to_owned(), port: 443 },
        by: None,
        addresses: Ok(vec![at(443)]),
        connected: vec![(at(443), Ok(()))],
        tunnel: None,
        tls: Some(Tls { version: Some("TLS 1.3".to_owned()), presented: Some(presented(None)), problem: None }),
    }
}

fn presented(doubt: Option<Doubt>) -> Presented {
    Presented { issuer: "CN=Example Corp".to_owned(), root: "ab".to_owned(), doubt }
}

fn doubted(doubt: Doubt) -> Walked {
    let tls = Tls { version: None, presented: Some(presented(Some(doubt))), problem: Some("no".to_owned()) };
    Walked { tls: Some(tls), ..walked() }
}

fn by_proxy(tunnel: Option<Result<(), Tunnel>>) -> Walked {
    let by = Some(Destination { host: "proxy.example".to_owned(), port: 3128 });
    Walked { by, tunnel, tls: None, ..walked() }
}

fn statuses(walked: &Walked) -> Vec<(Status, Option<Check>)> {
    judge(walked, CHECKS, "[x]").into_iter().map(|it| (it.status, it.because)).collect()
}

const OK: (Status, Option<Check>) = (Status::Ok, None);
const FAILED: (Status, Option<Check>) = (Status::Failed, None);
const NOT_THERE: (Status, Option<Check>) = (Status::Skipped, None);

fn behind(check: Check) -> (Status, Option<Check>) {
    (Status::Skipped, Some(check))
}

#[test]
fn a_way_that_leads_to_its_end_is_ok_and_names_whose_certificate_it_met() {
    assert_eq!(statuses(&walked()), [OK, NOT_THERE, OK, OK]);
    let found = judge(&walked(), CHECKS, "[x]");
    assert_eq!(found[3].told, "TLS 1.3, certificate of `CN=Example Corp`");
}

#[test]
fn what_lies_behind_a_step_that_fails_is_skipped_because_of_it() {
    let unknown = Walked { addresses: Err("no".to_owned()), connected: Vec::new(), tls: None, ..walked() };
    let dns = behind(Check::SystemDns);
    assert_eq!(statuses(&unknown), [FAILED, NOT_THERE, dns, dns]);
    let dead = Walked { connected: vec![(at(443), Err("refused".to_owned()))], tls: None, ..walked() };
    assert_eq!(statuses(&dead), [OK, NOT_THERE, FAILED, behind(Check::SystemTcp)]);
    let proxy = behind(Check::SystemProxy);
    let refused = by_proxy(Some(Err(Tunnel::Credentials)));
    assert_eq!(statuses(&refused), [OK, FAILED, proxy, proxy]);
    let no_proxy = Walked { connected: vec![(at(3128), Err("refused".to_owned()))], ..by_proxy(None) };
    assert_eq!(statuses(&no_proxy), [OK, FAILED, proxy, proxy]);
}

#[test]
fn one_address_of_several_that_is_dead_is_a_warning_that_names_it() {
    let connected = vec![(at(443), Ok(())), (at(444), Err("timed out".to_owned()))];
    let found = judge(&Walked { connected, ..walked() }, CHECKS, "[x]");
    assert_eq!(found[2].status, Status::Warning);
    assert!(found[2].told.contains("192.0.2.1:444 (timed out)"), "{}", found[2].told);
}

#[test]
fn whoever_intercepts_is_named_and_told_from_a_clock_that_is_wrong() {
    let foreign = judge(&doubted(Doubt::Foreign), CHECKS, "[x]");
    assert!(foreign[3].told.contains("intercepted") && foreign[3].told.contains("CN=Example Corp"), "{foreign:?}");
    for doubt in [Doubt::RunOut, Doubt::NotYet] {
        let found = judge(&doubted(doubt), CHECKS, "[x]");
        assert!(found[3].next.contains("clock") && !found[3].told.contains("intercepted"), "{found:?}");
    }
    let other = judge(&doubted(Doubt::OtherName), CHECKS, "[x]");
    assert!(other[3].told.contains("for another host"), "{other:?}");
}

#[test]
fn a_proxy_that_refuses_is_told_with_who_can_help() {
    let said = |why| judge(&by_proxy(Some(Err(why))), CHECKS, "`[controller]`").remove(1);
    assert!(said(Tunnel::Credentials).next.contains("`[controller]`"));
    let refused = said(Tunnel::Refused("HTTP/1.1 403 Forbidden".to_owned()));
    assert!(refused.told.contains("403 Forbidden") && refused.next.contains("administrator"), "{refused:?}");
}

#[test]
fn another_controller_is_told_from_somebody_in_between() {
    assert_eq!(doubted(Doubt::Foreign).foreign_controller(), None);
    let mut other = doubted(Doubt::Foreign);
    if let Some(shown) = other.tls.as_mut().and_then(|tls| tls.presented.as_mut()) {
        shown.issuer = "CN=postern controller root 1".to_owned();
    }
    assert_eq!(other.foreign_controller(), Some(("ab", "CN=postern controller root 1")));
}
