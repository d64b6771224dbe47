//! The connector for Salesforce: administers the users of one org.
//!
//! Salesforce's credentials exist only here, on the agent's host, and are decided about here: how to sign in
//! (`settings`), whether the security token goes along (`network`), and when to stop trying (`guard`). All calls go
//! through `api`, in a place that the `governor` gives them.

pub mod answers;
mod api;
mod domain;
mod elements;
mod error;
mod examine;
mod governor;
mod guard;
mod jwt;
mod kept;
mod login_history;
mod mailed;
mod network;
pub mod notes;
mod oauth;
mod org_clock;
mod password;
mod range;
mod role_lane;
mod schema;
mod session;
mod settings;
mod sign_in;
mod soap;
mod soql;
mod task;
mod time;
mod user;
mod user_login;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_protocol::plain::Chain;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Failure, SystemName, TaskKind, TaskRequest};

use super::{
    AttemptCx, Calls, CallsLeft, Conclusion, Connector, ConnectorType, Cursors, Earlier, Keep, Pending, Reach, Route,
    SchemaFile, Schemas, Standing, Whereabouts,
};
use crate::config::{ConfigError, System};
use crate::connector;
use crate::doctor::Finding;
use crate::http::{Compression, Encryption, Http, HttpError};
use governor::Governor;
use kept::UnderWay;
use mailed::Noting;
use org_clock::OrgClock;
use schema::{FileError, Schema};
use session::Sessions;
use settings::Settings;
use sign_in::SignIn;
use task::{Stop, active, login_state};

/// Its name, as in the configuration.
const NAME: &str = "salesforce";

/// One Salesforce org.
pub struct Salesforce {
    settings: Arc<Settings>,
    http: Http,
    sessions: Sessions,
    governor: Arc<Governor>,
    /// The service's clock, as far as its answers tell.
    clock: Mutex<OrgClock>,
    schema: Schema,
    /// Deltas and collections.
    under_way: UnderWay,
    noting: Noting,
    keep: Arc<dyn Keep>,
    /// Its name, for what is counted.
    system: SystemName,
}

/// What Salesforce is asked of before one of its orgs is set up.
pub struct Type;

impl ConnectorType for Type {
    fn name(&self) -> &'static str {
        NAME
    }

    fn build(&self, system: &System, keep: Arc<dyn Keep>) -> Result<Arc<dyn Connector>, ConfigError> {
        Ok(Arc::new(Salesforce::build(system, keep)?))
    }

    fn check(&self, system: &System) -> Result<(), ConfigError> {
        let settings = Settings::read(system)?;
        sign_in::check(&settings.method, system)?;
        schema_in_force(&settings, system)?;
        http(&settings, system).map(drop)
    }

    fn whereabouts(&self, system: &System) -> Result<Whereabouts, ConfigError> {
        let settings = Settings::read(system)?;
        let mut page = settings.login_url.clone();
        // The list of versions: it needs no session and counts against no limit.
        page.set_path("/services/data/");
        Ok(Whereabouts { page, by: settings.http })
    }

    fn way_in(&self, system: &System) -> Option<Finding> {
        Settings::read(system).ok().map(|settings| examine::method(&settings.method))
    }

    fn defaults(&self, system: &System) -> Vec<(&'static str, String)> {
        Settings::defaults(system)
    }

    fn reset_sign_in<'a>(&'a self, system: &'a SystemName, keep: &'a dyn Keep) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { SignIn::reset(keep, &guard_key(system)).await })
    }

    fn schemas(&self) -> Option<&dyn Schemas> {
        Some(self)
    }

    fn cursors(&self) -> Option<&dyn Cursors> {
        Some(self)
    }
}

impl Schemas for Type {
    fn file(&self, system: &System) -> Result<Option<PathBuf>, ConfigError> {
        Ok(Settings::read(system)?.schema)
    }

    fn in_force(&self, system: &System) -> Result<SchemaFile, ConfigError> {
        schema_in_force(&Settings::read(system)?, system).map(|schema| schema.file())
    }

    fn standard(&self) -> SchemaFile {
        Schema::standard().file()
    }

    fn read(&self, xml: &str) -> Result<SchemaFile, String> {
        Schema::from_xml(xml).map(|schema| schema.file()).map_err(|error| error.to_string())
    }

    fn read_file(&self, file: &Path) -> Result<SchemaFile, String> {
        Schema::from_file(file).map(|schema| schema.file()).map_err(|error| Chain(&error).to_string())
    }
}

impl Cursors for Type {
    fn all(&self, keep: &dyn Keep) -> Result<Vec<Standing>, Failure> {
        task::export::cursors(keep)
    }

    fn forget<'a>(&'a self, object: &'a str, name: &'a str, keep: &'a dyn Keep) -> Pending<'a, Result<bool, Failure>> {
        Box::pin(task::export::forget_cursor(keep, object, name))
    }
}

impl Salesforce {
    /// Sets the connector up for a system. Talks to nobody yet.
    fn build(system: &System, keep: Arc<dyn Keep>) -> Result<Self, ConfigError> {
        let settings = Arc::new(Settings::read(system)?);
        let http = http(&settings, system)?;
        let schema = schema_in_force(&settings, system)?;
        let governor = Arc::new(Governor::new(settings.max_concurrent_calls, settings.api_budget_percent));
        let (with, keeps) = (http.clone(), Arc::clone(&keep));
        let (name, key) = (system.name.clone(), guard_key(&system.name));
        let sign_in = SignIn::new(Arc::clone(&settings), with, Arc::clone(&governor), keeps, key, name.clone());
        Ok(Self {
            settings,
            http,
            sessions: Sessions::new(sign_in),
            governor,
            clock: Mutex::default(),
            schema,
            under_way: UnderWay::default(),
            noting: Noting::default(),
            keep,
            system: name,
        })
    }

    async fn attempt(&self, request: TaskRequest, cx: &AttemptCx) -> Result<Conclusion, Stop> {
        if request.kind().is_batch() {
            self.may_go_on().await?;
        }
        match request {
            TaskRequest::TestConnection(it) => Ok(task::test_connection::run(self, it).await?),
            TaskRequest::ValidateUser(it) => Ok(task::validate_user::run(self, it).await?),
            TaskRequest::EnableUser(it) => active::enable(self, it, cx).await,
            TaskRequest::DisableUser(it) => active::disable(self, it, cx).await,
            TaskRequest::FreezeUser(it) => login_state::run(self, &it.account, login_state::State::Frozen, cx).await,
            TaskRequest::UnfreezeUser(it) => {
                login_state::run(self, &it.account, login_state::State::Unfrozen, cx).await
            }
            TaskRequest::UnlockUser(it) => login_state::run(self, &it.account, login_state::State::Unlocked, cx).await,
            TaskRequest::ResetPassword(it) => task::reset_password::run(self, it, cx).await,
            TaskRequest::ExpirePassword(it) => task::expire_password::run(self, it, cx).await,
            TaskRequest::DeprovisionUser(it) => Box::pin(task::deprovision_user::run(self, it, cx)).await,
            TaskRequest::RestoreUser(it) => Box::pin(task::restore_user::run(self, it, cx)).await,
            TaskRequest::ImportBatch(it) => Ok(Box::pin(task::import_batch::run(self, it, cx)).await?),
            TaskRequest::DescribeSchema(it) => Ok(task::describe_schema::run(self, it, cx).await?),
            TaskRequest::Collect(it) => Ok(Box::pin(task::collect::run(self, it, cx)).await?),
            TaskRequest::Export(it) => Ok(Box::pin(task::export::run(self, it, cx)).await?),
        }
    }

    fn clock(&self) -> MutexGuard<'_, OrgClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn http(settings: &Settings, system: &System) -> Result<Http, ConfigError> {
    Http::new(&settings.http).map_err(|error| match error {
        HttpError::ProxyPassword(error) => system.unreadable("proxy", error),
        HttpError::Roots(error) => system.invalid("root_certificates", Chain(&error).to_string()),
        HttpError::Client(error) => system.invalid("proxy", Chain(&error).to_string()),
    })
}

fn schema_in_force(settings: &Settings, system: &System) -> Result<Schema, ConfigError> {
    let Some(file) = &settings.schema else { return Ok(Schema::standard()) };
    let shown = file.display();
    Schema::from_file(file).map_err(|error| {
        let problem = match error {
            FileError::Unreadable(error) => {
                format!("`{shown}` cannot be read ({error}); `postern schema --system {} reset` makes it", system.name)
            }
            FileError::Unusable(error) => format!("`{shown}`: {error}"),
        };
        system.invalid("schema", problem)
    })
}

fn guard_key(system: &SystemName) -> String {
    format!("salesforce/{system}/sign-in")
}

impl Connector for Salesforce {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn patience(&self, failure: &Failure) -> Duration {
        self.governor.patience(failure)
    }

    fn unsettled_for(&self) -> Duration {
        self.settings.settle_once
    }

    fn place(&self, journal: &Earlier) -> String {
        let id = task::noted_user(journal).map(|id| format!("; Id {id}")).unwrap_or_default();
        format!("in Salesforce (Setup, Users{id})")
    }

    fn owed(&self, kind: TaskKind, journal: &Earlier) -> Vec<SealedOutput> {
        let password = if kind == TaskKind::ResetPassword { task::reset_password::owed(journal) } else { None };
        password.into_iter().collect()
    }

    fn route(&self) -> Route {
        let (settings, http) = (&self.settings, &self.settings.http);
        let connect_timeout = http.connect_timeout.map_or(0, |it| it.as_secs());
        Route {
            domain: settings.login_url.authority().to_owned(),
            login_method: settings.method.name().to_owned(),
            secure: http.encryption == Encryption::Required,
            compression: http.compression == Compression::Allowed,
            connect_timeout_secs: u32::try_from(connect_timeout).unwrap_or(u32::MAX),
        }
    }

    fn sign_in(&self) -> connector::SignIn {
        self.sessions.told()
    }

    fn calls_left(&self) -> Option<CallsLeft> {
        self.governor.calls_left()
    }

    fn examine<'a>(&'a self, reach: Reach, found: &'a mut Vec<Finding>) -> Pending<'a, ()> {
        Box::pin(examine::run(self, reach, found))
    }

    fn calls(&self) -> Calls {
        let used_of = self.governor.told().map(|usage| (usage.used, usage.of));
        Calls { used_of, running: self.governor.running() }
    }

    fn run<'a>(&'a self, request: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async move { self.attempt(request, cx).await.or_else(Stop::end) })
    }
}
