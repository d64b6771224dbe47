//! The signed assertion of the OAuth JWT bearer flow: RS256, valid for three minutes.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use postern_protocol::Secret;
use postern_protocol::time::UnixMillis;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

/// Salesforce takes up to five; two are left for clocks that differ.
const VALID_FOR: Duration = Duration::from_secs(180);

/// Why an assertion cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwtError {
    /// Not a private key.
    #[error("the private key is not an RSA key in PEM form (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`)")]
    NotAKey,
    /// A key that cannot be used.
    #[error("the private key is not a usable RSA key of at least 2048 bits")]
    Unusable,
}

/// Who asks for whom, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims<'a> {
    pub(super) consumer_key: &'a str,
    pub(super) username: &'a str,
    pub(super) audience: &'a str,
}

/// Signs an assertion that is valid from `now`.
pub(super) fn sign(claims: Claims<'_>, key: &Secret, now: UnixMillis) -> Result<Secret, JwtError> {
    let key = parse(key)?;
    let expires = now.0 / 1_000 + VALID_FOR.as_secs();
    let payload = json!({ "iss": claims.consumer_key, "sub": claims.username, "aud": claims.audience, "exp": expires });
    let encode = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&json!({ "alg": "RS256" })), encode(&payload));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| JwtError::Unusable)?;
    Ok(Secret::new(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))))
}

/// Whether assertions can be signed with `key`.
pub(super) fn check(key: &Secret) -> Result<(), JwtError> {
    parse(key).map(drop)
}

fn parse(pem: &Secret) -> Result<KeyPair, JwtError> {
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| JwtError::NotAKey)?;
    match der {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| JwtError::Unusable),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| JwtError::Unusable),
        PrivateKeyDer::Sec1(_) | _ => Err(JwtError::NotAKey),
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const CLAIMS: Claims<'static> =
        Claims { consumer_key: "3MVG9", username: "svc@acme.example", audience: "https://x" };
    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn pkcs8() -> Secret {
        Secret::new(include_str!("testdata/pkcs8.pem").to_owned())
    }

    /// Feature C1.
    #[test]
    fn an_assertion_verifies_with_the_public_key() {
        let assertion = sign(CLAIMS, &pkcs8(), NOW).unwrap();
        let (signed, signature) = assertion.expose().rsplit_once('.').unwrap();
        let public = parse(&pkcs8()).unwrap().public().as_ref().to_vec();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &signature).unwrap();

        let payload = BASE64URL_NOPAD.decode(signed.split_once('.').unwrap().1.as_bytes()).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["exp"], 1_800_000_180);
        assert_eq!(payload["sub"], "svc@acme.example");
    }

    #[test]
    fn both_pem_forms_of_a_key_sign_alike() {
        let pkcs1 = Secret::new(include_str!("testdata/pkcs1.pem").to_owned());
        let (one, other) = (sign(CLAIMS, &pkcs8(), NOW).unwrap(), sign(CLAIMS, &pkcs1, NOW).unwrap());
        assert_eq!(one.expose(), other.expose());
    }

    #[test]
    fn what_is_not_an_rsa_key_is_refused() {
        let ec = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(sign(CLAIMS, &Secret::new(ec), NOW).unwrap_err(), JwtError::Unusable);
        assert_eq!(sign(CLAIMS, &Secret::new("hello".to_owned()), NOW).unwrap_err(), JwtError::NotAKey);
    }
}
