//! One entry on its way from what it asks for to how it ended.

use std::collections::BTreeSet;

use postern_protocol::Failure;
use postern_protocol::outcome::Certainty;
use serde_json::{Map, Value as Json, json};

use super::super::choices::Choices;
use super::super::lookup::{Found, Users};
use super::super::memory::{Memory, Operation};
use super::super::naming::{InFields, Source, whole};
use super::super::plan::{self, Key, Plan, Refused};
use super::super::present::is_same;
use super::super::result::{Fate, Line, clipped, told};
use super::Unit;
use super::memberships::Moves;
use crate::connector::salesforce::error;
use crate::connector::salesforce::schema::describe::Described;
use crate::connector::salesforce::user::{inactive, not_found, protected, same_id};
use crate::connector::{Effect, Known, Shift};
use crate::dataset::{Change, Item, Place};
use crate::policy::Act;

pub(super) const TAKEN: &str = "the user name is taken, in this org or in another";
/// Values that words of others are looked through for, at some 20 µs each: of every user of a full unit a password and four more.
const MOST_LOOKED_FOR: usize = 50_000;

/// One entry while it is worked on.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the entry")]
pub(super) struct Work<'a> {
    pub(super) number: u64,
    place: Place,
    end_of_entry: Option<u64>,
    pub(super) account: String,
    pub(super) plan: Option<Plan<'a>>,
    pub(super) id: Option<String>,
    /// What the user is called that was looked up.
    found_as: Option<String>,
    /// Whether the user gets another address or identity than it has.
    signs_in_otherwise: bool,
    /// The user was there, and is taken for what an earlier attempt made.
    adopted: Option<Adopted>,
    /// `LastPasswordChangeDate` as last read.
    pub(super) password_changed: Option<String>,
    /// Whether its fields are written, or there are none to write.
    pub(super) written: bool,
    /// Whether anything of it is done.
    pub(super) touched: bool,
    /// Whether any of that was only found by looking.
    pub(super) was_seen: bool,
    /// Whether the user was as the entry wants it.
    unchanged: bool,
    /// Whether an earlier attempt may have written what is there.
    ours: bool,
    /// Whether it may have brought about what the user is in.
    may_have_moved: bool,
    /// What it is put into and taken out of.
    pub(super) moves: Moves,
    /// What gets another value.
    pub(super) shifts: Vec<Shift>,
    pub(super) end: Option<End>,
    pub(super) remark: Option<Refused>,
}

/// A user that is taken for what an earlier attempt made.
#[derive(Debug, Clone, Copy)]
struct Adopted {
    /// Whether anybody may have signed in as it.
    is_in_use: bool,
}

/// How an entry ended other than well.
pub(super) enum End {
    Failed(Refused),
    Unknown(Refused),
}

impl End {
    /// Nothing is sent of an entry, as the org is now. If another member had it, that may be so because it is done.
    pub(super) fn unsent(refused: Refused, memory: &Memory) -> Self {
        if memory.elsewhere { Self::Unknown(refused) } else { Self::Failed(refused) }
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(item: Item, schema: &'a Described, choices: &Choices) -> Self {
        let blank = |number, place, end_of_entry| Self {
            number,
            place,
            end_of_entry,
            account: String::new(),
            plan: None,
            id: None,
            found_as: None,
            signs_in_otherwise: false,
            adopted: None,
            password_changed: None,
            written: false,
            touched: false,
            was_seen: false,
            unchanged: false,
            ours: false,
            may_have_moved: false,
            moves: Moves::default(),
            shifts: Vec::new(),
            end: None,
            remark: None,
        };
        match item {
            Err(bad) => {
                let message = format!("line {}, column {}: {}", bad.place.line, bad.place.column, bad.problem);
                let end = Some(End::Failed(Refused::new(bad.code, message)));
                Self { end, ..blank(bad.number, bad.place, bad.end) }
            }
            Ok(entry) => {
                let blank = blank(entry.number, entry.place, Some(entry.end));
                match plan::plan(&entry, schema, choices) {
                    Ok(plan) => Self { account: plan.key.text().to_owned(), plan: Some(plan), ..blank },
                    Err(refused) => {
                        let account = plan::key_as_written(&entry).unwrap_or_default().to_owned();
                        Self { account, end: Some(End::Failed(refused)), ..blank }
                    }
                }
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub(super) fn is_new(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.change == Change::Add)
    }

    /// What is done to its user, if anything is sent for its fields.
    pub(super) fn operation(&self) -> Operation {
        if self.is_new() { Operation::Insert } else { Operation::Update }
    }

    /// The user that nobody looked at: what is asked for can be sent without.
    pub(super) fn meet_unseen(&mut self, service_account: &str) {
        let Some(plan) = self.plan.as_ref().filter(|_| self.end.is_none()) else { return };
        let Key::Id(id) = &plan.key else { return };
        if same_id(id, service_account) && plan.cuts_off(None) {
            self.end = Some(End::Failed(found_out(&protected())));
        } else {
            self.id = Some(id.clone());
        }
    }

    /// Compares what is asked for with the user that is there.
    pub(super) fn meet(&mut self, users: &Users, memory: &Memory, choices: &Choices, service_account: &str) {
        let Some(plan) = self.plan.as_ref().filter(|_| self.end.is_none()) else { return };
        match plan.change {
            Change::Add => {
                let Some(found) = users.by_name(plan.key.text()) else { return };
                let since = memory.since.filter(|_| memory.may_have_acted);
                if since.is_some_and(|since| found.is_made_of(plan, &memory.accounts, since)) {
                    self.password_changed.clone_from(&found.last_password_change_date);
                    // What the policy let in here may have given it its password.
                    let is_let_in = memory.was_admitted(self.number);
                    self.adopted = Some(Adopted { is_in_use: !is_let_in && found.is_in_use() });
                    self.found(found.id.clone());
                } else {
                    self.end = Some(End::unsent(found_out(&error::failure("DUPLICATE_USERNAME", TAKEN)), memory));
                }
            }
            Change::Modify => match resolve(plan, self.number, users, memory) {
                Some(found) => self.meet_user(found, memory, choices, service_account),
                None => self.end = Some(End::unsent(found_out(&not_found(plan.key.text())), memory)),
            },
        }
    }

    fn meet_user(&mut self, found: &Found, memory: &Memory, choices: &Choices, service_account: &str) {
        let Some(plan) = &self.plan else { return };
        self.id = Some(found.id.clone());
        self.found_as = Some(found.username.clone());
        self.password_changed.clone_from(&found.last_password_change_date);
        let since = memory.since.filter(|_| memory.may_have_acted);
        self.ours = since.is_some_and(|since| found.was_modified_by(&memory.accounts, since));
        self.signs_in_otherwise = changes_email(plan, found) || changes_identity(plan, found);
        let cuts_off = plan.cuts_off(Some(&found.username)) || self.signs_in_otherwise || changes_profile(plan, found);
        if same_id(&found.id, service_account) && cuts_off {
            self.end = Some(End::Failed(found_out(&protected())));
        } else if plan.password.is_some() && !found.is_active && plan.active != Some(true) {
            self.end = self.end_of_inactive(found, memory);
        } else if found.is_active && changes_email(plan, found) {
            let message = "the new e-mail address waits until its owner clicks the link that Salesforce has sent there";
            self.remark = Some(Refused::new("email_pending", message));
            if let Some(plan) = &mut self.plan {
                plan.called.note(&choices.naming, "email", &Json::from(found.email.clone()));
            }
        }
    }

    /// An inactive user gets no password, unless it is inactive because an earlier attempt came as far as that.
    fn end_of_inactive(&self, found: &Found, memory: &Memory) -> Option<End> {
        let refused = found_out(&inactive(&self.account));
        let disables = self.plan.as_ref().is_some_and(Plan::disables_last);
        match memory.passwords.get(&self.number) {
            Some(sent) if sent.before != found.last_password_change_date => None,
            None if disables && memory.since.is_some_and(|since| found.was_modified_by(&memory.accounts, since)) => {
                Some(End::Unknown(refused))
            }
            _ => Some(End::Failed(refused)),
        }
    }

    /// Whether anything has to be sent, now that it is known what the user holds.
    pub(super) fn is_to_be_done(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| {
            let has_fields = !(self.adopted.is_some() || plan.asks_for_nothing());
            has_fields || plan.password.is_some() || !self.moves.is_empty()
        })
    }

    /// What is asked for, as far as the policy looks at it; nothing if it is done or will not be. Of a user that was found
    /// nobody here knows that it was made for this task: what else is done to it is that to a user.
    pub(super) fn act(&self) -> Option<Act> {
        let is_ahead = self.is_open() && (self.adopted.is_some() || !self.written);
        let plan = self.plan.as_ref().filter(|_| is_ahead)?;
        let creates = plan.change == Change::Add;
        let is_there = self.adopted.map_or(!creates, |it| it.is_in_use);
        let account = self.found_as.as_deref().unwrap_or(plan.key.text());
        let is_new = |name: &&String| name.to_lowercase() != account.to_lowercase();
        Some(Act {
            account: account.to_owned(),
            new_name: plan.new_name.as_ref().filter(is_new).cloned(),
            derives_name: false,
            creates,
            deactivates: is_there && plan.active == Some(false),
            resets: is_there && plan.password.is_some(),
            signs_in_otherwise: self.signs_in_otherwise,
        })
    }

    pub(super) fn written(&mut self, id: String) {
        (self.written, self.touched) = (true, true);
        self.id.get_or_insert(id);
    }

    /// Its fields were written by a call without an answer, as far as can be seen.
    pub(super) fn found(&mut self, id: String) {
        (self.end, self.was_seen) = (None, true);
        self.written(id);
    }

    pub(super) fn fail_partly(&mut self, refused: Refused, what: &str) {
        let done = match (self.touched, self.is_new()) {
            (false, _) => String::new(),
            (true, true) => "was created, but ".to_owned(),
            (true, false) => "was changed, but ".to_owned(),
        };
        self.end = Some(End::Failed(refused.after(&format!("the user {done}{what}: "))));
    }

    /// The user is not among those that were read. If it was asked for, it is not there: what nobody holds is not as wanted.
    pub(super) fn miss(&mut self, choices: &Choices) {
        let Some(plan) = self.plan.as_ref().filter(|_| self.end.is_none()) else { return };
        if self.id.is_some() && plan.looks_at(choices).next().is_some() {
            self.end = Some(End::Failed(found_out(&not_found(plan.key.text()))));
        }
    }

    /// Leaves of it what has to be sent, now that it is known what the user holds; notes what gets another value.
    /// `may_have_moved`: an earlier attempt may have brought about what the user is in.
    pub(super) fn compare(
        &mut self,
        present: &Map<String, Json>,
        schema: &Described,
        choices: &Choices,
        may_have_moved: bool,
    ) {
        let Some(plan) = self.plan.as_mut().filter(|_| self.end.is_none()) else { return };
        self.may_have_moved = may_have_moved;
        let asked: Vec<&str> = if choices.audits() { plan.fields.names().collect() } else { Vec::new() };
        if plan.change == Change::Add {
            plan.keep_gains(schema, choices);
        } else {
            plan.keep_differences(present, schema, choices);
            self.unchanged = plan.asks_for_nothing() && self.moves.is_empty() && !self.ours && !may_have_moved;
        }
        let held = |name: &str| present.get(name).cloned().unwrap_or_default();
        // Of what was not read nobody knows that it stays as it is: to empty it is a change.
        let is_known = |name: &str| plan.change == Change::Add || choices.tells(name);
        let last = plan.disables_last().then_some(("IsActive", Json::Bool(false)));
        let fields = plan.fields.iter().map(|(name, value)| (name, value.clone())).chain(last);
        let shifts = fields.filter_map(|(name, new)| {
            let old = held(name);
            let same = is_known(name) && schema.find(name).is_some_and(|field| is_same(field, &old, &new));
            let shown = choices.tells(name) && !choices.is_encrypted(name);
            (!same).then(|| Shift { attribute: name.to_owned(), old: shown.then_some(old), new: shown.then_some(new) })
        });
        let password = plan.password.as_ref().map(|_| Shift::password());
        self.shifts.extend(shifts.chain(password));
        if may_have_moved {
            for attribute in plan.memberships.iter().map(|(kind, _)| kind.attribute()) {
                if !self.shifts.iter().any(|shift| shift.attribute == attribute) {
                    self.shifts.push(Shift::hidden(attribute));
                }
            }
        }
        // What an earlier attempt wrote may have been told to nobody, and what was there before is not known any more.
        if self.ours {
            for name in asked.into_iter().filter(|name| choices.is_audited(name)) {
                if !self.shifts.iter().any(|shift| shift.attribute == name) {
                    let new = (!choices.is_encrypted(name)).then(|| held(name));
                    self.shifts.push(Shift { attribute: name.to_owned(), old: None, new });
                }
            }
        }
    }

    pub(super) fn fail(&mut self, code: &str, message: impl Into<String>) {
        self.end = Some(End::Failed(Refused::new(code, message)));
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_)))
    }

    pub(super) fn line(&self, choices: &Choices) -> Line {
        let (outcome, refused) = match &self.end {
            None if self.unchanged => (Fate::Unchanged, None),
            None if choices.dry_run && self.is_new() => (Fate::WouldCreate, self.remark.as_ref()),
            None if choices.dry_run => (Fate::WouldModify, self.remark.as_ref()),
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
            at: self.place.line,
            column: self.place.column,
            offset: self.place.offset,
            length: self.end_of_entry.map(|end| end.saturating_sub(self.place.offset)),
            action,
            account: clipped(&self.account),
            outcome,
            id: self.id.clone(),
            account_id: self.named_by(&choices.naming.account, |it| &it.account),
            login_id: self.named_by(&choices.naming.login, |it| &it.login),
            code: refused.map(|it| clipped(&it.code)),
            message: refused.map(|it| clipped(&self.discreet(it))),
            partly: self.has_failed() && self.touched,
            perhaps: self.has_failed() && !self.touched && self.may_be_changed(),
            changes: if choices.dry_run && self.end.is_none() { told(&self.shifts) } else { Vec::new() },
            effect: self.effect(outcome).filter(|_| !choices.dry_run),
        }
    }

    /// Whether an attempt that died may have changed it, and could not say so.
    fn may_be_changed(&self) -> bool {
        self.ours || self.may_have_moved
    }

    /// What the audit log tells of it, if it was changed or may have been.
    fn effect(&self, outcome: Fate) -> Option<(Effect, Known)> {
        let known = match outcome {
            Fate::Unknown => Known::Unknown,
            Fate::Created | Fate::Modified if self.touched && !self.was_seen => Known::Done(Certainty::Certain),
            Fate::Created | Fate::Modified => Known::Done(Certainty::Probable),
            Fate::Failed if self.touched && !self.was_seen => Known::Done(Certainty::Certain),
            Fate::Failed if self.touched => Known::Done(Certainty::Probable),
            Fate::Failed if self.may_be_changed() => Known::Unknown,
            Fate::Failed | Fate::Unchanged | Fate::WouldCreate | Fate::WouldModify => return None,
        };
        let effect = Effect {
            entry: Some(self.number),
            key: self.plan.as_ref().and_then(|plan| plan.audit_key.clone()),
            account: self.found_as.as_ref().unwrap_or(&self.account).clone(),
            id: self.id.clone(),
            created: self.is_new(),
            partly: self.has_failed(),
            changes: told(&self.shifts),
        };
        Some((effect.shown(), known))
    }

    /// What the account is called as the entry left it. Of one that it should have changed, and did not, nothing is known.
    fn named_by(&self, source: &Source, in_fields: impl Fn(&InFields) -> &Option<String>) -> Option<String> {
        let plan = self.plan.as_ref().filter(|_| self.is_open() || self.touched)?;
        let name = match (source, &plan.key) {
            (Source::Id, _) => self.id.as_deref(),
            (Source::Username, Key::Id(_)) => plan.new_name.as_deref(),
            (Source::Username, Key::Name(name)) => Some(plan.new_name.as_ref().unwrap_or(name).as_str()),
            (Source::Field(_), _) => in_fields(&plan.called).as_deref(),
        };
        name.and_then(whole)
    }

    /// Salesforce may repeat a value that it refuses, and some are shown nowhere.
    fn discreet(&self, refused: &Refused) -> String {
        if self.is_told_by(refused.theirs()) { refused.kept_back().message() } else { refused.message() }
    }

    /// Whether words of others may hold a value of it that is shown nowhere.
    fn is_told_by(&self, words: &str) -> bool {
        any_is_told_by([self].into_iter(), words)
    }
}

/// Whether words of others may hold a value of these entries that is shown nowhere. Where those are too many to be looked for,
/// they are taken to.
fn any_is_told_by<'a>(mut entries: impl Iterator<Item = &'a Work<'a>> + Clone, words: &str) -> bool {
    let hidden = |work: &'a Work<'a>| work.plan.as_ref().map(|plan| plan.hidden.as_slice()).unwrap_or_default();
    let is_told = |work| hidden(work).iter().any(|value| error::may_tell(words, value.expose()));
    let all = entries.clone().map(|work| hidden(work).len()).sum::<usize>();
    !words.is_empty() && (all > MOST_LOOKED_FOR || entries.any(is_told))
}

impl Unit<'_> {
    /// What is told of each of these rows, whose call was answered as a whole: the words may be about any of them.
    pub(super) fn said_together(&self, rows: &[usize], failure: &Failure) -> Refused {
        let refused = said(failure);
        // A row is there once for each membership of its entry.
        let rows: BTreeSet<usize> = rows.iter().copied().collect();
        let entries = rows.iter().filter_map(|index| self.work.get(*index));
        if any_is_told_by(entries, refused.theirs()) { refused.kept_back() } else { refused }
    }

    /// What is told of rows of which nobody knows what became: others of their call may be known by now.
    pub(super) fn said_of_all(&self, failure: &Failure) -> Refused {
        let refused = said(failure);
        if self.is_told_by(refused.theirs()) { refused.kept_back() } else { refused }
    }

    /// A failure that leaves the unit to another attempt: it is told as the task's, and logged.
    pub(super) fn discreet(&self, failure: Failure) -> Failure {
        let (_, theirs) = error::ours_and_theirs(failure.summary.as_str());
        if self.is_told_by(theirs) { error::kept_back(failure) } else { failure }
    }

    /// Whether words of others may hold a value of any of its entries that is shown nowhere.
    pub(super) fn is_told_by(&self, words: &str) -> bool {
        any_is_told_by(self.work.iter(), words)
    }
}

/// The fields of an entry as a record of a collection.
pub(super) fn record(work: &Work<'_>) -> Option<Json> {
    let mut record = work.plan.as_ref()?.fields.to_map();
    record.insert("attributes".to_owned(), json!({ "type": "User" }));
    if let Some(id) = &work.id {
        record.insert("Id".to_owned(), json!(id));
    }
    Some(Json::Object(record))
}

/// What disables the user of an entry, as a record of a collection.
pub(super) fn disabling_record(work: &Work<'_>) -> Option<Json> {
    Some(json!({ "attributes": { "type": "User" }, "Id": work.id.as_ref()?, "IsActive": false }))
}

/// The user that an entry means. One that an earlier attempt renamed is found by its id or its new name.
fn resolve<'a>(plan: &Plan<'_>, number: u64, users: &'a Users, memory: &Memory) -> Option<&'a Found> {
    let found = match (&plan.key, memory.renames.get(&number)) {
        // Whoever has its former name by now is another.
        (Key::Id(id), _) | (Key::Name(_), Some(id)) => return users.by_id(id),
        (Key::Name(name), None) => users.by_name(name),
    };
    if found.is_some() || !memory.may_have_acted {
        return found;
    }
    let renamed = users.by_name(plan.new_name.as_deref()?)?;
    let is_ours = memory.since.is_some_and(|since| renamed.was_modified_by(&memory.accounts, since));
    is_ours.then_some(renamed)
}

fn changes_email(plan: &Plan<'_>, found: &Found) -> bool {
    let new = plan.fields.get("Email").and_then(Json::as_str);
    new.is_some_and(|new| found.email.as_deref().is_none_or(|old| !old.eq_ignore_ascii_case(new)))
}

fn changes_identity(plan: &Plan<'_>, found: &Found) -> bool {
    let new = plan.fields.get("FederationIdentifier");
    new.is_some_and(|new| new.as_str() != found.federation_identifier.as_deref())
}

/// What the agent itself may do hangs on its profile.
fn changes_profile(plan: &Plan<'_>, found: &Found) -> bool {
    let new = plan.fields.get("ProfileId").and_then(Json::as_str);
    new.is_some_and(|new| found.profile_id.as_deref().is_none_or(|old| !same_id(old, new)))
}

/// Why a call failed.
pub(super) fn said(failure: &Failure) -> Refused {
    let (ours, theirs) = error::ours_and_theirs(failure.summary.as_str());
    Refused::quoting(failure.code.as_str(), ours, theirs, &behind(failure))
}

/// What the agent found out by itself, in its own words alone.
pub(super) fn found_out(failure: &Failure) -> Refused {
    Refused::new(failure.code.as_str(), format!("{}{}", failure.summary.as_str(), behind(failure)))
}

/// The next step as a sentence behind the summary.
fn behind(failure: &Failure) -> String {
    let next_step = failure.next_step.as_str();
    if next_step.is_empty() { String::new() } else { format!(". {next_step}") }
}
