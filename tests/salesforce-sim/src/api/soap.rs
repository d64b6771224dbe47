//! SOAP, as far as logging in and passwords need it.

mod envelope;
mod fault;
mod login;

use envelope::Body;
use fault::Fault;

use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::id::RecordId;
use crate::schema::ObjectKind;
use crate::session::Session;
use crate::world::World;

/// Largest envelope read; `login()` takes 10 KB (published limit), the others little more.
const MAX_ENVELOPE: usize = 64 * 1024;
/// Largest `login()` request (published limit).
const MAX_LOGIN: usize = 10 * 1024;

/// Answers a call on `/services/Soap/{u|c}/{version}`.
pub(crate) fn handle(world: &mut World, request: &Request, kind: &str, version: &str) -> Reply {
    let dialect = Dialect { name: if kind == "u" { "partner" } else { "enterprise" } };
    match answer(world, request, kind, version, dialect) {
        Ok(result) => Reply::xml(200, dialect.envelope(&result)),
        Err(fault) => Reply::xml(500, fault.envelope(dialect)),
    }
}

/// Partner or enterprise: the namespaces differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    name: &'static str,
}

impl Dialect {
    fn envelope(self, result: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"urn:{}.soap.sforce.com\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{result}</soapenv:Body>\
             </soapenv:Envelope>",
            self.name
        )
    }
}

fn answer(world: &mut World, request: &Request, kind: &str, version: &str, dialect: Dialect) -> Result<String, Fault> {
    if request.header("soapaction").is_none() {
        return Err(Fault::client("SOAPAction HTTP header missing"));
    }
    if request.body.len() > MAX_ENVELOPE {
        return Err(Fault::new("EXCEEDED_MAX_SIZE_REQUEST", "The request is too large."));
    }
    let body = envelope::parse(&request.body, dialect)?;
    let number: u32 = version.split('.').next().and_then(|it| it.parse().ok()).unwrap_or_default();
    if !(31..=super::versions::NEWEST).contains(&number) {
        return Err(Fault::new("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL"));
    }
    if body.operation == "login" {
        if request.body.len() > MAX_LOGIN {
            return Err(Fault::new("EXCEEDED_MAX_SIZE_REQUEST", "The request is too large."));
        }
        return login::log_in(world, request, kind, number, &body);
    }
    if body.operation == "getServerTimestamp" {
        let now = crate::time::format(world.now());
        return Ok(format!(
            "<getServerTimestampResponse><result><timestamp>{now}</timestamp></result></getServerTimestampResponse>"
        ));
    }
    let token = body.session.as_deref().unwrap_or_default();
    let expired = || {
        Fault::new(
            "INVALID_SESSION_ID",
            "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session key",
        )
    };
    let session = world.use_session(token).map_err(|_| expired())?;
    run(world, &session, token, &body)
}

fn run(world: &mut World, session: &Session, token: &str, body: &Body) -> Result<String, Fault> {
    if session.expired_password && !matches!(body.operation.as_str(), "setPassword" | "logout") {
        return Err(Fault::new(
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            "The users password has expired, you must call SetPassword before attempting any other API operations",
        ));
    }
    let caller = session.caller;
    match body.operation.as_str() {
        "logout" => {
            world.tally.route("SOAP logout");
            world.sessions.end(token);
            Ok("<logoutResponse/>".to_owned())
        }
        "getUserInfo" => {
            world.tally.route("SOAP getUserInfo");
            let info = login::user_info(world, caller);
            Ok(format!("<getUserInfoResponse><result>{info}</result></getUserInfoResponse>"))
        }
        "setPassword" => {
            world.tally.route("SOAP setPassword");
            let id = user(world, session, body)?;
            super::password::set(world, caller, id, body.field("password"))?;
            Ok("<setPasswordResponse><result/></setPasswordResponse>".to_owned())
        }
        "resetPassword" => {
            world.tally.route("SOAP resetPassword");
            let id = user(world, session, body)?;
            let temporary = super::password::reset(world, caller, id)?;
            Ok(format!(
                "<resetPasswordResponse><result><password>{temporary}</password></result></resetPasswordResponse>"
            ))
        }
        other => Err(Fault::client(&format!("No operation available for request {{urn:soap.sforce.com}}{other}"))),
    }
}

/// The user whose password is meant, if the caller may change it.
fn user(world: &World, session: &Session, body: &Body) -> Result<RecordId, Fault> {
    let org = world.org(session.caller.org);
    let id = RecordId::parse(body.field("userId"))
        .filter(|it| it.has_prefix(ObjectKind::User.object().prefix) && org.user(*it).is_some())
        .ok_or_else(|| Fault::new("INVALID_ID_FIELD", "invalid cross reference id"))?;
    if super::password::may_change(world, session.caller, id) {
        Ok(id)
    } else {
        Err(Fault::new("INSUFFICIENT_ACCESS", "insufficient access rights on object id"))
    }
}
