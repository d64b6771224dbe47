//! A caller that knows HTTP and JSON, and nothing of the simulator.

use reqwest::{Method, RequestBuilder, StatusCode};
use salesforce_sim::{ADMIN, ADMIN_PASSWORD, Assumptions, CONSUMER_KEY, CONSUMER_SECRET, Config, OrgSeed, Simulator};
use serde_json::{Value as Json, json};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Json,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, json }
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> &str {
        self.json[0]["errorCode"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.json[0]["message"].as_str().unwrap_or_default()
    }
}

/// The resource that runs a statement.
pub(crate) fn query_path(soql: &str) -> String {
    format!("query?{}", form_encode(&[("q", soql)]))
}

/// A caller with a session.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

pub(crate) fn http() -> reqwest::Client {
    // Every test of the process may be the first; later ones are told so and may go on.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A simulator with the built-in org and `users` people.
pub(crate) async fn simulator(users: usize) -> Simulator {
    with_org(OrgSeed::acme(users)).await
}

pub(crate) async fn with_org(org: OrgSeed) -> Simulator {
    Simulator::start(Config { https: None, orgs: vec![org], ..Config::default() }).await.unwrap()
}

/// A simulator of which that is true which is not known of Salesforce.
pub(crate) async fn assuming(assumptions: Assumptions) -> Simulator {
    Simulator::start(Config { https: None, assumptions, ..Config::default() }).await.unwrap()
}

/// One OAuth token request.
pub(crate) async fn token(simulator: &Simulator, form: &[(&str, &str)]) -> Answer {
    let body = form_encode(form);
    let url = format!("{}/services/oauth2/token", simulator.http_url());
    Answer::of(http().post(url).header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

pub(crate) fn form_encode(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Logs in with the password grant.
pub(crate) async fn by_password(simulator: &Simulator, username: &str, password: &str) -> Answer {
    let form = [
        ("grant_type", "password"),
        ("client_id", CONSUMER_KEY),
        ("client_secret", CONSUMER_SECRET),
        ("username", username),
        ("password", password),
    ];
    token(simulator, &form).await
}

/// Logs the administrator in.
pub(crate) async fn admin(simulator: &Simulator) -> Caller {
    caller(simulator, ADMIN, ADMIN_PASSWORD).await
}

pub(crate) async fn caller(simulator: &Simulator, username: &str, password: &str) -> Caller {
    let answer = by_password(simulator, username, password).await;
    let token = answer.json["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text));
    Caller { http: http(), base: simulator.http_url(), token: token.to_owned() }
}

impl Caller {
    pub(crate) fn request(&self, method: Method, resource: &str) -> RequestBuilder {
        let url = if resource.starts_with("/services") {
            format!("{}{resource}", self.base)
        } else {
            format!("{}/services/data/v66.0/{resource}", self.base)
        };
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, resource: &str) -> Answer {
        Answer::of(self.request(Method::GET, resource)).await
    }

    pub(crate) async fn post(&self, resource: &str, body: &Json) -> Answer {
        Answer::of(self.request(Method::POST, resource).json(body)).await
    }

    pub(crate) async fn patch(&self, resource: &str, body: &Json) -> Answer {
        Answer::of(self.request(Method::PATCH, resource).json(body)).await
    }

    pub(crate) async fn delete(&self, resource: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, resource)).await
    }

    pub(crate) async fn query(&self, soql: &str) -> Answer {
        self.get(&query_path(soql)).await
    }

    /// The value of the first field of the first row.
    pub(crate) async fn one(&self, soql: &str, field: &str) -> String {
        let answer = self.query(soql).await;
        answer.json["records"][0][field].as_str().unwrap_or_else(|| panic!("{soql}: {}", answer.text)).to_owned()
    }

    pub(crate) async fn id_of(&self, username: &str) -> String {
        self.one(&format!("SELECT Id FROM User WHERE Username = '{username}'"), "Id").await
    }

    /// A record that is complete and valid.
    pub(crate) async fn new_user(&self, username: &str) -> Json {
        let profile = self.one("SELECT Id FROM Profile WHERE Name = 'Standard User'", "Id").await;
        json!({
            "Username": username, "LastName": "Newcomer", "Email": username, "Alias": "newcomer", "ProfileId": profile,
            "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
            "LanguageLocaleKey": "en_US",
        })
    }
}
