//! Tokens for the API: who may do what, from when to when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_protocol::id::{ApiTokenId, ApiTokenName};
use postern_protocol::time::UnixMillis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ledger::Write;
use super::once::{Asked, Done, Making, TokenSecret};
use super::record::{ApiTokenRecord, Made, OnceRecord};
use super::{Refusal, RefusalKind, State};
use crate::access::{self, Presented, Role, TokenHash};
use crate::clock::{self, Moment};

/// The name of the token that is made when nobody else could make one.
pub const BOOTSTRAP: &str = "bootstrap";
/// The most tokens: one for each person and program that uses the API, many times over.
const MAX_API_TOKENS: usize = 1_000;
/// How exactly it is remembered over a restart when a token was last used: each time would be a commit for each request.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// A token, as administrators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiTokenView {
    /// Its id.
    pub id: ApiTokenId,
    /// What people call it.
    pub name: ApiTokenName,
    /// What it is good for.
    pub role: Role,
    /// When it was made.
    pub created: UnixMillis,
    /// When it runs out, if it does.
    pub expires: Option<UnixMillis>,
    /// Whether it has.
    pub expired: bool,
    /// When it was last used.
    pub last_used: Option<UnixMillis>,
}

/// A token, as whoever lets callers in sees it.
pub struct Known {
    /// Its id.
    pub id: ApiTokenId,
    /// What people call it.
    pub name: ApiTokenName,
    /// What it is good for.
    pub role: Role,
    hash: TokenHash,
    expires: Option<UnixMillis>,
    /// In milliseconds since 1970; zero: not yet.
    used: AtomicU64,
    over: CancellationToken,
}

/// Every token that was not revoked.
pub type KnownTokens = Arc<BTreeMap<ApiTokenId, Arc<Known>>>;

impl Known {
    fn of(record: &ApiTokenRecord) -> Arc<Self> {
        Arc::new(Self {
            id: record.id,
            name: record.name.clone(),
            role: record.role,
            hash: record.hash.clone(),
            expires: record.expires,
            used: AtomicU64::new(record.last_used.map_or(0, |it| it.0)),
            over: CancellationToken::new(),
        })
    }

    /// Whether this is the token, and still good.
    pub fn admits(&self, presented: &Presented, wall: UnixMillis) -> bool {
        self.hash.is_of(presented) && self.is_good(wall)
    }

    /// Whether it is still good, for whoever showed it before. If so, that is its latest use.
    pub fn is_good(&self, wall: UnixMillis) -> bool {
        let good = !has_run_out(self.expires, wall) && !self.over.is_cancelled();
        if good {
            self.used.fetch_max(wall.0, Ordering::Relaxed);
        }
        good
    }

    /// Cancelled once the token is revoked or has run out: whatever it asked for ends.
    pub const fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// When it runs out, if it does.
    pub const fn expires(&self) -> Option<UnixMillis> {
        self.expires
    }

    fn last_used(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.used.load(Ordering::Relaxed))).filter(|it| it.0 > 0)
    }
}

fn has_run_out(expires: Option<UnixMillis>, wall: UnixMillis) -> bool {
    expires.is_some_and(|it| wall >= it)
}

/// What the state keeps of tokens.
pub(super) struct ApiTokens {
    records: BTreeMap<ApiTokenId, ApiTokenRecord>,
    known: BTreeMap<ApiTokenId, Arc<Known>>,
    seen: watch::Sender<KnownTokens>,
    changed: bool,
}

/// Tokens that are to be known once the turn that changed them is durable.
pub(super) struct Published {
    seen: watch::Sender<KnownTokens>,
    known: KnownTokens,
    before: KnownTokens,
}

impl Published {
    pub(super) fn publish(&self) {
        self.seen.send_replace(Arc::clone(&self.known));
    }

    /// Ends what revoked tokens still ask for; after the answers, so that a token may revoke itself and hear of it.
    pub(super) fn end_revoked(self) {
        for (id, known) in self.before.iter() {
            if !self.known.contains_key(id) {
                known.over.cancel();
            }
        }
    }
}

impl ApiTokens {
    pub(super) fn restore(records: Vec<ApiTokenRecord>) -> Self {
        let known: BTreeMap<_, _> = records.iter().map(|it| (it.id, Known::of(it))).collect();
        let seen = watch::Sender::new(Arc::new(known.clone()));
        Self { records: records.into_iter().map(|it| (it.id, it)).collect(), known, seen, changed: false }
    }

    pub(super) fn take_published(&mut self) -> Option<Published> {
        std::mem::take(&mut self.changed).then(|| Published {
            seen: self.seen.clone(),
            known: Arc::new(self.known.clone()),
            before: self.seen.borrow().clone(),
        })
    }

    fn insert(&mut self, record: ApiTokenRecord) -> Write {
        self.known.insert(record.id, Known::of(&record));
        self.records.insert(record.id, record.clone());
        self.changed = true;
        Write::ApiToken(record)
    }

    fn remove(&mut self, id: ApiTokenId) -> Write {
        self.known.remove(&id);
        self.records.remove(&id);
        self.changed = true;
        Write::ForgetApiToken(id)
    }

    /// Tokens of administrators that do not run out by themselves: one of them is always there.
    fn administrators(&self) -> impl Iterator<Item = &ApiTokenRecord> {
        self.records.values().filter(|it| it.role == Role::Administrator && it.expires.is_none())
    }

    fn view(&self, record: &ApiTokenRecord, wall: UnixMillis) -> ApiTokenView {
        ApiTokenView {
            id: record.id,
            name: record.name.clone(),
            role: record.role,
            created: record.created,
            expires: record.expires,
            expired: has_run_out(record.expires, wall),
            last_used: self.known.get(&record.id).and_then(|it| it.last_used()),
        }
    }
}

/// What there is of the file with the first administrator's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFile {
    /// Somebody emptied it, to ask for a new token.
    Empty,
    /// It holds this one; or none, if it is not there, or holds something else.
    Holds(Option<ApiTokenId>),
}

impl State {
    /// Where the tokens are seen that callers are let in by.
    pub fn known_api_tokens(&self) -> watch::Receiver<KnownTokens> {
        self.api_tokens.seen.subscribe()
    }

    /// Makes a token for somebody.
    pub fn create_api_token(
        &mut self,
        name: ApiTokenName,
        role: Role,
        life: Option<Duration>,
        asked: Option<&Asked>,
        at: Moment,
    ) -> Result<Done<(ApiTokenView, access::Made)>, Refusal> {
        let find = |state: &Self, once: &OnceRecord, secret: &TokenSecret| {
            let Made::ApiToken(id) = &once.made else { return None };
            let record = state.api_tokens.records.get(id)?;
            Some((state.api_tokens.view(record, at.wall), access::Made::of(*id, secret)))
        };
        self.once(asked, at, find, |state, secret| state.new_api_token(name, role, life, secret, at))
    }

    fn new_api_token(
        &mut self,
        name: ApiTokenName,
        role: Role,
        life: Option<Duration>,
        secret: &TokenSecret,
        at: Moment,
    ) -> Result<Making<(ApiTokenView, access::Made)>, Refusal> {
        let taken = |message| Refusal { kind: RefusalKind::Conflict, field: Some("name"), message };
        if name.as_str() == BOOTSTRAP {
            return Err(taken(format!(
                "`{BOOTSTRAP}` is the name of the controller's own first token: choose another"
            )));
        }
        if self.api_tokens.records.values().any(|it| it.name == name) {
            return Err(taken(format!(
                "there is a token `{name}` already: choose another name, or revoke it first with \
                 `postern-controller api-token revoke {name}`"
            )));
        }
        if self.api_tokens.records.len() >= MAX_API_TOKENS {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                format!("a controller has at most {MAX_API_TOKENS} tokens: revoke those that nobody uses"),
            ));
        }
        let made = access::make_of(secret, at.wall);
        let expires = life.map(|it| clock::after(at.wall, it));
        let record = ApiTokenRecord {
            id: made.id,
            name,
            role,
            hash: made.hash.clone(),
            created: at.wall,
            expires,
            last_used: None,
        };
        let view = self.api_tokens.view(&record, at.wall);
        let write = self.api_tokens.insert(record);
        tracing::info!(id = %view.id, name = %view.name, role = %view.role, "a token for the API was made");
        Ok(Making { made: Made::ApiToken(view.id), it: (view, made), write })
    }

    /// Takes the token of this name or id back. There is always somebody left who can make another.
    pub fn revoke_api_token(&mut self, which: &ApiTokenName, at: Moment) -> Result<ApiTokenView, Refusal> {
        let (records, which) = (&self.api_tokens.records, which.as_str());
        let found = records.values().find(|it| it.name.as_str() == which || it.id.to_string() == which);
        let found = found.ok_or_else(|| Refusal {
            kind: RefusalKind::NotFound,
            field: Some("token"),
            message: format!("there is no token `{which}`: see `postern-controller api-token list`"),
        })?;
        if found.expires.is_none() && !self.api_tokens.administrators().any(|it| it.id != found.id) {
            return Err(Refusal::conflict(
                "this is the last administrator's token that does not run out: make another first with \
                 `postern-controller api-token create --name NAME --role administrator`",
            ));
        }
        let view = self.api_tokens.view(found, at.wall);
        self.writes.push(self.api_tokens.remove(view.id));
        self.audit_gone(view.id, &view.name, at);
        tracing::info!(id = %view.id, name = %view.name, "a token for the API was revoked");
        Ok(view)
    }

    /// Whether a token with which somebody was let in is still good: what was asked under it may have stood in line since.
    pub fn check_api_token(&self, id: ApiTokenId, at: Moment) -> Result<(), Refusal> {
        let found = self.api_tokens.records.get(&id).is_some_and(|it| !has_run_out(it.expires, at.wall));
        let no = || Refusal::new(RefusalKind::Unknown, "the token was revoked or ran out before this had its turn");
        found.then_some(()).ok_or_else(no)
    }

    /// Every token that was not revoked, those that ran out included.
    pub fn api_tokens(&self, at: Moment) -> impl Iterator<Item = ApiTokenView> {
        self.api_tokens.records.values().map(move |it| self.api_tokens.view(it, at.wall))
    }

    /// When the next token runs out, of those that are still good.
    pub fn next_api_token_expiry(&self, at: Moment) -> Option<UnixMillis> {
        self.api_tokens.records.values().filter_map(|it| it.expires).filter(|it| at.wall < *it).min()
    }

    /// Whether a new token for the first administrator is to be made: nobody is one any more, the file was emptied to ask
    /// for it, or it does not hold the token that is good. It was taken away then, or a crash came between the file and
    /// the ledger.
    pub fn wants_bootstrap(&self, file: TokenFile) -> bool {
        let nobody = self.api_tokens.administrators().next().is_none();
        let is_lost = self.bootstrap().is_some_and(|it| file != TokenFile::Holds(Some(it)));
        nobody || file == TokenFile::Empty || is_lost
    }

    /// Takes the first administrator's token in, in place of the one before. Its file has to be durable.
    pub fn install_bootstrap(&mut self, made: &access::Made, at: Moment) {
        if let Some(before) = self.bootstrap() {
            self.audit_own("api_token.revoke", &format!("{before} {BOOTSTRAP}"), Ok(None), at);
            self.writes.push(self.api_tokens.remove(before));
        }
        let record = ApiTokenRecord {
            id: made.id,
            name: BOOTSTRAP.parse().expect("it is a name"),
            role: Role::Administrator,
            hash: made.hash.clone(),
            created: at.wall,
            expires: None,
            last_used: None,
        };
        self.audit_own("api_token.create", &format!("{} {BOOTSTRAP}", record.id), Ok(None), at);
        self.writes.push(self.api_tokens.insert(record));
    }

    fn bootstrap(&self) -> Option<ApiTokenId> {
        self.api_tokens.records.values().find(|it| it.name.as_str() == BOOTSTRAP).map(|it| it.id)
    }

    /// Ends what is asked for under tokens that have run out, and remembers when others were used.
    pub(super) fn look_at_api_tokens(&mut self, at: Moment) {
        let ApiTokens { records, known, changed, .. } = &mut self.api_tokens;
        for record in records.values_mut() {
            let Some(known) = known.get_mut(&record.id) else { continue };
            if has_run_out(record.expires, at.wall) {
                known.over.cancel();
            } else if known.over.is_cancelled() {
                // The clock was ahead.
                *known = Known::of(&ApiTokenRecord { last_used: known.last_used(), ..record.clone() });
                *changed = true;
            }
            let Some(used) = known.last_used() else { continue };
            if record.last_used.is_none_or(|it| clock::after(it, REMEMBERED) <= used) {
                record.last_used = Some(used);
                self.writes.push(Write::ApiToken(record.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::lab;

    /// Take those along that have run out, and one that nobody needs any more hides the next one for ever.
    #[test]
    fn the_next_expiry_is_that_of_a_token_that_is_still_good() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        let after = |seconds| clock::after(at.wall, Duration::from_secs(seconds));
        for (name, seconds) in [("never", None), ("later", Some(7_200)), ("soon", Some(60))] {
            let life = seconds.map(Duration::from_secs);
            state.create_api_token(name.parse().unwrap(), Role::Viewer, life, None, at).unwrap();
        }
        let next = |seconds| state.next_api_token_expiry(Moment { wall: after(seconds), ..at });
        assert_eq!([next(0), next(60), next(7_200)], [Some(after(60)), Some(after(7_200)), None]);
    }

    /// Leave it ended, and whoever has it is refused until the controller starts again, although nobody says that it ran out.
    #[test]
    fn a_token_that_ran_out_by_a_clock_that_was_ahead_is_good_again() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        let life = Some(Duration::from_secs(60));
        let make = |state: &mut State, name: &str| {
            state.create_api_token(name.parse().unwrap(), Role::Viewer, life, None, at).unwrap().it.0.id
        };
        let (used, revoked) = (make(&mut state, "used"), make(&mut state, "revoked"));
        let known = state.known_api_tokens();
        let good = |state: &mut State, at: Moment| {
            state.tick(at);
            state.end_turn().publish();
            let known = known.borrow();
            [used, revoked].map(|id| known.get(&id).is_some_and(|it| it.is_good(at.wall)))
        };
        assert_eq!(good(&mut state, at), [true, true]);
        let ahead = Moment { wall: clock::after(at.wall, Duration::from_secs(3_600)), ..at };
        assert_eq!(good(&mut state, ahead), [false, false]);
        state.revoke_api_token(&"revoked".parse().unwrap(), at).unwrap();
        assert_eq!(good(&mut state, at), [true, false]);
        let view = state.api_tokens(at).find(|it| it.id == used).unwrap();
        assert_eq!(view.last_used, Some(at.wall), "its uses are not forgotten");
    }
}
