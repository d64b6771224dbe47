//! Frames of the session itself.

use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{
    AnnouncedKey, CertIssued, CertRefusal, CertRefused, CertRenew, Condition, Confirm, Connection, Credit, Drain,
    Drained, GoAway, Held, Hello, KeyAck, KeyAnnounce, LogLevel, LogLevelSet, LogLevelVerdict, MemberState,
    MemberStateAck, MembershipState, Ping, Pong, ProtocolError, Refused, ServedSystem, SessionRefusal, SetLogLevel,
    SignInState, SystemCondition, TrustBundle, TrustBundleAck, Welcome,
};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::version::{RevisionTable, Revisions};
use postern_protocol::{Epoch, MemberId, ReportNo, SessionNo, TaskKind};

use super::{Sample, array, both, bytes, controller, extensions, list, member, text};

pub(crate) fn all() -> Vec<Sample> {
    vec![
        member(hello()),
        member(Hello {
            systems: list(Vec::new()),
            sealing_keys: list(Vec::new()),
            revisions: list(Vec::new()),
            ext: list(Vec::new()),
            agent_version: text(""),
            ..hello()
        })
        .variant("bare"),
        controller(welcome()),
        controller(Refused {
            reason: SessionRefusal::RolledBack.into(),
            message: text("Der Speicher ist älter als die Sitzung – zurückgespielt?"),
            retry_after_ms: 60_003,
            ext: extensions(),
        }),
        member(Confirm { session: SessionNo(0x0c01), member_epoch: Epoch(0x0c02) }),
        both(Ping { nonce: 0x0102_0304_0506_0708 }),
        both(Pong { nonce: 0x1112_1314_1516_1718 }),
        member(Credit { offers: 0x0cde_0001 }),
        both(GoAway { reason: SessionRefusal::Stopping.into(), message: text("à bientôt"), reconnect_after_ms: 501 }),
        both(ProtocolError { tag: 0x1234, message: text("кадр не понят") }),
        controller(MemberState { state: MembershipState::Disabled.into(), epoch: Epoch(0x0e10), hard: true }),
        member(MemberStateAck { epoch: Epoch(0x0e11) }),
        member(Drain { reason: text("再起動します") }),
        member(Drained { left: Held { journaled: 0x0d01, started: 0x0d02, reported: 0x0d03 } }),
        member(CertRenew { csr: bytes(0x31, 61) }),
        controller(CertIssued { request: array(0x71), certificate: bytes(0x03, 51) }),
        controller(CertRefused {
            request: array(0x72),
            reason: CertRefusal::AuthorityFault.into(),
            message: text("Der Schlüssel der Zertifizierungsstelle ist nicht lesbar"),
        }),
        member(KeyAnnounce { keys: list(vec![key(0x80), key(0xa0)]) }),
        controller(KeyAck { newest: key(0x80).id }),
        member(condition()),
        controller(SetLogLevel {
            number: 0x1001,
            system: "acme.sandbox_2".parse().unwrap(),
            level: LogLevel::Debug.into(),
            for_ms: 1_800_001,
        }),
        member(LogLevelSet {
            number: 0x1002,
            system: "acme.sandbox_2".parse().unwrap(),
            verdict: LogLevelVerdict::NotAllowed.into(),
        }),
        controller(TrustBundle { number: 0x0f02, roots: list(vec![bytes(0x23, 45), bytes(0x73, 35)]) }),
        member(TrustBundleAck { number: 0x0f03 }),
    ]
}

fn revisions() -> RevisionTable {
    list(vec![Revisions { tag: 1, min: 1, max: 3 }, Revisions { tag: 20, min: 2, max: 2 }])
}

fn key(from: u8) -> AnnouncedKey {
    let public = SealingPublicKey(array(from));
    AnnouncedKey { id: public.id(), public }
}

fn hello() -> Hello {
    Hello {
        agent_version: text("1.2.3-rc.4"),
        host: text("posterne-été.example"),
        incarnation: Incarnation::from_bytes(array(0x20)),
        last_session: SessionNo(0x0a01),
        revisions: revisions(),
        systems: list(vec![
            ServedSystem {
                name: "acme-prod".parse().unwrap(),
                connector: text("salesforce"),
                kinds: list(vec![TaskKind::TestConnection.into(), TaskKind::ImportBatch.into()]),
                connection: connection(),
            },
            ServedSystem {
                name: "acme.sandbox_2".parse().unwrap(),
                connector: text("andere-ß"),
                kinds: list(vec![TaskKind::DisableUser.into(), TaskKind::EnableUser.into()]),
                connection: Connection {
                    domain: text("büro.example"),
                    secure: false,
                    compression: true,
                    log_level: LogLevel::Trace.into(),
                    ..connection()
                },
            },
        ]),
        sealing_keys: list(vec![key(0x30), key(0x50)]),
        next_report: ReportNo(0x0a02),
        held: Held { journaled: 0x0a03, started: 0x0a04, reported: 0x0a05 },
        ext: extensions(),
    }
}

fn connection() -> Connection {
    Connection {
        domain: text("acme.my.salesforce.com"),
        login_method: text("oauth-jwt"),
        secure: true,
        compression: false,
        connect_timeout_secs: 0x0a06,
        log_level: LogLevel::Info.into(),
    }
}

fn condition() -> Condition {
    let system = SystemCondition {
        name: "acme-prod".parse().unwrap(),
        running: 0x1101,
        interactive: 0x1102,
        provisioning: 0x1103,
        batch: 0x1104,
        sign_in: SignInState::Blocked.into(),
        log_level: LogLevel::Debug.into(),
        log_level_left_ms: 0x1105,
    };
    Condition {
        reports: 0x1201,
        report_bytes: 0x1202,
        oldest_report_ms: 0x1203,
        systems: list(vec![
            system.clone(),
            SystemCondition {
                name: "acme.sandbox_2".parse().unwrap(),
                sign_in: SignInState::SignedIn.into(),
                log_level: LogLevel::Warn.into(),
                log_level_left_ms: 0,
                ..system
            },
        ]),
        ext: extensions(),
    }
}

fn welcome() -> Welcome {
    Welcome {
        session: SessionNo(0x0b01),
        member: MemberId::from_bytes(array(0x60)),
        state: MembershipState::Enabled.into(),
        member_epoch: Epoch(0x0b02),
        hard: true,
        heartbeat_ms: 10_007,
        lease_ttl_ms: 60_001,
        acked_report: ReportNo(0x0b03),
        observed_address: text("2001:db8::7"),
        controller_version: text("1.2.4-ß"),
        revisions: revisions(),
        ext: extensions(),
    }
}
