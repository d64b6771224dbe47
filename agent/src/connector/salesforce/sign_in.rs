//! One sign-in: the guard, the decision about the token, one or two sendings, and what they teach.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::message::v1::SignInState;
use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Failure, FailureClass, Secret, SystemName};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method as HttpMethod, RequestBuilder, StatusCode};
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use super::api::date;
use super::error::{self, Counts};
use super::governor::{self, Governor};
use super::guard::Guard;
use super::jwt::{self, Claims};
use super::network::{Decision, With};
use super::settings::{Method, PasswordLogin, Settings};
use super::user::short;
use super::{domain, oauth, soap};
use crate::config::{ConfigError, SecretError, SecretSource, System};
use crate::connector::Keep;
use crate::http::{Encryption, Http, Lost, Reply, SIGN_IN_LIMIT, Sent};
use crate::metrics::metrics;
use crate::redaction::{self, InUse};
use crate::{clock, random, traces};

/// A session with the org.
pub(super) struct Session {
    /// The origin of the API.
    pub(super) instance: Url,
    /// The access token.
    pub(super) token: Secret,
    /// The org's id.
    pub(super) organization: String,
    /// The service account's id.
    pub(super) user: String,
    /// How the password was sent, for methods with one.
    pub(super) with: Option<With>,
    /// When it began, by the org's clock.
    pub(super) began: Option<Timestamp>,
    _in_use: InUse,
}

impl Session {
    /// The org's id in its short form, in which one is like another.
    pub(super) fn org_id(&self) -> &str {
        short(&self.organization)
    }
}

/// Signs in to one org.
pub(super) struct SignIn {
    settings: Arc<Settings>,
    http: Http,
    governor: Arc<Governor>,
    keep: Arc<dyn Keep>,
    key: String,
    system: SystemName,
    /// Had by whoever reads the secrets.
    reading: Arc<Semaphore>,
}

enum Answer {
    Session(Session),
    Refused {
        code: String,
        message: String,
        /// When, by the other side's clock.
        at: Option<Timestamp>,
    },
    /// It was not judged.
    NotSent(Failure),
    /// It may have been judged.
    Lost(Failure),
}

impl Answer {
    /// Code and message are the other side's texts, and what was sent is known for as long as it is sent: an assertion that
    /// either repeats is taken out here. The code is kept.
    fn refused(reply: &Reply, code: &str, message: &str) -> Self {
        let without = |text: &str| redaction::redacted(text).into_owned();
        Self::Refused { code: without(code), message: without(message), at: date(&reply.headers) }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Session(_) => "accepted",
            Self::Refused { .. } => "refused",
            Self::NotSent(_) => "unsent",
            Self::Lost(_) => "lost",
        }
    }
}

/// How far this host's clock is off from that of whoever refused an assertion for its time. Less is no reason: one lasts
/// for longer.
const OFF: Duration = Duration::from_secs(60);
/// How far it may be off and still be made up for. Whoever has the answers of a login host says what its clock is, and should
/// not get an assertion that is good for years.
const MADE_UP_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the secrets may take to be read and hashed. They are small files, and all tasks wait for whoever signs in: on a file
/// system that hangs it would be for ever.
const READING: Duration = Duration::from_secs(30);

/// Something answers that signs nobody in. Where these credentials were taken before, that may pass.
const NO_LOGIN_HOST: &str = "not_a_login_host";

/// What the configuration points to.
#[derive(Default)]
struct Secrets {
    /// The private key, or the consumer secret.
    app: Option<Secret>,
    password: Option<Secret>,
    token: Option<Secret>,
    in_use: Vec<InUse>,
}

/// Reads the secrets of `method` once, to see that they are there.
pub(super) fn check(method: &Method, system: &System) -> Result<(), ConfigError> {
    let secrets = Secrets::read(method).map_err(|(field, error)| system.unreadable(field, error))?;
    let Method::OauthJwt { private_key, .. } = method else { return Ok(()) };
    jwt::check(&secrets.app()).map_err(|error| {
        let problem = format!("{error}; put the key of the connected app's certificate into {private_key}");
        system.invalid("private_key", problem)
    })
}

impl SignIn {
    /// Signs in with these settings; `key` is where the guard is kept.
    pub(super) fn new(
        settings: Arc<Settings>,
        http: Http,
        governor: Arc<Governor>,
        keep: Arc<dyn Keep>,
        key: String,
        system: SystemName,
    ) -> Self {
        Self { settings, http, governor, keep, key, system, reading: Arc::new(Semaphore::new(1)) }
    }

    /// Warns of a host that everything goes to from now on.
    pub(super) fn warn_of(&self, host: &str) {
        let system = &self.system;
        tracing::warn!(%system, host, "the sign-in leads to a host that is none of Salesforce's, or another than before");
    }

    /// Whether the configuration, or its name, vouches for the host that a sign-in led to.
    pub(super) fn expects(&self, instance: &Url) -> bool {
        instance.host() == self.settings.login_url.host() || domain::is_of_salesforce(instance)
    }

    /// Signs in.
    pub(super) async fn run(&self) -> Result<Session, Failure> {
        let (mut guard, secrets) = self.prepare().await?;
        let decision = self.settings.method.login().map(|login| Decision {
            network: login.network,
            has_token: secrets.token.is_some(),
            // The password alone would be sent again and again where no refusal asks for the token.
            remembered: guard.remembered(&self.account()).filter(|_| self.settings.method.asks_for_token()),
        });
        let mut with = decision.map(Decision::first);
        let mut time = None;
        loop {
            self.check(&mut guard)?;
            guard.begin(clock::unix_millis());
            self.store(&guard).await?;
            let answer = self.send(&secrets, with, time.unwrap_or_else(clock::unix_millis)).await;
            metrics().sign_ins.one(&[self.system.as_str(), answer.word()]);
            match answer {
                Answer::Session(session) => {
                    guard.accepted();
                    if let Some(with) = with {
                        guard.remember(self.account(), with);
                    }
                    self.store(&guard).await?;
                    return Ok(Session { with, ..session });
                }
                Answer::Refused { ref code, ref message, at: Some(at) }
                    if time.is_none() && error::counts(code, message) == Counts::No && self.is_off(at) =>
                {
                    guard.not_judged();
                    self.store(&guard).await?;
                    time = Some(UnixMillis(at.as_millisecond().unsigned_abs()));
                }
                Answer::Refused { code, message, .. } => {
                    match error::counts(&code, &message) {
                        Counts::Yes => guard.refused(&code),
                        Counts::No => guard.not_judged(),
                    }
                    let second = decision.zip(with).and_then(|(decision, with)| decision.second(with, &code));
                    if second.is_some() {
                        guard.asked_for_token();
                    }
                    self.store(&guard).await?;
                    if second.is_none() {
                        return Err(error::refused_sign_in(&code, &message));
                    }
                    with = second;
                }
                Answer::NotSent(failure) => {
                    guard.not_judged();
                    self.store(&guard).await?;
                    return Err(may_pass(&guard, failure));
                }
                // It stays counted as unanswered.
                Answer::Lost(failure) => return Err(may_pass(&guard, failure)),
            }
        }
    }

    /// Whether it may be the clock of this host that an assertion was refused for. By the other side's it may pass.
    fn is_off(&self, theirs: Timestamp) -> bool {
        let off = theirs.as_millisecond().abs_diff(clock::unix_millis().0.cast_signed());
        let is_off = matches!(self.settings.method, Method::OauthJwt { .. })
            && (OFF.as_millis()..MADE_UP_FOR.as_millis()).contains(&off.into());
        if is_off {
            tracing::warn!(system = %self.system, seconds = off / 1_000, "this host's clock differs from Salesforce's: set it");
        }
        is_off
    }

    /// Whether the credentials may be sent. A wait that the guard asks for goes with its failure.
    fn check(&self, guard: &mut Guard) -> Result<(), Failure> {
        let (max_refused, now) = (self.settings.max_refused_logins, clock::unix_millis());
        guard.check(max_refused, now).inspect_err(|failure| self.governor.asked(failure, guard.wait(max_refused, now)))
    }

    /// Whether [`SignIn::run`] would send the credentials now. Counts nothing.
    pub(super) async fn may_run(&self) -> Result<(), Failure> {
        let (mut guard, _) = self.prepare().await?;
        guard.check(self.settings.max_refused_logins, clock::unix_millis())
    }

    /// Whether the account may be tried, as far as what is kept of earlier processes tells without its credentials.
    pub(super) fn state(&self) -> SignInState {
        let record = self.keep.recall(&self.key).ok().flatten();
        let is_open = record.is_some_and(|it| Guard::decode(&it).is_open(self.settings.max_refused_logins));
        if is_open { SignInState::Blocked } else { SignInState::Untried }
    }

    /// Whether the credentials were refused when they were judged last.
    pub(super) fn stands_refused(&self) -> bool {
        let record = self.keep.recall(&self.key).ok().flatten();
        record.is_some_and(|it| Guard::decode(&it).stands_refused())
    }

    /// The same as [`SignIn::state`] after a sign-in that failed.
    pub(super) fn state_failed(&self) -> SignInState {
        match self.state() {
            SignInState::Blocked => SignInState::Blocked,
            SignInState::Untried | SignInState::SignedIn | SignInState::Failing => SignInState::Failing,
        }
    }

    /// Forgets the refusals counted so far.
    pub(super) async fn reset(keep: &dyn Keep, key: &str) -> Result<(), Failure> {
        let mut guard = keep.recall(key)?.map(|record| Guard::decode(&record)).unwrap_or_default();
        guard.reset();
        keep.keep(key, guard.encode()).await
    }

    /// Reads the secrets and hashes them: both block.
    async fn prepare(&self) -> Result<(Guard, Secrets), Failure> {
        let record = self.keep.recall(&self.key)?;
        let settings = Arc::clone(&self.settings);
        let work = move || {
            let secrets = Secrets::read(&settings.method).map_err(|(field, error)| unreadable(field, &error))?;
            let mut guard = record.map(|record| Guard::decode(&record)).unwrap_or_default();
            guard.use_credentials(&secrets.canonical(&settings), random::bytes());
            Ok((guard, secrets))
        };
        in_time(&self.reading, work).await
    }

    async fn store(&self, guard: &Guard) -> Result<(), Failure> {
        self.keep.keep(&self.key, guard.encode()).await
    }

    /// Whose network is remembered.
    fn account(&self) -> String {
        format!("{} {}", self.settings.login_url, self.settings.method.username().unwrap_or_default())
    }

    /// Sends the credentials once; what is signed is good from this time on.
    async fn send(&self, secrets: &Secrets, with: Option<With>, now: UnixMillis) -> Answer {
        match &self.settings.method {
            Method::Soap { login } => self.by_soap(login, secrets, with).await,
            Method::OauthJwt { consumer_key, username, audience, .. } => {
                let claims = Claims { consumer_key, username, audience };
                match jwt::sign(claims, &secrets.app(), now) {
                    Ok(assertion) => {
                        let _in_use = redaction::in_use(assertion.expose().as_bytes());
                        self.by_oauth(&oauth::jwt_form(&assertion), None).await
                    }
                    Err(error) => Answer::NotSent(
                        Failure::new(FailureClass::Unauthorized, "bad_private_key", error.to_string())
                            .with_next_step("Put the RSA key of the connected app's certificate into `private_key`."),
                    ),
                }
            }
            Method::OauthClientCredentials { consumer_key, .. } => {
                let basic = oauth::basic(consumer_key, &secrets.app());
                self.by_oauth(&oauth::client_form(), Some(&basic)).await
            }
            Method::OauthPassword { consumer_key, login, .. } => {
                let password = secrets.password(with);
                let form = oauth::password_form(consumer_key, &secrets.app(), &login.username, &password);
                self.by_oauth(&form, None).await
            }
        }
    }

    async fn by_soap(&self, login: &PasswordLogin, secrets: &Secrets, with: Option<With>) -> Answer {
        let envelope = soap::envelope(&login.username, &secrets.password(with));
        let request = self
            .post(soap::PATH)
            .header(CONTENT_TYPE, "text/xml; charset=UTF-8")
            .header("SOAPAction", "\"\"")
            .body(envelope.as_str().to_owned());
        let reply = match self.ask(request).await {
            Ok(reply) => reply,
            Err(lost) => return unanswered(&lost),
        };
        let answer = match soap::parse(&reply.body) {
            Some(soap::Answer::Session { password_expired: true, .. }) => {
                Answer::refused(&reply, "password_expired", "the service account's password has expired")
            }
            Some(soap::Answer::Session { instance, session, user, organization, .. }) => {
                self.session(&reply, instance, &session, (user, organization))
            }
            Some(soap::Answer::Fault { code, message }) => Answer::refused(&reply, &code, &message),
            None => self.no_answer(reply.status.as_u16()),
        };
        self.note_wait(&reply, &answer);
        answer
    }

    async fn by_oauth(&self, form: &Zeroizing<String>, basic: Option<&Zeroizing<String>>) -> Answer {
        let mut request = self
            .post(oauth::PATH)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form.as_str().to_owned());
        let _in_use = basic.map(|it| redaction::in_use(it.trim_start_matches("Basic ").as_bytes()));
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic.as_str());
        }
        let reply = match self.ask(request).await {
            Ok(reply) => reply,
            Err(lost) => return unanswered(&lost),
        };
        let answer = match oauth::parse(reply.status.is_success(), &reply.body) {
            Some(oauth::Answer::Session { instance, session, user, organization }) => {
                self.session(&reply, instance, &session, (user, organization))
            }
            Some(oauth::Answer::Refused { code, message }) if is_salesforces(reply.status, &code, &message) => {
                Answer::refused(&reply, &code, &message)
            }
            Some(oauth::Answer::Refused { .. }) | None => self.no_answer(reply.status.as_u16()),
        };
        self.note_wait(&reply, &answer);
        answer
    }

    /// An answer that is not Salesforce's: a page of an error on the way, or of another server.
    fn no_answer(&self, status: u16) -> Answer {
        match status {
            420 | 503 => Answer::NotSent(error::strange(status)),
            429 => Answer::NotSent(Failure { class: FailureClass::RateLimited.into(), ..error::strange(status) }),
            // Who gave up waiting for the request may have passed it on.
            408 => Answer::Lost(error::strange(status)),
            // What a password is refused with: a gateway may have put its page over a judgement, and nothing else locks an account.
            400 if matches!(self.settings.method, Method::OauthPassword { .. }) => Answer::Lost(no_login_host(status)),
            300..=499 => Answer::NotSent(no_login_host(status)),
            _ => Answer::Lost(error::strange(status)),
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Reply, Lost> {
        let mut told = traces::call(&HttpMethod::POST, "sign-in");
        let reply = self.http.send(request, SIGN_IN_LIMIT).await.inspect_err(|lost| told.lost(lost))?;
        told.answered(reply.status);
        self.governor.note(&reply.headers);
        Ok(reply)
    }

    /// A wait that was asked for goes with the failure it came with.
    fn note_wait(&self, reply: &Reply, answer: &Answer) {
        let wait = governor::wait(reply.status, &reply.headers);
        match answer {
            Answer::Session(_) => (),
            Answer::Refused { code, message, .. } => self.governor.asked(&error::refused_sign_in(code, message), wait),
            Answer::NotSent(failure) | Answer::Lost(failure) => self.governor.asked(failure, wait),
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let mut url = self.settings.login_url.clone();
        url.set_path(path);
        self.http.request(HttpMethod::POST, url)
    }

    /// The answer names the host of the API; the login host itself serves nothing else.
    fn session(
        &self,
        reply: &Reply,
        instance: Url,
        token: &Zeroizing<String>,
        (user, organization): (String, String),
    ) -> Answer {
        if instance.scheme() != "https" && self.settings.http.encryption == Encryption::Required {
            return Answer::NotSent(
                Failure::new(FailureClass::Unauthorized, "insecure_instance", "Salesforce named an API without TLS")
                    .with_next_step("Check the domain in the configuration."),
            );
        }
        let in_use = redaction::in_use(token.as_bytes());
        let token = Secret::new(token.as_str().to_owned());
        let began = date(&reply.headers);
        Answer::Session(Session { instance, token, organization, user, with: None, began, _in_use: in_use })
    }
}

impl Secrets {
    /// Reads them; they are in use as long as this lives.
    fn read(method: &Method) -> Result<Self, (&'static str, SecretError)> {
        let mut secrets = Self::read_all(method)?;
        let read = [&secrets.app, &secrets.password, &secrets.token];
        secrets.in_use = read.into_iter().flatten().map(|it| redaction::in_use(it.expose().as_bytes())).collect();
        Ok(secrets)
    }

    fn read_all(method: &Method) -> Result<Self, (&'static str, SecretError)> {
        let read = |field, source: &SecretSource| source.read().map(Some).map_err(|error| (field, error));
        let login = |login: &PasswordLogin| {
            let token = login.security_token.as_ref().map(|source| read("security_token", source)).transpose()?;
            Ok(Self { password: read("password", &login.password)?, token: token.flatten(), ..Self::default() })
        };
        match method {
            Method::OauthJwt { private_key, .. } => {
                Ok(Self { app: read("private_key", private_key)?, ..Self::default() })
            }
            Method::OauthClientCredentials { consumer_secret, .. } => {
                Ok(Self { app: read("consumer_secret", consumer_secret)?, ..Self::default() })
            }
            Method::OauthPassword { consumer_secret, login: it, .. } => {
                Ok(Self { app: read("consumer_secret", consumer_secret)?, ..login(it)? })
            }
            Method::Soap { login: it } => login(it),
        }
    }

    fn app(&self) -> Secret {
        self.app.clone().unwrap_or_else(|| Secret::new(String::new()))
    }

    /// The password as it is sent.
    fn password(&self, with: Option<With>) -> Zeroizing<String> {
        let expose = |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().to_owned()).unwrap_or_default();
        let mut password = Zeroizing::new(expose(&self.password));
        if with == Some(With::Token) {
            password.push_str(&Zeroizing::new(expose(&self.token)));
        }
        password
    }

    /// Everything a refusal could be about, unambiguously.
    fn canonical(&self, settings: &Settings) -> Zeroizing<Vec<u8>> {
        let method = &settings.method;
        let (consumer_key, audience) = match method {
            Method::OauthJwt { consumer_key, audience, .. } => (consumer_key.as_str(), audience.as_str()),
            Method::OauthClientCredentials { consumer_key, .. } | Method::OauthPassword { consumer_key, .. } => {
                (consumer_key.as_str(), "")
            }
            Method::Soap { .. } => ("", ""),
        };
        let network = method.login().map(|login| format!("{:?}", login.network)).unwrap_or_default();
        let mut out = Zeroizing::new(Vec::new());
        let mut add = |text: &str| {
            out.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        for text in [settings.login_url.as_str(), method.name(), consumer_key, audience, &network] {
            add(text);
        }
        add(method.username().unwrap_or_default());
        for secret in [&self.app, &self.password, &self.token] {
            add(secret.as_ref().map_or("", Secret::expose));
        }
        out
    }
}

fn unreadable(field: &str, error: &SecretError) -> Failure {
    Failure::new(FailureClass::Unauthorized, "secret_unreadable", format!("`{field}`: {}", Chain(error)))
        .with_next_step("Mend the file, variable or credential that the configuration names.")
}

/// Does what blocks, one at a time: of threads that are not given back there is to be one.
async fn in_time<T: Send + 'static>(
    one: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = async {
        let turn = Arc::clone(one).acquire_owned().await;
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(Failure::new(FailureClass::Internal, "sign_in_crashed", "Preparing the sign-in ended in a defect"))
        })
    };
    tokio::time::timeout(READING, done).await.unwrap_or_else(|_| Err(not_read()))
}

fn not_read() -> Failure {
    let summary = format!("the secrets of the configuration were not read within {} s", READING.as_secs());
    Failure::new(FailureClass::Transient, "secret_not_read", summary)
        .with_next_step("Look whether the file system hangs that they are on; then the next attempt goes on by itself.")
}

fn unanswered(lost: &Lost) -> Answer {
    match lost.sent {
        Sent::No => Answer::NotSent(error::lost(lost)),
        Sent::Perhaps => Answer::Lost(error::lost(lost)),
    }
}

/// Whether a refusal is Salesforce's. Gateways answer with JSON of their own, in much the same form, and whoever takes that
/// for a refusal counts it against the credentials.
fn is_salesforces(status: StatusCode, code: &str, message: &str) -> bool {
    let is_of = |letters: fn(&u8) -> bool| code.bytes().all(|it| letters(&it) || it.is_ascii_digit() || it == b'_');
    // In one case: `Forbidden` and `Unauthorized` are HTTP's.
    let is_word = !code.is_empty() && (is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase));
    error::is_known_at_sign_in(code, message) || (is_word && matches!(status.as_u16(), 400 | 401 | 403))
}

/// A failure after which the host is tried again if it has signed the account in.
fn may_pass(guard: &Guard, mut failure: Failure) -> Failure {
    if guard.is_proven() && failure.code.as_str() == NO_LOGIN_HOST {
        failure.class = FailureClass::Transient.into();
    }
    failure
}

fn no_login_host(status: u16) -> Failure {
    let summary = format!("the host does not sign anybody in (HTTP {status})");
    Failure::new(FailureClass::Unauthorized, NO_LOGIN_HOST, summary)
        .with_next_step("Check `domain` in the configuration, and what stands between.")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join;

    use super::*;

    /// Wait for it as long as it takes, and no task of the system ever ends; start a thread for each that tries, and there are
    /// none left for anything else.
    #[tokio::test]
    async fn secrets_that_cannot_be_read_are_given_up_and_wait_on_one_thread() {
        tokio::time::pause();
        let one = Arc::new(Semaphore::new(1));
        let (release, held) = mpsc::sync_channel::<()>(1);
        let hangs = move || held.recv().map_err(|_| not_read());
        let (first, ()) = join(in_time(&one, hangs), tokio::time::advance(READING * 2)).await;
        assert_eq!(first.unwrap_err().code.as_str(), "secret_not_read");
        assert_eq!(one.available_permits(), 0, "its thread has the turn");
        let beside = in_time(&one, || -> Result<(), Failure> { panic!("beside the first") });
        let (second, ()) = join(beside, tokio::time::advance(READING * 2)).await;
        assert_eq!(second.unwrap_err().code.as_str(), "secret_not_read");
        release.send(()).unwrap();
        assert!(in_time(&one, || Ok(())).await.is_ok());
    }
}
