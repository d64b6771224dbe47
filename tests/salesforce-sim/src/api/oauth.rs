//! OAuth: four grants, revocation, and who a token belongs to.

mod jwt;

use data_encoding::BASE64;
use serde_json::json;

use crate::http::reply::Reply;
use crate::http::request::{Request, parameter};
use crate::org::app::App;
use crate::org::login::{Attempt, Refusal};
use crate::schema::user;
use crate::world::{Caller, World};

/// Why a grant is refused: `error` and `error_description`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Denied(&'static str, String);

impl Denied {
    fn grant(description: &str) -> Self {
        Self("invalid_grant", description.to_owned())
    }

    fn reply(&self) -> Reply {
        Reply::json(400, &json!({"error": self.0, "error_description": self.1}))
    }
}

/// What a grant led to.
struct Allowed {
    caller: Caller,
    app: String,
    expired_password: bool,
}

/// `POST /services/oauth2/token`.
pub(crate) fn token(world: &mut World, request: &Request) -> Reply {
    world.tally.route("POST oauth2/token");
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let field = |name: &str| parameter(&form, name).unwrap_or_default();
    let allowed = match field("grant_type").as_str() {
        "password" => by_password(world, request, &form),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => jwt::by_assertion(world, request, &field("assertion")),
        "client_credentials" => by_client_credentials(world, request, &form),
        "refresh_token" => by_refresh_token(world, request, &form),
        _ => Err(Denied("unsupported_grant_type", "grant type not supported".to_owned())),
    };
    match allowed {
        Ok(allowed) => issue(world, request, &allowed),
        Err(denied) => denied.reply(),
    }
}

fn issue(world: &mut World, request: &Request, allowed: &Allowed) -> Reply {
    let Allowed { caller, .. } = *allowed;
    let access = world.open_session(caller, allowed.expired_password, Some(&allowed.app));
    let instance = world.instance_url.clone().unwrap_or_else(|| request.address());
    let org = world.org(caller.org).id;
    let body = json!({
        "access_token": access,
        "signature": BASE64.encode(world.random_text(32).as_bytes()),
        "scope": "api refresh_token",
        "instance_url": instance,
        "id": format!("{}/id/{org}/{}", request.address(), caller.user),
        "token_type": "Bearer",
        "issued_at": world.now().to_string(),
    });
    Reply::json(200, &body).with("cache-control", "no-cache,must-revalidate,max-age=0,no-store,private")
}

/// The app that a client id and, where needed, its secret belong to.
fn app(world: &World, request: &Request, form: &str) -> Result<(usize, App), Denied> {
    let (id, secret) = client(request, form);
    let (org, app) = find_app(world, &id)?;
    if secret != app.consumer_secret.expose() {
        return Err(Denied("invalid_client", "invalid client credentials".to_owned()));
    }
    Ok((org, app))
}

fn find_app(world: &World, consumer_key: &str) -> Result<(usize, App), Denied> {
    let found = world.orgs().iter().enumerate().find_map(|(number, org)| {
        let app = org.apps.iter().find(|it| it.consumer_key == consumer_key)?;
        Some((number, app.clone()))
    });
    found.ok_or_else(|| Denied("invalid_client_id", "client identifier invalid".to_owned()))
}

/// Client id and secret, from the Basic header or the form.
fn client(request: &Request, form: &str) -> (String, String) {
    let basic = request.header("authorization").and_then(|it| it.strip_prefix("Basic ")).and_then(|it| {
        let text = String::from_utf8(BASE64.decode(it.trim().as_bytes()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    });
    let field = |name: &str| parameter(form, name).unwrap_or_default();
    basic.unwrap_or_else(|| (field("client_id"), field("client_secret")))
}

fn by_password(world: &mut World, request: &Request, form: &str) -> Result<Allowed, Denied> {
    let (_, app) = app(world, request, form)?;
    let username = parameter(form, "username").unwrap_or_default();
    let password = parameter(form, "password").unwrap_or_default();
    let failure = || Denied::grant("authentication failure");
    // Any user may come through any app, as the service does it for apps that are not limited to an org.
    let Some((org, id)) = world.find_user(&username) else {
        world.tally.login(None, false);
        return Err(failure());
    };
    let now = world.now();
    let host = request.host().to_owned();
    let attempt = attempt(world, request, &host, "Remote Access 2.0", &app.name);
    if !app.password_flow {
        world.tally.login(Some(id), false);
        world.org_mut(org).refuse_login(id, Refusal::FlowDisabled, &attempt, now);
        return Err(failure());
    }
    let assumptions = world.assumptions.clone();
    let verdict = world.org_mut(org).log_in_with_password(id, &password, &attempt, &assumptions, now);
    world.tally.login(Some(id), verdict.is_ok());
    let granted = verdict.map_err(|refusal| denied(world, refusal))?;
    Ok(Allowed { caller: Caller { org, user: id }, app: app.name.clone(), expired_password: granted.expired })
}

fn by_client_credentials(world: &mut World, request: &Request, form: &str) -> Result<Allowed, Denied> {
    let host = request.host().split(':').next().unwrap_or_default();
    if matches!(host, "login.salesforce.com" | "test.salesforce.com") {
        return Err(Denied::grant("request not supported on this domain"));
    }
    let (_, app) = app(world, request, form)?;
    let run_as = app.run_as.as_deref().and_then(|it| world.find_user(it));
    let (org, id) = run_as.ok_or_else(|| Denied::grant("no client credentials user enabled"))?;
    enter(world, request, (org, id), app)
}

fn by_refresh_token(world: &mut World, request: &Request, form: &str) -> Result<Allowed, Denied> {
    let (_, app) = app(world, request, form)?;
    let token = parameter(form, "refresh_token").unwrap_or_default();
    let (caller, consumer_key) =
        world.sessions.refresh(&token).cloned().ok_or_else(|| Denied::grant("expired access/refresh token"))?;
    if consumer_key != app.consumer_key {
        return Err(Denied::grant("expired access/refresh token"));
    }
    enter(world, request, (caller.org, caller.user), app)
}

/// Lets a user in whose identity is proved.
fn enter(
    world: &mut World,
    request: &Request,
    (org, id): (usize, crate::id::RecordId),
    app: App,
) -> Result<Allowed, Denied> {
    let (now, assumptions, host) = (world.now(), world.assumptions.clone(), request.host().to_owned());
    let attempt = attempt(world, request, &host, "Remote Access 2.0", &app.name);
    let verdict = world.org_mut(org).log_in_without_password(id, &attempt, &assumptions, now);
    world.tally.login(Some(id), verdict.is_ok());
    verdict.map_err(|refusal| denied(world, refusal))?;
    let caller = Caller { org, user: id };
    Ok(Allowed { caller, app: app.name, expired_password: false })
}

/// The service says little on purpose: the reason is in LoginHistory.
fn denied(world: &World, refusal: Refusal) -> Denied {
    match refusal {
        Refusal::Inactive | Refusal::Frozen => Denied::grant(&world.assumptions.oauth_inactive_text),
        Refusal::RestrictedAddress => Denied::grant(&world.assumptions.oauth_restricted_text),
        Refusal::RateExceeded => Denied("rate_limit_exceeded", "login rate exceeded".to_owned()),
        Refusal::UnknownUser
        | Refusal::Locked
        | Refusal::WrongPassword
        | Refusal::TokenNeeded
        | Refusal::FlowDisabled
        | Refusal::ApiDisabled => Denied::grant("authentication failure"),
    }
}

fn attempt<'a>(
    world: &World,
    request: &Request,
    url: &'a str,
    login_type: &'static str,
    application: &'a str,
) -> Attempt<'a> {
    Attempt {
        source: world.source.unwrap_or(request.source),
        login_type,
        application,
        api_type: "",
        api_version: "",
        url,
    }
}

/// `POST /services/oauth2/revoke`.
pub(crate) fn revoke(world: &mut World, request: &Request) -> Reply {
    world.tally.route("POST oauth2/revoke");
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let token = parameter(&form, "token").or_else(|| request.parameter("token")).unwrap_or_default();
    if world.sessions.end(&token) || world.sessions.revoke_refresh(&token) {
        return Reply::empty(200);
    }
    Denied("unsupported_token_type", "this token type is not supported".to_owned()).reply()
}

/// `GET /services/oauth2/userinfo`.
pub(crate) fn user_info(world: &mut World, request: &Request) -> Reply {
    world.tally.route("GET oauth2/userinfo");
    who(world, request)
}

/// `GET /id/{org}/{user}`.
pub(crate) fn identity(world: &mut World, request: &Request) -> Reply {
    world.tally.route("GET id");
    who(world, request)
}

fn who(world: &mut World, request: &Request) -> Reply {
    let session = request.token().ok().and_then(|it| world.use_session(it).ok());
    let Some(caller) = session.map(|it| it.caller) else {
        return Reply {
            status: 403,
            content_type: "text/html;charset=UTF-8",
            headers: Vec::new(),
            body: b"Bad_OAuth_Token".to_vec(),
        };
    };
    let org = world.org(caller.org);
    let Some(row) = org.user(caller.user) else { return super::not_found() };
    let (base, id) = (request.address(), caller.user);
    Reply::json(
        200,
        &json!({
            "id": format!("{base}/id/{}/{id}", org.id),
            "sub": format!("{base}/id/{}/{id}", org.id),
            "user_id": id.to_string(),
            "organization_id": org.id.to_string(),
            "preferred_username": row.text(user::USERNAME),
            "username": row.text(user::USERNAME),
            "name": row.text(user::NAME),
            "display_name": row.text(user::NAME),
            "email": row.text(user::EMAIL),
            "active": row.get(user::IS_ACTIVE).is_true(),
            "user_type": "STANDARD",
            "language": row.text(user::LANGUAGE_LOCALE_KEY),
            "locale": row.text(user::LOCALE_SID_KEY),
            "urls": {
                "rest": format!("{base}/services/data/v{{version}}/"),
                "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
                "query": format!("{base}/services/data/v{{version}}/query/"),
                "partner": format!("{base}/services/Soap/u/{{version}}/{}", org.id.short()),
                "enterprise": format!("{base}/services/Soap/c/{{version}}/{}", org.id.short()),
            },
        }),
    )
}
