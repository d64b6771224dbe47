//! LoginHistory: where Salesforce saw the agent come from, which is what trusted ranges are about.

use std::net::IpAddr;

use jiff::SignedDuration;
use serde_json::Value as Json;

use super::sign_in::Session;
use super::{Salesforce, soql};

/// Others may sign in with the same account at the same time, and fail.
const NEWEST: usize = 5;
/// Times are whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Where the agent's sign-in came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenFrom {
    /// The address, in Salesforce's words.
    pub(super) address: String,
    /// Whether it lies in a range that the operator calls trusted; not known if none was named.
    pub(super) trusted: Option<bool>,
}

impl Salesforce {
    /// Where Salesforce saw the sign-in of a session come from. Best effort: nothing fails for want of it.
    pub(super) async fn seen_from(&self, session: &Session) -> Option<SeenFrom> {
        let user = soql::literal(&session.user);
        // Other agents may use the same account, and come from elsewhere.
        let until = session.began?;
        let longest = SignedDuration::try_from(self.settings.http.timeout).ok()?;
        let from = until.checked_sub(longest + SECOND).ok()?;
        let (from, until) = (soql::moment(&from), soql::moment(&until));
        // Of two within a second, the later has the greater Id.
        let query = format!(
            "SELECT SourceIp, Status FROM LoginHistory WHERE UserId = {user} AND LoginTime >= {from} AND LoginTime <= {until} \
             ORDER BY LoginTime DESC, Id DESC LIMIT {NEWEST}"
        );
        let (rows, _) = self.query(&query).await.ok()?;
        // The status cannot be asked for in the query.
        let row = rows.iter().find(|row| row.get("Status").and_then(Json::as_str) == Some("Success"))?;
        let address = row.get("SourceIp")?.as_str()?.to_owned();
        self.sessions.handle_seen_from(&address);
        Some(SeenFrom { trusted: self.is_trusted(&address), address })
    }

    fn is_trusted(&self, address: &str) -> Option<bool> {
        let ranges = &self.settings.trusted_ranges;
        let address: IpAddr = address.parse().ok()?;
        (!ranges.is_empty()).then(|| ranges.iter().any(|range| range.contains(address)))
    }
}
