//! Salesforce's error codes in one table: what kind of failure each is, whether it counts toward a lock-out, and what
//! to do about it.

use postern_protocol::{Failure, FailureClass};

use FailureClass::{Interrupted, RateLimited, Rejected, Transient, Unauthorized};

use crate::http::{Hop, Lost};

/// The most characters of Salesforce's own words that are passed on.
const MAX_WORDS: usize = 400;

/// Whether a refused sign-in may have counted toward the lock-out of the service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// It may have.
    Yes,
    /// The credentials were not judged, or are right.
    No,
}

struct Known {
    code: &'static str,
    /// A piece of the message, in lower case; for codes that mean several things.
    with: &'static str,
    /// What the failure is called here; the code, unless that means several things.
    name: &'static str,
    class: FailureClass,
    counts: Counts,
    next_step: &'static str,
}

const fn known(code: &'static str, class: FailureClass, counts: Counts, next_step: &'static str) -> Known {
    Known { code, with: "", name: code, class, counts, next_step }
}

const fn named(
    (code, with): (&'static str, &'static str),
    name: &'static str,
    class: FailureClass,
    counts: Counts,
    next_step: &'static str,
) -> Known {
    Known { code, with, name, class, counts, next_step }
}

const CHECK_LOGIN: &str = "Check the service account's name and password; then whether it needs a security token \
    (obtain one in Salesforce: personal settings, Reset My Security Token, and apply it as `security_token`), whether it \
    is locked out, inactive or frozen. Its Login History in Salesforce tells which. A sandbox signs in at its own host.";
const APPLY_TOKEN: &str = "Obtain a security token (personal settings, Reset My Security Token) and apply it as \
    `security_token`, or let Salesforce trust this host's address (Setup, Network Access, Trusted IP Ranges; it may take \
    half an hour).";
const CHECK_OAUTH: &str = "Salesforce does not say more. Check name, password and security token; that the connected \
    app allows this flow (the username-password flow is off in orgs made since 2023); and the account's Login History.";
const RENEW_PASSWORD: &str = "Set a new password for the service account in Salesforce, and put it and its new security \
    token into the configuration. An account for programs should have a password that never expires.";
const LEAVE_SOAP: &str = "Salesforce has retired the SOAP login; change to `method = \"oauth-jwt\"` or \
    `\"oauth-client-credentials\"`.";
const TOO_MANY: &str = "Too many sign-ins were made within an hour; it is tried again later. Look for other programs that \
    sign in with this account.";
const OWN_HOST: &str = "Write the org's own host as `domain`: `<my-domain>.my.salesforce.com`, or \
    `<my-domain>--<sandbox>.sandbox.my.salesforce.com`.";
const CLIENT_POLICY: &str = "Let an administrator allow this program for the service account (Connected Apps OAuth Usage, \
    login policies).";
const APP_ACCESS: &str = "Add the service account's profile or a permission set to the connected app.";
const ACTIVATE: &str = "Activate the service account in Salesforce.";
const CHECK_ASSERTION: &str =
    "Check that the certificate in the connected app belongs to `private_key`, and this host's clock.";
const LATER: &str = "It is tried again by itself.";
const BUDGET: &str = "The org has used up its API calls or runs too many at once; it is tried again later.";
const PERMISSIONS: &str = "Give the service account the permissions API Enabled, Manage Users, and Reset User Passwords \
    and Unlock Users.";
const ASK_ADMIN: &str = "Let an administrator of the Salesforce org look at it.";

/// What a code means at the sign-in. The first line that fits decides; codes that are not here mean what they mean
/// everywhere.
const SIGN_IN: &[Known] = &[
    // SOAP login.
    named(("INVALID_LOGIN", "rate exceeded"), "login_rate_exceeded", RateLimited, Counts::No, TOO_MANY),
    known("LOGIN_RATE_EXCEEDED", RateLimited, Counts::No, TOO_MANY),
    known("INVALID_LOGIN", Unauthorized, Counts::Yes, CHECK_LOGIN),
    known("LOGIN_MUST_USE_SECURITY_TOKEN", Unauthorized, Counts::Yes, APPLY_TOKEN),
    known("LOGIN_CHALLENGE_ISSUED", Unauthorized, Counts::Yes, APPLY_TOKEN),
    known("LOGIN_CHALLENGE_PENDING", Unauthorized, Counts::Yes, APPLY_TOKEN),
    known(
        "LOGIN_DURING_RESTRICTED_DOMAIN",
        Unauthorized,
        Counts::Yes,
        "Add this host's address to the login IP ranges of the service account's profile.",
    ),
    known(
        "LOGIN_DURING_RESTRICTED_TIME",
        Unauthorized,
        Counts::No,
        "Widen the login hours of the service account's profile.",
    ),
    known(
        "PASSWORD_LOCKOUT",
        Unauthorized,
        Counts::Yes,
        "Correct the service account's password in the configuration first, then unlock the account in Salesforce.",
    ),
    known("password_expired", Unauthorized, Counts::Yes, RENEW_PASSWORD),
    known("UNSUPPORTED_API_VERSION", Unauthorized, Counts::No, LEAVE_SOAP),
    named(
        ("INSUFFICIENT_ACCESS", ""),
        "api_auth_not_allowed",
        Unauthorized,
        Counts::No,
        "Give the service account the permission Use Any API Auth, or better leave the SOAP login: change to \
         `method = \"oauth-jwt\"`.",
    ),
    known("ORG_NOT_OWNED_BY_INSTANCE", Unauthorized, Counts::No, OWN_HOST),
    known("CLIENT_NOT_ACCESSIBLE_FOR_USER", Unauthorized, Counts::No, CLIENT_POLICY),
    known("CLIENT_REQUIRE_UPDATE_FOR_USER", Unauthorized, Counts::No, CLIENT_POLICY),
    known("UNSUPPORTED_CLIENT", Unauthorized, Counts::No, CLIENT_POLICY),
    named(
        ("Client", ""),
        "request_mangled",
        Unauthorized,
        Counts::No,
        "Salesforce got something else than was sent: look at the proxy on the way.",
    ),
    // OAuth: few codes, told apart by their description.
    named(
        ("invalid_grant", "hasn't approved"),
        "app_not_approved_by_user",
        Unauthorized,
        Counts::No,
        "Pre-authorize the service account for the connected app (OAuth policies: admin approved users).",
    ),
    named(("invalid_grant", "not admin approved"), "app_not_approved", Unauthorized, Counts::No, APP_ACCESS),
    named(("invalid_app_access", ""), "app_not_approved", Unauthorized, Counts::No, APP_ACCESS),
    named(
        ("invalid_grant", "audience"),
        "wrong_audience",
        Unauthorized,
        Counts::No,
        "Set `audience` to https://login.salesforce.com, or https://test.salesforce.com for a sandbox.",
    ),
    named(
        ("invalid_grant", "no client credentials user"),
        "no_run_as_user",
        Unauthorized,
        Counts::No,
        "Name a Run As user in the connected app's client credentials flow.",
    ),
    named(("invalid_grant", "not supported on this domain"), "wrong_login_host", Unauthorized, Counts::No, OWN_HOST),
    named(
        ("invalid_grant", "ip restricted"),
        "address_restricted",
        Unauthorized,
        Counts::No,
        "Relax the IP restrictions of the connected app, or add this host's address to the trusted ranges and to the \
         login IP ranges of the account's profile.",
    ),
    named(("invalid_grant", "inactive user"), "inactive_user", Unauthorized, Counts::Yes, ACTIVATE),
    known("inactive_user", Unauthorized, Counts::Yes, ACTIVATE),
    named(("invalid_grant", "inactive organization"), "inactive_org", Unauthorized, Counts::No, ASK_ADMIN),
    known("inactive_org", Unauthorized, Counts::No, ASK_ADMIN),
    named(("invalid_grant", "invalid assertion"), "invalid_assertion", Unauthorized, Counts::No, CHECK_ASSERTION),
    known("invalid_assertion", Unauthorized, Counts::No, CHECK_ASSERTION),
    named(("invalid_grant", "expired access"), "expired_grant", Unauthorized, Counts::No, CHECK_ASSERTION),
    named(("invalid_grant", "expired authorization"), "expired_grant", Unauthorized, Counts::No, CHECK_ASSERTION),
    known("invalid_grant", Unauthorized, Counts::Yes, CHECK_OAUTH),
    known("invalid_client_id", Unauthorized, Counts::Yes, "Check `consumer_key`; a new app takes ten minutes to work."),
    known("invalid_client", Unauthorized, Counts::Yes, "Check `consumer_secret`."),
    known("unsupported_grant_type", Unauthorized, Counts::No, "Allow this OAuth flow in the connected app."),
    named(("rate_limit_exceeded", ""), "login_rate_exceeded", RateLimited, Counts::No, TOO_MANY),
];

/// What a code means. The first line that fits decides.
const TABLE: &[Known] = &[
    // Sessions, permissions, the org as a whole.
    known("INVALID_SESSION_ID", Unauthorized, Counts::No, "If it stays, check the session policies of the org."),
    known("INVALID_AUTH_HEADER", Unauthorized, Counts::No, ASK_ADMIN),
    known("API_DISABLED_FOR_ORG", Unauthorized, Counts::No, "Give the service account's profile API Enabled."),
    known("INSUFFICIENT_ACCESS", Unauthorized, Counts::No, PERMISSIONS),
    known("INSUFFICIENT_ACCESS_OR_READONLY", Unauthorized, Counts::No, PERMISSIONS),
    known("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Unauthorized, Counts::No, PERMISSIONS),
    known("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", Unauthorized, Counts::No, RENEW_PASSWORD),
    known(
        "UNSUPPORTED_API_VERSION",
        Unauthorized,
        Counts::No,
        "Set `api_version` to one that the org has, or leave it out of the configuration.",
    ),
    known("TXN_SECURITY_NO_ACCESS", Unauthorized, Counts::No, ASK_ADMIN),
    known("TXN_SECURITY_TWO_FA_REQUIRED", Unauthorized, Counts::No, ASK_ADMIN),
    known("MUTUAL_AUTHENTICATION_FAILED", Unauthorized, Counts::No, ASK_ADMIN),
    known("ORG_LOCKED", Unauthorized, Counts::No, ASK_ADMIN),
    known("TRIAL_EXPIRED", Unauthorized, Counts::No, ASK_ADMIN),
    known("ORG_NOT_OWNED_BY_INSTANCE", Transient, Counts::No, LATER),
    known("ORG_IN_MAINTENANCE", Transient, Counts::No, LATER),
    known("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", Transient, Counts::No, LATER),
    known("API_CURRENTLY_DISABLED", Transient, Counts::No, LATER),
    known("SERVER_UNAVAILABLE", Transient, Counts::No, LATER),
    known("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", Transient, Counts::No, LATER),
    known("SSO_SERVICE_DOWN", Transient, Counts::No, LATER),
    known("REQUEST_RUNNING_TOO_LONG", Transient, Counts::No, LATER),
    known("UNKNOWN_EXCEPTION", Transient, Counts::No, LATER),
    known("INTERNAL_SERVER_ERROR", Transient, Counts::No, LATER),
    known("UNABLE_TO_LOCK_ROW", Transient, Counts::No, LATER),
    known("TOO_MANY_APEX_REQUESTS", Transient, Counts::No, LATER),
    known("QUERY_TIMEOUT", Transient, Counts::No, LATER),
    known("REQUEST_LIMIT_EXCEEDED", RateLimited, Counts::No, BUDGET),
    // One user.
    known(
        "DUPLICATE_USERNAME",
        Rejected,
        Counts::No,
        "User names are unique across all Salesforce orgs: choose another, or modify the user that has it.",
    ),
    known(
        "username_taken_here",
        Rejected,
        Counts::No,
        "Choose another name, or rename the user that has it; validate_user shows who it is.",
    ),
    known(
        "username_taken_elsewhere",
        Rejected,
        Counts::No,
        "Choose another name: user names are unique across all Salesforce orgs, and nobody here can free it.",
    ),
    known("name_too_long", Rejected, Counts::No, "Choose a name of at most 80 characters."),
    known(
        "email_confirmation_pending",
        Interrupted,
        Counts::No,
        "After the link in the mail was clicked, submit the same again. The link works for 72 hours; submitted later, a \
         new mail is sent.",
    ),
    known("DUPLICATE_COMM_NICKNAME", Rejected, Counts::No, "Choose another CommunityNickname, or leave it out."),
    known(
        "LICENSE_LIMIT_EXCEEDED",
        Rejected,
        Counts::No,
        "Deactivate a user with the same license, or buy more; Setup, Company Information shows the stock.",
    ),
    known("CANNOT_DISABLE_LAST_ADMIN", Rejected, Counts::No, "Make another active user an administrator first."),
    known(
        "DEPENDENCY_EXISTS",
        Rejected,
        Counts::No,
        "Take the user out of the place that Salesforce names (default owner, workflow user, …), or freeze the user.",
    ),
    known(
        "INVALID_NEW_PASSWORD",
        Rejected,
        Counts::No,
        "Choose a password that keeps to the org's password policies and was not used before.",
    ),
    known(
        "user_inactive",
        Rejected,
        Counts::No,
        "Enable the user first: Salesforce sets passwords of active users only.",
    ),
    known("INACTIVE_OWNER_OR_USER", Rejected, Counts::No, "Enable the user first."),
    known(
        "user_login_hidden",
        Unauthorized,
        Counts::No,
        "Give the service account Manage Users, by its profile or a permission set.",
    ),
    known(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        Rejected,
        Counts::No,
        "Use one of the values that the field's picklist has in this org.",
    ),
    known("REQUIRED_FIELD_MISSING", Rejected, Counts::No, "Give the fields that Salesforce names."),
    known("INVALID_CROSS_REFERENCE_KEY", Rejected, Counts::No, "Check the ids of profile, role and manager."),
    known("STRING_TOO_LONG", Rejected, Counts::No, "Shorten the value."),
    known("INVALID_EMAIL_ADDRESS", Rejected, Counts::No, "User names and e-mails have the form name@domain.tld."),
];

fn find(table: &'static [Known], code: &str, message: &str) -> Option<&'static Known> {
    let message = message.to_lowercase();
    table.iter().find(|known| known.code == code && message.contains(known.with))
}

fn find_at_sign_in(code: &str, message: &str) -> Option<&'static Known> {
    find(SIGN_IN, code, message).or_else(|| find(TABLE, code, message))
}

/// The failure that a code of Salesforce's stands for, with what it says in its own words.
pub(super) fn failure(code: &str, message: &str) -> Failure {
    said(find(TABLE, code, message), code, message)
}

/// The failure that a code stands for at the sign-in.
pub(super) fn refused_sign_in(code: &str, message: &str) -> Failure {
    said(find_at_sign_in(code, message), code, message)
}

fn said(known: Option<&Known>, code: &str, message: &str) -> Failure {
    let (name, class, next_step) = known.map_or((code, Rejected, ""), |it| (it.name, it.class, it.next_step));
    let words = words(message);
    let summary = if words.is_empty() { format!("Salesforce answered {code}") } else { format!("Salesforce: {words}") };
    Failure::new(class, name, summary).with_next_step(next_step)
}

/// Whether a sign-in refused with this code may have counted toward a lock-out. An unknown code may have.
pub(super) fn counts(code: &str, message: &str) -> Counts {
    find_at_sign_in(code, message).map_or(Counts::Yes, |known| known.counts)
}

/// A failure that Postern found out by itself, with the table's next step.
pub(super) fn own(code: &str, summary: impl Into<String>) -> Failure {
    let (class, next_step) = find(TABLE, code, "").map_or((Rejected, ""), |known| (known.class, known.next_step));
    Failure::new(class, code, summary).with_next_step(next_step)
}

/// The failure of a request without an answer.
pub(super) fn lost(lost: &Lost) -> Failure {
    let code = match lost.hop {
        Hop::Dns => "unreachable_dns",
        Hop::Proxy => "unreachable_proxy",
        Hop::Connection => "unreachable",
        Hop::Tls => "unreachable_tls",
        Hop::Reply => "no_answer",
    };
    Failure::new(Transient, code, format!("Salesforce cannot be reached ({}): {}", lost.hop, words(&lost.to_string())))
        .with_next_step(lost.next_step())
}

/// The failure of an answer that is not Salesforce's.
pub(super) fn strange(status: u16) -> Failure {
    match status {
        // Salesforce's own edge says so when it knows no org of this host.
        420 => Failure::new(Unauthorized, "no_such_org", "Salesforce knows no org at this host (HTTP 420)")
            .with_next_step("Check `domain`: the org may have been renamed, moved or closed."),
        503 => {
            Failure::new(Transient, "maintenance_page", "a page was the answer (HTTP 503): the org is being maintained")
                .with_next_step("It is tried again by itself; Salesforce's status page says for how long.")
        }
        _ => {
            let summary = format!("the answer (HTTP {status}) is not one of Salesforce's API");
            Failure::new(Transient, "strange_answer", summary).with_next_step(
                "It may be a maintenance page or a proxy's; look at what stands between, and try again.",
            )
        }
    }
}

/// Whether another attempt may help.
pub(super) fn is_retryable(failure: &Failure) -> bool {
    matches!(failure.class.known(), Some(Transient | RateLimited | Interrupted))
}

/// Salesforce's words in one line, without its HTML, bounded.
pub(super) fn words(message: &str) -> String {
    let text = message.replace("<br>", " ").replace("<br/>", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_with_several_meanings_is_told_apart_by_its_message() {
        let approved = refused_sign_in("invalid_grant", "user hasn't approved this consumer");
        assert!(approved.next_step.contains("Pre-authorize"));
        let vague = refused_sign_in("invalid_grant", "authentication failure");
        assert!(vague.next_step.contains("Login History"));
        assert_eq!(counts("invalid_grant", "authentication failure"), Counts::Yes);
        assert_eq!(counts("invalid_grant", "Audience validation failed"), Counts::No);
        assert_eq!(refused_sign_in("INVALID_LOGIN", "Login Rate Exceeded").class.known(), Some(RateLimited));
        assert_eq!(refused_sign_in("INSUFFICIENT_ACCESS", "").code.as_str(), "api_auth_not_allowed");
        assert_eq!(failure("INSUFFICIENT_ACCESS", "").code.as_str(), "INSUFFICIENT_ACCESS");
    }

    /// Otherwise the second line would never be found.
    #[test]
    fn lines_with_a_message_come_before_those_without() {
        for table in [SIGN_IN, TABLE] {
            for (index, line) in table.iter().enumerate() {
                let mut later = table.iter().skip(index + 1);
                assert!(!(line.with.is_empty() && later.any(|it| it.code == line.code)), "{}", line.code);
            }
        }
    }

    #[test]
    fn the_recommended_procedures_of_the_seeds_are_there() {
        for code in ["INVALID_LOGIN", "LOGIN_MUST_USE_SECURITY_TOKEN"] {
            let step = refused_sign_in(code, "x").next_step.to_lowercase();
            assert!(step.contains("obtain") && step.contains("security"), "{code}: {step}");
        }
    }

    #[test]
    fn salesforces_words_become_one_line() {
        let failure = failure("DUPLICATE_USERNAME", "Duplicate Username.<br>The username \n already exists");
        assert_eq!(failure.summary.as_str(), "Salesforce: Duplicate Username. The username already exists");
        assert_eq!(words(&"x".repeat(1_000)).len(), MAX_WORDS);
    }

    #[test]
    fn an_unknown_code_is_a_refusal_that_may_count() {
        let failure = failure("NEVER_SEEN", "");
        assert_eq!(failure.class.known(), Some(Rejected));
        assert_eq!(failure.summary.as_str(), "Salesforce answered NEVER_SEEN");
        assert_eq!(counts("NEVER_SEEN", ""), Counts::Yes);
    }
}
