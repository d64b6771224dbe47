//! Make a user's password useless at once. Salesforce has no such call; its reset is what comes closest.

use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::expire_password::{Output, Request};

use super::super::Salesforce;
use super::super::user::User;
use super::reset_by_mail::{self, LOOK, LOST, RESET, Reset};
use super::{Stop, step};
use crate::connector::{AttemptCx, Conclusion};

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    let user = step::user_to_change(org, &it.account, LOOK, cx).await?;
    Ok(match reset_by_mail::run(org, &user, it.repeat_if_unknown, cx).await? {
        // The temporary password is nobody's business: the mail lets the user choose one.
        Reset::Answered(_) => expired(&user, RESET),
        Reset::Seen => expired(&user, LOST).probable(),
    })
}

fn expired(user: &User, message: &str) -> Conclusion {
    let output = Output { user_id: Text::clipped(user.id.as_str()), message: Text::clipped(message) };
    Conclusion::succeeded(output, Changed::Yes)
}
