//! A running simulator and the handle that steers it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::counters::Counters;
use crate::fault::Fault;
use crate::http::server::{Shared, serve};
use crate::http::tls::{Tls, TlsError};
use crate::org::birth::{self, SeedError};
use crate::secret::Secret;
use crate::seed::{Cidr, OrgSeed};
use crate::user_view::UserView;
use crate::world::World;

/// A simulator that listens until it is stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    ca_pem: String,
}

/// A simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; choose another address or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// An org's seed contradicts itself.
    #[error("an org cannot be made")]
    Seed(#[from] SeedError),
}

/// What can be switched while a simulator runs. What is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Ends every session at once.
    pub expire_sessions: bool,
    /// Forgets every open query, so that its next page is an invalid locator; those of bulk queries too.
    pub close_cursors: bool,
    /// Every call is refused because the daily limit is used up.
    pub api_exhausted: Option<bool>,
    /// The next so many writes to users or their logins meet a locked row.
    pub lock_rows: Option<u64>,
    /// The org takes so many more writes; then it is read-only, as in maintenance, until the faults are cleared.
    pub read_only_after: Option<u64>,
    /// Answers to queries leave out their last record, and count it all the same.
    pub lose_records: Option<bool>,
    /// All calls seem to come from this address; an empty text ends that.
    pub source_ip: Option<String>,
    /// No daily limit.
    pub unlimited: Option<bool>,
    /// The next so many bulk jobs handed over fail when half of their records are done.
    pub fail_jobs: Option<u64>,
    /// Forgets every bulk job, as if it had been deleted.
    pub lose_jobs: bool,
    /// How many polls see a bulk job unfinished, from the next job handed over on.
    pub bulk_polls: Option<u64>,
    /// How long a bulk job takes, from the next job handed over on.
    pub bulk_millis: Option<u64>,
    /// How many bulk jobs stand on one page of their list.
    pub jobs_a_page: Option<usize>,
    /// Moves the clock of the simulator forward.
    pub advance_secs: u64,
}

/// A switch was given a value it does not take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SwitchError {
    /// Not an address.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// Not an address range.
    #[error("`{0}` is not an address range; write it like 10.0.0.0/8")]
    Range(String),
    /// No org has this name.
    #[error("there is no org named `{0}`")]
    Org(String),
    /// No user has this name.
    #[error("there is no user named `{0}` in any org")]
    User(String),
}

impl Simulator {
    /// Starts listening. Must be called within a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut world = World::new(config.assumptions, config.instance_url);
        for org in &config.orgs {
            birth::add(&mut world, org)?;
        }
        let shared = Arc::new(Shared::new(world));
        let mut started = Self { shared, http: None, https: None, ca_pem: String::new() };
        if let Some(address) = config.http {
            started.http = Some(started.listen(address, None).await?);
        }
        if let Some(address) = config.https {
            let tls = match &config.certificate {
                Some(it) => Tls::from_pem(&it.chain_pem, &it.key_pem, it.chain_pem.clone())?,
                None => Tls::made_up(&config.names)?,
            };
            started.ca_pem = tls.ca_pem;
            started.https = Some(started.listen(address, Some(TlsAcceptor::from(tls.config))).await?);
        }
        Ok(started)
    }

    async fn listen(&self, address: SocketAddr, tls: Option<TlsAcceptor>) -> Result<SocketAddr, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        self.shared.tasks.spawn(serve(Arc::clone(&self.shared), listener, tls));
        Ok(bound)
    }

    /// `http://127.0.0.1:port`; empty if there is no HTTP listener.
    pub fn http_url(&self) -> String {
        self.http.map(|it| format!("http://{it}")).unwrap_or_default()
    }

    /// `https://localhost:port`; empty if there is no HTTPS listener.
    pub fn https_url(&self) -> String {
        self.https.map(|it| format!("https://localhost:{}", it.port())).unwrap_or_default()
    }

    /// Where HTTP is listened for.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where HTTPS is listened for.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https
    }

    /// The certificate a client has to trust, as PEM; empty if there is no HTTPS listener.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Adds an org while the simulator runs.
    pub fn add_org(&self, seed: &OrgSeed) -> Result<(), SeedError> {
        birth::add(&mut self.shared.world(), seed)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.world().counters()
    }

    /// Starts counting anew.
    pub fn reset_counters(&self) {
        self.shared.world().tally = crate::counters::Tally::default();
    }

    /// A user of any org as it is now, by username.
    pub fn user(&self, username: &str) -> Option<UserView> {
        UserView::of(&self.shared.world(), username)
    }

    /// Whether this is the user's password, without a token.
    pub fn password_is(&self, username: &str, password: &str) -> bool {
        self.user(username).is_some_and(|it| it.password.is_some_and(|it| it.expose() == password))
    }

    /// Every password that somebody wanted to give this user since the start or the last reset, the refused ones too, in
    /// their order.
    pub fn wanted_passwords(&self, username: &str) -> Vec<Secret> {
        let world = self.shared.world();
        let user = world.find_user(username).map(|(_, id)| id);
        user.and_then(|id| world.tally.wanted_passwords.get(&id).cloned()).unwrap_or_default()
    }

    /// The ids of the sessions that are open.
    pub fn sessions(&self) -> Vec<Secret> {
        self.shared.world().sessions.ids()
    }

    /// Makes something go wrong.
    pub fn inject(&self, fault: Fault) {
        self.shared.world().faults.add(fault);
    }

    /// Takes a fault back. `false` if it met as many calls as it was for.
    pub fn withdraw(&self, fault: &Fault) -> bool {
        self.shared.world().faults.withdraw(fault)
    }

    /// How many faults are in force.
    pub fn faults(&self) -> usize {
        self.shared.world().faults.list().len()
    }

    /// Ends every fault, a spent allowance, locked rows and maintenance too.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Turns switches.
    pub fn switch(&self, switches: &Switches) -> Result<(), SwitchError> {
        switches.apply(&mut self.shared.world())
    }

    /// Replaces the trusted ranges (CIDR) of an org.
    pub fn trust(&self, org: &str, ranges: &[&str]) -> Result<(), SwitchError> {
        trust(&mut self.shared.world(), org, ranges)
    }

    /// Clicks the link in the confirmation mail of a changed e-mail address.
    pub fn confirm_email(&self, username: &str) -> Result<(), SwitchError> {
        confirm_email(&mut self.shared.world(), username)
    }

    /// Moves the simulator's clock forward: sessions, locks and passwords age.
    pub fn advance(&self, step: Duration) {
        self.shared.world().clock.advance(step);
    }

    /// Stops listening, closes every connection and waits for what runs.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Switches {
    pub(crate) fn apply(&self, world: &mut World) -> Result<(), SwitchError> {
        if let Some(text) = &self.source_ip {
            world.source = match text.as_str() {
                "" => None,
                text => {
                    let address: IpAddr = text.parse().map_err(|_| SwitchError::Address(text.to_owned()))?;
                    Some(address)
                }
            };
        }
        if self.expire_sessions {
            world.sessions.end_all();
        }
        if self.close_cursors {
            world.sessions.close_cursors();
            world.bulk.locator_serial += 1;
        }
        if let Some(exhausted) = self.api_exhausted {
            world.faults.api_exhausted = exhausted;
        }
        if let Some(count) = self.lock_rows {
            world.faults.locked_rows = count;
        }
        if let Some(writes) = self.read_only_after {
            world.faults.writes_left = Some(writes);
        }
        if let Some(lose) = self.lose_records {
            world.faults.lost_records = lose;
        }
        if let Some(unlimited) = self.unlimited {
            world.unlimited = unlimited;
        }
        if let Some(count) = self.fail_jobs {
            world.faults.failing_jobs = count;
        }
        if self.lose_jobs {
            world.bulk.forget_all();
        }
        if let Some(polls) = self.bulk_polls {
            world.bulk.pace.polls = polls;
        }
        if let Some(millis) = self.bulk_millis {
            world.bulk.pace.millis = millis;
        }
        if let Some(jobs) = self.jobs_a_page {
            world.bulk.a_page = jobs.max(1);
        }
        world.clock.advance(Duration::from_secs(self.advance_secs));
        Ok(())
    }
}

pub(crate) fn trust(world: &mut World, org: &str, ranges: &[&str]) -> Result<(), SwitchError> {
    let parsed: Vec<Cidr> = ranges
        .iter()
        .map(|it| Cidr::parse(it).ok_or_else(|| SwitchError::Range((*it).to_owned())))
        .collect::<Result<_, _>>()?;
    let found = world.orgs_mut().iter_mut().find(|it| it.name == org);
    found.ok_or_else(|| SwitchError::Org(org.to_owned()))?.trusted = parsed;
    Ok(())
}

pub(crate) fn confirm_email(world: &mut World, username: &str) -> Result<(), SwitchError> {
    let unknown = || SwitchError::User(username.to_owned());
    let (org, id) = world.find_user(username).ok_or_else(unknown)?;
    let now = world.now();
    let org = world.org_mut(org);
    let Some(email) = org.accounts.get_mut(&id).and_then(|it| it.pending_email.take()) else { return Ok(()) };
    let mut row = org.user(id).cloned().ok_or_else(unknown)?;
    row.set(crate::schema::user::EMAIL, crate::value::Value::text(email));
    row.set(crate::schema::user::LAST_MODIFIED_DATE, crate::value::Value::stamp(now));
    row.set(crate::schema::user::SYSTEM_MODSTAMP, crate::value::Value::stamp(now));
    org.put_user(row);
    Ok(())
}
