//! `login()`: retired from v65 on, and vague about why it refuses.

use quick_xml::escape::escape;

use super::envelope::Body;
use super::fault::Fault;
use crate::http::request::Request;
use crate::org::login::{Attempt, Refusal};
use crate::schema::user;
use crate::world::{Caller, World};

/// Newest version that has `login()` (published retirement notice).
const LAST_VERSION: u32 = 64;

const INVALID: &str = "Invalid username, password, security token; or user locked out.";
const TOKEN_NEEDED: &str = "Invalid username, password, security token; or user locked out. Are you at a new location? \
    When accessing Salesforce--either via a desktop client or the API--from outside of your company's trusted networks, \
    you must add a security token to your password to log in. To get your new security token, log in to Salesforce. \
    From your personal settings, enter Reset My Security Token in the Quick Find box, then select Reset My Security \
    Token.";

/// Answers `login()`.
pub(super) fn log_in(
    world: &mut World,
    request: &Request,
    kind: &str,
    version: u32,
    body: &Body,
) -> Result<String, Fault> {
    world.tally.route("SOAP login");
    if version > LAST_VERSION {
        let code = world.assumptions.soap_login_retired_code.clone();
        return Err(Fault::login(code, "login() is not available in this API version. Use OAuth."));
    }
    let Some((org, id)) = world.find_user(body.field("username")) else {
        world.tally.login(None, false);
        return Err(Fault::login("INVALID_LOGIN", INVALID));
    };
    let (now, assumptions) = (world.now(), world.assumptions.clone());
    let api_version = format!("{version}.0");
    let attempt = Attempt {
        source: world.source.unwrap_or(request.source),
        login_type: if kind == "u" { "Partner Product" } else { "Other Apex API" },
        application: "N/A",
        api_type: if kind == "u" { "SOAP Partner" } else { "SOAP Enterprise" },
        api_version: &api_version,
        url: request.host(),
    };
    let allowed = world.org(org).soap_login;
    let verdict = if allowed {
        world.org_mut(org).log_in_with_password(id, body.field("password"), &attempt, &assumptions, now)
    } else {
        world.org_mut(org).refuse_login(id, Refusal::ApiDisabled, &attempt, now);
        Err(Refusal::ApiDisabled)
    };
    world.tally.login(Some(id), verdict.is_ok());
    let granted = verdict.map_err(fault)?;
    let caller = Caller { org, user: id };
    let session = world.open_session(caller, granted.expired, None);
    Ok(result(world, request, kind, &api_version, caller, &session, granted.expired))
}

fn fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::TokenNeeded => Fault::login("LOGIN_MUST_USE_SECURITY_TOKEN", TOKEN_NEEDED),
        Refusal::RestrictedAddress => {
            Fault::login("LOGIN_DURING_RESTRICTED_DOMAIN", "cannot log in from current domain")
        }
        Refusal::RateExceeded => Fault::login("INVALID_LOGIN", "Login Rate Exceeded"),
        Refusal::ApiDisabled => {
            Fault::login("API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner")
        }
        Refusal::UnknownUser
        | Refusal::Inactive
        | Refusal::Frozen
        | Refusal::Locked
        | Refusal::WrongPassword
        | Refusal::FlowDisabled => Fault::login("INVALID_LOGIN", INVALID),
    }
}

fn result(
    world: &World,
    request: &Request,
    kind: &str,
    version: &str,
    caller: Caller,
    session: &str,
    expired: bool,
) -> String {
    let base = world.instance_url.clone().unwrap_or_else(|| request.address());
    let org = world.org(caller.org);
    let short = org.id.short();
    let info = user_info(world, caller);
    format!(
        "<loginResponse><result><metadataServerUrl>{base}/services/Soap/m/{version}/{short}</metadataServerUrl>\
         <passwordExpired>{expired}</passwordExpired><sandbox>{}</sandbox>\
         <serverUrl>{base}/services/Soap/{kind}/{version}/{short}</serverUrl><sessionId>{session}</sessionId>\
         <userId>{}</userId><userInfo>{info}</userInfo></result></loginResponse>",
        org.sandbox, caller.user
    )
}

/// The elements of `userInfo`, in the order of published responses.
pub(super) fn user_info(world: &World, caller: Caller) -> String {
    let org = world.org(caller.org);
    let Some(row) = org.user(caller.user) else { return String::new() };
    let text = |column: usize| escape(row.text(column)).into_owned();
    let id = |column: usize| row.get(column).as_id().map(|it| it.to_string());
    let role = match id(user::USER_ROLE_ID) {
        Some(role) => format!("<roleId>{role}</roleId>"),
        None => "<roleId xsi:nil=\"true\"/>".to_owned(),
    };
    format!(
        "<accessibilityMode>false</accessibilityMode><chatterExternal>false</chatterExternal>\
         <currencySymbol>$</currencySymbol><orgAttachmentFileSizeLimit>5242880</orgAttachmentFileSizeLimit>\
         <orgDefaultCurrencyIsoCode>USD</orgDefaultCurrencyIsoCode>\
         <orgDefaultCurrencyLocale>en_US</orgDefaultCurrencyLocale>\
         <orgDisallowHtmlAttachments>false</orgDisallowHtmlAttachments>\
         <orgHasPersonAccounts>false</orgHasPersonAccounts><organizationId>{}</organizationId>\
         <organizationMultiCurrency>false</organizationMultiCurrency><organizationName>{}</organizationName>\
         <profileId>{}</profileId>{role}<sessionSecondsValid>{}</sessionSecondsValid>\
         <userDefaultCurrencyIsoCode xsi:nil=\"true\"/><userEmail>{}</userEmail><userFullName>{}</userFullName>\
         <userId>{}</userId><userLanguage>{}</userLanguage><userLocale>{}</userLocale><userName>{}</userName>\
         <userTimeZone>{}</userTimeZone><userType>Standard</userType><userUiSkin>Theme3</userUiSkin>",
        org.id,
        escape(org.name.as_str()),
        id(user::PROFILE_ID).unwrap_or_default(),
        org.session_millis / 1_000,
        text(user::EMAIL),
        text(user::NAME),
        caller.user,
        text(user::LANGUAGE_LOCALE_KEY),
        text(user::LOCALE_SID_KEY),
        text(user::USERNAME),
        text(user::TIME_ZONE_SID_KEY),
    )
}
