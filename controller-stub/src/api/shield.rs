//! What browsers are told, and what is turned away because only a browser would ask it.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Api, Problem};

/// What every answer says that does not say it otherwise: it is what it says it is, belongs to nobody's cache, and is no
/// page.
const SAID: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Turns away what only a browser would ask, and has every answer say how it is to be taken.
pub(super) async fn cover(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = match check(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in SAID {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn check(api: &Api, request: &Request) -> Result<(), Problem> {
    if !has_own_origin(request.headers()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "no page of a browser may call this API but the console's own",
        ));
    }
    let host = request.uri().host().or_else(|| request.headers().get(HOST)?.to_str().ok()).unwrap_or_default();
    if is_ours(host, &api.names) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "the header `Host` names another host: call the API by a loopback address, or start the controller with `serve \
         --api-name NAME` if a proxy passes that name on",
    ))
}

/// Whether no page calls, or one of the host that it calls. Its scheme is not looked at: a proxy may have made one of the other.
pub(super) fn has_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or_default();
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some() && host == headers.get(HOST).and_then(|it| it.to_str().ok())
}

/// Whether a caller means this API: a page that has its own name lead to the loopback gets no further.
pub(super) fn is_ours(host: &str, names: &[String]) -> bool {
    let name = without_brackets(without_port(host));
    is_this_host(name) || names.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Whether the host of a URL is the one that asks.
pub(crate) fn is_this_host(name: &str) -> bool {
    let is_loopback = without_brackets(name).parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback());
    is_loopback || name.eq_ignore_ascii_case("localhost")
}

/// An address of IPv6 as it is without a port.
fn without_brackets(name: &str) -> &str {
    name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_to_the_loopback_is_not_the_loopback() {
        let names = ["api.example.com".to_owned()];
        for ours in
            ["127.0.0.1:7080", "127.0.0.1", "[::1]:7080", "[::1]", "localhost:1", "LOCALHOST", "api.example.com"]
        {
            assert!(is_ours(ours, &names), "{ours}");
        }
        for other in ["", "evil.example", "evil.example:7080", "127.0.0.1.evil.example", "10.0.0.1:7080", "localhost."]
        {
            assert!(!is_ours(other, &names), "{other}");
        }
    }
}
