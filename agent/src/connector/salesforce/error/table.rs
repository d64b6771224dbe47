//! What Salesforce's error codes mean, and what to do about each.

use postern_protocol::FailureClass::{self, Interrupted, RateLimited, Rejected, Transient, Unauthorized};

use super::Counts;

/// What a code of Salesforce's means.
pub(super) struct Known {
    pub(super) code: &'static str,
    /// A piece of the message, in lower case; for codes that mean several things.
    pub(super) with: &'static str,
    /// What the failure is called here; the code, unless that means several things.
    pub(super) name: &'static str,
    pub(super) class: FailureClass,
    pub(super) next_step: &'static str,
}

impl Known {
    /// Whether it is about this code, with this message in lower case.
    pub(super) fn fits(&self, code: &str, message: &str) -> bool {
        self.code == code && message.contains(self.with)
    }
}

const fn known(code: &'static str, class: FailureClass, next_step: &'static str) -> Known {
    Known { code, with: "", name: code, class, next_step }
}

const fn named(
    (code, with): (&'static str, &'static str),
    name: &'static str,
    class: FailureClass,
    next_step: &'static str,
) -> Known {
    Known { code, with, name, class, next_step }
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
const TOO_MANY: &str = "Too many sign-ins were made within an hour. A controller's task is tried again by itself, until \
    its deadline; a command has ended, so run it again in an hour. Look for other programs that sign in with this account.";
const OWN_HOST: &str = "Write the org's own host as `domain`: `<my-domain>.my.salesforce.com`, or \
    `<my-domain>--<sandbox>.sandbox.my.salesforce.com`.";
const CLIENT_POLICY: &str = "Let an administrator allow this program for the service account (Connected Apps OAuth Usage, \
    login policies).";
const APP_ACCESS: &str = "Add the service account's profile or a permission set to the connected app.";
const ACTIVATE: &str = "Activate the service account in Salesforce.";
const CHECK_ASSERTION: &str =
    "Check that the certificate in the connected app belongs to `private_key`, and this host's clock.";
pub(super) const LATER: &str = "It may pass by itself; if the task has ended by then, submit it again.";
const BUDGET: &str = "The org has used up its API calls or runs too many at once. A controller's task is tried again by \
    itself, until its deadline; a command has ended, so run it again later. Look which programs use up the calls (Setup, \
    Company Information).";
const PERMISSIONS: &str = "Give the service account the permissions API Enabled, Manage Users, and Reset User Passwords \
    and Unlock Users.";
const ASK_ADMIN: &str = "Let an administrator of the Salesforce org look at it.";

/// What a code means at the sign-in, and whether it counts there. The first line that fits decides; codes that are not here mean what they mean
/// everywhere.
pub(super) const SIGN_IN: &[(Known, Counts)] = &[
    // SOAP login.
    (named(("INVALID_LOGIN", "rate exceeded"), "login_rate_exceeded", RateLimited, TOO_MANY), Counts::No),
    (known("LOGIN_RATE_EXCEEDED", RateLimited, TOO_MANY), Counts::No),
    (known("INVALID_LOGIN", Unauthorized, CHECK_LOGIN), Counts::Yes),
    (known("LOGIN_MUST_USE_SECURITY_TOKEN", Unauthorized, APPLY_TOKEN), Counts::Yes),
    (known("LOGIN_CHALLENGE_ISSUED", Unauthorized, APPLY_TOKEN), Counts::Yes),
    (known("LOGIN_CHALLENGE_PENDING", Unauthorized, APPLY_TOKEN), Counts::Yes),
    (
        known(
            "LOGIN_DURING_RESTRICTED_DOMAIN",
            Unauthorized,
            "Add this host's address to the login IP ranges of the service account's profile.",
        ),
        Counts::Yes,
    ),
    (
        known("LOGIN_DURING_RESTRICTED_TIME", Unauthorized, "Widen the login hours of the service account's profile."),
        Counts::No,
    ),
    (
        known(
            "PASSWORD_LOCKOUT",
            Unauthorized,
            "Correct the service account's password in the configuration first, then unlock the account in Salesforce.",
        ),
        Counts::Yes,
    ),
    (known("password_expired", Unauthorized, RENEW_PASSWORD), Counts::Yes),
    (known("UNSUPPORTED_API_VERSION", Unauthorized, LEAVE_SOAP), Counts::No),
    (
        named(
            ("INSUFFICIENT_ACCESS", ""),
            "api_auth_not_allowed",
            Unauthorized,
            "Give the service account the permission Use Any API Auth, or better leave the SOAP login: change to \
         `method = \"oauth-jwt\"`.",
        ),
        Counts::No,
    ),
    (known("ORG_NOT_OWNED_BY_INSTANCE", Unauthorized, OWN_HOST), Counts::No),
    (known("CLIENT_NOT_ACCESSIBLE_FOR_USER", Unauthorized, CLIENT_POLICY), Counts::No),
    (known("CLIENT_REQUIRE_UPDATE_FOR_USER", Unauthorized, CLIENT_POLICY), Counts::No),
    (known("UNSUPPORTED_CLIENT", Unauthorized, CLIENT_POLICY), Counts::No),
    (
        named(
            ("Client", ""),
            "request_mangled",
            Unauthorized,
            "Salesforce got something else than was sent: look at the proxy on the way.",
        ),
        Counts::No,
    ),
    (known("Server", Transient, LATER), Counts::No),
    // OAuth: few codes, told apart by their description.
    (
        named(
            ("invalid_grant", "hasn't approved"),
            "app_not_approved_by_user",
            Unauthorized,
            "Pre-authorize the service account for the connected app (OAuth policies: admin approved users).",
        ),
        Counts::No,
    ),
    (named(("invalid_grant", "not admin approved"), "app_not_approved", Unauthorized, APP_ACCESS), Counts::No),
    (named(("invalid_app_access", ""), "app_not_approved", Unauthorized, APP_ACCESS), Counts::No),
    (
        named(
            ("invalid_grant", "audience"),
            "wrong_audience",
            Unauthorized,
            "Set `audience` to https://login.salesforce.com, or https://test.salesforce.com for a sandbox.",
        ),
        Counts::No,
    ),
    (
        named(
            ("invalid_grant", "no client credentials user"),
            "no_run_as_user",
            Unauthorized,
            "Name a Run As user in the connected app's client credentials flow.",
        ),
        Counts::No,
    ),
    (named(("invalid_grant", "not supported on this domain"), "wrong_login_host", Unauthorized, OWN_HOST), Counts::No),
    (
        named(
            ("invalid_grant", "ip restricted"),
            "address_restricted",
            Unauthorized,
            "Relax the IP restrictions of the connected app, or add this host's address to the trusted ranges and to the \
         login IP ranges of the account's profile.",
        ),
        Counts::No,
    ),
    (named(("invalid_grant", "inactive user"), "inactive_user", Unauthorized, ACTIVATE), Counts::Yes),
    (known("inactive_user", Unauthorized, ACTIVATE), Counts::Yes),
    (named(("invalid_grant", "inactive organization"), "inactive_org", Unauthorized, ASK_ADMIN), Counts::No),
    (known("inactive_org", Unauthorized, ASK_ADMIN), Counts::No),
    (named(("invalid_grant", "invalid assertion"), "invalid_assertion", Unauthorized, CHECK_ASSERTION), Counts::No),
    (known("invalid_assertion", Unauthorized, CHECK_ASSERTION), Counts::No),
    (named(("invalid_grant", "expired access"), "expired_grant", Unauthorized, CHECK_ASSERTION), Counts::No),
    (named(("invalid_grant", "expired authorization"), "expired_grant", Unauthorized, CHECK_ASSERTION), Counts::No),
    (known("invalid_grant", Unauthorized, CHECK_OAUTH), Counts::Yes),
    (
        known("invalid_client_id", Unauthorized, "Check `consumer_key`; a new app takes ten minutes to work."),
        // Of no user was anything said.
        Counts::No,
    ),
    (known("invalid_client", Unauthorized, "Check `consumer_secret`."), Counts::Yes),
    (known("unsupported_grant_type", Unauthorized, "Allow this OAuth flow in the connected app."), Counts::No),
    (named(("rate_limit_exceeded", ""), "login_rate_exceeded", RateLimited, TOO_MANY), Counts::No),
    // Nothing was judged.
    (known("unknown_error", Transient, LATER), Counts::No),
    (known("server_error", Transient, LATER), Counts::No),
    (known("temporarily_unavailable", Transient, LATER), Counts::No),
];

/// What a code means. The first line that fits decides.
pub(super) const TABLE: &[Known] = &[
    // Sessions, permissions, the org as a whole.
    known("INVALID_SESSION_ID", Unauthorized, "If it stays, check the session policies of the org."),
    known("INVALID_AUTH_HEADER", Unauthorized, ASK_ADMIN),
    known("API_DISABLED_FOR_ORG", Unauthorized, "Give the service account's profile API Enabled."),
    known("INSUFFICIENT_ACCESS", Unauthorized, PERMISSIONS),
    known("INSUFFICIENT_ACCESS_OR_READONLY", Unauthorized, PERMISSIONS),
    known("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Unauthorized, PERMISSIONS),
    known("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", Unauthorized, RENEW_PASSWORD),
    known(
        "UNSUPPORTED_API_VERSION",
        Unauthorized,
        "Set `api_version` to one that the org has, or leave it out of the configuration.",
    ),
    known("TXN_SECURITY_NO_ACCESS", Unauthorized, ASK_ADMIN),
    known("TXN_SECURITY_TWO_FA_REQUIRED", Unauthorized, ASK_ADMIN),
    known("MUTUAL_AUTHENTICATION_FAILED", Unauthorized, ASK_ADMIN),
    known(
        "INVALIDUSER",
        Rejected,
        "Salesforce tells of a bulk job to the account that made it: let that account end what it began, or give the new \
         one Manage Data Integrations. Look at the users whose entries are unknown.",
    ),
    known("ORG_LOCKED", Unauthorized, ASK_ADMIN),
    known("TRIAL_EXPIRED", Unauthorized, ASK_ADMIN),
    known("ORG_NOT_OWNED_BY_INSTANCE", Transient, LATER),
    known("ORG_IN_MAINTENANCE", Transient, LATER),
    known("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", Transient, LATER),
    known("API_CURRENTLY_DISABLED", Transient, LATER),
    known("SERVER_UNAVAILABLE", Transient, LATER),
    known("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", Transient, LATER),
    known("SSO_SERVICE_DOWN", Transient, LATER),
    known("REQUEST_RUNNING_TOO_LONG", Transient, LATER),
    known("UNKNOWN_EXCEPTION", Transient, LATER),
    known("INTERNAL_SERVER_ERROR", Transient, LATER),
    known("UNABLE_TO_LOCK_ROW", Transient, LATER),
    known("TOO_MANY_APEX_REQUESTS", Transient, LATER),
    known("QUERY_TIMEOUT", Transient, LATER),
    known("REQUEST_LIMIT_EXCEEDED", RateLimited, BUDGET),
    known(
        "api_budget_reserved",
        RateLimited,
        "A controller's task is tried again every 15 minutes, until its deadline. Look which programs use up the calls \
         (Setup, Company Information), or raise `api_budget_percent`.",
    ),
    known(
        "api_budget_exceeded",
        Rejected,
        "Raise `api_budget_percent`, or ask for less: active users alone, no sign-ins.",
    ),
    // One user.
    known(
        "DUPLICATE_USERNAME",
        Rejected,
        "User names are unique across all Salesforce orgs: choose another, or modify the user that has it.",
    ),
    known(
        "username_taken_here",
        Rejected,
        "Choose another name, or rename the user that has it; validate_user shows who it is. If that is the user who is \
         meant, and the former name is somebody else's by now, submit `deprovision_user` with the present name as \
         `account` and as `new_name`.",
    ),
    known(
        "username_taken_elsewhere",
        Rejected,
        "Choose another name: user names are unique across all Salesforce orgs, and nobody here can free it.",
    ),
    known("name_too_long", Rejected, "Choose a name of at most 80 characters."),
    known(
        "email_confirmation_pending",
        Interrupted,
        "After the link in the mail was clicked, submit the same again. The link works for 72 hours; submitted later, a \
         new mail is sent.",
    ),
    known("DUPLICATE_COMM_NICKNAME", Rejected, "Choose another CommunityNickname, or leave it out."),
    known(
        "LICENSE_LIMIT_EXCEEDED",
        Rejected,
        "Setup, Company Information shows the stock; a user who is deactivated gives one back.",
    ),
    known("CANNOT_DISABLE_LAST_ADMIN", Rejected, "Make another active user an administrator first."),
    known(
        "DEPENDENCY_EXISTS",
        Rejected,
        "Take the user out of the place that Salesforce names (default owner, workflow user, …), or freeze the user.",
    ),
    known(
        "INVALID_NEW_PASSWORD",
        Rejected,
        "Choose a password that keeps to the org's password policies and was not used before.",
    ),
    known("user_inactive", Rejected, "Enable the user first: Salesforce sets passwords of active users only."),
    known("INACTIVE_OWNER_OR_USER", Rejected, "Enable the user first."),
    known(
        "user_login_hidden",
        Unauthorized,
        "Give the service account Manage Users, by its profile or a permission set.",
    ),
    known(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        Rejected,
        "Use one of the values that the field's picklist has in this org.",
    ),
    known("REQUIRED_FIELD_MISSING", Rejected, "Give the fields that Salesforce names."),
    known("INVALID_CROSS_REFERENCE_KEY", Rejected, "Check the ids of profile, role and manager."),
    known("STRING_TOO_LONG", Rejected, "Shorten the value."),
    known("INVALID_EMAIL_ADDRESS", Rejected, "User names and e-mails have the form name@domain.tld."),
];
