//! The calls of a task without the task: a plain HTTP client that makes them and keeps nothing.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use salesforce_sim::{CONSUMER_KEY, CONSUMER_SECRET};
use serde_json::{Value, json};

use crate::{Failure, Kind, Person};

/// What the agent asks for of a user.
const FIELDS: &str = "Id, Username, IsActive, UserType, LastPasswordChangeDate, Profile.Name, \
    Profile.UserLicense.Name, UserRole.Name";
/// Longer than any answer of a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A signed-in client.
#[derive(Debug, Clone)]
pub struct Bare {
    http: Client,
    token: String,
    /// The REST resources.
    base: Url,
}

impl Bare {
    /// Signs in as the agent does.
    pub async fn sign_in(url: &str) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().http1_only().timeout(PATIENCE).build()?;
        let form = format!("grant_type=client_credentials&client_id={CONSUMER_KEY}&client_secret={CONSUMER_SECRET}");
        let request = http
            .post(format!("{url}/services/oauth2/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let session: Value = request.send().await?.error_for_status()?.json().await?;
        let token = session.get("access_token").and_then(Value::as_str).ok_or("no session was given")?.to_owned();
        let base = Url::parse(url)?.join("/services/data/v66.0/")?;
        Ok(Self { http, token, base })
    }

    /// Makes the calls that a task of this kind makes.
    pub async fn work(&self, kind: Kind, person: &Person) -> Result<(), Failure> {
        let id = self.id(&person.account).await?;
        match kind {
            Kind::Validate => {
                let login = format!("SELECT IsFrozen, IsPasswordLocked FROM UserLogin WHERE UserId = '{id}'");
                self.query(&login).await.map(drop)
            }
            Kind::Switch => self.set_active(&id, person.flip()).await,
        }
    }

    async fn id(&self, account: &str) -> Result<String, Failure> {
        let found = self.query(&format!("SELECT {FIELDS} FROM User WHERE Username = '{account}'")).await?;
        let id = found.pointer("/records/0/Id").and_then(Value::as_str);
        Ok(id.ok_or_else(|| format!("the org has no user `{account}`"))?.to_owned())
    }

    async fn query(&self, soql: &str) -> Result<Value, Failure> {
        let mut url = self.base.join("query")?;
        url.query_pairs_mut().append_pair("q", soql);
        Ok(self.http.get(url).bearer_auth(&self.token).send().await?.error_for_status()?.json().await?)
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<(), Failure> {
        let url = self.base.join(&format!("sobjects/User/{id}"))?;
        let request = self.http.patch(url).bearer_auth(&self.token).json(&json!({ "IsActive": active }));
        request.send().await?.error_for_status()?;
        Ok(())
    }
}
