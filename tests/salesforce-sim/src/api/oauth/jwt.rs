//! The JWT bearer grant: an assertion signed with RS256 by the key of the app's certificate.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value as Json;

use super::{Allowed, Denied, enter, find_app};
use crate::http::request::Request;
use crate::world::World;

/// How far ahead `exp` may lie, in seconds: five minutes, with some for the clock.
const MAX_AHEAD: i64 = 360;

/// The claims the grant looks at.
struct Claims {
    issuer: String,
    subject: String,
    audience: String,
    expires: i64,
}

/// Judges an assertion.
pub(super) fn by_assertion(world: &mut World, request: &Request, assertion: &str) -> Result<Allowed, Denied> {
    let invalid = || Denied::grant("invalid assertion");
    let (signed, signature) = assertion.rsplit_once('.').ok_or_else(invalid)?;
    let (header, payload) = signed.split_once('.').ok_or_else(invalid)?;
    let header = decode(header).ok_or_else(invalid)?;
    let claims = decode(payload).as_ref().and_then(claims).ok_or_else(invalid)?;
    let signature = BASE64URL_NOPAD.decode(signature.trim_end_matches('=').as_bytes()).map_err(|_| invalid())?;

    let (org, app) = find_app(world, &claims.issuer)?;
    if header.get("alg").and_then(Json::as_str) != Some("RS256") || !app.verifies(signed.as_bytes(), &signature) {
        return Err(invalid());
    }
    if !is_audience(&claims.audience, world.org(org).sandbox, request) {
        return Err(Denied::grant("Audience validation failed"));
    }
    let now = world.now() / 1_000;
    if claims.expires <= now || claims.expires > now + MAX_AHEAD {
        return Err(invalid());
    }
    let not_approved = || Denied::grant("user hasn't approved this consumer");
    let user = world.find_user(&claims.subject).ok_or_else(not_approved)?;
    if !app.approves(&claims.subject) {
        return Err(not_approved());
    }
    enter(world, request, user, app)
}

fn decode(part: &str) -> Option<Json> {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.trim_end_matches('=').as_bytes()).ok()?).ok()
}

/// `exp` may be a number or a text (simple-salesforce sends a text and real orgs take it).
fn claims(json: &Json) -> Option<Claims> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    let expires = json.get("exp")?;
    let expires = match expires.as_str() {
        Some(text) => text.parse().ok()?,
        None => expires.as_i64().or_else(|| expires.as_f64().and_then(whole))?,
    };
    Some(Claims { issuer: text("iss")?, subject: text("sub")?, audience: text("aud")?, expires })
}

fn whole(seconds: f64) -> Option<i64> {
    format!("{seconds:.0}").parse().ok()
}

/// The login host of the org's kind, or the address the caller used.
fn is_audience(audience: &str, sandbox: bool, request: &Request) -> bool {
    let audience = audience.trim_end_matches('/');
    let host = audience.split_once("://").map_or(audience, |(_, host)| host);
    let login = if sandbox { "https://test.salesforce.com" } else { "https://login.salesforce.com" };
    audience == login || host.eq_ignore_ascii_case(request.host())
}
