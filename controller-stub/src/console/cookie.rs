//! The cookie that a session is shown with.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use data_encoding::HEXLOWER;

use super::sessions::{Key, LIFE};
use crate::hex;

const NAME: &str = "postern_session";

/// The key of the session that a request shows, if it shows one.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<Key> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|it| it.to_str().ok());
    let mut pairs = lines.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == NAME)?;
    hex::decode(value).map(Key::new)
}

/// Has the browser keep the key of a session that is opened from there.
pub(super) fn set(key: &Key, origin: &HeaderValue) -> String {
    written(&HEXLOWER.encode(&**key), LIFE.as_secs(), origin)
}

/// Has the browser forget it.
pub(super) fn clear(origin: &HeaderValue) -> String {
    written("", 0, origin)
}

/// No script reads it, and no other site's page has it sent. Where the console is reached by TLS, it travels by TLS alone.
fn written(value: &str, life: u64, origin: &HeaderValue) -> String {
    let secure = if origin.as_bytes().starts_with(b"https:") { "; Secure" } else { "" };
    format!("{NAME}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookie: &str) -> Option<Key> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
        session_of(&headers)
    }

    #[test]
    fn a_key_is_found_among_other_cookies_and_nothing_else_is_one() {
        let digits = "5e".repeat(32);
        for cookie in [format!("postern_session={digits}"), format!("a=b; postern_session={digits}; c=d")] {
            assert_eq!(sent(&cookie).as_deref(), Some(&[0x5e; 32]), "{cookie}");
        }
        for cookie in ["", "postern_session", "postern_session=", "postern_session=5e", &format!("other={digits}")] {
            assert!(sent(cookie).is_none(), "{cookie}");
        }
    }

    #[test]
    fn over_tls_the_cookie_travels_by_tls_alone() {
        let key = Key::new([1; 32]);
        let plain = set(&key, &HeaderValue::from_static("http://127.0.0.1:7080"));
        assert!(plain.ends_with("; HttpOnly; SameSite=Strict"), "{plain}");
        let tls = set(&key, &HeaderValue::from_static("https://postern.example.com"));
        assert!(tls.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{tls}");
    }
}
