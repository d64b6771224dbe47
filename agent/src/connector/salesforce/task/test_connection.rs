//! Prove that the org can be reached and signed in to, and that its API answers.

use postern_protocol::Failure;
use postern_protocol::bounded::{List, Text};
use postern_protocol::task::test_connection::{Output, Request};

use super::super::governor::Usage;
use super::super::login_history::SeenFrom;
use super::super::settings::Method;
use super::super::sign_in::Session;
use super::super::{Salesforce, soql};
use crate::connector::Conclusion;

/// Said by the identity suites this agent serves, word for word but for who speaks.
const ESTABLISHED: &str = "Connection from the agent to the connected system was established successfully.";
const FAILED: &str = "Failed to establish connection from the agent to the connected system";

const SOAP_ENDS: &str = "The SOAP login exists up to API version 64, is off in new orgs, and will be retired by \
    Salesforce in Summer '27: change to `method = \"oauth-jwt\"` or `\"oauth-client-credentials\"`.";
const NO_USER_LOGIN: &str = "The service account may not see UserLogin, so whether users are frozen or locked is not \
    known: give it Manage Users.";

pub(in super::super) async fn run(org: &Salesforce, _: Request) -> Result<Conclusion, Failure> {
    let session = org.sessions.fresh().await.map_err(|failure| explained(failure, "login"))?;
    let own = soql::literal(&session.user);
    let query = format!("SELECT Username FROM User WHERE Id = {own}");
    let (rows, _) = org.query(&query).await.map_err(|failure| explained(failure, "API"))?;
    let account = rows.first().and_then(|row| row.get("Username")?.as_str()).unwrap_or_default();
    let seen_from = org.seen_from(&session).await;
    let warnings = warnings(org, &session, seen_from.as_ref()).await;
    let usage = org.governor.usage();
    let output = Output {
        message: Text::clipped(ESTABLISHED),
        instance: Text::clipped(session.instance.as_str().trim_end_matches('/')),
        organization: Text::clipped(session.organization.as_str()),
        account: Text::clipped(account),
        method: Text::clipped(org.settings.method.name()),
        network: Text::clipped(session.with.map(super::super::network::With::name).unwrap_or_default()),
        source_address: Text::clipped(seen_from.as_ref().map(|it| it.address.as_str()).unwrap_or_default()),
        trusted: seen_from.as_ref().and_then(|it| it.trusted),
        api_calls_used: usage.map(|it| it.used),
        api_calls_limit: usage.map(|it| it.of),
        warnings: List::clipped(warnings),
    };
    Ok(Conclusion::succeeded(output, postern_protocol::outcome::Changed::No))
}

async fn warnings(org: &Salesforce, session: &Session, seen_from: Option<&SeenFrom>) -> Vec<Text<512>> {
    let mut warnings = Vec::new();
    if matches!(org.settings.method, Method::Soap { .. }) {
        warnings.push(SOAP_ENDS.to_owned());
    }
    if let Some(SeenFrom { address, trusted: Some(false) }) = seen_from {
        warnings.push(format!(
            "Salesforce saw this agent come from {address}, which is in none of its `trusted_ranges`: behind a proxy or \
             another way out, passwords need the security token from there."
        ));
    }
    if let Ok(None) = org.user_login(&session.user).await {
        warnings.push(NO_USER_LOGIN.to_owned());
    }
    if let Some(Usage { used, of }) = org.governor.much_used() {
        warnings.push(format!("The org has used {used} of the {of} API calls it may make in 24 hours."));
    }
    warnings.into_iter().map(Text::clipped).collect()
}

/// The same failure, said as administrators know it from the identity suites, with the hop that failed.
fn explained(failure: Failure, step: &str) -> Failure {
    let hop = match failure.code.as_str() {
        "unreachable_dns" => "DNS",
        "unreachable_proxy" => "proxy",
        "unreachable" => "connection",
        "unreachable_tls" => "TLS",
        _ => step,
    };
    let summary = format!("{FAILED}; it failed at: {hop}. {}", failure.summary.as_str());
    Failure { summary: Text::clipped(summary), ..failure }
}
