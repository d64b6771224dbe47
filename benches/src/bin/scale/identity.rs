//! A light agent's membership: enrolled as a real one is, and kept in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use postern_agent::link::{Dialer, Place, tls};
use postern_benches::Failure;
use postern_controller_stub::random;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::enrollment::v1::{Enroll, Enrolled};
use postern_protocol::enrollment::{self, EnrollmentToken, FromApplicant, FromAuthority, Request};
use postern_protocol::id::Incarnation;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{AnnouncedKey, Connection, Held, Hello, LogLevel, ServedSystem};
use postern_protocol::seal::{SealingKey, SealingPublicKey};
use postern_protocol::{MemberId, ReportNo, SessionNo, TaskKind};
use postern_tests::lab::SYSTEM;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

/// How long the controller may take to answer an applicant: as a real agent waits.
const ANSWER: Duration = Duration::from_secs(30);

/// What a member would keep on its disk.
pub(crate) struct Identity {
    pub(crate) member: MemberId,
    pub(crate) tls: Arc<ClientConfig>,
    sealing: SealingPublicKey,
    incarnation: Incarnation,
    pub(crate) last_session: SessionNo,
    pub(crate) next_report: ReportNo,
}

impl Identity {
    /// Enrolls with this token.
    pub(crate) async fn enroll(dialer: &Dialer, url: &str, token: &EnrollmentToken) -> Result<Self, Failure> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let csr = CertificateParams::default().serialize_request(&key)?.der().to_vec();
        let sealing = *SealingKey::from_random(&random::secret()).public();
        let incarnation = Incarnation::from_bytes(random::bytes());

        let mut socket = dialer.dial(&tls::for_enrollment(token.ca_sha256), url, Place::ENROLLMENT).await?;
        let (_, connection) = socket.get_ref().get_ref();
        let exporter = connection.export_keying_material([0; 32], enrollment::EXPORTER_LABEL, None)?;
        let proof = token.key.prove(&exporter, &Request { incarnation, sealing_key: &sealing, csr: &csr });
        let enroll = Enroll {
            token: token.id,
            incarnation,
            host: Text::clipped("light"),
            agent_version: Text::clipped("0.0.0"),
            sealing_key: sealing,
            csr: Bytes::new(csr)?,
            proof,
        };
        socket.send(Message::Binary(FromApplicant::from(enroll).encode()?.into())).await?;
        let answer = tokio::time::timeout(ANSWER, socket.next()).await?.ok_or("the controller hung up")??;
        match FromAuthority::decode(&answer.into_data())? {
            FromAuthority::Enrolled(enrolled) => {
                let tls = session_tls(&enrolled, &key)?;
                let member = enrolled.member;
                Ok(Self { member, tls, sealing, incarnation, last_session: SessionNo(0), next_report: ReportNo(1) })
            }
            FromAuthority::EnrollRefused(refused) => Err(format!("an applicant was refused: {refused:?}").into()),
        }
    }

    /// What it says first in a session.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            agent_version: Text::clipped("0.0.0"),
            host: Text::clipped("light"),
            incarnation: self.incarnation,
            last_session: self.last_session,
            revisions: List::clipped(FromMember::REVISIONS.to_vec()),
            systems: List::clipped(vec![ServedSystem {
                name: SYSTEM.parse().expect("a name"),
                connector: Text::clipped("salesforce"),
                kinds: List::clipped(TaskKind::ALL.iter().map(|kind| (*kind).into()).collect()),
                connection: Connection {
                    domain: Text::default(),
                    login_method: Text::default(),
                    secure: true,
                    compression: true,
                    connect_timeout_secs: 0,
                    log_level: LogLevel::Info.into(),
                },
            }]),
            sealing_keys: List::clipped(vec![AnnouncedKey { id: self.sealing.id(), public: self.sealing }]),
            next_report: self.next_report,
            held: Held::default(),
            ext: List::default(),
        }
    }
}

/// TLS with the member's certificate, for every connection anew, as a real agent has it.
fn session_tls(enrolled: &Enrolled, key: &KeyPair) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for root in &enrolled.trust.roots {
        roots.add(CertificateDer::from(root.to_vec()))?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from(enrolled.certificate.to_vec())],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
