//! What is asked of the programs while they are killed.

mod imports;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use postern_protocol::TaskKind;
use salesforce_sim::{Fault, Matching, Mishap, Simulator, UserView};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::desk::{Desk, Order};
use super::dice;
use super::ended::{Calls, Effects, Ended, Seen, Told, Twice};
use crate::lab::Api;

/// Accounts that are enabled and disabled all the time: enough to keep every slot busy.
const SWITCHED: usize = 20;
/// Accounts whose passwords are expired all the time, which must never happen twice for one task.
const EXPIRED: usize = 4;
/// Accounts that are given passwords all the time.
const GIVEN: usize = 4;
/// Those who import all the time, and how many accounts each modifies.
const IMPORTERS: usize = 4;
const MODIFIED: usize = 2;
/// All accounts there are in the beginning.
pub(super) const ACCOUNTS: usize = SWITCHED + EXPIRED + GIVEN + IMPORTERS * MODIFIED;
/// The attribute that tells a new account from any other.
pub(super) const MARKER: &str = "EmployeeNumber";
/// One task in so many is cancelled as soon as it is submitted.
const CANCELS: u64 = 10;
/// Of one task in so many, a call takes effect late: after its time-out, or when the process is dead that made it.
const LATE: u64 = 30;
/// How late that is at most. What the agents wait for is longer.
const LATEST_MS: u64 = 1_400;
/// One export in so many goes as a job in bulk, and one import.
const IN_BULK: u64 = 4;

/// What the workers share.
pub(super) struct World<'a> {
    pub(super) salesforce: &'a Simulator,
    pub(super) desk: Desk,
    profile: String,
    stop: AtomicBool,
    ended: Mutex<Vec<Ended>>,
}

/// A task from its submission to its outcome.
struct Course {
    from: Instant,
    to: Instant,
    cancelled: bool,
    /// How late a call of it took effect, if one did.
    late: Option<Duration>,
    task: Value,
}

/// The next call of a kind takes effect late.
struct Late {
    fault: Fault,
    by: Duration,
}

impl<'a> World<'a> {
    pub(super) async fn new(salesforce: &'a Simulator, api: Api) -> Self {
        let desk = Desk::open(api).await;
        let profile = salesforce.user(&account(1)).expect("an account").text("ProfileId").to_owned();
        Self { salesforce, desk, profile, stop: AtomicBool::new(false), ended: Mutex::default() }
    }

    /// Keeps the programs busy until told to stop.
    pub(super) async fn work(&self) {
        let mut numbers = 1..=ACCOUNTS;
        let mut accounts = |count| numbers.by_ref().take(count).map(account).collect::<Vec<_>>();
        let switched = accounts(SWITCHED);
        let expired = accounts(EXPIRED);
        let given = accounts(GIVEN);
        let modified = (0..IMPORTERS).map(|_| accounts(MODIFIED)).collect::<Vec<_>>();
        tokio::join!(
            join_all(switched.iter().map(|account| self.switch(account))),
            join_all(expired.iter().map(|account| self.expire(account))),
            join_all(given.iter().map(|account| self.give(account))),
            join_all(modified.iter().map(|accounts| self.import(accounts))),
            self.export(),
        );
    }

    /// No task is submitted any more.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.desk.calm_down();
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Every task, and what remains to look at them with.
    pub(super) fn end(self) -> (Desk, Vec<Ended>) {
        (self.desk, self.ended.into_inner())
    }

    /// Enables and disables one account, one task after the other.
    async fn switch(&self, account: &str) {
        while self.goes_on() {
            let before = self.user(account);
            let kind = if before.active { TaskKind::DisableUser } else { TaskKind::EnableUser };
            let late = Late::call("PATCH", format!("/sobjects/User/{}", before.id));
            self.change(kind, account, late, |user| user.active != before.active).await;
        }
    }

    /// Expires the password of one account.
    async fn expire(&self, account: &str) {
        while self.goes_on() {
            let late = Late::call("DELETE", format!("/sobjects/User/{}/password", self.user(account).id));
            self.change(TaskKind::ExpirePassword, account, late, |user| user.password_expired).await;
        }
    }

    async fn change(&self, kind: TaskKind, account: &str, late: Option<Late>, as_asked: impl Fn(&UserView) -> bool) {
        let before = self.user(account).effects;
        let effects = || {
            let now = self.user(account).effects;
            let switched = now.activations + now.deactivations - before.activations - before.deactivations;
            let issued = switched + now.password_resets - before.password_resets;
            Effects { issued, needless: switched - (now.flips - before.flips) }
        };
        let order = Desk::order(kind, json!({ "account": account }));
        let course = self.run(&order, late).await;
        let (at_end, as_asked) = (effects(), as_asked(&self.user(account)));
        course.outlast().await;
        let effects = Twice { at_end, after: effects() };
        self.note(&order, account, course, Seen::Account { effects, as_asked }).await;
    }

    /// Gives one account passwords, each of them another.
    async fn give(&self, account: &str) {
        while self.goes_on() {
            let before = self.user(account);
            let asked_before = self.salesforce.wanted_passwords(account).len();
            let password = format!("Gate-{}-9", dice::token());
            let calls = || Calls {
                taken: self.user(account).effects.password_sets - before.effects.password_sets,
                ..self.calls(account, asked_before, &password)
            };
            let late = Late::call("POST", format!("/sobjects/User/{}/password", before.id));
            let order = self.desk.order_password(account, &password);
            let course = self.run(&order, late).await;
            let at_end = calls();
            course.outlast().await;
            let calls = Twice { at_end, after: calls() };
            let is_set = self.salesforce.password_is(account, &password);
            self.note(&order, account, course, Seen::Password { calls, is_set }).await;
        }
    }

    /// Calls that gave an account passwords, after the first so many.
    fn calls(&self, account: &str, after: usize, password: &str) -> Calls {
        let wanted = self.salesforce.wanted_passwords(account);
        let (own, foreign): (Vec<_>, Vec<_>) = wanted.iter().skip(after).partition(|it| it.expose() == password);
        let count = |calls: Vec<_>| u64::try_from(calls.len()).unwrap_or(u64::MAX);
        Calls { own: count(own), foreign: count(foreign), taken: self.user(account).effects.password_sets }
    }

    /// Exports the accounts that were there in the beginning, now page by page, now in bulk.
    async fn export(&self) {
        while self.goes_on() {
            let order = Desk::order_export(json!({
                "object": "User",
                "format": "jsonl",
                "attributes": ["Username"],
                "filter": { "attribute": "Username", "starts_with": account_stem() },
                "size_hint": if dice::once_in(IN_BULK) { 1_000_000 } else { 1 },
            }));
            let course = self.run(&order, None).await;
            let names = match course.task["outcome"].as_str() {
                Some("succeeded") => self.desk.exported(&order, &course.task).await.map(|text| names(&text)),
                _ => Ok(Vec::new()),
            };
            self.note(&order, "the exporter", course, Seen::Export { names }).await;
        }
    }

    /// One task, from its submission to its outcome.
    async fn run(&self, order: &Order, late: Option<Late>) -> Course {
        if let Some(late) = &late {
            self.salesforce.inject(late.fault.clone());
        }
        let from = Instant::now();
        self.desk.submit(order).await;
        let cancelled = dice::once_in(CANCELS);
        if cancelled {
            self.desk.cancel(order.id).await;
        }
        let task = self.desk.outcome(order.id).await;
        let to = Instant::now();
        let late = late.filter(|late| !self.salesforce.withdraw(&late.fault)).map(|late| late.by);
        Course { from, to, cancelled, late, task }
    }

    async fn note(&self, order: &Order, of: &str, course: Course, seen: Seen) {
        let Course { from, to, cancelled, late, task } = course;
        let (id, kind, of, told) = (order.id, order.kind, of.to_owned(), Told::of(&task));
        self.ended.lock().await.push(Ended { id, kind, of, from, to, cancelled, late: late.is_some(), told, seen });
    }

    fn user(&self, account: &str) -> UserView {
        self.salesforce.user(account).expect("an account that nobody renames")
    }
}

impl Late {
    /// Of a call by this method with this piece in its path.
    fn call(method: &str, path: String) -> Option<Self> {
        let when = Matching { method: Some(method.to_owned()), path: Some(path) };
        Self::now_and_then(when, |millis| Mishap::DelayCommit { millis })
    }

    fn now_and_then(when: Matching, what: impl FnOnce(u64) -> Mishap) -> Option<Self> {
        let millis = dice::below(LATEST_MS);
        let fault = Fault { when, what: what(millis), times: Some(1) };
        dice::once_in(LATE).then_some(Self { fault, by: Duration::from_millis(millis) })
    }
}

impl Course {
    /// Waits until its call that is late has taken effect.
    async fn outlast(&self) {
        if let Some(late) = self.late {
            tokio::time::sleep(late + Duration::from_millis(200)).await;
        }
    }
}

/// What the names of all accounts begin with that were there in the beginning.
fn account_stem() -> &'static str {
    "user"
}

/// The name of an account that was there in the beginning.
pub(super) fn account(number: usize) -> String {
    format!("{}{number:04}@acme.example", account_stem())
}

/// The names in a file that was exported, in their order.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| serde_json::from_str(line).unwrap_or(Value::Null)["Username"].to_string();
    let mut names: Vec<String> = text.lines().map(name).map(|name| name.trim_matches('"').to_owned()).collect();
    names.sort();
    names
}
