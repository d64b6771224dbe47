//! Imports of a handful of entries: accounts to make, with a marker, and accounts to modify.

use std::fmt::Write as _;

use postern_protocol::task::import_batch::Request;
use salesforce_sim::{Matching, Mishap};
use serde_json::{Value, json};

use super::super::dice;
use super::super::ended::{Entry, Seen, Twice};
use super::{IN_BULK, Late, MARKER, World};

/// New accounts in an import; the last of them is given a password.
const NEW: usize = 3;
/// One dataset in so many is larger than a piece of a stream, so that it may break off between two.
const LARGE: u64 = 4;
/// By so many blanks: three pieces, and not more than an entry may have.
const BLANKS: usize = 200 * 1024;

/// An entry before it is submitted.
struct Planned {
    account: String,
    is_new: bool,
    password: Option<String>,
}

impl World<'_> {
    /// Imports one dataset after the other.
    pub(super) async fn import(&self, modified: &[String]) {
        while self.goes_on() {
            let token = dice::token();
            let new = (1..=NEW).map(|number| Planned {
                account: format!("new-{token}-{number}@acme.example"),
                is_new: true,
                password: (number == NEW).then(|| format!("Gate-{}-9", dice::token())),
            });
            let old =
                modified.iter().map(|account| Planned { account: account.clone(), is_new: false, password: None });
            let planned: Vec<Planned> = new.chain(old).collect();
            self.import_once(&token, &planned, &modified.join(" and ")).await;
        }
    }

    async fn import_once(&self, token: &str, planned: &[Planned], of: &str) {
        let threshold = if dice::once_in(IN_BULK) { 1 } else { Request::BULK_THRESHOLD };
        let params = json!({ "format": "jsonl", "bulk_threshold": threshold });
        let order = self.desk.order_import(params, &self.dataset(token, planned)).await;
        let late =
            Late::now_and_then(Matching::default(), |millis| Mishap::DelayCommitAt { piece: token.to_owned(), millis });
        let course = self.run(&order, late).await;
        let look = || planned.iter().map(|entry| self.is_there(token, entry)).collect::<Vec<bool>>();
        let at_end = look();
        course.outlast().await;
        let after = look();
        let results = match course.task["streams"].as_array() {
            Some(streams) if !streams.is_empty() => Some(self.desk.results(order.id).await),
            _ => None,
        };
        let entries = planned.iter().zip(at_end.into_iter().zip(after));
        let entries = entries.map(|(it, (at_end, after))| self.entry(it, Twice { at_end, after })).collect();
        self.note(&order, of, course, Seen::Import { entries, results }).await;
    }

    fn entry(&self, planned: &Planned, is_there: Twice<bool>) -> Entry {
        let Planned { account, is_new, password } = planned;
        let exists = self.salesforce.user(account).is_some();
        let calls = password.as_ref().filter(|_| exists).map(|password| self.calls(account, 0, password));
        let is_set = password.as_ref().is_some_and(|password| self.salesforce.password_is(account, password));
        Entry { account: account.clone(), is_new: *is_new, is_there, calls, is_set }
    }

    /// Whether an account has the values of this entry.
    fn is_there(&self, token: &str, planned: &Planned) -> bool {
        let is_marked = |number: &str| !planned.is_new || number == token;
        self.salesforce
            .user(&planned.account)
            .is_some_and(|user| user.text("Title") == token && is_marked(user.text(MARKER)))
    }

    fn dataset(&self, token: &str, planned: &[Planned]) -> String {
        let mut text = String::new();
        for entry in planned {
            let mut record = json!({ "changetype": "modify", "Username": entry.account, "Title": token });
            if entry.is_new {
                record = json!({
                    "changetype": "add",
                    "Username": entry.account,
                    "Title": token,
                    MARKER: token,
                    "LastName": "New",
                    "Alias": "new",
                    "Email": entry.account,
                    "ProfileId": self.profile,
                    "TimeZoneSidKey": "Europe/Paris",
                    "LocaleSidKey": "en_US",
                    "EmailEncodingKey": "UTF-8",
                    "LanguageLocaleKey": "en_US",
                });
            }
            if let Some(password) = &entry.password {
                record["password"] = Value::from(password.as_str());
            }
            let _ = writeln!(text, "{record}");
        }
        if dice::once_in(LARGE) {
            let blanks = " ".repeat(BLANKS);
            text = text.replacen('{', &format!("{{{blanks}"), 1);
        }
        text
    }
}
