//! One unit: look up, create, modify, set passwords, disable.

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use postern_protocol::Failure;
use serde_json::{Map, Value as Json, json};

use super::super::super::api::{Call, Undone, lock_wait};
use super::super::super::fields::Fields;
use super::super::super::user::{inactive, not_found, protected, same_id};
use super::super::super::{Salesforce, error, time};
use super::lookup::{Found, Users};
use super::memory::{Memory, Note};
use super::plan::{self, Key, Plan, Refused};
use super::result::{Fate, Line, clipped};
use crate::connector::{AttemptCx, MAX_NOTE};
use crate::dataset::{Change, Item};

/// Calls in flight for passwords: well below what an org allows at once, and enough to hide the latency.
const PASSWORDS_AT_ONCE: usize = 8;
/// A call without an answer is made once more after a look.
const ROUNDS: u32 = 2;
/// Rows that meet a lock are tried again, by themselves.
const LOCK_TRIES: u32 = 5;
/// Ids that fit one note with their entries' numbers.
const RENAMES_A_NOTE: usize = MAX_NOTE / 64;

/// A unit while it is worked on.
pub(super) struct Unit<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    step: u32,
    memory: Memory,
    work: Vec<Work>,
}

/// One entry while it is worked on.
struct Work {
    number: u64,
    line: u64,
    account: String,
    plan: Option<Plan>,
    id: Option<String>,
    /// `LastPasswordChangeDate` as last read.
    password_changed: Option<String>,
    /// Whether its fields are written.
    written: bool,
    end: Option<End>,
    remark: Option<Refused>,
}

/// How an entry ended other than well.
enum End {
    Failed(Refused),
    Unknown(Refused),
}

/// Which rows of a unit one call is about.
type Rows = Vec<usize>;

impl<'a> Unit<'a> {
    pub(super) fn new(org: &'a Salesforce, cx: &'a AttemptCx, step: u32, items: Vec<Item>, schema: &Fields) -> Self {
        let work = items.into_iter().map(|item| Work::new(item, schema)).collect();
        Self { org, cx, step, memory: Memory::of(cx, step), work }
    }

    /// Does everything the unit asks for. `Err` leaves the unit to another attempt.
    pub(super) async fn run(mut self) -> Result<Vec<Line>, Failure> {
        let service_account = self.org.sessions.current().await?.user.clone();
        let users = self.look_up().await?;
        self.memory.since = self.memory.since.or(users.at);
        for index in 0..self.work.len() {
            if let Some(work) = self.work.get_mut(index) {
                work.meet(&users, &self.memory, &service_account);
            }
        }
        self.journal_renames().await?;
        self.create(&service_account).await?;
        self.modify().await?;
        self.set_passwords().await?;
        self.disable().await?;
        Ok(self.work.iter().map(Work::line).collect())
    }

    async fn look_up(&self) -> Result<Users, Failure> {
        let plans: Vec<&Plan> = self.work.iter().filter_map(|it| it.plan.as_ref()).collect();
        let (mut names, mut ids): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for plan in plans {
            match &plan.key {
                Key::Id(id) => ids.push(id),
                Key::Name(name) => names.push(name),
            }
            names.extend(plan.new_name.as_deref());
        }
        self.org.look_up(&names, &ids).await
    }

    /// Once a user is renamed, its old name leads nowhere: another attempt needs its id.
    async fn journal_renames(&self) -> Result<(), Failure> {
        let gets_name = |work: &&Work| work.is_open() && work.plan.as_ref().is_some_and(|it| it.new_name.is_some());
        let renames: Vec<(u64, String)> = self
            .work
            .iter()
            .filter(gets_name)
            .filter(|work| !self.memory.renames.contains_key(&work.number))
            .filter_map(|work| Some((work.number, work.id.clone()?)))
            .collect();
        for some in renames.chunks(RENAMES_A_NOTE) {
            let note = Note { renames: some.to_vec(), since: self.since(), ..Note::default() };
            self.cx.intend(self.step, note.encode(), self.org.reach()).await?;
        }
        Ok(())
    }

    async fn create(&mut self, service_account: &str) -> Result<(), Failure> {
        for round in 1..=ROUNDS {
            let rows = self.rows(|work, plan| plan.change == Change::Add && !work.written);
            let repeated = round > 1 || self.memory.may_have_acted;
            let Some(lost) = self.write(rows.clone(), Call::post_many, repeated).await? else { break };
            self.org.settle().await;
            let found = self.find_created(service_account).await;
            for index in rows {
                let Some(work) = self.work.get_mut(index).filter(|work| work.is_open() && !work.written) else {
                    continue;
                };
                match (&found, work.plan.as_ref().map(|plan| plan.key.text().to_owned())) {
                    (Ok(found), Some(name)) => match found.iter().find(|(it, _)| it.eq_ignore_ascii_case(&name)) {
                        Some((_, found)) => work.created(found.id.clone()),
                        None if round == ROUNDS => work.end = Some(End::Unknown(said(&lost))),
                        None => (),
                    },
                    _ => work.end = Some(End::Unknown(said(&lost))),
                }
            }
        }
        self.settle_duplicates(service_account).await?;
        self.read_passwords_of_created().await
    }

    /// Users of this unit that exist now and are ours.
    async fn find_created(&self, service_account: &str) -> Result<Vec<(String, Found)>, Failure> {
        let names: Vec<&str> = self
            .work
            .iter()
            .filter_map(|work| work.plan.as_ref())
            .filter(|plan| plan.change == Change::Add)
            .map(|plan| plan.key.text())
            .collect();
        let users = self.org.look_up(&names, &[]).await?;
        let since = self.memory.since.unwrap_or(Timestamp::MAX);
        let ours = |name: &&str| {
            let found = users.by_name(name)?;
            found.was_created_by(service_account, since).then(|| ((*name).to_owned(), found.clone()))
        };
        Ok(names.iter().filter_map(ours).collect())
    }

    /// A name that is taken may have been taken by an earlier call of ours.
    async fn settle_duplicates(&mut self, service_account: &str) -> Result<(), Failure> {
        let doubtful = |work: &Work| matches!(&work.end, Some(End::Failed(it)) if it.code == MAYBE_OURS);
        if !self.work.iter().any(doubtful) {
            return Ok(());
        }
        let found = self.find_created(service_account).await?;
        for work in self.work.iter_mut().filter(|work| doubtful(work)) {
            let ours = found.iter().find(|(name, _)| name.eq_ignore_ascii_case(&work.account));
            match ours {
                Some((_, found)) => work.created(found.id.clone()),
                None => work.end = Some(End::Failed(said(&error::failure("DUPLICATE_USERNAME", TAKEN)))),
            }
        }
        Ok(())
    }

    /// A new user's password call needs to know how the user looked before it.
    async fn read_passwords_of_created(&mut self) -> Result<(), Failure> {
        let rows = self.rows(|work, plan| plan.change == Change::Add && work.written && plan.password.is_some());
        let ids: Vec<&str> = rows.iter().filter_map(|index| self.work.get(*index)?.id.as_deref()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let users = self.org.look_up(&[], &ids).await?;
        for index in rows {
            if let Some(work) = self.work.get_mut(index)
                && let Some(found) = work.id.as_deref().and_then(|id| users.by_id(id))
            {
                work.password_changed.clone_from(&found.last_password_change_date);
            }
        }
        Ok(())
    }

    async fn modify(&mut self) -> Result<(), Failure> {
        for work in &mut self.work {
            // Nothing but a password, or disabling after it.
            work.written |= work.plan.as_ref().is_some_and(|plan| plan.fields.is_empty());
        }
        for _ in 0..ROUNDS {
            let rows = self.rows(|work, plan| plan.change == Change::Modify && !work.written);
            let Some(lost) = self.write(rows.clone(), Call::patch_many, true).await? else { return Ok(()) };
            self.org.settle().await;
            for index in rows {
                if let Some(work) = self.work.get_mut(index).filter(|work| work.is_open() && !work.written) {
                    work.remark = Some(said(&lost));
                }
            }
        }
        // The same values, twice, without an answer: what the users look like now is anybody's guess.
        for index in self.rows(|work, plan| plan.change == Change::Modify && !work.written) {
            if let Some(work) = self.work.get_mut(index) {
                let remark = work.remark.take().unwrap_or_else(|| said(&error::strange(0)));
                work.end = Some(End::Unknown(remark));
            }
        }
        Ok(())
    }

    async fn disable(&mut self) -> Result<(), Failure> {
        for round in 1..=ROUNDS {
            let rows = self.rows(|_, plan| plan.disables_last());
            let records: Vec<(usize, Map<String, Json>)> = rows
                .iter()
                .filter_map(|index| {
                    let id = self.work.get(*index)?.id.clone()?;
                    Some((
                        *index,
                        Map::from_iter([("Id".to_owned(), json!(id)), ("IsActive".to_owned(), json!(false))]),
                    ))
                })
                .collect();
            let outcome = self.send(records, Call::patch_many).await?;
            for (index, result) in outcome.rows {
                if let (Some(work), Err(refused)) = (self.work.get_mut(index), result) {
                    work.fail_partly(refused, "was not disabled");
                }
            }
            let Some(lost) = outcome.lost else { return Ok(()) };
            self.org.settle().await;
            if round == ROUNDS {
                for index in rows {
                    if let Some(work) = self.work.get_mut(index) {
                        work.end = Some(End::Unknown(said(&lost)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the fields of some rows. The failure, if the answer was lost.
    async fn write(
        &mut self,
        rows: Rows,
        call: impl Fn(Json) -> Call,
        repeated: bool,
    ) -> Result<Option<Failure>, Failure> {
        let records = rows
            .iter()
            .filter_map(|index| {
                let work = self.work.get(*index)?;
                let mut fields = work.plan.as_ref()?.fields.clone();
                if let Some(id) = &work.id {
                    fields.insert("Id".to_owned(), json!(id));
                }
                Some((*index, fields))
            })
            .collect();
        let outcome = self.send(records, call).await?;
        for (index, result) in outcome.rows {
            let Some(work) = self.work.get_mut(index) else { continue };
            match result {
                Ok(id) => work.written(id),
                Err(refused) if repeated && work.is_new() && refused.code == "DUPLICATE_USERNAME" => {
                    work.end = Some(End::Failed(Refused::new(MAYBE_OURS, "")));
                }
                Err(refused) => work.end = Some(End::Failed(refused)),
            }
        }
        Ok(outcome.lost)
    }

    /// One call for many records; rows that met a lock once more, by themselves.
    async fn send(
        &self,
        mut records: Vec<(usize, Map<String, Json>)>,
        call: impl Fn(Json) -> Call,
    ) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let note = Note { since: self.since(), ..Note::default() }.encode();
        for tries in 0..LOCK_TRIES {
            if records.is_empty() {
                break;
            }
            if tries > 0 {
                tokio::time::sleep(lock_wait(tries)).await;
            }
            let answer = match self.org.change(self.cx, self.step, &note, &call(body(&records))).await {
                Ok(answer) => answer.json,
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => {
                    sent.rows.extend(records.into_iter().map(|(index, _)| (index, Err(said(&failure)))));
                    return Ok(sent);
                }
                Err(Undone::Unknown(failure)) => return Ok(Sent { lost: Some(failure), ..sent }),
            };
            let Some(answers) = answer.as_array().filter(|rows| rows.len() == records.len()) else {
                return Ok(Sent { lost: Some(error::strange(200)), ..sent });
            };
            let last = tries + 1 == LOCK_TRIES;
            let mut again = Vec::new();
            for ((index, record), answer) in records.into_iter().zip(answers) {
                match row(answer) {
                    Err(refused) if refused.code == "UNABLE_TO_LOCK_ROW" && !last => again.push((index, record)),
                    result => sent.rows.push((index, result)),
                }
            }
            records = again;
        }
        Ok(sent)
    }

    async fn set_passwords(&mut self) -> Result<(), Failure> {
        let rows = self.rows(|work, plan| work.written && plan.password.is_some());
        let unit = &*self;
        let calls: Vec<_> = rows
            .into_iter()
            .filter_map(|index| Some((index, unit.work.get(index)?)))
            .map(|(index, work)| async move { (index, unit.set_password(work).await) })
            .collect();
        let results: Vec<_> = stream::iter(calls).buffer_unordered(PASSWORDS_AT_ONCE).collect().await;
        for (index, result) in results {
            let Some(work) = self.work.get_mut(index) else { continue };
            match result {
                Ok(()) => (),
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => work.fail_partly(said(&failure), "did not get its password"),
                Err(Undone::Unknown(failure)) => work.end = Some(End::Unknown(said(&failure))),
            }
        }
        Ok(())
    }

    /// Sets one password, unless an earlier attempt has.
    async fn set_password(&self, work: &Work) -> Result<(), Undone> {
        let (Some(id), Some(password)) = (&work.id, work.plan.as_ref().and_then(|it| it.password.as_ref())) else {
            return Ok(());
        };
        let mut before = &work.password_changed;
        if let Some(earlier) = self.memory.passwords.get(&work.number) {
            if work.password_changed != *earlier {
                return Ok(());
            }
            before = earlier;
        }
        let note = Note { password: Some(work.number), before: before.clone(), since: self.since(), ..Note::default() };
        let call = Call::set_password(id, password.expose());
        let mut lost = None;
        for _ in 0..ROUNDS {
            let refused = match self.org.change(self.cx, self.step, &note.encode(), &call).await {
                Ok(_) => return Ok(()),
                Err(Undone::Not(failure)) if is_repeated(&failure) && self.was_set_elsewhere(work) => return Ok(()),
                Err(Undone::Not(failure)) if lost.is_none() => return Err(Undone::Not(failure)),
                Err(Undone::Not(failure)) => Some(failure),
                Err(Undone::Unknown(failure)) => {
                    lost = Some(failure);
                    None
                }
            };
            self.org.settle().await;
            match (self.org.read_back(id).await, refused) {
                (Ok(now), _) if now.last_password_change_date != *before => return Ok(()),
                (Ok(_), Some(refused)) => return Err(Undone::Not(refused)),
                (Ok(_), None) => (),
                (Err(failure), _) => return Err(Undone::Unknown(failure)),
            }
        }
        Err(Undone::Unknown(lost.unwrap_or_else(|| error::strange(0))))
    }

    /// Whether another member, whose journal is not here, may have set the password of this entry.
    fn was_set_elsewhere(&self, work: &Work) -> bool {
        let changed = work.password_changed.as_deref().and_then(time::parse);
        self.cx.reconcile && changed.zip(self.memory.since).is_some_and(|(changed, since)| changed >= since)
    }

    fn rows(&self, wanted: impl Fn(&Work, &Plan) -> bool) -> Rows {
        let wanted =
            |(_, work): &(usize, &Work)| work.is_open() && work.plan.as_ref().is_some_and(|it| wanted(work, it));
        self.work.iter().enumerate().filter(wanted).map(|(index, _)| index).collect()
    }

    fn since(&self) -> Option<i64> {
        self.memory.since.map(Timestamp::as_millisecond)
    }
}

/// A taken name whose owner has to be looked at.
const MAYBE_OURS: &str = "maybe_ours";
const TAKEN: &str = "the user name is taken, in this org or in another";

/// What became of one call for many records.
#[derive(Default)]
struct Sent {
    rows: Vec<(usize, Result<String, Refused>)>,
    lost: Option<Failure>,
}

fn body(records: &[(usize, Map<String, Json>)]) -> Json {
    let records: Vec<Json> = records
        .iter()
        .map(|(_, fields)| {
            let mut record = Map::from_iter([("attributes".to_owned(), json!({ "type": "User" }))]);
            record.extend(fields.clone());
            Json::Object(record)
        })
        .collect();
    json!({ "allOrNone": false, "records": records })
}

/// The fate of one record of a collection: its id, or the first error.
fn row(answer: &Json) -> Result<String, Refused> {
    if answer.get("success").and_then(Json::as_bool) == Some(true) {
        return Ok(answer.get("id").and_then(Json::as_str).unwrap_or_default().to_owned());
    }
    let error = answer.get("errors").and_then(|errors| errors.get(0));
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Json::as_str).unwrap_or_default();
    let code = if text("statusCode").is_empty() { "UNKNOWN_EXCEPTION" } else { text("statusCode") };
    Err(said(&error::failure(code, text("message"))))
}

/// Whether a password was refused, perhaps because the user has it already: the code does not tell.
fn is_repeated(failure: &Failure) -> bool {
    failure.code.as_str() == "INVALID_NEW_PASSWORD"
}

fn said(failure: &Failure) -> Refused {
    let (summary, next_step) = (failure.summary.as_str(), failure.next_step.as_str());
    let message = if next_step.is_empty() { summary.to_owned() } else { format!("{summary}. {next_step}") };
    Refused::new(failure.code.as_str(), message)
}

impl Work {
    fn new(item: Item, schema: &Fields) -> Self {
        let blank = |number, line| Self {
            number,
            line,
            account: String::new(),
            plan: None,
            id: None,
            password_changed: None,
            written: false,
            end: None,
            remark: None,
        };
        match item {
            Err(bad) => {
                let message = format!("line {}, column {}: {}", bad.place.line, bad.place.column, bad.problem);
                Self { end: Some(End::Failed(Refused::new(bad.code, message))), ..blank(bad.number, bad.place.line) }
            }
            Ok(entry) => {
                let blank = blank(entry.number, entry.place.line);
                match plan::plan(&entry, schema) {
                    Ok(plan) => Self { account: plan.key.text().to_owned(), plan: Some(plan), ..blank },
                    Err(refused) => {
                        let account = plan::names(&entry).into_iter().next().unwrap_or_default();
                        Self { account, end: Some(End::Failed(refused)), ..blank }
                    }
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    fn is_new(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.change == Change::Add)
    }

    /// Compares what is asked for with the user that is there.
    fn meet(&mut self, users: &Users, memory: &Memory, service_account: &str) {
        let Some(plan) = self.plan.as_ref().filter(|_| self.end.is_none()) else { return };
        match plan.change {
            Change::Add => {
                let Some(found) = users.by_name(plan.key.text()) else { return };
                let since = memory.since.filter(|_| memory.may_have_acted);
                if since.is_some_and(|since| found.was_created_by(service_account, since)) {
                    self.password_changed.clone_from(&found.last_password_change_date);
                    self.created(found.id.clone());
                } else {
                    self.end = Some(End::Failed(said(&error::failure("DUPLICATE_USERNAME", TAKEN))));
                }
            }
            Change::Modify => match resolve(plan, self.number, users, memory, service_account) {
                Some(found) => self.meet_user(found, memory, service_account),
                None => self.end = Some(End::Failed(said(&not_found(plan.key.text())))),
            },
        }
    }

    fn meet_user(&mut self, found: &Found, memory: &Memory, service_account: &str) {
        let Some(plan) = &self.plan else { return };
        self.id = Some(found.id.clone());
        self.password_changed.clone_from(&found.last_password_change_date);
        let cuts_off = plan.new_name.is_some() || plan.password.is_some() || plan.active == Some(false);
        if same_id(&found.id, service_account) && cuts_off {
            self.end = Some(End::Failed(said(&protected())));
        } else if plan.password.is_some() && !found.is_active && plan.active != Some(true) {
            self.end = self.end_of_inactive(found, memory, service_account);
        } else if found.is_active && changes_email(plan, found) {
            let message = "the new e-mail address waits until its owner clicks the link that Salesforce has sent there";
            self.remark = Some(Refused::new("email_pending", message));
        }
    }

    /// An inactive user gets no password, unless it is inactive because an earlier attempt came as far as that.
    fn end_of_inactive(&self, found: &Found, memory: &Memory, service_account: &str) -> Option<End> {
        let refused = said(&inactive(&self.account));
        let disables = self.plan.as_ref().is_some_and(Plan::disables_last);
        match memory.passwords.get(&self.number) {
            Some(before) if *before != found.last_password_change_date => None,
            None if disables && memory.since.is_some_and(|since| found.was_modified_by(service_account, since)) => {
                Some(End::Unknown(refused))
            }
            _ => Some(End::Failed(refused)),
        }
    }

    fn written(&mut self, id: String) {
        self.written = true;
        self.id.get_or_insert(id);
    }

    fn created(&mut self, id: String) {
        self.end = None;
        self.written(id);
    }

    fn fail_partly(&mut self, refused: Refused, what: &str) {
        let done = if self.is_new() { "was created" } else { "has its new fields" };
        let message = format!("the user {done}, but {what}: {}", refused.message);
        self.end = Some(End::Failed(Refused { message, ..refused }));
    }

    fn line(&self) -> Line {
        let (outcome, refused) = match &self.end {
            None if self.is_new() => (Fate::Created, self.remark.as_ref()),
            None => (Fate::Modified, self.remark.as_ref()),
            Some(End::Failed(refused)) => (Fate::Failed, Some(refused)),
            Some(End::Unknown(refused)) => (Fate::Unknown, Some(refused)),
        };
        let action = match self.plan.as_ref().map(|plan| plan.change) {
            Some(Change::Add) => "create",
            Some(Change::Modify) => "modify",
            None => "none",
        };
        Line {
            entry: self.number,
            at: self.line,
            action: action.to_owned(),
            account: clipped(&self.account),
            outcome,
            id: self.id.clone(),
            code: refused.map(|it| clipped(&it.code)),
            message: refused.map(|it| clipped(&it.message)),
        }
    }
}

/// The user that an entry means. One that an earlier attempt renamed is found by its id or its new name.
fn resolve<'a>(
    plan: &Plan,
    number: u64,
    users: &'a Users,
    memory: &Memory,
    service_account: &str,
) -> Option<&'a Found> {
    let found = match &plan.key {
        Key::Id(id) => return users.by_id(id),
        Key::Name(name) => users.by_name(name),
    };
    if found.is_some() || !memory.may_have_acted {
        return found;
    }
    let renamed = users.by_name(plan.new_name.as_deref()?)?;
    let ours = match memory.renames.get(&number) {
        Some(id) => same_id(id, &renamed.id),
        None => memory.since.is_some_and(|since| renamed.was_modified_by(service_account, since)),
    };
    ours.then_some(renamed)
}

fn changes_email(plan: &Plan, found: &Found) -> bool {
    let new = plan.fields.get("Email").and_then(Json::as_str);
    new.is_some_and(|new| found.email.as_deref().is_none_or(|old| !old.eq_ignore_ascii_case(new)))
}
