//! Give a user a new password: a given one, one made up here and sealed to the requester, or one of Salesforce's own.

use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::seal::SealedOutput;
use postern_protocol::task::reset_password::{Output, PASSWORD, Request, Source};
use postern_protocol::{Failure, FailureClass};
use zeroize::Zeroizing;

use super::super::Salesforce;
use super::super::user::{User, inactive};
use super::new_password::{self, Earlier, NewPassword};
use super::reset_by_mail::{self, LOST, RESET, Reset};
use super::step::Stuck;
use super::{Stop, step, undecided, unknown_choice};
use crate::connector::{AttemptCx, Conclusion, Earlier as Journal};

const STEP: u32 = 0;
const LOOK: &str =
    "Last Password Change or Reset tells whether it was changed when this task ran; submit a new task if it was not.";

const SEALED: &str = "The temporary password went to the requester alone.";
const DROPPED: &str = "The temporary password was dropped: nobody asked for it.";
const NOT_TOLD: &str = "The temporary password could not be handed over.";

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    let Some(source) = it.source.known() else { return Err(unknown_choice("source").into()) };
    let user = match step::user_to_change(org, &it.account, LOOK, cx).await {
        Ok(user) => user,
        Err(stop) => return Ok(stop.end()?.with_sealed(new_password::sealed_earlier(STEP, &cx.earlier))),
    };
    if source == Source::Service {
        return by_service(org, &user, it.repeat_if_unknown, cx).await;
    }
    match new_password::from_earlier(org, &user, STEP, cx).await? {
        Earlier::Set(sealed) => return Ok(applied(&user, "", sealed).probable()),
        Earlier::Exhausted(failure, sealed) => {
            return Ok(undecided(&failure, &user, LOOK).with_sealed(sealed));
        }
        Earlier::Nothing => (),
    }
    let begun = new_password::was_begun(STEP, cx);
    if source == Source::Generated && !begun && new_password::may_be_of_another_member(org, &user, cx).await? {
        return Ok(password_lost());
    }
    if !user.is_active {
        return Err(Stop::proven(cx, inactive(&it.account)));
    }
    step::spare_service_account(org, &user, cx).await?;
    let new = match source {
        Source::Generated => NewPassword::made_up(PASSWORD, cx)?,
        Source::Given | Source::Service => NewPassword::given(PASSWORD, cx)?,
    };
    match new_password::set(org, &user, &new, STEP, cx).await {
        Ok(certainty) => Ok(Conclusion { certainty, ..applied(&user, "", new.sealed) }),
        Err(stuck) => {
            // Nobody knows whether it is in force: a made-up one goes to the requester all the same, who can try it.
            let sealed = new.sealed.filter(|_| matches!(stuck, Stuck::Unknown(_)));
            Ok(stuck.stop(&user, LOOK, cx).end()?.with_sealed(sealed))
        }
    }
}

/// The made-up password that may be in force, for the requester of a task that no attempt concludes.
pub(in super::super) fn owed(journal: &Journal) -> Option<SealedOutput> {
    new_password::sealed_earlier(STEP, journal)
}

async fn by_service(org: &Salesforce, user: &User, may_repeat: bool, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    Ok(match reset_by_mail::run(org, user, may_repeat, cx).await? {
        Reset::Answered(temporary) => {
            let (sealed, told) = handed_over(temporary, cx);
            applied(user, &format!("{RESET} {told}"), sealed)
        }
        Reset::Seen => applied(user, LOST, None).probable(),
    })
}

/// The reset has happened; what becomes of its temporary password does not make it undone.
fn handed_over(temporary: Option<Zeroizing<String>>, cx: &AttemptCx) -> (Option<SealedOutput>, &'static str) {
    if !cx.journal.has_requester() {
        return (None, DROPPED);
    }
    match temporary.map(|password| cx.journal.seal(PASSWORD, password.as_bytes())) {
        Some(Ok(sealed)) => (Some(sealed), SEALED),
        Some(Err(_)) | None => (None, NOT_TOLD),
    }
}

fn applied(user: &User, message: &str, sealed: Option<SealedOutput>) -> Conclusion {
    let output = Output { user_id: Text::clipped(user.id.as_str()), message: Text::clipped(message) };
    Conclusion::succeeded(output, Changed::Yes).with_sealed(sealed)
}

/// Another member may have set a password that nobody knows any more.
fn password_lost() -> Conclusion {
    Conclusion::unknown(
        Failure::new(
            FailureClass::Interrupted,
            "password_lost",
            "the user's password was changed after this task was made, perhaps by a member that could not report it",
        )
        .with_next_step("Submit a new task to give the user another password."),
    )
}
