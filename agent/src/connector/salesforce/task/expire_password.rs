//! Make a user's password useless at once. Salesforce has no such call; its reset is what comes closest.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::expire_password::{Output, Request};

use super::super::Salesforce;
use super::super::user::{User, not_found};
use super::proven;
use super::reset_by_mail::{self, Reset};
use crate::connector::{AttemptCx, Conclusion};

const MESSAGE: &str = "Salesforce reset the password: the old one is useless at once, and the user was sent a mail with \
    a link to choose a new one.";
const MESSAGE_LOST: &str = "The password was changed at the time of the reset, whose answer was lost: the old one is \
    useless, and the user was sent a mail with a link. The temporary password that Salesforce made is not known.";

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let Some(user) = org.find_user(&it.account).await? else { return proven(cx, not_found(&it.account)) };
    match reset_by_mail::run(org, &user, cx).await {
        // The temporary password is nobody's business: the mail lets the user choose one.
        Ok(Reset::Answered(_)) => Ok(expired(&user, MESSAGE)),
        Ok(Reset::Seen) => Ok(expired(&user, MESSAGE_LOST).probable()),
        Err(end) => end,
    }
}

fn expired(user: &User, message: &str) -> Conclusion {
    let output = Output { user_id: Text::clipped(user.id.as_str()), message: Text::clipped(message) };
    Conclusion::succeeded(output, Changed::Yes)
}
