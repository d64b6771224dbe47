//! LoginHistory: where Salesforce saw the agent come from, which is what trusted ranges are about.

use std::net::IpAddr;

use jiff::SignedDuration;
use postern_protocol::bounded::Text;
use serde_json::Value as Json;

use super::sign_in::Session;
use super::{Salesforce, error, soql};

/// Others may sign in with the same account at the same time, and fail.
const NEWEST: usize = 5;
/// Times are whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The longest address that is kept and told on, in bytes; those of IPv6 have 45.
const LONGEST: usize = 64;

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
        let address = told(row.get("SourceIp")?.as_str()?);
        self.sessions.handle_seen_from(&address);
        Some(SeenFrom { trusted: self.is_trusted(&address), address })
    }

    fn is_trusted(&self, address: &str) -> Option<bool> {
        let ranges = &self.settings.trusted_ranges;
        let address: IpAddr = address.parse().ok()?;
        (!ranges.is_empty()).then(|| ranges.iter().any(|range| range.contains(address)))
    }
}

/// An address as it is kept and told on.
fn told(said: &str) -> String {
    // Clipped behind that: half of a secret is not known for one.
    Text::<LONGEST>::clipped(error::words(said)).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keep it as it comes, and a few answers fill the memory and all that tells how the agent is, which then nobody gets.
    #[test]
    fn whatever_is_said_in_place_of_an_address_is_kept_short_and_without_secrets() {
        let _held = crate::redaction::in_use(b"told-as-an-address");
        assert_eq!(told("203.0.113.7"), "203.0.113.7");
        let longest = "2001:0db8:0000:0000:0000:ffff:203.000.113.007";
        assert_eq!(told(longest), longest);
        assert_eq!(told("Salesforce.com IP"), "Salesforce.com IP");
        for said in ["x".repeat(1_000), "ä".repeat(1_000), "x".repeat(1_000_000)] {
            let length = told(&said).len();
            assert!(length <= LONGEST, "{length}");
        }
        // Clip it first, and half of the secret is left.
        let said = format!("{}told-as-an-address", "x".repeat(LONGEST - 8));
        assert!(!told(&said).contains("told"), "{}", told(&said));
    }
}
