//! Sessions, refresh tokens and query cursors: what a caller holds a name for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::id::RecordId;
use crate::secret::Secret;
use crate::soql::plan::Plan;
use crate::world::{Caller, World};

/// Sessions kept; a test that logs in more often than this has a bug.
const MAX_SESSIONS: usize = 50_000;
/// Query cursors a user may have open (published limit).
const MAX_CURSORS: usize = 10;

/// What the access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    /// When it was last used, in milliseconds: the time-out counts from here.
    used_at: i64,
    /// Sessions end when the user is deactivated.
    epoch: u32,
    /// May only change the password.
    pub(crate) expired_password: bool,
    /// The connected app, if it was one.
    pub(crate) app: Option<String>,
}

/// An open query.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) id: RecordId,
    pub(crate) owner: Caller,
    pub(crate) plan: Arc<Plan>,
    pub(crate) found: Arc<Vec<RecordId>>,
    pub(crate) batch: usize,
}

/// Everything callers hold names for.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<String, Session>,
    refresh: HashMap<String, (Caller, String)>,
    cursors: VecDeque<Cursor>,
    serial: u64,
}

/// Why a token is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired;

impl World {
    /// Opens a session and returns its id: the org's short id, `!`, and what cannot be guessed.
    pub(crate) fn open_session(&mut self, caller: Caller, expired_password: bool, app: Option<&str>) -> String {
        let org = self.org(caller.org);
        let id = format!("{}!AQ{}", org.id.short(), self.random_text(60));
        let epoch = org.accounts.get(&caller.user).map_or(0, |it| it.session_epoch);
        let now = self.now();
        if self.sessions.by_id.len() >= MAX_SESSIONS {
            self.sessions.by_id.clear();
        }
        let app = app.map(str::to_owned);
        let session = Session { caller, used_at: now, epoch, expired_password, app };
        self.sessions.by_id.insert(id.clone(), session);
        id
    }

    /// The session of a token; using it keeps it alive.
    pub(crate) fn use_session(&mut self, token: &str) -> Result<Session, Expired> {
        let now = self.now();
        let session = self.sessions.by_id.get(token).ok_or(Expired)?;
        let org = self.org(session.caller.org);
        let epoch = org.accounts.get(&session.caller.user).map(|it| it.session_epoch);
        if now - session.used_at >= org.session_millis || epoch != Some(session.epoch) {
            self.sessions.by_id.remove(token);
            return Err(Expired);
        }
        let session = self.sessions.by_id.get_mut(token).ok_or(Expired)?;
        session.used_at = now;
        Ok(session.clone())
    }
}

impl Sessions {
    pub(crate) fn ids(&self) -> Vec<Secret> {
        self.by_id.keys().map(|id| id.as_str().into()).collect()
    }

    /// Ends one session. Returns whether there was one.
    pub(crate) fn end(&mut self, token: &str) -> bool {
        self.by_id.remove(token).is_some()
    }

    /// Ends every session; refresh tokens stay.
    pub(crate) fn end_all(&mut self) {
        self.by_id.clear();
    }

    /// Lets the session of a just-changed password do everything.
    pub(crate) fn password_changed(&mut self, user: RecordId) {
        for session in self.by_id.values_mut().filter(|it| it.caller.user == user) {
            session.expired_password = false;
        }
    }

    pub(crate) fn add_refresh(&mut self, token: String, caller: Caller, consumer_key: String) {
        if self.refresh.len() >= MAX_SESSIONS {
            self.refresh.clear();
        }
        self.refresh.insert(token, (caller, consumer_key));
    }

    pub(crate) fn refresh(&self, token: &str) -> Option<&(Caller, String)> {
        self.refresh.get(token)
    }

    pub(crate) fn revoke_refresh(&mut self, token: &str) -> bool {
        self.refresh.remove(token).is_some()
    }

    /// Keeps a query open; the caller's oldest one closes if there are too many.
    pub(crate) fn open_cursor(
        &mut self,
        owner: Caller,
        org: u32,
        plan: Plan,
        found: Vec<RecordId>,
        batch: usize,
    ) -> &Cursor {
        if self.cursors.iter().filter(|it| it.owner == owner).count() >= MAX_CURSORS
            && let Some(oldest) = self.cursors.iter().position(|it| it.owner == owner)
        {
            self.cursors.remove(oldest);
        }
        self.serial += 1;
        let id = RecordId::new("01g", org, self.serial);
        self.cursors.push_back(Cursor { id, owner, plan: Arc::new(plan), found: Arc::new(found), batch });
        self.cursors.back().expect("one was just added")
    }

    /// An open query of this caller.
    pub(crate) fn cursor(&self, owner: Caller, id: RecordId) -> Option<&Cursor> {
        self.cursors.iter().find(|it| it.owner == owner && it.id == id)
    }

    /// Closes every open query.
    pub(crate) fn close_cursors(&mut self) {
        self.cursors.clear();
    }
}
