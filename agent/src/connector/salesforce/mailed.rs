//! To which new addresses of active users a mail with a link was sent. Salesforce shows nowhere that an address waits for
//! that, and another mail makes the link of the first useless.

use std::time::Duration;

use postern_protocol::Failure;
use postern_protocol::time::UnixMillis;
use tokio::sync::Mutex;

use super::Salesforce;
use super::kept::short_hash;
use super::user::{User, same_id, short};
use crate::clock;

/// Where it is kept.
const MAILS: &str = "salesforce/mails";
/// How long the link in a mail works.
const LINK_LASTS: Duration = Duration::from_secs(72 * 60 * 60);
/// As many as fit a note. Where one had to make room, another mail is sent.
const MOST_MAILS: usize = 48;

/// The last mail of each user, and when it was sent; the oldest first.
pub(super) type Mails = Vec<(String, String, u64)>;

/// Held by whoever notes a mail.
#[derive(Default)]
pub(super) struct Noting(Mutex<()>);

impl Salesforce {
    /// Whether the last mail that this member sent for the user went to that address, and its link may still be clicked.
    pub(super) fn has_mailed(&self, user: &User, address: &str) -> Result<bool, Failure> {
        let mail = name(user, address);
        let is_it = |(of, known, _): &(String, String, u64)| same_id(of, &user.id) && *known == mail;
        Ok(working(self.mails()?, clock::unix_millis()).iter().any(is_it))
    }

    /// Takes note of a mail that was sent now.
    pub(super) async fn note_mail(&self, user: &User, address: &str) -> Result<(), Failure> {
        let _turn = self.noting.0.lock().await;
        let mails = with(self.mails()?, &user.id, name(user, address), clock::unix_millis());
        self.keep.keep(MAILS, serde_json::to_vec(&mails).unwrap_or_default()).await
    }

    fn mails(&self) -> Result<Mails, Failure> {
        let stored = self.keep.recall(MAILS)?;
        Ok(stored.and_then(|mails| serde_json::from_slice(&mails).ok()).unwrap_or_default())
    }
}

/// Tells a mail from others without holding an address. Once the user has another address than before it, it is over.
fn name(user: &User, address: &str) -> String {
    short_hash(&[&user.email.as_deref().unwrap_or_default().to_lowercase(), &address.to_lowercase()])
}

/// Those whose links work.
fn working(mut mails: Mails, now: UnixMillis) -> Mails {
    let lasts = u64::try_from(LINK_LASTS.as_millis()).unwrap_or(u64::MAX);
    mails.retain(|(_, _, at)| *at <= now.0 && now.0 - at < lasts);
    mails
}

/// The same and another one.
fn with(mails: Mails, user: &str, mail: String, now: UnixMillis) -> Mails {
    let mut mails = working(mails, now);
    mails.retain(|(of, _, _)| !same_id(of, user));
    mails.push((short(user).to_owned(), mail, now.0));
    mails.drain(..mails.len().saturating_sub(MOST_MAILS));
    mails
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::MAX_NOTE;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const USER: &str = "0055g00000XyZ12AAF";

    fn user(email: &str) -> User {
        serde_json::from_value(json!({ "Id": USER, "Username": "a@b.c", "IsActive": true, "Email": email })).unwrap()
    }

    #[test]
    fn a_mail_is_known_until_its_link_has_run_out_or_another_was_sent() {
        let lasts = u64::try_from(LINK_LASTS.as_millis()).unwrap();
        let mails = with(Mails::new(), USER, "one".to_owned(), NOW);
        assert_eq!(working(mails.clone(), UnixMillis(NOW.0 + lasts - 1)), mails);
        assert_eq!(working(mails.clone(), UnixMillis(NOW.0 + lasts)), []);
        assert_eq!(working(mails.clone(), UnixMillis(NOW.0 - 1)), [], "the clock was set back");
        assert_eq!(with(mails, USER, "two".to_owned(), NOW), with(Mails::new(), USER, "two".to_owned(), NOW));
    }

    #[test]
    fn a_mail_is_about_an_address_and_the_one_before_it() {
        let mail = name(&user("old@b.c"), "new@b.c");
        assert_eq!(mail, name(&user("OLD@b.c"), "New@b.c"));
        assert_ne!(mail, name(&user("older@b.c"), "new@b.c"));
        assert_ne!(mail, name(&user("old@b.c"), "newer@b.c"));
    }

    #[test]
    fn the_oldest_makes_room_and_all_fit_a_note() {
        let id = |number: usize| format!("0055g{number:010}AAA");
        let more = |mails, number| with(mails, &id(number), name(&user("old@b.c"), "new@b.c"), NOW);
        let mails = (0..=MOST_MAILS).fold(Mails::new(), more);
        assert_eq!((mails.len(), mails[0].0.as_str()), (MOST_MAILS, short(&id(1))));
        assert!(serde_json::to_vec(&mails).unwrap().len() <= MAX_NOTE);
    }
}
