//! One root takes the place of another, with members that speak the protocol and nothing else.

use postern_controller_stub::ca::peer::Peer;
use postern_controller_stub::exit::{Exit, Failure};
use postern_controller_stub::state::roots::CaView;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{TrustBundle, TrustBundleAck};
use postern_protocol::session::Ended;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::member::{Application, Identity, Session, connect};

impl Lab {
    async fn rotate(&self, step: &str) -> Result<CaView, Failure> {
        self.rotate_with(step, json!({})).await
    }

    async fn rotate_with(&self, step: &str, how: Value) -> Result<CaView, Failure> {
        self.client().post(&format!("/v1/ca/rotation/{step}"), &how).await
    }

    async fn ca(&self) -> CaView {
        self.client().get("/v1/ca").await.unwrap()
    }

    /// Dies and comes back: what it knows is what is on its disk.
    async fn dies(&mut self) {
        self.kill();
        self.restart().await;
    }

    /// Waits until the member's word is on the controller's disk.
    async fn acknowledged(&self, identity: &Identity) {
        self.wait_for("the acknowledgement", async || {
            let view = self.ca().await;
            view.members.iter().any(|it| it.id == identity.member && it.acknowledged).then_some(())
        })
        .await;
    }
}

impl Session {
    /// The next bundle, whatever else is said before.
    async fn bundle(&mut self) -> TrustBundle {
        loop {
            if let FromController::TrustBundle(bundle) = self.next().await {
                return bundle;
            }
        }
    }

    /// The member stores the next bundle, and says so.
    async fn follow(&mut self, lab: &Lab, identity: &mut Identity) {
        let number = self.store(identity).await;
        self.send(TrustBundleAck { number }).await;
        lab.acknowledged(identity).await;
    }

    /// The member stores the next bundle, and its word of it never comes. Returns the bundle's number.
    async fn store(&mut self, identity: &mut Identity) -> u64 {
        let bundle = self.bundle().await;
        identity.trusts = bundle.roots.iter().map(|it| it.to_vec()).collect();
        bundle.number
    }

    async fn left(mut self, identity: &mut Identity) -> Ended {
        identity.last_session = self.number();
        self.ended().await
    }
}

async fn opened(lab: &Lab, identity: &mut Identity) -> Session {
    let session = Session::greet(lab, identity.hello(), identity).await.unwrap();
    identity.last_session = session.number();
    session
}

/// The member gets its next certificate and goes on under it.
async fn renew(lab: &Lab, identity: &Identity, session: &mut Session) -> (Identity, Session) {
    let application = Application::new();
    let certificate = session.ask_certificate(&application.csr).await.unwrap();
    let mut renewed = identity.with(&application, &certificate);
    renewed.last_session = session.number();
    let session = opened(lab, &mut renewed).await;
    (renewed, session)
}

fn numbers(view: &CaView) -> Vec<(u32, &str, usize)> {
    view.roots.iter().map(|it| (it.number.0, it.role.as_str(), it.certificates)).collect()
}

fn refused(answer: Result<CaView, Failure>, words: &[&str]) {
    let failure = answer.err().unwrap();
    assert_eq!(failure.exit, Exit::Refused, "{}", failure.text);
    for word in words {
        assert!(failure.text.contains(word), "{word}: {}", failure.text);
    }
}

/// The whole way, with a death in each phase. Leave `demand` out of `missing`, and both steps are made too early; drop the
/// old root in `after` at the switch, and the member is out.
#[tokio::test]
async fn a_root_takes_the_place_of_another_in_phases_that_survive_a_kill_each() {
    let mut lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let id = identity.member.to_string();
    let before = opened(&lab, &mut identity).await;
    assert_eq!(numbers(&lab.ca().await), [(1, "signs", 1)]);
    refused(lab.rotate("switch").await, &["ca rotate begin"]);

    let begun = lab.rotate("begin").await.unwrap();
    assert_eq!(numbers(&begun), [(1, "signs", 1), (2, "trusted", 0)]);
    refused(lab.rotate("begin").await, &["under way"]);
    refused(lab.rotate("finish").await, &["ca rotate switch"]);
    refused(lab.rotate("switch").await, &[&id, "--force", "enrolled again"]);
    drop(before);
    lab.dies().await;
    let mut session = opened(&lab, &mut identity).await;
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts.len(), 2);

    let old = identity.with(&Application::new(), b"");
    let switched = lab.rotate("switch").await.unwrap();
    assert_eq!(numbers(&switched), [(2, "signs", 0), (1, "trusted", 1)]);
    refused(lab.rotate("finish").await, &[&id, "root 1", "proof of their key"]);
    lab.dies().await;
    let mut session = opened(&lab, &mut identity).await;
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts, [old.trusts[1].clone(), old.trusts[0].clone()], "the new root comes first");
    let (mut identity, mut session) = renew(&lab, &identity, &mut session).await;
    assert_eq!(numbers(&lab.ca().await), [(2, "signs", 1), (1, "trusted", 0)]);

    let finished = lab.rotate("finish").await.unwrap();
    assert_eq!(numbers(&finished), [(2, "signs", 1), (1, "kept", 0)]);
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts.len(), 1);
    lab.dies().await;
    opened(&lab, &mut identity).await;
    assert_eq!(numbers(&lab.ca().await), [(2, "signs", 1), (1, "kept", 0)]);
}

/// Each step is undone by the one that follows it here, and the rotation goes on all the same.
#[tokio::test]
async fn each_phase_of_a_rotation_has_a_way_back() {
    let mut lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut session = opened(&lab, &mut identity).await;
    lab.rotate("begin").await.unwrap();
    session.follow(&lab, &mut identity).await;
    assert_eq!(numbers(&lab.rotate("back").await.unwrap()), [(1, "signs", 1), (2, "kept", 0)]);
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts.len(), 1);

    refused(lab.rotate_with("begin", json!({ "root": 3 })).await, &["never was a root 3"]);
    refused(lab.rotate_with("begin", json!({ "root": 0 })).await, &["never was a root 0"]);
    let begun = lab.rotate_with("begin", json!({ "root": 2 })).await.unwrap();
    assert_eq!(numbers(&begun), [(1, "signs", 1), (2, "trusted", 0)], "the root that was kept");
    session.follow(&lab, &mut identity).await;
    lab.rotate("switch").await.unwrap();
    session.follow(&lab, &mut identity).await;
    let (mut identity, mut session) = renew(&lab, &identity, &mut session).await;
    let back = lab.rotate("back").await.unwrap();
    assert_eq!(numbers(&back), [(1, "signs", 0), (2, "trusted", 1)]);
    session.follow(&lab, &mut identity).await;
    refused(lab.rotate("back").await, &[&identity.member.to_string(), "root 2"]);
    lab.dies().await;
    let mut session = opened(&lab, &mut identity).await;
    let (mut identity, mut session) = renew(&lab, &identity, &mut session).await;
    lab.rotate("switch").await.unwrap();
    session.follow(&lab, &mut identity).await;
    let (mut identity, mut session) = renew(&lab, &identity, &mut session).await;
    lab.rotate("finish").await.unwrap();
    session.follow(&lab, &mut identity).await;

    refused(lab.rotate("back").await, &["ca rotate begin"]);
    let begun = lab.rotate_with("begin", json!({ "root": 1 })).await.unwrap();
    assert_eq!(numbers(&begun), [(2, "signs", 1), (1, "trusted", 0)], "after the last step it is a rotation back");
}

/// It was told of the new root, and has a certificate of the old one when that is dropped. Leave `end_session` out of `enter`,
/// and the session it has goes on; leave the look at the root out of `admit_session`, and one begins that was let through TLS
/// before.
#[tokio::test]
async fn a_member_whose_root_was_dropped_is_out_at_once_and_back_by_proof_of_its_key() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut session = opened(&lab, &mut identity).await;
    lab.rotate("begin").await.unwrap();
    session.follow(&lab, &mut identity).await;
    lab.rotate("switch").await.unwrap();
    session.follow(&lab, &mut identity).await;
    let place = (postern_protocol::session::PATH, Some(postern_protocol::session::SUBPROTOCOL));
    let early = connect(&lab, place.0, place.1, Some(&identity)).await.unwrap();
    lab.rotate_with("finish", json!({ "force": true })).await.unwrap();
    // At once: who has connected has to say Hello soon.
    let Err(Ended::Refused { reason, .. }) = Session::welcomed_over(early, identity.member, identity.hello()).await
    else {
        panic!("welcomed")
    };
    assert_eq!(reason, "wrong_certificate");
    let Ended::GoneAway { reason, message, .. } = session.left(&mut identity).await else { panic!("no goodbye") };
    assert_eq!((reason.as_str(), message.contains("not trusted any more")), ("wrong_certificate", true), "{message}");
    assert!(connect(&lab, place.0, place.1, Some(&identity)).await.is_err(), "not even through TLS");

    let application = Application::new();
    let recovered = identity.recover(&lab, &application, None).await.unwrap();
    let mut identity = Identity {
        trusts: recovered.trust.roots.iter().map(|it| it.to_vec()).collect(),
        ..identity.with(&application, &recovered.certificate)
    };
    assert_eq!((recovered.member, identity.trusts.len()), (identity.member, 1));
    opened(&lab, &mut identity).await;
}

/// A member that was away cannot come in while a root signs that it does not know, and can as soon as that is undone.
#[tokio::test]
async fn a_member_that_was_away_is_shut_out_by_force_alone_and_comes_back_with_the_way_back() {
    let lab = Lab::start().await;
    let mut away = lab.enroll().await;
    lab.rotate("begin").await.unwrap();
    refused(lab.rotate("switch").await, &[&away.member.to_string()]);
    let switched = lab.rotate_with("switch", json!({ "force": true })).await.unwrap();
    assert!(switched.members.iter().all(|it| !it.acknowledged));
    let place = (postern_protocol::session::PATH, Some(postern_protocol::session::SUBPROTOCOL));
    assert!(connect(&lab, place.0, place.1, Some(&away)).await.is_err());

    lab.rotate("back").await.unwrap();
    let mut session = opened(&lab, &mut away).await;
    session.follow(&lab, &mut away).await;
    lab.rotate("switch").await.unwrap();

    lab.act(away.member, "revoke").await.unwrap();
    let finished = lab.rotate("finish").await.unwrap();
    assert!(finished.members.is_empty(), "one that was revoked is waited for by nobody");
}

/// From the switch on tokens name the new root, and enrollment brings every root that is trusted.
#[tokio::test]
async fn tokens_and_new_members_are_of_the_root_that_signs() {
    let lab = Lab::start().await;
    let before = lab.token().await;
    lab.rotate("begin").await.unwrap();
    let mut early = Identity::enroll(&lab, &before).await.unwrap();
    assert_eq!(early.trusts.len(), 2);
    let mut session = opened(&lab, &mut early).await;
    lab.rotate("switch").await.unwrap();
    session.follow(&lab, &mut early).await;
    let after = lab.token().await;
    assert_ne!(before.ca_sha256, after.ca_sha256);
    let mut late = Identity::enroll(&lab, &after).await.unwrap();
    assert_eq!(late.trusts, early.trusts);
    let view = lab.ca().await;
    assert_eq!(numbers(&view), [(2, "signs", 1), (1, "trusted", 1)]);
    assert!(view.members.iter().all(|it| it.acknowledged));
    opened(&lab, &mut late).await;
}

/// Compare the serial number alone in `acceptable`, and whoever has seen the key of a root is any member.
#[tokio::test]
async fn who_has_seen_the_key_of_a_root_is_no_member_by_that() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let read = |name: &str| std::fs::read(lab.data_dir().join(name)).unwrap();
    let stolen = PrivatePkcs8KeyDer::from(read("ca.key"));
    let stolen = KeyPair::from_pkcs8_der_and_sign_algo(&stolen, &PKCS_ECDSA_P256_SHA256).unwrap();
    let root = Issuer::from_ca_cert_der(&CertificateDer::from(read("ca.der")), stolen).unwrap();

    let mut names = CertificateParams::default();
    let peer = Peer::from_certificate(&CertificateDer::from(identity.certificate.clone())).unwrap();
    let uri = format!("spiffe://{}/{}", peer.cluster, peer.member);
    names.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    names.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    names.serial_number = Some(SerialNumber::from_slice(&peer.serial));
    let application = Application::new();
    let forged = names.signed_by(&application.key, &root).unwrap();
    let thief = identity.with(&application, forged.der());
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, thief.hello(), &thief).await else {
        panic!("welcomed")
    };
    assert_eq!(reason, "wrong_certificate");
}

/// What it acknowledges is what it was told last.
#[tokio::test]
async fn an_acknowledgement_of_an_earlier_bundle_counts_for_nothing() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut session = opened(&lab, &mut identity).await;
    let before = lab.ca().await.bundle;
    lab.rotate("begin").await.unwrap();
    assert_eq!(session.bundle().await.number, before + 1);
    session.send(TrustBundleAck { number: before }).await;
    session.send(TrustBundleAck { number: before + 7 }).await;
    session.ask_certificate(&Application::new().csr).await.unwrap();
    refused(lab.rotate("switch").await, &[&identity.member.to_string()]);
}

/// In every phase the next step is made before the word of the last bundle comes, and leads back to the roots that the
/// member spoke of last. Compare the roots in `push_trust` instead of the bundle's number, and it is not told; leave
/// `doubt_trust` out of `enter`, and the switch shuts it out.
#[tokio::test]
async fn what_was_stored_without_a_word_is_neither_believed_gone_nor_left_there() {
    let mut lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let id = identity.member.to_string();
    let mut session = opened(&lab, &mut identity).await;
    lab.rotate("begin").await.unwrap();
    session.store(&mut identity).await;
    lab.rotate("back").await.unwrap();
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts.len(), 1, "begin and back");

    lab.rotate_with("begin", json!({ "root": 2 })).await.unwrap();
    session.follow(&lab, &mut identity).await;
    let begun = identity.trusts.clone();
    lab.rotate("back").await.unwrap();
    session.store(&mut identity).await;
    lab.dies().await;
    let mut session = opened(&lab, &mut identity).await;
    session.store(&mut identity).await;
    lab.rotate_with("begin", json!({ "root": 2 })).await.unwrap();
    refused(lab.rotate("switch").await, &[&id]);
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts, begun, "back and begin");

    lab.rotate("switch").await.unwrap();
    session.store(&mut identity).await;
    lab.rotate("back").await.unwrap();
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts, begun, "switch and back: the first says of which root certificates are");

    lab.rotate("switch").await.unwrap();
    session.follow(&lab, &mut identity).await;
    let (mut identity, mut session) = renew(&lab, &identity, &mut session).await;
    let switched = identity.trusts.clone();
    lab.rotate("finish").await.unwrap();
    session.store(&mut identity).await;
    lab.rotate_with("begin", json!({ "root": 1 })).await.unwrap();
    refused(lab.rotate("switch").await, &[&id]);
    session.follow(&lab, &mut identity).await;
    assert_eq!(identity.trusts, switched, "finish and begin");
}

/// Both files of the root are gone, as in a backup that left out what is secret.
#[tokio::test]
async fn a_root_that_a_token_names_is_never_made_anew() {
    let mut lab = Lab::start().await;
    lab.token().await;
    lab.terminate();
    for file in ["ca.key", "ca.der"] {
        std::fs::remove_file(lab.data_dir().join(file)).unwrap();
    }
    let (code, _, err) = lab.command(&["serve", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("ca.key") && err.contains("backup"), "{err}");
    assert!(!lab.data_dir().join("ca.key").exists());
}

/// Take no word of the phase, and whoever asks again because the answer was lost takes back the beginning, too.
#[tokio::test]
async fn a_step_that_is_taken_back_twice_is_taken_back_once() {
    let lab = Lab::start().await;
    lab.rotate("begin").await.unwrap();
    let from = |phase: &str| json!({ "from": phase });
    refused(lab.rotate_with("switch", from("single")).await, &["is `begun` by now"]);
    lab.rotate_with("switch", from("begun")).await.unwrap();
    assert_eq!(lab.rotate_with("back", from("switched")).await.unwrap().phase, "begun");
    refused(lab.rotate_with("back", from("switched")).await, &["is `begun` by now, not `switched`"]);
    let (code, _, err) = lab.command(&["ca", "rotate", "back", "--from", "switched"]);
    assert!(code == Some(77) && err.contains("`begun` by now"), "{err}");
    assert_eq!(lab.ca().await.phase, "begun");
    let (code, out, err) = lab.command(&["ca", "rotate", "back", "--from", "begun"]);
    assert!(code == Some(0) && out.contains("single"), "{out}{err}");
    refused(lab.rotate_with("begin", from("single")).await, &["no other phase"]);
}

#[tokio::test]
async fn the_rotation_is_told_by_the_command_line_with_its_next_step() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let (code, out, _) = lab.command(&["ca", "rotate", "begin"]);
    assert!(code == Some(0) && out.contains("begun: ") && out.contains("next: postern-controller ca rotate"), "{out}");
    let (code, _, err) = lab.command(&["ca", "rotate", "switch"]);
    assert!(code == Some(77) && err.contains(&identity.member.to_string()), "{err}");
    let (code, out, _) = lab.command(&["ca", "status"]);
    assert!(code == Some(0) && out.contains(&format!("which waits for {}", identity.member)), "{out}");
    std::fs::remove_file(lab.data_dir().join("ca-2.key")).unwrap();
    let (_, out, _) = lab.command(&["ca", "rotate", "back"]);
    assert!(!out.contains("kept"), "a root whose key is gone cannot come back: {out}");
    let (code, _, err) = lab.command(&["ca", "rotate", "begin", "--root", "2"]);
    assert!(code == Some(77) && err.contains("ca-2.key"), "{err}");
}
