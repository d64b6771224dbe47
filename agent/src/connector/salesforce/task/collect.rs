//! Collect: everything there is to know about users, one file a run, and who is there no longer.
//!
//! A run that did not read everything hands over nothing, so that nobody is taken for gone because a page was lost.

mod attributes;
mod companion;
mod gatherer;
mod memory;

use jiff::Timestamp;
use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::collect::{MAX_LOGINS, Output, Request, UserStatus};
use postern_protocol::task::export::RESULT_KEY;

use super::super::kept::busy;
use super::super::{Salesforce, soql};
use super::export::{Beginning, Broken, Course, Plan, stream};
use super::{refused, unknown_choice};
use crate::clock;
use crate::connector::{AttemptCx, Conclusion};
use attributes::Layout;
use companion::Companions;
use gatherer::{Gatherer, Head};
use memory::Memory;
pub(in super::super) use memory::{Seen, State};

/// More users than this are read as a job in bulk: they have some 250 attributes each, and a page of 2,000 such records
/// takes more memory than a page in bulk, whose size is chosen here.
const BULK_ABOVE: u64 = 1_000;

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let conditions = conditions(&it)?;
    let place = memory::place(&it.name);
    let busy = || busy("collection_busy", &format!("the collection `{}`", it.name));
    let _turn = org.under_way.begin(&place).ok_or_else(busy)?;
    let started = now();
    let user = attributes::reach(org).await?;
    let (layout, mut warnings) = Layout::find(org, &user, &cx.stop).await?;
    let companions = Companions::find(org, it.logins, &mut warnings).await?;
    let session = org.sessions.current().await?;
    let instance = session.instance.clone();
    let (memory, forgot) =
        Memory::begin((&org.keep, &org.under_way), &it, session.org_id(), cx.task, &started, user.object.at).await?;
    warnings.extend(forgot);
    let mut plan = Plan::of(&user.object, layout.columns(), conditions);
    for warning in warnings {
        plan.warn(warning);
    }

    let users = org.first_page(&plan.count()).await?.total;
    org.governor.room_for(companions.calls(users), memory.is_again)?;
    let many = users > BULK_ABOVE;
    let mut course = Course::new(org, &plan, many, cx).await;
    loop {
        let head = Head {
            system: &cx.system,
            request: &it,
            started: &started,
            instance: &instance,
            layout: &layout,
            companions: &companions,
            memory: &memory,
            stop: &cx.stop,
        };
        match attempt(org, &plan, course.begin(), head, cx).await {
            Ok(done) => {
                let output = Output {
                    users: done.users,
                    removed: done.removed,
                    started: Text::clipped(started),
                    ended: Text::clipped(done.ended),
                    since: Text::clipped(memory.since()),
                    warnings: done.warnings,
                };
                let (stream, key) = done.payload;
                let conclusion = Conclusion::succeeded(output, Changed::No).with_sealed([key]);
                return Ok(Conclusion { payload: Some(stream), ..conclusion });
            }
            Err(broken) => course.after(&mut plan, broken)?,
        }
    }
}

/// One file from its beginning to its end.
async fn attempt(
    org: &Salesforce,
    plan: &Plan,
    begin: Beginning,
    head: Head<'_>,
    cx: &AttemptCx,
) -> Result<gatherer::Done, Broken> {
    let gatherer = Gatherer::begin(org, head, cx.journal.payload(RESULT_KEY)?).await?;
    let gatherer = stream(org, plan, begin, gatherer, cx).await?;
    // Everything that Salesforce said it found was read: who was not among it is gone.
    Ok(gatherer.finish(plan).await?)
}

fn conditions(it: &Request) -> Result<Vec<String>, Failure> {
    if it.name.is_empty() {
        return Err(refused("no_name", "A collection needs a name"));
    }
    if it.logins > MAX_LOGINS {
        return Err(refused("too_many_logins", format!("At most {MAX_LOGINS} sign-ins can be told of a user")));
    }
    Ok(match it.user_status.known() {
        Some(UserStatus::Active) => vec!["IsActive = TRUE".to_owned()],
        Some(UserStatus::Inactive) => vec!["IsActive = FALSE".to_owned()],
        Some(UserStatus::All) => Vec::new(),
        None => return Err(unknown_choice("user_status")),
    })
}

/// The moment, by this host's clock: it is the one that the schedule of collections goes by.
fn now() -> String {
    let millis = i64::try_from(clock::unix_millis().0).unwrap_or(i64::MAX);
    soql::moment(&Timestamp::from_millisecond(millis).unwrap_or_default())
}
