//! What an org lets be seen of whether tasks will work: the way to sign in, the guard, the service account, what is left of
//! the org's allowances. Judged without I/O.

use postern_protocol::Failure;
use serde_json::Value as Json;

use super::api::Call;
use super::governor::Usage;
use super::login_history::SeenFrom;
use super::network::{Network, With};
use super::settings::Method;
use super::{Salesforce, error};
use crate::connector::Reach;
use crate::doctor::{Check, Finding};

const BEHIND_LOGIN: [Check; 4] =
    [Check::SystemAddress, Check::SystemPermissions, Check::SystemBudget, Check::SystemBulk];

const SECURE: &str = "change to `method = \"oauth-jwt\"` or `\"oauth-client-credentials\"`; the guide for Salesforce \
    administrators has the steps";

/// What tasks need, by the name that administrators know and the field that tells it.
const NEEDED: [Permission; 4] = [
    Permission { field: "PermissionsApiEnabled", name: "API Enabled", of: "everything", or: None },
    Permission {
        field: "PermissionsViewSetup",
        name: "View Setup and Configuration, or View All Users",
        of: "reading users, profiles and licenses",
        or: Some("PermissionsViewAllUsers"),
    },
    Permission {
        field: "PermissionsManageUsers",
        name: "Manage Users",
        of: "enable_user, disable_user, freeze_user, unfreeze_user, unlock_user, import_batch, deprovision_user, \
             restore_user",
        or: None,
    },
    Permission {
        field: "PermissionsResetPasswords",
        name: "Reset User Passwords and Unlock Users",
        of: "reset_password, expire_password, deprovision_user, restore_user, and passwords in datasets",
        or: None,
    },
];

/// One that not every org has.
const VIEW_ROLES: Permission =
    Permission { field: "PermissionsViewRoles", name: "View Roles", of: "exports of UserRole, and collect", or: None };

struct Permission {
    field: &'static str,
    name: &'static str,
    /// What cannot be done without it.
    of: &'static str,
    /// Another field that is as good.
    or: Option<&'static str>,
}

impl Permission {
    fn is_granted(&self, row: &Json) -> bool {
        let has = |field: &str| row.get(field).and_then(Json::as_bool).unwrap_or_default();
        has(self.field) || self.or.is_some_and(has)
    }
}

/// Looks as far as it may.
pub(super) async fn run(org: &Salesforce, reach: Reach, found: &mut Vec<Finding>) {
    found.push(method(&org.settings.method));
    if reach == Reach::Behind(Check::SystemConfiguration) {
        // Which credentials it is about is not known then.
        let rest = [Check::SystemGuard, Check::SystemLogin].into_iter().chain(BEHIND_LOGIN);
        found.extend(rest.map(|check| Finding::behind(check, Check::SystemConfiguration)));
        return;
    }
    let allowed = org.sessions.may_sign_in().await;
    let is_allowed = allowed.is_ok() || org.sessions.is_signed_in();
    found.push(guard(allowed));
    let login = match (reach, is_allowed) {
        (Reach::Behind(check), _) => Err(Finding::behind(Check::SystemLogin, check)),
        (Reach::Nothing, _) => Err(Finding::skipped(Check::SystemLogin, "not looked at: --offline")),
        (Reach::Everything, false) => Err(Finding::behind(Check::SystemLogin, Check::SystemGuard)),
        (Reach::Everything, true) => {
            let was_there = org.sessions.is_signed_in();
            match org.sessions.current().await {
                Ok(session) => Ok((session, was_there)),
                Err(failure) => Err(failed(Check::SystemLogin, &failure)),
            }
        }
    };
    let (session, was_there) = match login {
        Ok(login) => login,
        Err(finding) => {
            let because = finding.because;
            let told = finding.told.clone();
            let is_failed = finding.is_failed();
            found.push(finding);
            found.extend(BEHIND_LOGIN.map(|check| match (is_failed, because) {
                (true, _) => Finding::behind(check, Check::SystemLogin),
                (false, Some(other)) => Finding::behind(check, other),
                (false, None) => Finding::skipped(check, told.clone()),
            }));
            return;
        }
    };
    let host = session.instance.host_str().unwrap_or_default().to_owned();
    let org_id = &session.organization;
    found.push(Finding::ok(
        Check::SystemLogin,
        if was_there {
            format!("signed in to org {org_id} at {host}, in a session that tasks use")
        } else {
            format!("signed in to org {org_id} at {host}")
        },
    ));
    let limits = org.read(&Call::get("limits")).await.map(|answer| answer.json);
    if let Err(failure) = &limits
        && failure.code.as_str() == "REQUEST_LIMIT_EXCEEDED"
    {
        let budget = Check::SystemBudget;
        found.push(Finding::behind(Check::SystemAddress, budget));
        found.push(Finding::behind(Check::SystemPermissions, budget));
        found.push(failed(budget, failure));
        found.push(Finding::behind(Check::SystemBulk, budget));
        return;
    }
    let seen = org.seen_from(&session).await;
    let network = org.settings.method.login().map(|login| login.network);
    found.push(address(network, session.with, seen.as_ref(), !org.settings.trusted_ranges.is_empty()));
    found.push(permissions(org).await);
    found.push(match &limits {
        Ok(limits) => budget(allowance(limits, "DailyApiRequests"), org.settings.api_budget_percent),
        Err(failure) => untold_budget(failure),
    });
    let jobs = org.read(&Call::get("jobs/query")).await.map(drop);
    found.push(bulk(jobs, limits.ok().as_ref()));
}

/// What a failure of a call says of a check.
fn failed(check: Check, failure: &Failure) -> Finding {
    let told = format!("{} ({})", failure.summary.as_str(), failure.code.as_str());
    let next = match failure.next_step.as_str() {
        "" => "look up the code in the guide for Salesforce administrators",
        next => next,
    };
    Finding::failed(check, told, next)
}

/// The way to sign in, and its future.
pub(super) fn method(method: &Method) -> Finding {
    let name = method.name();
    let check = Check::SystemMethod;
    match method {
        Method::Soap { .. } => Finding::warning(
            check,
            format!(
                "`{name}`: the SOAP login exists up to API version 64, is off in new orgs, and is retired by Salesforce in \
                 Summer '27"
            ),
            SECURE,
        ),
        Method::OauthPassword { .. } => Finding::warning(
            check,
            format!(
                "`{name}`: OAuth username-password is off in orgs made since Summer '23, and External Client Apps lack it"
            ),
            SECURE,
        ),
        Method::OauthJwt { .. } | Method::OauthClientCredentials { .. } => {
            Finding::ok(check, format!("`{name}`, as Salesforce recommends"))
        }
    }
}

fn guard(allowed: Result<(), Failure>) -> Finding {
    match allowed {
        Ok(()) => Finding::ok(Check::SystemGuard, "a sign-in may be made"),
        Err(failure) => failed(Check::SystemGuard, &failure),
    }
}

/// Whether where the org saw the agent come from fits how it signs in.
fn address(network: Option<Network>, with: Option<With>, seen: Option<&SeenFrom>, are_listed: bool) -> Finding {
    let check = Check::SystemAddress;
    let Some(seen) = seen else {
        return Finding::warning(
            check,
            "the org does not say where it saw this agent come from",
            "give the service account Manage Users, or Monitor Login History, to have it told",
        );
    };
    let told = format!("the org saw this agent come from {}", seen.address);
    let Some(network) = network else {
        return Finding::ok(check, format!("{told}; this way to sign in needs no security token"));
    };
    let sent = match with {
        Some(With::Token) => "the password went with the security token",
        Some(With::PasswordAlone) | None => "the password went alone",
    };
    match (seen.trusted, network) {
        (Some(true), _) => Finding::ok(check, format!("{told}, which is in `trusted_ranges`; {sent}")),
        (Some(false), Network::TrustedIp) => Finding::failed(
            check,
            format!(
                "{told}, which is in none of `trusted_ranges`, and `network = \"trusted-ip\"` never sends the token"
            ),
            "add the address to the org's trusted ranges, or write `network = \"auto\"` with a `security_token`",
        ),
        (Some(false), Network::Token | Network::Auto) => Finding::warning(
            check,
            format!("{told}, which is in none of `trusted_ranges`; {sent}"),
            "correct `trusted_ranges`, or add the address to the org's; behind another way out the token is needed",
        ),
        (None, _) if are_listed => {
            Finding::warning(check, format!("{told}, which is no address; {sent}"), "look at the org's Login History")
        }
        (None, _) => Finding::ok(check, format!("{told}; {sent}; no `trusted_ranges` are listed to compare it with")),
    }
}

/// What the service account may do, all profiles and permission sets together.
async fn permissions(org: &Salesforce) -> Finding {
    let fields: Vec<&str> = NEEDED.iter().flat_map(|it| std::iter::once(it.field).chain(it.or)).collect();
    let granted = asked_of_permissions(org, &fields.join(", ")).await;
    // A field that an org does not have fails the whole statement.
    let roles = asked_of_permissions(org, VIEW_ROLES.field).await;
    judge_permissions(&granted, roles.ok().as_ref())
}

async fn asked_of_permissions(org: &Salesforce, fields: &str) -> Result<Json, Failure> {
    let (rows, _) = org.query(&format!("SELECT {fields} FROM UserPermissionAccess")).await?;
    rows.into_iter().next().ok_or_else(|| error::strange(200))
}

fn judge_permissions(granted: &Result<Json, Failure>, roles: Option<&Json>) -> Finding {
    let check = Check::SystemPermissions;
    let granted = match granted {
        Ok(row) => row,
        Err(failure) => {
            let told = format!("the org does not say what the service account may do: {}", failure.summary.as_str());
            return Finding::warning(
                check,
                told,
                "compare it with the table in the guide for Salesforce administrators",
            );
        }
    };
    let mut lacking: Vec<&Permission> = NEEDED.iter().filter(|it| !it.is_granted(granted)).collect();
    let is_hindered = !lacking.is_empty();
    lacking.extend(Some(&VIEW_ROLES).filter(|it| roles.is_some_and(|row| !it.is_granted(row))));
    if lacking.is_empty() {
        return Finding::ok(check, "the service account may do what every kind of task needs");
    }
    let told: Vec<String> = lacking.iter().map(|it| format!("{} (for {})", it.name, it.of)).collect();
    let told = format!("the service account lacks {}", told.join("; "));
    let next = "grant it by a permission set, or leave the tasks that need it to others (`kinds` of the policy)";
    if is_hindered { Finding::failed(check, told, next) } else { Finding::warning(check, told, next) }
}

/// What is left of one of the org's allowances, and how much there is of it.
fn allowance(limits: &Json, name: &str) -> Option<(u64, u64)> {
    let of = limits.get(name)?;
    Some((of.get("Remaining")?.as_u64()?, of.get("Max")?.as_u64()?))
}

fn budget(left: Option<(u64, u64)>, batch_percent: u8) -> Finding {
    let check = Check::SystemBudget;
    let Some((left, of)) = left else {
        return Finding::warning(
            check,
            "the org does not say how many API calls are left",
            "look at Setup, Company Information",
        );
    };
    let usage = Usage { used: of.saturating_sub(left), of };
    let told = format!("{} of {of} API calls of 24 hours are used", usage.used);
    let next = "look who uses them (Setup, API Usage); others than this agent count as well";
    if left == 0 {
        Finding::failed(check, format!("{told}: no call is answered"), next)
    } else if usage.is_at_least(batch_percent) {
        let told = format!("{told}; from {batch_percent} % on imports, exports, collections and describe_schema wait");
        Finding::warning(check, told, next)
    } else {
        Finding::ok(check, told)
    }
}

/// What no answer says of the budget. An account that may not ask how much is left may use it all the same.
fn untold_budget(failure: &Failure) -> Finding {
    if error::is_retryable(failure) {
        return failed(Check::SystemBudget, failure);
    }
    Finding::warning(
        Check::SystemBudget,
        format!(
            "the org does not say how many API calls are left: {} ({})",
            failure.summary.as_str(),
            failure.code.as_str()
        ),
        "give the service account View Setup and Configuration; until then batches do not wait for people and single tasks",
    )
}

fn bulk(jobs: Result<(), Failure>, limits: Option<&Json>) -> Finding {
    let check = Check::SystemBulk;
    if let Err(failure) = jobs {
        let told = format!("bulk jobs cannot be had: {}", failure.summary.as_str());
        let next = "large imports and exports need them: check the org's edition, and that its API is on";
        return Finding::failed(check, told, next);
    }
    let lefts = ["DailyBulkApiBatches", "DailyBulkV2QueryJobs"];
    let used_up =
        lefts.iter().find(|name| limits.and_then(|it| allowance(it, name)).is_some_and(|(left, _)| left == 0));
    match used_up {
        Some(name) => Finding::warning(
            check,
            format!("bulk jobs can be had, but none more today ({name})"),
            "large imports and exports wait until tomorrow; look who uses them up",
        ),
        None => Finding::ok(check, "bulk jobs can be had"),
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::FailureClass;
    use serde_json::json;

    use super::*;
    use crate::doctor::Status;

    fn seen(trusted: Option<bool>) -> SeenFrom {
        SeenFrom { address: "203.0.113.7".to_owned(), trusted }
    }

    #[test]
    fn an_address_matters_to_passwords_alone_and_as_far_as_the_token_does_not_go_along() {
        let of = |network, trusted| address(network, Some(With::PasswordAlone), Some(&seen(trusted)), true).status;
        assert_eq!(of(None, Some(false)), Status::Ok);
        assert_eq!(of(Some(Network::TrustedIp), Some(true)), Status::Ok);
        assert_eq!(of(Some(Network::TrustedIp), Some(false)), Status::Failed);
        assert_eq!(of(Some(Network::Auto), Some(false)), Status::Warning);
        assert_eq!(of(Some(Network::Auto), None), Status::Warning);
        assert_eq!(address(Some(Network::Auto), None, Some(&seen(None)), false).status, Status::Ok);
        assert_eq!(address(None, None, None, false).status, Status::Warning);
    }

    #[test]
    fn a_permission_that_is_lacking_is_told_with_what_cannot_be_done() {
        let all = |manage: bool| {
            json!({
                "PermissionsApiEnabled": true, "PermissionsViewSetup": false, "PermissionsViewAllUsers": true,
                "PermissionsManageUsers": manage, "PermissionsResetPasswords": true,
            })
        };
        let roles = json!({ "PermissionsViewRoles": false });
        assert_eq!(judge_permissions(&Ok(all(true)), None).status, Status::Ok);
        assert_eq!(judge_permissions(&Ok(all(true)), Some(&roles)).status, Status::Warning);
        let lacking = judge_permissions(&Ok(all(false)), None);
        assert_eq!(lacking.status, Status::Failed);
        assert!(lacking.told.contains("Manage Users (for enable_user"), "{lacking:?}");
        let silent = judge_permissions(&Err(error::strange(500)), None);
        assert_eq!(silent.status, Status::Warning);
    }

    #[test]
    fn the_budget_warns_from_where_batches_wait_and_fails_at_nothing() {
        let status = |left| budget(Some((left, 1_000)), 75).status;
        assert_eq!((status(251), status(250), status(0)), (Status::Ok, Status::Warning, Status::Failed));
        assert_eq!(budget(None, 75).status, Status::Warning);
    }

    #[test]
    fn a_budget_that_may_not_be_asked_for_keeps_no_task_from_working() {
        let told = |class| untold_budget(&Failure::new(class, "FORBIDDEN", "no"));
        for class in [FailureClass::Rejected, FailureClass::Unauthorized] {
            let warned = told(class);
            assert_eq!((warned.status, warned.told.contains("FORBIDDEN")), (Status::Warning, true), "{warned:?}");
        }
        assert_eq!(told(FailureClass::Transient).status, Status::Failed);
    }

    #[test]
    fn bulk_jobs_are_had_or_not_or_used_up() {
        let limits = json!({ "DailyBulkApiBatches": { "Max": 15_000, "Remaining": 0 } });
        assert_eq!(bulk(Ok(()), None).status, Status::Ok);
        assert_eq!(bulk(Ok(()), Some(&limits)).status, Status::Warning);
        assert_eq!(bulk(Err(error::strange(403)), None).status, Status::Failed);
    }
}
