//! One unit: look up, create, modify, move members, set passwords, disable.

mod bulk;
mod licenses;
mod memberships;
mod passwords;
mod policy;
mod sent;
mod work;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use bulk::Ended;
pub(in super::super::super) use bulk::job_told;
use jiff::Timestamp as OrgTime;
pub(super) use licenses::Stock;
pub(super) use memberships::Kind;
use postern_protocol::{Failure, Timestamp};
pub(super) use sent::AT_ONCE;
pub(in super::super::super) use sent::written;
use sent::{Record, RowEnd, Sent};
use serde_json::{Map, Value as Json};
use work::{End, TAKEN, Work, disabling_record, found_out, record};

use super::super::super::api::{Longest, MAX_CALLS};
use super::super::super::schema::describe::Described;
use super::super::super::user::{same_id, short};
use super::super::super::{Salesforce, error, soql};
use super::Batch;
use super::choices::Choices;
use super::lookup::{Users, Wanted};
use super::memory::{Memory, Note, Operation};
use super::plan::{Key, Plan, Refused};
use super::present::{Present, is_same};
use super::result::{DEADLY, Line};
use crate::clock;
use crate::connector::{AttemptCx, MAX_NOTE, stopped};
use crate::dataset::{Change, Item};

/// Ids that fit one note with their entries' numbers. The name of a rule is no longer, nor is another number.
const A_NOTE: usize = MAX_NOTE / 64;
/// Why an entry was not done that is all right by itself.
const NOT_SENT: &str = "nothing was sent for this entry, because another one failed and all or none were to be done";
/// Why an entry of a batch that was taken over is left alone.
const PASSED_ON: &str = "another agent had this batch, and one entry gives a user the name that another entry has, too: whoever has \
                         it now may not be the one that is meant; look at both users";
/// A taken name whose owner has to be looked at.
const MAYBE_OURS: &str = "maybe_ours";

/// Why nothing is sent for entries that are all right by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// All or none were to be done, and another one failed.
    AnotherFailed,
    /// The deadline passed before they were begun.
    Late,
    /// The process died at too many others.
    TooDeadly,
    /// The process died at them.
    Deadly,
}

/// What becomes of rows that a look did not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// They are sent again.
    Send,
    /// They are told as unknown.
    Tell,
}

impl Unsent {
    fn said(self) -> Refused {
        let (code, message) = match self {
            Self::AnotherFailed => ("not_sent", NOT_SENT),
            Self::Late => ("expired", "the deadline of the task passed before this entry was begun"),
            Self::TooDeadly => (
                "not_sent",
                "nothing was sent for this entry, because the agent's process died at several others; look at the \
                 agent's log first",
            ),
            Self::Deadly => (
                DEADLY,
                "the agent's process died whenever it worked on this entry, so it is not tried again; look at the user \
                 in Salesforce and at the agent's log before you submit it anew",
            ),
        };
        Refused::new(code, message)
    }
}

/// A unit while it is worked on.
pub(super) struct Unit<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    schema: &'a Described,
    choices: &'a Choices,
    longest: &'a Longest,
    step: u32,
    /// The account that its calls are made as; none before it has looked.
    by: Option<String>,
    memory: Memory,
    /// Of calls without an answer that may take effect late, when the last was made at the latest; none if something else has
    /// waited for them.
    unanswered: Option<Timestamp>,
    work: Vec<Work<'a>>,
    /// Fields of some were sent in this attempt.
    has_sent: bool,
    /// Entries that the policy refused in this attempt, each with the rule.
    refused: Vec<(u64, String)>,
}

impl<'a> Unit<'a> {
    pub(super) fn new(batch: &'a Batch<'a>, step: u32, items: Vec<Item>) -> Self {
        let Batch { org, cx, schema, choices, ref longest, elsewhere, ref passed, begun } = *batch;
        let work = |item| {
            let is_passed = passed.have(&item);
            let mut work = Work::new(item, schema, choices);
            if is_passed && work.is_open() {
                work.end = Some(End::Unknown(Refused::new("name_passed_on", PASSED_ON)));
            }
            work
        };
        let work = items.into_iter().map(work).collect();
        let mut memory = Memory::of(cx, step, elsewhere);
        // A plan sends nothing, and neither did those before it.
        memory.may_have_acted &= !choices.dry_run;
        let unanswered = memory.may_have_acted.then_some(begun);
        Self {
            org,
            cx,
            schema,
            choices,
            longest,
            step,
            by: None,
            memory,
            unanswered,
            work,
            has_sent: false,
            refused: Vec::new(),
        }
    }

    /// Does everything the unit asks for. `Err` leaves the unit to another attempt.
    pub(super) async fn run(mut self) -> Result<Vec<Line>, Failure> {
        let ended = self.work_off().await;
        self.ended(ended)
    }

    async fn work_off(&mut self) -> Result<(), Failure> {
        // What earlier attempts sent can only be looked for when it is there, if it ever will be.
        self.outlast().await?;
        let service_account = self.prepare().await?;
        if self.is_too_late() {
            return Err(stopped());
        }
        self.admit().await?;
        self.stop_at_failure();
        self.journal_renames().await?;
        self.create().await?;
        self.stop_at_failure();
        self.modify().await?;
        self.stop_at_failure();
        self.move_members(&service_account).await?;
        // A password is the last that is sent: whoever dies while it waits for other calls would send it again.
        self.outlast().await?;
        self.set_passwords().await?;
        self.disable().await?;
        self.outlast().await
    }

    /// Waits until no call without an answer can take effect any more: what the unit wants is there, but it could be undone
    /// behind the back of whoever has the users next.
    pub(super) async fn outlast(&mut self) -> Result<(), Failure> {
        match self.unanswered.take() {
            Some(last) => self.org.outlast_since(last, self.cx).await,
            None => Ok(()),
        }
    }

    /// Says what would be done, as far as the stock of licenses goes.
    pub(super) async fn plan(mut self, stock: &mut Stock) -> Result<Vec<Line>, Failure> {
        let ended = match self.prepare().await {
            Ok(_) => stock.draw(self.org, &mut self.work, self.longest).await,
            Err(failure) => Err(failure),
        };
        self.ended(ended)
    }

    /// Whether every entry passes what can be checked before anything is sent.
    pub(super) async fn passes(mut self) -> Result<bool, Failure> {
        match self.prepare().await {
            Ok(_) => Ok(self.work.iter().all(Work::is_open)),
            Err(failure) => Err(self.discreet(failure)),
        }
    }

    /// Reports the unit without sending anything: what fails for itself, and the others because of it.
    pub(super) async fn refuse(mut self) -> Result<Vec<Line>, Failure> {
        match self.prepare().await {
            Ok(_) => Ok(self.leave_out(Unsent::AnotherFailed)),
            Err(failure) => Err(self.discreet(failure)),
        }
    }

    /// Reports the unit without looking at anything. Whether something was sent for it before, nobody can tell then.
    pub(super) fn leave_out(mut self, why: Unsent) -> Vec<Line> {
        let Memory { elsewhere, may_have_acted, .. } = self.memory;
        let may_have_acted = elsewhere || (may_have_acted && why != Unsent::AnotherFailed);
        for work in self.work.iter_mut().filter(|work| work.is_open()) {
            work.end = Some(if may_have_acted { End::Unknown(why.said()) } else { End::Failed(why.said()) });
        }
        self.lines()
    }

    /// Whether this agent has begun it, in this attempt or before.
    pub(super) fn has_begun(&self) -> bool {
        self.has_sent || self.cx.is_open(self.step)
    }

    /// Whether the deadline passed before this agent began it.
    pub(super) fn is_too_late(&self) -> bool {
        self.cx.is_late() && !self.has_begun()
    }

    /// Whether any of it may have been sent, here or elsewhere.
    pub(super) fn may_have_acted(&self) -> bool {
        self.memory.may_have_acted
    }

    /// What is told of its entries, or why it is left to another attempt.
    fn ended(self, ended: Result<(), Failure>) -> Result<Vec<Line>, Failure> {
        match ended {
            Ok(()) => Ok(self.lines()),
            Err(failure) => Err(self.discreet(failure)),
        }
    }

    fn lines(self) -> Vec<Line> {
        self.work.into_iter().map(|work| work.line(self.choices)).collect()
    }

    /// Looks at the users as they are, and leaves of the work what has to be done. The service account's id.
    async fn prepare(&mut self) -> Result<String, Failure> {
        let service_account = self.org.sessions.current().await?.user.clone();
        self.by = Some(short(&service_account).to_owned());
        self.memory.accounts.extend(self.by.clone());
        let now = self.org.clock().last();
        let users = self.look_up(&service_account).await?;
        self.memory.since = self.memory.since.or(now);
        for index in 0..self.work.len() {
            let plan = self.work.get(index).and_then(|it| it.plan.as_ref());
            let is_looked_at = plan.is_some_and(|it| self.looks_up(it, &service_account));
            match self.work.get_mut(index) {
                Some(work) if is_looked_at => work.meet(&users, &self.memory, self.choices, &service_account),
                Some(work) => work.meet_unseen(&service_account),
                None => (),
            }
        }
        drop(users);
        self.keep_to_policy();
        self.compare_memberships(&service_account).await?;
        self.compare().await?;
        Ok(service_account)
    }

    /// Reads what the users hold where it matters, some at a time.
    async fn compare(&mut self) -> Result<(), Failure> {
        for begin in (0..self.work.len()).step_by(soql::MAX_VALUES) {
            self.compare_some(begin..self.work.len().min(begin + soql::MAX_VALUES)).await?;
        }
        Ok(())
    }

    async fn compare_some(&mut self, rows: Range<usize>) -> Result<(), Failure> {
        let some = self.work.get(rows.clone()).unwrap_or_default();
        let open = || some.iter().filter(|work| work.is_open());
        let mut fields: BTreeSet<&str> = BTreeSet::new();
        let mut ids = Vec::new();
        for (id, plan) in open().filter_map(|work| Some((work.id.as_deref()?, work.plan.as_ref()?))) {
            let before = fields.len();
            fields.extend(plan.looks_at(self.choices));
            if fields.len() > before || plan.looks_at(self.choices).next().is_some() {
                ids.push(id);
            }
        }
        let present =
            if ids.is_empty() { Present::default() } else { self.org.present(&ids, &fields, self.longest).await? };
        let nothing = Map::new();
        for index in rows {
            let may_have_moved = self.may_have_moved(index);
            let Some(work) = self.work.get_mut(index) else { continue };
            let held = work.id.as_deref().and_then(|id| present.get(short(id)));
            if held.is_none() {
                work.miss(self.choices);
            }
            let held = held.unwrap_or(&nothing);
            work.compare(held, self.schema, self.choices, may_have_moved);
        }
        Ok(())
    }

    /// All or none: what has not been sent is not sent any more when something has failed.
    fn stop_at_failure(&mut self) {
        if self.choices.all_or_none && self.work.iter().any(|work| !work.is_open()) {
            for work in self.work.iter_mut().filter(|work| work.is_open() && !work.written) {
                work.end = Some(End::unsent(Unsent::AnotherFailed.said(), &self.memory));
            }
        }
    }

    async fn look_up(&self, service_account: &str) -> Result<Users, Failure> {
        let looks_up = |plan: &&Plan<'_>| self.looks_up(plan, service_account);
        let plans = || self.work.iter().filter_map(|it| it.plan.as_ref()).filter(looks_up);
        let (mut names, mut ids): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let history = self.memory.may_have_acted;
        for (work, plan) in self.work.iter().filter_map(|it| Some((it, it.plan.as_ref().filter(looks_up)?))) {
            match &plan.key {
                Key::Id(id) => ids.push(id),
                Key::Name(name) => names.push(name),
            }
            ids.extend(self.memory.renames.get(&work.number).map(String::as_str));
            // Who has the new name already is found out by giving it.
            names.extend(plan.new_name.as_deref().filter(|_| history));
        }
        let email = plans().any(|plan| plan.fields.get("Email").is_some());
        let federation = plans().any(|plan| plan.fields.get("FederationIdentifier").is_some());
        let profile = plans().any(|plan| plan.fields.get("ProfileId").is_some());
        // With its history also whether anybody may have signed in as it.
        let password = history || plans().any(|plan| plan.password.is_some());
        let wanted = Wanted { email, federation, password, history, profile };
        self.org.look_up(&names, &ids, wanted, self.longest).await
    }

    /// Whether a user is looked up before anything is sent. Whether a name that is to be new is taken, and whether there
    /// is a user of that id, Salesforce itself says when it is sent. With memberships alone there may be nothing to send.
    fn looks_up(&self, plan: &Plan<'_>, service_account: &str) -> bool {
        let first = self.memory.may_have_acted || self.choices.all_or_none || self.choices.dry_run;
        first
            || match (plan.change, &plan.key) {
                (Change::Add, _) => false,
                (Change::Modify, Key::Name(_)) => true,
                (Change::Modify, Key::Id(id)) => {
                    let may_cut_off = plan.new_name.is_some() || plan.fields.get("ProfileId").is_some();
                    let may_cut_us_off = may_cut_off && same_id(id, service_account);
                    let has_moves = !plan.memberships.is_empty();
                    let may_act = plan.password.is_some() || plan.names_sign_in() || has_moves;
                    self.cx.policy.looks_at_names() || may_act || may_cut_us_off
                }
            }
    }

    /// Once a user is renamed, its old name leads nowhere: another attempt needs its id.
    async fn journal_renames(&self) -> Result<(), Failure> {
        let gets_name = |work: &&Work<'_>| work.is_open() && work.plan.as_ref().is_some_and(|it| it.new_name.is_some());
        let renames: Vec<(u64, String)> = self
            .work
            .iter()
            .filter(gets_name)
            .filter(|work| !self.memory.renames.contains_key(&work.number))
            .filter_map(|work| Some((work.number, work.id.clone()?)))
            .collect();
        self.memo(&renames, |renames| Note { renames, ..Note::default() }).await
    }

    /// Journals what may be too much for one note.
    async fn memo<T: Clone>(&self, all: &[T], note: impl Fn(Vec<T>) -> Note) -> Result<(), Failure> {
        for some in all.chunks(A_NOTE) {
            self.cx.memo(self.step, note(some.to_vec()).encode()).await?;
        }
        Ok(())
    }

    async fn create(&mut self) -> Result<(), Failure> {
        self.go_on(Operation::Insert).await?;
        for round in 1..=MAX_CALLS {
            let rows = self.unwritten(Operation::Insert);
            let repeated = round > 1 || self.memory.may_have_acted;
            let Some(lost) = self.write(&rows, Operation::Insert, repeated).await? else { break };
            let then = if round == MAX_CALLS { Then::Tell } else { Then::Send };
            self.look_for_created(rows, &lost, then).await?;
        }
        self.settle_duplicates().await
    }

    /// Looks for users that may be made yet. What became of those that are not there nobody knows, unless they are sent again.
    /// `Err` if they could not be looked for, and may be by another attempt: what takes an answer takes the look after it as well.
    async fn look_for_created(&mut self, rows: Vec<usize>, lost: &Failure, then: Then) -> Result<(), Failure> {
        let unit = &*self;
        let all_there = self.org.watch(self.cx, || unit.has_created(&rows)).await;
        if let Err(failure) = all_there
            && error::is_retryable(&failure)
        {
            return Err(failure);
        }
        let found = match self.find_created().await {
            Err(failure) if error::is_retryable(&failure) => return Err(failure),
            found => found,
        };
        let mut unknown = Vec::new();
        for index in rows {
            let Some(work) = self.work.get_mut(index).filter(|work| work.is_open() && !work.written) else {
                continue;
            };
            match &found {
                Ok(found) => match found.get(&work.account) {
                    Some(id) => work.found(id.clone()),
                    None if then == Then::Tell => unknown.push(index),
                    None => (),
                },
                Err(_) => unknown.push(index),
            }
        }
        self.end_as_unknown(unknown, lost);
        Ok(())
    }

    /// Users of this unit that exist now and are ours: their ids, by the names that its entries have for them.
    async fn find_created(&self) -> Result<HashMap<String, String>, Failure> {
        let plans = || self.work.iter().filter_map(|work| work.plan.as_ref()).filter(|it| it.change == Change::Add);
        let names: Vec<&str> = plans().map(|plan| plan.key.text()).collect();
        let users = self.org.look_up(&names, &[], Wanted::ALL, self.longest).await?;
        let since = self.memory.since.unwrap_or(OrgTime::MAX);
        // A session that was renewed meanwhile may be another account's.
        let mut accounts = self.memory.accounts.clone();
        accounts.insert(short(&self.org.sessions.current().await?.user).to_owned());
        let ours = |plan: &Plan<'_>| {
            let found = users.by_name(plan.key.text())?;
            found.is_made_of(plan, &accounts, since).then(|| (plan.key.text().to_owned(), found.id.clone()))
        };
        Ok(plans().filter_map(ours).collect())
    }

    /// Whether all of these users exist now and are ours, as far as nothing else is known of them.
    async fn has_created(&self, rows: &[usize]) -> Result<bool, Failure> {
        let found = self.find_created().await?;
        let mut open = rows.iter().filter_map(|index| self.work.get(*index)).filter(|it| it.is_open() && !it.written);
        Ok(open.all(|work| found.contains_key(&work.account)))
    }

    /// A name that is taken may have been taken by an earlier call of ours.
    async fn settle_duplicates(&mut self) -> Result<(), Failure> {
        let doubtful = |work: &Work<'_>| matches!(&work.end, Some(End::Failed(it)) if it.code == MAYBE_OURS);
        if !self.work.iter().any(doubtful) {
            return Ok(());
        }
        let found = self.find_created().await?;
        for work in self.work.iter_mut().filter(|work| doubtful(work)) {
            match found.get(&work.account) {
                Some(id) => work.found(id.clone()),
                None => {
                    work.end = Some(End::unsent(found_out(&error::failure("DUPLICATE_USERNAME", TAKEN)), &self.memory));
                }
            }
        }
        Ok(())
    }

    async fn modify(&mut self) -> Result<(), Failure> {
        for work in &mut self.work {
            // Nothing but a password, or disabling after it.
            work.written |= work.is_open() && work.plan.as_ref().is_some_and(|plan| plan.fields.is_empty());
        }
        self.go_on(Operation::Update).await?;
        let mut failure = error::no_answer();
        for _ in 0..MAX_CALLS {
            let rows = self.unwritten(Operation::Update);
            let Some(lost) = self.write(&rows, Operation::Update, true).await? else { return Ok(()) };
            self.unanswered = Some(clock::now());
            self.org.settle().await;
            failure = lost;
        }
        let rows = self.unwritten(Operation::Update);
        self.look_for_modified(rows, &failure).await
    }

    /// Looks for users that may be changed yet, and are not sent again.
    async fn look_for_modified(&mut self, rows: Vec<usize>, lost: &Failure) -> Result<(), Failure> {
        let done = self.found_as_sent(&rows, record).await?;
        let mut unknown = Vec::new();
        for index in rows {
            let Some(work) = self.work.get_mut(index) else { continue };
            match work.id.clone().filter(|_| done.contains(&index)) {
                Some(id) => work.found(id),
                None => unknown.push(index),
            }
        }
        self.end_as_unknown(unknown, lost);
        Ok(())
    }

    /// Nobody knows what became of these rows, of whose call this was said.
    fn end_as_unknown(&mut self, rows: Vec<usize>, lost: &Failure) {
        if rows.is_empty() {
            return;
        }
        let lost = self.said_of_all(lost);
        for index in rows {
            if let Some(work) = self.work.get_mut(index) {
                work.end = Some(End::Unknown(lost.clone()));
            }
        }
    }

    /// The same values, twice, without an answer: who has them now was given them. `Err` as in [`Self::look_for_created`].
    async fn found_as_sent(&self, rows: &[usize], record: Record) -> Result<BTreeSet<usize>, Failure> {
        let all_there = || async { Ok(self.as_sent(rows, record).await?.len() == rows.len()) };
        match self.org.watch(self.cx, all_there).await {
            Err(failure) if error::is_retryable(&failure) => Err(failure),
            Ok(_) | Err(_) => match self.as_sent(rows, record).await {
                Err(failure) if error::is_retryable(&failure) => Err(failure),
                seen => Ok(seen.unwrap_or_default()),
            },
        }
    }

    /// Those of these rows whose users have all the values that were sent of them.
    async fn as_sent(&self, rows: &[usize], record: Record) -> Result<BTreeSet<usize>, Failure> {
        let mut done = BTreeSet::new();
        for some in rows.chunks(soql::MAX_VALUES) {
            let sent = |index: &usize| {
                let work = self.work.get(*index)?;
                let Json::Object(mut fields) = record(work)? else { return None };
                fields.retain(|name, _| !matches!(name.as_str(), "attributes" | "Id"));
                Some((*index, work.id.as_deref()?, fields))
            };
            let rows: Vec<_> = some.iter().filter_map(sent).collect();
            let ids: Vec<&str> = rows.iter().map(|(_, id, _)| *id).collect();
            let fields: BTreeSet<&str> =
                rows.iter().flat_map(|(_, _, fields)| fields.keys()).map(String::as_str).collect();
            let present = self.org.present(&ids, &fields, self.longest).await?;
            for (index, id, fields) in &rows {
                let Some(held) = present.get(short(id)) else { continue };
                let is_there = |(name, sent): (&String, &Json)| {
                    let field = self.schema.find(name);
                    field.is_some_and(|field| is_same(field, held.get(name).unwrap_or(&Json::Null), sent))
                };
                if fields.iter().all(is_there) {
                    done.insert(*index);
                }
            }
        }
        Ok(done)
    }

    async fn disable(&mut self) -> Result<(), Failure> {
        let mut rows = self.rows(|_, plan| plan.disables_last());
        let mut failure = error::no_answer();
        for _ in 0..MAX_CALLS {
            let sent = self.send(&rows, disabling_record, Operation::Update).await?;
            let answered: BTreeSet<usize> = sent.rows.iter().map(|(index, _)| *index).collect();
            rows.retain(|index| !answered.contains(index));
            for (index, result) in sent.rows {
                if let (Some(work), Err(refused)) = (self.work.get_mut(index), result) {
                    work.fail_partly(refused, "was not disabled");
                }
            }
            let Some(lost) = sent.lost else { return Ok(()) };
            self.unanswered = Some(clock::now());
            self.org.settle().await;
            failure = lost;
        }
        let done = self.found_as_sent(&rows, disabling_record).await?;
        rows.retain(|index| !done.contains(index));
        self.end_as_unknown(rows, &failure);
        Ok(())
    }

    /// Takes over what the bulk jobs of earlier attempts did.
    async fn go_on(&mut self, operation: Operation) -> Result<(), Failure> {
        if !self.memory.jobs.iter().any(|job| job.operation == operation) {
            return Ok(());
        }
        let rows = self.unwritten(operation);
        let Ended { ends, untold } = self.ends_by_earlier_jobs(&rows, operation).await?;
        self.take(ends, true);
        for (rows, failure) in untold {
            match operation {
                Operation::Insert => self.look_for_created(rows, &failure, Then::Tell).await?,
                Operation::Update => self.look_for_modified(rows, &failure).await?,
            }
        }
        Ok(())
    }

    /// Writes the fields of some rows. The failure, if an answer was lost.
    async fn write(
        &mut self,
        rows: &[usize],
        operation: Operation,
        repeated: bool,
    ) -> Result<Option<Failure>, Failure> {
        let in_bulk = rows.len() > self.choices.bulk_threshold && !self.choices.all_or_none;
        let sends = !rows.is_empty();
        let Sent { rows, lost } = if in_bulk {
            self.send_in_bulk(rows, operation).await?
        } else {
            self.send(rows, record, operation).await?
        };
        self.has_sent |= sends;
        self.take(rows, repeated);
        Ok(lost)
    }

    /// Takes note of what became of rows.
    fn take(&mut self, rows: Vec<RowEnd>, repeated: bool) {
        for (index, result) in rows {
            let Some(work) = self.work.get_mut(index) else { continue };
            match result {
                Ok(id) => work.written(id),
                Err(refused) if repeated && work.is_new() && refused.code == "DUPLICATE_USERNAME" => {
                    work.end = Some(End::Failed(Refused::new(MAYBE_OURS, "")));
                }
                Err(refused) => work.end = Some(End::Failed(refused)),
            }
        }
    }

    /// The rows whose fields are still to be written by this operation.
    fn unwritten(&self, operation: Operation) -> Vec<usize> {
        self.rows(|work, _| work.operation() == operation && !work.written)
    }

    fn rows(&self, wanted: impl Fn(&Work<'_>, &Plan<'_>) -> bool) -> Vec<usize> {
        let wanted =
            |(_, work): &(usize, &Work<'_>)| work.is_open() && work.plan.as_ref().is_some_and(|it| wanted(work, it));
        self.work.iter().enumerate().filter(wanted).map(|(index, _)| index).collect()
    }

    /// Remembers whose the batch is while no intent is open that would say so.
    async fn keep_lease(&self) -> Result<(), Failure> {
        let own = self.intent().own;
        let mut told = self.cx.earlier.open().iter().filter_map(Note::decode).filter_map(|note| note.own);
        if own.is_none() || told.any(|it| Some(it) == own) {
            return Ok(());
        }
        self.cx.memo(self.step, Note { own, ..Note::default() }.encode()).await
    }

    /// What every intent says.
    fn intent(&self) -> Note {
        let since = self.memory.since.map(OrgTime::as_millisecond);
        let own = (!self.memory.elsewhere).then_some(self.cx.alone.lease);
        Note { since, own, by: self.by.clone(), ..Note::default() }
    }
}
