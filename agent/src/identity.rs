//! Who this agent is: its keys, its certificate, its cluster.

mod credential;
mod sealing;
mod trust;

use std::path::{Path, PathBuf};

use postern_protocol::id::TokenId;
use postern_protocol::{ClusterName, MemberId};
use postern_store::private::{self, PrivateError};
use serde::{Deserialize, Serialize};

pub use self::credential::{Credential, fingerprint, serial, validity};
pub use self::sealing::KeptKey;
pub use self::trust::{Trust, UnusableTrust};
use crate::exit::Exit;

/// Files of an identity are far smaller.
const MAX_FILE: usize = 64 * 1024;
/// The present certificate and what follows it, with their keys.
const CURRENT: &str = "current.pem";
const NEXT: &str = "next.pem";
/// The token that the next certificate was asked for with.
const BEGUN: &str = "begun";
/// The roots that are trusted.
const ROOTS: &str = "roots.pem";

/// Why the identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The state directory cannot be made or is not private.
    #[error("the state directory cannot be used; give it to the agent's user, or name another as `state_dir`")]
    StateDir(#[source] PrivateError),
    /// A file failed.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// A file is not what it should be.
    #[error(
        "`{path}` is damaged ({reason}); if a newer version has run here, start that one again; else move its folder away, \
         and enroll this agent as a new member with a fresh token"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

impl IdentityError {
    /// The exit code that tells a script.
    pub fn exit(&self) -> Exit {
        match self {
            Self::StateDir(error) | Self::File(error) if error.is_of_the_disk() => Exit::Store,
            Self::StateDir(_) | Self::File(_) | Self::Damaged { .. } | Self::Key(_) => Exit::Config,
        }
    }
}

/// What a member knows of its membership. What a newer version knows besides is not read: who goes back to this one is a member
/// still.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// The cluster.
    pub cluster: ClusterName,
    /// The member.
    pub member: MemberId,
    /// The controller's URLs it enrolled at.
    pub controllers: Vec<String>,
    /// The token it enrolled with, which is of no use to anybody else.
    #[serde(default)]
    pub token: Option<TokenId>,
}

/// An enrolled agent's identity.
pub struct Identity {
    /// What it knows of its membership.
    pub membership: Membership,
    /// Its certificate, with the key.
    pub current: Credential,
    /// What follows it, as far as that is.
    pub next: Option<Credential>,
    /// The roots that it trusts.
    pub trust: Trust,
}

/// The folder of an identity.
pub struct IdentityDir(PathBuf);

impl IdentityDir {
    /// The identity below a state directory. Makes the folder.
    pub fn open(state_dir: &Path) -> Result<Self, IdentityError> {
        private::directory(state_dir).map_err(IdentityError::StateDir)?;
        let path = state_dir.join("identity");
        private::directory(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What to enroll with: what was begun with this token, so that enrolling again after a lost reply is recognized, or new
    /// keys. Whoever has the keys of a membership before opens nothing that is sealed to the next.
    /// `again`: it is the token of the membership there is.
    pub fn applicant(&self, token: TokenId, again: bool) -> Result<Credential, IdentityError> {
        let begun = private::read_if_any(&self.file(BEGUN), MAX_FILE)?;
        if begun.is_some_and(|it| *it == *token.to_string().as_bytes())
            && let Some(next) = self.credential(NEXT)?
        {
            return Ok(next);
        }
        match self.credential(CURRENT)? {
            Some(current) if again => return Ok(current),
            Some(_) => self.replace_sealing_key()?,
            None => (),
        }
        let next = self.prepare_next()?;
        // Last: until it is there nothing was sent under the keys.
        private::replace(&self.file(BEGUN), token.to_string().as_bytes())?;
        Ok(next)
    }

    /// Writes what enrollment brought. Each file before the one that says that the rest is whole: the membership says it of
    /// the certificate and the roots.
    pub fn enroll(&self, membership: &Membership, credential: &Credential, trust: &Trust) -> Result<(), IdentityError> {
        self.store_next(credential)?;
        self.store_trust(trust)?;
        let text = serde_json::to_vec_pretty(membership).expect("a membership is plain data");
        private::replace(&self.file("membership.json"), &text)?;
        self.promote_next()?;
        Ok(private::remove_if_any(&self.file(BEGUN))?)
    }

    /// The identity, if this agent is enrolled.
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let Some(membership) = self.membership()? else { return Ok(None) };
        // A process that died in the middle of an enrollment left that of one member beside that of another.
        let is_ours = |it: &Credential| !it.is_anothers(&membership.cluster, membership.member);
        let is_begun = private::read_if_any(&self.file(BEGUN), MAX_FILE)?.is_some();
        // A key that another membership was asked for with is kept for that, should the answer have been lost.
        let is_of_renewal = |it: &Credential| it.certificate().is_some() || !is_begun;
        let mut next = self.next()?.filter(|it| is_ours(it) && is_of_renewal(it));
        let current = match self.credential(CURRENT)?.filter(|it| it.certificate().is_some() && is_ours(it)) {
            Some(current) => current,
            None => next.take().filter(|it| it.certificate().is_some()).ok_or_else(|| self.missing(CURRENT))?,
        };
        Ok(Some(Identity { membership, current, next, trust: self.trust()? }))
    }

    fn membership(&self) -> Result<Option<Membership>, IdentityError> {
        let path = self.file("membership.json");
        let Some(text) = private::read_if_any(&path, MAX_FILE)? else { return Ok(None) };
        let read = serde_json::from_slice(&text);
        Ok(Some(read.map_err(|error| IdentityError::Damaged { path, reason: postern_protocol::plain::json(&error) })?))
    }

    fn trust(&self) -> Result<Trust, IdentityError> {
        let pem = private::read_if_any(&self.file(ROOTS), MAX_FILE)?.ok_or_else(|| self.missing(ROOTS))?;
        Trust::parse(&pem).map_err(|error| IdentityError::Damaged { path: self.file(ROOTS), reason: error.to_string() })
    }

    /// Makes the roots that are to be trusted durable, in the place of those before.
    pub fn store_trust(&self, trust: &Trust) -> Result<(), IdentityError> {
        Ok(private::replace(&self.file(ROOTS), trust.to_pem().as_bytes())?)
    }

    /// Ends an enrollment in the middle of which a process died: the membership says that its certificate is whole.
    pub fn complete(&self) -> Result<(), IdentityError> {
        let Some(Membership { cluster, member, .. }) = self.membership()? else { return Ok(()) };
        let is_over = self.credential(CURRENT)?.is_none_or(|it| it.is_anothers(&cluster, member));
        let follows = self.next()?.is_some_and(|it| it.certificate().is_some() && !it.is_anothers(&cluster, member));
        if is_over && follows { self.promote_next() } else { Ok(()) }
    }

    /// Erases the keys that a process left which died while it wrote them. Only for who has the store: nobody else writes
    /// then.
    pub fn erase_half_made(&self) -> Result<(), IdentityError> {
        [sealing::KEYS, NEXT].iter().try_for_each(|name| Ok(private::erase_half_made(&self.file(name))?))
    }

    /// Whether there is a file of what follows the present certificate.
    pub fn has_next(&self) -> bool {
        self.file(NEXT).try_exists().unwrap_or(true)
    }

    /// What follows the present certificate. A file that cannot be understood is none: the renewal begins anew.
    fn next(&self) -> Result<Option<Credential>, IdentityError> {
        match self.credential(NEXT) {
            Err(IdentityError::Damaged { path, reason }) => {
                tracing::warn!(path = %path.display(), reason, "what follows the certificate is damaged and is made anew");
                Ok(None)
            }
            read => read,
        }
    }

    /// Makes a new key and the request for its certificate durable.
    pub fn prepare_next(&self) -> Result<Credential, IdentityError> {
        // An enrollment that was begun has no keys any more, and must not take these for its own.
        private::remove_if_any(&self.file(BEGUN))?;
        let next = Credential::generate()?;
        self.store_next(&next)?;
        Ok(next)
    }

    /// Makes what follows the present certificate durable.
    pub fn store_next(&self, next: &Credential) -> Result<(), IdentityError> {
        Ok(private::replace(&self.file(NEXT), next.to_pem().as_bytes())?)
    }

    /// The next certificate takes the place of the present one, with its key, all at once.
    pub fn promote_next(&self) -> Result<(), IdentityError> {
        Ok(private::rename(&self.file(NEXT), &self.file(CURRENT))?)
    }

    /// Forgets what was to follow the present certificate.
    pub fn discard_next(&self) -> Result<(), IdentityError> {
        Ok(private::remove_if_any(&self.file(NEXT))?)
    }

    fn credential(&self, name: &str) -> Result<Option<Credential>, IdentityError> {
        let path = self.file(name);
        private::read_if_any(&path, MAX_FILE)?.map(|pem| Credential::parse(&pem, &path)).transpose()
    }

    fn missing(&self, name: &str) -> IdentityError {
        IdentityError::Damaged { path: self.file(name), reason: "it is missing".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use postern_protocol::seal::MAX_MEMBER_KEYS;

    use super::*;

    const TOKEN: TokenId = TokenId::from_bytes([7; 16]);
    const OTHER: TokenId = TokenId::from_bytes([8; 16]);

    fn folder() -> (tempfile::TempDir, IdentityDir) {
        let folder = tempfile::tempdir().unwrap();
        let identity = IdentityDir::open(&folder.path().join("state")).unwrap();
        (folder, identity)
    }

    /// A certificate is as good as another here: some bytes.
    fn enrolled() -> (tempfile::TempDir, IdentityDir) {
        let (folder, identity) = folder();
        let credential = identity.applicant(TOKEN, false).unwrap().with_certificate(b"first").unwrap();
        identity.enroll(&membership(), &credential, &trust::tests::trust(&[1])).unwrap();
        (folder, identity)
    }

    fn membership() -> Membership {
        Membership {
            cluster: "acme".parse().unwrap(),
            member: MemberId::from_bytes([1; 16]),
            controllers: Vec::new(),
            token: None,
        }
    }

    fn certificates(identity: &IdentityDir) -> (Vec<u8>, Option<Vec<u8>>) {
        let loaded = identity.load().unwrap().unwrap();
        let certificate = |it: &Credential| it.certificate().map(|it| it.to_vec());
        (certificate(&loaded.current).unwrap(), loaded.next.as_ref().and_then(certificate))
    }

    #[test]
    fn keys_are_made_once() {
        let (_folder, identity) = folder();
        let (first, again) = (identity.applicant(TOKEN, false).unwrap(), identity.applicant(TOKEN, false).unwrap());
        assert_eq!(first.request(), again.request());
        assert_eq!(*first.to_pem(), *again.to_pem());
        assert!(identity.load().unwrap().is_none(), "keys alone are no membership");
    }

    #[test]
    fn a_membership_that_is_complete_is_asked_for_again_with_the_key_it_has_and_another_with_a_new_one() {
        let (_folder, identity) = enrolled();
        let current = identity.load().unwrap().unwrap().current;
        assert_eq!(identity.applicant(TOKEN, true).unwrap().request(), current.request());
        assert_ne!(identity.applicant(TOKEN, false).unwrap().request(), current.request());
    }

    /// Keep the sealing key, or take the key that a renewal has begun with, and this fails: whoever stole the directory
    /// would have the next member's keys.
    #[test]
    fn a_member_that_takes_the_place_of_another_has_keys_of_its_own() {
        let (_folder, identity) = enrolled();
        let before = identity.sealing_keys().unwrap();
        let renewal = identity.prepare_next().unwrap();

        let applicant = identity.applicant(OTHER, false).unwrap();
        assert_ne!(applicant.request(), renewal.request());
        let keys = identity.sealing_keys().unwrap();
        assert_ne!(keys[0].known.id, before[0].known.id);
        assert_eq!(keys[1].known, before[0].known, "what waits for the old member is opened");

        let again = identity.applicant(OTHER, false).unwrap();
        assert_eq!(again.request(), applicant.request(), "the answer was lost");
        assert_eq!(identity.sealing_keys().unwrap()[0].known, keys[0].known);
    }

    /// An enrollment that came to nothing, and the old member goes on and renews its certificate: the same token once more.
    #[test]
    fn an_enrollment_that_is_tried_again_does_not_take_the_key_of_a_renewal() {
        let (_folder, identity) = enrolled();
        let applicant = identity.applicant(OTHER, false).unwrap();
        let renewal = identity.prepare_next().unwrap();
        let again = identity.applicant(OTHER, false).unwrap();
        assert!(again.request() != renewal.request() && again.request() != applicant.request());
    }

    /// Take its key for that of a renewal, and the old member asks for a certificate of it, the token is presented again with
    /// another key, and the old member has the fingerprint of the one that waits to be approved.
    #[test]
    fn a_member_that_goes_on_keeps_the_key_of_an_enrollment_whose_answer_was_lost() {
        let (_folder, identity) = enrolled();
        let applicant = identity.applicant(OTHER, false).unwrap();
        assert!(identity.load().unwrap().unwrap().next.is_none());
        assert_eq!(identity.applicant(OTHER, false).unwrap().request(), applicant.request());

        let renewal = identity.prepare_next().unwrap();
        assert_eq!(identity.load().unwrap().unwrap().next.unwrap().request(), renewal.request());
    }

    /// Have each of them drop the oldest key, and whoever goes on as the old member cannot open what waits for it.
    #[test]
    fn enrollments_that_come_to_nothing_leave_the_key_that_the_controller_knows() {
        let (_folder, identity) = enrolled();
        let mut known = identity.sealing_keys().unwrap();
        known[0].known.acknowledged = Some(known[0].known.made);
        identity.store_sealing_keys(&known).unwrap();
        let mut made = BTreeSet::from([known[0].known.id.to_string()]);
        for number in 8..14 {
            identity.applicant(TokenId::from_bytes([number; 16]), false).unwrap();
            let keys = identity.sealing_keys().unwrap();
            assert!(made.insert(keys[0].known.id.to_string()), "each has a key of its own");
            assert_eq!(keys.last().unwrap().known, known[0].known, "enrollment {number}");
            assert!(keys.len() <= MAX_MEMBER_KEYS);
        }
    }

    #[test]
    fn the_present_certificate_stays_until_the_next_takes_its_place_with_its_key() {
        let (_folder, identity) = enrolled();
        let next = identity.prepare_next().unwrap();
        assert_eq!(certificates(&identity), (b"first".to_vec(), None));
        identity.store_next(&next.with_certificate(b"second").unwrap()).unwrap();
        assert_eq!(certificates(&identity), (b"first".to_vec(), Some(b"second".to_vec())));
        identity.promote_next().unwrap();
        assert_eq!(certificates(&identity), (b"second".to_vec(), None));
        assert_eq!(identity.load().unwrap().unwrap().current.request(), next.request());
        identity.discard_next().unwrap();
        assert_eq!(certificates(&identity), (b"second".to_vec(), None));
    }

    /// Refuse it, and whoever goes back to this version is told to throw away the membership and the keys that open what waits.
    #[test]
    fn a_membership_of_which_a_newer_version_knows_more_is_read() {
        let (_folder, identity) = enrolled();
        let mut known = serde_json::to_value(membership()).unwrap();
        known["since_a_newer_version"] = true.into();
        private::replace(&identity.file("membership.json"), &serde_json::to_vec(&known).unwrap()).unwrap();
        assert_eq!(identity.load().unwrap().unwrap().membership.member, membership().member);
        private::replace(&identity.file(CURRENT), b"-----BEGIN NEWER").unwrap();
        let told = identity.load().err().unwrap().to_string();
        let (newer, away) = (told.find("start that one again"), told.find("move its folder away"));
        assert!(newer.is_some() && newer < away, "{told}");
    }

    #[test]
    fn what_follows_and_cannot_be_understood_is_none() {
        let (_folder, identity) = enrolled();
        private::replace(&identity.file(NEXT), b"-----BEGIN").unwrap();
        assert_eq!(certificates(&identity), (b"first".to_vec(), None));
        private::replace(&identity.file(CURRENT), b"-----BEGIN").unwrap();
        let error = identity.load().err().unwrap().to_string();
        assert!(error.contains("current.pem") && error.contains("enroll"), "{error}");
    }

    /// Every moment at which a process can die in an enrollment leaves the old membership whole, or the new one.
    #[test]
    fn an_enrollment_that_broke_off_is_whole_or_not_there() {
        let (_folder, identity) = folder();
        let credential = identity.applicant(TOKEN, false).unwrap().with_certificate(b"first").unwrap();
        identity.store_next(&credential).unwrap();
        identity.store_trust(&trust::tests::trust(&[1])).unwrap();
        assert!(identity.load().unwrap().is_none());
        let text = serde_json::to_vec(&membership()).unwrap();
        private::replace(&identity.file("membership.json"), &text).unwrap();
        assert_eq!(certificates(&identity), (b"first".to_vec(), None));
        assert_eq!(identity.applicant(TOKEN, true).unwrap().request(), credential.request());
        identity.complete().unwrap();
        assert!(identity.file(CURRENT).exists() && !identity.file(NEXT).exists());
        assert_eq!(certificates(&identity), (b"first".to_vec(), None));
        identity.prepare_next().unwrap();
        identity.complete().unwrap();
        assert_eq!(certificates(&identity), (b"first".to_vec(), None), "a renewal is none of its business");
    }

    /// A certificate of this member.
    fn named(member: u8) -> Vec<u8> {
        let name = format!("spiffe://acme/{}", MemberId::from_bytes([member; 16]));
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = vec![rcgen::SanType::URI(name.try_into().unwrap())];
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    /// What follows is this member's only if its certificate names it.
    #[test]
    fn an_enrollment_as_another_member_that_broke_off_leaves_one_of_both() {
        let (_folder, identity) = folder();
        let (old, new) = (named(1), named(2));
        let credential = identity.applicant(TOKEN, false).unwrap().with_certificate(&old).unwrap();
        identity.enroll(&membership(), &credential, &trust::tests::trust(&[1])).unwrap();
        let next = identity.applicant(OTHER, false).unwrap();
        identity.store_next(&next.with_certificate(&new).unwrap()).unwrap();
        identity.complete().unwrap();
        assert_eq!(certificates(&identity), (old, None));
        assert_eq!(identity.applicant(OTHER, false).unwrap().request(), next.request(), "it is asked for again");

        let other = Membership { member: MemberId::from_bytes([2; 16]), ..membership() };
        private::replace(&identity.file("membership.json"), &serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(certificates(&identity), (new.clone(), None));
        identity.complete().unwrap();
        assert!(!identity.file(NEXT).exists());
        assert_eq!(certificates(&identity), (new, None));
    }

    #[test]
    fn keys_that_were_half_made_are_erased() {
        let (_folder, identity) = enrolled();
        let left = ["sealing.keys.new", "next.pem.new"].map(|name| identity.file(name));
        for file in &left {
            private::replace(file, b"a key").unwrap();
        }
        identity.erase_half_made().unwrap();
        assert!(left.iter().all(|file| !file.exists()));
    }

    #[test]
    fn a_renewal_falls_somewhere_around_half_the_life_of_its_certificate() {
        let credential = Credential::generate().unwrap();
        let draw = |certificate: &[u8]| credential.with_certificate(certificate).unwrap().draw();
        assert_eq!(draw(b"one"), draw(b"one"));
        assert_ne!(draw(b"one"), draw(b"other"));
    }
}
