//! Everything the simulator knows, behind one owner: orgs, usernames over all of them, sessions, faults, counters.

use std::collections::HashMap;
use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};

use crate::assumptions::Assumptions;
use crate::bulk::Bulk;
use crate::clock::Clock;
use crate::counters::{Counters, Effects, Tally};
use crate::fault::Faults;
use crate::id::RecordId;
use crate::org::Org;
use crate::org::account::Account;
use crate::org::table::Row;
use crate::schema::{ObjectKind, user, user_login};
use crate::secret::Secret;
use crate::session::Sessions;
use crate::soql::eval::Shortcut;

/// The whole simulated world.
#[derive(Debug)]
pub(crate) struct World {
    orgs: Vec<Org>,
    /// Lower-case username to org and user: usernames are unique over all orgs.
    usernames: HashMap<String, (usize, RecordId)>,
    pub(crate) sessions: Sessions,
    pub(crate) bulk: Bulk,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
    pub(crate) clock: Clock,
    pub(crate) assumptions: Assumptions,
    /// Given back in logins instead of the address the caller used.
    pub(crate) instance_url: Option<String>,
    /// Where all calls seem to come from, if set.
    pub(crate) source: Option<IpAddr>,
    /// No daily limit.
    pub(crate) unlimited: bool,
    /// Writes to roles and groups under way.
    pub(crate) role_writes: u64,
    undo: Option<Vec<Undo>>,
    random: SystemRandom,
}

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) org: usize,
    pub(crate) user: RecordId,
}

/// What a write can be taken back to.
#[derive(Debug)]
enum Undo {
    /// A user as it was; `None` if it was not.
    User { org: usize, id: RecordId, before: Option<Box<(Row, Account)>>, effects: Option<Effects> },
    /// Any other record as it was; `None` if it was not.
    Row { org: usize, kind: ObjectKind, id: RecordId, before: Option<Row> },
}

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl World {
    pub(crate) fn new(assumptions: Assumptions, instance_url: Option<String>) -> Self {
        Self {
            orgs: Vec::new(),
            usernames: HashMap::new(),
            sessions: Sessions::default(),
            bulk: Bulk::default(),
            faults: Faults::default(),
            tally: Tally::default(),
            clock: Clock::default(),
            assumptions,
            instance_url,
            source: None,
            unlimited: false,
            role_writes: 0,
            undo: None,
            random: SystemRandom::new(),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    pub(crate) fn orgs(&self) -> &[Org] {
        &self.orgs
    }

    pub(crate) fn orgs_mut(&mut self) -> &mut [Org] {
        &mut self.orgs
    }

    pub(crate) fn add_org(&mut self, org: Org) -> usize {
        self.orgs.push(org);
        self.orgs.len() - 1
    }

    /// Takes back an org whose seed turned out to be wrong.
    pub(crate) fn remove_last_org(&mut self) {
        let last = self.orgs.len().saturating_sub(1);
        self.usernames.retain(|_, (org, _)| *org != last);
        self.orgs.pop();
    }

    pub(crate) fn org(&self, number: usize) -> &Org {
        self.orgs.get(number).expect("whoever holds the number of an org got it from `add_org`, and orgs in use stay")
    }

    pub(crate) fn org_mut(&mut self, number: usize) -> &mut Org {
        self.orgs
            .get_mut(number)
            .expect("whoever holds the number of an org got it from `add_org`, and orgs in use stay")
    }

    /// The user of any org with this username, in any case.
    pub(crate) fn find_user(&self, username: &str) -> Option<(usize, RecordId)> {
        self.usernames.get(&username.to_lowercase()).copied()
    }

    /// Stores a user under its possibly new name.
    pub(crate) fn put_user(&mut self, org: usize, row: Row) {
        self.forget_name(org, row.id);
        self.usernames.insert(row.text(user::USERNAME).to_lowercase(), (org, row.id));
        self.org_mut(org).put_user(row);
    }

    fn forget_name(&mut self, org: usize, id: RecordId) {
        if let Some(name) = self.org(org).user(id).map(|it| it.text(user::USERNAME).to_lowercase()) {
            self.usernames.remove(&name);
        }
    }

    /// From here on, writes can be taken back.
    pub(crate) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// Writes since [`World::begin`] stay.
    pub(crate) fn commit(&mut self) {
        self.undo = None;
    }

    /// Writes since [`World::begin`] never happened, nor were counted.
    pub(crate) fn roll_back(&mut self) {
        for undo in self.undo.take().unwrap_or_default().into_iter().rev() {
            match undo {
                Undo::User { org, id, before, effects } => self.restore_user(org, id, before, effects),
                Undo::Row { org, kind, before: Some(row), .. } => self.org_mut(org).tables.of_mut(kind).undelete(row),
                Undo::Row { org, kind, id, before: None } => {
                    self.org_mut(org).tables.of_mut(kind).remove(id);
                }
            }
        }
    }

    fn restore_user(
        &mut self,
        org: usize,
        id: RecordId,
        before: Option<Box<(Row, Account)>>,
        effects: Option<Effects>,
    ) {
        if let Some(effects) = effects {
            *self.tally.user(id) = effects;
        } else {
            self.tally.users.remove(&id);
        }
        if let Some((row, account)) = before.map(|it| *it) {
            self.put_user(org, row);
            self.org_mut(org).accounts.insert(id, account);
        } else {
            self.forget_name(org, id);
            self.org_mut(org).remove_user(id);
        }
    }

    /// To be called before a user is written.
    pub(crate) fn remember_for_undo(&mut self, org: usize, id: RecordId) {
        if self.undo.is_none() {
            return;
        }
        let effects = self.tally.users.get(&id).copied();
        let found = self.org(org);
        let before = found.user(id).cloned().zip(found.accounts.get(&id).cloned()).map(Box::new);
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::User { org, id, before, effects });
        }
    }

    /// To be called before any other record is written or deleted.
    pub(crate) fn remember_row_for_undo(&mut self, org: usize, kind: ObjectKind, id: RecordId) {
        if self.undo.is_none() {
            return;
        }
        let before = self.org(org).tables.of(kind).get(id).cloned();
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Row { org, kind, id, before });
        }
    }

    /// A new security token, as mailed after every change of a password.
    pub(crate) fn new_token(&self) -> Secret {
        Secret::from(self.random_text(24))
    }

    /// Random letters and digits: session ids and temporary passwords are made of them.
    pub(crate) fn random_text(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes).expect("the operating system has random numbers");
        let pick = |byte: u8| ALPHANUMERIC.get(usize::from(byte) % ALPHANUMERIC.len()).copied().unwrap_or(b'0');
        bytes.into_iter().map(|byte| char::from(pick(byte))).collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tally.snapshot(|id| {
            let row = self.orgs.iter().find_map(|org| org.user(id));
            row.map_or_else(|| id.to_string(), |it| it.text(user::USERNAME).to_owned())
        })
    }
}

/// Indexes one org may use for a query.
pub(crate) struct Indexes<'a> {
    pub(crate) world: &'a World,
    pub(crate) org: usize,
}

impl Shortcut for Indexes<'_> {
    fn by_username(&self, username: &str) -> Option<RecordId> {
        let (org, id) = self.world.usernames.get(username).copied()?;
        (org == self.org).then_some(id)
    }

    fn login_of(&self, user: RecordId) -> Option<RecordId> {
        let org = self.world.org(self.org);
        let login = org.accounts.get(&user)?.login;
        let row = org.tables.of(ObjectKind::UserLogin).get(login)?;
        (row.get(user_login::USER_ID).as_id() == Some(user)).then_some(login)
    }
}
