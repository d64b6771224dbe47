//! A member's keys, certificates and roots, and the power goes, or the process, at every single thing that is done to them.
//!
//! The worker becomes a member, renews its certificate twice, takes over other roots, lets its sealing keys follow one
//! another, and becomes another member. What leaves for the controller it says, because from then on somebody counts on it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use postern_agent::clock;
use postern_agent::identity::{Credential, Identity, IdentityDir, Membership, Trust};
use postern_agent::link::{Opening, Rehearsal};
use postern_agent_core::sealing_keys::Terms;
use postern_protocol::MemberId;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::enrollment::certificate_name;
use postern_protocol::id::TokenId;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{AnnouncedKey, CertIssued, KeyAck, TrustBundle};
use postern_protocol::seal::{KeyId, MAX_MEMBER_KEYS};
use postern_store::private;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::CertificateSigningRequestDer;
use sha2::{Digest as _, Sha256};

use super::every_write::Trial;
use super::states::Guard;
use super::{Tally, Wrong, text};

/// What the worker is told to work on.
pub(super) const WORK: &str = "identity";
/// What has passed of a certificate's life, and what is left of it: the first is renewed at once, and a later one within a
/// second of when its root is to go.
const PASSED: Duration = Duration::from_secs(60);
const LEFT: Duration = Duration::from_secs(40);
/// Each key is followed by the next as soon as it is acknowledged, and goes when there is no more room.
const TERMS: Terms = Terms { life: Duration::ZERO, keep: Duration::ZERO };
/// Sessions of the first member, each with another certificate, and sealing keys that it wipes at least.
const SESSIONS: usize = 3;
const WIPED: usize = 2;
const CLUSTER: &str = "acme";
const FIRST: u8 = 1;
const SECOND: u8 = 2;

type Failure = Box<dyn std::error::Error>;

/// Something that others know of the member from the moment it is said, or may come to know.
pub(super) enum Word {
    /// With this token it is asked for a certificate for the key of this request.
    Applied(u8, String),
    /// This member is what comes of it.
    Joining(String),
    /// It is this member.
    Member(String),
    /// The next certificate is asked for with this request.
    Asked(String),
    /// A session is opened with this certificate.
    Shown(String),
    /// These roots are to be trusted.
    Offered(String),
    /// They are.
    Trusted(String),
    /// Secrets may be sealed to this key.
    Published(String),
    /// Nothing here needs this key any more.
    GivenUp(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied(token, request) => write!(f, "applied {token} {request}"),
            Self::Joining(member) => write!(f, "joining {member}"),
            Self::Member(member) => write!(f, "member {member}"),
            Self::Asked(request) => write!(f, "asked {request}"),
            Self::Shown(certificate) => write!(f, "shown {certificate}"),
            Self::Offered(roots) => write!(f, "offered {roots}"),
            Self::Trusted(roots) => write!(f, "trusted {roots}"),
            Self::Published(key) => write!(f, "published {key}"),
            Self::GivenUp(key) => write!(f, "given-up {key}"),
        }
    }
}

/// Everything said so far that still counts.
#[derive(Debug, Default)]
struct Told {
    applied: Option<(u8, String)>,
    member: Option<String>,
    joining: Option<String>,
    asked: Option<String>,
    shown: Option<String>,
    /// Those that are trusted, and those that may be.
    roots: Vec<String>,
    keys: BTreeSet<String>,
}

impl Told {
    fn hear(&mut self, said: &str) {
        for line in said.lines() {
            let (what, value) = line.split_once(' ').unwrap_or_default();
            let value = value.to_owned();
            match what {
                "applied" => {
                    self.applied =
                        value.split_once(' ').and_then(|(token, it)| Some((token.parse().ok()?, it.to_owned())));
                }
                "joining" => self.joining = Some(value),
                "member" => {
                    (self.member, self.applied, self.joining) = (Some(value), None, None);
                    (self.asked, self.shown) = (None, None);
                }
                "asked" => self.asked = Some(value),
                "shown" => self.shown = Some(value),
                "offered" => self.roots.push(value),
                "trusted" => self.roots = vec![value],
                "published" => {
                    self.keys.insert(value);
                }
                "given-up" => {
                    self.keys.remove(&value);
                }
                _ => (),
            }
        }
    }
}

/// Looks behind everything that a member does to its identity, or behind every so many of that.
///
/// # Errors
///
/// Why this machine cannot do it.
pub fn identity_at_work(binary: &Path, every: usize, without: Option<Guard>) -> Result<Tally, String> {
    let prepare = |folder: &Path| Ok(private::directory(folder)?);
    Trial { work: WORK, cuts: 3, prepare, hear: Told::hear, audit }.run(binary, every, without)
}

/// Does what a member does. What it says is known to others.
pub(super) fn work(folder: &Path, say: &impl Fn(Word)) -> Result<(), Failure> {
    let state = folder.join("state");
    let authorities = [Authority::new(1)?, Authority::new(2)?];
    let [old, new] = &authorities;
    enroll(&state, FIRST, &[old], say)?;
    runtime()?.block_on(live(&state, old, new, say))?;
    enroll(&state, SECOND, &[new, old], say)?;
    let opening = runtime()?
        .block_on(async { Rehearsal::begin(&state, TERMS, |_| false)?.open().await.map_err(Failure::from) })?;
    tell(&opening, say);
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}

/// As `postern enroll` does.
fn enroll(state: &Path, number: u8, authorities: &[&Authority], say: &impl Fn(Word)) -> Result<(), Failure> {
    let directory = IdentityDir::open(state)?;
    directory.erase_half_made()?;
    let credential = directory.applicant(token(number), false)?;
    let keys = directory.sealing_keys()?;
    say(Word::Applied(number, digest(credential.request())));
    say(Word::Published(keys.first().ok_or("there is no sealing key")?.known.id.to_string()));

    let member = MemberId::from_bytes([number; 16]);
    let certificate = authorities.first().ok_or("there is no authority")?.issue(credential.request(), member)?;
    let trust = Trust::from_bundle(&bundle(0, authorities))?;
    let membership =
        Membership { cluster: CLUSTER.parse()?, member, controllers: Vec::new(), token: Some(token(number)) };
    say(Word::Joining(member.to_string()));
    say(Word::Offered(roots(&trust)));
    directory.enroll(&membership, &credential.with_certificate(&certificate)?, &trust)?;
    say(Word::Member(member.to_string()));
    say(Word::Trusted(roots(&trust)));
    Ok(())
}

/// Sessions, with a controller that answers at once.
async fn live(state: &Path, old: &Authority, new: &Authority, say: &impl Fn(Word)) -> Result<(), Failure> {
    let member = MemberId::from_bytes([FIRST; 16]);
    let (asked, wiped) = (RefCell::new(BTreeSet::new()), Cell::new(0));
    let may_go = |key: KeyId| {
        // The first time something still needs it.
        let may_go = !asked.borrow_mut().insert(key.to_string());
        if may_go {
            say(Word::GivenUp(key.to_string()));
            wiped.set(wiped.get() + 1);
        }
        may_go
    };
    let mut agent = Rehearsal::begin(state, TERMS, may_go)?;
    let bundles = [bundle(1, &[old, new]), bundle(2, &[new, old])];
    let mut offered = bundles.iter();
    let mut authority = old;
    for session in 1.. {
        tell(&agent.open().await?, say);
        agent.welcome().await;
        let mut leaving = if session == 2 { offer(&mut agent, offered.next(), say)? } else { None };
        while let Some(frame) = match leaving.take() {
            Some(frame) => Some(frame),
            None => agent.next().await,
        } {
            if let FromMember::CertRenew(renew) = &frame {
                say(Word::Asked(digest(&renew.csr)));
                let certificate = Bytes::new(authority.issue(&renew.csr, member)?)?;
                agent.issued(&CertIssued { request: Sha256::digest(&*renew.csr).into(), certificate });
            } else if let FromMember::KeyAnnounce(announce) = &frame {
                publish(&announce.keys, say);
                // Whoever enrolls with all the keys that there may be loses the oldest to the new one.
                let has_room = announce.keys.len() < MAX_MEMBER_KEYS;
                if session >= SESSIONS && wiped.get() >= WIPED && has_room {
                    return Ok(());
                }
                agent.acknowledged(&KeyAck { newest: announce.keys.first().ok_or("no key is announced")?.id });
            } else if let FromMember::TrustBundleAck(ack) = &frame {
                let trusted = bundles.iter().find(|it| it.number == ack.number).ok_or("no such bundle")?;
                say(Word::Trusted(roots(&Trust::from_bundle(trusted)?)));
                authority = if ack.number == 2 { new } else { old };
                leaving = offer(&mut agent, offered.next(), say)?;
            } else {
                return Err(format!("{frame:?} was not to leave").into());
            }
        }
    }
    Ok(())
}

fn offer<F: Fn(KeyId) -> bool>(
    agent: &mut Rehearsal<F>,
    bundle: Option<&TrustBundle>,
    say: &impl Fn(Word),
) -> Result<Option<FromMember>, Failure> {
    let Some(bundle) = bundle else { return Ok(None) };
    say(Word::Offered(roots(&Trust::from_bundle(bundle)?)));
    Ok(agent.bundle(bundle.clone()))
}

fn tell(opening: &Opening, say: &impl Fn(Word)) {
    say(Word::Shown(digest(&opening.certificate)));
    publish(&opening.keys, say);
}

fn publish(keys: &[AnnouncedKey], say: &impl Fn(Word)) {
    for key in keys {
        say(Word::Published(key.id.to_string()));
    }
}

fn token(number: u8) -> TokenId {
    TokenId::from_bytes([number; 16])
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn roots(trust: &Trust) -> String {
    trust.fingerprints().join(",")
}

fn bundle(number: u64, authorities: &[&Authority]) -> TrustBundle {
    let roots = authorities.iter().filter_map(|it| Bytes::new(it.root.clone()).ok()).collect();
    TrustBundle { number, roots: List::clipped(roots) }
}

/// What signs certificates.
struct Authority {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(number: u8) -> Result<Self, Failure> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.serial_number = Some(vec![number].into());
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let root = params.self_signed(&key)?.der().to_vec();
        Ok(Self { root, issuer: Issuer::new(params, key) })
    }

    fn issue(&self, request: &[u8], member: MemberId) -> Result<Vec<u8>, Failure> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(certificate_name(&CLUSTER.parse()?, member).try_into()?)];
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(clock::unix_millis().0);
        (params.not_before, params.not_after) = (now - PASSED, now + LEFT);
        let made = CertificateSigningRequestParams { params, public_key: request.public_key };
        Ok(made.signed_by(&self.issuer)?.der().to_vec())
    }
}

/// The agent begins, as the member that it was told to be, and has whatever others know of it.
fn audit(folder: &Path, told: &Told) -> Result<(), Wrong> {
    let state = folder.join("state");
    let directory = IdentityDir::open(&state).map_err(unopenable)?;
    directory.erase_half_made().map_err(unopenable)?;
    let identity = directory.load().map_err(unopenable)?;
    let found = identity.as_ref().map(|it| it.membership.member.to_string());
    let has_joined = found.is_some() && found == told.joining;
    if found != told.member && !has_joined {
        return Err(Wrong::Lost(format!("the member is {found:?}, of {told:?}")));
    }
    if let Some(identity) = &identity {
        if !has_joined {
            check_credentials(identity, told)?;
        }
        if !told.roots.contains(&roots(&identity.trust)) {
            return Err(Wrong::Lost(format!("roots are trusted that are not those of {told:?}")));
        }
    }
    check_keys(&directory, told)?;
    if let Some((number, request)) = &told.applied {
        let asked = match &identity {
            Some(identity) if has_joined => digest(identity.current.request()),
            _ => digest(directory.applicant(token(*number), false).map_err(unopenable)?.request()),
        };
        if asked != *request {
            return Err(Wrong::Lost("the key of the request for the membership".to_owned()));
        }
    }
    if identity.is_none() {
        return Ok(());
    }
    let opened = runtime().map_err(text).and_then(|it| {
        it.block_on(async { Rehearsal::begin(&state, TERMS, |_| false).map_err(text)?.open().await.map_err(text) })
    });
    opened.map(|_| ()).map_err(Wrong::Unopenable)
}

fn unopenable(error: impl fmt::Display) -> Wrong {
    Wrong::Unopenable(error.to_string())
}

/// The key of what was asked for is there, and the certificate that was shown.
fn check_credentials(identity: &Identity, told: &Told) -> Result<(), Wrong> {
    let credentials: Vec<&Credential> =
        [Some(&identity.current), identity.next.as_ref()].into_iter().flatten().collect();
    if let Some(asked) = &told.asked
        && !credentials.iter().any(|it| digest(it.request()) == *asked)
    {
        return Err(Wrong::Lost(format!("the key of the request {asked}")));
    }
    let has_shown = |shown: &String| {
        credentials.iter().filter_map(|it| it.certificate()).any(|certificate| digest(certificate) == *shown)
    };
    match &told.shown {
        Some(shown) if !has_shown(shown) => Err(Wrong::Lost(format!("the certificate {shown}, which was in use"))),
        _ => Ok(()),
    }
}

fn check_keys(directory: &IdentityDir, told: &Told) -> Result<(), Wrong> {
    let kept = directory.kept_sealing_keys().map_err(unopenable)?.unwrap_or_default();
    let kept: BTreeSet<String> = kept.iter().map(|it| it.known.id.to_string()).collect();
    let lost: Vec<&String> = told.keys.difference(&kept).collect();
    if lost.is_empty() { Ok(()) } else { Err(Wrong::Lost(format!("the sealing keys {lost:?}"))) }
}
