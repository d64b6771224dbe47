//! OAuth 2.0 token requests and what the token endpoint answers.

use data_encoding::BASE64;
use postern_protocol::Secret;
use serde::Deserialize;
use serde_json::Value as Json;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::domain::instance;
use super::session::is_token;
use super::user::is_id;
use crate::http::read_json;

/// The token endpoint.
pub(super) const PATH: &str = "/services/oauth2/token";

/// What the token endpoint answered. It may hold a session, so it has no `Debug`.
pub(super) enum Answer {
    /// A session.
    Session {
        /// Origin of the API.
        instance: Url,
        /// The access token.
        session: Zeroizing<String>,
        /// The service account's id.
        user: String,
        /// The org's id.
        organization: String,
    },
    /// A refusal.
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
}

#[derive(Deserialize)]
struct Token {
    #[serde(rename = "access_token")]
    access: String,
    instance_url: Url,
    /// `https://login.salesforce.com/id/<organization>/<user>`.
    id: Url,
}

/// The body of the JWT bearer flow.
pub(super) fn jwt_form(assertion: &Secret) -> Zeroizing<String> {
    form(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.expose())])
}

/// The body of the username-password flow. `password` has the security token appended where it is needed.
pub(super) fn password_form(consumer_key: &str, secret: &Secret, username: &str, password: &str) -> Zeroizing<String> {
    form(&[
        ("grant_type", "password"),
        ("client_id", consumer_key),
        ("client_secret", secret.expose()),
        ("username", username),
        ("password", password),
    ])
}

/// The body of the client credentials flow; key and secret go into [`basic`].
pub(super) fn client_form() -> Zeroizing<String> {
    form(&[("grant_type", "client_credentials")])
}

/// The header `Authorization` of a client.
pub(super) fn basic(consumer_key: &str, secret: &Secret) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{consumer_key}:{}", secret.expose()));
    Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
}

fn form(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// Reads an answer; `None` if it is not one, e.g. a maintenance page.
pub(super) fn parse(succeeded: bool, body: &[u8]) -> Option<Answer> {
    if !succeeded {
        return refusal(&read_json(body).ok()?);
    }
    let token: Token = read_json(body).ok().filter(|it: &Token| is_token(&it.access))?;
    let mut path = token.id.path_segments()?.rev();
    let mut id = || path.next().filter(|id| is_id(id)).map(str::to_owned);
    let (user, organization) = (id()?, id()?);
    let instance = instance(&token.instance_url)?;
    Some(Answer::Session { instance, session: Zeroizing::new(token.access), user, organization })
}

/// An object as OAuth has it, or the array of the REST API, which an org without API calls left answers with.
fn refusal(json: &Json) -> Option<Answer> {
    let object = json.as_array().map_or(Some(json), |list| list.first())?;
    let text = |names: [&str; 2]| names.into_iter().find_map(|name| object.get(name)?.as_str()).map(str::to_owned);
    let code = text(["error", "errorCode"])?;
    Some(Answer::Refused { code, message: text(["error_description", "message"]).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_even_if_fields_are_missing() {
        let body = br#"{"access_token":"00D5g000001AbCd!x","instance_url":"https://acme.my.salesforce.com",
            "id":"https://login.salesforce.com/id/00D5g000001AbCdEAK/0055g00000XyZ12AAF","issued_at":"1763766000000"}"#;
        let Some(Answer::Session { instance, session, user, organization }) = parse(true, body) else {
            panic!("it is a session")
        };
        assert_eq!((instance.as_str(), session.as_str()), ("https://acme.my.salesforce.com/", "00D5g000001AbCd!x"));
        assert_eq!((user.as_str(), organization.as_str()), ("0055g00000XyZ12AAF", "00D5g000001AbCdEAK"));
        let nobody = String::from_utf8_lossy(body).replace("0055g00000XyZ12AAF", "");
        assert!(parse(true, nobody.as_bytes()).is_none(), "nothing would protect the service account");
    }

    /// Both are kept as long as the session, and told to whoever asks how the agent is.
    #[test]
    fn an_org_has_an_id_and_a_host_that_there_may_be() {
        let longest = ["a", "b", "c"].map(|letter| letter.repeat(63)).join(".") + "." + &"d".repeat(61);
        for (org, host, is_one) in [
            ("00D5g000001AbCd", "acme.my.salesforce.com", true),
            ("", "acme.my.salesforce.com", false),
            ("00D5g000001AbCdEAKx", "acme.my.salesforce.com", false),
            ("00D5g000001A%1Bd", "acme.my.salesforce.com", false),
            ("00D5g000001AbCd", longest.as_str(), true),
            ("00D5g000001AbCd", &format!("{longest}d"), false),
        ] {
            let id = format!("https://login.salesforce.com/id/{org}/0055g00000XyZ12AAF");
            let instance = format!("https://{host}");
            let body = serde_json::json!({ "access_token": "00D5g000001AbCd!", "instance_url": instance, "id": id });
            assert_eq!(parse(true, body.to_string().as_bytes()).is_some(), is_one, "{org} at {host}");
        }
    }

    /// It would be taken out of every line of the log, and out of what others answer.
    #[test]
    fn what_is_too_short_to_be_a_token_is_no_session() {
        for (token, is_one) in [("", false), ("HTTP/", false), ("00D5g000001AbCd", false), ("00D5g000001AbCd!", true)] {
            let id = "https://login.salesforce.com/id/00D5g000001AbCdEAK/0055g00000XyZ12AAF";
            let body = serde_json::json!({ "access_token": token, "instance_url": "https://acme.my.salesforce.com", "id": id });
            assert_eq!(parse(true, body.to_string().as_bytes()).is_some(), is_one, "{token}");
        }
    }

    #[test]
    fn a_refusal_is_an_object_or_an_array_with_or_without_words() {
        let refused = |body: &str| match parse(false, body.as_bytes()) {
            Some(Answer::Refused { code, message }) => Some((code, message)),
            _ => None,
        };
        let pair = |code: &str, message: &str| Some((code.to_owned(), message.to_owned()));
        assert_eq!(refused(r#"{"error":"invalid_grant","error_description":"x"}"#), pair("invalid_grant", "x"));
        assert_eq!(refused(r#"{"error":"invalid_client"}"#), pair("invalid_client", ""));
        let limit = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
        assert_eq!(refused(limit), pair("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."));
        for nothing in ["", "[]", "{}", "<html></html>", "null"] {
            assert_eq!(refused(nothing), None);
        }
    }

    #[test]
    fn secrets_are_form_encoded_and_not_xml_escaped() {
        let form = password_form("k", &Secret::new("s&t".to_owned()), "a+b@c.d", "p&w=x");
        assert_eq!(
            form.as_str(),
            "grant_type=password&client_id=k&client_secret=s%26t&username=a%2Bb%40c.d&password=p%26w%3Dx"
        );
    }
}
