//! Permission sets and public groups: what users are in, and what they are to be in.
//!
//! They are records of their own, so nothing is kept of what was sent: after an answer that was lost it is read again
//! what users are in, and only what is missing is sent once more.

use std::collections::{HashMap, HashSet};

use postern_protocol::Failure;
use postern_protocol::task::import_batch::Difference;
use serde_json::{Value as Json, json};

use super::super::plan::Refused;
use super::sent::fates;
use super::work::{End, found_out};
use super::{AT_ONCE, Unit};
use crate::clock;
use crate::connector::Shift;
use crate::connector::salesforce::api::{Call, LOCK_TRIES, Longest, MAX_CALLS, Undone, lock_wait};
use crate::connector::salesforce::user::{protected, same_id, short};
use crate::connector::salesforce::{Salesforce, error, soql};
use crate::dataset::Change;

/// What a user can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    PermissionSets,
    Groups,
}

impl Kind {
    pub(in super::super) const ALL: [Self; 2] = [Self::PermissionSets, Self::Groups];

    /// The attribute that names them.
    pub(in super::super) const fn attribute(self) -> &'static str {
        match self {
            Self::PermissionSets => "PermissionSets",
            Self::Groups => "Groups",
        }
    }

    /// The kind that an attribute names, by its canonical name.
    pub(in super::super) fn of(canonical: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.attribute().eq_ignore_ascii_case(canonical))
    }

    /// The object that says who is in what, and its fields for the user and for what it is in.
    const fn object(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::PermissionSets => ("PermissionSetAssignment", "AssigneeId", "PermissionSetId"),
            Self::Groups => ("GroupMember", "UserOrGroupId", "GroupId"),
        }
    }

    /// The field that says by which group a user has it, if it is not in it by itself.
    const fn through(self) -> Option<&'static str> {
        match self {
            Self::PermissionSets => Some("PermissionSetGroupId"),
            Self::Groups => None,
        }
    }

    /// All there are that users can be put into by hand, with both names that people give them.
    const fn catalogue(self) -> (&'static str, [&'static str; 2]) {
        match self {
            Self::PermissionSets => {
                // The sum of a group of permission sets is listed among them, and assigned like one.
                let query = "SELECT Id, Name, Label FROM PermissionSet WHERE IsOwnedByProfile = false AND \
                             PermissionSetGroupId = null";
                (query, ["Name", "Label"])
            }
            Self::Groups => {
                ("SELECT Id, Name, DeveloperName FROM Group WHERE Type = 'Regular'", ["DeveloperName", "Name"])
            }
        }
    }
}

/// What a user has to be put into and taken out of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// What it is put into, by id.
    joins: Vec<(Kind, String)>,
    /// The records by which it is in what it is taken out of.
    leaves: Vec<(Kind, String)>,
}

impl Moves {
    pub(super) fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }
}

/// Everything of one kind: names by id, and what has a name, in lower case.
#[derive(Default)]
struct Catalogue {
    names: HashMap<String, String>,
    ids: HashMap<String, Named>,
}

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    One(String),
    /// People may call several alike, and packages bring names of their own.
    Several,
}

impl Catalogue {
    /// What has that name, or that id.
    fn find(&self, name: &str) -> Option<Named> {
        let id = short(name);
        if self.names.contains_key(id) {
            return Some(Named::One(id.to_owned()));
        }
        self.ids.get(&name.to_lowercase()).cloned()
    }
}

/// The most characters of a name that the org does not have that are told; no group or permission set has more.
const MAX_NAME: usize = 80;

/// What users are in: by user, the records and what they are about.
type Held = HashMap<String, Vec<(String, String)>>;

impl Salesforce {
    async fn catalogue(&self, kind: Kind) -> Result<Catalogue, Failure> {
        let (query, [first, second]) = kind.catalogue();
        let (mut catalogue, mut for_people) = (Catalogue::default(), HashMap::new());
        for row in self.query_pages(query).await? {
            let text = |name: &str| row.get(name).and_then(Json::as_str).unwrap_or_default();
            let id = short(text("Id")).to_owned();
            catalogue.names.insert(id.clone(), text(first).to_owned());
            let names = [(first, &mut catalogue.ids), (second, &mut for_people)];
            for (name, ids) in names {
                let slot = ids.entry(text(name).to_lowercase());
                slot.and_modify(|it| *it = Named::Several).or_insert_with(|| Named::One(id.clone()));
            }
        }
        // The name for programs comes before one for people that is spelled the same.
        for (name, named) in for_people {
            catalogue.ids.entry(name).or_insert(named);
        }
        Ok(catalogue)
    }

    async fn held(&self, kind: Kind, users: &[&str], longest: &Longest) -> Result<Held, Failure> {
        let (object, user, container) = kind.object();
        let mut held = Held::new();
        let through = kind.through();
        let more = through.map(|name| format!(", {name}")).unwrap_or_default();
        let select = format!("SELECT Id, {user}, {container}{more} FROM {object}");
        // Some users at a time: what is kept of a row is a tenth of what it takes when it is read.
        for some in users.chunks(soql::MAX_VALUES) {
            let rows: Vec<Json> = self.query_lists(&select, &[(user, some)], longest).await?;
            for row in rows {
                let text = |name: &str| row.get(name).and_then(Json::as_str).map(str::to_owned);
                // Such a record is the user's place in the group, which nobody named.
                if through.and_then(text).is_some() {
                    continue;
                }
                let (Some(id), Some(user), Some(container)) = (text("Id"), text(user), text(container)) else {
                    return Err(error::strange(200));
                };
                held.entry(short(&user).to_owned()).or_default().push((id, short(&container).to_owned()));
            }
        }
        Ok(held)
    }
}

/// How a membership is called that is to end and is no more; there is nothing of it in a recycle bin.
const GONE: [&str; 2] = ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"];

impl Unit<'_> {
    /// Finds out what users have to be put into and taken out of.
    pub(super) async fn compare_memberships(&mut self, service_account: &str) -> Result<(), Failure> {
        for work in &mut self.work {
            work.moves = Moves::default();
        }
        for kind in Kind::ALL {
            let rows = self.rows(|_, plan| plan.memberships.iter().any(|(it, _)| *it == kind));
            if rows.is_empty() {
                continue;
            }
            let catalogue = self.org.catalogue(kind).await?;
            let users: Vec<&str> = rows.iter().filter_map(|index| self.work.get(*index)?.id.as_deref()).collect();
            let held = if users.is_empty() { Held::new() } else { self.org.held(kind, &users, self.longest).await? };
            for index in rows {
                self.compare_one(index, kind, &catalogue, &held, service_account);
            }
        }
        Ok(())
    }

    fn compare_one(&mut self, index: usize, kind: Kind, catalogue: &Catalogue, held: &Held, service_account: &str) {
        let choices = self.choices;
        let Some(work) = self.work.get_mut(index) else { return };
        let Some(plan) = &work.plan else { return };
        let (mut wanted, mut is_wanted) = (Vec::new(), HashSet::new());
        for name in plan.memberships.iter().filter(|(it, _)| *it == kind).flat_map(|(_, names)| names) {
            let no_one = |code: &str, has: &str, behind: &str| {
                let name = error::cut(name.clone(), MAX_NAME);
                let behind = format!("` in its {}{behind}", kind.attribute());
                Some(End::Failed(Refused::quoting(code, &format!("the org has {has} `"), &name, &behind)))
            };
            match catalogue.find(name) {
                Some(Named::One(id)) => {
                    if is_wanted.insert(id.clone()) {
                        wanted.push(id);
                    }
                }
                Some(Named::Several) => {
                    work.end = no_one("ambiguous_value", "several", ": give the id of the one that is meant");
                    return;
                }
                None => {
                    work.end = no_one("unknown_value", "no", "");
                    return;
                }
            }
        }
        let none = Vec::new();
        let held = work.id.as_deref().and_then(|id| held.get(short(id))).unwrap_or(&none);
        // What is not in the catalogue, a profile's own permission set for one, is nobody's to move.
        let held: Vec<&(String, String)> = held.iter().filter(|(_, it)| catalogue.names.contains_key(it)).collect();
        let is_in: HashSet<&String> = held.iter().map(|(_, id)| id).collect();
        let difference = choices.difference(kind.attribute());
        let (adds, removes) = match difference {
            Difference::Replace | Difference::DiffWithTarget => (true, true),
            Difference::AddDiffWithTarget => (true, false),
            Difference::RemoveDiffWithTarget => (false, true),
        };
        let joins: Vec<String> = wanted.iter().filter(|id| adds && !is_in.contains(id)).cloned().collect();
        let goes = |id: &String| removes && (difference == Difference::RemoveDiffWithTarget) == is_wanted.contains(id);
        let leaves: Vec<&&(String, String)> = held.iter().filter(|(_, id)| goes(id)).collect();
        let is_service_account = work.id.as_deref().is_some_and(|id| same_id(id, service_account));
        if is_service_account && !leaves.is_empty() {
            work.end = Some(End::Failed(found_out(&protected())));
            return;
        }
        if !(joins.is_empty() && leaves.is_empty()) {
            let before: Vec<&String> = held.iter().map(|(_, id)| id).collect();
            let stay = before.iter().copied().filter(|id| !goes(id));
            let after: Vec<&String> = stay.chain(&joins).collect();
            let named = |ids: Vec<&String>| {
                let mut names: Vec<&str> =
                    ids.into_iter().filter_map(|id| catalogue.names.get(id)).map(String::as_str).collect();
                names.sort_unstable();
                (!choices.is_encrypted(kind.attribute())).then(|| Json::from(names.join(";")))
            };
            let shift = Shift { attribute: kind.attribute().to_owned(), old: named(before), new: named(after) };
            work.shifts.retain(|it| it.attribute != shift.attribute);
            work.shifts.push(shift);
        }
        work.moves.leaves.extend(leaves.into_iter().map(|(record, _)| (kind, record.clone())));
        work.moves.joins.extend(joins.into_iter().map(|id| (kind, id)));
    }

    /// Puts users into what they are to be in, and takes them out of the rest.
    pub(super) async fn move_members(&mut self, service_account: &str) -> Result<(), Failure> {
        for round in 1..=MAX_CALLS {
            let mut lost = None;
            for kind in Kind::ALL {
                lost = self.join(kind).await?.or(lost);
                lost = self.leave(kind).await?.or(lost);
            }
            let Some(lost) = lost else { return Ok(()) };
            let until_now = clock::now();
            self.org.settle().await;
            self.compare_memberships(service_account).await?;
            if self.work.iter().any(|work| work.is_open() && !work.moves.is_empty()) {
                self.unanswered = Some(until_now);
            }
            if round == MAX_CALLS {
                let rows = self.rows(|work, _| !work.moves.is_empty());
                self.end_as_unknown(rows, &lost);
            }
        }
        Ok(())
    }

    async fn join(&mut self, kind: Kind) -> Result<Option<Failure>, Failure> {
        let (object, user, container) = kind.object();
        let mut records = Vec::new();
        for index in self.rows(|work, _| work.written && !work.moves.joins.is_empty()) {
            let Some(work) = self.work.get(index) else { continue };
            let Some(id) = work.id.as_deref() else { continue };
            for (_, joined) in work.moves.joins.iter().filter(|(it, _)| *it == kind) {
                records.push((index, json!({ "attributes": { "type": object }, user: id, container: joined })));
            }
        }
        let mut lost = None;
        for some in records.chunks(AT_ONCE) {
            let call = |records: Vec<Json>| Call::post_many(json!({ "allOrNone": false, "records": records }));
            lost = self.move_some(some.to_vec(), call, kind, &["DUPLICATE_VALUE"]).await?.or(lost);
        }
        Ok(lost)
    }

    async fn leave(&mut self, kind: Kind) -> Result<Option<Failure>, Failure> {
        let mut records = Vec::new();
        for index in self.rows(|work, _| work.written && !work.moves.leaves.is_empty()) {
            let Some(work) = self.work.get(index) else { continue };
            let left = work.moves.leaves.iter().filter(|(it, _)| *it == kind);
            records.extend(left.map(|(_, record)| (index, record.clone())));
        }
        let mut lost = None;
        for some in records.chunks(AT_ONCE) {
            let call = |records: Vec<String>| Call::end_memberships(&records);
            lost = self.move_some(some.to_vec(), call, kind, &GONE).await?.or(lost);
        }
        Ok(lost)
    }

    /// One call for many records, each with its row, and once more for those that met a lock, or what else may pass; what is
    /// refused with one of these codes is as it should be. The failure, if an answer was lost.
    async fn move_some<T: Clone>(
        &mut self,
        mut records: Vec<(usize, T)>,
        call: impl Fn(Vec<T>) -> Call,
        kind: Kind,
        as_wanted: &[&str],
    ) -> Result<Option<Failure>, Failure> {
        let note = self.intent().encode();
        for tries in 0..LOCK_TRIES {
            if records.is_empty() {
                break;
            }
            if tries > 0 {
                tokio::time::sleep(lock_wait(tries)).await;
            }
            let (rows, sent): (Vec<usize>, Vec<T>) = records.iter().cloned().unzip();
            let results = match self.org.change(self.cx, self.step, &note, &call(sent)).await {
                Ok(answer) => match fates(&answer.json, rows.len()) {
                    Some(results) => results,
                    None => return Ok(Some(error::strange(200))),
                },
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => vec![Err(self.said_together(&rows, &failure)); rows.len()],
                Err(Undone::Unknown(failure)) => return Ok(Some(failure)),
            };
            self.unless_read_only(&note, &results).await?;
            let is_last = tries + 1 == LOCK_TRIES;
            let mut again = Vec::new();
            for (record, result) in records.into_iter().zip(results) {
                let Some(work) = self.work.get_mut(record.0) else { continue };
                match result {
                    // Somebody else did the same meanwhile.
                    Err(refused) if as_wanted.contains(&refused.code.as_str()) => (),
                    Err(refused) if !is_last && refused.may_pass() => again.push(record),
                    Err(refused) if work.is_open() => {
                        work.fail_partly(refused, &format!("its {} are not as wanted", kind.attribute()));
                    }
                    Ok(_) => work.touched = true,
                    Err(_) => (),
                }
            }
            records = again;
        }
        Ok(None)
    }

    /// Whether an entry asks for memberships that an earlier attempt may have brought about.
    pub(super) fn may_have_moved(&self, index: usize) -> bool {
        let plan = self.work.get(index).and_then(|work| work.plan.as_ref());
        self.memory.may_have_acted
            && plan.is_some_and(|plan| plan.change == Change::Modify && !plan.memberships.is_empty())
    }
}
